//! Where the words of folded text are, and how they belong together.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use super::TOKEN_BYTES_MAX;
use super::cjk::{self, Stretch};

/// A token's place in the folded text, cut to [`TOKEN_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    /// Only a hyphen, slash, dot or underscore stands between the token before and this one.
    pub(super) joined: bool,
    /// Of two characters of a run, see `cjk`: where the second begins.
    pub(super) second: Option<usize>,
}

/// Folded text from each of its words on, and where no space tells words apart, from each character on.
pub(crate) fn words(folded: &str) -> impl Iterator<Item = &str> {
    tokens(folded).into_iter().flat_map(|token| [Some(token.range.start), token.second]).flatten().map(|start| &folded[start..])
}

/// Words of folded text, in order. Scripts without spaces are cut into every two neighbours, the others as Unicode's word rules cut them.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::with_capacity(text.len() / 6 + 1);
    let mut push = |range: Range<usize>, second: Option<usize>| {
        let joined = found.last().is_some_and(|last: &Token| matches!(text.get(last.range.end..range.start), Some("-" | "/" | "_" | ".")));
        let end = text.floor_char_boundary(range.end.min(range.start + TOKEN_BYTES_MAX));
        found.push(Token { range: range.start..end, joined, second: second.filter(|second| *second < end) });
    };
    let mut start = None;
    let mut finish = |start: usize, end: usize| {
        let run = &text[start..end];
        if run.is_ascii() {
            push(start..end, None);
        } else if !cjk::has_runs(run) {
            for (at, word) in run.unicode_word_indices() {
                push(start + at..start + at + word.len(), None);
            }
        } else {
            for Stretch { range, run: kind } in cjk::stretches(run) {
                let (from, part) = (start + range.start, &run[range.clone()]);
                match kind {
                    None => part.unicode_word_indices().for_each(|(at, word)| push(from + at..from + at + word.len(), None)),
                    Some(_) => {
                        let starts = cjk::characters(part);
                        match &starts[..] {
                            [] | [_] => push(from..start + range.end, None),
                            [_, seconds @ ..] => {
                                let ends = seconds[1..].iter().copied().chain([part.len()]);
                                for ((first, second), end) in starts.iter().zip(seconds).zip(ends) {
                                    push(from + first..from + end, Some(from + second));
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    let mut digit_before = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let inside = if c.is_ascii() {
            // Folding leaves an apostrophe where a word of its own ends with it.
            if c == '\''
                && let Some(from) = start.take()
            {
                finish(from, at + 1);
            }
            c.is_ascii_alphanumeric() || (c == '.' && digit_before && chars.peek().is_some_and(|(_, next)| next.is_ascii_digit()))
        } else {
            c.is_alphanumeric() || is_combining_mark(c)
        };
        digit_before = c.is_ascii_digit();
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                finish(from, at);
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some(from) = start {
        finish(from, text.len());
    }
    found
}

/// The two pieces of a token of letters then digits or digits then letters; nothing for any other token.
pub(super) fn pieces(token: &str) -> Option<(&str, &str)> {
    let bytes = token.as_bytes();
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let digit_first = bytes.first()?.is_ascii_digit();
    let cut = bytes.iter().position(|b| b.is_ascii_digit() != digit_first)?;
    bytes[cut..].iter().all(|b| b.is_ascii_digit() != digit_first).then(|| token.split_at(cut))
}

/// Whether a phrase ends with a token of the text; `next` is the one behind it.
pub(super) fn ends_phrase(text: &str, token: &Token, next: Option<&Token>) -> bool {
    let Some(next) = next else { return true };
    // Neighbours of one run overlap.
    let gap = text.get(token.range.end..next.range.start).unwrap_or_default();
    gap.contains([',', ';', ':', '|', '(', ')', '[', ']', '/', '\n', '"', '″', '”', '、', '。']) || gap.contains(" - ")
}

/// Whether the token is the first two characters of a run of more, or two in its midst.
fn goes_on(token: &Token, next: Option<&Token>) -> bool {
    token.second.is_some() && next.is_some_and(|next| next.range.start < token.range.end)
}

/// The last two characters of their run, or no such pair.
pub(super) fn is_last_of_run(token: &Token, next: Option<&Token>) -> bool {
    token.second.is_some() && !goes_on(token, next)
}

/// Of each run every other pair, and its last one: together they have all of its characters.
pub(super) fn thinned(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let covered = kept.last().is_some_and(|last| token.second.is_some() && token.range.start < last.range.end);
        if !covered || !goes_on(&token, tokens.peek()) {
            kept.push(token);
        }
    }
    kept
}

/// Where the last word of folded text begins; the end of the text when it ends in something else.
pub(crate) fn last_word(folded: &str) -> usize {
    tokens(folded).last().filter(|token| token.range.end == folded.len()).map_or(folded.len(), |token| token.range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words() {
        for (text, start) in [("日本語", 3), ("d'enc", 2), ("hp in", 3), ("hp ", 3), ("", 0), ("hp", 0), ("hp-8", 3)] {
            assert_eq!(last_word(text), start, "{text}");
        }
    }
}

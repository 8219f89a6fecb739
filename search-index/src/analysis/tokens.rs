//! Where the words of folded text are, and how they belong together.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use super::TOKEN_BYTES_MAX;

/// A token's place in the folded text, cut to [`TOKEN_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    /// Only a hyphen, slash, dot or underscore stands between the token before and this one.
    pub(super) joined: bool,
}

/// Words of folded text, in order. Scripts without spaces are cut as Unicode's word rules cut them (ideographs one by one).
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::with_capacity(text.len() / 6 + 1);
    let mut push = |range: Range<usize>| {
        let joined = found.last().is_some_and(|last: &Token| matches!(text.get(last.range.end..range.start), Some("-" | "/" | "_" | ".")));
        let mut end = range.end.min(range.start + TOKEN_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        found.push(Token { range: range.start..end, joined });
    };
    let mut start = None;
    let mut finish = |start: usize, end: usize| {
        let run = &text[start..end];
        if run.is_ascii() {
            push(start..end);
        } else {
            for (at, word) in run.unicode_word_indices() {
                push(start + at..start + at + word.len());
            }
        }
    };
    let mut digit_before = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let inside = if c.is_ascii() {
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

/// Whether what stands between two words ends a phrase.
pub(super) fn ends_phrase(gap: &str) -> bool {
    gap.contains([',', ';', ':', '|', '(', ')', '[', ']', '/', '\n', '"', '″', '”']) || gap.contains(" - ")
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
        for (text, start) in [("hp in", 3), ("hp ", 3), ("", 0), ("hp", 0), ("hp-8", 3)] {
            assert_eq!(last_word(text), start, "{text}");
        }
    }
}

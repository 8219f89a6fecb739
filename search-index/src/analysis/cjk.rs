//! Scripts that put no space between words: runs of their characters are found by every two neighbours.
//!
//! `日本語` is the words `日本` and `本語`, and each of its characters is a further spelling, so that a query of one finds it too. A document has all that, a query the pairs
//! alone; one character between other signs is a word. Where one writes `プリンタ` and another `プリンター`, or two words with a space and without, the pairs they share
//! find them, and no dictionary has to know either.
//! Han and Hiragana are one run, for words go on from the one to the other (`食べ物`); Katakana is one of its own, for a word from abroad ends where it ends,
//! whether or not a space says so.
//! What a character is: with its marks, as Thai vowels and tones, and what a Khmer or Burmese sign binds to it.
//!
//! Source: Lucene's `CJKBigramFilter`, with single characters.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

/// What a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Chinese, and Japanese but for Katakana.
    Han,
    Katakana,
    Hangul,
    /// Thai, Lao, Burmese, Khmer.
    Southeast,
}

/// The signs of Khmer and Burmese that put the next letter below this one.
const BINDING: [char; 2] = ['\u{17d2}', '\u{1039}'];

/// The mark for a long vowel belongs to what it follows.
const LONG: char = 'ー';

/// The run that a character may be in.
pub(crate) fn run_of(c: char) -> Option<Run> {
    match c {
        ..'\u{e01}' => None,
        '\u{e01}'..='\u{e4e}' | '\u{e81}'..='\u{ecf}' | '\u{edc}'..='\u{edf}' => Some(Run::Southeast),
        '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' | '\u{1780}'..='\u{17d3}' => Some(Run::Southeast),
        '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{a960}'..='\u{a97c}' | '\u{ac00}'..='\u{d7fb}' => Some(Run::Hangul),
        '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => Some(Run::Katakana),
        '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{3035}' | '\u{3038}'..='\u{303c}' => Some(Run::Han),
        '\u{3041}'..='\u{309f}' | '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' => Some(Run::Han),
        '\u{2e80}'..='\u{2fd5}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Some(Run::Han),
        '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}' => Some(Run::Han),
        _ => None,
    }
}

/// Whether a text has any of these characters.
pub(crate) fn has_runs(text: &str) -> bool {
    text.bytes().any(|byte| byte >= 0xe0) && text.chars().any(|c| run_of(c).is_some())
}

/// Whether a word is one of a run: two characters, or a single one.
pub(crate) fn is_of_run(word: &str) -> bool {
    word.chars().next().and_then(run_of).is_some()
}

/// A stretch of text that is all in runs of one kind, or all in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) range: Range<usize>,
    pub(crate) run: Option<Run>,
}

/// The stretches of a text, in order, without gaps.
pub(crate) fn stretches(text: &str) -> impl Iterator<Item = Stretch> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = &text[from..];
        let run = run_of(rest.chars().next()?);
        let mut binds = false;
        let ends = |(_, c): &(usize, char)| {
            let goes_on = binds || run_of(*c) == run || (run.is_some() && is_combining_mark(*c)) || (run == Some(Run::Han) && *c == LONG);
            binds = BINDING.contains(c);
            !goes_on
        };
        let end = rest.char_indices().find(ends).map_or(text.len(), |(at, _)| from + at);
        let range = from..end;
        from = end;
        Some(Stretch { range, run })
    })
}

/// Where each character of a run begins, marks counted to the one before; at least one.
pub(crate) fn characters(run: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut binds = true;
    for (at, c) in run.char_indices() {
        if at == 0 || !(binds || is_combining_mark(c)) {
            starts.push(at);
        }
        binds = BINDING.contains(&c);
    }
    starts
}

/// Where the last character of a run begins.
pub(crate) fn last_character(run: &str) -> usize {
    characters(run).pop().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Text, its stretches: those in runs with a mark, and a `|` between their characters.
    fn runs_and_their_characters() {
        for (text, wanted) in [
            ("日本語プリンターHP", "+日|本|語 +プ|リ|ン|タ|ー HP"),
            ("らーめん食べ物", "+ら|ー|め|ん|食|べ|物"),
            ("무선 이어폰", "+무|선 _ +이|어|폰"),
            ("か\u{3099}カ\u{3099}", "+か\u{3099} +カ\u{3099}"),
            ("เครื่อง", "+เ|ค|รื่|อ|ง"),
            ("ខ្មែរ", "+ខ្មែ|រ"),
            ("lamp", "lamp"),
            ("", ""),
        ] {
            let shown = |Stretch { range, run }: Stretch| {
                let part = &text[range];
                if run.is_none() {
                    return part.replace(' ', "_");
                }
                let starts = characters(part);
                let ends = starts[1..].iter().copied().chain([part.len()]);
                "+".to_owned() + &starts.iter().zip(ends).map(|(from, to)| &part[*from..to]).collect::<Vec<_>>().join("|")
            };
            assert_eq!(stretches(text).map(shown).collect::<Vec<_>>().join(" "), wanted, "{text}");
        }
    }
}

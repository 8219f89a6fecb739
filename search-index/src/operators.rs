//! What a text says beside its words: quoted phrases, and what is not wanted.
//!
//! Path: text → [`Operators::of`] → the words to look for and rank by, phrases that must stand somewhere, words and phrases that must not → the set of rows that
//! pass, see `phrases`.
//!
//! `"usb c" cable -hub -"hub for"`: a quotation begins and ends at the edge of a word, so that 15.6" is a measure; a quotation that does not end is none; a hyphen forbids
//! what follows it without a space, and within words it is a hyphen. Words in quotation marks are words of the query as well, whichever way they are ranked.
//! Bound: [`OPERATORS_MAX`].

use std::borrow::Cow;

use crate::analysis::Analyzer;
use crate::refusal::QueryError;

/// Quotations and forbidden words of one query. More is refused.
pub const OPERATORS_MAX: usize = 8;

/// Whether a text has quotations or forbidden words, or more of them than are taken: it says more than words to look for. O(text).
#[must_use]
pub fn has_operators(text: &str) -> bool {
    Operators::of(text, &Analyzer::default()).map_or(true, |found| !found.required.is_empty() || !found.unwanted.is_empty())
}

/// Words that stand side by side, as the dictionary has them; at least one.
pub(crate) type Phrase = Vec<String>;

/// A text taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Operators<'a> {
    /// The text with a blank in the place of everything that is not wanted.
    pub(crate) words: Cow<'a, str>,
    pub(crate) required: Vec<Phrase>,
    pub(crate) unwanted: Vec<Phrase>,
}

impl<'a> Operators<'a> {
    /// O(text).
    ///
    /// # Errors
    /// [`QueryError::TooManyOperators`].
    pub(crate) fn of(text: &'a str, analyzer: &Analyzer) -> Result<Self, QueryError> {
        let mut found = Self { words: Cow::Borrowed(text), ..Self::default() };
        if !text.contains(is_sign) {
            return Ok(found);
        }
        let (mut at, mut at_edge) = (0, true);
        while let Some(c) = text[at..].chars().next() {
            let next = at + c.len_utf8();
            let (not, inner, end) = match c {
                _ if !at_edge => (false, None, next),
                '-' => match text[next..].chars().next() {
                    Some(quote) if is_quote(quote) => {
                        of_quotation(text, next, quote).map_or((true, None, next), |(inner, end)| (true, Some(inner), end))
                    }
                    Some(letter) if letter.is_alphanumeric() => {
                        let end = text[next..].find(char::is_whitespace).map_or(text.len(), |len| next + len);
                        (true, Some(&text[next..end]), end)
                    }
                    Some(_) | None => (true, None, next),
                },
                c if is_quote(c) => of_quotation(text, at, c).map_or((false, None, next), |(inner, end)| (false, Some(inner), end)),
                _ => (false, None, next),
            };
            if let Some(inner) = inner {
                if not {
                    found.words.to_mut().replace_range(at..end, &" ".repeat(end - at));
                }
                let phrase = analyzer.phrase(inner);
                if !phrase.is_empty() {
                    if not { &mut found.unwanted } else { &mut found.required }.push(phrase);
                }
            }
            at_edge = c.is_whitespace() || inner.is_some();
            at = end;
        }
        let len = found.required.len() + found.unwanted.len();
        if len > OPERATORS_MAX { Err(QueryError::TooManyOperators { len }) } else { Ok(found) }
    }

    /// Whether there is anything that a row can fail.
    pub(crate) fn are_any(&self) -> bool {
        !self.required.is_empty() || !self.unwanted.is_empty()
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

fn is_sign(c: char) -> bool {
    c == '-' || is_quote(c)
}

/// What stands in the quotation that begins at `at` with `quote`, and where the text goes on behind it.
fn of_quotation(text: &str, at: usize, quote: char) -> Option<(&str, usize)> {
    let begin = at + quote.len_utf8();
    let ends = |(_, rest): &(usize, &str)| !rest.chars().nth(1).is_some_and(char::is_alphanumeric);
    let (end, rest) = text[begin..].match_indices(is_quote).map(|(len, _)| (begin + len, &text[begin + len..])).find(ends)?;
    Some((&text[begin..end], end + rest.chars().next().map_or(0, char::len_utf8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Text; the words left, what must stand, what must not.
    fn texts_are_taken_apart() {
        let rows: [(&str, &str, &[&str], &[&str]); 17] = [
            ("usb cable", "usb cable", &[], &[]),
            ("\"usb cables\" black", "\"usb cables\" black", &["usb cabl"], &[]),
            ("“usb cable”", "“usb cable”", &["usb cabl"], &[]),
            ("case \"for the\" phone", "case \"for the\" phone", &["for the"], &[]),
            ("cable -hub", "cable     ", &[], &["hub"]),
            ("-hub cable", "     cable", &[], &["hub"]),
            ("cable -\"usb hub\" x", "cable            x", &[], &["usb hub"]),
            ("tn-2110 - toner", "tn-2110 - toner", &[], &[]),
            ("toner -tn-2110", "toner         ", &[], &["tn 2110"]),
            ("24\" monitor 27\"", "24\" monitor 27\"", &[], &[]),
            ("\"usb", "\"usb", &[], &[]),
            ("-\"usb hub", "-\"usb hub", &[], &[]),
            ("\"\" -", "\"\" -", &[], &[]),
            ("\"a b\"\"c d\"", "\"a b\"\"c d\"", &["a b", "c d"], &[]),
            ("--x", "--x", &[], &[]),
            ("\"5\" x 7\"", "\"5\" x 7\"", &["5"], &[]),
            ("-é é", "    é", &[], &["e"]),
        ];
        for (text, words, required, unwanted) in rows {
            let found = Operators::of(text, &Analyzer::default()).expect("few operators");
            assert_eq!(found.words, words, "{text}");
            let joined = |phrases: &[Phrase]| phrases.iter().map(|phrase| phrase.join(" ")).collect::<Vec<_>>();
            assert_eq!(
                (joined(&found.required), joined(&found.unwanted)),
                (required.iter().map(ToString::to_string).collect(), unwanted.iter().map(ToString::to_string).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn more_than_the_bound_is_refused() {
        let of = |count: usize| Operators::of(&"-x ".repeat(count), &Analyzer::default()).map(|found| found.unwanted.len());
        assert_eq!(of(OPERATORS_MAX), Ok(OPERATORS_MAX));
        assert_eq!(of(OPERATORS_MAX + 1), Err(QueryError::TooManyOperators { len: OPERATORS_MAX + 1 }));
    }
}

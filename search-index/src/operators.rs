//! What a text says beside its words: quoted phrases, what is not wanted, and conditions on one field.
//!
//! Path: text → [`Operators::of`] → the words to look for and rank by, phrases that must stand somewhere, words and phrases that must not, conditions on fields (see
//! `fields`) → the set of rows that pass, see `phrases`.
//!
//! `"usb c" cable -hub -"hub for"`: a quotation begins and ends at the edge of a word, so that 15.6" is a measure; a quotation that does not end is none; a hyphen forbids
//! what follows it without a space, and within words it is a hyphen. Words in quotation marks are words of the query as well, whichever way they are ranked.
//! Those of a condition on a field are not: it says what is found, and not in which order.
//! Bound: [`OPERATORS_MAX`].

use std::borrow::Cow;
use std::ops::Range;

use crate::analysis::Analyzer;
use crate::fields::{Condition, Named};
use crate::refusal::QueryError;

/// Quotations, forbidden words and conditions on fields of one query. More is refused.
pub const OPERATORS_MAX: usize = 8;

/// Whether a text has quotations, forbidden words or conditions on fields, or more of them than are taken: it says more than words to look for. `fields` are the
/// attributes that there are, see [`named_fields`]. O(text).
#[must_use]
pub fn has_operators(text: &str, fields: &[String]) -> bool {
    Operators::of(text, &Analyzer::default(), &mut |name| is_among(name, fields)).map_or(true, |found| found.are_any())
}

/// Names in front of a colon and a value, but for those of fields that every index has: `colour` of `brand:hp colour:red`. Each is the condition that it looks
/// like where some document has an attribute that is called so, which [`Index::fields_among`](crate::Index::fields_among) says; [`Query::fields`](crate::Query::fields)
/// takes those of all indexes together. O(text), and no more than a look at each letter for a text without a colon.
#[must_use]
pub fn named_fields(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    if text.contains(':') {
        // Over the bound or not, what was named is named.
        let _ = Operators::of(text, &Analyzer::default(), &mut |name| {
            if !is_among(name, &names) {
                names.push(name.to_owned());
            }
            false
        });
    }
    names
}

pub(crate) fn is_among(name: &str, names: &[String]) -> bool {
    names.iter().any(|other| *other == name)
}

/// Words that stand side by side, as the dictionary has them; at least one.
pub(crate) type Phrase = Vec<String>;

/// A text taken apart.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Operators<'a> {
    /// The text with a blank in the place of everything that is not wanted, or a condition on a field.
    pub(crate) words: Cow<'a, str>,
    pub(crate) required: Vec<Phrase>,
    pub(crate) unwanted: Vec<Phrase>,
    pub(crate) conditions: Vec<Condition>,
}

impl<'a> Operators<'a> {
    /// O(text). `is_attribute` says whether there are attributes that are called so, see `fields`.
    ///
    /// # Errors
    /// [`QueryError::TooManyOperators`].
    pub(crate) fn of(text: &'a str, analyzer: &Analyzer, is_attribute: &mut dyn FnMut(&str) -> bool) -> Result<Self, QueryError> {
        let mut found = Self { words: Cow::Borrowed(text), ..Self::default() };
        if !text.contains(is_sign) {
            return Ok(found);
        }
        let has_names = text.contains(':');
        let (mut at, mut at_edge) = (0, true);
        while let Some(c) = text[at..].chars().next() {
            let next = at + c.len_utf8();
            let operator = if at_edge { found.operator(text, at, has_names, analyzer, is_attribute) } else { None };
            at_edge = c.is_whitespace() || operator.is_some();
            at = operator.unwrap_or(next);
        }
        let len = found.required.len() + found.unwanted.len() + found.conditions.len();
        if len > OPERATORS_MAX { Err(QueryError::TooManyOperators { len }) } else { Ok(found) }
    }

    /// Takes what begins at an edge of a word, if it is an operator, and answers where the text goes on.
    fn operator(
        &mut self,
        text: &str,
        at: usize,
        has_names: bool,
        analyzer: &Analyzer,
        is_attribute: &mut dyn FnMut(&str) -> bool,
    ) -> Option<usize> {
        let not = text[at..].starts_with('-');
        let begin = at + usize::from(not);
        let first = text[begin..].chars().next()?;
        if has_names && first.is_alphabetic() {
            let named = Named::at(text, begin);
            if let Some((named, condition)) = named.and_then(|named| Some((named.end, named.condition(not, analyzer, is_attribute)?))) {
                self.blank(at..named);
                self.conditions.push(condition);
                return Some(named);
            }
        }
        let (inner, end) = if is_quote(first) {
            of_quotation(text, begin, first)?
        } else if not && first.is_alphanumeric() {
            let end = text[begin..].find(char::is_whitespace).map_or(text.len(), |len| begin + len);
            (&text[begin..end], end)
        } else {
            return None;
        };
        if not {
            self.blank(at..end);
        }
        let phrase = analyzer.phrase(inner);
        if !phrase.is_empty() {
            if not { &mut self.unwanted } else { &mut self.required }.push(phrase);
        }
        Some(end)
    }

    fn blank(&mut self, range: Range<usize>) {
        let blanks = " ".repeat(range.len());
        self.words.to_mut().replace_range(range, &blanks);
    }

    /// Whether there is anything that a row can fail.
    pub(crate) fn are_any(&self) -> bool {
        !self.required.is_empty() || !self.unwanted.is_empty() || !self.conditions.is_empty()
    }
}

pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

fn is_sign(c: char) -> bool {
    c == '-' || c == ':' || is_quote(c)
}

/// What stands in the quotation that begins at `at` with `quote`, and where the text goes on behind it.
pub(crate) fn of_quotation(text: &str, at: usize, quote: char) -> Option<(&str, usize)> {
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
            let found = Operators::of(text, &Analyzer::default(), &mut |_| false).expect("few operators");
            assert_eq!(found.words, words, "{text}");
            let joined = |phrases: &[Phrase]| phrases.iter().map(|phrase| phrase.join(" ")).collect::<Vec<_>>();
            assert_eq!(
                (joined(&found.required), joined(&found.unwanted)),
                (required.iter().map(ToString::to_string).collect(), unwanted.iter().map(ToString::to_string).collect()),
                "{text}"
            );
        }
    }

    #[test] // Text; the words left, what is on a field, which attributes it names. `colour` is one.
    fn conditions_on_fields_are_no_words() {
        let rows: [(&str, &str, &[&str], &[&str]); 12] = [
            ("brand:hp laptop", "         laptop", &["Brand hp"], &[]),
            ("laptop -brand:hp", "laptop          ", &["not Brand hp"], &[]),
            ("-title:\"usb c\" x", "               x", &["not Text(Title) usb c"], &[]),
            ("colour:red size:7", "           size:7", &["Attribute(\"colour\") red"], &["colour", "size"]),
            ("\"a b\" brand:hp", "\"a b\"         ", &["Brand hp"], &[]),
            ("x\"brand:hp\"", "x\"brand:hp\"", &[], &[]),
            ("\"brand:hp\"", "\"brand:hp\"", &[], &[]),
            ("-size:7 x", "        x", &[], &["size"]),
            ("http://x.y 16:9", "http://x.y 16:9", &[], &[]),
            ("c:drive Größe:9 c:drive", "c:drive Größe:9 c:drive", &[], &["c", "grosse"]),
            ("attr.title:x title:é", "attr.title:x         ", &["Text(Title) e"], &["title"]),
            ("brand:-", "brand:-", &[], &[]),
        ];
        let fields = ["colour".to_owned()];
        for (text, words, conditions, named) in rows {
            let found = Operators::of(text, &Analyzer::default(), &mut |name| is_among(name, &fields)).expect("few operators");
            let of = |condition: &Condition| {
                let Condition { place, value, not } = condition;
                format!("{}{place:?} {}", if *not { "not " } else { "" }, value.any_of[0].join(" "))
            };
            assert_eq!(
                (&*found.words, found.conditions.iter().map(of).collect::<Vec<_>>()),
                (words, conditions.iter().map(ToString::to_string).collect()),
                "{text}"
            );
            assert_eq!(named_fields(text), named, "{text}");
            assert_eq!(has_operators(text, &fields), found.are_any());
        }
    }

    #[test]
    fn more_than_the_bound_is_refused() {
        let of = |count: usize| Operators::of(&"-x ".repeat(count), &Analyzer::default(), &mut |_| false).map(|found| found.unwanted.len());
        assert_eq!(of(OPERATORS_MAX), Ok(OPERATORS_MAX));
        assert_eq!(of(OPERATORS_MAX + 1), Err(QueryError::TooManyOperators { len: OPERATORS_MAX + 1 }));
        let all_kinds = "\"x\" -x brand:x ".repeat(3);
        assert!(has_operators(&all_kinds, &[]), "it is refused");
        let refused = Operators::of(&all_kinds, &Analyzer::default(), &mut |_| false);
        assert_eq!(refused, Err(QueryError::TooManyOperators { len: 9 }));
    }
}

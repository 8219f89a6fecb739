//! How a misspelt word of a query may be spelt right.
//!
//! Path: a word that no document of an index has → the forms that are near it, or the two words that it is run together from → [`Spelling`]s with how many
//! documents have each → [`corrected`] joins those of all indexes, takes the best for each word, and puts it in the place of what was typed.
//! A form is as the dictionaries have it: in lower case, without diacritics. What is suggested does not depend on which index has which documents, but for
//! what each leaves out of more than 32 forms that are equally near.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::analysis::{Analyzer, Language};
use crate::near::{Near, Slips, slips_of};
use crate::postings::TITLE_MARK;
use crate::query::Words;

use super::words::{Known, Word};

/// How far what may be meant is from what was typed, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// One slip, but the first letter is right.
    One,
    OneInFirst,
    /// A space is missing.
    Halves,
    Two,
}

/// What a word of a query may have been meant to be, by what one index has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// Of the word among those of the text.
    place: usize,
    /// What was typed, folded.
    typed: String,
    distance: Distance,
    /// One word or two, as the dictionary has them.
    form: String,
    /// Documents that have it in their titles, and anywhere.
    frequency: (u64, u64),
}

/// What the best of several is the least by.
type Worth<'a> = (Distance, Reverse<(u64, u64)>, &'a str);

impl Known<'_> {
    /// Adds what the word may be. `halves` are terms of the two words that it was taken for, `guessed` says whether slips were looked for.
    pub(super) fn spellings(&self, word: &Word, halves: Option<&[String; 2]>, guessed: bool, spellings: &mut Vec<Spelling>) {
        if word.goes_on {
            return; // it is not yet misspelt
        }
        let mut meant = Word::of(word.form.clone(), usize::from(word.place()));
        meant.meant.clone_from(&word.meant);
        let slips = slips_of(&word.form);
        if !guessed && slips.is_some() {
            self.near(&mut meant, Slips::One);
            if meant.meant.is_empty() && halves.is_none() && slips == Some(Slips::Two) {
                self.near(&mut meant, Slips::Two);
            }
        }
        let mut add = |distance, form: String, frequency| {
            let typed = word.form.clone();
            spellings.push(Spelling { place: usize::from(word.place()), typed, distance, form, frequency });
        };
        if !meant.meant.is_empty() {
            let near = Near::new(&word.form, Slips::Two, false, false);
            for form in meant.meant {
                let same_start = form.chars().next() == word.form.chars().next();
                let distance = match near.of(&form) {
                    Some(Slips::One) if same_start => Distance::One,
                    Some(Slips::One) => Distance::OneInFirst,
                    Some(Slips::Two) | None => Distance::Two,
                };
                let frequency = (self.in_titles(&form), self.frequency(&self.analyzer.stem(&form)));
                add(distance, form, frequency);
            }
        } else if let Some([left, right]) = halves {
            let cut = word.form.char_indices().map(|(at, _)| word.form.split_at(at));
            let mut cut = cut.filter(|(first, second)| self.analyzer.stem(first) == *left && self.analyzer.stem(second) == *right);
            if let Some((first, second)) = cut.next() {
                let rarer = |of: &dyn Fn(&str) -> u64| of(first).min(of(second));
                let frequency = (rarer(&|form| self.in_titles(form)), rarer(&|form| self.frequency(&self.analyzer.stem(form))));
                add(Distance::Halves, format!("{first} {second}"), frequency);
            }
        }
    }

    /// Documents whose titles have the word as it stands.
    pub(super) fn in_titles(&self, form: &str) -> u64 {
        let marked = [&[TITLE_MARK], form.as_bytes()].concat();
        let of_segments = self.segments.iter().filter_map(|segment| segment.postings(&marked));
        of_segments.map(|(_, live)| u64::from(live)).sum::<u64>() + self.head.postings(&marked).len() as u64
    }
}

/// The text with the best spelling of each word that is not among `known`: the nearest, of these the one in most titles, then in most documents, then the
/// first in the order of letters. `None` where no word has any.
pub(crate) fn corrected<'a>(text: &str, language: Language, known: Words, spellings: impl Iterator<Item = &'a Spelling>) -> Option<String> {
    let mut sums: BTreeMap<(&str, Distance, &str), (u64, u64)> = BTreeMap::new();
    for Spelling { typed, distance, form, frequency, .. } in spellings.filter(|spelling| !known.contains(spelling.place)) {
        let sum = sums.entry((typed, *distance, form)).or_default();
        *sum = (sum.0 + frequency.0, sum.1 + frequency.1);
    }
    let mut best: BTreeMap<&str, Worth<'_>> = BTreeMap::new();
    for ((typed, distance, form), frequencies) in sums {
        let one = (distance, Reverse(frequencies), form);
        let least = best.entry(typed).or_insert(one);
        *least = one.min(*least);
    }
    let analyzer = Analyzer::new(language);
    let (mut right, mut copied) = (String::with_capacity(text.len()), 0);
    for (at, word) in analyzer.shown_words(text) {
        let folded = analyzer.fold(word);
        // Another form of a word that was there before has no place of its own: what they stem to tells.
        let same = || best.iter().find(|(typed, _)| analyzer.stem(typed) == analyzer.stem(&folded)).map(|(_, found)| found);
        if let Some((_, _, form)) = best.get(&*folded).or_else(same) {
            right.push_str(&text[copied..at]);
            right.push_str(form);
            copied = at + word.len();
        }
    }
    right.push_str(&text[copied..]);
    (copied > 0 && right != text).then_some(right)
}

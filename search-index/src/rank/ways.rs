//! What a query's words also say, by the synonyms that came with it.
//!
//! Path: neighbouring words of a query → other ways to say the same ([`ways`]) → each of the words stands for each of them ([`Word::say_also`]) → a way of
//! one word is a term like others, one of several words a list of the rows in which they stand side by side ([`Phrases`]).
//! As every word of a stretch has the same ways F, all of them are found by (usb ∪ F) ∩ (stick ∪ F), which is (usb ∩ stick) ∪ F: whatever asks
//! for all words, any or some needs to know no more.
//! Bound: [`WAYS_MAX`] ways of all words of a query; further ones bring nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::groups::Likeness;
use super::words::Word;
use crate::budget::Meter;
use crate::head::Head;
use crate::phrases;
use crate::postings::Store;
use crate::query::Words;
use crate::segment::Segment;
use crate::synonyms::{Synonyms, Way};

/// Ways looked for in one query. Each is at worst the reading of all rows that have its words.
const WAYS_MAX: usize = 128;

/// The stretches of names that say something that may be said in other ways, with each of these; in order.
pub(super) fn ways<'a>(names: &[&str], synonyms: &'a Synonyms) -> Vec<(Range<usize>, &'a Way)> {
    let mut found = Vec::new();
    if synonyms.is_empty() {
        return found;
    }
    for from in 0..names.len() {
        let mut typed = String::new();
        for to in from..names.len().min(from + synonyms.longest()) {
            if to > from {
                typed.push(' ');
            }
            typed.push_str(names[to]);
            let stretch = from..to + 1;
            let other = |way: &&Way| !way.iter().eq(&names[stretch.clone()]);
            let room = WAYS_MAX - found.len();
            found.extend(synonyms.found(&typed).filter(other).take(room).map(|way| (stretch.clone(), way)));
        }
    }
    found
}

/// Lets words stand for what else they say: first as they were typed, by the `places` of the text with each way, then as they are understood to be meant.
///
/// A word that also stands for one outside of the stretch has to be there for that one's sake, and gets none of it.
pub(super) fn say(words: &mut [Word], typed: &[(Words, &Way)], synonyms: &Synonyms) {
    for (places, way) in typed {
        words.iter_mut().filter(|word| word.places().without(*places).is_empty()).for_each(|word| word.say_also(way));
    }
    let names: Vec<&str> = words.iter().map(Word::name).collect();
    for (stretch, way) in ways(&names, synonyms) {
        let stretch = &mut words[stretch];
        let places = stretch.iter().fold(Words::default(), |places, word| places.or(Words::one(usize::from(word.place()))));
        stretch.iter_mut().filter(|word| word.places().without(places).is_empty()).for_each(|word| word.say_also(way));
    }
}

impl Word {
    /// Lets it stand for another way to say it, once.
    fn say_also(&mut self, way: &Way) {
        match &way[..] {
            [term] => {
                let there = self.others.iter().any(|(other, likeness)| other == term && *likeness == Likeness::Same);
                if *term != self.term && !there {
                    self.others.push((term.clone(), Likeness::Same));
                }
            }
            _ if self.phrases.contains(way) => {}
            _ => self.phrases.push(way.clone()),
        }
    }
}

/// The ways of several words that a query's words stand for.
#[derive(Default)]
pub(super) struct Phrases<'w> {
    distinct: Vec<&'w Way>,
    /// For each word the numbers of its own; nothing where no word has any.
    of_words: Vec<SmallVec<[usize; 2]>>,
}

impl<'w> Phrases<'w> {
    pub(super) fn of(words: &'w [Word]) -> Self {
        let mut found = Self::default();
        if words.iter().all(|word| word.phrases.is_empty()) {
            return found;
        }
        let mut numbers: BTreeMap<&Way, usize> = BTreeMap::new();
        for word in words {
            let number_of = |way: &'w Way| {
                *numbers.entry(way).or_insert_with(|| {
                    found.distinct.push(way);
                    found.distinct.len() - 1
                })
            };
            found.of_words.push(word.phrases.iter().map(number_of).collect());
        }
        found
    }

    /// The numbers of a word's.
    pub(super) fn of_word(&self, nth: usize) -> &[usize] {
        self.of_words.get(nth).map_or(&[], |numbers| &numbers[..])
    }

    /// A list of each, by number: the rows in which it stands, each with the least of its words' impacts there.
    pub(super) fn in_segment(&self, segment: &Segment, meter: &Meter) -> Store {
        let mut store = Store::default();
        for way in &self.distinct {
            let mut rows = Vec::new();
            phrases::in_segment(segment, way, None, (meter, &|_| true), |row, impact| rows.push((row, impact)));
            store.push(rows.into_iter());
        }
        store
    }

    /// Likewise.
    pub(super) fn in_head(&self, head: &Head, meter: &Meter) -> Vec<Vec<(u32, u8)>> {
        let rows = |way: &&Way| {
            let mut rows = Vec::new();
            head.with_phrase(way, None, (meter, &|_| true), |row, impact| rows.push((row, impact)));
            rows
        };
        self.distinct.iter().map(rows).collect()
    }
}

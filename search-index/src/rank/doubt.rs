//! Words that documents have, but that no title is written with.
//!
//! `bels` stems as `bel` does, so where some text has `bel` the word is known and no slip, whatever else was typed. Where no document has all words, that is worth a
//! doubt: a form that no title ever had is more likely a slip of another.
//! Path: the words of a query that found nothing with all of them → those whose form is in no title → what is one slip away, beside what the form stems to →
//! a second look, which is the answer if it finds documents with all words.
//! Bounds: [`DOUBTED_MAX`] words of a query, each a walk over the dictionary.

use crate::budget::cost;
use crate::near::{Slips, slips_of};
use crate::query::{Query, Words};

use super::spelling::Spelling;
use super::words::{Known, Understood};

/// Words of a query that are doubted; further ones are taken as they are.
const DOUBTED_MAX: usize = 4;

/// What an index says of how words are written.
#[derive(Default)]
pub(crate) struct Doubts {
    /// In the very form that was typed, in a title of this index.
    pub(crate) written: Words,
    /// Not so, and there are forms that are one slip away.
    pub(crate) doubted: Words,
    /// Those, where the query asks how words may be spelt right.
    pub(crate) spellings: Vec<Spelling>,
}

impl Known<'_> {
    /// Gives words that no title has so what they may be besides.
    pub(crate) fn doubt(&self, understood: &mut Understood, query: &Query) -> Doubts {
        let mut doubts = Doubts::default();
        let there = understood.known.or(query.known_elsewhere());
        let mut looked_for = 0;
        for word in &mut understood.words {
            let place = usize::from(word.place());
            if !there.contains(place) || word.has_alternatives() || slips_of(&word.form).is_none() {
                continue;
            }
            if self.writes(&word.form) {
                doubts.written.insert(place);
            } else if !query.elsewhere.written.contains(place) && looked_for < DOUBTED_MAX {
                looked_for += 1;
                self.near(word, Slips::One);
                // What it stems to is looked for as it is.
                word.others.retain(|(other, _)| *other != word.term);
                let meant = std::mem::take(&mut word.meant);
                if word.others.is_empty() {
                    continue;
                }
                let is_other = |form: &String| *self.analyzer.stem(form) != *word.term;
                word.meant = meant.into_iter().filter(is_other).collect();
                doubts.doubted.insert(place);
                if query.did_you_mean {
                    self.spellings(word, None, true, &mut doubts.spellings);
                }
            }
        }
        doubts
    }

    /// Whether any title has the very form.
    fn writes(&self, form: &str) -> bool {
        self.meter.charge((1 + self.segments.len()) as u64 * cost::TERM);
        self.in_titles(form) > 0
    }
}

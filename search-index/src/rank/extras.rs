//! What a document may say beyond having a query's words, and is the better for.
//!
//! Path: the words of a query as they were typed, and its stop words → [`Extra`]s, each a list of rows in each part of the index like that of a word → [`windows`](super::windows),
//! which adds it to rows that match and never finds a row by it.
//! Titles have a term of their own for each word as it stands (see [`TITLE_MARK`]), so `sweatshirt` prefers a sweatshirt to sweatshirts, and to what only says in its
//! description that it is one.

use smallvec::SmallVec;

use super::groups::{Likeness, Union};
use super::words::Word;
use super::{Numbered, WEIGHT_UNITS};
use crate::bitset::Bitset;
use crate::head::Head;
use crate::postings::{List, Store, TITLE_MARK};
use crate::segment::Segment;

/// A word that stands in the title as it was typed counts so many hundredths more.
const EXACT_PERCENT: u32 = 12;
/// What a stop word of the query that stands in the title weighs: a quarter of what a word does that one in three documents has.
const STOP_WEIGHT: u32 = WEIGHT_UNITS as u32 / 4;

/// A bonus.
pub(crate) struct Extra {
    /// Terms that bring it, each as good as any other.
    terms: SmallVec<[Vec<u8>; 1]>,
    worth: Worth,
}

/// What an extra weighs.
enum Worth {
    /// A part of the word of this number.
    OfWord(usize),
    Stop,
}

/// All of a query, those that could not be of use left out.
pub(crate) fn extras(words: &[Word], left_out: &[&str]) -> SmallVec<[Extra; 8]> {
    let marked = |form: &str| [&[TITLE_MARK], form.as_bytes()].concat();
    let exact = words.iter().enumerate().map(|(nth, word)| Extra { terms: word.exact().map(marked).collect(), worth: Worth::OfWord(nth) });
    exact.chain(left_out.iter().map(|stop| Extra { terms: [marked(stop)].into_iter().collect(), worth: Worth::Stop })).collect()
}

impl Extra {
    /// `weights` are those of the words.
    pub(crate) fn weight(&self, weights: &[u32]) -> u32 {
        match self.worth {
            Worth::OfWord(nth) => weights[nth] * EXACT_PERCENT / 100,
            Worth::Stop => STOP_WEIGHT,
        }
    }

    /// Its rows in a segment.
    pub(crate) fn in_segment<'a>(&self, segment: &'a Segment, live: &Bitset, union: &mut Union, made: &mut Store) -> Numbered<'a> {
        let lists = self.terms.iter().filter_map(|term| Some((segment.postings(term)?.0, Likeness::Same)));
        let lists: SmallVec<[(List<'_>, Likeness); 1]> = lists.collect();
        match &lists[..] {
            [] => Numbered::List(List::default()),
            [(list, _)] => Numbered::List(*list),
            several => Numbered::Made(union.of(several, live, made)),
        }
    }

    /// Its rows in the head.
    pub(crate) fn in_head(&self, head: &Head, made: &mut Store) -> u32 {
        match &self.terms[..] {
            [term] => made.push(head.postings(term)),
            terms => {
                let mut found: Vec<(u32, u8)> = terms.iter().flat_map(|term| head.postings(term)).collect();
                found.sort_unstable_by_key(|(row, impact)| (*row, std::cmp::Reverse(*impact)));
                found.dedup_by_key(|(row, _)| *row);
                made.push(found.into_iter())
            }
        }
    }
}

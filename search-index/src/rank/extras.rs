//! What a document may say beyond having a query's words, and is the better for.
//!
//! Path: the words of a query as they were typed, and its stop words → [`Extra`]s, each a list of rows in each part of the index like that of a word → [`windows`](super::windows),
//! which adds it to rows that match and never finds a row by it.
//! Titles have a term of their own for each word as it stands (see [`TITLE_MARK`]), so `sweatshirt` prefers a sweatshirt to sweatshirts, and to what only says in its
//! description that it is one. Of the word that says what is looked for they also tell whether the title is about it (see [`nouns`](crate::nouns)): `monitor` prefers
//! monitors to their arms, and `monitor arm` arms.

use smallvec::SmallVec;

use super::groups::{Likeness, Union};
use super::words::Word;
use super::{Numbered, WEIGHT_MAX, WEIGHT_UNITS};
use crate::bitset::Bitset;
use crate::budget::Meter;
use crate::head::Head;
use crate::postings::{HEAD_MARK, List, Store, TITLE_MARK};
use crate::query::TERMS_MAX;
use crate::segment::Segment;

/// A word that stands in the title as it was typed counts so many hundredths more.
const EXACT_PERCENT: u32 = 12;
/// A word that the title is about counts so many hundredths more.
const HEAD_PERCENT: u32 = 10;
/// Likewise where the query says nothing else: among titles that all have the word, this is most of what tells them apart.
const LONE_HEAD_PERCENT: u32 = 20;
/// What a stop word of the query that stands in the title weighs: as much as a word that one in three documents has.
const STOP_WEIGHT: u32 = WEIGHT_UNITS as u32;

/// Hundredths of what the most words of the greatest weight give that all extras together can be. There are no more stop words than words of a query, and none
/// weighs a twentieth of the greatest.
pub(super) const PERCENT_MAX: u32 = EXACT_PERCENT + LONE_HEAD_PERCENT + 5;
const _: () = assert!(HEAD_PERCENT <= LONE_HEAD_PERCENT);
const _: () = assert!(20 * STOP_WEIGHT < WEIGHT_MAX);

/// A bonus.
pub(crate) struct Extra {
    /// Terms that bring it, each as good as any other.
    terms: SmallVec<[Vec<u8>; 1]>,
    kind: Kind,
}

/// What an extra is for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// The title has the word of this number as it was typed.
    AsTyped { nth: usize },
    /// The title is about the word of this number.
    About { nth: usize },
    /// The title has a stop word.
    Stop,
}

/// All of a query's; `about` is the place of the word that says what is looked for.
pub(crate) fn extras(words: &[Word], left_out: &[&str], about: usize) -> SmallVec<[Extra; 8]> {
    let marked = |mark: u8, word: &str| [&[mark], word.as_bytes()].concat();
    let exact = words
        .iter()
        .enumerate()
        .map(|(nth, word)| Extra { terms: word.exact().map(|form| marked(TITLE_MARK, form)).collect(), kind: Kind::AsTyped { nth } });
    let head = words.iter().enumerate().filter(|(_, word)| word.is_at(about)).map(|(nth, word)| Extra {
        terms: word.others.iter().map(|(term, _)| term).chain([&word.term]).map(|term| marked(HEAD_MARK, term)).collect(),
        kind: Kind::About { nth },
    });
    debug_assert!(left_out.len() <= TERMS_MAX);
    let stops = left_out.iter().map(|stop| Extra { terms: [marked(TITLE_MARK, stop)].into_iter().collect(), kind: Kind::Stop });
    exact.chain(head).chain(stops).collect()
}

impl Extra {
    /// The word that every row with this one has.
    pub(crate) fn beside(&self) -> Option<usize> {
        match self.kind {
            Kind::AsTyped { nth } | Kind::About { nth } => Some(nth),
            Kind::Stop => None,
        }
    }

    /// `weights` are those of the words.
    pub(crate) fn weight(&self, weights: &[u32]) -> u32 {
        match self.kind {
            Kind::AsTyped { nth } => weights[nth] * EXACT_PERCENT / 100,
            Kind::About { nth } if weights.len() == 1 => weights[nth] * LONE_HEAD_PERCENT / 100,
            Kind::About { nth } => weights[nth] * HEAD_PERCENT / 100,
            Kind::Stop => STOP_WEIGHT,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Marked, as the dictionary has them.
    pub(super) fn terms(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.terms.iter().map(Vec::as_slice)
    }

    /// Its rows in a segment.
    pub(crate) fn in_segment<'a>(
        &self,
        segment: &'a Segment,
        live: &Bitset,
        union: &mut Union,
        made: &mut Store,
        meter: &Meter,
    ) -> Numbered<'a> {
        let lists = self.terms.iter().filter_map(|term| Some((segment.postings(term)?.0, Likeness::Same)));
        let lists: SmallVec<[(List<'_>, Likeness); 1]> = lists.collect();
        match &lists[..] {
            [] => Numbered::List(List::default()),
            [(list, _)] => Numbered::List(*list),
            several => Numbered::Made(union.of(several, live, made, meter)),
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

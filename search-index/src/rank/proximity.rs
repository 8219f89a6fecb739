//! Neighbouring words of a query that stand side by side in a title.
//!
//! Path: [`Query::proximity`](crate::Query::proximity) and the words of a query → each two neighbours are a pair that is worth a part of what they weigh ([`Proximity`]) → the terms they stand for, by their numbers in each part
//! of the index ([`Title`]) → a row whose score is so high that this decides whether or where it is on the page: its title, token by token → what it gets.
//! `usb cable` prefers a USB cable to a cable with a plug for USB: the words may stand in either order, with nothing between them. A word counts as it stands, by its stem, or as
//! what it was taken for; of one that is still being typed, what was typed.
//! No list has this: for every two words of every title they would be as large as all the others together. Titles are read from the sheets, of the rows for which it
//! matters, as Lucene rescores its best hits; but here no row is missed, because what a row can get by it is in its bound.
//! Cost: a title is some 200 ns, and a query reads a hundred and more: half as much again as it costs without. Judged queries (see `bench/RESULTS.md`) gain nothing by it, as
//! what titles are about and what they have as typed say most of it already; so it is off unless a query asks.

use smallvec::SmallVec;

use super::groups::Likeness;
use super::words::Word;
use crate::budget::{Meter, cost};
use crate::forward::Tokens;
use crate::head::Head;
use crate::impact::Field;
use crate::query::{PROXIMITY_PERCENT_MAX, TERMS_MAX};
use crate::segment::Segment;

/// Hundredths of what all words weigh that all pairs together can be: each word is in two of them at most.
pub(super) const PERCENT_MAX: u32 = 2 * PROXIMITY_PERCENT_MAX as u32;
const _: () = assert!(TERMS_MAX <= u32::BITS as usize, "a bit a word");

/// A bit for each word.
type Places = u32;

/// What pairs are worth in one search.
#[derive(Default)]
pub(crate) struct Proximity<'a> {
    /// What a row gets if the nth word stands beside the next.
    pairs: SmallVec<[u32; 8]>,
    bound: u32,
    /// Of each part of the index; none where there are no pairs.
    titles: Vec<Title<'a>>,
}

/// How titles are read in a part of the index.
pub(crate) struct Title<'a> {
    home: Home<'a>,
    /// Terms by their numbers there, ascending, with the words that they stand for.
    terms: SmallVec<[(u32, Places); 8]>,
}

/// A part of the index.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    Segment(&'a Segment),
    Head(&'a Head),
}

impl<'a> Title<'a> {
    /// Of no words there is nothing to look for.
    pub(super) fn of(words: &[Word], home: Home<'a>) -> Self {
        let mut terms: SmallVec<[(u32, Places); 8]> = SmallVec::new();
        for (nth, word) in words.iter().enumerate() {
            let others = word.others.iter().filter(|(_, likeness)| *likeness != Likeness::Longer).map(|(term, _)| term);
            for number in [&word.term].into_iter().chain(others).filter_map(|term| home.term(term.as_bytes())) {
                match terms.iter_mut().find(|(other, _)| *other == number) {
                    Some((_, places)) => *places |= 1 << nth,
                    None => terms.push((number, 1 << nth)),
                }
            }
        }
        terms.sort_unstable();
        Self { home, terms }
    }

    fn places(&self, term: u32) -> Places {
        self.terms.binary_search_by_key(&term, |(term, _)| *term).map_or(0, |at| self.terms[at].1)
    }

    /// Which words stand in front of or behind the next in a row's title, a bit for the first of both; nothing if the row is not here.
    fn pairs(&self, row: u32, meter: &Meter) -> Option<Places> {
        match self.home {
            Home::Segment(segment) => {
                let nth = segment.forward().find(row)?;
                meter.charge(cost::SHEET);
                Some(self.pairs_in(segment.forward().tokens(nth), |form| segment.terms_of(form).term))
            }
            Home::Head(head) => {
                let tokens = head.tokens(row)?;
                meter.charge(cost::SHEET);
                Some(self.pairs_in(tokens, |form| head.terms_of(form).term))
            }
        }
    }

    fn pairs_in(&self, tokens: Tokens<'_>, term_of: impl Fn(u32) -> u32) -> Places {
        let (mut found, mut last) = (0, 0);
        let words = tokens.take_while(|token| token.field == Field::Title).filter(|token| token.role.is_word());
        for token in words {
            let here = self.places(term_of(token.form));
            found |= (last & here >> 1) | (last >> 1 & here);
            last = here;
        }
        found
    }
}

impl<'a> Home<'a> {
    fn term(self, term: &[u8]) -> Option<u32> {
        match self {
            Self::Segment(segment) => segment.term(term),
            Self::Head(head) => head.term(term),
        }
    }
}

impl<'a> Proximity<'a> {
    /// `weights` are those of the words, `titles` of the parts of the index in their order; `percent` is what two words get of what both weigh.
    pub(super) fn of(percent: u16, weights: &[u32], titles: Vec<Title<'a>>) -> Self {
        if percent == 0 {
            return Self::default();
        }
        let of_pair = |pair: &[u32]| (pair[0] + pair[1]) * 255 / 100 * u32::from(percent); // within the bound on scores, which is asserted
        let pairs: SmallVec<[u32; 8]> = weights.windows(2).map(of_pair).collect();
        Self { bound: pairs.iter().sum(), pairs, titles }
    }

    /// What a row gets at most.
    pub(crate) fn bound(&self) -> u32 {
        self.bound
    }

    /// What a row gets that is in this part of the index.
    pub(crate) fn in_part(&self, part: usize, row: u32, meter: &Meter) -> u32 {
        let pairs = self.titles.get(part).and_then(|title| title.pairs(row, meter)).unwrap_or(0);
        self.worth(pairs).map(|(_, score)| score).sum()
    }

    /// Pairs that stand side by side in a row's title, by the first of both, each with what the row gets for it.
    pub(super) fn of_row(&self, row: u32, meter: &Meter) -> impl Iterator<Item = (usize, u32)> {
        let pairs = self.titles.iter().find_map(|title| title.pairs(row, meter)).unwrap_or(0);
        self.worth(pairs)
    }

    fn worth(&self, pairs: Places) -> impl Iterator<Item = (usize, u32)> {
        self.pairs.iter().enumerate().filter(move |(nth, _)| pairs >> nth & 1 == 1).map(|(nth, score)| (nth, *score))
    }
}

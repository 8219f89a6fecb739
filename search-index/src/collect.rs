//! The first hits of one search, while they are being found.
//!
//! Path: a matching row with its score ([`Collector`]) or its columns → filters → its place in the order → [`Top`] → hits.
//! What is kept tells in turn which rows can still be of use, and so which stretches of lists need not be read.

use std::collections::BinaryHeap;

use crate::bitset::Bitset;
use crate::cursor::{SortKey, Tier};
use crate::document::DocKey;
use crate::filter::Test;
use crate::query::{Query, Sort};
use crate::rows::Rows;

/// In the place of a row: memory ends before there are so many.
const NO_ROW: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) place: SortKey,
    pub(crate) row: u32,
}

/// The first rows after the cursor, one more than wanted: the one more tells whether there is a next page.
pub(crate) struct Top {
    room: usize,
    after: Option<SortKey>,
    heap: BinaryHeap<Candidate>,
}

impl Top {
    pub(crate) fn new(query: &Query) -> Self {
        Self::after(query.behind(), query.limit + 1)
    }

    /// The first so many rows after a place.
    pub(crate) fn after(after: Option<SortKey>, room: usize) -> Self {
        Self { room, after, heap: BinaryHeap::with_capacity(room) }
    }

    /// The first so many rows of more than a score, for [`Top::found`]. It is full from the start, of candidates that are no row and that any such row displaces:
    /// so no list is read for a row that is not enough.
    pub(crate) fn above(score: u32, room: usize) -> Self {
        let nobody = Candidate { place: SortKey { tier: Tier::AllTerms, value: value_of(score), key: DocKey(0) }, row: NO_ROW };
        Self { room, after: None, heap: BinaryHeap::from(vec![nobody; room]) }
    }

    /// The rows of more than the score, in order.
    pub(crate) fn found(self) -> Vec<Candidate> {
        let mut rows = self.heap.into_sorted_vec();
        rows.retain(|candidate| candidate.row != NO_ROW);
        rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.heap.len() == self.room
    }

    pub(crate) fn wants(&self, place: SortKey) -> bool {
        self.after.is_none_or(|after| place > after) && (!self.is_full() || self.heap.peek().is_none_or(|worst| place < worst.place))
    }

    pub(crate) fn add(&mut self, candidate: Candidate) {
        if self.is_full() {
            self.heap.pop();
        }
        self.heap.push(candidate);
    }

    /// In order of relevance, the least score of use to a row of the tier.
    fn least(&self, tier: Tier) -> u32 {
        match self.heap.peek() {
            Some(worst) if self.is_full() && worst.place.tier < tier => u32::MAX,
            Some(worst) if self.is_full() && worst.place.tier == tier => score_at(worst.place),
            Some(_) | None => 0,
        }
    }

    /// The rows in order, and whether there is one more than wanted.
    pub(crate) fn finish(self, limit: usize) -> (Vec<Candidate>, bool) {
        let more = self.heap.len() > limit;
        let mut rows = self.heap.into_sorted_vec();
        rows.truncate(limit);
        (rows, more)
    }
}

/// The sort value of a score: the greatest comes first.
pub(crate) fn value_of(score: u32) -> i64 {
    -i64::from(score)
}

/// The score of a place in order of relevance.
pub(crate) fn score_at(place: SortKey) -> u32 {
    u32::try_from(place.value.unsigned_abs()).unwrap_or(u32::MAX)
}

/// Takes rows in order of relevance, in any sequence.
pub(crate) struct Collector<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) tier: Tier,
    /// Rows outside do not pass.
    pub(crate) set: Option<&'a Bitset>,
    /// Filters that are cheapest asked row by row.
    pub(crate) tests: &'a [Test<'a>],
    /// Asked last, of rows that would be hits.
    pub(crate) in_stock: &'a dyn Fn(u32) -> bool,
    pub(crate) top: &'a mut Top,
}

impl Collector<'_> {
    /// What it costs to ask of a row whether it passes, but for whoever is asked last.
    pub(crate) fn cost(&self) -> u64 {
        self.tests.iter().map(Test::cost).sum()
    }

    /// Rows of a lower score are of no use.
    pub(crate) fn least(&self) -> u32 {
        self.top.least(self.tier)
    }

    /// Whether any of so many rows may pass; both are multiples of 64.
    pub(crate) fn may_pass(&self, first: u32, rows: usize) -> bool {
        self.set.is_none_or(|set| set.any_in(first as usize / 64, rows / 64))
    }

    /// Whether the row is in use and passes all filters but the last.
    pub(crate) fn passes(&self, row: u32) -> bool {
        self.rows.live.contains(row)
            && self.set.is_none_or(|set| set.contains(row))
            && self.tests.iter().all(|test| test.passes(self.rows, row))
    }

    fn place(&self, row: u32, score: u32) -> SortKey {
        self.rows.sort_key(row, Sort::Relevance, self.tier, Some(score))
    }

    pub(crate) fn wants(&self, row: u32, score: u32) -> bool {
        self.top.wants(self.place(row, score))
    }

    /// Takes a row that passes.
    pub(crate) fn offer(&mut self, row: u32, score: u32) {
        let place = self.place(row, score);
        if self.top.wants(place) && (self.in_stock)(row) {
            self.top.add(Candidate { place, row });
        }
    }
}

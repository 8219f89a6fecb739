//! One search over one index.
//!
//! Path: `Query` → bounds → terms → rows with all terms → filters → facets and total → the best `limit`; and, where those are
//! too few, rows with some terms the same way → `Part` → `merge` → `Results`.

use std::collections::BinaryHeap;

use crate::bitset::Bitset;
use crate::cursor::{SortKey, Tier};
use crate::document::DocKey;
use crate::facet::Faceting;
use crate::index::Index;
use crate::query::{Filter, Matching, Query, QueryError, Sort};
use crate::rank::{Resolved, Scored, resolve, row_set};
use crate::results::{Facet, Hit, Part, Results, merge};

/// Says of a document whether it is in stock at this moment. Asked only for in-stock filters and facets, and of as few documents as
/// the query allows; its answers may change between searches without the index being told.
pub type Live<'a> = &'a dyn Fn(DocKey) -> bool;

impl Index {
    /// Searches this index alone.
    ///
    /// # Errors
    /// A query over its bounds, with another query's cursor, or in need of `live` without one.
    pub fn search(&self, query: &Query, live: Option<Live<'_>>) -> Result<Results, QueryError> {
        Ok(merge(vec![self.part(query, live, false)?], query))
    }

    /// Searches this index as one of several; [`merge`] makes the answer. Facets come complete, which costs more than [`Index::search`].
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search_part(&self, query: &Query, live: Option<Live<'_>>) -> Result<Part, QueryError> {
        self.part(query, live, true)
    }

    fn part(&self, query: &Query, live: Option<Live<'_>>, complete: bool) -> Result<Part, QueryError> {
        query.check()?;
        if live.is_none() && query.needs_liveness() {
            return Err(QueryError::NoLiveness);
        }
        let terms = query.text.as_deref().map(|text| self.analyzer.query_terms(text)).unwrap_or_default();
        let resolved = resolve(terms, &self.segments, &self.head, &self.rows)?;
        let live = |row: u32| live.is_some_and(|live| live(self.rows.keys[row as usize]));
        Ok(Search { index: self, query, live: &live, complete, top: Top::new(query) }.run(&resolved))
    }
}

struct Search<'a> {
    index: &'a Index,
    query: &'a Query,
    live: &'a dyn Fn(u32) -> bool,
    complete: bool,
    top: Top,
}

/// What one set of matches came to.
struct Counted {
    passing: Option<Bitset>,
    total: u64,
    facets: Vec<Facet>,
}

impl Search<'_> {
    fn run(mut self, resolved: &Resolved<'_>) -> Part {
        let rows = &self.index.rows;
        let mut part = Part::default();
        let text = resolved.len() > 0;
        let all: Vec<Scored> = match self.query.matching {
            _ if !text => Vec::new(),
            Matching::AllThenAny | Matching::All => resolved.all_terms(),
            Matching::Any => resolved.any_terms(),
        };
        let base = || if text { row_set(&all, rows.end()) } else { rows.live.clone() };
        let counted = self.count(base(), true);
        if text {
            self.offer(all.iter().map(|&(row, score)| (row, Some(score))), &counted, Tier::AllTerms);
        } else {
            let passing = counted.passing.as_ref().unwrap_or(&rows.live);
            self.offer(passing.iter().map(|row| (row, None)), &counted, Tier::AllTerms);
        }
        // Where the liveness function is asked only about hits, a hit or the page before is what tells that there are any.
        let relaxes = self.query.matching == Matching::AllThenAny;
        part.any_all_terms = if !relaxes {
            true // there is nothing else to answer with
        } else if self.asks_late() {
            !self.top.is_empty() || self.query.after.is_some_and(|after| after.place().tier == Tier::AllTerms)
        } else {
            counted.total > 0
        };
        part.total_all_terms = counted.total;
        part.facets_all_terms = counted.facets;
        let fill = self.query.sort == Sort::Relevance && !self.top.is_full();
        if relaxes && (fill || !part.any_all_terms) {
            let some = if resolved.len() > 1 { resolved.some_terms() } else { Vec::new() };
            let counted = if part.any_all_terms {
                self.count(row_set(&some, rows.end()), false)
            } else {
                // A document with all terms has some of them: where none passes every filter, it still counts in the facet of the
                // filter that it fails.
                let mut either = base();
                some.iter().for_each(|(row, _)| either.insert(*row));
                self.count(either, true)
            };
            self.offer(some.iter().map(|&(row, score)| (row, Some(score))), &counted, Tier::SomeTerms);
            if !part.any_all_terms {
                part.total_some_terms = counted.total;
                part.facets_some_terms = counted.facets;
            }
        }
        (part.hits, part.more) = self.top.finish(self.query.limit, self.index);
        part
    }

    /// Whether in-stock filters wait until a row is about to become a hit: nothing that counts all matches was asked for.
    fn asks_late(&self) -> bool {
        let query = self.query;
        !query.total && query.facets.is_empty() && query.filters.iter().any(|filter| matches!(filter, Filter::InStock(_)))
    }

    fn count(&self, matches: Bitset, with_facets: bool) -> Counted {
        let query = self.query;
        let late = self.asks_late();
        let filters: Vec<&Filter> = query.filters.iter().filter(|filter| !(late && matches!(filter, Filter::InStock(_)))).collect();
        let requests = if with_facets { &query.facets[..] } else { &[] };
        let total = |set: &Bitset| set.count();
        if filters.is_empty() && requests.is_empty() {
            return Counted { total: total(&matches), passing: None, facets: Vec::new() };
        }
        let rows = &self.index.rows;
        let faceting = Faceting::new(rows, matches, &filters, requests, self.live);
        let facets = requests.iter().map(|request| faceting.count(rows, request, &filters, self.complete)).collect();
        Counted { total: total(&faceting.passing), passing: Some(faceting.passing), facets }
    }

    fn offer(&mut self, matches: impl Iterator<Item = (u32, Option<f32>)>, counted: &Counted, tier: Tier) {
        let late = self.asks_late();
        let stock = |row: u32| {
            !late
                || self.query.filters.iter().all(|filter| match filter {
                    Filter::InStock(wanted) => (self.live)(row) == *wanted,
                    Filter::Brand(_)
                    | Filter::Category(_)
                    | Filter::Price { .. }
                    | Filter::Rating { .. }
                    | Filter::Attribute { .. }
                    | Filter::AttributeRange { .. } => true,
                })
        };
        for (row, score) in matches {
            if counted.passing.as_ref().is_none_or(|set| set.contains(row)) {
                let place = self.index.rows.sort_key(row, self.query.sort, tier, score);
                if self.top.wants(place) && stock(row) {
                    self.top.add(Candidate { place, row, score: score.unwrap_or(0.0).to_bits() });
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    place: SortKey,
    row: u32,
    /// Bits of a float that is not negative.
    score: u32,
}

/// The first rows after the cursor, one more than wanted: the one more tells whether there is a next page.
struct Top {
    room: usize,
    after: Option<SortKey>,
    heap: BinaryHeap<Candidate>,
}

impl Top {
    fn new(query: &Query) -> Self {
        let room = query.limit + 1;
        Self { room, after: query.after.map(|cursor| cursor.place()), heap: BinaryHeap::with_capacity(room + 1) }
    }

    fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn is_full(&self) -> bool {
        self.heap.len() == self.room
    }

    fn wants(&self, place: SortKey) -> bool {
        self.after.is_none_or(|after| place > after) && (!self.is_full() || self.heap.peek().is_none_or(|worst| place < worst.place))
    }

    fn add(&mut self, candidate: Candidate) {
        if self.is_full() {
            self.heap.pop();
        }
        self.heap.push(candidate);
    }

    fn finish(self, limit: usize, index: &Index) -> (Vec<Hit>, bool) {
        let more = self.heap.len() > limit;
        let hits = self.heap.into_sorted_vec().into_iter().take(limit).map(|candidate| Hit {
            key: candidate.place.key,
            partition: index.rows.partitions[candidate.row as usize],
            score: f32::from_bits(candidate.score),
            sort: candidate.place,
        });
        (hits.collect(), more)
    }
}

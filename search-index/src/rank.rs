//! Which rows match a text, and how well.
//!
//! Path: query terms → `Index::resolve` (postings per segment, frequencies over all) → `all_terms` (intersection, rarest list first)
//! or `some_terms` (windows of accumulators) → rows with scores.
//! Scores are BM25 with the weighted counts of all fields folded into one list a term when it was indexed (the "simple BM25F" of
//! Robertson, Zaragoza and Taylor, CIKM 2004): a term costs one list, however many fields there are. Every row adds up its terms in
//! the order of the query, so a score depends neither on the segment a row is in nor on which of the two ways found it.

use smallvec::SmallVec;

use crate::analysis::QueryTerm;
use crate::bitset::{Bitset, Ones};
use crate::head::Head;
use crate::postings::{Postings, gallop};
use crate::query::{QueryError, TERMS_MAX};
use crate::rows::Rows;
use crate::segment::Segment;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Rows scored at once when some terms suffice: their accumulators stay in the first-level cache.
const WINDOW_ROWS: u32 = 4096;

/// A matching row and its score.
pub(crate) type Scored = (u32, f32);

/// A query's terms found in an index: for each part of the index, one postings list a term (empty where it has none).
pub(crate) struct Resolved<'a> {
    parts: Vec<SmallVec<[Postings<'a>; 8]>>,
    /// Inverse document frequency by term.
    weights: SmallVec<[f32; 8]>,
    /// Score of a row: `weight · tf · (K1 + 1) / (tf + flat + slope · length)`.
    flat: f32,
    slope: f32,
    rows: &'a Rows,
}

/// Looks a query's terms up everywhere. A term that no live document has is replaced by its pieces, if it has any.
pub(crate) fn resolve<'a>(
    terms: Vec<QueryTerm>,
    segments: &'a [Segment],
    head: &'a Head,
    rows: &'a Rows,
) -> Result<Resolved<'a>, QueryError> {
    let mut found: Vec<String> = Vec::with_capacity(terms.len());
    let mut add = |term: String| {
        if !found.contains(&term) {
            found.push(term);
        }
    };
    for QueryTerm { term, pieces } in terms {
        match pieces {
            Some(pieces) if head.postings(term.as_bytes()).is_none() && segments.iter().all(|s| s.postings(term.as_bytes()).is_none()) => {
                pieces.into_iter().for_each(&mut add);
            }
            Some(_) | None => add(term),
        }
    }
    if found.len() > TERMS_MAX {
        return Err(QueryError::TooManyTerms { len: found.len() });
    }
    let mut frequencies: SmallVec<[u64; 8]> = SmallVec::from_elem(0, found.len());
    let mut parts = Vec::with_capacity(segments.len() + 1);
    for segment in segments {
        let mut lists = SmallVec::new();
        for (term, frequency) in found.iter().zip(&mut frequencies) {
            let (list, live) = segment.postings(term.as_bytes()).unwrap_or_default();
            *frequency += u64::from(live);
            lists.push(list);
        }
        parts.push(lists);
    }
    let mut lists = SmallVec::new();
    for (term, frequency) in found.iter().zip(&mut frequencies) {
        let list = head.postings(term.as_bytes()).unwrap_or_default();
        *frequency += list.rows.len() as u64;
        lists.push(list);
    }
    parts.push(lists);
    parts.retain(|lists: &SmallVec<[Postings<'_>; 8]>| lists.iter().any(|list| !list.rows.is_empty()));
    let weights = frequencies.iter().map(|frequency| inverse_frequency(rows.len() as u64, *frequency)).collect();
    Ok(Resolved { parts, weights, flat: K1 * (1.0 - B), slope: K1 * B / rows.mean_length(), rows })
}

/// `ln(1 + (n - df + ½) / (df + ½))`, always positive.
fn inverse_frequency(documents: u64, frequency: u64) -> f32 {
    (1.0 + (documents as f64 - frequency as f64 + 0.5) / (frequency as f64 + 0.5)).ln() as f32
}

impl Resolved<'_> {
    /// Terms looked for; 0 for a query without text.
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    fn score(&self, term: usize, row: u32, units: u8) -> f32 {
        let tf = 0.5 * f32::from(units);
        let norm = self.flat + self.slope * self.rows.lengths[row as usize] as f32;
        self.weights[term] * (tf * (K1 + 1.0) / (tf + norm))
    }

    /// Live rows that have every term, ascending within each part of the index. O(rarest list · terms · log).
    pub(crate) fn all_terms(&self) -> Vec<Scored> {
        let mut found = Vec::new();
        for lists in &self.parts {
            let Some(rarest) = (0..lists.len()).min_by_key(|at| lists[*at].rows.len()) else { continue };
            found.reserve(lists[rarest].rows.len());
            let mut places: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
            'rows: for (at, &row) in lists[rarest].rows.iter().enumerate() {
                places[rarest] = at;
                for (term, list) in lists.iter().enumerate() {
                    if term != rarest {
                        let place = gallop(list.rows, places[term], row);
                        places[term] = place;
                        match list.rows.get(place) {
                            None => break 'rows,
                            Some(other) if *other != row => continue 'rows,
                            Some(_) => {}
                        }
                    }
                }
                if self.rows.live.contains(row) {
                    let score = lists.iter().enumerate().map(|(term, list)| self.score(term, row, list.units[places[term]])).sum();
                    found.push((row, score));
                }
            }
        }
        found
    }

    /// Live rows that have at least one term and not all of them, ascending within each part. O(all postings of the terms).
    pub(crate) fn some_terms(&self) -> Vec<Scored> {
        self.counted_terms(|count| count < self.len())
    }

    /// Live rows that have at least one term, ascending within each part. O(all postings of the terms).
    pub(crate) fn any_terms(&self) -> Vec<Scored> {
        self.counted_terms(|_| true)
    }

    fn counted_terms(&self, wants: impl Fn(usize) -> bool) -> Vec<Scored> {
        let mut found = Vec::new();
        let mut scores = vec![0.0_f32; WINDOW_ROWS as usize];
        let mut counts = vec![0_u8; WINDOW_ROWS as usize];
        let mut touched = [0_u64; WINDOW_ROWS as usize / 64];
        for lists in &self.parts {
            let mut places: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
            let next = |places: &[usize]| lists.iter().zip(places).filter_map(|(list, at)| list.rows.get(*at)).min().copied();
            while let Some(row) = next(&places) {
                let base = row - row % WINDOW_ROWS;
                for (term, list) in lists.iter().enumerate() {
                    let from = places[term];
                    let len = list.rows[from..].iter().take_while(|row| **row - base < WINDOW_ROWS).count();
                    for (&row, &units) in list.rows[from..from + len].iter().zip(&list.units[from..from + len]) {
                        let low = (row - base) as usize;
                        scores[low] += self.score(term, row, units);
                        counts[low] += 1;
                        touched[low / 64] |= 1 << (low % 64);
                    }
                    places[term] = from + len;
                }
                for (at, word) in (0_u32..).zip(touched.iter_mut()) {
                    for low in (Ones { word: *word, base: at * 64 }) {
                        let row = base + low;
                        let (score, count) = (&mut scores[low as usize], &mut counts[low as usize]);
                        if wants(usize::from(*count)) && self.rows.live.contains(row) {
                            found.push((row, *score));
                        }
                        (*score, *count) = (0.0, 0);
                    }
                    *word = 0;
                }
            }
        }
        found
    }
}

/// The rows of a list of matches as a set.
pub(crate) fn row_set(matches: &[Scored], end: usize) -> Bitset {
    let mut set = Bitset::with_rows(end);
    matches.iter().for_each(|(row, _)| set.insert(*row));
    set
}

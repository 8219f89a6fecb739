//! Which rows match a text, and how well.
//!
//! Path: query terms → [`resolve`] (a list a term in each part of the index, frequencies over all) → [`windows`] (the best rows, as few lists read as
//! these need) or [`sets`] (all rows, where they are to be counted).
//! A term costs one list, however many fields there are (`impact`). A score is a sum of `weight · impact` in integers: it depends neither on the order
//! of the terms, nor on the part of the index that a row is in, nor on which way found it, and equal ones are equal.

pub(crate) mod sets;
pub(crate) mod windows;

use smallvec::SmallVec;

use crate::analysis::QueryTerm;
use crate::head::Head;
use crate::postings::{List, Store};
use crate::query::{QueryError, TERMS_MAX};
use crate::segment::Segment;

/// Of a term's inverse document frequency, one is this many units of weight.
const WEIGHT_UNITS: f64 = 256.0;
/// A weight is at most this: the inverse frequency of one document in 2^32 is 22.9, one in 16 million 17.3.
pub(crate) const WEIGHT_MAX: u32 = 23 * 256;
const _: () = assert!(
    TERMS_MAX as u64 * WEIGHT_MAX as u64 * 255 < i32::MAX as u64,
    "scores are compared as signed integers, for which every machine has an instruction"
);

/// A score as it is answered: about what BM25 gives, without its factor of `k1 + 1`.
pub(crate) fn shown(score: u32) -> f32 {
    (f64::from(score) / (WEIGHT_UNITS * 255.0)) as f32
}

/// By term.
pub(crate) type Lists<'a> = SmallVec<[List<'a>; 8]>;

/// A query's terms found in an index.
pub(crate) struct Resolved<'a> {
    /// For each part of the index that has any of them, one list a term (empty where the part has none).
    parts: Vec<Lists<'a>>,
    /// By term.
    weights: SmallVec<[u32; 8]>,
}

/// Looks a query's terms up everywhere. A term that no live document has is replaced by its pieces, if it has any.
///
/// `of_head` takes the head's lists for as long as the query runs.
pub(crate) fn resolve<'a>(
    terms: Vec<QueryTerm>,
    segments: &'a [Segment],
    head: &Head,
    documents: usize,
    of_head: &'a mut Store,
) -> Result<Resolved<'a>, QueryError> {
    let mut found: Vec<String> = Vec::with_capacity(terms.len());
    let mut add = |term: String| {
        if !found.contains(&term) {
            found.push(term);
        }
    };
    for QueryTerm { term, pieces } in terms {
        match pieces {
            Some(pieces) if head.postings(term.as_bytes()).len() == 0 && segments.iter().all(|s| s.postings(term.as_bytes()).is_none()) => {
                pieces.into_iter().for_each(&mut add);
            }
            Some(_) | None => add(term),
        }
    }
    if found.len() > TERMS_MAX {
        return Err(QueryError::TooManyTerms { len: found.len() });
    }
    let mut frequencies: SmallVec<[u64; 8]> = SmallVec::from_elem(0, found.len());
    for term in &found {
        of_head.push(head.postings(term.as_bytes()));
    }
    let of_head: &'a Store = of_head;
    let mut parts = Vec::with_capacity(segments.len() + 1);
    for segment in segments {
        let mut lists = Lists::new();
        for (term, frequency) in found.iter().zip(&mut frequencies) {
            let (list, live) = segment.postings(term.as_bytes()).unwrap_or_default();
            *frequency += u64::from(live);
            lists.push(list);
        }
        parts.push(lists);
    }
    let lists: Lists<'_> = (0..found.len()).map(|number| of_head.list(number)).collect();
    lists.iter().zip(&mut frequencies).for_each(|(list, frequency)| *frequency += list.len() as u64);
    parts.push(lists);
    parts.retain(|lists: &Lists<'_>| lists.iter().any(|list| !list.is_empty()));
    let weights = frequencies.iter().map(|frequency| weight(documents as u64, *frequency)).collect();
    Ok(Resolved { parts, weights })
}

/// `ln(1 + (n - df + ½) / (df + ½))` in units, at least 1: a term that everybody has still counts.
fn weight(documents: u64, frequency: u64) -> u32 {
    let inverse = (1.0 + (documents as f64 - frequency as f64 + 0.5) / (frequency as f64 + 0.5)).ln();
    ((inverse * WEIGHT_UNITS).round() as u32).clamp(1, WEIGHT_MAX)
}

impl Resolved<'_> {
    /// Terms looked for; 0 for a query without text.
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The score of a row that matches. O(parts · terms · log).
    pub(crate) fn score(&self, row: u32) -> u32 {
        let of_part = |lists: &Lists<'_>| -> Option<u32> {
            // A row in use is in one part only.
            let found = lists.iter().zip(&self.weights).filter_map(|(list, weight)| Some(weight * u32::from(list.find(row)?)));
            Some(found.sum()).filter(|score| *score > 0)
        };
        self.parts.iter().find_map(of_part).unwrap_or(0)
    }
}

//! Words whose weights are known before they are looked up, for finding what is [like](crate::similar) a document.
//!
//! Path: [`Weighed`], the same for every index → [`resolve`]: a list a word in each part of the index → [`windows`](super::windows), as for a query's words.
//! Nothing here is typed: a word stands for itself alone, and what categories are called says nothing.

use super::boosts::Boosts;
use super::signals::Shares;
use super::{Beside, Numbered, Resolved, SmallVec, lists_of};
use crate::head::Head;
use crate::postings::Store;
use crate::rows::Rows;
use crate::segment::Segment;

/// Terms with what each weighs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weighed {
    /// Any of these finds a document.
    pub(crate) words: Vec<(Vec<u8>, u32)>,
    /// These are only added.
    pub(crate) extras: Vec<(Vec<u8>, u32)>,
}

/// Looks the terms up everywhere; `made` takes the head's lists.
pub(crate) fn resolve<'a>(
    weighed: &Weighed,
    beside: &Beside<'a>,
    segments: &'a [Segment],
    head: &Head,
    rows: &'a Rows,
    made: &'a mut Store,
) -> Resolved<'a> {
    let Weighed { words, extras } = weighed;
    let terms = || words.iter().chain(extras).map(|(term, _)| term.as_slice());
    let in_segment = |segment: &'a Segment| {
        let list = |term: &[u8]| Numbered::List(segment.postings(term).unwrap_or_default().0);
        terms().map(list).collect::<SmallVec<[Numbered<'a>; 8]>>()
    };
    let mut sources: Vec<SmallVec<[Numbered<'a>; 8]>> = segments.iter().map(in_segment).collect();
    sources.push(terms().map(|term| Numbered::Made(made.push(head.postings(term)))).collect());
    let of_all = words.iter().map(|(_, weight)| weight).sum();
    Resolved {
        parts: lists_of(sources, words.len(), made),
        weights: words.iter().chain(extras).map(|(_, weight)| *weight).collect(),
        terms: words.len(),
        extras: SmallVec::new(),
        called: SmallVec::new(),
        boosts: Boosts::of(beside.boosts, of_all, rows, beside.meter),
        shares: Shares::of(beside.signals, of_all, rows, beside.in_stock),
        meter: beside.meter,
    }
}

//! Words whose weights are known before they are looked up, for finding what is [like](crate::similar) a document.
//!
//! Path: [`Weighed`], the same for every index → [`resolve`]: a list a word in each part of the index → [`windows`](super::windows), as for a query's words.
//! Nothing here is typed: a word stands for itself alone, and what categories are called says nothing.

use super::boosts::Boosts;
use super::proximity::{Home, Proximity, Title};
use super::signals::Shares;
use super::{Beside, Numbered, Resolved, SmallVec, Sources, lists_of};
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
    head: &'a Head,
    rows: &'a Rows,
    made: &'a mut Store,
) -> Resolved<'a> {
    let Weighed { words, extras } = weighed;
    let terms = || words.iter().chain(extras).map(|(term, _)| term.as_slice());
    let in_segment = |segment: &'a Segment| {
        let list = |term: &[u8]| Numbered::List(segment.postings(term).unwrap_or_default().0);
        (terms().map(list).collect(), Title::of(&[], Home::Segment(segment)))
    };
    let mut sources: Vec<Sources<'a>> = segments.iter().map(in_segment).collect();
    let of_head = terms().map(|term| Numbered::Made(made.push(head.postings(term)))).collect();
    sources.push((of_head, Title::of(&[], Home::Head(head))));
    let of_all = words.iter().map(|(_, weight)| weight).sum();
    Resolved {
        parts: lists_of(sources, words.len(), made).0,
        weights: words.iter().chain(extras).map(|(_, weight)| *weight).collect(),
        terms: words.len(),
        extras: SmallVec::new(),
        called: SmallVec::new(),
        proximity: Proximity::default(),
        boosts: Boosts::of(beside.boosts, of_all, rows, beside.meter),
        shares: Shares::of(beside.signals, of_all, rows, beside.in_stock),
        meter: beside.meter,
    }
}

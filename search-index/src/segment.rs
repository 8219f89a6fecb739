//! An immutable part of the index: a sorted term dictionary over posting lists, and each row's terms.
//!
//! Path: `Head::seal` or a merge → `SegmentBuilder` (terms in byte order, then rows in order) → `Segment`.
//! Immutable but for removals: a removed row is counted out of the frequencies of all its terms at once, which is what each
//! row's own list of terms is for, while the postings keep it until a merge leaves it out.
//! Cost: 3 bytes a posting, about 2 more for the row's own list, and the dictionary.

use fst::{IntoStreamer, Map, MapBuilder, Streamer};

use crate::postings::{List, Store};

/// Names a segment of one index for as long as it lives. No other segment of the index ever has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) u64);

impl SegmentId {
    /// Of a segment that is in no index yet.
    pub(crate) const UNNAMED: Self = Self(0);
}

/// See the module.
pub(crate) struct Segment {
    /// Its name while it lives; [`Index`](crate::Index) gives it.
    pub(crate) id: SegmentId,
    dictionary: Map<Vec<u8>>,
    /// By ordinal.
    postings: Store,
    /// Live rows by term.
    frequencies: Vec<u32>,
    /// Rows, ascending; the terms of the nth are at `doc_starts[n]..doc_starts[n + 1]` of `doc_terms`.
    docs: Vec<u32>,
    doc_starts: Vec<u32>,
    /// Ascending ordinals as differences, 7 bits a byte, low first, high bit on all but the last byte.
    doc_terms: Vec<u8>,
    dead: Vec<u32>,
}

impl Segment {
    /// Rows held, removed ones included.
    pub(crate) fn len(&self) -> usize {
        self.docs.len()
    }

    pub(crate) fn docs(&self) -> &[u32] {
        &self.docs
    }

    pub(crate) fn dead(&self) -> &[u32] {
        &self.dead
    }

    fn ordinal(&self, term: &[u8]) -> Option<usize> {
        self.dictionary.get(term).map(|ordinal| ordinal as usize)
    }

    pub(crate) fn list(&self, ordinal: usize) -> List<'_> {
        self.postings.list(ordinal)
    }

    /// A term's postings, removed rows included, and the count of live ones. `None` when no live row has it.
    pub(crate) fn postings(&self, term: &[u8]) -> Option<(List<'_>, u32)> {
        let ordinal = self.ordinal(term)?;
        let live = self.frequencies[ordinal];
        (live > 0).then(|| (self.list(ordinal), live))
    }

    /// Calls `visit(term, live rows)` for terms with the prefix in byte order, until it answers `false`.
    pub(crate) fn for_each_with_prefix(&self, prefix: &[u8], mut visit: impl FnMut(&[u8], u64) -> bool) {
        let mut stream = self.dictionary.range().ge(prefix).into_stream();
        while let Some((term, ordinal)) = stream.next() {
            if !term.starts_with(prefix) {
                break;
            }
            let live = self.frequencies[ordinal as usize];
            if live > 0 && !visit(term, u64::from(live)) {
                break;
            }
        }
    }

    /// The dictionary from the first term after `after` on.
    pub(crate) fn terms_after(&self, after: Option<&[u8]>) -> fst::map::Stream<'_> {
        match after {
            Some(term) => self.dictionary.range().gt(term).into_stream(),
            None => self.dictionary.stream(),
        }
    }

    pub(crate) fn term_count(&self) -> usize {
        self.frequencies.len()
    }

    /// Ordinals of the terms of the nth row, ascending.
    pub(crate) fn doc_terms(&self, nth: usize) -> impl Iterator<Item = u32> + '_ {
        let mut bytes = self.doc_terms[self.doc_starts[nth] as usize..self.doc_starts[nth + 1] as usize].iter();
        let mut ordinal = 0;
        std::iter::from_fn(move || {
            let (mut gap, mut shift) = (0, 0);
            loop {
                let byte = *bytes.next()?;
                gap |= u32::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    ordinal += gap;
                    return Some(ordinal);
                }
                shift += 7;
            }
        })
    }

    /// Counts a row out; `false` when it is not here. The caller sees to it that a row is removed once.
    pub(crate) fn remove(&mut self, row: u32) -> bool {
        let Ok(nth) = self.docs.binary_search(&row) else { return false };
        self.remove_nth(nth);
        true
    }

    /// Counts the nth row out.
    pub(crate) fn remove_nth(&mut self, nth: usize) {
        let terms: Vec<u32> = self.doc_terms(nth).collect();
        for ordinal in terms {
            self.frequencies[ordinal as usize] -= 1;
        }
        self.dead.push(self.docs[nth]);
    }

    /// Bytes of the heap in use.
    pub(crate) fn bytes(&self) -> usize {
        self.dictionary.as_fst().as_bytes().len()
            + self.postings.bytes()
            + 4 * (self.frequencies.len() + self.docs.len() + self.doc_starts.len() + self.dead.len())
            + self.doc_terms.len()
    }
}

/// Makes a segment: all terms first, in byte order, then all rows, ascending.
pub(crate) struct SegmentBuilder {
    pub(crate) dictionary: MapBuilder<Vec<u8>>,
    pub(crate) postings: Store,
    pub(crate) docs: Vec<u32>,
    pub(crate) doc_starts: Vec<u32>,
    pub(crate) doc_terms: Vec<u8>,
}

impl Default for SegmentBuilder {
    fn default() -> Self {
        Self { dictionary: MapBuilder::memory(), postings: Store::default(), docs: Vec::new(), doc_starts: vec![0], doc_terms: Vec::new() }
    }
}

impl SegmentBuilder {
    /// Adds a term with its postings, ascending by row, and answers its ordinal.
    ///
    /// # Panics
    /// When the term is not after the one before: our own bug.
    pub(crate) fn term(&mut self, term: &[u8], postings: impl Iterator<Item = (u32, u8)>) -> u32 {
        let ordinal = self.postings.push(postings);
        self.dictionary.insert(term, u64::from(ordinal)).expect("terms come in byte order, and memory does not fail to write");
        ordinal
    }

    /// Adds a row with its ordinals, ascending.
    pub(crate) fn doc(&mut self, row: u32, ordinals: &[u32]) {
        debug_assert!(self.docs.last().is_none_or(|last| *last < row), "rows come in order");
        let mut last = 0;
        for &ordinal in ordinals {
            push_gap(&mut self.doc_terms, ordinal - last);
            last = ordinal;
        }
        self.docs.push(row);
        self.doc_starts.push(u32::try_from(self.doc_terms.len()).expect("merges stop short of four gigabytes of lists"));
    }

    pub(crate) fn finish(self) -> Segment {
        let Self { dictionary, mut postings, docs, doc_starts, mut doc_terms } = self;
        postings.shrink_to_fit();
        doc_terms.shrink_to_fit();
        let bytes = dictionary.into_inner().expect("memory does not fail to write");
        Segment {
            id: SegmentId::UNNAMED,
            dictionary: Map::new(bytes).expect("the builder writes what the reader reads"),
            frequencies: (0..postings.len()).map(|ordinal| postings.count(ordinal)).collect(),
            postings,
            docs,
            doc_starts,
            doc_terms,
            dead: Vec::new(),
        }
    }
}

/// Appends the difference between two ordinals of a row's list.
pub(crate) fn push_gap(list: &mut Vec<u8>, mut gap: u32) {
    while gap >= 0x80 {
        list.push(gap as u8 | 0x80);
        gap >>= 7;
    }
    list.push(gap as u8);
}

//! For a term, the rows that have it and what it weighs in each.
//!
//! Path: `(row, impact)` by row → `Store::push`, a term after the other → `List`, what a query reads.
//! A row is kept by its lower 16 bits beside its impact, in runs of one chunk of 65,536 rows each: 3 bytes a posting, and nothing to unpack, so a
//! query walks, gallops and adds up on the slices themselves. Chunks cost 6 bytes each in a list that reaches into them.
//! Of every [`BLOCK`] postings the greatest impact is kept: by it a query knows what a stretch of a list can bring without reading it.
//! Where a list has one row of [`DENSE`] in a chunk, the chunk is kept as a bitmap too: sets of rows are made of these a word at a time.
//! Rows of documents that were removed may still be listed by a segment; whoever reads checks them against the live rows.

use crate::bitset::Bitset;
use crate::segment::shrink;

/// Postings that share a maximum. Fewer tell more exactly what a stretch can bring; more are read faster.
pub(crate) const BLOCK: usize = 128;
/// A run with at least one row of so many has a bitmap, of 8 KiB: at most 4 bits a posting.
const DENSE: usize = 32;
/// Rows of a chunk, in bits.
const CHUNK_BITS: u32 = 16;
/// Rows of a chunk.
pub(crate) const CHUNK_ROWS: usize = 1 << CHUNK_BITS;

/// Words of a chunk's bitmap.
pub(crate) const CHUNK_WORDS: usize = CHUNK_ROWS / 64;

/// A chunk of rows, a bit each.
pub(crate) type Bitmap = [u64; CHUNK_WORDS];

/// Marks the dictionary entry of an unstemmed title word, which suggestions complete. No term begins with it.
pub(crate) const TITLE_MARK: u8 = 1;
/// Marks the stem of a word that a title is about. No term begins with it.
pub(crate) const HEAD_MARK: u8 = 2;
/// Terms that are looked for begin with greater bytes.
pub(crate) const MARKS_MAX: u8 = 2;

/// Lists of many terms, numbered in the order in which they came.
pub(crate) struct Store {
    /// The postings of list `n` are at `starts[n]..starts[n + 1]` of `lows` and `impacts`.
    starts: Vec<u32>,
    lows: Vec<u16>,
    impacts: Vec<u8>,
    /// The chunks of list `n` are at `chunk_starts[n]..chunk_starts[n + 1]`.
    chunk_starts: Vec<u32>,
    chunk_numbers: Vec<u16>,
    /// Where a chunk's postings end.
    chunk_ends: Vec<u32>,
    /// The maxima of list `n` begin at `block_starts[n]`.
    block_starts: Vec<u32>,
    maxima: Vec<u8>,
    /// Whether dense runs get a bitmap: worth its while in lists that many queries read.
    keeps_bitmaps: bool,
    /// Chunks that have a bitmap, ascending by their places in `chunk_numbers`.
    dense: Vec<u32>,
    bitmaps: Vec<Bitmap>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            starts: vec![0],
            lows: Vec::new(),
            impacts: Vec::new(),
            chunk_starts: vec![0],
            chunk_numbers: Vec::new(),
            chunk_ends: Vec::new(),
            block_starts: vec![0],
            maxima: Vec::new(),
            keeps_bitmaps: false,
            dense: Vec::new(),
            bitmaps: Vec::new(),
        }
    }
}

impl Store {
    /// For lists that stay.
    pub(crate) fn with_bitmaps() -> Self {
        Self { keeps_bitmaps: true, ..Self::default() }
    }

    /// Lists there.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Adds a list, rows ascending, and answers its number.
    pub(crate) fn push(&mut self, postings: impl Iterator<Item = (u32, u8)>) -> u32 {
        let mut chunk = None;
        for (row, impact) in postings {
            let number = (row >> CHUNK_BITS) as u16;
            if chunk != Some(number) {
                debug_assert!(chunk < Some(number), "rows ascend");
                if let Some(before) = chunk.replace(number) {
                    self.end_chunk(before);
                }
            }
            self.append(row as u16, impact);
        }
        if let Some(last) = chunk {
            self.end_chunk(last);
        }
        self.end_list()
    }

    /// Adds a posting to the chunk at hand, which [`Store::end_chunk`] ends.
    pub(crate) fn append(&mut self, low: u16, impact: u8) {
        self.lows.push(low);
        self.impacts.push(impact);
    }

    /// Makes room for so many postings more, so that nothing is moved while they come.
    pub(crate) fn reserve(&mut self, postings: usize) {
        self.lows.reserve(postings);
        self.impacts.reserve(postings);
    }

    /// Adds postings to the chunk at hand; there are as many impacts as rows.
    pub(crate) fn append_all(&mut self, lows: &[u16], impacts: impl Iterator<Item = u8>) {
        self.lows.extend_from_slice(lows);
        self.impacts.extend(impacts);
        debug_assert_eq!(self.lows.len(), self.impacts.len());
    }

    /// As [`Store::end_chunk`], with the bits of the chunk's rows.
    pub(crate) fn end_chunk_of(&mut self, number: u16, bitmap: &Bitmap) {
        let from = self.chunk_ends.last().map_or(0, |end| *end as usize);
        self.add_chunk(number);
        if self.keeps_bitmaps && is_dense(self.lows.len() - from) {
            self.dense.push(self.chunk_ends.len() as u32 - 1);
            self.bitmaps.push(*bitmap);
        }
    }

    /// Makes what was added since the chunk before the chunk of this number; there must be something.
    pub(crate) fn end_chunk(&mut self, number: u16) {
        let from = self.chunk_ends.last().map_or(0, |end| *end as usize);
        self.add_chunk(number);
        if self.keeps_bitmaps {
            self.keep_bitmap(self.chunk_ends.len() - 1, from);
        }
    }

    fn add_chunk(&mut self, number: u16) {
        self.chunk_numbers.push(number);
        self.chunk_ends.push(u32::try_from(self.lows.len()).expect("merges stop short of four billion postings"));
    }

    /// Makes a chunk's bitmap, if it is dense; its postings begin at `from`.
    fn keep_bitmap(&mut self, chunk: usize, from: usize) {
        let lows = &self.lows[from..self.chunk_ends[chunk] as usize];
        if is_dense(lows.len()) {
            let mut bitmap = [0_u64; CHUNK_WORDS];
            mark(lows, &mut bitmap);
            self.dense.push(chunk as u32);
            self.bitmaps.push(bitmap);
        }
    }

    /// Makes the chunks since the list before a list, and answers its number.
    pub(crate) fn end_list(&mut self) -> u32 {
        let number = self.len() as u32;
        let from = self.starts[number as usize] as usize;
        self.starts.push(self.lows.len() as u32);
        self.chunk_starts.push(self.chunk_numbers.len() as u32);
        self.maxima.extend(maxima_of(&self.impacts[from..]));
        self.block_starts.push(self.maxima.len() as u32);
        number
    }

    /// The list of a number.
    pub(crate) fn list(&self, number: usize) -> List<'_> {
        let range = |starts: &[u32]| starts[number] as usize..starts[number + 1] as usize;
        let (postings, chunks) = (range(&self.starts), range(&self.chunk_starts));
        List {
            start: self.starts[number],
            lows: &self.lows[postings.clone()],
            impacts: &self.impacts[postings],
            chunk_numbers: &self.chunk_numbers[chunks.clone()],
            chunk_ends: &self.chunk_ends[chunks],
            maxima: &self.maxima[range(&self.block_starts)],
            first_chunk: self.chunk_starts[number],
            dense: &self.dense,
            bitmaps: &self.bitmaps,
        }
    }

    /// Postings of all lists, and of the chunk at hand.
    pub(crate) fn postings(&self) -> u64 {
        self.lows.len() as u64
    }

    /// Postings of a list.
    pub(crate) fn count(&self, number: usize) -> u32 {
        self.starts[number + 1] - self.starts[number]
    }

    /// Gives back what is not needed.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.starts);
        shrink(&mut self.lows);
        shrink(&mut self.impacts);
        shrink(&mut self.chunk_starts);
        shrink(&mut self.chunk_numbers);
        shrink(&mut self.chunk_ends);
        shrink(&mut self.block_starts);
        shrink(&mut self.maxima);
        shrink(&mut self.bitmaps);
    }

    /// Makes room for the lists of another, so that nothing is moved while they come.
    pub(crate) fn reserve_for(&mut self, other: &Self) {
        self.starts.reserve(other.starts.len());
        self.lows.reserve(other.lows.len());
        self.impacts.reserve(other.impacts.len());
        self.chunk_starts.reserve(other.chunk_starts.len());
        self.chunk_numbers.reserve(other.chunk_numbers.len());
        self.chunk_ends.reserve(other.chunk_ends.len());
        self.block_starts.reserve(other.block_starts.len());
        self.maxima.reserve(other.maxima.len());
        self.bitmaps.reserve(other.bitmaps.len());
    }

    /// Bytes of the heap in use.
    pub(crate) fn bytes(&self) -> usize {
        4 * (self.starts.len() + self.chunk_starts.len() + self.block_starts.len() + self.chunk_ends.len())
            + 2 * (self.lows.len() + self.chunk_numbers.len())
            + self.impacts.len()
            + self.maxima.len()
            + 4 * self.dense.len()
            + size_of::<Bitmap>() * self.bitmaps.len()
    }
}

/// The greatest impact of each block of a list.
fn maxima_of(impacts: &[u8]) -> impl Iterator<Item = u8> + '_ {
    impacts.chunks(BLOCK).map(|block| block.iter().copied().fold(0, u8::max))
}

/// Whether a run of so many rows has a bitmap, where these are kept.
fn is_dense(rows: usize) -> bool {
    rows >= CHUNK_ROWS / DENSE
}

/// Sets the bits of a run's rows.
pub(crate) fn mark(lows: &[u16], bitmap: &mut Bitmap) {
    for low in lows {
        bitmap[usize::from(*low) / 64] |= 1 << (low % 64);
    }
}

/// Whether a row's bit is set.
pub(crate) fn is_in(bitmap: &Bitmap, low: u16) -> bool {
    bitmap[usize::from(low) / 64] >> (low % 64) & 1 == 1
}

/// Lists that are filled row by row, all at once: what makes lists of documents in time linear in their words.
pub(crate) struct Filling {
    starts: Vec<u32>,
    /// By list, the place of its next posting.
    next: Vec<u32>,
    lows: Vec<u16>,
    impacts: Vec<u8>,
    chunk: u32,
    /// By list, its place at the beginning of the chunk.
    before: Vec<u32>,
    /// List, number of the chunk, and where its postings end.
    chunks: Vec<(u32, u16, u32)>,
}

impl Filling {
    /// For lists of so many postings each.
    pub(crate) fn new(counts: &[u32]) -> Self {
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut end = 0_u32;
        starts.push(end);
        for count in counts {
            end = end.checked_add(*count).expect("a segment's rows have less than four billion terms");
            starts.push(end);
        }
        let next = starts[..counts.len()].to_vec();
        Self {
            lows: vec![0; end as usize],
            impacts: vec![0; end as usize],
            chunk: 0,
            before: next.clone(),
            chunks: Vec::new(),
            next,
            starts,
        }
    }

    /// Adds a posting to a list. Rows ascend over all calls, and no list gets more than it was said to have.
    pub(crate) fn add(&mut self, list: u32, row: u32, impact: u8) {
        if row >> CHUNK_BITS != self.chunk {
            self.end_chunk();
            self.chunk = row >> CHUNK_BITS;
        }
        let next = &mut self.next[list as usize];
        self.lows[*next as usize] = row as u16;
        self.impacts[*next as usize] = impact;
        *next = next.wrapping_add(1);
    }

    fn end_chunk(&mut self) {
        for (list, (before, next)) in (0..).zip(self.before.iter_mut().zip(&self.next)) {
            if before != next {
                self.chunks.push((list, self.chunk as u16, *next));
                *before = *next;
            }
        }
    }

    pub(crate) fn finish(mut self) -> Store {
        self.end_chunk();
        debug_assert_eq!(self.next, self.starts[1..], "each list has as many postings as it was said to have");
        // Counted and dealt out by list; within a list they are in order already.
        let lists = self.next.len();
        let mut chunk_starts = vec![0_u32; lists + 1];
        for (list, ..) in &self.chunks {
            chunk_starts[*list as usize + 1] += 1;
        }
        for at in 0..lists {
            chunk_starts[at + 1] += chunk_starts[at];
        }
        let mut next = chunk_starts.clone();
        let (mut chunk_numbers, mut chunk_ends) = (vec![0; self.chunks.len()], vec![0; self.chunks.len()]);
        for (list, number, end) in self.chunks {
            let at = &mut next[list as usize];
            chunk_numbers[*at as usize] = number;
            chunk_ends[*at as usize] = end;
            *at += 1;
        }
        let (mut block_starts, mut maxima) = (vec![0], Vec::new());
        for range in self.starts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize) {
            maxima.extend(maxima_of(&self.impacts[range]));
            block_starts.push(maxima.len() as u32);
        }
        let Self { starts, lows, impacts, .. } = self;
        let mut store =
            Store { starts, lows, impacts, chunk_starts, chunk_numbers, chunk_ends, block_starts, maxima, ..Store::with_bitmaps() };
        for chunk in 0..store.chunk_ends.len() {
            store.keep_bitmap(chunk, chunk.checked_sub(1).map_or(0, |before| store.chunk_ends[before] as usize));
        }
        store
    }
}

/// The postings of one term in one part of an index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List<'a> {
    /// What [`List::chunk_ends`] count from.
    start: u32,
    lows: &'a [u16],
    impacts: &'a [u8],
    /// Ascending.
    chunk_numbers: &'a [u16],
    chunk_ends: &'a [u32],
    maxima: &'a [u8],
    /// Place of the first chunk in the store.
    first_chunk: u32,
    dense: &'a [u32],
    bitmaps: &'a [Bitmap],
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        self.lows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lows.is_empty()
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunk_numbers.len()
    }

    /// The number of the nth chunk; `None` past the last.
    pub(crate) fn chunk_number(&self, nth: usize) -> Option<u16> {
        self.chunk_numbers.get(nth).copied()
    }

    /// The nth chunk.
    pub(crate) fn chunk(&self, nth: usize) -> Run<'a> {
        let end = |nth: usize| (self.chunk_ends[nth] - self.start) as usize;
        let from = nth.checked_sub(1).map_or(0, end);
        let range = from..end(nth);
        Run { lows: &self.lows[range.clone()], impacts: &self.impacts[range], maxima: self.maxima, offset: from }
    }

    /// The nth chunk as a bitmap, if it has one.
    pub(crate) fn bitmap(&self, nth: usize) -> Option<&'a Bitmap> {
        if self.dense.is_empty() || !is_dense(self.chunk(nth).lows.len()) {
            return None;
        }
        let at = self.dense.binary_search(&(self.first_chunk + nth as u32)).ok()?;
        self.bitmaps.get(at)
    }

    /// All postings, ascending by row.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, u8)> + 'a {
        (0..self.chunks()).flat_map(move |nth| {
            let (base, run) = (u32::from(self.chunk_numbers[nth]) << CHUNK_BITS, self.chunk(nth));
            run.lows.iter().zip(run.impacts).map(move |(low, impact)| (base | u32::from(*low), *impact))
        })
    }

    /// Puts all rows into a set. O(chunks · a bit a row at most).
    pub(crate) fn mark_in(self, rows: &mut Bitset) {
        for nth in 0..self.chunks() {
            let words = rows.words_mut(usize::from(self.chunk_numbers[nth]) * CHUNK_WORDS, CHUNK_WORDS);
            match self.bitmap(nth) {
                Some(bitmap) => words.iter_mut().zip(bitmap).for_each(|(word, bits)| *word |= bits),
                None => self.chunk(nth).lows.iter().for_each(|low| words[usize::from(*low) / 64] |= 1 << (low % 64)),
            }
        }
    }

    /// The term's impact in a row, if it has it. O(log postings).
    pub(crate) fn find(&self, row: u32) -> Option<u8> {
        let run = self.chunk(self.chunk_numbers.binary_search(&((row >> CHUNK_BITS) as u16)).ok()?);
        run.lows.binary_search(&(row as u16)).ok().map(|at| run.impacts[at])
    }
}

/// The part of a list that is in one chunk of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run<'a> {
    /// Lower bits of the rows, ascending.
    pub(crate) lows: &'a [u16],
    /// As many.
    pub(crate) impacts: &'a [u8],
    maxima: &'a [u8],
    /// Postings of the list before these.
    offset: usize,
}

impl Run<'_> {
    /// No impact of these postings is above this; `from..to` is not empty.
    pub(crate) fn bound(&self, from: usize, to: usize) -> u8 {
        // A short stretch would mostly be told of its neighbours.
        if to - from <= 2 * BLOCK {
            return self.impacts[from..to].iter().copied().fold(0, u8::max);
        }
        let blocks = (self.offset + from) / BLOCK..=(self.offset + to - 1) / BLOCK;
        self.maxima[blocks].iter().copied().fold(0, u8::max)
    }
}

/// The first place from `from` on whose row is not below `low`, by a search that doubles its step.
///
/// The cost is the logarithm of the distance moved, so a short list crosses a long one cheaply.
pub(crate) fn gallop(lows: &[u16], from: usize, low: u16) -> usize {
    let mut step = 1;
    let mut reached = from;
    while let Some(other) = lows.get(reached.wrapping_add(step)) {
        if *other >= low {
            break;
        }
        reached = reached.wrapping_add(step);
        step = step.wrapping_mul(2);
    }
    let end = reached.wrapping_add(step).wrapping_add(1).min(lows.len());
    reached + lows.get(reached..end).map_or(0, |rest| rest.partition_point(|other| *other < low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gallop_finds_the_first_not_below() {
        let lows: Vec<u16> = (0..100).map(|n| n * 3).collect();
        for from in 0..=lows.len() {
            for low in lows.get(from).copied().unwrap_or(300)..310 {
                assert_eq!(gallop(&lows, from, low), lows.partition_point(|other| *other < low).max(from), "{from} {low}");
            }
        }
        assert_eq!(gallop(&[], 0, 5), 0);
        assert_eq!(gallop(&[1], 1, 5), 1);
    }

    /// Lists that are empty, of one row, within a chunk, at the edges of chunks and over many of them.
    fn lists() -> Vec<Vec<(u32, u8)>> {
        let impact = |row: u32| (row.wrapping_mul(2_654_435_761) >> 24).max(1) as u8;
        let list = |rows: &mut dyn Iterator<Item = u32>| rows.map(|row| (row, impact(row))).collect();
        vec![
            Vec::new(),
            list(&mut [7].into_iter()),
            list(&mut [65_535, 65_536, 131_071, 196_608].into_iter()),
            list(&mut (0..1_000)),
            list(&mut (0..5_000).map(|n| n * 97)),
            list(&mut [u32::MAX - 1, u32::MAX].into_iter()),
            Vec::new(),
        ]
    }

    #[test]
    fn what_was_pushed_is_read() {
        let (lists, mut store) = (lists(), Store::default());
        for (number, list) in (0..).zip(&lists) {
            assert_eq!(store.push(list.iter().copied()), number);
        }
        for (number, wanted) in lists.iter().enumerate() {
            let list = store.list(number);
            assert_eq!(list.iter().collect::<Vec<_>>(), *wanted);
            assert_eq!((list.len(), store.count(number) as usize, list.is_empty()), (wanted.len(), wanted.len(), wanted.is_empty()));
            for (row, impact) in wanted {
                assert_eq!(list.find(*row), Some(*impact));
                let next = row.wrapping_add(1);
                assert_eq!(list.find(next), wanted.iter().find(|other| other.0 == next).map(|other| other.1));
            }
        }
    }

    #[test]
    fn filled_row_by_row_they_are_the_same() {
        let (lists, mut pushed) = (lists(), Store::with_bitmaps());
        let counts: Vec<u32> = lists.iter().map(|list| list.len() as u32).collect();
        let mut filling = Filling::new(&counts);
        let mut all: Vec<(u32, u32, u8)> =
            (0..).zip(&lists).flat_map(|(list, postings)| postings.iter().map(move |(row, impact)| (*row, list, *impact))).collect();
        all.sort_unstable();
        for (row, list, impact) in all {
            filling.add(list, row, impact);
        }
        let filled = filling.finish();
        for (number, list) in lists.iter().enumerate() {
            pushed.push(list.iter().copied());
            assert_eq!(format!("{:?}", filled.list(number)), format!("{:?}", pushed.list(number)));
        }
        assert_eq!((filled.len(), filled.bytes()), (pushed.len(), pushed.bytes()));
    }

    #[test]
    fn dense_runs_have_bitmaps() {
        let mut store = Store::with_bitmaps();
        for list in lists().into_iter().chain([(0..70_000).map(|n| (n * 3, 1)).collect()]) {
            store.push(list.into_iter());
        }
        let mut bitmaps = 0;
        for number in 0..store.len() {
            let list = store.list(number);
            for nth in 0..list.chunks() {
                let run = list.chunk(nth);
                assert_eq!(list.bitmap(nth).is_some(), run.lows.len() >= CHUNK_ROWS / DENSE);
                if let Some(bitmap) = list.bitmap(nth) {
                    let bits = (0..=u16::MAX).filter(|low| bitmap[usize::from(*low) / 64] >> (low % 64) & 1 == 1);
                    assert!(bits.eq(run.lows.iter().copied()));
                    bitmaps += 1;
                }
            }
        }
        assert!(bitmaps > 2);
    }

    #[test]
    fn bounds_hold_and_are_met_by_whole_blocks() {
        let mut store = Store::default();
        for list in lists() {
            store.push(list.into_iter());
        }
        for number in 0..store.len() {
            let list = store.list(number);
            for nth in 0..list.chunks() {
                let run = list.chunk(nth);
                for from in (0..run.lows.len()).step_by(61) {
                    for to in (from + 1..=run.lows.len()).step_by(97) {
                        let max = run.impacts[from..to].iter().copied().fold(0, u8::max);
                        assert!(run.bound(from, to) >= max);
                    }
                }
                if nth == 0 && run.lows.len() >= 4 * BLOCK {
                    assert_eq!(run.bound(0, 4 * BLOCK), run.impacts[..4 * BLOCK].iter().copied().fold(0, u8::max));
                }
            }
        }
    }
}

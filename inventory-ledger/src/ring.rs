//! A queue in chunks, whose entries are found by number while they are in it.
//!
//! Path: `push` gives the number → `get` → `pop` takes the oldest. Numbers run round after 2³⁰, so that two bits of a `u32` stay
//! free; nothing already in the queue is moved when it grows, and emptied chunks are used again.

use std::collections::VecDeque;

/// Most entries at once.
pub(crate) const ENTRIES_MAX: u32 = 1 << NUMBER_BITS;
const NUMBER_BITS: u32 = 30;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;

/// Entries of a chunk: a chunk of 52-byte entries is 26 KiB.
const CHUNK: usize = 512;

#[derive(Debug)]
pub(crate) struct Ring<T> {
    chunks: VecDeque<Vec<T>>,
    /// Number of the oldest entry.
    first: u32,
    /// Its place in the first chunk.
    offset: usize,
    len: u32,
    /// Chunks that are empty and kept for later.
    spares: Vec<Vec<T>>,
    /// How many chunks are kept in all, in use or not, when one has been emptied; one more may be.
    kept: usize,
}

impl<T: Copy> Ring<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: VecDeque::new(), first: 0, offset: 0, len: 0, spares: Vec::new(), kept: 0 }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Bytes kept for entries, used or not.
    pub(crate) fn bytes(&self) -> usize {
        let chunks = self.chunks.len() + self.spares.len();
        chunks * CHUNK * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    /// # Panics
    /// If [`ENTRIES_MAX`] are in it: the caller's own bounds are lower.
    pub(crate) fn push(&mut self, entry: T) -> u32 {
        assert!(self.len < ENTRIES_MAX, "the limits keep below it");
        if self.chunks.back().is_none_or(|last| last.len() == CHUNK) {
            let chunk = self.spares.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
            self.chunks.push_back(chunk);
        }
        self.chunks.back_mut().expect("just made").push(entry);
        let number = self.first.wrapping_add(self.len) & NUMBER_MASK;
        self.len += 1;
        number
    }

    /// Makes chunks for so many entries at once, and writes `blank` to every page of them: what is pushed later waits for no memory.
    pub(crate) fn make_room(&mut self, entries: u32, blank: T) {
        self.kept = (entries.min(ENTRIES_MAX) as usize).div_ceil(CHUNK) + 1; // the first may be begun in its middle
        self.chunks.reserve(self.kept.saturating_sub(self.chunks.len()));
        while self.chunks.len() + self.spares.len() < self.kept {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.resize(CHUNK, blank);
            chunk.clear();
            self.spares.push(chunk);
        }
    }

    /// The entry of a number that `push` gave and `pop` has not yet taken.
    pub(crate) fn get(&self, number: u32) -> &T {
        let at = self.offset + (number.wrapping_sub(self.first) & NUMBER_MASK) as usize;
        &self.chunks[at / CHUNK][at % CHUNK]
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> &mut T {
        let at = self.offset + (number.wrapping_sub(self.first) & NUMBER_MASK) as usize;
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }

    /// The entry that is so many behind the oldest.
    pub(crate) fn nth(&self, behind: usize) -> &T {
        let at = self.offset + behind;
        &self.chunks[at / CHUNK][at % CHUNK]
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.chunks.front().and_then(|chunk| chunk.get(self.offset))
    }

    /// Takes the oldest entry, with its number.
    pub(crate) fn pop(&mut self) -> Option<(u32, T)> {
        let entry = *self.first()?;
        let number = self.first;
        self.first = self.first.wrapping_add(1) & NUMBER_MASK;
        self.offset += 1;
        self.len -= 1;
        if self.offset == CHUNK {
            self.offset = 0;
            let mut chunk = self.chunks.pop_front().expect("it held the oldest");
            chunk.clear();
            if self.spares.is_empty() || self.chunks.len() + self.spares.len() < self.kept {
                self.spares.push(chunk);
            }
        }
        Some((number, entry))
    }

    /// Oldest first, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbers = (0..self.len).map(|n| self.first.wrapping_add(n) & NUMBER_MASK);
        numbers.zip(self.chunks.iter().flatten().skip(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, NUMBER_MASK, Ring};

    #[test]
    fn entries_are_found_by_number_past_the_turn_of_numbers() {
        let mut ring = Ring::new();
        ring.first = NUMBER_MASK - 700;
        let mut kept = std::collections::VecDeque::new();
        for n in 0..5_000_u32 {
            kept.push_back((ring.push(n), n));
            if n % 3 == 0 || kept.len() > 900 {
                assert_eq!(ring.pop(), kept.pop_front());
            }
            assert_eq!(ring.len() as usize, kept.len());
        }
        assert!(kept.iter().any(|&(number, _)| number < 5_000), "the numbers ran round");
        for &(number, n) in &kept {
            assert_eq!(*ring.get(number), n);
        }
        assert!(ring.iter().map(|(number, n)| (number, *n)).eq(kept.iter().copied()));
        assert!(ring.chunks.len() <= kept.len() / CHUNK + 2, "emptied chunks are given up");
        while ring.pop().is_some() {}
        assert_eq!((ring.len(), ring.first()), (0, None));
        ring.make_room(3_000, 0);
        let bytes = ring.bytes();
        for n in 0..20_000_u32 {
            let number = ring.push(n);
            assert_eq!(*ring.get(number), n);
            if n >= 3_000 {
                assert_eq!(ring.pop().map(|(_, n)| n), Some(n - 3_000));
            }
        }
        assert_eq!(ring.bytes(), bytes, "chunks go round");
    }
}

//! Places of one size, in chunks that never move, given out again when they are freed.
//!
//! Path: `take` → the last freed place, else the next fresh one → `get` → `free`. A place is a `u32`, below [`PLACES_MAX`].
//! The list of free places runs through the places themselves, so that freeing allocates nothing. Freed last is given out first:
//! it is the likeliest to be in the cache.

/// Most places of one slab; two bits of a `u32` stay free for those who keep places.
pub(crate) const PLACES_MAX: u32 = 1 << 30;

/// No place.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Places of a chunk: a chunk of 84-byte holds is 84 KiB, taken at once and filled by and by.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 10;

/// What can be kept in a slab: it has room for a place while it is free.
pub(crate) trait Entry: Default {
    /// Makes it a free entry that names the next free place.
    fn set_free(&mut self, next: u32);
    /// The next free place; asked of free entries alone.
    fn next_free(&self) -> u32;
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    /// Places ever given out.
    fresh: u32,
    /// First of the free ones.
    free: u32,
    used: u32,
}

impl<T: Entry> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), fresh: 0, free: NOWHERE, used: 0 }
    }

    /// Places in use.
    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    /// Places ever given out.
    pub(crate) fn places(&self) -> u32 {
        self.fresh
    }

    /// Bytes kept for entries, used or not.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    /// Gives out a place, with `entry` in it.
    ///
    /// # Panics
    /// If all [`PLACES_MAX`] are in use: the caller's own bounds are lower.
    pub(crate) fn take(&mut self, entry: T) -> u32 {
        self.used += 1;
        if self.free != NOWHERE {
            let at = self.free;
            let slot = self.get_mut(at);
            let next = slot.next_free();
            *slot = entry;
            self.free = next;
            return at;
        }
        let at = self.fresh;
        assert!(at < PLACES_MAX, "the limits keep below it");
        if self.chunks.len() == at as usize >> CHUNK_BITS {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[at as usize >> CHUNK_BITS].push(entry);
        self.fresh += 1;
        at
    }

    /// Makes chunks for so many places in all, and writes to every page of them: what is taken later waits for no memory.
    pub(crate) fn make_room(&mut self, places: u32) {
        let chunks = (places.min(PLACES_MAX) as usize).div_ceil(CHUNK);
        while self.chunks.len() < chunks {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.resize_with(CHUNK, T::default);
            chunk.clear();
            self.chunks.push(chunk);
        }
    }

    /// Takes a place back. The caller keeps no copy of it.
    pub(crate) fn free(&mut self, at: u32) {
        let next = self.free;
        self.get_mut(at).set_free(next);
        self.free = at;
        self.used -= 1;
    }

    /// Takes a place back, with what is in it.
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let entry = std::mem::take(self.get_mut(at));
        self.free(at);
        entry
    }

    /// Gives the memory of one chunk back, of a slab that nothing is in and nothing will be; `false`: there was none left.
    pub(crate) fn shrink(&mut self) -> bool {
        debug_assert_eq!(self.used, 0, "what is in use stays where it is");
        (self.fresh, self.free) = (0, NOWHERE);
        self.chunks.pop().is_some()
    }

    pub(crate) fn get(&self, at: u32) -> &T {
        &self.chunks[at as usize >> CHUNK_BITS][at as usize % CHUNK]
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize >> CHUNK_BITS][at as usize % CHUNK]
    }

    /// Every place ever given out with what is in it, free ones included: an order that depends on history.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.chunks.iter().flatten())
    }

    /// Whether every place is either used or on the list of free ones.
    pub(crate) fn check(&self) -> bool {
        let (mut free, mut at) = (0, self.free);
        while at != NOWHERE && free <= self.fresh {
            free += 1;
            at = self.get(at).next_free();
        }
        at == NOWHERE && self.used + free == self.fresh
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, NOWHERE, Slab};

    #[derive(Debug, Default, PartialEq)]
    struct Number(u32);

    impl Entry for Number {
        fn set_free(&mut self, next: u32) {
            self.0 = next;
        }

        fn next_free(&self) -> u32 {
            self.0
        }
    }

    #[test]
    fn freed_places_are_given_out_again_last_first() {
        let mut slab = Slab::new();
        let places: Vec<u32> = (0..3_000).map(|n| slab.take(Number(n))).collect();
        assert_eq!(places, (0..3_000).collect::<Vec<_>>());
        for at in [7, 2_999, 1_024] {
            slab.free(at);
        }
        assert_eq!((slab.len(), slab.check()), (2_997, true));
        let again: Vec<u32> = (0..4).map(|n| slab.take(Number(n))).collect();
        assert_eq!(again, [1_024, 2_999, 7, 3_000]);
        assert_eq!((slab.get(7), slab.get(8), slab.len()), (&Number(2), &Number(8), 3_001));
        assert!(slab.check() && slab.free == NOWHERE);
        let bytes = slab.bytes();
        slab.make_room(10_000);
        let roomy = slab.bytes();
        let more: Vec<u32> = (0..6_999).map(|n| slab.take(Number(n))).collect();
        assert!(more.iter().copied().eq(3_001..10_000), "places go on where they were");
        assert!(bytes < roomy && roomy == slab.bytes() && slab.check());
        assert!(slab.bytes() >= 3_001 * 4);
        assert_eq!((slab.remove(7), slab.remove(8), slab.len()), (Number(2), Number(8), 9_998));
        assert_eq!((slab.take(Number(1)), slab.check()), (8, true));
    }
}

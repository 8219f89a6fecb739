//! A table that grows without moving anything: readers keep their references while the writer appends.
//!
//! Path: position → chunk of the directory (`OnceLock`, made when first needed) → element. The element's fields are atomics,
//! so one thread fills them while others hold a reference; what was filled in before [`Chunks::push`] returns is seen by
//! whoever learns the position from [`Chunks::len`] or through another release and acquire.
//! Bounds: `len_max`, given at the start; it sizes the directory, 16 bytes a chunk. Nothing else is made before it is needed.
//! Deliberately absent: removal, and unsafe code: a `OnceLock` costs one compare beside the pointer it guards.

use crate::sync::{AtomicU32, OnceLock, Ordering};

/// Append-only table of at most `len_max` elements in chunks of `N`, a power of two.
///
/// Any thread reads; one at a time appends. Two that append at once would spoil each other's elements (never memory), so
/// the owner lets only one: by `&mut`, or by a lock.
pub(crate) struct Chunks<T, const N: usize> {
    directory: Box<[OnceLock<Box<[T; N]>>]>,
    len: AtomicU32,
    len_max: u32,
}

impl<T: Default, const N: usize> Chunks<T, N> {
    const SHAPE: () = assert!(N.is_power_of_two() && N <= 1 << 30, "a position splits by shift and mask");

    /// An empty table that never grows beyond `len_max`. Allocates the directory only.
    pub(crate) fn new(len_max: u32) -> Self {
        let () = Self::SHAPE;
        let chunks = (len_max as usize).div_ceil(N);
        Self { directory: (0..chunks).map(|_| OnceLock::new()).collect(), len: AtomicU32::new(0), len_max }
    }

    /// How many elements were pushed: those at `0..len` are there and filled in. Wait-free.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire) // pairs with the release in `push`
    }

    /// The bound given at the start.
    pub(crate) fn len_max(&self) -> u32 {
        self.len_max
    }

    /// The element at `at`. Wait-free, two loads that depend on each other.
    ///
    /// # Panics
    /// If the position was never reached: positions come from this table, so that is a bug here.
    #[inline]
    pub(crate) fn get(&self, at: u32) -> &T {
        let (chunk, within) = (at as usize / N, at as usize % N);
        match self.directory[chunk].get() {
            Some(elements) => &elements[within],
            None => not_made(at),
        }
    }

    /// The element at `at`, or `None` if its chunk is not there, as far as this thread knows. Wait-free.
    pub(crate) fn try_get(&self, at: u32) -> Option<&T> {
        let elements = self.directory.get(at as usize / N)?.get()?;
        Some(&elements[at as usize % N])
    }

    /// The element at `at`, with its chunk made if need be: full of `T::default()`. Any thread may call it; those that need
    /// the same new chunk wait for the one that makes it.
    ///
    /// # Panics
    /// If `at` is not below `len_max`.
    pub(crate) fn reach(&self, at: u32) -> &T {
        assert!(at < self.len_max, "position {at} of at most {}", self.len_max);
        let elements = self.directory[at as usize / N].get_or_init(chunk);
        &elements[at as usize % N]
    }

    /// Makes the chunks of so many elements in all, or of as many as there may be: elements full of `T::default()`, so every page of
    /// them is written to.
    pub(crate) fn make_room(&self, elements: u32) {
        for at in (0..elements.min(self.len_max)).step_by(N) {
            self.reach(at);
        }
    }

    /// Appends: makes room, lets `fill` store into the new element (a `T::default()` that no reader knows yet), then publishes
    /// the new length. One thread at a time. O(1), and once in `N` times the making of a chunk. `None`: the table is full.
    pub(crate) fn push(&self, fill: impl FnOnce(&T)) -> Option<u32> {
        let at = self.len.load(Ordering::Relaxed); // only this thread stores it
        if at >= self.len_max {
            return None;
        }
        fill(self.reach(at));
        self.len.store(at + 1, Ordering::Release); // whoever sees the length sees the chunk and what was filled in
        Some(at)
    }
}

fn chunk<T: Default, const N: usize>() -> Box<[T; N]> {
    let elements: Vec<T> = (0..N).map(|_| T::default()).collect();
    elements.try_into().unwrap_or_else(|_| unreachable!("N elements were collected"))
}

#[cold]
#[inline(never)]
fn not_made(at: u32) -> ! {
    panic!("no chunk has position {at}");
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_are() {
        let table = Chunks::<AtomicU32, 4>::new(10);
        assert_eq!(table.push(|cell| cell.store(7, Ordering::Relaxed)), Some(0));
        let first: *const AtomicU32 = table.get(0);
        for at in 1..10 {
            assert_eq!(table.push(|cell| cell.store(7 + at, Ordering::Relaxed)), Some(at));
        }
        assert_eq!(table.push(|_| panic!("there is no room")), None);
        assert_eq!((table.len(), table.len_max()), (10, 10));
        assert!(std::ptr::eq(first, table.get(0)));
        assert!(table.try_get(9).is_some() && table.try_get(12).is_none() && table.try_get(u32::MAX).is_none());
        assert!((0..10).all(|at| table.get(at).load(Ordering::Relaxed) == 7 + at));
    }

    #[test]
    #[should_panic(expected = "no chunk has position 4")]
    fn a_position_never_reached_is_a_bug() {
        let table = Chunks::<AtomicU32, 4>::new(10);
        table.push(|_| ());
        table.get(4);
    }

    #[test]
    #[should_panic(expected = "position 10 of at most 10")]
    fn the_bound_holds_inside_the_last_chunk() {
        Chunks::<AtomicU32, 4>::new(10).reach(10);
    }

    #[test]
    fn a_directory_entry_is_two_words() {
        assert_eq!(size_of::<OnceLock<Box<[u64; 4]>>>(), 16);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::{model, sync::Arc, thread};

    /// A reader that learns a length finds every element below it, filled in, across the making of chunks.
    #[test]
    fn a_length_covers_filled_elements() {
        model(|| {
            let table = Arc::new(Chunks::<AtomicU32, 2>::new(4));
            let reader = {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    for _ in 0..2 {
                        for at in 0..table.len() {
                            assert_eq!(table.get(at).load(Ordering::Relaxed), at + 1);
                        }
                    }
                })
            };
            for at in 0..3 {
                table.push(|cell| cell.store(at + 1, Ordering::Relaxed));
            }
            reader.join().expect("the reader agrees");
        });
    }

    /// Two threads that reach into the same new chunk get the same elements.
    #[test]
    fn a_chunk_is_made_once() {
        model(|| {
            let table = Arc::new(Chunks::<AtomicU32, 2>::new(2));
            let other = {
                let table = Arc::clone(&table);
                thread::spawn(move || table.reach(1).fetch_add(1, Ordering::Relaxed))
            };
            table.reach(1).fetch_add(1, Ordering::Relaxed);
            other.join().expect("no panic");
            assert_eq!(table.get(1).load(Ordering::Relaxed), 2);
        });
    }
}

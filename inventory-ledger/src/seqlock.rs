//! Reading several columns as one while their single writer changes them: the sequence lock.
//!
//! Path of a write: sequence odd → fence → columns, relaxed → sequence even, release. Path of a read: sequence, acquire →
//! columns, relaxed → fence → the same sequence, else again. Readers write nothing, so they cost the writer nothing but the
//! cache line they look at. A reader that meets a write waits for its end, some nanoseconds unless the writer's thread is
//! taken off its core.
//!
//! Source: Boehm, "Can seqlocks get along with programming language memory models?", 2012: the columns are atomics, so a torn
//! read is discarded rather than undefined.

use crate::sync::{AtomicU32, Ordering, fence, spin_loop};

/// How often a reader looks again at once before it gives its turn on the core to others.
const SPINS_MAX: u32 = 64;

/// A write under way; ends when dropped. Made by the one writer: [`begin`].
#[must_use = "the write ends when this is dropped"]
pub(crate) struct Writing<'a> {
    sequence: &'a AtomicU32,
    begun: u32,
}

/// Begins a write: readers of the columns that `sequence` guards wait, or look again, until the guard is dropped. The stores
/// in between may be relaxed. Plain moves on x86-64.
///
/// # Panics
/// In debug builds, if a write is under way: there is one writer, and it does not nest.
#[inline]
pub(crate) fn begin(sequence: &AtomicU32) -> Writing<'_> {
    let before = sequence.load(Ordering::Relaxed); // only this thread stores it
    debug_assert!(before.is_multiple_of(2), "one write at a time");
    let begun = before.wrapping_add(1);
    sequence.store(begun, Ordering::Relaxed);
    // A reader that sees one of the stores after this fence sees, after its own fence, an odd or later sequence.
    fence(Ordering::Release);
    Writing { sequence, begun }
}

impl Drop for Writing<'_> {
    #[inline]
    fn drop(&mut self) {
        // A reader that sees this sequence sees all columns as stored before it.
        self.sequence.store(self.begun.wrapping_add(1), Ordering::Release);
    }
}

/// What `look` returned when no write went on meanwhile. `look` loads the columns, relaxed, and may be called many times with
/// columns that do not fit each other: it must cope, and have no effects.
///
/// The sequence has 31 bits of writes: a reader stopped for exactly that many between two of its loads would be deceived.
#[inline]
pub(crate) fn read<R>(sequence: &AtomicU32, mut look: impl FnMut() -> R) -> R {
    let mut tries = 0;
    loop {
        let before = sequence.load(Ordering::Acquire);
        if before.is_multiple_of(2) {
            let seen = look();
            fence(Ordering::Acquire); // keeps the look before the second load
            if sequence.load(Ordering::Relaxed) == before {
                return seen;
            }
        }
        tries += 1;
        wait(tries);
    }
}

#[cold]
fn wait(tries: u32) {
    if tries.is_multiple_of(SPINS_MAX) {
        std::thread::yield_now(); // the writer may be waiting for this very core
    } else {
        spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn readers_see_whole_writes() {
        const WRITES: u32 = 200_000;
        let (sequence, columns) = (AtomicU32::new(u32::MAX - 99), [const { AtomicU32::new(0) }; 3]);
        let look = || read(&sequence, || columns.each_ref().map(|column| column.load(Ordering::Relaxed)));
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < WRITES {
                    let [a, b, c] = look();
                    assert!(a == b && b == c && a >= last, "{a} {b} {c} after {last}");
                    last = a;
                }
            });
            for n in 1..=WRITES {
                let _writing = begin(&sequence);
                columns.iter().for_each(|column| column.store(n, Ordering::Relaxed));
            }
            reader.join().expect("the reader agrees");
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::{model, sync::Arc, thread};

    /// Two columns move against each other; a reader never sees their sum changed, nor time go back.
    #[test]
    fn a_reader_sees_no_half_of_a_write() {
        model(|| {
            let row = Arc::new((AtomicU32::new(0), AtomicU32::new(5), AtomicU32::new(0)));
            let reader = {
                let row = Arc::clone(&row);
                thread::spawn(move || read(&row.0, || (row.1.load(Ordering::Relaxed), row.2.load(Ordering::Relaxed))))
            };
            for _ in 0..2 {
                let _writing = begin(&row.0);
                row.1.store(row.1.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
                row.2.store(row.2.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            let (left, right) = reader.join().expect("no panic");
            assert_eq!(left + right, 5);
        });
    }
}

//! The walk along a queue: entries are added behind and dropped in front, and never change in between.
//!
//! Path: `Fifo::new` (how many entries there are) → `dropped` before the oldest entry goes (the queue's owner calls it) → `next` gives what
//! was dropped too early, then where in the queue to go on. What is added after the start is beyond `left`, so it is never met.
//! Bounds: what is put aside are entries dropped before their turn, so at most as many as there were at the start.

use std::collections::VecDeque;

/// Entries of a chunk of what is put aside: it grows without moving anything.
const CHUNK: usize = 256;

/// How far a queue has been walked.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    /// Entries at the front that were given out.
    given: usize,
    /// Entries after those that are still to be given out.
    left: usize,
    /// Dropped before they were given out, oldest first.
    old: VecDeque<VecDeque<T>>,
}

/// What comes next.
pub(crate) enum Next<T> {
    /// It is in the queue no more.
    Old(T),
    /// It is so many entries behind the oldest.
    At(usize),
}

impl<T> Fifo<T> {
    /// A walk along a queue of so many entries.
    pub(crate) fn new(len: usize) -> Self {
        Self { given: 0, left: len, old: VecDeque::new() }
    }

    /// The oldest entry is being dropped: keeps what `old` makes of it, if its turn has not come.
    pub(crate) fn dropped(&mut self, old: impl FnOnce() -> T) {
        if self.given > 0 {
            self.given -= 1;
        } else if self.left > 0 {
            self.left -= 1;
            if self.old.back().is_none_or(|last| last.len() == CHUNK) {
                self.old.push_back(VecDeque::with_capacity(CHUNK));
            }
            self.old.back_mut().expect("just made").push_back(old());
        }
    }

    /// The next entry, oldest first; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Next<T>> {
        if let Some(oldest) = self.old.front_mut() {
            let old = oldest.pop_front().expect("an empty chunk is not kept");
            if oldest.is_empty() {
                self.old.pop_front();
            }
            return Some(Next::Old(old));
        }
        self.left = self.left.checked_sub(1)?;
        self.given += 1;
        Some(Next::At(self.given - 1))
    }

    /// Bytes of what is put aside, without what it points to.
    pub(crate) fn bytes(&self) -> usize {
        self.old.len() * CHUNK * size_of::<T>()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::{Fifo, Next};

    proptest! {
        #[test] // Whatever is added and dropped in between, exactly the entries of the start are given, in order.
        fn the_queue_as_it_was(len in 0..1_200_u32, steps in prop::collection::vec((0..4_usize, 0..400_usize), 0..40)) {
            let mut queue: VecDeque<u32> = (0..len).collect();
            let mut walk = Fifo::new(queue.len());
            let (mut given, mut fresh) = (Vec::new(), len);
            let mut next = |walk: &mut Fifo<u32>, queue: &VecDeque<u32>| {
                let next = walk.next().map(|next| match next {
                    Next::Old(entry) => entry,
                    Next::At(at) => queue[at],
                });
                given.extend(next);
                next.is_some()
            };
            for (what, times) in steps {
                for _ in 0..times {
                    match what {
                        0 => {
                            queue.push_back(fresh);
                            fresh += 1;
                        }
                        1 | 2 => {
                            if let Some(&oldest) = queue.front() {
                                walk.dropped(|| oldest);
                                queue.pop_front();
                            }
                        }
                        _ => drop(next(&mut walk, &queue)),
                    }
                }
            }
            while next(&mut walk, &queue) {}
            prop_assert_eq!(walk.bytes(), 0);
            prop_assert_eq!(given, (0..len).collect::<Vec<_>>());
        }
    }
}

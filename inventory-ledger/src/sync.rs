//! Atomics and what else threads share, from one place: the standard library's, or loom's under `cfg(loom)`.
//!
//! Everything in this crate that two threads touch takes its types from here, so that the tests named `loom` walk the
//! interleavings of the very code that runs. `ORDERINGS.md` says of each atomic why its orderings are enough.

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

#[cfg(loom)]
pub(crate) use self::once::OnceLock;
#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
    thread::yield_now as spin_loop, // tells loom that this thread waits for another
};

pub(crate) use self::turn::Turn;

/// A lock around nothing, for what threads may only do one at a time. For rare work: it puts threads to sleep.
#[cfg_attr(not(loom), expect(clippy::disallowed_types, reason = "for opening rows of a shared ledger, which the shards do not use"))]
mod turn {
    #[cfg(loom)]
    use loom::sync::{Mutex, MutexGuard};
    #[cfg(not(loom))]
    use std::sync::{Mutex, MutexGuard};

    pub(crate) struct Turn(Mutex<()>);

    impl Turn {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(()))
        }

        /// This thread's turn, until what is returned is dropped. Also after a thread panicked in its own: what it left is the
        /// caller's to judge.
        pub(crate) fn take(&self) -> MutexGuard<'_, ()> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

/// loom has no `OnceLock`. This one makes the promise of the standard library's and no more: who sees the value sees what
/// was done before it was set.
#[cfg(loom)]
mod once {
    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) struct OnceLock<T> {
        set: AtomicBool,
        making: Mutex<()>,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self { set: AtomicBool::new(false), making: Mutex::new(()), value: std::sync::OnceLock::new() }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.set.load(Ordering::Acquire) { self.value.get() } else { None }
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if let Some(value) = self.get() {
                return value;
            }
            let _one_at_a_time = self.making.lock().expect("no thread panics while it makes a value");
            let value = self.value.get_or_init(make);
            self.set.store(true, Ordering::Release);
            value
        }
    }
}

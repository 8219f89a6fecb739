//! Drivers: the only code of the engine that does I/O, and the one place where clocks are read.
//!
//! Path: threads outside and the disk → a driver → [`Input`](super::Input) → `ShardCore` → [`Output`](super::Output) → the driver → disk, other shards, callers.
//! [`glommio`] runs each shard on an executor pinned to a core. A driver makes no decision: what to write, refuse or answer is the core's.

pub mod glommio;

use super::Now;
use std::time::{Duration, Instant, SystemTime};
use wire::Millis;

/// The clocks of a shard or a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins at zero.
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
        Self { start: Instant::now() }
    }

    /// Reads both clocks: two calls into the kernel's page, no system call.
    pub(crate) fn now(&self) -> Now {
        #[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
        let wall = SystemTime::now();
        // Before 1970 the clock is plainly wrong; the core then goes on from the last entry's time.
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Now { wall: Millis(millis), mono_us: u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX) }
    }

    /// Since [`Clock::start`].
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

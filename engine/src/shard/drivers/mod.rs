//! Drivers: the only code of the engine that does I/O, and the one place where clocks are read.
//!
//! Path: threads outside and the disk → a driver → [`Input`](super::Input) → `ShardCore` → [`Output`](super::Output) → the driver → disk, other shards, callers.
//! Two make the same shop: [`glommio`] runs each shard on an executor pinned to a core and writes by io_uring; [`portable`] on an ordinary thread, with
//! ordinary files. What they share is the loop (`turns`) and the ways into it (`queue`, `link`). A driver makes no decision: what to write, refuse or
//! answer is the core's. Read first: [`spawn`], then `turns`.

pub(crate) mod files;
mod glommio;
mod hand;
mod link;
mod nodes;
mod portable;
pub(crate) mod queue;
mod segments;
pub(crate) mod turns;

use super::{Now, core::ShardCore};
use crate::config::Driver;
use std::time::{Duration, Instant, SystemTime};
use turns::Setup;
use wire::Millis;

/// A shard's thread.
pub(crate) enum Thread {
    /// Of [`Driver::Glommio`].
    Glommio(::glommio::ExecutorJoinHandle<()>),
    /// Of [`Driver::Portable`].
    Portable(std::thread::JoinHandle<()>),
}

impl Thread {
    /// Waits until it has ended; the text says what went wrong on it.
    pub(crate) fn join(self) -> Result<(), String> {
        match self {
            Self::Glommio(thread) => thread.join().map_err(|error| error.to_string()),
            Self::Portable(thread) => thread.join().map_err(|_| "it panicked".to_owned()),
        }
    }
}

/// Starts a shard's thread. `make` runs on it, may block, and makes the core once the logs are read; without one the thread ends.
///
/// # Errors
/// What the system or the driver's runtime says when there is no thread to be had.
pub(crate) fn spawn(
    driver: Driver,
    setup: Setup,
    make: impl FnOnce(Clock) -> Option<ShardCore> + Send + 'static,
) -> Result<Thread, String> {
    match driver {
        Driver::Glommio => glommio::spawn(setup, make).map(Thread::Glommio).map_err(|error| error.to_string()),
        Driver::Portable => portable::spawn(setup, make).map(Thread::Portable).map_err(|error| error.to_string()),
    }
}

/// Ends the process, saying why in one line. After a failed write or sync nobody can know what is on the disk, and after a fault of our own
/// nobody can know what the memory holds; the log can, so the way on is a new start.
fn end_process(why: &str) -> ! {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{why}; the process ends. Nothing that was answered is lost");
    } else {
        eprintln!("emporion: {why}; the process ends. Nothing that was answered is lost");
    }
    std::process::abort()
}

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

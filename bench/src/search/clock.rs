//! What one thread spent: by the clock on the wall, and on a core.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// A result and what it took.
pub(crate) struct Spent<T> {
    pub(crate) value: T,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// Runs it on this thread.
#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> Spent<T> {
    let begun = Instant::now();
    let before = on_core();
    let value = work();
    let cpu = on_core().saturating_sub(before);
    Spent { value, wall: begun.elapsed(), cpu }
}

/// Time of this thread on a core. Unlike `/proc` it tells single microseconds.
fn on_core() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

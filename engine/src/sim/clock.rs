//! The machine's clocks: true time, a wall clock that is set wrong and right again, and a monotonic clock that is honest.
//!
//! Bound: the wall is at most [`SKEW_MS_MAX`] from true time, and [`WILD_MS_MAX`] at one machine of some clusters. That is more than the life of a reservation's id, so some ids are found too old or too new.

use crate::shard::Now;
use wire::Millis;

/// True time when a run begins.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// How far the wall clock may be off.
pub(super) const SKEW_MS_MAX: u64 = 15 * 60 * 1_000;
/// How far it may be off at the one machine of a cluster whose clock is wild.
pub(super) const WILD_MS_MAX: u64 = 60 * 60 * 1_000;

/// Reads true time, in microseconds since the run began, as the machine's clocks show it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    skew_ms: i64,
    is_wild: bool,
    /// True time when the process started: its monotonic clock begins somewhere.
    booted_us: u64,
}

impl Clock {
    /// A process starts: its monotonic clock is another.
    pub(super) fn boot(&mut self, time_us: u64) {
        self.booted_us = time_us;
    }

    /// Somebody sets the wall clock, by so much off true time.
    pub(super) fn set_skew(&mut self, ms: i64) {
        let max = if self.is_wild { WILD_MS_MAX } else { SKEW_MS_MAX }.cast_signed();
        self.skew_ms = ms.clamp(-max, max);
    }

    /// From now on it may be off by more than the others.
    pub(super) fn go_wild(&mut self, ms: i64) {
        self.is_wild = true;
        self.set_skew(ms);
    }

    pub(super) fn is_wild(&self) -> bool {
        self.is_wild
    }

    /// Off true time.
    pub(super) fn skew_ms(&self) -> i64 {
        self.skew_ms
    }

    pub(super) fn now(&self, time_us: u64) -> Now {
        let wall = true_ms(time_us).saturating_add_signed(self.skew_ms);
        Now { wall: Millis(wall), mono_us: time_us - self.booted_us }
    }
}

/// True time as milliseconds since 1970: what the clients' clocks show.
pub(super) fn true_ms(time_us: u64) -> u64 {
    EPOCH_MS + time_us / 1_000
}

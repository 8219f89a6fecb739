//! The time that goes into the log.
//!
//! Path: the driver's [`Now`] → [`LogClock::stamp`] → entries. Entry time never goes back and, while this shard leads, advances at most
//! 1.1 times as fast as the monotonic clock: a wall clock that jumps ahead cannot end every hold at once, and one that jumps back
//! cannot stop expiry.

use crate::shard::Now;
use wire::Millis;

/// Behind the last entry by more than this, the wall clock is not believed; time goes on with the monotonic clock.
const BEHIND_US_MAX: u64 = 1_000_000;

/// Stamps entries.
#[derive(Debug)]
pub(crate) struct LogClock {
    last_us: u64,
    last_mono_us: u64,
    /// The wall clock is not believed: it is far from other nodes'.
    is_slewed: bool,
}

impl LogClock {
    /// A clock that goes on after `last`, the time of the newest entry.
    pub(crate) fn new(last: Millis, now: Now) -> Self {
        Self { last_us: last.0.max(now.wall.0).saturating_mul(1_000), last_mono_us: now.mono_us, is_slewed: false }
    }

    /// A lead begins, and nothing else is led: goes on from what is known to be now, however far this node's own clock was.
    pub(crate) fn begin(&mut self, known: Millis, now: Now) {
        (self.last_us, self.last_mono_us) = (known.0.saturating_mul(1_000), now.mono_us);
    }

    /// Does not stamp anything earlier than `time`, which another node stamped.
    pub(crate) fn not_before(&mut self, time: Millis) {
        self.last_us = self.last_us.max(time.0.saturating_mul(1_000));
    }

    /// Is the wall clock to be believed? From here on it is followed, or only the monotonic clock is. Says whether that is new.
    pub(crate) fn believe(&mut self, is_believed: bool, now: Now) -> bool {
        if self.is_slewed != is_believed {
            return false;
        }
        // What passed until now is stamped as it was.
        self.stamp(now);
        self.is_slewed = !is_believed;
        true
    }

    /// The time for an entry made now.
    pub(crate) fn stamp(&mut self, now: Now) -> Millis {
        let elapsed = now.mono_us.saturating_sub(self.last_mono_us);
        let wall_us = now.wall.0.saturating_mul(1_000);
        let next = if self.is_slewed || wall_us.saturating_add(BEHIND_US_MAX) < self.last_us {
            self.last_us + elapsed
        } else {
            wall_us.clamp(self.last_us, self.last_us + elapsed + elapsed / 10)
        };
        (self.last_us, self.last_mono_us) = (next, now.mono_us.max(self.last_mono_us));
        Millis(next / 1_000)
    }

    /// The monotonic time at which entries are stamped `due`, if the wall clock runs evenly, microseconds.
    pub(crate) fn mono_at(&self, due: Millis) -> u64 {
        self.last_mono_us + due.0.saturating_mul(1_000).saturating_sub(self.last_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: the newest entry and the wall at start, then (wall, mono) in ms and the stamps they give.
    fn stamps_follow_the_wall_within_bounds() {
        type Row = (u64, u64, &'static [(u64, u64)], &'static [u64]);
        let rows: [Row; 4] = [
            (0, 10_000, &[(10_000, 0), (10_100, 100)], &[10_000, 10_100]),
            (0, 10_000, &[(99_000, 100), (99_100, 200)], &[10_110, 10_220]), // a jump ahead is slewed
            (0, 10_000, &[(5_000, 100), (5_100, 200)], &[10_100, 10_200]),   // a jump back is not believed
            (20_000, 19_500, &[(19_600, 100), (20_200, 700)], &[20_000, 20_200]), // slightly behind: wait for it
        ];
        for (last, start, readings, stamps) in rows {
            let at = |wall, mono| Now { wall: Millis(wall), mono_us: mono * 1_000 };
            let mut clock = LogClock::new(Millis(last), at(start, 0));
            let found: Vec<u64> = readings.iter().map(|(wall, mono)| clock.stamp(at(*wall, *mono)).0).collect();
            assert_eq!(found, stamps, "last {last} start {start} {readings:?}");
        }
    }
}

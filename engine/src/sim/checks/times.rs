//! The time in the log, which all that expires goes by.
//!
//! Path: an entry is durable somewhere for the first time → [`Times::stamped`]: within a lead time goes hardly faster than a clock that is right, and nobody's
//! clock alone puts it far ahead. An entry is committed → [`Times::committed`]: time never goes back.
//! Stamps are seen only when they are durable, so bounds are wide: jumps of minutes are looked for, not of milliseconds.

use super::{Violation, must};
use crate::sim::clock::true_ms;
use std::collections::BTreeMap;
use wire::{Millis, PartitionId};

/// From a stamp to when it is seen, at most: a stall, a slow disk; and what a clock may gain that is followed at 1.1 times.
const SEEN_MS_MAX: u64 = 15_000;

/// See above.
pub(in crate::sim) struct Times {
    /// Of the newest committed entry of each partition.
    last: Vec<Millis>,
    /// The first stamp of each lead, by partition and term, and when it was seen.
    begun: BTreeMap<(PartitionId, u64), (u64, u64)>,
    /// So far ahead of true time two clocks of the cluster were at least, at some moment. Only where that is known ([`Times::clocks`]).
    ahead_ms: Option<u64>,
    /// Somebody had a say alone: such a node believes its own clock as long as it hears nobody.
    was_alone: bool,
    /// The clock that was furthest ahead ever.
    furthest_ms: u64,
}

impl Times {
    pub(super) fn new(partitions: u16) -> Self {
        Self { last: vec![Millis(0); usize::from(partitions)], begun: BTreeMap::new(), ahead_ms: None, was_alone: false, furthest_ms: 0 }
    }

    /// The clocks of a cluster are set so: what the second one of them shows may be in the log.
    pub(in crate::sim) fn clocks(&mut self, skews_ms: impl Iterator<Item = i64>) {
        let mut skews: Vec<i64> = skews_ms.collect();
        skews.sort_unstable();
        let second = skews.len().checked_sub(2).map_or(0, |second| skews[second].max(0).cast_unsigned());
        self.ahead_ms = Some(self.ahead_ms.unwrap_or(0).max(second));
        self.furthest_ms = self.furthest_ms.max(skews.last().map_or(0, |furthest| (*furthest).max(0).cast_unsigned()));
    }

    /// One node has a say alone.
    pub(super) fn alone(&mut self) {
        self.was_alone = true;
    }

    /// An entry is durable on a machine.
    pub(super) fn stamped(&mut self, id: PartitionId, term: u64, time_ms: u64, at_us: u64) -> Result<(), Violation> {
        let place = id.0;
        if let Some(ahead_ms) = self.ahead_ms {
            let ahead_ms = if self.was_alone { self.furthest_ms } else { ahead_ms };
            let most = true_ms(at_us) + ahead_ms + SEEN_MS_MAX;
            must(time_ms <= most, || {
                format!(
                    "an entry of partition {place} in term {term} is stamped {} ms ahead of what two clocks ever showed",
                    time_ms - most
                )
            })?;
            let (first, seen_us) = *self.begun.entry((id, term)).or_insert((time_ms, at_us));
            let passed = at_us.saturating_sub(seen_us) / 1_000;
            must(time_ms <= first + passed + passed / 10 + SEEN_MS_MAX + ahead_ms, || {
                format!("in term {term} of partition {place} entries are stamped {} ms apart within {passed} ms", time_ms - first)
            })?;
        }
        Ok(())
    }

    /// An entry is committed.
    pub(super) fn committed(&mut self, id: PartitionId, time: Millis) -> Result<(), Violation> {
        let last = &mut self.last[usize::from(id.0)];
        if time.0 > 0 {
            must(time >= *last, || format!("an entry of partition {} is stamped {}, and the one before it {}", id.0, time.0, last.0))?;
            *last = time;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: stamps in one lead, as milliseconds from the beginning, each with when it is seen; and whether that can be.
    fn time_goes_on_and_not_far_ahead() {
        type Row = (&'static [i64], &'static [(u64, u64)], bool);
        let rows: [Row; 5] = [
            (&[0, 0, 0], &[(0, 0), (100, 110), (100, 120)], true),
            (&[0, 0, 3_600_000], &[(3_600_000, 0)], false),        // one clock is wrong
            (&[0, 3_600_000, 3_600_000], &[(3_600_000, 0)], true), // nobody can tell
            (&[0, 0, 0], &[(100, 0), (99, 10)], false),
            (&[0, 0, 0], &[(0, 0), (60_000, 20_000)], false),
        ];
        for (skews, stamps, is_fine) in rows {
            let mut times = Times::new(1);
            times.clocks(skews.iter().copied());
            let mut all = stamps.iter().map(|(ms, at)| {
                let time = true_ms(0) + ms;
                times.stamped(PartitionId(0), 1, time, at * 1_000).and_then(|()| times.committed(PartitionId(0), Millis(time)))
            });
            assert_eq!(all.all(|is| is.is_ok()), is_fine, "{skews:?} {stamps:?}");
        }
    }
}

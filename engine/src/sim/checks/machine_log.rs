//! What the disk of one machine durably has of every partition's log.
//!
//! Path: records of batches that were reported durable, in the order of the log → [`MachineLog::take`] → [`MachineLog::mark`], which the shadow asks for
//! when an entry is applied. Of what a start finds a new one is made, in the same way, and [`MachineLog::must_have`] holds it against the one before.
//! The order of the log is never undone, so a step back is a record of its own: this has what is left after it.
//! Bounds: a mark of each entry of a run, and bodies as long as they may still be needed.

use super::{Violation, must};
use crate::log::{EntryVariant, Record, RecordKind};
use wire::{Millis, PartitionId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A record as logged, of its own.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Logged {
    kind: RecordKind,
    partition: u16,
    term: u64,
    index: u64,
    time_ms: u64,
    body: Vec<u8>,
}

impl Logged {
    /// A record about a partition; `None` for the others.
    pub(in crate::sim) fn of(record: &Record<'_>) -> Option<Self> {
        let Record { kind, partition, term, index, time_ms, body } = *record;
        match kind {
            RecordKind::Entry(_)
            | RecordKind::OverwriteFrom
            | RecordKind::SnapshotMark
            | RecordKind::HardState
            | RecordKind::Membership => Some(Self { kind, partition, term, index, time_ms, body: body.to_vec() }),
            RecordKind::DurableMark | RecordKind::LogEnd => None,
        }
    }

    pub(in crate::sim) fn record(&self) -> Record<'_> {
        let Self { kind, partition, term, index, time_ms, ref body } = *self;
        Record { kind, partition, term, index, time_ms, body }
    }
}

/// What tells an entry from any other that may stand at its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Mark {
    pub(in crate::sim) term: u64,
    hash: u64,
}

impl Mark {
    fn of(variant: EntryVariant, record: &Record<'_>) -> Self {
        // Times have far fewer than 56 bits.
        let seed = record.time_ms ^ ((variant as u64) << 56);
        Self { term: record.term, hash: xxh3_64_with_seed(record.body, seed) }
    }
}

/// An entry on the disk.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Held {
    pub(in crate::sim) mark: Mark,
    pub(in crate::sim) variant: EntryVariant,
    pub(in crate::sim) time: Millis,
    /// Empty once nobody needs it.
    pub(in crate::sim) body: Vec<u8>,
}

/// An entry that a later record made void.
#[derive(Clone, Copy, Debug)]
struct Void {
    index: u64,
    mark: Mark,
    /// Of the leader that did.
    by_term: u64,
}

/// One partition's log.
#[derive(Clone, Debug, Default)]
struct PartitionLog {
    /// A snapshot has everything up to here.
    base: u64,
    /// From `base + 1` on.
    held: Vec<Held>,
    void: Vec<Void>,
    /// Term of the leader that made entries void last.
    overwritten_in: u64,
}

impl PartitionLog {
    fn last(&self) -> u64 {
        self.base + self.held.len() as u64
    }

    /// Where the entry is in `held`.
    fn place(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.base + 1)?).ok()
    }

    fn get(&self, index: u64) -> Option<&Held> {
        self.held.get(self.place(index)?)
    }

    fn append(&mut self, variant: EntryVariant, record: &Record<'_>, keeps: bool) -> Result<(), Violation> {
        let Record { partition, term, index, time_ms, body, .. } = *record;
        let wanted = self.last() + 1;
        must(index == wanted, || format!("entry {index} of partition {partition} was logged where {wanted} belongs"))?;
        let before = self.held.last().map_or(0, |held| held.mark.term);
        must(term >= before, || format!("entry {index} of partition {partition} has term {term}, and the one before it {before}"))?;
        let mark = Mark::of(variant, record);
        let body = if keeps { body.to_vec() } else { Vec::new() };
        self.held.push(Held { mark, variant, time: Millis(time_ms), body });
        Ok(())
    }

    fn overwrite_from(&mut self, record: &Record<'_>) -> Result<(), Violation> {
        let Record { partition, term, index, .. } = *record;
        let wanted = self.last() + 1;
        must(index <= wanted, || format!("entries of partition {partition} are made void from {index} on, and {wanted} is the next"))?;
        // What a snapshot has is not undone. It may be newer than this record, which a recovery meets all the same.
        let from = self.place(index).unwrap_or(0);
        let first = self.base + 1 + from as u64;
        let void = self.held.drain(from..).zip(first..).map(|(held, index)| Void { index, mark: held.mark, by_term: term });
        self.void.extend(void);
        self.overwritten_in = term;
        Ok(())
    }

    fn jump_to(&mut self, record: &Record<'_>) -> Result<(), Violation> {
        let Record { partition, term, index, .. } = *record;
        if index > self.last() {
            (self.base, self.held) = (index, Vec::new());
            return Ok(());
        }
        // One of its own, or of what it has already. Were it of other entries, a replay would go on with the wrong ones.
        let there = self.get(index).map_or(term, |held| held.mark.term);
        must(there == term, || {
            format!("a snapshot of partition {partition} ends with entry {index} of term {term}, and the log has one of term {there} there")
        })
    }

    /// Was the entry there, until a leader of a term above `after` made it void?
    fn was_made_void(&self, index: u64, mark: Mark, after: u64) -> bool {
        self.void.iter().any(|void| void.index == index && void.mark == mark && void.by_term > after)
    }

    /// See [`MachineLog::must_have`].
    fn must_have(&self, before: &Self, place: usize) -> Result<u64, Violation> {
        let (has, had) = (self.last(), before.last());
        let is_missing = || Violation::new(format!("partition {place} has {has} entries after a restart, and {had} were reported durable"));
        if has < before.base {
            return Err(is_missing());
        }
        for (held, index) in before.held.iter().zip(before.base + 1..) {
            let found = self.get(index).map(|found| found.mark);
            // A leader's overwriting that was on its way, and survived. Terms of leaders only rise, so it is told from one reported before.
            if index <= self.base || found == Some(held.mark) || self.was_made_void(index, held.mark, before.overwritten_in) {
                continue;
            }
            return Err(match found {
                Some(_) => Violation::new(format!("entry {index} of partition {place} is another one after a restart")),
                None => is_missing(),
            });
        }
        let is_new = |(held, index): (&Held, u64)| index > before.base && before.get(index).is_none_or(|had| had.mark != held.mark);
        Ok(self.held.iter().zip(self.base + 1..).filter(|entry| is_new(*entry)).count() as u64)
    }
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(in crate::sim) struct MachineLog {
    partitions: Vec<PartitionLog>,
}

impl MachineLog {
    /// An empty disk.
    pub(in crate::sim) fn new(partitions: u16) -> Self {
        Self { partitions: (0..partitions).map(|_| PartitionLog::default()).collect() }
    }

    /// A recovery begins with a snapshot that has everything up to `index`.
    pub(in crate::sim) fn begin_behind(&mut self, id: PartitionId, index: u64) {
        self.partitions[usize::from(id.0)] = PartitionLog { base: index, ..PartitionLog::default() };
    }

    /// The next record of the log is durable. Bodies of entries up to `canonical` are not kept: those that are, and others that never will be.
    ///
    /// # Errors
    /// When it does not follow.
    pub(in crate::sim) fn take(&mut self, record: &Record<'_>, canonical: u64) -> Result<(), Violation> {
        let log = &mut self.partitions[usize::from(record.partition)];
        match record.kind {
            RecordKind::Entry(variant) => log.append(variant, record, record.index > canonical),
            RecordKind::OverwriteFrom => log.overwrite_from(record),
            RecordKind::SnapshotMark => log.jump_to(record),
            RecordKind::HardState | RecordKind::Membership | RecordKind::DurableMark | RecordKind::LogEnd => Ok(()),
        }
    }

    /// Index of the last entry inside the snapshot that the log begins behind.
    pub(in crate::sim) fn base(&self, id: PartitionId) -> u64 {
        self.partitions[usize::from(id.0)].base
    }

    /// Index of the last entry, one inside a snapshot included.
    pub(in crate::sim) fn last(&self, id: PartitionId) -> u64 {
        self.partitions[usize::from(id.0)].last()
    }

    /// Index of the last change of members that is no part of a snapshot; 0 without one.
    pub(in crate::sim) fn last_change(&self, id: PartitionId) -> u64 {
        let log = &self.partitions[usize::from(id.0)];
        let change = log.held.iter().rposition(|held| held.variant != EntryVariant::Command);
        change.map_or(0, |place| log.base + 1 + place as u64)
    }

    /// The entry at an index; `None` where there is none, and inside a snapshot.
    pub(in crate::sim) fn mark(&self, id: PartitionId, index: u64) -> Option<Mark> {
        self.partitions[usize::from(id.0)].get(index).map(|held| held.mark)
    }

    /// Gives the entry at an index with its body, and lets go of that: from then on the index is canonical.
    pub(in crate::sim) fn let_go(&mut self, id: PartitionId, index: u64) -> Option<Held> {
        let log = &mut self.partitions[usize::from(id.0)];
        let place = log.place(index)?;
        let held = log.held.get_mut(place)?;
        Some(Held { body: std::mem::take(&mut held.body), ..held.clone() })
    }

    /// After a start: everything that was reported durable `before` is here, the same, or inside a snapshot, or was made void since. Gives the number of
    /// entries that were on their way when the process ended, and survived.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(in crate::sim) fn must_have(&self, before: &Self) -> Result<u64, Violation> {
        let both = self.partitions.iter().zip(&before.partitions).enumerate();
        both.map(|(place, (found, before))| found.must_have(before, place)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PartitionId = PartitionId(0);

    /// Puts a history into a log. `index@term` is an entry, `<index@term` overwrites from there, `!index@term` is a snapshot's mark, `=index` a snapshot
    /// that a recovery begins with. The body of an entry is its term.
    fn put(log: &mut MachineLog, history: &str) -> Result<(), Violation> {
        for word in history.split_whitespace() {
            let (place, term) = word.split_once('@').unwrap_or((word, "0"));
            let index = place.trim_start_matches(['<', '!', '=']).parse().expect("an index");
            let number = term.parse().expect("a term");
            let entry = Record::entry(ID.0, number, index, 7, term.as_bytes());
            match word.as_bytes()[0] {
                b'=' => log.begin_behind(ID, index),
                b'<' => log.take(&Record::overwrite_from(ID.0, number, index), 0)?,
                b'!' => log.take(&Record { kind: RecordKind::SnapshotMark, ..entry }, 0)?,
                _ => log.take(&entry, 0)?,
            }
        }
        Ok(())
    }

    fn log(history: &str) -> MachineLog {
        let mut log = MachineLog::new(1);
        put(&mut log, history).expect("a history that can be");
        log
    }

    /// What it has, as a history.
    fn told(log: &MachineLog) -> String {
        let of = &log.partitions[0];
        let base = (of.base > 0).then(|| format!("={}", of.base));
        let entries = of.held.iter().zip(of.base + 1..).map(|(held, index)| format!("{index}@{}", held.mark.term));
        base.into_iter().chain(entries).collect::<Vec<_>>().join(" ")
    }

    #[test] // Each row: a history, and what is left of it, or the first words of what is wrong.
    fn a_log_has_what_its_records_leave() {
        for (history, left) in [
            ("1@1 2@1 3@2", "1@1 2@1 3@2"),
            ("1@1 3@1", "entry 3 of partition 0 was logged where 2 belongs"),
            ("1@1 1@1", "entry 1 of partition 0 was logged where 2 belongs"),
            ("1@2 2@1", "entry 2 of partition 0 has term 1, and the one before it 2"),
            ("1@1 2@1 3@1 <2@2 2@2", "1@1 2@2"),
            ("1@1 <2@2 2@2", "1@1 2@2"), // nothing was there to be made void
            ("1@1 <3@2", "entries of partition 0 are made void from 3 on, and 2 is the next"),
            ("1@1 !5@3 6@3", "=5 6@3"),
            ("1@1 2@2 !1@1", "1@1 2@2"), // of its own
            ("1@1 2@2 !1@2", "a snapshot of partition 0 ends with entry 1 of term 2, and the log has one of term 1 there"),
            ("=4 5@1 <5@2 5@2", "=4 5@2"),
            ("=6 7@1 <6@2 7@2", "=6 7@2"), // the snapshot is newer than the overwriting, and has the other entry 6
        ] {
            let mut log = MachineLog::new(1);
            let is = put(&mut log, history).map_or_else(|wrong| wrong.to_string(), |()| told(&log));
            assert_eq!(is, left, "history {history}");
        }
    }

    #[test] // Each row: what was reported, what a start found, and how many entries survived, or what is wrong.
    fn a_start_finds_what_was_reported() {
        for (reported, found, says) in [
            ("1@1 2@1", "1@1 2@1", "0"),
            ("1@1 2@1", "1@1 2@1 3@1", "1"),
            ("1@1 2@1", "1@1", "partition 0 has 1 entries after a restart, and 2 were reported durable"),
            ("1@1 2@1", "1@1 2@2", "entry 2 of partition 0 is another one after a restart"),
            ("1@1 2@1", "=2 3@1", "1"),
            ("1@1 2@1", "=1 2@1", "0"),
            ("=5 6@1", "1@1 2@1 3@1 4@1 5@1 6@1", "0"), // the snapshot is gone, and the log has everything in it
            ("=5", "1@1 2@1", "partition 0 has 2 entries after a restart, and 5 were reported durable"),
            ("1@1 2@1 3@1", "1@1 2@1 3@1 <2@2 2@2", "1"), // the overwriting was on its way
            ("1@1 2@1 3@1", "1@1 2@1 <2@2 2@2", "partition 0 has 2 entries after a restart, and 3 were reported durable"),
            // The last overwriting was reported and is lost: that the same entry was there before does not help.
            ("1@1 2@1 <2@2 2@2 <2@3 2@1", "1@1 2@1 <2@2 2@2", "entry 2 of partition 0 is another one after a restart"),
            ("1@1", "1@1 !9@2 10@2", "1"),
            ("1@1 2@1 3@1 4@1", "1@1 2@1 3@1 4@1 <2@2 2@2 !3@2", "0"), // what was made void stays so behind a peer's snapshot
        ] {
            let is = log(found).must_have(&log(reported)).map_or_else(|wrong| wrong.to_string(), |survived| survived.to_string());
            assert_eq!(is, says, "reported {reported}, found {found}");
        }
    }

    #[test]
    fn a_mark_tells_what_is_not_the_same_and_stays_when_the_body_goes() {
        let entry = Record::entry(ID.0, 1, 1, 7, b"one");
        let others = [
            Record { term: 2, ..entry },
            Record { time_ms: 8, ..entry },
            Record { body: b"two", ..entry },
            Record { kind: RecordKind::Entry(EntryVariant::MemberChange), ..entry },
        ];
        let mark = |record: &Record<'_>| {
            let mut log = MachineLog::new(1);
            log.take(record, 0).expect("the first");
            let before = log.mark(ID, 1);
            assert_eq!(log.let_go(ID, 1).map(|held| held.body), Some(record.body.to_vec()));
            assert_eq!(log.mark(ID, 1), before);
            let mut without = MachineLog::new(1);
            without.take(record, 1).expect("the first");
            assert_eq!(without.mark(ID, 1), before);
            assert_eq!(without.let_go(ID, 1).map(|held| held.body), Some(Vec::new()));
            before
        };
        assert!(others.iter().all(|other| mark(other) != mark(&entry)));
    }
}

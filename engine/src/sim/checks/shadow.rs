//! A second life of the state: every entry that was reported durable, applied once more, and compared with the state of the node.
//!
//! Path: a batch is reported → [`Shadow::durable`], in the order of the log → partitions of its own → [`Shadow::compare`] after the node applied it: cheap
//! each time, by digest every [`DIGEST_EVERY`] entries. A start → [`Shadow::recovered`] for each entry that the recovery found: those known must be the
//! same, new ones were on their way when the process ended → [`Shadow::end_recovery`]: nothing known is missing, and all digests agree.
//! Bound: a hash of each entry of a run.

use super::Violation;
use crate::{
    partition::{Applied, Changes, Partition, Restore},
    record::{self, v1::Command},
};
use std::collections::{BTreeMap, BTreeSet};
use wire::{HoldId, Millis, PartitionId, Position, Seq};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// So often the whole state of a partition is compared, in its entries.
pub(in crate::sim) const DIGEST_EVERY: u64 = 256;

/// An entry as logged.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Logged {
    pub(in crate::sim) partition: PartitionId,
    pub(in crate::sim) index: u64,
    pub(in crate::sim) time: Millis,
    pub(in crate::sim) body: Vec<u8>,
}

/// A partition is frozen and written out, a little at each entry that it takes meanwhile.
struct Walk {
    place: usize,
    /// Of the state when it was frozen.
    digest: u64,
    chunks: Vec<Vec<u8>>,
}

/// Entries between the freezes.
const FREEZE_EVERY: u64 = 200;
/// Bytes written out at each entry.
const WALK_BYTES: usize = 1_500;

/// See above.
pub(in crate::sim) struct Shadow {
    partitions: Vec<Partition>,
    /// Of each entry, by partition: what it was.
    known: Vec<Vec<u64>>,
    /// How many of them the recovery under way has found.
    found: Vec<usize>,
    /// Which entries it found that were not known.
    new: Vec<Logged>,
    /// When each partition was compared whole.
    compared: Vec<u64>,
    /// What came of commands whose answer is made of nothing else, until it is given.
    outcomes: BTreeMap<(PartitionId, Seq), Applied>,
    /// Reservations that commands sold, whole or in part.
    sold: BTreeSet<HoldId>,
    changes: Changes,
    walk: Option<Walk>,
    pub(in crate::sim) entries: u64,
    pub(in crate::sim) digests: u64,
    /// Snapshots written out while entries went on, and restored.
    pub(in crate::sim) snapshots: u64,
    /// Partitions that a start took from a snapshot.
    pub(in crate::sim) restored: u64,
    epoch: u32,
    /// Entries that were on their way when a process ended, and survived.
    pub(in crate::sim) survived: u64,
}

impl Shadow {
    pub(in crate::sim) fn new(partitions: u16, epoch: u32) -> Self {
        let count = usize::from(partitions);
        Self {
            partitions: (0..partitions).map(|id| Partition::new(PartitionId(id), epoch, partitions)).collect(),
            known: vec![Vec::new(); count],
            found: vec![0; count],
            new: Vec::new(),
            compared: vec![0; count],
            outcomes: BTreeMap::new(),
            sold: BTreeSet::new(),
            changes: Changes::default(),
            walk: None,
            entries: 0,
            digests: 0,
            snapshots: 0,
            restored: 0,
            epoch,
            survived: 0,
        }
    }

    pub(in crate::sim) fn partition(&self, id: PartitionId) -> &Partition {
        &self.partitions[usize::from(id.0)]
    }

    pub(in crate::sim) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The next entry of its partition is durable.
    pub(in crate::sim) fn durable(&mut self, entry: &Logged) -> Result<(), Violation> {
        let known = &mut self.known[usize::from(entry.partition.0)];
        if entry.index != known.len() as u64 + 1 {
            return Err(Violation::new(format!(
                "entry {} of partition {} was logged where {} belongs",
                entry.index,
                entry.partition.0,
                known.len() + 1
            )));
        }
        known.push(xxh3_64_with_seed(&entry.body, entry.time.0));
        self.entries += 1;
        self.apply(entry.partition, entry.time, &entry.body)
    }

    fn apply(&mut self, id: PartitionId, time: Millis, body: &[u8]) -> Result<(), Violation> {
        let decoded = record::decode(body).map_err(|error| Violation::new(format!("an entry of partition {}: {error}", id.0)))?;
        let applied = self.partitions[usize::from(id.0)].apply(time, &decoded, &mut self.changes);
        self.changes.clear();
        self.step_walk(id)?;
        if let Command::CommitReserved { hold, .. } | Command::CommitReservedPart { hold, .. } = &decoded.command
            && applied.outcome.is_ok()
        {
            self.sold.insert(*hold);
        }
        if is_told_as_it_is(&decoded.command) {
            self.outcomes.insert((id, applied.seq), applied);
        }
        Ok(())
    }

    /// Goes on with the snapshot under way, or begins one: what is restored from it must be the state that was frozen, whatever came since.
    fn step_walk(&mut self, id: PartitionId) -> Result<(), Violation> {
        let place = usize::from(id.0);
        let partition = &mut self.partitions[place];
        match &mut self.walk {
            None => {
                if self.entries.is_multiple_of(FREEZE_EVERY) {
                    let digest = partition.digest();
                    partition.freeze();
                    self.walk = Some(Walk { place, digest, chunks: Vec::new() });
                }
                Ok(())
            }
            Some(walk) if walk.place == place => {
                let mut chunk = Vec::new();
                let has_more = partition.snapshot_step(&mut chunk, WALK_BYTES);
                walk.chunks.push(chunk);
                if has_more { Ok(()) } else { self.end_walk() }
            }
            Some(_) => Ok(()),
        }
    }

    fn end_walk(&mut self) -> Result<(), Violation> {
        let Some(Walk { place, digest, chunks }) = self.walk.take() else { return Ok(()) };
        let wrong = |why: String| Violation::new(format!("a snapshot of partition {place} does not restore: {why}"));
        let of = &self.partitions[place];
        let mut restore = Restore::new(of.id(), self.epoch, of_count(&self.partitions));
        for chunk in &chunks {
            restore.put(chunk).map_err(|error| wrong(error.to_string()))?;
        }
        let restored = restore.finish().map_err(|error| wrong(error.to_string()))?;
        self.snapshots += 1;
        if restored.digest() == digest { Ok(()) } else { Err(wrong("it makes another state than the one that was frozen".to_owned())) }
    }

    /// Did a command sell the reservation?
    pub(in crate::sim) fn has_sold(&self, hold: HoldId) -> bool {
        self.sold.contains(&hold)
    }

    /// The outcome of a command at a position, as a replay has it; once.
    pub(in crate::sim) fn take_outcome(&mut self, at: &Position) -> Option<Applied> {
        self.outcomes.remove(&(at.partition, at.seq))
    }

    /// Is what stands there durable?
    pub(in crate::sim) fn has(&self, at: &Position) -> bool {
        self.partition(at.partition).seq() >= at.seq
    }

    /// The node's state against this one.
    pub(in crate::sim) fn compare(&mut self, node: &Partition) -> Result<(), Violation> {
        let place = usize::from(node.id().0);
        let own = &self.partitions[place];
        let brief = |of: &Partition| (of.seq(), of.last_time(), of.outbox().open.len(), of.next_timer());
        if brief(own) != brief(node) {
            let (own, node) = (brief(own), brief(node));
            return Err(Violation::new(format!("partition {place} of the node is at {node:?}, a replay of its log at {own:?}")));
        }
        if own.seq().0 >= self.compared[place] + DIGEST_EVERY {
            self.compare_whole(node)?;
        }
        Ok(())
    }

    /// The same by digest, and everything that a partition can check of itself.
    pub(in crate::sim) fn compare_whole(&mut self, node: &Partition) -> Result<(), Violation> {
        let place = usize::from(node.id().0);
        let own = &self.partitions[place];
        self.compared[place] = own.seq().0;
        self.digests += 1;
        if own.digest() != node.digest() {
            return Err(Violation::new(format!(
                "partition {place} of the node is not what a replay of its log makes, at entry {}",
                own.seq().0
            )));
        }
        node.check().map(|_| ()).map_err(|why| Violation::new(format!("partition {place} does not fit together: {why}")))
    }

    /// A recovery begins.
    pub(in crate::sim) fn begin_recovery(&mut self) {
        self.found.fill(0);
        self.new.clear();
    }

    /// It found a snapshot with everything up to this entry.
    pub(in crate::sim) fn restored(&mut self, id: PartitionId, index: u64) -> Result<(), Violation> {
        let place = usize::from(id.0);
        self.found[place] = usize::try_from(index).expect("short histories");
        self.restored += 1;
        if self.found[place] <= self.known[place].len() {
            return Ok(());
        }
        Err(Violation::new(format!(
            "a snapshot of partition {place} has entry {index}, and {} were reported durable",
            self.known[place].len()
        )))
    }

    /// It found this entry.
    pub(in crate::sim) fn recovered(&mut self, id: PartitionId, index: u64, time: Millis, body: &[u8]) -> Result<(), Violation> {
        let place = usize::from(id.0);
        let hash = xxh3_64_with_seed(body, time.0);
        let at = usize::try_from(index - 1).expect("short histories");
        self.found[place] = at + 1;
        match self.known[place].get(at) {
            Some(known) if *known == hash => Ok(()),
            Some(_) => Err(Violation::new(format!("entry {index} of partition {place} is another one after a restart"))),
            None => {
                self.new.push(Logged { partition: id, index, time, body: body.to_vec() });
                Ok(())
            }
        }
    }

    /// It found no more: everything known must have been among it, and the states made from it be the same.
    pub(in crate::sim) fn end_recovery<'a>(&mut self, rebuilt: impl Iterator<Item = &'a Partition>) -> Result<(), Violation> {
        for (place, (known, found)) in self.known.iter().zip(&self.found).enumerate() {
            if *found < known.len() {
                return Err(Violation::new(format!(
                    "partition {place} has {found} entries after a restart, and {} were reported durable",
                    known.len()
                )));
            }
        }
        // Only now: a recovery that fails on its way makes nothing durable.
        for entry in std::mem::take(&mut self.new) {
            self.survived += 1;
            self.durable(&entry)?;
        }
        for partition in rebuilt {
            self.compare_whole(partition)?;
        }
        Ok(())
    }
}

fn of_count(partitions: &[Partition]) -> u16 {
    u16::try_from(partitions.len()).expect("few partitions")
}

/// Commands whose answer is their outcome.
fn is_told_as_it_is(command: &Command) -> bool {
    matches!(
        command,
        Command::Reserve { .. }
            | Command::CommitReserved { .. }
            | Command::CommitReservedPart { .. }
            | Command::ExtendReserved { .. }
            | Command::ReleaseReserved { .. }
            | Command::ReceiveStock { .. }
    )
}

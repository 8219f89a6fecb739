//! Snapshots beside histories, fixtures of every item, and what a restore does with bytes that are none.

use super::{Restore, SnapshotError};
use crate::partition::Partition;

/// Restored partitions of one history that are fed its rest: each is a replay.
const RESTORED_MAX: usize = 3;

/// Snapshots taken while a history goes on, for tests that have one.
#[derive(Debug, Default)]
pub(in crate::partition) struct Snapshots {
    running: Option<Running>,
    /// Some of them, each with the number of log entries before its freeze.
    restored: Vec<(usize, Partition)>,
}

#[derive(Debug)]
struct Running {
    digest: u64,
    entries: usize,
    chunks: Vec<Vec<u8>>,
}

impl Snapshots {
    /// Begins a snapshot after `entries` of the log, or goes on with the one under way by `bytes`. One that is through is restored, and is
    /// what there was at its freeze.
    pub(in crate::partition) fn step(&mut self, partition: &mut Partition, entries: usize, bytes: usize) {
        assert_eq!(partition.is_frozen(), self.running.is_some());
        let Some(mut running) = self.running.take() else {
            let digest = partition.digest();
            partition.freeze();
            assert_eq!(partition.digest(), digest, "a snapshot under way is no part of the state");
            self.running = Some(Running { digest, entries, chunks: Vec::new() });
            return;
        };
        let mut chunk = Vec::new();
        let more = partition.snapshot_step(&mut chunk, bytes);
        running.chunks.push(chunk);
        if more {
            self.running = Some(running);
            return;
        }
        let restored = restore_like(partition, &running.chunks).expect("what was written");
        assert_eq!(restored.digest(), running.digest, "what was there at the freeze");
        restored.check().expect("the restored partition is consistent");
        if self.restored.len() >= RESTORED_MAX {
            self.restored.remove(running.entries % RESTORED_MAX);
        }
        self.restored.push((running.entries, restored));
    }

    pub(in crate::partition) fn give_up(&mut self, partition: &mut Partition) {
        partition.thaw();
        self.running = None;
    }

    /// Writes what is left of the snapshot under way.
    pub(in crate::partition) fn end(&mut self, partition: &mut Partition) {
        while self.running.is_some() {
            self.step(partition, 0, 400);
        }
    }

    pub(in crate::partition) fn take_restored(&mut self) -> Vec<(usize, Partition)> {
        std::mem::take(&mut self.restored)
    }
}

/// Restores a snapshot of a partition like this one.
fn restore_like(partition: &Partition, chunks: &[Vec<u8>]) -> Result<Partition, SnapshotError> {
    let mut restore = Restore::new(partition.id, partition.epoch, partition.partitions);
    chunks.iter().try_for_each(|chunk| restore.put(chunk))?;
    restore.finish()
}

mod fixtures;
mod spoiled;

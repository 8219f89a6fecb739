//! Snapshots in steps: a partition is frozen and written out, a little at each entry that it takes meanwhile, and what is restored from that must be the
//! state that was frozen, whatever came since.
//!
//! Bound: one walk at a time.

use super::Violation;
use crate::partition::{Partition, Restore};

/// Entries between the freezes.
const FREEZE_EVERY: u64 = 200;
/// Bytes written out at each entry.
const WALK_BYTES: usize = 1_500;

/// A walk under way.
struct Walk {
    place: usize,
    /// Of the state when it was frozen.
    digest: u64,
    chunks: Vec<Vec<u8>>,
}

/// The walks of a run.
pub(super) struct Walks {
    under_way: Option<Walk>,
    /// So many were written out while entries went on, and restored.
    pub(super) done: u64,
    epoch: u32,
    partitions: u16,
}

impl Walks {
    pub(super) fn new(partitions: u16, epoch: u32) -> Self {
        Self { under_way: None, done: 0, epoch, partitions }
    }

    /// A partition took an entry, which was so many of the run: goes on with its walk, or begins one.
    pub(super) fn step(&mut self, partition: &mut Partition, entries: u64) -> Result<(), Violation> {
        let place = usize::from(partition.id().0);
        match &mut self.under_way {
            None => {
                if entries.is_multiple_of(FREEZE_EVERY) {
                    let digest = partition.digest();
                    partition.freeze();
                    self.under_way = Some(Walk { place, digest, chunks: Vec::new() });
                }
                Ok(())
            }
            Some(walk) if walk.place == place => {
                let mut chunk = Vec::new();
                let has_more = partition.snapshot_step(&mut chunk, WALK_BYTES);
                walk.chunks.push(chunk);
                if has_more { Ok(()) } else { self.end(partition) }
            }
            Some(_) => Ok(()),
        }
    }

    fn end(&mut self, of: &Partition) -> Result<(), Violation> {
        let Some(Walk { place, digest, chunks }) = self.under_way.take() else { return Ok(()) };
        let wrong = |why: String| Violation::new(format!("a snapshot of partition {place} does not restore: {why}"));
        let mut restore = Restore::new(of.id(), self.epoch, self.partitions);
        for chunk in &chunks {
            restore.put(chunk).map_err(|error| wrong(error.to_string()))?;
        }
        let restored = restore.finish().map_err(|error| wrong(error.to_string()))?;
        self.done += 1;
        if restored.digest() == digest { Ok(()) } else { Err(wrong("it makes another state than the one that was frozen".to_owned())) }
    }
}

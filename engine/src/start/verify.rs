//! Looks a whole folder over without changing it.
//!
//! Path: [`verify`] → lock → every snapshot, and every log above it → entries applied → each partition's own check → every file of the event logs →
//! [`Report`].
//! Bounds: memory for the whole state, as an engine would need; one core.

use std::{collections::BTreeMap, path::Path};

use super::{
    EventsError, events,
    replay::{DataFolder, Plan, ReplayLogError, Sink},
};
use crate::{
    folder::{Folder, FolderError},
    log::Cut,
    node::NodeFile,
    partition::{Changes, Partition},
    record,
    replication::{self, Said},
    shard::{core::Restored, drivers::Clock},
};
use wire::{Millis, PartitionId, Seq};

/// Why a folder cannot be looked over at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The folder itself.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What was found. Damage is reported, not an error of [`verify`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// By number, all of them.
    pub partitions: Vec<PartitionReport>,
    /// Entries read, over all partitions.
    pub entries: u64,
    /// Bytes of log read.
    pub bytes: u64,
    /// Latest time of an entry; zero without one.
    pub last_time: Millis,
    /// Torn writes behind the logs' ends: no damage, they were never acknowledged. The next start leaves them behind.
    pub cut: Vec<Cut>,
    /// Snapshots that the partitions were begun with.
    pub snapshots: u64,
    /// Snapshots that are damaged, and logs that cannot be read to their end. Entries of their partitions behind the damage are not in this report.
    pub damage: Vec<ReplayLogError>,
    /// Bytes of event logs read.
    pub events_bytes: u64,
    /// Files of the event logs that are damaged, and partitions of which those have more than the log. They cost the feed events, and the shop nothing
    /// else; but for the latter, which stop a start.
    pub events: Vec<EventsError>,
    /// How long it took.
    pub seconds: f64,
    /// How long of that the entries took: read, checked, decoded, applied, on one core.
    pub replay_seconds: f64,
}

/// One partition, after all of its entries that could be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionReport {
    /// Which.
    pub partition: PartitionId,
    /// Commands applied.
    pub seq: Seq,
    /// Hash of the whole state: equal states, equal hashes.
    pub digest: u64,
    /// Stock rows and open holds, or which identity does not hold.
    pub checked: Result<(u64, u64), String>,
}

impl Report {
    /// Every log was read to its end, every file of the event logs is whole, and every partition's identities hold.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.events.is_empty() && self.partitions.iter().all(|partition| partition.checked.is_ok())
    }

    /// Commands applied to all partitions since there is a folder, those below the snapshots included.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.seq.0).sum()
    }

    /// Stock rows of all partitions that check.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.partitions.iter().filter_map(|partition| partition.checked.as_ref().ok()).map(|(rows, _)| rows).sum()
    }

    /// Open holds of all partitions that check.
    #[must_use]
    pub fn open_holds(&self) -> u64 {
        self.partitions.iter().filter_map(|partition| partition.checked.as_ref().ok()).map(|(_, holds)| holds).sum()
    }
}

/// Reads and replays everything in the folder `data`, which no engine may have open. Changes nothing but the process id in the lock file.
///
/// # Errors
/// When there is no such folder, or it is in use, or its `folder.json` does not read. What is wrong in the files is in the report.
pub fn verify(data: &Path) -> Result<Report, VerifyError> {
    let clock = Clock::start();
    let folder = Folder::open_existing(data)?;
    let meta = folder.meta();
    let fresh = |id| (id, (Partition::new(id, meta.epoch, meta.partitions), replication::Found::default()));
    let mut all = Everything { partitions: (0..meta.partitions).map(PartitionId).map(fresh).collect(), changes: Changes::default() };
    let mut restored = clock.elapsed();
    let (walked, damage) = match Plan::read(meta, DataFolder(folder.path().to_owned())) {
        Ok(plan) => match plan.restore(
            |_| true,
            |Restored { partition, place, .. }| {
                all.partitions.insert(partition.id(), (partition, replication::Found::above(place)));
            },
        ) {
            Ok(below) => {
                restored = clock.elapsed();
                plan.walk_all(&mut all, below)
            }
            Err(error) => (super::Walked::default(), vec![error.into()]),
        },
        Err(error) => (super::Walked::default(), vec![error]),
    };
    let replay_seconds = clock.elapsed().saturating_sub(restored).as_secs_f64();
    let partitions = all.partitions.into_iter().map(|(id, (partition, _))| PartitionReport {
        partition: id,
        seq: partition.seq(),
        digest: partition.digest(),
        checked: partition.check().map(|checked| (checked.rows, checked.open_holds)),
    });
    let partitions: Vec<PartitionReport> = partitions.collect();
    let seq = |id: PartitionId| partitions.get(usize::from(id.0)).map(|partition| partition.seq);
    // What of a damaged log was not read is not missing; nor is what a node of a cluster knew to be committed, and its log does not say yet.
    let is_node = NodeFile::read(data)?.is_some();
    let (events_bytes, events) = events::look_over(&folder, |id| seq(id).filter(|_| damage.is_empty() && !is_node));
    Ok(Report {
        partitions,
        entries: walked.entries,
        bytes: walked.bytes,
        last_time: walked.last_time,
        snapshots: walked.used.len() as u64,
        cut: walked.cuts(),
        damage,
        events_bytes,
        events,
        seconds: clock.elapsed().as_secs_f64(),
        replay_seconds,
    })
}

/// Takes every entry.
struct Everything {
    partitions: BTreeMap<PartitionId, (Partition, replication::Found)>,
    changes: Changes,
}

impl Sink for Everything {
    fn wants(&self, partition: PartitionId) -> bool {
        self.partitions.contains_key(&partition)
    }

    fn take(&mut self, partition: PartitionId, said: Said<'_>) -> Result<(), String> {
        let Some((state, found)) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let changes = &mut self.changes;
        let apply = |_, time, body: &[u8]| {
            let entry = record::decode(body).map_err(|error| super::with_causes(&error))?;
            state.apply(time, &entry, changes);
            changes.clear();
            Ok::<(), String>(())
        };
        found.take(said, apply).map_err(|error| error.to_string())
    }
}

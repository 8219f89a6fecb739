//! Gives back the log's oldest segments once snapshots have what is in them, and the event log has what they told.
//!
//! Path: a snapshot became durable → [`State::release_segments`] → the writer's next plan takes a file over, or → a job that removes it → [`State::removed`].
//! Bounds: [`SPARE_SEGMENTS_MAX`](crate::log::SPARE_SEGMENTS_MAX) released files are kept; one job that removes at a time.
//! Files go one by one, each made durable before the next: so a crash leaves no hole between those that are left.

use super::{files::Asker, state::State};
use crate::shard::{
    Output,
    files::{FileError, FileStep},
};
use std::collections::BTreeMap;
use wire::PartitionId;

/// Files that could not be removed are tried again after this long.
const REMOVE_RETRY_MS: u64 = 30_000;

impl State {
    /// Releases what is in no use any more. Not before every partition has a snapshot: in a log that begins later than 1 one without is lost.
    pub(crate) fn release_segments(&mut self) {
        if self.partitions.values().any(|slot| slot.snapshot.is_none()) {
            return;
        }
        // A snapshot has no events: those of what it has must be in files of their own.
        let inside = self.partitions.iter().map(|(id, slot)| (*id, slot.snapshot.unwrap_or(0).min(self.events_durable(*id).0)));
        let inside: BTreeMap<PartitionId, u64> = inside.collect();
        let in_cluster = self.replication.is_some();
        self.pipeline.release(in_cluster, |partition| inside.get(&PartitionId(partition)).copied().unwrap_or(0));
        self.remove_surplus();
    }

    /// Removes released files that are too many to be kept, unless that is under way.
    pub(crate) fn remove_surplus(&mut self) {
        if !self.files.has_room() || self.remove_again_us.is_some_and(|again| self.now.mono_us < again) {
            return;
        }
        self.remove_again_us = None;
        let Some(surplus) = self.pipeline.surplus() else { return };
        let folder = || FileStep::SyncFolder { path: surplus.folder.clone() };
        let steps = surplus.files.iter().flat_map(|file| [FileStep::Remove { path: file.clone() }, folder()]);
        let job = self.files.give(Asker::Surplus, steps.collect());
        self.outputs.push_back(Output::Files(job));
    }

    /// The job that removes is done.
    pub(crate) fn removed(&mut self, result: Result<(), FileError>) {
        self.pipeline.removed(result.is_ok());
        match result {
            Ok(()) => self.remove_surplus(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    retry_ms = REMOVE_RETRY_MS,
                    "a log file that is not needed any more cannot be removed; the log does not get shorter until it can"
                );
                self.remove_again_us = Some(self.in_ms(REMOVE_RETRY_MS));
            }
        }
    }
}

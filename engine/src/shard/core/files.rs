//! The core's jobs with files beside the log, and whom they are told to.
//!
//! Path: whoever wants a job looks at `State::files` for room → `Output::Files` → `Input::FilesDone` → [`State::files_done`] → the one who asked.
//! Bounds: those of [`Jobs`](crate::shard::files::Jobs).

use super::state::State;
use crate::{
    replication::NodeId,
    shard::files::{FilesResult, JobId},
};
use wire::PartitionId;

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// `release.rs`, to remove log files.
    Surplus,
    /// `feed.rs`, to write events.
    Events,
    /// `feed.rs`, to remove old ones.
    OldEvents,
    /// `feed.rs`, to read them for a reader of this number.
    Feed(u64),
    /// `index_files.rs`.
    Index,
    /// `snapshots.rs`.
    Snapshot,
    /// `transfer.rs`, to read part of a snapshot for a node.
    PartRead(PartitionId, NodeId),
    /// `transfer.rs`, to write part of one that comes in.
    PartWritten(PartitionId),
    /// `transfer.rs`, to remove one that is of no use.
    PartRemoved,
}

impl State {
    /// A job is done.
    pub(crate) fn files_done(&mut self, id: JobId, result: FilesResult) {
        match self.files.done(id) {
            Asker::Surplus => self.removed(result.map(drop)),
            Asker::Events => self.events_written(result),
            Asker::OldEvents => self.old_events_removed(&result),
            Asker::Feed(reader) => self.feed_file_read(reader, result),
            Asker::Index => self.index_files.done(result.map(drop), self.now.mono_us),
            Asker::Snapshot => self.snapshot_written(result),
            Asker::PartRead(id, to) => self.part_read(id, to, result),
            Asker::PartWritten(id) => self.part_written(id, result),
            // What is left of it the next start removes.
            Asker::PartRemoved => {}
        }
    }
}

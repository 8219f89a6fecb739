//! The core's jobs with files beside the log, and whom they are told to.
//!
//! Path: whoever wants a job looks at `State::files` for room → `Output::Files` → `Input::FilesDone` → [`State::files_done`] → the one who asked.
//! Bounds: those of [`Jobs`](crate::shard::files::Jobs).

use super::state::State;
use crate::shard::files::{FilesResult, JobId};

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// `release.rs`, to remove log files.
    Surplus,
}

impl State {
    /// A job is done.
    pub(crate) fn files_done(&mut self, id: JobId, result: FilesResult) {
        match self.files.done(id) {
            Asker::Surplus => self.removed(result.map(drop)),
        }
    }
}

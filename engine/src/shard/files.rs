//! Files beside the log: snapshots and whatever else is written behind it.
//!
//! Path: the core makes steps → [`Jobs::give`] names them → [`Output::Files`](super::Output::Files) → the driver does the steps in order, one job after the
//! other and in the background → [`Input::FilesDone`](super::Input::FilesDone) → [`Jobs::done`] says who asked.
//! Read first: [`FileStep`]. Bounds: [`FILE_JOBS_MAX`] jobs under way in a shard, [`FILE_BYTES_MAX`] bytes in a write or a read.
//! Deliberately absent: any meaning. A driver tries each step once and reports; the core decides what a failure means, and nothing that was
//! acknowledged hangs on these files: the log has it until they are durable.

use std::{collections::BTreeMap, io};

/// Jobs of one shard that were given to its driver and are not done. At the limit [`Jobs::has_room`] says no, and whoever wants one waits.
pub const FILE_JOBS_MAX: usize = 16;
/// Bytes of one write or read. Whoever has more makes more steps.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Names a job within its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Steps to do in order. The first that fails ends the job; those after it are not tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileJob {
    /// Under which it is reported.
    pub id: JobId,
    /// What to do.
    pub steps: Vec<FileStep>,
}

/// One thing to do with a file. Paths are relative to the data folder, with `/` between their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileStep {
    /// Writes all of `bytes` at `offset`. With `create` the file is made if it is not there, its folders too (durably), and emptied if it is; without,
    /// it must be there.
    Write {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// At most [`FILE_BYTES_MAX`].
        bytes: Vec<u8>,
        /// Begins a new file.
        create: bool,
    },
    /// Makes the content of a file durable, its length included. A failed sync is not tried again: what was written is then in doubt.
    Sync {
        /// The file.
        path: String,
    },
    /// Gives a file another name; a file of that name is replaced. Durable after [`FileStep::SyncFolder`].
    Rename {
        /// The file.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Makes the names in a folder durable.
    SyncFolder {
        /// The folder.
        path: String,
    },
    /// Removes a file. One that is not there is removed already. Durable after [`FileStep::SyncFolder`].
    Remove {
        /// The file.
        path: String,
    },
    /// Reads exactly `bytes` from `offset`, from the disk and not from a cache wherever the driver can. A file that ends before is a failure.
    Read {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// At most [`FILE_BYTES_MAX`].
        bytes: usize,
    },
}

/// What a job comes to: the bytes of each [`FileStep::Read`], in order.
pub type FilesResult = Result<Vec<Vec<u8>>, FileError>;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk is full or a quota is used up: it may be tried again once there is room.
    #[error("there is no room for {path}")]
    NoRoom {
        /// In the data folder.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Anything else.
    #[error("{path} cannot be {doing}")]
    Failed {
        /// In the data folder.
        path: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// The book of a shard's jobs: which are under way, and for whom.
#[derive(Debug)]
pub struct Jobs<T> {
    next: u64,
    under_way: BTreeMap<JobId, T>,
}

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        Self { next: 0, under_way: BTreeMap::new() }
    }
}

impl<T> Jobs<T> {
    /// Can one more be given to the driver?
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.under_way.len() < FILE_JOBS_MAX
    }

    /// Makes a job of `steps`, to be told to `asker`.
    ///
    /// # Panics
    /// At [`FILE_JOBS_MAX`], or with a step over [`FILE_BYTES_MAX`]: the caller looks first.
    pub fn give(&mut self, asker: T, steps: Vec<FileStep>) -> FileJob {
        assert!(self.has_room(), "{FILE_JOBS_MAX} file jobs are under way");
        for step in &steps {
            let bytes = match step {
                FileStep::Write { bytes, .. } => bytes.len(),
                FileStep::Read { bytes, .. } => *bytes,
                FileStep::Sync { .. } | FileStep::Rename { .. } | FileStep::SyncFolder { .. } | FileStep::Remove { .. } => 0,
            };
            assert!(bytes <= FILE_BYTES_MAX, "a step of {bytes} bytes");
        }
        self.next += 1;
        let id = JobId(self.next);
        self.under_way.insert(id, asker);
        FileJob { id, steps }
    }

    /// Whose job it was; it is no longer under way.
    ///
    /// # Panics
    /// When the driver reports a job that it was not given, or one twice.
    pub fn done(&mut self, id: JobId) -> T {
        self.under_way.remove(&id).unwrap_or_else(|| panic!("{id:?} is reported, and not under way"))
    }

    /// Jobs under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Is none under way?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_told_to_who_asked_and_bounded() {
        let mut jobs = Jobs::default();
        let ids: Vec<JobId> = (0..FILE_JOBS_MAX).map(|asker| jobs.give(asker, Vec::new()).id).collect();
        assert!(!jobs.has_room() && jobs.len() == FILE_JOBS_MAX);
        for (asker, id) in ids.into_iter().enumerate().rev() {
            assert_eq!(jobs.done(id), asker);
        }
        assert!(jobs.is_empty() && jobs.has_room());
        assert_eq!(jobs.give(7, Vec::new()).id, JobId(FILE_JOBS_MAX as u64 + 1), "a name is used once");
    }

    #[test]
    #[should_panic(expected = "a step of 4194305 bytes")]
    fn a_step_over_the_limit_is_a_fault() {
        let read = FileStep::Read { path: "a".to_owned(), offset: 0, bytes: FILE_BYTES_MAX + 1 };
        let _ = Jobs::default().give((), vec![read]);
    }
}

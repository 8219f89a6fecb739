//! Shows what a partition's log says, entry by entry, without changing it.
//!
//! Path: [`dump`] → lock → every log that holds the partition, from its beginning → each entry of the range, decoded → whoever looks.
//! Deliberately absent: state. Nothing is applied, so memory stays at one batch, and personal fields stay the ciphertext they are in the log.

use std::{io, ops::RangeInclusive, path::Path};

use super::replay::{DataFolder, Plan, ReplayLogError, Sink};
use super::snapshots::Below;
use crate::{
    folder::{Folder, FolderError},
    log::{EntryVariant, Positions},
    record::{self, RecordError, v1::Entry},
    replication::Said,
};
use wire::{Millis, PartitionId};

/// Why a log cannot be shown, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The folder itself.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no such partition.
    #[error("there is no partition {asked}: this folder has {partitions}, numbered from 0")]
    NoPartition {
        /// As asked.
        asked: u16,
        /// Of the folder.
        partitions: u16,
    },
    /// A log cannot be read on.
    #[error(transparent)]
    Log(#[from] ReplayLogError),
    /// Whoever looks does not want more.
    #[error("what was read cannot be written out")]
    Out(#[source] io::Error),
}

/// An entry as it is in the log.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dumped {
    /// Its place in the partition, from 1.
    pub index: u64,
    /// The stamp it was logged with.
    pub time: Millis,
    /// Bytes of its body.
    pub bytes: usize,
    /// What it says, unless a newer version wrote it.
    pub entry: Result<Entry, RecordError>,
}

/// Gives `each` the entries of `partition` with an index in `range`, in their order. Entries that snapshots made superfluous may be gone from the
/// log's beginning. Costs a read of every log that holds the partition.
///
/// # Errors
/// [`DumpError`]; what comes before damage was given out.
pub fn dump(
    data: &Path,
    partition: PartitionId,
    range: RangeInclusive<u64>,
    each: impl FnMut(Dumped) -> io::Result<()>,
) -> Result<(), DumpError> {
    let folder = Folder::open_existing(data)?;
    let partitions = folder.meta().partitions;
    if partition.0 >= partitions {
        return Err(DumpError::NoPartition { asked: partition.0, partitions });
    }
    let mut looking = Looking { partition, range, each, failed: None };
    let walked = Plan::read(folder.meta(), DataFolder(folder.path().to_owned()))?
        .walk(&mut looking, Below { positions: Positions::anywhere(), ..Below::default() });
    match looking.failed {
        Some(error) => Err(DumpError::Out(error)),
        None => Ok(walked.map(drop)?),
    }
}

/// Takes the entries of one partition.
struct Looking<F> {
    partition: PartitionId,
    range: RangeInclusive<u64>,
    each: F,
    /// Why `each` wants no more.
    failed: Option<io::Error>,
}

impl<F: FnMut(Dumped) -> io::Result<()>> Sink for Looking<F> {
    fn wants(&self, partition: PartitionId) -> bool {
        partition == self.partition
    }

    fn take(&mut self, _: PartitionId, said: Said<'_>) -> Result<(), String> {
        // What a group says of itself is not shown.
        let Said::Entry { variant: EntryVariant::Command, index, time, body, term: _ } = said else { return Ok(()) };
        if body.is_empty() || !self.range.contains(&index) {
            return Ok(());
        }
        (self.each)(Dumped { index, time, bytes: body.len(), entry: record::decode(body) }).map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            text
        })
    }
}

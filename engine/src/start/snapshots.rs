//! Snapshots at a start: found, read, and made of everything when the logs are to begin anew.
//!
//! Path: [`Found::of`] → [`Found::restore`], each thread for its own partitions, the newest that is whole → [`Below`], from which the walk through the
//! logs goes on. [`save`] → a file for each partition, read back, before older generations of logs are let go. [`Found::tidy`] removes what is in no use.
//! Bounds: one frame of a file in memory beside the state.

use std::{collections::BTreeMap, io, path::Path};

use super::{
    replay::{DataFolder, ReplayLogError, Store},
    with_causes,
};
use crate::{
    folder::Meta,
    log::Positions,
    partition::{Partition, Restore},
    replication::Place,
    shard::{
        core::Restored,
        drivers::files::perform,
        files::{FileJob, FileStep, JobId},
    },
    snapshot::{Ended, FileError, Header, Reader, Whole, Writer, layout},
};
use wire::{Millis, PartitionId, Seq};

/// Bytes read or written at once.
const PIECE_BYTES: usize = 1 << 20;

/// The snapshot files of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    meta: Meta,
    /// By partition, the index of each, rising.
    whole: BTreeMap<PartitionId, Vec<u64>>,
    unfinished: Vec<(PartitionId, u64)>,
}

/// What lies below the logs: where each partition goes on, and which of its snapshots could not be used.
#[derive(Debug, Default)]
pub(crate) struct Below {
    pub(crate) positions: Positions,
    /// Newest first.
    pub(crate) damaged: BTreeMap<PartitionId, Vec<(u64, FileError)>>,
    /// Indexes of those used.
    pub(crate) used: BTreeMap<PartitionId, u64>,
    /// The latest time in them.
    pub(crate) last_time: Millis,
}

impl Found {
    /// Looks for the files.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn of(store: &impl Store, meta: &Meta) -> io::Result<Self> {
        let mut found = Self { meta: meta.clone(), whole: BTreeMap::new(), unfinished: Vec::new() };
        for partition in (0..meta.partitions).map(PartitionId) {
            for name in store.names(&layout::partition_path(partition))? {
                match layout::parse_name(&name) {
                    Some(layout::Name::Whole(index)) => found.whole.entry(partition).or_default().push(index),
                    Some(layout::Name::Unfinished(index)) => found.unfinished.push((partition, index)),
                    // Not ours, such as what an operator left there.
                    None => {}
                }
            }
        }
        found.whole.values_mut().for_each(|indexes| indexes.sort_unstable());
        Ok(found)
    }

    /// See [`Plan::restore`](super::replay::Plan::restore).
    pub(super) fn restore(
        &self,
        store: &impl Store,
        wants: impl Fn(PartitionId) -> bool,
        mut each: impl FnMut(Restored),
    ) -> Result<Below, FileError> {
        let mut below = Below::default();
        for (partition, indexes) in self.whole.iter().filter(|(partition, _)| wants(**partition)) {
            for index in indexes.iter().rev() {
                match self.read(store, *partition, *index) {
                    Ok((state, whole)) => {
                        below.positions.start(partition.0, *index, whole.header.term);
                        below.used.insert(*partition, *index);
                        below.last_time = below.last_time.max(whole.header.last_time);
                        let place = Place { term: whole.header.term, index: *index };
                        each(Restored { partition: state, place, file_bytes: whole.ended.file_bytes });
                        break;
                    }
                    Err(error @ (FileError::Damaged { .. } | FileError::Content { .. })) => {
                        below.damaged.entry(*partition).or_default().push((*index, error));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(below)
    }

    fn read(&self, store: &impl Store, partition: PartitionId, index: u64) -> Result<(Partition, Whole), FileError> {
        let wanted = self.place(partition, index);
        let file = layout::snapshot_path(partition, index);
        let mut restore = Restore::new(partition, wanted.epoch, wanted.partitions);
        let content = |offset, error: &dyn std::error::Error| FileError::Content { file: file.clone(), offset, why: with_causes(error) };
        let whole = read_file(store, &file, &wanted, |offset, chunk| restore.put(chunk).map_err(|error| content(offset, &error)))?;
        let state = restore.finish().map_err(|error| content(whole.ended.file_bytes, &error))?;
        if (state.seq(), state.last_time()) != (whole.header.seq, whole.header.last_time) {
            let why = format!("it is at command {}, its header says {}", state.seq().0, whole.header.seq.0);
            return Err(FileError::Content { file, offset: whole.ended.file_bytes, why });
        }
        Ok((state, whole))
    }

    /// What a file's place says of it.
    fn place(&self, partition: PartitionId, index: u64) -> Header {
        let Meta { id: folder, partitions, epoch, .. } = self.meta;
        Header { folder, partition, partitions, epoch, index, term: 0, seq: Seq(0), last_time: Millis(0), created: Millis(0) }
    }

    /// Files of no use: what a crash or a full disk left unfinished, and snapshots older than those that were `used`.
    pub(crate) fn surplus(&self, used: &BTreeMap<PartitionId, u64>) -> Vec<String> {
        let unfinished = self.unfinished.iter().map(|(partition, index)| layout::unfinished_path(*partition, *index));
        let is_older = |partition: &PartitionId, index: &u64| used.get(partition).is_some_and(|used| index < used);
        let older = self.whole.iter().flat_map(|(partition, indexes)| indexes.iter().map(move |index| (partition, index)));
        let older = older
            .filter(|(partition, index)| is_older(partition, index))
            .map(|(partition, index)| layout::snapshot_path(*partition, *index));
        unfinished.chain(older).collect()
    }

    /// Removes what is [`Self::surplus`]. What cannot be removed is told and left.
    pub(crate) fn tidy(&self, data: &Path, used: &BTreeMap<PartitionId, u64>) {
        for path in self.surplus(used) {
            if let Err(error) = std::fs::remove_file(data.join(&path)) {
                tracing::warn!(path, %error, "a snapshot file that is not needed cannot be removed");
            }
        }
    }
}

/// Reads a file whole, and gives each chunk to `take` with the offset behind it.
fn read_file(
    store: &impl Store,
    file: &str,
    wanted: &Header,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), FileError>,
) -> Result<Whole, FileError> {
    let mut reader = Reader::new(file, wanted);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let offset = reader.fed();
        let bytes = store.read(file, offset, &mut piece).map_err(|source| FileError::Io { file: file.to_owned(), offset, source })?;
        if bytes == 0 {
            return reader.finish();
        }
        reader.feed(&piece[..bytes]);
        loop {
            let offset = reader.offset();
            match reader.advance()? {
                Some(chunk) => take(offset, chunk)?,
                None => break,
            }
        }
    }
}

/// Why a partition's snapshot could not be made. The text names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// A write, a sync or a rename.
    #[error(transparent)]
    Files(#[from] crate::shard::files::FileError),
    /// What was read back.
    #[error(transparent)]
    Back(#[from] FileError),
    /// Its events are still to be written, and could not be told after that.
    #[error("events of partition {0} are not in files yet")]
    Events(u16),
    /// What was read back is another file.
    #[error("{0} reads as a whole snapshot, and not as the one that was written")]
    Other(String),
}

/// Writes the state of a partition as the snapshot that `header` names, reads it back, gives it its name and removes the `older` one.
///
/// # Errors
/// [`SaveError`]; nothing of it is left, and the partition is as before.
pub(crate) fn save(data: &Path, header: &Header, partition: &mut Partition, older: Option<u64>) -> Result<(), SaveError> {
    let saved = write(data, header, partition, older);
    if saved.is_err() {
        partition.thaw();
        let _ = std::fs::remove_file(data.join(layout::unfinished_path(header.partition, header.index)));
    }
    saved
}

fn write(data: &Path, header: &Header, partition: &mut Partition, older: Option<u64>) -> Result<(), SaveError> {
    let (new, whole) = (layout::unfinished_path(header.partition, header.index), layout::snapshot_path(header.partition, header.index));
    let run = |steps| perform(data, &FileJob { id: JobId(0), steps });
    let mut out = Vec::with_capacity(2 * PIECE_BYTES);
    let mut offset = 0;
    let mut put = |out: &mut Vec<u8>| {
        let bytes = std::mem::take(out);
        let step = FileStep::Write { path: new.clone(), offset, bytes, create: offset == 0 };
        if let FileStep::Write { bytes, .. } = &step {
            offset += bytes.len() as u64;
        }
        run(vec![step]).map(drop)
    };
    partition.freeze();
    let mut writer = Writer::new(header, &mut out);
    while writer.chunk(&mut out, |out| partition.snapshot_step(out, PIECE_BYTES / 4)) {
        if out.len() >= PIECE_BYTES {
            put(&mut out)?;
        }
    }
    let ended: Ended = writer.end(&mut out);
    put(&mut out)?;
    run(vec![FileStep::Sync { path: new.clone() }])?;
    let back = read_file(&DataFolder(data.to_owned()), &new, header, |_, _| Ok(()))?;
    if back.ended != ended {
        return Err(SaveError::Other(new));
    }
    let folder = || FileStep::SyncFolder { path: layout::partition_path(header.partition) };
    let mut steps = vec![FileStep::Rename { from: new, to: whole }, folder()];
    if let Some(older) = older.filter(|older| *older != header.index) {
        steps.push(FileStep::Remove { path: layout::snapshot_path(header.partition, older) });
    }
    run(steps)?;
    Ok(())
}

impl From<FileError> for ReplayLogError {
    fn from(error: FileError) -> Self {
        Self::Snapshot(Box::new(error))
    }
}

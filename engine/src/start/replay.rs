//! Reads the logs of a folder in order and feeds what is in them to whoever owns it.
//!
//! Path: [`Store`] (the data folder, or the disk of a simulation) → [`Plan::read`] (generations, and where each old one ends; snapshots) →
//! [`Plan::restore`] and [`Plan::walk`] with a [`Sink`] per thread → batches checked by
//! [`log::Reader`] → records in the order of each partition's indexes, checked by [`Positions`] → [`Walked`].
//! A partition's entries of one generation are in one shard's log, and generations follow each other; so walking generation after generation, in
//! each only the logs that hold a wanted partition, meets every partition's entries in order. Bounds: one read buffer per log being walked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use super::snapshots::{Below, Found};
use crate::folder::{Begins, Generation, Meta};
use crate::log::{
    self, BodyError, Ending, LogEnd, LogIdentity, Membership, Next, PositionError, Positions, Reader, Record, RecordKind, RecoverError,
    Replay, SegmentFile, SegmentNumber, SegmentSource, Segments, Tail, layout,
};
use crate::replication::{HardState, Said};
use crate::shard::core::Restored;
use crate::snapshot;
use wire::{Millis, PartitionId, placement::shard_of};

/// Why the logs do not make a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayLogError {
    /// A log cannot be read.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// Logs are whole, and do not fit together.
    #[error("{log}, segment {}: {source}", segment.0)]
    Position {
        /// Path of the log in the data folder.
        log: String,
        /// Where.
        segment: SegmentNumber,
        /// What does not follow.
        #[source]
        source: PositionError,
    },
    /// Shards' logs say different things about the generation before.
    #[error(
        "{log} and another log of its generation disagree about where the generation before ends: the folder was put together from parts. Restore the \
         whole folder from one backup"
    )]
    Ends {
        /// Path of the log in the data folder.
        log: String,
    },
    /// The log goes on from a snapshot that a leader sent, and that is not there.
    #[error(
        "{log}, segment {}: partition {} goes on from a snapshot with everything up to entry {index}, which is not in the folder. Restore the folder from a \
         backup, or replace this node from a peer",
        segment.0,
        partition.0
    )]
    SnapshotGone {
        /// Path of the log in the data folder.
        log: String,
        /// Where.
        segment: SegmentNumber,
        /// Which.
        partition: PartitionId,
        /// The last entry inside.
        index: u64,
    },
    /// A record of another kind than entry.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A snapshot belongs elsewhere, or is newer than this program, or cannot be read; when a folder is looked over, also a damaged one.
    #[error(transparent)]
    Snapshot(Box<snapshot::FileError>),
    /// A snapshot is damaged, and what it had is nowhere else.
    #[error(
        "{snapshot}; and neither an older snapshot nor the logs have what it had ({why}). Restore the folder from a backup, or, in a cluster, replace this \
         node from a peer. Do not delete or edit the file"
    )]
    SnapshotNeeded {
        /// What is wrong with it.
        #[source]
        snapshot: Box<snapshot::FileError>,
        /// How it shows.
        why: String,
    },
    /// There is none, and there must be.
    #[error(
        "{folder} has no snapshot of partition {}, and {why}, so there is one: put the file back, or restore the folder from a backup",
        partition.0
    )]
    NoSnapshot {
        /// Folder of the partition's snapshots, in the data folder.
        folder: String,
        /// Which.
        partition: PartitionId,
        /// How that is known.
        why: &'static str,
    },
    /// An entry cannot be applied.
    #[error("{log}, segment {}: entry {index} of partition {}: {why}", segment.0, partition.0)]
    Entry {
        /// Path of the log in the data folder.
        log: String,
        /// Where.
        segment: SegmentNumber,
        /// Its partition.
        partition: PartitionId,
        /// Its index there.
        index: u64,
        /// What its reader says.
        why: String,
    },
}

/// Takes what the logs say of its partitions, in the order of each partition.
pub(crate) trait Sink {
    /// Is the partition one of its own?
    fn wants(&self, partition: PartitionId) -> bool;

    /// Takes the next word; the text says why it cannot.
    fn take(&mut self, partition: PartitionId, said: Said<'_>) -> Result<(), String>;
}

/// Where logs and snapshots are kept.
pub(crate) trait Store {
    /// The files of one log.
    type Segments: SegmentSource;

    /// Those of `log`.
    fn segments(&self, log: &LogIdentity) -> Self::Segments;

    /// Makes everything in a segment durable.
    ///
    /// # Errors
    /// What the file system says.
    fn sync(&self, log: &LogIdentity, segment: SegmentNumber) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the file system says.
    fn sync_names(&self, folder: &str) -> io::Result<()>;

    /// Names of the files in a folder beside the logs, which may not exist.
    ///
    /// # Errors
    /// What the file system says.
    fn names(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Reads a file beside the logs from `offset` on; says how many bytes there were, 0 only at its end.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// A data folder of the file system.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder(pub(crate) PathBuf);

impl Store for DataFolder {
    type Segments = LogFiles;

    fn segments(&self, log: &LogIdentity) -> LogFiles {
        LogFiles { dir: self.0.join(layout::log_path(log)), open: None }
    }

    fn sync(&self, log: &LogIdentity, segment: SegmentNumber) -> io::Result<()> {
        File::open(self.0.join(layout::segment_path(log, segment)))?.sync_data()
    }

    fn sync_names(&self, folder: &str) -> io::Result<()> {
        File::open(self.0.join(folder))?.sync_all()
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.0.join(folder)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // Names that are not UTF-8 are not ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        File::open(self.0.join(path))?.read_at(into, offset)
    }
}

/// What there is to read.
#[derive(Clone, Debug)]
pub(crate) struct Plan<S> {
    store: S,
    partitions: u16,
    begins: Begins,
    generations: Vec<(Generation, Vec<OneLog>)>,
    pub(crate) snapshots: Found,
}

#[derive(Clone, Debug)]
struct OneLog {
    identity: LogIdentity,
    /// Where a newer generation says it ends.
    end: Option<LogEnd>,
}

/// What a walk came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walked {
    /// Of each log walked.
    pub(crate) tails: BTreeMap<(u32, u16), (LogIdentity, Tail)>,
    /// Its files, and what is in them.
    pub(crate) segments: BTreeMap<(u32, u16), Segments>,
    /// Indexes of the snapshots that replay began with.
    pub(crate) used: BTreeMap<PartitionId, u64>,
    /// Entries given to the sink.
    pub(crate) entries: u64,
    /// Bytes of the batches looked at.
    pub(crate) bytes: u64,
    /// Latest time of an entry; zero without one.
    pub(crate) last_time: Millis,
}

impl<S: Store> Plan<S> {
    /// Reads from the first batches of each generation where the one before ends.
    ///
    /// # Errors
    /// When the beginning of a log cannot be read.
    pub(crate) fn read(meta: &Meta, store: S) -> Result<Self, ReplayLogError> {
        let logs_of =
            |generation: Generation| (0..generation.shards).map(move |shard| OneLog { identity: meta.log(generation, shard), end: None });
        let mut generations: Vec<(Generation, Vec<OneLog>)> =
            meta.generations.iter().map(|generation| (*generation, logs_of(*generation).collect())).collect();
        for later in 1..generations.len() {
            let (before, after) = generations.split_at_mut(later);
            let (ended, ended_logs) = &mut before[later - 1];
            for log in &after[0].1 {
                for end in first_ends(&store, &log.identity)? {
                    let disagrees = || ReplayLogError::Ends { log: layout::log_path(&log.identity) };
                    if (end.generation, end.shards) != (ended.number, ended.shards) {
                        return Err(disagrees());
                    }
                    let known = &mut ended_logs.get_mut(usize::from(end.shard)).ok_or_else(disagrees)?.end;
                    if known.is_some_and(|known| known != end) {
                        return Err(disagrees());
                    }
                    *known = Some(end);
                }
            }
        }
        let io = |source| RecoverError::Io { file: snapshot::layout::SNAPSHOT_DIR.to_owned(), offset: 0, source };
        let snapshots = Found::of(&store, meta).map_err(io)?;
        Ok(Self { store, partitions: meta.partitions, begins: meta.begins, generations, snapshots })
    }

    /// Gives the newest snapshot that is whole of each partition that `wants` takes to `each`, with the place of its last entry.
    ///
    /// # Errors
    /// When a file cannot be read, belongs elsewhere, or is newer than this program. Damaged ones are left out and told in [`Below`].
    pub(crate) fn restore(&self, wants: impl Fn(PartitionId) -> bool, each: impl FnMut(Restored)) -> Result<Below, snapshot::FileError> {
        self.snapshots.restore(&self.store, wants, each)
    }

    /// Feeds `sink` every entry above what is `below`, of the partitions it wants.
    ///
    /// # Errors
    /// At the first log that cannot be read, or entry that the sink does not take; and when a snapshot is damaged that the logs do not make up for.
    pub(crate) fn walk(&self, sink: &mut impl Sink, below: Below) -> Result<Walked, ReplayLogError> {
        let mut walk = Walk::above(below);
        self.check_begin(&mut walk, sink)?;
        for (generation, log) in self.logs_for(sink) {
            self.log(&mut walk, generation, log, sink)?;
        }
        walk.end()
    }

    /// As [`Plan::walk`], and goes on behind a log that cannot be read; later entries of its partitions are then left out. What is damaged `below` is
    /// among the errors.
    pub(crate) fn walk_all(&self, sink: &mut impl Sink, below: Below) -> (Walked, Vec<ReplayLogError>) {
        let mut walk = Walk::above(below);
        let mut errors: Vec<ReplayLogError> = Vec::new();
        errors.extend(std::mem::take(&mut walk.damaged).into_values().flatten().map(|(_, error)| error.into()));
        errors.extend(self.check_begin(&mut walk, sink).err());
        for (generation, log) in self.logs_for(sink) {
            if let Err(error) = self.log(&mut walk, generation, log, sink) {
                errors.push(error);
                walk.lost.extend(self.partitions_of(generation, log));
            }
        }
        (walk.walked, errors)
    }

    /// A folder whose older logs were let go has a snapshot of every partition.
    fn check_begin(&self, walk: &mut Walk, sink: &impl Sink) -> Result<(), ReplayLogError> {
        let mut wanted = (0..self.partitions).map(PartitionId).filter(|id| sink.wants(*id));
        match (self.begins, wanted.find(|id| walk.positions.needs_all(id.0))) {
            (Begins::Snapshots, Some(partition)) => {
                let error = walk.no_snapshot(partition, "older logs were let go");
                Err(walk.blame(partition, error))
            }
            (Begins::Snapshots, None) | (Begins::Log, _) => Ok(()),
        }
    }

    fn partitions_of(&self, generation: Generation, log: &OneLog) -> impl Iterator<Item = PartitionId> {
        let shard = log.identity.shard;
        (0..self.partitions).map(PartitionId).filter(move |id| shard_of(*id, generation.shards).0 == shard)
    }

    /// Walks one log, and says of damage in it whether a damaged snapshot is behind it.
    fn log(&self, walk: &mut Walk, generation: Generation, log: &OneLog, sink: &mut impl Sink) -> Result<(), ReplayLogError> {
        let partitions: Vec<PartitionId> = self.partitions_of(generation, log).collect();
        walk.log(&self.store, log, &partitions, sink).map_err(|error| match &error {
            ReplayLogError::Position { source: PositionError::Gap { partition, .. }, .. } => walk.blame(PartitionId(*partition), error),
            _ => error,
        })
    }

    /// Logs that hold a partition the sink wants, oldest generation first.
    fn logs_for(&self, sink: &impl Sink) -> Vec<(Generation, &OneLog)> {
        let holds_wanted = |generation: &Generation, shard| {
            (0..self.partitions).map(PartitionId).any(|id| shard_of(id, generation.shards).0 == shard && sink.wants(id))
        };
        let all = self.generations.iter().flat_map(|(generation, logs)| logs.iter().map(move |log| (*generation, log)));
        all.filter(|(generation, log)| holds_wanted(generation, log.identity.shard)).collect()
    }
}

/// A walk under way.
struct Walk {
    positions: Positions,
    /// Snapshots that could not be used, newest first.
    damaged: BTreeMap<PartitionId, Vec<(u64, snapshot::FileError)>>,
    walked: Walked,
    /// Partitions some of whose entries could not be read.
    lost: BTreeSet<PartitionId>,
}

impl Walk {
    fn above(below: Below) -> Self {
        let Below { positions, damaged, used, last_time } = below;
        let walked = Walked { used, last_time, ..Walked::default() };
        Self { positions, damaged, walked, lost: BTreeSet::new() }
    }

    /// Every damaged snapshot must be made up for: an older one and the logs have its entries.
    fn end(mut self) -> Result<Walked, ReplayLogError> {
        for (partition, damaged) in std::mem::take(&mut self.damaged) {
            for (index, error) in damaged {
                let last = self.positions.last(partition.0);
                if last < index {
                    return Err(ReplayLogError::SnapshotNeeded { snapshot: Box::new(error), why: format!("they end at entry {last}") });
                }
                tracing::warn!(%error, "a damaged snapshot was passed over: the log has everything in it");
            }
        }
        Ok(self.walked)
    }

    /// A gap in the log is below a snapshot that is damaged: that is what to tell.
    fn blame(&mut self, partition: PartitionId, error: ReplayLogError) -> ReplayLogError {
        let Some((_, snapshot)) = self.damaged.get_mut(&partition).filter(|damaged| !damaged.is_empty()).map(|damaged| damaged.remove(0))
        else {
            return error;
        };
        ReplayLogError::SnapshotNeeded { snapshot: Box::new(snapshot), why: super::with_causes(&error) }
    }

    fn no_snapshot(&self, partition: PartitionId, why: &'static str) -> ReplayLogError {
        ReplayLogError::NoSnapshot { folder: snapshot::layout::partition_path(partition), partition, why }
    }

    fn log(&mut self, store: &impl Store, log: &OneLog, partitions: &[PartitionId], sink: &mut impl Sink) -> Result<(), ReplayLogError> {
        let path = || layout::log_path(&log.identity);
        let mut reader = Reader::new(store.segments(&log.identity), log.identity, log.end)?;
        let mut segments = Segments::of(reader.segments());
        if segments.oldest().is_some_and(|oldest| oldest > SegmentNumber::FIRST)
            && let Some(bare) = partitions.iter().find(|id| sink.wants(**id) && self.positions.needs_all(id.0))
        {
            let error = self.no_snapshot(*bare, "the log begins later than its first segment");
            return Err(self.blame(*bare, error));
        }
        loop {
            let batch = match reader.advance()? {
                Next::Batch(batch) => batch,
                Next::End(tail) => {
                    let key = (log.identity.generation, log.identity.shard);
                    self.walked.tails.insert(key, (log.identity, tail));
                    self.walked.segments.insert(key, segments);
                    return Ok(());
                }
            };
            let segment = batch.segment;
            self.walked.bytes += batch.bytes as u64;
            for record in batch.records {
                segments.note(segment, &record);
                let partition = PartitionId(record.partition);
                if !sink.wants(partition) || self.lost.contains(&partition) {
                    continue;
                }
                let said =
                    match self.positions.check(&record).map_err(|source| ReplayLogError::Position { log: path(), segment, source })? {
                        Replay::Append => {
                            self.walked.entries += 1;
                            self.walked.last_time = self.walked.last_time.max(Millis(record.time_ms));
                            Some(entry(&record))
                        }
                        Replay::DropFrom(index) => Some(Said::VoidFrom { term: record.term, index }),
                        Replay::SnapshotAt(index) => return Err(ReplayLogError::SnapshotGone { log: path(), segment, partition, index }),
                        Replay::Covered => None,
                        Replay::Other => other(&record)?,
                    };
                let index = record.index;
                if let Some(said) = said {
                    sink.take(partition, said).map_err(|why| ReplayLogError::Entry { log: path(), segment, partition, index, why })?;
                }
            }
        }
    }
}

fn entry<'a>(record: &Record<'a>) -> Said<'a> {
    let Record { kind, term, index, time_ms, body, .. } = *record;
    let RecordKind::Entry(variant) = kind else { unreachable!("only entries are appended") };
    Said::Entry { variant, term, index, time: Millis(time_ms), body }
}

/// What a record that is no entry says of a partition.
fn other(record: &Record<'_>) -> Result<Option<Said<'static>>, ReplayLogError> {
    Ok(match record.kind {
        RecordKind::HardState => {
            let vote = log::HardState::decode(record.body)?.vote;
            Some(Said::Hard(HardState { term: record.term, vote, commit: record.index }))
        }
        RecordKind::Membership => Some(Said::Members(record.index, Membership::decode(record.body)?)),
        RecordKind::Entry(_) | RecordKind::OverwriteFrom | RecordKind::SnapshotMark | RecordKind::DurableMark | RecordKind::LogEnd => None,
    })
}

impl Walked {
    /// Adds what another thread walked.
    pub(crate) fn add(&mut self, other: Self) {
        self.tails.extend(other.tails);
        self.segments.extend(other.segments);
        self.used.extend(other.used);
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.last_time = self.last_time.max(other.last_time);
    }

    /// Whether nothing was ever written into the logs of a generation. A torn first write was not acknowledged.
    pub(crate) fn is_empty(&self, generation: Generation) -> bool {
        self.tails.range((generation.number, 0)..=(generation.number, u16::MAX)).all(|(_, (_, tail))| tail.place.is_none())
    }

    /// Whether there is anything in logs and snapshots.
    pub(crate) fn is_anything(&self) -> bool {
        !self.used.is_empty() || self.tails.values().any(|(_, tail)| tail.place.is_some())
    }

    /// Torn writes, oldest log first.
    pub(crate) fn cuts(&self) -> Vec<log::Cut> {
        let cut = |(_, tail): &(LogIdentity, Tail)| match &tail.ending {
            Ending::Cut(cut) => Some(cut.clone()),
            Ending::Empty | Ending::Marked | Ending::Unmarked => None,
        };
        self.tails.values().filter_map(cut).collect()
    }

    /// Makes what recovery accepted from the page cache durable, before anything is written that relies on it: the ends of the logs, and the names of
    /// the snapshots, since a process that was killed may have renamed one and not come to the sync of its folder.
    ///
    /// # Errors
    /// When a segment or a folder cannot be synced.
    pub(crate) fn sync(&self, store: &impl Store) -> Result<(), RecoverError> {
        for (identity, tail) in self.tails.values() {
            let Some((segment, offset)) = tail.place else { continue };
            let io = |source| RecoverError::Io { file: layout::segment_path(identity, segment), offset, source };
            store.sync(identity, segment).map_err(io)?;
        }
        for partition in self.used.keys() {
            let folder = snapshot::layout::partition_path(*partition);
            let io = |source| RecoverError::Io { file: folder.clone(), offset: 0, source };
            store.sync_names(&folder).map_err(io)?;
        }
        Ok(())
    }
}

/// The log ends in the first batch of a log; none when the log is empty or of the first generation.
fn first_ends(store: &impl Store, identity: &LogIdentity) -> Result<Vec<LogEnd>, ReplayLogError> {
    let mut reader = Reader::new(store.segments(identity), *identity, None)?;
    let mut ends = Vec::new();
    if let Next::Batch(batch) = reader.advance()? {
        for record in batch.records.filter(|record| record.kind == RecordKind::LogEnd) {
            ends.push(LogEnd::decode(record.body)?);
        }
    }
    Ok(ends)
}

/// A log's segments as ordinary files.
#[derive(Debug)]
pub(crate) struct LogFiles {
    dir: PathBuf,
    open: Option<(SegmentNumber, File)>,
}

impl SegmentSource for LogFiles {
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(files),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // Other names are not ours, such as what an operator left there.
            let Some(number) = entry.file_name().to_str().and_then(layout::parse_segment_file) else { continue };
            files.push(SegmentFile { number, bytes: entry.metadata()?.len() });
        }
        Ok(files)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if !matches!(&self.open, Some((open, _)) if *open == segment) {
            let file = File::open(self.dir.join(layout::segment_file(segment)))?;
            // Only advice: it makes read-ahead larger where the system takes it.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
            self.open = Some((segment, file));
        }
        let (_, file) = self.open.as_ref().expect("opened above");
        file.read_exact_at(into, offset)
    }
}

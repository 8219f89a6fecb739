//! Reads the logs of a folder in order and feeds what is in them to whoever owns it.
//!
//! Path: [`Store`] (the data folder, or the disk of a simulation) → [`Plan::read`] (generations, and where each old one ends) → [`Plan::walk`] with a
//! [`Sink`] per thread → batches checked by
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

use crate::folder::{Generation, Meta};
use crate::log::{
    self, BodyError, Ending, EntryVariant, LogEnd, LogIdentity, Next, PositionError, Positions, Reader, Record, RecordKind, RecoverError,
    Replay, SegmentFile, SegmentNumber, SegmentSource, Tail, layout,
};
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
    /// A record that only replication writes.
    #[error("{log}, segment {}: {what}; it was written by a version of Emporion that replicates. Start that version", segment.0)]
    Replicated {
        /// Path of the log in the data folder.
        log: String,
        /// Where.
        segment: SegmentNumber,
        /// What was found.
        what: &'static str,
    },
    /// A record of another kind than entry.
    #[error(transparent)]
    Body(#[from] BodyError),
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

/// Takes the entries of its partitions, in the order of each partition.
pub(crate) trait Sink {
    /// Is the partition one of its own?
    fn wants(&self, partition: PartitionId) -> bool;

    /// Takes an entry; the text says why it cannot.
    fn take(&mut self, partition: PartitionId, index: u64, time: Millis, body: &[u8]) -> Result<(), String>;
}

/// Where logs are kept.
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
}

/// What there is to read.
#[derive(Clone, Debug)]
pub(crate) struct Plan<S> {
    store: S,
    partitions: u16,
    generations: Vec<(Generation, Vec<OneLog>)>,
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
        Ok(Self { store, partitions: meta.partitions, generations })
    }

    /// Feeds `sink` every entry of the partitions it wants.
    ///
    /// # Errors
    /// At the first log that cannot be read, or entry that the sink does not take.
    pub(crate) fn walk(&self, sink: &mut impl Sink) -> Result<Walked, ReplayLogError> {
        let mut walk = Walk::default();
        for (_, log) in self.logs_for(sink) {
            walk.log(&self.store, log, sink)?;
        }
        Ok(walk.walked)
    }

    /// As [`Plan::walk`], and goes on behind a log that cannot be read; later entries of its partitions are then left out.
    pub(crate) fn walk_all(&self, sink: &mut impl Sink) -> (Walked, Vec<ReplayLogError>) {
        let (mut walk, mut errors) = (Walk::default(), Vec::new());
        for (generation, log) in self.logs_for(sink) {
            if let Err(error) = walk.log(&self.store, log, sink) {
                errors.push(error);
                let lost = (0..self.partitions).map(PartitionId).filter(|id| shard_of(*id, generation.shards).0 == log.identity.shard);
                walk.lost.extend(lost);
            }
        }
        (walk.walked, errors)
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
#[derive(Default)]
struct Walk {
    positions: Positions,
    walked: Walked,
    /// Partitions some of whose entries could not be read.
    lost: BTreeSet<PartitionId>,
}

impl Walk {
    fn log(&mut self, store: &impl Store, log: &OneLog, sink: &mut impl Sink) -> Result<(), ReplayLogError> {
        let path = || layout::log_path(&log.identity);
        let mut reader = Reader::new(store.segments(&log.identity), log.identity, log.end)?;
        loop {
            let batch = match reader.advance()? {
                Next::Batch(batch) => batch,
                Next::End(tail) => {
                    self.walked.tails.insert((log.identity.generation, log.identity.shard), (log.identity, tail));
                    return Ok(());
                }
            };
            let segment = batch.segment;
            self.walked.bytes += batch.bytes as u64;
            for record in batch.records {
                let partition = PartitionId(record.partition);
                if !sink.wants(partition) || self.lost.contains(&partition) {
                    continue;
                }
                let replicated = |what| Err(ReplayLogError::Replicated { log: path(), segment, what });
                match self.positions.check(&record).map_err(|source| ReplayLogError::Position { log: path(), segment, source })? {
                    Replay::Append => {}
                    Replay::DropFrom(_) => return replicated("entries that a leader made void"),
                    Replay::SnapshotAt(_) | Replay::Covered => return replicated("a snapshot"),
                    Replay::Other => continue,
                }
                let Record { kind: RecordKind::Entry(EntryVariant::Command), index, time_ms, body, .. } = record else {
                    return replicated("a change of members");
                };
                sink.take(partition, index, Millis(time_ms), body).map_err(|why| ReplayLogError::Entry {
                    log: path(),
                    segment,
                    partition,
                    index,
                    why,
                })?;
                self.walked.entries += 1;
                self.walked.last_time = self.walked.last_time.max(Millis(time_ms));
            }
        }
    }
}

impl Walked {
    /// Adds what another thread walked.
    pub(crate) fn add(&mut self, other: Self) {
        self.tails.extend(other.tails);
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.last_time = self.last_time.max(other.last_time);
    }

    /// Whether nothing was ever written into the logs of a generation. A torn first write was not acknowledged.
    pub(crate) fn is_empty(&self, generation: Generation) -> bool {
        self.tails.range((generation.number, 0)..=(generation.number, u16::MAX)).all(|(_, (_, tail))| tail.place.is_none())
    }

    /// Torn writes, oldest log first.
    pub(crate) fn cuts(&self) -> Vec<log::Cut> {
        let cut = |(_, tail): &(LogIdentity, Tail)| match &tail.ending {
            Ending::Cut(cut) => Some(cut.clone()),
            Ending::Empty | Ending::Marked | Ending::Unmarked => None,
        };
        self.tails.values().filter_map(cut).collect()
    }

    /// Makes what recovery accepted from the page cache durable, before anything is written that relies on it.
    ///
    /// # Errors
    /// When a segment cannot be synced.
    pub(crate) fn sync(&self, store: &impl Store) -> Result<(), RecoverError> {
        for (identity, tail) in self.tails.values() {
            let Some((segment, offset)) = tail.place else { continue };
            let io = |source| RecoverError::Io { file: layout::segment_path(identity, segment), offset, source };
            store.sync(identity, segment).map_err(io)?;
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

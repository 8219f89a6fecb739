//! [`EventLog`]: one shard's events in memory and in files, sans-IO.
//!
//! Path in: [`EventLog::append`] → the chunk being gathered → [`EventLog::write`] closes it and makes a frame of it, one at a time →
//! [`EventLog::written`]. Path out: [`Reading`] → [`EventLog::read`] → [`Part::Read`] asks for a file, [`EventLog::give`] brings it → … → [`Part::Done`].
//! A file is begun anew after every start and after every failure, with what was not known to be durable: so events may be in two files, one
//! behind the other, and a reader, who goes by places, takes each once.

use super::bytes::{Events, Header, LogName, SEGMENT_BYTES_MAX, Track, frame_bytes, put_event, put_frame, scan, seed_of};
use super::catalog::{Catalog, Listed, file_path};
use crate::shard::files::{FILE_BYTES_MAX, FileStep};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{FeedEvent, FeedPlace, Millis, PartitionId, Seq};

/// Bytes of events gathered for one frame; a little more if the last one makes it so.
pub const CHUNK_BYTES: usize = 256 * 1_024;
/// Bytes of events kept in memory for readers once they are in files. Those of the file being written are kept in any case.
pub const RECENT_BYTES_MAX: usize = 8 << 20;
/// Bytes of events that wait for the disk. From here on [`EventLog::is_behind`], and the shard takes no commands. A start that makes more of them
/// again than this lets the oldest go: they count as older than what is kept.
pub const UNWRITTEN_BYTES_MAX: usize = 32 << 20;
/// Files kept in memory for readers that are behind.
pub const CACHED_MAX: usize = 4;
/// Files removed by one [`EventLog::expire`].
const REMOVED_MAX: usize = 16;
/// An event waits this long for company, microseconds.
const GATHER_US: u64 = 1_000_000;
/// So often it is written that commands told nothing: the write-ahead log waits for that when it wants to let go of them.
const COVER_US: u64 = 10_000_000;
/// After a failure the next attempt waits this long.
const RETRY_US: u64 = 1_000_000;

const _: () = assert!(SEGMENT_BYTES_MAX <= FILE_BYTES_MAX, "a file is read in one step, and begun by one that writes less");

/// How long events are kept. The oldest files go first; the one being written stays, whatever its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Milliseconds of log time.
    pub ms: u64,
    /// Bytes of files that this shard looks after.
    pub bytes: u64,
}

/// What is known of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Events before this place are kept no more.
    gone: FeedPlace,
    /// Those from this place on are in memory.
    recent: FeedPlace,
    /// Those before this place are durable.
    written: FeedPlace,
    /// Of these commands all are.
    durable: Seq,
}

/// Events that go into one frame.
#[derive(Debug, Default)]
struct Chunk {
    events: Vec<u8>,
    count: u32,
    /// Behind the last event of each partition that has some in it.
    ends: BTreeMap<PartitionId, FeedPlace>,
    /// Latest time of one.
    newest: Millis,
    /// In which file it is durable; 0 while it is in none.
    file: u32,
}

/// The file being written.
#[derive(Debug)]
struct Open {
    number: u32,
    bytes: usize,
    seed: u64,
    newest: Millis,
    ends: BTreeMap<PartitionId, FeedPlace>,
}

/// A frame on its way to the disk.
#[derive(Debug)]
struct Flight {
    /// The file it begins; `None`: it goes to the end of the open one.
    fresh: Option<Open>,
    bytes: usize,
    covers: Vec<(PartitionId, Seq)>,
    /// The first chunk that is not durable is in it.
    has_chunk: bool,
}

/// Events of one shard's partitions.
#[derive(Debug)]
pub struct EventLog {
    log: LogName,
    keep: Keep,
    known: BTreeMap<PartitionId, Known>,
    /// Files that are complete, by generation, shard and number.
    files: Vec<Listed>,
    open: Option<Open>,
    last_number: u32,
    /// Durable ones first.
    chunks: VecDeque<Chunk>,
    gathering: Chunk,
    gathering_since_us: Option<u64>,
    /// Commands were applied since the last frame.
    uncovered_since_us: Option<u64>,
    unwritten_bytes: usize,
    recent_bytes: usize,
    flight: Option<Flight>,
    /// The last write failed.
    is_failing: bool,
    not_before_us: u64,
    cached: VecDeque<(String, Vec<u8>)>,
    /// To be removed; the folder is named last.
    remove: Vec<String>,
}

impl EventLog {
    /// The log of a shard that has `partitions`, as far as the catalog goes. What a replay tells again is appended; then [`EventLog::begin`].
    #[must_use]
    pub fn new(keep: Keep, partitions: impl Iterator<Item = PartitionId>, catalog: &Catalog) -> Self {
        let known = |partition: PartitionId| {
            let Track { next, covered } = catalog.tracks.get(&partition).copied().unwrap_or_default();
            let gone = catalog.gone.get(&partition).copied().unwrap_or_default();
            (partition, Known { gone, recent: next, written: next, durable: covered })
        };
        Self {
            log: LogName { folder: 0, generation: 0, shard: 0, shards: 1, epoch: 0 },
            keep,
            known: partitions.map(known).collect(),
            files: Vec::new(),
            open: None,
            last_number: 0,
            chunks: VecDeque::new(),
            gathering: Chunk::default(),
            gathering_since_us: None,
            uncovered_since_us: None,
            unwritten_bytes: 0,
            recent_bytes: 0,
            flight: None,
            is_failing: false,
            not_before_us: 0,
            cached: VecDeque::new(),
            remove: Vec::new(),
        }
    }

    /// Goes on with files of this log, behind those of the catalog.
    pub fn begin(&mut self, log: LogName, catalog: &Catalog) {
        let is_kept = |shard: u16| shard % log.shards == log.shard;
        let concerns = |file: &&Listed| is_kept(file.shard) || file.ends.iter().any(|(partition, _)| self.known.contains_key(partition));
        self.files = catalog.files.iter().filter(concerns).cloned().collect();
        self.last_number = catalog.last.get(&(log.generation, log.shard)).copied().unwrap_or(0);
        // The next file may be written over one that is ignored.
        let next = file_path(log.generation, log.shard, self.last_number + 1);
        let ignored = catalog.ignored.iter().filter(|ignored| is_kept(ignored.shard));
        self.remove = ignored.map(|ignored| ignored.path.clone()).filter(|path| *path != next).collect();
        self.log = log;
    }

    /// The state of a partition begins behind `seq`, from a snapshot: what the log lacks up to there cannot be told any more.
    pub fn begins_behind(&mut self, partition: PartitionId, seq: Seq) {
        if let Some(known) = self.known.get_mut(&partition)
            && known.durable < seq
        {
            let begin = FeedPlace::behind(seq);
            *known = Known { gone: begin, recent: begin, written: begin, durable: seq };
        }
    }

    /// All events of the partition's commands up to this one are durable here: the write-ahead log may let go of them.
    #[must_use]
    pub fn durable(&self, partition: PartitionId) -> Seq {
        self.known.get(&partition).map_or(Seq(0), |known| known.durable)
    }

    /// Takes the events of a command that is durable in the write-ahead log. Those that are durable here already are left out.
    pub fn append(&mut self, now_us: u64, events: &[FeedEvent]) {
        for event in events {
            let (partition, place) = (event.position.partition, event.place());
            let Some(known) = self.known.get(&partition) else { continue };
            if place.seq <= known.durable || place < known.written {
                continue;
            }
            let before = self.gathering.events.len();
            put_event(&mut self.gathering.events, event);
            self.unwritten_bytes += self.gathering.events.len() - before;
            self.gathering.count += 1;
            self.gathering.ends.insert(partition, place.next());
            self.gathering.newest = self.gathering.newest.max(event.at);
            self.gathering_since_us.get_or_insert(now_us);
            if self.gathering.events.len() >= CHUNK_BYTES {
                self.close_chunk();
            }
        }
    }

    /// A command was applied, with events or without.
    pub fn applied(&mut self, now_us: u64) {
        self.uncovered_since_us.get_or_insert(now_us);
    }

    /// Lets the oldest events go that a replay made again beyond what memory may hold.
    pub fn shorten(&mut self) {
        while self.unwritten_bytes > UNWRITTEN_BYTES_MAX
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.unwritten_bytes -= chunk.events.len();
            for (partition, end) in chunk.ends {
                let known = self.known.entry(partition).or_default();
                (known.gone, known.recent, known.written) = (end, end, end);
            }
        }
    }

    /// Too much waits for the disk.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.unwritten_bytes > UNWRITTEN_BYTES_MAX
    }

    /// Everything is durable.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.flight.is_none() && self.unwritten_bytes == 0 && self.uncovered_since_us.is_none()
    }

    /// Something is to be written, and it can be: a shard that stops waits for it.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        !self.is_clean() && !self.is_failing
    }

    /// When [`EventLog::write`] has something to do, monotonic microseconds.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        if self.flight.is_some() {
            return None;
        }
        let full = self.chunks.back().is_some_and(|chunk| chunk.file == 0).then_some(0);
        let gathered = self.gathering_since_us.map(|since| since + GATHER_US);
        let covered = self.uncovered_since_us.map(|since| since + COVER_US);
        [full, gathered, covered].into_iter().flatten().min().map(|wake| wake.max(self.not_before_us))
    }

    /// Before this time nothing is written: the last write failed.
    #[must_use]
    pub fn next_chance(&self) -> u64 {
        self.not_before_us
    }

    /// Steps that make the next frame durable, if it is time for one, or `at_once`; then [`EventLog::written`] is to be called. `applied` tells
    /// how many commands each partition of the shard has applied, `now` is log time.
    pub fn write(
        &mut self,
        now: Millis,
        now_us: u64,
        at_once: bool,
        applied: impl Iterator<Item = (PartitionId, Seq)>,
    ) -> Option<Vec<FileStep>> {
        let is_due = self.next_wake().is_some_and(|wake| wake <= now_us || (at_once && self.not_before_us <= now_us));
        if self.flight.is_some() || !is_due {
            return None;
        }
        let waiting = self.chunks.iter().filter(|chunk| chunk.file == 0).count();
        if waiting == 0 {
            self.close_chunk();
        }
        let chunk = self.chunks.iter().find(|chunk| chunk.file == 0);
        let is_last = waiting <= 1 && self.gathering.events.is_empty();
        let covers: Vec<(PartitionId, Seq)> = if is_last {
            self.uncovered_since_us = None;
            applied.filter(|(partition, seq)| self.known.get(partition).is_some_and(|known| known.durable < *seq)).collect()
        } else {
            // The command of its last event may have more in the next.
            let ends = chunk.iter().flat_map(|chunk| &chunk.ends);
            ends.map(|(partition, end)| (*partition, Seq(end.seq.0.saturating_sub(1)))).collect()
        };
        if chunk.is_none() && covers.is_empty() {
            return None;
        }
        let (events, count) = chunk.map_or((&[][..], 0), |chunk| (&chunk.events[..], chunk.count));
        let bytes = frame_bytes(covers.len(), events.len());
        let path = |number| file_path(self.log.generation, self.log.shard, number);
        let open = self.open.as_ref().filter(|open| open.bytes + bytes <= SEGMENT_BYTES_MAX);
        let (fresh, steps) = match open {
            Some(open) => {
                let mut frame = Vec::with_capacity(bytes);
                put_frame(&mut frame, open.seed, &covers, count, events);
                let path = path(open.number);
                (
                    None,
                    vec![
                        FileStep::Write { path: path.clone(), offset: open.bytes as u64, bytes: frame, create: false },
                        FileStep::Sync { path },
                    ],
                )
            }
            None => {
                let track =
                    |(partition, known): (&PartitionId, &Known)| (*partition, Track { next: known.written, covered: known.durable });
                let number = self.last_number + 1;
                let mut file = Header { log: self.log, number, at: now, tracks: self.known.iter().map(track).collect() }.encode();
                let open = Open { number, bytes: file.len(), seed: seed_of(&file), newest: now, ends: BTreeMap::new() };
                put_frame(&mut file, open.seed, &covers, count, events);
                let path = path(number);
                let write = FileStep::Write { path: path.clone(), offset: 0, bytes: file, create: true };
                let folder = super::path(self.log.generation, self.log.shard);
                (Some(open), vec![write, FileStep::Sync { path }, FileStep::SyncFolder { path: folder }])
            }
        };
        let has_chunk = chunk.is_some();
        self.flight = Some(Flight { fresh, bytes, covers, has_chunk });
        Some(steps)
    }

    /// What came of the steps. After a failure the same events go into a file that is begun then.
    ///
    /// # Panics
    /// When nothing was being written.
    pub fn written(&mut self, now_us: u64, ok: bool) {
        let Flight { fresh, bytes, covers, has_chunk } = self.flight.take().expect("steps were given");
        self.is_failing = !ok;
        if !ok {
            self.not_before_us = now_us + RETRY_US;
            self.uncovered_since_us.get_or_insert(now_us);
            // What is in a file that was begun with this frame is in no other, and it is begun again under its number.
            if fresh.is_none() {
                self.close_file();
            }
            return;
        }
        if let Some(fresh) = fresh {
            self.close_file();
            self.last_number = fresh.number;
            self.open = Some(fresh);
        }
        let Some(open) = &mut self.open else { unreachable!("a frame is in a file") };
        open.bytes += bytes;
        for (partition, seq) in covers {
            let known = self.known.entry(partition).or_default();
            known.durable = known.durable.max(seq);
        }
        if has_chunk && let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.file == 0) {
            chunk.file = open.number;
            open.newest = open.newest.max(chunk.newest);
            for (partition, end) in &chunk.ends {
                open.ends.insert(*partition, *end);
                self.known.entry(*partition).or_default().written = *end;
            }
            self.unwritten_bytes -= chunk.events.len();
            self.recent_bytes += chunk.events.len();
        }
        while self.recent_bytes > RECENT_BYTES_MAX
            && self.chunks.front().is_some_and(|chunk| chunk.file != 0 && chunk.file != self.last_number)
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.recent_bytes -= chunk.events.len();
            for (partition, end) in chunk.ends {
                self.known.entry(partition).or_default().recent = end;
            }
        }
    }

    /// Steps that remove what is older than it is kept, at most [`REMOVED_MAX`] files of it, and what is of no use. Whether they succeed does not
    /// matter: what is left is found by the next start.
    pub fn expire(&mut self, now: Millis) -> Option<Vec<FileStep>> {
        let mut removed = std::mem::take(&mut self.remove);
        let log = self.log;
        let is_kept = |file: &Listed| file.shard % log.shards == log.shard;
        let mut bytes: u64 = self.files.iter().filter(|file| is_kept(file)).map(|file| file.bytes).sum();
        bytes += self.open.as_ref().map_or(0, |open| open.bytes as u64);
        while removed.len() < REMOVED_MAX {
            // Of each log the oldest, but not its last, which tells how far the log is, unless later generations tell that too.
            let mut logs = BTreeSet::new();
            let is_last = |at: usize, file: &Listed| {
                let next = self.files.get(at + 1).map(|next| (next.generation, next.shard));
                let is_open = (file.generation, file.shard) == (self.log.generation, self.log.shard) && self.open.is_some();
                next != Some((file.generation, file.shard)) && !is_open && !file.superseded
            };
            let first = self.files.iter().enumerate().filter(|(_, file)| logs.insert((file.generation, file.shard)));
            let oldest = first.filter(|(at, file)| is_kept(file) && !is_last(*at, file)).min_by_key(|(_, file)| file.newest);
            let Some((at, file)) = oldest else { break };
            if bytes <= self.keep.bytes && file.newest.plus(self.keep.ms) >= now {
                break;
            }
            bytes -= file.bytes;
            removed.push(file.path());
            self.forget(at);
        }
        (!removed.is_empty()).then(|| removed.into_iter().map(|path| FileStep::Remove { path }).collect())
    }

    /// Where the events of a partition begin that are kept.
    #[must_use]
    pub fn oldest(&self, partition: PartitionId) -> FeedPlace {
        self.known.get(&partition).map_or(FeedPlace::default(), |known| known.gone)
    }

    /// Reads on. `Part::Read` asks for a file, which [`EventLog::give`] brings; then it goes on here.
    pub fn read(&mut self, reading: &mut Reading) -> Part {
        loop {
            if reading.places.iter().any(|(partition, place)| *place < self.oldest(*partition)) {
                return Part::Gone;
            }
            if reading.is_full() {
                return Part::Done;
            }
            let is_needed = |(partition, end): &(PartitionId, FeedPlace)| {
                let recent = self.known.get(partition).map_or(FeedPlace::default(), |known| known.recent);
                reading.places.get(partition).is_some_and(|place| place < end && *place < recent)
            };
            let Some(at) = self.files.iter().position(|file| file.ends.iter().any(is_needed)) else { break };
            let path = self.files[at].path();
            let Some(cached) = self.cached.iter().position(|(known, _)| *known == path) else {
                return Part::Read(ToRead { path, bytes: self.files[at].bytes as usize }); // a file's length
            };
            let entry = self.cached.remove(cached).expect("found");
            reading.take(self.log.epoch, &entry.1);
            self.cached.push_back(entry);
            let lacks = |(partition, end): &(PartitionId, FeedPlace)| reading.places.get(partition).is_some_and(|place| place < end);
            if !reading.is_full() && self.files[at].ends.iter().any(lacks) {
                tracing::error!(path, "a file of the event log lacks events that it had; they count as older than what is kept");
                self.forget(at);
            }
        }
        for chunk in self.chunks.iter().chain([&self.gathering]) {
            if chunk.ends.iter().any(|(partition, end)| reading.places.get(partition).is_some_and(|place| place < end)) {
                reading.take(self.log.epoch, &chunk.events);
            }
        }
        Part::Done
    }

    /// The bytes of a file that a reader asked for; `None` when it cannot be read.
    pub fn give(&mut self, path: String, bytes: Option<Vec<u8>>) {
        match bytes.and_then(|bytes| scan(&bytes).ok()) {
            Some(scanned) => {
                if self.cached.len() >= CACHED_MAX {
                    self.cached.pop_front();
                }
                self.cached.push_back((path, scanned.events));
            }
            // Another shard that looks after it may have removed it.
            None => {
                if let Some(at) = self.files.iter().position(|file| file.path() == path) {
                    tracing::warn!(path, "a file of the event log cannot be read; its events count as older than what is kept");
                    self.forget(at);
                }
            }
        }
    }

    /// A file is there no more, or as good as.
    fn forget(&mut self, at: usize) {
        let file = self.files.remove(at);
        self.cached.retain(|(path, _)| *path != file.path());
        for (partition, end) in file.ends {
            if let Some(known) = self.known.get_mut(&partition) {
                // Also where memory has them still: they would be gone at some moment that nobody could name.
                known.gone = known.gone.max(end);
            }
        }
    }

    fn close_chunk(&mut self) {
        self.gathering_since_us = None;
        if self.gathering.count > 0 {
            self.chunks.push_back(std::mem::take(&mut self.gathering));
        }
    }

    fn close_file(&mut self) {
        if let Some(Open { number, bytes, seed: _, newest, ends }) = self.open.take() {
            let (generation, shard) = (self.log.generation, self.log.shard);
            let ends = ends.into_iter().collect();
            self.files.push(Listed { generation, shard, number, bytes: bytes as u64, newest, ends, superseded: false });
        }
    }
}

/// A file that a reader needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToRead {
    /// In the data folder.
    pub path: String,
    /// All of them.
    pub bytes: usize,
}

/// How far a reader came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Up to what there is, or to its limit.
    Done,
    /// Events that it has not seen are kept no more.
    Gone,
    /// It needs a file first.
    Read(ToRead),
}

/// A reader of some of a shard's partitions.
#[derive(Debug)]
pub struct Reading {
    /// Where it stands.
    pub places: BTreeMap<PartitionId, FeedPlace>,
    /// What it read.
    pub events: Vec<FeedEvent>,
    limit: usize,
}

impl Reading {
    /// From these places, at most `limit` events.
    #[must_use]
    pub fn new(places: BTreeMap<PartitionId, FeedPlace>, limit: usize) -> Self {
        Self { places, events: Vec::new(), limit }
    }

    /// There may be more than it may read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events.len() >= self.limit
    }

    /// Takes what is new to it.
    fn take(&mut self, epoch: u32, events: &[u8]) {
        for raw in Events(events) {
            if self.is_full() {
                break;
            }
            if let Some(place) = self.places.get_mut(&raw.partition)
                && *place <= raw.place
                && let Some(event) = raw.decode(epoch)
            {
                *place = raw.place.next();
                self.events.push(event);
            }
        }
    }
}

//! Snapshots of partitions, made while they work, so that the log below can be released.
//!
//! Path: a new segment is wanted and the log is longer than it may be → [`State::look_for_snapshots`] → the partition that pins the oldest segment is frozen →
//! a slice of its state a turn → chunks of a file, written by jobs → synced, read back, compared → renamed, the older one removed → segments released.
//! Read first: [`UnderWay`] and [`Stage`], then [`State::snapshot_tick`] and [`State::snapshot_written`].
//! Somebody may also want one of every partition ([`State::snapshot_report`]), before a planned stop for example.
//! Bounds: one snapshot at a time in a shard, [`SLICE_BYTES`] of it a turn and only in turns whose requests were taken, [`JOBS_MAX`] jobs of
//! [`JOB_BYTES`] under way. What is written to the partition meanwhile is kept twice until the walk has passed it.
//! A snapshot that cannot be made costs nothing but the log's length: it is given up, told, and tried again after [`RETRY_MS`].

use super::{Config, files::Asker, state::State};
use crate::{
    partition::Partition,
    replication::Place,
    shard::{
        Output,
        files::{FILE_BYTES_MAX, FileStep, FilesResult},
    },
    snapshot::{Ended, FileError, Header, Reader, Writer, layout},
};
use std::{collections::BTreeMap, error::Error};
use wire::{Millis, PartitionId, SnapshotReport};

/// Bytes of state that a turn takes: 50 to 200 µs.
const SLICE_BYTES: usize = 64 << 10;
/// Bytes that a job writes and syncs, and that one reads back: the disk never has much more to write at once beside the log.
const JOB_BYTES: usize = 1 << 20;
/// Jobs of a snapshot under way: one at the disk while the next gathers.
const JOBS_MAX: usize = 2;
/// After a snapshot that could not be made the next one waits this long.
const RETRY_MS: u64 = 30_000;

const _: () = assert!(JOB_BYTES <= FILE_BYTES_MAX);

/// The snapshots of a shard.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    under_way: Option<UnderWay>,
    /// One is to be begun, as far as was known when the last segment was begun or the last snapshot ended.
    wanted: bool,
    /// Not before.
    pause_until_us: Option<u64>,
    /// Wanted by somebody, each with everything up to this index at least.
    due: BTreeMap<PartitionId, u64>,
    /// Why the last one could not be made, until one is.
    failure: Option<String>,
}

/// A snapshot that is being made.
#[derive(Debug)]
struct UnderWay {
    header: Header,
    stage: Stage,
    /// Bytes of the file that no job has yet, and where they go.
    out: Vec<u8>,
    offset: u64,
    /// Jobs that are not done.
    jobs: usize,
}

#[derive(Debug)]
enum Stage {
    /// The partition is frozen and walked.
    Walking(Writer),
    /// All was given to jobs.
    Writing(Ended),
    /// It is durable, and read back.
    Checking {
        ended: Ended,
        reader: Box<Reader>,
    },
    /// It is as it was written; what it has must have been told first, or nobody could tell it after a restart.
    Checked,
    /// It gets its name.
    Naming,
    /// It failed: the walk goes on for nothing, since what was kept twice for it is freed on the way. All at once would be a pause: a quarter of a second
    /// for 100,000 products.
    LettingGo,
    /// Jobs under way are waited for, then what there is of it is removed.
    GivingUp,
    Removing,
}

impl UnderWay {
    fn partition(&self) -> PartitionId {
        self.header.partition
    }

    fn path(&self) -> String {
        layout::unfinished_path(self.header.partition, self.header.index)
    }

    fn begin(header: Header) -> Self {
        let mut out = Vec::with_capacity(JOB_BYTES + 2 * SLICE_BYTES);
        let writer = Writer::new(&header, &mut out);
        Self { header, stage: Stage::Walking(writer), out, offset: 0, jobs: 0 }
    }

    /// The steps that write and sync what has gathered.
    fn write(&mut self) -> Vec<FileStep> {
        let mut steps = Vec::new();
        for bytes in self.out.chunks(JOB_BYTES) {
            steps.push(FileStep::Write { path: self.path(), offset: self.offset, bytes: bytes.to_vec(), create: self.offset == 0 });
            self.offset += bytes.len() as u64;
        }
        steps.push(FileStep::Sync { path: self.path() });
        self.out.clear();
        steps
    }

    /// The step that reads the next bytes back.
    fn read(&self, from: u64, ended: &Ended) -> FileStep {
        let bytes = usize::try_from(ended.file_bytes - from).map_or(JOB_BYTES, |left| left.min(JOB_BYTES));
        FileStep::Read { path: self.path(), offset: from, bytes }
    }
}

impl Snapshots {
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// One is as it should be, and waits until what it has was told.
    pub(super) fn waits_for_events(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| matches!(under_way.stage, Stage::Checked))
    }
}

impl State {
    /// Looks whether the log is longer than it may be: after each new segment, and after each snapshot.
    pub(crate) fn look_for_snapshots(&mut self) {
        self.snapshots.wanted = self.next_snapshot().is_some();
    }

    /// Tells of log and snapshots. With `take`, a snapshot of each partition that has changed since its last is due from now on; asked again meanwhile, of
    /// what has come since.
    pub(crate) fn snapshot_report(&mut self, take: bool) -> SnapshotReport {
        if take && !self.draining {
            let changed = self.partitions.iter().filter(|(_, slot)| slot.snapshot.is_none_or(|index| index < slot.applied.index));
            self.snapshots.due.extend(changed.map(|(id, slot)| (*id, slot.applied.index)));
            self.look_for_snapshots();
        }
        SnapshotReport {
            partitions: u32::try_from(self.partitions.len()).unwrap_or(u32::MAX),
            due: u32::try_from(self.snapshots.due.len()).unwrap_or(u32::MAX),
            log_bytes: self.pipeline.segments().bytes(),
            log_bytes_max: self.config.log_bytes_max,
            failure: self.snapshots.failure.clone(),
        }
    }

    /// A follower needs a snapshot of a partition with everything up to this index at least.
    pub(super) fn snapshot_wanted(&mut self, id: PartitionId, index: u64) {
        let due = self.snapshots.due.entry(id).or_default();
        if *due < index {
            *due = index;
            self.look_for_snapshots();
        }
    }

    /// The partition to be snapshotted next: the one that pins the log's oldest segment, while the log is too long; otherwise one that somebody wants.
    fn next_snapshot(&self) -> Option<PartitionId> {
        if self.draining {
            return None;
        }
        // One that has not come so far yet is looked at again when it has.
        let is_there = |(id, index): (&PartitionId, &u64)| {
            self.partitions.get(id).is_some_and(|slot| slot.applied.index >= *index && !self.transfers.sends(*id)).then_some(*id)
        };
        // The file of one that is on its way to another node stays until it is there.
        let pinning = self.pinning().filter(|id| !self.transfers.sends(*id));
        pinning.or_else(|| self.snapshots.due.iter().find_map(is_there))
    }

    /// The partition that pins the log's oldest segment, while the log is too long. Before the first segment is released every partition needs a snapshot,
    /// if only an empty one.
    fn pinning(&self) -> Option<PartitionId> {
        let segments = self.pipeline.segments();
        if segments.bytes() <= self.config.log_bytes_max {
            return None;
        }
        let pins = segments.pinned_by(|partition| self.safe(partition)).map(PartitionId);
        let bare = || self.partitions.iter().find(|(_, slot)| slot.snapshot.is_none()).map(|(id, _)| *id);
        // What pins is applied, but for the newest segment's: of that another snapshot would have no more than the last one.
        let gains =
            |id: &PartitionId| self.partitions.get(id).is_some_and(|slot| slot.snapshot.is_none_or(|index| index < slot.applied.index));
        pins.filter(gains).or_else(bare)
    }

    /// Up to which index durable snapshots have everything of a partition.
    pub(super) fn safe(&self, partition: u16) -> u64 {
        self.partitions.get(&PartitionId(partition)).and_then(|slot| slot.snapshot).unwrap_or(0)
    }

    /// When a tick can do something for a snapshot.
    pub(crate) fn snapshot_wake(&self) -> Option<u64> {
        match &self.snapshots.under_way {
            None if self.snapshots.wanted => Some(self.snapshots.pause_until_us.unwrap_or(self.now.mono_us)),
            Some(UnderWay { stage: Stage::Walking(_) | Stage::LettingGo, jobs, .. }) if *jobs < JOBS_MAX && self.files.has_room() => {
                Some(self.now.mono_us)
            }
            None | Some(_) => None,
        }
    }

    /// Begins a snapshot, or takes the next slice of the one under way.
    pub(crate) fn snapshot_tick(&mut self) {
        if self.snapshots.under_way.is_none() {
            self.begin_snapshot();
        }
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        if under_way.jobs >= JOBS_MAX || !self.files.has_room() {
            return;
        }
        let slot = self.partitions.get_mut(&under_way.header.partition).expect("a shard keeps its partitions");
        if let Stage::LettingGo = under_way.stage {
            let more = slot.partition.snapshot_step(&mut under_way.out, SLICE_BYTES);
            under_way.out.clear();
            if !more {
                under_way.stage = Stage::GivingUp;
                self.snapshot_goes_on(&[]);
            }
            return;
        }
        let Stage::Walking(writer) = &mut under_way.stage else { return };
        let more = writer.chunk(&mut under_way.out, |out| slot.partition.snapshot_step(out, SLICE_BYTES));
        if !more {
            let Stage::Walking(writer) = std::mem::replace(&mut under_way.stage, Stage::GivingUp) else { unreachable!("looked at above") };
            under_way.stage = Stage::Writing(writer.end(&mut under_way.out));
        }
        if !more || under_way.out.len() >= JOB_BYTES {
            let steps = under_way.write();
            self.snapshot_job(steps);
        }
    }

    fn begin_snapshot(&mut self) {
        if !self.snapshots.wanted || self.snapshots.pause_until_us.is_some_and(|until| self.now.mono_us < until) {
            return;
        }
        (self.snapshots.pause_until_us, self.snapshots.wanted) = (None, false);
        let Some(partition) = self.next_snapshot() else { return };
        let created = self.stamp();
        let slot = self.partitions.get_mut(&partition).expect("found among them");
        slot.partition.freeze();
        let header = header(&self.config, &slot.partition, slot.applied, created);
        self.snapshots.under_way = Some(UnderWay::begin(header));
    }

    fn snapshot_job(&mut self, steps: Vec<FileStep>) {
        if let Some(under_way) = &mut self.snapshots.under_way {
            under_way.jobs += 1;
        }
        let job = self.files.give(Asker::Snapshot, steps);
        self.outputs.push_back(Output::Files(job));
    }

    /// A job of the snapshot is done.
    pub(crate) fn snapshot_written(&mut self, result: FilesResult) {
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        under_way.jobs -= 1;
        match result {
            Ok(read) => self.snapshot_goes_on(&read),
            Err(error) => self.give_up_snapshot(Some(&error)),
        }
    }

    /// Takes the next step of the snapshot after a job that was done.
    fn snapshot_goes_on(&mut self, read: &[Vec<u8>]) {
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        let steps = match &mut under_way.stage {
            Stage::Walking(_) | Stage::LettingGo => return,
            Stage::Writing(_) | Stage::GivingUp if under_way.jobs > 0 => return,
            Stage::Writing(ended) => {
                let (ended, reader) = (*ended, Box::new(Reader::new(under_way.path(), &under_way.header)));
                under_way.stage = Stage::Checking { ended, reader };
                vec![under_way.read(0, &ended)]
            }
            Stage::Checking { ended, reader } => {
                let ended = *ended;
                if let Err(error) = check(reader, read) {
                    return self.give_up_snapshot(Some(&error));
                }
                let Stage::Checking { reader, .. } = std::mem::replace(&mut under_way.stage, Stage::Checked) else {
                    unreachable!("looked at above")
                };
                let fed = reader.fed();
                if fed < ended.file_bytes {
                    under_way.stage = Stage::Checking { ended, reader };
                    vec![under_way.read(fed, &ended)]
                } else {
                    match reader.finish() {
                        Ok(whole) if whole.ended == ended => {
                            under_way.stage = Stage::Checked;
                            return self.name_snapshot();
                        }
                        Ok(_) => return self.give_up_snapshot(Some(&OtherFile)),
                        Err(error) => return self.give_up_snapshot(Some(&error)),
                    }
                }
            }
            Stage::Checked => return self.name_snapshot(),
            Stage::Naming => return self.snapshot_made(),
            Stage::GivingUp => {
                under_way.stage = Stage::Removing;
                vec![FileStep::Remove { path: under_way.path() }]
            }
            Stage::Removing => {
                self.snapshots.under_way = None;
                return;
            }
        };
        self.snapshot_job(steps);
    }

    /// Puts a snapshot that is checked in the place of the older one, once the events of all that is in it are durable. Asked again when they are.
    pub(crate) fn name_snapshot(&mut self) {
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        let (partition, index) = (under_way.partition(), under_way.header.index);
        let told = self.events.durable(partition) >= under_way.header.seq;
        let members_known =
            self.partitions.get(&partition).and_then(|slot| slot.replica.as_ref()).is_none_or(|it| it.members_in_flight == 0);
        if !matches!(under_way.stage, Stage::Checked) || !told || !members_known || !self.files.has_room() {
            return;
        }
        under_way.stage = Stage::Naming;
        let rename = FileStep::Rename { from: under_way.path(), to: layout::snapshot_path(partition, index) };
        let mut steps = vec![rename, FileStep::SyncFolder { path: layout::partition_path(partition) }];
        if let Some(older) = self.partitions.get(&partition).and_then(|slot| slot.snapshot).filter(|older| *older != index) {
            // If a crash undoes that, the next start removes it.
            steps.push(FileStep::Remove { path: layout::snapshot_path(partition, older) });
        }
        self.snapshot_job(steps);
    }

    /// A snapshot is in its place.
    fn snapshot_made(&mut self) {
        let Some(UnderWay { header, offset, .. }) = self.snapshots.under_way.take() else { return };
        let Header { partition, index, created, .. } = header;
        if let Some(slot) = self.partitions.get_mut(&partition) {
            (slot.snapshot, slot.snapshot_bytes) = (Some(index), offset);
            if let Some(replica) = &mut slot.replica {
                replica.group.made_snapshot(index);
            }
        }
        if self.snapshots.due.get(&partition).is_some_and(|wanted| *wanted <= index) {
            self.snapshots.due.remove(&partition);
        }
        self.snapshots.failure = None;
        let ms = self.stamp().0.saturating_sub(created.0);
        tracing::debug!(partition = partition.0, index, bytes = offset, ms, "a snapshot is made");
        self.release_segments();
        self.look_for_snapshots();
    }

    /// Ends the snapshot under way; with an error the next one waits a while.
    fn give_up_snapshot(&mut self, error: Option<&(dyn Error + 'static)>) {
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        if let Some(error) = error {
            let path = under_way.path();
            self.snapshots.failure = Some(in_words(error));
            tracing::error!(error, path, retry_ms = RETRY_MS, "a snapshot cannot be made; the log is kept, and grows, until one can");
            self.snapshots.pause_until_us = Some(self.now.mono_us.saturating_add(RETRY_MS * 1_000));
            self.snapshots.wanted = true;
        }
        match &under_way.stage {
            Stage::Walking(_) | Stage::LettingGo if !self.draining => {
                under_way.out.clear();
                under_way.stage = Stage::LettingGo;
                return;
            }
            // Nobody waits for the shard any more.
            Stage::Walking(_) | Stage::LettingGo => {
                if let Some(slot) = self.partitions.get_mut(&under_way.header.partition) {
                    slot.partition.thaw();
                }
            }
            Stage::Writing(_) | Stage::Checking { .. } | Stage::Checked | Stage::Naming | Stage::GivingUp => {}
            // It stays, as after a crash: the next start removes it.
            Stage::Removing => {
                self.snapshots.under_way = None;
                return;
            }
        }
        under_way.stage = Stage::GivingUp;
        if under_way.jobs == 0 {
            self.snapshot_goes_on(&[]);
        }
    }

    /// Another state takes the partition's place: a snapshot of it that is under way is of no use.
    pub(super) fn abandon_snapshot(&mut self, id: PartitionId) {
        let Some(under_way) = &mut self.snapshots.under_way else { return };
        if under_way.partition() != id || matches!(under_way.stage, Stage::GivingUp | Stage::Removing) {
            return;
        }
        under_way.out.clear();
        under_way.stage = Stage::GivingUp;
        if under_way.jobs == 0 {
            self.snapshot_goes_on(&[]);
        }
    }

    /// An orderly end: a snapshot under way is given up, unless it only wants its name.
    pub(crate) fn end_snapshots(&mut self) {
        self.snapshots.wanted = false;
        let under_way = self.snapshots.under_way.as_ref();
        if under_way.is_some_and(|under_way| {
            matches!(under_way.stage, Stage::Walking(_) | Stage::LettingGo | Stage::Writing(_) | Stage::Checking { .. } | Stage::Checked)
        }) {
            self.give_up_snapshot(None);
        }
    }
}

/// What the file of a snapshot says of it, when the entry at `place` is the last one in `partition`.
pub(super) fn header(config: &Config, partition: &Partition, place: Place, created: Millis) -> Header {
    Header {
        folder: config.folder,
        partition: partition.id(),
        partitions: config.partitions,
        epoch: config.epoch,
        index: place.index,
        term: place.term,
        seq: partition.seq(),
        last_time: partition.last_time(),
        created,
    }
}

/// An error with what caused it.
fn in_words(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Feeds what was read back.
fn check(reader: &mut Reader, read: &[Vec<u8>]) -> Result<(), FileError> {
    for bytes in read {
        reader.feed(bytes);
        while reader.advance()?.is_some() {}
    }
    Ok(())
}

/// What was read back is whole, and another file than was written.
#[derive(Debug, thiserror::Error)]
#[error("what was read back is a whole snapshot, and not the one that was written")]
struct OtherFile;

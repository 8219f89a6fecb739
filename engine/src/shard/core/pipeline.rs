//! From proposal to apply: propose, persist, commit, apply, each a step of its own.
//!
//! Path of a node alone: [`State::propose`] → queue → [`State::pump`] stamps and appends to the open batch, and seals it when the writer has a use for that →
//! `Output::Write` → [`State::written`] → applied in log order → the proposer's signal. While batches are written the next gathers.
//! In a cluster the queue leads to the partition's group instead (`replicas.rs`), which gives back records ([`ToLog`]) for the same log and batches; what waits until
//! they are durable is a [`Landing`]. So one write is for all groups of the shard.
//! Bounds: [`PROPOSALS_MAX`] waiting; the batch's own size; records that wait for room in it are bounded by what groups may have under way.

use super::{
    express,
    peer::Committed,
    state::State,
    task::{Setter, Signal, signal},
};
#[cfg(feature = "mutants")]
use crate::mutants::{self, Mutant};
use crate::{
    log::{
        AppendError, Appended, Durable, HardState as HardStateBody, NotSealed, Record, RecordKind, SealedBatch, SegmentNumber, SegmentPlan,
        Segments, SnapshotMark, Surplus, Writer,
    },
    partition::{Applied, Changes},
    record::{self, v1::Entry},
    replication::{HardState, LogEntry, Membership, Place, group::Then},
    shard::{CallToken, Output},
};
use std::collections::VecDeque;
use wire::{Failure, Millis, PartitionId, Position, Refusal};

/// Proposals that wait for room in a batch. One more of a client is refused as overload.
pub const PROPOSALS_MAX: usize = 8_192;
/// After this long without a write the last batch is marked durable.
const IDLE_MARK_US: u64 = 3_000;
/// How often a segment that could not be allocated is asked for again.
const SEGMENT_RETRY_MS: u64 = 1_000;
/// The term of what a node alone writes.
const TERM_ALONE: u64 = 1;

/// What a proposer gets.
pub(crate) type Proposed = Result<Committed, Failure>;

/// Whom to tell that a command is applied.
pub(super) enum Done {
    /// A flow that waits.
    Flow(Setter<Proposed>),
    /// A client, at once (`express.rs`).
    Call {
        /// Its call.
        token: CallToken,
        /// From then on it need not be answered well.
        deadline_us: u64,
    },
    /// A client that was answered without waiting for the disk.
    Nobody,
}

/// A command on its way.
pub(super) struct Proposal {
    pub(super) partition: PartitionId,
    pub(super) entry: Entry,
    pub(super) done: Done,
}

/// A record of a group.
pub(super) enum ToLog {
    Entry(LogEntry),
    /// Entries from `index` on are void, says the leader of `term`.
    Void {
        term: u64,
        index: u64,
    },
    Hard(HardState),
    /// Members from an index on.
    Members(u64, Membership),
    /// The state that a leader sent is in its place, with everything up to there.
    Snapshot(Place),
    /// Proves that what is durable before it is durable.
    Mark,
}

/// What waits until a record is durable.
pub(super) enum Landing {
    /// A group's work.
    Work { then: Then, proven: bool },
    /// That the members changed.
    Members,
    /// What every group is, said again behind the beginning of this segment.
    Restated(SegmentNumber),
}

/// A record that waits for room in a batch; without one, what waits for the one before it.
struct Unlogged {
    partition: PartitionId,
    record: Option<ToLog>,
    landing: Option<Landing>,
}

/// A record on its way to the disk that somebody waits for.
struct Flight {
    appended: Appended,
    partition: PartitionId,
    landing: Landing,
}

struct InLog {
    proposal: Proposal,
    time: Millis,
    appended: Appended,
}

/// Is there a segment to go on in?
enum Space {
    Fine,
    /// The disk is full: this is asked for again at that time; `None` while the driver tries.
    Full {
        plan: SegmentPlan,
        retry_us: Option<u64>,
    },
}

/// Proposals on their way through the log.
pub(crate) struct Pipeline {
    writer: Writer,
    waiting: VecDeque<Proposal>,
    /// In the open batch or in one being written, in the log's order.
    in_log: VecDeque<InLog>,
    /// Records of groups that wait for room, in the log's order.
    unlogged: VecDeque<Unlogged>,
    /// In the log's order.
    flights: VecDeque<Flight>,
    /// The record of a group that was appended last.
    last_appended: Option<Appended>,
    /// Where it was said last what every group is, and where that is durable.
    restated: (Option<SegmentNumber>, Option<SegmentNumber>),
    space: Space,
    /// When the log fell idle with its last batch unmarked.
    idle_since_us: Option<u64>,
    scratch: Vec<u8>,
    changes: Changes,
}

impl Pipeline {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer,
            waiting: VecDeque::new(),
            in_log: VecDeque::new(),
            unlogged: VecDeque::new(),
            flights: VecDeque::new(),
            last_appended: None,
            restated: (None, None),
            space: Space::Fine,
            idle_since_us: None,
            scratch: Vec::new(),
            changes: Changes::default(),
        }
    }

    /// Queues a command for a partition of this shard.
    pub(super) fn queue(&mut self, partition: PartitionId, entry: Entry, done: Done) {
        self.waiting.push_back(Proposal { partition, entry, done });
    }

    /// Proposals not applied yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.in_log.len()
    }

    /// Nothing waits, nothing is written, the end is marked.
    pub(crate) fn is_idle(&self) -> bool {
        self.len() == 0
            && self.unlogged.is_empty()
            && self.flights.is_empty()
            && self.writer.in_flight() == 0
            && self.idle_since_us.is_none()
    }

    /// There is no segment to go on in, and none can be had.
    pub(super) fn is_out_of_room(&self) -> bool {
        matches!(self.space, Space::Full { .. })
    }

    /// The log's files, and what is in them.
    pub(super) fn segments(&self) -> &Segments {
        self.writer.segments()
    }

    /// Releases the log's oldest segments whose records are all inside what `safe` says of each partition. A plan that waits for room is tried again at
    /// once, and takes one over. In a cluster, only segments before one in which it is said what every group is.
    pub(super) fn release(&mut self, in_cluster: bool, safe: impl Fn(u16) -> u64) {
        let before = if in_cluster { self.restated.1.unwrap_or(SegmentNumber(0)) } else { SegmentNumber(u32::MAX) };
        let released = self.writer.release(before, safe);
        if let Space::Full { retry_us, .. } = &mut self.space
            && released > 0
        {
            *retry_us = retry_us.map(|_| 0);
        }
    }

    /// Released files to be removed.
    pub(super) fn surplus(&mut self) -> Option<Surplus> {
        self.writer.surplus()
    }

    /// They are, or not all of them.
    pub(super) fn removed(&mut self, all: bool) {
        self.writer.removed(all);
    }

    /// What was in flight is durable. A batch that is a mark itself, such as one that proves a vote, is not waited behind for another.
    fn fell_idle(&mut self, now_us: u64) {
        self.idle_since_us = (!self.writer.goes_on_marked()).then_some(now_us);
    }

    /// Should a client's command be refused, and why?
    pub(crate) fn refuses(&self) -> Option<Failure> {
        match self.space {
            Space::Full { .. } => Some(Failure::StorageFull),
            Space::Fine if self.waiting.len() >= PROPOSALS_MAX => Some(Failure::Overloaded { retry_after_ms: 100 }),
            Space::Fine => None,
        }
    }

    /// When it wants a tick.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        // While records wait, for the disk or for a segment, a tick could not mark anything: what ends that is an input.
        let idle = self.idle_since_us.filter(|_| self.writer.takes_mark()).map(|since| since + IDLE_MARK_US);
        let retry = match self.space {
            Space::Full { retry_us, .. } => retry_us,
            Space::Fine => None,
        };
        idle.into_iter().chain(retry).min()
    }
}

impl State {
    /// Takes a command for a partition of this shard. The signal is set when it is applied.
    pub(crate) fn propose(&mut self, partition: PartitionId, entry: Entry) -> Signal<Proposed> {
        let (done, signal) = signal(&self.reactor);
        if self.closed {
            done.set(Err(Failure::ShuttingDown));
        } else {
            match self.may_propose(partition) {
                Ok(()) => self.pipeline.queue(partition, entry, Done::Flow(done)),
                Err(failure) => done.set(Err(failure)),
            }
        }
        signal
    }

    /// Is the partition here, and led from here?
    pub(crate) fn may_propose(&self, partition: PartitionId) -> Result<(), Failure> {
        match self.partitions.get(&partition).map(|slot| slot.replica.as_deref()) {
            None => Err(Failure::WrongShard),
            Some(Some(replica)) if !replica.group.leads() => Err(Failure::NotLeader { leader: replica.group.leader() }),
            Some(Some(_) | None) => Ok(()),
        }
    }

    /// Moves what waits into the open batch, and the batch to the disk unless enough are on their way. Was anybody told something, such as that the log
    /// cannot take a command?
    pub(crate) fn pump(&mut self) -> bool {
        let mut refused = false;
        while let Some(proposal) = self.pipeline.waiting.pop_front() {
            if self.replication.is_some() {
                refused |= self.gather(proposal);
                continue;
            }
            let time = self.stamp();
            let pipeline = &mut self.pipeline;
            let slot = self.partitions.get_mut(&proposal.partition).expect("checked when proposed");
            let record = |index, body| Record::entry(proposal.partition.0, TERM_ALONE, index, time.0, body);
            let index = slot.appended + 1;
            if let Some(appended) = pipeline.writer.append_with(record(index, &[]), |room| record::encode_into(&proposal.entry, room)) {
                slot.appended = index;
                pipeline.in_log.push_back(InLog { proposal, time, appended });
                continue;
            }
            // The rare rest: the batch is full, or the command is too long for any.
            if let Err(error) = record::encode(&proposal.entry, &mut pipeline.scratch) {
                tracing::error!(%error, "a command cannot be archived");
                self.tell(proposal.done, Err(Failure::Internal));
                refused = true;
                continue;
            }
            match pipeline.writer.append(record(index, &pipeline.scratch)) {
                Ok(appended) => {
                    slot.appended = index;
                    pipeline.in_log.push_back(InLog { proposal, time, appended });
                }
                Err(AppendError::BatchFull { .. }) => {
                    pipeline.waiting.push_front(proposal);
                    break;
                }
                Err(AppendError::TooLong { bytes }) => {
                    self.tell(proposal.done, Err(too_long(bytes)));
                    refused = true;
                }
            }
        }
        refused |= self.replicate();
        self.log_what_waits();
        if let Some(since) = self.pipeline.idle_since_us
            && self.now.mono_us >= since + IDLE_MARK_US
            && (!self.may_end_marked() || self.pipeline.writer.idle_mark())
        {
            self.pipeline.idle_since_us = None;
        }
        match self.pipeline.writer.seal() {
            Ok(batch) => {
                self.pipeline.idle_since_us = None;
                self.outputs.push_back(Output::Write(batch));
                #[cfg(feature = "mutants")]
                if mutants::is(Mutant::AckBeforeDurable) {
                    let claimed = self.pipeline.writer.claimed();
                    self.commit(claimed);
                }
            }
            Err(NotSealed::Empty | NotSealed::InFlight(_) | NotSealed::Gathers | NotSealed::AwaitsSegment(_)) => {}
        }
        if self.pipeline.writer.wants_segment() {
            self.release_segments();
            self.look_for_snapshots();
        }
        if let Some(plan) = self.pipeline.writer.needs_segment() {
            self.outputs.push_back(Output::Prepare(plan));
        }
        self.restate();
        self.send_outbox();
        if let Space::Full { plan, retry_us } = &mut self.pipeline.space
            && retry_us.take_if(|retry| self.now.mono_us >= *retry).is_some()
        {
            // Here and not at the release: a plan that is being tried may come back done without the file, and nobody would have it.
            plan.from = plan.from.take().or_else(|| self.pipeline.writer.spare_file());
            self.outputs.push_back(Output::Prepare(plan.clone()));
            self.late();
        }
        refused
    }

    /// A segment is there.
    pub(crate) fn prepared(&mut self, plan: &SegmentPlan) {
        let salt = crate::log::Salt(u64::from_le_bytes(self.random.bytes()));
        self.pipeline.writer.segment_ready(plan.number, salt);
        self.remove_surplus();
        if let Space::Full { .. } = std::mem::replace(&mut self.pipeline.space, Space::Fine) {
            tracing::info!(path = plan.path, "there is room for the log again; commands are taken");
        }
    }

    /// A segment cannot be had.
    pub(crate) fn not_prepared(&mut self, plan: SegmentPlan) {
        if matches!(self.pipeline.space, Space::Fine) {
            tracing::error!(
                path = plan.path,
                bytes = plan.bytes,
                "no room for the log: commands are refused until the disk has space again"
            );
        }
        let retry_us = Some(self.now.mono_us + SEGMENT_RETRY_MS * 1_000);
        self.pipeline.space = Space::Full { plan, retry_us };
        // Flows have deadlines of their own. Express calls that are not in the batch yet were not begun: they can be told so.
        for proposal in std::mem::take(&mut self.pipeline.waiting) {
            match proposal.done {
                Done::Call { .. } => self.tell(proposal.done, Err(Failure::StorageFull)),
                Done::Flow(_) | Done::Nobody => self.pipeline.waiting.push_back(proposal),
            }
        }
    }

    /// Answers the express calls that wait for room on the disk, once their time is over. Their commands stay in the batch.
    fn late(&mut self) {
        let mut in_log = std::mem::take(&mut self.pipeline.in_log);
        for InLog { proposal, .. } in &mut in_log {
            if matches!(proposal.done, Done::Call { deadline_us, .. } if deadline_us <= self.now.mono_us) {
                let done = std::mem::replace(&mut proposal.done, Done::Nobody);
                self.tell(done, Err(Failure::DeadlineExceeded));
            }
        }
        self.pipeline.in_log = in_log;
    }

    pub(super) fn tell(&mut self, done: Done, proposed: Proposed) {
        match done {
            Done::Flow(setter) => setter.set(proposed),
            Done::Call { token, deadline_us: _ } => {
                let response = proposed.map_or_else(express::failed, express::answer);
                self.outputs.push_back(Output::Reply { token, response });
            }
            Done::Nobody => {}
        }
    }

    /// A batch is on disk: the entries of all batches that are durable now are committed, and applied in order.
    pub(crate) fn written(&mut self, batch: SealedBatch) {
        let durable = self.pipeline.writer.durable(batch.number);
        self.pipeline.writer.recycle(batch);
        self.commit(durable);
        while self.pipeline.flights.front().is_some_and(|first| durable.covers(first.appended))
            && let Some(Flight { partition, landing, .. }) = self.pipeline.flights.pop_front()
        {
            self.pipeline.fell_idle(self.now.mono_us);
            match landing {
                Landing::Restated(segment) => self.pipeline.restated.1 = Some(segment),
                landing => self.landed(partition, landing),
            }
        }
    }

    /// Says again what every group is, once for each segment, so that the segments before can be released.
    pub(super) fn restate(&mut self) {
        let next = self.pipeline.writer.next_segment();
        if self.replication.is_none() || self.pipeline.restated.0.replace(next) == Some(next) {
            return;
        }
        let said = self.partitions.iter().filter_map(|(id, slot)| {
            let tail = slot.replica.as_ref()?.group.tail();
            Some((*id, [ToLog::Members(tail.membership_index(), tail.membership().clone()), ToLog::Hard(tail.hard())]))
        });
        let said: Vec<_> = said.collect();
        let last = said.last().map(|(id, _)| *id);
        for (id, [members, hard]) in said {
            self.log(id, Some(members), None);
            let landing = (Some(id) == last).then(|| Landing::Restated(SegmentNumber(next.0 - 1)));
            self.log(id, Some(hard), landing);
        }
    }

    /// Puts a record of a group into the log, and what waits for it; without one, what waits for the record before it.
    pub(super) fn log(&mut self, partition: PartitionId, record: Option<ToLog>, landing: Option<Landing>) {
        if record.is_none() && self.has_nothing_before(partition) {
            if let Some(landing) = landing {
                self.landed(partition, landing);
            }
            return;
        }
        self.pipeline.unlogged.push_back(Unlogged { partition, record, landing });
        self.log_what_waits();
    }

    /// Appends what waits, as far as there is room in the batch.
    fn log_what_waits(&mut self) {
        let Pipeline { writer, unlogged, flights, last_appended, .. } = &mut self.pipeline;
        while let Some(Unlogged { partition, record, .. }) = unlogged.front() {
            let appended = match record {
                None => *last_appended,
                Some(record) => match append(writer, *partition, record) {
                    Ok(appended) => Some(appended),
                    Err(AppendError::BatchFull { .. }) => return,
                    Err(AppendError::TooLong { bytes }) => unreachable!("{bytes} bytes: commands are measured where they come in"),
                },
            };
            *last_appended = appended;
            let Some(Unlogged { partition, landing, .. }) = unlogged.pop_front() else { return };
            if let (Some(landing), Some(appended)) = (landing, appended) {
                flights.push_back(Flight { appended, partition, landing });
            }
        }
    }

    /// Is nothing of this partition's group on its way to the disk, apart from what is being begun?
    fn has_nothing_before(&self, partition: PartitionId) -> bool {
        self.partitions.get(&partition).and_then(|slot| slot.replica.as_deref()).is_none_or(super::replicas::Replica::has_landed)
    }

    fn commit(&mut self, durable: Durable) {
        let mut had_entries = false;
        while self.pipeline.in_log.front().is_some_and(|first| durable.covers(first.appended))
            && let Some(InLog { proposal: Proposal { partition, entry, done }, time, .. }) = self.pipeline.in_log.pop_front()
        {
            had_entries = true;
            let index = self.partitions.get(&partition).map_or(0, |slot| slot.applied.index) + 1;
            let committed = self.apply(partition, Place { term: TERM_ALONE, index }, time, &entry);
            self.tell(done, Ok(committed));
        }
        if had_entries {
            self.pipeline.fell_idle(self.now.mono_us);
        }
    }

    /// Applies the entry at `place`, and brings in line what is around the partition.
    pub(super) fn apply(&mut self, id: PartitionId, place: Place, time: Millis, entry: &Entry) -> Committed {
        let mut changes = std::mem::take(&mut self.pipeline.changes);
        changes.clear();
        let slot = self.partitions.get_mut(&id).expect("checked when proposed");
        let applied: Applied = slot.partition.apply(time, entry, &mut changes);
        slot.applied = place;
        self.bring_in_line(id, &changes);
        self.told(&changes);
        self.timer_changed(id);
        let position = Position { epoch: self.config.epoch, partition: id, seq: applied.seq };
        let committed = Committed { applied, position, effects: changes.effects.clone() };
        self.pipeline.changes = changes;
        committed
    }
}

/// A command that no log takes.
pub(super) fn too_long(bytes: usize) -> Failure {
    let what = format!("bytes of one command ({bytes})");
    Failure::Refused(Refusal::LimitReached { what, max: crate::log::RECORD_BODY_BYTES_MAX as u64 })
}

/// Appends a record of a group.
fn append(writer: &mut Writer, partition: PartitionId, record: &ToLog) -> Result<Appended, AppendError> {
    let of = |kind, term, index, time_ms, body| Record { kind, partition: partition.0, term, index, time_ms, body };
    match record {
        ToLog::Entry(LogEntry { term, index, variant, time, body }) => {
            writer.append(of(RecordKind::Entry(*variant), *term, *index, time.0, body))
        }
        ToLog::Void { term, index } => writer.append(Record::overwrite_from(partition.0, *term, *index)),
        ToLog::Hard(HardState { term, vote, commit }) => {
            writer.append(of(RecordKind::HardState, *term, *commit, 0, &HardStateBody { vote: *vote }.encode()))
        }
        ToLog::Members(index, membership) => writer.append(of(RecordKind::Membership, 0, *index, 0, &membership.encode())),
        ToLog::Snapshot(place) => {
            let mark = SnapshotMark { snapshot: place.index, checksum: 0 };
            writer.append(of(RecordKind::SnapshotMark, place.term, place.index, 0, &mark.encode()))
        }
        ToLog::Mark => writer.mark(),
    }
}

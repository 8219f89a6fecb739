//! From proposal to apply: propose, persist, commit, apply, each a step of its own, so that replication fits between the second and the third.
//!
//! Path: [`State::propose`] → queue → [`State::pump`] stamps and appends to the open batch, and seals it when the writer has a use for that →
//! `Output::Write` → [`State::written`] → applied in log order → the proposer's signal. While batches are written the next gathers.
//! Bounds: [`PROPOSALS_MAX`] waiting; the batch's own size.

use super::{
    express,
    peer::Committed,
    state::State,
    task::{Setter, Signal, signal},
};
#[cfg(feature = "mutants")]
use crate::mutants::{self, Mutant};
use crate::{
    log::{AppendError, Appended, Durable, NotSealed, Record, SealedBatch, SegmentPlan, Segments, Surplus, Writer},
    partition::{Applied, Changes},
    record::{self, v1::Entry},
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
/// Raft's term, until there is replication.
pub(super) const TERM: u64 = 1;

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

struct Proposal {
    partition: PartitionId,
    entry: Entry,
    done: Done,
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
        self.len() == 0 && self.writer.in_flight() == 0 && self.idle_since_us.is_none()
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
    /// once, and takes one over.
    pub(super) fn release(&mut self, safe: impl Fn(u16) -> u64) {
        let released = self.writer.release(safe);
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
        } else if self.partitions.contains_key(&partition) {
            self.pipeline.queue(partition, entry, Done::Flow(done));
        } else {
            done.set(Err(Failure::WrongShard));
        }
        signal
    }

    /// Moves what waits into the open batch, and the batch to the disk unless enough are on their way. Was a command refused that the log cannot take?
    pub(crate) fn pump(&mut self) -> bool {
        let mut refused = false;
        while let Some(proposal) = self.pipeline.waiting.pop_front() {
            let time = self.stamp();
            let pipeline = &mut self.pipeline;
            let slot = self.partitions.get_mut(&proposal.partition).expect("checked when proposed");
            let record = |index, body| Record::entry(proposal.partition.0, TERM, index, time.0, body);
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
                    let what = format!("bytes of one command ({bytes})");
                    let max = crate::log::RECORD_BODY_BYTES_MAX as u64;
                    self.tell(proposal.done, Err(Failure::Refused(Refusal::LimitReached { what, max })));
                    refused = true;
                }
            }
        }
        if let Some(since) = self.pipeline.idle_since_us
            && self.now.mono_us >= since + IDLE_MARK_US
            && self.pipeline.writer.idle_mark()
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

    fn tell(&mut self, done: Done, proposed: Proposed) {
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
    }

    fn commit(&mut self, durable: Durable) {
        let mut had_entries = false;
        while self.pipeline.in_log.front().is_some_and(|first| durable.covers(first.appended))
            && let Some(InLog { proposal: Proposal { partition, entry, done }, time, .. }) = self.pipeline.in_log.pop_front()
        {
            had_entries = true;
            let committed = self.apply(partition, time, &entry);
            self.tell(done, Ok(committed));
        }
        if had_entries {
            self.pipeline.idle_since_us = Some(self.now.mono_us);
        }
    }

    fn apply(&mut self, id: PartitionId, time: Millis, entry: &Entry) -> Committed {
        let mut changes = std::mem::take(&mut self.pipeline.changes);
        changes.clear();
        let slot = self.partitions.get_mut(&id).expect("checked when proposed");
        let applied: Applied = slot.partition.apply(time, entry, &mut changes);
        slot.applied += 1;
        self.bring_in_line(id, &changes);
        self.told(&changes);
        self.timer_changed(id);
        let position = Position { epoch: self.config.epoch, partition: id, seq: applied.seq };
        let committed = Committed { applied, position, effects: changes.effects.clone() };
        self.pipeline.changes = changes;
        committed
    }
}

//! A shard's replicas: what their groups ask for, carried out in the order that Raft needs.
//!
//! Path: a proposal → gathered until the turn's end → one entry each, proposed together → [`Work`] of the group: messages that may go at once, records for the
//! shard's one log, entries that are committed → applied, and the proposer told. A batch of the log is durable → [`State::landed`] → what waited for that.
//! A message of another node → [`State::node_says`] → its group → the same.
//! Read first: [`State::replicate`] and [`Replica`]; `pipeline.rs` for the log; `barrier.rs` for reads; `lead.rs` for what only a leader does.
//! Bounds: those of the group; [`TAIL_BYTES`] of applied entries kept for each group.

use super::{
    barrier::Reads,
    links::Links,
    pipeline::{Done, Landing, Proposal, ToLog},
    state::{Slot, State},
};
use crate::{
    log::EntryVariant,
    mutants::{self, Mutant},
    record::{self, v1::Entry},
    replication::{
        HardState, LogEntry, NodeId, Place, TAIL_BYTES,
        group::{Group, NotTaken, Then, Work},
        message::{Body, GroupMessage, Kind, NodeBatch, everybody, voters},
        tail::Snapshot,
    },
    shard::Output,
};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use wire::{Failure, Millis, PartitionId, ReplicaView};

/// One partition's replica on this shard.
pub(crate) struct Replica {
    pub(super) group: Group,
    /// Commands of this turn, to be proposed together.
    gathering: Vec<Gathered>,
    /// Own proposals that are not applied yet, in the order of their entries.
    proposed: VecDeque<Proposed>,
    pub(super) reads: Reads,
    /// It has something to do.
    busy: bool,
    /// The term in which this node leads and has applied all that leaders before it committed.
    pub(super) leading: Option<u64>,
    /// Works whose records are on their way to the disk.
    in_flight: usize,
    /// One of them is durable, and waits for a later batch that proves it; those behind it wait here.
    proving: Option<VecDeque<Then>>,
    /// Changes of members that are applied and not durable: a snapshot with them must wait, or a start would not know of them.
    pub(super) members_in_flight: usize,
    /// Up to which index the log says that entries are committed.
    commit_logged: u64,
    /// The term of its lead for which the clock was set.
    pub(super) stamps_in: u64,
}

struct Gathered {
    entry: Entry,
    done: Done,
    time: Millis,
    body: Bytes,
}

struct Proposed {
    place: Place,
    entry: Entry,
    done: Done,
}

/// What the shard's replicas have in common.
pub(crate) struct Replication {
    pub(crate) node: NodeId,
    pub(super) incarnation: u64,
    /// Replicas with something to do.
    busy: VecDeque<PartitionId>,
    /// What was said in this turn, by node.
    outbox: BTreeMap<NodeId, Vec<GroupMessage>>,
    /// When time goes on for the groups.
    pub(super) next_tick_us: u64,
    /// What other nodes' wall clocks showed, as last told, when this one's monotonic clock was at 0, milliseconds: so it stays right when its wall clock is set.
    pub(super) walls_ms: BTreeMap<NodeId, i64>,
    /// It ends in order, and hands over what it leads until then.
    pub(super) leaving_us: Option<u64>,
    /// It has ended in order but for calls that wait for others' answers: it takes no part in groups any more.
    pub(super) is_silent: bool,
    /// Since the start.
    pub(super) ticks: u64,
    /// To which other nodes there is a connection, as the driver said last.
    pub(crate) links: BTreeMap<NodeId, bool>,
    pub(super) own_links: Links,
    /// Questions to other nodes, with when they are waited for no longer, oldest first.
    pub(super) asked: VecDeque<(u64, u64)>,
}

/// After so many entries the log says again up to where they are committed, so that a start need not keep many of which it does not know.
const COMMIT_NOTE_ENTRIES: u64 = 256;

impl Replica {
    pub(crate) fn new(group: Group) -> Self {
        Self {
            group,
            gathering: Vec::new(),
            proposed: VecDeque::new(),
            reads: Reads::default(),
            busy: false,
            leading: None,
            in_flight: 0,
            proving: None,
            members_in_flight: 0,
            commit_logged: 0,
            stamps_in: 0,
        }
    }

    /// Is nothing on its way to the disk but the work that is being begun?
    pub(super) fn has_landed(&self) -> bool {
        self.in_flight <= 1
    }
}

impl Replication {
    pub(crate) fn new(node: NodeId, incarnation: u64) -> Self {
        Self {
            node,
            incarnation,
            busy: VecDeque::new(),
            outbox: BTreeMap::new(),
            next_tick_us: 0,
            walls_ms: BTreeMap::new(),
            leaving_us: None,
            is_silent: false,
            ticks: 0,
            links: BTreeMap::new(),
            own_links: Links::default(),
            asked: VecDeque::new(),
        }
    }
}

/// Why a proposal was not taken, for a client.
pub(super) fn not_taken(why: NotTaken) -> Failure {
    match why {
        NotTaken::NotLeader(leader) => Failure::NotLeader { leader },
        NotTaken::Busy => Failure::Overloaded { retry_after_ms: 100 },
    }
}

impl State {
    /// Takes a command for a replicated partition, to be proposed with the others of this turn.
    pub(super) fn gather(&mut self, proposal: Proposal) -> bool {
        let Proposal { partition, entry, done } = proposal;
        self.set_clock(partition);
        let time = self.stamp();
        let mut body = Vec::new();
        if let Err(error) = record::encode(&entry, &mut body) {
            tracing::error!(%error, "a command cannot be archived");
            self.tell(done, Err(Failure::Internal));
            return true;
        }
        if body.len() > crate::log::RECORD_BODY_BYTES_MAX {
            self.tell(done, Err(super::pipeline::too_long(body.len())));
            return true;
        }
        let slot = self.partitions.get_mut(&partition).expect("checked when proposed");
        let replica = slot.replica.as_mut().expect("a replicated partition");
        replica.gathering.push(Gathered { entry, done, time, body: body.into() });
        self.has_work(partition);
        false
    }

    /// Notes that a replica has something to do.
    pub(super) fn has_work(&mut self, id: PartitionId) {
        if let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_mut())
            && !std::mem::replace(&mut replica.busy, true)
            && let Some(replication) = &mut self.replication
        {
            replication.busy.push_back(id);
        }
    }

    /// Lets every replica that has something to do do it. Was anybody told of it?
    pub(super) fn replicate(&mut self) -> bool {
        let mut told = false;
        while let Some(id) = self.replication.as_mut().and_then(|replication| replication.busy.pop_front()) {
            told |= self.replica_works(id);
        }
        told
    }

    /// Sends what was said in this turn.
    pub(super) fn send_outbox(&mut self) {
        let Some(replication) = &mut self.replication else { return };
        let (incarnation, wall_ms) = (replication.incarnation, self.now.wall.0);
        for (to, messages) in std::mem::take(&mut replication.outbox) {
            self.outputs.push_back(Output::Node { to, batch: NodeBatch { incarnation, wall_ms, messages } });
        }
    }

    pub(super) fn say(&mut self, to: NodeId, message: GroupMessage) {
        if let Some(replication) = &mut self.replication {
            replication.outbox.entry(to).or_default().push(message);
        }
    }

    fn replica(&mut self, id: PartitionId) -> Option<&mut Replica> {
        self.partitions.get_mut(&id)?.replica.as_deref_mut()
    }

    fn replica_works(&mut self, id: PartitionId) -> bool {
        let Some(replica) = self.replica(id) else { return false };
        replica.busy = false;
        let mut told = self.propose_gathered(id);
        self.ask_for_reads(id);
        while let Some(work) = self.replica(id).and_then(|replica| replica.group.work()) {
            told |= self.carry_out(id, work);
        }
        told |= self.lead_changed(id);
        self.drop_received(id);
        if let Some(wanted) = self.replica(id).and_then(|replica| replica.group.tail().wanted()) {
            self.snapshot_wanted(id, wanted);
        }
        told
    }

    fn propose_gathered(&mut self, id: PartitionId) -> bool {
        let Some(replica) = self.replica(id) else { return false };
        if replica.gathering.is_empty() {
            return false;
        }
        let gathered = std::mem::take(&mut replica.gathering);
        let commands = gathered.iter().map(|gathered| (gathered.time, gathered.body.clone()));
        match replica.group.propose(commands) {
            Ok(first) => {
                for (index, Gathered { entry, done, .. }) in (first.index..).zip(gathered) {
                    replica.proposed.push_back(Proposed { place: Place { term: first.term, index }, entry, done });
                }
                false
            }
            Err(why) => {
                for Gathered { done, .. } in gathered {
                    self.tell(done, Err(not_taken(why)));
                }
                true
            }
        }
    }

    fn carry_out(&mut self, id: PartitionId, work: Work) -> bool {
        let Work { messages, install, void_from, entries, hard, mut then, committed, reads } = work;
        if mutants::is(Mutant::FollowerAcksEarly) {
            then.messages.drain(..).for_each(|(to, message)| self.say_of_group(id, to, message));
        }
        for (to, message) in messages {
            self.say_of_group(id, to, message);
        }
        let mut told = false;
        let mut records = Vec::new();
        if let Some(index) = void_from.filter(|_| !mutants::is(Mutant::VoidForgotten)) {
            let term = self.replica(id).map_or(0, |replica| replica.group.term());
            records.push(ToLog::Void { term, index });
        }
        if let Some(snapshot) = install {
            told |= self.install(id, &snapshot, &mut records);
        }
        let new = entries.len() as u64;
        // Who has a change of members must not forget that the one before it is committed: it could stand for election by the members of long ago, and
        // their majorities need not meet those of today.
        let changes_members = entries.iter().any(|entry| entry.variant != EntryVariant::Command);
        let known = self.replica(id).filter(|_| changes_members).map(|replica| ToLog::Hard(replica.group.tail().hard()));
        records.extend(known);
        records.extend(entries.into_iter().map(ToLog::Entry));
        records.extend(hard.filter(|_| !mutants::is(Mutant::VoteNotLogged)).map(ToLog::Hard));
        if let Some(replica) = self.replica(id) {
            if hard.is_some() {
                replica.commit_logged = replica.group.commit();
            } else if new > 0 && replica.group.commit() >= replica.commit_logged + COMMIT_NOTE_ENTRIES {
                replica.commit_logged = replica.group.commit();
                records.push(ToLog::Hard(replica.group.tail().hard()));
            }
        }
        if then.number > 0 {
            if let Some(replica) = self.replica(id) {
                replica.in_flight += 1;
            }
            let last = records.pop();
            records.into_iter().for_each(|record| self.log(id, Some(record), None));
            self.log(id, last, Some(Landing::Work { then, proven: false }));
        }
        for entry in committed {
            told |= self.apply_committed(id, entry);
        }
        for (mark, index) in reads {
            if let Some(replica) = self.replica(id) {
                replica.reads.granted(mark, index);
            }
        }
        told | self.answer_reads(id)
    }

    fn apply_committed(&mut self, id: PartitionId, committed: LogEntry) -> bool {
        let place = Place { term: committed.term, index: committed.index };
        let Some(slot) = self.partitions.get_mut(&id) else { return false };
        debug_assert_eq!(place.index, slot.applied.index + 1, "entries are applied in order");
        let Some(replica) = slot.replica.as_deref_mut() else { return false };
        let mut told = false;
        let own = match replica.proposed.front() {
            Some(first) if first.place.index <= place.index => replica.proposed.pop_front(),
            Some(_) | None => None,
        };
        let (entry, done) = match own {
            Some(Proposed { place: proposed, entry, done }) if proposed == place => (Some(entry), done),
            Some(Proposed { done, .. }) => {
                self.tell(done, Err(Failure::Interrupted));
                told = true;
                (None, Done::Nobody)
            }
            None => (None, Done::Nobody),
        };
        match committed.variant {
            EntryVariant::Command if committed.body.is_empty() => self.passed(id, place),
            EntryVariant::Command => {
                let entry = entry.unwrap_or_else(|| {
                    // Another version wrote it: what this one would make of the partition without it is not what its peers have.
                    record::decode(&committed.body).unwrap_or_else(|error| {
                        panic!("entry {} of partition {}, which is committed, cannot be read: {error}", place.index, id.0)
                    })
                });
                let applied = self.apply(id, place, committed.time, &entry);
                told |= !matches!(done, Done::Nobody);
                self.tell(done, Ok(applied));
            }
            EntryVariant::MemberChange | EntryVariant::JointChange => self.members_changed(id, &committed),
        }
        if let Some(replica) = self.replica(id) {
            replica.group.applied(place.index);
            replica.group.trim(TAIL_BYTES);
        }
        told
    }

    /// An entry that changes nothing in the partition.
    fn passed(&mut self, id: PartitionId, place: Place) {
        if let Some(slot) = self.partitions.get_mut(&id) {
            slot.applied = place;
        }
    }

    fn members_changed(&mut self, id: PartitionId, entry: &LogEntry) {
        self.passed(id, Place { term: entry.term, index: entry.index });
        let Some(replica) = self.replica(id) else { return };
        let membership = replica.group.apply_change(entry);
        replica.members_in_flight += 1;
        tracing::debug!(partition = id.0, index = entry.index, ?membership, "the members of a partition's group changed");
        self.log(id, Some(ToLog::Members(entry.index, membership)), Some(Landing::Members));
        self.has_work(id);
    }

    /// Records that went with it are durable.
    pub(super) fn landed(&mut self, id: PartitionId, landing: Landing) {
        let Some(replica) = self.replica(id) else { return };
        match landing {
            Landing::Members => replica.members_in_flight -= 1,
            Landing::Restated(_) => unreachable!("that is the log's own"),
            Landing::Work { then, proven: false } => match &mut replica.proving {
                Some(behind) => behind.push_back(then),
                None => self.works_on(id, then),
            },
            Landing::Work { then, proven: true } => {
                let behind = replica.proving.take().unwrap_or_default();
                self.durable(id, then);
                for then in behind {
                    match self.replica(id).and_then(|replica| replica.proving.as_mut()) {
                        Some(behind) => behind.push_back(then),
                        None => self.works_on(id, then),
                    }
                }
            }
        }
    }

    /// A work is durable: that is enough, or a mark behind it must prove it.
    fn works_on(&mut self, id: PartitionId, then: Then) {
        if !then.must_be_proven {
            return self.durable(id, then);
        }
        if let Some(replica) = self.replica(id) {
            replica.proving = Some(VecDeque::new());
        }
        self.log(id, Some(ToLog::Mark), Some(Landing::Work { then, proven: true }));
        // A mark by itself would tell the next start that nothing can be missing.
        if let Some((lost, hard)) = self.lost_group() {
            self.log(lost, Some(ToLog::Hard(hard)), None);
        }
    }

    /// A group of this shard that does not know yet what its log lacks, with what it is.
    fn lost_group(&self) -> Option<(PartitionId, HardState)> {
        self.partitions.iter().find_map(|(id, slot)| {
            let group = &slot.replica.as_ref()?.group;
            group.may_have_lost().then(|| (*id, group.tail().hard()))
        })
    }

    /// May the log end with a mark? Not while something may be missing in it of which nobody has told yet: the next start must ask again.
    pub(super) fn may_end_marked(&self) -> bool {
        self.replication.is_none() || self.lost_group().is_none()
    }

    fn durable(&mut self, id: PartitionId, then: Then) {
        let Some(replica) = self.replica(id) else { return };
        replica.in_flight -= 1;
        replica.group.durable(&then);
        for (to, message) in then.messages {
            self.say_of_group(id, to, message);
        }
        self.has_work(id);
    }

    /// Sends a message of a group; a snapshot is more than a message.
    fn say_of_group(&mut self, id: PartitionId, to: NodeId, message: GroupMessage) {
        match message.body {
            Body::Raft(raft) if raft.kind == Kind::Snapshot => self.send_snapshot(id, to, raft),
            body => self.say(to, GroupMessage { body, ..message }),
        }
    }

    /// How they stand; none on a node alone.
    pub(super) fn replicas(&self) -> Vec<ReplicaView> {
        let view = |(id, slot): (&PartitionId, &Slot)| {
            let group = &slot.replica.as_deref()?.group;
            let members = group.tail().membership();
            let voters: Vec<NodeId> = voters(members).collect();
            Some(ReplicaView {
                partition: *id,
                leader: group.leader(),
                term: group.term(),
                learners: everybody(members).filter(|node| !voters.contains(node)).collect(),
                voters,
                counts: !group.may_have_lost(),
                last: group.tail().last().index,
                committed: group.commit(),
                applied: slot.applied.index,
            })
        };
        self.partitions.iter().filter_map(view).collect()
    }

    /// Another node's batch came.
    pub(crate) fn node_says(&mut self, from: NodeId, batch: NodeBatch) {
        let Some(replication) = &mut self.replication else { return };
        let mono_ms = (self.now.mono_us / 1_000).cast_signed();
        replication.walls_ms.insert(from, batch.wall_ms.cast_signed().saturating_sub(mono_ms));
        let (own, is_silent) = (replication.incarnation, replication.is_silent);
        for GroupMessage { group, body } in batch.messages {
            let id = PartitionId(group);
            match body {
                body if is_silent && !matches!(body, Body::Answer { .. }) => {}
                Body::Part(part) => self.part_came(id, from, batch.incarnation, part),
                Body::Taken { place, offset } => self.part_taken(id, from, place, offset),
                Body::Ask { id: ask, shard, question } => self.node_asks(from, batch.incarnation, id, ask, shard, &question),
                Body::Answer { incarnation, shard: _, id: ask, answer } => {
                    if own == incarnation {
                        self.node_answers(ask, &answer);
                    }
                }
                // It comes part by part, and is told to the group once it is here: by itself there would be nothing to install.
                Body::Raft(raft) if raft.kind == Kind::Snapshot => {
                    tracing::warn!(partition = id.0, from = from.0, "a node names a snapshot without sending it; it is passed over");
                }
                body => {
                    let Some(replica) = self.replica(id) else { continue };
                    replica.group.step(from, batch.incarnation, body);
                    self.has_work(id);
                }
            }
        }
    }

    /// Time goes on for the groups, one tick at most: one that was not run for a while must hear what lies in its queue before it acts on the silence.
    pub(crate) fn replication_tick(&mut self) {
        let Some(replication) = &mut self.replication else { return };
        if self.closed || self.now.mono_us < replication.next_tick_us {
            return;
        }
        replication.ticks += 1;
        replication.next_tick_us = self.now.mono_us + crate::replication::group::TICK_MS * 1_000;
        self.late_answers();
        if self.replication.as_ref().is_some_and(|replication| replication.is_silent) {
            return;
        }
        if self.is_leaving() {
            self.hand_over();
        } else {
            self.members_tick();
        }
        self.links_tick();
        let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
        for id in ids {
            if let Some(replica) = self.replica(id) {
                replica.group.tick();
            }
            self.has_work(id);
        }
    }

    /// A node does not lead any more: who waits is told that nobody knows what came of it.
    pub(super) fn interrupt(&mut self, id: PartitionId) -> bool {
        let Some(replica) = self.replica(id) else { return false };
        let proposed = std::mem::take(&mut replica.proposed);
        let told = !proposed.is_empty();
        for Proposed { done, .. } in proposed {
            self.tell(done, Err(Failure::Interrupted));
        }
        told
    }

    /// The state that a leader sent takes the place of partition and log.
    fn install(&mut self, id: PartitionId, snapshot: &Snapshot, records: &mut Vec<ToLog>) -> bool {
        let told = self.interrupt(id);
        records.push(ToLog::Snapshot(snapshot.place));
        records.push(ToLog::Members(snapshot.place.index, snapshot.membership.clone()));
        self.take_received(id, snapshot.place);
        told
    }
}

impl Slot {
    /// Is it this node's to decide: alone, or as the leader that has applied what leaders before it committed?
    pub(crate) fn leads(&self) -> bool {
        self.replica.as_ref().is_none_or(|replica| replica.leading.is_some())
    }

    /// In which term this node leads; 0 where it is alone, `None` where another one leads.
    pub(crate) fn lead(&self) -> Option<u64> {
        self.replica.as_ref().map_or(Some(0), |replica| replica.leading)
    }
}

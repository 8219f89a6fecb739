//! [`Group`]: one node's replica of one partition's log, sans-IO.
//!
//! Path: [`Group::propose`], [`Group::step`], [`Group::tick`] → [`Group::work`] until `None` → what is in [`Work`], in the order of its fields → [`Group::durable`] once its
//! records are on disk → [`Group::applied`]. Read first: [`Work`], then `lost.rs` for a node whose log may lack what it acknowledged.
//! Bounds: [`UNCOMMITTED_BYTES_MAX`] of proposals that are not committed; past it they are refused. [`IN_FLIGHT_MAX`] messages of at most [`MESSAGE_BYTES_MAX`]
//! on their way to a follower.
//!
//! Elections are not drawn by lot: each node waits another number of ticks, so a run repeats, and the groups' leaders are spread over the nodes.

use super::{
    HardState, LogEntry, Membership, NodeId, Place,
    change::{self, Change, STEPS_MAX, Step},
    lost::Lost,
    message::{Body, GroupMessage, Kind, RaftMessage},
    say,
    tail::{self, Snapshot, Tail},
};
use crate::mutants::{self, Mutant};
use bytes::Bytes;
use raft::{
    Config, ProgressState, RawNode, ReadOnlyOption, SnapshotStatus, StateRole,
    eraftpb::{self, MessageType},
};
use std::collections::{BTreeMap, BTreeSet};
use wire::Millis;

/// A tick, in milliseconds.
pub(crate) const TICK_MS: u64 = 50;
/// Ticks between heartbeats.
const HEARTBEAT_TICKS: usize = 2;
/// Ticks without a word of the leader after which a node may ask for votes, at the earliest; a leader that does not hear from a majority for so long steps down.
const ELECTION_TICKS: usize = 10;
/// The nodes of a group wait so many different times.
const RANKS: u64 = 5;
/// A member that lacks at most so many entries may vote.
const CLOSE_ENTRIES: u64 = 1_000;
/// So long a node leads before it looks whether another one should.
const BALANCE_TICKS: usize = 200;
/// Bytes of entries in one message, about.
pub(super) const MESSAGE_BYTES_MAX: u64 = 256 * 1024;
/// Messages with entries on their way to one follower.
const IN_FLIGHT_MAX: usize = 64;
/// Bytes of entries that a leader has proposed and that are not committed.
const UNCOMMITTED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of committed entries given out at once, so that nobody waits for the whole of a long log.
const COMMITTED_BYTES_MAX: u64 = 1024 * 1024;

/// What a group is made of.
pub(crate) struct Begin {
    /// Number of the partition.
    pub(crate) group: u16,
    /// Whose replica it is.
    pub(crate) node: NodeId,
    /// Which start of the node this is.
    pub(crate) incarnation: u64,
    /// What the log has.
    pub(crate) tail: Tail,
    /// Index of the last entry that is applied; at least the tail's start.
    pub(crate) applied: u64,
    /// The log may have lost what was acknowledged: it does not end with a mark.
    pub(crate) may_have_lost: bool,
}

/// Entries that a leader took, the first at `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proposed {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

/// Why proposals were not taken. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Another node leads, if it is known which.
    NotLeader(Option<NodeId>),
    /// Too much is under way, or the lead is being handed over.
    Busy,
}

/// What to do, in this order.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Goes at once.
    pub(crate) messages: Vec<(NodeId, GroupMessage)>,
    /// The state that was received by itself takes the place of partition and log.
    pub(crate) install: Option<Snapshot>,
    /// Entries of the log from this index on are void.
    pub(crate) void_from: Option<u64>,
    /// To be logged.
    pub(crate) entries: Vec<LogEntry>,
    /// To be logged after them.
    pub(crate) hard: Option<HardState>,
    /// Once all that is durable.
    pub(crate) then: Then,
    /// To be applied.
    pub(crate) committed: Vec<LogEntry>,
    /// Reads that may be answered once so much is applied: their marks, and the index.
    pub(crate) reads: Vec<(u64, u64)>,
}

/// What waits until the records of a [`Work`] are durable.
#[derive(Debug, Default)]
pub(crate) struct Then {
    /// For [`Group::durable`].
    pub(crate) number: u64,
    /// Goes then.
    pub(crate) messages: Vec<(NodeId, GroupMessage)>,
    /// Index of the snapshot that is in place then; 0 for none.
    installed: u64,
    /// Durable is not enough: a later batch of the log must prove it, so that damage to it is found and not taken for a torn write. So a vote, or that a
    /// term is known, cannot be forgotten.
    pub(crate) must_be_proven: bool,
}

/// See above.
pub(crate) struct Group {
    raw: RawNode<Tail>,
    group: u16,
    node: NodeId,
    incarnation: u64,
    lost: Option<Lost>,
    /// What each node acknowledged before this start of it does not count.
    fences: BTreeMap<NodeId, u64>,
    /// Messages of our own making.
    said: Vec<(NodeId, GroupMessage)>,
    /// The mark of the last read that was sent round.
    read: u64,
    /// Ticks since it leads.
    /// They are to lead nothing.
    avoided: BTreeSet<NodeId>,
    led_ticks: usize,
}

/// How much longer than the others a node waits before it asks for votes.
fn rank(node: NodeId, group: u16) -> usize {
    usize::try_from((node.0 + u64::from(group)) % RANKS).expect("few ranks")
}

impl Group {
    /// A replica as a start finds it.
    pub(crate) fn new(begin: Begin) -> Self {
        let Begin { group, node, incarnation, tail, applied, may_have_lost } = begin;
        let patience = ELECTION_TICKS + rank(node, group);
        let config = Config {
            id: node.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: IN_FLIGHT_MAX,
            check_quorum: true,
            pre_vote: true,
            // One above the other is one choice: the crate would draw lots.
            min_election_tick: patience,
            max_election_tick: patience + 1,
            read_only_option: ReadOnlyOption::Safe,
            skip_bcast_commit: false,
            // It puts entries behind an empty message that goes on from elsewhere, when a follower was found to be further back meanwhile.
            batch_append: false,
            // Priorities and pre-votes together panic (tikv/raft-rs 512).
            priority: 0,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
        };
        let alone = tail.membership().voters == [node.0] && tail.membership().voters_outgoing.is_empty();
        let may_have_lost = may_have_lost && !mutants::is(Mutant::VoteAfterLoss);
        let lost = (may_have_lost && !alone && !tail.membership().voters.is_empty()).then(Lost::default);
        let raw = RawNode::new(&config, tail, &say::logger()).expect("the configuration is our own, and the tail answers for itself");
        Self {
            raw,
            group,
            node,
            incarnation,
            lost,
            fences: BTreeMap::new(),
            said: Vec::new(),
            read: 0,
            led_ticks: 0,
            avoided: BTreeSet::new(),
        }
    }

    /// Time passed: [`TICK_MS`].
    pub(crate) fn tick(&mut self) {
        if self.is_lost() {
            self.ask_what_was_lost();
            return;
        }
        // One that may not win must not try either.
        if !self.leads() && self.below_floor(self.tail().last()) {
            return;
        }
        self.raw.tick();
        self.led_ticks = if self.leads() { self.led_ticks + 1 } else { 0 };
        // Between two of the crate's looks at who is there: after each it knows of nobody for a moment.
        if self.led_ticks >= BALANCE_TICKS && self.led_ticks % ELECTION_TICKS == ELECTION_TICKS / 2 {
            self.balance();
        }
    }

    /// Hands the lead to the node that would get it first in an election, if that one keeps up: so the groups' leaders spread over the nodes again after
    /// one of them was away.
    fn balance(&mut self) {
        let voters = super::message::voters(self.tail().membership()).filter(|node| !self.avoided.contains(node));
        let first = voters.min_by_key(|node| rank(*node, self.group)).filter(|node| *node != self.node);
        let last = self.tail_last_index();
        let keeps_up =
            |node: &NodeId| self.raw.raft.prs().get(node.0).is_some_and(|progress| progress.recent_active && progress.matched == last);
        if let Some(first) = first.filter(keeps_up) {
            self.transfer(first);
        }
    }

    /// Takes a message of `from`, of a start of it.
    pub(crate) fn step(&mut self, from: NodeId, incarnation: u64, body: Body) {
        if self.fences.get(&from).is_some_and(|since| incarnation < *since) {
            return;
        }
        match body {
            Body::Raft(message) => self.step_raft(from, &message),
            Body::Lost { last, term } => self.asked_what_was_lost(from, incarnation, last, term),
            Body::Fence { incarnation, floor, term } => {
                if incarnation == self.incarnation && term >= self.term() {
                    self.fenced(floor);
                }
            }
            Body::Stands { incarnation, last } => {
                if incarnation == self.incarnation {
                    self.told_where_it_stands(from, last);
                }
            }
            // Not the group's business.
            Body::Part(_) | Body::Taken { .. } | Body::Ask { .. } | Body::Answer { .. } => {}
        }
    }

    fn step_raft(&mut self, from: NodeId, message: &RaftMessage) {
        let candidate = Place { term: message.log_term, index: message.index };
        let refused = match message.kind {
            // Before it is known what was lost, nothing that is said rests on a log that can be trusted.
            _ if self.is_lost() => true,
            Kind::Vote | Kind::PreVote => self.below_floor(candidate),
            // Of a leader that counts on entries which were acknowledged by a start before this one, and are not here: it is told so.
            Kind::Heartbeat if message.commit > self.tail_last_index() => {
                let body = Body::Lost { last: self.tail().last(), term: self.term() };
                self.said.push((from, GroupMessage { group: self.group, body }));
                true
            }
            // One that knows no members cannot make sense of a change of them: it begins with a snapshot.
            Kind::Append => message.index == 0 && self.tail().membership().voters.is_empty(),
            Kind::Heartbeat
            | Kind::AppendResponse
            | Kind::VoteResponse
            | Kind::PreVoteResponse
            | Kind::HeartbeatResponse
            | Kind::Snapshot
            | Kind::TimeoutNow
            | Kind::ReadIndex
            | Kind::ReadIndexResponse => false,
        };
        if refused {
            return;
        }
        // An error says that the message is of no use here: of somebody who is no member any more.
        if let Err(error) = self.raw.step(message.to_raft(from, self.node)) {
            tracing::debug!(%error, group = self.group, from = from.0, "a message of another node is passed over");
        }
        self.trust_again();
    }

    /// Commands, each with its stamp and body. All are taken, one after the other, or none.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub(crate) fn propose(&mut self, commands: impl Iterator<Item = (Millis, Bytes)>) -> Result<Proposed, NotTaken> {
        self.takes_proposals()?;
        let entries: Vec<eraftpb::Entry> =
            commands.map(|(time, body)| eraftpb::Entry { data: tail::data(time, &body), ..eraftpb::Entry::default() }).collect();
        let proposed = Proposed { term: self.term(), index: self.raw.raft.raft_log.last_index() + 1 };
        let mut message = eraftpb::Message { from: self.node.0, ..eraftpb::Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        message.set_entries(entries.into());
        self.raw.step(message).map_err(|_| NotTaken::Busy)?;
        Ok(proposed)
    }

    /// A change of members. One that is not applied yet keeps another one out.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub(crate) fn propose_change(&mut self, change: &Change) -> Result<Proposed, NotTaken> {
        self.takes_proposals()?;
        let proposed = Proposed { term: self.term(), index: self.raw.raft.raft_log.last_index() + 1 };
        if self.raw.raft.has_pending_conf() {
            return Err(NotTaken::Busy);
        }
        self.raw.propose_conf_change(Vec::new(), change.to_raft()).map_err(|_| NotTaken::Busy)?;
        Ok(proposed)
    }

    /// The next step, proposed by the leader, towards these members. New ones receive first; who is to vote does once all who are to keep up, so that no even
    /// number votes on the way; the leader hands the lead over before it leaves. `None` where nothing is to be done, or not yet.
    pub(crate) fn next_change(&mut self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>) -> Option<Change> {
        let membership = self.tail().membership();
        if !membership.voters_outgoing.is_empty() || self.raw.raft.has_pending_conf() {
            return None;
        }
        let set = |nodes: &[u64]| -> BTreeSet<NodeId> { nodes.iter().copied().map(NodeId).collect() };
        let (vote, receive) = (set(&membership.voters), set(&membership.learners));
        let is_wanted = |node: &NodeId| voters.contains(node) || learners.contains(node);
        let change = |steps: Vec<Step>| {
            let steps: Vec<Step> = steps.into_iter().take(STEPS_MAX).collect();
            (!steps.is_empty()).then_some(Change { steps })
        };
        let missing = voters.union(learners).filter(|node| !vote.contains(node) && !receive.contains(node));
        if let Some(change) = change(missing.map(|node| Step::Learner(*node)).collect()) {
            return Some(change);
        }
        if vote != *voters && !voters.is_empty() {
            if !voters.iter().all(|node| *node == self.node || self.is_close(*node)) {
                return None;
            }
            if !voters.contains(&self.node) {
                // It votes already where it can be handed the lead.
                let heir = voters.intersection(&vote).next().copied();
                if let Some(heir) = heir {
                    self.transfer(heir);
                    return None;
                }
            }
            let promoted = voters.difference(&vote).map(|node| Step::Voter(*node));
            // Who leads stays until another one can.
            let demoted = vote.difference(voters).filter(|node| **node != self.node);
            let demoted = demoted.map(|node| if is_wanted(node) { Step::Learner(*node) } else { Step::Remove(*node) });
            return change(promoted.chain(demoted).collect());
        }
        change(receive.iter().filter(|node| !is_wanted(node)).map(|node| Step::Remove(*node)).collect())
    }

    /// Does a member lack so little that it has it in a moment?
    fn is_close(&self, node: NodeId) -> bool {
        let last = self.tail_last_index();
        self.raw.raft.prs().get(node.0).is_some_and(|progress| progress.recent_active && progress.matched + CLOSE_ENTRIES >= last)
    }

    fn takes_proposals(&self) -> Result<(), NotTaken> {
        match (self.leads(), self.raw.raft.lead_transferee) {
            (false, _) => Err(NotTaken::NotLeader(self.leader())),
            (true, Some(_)) => Err(NotTaken::Busy),
            (true, None) => Ok(()),
        }
    }

    /// Asks a majority whether this node still leads, for all reads that came until now. The mark comes back in [`Work::reads`], or never, when it does not.
    /// `None` where it cannot be asked: not the leader, or nothing of its term is committed yet.
    pub(crate) fn read(&mut self) -> Option<u64> {
        if !self.leads() || !self.raw.raft.commit_to_current_term() {
            return None;
        }
        self.read += 1;
        self.raw.read_index(self.read.to_le_bytes().to_vec());
        Some(self.read)
    }

    /// The lead is not to be handed to these, and is not to stay with this node if it is one of them and somebody else can have it.
    pub(crate) fn avoid(&mut self, nodes: BTreeSet<NodeId>) {
        self.avoided = nodes;
        if self.avoided.contains(&self.node) {
            let _ = self.hand_over(); // tried again with the next look
        }
    }

    /// Hands the lead to whoever can take it soonest. Does it lead, and is there anybody else?
    pub(crate) fn hand_over(&mut self) -> bool {
        if !self.leads() {
            return false;
        }
        let may_lead = |node: &NodeId| *node != self.node && !self.avoided.contains(node);
        let others: Vec<NodeId> = super::message::voters(self.tail().membership()).filter(may_lead).collect();
        let matched =
            |node: &NodeId| self.raw.raft.prs().get(node.0).filter(|progress| progress.recent_active).map(|progress| progress.matched);
        // The first of those that have most: one is enough.
        let heir = others.iter().filter_map(|node| Some((matched(node)?, std::cmp::Reverse(*node)))).max();
        // Nobody for the moment after each of the crate's looks at who is there.
        if let Some((_, std::cmp::Reverse(heir))) = heir {
            self.transfer(heir);
        }
        !others.is_empty()
    }

    /// Hands the lead to another member, if it leads and that one keeps up.
    pub(crate) fn transfer(&mut self, to: NodeId) {
        if self.leads() {
            self.raw.transfer_leader(to.0);
        }
    }

    /// The next thing to do, if any.
    pub(crate) fn work(&mut self) -> Option<Work> {
        if !self.said.is_empty() {
            return Some(Work { messages: std::mem::take(&mut self.said), ..Work::default() });
        }
        if !self.raw.has_ready() {
            return None;
        }
        let mut ready = self.raw.ready();
        let mut work = Work::default();
        work.then.number = ready.number();
        work.messages = self.outgoing(ready.take_messages());
        work.then.messages = self.outgoing(ready.take_persisted_messages());
        let tail = self.raw.mut_store();
        if !ready.snapshot().is_empty() {
            let snapshot = tail::snapshot_of_raft(ready.snapshot());
            // What the log has there is of another history: else the crate had gone on with it. So the mark steps forward, and a start cannot pass it over.
            work.void_from = (tail.last_index() >= snapshot.place.index).then_some(snapshot.place.index);
            tail.reset(snapshot.clone());
            work.then.installed = snapshot.place.index;
            work.install = Some(snapshot);
        }
        let entries = ready.take_entries();
        if let Some(first) = entries.first()
            && first.index <= tail.last_index()
        {
            debug_assert!(work.void_from.is_none(), "a snapshot leaves nothing to overwrite");
            work.void_from = Some(first.index);
        }
        for entry in entries {
            work.entries.push(tail::of_raft(&entry));
            tail.append_raft(entry);
        }
        if let Some(hard) = ready.hs() {
            let hard = HardState { term: hard.term, vote: hard.vote, commit: hard.commit };
            let known = tail.hard();
            tail.set_hard(hard);
            if (hard.term, hard.vote) != (known.term, known.vote) {
                work.hard = Some(hard);
                work.then.must_be_proven = true;
            }
        }
        let reads = ready.take_read_states().into_iter();
        work.reads = reads.filter_map(|read| Some((u64::from_le_bytes(read.request_ctx.try_into().ok()?), read.index))).collect();
        work.committed = ready.take_committed_entries().iter().map(tail::of_raft).collect();
        self.raw.advance_append_async(ready);
        Some(work)
    }

    fn outgoing(&self, messages: Vec<eraftpb::Message>) -> Vec<(NodeId, GroupMessage)> {
        let ours = messages.into_iter().filter_map(RaftMessage::of_raft);
        ours.map(|(to, message)| (to, GroupMessage { group: self.group, body: Body::Raft(message) })).collect()
    }

    /// All records of this work and of those before it are durable, and proven where they must be.
    pub(crate) fn durable(&mut self, then: &Then) {
        self.raw.on_persist_ready(then.number);
        // What is applied must not pass what is durable; until then the crate would look for entries below the snapshot.
        if then.installed > self.raw.raft.raft_log.applied() {
            self.raw.advance_apply_to(then.installed);
        }
        if mutants::is(Mutant::NoQuorum) && self.leads() {
            let log = &mut self.raw.raft.raft_log;
            log.commit_to(log.persisted);
        }
    }

    /// Everything up to `index` is applied.
    pub(crate) fn applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
    }

    /// Makes a committed change of members hold. Gives the members from its index on.
    ///
    /// # Panics
    /// When the entry is none: entries are checked where they come in.
    pub(crate) fn apply_change(&mut self, entry: &LogEntry) -> Membership {
        let change = Change::decode(&entry.body).expect("changes of members are checked where they come in");
        let mut state = self.raw.apply_conf_change(&change.to_raft());
        if mutants::is(Mutant::JointSkipped) && change.steps.len() > 1 && state.is_ok() {
            state = self.raw.apply_conf_change(&Change::default().to_raft());
        }
        let membership = match state {
            Ok(state) => change::of_conf_state(&state),
            // Every replica says the same: it was proposed when another one was still on its way, or would leave nobody.
            Err(error) => {
                tracing::warn!(%error, group = self.group, index = entry.index, "a change of members is void");
                self.tail().membership().clone()
            }
        };
        self.raw.mut_store().set_membership(entry.index, membership.clone());
        membership
    }

    /// A durable snapshot has everything up to `index`.
    pub(crate) fn made_snapshot(&mut self, index: u64) {
        self.raw.mut_store().made_snapshot(index);
    }

    /// What the leader has sent as a snapshot has come, or cannot.
    pub(crate) fn sent_snapshot(&mut self, to: NodeId, well: bool) {
        self.raw.report_snapshot(to.0, if well { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
    }

    /// Keeps at most so many bytes of entries that are applied. A snapshot that is on its way to a follower keeps those behind it.
    pub(crate) fn trim(&mut self, bytes: usize) {
        let applied = self.raw.raft.raft_log.applied();
        let sending = self.raw.raft.prs().iter().filter(|(_, progress)| progress.state == ProgressState::Snapshot);
        let sending = sending.map(|(_, progress)| progress.pending_snapshot).min().unwrap_or(u64::MAX);
        self.raw.mut_store().trim(applied.min(sending), bytes);
    }

    /// Does this node lead, as far as it knows?
    pub(crate) fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Does it lead, and has it applied everything that leaders before it committed?
    pub(crate) fn leads_fully(&self) -> bool {
        self.leads() && self.raw.raft.apply_to_current_term()
    }

    /// Who leads, as far as is known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        Some(self.raw.raft.leader_id).filter(|leader| *leader != 0).map(NodeId)
    }

    pub(crate) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    pub(crate) fn commit(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    pub(crate) fn tail(&self) -> &Tail {
        self.raw.store()
    }

    /// In words, for people who look for what keeps it from going on.
    pub(crate) fn told(&self) -> String {
        let raft = &self.raw.raft;
        let progress = |(id, progress): (&u64, &raft::Progress)| {
            let raft::Progress { matched, next_idx, state, pending_snapshot, recent_active, .. } = progress;
            format!("{id}: {state:?} {matched} next {next_idx} snapshot {pending_snapshot} active {recent_active}")
        };
        let mut followers: Vec<String> = if self.leads() { raft.prs().iter().map(progress).collect() } else { Vec::new() };
        followers.sort();
        let members = self.tail().membership();
        format!(
            "{:?} term {} leader {} vote {} last {} committed {} applied {} tail {:?} snapshot {:?} wanted {:?} lost {} transfer {:?} voters {:?} of {:?} learners {:?} [{}]",
            raft.state,
            raft.term,
            raft.leader_id,
            raft.vote,
            self.tail_last_index(),
            self.commit(),
            raft.raft_log.applied(),
            self.tail().start(),
            self.tail().snapshot().map(|snapshot| snapshot.place.index),
            self.tail().wanted(),
            self.lost.is_some(),
            raft.lead_transferee,
            members.voters,
            members.voters_outgoing,
            members.learners,
            followers.join(", ")
        )
    }

    /// The newest stamp among the entries that are here, committed or not.
    pub(crate) fn newest_time(&self) -> Millis {
        let unstable = self.raw.raft.raft_log.unstable.entries.iter().map(|entry| tail::of_raft(entry).time);
        unstable.chain([self.tail().newest_time()]).max().unwrap_or(Millis(0))
    }

    /// Index of the last entry, those included that are not given out as work yet.
    fn tail_last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    // What is told and asked when a log may have lost something: `lost.rs`.

    /// May its log still lack what it acknowledged once?
    pub(crate) fn may_have_lost(&self) -> bool {
        self.lost.is_some()
    }

    fn is_lost(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.floor().is_none())
    }

    fn below_floor(&self, place: Place) -> bool {
        self.lost.as_ref().and_then(Lost::floor).is_some_and(|floor| place < floor)
    }

    /// Once the log has come up to the floor it is like any other.
    fn trust_again(&mut self) {
        if self.lost.is_some() && !self.is_lost() && !self.below_floor(self.tail().last()) {
            self.lost = None;
        }
    }

    fn ask_what_was_lost(&mut self) {
        let (last, term) = (self.tail().last(), self.term());
        let others: Vec<NodeId> = super::message::everybody(self.tail().membership()).filter(|node| *node != self.node).collect();
        for node in others {
            self.said.push((node, GroupMessage { group: self.group, body: Body::Lost { last, term } }));
        }
    }

    fn asked_what_was_lost(&mut self, from: NodeId, incarnation: u64, last: Place, term: u64) {
        if self.leads() && term > self.term() {
            // It stood for election once, and may not follow a leader of before; and it says nothing that the crate would learn that from.
            let mut heard = raft::eraftpb::Message::default();
            heard.set_msg_type(raft::eraftpb::MessageType::MsgAppendResponse);
            (heard.from, heard.to, heard.term, heard.reject) = (from.0, self.node.0, term, true);
            if let Err(error) = self.raw.step(heard) {
                tracing::debug!(%error, "a later term is not heard of");
            }
            return;
        }
        let answer = if self.leads() {
            // What leaders before this one committed it knows only with its own first entry.
            if !self.raw.raft.commit_to_current_term() {
                return;
            }
            self.fences.insert(from, incarnation);
            let Some(progress) = self.raw.raft.mut_prs().get_mut(from.0) else { return };
            // From where the asker's log ends: what it acknowledged above that it may not have. The crate would never ask again below it.
            if progress.matched > last.index {
                progress.matched = 0;
                progress.become_probe();
                progress.next_idx = last.index + 1;
            }
            let index = self.commit();
            let term = self.raw.raft.raft_log.term(index).unwrap_or_else(|_| self.term());
            Body::Fence { incarnation, floor: Place { term, index }, term: self.term() }
        } else {
            Body::Stands { incarnation, last: self.tail().last() }
        };
        self.said.push((from, GroupMessage { group: self.group, body: answer }));
    }

    fn fenced(&mut self, floor: Place) {
        if let Some(lost) = &mut self.lost {
            lost.fenced(floor);
        }
        self.trust_again();
    }

    fn told_where_it_stands(&mut self, from: NodeId, last: Place) {
        let voters: Vec<NodeId> = super::message::voters(self.tail().membership()).filter(|node| *node != self.node).collect();
        if let Some(lost) = &mut self.lost {
            lost.stands(from, last, &voters);
        }
        self.trust_again();
    }
}

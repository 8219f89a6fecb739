//! What the nodes of a group say to each other, and its bytes.
//!
//! Path: [`Group::work`](super::group::Group::work) → [`GroupMessage`] → gathered for a node → [`NodeBatch::encode`] → the link → [`NodeBatch::decode`], which checks all of it before anything is
//! made of it → [`Group::step`](super::group::Group::step). Bounds: [`MESSAGES_MAX`] messages in one batch, [`ENTRIES_MAX`] entries in a message; a batch that is longer, or in which anything
//! does not read, is refused whole: its sender is told nothing, and sends again what it must.

use super::{
    LogEntry, NodeId, Place,
    change::{Change, STEPS_MAX},
    tail::{self, Snapshot},
};
use crate::log::{EntryVariant, Membership, RECORD_BODY_BYTES_MAX};
use bytes::Bytes;
use raft::eraftpb::{self, MessageType};
use rkyv::{Archive, Deserialize, Serialize, rancor};
use std::collections::BTreeMap;
use wire::{PartitionId, ShardId, placement};

/// Messages of one batch.
pub(crate) const MESSAGES_MAX: usize = 16_384;
/// Entries of one message.
pub(crate) const ENTRIES_MAX: usize = 65_536;
/// Bytes of the mark with which a read's heartbeats are told apart.
const CONTEXT_BYTES_MAX: usize = 64;
/// Members in one list.
const MEMBERS_MAX: usize = crate::log::MEMBERS_MAX;

/// What one node tells another in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeBatch {
    /// Which start of the sender it comes from: a later one has a higher number.
    pub(crate) incarnation: u64,
    /// The sender's wall clock, milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// In the order they were made.
    pub(crate) messages: Vec<GroupMessage>,
}

/// A message of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMessage {
    /// Number of its partition.
    pub(crate) group: u16,
    pub(crate) body: Body,
}

impl GroupMessage {
    /// For which of a node's shards it is: the one that has the partition, or the one that asked.
    fn shard(&self, shards: u16) -> ShardId {
        match &self.body {
            // Of a start with another number of shards: whoever gets it does not know it either.
            Body::Answer { shard, .. } => ShardId(shard % shards),
            _ => placement::shard_of(PartitionId(self.group), shards),
        }
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// One of Raft's.
    Raft(RaftMessage),
    /// The sender's log may have lost what it acknowledged: what has it missed?
    Lost {
        /// Where its log ends.
        last: Place,
        /// The sender's term: a leader of an earlier one is none that it may follow.
        term: u64,
    },
    /// The leader's answer: it counts nothing any more that the asker acknowledged before this start, and up to here entries are committed.
    Fence {
        /// For which start of the asker.
        incarnation: u64,
        /// Of the last entry committed.
        floor: Place,
        /// The leader's term.
        term: u64,
    },
    /// Another member's answer.
    Stands {
        /// For which start of the asker.
        incarnation: u64,
        /// Where the answerer's log ends.
        last: Place,
    },
    /// Asks something of the partition, of who leads it. What is not the groups' business: the shard knows what it means.
    Ask {
        /// Under which it is answered.
        id: u64,
        /// The asking node's shard.
        shard: u16,
        /// What.
        question: Bytes,
    },
    /// Answers.
    Answer {
        /// Of the start that asked.
        incarnation: u64,
        /// The shard that asked.
        shard: u16,
        /// Its number of the question.
        id: u64,
        /// With what.
        answer: Bytes,
    },
    /// Part of a snapshot's file.
    Part(Part),
    /// So much of a snapshot's file has come and is written down; all of it, when it has its name.
    Taken {
        /// Which.
        place: Place,
        /// Bytes.
        offset: u64,
    },
}

/// Part of a snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Raft's message that names the snapshot, for when all of it has come.
    pub(crate) message: RaftMessage,
    /// Id of the data folder that it comes from, which is in the file's header.
    pub(crate) folder: u128,
    /// Bytes of the file.
    pub(crate) total: u64,
    /// Where the part begins in it.
    pub(crate) offset: u64,
    /// The part.
    pub(crate) bytes: Bytes,
}

/// Bytes of a question or an answer: an entry, or what carts need of their lines.
const QUESTION_BYTES_MAX: usize = 4 << 20;
/// Bytes of a snapshot's file in one message.
pub(crate) const PART_BYTES_MAX: usize = 1 << 20;

/// Kinds of Raft's messages that go between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug))]
pub(crate) enum Kind {
    Append,
    AppendResponse,
    Vote,
    VoteResponse,
    PreVote,
    PreVoteResponse,
    Heartbeat,
    HeartbeatResponse,
    /// Only names a snapshot; what is in it goes by itself.
    Snapshot,
    TimeoutNow,
    ReadIndex,
    ReadIndexResponse,
}

/// A message as in the paper; what the fields mean in each kind is the crate's (`eraftpb.proto`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RaftMessage {
    pub(crate) kind: Kind,
    pub(crate) term: u64,
    pub(crate) log_term: u64,
    pub(crate) index: u64,
    pub(crate) commit: u64,
    pub(crate) commit_term: u64,
    pub(crate) request_snapshot: u64,
    pub(crate) reject: bool,
    pub(crate) reject_hint: u64,
    pub(crate) context: Bytes,
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Kind {
    fn of_raft(kind: MessageType) -> Option<Self> {
        Some(match kind {
            MessageType::MsgAppend => Self::Append,
            MessageType::MsgAppendResponse => Self::AppendResponse,
            MessageType::MsgRequestVote => Self::Vote,
            MessageType::MsgRequestVoteResponse => Self::VoteResponse,
            MessageType::MsgRequestPreVote => Self::PreVote,
            MessageType::MsgRequestPreVoteResponse => Self::PreVoteResponse,
            MessageType::MsgHeartbeat => Self::Heartbeat,
            MessageType::MsgHeartbeatResponse => Self::HeartbeatResponse,
            MessageType::MsgSnapshot => Self::Snapshot,
            MessageType::MsgTimeoutNow => Self::TimeoutNow,
            MessageType::MsgReadIndex => Self::ReadIndex,
            MessageType::MsgReadIndexResp => Self::ReadIndexResponse,
            // Those never leave a node: proposals are made only where a leader is, and the others are told by the driver.
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgPropose
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader => return None,
        })
    }

    fn to_raft(self) -> MessageType {
        match self {
            Self::Append => MessageType::MsgAppend,
            Self::AppendResponse => MessageType::MsgAppendResponse,
            Self::Vote => MessageType::MsgRequestVote,
            Self::VoteResponse => MessageType::MsgRequestVoteResponse,
            Self::PreVote => MessageType::MsgRequestPreVote,
            Self::PreVoteResponse => MessageType::MsgRequestPreVoteResponse,
            Self::Heartbeat => MessageType::MsgHeartbeat,
            Self::HeartbeatResponse => MessageType::MsgHeartbeatResponse,
            Self::Snapshot => MessageType::MsgSnapshot,
            Self::TimeoutNow => MessageType::MsgTimeoutNow,
            Self::ReadIndex => MessageType::MsgReadIndex,
            Self::ReadIndexResponse => MessageType::MsgReadIndexResp,
        }
    }
}

impl RaftMessage {
    /// The crate's message as ours, with whom it is for; `None` for one that stays on the node.
    pub(super) fn of_raft(mut raft: eraftpb::Message) -> Option<(NodeId, Self)> {
        let kind = Kind::of_raft(raft.get_msg_type())?;
        let entries = raft.get_entries();
        let entries = match kind {
            // The mark of a read, which is no entry of a log.
            Kind::ReadIndex | Kind::ReadIndexResponse => {
                raft.context = entries.first().map(|entry| entry.data.clone()).unwrap_or_default();
                Vec::new()
            }
            _ => entries.iter().map(tail::of_raft).collect(),
        };
        let snapshot = (kind == Kind::Snapshot).then(|| tail::snapshot_of_raft(raft.get_snapshot()));
        let message = Self {
            kind,
            term: raft.term,
            log_term: raft.log_term,
            index: raft.index,
            commit: raft.commit,
            commit_term: raft.commit_term,
            request_snapshot: raft.request_snapshot,
            reject: raft.reject,
            reject_hint: raft.reject_hint,
            context: raft.context,
            entries,
            snapshot,
        };
        Some((NodeId(raft.to), message))
    }

    pub(super) fn to_raft(&self, from: NodeId, to: NodeId) -> eraftpb::Message {
        let mut raft = eraftpb::Message::default();
        raft.set_msg_type(self.kind.to_raft());
        (raft.from, raft.to, raft.term) = (from.0, to.0, self.term);
        (raft.log_term, raft.index) = (self.log_term, self.index);
        (raft.commit, raft.commit_term) = (self.commit, self.commit_term);
        (raft.request_snapshot, raft.reject, raft.reject_hint) = (self.request_snapshot, self.reject, self.reject_hint);
        match self.kind {
            Kind::ReadIndex | Kind::ReadIndexResponse => {
                let mark = eraftpb::Entry { data: self.context.clone(), ..eraftpb::Entry::default() };
                raft.set_entries(vec![mark].into());
            }
            _ => {
                raft.context = self.context.clone();
                raft.set_entries(self.entries.iter().map(tail::to_raft).collect::<Vec<_>>().into());
            }
        }
        if let Some(snapshot) = &self.snapshot {
            raft.set_snapshot(tail::snapshot_to_raft(snapshot));
        }
        raft
    }
}

/// The bytes do not make a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of another node does not read: {0}. Do both run the same version?")]
pub struct Unreadable(&'static str);

/// As it is sent.
#[derive(Archive, Serialize, Deserialize)]
struct SentBatch {
    incarnation: u64,
    wall_ms: u64,
    messages: Vec<Sent>,
}

#[derive(Archive, Serialize, Deserialize)]
struct Sent {
    group: u16,
    body: SentBody,
}

#[derive(Archive, Serialize, Deserialize)]
enum SentBody {
    Raft(SentRaft),
    Lost { term: u64, index: u64, own_term: u64 },
    Fence { incarnation: u64, term: u64, index: u64, leader_term: u64 },
    Stands { incarnation: u64, term: u64, index: u64 },
    Part { message: SentRaft, folder: u128, total: u64, offset: u64, bytes: Bytes },
    Taken { term: u64, index: u64, offset: u64 },
    Ask { id: u64, shard: u16, question: Bytes },
    Answer { incarnation: u64, shard: u16, id: u64, answer: Bytes },
}

#[derive(Archive, Serialize, Deserialize)]
struct SentRaft {
    kind: Kind,
    term: u64,
    log_term: u64,
    index: u64,
    commit: u64,
    commit_term: u64,
    request_snapshot: u64,
    reject: bool,
    reject_hint: u64,
    context: Bytes,
    entries: Vec<SentEntry>,
    snapshot: Option<SentSnapshot>,
}

#[derive(Archive, Serialize, Deserialize)]
struct SentEntry {
    term: u64,
    index: u64,
    variant: u8,
    time_ms: u64,
    body: Bytes,
}

#[derive(Archive, Serialize, Deserialize)]
struct SentSnapshot {
    term: u64,
    index: u64,
    membership: Vec<u8>,
}

impl NodeBatch {
    /// Which start of the sender it comes from: a later one has a higher number.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Is all of it for this shard, of so many?
    #[must_use]
    pub fn is_for(&self, shard: ShardId, shards: u16) -> bool {
        self.messages.iter().all(|message| message.shard(shards) == shard)
    }

    /// Its bytes, as they are sent. Bodies of entries are copied once, into these.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let messages = self.messages.iter().map(|message| Sent { group: message.group, body: sent(&message.body) }).collect();
        let batch = SentBatch { incarnation: self.incarnation, wall_ms: self.wall_ms, messages };
        rkyv::to_bytes::<rancor::Error>(&batch).expect("memory is all it takes").into_vec()
    }

    /// Reads a batch and checks all of it: lengths, kinds, that entries follow each other, changes of members.
    ///
    /// # Errors
    /// When anything in it does not read. Nothing of it is to be used then.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let batch = rkyv::access::<ArchivedSentBatch, rancor::Error>(bytes).map_err(|_| Unreadable("it is no batch"))?;
        if batch.messages.len() > MESSAGES_MAX {
            return Err(Unreadable("too many messages"));
        }
        let messages =
            batch.messages.iter().map(|message| Ok(GroupMessage { group: message.group.to_native(), body: read(&message.body)? }));
        let messages = messages.collect::<Result<_, Unreadable>>()?;
        Ok(Self { incarnation: batch.incarnation.to_native(), wall_ms: batch.wall_ms.to_native(), messages })
    }

    /// What is for each of a node's shards: messages about a partition for the shard that has it, answers for the shard that asked.
    #[must_use]
    pub fn by_shard(self, shards: u16) -> Vec<(ShardId, Self)> {
        let Self { incarnation, wall_ms, messages } = self;
        let mut by_shard: BTreeMap<ShardId, Vec<GroupMessage>> = BTreeMap::new();
        for message in messages {
            by_shard.entry(message.shard(shards)).or_default().push(message);
        }
        by_shard.into_iter().map(|(shard, messages)| (shard, Self { incarnation, wall_ms, messages })).collect()
    }
}

fn sent(body: &Body) -> SentBody {
    match body {
        Body::Raft(raft) => SentBody::Raft(sent_raft(raft)),
        Body::Lost { last, term } => SentBody::Lost { term: last.term, index: last.index, own_term: *term },
        Body::Fence { incarnation, floor, term } => {
            SentBody::Fence { incarnation: *incarnation, term: floor.term, index: floor.index, leader_term: *term }
        }
        Body::Stands { incarnation, last } => SentBody::Stands { incarnation: *incarnation, term: last.term, index: last.index },
        Body::Part(Part { message, folder, total, offset, bytes }) => {
            SentBody::Part { message: sent_raft(message), folder: *folder, total: *total, offset: *offset, bytes: bytes.clone() }
        }
        Body::Taken { place, offset } => SentBody::Taken { term: place.term, index: place.index, offset: *offset },
        Body::Ask { id, shard, question } => SentBody::Ask { id: *id, shard: *shard, question: question.clone() },
        Body::Answer { incarnation, shard, id, answer } => {
            SentBody::Answer { incarnation: *incarnation, shard: *shard, id: *id, answer: answer.clone() }
        }
    }
}

fn sent_raft(raft: &RaftMessage) -> SentRaft {
    SentRaft {
        kind: raft.kind,
        term: raft.term,
        log_term: raft.log_term,
        index: raft.index,
        commit: raft.commit,
        commit_term: raft.commit_term,
        request_snapshot: raft.request_snapshot,
        reject: raft.reject,
        reject_hint: raft.reject_hint,
        context: raft.context.clone(),
        entries: raft.entries.iter().map(sent_entry).collect(),
        snapshot: raft.snapshot.as_ref().map(|snapshot| SentSnapshot {
            term: snapshot.place.term,
            index: snapshot.place.index,
            membership: snapshot.membership.encode(),
        }),
    }
}

fn sent_entry(entry: &LogEntry) -> SentEntry {
    let LogEntry { term, index, variant, time, body } = entry;
    SentEntry { term: *term, index: *index, variant: *variant as u8, time_ms: time.0, body: body.clone() }
}

fn read(body: &ArchivedSentBody) -> Result<Body, Unreadable> {
    let place = |term: &rkyv::rend::unaligned::u64_ule, index: &rkyv::rend::unaligned::u64_ule| Place {
        term: term.to_native(),
        index: index.to_native(),
    };
    Ok(match body {
        ArchivedSentBody::Raft(raft) => Body::Raft(read_raft(raft)?),
        ArchivedSentBody::Lost { term, index, own_term } => Body::Lost { last: place(term, index), term: own_term.to_native() },
        ArchivedSentBody::Fence { incarnation, term, index, leader_term } => {
            Body::Fence { incarnation: incarnation.to_native(), floor: place(term, index), term: leader_term.to_native() }
        }
        ArchivedSentBody::Stands { incarnation, term, index } => {
            Body::Stands { incarnation: incarnation.to_native(), last: place(term, index) }
        }
        ArchivedSentBody::Part { message, folder, total, offset, bytes } => {
            let message = read_raft(message)?;
            let (total, offset) = (total.to_native(), offset.to_native());
            let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= total);
            if message.kind != Kind::Snapshot || bytes.len() > PART_BYTES_MAX || bytes.is_empty() || !fits {
                return Err(Unreadable("a part of no snapshot"));
            }
            Body::Part(Part { message, folder: folder.to_native(), total, offset, bytes: Bytes::copy_from_slice(bytes) })
        }
        ArchivedSentBody::Ask { id, shard, question } => {
            let question = bounded(question)?;
            Body::Ask { id: id.to_native(), shard: shard.to_native(), question }
        }
        ArchivedSentBody::Answer { incarnation, shard, id, answer } => {
            let answer = bounded(answer)?;
            Body::Answer { incarnation: incarnation.to_native(), shard: shard.to_native(), id: id.to_native(), answer }
        }
        ArchivedSentBody::Taken { term, index, offset } => Body::Taken { place: place(term, index), offset: offset.to_native() },
    })
}

fn bounded(bytes: &[u8]) -> Result<Bytes, Unreadable> {
    if bytes.len() > QUESTION_BYTES_MAX {
        return Err(Unreadable("a question or an answer is too long"));
    }
    Ok(Bytes::copy_from_slice(bytes))
}

fn read_raft(raft: &ArchivedSentRaft) -> Result<RaftMessage, Unreadable> {
    if raft.entries.len() > ENTRIES_MAX || raft.context.len() > CONTEXT_BYTES_MAX {
        return Err(Unreadable("a message is too long"));
    }
    let (index, term) = (raft.index.to_native(), raft.term.to_native());
    let mut next = index;
    let mut entries = Vec::with_capacity(raft.entries.len());
    for entry in raft.entries.iter() {
        next = next.checked_add(1).ok_or(Unreadable("an index that nobody reaches"))?;
        entries.push(read_entry(entry, next, term)?);
    }
    let snapshot = match raft.snapshot.as_ref() {
        None => None,
        Some(snapshot) => {
            let membership = Membership::decode(&snapshot.membership).map_err(|_| Unreadable("members that do not read"))?;
            let lists = [&membership.voters, &membership.voters_outgoing, &membership.learners, &membership.learners_next];
            if membership.voters.is_empty() || lists.iter().any(|list| list.len() > MEMBERS_MAX || list.contains(&0)) {
                return Err(Unreadable("members that do not read"));
            }
            let place = Place { term: snapshot.term.to_native(), index: snapshot.index.to_native() };
            Some(Snapshot { place, membership })
        }
    };
    let kind = rkyv::deserialize::<Kind, rancor::Error>(&raft.kind).map_err(|_| Unreadable("a kind of message"))?;
    if (kind == Kind::Snapshot) != snapshot.is_some() || (kind != Kind::Append && !entries.is_empty()) {
        return Err(Unreadable("a message with what does not belong into it"));
    }
    Ok(RaftMessage {
        kind,
        term,
        log_term: raft.log_term.to_native(),
        index,
        commit: raft.commit.to_native(),
        commit_term: raft.commit_term.to_native(),
        request_snapshot: raft.request_snapshot.to_native(),
        reject: raft.reject,
        reject_hint: raft.reject_hint.to_native(),
        context: Bytes::copy_from_slice(&raft.context),
        entries,
        snapshot,
    })
}

fn read_entry(entry: &ArchivedSentEntry, index: u64, leader_term: u64) -> Result<LogEntry, Unreadable> {
    let (term, body) = (entry.term.to_native(), &entry.body[..]);
    if entry.index.to_native() != index || term > leader_term || term == 0 {
        return Err(Unreadable("entries that do not follow each other"));
    }
    if body.len() > RECORD_BODY_BYTES_MAX {
        return Err(Unreadable("an entry that no log takes"));
    }
    let variant = match entry.variant {
        0 => EntryVariant::Command,
        1 => EntryVariant::MemberChange,
        2 => EntryVariant::JointChange,
        _ => return Err(Unreadable("a kind of entry")),
    };
    if variant != EntryVariant::Command {
        let change = Change::decode(body).map_err(|_| Unreadable("a change of members"))?;
        if change.variant() != variant {
            return Err(Unreadable("a change of members under another name"));
        }
    }
    let time = wire::Millis(entry.time_ms.to_native());
    Ok(LogEntry { term, index, variant, time, body: Bytes::copy_from_slice(body) })
}

const _: () = assert!(STEPS_MAX < 256, "their number is one byte");

/// Members that are named anywhere.
pub(crate) fn everybody(membership: &Membership) -> impl Iterator<Item = NodeId> {
    let mut all: Vec<u64> = [&membership.voters, &membership.voters_outgoing, &membership.learners, &membership.learners_next]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(NodeId)
}

/// Members that vote now, in either half of a joint configuration.
pub(crate) fn voters(membership: &Membership) -> impl Iterator<Item = NodeId> {
    let mut all: Vec<u64> = membership.voters.iter().chain(&membership.voters_outgoing).copied().collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(NodeId)
}

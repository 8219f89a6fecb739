//! The end of a group's log in memory: what followers may still need, and what is not applied.
//!
//! Path: records of a start, or entries of [`Group::work`](super::group::Group::work) → [`Tail::append`] → read by the crate for messages and for apply → [`Tail::trim`].
//! Beneath it is a snapshot of the partition, or what was applied once: a follower that needs entries from there gets a snapshot.
//! Bound: [`Tail::trim`] keeps at most so many bytes of what is applied; what is not applied is bounded by what leaders may have under way.

use super::{
    HardState, LogEntry, Membership, Place,
    change::{self, Change},
    message::everybody,
};
use crate::log::EntryVariant;
use bytes::{BufMut, Bytes, BytesMut};
use protobuf::Message as _;
use raft::{
    Error, GetEntriesContext, RaftState, Storage, StorageError,
    eraftpb::{self, EntryType},
};
use std::{cell::Cell, collections::VecDeque};
use wire::Millis;

/// In front of a command's body in the crate's entries: the leader's stamp.
const TIME_BYTES: usize = 8;
/// What an entry costs beside its body, about.
const ENTRY_BYTES: usize = 160;

/// A durable snapshot of the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Of the last entry inside.
    pub(crate) place: Place,
    /// The members as they were there.
    pub(crate) membership: Membership,
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Of the entry before the first.
    start: Place,
    entries: VecDeque<eraftpb::Entry>,
    bytes: usize,
    pub(super) hard: HardState,
    /// The members, as of each index at which they changed; the last holds. What is older than the start is in the first.
    memberships: VecDeque<(u64, Membership)>,
    snapshot: Option<Snapshot>,
    /// A follower needs a snapshot with at least this, and there is none.
    wanted: Cell<Option<u64>>,
}

impl Tail {
    /// Nothing above `start`, where `membership` held.
    pub(crate) fn new(start: Place, hard: HardState, membership: Membership) -> Self {
        Self { start, hard, memberships: [(start.index, membership)].into(), ..Self::default() }
    }

    /// Index of the last entry; that of the start when there is none.
    pub(crate) fn last_index(&self) -> u64 {
        self.start.index + self.entries.len() as u64
    }

    /// Where the last entry stands.
    pub(crate) fn last(&self) -> Place {
        self.entries.back().map_or(self.start, |entry| Place { term: entry.term, index: entry.index })
    }

    pub(crate) fn start(&self) -> Place {
        self.start
    }

    pub(crate) fn hard(&self) -> HardState {
        self.hard
    }

    /// The members that hold.
    pub(crate) fn membership(&self) -> &Membership {
        &self.memberships.back().expect("there is always one").1
    }

    /// Index from which they hold.
    pub(crate) fn membership_index(&self) -> u64 {
        self.memberships.back().expect("there is always one").0
    }

    pub(crate) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    /// Members from `index` on.
    pub(crate) fn set_membership(&mut self, index: u64, membership: Membership) {
        self.memberships.retain(|(at, _)| *at < index);
        self.memberships.push_back((index, membership));
    }

    /// Takes the entry that follows, or one that takes the place of those from its index on.
    ///
    /// # Panics
    /// When it would leave a gap.
    pub(crate) fn append(&mut self, entry: &LogEntry) {
        self.append_raft(to_raft(entry));
    }

    pub(super) fn append_raft(&mut self, entry: eraftpb::Entry) {
        self.void_from(entry.index);
        assert_eq!(entry.index, self.last_index() + 1, "entries follow each other");
        self.bytes += ENTRY_BYTES + entry.data.len();
        self.entries.push_back(entry);
    }

    /// Entries from `index` on are void.
    pub(crate) fn void_from(&mut self, index: u64) {
        while self.last_index() >= index
            && let Some(entry) = self.entries.pop_back()
        {
            self.bytes -= ENTRY_BYTES + entry.data.len();
        }
    }

    /// The entry at `index`, if it is here.
    pub(crate) fn entry(&self, index: u64) -> Option<LogEntry> {
        let at = index.checked_sub(self.start.index + 1)?;
        self.entries.get(usize::try_from(at).ok()?).map(of_raft)
    }

    /// The newest stamp among the entries that are here.
    pub(crate) fn newest_time(&self) -> Millis {
        self.entries.iter().map(|entry| of_raft(entry).time).max().unwrap_or(Millis(0))
    }

    /// A snapshot of a leader takes the place of everything.
    pub(crate) fn reset(&mut self, snapshot: Snapshot) {
        let hard = self.hard;
        *self = Self::new(snapshot.place, HardState { commit: hard.commit.max(snapshot.place.index), ..hard }, snapshot.membership.clone());
        self.snapshot = Some(snapshot);
    }

    /// Forgets entries from the oldest on, of those up to `upto`, until the rest is at most `bytes`. The very first entry is never kept: so one that joins, with
    /// nothing, gets a snapshot, which says who the members are. The log does not say who they were at its beginning.
    pub(crate) fn trim(&mut self, upto: u64, bytes: usize) {
        while let Some(first) = self.entries.front()
            && (self.bytes > bytes || first.index == 1)
            && first.index <= upto
        {
            self.start = Place { term: first.term, index: first.index };
            self.bytes -= ENTRY_BYTES + first.data.len();
            self.entries.pop_front();
        }
        while self.memberships.len() > 1 && self.memberships[1].0 <= self.start.index {
            self.memberships.pop_front();
        }
    }

    /// A snapshot of the partition is durable, with everything up to `index`. Of no use to followers when it is older than the start, or when nobody knows
    /// any more who the members were there.
    pub(crate) fn made_snapshot(&mut self, index: u64) {
        let Some(term) = self.term_at(index) else { return };
        let Some((_, membership)) = self.memberships.iter().rev().find(|(at, _)| *at <= index) else { return };
        self.snapshot = Some(Snapshot { place: Place { term, index }, membership: membership.clone() });
        if self.wanted.get().is_some_and(|wanted| wanted <= index) {
            self.wanted.set(None);
        }
    }

    /// The newest snapshot that a follower can go on from.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().filter(|snapshot| snapshot.place.index >= self.start.index)
    }

    /// Up to which entry a follower's snapshot must at least go, and none does.
    pub(crate) fn wanted(&self) -> Option<u64> {
        self.wanted.get()
    }

    /// Term of the entry at `index`, where it is known.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        let at = index.checked_sub(self.start.index + 1)?;
        self.entries.get(usize::try_from(at).ok()?).map(|entry| entry.term)
    }
}

impl Storage for Tail {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let HardState { term, vote, commit } = self.hard;
        // What a crash left may say more than is there: the rest is learnt again.
        let commit = commit.clamp(self.start.index, self.last_index());
        let hard_state = eraftpb::HardState { term, vote, commit, ..eraftpb::HardState::default() };
        Ok(RaftState { hard_state, conf_state: change::to_conf_state(self.membership()) })
    }

    fn entries(&self, low: u64, high: u64, max_size: impl Into<Option<u64>>, _: GetEntriesContext) -> raft::Result<Vec<eraftpb::Entry>> {
        if low <= self.start.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last_index() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let place = |index: u64| usize::try_from(index - self.start.index - 1).expect("entries in memory");
        let mut left = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::new();
        for entry in self.entries.range(place(low)..place(high)) {
            let bytes = (ENTRY_BYTES + entry.data.len()) as u64;
            if bytes > left && !found.is_empty() {
                break;
            }
            left = left.saturating_sub(bytes);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        match self.term_at(index) {
            Some(term) => Ok(term),
            None if index < self.start.index => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.start.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(Tail::last_index(self))
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<eraftpb::Snapshot> {
        // One from before it was a member is refused by whom it is for.
        let joined = self.memberships.iter().find(|(_, membership)| everybody(membership).any(|node| node.0 == to));
        let least = joined.map_or(1, |(index, _)| *index).max(request_index).max(1);
        match self.snapshot().filter(|snapshot| snapshot.place.index >= least) {
            Some(snapshot) => Ok(snapshot_to_raft(snapshot)),
            None => {
                self.wanted.set(Some(least.max(self.start.index)));
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

pub(super) fn snapshot_to_raft(snapshot: &Snapshot) -> eraftpb::Snapshot {
    let mut raft = eraftpb::Snapshot::default();
    let metadata = raft.mut_metadata();
    (metadata.index, metadata.term) = (snapshot.place.index, snapshot.place.term);
    metadata.set_conf_state(change::to_conf_state(&snapshot.membership));
    raft
}

pub(super) fn snapshot_of_raft(raft: &eraftpb::Snapshot) -> Snapshot {
    let metadata = raft.get_metadata();
    let place = Place { term: metadata.term, index: metadata.index };
    Snapshot { place, membership: change::of_conf_state(metadata.get_conf_state()) }
}

/// A command's body with its time, as the crate carries it.
pub(super) fn data(time: Millis, body: &[u8]) -> Bytes {
    let mut data = BytesMut::with_capacity(TIME_BYTES + body.len());
    data.put_u64_le(time.0);
    data.put_slice(body);
    data.freeze()
}

/// Our entry as the crate's.
///
/// # Panics
/// When a change of members does not read: logs and messages are checked before.
pub(super) fn to_raft(entry: &LogEntry) -> eraftpb::Entry {
    let mut raft = eraftpb::Entry::default();
    (raft.term, raft.index) = (entry.term, entry.index);
    match entry.variant {
        EntryVariant::Command => {
            if !entry.body.is_empty() {
                raft.data = data(entry.time, &entry.body);
            }
        }
        EntryVariant::MemberChange | EntryVariant::JointChange => {
            let change = Change::decode(&entry.body).expect("changes of members are checked where they come in");
            raft.set_entry_type(EntryType::EntryConfChangeV2);
            raft.data = change.to_raft().write_to_bytes().expect("a change in memory").into();
        }
    }
    raft
}

/// The crate's entry as ours. The body of a command is not copied.
pub(super) fn of_raft(raft: &eraftpb::Entry) -> LogEntry {
    let (term, index) = (raft.term, raft.index);
    match raft.get_entry_type() {
        EntryType::EntryNormal if raft.data.is_empty() => {
            LogEntry { term, index, variant: EntryVariant::Command, time: Millis(0), body: Bytes::new() }
        }
        EntryType::EntryNormal => {
            let time = raft.data.first_chunk().map_or(0, |time| u64::from_le_bytes(*time));
            LogEntry { term, index, variant: EntryVariant::Command, time: Millis(time), body: raft.data.slice(TIME_BYTES..) }
        }
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
            // Made by this process, from `Change`: the crate's own entry that leaves a joint configuration is empty.
            let mut change = eraftpb::ConfChangeV2::default();
            change.merge_from_bytes(&raft.data).expect("bytes that this process made");
            let change = Change::of_raft(&change);
            LogEntry { term, index, variant: change.variant(), time: Millis(0), body: change.encode().into() }
        }
    }
}

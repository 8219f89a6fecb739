//! Records: what a batch carries (`FORMAT.md` section 4).
//!
//! Path: [`Record`] → bytes of a batch's body → [`Records`] → [`Record`] borrowing from them. Bodies of entries are opaque here; the bodies
//! of the other kinds have typed forms with their byte tables: [`HardState`], [`Membership`], [`SnapshotMark`], [`LogEnd`].

use super::batch::Chain;
use super::buffer::{all_zero, put, u16_at, u32_at, u64_at, u128_at};
use super::{BatchNumber, SegmentNumber};

pub(super) const HEADER_BYTES: usize = 32;

/// What an entry's body is to replication. The log keeps it and does not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryVariant {
    /// Commands for the partition; empty for the first entry of a leader.
    Command = 0,
    /// A change of one member.
    MemberChange = 1,
    /// A change through a joint configuration.
    JointChange = 2,
}

/// Kind of a record. Kinds other than entries say something *about* entries or about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// One entry of a partition's log.
    Entry(EntryVariant),
    /// Term, vote and commit index: [`HardState`].
    HardState,
    /// Members of a partition's group: [`Membership`].
    Membership,
    /// Entries of the partition from `index` on are void; those that follow replace them.
    OverwriteFrom,
    /// A snapshot of the partition exists: [`SnapshotMark`].
    SnapshotMark,
    /// The log was idle and everything before is durable. Body: the batch number.
    DurableMark,
    /// Where one shard's log of the generation before ends: [`LogEnd`].
    LogEnd,
}

impl RecordKind {
    fn code(self) -> [u8; 2] {
        match self {
            Self::Entry(variant) => [1, variant as u8],
            Self::HardState => [2, 0],
            Self::Membership => [3, 0],
            Self::OverwriteFrom => [4, 0],
            Self::SnapshotMark => [5, 0],
            Self::DurableMark => [6, 0],
            Self::LogEnd => [7, 0],
        }
    }

    fn from_code(code: [u8; 2]) -> Option<Self> {
        match code {
            [1, 0] => Some(Self::Entry(EntryVariant::Command)),
            [1, 1] => Some(Self::Entry(EntryVariant::MemberChange)),
            [1, 2] => Some(Self::Entry(EntryVariant::JointChange)),
            [2, 0] => Some(Self::HardState),
            [3, 0] => Some(Self::Membership),
            [4, 0] => Some(Self::OverwriteFrom),
            [5, 0] => Some(Self::SnapshotMark),
            [6, 0] => Some(Self::DurableMark),
            [7, 0] => Some(Self::LogEnd),
            [_, _] => None,
        }
    }
}

/// One record. What term, index and time mean for each kind: `FORMAT.md` section 4; 0 where they mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// The partition it belongs to; 0 for [`RecordKind::DurableMark`] and [`RecordKind::LogEnd`].
    pub partition: u16,
    /// Raft term.
    pub term: u64,
    /// Raft index.
    pub index: u64,
    /// Entry time in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// Opaque bytes of an entry, or the encoded body of another kind.
    pub body: &'a [u8],
}

impl<'a> Record<'a> {
    /// An entry with commands.
    #[must_use]
    pub fn entry(partition: u16, term: u64, index: u64, time_ms: u64, body: &'a [u8]) -> Self {
        Self { kind: RecordKind::Entry(EntryVariant::Command), partition, term, index, time_ms, body }
    }

    /// Entries of `partition` from `index` on are void, says the leader of `term`.
    #[must_use]
    pub fn overwrite_from(partition: u16, term: u64, index: u64) -> Self {
        Self { kind: RecordKind::OverwriteFrom, partition, term, index, time_ms: 0, body: &[] }
    }

    /// Bytes of a record's header.
    pub(super) const HEADER_BYTES: usize = HEADER_BYTES;

    /// Length in a batch's body.
    pub(super) fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Writes itself to the front of `into`, which has the room.
    pub(super) fn encode(&self, into: &mut [u8]) {
        self.encode_header(self.body.len(), into);
        into[HEADER_BYTES..][..self.body.len()].copy_from_slice(self.body);
    }

    /// Writes its header for a body of `bytes` to the front of `into`.
    pub(super) fn encode_header(&self, bytes: usize, into: &mut [u8]) {
        let body_bytes = u32::try_from(bytes).expect("checked against RECORD_BODY_BYTES_MAX");
        put(into, 0, self.kind.code());
        put(into, 2, self.partition.to_le_bytes());
        put(into, 4, body_bytes.to_le_bytes());
        put(into, 8, self.term.to_le_bytes());
        put(into, 16, self.index.to_le_bytes());
        put(into, 24, self.time_ms.to_le_bytes());
    }
}

/// The records of one batch, in order, borrowing from the bytes read. The reader checked them whole before it made this.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    body: &'a [u8],
}

/// Why a body whose checksum is right is not a row of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadRecords {
    /// A record's length leaves the body, or the count is another.
    Shape,
    /// A kind of record from a later version.
    UnknownKind(u8),
}

impl<'a> Records<'a> {
    /// Checks that `body` is exactly `count` records. O(count).
    pub(super) fn check(body: &'a [u8], count: u32) -> Result<Self, BadRecords> {
        let (mut rest, mut found) = (body, 0_u32);
        while !rest.is_empty() {
            if rest.len() < HEADER_BYTES {
                return Err(BadRecords::Shape);
            }
            if RecordKind::from_code([rest[0], rest[1]]).is_none() {
                return Err(BadRecords::UnknownKind(rest[0]));
            }
            let body_bytes = u32_at(rest, 4) as usize;
            rest = rest[HEADER_BYTES..].get(body_bytes..).ok_or(BadRecords::Shape)?;
            found += 1;
        }
        if found == count && count > 0 { Ok(Self { body }) } else { Err(BadRecords::Shape) }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.body.is_empty() {
            return None;
        }
        let (header, rest) = self.body.split_at(HEADER_BYTES);
        let (body, rest) = rest.split_at(u32_at(header, 4) as usize);
        self.body = rest;
        Some(Record {
            kind: RecordKind::from_code([header[0], header[1]]).expect("`check` saw every kind"),
            partition: u16_at(header, 2),
            term: u64_at(header, 8),
            index: u64_at(header, 16),
            time_ms: u64_at(header, 24),
            body,
        })
    }
}

/// The body of a record of another kind than entry does not have that kind's form, under a checksum that is right: not damage of a disk,
/// but a fault of the program that wrote it, or a later version's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {what} record in the log has a body of {bytes} bytes that does not read as one; this build reads log format 1")]
pub struct BodyError {
    /// Which form was wanted.
    pub what: &'static str,
    /// Length of the body found.
    pub bytes: usize,
}

/// Body of [`RecordKind::HardState`]; its term and commit index are in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardState {
    /// Node voted for in the record's term; 0 for none.
    pub vote: u64,
}

impl HardState {
    /// Bytes of the body.
    #[must_use]
    pub fn encode(&self) -> [u8; 8] {
        self.vote.to_le_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not 8 bytes.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let bytes = body.try_into().map_err(|_| BodyError { what: "hard state", bytes: body.len() })?;
        Ok(Self { vote: u64::from_le_bytes(bytes) })
    }
}

/// Body of [`RecordKind::Membership`]: node ids of a group, as a joint configuration needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Voting members.
    pub voters: Vec<u64>,
    /// Voters of the configuration being left; empty outside a joint one.
    pub voters_outgoing: Vec<u64>,
    /// Members that receive and do not vote.
    pub learners: Vec<u64>,
    /// Voters of the outgoing configuration that become learners.
    pub learners_next: Vec<u64>,
    /// Whether a joint configuration is left without being asked.
    pub auto_leave: bool,
}

/// Members in one list of a [`Membership`]; the count is one byte.
pub const MEMBERS_MAX: usize = 255;

impl Membership {
    fn lists(&self) -> [&Vec<u64>; 4] {
        [&self.voters, &self.voters_outgoing, &self.learners, &self.learners_next]
    }

    /// Bytes of the body.
    ///
    /// # Panics
    /// When a list is longer than [`MEMBERS_MAX`]; groups have at most 5 voters.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![u8::from(self.auto_leave)];
        for list in self.lists() {
            body.push(u8::try_from(list.len()).expect("at most MEMBERS_MAX members"));
        }
        body.extend([0; 3]);
        for list in self.lists() {
            for node in list {
                body.extend(node.to_le_bytes());
            }
        }
        body
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the length is not what its counts say, or an unused bit is set.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wrong = BodyError { what: "membership", bytes: body.len() };
        if body.len() < 8 || body[0] > 1 || !all_zero(&body[5..8]) {
            return Err(wrong);
        }
        let (head, rest) = body.split_at(8);
        let (nodes, odd) = rest.as_chunks::<8>();
        let counts: [usize; 4] = std::array::from_fn(|list| head[1 + list].into());
        if !odd.is_empty() || nodes.len() != counts.iter().sum::<usize>() {
            return Err(wrong);
        }
        let mut nodes = nodes.iter().map(|node| u64::from_le_bytes(*node));
        let mut list = |list: usize| nodes.by_ref().take(counts[list]).collect();
        Ok(Self { voters: list(0), voters_outgoing: list(1), learners: list(2), learners_next: list(3), auto_leave: head[0] == 1 })
    }
}

/// Body of [`RecordKind::SnapshotMark`]; the last term, index and time inside are in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMark {
    /// Which snapshot; its name comes from it.
    pub snapshot: u64,
    /// Checksum of the whole snapshot.
    pub checksum: u128,
}

impl SnapshotMark {
    /// Bytes of the body.
    #[must_use]
    pub fn encode(&self) -> [u8; 24] {
        let mut body = [0; 24];
        put(&mut body, 0, self.snapshot.to_le_bytes());
        put(&mut body, 8, self.checksum.to_le_bytes());
        body
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not 24 bytes.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        if body.len() != 24 {
            return Err(BodyError { what: "snapshot mark", bytes: body.len() });
        }
        Ok(Self { snapshot: u64_at(body, 0), checksum: u128_at(body, 8) })
    }
}

/// Where a log ends: the body of [`RecordKind::LogEnd`], and what [`Reader::new`](super::Reader::new) takes to hold an older generation to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Generation of the log that ends.
    pub generation: u32,
    /// Its shard.
    pub shard: u16,
    /// Number of shards of its generation.
    pub shards: u16,
    /// Segment of its last batch and the offset behind that; `None` when the log holds nothing.
    pub place: Option<(SegmentNumber, u64)>,
    /// Number the next batch would have had.
    pub next_batch: BatchNumber,
    /// Chain value at the end.
    pub chain: Chain,
}

impl LogEnd {
    /// Bytes of the body.
    #[must_use]
    pub fn encode(&self) -> [u8; 48] {
        let (segment, offset) = self.place.map_or((0, 0), |(segment, offset)| (segment.0, offset));
        let mut body = [0; 48];
        put(&mut body, 0, self.generation.to_le_bytes());
        put(&mut body, 4, self.shard.to_le_bytes());
        put(&mut body, 6, self.shards.to_le_bytes());
        put(&mut body, 8, segment.to_le_bytes());
        put(&mut body, 16, offset.to_le_bytes());
        put(&mut body, 24, self.next_batch.0.to_le_bytes());
        put(&mut body, 32, self.chain.0.to_le_bytes());
        body
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not 48 bytes of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wrong = BodyError { what: "log end", bytes: body.len() };
        if body.len() != 48 || u32_at(body, 12) != 0 {
            return Err(wrong);
        }
        let place = match (u32_at(body, 8), u64_at(body, 16)) {
            (0, 0) => None,
            (0, _) => return Err(wrong),
            (segment, offset) => Some((SegmentNumber(segment), offset)),
        };
        Ok(Self {
            generation: u32_at(body, 0),
            shard: u16_at(body, 4),
            shards: u16_at(body, 6),
            place,
            next_batch: BatchNumber(u64_at(body, 24)),
            chain: Chain(u128_at(body, 32)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_bodies_read_back_and_nothing_else_reads() {
        let state = HardState { vote: 7 };
        assert_eq!(HardState::decode(&state.encode()), Ok(state));
        let members =
            Membership { voters: vec![1, 2, 3], voters_outgoing: vec![1], learners: vec![], learners_next: vec![9, 8], auto_leave: true };
        assert_eq!(Membership::decode(&members.encode()), Ok(members.clone()));
        let mark = SnapshotMark { snapshot: 5, checksum: 1 << 100 };
        assert_eq!(SnapshotMark::decode(&mark.encode()), Ok(mark));
        for place in [None, Some((SegmentNumber(3), 8192))] {
            let end = LogEnd { generation: 2, shard: 1, shards: 4, place, next_batch: BatchNumber(77), chain: Chain(5) };
            assert_eq!(LogEnd::decode(&end.encode()), Ok(end));
        }
        let mut bytes = members.encode();
        bytes[5] = 1;
        assert!(Membership::decode(&bytes).is_err(), "an unused byte is set");
        bytes[5] = 0;
        bytes[1] += 1;
        assert!(Membership::decode(&bytes).is_err(), "one voter more than there is");
        for length in [0, 7, 9, 23, 25, 47, 49] {
            let body = vec![0; length];
            assert!(HardState::decode(&body).is_err() && SnapshotMark::decode(&body).is_err() && LogEnd::decode(&body).is_err());
        }
    }

    #[test]
    fn a_row_of_records_is_taken_whole_or_not_at_all() {
        let mut body = vec![0; 100];
        Record::entry(1, 2, 3, 4, &[9; 68]).encode(&mut body);
        assert!(Records::check(&body, 1).is_ok());
        assert_eq!(Records::check(&body, 2).unwrap_err(), BadRecords::Shape, "the count is another");
        assert_eq!(Records::check(&body[..99], 1).unwrap_err(), BadRecords::Shape, "the body leaves the batch");
        assert_eq!(Records::check(&body[..31], 1).unwrap_err(), BadRecords::Shape, "no room for a header");
        assert_eq!(Records::check(&[], 0).unwrap_err(), BadRecords::Shape, "a batch has a record");
        body[0] = 8;
        assert_eq!(Records::check(&body, 1).unwrap_err(), BadRecords::UnknownKind(8));
        body[..2].copy_from_slice(&[2, 1]);
        assert_eq!(Records::check(&body, 1).unwrap_err(), BadRecords::UnknownKind(2), "a variant where there is none");
    }
}

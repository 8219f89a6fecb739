//! Replication: one Raft group for each partition, by the crate `raft`, behind types of our own.
//!
//! Path: commands → [`Group::propose`](group::Group::propose) → [`Group::work`](group::Group::work): messages that may go, records for the log, and what waits until they
//! are durable → the shard's log → [`Group::durable`](group::Group::durable) → the messages that waited, and what is committed → apply.
//! A message of another node → [`Group::step`](group::Group::step) → the same. Read first: `group.rs`, then `tail.rs` (what of the log is in memory), `message.rs`.
//!
//! Pure: no clock, no disk, no socket and no randomness; ticks and finished writes are inputs. Nothing else in the program knows `raft` or its types, and
//! a Raft index never leaves this module and the log: outside, positions count commands (`seq`).
//! Protobuf, in which the crate keeps its types, is never made from bytes of a network: messages are read into our own types, checked, and converted.
//!
//! Source: D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm", USENIX ATC 2014; D. Ongaro's dissertation (pre-vote, ReadIndex,
//! leadership transfer, joint consensus), 2014. For what damaged disks do to it: R. Alagappan et al., "Protocol-Aware Recovery", FAST 2018.

pub(crate) mod change;
mod found;
mod frames;
pub(crate) mod group;
mod lost;
pub(crate) mod message;
mod say;
pub(crate) mod tail;
#[cfg(test)]
mod tests;

pub(crate) use found::{Found, FoundError, Said, TAIL_BYTES};

use crate::log::EntryVariant;
use bytes::Bytes;
use wire::Millis;
pub(crate) use wire::NodeId;

pub(crate) use crate::log::Membership;

/// An entry of a group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEntry {
    /// Term of the leader that made it.
    pub(crate) term: u64,
    /// From 1, without gaps.
    pub(crate) index: u64,
    /// What its body is.
    pub(crate) variant: EntryVariant,
    /// The leader's stamp; 0 where there is no command.
    pub(crate) time: Millis,
    /// As in the log.
    pub(crate) body: Bytes,
}

/// Term, vote and commit index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HardState {
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) commit: u64,
}

/// The place of an entry in the histories of all leaders: by term, then index. Of two logs the one whose last entry has the higher place has everything
/// that is committed, if either has (section 5.4.1 of the paper).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

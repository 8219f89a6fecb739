//! A shard: the machine that owns a set of partitions ([`core::ShardCore`], sans-IO) and the drivers that move its bytes.
//!
//! Path: driver → [`Input`] → `ShardCore::handle` → [`Output`] → driver. A driver makes no decision: it carries out outputs in the order
//! given and reports what happened.

pub mod core;
pub mod drivers;
pub mod files;

use crate::log::{SealedBatch, SegmentPlan};
pub use crate::replication::message::{NodeBatch, Unreadable};
use crate::shard::core::peer::PeerMessage;
use crate::shard::files::{FileJob, FilesResult, JobId};
use wire::{Millis, NodeId, Request, Response, ShardId};

/// Names a call within its shard; the driver makes it and gets the answer under it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallToken(pub u64);

/// The clocks, read by the driver once per turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock.
    pub wall: Millis,
    /// A clock that never goes back, microseconds from an arbitrary start.
    pub mono_us: u64,
}

/// Where another node of the cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNode {
    /// Which.
    pub node: NodeId,
    /// `host:port` of its shard 0; shard `n` listens on that port plus `n`.
    pub address: String,
    /// At least one.
    pub shards: u16,
}

/// What happened outside.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once into the core; a box would be an allocation for each call")]
pub enum Input {
    /// A client asks.
    Call {
        /// Under which to answer.
        token: CallToken,
        /// What.
        request: Request,
    },
    /// The client is gone: no answer is wanted. What was proposed is carried out.
    Cancel(CallToken),
    /// Another shard of this node says something.
    Peer {
        /// Which.
        from: ShardId,
        /// What.
        message: PeerMessage,
    },
    /// Another node of the cluster says something to partitions of this shard.
    Node {
        /// Which.
        from: NodeId,
        /// What.
        batch: NodeBatch,
    },
    /// To which other nodes there is a connection, of those in the last [`Output::Peers`]; whenever that changes.
    Links(Vec<(NodeId, bool)>),
    /// The batch of the last [`Output::Write`] is on disk; its bytes come back for reuse.
    Written(SealedBatch),
    /// The segment of [`Output::Prepare`] is allocated and its header is on disk.
    Prepared(SegmentPlan),
    /// The segment cannot be allocated (disk full); the core refuses new commands and asks again later.
    NotPrepared(SegmentPlan),
    /// A job of [`Output::Files`] is done, or ended at its first step that failed. Jobs are reported in the order they were given.
    FilesDone {
        /// Which.
        id: JobId,
        /// What it read, or why it ended.
        result: FilesResult,
    },
    /// Time passed.
    Tick,
    /// Take no new calls, let what runs end.
    Drain,
    /// Begin nothing any more, whoever asks; comes after [`Input::Drain`]. What is on its way into the log is finished, and so is what follows it into
    /// files: then the core [is settled](core::ShardCore::is_settled).
    Close,
}

/// What the driver must do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write the batch at its offset of its segment, durably; then give [`Input::Written`]. A failure ends the process.
    Write(SealedBatch),
    /// Allocate a segment and write its header durably; then [`Input::Prepared`] or [`Input::NotPrepared`].
    Prepare(SegmentPlan),
    /// Do these steps with files beside the log, in the background and after the jobs given before; then [`Input::FilesDone`].
    Files(FileJob),
    /// Answer a call.
    Reply {
        /// Which.
        token: CallToken,
        /// With what.
        response: Response,
    },
    /// Tell another node of the cluster. It may be lost, and may overtake what was told before: who says it says it again.
    Node {
        /// Which.
        to: NodeId,
        /// What.
        batch: NodeBatch,
    },
    /// These are the other nodes from now on, all of them, and where they are; then [`Input::Links`]. What is told to any other goes nowhere.
    Peers(Vec<PeerNode>),
    /// Tell another shard of this node.
    Peer {
        /// Which.
        to: ShardId,
        /// What.
        message: PeerMessage,
    },
}

//! What recovery comes to: where a log ends, how, and where a writer goes on.
//!
//! Path: [`Reader`](super::Reader) → [`Tail`] → [`Tail::start`] → [`Writer`](super::Writer), or [`Tail::log_end`] → the first batches of a new generation.

use super::batch::Chain;
use super::error::Damage;
use super::record::LogEnd;
use super::{BatchNumber, LogIdentity, SegmentNumber, Start};

/// The end of a log that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Number of the batch to write next.
    pub next_batch: BatchNumber,
    /// Segment of the end and the offset in it; `None` when the log holds nothing. **The driver syncs this segment before a writer goes on**,
    /// so that a batch accepted from a page cache stays.
    pub place: Option<(SegmentNumber, u64)>,
    /// Chain value at the end.
    pub chain: Chain,
    /// The last batch that a later one proves to have been durable.
    pub proven: BatchNumber,
    /// How it ends.
    pub ending: Ending,
}

/// How a log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No batch at all.
    Empty,
    /// With a durable mark: the writer was idle.
    Marked,
    /// With a whole batch, nothing torn behind it. The writer was stopped at work; only damage could have hidden an acknowledged batch.
    Unmarked,
    /// With a write that the crash tore, and that was not acknowledged unless the disk is damaged.
    Cut(Cut),
}

/// A torn write that is not part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Path in the data folder.
    pub file: String,
    /// Where the write begins in it.
    pub offset: u64,
    /// How much of it is known: the length in its header, or else one block.
    pub bytes: u64,
    /// What is wrong with it.
    pub why: Damage,
}

impl Tail {
    /// Where a writer goes on: in the next segment, which closes this one.
    #[must_use]
    pub fn start(&self) -> Start {
        Start {
            next_batch: self.next_batch,
            chain: self.chain,
            next_segment: self.place.map_or(SegmentNumber::FIRST, |(segment, _)| segment.next()),
            previous_end: self.place.map_or(0, |(_, offset)| offset),
            marked: matches!(self.ending, Ending::Empty | Ending::Marked),
        }
    }

    /// The record with which the next generation closes this log.
    #[must_use]
    pub fn log_end(&self, log: &LogIdentity) -> LogEnd {
        LogEnd {
            generation: log.generation,
            shard: log.shard,
            shards: log.shards,
            place: self.place,
            next_batch: self.next_batch,
            chain: self.chain,
        }
    }
}

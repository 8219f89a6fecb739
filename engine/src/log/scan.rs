//! The search for proof behind damage: is there a batch header that was written after the damaged batch was durable?
//!
//! Path: the reader stops at a place → [`Scan`] over every later block of that segment and of the files after it → proof, or a torn tail.
//! Bound: reads what is left of the last segment and one prepared file, once per start.

use super::batch::{BatchHeader, Decoded};
use super::{BLOCK_BYTES, BatchNumber, LogIdentity, Salt, SegmentNumber};

/// Looks for headers of one segment.
pub(super) struct Scan {
    pub(super) log: LogIdentity,
    pub(super) segment: SegmentNumber,
    /// The segment's salt; `None` when its header is damaged. Then each batch found speaks for itself, under its own salt.
    pub(super) salt: Option<Salt>,
    /// The batch in doubt.
    pub(super) wanted: BatchNumber,
    /// Whether any batch of this segment was seen, proof or not.
    pub(super) seen: bool,
}

/// A header that claims a batch in doubt, or a later one, to be durable.
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) number: BatchNumber,
    pub(super) durable: BatchNumber,
}

impl Scan {
    /// Looks at the start of every block of `bytes`, which begin at `offset` of the segment. Only headers count: a batch whose body is torn was
    /// still handed to the disk after the batches it claims were durable.
    pub(super) fn blocks(&mut self, bytes: &[u8], offset: u64) -> Option<Found> {
        for (block, at) in bytes.as_chunks::<BLOCK_BYTES>().0.iter().zip((offset..).step_by(BLOCK_BYTES)) {
            let Decoded::Valid(header, _) = BatchHeader::decode(block) else { continue };
            let ours = header.is_at(&self.log, self.segment, at) && self.salt.is_none_or(|salt| salt == header.salt);
            self.seen |= ours;
            if ours && header.durable >= self.wanted && header.number > header.durable {
                return Some(Found { offset: at, number: header.number, durable: header.durable });
            }
        }
        None
    }
}

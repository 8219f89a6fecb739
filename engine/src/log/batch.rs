//! The header of a batch, and what seals its body (`FORMAT.md` section 3).
//!
//! Read first: [`BatchHeader`]. Decoding says whether the bytes are a batch header at all; whether it is the batch expected there is the
//! reader's question, because only the reader knows the place.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::buffer::{all_zero, put, u16_at, u32_at, u64_at, u128_at};
use super::{BATCH_BYTES_MAX, BatchNumber, LogIdentity, Salt, SegmentNumber, padded};

pub(super) const HEADER_BYTES: usize = 112;
const MAGIC: [u8; 8] = *b"EMPBATCH";

/// Commits to the whole log up to a batch: it is the checksum of that batch's header, which covers its body's checksum and the chain before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(pub u128);

impl Chain {
    /// Before the first batch of a log.
    pub const START: Self = Self(0);
}

/// What the first bytes of a batch say, without the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) chain_before: Chain,
    pub(super) body_checksum: u128,
    pub(super) salt: Salt,
    pub(super) number: BatchNumber,
    pub(super) durable: BatchNumber,
    pub(super) offset: u64,
    pub(super) body_bytes: u32,
    pub(super) records: u32,
    pub(super) generation: u32,
    pub(super) segment: SegmentNumber,
    pub(super) shard: u16,
}

/// What the first bytes of a block are.
pub(super) enum Decoded {
    /// A header sealed by its checksum, and the chain value after it.
    Valid(BatchHeader, Chain),
    /// No batch begins here, as far as one can see.
    Nothing,
    /// Begins like a batch with this salt, and its checksum does not match.
    Damaged(Salt),
}

impl BatchHeader {
    /// Fills the first [`HEADER_BYTES`] of `block`; returns the chain value after this batch.
    pub(super) fn encode(&self, block: &mut [u8]) -> Chain {
        let header = &mut block[..HEADER_BYTES];
        header.fill(0);
        put(header, 16, self.chain_before.0.to_le_bytes());
        put(header, 32, self.body_checksum.to_le_bytes());
        put(header, 48, MAGIC);
        put(header, 56, self.salt.0.to_le_bytes());
        put(header, 64, self.number.0.to_le_bytes());
        put(header, 72, self.durable.0.to_le_bytes());
        put(header, 80, self.offset.to_le_bytes());
        put(header, 88, self.body_bytes.to_le_bytes());
        put(header, 92, self.records.to_le_bytes());
        put(header, 96, self.generation.to_le_bytes());
        put(header, 100, self.segment.0.to_le_bytes());
        put(header, 104, self.shard.to_le_bytes());
        let checksum = xxh3_128_with_seed(&header[16..], self.salt.0);
        put(header, 0, checksum.to_le_bytes());
        Chain(checksum)
    }

    /// Reads the header at the start of `block`, of at least [`HEADER_BYTES`]. A few nanoseconds where no batch begins.
    pub(super) fn decode(block: &[u8]) -> Decoded {
        if block[48..56] != MAGIC {
            return Decoded::Nothing;
        }
        let salt = Salt(u64_at(block, 56));
        let checksum = u128_at(block, 0);
        if checksum != xxh3_128_with_seed(&block[16..HEADER_BYTES], salt.0) {
            return Decoded::Damaged(salt);
        }
        let header = Self {
            chain_before: Chain(u128_at(block, 16)),
            body_checksum: u128_at(block, 32),
            salt,
            number: BatchNumber(u64_at(block, 64)),
            durable: BatchNumber(u64_at(block, 72)),
            offset: u64_at(block, 80),
            body_bytes: u32_at(block, 88),
            records: u32_at(block, 92),
            generation: u32_at(block, 96),
            segment: SegmentNumber(u32_at(block, 100)),
            shard: u16_at(block, 104),
        };
        // Sealed with other bytes in the unused place: made by no version that this code reads.
        if all_zero(&block[106..HEADER_BYTES]) { Decoded::Valid(header, Chain(checksum)) } else { Decoded::Damaged(salt) }
    }

    /// Bytes on disk: header, body and padding. `None` if no writer makes a batch of that length.
    pub(super) fn padded_bytes(&self) -> Option<usize> {
        let bytes = padded(HEADER_BYTES + self.body_bytes as usize);
        (bytes <= BATCH_BYTES_MAX && self.body_bytes > 0).then_some(bytes)
    }

    /// Whether the batch says to have been written into this segment, at this place.
    pub(super) fn is_at(&self, log: &LogIdentity, segment: SegmentNumber, offset: u64) -> bool {
        (self.generation, self.shard, self.segment, self.offset) == (log.generation, log.shard, segment, offset)
    }
}

/// Does a block that is no header say all the same that it is this batch's, in this place? A former use of a file had another segment number.
pub(super) fn names(block: &[u8], log: &LogIdentity, segment: SegmentNumber, offset: u64, number: BatchNumber) -> bool {
    (u64_at(block, 64), u64_at(block, 80)) == (number.0, offset)
        && (u32_at(block, 96), u32_at(block, 100), u16_at(block, 104)) == (log.generation, segment.0, log.shard)
}

/// What [`BatchHeader::body_checksum`] must be for `body`.
pub(super) fn body_checksum(body: &[u8], salt: Salt) -> u128 {
    xxh3_128_with_seed(body, salt.0)
}

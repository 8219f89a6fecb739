//! The header block of a segment: bytes to fields and back (`FORMAT.md` section 2).
//!
//! Read first: [`SegmentHeader`]. Whether a valid header belongs where it was found is the reader's question.

use xxhash_rust::xxh3::xxh3_128;

use super::batch::Chain;
use super::buffer::{all_zero, put, u16_at, u32_at, u64_at, u128_at};
use super::{BLOCK_BYTES, BatchNumber, FORMAT_VERSION, LogIdentity, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Salt, SegmentNumber};

const MAGIC: [u8; 8] = *b"EMPORLOG";
/// Fields end here; the rest of the block is zero.
const FIELDS_END: usize = 104;

/// What block 0 of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log: LogIdentity,
    pub(super) number: SegmentNumber,
    pub(super) segment_bytes: u64,
    pub(super) salt: Salt,
    pub(super) first_batch: BatchNumber,
    pub(super) chain: Chain,
    /// Where the segment before ends; 0 in segment 1.
    pub(super) previous_end: u64,
}

/// What a block 0 is.
pub(super) enum Decoded {
    Valid(SegmentHeader),
    /// Zeros only, or no bytes at all: prepared, or never written.
    Blank,
    /// Not a header, or a damaged one.
    Damaged,
    /// Sealed by its checksum, and of a version this code does not know.
    Newer(u32),
    /// Sealed by its checksum, and yet no writer makes it.
    Impossible(&'static str),
}

impl SegmentHeader {
    /// Fills `block` (exactly one).
    pub(super) fn encode(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK_BYTES);
        let blocks = u32::try_from(self.segment_bytes / BLOCK_BYTES as u64).expect("SEGMENT_BYTES_MAX has 2^22 blocks");
        block.fill(0);
        put(block, 16, MAGIC);
        put(block, 24, FORMAT_VERSION.to_le_bytes());
        put(block, 28, blocks.to_le_bytes());
        put(block, 32, self.log.folder.to_le_bytes());
        put(block, 48, self.log.generation.to_le_bytes());
        put(block, 52, self.log.shard.to_le_bytes());
        put(block, 54, self.log.shards.to_le_bytes());
        put(block, 56, self.number.0.to_le_bytes());
        put(block, 64, self.salt.0.to_le_bytes());
        put(block, 72, self.first_batch.0.to_le_bytes());
        put(block, 80, self.chain.0.to_le_bytes());
        put(block, 96, self.previous_end.to_le_bytes());
        let checksum = xxh3_128(&block[16..]);
        put(block, 0, checksum.to_le_bytes());
    }

    /// Reads block 0; `block` may be shorter when the file is.
    pub(super) fn decode(block: &[u8]) -> Decoded {
        if all_zero(block) {
            return Decoded::Blank;
        }
        if block.len() < BLOCK_BYTES || block[16..24] != MAGIC || u128_at(block, 0) != xxh3_128(&block[16..BLOCK_BYTES]) {
            return Decoded::Damaged;
        }
        let version = u32_at(block, 24);
        if version > FORMAT_VERSION {
            return Decoded::Newer(version);
        }
        let header = Self {
            log: LogIdentity {
                folder: u128_at(block, 32),
                generation: u32_at(block, 48),
                shard: u16_at(block, 52),
                shards: u16_at(block, 54),
            },
            number: SegmentNumber(u32_at(block, 56)),
            segment_bytes: u64::from(u32_at(block, 28)) * BLOCK_BYTES as u64,
            salt: Salt(u64_at(block, 64)),
            first_batch: BatchNumber(u64_at(block, 72)),
            chain: Chain(u128_at(block, 80)),
            previous_end: u64_at(block, 96),
        };
        if version == 0 {
            Decoded::Impossible("format version 0")
        } else if header.number.0 == 0 || header.first_batch == BatchNumber::NONE {
            Decoded::Impossible("segment or batch number 0")
        } else if header.number.0 == u32::MAX || header.first_batch.0 > u64::MAX / 2 {
            Decoded::Impossible("a segment or batch number that no log reaches")
        } else if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.segment_bytes) {
            Decoded::Impossible("a segment size out of bounds")
        } else if u32_at(block, 60) != 0 || !all_zero(&block[FIELDS_END..BLOCK_BYTES]) {
            Decoded::Impossible("bytes that must be zero")
        } else if header.number == SegmentNumber::FIRST && (header.first_batch.0, header.chain, header.previous_end) != (1, Chain::START, 0)
        {
            Decoded::Impossible("segment 1 that does not begin a log")
        } else {
            Decoded::Valid(header)
        }
    }
}

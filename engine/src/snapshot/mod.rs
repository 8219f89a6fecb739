//! Files that hold the state of one partition, so that the log below need not be kept.
//!
//! Path of a write: [`Header`] → [`Writer::new`] → [`Writer::chunk`] for each slice of the walk → [`Writer::end`] → bytes that follow one another in the
//! file, which somebody writes. Path of a read: bytes as they come → [`Reader::feed`] → [`Reader::advance`] → chunks, each checked → [`Whole`].
//! Read first: `FORMAT.md` beside this file (the byte tables are the contract), then [`Writer`], then [`Reader`].
//! Bounds: [`CHUNK_BYTES_MAX`]. Deliberately absent: files, clocks, and the meaning of what is in the chunks.

pub mod layout;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Damage, FileError, Foreign, Reader, Whole};
pub use write::{Ended, Writer};

use wire::{Millis, PartitionId, Seq};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Version of the format this code writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
/// Largest content of a chunk. A walk ends a chunk at a thousandth of that; only a single item may be larger, and no command makes one of megabytes.
pub const CHUNK_BYTES_MAX: usize = 64 << 20;

const MAGIC: [u8; 8] = *b"EMPOSNAP";
const HEADER_BYTES: usize = 128;
const HEADER_FIELDS_END: usize = 96;
const FRAME_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 16;
const KIND_CHUNK: u32 = 1;
const KIND_END: u32 = 2;
const END_BYTES: usize = 16;

/// Commits to a file up to a place: the checksum of the header or frame that ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(pub u128);

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Id of the data folder.
    pub folder: u128,
    /// Whose state it is.
    pub partition: PartitionId,
    /// Partitions of the data folder.
    pub partitions: u16,
    /// Epoch of the data folder.
    pub epoch: u32,
    /// Index of the last entry inside; 0 when there was none.
    pub index: u64,
    /// Its term; 0 when there was none.
    pub term: u64,
    /// Commands applied.
    pub seq: Seq,
    /// Time of the last entry inside.
    pub last_time: Millis,
    /// When the walk began.
    pub created: Millis,
}

impl Header {
    /// Appends itself to `out`; returns the chain value after it.
    fn encode(&self, out: &mut Vec<u8>) -> Chain {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(16, &MAGIC);
        put(24, &FORMAT_VERSION.to_le_bytes());
        put(28, &self.partition.0.to_le_bytes());
        put(30, &self.partitions.to_le_bytes());
        put(32, &self.folder.to_le_bytes());
        put(48, &self.epoch.to_le_bytes());
        put(56, &self.index.to_le_bytes());
        put(64, &self.term.to_le_bytes());
        put(72, &self.seq.0.to_le_bytes());
        put(80, &self.last_time.0.to_le_bytes());
        put(88, &self.created.0.to_le_bytes());
        let checksum = xxh3_128(&bytes[CHECKSUM_BYTES..]);
        bytes[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&bytes);
        Chain(checksum)
    }
}

/// The checksum of a frame behind `before`, whose bytes after the checksum are `bytes`.
fn frame_checksum(before: Chain, bytes: &[u8]) -> Chain {
    let mut hash = Xxh3::new();
    hash.update(&before.0.to_le_bytes());
    hash.update(bytes);
    Chain(hash.digest128())
}

//! The write-ahead log of one shard: bytes in, writes out.
//!
//! Path of a write: [`Record`] → [`Writer::append`] (the one copy of the body) → [`Writer::seal`] → [`SealedBatch`] → a driver writes its
//! blocks → [`Writer::durable`] → [`Durable`], the only thing that lets an answer go out.
//! Path of a start: files → [`SegmentSource`] → [`Reader`] → records by reference → [`Tail`] → [`Writer::new`].
//!
//! Read first: `FORMAT.md` beside this file (the byte tables are the contract), then [`Writer`], then [`Reader`].
//! Bounds: [`BATCH_BYTES_MAX`], [`RECORD_BODY_BYTES_MAX`], [`SEGMENT_BYTES_MIN`] and [`SEGMENT_BYTES_MAX`]; two batch buffers per writer.
//! Deliberately absent: files, clocks and randomness (a driver reads, writes, and gives salts), the meaning of entry bodies, and any way to
//! write a batch while another is on its way to the disk.

mod batch;
mod buffer;
mod error;
pub mod layout;
mod positions;
mod reader;
mod record;
mod scan;
mod segment;
mod segments;
mod tail;
mod writer;

#[cfg(test)]
mod tests;

pub use batch::Chain;
pub use buffer::AlignedBuffer;
pub use error::{Corruption, Damage, Foreign, Proof, RecoverError};
pub use positions::{PositionError, Positions, Replay};
pub use reader::{Batch, Next, Reader, SegmentFile, SegmentSource};
pub use record::{BodyError, EntryVariant, HardState, LogEnd, MEMBERS_MAX, Membership, Record, RecordKind, Records, SnapshotMark};
pub use segments::{SPARE_SEGMENTS_MAX, Segments, Surplus};
pub use tail::{Cut, Ending, Tail};
pub use writer::{AppendError, Appended, CROWD_MIN, Durable, IN_FLIGHT_MAX, NotSealed, SealedBatch, SegmentPlan, Start, Writer};

/// Version of the format this code writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Unit of every write: offsets and lengths on disk are multiples of it.
pub const BLOCK_BYTES: usize = 4096;

/// Largest batch on disk: header, body and padding. One write is at most this and a segment header: 1 MiB. At the limit
/// [`Writer::append`] refuses until the open batch was sealed.
pub const BATCH_BYTES_MAX: usize = (1 << 20) - BLOCK_BYTES;

/// Largest body of one record: what an otherwise empty batch has room for. A longer one is refused for good.
pub const RECORD_BODY_BYTES_MAX: usize = BATCH_BYTES_MAX - batch::HEADER_BYTES - record::HEADER_BYTES;

/// Size of a segment unless configured otherwise.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
/// Smallest segment: its header and one batch of full size.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// Largest segment: recovery reads the rest of the last one to the end after a crash.
pub const SEGMENT_BYTES_MAX: u64 = 16 << 30;

const _: () = assert!((BLOCK_BYTES + BATCH_BYTES_MAX) as u64 <= SEGMENT_BYTES_MIN, "any batch fits an empty segment");

/// Which log a segment belongs to. Written into every segment header and compared at recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Id of the data folder, drawn when it was made.
    pub folder: u128,
    /// From 1; a new one for each change of the number of shards.
    pub generation: u32,
    /// The shard whose log this is, below `shards`.
    pub shard: u16,
    /// Number of shards of the generation.
    pub shards: u16,
}

/// Number of a segment within one log, from 1 without holes. It is in the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u32);

impl SegmentNumber {
    /// The first segment of a log.
    pub const FIRST: Self = Self(1);

    /// The segment after this one.
    ///
    /// # Panics
    /// After 4 billion segments, which at the smallest size is 4 PiB of one shard's log.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("segment numbers outlast the disk"))
    }
}

/// Number of a batch within one log: 1 for the first, then one more each, over all segments of a generation. 0 stands for "none yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// Before the first batch.
    pub const NONE: Self = Self(0);

    /// The batch after this one.
    ///
    /// # Panics
    /// After 2^64 batches, which no disk lives to see.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("64 bits of batches outlast the disk"))
    }
}

impl std::fmt::Display for BatchNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Drawn at random by the driver for each use of a segment file, so that bytes of a former use cannot parse. Never shown to a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub u64);

impl std::fmt::Debug for Salt {
    // Whoever knows a salt could put a batch's picture into a body; so it does not get into traces.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// `bytes` rounded up to whole blocks.
const fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

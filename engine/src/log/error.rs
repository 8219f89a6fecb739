//! What recovery finds wrong, and what to do about it.
//!
//! Read first: [`RecoverError`]. Every message names the file under the data folder and the place in it. Damage of the disk
//! ([`Corruption`]) is apart from files that do not belong here, from newer formats, and from a disk that does not read.

use super::{BatchNumber, SegmentNumber};

/// Why a log cannot be recovered. In each case nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Acknowledged writes are damaged.
    #[error(transparent)]
    Corruption(#[from] Box<Corruption>),
    /// Files before and after this one are there.
    #[error(
        "{file} is missing: the log goes from segment {first} to segment {last} without holes. Put the file back, restore the folder from a \
         backup, or, in a cluster, replace this node from a peer"
    )]
    Missing {
        /// The file that should be there.
        file: String,
        /// First segment the log needs.
        first: u32,
        /// Last segment the log needs.
        last: u32,
    },
    /// A whole file of another log.
    #[error(
        "{file} belongs to another log: {what}. Move the file back where it came from. If nobody moved it, the disk wrote to a wrong place: restore the \
         folder from a backup. Do not edit the file"
    )]
    Foreign {
        /// The file.
        file: String,
        /// What its header says.
        what: Foreign,
    },
    /// Written by a program that knows more than this one.
    #[error(
        "{file} was made by a newer version of Emporion: {what}; this one reads log format {known}. Start that version, or a later one"
    )]
    Newer {
        /// The file.
        file: String,
        /// What is not known here.
        what: String,
        /// Newest format known.
        known: u32,
    },
    /// The disk or the file system refuses.
    #[error("{file} cannot be read at byte {offset}; check the disk and the file's permissions")]
    Io {
        /// The file, or the log's folder.
        file: String,
        /// Where the read began.
        offset: u64,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a segment header differs from what belongs in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// Of another data folder.
    #[error("its folder id is {found:032x}, this folder's is {wanted:032x}")]
    Folder {
        /// In the header.
        found: u128,
        /// Of this folder.
        wanted: u128,
    },
    /// Of another generation.
    #[error("its generation is {found}, this log's is {wanted}")]
    Generation {
        /// In the header.
        found: u32,
        /// Of this log.
        wanted: u32,
    },
    /// Of another shard, or a generation with another number of shards.
    #[error("it is of shard {found} of {found_shards}, this log of shard {wanted} of {wanted_shards}")]
    Shard {
        /// In the header.
        found: u16,
        /// In the header.
        found_shards: u16,
        /// Of this log.
        wanted: u16,
        /// Of this log.
        wanted_shards: u16,
    },
    /// A later segment under an earlier one's name.
    #[error("it is segment {found}, its name says {wanted}")]
    Segment {
        /// In the header.
        found: u32,
        /// In the name.
        wanted: u32,
    },
}

/// Damage to writes that were acknowledged, or that no torn write explains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file} is damaged at byte {offset}, where batch {batch} belongs: found {found}. This is no torn write: {proof}. Restore the folder from a backup, \
     or, in a cluster, replace this node from a peer; `emporion verify DIR` lists what is damaged. Do not delete or edit the file: it may \
     hold the only copy of acknowledged writes"
)]
pub struct Corruption {
    /// Path in the data folder.
    pub file: String,
    /// Which segment that is.
    pub segment: SegmentNumber,
    /// Where in the file.
    pub offset: u64,
    /// The batch that belongs there.
    pub batch: BatchNumber,
    /// What is there.
    pub found: Damage,
    /// Why it is not a torn tail.
    pub proof: Proof,
}

/// What is found where a segment or a batch should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Zeros, or the header of the file's former use, where the segment's header belongs.
    #[error("no segment header")]
    NoSegmentHeader,
    /// Block 0 is neither empty nor sealed by its checksum.
    #[error("a segment header whose checksum does not match")]
    SegmentHeader,
    /// Block 0 is sealed by its checksum and makes no sense.
    #[error("a segment header with {0}")]
    ImpossibleSegmentHeader(&'static str),
    /// The segment does not go on where the one before it ends.
    #[error(
        "a segment header that starts at batch {starts}, and closes the segment before at byte {previous_end}, while that one leads to batch {leads} at byte {ends}"
    )]
    SegmentStart {
        /// First batch in the header.
        starts: BatchNumber,
        /// End of the segment before, in the header.
        previous_end: u64,
        /// Next batch after the segment before.
        leads: BatchNumber,
        /// Where the walk through the segment before ended.
        ends: u64,
    },
    /// The file is shorter than its header says.
    #[error("a file of {found} bytes instead of {wanted}")]
    Truncated {
        /// Length of the file.
        found: u64,
        /// Length in its header.
        wanted: u64,
    },
    /// Nothing that begins like a batch of this segment.
    #[error("no batch")]
    NoBatch,
    /// A batch header that its checksum does not match.
    #[error("a batch header whose checksum does not match")]
    BatchHeader,
    /// A good header, and a body that its checksum does not match.
    #[error("a batch body of {bytes} bytes whose checksum does not match")]
    Body {
        /// Length of the body.
        bytes: u32,
    },
    /// The bytes up to the block are not zero.
    #[error("padding that is not zero")]
    Padding,
    /// Sealed by its checksum, and not what belongs there.
    #[error("batch {number} with {what}")]
    Impossible {
        /// Number in the header.
        number: BatchNumber,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Why damage is not a torn tail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Proof {
    /// A batch that was written after the damaged one was durable.
    #[error("batch {number} at byte {offset} of {file} was written when batch {durable} was durable")]
    LaterBatch {
        /// Where it is.
        file: String,
        /// Where in it.
        offset: u64,
        /// Its number.
        number: BatchNumber,
        /// The last durable batch by its header.
        durable: BatchNumber,
    },
    /// The segment is closed by the next one.
    #[error("{file} follows and says where this segment ends")]
    LaterSegment {
        /// The next segment.
        file: String,
    },
    /// The whole log is closed by a newer generation.
    #[error("a newer generation of the log says where this one ends")]
    LaterGeneration,
    /// A checksum is right.
    #[error("the checksum of the header is right")]
    Sealed,
}

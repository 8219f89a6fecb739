//! Checks a snapshot file and gives out what is in it.
//!
//! Path: [`Reader::feed`] with the file's bytes as they come → [`Reader::advance`] until it wants more → each chunk, once its checksum is right →
//! [`Reader::finish`] at the end of the file. The rules of the verdicts are `FORMAT.md` section 4.
//! Bounds: the buffer grows to one frame ([`CHUNK_BYTES_MAX`]) and one feed.

use super::{
    CHECKSUM_BYTES, CHUNK_BYTES_MAX, Chain, END_BYTES, Ended, FORMAT_VERSION, FRAME_BYTES, HEADER_BYTES, HEADER_FIELDS_END, Header,
    KIND_CHUNK, KIND_END, MAGIC, frame_checksum,
};
use wire::{Millis, PartitionId, Seq};
use xxhash_rust::xxh3::xxh3_128;

/// Why a file is no snapshot that can be used. Each names the file, under the data folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Its bytes are not those that were written.
    #[error("{file} is damaged at byte {offset}: {found}")]
    Damaged {
        /// The file.
        file: String,
        /// Where the header or frame begins.
        offset: u64,
        /// What is there.
        found: Damage,
    },
    /// It belongs somewhere else.
    #[error("{file} belongs elsewhere: {what}. Move the file back where it came from; do not edit it")]
    Foreign {
        /// The file.
        file: String,
        /// What its header says.
        what: Foreign,
    },
    /// Written by a program that knows more.
    #[error(
        "{file} was made by a newer version of Emporion: its snapshot format is {found}; this one reads formats up to {FORMAT_VERSION}. Start that version, or a later one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
    },
    /// The disk or the file system refuses.
    #[error("{file} cannot be read at byte {offset}; check the disk and the file's permissions")]
    Io {
        /// The file.
        file: String,
        /// Where the read began.
        offset: u64,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Every checksum is right, and the partition cannot be made of it.
    #[error("{file} has what no partition is made of, before byte {offset}: {why}")]
    Content {
        /// The file.
        file: String,
        /// Where its reading stopped.
        offset: u64,
        /// What the partition says.
        why: String,
    },
}

/// What is found where a header or a frame should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not a header, or its checksum does not match.
    #[error("no header whose checksum matches")]
    Header,
    /// Sealed by its checksum, and makes no sense.
    #[error("a header with {0}")]
    ImpossibleHeader(&'static str),
    /// The file ends in the middle.
    #[error("the end of the file, before the snapshot's end")]
    Truncated,
    /// A checksum does not match.
    #[error("a part whose checksum does not match")]
    Checksum,
    /// Fields that no writer makes.
    #[error("a part with {0}")]
    Impossible(&'static str),
    /// There is more than a snapshot in the file.
    #[error("bytes behind the snapshot's end")]
    Trailing,
}

/// How a header differs from what belongs in its place.
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
    /// Of another partition.
    #[error("it is of partition {found} of {found_of}, its place is for {wanted} of {wanted_of}")]
    Partition {
        /// In the header.
        found: u16,
        /// In the header.
        found_of: u16,
        /// By its folder's name.
        wanted: u16,
        /// Of this data folder.
        wanted_of: u16,
    },
    /// Of another epoch.
    #[error("its epoch is {found}, this folder's is {wanted}")]
    Epoch {
        /// In the header.
        found: u32,
        /// Of this folder.
        wanted: u32,
    },
    /// Under the name of another.
    #[error("its last entry is {found}, its name says {wanted}")]
    Index {
        /// In the header.
        found: u64,
        /// By its name.
        wanted: u64,
    },
}

/// A file that was read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What it is of.
    pub header: Header,
    /// To be compared with what was written.
    pub ended: Ended,
    /// Bytes of content.
    pub content_bytes: u64,
}

/// What is expected of a file in its place.
#[derive(Clone, Copy, Debug)]
struct Place {
    folder: u128,
    partition: PartitionId,
    partitions: u16,
    epoch: u32,
    index: u64,
}

/// Reads one file. After an error it is of no more use.
#[derive(Debug)]
pub struct Reader {
    file: String,
    place: Place,
    header: Option<Header>,
    chain: Chain,
    chunks: u64,
    content_bytes: u64,
    ended: bool,
    /// Bytes fed and not given out: from `taken` on; the rest is behind.
    buffer: Vec<u8>,
    taken: usize,
    /// Offset in the file of `buffer[taken]`.
    offset: u64,
}

impl Reader {
    /// For the file that is named `file` in messages and holds, by its place, a snapshot like `wanted`: its term, seq and times are not compared.
    #[must_use]
    pub fn new(file: impl Into<String>, wanted: &Header) -> Self {
        let Header { folder, partition, partitions, epoch, index, .. } = *wanted;
        Self {
            file: file.into(),
            place: Place { folder, partition, partitions, epoch, index },
            header: None,
            chain: Chain(0),
            chunks: 0,
            content_bytes: 0,
            ended: false,
            buffer: Vec::new(),
            taken: 0,
            offset: 0,
        }
    }

    /// Takes the next bytes of the file, in pieces of any length.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The header, once enough was fed and [`Reader::advance`] called.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Bytes fed so far: where the next ones begin in the file.
    #[must_use]
    pub fn fed(&self) -> u64 {
        self.offset + (self.buffer.len() - self.taken) as u64
    }

    /// Up to where the file is checked.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The content of the next chunk; `None` asks for more bytes.
    ///
    /// # Errors
    /// [`FileError`], once a header or frame was fed whole and is not what belongs there.
    pub fn advance(&mut self) -> Result<Option<&[u8]>, FileError> {
        if self.header.is_none() {
            let Some(bytes) = self.buffer[self.taken..].first_chunk() else { return Ok(None) };
            let (header, chain) = self.read_header(bytes)?;
            (self.header, self.chain) = (Some(header), chain);
            self.take(HEADER_BYTES);
        }
        let bytes = &self.buffer[self.taken..];
        if self.ended {
            return if bytes.is_empty() { Ok(None) } else { Err(self.damaged(Damage::Trailing)) };
        }
        let Some(frame) = bytes.first_chunk::<FRAME_BYTES>() else { return Ok(None) };
        let (kind, length) = (u32_at(frame, 16), u32_at(frame, 20) as usize);
        // Before it is waited for: a length that is damaged would have the whole file gathered.
        if length > CHUNK_BYTES_MAX {
            return Err(self.damaged(Damage::Impossible("a length that no writer gives it")));
        }
        let Some(whole) = bytes.get(..FRAME_BYTES + length) else { return Ok(None) };
        let chain = frame_checksum(self.chain, &whole[CHECKSUM_BYTES..]);
        if chain.0 != u128_at(frame, 0) {
            return Err(self.damaged(Damage::Checksum));
        }
        if u64_at(frame, 24) != self.chunks + 1 {
            return Err(self.damaged(Damage::Impossible("a number out of order")));
        }
        let content = self.taken + FRAME_BYTES..self.taken + FRAME_BYTES + length;
        match kind {
            KIND_CHUNK if length > 0 => {
                self.chunks += 1;
                self.content_bytes += length as u64;
            }
            KIND_END if length == END_BYTES => {
                let said = (u64_at(&whole[FRAME_BYTES..], 0), u64_at(&whole[FRAME_BYTES..], 8));
                if said != (self.chunks, self.content_bytes) {
                    return Err(self.damaged(Damage::Impossible("another count than the chunks before it")));
                }
                self.ended = true;
            }
            KIND_CHUNK | KIND_END => return Err(self.damaged(Damage::Impossible("a length that no writer gives it"))),
            _ => return Err(self.damaged(Damage::Impossible("an unknown kind"))),
        }
        self.chain = chain;
        self.take(FRAME_BYTES + length);
        if !self.ended {
            return Ok(Some(&self.buffer[content]));
        }
        if self.taken < self.buffer.len() { Err(self.damaged(Damage::Trailing)) } else { Ok(None) }
    }

    /// The file has no more bytes.
    ///
    /// # Errors
    /// [`FileError::Damaged`] when the snapshot is not at its end.
    pub fn finish(self) -> Result<Whole, FileError> {
        match self.header {
            Some(header) if self.ended => {
                let ended = Ended { chain: self.chain, file_bytes: self.offset };
                Ok(Whole { header, ended, content_bytes: self.content_bytes })
            }
            Some(_) | None => Err(self.damaged(Damage::Truncated)),
        }
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.offset += bytes as u64;
    }

    fn read_header(&self, bytes: &[u8; HEADER_BYTES]) -> Result<(Header, Chain), FileError> {
        let chain = Chain(u128_at(bytes, 0));
        if bytes[16..24] != MAGIC || chain.0 != xxh3_128(&bytes[CHECKSUM_BYTES..]) {
            return Err(self.damaged(Damage::Header));
        }
        let version = u32_at(bytes, 24);
        if version > FORMAT_VERSION {
            return Err(FileError::Newer { file: self.file.clone(), found: version });
        }
        let header = Header {
            folder: u128_at(bytes, 32),
            partition: PartitionId(u16_at(bytes, 28)),
            partitions: u16_at(bytes, 30),
            epoch: u32_at(bytes, 48),
            index: u64_at(bytes, 56),
            term: u64_at(bytes, 64),
            seq: Seq(u64_at(bytes, 72)),
            last_time: Millis(u64_at(bytes, 80)),
            created: Millis(u64_at(bytes, 88)),
        };
        if version == 0 {
            return Err(self.damaged(Damage::ImpossibleHeader("format version 0")));
        }
        if u32_at(bytes, 52) != 0 || bytes[HEADER_FIELDS_END..].iter().any(|byte| *byte != 0) {
            return Err(self.damaged(Damage::ImpossibleHeader("bytes that must be zero")));
        }
        let wanted = &self.place;
        let what = if header.folder != wanted.folder {
            Foreign::Folder { found: header.folder, wanted: wanted.folder }
        } else if (header.partition, header.partitions) != (wanted.partition, wanted.partitions) {
            Foreign::Partition {
                found: header.partition.0,
                found_of: header.partitions,
                wanted: wanted.partition.0,
                wanted_of: wanted.partitions,
            }
        } else if header.epoch != wanted.epoch {
            Foreign::Epoch { found: header.epoch, wanted: wanted.epoch }
        } else if header.index != wanted.index {
            Foreign::Index { found: header.index, wanted: wanted.index }
        } else {
            return Ok((header, chain));
        };
        Err(FileError::Foreign { file: self.file.clone(), what })
    }

    fn damaged(&self, found: Damage) -> FileError {
        FileError::Damaged { file: self.file.clone(), offset: self.offset, found }
    }
}

/// Reads the integer of `N` bytes at `at`. Panics when it is not there: callers check lengths once, before they read fields.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the caller checked the length")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(field(bytes, at))
}

//! Makes the bytes of a snapshot file, in order.
//!
//! Path: [`Writer::new`] → [`Writer::chunk`]… → [`Writer::end`]. Everything is appended to a buffer of the caller, who writes it where he stands in the
//! file and may take it away between the calls. Cost: each byte is hashed once and not copied.

use super::{CHECKSUM_BYTES, CHUNK_BYTES_MAX, Chain, END_BYTES, FRAME_BYTES, Header, KIND_CHUNK, KIND_END, frame_checksum};

/// A file under way.
#[derive(Debug)]
pub struct Writer {
    chain: Chain,
    chunks: u64,
    content_bytes: u64,
    file_bytes: u64,
}

/// A file whose last byte was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "reading back must come to the same"]
pub struct Ended {
    /// Commits to the whole file.
    pub chain: Chain,
    /// Length of the file.
    pub file_bytes: u64,
}

impl Writer {
    /// Begins a file: appends its header to `out`.
    pub fn new(header: &Header, out: &mut Vec<u8>) -> Self {
        let from = out.len();
        let chain = header.encode(out);
        Self { chain, chunks: 0, content_bytes: 0, file_bytes: (out.len() - from) as u64 }
    }

    /// Appends one chunk to `out`, whose content `fill` appends. Without content there is no chunk.
    ///
    /// # Panics
    /// When the content is over [`CHUNK_BYTES_MAX`]: items are far smaller, and a walk ends a chunk in time.
    pub fn chunk<R>(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let from = out.len();
        out.resize(from + FRAME_BYTES, 0);
        let filled = fill(out);
        let bytes = out.len().checked_sub(from + FRAME_BYTES).expect("a chunk is only appended to");
        assert!(bytes <= CHUNK_BYTES_MAX, "a chunk of {bytes} bytes");
        if bytes == 0 {
            out.truncate(from);
        } else {
            self.chunks += 1;
            self.content_bytes += bytes as u64;
            self.seal(KIND_CHUNK, self.chunks, &mut out[from..]);
        }
        filled
    }

    /// Appends the end to `out`.
    pub fn end(mut self, out: &mut Vec<u8>) -> Ended {
        let from = out.len();
        out.resize(from + FRAME_BYTES, 0);
        out.extend_from_slice(&self.chunks.to_le_bytes());
        out.extend_from_slice(&self.content_bytes.to_le_bytes());
        debug_assert_eq!(out.len() - from, FRAME_BYTES + END_BYTES);
        self.seal(KIND_END, self.chunks + 1, &mut out[from..]);
        Ended { chain: self.chain, file_bytes: self.file_bytes }
    }

    /// Fills the fields of a frame in front of its content.
    fn seal(&mut self, kind: u32, number: u64, frame: &mut [u8]) {
        let length = u32::try_from(frame.len() - FRAME_BYTES).expect("at most CHUNK_BYTES_MAX");
        frame[16..20].copy_from_slice(&kind.to_le_bytes());
        frame[20..24].copy_from_slice(&length.to_le_bytes());
        frame[24..32].copy_from_slice(&number.to_le_bytes());
        self.chain = frame_checksum(self.chain, &frame[CHECKSUM_BYTES..]);
        frame[..CHECKSUM_BYTES].copy_from_slice(&self.chain.0.to_le_bytes());
        self.file_bytes += frame.len() as u64;
    }
}

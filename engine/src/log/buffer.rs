//! Memory a device can write from and read into directly, and little-endian fields in byte slices.
//!
//! Read first: [`AlignedBuffer`]. Deliberately absent: unsafe code; alignment comes from a little slack in front.

use super::BLOCK_BYTES;

/// Bytes whose address is a multiple of [`BLOCK_BYTES`], as `O_DIRECT` wants. Fixed length, zeroed when made.
///
/// Cost: one block of slack. Moving the value does not move the bytes.
pub struct AlignedBuffer {
    /// The bytes begin at `start` in here; a vector that never grows keeps its address.
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// Zeroed buffer of `len` bytes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let memory = vec![0; len + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        assert!(start < BLOCK_BYTES, "byte pointers can be aligned within one block");
        Self { memory, start, len }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// All bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuffer").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Reads the integer of `N` bytes at `at`. Panics when it is not there: callers check lengths once, before they read fields.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the caller checked the length")
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

pub(super) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(field(bytes, at))
}

/// Puts the bytes of an integer at `at`.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// Looks at a line at a time, which the compiler makes a few wide instructions of: byte by byte it is most of what a replay of small batches costs.
pub(super) fn all_zero(bytes: &[u8]) -> bool {
    const LINE: usize = 64;
    let (lines, rest) = bytes.as_chunks::<LINE>();
    lines.iter().all(|line| line.iter().fold(0, |all, byte| all | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_not_all_zero() {
        for len in [0, 1, 63, 64, 65, 200] {
            let mut bytes = vec![0; len];
            assert!(all_zero(&bytes), "{len}");
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!all_zero(&bytes), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }
}

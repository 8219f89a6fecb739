//! A fingerprint of a partition's whole state, equal after equal logs.
//!
//! Path: each table feeds its entities in key order → [`Digest::finish`]. For comparing replicas and replays of one build: the value
//! is not for storing and not against forgery. Source: XXH3 over a stream of tagged words and archives.

use rkyv::{api::high::HighSerializer, rancor, ser::allocator::ArenaHandle, util::AlignedVec};
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// Takes state, gives 64 bits. A [`Hasher`], so that `value.hash(&mut digest)` works for everything that derives `Hash`.
pub struct Digest(Xxh3);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({:016x})", self.0.digest())
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Xxh3::new())
    }

    /// Takes a table's or field's name, so that neighbours cannot be mistaken for one another.
    pub fn section(&mut self, name: &str) {
        self.text(name);
    }

    /// Takes a text with its length.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Takes bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.write_usize(bytes.len());
        self.0.update(bytes);
    }

    /// Takes a value by the bytes of its archive, in which are all its fields, ciphertexts too.
    pub fn archive<T>(&mut self, value: &T)
    where
        T: for<'a> rkyv::Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
    {
        // An archive that cannot be made (2 GiB) counts as its marker; record bounds are far below.
        match rkyv::to_bytes::<rancor::Error>(value) {
            Ok(bytes) => self.bytes(&bytes),
            Err(_) => self.section("unarchivable"),
        }
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0.digest()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    // Integers go in little endian: the same digest on every machine.
    fn write_u16(&mut self, word: u16) {
        self.0.update(&word.to_le_bytes());
    }
    fn write_u32(&mut self, word: u32) {
        self.0.update(&word.to_le_bytes());
    }
    fn write_u64(&mut self, word: u64) {
        self.0.update(&word.to_le_bytes());
    }
    fn write_u128(&mut self, word: u128) {
        self.0.update(&word.to_le_bytes());
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_i64(&mut self, word: i64) {
        self.write_u64(word.cast_unsigned());
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64((word as i64).cast_unsigned());
    }
}

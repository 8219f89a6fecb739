//! What a writer remembers of the rows it used last, so that a row which every thread wants moves between the cores as seldom
//! as it can.
//!
//! A row's key is on the same cache line as its word. Finding it by its key would fetch that line to read, and the exchange
//! would fetch it again to write; each is a message to the other core and back. So a writer keeps, for a few rows, where they
//! are (which never changes) and what their word was (which it tries first: right if nobody else was there; if wrong, the
//! failed exchange has brought the line to write, with the true word).
//!
//! Measured with two threads on one row, and with one: see `benches/shared.rs`.

use super::rows::Word;
use crate::index::RowKey;
use crate::{Location, Sku};

/// Rows remembered, by a hash of their key or position: the last of each hash.
const ROWS: usize = if cfg!(loom) { 2 } else { 64 };

const _: () = assert!(ROWS.is_power_of_two(), "a place is found by mask");

const NONE: u32 = u32::MAX; // no row has this position

pub(super) struct Near {
    places: Box<[(RowKey, u32); ROWS]>,
    words: Box<[(u32, Word); ROWS]>,
}

impl Near {
    pub(super) fn new() -> Self {
        let nowhere = (RowKey { sku: Sku(0), location: Location(0) }, NONE);
        Self { places: Box::new([nowhere; ROWS]), words: Box::new([(NONE, Word::default()); ROWS]) }
    }

    /// The row's position, as remembered or as `find` finds it.
    #[inline]
    pub(super) fn place(&mut self, key: RowKey, find: impl FnOnce() -> Option<u32>) -> Option<u32> {
        // Low bits tell numbers in sequence apart, and a multiplication spreads the others.
        let mixed = (key.sku.0 as u64 ^ (key.sku.0 >> 64) as u64 ^ key.location.0.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.places[(mixed >> 40) as usize % ROWS];
        if place.0 == key && place.1 != NONE {
            return Some(place.1);
        }
        let row = find()?;
        *place = (key, row);
        Some(row)
    }

    /// The row's word as this writer last left it.
    #[inline]
    pub(super) fn word(&self, row: u32) -> Option<Word> {
        let (of, word) = self.words[row as usize % ROWS];
        (of == row).then_some(word)
    }

    #[inline]
    pub(super) fn left(&mut self, row: u32, word: Word) {
        self.words[row as usize % ROWS] = (row, word);
    }
}

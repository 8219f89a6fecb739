//! Rows of stock, one per (SKU, location), dense in memory.
//!
//! Path: key → `Table::find` (hash index of positions) → `RowIx` → one cache line → `shift` or `book` → `take_changes`.
//! Read first: `Row`, then `DenseRow`. Bounds: the ledger asks `rows_max` before it inserts; rows are never removed.

use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;
use std::hash::BuildHasher;

use crate::{Location, Sku, UNITS_MAX, Units};

/// The columns of one row, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// Free to be held.
    pub available: Units,
    /// Set aside by open holds.
    pub held: Units,
    /// Promised to orders.
    pub committed: Units,
    /// Expected and not yet here; no part of what is on hand. No operation moves units into it: zero.
    pub incoming: Units,
    /// Here and not for sale. No operation moves units into it: zero.
    pub unavailable: Units,
}

impl Row {
    /// What is physically here: available + held + committed + unavailable. At most [`UNITS_MAX`].
    #[must_use]
    pub fn on_hand(&self) -> Units {
        Units(self.available.0 + self.held.0 + self.committed.0 + self.unavailable.0)
    }
}

/// How one row changed since the changes were last drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Which row.
    pub sku: Sku,
    /// Which row.
    pub location: Location,
    /// At the last drain; all zero for a row created since.
    pub before: Row,
    /// At this drain.
    pub after: Row,
}

/// Position of a row in the table, `0..len`, in order of insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowIx(pub(crate) u32);

/// The columns that units move between. What is on hand changes only by [`Table::book`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Available,
    Held,
    Committed,
}

/// One row: its key, its columns and the books' own totals, in one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct DenseRow {
    pub(crate) sku: Sku,
    pub(crate) location: Location,
    pub(crate) row: Row,
    /// Sum of all movements: what `row.on_hand()` must be. Kept apart from the columns so that `check` has two sides.
    pub(crate) booked: Units,
    /// Units in `committed` whose hold was forgotten.
    pub(crate) detached: Units,
    /// The drain epoch in which the row was last put on the list of changes.
    touched: u64,
}

const _: () = assert!(size_of::<DenseRow>() == 64, "a row is one cache line, so that a line of a hold costs one miss");

/// All rows, with their indexes and the list of those changed since the last drain.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<DenseRow>,
    by_key: HashTable<RowIx>,
    by_sku: HashMap<Sku, SmallVec<[RowIx; 4]>, foldhash::fast::RandomState>,
    hasher: foldhash::fast::RandomState,
    /// Rows touched in this epoch with their columns before it: each row at most once, so at most `rows.len()`.
    touched: Vec<(RowIx, Row)>,
    /// Counts drains, from one on; a new row's zero is none of them.
    epoch: u64,
}

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

impl Table {
    pub(crate) fn new() -> Self {
        Self { epoch: 1, ..Self::default() }
    }

    /// Rows in order of insertion.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, DenseRow> {
        self.rows.iter()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).expect("rows_max is a u32")
    }

    /// Where the row of this key is. Two cache misses: the index, the row.
    pub(crate) fn find(&self, sku: Sku, location: Location) -> Option<RowIx> {
        let hash = self.hasher.hash_one((sku, location));
        let same = |&ix: &RowIx| {
            let dense = &self.rows[ix.0 as usize];
            dense.sku == sku && dense.location == location
        };
        self.by_key.find(hash, same).copied()
    }

    /// Rows of one SKU, in order of location.
    pub(crate) fn of_sku(&self, sku: Sku) -> &[RowIx] {
        self.by_sku.get(&sku).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn dense(&self, ix: RowIx) -> &DenseRow {
        &self.rows[ix.0 as usize]
    }

    pub(crate) fn row(&self, ix: RowIx) -> Row {
        self.dense(ix).row
    }

    /// Adds an empty row. The caller has looked for the key and for room.
    pub(crate) fn insert(&mut self, sku: Sku, location: Location) -> RowIx {
        debug_assert!(self.find(sku, location).is_none(), "one row per key");
        let ix = RowIx(self.len());
        self.rows.push(DenseRow { sku, location, row: Row::default(), booked: Units(0), detached: Units(0), touched: 0 });
        let (rows, hasher) = (&self.rows, &self.hasher);
        let hash_of = |&RowIx(at): &RowIx| {
            let dense = &rows[at as usize];
            hasher.hash_one((dense.sku, dense.location))
        };
        self.by_key.insert_unique(hasher.hash_one((sku, location)), ix, hash_of);
        let siblings = self.by_sku.entry(sku).or_default();
        let at = siblings.partition_point(|sibling| rows[sibling.0 as usize].location < location);
        siblings.insert(at, ix);
        ix
    }

    /// Moves units between two columns of one row; what is on hand stays.
    ///
    /// # Panics
    /// If `from` has too few: the caller checks before it moves, so that is a bug here.
    pub(crate) fn shift(&mut self, ix: RowIx, from: Column, to: Column, units: Units) {
        let row = &mut self.touch(ix).row;
        let source = row.column(from);
        assert!(units <= *source, "{units:?} of {source:?} in {from:?}");
        source.0 -= units.0;
        row.column(to).0 += units.0; // cannot overflow: the sum of all columns is at most UNITS_MAX
    }

    /// Changes what is on hand to `available` more or fewer, from or to outside.
    ///
    /// # Panics
    /// If `available` would become negative or on hand more than [`UNITS_MAX`]: the caller checks first.
    pub(crate) fn book(&mut self, ix: RowIx, delta: i64) {
        let dense = self.touch(ix);
        let moved = |column: Units| {
            u32::try_from(i64::from(column.0) + delta)
                .ok()
                .filter(|&units| units <= UNITS_MAX.0)
                .map(Units)
                .unwrap_or_else(|| panic!("booking {delta} onto {column:?}"))
        };
        dense.row.available = moved(dense.row.available);
        dense.booked = moved(dense.booked);
    }

    /// Leaves units in `committed` that no hold accounts for any more.
    pub(crate) fn detach(&mut self, ix: RowIx, units: Units) {
        self.rows[ix.0 as usize].detached.0 += units.0; // within `committed`, so within u32
    }

    /// The row for writing, put on the list of changes unless it is there.
    fn touch(&mut self, ix: RowIx) -> &mut DenseRow {
        let dense = &mut self.rows[ix.0 as usize];
        if dense.touched != self.epoch {
            dense.touched = self.epoch;
            self.touched.push((ix, dense.row));
        }
        dense
    }

    /// Empties the list of changes, in the order in which rows were first touched; rows that ended as they began are left out.
    pub(crate) fn take_changes(&mut self) -> impl Iterator<Item = RowChange> + '_ {
        self.epoch += 1;
        let rows = &self.rows;
        self.touched.drain(..).filter_map(|(ix, before)| {
            let dense = &rows[ix.0 as usize];
            (dense.row != before).then_some(RowChange { sku: dense.sku, location: dense.location, before, after: dense.row })
        })
    }
}

impl Row {
    fn column(&mut self, column: Column) -> &mut Units {
        match column {
            Column::Available => &mut self.available,
            Column::Held => &mut self.held,
            Column::Committed => &mut self.committed,
        }
    }
}

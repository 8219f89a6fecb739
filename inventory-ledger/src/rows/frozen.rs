//! The rows as they were when a snapshot began.
//!
//! Path: `Table::freeze` notes how many rows there are → `keep`, before a row's first change ahead of its turn → `walk`, in order of
//! insertion: the old form if there is one, else the row. Rows are never removed, and new ones stand behind all others.

use super::{Own, RowCell, RowIx, Rows, Table, load, row};
use crate::cold::{Cold, Rare};
use crate::frozen::{Allowance, Marks};
use crate::record::{Flags, Record};
use crate::ring::Ring;
use crate::slab::{Entry, Slab};
use crate::sync::Ordering;
use crate::{Saved, SavedCold, SavedRow, Units};

/// How far the rows have been walked.
#[derive(Debug)]
pub(super) struct RowWalk {
    /// How many there were at the start.
    len: u32,
    /// So many were given out.
    given: u32,
    /// Which old form a row has.
    marks: Marks,
    old: Slab<OldRow>,
}

/// A row before it changed, without its key.
#[derive(Debug, Default)]
struct OldRow {
    own: Own,
    booked: Units,
    detached: Units,
    cold: Option<Box<OldCold>>,
    next_free: u32,
}

/// What it had beside.
#[derive(Debug)]
struct OldCold {
    saved: SavedCold,
    rare: [Units; Rare::ALL],
}

const _: () = assert!(size_of::<OldRow>() <= 40 && size_of::<OldCold>() <= 72, "what `frozen` and the README say");

impl Entry for OldRow {
    fn set_free(&mut self, next: u32) {
        self.next_free = next;
    }

    fn next_free(&self) -> u32 {
        self.next_free
    }
}

impl OldRow {
    fn of(cell: &RowCell, rows: &Rows, colds: &Ring<Cold>) -> Self {
        let cold = (cell.extra.load(Ordering::Relaxed) & super::COLD).checked_sub(1);
        let cold = cold.map(|at| Box::new(OldCold { saved: SavedCold::of(colds.get(at)), rare: rows.cold.get(at).all() }));
        Self { own: cell.own(), booked: load(&cell.booked), detached: load(&cell.detached), cold, next_free: 0 }
    }

    fn saved(self, cell: &RowCell) -> SavedRow {
        let super::RowKey { sku, location } = super::Keyed::key(cell);
        let Self { own, booked, detached, cold, .. } = self;
        let rare = cold.as_ref().map_or_else(Default::default, |cold| cold.rare);
        SavedRow { sku, location, row: row(own, rare), booked, detached, cold: cold.map(|cold| cold.saved) }
    }
}

impl RowWalk {
    /// Puts a row's old form aside, if its turn has not come and it is the first time.
    pub(super) fn keep(&mut self, rows: &Rows, colds: &Ring<Cold>, ix: RowIx) {
        if (self.given..self.len).contains(&ix.0) && self.marks.get(ix.0).is_none() {
            let old = self.old.take(OldRow::of(rows.cells.get(ix.0), rows, colds));
            self.marks.set(ix.0, old);
        }
    }
}

impl Table {
    pub(crate) fn freeze(&mut self) {
        let len = self.len();
        self.walk = Some(Box::new(RowWalk { len, given: 0, marks: Marks::new(len), old: Slab::new() }));
        self.journal.history.freeze();
        self.journal.events.freeze();
    }

    pub(crate) fn thaw(&mut self) {
        self.walk = None;
        self.journal.history.thaw();
        self.journal.events.thaw();
    }

    /// A row is about to change.
    #[inline]
    pub(super) fn keep(&mut self, ix: RowIx) {
        if let Some(walk) = &mut self.walk {
            walk.keep(&self.shared, &self.cold, ix);
        }
    }

    /// Loads the keys of a hold's rows, which its fingerprint needs unless it has its lines elsewhere; waits for none of them.
    pub(crate) fn warm_keys(&self, record: &Record) {
        if !record.flags.has(Flags::SPILLED) {
            for &row in record.rows.iter().take(record.lines_len()) {
                std::hint::black_box(self.key(RowIx(row)));
            }
        }
    }

    /// Gives out rows as they were; `true` if `left` ends it before its end.
    pub(crate) fn walk(&mut self, left: &mut Allowance, take: &mut impl FnMut(Saved)) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        while walk.given < walk.len {
            if left.is_over() {
                return true;
            }
            let ix = RowIx(walk.given);
            let cell = self.shared.cells.get(ix.0);
            let old = match walk.marks.take(ix.0) {
                Some(at) => walk.old.remove(at),
                None => OldRow::of(cell, &self.shared, &self.cold),
            };
            walk.given += 1;
            left.spend(0);
            take(Saved::Row(old.saved(cell)));
        }
        if left.shrink(|| walk.old.shrink() || walk.marks.shrink()) {
            return true;
        }
        self.walk = None;
        false
    }

    /// Bytes of what is put aside of rows, and of the records of those who read along.
    pub(crate) fn frozen_bytes(&self) -> usize {
        let rows = self.walk.as_ref().map_or(0, |walk| walk.marks.bytes() + walk.old.bytes());
        rows + self.journal.frozen_bytes()
    }
}

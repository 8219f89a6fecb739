//! The usual basket: few lines of rows that have nothing unusual about them, each looked at once.
//!
//! Path: `find_few` (keys → positions, their cache misses side by side) → `take_few` (all checked, then all taken, on references that are
//! made once). Whatever else a row or a ledger may have to see to (a cold record, a journal, a row that is missing or short) sends
//! the caller to the general way, which answers the same and takes several times as many instructions: a reservation whose
//! rows are in the cache is bound by those.

use super::{CHANGED, COLD, RowCell, RowIx, Rows, Table, load, store};
use crate::index::RowKey;
use crate::seqlock;
use crate::sync::Ordering;
use crate::{Line, Units};

impl Table {
    /// Where the rows of these lines are. As [`find_all`](Table::find_all), without a list.
    #[inline]
    pub(crate) fn find_few<const K: usize>(&self, lines: &[Line; K]) -> [Option<RowIx>; K] {
        let Rows { cells, index, .. } = &*self.shared;
        let key = |line: &Line| RowKey { sku: line.sku, location: line.location };
        let hashes: [u32; K] = std::array::from_fn(|at| index.hash(key(&lines[at])));
        index.warm_all(cells, &hashes);
        std::array::from_fn(|at| index.find_hashed(cells, key(&lines[at]), hashes[at]).map(RowIx))
    }

    /// Moves each line's units from available to held, if every row has enough for all its lines together, and says what each row has
    /// left then. `None`, and nothing is moved: some row is missing, short or has a cold record, or movements are recorded.
    #[inline]
    pub(crate) fn take_few<const K: usize>(&mut self, rows: &[Option<RowIx>; K], units: [Units; K]) -> Option<[Units; K]> {
        if self.journal.is_on() || rows.contains(&None) {
            return None;
        }
        let positions: [u32; K] = std::array::from_fn(|at| rows[at].map_or(0, |ix| ix.0)); // all are there
        let cells: [&RowCell; K] = std::array::from_fn(|at| self.shared.cells.get(positions[at]));
        let enough = |at: usize| {
            let same = |other: usize| if positions[other] == positions[at] { u64::from(units[other].0) } else { 0 };
            (0..K).map(same).sum::<u64>() <= u64::from(load(&cells[at].available).0)
        };
        let plain = |at: usize| cells[at].extra.load(Ordering::Relaxed) & COLD == 0;
        if !(0..K).all(|at| plain(at) && enough(at)) {
            return None;
        }
        for at in 0..K {
            let cell = cells[at];
            if let Some(walk) = &mut self.walk {
                walk.keep(&self.shared, &self.cold, RowIx(positions[at]));
            }
            let extra = cell.extra.load(Ordering::Relaxed);
            if extra & CHANGED == 0 {
                cell.extra.store(extra | CHANGED, Ordering::Release);
                self.changed.push((RowIx(positions[at]), cell.own()));
            }
            let (available, held) = (load(&cell.available), load(&cell.held));
            let writing = seqlock::begin(&cell.sequence);
            store(&cell.available, Units(available.0 - units[at].0));
            store(&cell.held, Units(held.0 + units[at].0)); // cannot overflow: the sum of all columns is at most UNITS_MAX
            drop(writing);
        }
        Some(std::array::from_fn(|at| load(&cells[at].available)))
    }
}

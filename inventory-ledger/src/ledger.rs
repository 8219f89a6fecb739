//! The ledger: one writer, all state, and everything that only reads.
//!
//! Path: a change of stock → `stock` → row; a hold → `reserve` → rows and book of holds; then `drain_changes` → the caller's
//! own tables. `audit` recomputes what the columns must be.
//! Deliberately absent: clocks, randomness, files, prices, and any order that comes from a hash.

use smallvec::SmallVec;

use crate::holds::{HoldBook, HoldRecord, State};
use crate::movements::Window;
use crate::rows::{RowIx, Table};
use crate::{HoldId, HoldState, HoldView, LINES_MAX, Limits, Location, Millis, Row, RowChange, Sku, Units, Usage};

/// Stock by SKU and location, with the holds on it. See the [crate] for its rules and an example.
///
/// A deterministic state machine: the same calls with the same arguments give the same answers and the same
/// [`digest`](Ledger::digest), in any process. No operation blocks; the costs are stated at each.
///
/// Time is an argument of every operation that changes something. It never goes back: an instant before the latest seen
/// is taken as the latest seen.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) limits: Limits,
    /// The latest instant seen.
    pub(crate) now: Millis,
    pub(crate) rows: Table,
    pub(crate) holds: HoldBook,
    pub(crate) movements: Window,
}

impl Ledger {
    /// An empty ledger at the beginning of time. Allocates nothing yet; memory grows with use up to `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, now: Millis::default(), rows: Table::new(), holds: HoldBook::default(), movements: Window::default() }
    }

    /// The columns of one row, or `None` if it was never opened. O(1).
    #[must_use]
    pub fn row(&self, sku: Sku, location: Location) -> Option<Row> {
        Some(self.rows.row(self.rows.find(sku, location)?))
    }

    /// What can be held of one SKU at one location; zero if there is no such row. O(1).
    #[must_use]
    pub fn available(&self, sku: Sku, location: Location) -> Units {
        self.row(sku, location).unwrap_or_default().available
    }

    /// The rows of one SKU, in order of location. O(1) to begin.
    pub fn rows_of(&self, sku: Sku) -> impl Iterator<Item = (Location, Row)> + '_ {
        self.rows.of_sku(sku).iter().map(|&ix| {
            let dense = self.rows.dense(ix);
            (dense.location, dense.row)
        })
    }

    /// All rows, in order of insertion.
    pub fn rows(&self) -> impl Iterator<Item = (Sku, Location, Row)> + '_ {
        let parts = |dense: &crate::rows::DenseRow| (dense.sku, dense.location, dense.row);
        self.rows.iter().map(parts)
    }

    /// Where a hold stands; `None` if it never came, or ended long enough ago to be swept. O(1).
    #[must_use]
    pub fn hold_state(&self, id: HoldId) -> Option<HoldState> {
        if let Some(slot) = self.holds.find(id) {
            return Some(self.holds.record(slot).public_state());
        }
        self.holds.has_tombstone(id).then_some(HoldState::Tombstoned)
    }

    /// The open holds on one SKU, in order of (id, location), one entry for each hold and location.
    ///
    /// A question of operators, not of buyers: O(1) if nothing of the SKU is held, otherwise it walks the holds until it has
    /// found all units held, so up to [`Limits::holds_max`].
    #[must_use]
    pub fn holds_of(&self, sku: Sku) -> Vec<HoldView> {
        let rows = self.rows.of_sku(sku);
        let held = |&ix: &RowIx| u64::from(self.rows.row(ix).held.0);
        let mut to_find: u64 = rows.iter().map(held).sum();
        let mut views = Vec::new();
        for record in self.holds.iter().filter(|record| is_open(record)) {
            if to_find == 0 {
                break;
            }
            for &ix in rows {
                let lines = record.lines.iter().filter(|line| line.row == ix);
                let quantity: u32 = lines.map(|line| line.quantity.0).sum(); // part of `held`, so within u32
                if quantity > 0 {
                    to_find -= u64::from(quantity);
                    views.push(HoldView {
                        id: record.id,
                        owner: record.owner,
                        location: self.rows.dense(ix).location,
                        quantity: Units(quantity),
                        state: record.public_state(),
                    });
                }
            }
        }
        views.sort_unstable_by_key(|view| (view.id, view.location));
        views
    }

    /// When the next held hold expires: the caller's timer for [`expire`](Ledger::expire). O(log holds).
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        self.holds.next_expiry()
    }

    /// The latest instant seen.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// How much is kept, to compare with the limits.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { rows: self.rows.len(), holds: self.holds.len(), tombstones: self.holds.tombstones_len(), movements: self.movements.len() }
    }

    /// Takes the rows that changed since the last drain, for the caller's own table of availability.
    ///
    /// Each row once, in the order in which they were first touched, from its columns at the last drain to those of this
    /// moment; a row that is back where it was is left out. So the list never exceeds [`Limits::rows_max`], also for a caller
    /// who never drains. Drain after each operation to see each change. What the iterator has not yielded when it is dropped
    /// is gone.
    pub fn drain_changes(&mut self) -> impl Iterator<Item = RowChange> + '_ {
        self.rows.take_changes()
    }

    /// Takes note of the time and returns it, never earlier than before.
    pub(crate) fn advance(&mut self, now: Millis) -> Millis {
        self.now = self.now.max(now);
        self.now
    }
}

pub(crate) fn is_open(record: &HoldRecord) -> bool {
    match record.state {
        State::Held | State::Pinned => true,
        State::Committed | State::Restocked | State::Forgotten | State::Released | State::Expired => false,
    }
}

/// Room on the stack for the usual basket; longer ones, up to [`LINES_MAX`], go to the heap.
pub(crate) type PerLine<T> = SmallVec<[T; 4]>;

/// Refuses lists that are no basket, whatever the stock.
pub(crate) fn well_formed(lines: &[crate::Line]) -> Result<(), crate::BadLines> {
    if lines.is_empty() {
        return Err(crate::BadLines::Empty);
    }
    if lines.len() > LINES_MAX {
        return Err(crate::BadLines::TooMany { len: lines.len() });
    }
    let zero = lines.iter().position(|line| line.quantity == Units(0));
    zero.map_or(Ok(()), |at| Err(crate::BadLines::ZeroQuantity { index: index(at) }))
}

/// A line's position, as answers carry it.
pub(crate) fn index(at: usize) -> u16 {
    u16::try_from(at).expect("at most LINES_MAX lines")
}

/// Units wanted by all lines of the same row as `line` together.
pub(crate) fn wanted_with(lines: &[crate::Line], line: &crate::Line) -> u64 {
    let same = |other: &&crate::Line| (other.sku, other.location) == (line.sku, line.location);
    let units = lines.iter().filter(same).map(|other| other.quantity.0);
    units.map(u64::from).sum()
}

/// A count as answers carry it.
pub(crate) fn saturated(units: u64) -> Units {
    Units(u32::try_from(units).unwrap_or(u32::MAX))
}

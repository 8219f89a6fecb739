//! The ledger: one writer, all state, and everything that only reads.
//!
//! Path: a change of stock → `stock` → row; a hold → `reserve` → rows and book of holds; then `drain_changes` → the caller's
//! own tables. `audit` recomputes what the columns must be.
//! Deliberately absent: clocks, randomness, files, prices, and any order that comes from a hash.

use crate::announce::Announcements;
use crate::frozen::Frozen;
use crate::holds::HoldBook;
use crate::movements::Window;
use crate::reader::Reader;
use crate::rows::Table;
use crate::transfer::Shipments;
use crate::{Footprint, HoldView, LINES_MAX, Limits, Location, Millis, Room, Row, RowChange, Sku, TIME_MAX, Units, Usage};

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
    pub(crate) announcements: Announcements,
    pub(crate) shipments: Shipments,
    pub(crate) frozen: Frozen,
}

impl Ledger {
    /// An empty ledger at the beginning of time. Allocates its directories; the rest of its memory grows with use up to `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_seed(limits, 0)
    }

    /// The same, with a seed for the hashes of its indexes: a secret one where SKUs or hold ids are chosen by strangers, who could
    /// otherwise make look-ups slow. No answer, digest or snapshot depends on it.
    #[must_use]
    pub fn with_seed(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            now: Millis::default(),
            rows: Table::new(&limits, seed),
            holds: HoldBook::new(seed, Millis::default()),
            movements: Window::default(),
            announcements: Announcements::default(),
            shipments: Shipments::default(),
            frozen: Frozen::No,
        }
    }

    /// Takes the memory for so many rows, holds and ids now, and writes to every page of it, so that no operation waits for memory until
    /// there are more: where a page is new, the kernel's share is some microseconds. What exceeds the [`Limits`] is cut to them.
    /// No answer, digest or snapshot depends on it.
    ///
    /// Call it before the first hold: an index of ids that has entries grows in its own steps. Not covered: movements, what few rows
    /// have, holds of more than three lines, and the list of changes, which grows to what there is between two drains and stays.
    /// O(bytes): about 68 a row, 97 a hold, 65 a remembered id.
    pub fn make_room(&mut self, room: Room) {
        let Limits { rows_max, holds_max, tombstones_max, .. } = self.limits;
        let [holds_max, tombstones_max] = [holds_max, tombstones_max].map(|max| max.min(crate::HOLDS_MAX));
        let remembered = |ids: u32| ids.min(holds_max + tombstones_max);
        self.rows.make_room(room.rows.min(rows_max));
        self.holds.make_room(&Room {
            holds: room.holds.min(holds_max),
            timed_remembered: remembered(room.timed_remembered),
            opaque_remembered: remembered(room.opaque_remembered),
            ..room
        });
    }

    /// A handle to read rows from any thread while this ledger goes on. O(1).
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.rows.share())
    }

    /// The columns of one row, or `None` if it was never opened. O(1).
    #[must_use]
    pub fn row(&self, sku: Sku, location: Location) -> Option<Row> {
        Some(self.rows.row(self.rows.find(sku, location)?))
    }

    /// What can be held of one SKU at one location; zero if there is no such row. O(1).
    #[must_use]
    pub fn available(&self, sku: Sku, location: Location) -> Units {
        self.rows.find(sku, location).map_or(Units(0), |ix| self.rows.available(ix))
    }

    /// Units of one SKU at one location that holds in doubt have: what is short by no more is answered as `Contended`. O(1).
    #[must_use]
    pub fn in_doubt(&self, sku: Sku, location: Location) -> Units {
        let units = self.rows.find(sku, location).map_or(0, |ix| self.holds.units_in_doubt(ix));
        Units(units as u32) // part of `held`
    }

    /// The rows of one SKU, in order of location. O(locations of the ledger): each is looked up.
    pub fn rows_of(&self, sku: Sku) -> impl Iterator<Item = (Location, Row)> + '_ {
        self.rows.of_sku(sku).map(|(location, ix)| (location, self.rows.row(ix)))
    }

    /// All rows, in order of insertion.
    pub fn rows(&self) -> impl Iterator<Item = (Sku, Location, Row)> + '_ {
        self.rows.iter().map(|ix| {
            let (sku, location) = self.rows.key(ix);
            (sku, location, self.rows.row(ix))
        })
    }

    /// The open holds on one SKU, in order of (id, location), one entry for each hold and location.
    ///
    /// A question of operators, not of buyers: O(locations) if nothing of the SKU is held, otherwise it walks the live holds until
    /// it has found all units held, so up to [`Limits::holds_max`].
    #[must_use]
    pub fn holds_of(&self, sku: Sku) -> Vec<HoldView> {
        let rows: Vec<_> = self.rows.of_sku(sku).collect();
        let mut to_find: u64 = rows.iter().map(|&(_, ix)| u64::from(self.rows.row(ix).held.0)).sum();
        let mut views = Vec::new();
        for place in self.holds.iter() {
            if to_find == 0 {
                break;
            }
            let record = self.holds.record(place);
            if !record.is_open() {
                continue;
            }
            let held = self.holds.lines(place);
            for &(location, ix) in &rows {
                let lines = held.iter().enumerate().filter(|(_, line)| line.row == Some(ix));
                let quantity: u32 = lines.map(|(at, line)| line.taken + self.holds.filled(place, at)).sum(); // part of `held`
                if quantity > 0 {
                    to_find -= u64::from(quantity);
                    let (id, owner, state) = (record.id(), record.owner(), record.public_state());
                    views.push(HoldView { id, owner, location, quantity: Units(quantity), state });
                }
            }
        }
        views.sort_unstable_by_key(|view| (view.id, view.location));
        views
    }

    /// The caller's timer for [`expire`](Ledger::expire): never later than the first expiry. It is earlier only where the hold that
    /// expired first of its stretch of time has gone another way; `expire` then finds nothing, and the next answer is later. O(1).
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        self.holds.next_expiry()
    }

    /// For how long the hold that is due first has waited for [`expire`](Ledger::expire), in milliseconds; zero if none is due.
    /// An upper bound, as `next_expiry` is a lower one.
    #[must_use]
    pub fn lag(&self, now: Millis) -> u64 {
        self.next_expiry().map_or(0, |due| now.0.saturating_sub(due.0))
    }

    /// The latest instant seen.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How much is kept, to compare with the limits.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            rows: self.rows.len(),
            holds: self.holds.len(),
            live: self.holds.live(),
            in_doubt: self.holds.in_doubt(),
            tombstones: self.holds.tombstones(),
            movements: self.movements.len(),
            announcements: self.announcements.len() as u32, // at most `announcements_max`
            shipments: self.shipments.len() as u32,
            backorders: self.holds.backorders.len(),
            purchase_limits: self.holds.purchases.limits.len() as u32,
            purchases: self.holds.purchases.holds.len() as u32,
            recorded: self.rows.journal.history.len(),
            events: self.rows.journal.events.len(),
        }
    }

    /// Bytes that its tables take. O(open announcements, shipments, backorders and counted holds).
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let [holds, lines, remembered, ids] = self.holds.bytes();
        let open = self.announcements.values().map(|open| size_of_val(open) + size_of_val(&*open.lines)).sum::<usize>()
            + self.shipments.values().map(|open| size_of_val(open) + size_of_val(&*open.lines)).sum::<usize>();
        let rare = self.rows.cold_bytes() + open + self.holds.backorders.bytes() + self.holds.purchases.bytes() + self.rows.journal.bytes();
        let noted = self.announcements.noted_bytes() + self.shipments.noted_bytes() + self.holds.purchases.limits.noted_bytes();
        let frozen = self.rows.frozen_bytes() + self.holds.frozen_bytes() + self.movements.frozen_bytes() + noted;
        Footprint { rows: self.rows.bytes(), holds, lines, remembered, ids, movements: self.movements.bytes(), rare, frozen }
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
        self.now = self.now.max(now.min(TIME_MAX));
        self.rows.journal.now = self.now;
        self.now
    }
}

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

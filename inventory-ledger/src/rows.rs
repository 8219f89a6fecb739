//! Rows of stock, one per (SKU, location), a cache line each, read by any thread while the ledger writes.
//!
//! Path: key → `Rows::find` (index of positions) → `RowIx` → one cache line → `Table::shift` or `book` → `take_changes`.
//! Read first: `Row`, then `RowCell`. The ledger alone writes (its `&mut` sees to that), with plain moves: relaxed stores, and
//! around a change of several columns a sequence that tells readers to look again.
//! Bounds: the ledger asks `rows_max` before it inserts; rows are never removed.

mod few;
mod frozen;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chunks::Chunks;
use crate::cold::{Cold, ColdCell, Rare};
use crate::index::{KeyCell, KeyIndex, Keyed, LEN_MAX, RowKey};
use crate::journal::{Journal, News, Place};
use crate::ring::Ring;
use crate::seqlock;
use crate::sync::{AtomicU32, Ordering};
use crate::{Limits, Line, Location, PerLine, Sku, UNITS_MAX, Units};

/// The columns of one row, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// Free to be held.
    pub available: Units,
    /// Set aside by open holds.
    pub held: Units,
    /// Promised to orders.
    pub committed: Units,
    /// Announced by suppliers and not yet here; no part of what is on hand.
    pub incoming: Units,
    /// Here and not for sale; [`unavailable`](crate::Ledger::unavailable) has it by reason.
    pub unavailable: Units,
    /// On the way to here from other locations; on hand nowhere meanwhile.
    pub in_transit: Units,
    /// Owed to holds that took more than was here; on hand nowhere.
    pub backordered: Units,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowIx(pub(crate) u32);

/// The columns in the row's own cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Available,
    Held,
    Committed,
    Incoming,
    Unavailable,
}

/// Set in [`RowCell::extra`] while the row is on the list of changes.
const CHANGED: u32 = 1 << 31;
/// The rest of [`RowCell::extra`]: which cold record the row has, counted from one; zero if it has none.
pub(crate) const COLD: u32 = CHANGED - 1;

/// Rows of a chunk, 64 KiB.
const CHUNK: usize = 1 << 10;

/// Cold records of a chunk: many, so that the directory of what few rows have stays small.
const COLD_CHUNK: usize = 1 << 12;

/// One row: its key, its columns and the books' own totals.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct RowCell {
    key: KeyCell,
    next: AtomicU32,
    /// Odd while columns change together.
    sequence: AtomicU32,
    available: AtomicU32,
    held: AtomicU32,
    committed: AtomicU32,
    unavailable: AtomicU32,
    incoming: AtomicU32,
    /// Whether the row is on the list of changes, and its cold record. Stored with release, since a reader that sees a new record's
    /// number goes there.
    extra: AtomicU32,
    /// Sum of all movements: what `on_hand` must be. Kept apart from the columns so that `check` has two sides.
    booked: AtomicU32,
    /// Units in `committed` whose hold was forgotten.
    detached: AtomicU32,
}

const _: () = assert!(cfg!(loom) || size_of::<RowCell>() == 64, "a row is one cache line, so that a line of a hold costs one miss");

impl Keyed for RowCell {
    fn key(&self) -> RowKey {
        self.key.get()
    }

    fn next(&self) -> &AtomicU32 {
        &self.next
    }
}

/// Loads of the writer, and of readers inside of a [`seqlock::read`]: ordered by that, so relaxed themselves.
fn load(column: &AtomicU32) -> Units {
    Units(column.load(Ordering::Relaxed))
}

/// Stores of the writer, inside of a [`seqlock::begin`] or to what no reader reads.
fn store(column: &AtomicU32, units: Units) {
    column.store(units.0, Ordering::Relaxed);
}

impl RowCell {
    /// What the cell itself has: in the order of [`Column`].
    #[inline]
    fn own(&self) -> Own {
        [load(&self.available), load(&self.held), load(&self.committed), load(&self.incoming), load(&self.unavailable)]
    }

    fn column(&self, column: Column) -> &AtomicU32 {
        match column {
            Column::Available => &self.available,
            Column::Held => &self.held,
            Column::Committed => &self.committed,
            Column::Incoming => &self.incoming,
            Column::Unavailable => &self.unavailable,
        }
    }
}

/// Columns of a cell, in the order of [`Column`].
type Own = [Units; 5];

/// The columns of a cell and those of its cold record together.
fn row([available, held, committed, incoming, unavailable]: Own, rare: [Units; Rare::ALL]) -> Row {
    let [in_transit, backordered] = rare;
    Row { available, held, committed, incoming, unavailable, in_transit, backordered }
}

/// What readers share with the writer.
pub(crate) struct Rows {
    cells: Chunks<RowCell, CHUNK>,
    index: KeyIndex,
    cold: Chunks<ColdCell, COLD_CHUNK>,
}

impl Rows {
    /// All columns, as they stand at this moment each.
    fn columns(&self, cell: &RowCell) -> Row {
        // Pairs with the release of whoever gave the row its record: the record's chunk is there.
        let rare = match cell.extra.load(Ordering::Acquire) & COLD {
            0 => [Units(0); Rare::ALL],
            at => self.cold.get(at - 1).all(),
        };
        row(cell.own(), rare)
    }

    pub(crate) fn find(&self, sku: Sku, location: Location) -> Option<RowIx> {
        self.index.find(&self.cells, RowKey { sku, location }).map(RowIx)
    }

    /// One load: whatever else is under way.
    pub(crate) fn available(&self, ix: RowIx) -> Units {
        load(&self.cells.get(ix.0).available)
    }

    /// All columns as they stood together at one instant, from any thread.
    pub(crate) fn whole(&self, ix: RowIx) -> Row {
        let cell = self.cells.get(ix.0);
        seqlock::read(&cell.sequence, || self.columns(cell))
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("len", &self.cells.len()).finish_non_exhaustive()
    }
}

/// All rows, from the writer's side, with the list of those changed since the last drain.
#[derive(Debug)]
pub(crate) struct Table {
    shared: Arc<Rows>,
    /// Rows on the list with their columns before they came on it: each at most once, so at most as many as there are rows.
    changed: Vec<(RowIx, Own)>,
    /// For how many rows there is memory, if there are fewer.
    roomy: u32,
    /// Every location that has a row, in order.
    locations: Vec<Location>,
    /// The writer's side of the cold records.
    pub(crate) cold: Ring<Cold>,
    /// Rows that owe units and have some available.
    ripe: BTreeSet<(Sku, Location, RowIx)>,
    pub(crate) journal: Journal,
    /// Of the snapshot that is under way.
    walk: Option<Box<frozen::RowWalk>>,
}

impl Table {
    pub(crate) fn new(limits: &Limits, seed: u64) -> Self {
        let rows_max = limits.rows_max.min(LEN_MAX);
        let journal = Journal::new(limits.history_max, limits.events_max);
        let shared = Rows { cells: Chunks::new(rows_max), index: KeyIndex::new(rows_max, seed), cold: Chunks::new(rows_max) };
        Self {
            shared: Arc::new(shared),
            changed: Vec::new(),
            roomy: 0,
            locations: Vec::new(),
            cold: Ring::new(),
            ripe: BTreeSet::new(),
            journal,
            walk: None,
        }
    }

    pub(crate) fn share(&self) -> Arc<Rows> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn len(&self) -> u32 {
        self.shared.cells.len()
    }

    pub(crate) fn make_room(&mut self, rows: u32) {
        self.roomy = rows.min(self.shared.cells.len_max()).max(self.roomy);
        self.shared.cells.make_room(rows);
        self.shared.index.make_room(rows);
    }

    /// Rows in order of insertion.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RowIx> + use<> {
        (0..self.len()).map(RowIx)
    }

    /// Bytes of rows and their buckets, both in chunks, and of the list of changes.
    pub(crate) fn bytes(&self) -> usize {
        let rows = self.len().max(self.roomy) as usize;
        let chunks = rows.div_ceil(CHUNK);
        let buckets = rows.max(1).div_ceil(crate::index::CHUNK);
        let directories =
            [CHUNK, COLD_CHUNK, crate::index::CHUNK].map(|chunk| self.shared.cells.len_max() as usize / chunk * 16).iter().sum::<usize>();
        chunks * CHUNK * size_of::<RowCell>()
            + buckets * crate::index::CHUNK * size_of::<u32>()
            + directories
            + self.changed.capacity() * size_of::<(RowIx, Own)>()
            + self.locations.capacity() * size_of::<Location>()
    }

    /// Bytes of the cold records.
    pub(crate) fn cold_bytes(&self) -> usize {
        (self.cold.len() as usize).div_ceil(COLD_CHUNK) * COLD_CHUNK * size_of::<ColdCell>() + self.cold.bytes()
    }

    /// Where the row of this key is. Two cache misses: the index, the row.
    pub(crate) fn find(&self, sku: Sku, location: Location) -> Option<RowIx> {
        self.shared.find(sku, location)
    }

    /// Where the rows of these keys are, each with its cache misses beside those of the others.
    pub(crate) fn find_all(&self, lines: &[Line]) -> PerLine<Option<RowIx>> {
        let key = |line: &Line| RowKey { sku: line.sku, location: line.location };
        let Rows { cells, index, .. } = &*self.shared;
        let hashes: PerLine<u32> = lines.iter().map(|line| index.hash(key(line))).collect();
        // Three at a time keep the memory busy.
        let (threes, rest) = hashes.as_chunks::<3>();
        threes.iter().for_each(|three| index.warm_all(cells, three));
        rest.iter().for_each(|hash| index.warm_all(cells, &[*hash]));
        lines.iter().zip(&hashes).map(|(line, &hash)| index.find_hashed(cells, key(line), hash).map(RowIx)).collect()
    }

    /// Loads what a look-up of this key will need, and waits for nothing.
    pub(crate) fn warm(&self, sku: Sku, location: Location) {
        let Rows { cells, index, .. } = &*self.shared;
        index.warm_all(cells, &[index.hash(RowKey { sku, location })]);
    }

    /// Rows of one SKU, in order of location: every location is looked up.
    pub(crate) fn of_sku(&self, sku: Sku) -> impl Iterator<Item = (Location, RowIx)> + '_ {
        self.locations.iter().filter_map(move |&location| Some((location, self.find(sku, location)?)))
    }

    pub(crate) fn key(&self, ix: RowIx) -> (Sku, Location) {
        let RowKey { sku, location } = self.cell(ix).key();
        (sku, location)
    }

    pub(crate) fn row(&self, ix: RowIx) -> Row {
        self.shared.columns(self.cell(ix))
    }

    pub(crate) fn available(&self, ix: RowIx) -> Units {
        self.shared.available(ix)
    }

    pub(crate) fn booked(&self, ix: RowIx) -> Units {
        load(&self.cell(ix).booked)
    }

    pub(crate) fn detached(&self, ix: RowIx) -> Units {
        load(&self.cell(ix).detached)
    }

    /// Adds an empty row. The caller has looked for the key and for room; `None` if the table takes no more.
    pub(crate) fn insert(&mut self, sku: Sku, location: Location) -> Option<RowIx> {
        debug_assert!(self.find(sku, location).is_none(), "one row per key");
        let ix = self.shared.cells.push(|cell| cell.key.set(RowKey { sku, location }))?;
        self.shared.index.insert(&self.shared.cells, ix);
        if let Err(at) = self.locations.binary_search(&location) {
            self.locations.insert(at, location);
        }
        Some(RowIx(ix))
    }

    /// Adds a row of a snapshot. The caller has looked for the key.
    pub(crate) fn restore(&mut self, sku: Sku, location: Location, row: Row, booked: Units, detached: Units) -> Option<RowIx> {
        let ix = self.insert(sku, location)?;
        if row.in_transit.max(row.backordered) > Units(0) {
            self.set_rare(ix, row);
        }
        let cell = self.cell(ix);
        let writing = seqlock::begin(&cell.sequence);
        store(&cell.available, row.available);
        store(&cell.held, row.held);
        store(&cell.committed, row.committed);
        store(&cell.incoming, row.incoming);
        store(&cell.unavailable, row.unavailable);
        store(&cell.booked, booked);
        store(&cell.detached, detached);
        drop(writing);
        if let Some(at) = self.cold_of(ix) {
            self.cold.get_mut(at).seen = row.available;
        }
        self.changed_cold(ix);
        Some(ix)
    }

    /// Moves units between two columns of one row; what is on hand stays.
    ///
    /// # Panics
    /// If `from` has too few: the caller checks before it moves, so that is a bug here.
    pub(crate) fn shift(&mut self, ix: RowIx, from: Column, to: Column, units: Units) {
        let is_cold = self.touch(ix);
        let cell = self.cell(ix);
        let (source, target) = (cell.column(from), cell.column(to));
        let there = load(source);
        assert!(units <= there, "{units:?} of {there:?} in {from:?}");
        let writing = seqlock::begin(&cell.sequence);
        store(source, Units(there.0 - units.0));
        store(target, Units(load(target).0 + units.0)); // cannot overflow: the sum of all columns is at most UNITS_MAX
        drop(writing);
        if is_cold || self.journal.is_on() {
            self.shifted(ix, from, to, units);
        }
    }

    /// The rest of a shift, of rows that have more to see to than most: apart, so that the others carry none of it.
    #[cold]
    #[inline(never)]
    fn shifted(&mut self, ix: RowIx, from: Column, to: Column, units: Units) {
        if self.journal.is_on() {
            let units = i64::from(units.0);
            self.journal.record(self.key(ix), &[(from.into(), -units), (to.into(), units)]);
        }
        self.changed_cold(ix);
    }

    /// Changes what is on hand to `available` more or fewer, from or to outside.
    ///
    /// # Panics
    /// If `available` would become negative or on hand more than [`UNITS_MAX`]: the caller checks first.
    pub(crate) fn book(&mut self, ix: RowIx, delta: i64) {
        let is_cold = self.touch(ix);
        let cell = self.cell(ix);
        let moved = |column: Units| {
            u32::try_from(i64::from(column.0) + delta)
                .ok()
                .filter(|&units| units <= UNITS_MAX.0)
                .map(Units)
                .unwrap_or_else(|| panic!("booking {delta} onto {column:?}"))
        };
        let (available, booked) = (moved(load(&cell.available)), moved(load(&cell.booked)));
        let writing = seqlock::begin(&cell.sequence);
        store(&cell.available, available);
        store(&cell.booked, booked);
        drop(writing);
        if self.journal.is_on() {
            self.journal.record(self.key(ix), &[(Place::Available, delta)]);
        }
        if is_cold {
            self.changed_cold(ix);
        }
    }

    /// Leaves units in `committed` that no hold accounts for any more.
    pub(crate) fn detach(&mut self, ix: RowIx, units: Units) {
        self.keep(ix);
        let detached = &self.cell(ix).detached;
        store(detached, Units(load(detached).0 + units.0)); // within `committed`, so within u32
    }

    /// Changes several columns of one row together, and by `booked` what its movements add up to.
    ///
    /// # Panics
    /// If a column would become negative or exceed [`UNITS_MAX`]: the caller checks first.
    pub(crate) fn apply(&mut self, ix: RowIx, columns: &[(Column, i64)], rare: Option<(Rare, i64)>, booked: i64) {
        self.touch(ix);
        if rare.is_some() {
            self.cold_at(ix);
        }
        let cell = self.cell(ix);
        let change = |column: &AtomicU32, delta: i64| {
            let units = u32::try_from(i64::from(load(column).0) + delta).ok().filter(|&units| units <= UNITS_MAX.0);
            store(column, Units(units.unwrap_or_else(|| panic!("{delta} onto {:?}", load(column)))));
        };
        let writing = seqlock::begin(&cell.sequence);
        columns.iter().for_each(|&(column, delta)| change(cell.column(column), delta));
        if let Some((column, delta)) = rare {
            let at = cell.extra.load(Ordering::Relaxed) & COLD;
            change(self.shared.cold.get(at - 1).column(column), delta);
        }
        change(&cell.booked, booked);
        drop(writing);
        if self.journal.is_on() {
            let rare = rare.map(|(column, delta)| match column {
                Rare::InTransit => (Place::InTransit, delta),
                Rare::Backordered => (Place::Backordered, delta),
            });
            let changes: Vec<_> = columns.iter().map(|&(column, delta)| (column.into(), delta)).chain(rare).collect();
            self.journal.record(self.key(ix), &changes);
        }
        self.changed_cold(ix);
    }

    /// After each change of a row that may have a cold record: tells of its level, and lists it if it owes units and has some, or
    /// takes it off the list.
    #[cold]
    fn changed_cold(&mut self, ix: RowIx) {
        let Some(at) = self.cold_of(ix) else { return };
        let ((sku, location), row) = (self.key(ix), self.row(ix));
        let (available, cold) = (row.available, self.cold.get_mut(at));
        let seen = std::mem::replace(&mut cold.seen, available);
        if let Some(low) = cold.low {
            if seen > low && available <= low {
                self.journal.tell(News::LowStock { sku, location, available });
            }
            if seen == Units(0) && available > Units(0) {
                self.journal.tell(News::BackInStock { sku, location, available });
            }
        }
        if row.backordered > Units(0) && row.available > Units(0) {
            self.ripe.insert((sku, location, ix));
        } else if !self.ripe.is_empty() {
            self.ripe.remove(&(sku, location, ix));
        }
    }

    /// The first row, in order of its key, that owes units and has some.
    pub(crate) fn first_ripe(&self) -> Option<RowIx> {
        self.ripe.first().map(|&(_, _, ix)| ix)
    }

    /// Whether a row has a cold record.
    pub(crate) fn is_cold(&self, ix: RowIx) -> bool {
        self.cell(ix).extra.load(Ordering::Relaxed) & COLD != 0
    }

    /// Before a row changes: keeps its old form if a snapshot needs it, and puts it on the list of changes unless it is there; says whether
    /// it has a cold record.
    fn touch(&mut self, ix: RowIx) -> bool {
        self.keep(ix);
        let cell = self.shared.cells.get(ix.0);
        let extra = cell.extra.load(Ordering::Relaxed);
        if extra & CHANGED == 0 {
            cell.extra.store(extra | CHANGED, Ordering::Release);
            self.changed.push((ix, cell.own()));
            if extra & COLD != 0 {
                self.cold.get_mut((extra & COLD) - 1).listed = self.shared.cold.get((extra & COLD) - 1).all();
            }
        }
        extra & COLD != 0
    }

    /// Which cold record a row has.
    fn cold_of(&self, ix: RowIx) -> Option<u32> {
        (self.cell(ix).extra.load(Ordering::Relaxed) & COLD).checked_sub(1)
    }

    /// What few rows have; `None` of all others.
    pub(crate) fn cold(&self, ix: RowIx) -> Option<&Cold> {
        self.cold_of(ix).map(|at| self.cold.get(at))
    }

    /// The same, to be changed, and given to the row if it has none yet.
    pub(crate) fn cold_at(&mut self, ix: RowIx) -> &mut Cold {
        self.keep(ix);
        let at = self.cold_of(ix).unwrap_or_else(|| {
            let at = self.shared.cold.push(|_| {}).expect("each row has at most one, and as many fit as rows do");
            let number = self.cold.push(Cold::new(ix, self.available(ix)));
            debug_assert_eq!(number, at, "both sides grow together");
            let extra = &self.cell(ix).extra;
            extra.store(extra.load(Ordering::Relaxed) | (at + 1), Ordering::Release);
            at
        });
        self.cold.get_mut(at)
    }

    fn set_rare(&mut self, ix: RowIx, row: Row) {
        self.cold_at(ix);
        let at = self.cold_of(ix).expect("just given");
        store(self.shared.cold.get(at).column(Rare::InTransit), row.in_transit);
        store(self.shared.cold.get(at).column(Rare::Backordered), row.backordered);
    }

    /// Empties the list of changes, in the order in which rows were first touched; rows that ended as they began are left out.
    pub(crate) fn take_changes(&mut self) -> impl Iterator<Item = RowChange> + '_ {
        let cells = &self.shared.cells;
        for (ix, _) in &self.changed {
            let extra = &cells.get(ix.0).extra;
            extra.store(extra.load(Ordering::Relaxed) & !CHANGED, Ordering::Release);
        }
        let (shared, cold) = (&self.shared, &self.cold);
        self.changed.drain(..).filter_map(|(ix, before)| {
            let cell = cells.get(ix.0);
            let (before, after) = match cell.extra.load(Ordering::Relaxed) & COLD {
                0 if before == cell.own() => return None,
                0 => (row(before, [Units(0); Rare::ALL]), row(cell.own(), [Units(0); Rare::ALL])),
                at => (row(before, cold.get(at - 1).listed), shared.columns(cell)),
            };
            let RowKey { sku, location } = cell.key();
            (after != before).then_some(RowChange { sku, location, before, after })
        })
    }

    /// Whether the index has every row, and the list every location.
    pub(crate) fn is_sound(&self) -> bool {
        let listed = |ix| self.locations.binary_search(&self.key(ix).1).is_ok();
        let ripe = |ix: &RowIx| self.row(*ix).backordered > Units(0) && self.available(*ix) > Units(0);
        let ripe: BTreeSet<_> = self.iter().filter(ripe).map(|ix| (self.key(ix).0, self.key(ix).1, ix)).collect();
        self.shared.index.is_sound(&self.shared.cells) && self.iter().all(listed) && ripe == self.ripe
    }

    fn cell(&self, ix: RowIx) -> &RowCell {
        self.shared.cells.get(ix.0)
    }
}

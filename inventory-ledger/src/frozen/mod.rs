//! A snapshot of one instant, given out in steps while the ledger goes on.
//!
//! Path: `freeze` notes how far every table reaches → the first change of something that has not been given out puts its old form aside
//! (its *pre-image*) → `frozen` gives the next items: what is put aside, else what is there → the last item ends it. The items are
//! those that [`Ledger::save`] had at the instant of `freeze`, in the same order, so [`Restore`](crate::Restore) and the digest know no
//! difference.
//!
//! How each table does it, read next: rows (`rows/frozen.rs`) are walked in order of insertion, and a row's old form is found by its
//! position. Live holds (`holds/frozen.rs`) are walked along the lists of the timing wheel; who leaves a list is remembered behind
//! the neighbour before. Queues (`fifo.rs`: remembered ids, movements, history, events) only lose entries in front. The small maps
//! (`map.rs`: announcements, shipments, purchase limits) note the old entry, or that there was none.
//!
//! Bounds: memory is what changes before its turn: 40 bytes a row (72 more if it has a cold record), 104 a hold of up to three lines (12
//! more where a neighbour is remembered by it), 56 a remembered id that is swept, the whole item of what is longer; beside it 4 bytes a
//! row and a place of a hold in pages of 4,096 that something changed in, and a bit a place of a hold. `Footprint::frozen` tells it.
//! A step is as long as its caller asks: an item costs a few cache misses, long ones count as several ([`Allowance`]), and nothing is
//! ever copied, sorted or moved as a whole. What an operation pays while a snapshot is under way is constant for each row and hold that it
//! changes.
//! Deliberately absent: anything that readers see. Old forms are read by the writer with the relaxed loads that it always uses, and no
//! atomic is added, so `ORDERINGS.md` has nothing to say of this.

mod fifo;
mod map;
mod marks;

pub(crate) use fifo::{Fifo, Next};
pub(crate) use map::Walked;
pub(crate) use marks::{Bits, Marks};

use crate::{Ledger, Saved, SavedBegin, SavedLimit};

/// Lines that cost as much as one item of none.
const LINES_PER_ITEM: usize = 8;
/// Items that giving back a chunk of memory costs as much as.
const ITEMS_PER_CHUNK: usize = 32;

/// What a step may still do.
#[derive(Debug)]
pub(crate) struct Allowance(usize);

impl Allowance {
    pub(crate) fn new(items: usize) -> Self {
        Self(items.max(1)) // a step that does nothing would never end
    }

    /// How many items of no lines.
    pub(crate) fn items(&self) -> usize {
        self.0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0 == 0
    }

    /// For an item of so many lines.
    pub(crate) fn spend(&mut self, lines: usize) {
        self.0 = self.0.saturating_sub(1 + lines / LINES_PER_ITEM);
    }

    /// Gives memory back, a chunk at a time, until `shrink` says that there is none; `true` if the allowance ends first.
    pub(crate) fn shrink(&mut self, mut shrink: impl FnMut() -> bool) -> bool {
        while !self.is_over() {
            if !shrink() {
                return false;
            }
            self.0 = self.0.saturating_sub(ITEMS_PER_CHUNK);
        }
        true
    }
}

/// Whether a snapshot is under way.
#[derive(Debug, Default)]
pub(crate) enum Frozen {
    #[default]
    No,
    /// Nothing has been given out.
    Begun(Box<SavedBegin>),
    /// The head has.
    UnderWay,
}

/// Snapshots in steps.
impl Ledger {
    /// Begins a snapshot of the state as it is. Nothing else changes: no answer, digest, reader or list of changes shows it. O(1) but for
    /// a word for each 4,096 rows or places of holds, and two for each of the wheel's 1,537 lists: microseconds.
    ///
    /// ```
    /// use inventory_ledger::{Ledger, Limits, Location, Millis, MovementId, Restore, Sku, Units};
    ///
    /// let mut ledger = Ledger::new(Limits::default());
    /// for sku in 0..10 {
    ///     ledger.open_row(Millis(0), MovementId(sku), Sku(sku), Location(1), Units(5))?;
    /// }
    /// let digest = ledger.digest();
    /// ledger.freeze();
    /// let mut restore = Restore::new(ledger.limits());
    /// let mut bad = Ok(());
    /// let mut id = 10;
    /// while ledger.frozen(4, &mut |item| bad = bad.and_then(|()| restore.put(item))) {
    ///     ledger.open_row(Millis(1), MovementId(id), Sku(id), Location(1), Units(7))?; // the ledger goes on meanwhile
    ///     id += 1;
    /// }
    /// bad?;
    /// assert!(restore.finish()?.digest() == digest && ledger.digest() != digest);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If one is under way: [`thaw`](Ledger::thaw) it first.
    pub fn freeze(&mut self) {
        assert!(!self.is_frozen(), "a snapshot is under way: end it, or give it up by `thaw`");
        self.frozen = Frozen::Begun(Box::new(self.begin()));
        self.rows.freeze();
        self.holds.freeze();
        self.movements.freeze();
        self.announcements.freeze();
        self.shipments.freeze();
    }

    /// Gives the next items of the snapshot that is under way, about `max_items` of them and at least one if there are any; `true` while
    /// there is more to do. After `false` nothing is frozen any more, and the memory of old forms is given back; that is done in steps
    /// too, so a call may give no item and yet answer `true`. Without a snapshot it gives nothing and answers `false`.
    ///
    /// Any operation may run between two calls. An item of many lines counts as one more for each 8 of them, so that a step takes about
    /// the same time whatever its items are.
    pub fn frozen(&mut self, max_items: usize, take: &mut impl FnMut(Saved)) -> bool {
        let mut left = Allowance::new(max_items);
        match std::mem::take(&mut self.frozen) {
            Frozen::No => return false,
            Frozen::Begun(begin) => {
                take(Saved::Begin(*begin));
                left.spend(0);
            }
            Frozen::UnderWay => {}
        }
        let more = self.rows.walk(&mut left, take)
            || self.holds.walk(&self.rows, &mut left, take)
            || self.movements.walk(&mut left, |movement| take(Saved::Movement(movement)))
            || self.announcements.walk(&mut left, |open| open.lines.len(), |_, open| take(Saved::Announcement(open)))
            || self.shipments.walk(&mut left, |open| open.lines.len(), |_, open| take(Saved::Shipment(open)))
            || self.holds.purchases.limits.walk(&mut left, |_| 0, |sku, limit| take(Saved::Limit(SavedLimit { sku, limit })))
            || self.rows.journal.history.walk(&mut left, |recorded| take(Saved::Recorded(recorded)))
            || self.rows.journal.events.walk(&mut left, |event| take(Saved::Event(event)));
        if more {
            self.frozen = Frozen::UnderWay;
        }
        more
    }

    /// Gives a snapshot up, if one is under way: nothing is frozen any more. O(what is put aside), to give its memory back.
    pub fn thaw(&mut self) {
        self.frozen = Frozen::No;
        self.rows.thaw();
        self.holds.thaw();
        self.movements.thaw();
        self.announcements.thaw();
        self.shipments.thaw();
    }

    /// Whether a snapshot is under way.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        match self.frozen {
            Frozen::No => false,
            Frozen::Begun(_) | Frozen::UnderWay => true,
        }
    }
}

//! What happened, for those who read along: movements of units, and events of stock levels.
//!
//! Path: an operation says its cause → every change of a row's columns is recorded with it, as units from one place to another →
//! `history`; a row with a threshold tells when its available units fall to it, and when there are some again → `events`.
//! Both are rings with serial numbers: a reader comes with the last number it has seen, and is told if what followed is gone.
//! Bounds: `history_max`, `events_max` entries; beyond them the oldest is dropped, and at zero nothing is recorded.

use std::collections::VecDeque;

use crate::frozen::{Allowance, Fifo, Next};
use crate::rows::Column;
use crate::{FilledLine, HoldId, Ledger, Location, Millis, MovementId, Sku, Units, UnknownRow};

/// Number of a record, from one on without gaps. Zero is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

/// What followed the serial number is not kept any more: read the rows anew, and go on from before `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records before {} are gone", first.0)]
pub struct Gone {
    /// The oldest that is kept; the next to come if none is.
    pub first: Serial,
}

/// Where units of a row are, or are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In none of the row's columns.
    Outside,
    /// Free to be held.
    Available,
    /// Set aside.
    Held,
    /// Promised.
    Committed,
    /// Announced.
    Incoming,
    /// Not for sale.
    Unavailable,
    /// On the way to here.
    InTransit,
    /// Owed.
    Backordered,
}

impl From<Column> for Place {
    fn from(column: Column) -> Self {
        match column {
            Column::Available => Self::Available,
            Column::Held => Self::Held,
            Column::Committed => Self::Committed,
            Column::Incoming => Self::Incoming,
            Column::Unavailable => Self::Unavailable,
        }
    }
}

/// What made units move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A change of stock, a restock, or goods.
    Movement(MovementId),
    /// A hold was made.
    Hold(HoldId),
    /// A hold was committed, whole or in part.
    Commit(HoldId),
    /// A hold was released.
    Release(HoldId),
    /// A hold expired.
    Expiry(HoldId),
    /// A backordered line was given units.
    Fill(HoldId),
    /// A committed hold was forgotten.
    Forget(HoldId),
}

/// Units that moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// Its number.
    pub serial: Serial,
    /// When.
    pub at: Millis,
    /// Why.
    pub cause: Cause,
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// Out of which column.
    pub from: Place,
    /// Into which.
    pub to: Place,
    /// How many.
    pub units: Units,
}

/// Something that others want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its number.
    pub serial: Serial,
    /// When.
    pub at: Millis,
    /// What.
    pub news: News,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// Available units fell from above the row's threshold to it or below.
    LowStock {
        /// What.
        sku: Sku,
        /// Where.
        location: Location,
        /// How many are left.
        available: Units,
    },
    /// Units are available in a row with a threshold, where none were.
    BackInStock {
        /// What.
        sku: Sku,
        /// Where.
        location: Location,
        /// How many.
        available: Units,
    },
    /// A backordered line was given units.
    Filled(FilledLine),
}

/// A ring of records with serial numbers.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    kept: VecDeque<T>,
    /// Of the next.
    pub(crate) next: u64,
    max: usize,
    /// Of the snapshot that is under way.
    walk: Option<Fifo<T>>,
}

impl<T: Copy> Ring<T> {
    fn new(max: u32) -> Self {
        Self { kept: VecDeque::new(), next: 1, max: max as usize, walk: None }
    }

    /// Records what `make` makes of the next number.
    pub(crate) fn push(&mut self, make: impl FnOnce(Serial) -> T) {
        if self.max == 0 {
            return;
        }
        if self.kept.len() == self.max
            && let Some(oldest) = self.kept.pop_front()
            && let Some(walk) = &mut self.walk
        {
            walk.dropped(|| oldest);
        }
        self.kept.push_back(make(Serial(self.next)));
        self.next += 1;
    }

    fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    fn after(&self, after: Serial, max: usize) -> Result<Vec<T>, Gone> {
        let first = self.first();
        if after.0.saturating_add(1) < first {
            return Err(Gone { first: Serial(first) });
        }
        let skip = usize::try_from(after.0.saturating_add(1) - first).unwrap_or(usize::MAX);
        Ok(self.kept.iter().skip(skip).take(max).copied().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter()
    }

    pub(crate) fn len(&self) -> u32 {
        self.kept.len() as u32 // at most `max`
    }

    pub(crate) fn has_room(&self) -> bool {
        self.kept.len() < self.max
    }

    fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<T>()
    }

    pub(crate) fn freeze(&mut self) {
        self.walk = Some(Fifo::new(self.kept.len()));
    }

    pub(crate) fn thaw(&mut self) {
        self.walk = None;
    }

    /// Gives out records as they were, oldest first; `true` if `left` ends it before its end.
    pub(crate) fn walk(&mut self, left: &mut Allowance, mut give: impl FnMut(T)) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        while !left.is_over() {
            let record = match walk.next() {
                Some(Next::Old(record)) => record,
                Some(Next::At(at)) => self.kept[at],
                None => {
                    self.walk = None;
                    return false;
                }
            };
            left.spend(0);
            give(record);
        }
        true
    }

    fn frozen_bytes(&self) -> usize {
        self.walk.as_ref().map_or(0, Fifo::bytes)
    }
}

/// Both rings, and what is being recorded.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) now: Millis,
    pub(crate) cause: Cause,
    pub(crate) history: Ring<Recorded>,
    pub(crate) events: Ring<Event>,
}

impl Journal {
    pub(crate) fn new(history_max: u32, events_max: u32) -> Self {
        let cause = Cause::Movement(MovementId(0)); // every operation says its own before it moves anything
        Self { now: Millis(0), cause, history: Ring::new(history_max), events: Ring::new(events_max) }
    }

    /// Whether movements are recorded at all.
    pub(crate) fn is_on(&self) -> bool {
        self.history.max > 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.history.bytes() + self.events.bytes()
    }

    /// Bytes of records that were dropped before a snapshot came to them.
    pub(crate) fn frozen_bytes(&self) -> usize {
        self.history.frozen_bytes() + self.events.frozen_bytes()
    }

    /// Records that columns of a row changed by so much: units lost by some were gained by others, or went in or out.
    #[cold]
    pub(crate) fn record(&mut self, (sku, location): (Sku, Location), changes: &[(Place, i64)]) {
        let outside = -changes.iter().map(|&(_, delta)| delta).sum::<i64>();
        let all = || changes.iter().copied().chain([(Place::Outside, outside)]);
        let mut lost: Vec<(Place, i64)> = all().filter(|&(_, delta)| delta < 0).collect();
        let (at, cause) = (self.now, self.cause);
        for (to, mut gained) in all().filter(|&(_, delta)| delta > 0) {
            for (from, left) in lost.iter_mut().filter(|(_, left)| *left < 0) {
                let units = gained.min(-*left);
                (gained, *left) = (gained - units, *left + units);
                if units > 0 {
                    let units = Units(units as u32); // of one column, so within UNITS_MAX
                    self.history.push(|serial| Recorded { serial, at, cause, sku, location, from: *from, to, units });
                }
            }
        }
    }

    pub(crate) fn tell(&mut self, news: News) {
        let at = self.now;
        self.events.push(|serial| Event { serial, at, news });
    }
}

/// Reading along.
impl Ledger {
    /// Up to `max` movements after this one, oldest first. O(max).
    ///
    /// # Errors
    /// `Gone` if some of those that followed are not kept any more.
    pub fn history(&self, after: Serial, max: usize) -> Result<Vec<Recorded>, Gone> {
        self.rows.journal.history.after(after, max)
    }

    /// Up to `max` events after this one, oldest first. O(max).
    ///
    /// # Errors
    /// `Gone` if some of those that followed are not kept any more.
    pub fn events(&self, after: Serial, max: usize) -> Result<Vec<Event>, Gone> {
        self.rows.journal.events.after(after, max)
    }

    /// Lets a row tell when its available units fall to `low`, and when there are some where none were; `None`: no longer. Happens
    /// each time it is called; the order of calls decides. O(1).
    ///
    /// # Errors
    /// If there is no such row.
    pub fn set_threshold(&mut self, now: Millis, sku: Sku, location: Location, low: Option<Units>) -> Result<(), UnknownRow> {
        self.advance(now);
        let ix = self.rows.find(sku, location).ok_or(UnknownRow)?;
        self.rows.cold_at(ix).low = low;
        Ok(())
    }

    /// Says what moves units from here on.
    #[inline]
    pub(crate) fn because(&mut self, cause: Cause) {
        if self.rows.journal.is_on() {
            self.rows.journal.cause = cause;
        }
    }
}

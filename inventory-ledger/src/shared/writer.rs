//! One thread's way to change a shared ledger.
//!
//! Path: `reserve` → `want` (lines to rows, sorted, summed) → a record → `attempt` (publish, take row by row; back on the first
//! that has too little) → `verdict` on that row → again, or the answer. `commit` and `release` win the hold's state, then move
//! its units.
//! Bounds: `LINES_MAX`, `TRIES_MAX`.

use std::sync::Arc;

use super::holds::{HeldLine, Magazine};
use super::near::Near;
use super::rows::{Counter, SharedRow};
use super::{Hold, Inner, ReserveRefused, Reserved, Stale};
use crate::index::RowKey;
use crate::sync::{Ordering, fence};
use crate::{BadLines, LINES_MAX, Line, Units};

#[cfg(doc)]
use crate::UNITS_MAX;

/// How often a call looks at a row that has too little and keeps changing, before it answers `Contended`.
pub const TRIES_MAX: u32 = 4;

/// Changes a [`SharedLedger`](super::SharedLedger) from one thread at a time. Owns a slot in which it says what it is in the
/// middle of, and a few free records; both are given back when it is dropped.
///
/// Alone on its cache lines, since it changes at every call: writers that lie side by side do not slow each other down.
#[repr(align(128))]
pub struct Writer {
    pub(super) ledger: Arc<Inner>,
    pub(super) slot: u32,
    magazine: Magazine,
    pub(super) near: Near,
    /// Scratch: the rows of the lines asked, in their order.
    rows: Vec<u32>,
    /// Scratch: the same rows, sorted, each once.
    wanted: Vec<Wanted>,
    /// Scratch: the lines of the hold to resolve.
    held: Vec<HeldLine>,
}

/// What a reservation wants of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    row: u32,
    /// The first line of this row, among the lines asked.
    index: u16,
    /// Of all its lines; more than [`UNITS_MAX`] is never there.
    units: u64,
    /// What was left when it was taken.
    left: Units,
}

/// How a row that had too little looks on a closer look.
enum Verdict {
    /// It had too little, and that is nobody's work in progress.
    Short { available: Units },
    /// Another call is in the middle of something there.
    InFlight,
    /// It has enough, or it changed during the look.
    Changed,
}

impl Writer {
    pub(super) fn new(ledger: Arc<Inner>) -> Option<Self> {
        let slot = ledger.registry.claim()?;
        Some(Self {
            ledger,
            slot,
            magazine: Magazine::default(),
            near: Near::new(),
            rows: Vec::with_capacity(LINES_MAX),
            wanted: Vec::with_capacity(LINES_MAX),
            held: Vec::with_capacity(LINES_MAX),
        })
    }

    /// Sets all lines aside, or none. Lines of the same row are summed. One compare-and-swap a row; O(lines × log lines), and
    /// a look-up for each.
    ///
    /// # Errors
    /// [`ReserveRefused`]: nothing was taken.
    pub fn reserve(&mut self, lines: &[Line]) -> Result<Reserved, ReserveRefused> {
        self.want(lines)?;
        let Self { ledger, slot, magazine, near, wanted, rows, .. } = self;
        let first = ledger.slab.take_for(magazine, wanted.len()).ok_or(ReserveRefused::Full)?;
        if let Err(refused) = ledger.take_all(*slot, near, wanted) {
            ledger.slab.give_back(magazine, first);
            return Err(refused);
        }
        let taken = wanted.iter().map(|wanted| HeldLine { row: wanted.row, units: Units(wanted.units as u32) });
        let hold = ledger.slab.open(first, taken);
        let left = |row: &u32| {
            let at = wanted.binary_search_by_key(row, |wanted| wanted.row).expect("each line's row was wanted");
            wanted[at].left
        };
        Ok(Reserved { hold, remaining: rows.iter().map(left).collect() })
    }

    /// Promises a hold's units for good: they count as committed from here on, until [`ship`](Self::ship) or
    /// [`restock`](Self::restock). By any writer, once. O(rows of the hold).
    ///
    /// # Errors
    /// `Stale`: the hold was resolved before, or never was.
    pub fn commit(&mut self, hold: Hold) -> Result<(), Stale> {
        let Self { ledger, magazine, held, .. } = self;
        ledger.slab.look(hold, held).ok_or(Stale)?;
        if !ledger.slab.resolve(hold) {
            return Err(Stale);
        }
        for &HeldLine { row, units } in &*held {
            ledger.rows.get(row).add(Counter::Committed, units);
        }
        ledger.slab.free_hold(magazine, hold);
        Ok(())
    }

    /// Gives a hold's units back. By any writer, once. O(rows of the hold).
    ///
    /// # Errors
    /// `Stale`: the hold was resolved before, or never was.
    pub fn release(&mut self, hold: Hold) -> Result<(), Stale> {
        let Self { ledger, slot, magazine, near, held, .. } = self;
        ledger.slab.look(hold, held).ok_or(Stale)?;
        // Before the hold ends: who learns that it ended must find either its units or this call in the middle of it.
        ledger.registry.publish(*slot, held.iter().map(|line| line.row));
        let won = ledger.slab.resolve(hold);
        if won {
            for &HeldLine { row, units } in &*held {
                near.left(row, ledger.rows.get(row).put(units));
            }
        }
        ledger.registry.clear(*slot);
        if !won {
            return Err(Stale);
        }
        ledger.slab.free_hold(magazine, hold);
        Ok(())
    }

    /// Resolves the lines to `rows` in the order asked and to `wanted`, sorted by row, each row once.
    fn want(&mut self, lines: &[Line]) -> Result<(), ReserveRefused> {
        if lines.is_empty() {
            return Err(BadLines::Empty.into());
        }
        if lines.len() > LINES_MAX {
            return Err(BadLines::TooMany { len: lines.len() }.into());
        }
        if let Some(at) = lines.iter().position(|line| line.quantity == Units(0)) {
            return Err(BadLines::ZeroQuantity { index: at as u16 }.into());
        }
        self.rows.clear();
        self.wanted.clear();
        for (line, index) in lines.iter().zip(0..) {
            let key = RowKey { sku: line.sku, location: line.location };
            let Some(row) = self.near.place(key, || self.ledger.find_surely(key)) else {
                let of_row = lines.iter().filter(|other| (other.sku, other.location) == (line.sku, line.location));
                let requested = saturated(of_row.map(|line| u64::from(line.quantity.0)).sum());
                return Err(ReserveRefused::Short { index, requested, available: Units(0) });
            };
            self.rows.push(row);
            self.wanted.push(Wanted { row, index, units: u64::from(line.quantity.0), left: Units(0) });
        }
        if lines.len() > 1 {
            self.wanted.sort_unstable_by_key(|wanted| (wanted.row, wanted.index));
            self.wanted.dedup_by(|later, kept| {
                let same = later.row == kept.row;
                kept.units += if same { later.units } else { 0 };
                same
            });
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ledger.slab.give_up(&mut self.magazine);
        // A panic in the middle of a call leaves the slot as it is: what the call had taken is gone, and its rows answer
        // `Contended` rather than a `Short` that nobody can vouch for.
        if !self.ledger.registry.is_busy(self.slot) {
            self.ledger.registry.unclaim(self.slot);
        }
    }
}

/// What a reservation and every other taker of available units share.
impl Inner {
    /// Takes what is wanted, all or nothing, and notes what it left.
    #[inline]
    pub(super) fn take_all(&self, slot: u32, near: &mut Near, wanted: &mut [Wanted]) -> Result<(), ReserveRefused> {
        let mut changing = 0;
        for _ in 0..TRIES_MAX {
            let Some(short) = self.attempt(slot, near, wanted) else { return Ok(()) };
            let Wanted { row, index, units, .. } = wanted[short];
            changing = index;
            match self.verdict(slot, row, units) {
                Verdict::Short { available } => return Err(ReserveRefused::Short { index, requested: saturated(units), available }),
                Verdict::InFlight => return Err(ReserveRefused::Contended { index }),
                Verdict::Changed => {}
            }
        }
        Err(ReserveRefused::Contended { index: changing })
    }

    /// One go at all rows. On the first that has too little everything is back where it was; returns which.
    #[inline]
    fn attempt(&self, slot: u32, near: &mut Near, wanted: &mut [Wanted]) -> Option<usize> {
        // A single row is decided by its one exchange: at no instant are its units in the hands of something undecided.
        let published = wanted.len() > 1;
        if published {
            self.registry.publish(slot, wanted.iter().map(|wanted| wanted.row));
        }
        let mut short = None;
        for (at, wanted) in wanted.iter_mut().enumerate() {
            let units = u32::try_from(wanted.units).ok();
            match units.and_then(|units| self.rows.get(wanted.row).take(Units(units), near.word(wanted.row))) {
                Some(word) => {
                    wanted.left = word.available();
                    near.left(wanted.row, word);
                }
                None => {
                    short = Some(at);
                    break;
                }
            }
        }
        for wanted in &wanted[..short.unwrap_or(0)] {
            near.left(wanted.row, self.rows.get(wanted.row).put(Units(wanted.units as u32)));
        }
        if published {
            self.registry.clear(slot);
        }
        short
    }

    /// A closer look at a row that had too little for `units`. Nothing of this writer's is under way there.
    #[cold]
    fn verdict(&self, slot: u32, row: u32, units: u64) -> Verdict {
        // Two shortages, each after a return that the other did not see, would contradict each other: of two fences one is
        // first, and the shortage after the other sees what was before it.
        fence(Ordering::SeqCst);
        let word = self.rows.get(row).word();
        let available = word.available();
        if u64::from(available.0) >= units {
            return Verdict::Changed;
        }
        if self.registry.in_flight(row, slot) {
            return Verdict::InFlight;
        }
        if self.rows.get(row).word() == word { Verdict::Short { available } } else { Verdict::Changed }
    }

    /// The row's position; looks twice before it says that there is none, for the same reason as `verdict`.
    #[inline]
    fn find_surely(&self, key: RowKey) -> Option<u32> {
        self.index.find(&self.rows, key).or_else(|| {
            fence(Ordering::SeqCst);
            self.index.find(&self.rows, key)
        })
    }

    /// One row for `movements`.
    pub(super) fn row_surely(&self, key: RowKey) -> Option<(u32, &SharedRow)> {
        self.find_surely(key).map(|at| (at, self.rows.get(at)))
    }

    /// Takes from one row on behalf of `movements`, and says what is left.
    pub(super) fn take_one(&self, slot: u32, near: &mut Near, row: u32, units: Units) -> Result<Units, ReserveRefused> {
        let mut wanted = [Wanted { row, index: 0, units: u64::from(units.0), left: Units(0) }];
        self.take_all(slot, near, &mut wanted).map(|()| wanted[0].left)
    }
}

fn saturated(units: u64) -> Units {
    Units(u32::try_from(units).unwrap_or(u32::MAX))
}

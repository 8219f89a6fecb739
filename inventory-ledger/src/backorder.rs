//! Units sold before they are here: backorders and preorders.
//!
//! Path: `set_policy` lets a row promise more than it has → a hold takes what is free and the rest is *owed* (its line stands in the
//! row's queue) → units become available → `fill` gives them to the oldest lines: available → held, or committed if the hold is →
//! or the hold ends, and what it was owed is owed no more.
//!
//! While a row owes units, the first of those available there are for its queue: a new hold takes only what is beyond them. Rows that
//! owe units and have some are *ripe* and listed, so that a step of `fill` looks at nothing else.
//! Bounds: `backorders_max` holds, live and remembered; each row's own limit; `fill` does at most what its caller asks for.

use std::collections::BTreeMap;

use crate::cold::Rare;
use crate::holds::Place;
use crate::record::{Flags, State};
use crate::rows::{Column, RowIx};
use crate::{Cause, Filled, FilledLine, HoldId, Ledger, Location, Millis, News, Sku, Units};

/// Whether a row may promise units that it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Only what is available is sold.
    #[default]
    Deny,
    /// Up to `limit` units are owed at once.
    Backorder {
        /// At it, a hold is short.
        limit: Units,
    },
    /// The same, for holds made before an instant: the day of release.
    Preorder {
        /// At it, a hold is short.
        limit: Units,
        /// From then on only what is available is sold.
        until: Millis,
    },
}

impl Policy {
    /// How many units the row may owe.
    fn limit(self, now: Millis) -> Units {
        match self {
            Self::Backorder { limit } => limit,
            Self::Preorder { limit, until } if now < until => limit,
            Self::Deny | Self::Preorder { .. } => Units(0),
        }
    }
}

/// There is no such row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no such SKU at this location")]
pub struct UnknownRow;

/// What one line of a hold is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Back {
    /// When the hold was made.
    pub(crate) at_first: u32,
    /// Of them, given since.
    pub(crate) filled: u32,
    /// Of them, still owed.
    pub(crate) owed: u32,
    /// Its place in the row's queue.
    pub(crate) turn: u64,
}

/// Every hold with such a line, live and remembered, and the queues of rows.
#[derive(Debug, Default)]
pub(crate) struct Backorders {
    holds: BTreeMap<HoldId, Box<[Back]>>,
    /// Lines that are owed units, by row, oldest first.
    queues: BTreeMap<(RowIx, u64), (HoldId, u16)>,
    /// Of the next line.
    turn: u64,
}

impl Backorders {
    pub(crate) fn len(&self) -> u32 {
        self.holds.len() as u32 // at most `backorders_max`
    }

    pub(crate) fn turn(&self) -> u64 {
        self.turn
    }

    pub(crate) fn set_turn(&mut self, turn: u64) {
        self.turn = turn;
    }

    pub(crate) fn of(&self, id: HoldId) -> &[Back] {
        self.holds.get(&id).map_or(&[], |backs| backs)
    }

    /// Bytes, about: a tree's nodes are full to two thirds.
    pub(crate) fn bytes(&self) -> usize {
        let lines: usize = self.holds.values().map(|backs| size_of_val(&**backs)).sum();
        lines + self.holds.len() * 3 / 2 * size_of::<(HoldId, Box<[Back]>)>() + self.queues.len() * 3 / 2 * size_of::<[u64; 6]>()
    }

    /// Keeps what a hold's lines are owed, each at the end of its row's queue.
    fn queue(&mut self, id: HoldId, rows: &[Option<RowIx>], owed: &[u32]) {
        let back = |owed: &u32| Back { at_first: *owed, filled: 0, owed: *owed, turn: 0 };
        let mut backs: Box<[Back]> = owed.iter().map(back).collect();
        for (at, (back, row)) in backs.iter_mut().zip(rows).enumerate() {
            if let Some(row) = row.filter(|_| back.owed > 0) {
                back.turn = self.turn;
                self.queues.insert((row, self.turn), (id, at as u16));
                self.turn += 1;
            }
        }
        self.holds.insert(id, backs);
    }

    /// Puts back what a snapshot tells of a hold; says whether it can be.
    pub(crate) fn restore(&mut self, id: HoldId, rows: &[Option<RowIx>], backs: Box<[Back]>) -> bool {
        for (at, (back, row)) in backs.iter().zip(rows).enumerate() {
            if back.owed > 0 {
                let Some(row) = row else { return false };
                if back.turn >= self.turn || self.queues.insert((*row, back.turn), (id, at as u16)).is_some() {
                    return false;
                }
            }
        }
        self.holds.insert(id, backs);
        true
    }

    pub(crate) fn forget(&mut self, id: HoldId) {
        self.holds.remove(&id);
    }

    /// Whether the queues have every line that is owed something, and no other.
    pub(crate) fn is_sound(&self) -> bool {
        let queued = |(&(_, turn), &(id, at)): (&(RowIx, u64), &(HoldId, u16))| {
            let back = self.of(id).get(usize::from(at));
            back.is_some_and(|back| back.owed > 0 && back.turn == turn && turn < self.turn)
        };
        let owed = self.holds.values().flatten().filter(|back| back.owed > 0).count();
        owed == self.queues.len() && self.queues.iter().all(queued)
    }
}

/// Units that are not here yet.
impl Ledger {
    /// Lets a row promise more than it has, or no longer. What it owes already stays owed. Happens each time it is called; the
    /// order of calls decides. O(1).
    ///
    /// # Errors
    /// If there is no such row.
    pub fn set_policy(&mut self, now: Millis, sku: Sku, location: Location, policy: Policy) -> Result<(), UnknownRow> {
        self.advance(now);
        let ix = self.rows.find(sku, location).ok_or(UnknownRow)?;
        self.rows.cold_at(ix).policy = policy;
        Ok(())
    }

    /// A row's policy; `Deny` where none was set, or there is no row. O(1).
    #[must_use]
    pub fn policy(&self, sku: Sku, location: Location) -> Policy {
        let cold = self.rows.find(sku, location).and_then(|ix| self.rows.cold(ix));
        cold.map_or(Policy::Deny, |cold| cold.policy)
    }

    /// Gives available units to lines that are owed some, up to `max` lines: row by row in order of (SKU, location), and in a row the
    /// oldest line first, whole or with what is there. Units of an open hold become held, of a committed one committed.
    ///
    /// A bounded step, O(max × log(backordered lines)), and O(lines) of a committed hold: call again while `more`. Expire first: a
    /// hold that is due is given its units like another.
    pub fn fill(&mut self, now: Millis, max: usize) -> Filled {
        self.advance(now);
        let mut filled = Filled::default();
        while filled.lines.len() < max {
            let Some(row) = self.rows.first_ripe() else { break };
            filled.lines.push(self.fill_first(row));
        }
        filled.more = self.rows.first_ripe().is_some();
        filled
    }

    /// Gives a ripe row's units to the first line of its queue.
    fn fill_first(&mut self, row: RowIx) -> FilledLine {
        let queues = &self.holds.backorders.queues;
        let (&key, &(id, at)) = queues.range((row, 0)..).next().expect("a ripe row owes units");
        let place = self.holds.live_place(id).expect("only live holds are owed units");
        let available = self.rows.available(row).0;
        let back = self.holds.back_mut(place, id, at);
        let units = back.owed.min(available);
        back.owed -= units;
        back.filled += units;
        let left = Units(back.owed);
        if left == Units(0) {
            self.holds.backorders.queues.remove(&key);
        }
        let to = match self.holds.record(place).state {
            State::Held | State::Pinned => Column::Held,
            State::Committed => {
                let mut held = self.holds.lines(place);
                held[usize::from(at)].committed += units;
                self.update_lines(place, &held);
                Column::Committed
            }
            State::Free => unreachable!("a known id has a place in use"),
        };
        let delta = i64::from(units);
        self.because(Cause::Fill(id));
        self.rows.apply(row, &[(Column::Available, -delta), (to, delta)], Some((Rare::Backordered, -delta)), 0);
        let ((sku, location), owner) = (self.rows.key(row), self.holds.record(place).owner());
        let line = FilledLine { hold: id, owner, line: at, sku, location, units: Units(units), left };
        self.rows.journal.tell(News::Filled(line));
        line
    }

    /// Units of a row that a hold could have: those free, and those that the row may come to owe.
    pub(crate) fn to_be_had(&self, row: RowIx, now: Millis) -> (u32, u32) {
        let available = self.rows.available(row).0;
        let Some(cold) = self.rows.cold(row) else { return (available, 0) };
        let owed = self.rows.row(row).backordered.0;
        let limit = cold.policy.limit(now).min(crate::UNITS_MAX).0;
        (available.saturating_sub(owed), limit.saturating_sub(owed))
    }

    /// Notes what a new hold is owed.
    pub(crate) fn owe(&mut self, id: HoldId, rows: &[Option<RowIx>], owed: &[u32]) {
        self.holds.backorders.queue(id, rows, owed);
        for (row, &owed) in rows.iter().zip(owed) {
            if let Some(row) = row.filter(|_| owed > 0) {
                self.rows.apply(row, &[], Some((Rare::Backordered, owed.into())), 0);
            }
        }
    }

    /// What a hold is owed still.
    pub(crate) fn owed(&self, place: Place) -> u64 {
        let record = self.holds.record(place);
        if !record.flags.has(Flags::BACKORDER) {
            return 0;
        }
        self.holds.backorders.of(record.id()).iter().map(|back| u64::from(back.owed)).sum()
    }

    /// A hold is owed nothing any more.
    pub(crate) fn waive(&mut self, place: Place) {
        let record = self.holds.record(place);
        if !record.flags.has(Flags::BACKORDER) {
            return;
        }
        let id = record.id();
        for (at, line) in self.holds.lines(place).iter().enumerate() {
            let Some(row) = line.row else { continue };
            let back = self.holds.back_mut(place, id, at as u16);
            let (owed, turn) = (std::mem::take(&mut back.owed), back.turn);
            if owed > 0 {
                self.holds.backorders.queues.remove(&(row, turn));
                self.rows.apply(row, &[], Some((Rare::Backordered, -i64::from(owed))), 0);
            }
        }
    }
}

impl crate::holds::HoldBook {
    /// Of the hold at `place`, whose id is `id`.
    fn back_mut(&mut self, place: Place, id: HoldId, at: u16) -> &mut Back {
        self.keep_old(place);
        &mut self.backorders.holds.get_mut(&id).expect("a queued hold is kept")[usize::from(at)]
    }

    /// What a hold's line was given since the hold was made.
    pub(crate) fn filled(&self, place: Place, at: usize) -> u32 {
        let record = self.record(place);
        if record.flags.has(Flags::BACKORDER) { self.backorders.of(record.id())[at].filled } else { 0 }
    }
}

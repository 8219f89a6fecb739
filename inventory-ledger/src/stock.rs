//! Movements: what changes the stock on hand, and what brings committed units back. Each has an id and happens once.
//!
//! Path: id and body → known? its first outcome : decided here → `Table::book` or `shift` → remembered in the `Window`.
//! Read first: `Ledger::stock`. Bounds: `movements_kept_max`, `rows_max`, `UNITS_MAX`, `LINES_MAX`.

use crate::holds::Found;
use crate::ledger::{index, saturated, wanted_with, well_formed};
use crate::lines::HeldLine;
use crate::movements::{Act, ApartBody, Remembered, RestockBody, StockBody};
use crate::record::{End, State};
use crate::rows::{Column, RowIx};
use crate::{
    Cause, Full, HoldId, Ledger, Line, Location, Millis, MoveRefused, Moved, MovementId, Reason, RestockRefused, Restocked, Row, Sku,
    Unavailable, Units,
};

/// Changes of one row. Those of what is on hand move `available` by the difference, and all are idempotent by their id: within
/// [`MOVEMENT_WINDOW_MS`](crate::MOVEMENT_WINDOW_MS) the same id with the same body gives the first outcome again, refusals
/// included, and moves nothing; with another body it is refused as `IdReused`. O(1).
impl Ledger {
    /// Creates the row with `on_hand` units, all available, unless there is one: that stays as it is, and the answer says so.
    ///
    /// # Errors
    /// `Overflow`, `IdReused`, `Full`.
    pub fn open_row(&mut self, now: Millis, id: MovementId, sku: Sku, location: Location, on_hand: Units) -> Result<Moved, MoveRefused> {
        let body = StockBody::Open { sku, location, on_hand };
        self.stock(now, id, body)
    }

    /// Adds `delta` units to what is on hand. A positive delta creates the row if need be.
    ///
    /// # Errors
    /// `Committed` if more would leave than is available, `Overflow`, `UnknownRow`, `IdReused`, `Full`.
    pub fn adjust(
        &mut self,
        now: Millis,
        id: MovementId,
        sku: Sku,
        location: Location,
        delta: i64,
        reason: Reason,
    ) -> Result<Moved, MoveRefused> {
        let body = StockBody::Adjust { sku, location, delta, reason };
        self.stock(now, id, body)
    }

    /// Makes `on_hand` the number on hand, if it is `expected` now (or in any case). Creates the row if need be; where there is
    /// none, zero are on hand.
    ///
    /// # Errors
    /// `Mismatch`, `Committed` if less would be on hand than is promised, `Overflow`, `IdReused`, `Full`.
    #[expect(clippy::too_many_arguments, reason = "each is a type of its own, so none can be mistaken for another")]
    pub fn set(
        &mut self,
        now: Millis,
        id: MovementId,
        sku: Sku,
        location: Location,
        on_hand: Units,
        expected: Option<Units>,
        reason: Reason,
    ) -> Result<Moved, MoveRefused> {
        let body = StockBody::Set { sku, location, on_hand, expected, reason };
        self.stock(now, id, body)
    }

    /// Takes available units off sale, for a reason: available → unavailable.
    ///
    /// # Errors
    /// `Committed` if fewer are available, `UnknownRow`, `IdReused`, `Full`.
    pub fn set_apart(
        &mut self,
        now: Millis,
        id: MovementId,
        sku: Sku,
        location: Location,
        why: Unavailable,
        units: Units,
    ) -> Result<Moved, MoveRefused> {
        self.stock(now, id, StockBody::SetApart(ApartBody { sku, location, why, units }))
    }

    /// Puts units that were set apart for this reason on sale again: unavailable → available.
    ///
    /// # Errors
    /// `TooFew` if fewer are set apart for it, `UnknownRow`, `IdReused`, `Full`.
    pub fn put_back(
        &mut self,
        now: Millis,
        id: MovementId,
        sku: Sku,
        location: Location,
        why: Unavailable,
        units: Units,
    ) -> Result<Moved, MoveRefused> {
        self.stock(now, id, StockBody::PutBack(ApartBody { sku, location, why, units }))
    }

    /// Books units out that were set apart for this reason: they are on hand no more, and were for sale at no time in between.
    ///
    /// # Errors
    /// As of `put_back`.
    pub fn write_off(
        &mut self,
        now: Millis,
        id: MovementId,
        sku: Sku,
        location: Location,
        why: Unavailable,
        units: Units,
    ) -> Result<Moved, MoveRefused> {
        self.stock(now, id, StockBody::WriteOff(ApartBody { sku, location, why, units }))
    }

    /// Units of one row that are not for sale, by reason in the order of [`Unavailable::ALL`]; together the row's `unavailable`. O(1).
    #[must_use]
    pub fn unavailable(&self, sku: Sku, location: Location) -> [Units; Unavailable::ALL.len()] {
        let cold = self.rows.find(sku, location).and_then(|ix| self.rows.cold(ix));
        cold.map_or_else(Default::default, |cold| cold.apart)
    }

    /// Returns committed units of a hold to available, after its order was cancelled: `lines` of it, or all that is left.
    ///
    /// Each unit comes back at most once: lines of the same row are summed, and may ask for no more than the hold committed
    /// there and has not had back. The last unit ends the hold as `Restocked`, unless it is owed more; without `lines` what it was owed
    /// is owed no more. Idempotent by `id`, in one space with the
    /// changes of stock; malformed lines are not remembered. O(given lines × (given lines + lines of the hold)).
    ///
    /// # Errors
    /// `Unknown`, `NotCommitted`, `TooMany`, `Malformed`, `IdReused`, `Full`: see each.
    pub fn restock(&mut self, now: Millis, id: MovementId, hold: HoldId, lines: Option<&[Line]>) -> Result<Restocked, RestockRefused> {
        let now = self.advance(now);
        lines.map_or(Ok(()), well_formed)?;
        let body = RestockBody { hold, lines: lines.map(Box::from) };
        if let Some(Remembered { act, .. }) = self.movements.find(id) {
            return match act {
                Act::Restock(known, outcome) if *known == body => outcome.map(|first| Restocked { replayed: true, ..first }),
                Act::Restock(..) | Act::Stock(..) | Act::Goods(..) => Err(RestockRefused::IdReused),
            };
        }
        self.room_to_remember()?;
        self.because(Cause::Movement(id));
        let outcome = self.decide_restock(now, hold, lines);
        self.movements.remember(now, id, Act::Restock(body, outcome));
        outcome
    }

    fn stock(&mut self, now: Millis, id: MovementId, body: StockBody) -> Result<Moved, MoveRefused> {
        let now = self.advance(now);
        if let Some(Remembered { act, .. }) = self.movements.find(id) {
            return match act {
                Act::Stock(known, outcome) if *known == body => outcome.map(|first| Moved { replayed: true, ..first }),
                Act::Stock(..) | Act::Restock(..) | Act::Goods(..) => Err(MoveRefused::IdReused),
            };
        }
        self.room_to_remember()?;
        self.because(Cause::Movement(id));
        let outcome = self.decide_stock(body);
        if !matches!(outcome, Err(MoveRefused::Full(_))) {
            self.movements.remember(now, id, Act::Stock(body, outcome));
        }
        outcome
    }

    pub(crate) fn room_to_remember(&self) -> Result<(), Full> {
        if self.movements.len() < self.limits.movements_kept_max { Ok(()) } else { Err(Full::Movements) }
    }

    fn decide_stock(&mut self, body: StockBody) -> Result<Moved, MoveRefused> {
        match body {
            StockBody::Open { sku, location, on_hand } => match self.rows.find(sku, location) {
                Some(ix) => Ok(Moved { row: self.rows.row(ix), created: false, replayed: false }),
                None => self.change_on_hand(sku, location, None, i64::from(on_hand.0)),
            },
            StockBody::Adjust { sku, location, delta, reason: _ } => match self.rows.find(sku, location) {
                None if delta <= 0 => Err(MoveRefused::UnknownRow),
                found => self.change_on_hand(sku, location, found, delta),
            },
            StockBody::Set { sku, location, on_hand, expected, reason: _ } => {
                let found = self.rows.find(sku, location);
                let actual = found.map_or(Units(0), |ix| self.rows.row(ix).on_hand());
                if expected.is_some_and(|expected| expected != actual) {
                    return Err(MoveRefused::Mismatch { actual });
                }
                let delta = i64::from(on_hand.0) - i64::from(actual.0);
                self.change_on_hand(sku, location, found, delta)
            }
            StockBody::SetApart(body) => {
                let (ix, units, apart) = self.apart(body)?;
                let Row { available, held, committed, .. } = self.rows.row(ix);
                if body.units > available {
                    return Err(MoveRefused::Committed { available, held, committed });
                }
                self.regroup(ix, body, Units(apart.0 + units as u32)); // a part of what is on hand, so within u32
                self.rows.apply(ix, &[(Column::Available, -units), (Column::Unavailable, units)], None, 0);
                Ok(Moved { row: self.rows.row(ix), created: false, replayed: false })
            }
            StockBody::PutBack(body) => {
                let (ix, units, apart) = self.apart(body)?;
                let left = apart.0.checked_sub(body.units.0).ok_or(MoveRefused::TooFew { apart })?;
                self.regroup(ix, body, Units(left));
                self.rows.apply(ix, &[(Column::Unavailable, -units), (Column::Available, units)], None, 0);
                Ok(Moved { row: self.rows.row(ix), created: false, replayed: false })
            }
            StockBody::WriteOff(body) => {
                let (ix, units, apart) = self.apart(body)?;
                let left = apart.0.checked_sub(body.units.0).ok_or(MoveRefused::TooFew { apart })?;
                self.regroup(ix, body, Units(left));
                self.rows.apply(ix, &[(Column::Unavailable, -units)], None, -units);
                Ok(Moved { row: self.rows.row(ix), created: false, replayed: false })
            }
        }
    }

    /// The row, the units to move, and how many are set apart for that reason.
    fn apart(&self, body: ApartBody) -> Result<(RowIx, i64, Units), MoveRefused> {
        let ix = self.rows.find(body.sku, body.location).ok_or(MoveRefused::UnknownRow)?;
        let apart = self.rows.cold(ix).map_or(Units(0), |cold| cold.apart[body.why.index()]);
        Ok((ix, i64::from(body.units.0), apart))
    }

    /// Notes how many are set apart for that reason from here on.
    fn regroup(&mut self, ix: RowIx, body: ApartBody, apart: Units) {
        self.rows.cold_at(ix).apart[body.why.index()] = apart;
    }

    /// Checks the bounds and books; creates the row where none was found.
    fn change_on_hand(&mut self, sku: Sku, location: Location, found: Option<RowIx>, delta: i64) -> Result<Moved, MoveRefused> {
        let row = found.map_or_else(Row::default, |ix| self.rows.row(ix));
        if i64::from(row.available.0).saturating_add(delta) < 0 {
            return Err(MoveRefused::Committed { available: row.available, held: row.held, committed: row.committed });
        }
        let on_hand = row.on_hand();
        if i64::from(on_hand.0).saturating_add(delta) > i64::from(crate::UNITS_MAX.0) {
            return Err(MoveRefused::Overflow { on_hand });
        }
        let ix = match found {
            Some(ix) => ix,
            None if self.rows.len() >= self.limits.rows_max => return Err(Full::Rows.into()),
            None => self.insert_row(sku, location).ok_or(Full::Rows)?,
        };
        if delta != 0 {
            self.rows.book(ix, delta);
        }
        Ok(Moved { row: self.rows.row(ix), created: found.is_none(), replayed: false })
    }

    fn decide_restock(&mut self, now: Millis, hold: HoldId, lines: Option<&[Line]>) -> Result<Restocked, RestockRefused> {
        let place = match self.holds.find(hold) {
            None => return Err(RestockRefused::Unknown),
            Some(Found::Live(place)) if self.holds.record(place).state == State::Committed => place,
            Some(Found::Live(place)) => return Err(RestockRefused::NotCommitted { state: self.holds.record(place).public_state() }),
            Some(Found::Ended(memory)) => {
                return Err(RestockRefused::NotCommitted { state: self.holds.ended(memory).end.public() });
            }
        };
        let mut held = self.holds.lines(place);
        let units_left = |held: &[HeldLine]| held.iter().map(|line| u64::from(line.left())).sum::<u64>();
        let before = units_left(&held);

        if let Some(lines) = lines {
            for (at, line) in lines.iter().enumerate() {
                let row = self.rows.find(line.sku, line.location);
                let of_row = held.iter().filter(|other| row.is_some() && other.row == row);
                let left = of_row.map(|other| u64::from(other.left())).sum();
                let requested = wanted_with(lines, line);
                if requested > left {
                    return Err(RestockRefused::TooMany { index: index(at), requested: saturated(requested), left: saturated(left) });
                }
            }
            for line in lines {
                let row = self.rows.find(line.sku, line.location);
                let mut wanted = line.quantity.0;
                for other in held.iter_mut().filter(|other| other.row == row) {
                    let units = wanted.min(other.left());
                    wanted -= units;
                    self.bring_back(other, units);
                }
                assert_eq!(wanted, 0, "the lines were checked to fit");
            }
        } else {
            self.waive(place);
            for line in &mut held {
                let units = line.left();
                self.bring_back(line, units);
            }
        }

        let (left, owed) = (units_left(&held), self.owed(place));
        if left == 0 && owed == 0 {
            self.end(place, now, End::Restocked, &held);
        } else {
            self.update_lines(place, &held);
            self.recount(place, &held);
        }
        Ok(Restocked { units: before - left, left, owed, replayed: false })
    }

    fn bring_back(&mut self, line: &mut HeldLine, units: u32) {
        if let Some(row) = line.row.filter(|_| units > 0) {
            line.restocked += units;
            self.rows.shift(row, Column::Committed, Column::Available, Units(units));
        }
    }
}

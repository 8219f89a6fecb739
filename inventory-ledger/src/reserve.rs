//! Holds: stock set aside for one order attempt, then pinned, committed, released or expired.
//!
//! Path: `hold` (all rows checked, then all taken) → `pin` → `commit` → `restock` (in `stock`) or `forget`; or `release`; or
//! `expire`. Ended holds and tombstones answer late messages until `sweep`.
//! Bounds: `LINES_MAX`, `holds_max`, `tombstones_max`; `expire` and `sweep` do at most what their caller asks for.

use crate::holds::{HeldLine, HoldRecord, Slot, State};
use crate::ledger::{PerLine, index, saturated, wanted_with, well_formed};
use crate::rows::{Column, RowIx};
use crate::{
    CommitRefused, Committed, Expired, ForgetRefused, Forgotten, Full, Held, HoldId, HoldRefused, HoldState, Ledger, Line, Millis, Owner,
    PinRefused, Pinned, ReleaseRefused, Released, ShortLine, Swept, Units,
};

/// Holds. Each is named by the caller's id, and every step may be repeated: the answer is the same and nothing moves twice.
impl Ledger {
    /// Sets all lines aside for `ttl_ms`, or none. Lines of the same row are summed before they are checked.
    ///
    /// The same id with the same owner, lines (in the same order) and time to live gives the first answer again, whatever has
    /// become of the hold. A refusal leaves no trace, so the same hold may be tried again; a caller who gives up an attempt
    /// whose message may still be under way sends a [`release`](Ledger::release), which keeps it out.
    ///
    /// Cost: two cache misses a line and one ordered insertion, O(lines × log lines + log holds); a shortage costs O(lines²).
    ///
    /// # Errors
    /// Checked in this order: `Malformed`, `IdReused`, `Tombstoned`, `Full`, `Short`.
    pub fn hold(&mut self, now: Millis, id: HoldId, owner: Owner, lines: &[Line], ttl_ms: u64) -> Result<Held, HoldRefused> {
        let now = self.advance(now);
        well_formed(lines)?;
        if let Some(slot) = self.holds.find(id) {
            let record = self.holds.record(slot);
            let same_body = record.owner == owner && record.ttl_ms == ttl_ms && self.same_lines(record, lines);
            return if same_body { Ok(answer(record, true)) } else { Err(HoldRefused::IdReused) };
        }
        if self.holds.has_tombstone(id) {
            return Err(HoldRefused::Tombstoned);
        }
        if self.holds.len() >= self.limits.holds_max {
            return Err(Full::Holds.into());
        }

        let rows = self.rows_with_enough(lines)?;
        for (&row, line) in rows.iter().zip(lines) {
            self.rows.shift(row, Column::Available, Column::Held, line.quantity);
        }
        let held_line = |(&row, line): (&RowIx, &Line)| HeldLine {
            row,
            quantity: line.quantity,
            remaining: self.rows.row(row).available,
            restocked: Units(0),
        };
        let record = HoldRecord {
            id,
            owner,
            ttl_ms,
            expires_at: now.after(ttl_ms),
            state: State::Held,
            lines: rows.iter().zip(lines).map(held_line).collect(),
        };
        let answer = answer(&record, false);
        self.holds.insert(record);
        Ok(answer)
    }

    /// Keeps a hold from expiring: from here only `commit` or `release` ends it. O(log holds).
    ///
    /// A hold whose `expires_at` has come cannot be pinned, whether or not [`expire`](Ledger::expire) has reached it: the
    /// answer depends on time alone.
    ///
    /// # Errors
    /// Says how the hold ended, or that it is unknown.
    pub fn pin(&mut self, now: Millis, id: HoldId) -> Result<Pinned, PinRefused> {
        let now = self.advance(now);
        let Some(slot) = self.holds.find(id) else {
            return Err(if self.holds.has_tombstone(id) { PinRefused::Released } else { PinRefused::Unknown });
        };
        let record = self.holds.record(slot);
        match record.state {
            State::Held if record.is_due(now) => Err(PinRefused::Expired),
            State::Held => {
                self.holds.set_state(slot, now, State::Pinned);
                Ok(Pinned { replayed: false })
            }
            State::Pinned => Ok(Pinned { replayed: true }),
            State::Committed | State::Restocked | State::Forgotten => Err(PinRefused::Committed),
            State::Released => Err(PinRefused::Released),
            State::Expired => Err(PinRefused::Expired),
        }
    }

    /// Promises the units of a held or pinned hold to their order: held → committed. O(lines + log holds).
    ///
    /// A committed hold is kept until all of it is restocked or the caller says [`forget`](Ledger::forget).
    ///
    /// # Errors
    /// Says how the hold ended, or that it is unknown. One that is due counts as expired, as for `pin`.
    pub fn commit(&mut self, now: Millis, id: HoldId) -> Result<Committed, CommitRefused> {
        let now = self.advance(now);
        let Some(slot) = self.holds.find(id) else {
            return Err(if self.holds.has_tombstone(id) { CommitRefused::Released } else { CommitRefused::Unknown });
        };
        let record = self.holds.record(slot);
        match record.state {
            State::Held if record.is_due(now) => Err(CommitRefused::Expired),
            State::Held | State::Pinned => {
                self.end_open(slot, now, State::Committed, Column::Committed);
                Ok(Committed { replayed: false })
            }
            State::Committed | State::Restocked | State::Forgotten => Ok(Committed { replayed: true }),
            State::Released => Err(CommitRefused::Released),
            State::Expired => Err(CommitRefused::Expired),
        }
    }

    /// Gives a held or pinned hold back: held → available. O(lines + log holds).
    ///
    /// The release of a hold that is due ends it as expired, there and then; `expire` will not list it. The release of an
    /// unknown hold sets a tombstone, for [`TOMBSTONE_MS`](crate::TOMBSTONE_MS) at least, that refuses it when it comes late.
    ///
    /// # Errors
    /// `Committed`: use [`restock`](Ledger::restock). `Full`: no room for the tombstone.
    pub fn release(&mut self, now: Millis, id: HoldId) -> Result<Released, ReleaseRefused> {
        let now = self.advance(now);
        let Some(slot) = self.holds.find(id) else {
            return self.bury(now, id);
        };
        let record = self.holds.record(slot);
        match record.state {
            State::Held if record.is_due(now) => {
                self.end_open(slot, now, State::Expired, Column::Available);
                Ok(Released::Expired)
            }
            State::Held | State::Pinned => {
                self.end_open(slot, now, State::Released, Column::Available);
                Ok(Released::Returned { replayed: false })
            }
            State::Released => Ok(Released::Returned { replayed: true }),
            State::Expired => Ok(Released::Expired),
            State::Committed | State::Restocked | State::Forgotten => Err(ReleaseRefused::Committed),
        }
    }

    /// Ends the book-keeping of a committed hold: its units stay committed, and no restock under this hold returns them.
    ///
    /// For orders that are beyond cancelling. It makes the hold ripe for `sweep`; without it committed holds count against
    /// [`Limits::holds_max`](crate::Limits) for ever. O(lines).
    ///
    /// # Errors
    /// `Unknown`; `NotCommitted` if it was never committed.
    pub fn forget(&mut self, now: Millis, id: HoldId) -> Result<Forgotten, ForgetRefused> {
        let now = self.advance(now);
        match self.hold_state(id) {
            Some(HoldState::Committed) => {}
            Some(HoldState::Restocked | HoldState::Forgotten) => {
                return Ok(Forgotten { replayed: true });
            }
            Some(
                state @ (HoldState::Held { .. } | HoldState::Pinned | HoldState::Released | HoldState::Expired | HoldState::Tombstoned),
            ) => return Err(ForgetRefused::NotCommitted { state }),
            None => return Err(ForgetRefused::Unknown),
        }
        let slot = self.holds.find(id).ok_or(ForgetRefused::Unknown)?;
        for line in &self.holds.record(slot).lines {
            self.rows.detach(line.row, line.left());
        }
        self.holds.set_state(slot, now, State::Forgotten);
        Ok(Forgotten { replayed: false })
    }

    /// Ends up to `max` holds whose time has come, in order of (`expires_at`, id): held → available.
    ///
    /// A bounded step: call again while `more`. O(max × (lines + log holds)).
    pub fn expire(&mut self, now: Millis, max: usize) -> Expired {
        let now = self.advance(now);
        let mut ids = Vec::new();
        while ids.len() < max {
            let Some(slot) = self.holds.first_due(now) else {
                break;
            };
            ids.push(self.holds.record(slot).id);
            self.end_open(slot, now, State::Expired, Column::Available);
        }
        let more = self.holds.first_due(now).is_some();
        Expired { ids, more }
    }

    /// Forgets up to `max` ended holds, tombstones and movements (in that order) that were kept for their full time.
    ///
    /// Only this makes room for new ones; nothing is forgotten otherwise. A bounded step, O(max): call again while `more`.
    pub fn sweep(&mut self, now: Millis, max: usize) -> Swept {
        let now = self.advance(now);
        let mut swept = Swept::default();
        for _ in 0..max {
            if self.holds.sweep_hold(now) {
                swept.holds += 1;
            } else if self.holds.sweep_tombstone(now) {
                swept.tombstones += 1;
            } else if self.movements.sweep_one(now) {
                swept.movements += 1;
            } else {
                break;
            }
        }
        swept.more = self.holds.has_old_hold(now) || self.holds.has_old_tombstone(now) || self.movements.has_old(now);
        swept
    }

    /// The rows of the lines, each in its line's place, if every row has enough for all its lines together.
    fn rows_with_enough(&self, lines: &[Line]) -> Result<PerLine<RowIx>, HoldRefused> {
        let found = |line: &Line| self.rows.find(line.sku, line.location);
        let Some(rows) = lines.iter().map(found).collect::<Option<PerLine<_>>>() else {
            return Err(self.short(lines));
        };
        // Sorted by row, the lines of one row stand together and their sum is one pass.
        let demand = |(&row, line): (&RowIx, &Line)| (row, u64::from(line.quantity.0));
        let mut demands: PerLine<(RowIx, u64)> = rows.iter().zip(lines).map(demand).collect();
        demands.sort_unstable();
        let has_enough = |of_row: &[(RowIx, u64)]| {
            let wanted: u64 = of_row.iter().map(|&(_, units)| units).sum();
            wanted <= u64::from(self.rows.row(of_row[0].0).available.0)
        };
        if demands.chunk_by(|a, b| a.0 == b.0).all(has_enough) { Ok(rows) } else { Err(self.short(lines)) }
    }

    /// The refusal that lists every line whose row has too little. Only for lines known to be short somewhere.
    fn short(&self, lines: &[Line]) -> HoldRefused {
        let of_line = |(at, line): (usize, &Line)| {
            let available = self.available(line.sku, line.location);
            let requested = wanted_with(lines, line);
            (requested > u64::from(available.0)).then_some(ShortLine {
                index: index(at),
                sku: line.sku,
                location: line.location,
                requested: saturated(requested),
                available,
            })
        };
        HoldRefused::Short { lines: lines.iter().enumerate().filter_map(of_line).collect() }
    }

    fn same_lines(&self, record: &HoldRecord, lines: &[Line]) -> bool {
        let same = |(held, line): (&HeldLine, &Line)| {
            let dense = self.rows.dense(held.row);
            (dense.sku, dense.location, held.quantity) == (line.sku, line.location, line.quantity)
        };
        record.lines.len() == lines.len() && record.lines.iter().zip(lines).all(same)
    }

    /// Moves the units of an open hold out of `held` and gives it its next state.
    fn end_open(&mut self, slot: Slot, now: Millis, state: State, to: Column) {
        for line in &self.holds.record(slot).lines {
            self.rows.shift(line.row, Column::Held, to, line.quantity);
        }
        self.holds.set_state(slot, now, state);
    }

    fn bury(&mut self, now: Millis, id: HoldId) -> Result<Released, ReleaseRefused> {
        if self.holds.has_tombstone(id) {
            return Ok(Released::Tombstoned { replayed: true });
        }
        if self.holds.tombstones_len() >= self.limits.tombstones_max {
            return Err(Full::Tombstones.into());
        }
        self.holds.bury(id, now);
        Ok(Released::Tombstoned { replayed: false })
    }
}

/// The answer to the first call, from what the hold keeps.
fn answer(record: &HoldRecord, replayed: bool) -> Held {
    Held { expires_at: record.expires_at, remaining: record.lines.iter().map(|line| line.remaining).collect(), replayed }
}

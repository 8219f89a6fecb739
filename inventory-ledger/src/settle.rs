//! What its caller decides about a hold: kept, lengthened, promised, given back, or out of mind.
//!
//! Path: id → live record or remembered end → the answer, and units between the columns of its rows.
//! Every step says of a hold that has ended how it did, and changes nothing then.

use crate::holds::{Found, Memory, Place, too_old};
use crate::ledger::{index, saturated, wanted_with, well_formed};
use crate::lines::HeldLine;
use crate::record::{End, Flags, State};
use crate::reserve::{Asked, is_too_new};
use crate::rows::Column;
use crate::{
    Cause, CommitRefused, Committed, Extended, ForgetRefused, Forgotten, Full, HoldId, HoldState, IdKind, Ledger, Line, Millis, PinRefused,
    Pinned, ReleaseRefused, Released, Settled, Units,
};

/// Decisions about a hold.
impl Ledger {
    /// Keeps a hold from expiring, and ends the doubt about it: from here only `commit` or `release` ends it. O(1), and O(lines)
    /// of a hold in doubt.
    ///
    /// A hold whose `expires_at` has come cannot be pinned, whether or not [`expire`](Ledger::expire) has reached it: the
    /// answer depends on time alone.
    ///
    /// # Errors
    /// Says how the hold ended, or that it is unknown.
    pub fn pin(&mut self, now: Millis, id: HoldId) -> Result<Pinned, PinRefused> {
        let now = self.advance(now);
        let (place, state) = self.open(now, id)?;
        self.holds.settle(place);
        self.holds.keep(place, State::Pinned);
        Ok(Pinned { replayed: state == State::Pinned })
    }

    /// Ends the doubt about a hold: a shortage that it explains is a shortage from here on. It still expires. O(lines).
    ///
    /// # Errors
    /// As of `pin`.
    pub fn settle(&mut self, now: Millis, id: HoldId) -> Result<Settled, PinRefused> {
        let now = self.advance(now);
        let (place, _) = self.open(now, id)?;
        Ok(Settled { replayed: !self.holds.settle(place) })
    }

    /// Lets a held hold last until `ttl_ms` from now, if that is later than it would; at most for
    /// [`Limits::hold_life_ms_max`](crate::Limits::hold_life_ms_max) from its making. Never shortens. O(1).
    ///
    /// # Errors
    /// As of `pin`.
    pub fn extend(&mut self, now: Millis, id: HoldId, ttl_ms: u64) -> Result<Extended, PinRefused> {
        let now = self.advance(now);
        let (place, state) = self.open(now, id)?;
        if state == State::Pinned {
            return Ok(Extended { expires_at: None, capped: false });
        }
        let record = self.holds.record(place);
        let (made_at, before) = (record.made_at(), record.expires_at());
        let (wanted, last) = (now.after(ttl_ms), made_at.after(u64::from(self.limits.hold_life_ms_max)));
        let expires_at = wanted.min(last).max(before);
        if expires_at > before {
            let life_ms = (expires_at.0 - made_at.0) as u32; // at most `hold_life_ms_max`
            self.holds.extend(place, life_ms);
        }
        Ok(Extended { expires_at: Some(expires_at), capped: wanted > expires_at })
    }

    /// Promises the units of a held or pinned hold to their order: held → committed. O(lines).
    ///
    /// A committed hold is kept until all of it is restocked or the caller says [`forget`](Ledger::forget). Units that it is owed stay
    /// owed, and are committed when they are given.
    ///
    /// # Errors
    /// Says how the hold ended, or that it is unknown. One that is due counts as expired, as for `pin`. `Differs` if it was
    /// committed in part.
    pub fn commit(&mut self, now: Millis, id: HoldId) -> Result<Committed, CommitRefused> {
        let now = self.advance(now);
        let Some(place) = self.to_commit(now, id)? else {
            return match self.holds.find(id) {
                Some(Found::Live(place)) if !self.holds.record(place).flags.has(Flags::IN_PART) => Ok(Committed { replayed: true }),
                Some(Found::Ended(memory)) if !self.holds.ended(memory).flags.has(Flags::IN_PART) => Ok(Committed { replayed: true }),
                Some(Found::Live(_) | Found::Ended(_)) | None => Err(CommitRefused::Differs),
            };
        };
        self.because(Cause::Commit(id));
        self.holds.settle(place);
        let mut held = self.holds.lines(place);
        for (at, line) in held.iter_mut().enumerate() {
            line.committed = line.taken + self.holds.filled(place, at);
            if let Some(row) = line.row.filter(|_| line.committed > 0) {
                self.rows.shift(row, Column::Held, Column::Committed, Units(line.committed));
            }
        }
        if self.holds.record(place).flags.has(Flags::SPILLED) {
            self.update_lines(place, &held);
        }
        self.holds.keep(place, State::Committed);
        Ok(Committed { replayed: false })
    }

    /// Promises these units of a held or pinned hold to their order, and gives the rest back: held → committed, available. What the
    /// hold was owed is owed no more.
    /// Lines of the same row are summed. The same lines again (in any order) change nothing. O(lines × lines of the hold).
    ///
    /// # Errors
    /// As of `commit`; `TooMany` where the hold has less; `Differs` if it was committed whole or by other lines; `Malformed`
    /// (of no line: release it instead).
    pub fn commit_part(&mut self, now: Millis, id: HoldId, lines: &[Line]) -> Result<Committed, CommitRefused> {
        let now = self.advance(now);
        well_formed(lines)?;
        let Some(place) = self.to_commit(now, id)? else {
            return if self.same_part(id, lines) { Ok(Committed { replayed: true }) } else { Err(CommitRefused::Differs) };
        };
        let mut held = self.holds.lines(place);
        for (at, line) in lines.iter().enumerate() {
            let row = self.rows.find(line.sku, line.location);
            let of_row = held.iter().enumerate().filter(|(_, other)| row.is_some() && other.row == row);
            let there = of_row.map(|(at, other)| u64::from(other.taken + self.holds.filled(place, at))).sum();
            let requested = wanted_with(lines, line);
            if requested > there {
                return Err(CommitRefused::TooMany { index: index(at), requested: saturated(requested), held: saturated(there) });
            }
        }
        self.holds.settle(place);
        for line in lines {
            let row = self.rows.find(line.sku, line.location);
            let mut wanted = line.quantity.0;
            for (at, other) in held.iter_mut().enumerate().filter(|(_, other)| other.row == row) {
                let units = wanted.min(other.taken + self.holds.filled(place, at) - other.committed);
                other.committed += units;
                wanted -= units;
            }
            assert_eq!(wanted, 0, "the lines were checked to fit");
        }
        self.because(Cause::Commit(id));
        self.waive(place);
        for (at, line) in held.iter().enumerate() {
            let Some(row) = line.row else { continue };
            let rest = line.taken + self.holds.filled(place, at) - line.committed;
            for (to, units) in [(Column::Committed, line.committed), (Column::Available, rest)] {
                if units > 0 {
                    self.rows.shift(row, Column::Held, to, Units(units));
                }
            }
        }
        self.update_lines(place, &held);
        self.holds.mark_in_part(place);
        self.holds.keep(place, State::Committed);
        self.recount(place, &held);
        Ok(Committed { replayed: false })
    }

    /// Gives a held or pinned hold back: held → available. O(lines).
    ///
    /// The release of a hold that is due ends it as expired, there and then; `expire` will not list it. The release of an
    /// unknown hold sets a tombstone, for [`TOMBSTONE_MS`](crate::TOMBSTONE_MS) at least, that refuses it when it comes late.
    ///
    /// # Errors
    /// `Committed`: use [`restock`](Ledger::restock). `Full`: no room for the tombstone.
    pub fn release(&mut self, now: Millis, id: HoldId) -> Result<Released, ReleaseRefused> {
        self.release_kind(now, id, IdKind::Opaque)
    }

    /// As [`release`](Ledger::release), of a hold with a timed id: a tombstone need stand only until the id is too old, and none
    /// is needed if it is.
    ///
    /// # Errors
    /// As of `release`; `TooNew` if the id is unknown and too far ahead.
    pub fn release_timed(&mut self, now: Millis, id: HoldId) -> Result<Released, ReleaseRefused> {
        self.release_kind(now, id, IdKind::Timed)
    }

    /// Ends the book-keeping of a committed hold: its units stay committed, and no restock under this hold returns them. What it was
    /// owed is owed no more.
    ///
    /// For orders that are beyond cancelling. It makes the hold ripe for `sweep`; without it committed holds count against
    /// [`Limits::holds_max`](crate::Limits) for ever. O(lines).
    ///
    /// # Errors
    /// `Unknown`; `NotCommitted` if it was never committed.
    pub fn forget(&mut self, now: Millis, id: HoldId) -> Result<Forgotten, ForgetRefused> {
        let now = self.advance(now);
        let place = match self.holds.find(id) {
            None => return Err(ForgetRefused::Unknown),
            Some(Found::Live(place)) if self.holds.record(place).state == State::Committed => place,
            Some(Found::Live(place)) => return Err(ForgetRefused::NotCommitted { state: self.holds.record(place).public_state() }),
            Some(Found::Ended(memory)) => {
                return match self.holds.ended(memory).end {
                    End::Restocked | End::Forgotten => Ok(Forgotten { replayed: true }),
                    end @ (End::Released | End::Expired | End::Tombstoned) => Err(ForgetRefused::NotCommitted { state: end.public() }),
                };
            }
        };
        self.because(Cause::Forget(id));
        self.waive(place);
        let held = self.holds.lines(place);
        for line in &held {
            if let Some(row) = line.row {
                self.rows.detach(row, Units(line.left()));
            }
        }
        self.recount(place, &held);
        self.end(place, now, End::Forgotten, &held);
        Ok(Forgotten { replayed: false })
    }

    /// Writes the lines of a committed hold back.
    pub(crate) fn update_lines(&mut self, place: Place, held: &[HeldLine]) {
        let asked = Asked::of(self.holds.record(place));
        let rows = &self.rows;
        self.holds.update_lines(place, held, || asked.body(rows, held));
    }

    /// A hold that is held (and not due) or pinned, or why there is none.
    fn open(&self, now: Millis, id: HoldId) -> Result<(Place, State), PinRefused> {
        match self.holds.find(id) {
            None => Err(PinRefused::Unknown),
            Some(Found::Live(place)) => {
                let record = self.holds.record(place);
                match record.state {
                    State::Held if record.is_due(now) => Err(PinRefused::Expired),
                    State::Held | State::Pinned => Ok((place, record.state)),
                    State::Committed => Err(PinRefused::Committed),
                    State::Free => unreachable!("a known id has a place in use"),
                }
            }
            Some(Found::Ended(memory)) => Err(self.how_ended(memory)),
        }
    }

    fn how_ended(&self, memory: Memory) -> PinRefused {
        match self.holds.ended(memory).end {
            End::Restocked | End::Forgotten => PinRefused::Committed,
            End::Released | End::Tombstoned => PinRefused::Released,
            End::Expired => PinRefused::Expired,
        }
    }

    /// The open hold to commit; `None` if it is committed, and perhaps what follows, already.
    fn to_commit(&self, now: Millis, id: HoldId) -> Result<Option<Place>, CommitRefused> {
        match self.open(now, id) {
            Ok((place, _)) => Ok(Some(place)),
            Err(PinRefused::Committed) => Ok(None),
            Err(PinRefused::Unknown) => Err(CommitRefused::Unknown),
            Err(PinRefused::Expired) => Err(CommitRefused::Expired),
            Err(PinRefused::Released) => Err(CommitRefused::Released),
        }
    }

    /// Whether a hold was committed by these very lines.
    fn same_part(&self, id: HoldId, lines: &[Line]) -> bool {
        let held = match self.holds.find(id) {
            Some(Found::Live(place)) if self.holds.record(place).flags.has(Flags::IN_PART) => self.holds.lines(place),
            Some(Found::Ended(memory)) if self.holds.ended(memory).flags.has(Flags::IN_PART) => {
                self.holds.ended_lines(memory).unwrap_or_default()
            }
            Some(Found::Live(_) | Found::Ended(_)) | None => return false,
        };
        let all = |units: &mut dyn Iterator<Item = u32>| units.map(u64::from).sum::<u64>();
        let same_row = |line: &Line| {
            let row = self.rows.find(line.sku, line.location);
            let committed = all(&mut held.iter().filter(|other| row.is_some() && other.row == row).map(|other| other.committed));
            committed == wanted_with(lines, line)
        };
        let totals = (all(&mut held.iter().map(|line| line.committed)), all(&mut lines.iter().map(|line| line.quantity.0)));
        totals.0 == totals.1 && lines.iter().all(same_row)
    }

    fn release_kind(&mut self, now: Millis, id: HoldId, kind: IdKind) -> Result<Released, ReleaseRefused> {
        let now = self.advance(now);
        match self.holds.find(id) {
            None => self.bury(now, id, kind),
            Some(Found::Live(place)) => {
                let record = self.holds.record(place);
                match record.state {
                    State::Held if record.is_due(now) => {
                        self.give_back(place, now, End::Expired);
                        Ok(Released::Expired)
                    }
                    State::Held | State::Pinned => {
                        self.give_back(place, now, End::Released);
                        Ok(Released::Returned { replayed: false })
                    }
                    State::Committed => Err(ReleaseRefused::Committed),
                    State::Free => unreachable!("a known id has a place in use"),
                }
            }
            Some(Found::Ended(memory)) => match self.holds.ended(memory).end {
                End::Released => Ok(Released::Returned { replayed: true }),
                End::Expired => Ok(Released::Expired),
                End::Tombstoned => Ok(Released::Tombstoned { replayed: true }),
                End::Restocked | End::Forgotten => Err(ReleaseRefused::Committed),
            },
        }
    }

    fn bury(&mut self, now: Millis, id: HoldId, kind: IdKind) -> Result<Released, ReleaseRefused> {
        if kind == IdKind::Timed && too_old(id, now, &self.limits) {
            return Ok(Released::TooOld);
        }
        if kind == IdKind::Timed && is_too_new(id, now) {
            return Err(ReleaseRefused::TooNew);
        }
        if self.holds.tombstones() >= self.limits.tombstones_max.min(crate::HOLDS_MAX) {
            return Err(Full::Tombstones.into());
        }
        self.holds.bury(id, kind, now, &self.limits);
        Ok(Released::Tombstoned { replayed: false })
    }

    /// Where a hold stands; `None` if it never came, or ended long enough ago to be swept. O(1).
    #[must_use]
    pub fn hold_state(&self, id: HoldId) -> Option<HoldState> {
        self.holds.state(id)
    }
}

//! Holds come and go: stock set aside for one attempt, and what time does to it.
//!
//! Path: `hold` (known id? its answer : all rows checked, then all taken) → `pin`, `commit`, `release` (in `settle`), or `expire`
//! when its time is over. Ended holds and tombstones answer late messages until `sweep`.
//! Bounds: `LINES_MAX`, `holds_max`; `expire` and `sweep` do at most what their caller asks for.

use crate::hash::BodyHash;
use crate::holds::{Found, Memory, Place, too_old};
use crate::ledger::{index, saturated, wanted_with, well_formed};
use crate::lines::{HeldLine, Lines};
use crate::record::{End, Flags, INLINE_UNITS, Record};
use crate::rows::{Column, RowIx, Table};
use crate::{
    Cause, Expired, Full, HOLDS_MAX, Held, HoldId, HoldRefused, HoldRequest, ID_SKEW_MS_MAX, IdKind, Ledger, Line, Millis, Owner, PerLine,
    SavedPurchase, ShortLine, Swept, Taken, Units,
};

/// Up to so many lines, those of the same row are found by comparing each with each; above, by sorting.
const FEW_LINES: usize = 8;

/// Lines that an answer has room for without the heap.
const FEW_LINES_INLINE: usize = 4;

/// A hold being asked for, with what is known of it before its rows are.
#[derive(Clone, Copy)]
struct Attempt<'a, 'lines> {
    now: Millis,
    request: &'a HoldRequest<'lines>,
    ttl_ms: u32,
    /// Of its id.
    hash: u32,
}

/// Holds. Each is named by the caller's id, and every step may be repeated: the answer is the same and nothing moves twice.
impl Ledger {
    /// Sets all lines aside, or none; a partial request takes what is there, as long as it is anything. Lines of the same row
    /// are summed before they are checked, and a partial request serves them in the order asked. What a row's [`Policy`](crate::Policy)
    /// lets it owe counts as there: the line is told how many of its units are backordered.
    ///
    /// The same request again gives the first answer, whatever has become of the hold, as long as its id is remembered. A refusal
    /// leaves no trace, so the same hold may be tried again; a caller who gives up an attempt whose message may still be under
    /// way sends a [`release`](Ledger::release), which keeps it out.
    ///
    /// Cost: two cache misses a line, and three or four for the id, its record and its place among the expiries; O(lines × log
    /// lines). Up to four lines neither the answer nor the refusal allocates.
    ///
    /// # Errors
    /// Checked in this order: `Malformed`, `TooLong`, `TooOld` (of an id that is not known), `TooNew`, then of a known id `Tombstoned` or `IdReused`, and
    /// of a new one `Full`, `OverLimit`, `Short` or `Contended`.
    pub fn hold(&mut self, now: Millis, request: &HoldRequest<'_>) -> Result<Held, HoldRefused> {
        let now = self.advance(now);
        well_formed(request.lines)?;
        let max_ms = self.limits.hold_life_ms_max;
        let ttl_ms = u32::try_from(request.ttl_ms).ok().filter(|&ttl_ms| ttl_ms <= max_ms).ok_or(HoldRefused::TooLong { max_ms })?;
        if request.kind == IdKind::Timed {
            // One that is known is told what became of it, as at any time.
            if too_old(request.id, now, &self.limits) && !self.holds.remembers(request.id, now) {
                return Err(HoldRefused::TooOld);
            }
            if is_too_new(request.id, now) {
                return Err(HoldRefused::TooNew);
            }
        }
        let hash = self.holds.hash(request.id);
        self.holds.warm(hash);
        let ask = Attempt { now, request, ttl_ms, hash };
        match *request.lines {
            [a] => self.hold_few(&ask, [a]),
            [a, b] => self.hold_few(&ask, [a, b]),
            [a, b, c] => self.hold_few(&ask, [a, b, c]),
            ref lines => {
                let rows = self.rows.find_all(lines);
                match self.known(&ask) {
                    Some(answer) => answer,
                    None => self.hold_new(&ask, &rows),
                }
            }
        }
    }

    /// A hold of as many lines as fit a record. If all of them can be had and nothing about them is unusual, it is made here, with
    /// every row looked at once; else as any other.
    #[inline]
    fn hold_few<const K: usize>(&mut self, ask: &Attempt<'_, '_>, lines: [Line; K]) -> Result<Held, HoldRefused> {
        let Attempt { request, hash, .. } = *ask;
        let rows = self.rows.find_few(&lines);
        if let Some(answer) = self.known(ask) {
            return answer;
        }
        let units: [Units; K] = std::array::from_fn(|at| lines[at].quantity);
        let plain = request.customer.is_none() && !request.in_doubt && units.iter().all(|units| units.0 <= INLINE_UNITS);
        let Some(remaining) = plain.then(|| self.rows.take_few(&rows, units)).flatten() else {
            return self.hold_new(ask, &rows);
        };
        let (expires_at, mut record) = record(ask, flags(request));
        for at in 0..K {
            let row = rows[at].expect("a missing row is not taken from");
            record.set_line(at, row.0, units[at].0 as u8, remaining[at].0);
        }
        record.set_lines_len(K);
        self.holds.insert_plain(hash, record);
        let mut taken = [Taken::default(); FEW_LINES_INLINE];
        for at in 0..K {
            taken[at] = Taken { taken: units[at], remaining: remaining[at], backordered: Units(0) };
        }
        Ok(Held { expires_at, lines: PerLine::from_buf_and_len(taken, K), replayed: false })
    }

    /// The answer to a hold whose id is known, or for which there is no room.
    #[inline]
    fn known(&self, ask: &Attempt<'_, '_>) -> Option<Result<Held, HoldRefused>> {
        match self.holds.find_hashed(ask.hash, ask.request.id) {
            Some(Found::Live(place)) => Some(self.repeat_live(place, ask.request, ask.ttl_ms)),
            Some(Found::Ended(memory)) => Some(self.repeat_ended(memory, ask.request, ask.ttl_ms)),
            None if self.holds.len() >= self.limits.holds_max.min(HOLDS_MAX) => Some(Err(Full::Holds.into())),
            None => None,
        }
    }

    /// A hold of any lines, whose id is new.
    #[inline(never)]
    fn hold_new(&mut self, ask: &Attempt<'_, '_>, rows: &[Option<RowIx>]) -> Result<Held, HoldRefused> {
        let request = ask.request;
        if rows.iter().flatten().any(|&row| self.rows.is_cold(row)) {
            return self.hold_cold(ask, rows);
        }
        let mut held = if request.partial { self.part(rows, request.lines)? } else { self.whole(rows, request.lines)? };
        let expires_at = self.take(ask, &mut held, flags(request));
        Ok(Held { expires_at, lines: held.iter().map(taken).collect(), replayed: false })
    }

    /// Takes the lines and records the hold; says when it expires.
    #[inline(always)]
    fn take(&mut self, ask: &Attempt<'_, '_>, held: &mut Lines, flags: Flags) -> Millis {
        let Attempt { request, ttl_ms, hash, .. } = *ask;
        self.because(Cause::Hold(request.id));
        let mut plain = request.customer.is_none(); // the record has no room for one
        for (line, asked) in held.iter().zip(request.lines) {
            plain &= line.taken == asked.quantity.0;
            if let Some(row) = line.row.filter(|_| line.taken > 0) {
                self.rows.shift(row, Column::Available, Column::Held, Units(line.taken));
            }
        }
        for line in held.iter_mut() {
            line.remaining = line.row.map_or(0, |row| self.rows.available(row).0);
        }
        let (expires_at, record) = record(ask, flags);
        self.holds.insert(hash, record, held, plain, || body(request, ttl_ms));
        expires_at
    }

    /// A hold of which some row has a cold record: what is free is taken, and as much of the rest as the row may owe is owed.
    #[cold]
    fn hold_cold(&mut self, ask: &Attempt<'_, '_>, rows: &[Option<RowIx>]) -> Result<Held, HoldRefused> {
        let Attempt { now, request, .. } = *ask;
        let counted = self.within_limits(request, rows)?;
        let (mut held, mut owed) = (Lines::new(), PerLine::new());
        let mut whole = true;
        for (&row, line) in rows.iter().zip(request.lines) {
            let (mut free, mut room) = row.map_or((0, 0), |row| self.to_be_had(row, now));
            for (other, owed) in held.iter().zip(&owed).filter(|(other, _): &(&HeldLine, &u32)| other.row == row) {
                free -= other.taken;
                room -= *owed;
            }
            let taken = line.quantity.0.min(free);
            let rest = (line.quantity.0 - taken).min(room);
            whole &= taken + rest == line.quantity.0;
            held.push(HeldLine { row, taken, ..HeldLine::default() });
            owed.push(rest);
        }
        if !request.partial && !whole {
            return Err(self.short(rows, request.lines));
        }
        if held.iter().all(|line| line.taken == 0) && owed.iter().all(|&owed| owed == 0) {
            return Err(self.nothing(rows, request.lines));
        }
        let owes = owed.iter().any(|&owed| owed > 0);
        if owes && self.holds.backorders.len() >= self.limits.backorders_max {
            return Err(Full::Backorders.into());
        }
        let mut flags = flags(request);
        flags.set(Flags::BACKORDER, owes);
        flags.set(Flags::COUNTED, !counted.is_empty());
        let expires_at = self.take(ask, &mut held, flags);
        if owes {
            self.owe(request.id, rows, &owed);
        }
        if let Some(customer) = request.customer.filter(|_| !counted.is_empty()) {
            let place = self.holds.live_place(request.id).expect("just made");
            let units = counted.into_iter().map(|sku| (sku, self.units_of(place, &held, sku))).collect();
            self.holds.purchases.add(request.id, SavedPurchase { customer, units });
        }
        let line = |(line, &owed): (&HeldLine, &u32)| Taken { backordered: Units(owed), ..taken(line) };
        Ok(Held { expires_at, lines: held.iter().zip(&owed).map(line).collect(), replayed: false })
    }

    /// Brings what operations on these holds will look at into the cache: for whoever has a batch of them at hand. Changes nothing,
    /// and need not be called.
    ///
    /// With many holds an operation waits for memory two or three times; here the whole batch waits together. A few dozen
    /// at a time: more drive each other out of the cache again. The lines are those of reservations to come; of known holds
    /// they are not needed.
    pub fn warm<'a>(&self, batch: impl Iterator<Item = (HoldId, &'a [Line])> + Clone) {
        for (id, lines) in batch.clone() {
            self.holds.warm(self.holds.hash(id));
            lines.iter().for_each(|line| self.rows.warm(line.sku, line.location));
        }
        batch.for_each(|(id, _)| self.holds.warm_record(id));
    }

    /// Ends up to `max` holds whose time has come, in order of expiry: held → available.
    ///
    /// A bounded step: besides it deals out at most [`EXPIRE_MOVES_PER_END`](crate::EXPIRE_MOVES_PER_END) × `max` holds of the
    /// timing wheel, and nothing else grows with the number of holds. Call again while `more`. O(max × lines).
    pub fn expire(&mut self, now: Millis, max: usize) -> Expired {
        let now = self.advance(now);
        let mut moves = max.saturating_mul(crate::EXPIRE_MOVES_PER_END);
        let mut ids = Vec::new();
        while ids.len() < max {
            let Some(place) = self.holds.turn(now, &mut moves) else {
                break;
            };
            ids.push(self.holds.record(place).id());
            self.give_back(place, now, End::Expired);
        }
        let more = self.holds.next_expiry().is_some_and(|at| at <= now);
        Expired { ids, more }
    }

    /// Forgets up to `max` ids of ended holds and tombstones (opaque ones first) and then movements that were kept for their full
    /// time.
    ///
    /// Only this makes room for new ones; nothing is forgotten otherwise. A bounded step, O(max): call again while `more`.
    pub fn sweep(&mut self, now: Millis, max: usize) -> Swept {
        let now = self.advance(now);
        let mut swept = Swept::default();
        for _ in 0..max {
            match self.holds.sweep_one(now) {
                Some(End::Tombstoned) => swept.tombstones += 1,
                Some(End::Restocked | End::Forgotten | End::Released | End::Expired) => swept.holds += 1,
                None if self.movements.sweep_one(now) => swept.movements += 1,
                None => break,
            }
        }
        swept.more = self.holds.has_old(now) || self.movements.has_old(now);
        swept
    }

    /// Moves the units of an open hold back and ends it.
    pub(crate) fn give_back(&mut self, place: Place, now: Millis, end: End) {
        let id = self.holds.record(place).id();
        self.because(if end == End::Expired { Cause::Expiry(id) } else { Cause::Release(id) });
        self.holds.settle(place);
        self.waive(place);
        let held = self.holds.lines(place);
        for (at, line) in held.iter().enumerate() {
            let units = line.taken + self.holds.filled(place, at);
            if let Some(row) = line.row.filter(|_| units > 0) {
                self.rows.shift(row, Column::Held, Column::Available, Units(units));
            }
        }
        self.end(place, now, end, &held);
    }

    /// Ends a hold whose units are where they belong.
    pub(crate) fn end(&mut self, place: Place, now: Millis, end: End, held: &[HeldLine]) {
        let asked = Asked::of(self.holds.record(place));
        let rows = &self.rows;
        self.holds.end(place, now, &self.limits, end, || asked.body(rows, held));
    }

    /// The lines of a whole hold, if every row has enough for all its lines together.
    fn whole(&self, rows: &[Option<RowIx>], lines: &[Line]) -> Result<Lines, HoldRefused> {
        let held = |(&row, line): (&Option<RowIx>, &Line)| HeldLine { row, taken: line.quantity.0, ..HeldLine::default() };
        let enough = |row: RowIx, wanted: u64| wanted <= u64::from(self.rows.available(row).0);
        let all_enough = if lines.len() <= FEW_LINES {
            rows.iter().all(|&row| {
                let same = rows.iter().zip(lines).filter(|(other, _)| **other == row);
                row.is_some_and(|row| enough(row, same.map(|(_, line)| u64::from(line.quantity.0)).sum()))
            })
        } else {
            // Sorted by row, the lines of one row stand together and their sum is one pass.
            let mut demands: Vec<_> = rows.iter().zip(lines).map(|(&row, line)| (row, u64::from(line.quantity.0))).collect();
            demands.sort_unstable();
            let of_row = |of_row: &[(Option<RowIx>, u64)]| {
                let wanted = of_row.iter().map(|&(_, units)| units).sum();
                of_row[0].0.is_some_and(|row| enough(row, wanted))
            };
            demands.chunk_by(|a, b| a.0 == b.0).all(of_row)
        };
        if all_enough { Ok(rows.iter().zip(lines).map(held).collect()) } else { Err(self.short(rows, lines)) }
    }

    /// The lines of a partial hold, each with what the ones before it have left, if that is anything.
    fn part(&self, rows: &[Option<RowIx>], lines: &[Line]) -> Result<Lines, HoldRefused> {
        let mut held = Lines::new();
        for (&row, line) in rows.iter().zip(lines) {
            let before: u32 = held.iter().filter(|other| other.row == row).map(|other| other.taken).sum(); // at most what is available
            let left = row.map_or(0, |row| self.rows.available(row).0 - before);
            held.push(HeldLine { row, taken: line.quantity.0.min(left), ..HeldLine::default() });
        }
        if held.iter().any(|line| line.taken > 0) {
            return Ok(held);
        }
        Err(self.nothing(rows, lines))
    }

    /// The refusal of a partial hold that would get nothing at all: in doubt if any of it is.
    fn nothing(&self, rows: &[Option<RowIx>], lines: &[Line]) -> HoldRefused {
        let in_doubt = rows.iter().flatten().any(|&row| self.holds.units_in_doubt(row) > 0);
        let lines = self.short_lines(rows, lines);
        if in_doubt { HoldRefused::Contended { lines } } else { HoldRefused::Short { lines } }
    }

    /// The refusal of lines known to be short somewhere.
    fn short(&self, rows: &[Option<RowIx>], lines: &[Line]) -> HoldRefused {
        let short = self.short_lines(rows, lines);
        let explained = |line: &ShortLine| {
            let in_doubt = rows[usize::from(line.index)].map_or(0, |row| self.holds.units_in_doubt(row));
            wanted_with(lines, &lines[usize::from(line.index)]) <= u64::from(line.available.0) + in_doubt
        };
        if short.iter().all(explained) { HoldRefused::Contended { lines: short } } else { HoldRefused::Short { lines: short } }
    }

    /// Every line whose row has too little.
    fn short_lines(&self, rows: &[Option<RowIx>], lines: &[Line]) -> PerLine<ShortLine> {
        let of_line = |(at, (line, row)): (usize, (&Line, &Option<RowIx>))| {
            let available = row.map_or(Units(0), |row| {
                let (free, room) = self.to_be_had(row, self.now);
                Units(free + room) // each at most UNITS_MAX
            });
            let requested = wanted_with(lines, line);
            let short = requested > u64::from(available.0);
            short.then_some(ShortLine { index: index(at), requested: saturated(requested), available })
        };
        lines.iter().zip(rows).enumerate().filter_map(of_line).collect()
    }

    fn repeat_live(&self, place: Place, request: &HoldRequest<'_>, ttl_ms: u32) -> Result<Held, HoldRefused> {
        let record = self.holds.record(place);
        let held = self.holds.lines(place);
        let same = if record.flags.has(Flags::SPILLED) {
            record.body() == body(request, ttl_ms)
        } else {
            let same_line = |(line, asked): (&HeldLine, &Line)| {
                let key = line.row.map(|row| self.rows.key(row));
                key == Some((asked.sku, asked.location)) && line.taken == asked.quantity.0
            };
            let lines = held.len() == request.lines.len() && held.iter().zip(request.lines).all(same_line);
            lines && request.customer.is_none() && Asked::of(record) == Asked::from(request, ttl_ms)
        };
        if !same {
            return Err(HoldRefused::IdReused);
        }
        Ok(Held { expires_at: record.first_expiry(), lines: self.first_answer(request.id, &held), replayed: true })
    }

    /// What each line was told when the hold was made.
    fn first_answer(&self, id: HoldId, held: &[HeldLine]) -> PerLine<Taken> {
        let mut lines: PerLine<Taken> = held.iter().map(taken).collect();
        for (line, back) in lines.iter_mut().zip(self.holds.backorders.of(id)) {
            line.backordered = Units(back.at_first);
        }
        lines
    }

    fn repeat_ended(&self, memory: Memory, request: &HoldRequest<'_>, ttl_ms: u32) -> Result<Held, HoldRefused> {
        let ended = self.holds.ended(memory);
        if ended.is_tombstone() {
            return Err(HoldRefused::Tombstoned);
        }
        if ended.body() != body(request, ttl_ms) {
            return Err(HoldRefused::IdReused);
        }
        let lines = match self.holds.ended_lines(memory) {
            Some(held) => self.first_answer(request.id, &held),
            None => {
                let line = |(asked, &remaining): (&Line, &u32)| Taken {
                    taken: asked.quantity,
                    remaining: Units(remaining),
                    backordered: Units(0),
                };
                request.lines.iter().zip(&ended.remaining).map(line).collect()
            }
        };
        Ok(Held { expires_at: ended.first_expiry(), lines, replayed: true })
    }
}

/// Of a timed id: whether its time part is too far ahead.
pub(crate) fn is_too_new(id: HoldId, now: Millis) -> bool {
    id.time_part().0 > now.0 + u64::from(ID_SKEW_MS_MAX)
}

/// The record of a hold that is made, without its lines, and when it expires.
#[inline]
fn record(ask: &Attempt<'_, '_>, flags: Flags) -> (Millis, Record) {
    let Attempt { now, request, ttl_ms, .. } = *ask;
    let expires_at = now.after(u64::from(ttl_ms));
    let life_ms = (expires_at.0 - now.0) as u32; // at most `ttl_ms`
    (expires_at, Record::new(request.id, request.owner, now, ttl_ms, life_ms, flags))
}

fn taken(line: &HeldLine) -> Taken {
    Taken { taken: Units(line.taken), remaining: Units(line.remaining), backordered: Units(0) }
}

fn flags(request: &HoldRequest<'_>) -> Flags {
    let mut flags = Flags::default();
    flags.set(Flags::TIMED, request.kind == IdKind::Timed);
    flags.set(Flags::PARTIAL, request.partial);
    flags.set(Flags::IN_DOUBT, request.in_doubt);
    flags.set(Flags::UNSETTLED, request.in_doubt);
    flags
}

fn body(request: &HoldRequest<'_>, ttl_ms: u32) -> u64 {
    let mut hash = Asked::from(request, ttl_ms).hash();
    if let Some(customer) = request.customer {
        hash.customer(customer);
    }
    request.lines.iter().for_each(|line| hash.line(line));
    hash.finish()
}

/// What was asked, but for the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    owner: Owner,
    ttl_ms: u32,
    kind: IdKind,
    partial: bool,
    in_doubt: bool,
}

impl Asked {
    fn from(request: &HoldRequest<'_>, ttl_ms: u32) -> Self {
        let HoldRequest { kind, owner, partial, in_doubt, .. } = *request;
        Self { owner, ttl_ms, kind, partial, in_doubt }
    }

    pub(crate) fn of(record: &Record) -> Self {
        Self {
            owner: record.owner(),
            ttl_ms: record.ttl_ms,
            kind: record.flags.kind(),
            partial: record.flags.has(Flags::PARTIAL),
            in_doubt: record.flags.has(Flags::IN_DOUBT),
        }
    }

    fn hash(self) -> BodyHash {
        BodyHash::new(self.owner, self.ttl_ms, self.kind, self.partial, self.in_doubt)
    }

    /// The fingerprint of a body of which all that was asked was taken.
    pub(crate) fn body(self, rows: &Table, held: &[HeldLine]) -> u64 {
        let mut hash = self.hash();
        for line in held {
            if let Some((sku, location)) = line.row.map(|row| rows.key(row)) {
                hash.line(&Line { sku, location, quantity: Units(line.taken) });
            }
        }
        hash.finish()
    }
}

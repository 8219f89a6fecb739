//! A ledger from a snapshot's items.
//!
//! Path: items in the order of [`Ledger::save`] → `put`, which refuses what no ledger could have saved → `finish`, which
//! compares the whole with its books. A snapshot may come from a damaged disk: nothing in it is trusted, and nothing panics.

use crate::backorder::Back;
use crate::holds::HoldBook;
use crate::lines::{HeldLine, Lines};
use crate::record::{Flags, INLINE_LINES, Record, State};
use crate::reserve::Asked;
use crate::rows::RowIx;
use crate::{
    Broken, End, Full, HOLDS_MAX, HoldId, IdKind, LINES_MAX, Ledger, Limits, Location, MovementId, PurchaseLimit, Remembered, Saved,
    SavedAnnouncement, SavedBegin, SavedCold, SavedEnd, SavedExpected, SavedHold, SavedLimit, SavedLine, SavedPurchase, SavedRow,
    SavedSent, SavedShipment, Serial, Sku, Stage, TIME_MAX, UNITS_MAX, Units,
};

/// Beyond any count that a ledger comes to, and far from where adding to it would overflow.
const COUNTED_MAX: i64 = 1 << 62;

/// Beyond any number of backordered lines that a ledger comes to.
const TURNS_MAX: u64 = 1 << 62;

/// Why a snapshot is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// An item stands where another kind of item belongs, or there are more than the head said.
    #[error("an item is out of order")]
    Order,
    /// Fewer items came than the head said.
    #[error("{missing} items are missing")]
    Incomplete {
        /// How many.
        missing: u64,
    },
    /// The times of the head are impossible.
    #[error("the head is impossible")]
    Begin,
    /// A row is there twice, or its numbers are impossible.
    #[error("{sku:?} at {location:?} is impossible")]
    Row {
        /// Which row.
        sku: Sku,
        /// Which row.
        location: Location,
    },
    /// An id is there twice, or what is said of its hold is impossible.
    #[error("{id:?} is impossible")]
    Hold {
        /// Which hold.
        id: HoldId,
    },
    /// A movement, an announcement or a shipment is there twice, or what is said of it is impossible.
    #[error("{id:?} is there twice, or impossible")]
    Movement {
        /// Which movement.
        id: MovementId,
    },
    /// A purchase limit is there twice, limits nothing, or its rows do not know of it.
    #[error("the limit of {sku:?} is impossible")]
    Limit {
        /// Whose.
        sku: Sku,
    },
    /// The limits have no room for it.
    #[error(transparent)]
    Full(#[from] Full),
    /// Its parts do not agree.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// A ledger being built from a snapshot.
#[derive(Debug)]
pub struct Restore {
    ledger: Ledger,
    seed: u64,
    begin: Option<SavedBegin>,
    /// Items still to come: rows, holds, ended, movements, announcements, shipments, limits, history, events.
    left: [u32; 9],
}

impl Restore {
    /// Begins with nothing. The limits may differ from those of the ledger that was saved, if they have room for what it kept.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_seed(limits, 0)
    }

    /// The same with a seed, as of [`Ledger::with_seed`].
    #[must_use]
    pub fn with_seed(limits: Limits, seed: u64) -> Self {
        Self { ledger: Ledger::with_seed(limits, seed), seed, begin: None, left: [0; 9] }
    }

    /// Takes the next item. O(1), and O(lines) for a hold.
    ///
    /// # Errors
    /// Says what is wrong with it. The snapshot is then of no use.
    pub fn put(&mut self, item: Saved) -> Result<(), BadSnapshot> {
        let kind = match &item {
            Saved::Begin(_) => None,
            Saved::Row(_) => Some(0),
            Saved::Hold(_) => Some(1),
            Saved::Ended(_) => Some(2),
            Saved::Movement(_) => Some(3),
            Saved::Announcement(_) => Some(4),
            Saved::Shipment(_) => Some(5),
            Saved::Limit(_) => Some(6),
            Saved::Recorded(_) => Some(7),
            Saved::Event(_) => Some(8),
        };
        match (kind, self.begin) {
            (None, None) => {}
            (Some(kind), Some(_)) if self.left[..kind].iter().all(|&left| left == 0) && self.left[kind] > 0 => self.left[kind] -= 1,
            (Some(_), Some(_) | None) | (None, Some(_)) => return Err(BadSnapshot::Order),
        }
        match item {
            Saved::Begin(begin) => self.begin(begin),
            Saved::Row(row) => self.row(row),
            Saved::Hold(hold) => self.hold(&hold),
            Saved::Ended(ended) => self.ended(&ended),
            Saved::Movement(movement) => self.movement(movement),
            Saved::Announcement(announcement) => self.announcement(announcement),
            Saved::Shipment(shipment) => self.shipment(shipment),
            Saved::Limit(limit) => self.limit(limit),
            Saved::Recorded(recorded) => {
                let fits = recorded.serial == self.next(7) && self.ledger.rows.journal.history.has_room();
                self.ledger.rows.journal.history.push(|_| recorded);
                if fits { Ok(()) } else { Err(BadSnapshot::Order) }
            }
            Saved::Event(event) => {
                let fits = event.serial == self.next(8) && self.ledger.rows.journal.events.has_room();
                self.ledger.rows.journal.events.push(|_| event);
                if fits { Ok(()) } else { Err(BadSnapshot::Order) }
            }
        }
    }

    /// The ledger, when all items have come. O(everything kept): it is checked.
    ///
    /// # Errors
    /// `Incomplete`, or `Broken`: the items fit a ledger each, but not together.
    pub fn finish(self) -> Result<Ledger, BadSnapshot> {
        let missing = self.left.iter().map(|&left| u64::from(left)).sum::<u64>() + u64::from(self.begin.is_none());
        if missing > 0 {
            return Err(BadSnapshot::Incomplete { missing });
        }
        self.ledger.check()?;
        Ok(self.ledger)
    }

    fn begin(&mut self, begin: SavedBegin) -> Result<(), BadSnapshot> {
        if begin.clock > begin.now || begin.now > TIME_MAX || begin.turn > TURNS_MAX {
            return Err(BadSnapshot::Begin);
        }
        self.begin = Some(begin);
        self.left = [begin.rows, begin.holds, begin.ended, begin.movements, begin.announcements, begin.shipments, 0, 0, 0];
        self.left[6..].copy_from_slice(&[begin.limits, begin.recorded, begin.events]);
        for (next, kept) in [(begin.next_recorded, begin.recorded), (begin.next_event, begin.events)] {
            if !(1 + u64::from(kept)..=TURNS_MAX).contains(&next) {
                return Err(BadSnapshot::Begin);
            }
        }
        let journal = &mut self.ledger.rows.journal;
        journal.history.next = begin.next_recorded - u64::from(begin.recorded);
        journal.events.next = begin.next_event - u64::from(begin.events);
        journal.now = begin.now;
        self.ledger.now = begin.now;
        self.ledger.holds = HoldBook::new(self.seed, begin.clock);
        self.ledger.holds.backorders.set_turn(begin.turn);
        Ok(())
    }

    fn row(&mut self, saved: SavedRow) -> Result<(), BadSnapshot> {
        let SavedRow { sku, location, row, booked, detached, cold } = saved;
        let ledger = &mut self.ledger;
        if ledger.rows.len() >= ledger.limits.rows_max {
            return Err(Full::Rows.into());
        }
        let columns = [row.available, row.held, row.committed, row.unavailable];
        let on_hand: u64 = columns.iter().map(|units| u64::from(units.0)).sum();
        let apart: u64 = cold.iter().flat_map(|cold| cold.apart).map(|units| u64::from(units.0)).sum();
        let counted =
            cold.is_none_or(|cold| (-COUNTED_MAX..=COUNTED_MAX).contains(&cold.carried) && cold.lost <= COUNTED_MAX.cast_unsigned());
        let possible = on_hand <= u64::from(UNITS_MAX.0)
            && row.incoming.max(row.in_transit).max(row.backordered) <= UNITS_MAX
            && detached <= row.committed
            && apart == u64::from(row.unavailable.0)
            && (cold.is_some() || row.in_transit.max(row.backordered) == Units(0))
            && counted;
        if !possible || ledger.rows.find(sku, location).is_some() {
            return Err(BadSnapshot::Row { sku, location });
        }
        let ix = ledger.rows.restore(sku, location, row, booked, detached).ok_or(Full::Rows)?;
        if let Some(SavedCold { apart, carried, lost, policy, low }) = cold {
            let cold = ledger.rows.cold_at(ix);
            (cold.apart, cold.carried, cold.lost, cold.policy, cold.low) = (apart, carried, lost, policy, low);
        }
        Ok(())
    }

    fn hold(&mut self, saved: &SavedHold) -> Result<(), BadSnapshot> {
        self.room()?;
        let bad = BadSnapshot::Hold { id: saved.id };
        let ledger = &mut self.ledger;
        let lines = held_lines(&saved.lines, ledger.rows.len()).filter(|lines| !lines.is_empty()).ok_or(bad)?;
        let life_ms = saved.expires_at.0.checked_sub(saved.made_at.0).and_then(|life_ms| u32::try_from(life_ms).ok()).ok_or(bad)?;
        if ledger.holds.find(saved.id).is_some() || saved.made_at > ledger.now || saved.expires_at > TIME_MAX {
            return Err(bad);
        }
        let (state, level) = match saved.stage {
            Stage::Held { level, soonest } if ledger.holds.fits(saved.expires_at, level.into(), soonest) => {
                (State::Held, Some((usize::from(level), soonest)))
            }
            Stage::Held { .. } => return Err(bad),
            Stage::Pinned => (State::Pinned, None),
            Stage::Committed => (State::Committed, None),
        };
        // Units are committed all at once, or by a list of lines; and only committed ones come back.
        let committed = state == State::Committed;
        let had = |(line, saved): (&HeldLine, &SavedLine)| line.committed == if committed { line.taken + saved.filled.0 } else { 0 };
        let as_taken = lines.iter().zip(&saved.lines).all(had);
        let staged_well = if saved.in_part { committed } else { as_taken };
        let unsettled_well = !saved.unsettled || saved.in_doubt && state == State::Held;
        let from_rows = lines.iter().zip(&saved.lines).all(|(line, saved)| line.row.is_some() || line.taken + saved.backordered.0 == 0);
        let owing = saved.lines.iter().any(|line| line.owed > Units(0));
        let backordered = backordered(&saved.lines);
        if !staged_well || !unsettled_well || !from_rows || owing && saved.in_part {
            return Err(bad);
        }
        let unmoved = !saved.in_part && lines.iter().all(|line| line.restocked == 0);
        let flags = flags(saved.kind, saved.partial, saved.in_part);
        let mut record = Record::new(saved.id, saved.owner, saved.made_at, saved.ttl_ms, life_ms, flags);
        record.flags.set(Flags::IN_DOUBT, saved.in_doubt);
        record.flags.set(Flags::UNSETTLED, saved.unsettled);
        record.flags.set(Flags::BACKORDER, backordered);
        record.state = state;
        record.flags.set(Flags::COUNTED, saved.purchase.is_some());
        ledger.counted_again(saved.id, saved.purchase.as_ref())?;
        if backordered {
            ledger.owed_again(saved.id, &saved.lines, &lines)?;
        }
        // What more belongs to a hold than its record is kept by those whose lines are not in it alone.
        let plain = unmoved && !backordered && saved.purchase.is_none() && Asked::of(&record).body(&ledger.rows, &lines) == saved.body;
        ledger.holds.restore(record, &lines, plain, saved.body, level);
        Ok(())
    }

    fn ended(&mut self, saved: &SavedEnd) -> Result<(), BadSnapshot> {
        let tombstone = saved.end == End::Tombstoned;
        let ledger = &mut self.ledger;
        if tombstone && ledger.holds.tombstones() >= ledger.limits.tombstones_max.min(HOLDS_MAX) {
            return Err(Full::Tombstones.into());
        } else if !tombstone {
            self.room()?;
        }
        let bad = BadSnapshot::Hold { id: saved.id };
        let ledger = &mut self.ledger;
        let lines = held_lines(&saved.lines, ledger.rows.len()).ok_or(bad)?;
        let only_remaining = |line: &HeldLine| *line == HeldLine { remaining: line.remaining, ..HeldLine::default() };
        let backordered = backordered(&saved.lines);
        let owing = saved.lines.iter().any(|line| line.owed > Units(0));
        let needs_detail = saved.in_part || backordered || lines.len() > INLINE_LINES || !lines.iter().all(only_remaining);
        let shape = lines.is_empty() == tombstone && !owing && (saved.detailed || !needs_detail) && !(tombstone && saved.detailed);
        if !shape || ledger.holds.find(saved.id).is_some() || saved.until.max(saved.first_expiry) > TIME_MAX {
            return Err(bad);
        }
        let mut flags = flags(saved.kind, saved.partial, saved.in_part);
        flags.set(Flags::SPILLED, saved.detailed);
        flags.set(Flags::BACKORDER, backordered);
        flags.set(Flags::COUNTED, saved.purchase.is_some());
        if saved.purchase.is_some() && saved.end != End::Forgotten {
            return Err(bad);
        }
        ledger.counted_again(saved.id, saved.purchase.as_ref())?;
        if backordered {
            ledger.owed_again(saved.id, &saved.lines, &lines)?;
        }
        ledger.holds.restore_ended(saved, flags, &lines);
        Ok(())
    }

    fn movement(&mut self, movement: Remembered) -> Result<(), BadSnapshot> {
        let movements = &mut self.ledger.movements;
        if movements.len() >= self.ledger.limits.movements_kept_max {
            return Err(Full::Movements.into());
        }
        if movements.find(movement.id).is_some() {
            return Err(BadSnapshot::Movement { id: movement.id });
        }
        movements.put(movement);
        Ok(())
    }

    /// The number that the next record of the one or the other kind has.
    fn next(&self, kind: usize) -> Serial {
        let journal = &self.ledger.rows.journal;
        Serial(if kind == 7 { journal.history.next } else { journal.events.next })
    }

    fn limit(&mut self, SavedLimit { sku, limit }: SavedLimit) -> Result<(), BadSnapshot> {
        let known = self.ledger.holds.purchases.limits.contains_key(&sku);
        let records = self.ledger.rows.of_sku(sku).all(|(_, ix)| self.ledger.rows.is_cold(ix));
        if limit == PurchaseLimit::default() || known || !records {
            return Err(BadSnapshot::Limit { sku });
        }
        let now = self.ledger.now;
        self.ledger.set_purchase_limit(now, sku, limit)?;
        Ok(())
    }

    fn announcement(&mut self, open: SavedAnnouncement) -> Result<(), BadSnapshot> {
        let ledger = &mut self.ledger;
        if ledger.announcements.len() >= ledger.limits.announcements_max as usize {
            return Err(Full::Announcements.into());
        }
        let line = |line: &SavedExpected| line.row < ledger.rows.len() && line.left <= line.announced && line.announced <= UNITS_MAX;
        let lines = (1..=LINES_MAX).contains(&open.lines.len()) && open.lines.iter().all(line);
        if !lines || open.left() == 0 || open.due > TIME_MAX || ledger.announcements.contains_key(&open.id) {
            return Err(BadSnapshot::Movement { id: open.id });
        }
        ledger.announcements.insert(open.id, open);
        Ok(())
    }

    fn shipment(&mut self, open: SavedShipment) -> Result<(), BadSnapshot> {
        let ledger = &mut self.ledger;
        if ledger.shipments.len() >= ledger.limits.shipments_max as usize {
            return Err(Full::Shipments.into());
        }
        let line = |line: &SavedSent| {
            let rows = line.from.max(line.to) < ledger.rows.len();
            let way = || {
                let [(sent, from), (brought, to)] = [line.from, line.to].map(|row| ledger.rows.key(RowIx(row)));
                sent == brought && from != to && to == open.to
            };
            rows && way() && line.left <= line.sent && line.sent <= UNITS_MAX
        };
        let lines = (1..=LINES_MAX).contains(&open.lines.len()) && open.lines.iter().all(line);
        if !lines || open.left() == 0 || ledger.shipments.contains_key(&open.id) {
            return Err(BadSnapshot::Movement { id: open.id });
        }
        ledger.shipments.insert(open.id, open);
        Ok(())
    }

    fn room(&self) -> Result<(), Full> {
        let ledger = &self.ledger;
        if ledger.holds.len() < ledger.limits.holds_max.min(HOLDS_MAX) { Ok(()) } else { Err(Full::Holds) }
    }
}

fn flags(kind: IdKind, partial: bool, in_part: bool) -> Flags {
    let mut flags = Flags::default();
    flags.set(Flags::TIMED, kind == IdKind::Timed);
    flags.set(Flags::PARTIAL, partial);
    flags.set(Flags::IN_PART, in_part);
    flags
}

/// Whether some of the lines were owed units.
fn backordered(lines: &[SavedLine]) -> bool {
    lines.iter().any(|line| line.backordered > Units(0))
}

impl Ledger {
    /// Puts back what a hold counts for its customer.
    fn counted_again(&mut self, id: HoldId, purchase: Option<&SavedPurchase>) -> Result<(), BadSnapshot> {
        let Some(purchase) = purchase else { return Ok(()) };
        let in_order = purchase.units.is_sorted_by(|(a, _), (b, _)| a < b);
        let possible = |&(_, units): &(Sku, u64)| units <= LINES_MAX as u64 * 2 * u64::from(UNITS_MAX.0);
        if !(1..=LINES_MAX).contains(&purchase.units.len()) || !in_order || !purchase.units.iter().all(possible) {
            return Err(BadSnapshot::Hold { id });
        }
        if self.holds.purchases.holds.len() >= self.limits.purchases_max as usize {
            return Err(Full::Purchases.into());
        }
        self.holds.purchases.add(id, purchase.clone());
        Ok(())
    }

    /// Puts back what lines of a hold are owed.
    fn owed_again(&mut self, id: HoldId, saved: &[SavedLine], held: &[HeldLine]) -> Result<(), BadSnapshot> {
        if self.holds.backorders.len() >= self.limits.backorders_max {
            return Err(Full::Backorders.into());
        }
        let back = |line: &SavedLine| Back { at_first: line.backordered.0, filled: line.filled.0, owed: line.owed.0, turn: line.turn };
        let rows: Vec<Option<RowIx>> = held.iter().map(|line| line.row).collect();
        let whole = self.holds.backorders.restore(id, &rows, saved.iter().map(back).collect());
        if whole { Ok(()) } else { Err(BadSnapshot::Hold { id }) }
    }
}

/// The lines, if they name rows that are there and their numbers are possible.
fn held_lines(saved: &[SavedLine], rows: u32) -> Option<Lines> {
    if saved.len() > LINES_MAX {
        return None;
    }
    let line = |line: &SavedLine| {
        let SavedLine { row, taken, remaining, committed, restocked, backordered, filled, owed, turn } = *line;
        let units = taken.max(backordered) <= UNITS_MAX && filled.max(owed) <= UNITS_MAX && filled.0 + owed.0 <= backordered.0;
        let units = units && (turn == 0 || backordered > Units(0));
        let possible = units && row.is_none_or(|row| row < rows) && restocked <= committed && committed.0 <= taken.0 + filled.0;
        possible.then_some(HeldLine {
            row: row.map(RowIx),
            taken: taken.0,
            remaining: remaining.0,
            committed: committed.0,
            restocked: restocked.0,
        })
    };
    saved.iter().map(line).collect()
}

//! The whole state as a list of plain items, from which the same ledger can be built again.
//!
//! Path: `Ledger::save` → `Saved` items, one after another → the caller's own format → the same items in the same order →
//! [`Restore`](crate::Restore). Nothing of the order comes from a hash or from places in memory: equal states give equal lists.
//! The items are the digest's too.
//! Deliberately absent: bytes. How items are stored, checked against damage and kept apart by version is the caller's.

use std::iter::once;

use crate::backorder::Backorders;
use crate::lines::{self, Blocks, HeldLine};
use crate::purchases::Purchases;
use crate::record::{Ended, Flags, Record, State};
use crate::reserve::Asked;
use crate::rows::Table;
use crate::{
    Customer, End, Event, HoldId, IdKind, Ledger, Location, Millis, MovementId, Owner, PerLine, Policy, PurchaseLimit, Recorded, Reference,
    Remembered, Row, Sku, Unavailable, Units,
};

/// One item of a snapshot. They come in the order of the variants: one `Begin`, then rows, live holds, remembered ids, movements,
/// announcements, shipments, purchase limits, history, events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Saved {
    /// What follows, and the time.
    Begin(SavedBegin),
    /// In order of insertion.
    Row(SavedRow),
    /// In order of the lists they are in.
    Hold(SavedHold),
    /// Opaque ids first, oldest first.
    Ended(SavedEnd),
    /// Oldest first.
    Movement(Remembered),
    /// In order of id.
    Announcement(SavedAnnouncement),
    /// In order of id.
    Shipment(SavedShipment),
    /// In order of SKU.
    Limit(SavedLimit),
    /// Oldest first.
    Recorded(Recorded),
    /// Oldest first.
    Event(Event),
}

/// The head of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedBegin {
    /// The latest instant seen.
    pub now: Millis,
    /// Everything due before it has been ended.
    pub clock: Millis,
    /// How many rows follow.
    pub rows: u32,
    /// How many live holds.
    pub holds: u32,
    /// How many remembered ids, tombstones included.
    pub ended: u32,
    /// How many movements.
    pub movements: u32,
    /// How many open announcements.
    pub announcements: u32,
    /// How many open shipments.
    pub shipments: u32,
    /// How many purchase limits.
    pub limits: u32,
    /// How many movements for those who read along.
    pub recorded: u32,
    /// The number of the next.
    pub next_recorded: u64,
    /// How many events.
    pub events: u32,
    /// The number of the next.
    pub next_event: u64,
    /// Of the next backordered line: later than those of all that are queued.
    pub turn: u64,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedRow {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// Its columns.
    pub row: Row,
    /// What its movements add up to.
    pub booked: Units,
    /// Committed units of forgotten holds.
    pub detached: Units,
    /// What few rows have.
    pub cold: Option<SavedCold>,
}

/// What few rows have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedCold {
    /// Units unavailable, by reason in the order of [`Unavailable::ALL`].
    pub apart: [Units; Unavailable::ALL.len()],
    /// Units brought by shipments less those taken.
    pub carried: i64,
    /// Units lost on the way to here.
    pub lost: u64,
    /// Whether it may owe units.
    pub policy: Policy,
    /// Its threshold.
    pub low: Option<Units>,
}

/// An open announcement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SavedAnnouncement {
    /// Which.
    pub id: MovementId,
    /// When it is expected.
    pub due: Millis,
    /// The supplier's number.
    pub reference: Reference,
    /// In the order announced.
    pub lines: Box<[SavedExpected]>,
}

/// A line of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedExpected {
    /// Which of the rows, counted from zero in the order of the snapshot.
    pub row: u32,
    /// How many at first.
    pub announced: Units,
    /// How many of them are still to come.
    pub left: Units,
}

/// An open shipment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SavedShipment {
    /// Which.
    pub id: MovementId,
    /// Where to.
    pub to: Location,
    /// In the order sent.
    pub lines: Box<[SavedSent]>,
}

/// A line of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedSent {
    /// From which row, counted from zero in the order of the snapshot.
    pub from: u32,
    /// To which row.
    pub to: u32,
    /// How many at first.
    pub sent: Units,
    /// How many of them are still under way.
    pub left: Units,
}

/// Where a live hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Set aside for a time.
    Held {
        /// On which level of the timing wheel: it has a say in the order within a millisecond.
        level: u8,
        /// Since when the wheel would have looked for it there: never after its expiry, and the same for all holds of its list.
        soonest: Millis,
    },
    /// Set aside until committed or released.
    Pinned,
    /// Promised to an order.
    Committed,
}

/// A live hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SavedHold {
    /// Which.
    pub id: HoldId,
    /// Its kind.
    pub kind: IdKind,
    /// For whom.
    pub owner: Owner,
    /// Where it stands.
    pub stage: Stage,
    /// When it was made.
    pub made_at: Millis,
    /// For how long, as asked, in milliseconds.
    pub ttl_ms: u32,
    /// With extensions; of no meaning once pinned or committed.
    pub expires_at: Millis,
    /// Asked for as partial.
    pub partial: bool,
    /// Asked for as in doubt.
    pub in_doubt: bool,
    /// Not settled yet.
    pub unsettled: bool,
    /// Committed by a list of lines.
    pub in_part: bool,
    /// Fingerprint of what was asked.
    pub body: u64,
    /// In the order asked.
    pub lines: PerLine<SavedLine>,
    /// What it counts for its customer.
    pub purchase: Option<SavedPurchase>,
}

/// A purchase limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedLimit {
    /// Of what.
    pub sku: Sku,
    /// How many.
    pub limit: PurchaseLimit,
}

/// What a hold counts for its customer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SavedPurchase {
    /// Who buys.
    pub customer: Customer,
    /// Units of each SKU that had a limit when the hold was made, in order of SKU.
    pub units: Box<[(Sku, u64)]>,
}

/// A line of a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedLine {
    /// Which of the rows, counted from zero in the order of the snapshot; `None` where there was none.
    pub row: Option<u32>,
    /// Taken when the hold was made.
    pub taken: Units,
    /// Left available then.
    pub remaining: Units,
    /// Of those taken, committed.
    pub committed: Units,
    /// Of those committed, returned since.
    pub restocked: Units,
    /// Backordered when the hold was made.
    pub backordered: Units,
    /// Of those backordered, given since.
    pub filled: Units,
    /// Of those backordered, still owed.
    pub owed: Units,
    /// Of a backordered line, its place in its row's queue.
    pub turn: u64,
}

/// A remembered id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SavedEnd {
    /// Which.
    pub id: HoldId,
    /// Its kind.
    pub kind: IdKind,
    /// How it ended.
    pub end: End,
    /// Until when it is remembered at least.
    pub until: Millis,
    /// The expiry that was answered first.
    pub first_expiry: Millis,
    /// Asked for as partial.
    pub partial: bool,
    /// Committed by a list of lines.
    pub in_part: bool,
    /// Fingerprint of what was asked.
    pub body: u64,
    /// Whether the lines say what was taken; if not, all that was asked was, and only `remaining` is known.
    pub detailed: bool,
    /// In the order asked; none of a tombstone.
    pub lines: PerLine<SavedLine>,
    /// What it counts for its customer still.
    pub purchase: Option<SavedPurchase>,
}

impl Ledger {
    /// The head of a snapshot of this moment.
    pub(crate) fn begin(&self) -> SavedBegin {
        let usage = self.usage();
        SavedBegin {
            now: self.now,
            clock: self.holds.clock(),
            rows: usage.rows,
            holds: usage.live,
            ended: usage.holds - usage.live + usage.tombstones,
            movements: usage.movements,
            announcements: usage.announcements,
            shipments: usage.shipments,
            limits: usage.purchase_limits,
            recorded: usage.recorded,
            next_recorded: self.rows.journal.history.next,
            events: usage.events,
            next_event: self.rows.journal.events.next,
            turn: self.holds.backorders.turn(),
        }
    }

    /// The whole state, except the list of undrained changes. Equal states give equal lists. O(1) to begin, O(everything kept) in
    /// all; borrows the ledger meanwhile: whoever must not stop it takes the same items by [`freeze`](Ledger::freeze).
    pub fn save(&self) -> impl Iterator<Item = Saved> + '_ {
        let row = |ix| {
            let ((sku, location), row) = (self.rows.key(ix), self.rows.row(ix));
            let cold = self.rows.cold(ix).map(SavedCold::of);
            Saved::Row(SavedRow { sku, location, row, booked: self.rows.booked(ix), detached: self.rows.detached(ix), cold })
        };
        let beside = self.holds.beside();
        once(Saved::Begin(self.begin()))
            .chain(self.rows.iter().map(row))
            .chain(self.holds.listed().map(move |(level, place)| Saved::Hold(beside.any_hold(&self.rows, level, self.holds.record(place)))))
            .chain(self.holds.remembered().map(move |memory| Saved::Ended(beside.end(self.holds.ended(memory)))))
            .chain(self.movements.iter().cloned().map(Saved::Movement))
            .chain(self.announcements.values().cloned().map(Saved::Announcement))
            .chain(self.shipments.values().cloned().map(Saved::Shipment))
            .chain(self.holds.purchases.limits.iter().map(|(&sku, &limit)| Saved::Limit(SavedLimit { sku, limit })))
            .chain(self.rows.journal.history.iter().copied().map(Saved::Recorded))
            .chain(self.rows.journal.events.iter().copied().map(Saved::Event))
    }
}

/// Where a hold stands; the level and bound are of its list, if it expires.
fn stage(state: State, level: Option<(usize, Millis)>) -> Stage {
    match (state, level) {
        (State::Held, Some((level, soonest))) => Stage::Held { level: level as u8, soonest },
        (State::Pinned, _) => Stage::Pinned,
        (State::Committed, _) => Stage::Committed,
        (State::Held, None) | (State::Free, _) => unreachable!("the held are on the wheel, and they alone"),
    }
}

/// What holds are saved from, besides their records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) blocks: &'a Blocks,
    pub(crate) backorders: &'a Backorders,
    pub(crate) purchases: &'a Purchases,
}

impl Beside<'_> {
    /// Whether a record or an entry with these flags is all that there is to its hold.
    pub(crate) fn is_whole(self, flags: Flags) -> bool {
        ![Flags::SPILLED, Flags::BACKORDER, Flags::COUNTED].into_iter().any(|flag| flags.has(flag))
    }

    /// A live hold, whatever its record has of it.
    pub(crate) fn any_hold(self, rows: &Table, level: Option<(usize, Millis)>, record: &Record) -> SavedHold {
        let held = lines::of(self.blocks, record);
        let body = if record.flags.has(Flags::SPILLED) { record.body() } else { Asked::of(record).body(rows, &held) };
        self.hold(record, &held, stage(record.state, level), body)
    }

    /// A live hold whose lines are not in its record, but for level and bound of its list.
    pub(crate) fn spilled_hold(self, record: &Record) -> SavedHold {
        debug_assert!(record.flags.has(Flags::SPILLED), "the fingerprint of others comes from their rows");
        self.hold(record, &lines::of(self.blocks, record), stage(record.state, Some((0, Millis(0)))), record.body())
    }

    fn hold(self, record: &Record, held: &[HeldLine], stage: Stage, body: u64) -> SavedHold {
        let flags = record.flags;
        SavedHold {
            id: record.id(),
            kind: flags.kind(),
            owner: record.owner(),
            stage,
            made_at: record.made_at(),
            ttl_ms: record.ttl_ms,
            expires_at: record.expires_at(),
            partial: flags.has(Flags::PARTIAL),
            in_doubt: flags.has(Flags::IN_DOUBT),
            unsettled: flags.has(Flags::UNSETTLED),
            in_part: flags.has(Flags::IN_PART),
            body,
            lines: self.lines(record.id(), flags, held),
            purchase: self.purchase(record.id(), flags),
        }
    }

    /// Lines with what they are owed.
    fn lines(self, id: HoldId, flags: Flags, held: &[HeldLine]) -> PerLine<SavedLine> {
        let mut lines: PerLine<SavedLine> = held.iter().map(saved_line).collect();
        let backs = if flags.has(Flags::BACKORDER) { self.backorders.of(id) } else { &[] };
        for (line, back) in lines.iter_mut().zip(backs) {
            (line.backordered, line.filled, line.owed, line.turn) = (Units(back.at_first), Units(back.filled), Units(back.owed), back.turn);
        }
        lines
    }

    fn purchase(self, id: HoldId, flags: Flags) -> Option<SavedPurchase> {
        if flags.has(Flags::COUNTED) { self.purchases.holds.get(&id).cloned() } else { None }
    }

    /// A remembered id.
    pub(crate) fn end(self, ended: &Ended) -> SavedEnd {
        let detailed = lines::of_ended(self.blocks, ended);
        let remaining = ended.remaining.iter().take(ended.lines_len());
        SavedEnd {
            id: ended.id(),
            kind: ended.flags.kind(),
            end: ended.end,
            until: ended.until(),
            first_expiry: ended.first_expiry(),
            partial: ended.flags.has(Flags::PARTIAL),
            in_part: ended.flags.has(Flags::IN_PART),
            body: ended.body(),
            detailed: detailed.is_some(),
            lines: match detailed {
                Some(held) => self.lines(ended.id(), ended.flags, &held),
                None => remaining.map(|&left| SavedLine { remaining: Units(left), ..SavedLine::default() }).collect(),
            },
            purchase: self.purchase(ended.id(), ended.flags),
        }
    }
}

fn saved_line(line: &HeldLine) -> SavedLine {
    SavedLine {
        row: line.row.map(|row| row.0),
        taken: Units(line.taken),
        remaining: Units(line.remaining),
        committed: Units(line.committed),
        restocked: Units(line.restocked),
        ..SavedLine::default()
    }
}

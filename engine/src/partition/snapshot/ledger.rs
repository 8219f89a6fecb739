//! The ledger's items: [`inventory_ledger::Saved`], each variant a kind of its own.
//!
//! Path: the ledger gives what it had at the freeze → fields, in the order of `FORMAT.md` section 4 → the same item → the ledger's own
//! restore, which trusts nothing. Written field by field and not archived: the ledger's types are its own and know no format, and rows and
//! holds come by the million.

use super::fields::{Field, enums, structs, wrappers};
use super::{Items, Kind};
use inventory_ledger as ledger;
use ledger::Saved;

/// Items asked of the ledger at once, between two looks at how much was written.
const ITEMS_AT_ONCE: usize = 16;

/// Writes what the ledger had at its freeze, on from where it was left; `true` while there may be more.
pub(in crate::partition) fn walk(ledger: &mut ledger::Ledger, items: &mut Items<'_>) -> bool {
    while !items.are_full() {
        let mut given = 0;
        let more = ledger.frozen(ITEMS_AT_ONCE, &mut |saved| {
            put(items, &saved);
            given += 1;
        });
        if !more {
            return false;
        }
        // It may give memory back instead, which takes time too.
        items.skip(ITEMS_AT_ONCE.saturating_sub(given));
    }
    true
}

fn put(items: &mut Items<'_>, saved: &Saved) {
    match saved {
        Saved::Begin(begin) => items.put(Kind::LedgerBegin, |body| begin.put(body)),
        Saved::Row(row) => items.put(Kind::LedgerRow, |body| row.put(body)),
        Saved::Hold(hold) => items.put(Kind::LedgerHold, |body| hold.put(body)),
        Saved::Ended(ended) => items.put(Kind::LedgerEnded, |body| ended.put(body)),
        Saved::Movement(movement) => items.put(Kind::LedgerMovement, |body| movement.put(body)),
        Saved::Announcement(open) => items.put(Kind::LedgerAnnouncement, |body| open.put(body)),
        Saved::Shipment(open) => items.put(Kind::LedgerShipment, |body| open.put(body)),
        Saved::Limit(limit) => items.put(Kind::LedgerLimit, |body| limit.put(body)),
        Saved::Recorded(recorded) => items.put(Kind::LedgerRecorded, |body| recorded.put(body)),
        Saved::Event(event) => items.put(Kind::LedgerEvent, |body| event.put(body)),
    }
}

/// Reads an item of one of the ledger's kinds; `None` if it is none, or `kind` is not the ledger's.
pub(in crate::partition) fn take(kind: Kind, from: &mut &[u8]) -> Option<Saved> {
    Some(match kind {
        Kind::LedgerBegin => Saved::Begin(Field::take(from)?),
        Kind::LedgerRow => Saved::Row(Field::take(from)?),
        Kind::LedgerHold => Saved::Hold(Field::take(from)?),
        Kind::LedgerEnded => Saved::Ended(Field::take(from)?),
        Kind::LedgerMovement => Saved::Movement(Field::take(from)?),
        Kind::LedgerAnnouncement => Saved::Announcement(Field::take(from)?),
        Kind::LedgerShipment => Saved::Shipment(Field::take(from)?),
        Kind::LedgerLimit => Saved::Limit(Field::take(from)?),
        Kind::LedgerRecorded => Saved::Recorded(Field::take(from)?),
        Kind::LedgerEvent => Saved::Event(Field::take(from)?),
        Kind::Head
        | Kind::Key
        | Kind::Effect
        | Kind::Product
        | Kind::Claim
        | Kind::Category
        | Kind::SearchSetting
        | Kind::Node
        | Kind::Location
        | Kind::Announced
        | Kind::Transfer
        | Kind::Landing
        | Kind::LandingRetry
        | Kind::Policy
        | Kind::PreorderEnd
        | Kind::Kept
        | Kind::Sold
        | Kind::Cart
        | Kind::Order
        | Kind::OrderFailed
        | Kind::End => return None,
    })
}

wrappers!(
    ledger::Sku,
    ledger::Location,
    ledger::HoldId,
    ledger::MovementId,
    ledger::Owner,
    ledger::Customer,
    ledger::Reason,
    ledger::Reference,
    ledger::Units,
    ledger::Millis,
    ledger::Serial,
);

structs! {
    ledger::SavedBegin {
        now, clock, rows, holds, ended, movements, announcements, shipments, limits, recorded, next_recorded, events, next_event, turn
    }
    ledger::SavedRow { sku, location, row, booked, detached, cold }
    ledger::Row { available, held, committed, incoming, unavailable, in_transit, backordered }
    ledger::SavedCold { apart, carried, lost, policy, low }
    ledger::SavedHold {
        id, kind, owner, stage, made_at, ttl_ms, expires_at, partial, in_doubt, unsettled, in_part, body, lines, purchase
    }
    ledger::SavedLine { row, taken, remaining, committed, restocked, backordered, filled, owed, turn }
    ledger::SavedPurchase { customer, units }
    ledger::SavedEnd { id, kind, end, until, first_expiry, partial, in_part, body, detailed, lines, purchase }
    ledger::SavedAnnouncement { id, due, reference, lines }
    ledger::SavedExpected { row, announced, left }
    ledger::SavedShipment { id, to, lines }
    ledger::SavedSent { from, to, sent, left }
    ledger::SavedLimit { sku, limit }
    ledger::PurchaseLimit { per_order, per_customer }
    ledger::Remembered { id, act, until }
    ledger::ApartBody { sku, location, why, units }
    ledger::RestockBody { hold, lines }
    ledger::Line { sku, location, quantity }
    ledger::Arrival { sku, whole, damaged, lost }
    ledger::Moved { row, created, replayed }
    ledger::Restocked { units, left, owed, replayed }
    ledger::Goods { units, left, surplus, opened, replayed }
    ledger::Recorded { serial, at, cause, sku, location, from, to, units }
    ledger::Event { serial, at, news }
    ledger::FilledLine { hold, owner, line, sku, location, units, left }
}

enums! {
    ledger::IdKind { 0 Opaque, 1 Timed }
    ledger::Stage { 0 Held { level, soonest }, 1 Pinned, 2 Committed }
    ledger::End { 0 Restocked, 1 Forgotten, 2 Released, 3 Expired, 4 Tombstoned }
    ledger::Policy { 0 Deny, 1 Backorder { limit }, 2 Preorder { limit, until } }
    ledger::Unavailable { 0 Damaged, 1 Quarantine, 2 Safety, 3 Other }
    ledger::Act { 0 Stock(body, outcome), 1 Restock(body, outcome), 2 Goods(body, outcome) }
    ledger::StockBody {
        0 Open { sku, location, on_hand },
        1 Adjust { sku, location, delta, reason },
        2 Set { sku, location, on_hand, expected, reason },
        3 SetApart(body),
        4 PutBack(body),
        5 WriteOff(body),
    }
    ledger::GoodsBody {
        0 Receive { announcement, lines },
        1 Announce { due, reference, lines },
        2 Withdraw { announcement },
        3 Send { to, lines },
        4 Arrive { shipment, lines },
        5 Recall { shipment },
    }
    ledger::MoveRefused {
        0 Mismatch { actual },
        1 Committed { available, held, committed },
        2 Overflow { on_hand },
        3 UnknownRow,
        4 TooFew { apart },
        5 IdReused,
        6 Full(table),
    }
    ledger::RestockRefused {
        0 Unknown,
        1 NotCommitted { state },
        2 TooMany { index, requested, left },
        3 Malformed(bad),
        4 IdReused,
        5 Full(table),
    }
    ledger::GoodsRefused {
        0 Unknown,
        1 Short { index, requested, available },
        2 TooMany { index, requested, left },
        3 Overflow { index, there },
        4 SamePlace { index },
        5 Malformed(bad),
        6 IdReused,
        7 Full(table),
    }
    ledger::HoldState {
        0 Held { expires_at },
        1 Pinned,
        2 Committed,
        3 Restocked,
        4 Forgotten,
        5 Released,
        6 Expired,
        7 Tombstoned,
    }
    ledger::Full {
        0 Rows,
        1 Holds,
        2 Tombstones,
        3 Movements,
        4 Announcements,
        5 Shipments,
        6 Backorders,
        7 PurchaseLimits,
        8 Purchases,
    }
    ledger::Cause { 0 Movement(id), 1 Hold(id), 2 Commit(id), 3 Release(id), 4 Expiry(id), 5 Fill(id), 6 Forget(id) }
    ledger::Place { 0 Outside, 1 Available, 2 Held, 3 Committed, 4 Incoming, 5 Unavailable, 6 InTransit, 7 Backordered }
    ledger::News { 0 LowStock { sku, location, available }, 1 BackInStock { sku, location, available }, 2 Filled(line) }
}

/// What is wrong with a list of lines: its count is of memory, and stored in 64 bits.
impl Field for ledger::BadLines {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.push(0),
            Self::TooMany { len } => {
                out.push(1);
                (*len as u64).put(out);
            }
            Self::ZeroQuantity { index } => {
                out.push(2);
                index.put(out);
            }
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(from)? {
            0 => Self::Empty,
            1 => Self::TooMany { len: u64::take(from)?.try_into().ok()? },
            2 => Self::ZeroQuantity { index: u16::take(from)? },
            _ => return None,
        })
    }
}

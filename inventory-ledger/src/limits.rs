//! Every bound of the ledger, by name, with what happens there.
//!
//! Memory grows with use up to the [`Limits`] and no further. Nothing that protects against a repeated or late message is
//! forgotten early to make room: at a limit the ledger refuses with a `Full` answer, and the caller sweeps or waits.

use crate::{Millis, Units};

/// Most units on hand in one row. A movement that would exceed it is refused with `Overflow`.
///
/// Fits an `i32`, so that any client can read it, and two columns always add up within a `u32`.
pub const UNITS_MAX: Units = Units(i32::MAX as u32);

/// Most lines in one hold, restock, delivery or shipment. More are refused with `TooManyLines`.
pub const LINES_MAX: usize = 256;

/// How long a movement's id is remembered at least, in milliseconds (24 hours).
///
/// A movement repeated within that time gives its first outcome; the first [`sweep`](crate::Ledger::sweep) after it forgets
/// the id, and a repeat is then a new movement. A caller must not resend later than this.
pub const MOVEMENT_WINDOW_MS: u64 = 24 * HOUR_MS;

/// How long the release of an unknown hold keeps that hold from being made, at least, in milliseconds (24 hours).
///
/// It must exceed the longest time that a message can be under way.
pub const TOMBSTONE_MS: u64 = 24 * HOUR_MS;

/// How long a hold with an opaque id answers repeated messages after its end, at least, in milliseconds (24 hours).
pub const HOLD_RETENTION_MS: u64 = 24 * HOUR_MS;

/// Of a timed id, the default of [`Limits::id_window_ms`] (10 minutes): older ids are refused as too old.
pub const HOLD_WINDOW_MS: u32 = 10 * MINUTE_MS;

/// How far the time part of an id may be ahead of the ledger's time, in milliseconds (1 minute). Further is refused as too new.
///
/// It must exceed the difference between the clocks of those who make ids and of whoever gives the ledger its time.
pub const ID_SKEW_MS_MAX: u32 = MINUTE_MS;

/// Default of [`Limits::hold_life_ms_max`] (60 minutes).
pub const HOLD_LIFE_MS_MAX: u32 = 60 * MINUTE_MS;

/// The end of time: 2⁴⁸ - 1 milliseconds after the epoch, some 8,900 years. Later instants are taken as this one.
pub const TIME_MAX: Millis = Millis((1 << 48) - 1);

/// Most holds, and most tombstones, of one ledger, whatever its [`Limits`] say: both together are told apart by 30 bits.
pub const HOLDS_MAX: u32 = crate::slab::PLACES_MAX / 2;

/// How many holds [`expire`](crate::Ledger::expire) may put from a coarse list of its timing wheel into a finer one, for each that
/// it was allowed to end.
pub const EXPIRE_MOVES_PER_END: usize = 4;

const MINUTE_MS: u32 = 60 * 1_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

const _: () = assert!(UNITS_MAX.0 <= u32::MAX / 2, "two columns must add up within a u32");
const _: () = assert!(TOMBSTONE_MS == HOLD_RETENTION_MS, "ended holds and tombstones of opaque ids share a queue, in order of time");
const _: () = assert!(2 * HOLDS_MAX <= crate::ring::ENTRIES_MAX, "every hold may end, beside all tombstones");

/// How much one ledger may keep, and for how long. Costs are of the ledger's own tables, without allocator overhead; the crate's
/// README has them as measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Rows. At the limit, opening another is refused with [`Full::Rows`]; rows are never removed.
    pub rows_max: u32,
    /// Holds in every state, open and remembered. At the limit, another hold is refused with [`Full::Holds`] until one ends and
    /// is swept. Never more than [`HOLDS_MAX`].
    pub holds_max: u32,
    /// Releases of holds that were never seen. At the limit, such a release is refused with [`Full::Tombstones`]; it must be sent
    /// again, for until then a late hold could still be taken. Never more than [`HOLDS_MAX`].
    pub tombstones_max: u32,
    /// Movements remembered, about 200 bytes each, and 32 for each line of a restock, a delivery or a shipment. At the limit, a new movement is refused with [`Full::Movements`].
    pub movements_kept_max: u32,
    /// Announcements that are open, about 100 bytes each and 12 for each line. At the limit, another is refused with
    /// [`Full::Announcements`] until one is received or withdrawn.
    pub announcements_max: u32,
    /// Shipments that are open, about 80 bytes each and 16 for each line. At the limit, another is refused with [`Full::Shipments`]
    /// until one has arrived or is recalled.
    pub shipments_max: u32,
    /// Holds with backordered lines, live and remembered, about 70 bytes each, 24 for each of its lines and 70 for each that is still
    /// owed units. At the limit, another is refused with [`Full::Backorders`].
    pub backorders_max: u32,
    /// SKUs with a purchase limit, about 50 bytes each. At the limit, another is refused with [`Full::PurchaseLimits`].
    pub purchase_limits_max: u32,
    /// Holds that count for a customer, live and remembered, about 120 bytes each, 32 for each SKU counted and 80 for each customer
    /// and SKU. At the limit, another is refused with [`Full::Purchases`].
    pub purchases_max: u32,
    /// Movements kept for those who read along, 96 bytes each. Beyond it the oldest is dropped; at zero none is recorded.
    pub history_max: u32,
    /// Events kept, 112 bytes each. Beyond it the oldest is dropped; at zero none is told.
    pub events_max: u32,
    /// How old a timed hold id may be, in milliseconds. Older ones are refused as too old and never run.
    pub id_window_ms: u32,
    /// How long a hold may last from its making unless it is pinned, extensions included, in milliseconds. A longer time to live
    /// is refused; an extension is cut to it.
    pub hold_life_ms_max: u32,
}

impl Default for Limits {
    /// Room for a large warehouse: 4 Mi rows, 4 Mi holds, 1 Mi tombstones, 1 Mi movements a day, 64 Ki announcements and
    /// as many shipments, 1 Mi backorders and
    /// counted holds each, 64 Ki purchase limits, 64 Ki events and no
    /// history. Ids of ten minutes, holds of an hour.
    fn default() -> Self {
        Self {
            rows_max: 1 << 22,
            holds_max: 1 << 22,
            tombstones_max: 1 << 20,
            movements_kept_max: 1 << 20,
            announcements_max: 1 << 16,
            shipments_max: 1 << 16,
            backorders_max: 1 << 20,
            purchase_limits_max: 1 << 16,
            purchases_max: 1 << 20,
            history_max: 0,
            events_max: 1 << 16,
            id_window_ms: HOLD_WINDOW_MS,
            hold_life_ms_max: HOLD_LIFE_MS_MAX,
        }
    }
}

/// For how much a ledger has memory before it needs it: see [`Ledger::make_room`](crate::Ledger::make_room).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Room {
    /// Rows.
    pub rows: u32,
    /// Live holds of up to three lines.
    pub holds: u32,
    /// Ended holds and tombstones with timed ids.
    pub timed_remembered: u32,
    /// Ended holds and tombstones with opaque ids.
    pub opaque_remembered: u32,
}

/// Which table is full. The request changed nothing, is not remembered, and may be sent again as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Full {
    /// [`Limits::rows_max`]: the operator must raise it.
    #[error("no room for another row")]
    Rows,
    /// [`Limits::holds_max`]: expire, sweep and `forget`, or raise it.
    #[error("no room for another hold")]
    Holds,
    /// [`Limits::tombstones_max`]: sweep, or raise it.
    #[error("no room for another tombstone")]
    Tombstones,
    /// [`Limits::movements_kept_max`]: sweep, or raise it.
    #[error("no room to remember another movement")]
    Movements,
    /// [`Limits::announcements_max`]: receive or withdraw some, or raise it.
    #[error("no room for another announcement")]
    Announcements,
    /// [`Limits::shipments_max`]: let some arrive or recall them, or raise it.
    #[error("no room for another shipment")]
    Shipments,
    /// [`Limits::backorders_max`]: fill, end or sweep some, or raise it.
    #[error("no room for another backorder")]
    Backorders,
    /// [`Limits::purchase_limits_max`]: lift some, or raise it.
    #[error("no room for another purchase limit")]
    PurchaseLimits,
    /// [`Limits::purchases_max`]: end, forget and sweep holds, or raise it.
    #[error("no room to count another hold for its customer")]
    Purchases,
}

/// How much a ledger keeps at present, to compare with its [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows.
    pub rows: u32,
    /// Holds in every state.
    pub holds: u32,
    /// Of them, those held, pinned or committed; the others have ended and are remembered.
    pub live: u32,
    /// Of them, those in doubt.
    pub in_doubt: u32,
    /// Tombstones.
    pub tombstones: u32,
    /// Movements remembered.
    pub movements: u32,
    /// Announcements that are open.
    pub announcements: u32,
    /// Shipments that are open.
    pub shipments: u32,
    /// Holds with backordered lines, live and remembered.
    pub backorders: u32,
    /// SKUs with a purchase limit.
    pub purchase_limits: u32,
    /// Holds that count for a customer, live and remembered.
    pub purchases: u32,
    /// Movements kept for those who read along.
    pub recorded: u32,
    /// Events kept.
    pub events: u32,
}

/// Bytes that a ledger's tables take at present, with the room they keep to grow, without the allocator's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Rows with their index, and the list of changed ones.
    pub rows: usize,
    /// Records of live holds, the timing wheel included.
    pub holds: usize,
    /// Lines of holds that have more than fit their record.
    pub lines: usize,
    /// Remembered ids of ended holds, and tombstones.
    pub remembered: usize,
    /// The index of all ids, live and remembered.
    pub ids: usize,
    /// Movements with their index, without the lines of restocks and goods.
    pub movements: usize,
    /// What few rows have, and what is on its way: cold records of rows, open announcements and shipments, backorders, purchases, history and events.
    /// The trees among them are told by the number of their entries.
    pub rare: usize,
    /// While a snapshot is under way: the old forms of what changed before its turn, without what does not fit them (lines of long
    /// holds, movements, announcements and shipments).
    pub frozen: usize,
}

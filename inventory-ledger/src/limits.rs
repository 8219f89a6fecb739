//! Every bound of the ledger, by name, with what happens there.
//!
//! Memory grows with use up to the [`Limits`] and no further. Nothing that protects against a repeated or late message is
//! forgotten early to make room: at a limit the ledger refuses with a `Full` answer, and the caller sweeps or waits.

use crate::Units;

/// Most units on hand in one row. A movement that would exceed it is refused with `Overflow`.
///
/// Fits an `i32`, so that any client can read it, and two columns always add up within a `u32`.
pub const UNITS_MAX: Units = Units(i32::MAX as u32);

/// Most lines in one hold or restock. More are refused with `TooManyLines`.
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

/// How long a hold that has ended answers repeated messages, at least, in milliseconds (24 hours).
pub const HOLD_RETENTION_MS: u64 = 24 * HOUR_MS;

const HOUR_MS: u64 = 60 * 60 * 1_000;

const _: () = assert!(UNITS_MAX.0 <= u32::MAX / 2, "two columns must add up within a u32");

/// How much one ledger may keep. Costs are of the ledger's own tables, without allocator overhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows, about 140 bytes each where every SKU has one location. At the limit, opening another is refused with [`Full::Rows`]; rows are never removed.
    pub rows_max: u32,
    /// Holds in every state, open and remembered, about 200 bytes each up to three lines. At the limit, another hold is
    /// refused with [`Full::Holds`] until one ends and is swept.
    pub holds_max: u32,
    /// Releases of holds that were never seen, about 60 bytes each. At the limit, such a release is refused with
    /// [`Full::Tombstones`]; it must be sent again, for until then a late hold could still be taken.
    pub tombstones_max: u32,
    /// Movements remembered, about 200 bytes each, and 32 for each line of a restock. At the limit, a new movement is refused with [`Full::Movements`].
    pub movements_kept_max: u32,
}

impl Default for Limits {
    /// Room for a large warehouse: 4 Mi rows, 4 Mi holds, 1 Mi tombstones, 1 Mi movements a day.
    fn default() -> Self {
        Self { rows_max: 1 << 22, holds_max: 1 << 22, tombstones_max: 1 << 20, movements_kept_max: 1 << 20 }
    }
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
}

/// How much a ledger keeps at present, to compare with its [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows.
    pub rows: u32,
    /// Holds in every state.
    pub holds: u32,
    /// Tombstones.
    pub tombstones: u32,
    /// Movements remembered.
    pub movements: u32,
}

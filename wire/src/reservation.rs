//! Reservations: stock set aside by those who keep their orders elsewhere, at one location and under an id of the caller's own.
//!
//! A reservation is a hold of the location's ledger like those of the shop's own checkouts: `Reserve` → [`Reserved`] → `CommitReserved` or
//! `ReleaseReserved`, or it falls back when its time is over. Several locations are several reservations.

use crate::{HoldId, Millis, OrderId, SkuId};
use rkyv::{Archive, Deserialize, Serialize};

/// Units of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ReserveLine {
    /// What.
    pub sku: SkuId,
    /// At least 1.
    pub quantity: u32,
}

/// Stock to set aside at one location: all lines, or none.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Reservation {
    /// Names it. 128 bits of the caller's own, the upper 48 of them milliseconds since 1970 when it was made: sent again with the same body it
    /// gives the first answer; older than [`crate::limits::RESERVATION_WINDOW_MS`] it is refused as `TooOld` and never run.
    pub hold: HoldId,
    /// For whom: the caller's order or customer, shown again with the hold. Purchase limits per customer count by it.
    pub owner: OrderId,
    /// Location code: decides the partition.
    pub location: String,
    /// 1..=[`crate::limits::RESERVE_LINES_MAX`]. Lines of one SKU add up.
    pub lines: Vec<ReserveLine>,
    /// It falls back after this long, counted from the log's time; at most [`crate::limits::RESERVE_TTL_MS_MAX`].
    pub ttl_ms: u32,
    /// Take what is there of each line instead of refusing the whole.
    pub partial: bool,
}

/// What came of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Reserved {
    /// When it falls back.
    pub expires_at: Millis,
    /// In the order of the lines asked.
    pub lines: Vec<ReservedLine>,
}

/// One line of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ReservedLine {
    /// Units set aside: what was asked, or less of a partial one.
    pub taken: u32,
    /// Units of the SKU left available at the location once all lines were taken.
    pub remaining: u32,
}

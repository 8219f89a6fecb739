//! What a ledger refuses, as the shop says it.

use super::LEDGER_LIMITS;
use crate::record::v1::HoldLine;
use inventory_ledger::{Full, GoodsRefused, UNITS_MAX};
use wire::{FieldError, Refusal, Shortage, limits};

pub(super) fn too_new() -> Refusal {
    invalid("/hold", "too_new", "an id made by a clock that is right")
}

pub(super) fn check_units(units: u32) -> Result<(), Refusal> {
    if units <= limits::STOCK_UNITS_MAX { Ok(()) } else { Err(too_many_units(limits::STOCK_UNITS_MAX)) }
}

pub(super) fn too_many_units(max: u32) -> Refusal {
    Refusal::LimitReached { what: "units of a stock row".to_owned(), max: u64::from(max) }
}

pub(super) fn no_room(full: Full) -> Refusal {
    let (what, max) = match full {
        Full::Rows => ("stock rows of a partition", LEDGER_LIMITS.rows_max),
        Full::Holds => ("holds of a partition", LEDGER_LIMITS.holds_max),
        Full::Tombstones => ("released holds of a partition", LEDGER_LIMITS.tombstones_max),
        Full::Movements => ("stock movements of a partition in a day", LEDGER_LIMITS.movements_kept_max),
        Full::Announcements => ("announced deliveries of a partition", LEDGER_LIMITS.announcements_max),
        Full::Shipments => ("open shipments of a partition", LEDGER_LIMITS.shipments_max),
        Full::PurchaseLimits => ("purchase limits of a partition", LEDGER_LIMITS.purchase_limits_max),
        Full::Purchases => ("limited purchases of a partition", LEDGER_LIMITS.purchases_max),
        Full::Backorders => ("backordered holds of a partition", LEDGER_LIMITS.backorders_max),
    };
    Refusal::LimitReached { what: what.to_owned(), max: u64::from(max) }
}

pub(super) fn invalid(pointer: &str, code: &str, wanted: &str) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail: wanted.to_owned() }])
}

/// Goods of these lines that did not move, as the shop says it.
pub(super) fn goods_refused(refused: GoodsRefused, lines: &[HoldLine]) -> Refusal {
    match refused {
        GoodsRefused::Unknown => Refusal::NotFound,
        GoodsRefused::Short { index, requested, available } => match lines.get(usize::from(index)) {
            Some(line) => {
                let short = Shortage { line: index, sku: line.sku, requested: requested.0, available: available.0 };
                Refusal::InsufficientStock(vec![short])
            }
            None => Refusal::NotFound,
        },
        GoodsRefused::TooMany { index, left, .. } => too_many_came(index, u64::from(left.0)),
        GoodsRefused::Overflow { .. } => too_many_units(UNITS_MAX.0),
        GoodsRefused::SamePlace { .. } => invalid("/to", "same_location", "another location than it leaves"),
        GoodsRefused::Malformed(bad) => invalid("/lines", "bad_lines", &bad.to_string()),
        GoodsRefused::IdReused => Refusal::IdempotencyKeyReused,
        GoodsRefused::Full(full) => no_room(full),
    }
}

/// More came by a line than was sent and had not come.
pub(super) fn too_many_came(line: u16, left: u64) -> Refusal {
    invalid(&format!("/lines/{line}"), "too_many", &format!("at most {left} are still to come; book what is beyond it as a delivery"))
}

/// The bounds of a list of goods that no row is needed for.
pub(super) fn check_lines(lines: &[HoldLine]) -> Result<(), Refusal> {
    lines.iter().try_for_each(|line| check_units(line.quantity))
}

pub(super) fn check_some(pointer: &str, units: u32) -> Result<(), Refusal> {
    if units > 0 { Ok(()) } else { Err(invalid(pointer, "out_of_range", "at least 1")) }
}

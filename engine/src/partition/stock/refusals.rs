//! What a ledger refuses, as the shop says it.

use super::LEDGER_LIMITS;
use inventory_ledger::Full;
use wire::{FieldError, Refusal, limits};

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

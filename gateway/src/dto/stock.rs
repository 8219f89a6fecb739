//! Stock: what shoppers see of it, and what the warehouse sees and changes.

use super::{Shown, Time, check::Checks};
use crate::http::{problem::Problem, reference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{AnnouncementId, BackorderPolicy, HoldId, OrderId, ProductId, SkuId, SkuRef, StockAdjustment, StockChange, TransferId, limits};

/// Bytes of an adjustment's reason or id.
const REASON_BYTES_MAX: usize = 500;

/// What a shopper is told about a SKU.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Availability {
    /// Can at least one be had?
    in_stock: bool,
    /// Units that can be had, at most 10.
    quantity: u32,
    /// Is `quantity` only a lower bound?
    quantity_is_cap: bool,
    /// May it be ordered beyond what is there?
    backorder: bool,
}

impl From<wire::Availability> for Availability {
    fn from(it: wire::Availability) -> Self {
        Self {
            in_stock: it.in_stock(),
            quantity: it.quantity.min(limits::SHOWN_QUANTITY_MAX),
            quantity_is_cap: it.is_cap(),
            backorder: it.backorder,
        }
    }
}

/// Availability of one SKU.
#[derive(Debug, Serialize, ToSchema)]
pub struct SkuAvailability {
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// The merchant's SKU key.
    key: String,
    /// Live.
    availability: Availability,
}

/// Availability of the SKUs asked for, in that order.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailabilityList {
    items: Vec<SkuAvailability>,
    /// Always null: this list has one page.
    #[schema(value_type = Option<String>)]
    next: (),
}

impl From<Vec<wire::SkuAvailability>> for AvailabilityList {
    fn from(items: Vec<wire::SkuAvailability>) -> Self {
        let items =
            items.into_iter().map(|item| SkuAvailability { sku: Shown(item.sku), key: item.key, availability: item.availability.into() });
        Self { items: items.collect(), next: () }
    }
}

/// A SKU at a location. `on_hand` = `available` + `held` + `committed` + `unavailable`.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockRow {
    /// Location code.
    location: String,
    /// Units in the building.
    on_hand: u64,
    /// Can be sold.
    available: u32,
    /// Set aside for orders being placed.
    held: u32,
    /// Sold, not shipped.
    committed: u32,
    /// Announced by suppliers.
    incoming: u32,
    /// Here and not for sale.
    unavailable: u32,
    /// The same by reason.
    unavailable_by_reason: UnavailableByReason,
    /// On the way here from other locations; on hand nowhere.
    in_transit: u32,
    /// Owed to those who reserved more than was here; on hand nowhere.
    backordered: u32,
    /// Units it may owe at once; null where only what is available is sold.
    backorder_limit: Option<u32>,
    /// Until when it may, if it is a preorder.
    #[schema(value_type = Option<String>)]
    backorder_until: Option<Time>,
    /// At how many available units an event is told; null for never.
    low_stock: Option<u32>,
    /// Announced deliveries that bring some, by due date, at most 100.
    expected: Vec<Expected>,
    /// Transfers that bring some, at most 100.
    transfers: Vec<UnderWay>,
}

/// Units not for sale, by reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnavailableByReason {
    /// Broken, spoilt or incomplete.
    damaged: u32,
    /// Waiting for quality control.
    quarantine: u32,
    /// Kept back so that the last units are not promised.
    safety: u32,
    /// Anything else.
    other: u32,
}

/// What an announced delivery brings.
#[derive(Debug, Serialize, ToSchema)]
pub struct Expected {
    /// `ann_…`
    #[schema(value_type = String)]
    announcement: Shown<AnnouncementId>,
    /// When it is expected.
    #[schema(value_type = String)]
    due: Time,
    /// The supplier's own name for it.
    reference: String,
    /// Still to come.
    quantity: u32,
}

/// What a transfer brings.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnderWay {
    /// `trf_…`
    #[schema(value_type = String)]
    transfer: Shown<TransferId>,
    /// Location code of where it comes from.
    from: String,
    /// Still under way.
    quantity: u32,
}

impl From<wire::InventoryRow> for StockRow {
    fn from(row: wire::InventoryRow) -> Self {
        let (backorder_limit, backorder_until) = match row.backorder {
            BackorderPolicy::Deny => (None, None),
            BackorderPolicy::Backorder { limit } => (Some(limit), None),
            BackorderPolicy::Preorder { limit, until } => (Some(limit), Some(Time(until))),
        };
        let wire::UnavailableUnits { damaged, quarantine, safety, other } = row.by_reason;
        let expected = row.expected.into_iter().map(|it| Expected {
            announcement: Shown(it.announcement),
            due: Time(it.due),
            reference: it.reference,
            quantity: it.quantity,
        });
        let transfers = row.under_way.into_iter().map(|it| UnderWay { transfer: Shown(it.transfer), from: it.from, quantity: it.quantity });
        Self {
            on_hand: u64::from(row.available) + u64::from(row.held) + u64::from(row.committed) + u64::from(row.unavailable),
            location: row.location,
            available: row.available,
            held: row.held,
            committed: row.committed,
            incoming: row.incoming,
            unavailable: row.unavailable,
            unavailable_by_reason: UnavailableByReason { damaged, quarantine, safety, other },
            in_transit: row.in_transit,
            backordered: row.backordered,
            backorder_limit,
            backorder_until,
            low_stock: row.low_stock,
            expected: expected.collect(),
            transfers: transfers.collect(),
        }
    }
}

/// How many units of a SKU may be had; null: as many as there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct PurchaseLimit {
    /// By one reservation, or by one order at one location.
    per_order: Option<u32>,
    /// By all reservations of one owner that are open, or were sold within a day.
    per_customer: Option<u32>,
}

/// Stock set aside for an order being placed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hold {
    /// `hold_…`
    #[schema(value_type = String)]
    id: Shown<HoldId>,
    /// Units of this SKU.
    quantity: u32,
    /// Null once only the order's decision ends it.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Time>,
    /// `ord_…`
    #[schema(value_type = String)]
    owner: Shown<OrderId>,
}

/// Everything about the stock of one SKU.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stock {
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// The merchant's SKU key.
    key: String,
    /// By location code.
    locations: Vec<StockRow>,
    /// By hold id.
    holds: Vec<Hold>,
    /// How many may be had.
    purchase_limit: PurchaseLimit,
}

impl From<wire::InventoryView> for Stock {
    fn from(view: wire::InventoryView) -> Self {
        let holds = view.holds.into_iter().map(|hold| Hold {
            id: Shown(hold.id),
            quantity: hold.quantity,
            expires_at: hold.expires_at.map(Time),
            owner: Shown(hold.owner),
        });
        let wire::PurchaseLimit { per_order, per_customer } = view.limit;
        Self {
            sku: Shown(view.sku),
            key: view.key,
            locations: view.locations.into_iter().map(Into::into).collect(),
            holds: holds.collect(),
            purchase_limit: PurchaseLimit { per_order, per_customer },
        }
    }
}

/// A change of what is on hand: either `delta`, or `set`, with `expected` only if that is what was there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustBody {
    /// `sku_…`, or `key=` and the merchant's key.
    pub sku: String,
    /// Location code.
    pub location: String,
    /// More or fewer.
    pub delta: Option<i64>,
    /// Exactly so many.
    pub set: Option<u32>,
    /// What must be on hand for `set` to be done.
    pub expected: Option<u32>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// May fewer remain than orders have taken? Only `false` is taken.
    pub allow_shortfall: Option<bool>,
}

impl AdjustBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds, or a change that is none or two.
    pub(crate) fn check(self) -> Result<StockAdjustment, Problem> {
        let mut checks = Checks::default();
        let sku = reference::sku(&self.sku).unwrap_or_else(|| {
            checks.wrong("/sku", "unknown_value", "sku_… or key=MERCHANT-KEY");
            SkuRef::Key(String::new())
        });
        let location = checks.key("/location", self.location);
        let change = match (self.delta, self.set, self.expected) {
            (Some(delta), None, None) => delta_of(&mut checks, "/delta", delta),
            (None, Some(set), expected) => {
                let set = checks.number("/set", set, 0, limits::STOCK_UNITS_MAX);
                expected.map_or(StockChange::Set(set), |expected| StockChange::CompareAndSet { set, expected })
            }
            (Some(_), ..) => {
                checks.wrong("/delta", "conflicting", "either delta, or set with or without expected");
                StockChange::Delta(0)
            }
            (None, None, _) => {
                checks.wrong("/delta", "missing", "delta, or set with or without expected");
                StockChange::Delta(0)
            }
        };
        let reason = checks.text("/reason", self.reason, 0, REASON_BYTES_MAX);
        if self.allow_shortfall == Some(true) {
            checks.wrong("/allow_shortfall", "unknown_value", "stock that orders have taken cannot be taken away here");
        }
        checks.end(StockAdjustment { sku, location, change, reason, id: None })
    }
}

fn delta_of(checks: &mut Checks, pointer: &str, delta: i64) -> StockChange {
    if delta.unsigned_abs() > u64::from(limits::STOCK_UNITS_MAX) {
        checks.wrong(pointer, "out_of_range", format!("at most {} either way", limits::STOCK_UNITS_MAX));
    }
    StockChange::Delta(delta)
}

/// How a stock line of an import means its quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StockMode {
    /// Exactly so many.
    Set,
    /// So many more, or fewer.
    Delta,
}

/// A stock line of an import.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockLine {
    /// `stock`.
    pub r#type: Option<String>,
    /// The merchant's SKU key, with or without `key=`; or `sku_…`.
    pub sku: String,
    /// Location code.
    pub location: String,
    /// Set or delta.
    pub mode: StockMode,
    /// Units.
    pub quantity: i64,
    /// Applied once per id.
    pub id: Option<String>,
}

impl StockLine {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<StockAdjustment, Problem> {
        let mut checks = Checks::default();
        let sku = reference::sku(&self.sku).unwrap_or_else(|| SkuRef::Key(checks.key("/sku", self.sku)));
        let location = checks.key("/location", self.location);
        let change = match self.mode {
            StockMode::Delta => delta_of(&mut checks, "/quantity", self.quantity),
            StockMode::Set => {
                let set = u32::try_from(self.quantity).ok().filter(|set| *set <= limits::STOCK_UNITS_MAX);
                StockChange::Set(set.unwrap_or_else(|| {
                    checks.wrong("/quantity", "out_of_range", format!("from 0 to {}", limits::STOCK_UNITS_MAX));
                    0
                }))
            }
        };
        let id = checks.option("/id", self.id, limits::KEY_BYTES_MAX);
        checks.end(StockAdjustment { sku, location, change, reason: "import".to_owned(), id })
    }
}

/// What a write of a product did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upserted {
    /// `created`, `updated` or `unchanged`.
    #[schema(value_type = String, example = "created")]
    pub status: &'static str,
    /// `prod_…`
    #[schema(value_type = String)]
    pub id: Shown<ProductId>,
    /// Rises with each change.
    pub version: u64,
}

/// The contract's word for what an upsert did.
#[must_use]
pub const fn upserted(what: wire::Upserted) -> &'static str {
    match what {
        wire::Upserted::Created => "created",
        wire::Upserted::Updated => "updated",
        wire::Upserted::Unchanged => "unchanged",
    }
}

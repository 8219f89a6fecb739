//! Stock as the merchant and the shopper see it.

use crate::{HoldId, Millis, OrderId, SkuId, SkuRef, limits};
use rkyv::{Archive, Deserialize, Serialize};

/// What a shopper is told about a SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Availability {
    /// Units that can be had, at most [`limits::SHOWN_QUANTITY_MAX`].
    pub quantity: u32,
    /// It may be ordered beyond what is there.
    pub backorder: bool,
}

impl Availability {
    /// Can at least one be had?
    #[must_use]
    pub const fn in_stock(self) -> bool {
        self.quantity > 0
    }

    /// Is `quantity` only a lower bound?
    #[must_use]
    pub const fn is_cap(self) -> bool {
        self.quantity >= limits::SHOWN_QUANTITY_MAX
    }
}

/// Availability of one SKU in a list.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SkuAvailability {
    /// `sku_…`
    pub sku: SkuId,
    /// The merchant's SKU key.
    pub key: String,
    /// Live.
    pub availability: Availability,
}

/// A change of what is on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum StockChange {
    /// More or fewer.
    Delta(i64),
    /// Exactly this many, whatever there was.
    Set(u32),
    /// Exactly this many, if `expected` is what was on hand.
    CompareAndSet {
        /// Units wanted.
        set: u32,
        /// Units that must be there.
        expected: u32,
    },
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockAdjustment {
    /// Which SKU.
    pub sku: SkuRef,
    /// Location code.
    pub location: String,
    /// How.
    pub change: StockChange,
    /// Why, in the merchant's words.
    pub reason: String,
    /// Applied once per id; `None` takes the request's idempotency key, or else applies each time.
    pub id: Option<String>,
}

/// One row: a SKU at a location.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockRow {
    /// Location code.
    pub location: String,
    /// Can be sold.
    pub available: u32,
    /// Set aside for orders being placed.
    pub held: u32,
    /// Sold, not shipped.
    pub committed: u32,
    /// On its way to us; not on hand.
    pub incoming: u32,
    /// On hand and not for sale (damaged, safety stock).
    pub unavailable: u32,
}

impl StockRow {
    /// Units in the building.
    #[must_use]
    pub const fn on_hand(&self) -> u64 {
        self.available as u64 + self.held as u64 + self.committed as u64 + self.unavailable as u64
    }
}

/// An open hold on a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct HoldView {
    /// `hold_…`
    pub id: HoldId,
    /// Units of this SKU.
    pub quantity: u32,
    /// `None` once pinned: only the order's decision ends it.
    pub expires_at: Option<Millis>,
    /// For which order.
    pub owner: OrderId,
}

/// Everything about the stock of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockView {
    /// `sku_…`
    pub sku: SkuId,
    /// The merchant's SKU key.
    pub key: String,
    /// By location code.
    pub locations: Vec<StockRow>,
    /// By hold id.
    pub holds: Vec<HoldView>,
}

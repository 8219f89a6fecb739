//! What the shop says no to. A refusal is an outcome, decided and logged like a success; it is not an error.

use crate::{Money, OrderStatus, SkuId};
use rkyv::{Archive, Deserialize, Serialize};

/// A field that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body.
    pub pointer: String,
    /// Stable word, such as `too_long`.
    pub code: String,
    /// What was wanted.
    pub detail: String,
}

/// A line that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Shortage {
    /// Index of the cart's line.
    pub line: u16,
    /// Which SKU.
    pub sku: SkuId,
    /// Units asked for.
    pub requested: u32,
    /// Units that can be had.
    pub available: u32,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// Missing, or not the caller's: the two look alike.
    NotFound,
    /// The caller's role does not allow it.
    Forbidden,
    /// Fields that cannot be taken.
    Invalid(Vec<FieldError>),
    /// `If-Match` names another version.
    VersionMismatch {
        /// The version there is.
        current: u64,
    },
    /// The key was used with another body.
    IdempotencyKeyReused,
    /// The first request with this key is still running.
    IdempotencyKeyInUse,
    /// Another product has this SKU key.
    KeyTaken {
        /// The key.
        key: String,
    },
    /// A named bound of [`crate::limits`] would be passed.
    LimitReached {
        /// What there would be too many of.
        what: String,
        /// How many there may be.
        max: u64,
    },
    /// Not enough stock; nothing was charged, nothing is held.
    InsufficientStock(Vec<Shortage>),
    /// Only orders in doubt stand in the way: try again.
    Contended,
    /// The provider declined; nothing is held.
    PaymentDeclined {
        /// The provider's word, such as `insufficient_funds`.
        decline_code: String,
    },
    /// The total is not what the buyer accepted.
    TotalChanged {
        /// What it is.
        total: Money,
    },
    /// The cart became an order, or was abandoned.
    CartClosed,
    /// A checkout of this cart runs.
    CartCheckingOut,
    /// Nothing to buy.
    CartEmpty,
    /// No address with a country.
    AddressRequired,
    /// A line's variant is gone, withdrawn, or has no price in the cart's currency.
    NotForSale(Vec<SkuId>),
    /// No adapter of that name.
    UnknownProvider {
        /// As asked for.
        provider: String,
    },
    /// The order's state does not allow it.
    OrderState {
        /// Where it stands.
        status: OrderStatus,
    },
    /// The order waits for no action of the buyer.
    NoPendingAction,
    /// Compare-and-set: another quantity is there.
    StockMismatch {
        /// Units on hand.
        actual: u64,
    },
    /// Fewer units than orders have already taken.
    StockCommitted {
        /// Units for sale.
        available: u32,
        /// Units set aside.
        held: u32,
        /// Units sold.
        committed: u32,
    },
    /// The position belongs to another epoch.
    PositionUnknown,
    /// The cursor belongs to another query or version.
    BadCursor,
    /// Overload: the prices of a checkout waited too long between being gathered and being applied. Nothing was done; try again.
    PricesOutdated,
    /// The reservation's id says that it was made too long ago to know whether it ran; it was not run now. Look at what became of it.
    TooOld {
        /// Milliseconds an id is good for.
        window_ms: u64,
    },
    /// Fewer units are set apart for this reason.
    StockApart {
        /// How many are.
        apart: u32,
    },
    /// Goods of the transfer are being booked in where they arrived: try again.
    StillArriving,
    /// Records after the cursor are kept no more: read the rows anew, and go on after `last`.
    HistoryGone {
        /// The newest that is gone.
        last: crate::StockCursor,
    },
    /// Events after the feed's cursor are kept no more: take one behind the newest, read anew what is wanted of the shop, and go on from that cursor.
    CursorTooOld,
}

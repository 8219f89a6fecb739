//! Stock as those who run a warehouse handle it: units that are not for sale, deliveries, transfers, policies, and what happened.
//!
//! Path: a request names SKUs as the merchant does ([`SkuUnits`]) → the engine resolves them and logs one command → [`InventoryView`] or
//! [`GoodsDone`]. Movements and events are read page by page ([`StockPage`]), each location's by a [`StockCursor`] of its own partition.

use crate::{AnnouncementId, HoldId, HoldView, Millis, OrderId, PartitionId, RawId, SkuId, SkuRef, TransferId};
use rkyv::{Archive, Deserialize, Serialize};

/// Units of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SkuUnits {
    /// What.
    pub sku: SkuRef,
    /// At least 1.
    pub quantity: u32,
}

/// Why units that are here are not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum Unavailable {
    /// Broken, spoilt or incomplete.
    Damaged,
    /// Waiting for quality control.
    Quarantine,
    /// Kept back so that the last units are not promised.
    Safety,
    /// Anything else.
    Other,
}

impl Unavailable {
    /// In the order in which answers list them.
    pub const ALL: [Self; 4] = [Self::Damaged, Self::Quarantine, Self::Safety, Self::Other];

    /// The contract's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Quarantine => "quarantine",
            Self::Safety => "safety",
            Self::Other => "other",
        }
    }
}

/// What happens to units that are, or shall be, not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum ApartStep {
    /// Available units are not for sale any more.
    SetApart,
    /// Units set apart for this reason are for sale again.
    PutBack,
    /// Units set apart for this reason are on hand no more.
    WriteOff,
}

/// A change of what is not for sale, of one row.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ApartMove {
    /// Which SKU.
    pub sku: SkuRef,
    /// Location code.
    pub location: String,
    /// Which way.
    pub step: ApartStep,
    /// For what reason they are, or shall be, apart.
    pub why: Unavailable,
    /// At least 1.
    pub quantity: u32,
}

/// What a supplier says will come to one location.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Announcement {
    /// Location code.
    pub location: String,
    /// When it is expected. A date that passes changes nothing by itself.
    pub due: Millis,
    /// The supplier's own name for it; may be empty.
    pub reference: String,
    /// 1..=[`crate::limits::RESERVE_LINES_MAX`]; each SKU once.
    pub lines: Vec<SkuUnits>,
}

/// What has come to one location.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Delivery {
    /// Location code; an announcement's own, if there is one.
    pub location: String,
    /// Which announcement it came by. What was announced and did not come stays expected.
    pub announcement: Option<AnnouncementId>,
    /// 1..=[`crate::limits::RESERVE_LINES_MAX`]; each SKU once.
    pub lines: Vec<SkuUnits>,
}

/// Goods that leave one location for another.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Transfer {
    /// Location code.
    pub from: String,
    /// Another location's code.
    pub to: String,
    /// 1..=[`crate::limits::RESERVE_LINES_MAX`]; each SKU once.
    pub lines: Vec<SkuUnits>,
}

/// What came of the goods of one SKU that were sent.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ArrivedGoods {
    /// What.
    pub sku: SkuRef,
    /// Came whole: available.
    pub whole: u32,
    /// Came damaged: unavailable as such.
    pub damaged: u32,
    /// Did not come and will not.
    pub lost: u32,
}

/// What an operation on goods did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct GoodsDone {
    /// The announcement made or met.
    pub announcement: Option<AnnouncementId>,
    /// The transfer made or met.
    pub transfer: Option<TransferId>,
    /// Units announced, withdrawn, received, sent, arrived (whole or damaged) or recalled.
    pub units: u64,
    /// Units of the announcement or the transfer that are still to come. At none it is closed.
    pub left: u64,
    /// Of units received by an announcement, those it did not announce.
    pub surplus: u64,
    /// Of units arrived, those that the destination has not booked yet: it has no room, and is asked again.
    pub arriving: u64,
}

/// Whether a row may promise units that it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum BackorderPolicy {
    /// Only what is available is sold.
    #[default]
    Deny,
    /// Up to `limit` units are owed at once.
    Backorder { limit: u32 },
    /// The same, until an instant: the day of release.
    Preorder { limit: u32, until: Millis },
}

/// What a row may promise, and when it tells that little is left. Replaces both.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockPolicy {
    /// Which SKU.
    pub sku: SkuRef,
    /// Location code.
    pub location: String,
    /// What it may promise beyond what it has.
    pub backorder: BackorderPolicy,
    /// It tells when its available units fall to this, and when there are some again; `None`: never.
    pub low_stock: Option<u32>,
}

/// How many units of a SKU may be had. `None`: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct PurchaseLimit {
    /// By one reservation, or by one order at one location.
    pub per_order: Option<u32>,
    /// By all reservations of one owner that are open, or were sold within a day, at locations of one partition.
    pub per_customer: Option<u32>,
}

/// Units not for sale, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct UnavailableUnits {
    /// Broken, spoilt or incomplete.
    pub damaged: u32,
    /// Waiting for quality control.
    pub quarantine: u32,
    /// Kept back.
    pub safety: u32,
    /// Anything else.
    pub other: u32,
}

/// What an open announcement has left of one row.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ExpectedUnits {
    /// Which announcement.
    pub announcement: AnnouncementId,
    /// When it is expected.
    pub due: Millis,
    /// The supplier's own name for it.
    pub reference: String,
    /// Still to come.
    pub quantity: u32,
}

/// What an open transfer still brings to one row.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct UnitsUnderWay {
    /// Which transfer.
    pub transfer: TransferId,
    /// Location code of where it comes from.
    pub from: String,
    /// How many.
    pub quantity: u32,
}

/// One row with everything about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct InventoryRow {
    /// Location code.
    pub location: String,
    /// Can be sold.
    pub available: u32,
    /// Set aside.
    pub held: u32,
    /// Sold, not shipped.
    pub committed: u32,
    /// Announced by suppliers; not on hand.
    pub incoming: u32,
    /// On hand and not for sale.
    pub unavailable: u32,
    /// The same by reason.
    pub by_reason: UnavailableUnits,
    /// On the way here from other locations; on hand nowhere.
    pub in_transit: u32,
    /// Owed to those who reserved more than was here; on hand nowhere.
    pub backordered: u32,
    /// What it may promise beyond what it has.
    pub backorder: BackorderPolicy,
    /// At how many it tells that little is left.
    pub low_stock: Option<u32>,
    /// The earliest [`crate::limits::ARRIVALS_SHOWN_MAX`] that are announced, by due date.
    pub expected: Vec<ExpectedUnits>,
    /// The first [`crate::limits::ARRIVALS_SHOWN_MAX`] transfers on their way here.
    pub under_way: Vec<UnitsUnderWay>,
}

impl InventoryRow {
    /// Units in the building.
    #[must_use]
    pub const fn on_hand(&self) -> u64 {
        self.available as u64 + self.held as u64 + self.committed as u64 + self.unavailable as u64
    }
}

/// Everything about the stock of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct InventoryView {
    /// `sku_…`
    pub sku: SkuId,
    /// The merchant's SKU key.
    pub key: String,
    /// By location code.
    pub locations: Vec<InventoryRow>,
    /// By hold id.
    pub holds: Vec<HoldView>,
    /// How many may be had.
    pub limit: PurchaseLimit,
}

/// Where a reader of a location's history or events stands: what follows `serial` is new to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct StockCursor {
    /// Whose records: the location's partition.
    pub partition: PartitionId,
    /// Number of the last record seen; zero before the first.
    pub serial: u64,
}

/// A page of records of one location, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockPage<T> {
    /// Perhaps none, also where more follow: see [`crate::limits::HISTORY_SCAN_MAX`].
    pub items: Vec<T>,
    /// Where the reader stands after this page.
    pub last: StockCursor,
    /// Records follow that were there when the page was made.
    pub more: bool,
}

/// Where units of a row are, or are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum StockColumn {
    /// In none of the row's columns.
    Outside,
    /// Can be sold.
    Available,
    /// Set aside.
    Held,
    /// Sold.
    Committed,
    /// Announced.
    Incoming,
    /// Not for sale.
    Unavailable,
    /// On the way here.
    InTransit,
    /// Owed.
    Backordered,
}

/// What made units move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum MovementCause {
    /// An adjustment, a restock, or goods: the movement's own id.
    Movement(RawId),
    /// A hold was made.
    Hold(HoldId),
    /// A hold was committed.
    Commit(HoldId),
    /// A hold was released.
    Release(HoldId),
    /// A hold's time was over.
    Expiry(HoldId),
    /// A backordered hold was given units.
    Fill(HoldId),
    /// A committed hold was closed.
    Close(HoldId),
}

/// Units that moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockMovement {
    /// Its number in its partition.
    pub serial: u64,
    /// When, in log time.
    pub at: Millis,
    /// Why.
    pub cause: MovementCause,
    /// What.
    pub sku: SkuId,
    /// Out of which column.
    pub from: StockColumn,
    /// Into which.
    pub to: StockColumn,
    /// How many.
    pub quantity: u32,
}

/// Something that others want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockEvent {
    /// Its number in its partition.
    pub serial: u64,
    /// When, in log time.
    pub at: Millis,
    /// Of which SKU.
    pub sku: SkuId,
    /// What.
    pub news: StockNews,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum StockNews {
    /// Available units fell to the row's threshold or below.
    LowStock { available: u32 },
    /// Units are available in a row with a threshold, where none were.
    BackInStock { available: u32 },
    /// A backordered hold was given units.
    Filled { hold: HoldId, owner: OrderId, line: u16, quantity: u32, left: u32 },
}

/// What an audit of a shard found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StockAudit {
    /// Rows looked at.
    pub rows: u64,
    /// Holds that are neither committed nor ended.
    pub open_holds: u64,
    /// The first thing that does not fit, in words; none if all is well.
    pub broken: Option<String>,
}

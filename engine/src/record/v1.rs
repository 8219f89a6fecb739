//! Version 1 of the log's commands. Frozen once released: see the parent module.
//!
//! A command carries everything apply needs (prices, paths, plans, ciphertexts): apply looks nowhere else. Ids, money, positions and
//! times are `wire`'s, whose layout is frozen for the same reason.
#![allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]

pub mod cluster;
pub mod search;
pub mod short;

use self::cluster::{NodeFacts, Standing};
use self::search::{SearchSetting, SearchSettingKind};
use crate::seal::Sealed;
use rkyv::{Archive, Deserialize, Serialize};
use wire::{
    ActionOutcome, AnnouncementId, CartId, CategoryId, Currency, EffectOutcome, EventId, HoldId, Idempotency, LineId, Millis, Money,
    OrderId, PartitionId, ProductId, SkuId, TransferId,
};

/// First byte of every record of this version.
pub const VERSION: u8 = 1;

/// One command with what surrounds it. The entry's time and index are in the log's record header.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Entry {
    /// Decides, in apply, whether the command runs or an earlier outcome is given again.
    pub idempotency: Option<Idempotency>,
    /// Only if the entity has this version.
    pub if_match: Option<u64>,
    /// Ties log lines and traces to the request.
    pub trace: u128,
    /// What to do.
    pub command: Command,
}

impl Entry {
    /// An entry of the system's own, without conditions.
    pub fn of(command: Command) -> Self {
        Self { idempotency: None, if_match: None, trace: 0, command }
    }
}

/// Every change of a partition's state.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum Command {
    // --- catalog: on the partition of the product key
    PutProduct(Box<Product>),
    DeleteProduct {
        product: ProductId,
    },
    // --- claims: on the partition of the claimed key
    /// Takes the key for the product, pending until finalised. Again by the same owner: the same answer.
    ClaimSku {
        key: String,
        owner: String,
    },
    FinaliseSku {
        key: String,
        owner: String,
        sku: SkuId,
    },
    /// `sku`: this final claim, or a pending one that was to become it; `None`: only a pending claim. A later claim stays.
    ReleaseSku {
        key: String,
        owner: String,
        sku: Option<SkuId>,
    },
    // --- category tree: on its one partition
    /// Makes what is missing of the path; each part of the key up to a `/` is an ancestor's key.
    EnsureCategory {
        key: String,
    },
    PutCategory {
        key: String,
        name: String,
        parent: Option<String>,
    },
    // --- stock: on the partition of the location
    /// Only if the row does not exist.
    OpenStock {
        id: u128,
        sku: SkuId,
        location: String,
        on_hand: u32,
    },
    AdjustStock {
        id: u128,
        sku: SkuId,
        location: String,
        change: StockChange,
        reason: String,
    },
    /// All lines or none.
    Hold {
        hold: HoldId,
        order: OrderId,
        location: String,
        lines: Vec<HoldLine>,
        ttl_ms: u64,
    },
    Pin {
        hold: HoldId,
    },
    CommitHold {
        hold: HoldId,
    },
    /// An unknown id leaves a tombstone, so that a late hold cannot strand stock.
    ReleaseHold {
        hold: HoldId,
    },
    /// Units of a committed hold back to `available`; at most once.
    Restock {
        hold: HoldId,
    },
    // --- carts and orders: on the cart's partition
    CreateCart {
        currency: Currency,
    },
    AddLine {
        cart: CartId,
        sku: SkuId,
        product: ProductId,
        quantity: u32,
    },
    SetLineQuantity {
        cart: CartId,
        line: LineId,
        quantity: u32,
    },
    SetAddress {
        cart: CartId,
        address: Sealed<Address>,
    },
    PlaceOrder(Box<PlaceOrder>),
    /// After a shortage: another plan, or none.
    ResourceOrder {
        order: OrderId,
        attempt: u16,
        plan: Sourcing,
    },
    PaymentAction {
        order: OrderId,
        outcome: ActionOutcome,
    },
    CancelOrder {
        order: OrderId,
        reason: String,
    },
    // --- outbox: on the partition that asked
    /// What the target partition answered to an effect.
    EffectAnswered {
        effect: EventId,
        answer: PeerOutcome,
    },
    /// An adapter takes effects; the fence of each is this command's seq.
    LeaseEffects {
        effects: Vec<EventId>,
        holder: String,
        ttl_ms: u64,
    },
    EffectResult {
        effect: EventId,
        fence: u64,
        outcome: EffectOutcome,
    },
    // --- time
    /// Ends what is due at the entry's time, at most `max` things: holds, orders' deadlines, carts, claims, keys.
    RunTimers {
        max: u32,
    },
    // --- stock for those who keep their orders elsewhere: on the partition of the location
    /// A hold under a caller's id, whose time part decides how long it is remembered.
    Reserve {
        hold: HoldId,
        owner: OrderId,
        location: String,
        lines: Vec<HoldLine>,
        ttl_ms: u32,
        partial: bool,
    },
    /// A reservation's units are sold. There is no way back but an adjustment.
    CommitReserved {
        hold: HoldId,
    },
    /// These of its units are sold, the rest goes back.
    CommitReservedPart {
        hold: HoldId,
        location: String,
        lines: Vec<HoldLine>,
    },
    /// A reservation lasts longer, up to its cap.
    ExtendReserved {
        hold: HoldId,
        ttl_ms: u32,
    },
    /// Ends a reservation, or keeps it from coming late for as long as its id would let it run.
    ReleaseReserved {
        hold: HoldId,
    },
    /// Units arrived; at most once under the id.
    ReceiveStock {
        id: u128,
        location: String,
        lines: Vec<HoldLine>,
    },
    // --- what a warehouse does: on the partition of the location
    /// Units become, or stop being, not for sale for a reason, or are booked out; at most once under the id.
    MoveApart {
        id: u128,
        sku: SkuId,
        location: String,
        step: ApartStep,
        why: Unavailable,
        units: u32,
    },
    AnnounceStock {
        location: String,
        due: Millis,
        reference: String,
        lines: Vec<HoldLine>,
    },
    WithdrawStock {
        id: u128,
        announcement: AnnouncementId,
    },
    ReceiveAnnounced {
        id: u128,
        announcement: AnnouncementId,
        location: String,
        lines: Vec<HoldLine>,
    },
    /// Goods leave; their transfer lives on the partition of `from`.
    SendStock {
        from: String,
        to: String,
        lines: Vec<HoldLine>,
    },
    /// On the transfer's partition. Without lines: all that is left, whole.
    ArriveStock {
        id: u128,
        transfer: TransferId,
        lines: Option<Vec<Arrived>>,
    },
    RecallStock {
        id: u128,
        transfer: TransferId,
    },
    /// An effect of an arrival: books the units on the partition of their destination. Until `ForgetLanding` the id books nothing again.
    LandStock {
        id: u128,
        location: String,
        lines: Vec<Landed>,
    },
    /// The transfer's partition knows that they are booked and will not ask again.
    ForgetLanding {
        id: u128,
    },
    /// Opens the row where need be.
    SetPolicy {
        sku: SkuId,
        location: String,
        policy: BackorderPolicy,
        low_stock: Option<u32>,
    },
    /// On every partition.
    SetPurchaseLimit {
        sku: SkuId,
        per_order: Option<u32>,
        per_customer: Option<u32>,
    },
    // --- stock for orders: on the partition of the location
    /// As `Hold`, for an order with parts at other locations too: in doubt until it is pinned or ends.
    HoldPart {
        hold: HoldId,
        order: OrderId,
        location: String,
        lines: Vec<HoldLine>,
        ttl_ms: u64,
    },
    // --- settings of the search: on their one partition
    /// In the place of the one of its kind with this key, or anew.
    PutSearchSetting {
        key: String,
        setting: SearchSetting,
    },
    DeleteSearchSetting {
        kind: SearchSettingKind,
        key: String,
    },
    // --- catalog, later
    /// As `PutProduct`, of a product whose margin is known.
    PutProductWithMargin {
        content: Box<Product>,
        /// Hundredths of its price.
        margin: i8,
    },
    // --- nodes of the cluster: on the first partition
    /// Joins, in the place of one with its name if there is one.
    AddNode {
        facts: NodeFacts,
    },
    /// Says where it is now.
    TellNode {
        node: u64,
        facts: NodeFacts,
    },
    SetNode {
        node: u64,
        standing: Standing,
    },
}

/// A product as stored; without ids, which apply mints or keeps.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Product {
    pub key: String,
    pub title: String,
    pub description: String,
    pub brand: Option<String>,
    /// From the root to the product's own category.
    pub category: Vec<CategoryNode>,
    pub attributes: Vec<Attribute>,
    pub images: Vec<Image>,
    pub variants: Vec<Variant>,
    pub stock: Vec<OpeningStock>,
    pub popularity: i64,
    /// Days since 1970-01-01.
    pub released: Option<i32>,
    pub status: ProductStatus,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CategoryNode {
    pub id: CategoryId,
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    pub value: AttributeValue,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum AttributeValue {
    Text(String),
    Keyword(String),
    Number(f64),
    Bool(bool),
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Image {
    pub url: String,
    pub alt: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Variant {
    pub key: String,
    /// Name and value.
    pub options: Vec<(String, String)>,
    pub prices: Vec<Money>,
    pub barcodes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OpeningStock {
    /// SKU key of a variant of the same product.
    pub variant: String,
    pub location: String,
    /// Partition of the location.
    pub partition: PartitionId,
    pub on_hand: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum ProductStatus {
    Draft,
    Active,
    Archived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum StockChange {
    Delta(i64),
    Set(u32),
    CompareAndSet { set: u32, expected: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct HoldLine {
    pub sku: SkuId,
    pub quantity: u32,
}

/// Why units are not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Unavailable {
    Damaged,
    Quarantine,
    Safety,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum ApartStep {
    SetApart,
    PutBack,
    WriteOff,
}

/// What came of goods sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct Arrived {
    pub sku: SkuId,
    pub whole: u32,
    pub damaged: u32,
    pub lost: u32,
}

/// What is booked at the destination, each SKU once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Landed {
    pub sku: SkuId,
    pub whole: u32,
    pub damaged: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum BackorderPolicy {
    Deny,
    Backorder { limit: u32 },
    Preorder { limit: u32, until: Millis },
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Address {
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub region: Option<String>,
    pub postal_code: String,
    pub country: String,
    pub phone: Option<String>,
}

/// Everything a checkout gathered, at most [`GATHER_AGE_MS_MAX`] before the entry's time.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct PlaceOrder {
    pub cart: CartId,
    /// Version of the cart the lines were read from.
    pub cart_version: u64,
    pub email: Sealed<String>,
    pub provider: String,
    pub token: Sealed<String>,
    pub accept_total: Money,
    /// One for each line of the cart, in its order.
    pub lines: Vec<PricedLine>,
    pub plan: Sourcing,
    pub gathered_at: Millis,
    /// A hold lasts this long unless pinned.
    pub hold_ttl_ms: u64,
    /// An order may stay undecided this long.
    pub decide_ms: u64,
    /// Capture at once, or on shipment.
    pub capture: bool,
}

/// Prices older than this when the order is placed are refused as overload; the client tries again.
pub const GATHER_AGE_MS_MAX: u64 = 5_000;

/// A line with its price as gathered; no price: not for sale.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PricedLine {
    pub line: LineId,
    pub sku: SkuId,
    pub quantity: u32,
    pub title: String,
    pub unit_price: Option<Money>,
}

/// Where the units come from.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Sourcing {
    /// By location, each at most once.
    From(Vec<Source>),
    /// No plan serves every line.
    Short(Vec<ShortLine>),
}

/// One location's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Source {
    pub location: String,
    pub partition: PartitionId,
    pub lines: Vec<HoldLine>,
}

/// A SKU that cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ShortLine {
    pub sku: SkuId,
    pub requested: u32,
    pub available: u32,
}

/// What a partition answers to an effect of another.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PeerOutcome {
    Done,
    /// The hold is taken; what remained available of each line's SKU.
    Held {
        remaining: Vec<u32>,
    },
    Short(Vec<ShortLine>),
    /// The hold cannot go on: expired, released, or its id has a tombstone.
    Gone,
    /// A bound of the target is reached; the effect has failed for good.
    Refused {
        why: String,
    },
    /// The hold is not taken, and all that it lacks is held by orders in doubt.
    Contended,
}

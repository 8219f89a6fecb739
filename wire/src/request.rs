//! What can be asked of the engine.

use crate::{
    Address, Announcement, AnnouncementId, ApartMove, ArrivedGoods, CartId, CategoryInput, CategoryRef, Currency, Delivery, EventId,
    FeedFrom, Filter, HoldId, LineId, Money, NodeFacts, NodeId, NodeStanding, OrderId, OrderStatus, PartitionId, Position, ProductInput,
    ProductRef, PurchaseLimit, Reservation, ReserveLine, SearchQuery, SearchSetting, SearchSettingKind, ShardId, SkuRef, StockAdjustment,
    StockCursor, StockPolicy, Transfer, TransferId,
};
use rkyv::{Archive, Deserialize, Serialize};

/// On whose behalf. The gateway proves it; the engine checks that the entity belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Principal {
    /// Nobody known: may read the catalog and open a cart.
    Anonymous,
    /// The holder of a cart's token: that cart and its orders.
    Guest {
        /// The cart.
        cart: CartId,
    },
    /// A member of staff.
    Staff {
        /// What they may do.
        role: Role,
    },
    /// A part of the system itself, such as an adapter.
    System,
}

/// Roles of staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Role {
    /// Helps buyers: reads orders, cancels.
    Support,
    /// Writes the catalog.
    Merchandiser,
    /// Changes stock.
    Warehouse,
    /// Everything.
    Admin,
}

/// The caller's promise that two requests are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct Idempotency {
    /// Hash of principal, route and key.
    pub key: u128,
    /// Hash of the body, to tell another request under the same key.
    pub fingerprint: u128,
}

/// A request to the engine.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Request {
    /// On whose behalf.
    pub principal: Principal,
    /// Milliseconds the caller waits, from arrival. Past it the answer may be dropped; what was logged stays.
    pub timeout_ms: u32,
    /// Request id for logs and traces.
    pub trace: u128,
    /// Two requests are one.
    pub idempotency: Option<Idempotency>,
    /// Only if the entity has this version.
    pub if_match: Option<u64>,
    /// Answer from a state not older than these.
    pub at_least: Vec<Position>,
    /// What.
    pub op: Op,
}

impl Request {
    /// A request of the system's own, ten seconds, with no conditions.
    #[must_use]
    pub fn system(op: Op) -> Self {
        Self { principal: Principal::System, timeout_ms: 10_000, trace: 0, idempotency: None, if_match: None, at_least: Vec::new(), op }
    }
}

/// How a buyer pays.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// Name of the adapter, such as `sandbox`.
    pub provider: String,
    /// The provider's token; never a card number.
    pub token: String,
}

/// How the buyer's action at the bank ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum ActionOutcome {
    /// Confirmed.
    Success,
    /// Refused or given up.
    Fail,
}

/// What can be asked. The comment names who may; [`crate::placement::route`] tells which shard answers.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// Anyone, what is for sale; merchandisers what is not, too. [`crate::Body::Product`].
    GetProduct(ProductRef),
    /// Anyone. [`crate::Body::Categories`]: all of them, parents before children, siblings by name.
    ListCategories,
    /// Anyone. [`crate::Body::Categories`]: the one asked for, then its children by name.
    GetCategory(CategoryRef),
    /// Anyone. [`crate::Body::Search`].
    Search(SearchQuery),
    /// Anyone. [`crate::Body::Suggestions`].
    Suggest {
        /// What was typed so far.
        text: String,
        /// Of each kind.
        limit: u16,
    },
    /// Anyone. [`crate::Body::Availability`], in the order asked; unknown SKUs refuse the whole.
    GetAvailability(Vec<SkuRef>),

    /// Anyone. [`crate::Body::Cart`].
    CreateCart {
        /// Currency of all its money.
        currency: Currency,
        /// The partition to live on: by the idempotency key's hash, else any.
        partition: PartitionId,
    },
    /// The cart's guest. [`crate::Body::Cart`].
    GetCart(CartId),
    /// The cart's guest. [`crate::Body::Cart`]. Sums into the line that has the SKU.
    AddLine {
        /// The cart.
        cart: CartId,
        /// What.
        sku: SkuRef,
        /// At least 1.
        quantity: u32,
    },
    /// The cart's guest. [`crate::Body::Cart`]. 0 removes the line.
    SetLineQuantity {
        /// The cart.
        cart: CartId,
        /// The line.
        line: LineId,
        /// Units.
        quantity: u32,
    },
    /// The cart's guest. [`crate::Body::Cart`].
    SetAddress {
        /// The cart.
        cart: CartId,
        /// Where to.
        address: Address,
    },
    /// The cart's guest. [`crate::Body::Order`], settled unless `wait_ms` passed first.
    Checkout {
        /// The cart.
        cart: CartId,
        /// Buyer's address.
        email: String,
        /// How to pay.
        payment: PaymentMethod,
        /// What the buyer agreed to pay.
        accept_total: Money,
        /// How long to wait for the outcome, at most [`crate::limits::CHECKOUT_WAIT_MS_MAX`].
        wait_ms: u32,
    },
    /// The guest of the order's cart, or staff. [`crate::Body::Order`].
    GetOrder(OrderId),
    /// The guest of the order's cart, or staff. [`crate::Body::Order`].
    PaymentAction {
        /// The order.
        order: OrderId,
        /// How it ended.
        outcome: ActionOutcome,
        /// How long to wait for the order to settle.
        wait_ms: u32,
    },
    /// The guest of the order's cart, or staff. [`crate::Body::Order`], money and stock given back.
    CancelOrder {
        /// The order.
        order: OrderId,
        /// Why, in the caller's words.
        reason: String,
        /// How long to wait for money and stock to be back.
        wait_ms: u32,
    },

    /// Merchandiser. [`crate::Body::Upserted`]. Answered when its stock rows are open too.
    PutProduct(Box<ProductInput>),
    /// Merchandiser. [`crate::Body::Done`].
    DeleteProduct(ProductRef),
    /// Merchandiser. [`crate::Body::UpsertedCategory`].
    PutCategory(CategoryInput),
    /// Warehouse. [`crate::Body::Stock`].
    AdjustStock(StockAdjustment),
    /// Staff. [`crate::Body::Stock`].
    GetStock(SkuRef),
    /// Staff. [`crate::Body::Orders`], latest first.
    ListOrders {
        /// Only these.
        status: Option<OrderStatus>,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
        /// Those placed before this one.
        after: Option<OrderId>,
    },

    /// System. [`crate::Body::Effects`]: takes a lease on effects of an adapter, waiting until there are some.
    TakeEffects {
        /// Which shard's outboxes.
        shard: ShardId,
        /// Names of adapters the caller serves.
        adapters: Vec<String>,
        /// At most so many.
        max: u16,
        /// How long the caller may keep them.
        lease_ms: u32,
        /// How long to wait for the first.
        wait_ms: u32,
    },
    /// System. [`crate::Body::Done`]: what came of an effect.
    EffectResult(EffectResult),
    /// System. [`crate::Body::Checked`]: proves the stock identity of a shard's partitions.
    CheckStock(ShardId),

    /// Warehouse. [`crate::Body::Reserved`]: sets stock aside under an id of the caller's own. Refused as [`crate::Refusal::InsufficientStock`], or as
    /// [`crate::Refusal::Contended`] where orders that are being placed at several locations hold what is lacking: these may give it back in a moment.
    Reserve(Reservation),
    /// Warehouse. [`crate::Body::Done`]: a reservation's units are sold. Again within [`crate::limits::RESERVATION_WINDOW_MS`]: the same answer; later, or of one
    /// that ended long ago, [`crate::Refusal::TooOld`].
    CommitReserved {
        /// The reservation.
        hold: HoldId,
        /// Its location.
        location: String,
    },
    /// Warehouse. [`crate::Body::Done`]: these units of a reservation are sold, the rest goes back. Again with the same lines: the same answer.
    CommitReservedPart {
        /// The reservation.
        hold: HoldId,
        /// Its location.
        location: String,
        /// What is sold, at most what is reserved of each SKU.
        lines: Vec<ReserveLine>,
    },
    /// Warehouse. [`crate::Body::Extended`]: a reservation lasts this long from now, if that is longer; at most
    /// [`crate::limits::RESERVE_TTL_MS_MAX`] from the time its id carries.
    ExtendReserved {
        /// The reservation.
        hold: HoldId,
        /// Its location.
        location: String,
        /// Milliseconds.
        ttl_ms: u32,
    },
    /// Warehouse. [`crate::Body::Done`]: a reservation's units go back; one that has not come yet is refused when it comes.
    ReleaseReserved {
        /// The reservation.
        hold: HoldId,
        /// Its location.
        location: String,
    },
    /// Warehouse. [`crate::Body::Done`]: units arrived at a location. The SKUs need no product here: whoever keeps the catalog elsewhere
    /// counts what it names. Applied once under its id.
    ReceiveStock {
        /// Names the delivery.
        id: u128,
        /// Location code.
        location: String,
        /// 1..=[`crate::limits::RESERVE_LINES_MAX`]; each SKU once.
        lines: Vec<ReserveLine>,
    },

    /// Warehouse. [`crate::Body::Inventory`]: units become, or stop being, not for sale; or what is not for sale is booked out.
    MoveApart(ApartMove),
    /// Warehouse. [`crate::Body::Goods`] with the announcement's id: a supplier says what will come.
    AnnounceDelivery(Announcement),
    /// Warehouse. [`crate::Body::Goods`]: what is left of an announcement will not come.
    WithdrawDelivery {
        /// Which.
        announcement: AnnouncementId,
    },
    /// Warehouse. [`crate::Body::Goods`]: a delivery has come, announced or not. Unlike `ReceiveStock`, of SKUs that the catalog has.
    ReceiveDelivery(Delivery),
    /// Warehouse. [`crate::Body::Goods`] with the transfer's id: goods leave for another location.
    SendTransfer(Transfer),
    /// Warehouse. [`crate::Body::Goods`]: goods of a transfer have come, or will not. Answered when the destination has them.
    ArriveTransfer {
        /// Which.
        transfer: TransferId,
        /// What came of it, each SKU once; `None`: all that is left, whole.
        lines: Option<Vec<ArrivedGoods>>,
    },
    /// Warehouse. [`crate::Body::Goods`]: what is left of a transfer returns to where it came from.
    RecallTransfer {
        /// Which.
        transfer: TransferId,
    },
    /// Staff. [`crate::Body::Inventory`].
    GetInventory(SkuRef),
    /// Warehouse. [`crate::Body::Inventory`]: what a row may promise, and when it tells that little is left. Opens the row where need be.
    SetStockPolicy(StockPolicy),
    /// Warehouse. [`crate::Body::Inventory`]: how many units of a SKU may be reserved at once, and by one owner.
    SetPurchaseLimit {
        /// Of which SKU.
        sku: SkuRef,
        /// None of either lifts it.
        limit: PurchaseLimit,
    },
    /// Staff. [`crate::Body::StockHistory`]: movements of units at a location.
    StockHistory {
        /// Location code.
        location: String,
        /// Those after this one; from the oldest kept without.
        after: Option<StockCursor>,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
    },
    /// Staff. [`crate::Body::StockEvents`]: stock that runs low or is back, and backorders filled, at a location.
    StockEvents {
        /// Location code.
        location: String,
        /// Those after this one; from the oldest kept without.
        after: Option<StockCursor>,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
    },
    /// Warehouse. [`crate::Body::Audited`]: proves the stock of a shard's partitions as `CheckStock` does, and names the first thing that breaks.
    AuditStock(ShardId),
    /// Admin. [`crate::Body::Feed`]: what happened in the whole shop.
    Feed {
        /// Where to read from.
        from: FeedFrom,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
    },
    /// Admin. [`crate::Body::Snapshots`]: how long a shard's log is, and which snapshots are still to be made.
    Snapshots {
        /// Which shard.
        shard: ShardId,
        /// Also wants one of each of its partitions that changed since its last, so that the next start has little log to read. They are made in the
        /// background; this answers at once.
        take: bool,
    },
    /// Merchandiser. [`crate::Body::SearchSetting`]: makes a setting of the search, or puts it in the place of the one with its key. The next search goes by it.
    PutSearchSetting {
        /// The merchant's key.
        key: String,
        /// What is set.
        setting: SearchSetting,
    },
    /// Merchandiser. [`crate::Body::Done`].
    DeleteSearchSetting {
        /// Of which kind.
        kind: SearchSettingKind,
        /// Its key.
        key: String,
    },
    /// Merchandiser. [`crate::Body::SearchSetting`].
    GetSearchSetting {
        /// Of which kind.
        kind: SearchSettingKind,
        /// Its key.
        key: String,
    },
    /// Merchandiser. [`crate::Body::SearchSettings`], by key.
    ListSearchSettings {
        /// Of which kind.
        kind: SearchSettingKind,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
        /// Those behind this key.
        after: Option<String>,
    },
    /// Merchandiser. [`crate::Body::SearchQueries`], most frequent first: what shoppers search for. Of about the last days, and forgotten by a restart.
    SearchQueries {
        /// Those that found nothing, by how often they did.
        without_results: bool,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
    },
    /// Anyone. [`crate::Body::SimilarProducts`].
    SimilarProducts {
        /// Like which.
        product: ProductRef,
        /// All must hold.
        filters: Vec<Filter>,
        /// 1..=[`crate::limits::PAGE_MAX`].
        limit: u16,
    },
    /// Anyone. [`crate::Body::ClusterMap`]: the nodes there are to ask, as the one that is asked knows them.
    ClusterMap,
    /// System. [`crate::Body::Replicas`]: how the replicas of the node that is asked stand.
    Replicas,
    /// System. [`crate::Body::Node`]: a new node of the cluster, which gets a number of its own. One that has the name of another takes its place: that one's data
    /// is gone, and it never comes back under its number.
    AddNode(NodeFacts),
    /// System. [`crate::Body::Node`]: says where a node is from now on, or what becomes of it. What is `None` stays as it is.
    ChangeNode {
        /// Which.
        node: NodeId,
        /// Where clients and other nodes reach it.
        address: Option<String>,
        /// What fails together.
        zone: Option<String>,
        /// Where it is.
        region: Option<String>,
        /// What becomes of it.
        standing: Option<NodeStanding>,
    },
}

/// Work outside the engine, leased to an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Effect {
    /// Names it, also in the outbox.
    pub id: EventId,
    /// The lease: a result with an older number is dropped.
    pub fence: u64,
    /// How often it was leased before. Above zero: look up at the provider first.
    pub attempt: u32,
    /// Name of the adapter.
    pub adapter: String,
    /// What to do.
    pub work: EffectWork,
}

/// What an adapter is asked to do. Every reference is stable over retries, so doing it twice does it once.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EffectWork {
    /// Reserve money at the provider.
    Authorise {
        /// Our reference: the payment's id in text form.
        reference: String,
        /// The provider's token.
        token: String,
        /// How much.
        amount: Money,
    },
    /// The buyer acted: ask the provider for the end of an authorisation.
    Confirm {
        /// Our reference.
        reference: String,
        /// What the buyer did (sandbox); real providers know by themselves.
        outcome: ActionOutcome,
    },
    /// Take reserved money.
    Capture {
        /// Our reference.
        reference: String,
        /// How much.
        amount: Money,
    },
    /// Let reserved money go.
    Void {
        /// Our reference.
        reference: String,
    },
    /// Give taken money back.
    Refund {
        /// Our reference of the payment.
        reference: String,
        /// Our reference of this refund.
        refund: String,
        /// How much.
        amount: Money,
    },
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct EffectResult {
    /// Which.
    pub id: EventId,
    /// The lease it was done under.
    pub fence: u64,
    /// What came of it.
    pub outcome: EffectOutcome,
}

/// What an adapter can say.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EffectOutcome {
    /// Done.
    Succeeded,
    /// The provider said no, for good.
    Refused {
        /// The provider's word.
        code: String,
    },
    /// The buyer must act first.
    RequiresAction {
        /// Such as `three_d_secure`.
        kind: String,
        /// Where to, if elsewhere.
        url: Option<String>,
    },
    /// It may have been done: ask again under the same reference.
    Unknown,
}

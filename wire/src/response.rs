//! What the engine answers.

use crate::{
    CartView, CategoryView, ClusterMap, CountedQuery, Effect, FeedPage, GoodsDone, InventoryView, NodeId, OrderView, Position, ProductId,
    ProductView, Refusal, ReplicaView, Reserved, SearchHit, SearchResults, SearchSettingView, SkuAvailability, StockAudit, StockEvent,
    StockMovement, StockPage, StockView, Suggestions, Upserted,
};
use rkyv::{Archive, Deserialize, Serialize};

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Response {
    /// Where the commands it caused stand, in the order written; empty after a query.
    pub positions: Vec<Position>,
    /// The outcome is that of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// The answer, or why there is none.
    pub result: Result<Body, Failure>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Body {
    /// Nothing more to say.
    Done,
    /// A product.
    Product(Box<ProductView>),
    /// What an upsert of a product did.
    Upserted {
        /// The product.
        id: ProductId,
        /// Its version.
        version: u64,
        /// What was done.
        what: Upserted,
    },
    /// What an upsert of a category did.
    UpsertedCategory {
        /// The category.
        category: Box<CategoryView>,
        /// What was done.
        what: Upserted,
    },
    /// Categories.
    Categories(Vec<CategoryView>),
    /// What a search found.
    Search(Box<SearchResults>),
    /// Ideas while typing.
    Suggestions(Suggestions),
    /// Availability by SKU.
    Availability(Vec<SkuAvailability>),
    /// A cart.
    Cart(Box<CartView>),
    /// An order.
    Order(Box<OrderView>),
    /// A page of orders.
    Orders(Vec<OrderView>),
    /// Everything about a SKU's stock.
    Stock(StockView),
    /// Leased effects.
    Effects(Vec<Effect>),
    /// The identity holds.
    Checked {
        /// Rows looked at.
        rows: u64,
        /// Holds that are neither committed nor ended.
        open_holds: u64,
    },
    /// Stock is set aside.
    Reserved(Reserved),
    /// A reservation lasts until then.
    Extended { expires_at: crate::Millis },
    /// Stock is set aside, and some of it is owed: promised beyond what is there.
    Backordered {
        /// What was taken.
        reserved: Reserved,
        /// Units owed of each line, in their order.
        owed: Vec<u32>,
    },
    /// Everything about a SKU's stock, with what few rows have.
    Inventory(Box<InventoryView>),
    /// What goods did.
    Goods(Box<GoodsDone>),
    /// A page of movements.
    StockHistory(StockPage<StockMovement>),
    /// A page of events.
    StockEvents(StockPage<StockEvent>),
    /// What an audit found.
    Audited(StockAudit),
    /// A page of the feed.
    Feed(Box<FeedPage>),
    /// A shard's log and snapshots.
    Snapshots(SnapshotReport),
    /// A setting of the search.
    SearchSetting {
        /// As it is now.
        setting: Box<SearchSettingView>,
        /// What a write did; `Unchanged` for a read.
        what: Upserted,
    },
    /// A page of settings of the search.
    SearchSettings(Vec<SearchSettingView>),
    /// Queries, most frequent first.
    SearchQueries(Vec<CountedQuery>),
    /// Products like one, the likest first.
    SimilarProducts(Vec<SearchHit>),
    /// The nodes of the cluster; `None` from a node that is alone.
    ClusterMap(Option<Box<ClusterMap>>),
    /// A node of the cluster: the number of one that is new, or of the one that was changed.
    Node(NodeId),
    /// By partition; empty from a node that is alone.
    Replicas(Vec<ReplicaView>),
}

/// A shard's log, and the snapshots that it is cut behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SnapshotReport {
    /// Partitions of the shard.
    pub partitions: u32,
    /// Those of which a snapshot was wanted that is not made yet.
    pub due: u32,
    /// What the log takes on the disk, bytes.
    pub log_bytes: u64,
    /// Past this it is cut behind snapshots, bytes.
    pub log_bytes_max: u64,
    /// Why the last try to make a snapshot failed, in words, until one is made.
    pub failure: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// The shop says no.
    Refused(Refusal),
    /// A queue is full: nothing was done; try again after so many milliseconds.
    Overloaded {
        /// When to try again.
        retry_after_ms: u32,
    },
    /// The log cannot take more (disk full): reads go on.
    StorageFull,
    /// This shard does not own the key; ask again after refreshing the map.
    WrongShard,
    /// The deadline passed. A command may yet be applied: ask again with the same idempotency key.
    DeadlineExceeded,
    /// The engine stops: nothing was done. What it had begun and cannot finish is [`Failure::Interrupted`].
    ShuttingDown,
    /// A fault of ours, with its trace id in the log.
    Internal,
    /// This node does not lead the partition: nothing was done here. Ask the one that does.
    NotLeader {
        /// Which that is, as far as this node knows; none while one is elected.
        leader: Option<NodeId>,
    },
    /// This node led and does not any more, or ends. What was asked may yet be done, or not: ask again with the same idempotency key.
    Interrupted,
}

//! What shards of a node say to each other.
//!
//! Path: a flow asks → [`PeerMessage::Ask`] → the owner's core answers a query from memory, or proposes a command → [`PeerMessage::Answer`] →
//! the flow goes on. Bounds: as many open asks as flows make; each flow asks at most once per partition or shard at a time.

use crate::partition::Applied;
use crate::record::v1::Entry;
use rkyv::{Archive, Deserialize, Serialize};
use std::sync::Arc;
use wire::{
    Availability, CountedQuery, EventId, Failure, FeedEvent, FeedFrom, FeedPlace, HoldView, InventoryRow, Money, OrderId, OrderStatus,
    OrderView, PartitionId, Position, ProductId, ProductRef, PurchaseLimit, SearchHit, SkuId, StockRow,
};

/// A message between shards.
#[derive(Debug)]
pub enum PeerMessage {
    /// Asks; the answer carries the same number.
    Ask {
        /// The asker's number.
        id: u64,
        /// What.
        ask: Ask,
    },
    /// Answers.
    Answer {
        /// The asker's number.
        id: u64,
        /// With what; a failure is one of the answering shard.
        answer: Result<Answer, Failure>,
    },
}

/// What can be asked. Those that name a partition go to its owner, the others to every shard.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Log and apply a command.
    Propose(PartitionId, Box<Entry>),
    /// Which SKU has this key?
    ResolveSku(PartitionId, String),
    /// Which product is this?
    ResolveProduct(PartitionId, Arc<ProductRef>),
    /// What a cart needs to know of these SKUs of the partition's products.
    Cards(PartitionId, Vec<SkuId>),
    /// Rows and open holds of SKUs at the shard's locations. For people: holds are looked for among all there are.
    Stock(Arc<[SkuId]>),
    /// Everything about a SKU at the shard's locations.
    Inventory(SkuId),
    /// What can be had of SKUs at the shard's locations.
    Supply(Arc<[SkuId]>),
    /// Which of these are names of attributes at the shard, as conditions in a search's text have them.
    SearchFields(Arc<[String]>),
    /// What the shard has of a search's words.
    Statistics(Arc<search_index::Query>),
    /// The shard's part of a search.
    Search {
        /// What is looked for.
        query: Arc<search_index::Query>,
        /// Whether to mark the words found in the texts of the hits.
        highlight: bool,
    },
    /// How many of the shard's products say what one does.
    Frequencies(Arc<search_index::Profile>),
    /// The shard's products that are like one.
    Similar(Arc<search_index::SimilarQuery>),
    /// The shard's part of suggestions.
    Suggest(Arc<str>, u16),
    /// Queries that the shard's searches had; those that found nothing, or all.
    SearchQueries {
        /// Only those.
        without_results: bool,
    },
    /// Active products per category key, at the shard.
    CategoryCounts,
    /// How the shard's replicas stand.
    Replicas,
    /// The shard's latest orders.
    Orders {
        /// Only these.
        status: Option<OrderStatus>,
        /// At most so many.
        limit: u16,
        /// Placed before this one.
        after: Option<OrderId>,
    },
    /// Events of the shard's partitions.
    Feed {
        /// Where to read from.
        from: Arc<FeedFrom>,
        /// At most so many.
        limit: u16,
    },
}

impl Ask {
    /// The partition that is looked at: only who leads it knows it as it is.
    pub(super) fn looks_at(&self) -> Option<PartitionId> {
        match self {
            Self::ResolveSku(partition, _) | Self::ResolveProduct(partition, _) | Self::Cards(partition, _) => Some(*partition),
            Self::Propose(..)
            | Self::Stock(_)
            | Self::Inventory(_)
            | Self::Supply(_)
            | Self::SearchFields(_)
            | Self::Statistics(_)
            | Self::Search { .. }
            | Self::Frequencies(_)
            | Self::Similar(_)
            | Self::Suggest(..)
            | Self::SearchQueries { .. }
            | Self::CategoryCounts
            | Self::Replicas
            | Self::Orders { .. }
            | Self::Feed { .. } => None,
        }
    }
}

/// Answers, in the order of [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// The command is durable and applied.
    Committed(Committed),
    /// The SKU, if the key is taken for good.
    Sku(Option<SkuId>),
    /// The product, if there is one.
    Product(Option<ProductId>),
    /// One for each SKU asked for; `None` where there is no such variant.
    Cards(Vec<Option<SkuCard>>),
    /// By SKU as asked, then partition and location code.
    Stock(Vec<StockAt>),
    /// Of one SKU.
    Inventory(Box<InventoryAt>),
    /// Likewise.
    Supply(Vec<Supply>),
    /// In the order asked.
    SearchFields(Vec<String>),
    /// Of the query's words.
    Statistics(search_index::Statistics),
    /// Hits with what is shown of them, those that are pinned included.
    Search(Box<search_index::Part>, Vec<(search_index::DocKey, SearchHit)>),
    /// Of the words asked about.
    Frequencies(search_index::Frequencies),
    /// The likest first, with what is shown of them.
    Similar(Vec<search_index::Hit>, Vec<(search_index::DocKey, SearchHit)>),
    /// Completions, products with what is shown of them, and queries that begin so with how often they found something.
    Suggest(search_index::Suggestions, Vec<(search_index::DocKey, ProductId, String, String)>, Vec<(String, u64)>),
    /// In no order that says anything.
    SearchQueries(Vec<CountedQuery>),
    /// By category key.
    CategoryCounts(Vec<(String, u64)>),
    /// By partition.
    Replicas(Vec<wire::ReplicaView>),
    /// Latest first.
    Orders(Vec<OrderView>),
    /// Of each partition in order.
    Feed(Box<FeedPart>),
}

/// One shard's part of a page of the feed.
#[derive(Debug)]
pub struct FeedPart {
    /// Where each partition of the shard that was asked for was read from.
    pub begin: Vec<(PartitionId, FeedPlace)>,
    /// Of each partition in order.
    pub events: Vec<FeedEvent>,
    /// Where whoever takes all of them stands.
    pub end: Vec<(PartitionId, FeedPlace)>,
}

/// A command that is durable and applied.
#[derive(Debug)]
pub struct Committed {
    /// What came of it.
    pub applied: Applied,
    /// Where it stands.
    pub position: Position,
    /// Effects it put into the outbox.
    pub effects: Vec<EventId>,
}

/// A variant as carts see it.
#[derive(Clone, Debug, Archive, Serialize, Deserialize)]
pub struct SkuCard {
    /// `sku_…`
    pub sku: SkuId,
    /// The merchant's SKU key.
    pub key: String,
    /// Its product.
    pub product: ProductId,
    /// The merchant's product key.
    pub product_key: String,
    /// Name of the product.
    pub title: String,
    /// First picture.
    pub image: Option<String>,
    /// All of them; empty when the product is not active.
    pub prices: Vec<Money>,
    /// Live.
    pub availability: Availability,
}

/// Everything about a SKU at one shard's locations.
#[derive(Debug, Default)]
pub struct InventoryAt {
    /// By partition, then location code; one of another shard's locations has only what is on its way there.
    pub rows: Vec<InventoryRow>,
    /// By partition, then hold id.
    pub holds: Vec<HoldView>,
    /// How many may be had, as the shard's first partition has it.
    pub limit: PurchaseLimit,
}

/// A stock row with its open holds.
#[derive(Clone, Debug)]
pub struct StockAt {
    /// Which SKU.
    pub sku: SkuId,
    /// Where the location's rows live.
    pub partition: PartitionId,
    /// The columns.
    pub row: StockRow,
    /// Open holds on it.
    pub holds: Vec<HoldView>,
}

/// What can be had of a SKU at a location.
#[derive(Clone, Debug)]
pub struct Supply {
    /// Which SKU.
    pub sku: SkuId,
    /// The location's code.
    pub location: String,
    /// Where its rows live.
    pub partition: PartitionId,
    /// Units.
    pub available: u32,
    /// Units more that orders in doubt hold, and may give back in a moment.
    pub in_doubt: u32,
}

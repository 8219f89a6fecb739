//! What applying a command gives: an outcome for the caller, and changes for the shard around the partition.

use crate::record::v1::{PeerOutcome, ShortLine};
use inventory_ledger::RowChange;
use rkyv::{Archive, Deserialize, Serialize};
use wire::{CartId, CategoryId, FeedEvent, OrderId, ProductId, Refusal, SkuId, Upserted};

/// A success or a refusal. Compact: the answer is rendered from the state when it is sent, and again when it is replayed.
pub type Outcome = Result<Done, Refusal>;

/// A success. Archived in snapshots, with an idempotency key: a variant that is added goes to the end, one that changes is a new version.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Done {
    /// Nothing more to say.
    Nothing,
    /// A product was written.
    Product {
        /// Which.
        id: ProductId,
        /// Its version.
        version: u64,
        /// What was done.
        what: Upserted,
    },
    /// A category was written or was there.
    Category {
        /// Which.
        id: CategoryId,
        /// What was done.
        what: Upserted,
    },
    /// A cart was made or changed.
    Cart(CartId),
    /// An order was made or changed.
    Order(OrderId),
    /// A stock row was changed.
    Stock {
        /// Of which SKU.
        sku: SkuId,
        /// The movement was booked before under its id; nothing changed.
        repeated: bool,
    },
    /// A hold is taken; what remained available of each line's SKU.
    Held {
        /// In the order of the lines.
        remaining: Vec<u32>,
    },
    /// A reservation is taken.
    Reserved {
        /// When it falls back.
        expires_at: wire::Millis,
        /// In the order of the lines.
        lines: Vec<wire::ReservedLine>,
        /// It was taken before under its id; nothing changed.
        replayed: bool,
    },
    /// A reservation is taken, and some of it is owed.
    Backordered(Box<Backordered>),
    /// A reservation lasts until then.
    Extended {
        /// With what its cap leaves of what was asked.
        expires_at: wire::Millis,
    },
    /// Goods were announced, received, sent or the like.
    Goods(Box<Goods>),
    /// Effects were leased under this fence; those no longer in the outbox were not.
    Leased {
        /// The lease's number.
        fence: u64,
        /// Which.
        effects: Vec<wire::EventId>,
    },
    /// Timers ran; `more` are due.
    Timers {
        /// Run again.
        more: bool,
    },
    /// A setting of the search was written.
    SearchSetting {
        /// Its version.
        version: u64,
        /// What was done.
        what: Upserted,
    },
    /// A node of the cluster was added or changed, or was so already.
    Node {
        /// Its number.
        node: u64,
        /// Of the nodes; rises with every change.
        epoch: u64,
    },
}

/// A reservation that is owed units.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Backordered {
    /// What was taken.
    pub reserved: wire::Reserved,
    /// Units owed of each line, in their order.
    pub owed: Vec<u32>,
    /// It was taken before under its id; nothing changed.
    pub replayed: bool,
}

/// What goods did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Goods {
    /// For the caller.
    pub told: wire::GoodsDone,
    /// It was done before under its id; nothing changed.
    pub replayed: bool,
}

/// What a partition answers to an effect of another, from the outcome of applying the effect's command.
#[must_use]
pub fn peer_outcome(outcome: &Outcome) -> PeerOutcome {
    match outcome {
        Ok(Done::Held { remaining }) => PeerOutcome::Held { remaining: remaining.clone() },
        Ok(
            Done::Nothing
            | Done::Product { .. }
            | Done::Category { .. }
            | Done::Cart(_)
            | Done::Order(_)
            | Done::Stock { .. }
            | Done::Reserved { .. }
            | Done::Backordered(_)
            | Done::Extended { .. }
            | Done::Goods(_)
            | Done::Leased { .. }
            | Done::Timers { .. }
            | Done::SearchSetting { .. }
            | Done::Node { .. },
        ) => PeerOutcome::Done,
        Err(Refusal::InsufficientStock(shortages)) => {
            let short = |line: &wire::Shortage| ShortLine { sku: line.sku, requested: line.requested, available: line.available };
            PeerOutcome::Short(shortages.iter().map(short).collect())
        }
        // The stock table says so of a hold that is unknown or over.
        Err(Refusal::NotFound) => PeerOutcome::Gone,
        Err(Refusal::Contended) => PeerOutcome::Contended,
        Err(Refusal::LimitReached { what, max }) => PeerOutcome::Refused { why: format!("no room for more {what} than {max}") },
        Err(Refusal::KeyTaken { key }) => PeerOutcome::Refused { why: format!("another product has the SKU key {key}") },
        Err(Refusal::Invalid(fields)) => {
            let why = fields.first().map_or_else(String::new, |field| format!("{}: {}", field.pointer, field.detail));
            PeerOutcome::Refused { why }
        }
        // No command that is sent as an effect gives the others; said as it is, should one come to.
        Err(refusal) => PeerOutcome::Refused { why: format!("{refusal:?}") },
    }
}

/// What one apply gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The command's number in this partition.
    pub seq: wire::Seq,
    /// For the caller.
    pub outcome: Outcome,
    /// The outcome is that of an earlier entry with the same idempotency key; nothing changed.
    pub replayed: bool,
}

/// What the shard must bring in line after apply and before it answers. Cleared by the caller; order is that of the changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// Products whose index document is new, other, or gone.
    pub products: Vec<ProductId>,
    /// Stock rows that changed.
    pub stock: Vec<RowChange>,
    /// SKUs of which a row began to take backorders, or ended.
    pub backorders: Vec<(SkuId, bool)>,
    /// The category tree changed.
    pub categories: bool,
    /// Settings of the search changed.
    pub search_settings: bool,
    /// Nodes of the cluster changed.
    pub nodes: bool,
    /// Effects put into the outbox.
    pub effects: Vec<wire::EventId>,
    /// Effects that left the outbox, answered.
    pub answered: Vec<wire::EventId>,
    /// Orders whose checkout, cancel or payment action settled.
    pub settled: Vec<OrderId>,
    /// Orders that need another sourcing plan.
    pub resource: Vec<OrderId>,
    /// What the feed tells of it.
    pub events: Vec<FeedEvent>,
}

impl Changes {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        let Self { products, stock, backorders, categories, search_settings, nodes, effects, answered, settled, resource, events } = self;
        products.clear();
        stock.clear();
        backorders.clear();
        *categories = false;
        *search_settings = false;
        *nodes = false;
        effects.clear();
        answered.clear();
        settled.clear();
        resource.clear();
        events.clear();
    }
}

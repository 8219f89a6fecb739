//! What applying a command gives: an outcome for the caller, and changes for the shard around the partition.

use inventory_ledger::RowChange;
use wire::{CartId, CategoryId, OrderId, ProductId, Refusal, SkuId, Upserted};

/// A success or a refusal. Compact: the answer is rendered from the state when it is sent, and again when it is replayed.
pub type Outcome = Result<Done, Refusal>;

/// A success.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    },
    /// A hold is taken; what remained available of each line's SKU.
    Held {
        /// In the order of the lines.
        remaining: Vec<u32>,
    },
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
    /// The category tree changed.
    pub categories: bool,
    /// Effects put into the outbox.
    pub effects: Vec<wire::EventId>,
    /// Effects that left the outbox, answered.
    pub answered: Vec<wire::EventId>,
    /// Orders whose checkout, cancel or payment action settled.
    pub settled: Vec<OrderId>,
    /// Orders that need another sourcing plan.
    pub resource: Vec<OrderId>,
}

impl Changes {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        let Self { products, stock, categories, effects, answered, settled, resource } = self;
        products.clear();
        stock.clear();
        *categories = false;
        effects.clear();
        answered.clear();
        settled.clear();
        resource.clear();
    }
}

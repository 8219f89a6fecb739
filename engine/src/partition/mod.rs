//! One partition: a pure state machine over its log, and queries by reference.
//!
//! Path: log entry → [`Partition::apply`] → [`Applied`] for the caller and [`Changes`] for the shard; queries read the tables through the
//! accessors; [`Partition::freeze`] and [`Restore`] are the way to a snapshot and back. Read first: `apply.rs`, then the tables beside it.
//! Deliberately absent: clocks, randomness, I/O, floats in money, iteration over hash maps in anything that shows.

mod apply;
pub mod carts;
mod categories;
mod claims;
mod cluster;
mod context;
mod digest;
mod keys;
pub mod orders;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
pub mod outbox;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
pub mod outcome;
mod products;
mod search_settings;
mod snapshot;
mod stock;
mod table;
mod timers;

#[cfg(test)]
mod tests;

pub use claims::{CLAIM_PENDING_MS, CLAIM_TOMBSTONE_MS, CLAIMS_MAX, Claim, ClaimState};
pub use context::{ApplyContext, Minted, ORDINALS_MAX, event_id, hash128};
pub use digest::Digest;
pub use keys::{IDEMPOTENCY_KEEP_MS, IDEMPOTENCY_KEYS_MAX, Replay, STORED_OUTCOME_BYTES_MAX};
pub use outcome::{Applied, Backordered, Changes, Done, Goods, Outcome, peer_outcome};
pub use products::{OPENED_KEPT_MAX, PRODUCTS_MAX, SKUS_MAX};
pub use snapshot::{Restore, SnapshotError};
pub use stock::{ARRIVALS_MAX, LANDING_RETRY_MS, LANDINGS_MAX, LEDGER_LIMITS, LOCATIONS_MAX, POLICIES_MAX, PURCHASE_KEPT_MS, Stock};
pub use table::Table;
pub use timers::{ORDER_TIMERS_MAX, TIMERS_MAX};

use crate::domain::{cart::Cart, category::CategoryTree, cluster::Nodes, order::Order, product::Product, search_settings::SearchSettings};
use std::sync::Arc;
use wire::{CartId, EventId, HoldView, Idempotency, Millis, OrderId, PartitionId, ProductId, Seq, SkuId, StockRow};

/// A slice of the key space: its tables, and the number of the last command applied.
#[derive(Debug)]
pub struct Partition {
    id: PartitionId,
    epoch: u32,
    /// Of the cluster: for the placement of what it asks of others.
    partitions: u16,
    seq: Seq,
    last_time: Millis,
    keys: keys::Keys,
    outbox: outbox::Outbox,
    products: products::Products,
    claims: claims::Claims,
    categories: Arc<CategoryTree>,
    search_settings: Arc<SearchSettings>,
    nodes: Arc<Nodes>,
    stock: Stock,
    carts: carts::Carts,
    orders: orders::Orders,
    /// A snapshot under way; no part of the state.
    frozen: Option<Box<snapshot::Frozen>>,
}

/// What [`Partition::check`] looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Stock rows.
    pub rows: u64,
    /// Holds that are neither committed nor ended.
    pub open_holds: u64,
}

impl Partition {
    /// An empty partition `id` of `partitions`, before its first command.
    #[must_use]
    pub fn new(id: PartitionId, epoch: u32, partitions: u16) -> Self {
        Self {
            id,
            epoch,
            partitions,
            seq: Seq(0),
            last_time: Millis(0),
            keys: keys::Keys::default(),
            outbox: outbox::Outbox::default(),
            products: products::Products::default(),
            claims: claims::Claims::default(),
            categories: Arc::default(),
            search_settings: Arc::default(),
            nodes: Arc::default(),
            stock: Stock::new(),
            carts: carts::Carts::default(),
            orders: orders::Orders::default(),
            frozen: None,
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The number of the last command applied; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The log time of the last command applied.
    #[must_use]
    pub fn last_time(&self) -> Millis {
        self.last_time
    }

    /// Effects that wait for their answers.
    #[must_use]
    pub fn outbox(&self) -> &outbox::Outbox {
        &self.outbox
    }

    /// As if no key had been given.
    #[cfg(feature = "mutants")]
    pub(crate) fn forget_keys(&mut self) {
        self.keys.forget_all();
    }

    /// What is remembered under an idempotency key: the leader's short cut, decided again in apply. `None`: the command would run.
    #[must_use]
    pub fn idempotent(&self, idempotency: &Idempotency) -> Option<Replay> {
        self.keys.look_up(idempotency)
    }

    /// The table of idempotency keys is full: a new keyed command would be refused without running.
    #[must_use]
    pub fn idempotency_full(&self) -> bool {
        self.keys.is_full()
    }

    /// A product by id, as it is now: it is replaced when it is written. O(log products).
    #[must_use]
    pub fn product(&self, id: ProductId) -> Option<&Arc<Product>> {
        self.products.get(id)
    }

    /// A product by the merchant's key. O(log products).
    #[must_use]
    pub fn product_by_key(&self, key: &str) -> Option<&Arc<Product>> {
        self.products.by_key(key)
    }

    /// Open effects of writes of a product: claims to be made final or released, rows to be opened. O(its effects and variants, and log of all there are).
    pub(crate) fn effects_of_product(&self, id: ProductId) -> Vec<EventId> {
        let Some(product) = self.product(id) else { return Vec::new() };
        let claims = self.outbox.about(outbox::About::Product(product.content.key.as_str().to_owned()));
        claims.chain(product.skus.iter().flat_map(|sku| self.outbox.about(outbox::About::Sku(*sku)))).collect()
    }

    /// All products, in the order of their ids: oldest first.
    pub fn products(&self) -> impl DoubleEndedIterator<Item = &Arc<Product>> {
        self.products.iter()
    }

    /// A variant by id: its product, and its place among the product's variants.
    #[must_use]
    pub fn sku(&self, id: SkuId) -> Option<(&Product, usize)> {
        self.products.sku(id)
    }

    /// Who has the SKU key, if this is the key's partition.
    #[must_use]
    pub fn sku_claim(&self, key: &str) -> Option<&Claim> {
        self.claims.get(key)
    }

    /// The category tree; empty but on the categories' partition. Cloning the `Arc` takes a snapshot: later changes do not show in it.
    #[must_use]
    pub fn categories(&self) -> &Arc<CategoryTree> {
        &self.categories
    }

    /// What is set for the search; empty but on its own partition. Cloning the `Arc` takes a snapshot, as of the tree.
    #[must_use]
    pub fn search_settings(&self) -> &Arc<SearchSettings> {
        &self.search_settings
    }

    /// The nodes of the cluster; empty but on the first partition of one. Cloning the `Arc` takes a snapshot.
    #[must_use]
    pub fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// The stock of this partition's locations.
    #[must_use]
    pub fn stock(&self) -> &Stock {
        &self.stock
    }

    /// The rows of one SKU at this partition's locations, in order of location code.
    #[must_use]
    pub fn stock_rows(&self, sku: SkuId) -> Vec<StockRow> {
        self.stock.rows_of(sku)
    }

    /// The open holds on one SKU at this partition's locations, in order of hold id.
    #[must_use]
    pub fn stock_holds(&self, sku: SkuId) -> Vec<HoldView> {
        self.stock.holds_of(sku)
    }

    /// A cart.
    #[must_use]
    pub fn cart(&self, id: CartId) -> Option<&Cart> {
        self.carts.get(id)
    }

    /// An order, whether or not its checkout has settled.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(id)
    }

    /// All orders in the order of their ids: oldest first; take `rev()` for the latest.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.iter()
    }

    /// Proves that the stock identity holds and that the tables agree with one another. O(everything).
    ///
    /// # Errors
    /// Says what does not fit: a fault of ours, or damaged memory.
    pub fn check(&self) -> Result<Checked, String> {
        self.stock.check_ledger()?;
        let checked = self.check_relations()?;
        self.outbox.check()?;
        self.products.check()?;
        self.keys.check()?;
        self.claims.check()?;
        self.categories.check()?;
        self.carts.check()?;
        Ok(checked)
    }

    /// The part of it that looks from one table into another: what a restore, which makes each table whole, cannot know before its end.
    fn check_relations(&self) -> Result<Checked, String> {
        let checked = self.stock.check_tables()?;
        self.orders.check(&self.outbox)?;
        Ok(checked)
    }

    /// A fingerprint of the whole state: equal after equal logs, in any process of the same build. O(everything).
    #[must_use]
    pub fn digest(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut digest = Digest::new();
        (self.id, self.epoch, self.partitions, self.seq, self.last_time).hash(&mut digest);
        self.keys.digest(&mut digest);
        self.outbox.digest(&mut digest);
        self.products.digest(&mut digest);
        self.claims.digest(&mut digest);
        categories::digest(&self.categories, &mut digest);
        search_settings::digest(&self.search_settings, &mut digest);
        cluster::digest(&self.nodes, &mut digest);
        self.stock.digest(&mut digest);
        self.carts.digest(&mut digest);
        self.orders.digest(&mut digest);
        digest.finish()
    }
}

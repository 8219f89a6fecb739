//! What the shards of a node share: derived views for reading, each changed by one owner.
//!
//! Path: a partition's changes → its shard publishes here, before it answers → any shard reads while it renders or searches.
//! Nothing here decides anything: holds are taken in the ledger, and all of it is made anew from the log at start.
//! Bounds: one word per SKU ever stocked or sold; one tree; one set of settings.

use crate::config::PARTITIONS_MAX;
use crate::domain::{category::CategoryTree, cluster::Nodes, search_settings::SearchSettings};
use crate::flow::search_rules::SearchRules;
use hashbrown::HashMap;
use search_index::Language;
use std::sync::{
    Arc, RwLock,
    atomic::{AtomicU32, AtomicU64, Ordering},
};
use wire::{Availability, NodeId, PartitionId, SkuId, limits::SHOWN_QUANTITY_MAX};

/// How many units of a SKU can be had, as shoppers are told: over all locations the sum of `min(available, SHOWN_QUANTITY_MAX)`.
///
/// So it changes only when some row is short, and is above zero exactly when the SKU is in stock somewhere: one word serves the
/// search filter and the product page. Only the shards that own the SKU's rows add to it.
#[derive(Debug, Default)]
pub struct SkuStock {
    units: AtomicU32,
    /// Rows that take backorders.
    backorders: AtomicU32,
}

impl SkuStock {
    /// What shoppers are told.
    pub fn availability(&self) -> Availability {
        // Relaxed: the count guards no other memory, and an answer that must show it travels through a queue that orders the two.
        let quantity = self.units.load(Ordering::Relaxed).min(SHOWN_QUANTITY_MAX);
        Availability { quantity, backorder: self.backorders.load(Ordering::Relaxed) > 0 }
    }

    /// Can at least one be had?
    pub fn in_stock(&self) -> bool {
        self.units.load(Ordering::Relaxed) > 0
    }

    /// A row of this SKU went from `before` to `after` units available.
    pub fn moved(&self, before: u32, after: u32) {
        let (before, after) = (before.min(SHOWN_QUANTITY_MAX), after.min(SHOWN_QUANTITY_MAX));
        // Wrapping addition of the difference: rows of several locations may move at once. Relaxed as above.
        if before != after {
            self.units.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        }
    }
}

impl SkuStock {
    /// A row of this SKU began to take backorders, or ended. Relaxed as above.
    pub fn takes_backorders(&self, takes: bool) {
        self.backorders.fetch_add(if takes { 1 } else { u32::MAX }, Ordering::Relaxed);
    }
}

/// Parts of the table of SKUs, so that shards starting up do not queue for one lock.
const STRIPES: usize = 64;

#[expect(clippy::disallowed_types, reason = "taken when a SKU or row is first seen, never to read stock")]
type Stripe = std::sync::Mutex<HashMap<SkuId, Arc<SkuStock>, foldhash::fast::RandomState>>;

/// The views of one node.
#[derive(Debug)]
pub struct Shared {
    stock: Vec<Stripe>,
    /// Replaced as a whole by the owner of the tree; readers keep the `Arc` they took.
    categories: RwLock<Arc<CategoryTree>>,
    /// Likewise, by the owner of the settings.
    search_rules: RwLock<Arc<SearchRules>>,
    /// Likewise, by every shard that has a replica of theirs.
    nodes: RwLock<Arc<Nodes>>,
    /// The node that leads each partition, as far as this one knows; 0 while nobody is known, and where there is no cluster.
    leaders: Vec<AtomicU64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(Language::default())
    }
}

impl Shared {
    /// Views of a node whose search is in this language.
    pub fn new(language: Language) -> Self {
        Self {
            stock: (0..STRIPES).map(|_| Stripe::default()).collect(),
            categories: RwLock::default(),
            search_rules: RwLock::new(Arc::new(SearchRules::new(language))),
            nodes: RwLock::default(),
            leaders: (0..PARTITIONS_MAX).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The word of a SKU, made when missing. Keep it: this takes a lock, the word does not.
    pub fn stock(&self, sku: SkuId) -> Arc<SkuStock> {
        let raw = sku.0.0;
        let stripe = &self.stock[((raw ^ (raw >> 16) ^ (raw >> 80)) % STRIPES as u128) as usize];
        // A panic while the lock is held leaves the map whole: it only inserts.
        let mut map = stripe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(map.entry(sku).or_default())
    }

    /// The cluster's nodes as last published.
    pub(crate) fn nodes(&self) -> Arc<Nodes> {
        Arc::clone(&self.nodes.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Publishes nodes; called by the shard that has their partition.
    pub(crate) fn publish_nodes(&self, nodes: Arc<Nodes>) {
        *self.nodes.write().unwrap_or_else(std::sync::PoisonError::into_inner) = nodes;
    }

    /// Who leads a partition, as far as this node knows.
    pub(crate) fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        // Relaxed: a hint. Whoever does not lead says so.
        let leader = self.leaders.get(usize::from(partition.0))?.load(Ordering::Relaxed);
        (leader != 0).then_some(NodeId(leader))
    }

    /// Tells who leads; called by the shard that has the partition's replica.
    pub(crate) fn publish_leader(&self, partition: PartitionId, leader: Option<NodeId>) {
        if let Some(word) = self.leaders.get(usize::from(partition.0)) {
            word.store(leader.map_or(0, |leader| leader.0), Ordering::Relaxed);
        }
    }

    /// The category tree as last published.
    pub fn categories(&self) -> Arc<CategoryTree> {
        Arc::clone(&self.categories.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Publishes a tree; called by the shard that owns its partition.
    pub fn publish_categories(&self, tree: Arc<CategoryTree>) {
        *self.categories.write().unwrap_or_else(std::sync::PoisonError::into_inner) = tree;
    }

    /// What is set for the search, as last published.
    pub(crate) fn search_rules(&self) -> Arc<SearchRules> {
        Arc::clone(&self.search_rules.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// The language of all indexes and of what is set for them.
    pub(crate) fn search_language(&self) -> Language {
        self.search_rules().language()
    }

    /// Publishes settings; called by the shard that owns their partition.
    pub(crate) fn publish_search_settings(&self, settings: Arc<SearchSettings>) {
        let mut rules = self.search_rules.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *rules = Arc::new(rules.after(settings));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: moves of two locations, then what shoppers are told.
    fn the_word_tells_the_capped_sum() {
        for (moves, shown) in [
            (&[(0, 25)][..], 10),
            (&[(0, 25), (25, 12), (12, 3)], 3),
            (&[(0, 3), (0, 4), (3, 0)], 4),
            (&[(0, 1), (1, 0)], 0),
            (&[(0, 500), (0, 500), (500, 0)], 10),
        ] {
            let word = SkuStock::default();
            for (before, after) in moves {
                word.moved(*before, *after);
            }
            assert_eq!(word.availability().quantity, shown, "{moves:?}");
            assert_eq!(word.in_stock(), shown > 0);
        }
    }

    #[test]
    fn backorders_are_taken_while_any_row_takes_them() {
        let word = SkuStock::default();
        for (takes, shown) in [(true, true), (true, true), (false, true), (false, false)] {
            word.takes_backorders(takes);
            assert_eq!((word.availability().backorder, word.in_stock()), (shown, false));
        }
    }
}

//! After apply: index, shared words, outbox and waits are brought in line with what changed.
//!
//! Path: `Changes` → [`State::bring_in_line`] → index documents and shared views, before the answer → a flow per effect that sends it until its
//! answer is logged → the flows that waited. A start sends every effect that is left.
//! Bounds: as many deliveries as open effects (`OUTBOX_MAX` a partition); a target that is overloaded is asked again after a pause.

use super::{
    ctx::Ctx,
    state::{Doc, Slot, State},
    tidying::Tidying,
};
use crate::{
    domain::product::Product,
    flow,
    partition::{Changes, outbox::Target, peer_outcome},
    record::v1::{Command, Entry},
};
use std::sync::Arc;
use wire::{EventId, PartitionId, ProductId, SkuId, limits::SHOWN_QUANTITY_MAX, placement, placement::NODES_PARTITION};

/// Pause before an effect is sent again, doubling from the first to the second, milliseconds.
const RESEND_MS: (u64, u64) = (10, 1_000);
/// Things one `RunTimers` ends at most, so that a batch of expiries does not delay requests.
const TIMER_STEP_MAX: u32 = 256;

/// The index's key of a product: partition and seq of the command that made it. Stable over restarts, and no two products share one.
pub(crate) fn doc_key(product: ProductId) -> search_index::DocKey {
    let raw = product.0.0;
    let partition = (raw >> 64) as u64 & 0xffff;
    let seq = (raw >> 16) as u64 & 0xffff_ffff_ffff;
    search_index::DocKey((partition << 48) | seq)
}

impl State {
    /// Brings everything around a partition in line with what an apply changed.
    pub(crate) fn bring_in_line(&mut self, id: PartitionId, changes: &Changes) {
        for product in &changes.products {
            if self.reindex(id, *product) {
                self.tidying = Tidying::written(self.now.mono_us);
            }
        }
        for change in &changes.stock {
            // What shoppers are told changes only near the end of a row: the word need not be looked up otherwise.
            let (before, after) = (change.before.available.0, change.after.available.0);
            if before.min(SHOWN_QUANTITY_MAX) == after.min(SHOWN_QUANTITY_MAX) {
                continue;
            }
            let sku = SkuId(wire::RawId(change.sku.0));
            self.stock_word(sku).moved(before, after);
        }
        for (sku, takes) in &changes.backorders {
            self.stock_word(*sku).takes_backorders(*takes);
        }
        if changes.categories || changes.search_settings || changes.nodes {
            self.publish_settings(id);
        }
        for effect in &changes.effects {
            self.send_effect(id, *effect);
        }
        for effect in &changes.answered {
            self.waits.effect_answered(*effect);
        }
        for order in &changes.settled {
            self.waits.order_settled(*order);
        }
        for order in &changes.resource {
            let ctx = self.ctx();
            self.spawn.push(Box::pin(flow::checkout::resource(ctx, id, *order)));
        }
    }

    /// Tells the node's shards what all of them need: the category tree and what is set for the search, where they live here.
    pub(super) fn publish_settings(&self, id: PartitionId) {
        let Some(partition) = self.partition(id) else { return };
        if id == placement::categories_partition(self.config.partitions) {
            self.config.shared.publish_categories(Arc::clone(partition.categories()));
        }
        if id == NODES_PARTITION {
            self.config.shared.publish_nodes(Arc::clone(partition.nodes()));
        }
        if id == placement::search_settings_partition(self.config.partitions) {
            self.config.shared.publish_search_settings(Arc::clone(partition.search_settings()));
        }
    }

    /// The word of a SKU whose row is here; made known to the node when first seen.
    pub(crate) fn stock_word(&mut self, sku: SkuId) -> &Arc<crate::shared::SkuStock> {
        let shared = &self.config.shared;
        self.row_stock.entry(sku).or_insert_with(|| shared.stock(sku))
    }

    /// Puts a product into the index as it is, or takes it out. `false` where there is nothing to tidy after it: columns are changed in place.
    pub(crate) fn reindex(&mut self, partition: PartitionId, product: ProductId) -> bool {
        let key = doc_key(product);
        let found = self.partitions.get(&partition).and_then(|slot| slot.partition.product(product));
        let Some(found) = found else {
            self.docs.remove(&key);
            return self.index.remove(key);
        };
        self.docs.insert(key, self.config.doc(found));
        if !found.is_for_sale() {
            return self.index.remove(key);
        }
        let current = search_index::Current { stamp: flow::views::stamp(found, &mut Vec::new()), columns: flow::views::columns(found) };
        if self.index.refresh(key, current).is_ok_and(|done| done) {
            return false;
        }
        // Bounds of the index are wider than the catalog's; a document it refuses is still sold, and found by its key.
        if let Err(error) = self.index.upsert(&flow::views::document(found)) {
            tracing::error!(%error, %product, "a product cannot be indexed");
        }
        true
    }

    /// Starts sending an effect, or tells the adapters; where another node leads, that one does.
    pub(crate) fn send_effect(&mut self, partition: PartitionId, effect: EventId) {
        let Some(lead) = self.lead(partition) else { return };
        let Some(target) = self.partition(partition).and_then(|p| p.outbox().open.get(&effect)).map(|effect| &effect.target) else {
            return;
        };
        match target {
            Target::Partition(to, command) => {
                let (to, command) = (*to, command.clone());
                let ctx = self.ctx();
                self.spawn.push(Box::pin(deliver(ctx, (partition, lead), effect, to, command)));
            }
            Target::Adapter { .. } => self.waits.work_ready(),
        }
    }

    /// Proposes the timers of partitions where something is due.
    pub(crate) fn run_timers(&mut self) {
        let now = self.stamp();
        if self.next_timer().is_none_or(|at| at > now) {
            return;
        }
        let is_due = |slot: &Slot| !slot.timers_running && slot.leads() && slot.next_timer.is_some_and(|at| at <= now);
        let due: Vec<PartitionId> = self.partitions.iter().filter(|(_, slot)| is_due(slot)).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(slot) = self.partitions.get_mut(&id) {
                slot.timers_running = true;
            }
            self.timer_changed(id);
            let proposed = self.propose(id, Entry::of(Command::RunTimers { max: TIMER_STEP_MAX }));
            let ctx = self.ctx();
            self.spawn.push(Box::pin(async move {
                proposed.await;
                ctx.with_mut(|state| {
                    if let Some(slot) = state.partitions.get_mut(&id) {
                        slot.timers_running = false;
                    }
                    state.timer_changed(id);
                });
            }));
        }
    }

    /// When the next timer of any partition is due, monotonic.
    pub(crate) fn next_timer_us(&mut self) -> Option<u64> {
        let due = self.next_timer()?;
        Some(self.clock.mono_at(due))
    }
}

/// Sends an effect to its partition until the answer is logged here, or another node leads: it sends again what is not answered.
async fn deliver(ctx: Ctx, (from, lead): (PartitionId, u64), effect: EventId, to: PartitionId, command: Command) {
    let mut pause_ms = RESEND_MS.0;
    let leads = || ctx.with(|state| state.lead(from) == Some(lead));
    let answer = loop {
        match ctx.command(to, command.clone()).await {
            Ok(committed) => break peer_outcome(&committed.applied.outcome),
            Err(failure) => {
                tracing::debug!(?failure, %effect, "an effect is sent again");
                ctx.sleep_until(ctx.now().mono_us + pause_ms * 1_000).await;
                pause_ms = (pause_ms * 2).min(RESEND_MS.1);
                if !leads() {
                    return;
                }
            }
        }
    };
    // Proposed here, on the asking partition's own shard: it fails when the disk is full, the engine stops or the lead is lost; then who leads next sends
    // again.
    while leads() && ctx.command(from, Command::EffectAnswered { effect, answer: answer.clone() }).await.is_err() {
        ctx.sleep_until(ctx.now().mono_us + RESEND_MS.1 * 1_000).await;
    }
}

impl super::Config {
    /// What the core keeps beside a product.
    pub(crate) fn doc(&self, product: &Arc<Product>) -> Doc {
        Doc { product: Arc::clone(product), stock: product.skus.iter().map(|sku| self.shared.stock(*sku)).collect() }
    }
}

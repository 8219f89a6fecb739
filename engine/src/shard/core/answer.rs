//! Answers to the questions of other shards, and of this one's own flows, from memory.
//!
//! Path: [`Ask`] → [`State::answer`] → [`Answer`]; a proposal is answered when it is applied.

use super::{
    feed,
    peer::{Answer, Ask, InventoryAt, PeerMessage, SkuCard, StockAt, Supply},
    state::{Doc, State},
};
use crate::{domain::product::Product, flow::views, shard::Output};
use wire::{Failure, OrderView, Refusal, ShardId, SkuId};

impl State {
    /// Another shard asks.
    pub(crate) fn asked_by(&mut self, from: ShardId, id: u64, ask: Ask) {
        match ask {
            Ask::Propose(partition, entry) => {
                let proposed = self.propose(partition, *entry);
                let ctx = self.ctx();
                self.spawn.push(Box::pin(async move {
                    let answer = proposed.await.unwrap_or(Err(Failure::Internal)).map(Answer::Committed);
                    ctx.with_mut(|state| state.outputs.push_back(Output::Peer { to: from, message: PeerMessage::Answer { id, answer } }));
                }));
            }
            Ask::Feed { from: place, limit } => {
                let ctx = self.ctx();
                self.spawn.push(Box::pin(async move {
                    let answer = feed::read(ctx.clone(), place, limit).await;
                    ctx.with_mut(|state| state.outputs.push_back(Output::Peer { to: from, message: PeerMessage::Answer { id, answer } }));
                }));
            }
            query if self.replication.is_some() && query.looks_at().is_some() => {
                let answer = self.answer_as_it_is(query);
                let ctx = self.ctx();
                self.spawn.push(Box::pin(async move {
                    let answer = answer.await;
                    ctx.with_mut(|state| state.outputs.push_back(Output::Peer { to: from, message: PeerMessage::Answer { id, answer } }));
                }));
            }
            query => {
                let answer = self.answer(query);
                self.outputs.push_back(Output::Peer { to: from, message: PeerMessage::Answer { id, answer } });
            }
        }
    }

    /// Answers a query about a partition of a cluster, once it is sure that this node leads it and has all that was answered before.
    pub(super) fn answer_as_it_is(&mut self, query: Ask) -> impl Future<Output = Result<Answer, Failure>> + 'static {
        let barrier = query.looks_at().map(|partition| self.read_barrier(partition));
        let ctx = self.ctx();
        async move {
            if let Some(barrier) = barrier {
                barrier.await.unwrap_or(Err(Failure::Interrupted))?;
            }
            ctx.with(|state| state.answer(query))
        }
    }

    /// Answers a query from memory.
    pub(crate) fn answer(&self, ask: Ask) -> Result<Answer, Failure> {
        match ask {
            // Proposals take the way through the log, and the feed may wait for files; they do not come here.
            Ask::Propose(..) | Ask::Feed { .. } => Err(Failure::Internal),
            Ask::ResolveSku(partition, key) => {
                let partition = self.partition(partition).ok_or(Failure::WrongShard)?;
                Ok(Answer::Sku(partition.sku_claim(&key).and_then(crate::partition::Claim::sku)))
            }
            Ask::ResolveProduct(partition, reference) => {
                let partition = self.partition(partition).ok_or(Failure::WrongShard)?;
                let found = match &*reference {
                    wire::ProductRef::Id(id) => partition.product(*id),
                    wire::ProductRef::Key(key) => partition.product_by_key(key),
                };
                Ok(Answer::Product(found.map(|product| product.id)))
            }
            Ask::Cards(partition, skus) => {
                let partition = self.partition(partition).ok_or(Failure::WrongShard)?;
                Ok(Answer::Cards(skus.iter().map(|sku| self.card(partition, *sku)).collect()))
            }
            Ask::Stock(skus) => Ok(Answer::Stock(skus.iter().flat_map(|sku| self.stock_at(*sku)).collect())),
            Ask::Inventory(sku) => Ok(Answer::Inventory(Box::new(self.inventory_at(sku)))),
            Ask::Supply(skus) => Ok(Answer::Supply(skus.iter().flat_map(|sku| self.supply_of(*sku)).collect())),
            Ask::SearchFields(names) => Ok(Answer::SearchFields(self.index.fields_among(&names))),
            Ask::Statistics(query) => self.index.statistics(&query).map(Answer::Statistics).map_err(|error| views::query_refusal(&error)),
            Ask::Search { query, highlight } => {
                let live = |key| self.is_in_stock(key);
                let mut part = self.index.search_part(&query, Some(&live)).map_err(|error| views::query_refusal(&error))?;
                let marks = if highlight { Some(self.index.highlighter(&query)) } else { None };
                let marks = marks.transpose().map_err(|error| views::query_refusal(&error))?;
                let wanted = views::Wanted::by_query(&self.index, &query);
                let hits = self.shown(part.hits_of_any(), &wanted, marks.as_ref());
                part.partial |= marks.is_some_and(|marks| marks.is_partial());
                Ok(Answer::Search(Box::new(part), hits))
            }
            Ask::Frequencies(profile) => Ok(Answer::Frequencies(self.index.frequencies(&profile))),
            Ask::Similar(query) => {
                let live = |key| self.is_in_stock(key);
                let found = self.index.similar_part(&query, Some(&live)).map_err(|error| views::query_refusal(&error))?;
                let wanted = views::Wanted::by_filters(&query.filters);
                let hits = self.shown(found.iter(), &wanted, None);
                Ok(Answer::Similar(found, hits))
            }
            Ask::Suggest(text, limit) => {
                let found = self.index.suggest(&text, usize::from(limit));
                let products = found.products.iter().filter_map(|suggestion| {
                    let product = self.product_of(suggestion.key)?;
                    Some((suggestion.key, product.id, product.content.key.as_str().to_owned(), product.content.title.as_str().to_owned()))
                });
                let products = products.collect();
                Ok(Answer::Suggest(found, products, self.queries.beginning(&text)))
            }
            Ask::SearchQueries { without_results } => Ok(Answer::SearchQueries(self.queries.top(without_results))),
            Ask::CategoryCounts => {
                let counts = views::category_counts(&self.index).map_err(|error| views::query_refusal(&error))?;
                Ok(Answer::CategoryCounts(counts))
            }
            Ask::Replicas => Ok(Answer::Replicas(self.replicas())),
            Ask::Orders { status, limit, after } => Ok(Answer::Orders(self.orders(status, limit, after)?)),
        }
    }

    /// What carts need to know of a SKU.
    pub(crate) fn card(&self, partition: &crate::partition::Partition, sku: SkuId) -> Option<SkuCard> {
        let (product, place) = partition.sku(sku)?;
        let (_, variant) = product.variant(place)?;
        let availability = self.availability(product, place);
        let content = &product.content;
        Some(SkuCard {
            sku,
            key: variant.key.as_str().to_owned(),
            product: product.id,
            product_key: content.key.as_str().to_owned(),
            title: content.title.as_str().to_owned(),
            image: content.images.first().map(|image| image.url.as_str().to_owned()),
            prices: if product.is_for_sale() { variant.prices.iter().map(wire::ArchivedMoney::native).collect() } else { Vec::new() },
            availability,
        })
    }

    /// Live availability of a product's variant.
    pub(crate) fn availability(&self, product: &Product, place: usize) -> wire::Availability {
        let word = self.docs.get(&super::deliver::doc_key(product.id)).and_then(|doc| doc.stock.get(place));
        word.map_or_else(wire::Availability::default, |word| word.availability())
    }

    /// The product behind a document.
    pub(crate) fn product_of(&self, key: search_index::DocKey) -> Option<&Product> {
        self.docs.get(&key).map(|doc| &*doc.product)
    }

    /// Whether some variant of the product behind a document can be had.
    fn is_in_stock(&self, key: search_index::DocKey) -> bool {
        self.docs.get(&key).is_some_and(Doc::in_stock)
    }

    /// What is shown of hits; one that is gone meanwhile is left out.
    ///
    /// All look-ups go before what is shown, as each waits for memory: what is asked for together comes together.
    fn shown<'a>(
        &self,
        hits: impl Iterator<Item = &'a search_index::Hit>,
        wanted: &views::Wanted<'_>,
        marks: Option<&search_index::Highlighter<'_>>,
    ) -> Vec<(search_index::DocKey, wire::SearchHit)> {
        let found: Vec<(&search_index::Hit, &Doc)> = hits.filter_map(|hit| Some((hit, self.docs.get(&hit.key)?))).collect();
        let in_stock: Vec<bool> = found.iter().map(|(_, doc)| doc.in_stock()).collect();
        let mut shown = Vec::with_capacity(found.len());
        for ((hit, doc), in_stock) in found.into_iter().zip(in_stock) {
            let card = views::search_hit(&doc.product, &doc.stock, in_stock, wanted, hit.score, marks);
            shown.extend(card.map(|card| (hit.key, card)));
        }
        shown
    }

    /// Rows of a SKU at this shard's locations.
    fn stock_at(&self, sku: SkuId) -> Vec<StockAt> {
        let mut found = Vec::new();
        for (id, slot) in &self.partitions {
            let rows = slot.partition.stock_rows(sku);
            if rows.is_empty() {
                continue;
            }
            // Holds name no location of their own; they are shown with the partition's first row.
            let mut holds = slot.partition.stock_holds(sku);
            for row in rows {
                found.push(StockAt { sku, partition: *id, row, holds: std::mem::take(&mut holds) });
            }
        }
        found
    }

    fn inventory_at(&self, sku: SkuId) -> InventoryAt {
        let mut found = InventoryAt::default();
        if let Some(slot) = self.partitions.values().next() {
            found.limit = slot.partition.stock().purchase_limit(sku);
        }
        for slot in self.partitions.values() {
            let rows = slot.partition.stock().inventory(sku);
            if !rows.is_empty() {
                found.rows.extend(rows);
                found.holds.extend(slot.partition.stock_holds(sku));
            }
        }
        found
    }

    /// What there is of a SKU at this shard's locations.
    fn supply_of(&self, sku: SkuId) -> Vec<Supply> {
        let mut found = Vec::new();
        for (id, slot) in &self.partitions {
            for wire::StockRow { location, available, .. } in slot.partition.stock_rows(sku) {
                let in_doubt = slot.partition.stock().in_doubt(sku, &location);
                found.push(Supply { sku, location, partition: *id, available, in_doubt });
            }
        }
        found
    }

    fn orders(&self, status: Option<wire::OrderStatus>, limit: u16, after: Option<wire::OrderId>) -> Result<Vec<OrderView>, Failure> {
        let mut latest: Vec<wire::OrderId> = Vec::new();
        for slot in self.partitions.values() {
            let found = slot
                .partition
                .orders()
                .rev()
                .filter(|order| after.is_none_or(|after| order.id < after))
                .filter(|order| order.listed() && status.is_none_or(|status| order.status == status))
                .take(usize::from(limit));
            latest.extend(found.map(|order| order.id));
        }
        latest.sort_unstable_by(|a, b| b.cmp(a));
        latest.truncate(usize::from(limit));
        latest
            .iter()
            .map(|id| {
                let order = self.partition(id.partition()).and_then(|partition| partition.order(*id)).ok_or(Failure::Internal)?;
                views::order(order, &self.config.keyring).map_err(|_erased| Failure::Refused(Refusal::NotFound))
            })
            .collect()
    }
}

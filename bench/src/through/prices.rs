//! Question: how long until a search sees a new price that is durable, beside what the log alone takes?
//!
//! Path: by turns the smallest durable command there is, a unit more of stock, and a product with another price → each waited for, one at a time → latencies. An answer comes
//! when the command is in the log and applied, the index among it: each [`LOOK_EVERY`]th price is looked for by a search at once.
//!
//! Estimate first: both wait for one write. A product has some 2 KB where a unit has 100 bytes, is packed, hashed and compared: 10 to 20 us more.

use super::{input, key, refused};
use crate::server::BenchError;
use bench::report::{Case, Latencies};
use search_index::Document;
use std::{sync::Arc, time::Duration};
use wire::{Body, Client, Op, Request, SearchQuery, SkuRef, StockAdjustment, StockChange};

/// Products whose prices are changed.
pub(super) const PRODUCTS: usize = 2_000;
/// Prices looked for: one of so many.
const LOOK_EVERY: usize = 20;

/// Changes stock and prices of these documents' products in turns; answers the case of each.
#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
pub(super) async fn run(client: &Arc<dyn Client>, documents: &[Document]) -> Result<[Case; 2], BenchError> {
    let (mut stock, mut prices) = (Latencies::default(), Latencies::default());
    let (mut in_stock, mut in_prices) = (Duration::ZERO, Duration::ZERO);
    for (nth, document) in documents.iter().enumerate() {
        let begun = std::time::Instant::now();
        call(client, more_of(nth)).await?;
        let took = begun.elapsed();
        stock.record(took);
        in_stock += took;
        let price = document.price.unwrap_or(1_000) + 1;
        let product = input(nth, &Document { price: Some(price), ..document.clone() });
        let begun = std::time::Instant::now();
        call(client, Op::PutProduct(Box::new(product))).await?;
        let took = begun.elapsed();
        prices.record(took);
        in_prices += took;
        if nth % LOOK_EVERY == 0 {
            is_seen(client, nth, price).await?;
        }
    }
    let ops = documents.len() as u64;
    let case = |name, latencies: &Latencies, took: Duration| Case::plain(name, ops, took.as_secs_f64(), None, None).with(latencies);
    Ok([case("through/stock", &stock, in_stock), case("through/price", &prices, in_prices)])
}

fn more_of(nth: usize) -> Op {
    Op::AdjustStock(StockAdjustment {
        sku: SkuRef::Key(key(nth)),
        location: "main".to_owned(),
        change: StockChange::Delta(1),
        reason: String::new(),
        id: None,
    })
}

async fn call(client: &Arc<dyn Client>, op: Op) -> Result<Body, BenchError> {
    client.call(Request::system(op)).await.map_err(BenchError::other)?.result.map_err(refused)
}

async fn is_seen(client: &Arc<dyn Client>, nth: usize, price: i64) -> Result<(), BenchError> {
    let query = SearchQuery { text: format!("sku:{}", key(nth)), limit: 1, ..SearchQuery::default() };
    match call(client, Op::Search(query)).await? {
        Body::Search(found) if found.items.first().and_then(|hit| hit.price).is_some_and(|shown| shown.amount == price) => Ok(()),
        other => Err(BenchError::other(format!("the price of product {nth} is not seen: {other:?}"))),
    }
}

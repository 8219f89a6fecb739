//! Question: how long is a change under way until a search sees it?
//!
//! A write of the index is seen by the very next search, so what is timed is the write. That it is seen is shown after each one, untimed, by a search that only the
//! changed product answers; a write that is not seen ends the run. The merging that new products bring is part of CPU time an operation and not of latency.

use super::{
    clock::{self, Spent},
    lines::products,
    modes::Shop,
    product::Product,
};
use crate::server::BenchError;
use bench::report::Latencies;
use search_index::{Columns, DocKey, Document, Filter, Matching, Query};
use std::{path::PathBuf, time::Duration};

/// Changes measured of each kind.
const CHANGES: u64 = 200;
/// Every so many lines of the products one is written anew, so that all sets have a part.
const STEP: usize = 300;
/// Postings that one step of a merge takes.
const BUDGET: usize = 1_000;
/// Above every price there is.
const PRICE: i64 = 1_000_000_000_000;

/// What the changes came to.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) ops: u64,
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) by_wall: Latencies,
    pub(super) by_cpu: Latencies,
}

impl Changed {
    fn add<T>(&mut self, spent: Spent<T>) -> T {
        self.ops += 1;
        self.wall += spent.wall;
        self.cpu += spent.cpu;
        self.by_wall.record(spent.wall);
        self.by_cpu.record(spent.cpu);
        spent.value
    }
}

fn sees(shop: &Shop, query: &Query, key: DocKey) -> Result<(), BenchError> {
    let hits = shop.index.search(query, None).map_err(BenchError::other)?.hits;
    if hits.len() == 1 && hits[0].key == key {
        Ok(())
    } else {
        Err(BenchError::other(format!("a search does not see the change of {key}")))
    }
}

/// Prices, each put back afterwards.
pub(super) fn prices(shop: &mut Shop) -> Result<Changed, BenchError> {
    let mut changed = Changed::default();
    let documents = shop.known.len() as u64;
    for number in 0..CHANGES.min(documents) {
        let key = DocKey(number * 7_919 % documents);
        let before = shop.index.columns(key).ok_or_else(|| BenchError::other(format!("no document {key}")))?;
        let price = PRICE + number as i64;
        let after = Columns { price: Some(price), ..before };
        changed.add(clock::spent(|| shop.index.set_columns(key, after))).map_err(BenchError::other)?;
        let filters = vec![Filter::Price { min: Some(price), max: Some(price) }];
        sees(shop, &Query { filters, limit: 2, ..Query::default() }, key)?;
        shop.index.set_columns(key, before).map_err(BenchError::other)?;
    }
    Ok(changed)
}

/// New products, like those that are there, each with a word of its own; all taken out again.
pub(super) fn products_anew(shop: &mut Shop, paths: &[PathBuf]) -> Result<Changed, BenchError> {
    let mut changed = Changed::default();
    let documents = shop.known.len() as u64;
    let some = products(paths).step_by(STEP).take(CHANGES as usize);
    let some: Vec<Document> = some.map(|line| line.map(|line| Product::of(line).into_document())).collect::<Result<_, _>>()?;
    let count = some.len() as u64;
    for (number, mut document) in (0..).zip(some) {
        let word = word(number);
        document.key = DocKey(documents + number);
        document.title = format!("{} {word}", document.title);
        let key = document.key;
        changed.add(clock::spent(|| shop.index.upsert(&document))).map_err(BenchError::other)?;
        sees(shop, &Query { text: Some(word), matching: Matching::All, limit: 2, ..Query::default() }, key)?;
        changed.cpu += clock::spent(|| while shop.index.maintain(BUDGET) {}).cpu;
    }
    for key in documents..documents + count {
        shop.index.remove(DocKey(key));
    }
    while shop.index.maintain(BUDGET) {}
    Ok(changed)
}

/// Letters that no product has in this order.
fn word(number: u64) -> String {
    let letter = |part: u64| char::from(b'a' + (part % 26) as u8);
    format!("qxzv{}{}{}kj", letter(number / 676), letter(number / 26), letter(number))
}

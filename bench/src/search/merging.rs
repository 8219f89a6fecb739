//! Question: what does a search take while the index merges in the background?
//!
//! The engine lets a shard merge a step at a time, between requests; a search that comes in the midst of a step waits for the rest of it. Here each one waits for a whole
//! step, which is the worst: some products are written, a step of merging is made, a query is asked, and the two together are what it took. A quiet run of the same
//! queries is `default`.

use super::{
    clock::{self, Spent},
    lines::products,
    modes::Shop,
    passes::Passed,
    product::Product,
};
use crate::server::BenchError;
use search_index::{DocKey, Document, Query};
use std::{hint::black_box, path::PathBuf};

/// Products written before each query: as many as searches, of which a shard with hundreds of both a second is far.
const WRITES: usize = 1;
/// Postings that one step of a merge takes: the engine's.
const STEP: usize = 300;

/// Runs the queries; the products are those of the files once more, and taken out again.
pub(super) fn run(shop: &mut Shop, queries: &[Query], passes: u32, paths: &[PathBuf]) -> Result<Passed, BenchError> {
    let documents = shop.known.len() as u64;
    let again: Vec<Document> =
        products(paths).take(10_000).map(|line| line.map(|line| Product::of(line).into_document())).collect::<Result<_, _>>()?;
    let mut keys = documents..;
    let mut more = again.iter().cycle();
    let (mut passed, mut merged) = (Passed::default(), 0);
    for _ in 0..passes {
        for query in queries {
            for (document, key) in more.by_ref().zip(keys.by_ref()).take(WRITES) {
                shop.index.upsert(&Document { key: DocKey(key), ..document.clone() }).map_err(BenchError::other)?;
            }
            let step = clock::spent(|| shop.index.maintain(STEP));
            merged += u64::from(step.value);
            let Spent { value, wall, cpu } = clock::spent(|| shop.search(query).map(black_box));
            passed.empty += usize::from(value?.hits.is_empty());
            passed.add(step.wall + wall, step.cpu + cpu);
        }
    }
    passed.best_us = passed.cpu.as_secs_f64() * 1e6 / passed.ops.max(1) as f64;
    for key in documents..documents + passed.ops * WRITES as u64 {
        shop.index.remove(DocKey(key));
    }
    while shop.index.maintain(STEP) {}
    if 100 * merged < passed.ops {
        return Err(BenchError::other(format!("of {} searches {merged} met a merge: too few to say anything", passed.ops)));
    }
    Ok(passed)
}

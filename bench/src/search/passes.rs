//! Queries in a closed loop on one thread, several passes over all of them, each query timed by the wall and by the thread's time on a core.
//!
//! Path: prepared queries → one pass to warm up, in which empty answers are counted → passes → [`Passed`]. The clocks cost about half a microsecond a query, which counts.

use super::{
    clock::{self, Spent},
    modes::Shop,
};
use crate::server::BenchError;
use bench::report::Latencies;
use search_index::Query;
use std::{hint::black_box, time::Duration};

/// What the passes came to.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) ops: u64,
    pub(super) empty: usize,
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) by_wall: Latencies,
    pub(super) by_cpu: Latencies,
    /// Mean over the queries of each one's least time on a core: what is left of it without the neighbours.
    pub(super) best_us: f64,
}

impl Passed {
    pub(super) fn add(&mut self, wall: Duration, cpu: Duration) {
        self.ops += 1;
        self.wall += wall;
        self.cpu += cpu;
        self.by_wall.record(wall);
        self.by_cpu.record(cpu);
    }
}

pub(super) fn run(shop: &Shop, queries: &[Query], passes: u32) -> Result<Passed, BenchError> {
    let mut empty = 0;
    for query in queries {
        empty += usize::from(shop.search(query)?.hits.is_empty());
    }
    let mut passed = Passed { empty, ..Passed::default() };
    let mut best = vec![Duration::MAX; queries.len()];
    for _ in 0..passes {
        for (query, best) in queries.iter().zip(&mut best) {
            let Spent { value, wall, cpu } = clock::spent(|| shop.search(query).map(black_box));
            value?;
            passed.add(wall, cpu);
            *best = cpu.min(*best);
        }
    }
    passed.best_us = best.iter().sum::<Duration>().as_secs_f64() * 1e6 / best.len().max(1) as f64;
    Ok(passed)
}

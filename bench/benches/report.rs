//! Question: what does counting one latency cost the load, so that it does not measure itself? Report ns per record.

use bench::report::Latencies;
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Duration};

fn record(c: &mut Criterion) {
    let mut latencies = Latencies::default();
    let mut us = 1;
    c.bench_function("report/record", |b| {
        b.iter(|| {
            us = us * 7 % 100_003 + 1;
            latencies.record(Duration::from_micros(black_box(us)));
        });
    });
}

criterion_group!(benches, record);
criterion_main!(benches);

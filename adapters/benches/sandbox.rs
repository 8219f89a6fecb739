//! Question: how many payments a second does the sandbox's journal carry, and what does waiting together for one `fdatasync` gain?
//!
//! Sketch: alone a payment costs one write and one sync of the disk, some 100 µs to 10 ms; `callers` that wait at once share it, so
//! payments a second grow with them until serialising (about 1 µs each) or the queue's hand-over is the limit.

use adapters::{PaymentAdapter, sandbox::Sandbox};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use tokio::{task::JoinSet, time::Instant};
use wire::{Currency, EffectOutcome, Money};

fn authorise(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let amount = Money { amount: 1_999, currency: Currency::USD };
    let mut group = c.benchmark_group("sandbox/authorise");
    let mut payments = 0u64;
    for callers in [1u64, 16, 256] {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Sandbox::open(folder.path()).expect("opens");
        group.throughput(Throughput::Elements(callers));
        group.bench_function(BenchmarkId::new("callers", callers), |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let mut calls = JoinSet::new();
                    for _ in 0..callers {
                        payments += 1;
                        let (sandbox, reference) = (sandbox.clone(), format!("pay_{payments}"));
                        calls.spawn(async move {
                            let deadline = Instant::now() + Duration::from_secs(30);
                            sandbox.authorise(&reference, "pm_card_visa", amount, deadline).await
                        });
                    }
                    let outcomes = calls.join_all().await;
                    assert!(outcomes.iter().all(|outcome| *outcome == EffectOutcome::Succeeded));
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, authorise);
criterion_main!(benches);

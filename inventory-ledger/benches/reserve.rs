//! How fast one core reserves stock, without log and network.
//!
//! Sketch before the measurement: a basket touches three rows (index and row, two misses of memory each, partly overlapped),
//! the index of holds twice, and the ordered map of expiries twice; nothing is allocated but the answer and, now and then,
//! growth. Well under two microseconds for hold and commit together is expected, and no difference for a hot SKU except
//! that its line is in the cache.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inventory_ledger::{HoldId, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Sku, UNITS_MAX, Units};

const SKUS: u64 = 100_000;
const PLACE: Location = Location(1);
const TTL_MS: u64 = 15 * 60 * 1_000;
const BASKETS: usize = 1 << 16;
const SEED: u64 = 0x5eed;

fn stocked() -> Ledger {
    let mut ledger = Ledger::new(Limits { holds_max: u32::MAX, ..Limits::default() });
    for sku in 0..SKUS {
        let id = MovementId(u128::from(sku));
        ledger.open_row(Millis(0), id, Sku(u128::from(sku)), PLACE, UNITS_MAX).expect("the limits have room for all SKUs");
    }
    ledger.drain_changes().for_each(drop);
    ledger
}

/// Baskets of three lines of one unit. Hot: the first line is always SKU 0.
fn baskets(hot: bool) -> Vec<[Line; 3]> {
    let mut state = SEED;
    let mut sku = || {
        // xorshift64 (Marsaglia 2003): spread is all that is asked of it
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Sku(u128::from(state % SKUS))
    };
    let line = |sku| Line { sku, location: PLACE, quantity: Units(1) };
    let mut basket = || [line(if hot { Sku(0) } else { sku() }), line(sku()), line(sku())];
    (0..BASKETS).map(|_| basket()).collect()
}

/// Question: how many three-line baskets a second can one core hold and commit over 100,000 SKUs, and does a SKU that is in
/// every basket make it slower? Each basket is one hold, one commit and one drain of the changed rows; it is then forgotten
/// and swept a day later, so the table of holds stays at the size of one round of baskets. Report baskets per second.
fn hold_and_commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger/hold+commit");
    group.throughput(Throughput::Elements(1));
    for (name, hot) in [("uniform", false), ("hot", true)] {
        let baskets = baskets(hot);
        let mut ledger = stocked();
        let (mut next, mut now) = (0_u64, 0_u64);
        group.bench_function(BenchmarkId::new("3 lines", name), |b| {
            b.iter(|| {
                let id = HoldId(u128::from(next));
                let basket = &baskets[next as usize % BASKETS];
                now += 2_000; // a day is 43,200 baskets
                let held = ledger.hold(Millis(now), id, Owner(1), black_box(basket), TTL_MS);
                assert!(held.is_ok_and(|held| held.remaining.len() == 3));
                assert!(ledger.commit(Millis(now), id).is_ok());
                assert_eq!(ledger.drain_changes().map(black_box).count(), distinct(basket));
                assert!(ledger.forget(Millis(now), id).is_ok());
                black_box(ledger.sweep(Millis(now), 1));
                next += 1;
            });
        });
        ledger.check().expect("the books agree after the run");
    }
    group.finish();
}

fn distinct(basket: &[Line; 3]) -> usize {
    let [a, b, c] = basket.map(|line| line.sku);
    1 + usize::from(b != a) + usize::from(c != a && c != b)
}

criterion_group!(benches, hold_and_commit);
criterion_main!(benches);

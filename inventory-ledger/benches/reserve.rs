//! How fast one core reserves stock, without log and network.
//!
//! Sketch before the measurement, for three lines over 100,000 SKUs (7 MB of rows and buckets: the last-level cache) on a core with
//! 1 MiB of its own cache, 15 ns to the last level and 100 to 200 to memory. A reservation finds three rows (bucket, row: two
//! misses each, the three pairs overlapped), stores into them, looks an id up (one entry, absent), writes a record of 84 bytes
//! beside the one before, links it behind the last of its millisecond and inserts the id (the same entry). Nothing is allocated
//! but a chunk now and then. Into an empty table that is some 10 short misses and 100 ns of work: 200 to 300 ns. With a million
//! live holds (95 MB) the entry of each id, the oldest record and its neighbour come from memory: five long misses of which some
//! overlap, 500 to 800 ns more for the pair of a reservation and a release. A hot SKU saves two of the misses. An expiry is two
//! dealings and an end, each with a record that was made beside the last: 300 ns.
//!
//! Reached on a busy machine (the README has the conditions): 400 to 640 ns into an empty table, so the walk to a row costs more
//! than sketched; 1.2 to 1.9 µs for the pair with a million live, of which a third is the one miss of an id's entry; 140 to 270 ns an
//! expiry.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inventory_ledger::{HoldId, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Sku, UNITS_MAX, Units};

const SKUS: u64 = 100_000;
const PLACE: Location = Location(1);
const TTL_MS: u64 = 15 * 60 * 1_000;
const BASKETS: usize = 1 << 16;
const SEED: u64 = 0x5eed;
/// Holds alive in the benchmarks of a full table, and reservations of one round into an empty one.
const LIVE: u64 = 1_000_000;

fn stocked() -> Ledger {
    let mut ledger = Ledger::new(Limits { holds_max: u32::MAX, ..Limits::default() });
    for sku in 0..SKUS {
        let id = MovementId(u128::from(sku));
        ledger.open_row(Millis(0), id, Sku(u128::from(sku)), PLACE, UNITS_MAX).expect("the limits have room for all SKUs");
        ledger.drain_changes().for_each(drop);
    }
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

/// Ids as clients make them: an instant, and bits that look random.
fn id(n: u64, at: Millis) -> HoldId {
    HoldId::timed(at, u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 16 | u128::from(n & 0xffff))
}

/// A thousand reservations to the millisecond.
fn instant(n: u64) -> Millis {
    Millis(1_000_000 + n / 1_000)
}

fn reserve(ledger: &mut Ledger, n: u64, basket: &[Line; 3]) {
    let now = instant(n);
    let held = ledger.hold(now, &HoldRequest::new(id(n, now), Owner(u128::from(n)), black_box(basket), TTL_MS).timed());
    assert!(held.is_ok_and(|held| held.lines.len() == 3));
    ledger.drain_changes().for_each(|change| {
        black_box(change.after.available);
    });
}

fn release(ledger: &mut Ledger, now: Millis, n: u64) {
    assert!(ledger.release_timed(now, id(n, instant(n))).is_ok());
    ledger.drain_changes().for_each(|change| {
        black_box(change.after.available);
    });
    ledger.sweep(now, 1);
}

/// Time that this thread had a core, as Linux counts it: what else the machine does shows less than on a clock.
struct CoreTime;

impl CoreTime {
    fn now() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells each thread its time");
        let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("the first number is the time on a core"))
    }
}

impl Measurement for CoreTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, began: Duration) -> Duration {
        Self::now() - began
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        const { &WallTime }.formatter()
    }
}

/// Question: how many three-line reservations a second does one core make, ids and expiries included, beginning with no hold, and
/// does a SKU that is in every basket make it slower? Rounds of a million, each into a new ledger. Report reservations per second.
fn into_an_empty_table(c: &mut Criterion<CoreTime>) {
    let mut group = c.benchmark_group("ledger/reserve into an empty table");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for (name, hot) in [("uniform", false), ("hot", true)] {
        let baskets = baskets(hot);
        group.bench_function(BenchmarkId::new("3 lines", name), |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                let mut left = times;
                while left > 0 {
                    let mut ledger = stocked();
                    let round = left.min(LIVE);
                    let began = CoreTime::now();
                    (0..round).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
                    spent += CoreTime::now() - began;
                    left -= round;
                }
                spent
            });
        });
    }
    group.finish();
}

/// Question: with a million live holds, how many pairs a second of a reservation and the release of the oldest hold? The released
/// are remembered for eleven minutes and then swept, one with each pair. Report pairs per second, and what a hold takes.
fn with_a_million_live(c: &mut Criterion<CoreTime>) {
    let mut group = c.benchmark_group("ledger/reserve and release the oldest");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for (name, hot) in [("uniform", false), ("hot", true)] {
        let baskets = baskets(hot);
        let mut ledger = stocked();
        (0..LIVE).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
        let kept = ledger.footprint();
        let per_hold = |bytes: usize| bytes as f64 / LIVE as f64;
        println!(
            "{} live holds: {:.1} B a record, {:.1} B of index; {:.1} B a row",
            LIVE,
            per_hold(kept.holds),
            per_hold(kept.ids),
            kept.rows as f64 / SKUS as f64
        );
        let mut next = LIVE;
        group.bench_function(BenchmarkId::new("1 M live", name), |b| {
            b.iter(|| {
                reserve(&mut ledger, next, &baskets[next as usize % BASKETS]);
                release(&mut ledger, instant(next), next - LIVE);
                next += 1;
            });
        });
        let (kept, usage) = (ledger.footprint(), ledger.usage());
        let ended = f64::from(usage.holds - usage.live);
        println!(
            "{ended} remembered: {:.1} B each; {:.1} B of index an id",
            kept.remembered as f64 / ended,
            kept.ids as f64 / f64::from(usage.holds)
        );
        ledger.check().expect("the books agree after the run");
    }
    group.finish();
}

/// Question: the same as above for a caller that has its operations at hand in batches of 32 pairs and warms the cache for each.
/// Report pairs per second.
fn in_batches(c: &mut Criterion<CoreTime>) {
    const BATCH: u64 = 32;
    let mut group = c.benchmark_group("ledger/reserve and release the oldest, in batches");
    group.throughput(Throughput::Elements(BATCH)).sample_size(10);
    let baskets = baskets(false);
    let mut ledger = stocked();
    (0..LIVE).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
    let mut next = LIVE;
    group.bench_function(BenchmarkId::new("1 M live", "uniform"), |b| {
        b.iter(|| {
            let new = (next..next + BATCH).map(|n| (id(n, instant(n)), &baskets[n as usize % BASKETS][..]));
            let old = (next - LIVE..next - LIVE + BATCH).map(|n| (id(n, instant(n)), &[][..]));
            ledger.warm(new.chain(old));
            for _ in 0..BATCH {
                reserve(&mut ledger, next, &baskets[next as usize % BASKETS]);
                release(&mut ledger, instant(next), next - LIVE);
                next += 1;
            }
        });
    });
    group.finish();
}

/// Question: how many holds a second end by themselves, in steps of 256, a thousand to the millisecond and all of fifteen minutes?
/// Report holds per second; the steps' own bound is `EXPIRE_MOVES_PER_END`.
fn expiry(c: &mut Criterion<CoreTime>) {
    const HOLDS: u64 = 250_000;
    let mut group = c.benchmark_group("ledger/expire");
    group.throughput(Throughput::Elements(HOLDS)).sample_size(10);
    let baskets = baskets(false);
    let held = || {
        let mut ledger = stocked();
        (0..HOLDS).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
        ledger
    };
    let end = instant(HOLDS).after(TTL_MS);
    group.bench_function("steps of 256", |b| {
        b.iter_batched_ref(
            held,
            |ledger| {
                let mut ended = 0;
                while ended < HOLDS {
                    ended += black_box(ledger.expire(end, 256)).ids.len() as u64;
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Question: what do readers on another core cost the writer? A million live holds as above, while a thread reads availability and
/// whole rows of random SKUs as fast as it can. Compare with the same benchmark without it.
fn beside_a_reader(c: &mut Criterion<CoreTime>) {
    let mut group = c.benchmark_group("ledger/beside a reader");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let baskets = baskets(false);
    let mut ledger = stocked();
    (0..LIVE).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
    let mut next = LIVE;
    for (name, reading) in [("no reader", false), ("a reader", true)] {
        let (reader, stop) = (ledger.reader(), AtomicBool::new(!reading));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for line in baskets.iter().flatten().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    black_box((reader.available(line.sku, PLACE), reader.row(line.sku, PLACE)));
                }
            });
            group.bench_function(name, |b| {
                b.iter(|| {
                    reserve(&mut ledger, next, &baskets[next as usize % BASKETS]);
                    release(&mut ledger, instant(next), next - LIVE);
                    next += 1;
                });
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    group.finish();
}

/// Question: how much slower are pairs while a snapshot is under way, and how long is a step of it? A million live holds as above, a step
/// of 1,000 items after every 1,000 pairs, one snapshot after the other. Report the pairs' time without the steps (compare with those above),
/// and the time of steps.
fn during_a_snapshot(c: &mut Criterion<CoreTime>) {
    const STEP: u64 = 1_000;
    let mut group = c.benchmark_group("ledger/during a snapshot");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let baskets = baskets(false);
    let mut ledger = stocked();
    (0..LIVE).for_each(|n| reserve(&mut ledger, n, &baskets[n as usize % BASKETS]));
    let mut next = LIVE;
    let (mut items, mut steps) = (0_u64, Vec::new());
    group.bench_function(BenchmarkId::new("1 M live", "uniform"), |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for round in (0..times).step_by(STEP as usize) {
                let began = CoreTime::now();
                let count = |item| {
                    black_box(item);
                    items += 1;
                };
                if !ledger.frozen(STEP as usize, &mut { count }) {
                    ledger.freeze();
                }
                let stepped = CoreTime::now();
                steps.push(stepped - began);
                for _ in 0..STEP.min(times - round) {
                    reserve(&mut ledger, next, &baskets[next as usize % BASKETS]);
                    release(&mut ledger, instant(next), next - LIVE);
                    next += 1;
                }
                spent += CoreTime::now() - stepped;
            }
            spent
        });
    });
    group.finish();
    if steps.is_empty() {
        return; // not asked for
    }
    steps.sort_unstable();
    let at = |part: f64| steps[(steps.len() as f64 * part) as usize];
    println!("{items} items in {} steps: half of them took {:?}, all but a hundredth {:?} or less", steps.len(), at(0.5), at(0.99));
}

/// Question: how many three-line baskets a second can one core hold and commit over 100,000 SKUs? Each is one hold, one commit and
/// one drain of the changed rows; it is then forgotten and swept a day later. Report baskets per second.
fn hold_and_commit(c: &mut Criterion<CoreTime>) {
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
                let held = ledger.hold(Millis(now), &HoldRequest::new(id, Owner(1), black_box(basket), TTL_MS));
                assert!(held.is_ok_and(|held| held.lines.len() == 3));
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

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CoreTime);
    targets = into_an_empty_table, with_a_million_live, in_batches, expiry, beside_a_reader, during_a_snapshot, hold_and_commit
}
criterion_main!(benches);

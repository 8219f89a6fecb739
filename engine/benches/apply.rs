//! Question: how many stock commands does one partition apply a second, on one core and without the log around it?
//!
//! Sketch: a command is a hash look-up of the row and of its id (two cache misses each), one insertion into the book of holds or
//! movements, and an outcome of 48 bytes: a fraction of a microsecond. Decoding the record (bytecheck and one copy) is counted apart.
//! Entries are built before the clock starts; every answer is checked to be a success.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::{
    partition::{Changes, Partition},
    record::{
        self,
        v1::{Command, Entry, HoldLine, StockChange},
    },
};
use std::hint::black_box;
use wire::{HoldId, Millis, OrderId, PartitionId, RawId, SkuId};

const SKUS: u128 = 10_000;
const COMMANDS: u128 = 10_000;
const START: Millis = Millis(1_764_000_000_000);

fn sku(number: u128) -> SkuId {
    SkuId(RawId(number % SKUS))
}

/// A partition with plenty of every SKU at `main`.
fn stocked() -> Partition {
    let mut partition = Partition::new(PartitionId(0), 0, 64);
    let open = |n| Command::OpenStock { id: n, sku: sku(n), location: "main".to_owned(), on_hand: 1_000_000 };
    run(&mut partition, &(0..SKUS).map(open).map(Entry::of).collect::<Vec<_>>());
    partition
}

fn run(partition: &mut Partition, entries: &[Entry]) {
    let mut changes = Changes::default();
    for entry in entries {
        let applied = partition.apply(START, black_box(entry), &mut changes);
        assert!(applied.outcome.is_ok(), "{entry:?} gave {:?}", applied.outcome);
        changes.clear();
    }
}

fn adjust(n: u128) -> Command {
    let change = StockChange::Delta(1);
    Command::AdjustStock { id: SKUS + n, sku: sku(n * 7_919), location: "main".to_owned(), change, reason: "count".to_owned() }
}

fn hold(n: u128, lines: u128) -> Command {
    let line = |at| HoldLine { sku: sku(n * 7_919 + at * 31), quantity: 1 };
    let (hold, order) = (HoldId(RawId(n)), OrderId(RawId(n)));
    Command::Hold { hold, order, location: "main".to_owned(), lines: (0..lines).map(line).collect(), ttl_ms: 900_000 }
}

/// What a location is asked for by one order that is paid: `hold`, `pin`, `commit`.
fn order(n: u128) -> [Command; 3] {
    let hold_id = HoldId(RawId(n));
    [hold(n, 3), Command::Pin { hold: hold_id }, Command::CommitHold { hold: hold_id }]
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("partition/apply");
    let cases: [(&str, Vec<Command>); 4] = [
        ("adjust", (0..COMMANDS).map(adjust).collect()),
        ("hold/1 line", (0..COMMANDS).map(|n| hold(n, 1)).collect()),
        ("hold/3 lines", (0..COMMANDS).map(|n| hold(n, 3)).collect()),
        ("hold, pin, commit/3 lines", (0..COMMANDS / 3).flat_map(order).collect()),
    ];
    for (name, commands) in cases {
        let entries: Vec<Entry> = commands.into_iter().map(Entry::of).collect();
        group.throughput(Throughput::Elements(entries.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_batched_ref(stocked, |partition| run(partition, &entries), BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("record/decode");
    for (name, command) in [("adjust", adjust(1)), ("hold/3 lines", hold(1, 3)), ("pin", Command::Pin { hold: HoldId(RawId(1)) })] {
        let mut bytes = Vec::new();
        record::encode(&Entry::of(command), &mut bytes).expect("a small entry");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| record::decode(black_box(&bytes)).expect("encoded above")));
    }
    group.finish();
}

criterion_group!(benches, apply, decode);
criterion_main!(benches);

//! Question: how long does one step of a snapshot hold a shard up, and how fast does a partition come back?
//!
//! Sketch: a product of 1 KiB is twenty small pieces of memory, so writing it is twenty cache misses and one pass over its bytes, some 3 µs
//! cold; 64 KiB are sixty of them. Reading one back is as many allocations, a check of every length, and three insertions: 3 to 4 µs.
//! A stock row with its movement is 200 bytes in two items, a fraction of a microsecond each way.
//!
//! `cargo bench -p engine --bench snapshot -- 1000000` takes so many products, each with a stock row; 20,000 without a number. Between the
//! steps commands are applied to what is still to be walked, so that old forms are kept. The restored partition must have the digest of
//! the freeze. The allocator is the program's: half of a restore is allocations.

use engine::{
    partition::{Changes, Partition, Restore},
    record::v1::{self, Command, Entry},
};
use std::time::{Duration, Instant};
use wire::{Currency, Millis, Money, PartitionId, RawId, SkuId};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEP_BYTES: usize = 64 << 10;
const START: Millis = Millis(1_764_000_000_000);
const PARTITION: (PartitionId, u32, u16) = (PartitionId(0), 0, 64);

fn product(number: u64) -> v1::Product {
    let text = |what: &str| format!("{what} {number}");
    let attribute = |name: &str, value: &str| v1::Attribute {
        name: name.to_owned(),
        value: v1::AttributeValue::Keyword(format!("{value} {}", number % 97)),
    };
    let variant = |size: &str| v1::Variant {
        key: format!("{number}-{size}"),
        options: vec![("size".to_owned(), size.to_owned())],
        prices: vec![Money { amount: 1_000 + (number % 50_000) as i64, currency: Currency::USD }],
        barcodes: vec![format!("40{number:011}")],
    };
    v1::Product {
        key: text("product"),
        title: text("Ink cartridge, high yield, for office printers"),
        description: text("Prints four thousand pages at five percent coverage, dries fast and keeps its colour. ").repeat(3),
        brand: Some(format!("Brand {}", number % 500)),
        category: ["office", "office/printers", "office/printers/ink"]
            .iter()
            .zip(1..)
            .map(|(key, id)| v1::CategoryNode { id: wire::CategoryId(RawId(id)), key: (*key).to_owned() })
            .collect(),
        attributes: vec![
            attribute("colour", "cyan"),
            attribute("yield", "pages"),
            attribute("type", "original"),
            attribute("fits", "model"),
        ],
        images: vec![v1::Image { url: text("https://img.example/ink/"), alt: String::new() }],
        variants: vec![variant("M"), variant("XL")],
        stock: Vec::new(),
        popularity: 0,
        released: Some(20_000),
        status: v1::ProductStatus::Active,
    }
}

fn apply(partition: &mut Partition, command: Command, changes: &mut Changes) {
    let applied = partition.apply(START, &Entry::of(command), changes);
    assert!(applied.outcome.is_ok(), "{:?}", applied.outcome);
}

/// A partition of so many products and stock rows, with nothing left to be asked.
fn filled(products: u64) -> Partition {
    let (id, epoch, partitions) = PARTITION;
    let mut partition = Partition::new(id, epoch, partitions);
    let mut changes = Changes::default();
    for number in 0..products {
        apply(&mut partition, Command::PutProduct(Box::new(product(number))), &mut changes);
        let sku = SkuId(RawId(number.into()));
        apply(&mut partition, Command::OpenStock { id: number.into(), sku, location: "main".to_owned(), on_hand: 100 }, &mut changes);
        for effect in std::mem::take(&mut changes.effects) {
            apply(&mut partition, Command::EffectAnswered { effect, answer: v1::PeerOutcome::Done }, &mut changes);
        }
        changes.clear();
    }
    partition
}

fn of_sorted(times: &[Duration], share: f64) -> Duration {
    times[((times.len() - 1) as f64 * share) as usize]
}

fn rates(what: &str, items: u64, bytes: usize, took: Duration) {
    let (mb, seconds) = (bytes as f64 / 1e6, took.as_secs_f64());
    println!("{what}: {seconds:.3} s, {:.0} items/s, {:.0} MB/s", items as f64 / seconds, mb / seconds);
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
fn main() {
    let products = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let mut partition = filled(products);
    let digest = partition.digest();

    let began = Instant::now();
    partition.freeze();
    println!("{products} products and stock rows; freeze: {:?}", began.elapsed());
    let (mut chunks, mut steps, mut more, mut changes) = (Vec::new(), Vec::new(), true, Changes::default());
    while more {
        let mut chunk = Vec::with_capacity(2 * STEP_BYTES);
        let began = Instant::now();
        more = partition.snapshot_step(&mut chunk, STEP_BYTES);
        steps.push(began.elapsed());
        // One of the last products changes, and so keeps its old form.
        let number = products - 1 - (steps.len() as u64 % (products / 4).max(1));
        let changed = v1::Product { popularity: steps.len() as i64, ..product(number) };
        apply(&mut partition, Command::PutProduct(Box::new(changed)), &mut changes);
        changes.clear();
        chunks.push(chunk);
    }
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let items: u64 = chunks.iter().map(|chunk| items_of(chunk)).sum();
    println!("{items} items, {:.0} MB, in {} steps of {} KiB", bytes as f64 / 1e6, steps.len(), STEP_BYTES >> 10);
    rates("written", items, bytes, steps.iter().sum());
    steps.sort_unstable();
    println!("a step: median {:?}, p99 {:?}, longest {:?}", of_sorted(&steps, 0.5), of_sorted(&steps, 0.99), of_sorted(&steps, 1.0));

    // The first restore also pays for memory that the process never had; the second is given that of the first.
    for which in ["restored", "restored again"] {
        let (id, epoch, partitions) = PARTITION;
        let began = Instant::now();
        let mut restore = Restore::new(id, epoch, partitions);
        for chunk in &chunks {
            restore.put(chunk).expect("written above");
        }
        let put = began.elapsed();
        let restored = restore.finish().expect("written above");
        rates(which, items, bytes, began.elapsed());
        println!("of that checks at the end: {:?}", began.elapsed() - put);
        assert_eq!(restored.digest(), digest, "what was there at the freeze");
    }
}

/// Counts items by their headers.
fn items_of(mut chunk: &[u8]) -> u64 {
    let mut items = 0;
    while let Some((header, after)) = chunk.split_first_chunk::<6>() {
        let body = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        chunk = &after[body..];
        items += 1;
    }
    items
}

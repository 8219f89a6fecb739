//! Folders whose log is cut behind snapshots: they stay small, open with any number of shards, survive a kill at any moment, and say what is damaged.

mod common;

use common::{Acknowledged, assert_carts, call, chain, child, config, create_cart, create_carts, open, under_both_drivers, verify_sound};
use engine::{Config, Engine, Report, Shutdown, log::SPARE_SEGMENTS_MAX};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use wire::{
    Body, Currency, HoldId, Money, Op, OrderId, Position, Principal, ProductInput, ProductStatus, RawId, Request, Reservation, ReserveLine,
    Role, SkuId, SkuRef, VariantInput,
};

under_both_drivers! {
    a_folder_stays_small_and_opens_with_any_number_of_shards
    an_orderly_end_while_reservations_fall_back_is_whole
    a_damaged_snapshot_is_passed_over_or_told
    a_damaged_event_file_is_told_and_stops_nothing
}

/// Segments of a log that is cut in these tests.
const SEGMENTS: u64 = 4;
const SEGMENT_BYTES: u64 = 1 << 20;
/// Few, so that all of them are snapshotted soon.
const PARTITIONS: u16 = 8;

/// Logs as small as can be.
fn small(data: &Path, shards: u16) -> Config {
    Config { log_bytes_max: SEGMENTS * SEGMENT_BYTES, segment_bytes: SEGMENT_BYTES, partitions: Some(PARTITIONS), ..config(data, shards) }
}

fn open_small(data: &Path, shards: u16) -> Engine {
    Engine::open(small(data, shards)).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// A product of 64 KB.
fn put(engine: &Engine, number: u32) {
    let key = format!("sku-{number:03}");
    let product = ProductInput {
        key: key.clone(),
        title: "Garden chair".to_owned(),
        description: "so soft ".repeat(8_000),
        brand: None,
        category: None,
        attributes: Vec::new(),
        images: Vec::new(),
        variants: vec![VariantInput {
            key,
            options: Vec::new(),
            prices: vec![Money { amount: 1_000, currency: Currency::USD }],
            barcodes: Vec::new(),
        }],
        stock: Vec::new(),
        popularity: i64::from(number),
        margin: None,
        released: None,
        status: ProductStatus::Active,
    };
    let request = Request { principal: Principal::Staff { role: Role::Admin }, ..Request::system(Op::PutProduct(Box::new(product))) };
    let answer = call(engine, request).result;
    assert!(matches!(answer, Ok(Body::Upserted { .. })), "{answer:?}");
}

/// All files below `folder`, with their lengths.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            // What is being renamed or removed may be gone.
            match path.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(meta) => found.push((path, meta.len())),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

fn digests(report: &Report) -> Vec<u64> {
    report.partitions.iter().map(|partition| partition.digest).collect()
}

/// Writes twice what a log may have, and carts that must be there for ever.
fn fill(engine: &Engine, shards: u64) -> Vec<Acknowledged> {
    let carts = create_carts(engine, 64);
    for number in 0..(shards * SEGMENTS * 16 * 2) {
        put(engine, u32::try_from(number % 50).expect("few"));
    }
    carts
}

/// Waits until the logs were cut, and have no more files than `shards` may have: what is in use, the segment to be next, and those that are kept to be used again. While
/// snapshots are made there may be more.
fn soon_small(data: &Path, shards: usize) {
    let most = shards * (usize::try_from(SEGMENTS).expect("few") + 2 + SPARE_SEGMENTS_MAX);
    for _ in 0..600 {
        let logs = files(&data.join("log"));
        if logs.len() <= most && logs.iter().all(|(path, _)| !path.ends_with("segment-00000001.wal")) {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a test's own thread")]
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("more than {most}: {:?}", files(&data.join("log")));
}

fn a_folder_stays_small_and_opens_with_any_number_of_shards() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let engine = open_small(&data, 2);
    let mut carts = fill(&engine, 2);
    soon_small(&data, 2);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    let snapshots = files(&data.join("snapshots"));
    assert!(snapshots.iter().all(|(path, _)| path.extension().is_some_and(|end| end == "snap")), "{snapshots:?}");
    assert_eq!(snapshots.len(), usize::from(PARTITIONS), "one for each partition: {snapshots:?}");

    let before = verify_sound(&data);
    assert_eq!(before.snapshots, u64::from(PARTITIONS));
    for shards in [2, 1, 3, 3] {
        let engine = open_small(&data, shards);
        assert_eq!(engine.opened().snapshots, usize::from(PARTITIONS));
        assert_carts(&engine, &carts);
        assert_eq!(engine.shutdown(), Shutdown::Drained);
        assert_eq!(digests(&verify_sound(&data)), digests(&before), "with {shards} shards");
        assert_eq!(generations(&data), 1, "older logs are let go by the first start after an orderly end");
    }
    // And it goes on being cut.
    let engine = open_small(&data, 1);
    carts.extend(fill(&engine, 1));
    soon_small(&data, 1);
    drop(engine);
    let engine = open_small(&data, 2);
    assert_carts(&engine, &carts);
    let found = call(&engine, Request::system(Op::GetAvailability(vec![SkuRef::Key("sku-007".to_owned())]))).result;
    assert!(found.is_ok(), "{found:?}");
}

/// Logs of how many generations there are.
fn generations(data: &Path) -> usize {
    std::fs::read_dir(data.join("log")).unwrap().count()
}

/// Reservations that fall back one after the other, `every` so many milliseconds, from a moment after now on.
fn reserve_for_moments(engine: &Engine, every_ms: u32) {
    let call = |op| call(engine, Request { principal: Principal::Staff { role: Role::Warehouse }, ..Request::system(op) }).result;
    let (sku, location) = (SkuId(RawId(7)), || "main".to_owned());
    let since_1970 = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let id = since_1970() << 80;
    let received = call(Op::ReceiveStock { id, location: location(), lines: vec![ReserveLine { sku, quantity: 100 }] });
    assert_eq!(received, Ok(Body::Done));
    for number in 0..40 {
        let hold = HoldId(RawId(since_1970() << 80 | u128::from(number)));
        let lines = vec![ReserveLine { sku, quantity: 1 }];
        let ttl_ms = 60 + every_ms * number;
        let reservation = Reservation { hold, owner: OrderId(RawId(9)), location: location(), lines, ttl_ms, partial: false };
        let reserved = call(Op::Reserve(reservation));
        assert!(matches!(reserved, Ok(Body::Reserved(_))), "{reserved:?}");
    }
}

fn an_orderly_end_while_reservations_fall_back_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    for round in 0..12_u16 {
        let engine = open_small(&data, 1 + round % 2);
        assert_eq!(generations(&data), 1, "in round {round}: after an orderly end the first start lets older logs go");
        reserve_for_moments(&engine, 5 + u32::from(round));
        #[expect(clippy::disallowed_methods, reason = "a test's own thread")]
        std::thread::sleep(Duration::from_millis(80));
        assert_eq!(engine.shutdown(), Shutdown::Drained);
    }
}

/// In a child: writes, and says what was acknowledged, until it is killed.
fn write_for_ever(data: &Path) {
    let engine = open_small(data, 1);
    for number in 0_u32.. {
        let cart = create_cart(&engine, u16::try_from(number % u32::from(PARTITIONS)).expect("small")).expect("a cart");
        println!("cart: {} {} {} {}", cart.cart, cart.position.epoch, cart.position.partition.0, cart.position.seq.0);
        put(&engine, number % 20);
    }
}

#[test]
fn a_kill_while_snapshots_are_made_loses_nothing() {
    if let Some(data) = child() {
        return write_for_ever(&data);
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let mut carts: Vec<Acknowledged> = Vec::new();
    let mut released = false;
    for round in 0..3_u64 {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["a_kill_while_snapshots_are_made_loses_nothing", "--exact", "--nocapture"])
            .env("EMPORION_TEST_CHILD", &data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        // So many that the log is cut on the way; the odd ones meet each kill at another step.
        let enough = usize::try_from(150 + 17 * round).expect("few");
        let first = data.join("log/00000001/shard-000/segment-00000001.wal");
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < enough || (lines.len() < 10 * enough && first.exists()) {
            lines.extend(said.next().filter(|line| line.contains("cart: ")));
        }
        child.kill().expect("it runs until then");
        child.wait().expect("it ended");
        lines.extend(said);
        for line in lines {
            let Some(said) = line.split_once("cart: ").map(|(_, said)| said) else { continue };
            let words: Vec<&str> = said.split(' ').collect();
            let [cart, epoch, partition, seq] = words[..] else { continue };
            let number = |word: &str| word.parse::<u64>().expect("a number");
            carts.push(Acknowledged {
                cart: cart.parse().expect("a cart"),
                position: Position {
                    epoch: u32::try_from(number(epoch)).expect("small"),
                    partition: wire::PartitionId(u16::try_from(number(partition)).expect("small")),
                    seq: wire::Seq(number(seq)),
                },
            });
        }
        let report = verify_sound(&data);
        released |= !first.exists();
        let engine = open_small(&data, 1);
        assert_carts(&engine, &carts);
        assert_eq!(engine.shutdown(), Shutdown::Drained);
        assert_eq!(digests(&verify_sound(&data)), digests(&report));
    }
    assert!(carts.len() > 100, "{} carts", carts.len());
    assert!(released, "the log was never cut");
}

/// Changes one byte of the file.
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

fn a_damaged_event_file_is_told_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    for run in 0..2 {
        let engine = open(&data, 1);
        create_carts(&engine, 64);
        put(&engine, run);
        assert_eq!(engine.shutdown(), Shutdown::Drained);
    }
    assert!(verify_sound(&data).events_bytes > 0);
    let path = "events/00000001/shard-000/00000001.evt";
    let bytes = std::fs::metadata(data.join(path)).unwrap().len();
    flip(&data.join(path), usize::try_from(bytes).unwrap() - 20);
    let report = engine::verify(&data).unwrap();
    assert!(!report.is_sound() && report.damage.is_empty());
    let told: Vec<String> = report.events.iter().map(|error| chain(error)).collect();
    assert!(told.len() == 1 && told[0].starts_with(path) && told[0].contains("is damaged at byte "), "{told:?}");
    assert_eq!(open(&data, 1).shutdown(), Shutdown::Drained);

    // Commands that were told, and are not in the log: the start would refuse it.
    std::fs::remove_dir_all(data.join("log")).unwrap();
    std::fs::create_dir_all(data.join("log/00000001/shard-000")).unwrap();
    let report = engine::verify(&data).unwrap();
    let told: Vec<String> = report.events.iter().map(|error| chain(error)).collect();
    assert!(told.iter().any(|told| told.contains("the event log has") && told.contains("are missing")), "{told:?}; {report:?}");
    let error = chain(&Engine::open(config(&data, 1)).unwrap_err());
    assert!(error.contains("are missing"), "{error}");
}

fn a_damaged_snapshot_is_passed_over_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let engine = open(&data, 1);
    let carts = create_carts(&engine, 128);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    let before = verify_sound(&data);

    // One whose entries the log has: it is told, and the log is used.
    let of_3 = data.join("snapshots/p-00003");
    std::fs::create_dir_all(&of_3).unwrap();
    std::fs::write(of_3.join("00000000000000000002.snap"), b"not a snapshot").unwrap();
    std::fs::write(of_3.join("00000000000000000002.snap.new"), b"left by a crash").unwrap();
    assert!(!engine::verify(&data).unwrap().is_sound(), "it is damaged all the same");
    let engine = open(&data, 1);
    assert_carts(&engine, &carts);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    assert!(!of_3.join("00000000000000000002.snap.new").exists(), "what was never finished is removed");
    std::fs::remove_file(of_3.join("00000000000000000002.snap")).unwrap();
    assert_eq!(digests(&verify_sound(&data)), digests(&before));

    // One that has more than the log.
    std::fs::write(of_3.join("00000000000000000099.snap"), b"not a snapshot").unwrap();
    let error = chain(&Engine::open(config(&data, 1)).unwrap_err());
    for says in ["p-00003/00000000000000000099.snap is damaged at byte 0", "they end at entry 2", "Restore the folder from a backup"] {
        assert!(error.contains(says), "{error}\nwanted: {says}");
    }
    std::fs::remove_file(of_3.join("00000000000000000099.snap")).unwrap();

    // With another number of shards everything is in snapshots: one that is damaged or missing cannot be made up for.
    assert_eq!(open(&data, 2).shutdown(), Shutdown::Drained);
    let whole = of_3.join("00000000000000000002.snap");
    flip(&whole, 200);
    let error = chain(&Engine::open(config(&data, 2)).unwrap_err());
    assert!(error.contains("p-00003/00000000000000000002.snap is damaged at byte 128"), "{error}");
    let report = engine::verify(&data).unwrap();
    assert!(report.damage.iter().any(|damage| damage.to_string().contains("is damaged at byte 128")), "{report:?}");
    std::fs::remove_file(&whole).unwrap();
    let error = chain(&Engine::open(config(&data, 2)).unwrap_err());
    assert!(error.contains("snapshots/p-00003 has no snapshot of partition 3"), "{error}");
}

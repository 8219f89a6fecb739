//! The shop on a disk that loses, tears and fails: whatever was acknowledged is there afterwards, and what the disk spoiled is named.
//!
//! The disk is ours ([`crate::faulty`]): what the program did not sync, a power cut drops, tears or keeps by draws. `EMPORION_KILL_ROUNDS` sets how many
//! cuts are made, `EMPORION_SEED` repeats a run's draws; each run prints its seed. `EMPORION_SELL_OUT=full` is the long form of the sell-out.

use crate::{
    api::{Api, ask, fresh_key, product},
    bad_starts::{fails, one_line},
    crashes::{checkouts_are_cut_off, every_acknowledged_write_is_there, number, random},
    feed::every_event_is_seen_once,
    process::{Folder, PATIENCE, Shop, verify},
    sell_out,
};
use serde_json::json;
use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const BLOCK: u64 = 4_096;
const SIGABRT: i32 = 6;
/// Why units are added; to be found in the log.
const REASON: &str = "found behind the shelf";
const ARGS: [&str; 4] = ["--listen", "127.0.0.1:0", "--shards", "1"];

/// The segment in use of the only shard's log, and where its batches begin (FORMAT.md section 3).
fn segment(folder: &Folder) -> (PathBuf, Vec<u64>) {
    let log = folder.data().join("log/00000001/shard-000");
    let mut segments: Vec<PathBuf> = std::fs::read_dir(&log).expect("a log").map(|entry| entry.expect("an entry").path()).collect();
    segments.sort();
    let begins = |segment: &PathBuf| -> Vec<u64> {
        let bytes = std::fs::read(segment).expect("a segment");
        let blocks = bytes.chunks(BLOCK as usize).enumerate();
        blocks.filter(|(_, block)| &block[48..56] == b"EMPBATCH").map(|(number, _)| number as u64 * BLOCK).collect()
    };
    segments
        .into_iter()
        .rev()
        .map(|path| (begins(&path), path))
        .find(|(begins, _)| !begins.is_empty())
        .map(|(a, b)| (b, a))
        .expect("a write")
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_power_cut() {
    every_acknowledged_write_is_there(Folder::faulty("portable").small()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_power_cut_with_io_uring() {
    every_acknowledged_write_is_there(Folder::faulty("glommio").small()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_cut_off_by_a_power_cut_ends_paid_or_with_nothing_taken() {
    checkouts_are_cut_off(Folder::faulty("portable").small()).await;
}

#[tokio::test]
async fn a_reader_of_the_feed_sees_every_event_once_over_power_cuts() {
    every_event_is_seen_once(Folder::faulty("portable").small()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sell_out_over_power_cuts_has_a_true_history() {
    sell_out::short_or_full(Folder::faulty("portable").small()).await;
}

/// Puts a product; `None` when there was no answer, else its code, or nothing when it was taken.
async fn put(api: &Api, key: &str) -> Option<String> {
    let mut body = product(key, "A product", 3);
    body.as_object_mut().expect("an object").remove("type");
    let answer = api.try_send(&ask("PUT", format!("/v1/admin/products/key={key}")).json(&body)).await.ok()?;
    Some(if answer.status < 300 { String::new() } else { format!("{}: {}", answer.status, answer.code()) })
}

/// Puts products `NAME-0`, `NAME-1` and so on until the disk is full; gives those that were taken.
pub(crate) async fn put_until_full(api: &Api, name: &str) -> Vec<String> {
    let mut taken = Vec::new();
    let until = Instant::now() + PATIENCE;
    loop {
        let key = format!("{name}-{}", taken.len());
        match put(api, &key).await.expect("an answer").as_str() {
            "" => taken.push(key),
            "503: storage_full" => return taken,
            other => panic!("{key}: {other}"),
        }
        assert!(Instant::now() < until, "still taken");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Puts the product again and again until it is taken: there is room again.
pub(crate) async fn put_until_taken(api: &Api, key: &str, folder: &Folder) {
    let until = Instant::now() + PATIENCE;
    while put(api, key).await.as_deref() != Some("") {
        assert!(Instant::now() < until, "still refused: {}", folder.log());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Adds a unit; false when there was no answer.
async fn add(api: &Api) -> bool {
    let body = json!({"sku": "key=counted", "location": "main", "delta": 1, "reason": REASON});
    let adjust = ask("POST", "/v1/admin/stock/adjust").key(fresh_key("adjust")).json(&body);
    api.try_send(&adjust).await.map(|answer| answer.expect(200)).is_ok()
}

async fn counted(api: &Api) -> u64 {
    api.stock("counted").await["locations"][0]["on_hand"].as_u64().expect("units")
}

async fn is_there(api: &Api, key: &str) -> bool {
    match api.insist(&ask("GET", format!("/v1/products/key={key}"))).await.status {
        200 => true,
        404 => false,
        other => panic!("{key}: {other}"),
    }
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_nothing_of_that_batch_was_answered() {
    let mut draws = number("EMPORION_SEED", u64::from(std::process::id()));
    println!("EMPORION_SEED={draws}");
    for driver in ["portable", "glommio"] {
        let folder = Folder::faulty(driver);
        let mut shop = Shop::start_with(&folder, &ARGS).await;
        shop.api().products(&[("counted", "Counted", 0)]).await;
        let mut added = 0;
        for round in 0..number("EMPORION_KILL_ROUNDS", 2) {
            let api = shop.api();
            // Not just any sync: behind a command's own, its answer may be under way when the process ends.
            folder.disk().fail_sync(".wal", REASON, 1 + random(&mut draws) % 12);
            while add(&api).await {
                added += 1;
                assert!(folder.disk().will_fail(), "{driver}, round {round}: answered although its sync failed");
            }
            assert!(!folder.disk().will_fail(), "{driver}, round {round}: no answer although no sync failed\n{}", folder.log());
            let status = shop.ended().await;
            assert_eq!(status.signal(), Some(SIGABRT), "{driver}: ended by itself, at once: {status}");
            let log = folder.log();
            let said = log.lines().filter(|line| line.contains("; the process ends. Nothing that was answered is lost")).count();
            assert_eq!(said as u64, round + 1, "{log}");

            // What the disk failed to sync it never writes.
            folder.disk().cut(&mut draws);
            folder.disk().power_on();
            shop = Shop::start_with(&folder, &ARGS).await;
            assert_eq!(counted(&shop.api()).await, added, "{driver}, round {round}: as many as were answered");
        }
        assert!(shop.stop().await.success());
        let (sound, says) = verify(&folder.data());
        assert!(sound, "{says}");
    }
}

#[tokio::test]
async fn a_power_cut_while_the_shop_starts_or_stops_leaves_a_folder_that_opens() {
    /// Cuts while the shop starts, before one start is let be.
    const STARTS: u64 = 3;
    /// Longest start that is cut.
    const START_MS_MAX: u64 = 1_500;
    /// Longest stop that is cut.
    const STOP_MS_MAX: u64 = 200;
    let mut draws = number("EMPORION_SEED", u64::from(std::process::id()));
    println!("EMPORION_SEED={draws}");
    let folder = Folder::faulty("portable");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..number("EMPORION_KILL_ROUNDS", 3) {
        // The first ones meet a folder that is not there yet.
        for _ in 0..STARTS {
            let shop = Shop::begin(&folder, &ARGS);
            sleep(Duration::from_millis(random(&mut draws) % START_MS_MAX)).await;
            folder.kill(shop, &mut draws);
        }
        let shop = Shop::start_with(&folder, &ARGS).await;
        for key in &acknowledged {
            assert!(is_there(&shop.api(), key).await, "round {round}: {key} was acknowledged");
        }
        let key = format!("p{round}");
        assert_eq!(put(&shop.api(), &key).await.as_deref(), Some(""));
        acknowledged.push(key);
        shop.terminate();
        sleep(Duration::from_millis(random(&mut draws) % STOP_MS_MAX)).await;
        folder.kill(shop, &mut draws);
    }
    let (sound, says) = verify(&folder.data());
    assert!(sound, "{says}");
    let shop = Shop::start_with(&folder, &ARGS).await;
    for key in &acknowledged {
        assert!(is_there(&shop.api(), key).await, "{key} was acknowledged");
    }
}

#[tokio::test]
async fn a_bit_that_flipped_in_what_was_acknowledged_is_named() {
    let mut draws = number("EMPORION_SEED", u64::from(std::process::id()));
    println!("EMPORION_SEED={draws}");
    let folder = Folder::faulty("portable");
    let shop = Shop::start_with(&folder, &ARGS).await;
    for number in 0..30 {
        shop.api().products(&[(&format!("p{number}"), "A product", 3)]).await;
    }
    shop.kill();
    let (segment, begins) = segment(&folder);
    assert!(begins.len() > 20, "{begins:?}");
    for _ in 0..number("EMPORION_KILL_ROUNDS", 4) {
        // Not the last: that may be a torn write, as far as anybody can tell.
        let batch = (random(&mut draws) % (begins.len() as u64 - 2)) as usize;
        // In its header or in the records behind it, whose first bytes are never padding.
        let offset = begins[batch] + random(&mut draws) % 160;
        folder.disk().flip(&segment, offset);
        let says = [name(&segment), format!("byte {}", begins[batch]), "Restore".to_owned()];
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        one_line(fails(&folder.data(), &["--driver", "portable", "--shards", "1"]), 1, &says);
        let (sound, told) = verify(&folder.data());
        assert!(!sound && told.contains(says[0]) && told.contains(says[1]), "byte {offset}: {told}");
        folder.disk().flip(&segment, offset);
    }
    let shop = Shop::start_with(&folder, &ARGS).await;
    assert!(is_there(&shop.api(), "p29").await);
}

#[tokio::test]
async fn a_disk_without_room_refuses_commands_and_takes_them_again() {
    let folder = Folder::faulty("portable");
    // Nearly two segments of 64 MiB and what else a shop has: the first is had, the next is not.
    folder.disk().leave_room(120 << 20);
    let shop = Shop::start_with(&folder, &ARGS).await;
    let api = shop.api();
    let mut acknowledged = put_until_full(&api, "p").await;
    assert!(!acknowledged.is_empty() && folder.log().contains("commands are refused until the disk has space again"), "{}", folder.log());
    for key in &acknowledged {
        assert!(is_there(&api, key).await, "reads go on");
    }
    folder.disk().leave_room(100 << 20);
    put_until_taken(&api, "after", &folder).await;
    acknowledged.push("after".to_owned());
    let mut draws = 1;
    folder.kill(shop, &mut draws);
    let shop = Shop::start_with(&folder, &ARGS).await;
    for key in &acknowledged {
        assert!(is_there(&shop.api(), key).await, "{key} was acknowledged");
    }
}

//! SIGKILL at any moment loses nothing that was acknowledged, and leaves nothing half done.
//!
//! `EMPORION_KILL_ROUNDS` sets how many rounds are run; a few by default. A failure prints the seed; `EMPORION_SEED` repeats its moments (the
//! rest of the timing is the machine's).

use crate::{
    api::{Api, ask, fresh_key, product},
    guest::Guest,
    process::{Folder, PATIENCE, Shop},
};
use adapters::sandbox;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const WRITERS: u64 = 8;
/// A round's shop lives at most this long.
const ROUND_MS_MAX: u64 = 1_500;
/// Rounds after which a short log must have been cut, on however slow a machine.
const ROUNDS_MAX: u64 = 60;
/// Descriptions have 32 KB, so that a log gets long in few commands.
const LONG: &str = "so soft ";
const DESCRIPTION_WORDS: usize = 4_096;

pub(crate) fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// SplitMix64: moments that differ from round to round and are the same for a seed.
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What one writer was told is done.
#[derive(Default)]
struct Acknowledged {
    /// Key and title.
    products: Vec<(String, String)>,
    /// Units added to the SKU `counted`, and units that may have been: the answer did not come.
    added: u64,
    perhaps: u64,
    /// Carts with the units in their only line.
    carts: Vec<(Guest, u32)>,
    /// Orders.
    orders: Vec<(Guest, String)>,
}

/// Writes until the shop is gone. Every call is sent once: what is not answered is not counted on.
async fn write(api: Api, writer: u64, round: u64, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut done = Acknowledged::default();
    for step in 0.. {
        // Relaxed: it only ends the loop.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let result = match step % 4 {
            0 => {
                let (key, title) = (format!("p-{round}-{writer}-{step}"), format!("Product {step} of writer {writer}"));
                let mut body = product(&key, &title, 3);
                body.as_object_mut().expect("an object").remove("type");
                body["description"] = LONG.repeat(DESCRIPTION_WORDS).into();
                let put = ask("PUT", format!("/v1/admin/products/key={key}")).json(&body);
                api.try_send(&put).await.map(|answer| {
                    assert!(answer.status < 300, "{}", answer.text);
                    done.products.push((key, title));
                })
            }
            1 => {
                let adjust = ask("POST", "/v1/admin/stock/adjust")
                    .key(fresh_key("adjust"))
                    .json(&json!({"sku": "key=counted", "location": "main", "delta": 1, "reason": "test"}));
                done.perhaps += 1;
                api.try_send(&adjust).await.map(|answer| {
                    answer.expect(200);
                    (done.added, done.perhaps) = (done.added + 1, done.perhaps - 1);
                })
            }
            2 => match Guest::try_with(&api, "sold", (step % 3 + 1) as u32).await {
                Ok(guest) => {
                    done.carts.push((guest, (step % 3 + 1) as u32));
                    Ok(())
                }
                Err(error) => Err(error),
            },
            _ => match Guest::try_with(&api, "sold", 1).await {
                Ok(guest) => {
                    let checkout = guest.checkout("pm_card_visa", 1000, &fresh_key("checkout"));
                    api.try_send(&checkout).await.map(|answer| {
                        let order = answer.expect(201).body;
                        done.orders.push((guest, order["id"].as_str().expect("an id").to_owned()));
                    })
                }
                Err(error) => Err(error),
            },
        };
        if result.is_err() {
            break;
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_kill() {
    every_acknowledged_write_is_there(Folder::new().small()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_kill_of_a_cluster() {
    every_acknowledged_write_is_there(Folder::cluster()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_kill_of_the_portable_driver() {
    every_acknowledged_write_is_there(Folder::under("portable").small()).await;
}

/// Round for round: everybody writes, the shop is killed, and what was acknowledged is looked for; a short log is cut on the way.
pub(crate) async fn every_acknowledged_write_is_there(folder: Folder) {
    let rounds = number("EMPORION_KILL_ROUNDS", 3);
    let mut seed = number("EMPORION_SEED", u64::from(std::process::id()));
    println!("EMPORION_SEED={seed}");
    let mut shop = Shop::start(&folder).await;
    let listen = shop.listen;
    let api = shop.api();
    api.products(&[("counted", "Counted", 0), ("sold", "Sold", 1_000_000)]).await;
    let (mut added, mut perhaps) = (0, 0);
    let mut orders = 0;
    for round in 0.. {
        if round >= rounds && folder.was_cut() {
            break;
        }
        assert!(round < rounds.max(ROUNDS_MAX), "the log is never cut");
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(api.clone(), writer, round, Arc::clone(&stop)));
        }
        sleep(Duration::from_millis(random(&mut seed) % ROUND_MS_MAX)).await;
        folder.kill(shop, &mut seed);
        stop.store(true, Ordering::Relaxed);
        let acknowledged = writers.join_all().await;
        let (sound, says) = folder.verify();
        assert!(sound, "round {round}: {says}");
        shop = Shop::start_again(&folder, listen).await;

        for done in &acknowledged {
            for (key, title) in &done.products {
                let found = api.insist(&ask("GET", format!("/v1/products/key={key}"))).await.expect(200).body;
                assert_eq!(found["title"], **title);
            }
            for (guest, quantity) in &done.carts {
                assert_eq!(guest.cart().await["lines"][0]["quantity"], *quantity, "round {round}");
            }
            for (guest, id) in &done.orders {
                assert_eq!(guest.order(id).await["payment_status"], "captured", "round {round}");
            }
            (added, perhaps) = (added + done.added, perhaps + done.perhaps);
            orders += done.orders.len();
        }
        let counted = api.stock("counted").await["locations"][0]["on_hand"].as_u64().expect("units");
        assert!(
            (added..=added + perhaps).contains(&counted),
            "round {round}: {added} to {} were added, {counted} are there",
            added + perhaps
        );
        // One that was not answered and is there stays there: from here on it counts.
        (added, perhaps) = (counted, 0);
    }
    println!("{rounds} rounds, {added} adjustments, {orders} orders");
    settled(&api, "sold").await;
    let sold = api.stock("sold").await["locations"][0]["committed"].as_u64().expect("units");
    assert!(sold >= orders as u64, "{sold} sold, {orders} acknowledged");
    paid(&shop.data, sold).await;
    assert!(shop.stop().await.success());
}

/// Waits until nothing is held of a SKU: every order is decided.
async fn settled(api: &Api, key: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let stock = api.stock(key).await;
        if stock["holds"].as_array().is_some_and(Vec::is_empty) && stock["locations"][0]["held"] == 0 {
            return stock;
        }
        assert!(Instant::now() < until, "still held: {stock}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until so many payments of 10.00 are taken and nothing is reserved: money is taken after the stock is committed, and a capture that a
/// crash cut off is done again when its lease is over.
async fn paid(data: &Path, wanted: u64) -> BTreeMap<String, sandbox::Account> {
    let until = Instant::now() + PATIENCE;
    loop {
        let accounts = sandbox::read(&data.join("sandbox")).expect("the provider's books");
        let taken = accounts.values().filter(|account| account.net() == 1000).count() as u64;
        let reserved: i64 = accounts.values().map(sandbox::Account::reserved).sum();
        if taken == wanted && reserved == 0 {
            return accounts;
        }
        assert!(Instant::now() < until, "{wanted} units are committed, {taken} paid, {reserved} cents reserved");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Checkouts that began at different times, so that one kill meets each at another step. Nobody asks again: the shop alone must end them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_cut_off_anywhere_in_a_cluster_ends_paid_or_with_nothing_taken() {
    checkouts_are_cut_off(Folder::cluster()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_cut_off_anywhere_ends_paid_or_with_nothing_taken() {
    checkouts_are_cut_off(Folder::new()).await;
}

/// Round for round: checkouts under way, the shop is killed, and each is looked at once it settled.
pub(crate) async fn checkouts_are_cut_off(folder: Folder) {
    const CHECKOUTS: u64 = 24;
    let mut shop = Shop::start(&folder).await;
    let listen = shop.listen;
    let api = shop.api();
    api.products(&[("thing", "A thing", 1_000)]).await;
    let mut seed = number("EMPORION_SEED", 7);
    println!("EMPORION_SEED={seed}");
    for round in 0..number("EMPORION_KILL_ROUNDS", 3).min(10) {
        let mut guests = Vec::new();
        for _ in 0..CHECKOUTS {
            guests.push(Guest::with(&api, "thing", 1).await);
        }
        let mut checkouts = JoinSet::new();
        for (number, guest) in guests.into_iter().enumerate() {
            let api = api.clone();
            let payment = ["pm_card_visa", "pm_sandbox_slow_150", "pm_sandbox_lost", "pm_card_chargeDeclined"][number % 4];
            let wait = random(&mut seed) % 300;
            checkouts.spawn(async move {
                sleep(Duration::from_millis(wait)).await;
                let answer = api.try_send(&guest.checkout(payment, 1000, &fresh_key("checkout"))).await;
                (guest, payment, answer.ok())
            });
        }
        sleep(Duration::from_millis(100 + random(&mut seed) % 200)).await;
        folder.kill(shop, &mut seed);
        let ends = checkouts.join_all().await;
        shop = Shop::start_again(&folder, listen).await;
        // An order that was placed and has taken nothing yet is not to be seen in the stock.
        let until = Instant::now() + PATIENCE;
        for (guest, ..) in &ends {
            while guest.cart().await["status"] == "checking_out" {
                assert!(Instant::now() < until, "round {round}: a checkout does not end");
                sleep(Duration::from_millis(50)).await;
            }
        }
        let stock = settled(&api, "thing").await;
        let committed = stock["locations"][0]["committed"].as_u64().expect("units");
        let books = paid(&shop.data, committed).await;
        assert!(books.values().all(|account| account.net() == 0 || account.net() == 1000));
        let mut by_status: BTreeMap<String, u32> = BTreeMap::new();
        for (guest, payment, answer) in ends {
            let status = guest.cart().await["status"].as_str().expect("a status").to_owned();
            match (&answer, payment) {
                (Some(answer), "pm_card_chargeDeclined") => assert_eq!((answer.status, status.as_str()), (402, "open"), "{}", answer.text),
                (Some(answer), _) => assert_eq!((answer.status, status.as_str()), (201, "ordered"), "{}", answer.text),
                (None, "pm_card_chargeDeclined") => assert_eq!(status, "open"),
                (None, _) => assert!(status == "open" || status == "ordered", "round {round}: a cart is {status}"),
            }
            *by_status.entry(format!("{status}{}", if answer.is_some() { ", answered" } else { "" })).or_default() += 1;
        }
        println!("round {round}: {by_status:?}");
    }
}

//! The feed, followed while shoppers and staff are at work and the shop is killed and started again, with another number of shards.

use crate::{
    api::{Api, ask, fresh_key},
    crashes::{number, random},
    guest::Guest,
    process::{Folder, Shop, verify},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

/// A program that follows the feed, and keeps what it saw and where it stands: over kills of the shop, not of its own.
#[derive(Default)]
struct Follower {
    next: Option<String>,
    events: Vec<Value>,
}

impl Follower {
    /// Reads a page; the number of its events.
    async fn page(&mut self, api: &Api, limit: u64) -> usize {
        let after = self.next.as_deref().map(|next| format!("&after={next}")).unwrap_or_default();
        let page = api.insist(&ask("GET", format!("/v1/admin/feed?limit={limit}{after}"))).await.expect(200).body;
        let items = page["items"].as_array().expect("items");
        self.events.extend(items.iter().cloned());
        self.next = Some(page["next"].as_str().expect("a cursor").to_owned());
        items.len()
    }

    /// Reads up to the end.
    async fn finish(&mut self, api: &Api) {
        while self.page(api, 100).await > 0 {}
    }

    /// Each event once, those of a partition in order.
    fn check(&self) {
        let mut ids = BTreeSet::new();
        let mut last: BTreeMap<u64, (u64, &str)> = BTreeMap::new();
        for event in &self.events {
            let id = event["id"].as_str().expect("an id");
            assert!(ids.insert(id), "twice: {event}");
            let (_, seq) = event["position"].as_str().and_then(|position| position.split_once(':')).expect("a position");
            let place = (seq.parse().expect("a number"), id);
            let before = last.insert(event["partition"].as_u64().expect("a number"), place);
            assert!(before.is_none_or(|before| before < place), "{before:?} before {event}");
        }
    }

    fn count(&self, kind: &str, is: impl Fn(&Value) -> bool) -> usize {
        self.events.iter().filter(|event| event["type"] == kind && is(&event["data"])).count()
    }
}

/// What the shop acknowledged, or was insisted on until it did.
#[derive(Default)]
struct Done {
    adjusted: usize,
    orders: Vec<String>,
    products: Vec<String>,
}

/// Works until it is told to stop: every call is insisted on, with its key, so each is done once.
async fn work(api: Api, worker: u64, stop: Arc<AtomicBool>) -> Done {
    let mut done = Done::default();
    let mut step = 0;
    // Relaxed: it only ends the loop.
    while !stop.load(Ordering::Relaxed) {
        step += 1;
        match step % 3 {
            0 => {
                let key = format!("new-{worker}-{step}");
                let mut body = crate::api::product(&key, "A new one", 1);
                body.as_object_mut().expect("an object").remove("type");
                let put = api.insist(&ask("PUT", format!("/v1/admin/products/key={key}")).json(&body)).await;
                assert!(put.status < 300, "{}", put.text);
                done.products.push(key);
            }
            1 => {
                let body = json!({"sku": "key=lamp", "location": "main", "delta": 2, "reason": "found"});
                api.insist(&ask("POST", "/v1/admin/stock/adjust").key(fresh_key("adjust")).json(&body)).await.expect(200);
                done.adjusted += 1;
            }
            _ => {
                let guest = Guest::with(&api, "lamp", 1).await;
                let order = guest.pay_in_the_end("pm_card_visa", 1_000).await.expect(201).body;
                done.orders.push(order["id"].as_str().expect("an id").to_owned());
            }
        }
    }
    done
}

#[tokio::test]
async fn a_reader_sees_every_event_once_over_kills_and_other_shards() {
    every_event_is_seen_once(Folder::new()).await;
}

/// Follows the feed while the shop works and is killed.
pub(crate) async fn every_event_is_seen_once(folder: Folder) {
    let seed = number("EMPORION_SEED", u64::from(std::process::id()));
    let mut random_from = seed;
    let mut shop = Shop::start(&folder).await;
    let listen = shop.listen;
    let api = shop.api();
    api.products(&[("lamp", "Walnut desk lamp", 500)]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..3).map(|worker| tokio::spawn(work(api.clone(), worker, Arc::clone(&stop)))).collect();
    let mut follower = Follower::default();
    for round in 0..number("EMPORION_KILL_ROUNDS", 3) {
        for _ in 0..10 {
            follower.page(&api, 1 + random(&mut random_from) % 20).await;
            sleep(Duration::from_millis(random(&mut random_from) % 150)).await;
        }
        folder.kill(shop, &mut random_from);
        let shards = if round % 2 == 0 { "2" } else { "1" };
        shop = Shop::start_with(&folder, &["--listen", &listen.to_string(), "--shards", shards]).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut done = Done::default();
    for worker in workers {
        let Done { adjusted, orders, products } = worker.await.expect("it ends");
        done.adjusted += adjusted;
        done.orders.extend(orders);
        done.products.extend(products);
    }
    follower.finish(&api).await;
    follower.check();
    let told = format!("seed {seed}");
    assert_eq!(follower.count("stock.adjusted", |data| data["change"] == 2), done.adjusted, "{told}");
    for order in &done.orders {
        for kind in ["order.placed", "payment.authorised", "order.opened", "cart.ordered", "payment.captured"] {
            assert_eq!(follower.count(kind, |data| data["order"] == order.as_str()), 1, "{kind} of {order}, {told}");
        }
    }
    for key in &done.products {
        assert_eq!(follower.count("product.created", |data| data["key"] == key.as_str()), 1, "{key}, {told}");
    }
    assert!(!done.orders.is_empty() && done.adjusted > 0 && !done.products.is_empty());

    // Another reader, that comes after all that, sees the same of every partition.
    let mut late = Follower::default();
    late.finish(&api).await;
    late.check();
    let by_partition = |events: &[Value]| {
        let mut parts: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
        events.iter().for_each(|event| parts.entry(event["partition"].as_u64().expect("a number")).or_default().push(event.clone()));
        parts
    };
    assert_eq!(by_partition(&late.events), by_partition(&follower.events), "{told}");

    // So it is from files alone, after a clean stop; and one that begins at the end sees only what is new.
    assert!(shop.stop().await.success());
    let (whole, says) = verify(&folder.data());
    assert!(whole, "{says}");
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    let latest = api.get("/v1/admin/feed?after=latest").await.expect(200).body;
    assert_eq!(latest["items"], json!([]));
    let mut again = Follower::default();
    again.finish(&api).await;
    assert_eq!(by_partition(&again.events), by_partition(&follower.events), "{told}");
    let mut new = Follower { next: Some(latest["next"].as_str().expect("a cursor").to_owned()), events: Vec::new() };
    let sold_out = json!({"sku": "key=lamp", "location": "main", "set": 0, "expected": api.stock("lamp").await["locations"][0]["on_hand"], "reason": "gone"});
    let adjusted = api.send(&ask("POST", "/v1/admin/stock/adjust").key("gone").json(&sold_out)).await;
    assert!(adjusted.status == 200 || adjusted.status == 409, "{}", adjusted.text);
    new.finish(&api).await;
    let kinds: Vec<&str> = new.events.iter().map(|event| event["type"].as_str().expect("a word")).collect();
    assert_eq!(kinds, if adjusted.status == 200 { vec!["stock.adjusted", "stock.sold_out"] } else { Vec::new() });
}

#[tokio::test]
async fn a_cursor_of_long_ago_is_told_what_to_do() {
    let folder = Folder::new();
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--events-max-mb", "1"]).await;
    let api = shop.api();
    let begin = api.get("/v1/admin/feed?after=latest").await.expect(200).body["next"].as_str().expect("a cursor").to_owned();
    // Names as long as they may be, so that a few thousand events fill more than a file.
    let name = "n".repeat(2_000);
    for n in 0..2 {
        let mut categories = Vec::new();
        for key in 0..1_300 {
            categories.push(json!({"type": "category", "key": format!("c-{key}"), "name": format!("{n}{name}")}));
        }
        for lines in categories.chunks(650) {
            api.import(lines).await;
        }
    }
    let page = format!("/v1/admin/feed?after={begin}");
    let mut answer = api.get(&page).await;
    for _ in 0..600 {
        if answer.status == 410 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        answer = api.get(&page).await;
    }
    assert_eq!((answer.status, answer.code()), (410, "cursor_too_old"), "{}", answer.text);
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.contains("after=latest")));
    let oldest = api.get("/v1/admin/feed").await.expect(200).body;
    assert!(!oldest["items"].as_array().expect("items").is_empty(), "the oldest that is kept is there");
}

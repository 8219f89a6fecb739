//! A cluster whose nodes die, stand still, lose their folders, or hear each other badly or not at all, while everybody buys through both gateways.
//!
//! Path: [`Field`] starts a cluster over a network of ours ([`crate::proxy`]) and lets guests and a warehouse loose on it → a test does its harm → [`Field::end`] heals
//! everything, waits until all is well, and holds the shop against what was acknowledged: each unit added is there, each order is paid once, none too many is sold.
//! The warehouse asks at fixed times, whether or not it has its answers, all on one partition: from a fault to its first answer is how long writes stood still.
//! Not among the tests that run side by side: two clusters on two cores are late by themselves. `cargo test --release -p emporion --test shop partitions -- --ignored --test-threads 1`.
//! `EMPORION_FAILOVERS` sets how many leaders are killed; a few by default. `EMPORION_SEED` repeats the network's draws (the rest of the timing is the machine's).

use crate::{
    api::{Api, ask, fresh_key},
    crashes::{number, random},
    guest::Guest,
    process::{Folder, PATIENCE, Shop},
    proxy::{Network, Proxy},
    sell_out::{Endless, Server},
    several::{NODES, Places, charged, cluster, well},
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use wire::placement::{PARTITIONS_DEFAULT, Space, partition_of};

/// Writes stand still at most so long; far more than they need, because machines are shared.
const RESUMED_MAX: Duration = Duration::from_secs(20);
/// Between two units that the warehouse adds.
const PROBE_EVERY: Duration = Duration::from_millis(40);
/// Units under way; at more the warehouse waits.
const PROBES_MAX: usize = 256;
const GUESTS: u64 = 3;
/// Units of the SKU that not everybody gets.
const SCARCE: u32 = 12;
/// What a unit costs, cents.
const PRICE: i64 = 1_000;

/// What the warehouse did to the SKU `counted`.
#[derive(Default)]
struct Counted {
    added: AtomicU64,
    /// It may have been added, or not: no answer.
    perhaps: AtomicU64,
    /// Answers that must not be.
    wrong: AtomicU64,
}

/// The last unit that was added, by when it was asked for.
type Added = Option<Instant>;

/// Adds a unit at each time, until told to stop.
async fn warehouse(api: Api, counted: Arc<Counted>, last: watch::Sender<Added>, stop: Arc<AtomicBool>) {
    let room = Arc::new(Semaphore::new(PROBES_MAX));
    let mut times = interval(PROBE_EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = Arc::new(last);
    while !stop.load(Ordering::SeqCst) {
        times.tick().await;
        let place = Arc::clone(&room).acquire_owned().await.expect("open");
        let (api, counted, last) = (api.clone(), Arc::clone(&counted), Arc::clone(&last));
        tokio::spawn(async move {
            let body = json!({"sku": "key=counted", "location": "main", "delta": 1, "reason": "test"});
            let adjust = ask("POST", "/v1/admin/stock/adjust").key(fresh_key("adjust")).json(&body);
            let asked = Instant::now();
            match api.try_send(&adjust).await {
                Ok(answer) if answer.status == 200 => {
                    counted.added.fetch_add(1, Ordering::SeqCst);
                    last.send_if_modified(|last| {
                        let is_later = last.is_none_or(|last| last < asked);
                        *last = if is_later { Some(asked) } else { *last };
                        is_later
                    });
                }
                Ok(answer) if answer.status != 503 && answer.code() != "idempotency_key_in_use" => {
                    println!("{}: {}", answer.status, answer.text);
                    counted.wrong.fetch_add(1, Ordering::SeqCst);
                }
                Ok(_) | Err(_) => drop(counted.perhaps.fetch_add(1, Ordering::SeqCst)),
            }
            drop(place);
        });
    }
    // Everybody has an answer, or will have none.
    drop(room.acquire_many(PROBES_MAX as u32).await.expect("open"));
}

/// Orders that were acknowledged, and buyers who came too late.
#[derive(Default)]
struct Bought {
    orders: Vec<(Guest, String)>,
    /// Of the SKU `scarce`.
    scarce: u32,
    refused: u32,
}

/// Buys a unit after another, now and then a scarce one.
async fn buyer(api: Api, stop: Arc<AtomicBool>) -> Bought {
    let mut bought = Bought::default();
    for step in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let is_scarce = step % 2 == 1;
        let guest = Guest::with(&api, if is_scarce { "scarce" } else { "plenty" }, 1).await;
        let answer = guest.pay_in_the_end("pm_card_visa", PRICE).await;
        match (answer.status, answer.code()) {
            (201, _) => {
                bought.scarce += u32::from(is_scarce);
                bought.orders.push((guest, answer.body["id"].as_str().expect("an id").to_owned()));
            }
            (409, "insufficient_stock") if is_scarce => bought.refused += 1,
            _ => panic!("{}: {}", answer.status, answer.text),
        }
    }
    bought
}

/// A cluster under load.
struct Field {
    /// The first gateway; behind it the other, the adapter and the engines.
    shop: Shop,
    folder: Folder,
    proxy: Proxy,
    api: Api,
    counted: Arc<Counted>,
    last: watch::Receiver<Added>,
    stop: Arc<AtomicBool>,
    buyers: JoinSet<Bought>,
    warehouse: JoinSet<()>,
    link: Endless,
}

impl Field {
    async fn start() -> Self {
        let seed = number("EMPORION_SEED", u64::from(std::process::id()));
        println!("EMPORION_SEED={seed}");
        let mut draws = seed;
        let proxy = Proxy::new(seed);
        let folder = Folder::cluster_over(&proxy);
        let shop = Shop::start(&folder).await;
        let api = shop.api();
        api.products(&[("counted", "Counted", 0), ("plenty", "Plenty", 1_000_000), ("scarce", "Scarce", SCARCE)]).await;
        let (counted, stop) = (Arc::<Counted>::default(), Arc::<AtomicBool>::default());
        let (told, last) = watch::channel(None);
        let (mut buyers, mut warehouses) = (JoinSet::new(), JoinSet::new());
        for _ in 0..GUESTS {
            buyers.spawn(buyer(api.clone(), Arc::clone(&stop)));
        }
        warehouses.spawn(warehouse(api.clone(), Arc::clone(&counted), told, Arc::clone(&stop)));
        let nodes: Vec<Server> =
            shop.behind[2..].iter().zip(proxy.fronts).map(|(engine, front)| Server::read(&engine.data, 0).at(front)).collect();
        let link = Endless::start(&api, &nodes, &mut draws).await;
        let mut field = Self { shop, folder, proxy, api, counted, last, stop, buyers, warehouse: warehouses, link };
        field.resumed(Instant::now()).await;
        field
    }

    /// Waits for the first answer to what was asked after `since`, and says how long after that it came.
    async fn resumed(&mut self, since: Instant) -> Duration {
        let until = since + PATIENCE;
        loop {
            if self.last.borrow_and_update().is_some_and(|asked| asked > since) {
                return since.elapsed();
            }
            let changed = tokio::time::timeout_at(until, self.last.changed()).await;
            assert!(changed.is_ok(), "writes stand still: {}", self.folder.log());
        }
    }

    fn engine(&mut self, node: usize) -> &mut Shop {
        &mut self.shop.behind[2 + node]
    }

    async fn start_again(&mut self, node: usize) {
        let engine = self.folder.places().engine(&self.folder, node).ready(&self.folder).await;
        self.shop.behind.insert(2 + node, engine);
    }

    /// Who leads the partition that the warehouse writes to, as that node itself says.
    async fn leader(&self) -> usize {
        let partition = partition_of(Space::Location, b"main", PARTITIONS_DEFAULT);
        let until = Instant::now() + PATIENCE;
        loop {
            for (node, engine) in self.shop.behind[2..].iter().enumerate() {
                let map = Server::read(&engine.data, 0).map().await;
                let leader = map.as_ref().and_then(|map| map.nodes.iter().find(|info| Some(info.id) == map.leader(partition)));
                if leader.is_some_and(|info| info.name == NODES[node]) {
                    return node;
                }
            }
            assert!(Instant::now() < until, "nobody leads {partition:?}: {}", self.folder.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until all nodes are down that should be, as the node `asked` sees it.
    async fn down(&self, node: usize, asked: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = cluster(&Places::data(&self.folder, asked), &["status", "--json"]);
            let says: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
            let is_down = |info: &Value| info["name"] == NODES[node] && info["state"] == "down";
            if says["nodes"].as_array().is_some_and(|nodes| nodes.iter().any(is_down)) {
                return;
            }
            assert!(Instant::now() < until, "{says}: {}", self.folder.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the load, waits until all is well, and looks for all that was acknowledged.
    async fn end(self) {
        self.proxy.be(Network::default());
        let healed = Instant::now();
        well(&self.folder).await;
        let well_after = healed.elapsed();
        self.stop.store(true, Ordering::SeqCst);
        let bought = self.buyers.join_all().await;
        self.warehouse.join_all().await;
        self.link.end().await;
        let orders = bought.iter().map(|bought| bought.orders.len() as u64).sum::<u64>();
        let (scarce, refused) = bought.iter().fold((0, 0), |(scarce, refused), one| (scarce + one.scarce, refused + one.refused));
        for (guest, id) in bought.iter().flat_map(|bought| &bought.orders) {
            assert_eq!(guest.order(id).await["payment_status"], "captured");
        }
        let api = &self.api;
        let row = async |key: &str, column: &str| api.stock(key).await["locations"][0][column].as_u64().expect("units");
        let (added, perhaps) = (self.counted.added.load(Ordering::SeqCst), self.counted.perhaps.load(Ordering::SeqCst));
        let there = row("counted", "on_hand").await;
        println!(
            "well {:.1} s after all was healed; {orders} orders, {scarce} of them scarce, {refused} refused; {added} units added, {perhaps} perhaps, {there} there; \
             datagrams carried and lost: {:?}",
            well_after.as_secs_f64(),
            self.proxy.counts()
        );
        assert!((added..=added + perhaps).contains(&there), "{added} to {} were added, {there} are there", added + perhaps);
        assert_eq!(self.counted.wrong.load(Ordering::SeqCst), 0, "answers that must not be: see above");
        // Every checkout was waited for, so that nothing is held and what is sold is what buyers were told.
        assert_eq!(row("plenty", "held").await + row("scarce", "held").await, 0);
        let sold = [row("plenty", "committed").await, row("scarce", "committed").await];
        assert_eq!(sold, [orders - u64::from(scarce), u64::from(scarce)], "{}", self.folder.log());
        assert!(scarce == SCARCE || refused == 0, "refused, with {scarce} of {SCARCE} sold");
        let until = Instant::now() + PATIENCE;
        while charged(&self.folder) != PRICE * orders as i64 {
            assert!(Instant::now() < until, "{} taken for {orders} orders", charged(&self.folder));
            sleep(Duration::from_millis(100)).await;
        }
        assert!(orders > 0 && added > 0, "it was no load");
    }
}

/// Tells how long writes stood still, and asserts the bound.
fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_millis();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: {} times, writes resumed after {} ms in the median, {} ms at worst", times.len(), ms(median), ms(worst));
    assert!(worst < RESUMED_MAX, "{what}: {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn leaders_are_killed_while_everybody_buys() {
    let mut field = Field::start().await;
    let mut times = Vec::new();
    for round in 0..number("EMPORION_FAILOVERS", 3) {
        let leader = field.leader().await;
        field.shop.behind.remove(2 + leader).kill();
        let resumed = field.resumed(Instant::now()).await;
        println!("round {round}: {} died, {} ms", NODES[leader], resumed.as_millis());
        times.push(resumed);
        field.start_again(leader).await;
        well(&field.folder).await;
    }
    tell("SIGKILL of the leader", times);
    field.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn a_leader_that_stood_still_comes_back_as_a_follower() {
    let mut field = Field::start().await;
    let mut times = Vec::new();
    let mut draws = number("EMPORION_SEED", u64::from(std::process::id()));
    for _ in 0..2 {
        let leader = field.leader().await;
        field.engine(leader).pause();
        times.push(field.resumed(Instant::now()).await);
        // Shorter or longer than the others wait before they call it down.
        sleep(Duration::from_millis(random(&mut draws) % 3_000)).await;
        field.engine(leader).go_on();
        well(&field.folder).await;
    }
    tell("SIGSTOP of the leader", times);
    field.end().await;
}

/// Cuts the leader off in one direction for a while.
async fn cut(what: &str, network: fn(usize) -> Network) {
    let mut field = Field::start().await;
    let leader = field.leader().await;
    let cut = Instant::now();
    field.proxy.be(network(leader));
    let resumed = field.resumed(cut).await;
    // The shop goes on without it.
    sleep(Duration::from_secs(2)).await;
    field.resumed(Instant::now()).await;
    tell(what, vec![resumed]);
    field.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn a_leader_that_hears_nobody_is_replaced_and_catches_up() {
    cut("a deaf leader", Network::deaf).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn a_leader_that_nobody_hears_is_replaced_and_catches_up() {
    cut("a mute leader", Network::mute).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn a_bad_network_slows_the_shop_and_loses_nothing() {
    let mut field = Field::start().await;
    for (what, network) in [
        ("a good network", Network::default()),
        ("1 to 20 ms late", Network { delay_us: 1_000..20_000, ..Network::default() }),
        ("1 to 20 ms late, and 1 % lost", Network { lost_per_mille: 10, delay_us: 1_000..20_000, ..Network::default() }),
    ] {
        field.proxy.be(network);
        let mut times = Vec::new();
        for _ in 0..4 {
            times.push(field.resumed(Instant::now()).await);
            sleep(Duration::from_millis(200)).await;
        }
        tell(what, times);
    }
    field.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants a machine to itself: its faults are timed"]
async fn a_node_that_lost_its_folder_returns_under_its_name() {
    let mut field = Field::start().await;
    let node = field.leader().await;
    let other = (node + 1) % NODES.len();
    field.shop.behind.remove(2 + node).kill();
    let resumed = field.resumed(Instant::now()).await;
    let data = Places::data(&field.folder, node);
    fs::remove_dir_all(&data).expect("removed");
    field.down(node, other).await;
    field.folder.places().join(&field.folder, node, other);
    field.start_again(node).await;
    field.resumed(Instant::now()).await;
    tell("a leader and its folder gone", vec![resumed]);
    field.end().await;
}

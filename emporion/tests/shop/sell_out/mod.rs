//! A sell-out through the real program: many more buyers than units, over the engine link and over HTTP at once, with SIGKILLs in between.
//!
//! Path: [`Run`] starts the shop with its stock → [`wire_buyer`]s on their connections and [`http_buyers`] → now and then a kill, a restart on the
//! same folder, and a quiet point: nobody asks, every row is read → at the end the whole history goes through the checker (`history`).
//! `EMPORION_SELL_OUT=full` runs the sizes of [`FULL`], else those of [`SHORT`]. A failure prints the seed; `EMPORION_SEED` repeats its draws (the
//! rest of the timing is the machine's).

mod endless;
mod link;
mod wire_buyer;

use crate::{
    api::Api,
    crashes::{number, random},
    guest::Guest,
    history::{self, Answer, Ask, Exchange, History, Line, Moment, Order, Row},
    process::{Folder, PATIENCE, Shop, verify},
};
pub(crate) use endless::Endless;
use link::Connection;
pub(crate) use link::Server;
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use wire::SkuId;

/// How much of everything.
#[derive(Clone, Copy)]
struct Sizes {
    units: u32,
    skus: u32,
    /// Reservations and checkouts together.
    attempts: u64,
    connections: usize,
    /// Buyers on each connection.
    buyers: usize,
    /// Whole checkouts over HTTP, and how many at a time.
    checkouts: u64,
    guests: usize,
    kills: u64,
    /// One in so many reservations is bought.
    bought_one_in: u64,
}

const SHORT: Sizes =
    Sizes { units: 500, skus: 10, attempts: 20_000, connections: 16, buyers: 1, checkouts: 60, guests: 4, kills: 1, bought_one_in: 40 };

const FULL: Sizes = Sizes {
    units: 10_000,
    skus: 100,
    attempts: 1_000_000,
    connections: 64,
    buyers: 4,
    checkouts: 5_000,
    guests: 16,
    kills: 3,
    bought_one_in: 250,
};

/// Answers bent after the run, to see that the checker sees it.
const LIES: u32 = 20;
/// Where everything is in stock.
const LOCATION: &str = "main";
/// What a unit costs, cents.
const PRICE: i64 = 1_000;

/// What all buyers share.
struct Sale {
    sizes: Sizes,
    began: Instant,
    /// By number.
    skus: Vec<SkuId>,
    /// Attempts begun, over the link and over HTTP.
    wire_attempts: AtomicU64,
    checkouts: AtomicU64,
    /// Buyers pause while it is false.
    open: watch::Receiver<bool>,
    /// Buyers that ask for something at this moment.
    busy: AtomicUsize,
    /// A buyer panicked: the sale is over.
    has_failed: AtomicBool,
}

impl Sale {
    /// Gives a shop its stock, and says how much of each SKU that is.
    async fn start(api: &Api, sizes: Sizes, open: watch::Receiver<bool>) -> (Arc<Self>, Vec<u32>) {
        let stock: Vec<u32> = (0..sizes.skus).map(|sku| sizes.units / sizes.skus + u32::from(sku < sizes.units % sizes.skus)).collect();
        let keys: Vec<(String, u32)> = stock.iter().enumerate().map(|(sku, units)| (Self::key(sku as u32), *units)).collect();
        let products: Vec<(&str, &str, u32)> = keys.iter().map(|(key, units)| (key.as_str(), key.as_str(), *units)).collect();
        api.products(&products).await;
        let mut skus = Vec::new();
        for (key, _) in &keys {
            let id = api.stock(key).await["sku"].as_str().map(str::parse);
            skus.push(id.expect("an id").expect("a SKU's id"));
        }
        let sale = Self {
            sizes,
            began: Instant::now(),
            skus,
            wire_attempts: AtomicU64::new(0),
            checkouts: AtomicU64::new(0),
            open,
            busy: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
        };
        (Arc::new(sale), stock)
    }

    /// There have been enough attempts.
    fn end(&self) {
        self.wire_attempts.fetch_max(self.sizes.attempts, Ordering::SeqCst);
    }

    /// Every row as it is, and that no unit is missing.
    async fn rows(&self, api: &Api) -> Vec<Row> {
        let mut rows = Vec::new();
        for sku in 0..self.sizes.skus {
            let asked = self.now();
            let stock = api.stock(&Self::key(sku)).await;
            let units = |column: &str| {
                let units = stock["locations"][0][column].as_u64().unwrap_or_else(|| panic!("no {column} in {stock}"));
                u32::try_from(units).expect("units")
            };
            rows.push(Row { asked, sku, available: units("available"), held: units("held"), committed: units("committed") });
        }
        let total: u64 = rows.iter().map(|row| u64::from(row.available) + u64::from(row.held) + u64::from(row.committed)).sum();
        assert_eq!(total, u64::from(self.sizes.units), "{rows:?}");
        rows
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_nanos()).expect("less than centuries"))
    }

    /// The next attempt of those that `counter` counts; `None` when there were enough, or one failed. Waits while the sale is paused.
    async fn attempt(&self, counter: &AtomicU64, max: u64) -> Option<Busy<'_>> {
        let mut open = self.open.clone();
        loop {
            self.busy.fetch_add(1, Ordering::SeqCst);
            let busy = Busy(self);
            // After it counts as busy: whoever closes the sale and then sees nobody busy has seen everybody.
            if *open.borrow_and_update() {
                let goes_on = counter.fetch_add(1, Ordering::SeqCst) < max && !self.has_failed.load(Ordering::SeqCst);
                return goes_on.then_some(busy);
            }
            drop(busy);
            open.changed().await.ok()?;
        }
    }

    /// Have as large a part of the others begun?
    fn is_checkout_due(&self) -> bool {
        let (checkouts, others) = (self.checkouts.load(Ordering::SeqCst), self.wire_attempts.load(Ordering::SeqCst));
        let Sizes { attempts, checkouts: max, .. } = self.sizes;
        checkouts.min(max) * (attempts - max) <= others * max
    }

    fn key(sku: u32) -> String {
        format!("s{sku:03}")
    }
}

/// While it lives, its buyer asks for something.
struct Busy<'a>(&'a Sale);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.has_failed.store(true, Ordering::SeqCst);
        }
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One to three lines, some of one SKU, of one or two units.
fn basket(seed: &mut u64, skus: u32) -> Vec<Line> {
    let below = |seed: &mut u64, end: u32| u32::try_from(random(seed) % u64::from(end)).expect("less than a u32");
    (0..=below(seed, 3)).map(|_| Line { sku: below(seed, skus), quantity: 1 + below(seed, 2) }).collect()
}

/// Guests who fill a cart and check out, one after another, until there were enough.
async fn http_buyer(sale: Arc<Sale>, api: Api, mut seed: u64) -> (Vec<Order>, u64) {
    let (mut orders, mut sold_out) = (Vec::new(), 0);
    loop {
        // In step with those on the link, so that they meet plenty, scarcity and nothing.
        while !sale.is_checkout_due() && !sale.has_failed.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(2)).await;
        }
        let Some(_busy) = sale.attempt(&sale.checkouts, sale.sizes.checkouts).await else { break };
        let lines = basket(&mut seed, sale.sizes.skus);
        let wanted: Vec<(String, u32)> = lines.iter().map(|line| (Sale::key(line.sku), line.quantity)).collect();
        let guest = Guest::with_lines(&api, &wanted).await;
        let units: u32 = lines.iter().map(|line| line.quantity).sum();
        let sent = sale.now();
        let answer = guest.pay_in_the_end("pm_card_visa", i64::from(units) * PRICE).await;
        match (answer.status, answer.code()) {
            (201, _) => orders.push(Order { sent, answered: sale.now(), lines }),
            (409, "insufficient_stock") => sold_out += 1,
            _ => panic!("{}: {}", answer.status, answer.text),
        }
    }
    (orders, sold_out)
}

/// A shop on sale.
struct Run {
    sale: Arc<Sale>,
    // Before the folder: it is killed before its disk goes.
    shop: Option<Shop>,
    folder: Folder,
    api: Api,
    servers: watch::Sender<Server>,
    open: watch::Sender<bool>,
    history: History,
}

impl Run {
    async fn start(folder: Folder, sizes: Sizes) -> Self {
        let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--wire-listen", "127.0.0.1:0"]).await;
        let api = shop.api();
        let (open, is_open) = watch::channel(true);
        let (sale, stock) = Sale::start(&api, sizes, is_open).await;
        let (servers, _) = watch::channel(Server::read(&shop.data, 0));
        let history = History { stock, ..History::default() };
        Self { sale, shop: Some(shop), folder, api, servers, open, history }
    }

    /// Kills the shop and starts it again where it was.
    async fn kill(&mut self, draws: &mut u64) {
        let shop = self.shop.take().expect("it runs");
        let (listen, server) = (shop.listen.to_string(), self.servers.borrow().clone());
        self.folder.kill(shop, draws);
        let wire_listen = server.address.to_string();
        let shop = Shop::start_with(&self.folder, &["--listen", &listen, "--wire-listen", &wire_listen]).await;
        self.servers.send_replace(Server::read(&shop.data, server.start + 1));
        self.shop = Some(shop);
    }

    /// Waits until everybody has their answer, reads every row, and goes on. Are holds still open?
    async fn quiet(&mut self) -> bool {
        self.open.send_replace(false);
        let until = Instant::now() + PATIENCE;
        while self.sale.busy.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < until, "buyers still wait: {}", self.folder.log());
            sleep(Duration::from_millis(5)).await;
        }
        let mut rows = self.sale.rows(&self.api).await;
        // The engine's own proof, beside ours.
        let checked = self.servers.borrow().clone().check().await;
        assert_eq!(checked.rows, u64::from(self.sale.sizes.skus));
        let is_held = rows.iter().any(|row| row.held > 0) || checked.open_holds > 0;
        self.history.rows.append(&mut rows);
        is_held
    }

    /// What has happened up to now, as a share of all attempts in thousandths.
    fn progress(&self) -> u64 {
        let sizes = &self.sale.sizes;
        self.sale.wire_attempts.load(Ordering::SeqCst).min(sizes.attempts - sizes.checkouts) * 1_000 / (sizes.attempts - sizes.checkouts)
    }

    async fn reach(&self, thousandths: u64, patience: Duration) {
        let until = Instant::now() + patience;
        while self.progress() < thousandths {
            assert!(!self.sale.has_failed.load(Ordering::SeqCst), "a buyer failed: see above");
            assert!(Instant::now() < until, "{} thousandths of {thousandths}: {}", self.progress(), self.folder.log());
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The part of the attempts, in thousandths, within which the kill with this number comes.
fn killed_within(kill: u64, kills: u64) -> Range<u64> {
    (100 + 800 * kill / kills)..(100 + 800 * (kill + 1) / kills)
}

async fn sell_out(folder: Folder, sizes: Sizes) {
    let seed = number("EMPORION_SEED", u64::from(std::process::id()));
    println!("EMPORION_SEED={seed}");
    let mut draws = seed;
    let mut run = Run::start(folder, sizes).await;
    let (mut wire_buyers, mut guests) = (JoinSet::new(), JoinSet::new());
    for _ in 0..sizes.connections {
        let connection = Arc::new(Connection::new(run.servers.subscribe()));
        for _ in 0..sizes.buyers {
            let number = wire_buyers.len() as u64;
            let buyer = wire_buyer::Buyer::new(Arc::clone(&run.sale), Arc::clone(&connection), number, random(&mut draws));
            wire_buyers.spawn(buyer.buy());
        }
    }
    for _ in 0..sizes.guests {
        guests.spawn(http_buyer(Arc::clone(&run.sale), run.api.clone(), random(&mut draws)));
    }
    for kill in 0..sizes.kills {
        let part = killed_within(kill, sizes.kills);
        run.reach(part.start + random(&mut draws) % (part.end - part.start), PATIENCE * 20).await;
        sleep(Duration::from_micros(random(&mut draws) % 5_000)).await;
        run.kill(&mut draws).await;
        run.quiet().await;
        run.open.send_replace(true);
    }
    let mut lost = 0;
    for (mut exchanges, losses) in wire_buyers.join_all().await {
        run.history.exchanges.append(&mut exchanges);
        lost += losses;
    }
    let mut sold_out = 0;
    for (mut orders, refused) in guests.join_all().await {
        run.history.orders.append(&mut orders);
        sold_out += refused;
    }
    let took = run.sale.began.elapsed();
    // Nobody holds anything any more, but for what has yet to fall back.
    let until = Instant::now() + PATIENCE;
    while run.quiet().await {
        assert!(Instant::now() < until, "units are still held: {:?}", run.history.rows.last());
        sleep(Duration::from_millis(100)).await;
    }

    let history = &run.history;
    let last = &history.rows[history.rows.len() - sizes.skus as usize..];
    let (sold, left) = last.iter().fold((0, 0), |(sold, left), row| (sold + row.committed, left + row.available));
    assert_eq!(sold + left, sizes.units);
    let checking = Instant::now();
    let figures =
        history::check(history).unwrap_or_else(|violation| panic!("EMPORION_SEED={seed}: {violation:?}\n{}", told(history, &violation)));
    println!(
        "{} answers in {:.1} s, {lost} lost on the way; {} orders over HTTP, {sold_out} refused; {sold} units sold, {left} left\n{figures:?}, checked in {:.1} s",
        history.exchanges.len(),
        took.as_secs_f64(),
        history.orders.len(),
        checking.elapsed().as_secs_f64()
    );
    see_through_lies(&mut run.history, &mut draws);
    let history = &run.history;
    assert_eq!(history.orders.len() as u64 + sold_out, sizes.checkouts);
    assert_eq!(figures.expired + figures.released + figures.committed, figures.reserved);
    assert!(figures.short > 0 && figures.expired > 0 && figures.released > 0 && figures.committed > 0, "it was no sell-out: {figures:?}");
    assert!(figures.cut > 0 && figures.in_part > 0 && figures.extended > 0, "it was less than all there is: {figures:?}");
    let shop = run.shop.take().expect("it runs");
    let data = shop.data.clone();
    assert!(shop.stop().await.success(), "{}", run.folder.log());
    let (sound, says) = verify(&data);
    assert!(sound, "{says}");
}

/// Bends a few true answers by a unit: the checker must see it, but for a few that something without a place could explain.
fn see_through_lies(history: &mut History, draws: &mut u64) {
    let mut believed = 0;
    for _ in 0..LIES {
        let (at, first) = loop {
            let at = random(draws) as usize % history.exchanges.len();
            if let Exchange { ask: Ask::Reserve(body), answer: Answer::Reserved { replayed: false, .. }, .. } = &history.exchanges[at] {
                break (at, body.lines.iter().map(|line| line.sku == body.lines[0].sku).collect::<Vec<_>>());
            }
        };
        let exchange = &mut history.exchanges[at];
        let truth = exchange.answer.clone();
        if let Answer::Reserved { told, .. } = &mut exchange.answer {
            told.remaining.iter_mut().zip(first).filter(|(_, first)| *first).for_each(|(remaining, _)| *remaining += 1);
        }
        believed += u32::from(history::check(history).is_ok());
        history.exchanges[at].answer = truth;
    }
    println!("{believed} of {LIES} lies believed");
    assert!(believed * 4 <= LIES, "a checker that believes {believed} of {LIES} lies proves nothing");
}

/// The exchanges a violation names.
fn told(history: &History, violation: &history::Violation) -> String {
    violation.exchanges().into_iter().map(|at| format!("{:?}\n", history.exchanges[at])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_unit_is_sold_once_and_every_answer_is_true() {
    short_or_full(Folder::new()).await;
}

/// The form that the environment asks for.
pub(crate) async fn short_or_full(folder: Folder) {
    let sizes = match std::env::var("EMPORION_SELL_OUT").as_deref() {
        Ok("full") => FULL,
        Ok(other) => panic!("EMPORION_SELL_OUT={other}: full, or nothing for the short form"),
        Err(_) => SHORT,
    };
    sell_out(folder, sizes).await;
}

//! Whole shards over a disk in memory: what a client sees, with every write delayed until the driver says so.

use super::{
    Builder, Config, Restored, ShardCore,
    peer::{Ask, PeerMessage},
};
use crate::{
    events::{Catalog, Keep, tests::Files},
    log::{
        EntryVariant, LogIdentity, Next, Reader, SEGMENT_BYTES_MIN, SealedBatch, SegmentFile, SegmentNumber, SegmentPlan, SegmentSource,
        Start, Writer,
    },
    partition::Partition,
    record::v1::Command,
    replication::{Place, Said},
    seal::Keyring,
    shard::{
        CallToken, Input, Now, Output,
        files::{FileError, FileJob, FileStep},
    },
    shared::Shared,
};
use snapshots::segment_at;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use wire::{
    Address, Body, CartView, Currency, EffectOutcome, EffectResult, EffectWork, Failure, Filter, Idempotency, Millis, Money, Op,
    OpeningStock, OrderStatus, OrderView, PartitionId, PaymentMethod, PaymentStatus, Principal, ProductInput, ProductStatus, Refusal,
    Request, Response, Role, SearchQuery, ShardId, SkuRef, Topology, Upserted, VariantInput, placement,
};

mod contention;
mod facets;
mod feed;
mod index;
mod replicas;
mod reservations;
mod search_queries;
mod search_scores;
mod search_settings;
mod similar;
mod snapshots;
mod variants;
mod warehouse;

const PARTITIONS: u16 = 64;
const SEGMENT_BYTES: u64 = SEGMENT_BYTES_MIN * 8;

/// A node in memory: its shards, time that only moves when told, and entries as logged, for a restart.
struct Node {
    cores: Vec<ShardCore>,
    now: Now,
    next_token: u64,
    replies: Vec<(CallToken, Response)>,
    /// What earlier runs left.
    before: Vec<Logged>,
    /// Each shard's disk.
    disks: Vec<Disk>,
    /// Files beside the logs.
    files: Files,
    /// Jobs with files are not done.
    files_stand_still: bool,
    /// What becomes of a step instead: an error that ends its job.
    spoil: Option<fn(&FileStep) -> Option<FileError>>,
    /// Flips a bit of everything that is read.
    rots: bool,
    keep: Keep,
    generation: u32,
    /// Size of the logs' segments; four make a log that is cut.
    segment_bytes: u64,
    /// Messages between shards that never arrive.
    lose: Option<fn(&PeerMessage) -> bool>,
}

/// An entry as read back: partition, index, time, body.
type Logged = (PartitionId, u64, Millis, Vec<u8>);

/// Segment files in memory.
#[derive(Default)]
struct Disk(BTreeMap<SegmentNumber, Vec<u8>>);

impl Disk {
    fn prepare(&mut self, plan: &SegmentPlan) {
        let taken = plan.from.as_deref().map(|from| self.0.remove(&segment_at(from)).expect("a released file is there"));
        let mut file = taken.unwrap_or_default();
        file.resize(usize::try_from(plan.bytes).expect("small files"), 0);
        self.0.insert(plan.number, file);
    }

    fn write(&mut self, batch: &SealedBatch) {
        let file = self.0.get_mut(&batch.segment).expect("it was prepared");
        let at = usize::try_from(batch.offset).expect("small files");
        file[at..at + batch.bytes().len()].copy_from_slice(batch.bytes());
    }
}

impl SegmentSource for Disk {
    fn segments(&mut self) -> std::io::Result<Vec<SegmentFile>> {
        Ok(self.0.iter().map(|(number, file)| SegmentFile { number: *number, bytes: file.len() as u64 }).collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let at = usize::try_from(offset).expect("small files");
        into.copy_from_slice(&self.0[&segment][at..at + into.len()]);
        Ok(())
    }
}

fn identity(generation: u32, shard: u16, shards: u16) -> LogIdentity {
    LogIdentity { folder: 1, generation, shard, shards }
}

const FOR_EVER: Keep = Keep { ms: u64::MAX / 2, bytes: u64::MAX };

fn config(shard: u16, shards: u16, shared: &Arc<Shared>, segment_bytes: u64) -> Config {
    Config {
        shard: ShardId(shard),
        shards,
        partitions: PARTITIONS,
        epoch: 1,
        folder: 1,
        log_bytes_max: 4 * segment_bytes,
        keyring: Keyring::new(&[7; 32]),
        shared: Arc::clone(shared),
        hold_ttl_ms: 15 * 60_000,
        decide_ms: 60 * 60_000,
        capture_at_once: true,
        providers: vec!["sandbox".to_owned()],
        events: FOR_EVER,
        cluster: None,
    }
}

impl Node {
    fn start(shards: u16, log: Vec<Logged>) -> Self {
        Self::start_with(shards, log, Files::default(), 1, FOR_EVER)
    }

    fn start_with(shards: u16, log: Vec<Logged>, files: Files, generation: u32, keep: Keep) -> Self {
        Self::start_small(shards, log, files, generation, keep, SEGMENT_BYTES)
    }

    fn start_small(shards: u16, log: Vec<Logged>, mut files: Files, generation: u32, keep: Keep, segment_bytes: u64) -> Self {
        let catalog = Arc::new(Catalog::read(&mut files, identity(1, 0, 1).folder, 1).expect("files this test wrote"));
        let shared = Arc::new(Shared::default());
        let now = Now { wall: Millis(1_800_000_000_000), mono_us: 0 };
        let cores = (0..shards).map(|shard| {
            let mut builder = Builder::new(Config { events: keep, ..config(shard, shards, &shared, segment_bytes) }, Arc::clone(&catalog));
            let snapshots = snapshots::restore(&files, |partition| placement::shard_of(partition, shards).0 == shard);
            let indexes: BTreeMap<PartitionId, u64> = snapshots.iter().map(|(index, state)| (state.id(), *index)).collect();
            for (index, state) in snapshots {
                let place = Place { term: u64::from(index > 0), index };
                builder.restore(Restored { partition: state, place, file_bytes: 0 }).expect("its own partition");
            }
            for (partition, index, time, body) in &log {
                let above = indexes.get(partition).is_none_or(|snapshot| index > snapshot);
                if placement::shard_of(*partition, shards).0 == shard && above {
                    let (term, index, time) = (1, *index, *time);
                    let said = Said::Entry { variant: EntryVariant::Command, term, index, time, body };
                    builder.replay(*partition, said).expect("a log this test wrote");
                }
            }
            assert_eq!(builder.events_ahead(), None);
            builder.finish(Writer::new(identity(generation, shard, shards), segment_bytes, Start::fresh()), now, [shard as u8; 32])
        });
        let cores: Vec<ShardCore> = cores.collect();
        let disks = cores.iter().map(|_| Disk::default()).collect();
        let mut node = Self {
            cores,
            now,
            next_token: 0,
            replies: Vec::new(),
            before: log,
            disks,
            lose: None,
            files,
            files_stand_still: false,
            spoil: None,
            rots: false,
            keep,
            generation,
            segment_bytes,
        };
        node.advance(1);
        node
    }

    /// Everything in memory is lost; the disks are read as a start reads them.
    fn restart(self, shards: u16) -> Self {
        let Self { cores, disks, before: mut log, mut files, generation, keep, segment_bytes, .. } = self;
        files.crash(u64::from(generation));
        let old = u16::try_from(cores.len()).expect("few shards");
        for (shard, disk) in (0..old).zip(disks) {
            let mut reader = Reader::new(disk, identity(generation, shard, old), None).expect("headers this test wrote");
            while let Next::Batch(batch) = reader.advance().expect("batches this test wrote") {
                for record in batch.records.filter(|record| record.index > 0) {
                    log.push((PartitionId(record.partition), record.index, Millis(record.time_ms), record.body.to_vec()));
                }
            }
        }
        Self::start_small(shards, log, files, generation + 1, keep, segment_bytes)
    }

    /// Lets time pass and everything settle.
    fn advance(&mut self, ms: u64) {
        self.now = Now { wall: self.now.wall.plus(ms), mono_us: self.now.mono_us + ms * 1_000 };
        let ticks = (0..self.cores.len()).map(|shard| (shard, Input::Tick)).collect();
        self.run(ticks);
    }

    fn run(&mut self, mut inputs: VecDeque<(usize, Input)>) {
        while let Some((shard, input)) = inputs.pop_front() {
            self.now.mono_us += 1;
            self.cores[shard].handle(self.now, input);
            while let Some(output) = self.cores[shard].poll_output() {
                match output {
                    Output::Write(batch) => {
                        self.disks[shard].write(&batch);
                        inputs.push_back((shard, Input::Written(batch)));
                    }
                    Output::Prepare(plan) => {
                        self.disks[shard].prepare(&plan);
                        inputs.push_back((shard, Input::Prepared(plan)));
                    }
                    Output::Files(_) if self.files_stand_still => {}
                    Output::Files(FileJob { id, steps }) => {
                        let read: Result<Vec<_>, FileError> = steps.iter().map(|step| self.step(shard, step)).collect();
                        let result = read.map(|read| read.into_iter().flatten().collect());
                        inputs.push_back((shard, Input::FilesDone { id, result }));
                    }
                    Output::Reply { token, response } => self.replies.push((token, response)),
                    Output::Peer { message, .. } if self.lose.is_some_and(|lose| lose(&message)) => {}
                    Output::Node { .. } | Output::Peers(_) => panic!("a node alone"),
                    Output::Peer { to, message } => {
                        let from = ShardId(u16::try_from(shard).expect("few shards"));
                        inputs.push_back((usize::from(to.0), Input::Peer { from, message }));
                    }
                }
            }
        }
    }

    fn send(&mut self, request: Request) -> CallToken {
        let shards = u16::try_from(self.cores.len()).expect("few shards");
        let shard = match placement::route(&request.op, Topology { partitions: PARTITIONS, shards }) {
            placement::Route::Partition(partition) => placement::shard_of(partition, shards),
            placement::Route::Shard(shard) => shard,
            placement::Route::Any => ShardId(0),
        };
        self.next_token += 1;
        let token = CallToken(self.next_token);
        self.run([(usize::from(shard.0), Input::Call { token, request })].into());
        token
    }

    fn reply(&mut self, token: CallToken) -> Option<Response> {
        let at = self.replies.iter().position(|(other, _)| *other == token)?;
        Some(self.replies.swap_remove(at).1)
    }

    fn call(&mut self, principal: Principal, op: Op) -> Result<Body, Failure> {
        let token = self.send(Request { principal, ..Request::system(op) });
        self.reply(token).expect("nothing it waits for is outside").result
    }

    fn admin(&mut self, op: Op) -> Result<Body, Failure> {
        self.call(Principal::Staff { role: Role::Admin }, op)
    }

    /// Does what adapters are asked for, until nothing is asked.
    fn work(&mut self, answer: impl Fn(&EffectWork) -> EffectOutcome) {
        loop {
            let mut any = false;
            for shard in 0..self.cores.len() {
                let shard = ShardId(u16::try_from(shard).expect("few shards"));
                let take = Op::TakeEffects { shard, adapters: vec!["sandbox".to_owned()], max: 10, lease_ms: 60_000, wait_ms: 0 };
                let token = self.send(Request::system(take));
                self.advance(1);
                let Some(Response { result: Ok(Body::Effects(effects)), .. }) = self.reply(token) else { panic!("no effects") };
                for effect in effects {
                    any = true;
                    let outcome = answer(&effect.work);
                    let result = EffectResult { id: effect.id, fence: effect.fence, outcome };
                    assert_eq!(self.call(Principal::System, Op::EffectResult(result)), Ok(Body::Done));
                }
            }
            if !any {
                break;
            }
        }
    }

    fn check(&self) {
        for core in &self.cores {
            for slot in core.state.borrow().partitions.values() {
                slot.partition.check().expect("the state fits together");
            }
        }
    }

    fn digests(&self) -> Vec<u64> {
        let mut all: Vec<(PartitionId, u64)> = Vec::new();
        for core in &self.cores {
            all.extend(core.state.borrow().partitions.iter().map(|(id, slot)| (*id, Partition::digest(&slot.partition))));
        }
        all.sort_unstable();
        all.into_iter().map(|(_, digest)| digest).collect()
    }
}

fn product(key: &str, title: &str, price: i64, stock: u32) -> Op {
    Op::PutProduct(Box::new(ProductInput {
        key: key.to_owned(),
        title: title.to_owned(),
        description: String::new(),
        brand: Some("Korvan".to_owned()),
        category: Some("printers/ink".to_owned()),
        attributes: Vec::new(),
        images: Vec::new(),
        variants: vec![VariantInput {
            key: key.to_owned(),
            options: Vec::new(),
            prices: vec![Money { amount: price, currency: Currency::USD }],
            barcodes: Vec::new(),
        }],
        stock: vec![OpeningStock { variant: key.to_owned(), location: "main".to_owned(), on_hand: stock }],
        popularity: 0,
        margin: None,
        released: None,
        status: ProductStatus::Active,
    }))
}

fn address() -> Address {
    Address {
        name: "Ada".to_owned(),
        line1: "1 Main St".to_owned(),
        line2: None,
        city: "Springfield".to_owned(),
        region: None,
        postal_code: "12345".to_owned(),
        country: "US".to_owned(),
        phone: None,
    }
}

fn cart_of(body: Result<Body, Failure>) -> CartView {
    match body {
        Ok(Body::Cart(cart)) => *cart,
        other => panic!("a cart was expected, not {other:?}"),
    }
}

fn order_of(body: Result<Body, Failure>) -> OrderView {
    match body {
        Ok(Body::Order(order)) => *order,
        other => panic!("an order was expected, not {other:?}"),
    }
}

/// A cart with `quantity` of `sku` and an address.
fn filled(node: &mut Node, partition: u16, sku: &str, quantity: u32) -> CartView {
    let cart = cart_of(node.call(Principal::Anonymous, Op::CreateCart { currency: Currency::USD, partition: PartitionId(partition) }));
    let guest = Principal::Guest { cart: cart.id };
    let add = Op::AddLine { cart: cart.id, sku: SkuRef::Key(sku.to_owned()), quantity };
    cart_of(node.call(guest, add));
    cart_of(node.call(guest, Op::SetAddress { cart: cart.id, address: address() }))
}

fn checkout(cart: &CartView, key: u128) -> Request {
    Request {
        principal: Principal::Guest { cart: cart.id },
        idempotency: Some(Idempotency { key, fingerprint: 1 }),
        ..Request::system(Op::Checkout {
            cart: cart.id,
            email: "ada@example.org".to_owned(),
            payment: PaymentMethod { provider: "sandbox".to_owned(), token: "pm_card_visa".to_owned() },
            accept_total: cart.totals.total,
            wait_ms: 5_000,
        })
    }
}

fn stock(node: &mut Node, sku: &str) -> (u32, u32, u32) {
    match node.admin(Op::GetStock(SkuRef::Key(sku.to_owned()))) {
        Ok(Body::Stock(view)) => (view.locations[0].available, view.locations[0].held, view.locations[0].committed),
        other => panic!("stock was expected, not {other:?}"),
    }
}

fn found(node: &mut Node, text: &str, filters: Vec<Filter>) -> Vec<String> {
    let query = SearchQuery { text: text.to_owned(), filters, limit: 10, ..SearchQuery::default() };
    match node.call(Principal::Anonymous, Op::Search(query)) {
        Ok(Body::Search(results)) => results.items.into_iter().map(|hit| hit.key).collect(),
        other => panic!("results were expected, not {other:?}"),
    }
}

#[test] // Each pair of titles is a slip apart; of some the products are on different shards, and one of these has not the word.
fn a_word_of_one_shard_is_not_taken_for_misspelt_by_another() {
    let mut node = Node::start(3, Vec::new());
    let names: Vec<(String, String)> = ('a'..='j').map(|letter| (format!("la{letter}px"), format!("la{letter}py"))).collect();
    for title in names.iter().flat_map(|(one, other)| [one, other]) {
        assert!(matches!(node.admin(product(title, title, 100, 1)), Ok(Body::Upserted { .. })));
    }
    for (one, other) in &names {
        assert_eq!(found(&mut node, one, Vec::new()), [one.as_str()]);
        assert_eq!(found(&mut node, other, Vec::new()), [other.as_str()]);
    }
    assert!(!found(&mut node, "laapz", Vec::new()).is_empty(), "nobody has this one");
}

#[test] // Whichever shard has the product.
fn hits_show_what_was_found_and_misspelt_words_are_spelt_right() {
    for shards in [1, 3] {
        let mut node = Node::start(shards, Vec::new());
        for (key, title) in [("1", "HP <80> Original Cyan"), ("2", "Garden chairs"), ("3", "Garden chair & table"), ("4", "Lamp")] {
            assert!(matches!(node.admin(product(key, title, 100, 1)), Ok(Body::Upserted { .. })));
        }
        let mut search = |text: &str, exact, highlight| {
            let query = SearchQuery { text: text.to_owned(), limit: 10, exact, highlight, ..SearchQuery::default() };
            match node.call(Principal::Anonymous, Op::Search(query)) {
                Ok(Body::Search(results)) => *results,
                other => panic!("results were expected, not {other:?}"),
            }
        };
        let marked = |results: wire::SearchResults| -> Vec<String> {
            let titles = results.items.into_iter().map(|hit| hit.highlight.map_or_else(String::new, |marks| marks.title));
            let mut titles: Vec<String> = titles.collect();
            titles.sort();
            titles
        };
        let found = search("gardne chair", false, true);
        assert_eq!(found.did_you_mean.as_deref(), Some("garden chair"));
        assert_eq!(marked(found), ["<em>Garden</em> <em>chair</em> &amp; table", "<em>Garden</em> <em>chairs</em>"]);
        assert_eq!(marked(search("80", false, true)), ["HP &lt;<em>80</em>&gt; Original Cyan"]);
        assert_eq!(marked(search("lamp", false, false)), [""], "only when asked");
        let exact = search("gardne", true, true);
        assert_eq!((exact.items.len(), exact.did_you_mean.as_deref()), (0, Some("garden")));
        assert_eq!(search("garden chair", false, false).did_you_mean, None);
    }
}

fn buys(shards: u16) {
    let mut node = Node::start(shards, Vec::new());
    for (key, title) in [("1399", "HP 80 Original Cyan"), ("1400", "HP 80 Original Magenta"), ("7", "Garden chair")] {
        let put = node.admin(product(key, title, 12_595, 2));
        assert!(matches!(put, Ok(Body::Upserted { what: Upserted::Created, version: 1, .. })), "{put:?}");
        assert_eq!(stock(&mut node, key), (2, 0, 0), "stock is there when the product is");
    }
    assert_eq!(found(&mut node, "cyan", vec![Filter::InStock(true)]), ["1399"]);
    let cart = filled(&mut node, 5, "1399", 2);
    assert_eq!((cart.totals.total.amount, cart.problems.len()), (25_190, 0));

    let token = node.send(checkout(&cart, 77));
    assert_eq!(stock(&mut node, "1399"), (0, 2, 0), "held before any payment");
    assert_eq!(found(&mut node, "cyan", vec![Filter::InStock(true)]), Vec::<String>::new());
    let again = node.send(checkout(&cart, 77));
    node.work(|_| EffectOutcome::Succeeded);
    let first = node.reply(token).expect("settled");
    let order = order_of(first.result);
    assert_eq!((order.status, order.payment_status), (OrderStatus::Open, PaymentStatus::Captured));
    assert_eq!(stock(&mut node, "1399"), (0, 0, 2));
    let replay = node.reply(again).expect("settled with the first");
    assert!(replay.replayed && !first.replayed);
    assert_eq!(order_of(replay.result).id, order.id);
    let closed = node.send(checkout(&cart, 78));
    assert_eq!(node.reply(closed).map(|r| r.result), Some(Err(Failure::Refused(Refusal::CartClosed))));
    node.check();

    // After a restart with another number of shards everything is as it was, the key included.
    let digests = node.digests();
    let mut node = node.restart(shards % 3 + 1);
    assert_eq!(node.digests(), digests);
    let replay = node.send(checkout(&cart, 77));
    let replay = node.reply(replay).expect("at once");
    assert_eq!((replay.replayed, order_of(replay.result).id), (true, order.id));
    assert_eq!(found(&mut node, "cyan", vec![]), ["1399"]);
    assert_eq!(found(&mut node, "cyan", vec![Filter::InStock(true)]), Vec::<String>::new());

    let cancel = Op::CancelOrder { order: order.id, reason: "changed my mind".to_owned(), wait_ms: 5_000 };
    let token = node.send(Request { principal: Principal::Guest { cart: cart.id }, ..Request::system(cancel) });
    node.work(|_| EffectOutcome::Succeeded);
    let cancelled = order_of(node.reply(token).expect("settled").result);
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert_eq!(stock(&mut node, "1399"), (2, 0, 0), "cancel restocks");
    node.check();
}

#[test] // Its first try may have been answered to nobody, and what it asked of other partitions be under way still.
fn a_product_put_again_is_answered_when_its_claims_and_rows_are_there() {
    let mut node = Node::start(3, Vec::new());
    node.lose = Some(
        |message| matches!(message, PeerMessage::Ask { ask: Ask::Propose(_, entry), .. } if matches!(entry.command, Command::FinaliseSku { .. })),
    );
    // Its claim is on another shard than the product.
    let key = (0..).map(|nth| format!("p-{nth}")).find(|key| {
        let of = |space| placement::shard_of(placement::partition_of(space, key.as_bytes(), PARTITIONS), 3);
        of(placement::Space::Product) != of(placement::Space::SkuClaim)
    });
    let key = key.expect("some key does");
    let put = || Request {
        principal: Principal::Staff { role: Role::Admin },
        idempotency: Some(Idempotency { key: 5, fingerprint: 1 }),
        ..Request::system(product(&key, "A lamp", 100, 2))
    };
    for _ in 0..2 {
        let token = node.send(put());
        assert_eq!(node.reply(token).map(|response| response.result), None, "its key is no SKU's yet");
    }
    let mut node = node.restart(3);
    let token = node.send(put());
    let again = node.reply(token).expect("everything is there");
    assert!(again.replayed && matches!(again.result, Ok(Body::Upserted { version: 1, .. })), "{again:?}");
    assert_eq!(stock(&mut node, &key), (2, 0, 0));
}

#[test]
fn a_guest_buys_on_one_shard() {
    buys(1);
}

#[test]
fn a_guest_buys_across_shards() {
    buys(2);
    buys(3);
}

#[test]
fn a_declined_payment_leaves_nothing_held_and_the_cart_open() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("A", "Lamp", 500, 1)).expect("stored");
    let cart = filled(&mut node, 1, "A", 1);
    let token = node.send(checkout(&cart, 1));
    node.work(|_| EffectOutcome::Refused { code: "insufficient_funds".to_owned() });
    let refusal = Refusal::PaymentDeclined { decline_code: "insufficient_funds".to_owned() };
    assert_eq!(node.reply(token).map(|r| r.result), Some(Err(Failure::Refused(refusal))));
    assert_eq!(stock(&mut node, "A"), (1, 0, 0));
    let token = node.send(checkout(&cart, 2));
    node.work(|_| EffectOutcome::Succeeded);
    assert_eq!(order_of(node.reply(token).expect("settled").result).status, OrderStatus::Open);
    node.check();
}

#[test]
fn more_buyers_than_units() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("A", "Lamp", 500, 5)).expect("stored");
    let carts: Vec<CartView> = (0..20).map(|i| filled(&mut node, i, "A", 1)).collect();
    let tokens: Vec<CallToken> = carts.iter().enumerate().map(|(i, cart)| node.send(checkout(cart, 100 + i as u128))).collect();
    node.work(|_| EffectOutcome::Succeeded);
    let results: Vec<_> = tokens.into_iter().map(|token| node.reply(token).expect("settled").result).collect();
    let sold = results.iter().filter(|r| matches!(r, Ok(Body::Order(order)) if order.status == OrderStatus::Open)).count();
    let short = results.iter().filter(|r| matches!(r, Err(Failure::Refused(Refusal::InsufficientStock(_))))).count();
    assert_eq!((sold, short), (5, 15));
    assert_eq!(stock(&mut node, "A"), (0, 0, 5));
    node.check();
}

#[test]
fn an_undecided_order_ends_with_nothing_held() {
    let mut node = Node::start(1, Vec::new());
    node.admin(product("A", "Lamp", 500, 1)).expect("stored");
    let cart = filled(&mut node, 1, "A", 1);
    let token = node.send(checkout(&cart, 1));
    assert_eq!(stock(&mut node, "A"), (0, 1, 0));
    node.advance(6_000);
    let waiting = order_of(node.reply(token).expect("wait_ms passed").result);
    assert_eq!(waiting.status, OrderStatus::Placing);
    // The adapter is gone; log time advances at most 1.1 times as fast as the monotonic clock.
    node.advance(70 * 60_000);
    node.work(|_| EffectOutcome::Succeeded);
    for _ in 0..5 {
        node.advance(10);
        node.work(|_| EffectOutcome::Succeeded);
    }
    assert_eq!(stock(&mut node, "A"), (1, 0, 0));
    node.check();
}

#[test]
fn a_guest_sees_only_their_own() {
    let mut node = Node::start(1, Vec::new());
    node.admin(product("A", "Lamp", 500, 1)).expect("stored");
    let (mine, other) = (filled(&mut node, 1, "A", 1), filled(&mut node, 1, "A", 1));
    let not_found = Err(Failure::Refused(Refusal::NotFound));
    assert_eq!(node.call(Principal::Guest { cart: other.id }, Op::GetCart(mine.id)), not_found);
    assert_eq!(node.call(Principal::Anonymous, Op::GetCart(mine.id)), not_found);
    let forbidden = Err(Failure::Refused(Refusal::Forbidden));
    assert_eq!(node.call(Principal::Guest { cart: mine.id }, Op::GetStock(SkuRef::Key("A".to_owned()))), forbidden);
    assert_eq!(node.call(Principal::Anonymous, product("B", "Chair", 1, 1)), forbidden);
}

#[test] // The log refuses it only when it is appended, after the flows of the turn have run.
fn a_command_too_long_for_the_log_is_answered_at_once() {
    let mut node = Node::start(1, Vec::new());
    node.admin(product("big", "Big", 500, 1)).expect("stored");
    node.advance(100);
    // All else it needs is there by now, so that no other input comes along to move it on.
    let Op::PutProduct(mut input) = product("big", "Big", 500, 1) else { panic!("a product") };
    input.stock.clear();
    let word = "x".repeat(wire::limits::ATTRIBUTE_VALUE_BYTES_MAX);
    input.attributes = (0..wire::limits::ATTRIBUTES_MAX)
        .map(|number| wire::Attribute { name: format!("a{number}"), value: wire::AttributeValue::Keyword(word.clone()) })
        .collect();
    let refused = node.admin(Op::PutProduct(input));
    assert!(matches!(refused, Err(Failure::Refused(Refusal::LimitReached { .. }))), "{refused:?}");
    assert_eq!(node.cores[0].calls(), 0, "no call is left waiting");
    node.check();
}

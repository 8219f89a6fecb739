//! Random histories: nothing stops a partition, its checks hold after every command, and a replay of its log gives the same state.

use super::sku;
use crate::domain::product::tests::plain;
use crate::partition::{Changes, Done, Outcome, Partition, outbox::Target, peer_outcome, snapshot::tests::Snapshots};
use crate::record::{
    self,
    v1::{self, Command, Entry, HoldLine, OpeningStock, PeerOutcome, PlaceOrder, PricedLine, Source, Sourcing, StockChange},
};
use crate::seal::Keyring;
use proptest::{collection::vec, prelude::*, sample::select};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    ActionOutcome, AnnouncementId, CartId, Currency, EffectOutcome, EventField, EventId, FeedEvent, HoldId, Idempotency, LineId, Millis,
    Money, OrderId, PartitionId, ProductId, RawId, Seq, SkuId, TransferId, limits::SHOWN_QUANTITY_MAX,
};

/// One step of a history. Numbers choose among what there is, modulo how much there is.
#[derive(Clone, Debug)]
enum Step {
    /// A command with all its parts given.
    Entry {
        command: Command,
        key: Option<(u8, u8)>,
        if_match: Option<u64>,
    },
    /// Milliseconds pass, or seem to go back.
    Wait(i64),
    /// The nth open effect for a partition is carried out here, and answered; the same answer comes `times`.
    Answer {
        nth: usize,
        times: usize,
    },
    /// The nth open effect is answered with something nobody said.
    Lie {
        nth: usize,
        answer: PeerOutcome,
    },
    /// An adapter leases all it can and gives one result of the nth, under a fence that is off by `stale`.
    Adapter {
        nth: usize,
        outcome: EffectOutcome,
        stale: u64,
    },
    /// The nth cart, or the nth order, is asked for something.
    Cart {
        nth: usize,
        what: CartStep,
    },
    Order {
        nth: usize,
        what: OrderStep,
    },
    Timers(u32),
    /// The nth announcement, or the nth transfer, is met; or a reservation is.
    Goods {
        nth: usize,
        what: GoodsStep,
    },
    /// A snapshot begins, or goes on by so many bytes.
    Snapshot(usize),
    /// One that is under way is given up.
    Thaw,
}

#[derive(Clone, Debug)]
enum GoodsStep {
    Withdraw(u128),
    Receive(u128, Vec<(u128, u32)>),
    Arrive(u128, Option<Vec<(u128, u32, u32, u32)>>),
    Recall(u128),
    Reserve { quantity: Vec<(u128, u32)>, partial: bool },
    CommitReserved,
    CommitPart(Vec<(u128, u32)>),
    ReleaseReserved,
}

#[derive(Clone, Debug)]
enum CartStep {
    Add(u8, u32),
    Set(usize, u32),
    Address,
    Place { capture: bool, key: Option<u8>, short: bool },
}

#[derive(Clone, Debug)]
enum OrderStep {
    Cancel,
    Act(ActionOutcome),
    Resource(u16),
}

/// The partition, its clock and the log it came from.
struct History {
    partition: Partition,
    time: u64,
    log: Vec<(Millis, Vec<u8>)>,
    carts: Vec<CartId>,
    announcements: Vec<AnnouncementId>,
    transfers: Vec<TransferId>,
    reservations: Vec<HoldId>,
    /// Some hold may be owed all it asked for, and so be on no row.
    policies: bool,
    changes: Changes,
    told: Told,
    snapshots: Snapshots,
}

/// What the feed told, and what a reader of it knows.
#[derive(Default)]
struct Told {
    events: Vec<FeedEvent>,
    /// What shoppers see of each row.
    shown: BTreeMap<(SkuId, String), u64>,
}

impl Told {
    /// Events are named and numbered in order, and tell what shoppers see of every row that ever had some.
    fn follow(&mut self, partition: &Partition, seq: Seq, events: &[FeedEvent]) {
        for (nth, event) in (0u32..).zip(events) {
            assert_eq!((event.position.seq, event.nth, event.id.partition()), (seq, nth, partition.id()));
            assert!(self.events.last().is_none_or(|last| last.id < event.id && last.place() < event.place() && last.at <= event.at));
            if let [EventField::Sku(sku), EventField::Location(location), EventField::Quantity(after), EventField::QuantityBefore(before)] =
                &event.data[..]
            {
                let known = self.shown.insert((*sku, location.clone()), *after).unwrap_or(0);
                assert_eq!(known, *before, "{event:?}");
            }
            self.events.push(event.clone());
        }
        for (sku, location, row) in partition.stock().rows() {
            let known = self.shown.get(&(sku, location.to_owned())).copied().unwrap_or(0);
            assert_eq!(known, u64::from(row.available.0.min(SHOWN_QUANTITY_MAX)), "of {sku} at {location}, by {events:?}");
        }
    }
}

const PARTITIONS: u16 = 64;

fn fresh() -> Partition {
    Partition::new(PartitionId(3), 1, PARTITIONS)
}

impl History {
    fn apply(&mut self, entry: &Entry) -> Outcome {
        let mut bytes = Vec::new();
        record::encode(entry, &mut bytes).expect("entries are small");
        self.log.push((Millis(self.time), bytes));
        self.policies |= matches!(entry.command, Command::SetPolicy { .. });
        let before = self.partition.seq().0;
        self.changes.clear();
        let applied = self.partition.apply(Millis(self.time), entry, &mut self.changes);
        assert_eq!(applied.seq.0, before + 1, "every entry takes one number");
        assert!(self.changes.effects.is_sorted());
        self.told.follow(&self.partition, applied.seq, &self.changes.events);
        match self.partition.check() {
            Ok(checked) if self.policies => assert!(checked.open_holds >= self.open_holds(), "after {entry:?}"),
            Ok(checked) => assert_eq!(checked.open_holds, self.open_holds(), "after {entry:?} gave {:?}", applied.outcome),
            Err(broken) => panic!("{broken}, after {entry:?} gave {:?}", applied.outcome),
        }
        if let (Command::CreateCart { .. }, Ok(Done::Cart(cart))) = (&entry.command, &applied.outcome) {
            self.carts.push(*cart);
        }
        if let Ok(Done::Goods(goods)) = &applied.outcome {
            self.announcements.extend(goods.told.announcement.filter(|id| !self.announcements.contains(id)));
            self.transfers.extend(goods.told.transfer.filter(|id| !self.transfers.contains(id)));
        }
        applied.outcome
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Entry { command, key, if_match } => {
                let idempotency = key.map(|(key, print)| Idempotency { key: key.into(), fingerprint: print.into() });
                self.apply(&Entry { idempotency, if_match: *if_match, trace: 0, command: command.clone() }).ok();
            }
            Step::Wait(ms) => self.time = self.time.saturating_add_signed(*ms),
            Step::Answer { nth, times } => {
                let Some((effect, command)) = self.nth_for_partition(*nth) else { return };
                let answer = peer_outcome(&self.apply(&Entry::of(command)));
                for _ in 0..*times {
                    self.apply(&Entry::of(Command::EffectAnswered { effect, answer: answer.clone() })).ok();
                }
            }
            Step::Lie { nth, answer } => {
                let Some(effect) = nth_of(*nth, self.partition.outbox().open.keys().copied()) else { return };
                self.apply(&Entry::of(Command::EffectAnswered { effect, answer: answer.clone() })).ok();
            }
            Step::Adapter { nth, outcome, stale } => {
                let effects: Vec<_> = self.partition.outbox().leasable(Millis(self.time)).map(|(id, _)| id).collect();
                let lease = Command::LeaseEffects { effects: effects.clone(), holder: "test".to_owned(), ttl_ms: 30_000 };
                self.apply(&Entry::of(lease)).expect("leases are always given an answer");
                let fence = self.partition.seq().0 - stale;
                let Some(effect) = nth_of(*nth, effects.into_iter()) else { return };
                self.apply(&Entry::of(Command::EffectResult { effect, fence, outcome: outcome.clone() })).ok();
            }
            Step::Cart { nth, what } => self.cart(*nth, what),
            Step::Goods { nth, what } => self.goods(*nth, what),
            Step::Order { nth, what } => {
                let Some(order) = nth_of(*nth, self.partition.orders().map(|order| order.id)) else { return };
                let command = match what {
                    OrderStep::Cancel => Command::CancelOrder { order, reason: "changed my mind".to_owned() },
                    OrderStep::Act(outcome) => Command::PaymentAction { order, outcome: *outcome },
                    OrderStep::Resource(attempt) => Command::ResourceOrder { order, attempt: *attempt, plan: Sourcing::Short(vec![]) },
                };
                self.apply(&Entry::of(command)).ok();
            }
            Step::Snapshot(bytes) => self.snapshots.step(&mut self.partition, self.log.len(), *bytes),
            Step::Thaw => self.snapshots.give_up(&mut self.partition),
            Step::Timers(max) => {
                self.apply(&Entry::of(Command::RunTimers { max: *max })).expect("timers always run");
            }
        }
    }

    fn goods(&mut self, nth: usize, what: &GoodsStep) {
        let announcement = nth_of(nth, self.announcements.iter().copied()).unwrap_or(AnnouncementId(RawId(7)));
        let transfer = nth_of(nth, self.transfers.iter().copied()).unwrap_or(TransferId(RawId(7)));
        let hold = nth_of(nth, self.reservations.iter().copied()).unwrap_or(HoldId(RawId(7)));
        let lines = |lines: &[(u128, u32)]| lines.iter().map(|(n, quantity)| HoldLine { sku: sku(*n), quantity: *quantity }).collect();
        let main = "main".to_owned();
        let command = match what {
            GoodsStep::Withdraw(id) => Command::WithdrawStock { id: *id, announcement },
            GoodsStep::Receive(id, came) => Command::ReceiveAnnounced { id: *id, announcement, location: main, lines: lines(came) },
            GoodsStep::Arrive(id, came) => {
                let arrived = |&(n, whole, damaged, lost): &(u128, u32, u32, u32)| v1::Arrived { sku: sku(n), whole, damaged, lost };
                Command::ArriveStock { id: *id, transfer, lines: came.as_ref().map(|came| came.iter().map(arrived).collect()) }
            }
            GoodsStep::Recall(id) => Command::RecallStock { id: *id, transfer },
            GoodsStep::Reserve { quantity, partial } => {
                let hold = HoldId(RawId(u128::from(self.time) << 80 | nth as u128));
                self.reservations.push(hold);
                let owner = OrderId(RawId(1));
                Command::Reserve { hold, owner, location: main, lines: lines(quantity), ttl_ms: 60_000, partial: *partial }
            }
            GoodsStep::CommitReserved => Command::CommitReserved { hold },
            GoodsStep::CommitPart(sold) => Command::CommitReservedPart { hold, location: main, lines: lines(sold) },
            GoodsStep::ReleaseReserved => Command::ReleaseReserved { hold },
        };
        self.apply(&Entry::of(command)).ok();
    }

    /// Counted anew from the rows.
    fn open_holds(&self) -> u64 {
        let holds = self.partition.stock().rows().flat_map(|(sku, ..)| self.partition.stock_holds(sku));
        holds.map(|hold| hold.id).collect::<BTreeSet<_>>().len() as u64
    }

    fn cart(&mut self, nth: usize, what: &CartStep) {
        let Some(id) = nth_of(nth, self.carts.iter().copied()) else { return };
        let Some(cart) = self.partition.cart(id) else { return };
        let mut idempotency = None;
        let command = match what {
            CartStep::Add(n, quantity) => {
                Command::AddLine { cart: id, sku: sku(u128::from(*n)), product: ProductId(RawId(1)), quantity: *quantity }
            }
            CartStep::Set(at, quantity) => {
                let line = nth_of(*at, cart.lines.iter().map(|line| line.id)).unwrap_or(LineId(RawId(9)));
                Command::SetLineQuantity { cart: id, line, quantity: *quantity }
            }
            CartStep::Address => {
                let address = v1::Address {
                    name: "Ada".to_owned(),
                    line1: "1 Row".to_owned(),
                    line2: None,
                    city: "London".to_owned(),
                    region: None,
                    postal_code: "N1".to_owned(),
                    country: "GB".to_owned(),
                    phone: None,
                };
                Command::SetAddress { cart: id, address: Keyring::new(&[1; 32]).seal(&address, [2; 12]) }
            }
            CartStep::Place { capture, key, short } => {
                idempotency = key.map(|key| Idempotency { key: u128::from(key) + 1_000, fingerprint: 1 });
                let price = Money { amount: 100, currency: Currency::USD };
                let priced = |line: &crate::domain::cart::CartLine| PricedLine {
                    line: line.id,
                    sku: line.sku,
                    quantity: line.quantity,
                    title: "Thing".to_owned(),
                    unit_price: Some(price),
                };
                let hold_lines = cart.lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity }).collect();
                let total = cart.lines.iter().map(|line| i64::from(line.quantity) * 100).sum();
                let source = Source { location: "main".to_owned(), partition: PartitionId(7), lines: hold_lines };
                let keyring = Keyring::new(&[1; 32]);
                Command::PlaceOrder(Box::new(PlaceOrder {
                    cart: id,
                    cart_version: cart.version,
                    email: keyring.seal(&"ada@example.org".to_owned(), [3; 12]),
                    provider: "sandbox".to_owned(),
                    token: keyring.seal(&"pm_card_visa".to_owned(), [4; 12]),
                    accept_total: Money { amount: total, currency: Currency::USD },
                    lines: cart.lines.iter().map(priced).collect(),
                    plan: if *short { Sourcing::Short(vec![]) } else { Sourcing::From(vec![source]) },
                    gathered_at: Millis(self.time),
                    hold_ttl_ms: 900_000,
                    decide_ms: 3_600_000,
                    capture: *capture,
                }))
            }
        };
        self.apply(&Entry { idempotency, ..Entry::of(command) }).ok();
    }

    fn nth_for_partition(&self, nth: usize) -> Option<(EventId, Command)> {
        let peer = |(id, effect): (&EventId, &crate::partition::outbox::Effect)| match &effect.target {
            Target::Partition(_, command) => Some((*id, command.clone())),
            Target::Adapter { .. } => None,
        };
        nth_of(nth, self.partition.outbox().open.iter().filter_map(peer))
    }

    /// Carries out everything that waits, so that the end of a history is looked at and not only its middle.
    fn settle(&mut self) {
        // The clock may have gone back; log time has not.
        self.time = self.time.max(self.partition.last_time().0);
        for _ in 0..400 {
            self.time += 1_000;
            if let Some((effect, command)) = self.nth_for_partition(0) {
                let answer = peer_outcome(&self.apply(&Entry::of(command)));
                self.apply(&Entry::of(Command::EffectAnswered { effect, answer })).expect("answers are taken");
            } else if self.partition.outbox().open.is_empty() {
                return;
            } else {
                self.time += 30_000;
                self.step(&Step::Adapter { nth: 0, outcome: EffectOutcome::Succeeded, stale: 0 });
            }
        }
        panic!("the outbox does not empty: {:?}", self.partition.outbox().open);
    }
}

fn nth_of<T>(nth: usize, all: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    if all.is_empty() { None } else { Some(all.swap_remove(nth % all.len())) }
}

fn any_key() -> impl Strategy<Value = String> {
    select(vec!["A", "B", "C", "D"]).prop_map(str::to_owned)
}

fn any_product() -> impl Strategy<Value = Command> {
    let margin = prop_oneof![3 => Just(None), 1 => (-101i8..=101).prop_map(Some)];
    (any_key(), vec(any_key(), 0..4), 0u32..30, any::<bool>(), -1i64..3, margin).prop_map(
        |(key, variants, on_hand, with_stock, price, margin)| {
            let keys: Vec<&str> = variants.iter().map(String::as_str).collect();
            let mut product = plain(&key, &keys);
            for variant in &mut product.variants {
                variant.prices[0].amount = price;
            }
            if with_stock {
                let row = |key: &&str| OpeningStock {
                    variant: (*key).to_owned(),
                    location: "main".to_owned(),
                    partition: PartitionId(7),
                    on_hand,
                };
                product.stock = keys.iter().map(row).collect();
            }
            let content = Box::new(product);
            match margin {
                Some(margin) => Command::PutProductWithMargin { content, margin },
                None => Command::PutProduct(content),
            }
        },
    )
}

fn any_stock() -> impl Strategy<Value = Command> {
    let small = 0u32..20;
    let change = prop_oneof![
        (-20i64..40).prop_map(StockChange::Delta),
        small.clone().prop_map(StockChange::Set),
        (small.clone(), small.clone()).prop_map(|(set, expected)| StockChange::CompareAndSet { set, expected }),
        select(vec![i64::MIN, i64::MAX]).prop_map(StockChange::Delta),
        Just(StockChange::Set(u32::MAX)),
    ];
    let location = || select(vec!["main", "east", ""]).prop_map(str::to_owned);
    let hold = || (0u128..6).prop_map(|id| HoldId(RawId(id)));
    let lines = vec((0u128..4, prop_oneof![4 => 0u32..8, 1 => Just(u32::MAX)]), 0..4);
    let parts = lines.clone();
    prop_oneof![
        (0u128..20, 0u128..4, location(), change).prop_map(|(id, n, location, change)| Command::AdjustStock {
            id,
            sku: sku(n),
            location,
            change,
            reason: String::new()
        }),
        (0u128..20, 0u128..4, location(), small).prop_map(|(id, n, location, on_hand)| Command::OpenStock {
            id,
            sku: sku(n),
            location,
            on_hand
        }),
        (hold(), location(), lines, select(vec![0, 60_000, u64::MAX])).prop_map(|(hold, location, lines, ttl_ms)| Command::Hold {
            hold,
            order: OrderId(RawId(1)),
            location,
            lines: lines.into_iter().map(|(n, quantity)| HoldLine { sku: sku(n), quantity }).collect(),
            ttl_ms
        }),
        (hold(), location(), parts).prop_map(|(hold, location, lines)| Command::HoldPart {
            hold,
            order: OrderId(RawId(1)),
            location,
            lines: lines.into_iter().map(|(n, quantity)| HoldLine { sku: sku(n), quantity }).collect(),
            ttl_ms: 60_000
        }),
        hold().prop_map(|hold| Command::Pin { hold }),
        hold().prop_map(|hold| Command::CommitHold { hold }),
        hold().prop_map(|hold| Command::ReleaseHold { hold }),
        hold().prop_map(|hold| Command::Restock { hold }),
    ]
}

fn any_warehouse() -> impl Strategy<Value = Command> {
    let location = || select(vec!["main", "east", "far", ""]).prop_map(str::to_owned);
    let lines = || vec((0u128..4, prop_oneof![8 => 0u32..6, 1 => Just(u32::MAX)]), 0..4);
    let lines = move || lines().prop_map(|all| all.into_iter().map(|(n, quantity)| HoldLine { sku: sku(n), quantity }).collect());
    let step = select(vec![v1::ApartStep::SetApart, v1::ApartStep::PutBack, v1::ApartStep::WriteOff]);
    let why = select(vec![v1::Unavailable::Damaged, v1::Unavailable::Other]);
    let policy = prop_oneof![
        Just(v1::BackorderPolicy::Deny),
        (0u32..9).prop_map(|limit| v1::BackorderPolicy::Backorder { limit }),
        (0u32..9, 0u64..9)
            .prop_map(|(limit, later)| v1::BackorderPolicy::Preorder { limit, until: Millis(1_700_000_000_000 + later * 1_000_000) }),
    ];
    prop_oneof![
        3 => (0u128..20, 0u128..4, location(), step, why, 0u32..6).prop_map(|(id, n, location, step, why, units)| Command::MoveApart {
            id,
            sku: sku(n),
            location,
            step,
            why,
            units
        }),
        2 => (location(), lines(), 0u64..3).prop_map(|(location, lines, due)| Command::AnnounceStock {
            location,
            due: Millis(due),
            reference: "A".to_owned(),
            lines
        }),
        1 => (0u128..20, location(), lines()).prop_map(|(id, location, lines)| Command::ReceiveStock { id, location, lines }),
        3 => (location(), location(), lines()).prop_map(|(from, to, lines)| Command::SendStock { from, to, lines }),
        2 => (0u128..4, location(), policy, proptest::option::of(0u32..5)).prop_map(|(n, location, policy, low_stock)| Command::SetPolicy {
            sku: sku(n),
            location,
            policy,
            low_stock
        }),
        1 => (0u128..4, proptest::option::of(0u32..5), proptest::option::of(0u32..5))
            .prop_map(|(n, per_order, per_customer)| Command::SetPurchaseLimit { sku: sku(n), per_order, per_customer }),
    ]
}

fn any_goods() -> impl Strategy<Value = GoodsStep> {
    let lines = || vec((0u128..4, 0u32..5), 0..3);
    prop_oneof![
        1 => (0u128..20).prop_map(GoodsStep::Withdraw),
        2 => (0u128..20, lines()).prop_map(|(id, lines)| GoodsStep::Receive(id, lines)),
        3 => (0u128..20, proptest::option::of(vec((0u128..4, 0u32..4, 0u32..2, 0u32..2), 0..3)))
            .prop_map(|(id, lines)| GoodsStep::Arrive(id, lines)),
        1 => (0u128..20).prop_map(GoodsStep::Recall),
        4 => (lines(), any::<bool>()).prop_map(|(quantity, partial)| GoodsStep::Reserve { quantity, partial }),
        2 => Just(GoodsStep::CommitReserved),
        1 => lines().prop_map(GoodsStep::CommitPart),
        2 => Just(GoodsStep::ReleaseReserved),
    ]
}

fn any_catalog() -> impl Strategy<Value = Command> {
    let path = || vec(select(vec!["a", "b", ""]), 1..4).prop_map(|parts| parts.join("/"));
    prop_oneof![
        4 => any_product(),
        1 => (any::<u8>()).prop_map(|n| Command::DeleteProduct { product: ProductId(RawId(n.into())) }),
        1 => (any_key(), any_key()).prop_map(|(key, owner)| Command::ClaimSku { key, owner }),
        1 => (any_key(), any_key(), 0u128..5).prop_map(|(key, owner, n)| Command::FinaliseSku { key, owner, sku: sku(n) }),
        1 => (any_key(), any_key(), proptest::option::of(0u128..5))
            .prop_map(|(key, owner, n)| Command::ReleaseSku { key, owner, sku: n.map(sku) }),
        1 => path().prop_map(|key| Command::EnsureCategory { key }),
        1 => (path(), any_key(), proptest::option::of(path())).prop_map(|(key, name, parent)| Command::PutCategory { key, name, parent }),
        1 => any_search_setting(),
    ]
}

fn any_search_setting() -> impl Strategy<Value = Command> {
    use v1::search::{Pin, QueryPattern, SearchRule, SearchSetting, SearchSettingKind, Synonyms};
    let words = || vec(select(vec!["tv", "television", ""]).prop_map(str::to_owned), 0..3);
    let synonyms = (words(), words()).prop_map(|(typed, found)| SearchSetting::Synonyms(Synonyms { typed, found }));
    let rule = (words(), vec((0u16..3, 0u128..3), 0..3), vec(0u128..3, 0..2)).prop_map(|(words, pins, hidden)| {
        SearchSetting::Rule(Box::new(SearchRule {
            queries: words.into_iter().map(QueryPattern::Contains).collect(),
            pins: pins.into_iter().map(|(place, product)| Pin { place, product: ProductId(RawId(product)) }).collect(),
            hidden: hidden.into_iter().map(|product| ProductId(RawId(product))).collect(),
            boosts: Vec::new(),
            redirect: None,
            banner: None,
            from: None,
            until: Some(Millis(1)),
            enabled: true,
        }))
    });
    prop_oneof![
        3 => (any_key(), prop_oneof![synonyms, rule]).prop_map(|(key, setting)| Command::PutSearchSetting { key, setting }),
        1 => (select(vec![SearchSettingKind::Synonyms, SearchSettingKind::Rule]), any_key())
            .prop_map(|(kind, key)| Command::DeleteSearchSetting { kind, key }),
    ]
}

fn any_outcome() -> impl Strategy<Value = EffectOutcome> {
    prop_oneof![
        4 => Just(EffectOutcome::Succeeded),
        1 => Just(EffectOutcome::Refused { code: "card_declined".to_owned() }),
        1 => Just(EffectOutcome::RequiresAction { kind: "three_d_secure".to_owned(), url: None }),
        1 => Just(EffectOutcome::Unknown),
    ]
}

fn any_lie() -> impl Strategy<Value = PeerOutcome> {
    prop_oneof![
        Just(PeerOutcome::Done),
        Just(PeerOutcome::Held { remaining: vec![] }),
        Just(PeerOutcome::Short(vec![])),
        Just(PeerOutcome::Gone),
        Just(PeerOutcome::Refused { why: "full".to_owned() }),
        Just(PeerOutcome::Contended),
    ]
}

fn any_step(lies: bool) -> impl Strategy<Value = Step> {
    let command = prop_oneof![any_catalog(), any_stock(), any_warehouse(), Just(Command::CreateCart { currency: Currency::USD })];
    let entry = (command, proptest::option::weighted(0.2, (0u8..4, 0u8..2)), proptest::option::weighted(0.1, 0u64..4))
        .prop_map(|(command, key, if_match)| Step::Entry { command, key, if_match });
    let of_cart = prop_oneof![
        3 => (0u8..4, 0u32..4).prop_map(|(sku, quantity)| CartStep::Add(sku, quantity)),
        1 => (0usize..3, 0u32..4).prop_map(|(at, quantity)| CartStep::Set(at, quantity)),
        2 => Just(CartStep::Address),
        3 => (any::<bool>(), proptest::option::of(0u8..3), proptest::bool::weighted(0.1))
            .prop_map(|(capture, key, short)| CartStep::Place { capture, key, short }),
    ];
    let of_order = prop_oneof![
        Just(OrderStep::Cancel),
        select(vec![ActionOutcome::Success, ActionOutcome::Fail]).prop_map(OrderStep::Act),
        (0u16..4).prop_map(OrderStep::Resource),
    ];
    let honest = (0usize..9, 1usize..3).prop_map(|(nth, times)| Step::Answer { nth, times });
    prop_oneof![
        8 => entry,
        3 => prop_oneof![8 => 0i64..2_000_000, 1 => -5_000_000i64..0, 1 => Just(90_000_000)].prop_map(Step::Wait),
        8 => honest.clone(),
        1 => if lies { (0usize..9, any_lie()).prop_map(|(nth, answer)| Step::Lie { nth, answer }).boxed() } else { honest.boxed() },
        4 => (0usize..4, any_outcome(), select(vec![0, 0, 0, 1])).prop_map(|(nth, outcome, stale)| Step::Adapter { nth, outcome, stale }),
        6 => (0usize..3, of_cart).prop_map(|(nth, what)| Step::Cart { nth, what }),
        2 => (0usize..3, of_order).prop_map(|(nth, what)| Step::Order { nth, what }),
        1 => select(vec![0, 1, 5, u32::MAX]).prop_map(Step::Timers),
        6 => (0usize..6, any_goods()).prop_map(|(nth, what)| Step::Goods { nth, what }),
        4 => select(vec![0, 60, 300, 2_000, usize::MAX]).prop_map(Step::Snapshot),
        1 => proptest::bool::weighted(0.2).prop_map(|gives_up| if gives_up { Step::Thaw } else { Step::Snapshot(150) }),
    ]
}

/// Begins with stock at `main`, a cart and something in it, so that orders happen.
fn begun() -> History {
    let mut history = History {
        partition: fresh(),
        time: 1_700_000_000_000,
        log: Vec::new(),
        carts: Vec::new(),
        announcements: Vec::new(),
        transfers: Vec::new(),
        reservations: Vec::new(),
        policies: false,
        changes: Changes::default(),
        told: Told::default(),
        snapshots: Snapshots::default(),
    };
    let opening = |n: u128| Command::OpenStock { id: 100 + n, sku: sku(n), location: "main".to_owned(), on_hand: 9 };
    let cart = Command::CreateCart { currency: Currency::USD };
    for command in (0..4).map(opening).chain([cart.clone(), cart]) {
        history.apply(&Entry::of(command)).expect("there is room");
    }
    for nth in 0..2 {
        history.cart(nth, &CartStep::Add(0, 2));
        history.cart(nth, &CartStep::Address);
        history.cart(nth, &CartStep::Place { capture: true, key: None, short: false });
    }
    history
}

/// A partition made from the log, and what it told.
fn replayed(log: &[(Millis, Vec<u8>)]) -> (Partition, Vec<FeedEvent>) {
    let mut partition = fresh();
    let told = replay(&mut partition, log);
    (partition, told)
}

/// Applies what the log has, and gives what that told. The changes of all entries are gathered, as a shard may.
fn replay(partition: &mut Partition, log: &[(Millis, Vec<u8>)]) -> Vec<FeedEvent> {
    let mut changes = Changes::default();
    for (time, bytes) in log {
        let entry = record::decode(bytes).expect("encoded above");
        partition.apply(*time, &entry, &mut changes);
    }
    changes.events
}

/// A replay gives the same state, and tells the same events; so does one of what came after a snapshot, from there.
fn same_again(history: &mut History) {
    let (partition, events) = replayed(&history.log);
    assert_eq!(partition.digest(), history.partition.digest());
    assert_eq!(events, history.told.events);

    history.snapshots.end(&mut history.partition);
    for (at, mut restored) in history.snapshots.take_restored() {
        let since = restored.seq();
        let told = replay(&mut restored, &history.log[at..]);
        restored.check().expect("the restored partition is consistent");
        assert_eq!(restored.digest(), history.partition.digest(), "frozen after {at} of {} entries", history.log.len());
        assert!(history.told.events.iter().filter(|event| event.position.seq > since).eq(&told));
    }
}

proptest! {
    #[test]
    fn histories_replay_and_settle(steps in vec(any_step(false), 0..120)) {
        let mut history = begun();
        for step in &steps {
            history.step(step);
        }
        same_again(&mut history);
        history.step(&Step::Snapshot(0));

        // Past every deadline, with all questions answered: nothing is held for an order that did not come to be.
        history.settle();
        history.time += 7_200_000;
        while history.apply(&Entry::of(Command::RunTimers { max: 1_000 })) == Ok(Done::Timers { more: true }) {}
        history.settle();
        same_again(&mut history);
        let strays: Vec<_> = history.partition.stock().rows().filter(|(.., row)| row.held.0 > 0).collect();
        for (sku, ..) in strays {
            for hold in history.partition.stock_holds(sku) {
                prop_assert!(hold.owner == OrderId(RawId(1)), "held for an order though all is settled: {:?}", hold);
            }
        }
    }

    #[test] // Answers that no partition would give spoil an order, but not the partition.
    fn lies_do_no_more_than_spoil_their_order(steps in vec(any_step(true), 0..80)) {
        let mut history = begun();
        for step in &steps {
            history.step(step);
        }
        same_again(&mut history);
    }
}

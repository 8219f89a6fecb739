//! Fixtures: a small partition with something of every kind, item by item, byte for byte; and every variant of what is archived.
//!
//! `UPDATE_EXPECT=1` rewrites the texts. Once snapshots of version 1 are out that is a break of every one there is: add a version instead.

use super::super::Kind;
use super::super::fields::{put_archive, take_archive};
use super::restore_like;
use crate::domain::order::{AfterGivingBack, Ending, EventKind, HoldEnd, HoldState, PaymentState, Saga, WhenOpen};
use crate::domain::product::tests::plain;
use crate::partition::orders::Work;
use crate::partition::outbox::{Concern, Effect, Lease, Target};
use crate::partition::{Backordered, Changes, Done, Goods, Outcome, Partition};
use crate::record::v1::{self, Command, Entry, HoldLine, PeerOutcome, PlaceOrder, PricedLine, Source, Sourcing};
use crate::seal::Keyring;
use expect_test::expect_file;
use std::collections::BTreeSet;
use wire::{
    ActionOutcome, CartId, Currency, EffectOutcome, EventId, HoldId, Idempotency, Millis, Money, NextAction, OrderId, OrderStatus,
    PartitionId, ProductId, RawId, Refusal, SkuId, Upserted,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn sku(number: u128) -> SkuId {
    SkuId(RawId(number))
}

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A partition and its clock.
pub(super) struct Made {
    pub(super) partition: Partition,
    time: Millis,
}

impl Made {
    fn run(&mut self, command: Command) -> Outcome {
        self.entry(&Entry::of(command))
    }

    fn entry(&mut self, entry: &Entry) -> Outcome {
        self.time = self.time.plus(1_000);
        self.partition.apply(self.time, entry, &mut Changes::default()).outcome
    }

    /// The same, of a command that is not refused.
    fn done(&mut self, command: Command) -> Done {
        let shown = format!("{command:?}");
        self.run(command).unwrap_or_else(|refusal| panic!("{shown} gave {refusal:?}"))
    }

    /// Answers the open effects that `answer` knows an answer to.
    fn answer(&mut self, answer: impl Fn(&Command) -> Option<PeerOutcome>) {
        let open: Vec<_> = self.partition.outbox().open.iter().map(|(id, effect)| (*id, effect.target.clone())).collect();
        for (effect, target) in open {
            let Target::Partition(_, command) = target else { continue };
            if let Some(answer) = answer(&command) {
                self.done(Command::EffectAnswered { effect, answer });
            }
        }
    }

    /// A cart with two units, and its checkout.
    fn checkout(&mut self, decide_ms: u64) -> OrderId {
        let Done::Cart(cart) = self.done(Command::CreateCart { currency: Currency::USD }) else { panic!("a cart") };
        self.done(Command::AddLine { cart, sku: sku(1), product: ProductId(RawId(1)), quantity: 2 });
        let keyring = Keyring::new(&[1; 32]);
        let address = v1::Address {
            name: text("Ada"),
            line1: text("1 Mill Lane"),
            line2: None,
            city: text("Ely"),
            region: None,
            postal_code: text("CB6"),
            country: text("GB"),
            phone: None,
        };
        self.done(Command::SetAddress { cart, address: keyring.seal(&address, [2; 12]) });
        let cart = self.partition.cart(cart).expect("made").clone();
        let line = PricedLine { line: cart.lines[0].id, sku: sku(1), quantity: 2, title: text("Ink"), unit_price: Some(usd(500)) };
        let source = Source { location: text("ely"), partition: PartitionId(9), lines: vec![HoldLine { sku: sku(1), quantity: 2 }] };
        let place = PlaceOrder {
            cart: cart.id,
            cart_version: cart.version,
            email: keyring.seal(&text("ada@example.org"), [3; 12]),
            provider: text("sandbox"),
            token: keyring.seal(&text("pm_card_visa"), [4; 12]),
            accept_total: usd(1_000),
            lines: vec![line],
            plan: Sourcing::From(vec![source]),
            gathered_at: self.time,
            hold_ttl_ms: 900_000,
            decide_ms,
            capture: true,
        };
        let Done::Order(order) = self.done(Command::PlaceOrder(Box::new(place))) else { panic!("an order") };
        order
    }
}

/// A partition that has something of every kind.
pub(super) fn with_everything() -> Made {
    let mut made = Made { partition: Partition::new(PartitionId(3), 2, 64), time: Millis(1_764_000_000_000) };
    let line = |number, quantity| HoldLine { sku: sku(number), quantity };
    let main = || text("main");

    let key = Some(Idempotency { key: 12, fingerprint: 13 });
    made.entry(&Entry { idempotency: key, ..Entry::of(Command::EnsureCategory { key: text("ink/cyan") }) }).expect("made");
    made.done(Command::PutProduct(Box::new(v1::Product {
        stock: vec![v1::OpeningStock { variant: text("P-1"), location: main(), partition: PartitionId(7), on_hand: 5 }],
        ..plain("P", &["P-1"])
    })));
    made.done(Command::ClaimSku { key: text("Q-1"), owner: text("Q") });
    made.done(Command::ReleaseSku { key: text("Q-2"), owner: text("Q"), sku: Some(sku(8)) });

    for number in 1..=3 {
        made.done(Command::OpenStock { id: number, sku: sku(number), location: main(), on_hand: 20 });
    }
    made.done(Command::AdjustStock {
        id: 4,
        sku: sku(1),
        location: main(),
        change: v1::StockChange::CompareAndSet { set: 21, expected: 20 },
        reason: text("count"),
    });
    let why = v1::Unavailable::Quarantine;
    made.done(Command::MoveApart { id: 5, sku: sku(1), location: main(), step: v1::ApartStep::SetApart, why, units: 2 });
    let until = made.time.plus(DAY_MS);
    let preorder = v1::BackorderPolicy::Preorder { limit: 9, until };
    made.done(Command::SetPolicy { sku: sku(2), location: main(), policy: preorder, low_stock: Some(19) });
    made.done(Command::SetPurchaseLimit { sku: sku(3), per_order: Some(6), per_customer: Some(8) });

    let reserve = |time: Millis, rest: u128, line: HoldLine| Command::Reserve {
        hold: HoldId(RawId(u128::from(time.0) << 80 | rest)),
        owner: OrderId(RawId(40 + rest)),
        location: main(),
        lines: vec![line],
        ttl_ms: 600_000,
        partial: false,
    };
    // One that is owed two units, one that was sold and counts, one that is over.
    let time = made.time;
    made.done(reserve(time, 1, line(2, 22)));
    made.done(reserve(time, 2, line(3, 4)));
    made.done(Command::CommitReserved { hold: HoldId(RawId(u128::from(time.0) << 80 | 2)) });
    made.done(reserve(time, 3, line(1, 1)));
    made.done(Command::ReleaseReserved { hold: HoldId(RawId(u128::from(time.0) << 80 | 3)) });
    let held = |hold, quantity| Command::HoldPart {
        hold: HoldId(RawId(hold)),
        order: OrderId(RawId(50)),
        location: main(),
        lines: vec![line(1, quantity), line(3, 1)],
        ttl_ms: 900_000,
    };
    made.done(held(61, 1));
    made.done(held(62, 2));
    made.done(Command::Pin { hold: HoldId(RawId(62)) });
    made.done(held(63, 3));
    made.done(Command::CommitHold { hold: HoldId(RawId(63)) });
    made.done(Command::ReleaseHold { hold: HoldId(RawId(64)) });

    let due = made.time.plus(DAY_MS);
    made.done(Command::AnnounceStock { location: main(), due, reference: text("A-17"), lines: vec![line(1, 30)] });
    made.done(Command::ReceiveStock { id: 6, location: main(), lines: vec![line(3, 1)] });
    let Done::Goods(sent) = made.done(Command::SendStock { from: main(), to: text("far"), lines: vec![line(1, 6)] }) else {
        panic!("goods")
    };
    let transfer = sent.told.transfer.expect("made");
    let came = |whole| v1::Arrived { sku: sku(1), whole, damaged: 0, lost: 0 };
    made.done(Command::ArriveStock { id: 7, transfer, lines: Some(vec![came(1)]) });
    made.answer(|command| matches!(command, Command::LandStock { .. }).then(|| PeerOutcome::Refused { why: text("full") }));
    made.done(Command::ArriveStock { id: 8, transfer, lines: Some(vec![came(2)]) });
    made.answer(|command| matches!(command, Command::LandStock { .. }).then_some(PeerOutcome::Done));
    made.done(Command::LandStock { id: 9, location: main(), lines: vec![v1::Landed { sku: sku(3), whole: 1, damaged: 1 }] });

    // An order that is being paid, one that stands, and one that came to nothing.
    made.checkout(3_600_000);
    let yes = |command: &Command| match command {
        Command::Hold { .. } => Some(PeerOutcome::Held { remaining: vec![1] }),
        Command::Pin { .. } | Command::CommitHold { .. } | Command::ReleaseHold { .. } => Some(PeerOutcome::Done),
        _ => None,
    };
    (0..3).for_each(|_| made.answer(yes));
    let open: Vec<EventId> = made.partition.outbox().leasable(made.time).map(|(id, _)| id).collect();
    let Done::Leased { fence, effects } = made.done(Command::LeaseEffects { effects: open, holder: text("a"), ttl_ms: 30_000 }) else {
        panic!("a lease")
    };
    made.done(Command::EffectResult { effect: effects[0], fence, outcome: EffectOutcome::Succeeded });
    made.answer(yes);
    made.checkout(3_600_000);
    (0..3).for_each(|_| made.answer(yes));
    made.checkout(2_000);
    made.time = made.time.plus(2_000);
    made.done(Command::RunTimers { max: 100 });
    (0..3).for_each(|_| made.answer(yes));

    let synonyms = v1::search::Synonyms { typed: vec![text("tv")], found: vec![text("television"), text("flat screen")] };
    made.done(Command::PutSearchSetting { key: text("tv"), setting: v1::search::SearchSetting::Synonyms(synonyms) });
    let setting = v1::search::SearchSetting::Rule(Box::new(crate::record::tests::rule()));
    made.done(Command::PutSearchSetting { key: text("headphones"), setting });
    let setting = v1::search::SearchSetting::Ranking(v1::search::Ranking { popularity: 20, rating: 10, in_stock: 5 });
    made.done(Command::PutSearchSetting { key: text("default"), setting });
    made.partition.check().expect("consistent");
    made
}

/// All items, in chunks of one.
pub(super) fn items_of(partition: &mut Partition) -> Vec<Vec<u8>> {
    partition.freeze();
    let mut items = Vec::new();
    loop {
        let mut chunk = Vec::new();
        let more = partition.snapshot_step(&mut chunk, 1);
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let (header, after) = rest.split_first_chunk::<6>().expect("a header");
            let body = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
            items.push(rest[..6 + body].to_vec());
            rest = &after[body..];
        }
        if !more {
            return items;
        }
    }
}

fn kind_of(item: &[u8]) -> Kind {
    Kind::of_number(item[0]).expect("a known kind")
}

/// Sixteen bytes a row, as hex and as text.
fn dump(bytes: &[u8]) -> String {
    let row = |(at, row): (usize, &[u8])| {
        let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        format!("  {:04x}  {:<47}  {shown}\n", at * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

#[test]
fn every_kind_of_item_has_its_bytes() {
    let mut made = with_everything();
    let items = items_of(&mut made.partition);
    let kinds: BTreeSet<Kind> = items.iter().map(|item| kind_of(item)).collect();
    // Nodes have a fixture of their own, since they came later.
    let missing: Vec<_> = Kind::ALL.into_iter().filter(|kind| !kinds.contains(kind) && *kind != Kind::Node).collect();
    assert!(missing.is_empty(), "no item of {missing:?}");

    let shown: String = items.iter().map(|item| format!("{}, {} bytes\n{}", kind_of(item).name(), item.len(), dump(item))).collect();
    expect_file!["../fixtures/v1.txt"].assert_eq(&shown);
}

#[test] // A product with a margin beside one without, and the bytes of a ranking by margins.
fn a_margin_has_its_bytes() {
    let mut made = Made { partition: Partition::new(PartitionId(3), 2, 64), time: Millis(1_764_000_000_000) };
    made.done(Command::PutProductWithMargin { content: Box::new(plain("P", &["P-1"])), margin: -7 });
    made.done(Command::PutProduct(Box::new(plain("Q", &["Q-1"]))));
    let others = v1::search::Ranking { popularity: 20, rating: 10, in_stock: 5 };
    let setting = v1::search::SearchSetting::WiderRanking(v1::search::WiderRanking { others, margin: 15, proximity: 8 });
    made.done(Command::PutSearchSetting { key: text("default"), setting });
    let items = items_of(&mut made.partition);
    let of_these = |item: &&Vec<u8>| [Kind::Product, Kind::SearchSetting].contains(&kind_of(item));
    let shown = items.iter().filter(of_these).map(|item| format!("{}, {} bytes\n{}", kind_of(item).name(), item.len(), dump(item)));
    expect_file!["../fixtures/v1-margin.txt"].assert_eq(&shown.collect::<String>());

    let mut restored = restore_like(&made.partition, &items).expect("what was written");
    assert_eq!(restored.digest(), made.partition.digest());
    assert_eq!(items_of(&mut restored), items, "what was restored is written alike");
    for margin in [-101, 101_i8] {
        let mut spoiled = items.clone();
        let product = spoiled.iter_mut().find(|item| kind_of(item) == Kind::Product).expect("there are two");
        // Behind product, version, one SKU, and no stock row that was asked for.
        let at = 6 + 16 + 8 + (4 + 16) + 4;
        assert_eq!(product[at], (-7_i8).cast_unsigned());
        product[at] = margin.cast_unsigned();
        assert!(restore_like(&made.partition, &spoiled).is_err(), "{margin}");
    }
}

#[test]
fn nodes_have_their_bytes() {
    let mut made = Made { partition: Partition::new(PartitionId(0), 1, 64), time: Millis(1_764_000_000_000) };
    let facts = |name: &str| v1::cluster::NodeFacts {
        name: text(name),
        address: text("10.0.0.2:7443"),
        shards: 4,
        zone: text("b"),
        region: text("eu"),
    };
    for name in ["n-1", "n-2", "n-1"] {
        made.done(Command::AddNode { facts: facts(name) });
    }
    made.done(Command::SetNode { node: 2, standing: v1::cluster::Standing::Draining });
    let items = items_of(&mut made.partition);
    let of_these = |item: &&Vec<u8>| kind_of(item) == Kind::Node;
    let shown = items.iter().filter(of_these).map(|item| format!("{}, {} bytes\n{}", kind_of(item).name(), item.len(), dump(item)));
    expect_file!["../fixtures/v1-nodes.txt"].assert_eq(&shown.collect::<String>());
    let mut restored = restore_like(&made.partition, &items).expect("what was written");
    assert_eq!((restored.digest(), restored.nodes()), (made.partition.digest(), made.partition.nodes()));
    assert_eq!(items_of(&mut restored), items, "what was restored is written alike");
}

#[test] // Old bytes stay readable, not only writable.
fn the_fixture_restores() {
    let mut items: Vec<Vec<u8>> = Vec::new();
    for line in include_str!("../fixtures/v1.txt").lines() {
        match line.strip_prefix("  ") {
            None => items.push(Vec::new()),
            Some(row) => {
                let bytes = row[6..53].split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits"));
                items.last_mut().expect("a name comes first").extend(bytes);
            }
        }
    }
    let made = with_everything();
    let mut restored = restore_like(&made.partition, &items).expect("the fixture");
    assert_eq!(restored.digest(), made.partition.digest());
    restored.check().expect("consistent");
    assert_eq!(items_of(&mut restored), items, "what was restored is written alike");
}

/// One line for each value that is archived in items: its bytes, and that they read back.
fn archived<T>(shown: &mut String, values: &[T])
where
    T: rkyv::Archive + std::fmt::Debug + PartialEq,
    T: for<'a, 'o> rkyv::Serialize<
            rkyv::api::high::HighSerializer<&'o mut Vec<u8>, rkyv::ser::allocator::ArenaHandle<'a>, rkyv::rancor::Error>,
        >,
    T::Archived: for<'a> rkyv::bytecheck::CheckBytes<rkyv::api::high::HighValidator<'a, rkyv::rancor::Error>>
        + rkyv::Deserialize<T, rkyv::api::high::HighDeserializer<rkyv::rancor::Error>>,
{
    for value in values {
        let mut bytes = Vec::new();
        put_archive(value, &mut bytes);
        assert_eq!(take_archive::<T>(&mut bytes.as_slice()).as_ref(), Some(value));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        shown.push_str(&format!("{value:?}\n  {hex}\n"));
    }
}

#[test] // Tags of the enums in archives: a variant in another place would read as its neighbour.
fn every_archived_variant_has_its_bytes() {
    let (effect, time, order) = (EventId(RawId(1)), Millis(2), OrderId(RawId(3)));
    let payment = wire::PaymentId(RawId(4));
    let amount = usd(5);
    let mut shown = String::new();
    archived(
        &mut shown,
        &[
            Saga::Holding { attempt: 1 },
            Saga::NeedsSource { attempt: 1, not_before: time },
            Saga::Pinning { attempt: 1 },
            Saga::Authorising { effect },
            Saga::AwaitingAction { next: NextAction { kind: text("k"), url: None } },
            Saga::Confirming { effect },
            Saga::Stopping { effect, ending: Ending::Refused(Refusal::Contended) },
            Saga::Voiding { effect, ending: Ending::Expired },
            Saga::Committing { then: WhenOpen::Keep },
            Saga::Capturing { effect, then: WhenOpen::Cancel },
            Saga::Open,
            Saga::Refunding { effect },
            Saga::GivingBack { then: AfterGivingBack::Source { attempt: 1, wait_ms: 6 } },
            Saga::GivingBack { then: AfterGivingBack::End(Ending::CalledOff) },
            Saga::Ended { ending: Ending::Cancelled },
        ],
    );
    let ends = [HoldEnd::NotTaken, HoldEnd::Contended, HoldEnd::Gone, HoldEnd::Released, HoldEnd::Restocked, HoldEnd::Stuck];
    archived(&mut shown, &ends.map(HoldState::Ended));
    archived(
        &mut shown,
        &[
            HoldState::Waiting,
            HoldState::Asked(effect),
            HoldState::Held,
            HoldState::Pinning(effect),
            HoldState::Pinned,
            HoldState::Committing(effect),
            HoldState::Committed,
            HoldState::GivingBack { effect, end: HoldEnd::Released },
        ],
    );
    archived(
        &mut shown,
        &[
            PaymentState::Pending,
            PaymentState::Authorised,
            PaymentState::Captured { captured: 7, refunded: 1 },
            PaymentState::Voided,
            PaymentState::Failed { code: text("c") },
        ],
    );
    archived(
        &mut shown,
        &[
            EventKind::Placed,
            EventKind::Short,
            EventKind::Contended,
            EventKind::ActionRequired,
            EventKind::ActionTaken,
            EventKind::Authorised,
            EventKind::Declined,
            EventKind::Opened,
            EventKind::Captured,
            EventKind::CaptureFailed,
            EventKind::Voided,
            EventKind::VoidFailed,
            EventKind::Refunded,
            EventKind::RefundFailed,
            EventKind::StockLost,
            EventKind::RestockFailed,
            EventKind::CancelRequested,
            EventKind::Cancelled,
            EventKind::Refused,
            EventKind::Expired,
        ],
    );
    archived(&mut shown, &[OrderStatus::Placing, OrderStatus::Expired]);
    let adapter = |work| Effect {
        target: Target::Adapter { name: text("s"), work },
        concern: Concern::Order(order),
        lease: Some(Lease { fence: 1, until: time, times: 2 }),
    };
    let forget = Command::ForgetLanding { id: 8 };
    archived(
        &mut shown,
        &[
            adapter(Work::Authorise { payment, amount }),
            adapter(Work::Confirm { payment, outcome: ActionOutcome::Success }),
            adapter(Work::Capture { payment, amount }),
            adapter(Work::Void { payment }),
            adapter(Work::Refund { payment, number: 1, amount }),
            Effect { target: Target::Partition(PartitionId(9), forget.clone()), concern: Concern::None, lease: None },
            Effect {
                target: Target::Partition(PartitionId(9), forget),
                concern: Concern::Arrival(wire::TransferId(RawId(10)), 11),
                lease: None,
            },
        ],
    );
    let lines = vec![wire::ReservedLine { taken: 1, remaining: 2 }];
    let (id, version) = (ProductId(RawId(12)), 13);
    archived::<Outcome>(
        &mut shown,
        &[
            Ok(Done::Nothing),
            Ok(Done::Product { id, version, what: Upserted::Created }),
            Ok(Done::Category { id: wire::CategoryId(RawId(14)), what: Upserted::Unchanged }),
            Ok(Done::Cart(CartId(RawId(15)))),
            Ok(Done::Order(order)),
            Ok(Done::Stock { sku: sku(16), repeated: true }),
            Ok(Done::Held { remaining: vec![17] }),
            Ok(Done::Reserved { expires_at: time, lines: lines.clone(), replayed: false }),
            Ok(Done::Backordered(Box::new(Backordered {
                reserved: wire::Reserved { expires_at: time, lines },
                owed: vec![18],
                replayed: false,
            }))),
            Ok(Done::Extended { expires_at: time }),
            Ok(Done::Goods(Box::new(Goods { told: wire::GoodsDone { units: 19, ..wire::GoodsDone::default() }, replayed: true }))),
            Ok(Done::Leased { fence: 20, effects: vec![effect] }),
            Ok(Done::Timers { more: true }),
            Err(Refusal::NotFound),
            Err(Refusal::HistoryGone { last: wire::StockCursor { partition: PartitionId(21), serial: 22 } }),
        ],
    );
    expect_file!["../fixtures/v1-archives.txt"].assert_eq(&shown);
}

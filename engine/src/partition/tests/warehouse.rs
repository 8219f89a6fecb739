//! The warehouse through commands: units apart, deliveries, policies, what is owed, and what is told of it.

use super::{Bench, sku};
use crate::partition::{Done, Outcome, POLICIES_MAX, PURCHASE_KEPT_MS};
use crate::record::v1::{ApartStep, BackorderPolicy, Command, HoldLine, StockChange, Unavailable};
use wire::{
    AnnouncementId, GoodsDone, HoldId, InventoryRow, Millis, MovementCause, OrderId, PartitionId, RawId, Refusal, StockColumn, StockCursor,
    StockEvent, StockNews, limits,
};

fn main() -> String {
    "main".to_owned()
}

fn adjust(id: u128, delta: i64) -> Command {
    Command::AdjustStock { id, sku: sku(1), location: main(), change: StockChange::Delta(delta), reason: String::new() }
}

fn lines(lines: &[(u128, u32)]) -> Vec<HoldLine> {
    lines.iter().map(|(n, quantity)| HoldLine { sku: sku(*n), quantity: *quantity }).collect()
}

fn row(bench: &Bench) -> InventoryRow {
    bench.partition.stock().inventory(sku(1)).into_iter().next().unwrap_or_default()
}

fn told(outcome: Outcome) -> GoodsDone {
    match outcome {
        Ok(Done::Goods(goods)) => goods.told,
        other => panic!("goods were expected, not {other:?}"),
    }
}

fn policy(bench: &mut Bench, policy: BackorderPolicy, low_stock: Option<u32>) -> Outcome {
    bench.run(Command::SetPolicy { sku: sku(1), location: main(), policy, low_stock })
}

/// An id of a reservation made at the bench's time.
fn timed(bench: &Bench, n: u128) -> HoldId {
    HoldId(RawId(u128::from(bench.time) << 80 | n))
}

/// Reserves units of the first SKU for an owner; gives what was taken and what is owed.
fn reserve(bench: &mut Bench, hold: HoldId, owner: u128, quantity: u32) -> Result<(u32, u32), Refusal> {
    let owner = OrderId(RawId(owner));
    let lines = lines(&[(1, quantity)]);
    match bench.run(Command::Reserve { hold, owner, location: main(), lines, ttl_ms: 600_000, partial: false })? {
        Done::Reserved { lines, .. } => Ok((lines[0].taken, 0)),
        Done::Backordered(taken) => Ok((taken.reserved.lines[0].taken, taken.owed[0])),
        other => panic!("a reservation was expected, not {other:?}"),
    }
}

fn events(bench: &Bench, after: u64) -> Vec<StockEvent> {
    let after = StockCursor { partition: PartitionId(3), serial: after };
    bench.partition.stock().events(PartitionId(3), "main", Some(after), 100).expect("all are kept").items
}

#[test] // Each row: steps of 10 units (a: set apart, b: put back, w: write off, with reason and units), and available, damaged, quarantine, on hand.
fn units_are_set_apart_by_reason() {
    for (script, wanted) in [
        ("a:d:3", (7, 3, 0, 10)),
        ("a:d:3 a:q:2 b:d:1", (6, 2, 2, 8 + 2)),
        ("a:d:3 w:d:2", (7, 1, 0, 8)),
        ("a:d:11", (10, 0, 0, 10)),     // more than is available
        ("a:d:3 b:q:1", (7, 3, 0, 10)), // apart for another reason
        ("a:d:3 w:d:4", (7, 3, 0, 10)), // more than is apart
        ("a:d:0", (10, 0, 0, 10)),
    ] {
        let mut bench = Bench::new();
        bench.run(adjust(1, 10)).expect("set");
        for (nth, word) in script.split(' ').enumerate() {
            let parts: Vec<&str> = word.split(':').collect();
            let [step, why, units] = parts[..] else { panic!("three parts: {word}") };
            let step = match step {
                "a" => ApartStep::SetApart,
                "b" => ApartStep::PutBack,
                _ => ApartStep::WriteOff,
            };
            let why = if why == "d" { Unavailable::Damaged } else { Unavailable::Quarantine };
            let units = units.parse().expect("a number");
            let command = Command::MoveApart { id: nth as u128, sku: sku(1), location: main(), step, why, units };
            let first = bench.run(command.clone());
            let again = bench.run(command);
            match first {
                Ok(_) => assert_eq!(again, Ok(Done::Stock { sku: sku(1), repeated: true }), "{script}: once"),
                Err(refused) => assert_eq!(again, Err(refused), "{script}: refused again"),
            }
        }
        let found = row(&bench);
        let by_reason = (found.by_reason.damaged, found.by_reason.quarantine);
        assert_eq!((found.available, by_reason.0, by_reason.1, found.on_hand()), wanted, "{script}");
        assert_eq!(found.unavailable, by_reason.0 + by_reason.1);
    }
}

#[test]
fn what_is_apart_says_how_much_of_it() {
    let mut bench = Bench::new();
    bench.run(adjust(1, 10)).expect("set");
    let apart = |id, step, units| Command::MoveApart { id, sku: sku(1), location: main(), step, why: Unavailable::Safety, units };
    bench.run(apart(1, ApartStep::SetApart, 4)).expect("set apart");
    assert_eq!(bench.run(apart(2, ApartStep::WriteOff, 5)), Err(Refusal::StockApart { apart: 4 }));
    let committed = Refusal::StockCommitted { available: 6, held: 0, committed: 0 };
    assert_eq!(bench.run(apart(3, ApartStep::SetApart, 7)), Err(committed));
    let nowhere = Command::MoveApart { id: 4, sku: sku(2), location: main(), step: ApartStep::SetApart, why: Unavailable::Other, units: 1 };
    assert_eq!(bench.run(nowhere), Err(Refusal::StockCommitted { available: 0, held: 0, committed: 0 }));
}

#[test]
fn deliveries_are_expected_and_come() {
    let mut bench = Bench::new();
    let announce = |location: &str, lines| Command::AnnounceStock {
        location: location.to_owned(),
        due: Millis(5_000_000),
        reference: "ASN-7".to_owned(),
        lines,
    };
    let made = told(bench.run(announce("main", lines(&[(1, 10), (2, 5)]))));
    let announcement = made.announcement.expect("an id");
    assert_eq!((made.units, made.left), (15, 15));
    let found = row(&bench);
    assert_eq!((found.incoming, found.available, found.on_hand()), (10, 0, 0));
    let [expected] = &found.expected[..] else { panic!("one is expected") };
    assert_eq!((expected.announcement, expected.due, expected.quantity), (announcement, Millis(5_000_000), 10));
    assert_eq!(expected.reference, "ASN-7");

    let receive =
        |id, announcement, location: &str, lines| Command::ReceiveAnnounced { id, announcement, location: location.to_owned(), lines };
    let some = receive(1, announcement, "main", lines(&[(1, 12)]));
    let came = told(bench.run(some.clone()));
    assert_eq!((came.units, came.left, came.surplus), (12, 5, 2));
    assert_eq!((row(&bench).incoming, row(&bench).available), (0, 12));
    assert!(matches!(bench.run(some), Ok(Done::Goods(goods)) if goods.replayed), "once per id");
    assert_eq!(row(&bench).available, 12);
    bench.run(announce("east", lines(&[(1, 1)]))).expect("another location");
    let wrong = bench.run(receive(2, announcement, "east", lines(&[(2, 5)])));
    assert!(matches!(wrong, Err(Refusal::Invalid(_))), "{wrong:?}");
    let withdrawn = told(bench.run(Command::WithdrawStock { id: 3, announcement }));
    assert_eq!((withdrawn.units, withdrawn.left), (5, 0));
    assert_eq!(bench.run(receive(4, announcement, "main", lines(&[(2, 5)]))), Err(Refusal::NotFound), "it is closed");
    let unknown = AnnouncementId(RawId(9));
    assert_eq!(bench.run(Command::WithdrawStock { id: 5, announcement: unknown }), Err(Refusal::NotFound));
    let long = "x".repeat(limits::REFERENCE_BYTES_MAX + 1);
    let unnamed = Command::AnnounceStock { location: main(), due: Millis(0), reference: long, lines: lines(&[(1, 1)]) };
    assert!(matches!(bench.run(unnamed), Err(Refusal::Invalid(_))));
}

#[test]
fn what_is_owed_is_given_when_it_comes() {
    let mut bench = Bench::new();
    bench.run(adjust(1, 3)).expect("set");
    policy(&mut bench, BackorderPolicy::Backorder { limit: 5 }, None).expect("set");
    assert_eq!(bench.changes.backorders, [(sku(1), true)]);
    let (first, second, third) = (timed(&bench, 1), timed(&bench, 2), timed(&bench, 3));
    assert_eq!(reserve(&mut bench, first, 7, 4), Ok((3, 1)));
    assert_eq!(reserve(&mut bench, first, 7, 4), Ok((3, 1)), "the first answer again");
    assert_eq!(reserve(&mut bench, second, 8, 4), Ok((0, 4)));
    assert_eq!(bench.changes.backorders, [(sku(1), false)], "no more may be owed");
    let short = reserve(&mut bench, third, 9, 1);
    assert!(matches!(short, Err(Refusal::InsufficientStock(_))), "{short:?}");
    assert_eq!(row(&bench).backordered, 5);

    // An order promises only what is there, whatever the policy.
    let hold = |id| Command::Hold {
        hold: HoldId(RawId(id)),
        order: OrderId(RawId(70)),
        location: main(),
        lines: lines(&[(1, 1)]),
        ttl_ms: 900_000,
    };
    assert!(matches!(bench.run(hold(50)), Err(Refusal::InsufficientStock(_))));

    // The first is sold while it is owed a unit, and is closed when it has it.
    bench.run(Command::CommitReserved { hold: first }).expect("sold");
    bench.run(adjust(2, 3)).expect("came");
    let found = row(&bench);
    assert_eq!((found.available, found.held, found.committed, found.backordered), (0, 2, 4, 2), "the oldest first");
    assert_eq!(bench.changes.backorders, [(sku(1), true)]);
    let filled = |n: usize| match events(&bench, 0)[n].news {
        StockNews::Filled { hold, quantity, left, owner, line } => (hold, quantity, left, owner.0.0, line),
        other => panic!("a fill was expected, not {other:?}"),
    };
    assert_eq!((filled(0), filled(1)), ((first, 1, 0, 7, 0), (second, 2, 2, 8, 0)));
    // The second gives up: what it was owed is owed no more.
    bench.run(Command::ReleaseReserved { hold: second }).expect("released");
    let found = row(&bench);
    assert_eq!((found.available, found.held, found.committed, found.backordered), (2, 0, 4, 0));
    assert_eq!(bench.run(hold(51)).map(drop), Ok(()), "an order may have what is there");
    assert_eq!(bench.run(hold(51)).map(drop), Ok(()), "and is told so again");
}

#[test]
fn timers_give_what_a_command_had_no_time_for() {
    let mut bench = Bench::new();
    policy(&mut bench, BackorderPolicy::Backorder { limit: 1_000 }, None).expect("the row is opened for it");
    for n in 0..150 {
        let hold = timed(&bench, n);
        assert_eq!(reserve(&mut bench, hold, n, 1), Ok((0, 1)));
    }
    bench.run(adjust(1, 140)).expect("came");
    let given = row(&bench).held;
    assert!((1..140).contains(&given), "a bounded number in passing: {given}");
    while bench.partition.next_timer().is_some_and(|due| due.0 <= bench.time) {
        bench.run(Command::RunTimers { max: 10 }).expect("timers run");
    }
    assert_eq!((row(&bench).held, row(&bench).backordered), (140, 10));
}

#[test]
fn a_preorder_ends_on_its_day() {
    let mut bench = Bench::new();
    let until = Millis(bench.time + 50_000);
    policy(&mut bench, BackorderPolicy::Preorder { limit: 5, until }, Some(2)).expect("set");
    assert_eq!(row(&bench).backorder, wire::BackorderPolicy::Preorder { limit: 5, until });
    let hold = timed(&bench, 1);
    assert_eq!(reserve(&mut bench, hold, 1, 2), Ok((0, 2)));
    assert_eq!(bench.partition.next_timer(), Some(until));
    bench.time = until.0;
    bench.run(Command::RunTimers { max: 10 }).expect("timers run");
    assert_eq!(bench.changes.backorders, [(sku(1), false)]);
    let late = timed(&bench, 2);
    assert!(matches!(reserve(&mut bench, late, 1, 1), Err(Refusal::InsufficientStock(_))));
    assert_eq!(row(&bench).backordered, 2, "what is owed stays owed");
    policy(&mut bench, BackorderPolicy::Deny, None).expect("lifted");
    assert_eq!((row(&bench).backorder, row(&bench).low_stock), (wire::BackorderPolicy::Deny, None));
    const { assert!(POLICIES_MAX > 1) };
}

#[test]
fn low_stock_is_told() {
    let mut bench = Bench::new();
    bench.run(adjust(1, 5)).expect("set");
    policy(&mut bench, BackorderPolicy::Deny, Some(2)).expect("set");
    bench.run(adjust(2, -3)).expect("taken");
    bench.run(adjust(3, -2)).expect("taken");
    bench.run(adjust(4, 9)).expect("back");
    let news: Vec<_> = events(&bench, 0).into_iter().map(|event| event.news).collect();
    assert_eq!(news, [StockNews::LowStock { available: 2 }, StockNews::BackInStock { available: 9 }]);
    assert_eq!(events(&bench, 1).len(), 1, "after the first");
    policy(&mut bench, BackorderPolicy::Deny, None).expect("lifted");
    bench.run(adjust(5, -9)).expect("taken");
    assert_eq!(events(&bench, 2), []);
}

#[test]
fn purchases_are_limited() {
    let mut bench = Bench::new();
    bench.run(adjust(1, 50)).expect("set");
    let limit = |per_order, per_customer| Command::SetPurchaseLimit { sku: sku(1), per_order, per_customer };
    bench.run(limit(Some(3), Some(4))).expect("set");
    let over = |max| Err(Refusal::LimitReached { what: "units of a product that may be bought".to_owned(), max });
    let ids: Vec<HoldId> = (0..9).map(|n| timed(&bench, n)).collect();
    assert_eq!(reserve(&mut bench, ids[0], 7, 4), over(3));
    assert_eq!(reserve(&mut bench, ids[0], 7, 3), Ok((3, 0)));
    assert_eq!(reserve(&mut bench, ids[1], 7, 2), over(1));
    assert_eq!(reserve(&mut bench, ids[2], 8, 3), Ok((3, 0)), "somebody else");
    bench.run(Command::CommitReserved { hold: ids[0] }).expect("sold");
    bench.run(Command::ReleaseReserved { hold: ids[2] }).expect("released");
    assert_eq!(reserve(&mut bench, ids[3], 8, 3), Ok((3, 0)), "what was given back does not count");
    assert_eq!(reserve(&mut bench, ids[1], 7, 2), over(1), "what was sold does");
    let hold =
        Command::Hold { hold: HoldId(RawId(50)), order: OrderId(RawId(70)), location: main(), lines: lines(&[(1, 4)]), ttl_ms: 900_000 };
    assert!(matches!(bench.run(hold), Err(Refusal::LimitReached { .. })), "orders too");

    bench.time += PURCHASE_KEPT_MS;
    while bench.partition.next_timer().is_some_and(|due| due.0 <= bench.time) {
        bench.run(Command::RunTimers { max: 10 }).expect("timers run");
    }
    bench.time += 2 * 3_600_000; // the ledger forgets the sold one's id
    while bench.partition.next_timer().is_some_and(|due| due.0 <= bench.time) {
        bench.run(Command::RunTimers { max: 10 }).expect("timers run");
    }
    let later = timed(&bench, 20);
    assert_eq!(reserve(&mut bench, later, 7, 3), Ok((3, 0)), "a day later it is over");
    bench.run(limit(None, None)).expect("lifted");
    let many = timed(&bench, 21);
    assert_eq!(reserve(&mut bench, many, 7, 20), Ok((20, 0)));
}

#[test]
fn movements_are_read_page_by_page() {
    let mut bench = Bench::new();
    bench.run(adjust(1, 5)).expect("set");
    bench
        .run(Command::AdjustStock { id: 2, sku: sku(1), location: "east".to_owned(), change: StockChange::Delta(1), reason: String::new() })
        .expect("elsewhere");
    let hold = timed(&bench, 1);
    reserve(&mut bench, hold, 1, 2).expect("taken");
    let stock = bench.partition.stock();
    let here = PartitionId(3);
    let first = stock.history(here, "main", None, 1).expect("from the oldest");
    assert_eq!((first.items.len(), first.more, first.last.serial), (1, true, 1));
    let [came] = first.items[..] else { panic!("one") };
    assert_eq!((came.from, came.to, came.quantity), (StockColumn::Outside, StockColumn::Available, 5));
    let second = stock.history(here, "main", Some(first.last), 10).expect("kept");
    let [held] = second.items[..] else { panic!("of the other location nothing") };
    assert_eq!((held.cause, held.from, held.to, held.quantity), (MovementCause::Hold(hold), StockColumn::Available, StockColumn::Held, 2));
    assert_eq!((second.more, second.last.serial), (false, 3));
    assert_eq!(stock.history(here, "main", Some(second.last), 10).expect("nothing new").items, []);
    let foreign = StockCursor { partition: PartitionId(4), serial: 1 };
    assert_eq!(stock.history(here, "main", Some(foreign), 10), Err(Refusal::BadCursor));
    assert_eq!(stock.history(here, "nowhere", None, 10), Err(Refusal::NotFound));
}

#[test] // More movements than are kept: a reader that stands before them is told where to go on.
fn a_late_reader_is_told_so() {
    let mut bench = Bench::new();
    bench.run(adjust(0, 5)).expect("set");
    let kept = u64::from(crate::partition::LEDGER_LIMITS.history_max);
    for n in 0..kept + 10 {
        let delta = if n % 2 == 0 { 1 } else { -1 };
        let entry = crate::record::v1::Entry::of(adjust(1 + u128::from(n), delta));
        bench.partition.apply(Millis(bench.time), &entry, &mut bench.changes).outcome.expect("moved");
        bench.changes.clear();
    }
    bench.partition.check().expect("consistent");
    let stock = bench.partition.stock();
    let here = PartitionId(3);
    let start = StockCursor { partition: here, serial: 1 };
    let Err(Refusal::HistoryGone { last }) = stock.history(here, "main", Some(start), 10) else { panic!("it is gone") };
    assert_eq!(last.serial, 11);
    let page = stock.history(here, "main", Some(last), 10).expect("from there all are kept");
    assert_eq!((page.items[0].serial, page.items.len()), (12, 10));
    assert_eq!(stock.history(here, "main", None, 10), Ok(page));
}

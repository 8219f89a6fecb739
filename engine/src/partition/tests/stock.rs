//! Stock through commands: what each is answered, what a peer is told, and what timers end.

use super::{Bench, sku};
use crate::partition::{Done, peer_outcome};
use crate::record::v1::{Command, HoldLine, PeerOutcome, ShortLine, StockChange};
use inventory_ledger::Units;
use wire::{HoldId, Millis, OrderId, RawId, Refusal};

const TTL_MS: u64 = 900_000;

fn adjust(id: u128, change: StockChange) -> Command {
    Command::AdjustStock { id, sku: sku(1), location: "main".to_owned(), change, reason: "count".to_owned() }
}

fn hold(id: u128, quantity: u32) -> Command {
    let lines = vec![HoldLine { sku: sku(1), quantity }];
    Command::Hold { hold: HoldId(RawId(id)), order: OrderId(RawId(70)), location: "main".to_owned(), lines, ttl_ms: TTL_MS }
}

fn of_hold(word: &str, id: u128) -> Command {
    let hold = HoldId(RawId(id));
    match word {
        "pin" => Command::Pin { hold },
        "commit" => Command::CommitHold { hold },
        "release" => Command::ReleaseHold { hold },
        "restock" => Command::Restock { hold },
        other => panic!("no such word: {other}"),
    }
}

/// Available, held and committed.
fn row(bench: &Bench) -> (u32, u32, u32) {
    bench.partition.stock_rows(sku(1)).first().map_or((0, 0, 0), |row| (row.available, row.held, row.committed))
}

#[test] // Each row: a change after 5 were opened, its answer, and what is available then.
fn changes_of_what_is_on_hand() {
    use StockChange::{CompareAndSet, Delta, Set};
    let limit = |max| Refusal::LimitReached { what: "units of a stock row".to_owned(), max };
    for (change, wanted, available) in [
        (Delta(3), None, 8),
        (Delta(-5), None, 0),
        (Delta(-6), Some(Refusal::StockCommitted { available: 5, held: 0, committed: 0 }), 5),
        (Set(2), None, 2),
        (CompareAndSet { set: 9, expected: 5 }, None, 9),
        (CompareAndSet { set: 9, expected: 4 }, Some(Refusal::StockMismatch { actual: 5 }), 5),
        (Set(1_000_000_001), Some(limit(1_000_000_000)), 5),
        (Delta(i64::MIN), Some(limit(1_000_000_000)), 5),
    ] {
        let mut bench = Bench::new();
        let opened = bench.run(Command::OpenStock { id: 1, sku: sku(1), location: "main".to_owned(), on_hand: 5 });
        assert_eq!(opened, Ok(Done::Stock { sku: sku(1), repeated: false }));
        assert_eq!(bench.changes.stock.len(), 1);
        let outcome = bench.run(adjust(2, change));
        assert_eq!(outcome.err(), wanted, "{change:?}");
        assert_eq!(row(&bench).0, available, "{change:?}");
        if wanted.is_none() {
            assert_eq!(bench.run(adjust(2, change)), Ok(Done::Stock { sku: sku(1), repeated: true }), "once per id: {change:?}");
            assert_eq!(row(&bench).0, available, "{change:?}");
        }
    }
}

#[test]
fn an_opening_applies_only_where_there_is_no_row() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(3))).expect("set");
    let late = Command::OpenStock { id: 2, sku: sku(1), location: "main".to_owned(), on_hand: 25 };
    assert_eq!(bench.run(late), Ok(Done::Stock { sku: sku(1), repeated: false }));
    assert_eq!(row(&bench), (3, 0, 0));
    assert!(bench.changes.stock.is_empty());
}

#[test]
fn the_same_movement_moves_once() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(3))).expect("set");
    for _ in 0..2 {
        bench.run(adjust(2, StockChange::Delta(1))).expect("added");
    }
    assert_eq!(row(&bench), (4, 0, 0));
    assert_eq!(bench.run(adjust(2, StockChange::Delta(9))), Err(Refusal::IdempotencyKeyReused));
    let nothing_there =
        Command::AdjustStock { id: 3, sku: sku(2), location: "main".to_owned(), change: StockChange::Delta(-1), reason: String::new() };
    assert_eq!(bench.run(nothing_there), Err(Refusal::StockCommitted { available: 0, held: 0, committed: 0 }));
}

#[test] // Each row: steps of one hold of 2 out of 5, what a peer is told of each (d, h, g, r), and the row then.
fn holds_step_by_step() {
    for (script, told, wanted) in [
        ("hold", "h", (3, 2, 0)),
        ("hold hold pin pin commit commit", "hhdddd", (3, 0, 2)),
        ("hold pin commit restock restock", "hdddd", (5, 0, 0)),
        ("hold pin release release", "hddd", (5, 0, 0)),
        ("hold release pin commit", "hdgg", (5, 0, 0)),
        ("release hold", "dg", (5, 0, 0)), // the tombstone keeps the late hold out
        ("pin commit restock", "ggg", (5, 0, 0)),
        ("hold commit release", "hdr", (3, 0, 2)),
        ("hold restock", "hg", (3, 2, 0)),
        ("hold pin commit pin", "hddd", (3, 0, 2)),
        ("hold wait pin", "hg", (5, 0, 0)),
        ("hold pin wait commit", "hdd", (3, 0, 2)), // pinned: time does not end it
    ] {
        let mut bench = Bench::new();
        bench.run(adjust(1, StockChange::Set(5))).expect("set");
        let mut answers = String::new();
        for word in script.split(' ') {
            let command = match word {
                "hold" => hold(9, 2),
                "wait" => {
                    bench.time += TTL_MS;
                    bench.run(Command::RunTimers { max: 10 }).expect("timers run");
                    continue;
                }
                word => of_hold(word, 9),
            };
            answers.push(match peer_outcome(&bench.run(command)) {
                PeerOutcome::Done => 'd',
                PeerOutcome::Held { remaining } => {
                    assert_eq!(remaining, [3], "{script}");
                    'h'
                }
                PeerOutcome::Gone => 'g',
                PeerOutcome::Short(_) => 's',
                PeerOutcome::Refused { .. } => 'r',
                PeerOutcome::Contended => 'c',
            });
        }
        assert_eq!((answers.as_str(), row(&bench)), (told, wanted), "{script}");
        let open = bench.partition.check().expect("consistent").open_holds;
        assert_eq!(open, u64::from(wanted.1 > 0), "{script}");
    }
}

#[test]
fn a_short_hold_says_by_how_much() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(5))).expect("set");
    let short = |available| PeerOutcome::Short(vec![ShortLine { sku: sku(1), requested: 6, available }]);
    assert_eq!(peer_outcome(&bench.run(hold(1, 6))), short(5));
    let Command::Hold { hold, order, lines, ttl_ms, .. } = hold(2, 6) else { unreachable!("it is a hold") };
    let elsewhere = Command::Hold { hold, order, location: "nowhere".to_owned(), lines, ttl_ms };
    assert_eq!(peer_outcome(&bench.run(elsewhere)), short(0));
}

#[test] // Each row: what becomes of a part of 4 out of 5, what holds of 2, 5 and 6 are answered then, and the units in doubt.
fn a_part_in_doubt_explains_a_shortage_until_it_is_pinned_or_over() {
    for (script, told, in_doubt) in [
        ("", "ccs", 4),
        ("part", "ccs", 4), // asked again
        ("pin", "sss", 0),
        ("commit", "sss", 0),
        ("release", "hhs", 0),
        ("wait", "hhs", 0),
    ] {
        let mut bench = Bench::new();
        bench.run(adjust(1, StockChange::Set(5))).expect("set");
        let part = || {
            let (hold, order, location) = (HoldId(RawId(9)), OrderId(RawId(70)), "main".to_owned());
            Command::HoldPart { hold, order, location, lines: vec![HoldLine { sku: sku(1), quantity: 4 }], ttl_ms: TTL_MS }
        };
        assert_eq!(peer_outcome(&bench.run(part())), PeerOutcome::Held { remaining: vec![1] });
        match script {
            "" => {}
            "part" => assert_eq!(peer_outcome(&bench.run(part())), PeerOutcome::Held { remaining: vec![1] }),
            "wait" => {
                bench.time += TTL_MS;
                bench.run(Command::RunTimers { max: 10 }).expect("timers run");
            }
            word => assert_eq!(bench.run(of_hold(word, 9)), Ok(Done::Nothing)),
        }
        assert_eq!(bench.partition.stock().in_doubt(sku(1), "main"), in_doubt, "{script}");
        let mut answers = String::new();
        for quantity in [2, 5, 6] {
            answers.push(match peer_outcome(&bench.run(hold(u128::from(quantity), quantity))) {
                PeerOutcome::Held { .. } => 'h',
                PeerOutcome::Short(_) => 's',
                PeerOutcome::Contended => 'c',
                other => panic!("{other:?}"),
            });
            bench.run(of_hold("release", u128::from(quantity))).expect("given back");
        }
        assert_eq!(answers, told, "{script}");
    }
}

#[test]
fn holds_are_shown_and_expire_in_order() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(5))).expect("set");
    let began = bench.time;
    for id in [2, 1] {
        bench.run(hold(id, 1)).expect("held");
        bench.time += 1_000;
    }
    bench.run(of_hold("pin", 1)).expect("pinned");
    let shown: Vec<_> = bench.partition.stock_holds(sku(1)).iter().map(|hold| (hold.id.0.0, hold.expires_at)).collect();
    assert_eq!(shown, [(1, None), (2, Some(Millis(began + TTL_MS)))]);
    assert_eq!(bench.partition.next_timer(), Some(Millis(began + TTL_MS)));

    bench.time = began + TTL_MS;
    assert_eq!(bench.run(Command::RunTimers { max: 10 }), Ok(Done::Timers { more: false }));
    let [change] = bench.changes.stock[..] else { panic!("one row changed") };
    assert_eq!((change.before.available, change.after.available), (Units(3), Units(4)));
    assert_eq!(bench.partition.stock().location(change.location), "main");
}

#[test]
fn timers_stop_at_their_budget() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(50))).expect("set");
    for id in 0..5 {
        bench.run(hold(id, 1)).expect("held");
    }
    bench.time += TTL_MS;
    assert_eq!(bench.run(Command::RunTimers { max: 3 }), Ok(Done::Timers { more: true }));
    assert_eq!(row(&bench).1, 2);
    assert_eq!(bench.run(Command::RunTimers { max: 3 }), Ok(Done::Timers { more: false }));
    assert_eq!(row(&bench).1, 0);
}

#[test]
fn what_the_ledger_remembers_is_swept_after_a_day() {
    let mut bench = Bench::new();
    bench.run(adjust(1, StockChange::Set(5))).expect("set");
    bench.run(of_hold("release", 1)).expect("a tombstone");
    while let Some(due) = bench.partition.next_timer() {
        assert!(due.0 <= bench.time + 26 * 3_600_000, "a timer that is due again and again");
        bench.time = bench.time.max(due.0);
        bench.run(Command::RunTimers { max: 10 }).expect("timers run");
    }
    assert!(matches!(bench.run(hold(1, 1)), Ok(Done::Held { .. })), "the tombstone is gone");
}

//! Reservations of those who keep their orders elsewhere, over the same disk in memory.

use super::*;
use wire::{HoldId, OrderId, RawId, Reservation, ReserveLine, Reserved, ReservedLine, Shortage, SkuId};

const WAREHOUSE: Principal = Principal::Staff { role: Role::Warehouse };

fn sku(number: u128) -> SkuId {
    SkuId(RawId(number))
}

/// An id made `age_ms` ago.
fn hold(node: &Node, age_ms: u64, number: u128) -> HoldId {
    HoldId(RawId(u128::from(node.now.wall.0 - age_ms) << 80 | number))
}

fn receive(node: &mut Node, id: u128, lines: &[(u128, u32)]) -> Response {
    let lines = lines.iter().map(|(number, quantity)| ReserveLine { sku: sku(*number), quantity: *quantity }).collect();
    let op = Op::ReceiveStock { id, location: "main".to_owned(), lines };
    let token = node.send(Request { principal: WAREHOUSE, ..Request::system(op) });
    node.reply(token).expect("nothing it waits for is outside")
}

fn reserve(hold: HoldId, lines: &[(u128, u32)]) -> Request {
    let lines = lines.iter().map(|(number, quantity)| ReserveLine { sku: sku(*number), quantity: *quantity }).collect();
    let owner = OrderId(RawId(9));
    let reservation = Reservation { hold, owner, location: "main".to_owned(), lines, ttl_ms: 60_000, partial: false };
    Request { principal: WAREHOUSE, ..Request::system(Op::Reserve(reservation)) }
}

fn ask(node: &mut Node, request: Request) -> Response {
    let token = node.send(request);
    node.reply(token).expect("nothing it waits for is outside")
}

fn end(node: &mut Node, hold: HoldId, commit: bool) -> Result<Body, Failure> {
    let location = "main".to_owned();
    node.call(WAREHOUSE, if commit { Op::CommitReserved { hold, location } } else { Op::ReleaseReserved { hold, location } })
}

/// Available, held and committed of a SKU at `main`.
fn row(node: &Node, number: u128) -> (u32, u32, u32) {
    let rows = node.cores.iter().flat_map(|core| {
        let state = core.state.borrow();
        let rows: Vec<_> = state.partitions.values().flat_map(|slot| slot.partition.stock_rows(sku(number))).collect();
        rows
    });
    let rows: Vec<_> = rows.map(|row| (row.available, row.held, row.committed)).collect();
    assert_eq!(rows.len(), 1);
    rows[0]
}

#[test]
fn a_reservation_is_taken_once_and_ends_once() {
    let mut node = Node::start(2, Vec::new());
    assert_eq!(receive(&mut node, 1, &[(1, 5), (2, 7)]).result, Ok(Body::Done));
    assert!(receive(&mut node, 1, &[(1, 5), (2, 7)]).replayed, "once per id");
    let (first, second) = (hold(&node, 0, 1), hold(&node, 0, 2));

    let taken = ask(&mut node, reserve(first, &[(1, 2), (2, 3), (1, 1)]));
    let line = |taken, remaining| ReservedLine { taken, remaining };
    let expires_at = node.now.wall.plus(60_000);
    let reserved = Reserved { expires_at, lines: vec![line(2, 2), line(3, 4), line(1, 2)] };
    assert_eq!((taken.result, taken.replayed, taken.positions.len()), (Ok(Body::Reserved(reserved.clone())), false, 1));
    let again = ask(&mut node, reserve(first, &[(1, 2), (2, 3), (1, 1)]));
    assert_eq!((again.result, again.replayed), (Ok(Body::Reserved(reserved)), true));
    assert!(again.positions[0].seq > taken.positions[0].seq, "an answer given again has a place in the log too");
    let other = ask(&mut node, reserve(first, &[(1, 1)]));
    assert_eq!(other.result, Err(Failure::Refused(Refusal::IdempotencyKeyReused)));

    let short = ask(&mut node, reserve(second, &[(2, 1), (1, 3)])).result;
    let shortage = Shortage { line: 1, sku: sku(1), requested: 3, available: 2 };
    assert_eq!(short, Err(Failure::Refused(Refusal::InsufficientStock(vec![shortage]))));
    assert_eq!((row(&node, 1), row(&node, 2)), ((2, 3, 0), (4, 3, 0)), "nothing of it was taken");
    // What was short is not remembered: the same reservation may be tried again.
    assert_eq!(receive(&mut node, 2, &[(1, 1)]).result, Ok(Body::Done));
    assert!(ask(&mut node, reserve(second, &[(2, 1), (1, 3)])).result.is_ok());

    assert_eq!(end(&mut node, first, true), Ok(Body::Done));
    assert_eq!(end(&mut node, first, true), Ok(Body::Done));
    assert!(end(&mut node, first, false).is_err(), "it is sold");
    assert_eq!(end(&mut node, second, false), Ok(Body::Done));
    assert_eq!(end(&mut node, second, true), Err(Failure::Refused(Refusal::NotFound)));
    assert_eq!((row(&node, 1), row(&node, 2)), ((3, 0, 3), (4, 0, 3)));
    node.check();
    let digests = node.digests();
    assert_eq!(node.restart(3).digests(), digests, "all of it is in the log");
}

#[test]
fn a_reservation_falls_back_and_cannot_come_late() {
    let mut node = Node::start(1, Vec::new());
    receive(&mut node, 1, &[(1, 5)]);
    let kept = hold(&node, 0, 1);
    assert!(ask(&mut node, reserve(kept, &[(1, 5)])).result.is_ok());
    node.advance(59_000);
    assert_eq!(row(&node, 1), (0, 5, 0));
    node.advance(2_000);
    node.advance(1);
    assert_eq!(row(&node, 1), (5, 0, 0), "its time is over");
    assert_eq!(end(&mut node, kept, true), Err(Failure::Refused(Refusal::NotFound)));

    // A release that overtakes its reservation.
    let late = hold(&node, 0, 2);
    assert_eq!(end(&mut node, late, false), Ok(Body::Done));
    assert_eq!(ask(&mut node, reserve(late, &[(1, 1)])).result, Err(Failure::Refused(Refusal::NotFound)));

    let window_ms = wire::limits::RESERVATION_WINDOW_MS;
    let old = hold(&node, window_ms + 1, 3);
    assert_eq!(ask(&mut node, reserve(old, &[(1, 1)])).result, Err(Failure::Refused(Refusal::TooOld { window_ms })));
    let nearly = hold(&node, window_ms - 1_000, 4);
    assert!(ask(&mut node, reserve(nearly, &[(1, 1)])).result.is_ok());
    node.check();
}

#[test] // Whose answer was lost, on a hold that is older than the window of ids.
fn a_sale_of_an_old_hold_may_be_asked_again() {
    let mut node = Node::start(1, Vec::new());
    receive(&mut node, 1, &[(1, 5)]);
    let window_ms = wire::limits::RESERVATION_WINDOW_MS;
    let kept = hold(&node, 0, 1);
    let mut asked = reserve(kept, &[(1, 2)]);
    let Op::Reserve(reservation) = &mut asked.op else { unreachable!("asked for above") };
    reservation.ttl_ms = wire::limits::RESERVE_TTL_MS_MAX;
    let first = ask(&mut node, asked.clone()).result;
    node.advance(window_ms + 60_000);
    assert_eq!(ask(&mut node, asked).result, first, "it is there, however old its id");
    assert_eq!(end(&mut node, kept, true), Ok(Body::Done));
    node.advance(window_ms);
    assert_eq!(end(&mut node, kept, true), Ok(Body::Done), "within minutes of the sale");
    assert_eq!(row(&node, 1), (3, 0, 2));
    node.advance(2 * window_ms);
    // Something comes along, and what is to be forgotten is.
    let other = hold(&node, 0, 2);
    assert!(ask(&mut node, reserve(other, &[(1, 1)])).result.is_ok());
    assert_eq!(end(&mut node, kept, true), Err(Failure::Refused(Refusal::TooOld { window_ms })), "nobody knows any more");
    node.check();
}

#[test]
fn a_reservation_lasts_longer_and_is_sold_in_part() {
    let mut node = Node::start(1, Vec::new());
    receive(&mut node, 1, &[(1, 9), (2, 9)]);
    let kept = hold(&node, 0, 1);
    let made = node.now.wall;
    assert!(ask(&mut node, reserve(kept, &[(1, 4), (2, 2)])).result.is_ok());
    node.advance(30_000);
    let extend = |ttl_ms| Op::ExtendReserved { hold: kept, location: "main".to_owned(), ttl_ms };
    let until = node.now.wall.plus(90_000);
    assert_eq!(node.call(WAREHOUSE, extend(90_000)), Ok(Body::Extended { expires_at: until }));
    assert_eq!(node.call(WAREHOUSE, extend(1_000)), Ok(Body::Extended { expires_at: until }), "never less");
    let cap = made.plus(u64::from(wire::limits::RESERVE_TTL_MS_MAX));
    assert_eq!(node.call(WAREHOUSE, extend(wire::limits::RESERVE_TTL_MS_MAX)), Ok(Body::Extended { expires_at: cap }));
    node.advance(80_000);
    assert_eq!(row(&node, 1), (5, 4, 0), "its first time is long over");

    let part = |lines: &[(u128, u32)]| {
        let lines = lines.iter().map(|(number, quantity)| ReserveLine { sku: sku(*number), quantity: *quantity }).collect();
        Op::CommitReservedPart { hold: kept, location: "main".to_owned(), lines }
    };
    assert!(node.call(WAREHOUSE, part(&[(1, 5)])).is_err(), "more than is reserved");
    assert_eq!(node.call(WAREHOUSE, part(&[(1, 3)])), Ok(Body::Done));
    assert_eq!((row(&node, 1), row(&node, 2)), ((6, 0, 3), (9, 0, 0)));
    assert_eq!(node.call(WAREHOUSE, part(&[(1, 3)])), Ok(Body::Done), "once");
    assert!(node.call(WAREHOUSE, part(&[(1, 2)])).is_err(), "and not otherwise");
    assert!(end(&mut node, kept, false).is_err(), "it is sold");
    assert_eq!((row(&node, 1), row(&node, 2)), ((6, 0, 3), (9, 0, 0)));
    node.check();
    let digests = node.digests();
    assert_eq!(node.restart(2).digests(), digests);
}

#[test] // As much as there is of each line; nothing at all is refused.
fn a_partial_reservation_takes_what_is_there() {
    let mut node = Node::start(1, Vec::new());
    receive(&mut node, 1, &[(1, 3), (2, 1)]);
    let partial = |id, lines: &[(u128, u32)]| {
        let mut request = reserve(id, lines);
        if let Op::Reserve(reservation) = &mut request.op {
            reservation.partial = true;
        }
        request
    };
    let (first, second) = (hold(&node, 0, 1), hold(&node, 0, 2));
    let Ok(Body::Reserved(reserved)) = ask(&mut node, partial(first, &[(1, 2), (2, 5)])).result else { panic!("some is there") };
    assert_eq!(reserved.lines, [ReservedLine { taken: 2, remaining: 1 }, ReservedLine { taken: 1, remaining: 0 }]);
    assert!(matches!(ask(&mut node, partial(second, &[(2, 1)])).result, Err(Failure::Refused(Refusal::InsufficientStock(_)))));
    node.check();
}

#[test]
fn what_is_no_reservation_is_refused_before_the_log() {
    let mut node = Node::start(1, Vec::new());
    let id = hold(&node, 0, 1);
    let many: Vec<_> = (0..=wire::limits::RESERVE_LINES_MAX as u128).map(|number| (number, 1)).collect();
    let mut forever = reserve(id, &[(1, 1)]);
    if let Op::Reserve(reservation) = &mut forever.op {
        reservation.ttl_ms = wire::limits::RESERVE_TTL_MS_MAX + 1;
    }
    let mut nowhere = reserve(id, &[(1, 1)]);
    if let Op::Reserve(reservation) = &mut nowhere.op {
        reservation.location.clear();
    }
    for (request, pointer) in [
        (reserve(id, &[]), "/lines"),
        (reserve(id, &many), "/lines"),
        (reserve(id, &[(1, 1), (2, 0)]), "/lines/1/quantity"),
        (forever, "/ttl_ms"),
        (nowhere, "/location"),
    ] {
        match ask(&mut node, request) {
            Response { result: Err(Failure::Refused(Refusal::Invalid(fields))), positions, .. } => {
                assert_eq!((fields[0].pointer.as_str(), positions.len()), (pointer, 0));
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }
    let twice = receive(&mut node, 1, &[(1, 1), (1, 1)]).result;
    assert!(matches!(twice, Err(Failure::Refused(Refusal::Invalid(_)))), "{twice:?}");
    let guest = Request { principal: Principal::Anonymous, ..reserve(id, &[(1, 1)]) };
    assert_eq!(ask(&mut node, guest).result, Err(Failure::Refused(Refusal::Forbidden)));
}

#[test] // All of a delivery or nothing of it: the second line is too much for its row.
fn a_delivery_is_booked_whole_or_not_at_all() {
    let mut node = Node::start(1, Vec::new());
    let max = wire::limits::STOCK_UNITS_MAX;
    for id in 1..=2 {
        assert_eq!(receive(&mut node, id, &[(2, max)]).result, Ok(Body::Done));
    }
    let refused = receive(&mut node, 3, &[(1, 5), (2, max)]).result;
    assert!(matches!(refused, Err(Failure::Refused(Refusal::LimitReached { .. }))), "{refused:?}");
    assert!(node.cores[0].state.borrow().partitions.values().all(|slot| slot.partition.stock_rows(sku(1)).is_empty()));
    assert_eq!(receive(&mut node, 4, &[(1, 5)]).result, Ok(Body::Done));
    assert_eq!(row(&node, 1), (5, 0, 0));
}

#[test] // What has not reached the log is refused at once when the disk is full; what has is answered when its time is over, and then happens.
fn a_full_disk_is_told_to_those_who_wait() {
    let mut node = Node::start(1, Vec::new());
    receive(&mut node, 1, &[(1, 100_000)]);
    let now = node.now;
    let core = &mut node.cores[0];
    // The next segment is asked for and does not come: the one in use fills up, then the open batch, then the queue.
    let (mut plan, mut number, mut unwritten) = (None, 0, 0);
    let mut answered = BTreeMap::new();
    while unwritten < crate::log::BATCH_BYTES_MAX / 96 + 1_000 {
        number += 1;
        unwritten += 1;
        let token = CallToken(100_000 + number);
        let id = HoldId(RawId(u128::from(now.wall.0) << 80 | u128::from(number)));
        core.handle(now, Input::Call { token, request: Request { timeout_ms: 50, ..reserve(id, &[(1, 1)]) } });
        while let Some(output) = core.poll_output() {
            match output {
                Output::Write(batch) => {
                    unwritten = 0;
                    core.handle(now, Input::Written(batch));
                }
                Output::Prepare(next) => plan = Some(next),
                Output::Reply { token, response } => drop(answered.insert(token, response.result)),
                Output::Peer { .. } | Output::Node { .. } | Output::Peers(_) => panic!("one shard, alone"),
                // Events, whose turn does not come.
                Output::Files(_) => {}
            }
        }
    }
    core.handle(now, Input::NotPrepared(plan.expect("a segment was asked for")));
    let late = Now { wall: now.wall.plus(1_500), mono_us: now.mono_us + 1_500_000 };
    core.handle(late, Input::Tick);
    let mut again = None;
    while let Some(output) = core.poll_output() {
        match output {
            Output::Prepare(plan) => again = Some(plan),
            Output::Reply { token, response } => drop(answered.insert(token, response.result)),
            Output::Files(_) => {}
            Output::Write(_) | Output::Peer { .. } | Output::Node { .. } | Output::Peers(_) => panic!("there is no room"),
        }
    }
    // However long the driver tries, it is asked once: a segment that came twice would be none of the log's.
    let later = Now { wall: now.wall.plus(9_000), mono_us: now.mono_us + 9_000_000 };
    core.handle(later, Input::Tick);
    while let Some(output) = core.poll_output() {
        assert!(!matches!(output, Output::Prepare(_)), "asked for twice");
    }
    // A tick that can do nothing must not be asked for at once: the core would be busy for as long as the disk is full.
    for _ in 0..8 {
        core.handle(later, Input::Tick);
        while core.poll_output().is_some() {}
    }
    let wake = core.next_wake();
    assert!(wake.is_none_or(|at| at > later.mono_us), "at {} it wants to be woken at {wake:?}", later.mono_us);
    let count = |wanted: fn(&Result<Body, Failure>) -> bool| answered.values().filter(|result| wanted(result)).count() as u64;
    let taken = count(|result| matches!(result, Ok(Body::Reserved(_))));
    let late_ones = count(|result| *result == Err(Failure::DeadlineExceeded));
    let refused = count(|result| *result == Err(Failure::StorageFull));
    assert!(taken > 0 && late_ones > 0 && refused > 0, "{taken} taken, {late_ones} late, {refused} refused");
    assert_eq!(taken + late_ones + refused, number, "everyone was told");

    // Room again: what was told to be late happens, and nobody is told twice.
    core.handle(late, Input::Prepared(again.expect("it is asked for again")));
    while let Some(output) = core.poll_output() {
        match output {
            Output::Write(batch) => core.handle(late, Input::Written(batch)),
            Output::Reply { token, .. } => panic!("{token:?} was answered twice"),
            Output::Prepare(_) | Output::Peer { .. } | Output::Node { .. } | Output::Peers(_) | Output::Files(_) => {}
        }
    }
    let held = u32::try_from(taken + late_ones).expect("few");
    assert_eq!(row(&node, 1), (100_000 - held, held, 0));
    node.check();
}

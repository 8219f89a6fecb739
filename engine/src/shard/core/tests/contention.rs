//! Checkouts that want each other's last units, over whole shards: the answers their buyers get.

use super::*;
use crate::domain::order::EventKind;
use wire::{StockAdjustment, StockChange, placement::Space};

/// Two locations whose stock lives on different shards of two.
fn locations() -> [String; 2] {
    let of_shard = |shard: u16| {
        let is_there = |code: &String| {
            let partition = placement::partition_of(Space::Location, code.as_bytes(), PARTITIONS);
            placement::shard_of(partition, 2) == ShardId(shard)
        };
        (0..100).map(|number| format!("hall-{number}")).find(is_there).expect("locations are spread")
    };
    [of_shard(0), of_shard(1)]
}

/// A product with one unit at each of the two locations.
fn node() -> Node {
    let mut node = Node::start(2, Vec::new());
    let Op::PutProduct(mut lamp) = product("A", "Lamp", 500, 0) else { panic!("a product") };
    lamp.stock = locations().map(|location| OpeningStock { variant: "A".to_owned(), location, on_hand: 1 }).into();
    node.admin(Op::PutProduct(lamp)).expect("stored");
    node
}

/// Carts of two units, each on a partition of the shard named.
fn cart_on(node: &mut Node, shard: u16, quantity: u32) -> CartView {
    let is_there = |partition: &u16| placement::shard_of(PartitionId(*partition), 2) == ShardId(shard);
    let partition = (0..PARTITIONS).find(is_there).expect("partitions are spread");
    filled(node, partition, "A", quantity)
}

/// Sends requests at the same moment, so that what they set off takes turns.
fn at_once(node: &mut Node, requests: Vec<Request>) -> Vec<CallToken> {
    let mut inputs = VecDeque::new();
    let mut tokens = Vec::new();
    for request in requests {
        let placement::Route::Partition(partition) = placement::route(&request.op, Topology { partitions: PARTITIONS, shards: 2 }) else {
            panic!("of a cart")
        };
        node.next_token += 1;
        tokens.push(CallToken(node.next_token));
        inputs.push_back((usize::from(placement::shard_of(partition, 2).0), Input::Call { token: CallToken(node.next_token), request }));
    }
    node.run(inputs);
    tokens
}

/// Kinds of the histories of all orders.
fn histories(node: &Node) -> Vec<Vec<EventKind>> {
    let mut all = Vec::new();
    for core in &node.cores {
        let state = core.state.borrow();
        for slot in state.partitions.values() {
            all.extend(slot.partition.orders().map(|order| order.events.iter().map(|event| event.kind).collect()));
        }
    }
    all
}

/// Units available, held and committed over all locations.
fn units(node: &mut Node) -> (u32, u32, u32) {
    let Ok(Body::Stock(view)) = node.admin(Op::GetStock(SkuRef::Key("A".to_owned()))) else { panic!("stock") };
    view.locations.iter().fold((0, 0, 0), |sum, row| (sum.0 + row.available, sum.1 + row.held, sum.2 + row.committed))
}

/// Time passes in small steps, as a driver's ticks, and adapters do what they are asked.
fn pass(node: &mut Node, ms: u64) {
    for _ in 0..ms.div_ceil(5) {
        node.advance(5);
        node.work(|_| EffectOutcome::Succeeded);
    }
}

#[test] // Each has the near location's unit when it asks for the far one's.
fn of_two_that_hold_what_the_other_lacks_one_wins() {
    let mut node = node();
    let carts = [cart_on(&mut node, 0, 2), cart_on(&mut node, 1, 2)];
    let tokens = at_once(&mut node, vec![checkout(&carts[0], 1), checkout(&carts[1], 2)]);
    assert!(histories(&node).iter().any(|kinds| kinds.contains(&EventKind::Contended)), "they met: {:?}", histories(&node));
    assert!(tokens.iter().all(|token| node.reply(*token).is_none()), "nobody is told that it is sold out");
    pass(&mut node, 200);
    let results: Vec<_> = tokens.into_iter().map(|token| node.reply(token).expect("settled").result).collect();
    let won = results.iter().filter(|result| matches!(result, Ok(Body::Order(order)) if order.status == OrderStatus::Open)).count();
    let short = results.iter().filter(|result| matches!(result, Err(Failure::Refused(Refusal::InsufficientStock(_))))).count();
    assert_eq!((won, short), (1, 1), "{results:?}");
    assert_eq!(units(&mut node), (0, 0, 2));
    node.check();
}

#[test]
fn many_that_meet_sell_all_there_is() {
    let mut node = node();
    for location in locations() {
        let change = StockChange::Delta(4);
        let adjust = StockAdjustment { sku: SkuRef::Key("A".to_owned()), location, change, reason: "found".to_owned(), id: None };
        node.admin(Op::AdjustStock(adjust)).expect("adjusted");
    }
    let (available, ..) = units(&mut node);
    assert_eq!(available, 10);
    // Eight of ten, so each takes from both locations and no two of them fit.
    let carts: Vec<CartView> = (0..6).map(|number| cart_on(&mut node, number % 2, 8)).collect();
    let tokens = at_once(&mut node, carts.iter().zip(1..).map(|(cart, key)| checkout(cart, key)).collect());
    pass(&mut node, 4_000);
    let results: Vec<_> = tokens.into_iter().map(|token| node.reply(token).expect("settled").result).collect();
    let won = results.iter().filter(|result| matches!(result, Ok(Body::Order(order)) if order.status == OrderStatus::Open)).count();
    let short = results.iter().filter(|result| matches!(result, Err(Failure::Refused(Refusal::InsufficientStock(_))))).count();
    assert_eq!((won, short), (1, 5), "{results:?}");
    assert_eq!(units(&mut node), (2, 0, 8));
    node.check();
}

#[test] // A hold in doubt whose order is elsewhere and says nothing more: the buyer is told to come again, not that it is sold out.
fn doubt_that_lasts_is_told_as_contention() {
    let mut node = node();
    let [near, _] = locations();
    let partition = placement::partition_of(Space::Location, near.as_bytes(), PARTITIONS);
    let Ok(Body::Stock(view)) = node.admin(Op::GetStock(SkuRef::Key("A".to_owned()))) else { panic!("stock") };
    let lines = vec![crate::record::v1::HoldLine { sku: view.sku, quantity: 1 }];
    let (hold, order) = (wire::HoldId(wire::RawId(1)), wire::OrderId(wire::RawId(2)));
    let part = crate::record::v1::Command::HoldPart { hold, order, location: near, lines, ttl_ms: 3_600_000 };
    let shard = usize::from(placement::shard_of(partition, 2).0);
    drop(node.cores[shard].state.borrow_mut().propose(partition, crate::record::v1::Entry::of(part)));
    node.advance(1);
    assert_eq!(units(&mut node), (1, 1, 0));

    let cart = cart_on(&mut node, 0, 2);
    let began = node.now;
    let mut request = checkout(&cart, 1);
    if let Op::Checkout { wait_ms, .. } = &mut request.op {
        *wait_ms = 30_000;
    }
    let token = node.send(request);
    let answer = loop {
        match node.reply(token) {
            Some(answer) => break answer.result,
            None => node.advance(5),
        }
        assert!(node.now.mono_us - began.mono_us < 20_000_000, "an answer in seconds");
    };
    assert_eq!(answer, Err(Failure::Refused(Refusal::Contended)));
    assert_eq!(units(&mut node), (1, 1, 0), "nothing is held for it");
    // A buyer of the unit that is in doubt and one that is not: the first is free at once.
    let cart = cart_on(&mut node, 1, 1);
    let token = node.send(checkout(&cart, 2));
    node.work(|_| EffectOutcome::Succeeded);
    assert_eq!(order_of(node.reply(token).expect("settled").result).status, OrderStatus::Open);
    node.check();
}

#[test] // What waits is in the log: a start goes on with it.
fn a_checkout_that_waits_to_try_again_outlives_a_restart() {
    let mut node = node();
    let carts = [cart_on(&mut node, 0, 2), cart_on(&mut node, 1, 2)];
    at_once(&mut node, vec![checkout(&carts[0], 1), checkout(&carts[1], 2)]);
    assert!(histories(&node).iter().any(|kinds| kinds.contains(&EventKind::Contended)), "they met: {:?}", histories(&node));
    let mut node = node.restart(2);
    pass(&mut node, 200);
    let tokens: Vec<CallToken> = carts.iter().zip(1..).map(|(cart, key)| node.send(checkout(cart, key))).collect();
    let results: Vec<_> = tokens.into_iter().map(|token| node.reply(token).expect("settled").result).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(units(&mut node), (0, 0, 2));
    node.check();
}

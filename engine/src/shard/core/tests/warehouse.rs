//! The warehouse over whole shards: what its operations answer, and transfers between partitions whose messages are lost.

use super::*;
use wire::{
    Announcement, ApartMove, ApartStep, ArrivedGoods, BackorderPolicy, Delivery, GoodsDone, HoldId, InventoryView, OrderId, PurchaseLimit,
    RawId, Reservation, ReserveLine, StockPolicy, Transfer, TransferId, Unavailable,
};

const WAREHOUSE: Principal = Principal::Staff { role: Role::Warehouse };

/// A location that another shard of two has than `main`.
fn far() -> String {
    let shard = |code: &str| placement::shard_of(placement::partition_of(placement::Space::Location, code.as_bytes(), PARTITIONS), 2);
    (0..).map(|n| format!("far-{n}")).find(|code| shard(code) != shard("main")).expect("numbers do not end")
}

fn key(key: &str) -> SkuRef {
    SkuRef::Key(key.to_owned())
}

fn units(sku: &str, quantity: u32) -> wire::SkuUnits {
    wire::SkuUnits { sku: key(sku), quantity }
}

fn keyed(node: &mut Node, number: u128, op: Op) -> Response {
    let idempotency = Some(Idempotency { key: number, fingerprint: 1 });
    let token = node.send(Request { principal: WAREHOUSE, idempotency, ..Request::system(op) });
    node.advance(1);
    node.reply(token).expect("it is answered")
}

fn inventory(node: &mut Node, sku: &str) -> InventoryView {
    match node.call(WAREHOUSE, Op::GetInventory(key(sku))) {
        Ok(Body::Inventory(view)) => *view,
        other => panic!("an inventory was expected, not {other:?}"),
    }
}

fn goods(body: Result<Body, Failure>) -> GoodsDone {
    match body {
        Ok(Body::Goods(done)) => *done,
        other => panic!("goods were expected, not {other:?}"),
    }
}

/// On hand and in transit of the SKU over all locations.
fn everywhere(node: &mut Node, sku: &str) -> u64 {
    inventory(node, sku).locations.iter().map(|row| row.on_hand() + u64::from(row.in_transit)).sum()
}

fn send(node: &mut Node, number: u128, to: &str, quantity: u32) -> TransferId {
    let transfer = Transfer { from: "main".to_owned(), to: to.to_owned(), lines: vec![units("A", quantity)] };
    goods(keyed(node, number, Op::SendTransfer(transfer)).result).transfer.expect("an id")
}

#[test]
fn units_apart_and_deliveries() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("A", "Lamp", 500, 10)).expect("stored");
    let apart = |step, quantity| {
        let (sku, location, why) = (key("A"), "main".to_owned(), Unavailable::Damaged);
        Op::MoveApart(ApartMove { sku, location, step, why, quantity })
    };
    for replayed in [false, true] {
        let answer = keyed(&mut node, 1, apart(ApartStep::SetApart, 3));
        let Ok(Body::Inventory(view)) = answer.result else { panic!("{answer:?}") };
        let row = &view.locations[0];
        assert_eq!((row.available, row.unavailable, row.by_reason.damaged, row.on_hand()), (7, 3, 3, 10));
        assert_eq!((answer.replayed, view.key.as_str()), (replayed, "A"));
    }
    assert_eq!(stock(&mut node, "A").0, 7, "the plain view agrees");
    let short = keyed(&mut node, 2, apart(ApartStep::WriteOff, 4)).result;
    assert_eq!(short, Err(Failure::Refused(Refusal::StockApart { apart: 3 })));

    let due = Millis(1_900_000_000_000);
    let announcement = Announcement { location: "main".to_owned(), due, reference: "ASN-1".to_owned(), lines: vec![units("A", 20)] };
    let announced = keyed(&mut node, 3, Op::AnnounceDelivery(announcement.clone()));
    assert!(keyed(&mut node, 3, Op::AnnounceDelivery(announcement)).replayed);
    let id = goods(announced.result).announcement.expect("an id");
    let row = inventory(&mut node, "A").locations.remove(0);
    assert_eq!((row.incoming, row.expected[0].announcement, row.expected[0].due), (20, id, due));
    let delivery = |announcement, lines| Op::ReceiveDelivery(Delivery { location: "main".to_owned(), announcement, lines });
    let came = goods(keyed(&mut node, 4, delivery(Some(id), vec![units("A", 15)])).result);
    assert_eq!((came.units, came.left, came.surplus), (15, 5, 0));
    let came = goods(keyed(&mut node, 5, delivery(None, vec![units("A", 1)])).result);
    assert_eq!((came.units, came.announcement), (1, None));
    let withdrawn = goods(keyed(&mut node, 6, Op::WithdrawDelivery { announcement: id }).result);
    assert_eq!((withdrawn.units, withdrawn.left), (5, 0));
    assert_eq!((inventory(&mut node, "A").locations[0].incoming, stock(&mut node, "A").0), (0, 23));

    for (lines, pointer) in [
        (vec![], "/lines"),
        (vec![units("A", 0)], "/lines/0/quantity"),
        (vec![units("A", 1), units("B", 1)], "/lines/1/sku"),
        (vec![units("A", 1), units("A", 1)], "/lines/1/sku"),
    ] {
        match keyed(&mut node, 7, delivery(None, lines)).result {
            Err(Failure::Refused(Refusal::Invalid(fields))) => assert_eq!(fields[0].pointer, pointer),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    let support = Principal::Staff { role: Role::Support };
    assert!(node.call(support, Op::GetInventory(key("A"))).is_ok());
    assert_eq!(node.call(support, delivery(None, vec![units("A", 1)])), Err(Failure::Refused(Refusal::Forbidden)));
    assert_eq!(node.call(Principal::Anonymous, Op::GetInventory(key("A"))), Err(Failure::Refused(Refusal::Forbidden)));
    node.check();
    let digests = node.digests();
    assert_eq!(node.restart(3).digests(), digests, "all of it is in the log");
}

#[test]
fn a_transfer_goes_from_partition_to_partition() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("A", "Lamp", 500, 10)).expect("stored");
    let far = far();
    let transfer = send(&mut node, 1, &far, 6);
    let view = inventory(&mut node, "A");
    let [there, here] = &view.locations[..] else { panic!("two locations") };
    assert_eq!((there.location.as_str(), there.in_transit, there.on_hand(), here.available), (far.as_str(), 6, 0, 4));
    assert_eq!((there.under_way[0].transfer, there.under_way[0].from.as_str()), (transfer, "main"));

    let some = Op::ArriveTransfer { transfer, lines: Some(vec![ArrivedGoods { sku: key("A"), whole: 2, damaged: 1, lost: 1 }]) };
    let arrived = keyed(&mut node, 2, some.clone());
    let done = goods(arrived.result);
    assert_eq!((done.units, done.left, done.arriving), (3, 2, 0), "answered when the destination has them");
    assert!(keyed(&mut node, 2, some).replayed);
    let row = inventory(&mut node, "A").locations.remove(0);
    assert_eq!((row.available, row.by_reason.damaged, row.in_transit), (2, 1, 2));
    assert_eq!(everywhere(&mut node, "A"), 9, "one was lost");
    let done = goods(keyed(&mut node, 3, Op::RecallTransfer { transfer }).result);
    assert_eq!((done.units, done.left), (2, 0));
    assert_eq!((stock(&mut node, "A"), everywhere(&mut node, "A")), ((2, 0, 0), 9));
    // Shoppers are told of what is there, not of what is on its way.
    let unknown = Op::RecallTransfer { transfer };
    assert_eq!(keyed(&mut node, 4, unknown).result, Err(Failure::Refused(Refusal::NotFound)));
    node.check();
    let digests = node.digests();
    assert_eq!(node.restart(1).digests(), digests);
}

#[test] // Each row: which messages between the shards are lost before the crash. Restarted, each arrives once.
fn a_crash_between_two_partitions_loses_no_unit() {
    for lose in [|_: &PeerMessage| true, |message: &PeerMessage| matches!(message, PeerMessage::Answer { .. })] {
        let mut node = Node::start(2, Vec::new());
        node.admin(product("A", "Lamp", 500, 10)).expect("stored");
        let far = far();
        let transfer = send(&mut node, 1, &far, 6);
        node.lose = Some(lose);
        let op = Op::ArriveTransfer { transfer, lines: None };
        let token = node.send(Request { principal: WAREHOUSE, ..Request::system(op) });
        node.advance(3_000);
        assert_eq!(goods(node.reply(token).expect("it waits no longer").result).arriving, 6);
        node.check();

        let mut node = node.restart(2);
        node.advance(5);
        let row = inventory(&mut node, "A").locations.remove(0);
        assert_eq!((row.available, row.in_transit), (6, 0));
        assert_eq!((everywhere(&mut node, "A"), stock(&mut node, "A").0), (10, 6));
        assert_eq!(keyed(&mut node, 9, Op::RecallTransfer { transfer }).result, Err(Failure::Refused(Refusal::NotFound)), "it is closed");
        node.check();
        let digests = node.digests();
        assert_eq!(node.restart(3).digests(), digests);
    }
}

#[test]
fn policies_reach_shoppers_and_reservations() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("A", "Lamp", 500, 2)).expect("stored");
    let backorder = |node: &mut Node| match node.call(Principal::Anonymous, Op::GetAvailability(vec![key("A")])) {
        Ok(Body::Availability(items)) => items[0].availability.backorder,
        other => panic!("{other:?}"),
    };
    assert!(!backorder(&mut node));
    let policy = |backorder| {
        let (sku, location) = (key("A"), "main".to_owned());
        Op::SetStockPolicy(StockPolicy { sku, location, backorder, low_stock: Some(1) })
    };
    let set = node.call(WAREHOUSE, policy(BackorderPolicy::Backorder { limit: 3 }));
    let Ok(Body::Inventory(view)) = set else { panic!("{set:?}") };
    let sku = view.sku;
    assert_eq!((view.locations[0].backorder, view.locations[0].low_stock), (BackorderPolicy::Backorder { limit: 3 }, Some(1)));
    assert!(backorder(&mut node));

    let reserve = |node: &mut Node, n: u128, quantity| {
        let hold = HoldId(RawId(u128::from(node.now.wall.0) << 80 | n));
        let (owner, location) = (OrderId(RawId(9)), "main".to_owned());
        let lines = vec![ReserveLine { sku, quantity }];
        node.call(WAREHOUSE, Op::Reserve(Reservation { hold, owner, location, lines, ttl_ms: 60_000, partial: false }))
    };
    let taken = reserve(&mut node, 1, 5);
    let Ok(Body::Backordered { reserved, owed }) = taken else { panic!("{taken:?}") };
    assert_eq!((reserved.lines[0].taken, owed), (2, vec![3]));
    assert!(!backorder(&mut node), "no more may be owed");
    let delivery = Delivery { location: "main".to_owned(), announcement: None, lines: vec![units("A", 4)] };
    keyed(&mut node, 1, Op::ReceiveDelivery(delivery)).result.expect("came");
    let row = inventory(&mut node, "A").locations.remove(0);
    assert_eq!((row.available, row.held, row.backordered), (1, 5, 0));
    assert!(backorder(&mut node));

    let limit = PurchaseLimit { per_order: Some(1), per_customer: None };
    let set = node.call(WAREHOUSE, Op::SetPurchaseLimit { sku: key("A"), limit });
    assert!(matches!(set, Ok(Body::Inventory(view)) if view.limit == limit));
    assert!(matches!(reserve(&mut node, 2, 2), Err(Failure::Refused(Refusal::LimitReached { .. }))));

    let events = node.call(WAREHOUSE, Op::StockEvents { location: "main".to_owned(), after: None, limit: 10 });
    let Ok(Body::StockEvents(page)) = events else { panic!("{events:?}") };
    assert!(page.items.iter().any(|event| matches!(event.news, wire::StockNews::Filled { quantity: 3, left: 0, .. })), "{page:?}");
    let history = node.call(WAREHOUSE, Op::StockHistory { location: "main".to_owned(), after: None, limit: 1 });
    let Ok(Body::StockHistory(page)) = history else { panic!("{history:?}") };
    assert!(page.items.len() == 1 && page.more);
    for shard in 0..2 {
        let audit = node.call(WAREHOUSE, Op::AuditStock(ShardId(shard)));
        let Ok(Body::Audited(audit)) = audit else { panic!("{audit:?}") };
        assert_eq!(audit.broken, None);
    }
    // A start tells shoppers the same.
    node.check();
    let mut node = node.restart(3);
    assert!(backorder(&mut node));
    node.call(WAREHOUSE, policy(BackorderPolicy::Deny)).expect("lifted");
    assert!(!backorder(&mut node));
}

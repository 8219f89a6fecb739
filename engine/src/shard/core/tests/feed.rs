//! The feed of whole shards: pages while writes go on, over starts and other numbers of shards, from memory and from files.

use super::*;
use crate::events::SEGMENT_BYTES_MAX;
use std::collections::BTreeSet;
use wire::{CategoryInput, EventField, EventKind, FeedCursor, FeedEvent, FeedFrom, FeedPage, FeedPlace, Seq, StockAdjustment, StockChange};

const OLDEST: FeedFrom = FeedFrom::Oldest { first: PartitionId(0), count: 0 };
const LATEST: FeedFrom = FeedFrom::Latest { first: PartitionId(0), count: 0 };

fn feed(node: &mut Node, from: FeedFrom, limit: u16) -> Result<FeedPage, Failure> {
    match node.admin(Op::Feed { from, limit })? {
        Body::Feed(page) => Ok(*page),
        other => panic!("a page was expected, not {other:?}"),
    }
}

/// Reads up to the end.
fn finish(node: &mut Node, cursor: &mut FeedFrom, seen: &mut Vec<FeedEvent>) {
    loop {
        let page = feed(node, cursor.clone(), 100).expect("a page");
        *cursor = FeedFrom::After(page.next);
        if page.items.is_empty() {
            break;
        }
        seen.extend(page.items);
    }
}

/// Under an id of its own: a shard in a test draws the same random numbers after each start.
fn adjust(node: &mut Node, id: String, change: StockChange) {
    let sku = SkuRef::Key("ink".to_owned());
    let adjustment = StockAdjustment { id: Some(id), sku, location: "main".to_owned(), change, reason: "A reason of Ada's".to_owned() };
    node.admin(Op::AdjustStock(adjustment)).expect("adjusted");
}

fn words(events: &[FeedEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.word()).collect()
}

/// Events by partition, in their order.
fn parts(events: &[FeedEvent]) -> BTreeMap<PartitionId, Vec<FeedEvent>> {
    let mut parts: BTreeMap<PartitionId, Vec<FeedEvent>> = BTreeMap::new();
    events.iter().for_each(|event| parts.entry(event.position.partition).or_default().push(event.clone()));
    parts
}

#[test]
fn what_happens_is_told() {
    let mut node = Node::start(2, Vec::new());
    let mut cursor = FeedFrom::After(feed(&mut node, LATEST, 1).expect("a page").next);
    let mut events = Vec::new();
    node.admin(product("ink", "Cyan ink", 1_000, 3)).expect("made");
    node.advance(50);
    finish(&mut node, &mut cursor, &mut events);
    let told: BTreeSet<&str> = words(&events).into_iter().collect();
    let wanted = ["category.created", "product.created", "stock.adjusted", "stock.back_in_stock"];
    assert_eq!(told, wanted.into());

    events.clear();
    node.admin(product("ink", "Cyan ink, new", 1_000, 3)).expect("made");
    node.admin(product("ink", "Cyan ink, new", 1_000, 3)).expect("the same");
    adjust(&mut node, "a".to_owned(), StockChange::Delta(-1));
    adjust(&mut node, "b".to_owned(), StockChange::Set(0));
    finish(&mut node, &mut cursor, &mut events);
    assert_eq!(parts(&events).into_values().map(|part| words(&part)).collect::<BTreeSet<_>>().len(), 2);
    let stock: Vec<&FeedEvent> = events.iter().filter(|event| event.kind != EventKind::ProductUpdated).collect();
    assert_eq!(stock.len() + 1, events.len());
    let kinds: Vec<&str> = stock.iter().map(|event| event.kind.word()).collect();
    assert_eq!(kinds, ["stock.adjusted", "stock.availability_changed", "stock.adjusted", "stock.sold_out"]);
    assert_eq!(stock[0].data[2..], [EventField::Change(-1), EventField::OnHand(2)]);
    assert_eq!(stock[3].data[2..], [EventField::Quantity(0), EventField::QuantityBefore(2)]);
    assert!(!format!("{events:?}").contains("Ada"), "what people say is not told");
}

#[test]
fn readers_are_admins_with_cursors_of_this_shop() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("ink", "Cyan ink", 1_000, 3)).expect("made");
    for role in [Role::Support, Role::Merchandiser, Role::Warehouse] {
        let refused = node.call(Principal::Staff { role }, Op::Feed { from: OLDEST, limit: 1 });
        assert_eq!(refused, Err(Failure::Refused(Refusal::Forbidden)));
    }
    let good = feed(&mut node, LATEST, 1).expect("a page").next;
    let other = |change: fn(&mut FeedCursor)| {
        let mut cursor = good.clone();
        change(&mut cursor);
        FeedFrom::After(cursor)
    };
    for (from, refusal) in [
        (other(|it| it.epoch = 0), Refusal::CursorTooOld),
        (other(|it| it.epoch = 2), Refusal::BadCursor),
        (other(|it| it.partitions = 65), Refusal::BadCursor),
        (other(|it| it.first = PartitionId(1)), Refusal::BadCursor),
        (other(|it| it.places.clear()), Refusal::BadCursor),
        (other(|it| it.places[7] = FeedPlace { seq: Seq(1 << 40), nth: 0 }), Refusal::BadCursor),
    ] {
        assert_eq!(feed(&mut node, from.clone(), 1), Err(Failure::Refused(refusal)), "{from:?}");
    }
    for (first, count) in [(0, 65), (64, 1), (0, 600)] {
        let from = FeedFrom::Oldest { first: PartitionId(first), count };
        assert!(matches!(feed(&mut node, from, 1), Err(Failure::Refused(Refusal::Invalid(_)))), "{first} {count}");
    }
    assert!(matches!(feed(&mut node, OLDEST, 0), Err(Failure::Refused(Refusal::Invalid(_)))));

    // A reader of a part follows that alone.
    let all = feed(&mut node, OLDEST, 100).expect("a page").items;
    let some = all.last().expect("some").position.partition;
    let part = feed(&mut node, FeedFrom::Oldest { first: some, count: 1 }, 100).expect("a page");
    assert_eq!((part.items, part.next.places.len()), (parts(&all).remove(&some).expect("some"), 1));
}

#[test] // With pages of all sizes, writes in between, starts with other numbers of shards, and times at which files are behind.
fn a_reader_sees_every_event_once() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("ink", "Cyan ink", 1_000, 3)).expect("made");
    let (mut cursor, mut seen) = (OLDEST, Vec::new());
    for round in 0u64..60 {
        for n in 0..round % 4 {
            node.admin(product(&format!("ink-{n}"), &format!("Ink {round}"), 1_000, 3)).expect("made");
            adjust(&mut node, format!("{round}-{n}"), StockChange::Set((round * 7 % 13) as u32));
        }
        node.files_stand_still = round % 7 > 4;
        let page = feed(&mut node, cursor, 1 + (round * 5 % 11) as u16).expect("a page");
        seen.extend(page.items);
        cursor = FeedFrom::After(page.next);
        node.advance(round % 5 * 700);
        if round % 13 == 12 {
            node = node.restart(1 + (round % 3) as u16);
        }
    }
    node.files_stand_still = false;
    node = node.restart(2);
    finish(&mut node, &mut cursor, &mut seen);
    let ids: BTreeSet<_> = seen.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), seen.len(), "each once");
    for part in parts(&seen).values() {
        assert!(part.is_sorted_by_key(|event| (event.place(), event.id)), "in order");
    }
    let (mut from, mut all) = (OLDEST, Vec::new());
    finish(&mut node, &mut from, &mut all);
    assert_eq!(parts(&all), parts(&seen), "and none is missing");
    let adjusted = all.iter().filter(|event| event.kind == EventKind::StockAdjusted).count();
    assert!(adjusted > 30, "{adjusted}");
}

#[test] // The oldest files go; a reader that comes for them is told so, and one that begins at the oldest gets what there is.
fn a_cursor_of_long_ago_is_too_old() {
    let keep = Keep { ms: u64::MAX / 2, bytes: 2 * SEGMENT_BYTES_MAX as u64 };
    let mut node = Node::start_with(1, Vec::new(), Files::default(), 1, keep);
    let begin = feed(&mut node, LATEST, 1).expect("a page").next;
    let mut number = 0;
    while node.files.files.len() < 5 {
        for _ in 0..100 {
            number += 1;
            let (key, name) = (format!("c{}", number % 50), format!("{number}{}", "n".repeat(2_000)));
            node.admin(Op::PutCategory(CategoryInput { key, name, parent: None })).expect("made");
        }
        node.advance(1_500);
        assert!(number < 20_000, "files go");
        if node.files.files.keys().any(|path| path.ends_with("00000005.evt")) {
            break;
        }
    }
    assert!(!node.files.files.contains_key("events/00000001/shard-000/00000001.evt"), "the oldest is gone");
    assert_eq!(feed(&mut node, FeedFrom::After(begin.clone()), 1), Err(Failure::Refused(Refusal::CursorTooOld)));
    for shards in [1, 2] {
        let (mut from, mut seen) = (OLDEST, Vec::new());
        finish(&mut node, &mut from, &mut seen);
        let numbers: Vec<u64> = seen.iter().map(|event| event.position.seq.0).collect();
        assert!(numbers.first().is_some_and(|first| *first > 1) && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gap");
        node = node.restart(shards);
        assert_eq!(feed(&mut node, FeedFrom::After(begin.clone()), 1), Err(Failure::Refused(Refusal::CursorTooOld)));
    }
}

#[test] // A file that somebody took away: whoever is behind it is told so, and the oldest are those that are left.
fn a_file_that_is_gone_costs_its_events() {
    let mut node = Node::start(1, Vec::new());
    let begin = feed(&mut node, LATEST, 1).expect("a page").next;
    for number in 0..3_000 {
        let (key, name) = (format!("c{}", number % 50), format!("{number}{}", "n".repeat(2_000)));
        node.admin(Op::PutCategory(CategoryInput { key, name, parent: None })).expect("made");
        if number % 100 == 0 {
            node.advance(1_500);
        }
    }
    node.advance(1_500);
    let mut node = node.restart(1);
    node.files.files.remove("events/00000001/shard-000/00000001.evt").expect("there");
    let oldest = feed(&mut node, OLDEST, 10).expect("a page").items;
    assert!(oldest[0].position.seq.0 > 1_000 && oldest.len() == 10);
    assert_eq!(feed(&mut node, FeedFrom::After(begin), 1), Err(Failure::Refused(Refusal::CursorTooOld)));
}

#[test] // Events wait for a disk that does nothing; the shard takes no more commands, and goes on when it does.
fn a_disk_that_stands_still_holds_commands_up() {
    let mut node = Node::start(1, Vec::new());
    node.files_stand_still = true;
    let mut refused = None;
    for number in 0..40_000 {
        let (key, name) = (format!("c{}", number % 50), format!("{number}{}", "n".repeat(2_000)));
        if let Err(failure) = node.admin(Op::PutCategory(CategoryInput { key, name, parent: None })) {
            refused = Some(failure);
            break;
        }
    }
    assert_eq!(refused, Some(Failure::Overloaded { retry_after_ms: 250 }));
    assert!(feed(&mut node, LATEST, 1).is_ok(), "reads go on");
    let core = node.cores[0].state.borrow();
    let durable: BTreeSet<_> = core.partitions.keys().map(|id| core.events_durable(*id)).collect();
    assert_eq!(durable, [Seq(0)].into(), "nothing is durable that no driver wrote");
}

/// Holds one unit for a minute.
fn hold(node: &mut Node) {
    let warehouse = Principal::Staff { role: Role::Warehouse };
    let lines = || vec![wire::ReserveLine { sku: wire::SkuId(wire::RawId(7)), quantity: 1 }];
    let location = || "main".to_owned();
    node.call(warehouse, Op::ReceiveStock { id: 1, location: location(), lines: lines() }).expect("received");
    let hold = wire::HoldId(wire::RawId(u128::from(node.now.wall.0) << 80));
    let owner = wire::OrderId(wire::RawId(9));
    let reservation = wire::Reservation { hold, owner, location: location(), lines: lines(), ttl_ms: 60_000, partial: false };
    node.call(warehouse, Op::Reserve(reservation)).expect("held");
}

fn seqs(node: &Node) -> BTreeMap<PartitionId, Seq> {
    let of_core =
        |core: &ShardCore| -> Vec<_> { core.state.borrow().partitions.iter().map(|(id, slot)| (*id, slot.partition.seq())).collect() };
    node.cores.iter().flat_map(of_core).collect()
}

#[test] // What falls due between the end of the last call and the end of the process is ended by the next start, and no entry is left untold.
fn what_falls_due_while_it_drains_is_left_to_the_next_start() {
    let mut node = Node::start(2, Vec::new());
    hold(&mut node);
    for shard in 0..2 {
        node.run([(shard, Input::Drain), (shard, Input::Tick)].into());
    }
    node.advance(10);
    assert!(node.cores.iter().all(ShardCore::is_idle));
    let before = seqs(&node);
    node.files_stand_still = true;
    node.advance(120_000);
    assert_eq!(seqs(&node), before);
    node.files_stand_still = false;
    let mut node = node.restart(1);
    node.advance(240_000);
    assert_ne!(seqs(&node), before, "the reservation fell back");
}

#[test] // A command that was on its way when the shard closed is told before the shard is settled; one that comes later is refused.
fn a_closed_shard_finishes_what_is_on_its_way_and_begins_nothing() {
    let mut node = Node::start(1, Vec::new());
    node.run([(0, Input::Drain), (0, Input::Tick)].into());
    assert!(node.cores[0].is_idle() && !node.cores[0].is_settled(), "it may be asked to do more");
    let put = Op::PutCategory(CategoryInput { key: "c".to_owned(), name: "Chairs".to_owned(), parent: None });
    let propose = |node: &mut Node| {
        let mut state = node.cores[0].state.borrow_mut();
        drop(state.propose(PartitionId(5), crate::record::v1::Entry::of(Command::RunTimers { max: 1 })));
    };
    propose(&mut node);
    node.run([(0, Input::Close)].into());
    assert_eq!(seqs(&node)[&PartitionId(5)], Seq(1), "what was on its way is logged");
    node.advance(10);
    assert!(node.cores[0].is_settled());
    assert_eq!(node.cores[0].state.borrow().events_durable(PartitionId(5)), Seq(1), "and told");
    propose(&mut node);
    assert_eq!(node.admin(put), Err(Failure::ShuttingDown));
    node.advance(10);
    assert!(node.cores[0].is_settled());
    assert_eq!(seqs(&node)[&PartitionId(5)], Seq(1));
}

#[test]
fn a_stop_leaves_nothing_to_be_told_again() {
    let mut node = Node::start(2, Vec::new());
    node.admin(product("ink", "Cyan ink", 1_000, 3)).expect("made");
    assert!(node.cores.iter().any(|core| core.state.borrow().events.wants_more()));
    for shard in 0..2 {
        node.run([(shard, Input::Drain), (shard, Input::Tick)].into());
    }
    node.advance(10);
    for core in &node.cores {
        let state = core.state.borrow();
        assert!(state.events.is_clean());
        assert!(state.partitions.iter().all(|(id, slot)| state.events_durable(*id) == slot.partition.seq()));
    }
}

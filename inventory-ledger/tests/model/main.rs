//! The ledger against a dull model: random histories, every answer and every read compared after every operation.

mod along;
mod bought;
mod bytes;
mod dull;
mod goods;
mod ops;
mod owed;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use inventory_ledger::{Customer, HoldId, Ledger, Limits, Restore, Row, Saved, Sku, Stage, Usage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use dull::Dull;
use ops::{Answer, HOLDS, LIMITS, Op, SKUS, apply, history};

/// The same ledger, from its snapshot. Its hashes have another seed: nothing may depend on that.
fn restored(ledger: &Ledger) -> Ledger {
    walk::restored(ledger.save(), 99)
}

proptest! {
    #![proptest_config(Config { cases: 1000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn ledger_agrees_with_the_model(history in history()) {
        let (mut ledger, mut model) = (Ledger::new(LIMITS), Dull::new(LIMITS));
        let reader = ledger.reader();
        let mut shadow: BTreeMap<_, Row> = BTreeMap::new(); // a caller's table, kept by the drained changes alone
        let mut ids: BTreeSet<HoldId> = (0..HOLDS).map(HoldId).collect();
        let mut along = along::Along::default();
        for (at, (now, op)) in history.iter().enumerate() {
            let answer = apply(&mut ledger, *now, op);
            prop_assert_eq!(&answer, &model.apply(*now, op, &answer), "step {}: {:?}", at, op);

            prop_assert_eq!(ledger.check(), Ok(()), "step {}: {:?}", at, op);
            let rows: BTreeMap<_, _> = ledger.rows().map(|(sku, place, row)| ((sku, place), row)).collect();
            prop_assert_eq!(&rows, &model.rows(), "step {}: {:?}", at, op);
            if let (Op::SetThreshold { sku, location, low }, Answer::Set(Ok(()))) = (op, &answer) {
                along.thresholds.insert((*sku, *location), *low);
            }
            let filled = if let Answer::Filled(filled) = &answer { &filled.lines[..] } else { &[] };
            along.step(&ledger, &rows, filled);
            for (&(sku, location), &row) in &rows {
                prop_assert_eq!(ledger.row(sku, location), Some(row));
                prop_assert_eq!(ledger.available(sku, location), row.available);
                prop_assert_eq!(ledger.in_doubt(sku, location), model.in_doubt((sku, location)));
                prop_assert_eq!(reader.row(sku, location), Some(row));
                prop_assert_eq!(reader.available(sku, location), row.available);
                prop_assert_eq!(ledger.policy(sku, location), model.policy((sku, location)));
                prop_assert_eq!(ledger.unavailable(sku, location), model.unavailable((sku, location)));
                prop_assert_eq!(ledger.expected(sku, location), model.expected((sku, location)));
                prop_assert_eq!(ledger.under_way(sku, location), model.under_way((sku, location)));
            }
            for sku in (0..SKUS).map(Sku) {
                let of_sku: Vec<_> = ledger.rows_of(sku).collect();
                let expected = rows.iter().filter(|(key, _)| key.0 == sku);
                prop_assert_eq!(of_sku, expected.map(|(key, &row)| (key.1, row)).collect::<Vec<_>>());
                prop_assert_eq!(ledger.holds_of(sku), model.holds_of(sku));
                for customer in (0..2).map(Customer) {
                    prop_assert_eq!(ledger.purchased(customer, sku), model.purchased(customer, sku), "step {}: {:?}", at, op);
                }
            }
            if let Op::Hold(ask) = op {
                ids.insert(ask.id);
            }
            for &id in &ids {
                prop_assert_eq!(ledger.hold_state(id), model.hold_state(id), "{:?}, step {}: {:?}", id, at, op);
            }
            let first = model.expiries().first().map(|&(at, _)| at);
            prop_assert_eq!(ledger.next_expiry().is_some(), first.is_some());
            prop_assert!(ledger.next_expiry() <= first, "never later: {:?} {:?}", ledger.next_expiry(), first);
            prop_assert_eq!(Usage { recorded: 0, events: 0, ..ledger.usage() }, model.usage());

            for change in ledger.drain_changes() {
                let key = (change.sku, change.location);
                let before = shadow.insert(key, change.after).unwrap_or_default();
                prop_assert_eq!(before, change.before);
                prop_assert_ne!(change.before, change.after);
            }
            shadow.retain(|_, row| *row != Row::default());
            let stocked = rows.into_iter().filter(|(_, row)| *row != Row::default());
            prop_assert_eq!(&shadow, &stocked.collect(), "step {}: {:?}", at, op);
        }
        // Whatever is left comes to its end in steps, however small.
        let end = model.expiries().last().map_or(ledger.now(), |&(at, _)| at);
        for step in 0.. {
            prop_assert!(step < 200, "expiry comes to an end");
            let answer = apply(&mut ledger, end, &Op::Expire(1));
            model.apply(end, &Op::Expire(1), &answer);
            if matches!(answer, Answer::Expired(expired) if !expired.more) {
                break;
            }
        }
        prop_assert_eq!((ledger.next_expiry(), ledger.lag(end)), (None, 0));
    }

    #[test] // The second ledger never drains and has another seed, is warmed, and is saved and restored now and then: nothing shows.
    fn the_same_history_gives_the_same_digest(history in history(), restores in proptest::collection::vec(0..200_usize, 0..4)) {
        let (mut ledger, mut again) = (Ledger::new(LIMITS), Ledger::with_seed(LIMITS, 7));
        for (at, (now, op)) in history.iter().enumerate() {
            if restores.contains(&at) {
                again = restored(&again);
                prop_assert!(again.save().eq(ledger.save()));
            }
            if let Op::Hold(ask) = op {
                again.warm([(ask.id, &ask.lines[..]), (HoldId(1), &[])].into_iter());
            }
            prop_assert_eq!(apply(&mut ledger, *now, op), apply(&mut again, *now, op), "{:?}", op);
            ledger.drain_changes().for_each(drop);
            prop_assert_eq!(ledger.digest(), again.digest());
        }
    }

    #[test] // Snapshots begin, go on and are given up between the operations: the ledger never knows. What each gives is what `save` gave at
    // its beginning, and the ledgers that both restore to answer whatever follows alike. Some histories are of ledgers without a history
    // of movements, where the usual basket takes its short way.
    fn a_snapshot_in_steps_is_of_its_beginning(
        history in history(),
        acts in proptest::collection::vec(any::<u8>(), 0..200),
        recorded in any::<bool>(),
    ) {
        let limits = Limits { history_max: if recorded { LIMITS.history_max } else { 0 }, ..LIMITS };
        let (mut ledger, mut never) = (Ledger::new(limits), Ledger::new(limits));
        let mut walk = walk::Walk::default();
        let mut pairs: Vec<(Ledger, Ledger)> = Vec::new();
        let acts = acts.into_iter().map(walk::Act::of_byte).chain(std::iter::repeat(walk::Act::Nothing));
        for ((now, op), act) in history.iter().zip(acts) {
            let answer = apply(&mut ledger, *now, op);
            prop_assert_eq!(&answer, &apply(&mut never, *now, op), "{:?}", op);
            for (walked, plain) in &mut pairs {
                prop_assert_eq!(apply(walked, *now, op), apply(plain, *now, op), "{:?}", op);
                prop_assert_eq!(walked.next_expiry(), plain.next_expiry());
            }
            pairs.extend(walk.step(&mut ledger, act));
            if pairs.len() > 2 {
                let (walked, plain) = pairs.remove(0);
                prop_assert!(walked.save().eq(plain.save()));
            }
            prop_assert!(ledger.drain_changes().eq(never.drain_changes()));
        }
        pairs.extend(walk.finish(&mut ledger));
        for (walked, plain) in &pairs {
            prop_assert!(walked.save().eq(plain.save()));
            prop_assert_eq!(walked.check(), Ok(()));
        }
        prop_assert_eq!((ledger.digest(), ledger.check()), (never.digest(), Ok(())));
    }

    #[test] // A step that moved something shows in the digest.
    fn a_changed_row_changes_the_digest(history in history()) {
        let mut ledger = Ledger::new(LIMITS);
        for (now, op) in &history {
            let before = ledger.digest();
            apply(&mut ledger, *now, op);
            if ledger.drain_changes().count() > 0 {
                prop_assert_ne!(ledger.digest(), before, "{:?}", op);
            }
        }
    }

    #[test] // A snapshot with an item lost, doubled or changed is refused, or it is another state: never a panic, never unsound.
    fn spoilt_snapshots_are_refused(history in history(), at in any::<proptest::sample::Index>(), how in 0..14_u8, by in 1..5_u32) {
        let mut ledger = Ledger::new(LIMITS);
        history.iter().for_each(|(now, op)| drop(apply(&mut ledger, *now, op)));
        let mut items: Vec<Saved> = ledger.save().collect();
        let at = at.index(items.len());
        match how {
            0 => drop(items.remove(at)),
            1 => items.insert(at, items[at].clone()),
            2 => items.rotate_left(1),
            _ => spoil(&mut items[at], how, by),
        }
        let mut restore = Restore::new(Limits { holds_max: LIMITS.holds_max + by % 2, ..LIMITS });
        let finished = items.iter().try_for_each(|item| restore.put(item.clone())).and_then(|()| restore.finish());
        match finished {
            Ok(other) => {
                prop_assert_eq!(other.check(), Ok(()));
                prop_assert_eq!(sorted(other.save()), sorted(items));
            }
            Err(bad) => prop_assert!(!bad.to_string().is_empty()),
        }
    }
}

/// Items in an order of their own: a change may have put one into another list.
fn sorted(items: impl IntoIterator<Item = Saved>) -> Vec<String> {
    let mut items: Vec<String> = items.into_iter().map(|item| format!("{item:?}")).collect();
    items.sort();
    items
}

/// Changes one number of an item.
fn spoil(item: &mut Saved, how: u8, by: u32) {
    match item {
        Saved::Begin(begin) => match how % 4 {
            0 => begin.rows += by,
            1 => begin.clock.0 += u64::from(by),
            2 => begin.now.0 = begin.now.0.saturating_sub(u64::from(by)),
            _ => begin.holds = begin.holds.wrapping_sub(by),
        },
        Saved::Row(row) => match how % 8 {
            0 => row.row.held.0 += by,
            1 => row.detached.0 += by,
            2 => row.row.available.0 = u32::MAX - by,
            3 => row.row.unavailable.0 += by,
            4 => row.row.in_transit.0 += by,
            5 => row.cold = None,
            6 => {
                let cold = row.cold.get_or_insert_default();
                cold.carried = cold.carried.wrapping_sub(i64::MAX / i64::from(by));
            }
            _ => row.booked.0 += by,
        },
        Saved::Hold(hold) => match how % 14 {
            0 => hold.stage = Stage::Held { level: by as u8, soonest: hold.expires_at },
            1 => hold.unsettled = !hold.unsettled,
            2 => hold.lines[0].taken.0 += by,
            3 => hold.lines[0].committed.0 += by,
            4 => hold.lines[0].row = Some(by + 2),
            5 => hold.stage = Stage::Committed,
            6 => hold.expires_at.0 = u64::from(by),
            8 => hold.lines[0].owed.0 += by,
            12 => hold.purchase = None,
            13 => hold.purchase.iter_mut().for_each(|purchase| purchase.units[0].1 += u64::from(by)),
            9 => hold.lines[0].filled.0 += by,
            10 => hold.lines[0].backordered.0 += by,
            11 => hold.lines[0].turn += u64::from(by),
            _ => hold.body ^= u64::from(by),
        },
        Saved::Ended(ended) => match how % 5 {
            0 => ended.lines.clear(),
            1 => ended.detailed = !ended.detailed,
            2 => ended.end = inventory_ledger::End::Tombstoned,
            3 => ended.in_part = !ended.in_part,
            _ => ended.until.0 = u64::MAX - u64::from(by),
        },
        Saved::Movement(movement) => movement.id.0 = u128::from(by),
        Saved::Announcement(open) => match how % 4 {
            0 => open.lines[0].left.0 = by,
            1 => open.lines[0].row = by,
            2 => open.lines = Box::default(),
            _ => open.id.0 = u128::from(by),
        },
        Saved::Recorded(recorded) => recorded.serial.0 += u64::from(by),
        Saved::Event(event) => event.serial.0 += u64::from(by),
        Saved::Limit(limit) => match how % 3 {
            0 => limit.limit = Default::default(),
            1 => limit.limit.per_order = Some(inventory_ledger::Units(by)),
            _ => limit.sku = Sku(by.into()),
        },
        Saved::Shipment(open) => match how % 4 {
            0 => open.lines[0].left.0 = by,
            1 => open.lines[0].from = by,
            2 => open.lines[0].to = by,
            _ => open.to.0 = u64::from(by),
        },
    }
}

/// What kind of answer it is: its `Debug` up to the first number or list.
fn kind(answer: &ops::Answer) -> String {
    let text = format!("{answer:?}");
    let replayed = if text.contains("replayed: true") { " again" } else { "" };
    let end = text.find(|c: char| c.is_ascii_digit() || "{[".contains(c)).unwrap_or(text.len());
    format!("{}{replayed}", text[..end].trim_end())
}

#[test] // A model test proves nothing about answers that its histories never get.
fn histories_reach_every_answer() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..1_500 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let mut ledger = Ledger::new(LIMITS);
        for (now, op) in &history {
            seen.insert(kind(&apply(&mut ledger, *now, op)));
        }
    }
    let wanted = [
        "Moved(Ok(Moved",
        "Moved(Ok(Moved again",
        "Moved(Err(Mismatch",
        "Moved(Err(Committed",
        "Moved(Err(Overflow",
        "Moved(Err(UnknownRow))",
        "Moved(Err(IdReused))",
        "Moved(Err(Full(Rows)))",
        "Moved(Err(Full(Movements)))",
        "Moved(Err(TooFew",
        "Goods(Ok(Goods",
        "Goods(Ok(Goods again",
        "Goods(Err(Unknown))",
        "Goods(Err(Short",
        "Goods(Err(TooMany",
        "Goods(Err(Overflow",
        "Goods(Err(SamePlace",
        "Goods(Err(Malformed(Empty)))",
        "Goods(Err(Malformed(ZeroQuantity",
        "Goods(Err(IdReused))",
        "Goods(Err(Full(Rows)))",
        "Goods(Err(Full(Movements)))",
        "Goods(Err(Full(Announcements)))",
        "Goods(Err(Full(Shipments)))",
        "Restocked(Ok(Restocked",
        "Restocked(Ok(Restocked again",
        "Restocked(Err(Unknown))",
        "Restocked(Err(NotCommitted",
        "Restocked(Err(TooMany",
        "Restocked(Err(Malformed(Empty)))",
        "Restocked(Err(Malformed(ZeroQuantity",
        "Restocked(Err(IdReused))",
        "Restocked(Err(Full(Movements)))",
        "Held(Ok(Held",
        "Held(Ok(Held again",
        "Held(Err(Short",
        "Held(Err(Tombstoned))",
        "Held(Err(IdReused))",
        "Held(Err(Malformed(Empty)))",
        "Held(Err(Malformed(ZeroQuantity",
        "Held(Err(Full(Holds)))",
        "Held(Err(Full(Backorders)))",
        "Held(Err(Full(Purchases)))",
        "Held(Err(OverLimit",
        "Limited(Ok(()))",
        "Limited(Err(PurchaseLimits))",
        "Set(Ok(()))",
        "Set(Err(UnknownRow))",
        "Filled(Filled",
        "Held(Err(Contended",
        "Held(Err(TooOld))",
        "Held(Err(TooNew))",
        "Held(Err(TooLong",
        "Settled(Ok(Settled",
        "Settled(Ok(Settled again",
        "Settled(Err(Unknown))",
        "Settled(Err(Expired))",
        "Settled(Err(Released))",
        "Settled(Err(Committed))",
        "Extended(Ok(Extended",
        "Extended(Err(Unknown))",
        "Extended(Err(Expired))",
        "Extended(Err(Released))",
        "Extended(Err(Committed))",
        "Committed(Err(Differs))",
        "Committed(Err(TooMany",
        "Committed(Err(Malformed(Empty)))",
        "Committed(Err(Malformed(ZeroQuantity",
        "Released(Ok(TooOld))",
        "Released(Err(TooNew))",
        "Pinned(Ok(Pinned",
        "Pinned(Ok(Pinned again",
        "Pinned(Err(Unknown))",
        "Pinned(Err(Expired))",
        "Pinned(Err(Released))",
        "Pinned(Err(Committed))",
        "Committed(Ok(Committed",
        "Committed(Ok(Committed again",
        "Committed(Err(Unknown))",
        "Committed(Err(Expired))",
        "Committed(Err(Released))",
        "Released(Ok(Returned",
        "Released(Ok(Returned again",
        "Released(Ok(Expired))",
        "Released(Ok(Tombstoned",
        "Released(Ok(Tombstoned again",
        "Released(Err(Committed))",
        "Released(Err(Full(Tombstones)))",
        "Forgotten(Ok(Forgotten",
        "Forgotten(Ok(Forgotten again",
        "Forgotten(Err(Unknown))",
        "Forgotten(Err(NotCommitted",
        "Expired(Expired",
        "Swept(Swept",
    ];
    let wanted: BTreeSet<String> = wanted.map(str::to_owned).into();
    assert_eq!(seen, wanted);
}

/// Bytes that look random, and the same every time.
fn scattered(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test] // What a fuzzer is given to drive the ledger with: any bytes are a history, and all operations and answers are in reach.
fn histories_of_bytes_agree_and_reach_every_operation() {
    let (mut ops, mut answers) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..1_000 {
        let bytes = scattered(seed, (seed as usize * 7) % 1_500);
        bytes::replay(&bytes);
        let history = bytes::history(&bytes);
        assert!(history.len() <= bytes::STEPS_MAX && history.len() <= 4 + bytes.len());
        let mut ledger = Ledger::new(LIMITS);
        for (now, op) in &history {
            let text = format!("{op:?}");
            ops.insert(text[..text.find([' ', '(']).unwrap_or(text.len())].to_owned());
            answers.insert(kind(&apply(&mut ledger, *now, op)));
        }
    }
    assert_eq!(ops.len(), 28, "{ops:?}");
    assert!(answers.len() >= 85, "{} kinds of answers: {answers:?}", answers.len());
}

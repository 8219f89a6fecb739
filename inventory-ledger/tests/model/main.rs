//! The ledger against a dull model: random histories, every answer and every read compared after every operation.

mod dull;
mod ops;

use std::collections::{BTreeMap, BTreeSet};

use inventory_ledger::{HoldId, Ledger, Row, Sku};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use dull::Dull;
use ops::{HOLDS, LIMITS, SKUS, apply, history};

proptest! {
    #![proptest_config(Config { cases: 1000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn ledger_agrees_with_the_model(history in history()) {
        let (mut ledger, mut model) = (Ledger::new(LIMITS), Dull::new(LIMITS));
        let mut shadow: BTreeMap<_, Row> = BTreeMap::new(); // a caller's table, kept by the drained changes alone
        for (at, (now, op)) in history.iter().enumerate() {
            let answer = apply(&mut ledger, *now, op);
            prop_assert_eq!(&answer, &model.apply(*now, op), "step {}: {:?}", at, op);

            prop_assert_eq!(ledger.check(), Ok(()), "step {}: {:?}", at, op);
            let rows: BTreeMap<_, _> = ledger.rows().map(|(sku, place, row)| ((sku, place), row)).collect();
            prop_assert_eq!(&rows, &model.rows(), "step {}: {:?}", at, op);
            for (&(sku, location), &row) in &rows {
                prop_assert_eq!(ledger.row(sku, location), Some(row));
                prop_assert_eq!(ledger.available(sku, location), row.available);
            }
            for sku in (0..SKUS).map(Sku) {
                let of_sku: Vec<_> = ledger.rows_of(sku).collect();
                let expected = rows.iter().filter(|(key, _)| key.0 == sku);
                prop_assert_eq!(of_sku, expected.map(|(key, &row)| (key.1, row)).collect::<Vec<_>>());
                prop_assert_eq!(ledger.holds_of(sku), model.holds_of(sku));
            }
            for id in (0..HOLDS).map(HoldId) {
                prop_assert_eq!(ledger.hold_state(id), model.hold_state(id), "{:?}, step {}: {:?}", id, at, op);
            }
            prop_assert_eq!(ledger.next_expiry(), model.next_expiry());
            prop_assert_eq!(ledger.usage(), model.usage());

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
    }

    #[test] // The second ledger never drains: that is no part of the state.
    fn the_same_history_gives_the_same_digest(history in history()) {
        let (mut ledger, mut again) = (Ledger::new(LIMITS), Ledger::new(LIMITS));
        for (now, op) in &history {
            apply(&mut ledger, *now, op);
            apply(&mut again, *now, op);
            ledger.drain_changes().for_each(drop);
            prop_assert_eq!(ledger.digest(), again.digest());
        }
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
    for _ in 0..400 {
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

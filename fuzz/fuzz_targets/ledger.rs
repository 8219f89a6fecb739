//! The stock ledger and its dull model, driven by the same bytes: every answer, every row and every snapshot must agree.
//!
//! The bytes are the random numbers of the property tests' own generator, so what the fuzzer finds is a history they could have made. Behind
//! them come numbers of our own: the generator draws again when a number is out of range, and from zeros without end it would for ever.
#![no_main]

#[path = "../../inventory-ledger/tests/model/along.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod along;
#[path = "../../inventory-ledger/tests/model/bought.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod bought;
#[path = "../../inventory-ledger/tests/model/dull.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod dull;
#[path = "../../inventory-ledger/tests/model/goods.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod goods;
#[path = "../../inventory-ledger/tests/model/ops.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod ops;
#[path = "../../inventory-ledger/tests/model/owed.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod owed;

use inventory_ledger::{Ledger, Restore};
use libfuzzer_sys::fuzz_target;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::collections::BTreeMap;

/// Steps between two snapshots.
const SNAPSHOT_EVERY: usize = 16;
/// Numbers behind the fuzzer's bytes: more than the longest history draws.
const BEHIND: usize = 1 << 15;

/// The fuzzer's bytes and what comes behind them (SplitMix64: Steele, Lea, Flood 2014).
fn random(bytes: &[u8]) -> TestRng {
    let mut all = bytes.to_vec();
    let mut state = 0x5eed_u64;
    for _ in 0..BEHIND {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        all.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    TestRng::from_seed(RngAlgorithm::PassThrough, &all)
}

fuzz_target!(|bytes: &[u8]| {
    let mut runner = TestRunner::new_with_rng(Config::default(), random(bytes));
    let Ok(tree) = ops::history().new_tree(&mut runner) else { return };
    let (mut ledger, mut model) = (Ledger::new(ops::LIMITS), dull::Dull::new(ops::LIMITS));
    for (step, (now, op)) in tree.current().iter().enumerate() {
        let answer = ops::apply(&mut ledger, *now, op);
        assert_eq!(answer, model.apply(*now, op, &answer), "step {step}: {op:?}");
        assert_eq!(ledger.check(), Ok(()), "step {step}: {op:?}");
        let rows: BTreeMap<_, _> = ledger.rows().map(|(sku, place, row)| ((sku, place), row)).collect();
        assert_eq!(rows, model.rows(), "step {step}: {op:?}");
        if step % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1 {
            let mut restore = Restore::with_seed(ops::LIMITS, step as u64);
            ledger.save().for_each(|item| restore.put(item).expect("what was saved can be restored"));
            let again = restore.finish().expect("what was saved agrees");
            assert_eq!(again.digest(), ledger.digest(), "step {step}");
            // What follows is asked of the restored one.
            ledger = again;
        }
    }
});

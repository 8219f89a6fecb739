//! The stock ledger and its dull model, driven by the same bytes: every answer, every row and every snapshot must agree.
//!
//! The bytes name one history of the property tests' own generator: its random numbers are drawn from a hash of them. (The generator cannot be fed the bytes
//! themselves: it draws again when a number is out of range, and at their end it would for ever.) So this is the property test without an end, under
//! the address sanitizer.
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
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Steps between two snapshots.
const SNAPSHOT_EVERY: usize = 16;
/// The generator's random numbers.
fn random(bytes: &[u8]) -> TestRng {
    let half = |seed| xxh3_128_with_seed(bytes, seed).to_le_bytes();
    TestRng::from_seed(RngAlgorithm::ChaCha, &[half(0), half(1)].concat())
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

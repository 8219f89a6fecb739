//! The stock ledger and its dull model, driven by the same bytes: every answer must agree, and now and then every row, a snapshot,
//! and a snapshot in steps.
//!
//! The bytes are a history, a few for each operation (`tests/model/bytes.rs` reads them, and a test there says that they reach every operation): what a mutation
//! changes is one choice, so coverage has something to climb by. What is found becomes a test there: its bytes, given to
//! `bytes::replay`.
#![no_main]

#[path = "../../inventory-ledger/tests/model/along.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod along;
#[path = "../../inventory-ledger/tests/model/bought.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod bought;
#[path = "../../inventory-ledger/tests/model/bytes.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod bytes;
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
#[path = "../../inventory-ledger/tests/model/walk.rs"]
#[allow(dead_code, reason = "the tests ask more of it")]
mod walk;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bytes::replay(bytes));

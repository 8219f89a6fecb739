//! Bytes from another node: never a panic, and what was read is written and read again as the same.
#![no_main]

use engine::shard::NodeBatch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(batch) = NodeBatch::decode(bytes) else { return };
    let again = NodeBatch::decode(&batch.encode()).expect("our own bytes");
    assert_eq!(again, batch);
    // Every message goes to one shard.
    let shards = again.by_shard(3);
    assert!(shards.iter().all(|(shard, _)| shard.0 < 3));
});

//! Tests of the partition as a whole, and what the tests of its tables share.

mod catalog;
mod effects;
mod random;
mod stock;
mod transfers;
mod warehouse;

use super::{Applied, ApplyContext, Changes, Outcome, Partition, outbox::Outbox};
use crate::record::v1::{Command, Entry};
use wire::{Idempotency, Millis, PartitionId, RawId, Seq, SkuId};

pub(super) fn sku(number: u128) -> SkuId {
    SkuId(RawId(number))
}

/// What an [`ApplyContext`] borrows.
pub(super) struct Parts {
    time: Millis,
    outbox: Outbox,
    changes: Changes,
}

/// A context of its own for one call on a table.
pub(super) fn context(time: Millis) -> Parts {
    Parts { time, outbox: Outbox::default(), changes: Changes::default() }
}

impl Parts {
    pub(super) fn borrow(&mut self) -> ApplyContext<'_> {
        ApplyContext {
            time: self.time,
            seq: Seq(self.time.0 + 1),
            partition: PartitionId(0),
            partitions: 64,
            epoch: 0,
            if_match: None,
            outbox: &mut self.outbox,
            changes: &mut self.changes,
            ordinal: 0,
        }
    }
}

/// A partition with a clock, and the changes of its last command.
struct Bench {
    partition: Partition,
    time: u64,
    changes: Changes,
}

impl Bench {
    fn new() -> Self {
        Self { partition: Partition::new(PartitionId(3), 0, 64), time: 1_000_000, changes: Changes::default() }
    }

    fn entry(&mut self, entry: &Entry) -> Applied {
        self.changes.clear();
        let applied = self.partition.apply(Millis(self.time), entry, &mut self.changes);
        self.partition.check().expect("the partition is consistent");
        applied
    }

    fn run(&mut self, command: Command) -> Outcome {
        self.entry(&Entry::of(command)).outcome
    }

    fn keyed(&mut self, key: u128, fingerprint: u128, command: Command) -> Applied {
        self.entry(&Entry { idempotency: Some(Idempotency { key, fingerprint }), ..Entry::of(command) })
    }

    fn if_match(&mut self, version: u64, command: Command) -> Outcome {
        self.entry(&Entry { if_match: Some(version), ..Entry::of(command) }).outcome
    }
}

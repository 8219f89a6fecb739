//! Why bytes are no snapshot of a partition.

use super::Kind;
use inventory_ledger::BadSnapshot;

/// Why a snapshot cannot be restored. `Newer` is for the operator, who has the program that wrote it; the others mean that its file is not
/// what was written, though its checksums are right, or a fault of ours: an older snapshot and the log after it give the same state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A kind of item, or a version of one, that this program does not know.
    #[error(
        "item {item} of the snapshot is of kind {kind} version {version}, which this program does not know; start the version that wrote it"
    )]
    Newer {
        /// Its place, from 0.
        item: u64,
        /// Number of its kind.
        kind: u8,
        /// Version of its body.
        version: u8,
    },
    /// An item is cut, or its body is not one of its kind.
    #[error("item {item} of the snapshot ({kind}) is damaged")]
    Damaged {
        /// Its place, from 0.
        item: u64,
        /// What it is, if that can be seen.
        kind: &'static str,
    },
    /// An item stands behind one that it belongs before, is there twice, or comes after the end.
    #[error("item {item} of the snapshot ({kind}) is out of order")]
    OutOfOrder {
        /// Its place, from 0.
        item: u64,
        /// What it is.
        kind: &'static str,
    },
    /// It is a snapshot of something else.
    #[error("the snapshot is of partition {partition} of {partitions} in epoch {epoch}, which is not the one to be restored")]
    Other {
        /// Which it is of.
        partition: u16,
        /// Of how many.
        partitions: u16,
        /// Of which epoch.
        epoch: u32,
    },
    /// An item that cannot be beside those before it.
    #[error("item {item} of the snapshot ({kind}) does not fit those before it")]
    Unfit {
        /// Its place, from 0.
        item: u64,
        /// What it is.
        kind: &'static str,
    },
    /// The ledger takes none of an item, or not all of them together.
    #[error("the snapshot's stock ledger is none")]
    Ledger(#[source] BadSnapshot),
    /// It has no end.
    #[error("the snapshot ends after {items} items without its last")]
    Cut {
        /// How many there are.
        items: u64,
    },
    /// Not as many items of a kind as its end says.
    #[error("the snapshot has {found} items of {kind} where its end says {wanted}")]
    Missing {
        /// Of which kind.
        kind: &'static str,
        /// How many came.
        found: u64,
        /// How many were written.
        wanted: u64,
    },
    /// All came, and the tables do not agree.
    #[error("the snapshot's parts do not agree: {0}")]
    Disagreeing(String),
}

/// What is wrong with one item, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::partition) enum BadItem {
    Damaged,
    OutOfOrder,
    Unfit,
    Ledger(BadSnapshot),
}

impl BadItem {
    pub(super) fn at(self, item: u64, kind: Kind) -> SnapshotError {
        let kind = kind.name();
        match self {
            Self::Damaged => SnapshotError::Damaged { item, kind },
            Self::OutOfOrder => SnapshotError::OutOfOrder { item, kind },
            Self::Unfit => SnapshotError::Unfit { item, kind },
            Self::Ledger(bad) => SnapshotError::Ledger(bad),
        }
    }
}

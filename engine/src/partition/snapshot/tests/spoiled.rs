//! What a restore says of bytes that are no snapshot. Nothing panics; what restores all the same is a partition that passes its check.

use super::super::{Kind, Restore, SnapshotError};
use super::fixtures::{items_of, with_everything};
use super::restore_like;
use crate::partition::Partition;
use proptest::{collection::vec, prelude::*};
use std::sync::OnceLock;
use wire::PartitionId;

/// The items of a partition that has something of every kind.
fn items() -> &'static [Vec<u8>] {
    static ITEMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ITEMS.get_or_init(|| items_of(&mut with_everything().partition))
}

fn fresh() -> Partition {
    Partition::new(PartitionId(3), 2, 64)
}

fn restored(items: &[Vec<u8>]) -> Result<Partition, SnapshotError> {
    restore_like(&fresh(), items)
}

fn at(kind: Kind) -> usize {
    items().iter().position(|item| item[0] == kind as u8).expect("of every kind")
}

#[test] // Each row: what is done to a good list of items, and what is said of it.
fn what_is_no_snapshot_is_said_to_be_none() {
    type Spoil = fn(&mut Vec<Vec<u8>>);
    let rows: [(Spoil, &str); 17] = [
        (|_| (), "restored"),
        (Vec::clear, "the snapshot ends after 0 items without its last"),
        (|items| _ = items.pop(), "without its last"),
        (|items| _ = items.remove(0), "item 0 of the snapshot (key) is out of order"),
        (|items| items.push(items[items.len() - 1].clone()), "(end) is out of order"),
        (|items| items.insert(1, items[0].clone()), "item 1 of the snapshot (head) is out of order"),
        (|items| items.swap(at(Kind::Product), at(Kind::Product) + 1), "is out of order"),
        (|items| items.insert(at(Kind::Cart), items[at(Kind::Cart)].clone()), "(cart) is out of order"),
        (
            |items| {
                // Another category behind the first, with a smaller id.
                let mut other = items[at(Kind::Category)].clone();
                other[6..22].copy_from_slice(&1_u128.to_le_bytes());
                other[34] ^= 1;
                items.insert(at(Kind::Category) + 1, other);
            },
            "(category) is out of order",
        ),
        (|items| items.insert(at(Kind::Product), items[at(Kind::Product)].clone()), "(product) does not fit those before it"),
        (|items| items.swap(at(Kind::SearchSetting), at(Kind::SearchSetting) + 1), "(search setting) is out of order"),
        (|items| _ = items.remove(at(Kind::Order)), "items of order where its end says"),
        (|items| _ = items.remove(at(Kind::LedgerRow)), "stock ledger is none"),
        (|items| items[2][0] = 254, "item 2 of the snapshot is of kind 254 version 1, which this program does not know"),
        (|items| items[2][1] = 2, "version 2, which this program does not know; start the version that wrote it"),
        (|items| _ = items[3].pop(), "item 3 of the snapshot (cut) is damaged"),
        (
            |items| {
                let head = &mut items[0];
                head[6] ^= 1;
            },
            "the snapshot is of partition 2 of 64 in epoch 2",
        ),
    ];
    for (spoil, wanted) in rows {
        let mut spoiled = items().to_vec();
        spoil(&mut spoiled);
        let said = restored(&spoiled).map_or_else(|error| error.to_string(), |_| "restored".to_owned());
        assert!(said.contains(wanted), "{said:?}, and not {wanted:?}");
    }
}

#[test] // Also what would restore and not agree is refused: a sweep that was due and is not listed would never come.
fn parts_that_do_not_agree_are_refused() {
    for kind in [Kind::OrderFailed, Kind::Kept, Kind::Announced, Kind::Transfer, Kind::Location] {
        let mut spoiled = items().to_vec();
        spoiled.remove(at(kind));
        // The end's count is made right, so that only the parts speak.
        let last = spoiled.len() - 1;
        let end = &mut spoiled[last];
        let count = (10..end.len()).step_by(9).find(|at| end[*at] == kind as u8).expect("listed");
        end[count + 1] -= 1;
        let error = restored(&spoiled).expect_err("something is missing");
        assert!(matches!(error, SnapshotError::Disagreeing(_)), "{kind:?}: {error}");
    }
}

#[test]
fn a_chunk_may_end_behind_any_item() {
    let all = items().concat();
    let whole = restored(&[all]).expect("one chunk").digest();
    assert_eq!(restored(items()).expect("many").digest(), whole);
}

proptest! {
    #[test]
    fn spoiled_items_do_not_panic(
        spoil in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        moved in proptest::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut spoiled = items().to_vec();
        for (item, at, byte) in spoil {
            let item = item.get_mut(&mut spoiled);
            let at = at.index(item.len());
            item[at] = byte;
        }
        if let Some((from, to)) = moved {
            let item = spoiled.remove(from.index(spoiled.len()));
            spoiled.insert(to.index(spoiled.len() + 1), item);
        }
        match restored(&spoiled) {
            Ok(mut partition) => {
                prop_assert_eq!(partition.check().map(drop), Ok(()));
                // It is a partition like another: a snapshot of it is one too.
                let again = restored(&items_of(&mut partition));
                prop_assert_eq!(again.map(|again| again.digest()), Ok(partition.digest()));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300), behind in 0usize..100) {
        let mut restore = Restore::new(PartitionId(3), 2, 64);
        let good = items().iter().take(behind).try_for_each(|item| restore.put(item));
        prop_assert!(good.is_ok());
        restore.put(&bytes).ok();
    }
}

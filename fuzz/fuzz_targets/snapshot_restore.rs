//! Restoring a partition from items that nobody vouches for.
//!
//! Path: the items of the fixture (one of every kind) → edits: bytes changed, cut, added, items moved, repeated and left out, and arbitrary
//! items between → lengths and, mostly, counts made right again → `Restore`.
//! Says more than "does not crash": what restores passes its check, and a snapshot of it restores to the same digest.
#![no_main]

use engine::partition::{Partition, Restore, SnapshotError};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use wire::PartitionId;

const HEADER_BYTES: usize = 6;
const END: u8 = 255;
/// Edits of one input: enough for each pair of kinds to meet.
const EDITS_MAX: u8 = 8;

#[derive(Clone)]
struct Item {
    kind: u8,
    version: u8,
    body: Vec<u8>,
}

/// The fixture, read from its dump.
fn fixture() -> &'static [Item] {
    static ITEMS: OnceLock<Vec<Item>> = OnceLock::new();
    ITEMS.get_or_init(|| {
        let mut items: Vec<Vec<u8>> = Vec::new();
        for line in include_str!("../../engine/src/partition/snapshot/fixtures/v1.txt").lines() {
            match line.strip_prefix("  ") {
                None => items.push(Vec::new()),
                Some(row) => {
                    let bytes = row[6..53].split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap());
                    items.last_mut().unwrap().extend(bytes);
                }
            }
        }
        items.into_iter().map(|bytes| Item { kind: bytes[0], version: bytes[1], body: bytes[HEADER_BYTES..].to_vec() }).collect()
    })
}

fn edit(items: &mut Vec<Item>, input: &mut Unstructured<'_>) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let at = input.choose_index(items.len())?;
    match input.int_in_range(0..=9_u8)? {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[at].clone()),
        2 => {
            let item = items.remove(at);
            let to = input.choose_index(items.len() + 1)?;
            items.insert(to, item);
        }
        3 => {
            let (kind, version) = (input.arbitrary()?, input.int_in_range(0..=2)?);
            let bytes = usize::from(input.int_in_range(0..=90_u8)?);
            let body = input.bytes(bytes.min(input.len()))?.to_vec();
            items.insert(at, Item { kind, version, body });
        }
        4 => {
            let body = &mut items[at].body;
            body.truncate(usize::from(input.arbitrary::<u16>()?) % (body.len() + 1));
        }
        5 => items[at].body.push(input.arbitrary()?),
        _ => {
            let body = &mut items[at].body;
            for _ in 0..input.int_in_range(1..=4_u8)? {
                if !body.is_empty() {
                    let byte = input.choose_index(body.len())?;
                    body[byte] = input.arbitrary()?;
                }
            }
        }
    }
    Ok(())
}

/// Makes the counts of the end those of the items.
fn recount(items: &mut [Item]) {
    let Some((end, others)) = items.split_last_mut() else { return };
    if end.kind != END {
        return;
    }
    let mut counts = std::collections::BTreeMap::<u8, u64>::new();
    others.iter().for_each(|item| *counts.entry(item.kind).or_default() += 1);
    end.body = (counts.len() as u32).to_le_bytes().to_vec();
    for (kind, items) in counts {
        end.body.push(kind);
        end.body.extend(items.to_le_bytes());
    }
}

fn restored(chunks: &[Vec<u8>]) -> std::result::Result<Partition, SnapshotError> {
    let mut restore = Restore::new(PartitionId(3), 2, 64);
    chunks.iter().try_for_each(|chunk| restore.put(chunk))?;
    restore.finish()
}

fn play(input: &mut Unstructured<'_>) -> Result<()> {
    let mut items = fixture().to_vec();
    for _ in 0..input.int_in_range(0..=EDITS_MAX)? {
        edit(&mut items, input)?;
    }
    if input.ratio(3_u8, 4_u8)? {
        recount(&mut items);
    }
    let bytes = |item: &Item| {
        let length = (item.body.len() as u32).to_le_bytes();
        [&[item.kind, item.version], &length[..], &item.body].concat()
    };
    let chunks: Vec<Vec<u8>> = items.iter().map(bytes).collect();
    let mut partition = match restored(&chunks) {
        Ok(partition) => partition,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Ok(());
        }
    };
    partition.check().expect("what restores is consistent");
    let digest = partition.digest();
    partition.freeze();
    let (mut again, mut more) = (Vec::new(), true);
    while more {
        let mut chunk = Vec::new();
        more = partition.snapshot_step(&mut chunk, 700);
        again.push(chunk);
    }
    assert_eq!(restored(&again).expect("what was written").digest(), digest);
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    // Also as they are, for what comes before any item is looked into.
    let mut restore = Restore::new(PartitionId(3), 2, 64);
    let _ = restore.put(bytes);
    // Input that is used up ends the edits.
    let _ = play(&mut Unstructured::new(bytes));
});

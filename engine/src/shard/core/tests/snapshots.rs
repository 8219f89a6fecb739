//! The log stays short: snapshots are made while commands go on, released segments are used again, and a restart has everything.

use super::*;
use crate::{
    log::layout::parse_segment_file,
    partition::Restore,
    shard::files::{FileError, FileStep},
    snapshot::{self, layout},
};
use std::io;

/// The segment at a path.
pub(super) fn segment_at(path: &str) -> SegmentNumber {
    path.rsplit('/').next().and_then(parse_segment_file).expect("a segment's path")
}

/// The partitions in the snapshots, as a start makes them, with the index of their last entry.
pub(super) fn restore(files: &Files, wants: impl Fn(PartitionId) -> bool) -> Vec<(u64, Partition)> {
    let mut restored = Vec::new();
    for (path, bytes) in files.files.iter().filter(|(path, _)| path.starts_with(layout::SNAPSHOT_DIR)) {
        let mut parts = path.split('/').skip(1);
        let partition = parts.next().and_then(layout::parse_partition_dir).expect("a folder of ours");
        let Some(layout::Name::Whole(index)) = parts.next().and_then(layout::parse_name) else { continue };
        if !wants(partition) {
            continue;
        }
        let place = snapshot::Header {
            folder: 1,
            partition,
            partitions: PARTITIONS,
            epoch: 1,
            index,
            term: 0,
            seq: wire::Seq(0),
            last_time: Millis(0),
            created: Millis(0),
        };
        let (mut reader, mut restore) = (snapshot::Reader::new(path, &place), Restore::new(partition, 1, PARTITIONS));
        reader.feed(bytes);
        while let Some(chunk) = reader.advance().expect("it was checked") {
            restore.put(chunk).expect("items of ours");
        }
        reader.finish().expect("it was checked");
        restored.push((index, restore.finish().expect("a partition")));
    }
    restored
}

impl Node {
    /// Does a step with a file. Files of the log are on the shard's disk.
    pub(super) fn step(&mut self, shard: usize, step: &FileStep) -> Result<Option<Vec<u8>>, FileError> {
        if let Some(error) = self.spoil.and_then(|spoil| spoil(step)) {
            return Err(error);
        }
        if let FileStep::Remove { path } = step
            && path.starts_with("log/")
        {
            self.disks[shard].0.remove(&segment_at(path));
            return Ok(None);
        }
        let mut read = self.files.step(step)?;
        if let Some(bytes) = read.as_mut().filter(|_| self.rots) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        Ok(read)
    }

    /// Snapshots that are whole, and those that are not finished.
    fn snapshots(&self) -> (usize, usize) {
        let all = || self.files.files.keys().filter(|path| path.starts_with(layout::SNAPSHOT_DIR));
        let unfinished = all().filter(|path| path.ends_with(".new")).count();
        (all().count() - unfinished, unfinished)
    }
}

/// One shard with segments as small as can be.
fn node() -> Node {
    Node::start_small(1, Vec::new(), Files::default(), 1, FOR_EVER, SEGMENT_BYTES_MIN)
}

/// Puts products of 60 KB until the log had so many segments more, with a tick after each.
fn fill(node: &mut Node, from: u32, segments: u32) -> u32 {
    let last = |node: &Node| node.disks[0].0.keys().next_back().map_or(0, |last| last.0);
    let (begin, mut number) = (last(node), from);
    while last(node) < begin + segments {
        number += 1;
        let Op::PutProduct(mut product) = product(&format!("sku-{number:05}"), "Garden chair", 1_000, number) else { unreachable!() };
        product.description = "so soft ".repeat(7_500);
        let put = node.admin(Op::PutProduct(product));
        assert!(matches!(put, Ok(Body::Upserted { .. })), "{put:?}");
        node.advance(1);
    }
    number
}

/// Ticks until nothing is to be done for a while.
fn settle(node: &mut Node) {
    for _ in 0..2_000 {
        node.advance(1);
    }
}

#[test]
fn a_log_is_cut_behind_snapshots_and_a_restart_has_everything() {
    let mut node = node();
    let mut put = 0;
    for _ in 0..3 {
        put = fill(&mut node, put, 6);
        settle(&mut node);
        let segments: Vec<u32> = node.disks[0].0.keys().map(|number| number.0).collect();
        assert!(segments.len() <= 4 + crate::log::SPARE_SEGMENTS_MAX + 2, "{segments:?}");
    }
    assert_eq!(node.snapshots(), (usize::from(PARTITIONS), 0), "one file for each partition, the newest");
    let first = node.disks[0].0.keys().next().expect("a log").0;
    assert!(first > 1, "nothing was released");
    node.check();
    let digests = node.digests();
    for shards in [2, 1, 3] {
        node = node.restart(shards);
        assert_eq!(node.digests(), digests, "with {shards} shards");
        node.check();
    }
    assert_eq!(stock(&mut node, "sku-00007"), (7, 0, 0));
}

#[test]
fn a_full_disk_costs_a_snapshot_and_nothing_else() {
    let mut node = node();
    node.spoil = Some(|step| match step {
        FileStep::Write { path, offset, .. } if *offset > 0 && path.starts_with(layout::SNAPSHOT_DIR) => {
            Some(FileError::NoRoom { path: path.clone(), cause: io::ErrorKind::StorageFull.into() })
        }
        _ => None,
    });
    let put = fill(&mut node, 0, 8);
    settle(&mut node);
    assert_eq!(node.snapshots().1, 0, "what there was no room for takes none");
    let frozen = |node: &Node| node.cores[0].state.borrow().partitions.values().any(|slot| slot.partition.is_frozen());
    assert!(!frozen(&node), "nothing is kept twice for it any more");
    assert!(node.disks[0].0.len() >= 8, "nothing is released without a snapshot");
    node.check();
    let digests = node.digests();
    node = node.restart(1);
    assert_eq!(node.digests(), digests);
    assert_eq!(put, fill(&mut node, put, 0));
}

#[test]
fn a_snapshot_that_could_not_be_made_is_made_later() {
    for rots in [true, false] {
        let mut node = node();
        node.rots = rots;
        if !rots {
            node.spoil = Some(|step| match step {
                FileStep::Sync { path } if path.starts_with(layout::SNAPSHOT_DIR) => {
                    Some(FileError::Failed { path: path.clone(), doing: "made durable", cause: io::ErrorKind::Other.into() })
                }
                _ => None,
            });
        }
        fill(&mut node, 0, 6);
        settle(&mut node);
        assert_eq!(node.snapshots(), (0, 0), "nothing is taken for a snapshot that was not read back as written, or not synced");
        (node.rots, node.spoil) = (false, None);
        node.advance(30_000);
        settle(&mut node);
        let (whole, unfinished) = node.snapshots();
        assert!(whole > 0 && unfinished == 0);
        assert!(node.disks[0].0.keys().next() > Some(&SegmentNumber::FIRST), "and segments are released then");
    }
}

#[test]
fn an_orderly_end_gives_a_snapshot_up() {
    let mut node = node();
    // No slice is taken without a tick, so that one is under way when the end comes.
    fill(&mut node, 0, 5);
    let mut begun = false;
    for _ in 0..2_000 {
        node.advance(1);
        begun = !node.cores[0].state.borrow().snapshots.is_idle();
        if begun {
            break;
        }
    }
    assert!(begun, "a snapshot was wanted");
    node.run([(0, Input::Drain)].into());
    node.advance(10);
    assert!(node.cores[0].is_idle());
    assert_eq!(node.snapshots().1, 0);
    let digests = node.digests();
    assert_eq!(node.restart(1).digests(), digests);
}

#[test]
fn a_snapshot_of_everything_is_made_when_it_is_wanted() {
    let mut node = Node::start_small(2, Vec::new(), Files::default(), 1, FOR_EVER, 1 << 30);
    for number in 0..20 {
        node.admin(product(&format!("sku-{number}"), "Garden chair", 1_000, 1)).expect("put");
    }
    let ask = |node: &mut Node, take| -> Vec<wire::SnapshotReport> {
        let each = |shard| match node.admin(Op::Snapshots { shard: wire::ShardId(shard), take }) {
            Ok(Body::Snapshots(report)) => report,
            other => panic!("{other:?}"),
        };
        [0, 1].map(each).to_vec()
    };
    assert_eq!(ask(&mut node, false).iter().map(|report| report.due).sum::<u32>(), 0);
    // Its file cannot be written at first: that is told, and the next try makes it.
    node.spoil = Some(|step| match step {
        FileStep::Write { path, .. } if path.starts_with(layout::SNAPSHOT_DIR) => {
            Some(FileError::NoRoom { path: path.clone(), cause: io::Error::other("spoilt") })
        }
        _ => None,
    });
    let asked = ask(&mut node, true);
    assert_eq!(asked.iter().map(|report| report.partitions).sum::<u32>(), u32::from(PARTITIONS));
    assert!(asked.iter().all(|report| report.due == report.partitions && report.failure.is_none()), "{asked:?}");
    settle(&mut node);
    let failed = ask(&mut node, false);
    assert!(
        failed.iter().all(|report| report.due == report.partitions && report.failure.as_ref().is_some_and(|why| why.contains("spoilt"))),
        "{failed:?}"
    );
    node.spoil = None;
    node.advance(60_000);
    settle(&mut node);
    let made = ask(&mut node, false);
    assert!(made.iter().all(|report| report.due == 0 && report.failure.is_none()), "{made:?}");
    assert_eq!(node.snapshots(), (usize::from(PARTITIONS), 0));
    // Nothing changed since: nothing is to be made.
    assert!(ask(&mut node, true).iter().all(|report| report.due == 0));
    let digests = node.digests();
    node = node.restart(1);
    assert_eq!(node.digests(), digests);
}

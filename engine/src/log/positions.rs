//! The check at replay that no entry of a partition is missing, over all shards' logs and generations.
//!
//! Path: snapshots → [`Positions::start`] → every record in log order → [`Positions::check`] → [`Replay`], what to do with it.

use std::collections::BTreeMap;

use super::record::{Record, RecordKind};

/// Where each partition stands in a replay.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    partitions: BTreeMap<u16, Position>,
    /// A partition may begin anywhere.
    anywhere: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Last index inside the snapshot replay began with, or one that came from a peer.
    snapshot: u64,
    /// Last index appended, at least `snapshot`.
    last: u64,
    /// Term of the entry at `last`, or 0 when it is not known.
    term: u64,
    /// Term of the last entry inside the snapshot, or 0 when it is not known.
    snapshot_term: u64,
    /// The log's own entry at the snapshot's end is of another term: what follows it in the log does not follow the snapshot.
    is_other: bool,
}

/// What a replay does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Append the entry to the partition's log.
    Append,
    /// The snapshot has it already, or it was made void by what the snapshot has.
    Covered,
    /// Drop the entries from this index on.
    DropFrom(u64),
    /// A snapshot from a peer took the place of all entries up to this index.
    SnapshotAt(u64),
    /// Not about positions: hard state, membership, marks.
    Other,
}

/// Entries are missing or out of order, although every checksum is right: files of the log or snapshots of different times were put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// The index does not follow.
    #[error(
        "partition {partition} goes on with entry {found} where entry {wanted} belongs: the log or the snapshot of this folder is not whole. \
         Restore the folder from a backup, or, in a cluster, replace this node from a peer"
    )]
    Gap {
        /// Which partition.
        partition: u16,
        /// Index found.
        found: u64,
        /// Index wanted.
        wanted: u64,
    },
    /// The term of an entry is lower than that of the one before.
    #[error(
        "entry {index} of partition {partition} has term {found} after term {before}: the log of this folder was put together from parts"
    )]
    TermBack {
        /// Which partition.
        partition: u16,
        /// Index of the entry.
        index: u64,
        /// Its term.
        found: u64,
        /// Term of the entry before.
        before: u64,
    },
}

impl Positions {
    /// No partition has a snapshot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whatever comes first of a partition is where it begins: for looking at a log alone, without the snapshots below it.
    #[must_use]
    pub fn anywhere() -> Self {
        Self { partitions: BTreeMap::new(), anywhere: true }
    }

    /// Must the log have everything of the partition from entry 1 on?
    #[must_use]
    pub fn needs_all(&self, partition: u16) -> bool {
        !self.anywhere && !self.partitions.contains_key(&partition)
    }

    /// Index of the partition's last entry so far, snapshot included.
    #[must_use]
    pub fn last(&self, partition: u16) -> u64 {
        self.partitions.get(&partition).map_or(0, |position| position.last)
    }

    /// The partition's snapshot contains everything up to entry `index` of `term`.
    pub fn start(&mut self, partition: u16, index: u64, term: u64) {
        let position = Position { snapshot: index, last: index, term, snapshot_term: term, is_other: false };
        self.partitions.insert(partition, position);
    }

    /// Takes the next record of the log.
    ///
    /// # Errors
    /// When an entry does not follow the one before it.
    pub fn check(&mut self, record: &Record<'_>) -> Result<Replay, PositionError> {
        let Record { partition, term, index, .. } = *record;
        let begins = match record.kind {
            RecordKind::Entry(_) if self.anywhere => index.saturating_sub(1),
            _ => 0,
        };
        let position = self.partitions.entry(partition).or_insert(Position { last: begins, ..Position::default() });
        let wanted = position.last + 1;
        let gap = PositionError::Gap { partition, found: index, wanted };
        match record.kind {
            RecordKind::Entry(_) if index <= position.snapshot => {
                // A snapshot of a leader may be in its place, and its mark not in the log yet.
                position.is_other = index == position.snapshot && term != position.snapshot_term && position.snapshot_term != 0;
                Ok(Replay::Covered)
            }
            RecordKind::Entry(_) if position.is_other => Ok(Replay::Covered),
            RecordKind::Entry(_) if index != wanted => Err(gap),
            RecordKind::Entry(_) if term < position.term => {
                Err(PositionError::TermBack { partition, index, found: term, before: position.term })
            }
            RecordKind::Entry(_) => {
                (position.last, position.term) = (index, term);
                Ok(Replay::Append)
            }
            // Older than the snapshot: what it made void is void in there too.
            RecordKind::OverwriteFrom if index <= position.snapshot => {
                let drops = position.last > position.snapshot;
                (position.last, position.term, position.is_other) = (position.snapshot, position.snapshot_term, false);
                Ok(if drops { Replay::DropFrom(position.snapshot + 1) } else { Replay::Covered })
            }
            RecordKind::OverwriteFrom if position.is_other => Ok(Replay::Covered),
            RecordKind::OverwriteFrom if index > wanted => Err(gap),
            RecordKind::OverwriteFrom => {
                // The term of the entry before is not known here; the next entry's own term is at least as high.
                (position.last, position.term) = (index - 1, 0);
                Ok(Replay::DropFrom(index))
            }
            RecordKind::SnapshotMark if index > position.last => {
                *position = Position { snapshot: index, last: index, term, snapshot_term: term, is_other: false };
                Ok(Replay::SnapshotAt(index))
            }
            RecordKind::SnapshotMark if index == position.snapshot => {
                position.is_other = false;
                Ok(Replay::Other)
            }
            RecordKind::SnapshotMark | RecordKind::HardState | RecordKind::Membership | RecordKind::DurableMark | RecordKind::LogEnd => {
                Ok(Replay::Other)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: entries as `index` or `index@term`, `<index` overwrites from there, `!index` is a snapshot's mark; then what replay says of each.
    #[test]
    fn replay_accepts_contiguous_histories_only() {
        for (start, history, says) in [
            (0, "1 2 3", "append append append"),
            (0, "2", "gap(wanted 1)"),
            (0, "1 1", "append gap(wanted 2)"),
            (2, "1 2 3", "covered covered append"),
            (2, "3 4 <3 3@2", "append append drop(3) append"),
            (5, "3 4 <3 3@2 4@2 5@2 6@2", "covered covered covered covered covered covered append"),
            (5, "4 5 6 7 <4@2 4@2 5@2 6@2", "covered covered append append drop(6) covered covered append"),
            (5, "4 5 6 7 <7 7@2", "covered covered append append drop(7) append"),
            (0, "1 <3", "append gap(wanted 2)"),
            (0, "1 !9 10 !10 11", "append snapshot(9) append other append"),
            (0, "1@3 2@2", "append back(2 after 3)"),
        ] {
            let mut positions = Positions::new();
            positions.start(4, start, 0);
            let said: Vec<String> = history
                .split(' ')
                .map(|word| {
                    let (word, term) = word.split_once('@').map_or((word, 1), |(word, term)| (word, term.parse().expect("a term")));
                    let index: u64 = word.trim_start_matches(['<', '!']).parse().expect("an index");
                    let entry = Record::entry(4, term, index, 0, b"");
                    let record = match word.as_bytes()[0] {
                        b'<' => Record::overwrite_from(4, term, index),
                        b'!' => Record { kind: RecordKind::SnapshotMark, ..entry },
                        _ => entry,
                    };
                    match positions.check(&record) {
                        Ok(Replay::Append) => "append".into(),
                        Ok(Replay::Covered) => "covered".into(),
                        Ok(Replay::DropFrom(index)) => format!("drop({index})"),
                        Ok(Replay::SnapshotAt(index)) => format!("snapshot({index})"),
                        Ok(Replay::Other) => "other".into(),
                        Err(PositionError::Gap { wanted, .. }) => format!("gap(wanted {wanted})"),
                        Err(PositionError::TermBack { found, before, .. }) => format!("back({found} after {before})"),
                    }
                })
                .collect();
            assert_eq!(said.join(" "), says, "start {start}, history {history}");
        }
    }

    #[test]
    fn a_log_alone_may_begin_anywhere_and_goes_on_without_gaps() {
        let mut positions = Positions::anywhere();
        for (index, says) in
            [(7, Ok(Replay::Append)), (8, Ok(Replay::Append)), (10, Err(PositionError::Gap { partition: 4, found: 10, wanted: 9 }))]
        {
            assert_eq!(positions.check(&Record::entry(4, 1, index, 0, b"")), says);
        }
        assert_eq!((positions.last(4), positions.last(5), positions.needs_all(5), Positions::new().needs_all(5)), (8, 0, false, true));
    }

    #[test]
    fn partitions_do_not_mix() {
        let mut positions = Positions::new();
        for (partition, index) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
            assert_eq!(positions.check(&Record::entry(partition, 1, index, 0, b"")), Ok(Replay::Append));
        }
    }
}

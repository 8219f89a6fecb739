//! Names of snapshot files, relative to the data folder, and back.
//!
//! Shape: `snapshots/p-<partition>/<index>.snap`, see `FORMAT.md` section 1. A name that this module would not write itself is not one of ours.

use wire::PartitionId;

/// Folder of all snapshots, in the data folder.
pub const SNAPSHOT_DIR: &str = "snapshots";
const WHOLE: &str = ".snap";
const UNFINISHED: &str = ".snap.new";

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A snapshot with everything up to this index.
    Whole(u64),
    /// One that was never finished.
    Unfinished(u64),
}

/// `p-00007`, in [`SNAPSHOT_DIR`].
#[must_use]
pub fn partition_dir(partition: PartitionId) -> String {
    format!("p-{:05}", partition.0)
}

/// Path of a partition's folder: `snapshots/p-00007`.
#[must_use]
pub fn partition_path(partition: PartitionId) -> String {
    format!("{SNAPSHOT_DIR}/{}", partition_dir(partition))
}

/// Path of a snapshot: `snapshots/p-00007/00000000000000001234.snap`.
#[must_use]
pub fn snapshot_path(partition: PartitionId, index: u64) -> String {
    format!("{}/{index:020}{WHOLE}", partition_path(partition))
}

/// Path of a snapshot while it is written.
#[must_use]
pub fn unfinished_path(partition: PartitionId, index: u64) -> String {
    format!("{}/{index:020}{UNFINISHED}", partition_path(partition))
}

/// Partition whose folder has this name.
#[must_use]
pub fn parse_partition_dir(name: &str) -> Option<PartitionId> {
    let partition = PartitionId(name.strip_prefix("p-")?.parse().ok()?);
    (partition_dir(partition) == name).then_some(partition)
}

/// What the name of a file in a partition's folder says; `None` when it is not ours.
#[must_use]
pub fn parse_name(name: &str) -> Option<Name> {
    let (digits, make): (_, fn(u64) -> Name) = match name.strip_suffix(UNFINISHED) {
        Some(digits) => (digits, Name::Unfinished),
        None => (name.strip_suffix(WHOLE)?, Name::Whole),
    };
    let index: u64 = digits.parse().ok()?;
    (format!("{index:020}") == digits).then(|| make(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_only_ours_are_read() {
        for index in [0, 1, 1234, u64::MAX] {
            for partition in [0, 7, u16::MAX].map(PartitionId) {
                let name = |path: String| path.rsplit('/').next().map(str::to_owned).expect("a path has a last part");
                assert_eq!(parse_name(&name(snapshot_path(partition, index))), Some(Name::Whole(index)));
                assert_eq!(parse_name(&name(unfinished_path(partition, index))), Some(Name::Unfinished(index)));
                assert_eq!(parse_partition_dir(&partition_dir(partition)), Some(partition));
            }
        }
        assert_eq!(snapshot_path(PartitionId(7), 1234), "snapshots/p-00007/00000000000000001234.snap");
        for name in [
            "1.snap",
            "+0000000000000000001.snap",
            "00000000000000000001.SNAP",
            "00000000000000000001.snap.old",
            "99999999999999999999.snap",
            "",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
        for name in ["p-7", "p-70000", "P-00007", "00007"] {
            assert_eq!(parse_partition_dir(name), None, "{name}");
        }
    }
}

//! Names of the log's files, relative to the data folder, and back.
//!
//! Shape: `log/<generation>/shard-<shard>/segment-<number>.wal`, see `FORMAT.md` section 1. A name that this module would not write itself
//! (missing zeros, a sign, another case) is not one of ours.

use super::{LogIdentity, SegmentNumber};

/// Folder of all logs, in the data folder.
pub const LOG_DIR: &str = "log";

/// `00000001`, in [`LOG_DIR`].
#[must_use]
pub fn generation_dir(generation: u32) -> String {
    format!("{generation:08}")
}

/// `shard-003`, in the generation's folder.
#[must_use]
pub fn shard_dir(shard: u16) -> String {
    format!("shard-{shard:03}")
}

/// `segment-00000042.wal`, in the shard's folder.
#[must_use]
pub fn segment_file(number: SegmentNumber) -> String {
    format!("segment-{:08}.wal", number.0)
}

/// Path of one shard's log: `log/00000001/shard-003`.
#[must_use]
pub fn log_path(log: &LogIdentity) -> String {
    format!("{LOG_DIR}/{}/{}", generation_dir(log.generation), shard_dir(log.shard))
}

/// Path of one segment: `log/00000001/shard-003/segment-00000042.wal`.
#[must_use]
pub fn segment_path(log: &LogIdentity, number: SegmentNumber) -> String {
    format!("{}/{}", log_path(log), segment_file(number))
}

/// Generation whose folder has this name.
#[must_use]
pub fn parse_generation_dir(name: &str) -> Option<u32> {
    let generation = name.parse().ok()?;
    (generation != 0 && generation_dir(generation) == name).then_some(generation)
}

/// Shard whose folder has this name.
#[must_use]
pub fn parse_shard_dir(name: &str) -> Option<u16> {
    let shard = name.strip_prefix("shard-")?.parse().ok()?;
    (shard_dir(shard) == name).then_some(shard)
}

/// Segment whose file has this name.
#[must_use]
pub fn parse_segment_file(name: &str) -> Option<SegmentNumber> {
    let number = SegmentNumber(name.strip_prefix("segment-")?.strip_suffix(".wal")?.parse().ok()?);
    (number.0 != 0 && segment_file(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_only_ours_are_read() {
        for number in [1, 42, 99_999_999, 100_000_000, u32::MAX] {
            let number = SegmentNumber(number);
            assert_eq!(parse_segment_file(&segment_file(number)), Some(number));
            assert_eq!(parse_generation_dir(&generation_dir(number.0)), Some(number.0));
        }
        for shard in [0, 7, 999, 1000, u16::MAX] {
            assert_eq!(parse_shard_dir(&shard_dir(shard)), Some(shard));
        }
        for name in [
            "segment-00000000.wal",
            "segment-1.wal",
            "segment-+0000001.wal",
            "segment-000000001.wal",
            "segment-00000001.WAL",
            "",
            "lost+found",
        ] {
            assert_eq!(parse_segment_file(name), None, "{name}");
        }
        for name in ["00000000", "1", "+0000001", "000000001"] {
            assert_eq!(parse_generation_dir(name), None, "{name}");
        }
        for name in ["shard-0", "shard-0003", "shard-70000", "Shard-003"] {
            assert_eq!(parse_shard_dir(name), None, "{name}");
        }
    }
}

//! Looks the files of the event logs over, changing nothing.
//!
//! Path: names and lengths ([`EventFiles`]) → every file whole → what it has beside what the header of the next one says → [`Inspected`].
//! A torn write is no damage: the beginning of a file, or the end of one, that a crash or a full disk cut off, and whose events are made anew. It is damage
//! where what was durable does not read: the next file was begun when it did, or whole frames are behind it, of which one at a time is written.

use super::bytes::{HeaderError, SEGMENT_BYTES_MAX, Scanned, has_frame, scan};
use super::catalog::{EventFiles, LogFiles, file_path};
use std::collections::BTreeMap;
use wire::{PartitionId, Seq};

/// What was found.
#[derive(Debug, Default)]
pub struct Inspected {
    /// Bytes read.
    pub bytes: u64,
    /// All events of the partition's commands up to this one are in files, as far as those can be read.
    pub covered: BTreeMap<PartitionId, Seq>,
    /// Files that are damaged, missing or not of this folder, and why.
    pub damage: Vec<(String, String)>,
}

impl Inspected {
    /// Reads every file of the logs in `files`.
    #[must_use]
    pub fn of(files: &mut impl EventFiles, folder: u128, epoch: u32) -> Self {
        let mut inspected = Self::default();
        match files.logs() {
            Ok(logs) => {
                for (log, numbers) in logs {
                    inspected.log(files, log, &numbers, (folder, epoch));
                }
            }
            Err(error) => inspected.damaged(super::FOLDER.to_owned(), format!("cannot be listed: {error}")),
        }
        inspected
    }

    fn damaged(&mut self, path: String, why: String) {
        self.damage.push((path, why));
    }

    fn log(&mut self, files: &mut impl EventFiles, (generation, shard): (u32, u16), numbers: &LogFiles, of: (u128, u32)) {
        let mut before: Option<(u32, Option<Scanned>)> = None;
        for (number, length) in numbers {
            let path = |number| file_path(generation, shard, number);
            let is_last = numbers.last_key_value().is_some_and(|(last, _)| last == number);
            if let Some((before, _)) = &before
                && before + 1 != *number
            {
                self.damaged(path(before + 1), "is missing".to_owned());
            }
            let scanned = self.file(files, path(*number), *length, is_last).filter(|scanned| {
                let log = scanned.header.log;
                let is_ours =
                    (log.folder, log.epoch, log.generation, log.shard, scanned.header.number) == (of.0, of.1, generation, shard, *number);
                if !is_ours {
                    self.damaged(path(*number), "belongs to another folder, log or history".to_owned());
                }
                is_ours
            });
            if let (Some((number, Some(before))), Some(scanned)) = (&before, &scanned)
                && before.torn
                && scanned
                    .header
                    .tracks
                    .iter()
                    .any(|(id, track)| before.tracks.get(id).is_none_or(|had| had.next < track.next || had.covered < track.covered))
            {
                self.damaged(path(*number), format!("is damaged at byte {}", before.bytes));
            }
            for (partition, track) in scanned.iter().flat_map(|scanned| &scanned.tracks) {
                let covered = self.covered.entry(*partition).or_default();
                *covered = (*covered).max(track.covered);
            }
            before = Some((*number, scanned));
        }
    }

    /// Reads one file, if it can be read.
    fn file(&mut self, files: &mut impl EventFiles, path: String, length: u64, is_last: bool) -> Option<Scanned> {
        let Some(whole) = usize::try_from(length).ok().filter(|length| *length <= SEGMENT_BYTES_MAX) else {
            self.damaged(path, format!("has {length} bytes; a file of the event log has at most {SEGMENT_BYTES_MAX}"));
            return None;
        };
        let bytes = match files.read(&path, whole) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.damaged(path, format!("cannot be read: {error}"));
                return None;
            }
        };
        self.bytes += length;
        match scan(&bytes) {
            Ok(scanned) => {
                if is_last && scanned.torn && has_frame(&bytes, scanned.bytes + 1) {
                    self.damaged(path, format!("is damaged at byte {}", scanned.bytes));
                }
                Some(scanned)
            }
            // The beginning of a write that a crash tore.
            Err(HeaderError::Damaged | HeaderError::Incomplete { .. }) if is_last => None,
            Err(error) => {
                self.damaged(path, format!("is damaged at byte 0: {error}"));
                None
            }
        }
    }
}

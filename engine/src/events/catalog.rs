//! The files of the event logs as a start finds them.
//!
//! Path: names and lengths ([`EventFiles`]) → the header of each file, and all of the last of each log → [`Catalog`]: how far the logs go, where
//! their events are, and what is of no use any more. Every shard takes from it what concerns its partitions.
//! A file tells by its header how far the log was before it, so only the last file of a log is read whole.

use super::bytes::{HEADER_BYTES_MAX, Header, HeaderError, LogName, SEGMENT_BYTES_MAX, Track, scan};
use std::collections::BTreeMap;
use std::io;
use wire::{FeedPlace, Millis, PartitionId, Seq};

/// Folder of the event logs, in the data folder.
pub const FOLDER: &str = "events";
/// Bytes read of a file for its header; more where it has many partitions.
const HEADER_GUESS: usize = 8 * 1_024;

/// Path of a log's files in the data folder.
#[must_use]
pub fn path(generation: u32, shard: u16) -> String {
    format!("{FOLDER}/{generation:08}/shard-{shard:03}")
}

pub(super) fn file_path(generation: u32, shard: u16, number: u32) -> String {
    format!("{}/{number:08}.evt", path(generation, shard))
}

/// The generation and shard that names of folders give, if they are of an event log.
#[must_use]
pub fn parse_log(generation: &str, shard: &str) -> Option<(u32, u16)> {
    let (number, of_shard) = (generation.parse().ok()?, shard.strip_prefix("shard-")?.parse().ok()?);
    (path(number, of_shard) == format!("{FOLDER}/{generation}/{shard}")).then_some((number, of_shard))
}

/// The number that a file's name gives, if it is of an event log.
#[must_use]
pub fn parse_file(name: &str) -> Option<u32> {
    let number: u32 = name.strip_suffix(".evt")?.parse().ok()?;
    (format!("{number:08}.evt") == name).then_some(number)
}

/// Numbers and lengths of a log's files.
pub type LogFiles = BTreeMap<u32, u64>;

/// Where the files are.
pub trait EventFiles {
    /// Every log that has files, by generation and shard.
    ///
    /// # Errors
    /// When a folder cannot be listed. One that is not there has nothing in it.
    fn logs(&mut self) -> io::Result<BTreeMap<(u32, u16), LogFiles>>;

    /// Reads exactly so many bytes from the beginning of a file.
    ///
    /// # Errors
    /// As the disk says.
    fn read(&mut self, path: &str, bytes: usize) -> io::Result<Vec<u8>>;

    /// Makes a file and its name durable.
    ///
    /// # Errors
    /// As the disk says.
    fn sync(&mut self, path: &str) -> io::Result<()>;
}

/// A file with events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) generation: u32,
    pub(super) shard: u16,
    pub(super) number: u32,
    /// Up to the end of its last whole frame; for all but the last of a log the whole file.
    pub(super) bytes: u64,
    /// No event in it is younger.
    pub(super) newest: Millis,
    /// Behind the last event of each partition that has some in it.
    pub(super) ends: Vec<(PartitionId, FeedPlace)>,
    /// Files of later generations tell how far the log is with each of its partitions: it may go although it is the last of its log.
    pub(super) superseded: bool,
}

impl Listed {
    pub(super) fn path(&self) -> String {
        file_path(self.generation, self.shard, self.number)
    }
}

/// A file that holds nothing of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its path in the data folder.
    pub path: String,
    /// Whose log it was in.
    pub shard: u16,
    /// Why.
    pub why: String,
}

/// All event logs of a folder.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By generation, shard and number.
    pub(super) files: Vec<Listed>,
    /// How far the logs go.
    pub(super) tracks: BTreeMap<PartitionId, Track>,
    /// Events before these places are kept no more.
    pub(super) gone: BTreeMap<PartitionId, FeedPlace>,
    /// The highest number of a file in each log that has a header. One without is written over.
    pub(super) last: BTreeMap<(u32, u16), u32>,
    /// To be removed, and told of.
    pub ignored: Vec<Ignored>,
}

impl Catalog {
    /// Reads what is there.
    ///
    /// Damage costs events, never the shop: what a damaged file held and the write-ahead log has still is told anew, the rest counts as gone.
    ///
    /// # Errors
    /// When files cannot be read, or were written by a newer version.
    pub fn read(files: &mut impl EventFiles, folder: u128, epoch: u32) -> io::Result<Self> {
        let mut catalog = Self::default();
        let mut lasts: Vec<(u32, usize, BTreeMap<PartitionId, Track>)> = Vec::new();
        for ((generation, shard), numbers) in files.logs()? {
            let mut log =
                catalog.headers(files, (generation, shard), &numbers, |log: LogName| (log.folder, log.epoch) == (folder, epoch))?;
            // A hole: what was in it is gone, and a reader must not go over it. Everything before counts as gone with it.
            let whole = log.iter().zip(log.iter().skip(1)).rposition(|((header, ..), (next, ..))| header.number + 1 != next.number);
            if let Some(at) = whole {
                for (header, ..) in log.drain(..=at) {
                    let why = format!("there is no file {} behind it", header.number + 1);
                    catalog.ignored.push(Ignored { path: file_path(generation, shard, header.number), shard, why });
                }
            }
            let Some((first, ..)) = log.first() else { continue };
            for (partition, track) in &first.tracks {
                // What this file says is before it, and no file before it has.
                if catalog.tracks.get(partition).is_none_or(|known| known.next < track.next) {
                    catalog.gone.insert(*partition, track.next);
                }
            }
            let after: Vec<_> = log.iter().skip(1).map(|(header, ..)| (header.tracks.clone(), header.at)).collect();
            let mut after = after.into_iter();
            for (header, bytes, length) in log {
                let (tracks, newest, bytes) = match after.next() {
                    Some((tracks, newest)) => (tracks, newest, length),
                    None => {
                        // The process before may have been killed between a write and its sync: what counts as durable must be.
                        files.sync(&file_path(generation, shard, header.number))?;
                        let whole = scan(&bytes).map_err(|error| io::Error::other(format!("{}: {error}", header.number)))?;
                        lasts.push((generation, catalog.files.len(), whole.tracks.clone()));
                        (whole.tracks, whole.newest, whole.bytes as u64)
                    }
                };
                catalog.add(&header, tracks, newest, bytes);
            }
        }
        catalog.supersede(&lasts);
        Ok(catalog)
    }

    /// Finds among the last files of the logs, by generation, place in the list and what they tell, those that later generations tell all of.
    fn supersede(&mut self, lasts: &[(u32, usize, BTreeMap<PartitionId, Track>)]) {
        let mut later: BTreeMap<PartitionId, Track> = BTreeMap::new();
        for generation in lasts.chunk_by(|(one, ..), (other, ..)| one == other).rev() {
            for (_, at, tracks) in generation {
                self.files[*at].superseded = tracks.iter().all(|(partition, track)| {
                    later.get(partition).is_some_and(|later| later.next >= track.next && later.covered >= track.covered)
                });
            }
            for (partition, track) in generation.iter().flat_map(|(.., tracks)| tracks) {
                let known = later.entry(*partition).or_default();
                (known.next, known.covered) = (known.next.max(track.next), known.covered.max(track.covered));
            }
        }
    }

    /// The headers of a log's files with the files' lengths, and all bytes of the last. Files without one are put aside.
    fn headers(
        &mut self,
        files: &mut impl EventFiles,
        (generation, shard): (u32, u16),
        numbers: &LogFiles,
        is_ours: impl Fn(LogName) -> bool,
    ) -> io::Result<Vec<(Header, Vec<u8>, u64)>> {
        let mut found: Vec<(Header, Vec<u8>, u64)> = Vec::new();
        for (number, length) in numbers {
            let path = file_path(generation, shard, *number);
            let mut ignore = |why: String| self.ignored.push(Ignored { path: path.clone(), shard, why });
            let whole = usize::try_from(*length).ok().filter(|length| *length <= SEGMENT_BYTES_MAX);
            let Some(whole) = whole else {
                ignore(format!("it has {length} bytes; a file of the event log has at most {SEGMENT_BYTES_MAX}"));
                continue;
            };
            let is_last = numbers.last_key_value().is_some_and(|(last, _)| last == number);
            let mut bytes = files.read(&path, if is_last { whole } else { whole.min(HEADER_GUESS) })?;
            let mut header = Header::decode(&bytes);
            if let Err(HeaderError::Incomplete { need }) = header
                && need <= whole.min(HEADER_BYTES_MAX)
            {
                bytes = files.read(&path, need)?;
                header = Header::decode(&bytes);
            }
            match header {
                Ok((header, ..))
                    if (header.log.generation, header.log.shard, header.number) == (generation, shard, *number) && is_ours(header.log) =>
                {
                    found.push((header, bytes, *length));
                }
                Ok(_) => ignore("it belongs to another folder, log or history".to_owned()),
                Err(error @ HeaderError::Newer { .. }) => return Err(io::Error::other(format!("{path}: {error}"))),
                // The beginning of a write that a crash tore. The next file has its number.
                Err(HeaderError::Damaged | HeaderError::Incomplete { .. }) if is_last => {}
                Err(error @ (HeaderError::Damaged | HeaderError::Incomplete { .. })) => ignore(error.to_string()),
            }
        }
        // The last was read for its header alone if the one behind it was put aside.
        if let Some((header, bytes, length)) = found.last_mut()
            && (bytes.len() as u64) < *length
        {
            *bytes = files.read(&file_path(generation, shard, header.number), *length as usize)?; // checked above
        }
        self.last.extend(found.last().map(|(header, ..)| ((generation, shard), header.number)));
        Ok(found)
    }

    fn add(&mut self, header: &Header, after: BTreeMap<PartitionId, Track>, newest: Millis, bytes: u64) {
        let before = |partition| header.tracks.get(partition).map_or(FeedPlace::default(), |track| track.next);
        let ends = after.iter().filter(|(partition, track)| track.next > before(partition));
        let ends: Vec<_> = ends.map(|(partition, track)| (*partition, track.next)).collect();
        for (partition, track) in after {
            let known = self.tracks.entry(partition).or_default();
            known.next = known.next.max(track.next);
            known.covered = known.covered.max(track.covered);
        }
        let LogName { generation, shard, .. } = header.log;
        self.files.push(Listed { generation, shard, number: header.number, bytes, newest, ends, superseded: false });
    }

    /// All events of the partition's commands up to this one are in files.
    #[must_use]
    pub fn covered(&self, partition: PartitionId) -> Seq {
        self.tracks.get(&partition).map_or(Seq(0), |track| track.covered)
    }
}

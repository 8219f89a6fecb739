//! The index's segments as files, so that a start need not analyse every text again.
//!
//! Path out: the index is tidy → [`IndexFiles::step`] finds a segment of [`INDEX_FILE_ROWS_MIN`] documents without a file → a block of it at each tick →
//! pieces through [`Output::Files`](crate::shard::Output::Files) → renamed into place → files of segments that were merged away are removed.
//! Path in: the start reads the folder beside the replay ([`IndexFound`]) → `Builder::finish` → [`IndexFiles::adopt`] → the documents that no file had, or that
//! changed since, are indexed.
//! Names: `index/s-<shard>-of-<shards>/<number>.seg`, numbers rising; what a file holds is in `search-index/FORMAT.md`.
//! Bounds: one job under way, of [`PIECE_BYTES`] or [`REMOVED_AT_ONCE_MAX`] files; one segment being saved. A failure is tried again after [`RETRY_MS`].
//! Deliberately absent: any promise. The files are derived, and nothing waits for them: one that is missing, stale, damaged or of another version means
//! that its documents are indexed again.

use crate::shard::files::{FILE_BYTES_MAX, FileError, FileStep};
use search_index::{Current, DocKey, Index, Save, Saved, Saving, SegmentId};
use std::collections::{BTreeMap, BTreeSet};
use wire::ShardId;

/// Folder of all of them, in the data folder. It may be removed while no engine runs.
pub const INDEX_DIR: &str = "index";
/// Documents from which on a segment gets a file. Those of smaller segments are indexed again at a start: after merging, a few thousand at most.
pub const INDEX_FILE_ROWS_MIN: usize = 1_024;

const WHOLE: &str = ".seg";
const UNFINISHED: &str = ".seg.new";
/// Bytes made in one tick, some 100 µs.
const BLOCK_BYTES: usize = 8 << 10;
/// Bytes of one write, made durable before the next: so the log's own writes never wait behind many.
const PIECE_BYTES: usize = 1 << 20;
const REMOVED_AT_ONCE_MAX: usize = 64;
/// After a failure, such as a full disk.
const RETRY_MS: u64 = 60_000;

/// Name of a shard's folder in [`INDEX_DIR`].
#[must_use]
pub fn shard_dir(shard: ShardId, shards: u16) -> String {
    format!("s-{:05}-of-{shards:05}", shard.0)
}

/// What a file's name in a shard's folder says: its number, and whether it was finished. `None` for one that is none of ours.
#[must_use]
pub fn file_name(name: &str) -> Option<(u64, bool)> {
    let (digits, whole) = match name.strip_suffix(WHOLE) {
        Some(digits) => (digits, true),
        None => (name.strip_suffix(UNFINISHED)?, false),
    };
    let number = digits.parse().ok()?;
    (format!("{number:020}") == digits).then_some((number, whole))
}

/// What a start found of the index.
#[derive(Default)]
pub struct IndexFound {
    /// Files of this shard, by their numbers.
    pub own: BTreeMap<u64, Saved>,
    /// Files of starts with another number of shards: of their documents those of this shard's partitions.
    pub others: Vec<Saved>,
    /// Files of no use, such as damaged ones and those of the others: paths in the data folder. They are removed once the index is saved.
    pub stale: Vec<String>,
    /// The highest number of any file of this shard, whole or not, readable or not; 0 when there is none.
    pub last_number: u64,
}

/// The files of one shard's index.
pub(crate) struct IndexFiles {
    folder: String,
    /// Number of the next file.
    next: u64,
    /// Whole files, by their segments. Some of these may have been merged away.
    written: BTreeMap<SegmentId, u64>,
    stale: Vec<String>,
    saving: Option<Unfinished>,
    job: Option<Job>,
    /// There may be something to do.
    open: bool,
    /// Not before this, monotonic.
    again_us: Option<u64>,
}

/// A segment that is being saved.
struct Unfinished {
    id: SegmentId,
    save: Save,
    /// Bytes given to the driver.
    offset: u64,
    piece: Vec<u8>,
}

/// What the job under way is for.
enum Job {
    /// A piece of a file; the last one makes it whole.
    Piece {
        whole: bool,
    },
    Remove,
}

impl IndexFiles {
    pub(crate) fn new(shard: ShardId, shards: u16) -> Self {
        let folder = format!("{INDEX_DIR}/{}", shard_dir(shard, shards));
        Self { folder, next: 1, written: BTreeMap::new(), stale: Vec::new(), saving: None, job: None, open: false, again_us: None }
    }

    /// Takes over what was found, the newest first: of two files with a document as it is, either will do. Answers the number of documents.
    pub(crate) fn adopt(&mut self, index: &mut Index, found: IndexFound, mut current: impl FnMut(DocKey) -> Option<Current>) -> usize {
        let IndexFound { own, others, stale, last_number } = found;
        self.stale.extend(stale);
        self.next = last_number + 1;
        let mut taken = 0;
        for (number, saved) in own.into_iter().rev() {
            let adopted = index.adopt(saved, &mut current);
            taken += adopted.taken;
            match adopted.id {
                Some(id) => {
                    self.written.insert(id, number);
                }
                None => self.stale.push(self.path(number, WHOLE)),
            }
        }
        for saved in others {
            taken += index.adopt(saved, &mut current).taken;
        }
        taken
    }

    fn path(&self, number: u64, end: &str) -> String {
        format!("{}/{number:020}{end}", self.folder)
    }

    /// The index has been changed and is tidy: there may be something to do.
    pub(crate) fn index_changed(&mut self) {
        self.open = true;
    }

    /// When [`IndexFiles::step`] has something to do, monotonic microseconds.
    pub(crate) fn next_wake(&self, now_us: u64) -> Option<u64> {
        (self.open && self.job.is_none()).then(|| self.again_us.unwrap_or(now_us))
    }

    /// Does a small piece of work on a tidy index, and answers steps for a job if there is one to give.
    pub(crate) fn step(&mut self, index: &Index, now_us: u64) -> Option<Vec<FileStep>> {
        if self.next_wake(now_us).is_none_or(|at| at > now_us) {
            return None;
        }
        self.again_us = None;
        if self.saving.is_none() {
            self.saving = self.choose(index);
        }
        match &self.saving {
            Some(_) => self.save(index),
            None => {
                let steps = self.remove(index);
                self.open = steps.is_some();
                steps
            }
        }
    }

    fn choose(&self, index: &Index) -> Option<Unfinished> {
        let wanted = |segment: &search_index::SegmentInfo| {
            segment.rows - segment.dead >= INDEX_FILE_ROWS_MIN && !self.written.contains_key(&segment.id)
        };
        // The largest first: it is the most work at a start.
        let id = index.segments().filter(wanted).max_by_key(|segment| segment.rows)?.id;
        Some(Unfinished { id, save: index.save(id)?, offset: 0, piece: Vec::new() })
    }

    fn save(&mut self, index: &Index) -> Option<Vec<FileStep>> {
        let (unfinished, whole) = (self.path(self.next, UNFINISHED), self.path(self.next, WHOLE));
        let saving = self.saving.as_mut()?;
        let step = index.save_step(&mut saving.save, &mut saving.piece, BLOCK_BYTES);
        let done = match step {
            Saving::More if saving.piece.len() < PIECE_BYTES => return None,
            Saving::More => false,
            Saving::Done => true,
            Saving::Gone => {
                // What there is of it is begun anew by the next, under the same name.
                self.saving = None;
                return None;
            }
        };
        let (offset, bytes) = (saving.offset, std::mem::take(&mut saving.piece));
        saving.offset += bytes.len() as u64;
        let mut steps = Vec::new();
        let mut from = 0;
        for piece in bytes.chunks(FILE_BYTES_MAX) {
            let at = offset + from;
            from += piece.len() as u64;
            steps.push(FileStep::Write { path: unfinished.clone(), offset: at, bytes: piece.to_vec(), create: at == 0 });
        }
        steps.push(FileStep::Sync { path: unfinished.clone() });
        if done {
            steps.push(FileStep::Rename { from: unfinished, to: whole });
            steps.push(FileStep::SyncFolder { path: self.folder.clone() });
        }
        self.job = Some(Job::Piece { whole: done });
        Some(steps)
    }

    /// Steps that remove files of segments that are gone, if there are any.
    fn remove(&mut self, index: &Index) -> Option<Vec<FileStep>> {
        let living: BTreeSet<SegmentId> = index.segments().map(|segment| segment.id).collect();
        let gone: Vec<(SegmentId, u64)> =
            self.written.iter().filter(|(id, _)| !living.contains(id)).map(|(id, number)| (*id, *number)).collect();
        for (id, number) in gone {
            self.written.remove(&id);
            self.stale.push(self.path(number, WHOLE));
        }
        if self.stale.is_empty() {
            return None;
        }
        self.job = Some(Job::Remove);
        Some(self.stale.iter().take(REMOVED_AT_ONCE_MAX).map(|path| FileStep::Remove { path: path.clone() }).collect())
    }

    /// The job that was given is done.
    pub(crate) fn done(&mut self, result: Result<(), FileError>, now_us: u64) {
        let job = self.job.take().expect("a job of the index was given");
        match (result, job) {
            (Ok(()), Job::Piece { whole: false }) => {}
            (Ok(()), Job::Piece { whole: true }) => {
                if let Some(saved) = self.saving.take() {
                    self.written.insert(saved.id, self.next);
                    self.next += 1;
                }
            }
            // Names that come back after a crash are removed again, or adopted if they still say what is true.
            (Ok(()), Job::Remove) => drop(self.stale.drain(..self.stale.len().min(REMOVED_AT_ONCE_MAX))),
            (Err(error), Job::Piece { .. } | Job::Remove) => {
                self.saving = None;
                self.again_us = Some(now_us + RETRY_MS * 1_000);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    retry_ms = RETRY_MS,
                    "the index cannot be kept in files; nothing is lost, and a start takes longer until it can"
                );
            }
        }
    }

    /// The engine ends: nothing more is begun.
    pub(crate) fn drain(&mut self) {
        self.open = false;
        self.saving = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use search_index::{Columns, Document, Language, Query, Settings};

    const SHARD: ShardId = ShardId(2);
    const ROWS: u64 = INDEX_FILE_ROWS_MIN as u64;

    fn document(key: u64) -> Document {
        Document { stamp: key + 1, title: format!("lamp {key}"), ..Document::new(DocKey(key)) }
    }

    fn index(keys: std::ops::Range<u64>) -> Index {
        let mut index = Index::build(Settings::default(), keys.map(document)).expect("within bounds");
        while index.maintain(1_000_000) {}
        index
    }

    fn current(key: DocKey) -> Option<Current> {
        Some(Current { stamp: key.0 + 1, columns: Columns::default() })
    }

    /// A driver's files, as they would be after every step, and how many jobs fail first.
    #[derive(Default)]
    struct Disk {
        files: BTreeMap<String, Vec<u8>>,
        failing: usize,
    }

    impl Disk {
        fn perform(&mut self, steps: Vec<FileStep>) -> Result<(), FileError> {
            for step in steps {
                if self.failing > 0 {
                    self.failing -= 1;
                    return Err(FileError::NoRoom { path: "there".into(), cause: std::io::ErrorKind::StorageFull.into() });
                }
                match step {
                    FileStep::Write { path, offset, bytes, create } => {
                        assert_eq!(create, offset == 0);
                        let file = self.files.entry(path).or_default();
                        file.truncate(offset as usize);
                        assert_eq!(file.len() as u64, offset, "no hole");
                        file.extend(bytes);
                    }
                    FileStep::Rename { from, to } => {
                        let file = self.files.remove(&from).expect("it was written");
                        self.files.insert(to, file);
                    }
                    FileStep::Remove { path } => drop(self.files.remove(&path)),
                    FileStep::Sync { .. } | FileStep::SyncFolder { .. } => {}
                    FileStep::Read { .. } => panic!("the core reads no index file"),
                }
            }
            Ok(())
        }

        fn names(&self) -> Vec<&str> {
            self.files.keys().map(|path| path.strip_prefix("index/s-00002-of-00004/").expect("the shard's folder")).collect()
        }

        /// As a start reads it.
        fn found(&self) -> IndexFound {
            let mut found = IndexFound::default();
            for (path, bytes) in &self.files {
                let (number, whole) = file_name(path.rsplit('/').next().expect("a name")).expect("ours");
                found.last_number = found.last_number.max(number);
                match Saved::decode(bytes, Language::English, |_, _| true) {
                    Ok(saved) if whole => drop(found.own.insert(number, saved)),
                    Ok(_) | Err(_) => found.stale.push(path.clone()),
                }
            }
            found
        }
    }

    /// Until there is nothing more to do at this time.
    fn run(files: &mut IndexFiles, index: &Index, disk: &mut Disk, now_us: u64) {
        files.index_changed();
        while files.next_wake(now_us).is_some_and(|at| at <= now_us) {
            if let Some(steps) = files.step(index, now_us) {
                assert_eq!(files.next_wake(now_us), None, "it waits for its job");
                let result = disk.perform(steps);
                files.done(result, now_us);
            }
        }
    }

    fn restart(disk: &Disk) -> (IndexFiles, Index, usize) {
        let (mut files, mut index) = (IndexFiles::new(SHARD, 4), Index::new(Settings::default()));
        let taken = files.adopt(&mut index, disk.found(), current);
        (files, index, taken)
    }

    #[test]
    fn large_segments_are_saved_and_taken_over() {
        let (mut files, index, mut disk) = (IndexFiles::new(SHARD, 4), index(0..3 * ROWS), Disk::default());
        run(&mut files, &index, &mut disk, 0);
        assert_eq!(disk.names(), ["00000000000000000001.seg"]);
        let (mut files, mut index, taken) = restart(&disk);
        assert_eq!((taken, index.len()), (3 * ROWS as usize, 3 * ROWS as usize));
        let query = Query { text: Some("lamp 7".into()), total: true, ..Query::default() };
        assert_eq!(index.search(&query, None).expect("within bounds").hits[0].key, DocKey(7));

        // What comes later gets a file of its own, unless it is small.
        index.extend((3 * ROWS..3 * ROWS + 10).map(document)).expect("within bounds");
        run(&mut files, &index, &mut disk, 0);
        assert_eq!(disk.names(), ["00000000000000000001.seg"]);
        index.extend((4 * ROWS..6 * ROWS).map(document)).expect("within bounds");
        run(&mut files, &index, &mut disk, 0);
        assert_eq!(disk.names(), ["00000000000000000001.seg", "00000000000000000002.seg"]);
    }

    #[test]
    fn files_of_merged_segments_go_once_the_new_one_is_whole() {
        let (mut files, mut disk) = (IndexFiles::new(SHARD, 4), Disk::default());
        let mut index = Index::new(Settings { head_rows_max: 1, ..Settings::default() });
        for part in 0..4 {
            index.extend((part * 2 * ROWS..(part + 1) * 2 * ROWS).map(document)).expect("within bounds");
            run(&mut files, &index, &mut disk, 0);
        }
        assert_eq!(disk.names().len(), 4);
        while index.maintain(1_000_000) {}
        assert_eq!(index.segments().len(), 1);
        let mut most = 0;
        files.index_changed();
        while files.next_wake(0).is_some() {
            if let Some(steps) = files.step(&index, 0) {
                let result = disk.perform(steps);
                files.done(result, 0);
            }
            most = most.max(disk.names().len());
        }
        assert_eq!((most, disk.names()), (5, vec!["00000000000000000005.seg"]));
        assert_eq!(restart(&disk).2, 8 * ROWS as usize);
    }

    #[test] // A crash between any two steps leaves files of which a start makes the best, and numbers are not used again.
    fn any_end_of_the_process_is_survived() {
        let index = index(0..2 * ROWS);
        for steps in 0..6 {
            let (mut files, mut disk) = (IndexFiles::new(SHARD, 4), Disk::default());
            files.index_changed();
            let mut left = steps;
            while let Some(_now) = files.next_wake(0).filter(|_| left > 0) {
                if let Some(mut job) = files.step(&index, 0) {
                    job.truncate(left);
                    left -= job.len();
                    disk.perform(job).expect("nothing fails");
                    files.done(Ok(()), 0);
                }
            }
            let (mut files, mut index, taken) = restart(&disk);
            assert_eq!(taken, if steps >= 3 { 2 * ROWS as usize } else { 0 }, "after {steps} steps");
            let rest: Vec<Document> = (0..2 * ROWS).filter(|key| !index.contains(DocKey(*key))).map(document).collect();
            index.extend(rest).expect("within bounds");
            run(&mut files, &index, &mut disk, 0);
            assert_eq!(disk.names(), [if steps == 0 || steps >= 3 { "00000000000000000001.seg" } else { "00000000000000000002.seg" }]);
            assert_eq!(restart(&disk).2, 2 * ROWS as usize);
        }
    }

    #[test]
    fn a_damaged_file_and_those_of_other_numbers_of_shards_are_replaced() {
        let (mut files, index, mut disk) = (IndexFiles::new(SHARD, 4), index(0..2 * ROWS), Disk::default());
        run(&mut files, &index, &mut disk, 0);
        let good = disk.files.values().next().expect("one").clone();
        disk.files.values_mut().next().expect("one")[100] ^= 1;
        let mut found = disk.found();
        assert!(found.own.is_empty());
        found.others.push(Saved::decode(&good, Language::English, |key, _| key.0 % 2 == 0).expect("whole"));
        found.stale.push("index/s-00000-of-00001/00000000000000000001.seg".into());
        let (mut files, mut index) = (IndexFiles::new(SHARD, 4), Index::new(Settings::default()));
        assert_eq!(files.adopt(&mut index, found, current), ROWS as usize);
        run(&mut files, &index, &mut disk, 0);
        assert_eq!(disk.names(), ["00000000000000000002.seg"]);
        assert_eq!(restart(&disk).2, ROWS as usize);
    }

    #[test]
    fn a_full_disk_is_tried_again_later() {
        let (mut files, index, mut disk) = (IndexFiles::new(SHARD, 4), index(0..2 * ROWS), Disk { failing: 1, ..Disk::default() });
        run(&mut files, &index, &mut disk, 5);
        assert_eq!((disk.files.len(), files.next_wake(6)), (0, Some(5 + RETRY_MS * 1_000)));
        run(&mut files, &index, &mut disk, RETRY_MS * 1_000 + 5);
        assert_eq!(disk.names(), ["00000000000000000001.seg"]);
    }

    #[test]
    fn names() {
        for (name, means) in [
            ("00000000000000000012.seg", Some((12, true))),
            ("00000000000000000012.seg.new", Some((12, false))),
            ("12.seg", None),
            ("+0000000000000000012.seg", None),
            ("00000000000000000012.snap", None),
        ] {
            assert_eq!(file_name(name), means, "{name}");
        }
        assert_eq!(shard_dir(ShardId(3), 8), "s-00003-of-00008");
    }
}

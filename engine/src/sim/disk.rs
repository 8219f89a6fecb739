//! A disk in memory that loses what a disk may lose, and sometimes what it may not.
//!
//! Path: [`Disk::begin_write`] → the write is on its way → [`Disk::finish_write`], durable, as a write with `O_DSYNC` is → [`Disk::read`]. Or a crash comes
//! first: [`Disk::crash`] keeps, drops or tears each block of what was not reported, by chance.
//! Names of files are durable only after [`Disk::sync_names`]; a power cut keeps the beginning of the changes made since, in their order, as a journal does.
//! The fault model is that of `log/FORMAT.md`: lost and torn unsynced writes are survived; damage to reported ones ([`Disk::damage`]) is found.
//! Bounds: whole blocks of 4 KiB, torn at 512 bytes. All in memory, but for what is zero since its file was made.

use super::random::Random;
use crate::log::{BLOCK_BYTES, LogIdentity, SegmentFile, SegmentNumber, SegmentSource, layout};
use crate::start::replay::Store;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    rc::Rc,
};

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// It is killed; what was written stays in the page cache, where the next process finds it. A later power cut can still lose it.
    Kill,
    /// The machine loses its power.
    PowerCut,
}

/// Names a write that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WriteId(u64);

struct Write {
    id: WriteId,
    at: usize,
    bytes: Vec<u8>,
    /// Given to the disk by a process that lives, and not reported.
    under_way: bool,
}

#[derive(Default)]
struct File {
    /// How long it is, without what is in the cache.
    len: usize,
    /// Up to the last byte written; zeros follow to its length.
    durable: Vec<u8>,
    /// Not durable, in the order given: on its way, or in the page cache.
    pending: Vec<Write>,
    /// Blocks that were reported durable since the file was prepared: nobody may write them again.
    reported: BTreeSet<usize>,
}

impl File {
    /// As long as it is, with what is in the cache.
    fn bytes(&self) -> usize {
        self.pending.iter().map(|write| write.at + write.bytes.len()).max().unwrap_or(0).max(self.len)
    }

    /// Makes it so long, if it is shorter.
    fn reach(&mut self, end: usize) {
        self.len = self.len.max(end);
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
    }

    /// What stood in the page cache there, of the first so many writes, is written over: no power cut brings it back.
    fn forget_cached(&mut self, older: usize, range: Range<usize>) {
        let mut left = Vec::with_capacity(self.pending.len() + 1);
        for (nth, write) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            let (from, to) = (write.at, write.at + write.bytes.len());
            if nth >= older || write.under_way || to <= range.start || range.end <= from {
                left.push(write);
                continue;
            }
            let before = from..range.start.clamp(from, to);
            let behind = range.end.clamp(from, to)..to;
            for part in [before, behind].into_iter().filter(|part| !part.is_empty()) {
                left.push(Write {
                    id: write.id,
                    at: part.start,
                    bytes: write.bytes[part.start - from..part.end - from].to_vec(),
                    under_way: false,
                });
            }
        }
        self.pending = left;
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.reach(at);
        let (over, new) = bytes.split_at(bytes.len().min(self.durable.len() - at));
        self.durable[at..at + over.len()].copy_from_slice(over);
        self.durable.extend_from_slice(new);
        self.len = self.len.max(self.durable.len());
    }

    fn block_mut(&mut self, at: usize) -> Option<&mut [u8]> {
        let end = at + BLOCK_BYTES;
        if end <= self.len {
            self.reach(end);
        }
        self.durable.get_mut(at..end)
    }

    /// A write that nobody reported meets a power cut: whole, not at all, or each block for itself.
    fn land(&mut self, write: &Write, random: &mut Random) {
        let whole = random.below(6);
        for (block, bytes) in write.bytes.chunks(BLOCK_BYTES).enumerate() {
            let at = write.at + block * BLOCK_BYTES;
            let fate = if whole < 2 { whole } else { random.below(8) };
            match fate {
                0 => {}
                1..=3 => self.put(at, bytes),
                4..=6 => {
                    self.reach(at + bytes.len());
                    for (sector, bytes) in bytes.chunks(SECTOR_BYTES).enumerate().filter(|_| random.chance(500)) {
                        self.put(at + sector * SECTOR_BYTES, bytes);
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId(u64);

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
enum Naming {
    Made(String, FileId),
    Renamed(String, String),
    Removed(String),
}

impl Naming {
    /// The folder it is in; files do not go from one to another.
    fn folder(&self) -> &str {
        let (Self::Made(path, _) | Self::Renamed(path, _) | Self::Removed(path)) = self;
        path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    fn apply(self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Made(path, id) => _ = names.insert(path, id),
            Self::Removed(path) => _ = names.remove(&path),
            Self::Renamed(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
        }
    }
}

/// Damage done to what was durable, and what was there.
pub(super) struct Damage {
    path: String,
    at: usize,
    was: Vec<u8>,
    /// A start may do without what is damaged.
    pub(super) can_be_passed: bool,
}

impl std::fmt::Debug for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.path, self.at)
    }
}

impl Damage {
    pub(super) fn is_of(&self, path: &str) -> bool {
        self.path == path
    }
}

/// The files of one machine.
#[derive(Default)]
pub(super) struct Disk {
    files: BTreeMap<FileId, File>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    naming: Vec<Naming>,
    next: u64,
    /// Reads fail until it is 0.
    pub(super) failing_reads: u32,
}

impl Disk {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.get(self.names.get(path)?)
    }

    fn file_mut(&mut self, path: &str) -> Option<&mut File> {
        self.files.get_mut(self.names.get(path)?)
    }

    /// Makes a file of exactly `bytes`, all zero; one that is there keeps what is in it. Its name is not durable yet.
    ///
    /// # Errors
    /// When something in it was reported durable.
    pub(super) fn make(&mut self, path: &str, bytes: usize) -> Result<(), String> {
        if let Some(file) = self.file_mut(path) {
            if !file.reported.is_empty() {
                return Err(format!("{path} holds acknowledged entries and is prepared again"));
            }
            file.len = bytes;
            file.durable.truncate(bytes);
            file.pending.retain(|write| write.at + write.bytes.len() <= bytes);
            return Ok(());
        }
        let id = FileId(self.id());
        self.files.insert(id, File { len: bytes, durable: Vec::with_capacity(bytes), ..File::default() });
        self.names.insert(path.to_owned(), id);
        self.naming.push(Naming::Made(path.to_owned(), id));
        Ok(())
    }

    /// Makes an empty file, in place of one that may be there.
    pub(super) fn make_empty(&mut self, path: &str) {
        let id = FileId(self.id());
        self.files.insert(id, File::default());
        self.names.insert(path.to_owned(), id);
        self.naming.push(Naming::Made(path.to_owned(), id));
    }

    /// Gives a file another name. False when it is not there.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(id) = self.names.remove(from) else { return false };
        self.names.insert(to.to_owned(), id);
        self.naming.push(Naming::Renamed(from.to_owned(), to.to_owned()));
        true
    }

    pub(super) fn remove(&mut self, path: &str) {
        if self.names.remove(path).is_some() {
            self.naming.push(Naming::Removed(path.to_owned()));
        }
    }

    /// A released segment is taken over: its blocks may be written again.
    pub(super) fn forget_reported(&mut self, path: &str) {
        if let Some(file) = self.file_mut(path) {
            file.reported.clear();
        }
    }

    /// What was reported durable there does not count: a batch in front of it was lost, so it was never acknowledged.
    pub(super) fn forget_blocks(&mut self, path: &str, at: u64, bytes: usize) {
        let at = usize::try_from(at).expect("small files");
        if let Some(file) = self.file_mut(path) {
            blocks_of(at, bytes).for_each(|block| _ = file.reported.remove(&block));
        }
    }

    /// Names in a folder are durable.
    pub(super) fn sync_names(&mut self, folder: &str) {
        for naming in std::mem::take(&mut self.naming) {
            if naming.folder() == folder {
                naming.apply(&mut self.durable_names);
            } else {
                self.naming.push(naming);
            }
        }
    }

    /// Writes into the page cache. False when there is no such file.
    pub(super) fn write_cached(&mut self, path: &str, at: u64, bytes: Vec<u8>) -> bool {
        let id = WriteId(self.id());
        let at = usize::try_from(at).expect("small files");
        let Some(file) = self.file_mut(path) else { return false };
        file.pending.push(Write { id, at, bytes, under_way: false });
        true
    }

    /// Is the file there?
    pub(super) fn has(&self, path: &str) -> bool {
        self.names.contains_key(path)
    }

    /// A write is given to the disk.
    ///
    /// # Errors
    /// When it hits a block that was reported durable, or no file: which says where.
    pub(super) fn begin_write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<WriteId, String> {
        let id = WriteId(self.id());
        let at = usize::try_from(at).expect("small files");
        let Some(file) = self.file_mut(path) else { return Err(format!("a write into {path}, which is not there")) };
        if at + bytes.len() > file.len {
            return Err(format!("a write of {} bytes at {at} of {path}, behind its end", bytes.len()));
        }
        let mut blocks = blocks_of(at, bytes.len());
        if let Some(block) = blocks.find(|block| file.reported.contains(block)) {
            return Err(format!("block {block} of {path} holds acknowledged entries and is written again"));
        }
        file.pending.push(Write { id, at, bytes: bytes.to_vec(), under_way: true });
        Ok(id)
    }

    /// The write is durable.
    pub(super) fn finish_write(&mut self, path: &str, id: WriteId) {
        let Some(file) = self.file_mut(path) else { return };
        let Some(place) = file.pending.iter().position(|write| write.id == id) else { return };
        let write = file.pending.remove(place);
        file.forget_cached(place, write.at..write.at + write.bytes.len());
        file.put(write.at, &write.bytes);
        file.reported.extend(blocks_of(write.at, write.bytes.len()));
    }

    /// The write failed: some of it may be on the disk, or in a cache, all the same.
    pub(super) fn fail_write(&mut self, path: &str, id: WriteId, random: &mut Random) {
        let Some(file) = self.file_mut(path) else { return };
        let Some(place) = file.pending.iter().position(|write| write.id == id) else { return };
        let write = file.pending.remove(place);
        file.land(&write, random);
    }

    /// What is in the page cache for the file is durable.
    pub(super) fn sync(&mut self, path: &str) {
        let Some(file) = self.file_mut(path) else { return };
        for write in std::mem::take(&mut file.pending) {
            if write.under_way {
                file.pending.push(write);
            } else {
                file.put(write.at, &write.bytes);
            }
        }
    }

    /// The process is gone, or the power.
    pub(super) fn crash(&mut self, how: Crash, random: &mut Random) {
        for file in self.files.values_mut() {
            for mut write in std::mem::take(&mut file.pending) {
                match how {
                    Crash::PowerCut => file.land(&write, random),
                    Crash::Kill if !write.under_way => file.pending.push(write),
                    Crash::Kill => {
                        // The kernel took some of its blocks and did not come to the others.
                        let took = random.below((write.bytes.len() / BLOCK_BYTES) as u64 + 1) as usize * BLOCK_BYTES;
                        let took = if random.chance(500) { write.bytes.len() } else { took };
                        write.bytes.truncate(took);
                        write.under_way = false;
                        if took > 0 {
                            file.pending.push(write);
                        }
                    }
                }
            }
        }
        if how == Crash::PowerCut {
            let kept = random.place(self.naming.len() + 1);
            for naming in std::mem::take(&mut self.naming).into_iter().take(kept) {
                naming.apply(&mut self.durable_names);
            }
            self.names = self.durable_names.clone();
            let named: BTreeSet<FileId> = self.names.values().copied().collect();
            self.files.retain(|id, _| named.contains(id));
        }
    }

    /// Fills `into` from a file.
    pub(super) fn read(&mut self, path: &str, at: u64, into: &mut [u8]) -> io::Result<()> {
        if self.failing_reads > 0 {
            self.failing_reads -= 1;
            return Err(io::Error::other("the disk of the simulation does not read"));
        }
        let at = usize::try_from(at).expect("small files");
        let file = self.file(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if file.bytes() < at + into.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let durable = file.durable.len().saturating_sub(at).min(into.len());
        into[..durable].copy_from_slice(&file.durable[at.min(file.durable.len())..][..durable]);
        into[durable..].fill(0);
        for write in &file.pending {
            let (from, to) = (write.at.max(at), (write.at + write.bytes.len()).min(at + into.len()));
            if from < to {
                into[from - at..to - at].copy_from_slice(&write.bytes[from - write.at..to - write.at]);
            }
        }
        Ok(())
    }

    /// The files of a folder, with their lengths.
    pub(super) fn list(&self, folder: &str) -> Vec<(String, u64)> {
        let in_folder = |(path, id): (&String, &FileId)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| (name.to_owned(), self.files[id].bytes() as u64))
        };
        self.names.iter().filter_map(in_folder).collect()
    }

    /// Spoils a block: flips a bit of it, or puts into it what belonged elsewhere. `None` when it is not there, or would be the same.
    pub(super) fn damage(&mut self, path: &str, at: u64, with: Option<Vec<u8>>, random: &mut Random) -> Option<Damage> {
        let at = usize::try_from(at).expect("small files");
        let file = self.file_mut(path)?;
        let block = file.block_mut(at)?;
        let was = block.to_vec();
        match with {
            Some(bytes) => block.copy_from_slice(&bytes),
            None => block[random.place(BLOCK_BYTES)] ^= 1 << random.below(8),
        }
        (was != block).then(|| Damage { path: path.to_owned(), at, was, can_be_passed: false })
    }

    /// Flips a bit of a file of which older forms may be left. `None` when it is not there, or empty.
    pub(super) fn rot(&mut self, path: &str, random: &mut Random) -> Option<Damage> {
        let file = self.file_mut(path).filter(|file| !file.durable.is_empty())?;
        let at = random.place(file.durable.len());
        let was = vec![file.durable[at]];
        file.durable[at] ^= 1 << random.below(8);
        Some(Damage { path: path.to_owned(), at, was, can_be_passed: true })
    }

    /// A block as it is on the disk.
    pub(super) fn block(&self, path: &str, at: u64) -> Option<Vec<u8>> {
        let at = usize::try_from(at).expect("small files");
        Some(self.file(path)?.durable.get(at..at + BLOCK_BYTES)?.to_vec())
    }

    /// Undoes damage, as a restore from a backup would.
    pub(super) fn repair(&mut self, damage: &Damage) {
        if let Some(file) = self.file_mut(&damage.path) {
            file.put(damage.at, &damage.was);
        }
    }
}

fn blocks_of(at: usize, bytes: usize) -> impl Iterator<Item = usize> {
    at / BLOCK_BYTES..(at + bytes).div_ceil(BLOCK_BYTES)
}

/// The disk as a start reads it.
#[derive(Clone)]
pub(super) struct Mounted(pub(super) Rc<RefCell<Disk>>);

/// One log's files on it.
pub(super) struct Segments {
    disk: Rc<RefCell<Disk>>,
    log: LogIdentity,
}

impl Store for Mounted {
    type Segments = Segments;

    fn segments(&self, log: &LogIdentity) -> Segments {
        Segments { disk: Rc::clone(&self.0), log: *log }
    }

    fn sync(&self, log: &LogIdentity, segment: SegmentNumber) -> io::Result<()> {
        self.0.borrow_mut().sync(&layout::segment_path(log, segment));
        Ok(())
    }

    fn sync_names(&self, folder: &str) -> io::Result<()> {
        self.0.borrow_mut().sync_names(folder);
        Ok(())
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().list(folder).into_iter().map(|(name, _)| name).collect())
    }

    fn read(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.0.borrow_mut();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let bytes =
            disk.list(folder).into_iter().find(|(found, _)| found == name).map(|(_, bytes)| bytes).ok_or(io::ErrorKind::NotFound)?;
        let left = usize::try_from(bytes.saturating_sub(offset)).map_or(into.len(), |left| left.min(into.len()));
        disk.read(path, offset, &mut into[..left])?;
        Ok(left)
    }
}

impl SegmentSource for Segments {
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let files = self.disk.borrow().list(&layout::log_path(&self.log));
        let segment = |(name, bytes): (String, u64)| Some(SegmentFile { number: layout::parse_segment_file(&name)?, bytes });
        Ok(files.into_iter().filter_map(segment).collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.disk.borrow_mut().read(&layout::segment_path(&self.log, segment), offset, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "log/a";

    fn disk() -> Disk {
        let mut disk = Disk::default();
        disk.make(PATH, 8 * BLOCK_BYTES).expect("new");
        disk.sync_names("log");
        disk
    }

    fn read(disk: &mut Disk, block: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_BYTES];
        disk.read(PATH, block * BLOCK_BYTES as u64, &mut bytes).expect("it reads");
        bytes
    }

    #[test]
    fn what_was_reported_survives_and_is_not_written_again() {
        for seed in 0..200 {
            let (mut disk, mut random) = (disk(), Random::new(seed));
            let first = disk.begin_write(PATH, 0, &[1; BLOCK_BYTES]).expect("free");
            let second = disk.begin_write(PATH, BLOCK_BYTES as u64, &[2; 2 * BLOCK_BYTES]).expect("free");
            assert_eq!(read(&mut disk, 1)[0], 2, "a reader sees what is on its way");
            disk.finish_write(PATH, first);
            disk.crash(if seed % 2 == 0 { Crash::Kill } else { Crash::PowerCut }, &mut random);
            assert_eq!(read(&mut disk, 0), [1; BLOCK_BYTES]);
            assert!(disk.begin_write(PATH, 0, &[3; BLOCK_BYTES]).is_err());
            disk.finish_write(PATH, second);
            disk.crash(Crash::PowerCut, &mut random);
            assert_eq!(read(&mut disk, 0), [1; BLOCK_BYTES]);
        }
    }

    #[test] // A page of the cache that is written over is not written to the disk any more, whoever left it there.
    fn what_a_killed_process_left_does_not_come_back_over_what_was_reported_since() {
        let mut left = 0;
        for seed in 0..100 {
            let (mut disk, mut random) = (disk(), Random::new(seed));
            let _ = disk.begin_write(PATH, 0, &[1; 4 * BLOCK_BYTES]).expect("free");
            disk.crash(Crash::Kill, &mut random);
            left += u32::from(read(&mut disk, 3)[0] == 1);
            let second = disk.begin_write(PATH, BLOCK_BYTES as u64, &[2; 2 * BLOCK_BYTES]).expect("free");
            disk.finish_write(PATH, second);
            let around = [read(&mut disk, 0)[0], read(&mut disk, 3)[0]];
            for _ in 0..2 {
                assert_eq!([read(&mut disk, 1), read(&mut disk, 2)], [[2; BLOCK_BYTES]; 2]);
                disk.crash(Crash::PowerCut, &mut random);
            }
            for (block, was) in [(0, around[0]), (3, around[1])] {
                assert!(read(&mut disk, block).iter().all(|byte| *byte == was || *byte == 0), "it was not written over, and may be lost");
            }
        }
        assert!(left > 20, "{left}");
    }

    #[test]
    fn what_was_not_is_kept_dropped_and_torn_and_a_killed_process_leaves_it_to_the_next_power_cut() {
        let (mut kept, mut dropped, mut torn, mut lost_later) = (0, 0, 0, 0);
        for seed in 0..400 {
            let (mut disk, mut random) = (disk(), Random::new(seed));
            let _ = disk.begin_write(PATH, 0, &[1; BLOCK_BYTES]).expect("free");
            if seed % 2 == 0 {
                disk.crash(Crash::Kill, &mut random);
                let seen = read(&mut disk, 0)[0];
                let synced = random.chance(500);
                if synced {
                    disk.sync(PATH);
                }
                disk.crash(Crash::PowerCut, &mut random);
                let later = read(&mut disk, 0);
                assert!(!synced || seen == 0 || later == [1; BLOCK_BYTES], "a sync makes it durable");
                lost_later += u32::from(seen == 1 && later == [0; BLOCK_BYTES]);
            } else {
                disk.crash(Crash::PowerCut, &mut random);
                match read(&mut disk, 0).iter().filter(|byte| **byte == 1).count() {
                    0 => dropped += 1,
                    BLOCK_BYTES => kept += 1,
                    _ => torn += 1,
                }
            }
        }
        assert!(kept > 20 && dropped > 20 && torn > 3 && lost_later > 10, "{kept} {dropped} {torn} {lost_later}");
    }

    #[test]
    fn names_are_lost_from_the_last_made_on_unless_their_folder_was_synced() {
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let mut disk = disk();
            disk.make("log/b", BLOCK_BYTES).expect("new");
            disk.make("log/c", BLOCK_BYTES).expect("new");
            disk.crash(Crash::PowerCut, &mut Random::new(seed));
            let names: Vec<String> = disk.list("log").into_iter().map(|(name, _)| name).collect();
            seen.insert(names.join(" "));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "a b", "a b c"]);
    }

    #[test]
    fn damage_is_done_and_undone() {
        let (mut disk, mut random) = (disk(), Random::new(3));
        let damage = disk.damage(PATH, 0, None, &mut random).expect("a bit is flipped");
        assert_eq!(read(&mut disk, 0).iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        disk.repair(&damage);
        assert_eq!(read(&mut disk, 0), [0; BLOCK_BYTES]);
    }
}

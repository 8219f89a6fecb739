//! The log's writes: batches into preallocated segments, durable when reported.
//!
//! Path: the executor's loop → [`Disk::write`] → `ring`, into a file opened with `O_DIRECT` and `O_DSYNC` → [`Disk::report`] in a later turn;
//! [`Disk::prepare`] → a task in the task queue `background` → a thread of the executor's pool that fills a new segment with zeros.
//! [`Disk::files`] → another such task → a thread of the pool that does the steps of the job ([`files::perform`]).
//! Bounds: the core has [`IN_FLIGHT_MAX`](crate::log::IN_FLIGHT_MAX) batches, one segment and [`FILE_JOBS_MAX`](crate::shard::files::FILE_JOBS_MAX) jobs on their way.
//! A failed or short write or a failed sync ends the process here; it is never tried again. Only room that cannot be had for a new segment is reported,
//! and whatever becomes of files beside the log.
//!
//! Why segments are filled before they are used: a durable write into blocks that were allocated but never written makes the file system log that
//! they are written now. Median of 1,500 writes of 4 KiB, microseconds: 125 to 165 into such blocks, 62 to 75 into blocks written before.

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use glommio::TaskQueueHandle;
use rustix::{fs::FallocateFlags, io::Errno};

use super::ring::LogRing;
use crate::log::{AlignedBuffer, BLOCK_BYTES, SealedBatch, SegmentNumber, SegmentPlan};
use crate::shard::{
    Input,
    drivers::{end_process, files, hand::Hand, turns},
    files::FileJob,
};

/// Threads an executor needs for the disk: one that prepares segments, and one for files beside the log, so that neither waits for the other.
pub(super) const DISK_THREADS: usize = 2;
/// Bytes of zeros written at once into a new segment.
const FILL_BYTES: usize = 1 << 20;
/// Pause between two of them while the log is in use, so that its own writes do not wait behind many: a segment of 64 MiB then takes a fifth of a second.
pub(in crate::shard::drivers) const FILL_PAUSE: Duration = Duration::from_millis(2);

/// Segments open for writing: the one in use and the one after it.
type Open = Rc<RefCell<Vec<(SegmentNumber, Arc<File>)>>>;

/// The loop's side of the disk: writes are looked for, what is done in the background announces itself.
pub(super) struct Disk {
    ring: LogRing,
    open: Open,
    plans: Rc<Hand<SegmentPlan>>,
    jobs: Rc<Hand<FileJob>>,
    /// What the tasks in the background finished.
    done: Rc<Hand<Input>>,
    /// Things the tasks in the background have to do.
    in_background: usize,
}

impl Disk {
    /// Makes the ring and starts the tasks in the background, on the executor this runs on.
    ///
    /// # Errors
    /// The kernel's, when a ring cannot be had.
    pub(super) fn start(data: PathBuf, background: TaskQueueHandle) -> io::Result<Self> {
        let (plans, jobs, done, open) = (Hand::new(), Hand::new(), Hand::new(), Open::default());
        let ring = LogRing::new()?;
        let data: Arc<Path> = data.into();
        let preparing = prepare_segments(Arc::clone(&data), Rc::clone(&plans), Rc::clone(&open), Rc::clone(&done));
        let performing = perform_jobs(data, Rc::clone(&jobs), Rc::clone(&done));
        let ours = "the task queue was made by this executor";
        glommio::spawn_local_into(preparing, background).expect(ours).detach();
        glommio::spawn_local_into(performing, background).expect(ours).detach();
        Ok(Self { ring, open, plans, jobs, done, in_background: 0 })
    }
}

impl turns::Disk for Disk {
    fn write(&mut self, batch: SealedBatch) {
        let file = {
            let mut open = self.open.borrow_mut();
            // Segments before this one get no more writes; those under way keep their file.
            open.retain(|(number, _)| *number >= batch.segment);
            open.first().filter(|(number, _)| *number == batch.segment).map(|(_, file)| Arc::clone(file))
        };
        let (number, segment) = (batch.number, batch.segment.0);
        let Some(file) = file else { end_process(&format!("batch {number} wants log segment {segment}, which is not open")) };
        if let Err(error) = self.ring.write(file, batch) {
            end_process(&format!("batch {number} cannot be given to log segment {segment}: {error}"));
        }
    }

    fn prepare(&mut self, plan: SegmentPlan) {
        self.in_background += 1;
        self.plans.put(plan);
    }

    fn files(&mut self, job: FileJob) {
        self.in_background += 1;
        self.jobs.put(job);
    }

    fn report(&mut self) -> Option<Input> {
        if let Some((batch, written)) = self.ring.finished() {
            let (segment, offset, wanted) = (batch.segment.0, batch.offset, batch.bytes().len());
            return match written {
                Ok(bytes) if bytes == wanted => Some(Input::Written(batch)),
                Ok(bytes) => end_process(&format!("the disk took {bytes} of {wanted} bytes at byte {offset} of log segment {segment}")),
                Err(error) => end_process(&format!("writing {wanted} bytes at byte {offset} of log segment {segment} failed: {error}")),
            };
        }
        let done = self.done.try_take()?;
        self.in_background -= 1;
        Some(done)
    }

    async fn reported(&self) {
        self.done.filled().await;
    }

    fn must_be_looked_at(&self) -> bool {
        self.ring.len() > 0
    }

    fn is_idle(&self) -> bool {
        self.in_background == 0 && self.ring.len() == 0
    }
}

async fn perform_jobs(data: Arc<Path>, jobs: Rc<Hand<FileJob>>, done: Rc<Hand<Input>>) {
    loop {
        let job = jobs.take().await;
        let (id, data) = (job.id, Arc::clone(&data));
        let result = glommio::executor().spawn_blocking(move || files::perform(&data, &job)).await;
        done.put(Input::FilesDone { id, result });
    }
}

async fn prepare_segments(data: Arc<Path>, plans: Rc<Hand<SegmentPlan>>, open: Open, done: Rc<Hand<Input>>) {
    loop {
        let plan = plans.take().await;
        // The first segment of a start is waited for.
        let pause = if open.borrow().is_empty() { Duration::ZERO } else { FILL_PAUSE };
        let (data, planned) = (Arc::clone(&data), plan.clone());
        match glommio::executor().spawn_blocking(move || allocate(&data, &planned, pause, Access::Direct)).await {
            Ok(file) => {
                open.borrow_mut().push((plan.number, Arc::new(file)));
                done.put(Input::Prepared(plan));
            }
            Err(NotAllocated::NoRoom(error)) => {
                tracing::debug!(%error, path = plan.path, bytes = plan.bytes, "no room for a log segment");
                done.put(Input::NotPrepared(plan));
            }
            Err(NotAllocated::NotDurable(error)) => end_process(&format!("log segment {} cannot be made durable: {error}", plan.path)),
        }
    }
}

/// How a segment is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard::drivers) enum Access {
    /// Past the page cache, each write durable when it returns.
    Direct,
    /// Through the page cache; whoever writes syncs.
    Cached,
}

#[derive(Debug)]
pub(in crate::shard::drivers) enum NotAllocated {
    /// The disk is full, or a quota is used up, or the folder cannot be written.
    NoRoom(io::Error),
    /// A write or a sync failed.
    NotDurable(io::Error),
}

/// Makes the file of a plan and its name durable at its exact length, with all of its blocks written, and opens it for the log. It takes milliseconds, or
/// hardly any time when a released file is taken over, whose blocks were written. A file that there was no room for is removed.
pub(in crate::shard::drivers) fn allocate(data: &Path, plan: &SegmentPlan, pause: Duration, access: Access) -> Result<File, NotAllocated> {
    allocate_with(data, plan, access, |file, from| fill(file, from, plan.bytes, pause))
}

fn allocate_with(
    data: &Path,
    plan: &SegmentPlan,
    access: Access,
    fill: impl FnOnce(&File, u64) -> io::Result<()>,
) -> Result<File, NotAllocated> {
    let (path, bytes) = (&data.join(&plan.path), plan.bytes);
    let taken = files::take_over(data, plan).map_err(NotAllocated::NoRoom)?;
    let make = || -> io::Result<(File, u64)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // Of another configuration, or left by a crash: its bytes may be anything, its length may not.
        let found = file.metadata()?.len();
        if found > bytes {
            file.set_len(bytes)?;
        }
        Ok((file, found.min(bytes)))
    };
    let (file, found) = make().map_err(NotAllocated::NoRoom)?;
    let no_room = |error| {
        // Nothing of the log is in it. If it cannot be removed, the next try fills it.
        let _ = std::fs::remove_file(path);
        NotAllocated::NoRoom(error)
    };
    // All room first: a disk that is too small says so before anything is written.
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        // A file system without that call says so while it is filled.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(no_room(error.into())),
    }
    let open = |flags| OpenOptions::new().write(true).custom_flags(flags).open(path);
    let direct = |flags| match open(libc::O_DIRECT | flags) {
        // A memory file system of an older kernel; the start lets no other one pass.
        Err(error) if error.kind() == ErrorKind::InvalidInput => open(flags),
        opened => opened,
    };
    let opened = |flags| match access {
        Access::Direct => direct(flags),
        Access::Cached => open(0),
    };
    let written = if taken { found - found % BLOCK_BYTES as u64 } else { 0 };
    let filled = fill(&opened(0).map_err(NotAllocated::NoRoom)?, written).and_then(|()| file.sync_all());
    filled.map_err(|error| match files::is_no_room(&error) {
        // Where blocks are never written in place (btrfs, zfs), room that was allocated is not the room that the writes take; and a file system that
        // allocates late says so at the sync only.
        true => no_room(error),
        false => NotAllocated::NotDurable(error),
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(NotAllocated::NotDurable)?;
    opened(libc::O_DSYNC).map_err(NotAllocated::NoRoom)
}

/// Writes zeros over bytes `from..bytes` of a file.
fn fill(file: &File, from: u64, bytes: u64, pause: Duration) -> io::Result<()> {
    let zeros = AlignedBuffer::new(FILL_BYTES);
    let mut at = from;
    while at < bytes {
        let len = usize::try_from(bytes - at).unwrap_or(FILL_BYTES).min(FILL_BYTES);
        file.write_all_at(&zeros.bytes()[..len], at)?;
        at += len as u64;
        #[expect(clippy::disallowed_methods, reason = "a thread of the pool, whose only work this is")]
        std::thread::sleep(pause);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 2 * FILL_BYTES as u64 + 4_096;

    fn plan(from: Option<&str>) -> SegmentPlan {
        SegmentPlan { path: "segment".to_owned(), number: SegmentNumber(2), bytes: BYTES, from: from.map(str::to_owned) }
    }

    #[test]
    fn a_segment_has_its_length_and_all_of_its_blocks() {
        use std::os::unix::fs::MetadataExt;
        for access in [Access::Direct, Access::Cached] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("segment");
            // As a crash under another configuration leaves it.
            std::fs::write(&path, vec![7; 3 * FILL_BYTES]).expect("written");
            allocate(folder.path(), &plan(None), Duration::ZERO, access).expect("there is room");
            assert_eq!(std::fs::read(&path).expect("readable"), vec![0; BYTES as usize]);
            assert!(std::fs::metadata(&path).expect("there").blocks() * 512 >= BYTES);
        }
    }

    #[test] // Each row: the length of a released file, and which bytes of the taken over one are of its former use.
    fn a_released_file_is_taken_over_and_only_what_it_lacks_is_filled() {
        for (old, kept) in [(BYTES, BYTES), (3 * FILL_BYTES as u64, BYTES), (FILL_BYTES as u64, FILL_BYTES as u64)] {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, released) = (folder.path().join("segment"), folder.path().join("old"));
            std::fs::write(&path, b"left by a crash").expect("written");
            std::fs::write(&released, vec![7; old as usize]).expect("written");
            allocate(folder.path(), &plan(Some("old")), Duration::ZERO, Access::Direct).expect("there is room");
            let bytes = std::fs::read(&path).expect("readable");
            assert_eq!(bytes.len() as u64, BYTES);
            assert!(bytes.iter().enumerate().all(|(at, byte)| (*byte == 7) == ((at as u64) < kept)), "of {old} bytes");
            assert!(!released.exists());
            // Asked for again after all, as when there was no room the first time: a file is made.
            std::fs::remove_file(&path).expect("removed");
            allocate(folder.path(), &plan(Some("old")), Duration::ZERO, Access::Direct).expect("there is room");
            assert_eq!(std::fs::read(&path).expect("readable"), vec![0; BYTES as usize]);
        }
    }

    #[test] // `/dev/full` takes no byte, and says what a full disk says.
    fn a_disk_that_turns_full_while_a_segment_is_filled_has_no_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("segment");
        let turns_full = |file: &File, _| {
            file.write_all_at(AlignedBuffer::new(FILL_BYTES).bytes(), 0)?;
            fill(&OpenOptions::new().write(true).open("/dev/full")?, 0, BYTES, Duration::ZERO)
        };
        match allocate_with(folder.path(), &plan(None), Access::Direct, turns_full) {
            Err(NotAllocated::NoRoom(error)) => assert_eq!(error.kind(), ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
        assert!(!path.exists(), "what there was no room for takes none");
        allocate(folder.path(), &plan(None), Duration::ZERO, Access::Direct).expect("and when there is room it is had");
    }

    #[test]
    fn a_quota_that_is_used_up_is_want_of_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let over = |_: &File, _| Err(io::Error::from_raw_os_error(libc::EDQUOT));
        assert!(matches!(allocate_with(folder.path(), &plan(None), Access::Direct, over), Err(NotAllocated::NoRoom(_))));
        assert!(!folder.path().join("segment").exists());
    }

    #[test]
    fn other_errors_of_the_disk_are_no_want_of_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("segment");
        let fails = |_: &File, _| Err(io::Error::from_raw_os_error(libc::EIO));
        assert!(matches!(allocate_with(folder.path(), &plan(None), Access::Direct, fails), Err(NotAllocated::NotDurable(_))));
        assert!(path.exists(), "it stays, to be looked at");
    }
}

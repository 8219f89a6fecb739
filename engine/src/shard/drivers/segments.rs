//! Makes the files of the log's segments, for any driver.
//!
//! Path: a [`SegmentPlan`] → [`allocate`], on a thread that may block → the file, of its exact length and durable under its name, opened for the log.
//! Read first: [`allocate`]. Want of room is told apart from a disk that fails, since somebody can make some.
//!
//! Why segments are filled before they are used: a durable write into blocks that were allocated but never written makes the file system log that
//! they are written now. Median of 1,500 writes of 4 KiB, microseconds: 125 to 165 into such blocks, 62 to 75 into blocks written before.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use rustix::{fs::FallocateFlags, io::Errno};

use super::files;
use crate::log::{AlignedBuffer, BLOCK_BYTES, SegmentPlan};

/// Bytes of zeros written at once into a new segment.
const FILL_BYTES: usize = 1 << 20;
/// Pause between two of them while the log is in use, so that its own writes do not wait behind many: a segment of 64 MiB then takes a fifth of a second.
pub(super) const FILL_PAUSE: Duration = Duration::from_millis(2);

/// How a segment is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Past the page cache, each write durable when it returns.
    Direct,
    /// Through the page cache; whoever writes syncs.
    Cached,
}

#[derive(Debug)]
pub(super) enum NotAllocated {
    /// The disk is full, or a quota is used up, or the folder cannot be written.
    NoRoom(io::Error),
    /// A write or a sync failed.
    NotDurable(io::Error),
}

/// Makes the file of a plan and its name durable at its exact length, with all of its blocks written, and opens it for the log. It takes milliseconds, or
/// hardly any time when a released file is taken over, whose blocks were written. A file that there was no room for is removed.
pub(super) fn allocate(data: &Path, plan: &SegmentPlan, pause: Duration, access: Access) -> Result<File, NotAllocated> {
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
        #[expect(clippy::disallowed_methods, reason = "a thread whose only work this is")]
        std::thread::sleep(pause);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::SegmentNumber;

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

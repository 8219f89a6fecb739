//! Carries out [`FileJob`]s with ordinary files, for every driver that has a file system.
//!
//! Path: [`perform`], on a thread that may block → each step in order → the bytes read, or the first error. Nothing is tried twice.
//! Bounds: those of the job. Deliberately absent: open files between jobs; a step opens its file, so that a job says all that it needs.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::Advice;

use crate::{
    log::SegmentPlan,
    shard::files::{FileError, FileJob, FileStep, FilesResult},
};

/// Does the steps of `job` in the folder `data`.
///
/// # Errors
/// The first step's that cannot be done; those after it are not tried.
pub(crate) fn perform(data: &Path, job: &FileJob) -> FilesResult {
    let mut read = Vec::new();
    for step in &job.steps {
        let at = |path: &str| data.join(path);
        let (path, doing, done) = match step {
            FileStep::Write { path, offset, bytes, create } => (path, "written", write(data, path, *offset, bytes, *create)),
            FileStep::Sync { path } => (path, "made durable", sync(&at(path))),
            FileStep::Rename { from, to } => (from, "renamed", std::fs::rename(at(from), at(to))),
            FileStep::SyncFolder { path } => (path, "made durable", sync(&at(path))),
            FileStep::Remove { path } => (path, "removed", remove(&at(path))),
            FileStep::Read { path, offset, bytes } => (path, "read", read_exact(&at(path), *offset, *bytes).map(|bytes| read.push(bytes))),
        };
        done.map_err(|cause| refused(path, doing, cause))?;
    }
    Ok(read)
}

/// Gives the released segment of `plan`, if it has one, the name of the new one, durably, before anything in it is changed: else a crash could leave a
/// changed file under the old name, in the middle of the log. `false` when there is none: then a new file is to be made.
///
/// # Errors
/// When the file cannot be renamed, or the name not made durable.
pub(crate) fn take_over(data: &Path, plan: &SegmentPlan) -> io::Result<bool> {
    let Some(from) = &plan.from else { return Ok(false) };
    match std::fs::rename(data.join(from), data.join(&plan.path)) {
        // An earlier try took it, and there was no room for the rest.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(()) => sync(data.join(&plan.path).parent().unwrap_or(data)).map(|()| true),
    }
}

/// Is it room that is missing? Then somebody can make some, and it is no fault of the disk.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn refused(path: &str, doing: &'static str, cause: io::Error) -> FileError {
    let path = path.to_owned();
    if is_no_room(&cause) { FileError::NoRoom { path, cause } } else { FileError::Failed { path, doing, cause } }
}

fn write(data: &Path, path: &str, offset: u64, bytes: &[u8], create: bool) -> io::Result<()> {
    let at = data.join(path);
    let open = || OpenOptions::new().write(true).create(create).truncate(create).mode(0o600).open(&at);
    let file = match open() {
        Err(error) if create && error.kind() == ErrorKind::NotFound => {
            make_folders(data, Path::new(path).parent().unwrap_or(Path::new("")))?;
            open()?
        }
        opened => opened?,
    };
    file.write_all_at(bytes, offset)
}

/// Makes the folders of `path`, one below the other from `data` on, each durable in the one above it.
fn make_folders(data: &Path, path: &Path) -> io::Result<()> {
    let mut at = PathBuf::from(data);
    for part in path {
        let above = at.clone();
        at.push(part);
        match DirBuilder::new().mode(0o700).create(&at) {
            // Also one that is there: whoever made it may have died before it was durable.
            Ok(()) => sync(&above)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => sync(&above)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file's content, or a folder's names.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn read_exact(path: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Advice to let go of what is cached and written back, so that the disk is what is read. A file system that does not take it reads its cache.
    let _ = rustix::fs::fadvise(&file, offset, std::num::NonZeroU64::new(bytes as u64), Advice::DontNeed);
    let mut into = vec![0; bytes];
    file.read_exact_at(&mut into, offset)?;
    Ok(into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::files::JobId;
    use std::os::unix::fs::PermissionsExt;

    fn job(steps: impl IntoIterator<Item = FileStep>) -> FileJob {
        FileJob { id: JobId(1), steps: steps.into_iter().collect() }
    }

    fn write(path: &str, offset: u64, bytes: &[u8], create: bool) -> FileStep {
        FileStep::Write { path: path.to_owned(), offset, bytes: bytes.to_vec(), create }
    }

    fn read(path: &str, offset: u64, bytes: usize) -> FileStep {
        FileStep::Read { path: path.to_owned(), offset, bytes }
    }

    #[test]
    fn a_job_does_its_steps_in_order_and_gives_back_what_it_read() {
        let data = tempfile::tempdir().expect("a folder");
        let old = "snapshots/p-00001/1.snap".to_owned();
        let new = "snapshots/p-00001/2.snap.new".to_owned();
        let whole = "snapshots/p-00001/2.snap".to_owned();
        std::fs::create_dir(data.path().join("snapshots")).expect("made");
        perform(data.path(), &job([write(&old, 0, b"old", true)])).expect("the folders are made");
        let steps = [
            write(&new, 0, b"longer than what follows", true),
            write(&new, 0, b"hello", true),
            write(&new, 5, b" world", false),
            FileStep::Sync { path: new.clone() },
            read(&new, 6, 5),
            FileStep::Rename { from: new.clone(), to: whole.clone() },
            FileStep::SyncFolder { path: "snapshots/p-00001".to_owned() },
            FileStep::Remove { path: old.clone() },
            FileStep::Remove { path: old.clone() },
            FileStep::SyncFolder { path: "snapshots/p-00001".to_owned() },
            read(&whole, 0, 11),
        ];
        let found = perform(data.path(), &job(steps)).expect("all of it can be done");
        assert_eq!(found, [b"world".to_vec(), b"hello world".to_vec()]);
        assert!(!data.path().join(&old).exists() && !data.path().join(&new).exists());
        let mode = |path: &str| std::fs::metadata(data.path().join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&whole), mode("snapshots/p-00001")), (0o600, 0o700), "nobody else reads a shop's data");
    }

    #[test]
    fn the_first_step_that_fails_ends_the_job_and_says_which() {
        let data = tempfile::tempdir().expect("a folder");
        std::fs::write(data.path().join("short"), b"abc").expect("written");
        let rows = [
            (write("not/there", 0, b"x", false), "not/there", "written"),
            (read("short", 1, 3), "short", "read"),
            (read("gone", 0, 1), "gone", "read"),
            (FileStep::Sync { path: "gone".to_owned() }, "gone", "made durable"),
            (FileStep::Rename { from: "gone".to_owned(), to: "here".to_owned() }, "gone", "renamed"),
            (FileStep::SyncFolder { path: "none".to_owned() }, "none", "made durable"),
        ];
        for (step, wanted, wanted_doing) in rows {
            match perform(data.path(), &job([step, write("after", 0, b"x", true)])) {
                Err(FileError::Failed { path, doing, .. }) => assert_eq!((path.as_str(), doing), (wanted, wanted_doing)),
                other => panic!("{wanted}: {other:?}"),
            }
        }
        assert!(!data.path().join("after").exists(), "what follows a failure is not tried");
    }

    #[test] // `/dev/full` takes no byte, and says what a full disk says.
    fn a_full_disk_is_told_apart() {
        let data = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("/dev/full", data.path().join("full")).expect("a link");
        match perform(data.path(), &job([write("full", 0, b"x", false)])) {
            Err(FileError::NoRoom { path, cause }) => assert_eq!((path.as_str(), cause.kind()), ("full", ErrorKind::StorageFull)),
            other => panic!("{other:?}"),
        }
        assert!(is_no_room(&io::Error::from_raw_os_error(libc::EDQUOT)), "a quota is room too");
        assert!(!is_no_room(&io::Error::from_raw_os_error(libc::EIO)));
    }
}

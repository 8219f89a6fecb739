//! The data folder: who may use it, what it is, and the keys of its personal fields.
//!
//! Shape, all of it below one folder of mode 0700:
//!
//! ```text
//! LOCK              held by flock while an engine runs; the process id of the holder in it
//! node.json         on a node of a cluster: which one; see node.rs
//! folder.json       format, id, partitions, epoch, generations of the log and what is below them; replaced as a whole
//! keys/shop.key     32 random bytes, mode 0600
//! log/…             see log/FORMAT.md
//! events/…          what the feed tells, derived from the log; see events/FORMAT.md
//! index/…           see shard/core/index_files.rs; derived, may be removed while no engine runs
//! snapshots/…       see snapshot/FORMAT.md
//! ```
//!
//! Path: [`Folder::open`] → lock → `folder.json`, made last when the folder is new → [`Folder::shop_key`] → the log.
//! Invariant: `folder.json` is there exactly when the folder was made whole, so the keys exist too, and a generation it names exists.

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

use crate::log::{LogIdentity, layout};
use crate::seal::KEY_BYTES;

/// Format of the folder, written into `folder.json`. A higher one is refused. 1: without snapshots, so that every entry is in the logs; a program that
/// knows no snapshots must not open a folder that has some. An engine that opens a folder of format 1 makes it one of format 2.
pub const FOLDER_FORMAT: u32 = 2;

const META: &str = "folder.json";
pub(crate) const LOCK: &str = "LOCK";
pub(crate) const KEYS: &str = "keys";
pub(crate) const SHOP_KEY: &str = "shop.key";
/// Longest `folder.json` read: thousands of generations.
const META_BYTES_MAX: u64 = 1 << 20;

/// Some generation of the log: all shards' logs of the starts with one number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// From 1, rising.
    pub number: u32,
    /// How many logs it has.
    pub shards: u16,
}

/// What the oldest generation begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Begins {
    /// The first entries of every partition, as far as they were not released since.
    #[default]
    Log,
    /// What comes after a snapshot of every partition: older generations were let go.
    Snapshots,
}

/// What `folder.json` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Drawn at random when the folder was made; in the header of every log segment.
    pub id: u128,
    /// Fixed when the folder was made.
    pub partitions: u16,
    /// Rises with each restore to an earlier time.
    pub epoch: u32,
    /// Oldest first. The last is written to, the others are only read.
    pub generations: Vec<Generation>,
    /// What is below them.
    pub begins: Begins,
}

impl Meta {
    /// The log of one shard in some generation.
    #[must_use]
    pub fn log(&self, generation: Generation, shard: u16) -> LogIdentity {
        LogIdentity { folder: self.id, generation: generation.number, shard, shards: generation.shards }
    }
}

/// The same as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaFile {
    format: u32,
    /// 32 hexadecimal digits.
    id: String,
    partitions: u16,
    epoch: u32,
    generations: Vec<Generation>,
    #[serde(default)]
    begins: Begins,
}

/// Only what every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

/// What becomes of the generations before a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// They stay: what is in them is nowhere else.
    Kept,
    /// The last one goes: nothing was ever written into it.
    Replaced,
    /// All go: every partition has a durable snapshot of what is in them.
    LetGo,
}

/// A folder whose lock this process holds. Dropping it lets the lock go.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    meta: Meta,
    lock: File,
}

/// Why a folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another process has it open.
    #[error("{} is in use by {}; stop that process first, or choose another folder", path.display(), holder(*pid))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who holds it, when that could be read.
        pid: Option<u32>,
    },
    /// Written by a program that knows more.
    #[error(
        "{} has folder format {found}; this version of Emporion reads formats up to {FOLDER_FORMAT}. Start the version that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// `node.json` was written by a program that knows more.
    #[error(
        "{} has format {found}; this version of Emporion reads formats up to {}. Start the version that wrote it, or a later one",
        path.display(),
        crate::node::NODE_FORMAT
    )]
    NewerNode {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The user of this process may not write there.
    #[error("{} cannot be written by user {uid}: give it to that user (chown) or choose another folder", path.display())]
    NotWritable {
        /// The folder or file.
        path: PathBuf,
        /// Effective user of this process.
        uid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Other files are there, and no `folder.json`.
    #[error(
        "{} holds `{entry}` and no {META}: it is no Emporion data folder, or {META} was lost. Choose an empty folder, or restore {META} from a backup",
        path.display()
    )]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// One of the things found in it.
        entry: String,
    },
    /// There is nothing to look at.
    #[error("{} is no Emporion data folder: it has no {META}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// `folder.json` does not read.
    #[error("{} is damaged ({why}): restore it from a backup; do not write it by hand", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The log has something newer than `folder.json`.
    #[error(
        "{} holds log segments of generation {found}, and {META} knows generations up to {known}: {META} is older than the log. Restore the whole folder from one backup",
        path.display()
    )]
    UnlistedGeneration {
        /// The folder.
        path: PathBuf,
        /// In the log.
        found: u32,
        /// Listed last.
        known: u32,
    },
    /// Another number of partitions than the folder has.
    #[error("the folder has {found} partitions, fixed when it was made; {wanted} are configured")]
    Partitions {
        /// Of the folder.
        found: u16,
        /// As configured.
        wanted: u16,
    },
    /// The key file is gone.
    #[error(
        "{} is missing: without it the personal fields of this folder (names, addresses) cannot be read. Restore the key file from where you keep it",
        path.display()
    )]
    KeyMissing {
        /// The key file.
        path: PathBuf,
    },
    /// The key file can be read by others.
    #[error("{} has mode {mode:03o}: others could read it. Run `chmod 600` on it", path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key file is not a key.
    #[error("{} has {found} bytes and not {KEY_BYTES}: restore the key file from where you keep it", path.display())]
    KeyLength {
        /// The key file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// The system's random numbers cannot be had.
    #[error("no random numbers from the system")]
    Random(#[source] getrandom::Error),
    /// The disk or the file system refuses.
    #[error("{} cannot be {doing}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// Makes an error of a system call on `path`; permissions become [`FolderError::NotWritable`].
pub(crate) fn io_at(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            FolderError::NotWritable { path, uid: rustix::process::geteuid().as_raw(), source }
        }
        _ => FolderError::Io { path, doing, source },
    }
}

impl Folder {
    /// Opens the folder, or makes it with `partitions` (the default number without).
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(path: &Path, partitions: Option<u16>) -> Result<Self, FolderError> {
        if let Err(error) = DirBuilder::new().mode(0o700).create(path) {
            match error.kind() {
                ErrorKind::AlreadyExists => {}
                ErrorKind::NotFound => {
                    let parent = path.parent().unwrap_or(Path::new("."));
                    std::fs::create_dir_all(parent).map_err(io_at(parent, "made"))?;
                    DirBuilder::new().mode(0o700).create(path).map_err(io_at(path, "made"))?;
                }
                _ => return Err(io_at(path, "made")(error)),
            }
        }
        let lock = take_lock(path)?;
        let meta = match read_meta(path)? {
            Some(meta) => meta,
            None => {
                refuse_strangers(path)?;
                make(path, partitions.unwrap_or(wire::placement::PARTITIONS_DEFAULT), 1)?
            }
        };
        if let Some(wanted) = partitions
            && wanted != meta.partitions
        {
            return Err(FolderError::Partitions { found: meta.partitions, wanted });
        }
        let folder = Self { path: path.to_owned(), meta, lock };
        folder.refuse_unlisted_generation()?;
        Ok(folder)
    }

    /// Opens a folder that exists, for looking only: nothing but the lock's process id is written.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open_existing(path: &Path) -> Result<Self, FolderError> {
        let missing = || FolderError::Missing { path: path.to_owned() };
        if !path.join(META).exists() {
            return Err(missing());
        }
        let lock = take_lock(path)?;
        let meta = read_meta(path)?.ok_or_else(missing)?;
        let folder = Self { path: path.to_owned(), meta, lock };
        folder.refuse_unlisted_generation()?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The key under which personal fields are sealed.
    ///
    /// # Errors
    /// When it is not there, or others may read it, or it is no key.
    pub fn shop_key(&self) -> Result<Zeroizing<[u8; KEY_BYTES]>, FolderError> {
        read_key(&self.path.join(KEYS).join(SHOP_KEY))
    }

    /// Writes `folder.json` in the format of this program, if an older one wrote it: it may then not open the folder any more, which is about to have
    /// what it does not know.
    ///
    /// # Errors
    /// [`FolderError::Io`] and [`FolderError::NotWritable`].
    pub fn upgrade(&self) -> Result<(), FolderError> {
        let path = self.path.join(META);
        let text = std::fs::read(&path).map_err(io_at(&path, "read"))?;
        match serde_json::from_slice::<AnyFormat>(&text) {
            Ok(AnyFormat { format }) if format == FOLDER_FORMAT => Ok(()),
            Ok(_) | Err(_) => write_meta(&self.path, &self.meta),
        }
    }

    /// Makes the log folders of a new generation, and lists it as the last, with those before it as `before` says. Durable when it returns.
    ///
    /// # Errors
    /// [`FolderError::Io`] and [`FolderError::NotWritable`].
    pub fn begin_generation(&mut self, shards: u16, before: Before) -> Result<Generation, FolderError> {
        let mut meta = self.meta.clone();
        let number = meta.generations.last().map_or(1, |last| last.number + 1);
        match before {
            Before::Kept => {}
            Before::Replaced => drop(meta.generations.pop()),
            Before::LetGo => (meta.generations, meta.begins) = (Vec::new(), Begins::Snapshots),
        }
        let generation = Generation { number, shards };
        meta.generations.push(generation);
        let logs = self.path.join(layout::LOG_DIR);
        let generation_dir = logs.join(layout::generation_dir(number));
        make_dir(&logs)?;
        make_dir(&generation_dir)?;
        for shard in 0..shards {
            make_dir(&generation_dir.join(layout::shard_dir(shard)))?;
        }
        sync_dir(&generation_dir)?;
        sync_dir(&logs)?;
        sync_dir(&self.path)?;
        write_meta(&self.path, &meta)?;
        self.meta = meta;
        Ok(generation)
    }

    /// Lists the last generation alone: snapshots have what is in the others. Durable when it returns; [`Folder::remove_unlisted`] then removes them.
    ///
    /// # Errors
    /// [`FolderError::Io`] and [`FolderError::NotWritable`].
    pub fn let_go_older(&mut self) -> Result<(), FolderError> {
        let mut meta = self.meta.clone();
        meta.generations.drain(..meta.generations.len().saturating_sub(1));
        meta.begins = Begins::Snapshots;
        write_meta(&self.path, &meta)?;
        self.meta = meta;
        Ok(())
    }

    /// Removes the folders of generations older than the oldest that is listed: nothing reads them any more. What cannot be removed is told and left.
    pub fn remove_unlisted(&self) {
        let logs = self.path.join(layout::LOG_DIR);
        let Some(oldest) = self.meta.generations.first().map(|oldest| oldest.number) else { return };
        for name in names(&logs).unwrap_or_default() {
            if layout::parse_generation_dir(&name).is_some_and(|number| number < oldest)
                && let Err(error) = std::fs::remove_dir_all(logs.join(&name))
            {
                tracing::warn!(path = %logs.join(&name).display(), %error, "logs that are not needed any more cannot be removed");
            }
        }
    }

    /// Segments are written only after their generation is listed, so others mean that `folder.json` is too old.
    fn refuse_unlisted_generation(&self) -> Result<(), FolderError> {
        let known = self.meta.generations.last().map_or(0, |last| last.number);
        let logs = self.path.join(layout::LOG_DIR);
        for name in names(&logs)? {
            let Some(found) = layout::parse_generation_dir(&name).filter(|found| *found > known) else { continue };
            let generation_dir = logs.join(&name);
            for shard in names(&generation_dir)? {
                if names(&generation_dir.join(shard))?.iter().any(|file| layout::parse_segment_file(file).is_some()) {
                    return Err(FolderError::UnlistedGeneration { path: self.path.clone(), found, known });
                }
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The process id is for messages only; the lock goes with the file in any case.
        let _ = self.lock.set_len(0);
    }
}

/// Names in a folder that may not exist, in byte order. Names that are not UTF-8 are not ours.
fn names(path: &Path) -> Result<Vec<String>, FolderError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(io_at(path, "read")(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(io_at(path, "read"))?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn take_lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join(LOCK);
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open().map_err(|error| match error.kind() {
        // The folder is what must be given to the user.
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => io_at(folder, "opened")(error),
        _ => io_at(&path, "opened")(error),
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&file).take(32).read_to_string(&mut text);
            return Err(FolderError::Locked { path: folder.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(error) => return Err(io_at(&path, "locked")(error.into())),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io_at(&path, "written"))?;
    Ok(file)
}

pub(crate) fn read_meta(folder: &Path) -> Result<Option<Meta>, FolderError> {
    let path = folder.join(META);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_at(&path, "read")(error)),
    };
    let mut text = Vec::new();
    file.take(META_BYTES_MAX).read_to_end(&mut text).map_err(io_at(&path, "read"))?;
    let damaged = |why: String| FolderError::Damaged { path: path.clone(), why };
    let any: AnyFormat = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if any.format > FOLDER_FORMAT {
        return Err(FolderError::Newer { path: folder.to_owned(), found: any.format });
    }
    let file: MetaFile = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let id = u128::from_str_radix(&file.id, 16).map_err(|_| damaged(format!("id `{}` is not hexadecimal", file.id)))?;
    let rising = file.generations.windows(2).all(|pair| pair[0].number < pair[1].number);
    let sound = file.generations.iter().all(|generation| generation.number > 0 && (1..=file.partitions).contains(&generation.shards));
    if !(rising && sound) || file.partitions == 0 {
        return Err(damaged("its numbers make no sense".into()));
    }
    Ok(Some(Meta { id, partitions: file.partitions, epoch: file.epoch, generations: file.generations, begins: file.begins }))
}

/// A folder that is not empty and not ours is left alone. What an interrupted [`make`] left behind is ours.
pub(crate) fn refuse_strangers(folder: &Path) -> Result<(), FolderError> {
    let ours = [LOCK, KEYS, "folder.json.new", crate::node::FILE, "node.json.new"];
    match names(folder)?.into_iter().find(|name| !ours.contains(&name.as_str())) {
        None => Ok(()),
        Some(entry) => Err(FolderError::NotAFolder { path: folder.to_owned(), entry }),
    }
}

/// Keys first, `folder.json` last.
pub(crate) fn make(folder: &Path, partitions: u16, epoch: u32) -> Result<Meta, FolderError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(FolderError::Random)?;
    let keys = folder.join(KEYS);
    match DirBuilder::new().mode(0o700).create(&keys) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io_at(&keys, "made")(error)),
        Ok(()) | Err(_) => {}
    }
    let key_path = keys.join(SHOP_KEY);
    match read_key(&key_path) {
        // Left by an interrupted start, or put there by the operator.
        Ok(_) => {}
        Err(FolderError::KeyMissing { .. }) => {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            getrandom::fill(&mut *key).map_err(FolderError::Random)?;
            write_whole(&keys, SHOP_KEY, &*key)?;
        }
        Err(error) => return Err(error),
    }
    sync_dir(folder)?;
    let meta = Meta { id: u128::from_le_bytes(id), partitions, epoch, generations: Vec::new(), begins: Begins::Log };
    write_meta(folder, &meta)?;
    // The folder's own entry.
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_dir(parent)?;
    }
    Ok(meta)
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, FolderError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(FolderError::KeyMissing { path: path.to_owned() }),
        Err(error) => return Err(io_at(path, "read")(error)),
    };
    let stat = file.metadata().map_err(io_at(path, "read"))?;
    let mode = stat.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::KeyExposed { path: path.to_owned(), mode });
    }
    if stat.len() != KEY_BYTES as u64 {
        return Err(FolderError::KeyLength { path: path.to_owned(), found: stat.len() });
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut *key).map_err(io_at(path, "read"))?;
    Ok(key)
}

fn write_meta(folder: &Path, meta: &Meta) -> Result<(), FolderError> {
    let file = MetaFile {
        format: FOLDER_FORMAT,
        id: format!("{:032x}", meta.id),
        partitions: meta.partitions,
        epoch: meta.epoch,
        generations: meta.generations.clone(),
        begins: meta.begins,
    };
    let mut text = serde_json::to_vec_pretty(&file).expect("numbers and strings always have a JSON form");
    text.push(b'\n');
    write_whole(folder, META, &text)
}

/// Puts a file in place as a whole, or not at all: write beside, sync, rename, sync the folder.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
    let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    };
    write().map_err(io_at(&path, "written"))?;
    sync_dir(folder)
}

fn make_dir(path: &Path) -> Result<(), FolderError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io_at(path, "made")(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the names in a folder survive a crash.
fn sync_dir(path: &Path) -> Result<(), FolderError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io_at(path, "synced"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_reads_back_as_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let (made, key) = {
            let mut folder = Folder::open(&path, Some(8)).unwrap();
            assert_eq!(folder.begin_generation(2, Before::Kept).unwrap(), Generation { number: 1, shards: 2 });
            assert_eq!(folder.begin_generation(3, Before::Replaced).unwrap(), Generation { number: 2, shards: 3 });
            (folder.meta().clone(), folder.shop_key().unwrap())
        };
        assert_eq!(made.generations, [Generation { number: 2, shards: 3 }]);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        let again = Folder::open(&path, None).unwrap();
        assert_eq!((again.meta(), again.shop_key().unwrap()), (&made, key));
        assert!(again.path().join("log/00000002/shard-002").is_dir());
    }

    #[test]
    fn older_generations_are_let_go_and_a_folder_of_format_1_becomes_one_of_format_2() {
        let dir = tempfile::tempdir().unwrap();
        let old = r#"{"format":1,"id":"2a","partitions":8,"epoch":1,"generations":[{"number":2,"shards":2},{"number":3,"shards":1}]}"#;
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        std::fs::write(dir.path().join(META), old).unwrap();
        for generation in ["log/00000002/shard-000", "log/00000003/shard-000"] {
            std::fs::create_dir_all(dir.path().join(generation)).unwrap();
        }
        let mut folder = Folder::open(dir.path(), None).unwrap();
        assert_eq!((folder.meta().id, folder.meta().begins), (42, Begins::Log));
        folder.upgrade().unwrap();
        let text = || std::fs::read_to_string(dir.path().join(META)).unwrap();
        assert!(text().contains("\"format\": 2") && text().contains("\"begins\": \"log\""), "{}", text());
        folder.let_go_older().unwrap();
        folder.remove_unlisted();
        assert_eq!(names(&dir.path().join("log")).unwrap(), ["00000003"]);
        assert_eq!(folder.begin_generation(4, Before::LetGo).unwrap(), Generation { number: 4, shards: 4 });
        drop(folder);
        let folder = Folder::open(dir.path(), None).unwrap();
        folder.remove_unlisted();
        let meta = folder.meta();
        assert_eq!((&meta.generations[..], meta.begins), (&[Generation { number: 4, shards: 4 }][..], Begins::Snapshots));
        assert_eq!(names(&dir.path().join("log")).unwrap(), ["00000004"]);
    }

    #[test] // Each row spoils a folder in one way; then what is said.
    fn a_spoiled_folder_is_refused() {
        type Spoil = fn(&Path);
        let rows: [(Spoil, &str); 9] = [
            (|path| std::fs::write(path.join(META), r#"{"format": 3, "new": []}"#).unwrap(), "has folder format 3; this version"),
            (|path| std::fs::write(path.join(META), "{").unwrap(), "folder.json is damaged (EOF"),
            (
                |path| std::fs::write(path.join(META), r#"{"format":1,"id":"x","partitions":1,"epoch":1,"generations":[]}"#).unwrap(),
                "id `x` is not hexadecimal",
            ),
            (
                |path| {
                    let generations = r#"[{"number":2,"shards":1},{"number":2,"shards":1}]"#;
                    let text = format!(r#"{{"format":1,"id":"0","partitions":1,"epoch":1,"generations":{generations}}}"#);
                    std::fs::write(path.join(META), text).unwrap();
                },
                "its numbers make no sense",
            ),
            (
                |path| {
                    std::fs::remove_file(path.join(META)).unwrap();
                    std::fs::create_dir(path.join("log")).unwrap();
                },
                "holds `log` and no folder.json",
            ),
            (
                |path| {
                    std::fs::create_dir_all(path.join("log/00000001/shard-000")).unwrap();
                    std::fs::write(path.join("log/00000001/shard-000/segment-00000001.wal"), "").unwrap();
                },
                "holds log segments of generation 1, and folder.json knows generations up to 0",
            ),
            (|path| std::fs::remove_file(path.join("keys/shop.key")).unwrap(), "shop.key is missing: without it the personal"),
            (
                |path| std::fs::set_permissions(path.join("keys/shop.key"), PermissionsExt::from_mode(0o640)).unwrap(),
                "shop.key has mode 640: others could read it",
            ),
            (|path| std::fs::write(path.join("keys/shop.key"), [1; 31]).unwrap(), "shop.key has 31 bytes and not 32"),
        ];
        for (spoil, says) in rows {
            let dir = tempfile::tempdir().unwrap();
            drop(Folder::open(dir.path(), None).unwrap());
            spoil(dir.path());
            let error = Folder::open(dir.path(), None).and_then(|folder| folder.shop_key()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}\nwanted: {says}");
        }
    }

    #[test]
    fn strangers_and_second_users_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("holiday.jpg"), "").unwrap();
        let error = Folder::open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("holds `holiday.jpg` and no folder.json"), "{error}");
        assert!(matches!(Folder::open_existing(dir.path()), Err(FolderError::Missing { .. })));

        let path = dir.path().join("shop");
        let held = Folder::open(&path, Some(8)).unwrap();
        let error = Folder::open(&path, None).unwrap_err().to_string();
        assert!(error.contains(&format!("is in use by process {};", std::process::id())), "{error}");
        drop(held);
        assert!(matches!(Folder::open(&path, Some(9)), Err(FolderError::Partitions { found: 8, wanted: 9 })));
    }
}

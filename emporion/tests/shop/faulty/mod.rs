//! A disk of ours below the program, that does what disks do at the worst moment.
//!
//! Path: the program's system calls → the kernel → [`fuse`] in this process → [`tree`], which keeps what was synced apart from what was not. The test
//! has the other end, [`Disk`]: it cuts the power, lets a sync fail, flips bits, takes the room away. Read first: [`Disk`], then `tree`.
//!
//! Everything is in memory: a disk whose content nobody but this process can touch. Blocks of zeros take none, so a log's prepared segments are cheap.

mod fuse;
mod tree;

use fuse::Mounted;
#[expect(clippy::disallowed_types, reason = "threads of a test, outside any shard")]
use std::sync::Mutex;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard},
};
use tempfile::TempDir;
use tree::{Failing, Tree};

/// A disk that is mounted; unmounted when it is dropped.
pub(crate) struct Disk {
    tree: Shared,
    // Before the folder it is mounted on.
    _mounted: Mounted,
    at: TempDir,
}

/// Shared by the threads that answer the kernel and the test.
#[expect(clippy::disallowed_types, reason = "as above")]
type Shared = Arc<Mutex<Tree>>;

fn locked(tree: &Shared) -> MutexGuard<'_, Tree> {
    tree.lock().expect("no panic while it was held")
}

impl Disk {
    /// An empty disk.
    ///
    /// # Panics
    /// Where FUSE cannot be had; the text says what to do.
    pub(crate) fn new() -> Self {
        let at = tempfile::tempdir().expect("a folder");
        #[expect(clippy::disallowed_types, reason = "as above")]
        let tree = Arc::new(Mutex::new(Tree::new()));
        let mounted = Mounted::new(Arc::clone(&tree), at.path());
        Self { tree, _mounted: mounted, at }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    /// The power fails now. What was not synced is lost, torn or kept, by draws; until [`Disk::power_on`] everything fails.
    pub(crate) fn cut(&self, draws: &mut u64) {
        locked(&self.tree).cut(draws);
    }

    /// The power is back.
    pub(crate) fn power_on(&self) {
        locked(&self.tree).off = false;
    }

    /// Of the syncs from here on of files with such an end of their name that would make a block with these bytes safe, the `k`th fails.
    pub(crate) fn fail_sync(&self, called: &str, holding: &str, k: u64) {
        locked(&self.tree).failing = Some(Failing { called: called.to_owned(), holding: holding.as_bytes().to_vec(), left: k });
    }

    /// Is a sync that was to fail still to come?
    pub(crate) fn will_fail(&self) -> bool {
        locked(&self.tree).failing.is_some()
    }

    /// One bit of a file on the disk is another from here on.
    pub(crate) fn flip(&self, path: &Path, offset: u64) {
        let path: PathBuf = path.strip_prefix(self.path()).expect("on this disk").to_owned();
        let mut tree = locked(&self.tree);
        let file = tree.find(path.to_str().expect("a name of ours")).expect("a file");
        tree.flip(file, offset).expect("power");
    }

    /// There is room for so many bytes beyond what is used.
    pub(crate) fn leave_room(&self, bytes: u64) {
        let mut tree = locked(&self.tree);
        tree.capacity = tree.used().saturating_add(bytes);
    }
}

//! The kernel's questions, answered from a [`Tree`].
//!
//! Path: `/dev/fuse` → `fuser` → one of its threads → [`Answering`] → the tree under its lock. No decision is made here. The kernel is told to keep
//! nothing: names and sizes are asked for anew each time, since a power cut changes them behind its back.

use super::{
    Shared, locked,
    tree::{BLOCK, Kind, Node, Tree},
};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use std::{
    ffi::OsStr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Threads that answer the kernel.
const THREADS: usize = 2;
/// Nothing is kept.
const TTL: Duration = Duration::ZERO;

/// A mounted tree. Dropping it unmounts it.
pub(super) struct Mounted(#[expect(dead_code, reason = "held for its drop")] fuser::BackgroundSession);

impl Mounted {
    pub(super) fn new(tree: Shared, at: &Path) -> Self {
        let mut options = fuser::Config::default();
        options.mount_options = vec![fuser::MountOption::FSName("faulty".into()), fuser::MountOption::NoAtime];
        options.n_threads = Some(THREADS);
        let mounted = fuser::spawn_mount(Answering(tree), at, &options);
        Self(mounted.unwrap_or_else(|error| {
            panic!(
                "no FUSE here ({error}): these tests need /dev/fuse (`modprobe fuse`; a container needs `--device /dev/fuse --cap-add SYS_ADMIN`), and \
                 the right to mount: root, or fusermount3 (Debian: `apt-get install fuse3`)"
            )
        }))
    }
}

struct Answering(Shared);

fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn attributes(id: u64, node: &Node) -> FileAttr {
    let kind = match node.kind {
        Kind::Folder { .. } => FileType::Directory,
        Kind::File { .. } => FileType::RegularFile,
    };
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    FileAttr {
        ino: INodeNo(id),
        size: node.len(),
        blocks: node.len().div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: node.mode,
        nlink: 1,
        uid: me.0,
        gid: me.1,
        rdev: 0,
        blksize: BLOCK as u32,
        flags: 0,
    }
}

impl Answering {
    fn with<T>(&self, ask: impl FnOnce(&mut Tree) -> Result<T, Errno>) -> Result<T, Errno> {
        ask(&mut locked(&self.0))
    }

    fn entry(&self, reply: ReplyEntry, ask: impl FnOnce(&mut Tree) -> Result<u64, Errno>) {
        let found = self.with(|tree| {
            let id = ask(tree)?;
            Ok(attributes(id, tree.node(id)?))
        });
        match found {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn done(&self, reply: ReplyEmpty, ask: impl FnOnce(&mut Tree) -> Result<(), Errno>) {
        match self.with(ask) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}

/// The permissions among the bits of a mode.
fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

impl Filesystem for Answering {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |tree| tree.look_up(parent.0, text(name)?));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.with(|tree| Ok(attributes(ino.0, tree.node(ino.0)?))) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.with(|tree| {
            if let Some(mode) = mode {
                tree.node_mut(ino.0)?.mode = permissions(mode);
            }
            if let Some(size) = size {
                tree.set_len(ino.0, size)?;
            }
            Ok(attributes(ino.0, tree.node(ino.0)?))
        });
        match set {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        self.entry(reply, |tree| tree.make(parent.0, text(name)?, permissions(mode & !umask), Kind::folder()));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.done(reply, |tree| tree.remove(parent.0, text(name)?));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.done(reply, |tree| tree.remove(parent.0, text(name)?));
    }

    fn rename(&self, _: &Request, from: INodeNo, name: &OsStr, to: INodeNo, new: &OsStr, flags: RenameFlags, reply: ReplyEmpty) {
        self.done(reply, |tree| {
            // Nobody here exchanges names.
            if flags.is_empty() { tree.rename((from.0, text(name)?), (to.0, text(new)?)) } else { Err(Errno::EINVAL) }
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.with(|tree| tree.node(ino.0).map(drop)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let made = self.with(|tree| {
            let id = tree.make(parent.0, text(name)?, permissions(mode & !umask), Kind::file())?;
            Ok(attributes(id, tree.node(id)?))
        });
        match made {
            Ok(attributes) => reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn read(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, size: u32, _: OpenFlags, _: Option<LockOwner>, reply: ReplyData) {
        let read = self.with(|tree| match &tree.node(ino.0)?.kind {
            Kind::File { shown, .. } => Ok(shown.read(offset, size as usize)),
            Kind::Folder { .. } => Err(Errno::EISDIR),
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.with(|tree| tree.write(ino.0, offset, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("the kernel asks for no more")),
            Err(error) => reply.error(error),
        }
    }

    fn fallocate(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, length: u64, mode: i32, reply: ReplyEmpty) {
        self.done(reply, |tree| match mode {
            0 if tree.node(ino.0)?.len() < offset + length => tree.set_len(ino.0, offset + length),
            0 => Ok(()),
            _ => Err(Errno::EOPNOTSUPP),
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing promises nothing.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.done(reply, |tree| tree.sync(ino.0));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.done(reply, |tree| tree.sync(ino.0));
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let names = self.with(|tree| Ok(tree.names(ino.0)?.clone()));
        let names = match names {
            Ok(names) => names,
            Err(error) => return reply.error(error),
        };
        let kind = |id: u64| self.with(|tree| Ok(attributes(id, tree.node(id)?).kind)).unwrap_or(FileType::RegularFile);
        for (number, (name, id)) in names.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(INodeNo(*id), number as u64 + 1, kind(*id), name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (blocks, free) = {
            let tree = locked(&self.0);
            (tree.capacity / BLOCK as u64, tree.capacity.saturating_sub(tree.used()) / BLOCK as u64)
        };
        reply.statfs(blocks, free, free, 0, 0, BLOCK as u32, 255, BLOCK as u32);
    }
}

//! What a disk shows and what of it would survive: folders and files in memory, each change apart until it is synced.
//!
//! Path: a change → at once to what is shown, and behind the others of its file or folder that nobody synced → a sync moves it to what
//! survives, a power cut ([`Tree::cut`]) keeps some of it, by draws. Read first: [`Tree`], then [`Tree::cut`].
//!
//! It promises less than any file system in use: data comes in blocks of [`BLOCK`] that survive or not one by one, whatever their order; a sync of a file
//! says nothing about its name; names of one folder survive or not apart from those of another. What it does promise: a change of names is whole, a
//! rename both of its names, and what was synced stays.

use crate::crashes::random;
use fuser::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Torn at this granularity.
pub(super) const BLOCK: usize = 4_096;
/// The outermost folder.
pub(super) const ROOT: u64 = 1;

type Bytes = [u8; BLOCK];

/// A disk.
pub(super) struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Changes of names that nobody synced, oldest first.
    renamed: Vec<Names>,
    /// Bytes that files may take together.
    pub(super) capacity: u64,
    /// The sync that fails.
    pub(super) failing: Option<Failing>,
    /// No power: nothing is read or written.
    pub(super) off: bool,
}

/// A sync to fail: of those of a file called so that would make a block safe which holds certain bytes, the one with this number; counts down.
pub(super) struct Failing {
    /// End of its name.
    pub(super) called: String,
    pub(super) holding: Vec<u8>,
    pub(super) left: u64,
}

impl Failing {
    fn comes(&mut self, name: &str, unsynced: &[Write]) -> bool {
        if !name.ends_with(&self.called) {
            return false;
        }
        let holds = |bytes: &Bytes| bytes.windows(self.holding.len()).any(|window| window == self.holding);
        let matters = unsynced.iter().any(|write| matches!(write, Write::Block { bytes: Some(bytes), .. } if holds(bytes)));
        self.left -= u64::from(matters);
        matters && self.left == 0
    }
}

pub(super) struct Node {
    pub(super) mode: u16,
    /// What it was called last.
    name: String,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Folder { shown: BTreeMap<String, u64>, safe: BTreeMap<String, u64> },
    File { shown: Content, safe: Content, unsynced: Vec<Write> },
}

/// A file's bytes. A block that is not there is zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    blocks: BTreeMap<u64, Arc<Bytes>>,
    pub(super) len: u64,
}

/// A change of a file.
pub(super) enum Write {
    /// A whole block, and how long the file is at least.
    Block { at: u64, bytes: Option<Arc<Bytes>>, len: u64 },
    /// Cut or made longer.
    Len(u64),
}

/// A change of names, whole: in which folder which name means what.
struct Names(Vec<(u64, String, Option<u64>)>);

impl Content {
    fn take(&mut self, write: &Write) {
        match write {
            Write::Block { at, bytes, len } => {
                match bytes {
                    Some(bytes) => drop(self.blocks.insert(*at, Arc::clone(bytes))),
                    None => drop(self.blocks.remove(at)),
                }
                self.len = self.len.max(*len);
            }
            Write::Len(len) => {
                let _cut = self.blocks.split_off(&len.div_ceil(BLOCK as u64));
                let within = usize::try_from(len % BLOCK as u64).expect("within a block");
                if within > 0
                    && let Some(last) = self.blocks.get_mut(&(len / BLOCK as u64))
                {
                    Arc::make_mut(last)[within..].fill(0);
                }
                self.len = *len;
            }
        }
    }

    pub(super) fn read(&self, offset: u64, bytes: usize) -> Vec<u8> {
        let end = self.len.min(offset.saturating_add(bytes as u64));
        let mut read = Vec::new();
        let mut at = offset;
        while at < end {
            let within = usize::try_from(at % BLOCK as u64).expect("within a block");
            let take = (BLOCK - within).min(usize::try_from(end - at).unwrap_or(BLOCK));
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => read.extend_from_slice(&block[within..within + take]),
                None => read.resize(read.len() + take, 0),
            }
            at += take as u64;
        }
        read
    }

    /// A write of any bytes, as whole blocks.
    fn blocks_of(&self, offset: u64, data: &[u8]) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let within = usize::try_from(at % BLOCK as u64).expect("within a block");
            let take = (BLOCK - within).min(rest.len());
            let block = at / BLOCK as u64;
            let mut bytes = self.blocks.get(&block).map_or([0; BLOCK], |bytes| **bytes);
            bytes[within..within + take].copy_from_slice(&rest[..take]);
            let bytes = (bytes != [0; BLOCK]).then(|| Arc::new(bytes));
            at += take as u64;
            rest = &rest[take..];
            writes.push(Write::Block { at: block, bytes, len: at });
        }
        writes
    }
}

/// Which of some changes in a row survive.
fn survivors(count: usize, draws: &mut u64) -> Vec<bool> {
    let kept = |draws: &mut u64| (random(draws) % (count as u64 + 1)) as usize;
    match random(draws) % 4 {
        0 => vec![false; count],
        1 => vec![true; count],
        // In order, up to somewhere: torn.
        2 => {
            let kept = kept(draws);
            (0..count).map(|at| at < kept).collect()
        }
        _ => (0..count).map(|_| random(draws).is_multiple_of(2)).collect(),
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node { mode: 0o755, name: String::new(), kind: Kind::Folder { shown: BTreeMap::new(), safe: BTreeMap::new() } };
        let nodes = BTreeMap::from([(ROOT, root)]);
        Self { nodes, next: ROOT + 1, renamed: Vec::new(), capacity: u64::MAX, failing: None, off: false }
    }

    fn powered(&self) -> Result<(), Errno> {
        if self.off { Err(Errno::EIO) } else { Ok(()) }
    }

    pub(super) fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.powered()?;
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    pub(super) fn node_mut(&mut self, id: u64) -> Result<&mut Node, Errno> {
        self.powered()?;
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)
    }

    pub(super) fn names(&self, folder: u64) -> Result<&BTreeMap<String, u64>, Errno> {
        match &self.node(folder)?.kind {
            Kind::Folder { shown, .. } => Ok(shown),
            Kind::File { .. } => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn look_up(&self, folder: u64, name: &str) -> Result<u64, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// The node at a path from the outermost folder.
    pub(super) fn find(&self, path: &str) -> Result<u64, Errno> {
        path.split('/').try_fold(ROOT, |folder, name| self.look_up(folder, name))
    }

    fn change(&mut self, changes: Names) -> Result<(), Errno> {
        for (folder, name, node) in &changes.0 {
            if let Some(node) = node {
                self.node_mut(*node)?.name.clone_from(name);
            }
            let Kind::Folder { shown, .. } = &mut self.node_mut(*folder)?.kind else { return Err(Errno::ENOTDIR) };
            match node {
                Some(node) => shown.insert(name.clone(), *node),
                None => shown.remove(name),
            };
        }
        self.renamed.push(changes);
        Ok(())
    }

    pub(super) fn make(&mut self, folder: u64, name: &str, mode: u16, kind: Kind) -> Result<u64, Errno> {
        if self.names(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, Node { mode, name: name.to_owned(), kind });
        self.change(Names(vec![(folder, name.to_owned(), Some(id))]))?;
        Ok(id)
    }

    pub(super) fn remove(&mut self, folder: u64, name: &str) -> Result<(), Errno> {
        let id = self.look_up(folder, name)?;
        if let Kind::Folder { shown, .. } = &self.node(id)?.kind
            && !shown.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(Names(vec![(folder, name.to_owned(), None)]))
    }

    pub(super) fn rename(&mut self, from: (u64, &str), to: (u64, &str)) -> Result<(), Errno> {
        let id = self.look_up(from.0, from.1)?;
        self.change(Names(vec![(from.0, from.1.to_owned(), None), (to.0, to.1.to_owned(), Some(id))]))
    }

    /// Bytes that the files with a name take.
    pub(super) fn used(&self) -> u64 {
        let named = self.nodes.values().flat_map(|node| match &node.kind {
            Kind::Folder { shown, .. } => shown.values().copied().collect(),
            Kind::File { .. } => Vec::new(),
        });
        named.filter_map(|id| self.nodes.get(&id)).map(|node| node.len().next_multiple_of(BLOCK as u64)).sum()
    }

    /// Is there room for the file to be so long?
    fn room(&self, file: u64, len: u64) -> Result<(), Errno> {
        let more = len.next_multiple_of(BLOCK as u64).saturating_sub(self.node(file)?.len().next_multiple_of(BLOCK as u64));
        if more > 0 && self.used() + more > self.capacity { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    pub(super) fn write(&mut self, file: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.room(file, offset + data.len() as u64)?;
        let Kind::File { shown, unsynced, .. } = &mut self.node_mut(file)?.kind else { return Err(Errno::EISDIR) };
        for write in shown.blocks_of(offset, data) {
            shown.take(&write);
            unsynced.push(write);
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, file: u64, len: u64) -> Result<(), Errno> {
        self.room(file, len)?;
        let Kind::File { shown, unsynced, .. } = &mut self.node_mut(file)?.kind else { return Err(Errno::EISDIR) };
        shown.take(&Write::Len(len));
        unsynced.push(Write::Len(len));
        Ok(())
    }

    /// Syncs a file's bytes, or a folder's names. A sync that fails leaves what it was for shown, and never written: so does Linux.
    pub(super) fn sync(&mut self, id: u64) -> Result<(), Errno> {
        self.powered()?;
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        match &mut node.kind {
            Kind::File { unsynced, .. } if self.failing.as_mut().is_some_and(|failing| failing.comes(&node.name, unsynced)) => {
                unsynced.clear();
                self.failing = None;
                return Err(Errno::EIO);
            }
            Kind::File { safe, unsynced, .. } => unsynced.drain(..).for_each(|write| safe.take(&write)),
            Kind::Folder { .. } => {
                let (its, others): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.renamed).into_iter().partition(|change| change.0.iter().any(|(folder, ..)| *folder == id));
                self.renamed = others;
                its.into_iter().for_each(|change| self.keep(change));
            }
        }
        Ok(())
    }

    /// A change of names survives.
    fn keep(&mut self, Names(changes): Names) {
        for (folder, name, node) in changes {
            if let Some(Node { kind: Kind::Folder { safe, .. }, .. }) = self.nodes.get_mut(&folder) {
                match node {
                    Some(node) => safe.insert(name, node),
                    None => safe.remove(&name),
                };
            }
        }
    }

    /// The power fails: what was synced stays, and of the rest what the draws leave. From here on nothing works until [`Tree::off`] is taken back.
    pub(super) fn cut(&mut self, draws: &mut u64) {
        self.off = true;
        let renamed = std::mem::take(&mut self.renamed);
        let survive = survivors(renamed.len(), draws);
        for (change, _) in renamed.into_iter().zip(survive).filter(|(_, survives)| *survives) {
            self.keep(change);
        }
        for node in self.nodes.values_mut() {
            match &mut node.kind {
                Kind::Folder { shown, safe } => shown.clone_from(safe),
                Kind::File { shown, safe, unsynced } => {
                    let survive = survivors(unsynced.len(), draws);
                    unsynced.drain(..).zip(survive).filter(|(_, survives)| *survives).for_each(|(write, _)| safe.take(&write));
                    shown.clone_from(safe);
                }
            }
        }
        let mut named = BTreeSet::from([ROOT]);
        let mut folders = vec![ROOT];
        while let Some(Node { kind: Kind::Folder { safe, .. }, .. }) = folders.pop().and_then(|folder| self.nodes.get(&folder)) {
            let new: Vec<u64> = safe.values().copied().filter(|id| named.insert(*id)).collect();
            folders.extend(new.into_iter().filter(|id| matches!(self.nodes.get(id), Some(Node { kind: Kind::Folder { .. }, .. }))));
        }
        self.nodes.retain(|id, _| named.contains(id));
    }

    /// The disk forgets what it had: a bit is another one from here on.
    pub(super) fn flip(&mut self, file: u64, offset: u64) -> Result<(), Errno> {
        let Kind::File { shown, safe, .. } = &mut self.node_mut(file)?.kind else { return Err(Errno::EISDIR) };
        for content in [shown, safe] {
            let block = content.blocks.entry(offset / BLOCK as u64).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[usize::try_from(offset % BLOCK as u64).expect("within a block")] ^= 0x10;
        }
        Ok(())
    }
}

impl Node {
    pub(super) fn len(&self) -> u64 {
        match &self.kind {
            Kind::Folder { .. } => 0,
            Kind::File { shown, .. } => shown.len,
        }
    }
}

impl Kind {
    pub(super) fn folder() -> Self {
        Self::Folder { shown: BTreeMap::new(), safe: BTreeMap::new() }
    }

    pub(super) fn file() -> Self {
        Self::File { shown: Content::default(), safe: Content::default(), unsynced: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tree: &Tree, path: &str) -> Option<Vec<u8>> {
        match &tree.node(tree.find(path).ok()?).expect("found").kind {
            Kind::File { shown, .. } => Some(shown.read(0, usize::MAX)),
            Kind::Folder { .. } => None,
        }
    }

    /// What of `path` the power cuts of many seeds leave.
    fn left(make: impl Fn(&mut Tree), path: &str) -> BTreeSet<Option<Vec<u8>>> {
        let leave = |seed| {
            let mut tree = Tree::new();
            make(&mut tree);
            tree.cut(&mut { seed });
            assert!(tree.find(path).is_err() && tree.write(ROOT, 0, b"x").is_err(), "no power");
            tree.off = false;
            text(&tree, path)
        };
        (0..200).map(leave).collect()
    }

    fn make(tree: &mut Tree, name: &str, bytes: &[u8]) -> u64 {
        let file = tree.make(ROOT, name, 0o600, Kind::file()).expect("made");
        tree.write(file, 0, bytes).expect("written");
        file
    }

    #[test]
    fn what_was_synced_stays_and_nothing_else_is_promised() {
        let name_and_bytes = |tree: &mut Tree| {
            let file = make(tree, "a", b"one");
            tree.sync(file).expect("synced");
            tree.sync(ROOT).expect("synced");
            tree.write(file, 1, b"XX").expect("written");
        };
        assert_eq!(left(name_and_bytes, "a"), BTreeSet::from([Some(b"one".to_vec()), Some(b"oXX".to_vec())]));
        let bytes_alone = |tree: &mut Tree| {
            let file = make(tree, "a", b"one");
            tree.sync(file).expect("synced");
        };
        assert_eq!(left(bytes_alone, "a"), BTreeSet::from([None, Some(b"one".to_vec())]));
        let name_alone = |tree: &mut Tree| {
            make(tree, "a", b"one");
            tree.sync(ROOT).expect("synced");
        };
        assert_eq!(left(name_alone, "a"), BTreeSet::from([Some(vec![]), Some(b"one".to_vec())]));
    }

    #[test]
    fn writes_are_torn_by_blocks_in_any_order() {
        let three = |tree: &mut Tree| {
            let file = make(tree, "a", &[0; 3 * BLOCK]);
            tree.sync(file).expect("synced");
            tree.sync(ROOT).expect("synced");
            tree.write(file, 0, &[1; 3 * BLOCK]).expect("written");
        };
        let found = left(three, "a");
        assert_eq!(found.len(), 8, "every subset of three blocks");
        for bytes in found.into_iter().flatten() {
            assert_eq!(bytes.len(), 3 * BLOCK);
            assert!(bytes.chunks(BLOCK).all(|block| block.iter().all(|byte| *byte == block[0])), "a block is whole");
        }
    }

    #[test]
    fn a_rename_is_whole() {
        let replaced = |tree: &mut Tree| {
            for (name, bytes) in [("a", b"old"), ("a.new", b"new")] {
                let file = make(tree, name, bytes);
                tree.sync(file).expect("synced");
            }
            tree.sync(ROOT).expect("synced");
            tree.rename((ROOT, "a.new"), (ROOT, "a")).expect("renamed");
        };
        assert_eq!(left(replaced, "a"), BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
        assert_eq!(left(replaced, "a.new"), BTreeSet::from([Some(b"new".to_vec()), None]));
    }

    #[test]
    fn a_failed_sync_is_final() {
        let mut tree = Tree::new();
        let file = make(&mut tree, "a", b"one");
        tree.sync(file).expect("synced");
        tree.sync(ROOT).expect("synced");
        tree.failing = Some(Failing { called: "a".into(), holding: b"w".to_vec(), left: 2 });
        for fine in [b"two", b"one"] {
            tree.write(file, 0, fine).expect("written");
            tree.sync(file).expect("the first that matters, and one that does not");
        }
        tree.write(file, 0, b"wet").expect("written");
        assert!(tree.sync(file).is_err(), "the second");
        tree.sync(file).expect("again, and in vain");
        assert_eq!(text(&tree, "a").as_deref(), Some(&b"wet"[..]));
        tree.cut(&mut 1);
        tree.off = false;
        assert_eq!(text(&tree, "a").as_deref(), Some(&b"one"[..]));
    }

    #[test]
    fn room_ends_and_comes_back() {
        let mut tree = Tree::new();
        tree.capacity = 3 * BLOCK as u64;
        let file = make(&mut tree, "a", &[1; 2 * BLOCK]);
        let other = make(&mut tree, "b", b"1");
        assert!(tree.write(other, BLOCK as u64 - 1, b"12").is_err());
        tree.write(file, 0, b"in place").expect("no more room is taken");
        tree.set_len(file, BLOCK as u64 + 1).expect("shorter");
        assert!(tree.set_len(file, 2 * BLOCK as u64 + 1).is_err());
        tree.remove(ROOT, "b").expect("removed");
        tree.set_len(file, 3 * BLOCK as u64).expect("there is room again");
        let bytes = text(&tree, "a").expect("there");
        assert_eq!((&bytes[..8], bytes[BLOCK], bytes[BLOCK + 1]), (&b"in place"[..], 1, 0), "what was cut off is zeros");
    }
}

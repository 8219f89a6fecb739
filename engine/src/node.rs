//! `node.json`: which node of a cluster a data folder is. A folder without it is that of a node alone.
//!
//! Path: [`init`] makes a folder's node the first of a cluster; [`join`] makes the folder of a further one → [`NodeFile::begin`] at each start of the engine, which counts it.
//! Where the node is, and where the others are, is what the cluster knows as soon as it is one of it; what stands here is for the first words.
//! Invariants: the number never changes; a start's count is durable before the start says anything, so no two starts have the same.
//!
//! ```text
//! {"format": 1, "node": 2, "name": "b", "address": "10.0.0.2:7443", "zone": "z1", "region": "eu", "founder": false, "incarnation": 7, "boot": "…",
//!  "peers": [{"node": 1, "address": "10.0.0.1:7443", "shards": 4}]}
//! ```

use crate::{
    folder::{Folder, FolderError, KEYS, Meta, SHOP_KEY, io_at, make, read_meta, refuse_strangers, take_lock, write_whole},
    record::v1::cluster::NodeFacts,
    seal::KEY_BYTES,
    shard::PeerNode,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File},
    io::{ErrorKind, Read},
    os::unix::fs::DirBuilderExt,
    path::Path,
};
use wire::{
    NodeId,
    quic::{Identity, Part},
};

/// Format of the file. A higher one is refused.
pub const NODE_FORMAT: u32 = 1;
pub(crate) const FILE: &str = "node.json";
/// Longest file read: hundreds of peers.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a node is, as operators say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As people call it; no two nodes have the same.
    pub name: String,
    /// `host:port` of its shard 0, as clients and other nodes reach it.
    pub address: String,
    /// What fails together.
    pub zone: String,
    /// Where it is.
    pub region: String,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// Its number in the cluster.
    pub node: NodeId,
    /// As it was made with.
    pub place: Place,
    /// It was the cluster's first node: it alone has a say in what its folder knows no members of.
    pub founder: bool,
    /// Starts so far.
    pub incarnation: u64,
    /// Since when the machine ran at the last of them, in its own words, if nothing was missing in the logs then.
    pub boot: Option<String>,
    /// Other nodes, when it was made.
    pub peers: Vec<PeerNode>,
}

/// A node that joins a cluster.
pub struct Joining {
    /// Its number, which the cluster gave it.
    pub node: NodeId,
    /// Where it will be.
    pub place: Place,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// The cluster's.
    pub epoch: u32,
    /// The key of personal fields, the same on all nodes.
    pub shop_key: [u8; KEY_BYTES],
    /// The nodes there are.
    pub peers: Vec<PeerNode>,
}

/// What can be known of a folder while another process runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Fixed when it was made.
    pub partitions: u16,
    /// Rises with each restore to an earlier time.
    pub epoch: u32,
}

/// Why a folder does not become a node's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It is one already.
    #[error("{folder} is node {} of a cluster already, `{name}`", node.0)]
    IsANode {
        /// The folder.
        folder: String,
        /// Its number.
        node: NodeId,
        /// Its name.
        name: String,
    },
    /// A shop is in it.
    #[error("{folder} holds the data of a shop or of a node: a node joins with a new folder, and gets all data from the others")]
    HasData {
        /// The folder.
        folder: String,
    },
    /// Name, address, zone or region.
    #[error("{what} of the node: {why}")]
    Place {
        /// Which of them.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// How a node calls itself in its certificate.
///
/// # Panics
/// Never: each number makes a name.
#[must_use]
pub fn identity(node: NodeId) -> Identity {
    Identity::new(Part::Engine, &format!("{IDENTITY}{}", node.0)).expect("a word and a number make a name")
}

/// The node whose certificate it is, if it is a node's.
pub(crate) fn of_identity(identity: &Identity) -> Option<NodeId> {
    let number = identity.name().strip_prefix(IDENTITY).filter(|_| identity.part() == Part::Engine)?.parse().ok()?;
    (number != 0 && self::identity(NodeId(number)) == *identity).then_some(NodeId(number))
}

/// Before the number.
const IDENTITY: &str = "node-";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    node: u64,
    name: String,
    address: String,
    zone: String,
    region: String,
    founder: bool,
    incarnation: u64,
    boot: Option<String>,
    peers: Vec<WrittenPeer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPeer {
    node: u64,
    address: String,
    shards: u16,
}

/// Only what every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Place {
    /// Whether a cluster takes it.
    ///
    /// # Errors
    /// [`NodeError::Place`].
    pub fn check(&self) -> Result<(), NodeError> {
        let wrong = |what: &str, why: String| NodeError::Place { what: what.trim_start_matches('/').to_owned(), why };
        crate::domain::cluster::check(&self.facts(1)).map_err(|error| wrong(&error.pointer, error.detail))?;
        match self.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
            _ => Err(wrong("address", format!("`{}` is no host and port, such as 10.0.0.7:7443", self.address))),
        }
    }

    pub(crate) fn facts(&self, shards: u16) -> NodeFacts {
        let Self { name, address, zone, region } = self.clone();
        NodeFacts { name, address, shards, zone, region }
    }
}

impl NodeFile {
    /// Reads it; `None` on a folder of a node alone, or where there is none. Another process may run on the folder.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn read(data: &Path) -> Result<Option<Self>, FolderError> {
        let path = data.join(FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_at(&path, "read")(error)),
        };
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(io_at(&path, "read"))?;
        let damaged = |why: String| FolderError::Damaged { path: path.clone(), why };
        let AnyFormat { format } = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if format > NODE_FORMAT {
            return Err(FolderError::NewerNode { path, found: format });
        }
        let Written { format: _, node, name, address, zone, region, founder, incarnation, boot, peers } =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if node == 0 || peers.iter().any(|peer| peer.node == 0 || peer.node == node || peer.shards == 0) {
            return Err(damaged("its numbers make no sense".into()));
        }
        let peers = peers.into_iter().map(|WrittenPeer { node, address, shards }| PeerNode { node: NodeId(node), address, shards });
        let place = Place { name, address, zone, region };
        Ok(Some(Self { node: NodeId(node), place, founder, incarnation, boot, peers: peers.collect() }))
    }

    /// Counts a start, durably. Has the machine run all the while since the start before? Then the disk has what it was given, however that one ended.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn begin(&mut self, folder: &Folder, boot: Option<String>) -> Result<bool, FolderError> {
        let ran_on = boot.is_some() && self.boot == boot;
        self.incarnation += 1;
        self.boot = None;
        self.write(folder.path())?;
        Ok(ran_on)
    }

    /// The logs were found whole, or are trusted: a start after this one can go by that as long as the machine runs on. Without it, one that has not caught up
    /// would be believed by the next.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn is_whole(&mut self, folder: &Folder, boot: Option<String>) -> Result<(), FolderError> {
        self.boot = boot;
        self.write(folder.path())
    }

    fn write(&self, data: &Path) -> Result<(), FolderError> {
        let Self { node, place: Place { name, address, zone, region }, founder, incarnation, boot, peers } = self.clone();
        let peers = peers.into_iter().map(|PeerNode { node, address, shards }| WrittenPeer { node: node.0, address, shards });
        let written =
            Written { format: NODE_FORMAT, node: node.0, name, address, zone, region, founder, incarnation, boot, peers: peers.collect() };
        let mut text = serde_json::to_vec_pretty(&written).expect("numbers and strings always have a JSON form");
        text.push(b'\n');
        write_whole(data, FILE, &text)
    }
}

/// Makes the node of a folder the first of a cluster; the folder is made when it is not there. From its next start on, others can join it. What is in it stays.
///
/// # Errors
/// [`NodeError`]; the folder is then as it was.
pub fn init(data: &Path, place: &Place) -> Result<NodeFile, NodeError> {
    place.check()?;
    let folder = Folder::open(data, None)?;
    refuse_a_node(data)?;
    let file = NodeFile { node: NodeId(1), place: place.clone(), founder: true, incarnation: 0, boot: None, peers: Vec::new() };
    file.write(folder.path())?;
    Ok(file)
}

/// Makes the folder of a node that joins. Interrupted, it can be repeated.
///
/// # Errors
/// [`NodeError`].
pub fn join(data: &Path, joining: &Joining) -> Result<NodeFile, NodeError> {
    let Joining { node, place, partitions, epoch, shop_key, peers } = joining;
    place.check()?;
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(io_at(data, "made"))?;
    let _lock = take_lock(data)?;
    may_join(data)?;
    refuse_strangers(data)?;
    let keys = data.join(KEYS);
    DirBuilder::new().recursive(true).mode(0o700).create(&keys).map_err(io_at(&keys, "made"))?;
    write_whole(&keys, SHOP_KEY, shop_key)?;
    let file = NodeFile { node: *node, place: place.clone(), founder: false, incarnation: 0, boot: None, peers: peers.clone() };
    file.write(data)?;
    // Last: only now it is a folder.
    make(data, *partitions, *epoch)?;
    Ok(file)
}

/// Whether a node can join with this folder: nothing of a shop is in it.
///
/// # Errors
/// [`NodeError::IsANode`], [`NodeError::HasData`].
pub fn may_join(data: &Path) -> Result<(), NodeError> {
    if read_meta(data)?.is_none() {
        return Ok(());
    }
    refuse_a_node(data)?;
    Err(NodeError::HasData { folder: data.display().to_string() })
}

/// What can be known of a folder while another process runs on it.
///
/// # Errors
/// [`FolderError::Missing`], and others when `folder.json` does not read.
pub fn about(data: &Path) -> Result<About, FolderError> {
    let Meta { partitions, epoch, .. } = read_meta(data)?.ok_or_else(|| FolderError::Missing { path: data.to_owned() })?;
    Ok(About { partitions, epoch })
}

fn refuse_a_node(data: &Path) -> Result<(), NodeError> {
    match NodeFile::read(data)? {
        None => Ok(()),
        Some(file) => Err(NodeError::IsANode { folder: data.display().to_string(), node: file.node, name: file.place.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let text = |text: &str| text.to_owned();
        Place { name: text("b"), address: text("127.0.0.1:7443"), zone: text("z"), region: text("eu") }
    }

    fn joining() -> Joining {
        let peers = vec![PeerNode { node: NodeId(1), address: "127.0.0.1:7400".into(), shards: 2 }];
        Joining { node: NodeId(2), place: place(), partitions: 16, epoch: 3, shop_key: [9; KEY_BYTES], peers }
    }

    #[test]
    fn a_folder_becomes_the_first_node_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let file = init(&data, &place()).expect("made");
        assert_eq!((file.node, file.founder), (NodeId(1), true));
        assert_eq!(NodeFile::read(&data).expect("reads"), Some(file));
        assert!(matches!(init(&data, &place()), Err(NodeError::IsANode { node: NodeId(1), .. })));
        assert!(matches!(join(&data, &joining()), Err(NodeError::IsANode { .. })));
    }

    #[test]
    fn a_node_joins_with_a_new_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        // Of an interrupted try.
        std::fs::create_dir_all(data.join(KEYS)).expect("made");
        NodeFile { node: NodeId(7), place: place(), founder: false, incarnation: 0, boot: None, peers: Vec::new() }
            .write(&data)
            .expect("written");
        join(&data, &joining()).expect("made");
        assert_eq!(about(&data).expect("known"), About { partitions: 16, epoch: 3 });
        let opened = Folder::open(&data, None).expect("a folder");
        assert_eq!(*opened.shop_key().expect("a key"), [9; KEY_BYTES]);
        let mut file = NodeFile::read(&data).expect("reads").expect("a node");
        assert_eq!((file.node, file.peers.len(), file.incarnation), (NodeId(2), 1, 0));
        let boot = |name: &str| Some(name.to_owned());
        for (began, whole, ran_on) in
            [("a", true, false), ("a", true, true), ("b", false, false), ("b", true, false), ("b", true, true), ("", true, false)]
        {
            let began = boot(began).filter(|name| !name.is_empty());
            assert_eq!(file.begin(&opened, began.clone()).expect("written"), ran_on, "{began:?}");
            if whole {
                file.is_whole(&opened, began).expect("written");
            }
        }
        assert_eq!(NodeFile::read(&data).expect("reads").expect("a node").incarnation, 6);
    }

    #[test]
    fn a_shop_s_folder_does_not_join() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Folder::open(folder.path(), None).expect("made"));
        assert!(matches!(join(folder.path(), &joining()), Err(NodeError::HasData { .. })));
    }

    #[test] // Each row: part and name of a certificate, and whose it is.
    fn nodes_are_told_by_their_certificates() {
        let row = |part, name: &str| of_identity(&Identity::new(part, name).expect("a name"));
        assert_eq!(row(Part::Engine, "node-7"), Some(NodeId(7)));
        for (part, name) in [
            (Part::Gateway, "node-7"),
            (Part::Engine, "node-0"),
            (Part::Engine, "node-07"),
            (Part::Engine, "node"),
            (Part::Engine, "local"),
        ] {
            assert_eq!(row(part, name), None, "{name}");
        }
    }

    #[test] // Each row: an address, and whether it is one.
    fn addresses_have_a_port() {
        for (address, good) in [
            ("10.0.0.7:7443", true),
            ("shop-1.example:1", true),
            ("[::1]:7443", true),
            ("10.0.0.7", false),
            (":7443", false),
            ("a:0", false),
        ] {
            assert_eq!(Place { address: address.to_owned(), ..place() }.check().is_ok(), good, "{address}");
        }
    }

    #[test]
    fn a_file_of_another_program_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for (text, says) in [
            ("{\"format\": 2}", "node.json has format 2; this version of Emporion reads formats up to 1"),
            ("{}", "damaged"),
            ("{\"format\": 1}", "damaged"),
        ] {
            std::fs::write(folder.path().join(FILE), text).expect("written");
            let told = NodeFile::read(folder.path()).expect_err("refused").to_string();
            assert!(told.contains(says), "{told}");
        }
    }
}

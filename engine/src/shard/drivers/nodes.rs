//! A shard's links to the shards of other nodes, kept as the core says where those are.
//!
//! Path: [`Output::Peers`](crate::shard::Output::Peers) → [`Nodes::are`] → addresses, names among them looked up on a thread beside; [`Output::Node`](crate::shard::Output::Node) → [`Nodes::say`] → a [`NodeLink`] for each shard
//! that is told something, made when it is told something first; [`Nodes::look`] now and then → which of the nodes are connected →
//! [`Input::Links`](crate::shard::Input::Links). What another node says: [`Nodes::hear`] → a batch whose sender is known.
//! Bounds: those of the links; one look-up of a node under way; [`LOOK_UP_AGAIN_US`].

use super::{link::Said, turns::Link};
use crate::{
    node,
    shard::{NodeBatch, Now, PeerNode},
};
use quinn::ClientConfig;
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};
use wire::{
    NodeId, ShardId,
    quic::{NodeLink, node_link::NodePeer},
};

/// How often it is looked which nodes are connected, microseconds.
const LOOK_US: u64 = 100_000;
/// The address of a node that nothing connects to is looked up again after this, where it has a name: it may be another by now.
const LOOK_UP_AGAIN_US: u64 = 5_000_000;

/// The links of a shard.
pub(super) struct Nodes {
    /// `None` where the node is alone, or listens nowhere.
    config: Option<ClientConfig>,
    nodes: BTreeMap<NodeId, Node>,
    /// As the core was told last.
    told: Vec<(NodeId, bool)>,
    next_look_us: u64,
}

struct Node {
    peer: PeerNode,
    place: Place,
    /// By shard, those that were told something.
    links: BTreeMap<ShardId, NodeLink>,
    /// The latest start of it that was heard of.
    incarnation: u64,
}

/// Where a node is.
enum Place {
    /// Its address is no name.
    At(SocketAddr),
    /// It has a name.
    Named {
        /// As looked up last.
        at: Option<SocketAddr>,
        /// Under way.
        look_up: Option<flume::Receiver<io::Result<SocketAddr>>>,
        again_us: u64,
    },
}

impl Nodes {
    pub(super) fn new(config: Option<ClientConfig>) -> Self {
        Self { config, nodes: BTreeMap::new(), told: Vec::new(), next_look_us: 0 }
    }

    /// These are the other nodes from now on. Links to those that stay where they are go on.
    pub(super) fn are(&mut self, peers: Vec<PeerNode>) {
        self.nodes.retain(|node, _| peers.iter().any(|peer| peer.node == *node));
        for peer in peers {
            match self.nodes.get_mut(&peer.node) {
                Some(node) if node.peer.address == peer.address => {
                    node.links.retain(|shard, _| shard.0 < peer.shards);
                    node.peer = peer;
                }
                Some(_) | None => {
                    let place = peer.address.parse().map_or(Place::Named { at: None, look_up: None, again_us: 0 }, Place::At);
                    self.nodes.insert(peer.node, Node { peer, place, links: BTreeMap::new(), incarnation: 0 });
                }
            }
        }
        self.next_look_us = 0;
    }

    /// Sends. What is for a node that there is not goes nowhere.
    pub(super) fn say(&mut self, to: NodeId, batch: NodeBatch, link: Option<&impl Link>) {
        let (Some(node), Some(config), Some(link)) = (self.nodes.get_mut(&to), &self.config, link) else { return };
        for (shard, batch) in batch.by_shard(node.peer.shards) {
            let Some(way) = node.link(shard, config, link) else { return };
            for (lane, body) in batch.frames() {
                way.send(lane, body);
            }
        }
    }

    /// What another node said, if it can be followed, and who it is. That it was heard is a reason to connect to it, and a new start of it to connect anew.
    pub(super) fn hear(&mut self, said: &Said) -> Option<(NodeId, NodeBatch)> {
        let Some(from) = node::of_identity(&said.from) else {
            tracing::warn!(from = %said.from, "engine link: somebody who is no node speaks as one");
            return None;
        };
        let batch = match NodeBatch::decode(&said.body) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(from = from.0, bytes = said.body.len(), %error, "engine link: what a node says is dropped");
                return None;
            }
        };
        if let Some(node) = self.nodes.get_mut(&from) {
            let began_anew = node.incarnation != 0 && batch.incarnation() > node.incarnation;
            node.incarnation = node.incarnation.max(batch.incarnation());
            for link in node.links.values() {
                if began_anew { link.renew() } else { link.wake() }
            }
        }
        Some((from, batch))
    }

    /// Which nodes are connected, if that is news. Looks up names where need be, and connects to each node, so that it is known whether it is there also where there
    /// is nothing to tell.
    pub(super) fn look(&mut self, now: Now, own: ShardId, link: Option<&impl Link>) -> Option<Vec<(NodeId, bool)>> {
        if now.mono_us < self.next_look_us {
            return None;
        }
        self.next_look_us = now.mono_us + LOOK_US;
        for node in self.nodes.values_mut() {
            node.find(now);
            if let (Some(config), Some(link)) = (&self.config, link) {
                let _ = node.link(ShardId(own.0 % node.peer.shards), config, link); // without an address there is none
            }
        }
        let links: Vec<_> = self.nodes.iter().map(|(id, node)| (*id, node.is_up())).collect();
        if links == self.told {
            return None;
        }
        self.told.clone_from(&links);
        Some(links)
    }

    /// Lets all links go.
    pub(super) fn leave(&mut self) {
        self.nodes.clear();
    }
}

impl Place {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(*address),
            Self::Named { at, .. } => *at,
        }
    }
}

impl Node {
    /// The link to one of its shards, made if need be; `None` while its address is not known.
    fn link(&mut self, shard: ShardId, config: &ClientConfig, link: &impl Link) -> Option<&NodeLink> {
        let address = self.place.address()?;
        let identity = node::identity(self.peer.node);
        Some(self.links.entry(shard).or_insert_with(|| {
            // Past the last port there is nobody; the other node said wrong of itself.
            let port = address.port().saturating_add(shard.0);
            link.link(config.clone(), NodePeer { address: SocketAddr::new(address.ip(), port), shard, identity })
        }))
    }

    fn is_up(&self) -> bool {
        self.links.values().any(NodeLink::is_up)
    }

    /// Looks up the node's name, when nothing connects to where it was.
    fn find(&mut self, now: Now) {
        let is_up = self.is_up();
        let Self { peer, place, links, .. } = self;
        let Place::Named { at, look_up, again_us } = place else { return };
        match look_up.as_ref().map(flume::Receiver::try_recv) {
            None | Some(Err(flume::TryRecvError::Disconnected)) => *look_up = None,
            Some(Err(flume::TryRecvError::Empty)) => return,
            Some(Ok(found)) => {
                *look_up = None;
                match found {
                    Ok(found) if *at == Some(found) => {}
                    Ok(found) => {
                        links.clear();
                        *at = Some(found);
                    }
                    Err(error) => {
                        tracing::warn!(node = peer.node.0, address = peer.address, %error, "engine link: a node's address cannot be found");
                    }
                }
            }
        }
        if is_up || now.mono_us < *again_us {
            return;
        }
        *again_us = now.mono_us + LOOK_UP_AGAIN_US;
        let (found, to_find) = flume::bounded(1);
        let address = peer.address.clone();
        let look = move || {
            let first = address.to_socket_addrs().and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()));
            // The node may have gone meanwhile.
            let _ = found.send(first);
        };
        match std::thread::Builder::new().name("look-up".into()).spawn(look) {
            Ok(_) => *look_up = Some(to_find),
            Err(error) => tracing::warn!(%error, "engine link: no thread to look up a node's address"),
        }
    }
}

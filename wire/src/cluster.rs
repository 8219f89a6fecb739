//! A cluster as those who ask it see it: its nodes, and who leads which partition.
//!
//! Path: any node → [`ClusterMap`] → a client, which asks the node that [`ClusterMap::leader`] names; [`ClusterMap::place`] for what names a shard.
//! Bounds: [`NODES_MAX`]; [`ClusterMap::check`] holds a map that came from elsewhere against all of them.

use crate::{NodeId, PartitionId, ShardId};
use rkyv::{Archive, Deserialize, Serialize};

/// Nodes of a cluster. A map of more is not taken.
pub const NODES_MAX: usize = 256;
/// Bytes of a node's name, address, zone or region. A map with longer ones is not taken.
pub const PLACE_BYTES_MAX: usize = 256;

/// The nodes of a cluster, as one of them knows them.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ClusterMap {
    /// Rises with every change of `nodes`: of two maps the higher is the newer.
    pub epoch: u64,
    /// Fixed when the cluster was made.
    pub partitions: u16,
    /// At least one, by id, ascending.
    pub nodes: Vec<NodeInfo>,
    /// By partition, who led it when last heard of. Hints: they change without a new epoch, and a node that is asked in vain names another.
    pub leaders: Vec<Option<NodeId>>,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Which.
    pub id: NodeId,
    /// As people call it; no two have the same.
    pub name: String,
    /// `host:port` of its shard 0 as clients reach it; shard `n` listens on that port plus `n`. The host is a name or an IP address (version 6 in brackets).
    pub address: String,
    /// At least one. After a restart it may have others; who connects is told.
    pub shards: u16,
    /// What fails together within a region, such as a data centre or a rack; empty where nothing is said.
    pub zone: String,
    /// Where it is; empty where nothing is said.
    pub region: String,
    /// How it stands.
    pub state: NodeState,
}

/// A node as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct NodeFacts {
    /// As people call it; no two have the same.
    pub name: String,
    /// `host:port` of its shard 0, as in [`NodeInfo`].
    pub address: String,
    /// At least one.
    pub shards: u16,
    /// What fails together: a partition's voters are spread over zones.
    pub zone: String,
    /// A partition's voters are in the home region; nodes of others receive and do not vote.
    pub region: String,
}

/// What is to become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum NodeStanding {
    /// It votes and leads.
    Active,
    /// It keeps its replicas, and neither votes nor leads where others can.
    Draining,
    /// It is no member of any group, and never comes back under its number.
    Removed,
}

/// How a node stands, as the cluster sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum NodeState {
    /// It serves.
    Up,
    /// It is about to leave: it still answers, and others are to be preferred.
    Draining,
    /// The others do not hear it.
    Down,
}

/// How a replica stands on the node that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ReplicaView {
    /// Which.
    pub partition: PartitionId,
    /// Who leads the partition, as far as the node knows.
    pub leader: Option<NodeId>,
    /// Of the leader.
    pub term: u64,
    /// Members that have a vote, those included that a change under way takes it from or gives it to.
    pub voters: Vec<NodeId>,
    /// Members that only receive.
    pub learners: Vec<NodeId>,
    /// Whether the node has a say in it. Not after a start whose log may lack what the node acknowledged, until it has caught up: until then the others must not be
    /// switched off.
    pub counts: bool,
    /// Index of the last entry that the node has.
    pub last: u64,
    /// Of the last one that it knows to be committed.
    pub committed: u64,
    /// Of the last one in its state.
    pub applied: u64,
}

/// What is wrong with a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a map of the cluster that cannot be: {0}")]
pub struct BadMap(&'static str);

impl ClusterMap {
    /// Whether it can be: everything within bounds, nodes in order, a leader for each partition or none.
    ///
    /// # Errors
    /// Says what is wrong. Leaders that are no nodes are no fault: a node may have been removed since.
    pub fn check(&self) -> Result<(), BadMap> {
        if self.partitions == 0 || self.leaders.len() != usize::from(self.partitions) {
            return Err(BadMap("partitions and leaders do not match"));
        }
        if self.nodes.is_empty() || self.nodes.len() > NODES_MAX {
            return Err(BadMap("no nodes, or too many"));
        }
        if self.nodes[0].id.0 == 0 || !self.nodes.is_sorted_by(|a, b| a.id < b.id) {
            return Err(BadMap("nodes out of order, twice, or without a number"));
        }
        if self.nodes.iter().any(|node| node.shards == 0)
            || self.nodes.iter().map(|node| u32::from(node.shards)).sum::<u32>() > u16::MAX.into()
        {
            return Err(BadMap("a node without shards, or too many in all"));
        }
        let long = |text: &String| text.len() > PLACE_BYTES_MAX;
        if self
            .nodes
            .iter()
            .any(|node| node.address.is_empty() || [&node.name, &node.address, &node.zone, &node.region].into_iter().any(long))
        {
            return Err(BadMap("an address that is missing, or a name that is too long"));
        }
        Ok(())
    }

    /// Shards of all nodes, in order of the nodes' ids: shard 0 of the cluster is shard 0 of the first.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.shards))
    }

    /// Which shard of which node a shard of the cluster is; `None` past [`Self::shards`].
    #[must_use]
    pub fn place(&self, shard: ShardId) -> Option<(NodeId, ShardId)> {
        let mut left = shard.0;
        for node in &self.nodes {
            if left < node.shards {
                return Some((node.id, ShardId(left)));
            }
            left -= node.shards;
        }
        None
    }

    /// The node that people call so.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Who led a partition when last heard of.
    #[must_use]
    pub fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        self.leaders.get(usize::from(partition.0)).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, shards: u16) -> NodeInfo {
        let place = || "a".to_owned();
        NodeInfo {
            id: NodeId(id),
            name: format!("n{id}"),
            address: "10.0.0.1:7400".into(),
            shards,
            zone: place(),
            region: place(),
            state: NodeState::Up,
        }
    }

    fn map(nodes: &[(u64, u16)]) -> ClusterMap {
        let nodes = nodes.iter().map(|(id, shards)| node(*id, *shards)).collect();
        ClusterMap { epoch: 1, partitions: 2, nodes, leaders: vec![Some(NodeId(1)), None] }
    }

    #[test] // Each row: a shard of a cluster whose nodes 2, 5 and 9 have 2, 1 and 3 shards, and where it is.
    fn shards_are_counted_over_all_nodes() {
        let map = map(&[(2, 2), (5, 1), (9, 3)]);
        assert_eq!(map.check(), Ok(()));
        assert_eq!(map.shards(), 6);
        for (shard, place) in [(0, Some((2, 0))), (1, Some((2, 1))), (2, Some((5, 0))), (3, Some((9, 0))), (5, Some((9, 2))), (6, None)] {
            assert_eq!(map.place(ShardId(shard)), place.map(|(id, local)| (NodeId(id), ShardId(local))), "{shard}");
        }
    }

    #[test] // Each row: a change, and that a map is not taken with it.
    fn maps_that_cannot_be_are_refused() {
        type Change = fn(&mut ClusterMap);
        let changes: [(&str, Change); 10] = [
            ("no partitions", |map| (map.partitions, map.leaders) = (0, Vec::new())),
            ("a leader too few", |map| map.leaders.truncate(1)),
            ("no nodes", |map| map.nodes.clear()),
            ("too many nodes", |map| map.nodes = (1..=NODES_MAX as u64 + 1).map(|id| node(id, 1)).collect()),
            ("node 0", |map| map.nodes[0].id = NodeId(0)),
            ("a node twice", |map| map.nodes[1].id = map.nodes[0].id),
            ("out of order", |map| map.nodes.reverse()),
            ("no shards", |map| map.nodes[0].shards = 0),
            ("too many shards", |map| map.nodes.iter_mut().for_each(|node| node.shards = u16::MAX)),
            ("a long zone", |map| map.nodes[0].zone = "z".repeat(PLACE_BYTES_MAX + 1)),
        ];
        for (what, change) in changes {
            let mut map = map(&[(1, 2), (2, 2)]);
            assert_eq!(map.check(), Ok(()));
            change(&mut map);
            assert!(map.check().is_err(), "{what}");
        }
        // A node may have been removed that led until then.
        assert_eq!(map(&[(7, 1)]).check(), Ok(()));
    }
}

//! The nodes of a cluster, and which of them has a say in which partition.
//!
//! Path: commands on the first partition (`partition/cluster.rs`) → [`Nodes`] → published to all shards of every node → each partition's leader holds
//! its group's members against [`Nodes::members`] and changes them (`shard/core/members.rs`). Nobody orders it: all nodes compute the same.
//! Every node has a replica of every partition, so that it can search and serve all of it from memory; only some of them vote.
//! Bounds: [`NODES_MAX`] nodes, [`VOTERS_MAX`] voters.

use super::check_text;
use crate::record::v1::cluster::{NodeFacts, Standing};
use std::collections::{BTreeMap, BTreeSet};
use wire::{FieldError, NodeId, PartitionId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Nodes of a cluster, those included that were removed.
pub const NODES_MAX: usize = 1_024;
/// Voters of a partition: two may be away, or one damaged and one away.
pub const VOTERS_MAX: usize = 3;
/// Bytes of a name, an address, a zone or a region.
const TEXT_BYTES_MAX: usize = 255;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it said of itself last.
    pub facts: NodeFacts,
    /// What is to become of it.
    pub standing: Standing,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    by_id: BTreeMap<NodeId, Node>,
    /// Rises with every change.
    epoch: u64,
}

/// Who should be in a partition's group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// They vote.
    pub voters: BTreeSet<NodeId>,
    /// They only receive.
    pub learners: BTreeSet<NodeId>,
}

/// Whether a node may be as it says.
///
/// # Errors
/// The field that cannot be taken.
pub fn check(facts: &NodeFacts) -> Result<(), FieldError> {
    let NodeFacts { name, address, shards, zone, region } = facts;
    for (pointer, text) in [("/name", name), ("/address", address), ("/zone", zone), ("/region", region)] {
        check_text(pointer, text, 1, TEXT_BYTES_MAX)?;
    }
    if *shards == 0 {
        let detail = "a node has at least one shard".to_owned();
        return Err(FieldError { pointer: "/shards".to_owned(), code: "too_few".to_owned(), detail });
    }
    Ok(())
}

impl Nodes {
    /// Rises with every change; 0 where nothing was ever said of nodes.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Node> {
        self.by_id.get(&node)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.by_id.iter().map(|(id, node)| (*id, node))
    }

    /// Those that are to lead nothing where others can.
    pub fn draining(&self) -> impl Iterator<Item = NodeId> {
        self.present().filter(|(_, node)| node.standing == Standing::Draining).map(|(id, _)| id)
    }

    /// Those of which something is left.
    pub fn present(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.iter().filter(|(_, node)| node.standing != Standing::Removed)
    }

    /// Whose name it is.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.present().find(|(_, node)| node.facts.name == name).map(|(id, _)| id)
    }

    /// How many there ever were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Was there never one?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The number that the next node gets.
    #[must_use]
    pub fn next(&self) -> NodeId {
        NodeId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1))
    }

    /// Makes a node, or puts it as it is now.
    pub fn put(&mut self, id: NodeId, node: Node) {
        self.by_id.insert(id, node);
        self.epoch += 1;
    }

    /// As it was written; for a restore.
    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// The region whose nodes vote: that of the first node that is left.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.present().next().map(|(_, node)| node.facts.region.as_str())
    }

    /// Who should vote in a partition's group, and who should only receive. O(nodes).
    ///
    /// Voters are an odd number of the home region's nodes, active ones first: in as many zones as there are, and within a zone by a hash of node and partition
    /// (rendezvous hashing: Thaler and Ravishankar, 1998), so that a node that comes or goes moves few others.
    #[must_use]
    pub fn members(&self, partition: PartitionId) -> Members {
        let home = self.home();
        let may_vote = |node: &Node| Some(node.facts.region.as_str()) == home;
        let order = self.present().filter(|(_, node)| may_vote(node)).map(|(id, node)| (id, node, weight(id, partition)));
        let mut order: Vec<(NodeId, &Node, u64)> = order.collect();
        // A draining node votes where there would be too few others: what is acknowledged stays on as many disks.
        order.sort_by_key(|(id, node, weight)| (node.standing, std::cmp::Reverse(*weight), *id));
        let wanted = match order.len() {
            0 => 0,
            few => (few - (few + 1) % 2).min(VOTERS_MAX),
        };
        let mut voters = BTreeSet::new();
        for standing in [Standing::Active, Standing::Draining] {
            let mut left: Vec<(NodeId, &Node)> =
                order.iter().filter(|(_, node, _)| node.standing == standing).map(|(id, node, _)| (*id, *node)).collect();
            // Round after round one of each zone.
            while voters.len() < wanted && !left.is_empty() {
                let mut zones = BTreeSet::new();
                left.retain(|(id, node)| {
                    let is_next = voters.len() < wanted && zones.insert(node.facts.zone.as_str());
                    if is_next {
                        voters.insert(*id);
                    }
                    !is_next
                });
            }
        }
        let learners = self.present().map(|(id, _)| id).filter(|id| !voters.contains(id)).collect();
        Members { voters, learners }
    }
}

fn weight(node: NodeId, partition: PartitionId) -> u64 {
    xxh3_64_with_seed(&node.0.to_le_bytes(), u64::from(partition.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes as `zone`, `zone/region` or `zone!` for a draining one, numbered from 1.
    fn nodes(of: &str) -> Nodes {
        let mut nodes = Nodes::default();
        for word in of.split(' ') {
            let (word, standing) = match word.strip_suffix('!') {
                Some(word) => (word, Standing::Draining),
                None => (word, Standing::Active),
            };
            let (zone, region) = word.split_once('/').unwrap_or((word, "home"));
            let id = nodes.next();
            let facts = NodeFacts {
                name: format!("n{}", id.0),
                address: "127.0.0.1:7000".to_owned(),
                shards: 1,
                zone: zone.to_owned(),
                region: region.to_owned(),
            };
            nodes.put(id, Node { facts, standing });
        }
        nodes
    }

    #[test] // Each row: nodes, then how many vote and how many only receive, in every partition.
    fn an_odd_number_votes_and_everybody_has_all() {
        for (of, voters, learners) in [
            ("a", 1, 0),
            ("a a", 1, 1),
            ("a b c", 3, 0),
            ("a b c d", 3, 1),
            ("a b c!", 3, 0), // as long as there is no other
            ("a b c d!", 3, 1),
            ("a a a! b!", 3, 1),
            ("a!", 1, 0), // somebody must
            ("a b c a/far b/far", 3, 2),
        ] {
            for partition in (0..64).map(PartitionId) {
                let members = nodes(of).members(partition);
                assert_eq!((members.voters.len(), members.learners.len()), (voters, learners), "{of}");
            }
        }
        assert_eq!(Nodes::default().members(PartitionId(0)), Members::default());
    }

    #[test]
    fn a_draining_node_votes_only_where_others_are_too_few() {
        for partition in (0..64).map(PartitionId) {
            assert!(!nodes("a b c d!").members(partition).voters.contains(&NodeId(4)));
            let voters = nodes("a! a b! b").members(partition).voters;
            assert!(voters.contains(&NodeId(2)) && voters.contains(&NodeId(4)), "{voters:?}");
        }
    }

    #[test]
    fn voters_are_spread_over_zones_and_nodes() {
        let nodes = nodes("a a b b c c");
        let mut often = BTreeMap::<NodeId, u32>::new();
        for partition in (0..600).map(PartitionId) {
            let members = nodes.members(partition);
            let zones: BTreeSet<u64> = members.voters.iter().map(|node| (node.0 - 1) / 2).collect();
            assert_eq!(zones.len(), 3, "one of each zone");
            members.voters.into_iter().for_each(|node| *often.entry(node).or_default() += 1);
        }
        assert!(often.values().all(|times| (220..380).contains(times)), "{often:?}");
    }

    #[test]
    fn few_voters_move_when_a_node_comes() {
        let (five, six) = (nodes("a b c d e"), nodes("a b c d e f"));
        let moved = (0..600).map(PartitionId).filter(|partition| five.members(*partition).voters != six.members(*partition).voters).count();
        assert!((200..400).contains(&moved), "about half get the new one as one of three: {moved}");
    }
}

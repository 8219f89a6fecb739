//! Which other nodes there are to talk to, and what this one says of itself.
//!
//! Path: the nodes change, on the first partition → published to all shards → [`State::links_tick`] → [`Output::Peers`] → the driver connects → [`Input::Links`](crate::shard::Input::Links) →
//! the map that clients get. Until a node that joins has heard of the others it turns to those that it was given when it was made.
//! The other way: a start that finds this node not known, or with another number of shards than is known of it, says so to the first partition's leader.

use super::state::State;
use crate::{
    domain::cluster::{Node, Nodes},
    flow,
    record::v1::cluster::{NodeFacts, Standing},
    replication::message::everybody,
    shard::{Output, PeerNode},
};
use wire::{NodeId, placement::NODES_PARTITION};

/// So many ticks pass between two looks at which nodes there are.
const LOOK_TICKS: u64 = 4;
/// So many ticks pass between two times that a node says where it is, while the cluster does not know it: a change of leader takes about as long.
const TELL_TICKS: u64 = 16;

/// What a shard knows of its links.
#[derive(Default)]
pub(crate) struct Links {
    /// As they were told last; `None` before the first time.
    told: Option<Vec<PeerNode>>,
    /// This node said where it is, and has no answer yet.
    telling: bool,
}

impl State {
    /// Tells the driver of other nodes, and the cluster of this one, where that is news.
    pub(super) fn links_tick(&mut self) {
        let Some(cluster) = &self.config.cluster else { return };
        let Some(replication) = &mut self.replication else { return };
        if !replication.ticks.is_multiple_of(LOOK_TICKS) {
            return;
        }
        let nodes = self.config.shared.nodes();
        let is_member = |node: NodeId| {
            let mut groups = self.partitions.values().filter_map(|slot| slot.replica.as_deref());
            groups.any(|replica| everybody(replica.group.tail().membership()).any(|member| member == node))
        };
        let peers = match nodes.get(replication.node) {
            Some(_) => others(&nodes, replication.node, is_member),
            None => cluster.peers.clone(),
        };
        if replication.own_links.told.as_ref() != Some(&peers) {
            replication.links.retain(|node, _| peers.iter().any(|peer| peer.node == *node));
            replication.own_links.told = Some(peers.clone());
            self.outputs.push_back(Output::Peers(peers));
        }
        let may_tell = self.config.owns(NODES_PARTITION) && replication.ticks.is_multiple_of(TELL_TICKS) && !replication.own_links.telling;
        if may_tell && let Some(facts) = untold(&nodes, replication.node, self.config.shards, cluster.facts.as_ref()) {
            replication.own_links.telling = true;
            let node = replication.node;
            let ctx = self.ctx();
            self.spawn.push(Box::pin(async move {
                if let Err(failure) = flow::tell_node(&ctx, node, facts).await {
                    tracing::debug!(?failure, "the cluster was not told of this node; it is told again");
                }
                ctx.with_mut(|state| {
                    if let Some(replication) = &mut state.replication {
                        replication.own_links.telling = false;
                    }
                });
            }));
        }
    }

    /// Connections to other nodes are as the driver says.
    pub(super) fn links_are(&mut self, links: Vec<(NodeId, bool)>) {
        if let Some(replication) = &mut self.replication {
            replication.links = links.into_iter().collect();
        }
    }
}

/// The other nodes of which something is left: one that was removed too, as long as it is a member of a group, which may need its vote to let it go.
fn others(nodes: &Nodes, own: NodeId, is_member: impl Fn(NodeId) -> bool) -> Vec<PeerNode> {
    let is_left = |(node, it): &(NodeId, &Node)| it.standing != Standing::Removed || is_member(*node);
    let others = nodes.iter().filter(|(node, _)| *node != own).filter(is_left);
    others.map(|(node, it)| PeerNode { node, address: it.facts.address.clone(), shards: it.facts.shards }).collect()
}

/// What the cluster does not know of this node and should. Its address, zone and region are what the operators said last.
fn untold(nodes: &Nodes, own: NodeId, shards: u16, first: Option<&NodeFacts>) -> Option<NodeFacts> {
    match nodes.get(own) {
        Some(node) if node.standing == Standing::Removed || node.facts.shards == shards => None,
        Some(node) => Some(NodeFacts { shards, ..node.facts.clone() }),
        None => first.filter(|_| nodes.is_empty()).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, shards: u16) -> NodeFacts {
        let text = |text: &str| text.to_owned();
        NodeFacts { name: text(name), address: format!("{name}.example:7443"), shards, zone: text("a"), region: text("eu") }
    }

    #[test] // Each row: the nodes' names with their shards and `!` for a removed one, this node's number and shards, what it should say its shards are.
    fn a_node_says_only_what_is_news() {
        for (of, own, shards, says) in [
            ("", 1, 2, Some(2)),   // the first of all
            ("", 2, 2, Some(2)),   // refused, since the first is number 1
            ("a1", 2, 2, None),    // the others have not heard of it, and it cannot add itself
            ("a1 b2", 2, 2, None), // known as it is
            ("a1 b2", 2, 3, Some(3)),
            ("a1 b2!", 2, 3, None),
        ] {
            let mut nodes = Nodes::default();
            for word in of.split_whitespace() {
                let (word, standing) = word.strip_suffix('!').map_or((word, Standing::Active), |word| (word, Standing::Removed));
                let (name, shards) = word.split_at(1);
                let facts = facts(name, shards.parse().expect("a number"));
                nodes.put(nodes.next(), Node { facts, standing });
            }
            let untold = untold(&nodes, NodeId(own), shards, Some(&facts("own", shards)));
            assert_eq!(untold.map(|facts| facts.shards), says, "{of}");
        }
    }

    #[test]
    fn other_nodes_are_those_that_are_left() {
        let mut nodes = Nodes::default();
        for (name, standing) in [("a", Standing::Active), ("b", Standing::Removed), ("c", Standing::Draining), ("d", Standing::Active)] {
            nodes.put(nodes.next(), Node { facts: facts(name, 2), standing });
        }
        let peer = |node, name: &str| PeerNode { node: NodeId(node), address: format!("{name}.example:7443"), shards: 2 };
        assert_eq!(others(&nodes, NodeId(4), |_| false), [peer(1, "a"), peer(3, "c")]);
        assert_eq!(others(&nodes, NodeId(4), |node| node == NodeId(2)), [peer(1, "a"), peer(2, "b"), peer(3, "c")]);
    }
}

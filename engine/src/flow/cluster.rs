//! The cluster's nodes: its map for clients, and what operators decide about them.
//!
//! Path of a change: the operators' tool → the first partition's leader → `AddNode`, `TellNode`, `SetNode` → every node hears of it and acts by itself
//! (`shard/core/members.rs`). The map is answered by any node, as it knows things.

use super::{Head, Trail, read, refused};
use crate::{
    domain::cluster::Node,
    partition::Done,
    record::v1::{Command, cluster as v1},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
        state::State,
    },
};
use wire::{
    Body, ClusterMap, Failure, FieldError, NodeFacts, NodeId, NodeInfo, NodeStanding, NodeState, PartitionId, Refusal,
    placement::NODES_PARTITION,
};

/// The nodes as this one knows them; `None` where it is alone.
pub(super) fn map(state: &State) -> Option<ClusterMap> {
    let replication = state.replication.as_ref()?;
    let (nodes, shared) = (state.config.shared.nodes(), &state.config.shared);
    let info = |(id, node): (NodeId, &Node)| {
        let is_up = id == replication.node || replication.links.get(&id).copied().unwrap_or(false);
        let v1::NodeFacts { name, address, shards, zone, region } = node.facts.clone();
        let state = match (is_up, node.standing) {
            (false, _) => NodeState::Down,
            (true, v1::Standing::Draining | v1::Standing::Removed) => NodeState::Draining,
            (true, v1::Standing::Active) => NodeState::Up,
        };
        NodeInfo { id, name, address, shards, zone, region, state }
    };
    let map = ClusterMap {
        epoch: nodes.epoch(),
        partitions: state.config.partitions,
        nodes: nodes.present().map(info).collect(),
        leaders: (0..state.config.partitions).map(|partition| shared.leader(PartitionId(partition))).collect(),
    };
    // A node that has just joined knows nobody yet, and one of a cluster that begins has not said who it is.
    (!map.nodes.is_empty()).then_some(map)
}

/// How this node's replicas stand.
pub(super) async fn replicas(ctx: &Ctx, head: &Head) -> Result<Body, Failure> {
    head.system()?;
    let mut replicas = Vec::new();
    for answer in ctx.ask_all(Ask::Replicas).await? {
        match answer {
            Answer::Replicas(part) => replicas.extend(part),
            other => return Err(unexpected(&other)),
        }
    }
    replicas.sort_unstable_by_key(|replica| replica.partition);
    Ok(Body::Replicas(replicas))
}

/// What is to be different about a node.
pub(super) struct Wanted {
    pub(super) address: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) region: Option<String>,
    pub(super) standing: Option<NodeStanding>,
}

pub(super) async fn add(ctx: &Ctx, head: &Head, trail: &mut Trail, facts: NodeFacts) -> Result<Body, Failure> {
    head.system()?;
    of_a_cluster(ctx)?;
    let NodeFacts { name, address, shards, zone, region } = facts;
    let facts = v1::NodeFacts { name, address, shards, zone, region };
    let node = propose(ctx, head, trail, Command::AddNode { facts }).await?;
    Ok(Body::Node(node))
}

pub(super) async fn change(ctx: &Ctx, head: &Head, trail: &mut Trail, node: NodeId, wanted: Wanted) -> Result<Body, Failure> {
    head.system()?;
    of_a_cluster(ctx)?;
    let Wanted { address, zone, region, standing } = wanted;
    let known = read(ctx, NODES_PARTITION, |partition| partition.nodes().get(node).cloned())?;
    let Node { facts, standing: stands } = known.ok_or_else(|| refused(Refusal::NotFound))?;
    let next = v1::NodeFacts {
        address: address.unwrap_or_else(|| facts.address.clone()),
        zone: zone.unwrap_or_else(|| facts.zone.clone()),
        region: region.unwrap_or_else(|| facts.region.clone()),
        ..facts.clone()
    };
    if next != facts {
        propose(ctx, head, trail, Command::TellNode { node: node.0, facts: next }).await?;
    }
    let standing = standing.map(|standing| match standing {
        NodeStanding::Active => v1::Standing::Active,
        NodeStanding::Draining => v1::Standing::Draining,
        NodeStanding::Removed => v1::Standing::Removed,
    });
    if let Some(standing) = standing.filter(|standing| *standing != stands) {
        propose(ctx, head, trail, Command::SetNode { node: node.0, standing }).await?;
    }
    Ok(Body::Node(node))
}

/// What a node says of itself when it starts.
pub(crate) async fn tell(ctx: &Ctx, node: NodeId, facts: v1::NodeFacts) -> Result<(), Failure> {
    let committed = ctx.command(NODES_PARTITION, Command::TellNode { node: node.0, facts }).await?;
    committed.applied.outcome.map(drop).map_err(refused)
}

async fn propose(ctx: &Ctx, head: &Head, trail: &mut Trail, command: Command) -> Result<NodeId, Failure> {
    let committed = ctx.propose(NODES_PARTITION, head.entry(command)).await?;
    match trail.note(committed).map_err(refused)? {
        Done::Node { node, .. } => Ok(NodeId(node)),
        other => {
            tracing::error!(?other, "a command about a node had another outcome");
            Err(Failure::Internal)
        }
    }
}

/// A node alone has no say over nodes.
fn of_a_cluster(ctx: &Ctx) -> Result<(), Failure> {
    if ctx.with(|state| state.replication.is_some()) {
        return Ok(());
    }
    let detail = "this node is alone: stop it, run `emporion cluster init` on its folder, and start it again".to_owned();
    Err(refused(Refusal::Invalid(vec![FieldError { pointer: String::new(), code: "alone".to_owned(), detail }])))
}

//! `emporion cluster join`: makes the folder of a further node.
//!
//! Path: the invitation → a running node, which gives a number (`AddNode`) and names the others → the shop's keys, then the folder itself, which makes it whole.
//! Interrupted anywhere, it can be repeated: the number it was given then goes to nobody, and the next takes the node's name from it.
//! Deliberately absent: data. The node gets all of it from the others once it runs.

use super::{
    args::JoinArgs,
    operator::{Operator, strange},
};
use crate::{
    fail::Fail,
    invitation::{ForNode, Guest, Invitation, Kind},
};
use engine::{
    node::{self, Joining, Place},
    shard::PeerNode,
};
use std::thread::available_parallelism;
use wire::{Body, ClusterMap, NodeFacts, NodeId, NodeState, Op};

pub(crate) fn run(args: &JoinArgs) -> Result<(), Fail> {
    let place = args.place.place();
    place.check().map_err(|error| Fail::Usage(error.to_string()))?;
    node::may_join(&args.data).map_err(|error| Fail::of(&error))?;
    let missing = || {
        Fail::Failed(format!(
            "there is no invitation {}: make one with `emporion cluster invite --for node --out FILE` at a node",
            args.invitation.display()
        ))
    };
    let invitation = Invitation::read(&args.invitation, Kind::Node)?.ok_or_else(missing)?;
    let Guest::Node(shop) = &invitation.guest else { return Err(missing()) };
    let shards =
        args.shards.unwrap_or_else(|| u16::try_from(available_parallelism().map_or(1, usize::from) / 2).unwrap_or(u16::MAX).max(1));
    let (node, peers) = super::runtime()?.block_on(number(&invitation, shop, &place, shards))?;
    shop.keys.lay_down(&args.data)?;
    let joining = Joining { node, place, partitions: shop.partitions, epoch: shop.epoch, shop_key: shop.shop.0, peers };
    let file = node::join(&args.data, &joining).map_err(|error| Fail::of(&error))?;
    println!(
        "{} is node {} of the cluster, `{}`. Start it: emporion engine --data {0} --shards {shards}\nIt gets the shop's data from the others; `emporion cluster status` tells of it.",
        args.data.display(),
        file.node.0,
        file.place.name
    );
    Ok(())
}

/// Has the cluster give the node a number, and says who else there is.
async fn number(invitation: &Invitation, shop: &ForNode, place: &Place, shards: u16) -> Result<(NodeId, Vec<PeerNode>), Fail> {
    let operator = Operator::invited(&invitation.engines, &invitation.link.ca, &invitation.credentials()).await?;
    let map = operator.map().await?;
    may_be_added(&map, shop, &place.name)?;
    let Place { name, address, zone, region } = place.clone();
    let node = match operator.ask(Op::AddNode(NodeFacts { name, address, shards, zone, region })).await? {
        Body::Node(node) => node,
        other => return Err(strange(&other)),
    };
    let others = map.nodes.into_iter().filter(|other| other.name != place.name);
    Ok((node, others.map(|other| PeerNode { node: other.id, address: other.address, shards: other.shards }).collect()))
}

/// Whether the cluster is the invitation's, and has no such node running.
fn may_be_added(map: &ClusterMap, shop: &ForNode, name: &str) -> Result<(), Fail> {
    if map.partitions != shop.partitions {
        return Err(Fail::Failed(format!(
            "the cluster has {} partitions, and the invitation is for one of {}: make another with `emporion cluster invite --for node`",
            map.partitions, shop.partitions
        )));
    }
    match map.named(name) {
        Some(other) if other.state != NodeState::Down => Err(Fail::Failed(format!(
            "node {} runs under the name `{name}`: choose another with --name, or take that one out with `emporion cluster remove {name}`",
            other.id.0
        ))),
        Some(_) | None => Ok(()),
    }
}

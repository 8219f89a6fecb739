//! `emporion cluster drain`, `resume`, `remove` and `move`: says what becomes of a node, or where it is. The nodes act on it by themselves.
//! Bound: [`LEAVE_WAIT_MAX`].

use super::{
    args::{MoveArgs, NodeArgs},
    operator::{Operator, named, strange},
};
use crate::fail::Fail;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};
use wire::{Body, NodeId, NodeStanding, Op, ReplicaView};

/// How long it is waited until the cluster needs a node no more. The groups of a large shop hand over one after the other.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(300);
const LEAVE_LOOK: Duration = Duration::from_millis(200);

/// Says what becomes of a node, and waits until it has: until it leads nothing, or has no vote.
pub(crate) fn stand(args: &NodeArgs, standing: NodeStanding) -> Result<(), Fail> {
    let change = |node| Op::ChangeNode { node, address: None, zone: None, region: None, standing: Some(standing) };
    super::runtime()?.block_on(async {
        let operator = Operator::of_folder(&args.data).await?;
        let (node, name) = change_node(&operator, args, change).await?;
        let said = match standing {
            NodeStanding::Active => "votes and leads again",
            NodeStanding::Draining => {
                wait(&operator, node, "leads", |replica| replica.leader == Some(node)).await?;
                "leads nothing: it can be stopped"
            }
            NodeStanding::Removed => {
                wait(&operator, node, "has a vote in", |replica| replica.voters.contains(&node)).await?;
                "is out of the cluster for good: stop it if it runs, its folder serves no more"
            }
        };
        println!("node {} `{name}` {said}", node.0);
        Ok(())
    })
}

/// Waits until, as all others say, no partition needs the node.
async fn wait(operator: &Operator, node: NodeId, how: &str, needs: impl Fn(&ReplicaView) -> bool) -> Result<(), Fail> {
    let until = Instant::now() + LEAVE_WAIT_MAX;
    loop {
        let map = operator.map().await?;
        let mut others = operator.all_replicas(&map).await;
        others.remove(&node);
        let needed = others.values().flatten().filter(|replica| needs(replica)).map(|replica| replica.partition);
        let needed: BTreeSet<_> = needed.collect();
        if needed.is_empty() && !others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Fail::Failed(format!(
                "node {} still {how} {} partitions: let it run, see `emporion cluster status`, and repeat the command to wait on",
                node.0,
                needed.len()
            )));
        }
        sleep(LEAVE_LOOK).await;
    }
}

pub(crate) fn place(args: &MoveArgs) -> Result<(), Fail> {
    let MoveArgs { of, address, zone, region } = args;
    if address.is_none() && zone.is_none() && region.is_none() {
        return Err(Fail::Usage("say where the node is from now on: --address, --zone or --region".into()));
    }
    let change = |node| Op::ChangeNode {
        node,
        address: address.as_ref().map(ToString::to_string),
        zone: zone.clone(),
        region: region.clone(),
        standing: None,
    };
    super::runtime()?.block_on(async {
        let operator = Operator::of_folder(&of.data).await?;
        let (node, name) = change_node(&operator, of, change).await?;
        println!("node {} `{name}` is known to be there by the cluster", node.0);
        Ok(())
    })
}

async fn change_node(operator: &Operator, args: &NodeArgs, change: impl FnOnce(NodeId) -> Op) -> Result<(NodeId, String), Fail> {
    let map = operator.map().await?;
    let node = named(&map, &args.node)?;
    match operator.ask(change(node.id)).await? {
        Body::Node(_) => Ok((node.id, node.name.clone())),
        other => Err(strange(&other)),
    }
}

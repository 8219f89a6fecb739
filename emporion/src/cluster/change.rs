//! `emporion cluster drain`, `resume`, `remove` and `move`: says what becomes of a node, or where it is. The nodes act on it by themselves.

use super::{
    args::{MoveArgs, NodeArgs},
    operator::{Operator, named, strange},
};
use crate::fail::Fail;
use wire::{Body, NodeId, NodeStanding, Op};

pub(crate) fn stand(args: &NodeArgs, standing: NodeStanding) -> Result<(), Fail> {
    let said = match standing {
        NodeStanding::Active => "votes and leads again",
        NodeStanding::Draining => "hands over what it leads; once it leads nothing, it can be stopped or removed",
        NodeStanding::Removed => "is out of the cluster for good: stop it if it runs, its folder serves no more",
    };
    let change = |node| Op::ChangeNode { node, address: None, zone: None, region: None, standing: Some(standing) };
    change_node(args, change, said)
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
    change_node(of, change, "is known to be there by the cluster")
}

fn change_node(args: &NodeArgs, change: impl FnOnce(NodeId) -> Op, said: &str) -> Result<(), Fail> {
    super::runtime()?.block_on(async {
        let operator = Operator::of_folder(&args.data).await?;
        let map = operator.map().await?;
        let node = named(&map, &args.node)?;
        match operator.ask(change(node.id)).await? {
            Body::Node(_) => {
                println!("node {} `{}` {said}", node.id.0, node.name);
                Ok(())
            }
            other => Err(strange(&other)),
        }
    })
}

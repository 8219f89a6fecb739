//! The commands about a cluster's nodes, which live on the first partition.
//!
//! Path: `AddNode`, `TellNode`, `SetNode` → [`Nodes`] → the shard publishes them, on every node → each partition's leader brings its group in line.

use super::snapshot::fields::{Field, put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::{ApplyContext, Digest, Done, Outcome};
use crate::domain::cluster::{NODES_MAX, Node, Nodes, check};
use crate::record::v1::cluster::{NodeFacts, Standing};
use std::hash::Hasher;
use std::sync::Arc;
use wire::{NodeId, Refusal};

/// A node joins. One that has the name of another takes its place: that one's folder is gone, and it never comes back under its number.
pub(super) fn add(shared: &mut Arc<Nodes>, ctx: &mut ApplyContext<'_>, facts: &NodeFacts) -> Outcome {
    check(facts).map_err(|error| Refusal::Invalid(vec![error]))?;
    if shared.len() >= NODES_MAX {
        return Err(Refusal::LimitReached { what: "nodes, removed ones included".to_owned(), max: NODES_MAX as u64 });
    }
    let nodes = Arc::make_mut(shared);
    if let Some(known) = nodes.named(&facts.name)
        && let Some(node) = nodes.get(known).cloned()
    {
        nodes.put(known, Node { standing: Standing::Removed, ..node });
    }
    let id = nodes.next();
    nodes.put(id, Node { facts: facts.clone(), standing: Standing::Active });
    ctx.changes.nodes = true;
    Ok(Done::Node { node: id.0, epoch: nodes.epoch() })
}

/// A node starts, and says where it is now.
pub(super) fn tell(shared: &mut Arc<Nodes>, ctx: &mut ApplyContext<'_>, node: u64, facts: &NodeFacts) -> Outcome {
    check(facts).map_err(|error| Refusal::Invalid(vec![error]))?;
    let id = NodeId(node);
    let known = shared.get(id).filter(|known| known.standing != Standing::Removed).cloned();
    // The first node of all adds itself with this.
    let known = match known {
        Some(known) => known,
        None if shared.is_empty() && id == shared.next() => Node { facts: facts.clone(), standing: Standing::Active },
        None => return Err(Refusal::NotFound),
    };
    if shared.named(&facts.name).is_some_and(|other| other != id) {
        return Err(Refusal::KeyTaken { key: facts.name.clone() });
    }
    if shared.get(id).is_some_and(|known| known.facts == *facts) {
        return Ok(Done::Node { node, epoch: shared.epoch() });
    }
    let nodes = Arc::make_mut(shared);
    nodes.put(id, Node { facts: facts.clone(), ..known });
    ctx.changes.nodes = true;
    Ok(Done::Node { node, epoch: nodes.epoch() })
}

/// Somebody decides what becomes of a node.
pub(super) fn set(shared: &mut Arc<Nodes>, ctx: &mut ApplyContext<'_>, node: u64, standing: Standing) -> Outcome {
    let id = NodeId(node);
    let known = shared.get(id).cloned().ok_or(Refusal::NotFound)?;
    if known.standing == standing {
        return Ok(Done::Node { node, epoch: shared.epoch() });
    }
    // What is removed stays so; and somebody must be left to vote.
    let others = shared.present().filter(|(other, it)| *other != id && it.standing == Standing::Active).count();
    if known.standing == Standing::Removed || (standing == Standing::Removed && others == 0) {
        return Err(Refusal::Forbidden);
    }
    let nodes = Arc::make_mut(shared);
    nodes.put(id, Node { standing, ..known });
    ctx.changes.nodes = true;
    Ok(Done::Node { node, epoch: nodes.epoch() })
}

pub(super) fn digest(nodes: &Nodes, digest: &mut Digest) {
    // Elsewhere than on the first partition of a cluster there is nothing, and nothing is told.
    if nodes.is_empty() {
        return;
    }
    digest.section("nodes");
    digest.write_u64(nodes.epoch());
    for (id, node) in nodes.iter() {
        digest.write_u64(id.0);
        digest.archive(&node.facts);
        digest.archive(&node.standing);
    }
}

/// The nodes as they were at a freeze. So few that all are written at once.
#[derive(Debug)]
pub(super) struct Walked(Arc<Nodes>);

impl Walked {
    pub(super) fn of(nodes: &Arc<Nodes>) -> Self {
        Self(Arc::clone(nodes))
    }

    /// Writes the nodes into a snapshot, by number, each with the epoch.
    pub(super) fn walk(&self, items: &mut Items<'_>) -> bool {
        for (id, node) in self.0.iter() {
            items.put(Kind::Node, |body| {
                id.0.put(body);
                self.0.epoch().put(body);
                number(node.standing).put(body);
                put_archive(&node.facts, body);
            });
        }
        false
    }
}

/// As snapshots have it.
fn number(standing: Standing) -> u8 {
    match standing {
        Standing::Active => 0,
        Standing::Draining => 1,
        Standing::Removed => 2,
    }
}

fn standing(number: u8) -> Option<Standing> {
    [Standing::Active, Standing::Draining, Standing::Removed].get(usize::from(number)).copied()
}

/// Takes a node of a snapshot.
pub(super) fn put_back(shared: &mut Arc<Nodes>, body: &mut &[u8]) -> Result<(), BadItem> {
    let mut fields = || Some((u64::take(body)?, u64::take(body)?, standing(u8::take(body)?)?, take_archive::<NodeFacts>(body)?));
    let (node, epoch, standing, facts) = fields().ok_or(BadItem::Damaged)?;
    check(&facts).map_err(|_| BadItem::Unfit)?;
    let id = NodeId(node);
    if id < shared.next() || node == 0 {
        return Err(BadItem::OutOfOrder);
    }
    if shared.len() >= NODES_MAX || (standing != Standing::Removed && shared.named(&facts.name).is_some()) {
        return Err(BadItem::Unfit);
    }
    let nodes = Arc::make_mut(shared);
    nodes.put(id, Node { facts, standing });
    nodes.set_epoch(epoch);
    Ok(())
}

//! The network between machines: what is said takes time, gets lost, comes twice or out of order, or finds its way cut.
//!
//! Path: a core says something to another node → [`World::say`], over the bytes, as between processes → an event → [`World::node_arrives`] → the shards of the process
//! that runs there by then, which may be another than when it was said. What a cut is, and how long it lasts: `faults.rs`.

use super::{
    checks::{Violation, must},
    machine::{Machine, MachineId},
    world::{Event, World},
};
use crate::{
    replication::message::{Body, GroupMessage, Kind},
    shard::{Input, NodeBatch},
};
use std::{collections::BTreeMap, rc::Rc};
use wire::NodeId;

/// Which ways between machines are closed: one way each, with how many faults make it so.
#[derive(Debug, Default)]
pub(super) struct Cuts(BTreeMap<(MachineId, MachineId), u32>);

impl Cuts {
    pub(super) fn close(&mut self, from: MachineId, to: MachineId) {
        *self.0.entry((from, to)).or_default() += 1;
    }

    pub(super) fn open(&mut self, from: MachineId, to: MachineId) {
        if let Some(cuts) = self.0.get_mut(&(from, to)) {
            *cuts = cuts.saturating_sub(1);
        }
    }

    fn is_closed(&self, from: MachineId, to: MachineId) -> bool {
        self.0.get(&(from, to)).is_some_and(|cuts| *cuts > 0)
    }
}

/// What nodes have told each other that must hold for ever, whatever happens to them.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// For whom a machine voted, by group and term.
    votes: BTreeMap<(MachineId, u16, u64), NodeId>,
    /// Who led a group in a term.
    leaders: BTreeMap<(u16, u64), MachineId>,
    /// By machine and group: the life it is in, the highest term of its promises in this one, and in those before.
    terms: BTreeMap<(MachineId, u16), (u32, u64, u64)>,
}

impl Promises {
    /// A machine, in one of its lives, says something.
    fn hear(&mut self, from: MachineId, life: u32, to: NodeId, batch: &NodeBatch) -> Result<(), Violation> {
        for GroupMessage { group, body } in &batch.messages {
            let Body::Raft(raft) = body else { continue };
            let (group, term, who) = (*group, raft.term, from.0);
            let vote = match raft.kind {
                Kind::Vote => Some(from.node()),
                Kind::VoteResponse if !raft.reject => Some(to),
                Kind::PreVote | Kind::PreVoteResponse => continue,
                _ => None,
            };
            if matches!(raft.kind, Kind::Append | Kind::Heartbeat | Kind::Snapshot) {
                let leader = *self.leaders.entry((group, term)).or_insert(from);
                must(leader == from, || format!("machines {} and {who} lead partition {group} in term {term}", leader.0))?;
            }
            if let Some(vote) = vote {
                let first = *self.votes.entry((from, group, term)).or_insert(vote);
                must(first == vote, || {
                    format!("machine {who} votes for nodes {} and {} in term {term} of partition {group}", first.0, vote.0)
                })?;
            }
            let (known, now, before) = self.terms.entry((from, group)).or_insert((life, 0, 0));
            if *known != life {
                (*known, *before) = (life, (*before).max(*now));
            }
            must(term >= *before, || {
                format!(
                    "machine {who} speaks of term {term} of partition {group}, and had promised something in term {before} before it was started"
                )
            })?;
            if vote.is_some() || raft.kind == Kind::AppendResponse && !raft.reject {
                *now = (*now).max(term);
            }
        }
        Ok(())
    }
}

impl World {
    /// A node says something to another one.
    pub(super) fn say(&mut self, from: MachineId, to: NodeId, batch: &NodeBatch) -> Result<(), Violation> {
        let bytes = batch.encode();
        must(NodeBatch::decode(&bytes).as_ref() == Ok(batch), || format!("machine {} says what does not read: {batch:?}", from.0))?;
        self.promises.hear(from, self.machines[from].life, to, batch)?;
        self.trace_of(from, 10, bytes.len() as u64);
        let (to, bytes): (MachineId, Rc<[u8]>) = (MachineId::of(to), bytes.into());
        if self.cuts.is_closed(from, to) {
            return Ok(());
        }
        for delay in self.journeys() {
            self.schedule(delay, Event::NodeArrives { machine: to, from, bytes: Rc::clone(&bytes) });
        }
        Ok(())
    }

    /// What a node said comes to another one.
    pub(super) fn node_arrives(&mut self, machine: MachineId, from: MachineId, bytes: &[u8]) {
        // One that was added may be named before its machine is there.
        let shards = self.machines.get(machine.place()).map_or(0, Machine::shards);
        if shards == 0 {
            return;
        }
        let batch = NodeBatch::decode(bytes).expect("it was read when it was sent");
        for (shard, batch) in batch.by_shard(shards) {
            self.deliver(machine, shard.0, Input::Node { from: from.node(), batch });
        }
    }
}

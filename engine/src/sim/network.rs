//! The network between machines: what is said takes time, gets lost, comes twice or out of order, or finds its way cut.
//!
//! Path: a core says something to another node → [`World::say`], over the bytes, as between processes → an event → [`World::node_arrives`] → the shards of the process
//! that runs there by then, which may be another than when it was said. What a cut is, and how long it lasts: `faults.rs`.

use super::{
    checks::{Violation, must},
    machine::MachineId,
    world::{Event, World},
};
use crate::shard::{Input, NodeBatch};
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

impl World {
    /// A node says something to another one.
    pub(super) fn say(&mut self, from: MachineId, to: NodeId, batch: &NodeBatch) -> Result<(), Violation> {
        let bytes = batch.encode();
        must(NodeBatch::decode(&bytes).as_ref() == Ok(batch), || format!("machine {} says what does not read: {batch:?}", from.0))?;
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
        let shards = self.machines[machine].shards();
        if shards == 0 {
            return;
        }
        let batch = NodeBatch::decode(bytes).expect("it was read when it was sent");
        for (shard, batch) in batch.by_shard(shards) {
            self.deliver(machine, shard.0, Input::Node { from: from.node(), batch });
        }
    }
}

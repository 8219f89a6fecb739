//! Brings each group's members in line with the cluster's nodes.
//!
//! Path: nodes change, on the first partition → published to all shards → now and then each leader compares ([`Nodes::members`](crate::domain::cluster::Nodes::members)) → the next step
//! ([`Group::next_change`](crate::replication::group::Group::next_change)) is proposed → applied by every replica → the next one. New members receive first, and vote once they have come up to the leader.
//! Nobody orders it, so nobody need live for it to go on. Bound: one change of a group at a time.

use super::state::State;
use wire::PartitionId;

/// So many ticks pass between two looks.
const LOOK_TICKS: u64 = 8;

impl State {
    /// Looks at the groups that are led from here.
    pub(super) fn members_tick(&mut self) {
        let Some(replication) = &self.replication else { return };
        if !replication.ticks.is_multiple_of(LOOK_TICKS) {
            return;
        }
        let nodes = self.config.shared.nodes();
        if nodes.is_empty() {
            return;
        }
        let led: Vec<PartitionId> = self.partitions.iter().filter(|(_, slot)| slot.leads()).map(|(id, _)| *id).collect();
        for id in led {
            let wanted = nodes.members(id);
            let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut()) else { continue };
            if let Some(change) = replica.group.next_change(&wanted.voters, &wanted.learners) {
                tracing::debug!(partition = id.0, ?change, "a change of members is proposed");
                // Refused while another one is on its way; the next look proposes what is missing then.
                let _ = replica.group.propose_change(&change);
            }
            self.has_work(id);
        }
    }
}

//! What a node does when it comes to lead a partition, and when it does not lead it any more.
//!
//! Path: a group's work is done → [`State::lead_changed`] → effects that are not answered are sent again, orders that need a plan get one, timers run; or
//! whoever waited is told to go elsewhere. A partition of one node alone is led from its start on.

use super::{
    pipeline::ToLog,
    state::{Slot, State},
};
use crate::{flow, mutants, partition::Partition, replication::Place};
use wire::{EventId, Millis, OrderId, PartitionId};

/// Two nodes' clocks may be so far apart, in milliseconds, before one of them is not believed.
const SKEW_MS_MAX: i64 = 1_000;

impl State {
    /// A start: what is led from here is taken up, and what the groups are is told in the log. `marks` are snapshots that partitions began with: after
    /// a crash their marks may be missing there.
    pub(crate) fn begin(&mut self, marks: Vec<(PartitionId, Place)>) {
        if self.replication.is_some() {
            marks.into_iter().for_each(|(id, place)| self.log(id, Some(ToLog::Snapshot(place)), None));
            self.restate();
        }
        let led: Vec<PartitionId> = self.partitions.iter().filter(|(_, slot)| slot.leads()).map(|(id, _)| *id).collect();
        led.into_iter().for_each(|id| self.take_up(id));
    }

    /// Takes notice of who leads a partition. Was anybody told?
    pub(super) fn lead_changed(&mut self, id: PartitionId) -> bool {
        let Some(slot) = self.partitions.get_mut(&id) else { return false };
        let Some(replica) = slot.replica.as_deref_mut() else { return false };
        self.config.shared.publish_leader(id, replica.group.leader());
        let leads = replica.group.leads_fully().then(|| replica.group.term());
        let led = std::mem::replace(&mut replica.leading, leads);
        let is_leader = replica.group.leads();
        let last_time = slot.partition.last_time();
        let mut told = false;
        if !is_leader {
            told |= self.interrupt(id) | self.refuse_reads(id);
        }
        if leads == led {
            return told;
        }
        self.timer_changed(id);
        if leads.is_some() {
            tracing::debug!(partition = id.0, term = leads, "leads");
            self.set_clock(id);
            self.clock.not_before(last_time);
            self.take_up(id);
            // Flows were begun.
            told = true;
        }
        told
    }

    /// Does what the log of a partition asks for: sends effects that are not answered, gives orders a plan that need one.
    pub(crate) fn take_up(&mut self, id: PartitionId) {
        let Some(partition) = self.partition(id) else { return };
        let mut effects: Vec<EventId> = partition.outbox().open.keys().copied().collect();
        let resource: Vec<OrderId> = wanting_source(partition).collect();
        if mutants::is(mutants::Mutant::OutboxNotResent) {
            effects.clear();
        }
        for effect in effects {
            self.send_effect(id, effect);
        }
        for order in resource {
            let ctx = self.ctx();
            self.spawn.push(Box::pin(flow::checkout::resource(ctx, id, order)));
        }
    }

    /// Before anything is stamped in a lead: time goes on from the newest entry there is, committed or not, or from what the nodes' clocks show. One of them
    /// that is far from the others does not count, this node's own included: it may have been wrong since the start.
    pub(super) fn set_clock(&mut self, id: PartitionId) {
        let replica = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut());
        let Some(replica) = replica.filter(|replica| replica.group.leads() && replica.stamps_in != replica.group.term()) else { return };
        replica.stamps_in = replica.group.term();
        let newest = replica.group.newest_time();
        let ahead_ms = self.believe_clock();
        let stamps =
            |slot: &Slot| slot.replica.as_ref().is_some_and(|replica| replica.group.leads() && replica.stamps_in == replica.group.term());
        if !self.partitions.iter().any(|(other, slot)| *other != id && stamps(slot)) {
            let last = self.partitions.values().map(|slot| slot.partition.last_time()).max().unwrap_or(Millis(0));
            let wall = self.now.wall.0.saturating_add_signed(ahead_ms);
            self.clock.begin(last.max(Millis(wall)), self.now);
        }
        self.clock.not_before(newest);
    }

    /// Is this node's wall clock close to the others'? Half of them at least must be within [`SKEW_MS_MAX`]; a node that hears nobody believes itself. Gives how
    /// far ahead the clock is that is believed, in milliseconds. Of two in the middle the earlier: what is late only lasts longer.
    fn believe_clock(&mut self) -> i64 {
        let Some(replication) = &self.replication else { return 0 };
        let own = self.now.wall.0.cast_signed().saturating_sub((self.now.mono_us / 1_000).cast_signed());
        let mut ahead: Vec<i64> = replication.walls_ms.values().map(|wall| wall.saturating_sub(own)).chain([0]).collect();
        ahead.sort_unstable();
        let median = ahead[(ahead.len() - 1) / 2];
        let is_believed = median.abs() <= SKEW_MS_MAX;
        if self.clock.believe(is_believed, self.now) && !is_believed {
            tracing::error!(
                ahead_ms = median,
                "this node's wall clock is far from the other nodes': entries are stamped by its monotonic clock until that is mended"
            );
        }
        if is_believed { 0 } else { median }
    }
}

fn wanting_source(partition: &Partition) -> impl Iterator<Item = OrderId> {
    partition.orders().filter(|order| flow::checkout::wants_source(order).is_some()).map(|order| order.id)
}

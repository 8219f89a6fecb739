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

/// A node that ends in order hands over what it leads, and waits so long for others to take it: twice as long as one round of votes takes, and far less than an
/// election after it.
const HAND_OVER_MS: u64 = 1_000;
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

    /// The node is to end in order. In a cluster it first hands over what it leads: who asks meanwhile is served here or told who leads now.
    pub(super) fn leave(&mut self) {
        let until_us = self.in_ms(HAND_OVER_MS);
        match &mut self.replication {
            Some(replication) if !self.draining => replication.leaving_us = Some(until_us),
            Some(_) | None => {}
        }
        self.hand_over();
    }

    /// Hands over what is still led; once nothing is, or it takes too long, the drain begins.
    pub(super) fn hand_over(&mut self) {
        let mut leads = false;
        if let Some(until_us) = self.replication.as_ref().and_then(|replication| replication.leaving_us)
            && self.now.mono_us < until_us
        {
            let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
            for id in ids {
                let replica = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut());
                leads |= replica.is_some_and(|replica| replica.group.hand_over());
                self.has_work(id);
            }
        }
        if leads {
            return;
        }
        let leads_nothing = self.partitions.values().all(|slot| slot.replica.as_ref().is_some_and(|replica| !replica.group.leads()));
        if let Some(replication) = &mut self.replication {
            replication.leaving_us = None;
            // What it would still be told to write would keep it from ending; it gets it at its next start.
            replication.is_silent = leads_nothing;
        }
        self.draining = true;
        self.index_files.drain();
        self.end_snapshots();
    }

    /// Does it still hand over what it leads?
    pub(super) fn is_leaving(&self) -> bool {
        self.replication.as_ref().is_some_and(|replication| replication.leaving_us.is_some())
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

//! The third driver: runs the shards' cores, and carries out their outputs on the fake disk and queues.
//!
//! Path: something arrives → [`World::deliver`] → [`World::turn`], where a few inputs are handled before the outputs are taken, as a real executor does →
//! [`World::carry_out`] → later [`World::write_ended`] and the like. Between any two of these actions the process may end (`doomed`).
//! As the real drivers it decides nothing: a failed write ends the process, room that cannot be had is reported.
//! Bounds: those of the core; messages between two shards keep their order, writes do not.

use super::{
    checks::{Violation, machine_log::Logged, must},
    disk::{Crash, WriteId},
    machine::{Acked, Machine, MachineId},
    node::Shard,
    world::{Event, World},
};
use crate::{
    log::{BLOCK_BYTES, SealedBatch, SegmentPlan},
    mutants::{self, Mutant},
    shard::{Input, Output, core::express_response},
};
use wire::ShardId;

impl World {
    /// Puts something into a shard's queue.
    pub(super) fn deliver(&mut self, machine: MachineId, shard: u16, input: Input) {
        if let Some(node) = &mut self.machines[machine].node {
            node.shards[usize::from(shard)].inbox.push_back(input);
            let delay = self.random.below(20);
            self.wake(machine, shard, delay);
        }
    }

    /// Has a shard run so much later, if it does not anyway.
    pub(super) fn wake(&mut self, machine: MachineId, shard: u16, delay_us: u64) {
        let Machine { node: Some(node), life, .. } = &mut self.machines[machine] else { return };
        let life = *life;
        let of = &mut node.shards[usize::from(shard)];
        let at_us = (self.time_us + delay_us).max(of.stalled_us);
        if of.turn_us.is_none_or(|turn_us| at_us < turn_us) {
            of.turn_us = Some(at_us);
            self.schedule(at_us - self.time_us, Event::Turn { machine, life, shard });
        }
    }

    /// A turn of a shard's executor.
    pub(super) fn turn(&mut self, machine: MachineId, number: u16) -> Result<(), Violation> {
        let place = usize::from(number);
        let Some(node) = &mut self.machines[machine].node else { return Ok(()) };
        let shard = &mut node.shards[place];
        if shard.turn_us.is_some_and(|turn_us| turn_us > self.time_us) {
            // A turn before this one took its place, and scheduled another.
            return Ok(());
        }
        shard.turn_us = None;
        if shard.stalled_us > self.time_us {
            let delay = shard.stalled_us - self.time_us;
            self.wake(machine, number, delay);
            return Ok(());
        }
        let waiting = shard.inbox.len() as u64;
        let take = if waiting > 1 { self.random.between(1, waiting) } else { waiting };
        // A tick belongs to every turn, as in the real executors.
        let inputs = shard.inbox.drain(..take as usize).collect::<Vec<_>>();
        for input in inputs.into_iter().chain([Input::Tick]) {
            if !self.acts(machine) {
                return Ok(());
            }
            let Machine { node: Some(node), clock, .. } = &mut self.machines[machine] else { return Ok(()) };
            let now = clock.now(self.time_us);
            let shard = &mut node.shards[place];
            mutants::set_local_ms(now.wall.0);
            if let Input::Written(batch) = &input {
                shard.durable.insert(batch.number.0, batch.records().filter_map(|record| Logged::of(&record)).collect());
                // Two writes may end in any order; the log has one.
                while let Some(records) = shard.durable.remove(&shard.next_batch) {
                    shard.next_batch += 1;
                    for logged in &records {
                        self.shadow.durable(machine, &logged.record(), self.time_us)?;
                    }
                }
            }
            shard.core.handle(now, input);
            self.look(machine, place)?;
        }
        loop {
            if !self.acts(machine) {
                return Ok(());
            }
            let output = self.machines[machine].node.as_mut().and_then(|node| node.shards[place].core.poll_output());
            self.look(machine, place)?;
            let Some(output) = output else { break };
            self.carry_out(machine, number, output)?;
        }
        let Machine { node: Some(node), clock, .. } = &self.machines[machine] else { return Ok(()) };
        let shard = &node.shards[place];
        let now = clock.now(self.time_us);
        if !shard.inbox.is_empty() {
            let delay = self.random.below(20);
            self.wake(machine, number, delay);
        } else if let Some(at_us) = shard.core.next_wake() {
            // A wake in the past is a wake at once; time must go on all the same.
            self.wake(machine, number, at_us.saturating_sub(now.mono_us).max(1));
        }
        Ok(())
    }

    /// What a core has applied since it was looked at: it must be committed, and make the state that the core has.
    fn look(&mut self, machine: MachineId, place: usize) -> Result<(), Violation> {
        let Some(node) = &self.machines[machine].node else { return Ok(()) };
        let Shard { core, owned, .. } = &node.shards[place];
        for id in owned {
            if self.shadow.applied(machine, *id, core.applied(*id), core.snapshot(*id))? {
                core.look_at(*id, |partition| self.shadow.compare(machine, partition))?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, machine: MachineId, from: u16, output: Output) -> Result<(), Violation> {
        match output {
            Output::Write(batch) => self.write(machine, from, batch),
            Output::Prepare(plan) => self.prepare(machine, from, plan),
            Output::Files(job) => {
                self.files_asked(machine, from, job);
                Ok(())
            }
            Output::Reply { token, response } => {
                let Some(call) = self.machines[machine].node.as_mut().and_then(|node| node.calls.remove(&token)) else {
                    return Err(Violation::new(format!("shard {from} answers {token:?}, which nobody asked or which was answered")));
                };
                for position in &response.positions {
                    must(self.shadow.has(position), || format!("{position} is answered before it is committed"))?;
                }
                if let [position] = response.positions[..]
                    && let Some(applied) = self.shadow.take_outcome(&position)
                {
                    let wanted = express_response(applied, position);
                    must(wanted == response, || format!("at {position} the answer is {response:?}, by a replay {wanted:?}"))?;
                }
                self.trace_of(machine, 4, token.0);
                for delay in self.journeys() {
                    self.schedule(delay, Event::Answer { call, response: Box::new(response.clone()) });
                }
                Ok(())
            }
            Output::Node { to, batch } => self.say(machine, to, &batch),
            // All machines reach each other, as far as the network lets them.
            Output::Peers(_) => Ok(()),
            Output::Peer { to, message } => {
                let Machine { node: Some(node), life, trouble, .. } = &mut self.machines[machine] else { return Ok(()) };
                let life = *life;
                let is_late = self.random.chance(trouble.slow_peers);
                let delay = if is_late { self.random.between(1_000, 300_000) } else { self.random.between(1, 60) };
                let heard = node.heard_us.entry((from, to.0)).or_default();
                *heard = (*heard).max(self.time_us + delay);
                let delay = *heard - self.time_us;
                let input = Box::new(Input::Peer { from: ShardId(from), message });
                self.schedule(delay, Event::Deliver { machine, life, shard: to.0, input });
                Ok(())
            }
        }
    }

    fn write(&mut self, machine: MachineId, shard: u16, batch: SealedBatch) -> Result<(), Violation> {
        let of = &mut self.machines[machine];
        let Some(node) = &of.node else { return Ok(()) };
        let Shard { log, next_batch, .. } = &node.shards[usize::from(shard)];
        // What it claims to be durable is at most what was reported to the core.
        let proven = of.proven.entry(log.clone()).or_default();
        *proven = (*proven).max(*next_batch - 1);
        let path = format!("{log}/{}", crate::log::layout::segment_file(batch.segment));
        let write = of.disk.0.borrow_mut().begin_write(&path, batch.offset, batch.bytes()).map_err(Violation::new)?;
        if batch.bytes().len() > BLOCK_BYTES && std::mem::take(&mut of.trouble.tears) {
            let soon = self.random.below(3) as u32;
            of.doom(soon, Crash::PowerCut);
        }
        let (life, well) = (of.life, !std::mem::take(&mut of.trouble.write_fails));
        self.trace_of(machine, 5, batch.number.0 ^ batch.bytes().len() as u64);
        let delay = self.write_us(machine);
        self.schedule(delay, Event::Written { machine, life, shard, path, write, batch: Box::new(batch), well });
        Ok(())
    }

    fn write_us(&mut self, machine: MachineId) -> u64 {
        let slow = self.phase == super::world::Phase::Storm && self.machines[machine].trouble.slow_disk > 0;
        if slow && self.random.chance(300) { self.random.between(1_000, 200_000) } else { self.random.between(40, 160) }
    }

    /// A write is reported by the disk.
    pub(super) fn write_ended(
        &mut self,
        machine: MachineId,
        shard: u16,
        path: &str,
        write: WriteId,
        batch: SealedBatch,
        well: bool,
    ) -> Result<(), Violation> {
        if !self.acts(machine) {
            return Ok(());
        }
        let of = &mut self.machines[machine];
        let ignores = !well && mutants::is(Mutant::SyncErrorIgnored);
        if well {
            of.disk.0.borrow_mut().finish_write(path, write);
        } else {
            of.disk.0.borrow_mut().fail_write(path, write, &mut self.random);
        }
        if !well && !ignores {
            // A failed write or sync ends the process.
            self.crash(machine, Crash::Kill);
            return Ok(());
        }
        let Some(node) = &of.node else { return Ok(()) };
        let log = node.shards[usize::from(shard)].log.clone();
        let acked = Acked { path: path.to_owned(), at: batch.offset, bytes: batch.bytes().len(), number: batch.number.0 };
        of.acked.entry(log).or_default().push(acked);
        let life = of.life;
        self.may_rot(machine, life);
        self.deliver(machine, shard, Input::Written(batch));
        Ok(())
    }

    fn prepare(&mut self, machine: MachineId, shard: u16, plan: SegmentPlan) -> Result<(), Violation> {
        let of = &mut self.machines[machine];
        let life = of.life;
        let is_slow = of.trouble.slow_disk > 0;
        let delay = if is_slow { self.random.between(1_000, 300_000) } else { self.random.between(200, 5_000) };
        if of.trouble.full_disk > 0 {
            let input = Box::new(Input::NotPrepared(plan));
            self.schedule(delay, Event::Deliver { machine, life, shard, input });
            return Ok(());
        }
        let bytes = usize::try_from(plan.bytes).expect("small segments");
        if let Some(from) = &plan.from {
            of.released(from);
            let mut disk = of.disk.0.borrow_mut();
            disk.forget_reported(from);
            if disk.rename(from, &plan.path) {
                // Durable before anything else is done with it.
                disk.sync_names(folder_of(from));
            }
        }
        of.disk.0.borrow_mut().make(&plan.path, bytes).map_err(Violation::new)?;
        self.schedule(delay, Event::Prepared { machine, life, shard, plan });
        Ok(())
    }

    /// A segment's file is filled, and durable with its name.
    pub(super) fn prepared(&mut self, machine: MachineId, shard: u16, plan: SegmentPlan) {
        if self.acts(machine) {
            self.machines[machine].disk.0.borrow_mut().sync_names(folder_of(&plan.path));
            self.deliver(machine, shard, Input::Prepared(plan));
        }
    }
}

/// The folder of a file.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

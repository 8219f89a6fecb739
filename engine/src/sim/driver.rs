//! The third driver: runs the shards' cores, and carries out their outputs on the fake disk and queues.
//!
//! Path: something arrives → [`World::deliver`] → [`World::turn`], where a few inputs are handled before the outputs are taken, as a real executor does →
//! [`World::carry_out`] → later [`World::write_ended`] and the like. Between any two of these actions the process may end (`doomed`).
//! As the real drivers it decides nothing: a failed write ends the process, room that cannot be had is reported.
//! Bounds: those of the core; messages between two shards keep their order, writes do not.

use super::{
    checks::{Violation, must, shadow::Logged},
    disk::{Crash, WriteId},
    world::{Event, World},
};
use crate::{
    log::{BLOCK_BYTES, RecordKind, SealedBatch, SegmentPlan},
    mutants::{self, Mutant},
    shard::{Input, Output, core::express_response},
};
use wire::{Millis, PartitionId, ShardId};

/// A batch that was reported durable: where it is.
#[derive(Clone, Debug)]
pub(super) struct Acked {
    pub(super) path: String,
    pub(super) at: u64,
    pub(super) bytes: usize,
    pub(super) number: u64,
}

impl World {
    /// Puts something into a shard's queue.
    pub(super) fn deliver(&mut self, shard: u16, input: Input) {
        if let Some(node) = &mut self.node {
            node.shards[usize::from(shard)].inbox.push_back(input);
            let delay = self.random.below(20);
            self.wake(shard, delay);
        }
    }

    /// Has a shard run so much later, if it does not anyway.
    pub(super) fn wake(&mut self, shard: u16, delay_us: u64) {
        let Some(node) = &mut self.node else { return };
        let of = &mut node.shards[usize::from(shard)];
        let at_us = (self.time_us + delay_us).max(of.stalled_us);
        if of.turn_us.is_none_or(|turn_us| at_us < turn_us) {
            of.turn_us = Some(at_us);
            let life = self.life;
            self.schedule(at_us - self.time_us, Event::Turn { life, shard });
        }
    }

    /// May the process do one thing more? If not it ends here.
    pub(super) fn acts(&mut self) -> bool {
        match &mut self.doomed {
            None => self.node.is_some(),
            Some((0, how)) => {
                let how = *how;
                self.crash(how);
                false
            }
            Some((left, _)) => {
                *left -= 1;
                self.node.is_some()
            }
        }
    }

    /// A turn of a shard's executor.
    pub(super) fn turn(&mut self, number: u16) -> Result<(), Violation> {
        let place = usize::from(number);
        let Some(node) = &mut self.node else { return Ok(()) };
        let shard = &mut node.shards[place];
        if shard.turn_us.is_some_and(|turn_us| turn_us > self.time_us) {
            // A turn before this one took its place, and scheduled another.
            return Ok(());
        }
        shard.turn_us = None;
        if shard.stalled_us > self.time_us {
            let delay = shard.stalled_us - self.time_us;
            self.wake(number, delay);
            return Ok(());
        }
        let waiting = shard.inbox.len() as u64;
        let take = if waiting > 1 { self.random.between(1, waiting) } else { waiting };
        // A tick belongs to every turn, as in the real executors.
        let inputs = (0..take).filter_map(|_| self.node.as_mut()?.shards[place].inbox.pop_front()).collect::<Vec<_>>();
        for input in inputs.into_iter().chain([Input::Tick]) {
            if !self.acts() {
                return Ok(());
            }
            let now = self.clock.now(self.time_us);
            let Some(node) = &mut self.node else { return Ok(()) };
            let shard = &mut node.shards[place];
            mutants::set_local_ms(now.wall.0);
            if let Input::Written(batch) = &input {
                shard.durable.insert(batch.number.0, entries_of(batch));
                // Two writes may end in any order; the log has one.
                while let Some(entries) = shard.durable.remove(&shard.next_batch) {
                    shard.next_batch += 1;
                    for entry in &entries {
                        self.shadow.durable(entry)?;
                    }
                }
                shard.core.handle(now, input);
                self.compare(place)?;
            } else {
                shard.core.handle(now, input);
            }
        }
        loop {
            if !self.acts() {
                return Ok(());
            }
            let Some(output) = self.node.as_mut().and_then(|node| node.shards[place].core.poll_output()) else { break };
            self.carry_out(number, output)?;
        }
        let Some(node) = &self.node else { return Ok(()) };
        let shard = &node.shards[place];
        let now = self.clock.now(self.time_us);
        if !shard.inbox.is_empty() {
            let delay = self.random.below(20);
            self.wake(number, delay);
        } else if let Some(at_us) = shard.core.next_wake() {
            // A wake in the past is a wake at once; time must go on all the same.
            self.wake(number, at_us.saturating_sub(now.mono_us).max(1));
        }
        Ok(())
    }

    /// The state of a shard, after it applied what was written.
    fn compare(&mut self, place: usize) -> Result<(), Violation> {
        let Some(node) = &self.node else { return Ok(()) };
        let core = &node.shards[place].core;
        for id in core.owned() {
            core.look_at(id, |partition| self.shadow.compare(partition))?;
        }
        Ok(())
    }

    fn carry_out(&mut self, from: u16, output: Output) -> Result<(), Violation> {
        match output {
            Output::Write(batch) => self.write(from, batch),
            Output::Prepare(plan) => self.prepare(from, plan),
            Output::Files(job) => {
                self.files_asked(from, job);
                Ok(())
            }
            Output::Reply { token, response } => {
                let Some(call) = self.node.as_mut().and_then(|node| node.calls.remove(&token)) else {
                    return Err(Violation::new(format!("shard {from} answers {token:?}, which nobody asked or which was answered")));
                };
                for position in &response.positions {
                    must(self.shadow.has(position), || format!("{position} is answered before it is durable"))?;
                }
                if let [position] = response.positions[..]
                    && let Some(applied) = self.shadow.take_outcome(&position)
                {
                    let wanted = express_response(applied, position);
                    must(wanted == response, || format!("at {position} the answer is {response:?}, by a replay {wanted:?}"))?;
                }
                self.trace(4, token.0);
                for delay in self.journeys() {
                    self.schedule(delay, Event::Answer { call, response: Box::new(response.clone()) });
                }
                Ok(())
            }
            Output::Node { to, .. } => Err(Violation::new(format!("a node alone says something to node {}", to.0))),
            Output::Peer { to, message } => {
                let delay = if self.random.chance(self.weather.slow_peers) {
                    self.random.between(1_000, 300_000)
                } else {
                    self.random.between(1, 60)
                };
                let life = self.life;
                let Some(node) = &mut self.node else { return Ok(()) };
                let heard = node.heard_us.entry((from, to.0)).or_default();
                *heard = (*heard).max(self.time_us + delay);
                let delay = *heard - self.time_us;
                let input = Box::new(Input::Peer { from: ShardId(from), message });
                self.schedule(delay, Event::Deliver { life, shard: to.0, input });
                Ok(())
            }
        }
    }

    fn write(&mut self, shard: u16, batch: SealedBatch) -> Result<(), Violation> {
        let Some(node) = &self.node else { return Ok(()) };
        let path = format!("{}/{}", node.shards[usize::from(shard)].log, crate::log::layout::segment_file(batch.segment));
        let write = self.disk.0.borrow_mut().begin_write(&path, batch.offset, batch.bytes()).map_err(Violation::new)?;
        self.trace(5, batch.number.0 ^ batch.bytes().len() as u64);
        if batch.bytes().len() > BLOCK_BYTES && std::mem::take(&mut self.weather.tears) {
            let soon = self.random.below(3) as u32;
            self.doomed.get_or_insert((soon, Crash::PowerCut));
        }
        let delay = self.write_us();
        let well = !(std::mem::take(&mut self.weather.write_fails));
        let life = self.life;
        self.schedule(delay, Event::Written { life, shard, path, write, batch: Box::new(batch), well });
        Ok(())
    }

    fn write_us(&mut self) -> u64 {
        let slow = self.phase == super::world::Phase::Storm && self.weather.slow_disk > 0;
        if slow && self.random.chance(300) { self.random.between(1_000, 200_000) } else { self.random.between(40, 160) }
    }

    /// A write is reported by the disk.
    pub(super) fn write_ended(&mut self, shard: u16, path: &str, write: WriteId, batch: SealedBatch, well: bool) -> Result<(), Violation> {
        if !self.acts() {
            return Ok(());
        }
        let ignores = !well && mutants::is(Mutant::SyncErrorIgnored);
        if ignores {
            self.disk.0.borrow_mut().fail_write(path, write, &mut self.random);
        } else if well {
            self.disk.0.borrow_mut().finish_write(path, write);
        } else {
            self.disk.0.borrow_mut().fail_write(path, write, &mut self.random);
            // A failed write or sync ends the process.
            self.crash(Crash::Kill);
            return Ok(());
        }
        let Some(node) = &mut self.node else { return Ok(()) };
        let log = node.shards[usize::from(shard)].log.clone();
        let acked = Acked { path: path.to_owned(), at: batch.offset, bytes: batch.bytes().len(), number: batch.number.0 };
        self.acked.entry(log).or_default().push(acked);
        self.deliver(shard, Input::Written(batch));
        Ok(())
    }

    fn prepare(&mut self, shard: u16, plan: SegmentPlan) -> Result<(), Violation> {
        let delay = if self.weather.slow_disk > 0 { self.random.between(1_000, 300_000) } else { self.random.between(200, 5_000) };
        let life = self.life;
        if self.weather.full_disk > 0 {
            let input = Box::new(Input::NotPrepared(plan));
            self.schedule(delay, Event::Deliver { life, shard, input });
            return Ok(());
        }
        let bytes = usize::try_from(plan.bytes).expect("small segments");
        if let Some(from) = &plan.from {
            self.released(from);
            let mut disk = self.disk.0.borrow_mut();
            disk.forget_reported(from);
            if disk.rename(from, &plan.path) {
                // Durable before anything else is done with it.
                disk.sync_names(folder_of(from));
            }
        }
        self.disk.0.borrow_mut().make(&plan.path, bytes).map_err(Violation::new)?;
        self.schedule(delay, Event::Prepared { life, shard, plan });
        Ok(())
    }

    /// Nothing needs what is in this segment any more, so damage to it need not be found.
    pub(super) fn released(&mut self, path: &str) {
        for batches in self.acked.values_mut() {
            batches.retain(|batch| batch.path != path);
        }
        self.damage.retain(|damage| !damage.is_of(path));
    }

    /// A segment's file is filled, and durable with its name.
    pub(super) fn prepared(&mut self, shard: u16, plan: SegmentPlan) {
        if self.acts() {
            self.disk.0.borrow_mut().sync_names(folder_of(&plan.path));
            self.deliver(shard, Input::Prepared(plan));
        }
    }
}

/// The folder of a file.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The entries of a batch.
fn entries_of(batch: &SealedBatch) -> Vec<Logged> {
    let entry = |record: &crate::log::Record<'_>| matches!(record.kind, RecordKind::Entry(_));
    let logged = |record: crate::log::Record<'_>| Logged {
        partition: PartitionId(record.partition),
        index: record.index,
        time: Millis(record.time_ms),
        body: record.body.to_vec(),
    };
    batch.records().filter(entry).map(logged).collect()
}

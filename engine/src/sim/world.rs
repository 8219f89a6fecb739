//! The world of a run: virtual time, one queue of events, the machines, and everybody around them.
//!
//! Path: a seed → [`World::new`] draws settings, clients and faults → [`World::run`] takes event after event, ordered by time and then by when they were
//! made → checks as it goes → when every client has run its errands, faults stop and a healing begins, which must come to an end → [`Report`].
//! Read first: [`World::run`], then `machine.rs`, `driver.rs` (what happens to outputs), `faults.rs` (what goes wrong), `clients/` (what is asked).
//! Bounds: [`EVENTS_MAX`] events, [`STORM_US_MAX`] of virtual time for errands, [`HEAL_US_MAX`] of virtual time for healing; past them the run has failed.

use super::{
    Masks, Seed, Settings,
    checks::{Violation, answers::Story, must, shadow::Shadow},
    clients::Client,
    disk::WriteId,
    faults::Fault,
    keeper::Keeper,
    machine::{Fate, Machine, MachineId},
    network::Cuts,
    node::Shard,
    provider::Provider,
    random::{Random, mix},
};
use crate::{
    log::{SealedBatch, SegmentPlan},
    shard::Input,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    rc::Rc,
};
use wire::{Failure, PartitionId, Request, Response, ShardId};

/// Events of one run; one more is taken for a circle that never ends.
const EVENTS_MAX: u64 = 3_000_000;
/// How long a storm may last, in microseconds of virtual time: six times the longest met. Somebody who waits for ever would look again and again.
const STORM_US_MAX: u64 = 300_000_000;
/// How long everything may take to end, once nothing goes wrong any more: microseconds of virtual time.
const HEAL_US_MAX: u64 = 240_000_000;
/// After so long without faults adapters ask for work again: those that died are back, and polls that a process took with it were given up.
const ADAPTERS_BACK_US: u64 = 2_500_000;
/// How long a fresh reservation and a fresh checkout may take after that.
pub(super) const FRESH_US_MAX: u64 = 5_000_000;

/// Requests, in a thousand, that go to any machine of a cluster and not to the one thought to lead.
const OLD_MAPS: u64 = 150;

/// Names a call over the network: each try of a request is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId(pub(super) u64);

/// Who made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A client, with the number of what it asks.
    Client { client: usize, ask: u64 },
    /// A client that does not wait for the answer.
    Stray { client: usize, hold: u128 },
    /// The adapter of a shard, for work.
    Poll { adapter: usize, life: u32 },
    /// An adapter with a result.
    Result { adapter: usize, job: u64 },
    /// Somebody who looks whether a product is as new everywhere as it was told to be.
    Probe { product: usize, version: u64 },
}

pub(super) enum Event {
    /// A shard's executor runs.
    Turn { machine: MachineId, life: u32, shard: u16 },
    /// Something comes to a shard of this process.
    Deliver { machine: MachineId, life: u32, shard: u16, input: Box<Input> },
    /// A write is done, well or not.
    Written { machine: MachineId, life: u32, shard: u16, path: String, write: WriteId, batch: Box<SealedBatch>, well: bool },
    /// A step of a shard's first job with files is done.
    FileStep { machine: MachineId, life: u32, shard: u16 },
    /// A segment is prepared.
    Prepared { machine: MachineId, life: u32, shard: u16, plan: SegmentPlan },
    /// A request arrives at a machine.
    Request { machine: MachineId, call: CallId, request: Box<Request> },
    /// An answer arrives at who asked.
    Answer { call: CallId, response: Box<Response> },
    /// A client goes on, unless it did since.
    Client { client: usize, wake: u64 },
    /// Something happens at an adapter or its provider.
    Adapter(super::provider::Happening),
    /// A fault that lasts ends; where it struck, if it was at a machine.
    FaultEnds { machine: MachineId, fault: Fault },
    /// The machine's process is started again.
    Start { machine: MachineId },
    /// The machine's tail may rot.
    Rots { machine: MachineId, life: u32 },
    /// The keeper looks around.
    Keeper,
    /// A machine is switched off for good.
    SwitchedOff { machine: MachineId },
    /// What a node said comes to another one's machine.
    NodeArrives { machine: MachineId, from: MachineId, bytes: Rc<[u8]> },
}

/// What is to happen, by time and then by when it was made.
#[derive(Default)]
struct Schedule {
    /// When, in which order, and the place in `events`: the heap moves what is in it about, and events are large.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
}

impl Schedule {
    fn push(&mut self, at_us: u64, order: u64, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.heap.push(Reverse((at_us, order, place)));
    }

    fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at_us, _, place)) = self.heap.pop()?;
        self.free.push(place);
        Some((at_us, self.events[place].take()?))
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Clients run errands, faults happen.
    Storm,
    /// Nothing goes wrong any more; what was begun ends.
    Healing { since_us: u64 },
    /// Everything ended; somebody new comes.
    Fresh { since_us: u64 },
    /// That went well too; what it began ends.
    Ending { since_us: u64 },
    /// Nothing is left.
    Over,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) violation: Option<Violation>,
    /// Of everything that happened, in order.
    pub(super) trace: u64,
    pub(super) operations: u64,
    pub(super) faults: u64,
    pub(super) starts: u64,
    pub(super) entries: u64,
    pub(super) events: u64,
    pub(super) digests: u64,
    /// Starts that were refused because of damage.
    pub(super) detected: u64,
    pub(super) survived: u64,
    pub(super) virtual_us: u64,
    /// For people, who want to see that a run does what it should.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

/// Everything.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) masks: Masks,
    pub(super) time_us: u64,
    queue: Schedule,
    order: u64,
    /// What the network, disks and executors draw their delays from.
    pub(super) random: Random,
    /// By [`MachineId`].
    pub(super) machines: Vec<Machine>,
    pub(super) weather: super::faults::Weather,
    pub(super) faults: Vec<(u64, Fault)>,
    pub(super) clients: Vec<Client>,
    pub(super) story: Story,
    pub(super) provider: Provider,
    pub(super) shadow: Shadow,
    pub(super) calls: BTreeMap<CallId, (Caller, u64)>,
    /// By partition, the machine that clients think leads it.
    leaders: Vec<MachineId>,
    /// Where nodes come and go.
    pub(super) keeper: Option<Keeper>,
    /// A tail that is to rot, or did a moment ago.
    pub(super) rot: Option<super::faults::Rot>,
    pub(super) promises: super::network::Promises,
    /// Ways between machines that are closed.
    pub(super) cuts: Cuts,
    pub(super) phase: Phase,
    next_call: u64,
    pub(super) broken: Option<Violation>,
    pub(super) report: Report,
}

impl World {
    pub(super) fn new(seed: Seed, masks: Masks) -> Self {
        let root = Random::new(seed.number);
        let settings = Settings::draw(&mut root.fork(1)).of_cluster(seed.machines, &mut root.fork(5));
        let story = Story::new(&settings, &mut root.fork(2));
        let clients = super::clients::draw(&settings, &root);
        let errands = clients.iter().map(|client| u64::from(client.errands)).sum();
        let faults = super::faults::draw(&root, errands, &settings);
        let mut machines: Vec<Machine> = (0..settings.machines).map(|nth| Machine::new(MachineId(nth), &settings)).collect();
        if let Some((nth, ms)) = settings.wild_clock {
            machines[usize::from(nth)].clock.go_wild(ms);
        }
        Self {
            masks,
            time_us: 0,
            queue: Schedule::default(),
            order: 0,
            random: root.fork(4),
            machines,
            weather: super::faults::Weather::default(),
            faults,
            clients,
            story,
            provider: Provider::new(seed.number, settings.machines, settings.shards_max),
            shadow: Shadow::new(settings.machines, settings.partitions, 1),
            calls: BTreeMap::new(),
            leaders: vec![MachineId::FIRST; usize::from(settings.partitions)],
            keeper: settings.changes.then(|| Keeper::new(settings.machines, root.fork(6))),
            rot: None,
            promises: super::network::Promises::default(),
            cuts: Cuts::default(),
            phase: Phase::Storm,
            next_call: 0,
            broken: None,
            report: Report::default(),
            settings,
        }
    }

    /// Runs to the end, or to the first thing that must not be.
    pub(super) fn run(mut self) -> Report {
        for machine in self.machine_ids() {
            self.schedule(0, Event::Start { machine });
        }
        for client in 0..self.clients.len() {
            let wake = self.clients[client].wake();
            let delay = self.random.below(20_000);
            self.schedule(delay, Event::Client { client, wake });
        }
        for adapter in 0..self.provider.adapters() {
            self.schedule(0, Event::Adapter(super::provider::Happening::Poll { adapter, life: 0 }));
        }
        self.clocks_set();
        if self.keeper.is_some() {
            self.schedule(0, Event::Keeper);
        }
        while self.broken.is_none() && self.phase != Phase::Over {
            let Some((at_us, event)) = self.queue.pop() else {
                self.broken = Some(Violation::new("nothing is left to happen, and clients still wait".to_owned()));
                break;
            };
            self.time_us = at_us;
            self.report.events += 1;
            if let Err(violation) = self.happens(event).and_then(|()| self.look_around()) {
                self.broken.get_or_insert(violation);
            }
        }
        if self.broken.is_none()
            && let Err(violation) = self.check_the_end()
        {
            self.broken = Some(violation);
        }
        self.report.violation = self.broken.take();
        self.report.operations = self.story.operations;
        self.report.entries = self.shadow.entries;
        self.report.digests = self.shadow.digests;
        self.report.survived = self.shadow.survived;
        self.story.counts.insert("partitions restored", self.shadow.restored);
        self.story.counts.insert("snapshots in steps", self.shadow.snapshots());
        self.report.virtual_us = self.time_us;
        self.report.counts = std::mem::take(&mut self.story.counts);
        self.report
    }

    /// Has `event` happen so much later.
    pub(super) fn schedule(&mut self, delay_us: u64, event: Event) {
        self.order += 1;
        self.queue.push(self.time_us + delay_us, self.order, event);
    }

    /// Puts something into the trace: runs of one seed must have the same.
    pub(super) fn trace(&mut self, what: u64, detail: u64) {
        self.report.trace = mix(self.report.trace ^ mix(what).wrapping_add(mix(detail ^ self.time_us)));
    }

    /// The same of a machine.
    pub(super) fn trace_of(&mut self, machine: MachineId, what: u64, detail: u64) {
        self.trace(what | (u64::from(machine.0) << 32), detail);
    }

    /// Is the machine's process still the one that something was meant for?
    fn lives(&self, machine: MachineId, life: u32) -> bool {
        self.machines[machine].life == life
    }

    fn happens(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Turn { machine, life, shard } if self.lives(machine, life) => self.turn(machine, shard),
            Event::Deliver { machine, life, shard, input } if self.lives(machine, life) => {
                self.deliver(machine, shard, *input);
                Ok(())
            }
            Event::Written { machine, life, shard, path, write, batch, well } if self.lives(machine, life) => {
                self.write_ended(machine, shard, &path, write, *batch, well)
            }
            Event::Prepared { machine, life, shard, plan } if self.lives(machine, life) => {
                self.prepared(machine, shard, plan);
                Ok(())
            }
            Event::FileStep { machine, life, shard } if self.lives(machine, life) => {
                self.file_step(machine, shard);
                Ok(())
            }
            Event::Rots { machine, life } if self.lives(machine, life) => {
                self.rots(machine);
                Ok(())
            }
            // Of a process that is gone.
            Event::Rots { .. }
            | Event::Turn { .. }
            | Event::Deliver { .. }
            | Event::Written { .. }
            | Event::FileStep { .. }
            | Event::Prepared { .. } => Ok(()),
            Event::Request { machine, call, request } => {
                self.arrives(machine, call, *request);
                Ok(())
            }
            Event::Answer { call, response } => self.answered(call, *response),
            Event::Client { client, wake } => self.client_wakes(client, wake),
            Event::Adapter(happening) => self.adapter(happening),
            Event::FaultEnds { machine, fault } => {
                self.fault_ends(machine, fault);
                Ok(())
            }
            Event::Start { machine } => self.start(machine),
            Event::Keeper => {
                self.keep();
                Ok(())
            }
            Event::SwitchedOff { machine } => {
                // Not while its node still counts somewhere: another one may not know what it lost, and want its word.
                if self.counts(machine) {
                    self.schedule(500_000, Event::SwitchedOff { machine });
                } else {
                    self.switched_off(machine);
                }
                Ok(())
            }
            Event::NodeArrives { machine, from, bytes } => {
                self.node_arrives(machine, from, &bytes);
                Ok(())
            }
        }
    }

    /// Faults whose time has come; the end of the storm; the end of everything.
    fn look_around(&mut self) -> Result<(), Violation> {
        must(self.report.events < EVENTS_MAX, || format!("{EVENTS_MAX} events, and no end"))?;
        match self.phase {
            Phase::Storm => {
                self.due_faults();
                if self.clients.iter().all(Client::is_home) {
                    self.heal();
                }
                must(self.time_us < STORM_US_MAX, || {
                    format!("errands do not end in {} s: {}{}", STORM_US_MAX / 1_000_000, self.unrest(), self.groups_told())
                })
            }
            Phase::Healing { since_us } => {
                let has_adapters = self.time_us >= since_us + ADAPTERS_BACK_US;
                if has_adapters && self.report.events.is_multiple_of(64) && self.is_quiet() {
                    self.phase = Phase::Fresh { since_us: self.time_us };
                    self.send_fresh_clients();
                    return Ok(());
                }
                self.must_end(since_us)
            }
            Phase::Fresh { since_us } => {
                if self.clients.iter().all(Client::is_home) {
                    // A buyer has the order before the money is taken.
                    self.phase = Phase::Ending { since_us: self.time_us };
                    return Ok(());
                }
                must(self.time_us < since_us + FRESH_US_MAX, || {
                    format!("a fresh client is not served in {FRESH_US_MAX} us: {}", self.unrest())
                })
            }
            Phase::Ending { since_us } => {
                if self.is_quiet() {
                    self.phase = Phase::Over;
                    return Ok(());
                }
                self.must_end(since_us)
            }
            Phase::Over => Ok(()),
        }
    }

    fn must_end(&self, since_us: u64) -> Result<(), Violation> {
        must(self.time_us < since_us + HEAL_US_MAX, || {
            format!("not healed in {} s: {}{}", HEAL_US_MAX / 1_000_000, self.unrest(), self.groups_told())
        })
    }

    /// What the groups of a cluster say of themselves where not all have applied the same, or somebody's members are not those of the log.
    fn groups_told(&self) -> String {
        let stands = |of: &Machine| format!("{}: {:?}{}", of.id.node().0, of.fate, if of.node.is_some() { "" } else { ", down" });
        let mut told = format!("\n  nodes {:?}", self.machines.iter().map(stands).collect::<Vec<_>>());
        for (id, says) in (0..).map(PartitionId).zip(self.shadow.says()) {
            let here: Vec<&Machine> = self.machines.iter().filter(|of| of.fate != Fate::Off).collect();
            let mut groups: Vec<(MachineId, &crate::shard::core::ShardCore)> = Vec::new();
            for of in &here {
                let cores = of.node.iter().flat_map(|node| &node.shards).map(|shard| &shard.core);
                groups.extend(cores.filter(|core| core.owned().contains(&id)).map(|core| (of.id, core)));
            }
            let applied: std::collections::BTreeSet<u64> = groups.iter().map(|(_, core)| core.applied(id)).collect();
            if applied.len() > 1 || groups.len() < here.len() || says.last.halves().iter().all(|half| !half.is_empty()) {
                told.push_str(&format!("\n  partition {} says {:?}", id.0, says.last));
                for (machine, core) in groups {
                    told.push_str(&format!("\n    machine {}: {}", machine.0, core.group_told(id).unwrap_or_default()));
                }
            }
        }
        told
    }

    /// Nothing goes wrong from here on.
    fn heal(&mut self) {
        self.phase = Phase::Healing { since_us: self.time_us };
        self.calm();
        for machine in self.machine_ids() {
            for shard in 0..self.machines[machine].shards() {
                self.wake(machine, shard, 0);
            }
        }
    }

    /// Do all machines run, with nothing under way and nothing open but what time alone ends?
    fn is_quiet(&self) -> bool {
        // Asked often, and nearly always answered by what is cheap to see.
        self.clients.iter().all(Client::is_home) && self.unrest().is_empty()
    }

    /// What is still under way.
    fn unrest(&self) -> String {
        for of in self.machines.iter().filter(|of| of.fate == Fate::Member) {
            let machine = of.id.0;
            let Some(node) = &of.node else { return format!("machine {machine} does not run") };
            for (number, shard) in node.shards.iter().enumerate() {
                if shard.core.calls() > self.provider.polls() {
                    return format!("shard {number} of machine {machine} has {} calls under way", shard.core.calls());
                }
            }
        }
        if let Some(behind) = self.behind().or_else(|| self.unsettled()) {
            return behind;
        }
        for client in &self.clients {
            if let Some(what) = client.waits_for() {
                return format!("a client waits for {what}");
            }
        }
        for partition in self.shadow.partitions() {
            if let Some((effect, open)) = partition.outbox().open.iter().next() {
                return format!("effect {effect} is open: {:?}", open.target);
            }
            if let Some(order) = partition.orders().find(|order| !super::checks::money::is_at_rest(order)) {
                return format!("order {} is in {:?}", order.id, order.saga);
            }
            if partition.stock().rows().any(|(_, _, row)| row.held.0 > 0) {
                return format!("holds are open in partition {}", partition.id().0);
            }
        }
        String::new()
    }

    /// Sends a request over the network, to the machine that is thought to have what it is about.
    pub(super) fn send(&mut self, caller: Caller, request: Request, delay_us: u64) -> CallId {
        let machine = self.route(&request);
        self.send_to(machine, caller, request, delay_us)
    }

    /// Sends a request over the network to a machine.
    pub(super) fn send_to(&mut self, machine: MachineId, caller: Caller, request: Request, delay_us: u64) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.calls.insert(call, (caller, self.time_us));
        for delay in self.journeys() {
            self.schedule(delay_us + delay, Event::Request { machine, call, request: Box::new(request.clone()) });
        }
        call
    }

    /// The machine that a request goes to: the one that is thought to lead its partition, or any.
    fn route(&mut self, request: &Request) -> MachineId {
        match self.partition_of(request) {
            _ if self.settings.machines == 1 => MachineId::FIRST,
            // Some have an old map, and may ask one that led once and does not know better.
            Some(partition) if !self.random.chance(OLD_MAPS) => self.leaders[usize::from(partition.0)],
            Some(_) | None => self.any_machine(),
        }
    }

    fn any_machine(&mut self) -> MachineId {
        let here = self.here();
        here[self.random.place(here.len())]
    }

    /// Nobody thinks any more that a machine leads: it is not there, and everybody knows.
    pub(super) fn forget_leader(&mut self, machine: MachineId) {
        let Some(other) = self.here().first().copied() else { return };
        self.leaders.iter_mut().filter(|leader| **leader == machine).for_each(|leader| *leader = other);
    }

    /// Clocks were set: what may be in the log changes with them.
    pub(super) fn clocks_set(&mut self) {
        if self.settings.machines > 2 {
            self.shadow.times.clocks(self.machines.iter().map(|of| of.clock.skew_ms()));
        }
    }

    /// Who has not applied all that is committed?
    fn behind(&self) -> Option<String> {
        self.shadow.behind(|machine| self.machines[machine].fate == Fate::Member)
    }

    fn partition_of(&self, request: &Request) -> Option<PartitionId> {
        let topology = wire::Topology { partitions: self.settings.partitions, shards: 1 };
        match wire::placement::route(&request.op, topology) {
            wire::placement::Route::Partition(partition) => Some(partition),
            wire::placement::Route::Shard(_) | wire::placement::Route::Any => None,
        }
    }

    /// Who asks again goes elsewhere: to the leader that was named, or to anybody when nobody was, or nobody answered.
    pub(super) fn think_again(&mut self, request: &Request, failure: Option<&Failure>) {
        if self.settings.machines == 1 {
            return;
        }
        let Some(partition) = self.partition_of(request) else { return };
        self.leaders[usize::from(partition.0)] = match failure {
            Some(Failure::NotLeader { leader: Some(leader) }) => MachineId::of(*leader),
            Some(_) | None => self.any_machine(),
        };
    }

    /// How long each copy of a message takes that arrives: usually there is one.
    pub(super) fn journeys(&mut self) -> Vec<u64> {
        let (lost, twice, late) = if self.phase == Phase::Storm { self.weather.network } else { (0, 0, 0) };
        if self.random.chance(lost) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.random.chance(twice));
        (0..copies)
            .map(|_| if self.random.chance(late) { self.random.between(1_000, 400_000) } else { self.random.between(30, 400) })
            .collect()
    }

    /// A request reaches a machine.
    fn arrives(&mut self, machine: MachineId, call: CallId, request: Request) {
        let shards = self.machines[machine].shards();
        if shards == 0 {
            // Nobody listens: the caller finds out by waiting.
            return;
        }
        let topology = wire::Topology { partitions: self.settings.partitions, shards };
        let shard = match wire::placement::route(&request.op, topology) {
            wire::placement::Route::Partition(partition) => wire::placement::shard_of(partition, shards),
            wire::placement::Route::Shard(ShardId(shard)) => ShardId(shard % shards),
            wire::placement::Route::Any => ShardId(self.random.below(u64::from(shards)) as u16),
        };
        let token = self.token();
        if let Some(node) = &mut self.machines[machine].node {
            node.calls.insert(token, call);
        }
        self.deliver(machine, shard.0, Input::Call { token, request });
    }

    fn token(&mut self) -> crate::shard::CallToken {
        self.order += 1;
        crate::shard::CallToken(self.order)
    }

    fn answered(&mut self, call: CallId, response: Response) -> Result<(), Violation> {
        let Some((caller, sent_us)) = self.calls.get(&call).copied() else { return Ok(()) };
        match caller {
            Caller::Client { client, ask } => self.client_answered(client, ask, sent_us, response),
            Caller::Stray { client: _, hold } => self.story.stray(hold, &response),
            Caller::Poll { adapter, life } => self.effects_taken(adapter, life, response),
            Caller::Probe { product, version } => super::clients::probed(&self.story, product, version, &response),
            Caller::Result { adapter, job } => {
                self.result_taken(adapter, job, &response);
                Ok(())
            }
        }
    }

    /// With everything idle: the books.
    fn check_the_end(&mut self) -> Result<(), Violation> {
        for of in self.machines.iter().filter(|of| of.fate == Fate::Member) {
            let machine = of.id;
            let Some(node) = &of.node else { return Err(Violation::new(format!("machine {} does not run at the end", machine.0))) };
            for Shard { core, owned, .. } in &node.shards {
                for partition in owned {
                    let says = &self.shadow.says()[usize::from(partition.0)];
                    must(core.members(*partition).is_none_or(|members| says.is(&members)), || {
                        let (found, told) = (core.members(*partition), core.group_told(*partition).unwrap_or_default());
                        format!(
                            "partition {} of machine {} has {found:?}, and the log says {:?}: {told}",
                            partition.0, machine.0, says.last
                        )
                    })?;
                    core.look_at(*partition, |partition| self.shadow.compare_whole(machine, partition))?;
                }
            }
        }
        // Whose states were compared: those at the head.
        if let Some(behind) = self.behind() {
            return Err(Violation::new(format!("at the end {behind}")));
        }
        super::checks::order::check(&self.story)?;
        super::checks::stock::check(&self.story, &self.shadow)?;
        super::checks::money::check(&self.story, &self.shadow, &self.provider)
    }
}

//! The keeper of a cluster: adds nodes, lets them rest, removes them, and replaces one whose folder is gone, while the storm goes on.
//!
//! Path: a fault ([`Fault`](super::faults::Fault)) → [`Wish`] → [`World::keep`], now and then: a command for the first partition, proposed to all that run until it shows in
//! the committed nodes → machines are made, or switched off for good. That the groups follow is the engine's own doing, and is looked at when all is calm
//! ([`World::unsettled`]).
//! One wish at a time. What takes a machine away for good waits until every group can do without it, and without what its disk had ([`World::can_lose`]):
//! the fault model is a minority. Bound: [`NODES_AT_ONCE_MAX`] machines at once.

use super::{
    checks::members::{Say, Says},
    disk::{Crash, Disk},
    machine::{Fate, Machine, MachineId},
    random::Random,
    world::{Event, Phase, World},
};
use crate::{
    domain::cluster::Nodes,
    record::v1::{
        Command, Entry,
        cluster::{NodeFacts, Standing},
    },
};
use std::collections::{BTreeSet, VecDeque};
use wire::{Idempotency, NodeId, PartitionId, placement::NODES_PARTITION};

/// How often it looks, in microseconds.
const LOOK_US: u64 = 150_000;
/// So long it looks on while somebody who is gone is waited for, in microseconds.
const PATIENCE_US: u64 = 10_000_000;
/// Machines that are there at once.
const NODES_AT_ONCE_MAX: usize = 5;
/// Nodes in another region, which never vote, in a thousand.
const FAR: u64 = 150;

/// What is to become of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// One more.
    Add,
    /// One is to do nothing but receive; later it comes back, or is removed.
    Drain,
    /// The one that rests is active again.
    Return(NodeId),
    /// One goes for good; the one that rests, or any.
    Remove(Option<NodeId>),
    /// The folder of one is gone: another one takes its name.
    Replace,
}

/// What is proposed until it shows.
struct Work {
    entries: Vec<Entry>,
    shows: Shows,
}

/// How a command shows in the committed nodes.
enum Shows {
    /// So many there ever were.
    Ever(usize),
    /// A node stands so.
    Stands(NodeId, Standing),
}

/// See above.
pub(super) struct Keeper {
    random: Random,
    /// What has not begun, each with when it may.
    wishes: VecDeque<(u64, Wish)>,
    work: Option<Work>,
    /// Of commands: each takes effect once.
    keys: u128,
    /// Since when somebody waits for the word of one who is gone for good.
    waits_since_us: Option<u64>,
}

impl Keeper {
    /// One that first tells the cluster of the nodes that it begins with; `None` where nodes stay as they are.
    pub(super) fn new(machines: u16, mut random: Random) -> Self {
        let mut keeper = Self { random: random.fork(1), wishes: VecDeque::new(), work: None, keys: 0, waits_since_us: None };
        let entries = (0..machines).map(|nth| keeper.add(format!("node-{nth}"), &mut random, 0)).collect();
        keeper.work = Some(Work { entries, shows: Shows::Ever(usize::from(machines)) });
        keeper
    }

    /// The command that adds a node.
    fn add(&mut self, name: String, random: &mut Random, far: u64) -> Entry {
        let zone = random.pick(&["a", "b", "c"]).to_owned();
        let region = if random.chance(far) { "far" } else { "home" }.to_owned();
        self.entry(Command::AddNode { facts: NodeFacts { name, address: "10.0.0.1:7000".to_owned(), shards: 1, zone, region } })
    }

    fn entry(&mut self, command: Command) -> Entry {
        self.keys += 1;
        let idempotency = Some(Idempotency { key: self.keys, fingerprint: 1 });
        Entry { idempotency, ..Entry::of(command) }
    }

    fn set(&mut self, node: NodeId, standing: Standing) {
        let entries = vec![self.entry(Command::SetNode { node: node.0, standing })];
        self.work = Some(Work { entries, shows: Shows::Stands(node, standing) });
    }
}

impl World {
    /// Wishes something of the keeper, where there is one.
    pub(super) fn wish(&mut self, wish: Wish, after_us: u64) {
        let at_us = self.time_us + after_us;
        if let Some(keeper) = &mut self.keeper {
            keeper.wishes.push_back((at_us, wish));
        }
    }

    /// The keeper looks around.
    pub(super) fn keep(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        self.goes_on(&mut keeper);
        self.give_its_word(&mut keeper);
        self.keeper = Some(keeper);
        self.schedule(LOOK_US, Event::Keeper);
    }

    /// Nodes that do not know what they lost wait for the word of all voters, and one of those never comes back: then those who operate the cluster say that the disks have
    /// what they were given (`--trust-log`), which holds in these runs.
    fn give_its_word(&mut self, keeper: &mut Keeper) {
        if !(self.counts_who_is_off() && self.somebody_lost()) {
            keeper.waits_since_us = None;
            return;
        }
        let since_us = *keeper.waits_since_us.get_or_insert(self.time_us);
        if self.time_us < since_us + PATIENCE_US {
            return;
        }
        keeper.waits_since_us = None;
        self.story.count("logs trusted by word");
        for machine in self.here() {
            if self.machines[machine].node.is_some() && self.lost(machine) {
                self.machines[machine].told_to_trust = true;
                self.crash(machine, Crash::Kill);
            }
        }
    }

    fn goes_on(&mut self, keeper: &mut Keeper) {
        let nodes = self.nodes();
        if let Some(Work { shows, .. }) = &keeper.work {
            let is_shown = match shows {
                Shows::Ever(count) => nodes.len() >= *count,
                Shows::Stands(node, standing) => nodes.get(*node).is_some_and(|node| node.standing == *standing),
            };
            if is_shown {
                keeper.work = None;
                self.in_line(keeper, &nodes);
            }
        }
        if self.phase != Phase::Storm {
            // What is begun is seen through.
            keeper.wishes.clear();
        }
        let due = keeper.wishes.iter().position(|(at_us, _)| *at_us <= self.time_us);
        if keeper.work.is_none()
            && let Some((at_us, wish)) = due.and_then(|place| keeper.wishes.remove(place))
            && !self.begin(keeper, &nodes, wish)
        {
            keeper.wishes.push_back((at_us, wish));
        }
        if let Some(Work { entries, .. }) = &keeper.work {
            self.propose(entries);
        }
    }

    /// The committed nodes.
    pub(super) fn nodes(&self) -> Nodes {
        (**self.shadow.partition(NODES_PARTITION).nodes()).clone()
    }

    /// Machines for nodes that are new; others are switched off.
    fn in_line(&mut self, keeper: &mut Keeper, nodes: &Nodes) {
        while self.machines.len() < nodes.len() {
            let machine = MachineId(u16::try_from(self.machines.len()).expect("few machines"));
            self.machines.push(Machine::joining(machine, &self.settings));
            self.shadow.joins();
            self.story.count("nodes added");
            for adapter in self.provider.joins(machine, self.settings.shards_max) {
                self.schedule(0, Event::Adapter(super::provider::Happening::Poll { adapter, life: 0 }));
            }
            let delay = keeper.random.below(500_000);
            self.schedule(delay, Event::Start { machine });
        }
        for (node, _) in nodes.iter().filter(|(_, node)| node.standing == Standing::Removed) {
            let machine = MachineId::of(node);
            if self.machines[machine].fate != Fate::Member {
                continue;
            }
            self.machines[machine].fate = Fate::Removed;
            self.forget_leader(machine);
            self.story.count("nodes removed");
            // Some are forgotten, and run on.
            if keeper.random.chance(700) {
                let delay = keeper.random.below(3_000_000);
                self.schedule(delay, Event::SwitchedOff { machine });
            }
        }
    }

    /// Begins what is wished; false when the time for it has not come.
    fn begin(&mut self, keeper: &mut Keeper, nodes: &Nodes, wish: Wish) -> bool {
        let here: Vec<MachineId> = self.here();
        let active: Vec<NodeId> = nodes.present().filter(|(_, node)| node.standing == Standing::Active).map(|(id, _)| id).collect();
        match wish {
            Wish::Add => {
                if here.len() >= NODES_AT_ONCE_MAX {
                    return false;
                }
                let mut random = keeper.random.fork(nodes.len() as u64);
                let add = keeper.add(format!("node-{}", nodes.len()), &mut random, FAR);
                keeper.work = Some(Work { entries: vec![add], shows: Shows::Ever(nodes.len() + 1) });
            }
            Wish::Drain => {
                let home: Vec<NodeId> =
                    active.iter().copied().filter(|id| nodes.get(*id).map(|node| node.facts.region.as_str()) == nodes.home()).collect();
                if home.len() < 3 || active.len() < here.len() {
                    return false;
                }
                let node = keeper.random.pick(&active);
                let later_us = keeper.random.between(200_000, 5_000_000);
                let then = if keeper.random.chance(500) { Wish::Return(node) } else { Wish::Remove(Some(node)) };
                keeper.wishes.push_back((self.time_us + later_us, then));
                self.story.count("nodes drained");
                keeper.set(node, Standing::Draining);
            }
            // It was replaced meanwhile.
            Wish::Return(node) | Wish::Remove(Some(node)) if nodes.get(node).is_some_and(|node| node.standing != Standing::Draining) => {}
            Wish::Return(node) => keeper.set(node, Standing::Active),
            Wish::Remove(node) => {
                let node = node.unwrap_or_else(|| keeper.random.pick(&active));
                let machine = MachineId::of(node);
                if here.len() < 4 || !self.can_lose(nodes, machine) {
                    return false;
                }
                // Some are gone, or hear nobody, before anybody says so.
                match keeper.random.below(3) {
                    0 => self.take_away(machine),
                    1 => self.cut(super::faults::Fault::Isolated, machine, true),
                    _ => {}
                }
                keeper.set(node, Standing::Removed);
            }
            Wish::Replace => {
                let lost = keeper.random.pick(&here);
                if !self.can_lose(nodes, lost) {
                    return false;
                }
                self.take_away(lost);
                self.machines[lost].disk.0.replace(Disk::default());
                self.story.count("folders destroyed");
                let mut random = keeper.random.fork(nodes.len() as u64);
                let name = nodes.get(lost.node()).map(|node| node.facts.name.clone()).unwrap_or_default();
                let add = keeper.add(name, &mut random, 0);
                keeper.work = Some(Work { entries: vec![add], shows: Shows::Ever(nodes.len() + 1) });
            }
        }
        true
    }

    /// Could this machine go for good, with all that is on its disk? Then a majority of those who have a say now, or are to have, is left everywhere, and has
    /// all that is committed; and nobody who is gone already counts anywhere.
    pub(super) fn can_lose(&self, nodes: &Nodes, machine: MachineId) -> bool {
        let off: BTreeSet<u64> = self.machines.iter().filter(|of| of.fate != Fate::Member).map(|of| of.id.node().0).collect();
        let is_fine = |voters: &BTreeSet<u64>| {
            let left = voters.iter().filter(|node| **node != machine.node().0).count();
            voters.is_disjoint(&off) && (left == voters.len() || (voters.len() >= 3 && left > voters.len() / 2))
        };
        let wanted = |id: PartitionId| nodes.members(id).voters.iter().map(|node| node.0).collect::<BTreeSet<u64>>();
        let says = (0..).map(PartitionId).zip(self.shadow.says());
        let fine = |(id, says): (PartitionId, &Says)| {
            let all = [&says.last, &says.before].into_iter().flat_map(Say::halves).filter(|half| !half.is_empty());
            all.chain([&wanted(id)]).all(is_fine)
        };
        let all_run = self.machines.iter().all(|of| of.fate != Fate::Member || of.node.is_some());
        self.machines[machine].fate == Fate::Member && all_run && !self.somebody_lost() && says.into_iter().all(fine)
    }

    /// Does a group at some machine not know yet what its log may have lost?
    fn somebody_lost(&self) -> bool {
        self.here().into_iter().any(|machine| self.lost(machine))
    }

    /// At this one?
    fn lost(&self, machine: MachineId) -> bool {
        let shards = self.machines[machine].node.iter().flat_map(|node| &node.shards);
        shards.into_iter().any(|shard| shard.owned.iter().any(|id| shard.core.may_have_lost(*id)))
    }

    /// Does somebody who is gone for good still count somewhere? Then nobody else may go, not for a moment either: one that comes back without a mark at the
    /// end of its log needs the word of everybody.
    pub(super) fn is_short(&self) -> bool {
        self.keeper.is_some() && self.counts_who_is_off()
    }

    fn counts_who_is_off(&self) -> bool {
        let off = |node: &u64| self.machines.get(MachineId::of(NodeId(*node)).place()).is_some_and(|of| of.fate != Fate::Member);
        // One that was removed may be cut off for good, which is as if it were gone. One that only receives counts too: that it is to vote may be on its way.
        self.shadow.says().iter().any(|says| says.last.halves().into_iter().chain([&says.last.learners]).flatten().any(off))
    }

    /// Has the machine's node a say somewhere?
    pub(super) fn counts(&self, machine: MachineId) -> bool {
        let node = machine.node().0;
        self.shadow.says().iter().any(|says| says.last.halves().into_iter().any(|half| half.contains(&node)))
    }

    /// A machine goes for good while its node still counts: what was about to happen to others does not.
    fn take_away(&mut self, machine: MachineId) {
        for of in &mut self.machines {
            of.doomed = None;
            (of.trouble.tears, of.trouble.write_fails) = (false, false);
        }
        self.switched_off(machine);
    }

    /// A machine is switched off for good.
    pub(super) fn switched_off(&mut self, machine: MachineId) {
        if self.machines[machine].fate != Fate::Off {
            self.machines[machine].fate = Fate::Off;
            self.crash(machine, Crash::PowerCut);
            self.forget_leader(machine);
        }
    }

    /// Proposed to everybody who runs: who leads takes it.
    fn propose(&mut self, entries: &[Entry]) {
        for machine in self.here() {
            let Machine { node: Some(node), clock, .. } = &mut self.machines[machine] else { continue };
            let now = clock.now(self.time_us);
            let shard = wire::placement::shard_of(NODES_PARTITION, u16::try_from(node.shards.len()).expect("few shards"));
            let core = &mut node.shards[usize::from(shard.0)].core;
            for entry in entries {
                core.propose(now, NODES_PARTITION, entry.clone());
            }
            self.wake(machine, shard.0, 0);
        }
    }

    /// What the keeper waits for when it is calm: a command of its own, or a group that is not as its nodes say.
    pub(super) fn unsettled(&self) -> Option<String> {
        let keeper = self.keeper.as_ref()?;
        if let Some(Work { entries, .. }) = &keeper.work {
            return Some(format!("the keeper waits for {:?}", entries.first().map(|entry| &entry.command)));
        }
        let nodes = self.nodes();
        let mut says = (0..).map(PartitionId).zip(self.shadow.says());
        says.find_map(|(id, says)| {
            let wanted = nodes.members(id);
            let set = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect::<BTreeSet<u64>>();
            let Say { voters, outgoing, learners, .. } = &says.last;
            let is_so = outgoing.is_empty() && *voters == set(&wanted.voters) && *learners == set(&wanted.learners);
            (!is_so).then(|| format!("partition {} has {:?}, and should have {wanted:?}", id.0, says.last))
        })
    }
}

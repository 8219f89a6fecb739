//! What goes wrong, and when.
//!
//! Path: a seed → [`draw`], a list of faults with the number of errands after which each strikes → [`World::due_faults`] → the state of the world
//! ([`Weather`]) or of a machine ([`Trouble`]), or a process that ends → [`World::fault_ends`] for those that last → [`World::calm`] when the storm is over.
//! All of it stays within the fault model of `log/FORMAT.md`: what was reported durable is lost only to damage. Damage to a log only hits batches that a
//! later one proves, so that a start must find it; one to a snapshot is found or passed over, when an older one and the log have everything.

use super::{
    Settings,
    disk::Crash,
    keeper::Wish,
    machine::{Acked, Machine, MachineId, Trouble},
    network::Cuts,
    random::Random,
    world::{Event, Phase, World},
};
use crate::{log::BLOCK_BYTES, snapshot::layout};

/// Faults of a run of a cluster: others take over, so that work goes on between them.
const FAULTS_OF_CLUSTERS: (u64, u64) = (10, 20);

/// Faults of a run: fewer would leave too much untried in one seed, more leave too little calm for work between.
const FAULTS: (u64, u64) = (6, 12);

/// A tail rots within so long, and who is away because of it comes back then.
const ROT_US_MAX: u64 = 6_000_000;

/// Wishes of a run whose nodes come and go.
const WISHES: (u64, u64) = (2, 5);

/// Bits that flip in a snapshot instead of the log, if there is one, in a thousand.
const SNAPSHOTS_ROT: u64 = 400;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed.
    Kill,
    /// The power is cut.
    PowerCut,
    /// The power is cut while the next batch of several blocks is on its way.
    TornWrite,
    /// The next write fails, and with it the process.
    WriteFails,
    /// The next step with a file beside the log fails.
    FilesFail,
    /// The next start's reads fail, some of them.
    ReadsFail,
    /// Writes take long.
    SlowDisk,
    /// There is no room for segments.
    FullDisk,
    /// A bit of an acknowledged batch or of a snapshot flips, and the machine restarts.
    BitRot,
    /// A write goes where another batch is, and the machine restarts.
    Misdirected,
    /// The wall clock is set.
    ClockSet,
    /// The adapters lose their memory.
    AdaptersDie,
    /// The provider does not answer.
    ProviderAway,
    /// More messages are lost, late or come twice.
    BadNetwork,
    /// Messages between shards take long.
    SlowPeers,
    /// A shard's executor gets no time.
    Stall,
    /// A machine and the others do not hear each other.
    Isolated,
    /// A machine hears the others, and they do not hear it.
    Unheard,
    /// Two machines do not hear each other; others hear both.
    Estranged,
    /// A machine stands still and is not heard, and goes on for a while as if nothing had been.
    Frozen,
    /// The power is cut, and the last batch that was reported, and that nothing proves, is damaged. Of the others one was behind then, and the other one is
    /// away afterwards.
    TailRots,
    /// Not a fault: something is wished of the cluster's keeper.
    Wish(Wish),
}

impl Fault {
    /// For the trace.
    fn number(self) -> u64 {
        match self {
            Self::Wish(_) => 100,
            Self::Frozen => 101,
            Self::TailRots => 102,
            other => ALL.iter().chain(&OF_CLUSTERS).position(|fault| *fault == other).unwrap_or(0) as u64,
        }
    }
}

impl Fault {
    fn ends_processes(self) -> bool {
        matches!(
            self,
            Self::Kill
                | Self::PowerCut
                | Self::TornWrite
                | Self::WriteFails
                | Self::ReadsFail
                | Self::BitRot
                | Self::Misdirected
                | Self::TailRots
        )
    }
}

/// A tail that is to rot: whose, who is behind meanwhile, and who will be away then.
#[derive(Debug)]
pub(super) struct Rot {
    victim: MachineId,
    behind: MachineId,
    ahead: MachineId,
    is_done: bool,
}

/// What goes wrong only where there are several machines, beside [`ALL`].
const OF_CLUSTERS: [Fault; 10] = [
    Fault::Isolated,
    Fault::Isolated,
    Fault::Isolated,
    Fault::Unheard,
    Fault::Unheard,
    Fault::Estranged,
    Fault::BadNetwork,
    // One that led wakes up, and does not know that another one does.
    Fault::Stall,
    Fault::Stall,
    Fault::Stall,
];

const ALL: [Fault; 21] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::TornWrite,
    Fault::TornWrite,
    Fault::WriteFails,
    Fault::FilesFail,
    Fault::ReadsFail,
    Fault::SlowDisk,
    Fault::FullDisk,
    Fault::BitRot,
    Fault::Misdirected,
    Fault::ClockSet,
    Fault::AdaptersDie,
    Fault::ProviderAway,
    Fault::BadNetwork,
    Fault::SlowPeers,
    Fault::Stall,
];

/// What lasts, and is not about one machine.
#[derive(Debug)]
pub(super) struct Weather {
    /// In a thousand: messages lost, come twice, late.
    pub(super) network: (u64, u64, u64),
    /// The provider does not answer: how many faults make it so.
    pub(super) provider_away: u32,
}

const FAIR: (u64, u64, u64) = (6, 6, 15);

impl Default for Weather {
    fn default() -> Self {
        Self { network: FAIR, provider_away: 0 }
    }
}

/// The faults of a run of so many errands, each with the number of errands after which it strikes.
pub(super) fn draw(root: &Random, errands: u64, settings: &Settings) -> Vec<(u64, Fault)> {
    let (machines, random) = (settings.machines, &mut root.fork(3));
    let (least, most) = if machines > 1 { FAULTS_OF_CLUSTERS } else { FAULTS };
    let count = random.between(least, most);
    // From the last on, so that they are taken from the end.
    let mut faults: Vec<(u64, Fault)> =
        (0..count).map(|_| (random.between(errands / 20, errands * 19 / 20), pick(random, machines))).collect();
    if settings.changes {
        faults.extend(wishes(&mut root.fork(7), errands));
    } else if machines == 3 {
        // A minority, and once: that is the fault model.
        faults.push((root.fork(8).between(errands / 20, errands * 4 / 5), Fault::TailRots));
    }
    if machines > 1 {
        let random = &mut root.fork(9);
        faults.extend((0..random.below(3)).map(|_| (random.between(errands / 20, errands * 4 / 5), Fault::Frozen)));
    }
    faults.sort_by_key(|(after, _)| std::cmp::Reverse(*after));
    faults
}

/// What is wished of the keeper: early enough that something comes of it.
fn wishes(random: &mut Random, errands: u64) -> Vec<(u64, Fault)> {
    let all = [Wish::Add, Wish::Add, Wish::Add, Wish::Drain, Wish::Drain, Wish::Remove(None), Wish::Replace, Wish::Replace];
    let count = random.between(WISHES.0, WISHES.1);
    (0..count).map(|_| (random.between(errands / 20, errands * 4 / 5), Fault::Wish(random.pick(&all)))).collect()
}

fn pick(random: &mut Random, machines: u16) -> Fault {
    // Nothing more is drawn where there is one machine.
    if machines > 1 && random.chance(500) { random.pick(&OF_CLUSTERS) } else { random.pick(&ALL) }
}

impl World {
    pub(super) fn due_faults(&mut self) {
        while self.faults.last().is_some_and(|(after, _)| *after <= self.story.errands_begun) {
            let Some((_, fault)) = self.faults.pop() else { return };
            let number = u32::try_from(self.faults.len()).expect("few faults");
            // Each draws from a stream of its own, masked or not.
            let mut random = self.random.fork(u64::from(number));
            if !self.masks.fault(number) {
                self.strike(fault, &mut random);
            }
        }
    }

    /// The machine that a fault strikes.
    fn struck(&self, random: &mut Random) -> MachineId {
        let here = self.here();
        match here[..] {
            // Nothing is drawn where there is nothing to choose.
            [one] => one,
            _ => here[random.place(here.len())],
        }
    }

    fn strike(&mut self, fault: Fault, random: &mut Random) {
        self.report.faults += 1;
        self.trace(7, fault.number());
        if let Fault::Wish(wish) = fault {
            return self.wish(wish, 0);
        }
        let machine = self.struck(random);
        if self.is_short() && fault.ends_processes() {
            return;
        }
        let of = &mut self.machines[machine];
        let soon = random.below(60) as u32;
        let lasts_us = match fault {
            Fault::Kill => return of.doom(soon, Crash::Kill),
            Fault::PowerCut => return of.doom(soon, Crash::PowerCut),
            Fault::WriteFails => {
                of.trouble.write_fails = true;
                return;
            }
            Fault::TornWrite => {
                of.trouble.tears = true;
                return;
            }
            Fault::FilesFail => {
                of.trouble.files_fail = true;
                return;
            }
            Fault::ReadsFail => {
                of.disk.0.borrow_mut().failing_reads = random.between32(1, 3);
                return of.doom(soon, Crash::Kill);
            }
            Fault::BitRot | Fault::Misdirected => {
                if of.spoil(fault, random) {
                    of.doom(soon, Crash::PowerCut);
                }
                return;
            }
            Fault::ClockSet => {
                let far = match of.clock.is_wild() {
                    true => super::clock::WILD_MS_MAX,
                    false if random.chance(60) => super::clock::SKEW_MS_MAX,
                    false => 120_000,
                };
                let skew_ms = random.below(2 * far).cast_signed() - far.cast_signed();
                of.clock.set_skew(skew_ms);
                return self.clocks_set();
            }
            Fault::AdaptersDie => return self.adapters_die(),
            Fault::SlowDisk => {
                of.trouble.slow_disk += 1;
                random.between(50_000, 1_000_000)
            }
            Fault::FullDisk => {
                of.trouble.full_disk += 1;
                random.between(500_000, 4_000_000)
            }
            Fault::ProviderAway => {
                self.weather.provider_away += 1;
                random.between(500_000, 5_000_000)
            }
            Fault::BadNetwork => {
                self.weather.network = (80, 60, 100);
                random.between(500_000, 3_000_000)
            }
            Fault::SlowPeers => {
                of.trouble.slow_peers = 200;
                random.between(200_000, 3_000_000)
            }
            Fault::Isolated | Fault::Unheard | Fault::Estranged => {
                self.cut(fault, machine, true);
                random.between(100_000, 4_000_000)
            }
            Fault::Wish(_) => return,
            Fault::Frozen => {
                let stands_us = random.between(800_000, 2_500_000);
                let until_us = self.time_us + stands_us;
                of.node.iter_mut().flat_map(|node| &mut node.shards).for_each(|shard| shard.stalled_us = shard.stalled_us.max(until_us));
                self.cut(fault, machine, true);
                stands_us + 1_200_000
            }
            Fault::TailRots => {
                self.begin_rot(random);
                ROT_US_MAX
            }
            Fault::Stall => {
                if let Some(node) = &mut of.node {
                    let shard = random.place(node.shards.len());
                    // In a cluster long enough for others to elect somebody.
                    let most_us = if self.settings.machines > 1 { 4_000_000 } else { 2_000_000 };
                    node.shards[shard].stalled_us = self.time_us + random.between(10_000, most_us);
                }
                return;
            }
        };
        self.schedule(lasts_us, Event::FaultEnds { machine, fault });
    }

    pub(super) fn fault_ends(&mut self, machine: MachineId, fault: Fault) {
        if fault == Fault::TailRots {
            return self.end_rot();
        }
        if matches!(fault, Fault::Isolated | Fault::Unheard | Fault::Estranged | Fault::Frozen) {
            // When it is calm all ways are open.
            if self.phase == Phase::Storm {
                self.cut(fault, machine, false);
            }
            return;
        }
        let (weather, trouble) = (&mut self.weather, &mut self.machines[machine].trouble);
        match fault {
            Fault::SlowDisk => trouble.slow_disk = trouble.slow_disk.saturating_sub(1),
            Fault::FullDisk => trouble.full_disk = trouble.full_disk.saturating_sub(1),
            Fault::SlowPeers => trouble.slow_peers = Trouble::default().slow_peers,
            Fault::ProviderAway => weather.provider_away = weather.provider_away.saturating_sub(1),
            Fault::BadNetwork => weather.network = FAIR,
            Fault::Kill
            | Fault::PowerCut
            | Fault::TornWrite
            | Fault::WriteFails
            | Fault::FilesFail
            | Fault::ReadsFail
            | Fault::BitRot
            | Fault::Misdirected
            | Fault::ClockSet
            | Fault::AdaptersDie
            | Fault::Stall
            | Fault::Isolated
            | Fault::Unheard
            | Fault::Estranged
            | Fault::Frozen
            | Fault::TailRots
            | Fault::Wish(_) => {}
        }
    }

    /// Closes the ways of a fault between machines, or opens them again.
    pub(super) fn cut(&mut self, fault: Fault, machine: MachineId, closes: bool) {
        let next = MachineId((machine.0 + 1) % self.settings.machines);
        for other in self.machine_ids().filter(|other| *other != machine) {
            let both = [(machine, other), (other, machine)];
            let ways = match fault {
                Fault::Unheard => &both[..1],
                Fault::Estranged if other != next => &[],
                _ => &both[..],
            };
            for (from, to) in ways {
                if closes {
                    self.cuts.close(*from, *to);
                } else {
                    self.cuts.open(*from, *to);
                }
            }
        }
    }

    /// One is behind from now on, and the tail of another one rots at the next occasion.
    fn begin_rot(&mut self, random: &mut Random) {
        let here = self.here();
        let all_run = here.iter().all(|machine| self.machines[*machine].node.is_some());
        let [one, two, three] = here[..] else { return };
        if !all_run || self.rot.is_some() {
            return;
        }
        let (victim, behind, ahead) = random.pick(&[
            (one, two, three),
            (one, three, two),
            (two, one, three),
            (two, three, one),
            (three, one, two),
            (three, two, one),
        ]);
        self.cut(Fault::Isolated, behind, true);
        self.rot = Some(Rot { victim, behind, ahead, is_done: false });
    }

    fn end_rot(&mut self) {
        // When it is calm all ways are open.
        let Some(Rot { behind, ahead, is_done, .. }) = self.rot.take() else { return };
        if self.phase == Phase::Storm {
            self.cut(Fault::Isolated, if is_done { ahead } else { behind }, false);
        }
    }

    /// A batch of a machine was reported: a moment later its tail may rot.
    pub(super) fn may_rot(&mut self, machine: MachineId, life: u32) {
        if self.rot.as_ref().is_some_and(|rot| rot.victim == machine && !rot.is_done) {
            let delay = self.random.between(200, 2_900);
            self.schedule(delay, Event::Rots { machine, life });
        }
    }

    /// The machine's power is cut, and the last batch that was reported is damaged; unless a later one may prove it by now.
    pub(super) fn rots(&mut self, machine: MachineId) {
        let Some(rot) = self.rot.as_mut().filter(|rot| rot.victim == machine && !rot.is_done) else { return };
        let (behind, ahead) = (rot.behind, rot.ahead);
        let of = &self.machines[machine];
        let hit = |(log, batches): (&String, &Vec<Acked>)| {
            let last = batches.iter().max_by_key(|batch| batch.number)?;
            let proven = of.proven.get(log).copied().unwrap_or(u64::MAX);
            (last.number > proven).then(|| last.clone())
        };
        let Some(node) = &of.node else { return };
        // An older generation's logs are closed by this one's.
        let logs = node.shards.iter().filter_map(|shard| of.acked.get_key_value(&shard.log));
        let hits: Vec<Acked> = logs.filter_map(hit).collect();
        if hits.is_empty() {
            return;
        }
        rot.is_done = true;
        self.story.count("tails rotten");
        self.shadow.loses(machine);
        self.crash_for(machine, Crash::PowerCut, 50_000);
        // Some end once more before they know what they lack.
        self.machines[machine].ends_again = self.random.chance(400);
        let mut disk = self.machines[machine].disk.0.borrow_mut();
        for batch in hits {
            let block = self.random.below((batch.bytes / BLOCK_BYTES) as u64) * BLOCK_BYTES as u64;
            // No start need find it: it cannot be told from a torn write.
            let _ = disk.damage(&batch.path, batch.at + block, None, &mut self.random);
        }
        drop(disk);
        self.cut(Fault::Isolated, behind, false);
        self.cut(Fault::Isolated, ahead, true);
    }

    /// The storm is over: whatever is damaged is repaired, and nothing goes wrong any more.
    pub(super) fn calm(&mut self) {
        self.weather = Weather { network: (0, 0, 0), ..Weather::default() };
        self.cuts = Cuts::default();
        self.rot = None;
        self.machines.iter_mut().for_each(Machine::calm);
        debug_assert!(matches!(self.phase, Phase::Healing { .. }), "the storm ends once");
    }
}

impl Machine {
    /// Nothing goes wrong with it any more, and what did is repaired.
    fn calm(&mut self) {
        self.trouble = Trouble { slow_peers: 0, ..Trouble::default() };
        self.doomed = None;
        self.disk.0.borrow_mut().failing_reads = 0;
        self.repair();
        for shard in self.node.iter_mut().flat_map(|node| &mut node.shards) {
            shard.stalled_us = 0;
            shard.turn_us = None;
        }
    }

    /// Flips a bit of a snapshot. False when there is none.
    fn rot_snapshot(&mut self, random: &mut Random) -> bool {
        let mut disk = self.disk.0.borrow_mut();
        let mut snapshots = Vec::new();
        for partition in (0..self.meta.partitions).map(wire::PartitionId) {
            let folder = layout::partition_path(partition);
            let whole = |name: &String| matches!(layout::parse_name(name), Some(layout::Name::Whole(_)));
            snapshots.extend(disk.list(&folder).into_iter().map(|(name, _)| name).filter(whole).map(|name| format!("{folder}/{name}")));
        }
        let hit = (!snapshots.is_empty()).then(|| random.place(snapshots.len()));
        let damage = hit.and_then(|hit| disk.rot(&snapshots[hit], random));
        drop(disk);
        let is_done = damage.is_some();
        self.damage.extend(damage);
        is_done
    }

    /// Damages an acknowledged batch that a later one proves, or a snapshot. False when there is none.
    fn spoil(&mut self, fault: Fault, random: &mut Random) -> bool {
        // From forks, so that what follows draws the same either way.
        if fault == Fault::BitRot && random.fork(1).chance(SNAPSHOTS_ROT) && self.rot_snapshot(&mut random.fork(2)) {
            return true;
        }
        let logs: Vec<&Vec<Acked>> = self.acked.values().filter(|batches| batches.len() > 4).collect();
        if logs.is_empty() {
            return false;
        }
        let batches = logs[random.place(logs.len())];
        let newest = batches.iter().map(|batch| batch.number).max().unwrap_or(0);
        // A writer claims what was durable when it sealed: at least all but the two before.
        let proven: Vec<&Acked> = batches.iter().filter(|batch| batch.number + 2 < newest).collect();
        if proven.is_empty() {
            return false;
        }
        let hit = proven[random.place(proven.len())].clone();
        let other = proven[random.place(proven.len())].clone();
        let block = |batch: &Acked, random: &mut Random| batch.at + random.below((batch.bytes / BLOCK_BYTES) as u64) * BLOCK_BYTES as u64;
        let (at, from) = (block(&hit, random), block(&other, random));
        let mut disk = self.disk.0.borrow_mut();
        let done = match fault {
            Fault::Misdirected => {
                let stray = disk.block(&other.path, from);
                disk.damage(&hit.path, at, stray, random)
            }
            _ => disk.damage(&hit.path, at, None, random),
        };
        drop(disk);
        let is_done = done.is_some();
        self.damage.extend(done);
        is_done
    }
}

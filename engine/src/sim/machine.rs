//! One machine of a run: a disk, a clock, a data folder, and the process on it while one runs.
//!
//! Path: [`World::start`] boots a process from what is on the disk → it lives until [`World::crash`], or until it has done its last action when it is
//! doomed ([`World::acts`]) → it is started again. What happens to it in between is `driver.rs`, what goes wrong with it `faults.rs`.
//! Read first: [`Machine`]. Bounds: [`Settings::machines`] of them and those that the keeper adds, which share nothing but the network, the true time and the chance.

use super::{
    Settings,
    checks::{Violation, must},
    clock::Clock,
    disk::{Crash, Damage, Disk, Mounted},
    node::{self, Node, NotStarted},
    world::{Event, Phase, World},
};
use crate::{
    folder::{Begins, Meta},
    log::RecoverError,
    snapshot::FileError,
    start::ReplayLogError,
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::{Index, IndexMut},
    rc::Rc,
};
use wire::NodeId;

/// Names a machine of a run: its place in [`World::machines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MachineId(pub(super) u16);

impl MachineId {
    /// Every run has it.
    pub(super) const FIRST: Self = Self(0);

    /// Its number in the cluster.
    pub(super) fn node(self) -> NodeId {
        NodeId(u64::from(self.0) + 1)
    }

    /// The machine of a node.
    pub(super) fn of(node: NodeId) -> Self {
        Self(u16::try_from(node.0 - 1).expect("few machines"))
    }

    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// See above.
pub(super) struct Machine {
    pub(super) id: MachineId,
    pub(super) disk: Mounted,
    pub(super) meta: Meta,
    pub(super) clock: Clock,
    /// Its process, while one runs.
    pub(super) node: Option<Node>,
    /// Goes up when a process starts and when one ends: what was under way for an earlier one is void.
    pub(super) life: u32,
    /// The process ends after so many more actions.
    pub(super) doomed: Option<(u32, Crash)>,
    /// Damage to the disk that no start has found yet.
    pub(super) damage: Vec<Damage>,
    /// What was reported durable, by the path of its log.
    pub(super) acked: BTreeMap<String, Vec<Acked>>,
    /// By the path of its log, the newest batch that one handed to the disk may prove to be durable.
    pub(super) proven: BTreeMap<String, u64>,
    /// Its next process ends soon.
    pub(super) ends_again: bool,
    pub(super) trouble: Trouble,
    pub(super) fate: Fate,
    /// Who has a say in groups that its folder knows nothing of: nobody, where it joins others.
    pub(super) founders: Vec<NodeId>,
    /// How often its power was cut.
    pub(super) boots: u32,
    /// As often as at the last start that found its logs whole, if that was the last one.
    pub(super) whole_since: Option<u32>,
    /// Its operators say that its next process is to go by its log.
    pub(super) told_to_trust: bool,
}

/// What has become of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its node is one of the cluster, or will be.
    Member,
    /// Its node is not any more, and runs on.
    Removed,
    /// It is switched off for good.
    Off,
}

/// A batch that was reported durable: where it is.
#[derive(Clone, Debug)]
pub(super) struct Acked {
    pub(super) path: String,
    pub(super) at: u64,
    pub(super) bytes: usize,
    pub(super) number: u64,
}

/// What goes wrong at one machine, for as long as it lasts or the next time it can.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Messages between its shards that are late, in a thousand.
    pub(super) slow_peers: u64,
    /// How many faults make it so.
    pub(super) slow_disk: u32,
    /// Likewise.
    pub(super) full_disk: u32,
    /// The next batch of several blocks does not live to be reported.
    pub(super) tears: bool,
    /// The next write fails.
    pub(super) write_fails: bool,
    /// The next step with a file beside the log fails.
    pub(super) files_fail: bool,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { slow_peers: 5, slow_disk: 0, full_disk: 0, tears: false, write_fails: false, files_fail: false }
    }
}

impl Machine {
    /// A machine with an empty data folder, of a node that joins others.
    pub(super) fn joining(id: MachineId, settings: &Settings) -> Self {
        Self { founders: Vec::new(), ..Self::new(id, settings) }
    }

    /// A machine with an empty data folder, one of those that a run begins with.
    pub(super) fn new(id: MachineId, settings: &Settings) -> Self {
        let folder = 1 + u128::from(id.0);
        Self {
            id,
            disk: Mounted(Rc::new(RefCell::new(Disk::default()))),
            meta: Meta { id: folder, partitions: settings.partitions, epoch: 1, generations: Vec::new(), begins: Begins::Log },
            clock: Clock::default(),
            node: None,
            life: 0,
            doomed: None,
            damage: Vec::new(),
            acked: BTreeMap::new(),
            proven: BTreeMap::new(),
            ends_again: false,
            trouble: Trouble::default(),
            fate: Fate::Member,
            founders: (0..settings.machines).map(|machine| MachineId(machine).node()).collect(),
            boots: 0,
            whole_since: None,
            told_to_trust: false,
        }
    }

    /// Shards of the process, 0 while none runs.
    pub(super) fn shards(&self) -> u16 {
        self.node.as_ref().map_or(0, |node| u16::try_from(node.shards.len()).expect("few shards"))
    }

    /// The process is to end after so many more actions, unless its end is settled already.
    pub(super) fn doom(&mut self, actions: u32, how: Crash) {
        self.doomed.get_or_insert((actions, how));
    }

    /// Nothing needs what is in this segment any more, so damage to it need not be found.
    pub(super) fn released(&mut self, path: &str) {
        for batches in self.acked.values_mut() {
            batches.retain(|batch| batch.path != path);
        }
        self.damage.retain(|damage| !damage.is_of(path));
    }

    /// What was reported before a batch in front of it was lost with that: nobody looks there again. `ends` has the batch that is next in each log.
    fn forget_lost(&mut self, ends: &BTreeMap<String, u64>) {
        for (log, next) in ends {
            let acked = self.acked.entry(log.clone()).or_default();
            for lost in acked.extract_if(.., |batch| batch.number >= *next) {
                self.disk.0.borrow_mut().forget_blocks(&lost.path, lost.at, lost.bytes);
            }
        }
    }

    /// Damage is undone, as a restore from a backup would.
    pub(super) fn repair(&mut self) {
        for damage in std::mem::take(&mut self.damage) {
            self.disk.0.borrow_mut().repair(&damage);
        }
    }
}

/// A name is a place, as that of a list.
impl Index<MachineId> for Vec<Machine> {
    type Output = Machine;

    fn index(&self, machine: MachineId) -> &Machine {
        &self[machine.place()]
    }
}

impl IndexMut<MachineId> for Vec<Machine> {
    fn index_mut(&mut self, machine: MachineId) -> &mut Machine {
        &mut self[machine.place()]
    }
}

impl World {
    /// The names of all machines.
    pub(super) fn machine_ids(&self) -> impl Iterator<Item = MachineId> + use<> {
        (0..self.machines.len() as u16).map(MachineId)
    }

    /// Those whose nodes are of the cluster.
    pub(super) fn here(&self) -> Vec<MachineId> {
        self.machines.iter().filter(|of| of.fate == Fate::Member).map(|of| of.id).collect()
    }

    /// May the machine's process do one thing more? If not it ends here.
    pub(super) fn acts(&mut self, machine: MachineId) -> bool {
        let of = &mut self.machines[machine];
        match &mut of.doomed {
            None => of.node.is_some(),
            Some((0, how)) => {
                let how = *how;
                self.crash(machine, how);
                false
            }
            Some((left, _)) => {
                *left -= 1;
                of.node.is_some()
            }
        }
    }

    /// The machine's process is started, or tries to.
    pub(super) fn start(&mut self, machine: MachineId) -> Result<(), Violation> {
        let of = &mut self.machines[machine];
        if of.fate == Fate::Off {
            return Ok(());
        }
        of.life += 1;
        self.report.starts += 1;
        of.clock.boot(self.time_us);
        let now = of.clock.now(self.time_us);
        let shards = self.settings.shards_at(&mut self.random);
        let seed = self.random.next();
        match node::boot(of, shards, &self.settings, now, seed, &mut self.shadow) {
            Ok(node) => {
                if let Some(damage) = of.damage.iter().find(|damage| !damage.can_be_passed) {
                    return Err(Violation::new(format!("a start did not find this damage: {damage:?}")));
                }
                // What an older snapshot and the log made up for is so at every start, until a newer one is made.
                of.damage.drain(..).for_each(|_| self.story.count("damaged snapshots passed over"));
                of.forget_lost(&node.ends);
                of.node = Some(node);
                if std::mem::take(&mut of.ends_again) {
                    let soon = self.random.between32(20, 2_000);
                    of.doom(soon, Crash::Kill);
                }
                self.trace_of(machine, 1, u64::from(shards));
                for shard in 0..shards {
                    self.wake(machine, shard, 0);
                }
                Ok(())
            }
            Err(NotStarted::Wrong(violation)) => Err(violation),
            Err(NotStarted::Refused(error)) => self.not_started(machine, &error),
        }
    }

    /// A start was refused: by its disk, or because of damage, which is then repaired. It is tried again.
    fn not_started(&mut self, machine: MachineId, error: &ReplayLogError) -> Result<(), Violation> {
        self.trace_of(machine, 2, 0);
        let of = &mut self.machines[machine];
        use ReplayLogError::{Snapshot, SnapshotGone, SnapshotNeeded};
        let of_snapshot = matches!(error, Snapshot(_) | SnapshotNeeded { .. } | SnapshotGone { .. })
            && of.damage.iter().any(|damage| damage.can_be_passed);
        if of_snapshot {
            self.story.count("damaged snapshots found");
        }
        // A stray block may be the first of another segment: whole, and not this one's.
        use RecoverError::{Corruption, Foreign};
        let by_damage = of_snapshot || matches!(error, ReplayLogError::Recover(Corruption(_) | Foreign { .. }));
        let unread = |snapshot: &FileError| matches!(snapshot, FileError::Io { .. });
        let by_disk = match error {
            ReplayLogError::Recover(RecoverError::Io { .. }) => true,
            Snapshot(snapshot) => unread(snapshot),
            _ => false,
        };
        must(by_disk || !of.damage.is_empty(), || format!("a start is refused without a reason: {error}"))?;
        must(by_disk || by_damage, || format!("damage is taken for something else: {error}"))?;
        if by_damage {
            self.report.detected += 1;
            of.repair();
        }
        let delay = self.random.between(1_000, 500_000);
        self.schedule(delay, Event::Start { machine });
        Ok(())
    }

    /// The machine's process ends here and now.
    pub(super) fn crash(&mut self, machine: MachineId, how: Crash) {
        self.crash_for(machine, how, 2_000_000);
    }

    /// Likewise, and is started again within so long.
    pub(super) fn crash_for(&mut self, machine: MachineId, how: Crash, most_us: u64) {
        if self.machines[machine].node.take().is_none() {
            return;
        }
        self.trace_of(machine, 3, how as u64);
        let of = &mut self.machines[machine];
        of.doomed = None;
        of.life += 1;
        of.disk.0.borrow_mut().crash(how, &mut self.random);
        of.boots += u32::from(how == Crash::PowerCut);
        if of.fate == Fate::Off {
            return;
        }
        let down_us = if self.phase == Phase::Storm { self.random.between(1_000, most_us) } else { 1_000 };
        self.schedule(down_us, Event::Start { machine });
    }
}

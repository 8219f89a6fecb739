//! A second life of the state: every committed entry, applied once more, and compared with the state of the machines.
//!
//! Path: a batch of a machine is reported → [`Shadow::durable`], into the [`MachineLog`] of that machine → its core applies → [`Shadow::applied`]: the
//! entry is on the disks of a majority of those who have a say, and is the next of the canonical history, or the one that is there already → partitions of its own →
//! [`Shadow::compare`] with the machine's: cheap at each entry, by digest every [`DIGEST_EVERY`] entries. A start → [`Shadow::recovered`] for each entry
//! that the recovery found → [`Shadow::end_recovery`]: nothing that the disk had is missing → what the cores have applied is looked at as at any time.
//! Committed is what a machine has applied, for nobody is told anything else: what is durable on a majority and applied nowhere may still be lost.
//! Bounds: of each entry of a run a mark and what its state is like in brief, and on each machine a mark.

use super::{
    Violation,
    machine_log::{Held, MachineLog, Mark},
    members::Says,
    must,
    times::Times,
    walk::Walks,
};
use crate::{
    log::{EntryVariant, Record, RecordKind},
    partition::{Applied, Changes, Partition},
    record::{self, v1::Command},
    sim::machine::MachineId,
};
use std::collections::{BTreeMap, BTreeSet};
use wire::{HoldId, Millis, PartitionId, Position, Seq};

#[cfg(test)]
mod tests;

/// So often the whole state of a partition is compared, in its entries.
pub(in crate::sim) const DIGEST_EVERY: u64 = 256;

/// What is cheap to see of a partition's state: its time, how many effects are open, and when its next timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Brief {
    last_time: Millis,
    open: usize,
    next_timer: Option<Millis>,
}

impl Brief {
    fn of(partition: &Partition) -> Self {
        Self { last_time: partition.last_time(), open: partition.outbox().open.len(), next_timer: partition.next_timer() }
    }
}

/// What is committed of a partition.
struct History {
    /// Of each entry, from 1 on.
    marks: Vec<Mark>,
    /// The state after each command, from 0 on.
    briefs: Vec<Brief>,
}

impl History {
    /// Index of the last entry.
    fn head(&self) -> u64 {
        self.marks.len() as u64
    }

    fn mark(&self, index: u64) -> Option<Mark> {
        self.marks.get(usize::try_from(index.checked_sub(1)?).ok()?).copied()
    }
}

/// A machine's copy of everything, as far as it was watched.
struct Replica {
    log: MachineLog,
    /// What the recovery under way has found.
    found: MachineLog,
    /// Up to which entry its core has applied each partition, in this life.
    applied: Vec<u64>,
    /// When each partition was compared whole, in commands.
    compared: Vec<u64>,
    /// Up to which entry its log says that all is committed.
    known: Vec<u64>,
    /// What its disk had when the end of its log was lost: it may have acknowledged that.
    lost: Option<MachineLog>,
    /// The next start may miss something.
    may_miss: bool,
}

impl Replica {
    /// Of an empty disk.
    fn new(partitions: u16) -> Self {
        let count = usize::from(partitions);
        Self {
            log: MachineLog::new(partitions),
            found: MachineLog::new(partitions),
            applied: vec![0; count],
            compared: vec![0; count],
            known: vec![0; count],
            lost: None,
            may_miss: false,
        }
    }
}

/// See above.
pub(in crate::sim) struct Shadow {
    /// At the head of their histories.
    partitions: Vec<Partition>,
    histories: Vec<History>,
    /// By [`MachineId`].
    replicas: Vec<Replica>,
    /// Who has a say in each partition.
    says: Vec<Says>,
    pub(in crate::sim) times: Times,
    /// What came of commands whose answer is made of nothing else, until it is given.
    outcomes: BTreeMap<(PartitionId, Seq), Applied>,
    /// Reservations that commands sold, whole or in part.
    sold: BTreeSet<HoldId>,
    changes: Changes,
    walks: Walks,
    pub(in crate::sim) entries: u64,
    pub(in crate::sim) digests: u64,
    /// Partitions that a start took from a snapshot.
    pub(in crate::sim) restored: u64,
    /// Entries that were on their way when a process ended, and survived.
    pub(in crate::sim) survived: u64,
}

impl Shadow {
    pub(in crate::sim) fn new(machines: u16, partitions: u16, epoch: u32) -> Self {
        let states: Vec<Partition> = (0..partitions).map(|id| Partition::new(PartitionId(id), epoch, partitions)).collect();
        Self {
            histories: states.iter().map(|state| History { marks: Vec::new(), briefs: vec![Brief::of(state)] }).collect(),
            times: Times::new(partitions),
            partitions: states,
            replicas: (0..machines).map(|_| Replica::new(partitions)).collect(),
            says: (0..partitions).map(|_| Says::of_voters((0..machines).map(|machine| MachineId(machine).node().0))).collect(),
            outcomes: BTreeMap::new(),
            sold: BTreeSet::new(),
            changes: Changes::default(),
            walks: Walks::new(partitions, epoch),
            entries: 0,
            digests: 0,
            restored: 0,
            survived: 0,
        }
    }

    pub(in crate::sim) fn partition(&self, id: PartitionId) -> &Partition {
        &self.partitions[usize::from(id.0)]
    }

    pub(in crate::sim) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Snapshots written out while entries went on, and restored.
    pub(in crate::sim) fn snapshots(&self) -> u64 {
        self.walks.done
    }

    /// The next record of a machine's log is durable, in a batch that was reported.
    ///
    /// # Errors
    /// When it does not follow, or undoes what is committed.
    pub(in crate::sim) fn durable(&mut self, machine: MachineId, record: &Record<'_>, at_us: u64) -> Result<(), Violation> {
        let Record { partition, term, index, time_ms, .. } = *record;
        if matches!(record.kind, RecordKind::Entry(EntryVariant::Command)) && time_ms > 0 {
            self.times.stamped(PartitionId(partition), term, time_ms, at_us)?;
        }
        let (id, who) = (PartitionId(partition), machine.0);
        let history = &self.histories[usize::from(partition)];
        let Replica { log, applied, known, .. } = &mut self.replicas[machine.place()];
        let known = &mut known[usize::from(partition)];
        match record.kind {
            RecordKind::OverwriteFrom => {
                must(index > log.base(id), || {
                    format!("machine {who} makes entries of partition {partition} void from {index} on, and its snapshot has them")
                })?;
                let is_committed = |index: &u64| history.mark(*index).is_some_and(|mark| log.mark(id, *index) == Some(mark));
                let committed = (index..=log.last(id)).find(is_committed).unwrap_or(0);
                must(committed == 0, || {
                    format!("machine {who} makes entry {committed} of partition {partition} void, which is committed")
                })?;
            }
            RecordKind::SnapshotMark => {
                let is_committed = index == 0 || history.mark(index).is_some_and(|mark| mark.term == term);
                must(is_committed, || {
                    format!("machine {who} logs a snapshot of partition {partition} up to {index} of term {term}, which is not committed")
                })?;
            }
            RecordKind::HardState | RecordKind::Membership => *known = (*known).max(index),
            RecordKind::Entry(EntryVariant::MemberChange | EntryVariant::JointChange) => {
                let before = log.last_change(id);
                must(before <= *known, || {
                    format!(
                        "machine {who} logs a change of the members of partition {partition} and not that the one before, entry {before}, is committed"
                    )
                })?;
            }
            RecordKind::Entry(EntryVariant::Command) | RecordKind::DurableMark | RecordKind::LogEnd => {}
        }
        log.take(record, history.head()).map_err(|wrong| wrong.of(machine))?;
        // It may have applied what others have, before its own disk has it.
        let is_applied = matches!(record.kind, RecordKind::Entry(_)) && index <= applied[usize::from(partition)];
        must(!is_applied || log.mark(id, index) == history.mark(index), || {
            format!("machine {who} logs another entry {index} of partition {partition} than it has applied")
        })
    }

    /// The core of a machine says that it has applied a partition up to an entry, of which its last snapshot has those up to `snapshot`. Is that further than when it said so last?
    ///
    /// # Errors
    /// When it is not committed, or another entry is; and when the core goes back.
    pub(in crate::sim) fn applied(&mut self, machine: MachineId, id: PartitionId, upto: u64, snapshot: u64) -> Result<bool, Violation> {
        let place = usize::from(id.0);
        let before = self.replicas[machine.place()].applied[place];
        if upto == before {
            return Ok(false);
        }
        must(upto > before, || format!("machine {} had applied entry {before} of partition {place}, and goes back to {upto}", machine.0))?;
        for index in before + 1..=upto {
            let own = self.replicas[machine.place()].log.mark(id, index);
            let committed = match self.histories[place].mark(index) {
                Some(committed) => committed,
                None => self.commit(machine, id, index)?,
            };
            // What it has of a peer's snapshot, or before its own disk has it, is known by the state that it makes. The log below a snapshot that came just
            // now may have other entries: they are void, and the log does not say so yet.
            must(index <= snapshot || own.is_none_or(|own| own == committed), || {
                format!("machine {} has applied another entry {index} of partition {place} than the committed one", machine.0)
            })?;
        }
        self.replicas[machine.place()].applied[place] = upto;
        Ok(true)
    }

    /// The next entry of a partition is committed, for a machine applied it: it must be on the disks of a majority of those who have a say.
    fn commit(&mut self, machine: MachineId, id: PartitionId, index: u64) -> Result<Mark, Violation> {
        let says = &self.says[usize::from(id.0)];
        let marks: Vec<Option<Mark>> = self.replicas.iter().map(|of| of.log.mark(id, index)).collect();
        let had = |of: &Replica, mark: &Mark| of.lost.as_ref().is_some_and(|lost| lost.mark(id, index) == Some(*mark));
        let has = |node: u64, mark: &Mark| {
            let place = usize::try_from(node - 1).expect("few machines");
            marks.get(place) == Some(&Some(*mark)) || self.replicas.get(place).is_some_and(|of| had(of, mark))
        };
        let Some(committed) = marks.iter().flatten().find(|mark| says.agree(|node| has(node, mark))).copied() else {
            let disks = |mark: &Mark| marks.iter().flatten().filter(|other| *other == mark).count();
            let (most, of) = (marks.iter().flatten().map(disks).max().unwrap_or(0), self.replicas.len());
            let (who, place) = (machine.0, id.0);
            return Err(Violation::new(format!(
                "machine {who} has applied entry {index} of partition {place}, which is durable on {most} of {of} machines"
            )));
        };
        let held: Vec<Held> = self.replicas.iter_mut().filter_map(|of| of.log.let_go(id, index)).collect();
        let entry = held.into_iter().find(|held| held.mark == committed).expect("a majority has it");
        self.histories[usize::from(id.0)].marks.push(committed);
        self.entries += 1;
        self.times.committed(id, entry.time)?;
        match entry.variant {
            // The first of a leader.
            EntryVariant::Command if entry.body.is_empty() => {}
            EntryVariant::Command => self.apply(id, entry.time, &entry.body)?,
            // No part of the state.
            EntryVariant::MemberChange | EntryVariant::JointChange => {
                let says = &mut self.says[usize::from(id.0)];
                says.change(entry.variant, &entry.body)
                    .map_err(|error| Violation::new(format!("entry {index} of partition {}: {error}", id.0)))?;
                if says.last.voters.len() == 1 {
                    self.times.alone();
                }
            }
        }
        Ok(committed)
    }

    fn apply(&mut self, id: PartitionId, time: Millis, body: &[u8]) -> Result<(), Violation> {
        let place = usize::from(id.0);
        let partition = &mut self.partitions[place];
        let decoded = record::decode(body).map_err(|error| Violation::new(format!("an entry of partition {place}: {error}")))?;
        let applied = partition.apply(time, &decoded, &mut self.changes);
        self.changes.clear();
        self.walks.step(partition, self.entries)?;
        self.histories[place].briefs.push(Brief::of(partition));
        if let Command::CommitReserved { hold, .. } | Command::CommitReservedPart { hold, .. } = &decoded.command
            && applied.outcome.is_ok()
        {
            self.sold.insert(*hold);
        }
        if is_told_as_it_is(&decoded.command) {
            self.outcomes.insert((id, applied.seq), applied);
        }
        Ok(())
    }

    /// Did a command sell the reservation?
    pub(in crate::sim) fn has_sold(&self, hold: HoldId) -> bool {
        self.sold.contains(&hold)
    }

    /// The outcome of a command at a position, as a replay has it; once.
    pub(in crate::sim) fn take_outcome(&mut self, at: &Position) -> Option<Applied> {
        self.outcomes.remove(&(at.partition, at.seq))
    }

    /// Is what stands there committed?
    pub(in crate::sim) fn has(&self, at: &Position) -> bool {
        self.partition(at.partition).seq() >= at.seq
    }

    /// The state of a machine's partition against what the committed entries up to there make: in brief, and by digest every so often.
    ///
    /// # Errors
    /// When it is another.
    pub(in crate::sim) fn compare(&mut self, machine: MachineId, node: &Partition) -> Result<(), Violation> {
        self.compare_brief(machine, node)?;
        let compared = self.replicas[machine.place()].compared[usize::from(node.id().0)];
        if node.seq().0 >= compared + DIGEST_EVERY { self.compare_digests(machine, node) } else { Ok(()) }
    }

    /// The same, and by digest however long ago the last time was.
    ///
    /// # Errors
    /// When it is another.
    pub(in crate::sim) fn compare_whole(&mut self, machine: MachineId, node: &Partition) -> Result<(), Violation> {
        self.compare_brief(machine, node)?;
        self.compare_digests(machine, node)
    }

    fn compare_brief(&self, machine: MachineId, node: &Partition) -> Result<(), Violation> {
        let place = usize::from(node.id().0);
        let (seq, brief) = (node.seq().0, Brief::of(node));
        let own = usize::try_from(seq).ok().and_then(|seq| self.histories[place].briefs.get(seq));
        must(own == Some(&brief), || {
            let head = self.partitions[place].seq().0;
            format!("partition {place} of machine {} is at {seq} of {head} with {brief:?}, a replay of its log with {own:?}", machine.0)
        })
    }

    /// The whole state, and everything that a partition can check of itself. One that is behind the head waits: the state that it has is not kept.
    fn compare_digests(&mut self, machine: MachineId, node: &Partition) -> Result<(), Violation> {
        let place = usize::from(node.id().0);
        let own = &self.partitions[place];
        if own.seq() != node.seq() {
            return Ok(());
        }
        self.replicas[machine.place()].compared[place] = own.seq().0;
        self.digests += 1;
        if own.digest() != node.digest() {
            return Err(Violation::new(format!(
                "partition {place} of machine {} is not what a replay of its log makes, at entry {}",
                machine.0,
                own.seq().0
            )));
        }
        node.check().map(|_| ()).map_err(|why| Violation::new(format!("partition {place} does not fit together: {why}")))
    }

    /// Who has a say in each partition.
    pub(in crate::sim) fn says(&self) -> &[Says] {
        &self.says
    }

    /// The end of a machine's log is lost, with what was reported durable there and may have been acknowledged.
    pub(in crate::sim) fn loses(&mut self, machine: MachineId) {
        let of = &mut self.replicas[machine.place()];
        (of.lost, of.may_miss) = (Some(of.log.clone()), true);
    }

    /// A machine with an empty disk joins.
    pub(in crate::sim) fn joins(&mut self) {
        let partitions = u16::try_from(self.partitions.len()).expect("few partitions");
        self.replicas.push(Replica::new(partitions));
    }

    /// Who of those that count has not applied all that is committed?
    pub(in crate::sim) fn behind(&self, counts: impl Fn(MachineId) -> bool) -> Option<String> {
        let all = (0..).map(MachineId).zip(&self.replicas).filter(|(machine, _)| counts(*machine));
        all.map(|(machine, of)| (machine.0, of)).find_map(|(machine, of)| {
            let mut partitions = of.applied.iter().zip(&self.histories).enumerate();
            partitions.find(|(_, (applied, history))| **applied != history.head()).map(|(place, (applied, history))| {
                format!("machine {machine} has applied {applied} of {} entries of partition {place}", history.head())
            })
        })
    }

    /// A recovery of a machine begins.
    pub(in crate::sim) fn begin_recovery(&mut self, machine: MachineId) {
        let partitions = u16::try_from(self.partitions.len()).expect("few partitions");
        self.replicas[machine.place()].found = MachineLog::new(partitions);
    }

    /// It found a snapshot with everything up to this entry.
    ///
    /// # Errors
    /// When that is not committed: nobody can have applied it.
    pub(in crate::sim) fn restored(&mut self, machine: MachineId, id: PartitionId, index: u64) -> Result<(), Violation> {
        let place = usize::from(id.0);
        self.restored += 1;
        let head = self.histories[place].head();
        must(index <= head, || {
            format!("a snapshot of partition {place} on machine {} has entry {index}, and {head} are committed", machine.0)
        })?;
        self.replicas[machine.place()].found.begin_behind(id, index);
        Ok(())
    }

    /// It found this record.
    ///
    /// # Errors
    /// When it does not follow.
    pub(in crate::sim) fn recovered(&mut self, machine: MachineId, record: &Record<'_>) -> Result<(), Violation> {
        let head = self.histories[usize::from(record.partition)].head();
        self.replicas[machine.place()].found.take(record, head).map_err(|wrong| wrong.of(machine))
    }

    /// It found no more, and a process begins. What it has applied is to be looked at next ([`Shadow::applied`]), and then [`Shadow::started`].
    ///
    /// # Errors
    /// When something is missing that was reported durable.
    pub(in crate::sim) fn end_recovery(&mut self, machine: MachineId) -> Result<(), Violation> {
        let of = &mut self.replicas[machine.place()];
        if !std::mem::take(&mut of.may_miss) {
            self.survived += of.found.must_have(&of.log).map_err(|wrong| wrong.of(machine))?;
        }
        std::mem::swap(&mut of.log, &mut of.found);
        of.applied.fill(0);
        of.compared.fill(0);
        Ok(())
    }

    /// A process begins, with what it has applied. Where there is one machine, that is everything on its disk: nobody else has a say in what is committed.
    ///
    /// # Errors
    /// When it is less.
    pub(in crate::sim) fn started(&self, machine: MachineId) -> Result<(), Violation> {
        if self.replicas.len() > 1 {
            return Ok(());
        }
        let Replica { log, applied, .. } = &self.replicas[machine.place()];
        for (id, applied) in (0..).map(PartitionId).zip(applied) {
            let last = log.last(id);
            must(*applied == last, || format!("a start applies {applied} of the {last} entries of partition {} that are there", id.0))?;
        }
        Ok(())
    }
}

/// Commands whose answer is their outcome.
fn is_told_as_it_is(command: &Command) -> bool {
    matches!(
        command,
        Command::Reserve { .. }
            | Command::CommitReserved { .. }
            | Command::CommitReservedPart { .. }
            | Command::ExtendReserved { .. }
            | Command::ReleaseReserved { .. }
            | Command::ReceiveStock { .. }
    )
}

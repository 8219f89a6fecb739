//! Reads that may not be older than any write that was answered before: the leader asks a majority whether it still leads.
//!
//! Path: a flow → [`State::read_barrier`] → gathered while the question before is on its way → one round of heartbeats for all of them (ReadIndex) → once
//! everything up to the index is applied the flows go on. A partition of one node alone needs none of it.
//! Bounds: one question of a group under way, and one gathering. A read that is asked where another node leads is told which.
//!
//! Source: section 6.4 of Ongaro's dissertation. The crate drops the question in silence where nothing of the leader's term is committed, and loses it with the
//! lead: the first waits here, the second is answered here.

use super::{
    state::State,
    task::{Setter, Signal, signal},
};
use crate::mutants::{self, Mutant};
use wire::{Failure, PartitionId};

/// What a read gets.
type Granted = Result<(), Failure>;

/// The reads of a group.
#[derive(Default)]
pub(crate) struct Reads {
    waiting: Vec<Setter<Granted>>,
    /// Asked under this mark.
    asked: Option<(u64, Vec<Setter<Granted>>)>,
    /// May be answered once so much is applied.
    granted: Vec<(u64, Vec<Setter<Granted>>)>,
}

impl Reads {
    /// A majority answered to this mark: what is applied up to the index is new enough.
    pub(super) fn granted(&mut self, mark: u64, index: u64) {
        if let Some((_, reads)) = self.asked.take_if(|(asked, _)| *asked <= mark) {
            self.granted.push((index, reads));
        }
    }

    fn wants_to_ask(&self) -> bool {
        self.asked.is_none() && !self.waiting.is_empty()
    }

    fn all(&mut self) -> impl Iterator<Item = Setter<Granted>> {
        let Self { waiting, asked, granted } = std::mem::take(self);
        let asked = asked.into_iter().flat_map(|(_, reads)| reads);
        waiting.into_iter().chain(asked).chain(granted.into_iter().flat_map(|(_, reads)| reads))
    }
}

impl State {
    /// Waits until what this node has of the partition has every write that was answered before now.
    pub(crate) fn read_barrier(&mut self, id: PartitionId) -> Signal<Granted> {
        let (done, signal) = signal(&self.reactor);
        match self.partitions.get_mut(&id).map(|slot| slot.replica.as_deref_mut()) {
            None => done.set(Err(Failure::WrongShard)),
            Some(None) => done.set(Ok(())),
            Some(Some(replica)) if !replica.group.leads() => done.set(Err(Failure::NotLeader { leader: replica.group.leader() })),
            Some(Some(_)) if mutants::is(Mutant::StaleRead) => done.set(Ok(())),
            Some(Some(replica)) => {
                replica.reads.waiting.push(done);
                self.has_work(id);
            }
        }
        signal
    }

    /// Asks for the reads that wait, if none are asked for.
    pub(super) fn ask_for_reads(&mut self, id: PartitionId) {
        let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut()) else { return };
        if replica.reads.wants_to_ask()
            && let Some(mark) = replica.group.read()
        {
            let reads = std::mem::take(&mut replica.reads.waiting);
            replica.reads.asked = Some((mark, reads));
        }
    }

    /// Answers the reads for which enough is applied.
    pub(super) fn answer_reads(&mut self, id: PartitionId) -> bool {
        let Some(slot) = self.partitions.get_mut(&id) else { return false };
        let Some(replica) = slot.replica.as_deref_mut() else { return false };
        let applied = slot.applied.index;
        let ready: Vec<_> = replica.reads.granted.extract_if(.., |(index, _)| *index <= applied).collect();
        let told = !ready.is_empty();
        for done in ready.into_iter().flat_map(|(_, reads)| reads) {
            done.set(Ok(()));
        }
        if replica.reads.wants_to_ask() {
            self.has_work(id);
        }
        told
    }

    /// Another node leads: reads go there.
    pub(super) fn refuse_reads(&mut self, id: PartitionId) -> bool {
        let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut()) else { return false };
        let leader = replica.group.leader();
        let mut told = false;
        for done in replica.reads.all() {
            told = true;
            done.set(Err(Failure::NotLeader { leader }));
        }
        told
    }
}

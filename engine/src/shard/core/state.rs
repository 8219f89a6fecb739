//! What the core and its flows share: the shard's partitions, index, log and waits.
//!
//! Path: flows read and propose through [`Ctx`](super::ctx::Ctx), the core reports what became durable. Borrowed in short sections, never over an
//! `.await`. Read first: [`State`]; then `pipeline.rs` (proposal to apply), `wait.rs`, `deliver.rs` (outbox).

use super::queries::Queries;
use super::{
    Config,
    clock::LogClock,
    feed::Readers,
    files::Asker,
    index_files::IndexFiles,
    pipeline::Pipeline,
    replicas::{Replica, Replication},
    snapshots::Snapshots,
    task::{Flow, Reactor, Setter},
    tidying::Tidying,
    transfer::Transfers,
    wait::Waits,
};
use crate::{
    domain::product::Product,
    events::EventLog,
    partition::Partition,
    replication::Place,
    shard::{CallToken, Now, Output, files::Jobs},
    shared::SkuStock,
};
use hashbrown::{HashMap, HashSet};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::{Rc, Weak},
    sync::Arc,
};
use wire::{Failure, Millis, PartitionId, Position, Refusal, SkuId};

type Hash = foldhash::fast::RandomState;

/// A partition of this shard, with what surrounds it.
pub(crate) struct Slot {
    pub(crate) partition: Partition,
    /// Of a node alone: index of the entry appended last to the log; applied ones may lag behind.
    pub(crate) appended: u64,
    /// Where the entry stands that was applied last.
    pub(crate) applied: Place,
    /// Its group's replica, in a cluster.
    pub(crate) replica: Option<Box<Replica>>,
    /// Index of the last entry inside its durable snapshot, if it has one.
    pub(crate) snapshot: Option<u64>,
    /// Length of its file.
    pub(crate) snapshot_bytes: u64,
    /// Keys of requests that have not reached the log's end yet.
    pub(crate) keys_in_use: HashSet<u128, Hash>,
    /// A `RunTimers` is on its way.
    pub(crate) timers_running: bool,
    /// When its next timer is due, unless it is among the stale ones of [`Timers`].
    pub(crate) next_timer: Option<Millis>,
    /// It is among them.
    pub(crate) timer_stale: bool,
}

/// When the next timer of the shard is due, kept because it is asked for in every turn.
#[derive(Default)]
pub(crate) struct Timers {
    /// Partitions whose timers may have changed since.
    stale: Vec<PartitionId>,
    next: Option<Millis>,
}

/// A product in the index.
pub(crate) struct Doc {
    /// As its partition has it: of the tables on the way there each costs a search's hits some misses of the cache.
    pub(crate) product: Arc<Product>,
    /// One for each variant, in order.
    pub(crate) stock: Vec<Arc<SkuStock>>,
}

impl Doc {
    /// Whether some variant can be had.
    pub(crate) fn in_stock(&self) -> bool {
        self.stock.iter().any(|word| word.in_stock())
    }
}

/// One shard's everything.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) clock: LogClock,
    pub(crate) partitions: BTreeMap<PartitionId, Slot>,
    pub(crate) timers: Timers,
    pub(crate) index: search_index::Index,
    pub(crate) index_files: IndexFiles,
    pub(crate) tidying: Tidying,
    /// What was searched for here.
    pub(crate) queries: Queries,
    /// By the index's key; looked up, never iterated.
    pub(crate) docs: HashMap<search_index::DocKey, Doc, Hash>,
    /// Words of SKUs whose rows are here; looked up, never iterated.
    pub(crate) row_stock: HashMap<SkuId, Arc<SkuStock>, Hash>,
    pub(crate) pipeline: Pipeline,
    /// Of a node in a cluster.
    pub(crate) replication: Option<Replication>,
    /// Jobs with files beside the log that are under way.
    pub(crate) files: Jobs<Asker>,
    pub(crate) snapshots: Snapshots,
    /// On their way between nodes.
    pub(crate) transfers: Transfers,
    /// When removing log files that nobody needs is tried again, after it failed.
    pub(crate) remove_again_us: Option<u64>,
    /// What the feed tells, behind the log.
    pub(crate) events: EventLog,
    /// The disk had no room for events.
    pub(crate) events_full: bool,
    pub(crate) readers: Readers,
    pub(crate) waits: Waits,
    pub(crate) outputs: VecDeque<Output>,
    /// Calls answered in this turn, still to be forgotten.
    pub(crate) answered: Vec<CallToken>,
    /// Flows to start when the running one yields.
    pub(crate) spawn: Vec<Flow>,
    pub(crate) reactor: Rc<Reactor>,
    /// Questions to other shards that are not answered yet.
    pub(crate) asked: HashMap<u64, Setter<Result<super::peer::Answer, Failure>>, Hash>,
    pub(crate) next_ask: u64,
    pub(crate) random: Random,
    pub(crate) draining: bool,
    /// No command gets into the log any more.
    pub(crate) closed: bool,
    /// The cell it lives in, for flows started from inside.
    pub(crate) me: Weak<RefCell<State>>,
}

impl State {
    /// The partition, if this shard owns it.
    pub(crate) fn partition(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.get(&id).map(|slot| &slot.partition)
    }

    /// In which term this node leads a partition of this shard; 0 where it is alone, `None` where another one leads.
    pub(crate) fn lead(&self, id: PartitionId) -> Option<u64> {
        self.partitions.get(&id).and_then(Slot::lead)
    }

    /// A read never shows a state older than the positions it names. What a shard answered is applied, so a position of this epoch is
    /// behind us unless it was made up.
    pub(crate) fn reached(&self, at_least: &[Position]) -> Result<(), Failure> {
        for position in at_least {
            if position.epoch != self.config.epoch || position.partition.0 >= self.config.partitions {
                return Err(Failure::Refused(Refusal::PositionUnknown));
            }
            if self.replication.is_none() && self.is_behind(position) {
                return Err(Failure::DeadlineExceeded);
            }
        }
        Ok(())
    }

    fn is_behind(&self, position: &Position) -> bool {
        self.partition(position.partition).is_some_and(|partition| partition.seq() < position.seq)
    }

    /// Has this shard, which may follow other nodes, come to the positions that are its own?
    pub(crate) fn has_all(&self, at_least: &[Position]) -> bool {
        !at_least.iter().any(|position| self.is_behind(position))
    }

    /// A partition's timers may have changed.
    pub(crate) fn timer_changed(&mut self, id: PartitionId) {
        if let Some(slot) = self.partitions.get_mut(&id)
            && !std::mem::replace(&mut slot.timer_stale, true)
        {
            self.timers.stale.push(id);
        }
    }

    /// When the next timer of any partition is due, but for those whose timers are being run. O(1) unless something changed.
    pub(crate) fn next_timer(&mut self) -> Option<Millis> {
        if !self.timers.stale.is_empty() {
            for id in self.timers.stale.drain(..) {
                if let Some(slot) = self.partitions.get_mut(&id) {
                    (slot.next_timer, slot.timer_stale) = (slot.partition.next_timer(), false);
                }
            }
            self.timers.next =
                self.partitions.values().filter(|slot| !slot.timers_running && slot.leads()).filter_map(|slot| slot.next_timer).min();
        }
        self.timers.next
    }

    /// The time of an entry made now.
    pub(crate) fn stamp(&mut self) -> Millis {
        self.clock.stamp(self.now)
    }

    /// The monotonic time `ms` from now.
    pub(crate) fn in_ms(&self, ms: u64) -> u64 {
        self.now.mono_us.saturating_add(ms.saturating_mul(1_000))
    }
}

/// Random bytes from a seed: nonces of sealed fields and salts of segments. The driver gives the seed, so a simulation repeats.
pub(crate) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next `N` bytes, at most 32: a keyed BLAKE3 of a counter.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        self.drawn += 1;
        let hash = blake3::keyed_hash(&self.seed, &self.drawn.to_le_bytes());
        std::array::from_fn(|i| hash.as_bytes()[i])
    }
}

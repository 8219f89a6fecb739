//! [`ShardCore`]: the sans-IO machine of one shard. Batching, admission, commit and reply order live here and nowhere else.
//!
//! Path: [`Input::Call`] → a flow (`crate::flow`) reads partitions, asks other shards, proposes → `pipeline` logs and applies → the flow renders →
//! [`Output::Reply`]. Read first: [`ShardCore::handle`] and [`ShardCore::poll_output`], then `pipeline.rs`, `deliver.rs`, `ctx.rs`.
//! Bounds: [`CALLS_MAX`] calls (browsing is refused from [`BROWSE_CALLS_MAX`] on, so that checkouts get through), `PROPOSALS_MAX` proposals.
//! Deliberately absent: sockets, files, threads and clocks. Time, random seed and finished writes come in as inputs.

mod answer;
mod barrier;
mod build;
mod clock;
pub(crate) mod ctx;
mod deliver;
mod express;
mod feed;
mod files;
pub mod index_files;
mod lead;
mod links;
mod members;
pub mod peer;
mod pipeline;
pub(crate) mod queries;
mod question;
mod release;
pub(crate) mod replicas;
mod snapshots;
pub(crate) mod state;
pub(crate) mod task;
#[cfg(test)]
mod tests;
mod tidying;
mod transfer;
pub(crate) mod wait;

pub(crate) use build::Restored;
pub use build::{Builder, ReplayError};
pub(crate) use deliver::doc_key;
pub(crate) use express::answer_of as express_response;
pub use pipeline::PROPOSALS_MAX;

use crate::{
    flow,
    partition::Partition,
    record::v1::{Entry, cluster::NodeFacts},
    seal::Keyring,
    shard::{CallToken, Input, Now, Output, PeerNode},
    shared::Shared,
};
use ctx::Ctx;
use hashbrown::HashMap;
use peer::PeerMessage;
use state::State;
use std::{cell::RefCell, rc::Rc, sync::Arc};
use task::{TaskId, Tasks};
use wire::{Failure, NodeId, Op, PartitionId, Request, Response, ShardId, placement};

/// Calls under way at a shard. One more is refused as overload.
pub const CALLS_MAX: usize = 16_384;
/// From so many calls on, reads of the catalog are refused as overload; carts, checkouts and staff go on.
pub const BROWSE_CALLS_MAX: usize = CALLS_MAX * 3 / 4;

/// What a core needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which shard this is.
    pub shard: ShardId,
    /// Shards of the node.
    pub shards: u16,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// Of the folder; part of every position.
    pub epoch: u32,
    /// Id of the data folder.
    pub folder: u128,
    /// The log may have so many bytes before partitions are snapshotted to release its oldest segments.
    pub log_bytes_max: u64,
    /// Seals and opens personal fields.
    pub keyring: Keyring,
    /// Views shared by the node's shards.
    pub shared: Arc<Shared>,
    /// A hold lasts this long unless pinned.
    pub hold_ttl_ms: u64,
    /// A checkout may stay undecided this long, the buyer's bank included.
    pub decide_ms: u64,
    /// Take the money when the order is placed, or on shipment.
    pub capture_at_once: bool,
    /// Adapters that payments may name.
    pub providers: Vec<String>,
    /// How long events are kept.
    pub events: crate::events::Keep,
    /// The node in its cluster; `None` for one that is alone.
    pub cluster: Option<Cluster>,
}

/// A node of a cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its number.
    pub node: NodeId,
    /// Which start of it this is: higher than at every start before.
    pub incarnation: u64,
    /// Who votes in groups of which the folder knows nothing yet; nobody, on a node that joins others.
    pub members: Vec<NodeId>,
    /// What the first node of all says of itself, until the cluster knows it.
    pub facts: Option<NodeFacts>,
    /// Nodes to turn to until the cluster's are known here.
    pub peers: Vec<PeerNode>,
}

impl Config {
    /// Is the partition this shard's?
    pub(crate) fn owns(&self, partition: PartitionId) -> bool {
        placement::shard_of(partition, self.shards) == self.shard
    }
}

/// One shard.
pub struct ShardCore {
    state: Rc<RefCell<State>>,
    tasks: Tasks,
    calls: HashMap<CallToken, Calling, foldhash::fast::RandomState>,
}

struct Calling {
    task: TaskId,
    deadline: (u64, u64),
}

impl State {
    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::new(self.me.upgrade().expect("flows run while the core lives"))
    }
}

impl ShardCore {
    fn new(state: State, tasks: Tasks) -> Self {
        let state = Rc::new(RefCell::new(state));
        state.borrow_mut().me = Rc::downgrade(&state);
        Self { state, tasks, calls: HashMap::default() }
    }

    /// Takes one event. Give it several, then poll the outputs: what arrived together shares a write.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.state.borrow_mut().now = now;
        match input {
            Input::Call { token, request } => self.call(token, request),
            Input::Cancel(token) => self.end_call(token),
            Input::Peer { from, message: PeerMessage::Ask { id, ask } } => self.state.borrow_mut().asked_by(from, id, ask),
            Input::Peer { from: _, message: PeerMessage::Answer { id, answer } } => {
                let asked = self.state.borrow_mut().asked.remove(&id);
                if let Some(asked) = asked {
                    asked.set(answer);
                }
            }
            Input::Node { from, batch } => self.state.borrow_mut().node_says(from, batch),
            Input::Links(links) => self.state.borrow_mut().links_are(links),
            Input::Written(batch) => self.state.borrow_mut().written(batch),
            Input::Prepared(plan) => self.state.borrow_mut().prepared(&plan),
            Input::NotPrepared(plan) => self.state.borrow_mut().not_prepared(plan),
            Input::FilesDone { id, result } => self.state.borrow_mut().files_done(id, result),
            Input::Tick => self.tick(now),
            Input::Drain => self.state.borrow_mut().leave(),
            Input::Close => self.state.borrow_mut().closed = true,
        }
        self.run();
    }

    /// What the driver must do next; call until `None`. The first call after inputs closes the batch they made.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            let refused = {
                let mut state = self.state.borrow_mut();
                if let Some(output) = state.outputs.pop_front() {
                    return Some(output);
                }
                let refused = state.pump();
                if !refused && state.outputs.is_empty() {
                    return None;
                }
                refused
            };
            if refused {
                // Else whoever proposed it would hear of it only with the next input, which may be far away.
                self.run();
            }
        }
    }

    /// The monotonic time, microseconds, at which a [`Input::Tick`] is wanted.
    pub fn next_wake(&self) -> Option<u64> {
        let mut state = self.state.borrow_mut();
        let timer = if self.runs_timers(&state) { state.next_timer_us() } else { None };
        let untidy = state.next_tidying();
        let (log, events, snapshots) = (state.pipeline.next_wake(), state.events_wake(), state.snapshot_wake());
        let removal = state.remove_again_us.filter(|_| state.files.has_room());
        let group = state.replication.as_ref().filter(|_| !state.closed).map(|replication| replication.next_tick_us);
        let transfer = state.transfers.next_wake().filter(|_| state.files.has_room());
        [untidy, state.waits.next_alarm(), log, removal, events, snapshots, timer, group, transfer].into_iter().flatten().min()
    }

    /// No call runs, nothing is on its way to the disk, and the log's end is marked; while it drains, events are in files too.
    pub fn is_idle(&self) -> bool {
        let state = self.state.borrow();
        let events_wait = state.draining && state.events.wants_more();
        !state.is_leaving()
            && self.calls.is_empty()
            && state.pipeline.is_idle()
            && state.files.is_empty()
            && state.snapshots.is_idle()
            && !events_wait
    }

    /// What was begun before [`Input::Close`] is in the log and in files, as far as the disk takes it: a driver may end now.
    pub fn is_settled(&self) -> bool {
        let state = self.state.borrow();
        let logged = state.pipeline.is_idle() || state.pipeline.is_out_of_room();
        state.closed && logged && state.files.is_empty() && !state.events.wants_more()
    }

    /// Does what falls due end here? While the shard drains only for the calls that may wait for it: else an orderly end would go on for as long as
    /// something falls due, and what it logs last might be in no file yet. The next start ends the rest.
    fn runs_timers(&self, state: &State) -> bool {
        !state.draining || !(state.closed || self.calls.is_empty())
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The partitions of this shard, in order.
    pub(crate) fn owned(&self) -> Vec<PartitionId> {
        self.state.borrow().partitions.keys().copied().collect()
    }

    /// Index of the entry of a partition of this shard that was applied last.
    ///
    /// # Panics
    /// When it is another's.
    pub(crate) fn applied(&self, id: PartitionId) -> u64 {
        self.state.borrow().partitions.get(&id).expect("a partition of this shard").applied.index
    }

    /// Index of the last entry in a partition's durable snapshot; 0 without one.
    ///
    /// # Panics
    /// When it is another's.
    pub(crate) fn snapshot(&self, id: PartitionId) -> u64 {
        self.state.borrow().partitions.get(&id).expect("a partition of this shard").snapshot.unwrap_or(0)
    }

    /// The members of a partition's group, where it is replicated.
    ///
    /// # Panics
    /// When it is another's.
    pub(crate) fn members(&self, id: PartitionId) -> Option<crate::log::Membership> {
        let state = self.state.borrow();
        let slot = state.partitions.get(&id).expect("a partition of this shard");
        slot.replica.as_ref().map(|replica| replica.group.tail().membership().clone())
    }

    /// Does a partition's group not know yet what its log may have lost?
    pub(crate) fn may_have_lost(&self, id: PartitionId) -> bool {
        self.state.borrow().partitions.get(&id).and_then(|slot| slot.replica.as_ref()).is_some_and(|replica| replica.group.may_have_lost())
    }

    /// What a partition's group says of itself, in words.
    pub(crate) fn group_told(&self, id: PartitionId) -> Option<String> {
        Some(self.state.borrow().partitions.get(&id)?.replica.as_ref()?.group.told())
    }

    /// Proposes a command that is nobody's call, such as one about the cluster's nodes. What came of it shows in the partition, or it is proposed again.
    pub(crate) fn propose(&mut self, now: Now, id: PartitionId, entry: Entry) {
        let mut state = self.state.borrow_mut();
        state.now = now;
        let _nobody_waits = state.propose(id, entry);
    }

    /// Looks at a partition of this shard.
    ///
    /// # Panics
    /// When it is another's.
    pub(crate) fn look_at<R>(&self, id: PartitionId, look: impl FnOnce(&Partition) -> R) -> R {
        look(self.state.borrow().partition(id).expect("a partition of this shard"))
    }

    fn call(&mut self, token: CallToken, request: Request) {
        if let Some(failure) = self.refuses(&request.op) {
            let response = Response { positions: Vec::new(), replayed: false, result: Err(failure) };
            self.state.borrow_mut().outputs.push_back(Output::Reply { token, response });
            return;
        }
        if express::takes(&request.op) {
            return self.state.borrow_mut().express(token, request);
        }
        let ctx = Ctx::new(Rc::clone(&self.state));
        let deadline = {
            let mut state = self.state.borrow_mut();
            let at = state.in_ms(u64::from(request.timeout_ms));
            state.waits.deadline(at, token)
        };
        let task = self.tasks.spawn(Box::pin(async move {
            let response = flow::answer(&ctx, request).await;
            ctx.with_mut(|state| {
                state.answered.push(token);
                state.outputs.push_back(Output::Reply { token, response });
            });
        }));
        self.calls.insert(token, Calling { task, deadline });
    }

    /// Admission: what is refused before anything is done for it.
    fn refuses(&self, op: &Op) -> Option<Failure> {
        let state = self.state.borrow();
        if state.closed || (state.draining && !flow::is_system(op)) {
            return Some(Failure::ShuttingDown);
        }
        let bound = if flow::is_browsing(op) { BROWSE_CALLS_MAX } else { CALLS_MAX };
        if self.calls.len() >= bound {
            return Some(Failure::Overloaded { retry_after_ms: 250 });
        }
        if flow::is_command(op) && !flow::is_system(op) { state.pipeline.refuses().or_else(|| state.events_refuse()) } else { None }
    }

    fn tick(&mut self, now: Now) {
        loop {
            let fired = self.state.borrow_mut().waits.fire(now.mono_us);
            match fired {
                None => break,
                Some(None) => {}
                Some(Some(token)) => {
                    if self.calls.contains_key(&token) {
                        self.end_call(token);
                        let response = Response { positions: Vec::new(), replayed: false, result: Err(Failure::DeadlineExceeded) };
                        self.state.borrow_mut().outputs.push_back(Output::Reply { token, response });
                    }
                }
            }
        }
        let mut state = self.state.borrow_mut();
        if self.runs_timers(&state) {
            state.run_timers();
        }
        state.replication_tick();
        state.transfer_tick();
        state.tidy_index();
        if state.remove_again_us.is_some() {
            state.remove_surplus();
        }
        state.write_events();
        state.snapshot_tick();
    }

    fn end_call(&mut self, token: CallToken) {
        if let Some(call) = self.calls.remove(&token) {
            self.tasks.cancel(call.task);
            self.state.borrow_mut().waits.forget(call.deadline);
        }
    }

    /// Runs flows until all wait.
    fn run(&mut self) {
        loop {
            let spawned = std::mem::take(&mut self.state.borrow_mut().spawn);
            let idle = spawned.is_empty();
            for flow in spawned {
                self.tasks.spawn(flow);
            }
            if !self.tasks.run() && idle {
                break;
            }
        }
        self.settle_replies();
    }

    /// Forgets calls that were answered.
    fn settle_replies(&mut self) {
        let mut state = self.state.borrow_mut();
        while let Some(token) = state.answered.pop() {
            if let Some(call) = self.calls.remove(&token) {
                state.waits.forget(call.deadline);
            }
        }
    }
}

impl Drop for ShardCore {
    fn drop(&mut self) {
        // Flows hold the state, and the state holds flows to spawn: end both, so that neither keeps the other alive.
        self.tasks = Tasks::default();
        self.state.borrow_mut().spawn.clear();
    }
}

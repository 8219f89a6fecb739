//! A gateway's and adapter's client of a whole cluster, on tokio.
//!
//! Path: [`ClusterClient::call`] → [`placement::route`] → the partition's leader, the shard's node, or any node → that node's [`QuicClient`] → the answer; or, where
//! `cluster_retry` says so, a pause and another node. Beside it one task keeps the map (`cluster_nodes`): every [`MAP_REFRESH`], and when what nodes
//! say contradicts it. Read first: `ask`.
//! Bounds: the request's timeout ends all attempts, of which there are [`ATTEMPTS_MAX`] at most; [`CONNECT_WAIT_MAX`] for a node that is not connected;
//! [`HEDGES_SAVED_MAX`].
//!
//! What is asked again, and what is not: PROTOCOL.md promises that `NotLeader` and `ShuttingDown` mean that nothing was done, and what never left this process
//! was not done either, so these are asked of another node whatever they are. Where nobody knows what came of a request, only what may be repeated is
//! (see [`Request::may_repeat`]); anything else is answered as it is, and who asked decides.

use super::{
    End, QuicClient,
    client::{ANSWER_SLACK, Tried},
    cluster_nodes::{View, ask_map, first_map},
    cluster_retry::{Round, Verdict, verdict},
    transport,
};
use crate::placement::{self, Route};
use crate::{Call, CallError, Client, ClusterMap, Failure, NodeId, Op, Refusal, Request, Response, ShardId, Topology};
use std::{
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout_at},
};

pub use super::cluster_nodes::{MAP_WAIT_MAX, RESOLVE_MAX};
pub use super::cluster_retry::{ATTEMPTS_MAX, PAUSE_MAX, PAUSE_MIN};

/// How old the map may become before a node is asked for it again.
pub const MAP_REFRESH: Duration = Duration::from_secs(3);
/// Between two times that it is asked for, however often nodes contradict it.
pub const MAP_REFRESH_MIN: Duration = Duration::from_millis(100);
/// How long a request waits for a connection to a node before another is asked.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_millis(500);
/// One read in so many may be asked twice; when all nodes are slow, asking twice would make them slower.
pub const HEDGE_ONE_IN: u32 = 10;
/// As many of those may be saved up for a bad moment.
pub const HEDGES_SAVED_MAX: u32 = 100;

/// A [`Client`] of all nodes of a cluster; of a node that is alone it is what [`QuicClient`] is, until that joins others. Cheap to clone; the connections close
/// with the last clone.
#[derive(Clone)]
pub struct ClusterClient {
    owner: Arc<Owner>,
    hedge: Option<Duration>,
}

/// Ends the task that keeps the map, which shares the rest.
struct Owner {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Shared {
    seeds: Vec<String>,
    config: quinn::ClientConfig,
    /// Read for each call, written when nodes change.
    nodes: RwLock<Arc<Nodes>>,
    /// The map should be asked for.
    contradicted: Notify,
    /// Turns of nodes, for requests and for the map. Relaxed: only spreads load.
    turn: AtomicU32,
    map_turn: AtomicU32,
    /// Reads that may be asked twice, times [`HEDGE_ONE_IN`]. Relaxed: a budget, and a few more or less do not matter.
    hedges: AtomicU32,
    /// Of pauses. Relaxed: only has to differ.
    random: AtomicU64,
}

enum Nodes {
    Alone(QuicClient),
    Cluster(View),
}

impl ClusterClient {
    /// Connects to the first that answers of several nodes, each `host:port` of its shard 0, and learns of the others from it. The addresses are gone
    /// back to when no node that is known answers. `config` from [`super::client_config`]; silence of a node is noticed within
    /// [`WATCHFUL_IDLE_MS_MAX`](super::WATCHFUL_IDLE_MS_MAX) whatever it says of that. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if none of them answers, lets us in and gives its map; the error is that of the last.
    pub async fn connect(addresses: &[String], mut config: quinn::ClientConfig) -> Result<Self, CallError> {
        config.transport_config(Arc::new(transport(End::ClusterClient)));
        let (client, map) = first_of(addresses, &config).await?;
        let nodes = match map {
            None => Nodes::Alone(client),
            Some(map) => Nodes::Cluster(View::of(map, &[client], &config).await),
        };
        let shared = Arc::new(Shared {
            seeds: addresses.to_vec(),
            config,
            nodes: RwLock::new(Arc::new(nodes)),
            contradicted: Notify::new(),
            turn: AtomicU32::new(0),
            map_turn: AtomicU32::new(0),
            hedges: AtomicU32::new(HEDGES_SAVED_MAX * HEDGE_ONE_IN),
            random: AtomicU64::new(RandomState::new().build_hasher().finish()),
        });
        let keeper = tokio::spawn(keep(Arc::clone(&shared))).abort_handle();
        Ok(Self { owner: Arc::new(Owner { shared, keeper }), hedge: None })
    }

    /// Reads that any node can answer, such as searches, are asked of a second node when the first has not answered after so long; the first answer counts, and
    /// the other node is told that nobody waits. Only one in [`HEDGE_ONE_IN`], and [`HEDGES_SAVED_MAX`] saved up. What the leader of a partition answers is
    /// never asked twice: no other node may answer it.
    #[must_use]
    pub fn hedge(mut self, after: Duration) -> Self {
        self.hedge = Some(after);
        self
    }

    /// The nodes as they are known; `None` of a node that is alone. Leaders are as the map had them.
    #[must_use]
    pub fn map(&self) -> Option<ClusterMap> {
        match &*self.owner.shared.nodes() {
            Nodes::Alone(_) => None,
            Nodes::Cluster(view) => Some(view.map.clone()),
        }
    }
}

#[cfg(test)]
impl ClusterClient {
    /// Nodes that are connected.
    pub(super) fn nodes_up(&self) -> usize {
        match &*self.owner.shared.nodes() {
            Nodes::Alone(alone) => usize::from(alone.standing() == super::client::Standing::Up),
            Nodes::Cluster(view) => view.candidates().iter().filter(|node| node.standing == super::client::Standing::Up).count(),
        }
    }
}

/// The first of these nodes that gives its map. All are asked at once, so that those that are gone cost nothing.
async fn first_of(addresses: &[String], config: &quinn::ClientConfig) -> Result<(QuicClient, Option<ClusterMap>), CallError> {
    let mut asked = JoinSet::new();
    for address in addresses {
        let (address, config) = (address.clone(), config.clone());
        asked.spawn(async move { first_map(&address, config).await });
    }
    let mut last = CallError::Unreachable("there is no address to connect to".into());
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => last = error,
            Err(error) => last = CallError::Unreachable(error.to_string()),
        }
    }
    Err(last)
}

impl Client for ClusterClient {
    fn call(&self, request: Request) -> Call {
        let client = self.clone();
        Box::pin(async move {
            match &*client.owner.shared.nodes() {
                Nodes::Alone(alone) => alone.call(request).await,
                Nodes::Cluster(_) => client.ask(request).await,
            }
        })
    }

    /// Shards are those of all nodes, in order of the nodes' ids.
    fn topology(&self) -> Topology {
        match &*self.owner.shared.nodes() {
            Nodes::Alone(alone) => alone.topology(),
            Nodes::Cluster(view) => view.topology(),
        }
    }
}

impl ClusterClient {
    async fn ask(&self, mut request: Request) -> Result<Response, CallError> {
        let shared = &*self.owner.shared;
        let until = Instant::now() + Duration::from_millis(request.timeout_ms.into());
        let repeats = request.may_repeat();
        let mut round = shared.round();
        let mut doubt = None;
        let nodes = shared.nodes();
        let Nodes::Cluster(view) = &*nodes else { return Err(lost()) };
        // Before a shard's number is changed to its node's own.
        let route = placement::route(&request.op, view.topology());
        loop {
            let nodes = shared.nodes();
            let Nodes::Cluster(view) = &*nodes else { return Err(lost()) };
            let chosen = match route {
                Route::Partition(partition) => round.choose(&view.candidates(), view.leader(partition)),
                Route::Any => round.choose(&view.candidates(), None),
                Route::Shard(shard) => match view.map.place(shard) {
                    Some((node, local)) => {
                        set_shard(&mut request.op, local);
                        Some(node)
                    }
                    None => return Ok(failed(Failure::WrongShard)),
                },
            };
            let Some(chosen) = chosen else { return Err(lost()) };
            let attempt = self.attempt(view, &round, chosen, route, &request);
            let late = || Tried::Failed(CallError::Unreachable(format!("no answer in {} ms", request.timeout_ms)));
            let (node, tried) = timeout_at(until + ANSWER_SLACK, attempt).await.unwrap_or_else(|_| (chosen, late()));
            let mut verdict = verdict(&tried);
            shared.learn(view, route, node, verdict, &tried);
            // The attempt before, of which nobody knew, still runs: not what the caller wants to hear of its own request.
            if doubt.is_some() && is_refused_for(&tried, &Refusal::IdempotencyKeyInUse) {
                verdict = Verdict::Doubt;
            }
            match verdict {
                Verdict::Answer => return tried.result(),
                Verdict::Doubt if !repeats => return tried.result(),
                // This one did nothing; but one before may have.
                Verdict::Refused => return doubt.unwrap_or(tried).result(),
                Verdict::NotLeader { .. } | Verdict::Gone | Verdict::Doubt => {}
            }
            round.note(node, verdict);
            let pause = match route {
                Route::Partition(_) | Route::Any => round.pause(&view.candidates(), verdict),
                Route::Shard(_) => round.pause(&[], verdict), // there is nobody else
            };
            let next = Instant::now() + pause.unwrap_or_default();
            if verdict == Verdict::Doubt && !request.op.is_read() && doubt.is_none() {
                doubt = Some(tried.clone());
            }
            if round.is_over() || next >= until {
                return doubt.unwrap_or(tried).result();
            }
            if let Some(pause) = pause {
                sleep(pause).await;
            }
            request.timeout_ms = u32::try_from((until - next).as_millis()).unwrap_or(u32::MAX).max(1);
        }
    }

    /// Asks a node, and a second one where that is allowed and the first takes long; says who it was.
    async fn attempt(&self, view: &View, round: &Round, node: NodeId, route: Route, request: &Request) -> (NodeId, Tried) {
        let shared = &*self.owner.shared;
        let first = async { (node, at(view, node, request).await) };
        let after = match (self.hedge, route) {
            (Some(after), Route::Any) if request.op.is_read() => after,
            _ => return first.await,
        };
        shared.save_hedge();
        let mut first = pin!(first);
        tokio::select! {
            biased;
            tried = &mut first => return tried,
            () = sleep(after) => {}
        }
        let Some(other) = round.second(&view.candidates(), node).filter(|_| shared.take_hedge()) else { return first.await };
        tracing::debug!(node = node.0, other = other.0, "a read takes long and is asked of a second node");
        let second = pin!(async { (other, at(view, other, request).await) });
        better(first, second).await
    }
}

/// The first of two that gives an answer, else what the later says.
async fn better(
    mut first: impl Future<Output = (NodeId, Tried)> + Unpin,
    mut second: impl Future<Output = (NodeId, Tried)> + Unpin,
) -> (NodeId, Tried) {
    let is_answer = |(_, tried): &(NodeId, Tried)| matches!(tried, Tried::Answered(_)) && verdict(tried) == Verdict::Answer;
    tokio::select! {
        biased;
        tried = &mut first => if is_answer(&tried) { tried } else { second.await },
        tried = &mut second => if is_answer(&tried) { tried } else { first.await },
    }
}

async fn at(view: &View, node: NodeId, request: &Request) -> Tried {
    match view.member(node).map(|member| &member.client) {
        Some(Ok(client)) => client.attempt(request, CONNECT_WAIT_MAX).await,
        Some(Err(error)) => Tried::NotSent(error.clone()),
        None => Tried::NotSent(lost()),
    }
}

/// What the operation calls a shard is the cluster's number of it; the node has its own.
fn set_shard(op: &mut Op, local: ShardId) {
    match op {
        Op::TakeEffects { shard, .. } | Op::CheckStock(shard) | Op::AuditStock(shard) | Op::Snapshots { shard, .. } => *shard = local,
        // No other operation is routed by shard.
        _ => {}
    }
}

fn is_refused_for(tried: &Tried, refusal: &Refusal) -> bool {
    matches!(tried, Tried::Answered(Response { result: Err(Failure::Refused(found)), .. }) if found == refusal)
}

fn lost() -> CallError {
    CallError::Unreachable("the cluster has no such node".into())
}

fn failed(failure: Failure) -> Response {
    Response { positions: Vec::new(), replayed: false, result: Err(failure) }
}

impl Shared {
    fn nodes(&self) -> Arc<Nodes> {
        Arc::clone(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_nodes(&self, nodes: Nodes) {
        *self.nodes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(nodes);
    }

    fn round(&self) -> Round {
        // An odd step over all numbers, so that no two are the same (Weyl sequence).
        let random = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        Round::new(self.turn.fetch_add(1, Ordering::Relaxed) as usize, random)
    }

    /// Takes from an attempt what it says about the cluster.
    fn learn(&self, view: &View, route: Route, node: NodeId, verdict: Verdict, tried: &Tried) {
        let partition = match route {
            Route::Partition(partition) => Some(partition),
            Route::Shard(_) | Route::Any => None,
        };
        let hinted = partition.and_then(|partition| view.leader(partition));
        match (verdict, partition) {
            // Only the leader says so.
            (Verdict::Answer, Some(partition))
                if hinted != Some(node) && matches!(tried, Tried::Answered(response) if response.result.is_ok()) =>
            {
                view.note_leader(partition, node);
            }
            (Verdict::NotLeader { leader }, Some(partition)) => {
                view.forget_leader(partition, node);
                if let Some(leader) = leader {
                    view.note_leader(partition, leader);
                }
                let unknown = leader.is_some_and(|leader| view.member(leader).is_none());
                if hinted == Some(node) || unknown {
                    self.contradicted.notify_one();
                }
            }
            // The node was slow, which says nothing about who leads.
            (Verdict::Doubt, _) if matches!(tried, Tried::Answered(response) if response.result == Err(Failure::DeadlineExceeded)) => {}
            (Verdict::Gone | Verdict::Doubt, partition) => {
                if let Some(partition) = partition {
                    view.forget_leader(partition, node);
                }
                self.contradicted.notify_one();
            }
            (Verdict::Answer | Verdict::Refused | Verdict::NotLeader { .. }, _) => {}
        }
    }

    fn save_hedge(&self) {
        let _ = self
            .hedges
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| (saved < HEDGES_SAVED_MAX * HEDGE_ONE_IN).then_some(saved + 1));
    }

    fn take_hedge(&self) -> bool {
        self.hedges.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| saved.checked_sub(HEDGE_ONE_IN)).is_ok()
    }

    /// Asks for the map: of nodes in turn those that are connected first, then of the addresses given at the start.
    async fn refresh(&self) {
        let nodes = self.nodes();
        let answer = match &*nodes {
            Nodes::Alone(alone) => match ask_map(alone).await {
                Ok(map) => map,
                Err(error) => return tracing::debug!(%error, "a node that is alone does not answer"),
            },
            Nodes::Cluster(view) => self.map_of(view).await,
        };
        let Some(map) = answer else { return };
        match &*nodes {
            Nodes::Alone(alone) if map.partitions != alone.topology().partitions => {
                tracing::error!(found = map.partitions, wanted = alone.topology().partitions, "the map of another cluster is not taken");
            }
            Nodes::Alone(alone) => {
                tracing::info!(nodes = map.nodes.len(), "a node that was alone has become one of a cluster");
                self.set_nodes(Nodes::Cluster(View::of(map, std::slice::from_ref(alone), &self.config).await));
            }
            Nodes::Cluster(view) if map.partitions != view.map.partitions => {
                tracing::error!(found = map.partitions, wanted = view.map.partitions, "the map of another cluster is not taken");
            }
            Nodes::Cluster(view) if map.epoch > view.map.epoch || (map.epoch == view.map.epoch && view.is_partly_lost()) => {
                tracing::debug!(epoch = map.epoch, nodes = map.nodes.len(), "the map of the cluster");
                let next = View::of(map, &view.clients(), &self.config).await;
                next.inherit_leaders(view);
                self.set_nodes(Nodes::Cluster(next));
            }
            // An older one is of a node that has not heard of the newer yet; what it knows of leaders may be as old.
            Nodes::Cluster(view) if map.epoch < view.map.epoch => {}
            Nodes::Cluster(view) => view.note_leaders(&map),
        }
    }

    async fn map_of(&self, view: &View) -> Option<ClusterMap> {
        for member in view.by_standing(self.map_turn.fetch_add(1, Ordering::Relaxed) as usize) {
            let Ok(client) = &member.client else { continue };
            match ask_map(client).await {
                Ok(Some(map)) => return Some(map),
                Ok(None) => tracing::warn!(node = member.id.0, "a node of the cluster says that it is alone"),
                Err(error) => tracing::debug!(node = member.id.0, %error, "a node gives no map"),
            }
        }
        match first_of(&self.seeds, &self.config).await {
            Ok((_, map)) => map,
            Err(error) => {
                tracing::warn!(%error, "no node of the cluster answers");
                None
            }
        }
    }
}

/// Keeps the map, until it is aborted.
async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = sleep(MAP_REFRESH) => {}
            () = shared.contradicted.notified() => {}
        }
        shared.refresh().await;
        sleep(MAP_REFRESH_MIN).await;
    }
}

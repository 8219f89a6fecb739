//! A cluster's map made usable: a client for each node, and who leads which partition as far as was heard.
//!
//! Path: an address → [`first_map`] → [`View::of`], which keeps the clients of nodes that stay where they are → for each request [`View::leader`] and
//! [`View::candidates`]. Read first: [`View`]. Bounds: [`MAP_WAIT_MAX`], [`RESOLVE_MAX`].

use super::{
    QuicClient,
    client::{Standing, Tried},
    cluster_retry::Candidate,
};
use crate::{Body, CallError, ClusterMap, Failure, NodeId, NodeState, Op, PartitionId, Principal, Refusal, Request, Response, Topology};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::timeout;

/// How long a node may take to give its map.
pub const MAP_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long the system may take to find the address of a name.
pub const RESOLVE_MAX: Duration = Duration::from_secs(2);

/// The cluster as this client sees it. Replaced whole when nodes change; only what is known of leaders changes in place.
pub(super) struct View {
    pub(super) map: ClusterMap,
    /// As the map's nodes.
    members: Vec<Member>,
    /// By partition: a node's id, 0 for none. Hints that guard no other memory, so relaxed.
    leaders: Vec<AtomicU64>,
}

pub(super) struct Member {
    pub(super) id: NodeId,
    state: NodeState,
    /// Why there is none: its name has no address, or the system gives no socket.
    pub(super) client: Result<QuicClient, CallError>,
}

impl Member {
    pub(super) fn standing(&self) -> Standing {
        self.client.as_ref().map_or(Standing::Down, QuicClient::standing)
    }
}

impl View {
    /// Takes a map that was checked. Clients of addresses that it has are kept, others are made and begin to connect.
    pub(super) async fn of(map: ClusterMap, known: &[QuicClient], config: &quinn::ClientConfig) -> Self {
        // All at once: each may take its time.
        let found: Vec<_> =
            map.nodes.iter().map(|node| node.address.clone()).map(|address| async move { resolve(&address).await }).collect();
        let found: Vec<_> = found.into_iter().map(tokio::spawn).collect();
        let mut members = Vec::with_capacity(map.nodes.len());
        for (node, found) in map.nodes.iter().zip(found) {
            let topology = Topology { partitions: map.partitions, shards: node.shards };
            let found = found.await.unwrap_or_else(|error| Err(CallError::Unreachable(error.to_string())));
            let client = found.and_then(|address| {
                let same = known.iter().find(|client| client.base() == address);
                same.map_or_else(|| QuicClient::towards(address, config.clone(), topology), |client| Ok(client.clone()))
            });
            if let Err(error) = &client {
                tracing::warn!(node = node.id.0, address = node.address, %error, "a node of the cluster cannot be reached");
            }
            members.push(Member { id: node.id, state: node.state, client });
        }
        let leaders = map.leaders.iter().map(|leader| AtomicU64::new(leader.map_or(0, |id| id.0))).collect();
        Self { map, members, leaders }
    }

    pub(super) fn topology(&self) -> Topology {
        Topology { partitions: self.map.partitions, shards: self.map.shards() }
    }

    pub(super) fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Members in turn, those first that can be asked at once.
    pub(super) fn by_standing(&self, turn: usize) -> Vec<&Member> {
        let count = self.members.len();
        let mut members: Vec<&Member> = (0..count).map(|place| &self.members[(place + turn) % count]).collect();
        members.sort_by_key(|member| member.standing());
        members
    }

    pub(super) fn clients(&self) -> Vec<QuicClient> {
        self.members.iter().filter_map(|member| member.client.clone().ok()).collect()
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        self.members.iter().map(|member| Candidate { id: member.id, state: member.state, standing: member.standing() }).collect()
    }

    /// Who leads a partition, as was heard last.
    pub(super) fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        let leader = self.leaders.get(usize::from(partition.0))?.load(Ordering::Relaxed);
        (leader != 0).then_some(NodeId(leader))
    }

    /// Somebody says who leads.
    pub(super) fn note_leader(&self, partition: PartitionId, leader: NodeId) {
        if let Some(place) = self.leaders.get(usize::from(partition.0)) {
            place.store(leader.0, Ordering::Relaxed);
        }
    }

    /// This one does not; somebody else may have been named meanwhile.
    pub(super) fn forget_leader(&self, partition: PartitionId, leader: NodeId) {
        if let Some(place) = self.leaders.get(usize::from(partition.0)) {
            // Fails if another was named.
            let _ = place.compare_exchange(leader.0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Takes the leaders of another map of the same nodes; where it knows none, what is known stays.
    pub(super) fn note_leaders(&self, map: &ClusterMap) {
        for (place, leader) in self.leaders.iter().zip(&map.leaders) {
            if let Some(leader) = leader {
                place.store(leader.0, Ordering::Relaxed);
            }
        }
    }

    /// Takes over what was known of leaders before, where the map knows none.
    pub(super) fn inherit_leaders(&self, before: &Self) {
        for (place, old) in self.leaders.iter().zip(&before.leaders) {
            if place.load(Ordering::Relaxed) == 0 {
                place.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Whether a node that cannot be reached might be found by looking up its address again.
    pub(super) fn is_partly_lost(&self) -> bool {
        self.members.iter().any(|member| member.standing() == Standing::Down)
    }
}

/// The address of `host:port`: the first of those that the name has.
pub(super) async fn resolve(address: &str) -> Result<SocketAddr, CallError> {
    let failed = |why: &dyn std::fmt::Display| CallError::Unreachable(format!("{address}: {why}"));
    match timeout(RESOLVE_MAX, tokio::net::lookup_host(address)).await {
        Ok(Ok(mut found)) => found.next().ok_or_else(|| failed(&"the name has no address")),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&"its address was not found in time")),
    }
}

/// Connects to a node and asks it for its map.
///
/// # Errors
/// If nobody answers there, or with no map.
pub(super) async fn first_map(address: &str, config: quinn::ClientConfig) -> Result<(QuicClient, Option<ClusterMap>), CallError> {
    let client = QuicClient::connect(resolve(address).await?, config).await?;
    let map = ask_map(&client).await?;
    Ok((client, map))
}

/// The map that a node has; `None` from one that is alone, or of a make that knows of no clusters.
///
/// # Errors
/// If there is no answer in [`MAP_WAIT_MAX`], or none that can be used.
pub(super) async fn ask_map(client: &QuicClient) -> Result<Option<ClusterMap>, CallError> {
    let timeout_ms = MAP_WAIT_MAX.as_millis() as u32; // a second
    // Anyone may ask, and anyone is who a client of any part may ask for.
    let request = Request { principal: Principal::Anonymous, timeout_ms, ..Request::system(Op::ClusterMap) };
    let late = || CallError::Unreachable("it did not give its map in time".into());
    match timeout(MAP_WAIT_MAX, client.attempt(&request, MAP_WAIT_MAX)).await.map_err(|_| late())? {
        Tried::Answered(Response { result, .. }) => match result {
            Ok(Body::ClusterMap(None)) | Err(Failure::Refused(Refusal::Invalid(_) | Refusal::NotFound)) => Ok(None),
            Ok(Body::ClusterMap(Some(map))) => match map.check() {
                Ok(()) => Ok(Some(*map)),
                Err(error) => Err(CallError::Protocol(error.to_string())),
            },
            Ok(_) => Err(CallError::Protocol("something else than a map was answered".into())),
            Err(failure) => Err(CallError::Unreachable(format!("it gives no map: {failure:?}"))),
        },
        Tried::Failed(error) | Tried::NotSent(error) => Err(error),
    }
}

//! The gateway's and the adapters' end of the link, on tokio.
//!
//! Path: [`QuicClient::call`] → [`placement::route`] names the shard → its [`Link`] has a live connection, or says why not →
//! [`Live::ask`] writes the request into one of the streams → a task a stream reads answers and hands each to who asked.
//! Read first: [`Live`]. Tasks: one a link, which keeps it connected, and two a stream while it is. All end with the client.
//! Bounds: [`REQUESTS_IN_FLIGHT_MAX`] a connection, [`BACKOFF_MAX`] between attempts, [`RESENDS_MAX`].
//!
//! Nothing is tried again by itself, since a request may have been carried out though no answer came; except what certainly never
//! left this process, because the connection was closed before the request's turn to be written.

use super::{
    Arrived, CloseCode, Frames, REQUEST_STREAMS_MAX, REQUESTS_IN_FLIGHT_MAX, StreamFault, WRITE_BYTES_MAX,
    greeting::{Greeted, Opening},
};
use crate::frame::{self, DecodeError, EncodeError, Frame, Kind, RequestId, Side, Welcome};
use crate::placement::{self, Route, shard_of};
use crate::{Call, CallError, Client, Failure, Refusal, Request, Response, ShardId, Topology};
use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::watch, task::AbortHandle, time};

/// How long connecting may take, greeting included.
pub const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Between two attempts to connect, at first; doubles with each that fails.
pub const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Between two attempts to connect, at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// What a call waits beyond its request's own timeout, for the way there and back.
pub const ANSWER_SLACK: Duration = Duration::from_millis(500);
/// How often a request that never left is given to a new connection.
pub const RESENDS_MAX: usize = 2;
/// Frames of a stream that wait to be written: each request has at most itself and its cancel there.
const FRAMES_QUEUED_MAX: usize = 2 * REQUESTS_IN_FLIGHT_MAX as usize;

#[expect(clippy::disallowed_types, reason = "callers are on all threads of the runtime; held for a look into a table, never over an await")]
type Mutex<T> = std::sync::Mutex<T>;

/// A [`Client`] over QUIC: one connection a shard. Cheap to clone; the connections close with the last clone.
#[derive(Clone)]
pub struct QuicClient {
    node: Arc<Node>,
}

struct Node {
    endpoint: Endpoint,
    base: SocketAddr,
    runtime: Handle,
    /// Partitions in the upper half, shards in the lower: read and changed as one. Guards no other memory, so relaxed.
    topology: AtomicU32,
    /// By shard. A lock, since an engine may come back with more shards; read for each call, written when that happens.
    links: RwLock<Vec<Link>>,
    /// Turns for requests that any shard can answer. Relaxed: only spreads load.
    turn: AtomicU32,
}

impl QuicClient {
    /// Connects to shard 0 of a node, which listens at `base`, learns how many shards there are, and begins to connect to those, each
    /// at the port after the one before it. `config` from [`super::client_config`]. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if nobody answers there within [`CONNECT_MAX`], or does not let us in.
    pub async fn connect(base: SocketAddr, config: quinn::ClientConfig) -> Result<Self, CallError> {
        let endpoint = Self::endpoint(base, config)?;
        Self::connect_from(endpoint, base).await
    }

    /// A UDP socket from which clients can connect to nodes at addresses like `base`.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if the system gives none.
    pub fn endpoint(base: SocketAddr, config: quinn::ClientConfig) -> Result<Endpoint, CallError> {
        let unreachable = |error: std::io::Error| CallError::Unreachable(format!("no UDP socket: {error}"));
        let local = match base {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let mut endpoint = Endpoint::client(local).map_err(unreachable)?;
        endpoint.set_default_client_config(config);
        Ok(endpoint)
    }

    /// As [`Self::connect`], from a socket that several clients share: their datagrams are then read many at a time. It is closed with the first
    /// client that is dropped, and all their connections with it.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub async fn connect_from(endpoint: Endpoint, base: SocketAddr) -> Result<Self, CallError> {
        let (live, welcome) = Live::open(&endpoint, base, ShardId(0)).await?;
        Ok(Self::made(endpoint, base, topology_of(welcome), Some(live)))
    }

    /// Begins to connect to a node of which the shards are known already, and does not wait for it: calls do. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if the system gives no socket.
    pub(super) fn towards(base: SocketAddr, config: quinn::ClientConfig, topology: Topology) -> Result<Self, CallError> {
        Ok(Self::made(Self::endpoint(base, config)?, base, topology, None))
    }

    fn made(endpoint: Endpoint, base: SocketAddr, topology: Topology, live: Option<Arc<Live>>) -> Self {
        let (topology, shards) = (AtomicU32::new(packed(topology)), topology.shards);
        let node =
            Arc::new(Node { endpoint, base, runtime: Handle::current(), topology, links: RwLock::default(), turn: AtomicU32::new(0) });
        node.extend(shards, live);
        Self { node }
    }

    /// Where it connects to.
    pub(super) fn base(&self) -> SocketAddr {
        self.node.base
    }

    /// As [`Client::call`], and says whether the request can have been carried out at all. Waits for a connection at most so long, and without end for
    /// the answer.
    pub(super) async fn attempt(&self, request: &Request, connect_wait: Duration) -> Tried {
        self.node.call(request, connect_wait).await
    }

    /// How its links stand, in sum: the best of them counts.
    pub(super) fn standing(&self) -> Standing {
        let links = self.node.links.read().unwrap_or_else(PoisonError::into_inner);
        let standing = links.iter().map(|link| match &*link.state.borrow() {
            LinkState::Up(_) => Standing::Up,
            LinkState::Connecting => Standing::Connecting,
            LinkState::Down(_) => Standing::Down,
        });
        standing.min().unwrap_or(Standing::Down)
    }
}

/// What came of one attempt to ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tried {
    /// This.
    Answered(Response),
    /// Nobody knows.
    Failed(CallError),
    /// It certainly never left, so nothing was done.
    NotSent(CallError),
}

impl Tried {
    pub(super) fn result(self) -> Result<Response, CallError> {
        match self {
            Self::Answered(response) => Ok(response),
            Self::Failed(error) | Self::NotSent(error) => Err(error),
        }
    }
}

/// How a node's links stand; the first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// A request can be sent.
    Up,
    /// It may soon be.
    Connecting,
    /// The last attempt to connect failed.
    Down,
}

const fn topology_of(welcome: Welcome) -> Topology {
    Topology { partitions: welcome.partitions, shards: welcome.shards }
}

const fn packed(topology: Topology) -> u32 {
    ((topology.partitions as u32) << 16) | topology.shards as u32
}

impl Client for QuicClient {
    fn call(&self, request: Request) -> Call {
        let node = Arc::clone(&self.node);
        Box::pin(async move {
            let patience = Duration::from_millis(request.timeout_ms.into()) + ANSWER_SLACK;
            let late = || CallError::Unreachable(format!("no answer in {} ms", patience.as_millis()));
            time::timeout(patience, node.call(&request, patience)).await.map_or_else(|_| Err(late()), Tried::result)
        })
    }

    fn topology(&self) -> Topology {
        self.node.topology()
    }
}

impl Node {
    fn topology(&self) -> Topology {
        let packed = self.topology.load(Ordering::Relaxed);
        Topology { partitions: (packed >> 16) as u16, shards: packed as u16 }
    }

    async fn call(self: &Arc<Self>, request: &Request, connect_wait: Duration) -> Tried {
        let topology = self.topology();
        let shard = match placement::route(&request.op, topology) {
            Route::Partition(partition) => shard_of(partition, topology.shards),
            Route::Shard(shard) => shard,
            Route::Any => ShardId((self.turn.fetch_add(1, Ordering::Relaxed) % u32::from(topology.shards)) as u16),
        };
        if shard.0 >= topology.shards {
            return Tried::Answered(failed(Failure::WrongShard));
        }
        let mut state = self.link(shard);
        for _ in 0..=RESENDS_MAX {
            let known = state.wait_for(|state| !matches!(state, LinkState::Connecting));
            let live = match time::timeout(connect_wait, known).await {
                Ok(Ok(state)) => match &*state {
                    LinkState::Up(live) => Arc::clone(live),
                    LinkState::Down(error) => return Tried::NotSent(error.clone()),
                    LinkState::Connecting => continue, // waited for anything else
                },
                Ok(Err(_)) => return Tried::NotSent(gone()),
                Err(_) => return Tried::NotSent(CallError::Unreachable(format!("{} does not answer", self.address(shard)))),
            };
            match live.ask(request).await {
                Asked::Answered(response) => return Tried::Answered(*response),
                Asked::Failed(error) => return Tried::Failed(error),
                // The link sees the same end of the connection; until it has, look again without spinning.
                Asked::NotSent => time::sleep(BACKOFF_MIN / 4).await,
            }
        }
        Tried::NotSent(CallError::Unreachable("connections closed before the request was sent".into()))
    }

    fn link(self: &Arc<Self>, shard: ShardId) -> watch::Receiver<LinkState> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links[usize::from(shard.0)].state.clone()
    }

    /// Makes links until there are as many as shards. Those of shards that are no more fail by themselves and are not asked.
    fn extend(self: &Arc<Self>, shards: u16, mut first: Option<Arc<Live>>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        while links.len() < usize::from(shards) {
            let shard = ShardId(links.len() as u16); // less than `shards`
            let live = first.take();
            let (sender, state) = watch::channel(live.clone().map_or(LinkState::Connecting, LinkState::Up));
            // Weak, so that the task does not keep alive what ends it.
            let task = self.runtime.spawn(keep(Arc::downgrade(self), self.endpoint.clone(), self.address(shard), shard, live, sender));
            links.push(Link { state, task: task.abort_handle() });
        }
    }

    fn address(&self, shard: ShardId) -> SocketAddr {
        let mut address = self.base;
        address.set_port(self.base.port().saturating_add(shard.0));
        address
    }

    /// Takes what a shard says about the node. A restart may change the number of shards, never that of partitions.
    fn learn(self: &Arc<Self>, welcome: Welcome) -> Result<(), CallError> {
        let topology = self.topology();
        if welcome.partitions != topology.partitions {
            let text = format!("it has {} partitions, and had {}: another cluster", welcome.partitions, topology.partitions);
            return Err(CallError::Protocol(text));
        }
        if welcome.shards != topology.shards {
            // Links first: whoever reads the topology finds them.
            self.extend(welcome.shards, None);
            self.topology.store(packed(topology_of(welcome)), Ordering::Release);
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for link in self.links.get_mut().unwrap_or_else(PoisonError::into_inner) {
            link.task.abort();
        }
        self.endpoint.close(quinn::VarInt::from_u32(CloseCode::Done as u32), b"the client is done");
    }
}

fn gone() -> CallError {
    CallError::Unreachable("the client is closed".into())
}

fn failed(failure: Failure) -> Response {
    Response { positions: Vec::new(), replayed: false, result: Err(failure) }
}

/// The way to one shard.
struct Link {
    state: watch::Receiver<LinkState>,
    task: AbortHandle,
}

/// Where a link stands.
enum LinkState {
    /// The first attempt since the start, or since a connection was lost: worth waiting for.
    Connecting,
    /// Ask here.
    Up(Arc<Live>),
    /// The last attempt failed so. Goes on trying.
    Down(CallError),
}

/// Keeps a link connected.
async fn keep(
    node: std::sync::Weak<Node>,
    endpoint: Endpoint,
    address: SocketAddr,
    shard: ShardId,
    mut live: Option<Arc<Live>>,
    state: watch::Sender<LinkState>,
) {
    let mut pause = BACKOFF_MIN;
    loop {
        if let Some(live) = live.take() {
            let since = time::Instant::now();
            let end = live.left().await;
            tracing::info!(%address, shard = shard.0, end, "engine link: lost");
            state.send_replace(LinkState::Connecting);
            // One that did not last counts as a failed attempt, or an engine that lets us in only to throw us out is called all the time.
            if since.elapsed() >= BACKOFF_MAX {
                pause = BACKOFF_MIN;
            }
        } else {
            let learnt = match Live::open(&endpoint, address, shard).await {
                Ok((opened, welcome)) => match node.upgrade() {
                    Some(node) => node.learn(welcome).map(|()| opened),
                    None => return,
                },
                Err(error) => Err(error),
            };
            match learnt {
                Ok(opened) => {
                    state.send_replace(LinkState::Up(Arc::clone(&opened)));
                    live = Some(opened);
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%address, shard = shard.0, %error, "engine link: no connection");
                    state.send_replace(LinkState::Down(error));
                }
            }
        }
        time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF_MAX);
    }
}

/// One connection while it lasts.
struct Live {
    connection: Connection,
    /// Into each request stream.
    streams: Vec<flume::Sender<Queued>>,
    /// Requests without an answer; `None` once the connection is lost.
    waiting: Mutex<Option<HashMap<RequestId, Waiting>>>,
    in_flight_max: usize,
    /// Ids from 1 on. Relaxed: only has to be unique.
    next: AtomicU64,
    /// The server said goaway. Pairs with nothing: a request sent across it is answered `ShuttingDown`.
    leaving: AtomicBool,
    left: watch::Sender<Option<String>>,
    /// Never read from again: it is open as long as the connection is wanted.
    _control: Mutex<SendStream>,
}

/// A frame on its way to a stream.
struct Queued {
    id: RequestId,
    bytes: Bytes,
}

struct Waiting {
    answer: oneshot::Sender<Asked>,
    /// Its bytes were given to QUIC: it may be carried out.
    written: bool,
}

/// What came of asking.
enum Asked {
    Answered(Box<Response>),
    Failed(CallError),
    /// It certainly never left: the connection closed first.
    NotSent,
}

impl Live {
    async fn open(endpoint: &Endpoint, address: SocketAddr, shard: ShardId) -> Result<(Arc<Self>, Welcome), CallError> {
        let opening = Self::opening(endpoint, address, shard);
        let late = |_| CallError::Unreachable(format!("{address} did not answer in {} ms", CONNECT_MAX.as_millis()));
        time::timeout(CONNECT_MAX, opening).await.map_err(late)?
    }

    async fn opening(endpoint: &Endpoint, address: SocketAddr, shard: ShardId) -> Result<(Arc<Self>, Welcome), CallError> {
        let Greeted { connection, say, hear, welcome } = Opening { endpoint, address, shard, config: None, wanted: None }.open().await?;
        let unreachable = |error: &dyn std::fmt::Display| CallError::Unreachable(format!("{address}: {error}"));
        let (mut streams, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..REQUEST_STREAMS_MAX {
            let (say, hear) = connection.open_bi().await.map_err(|error| unreachable(&error))?;
            let (sender, queue) = flume::bounded(FRAMES_QUEUED_MAX);
            streams.push(sender);
            tasks.push((say, hear, queue));
        }
        let live = Arc::new(Self {
            connection,
            streams,
            waiting: Mutex::new(Some(HashMap::new())),
            in_flight_max: welcome.in_flight_max.min(REQUESTS_IN_FLIGHT_MAX) as usize,
            next: AtomicU64::new(1),
            leaving: AtomicBool::new(false),
            left: watch::Sender::new(None),
            _control: Mutex::new(say),
        });
        tokio::spawn(Arc::clone(&live).control(hear));
        for (say, hear, queue) in tasks {
            tokio::spawn(Arc::clone(&live).write(say, queue));
            tokio::spawn(Arc::clone(&live).read(hear));
        }
        Ok((live, welcome))
    }

    /// Sends `request` and waits for its answer. Dropped midway, it tells the server that nobody waits.
    async fn ask(self: &Arc<Self>, request: &Request) -> Asked {
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let mut bytes = Vec::new();
        match frame::encode_request(id, request, &mut bytes) {
            Ok(()) => {}
            Err(EncodeError::TooLong { max, .. }) => {
                let refusal = Refusal::LimitReached { what: "bytes of a request".into(), max: max as u64 };
                return Asked::Answered(Box::new(failed(Failure::Refused(refusal))));
            }
            Err(error @ (EncodeError::Archive { .. } | EncodeError::Empty { .. })) => {
                return Asked::Failed(CallError::Protocol(error.to_string()));
            }
        }
        if self.leaving.load(Ordering::Relaxed) {
            return Asked::NotSent;
        }
        let (answer, answered) = oneshot::async_channel();
        match &mut *self.waiting() {
            None => return Asked::NotSent,
            Some(waiting) if waiting.len() >= self.in_flight_max => return Asked::Failed(CallError::QueueFull),
            Some(waiting) => waiting.insert(id, Waiting { answer, written: false }),
        };
        let place = Place { live: self, id };
        let queued = Queued { id, bytes: bytes.into() };
        if let Err(error) = self.stream(id).try_send(queued) {
            return match error {
                flume::TrySendError::Full(_) => Asked::Failed(CallError::QueueFull),
                flume::TrySendError::Disconnected(_) => Asked::NotSent,
            };
        }
        let asked = answered.await.unwrap_or_else(|_| Asked::Failed(gone()));
        drop(place);
        asked
    }

    fn stream(&self, id: RequestId) -> &flume::Sender<Queued> {
        &self.streams[(id.0 % self.streams.len() as u64) as usize]
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<HashMap<RequestId, Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, id: RequestId, asked: Asked) {
        let waiting = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(waiting) = waiting {
            let _ = waiting.answer.send(asked); // nobody waits any more
        }
        self.close_if_done();
    }

    /// After goaway the side that knows that all answers are there is this one.
    fn close_if_done(&self) {
        if self.leaving.load(Ordering::Relaxed) && self.waiting().as_ref().is_none_or(HashMap::is_empty) {
            CloseCode::Done.close(&self.connection, "all answers are there");
        }
    }

    /// Ends all that wait. The first reason counts.
    fn lost(&self, error: &CallError) {
        let waiting = self.waiting().take();
        for (_, Waiting { answer, written }) in waiting.into_iter().flatten() {
            let _ = answer.send(if written { Asked::Failed(error.clone()) } else { Asked::NotSent });
        }
        self.left.send_if_modified(|left| left.is_none() && left.replace(error.to_string()).is_none());
        let code = if matches!(error, CallError::Protocol(_)) { CloseCode::Protocol } else { CloseCode::Done };
        code.close(&self.connection, &error.to_string());
    }

    fn fault(&self, fault: &StreamFault) -> CallError {
        match fault {
            StreamFault::Unreadable(error) => CallError::Protocol(error.to_string()),
            StreamFault::Cut | StreamFault::Lost(_) => self.end(),
        }
    }

    fn end(&self) -> CallError {
        CallError::Unreachable(self.connection.close_reason().map_or_else(|| "a stream was ended".into(), |error| error.to_string()))
    }

    /// Waits until no request should be sent here any more, and says why.
    async fn left(&self) -> String {
        let mut left = self.left.subscribe();
        // The sender is in `self`: it cannot be gone.
        left.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    async fn control(self: Arc<Self>, mut hear: Frames) {
        loop {
            match hear.next().await {
                Ok(Some(Arrived { frame: Ok(Frame::GoAway), .. })) => {
                    self.leaving.store(true, Ordering::Relaxed);
                    self.left.send_if_modified(|left| left.is_none() && left.replace("the engine is about to stop".into()).is_none());
                    self.close_if_done();
                }
                Ok(Some(arrived)) => {
                    return self.lost(&CallError::Protocol(format!("{:?} on the control stream", arrived.header.kind)));
                }
                Ok(None) => return self.lost(&self.end()),
                Err(fault) => return self.lost(&self.fault(&fault)),
            }
        }
    }

    async fn read(self: Arc<Self>, hear: RecvStream) {
        let mut hear = Frames::new(hear, Side::Client);
        loop {
            match hear.next().await {
                Ok(Some(Arrived { frame: Ok(Frame::Response { id, response, .. }), .. })) => self.settle(id, Asked::Answered(response)),
                Ok(Some(Arrived { header, frame: Err(error @ DecodeError::Body { .. }) })) if header.kind == Kind::Response => {
                    self.settle(header.id, Asked::Failed(CallError::Protocol(error.to_string())));
                }
                Ok(Some(Arrived { header, .. })) => {
                    return self.lost(&CallError::Protocol(format!("{:?} on a request stream", header.kind)));
                }
                Ok(None) => return self.lost(&self.end()),
                Err(fault) => return self.lost(&self.fault(&fault)),
            }
        }
    }

    /// Writes what has gathered, in one go. Each request is marked before, so that one not marked has certainly not left.
    async fn write(self: Arc<Self>, mut say: SendStream, queue: flume::Receiver<Queued>) {
        loop {
            let first = tokio::select! {
                first = queue.recv_async() => first.ok(),
                _ = self.connection.closed() => None,
            };
            let Some(first) = first else { break };
            let (mut len, mut ids, mut batch) = (first.bytes.len(), vec![first.id], vec![first.bytes]);
            while len < WRITE_BYTES_MAX
                && let Ok(next) = queue.try_recv()
            {
                len += next.bytes.len();
                ids.push(next.id);
                batch.push(next.bytes);
            }
            match &mut *self.waiting() {
                Some(waiting) => ids.iter().for_each(|id| {
                    if let Some(waiting) = waiting.get_mut(id) {
                        waiting.written = true;
                    }
                }),
                None => break,
            }
            if say.write_all_chunks(&mut batch).await.is_err() {
                break;
            }
        }
        self.lost(&self.end());
    }
}

/// A place among those who wait. Dropped while still there, it means that the caller gave up.
struct Place<'a> {
    live: &'a Arc<Live>,
    id: RequestId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let removed = self.live.waiting().as_mut().and_then(|waiting| waiting.remove(&self.id));
        if removed.is_some() {
            let mut bytes = Vec::new();
            // If the queue is full the server finishes for nobody: harmless.
            if (Frame::Cancel { id: self.id }).encode(&mut bytes).is_ok() {
                let _ = self.live.stream(self.id).try_send(Queued { id: self.id, bytes: bytes.into() });
            }
            self.live.close_if_done();
        }
    }
}

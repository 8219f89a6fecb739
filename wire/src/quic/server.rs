//! A shard's end of the link.
//!
//! Path: [`Server::serve`] accepts → `connection`: who is it, hello, welcome → a `requests` task a stream reads frames → the [`Service`] → its
//! answers gather in the stream's outbox (`service.rs`) → `answers` writes them in one go. Read first: `requests`. What other nodes say: `node_streams.rs`.
//! Bounds: [`CONNECTIONS_MAX`], [`NODE_CONNECTIONS_MAX`], [`HANDSHAKES_MAX`], [`REQUESTS_IN_FLIGHT_MAX`],
//! [`ANSWERS_QUEUED_MAX`](super::service::ANSWERS_QUEUED_MAX).
//!
//! Everything lives on one thread and on any executor: the caller says how to spawn, services need not be `Send`, and no clock is
//! read. When a client is gone, or takes a request back, the service is told, or a handler's future is dropped at its next await: what must be
//! carried through is handed to somebody else before.

use super::{
    Arrived, CONNECTIONS_MAX, CloseCode, Frames, HANDSHAKES_MAX, Identity, NODE_CONNECTIONS_MAX, NODE_STREAMS_MAX, Part,
    REQUESTS_IN_FLIGHT_MAX, StreamFault, node_streams, peer,
    service::{Answer, Outbox, Service},
};
use crate::frame::{self, Frame, Hello, Kind, Side, Welcome};
use crate::{Failure, FieldError, Refusal, Request, Response, ShardId, Topology};
use bytes::Bytes;
use futures_lite::future;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use std::{
    cell::{Cell, OnceCell, RefCell},
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    task::{Poll, Waker},
};

/// A task of this thread.
pub type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// What an overloaded client is told to wait.
const RETRY_AFTER_MS: u32 = 50;
/// Requests of a stream started in one turn of its task, before others of the thread have theirs.
pub(super) const REQUESTS_A_TURN_MAX: u32 = 64;

/// Serves one endpoint. Made and used on one thread.
pub struct Server {
    state: Rc<State>,
}

/// Stops a [`Server`]; of the same thread. Cheap to clone.
#[derive(Clone)]
pub struct ServerHandle(Rc<State>);

pub(super) struct State {
    endpoint: Endpoint,
    pub(super) spawn: Box<dyn Fn(LocalTask)>,
    welcome: Welcome,
    leaving: Cell<bool>,
    /// All of them, handshakes included.
    connections: Cell<usize>,
    /// Those over which somebody asks.
    clients: Cell<usize>,
    handshakes: Cell<usize>,
    /// Those who wait for one of the above to change.
    waiting: RefCell<Vec<Waker>>,
}

impl State {
    fn changed(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    async fn until(&self, reached: impl Fn(&Self) -> bool) {
        future::poll_fn(|cx| {
            if reached(self) {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// Adds one to a count for as long as it lives.
struct Counted(Rc<State>, fn(&State) -> &Cell<usize>);

impl Counted {
    fn new(state: &Rc<State>, count: fn(&State) -> &Cell<usize>) -> Self {
        count(state).set(count(state).get() + 1);
        Self(Rc::clone(state), count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let count = (self.1)(&self.0);
        count.set(count.get() - 1);
        self.0.changed();
    }
}

impl Server {
    /// A server for `shard`, on an endpoint made with [`super::server_config`]. `spawn` starts a task on this thread and lets it run;
    /// tasks end by themselves once the endpoint is closed.
    #[must_use]
    pub fn new(endpoint: Endpoint, topology: Topology, shard: ShardId, spawn: impl Fn(LocalTask) + 'static) -> Self {
        let welcome = Welcome {
            version: frame::VERSION,
            partitions: topology.partitions,
            shards: topology.shards,
            shard: shard.0,
            in_flight_max: REQUESTS_IN_FLIGHT_MAX,
        };
        Self {
            state: Rc::new(State {
                endpoint,
                spawn: Box::new(spawn),
                welcome,
                leaving: Cell::new(false),
                connections: Cell::new(0),
                clients: Cell::new(0),
                handshakes: Cell::new(0),
                waiting: RefCell::default(),
            }),
        }
    }

    /// What stops it.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(Rc::clone(&self.state))
    }

    /// Accepts until the endpoint is closed. Each request of a client that may send it (see [`Identity::may`]) becomes a call of
    /// `service`; its answer goes back when it is there.
    pub async fn serve<S: Service>(self, service: S) {
        let (state, service) = (self.state, Rc::new(service));
        while let Some(incoming) = state.endpoint.accept().await {
            let handshakes = state.handshakes.get();
            let full = state.connections.get() >= CONNECTIONS_MAX + NODE_CONNECTIONS_MAX;
            if state.leaving.get() || full || handshakes >= HANDSHAKES_MAX {
                incoming.refuse();
            } else if handshakes >= HANDSHAKES_MAX / 4 && !incoming.remote_address_validated() && incoming.may_retry() {
                // Addresses may be forged; whoever has to answer from his own cannot fill all places.
                let _ = incoming.retry(); // fails only where `may_retry` says so
            } else {
                let counted = Counted::new(&state, |state| &state.connections);
                (state.spawn)(Box::pin(connection(counted, incoming, Rc::clone(&service))));
            }
        }
    }
}

impl ServerHandle {
    /// The socket it listens on, to connect to other nodes from. [`Self::close`] closes these connections too.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.0.endpoint.clone()
    }

    /// Begins to leave: clients are told to send no more, new connections are refused, requests that still come are answered
    /// `ShuttingDown`, those under way go on.
    pub fn goaway(&self) {
        self.0.leaving.set(true);
        self.0.changed();
    }

    /// Waits until no client is connected: after [`Self::goaway`] each leaves when it has its answers. A client that hangs keeps
    /// this waiting, so the caller sets a limit by its own clock. Nodes that only tell and never ask stay, and are not waited for.
    pub async fn drained(&self) {
        self.0.until(|state| state.clients.get() == 0 && state.handshakes.get() == 0).await;
    }

    /// Ends all connections, answers under way included, and waits until the peers were told. Then the executor can end.
    pub async fn close(&self) {
        self.0.leaving.set(true);
        self.0.changed();
        self.0.endpoint.close(VarInt::from_u32(CloseCode::Done as u32), b"the engine stops");
        self.0.endpoint.wait_idle().await;
        self.0.until(|state| state.connections.get() == 0).await;
    }
}

/// A service of an `async` handler: its futures are tasks of their own. One is dropped unfinished when nobody waits for it any more.
pub struct Handled<H> {
    spawn: Box<dyn Fn(LocalTask)>,
    handler: H,
}

impl<H, F> Handled<H>
where
    H: Fn(Identity, Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    /// `spawn` starts a task on this thread and lets it run.
    #[must_use]
    pub fn new(spawn: impl Fn(LocalTask) + 'static, handler: H) -> Self {
        Self { spawn: Box::new(spawn), handler }
    }
}

impl<H, F> Service for Handled<H>
where
    H: Fn(Identity, Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    /// Dropped, it ends the task.
    type Call = oneshot::Sender<()>;

    fn call(&self, identity: &Identity, request: Request, answer: Answer) -> Self::Call {
        let (call, taken_back) = oneshot::async_channel();
        let response = (self.handler)(identity.clone(), request);
        (self.spawn)(Box::pin(async move {
            let taken_back = async {
                let _ = taken_back.await; // nothing is ever sent: it ends when the sender is dropped
                None
            };
            if let Some(response) = future::or(async { Some(response.await) }, taken_back).await {
                answer.send(&response);
            }
        }));
        call
    }

    fn cancel(&self, call: Self::Call) {
        drop(call);
    }

    /// A handler answers requests; what nodes say goes nowhere.
    fn node(&self, identity: &Identity, body: Vec<u8>) {
        tracing::debug!(%identity, bytes = body.len(), "engine link: nobody here listens to other nodes");
    }
}

/// What all streams of a connection share.
pub(super) struct Link {
    pub(super) state: Rc<State>,
    pub(super) connection: Connection,
    pub(super) identity: Identity,
    /// Requests from their arrival until their answers are handed to QUIC.
    pub(super) in_flight: Cell<u32>,
    /// Its place among the clients; another node gets one when it asks something.
    client: OnceCell<Counted>,
    /// Lanes that have a node stream, by [`Lane`](crate::frame::Lane).
    pub(super) lanes: Cell<[bool; NODE_STREAMS_MAX as usize]>,
}

async fn connection<S: Service>(counted: Counted, incoming: Incoming, service: Rc<S>) {
    let (state, address) = (Rc::clone(&counted.0), incoming.remote_address());
    let handshake = Counted::new(&state, |state| &state.handshakes);
    let connection = match incoming.await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::info!(%address, %error, "engine link: no connection");
            return;
        }
    };
    drop(handshake);
    let identity = match peer(&connection) {
        Ok(identity) => identity,
        Err(error) => {
            tracing::warn!(%address, %error, "engine link: refused");
            CloseCode::Identity.close(&connection, &error.to_string());
            return;
        }
    };
    tracing::debug!(%address, %identity, "engine link: connected");
    let client = OnceCell::new();
    match identity.part() {
        Part::Engine => connection.set_max_concurrent_uni_streams(VarInt::from_u32(NODE_STREAMS_MAX)),
        Part::Gateway | Part::Adapter if state.clients.get() >= CONNECTIONS_MAX => {
            tracing::warn!(%address, %identity, "engine link: too many clients");
            CloseCode::Done.close(&connection, "too many clients");
            return;
        }
        Part::Gateway | Part::Adapter => drop(client.set(Counted::new(&state, |state| &state.clients))), // is empty, so it fits
    }
    let link = Rc::new(Link { state, connection, identity, in_flight: Cell::new(0), client, lanes: Cell::default() });
    let (code, reason) = match greet(&link).await {
        Ok((say, hear)) => {
            let told = node_streams::accept(&link, Rc::clone(&service));
            future::or(control(&link, say, hear), future::or(streams(&link, service), told)).await
        }
        Err(end) => end,
    };
    tracing::debug!(identity = %link.identity, reason, "engine link: ended");
    code.close(&link.connection, &reason);
}

/// How a connection ends.
pub(super) type End = (CloseCode, String);

/// Hello and welcome, on the first stream.
async fn greet(link: &Link) -> Result<(SendStream, Frames), End> {
    let (mut say, hear) = link.connection.accept_bi().await.map_err(|error| (CloseCode::Done, error.to_string()))?;
    let mut hear = Frames::new(hear, Side::Server);
    let hello = match hear.next().await {
        Ok(Some(Arrived { frame: Ok(Frame::Hello(hello)), .. })) => hello,
        Ok(Some(Arrived { header, .. })) => return Err((CloseCode::Protocol, format!("wanted hello, found {:?}", header.kind))),
        Ok(None) => return Err((CloseCode::Protocol, "the control stream ended before hello".into())),
        Err(fault) => return Err(end_of(fault)),
    };
    if hello.agreed() != Some(link.state.welcome.version) {
        let (Hello { oldest, newest }, ours) = (hello, Hello::OURS);
        let text = format!("the client speaks versions {oldest} to {newest}, the engine {} to {}", ours.oldest, ours.newest);
        return Err((CloseCode::Version, text));
    }
    send(&mut say, &Frame::Welcome(link.state.welcome)).await?;
    Ok((say, hear))
}

/// Says goaway when it is time; ends with the control stream.
async fn control(link: &Link, mut say: SendStream, mut hear: Frames) -> End {
    let farewell = async {
        link.state.until(|state| state.leaving.get()).await;
        match send(&mut say, &Frame::GoAway).await {
            Ok(()) => future::pending().await,
            Err(end) => end,
        }
    };
    let heard = async {
        match hear.next().await {
            Ok(Some(arrived)) => (CloseCode::Protocol, format!("{:?} on the control stream", arrived.header.kind)),
            Ok(None) => (CloseCode::Done, "the client is done".into()),
            Err(fault) => end_of(fault),
        }
    };
    future::or(heard, farewell).await
}

async fn send(stream: &mut SendStream, frame: &Frame) -> Result<(), End> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).map_err(|error| (CloseCode::Protocol, error.to_string()))?;
    stream.write_all(&bytes).await.map_err(|error| (CloseCode::Done, error.to_string()))
}

pub(super) fn end_of(fault: StreamFault) -> End {
    match fault {
        StreamFault::Lost(error) => (CloseCode::Done, error.to_string()),
        StreamFault::Cut => (CloseCode::Protocol, "a stream ended within a frame".into()),
        StreamFault::Unreadable(error) => (CloseCode::Protocol, error.to_string()),
    }
}

/// Accepts request streams; how many there can be is QUIC's limit.
async fn streams<S: Service>(link: &Rc<Link>, service: Rc<S>) -> End {
    loop {
        match link.connection.accept_bi().await {
            Ok((say, hear)) => {
                link.client.get_or_init(|| Counted::new(&link.state, |state| &state.clients));
                let outbox = Outbox::new(Rc::clone(link), Rc::clone(&service));
                (link.state.spawn)(Box::pin(answers(say, Rc::clone(&outbox))));
                (link.state.spawn)(Box::pin(requests(Rc::clone(link), hear, outbox)));
            }
            Err(error) => return (CloseCode::Done, error.to_string()),
        }
    }
}

async fn requests<S: Service>(link: Rc<Link>, hear: RecvStream, outbox: Rc<Outbox<S>>) {
    let mut frames = Frames::new(hear, Side::Server);
    let mut turn = 0;
    let (code, reason) = loop {
        // A client that does not take its answers is read no further.
        if !outbox.room().await {
            break (CloseCode::Done, "the client takes no more answers".into());
        }
        let Arrived { header, frame } = match frames.next().await {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return outbox.end(), // what is under way is still answered
            Err(fault) => break end_of(fault),
        };
        let refusal = match frame {
            Ok(Frame::Request { id, request }) => match refusal(&link, &request) {
                Some(failure) => failure,
                None => {
                    if !outbox.begin(id, *request) {
                        break (CloseCode::Protocol, format!("request id {} is under way already", id.0));
                    }
                    turn += 1;
                    if turn % REQUESTS_A_TURN_MAX == 0 {
                        future::yield_now().await;
                    }
                    continue;
                }
            },
            Ok(Frame::Cancel { id }) => {
                outbox.cancel(id);
                continue;
            }
            Err(error) if header.kind == Kind::Request => {
                tracing::warn!(identity = %link.identity, %error, "engine link: a request cannot be read");
                let field = FieldError { pointer: String::new(), code: "malformed".into(), detail: error.to_string() };
                Failure::Refused(Refusal::Invalid(vec![field]))
            }
            Ok(_) | Err(_) => break (CloseCode::Protocol, format!("{:?} on a request stream", header.kind)),
        };
        outbox.refuse(header.id, header.trace, refusal);
    };
    outbox.cancel_all();
    outbox.end();
    if code != CloseCode::Done {
        tracing::warn!(identity = %link.identity, reason, "engine link: closed");
        code.close(&link.connection, &reason);
    }
}

/// Why a request does not reach the service.
fn refusal(link: &Link, request: &Request) -> Option<Failure> {
    if !link.identity.may(request) {
        tracing::warn!(identity = %link.identity, op = ?std::mem::discriminant(&request.op), "engine link: forbidden");
        Some(Failure::Refused(Refusal::Forbidden))
    } else if link.state.leaving.get() {
        Some(Failure::ShuttingDown)
    } else if link.in_flight.get() >= REQUESTS_IN_FLIGHT_MAX {
        Some(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS })
    } else {
        None
    }
}

/// Writes answers, as many at a time as have gathered. Ends when all are written and none can come, or when nobody reads them.
async fn answers<S: Service>(mut say: SendStream, outbox: Rc<Outbox<S>>) {
    let mut gone = pin!(say.stopped());
    loop {
        let next = future::or(outbox.gathered(), async {
            let _ = gone.as_mut().await; // the client wants no more, or the connection is lost
            None
        });
        let Some((frames, requests)) = next.await else { break };
        let written = say.write_chunk(Bytes::from(frames)).await;
        outbox.handed_over(requests);
        if written.is_err() {
            break;
        }
    }
    outbox.abandon();
    let _ = say.finish(); // fails only if the client stopped the stream
}

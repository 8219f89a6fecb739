//! A shard's end of the link.
//!
//! Path: [`Server::serve`] accepts → `connection`: who is it, hello, welcome → a `requests` task a stream reads frames → a task a request
//! runs the handler → a queue a stream → `answers` writes what has gathered, in one go. Read first: `requests`.
//! Bounds: [`CONNECTIONS_MAX`], [`HANDSHAKES_MAX`], [`REQUESTS_IN_FLIGHT_MAX`], [`ANSWERS_QUEUED_MAX`].
//!
//! Everything lives on one thread and on any executor: the caller says how to spawn, handlers need not be `Send`, and no clock is
//! read. When a client is gone, or takes a request back, the handler's future is dropped at its next await: what a handler must
//! carry through, it hands to somebody else before it waits.

use super::{
    Arrived, CONNECTIONS_MAX, CloseCode, Frames, HANDSHAKES_MAX, Identity, REQUESTS_IN_FLIGHT_MAX, StreamFault, WRITE_BYTES_MAX, peer,
};
use crate::frame::{self, EncodeError, Frame, Hello, Kind, RequestId, Side, Welcome};
use crate::{Failure, FieldError, Refusal, Request, Response, ShardId, Topology};
use bytes::Bytes;
use futures_lite::future;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    task::{Poll, Waker},
};

/// A task of this thread.
pub type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// Answers of a stream that wait for their turn. At the bound requests that are done wait, then reading stops.
pub const ANSWERS_QUEUED_MAX: usize = 64;
/// What an overloaded client is told to wait.
const RETRY_AFTER_MS: u32 = 50;
/// Requests of a stream started in one turn of its task, before others of the thread have theirs.
const REQUESTS_A_TURN_MAX: u32 = 64;

/// Serves one endpoint. Made and used on one thread.
pub struct Server {
    state: Rc<State>,
}

/// Stops a [`Server`]; of the same thread. Cheap to clone.
#[derive(Clone)]
pub struct ServerHandle(Rc<State>);

struct State {
    endpoint: Endpoint,
    spawn: Box<dyn Fn(LocalTask)>,
    welcome: Welcome,
    leaving: Cell<bool>,
    connections: Cell<usize>,
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
    /// `handler`, as many at once as there are; its answer goes back when it is there. A handler's future is dropped unfinished
    /// when nobody waits for it any more.
    pub async fn serve<H, F>(self, handler: H)
    where
        H: Fn(Identity, Request) -> F + 'static,
        F: Future<Output = Response> + 'static,
    {
        let (state, handler) = (self.state, Rc::new(handler));
        while let Some(incoming) = state.endpoint.accept().await {
            let handshakes = state.handshakes.get();
            if state.leaving.get() || state.connections.get() >= CONNECTIONS_MAX || handshakes >= HANDSHAKES_MAX {
                incoming.refuse();
            } else if handshakes >= HANDSHAKES_MAX / 4 && !incoming.remote_address_validated() && incoming.may_retry() {
                // Addresses may be forged; whoever has to answer from his own cannot fill all places.
                let _ = incoming.retry(); // fails only where `may_retry` says so
            } else {
                let counted = Counted::new(&state, |state| &state.connections);
                (state.spawn)(Box::pin(connection(counted, incoming, Rc::clone(&handler))));
            }
        }
    }
}

impl ServerHandle {
    /// Begins to leave: clients are told to send no more, new connections are refused, requests that still come are answered
    /// `ShuttingDown`, those under way go on.
    pub fn goaway(&self) {
        self.0.leaving.set(true);
        self.0.changed();
    }

    /// Waits until no client is connected: after [`Self::goaway`] each leaves when it has its answers. A client that hangs keeps
    /// this waiting, so the caller sets a limit by its own clock.
    pub async fn drained(&self) {
        self.0.until(|state| state.connections.get() == 0).await;
    }

    /// Ends all connections, answers under way included, and waits until the peers were told. Then the executor can end.
    pub async fn close(&self) {
        self.0.leaving.set(true);
        self.0.changed();
        self.0.endpoint.close(quinn::VarInt::from_u32(CloseCode::Done as u32), b"the engine stops");
        self.0.endpoint.wait_idle().await;
        self.drained().await;
    }
}

/// What all streams of a connection share.
struct Link {
    state: Rc<State>,
    connection: Connection,
    identity: Identity,
    in_flight: Cell<u32>,
}

/// A request under way, until its answer is handed to QUIC.
struct Permit(Rc<Link>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

async fn connection<H, F>(counted: Counted, incoming: Incoming, handler: Rc<H>)
where
    H: Fn(Identity, Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
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
    let link = Rc::new(Link { state, connection, identity, in_flight: Cell::new(0) });
    let (code, reason) = match greet(&link).await {
        Ok((say, hear)) => future::or(control(&link, say, hear), streams(&link, handler)).await,
        Err(end) => end,
    };
    tracing::debug!(identity = %link.identity, reason, "engine link: ended");
    code.close(&link.connection, &reason);
}

/// How a connection ends.
type End = (CloseCode, String);

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

fn end_of(fault: StreamFault) -> End {
    match fault {
        StreamFault::Lost(error) => (CloseCode::Done, error.to_string()),
        StreamFault::Cut => (CloseCode::Protocol, "a stream ended within a frame".into()),
        StreamFault::Unreadable(error) => (CloseCode::Protocol, error.to_string()),
    }
}

/// Accepts request streams; how many there can be is QUIC's limit.
async fn streams<H, F>(link: &Rc<Link>, handler: Rc<H>) -> End
where
    H: Fn(Identity, Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    loop {
        match link.connection.accept_bi().await {
            Ok((say, hear)) => {
                let (queue, queued) = flume::bounded(ANSWERS_QUEUED_MAX);
                let waited = Waited::default();
                (link.state.spawn)(Box::pin(answers(say, queued, Rc::clone(&waited))));
                (link.state.spawn)(Box::pin(requests(Rc::clone(link), hear, queue, waited, Rc::clone(&handler))));
            }
            Err(error) => return (CloseCode::Done, error.to_string()),
        }
    }
}

/// Requests of a stream under way. Dropping an entry drops the handler's future.
type Waited = Rc<RefCell<HashMap<RequestId, oneshot::Sender<()>>>>;

/// An answer on its way out, and the place it takes until then.
struct Answer {
    bytes: Bytes,
    _permit: Option<Permit>,
}

async fn requests<H, F>(link: Rc<Link>, hear: RecvStream, queue: flume::Sender<Answer>, waited: Waited, handler: Rc<H>)
where
    H: Fn(Identity, Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let mut frames = Frames::new(hear, Side::Server);
    let mut turn = 0;
    let (code, reason) = loop {
        let Arrived { header, frame } = match frames.next().await {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return, // answers still go out; `answers` clears up
            Err(fault) => break end_of(fault),
        };
        let refusal = match frame {
            Ok(Frame::Request { id, request }) => match refusal(&link, &request) {
                Some(failure) => failure,
                None => {
                    let (cancel, cancelled) = oneshot::async_channel();
                    if waited.borrow_mut().insert(id, cancel).is_some() {
                        break (CloseCode::Protocol, format!("request id {} is under way already", id.0));
                    }
                    link.in_flight.set(link.in_flight.get() + 1);
                    let (permit, queue, waited) = (Permit(Rc::clone(&link)), queue.clone(), Rc::clone(&waited));
                    let (trace, answer) = (request.trace, handler(link.identity.clone(), *request));
                    (link.state.spawn)(Box::pin(async move {
                        let cancelled = async {
                            let _ = cancelled.await; // nothing is ever sent: it ends when the sender is dropped
                            None
                        };
                        let answer = future::or(async { Some(answer.await) }, cancelled).await;
                        waited.borrow_mut().remove(&id);
                        if let Some(response) = answer {
                            let bytes = encode(id, trace, &response);
                            let _ = queue.send_async(Answer { bytes, _permit: Some(permit) }).await; // the client is gone: nobody to tell
                        }
                    }));
                    turn += 1;
                    if turn % REQUESTS_A_TURN_MAX == 0 {
                        future::yield_now().await;
                    }
                    continue;
                }
            },
            Ok(Frame::Cancel { id }) => {
                waited.borrow_mut().remove(&id); // or it is answered already
                continue;
            }
            Err(error) if header.kind == Kind::Request => {
                tracing::warn!(identity = %link.identity, %error, "engine link: a request cannot be read");
                let field = FieldError { pointer: String::new(), code: "malformed".into(), detail: error.to_string() };
                Failure::Refused(Refusal::Invalid(vec![field]))
            }
            Ok(_) | Err(_) => break (CloseCode::Protocol, format!("{:?} on a request stream", header.kind)),
        };
        let response = Response { positions: Vec::new(), replayed: false, result: Err(refusal) };
        let bytes = encode(header.id, header.trace, &response);
        // A client that does not take its refusals is read no further.
        if queue.send_async(Answer { bytes, _permit: None }).await.is_err() {
            break (CloseCode::Done, "the client takes no more answers".into());
        }
    };
    waited.borrow_mut().clear();
    if code != CloseCode::Done {
        tracing::warn!(identity = %link.identity, reason, "engine link: closed");
        code.close(&link.connection, &reason);
    }
}

/// Why a request does not reach the handler.
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

fn encode(id: RequestId, trace: u128, response: &Response) -> Bytes {
    let mut bytes = Vec::new();
    if let Err(error) = frame::encode_response(id, trace, response, &mut bytes) {
        tracing::error!(%error, trace = format_args!("{trace:032x}"), "engine link: an answer cannot be sent");
        let failure = match error {
            EncodeError::TooLong { max, .. } => {
                Failure::Refused(Refusal::LimitReached { what: "bytes of an answer".into(), max: max as u64 })
            }
            EncodeError::Archive { .. } => Failure::Internal,
        };
        let response = Response { positions: response.positions.clone(), replayed: response.replayed, result: Err(failure) };
        bytes.clear();
        // Positions alone can only be too many by the engine's own fault; then the client's patience ends the call.
        let _ = frame::encode_response(id, trace, &response, &mut bytes);
    }
    bytes.into()
}

/// Writes answers, as many at a time as have gathered. Ends when all are written and none can come, or when nobody reads them.
async fn answers(mut say: SendStream, queued: flume::Receiver<Answer>, waited: Waited) {
    let mut gone = pin!(say.stopped());
    loop {
        let next = future::or(async { queued.recv_async().await.ok() }, async {
            let _ = gone.as_mut().await; // the client wants no more, or the connection is lost
            None
        });
        let Some(first) = next.await else { break };
        let (mut len, mut batch, mut permits) = (first.bytes.len(), vec![first.bytes], vec![first._permit]);
        while len < WRITE_BYTES_MAX
            && let Ok(next) = queued.try_recv()
        {
            len += next.bytes.len();
            batch.push(next.bytes);
            permits.push(next._permit);
        }
        if say.write_all_chunks(&mut batch).await.is_err() {
            break;
        }
    }
    // Nobody waits for what is still under way.
    waited.borrow_mut().clear();
    let _ = say.finish(); // fails only if the client stopped the stream
}

//! A shard's way to a shard of another node: what replication says goes there, one way, in two lanes.
//!
//! Path: [`NodeLink::send`] → the lane's queue → `write`, which takes what has gathered → a stream of its own → the other node's server →
//! [`Service::node`](super::Service::node). Read first: [`NodeLink`], then `keep`, its only task: connects, greets, opens both streams, writes, and begins again.
//! Bounds: [`NODE_QUEUE_BYTES_MAX`], [`NODE_QUEUE_MAX`], [`NODE_URGENT_QUEUE_BYTES_MAX`], [`NODE_CONNECT_MAX`], [`BACKOFF_MAX`].
//!
//! Of one thread, on any executor: the caller gives the socket, says how to spawn and how to sleep, and no clock is read.
//! Deliberately absent: answers, and sending anything again. What waits while there is no connection is dropped: by the time there is one, replication has
//! something newer to say.

use super::{
    Arrived, CloseCode, Frames, Identity, WRITE_BYTES_MAX,
    client::{BACKOFF_MAX, BACKOFF_MIN},
    greeting::{Greeted, Opening},
    server::{End, LocalTask, end_of},
};
use crate::frame::{Frame, HEADER_BYTES, Lane, NODE_BYTES_MAX, NODE_URGENT_BYTES_MAX, node_header};
use crate::{CallError, ShardId};
use bytes::Bytes;
use futures_lite::future;
use quinn::{ClientConfig, Connection, Endpoint, SendStream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

/// Bytes of bulk that wait to be written. Past it the oldest are dropped.
pub const NODE_QUEUE_BYTES_MAX: usize = 32 << 20;
/// Bodies that wait in a lane. Past it the oldest are dropped.
pub const NODE_QUEUE_MAX: usize = 4_096;
/// Urgent bytes that wait to be written. They go before all else, so only a connection that is dead makes so many; past it the oldest, which
/// the newer have overtaken, are dropped.
pub const NODE_URGENT_QUEUE_BYTES_MAX: usize = 8 << 20;
const _: () = assert!(NODE_QUEUE_BYTES_MAX >= NODE_BYTES_MAX && NODE_URGENT_QUEUE_BYTES_MAX >= NODE_URGENT_BYTES_MAX, "any one body fits");
/// How long connecting may take, greeting included.
pub const NODE_CONNECT_MAX: Duration = Duration::from_secs(2);
/// Bodies up to this length are copied together behind their headers; longer ones are handed to QUIC where they are.
const COPIED_BYTES_MAX: usize = 4_096;

/// The shard at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePeer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its number.
    pub shard: ShardId,
    /// Whom its certificate has to name: an address may have been given to another node meanwhile, and what was meant for one must not reach the other.
    pub identity: Identity,
}

/// What became of bodies, counted since the link was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Given to QUIC.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Dropped since there was no connection, or it was lost before their turn.
    pub unconnected: u64,
    /// Dropped from a full urgent queue.
    pub urgent_overflow: u64,
    /// Dropped from a full bulk queue.
    pub bulk_overflow: u64,
    /// Empty, or longer than [`NODE_BYTES_MAX`]: not taken. A fault of the caller's.
    pub unfit: u64,
}

/// A link to a shard of another node. It keeps itself connected until it is closed or dropped.
pub struct NodeLink {
    state: Rc<State>,
}

impl NodeLink {
    /// Begins to connect, from a socket that others may use too: the one that the shard listens on ([`super::ServerHandle::endpoint`]). `config` from
    /// [`super::node_config`]. `spawn` starts a task on this thread and lets it run; `sleep` gives a future that ends after so long. The task holds on to the
    /// endpoint, so links are to be dropped before it is closed.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        config: ClientConfig,
        peer: NodePeer,
        spawn: impl FnOnce(LocalTask),
        sleep: impl Fn(Duration) -> LocalTask + 'static,
    ) -> Self {
        let state = Rc::new(State {
            endpoint,
            config,
            peer,
            sleep: Box::new(sleep),
            up: Cell::new(false),
            told: Cell::new(Told::Nothing),
            keeper: Cell::new(None),
            urgent: Queue::new(NODE_URGENT_QUEUE_BYTES_MAX),
            bulk: Queue::new(NODE_QUEUE_BYTES_MAX),
            counts: Cell::default(),
        });
        spawn(Box::pin(keep(Rc::clone(&state))));
        Self { state }
    }

    /// Queues `body`, to be written when the executor comes to it, together with what is queued until then. What the urgent lane may not have (more than
    /// [`NODE_URGENT_BYTES_MAX`]) goes by the other. Never waits and never fails: what cannot be sent is dropped and counted (see [`NodeCounts`]). No copy
    /// beyond 4 KiB.
    pub fn send(&self, lane: Lane, body: Vec<u8>) {
        let state = &*self.state;
        if body.is_empty() || body.len() > NODE_BYTES_MAX {
            tracing::error!(peer = %state.peer.identity, bytes = body.len(), max = NODE_BYTES_MAX, "engine link: not to be said to a node");
            return state.count(|counts| counts.unfit += 1);
        }
        if !state.up.get() {
            return state.count(|counts| counts.unconnected += 1);
        }
        match lane {
            Lane::Urgent if body.len() <= NODE_URGENT_BYTES_MAX => {
                let dropped = state.urgent.put(body);
                state.count(|counts| counts.urgent_overflow += dropped);
            }
            Lane::Urgent | Lane::Bulk => {
                let dropped = state.bulk.put(body);
                state.count(|counts| counts.bulk_overflow += dropped);
            }
        }
    }

    /// Whether there is a connection, as far as is known: a peer that vanished without a word is missed after [`super::WATCHFUL_IDLE_MS_MAX`].
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state.up.get()
    }

    /// The peer was heard of, so it is there. If the link waits before it tries again it tries at once; once for each time that the connection is lost, so that a
    /// peer that can be heard and not be reached is not called all the time. To be called for each body that comes from that node; costs nothing.
    pub fn wake(&self) {
        self.state.tell(Told::Wake);
    }

    /// The peer has started anew. A connection to it as it was before is worth nothing, though QUIC would need a while to notice: gives up what there is,
    /// and connects at once.
    pub fn renew(&self) {
        self.state.tell(Told::Renew);
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &NodePeer {
        &self.state.peer
    }

    /// What became of what was sent.
    #[must_use]
    pub fn counts(&self) -> NodeCounts {
        self.state.counts.get()
    }

    /// Ends the link for good; what is queued is dropped. The peer is told as soon as the executor comes to it.
    pub fn close(&self) {
        self.state.tell(Told::Close);
    }
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        self.close();
    }
}

struct State {
    endpoint: Endpoint,
    config: ClientConfig,
    peer: NodePeer,
    sleep: Box<dyn Fn(Duration) -> LocalTask>,
    up: Cell<bool>,
    told: Cell<Told>,
    /// Wakes `keep` when it is told something.
    keeper: Cell<Option<Waker>>,
    urgent: Queue,
    bulk: Queue,
    counts: Cell<NodeCounts>,
}

/// What the owner of a link tells its task. The later outdoes the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Wake,
    Renew,
    Close,
}

impl State {
    fn count(&self, change: impl FnOnce(&mut NodeCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    fn tell(&self, told: Told) {
        if told > self.told.get() {
            self.told.set(told);
            if let Some(keeper) = self.keeper.take() {
                keeper.wake();
            }
        }
    }

    /// Waits until it is told this or more.
    async fn until_told(&self, least: Told) {
        future::poll_fn(|cx| {
            if self.told.get() >= least {
                return Poll::Ready(());
            }
            self.keeper.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// `None` once it is told this or more, before `what` is done.
    async fn unless_told<T>(&self, least: Told, what: impl Future<Output = T>) -> Option<T> {
        let told = async {
            self.until_told(least).await;
            None
        };
        future::or(told, async { Some(what.await) }).await
    }

    const fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }
}

/// Keeps the link connected until it is closed.
async fn keep(state: Rc<State>) {
    let NodePeer { address, shard, identity } = &state.peer;
    let mut pause = BACKOFF_MIN;
    // A wait was cut short by a wake; and the first failure was told, which the next ones only repeat.
    let (mut woken, mut complained) = (false, false);
    loop {
        match state.unless_told(Told::Renew, open(&state)).await {
            Some(Ok(open)) => {
                tracing::info!(%address, shard = shard.0, peer = %identity, "engine link: connected to a node");
                state.up.set(true);
                complained = false;
                let connection = open.connection.clone();
                let lasted = Cell::new(false);
                let end = state.unless_told(Told::Renew, carry(&state, open, &lasted)).await;
                state.up.set(false);
                let (code, why) = end.unwrap_or_else(|| (CloseCode::Done, "given up by this side".into()));
                code.close(&connection, &why);
                let dropped = state.urgent.clear() + state.bulk.clear();
                state.count(|counts| counts.unconnected += dropped);
                tracing::info!(%address, shard = shard.0, peer = %identity, why, dropped, "engine link: no longer connected to a node");
                // One that did not last counts as a failed attempt, or a peer that lets us in only to throw us out is called all the time.
                if lasted.get() {
                    (pause, woken) = (BACKOFF_MIN, false);
                }
            }
            Some(Err(error)) if !complained => {
                tracing::warn!(%address, shard = shard.0, peer = %identity, %error, "engine link: no connection to a node");
                complained = true;
            }
            Some(Err(error)) => {
                tracing::debug!(%address, shard = shard.0, peer = %identity, %error, "engine link: no connection to a node");
            }
            None => {}
        }
        // What it was told during an attempt or a connection is about those.
        match state.told.replace(Told::Nothing) {
            Told::Close => return,
            Told::Renew => {
                (pause, woken) = (BACKOFF_MIN, false);
                continue;
            }
            Told::Nothing | Told::Wake => {}
        }
        let least = if woken { Told::Renew } else { Told::Wake };
        let _ = state.unless_told(least, (state.sleep)(pause)).await; // which of them it was is looked at below
        match state.told.replace(Told::Nothing) {
            Told::Close => return,
            Told::Renew => (pause, woken) = (BACKOFF_MIN, false),
            Told::Wake => (pause, woken) = ((pause * 2).min(BACKOFF_MAX), true),
            Told::Nothing => pause = (pause * 2).min(BACKOFF_MAX),
        }
    }
}

/// A connection with its streams.
struct Opened {
    connection: Connection,
    control: (SendStream, Frames),
    urgent: SendStream,
    bulk: SendStream,
}

async fn open(state: &State) -> Result<Opened, CallError> {
    let late = async {
        (state.sleep)(NODE_CONNECT_MAX).await;
        let (NodePeer { address, .. }, ms) = (&state.peer, NODE_CONNECT_MAX.as_millis());
        Err(CallError::Unreachable(format!(
            "{address} did not answer in {ms} ms, or allows us no node streams: is our certificate an engine's?"
        )))
    };
    future::or(opening(state), late).await
}

async fn opening(state: &State) -> Result<Opened, CallError> {
    let NodePeer { address, shard, identity } = &state.peer;
    let config = Some(state.config.clone());
    let opening = Opening { endpoint: &state.endpoint, address: *address, shard: *shard, config, wanted: Some(identity) };
    let Greeted { connection, say, hear, welcome: _ } = opening.open().await?;
    let unreachable = |error: &dyn std::fmt::Display| CallError::Unreachable(format!("{address}: {error}"));
    // A server that takes nothing of nodes, or nothing of us, never allows these.
    let urgent = connection.open_uni().await.map_err(|error| unreachable(&error))?;
    let bulk = connection.open_uni().await.map_err(|error| unreachable(&error))?;
    urgent.set_priority(1).map_err(|error| unreachable(&error))?;
    bulk.set_priority(-1).map_err(|error| unreachable(&error))?;
    Ok(Opened { connection, control: (say, hear), urgent, bulk })
}

/// Writes both lanes until the connection ends; says how, and whether it has lasted.
async fn carry(state: &State, opened: Opened, lasted: &Cell<bool>) -> End {
    let Opened { connection: _, control: (_open, hear), urgent, bulk } = opened;
    let lasts = async {
        (state.sleep)(BACKOFF_MAX).await;
        lasted.set(true);
        future::pending().await
    };
    let writes = future::or(write(state, Lane::Urgent, urgent), write(state, Lane::Bulk, bulk));
    // What is heard first: it tells why the others end.
    future::or(future::or(hear_all(hear), lasts), writes).await
}

/// The control stream: says when the connection ends.
async fn hear_all(mut hear: Frames) -> End {
    loop {
        match hear.next().await {
            // About requests. A node that leaves needs what we say to the last.
            Ok(Some(Arrived { frame: Ok(Frame::GoAway), .. })) => {}
            Ok(Some(arrived)) => return (CloseCode::Protocol, format!("{:?} on the control stream", arrived.header.kind)),
            Ok(None) => return (CloseCode::Done, "the peer is done".into()),
            Err(fault) => return end_of(fault),
        }
    }
}

/// Writes what gathers in a lane, until it cannot.
async fn write(state: &State, lane: Lane, mut say: SendStream) -> End {
    loop {
        let bodies = state.queue(lane).gathered().await;
        let (count, bytes) = (bodies.len() as u64, bodies.iter().map(|body| body.len() as u64).sum::<u64>());
        if let Err(error) = say.write_all_chunks(&mut framed(lane, bodies)).await {
            state.count(|counts| counts.unconnected += count);
            return (CloseCode::Done, error.to_string());
        }
        state.count(|counts| {
            counts.sent += count;
            counts.sent_bytes += bytes;
        });
    }
}

/// Frames of these bodies, one behind the other: short ones together, long ones where they are.
fn framed(lane: Lane, bodies: Vec<Vec<u8>>) -> Vec<Bytes> {
    let (mut chunks, mut copied) = (Vec::new(), Vec::<u8>::new());
    for body in bodies {
        let head: [u8; HEADER_BYTES] = node_header(lane, body.len()).expect("held against the bounds when it was queued");
        copied.extend_from_slice(&head);
        if body.len() <= COPIED_BYTES_MAX {
            copied.extend_from_slice(&body);
        } else {
            chunks.push(std::mem::take(&mut copied).into());
            chunks.push(body.into());
        }
    }
    if !copied.is_empty() {
        chunks.push(copied.into());
    }
    chunks
}

/// Bodies of a lane that wait to be written, oldest first.
struct Queue {
    bytes_max: usize,
    bodies: RefCell<VecDeque<Vec<u8>>>,
    bytes: Cell<usize>,
    writer: Cell<Option<Waker>>,
}

impl Queue {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bodies: RefCell::default(), bytes: Cell::new(0), writer: Cell::new(None) }
    }

    /// Takes one, which fits an empty queue, and says how many of the oldest went for it.
    fn put(&self, body: Vec<u8>) -> u64 {
        let mut bodies = self.bodies.borrow_mut();
        let mut dropped = 0;
        while bodies.len() >= NODE_QUEUE_MAX || self.bytes.get() + body.len() > self.bytes_max {
            let Some(oldest) = bodies.pop_front() else { break };
            self.bytes.set(self.bytes.get() - oldest.len());
            dropped += 1;
        }
        self.bytes.set(self.bytes.get() + body.len());
        bodies.push_back(body);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        dropped
    }

    /// Drops all of them, and says how many.
    fn clear(&self) -> u64 {
        self.bytes.set(0);
        self.bodies.take().len() as u64
    }

    /// Waits until there are some and takes up to [`WRITE_BYTES_MAX`] of them, or one that alone has more.
    async fn gathered(&self) -> Vec<Vec<u8>> {
        future::poll_fn(|cx| {
            let mut bodies = self.bodies.borrow_mut();
            if bodies.is_empty() {
                self.writer.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            let (mut taken, mut bytes) = (Vec::new(), 0);
            while let Some(body) = bodies.pop_front_if(|body| bytes == 0 || bytes + body.len() <= WRITE_BYTES_MAX) {
                bytes += body.len();
                taken.push(body);
            }
            self.bytes.set(self.bytes.get() - bytes);
            Poll::Ready(taken)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies of these lengths put into a queue of a hundred bytes, and those that are left in it.
    fn left(lengths: &[usize]) -> (Vec<usize>, u64) {
        let queue = Queue::new(100);
        let dropped = lengths.iter().map(|length| queue.put(vec![0; *length])).sum();
        let left: Vec<usize> = queue.bodies.borrow().iter().map(Vec::len).collect();
        assert_eq!(queue.bytes.get(), left.iter().sum::<usize>());
        (left, dropped)
    }

    #[test] // Each row: lengths put in, those left, and how many were dropped.
    fn a_full_queue_drops_the_oldest() {
        for (put, kept, dropped) in [
            (vec![50, 50], vec![50, 50], 0),
            (vec![50, 50, 1], vec![50, 1], 1),
            (vec![10, 20, 30, 40, 45], vec![40, 45], 3),
            (vec![50, 50, 100], vec![100], 2),
        ] {
            assert_eq!(left(&put), (kept, dropped), "{put:?}");
        }
        let (kept, dropped) = left(&vec![0; NODE_QUEUE_MAX + 3]);
        assert_eq!((kept.len(), dropped), (NODE_QUEUE_MAX, 3));
    }

    #[test] // Each row: lengths that wait, and how many are written at once.
    fn what_has_gathered_is_written_at_once() {
        for (waiting, first) in
            [(vec![1, 2, 3], 3), (vec![WRITE_BYTES_MAX + 1, 1], 1), (vec![1, WRITE_BYTES_MAX], 1), (vec![WRITE_BYTES_MAX / 2; 3], 2)]
        {
            let queue = Queue::new(NODE_QUEUE_BYTES_MAX);
            for length in &waiting {
                assert_eq!(queue.put(vec![0; *length]), 0);
            }
            let taken = future::block_on(queue.gathered());
            assert_eq!(taken.len(), first, "{waiting:?}");
            assert_eq!(queue.bytes.get(), waiting[first..].iter().sum::<usize>());
        }
    }

    #[test]
    fn frames_are_the_same_whether_copied_or_not() {
        let bodies = [vec![1], vec![2; COPIED_BYTES_MAX + 1], vec![3; COPIED_BYTES_MAX], vec![4], vec![5; 100_000]];
        let mut expected = Vec::new();
        for body in &bodies {
            Frame::Node { lane: Lane::Bulk, body: body.clone() }.encode(&mut expected).expect("within bounds");
        }
        let chunks = framed(Lane::Bulk, bodies.to_vec());
        assert_eq!(chunks.concat(), expected);
        assert_eq!(chunks.len(), 4, "heads and short bodies between the long ones are one chunk");
    }
}

//! The loop of one shard: turns around its core, whichever driver runs them.
//!
//! Path of a turn: finished writes, notes from other shards, calls, the timer → [`ShardCore::handle`] for each → outputs once, so that what
//! arrived together shares a write → disk, other shards, callers. Nothing to do: wait for whichever comes first.
//! Bounds per turn: [`TURN_NOTES_MAX`], [`TURN_CALLS_MAX`], and the loop's own time slice; none of the sources can starve another.
//!
//! A driver gives the loop what differs between them, as [`Machine`]: a thread that runs futures, sleep, a disk, and an end of the link.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::{Future, pending},
    io,
    net::SocketAddr,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures_lite::FutureExt;
use hashbrown::HashMap;

use super::{
    Clock, end_process,
    hand::Hand,
    link::{Calls, FromLink, Said, failed},
    nodes::Nodes,
    queue::{Asked, Inbox, Note, Port},
};
use crate::log::{SealedBatch, SegmentPlan};
use crate::shard::{
    CallToken, Input, Now, Output,
    core::{ShardCore, peer::PeerMessage},
    files::FileJob,
};
use wire::{
    Failure, Response, ShardId, Topology,
    quic::{Answer, NodeLink, node_link::NodePeer},
};

/// Notes taken in a turn; the others wait for the next.
const TURN_NOTES_MAX: usize = 64;
/// Calls taken in a turn; the others wait for the next.
const TURN_CALLS_MAX: usize = 256;
/// What other nodes said, taken in a turn; the rest waits for the next.
const TURN_SAID_MAX: usize = 64;
/// Calls taken in a turn although the time slice is over: so a slow turn makes progress.
const TURN_CALLS_MIN: usize = 8;
/// A write under way is looked for again after this part of the time waited for it, so that it is late by an eighth at most: at once as long
/// as that is under [`WRITE_LOOK_MIN`] and the core is the shard's own, else by timer.
const WRITE_LOOKS: u64 = 8;
/// Shortest wait for a write by timer.
const WRITE_LOOK_MIN: Duration = Duration::from_micros(25);
/// Longest wait for a write by timer.
const WRITE_LOOK_MAX: Duration = Duration::from_millis(5);
/// Time slice: how long the loop may go on before finished writes are looked for.
const SLICE_US: u64 = 100;
/// Longest wait, at an orderly end, for clients of the link to take their last answers and leave.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(1);
/// What a client of the link is told to wait when the shard's queue is full.
pub(super) const RETRY_AFTER_MS: u32 = 50;
/// A shard whose messages did not fit another's queue tries again after this long.
const FULL_RETRY: Duration = Duration::from_micros(50);
/// Shortest wait for a timer, so that a timer which is always due does not keep the core busy.
const TICK_US_MIN: u64 = 100;

/// What the loop needs of a driver. Everything is of the thread that the loop runs on.
pub(super) trait Machine {
    /// The way to the disk.
    type Disk: Disk;
    /// A shard's end of the link while it lasts.
    type Link: Link;

    /// Sleeps at least so long.
    fn sleep(after: Duration) -> impl Future<Output = ()>;
    /// Lets the thread's other tasks run, and what waits for the kernel be woken, then goes on.
    fn breathe() -> impl Future<Output = ()>;
}

/// What the loop needs of a disk. A failed write or sync ends the process; only room that cannot be had is reported.
pub(super) trait Disk {
    /// Begins to write the batch durably.
    fn write(&mut self, batch: SealedBatch);
    /// Begins to make a segment.
    fn prepare(&mut self, plan: SegmentPlan);
    /// Begins a job with files beside the log, after those begun before.
    fn files(&mut self, job: FileJob);
    /// What was finished, if anything.
    fn report(&mut self) -> Option<Input>;
    /// Waits for a report that announces itself; it stays for [`Disk::report`].
    fn reported(&self) -> impl Future<Output = ()>;
    /// Whether something is under way that does not announce itself: then somebody has to look whether it is finished.
    fn must_be_looked_at(&self) -> bool;
    /// Whether nothing is on its way.
    fn is_idle(&self) -> bool;
}

/// What the loop needs of its end of the link.
pub(super) trait Link {
    /// Tells clients to send no more.
    fn goaway(&self);
    /// Begins to connect to a shard of another node, from the socket it listens on, and stays connected to it.
    fn link(&self, config: quinn::ClientConfig, peer: NodePeer) -> NodeLink;
    /// Takes leave of all clients, gives them `patience` to get their answers, then closes. Afterwards the port is free.
    fn leave(self, patience: Duration) -> impl Future<Output = ()>;
}

/// Where shards and the handle agree that a drain is over. By shard.
#[derive(Debug)]
pub(crate) struct Board {
    shards: Vec<Standing>,
}

/// How one shard stands; written by it at the end of each turn once it drains.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Standing {
    idle: AtomicBool,
    /// Messages for other shards, counted when the core gives them out.
    sent: AtomicU64,
    /// Messages from other shards, counted when the core gets them.
    received: AtomicU64,
}

impl Board {
    pub(crate) fn new(shards: u16) -> Arc<Self> {
        Arc::new(Self { shards: (0..shards).map(|_| Standing::default()).collect() })
    }

    /// `Some(messages)` when every shard is idle and as many messages were received as sent. Twice in a row with the same number: nothing
    /// moves, and nothing is on its way (the four-counter method of Mattern, "Algorithms for distributed termination detection", 1987).
    pub(crate) fn quiet(&self) -> Option<u64> {
        // SeqCst throughout: it is read a few hundred times at shutdown and has to be obvious, not fast.
        let received: u64 = self.shards.iter().map(|shard| shard.received.load(Ordering::SeqCst)).sum();
        let idle = self.shards.iter().all(|shard| shard.idle.load(Ordering::SeqCst));
        let sent: u64 = self.shards.iter().map(|shard| shard.sent.load(Ordering::SeqCst)).sum();
        (idle && sent == received).then_some(sent)
    }
}

/// What a shard's thread is started with.
pub(crate) struct Setup {
    pub(crate) shard: ShardId,
    /// Core to be pinned to.
    pub(crate) cpu: usize,
    /// Whether the configuration names that core.
    pub(crate) cpu_is_named: bool,
    /// Whether another shard has the same core: then an idle one sleeps at once.
    pub(crate) shared_cpu: bool,
    /// The data folder.
    pub(crate) data: PathBuf,
    pub(crate) inbox: Inbox,
    /// Ways to all shards, itself included, in their order.
    pub(crate) ports: Arc<[Port]>,
    pub(crate) board: Arc<Board>,
    /// Where to serve the link, if anywhere, and with which certificates.
    pub(crate) link: Option<(SocketAddr, quinn::ServerConfig)>,
    /// With which certificate it connects to other nodes, in a cluster.
    pub(crate) nodes: Option<quinn::ClientConfig>,
    /// How keys are spread.
    pub(crate) topology: Topology,
    /// Told once, when the shard serves or cannot.
    pub(crate) serving: mpsc::Sender<Result<(), NotServing>>,
}

/// Why a shard whose core is made cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotServing {
    /// Its port for the link cannot be had.
    #[error("it cannot listen")]
    Listen(#[source] io::Error),
    /// What its disk or its loop run on cannot be had.
    #[error("it cannot have {what}")]
    Lacks {
        /// A thread, a ring.
        what: &'static str,
        #[source]
        cause: io::Error,
    },
}

/// A panic in a shard is a fault of ours: its partitions would be gone and the others would wait for it.
pub(super) struct EndOnPanic(pub(super) ShardId);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end_process(&format!("shard {} met a fault of the engine itself (see the panic above)", self.0.0));
        }
    }
}

impl Setup {
    /// The way of what comes by the link into the loop: its end for a service, and the one for [`Shard::new`].
    pub(super) fn calls(&self) -> (Calls, Incoming) {
        let (queue, said) = (Hand::new(), Hand::new());
        let port = self.ports[usize::from(self.shard.0)].clone();
        let calls = Calls { queue: Rc::clone(&queue), said: Rc::clone(&said), port, room: Rc::default() };
        (calls, Incoming { calls: queue, said })
    }
}

/// What comes by the link.
pub(super) struct Incoming {
    calls: Rc<Hand<FromLink>>,
    said: Rc<Hand<Said>>,
}

/// Turns that did something, counted by the loop.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Rc<Cell<u64>>);

impl Activity {
    fn note(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.get()
    }
}

/// The loop's own things.
pub(super) struct Shard<M: Machine> {
    core: ShardCore,
    clock: Clock,
    disk: M::Disk,
    /// The core is this shard's own.
    spins: bool,
    /// Since when there is nothing to do but wait for a write.
    asleep_us: Option<u64>,
    inbox: Inbox,
    from_link: Incoming,
    nodes: Nodes,
    shards: u16,
    replies: HashMap<CallToken, Caller, foldhash::fast::RandomState>,
    peers: Peers,
    standing: Reporting,
    /// The link's end, if this shard listens.
    server: Option<M::Link>,
    stopping: bool,
    /// Taken off the queue while waiting; first in the next turn.
    early_call: Option<Asked>,
    early_note: Option<Note>,
    activity: Activity,
}

impl<M: Machine> Shard<M> {
    pub(super) fn new(
        core: ShardCore,
        clock: Clock,
        setup: Setup,
        disk: M::Disk,
        (server, from_link): (Option<M::Link>, Incoming),
        activity: Activity,
    ) -> Self {
        Self {
            core,
            clock,
            disk,
            spins: !setup.shared_cpu,
            asleep_us: None,
            inbox: setup.inbox,
            from_link,
            nodes: Nodes::new(setup.nodes),
            shards: setup.topology.shards,
            replies: HashMap::default(),
            peers: Peers::new(setup.shard, setup.ports),
            standing: Reporting { board: setup.board, shard: setup.shard, draining: false, received: 0 },
            server,
            stopping: false,
            early_call: None,
            early_note: None,
            activity,
        }
    }

    /// Turns until it is told to stop and nothing is on its way to the disk; after a drain, until all that was logged is in files too.
    pub(super) async fn run(mut self) {
        // What the core has to say from the start: effects that are left, its first segment.
        self.perform();
        loop {
            let worked = self.turn();
            if worked {
                self.activity.note();
            }
            // After a drain what was logged last is also to be where it belongs: events in files, the log's end marked.
            if self.stopping && self.disk.is_idle() && (!self.standing.draining || self.core.is_settled()) {
                break;
            }
            if worked {
                self.asleep_us = None;
                M::breathe().await;
            } else {
                self.wait().await;
            }
        }
        // Whoever still waits here or over the link is told that nothing comes. The core has their calls, so their commands may be in the log.
        for (_, caller) in self.replies.drain() {
            match caller {
                Caller::Within(reply) => drop(reply),
                Caller::Link(answer) => answer.send(&failed(Failure::Interrupted)),
            }
        }
        // Nobody has seen these.
        while let Some(asked) = self.from_link.calls.try_take() {
            if let FromLink::Call { answer, .. } = asked {
                answer.send(&failed(Failure::ShuttingDown));
            }
        }
        self.nodes.leave();
        if let Some(server) = self.server.take() {
            let patience = if self.standing.draining { LEAVE_WAIT_MAX } else { Duration::ZERO };
            server.leave(patience).await;
        }
    }

    /// Takes what is there, within bounds. False when there was nothing.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        self.peers.flush();
        self.standing.busy();
        let mut worked = false;
        while let Some(report) = self.disk.report() {
            self.core.handle(now, report);
            worked = true;
        }
        for _ in 0..TURN_NOTES_MAX {
            let Some(note) = self.early_note.take().or_else(|| self.inbox.notes.try_recv().ok()) else { break };
            self.note(now, note);
            worked = true;
        }
        worked |= self.take_said(now);
        // While another shard's queue is full no work is taken on that would add to it.
        if !self.peers.are_behind() && !self.stopping {
            for taken in 0..TURN_CALLS_MAX {
                if taken >= TURN_CALLS_MIN && taken % TURN_CALLS_MIN == 0 && self.clock.now().mono_us >= now.mono_us + SLICE_US {
                    break;
                }
                let Some(asked) = self.early_call.take().or_else(|| self.inbox.calls.try_recv().ok()) else { break };
                worked = true;
                // The caller gave up while its call was in the queue.
                if asked.reply.is_closed() {
                    continue;
                }
                self.replies.insert(asked.token, Caller::Within(asked.reply));
                self.core.handle(now, Input::Call { token: asked.token, request: asked.request });
            }
            for taken in 0..TURN_CALLS_MAX {
                if taken >= TURN_CALLS_MIN && taken % TURN_CALLS_MIN == 0 && self.clock.now().mono_us >= now.mono_us + SLICE_US {
                    break;
                }
                let Some(asked) = self.from_link.calls.try_take() else { break };
                worked = true;
                match asked {
                    FromLink::Call { token, request, answer } => {
                        self.replies.insert(token, Caller::Link(answer));
                        self.core.handle(now, Input::Call { token, request });
                    }
                    FromLink::Cancel(token) => self.cancel(now, token),
                }
            }
        }
        // A tick alone is no reason for another turn at once: a timer that is always due comes every `TICK_US_MIN`.
        if self.core.next_wake().is_some_and(|due| due <= now.mono_us) {
            self.core.handle(now, Input::Tick);
        }
        worked |= self.perform();
        let quiet = self.core.is_idle()
            && self.replies.is_empty()
            && !self.peers.are_behind()
            && self.inbox.calls.is_empty()
            && self.from_link.calls.len() == 0;
        self.standing.end_of_turn(quiet, self.peers.sent);
        worked
    }

    /// Hears other nodes, within bounds, whatever else is to be done. What is for partitions of another shard goes there: the sender knew of another number of
    /// shards. False when there was nothing.
    fn take_said(&mut self, now: Now) -> bool {
        if let Some(links) = self.nodes.look(now, self.standing.shard, self.server.as_ref()) {
            self.core.handle(now, Input::Links(links));
        }
        let mut worked = false;
        for _ in 0..TURN_SAID_MAX {
            let Some(said) = self.from_link.said.try_take() else { break };
            worked = true;
            let Some((from, batch)) = self.nodes.hear(&said) else { continue };
            if batch.is_for(self.standing.shard, self.shards) {
                self.core.handle(now, Input::Node { from, batch });
                continue;
            }
            for (shard, batch) in batch.by_shard(self.shards) {
                if shard == self.standing.shard {
                    self.core.handle(now, Input::Node { from, batch });
                } else {
                    self.peers.forward(shard, Note::Node { from, batch });
                }
            }
        }
        worked
    }

    fn note(&mut self, now: Now, note: Note) {
        match note {
            Note::Node { from, batch } => self.core.handle(now, Input::Node { from, batch }),
            Note::Peer { from, messages } => {
                self.standing.received += messages.len() as u64;
                for message in messages {
                    self.core.handle(now, Input::Peer { from, message });
                }
            }
            Note::Cancel(token) => self.cancel(now, token),
            Note::Drain => {
                self.standing.draining = true;
                if let Some(server) = &self.server {
                    server.goaway();
                }
                self.core.handle(now, Input::Drain);
            }
            Note::Stop => {
                self.stopping = true;
                if self.standing.draining {
                    self.core.handle(now, Input::Close);
                }
            }
        }
    }

    fn cancel(&mut self, now: Now, token: CallToken) {
        // Not there: it is answered already, or its call is still in the queue and falls out when its turn comes.
        if self.replies.remove(&token).is_some() {
            self.core.handle(now, Input::Cancel(token));
        }
    }

    /// Carries out what the core wants. False when it wants nothing.
    fn perform(&mut self) -> bool {
        let mut worked = false;
        while let Some(output) = self.core.poll_output() {
            worked = true;
            match output {
                // An end like a crash: nothing new goes to the disk, and its callers are told that the engine ends.
                Output::Write(_) | Output::Prepare(_) | Output::Files(_) if self.stopping && !self.standing.draining => {}
                Output::Write(batch) => self.disk.write(batch),
                Output::Prepare(plan) => self.disk.prepare(plan),
                Output::Files(job) => self.disk.files(job),
                Output::Reply { token, response } => match self.replies.remove(&token) {
                    Some(Caller::Within(reply)) => drop(reply.send(response)),
                    Some(Caller::Link(answer)) => answer.send(&response),
                    // Nobody waits any more: the caller is gone.
                    None => {}
                },
                Output::Peer { to, message } => self.peers.put(to, message),
                // An end like a crash: nobody is told of what goes to no disk.
                Output::Node { .. } if self.stopping && !self.standing.draining => {}
                Output::Node { to, batch } => self.nodes.say(to, batch, self.server.as_ref()),
                Output::Peers(peers) => self.nodes.are(peers),
            }
        }
        self.peers.flush();
        worked
    }

    /// Sleeps until something happens. What it takes off a queue is first in the next turn.
    async fn wait(&mut self) {
        let now = self.clock.now();
        let write = self.disk.must_be_looked_at().then(|| {
            let waited = now.mono_us.saturating_sub(*self.asleep_us.get_or_insert(now.mono_us));
            Duration::from_micros(waited / WRITE_LOOKS).clamp(WRITE_LOOK_MIN, WRITE_LOOK_MAX)
        });
        if let Some(look) = write
            && self.spins
            && look == WRITE_LOOK_MIN
        {
            return M::breathe().await;
        }
        let due = self.core.next_wake().map(|due| Duration::from_micros(due.saturating_sub(now.mono_us).max(TICK_US_MIN)));
        let (timer, takes_calls) = match (due, self.peers.are_behind()) {
            (due, true) => (Some(due.map_or(FULL_RETRY, |due| due.min(FULL_RETRY))), false),
            (due, false) => (due, !self.stopping),
        };
        let timer = timer.into_iter().chain(write).min();
        let time = async {
            match timer {
                Some(after) => M::sleep(after).await,
                None => pending().await,
            }
            Woken::Other
        };
        let call = async {
            match self.inbox.calls.recv_async().await {
                Ok(asked) => Woken::Call(asked),
                Err(flume::RecvError::Disconnected) => pending().await,
            }
        };
        let note = async {
            match self.inbox.notes.recv_async().await {
                Ok(note) => Woken::Note(note),
                Err(flume::RecvError::Disconnected) => pending().await,
            }
        };
        let disk = async {
            self.disk.reported().await;
            Woken::Other
        };
        let link = async {
            self.from_link.calls.filled().await;
            Woken::Other
        };
        let said = async {
            self.from_link.said.filled().await;
            Woken::Other
        };
        let woken =
            if takes_calls { disk.or(note).or(said).or(call).or(link).or(time).await } else { disk.or(note).or(said).or(time).await };
        match woken {
            Woken::Call(asked) => self.early_call = Some(asked),
            Woken::Note(note) => self.early_note = Some(note),
            Woken::Other => {}
        }
    }
}

/// Who waits for an answer.
enum Caller {
    /// Somebody in this process.
    Within(oneshot::Sender<Response>),
    /// A client of the link.
    Link(Answer),
}

/// What ended a wait.
#[expect(clippy::large_enum_variant, reason = "moved once for each wake-up; a box would be an allocation")]
enum Woken {
    Call(Asked),
    Note(Note),
    Other,
}

/// Messages to other shards, gathered over a turn.
struct Peers {
    me: ShardId,
    ports: Arc<[Port]>,
    /// For each shard what has not gone yet.
    gathered: Vec<Vec<PeerMessage>>,
    /// For each shard the notes that did not fit its queue, oldest first. Bounded by the calls under way, since none is taken while there is one.
    behind: Vec<VecDeque<Note>>,
    sent: u64,
}

impl Peers {
    fn new(me: ShardId, ports: Arc<[Port]>) -> Self {
        let gathered = ports.iter().map(|_| Vec::new()).collect();
        let behind = ports.iter().map(|_| VecDeque::new()).collect();
        Self { me, ports, gathered, behind, sent: 0 }
    }

    fn put(&mut self, to: ShardId, message: PeerMessage) {
        self.sent += 1;
        self.gathered[usize::from(to.0)].push(message);
    }

    /// Passes on what another node said. It may be lost: where the queue is full, the node says it again.
    fn forward(&self, to: ShardId, note: Note) {
        if let Some(port) = self.ports.get(usize::from(to.0)) {
            let _ = port.try_tell(note);
        }
    }

    /// Some shard's queue was full.
    fn are_behind(&self) -> bool {
        self.behind.iter().any(|notes| !notes.is_empty())
    }

    /// Sends what was gathered, one note for each shard; to a shard whose queue is full later, in order.
    fn flush(&mut self) {
        for ((port, messages), behind) in self.ports.iter().zip(&mut self.gathered).zip(&mut self.behind) {
            if !messages.is_empty() {
                behind.push_back(Note::Peer { from: self.me, messages: std::mem::take(messages) });
            }
            while let Some(note) = behind.pop_front() {
                match port.try_tell(note) {
                    Ok(()) => {}
                    Err(flume::TrySendError::Full(note)) => {
                        behind.push_front(note);
                        break;
                    }
                    // The node is going down: nobody waits for the answer.
                    Err(flume::TrySendError::Disconnected(_)) => {}
                }
            }
        }
    }
}

/// A shard's side of the [`Board`].
struct Reporting {
    board: Arc<Board>,
    shard: ShardId,
    draining: bool,
    received: u64,
}

impl Reporting {
    fn mine(&self) -> &Standing {
        &self.board.shards[usize::from(self.shard.0)]
    }

    /// Before anything is taken: this shard may be about to send.
    fn busy(&self) {
        if self.draining {
            self.mine().idle.store(false, Ordering::SeqCst);
        }
    }

    fn end_of_turn(&self, quiet: bool, sent: u64) {
        if self.draining {
            let mine = self.mine();
            mine.sent.store(sent, Ordering::SeqCst);
            mine.received.store(self.received, Ordering::SeqCst);
            mine.idle.store(quiet, Ordering::SeqCst);
        }
    }
}

//! A network of ours: what nodes and clients send to a node's address comes to us, and we carry it on, late, in another order, or not at all.
//!
//! Path: a datagram at a node's front (the address that everybody was told) → who speaks, by the address it came from: a node's link has one socket, at the address
//! where it listens → [`Network::fate`] → from a socket of its own for each speaker, to where the node really listens; and its answers back the same way.
//! One thread carries everything. Draws come from a seed; which datagram meets which draw is the machine's.
//! Bounds: [`QUEUE_MAX`] datagrams under way, [`FLOWS_MAX`] speakers to each node.

use crate::{
    crashes::random,
    several::{NODES, free},
};
use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    net::SocketAddr,
    ops::Range,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::{Notify, watch},
    task::{AbortHandle, LocalSet, spawn_local},
    time::{Instant, sleep_until},
};

/// Datagrams under way; more are lost, as in a router.
const QUEUE_MAX: usize = 16_384;
/// Speakers to a node; of more the one that was silent longest is forgotten, and its answers are lost.
const FLOWS_MAX: usize = 256;
/// No datagram is longer.
const DATAGRAM_MAX: usize = 65_536;

/// Who speaks, or is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Node(usize),
    /// Gateways, adapters and tools.
    Client,
}

/// How the network is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// From whom nothing comes to whom.
    pub(crate) cuts: Vec<(End, End)>,
    /// So many of a thousand datagrams are lost.
    pub(crate) lost_per_mille: u64,
    /// How long each is under way, drawn for each by itself: so they overtake each other.
    pub(crate) delay_us: Range<u64>,
}

impl Network {
    /// Nothing comes to `node`.
    pub(crate) fn deaf(node: usize) -> Self {
        let others = (0..NODES.len()).filter(|other| *other != node).map(End::Node).chain([End::Client]);
        Self { cuts: others.map(|other| (other, End::Node(node))).collect(), ..Self::default() }
    }

    /// Nothing comes from `node`.
    pub(crate) fn mute(node: usize) -> Self {
        Self { cuts: Self::deaf(node).cuts.into_iter().map(|(from, to)| (to, from)).collect(), ..Self::default() }
    }

    /// How long a datagram is under way; `None` when it does not arrive.
    fn fate(&self, from: End, to: End, draws: &mut u64) -> Option<Duration> {
        if self.cuts.contains(&(from, to)) || random(draws) % 1_000 < self.lost_per_mille {
            return None;
        }
        let Range { start, end } = self.delay_us;
        Some(Duration::from_micros(start + random(draws) % (end - start).max(1)))
    }
}

/// What became of all datagrams.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    carried: AtomicU64,
    lost: AtomicU64,
}

/// Carries until it is dropped.
pub(crate) struct Proxy {
    /// What everybody is told.
    pub(crate) fronts: [SocketAddr; 3],
    /// Where the nodes listen.
    pub(crate) listens: [SocketAddr; 3],
    network: watch::Sender<Network>,
    counts: Arc<Counts>,
}

impl Proxy {
    /// In front of each node, all of it well.
    pub(crate) fn new(seed: u64) -> Self {
        let (fronts, listens) = (NODES.map(|_| free()), NODES.map(|_| free()));
        let sockets = fronts.map(|front| std::net::UdpSocket::bind(front).expect("a free port"));
        let (network, watched) = watch::channel(Network::default());
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, carry(sockets, listens, watched, counted, seed));
        });
        Self { fronts, listens, network, counts }
    }

    /// From here on it is so.
    pub(crate) fn be(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Datagrams that were carried, and those that were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        // Relaxed: figures to look at.
        (self.counts.carried.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }
}

async fn carry(
    sockets: [std::net::UdpSocket; 3],
    listens: [SocketAddr; 3],
    mut network: watch::Receiver<Network>,
    counts: Arc<Counts>,
    seed: u64,
) {
    let post = Rc::new(Post {
        network: network.clone(),
        counts,
        draws: Cell::new(seed),
        number: Cell::new(0),
        queue: RefCell::default(),
        earlier: Notify::new(),
    });
    spawn_local(Rc::clone(&post).deliver());
    for (node, socket) in sockets.into_iter().enumerate() {
        spawn_local(serve(node, Socket::new(socket), listens, Rc::clone(&post)));
    }
    // Until whoever made it is gone; the tasks end with the thread.
    while network.changed().await.is_ok() {}
}

/// A socket to wait at, and the same to send from at once: what the executor has not seen writable yet, it would not try.
#[derive(Clone)]
struct Socket {
    hears: Rc<UdpSocket>,
    says: Rc<std::net::UdpSocket>,
}

impl Socket {
    fn new(socket: std::net::UdpSocket) -> Self {
        socket.set_nonblocking(true).expect("a socket");
        let hears = UdpSocket::from_std(socket.try_clone().expect("a socket")).expect("a socket");
        Self { hears: Rc::new(hears), says: Rc::new(socket) }
    }

    /// The next datagram: its length, and from where.
    async fn hear(&self, datagram: &mut [u8]) -> (usize, SocketAddr) {
        self.hears.recv_from(datagram).await.expect("a datagram")
    }

    /// Sends at once; false when there is no room.
    fn say(&self, bytes: &[u8], to: SocketAddr) -> bool {
        self.says.send_to(bytes, to).is_ok()
    }
}

/// A speaker to a node.
struct Flow {
    /// The node sees it here.
    back: Socket,
    answers: AbortHandle,
    used: Instant,
}

/// What is sent to `node`, and what it answers.
async fn serve(node: usize, front: Socket, listens: [SocketAddr; 3], post: Rc<Post>) {
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let mut datagram = vec![0; DATAGRAM_MAX];
    loop {
        let (len, speaker) = front.hear(&mut datagram).await;
        let from = listens.iter().position(|listen| *listen == speaker).map_or(End::Client, End::Node);
        if !flows.contains_key(&speaker) {
            if flows.len() == FLOWS_MAX {
                let silent = *flows.iter().min_by_key(|(_, flow)| flow.used).expect("many").0;
                flows.remove(&silent).expect("it is there").answers.abort();
            }
            let back = Socket::new(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
            let answers = spawn_local(answer(node, back.clone(), from, speaker, front.clone(), Rc::clone(&post))).abort_handle();
            flows.insert(speaker, Flow { back, answers, used: Instant::now() });
        }
        let flow = flows.get_mut(&speaker).expect("it is there");
        flow.used = Instant::now();
        post.send(from, End::Node(node), &datagram[..len], &flow.back, listens[node]);
    }
}

async fn answer(node: usize, back: Socket, to: End, speaker: SocketAddr, front: Socket, post: Rc<Post>) {
    let mut datagram = vec![0; DATAGRAM_MAX];
    loop {
        let (len, _) = back.hear(&mut datagram).await;
        post.send(End::Node(node), to, &datagram[..len], &front, speaker);
    }
}

/// A datagram under way. Ordered by when it arrives, then by when it was sent.
struct Letter {
    due: (Instant, u64),
    bytes: Vec<u8>,
    by: Socket,
    to: SocketAddr,
}

impl PartialEq for Letter {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Letter {}
impl PartialOrd for Letter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Letter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

struct Post {
    network: watch::Receiver<Network>,
    counts: Arc<Counts>,
    draws: Cell<u64>,
    number: Cell<u64>,
    queue: RefCell<BinaryHeap<Reverse<Letter>>>,
    /// One came that arrives before all others.
    earlier: Notify,
}

impl Post {
    fn send(&self, from: End, to: End, bytes: &[u8], by: &Socket, address: SocketAddr) {
        let mut draws = self.draws.get();
        let fate = self.network.borrow().fate(from, to, &mut draws);
        self.draws.set(draws);
        let mut queue = self.queue.borrow_mut();
        match fate {
            Some(Duration::ZERO) => self.count(by.say(bytes, address)),
            Some(delay) if queue.len() < QUEUE_MAX => {
                let due = (Instant::now() + delay, self.number.get());
                self.number.set(due.1 + 1);
                if queue.peek().is_none_or(|Reverse(first)| due < first.due) {
                    self.earlier.notify_one();
                }
                queue.push(Reverse(Letter { due, bytes: bytes.to_vec(), by: by.clone(), to: address }));
            }
            Some(_) | None => self.count(false),
        }
    }

    async fn deliver(self: Rc<Self>) {
        loop {
            let next = self.queue.borrow().peek().map(|Reverse(letter)| letter.due.0);
            match next {
                Some(due) if due <= Instant::now() => {
                    let Reverse(letter) = self.queue.borrow_mut().pop().expect("it was there");
                    self.count(letter.by.say(&letter.bytes, letter.to));
                }
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.earlier.notified() => {}
                },
                None => self.earlier.notified().await,
            }
        }
    }

    fn count(&self, is_carried: bool) {
        let count = if is_carried { &self.counts.carried } else { &self.counts.lost };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

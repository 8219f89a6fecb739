//! QUIC on a shard's own executor: quinn's runtime over glommio, and the endpoint a shard listens on.
//!
//! Path: datagrams → [`Socket::poll_recv`] (many at once, GRO) → quinn's tasks, spawned here → `wire::quic::Server` → the service →
//! quinn → [`Socket::try_send`] (GSO) → datagrams. Read first: [`listen`], then [`Socket`].
//! Sending and receiving are system calls by quinn-udp, since glommio's socket knows no GSO, GRO and ECN; only waiting for a datagram
//! goes through the ring, by a peek at it. Idle, this costs nothing.
//!
//! quinn wants everything `Send`; what belongs to an executor is not. It sits in a [`Home`], which lets nobody but its own thread touch it.

use crate::shard::drivers::turns;
use glommio::{TaskQueueHandle, timer::Timer};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use send_wrapper::SendWrapper;
use std::{
    cell::RefCell,
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    ops::{Deref, DerefMut},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};
use wire::quic::{NodeLink, Server, ServerHandle, Service, node_link::NodePeer, server::LocalTask};
use wire::{ShardId, Topology};

/// Bytes asked of the kernel for datagrams that wait to be read, and as many for those to be sent; it may give less
/// (`net.core.rmem_max`, `wmem_max`). Past it datagrams are lost and sent again.
const SOCKET_BYTES: usize = 4 << 20;
/// First wait for room in a full socket; doubles with each try that finds none.
const BLOCKED_MIN: Duration = Duration::from_micros(50);
/// How often, at the end, the socket is looked for before it is given up: some 50 ms.
const GONE_LOOKS_MAX: u32 = 1_000;
/// Doublings of [`BLOCKED_MIN`]: 3.2 ms at most.
const BLOCKED_DOUBLINGS_MAX: u32 = 6;

/// Where a shard listens, and for whom.
pub(crate) struct Listen {
    /// The shard's own port.
    pub(crate) address: SocketAddr,
    /// From [`wire::quic::server_config`].
    pub(crate) tls: quinn::ServerConfig,
    /// How keys are spread.
    pub(crate) topology: Topology,
    /// This shard.
    pub(crate) shard: ShardId,
    /// The task queue that all of the link runs in; `None` for the one of the caller.
    pub(crate) queue: Option<TaskQueueHandle>,
}

/// Listens on the calling executor and answers with `service`, until [`leave`]. Returns the address too: port 0 takes any.
///
/// # Errors
/// If the address cannot be had, or the socket not be set up.
pub(crate) fn listen(listen: Listen, service: impl Service) -> io::Result<(Listening, SocketAddr)> {
    let Listen { address, tls, topology, shard, queue } = listen;
    let socket = Arc::new(Socket::new(UdpSocket::bind(address)?)?);
    let gone = Arc::downgrade(&socket);
    let runtime = GlommioRuntime { queue };
    let endpoint = quinn::Endpoint::new_with_abstract_socket(quinn::EndpointConfig::default(), Some(tls), socket, Arc::new(runtime))?;
    let address = endpoint.local_addr()?;
    let server = Server::new(endpoint, topology, shard, move |task| runtime.start(task));
    let handle = server.handle();
    runtime.start(Box::pin(server.serve(service)));
    Ok((Listening { server: handle, socket: gone, runtime }, address))
}

/// A shard's end of the link while it lasts.
pub(crate) struct Listening {
    server: ServerHandle,
    /// Held by quinn's tasks.
    socket: Weak<Socket>,
    runtime: GlommioRuntime,
}

impl turns::Link for Listening {
    fn goaway(&self) {
        self.server.goaway();
    }

    fn link(&self, config: quinn::ClientConfig, peer: NodePeer) -> NodeLink {
        let (runtime, sleep) = (self.runtime, |after| -> LocalTask {
            Box::pin(async move {
                let _ = Timer::new(after).await;
            })
        });
        NodeLink::new(self.server.endpoint(), config, peer, move |task| runtime.start(task), sleep)
    }

    async fn leave(self, patience: Duration) {
        leave(self, patience).await;
    }
}

/// Takes leave of all clients, gives them `patience` to get their answers, then closes. Afterwards the executor can end, and the port is free.
pub(crate) async fn leave(Listening { server, socket, runtime: _ }: Listening, patience: Duration) {
    server.goaway();
    futures_lite::future::or(server.drained(), async {
        Timer::new(patience).await;
        tracing::info!("engine link: clients that did not leave are cut off");
    })
    .await;
    server.close().await;
    drop(server);
    // quinn's driver of the endpoint ends when it runs next, and the socket with it. An executor that ends before leaks both.
    for _ in 0..GONE_LOOKS_MAX {
        if socket.strong_count() == 0 {
            return;
        }
        Timer::new(BLOCKED_MIN).await;
    }
    tracing::warn!("engine link: the socket is still in use; its port stays taken until the process ends");
}

/// A value of one thread in a place that demands `Send` and `Sync`. Touched by another thread it panics; dropped there, it is leaked
/// and reported, because a panic while dropping could end the process, and touching the value would be worse.
struct Home<T>(Option<SendWrapper<T>>);

impl<T> Home<T> {
    fn new(value: T) -> Self {
        Self(Some(SendWrapper::new(value)))
    }
}

impl<T> Deref for Home<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken by drop alone")
    }
}

impl<T> DerefMut for Home<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("taken by drop alone")
    }
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take()
            && !value.valid()
        {
            tracing::error!(what = std::any::type_name::<T>(), "engine link: dropped on another thread, so leaked");
            std::mem::forget(value);
        }
    }
}

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

/// quinn's runtime on the executor of the calling thread; to be used there alone.
#[derive(Clone, Copy, Debug)]
struct GlommioRuntime {
    queue: Option<TaskQueueHandle>,
}

impl GlommioRuntime {
    fn start(self, task: Pin<Box<dyn Future<Output = ()>>>) {
        let Some(queue) = self.queue else {
            glommio::spawn_local(task).detach();
            return;
        };
        match glommio::spawn_local_into(task, queue) {
            Ok(task) => drop(task.detach()),
            Err(error) => panic!("the executor that made task queue {queue:?} does not know it: {error}"),
        }
    }
}

impl Runtime for GlommioRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(ShardTimer::new(at))
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.start(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket)?))
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock; glommio's timers count from now")]
fn now() -> Instant {
    Instant::now()
}

/// A timer that is put off without telling glommio.
///
/// quinn sets a connection's timer anew with nearly every packet, mostly to a later instant: its loss timer falls away with an acknowledgement and leaves the idle
/// timer. In glommio that is a removal from and an insertion into a tree and a map, five per cent of a shard's work under small requests. So a timer under way is
/// left alone unless it would ring too late; when it rings too early it is set for the rest.
#[derive(Debug)]
struct ShardTimer {
    /// When quinn wants it.
    at: Instant,
    /// When it rings.
    rings: Instant,
    timer: Home<Timer>,
    /// Whom glommio wakes then; `None` before the first poll.
    waker: Option<Waker>,
}

impl ShardTimer {
    fn new(at: Instant) -> Self {
        Self { at, rings: at, timer: Home::new(Timer::new(at.saturating_duration_since(now()))), waker: None }
    }
}

impl AsyncTimer for ShardTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.at = at;
        if at < self.rings {
            *self = Self::new(at);
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Each poll of glommio's timer is an insertion too.
            if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) && now() < self.rings {
                return Poll::Pending;
            }
            self.waker = Some(cx.waker().clone());
            ready!(Pin::new(&mut *self.timer).poll(cx));
            if self.at <= self.rings || self.at <= now() {
                return Poll::Ready(());
            }
            *self = Self::new(self.at);
        }
    }
}

/// A UDP socket: the descriptor for quinn-udp's system calls, and a copy of it with glommio to wait on.
struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    readable: Home<RefCell<Readable>>,
    /// Sends in a row that found no room. Relaxed: one thread.
    blocked: AtomicU32,
}

struct Readable {
    socket: Rc<glommio::net::UdpSocket>,
    /// A peek under way. Dropped, it is taken back from the ring.
    peek: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
}

impl Socket {
    fn new(io: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&io).into())?;
        for (set, what) in [
            (state.set_recv_buffer_size((&io).into(), SOCKET_BYTES), "receive"),
            (state.set_send_buffer_size((&io).into(), SOCKET_BYTES), "send"),
        ] {
            if let Err(error) = set {
                tracing::debug!(%error, "engine link: the kernel keeps its own {what} buffer");
            }
        }
        // The copy is socket2's in the version that glommio takes.
        let socket = Rc::new(glommio::net::UdpSocket::from(socket2::Socket::from(io.try_clone()?)));
        let readable = Home::new(RefCell::new(Readable { socket, peek: None }));
        Ok(Self { io, state, readable, blocked: AtomicU32::new(0) })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("io", &self.io).field("blocked", &self.blocked).finish_non_exhaustive()
    }
}

/// What a datagram sent earlier to somebody else brings back (ICMP), or a signal: says nothing about the next one.
fn passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused | Kind::ConnectionReset | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::Interrupted
    )
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: self, waited: 0, timer: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        // `send`, not `try_send`: an unreachable peer or a datagram over the path's size is a lost packet, not the end of all connections.
        let sent = self.state.send((&self.io).into(), transmit);
        match &sent {
            Ok(()) => self.blocked.store(0, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Zero means room, so never back to it by overflow.
                self.blocked.store(self.blocked.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
            }
            Err(_) => {}
        }
        sent
    }

    fn poll_recv(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> Poll<io::Result<usize>> {
        let mut readable = self.readable.borrow_mut();
        loop {
            match self.state.recv((&self.io).into(), bufs, meta) {
                Ok(received) => return Poll::Ready(Ok(received)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if passing(&error) => continue, // reading it took it off the socket
                Err(error) => return Poll::Ready(Err(error)),
            }
            let Readable { socket, peek } = &mut *readable;
            let waiting = peek.get_or_insert_with(|| {
                let socket = Rc::clone(socket);
                Box::pin(async move { socket.peek_from(&mut [0]).await.map(drop).map_err(io::Error::from) })
            });
            let woken = ready!(waiting.as_mut().poll(cx));
            *peek = None;
            match woken {
                Err(error) if !passing(&error) => return Poll::Ready(Err(error)),
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits for room in a full socket, one for each connection.
///
/// By timer, since glommio offers no wait for a descriptor to become writable without writing to it. A UDP socket is full only while
/// datagrams of [`SOCKET_BYTES`] wait for the network card, so the way out is tens of microseconds, and a wait too long costs one pause.
#[derive(Debug)]
struct Writable {
    socket: Arc<Socket>,
    /// [`Socket::blocked`] as it was when this last said to try: if it is the same, nobody has tried since.
    waited: u32,
    timer: Option<Home<Timer>>,
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let blocked = this.socket.blocked.load(Ordering::Relaxed);
        if blocked == 0 || blocked == this.waited {
            (this.waited, this.timer) = (blocked, None);
            return Poll::Ready(Ok(()));
        }
        let pause = BLOCKED_MIN * (1 << (blocked - 1).min(BLOCKED_DOUBLINGS_MAX));
        let timer = this.timer.get_or_insert_with(|| Home::new(Timer::new(pause)));
        ready!(Pin::new(&mut **timer).poll(cx));
        this.timer = None;
        // Read again: others may have tried meanwhile, and theirs was not our turn.
        this.waited = this.socket.blocked.load(Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[path = "quic_tests.rs"]
mod tests;

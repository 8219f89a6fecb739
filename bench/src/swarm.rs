//! Many QUIC connections to a shard on one thread, without a runtime: load that costs little of the machine it shares with what it measures.
//!
//! Path: datagrams, many at once → `quinn-proto` → frames → [`Caller::answered`] → [`Caller::ask`] → a frame into the connection's stream → datagrams, before the next
//! connection has its turn. Read first: [`Swarm::run`], then `serve`. It sleeps when nothing is there, like any client.
//!
//! Why not the client library: with a task for each connection, stream and caller an operation costs it 9 us of CPU, so that on two cores the load is what is measured. This
//! is to the library what a load generator written in C is to a Redis client. `--library` measures with the library.
//! Bounds: [`BATCH`] datagrams a system call; requests under way as many as the caller has lanes. Whatever goes wrong ends the run with an error.

use crate::server::BenchError;
use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ReadError, StreamEvent, StreamId,
    VarInt,
};
use quinn_udp::{RecvMeta, UdpSocketState};
use std::{
    io::{ErrorKind, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};
use wire::{
    frame::{Buffer, Frame, Hello, RawFrame, RequestId, Side},
    quic::Part,
};

/// Datagrams, or bunches of datagrams, read at once.
const BATCH: usize = 32;
/// Room for each of them.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Longest sleep, and how often timers are looked at.
const NAP: Duration = Duration::from_millis(1);
/// Longest that all connections may take to be there, and that the last answers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks. A lane is one request after the other; lanes are numbered over all connections.
pub(crate) trait Caller {
    /// Appends the frame of the lane's next request, under this id; false to ask nothing more.
    fn ask(&mut self, lane: usize, id: RequestId, now: Instant, out: &mut Vec<u8>) -> Result<bool, BenchError>;

    /// Takes the answer to the lane's last request.
    fn answered(&mut self, lane: usize, now: Instant, answer: RawFrame<'_>) -> Result<(), BenchError>;
}

/// One connection.
struct Line {
    connection: Connection,
    handle: ConnectionHandle,
    /// The first stream, for greetings, and the one for requests; there once the handshake is done.
    streams: Option<(StreamId, StreamId)>,
    greetings: Buffer,
    answers: Buffer,
    welcome: bool,
    /// What a full stream did not take.
    unsent: Vec<u8>,
    /// Asked so far by each lane; under way now.
    asked: Vec<u64>,
    under_way: usize,
    deadline: Option<Instant>,
    is_due: bool,
}

/// The connections and their one socket.
pub(crate) struct Swarm {
    socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    lines: Vec<Line>,
    lanes: usize,
    received: Vec<u8>,
    sent: Vec<u8>,
    frames: Vec<u8>,
    due: Vec<usize>,
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
fn now() -> Instant {
    Instant::now()
}

impl Swarm {
    /// Connects so many times, with `lanes` requests under way on each.
    pub(crate) fn connect(address: SocketAddr, config: &ClientConfig, connections: usize, lanes: usize) -> Result<Self, BenchError> {
        let local = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(local).map_err(BenchError::io("bind a UDP socket"))?;
        let state = UdpSocketState::new((&socket).into()).map_err(BenchError::io("set up a UDP socket"))?;
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, !state.may_fragment(), None);
        let line = |endpoint: &mut Endpoint| {
            let opened = endpoint.connect(now(), config.clone(), address, &Part::Engine.dns_name());
            let (handle, connection) = opened.map_err(BenchError::other)?;
            Ok::<_, BenchError>(Line {
                connection,
                handle,
                streams: None,
                greetings: Buffer::new(Side::Client),
                answers: Buffer::new(Side::Client),
                welcome: false,
                unsent: Vec::new(),
                asked: vec![0; lanes],
                under_way: 0,
                deadline: None,
                is_due: false,
            })
        };
        let lines = (0..connections).map(|_| line(&mut endpoint)).collect::<Result<Vec<_>, _>>()?;
        let (received, sent, frames) = (vec![0; BATCH * DATAGRAM_BYTES_MAX], Vec::new(), Vec::new());
        let mut swarm = Self { socket, state, endpoint, lines, lanes, received, sent, frames, due: Vec::new() };
        let mut nobody = Nobody;
        (0..connections).try_for_each(|at| swarm.serve(at, now(), &mut nobody))?;
        swarm.turns(PATIENCE, &mut nobody, |swarm| swarm.lines.iter().all(|line| line.welcome))?;
        if swarm.lines.iter().any(|line| !line.welcome) {
            return Err(BenchError::other(format!("not all of {connections} connections were welcome within {PATIENCE:?}")));
        }
        Ok(swarm)
    }

    /// Has every lane ask, one request after the other, for that long.
    pub(crate) fn run(&mut self, time: Duration, caller: &mut impl Caller) -> Result<(), BenchError> {
        for at in 0..self.lines.len() {
            if self.lines[at].under_way == 0 {
                for lane in 0..self.lanes {
                    self.ask(at, lane, now(), caller)?;
                }
                self.serve(at, now(), caller)?;
            }
        }
        self.turns(time, caller, |_| false)
    }

    /// Waits for the last answers of a caller that asks nothing more, and takes leave.
    pub(crate) fn end(mut self, caller: &mut impl Caller) -> Result<(), BenchError> {
        self.turns(PATIENCE, caller, |swarm| swarm.lines.iter().all(|line| line.under_way == 0))?;
        let missing: usize = self.lines.iter().map(|line| line.under_way).sum();
        for at in 0..self.lines.len() {
            self.lines[at].connection.close(now(), VarInt::from_u32(0), bytes::Bytes::new());
            self.send(at, now())?;
        }
        if missing > 0 { Err(BenchError::other(format!("{missing} requests were not answered within {PATIENCE:?}"))) } else { Ok(()) }
    }

    /// Takes what arrives, until the time is over or `done` says so.
    fn turns(&mut self, time: Duration, caller: &mut impl Caller, done: impl Fn(&Self) -> bool) -> Result<(), BenchError> {
        let begun = now();
        let mut looked = begun;
        while !done(self) {
            let arrived = self.receive()?;
            let at = now();
            if at.duration_since(begun) >= time && arrived == 0 && self.due.is_empty() {
                return Ok(());
            }
            if at.duration_since(looked) >= NAP {
                looked = at;
                let late = |(at_line, line): (usize, &mut Line)| {
                    if line.deadline.is_some_and(|deadline| deadline <= at) {
                        line.connection.handle_timeout(at);
                        mark(&mut line.is_due, &mut self.due, at_line);
                    }
                };
                self.lines.iter_mut().enumerate().for_each(late);
            }
            for line in std::mem::take(&mut self.due) {
                self.lines[line].is_due = false;
                self.serve(line, now(), caller)?;
            }
            if at.duration_since(begun) >= time {
                return Ok(());
            }
            if arrived == 0 {
                self.nap()?;
            }
        }
        Ok(())
    }

    fn nap(&self) -> Result<(), BenchError> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let nap = Timespec::try_from(NAP).map_err(BenchError::other)?;
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&nap)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(BenchError::other(error)),
        }
    }

    /// Hands what is there to the connections it is for, and says how much that was.
    fn receive(&mut self) -> Result<usize, BenchError> {
        let mut metas = [RecvMeta::default(); BATCH];
        let mut rooms = self.received.chunks_exact_mut(DATAGRAM_BYTES_MAX);
        let mut rooms: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| IoSliceMut::new(rooms.next().expect("BATCH of them")));
        let bunches = match self.state.recv((&self.socket).into(), &mut rooms, &mut metas) {
            Ok(bunches) => bunches,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(BenchError::io("receive")(error)),
        };
        let at = now();
        for (meta, room) in metas.iter().zip(&rooms).take(bunches) {
            let mut rest = BytesMut::from(&room[..meta.len]);
            while !rest.is_empty() {
                let datagram = rest.split_to(meta.stride.min(rest.len()));
                self.sent.clear();
                match self.endpoint.handle(at, meta.addr, meta.dst_ip, None, datagram, &mut self.sent) {
                    Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                        let line = &mut self.lines[handle.0];
                        line.connection.handle_event(event);
                        mark(&mut line.is_due, &mut self.due, handle.0);
                    }
                    // Nobody connects to a client, and what answers a stray datagram is not worth sending.
                    Some(DatagramEvent::NewConnection(_) | DatagramEvent::Response(_)) | None => {}
                }
            }
        }
        Ok(bunches)
    }

    /// Everything one connection has to do now.
    fn serve(&mut self, at: usize, now: Instant, caller: &mut impl Caller) -> Result<(), BenchError> {
        while let Some(event) = self.lines[at].connection.poll() {
            match event {
                Event::Connected => self.greet(at)?,
                Event::Stream(StreamEvent::Readable { id }) => self.read(at, id, now, caller)?,
                Event::Stream(StreamEvent::Writable { .. }) => self.write(at)?,
                Event::ConnectionLost { reason } => return Err(BenchError::other(format!("connection {at} was lost: {reason}"))),
                Event::Stream(StreamEvent::Stopped { .. } | StreamEvent::Finished { .. }) => {
                    return Err(BenchError::other(format!("the engine gave up a stream of connection {at}")));
                }
                Event::HandshakeDataReady | Event::Stream(StreamEvent::Opened { .. } | StreamEvent::Available { .. }) => {}
                Event::DatagramReceived | Event::DatagramsUnblocked => {}
            }
        }
        let line = &mut self.lines[at];
        while let Some(event) = line.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(line.handle, event) {
                line.connection.handle_event(event);
            }
        }
        self.send(at, now)
    }

    fn greet(&mut self, at: usize) -> Result<(), BenchError> {
        let line = &mut self.lines[at];
        let mut open = || line.connection.streams().open(Dir::Bi).ok_or_else(|| BenchError::other("the engine allows no streams"));
        let (control, requests) = (open()?, open()?);
        line.streams = Some((control, requests));
        let mut hello = Vec::new();
        Frame::Hello(Hello::OURS).encode(&mut hello).map_err(BenchError::other)?;
        let written = line.connection.send_stream(control).write(&hello).map_err(BenchError::other)?;
        if written == hello.len() { Ok(()) } else { Err(BenchError::other("a new stream has no room for hello")) }
    }

    fn read(&mut self, at: usize, stream: StreamId, now: Instant, caller: &mut impl Caller) -> Result<(), BenchError> {
        let line = &mut self.lines[at];
        let is_control = line.streams.is_some_and(|(control, _)| control == stream);
        let buffer = if is_control { &mut line.greetings } else { &mut line.answers };
        let mut arrived = line.connection.recv_stream(stream);
        let mut chunks = arrived.read(true).map_err(BenchError::other)?;
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => buffer.push(&chunk.bytes),
                Err(ReadError::Blocked) => break,
                Ok(None) | Err(ReadError::Reset(_)) => {
                    return Err(BenchError::other(format!("the engine ended a stream of connection {at}")));
                }
            }
        }
        // Whatever is to be sent for it is sent at the end of this connection's turn.
        let _ = chunks.finalize();
        if is_control {
            let greeting = buffer.next().map_err(BenchError::other)?.map(|raw| raw.read()).transpose().map_err(BenchError::other)?;
            return match greeting {
                None => Ok(()),
                Some(Frame::Welcome(_)) => {
                    line.welcome = true;
                    Ok(())
                }
                Some(other) => Err(BenchError::other(format!("wanted welcome, found {other:?}"))),
            };
        }
        let mut answers = std::mem::replace(&mut line.answers, Buffer::new(Side::Client));
        while let Some(answer) = answers.next().map_err(BenchError::other)? {
            let lane = (answer.header.id.0 % self.lanes as u64) as usize;
            self.lines[at].under_way -= 1;
            caller.answered(at * self.lanes + lane, now, answer)?;
            self.ask(at, lane, now, caller)?;
        }
        self.lines[at].answers = answers;
        Ok(())
    }

    fn ask(&mut self, at: usize, lane: usize, now: Instant, caller: &mut impl Caller) -> Result<(), BenchError> {
        let (lanes, line) = (self.lanes as u64, &mut self.lines[at]);
        line.asked[lane] += 1;
        let id = RequestId(line.asked[lane] * lanes + lane as u64);
        self.frames.clear();
        if caller.ask(at * self.lanes + lane, id, now, &mut self.frames)? {
            line.under_way += 1;
            line.unsent.extend_from_slice(&self.frames);
            self.write(at)?;
        }
        Ok(())
    }

    fn write(&mut self, at: usize) -> Result<(), BenchError> {
        let line = &mut self.lines[at];
        let Some((_, requests)) = line.streams else { return Ok(()) };
        if !line.unsent.is_empty() {
            match line.connection.send_stream(requests).write(&line.unsent) {
                Ok(written) => drop(line.unsent.drain(..written)),
                Err(quinn_proto::WriteError::Blocked) => {}
                Err(error) => return Err(BenchError::other(error)),
            }
        }
        Ok(())
    }

    fn send(&mut self, at: usize, now: Instant) -> Result<(), BenchError> {
        let line = &mut self.lines[at];
        loop {
            self.sent.clear();
            let Some(transmit) = line.connection.poll_transmit(now, self.state.max_gso_segments(), &mut self.sent) else { break };
            let datagrams = quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: None,
                contents: &self.sent[..transmit.size],
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip,
            };
            match self.state.send((&self.socket).into(), &datagrams) {
                Ok(()) => {}
                // Lost on the way, as any datagram may be: it is sent again.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(BenchError::io("send")(error)),
            }
        }
        line.deadline = line.connection.poll_timeout();
        Ok(())
    }
}

fn mark(is_due: &mut bool, due: &mut Vec<usize>, line: usize) {
    if !std::mem::replace(is_due, true) {
        due.push(line);
    }
}

/// Asks nothing.
struct Nobody;

impl Caller for Nobody {
    fn ask(&mut self, _lane: usize, _id: RequestId, _now: Instant, _out: &mut Vec<u8>) -> Result<bool, BenchError> {
        Ok(false)
    }

    fn answered(&mut self, lane: usize, _now: Instant, _answer: RawFrame<'_>) -> Result<(), BenchError> {
        Err(BenchError::other(format!("lane {lane} was answered and had not asked")))
    }
}

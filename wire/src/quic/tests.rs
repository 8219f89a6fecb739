//! Both ends of the link in one process, on tokio: calls, limits, identities, departures.

mod cluster;
mod links;
mod nodes;
mod relay;

use super::*;
use crate::frame::{HEADER_BYTES, Hello, RequestId, Welcome, encode_request};
use crate::*;
use quinn::{ConnectionError, Endpoint, TokioRuntime};
use std::{
    cell::{Cell, RefCell},
    future::pending,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    thread::JoinHandle,
};

/// Certificates are checked against the machine's clock.
fn now() -> Millis {
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Millis(since.as_millis() as u64)
}

fn identity(part: Part) -> Identity {
    Identity::new(part, "test").expect("a name")
}

fn ca() -> DevCa {
    DevCa::generate(now()).expect("randomness")
}

fn issue(ca: &DevCa, part: Part) -> Credentials {
    ca.issue(&identity(part), now()).expect("randomness")
}

fn client_of(ca: &DevCa, part: Part) -> quinn::ClientConfig {
    client_config(ca.certificate_pem(), &issue(ca, part)).expect("our own PEM")
}

fn server_of(ca: &DevCa) -> quinn::ServerConfig {
    server_config(ca.certificate_pem(), &issue(ca, Part::Engine)).expect("our own PEM")
}

/// What a test tells the server's thread.
enum Order {
    GoAway,
    /// After goaway: wait for the clients to leave, then close.
    Drain,
    Close,
}

/// A node of some shards on threads of their own.
struct Engine {
    base: SocketAddr,
    orders: Vec<flume::Sender<Order>>,
    threads: Vec<JoinHandle<()>>,
    /// Handlers that were dropped before they were done.
    dropped: Arc<AtomicUsize>,
    /// Handlers begun.
    begun: Arc<AtomicUsize>,
}

fn sockets(shards: u16, base: Option<SocketAddr>) -> Vec<UdpSocket> {
    for _ in 0..1_000 {
        let first = UdpSocket::bind(base.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).expect("a port");
        let port = first.local_addr().expect("bound").port();
        let more = (1..shards).map(|n| UdpSocket::bind((Ipv4Addr::LOCALHOST, port.checked_add(n)?)).ok());
        if let Some(all) = std::iter::once(Some(first)).chain(more).collect::<Option<Vec<_>>>() {
            return all;
        }
    }
    panic!("no {shards} ports in a row");
}

impl Engine {
    fn start(config: &quinn::ServerConfig, shards: u16) -> Self {
        Self::start_at(config, shards, None)
    }

    fn start_at(config: &quinn::ServerConfig, shards: u16, base: Option<SocketAddr>) -> Self {
        let sockets = sockets(shards, base);
        let base = sockets[0].local_addr().expect("bound");
        let (dropped, begun) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (mut orders, mut threads) = (Vec::new(), Vec::new());
        for (socket, shard) in sockets.into_iter().zip(0..) {
            let (sender, received) = flume::unbounded();
            orders.push(sender);
            let (config, dropped, begun) = (config.clone(), Arc::clone(&dropped), Arc::clone(&begun));
            threads.push(std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                tokio::task::LocalSet::new().block_on(&runtime, async move {
                    let endpoint = Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime));
                    let spawn = |task| drop(tokio::task::spawn_local(task));
                    let server = Server::new(endpoint.expect("an endpoint"), Topology { partitions: 64, shards }, ShardId(shard), spawn);
                    let handle = server.handle();
                    let service = Handled::new(
                        |task| drop(tokio::task::spawn_local(task)),
                        move |_, request| {
                            begun.fetch_add(1, Ordering::SeqCst);
                            answer(shard, request, Unfinished(Arc::clone(&dropped), Cell::new(false)))
                        },
                    );
                    let serving = tokio::task::spawn_local(server.serve(service));
                    while let Ok(order) = received.recv_async().await {
                        match order {
                            Order::GoAway => handle.goaway(),
                            Order::Drain => {
                                handle.goaway();
                                handle.drained().await;
                                break;
                            }
                            Order::Close => break,
                        }
                    }
                    handle.close().await;
                    serving.await.expect("no panic");
                });
            }));
        }
        Self { base, orders, threads, dropped, begun }
    }

    fn order(&self, order: fn() -> Order) {
        self.orders.iter().for_each(|sender| sender.send(order()).expect("a server"));
    }

    async fn end(self, order: fn() -> Order) {
        self.order(order);
        let join = || self.threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        tokio::task::spawn_blocking(join).await.expect("no panic");
    }
}

struct Unfinished(Arc<AtomicUsize>, Cell<bool>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.1.get() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Says back the text of a suggestion, a number of bytes for a product key, the shard for anything else; `hang` is never answered.
async fn answer(shard: u16, request: Request, unfinished: Unfinished) -> Response {
    let _not_send = Rc::new(());
    let body = match request.op {
        Op::Suggest { text, limit } => {
            if text == "hang" {
                pending::<()>().await;
            }
            for _ in 0..limit {
                tokio::task::yield_now().await;
            }
            Body::Suggestions(Suggestions { completions: vec![text], ..Suggestions::default() })
        }
        Op::GetProduct(ProductRef::Key(bytes)) => {
            let completions = vec!["x".repeat(bytes.parse().expect("a number"))];
            Body::Suggestions(Suggestions { completions, ..Suggestions::default() })
        }
        _ => Body::Checked { rows: shard.into(), open_holds: 0 },
    };
    unfinished.1.set(true);
    Response { positions: Vec::new(), replayed: false, result: Ok(body) }
}

fn anyone(op: Op) -> Request {
    Request { principal: Principal::Anonymous, ..Request::system(op) }
}

fn suggest(text: &str) -> Request {
    anyone(Op::Suggest { text: text.into(), limit: 0 })
}

fn said(text: String) -> Result<Response, CallError> {
    let body = Body::Suggestions(Suggestions { completions: vec![text], ..Suggestions::default() });
    Ok(Response { positions: Vec::new(), replayed: false, result: Ok(body) })
}

fn refused(refusal: Refusal) -> Result<Response, CallError> {
    Ok(Response { positions: Vec::new(), replayed: false, result: Err(Failure::Refused(refusal)) })
}

async fn gateway(ca: &DevCa, engine: &Engine) -> QuicClient {
    QuicClient::connect(engine.base, client_of(ca, Part::Gateway)).await.expect("let in")
}

/// Until `reached`, or the test fails.
async fn eventually(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_each_get_their_own_answer() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 2);
    let client = gateway(&ca, &engine).await;
    assert_eq!(client.topology(), Topology { partitions: 64, shards: 2 });
    let calls: Vec<_> = (0..1_000u16)
        .map(|n| {
            // The later the request, the sooner its answer.
            let op = Op::Suggest { text: n.to_string(), limit: (1_000 - n) / 50 };
            tokio::spawn(client.call(anyone(op)))
        })
        .collect();
    for (call, n) in calls.into_iter().zip(0..) {
        assert_eq!(call.await.expect("no panic"), said(n.to_string()));
    }
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn each_request_goes_to_the_shard_that_owns_its_key() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 3);
    let client = gateway(&ca, &engine).await;
    for n in 0..64u16 {
        let cart = CartId::new(Millis(1), PartitionId(n), Seq(1), 0);
        let response = client.call(anyone(Op::GetCart(cart))).await.expect("an answer");
        assert_eq!(response.result, Ok(Body::Checked { rows: u64::from(n % 3), open_holds: 0 }));
    }
    let engine_client = QuicClient::connect(engine.base, client_of(&ca, Part::Engine)).await.expect("let in");
    let answer = engine_client.call(Request::system(Op::CheckStock(ShardId(3)))).await;
    assert_eq!(answer.map(|response| response.result), Ok(Err(Failure::WrongShard)), "there are three");
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn large_bodies_pass_and_too_large_ones_are_refused() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let client = gateway(&ca, &engine).await;
    let text = "y".repeat(500 * 1024);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.call(suggest(&text)))).collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), said(text.clone()));
    }
    let get = |bytes: usize| client.call(anyone(Op::GetProduct(ProductRef::Key(bytes.to_string()))));
    assert_eq!(get(7 << 20).await, said("x".repeat(7 << 20)));
    let refusal = Refusal::LimitReached { what: "bytes of an answer".into(), max: 8 << 20 };
    assert_eq!(get(9 << 20).await, refused(refusal));
    let refusal = Refusal::LimitReached { what: "bytes of a request".into(), max: 1 << 20 };
    assert_eq!(client.call(suggest(&"y".repeat(1 << 20))).await, refused(refusal));
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn what_an_identity_may_not_ask_is_forbidden() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let take = Op::TakeEffects { shard: ShardId(0), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 };
    for (part, request, allowed) in [
        (Part::Gateway, anyone(Op::ListCategories), true),
        (Part::Gateway, Request::system(Op::ListCategories), false),
        (Part::Gateway, Request::system(take.clone()), false),
        (Part::Adapter, Request::system(take.clone()), true),
        (Part::Adapter, anyone(Op::ListCategories), false),
        (Part::Engine, Request::system(Op::CheckStock(ShardId(0))), true),
    ] {
        let client = QuicClient::connect(engine.base, client_of(&ca, part)).await.expect("let in");
        let answer = client.call(request).await;
        if allowed {
            assert!(answer.expect("an answer").result.is_ok());
        } else {
            assert_eq!(answer, refused(Refusal::Forbidden));
        }
    }
    assert_eq!(engine.begun.load(Ordering::SeqCst), 3, "the handler sees only what is allowed");
    engine.end(|| Order::Close).await;
}

/// A certificate of `ca` that names nobody.
fn nameless(ca: &DevCa) -> Credentials {
    let issuer = rcgen::Issuer::from_ca_cert_pem(ca.certificate_pem(), rcgen::KeyPair::from_pem(ca.key_pem()).expect("a key"));
    let key = rcgen::KeyPair::generate().expect("randomness");
    let mut params = rcgen::CertificateParams::new(vec!["gateway.emporion.local".into()]).expect("a DNS name");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer.expect("an authority")).expect("signed");
    Credentials { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

fn expired(ca: &DevCa, part: Part) -> Credentials {
    let made = Millis(now().0 - 10 * 24 * 3_600_000);
    ca.issue_until(&identity(part), made, made.plus(24 * 3_600_000)).expect("randomness")
}

#[tokio::test] // Each row: who knocks, and a word of the reason for which nobody opens.
async fn strangers_are_refused() {
    let (ca, other) = (ca(), ca());
    let engine = Engine::start(&server_of(&ca), 1);
    let of = |credentials: &Credentials| client_config(ca.certificate_pem(), credentials).expect("PEM");
    let bare = client_tls(ca.certificate_pem(), |builder| Ok(builder.with_no_client_auth())).expect("PEM");
    for (who, config, reason) in [
        ("no certificate", bare, "peer sent no certificates"),
        ("another authority's", of(&issue(&other, Part::Gateway)), "invalid peer certificate"),
        ("expired", of(&expired(&ca, Part::Gateway)), "expired"),
        ("ours, but names nobody", of(&nameless(&ca)), "one URI"),
        ("trusts another authority", client_of(&other, Part::Gateway), "invalid peer certificate"),
    ] {
        let error = QuicClient::connect(engine.base, config).await.err().expect(who);
        let CallError::Unreachable(text) = error else { panic!("{who}: {error:?}") };
        assert!(text.contains(reason), "{who}: {text}");
    }
    assert_eq!(engine.begun.load(Ordering::SeqCst), 0);
    engine.end(|| Order::Close).await;

    // The other way round: clients do not speak to whoever is no engine.
    for (who, credentials) in
        [("a gateway poses as an engine", issue(&ca, Part::Gateway)), ("expired", expired(&ca, Part::Engine)), ("nobody", nameless(&ca))]
    {
        let poser = Engine::start(&server_config(ca.certificate_pem(), &credentials).expect("PEM"), 1);
        let result = QuicClient::connect(poser.base, client_of(&ca, Part::Gateway)).await;
        assert!(matches!(result, Err(CallError::Unreachable(_))), "{who}");
        poser.end(|| Order::Close).await;
    }
}

#[tokio::test]
async fn handlers_are_dropped_when_nobody_waits() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let client = gateway(&ca, &engine).await;
    let count = |counter: &Arc<AtomicUsize>| counter.load(Ordering::SeqCst);
    // A call given up.
    let call = tokio::spawn(client.call(suggest("hang")));
    eventually("begun", || count(&engine.begun) == 1).await;
    call.abort();
    eventually("taken back", || count(&engine.dropped) == 1).await;
    // A call that takes too long, by the client's clock.
    let late = client.call(Request { timeout_ms: 10, ..suggest("hang") }).await;
    assert!(matches!(late, Err(CallError::Unreachable(text)) if text.contains("510 ms")));
    eventually("timed out", || count(&engine.dropped) == 2).await;
    // A client that is gone.
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.call(suggest("hang")))).collect();
    eventually("begun", || count(&engine.begun) == 12).await;
    assert_eq!(client.call(suggest("a")).await, said("a".into()), "others go on meanwhile");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(client);
    eventually("gone", || count(&engine.dropped) == 12).await;
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn a_full_connection_says_so() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let client = gateway(&ca, &engine).await;
    let calls: Vec<_> = (0..REQUESTS_IN_FLIGHT_MAX).map(|_| tokio::spawn(client.call(suggest("hang")))).collect();
    eventually("begun", || engine.begun.load(Ordering::SeqCst) == REQUESTS_IN_FLIGHT_MAX as usize).await;
    assert_eq!(client.call(suggest("a")).await, Err(CallError::QueueFull));
    calls[0].abort();
    eventually("one less", || engine.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(client.call(suggest("a")).await, said("a".into()));
    engine.end(|| Order::Close).await;
    for call in calls.into_iter().skip(1) {
        assert!(matches!(call.await.expect("no panic"), Err(CallError::Unreachable(_))), "written, so not sent again");
    }
}

#[tokio::test]
async fn a_server_that_leaves_answers_what_it_has() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let client = gateway(&ca, &engine).await;
    let call = tokio::spawn(client.call(anyone(Op::Suggest { text: "slow".into(), limit: 20_000 })));
    eventually("begun", || engine.begun.load(Ordering::SeqCst) == 1).await;
    engine.end(|| Order::Drain).await; // returns only once the client has left
    assert_eq!(call.await.expect("no panic"), said("slow".into()));
    let error = client.call(Request { timeout_ms: 100, ..suggest("a") }).await;
    assert!(matches!(error, Err(CallError::Unreachable(_))), "{error:?}");
}

#[tokio::test]
async fn requests_across_a_goaway_are_told() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
    assert_eq!(raw.greet(Hello::OURS).await, Some(welcome()));
    raw.send(&[hang(1)]).await;
    eventually("begun", || engine.begun.load(Ordering::SeqCst) == 1).await;
    engine.order(|| Order::GoAway);
    assert_eq!(raw.control_frame().await, Some(Frame::GoAway));
    raw.send(&[hang(2)]).await;
    let (id, result) = raw.answer().await;
    assert_eq!((id, result), (2, Err(Failure::ShuttingDown)));
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn a_client_finds_an_engine_that_came_back() {
    let ca = ca();
    let config = server_of(&ca);
    let engine = Engine::start(&config, 1);
    let (base, client) = (engine.base, gateway(&ca, &engine).await);
    assert_eq!(client.call(suggest("a")).await, said("a".into()));
    engine.end(|| Order::Close).await;
    let error = client.call(suggest("b")).await;
    assert!(matches!(error, Err(CallError::Unreachable(_))), "{error:?}");
    let engine = Engine::start_at(&config, 1, Some(base));
    let mut answer = error;
    for _ in 0..100 {
        answer = client.call(suggest("b")).await;
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(answer, said("b".into()));
    engine.end(|| Order::Close).await;
}

/// A peer that keeps to nothing.
struct Raw {
    _endpoint: Endpoint,
    connection: quinn::Connection,
    control: (quinn::SendStream, Frames),
    stream: Option<(quinn::SendStream, Frames)>,
}

fn welcome() -> Frame {
    Frame::Welcome(Welcome { version: 1, partitions: 64, shards: 1, shard: 0, in_flight_max: REQUESTS_IN_FLIGHT_MAX })
}

fn hang(id: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_request(RequestId(id), &suggest("hang"), &mut bytes).expect("short");
    bytes
}

impl Raw {
    async fn open(engine: &Engine, config: quinn::ClientConfig) -> Self {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(engine.base, "engine.emporion.local").expect("a name").await.expect("a handshake");
        let (say, hear) = connection.open_bi().await.expect("a stream");
        Self { _endpoint: endpoint, connection, control: (say, Frames::new(hear, Side::Client)), stream: None }
    }

    async fn greet(&mut self, hello: Hello) -> Option<Frame> {
        let mut bytes = Vec::new();
        Frame::Hello(hello).encode(&mut bytes).expect("short");
        self.control.0.write_all(&bytes).await.expect("open");
        self.control_frame().await
    }

    async fn control_frame(&mut self) -> Option<Frame> {
        self.control.1.next().await.ok().flatten().map(|arrived| arrived.frame.expect("a good body"))
    }

    async fn send(&mut self, frames: &[Vec<u8>]) {
        if self.stream.is_none() {
            let (say, hear) = self.connection.open_bi().await.expect("a stream");
            self.stream = Some((say, Frames::new(hear, Side::Client)));
        }
        let (say, _) = self.stream.as_mut().expect("just made");
        say.write_all(&frames.concat()).await.expect("open");
    }

    async fn answer(&mut self) -> (u64, Result<Body, Failure>) {
        let (_, hear) = self.stream.as_mut().expect("something was sent");
        match hear.next().await.expect("open").expect("an answer").frame {
            Ok(Frame::Response { id, response, .. }) => (id.0, response.result),
            other => panic!("{other:?}"),
        }
    }

    async fn code(&self) -> u64 {
        match self.connection.closed().await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_bounds_what_a_client_has_under_way() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
    raw.greet(Hello::OURS).await.expect("welcome");
    let last = u64::from(REQUESTS_IN_FLIGHT_MAX);
    raw.send(&(0..=last).map(hang).collect::<Vec<_>>()).await;
    assert_eq!(raw.answer().await, (last, Err(Failure::Overloaded { retry_after_ms: 50 })));
    // Taking one back makes room for one.
    let mut cancel = Vec::new();
    Frame::Cancel { id: RequestId(0) }.encode(&mut cancel).expect("short");
    raw.send(&[cancel]).await;
    eventually("dropped", || engine.dropped.load(Ordering::SeqCst) == 1).await;
    let mut bytes = Vec::new();
    encode_request(RequestId(last), &suggest("a"), &mut bytes).expect("short");
    raw.send(&[bytes]).await;
    assert_eq!(raw.answer().await.0, last);
    drop(raw);
    eventually("all dropped", || engine.dropped.load(Ordering::SeqCst) == last as usize).await;
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn an_unreadable_request_costs_only_itself() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
    raw.greet(Hello::OURS).await.expect("welcome");
    let mut bad = hang(7);
    bad[HEADER_BYTES..].fill(0xee);
    raw.send(&[hang(6), bad]).await;
    let (id, result) = raw.answer().await;
    let Err(Failure::Refused(Refusal::Invalid(fields))) = result else { panic!("{result:?}") };
    assert_eq!((id, fields[0].code.as_str()), (7, "malformed"));
    assert_eq!(engine.dropped.load(Ordering::SeqCst), 0, "the other goes on");
    engine.end(|| Order::Close).await;
}

#[tokio::test] // Each row: what a client sends, and the code its connection is closed with.
async fn breaches_close_the_connection() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let mut version = hang(1);
    version[4] = 9;
    let mut long = hang(1);
    long[..4].copy_from_slice(&(2u32 << 20).to_le_bytes());
    let mut goaway = Vec::new();
    Frame::GoAway.encode(&mut goaway).expect("short");
    let mut hello = Vec::new();
    Frame::Hello(Hello::OURS).encode(&mut hello).expect("short");
    for (what, frames) in [
        ("another version", vec![version]),
        ("too long", vec![long]),
        ("what only servers say", vec![goaway]),
        ("hello on a request stream", vec![hello]),
        ("an id twice", vec![hang(1), hang(1)]),
        ("no frame at all", vec![b"GET / HTTP/1.1\r\nHost: engine.emporion.local\r\n\r\n".to_vec()]),
    ] {
        let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
        raw.greet(Hello::OURS).await.expect("welcome");
        raw.send(&frames).await;
        assert_eq!(raw.code().await, CloseCode::Protocol as u64, "{what}");
    }
    let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
    assert_eq!(raw.greet(Hello { oldest: 2, newest: 9 }).await, None);
    assert_eq!(raw.code().await, CloseCode::Version as u64);
    let mut raw = Raw::open(&engine, client_of(&ca, Part::Gateway)).await;
    raw.control.0.write_all(&hang(1)).await.expect("open");
    assert_eq!(raw.code().await, CloseCode::Protocol as u64, "a request before hello");
    engine.end(|| Order::Close).await;
}

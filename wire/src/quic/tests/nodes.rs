//! What nodes say to each other: who may, in what form, and how it arrives.

use super::*;
use crate::frame::{FRAME_BYTES_MAX, Lane, NODE_URGENT_BYTES_MAX};
use futures_lite::future;
use tokio::task::spawn_local;

/// Runs a test whose parts are of one thread.
pub(super) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// A shard that keeps what other nodes say to it, and answers nothing.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) handle: ServerHandle,
    pub(super) heard: Heard,
}

/// Who said what.
pub(super) type Heard = Rc<RefCell<Vec<(Identity, Vec<u8>)>>>;

struct Ear(Heard);

impl Service for Ear {
    type Call = ();

    fn call(&self, _identity: &Identity, _request: Request, _answer: Answer) {}

    fn cancel(&self, (): ()) {}

    fn node(&self, identity: &Identity, body: Vec<u8>) {
        self.0.borrow_mut().push((identity.clone(), body));
    }
}

impl Listener {
    pub(super) fn start(config: quinn::ServerConfig) -> Self {
        let socket = sockets(1, None).remove(0);
        let address = socket.local_addr().expect("bound");
        let endpoint = Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime));
        let topology = Topology { partitions: 64, shards: 1 };
        let server = Server::new(endpoint.expect("an endpoint"), topology, ShardId(0), |task| drop(spawn_local(task)));
        let (handle, heard) = (server.handle(), Heard::default());
        spawn_local(server.serve(Ear(Rc::clone(&heard))));
        Self { address, handle, heard }
    }

    pub(super) fn heard(&self) -> usize {
        self.heard.borrow().len()
    }
}

fn opening(endpoint: &Endpoint, address: SocketAddr) -> greeting::Opening<'_> {
    greeting::Opening { endpoint, address, shard: ShardId(0), config: None, wanted: None }
}

fn said(lane: Lane, body: &[u8]) -> Vec<u8> {
    encoded(&Frame::Node { lane, body: body.to_vec() })
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).expect("within bounds");
    bytes
}

/// A frame of which the header says something else.
fn changed(mut frame: Vec<u8>, offset: usize, value: &[u8]) -> Vec<u8> {
    frame[offset..offset + value.len()].copy_from_slice(value);
    frame
}

/// Streams of a peer that keeps to nothing.
enum On {
    Control,
    Request,
    /// Node streams, each with these bytes.
    Node(Vec<Vec<u8>>),
    /// The same, ended behind them.
    NodeEnded(Vec<u8>),
}

#[tokio::test] // Each row: what an engine sends, on which stream; its connection is closed for it.
async fn node_frames_out_of_place_close_the_connection() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    let (urgent, bulk) = (said(Lane::Urgent, b"a"), said(Lane::Bulk, b"a"));
    let long = |lane: Lane| changed(said(lane, b"a"), 0, &(lane.bytes_max() as u32 + 1).to_le_bytes());
    for (what, on) in [
        ("on the control stream", On::Control),
        ("on a request stream", On::Request),
        ("an unknown kind", On::Node(vec![changed(urgent.clone(), 5, &[9])])),
        ("a request on a node stream", On::Node(vec![hang(1)])),
        ("too long for the urgent lane", On::Node(vec![long(Lane::Urgent)])),
        ("too long for any lane", On::Node(vec![long(Lane::Bulk)])),
        ("empty", On::Node(vec![changed(urgent.clone(), 0, &[0])])),
        ("a request id", On::Node(vec![changed(urgent.clone(), 8, &[1])])),
        ("another version", On::Node(vec![changed(urgent.clone(), 4, &[2])])),
        ("the other lane", On::Node(vec![[urgent.clone(), bulk].concat()])),
        ("two streams of a lane", On::Node(vec![urgent.clone(), urgent.clone()])),
        ("ended within a frame", On::NodeEnded(urgent[..HEADER_BYTES].to_vec())),
    ] {
        let mut raw = Raw::open(&engine, client_of(&ca, Part::Engine)).await;
        raw.greet(Hello::OURS).await.expect("welcome");
        let mut open = Vec::new();
        match on {
            On::Control => raw.control.0.write_all(&urgent).await.expect("open"),
            On::Request => raw.send(std::slice::from_ref(&urgent)).await,
            On::Node(streams) => {
                for bytes in streams {
                    let mut say = raw.connection.open_uni().await.expect("open");
                    say.write_all(&bytes).await.expect("open");
                    open.push(say);
                }
            }
            On::NodeEnded(bytes) => {
                let mut say = raw.connection.open_uni().await.expect("open");
                say.write_all(&bytes).await.expect("open");
                say.finish().expect("open");
            }
        }
        assert_eq!(raw.code().await, CloseCode::Protocol as u64, "{what}");
    }
    engine.end(|| Order::Close).await;
}

#[tokio::test]
async fn who_is_no_engine_says_nothing_as_a_node() {
    let ca = ca();
    let engine = Engine::start(&server_of(&ca), 1);
    for part in [Part::Gateway, Part::Adapter] {
        let mut raw = Raw::open(&engine, client_of(&ca, part)).await;
        raw.greet(Hello::OURS).await.expect("welcome");
        let opened = tokio::time::timeout(Duration::from_millis(100), raw.connection.open_uni()).await;
        assert!(opened.is_err(), "{part:?} has no stream for it");
        raw.send(&[said(Lane::Urgent, b"a")]).await;
        assert_eq!(raw.code().await, CloseCode::Protocol as u64, "{part:?} on a request stream");
        // The length that a request cannot have is not waited for.
        let mut raw = Raw::open(&engine, client_of(&ca, part)).await;
        raw.greet(Hello::OURS).await.expect("welcome");
        raw.send(&[said(Lane::Bulk, &vec![0; FRAME_BYTES_MAX - HEADER_BYTES])[..HEADER_BYTES].to_vec()]).await;
        assert_eq!(raw.code().await, CloseCode::Protocol as u64, "{part:?} with a header alone");
    }
    engine.end(|| Order::Close).await;
}

#[test]
fn what_a_node_says_arrives_with_its_name() {
    on_one_thread(async {
        let ca = ca();
        let listener = Listener::start(server_of(&ca));
        let credentials = ca.issue(&Identity::new(Part::Engine, "node-7").expect("a name"), now()).expect("randomness");
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        endpoint.set_default_client_config(client_config(ca.certificate_pem(), &credentials).expect("PEM"));
        let opening = opening(&endpoint, listener.address);
        let greeted = opening.open().await.expect("let in");
        let mut say = greeted.connection.open_uni().await.expect("allowed");
        let bodies: Vec<Vec<u8>> = (0..200u32).map(|n| n.to_le_bytes().repeat(1 + n as usize * 20)).collect();
        for body in &bodies {
            say.write_all(&said(Lane::Urgent, body)).await.expect("open");
        }
        let largest = vec![7; NODE_URGENT_BYTES_MAX];
        say.write_all(&said(Lane::Urgent, &largest)).await.expect("open");
        eventually("all heard", || listener.heard() == 201).await;
        let heard = listener.heard.take();
        assert!(heard.iter().all(|(who, _)| who.to_string() == "spiffe://emporion.local/engine/node-7"));
        assert!(heard.iter().map(|(_, body)| body).eq(bodies.iter().chain([&largest])), "in order, as they were");
        // One that ends its stream may open another.
        say.finish().expect("open");
        let mut again = greeted.connection.open_uni().await.expect("allowed");
        again.write_all(&said(Lane::Urgent, b"again")).await.expect("open");
        eventually("heard again", || listener.heard() == 1).await;
        listener.handle.close().await;
    });
}

#[test]
fn a_server_that_leaves_does_not_wait_for_nodes_but_hears_them() {
    on_one_thread(async {
        let ca = ca();
        let listener = Listener::start(server_of(&ca));
        let endpoint = QuicClient::endpoint(listener.address, client_of(&ca, Part::Engine)).expect("a port");
        let open = || opening(&endpoint, listener.address).open();
        let (node, mut asks) = (open().await.expect("let in"), open().await.expect("let in"));
        let mut say = node.connection.open_uni().await.expect("allowed");
        say.write_all(&said(Lane::Urgent, b"one")).await.expect("open");
        let (mut request, _answers) = asks.connection.open_bi().await.expect("allowed");
        request.write_all(&hang(1)).await.expect("open");
        eventually("heard", || listener.heard() == 1).await;

        listener.handle.goaway();
        assert!(matches!(asks.hear.next().await, Ok(Some(Arrived { frame: Ok(Frame::GoAway), .. }))));
        say.write_all(&said(Lane::Urgent, b"two")).await.expect("open");
        eventually("heard", || listener.heard() == 2).await;
        let drained = future::or(
            async {
                listener.handle.drained().await;
                true
            },
            async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                false
            },
        );
        assert!(!drained.await, "one that has asked something is waited for");
        drop((asks, request));
        listener.handle.drained().await;
        say.write_all(&said(Lane::Urgent, b"three")).await.expect("open");
        eventually("heard", || listener.heard() == 3).await;
        listener.handle.close().await;
    });
}

#[test]
fn clients_keep_no_node_out() {
    on_one_thread(async {
        let ca = ca();
        let listener = Listener::start(server_of(&ca));
        let endpoint = QuicClient::endpoint(listener.address, client_of(&ca, Part::Gateway)).expect("a port");
        let open = |endpoint| opening(endpoint, listener.address).open();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            clients.push(open(&endpoint).await.expect("let in"));
        }
        let error = open(&endpoint).await.err().expect("full");
        assert!(matches!(&error, CallError::Unreachable(why) if why.contains("too many clients")), "{error}");
        let node = QuicClient::endpoint(listener.address, client_of(&ca, Part::Engine)).expect("a port");
        let greeted = open(&node).await.expect("a place is kept");
        let mut say = greeted.connection.open_uni().await.expect("allowed");
        say.write_all(&said(Lane::Urgent, b"here")).await.expect("open");
        eventually("heard", || listener.heard() == 1).await;
        drop(clients.pop());
        let mut again = open(&endpoint).await;
        while again.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            again = open(&endpoint).await;
        }
        listener.handle.close().await;
    });
}

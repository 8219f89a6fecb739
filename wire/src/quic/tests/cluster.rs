//! The client of a cluster against nodes that say what a test wants them to.

use super::{nodes::on_one_thread, *};
use crate::quic::cluster_client::{HEDGES_SAVED_MAX, MAP_REFRESH};
use std::collections::VecDeque;
use tokio::{task::spawn_local, time::Instant};

/// What a node does with a request.
#[derive(Clone)]
enum Reply {
    Say(Result<Body, Failure>),
    /// Only after so long.
    Slowly(Duration),
    Hang,
    /// The node ends, and says nothing but that its connections are closed.
    Die,
}

const DONE: Reply = Reply::Say(Ok(Body::Done));

fn fails(failure: Failure) -> Reply {
    Reply::Say(Err(failure))
}

fn not_leader(leader: u64) -> Reply {
    fails(Failure::NotLeader { leader: (leader != 0).then_some(NodeId(leader)) })
}

/// What all nodes of a test share.
#[derive(Default)]
struct Stage {
    /// Who was asked what, in order; maps are not counted among them.
    asked: RefCell<Vec<(u64, ShardId, Request)>>,
    /// How often each node was asked for the map.
    maps_asked: RefCell<Vec<u64>>,
    cancelled: Cell<usize>,
    map: RefCell<Option<ClusterMap>>,
}

impl Stage {
    /// Numbers of the nodes that were asked since the last time.
    fn trail(&self) -> Vec<u64> {
        self.asked.take().into_iter().map(|(node, _, _)| node).collect()
    }
}

/// A node of some shards.
struct FakeNode {
    id: u64,
    base: SocketAddr,
    shards: u16,
    replies: Rc<RefCell<VecDeque<Reply>>>,
    /// When the replies are used up.
    ever: Rc<RefCell<Reply>>,
    handles: Vec<ServerHandle>,
}

struct Scripted {
    node: u64,
    shard: ShardId,
    stage: Rc<Stage>,
    replies: Rc<RefCell<VecDeque<Reply>>>,
    ever: Rc<RefCell<Reply>>,
    handle: ServerHandle,
}

impl Service for Scripted {
    type Call = ();

    fn call(&self, _identity: &Identity, request: Request, answer: Answer) {
        let response = |result| Response { positions: Vec::new(), replayed: false, result };
        if request.op == Op::ClusterMap {
            self.stage.maps_asked.borrow_mut().push(self.node);
            let map = self.stage.map.borrow().clone();
            return answer.send(&response(Ok(Body::ClusterMap(map.map(Box::new)))));
        }
        self.stage.asked.borrow_mut().push((self.node, self.shard, request));
        let reply = self.replies.borrow_mut().pop_front().unwrap_or_else(|| self.ever.borrow().clone());
        match reply {
            Reply::Say(result) => answer.send(&response(result)),
            Reply::Slowly(after) => {
                spawn_local(async move {
                    tokio::time::sleep(after).await;
                    answer.send(&response(Ok(Body::Done)));
                });
            }
            Reply::Hang => drop(answer),
            Reply::Die => self.handle.endpoint().close(quinn::VarInt::from_u32(0), b"a fault"),
        }
    }

    fn cancel(&self, (): ()) {
        self.stage.cancelled.set(self.stage.cancelled.get() + 1);
    }

    fn node(&self, _identity: &Identity, _body: Vec<u8>) {}
}

impl FakeNode {
    fn start(ca: &DevCa, stage: &Rc<Stage>, id: u64, shards: u16) -> Self {
        let sockets = sockets(shards, None);
        let base = sockets[0].local_addr().expect("bound");
        let (replies, ever) = (Rc::<RefCell<VecDeque<Reply>>>::default(), Rc::new(RefCell::new(DONE)));
        let config = server_of(ca);
        let mut handles = Vec::new();
        for (socket, shard) in sockets.into_iter().zip(0..) {
            let endpoint = Endpoint::new(quinn::EndpointConfig::default(), Some(config.clone()), socket, Arc::new(TokioRuntime));
            let spawn = |task| drop(spawn_local(task));
            let server = Server::new(endpoint.expect("an endpoint"), Topology { partitions: 4, shards }, ShardId(shard), spawn);
            let handle = server.handle();
            let (stage, replies, ever) = (Rc::clone(stage), Rc::clone(&replies), Rc::clone(&ever));
            spawn_local(server.serve(Scripted { node: id, shard: ShardId(shard), stage, replies, ever, handle: handle.clone() }));
            handles.push(handle);
        }
        Self { id, base, shards, replies, ever, handles }
    }

    fn info(&self, state: NodeState) -> NodeInfo {
        NodeInfo {
            id: NodeId(self.id),
            name: format!("n{}", self.id),
            address: self.base.to_string(),
            shards: self.shards,
            zone: String::new(),
            region: String::new(),
            state,
        }
    }

    fn will(&self, replies: &[Reply]) {
        self.replies.borrow_mut().extend(replies.iter().cloned());
    }

    fn will_ever(&self, reply: Reply) {
        *self.ever.borrow_mut() = reply;
    }

    async fn end(&self) {
        for handle in &self.handles {
            handle.close().await;
        }
    }
}

/// A cluster of four partitions, all led by node 1.
struct Cluster {
    ca: DevCa,
    stage: Rc<Stage>,
    nodes: Vec<FakeNode>,
}

impl Cluster {
    fn start(shards: &[u16]) -> Self {
        let (ca, stage) = (ca(), Rc::<Stage>::default());
        let nodes = shards.iter().zip(1..).map(|(shards, id)| FakeNode::start(&ca, &stage, id, *shards)).collect();
        let cluster = Self { ca, stage, nodes };
        cluster.tell(1, |_| NodeState::Up, Some(1));
        cluster
    }

    /// The map that nodes give from now on.
    fn tell(&self, epoch: u64, state: impl Fn(u64) -> NodeState, leader: Option<u64>) {
        let nodes = self.nodes.iter().map(|node| node.info(state(node.id))).collect();
        *self.stage.map.borrow_mut() = Some(ClusterMap { epoch, partitions: 4, nodes, leaders: vec![leader.map(NodeId); 4] });
    }

    async fn client(&self) -> ClusterClient {
        self.client_as(Part::Gateway).await
    }

    async fn client_as(&self, part: Part) -> ClusterClient {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.base.to_string()).collect();
        let client = ClusterClient::connect(&addresses, client_of(&self.ca, part)).await.expect("let in");
        connected(&client, self.nodes.len()).await;
        client
    }

    /// Ends all nodes, without waiting for the last packets.
    fn end(self) {
        let handles = self.nodes.into_iter().flat_map(|node| node.handles);
        handles.for_each(|handle| handle.endpoint().close(quinn::VarInt::from_u32(0), b"the test is over"));
    }
}

/// Until so many nodes are connected, so that none is passed over for a moment.
async fn connected(client: &ClusterClient, nodes: usize) {
    eventually("connected", || client.nodes_up() == nodes).await;
}

fn read() -> Request {
    anyone(Op::GetCart(CartId::new(Millis(1), PartitionId(0), Seq(1), 0)))
}

fn command() -> Request {
    let cart = CartId::new(Millis(1), PartitionId(0), Seq(1), 0);
    anyone(Op::SetLineQuantity { cart, line: LineId(RawId(1)), quantity: 1 })
}

fn keyed() -> Request {
    Request { idempotency: Some(Idempotency { key: 1, fingerprint: 1 }), ..command() }
}

fn reservation() -> Request {
    anyone(Op::ReleaseReserved { hold: HoldId(RawId(1)), location: "main".into() })
}

fn search() -> Request {
    anyone(Op::Search(SearchQuery::default()))
}

fn done() -> Result<Response, CallError> {
    Ok(Response { positions: Vec::new(), replayed: false, result: Ok(Body::Done) })
}

fn failing(failure: Failure) -> Result<Response, CallError> {
    Ok(Response { positions: Vec::new(), replayed: false, result: Err(failure) })
}

#[test] // Each row: a request; what nodes 1, 2 and 3 reply to it; what the caller is told; and who was asked, in order.
fn what_is_asked_again_and_of_whom() {
    on_one_thread(async {
        let overloaded = Failure::Overloaded { retry_after_ms: 7 };
        let interrupted = || fails(Failure::Interrupted);
        let expired = || fails(Failure::DeadlineExceeded);
        let stops = || fails(Failure::ShuttingDown);
        let full = fails(overloaded.clone());
        let refused = Failure::Refused(Refusal::CartClosed);
        let key_in_use = Refusal::IdempotencyKeyInUse;
        let in_use = fails(Failure::Refused(key_in_use.clone()));
        type Told = Option<Result<Response, CallError>>;
        type Row<'a> = (&'a str, Request, [Vec<Reply>; 3], Told, &'a [u64]);
        let rows: Vec<Row<'_>> = vec![
            ("the leader answers", command(), [vec![], vec![], vec![]], Some(done()), &[1]),
            ("a leader is named", command(), [vec![not_leader(2)], vec![], vec![]], Some(done()), &[1, 2]),
            ("one after the other is", command(), [vec![not_leader(3)], vec![], vec![not_leader(2)]], Some(done()), &[1, 3, 2]),
            ("none is", command(), [vec![not_leader(0)], vec![], vec![]], Some(done()), &[1, 2]),
            ("two name each other", command(), [vec![not_leader(2)], vec![not_leader(1)], vec![]], Some(done()), &[1, 2, 1]),
            ("one is named that nobody knows", command(), [vec![not_leader(9)], vec![], vec![]], Some(done()), &[1, 2]),
            ("a refusal", command(), [vec![fails(refused.clone())], vec![], vec![]], Some(failing(refused)), &[1]),
            ("overload", read(), [vec![full.clone()], vec![], vec![]], Some(failing(overloaded.clone())), &[1]),
            ("it stops", command(), [vec![stops()], vec![], vec![]], Some(done()), &[1, 2]),
            ("interrupted, a command", command(), [vec![interrupted()], vec![], vec![]], Some(failing(Failure::Interrupted)), &[1]),
            ("interrupted, with a key", keyed(), [vec![interrupted()], vec![], vec![]], Some(done()), &[1, 2]),
            ("interrupted, a reservation", reservation(), [vec![interrupted()], vec![], vec![]], Some(done()), &[1, 2]),
            ("interrupted, a read", read(), [vec![interrupted()], vec![], vec![]], Some(done()), &[1, 2]),
            ("too late, a command", command(), [vec![expired()], vec![], vec![]], Some(failing(Failure::DeadlineExceeded)), &[1]),
            ("too late, with a key", keyed(), [vec![expired()], vec![], vec![]], Some(done()), &[1, 2]),
            ("lost, a command", command(), [vec![Reply::Die], vec![], vec![]], None, &[1]),
            ("lost, with a key", keyed(), [vec![Reply::Die], vec![], vec![]], Some(done()), &[1, 2]),
            ("lost, a reservation", reservation(), [vec![Reply::Die], vec![], vec![]], Some(done()), &[1, 2]),
            ("lost, a read", read(), [vec![Reply::Die], vec![], vec![]], Some(done()), &[1, 2]),
            // What may have been done is not called undone because a second attempt certainly did nothing.
            ("in doubt", keyed(), [vec![interrupted()], vec![full.clone()], vec![]], Some(failing(Failure::Interrupted)), &[1, 2]),
            ("the first attempt still runs", keyed(), [vec![interrupted()], vec![in_use.clone()], vec![]], Some(done()), &[1, 2, 3]),
            ("somebody else's does", keyed(), [vec![in_use], vec![], vec![]], Some(failing(Failure::Refused(key_in_use))), &[1]),
            ("a read is never in doubt", read(), [vec![interrupted()], vec![full], vec![]], Some(failing(overloaded)), &[1, 2]),
        ];
        for (what, request, replies, told, trail) in rows {
            let cluster = Cluster::start(&[1, 1, 1]);
            let client = cluster.client().await;
            // Turns begin with node 1 too, so that the others follow in order.
            for (node, replies) in cluster.nodes.iter().zip(&replies) {
                node.will(replies);
            }
            let answer = client.call(request).await;
            match told {
                Some(told) => assert_eq!(answer, told, "{what}"),
                None => assert!(matches!(answer, Err(CallError::Unreachable(_))), "{what}: {answer:?}"),
            }
            assert_eq!(cluster.stage.trail(), trail, "{what}");
            cluster.end();
        }
    });
}

#[test]
fn attempts_end_with_the_timeout_of_their_request() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1, 1]);
        let client = cluster.client().await;
        cluster.nodes.iter().for_each(|node| node.will_ever(not_leader(0)));
        let since = Instant::now();
        let answer = client.call(Request { timeout_ms: 400, ..command() }).await;
        assert_eq!(answer, failing(Failure::NotLeader { leader: None }));
        let took = since.elapsed();
        assert!(took < Duration::from_millis(800), "{took:?}");
        let asked = cluster.stage.asked.take();
        assert!((3..20).contains(&asked.len()), "pauses grow: {} attempts", asked.len());
        assert!(asked.is_sorted_by(|a, b| a.2.timeout_ms > b.2.timeout_ms), "each has what is left of the time");
        // What may have been done once is not told as undone in the end.
        cluster.nodes.iter().for_each(|node| node.will(&[fails(Failure::Interrupted)]));
        let answer = client.call(Request { timeout_ms: 400, ..keyed() }).await;
        assert_eq!(answer, failing(Failure::Interrupted));
        // Nobody answers at all: the timeout, and the time an answer takes.
        cluster.nodes.iter().for_each(|node| node.will_ever(Reply::Hang));
        let since = Instant::now();
        let answer = client.call(Request { timeout_ms: 100, ..read() }).await;
        assert!(matches!(answer, Err(CallError::Unreachable(_))), "{answer:?}");
        assert!(since.elapsed() < Duration::from_millis(900), "{:?}", since.elapsed());
        cluster.end();
    });
}

#[test] // Each row: how nodes 1, 2 and 3 stand, and who is asked by six requests that any node answers.
fn requests_for_any_node_take_turns() {
    on_one_thread(async {
        use NodeState::{Down, Draining, Up};
        for (states, share) in [
            ([Up, Up, Up], [2, 2, 2]),
            ([Up, Draining, Up], [2, 0, 4]),
            ([Up, Draining, Down], [6, 0, 0]),
            ([Draining, Down, Draining], [2, 0, 4]),
            ([Down, Down, Down], [2, 2, 2]),
        ] {
            let cluster = Cluster::start(&[1, 1, 1]);
            cluster.tell(1, |id| states[id as usize - 1], Some(1));
            let client = cluster.client().await;
            for _ in 0..6 {
                assert_eq!(client.call(search()).await, done());
            }
            let trail = cluster.stage.trail();
            let found = [1, 2, 3].map(|id| trail.iter().filter(|asked| **asked == id).count());
            assert_eq!(found, share, "{states:?} {trail:?}");
            cluster.end();
        }
    });
}

#[test] // Each row: an operation on a shard of the cluster, and the node, its shard and the number that arrive there.
fn shards_of_all_nodes_are_counted_together() {
    on_one_thread(async {
        let cluster = Cluster::start(&[2, 1, 2]);
        let (adapter, engine) = (cluster.client_as(Part::Adapter).await, cluster.client_as(Part::Engine).await);
        assert_eq!(adapter.topology(), Topology { partitions: 4, shards: 5 });
        let take = |shard| Op::TakeEffects { shard: ShardId(shard), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 };
        type Row = (fn(u16) -> Op, u16, u64, u16);
        let rows: [Row; 7] = [
            (|shard| Op::CheckStock(ShardId(shard)), 0, 1, 0),
            (|shard| Op::CheckStock(ShardId(shard)), 1, 1, 1),
            (|shard| Op::AuditStock(ShardId(shard)), 2, 2, 0),
            (|shard| Op::Snapshots { shard: ShardId(shard), take: true }, 3, 3, 0),
            (|shard| Op::Snapshots { shard: ShardId(shard), take: false }, 4, 3, 1),
            (|shard| Op::TakeEffects { shard: ShardId(shard), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 }, 1, 1, 1),
            (|shard| Op::TakeEffects { shard: ShardId(shard), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 }, 4, 3, 1),
        ];
        for (op, asked, node, local) in rows {
            let client = if matches!(op(0), Op::TakeEffects { .. }) { &adapter } else { &engine };
            assert_eq!(client.call(Request::system(op(asked))).await, done());
            let arrived = cluster.stage.asked.take();
            let arrived: Vec<_> = arrived.into_iter().map(|(node, shard, request)| (node, shard, request.op)).collect();
            assert_eq!(arrived, [(node, ShardId(local), op(local))]);
        }
        assert_eq!(adapter.call(Request::system(take(5))).await, failing(Failure::WrongShard), "there are five");
        // There is no other node for it: what is safe is asked of the same again, the rest is told.
        cluster.nodes[1].will(&[fails(Failure::ShuttingDown), fails(Failure::Interrupted)]);
        assert_eq!(engine.call(Request::system(Op::CheckStock(ShardId(2)))).await, done());
        assert_eq!(cluster.stage.trail(), [2, 2, 2]);
        cluster.nodes[1].will(&[fails(Failure::Interrupted)]);
        assert_eq!(adapter.call(Request::system(take(2))).await, failing(Failure::Interrupted));
        cluster.end();
    });
}

#[test]
fn leaders_are_remembered_as_nodes_name_them() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1, 1]);
        let client = cluster.client().await;
        cluster.tell(1, |_| NodeState::Up, None); // what nodes say is all there is
        cluster.nodes[0].will_ever(not_leader(3));
        assert_eq!(client.call(command()).await, done());
        assert_eq!(client.call(command()).await, done());
        assert_eq!(cluster.stage.trail(), [1, 3, 3]);
        // Found without a name.
        cluster.nodes[2].will_ever(not_leader(0));
        cluster.nodes[0].will_ever(not_leader(0));
        assert_eq!(client.call(command()).await, done());
        assert_eq!(client.call(command()).await, done());
        let trail = cluster.stage.trail();
        assert_eq!((trail[0], &trail[trail.len() - 2..]), (3, &[2, 2][..]), "{trail:?}");
        cluster.end();
    });
}

#[test]
fn the_map_is_asked_for_when_nodes_contradict_it() {
    on_one_thread(async {
        let mut cluster = Cluster::start(&[1, 1]);
        let client = cluster.client().await;
        let maps = |cluster: &Cluster| cluster.stage.maps_asked.borrow().len();
        // Somebody leads who is not in the map: it is asked for, and the new node is found.
        cluster.nodes.push(FakeNode::start(&cluster.ca, &cluster.stage, 3, 2));
        cluster.tell(2, |_| NodeState::Up, Some(3));
        cluster.nodes[0].will_ever(not_leader(3));
        cluster.nodes[1].will_ever(not_leader(3));
        let (before, since) = (maps(&cluster), Instant::now());
        assert_eq!(client.call(command()).await, done());
        assert!(since.elapsed() < MAP_REFRESH, "not by waiting");
        assert!(maps(&cluster) > before);
        assert_eq!(client.topology(), Topology { partitions: 4, shards: 4 });
        assert_eq!(cluster.stage.trail().last(), Some(&3));
        assert_eq!(client.map().map(|map| map.epoch), Some(2));
        // A connection that fails.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = maps(&cluster);
        cluster.nodes[2].will(&[Reply::Die]);
        cluster.nodes[0].will_ever(DONE);
        assert_eq!(client.call(keyed()).await, done());
        eventually("asked again", || maps(&cluster) > before).await;
        // An older one is not taken.
        cluster.tell(1, |_| NodeState::Down, Some(1));
        let before = maps(&cluster);
        eventually("by itself, now and then", || maps(&cluster) > before).await;
        assert_eq!(client.map().map(|map| map.epoch), Some(2));
        // One of another cluster neither.
        if let Some(map) = &mut *cluster.stage.map.borrow_mut() {
            (map.epoch, map.partitions) = (9, 2);
            map.leaders.truncate(2);
        }
        let before = maps(&cluster);
        eventually("again", || maps(&cluster) > before).await;
        assert_eq!(client.map().map(|map| (map.epoch, map.partitions)), Some((2, 4)));
        cluster.end();
    });
}

#[test]
fn a_node_that_left_is_not_asked_any_more() {
    on_one_thread(async {
        let mut cluster = Cluster::start(&[1, 1]);
        let client = cluster.client().await;
        let gone = cluster.nodes.remove(0);
        cluster.tell(2, |_| NodeState::Up, Some(2));
        eventually("told", || client.map().is_some_and(|map| map.epoch == 2)).await;
        for _ in 0..4 {
            assert_eq!(client.call(search()).await, done());
            assert_eq!(client.call(command()).await, done());
        }
        assert_eq!(cluster.stage.trail(), [2; 8]);
        gone.end().await;
        cluster.end();
    });
}

#[test]
fn any_of_several_addresses_will_do() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1]);
        let nobody = sockets(1, None).remove(0).local_addr().expect("bound").to_string();
        let config = client_of(&cluster.ca, Part::Gateway);
        let addresses = [nobody.clone(), "no address".to_owned(), cluster.nodes[1].base.to_string()];
        let since = Instant::now();
        let client = ClusterClient::connect(&addresses, config.clone()).await.expect("one of them");
        assert!(since.elapsed() < Duration::from_millis(2_500), "not one after the other");
        connected(&client, 2).await;
        assert_eq!(client.call(command()).await, done());
        assert_eq!(cluster.stage.trail(), [1], "which it learnt of from the other");
        let error = ClusterClient::connect(&addresses[..2], config.clone()).await.err().expect("nobody is there");
        assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
        assert!(ClusterClient::connect(&[], config.clone()).await.is_err());
        // A map that cannot be is none.
        cluster.stage.map.borrow_mut().as_mut().expect("a map").nodes.clear();
        let error = ClusterClient::connect(&addresses[2..], config).await.err().expect("no map");
        assert!(matches!(error, CallError::Protocol(_)), "{error:?}");
        cluster.end();
    });
}

#[test]
fn nodes_that_moved_are_found_by_the_first_addresses() {
    on_one_thread(async {
        let mut cluster = Cluster::start(&[1]);
        let seed = FakeNode::start(&cluster.ca, &cluster.stage, 7, 1); // answers maps, and is in none
        let addresses = [seed.base.to_string()];
        let client = ClusterClient::connect(&addresses, client_of(&cluster.ca, Part::Gateway)).await.expect("let in");
        connected(&client, 1).await;
        let old = std::mem::replace(&mut cluster.nodes[0], FakeNode::start(&cluster.ca, &cluster.stage, 1, 1));
        cluster.tell(2, |_| NodeState::Up, Some(1));
        old.end().await;
        let mut answer = client.call(command()).await;
        for _ in 0..100 {
            if answer == done() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = client.call(command()).await;
        }
        assert_eq!(answer, done());
        seed.end().await;
        cluster.end();
    });
}

#[test]
fn what_never_left_is_asked_of_another_whatever_it_is() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1, 1]);
        let client = cluster.client().await;
        cluster.nodes[0].end().await;
        eventually("lost", || client.nodes_up() == 2).await;
        // Without a key: but the link was down, so the first node has certainly not seen it.
        cluster.nodes[1].will_ever(not_leader(3));
        let since = Instant::now();
        assert_eq!(client.call(command()).await, done());
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        assert_eq!(cluster.stage.trail().last(), Some(&3));
        for _ in 0..4 {
            assert_eq!(client.call(search()).await, done());
        }
        assert!(!cluster.stage.trail().contains(&1));
        cluster.end();
    });
}

#[test]
fn a_node_alone_is_asked_as_by_its_own_client() {
    on_one_thread(async {
        let mut cluster = Cluster::start(&[2]);
        *cluster.stage.map.borrow_mut() = None;
        let addresses = [cluster.nodes[0].base.to_string()];
        let client = ClusterClient::connect(&addresses, client_of(&cluster.ca, Part::Gateway)).await.expect("let in");
        assert_eq!((client.topology(), client.map()), (Topology { partitions: 4, shards: 2 }, None));
        assert_eq!(client.call(command()).await, done());
        // Nothing is asked again.
        cluster.nodes[0].will(&[fails(Failure::Interrupted), fails(Failure::ShuttingDown)]);
        assert_eq!(client.call(read()).await, failing(Failure::Interrupted));
        assert_eq!(client.call(read()).await, failing(Failure::ShuttingDown));
        assert_eq!(cluster.stage.trail().len(), 3);
        // It joins others.
        cluster.nodes.push(FakeNode::start(&cluster.ca, &cluster.stage, 2, 1));
        cluster.tell(1, |_| NodeState::Up, Some(2));
        eventually("told", || client.map().is_some()).await;
        assert_eq!(client.topology(), Topology { partitions: 4, shards: 3 });
        assert_eq!(client.call(command()).await, done());
        assert_eq!(cluster.stage.trail(), [2]);
        cluster.end();
    });
}

#[test]
fn a_read_for_any_node_that_takes_long_is_asked_of_a_second_one() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1]);
        let client = cluster.client().await.hedge(Duration::from_millis(20));
        let slowly = Duration::from_millis(500);
        cluster.nodes[0].will(&[Reply::Slowly(slowly)]);
        let since = Instant::now();
        assert_eq!(client.call(search()).await, done());
        assert!(since.elapsed() < slowly, "{:?}", since.elapsed());
        assert_eq!(cluster.stage.trail(), [1, 2]);
        eventually("the slow one is told", || cluster.stage.cancelled.get() == 1).await;
        // One that is not slow is asked alone.
        assert_eq!(client.call(search()).await, done());
        assert_eq!(cluster.stage.trail(), [2]);
        cluster.end();
    });
}

#[test]
fn nothing_else_is_hedged() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1]);
        let client = cluster.client().await.hedge(Duration::from_millis(5));
        let at_least = vec![Position { epoch: 0, partition: PartitionId(0), seq: Seq(1) }];
        for (what, request) in [
            ("what the leader reads", read()),
            ("the same, from some position on", Request { at_least, ..read() }),
            ("a command with a key", keyed()),
            ("a reservation", reservation()),
        ] {
            cluster.nodes.iter().for_each(|node| node.will_ever(Reply::Slowly(Duration::from_millis(50))));
            assert_eq!(client.call(request).await, done(), "{what}");
            assert_eq!(cluster.stage.trail(), [1], "{what}");
        }
        // And nothing at all unless it was wished for.
        let client = cluster.client().await;
        assert_eq!(client.call(search()).await, done());
        assert_eq!(cluster.stage.trail().len(), 1);
        cluster.end();
    });
}

#[test]
fn a_hedge_that_fails_does_not_win_and_hedges_run_out() {
    on_one_thread(async {
        let cluster = Cluster::start(&[1, 1]);
        let client = cluster.client().await.hedge(Duration::from_millis(5));
        let slowly = Reply::Slowly(Duration::from_millis(30));
        // Both are slow, so that who is second does not matter: one of them then fails.
        cluster.nodes[0].will_ever(slowly.clone());
        cluster.nodes[1].will_ever(fails(Failure::Overloaded { retry_after_ms: 1 }));
        loop {
            // Until it is the first one's turn, which is hedged.
            let answer = client.call(search()).await;
            let trail = cluster.stage.trail();
            if trail == [1, 2] {
                assert_eq!(answer, done(), "the answer, not the failure that came before it");
                break;
            }
        }
        // All nodes are slow: after those saved up, few reads are asked twice.
        cluster.nodes[1].will_ever(slowly);
        let calls: Vec<_> = (0..600).map(|_| tokio::spawn(client.call(search()))).collect();
        for call in calls {
            assert_eq!(call.await.expect("no panic"), done());
        }
        let twice = cluster.stage.trail().len() - 600;
        let most = HEDGES_SAVED_MAX as usize + 60;
        assert!(twice <= most && twice >= HEDGES_SAVED_MAX as usize - 10, "{twice} of 600 were asked twice");
        cluster.end();
    });
}

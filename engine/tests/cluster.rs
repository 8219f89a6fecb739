//! Three engines that are one cluster, over real links, files and clocks.

mod common;

use common::{config, run_async, under_both_drivers, verify_sound};
use engine::{
    Config, Engine, Shutdown, WireListen,
    node::{self, Joining, Place},
    shard::PeerNode,
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use wire::{
    Body, Client, ClusterMap, Millis, NodeFacts, NodeId, NodeStanding, NodeState, Op, PartitionId, Position, Principal, ReplicaView,
    Request, Role,
    quic::{ClusterClient, DevCa, Identity, Part, QuicClient, client_config},
};

under_both_drivers! {
    a_cluster_grows_from_one_node_and_outlives_each
    a_node_whose_folder_is_gone_is_replaced
}

/// Longest wait for anything: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const SHARDS: u16 = 2;
const PARTITIONS: u16 = 8;

fn now() -> Millis {
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Millis(u64::try_from(since.as_millis()).unwrap())
}

/// Ports in a row that are free, most likely.
fn ports() -> SocketAddr {
    loop {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        if first.port() < u16::MAX - 2 && UdpSocket::bind((Ipv4Addr::LOCALHOST, first.port() + 1)).is_ok() {
            return first;
        }
    }
}

struct Cluster {
    folder: TempDir,
    authority: DevCa,
    nodes: BTreeMap<&'static str, Node>,
}

struct Node {
    data: PathBuf,
    address: SocketAddr,
    engine: Option<Engine>,
}

impl Cluster {
    /// Of one node, `a`.
    fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { folder, authority: DevCa::generate(now()).unwrap(), nodes: BTreeMap::new() };
        let (data, address) = cluster.place("a");
        // A shop that was alone before.
        drop(Engine::open(Config { partitions: Some(PARTITIONS), ..config(&data, SHARDS) }).unwrap());
        node::init(&data, &place("a", address)).unwrap();
        cluster.nodes.insert("a", Node { data, address, engine: None });
        cluster.start("a");
        cluster
    }

    fn place(&self, name: &str) -> (PathBuf, SocketAddr) {
        (self.folder.path().join(name), ports())
    }

    fn start(&mut self, name: &'static str) {
        let Node { data, address, engine } = self.nodes.get_mut(name).unwrap();
        let file = engine::node::NodeFile::read(data).unwrap().unwrap();
        let credentials = self.authority.issue(&node::identity(file.node), now()).unwrap();
        let wire = WireListen { listen: *address, authority_pem: self.authority.certificate_pem().to_owned(), credentials };
        *engine = Some(Engine::open(Config { wire: Some(wire), partitions: Some(PARTITIONS), ..config(data, SHARDS) }).unwrap());
    }

    /// Like a crash.
    fn kill(&mut self, name: &str) {
        drop(self.nodes.get_mut(name).unwrap().engine.take());
    }

    fn stop(&mut self, name: &str) -> Shutdown {
        self.nodes.get_mut(name).unwrap().engine.take().unwrap().shutdown()
    }

    fn client_of(&self, part: Part) -> quinn::ClientConfig {
        let credentials = self.authority.issue(&Identity::new(part, "one").unwrap(), now()).unwrap();
        client_config(self.authority.certificate_pem(), &credentials).unwrap()
    }

    async fn client(&self, part: Part) -> ClusterClient {
        let addresses: Vec<String> =
            self.nodes.values().filter(|node| node.engine.is_some()).map(|node| node.address.to_string()).collect();
        ClusterClient::connect(&addresses, self.client_of(part)).await.unwrap()
    }

    /// A node joins.
    async fn join(&mut self, name: &'static str) -> NodeId {
        let (data, address) = self.place(name);
        let operator = self.client(Part::Engine).await;
        let place = place(name, address);
        let Place { name: as_said, address: at, zone, region } = place.clone();
        let facts = NodeFacts { name: as_said, address: at, shards: SHARDS, zone, region };
        let until = Instant::now() + PATIENCE;
        let node = loop {
            match operator.call(Request::system(Op::AddNode(facts.clone()))).await.unwrap().result {
                Ok(Body::Node(node)) => break node,
                // It has no leader yet.
                other => assert!(Instant::now() < until, "{other:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        };
        let map = map(&operator).await.unwrap();
        let peers = map.nodes.into_iter().filter(|known| known.id != node);
        let peers = peers.map(|known| PeerNode { node: known.id, address: known.address, shards: known.shards }).collect();
        let shop_key = std::fs::read(self.nodes["a"].data.join("keys/shop.key")).unwrap().try_into().unwrap();
        let about = node::about(&self.nodes["a"].data).unwrap();
        let joining = Joining { node, place, partitions: about.partitions, epoch: about.epoch, shop_key, peers };
        node::join(&data, &joining).unwrap();
        self.nodes.insert(name, Node { data, address, engine: None });
        self.start(name);
        node
    }

    /// Waits until each node's replicas are as wanted.
    async fn until_replicas(&self, what: &str, are: impl Fn(&ReplicaView) -> bool) {
        let until = Instant::now() + PATIENCE;
        for node in self.nodes.values().filter(|node| node.engine.is_some()) {
            let client = QuicClient::connect(node.address, self.client_of(Part::Engine)).await.unwrap();
            loop {
                let answer = client.call(Request::system(Op::Replicas)).await.unwrap().result;
                let Ok(Body::Replicas(replicas)) = &answer else { panic!("{answer:?}") };
                assert_eq!(replicas.len(), usize::from(PARTITIONS));
                if replicas.iter().all(&are) {
                    break;
                }
                assert!(Instant::now() < until, "{what}: {replicas:?}");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until all nodes of so many are up and have a say, so that any one may go.
    async fn until_whole(&self, nodes: usize) {
        self.until("all are up", serves(nodes)).await;
        self.until_replicas("each has a say", |replica| replica.counts && replica.leader.is_some()).await;
    }

    /// Waits until the cluster is as wanted, as one that is asked sees it.
    async fn until(&self, what: &str, is: impl Fn(&ClusterMap) -> bool) {
        let operator = self.client(Part::Engine).await;
        let until = Instant::now() + PATIENCE;
        loop {
            let map = map(&operator).await;
            if map.as_ref().is_some_and(&is) {
                return;
            }
            assert!(Instant::now() < until, "{what}: {map:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn place(name: &str, address: SocketAddr) -> Place {
    Place { name: name.into(), address: address.to_string(), zone: format!("zone-{name}"), region: "home".into() }
}

async fn map(client: &ClusterClient) -> Option<ClusterMap> {
    match client.call(Request { timeout_ms: 1_000, ..Request::system(Op::ClusterMap) }).await.ok()?.result {
        Ok(Body::ClusterMap(map)) => map.map(|map| *map),
        _ => None,
    }
}

/// Each partition is led by one of so many nodes that are all up, each of which leads some.
fn is_led_by(nodes: usize) -> impl Fn(&ClusterMap) -> bool {
    move |map| {
        let leaders: std::collections::BTreeSet<NodeId> = map.leaders.iter().flatten().copied().collect();
        map.nodes.iter().filter(|node| node.state == NodeState::Up).count() == nodes
            && map.leaders.iter().all(Option::is_some)
            && leaders.len() == nodes
    }
}

/// Each partition is led by one of so many nodes that are all up.
fn serves(nodes: usize) -> impl Fn(&ClusterMap) -> bool {
    move |map| {
        let is_up = |id: &NodeId| map.nodes.iter().any(|node| node.id == *id && node.state == NodeState::Up);
        map.nodes.iter().filter(|node| node.state == NodeState::Up).count() == nodes
            && map.leaders.iter().all(|leader| leader.as_ref().is_some_and(is_up))
    }
}

/// Makes a cart in each partition, in spite of what happens to nodes; the positions of those that are known to be made.
async fn carts(client: &ClusterClient) -> Vec<(wire::CartId, Position)> {
    let mut made = Vec::new();
    for partition in (0..PARTITIONS).map(PartitionId) {
        let until = Instant::now() + PATIENCE;
        loop {
            let op = Op::CreateCart { currency: "EUR".parse().unwrap(), partition };
            let request = Request { principal: Principal::Staff { role: Role::Admin }, timeout_ms: 5_000, ..Request::system(op) };
            match client.call(request).await {
                Ok(wire::Response { positions, result: Ok(Body::Cart(cart)), .. }) => {
                    made.push((cart.id, positions[0]));
                    break;
                }
                // Nobody knows of it, so it counts for nothing.
                other => assert!(Instant::now() < until, "{partition:?}: {other:?} {:?}", client.map()),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    made
}

/// All of them are there, whoever is asked.
async fn are_there(client: &ClusterClient, carts: &[(wire::CartId, Position)]) {
    for (cart, position) in carts {
        let until = Instant::now() + PATIENCE;
        loop {
            let request = Request {
                principal: Principal::System,
                timeout_ms: 5_000,
                at_least: vec![*position],
                ..Request::system(Op::GetCart(*cart))
            };
            match client.call(request).await {
                Ok(response) if matches!(response.result, Ok(Body::Cart(_))) => break,
                Ok(response) if matches!(response.result, Err(wire::Failure::Refused(_))) => {
                    panic!("{cart} at {position:?} is lost: {response:?}")
                }
                other => assert!(Instant::now() < until, "{other:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn a_cluster_grows_from_one_node_and_outlives_each() {
    run_async(grows());
}

async fn grows() {
    let mut cluster = Cluster::found();
    cluster.until("the first node leads", is_led_by(1)).await;
    let client = cluster.client(Part::Engine).await;
    let mut made = carts(&client).await;
    assert_eq!(cluster.join("b").await, NodeId(2));
    assert_eq!(cluster.join("c").await, NodeId(3));
    cluster.until("all three lead", is_led_by(3)).await;
    made.extend(carts(&client).await);
    for name in ["a", "b", "c"] {
        cluster.kill(name);
        made.extend(carts(&client).await);
        are_there(&client, &made).await;
        cluster.start(name);
        cluster.until_whole(3).await;
    }
    // In order: nothing is interrupted, and the folder ends with a mark.
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.stop(name), Shutdown::Drained);
        made.extend(carts(&client).await);
        cluster.start(name);
        cluster.until_whole(3).await;
    }
    are_there(&client, &made).await;
    for name in ["a", "b", "c"] {
        cluster.kill(name);
        assert!(verify_sound(&cluster.nodes[name].data).entries > 0);
    }
}

fn a_node_whose_folder_is_gone_is_replaced() {
    run_async(replaced());
}

async fn replaced() {
    let mut cluster = Cluster::found();
    cluster.until("the first node leads", is_led_by(1)).await;
    cluster.join("b").await;
    cluster.join("c").await;
    cluster.until("all three lead", is_led_by(3)).await;
    let client = cluster.client(Part::Engine).await;
    let made = carts(&client).await;
    cluster.kill("b");
    std::fs::remove_dir_all(&cluster.nodes["b"].data).unwrap();
    cluster.nodes.remove("b");
    assert_eq!(cluster.join("b").await, NodeId(4), "a new node under the old name");
    cluster.until("all three lead", is_led_by(3)).await;
    are_there(&client, &made).await;
    // The others go, in order; what is left is the new node's.
    for name in ["a", "c"] {
        let operator = cluster.client(Part::Engine).await;
        let node = map(&operator).await.unwrap().named(name).unwrap().id;
        for standing in [NodeStanding::Draining, NodeStanding::Removed] {
            let op = Op::ChangeNode { node, address: None, zone: None, region: None, standing: Some(standing) };
            let until = Instant::now() + PATIENCE;
            loop {
                let result = operator.call(Request::system(op.clone())).await.map(|response| response.result);
                if result == Ok(Ok(Body::Node(node))) {
                    break;
                }
                assert!(Instant::now() < until, "{result:?}");
                sleep(Duration::from_millis(20)).await;
            }
        }
        cluster.until_replicas("it has no vote", |replica| !replica.voters.contains(&node)).await;
        cluster.kill(name);
        cluster.nodes.remove(name);
    }
    cluster.until("the last one leads", serves(1)).await;
    are_there(&cluster.client(Part::Engine).await, &made).await;
}

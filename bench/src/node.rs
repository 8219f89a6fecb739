//! An engine node under measurement: the program with its wire protocol, and clients of it.

use crate::{
    server::{BenchError, Link, Server},
    swarm::Swarm,
};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use wire::{
    Body, Client as _, Op, Request,
    placement::{self, Space},
    quic::{Credentials, QuicClient, client_config},
};

/// A node of our own.
pub(crate) struct Node {
    server: Server,
    address: SocketAddr,
    config: quinn::ClientConfig,
    operator: quinn::ClientConfig,
    /// Of its cluster.
    followers: Vec<Self>,
}

/// Leads are handed to where they belong some ten seconds after a cluster has come together.
const SETTLED: Duration = Duration::from_secs(15);
/// Longest that takes.
const TOGETHER_MAX: Duration = Duration::from_secs(60);

impl Node {
    /// An engine alone, with one shard.
    pub(crate) fn start(program: &Path, data: &Path, cpu: Option<usize>) -> Result<Self, BenchError> {
        let cpu = cpu.map(|cpu| cpu.to_string());
        let mut arguments = vec!["engine", "--wire-listen", "127.0.0.1:0", "--shards", "1"];
        if let Some(cpu) = &cpu {
            arguments.extend(["--cpus", cpu]);
        }
        Self::of(Server::run(program, data, &arguments)?)
    }

    /// A cluster of so many nodes with one shard each, as the one of them that leads the partition of a location. Node by node on the cores.
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) async fn start_cluster(
        program: &Path,
        folder: &Path,
        nodes: usize,
        location: &str,
        cpus: &[usize],
    ) -> Result<Self, BenchError> {
        let run = |arguments: &[&str]| {
            let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.map_err(BenchError::io(format!("start {}", program.display())))
        };
        let must = |arguments: &[&str]| match run(arguments)?.success() {
            true => Ok(()),
            false => Err(BenchError::other(format!("{} {} fails", program.display(), arguments.join(" ")))),
        };
        let first = folder.join("n1").display().to_string();
        let invitation = folder.join("invitation").display().to_string();
        let mut all = Vec::new();
        for (number, cpu) in (1..=nodes).zip(cpus.iter().cycle()) {
            let name = format!("n{number}");
            let data = folder.join(&name);
            let here = data.display().to_string();
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(BenchError::io("a free port"))?;
            let address = socket.local_addr().map_err(BenchError::io("a free port"))?.to_string();
            drop(socket);
            let place = ["--data", &here, "--name", &name, "--address", &address];
            match number {
                1 => must(&[&["cluster", "init"], &place[..]].concat())?,
                _ => must(&[&["cluster", "join", "--invitation", &invitation, "--shards", "1"], &place[..]].concat())?,
            }
            all.push(Self::of(Server::run(program, &data, &["engine", "--shards", "1", "--cpus", &cpu.to_string()])?)?);
            if number == 1 {
                must(&["cluster", "invite", "--data", &first, "--for", "node", "--out", &invitation])?;
            }
        }
        let begun = Instant::now();
        while !run(&["cluster", "status", "--data", &first])?.success() {
            if begun.elapsed() > TOGETHER_MAX {
                return Err(BenchError::other("the nodes do not come together"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        tokio::time::sleep(SETTLED).await;
        let operator = all[0].operator().await?;
        let Ok(Body::ClusterMap(Some(map))) = operator.call(Request::system(Op::ClusterMap)).await.map_err(BenchError::other)?.result
        else {
            return Err(BenchError::other("the nodes give no map"));
        };
        let partition = placement::partition_of(Space::Location, location.as_bytes(), map.partitions);
        let leader = map.leader(partition).and_then(|leader| map.nodes.iter().find(|node| node.id == leader));
        let leads = |node: &Self| leader.is_some_and(|leader| leader.address == node.address.to_string());
        let at = all.iter().position(leads).ok_or_else(|| BenchError::other("nobody leads the stock"))?;
        let mut node = all.swap_remove(at);
        node.followers = all;
        Ok(node)
    }

    /// The others of its cluster.
    pub(crate) fn followers(&self) -> &[Self] {
        &self.followers
    }

    /// A program that serves the wire protocol.
    pub(crate) fn of(server: Server) -> Result<Self, BenchError> {
        let link = server.found.wire.as_ref();
        let Link { address, ca, certificate, key, operator_certificate, operator_key } =
            link.ok_or_else(|| BenchError::other("the node does not serve the wire protocol"))?;
        let read = |path: &Path| std::fs::read_to_string(path).map_err(BenchError::io(path.display().to_string()));
        let authority = read(ca)?;
        let config = |certificate: &Path, key: &Path| {
            let credentials = Credentials { certificate_pem: read(certificate)?, key_pem: read(key)? };
            client_config(&authority, &credentials).map_err(BenchError::other)
        };
        let (config, operator) = (config(certificate, key)?, config(operator_certificate, operator_key)?);
        Ok(Self { address: *address, server, config, operator, followers: Vec::new() })
    }

    /// The program, to go on with.
    pub(crate) fn into_server(self) -> Server {
        self.server
    }

    /// Clients with a connection each, from one socket.
    pub(crate) async fn connect(&self, count: usize) -> Result<Vec<QuicClient>, BenchError> {
        let endpoint = QuicClient::endpoint(self.address, self.config.clone()).map_err(BenchError::other)?;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(QuicClient::connect_from(endpoint.clone(), self.address).await.map_err(BenchError::other)?);
        }
        Ok(clients)
    }

    /// The same without the client library.
    pub(crate) fn swarm(&self, connections: usize, lanes: usize) -> Result<Swarm, BenchError> {
        Swarm::connect(self.address, &self.config, connections, lanes)
    }

    /// A client that may ask everything.
    pub(crate) async fn operator(&self) -> Result<QuicClient, BenchError> {
        QuicClient::connect(self.address, self.operator.clone()).await.map_err(BenchError::other)
    }

    pub(crate) fn cpu_us(&self) -> Result<u64, BenchError> {
        self.server.cpu_us()
    }

    pub(crate) fn rss_mb(&self) -> Result<f64, BenchError> {
        self.server.rss_mb()
    }
}

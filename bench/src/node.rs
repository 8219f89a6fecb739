//! An engine node under measurement: the program with its wire protocol, and clients of it.

use crate::{
    server::{BenchError, Link, Server},
    swarm::Swarm,
};
use std::{net::SocketAddr, path::Path};
use wire::quic::{Credentials, QuicClient, client_config};

/// A node of our own.
pub(crate) struct Node {
    server: Server,
    address: SocketAddr,
    config: quinn::ClientConfig,
    operator: quinn::ClientConfig,
}

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
        Ok(Self { address: *address, server, config, operator })
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

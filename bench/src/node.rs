//! An engine node under measurement: the program with its wire protocol, and clients of it.

use crate::{
    server::{BenchError, cpu_us, rss_mb},
    swarm::Swarm,
};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use wire::quic::{Credentials, QuicClient, client_config};

/// Longest a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// What `server.json` says of the wire protocol.
#[derive(Deserialize)]
struct Link {
    address: SocketAddr,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    operator_certificate: PathBuf,
    operator_key: PathBuf,
}

/// `server.json` of a running node.
#[derive(Deserialize)]
struct Found {
    wire: Option<Link>,
}

/// A node of our own.
pub(crate) struct Node {
    child: Child,
    address: SocketAddr,
    config: quinn::ClientConfig,
    operator: quinn::ClientConfig,
}

impl Node {
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) fn start(program: &Path, data: &Path, cpu: Option<usize>) -> Result<Self, BenchError> {
        // Left by a killed one.
        let _ = std::fs::remove_file(data.join("server.json"));
        let begun = Instant::now();
        let mut command = Command::new(program);
        command.args(["engine", "--wire-listen", "127.0.0.1:0", "--shards", "1", "--data"]).arg(data);
        if let Some(cpu) = cpu {
            command.args(["--cpus", &cpu.to_string()]);
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(BenchError::io(format!("start {}; build it with cargo build --release", program.display())))?;
        let file = data.join("server.json");
        while begun.elapsed() < START_MAX {
            if let Some(status) = child.try_wait().map_err(BenchError::io("wait for the node"))? {
                return Err(BenchError::other(format!("the node ended at its start: {status}")));
            }
            if let Ok(text) = std::fs::read_to_string(&file) {
                let found: Found = serde_json::from_str(&text).map_err(BenchError::other)?;
                let link = found.wire.ok_or_else(|| BenchError::other("the node does not serve the wire protocol"))?;
                let read = |path: &Path| std::fs::read_to_string(path).map_err(BenchError::io(path.display().to_string()));
                let authority = read(&link.ca)?;
                let config = |certificate: &Path, key: &Path| {
                    let credentials = Credentials { certificate_pem: read(certificate)?, key_pem: read(key)? };
                    client_config(&authority, &credentials).map_err(BenchError::other)
                };
                let operator = config(&link.operator_certificate, &link.operator_key)?;
                let config = config(&link.certificate, &link.key)?;
                return Ok(Self { child, address: link.address, config, operator });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // Ended by `Drop` of nobody: it is not a `Node` yet.
        let _ = child.kill();
        Err(BenchError::other("the node did not come up within a minute"))
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
        cpu_us(self.child.id())
    }

    pub(crate) fn rss_mb(&self) -> Result<f64, BenchError> {
        rss_mb(self.child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already ended: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

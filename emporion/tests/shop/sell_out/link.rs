//! The engine link from outside: where it is after each start, and connections that outlive kills.
//!
//! A server that was killed cannot say that it is gone. So whoever waits for an answer also waits for the next start ([`Server`]), gives the answer
//! up when it comes, and asks the new server the same again: the request's own id makes it happen once.

use crate::process::{PATIENCE, running};
use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};
use wire::{
    Body, CallError, Client as _, ClusterMap, Failure, Op, Request, Response, ShardId,
    quic::{Credentials, QuicClient, client_config},
};

/// How long a node of a cluster may take, where another can be asked.
const NODE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Between two attempts, while the server is away or busy.
const PAUSE: Duration = Duration::from_millis(10);

/// A server that runs.
#[derive(Clone)]
pub(crate) struct Server {
    /// Counts starts.
    pub(super) start: u64,
    pub(super) address: SocketAddr,
    warehouse: quinn::ClientConfig,
    operator: quinn::ClientConfig,
}

/// What the engine's own proof found, over all shards.
pub(super) struct Checked {
    pub(super) rows: u64,
    pub(super) open_holds: u64,
}

impl Server {
    /// What `server.json` says.
    pub(crate) fn read(data: &Path, start: u64) -> Self {
        let wire = running(data).expect("it runs")["wire"].clone();
        let text = |field: &str| wire[field].as_str().unwrap_or_else(|| panic!("no {field} in {wire}"));
        let file = |field: &str| std::fs::read_to_string(text(field)).unwrap_or_else(|error| panic!("{field}: {error}"));
        let config = |certificate: &str, key: &str| {
            let credentials = Credentials { certificate_pem: file(certificate), key_pem: file(key) };
            client_config(&file("ca"), &credentials).expect("certificates")
        };
        Self {
            start,
            address: text("address").parse().expect("an address"),
            warehouse: config("certificate", "key"),
            operator: config("operator_certificate", "operator_key"),
        }
    }

    /// The same, reached elsewhere.
    pub(crate) fn at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// The cluster as the node sees it, if it answers and knows.
    pub(crate) async fn map(&self) -> Option<ClusterMap> {
        let client = QuicClient::connect(self.address, self.operator.clone()).await.ok()?;
        match client.call(Request { timeout_ms: 5_000, ..Request::system(Op::ClusterMap) }).await.ok()?.result {
            Ok(Body::ClusterMap(map)) => map.map(|map| *map),
            _ => None,
        }
    }

    /// Asks every shard to prove that its columns are what its holds and movements add up to.
    pub(super) async fn check(&self) -> Checked {
        let client = QuicClient::connect(self.address, self.operator.clone()).await.expect("a connection");
        let mut sum = Checked { rows: 0, open_holds: 0 };
        for shard in 0..client.topology().shards {
            let request = Request { timeout_ms: 60_000, ..Request::system(Op::CheckStock(ShardId(shard))) };
            match client.call(request).await {
                Ok(Response { result: Ok(Body::Checked { rows, open_holds }), .. }) => {
                    sum = Checked { rows: sum.rows + rows, open_holds: sum.open_holds + open_holds };
                }
                other => panic!("shard {shard}: {other:?}"),
            }
        }
        sum
    }
}

/// Who is asked.
enum Servers {
    /// Whichever runs.
    One(watch::Receiver<Server>),
    /// Whichever leads. Counts moves from one to the next.
    Any { nodes: Vec<Server>, moves: AtomicU64 },
}

/// One connection to whoever answers.
pub(super) struct Connection {
    servers: Servers,
    /// To the start with this number, or since so many moves.
    client: Mutex<Option<(u64, QuicClient)>>,
}

impl Connection {
    pub(super) fn new(servers: watch::Receiver<Server>) -> Self {
        Self { servers: Servers::One(servers), client: Mutex::new(None) }
    }

    /// To nodes of a cluster, by turns until one leads.
    pub(super) fn to_any(nodes: Vec<Server>) -> Self {
        Self { servers: Servers::Any { nodes, moves: AtomicU64::new(0) }, client: Mutex::new(None) }
    }

    /// Sends until there is an answer. `sends` is called at each, and `losses` counts those that may have arrived and had no answer.
    pub(super) async fn ask(&self, request: &Request, mut sends: impl FnMut(), losses: &mut u64) -> Response {
        let mut servers = match &self.servers {
            Servers::One(servers) => servers.clone(),
            Servers::Any { nodes, moves } => return self.ask_any(nodes, moves, request, sends, losses).await,
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let server = servers.borrow_and_update().clone();
            let last = match self.client(&server).await {
                Ok(client) => {
                    sends();
                    let answer = tokio::select! {
                        answer = client.call(request.clone()) => Some(answer),
                        next = servers.changed() => next.ok().map_or_else(|| panic!("the run is over"), |()| None),
                    };
                    match answer {
                        Some(Ok(Response { result: Err(Failure::Overloaded { .. }), .. }) | Err(CallError::QueueFull)) => {
                            "nothing was done".to_owned()
                        }
                        Some(Ok(Response {
                            result: Err(failure @ (Failure::DeadlineExceeded | Failure::ShuttingDown | Failure::Interrupted)),
                            ..
                        })) => {
                            *losses += 1;
                            format!("{failure:?}")
                        }
                        Some(Ok(response)) => return response,
                        Some(Err(error)) => {
                            *losses += 1;
                            error.to_string()
                        }
                        None => {
                            *losses += 1;
                            continue;
                        }
                    }
                }
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < until, "no answer: {last}");
            sleep(PAUSE).await;
        }
    }

    /// The same at nodes of a cluster. Nobody waits long for one that may be gone: what it was asked, it may do or not, and another is asked the same.
    async fn ask_any(&self, nodes: &[Server], moves: &AtomicU64, request: &Request, mut sends: impl FnMut(), losses: &mut u64) -> Response {
        let until = Instant::now() + PATIENCE;
        let request = Request { timeout_ms: NODE_WAIT_MAX.as_millis() as u32, ..request.clone() };
        loop {
            let start = moves.load(Ordering::SeqCst);
            let node = Server { start, ..nodes[start as usize % nodes.len()].clone() };
            let last = match timeout(NODE_WAIT_MAX, self.client(&node)).await {
                Ok(Ok(client)) => {
                    sends();
                    match timeout(NODE_WAIT_MAX, client.call(request.clone())).await {
                        Ok(Ok(Response { result: Err(failure @ (Failure::Overloaded { .. } | Failure::NotLeader { .. })), .. })) => {
                            format!("{failure:?}")
                        }
                        Ok(Ok(Response {
                            result: Err(failure @ (Failure::DeadlineExceeded | Failure::ShuttingDown | Failure::Interrupted)),
                            ..
                        })) => {
                            *losses += 1;
                            format!("{failure:?}")
                        }
                        Ok(Ok(response)) => return response,
                        Ok(Err(CallError::QueueFull)) => "nothing was done".to_owned(),
                        Ok(Err(error)) => {
                            *losses += 1;
                            error.to_string()
                        }
                        Err(_) => {
                            *losses += 1;
                            "it took too long".to_owned()
                        }
                    }
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no connection".to_owned(),
            };
            assert!(Instant::now() < until, "no answer: {last}");
            // Of those who share the connection, one moves it.
            let _ = moves.compare_exchange(start, start + 1, Ordering::SeqCst, Ordering::SeqCst);
            sleep(PAUSE).await;
        }
    }

    async fn client(&self, server: &Server) -> Result<QuicClient, CallError> {
        let mut slot = self.client.lock().await;
        match &*slot {
            Some((start, client)) if *start == server.start => Ok(client.clone()),
            _ => {
                let client = QuicClient::connect(server.address, server.warehouse.clone()).await?;
                *slot = Some((server.start, client.clone()));
                Ok(client)
            }
        }
    }
}

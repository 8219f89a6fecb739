//! The engine under load: in this process, or a program of its own; stocked before, proved after.

use super::{
    Arguments, Transport,
    load::{LOCATION, sku},
};
use crate::{
    node::Node,
    server::{BenchError, Others},
    swarm::Swarm,
};
use engine::{Config, Engine};
use std::{path::Path, sync::Arc};
use wire::{
    Body, Client, Op, Principal, Request, ReserveLine, Role, ShardId,
    limits::{RESERVE_LINES_MAX, STOCK_UNITS_MAX},
};

/// A time to live that no reservation of a run reaches.
const LASTING_MS: u32 = 300_000;

/// Reservations up to which the running engine is asked to check its books: it walks all it remembers and answers nobody meanwhile, and a link that hears nothing for ten
/// seconds is dead. Beyond it the replay of the log alone proves them.
const CHECKED_LIVE_MAX: u64 = 5_000_000;

/// On whose behalf stock is reserved.
pub(super) const WAREHOUSE: Principal = Principal::Staff { role: Role::Warehouse };

pub(super) enum Target {
    Log { engine: Engine, client: Arc<dyn Client>, threads: Others },
    Quic { node: Box<Node>, clients: Vec<Arc<dyn Client>> },
}

impl Target {
    pub(super) async fn start(arguments: &Arguments, shard: Option<usize>, data: &Path) -> Result<Self, BenchError> {
        let target = match arguments.transport {
            Transport::Log => {
                let threads = Others::from_now_on()?;
                let mut config = Config::new(data);
                config.shards = Some(1);
                config.cpus = shard.map(|cpu| vec![cpu]);
                let engine = Engine::open(config).map_err(BenchError::other)?;
                let client = engine.client();
                Self::Log { engine, client, threads }
            }
            Transport::Quic => {
                let node = match arguments.nodes {
                    1 => Node::start(&arguments.program, data, shard)?,
                    nodes => {
                        std::fs::create_dir_all(data).map_err(BenchError::io("a folder for the nodes"))?;
                        Node::start_cluster(&arguments.program, data, nodes, LOCATION, &arguments.cores()?).await?
                    }
                };
                let node = Box::new(node);
                // One to stock it, when the load has connections of its own.
                let connect = node.connect(if arguments.library { arguments.connections } else { 1 }).await?;
                let clients = connect.into_iter().map(|client| -> Arc<dyn Client> { Arc::new(client) }).collect();
                Self::Quic { node, clients }
            }
        };
        target.stock(arguments.sku_count).await?;
        Ok(target)
    }

    /// A node that runs already, stocked.
    pub(super) async fn of(node: Node, skus: u32) -> Result<Self, BenchError> {
        let clients = node.connect(1).await?.into_iter().map(|client| -> Arc<dyn Client> { Arc::new(client) }).collect();
        let target = Self::Quic { node: Box::new(node), clients };
        target.stock(skus).await?;
        Ok(target)
    }

    /// The way of one caller.
    pub(super) fn client(&self, connection: usize) -> Arc<dyn Client> {
        match self {
            Self::Log { client, .. } => Arc::clone(client),
            Self::Quic { clients, .. } => Arc::clone(&clients[connection]),
        }
    }

    /// Connections for load without the client library, where that is wanted.
    pub(super) fn swarm(&self, arguments: &Arguments) -> Result<Option<Swarm>, BenchError> {
        match self {
            Self::Quic { node, .. } if !arguments.library => node.swarm(arguments.connections, arguments.pipeline).map(Some),
            Self::Quic { .. } | Self::Log { .. } => Ok(None),
        }
    }

    async fn stock(&self, skus: u32) -> Result<(), BenchError> {
        let client = self.client(0);
        let all: Vec<u32> = (0..skus).collect();
        for (delivery, numbers) in all.chunks(RESERVE_LINES_MAX).enumerate() {
            let lines = numbers.iter().map(|number| ReserveLine { sku: sku(*number), quantity: STOCK_UNITS_MAX }).collect();
            let op = Op::ReceiveStock { id: delivery as u128, location: LOCATION.to_owned(), lines };
            let response = client.call(Request { principal: WAREHOUSE, ..Request::system(op) }).await.map_err(BenchError::other)?;
            response.result.map_err(|failure| BenchError::other(format!("no stock: {failure:?}")))?;
        }
        Ok(())
    }

    /// The books agree, and every acknowledged reservation is in them.
    pub(super) async fn prove(&self, arguments: &Arguments, reserved: u64) -> Result<(), BenchError> {
        if reserved > CHECKED_LIVE_MAX {
            return Ok(());
        }
        let client = match self {
            Self::Log { client, .. } => Arc::clone(client),
            Self::Quic { node, .. } => Arc::new(node.operator().await?),
        };
        let response = client.call(Request { timeout_ms: 60_000, ..Request::system(Op::CheckStock(ShardId(0))) }).await;
        match response.map_err(BenchError::other)?.result {
            Ok(Body::Checked { rows, open_holds }) if rows == u64::from(arguments.sku_count) => {
                // Those that fell back during the run were there too.
                if arguments.ttl_ms >= LASTING_MS && open_holds != reserved {
                    return Err(BenchError::other(format!("{reserved} reservations were acknowledged, {open_holds} are held")));
                }
                Ok(())
            }
            other => Err(BenchError::other(format!("the stock does not add up: {other:?}"))),
        }
    }

    /// Ends the engine like a crash, reads its log back as a start would, and says how long it was. What was
    /// acknowledged must be in what is read: in the log, or in the snapshots behind which a long run's log was cut.
    pub(super) fn replay(self, data: &Path, arguments: &Arguments, reserved: u64) -> Result<engine::Report, BenchError> {
        match self {
            Self::Log { engine, .. } => drop(engine),
            Self::Quic { node, .. } => drop(node),
        }
        let report = engine::verify(data).map_err(BenchError::other)?;
        if !report.is_sound() || report.commands() < reserved {
            return Err(BenchError::other(format!("{reserved} reservations were acknowledged; the log does not replay: {report:?}")));
        }
        // Time stands still after the log's end, so what had not fallen back by then is held.
        if arguments.ttl_ms >= LASTING_MS && report.open_holds() < reserved {
            return Err(BenchError::other(format!("{reserved} reservations were acknowledged, the log holds {}", report.open_holds())));
        }
        Ok(report)
    }

    /// CPU time of the engine so far, microseconds.
    pub(super) fn cpu_us(&self) -> Result<u64, BenchError> {
        match self {
            Self::Log { threads, .. } => threads.cpu_us(),
            Self::Quic { node, .. } => node.cpu_us(),
        }
    }

    /// The same of each other node of the cluster.
    pub(super) fn followers_cpu_us(&self) -> Result<Vec<u64>, BenchError> {
        match self {
            Self::Log { .. } => Ok(Vec::new()),
            Self::Quic { node, .. } => node.followers().iter().map(Node::cpu_us).collect(),
        }
    }

    pub(super) fn rss_mb(&self) -> Result<f64, BenchError> {
        match self {
            Self::Log { .. } => crate::server::rss_mb(std::process::id()),
            Self::Quic { node, .. } => node.rss_mb(),
        }
    }
}

//! QUIC on a shard's own thread: quinn over tokio, and the endpoint a shard listens on.
//!
//! Path: datagrams → quinn's tasks → `wire::quic::Server` → the service → quinn → datagrams, all on the shard's thread between the turns of its loop.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use wire::{
    ShardId, Topology,
    quic::{NodeLink, Server, ServerHandle, Service, node_link::NodePeer, server::LocalTask},
};

use crate::shard::drivers::turns::{EndOnPanic, Link};

/// Listens on the calling thread's runtime and answers with `service`, until [`Link::leave`].
///
/// # Errors
/// If the address cannot be had, or the socket not be set up.
pub(super) fn listen(
    address: SocketAddr,
    tls: quinn::ServerConfig,
    topology: Topology,
    shard: ShardId,
    service: impl Service,
) -> io::Result<Listening> {
    let socket = UdpSocket::bind(address)?;
    let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(tls), socket, Arc::new(quinn::TokioRuntime))?;
    let server = Server::new(endpoint, topology, shard, move |task| start(shard, task));
    let handle = server.handle();
    start(shard, Box::pin(server.serve(service)));
    Ok(Listening { server: handle, shard })
}

fn start(shard: ShardId, task: LocalTask) {
    drop(tokio::task::spawn_local(async move {
        // tokio would keep a panic to the task.
        let _fault = EndOnPanic(shard);
        task.await;
    }));
}

/// A shard's end of the link while it lasts.
pub(super) struct Listening {
    server: ServerHandle,
    shard: ShardId,
}

impl Link for Listening {
    fn goaway(&self) {
        self.server.goaway();
    }

    fn link(&self, config: quinn::ClientConfig, peer: NodePeer) -> NodeLink {
        let shard = self.shard;
        let sleep = |after| -> LocalTask { Box::pin(tokio::time::sleep(after)) };
        NodeLink::new(self.server.endpoint(), config, peer, move |task| start(shard, task), sleep)
    }

    /// The socket goes with the thread's runtime.
    async fn leave(self, patience: Duration) {
        self.server.goaway();
        if tokio::time::timeout(patience, self.server.drained()).await.is_err() && patience > Duration::ZERO {
            tracing::info!("engine link: clients that did not leave are cut off");
        }
        self.server.close().await;
    }
}

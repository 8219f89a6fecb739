//! HTTP/1.1 and HTTP/2 over TLS on TCP, by hyper. The protocol is what ALPN agreed on, so no connection can sit between the two.

use super::peers::Peers;
use crate::{edge::Edge, metrics::Protocol};
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a TLS handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a request's head may take over HTTP/1.1, and how long such a connection may lie idle.
const HEADERS: Duration = Duration::from_secs(10);
/// Bytes of a request's head; more is 431.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Requests at once on an HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Streams reset by the peer before they were accepted; more ends the connection.
const RESETS_MAX: usize = 20;
/// Streams reset by us for the peer's faults; more ends the connection.
const LOCAL_RESETS_MAX: usize = 64;
/// How often an idle HTTP/2 peer is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// How long accepting rests when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections until `stop`, then waits for those there are.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    edge: Arc<Edge>,
    peers: Arc<Peers>,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = peers.admit(peer.ip()) else { continue };
                    let (acceptor, edge, stop) = (acceptor.clone(), Arc::clone(&edge), stop.clone());
                    connections.spawn(async move {
                        connection(stream, peer.ip().to_canonical(), acceptor, edge, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The handshake, within its time.
pub(super) async fn handshake(stream: TcpStream, acceptor: &TlsAcceptor, edge: &Edge) -> Option<TlsStream<TcpStream>> {
    // Answers are written whole, so waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            edge.app.metrics.handshakes_failed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            edge.app.metrics.handshakes_failed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

/// A builder with every limit set.
pub(super) fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Without a timer hyper's timeouts do nothing.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    match protocol {
        Protocol::H1 => builder.http1_only(),
        Protocol::H2 | Protocol::H3 => builder.http2_only(),
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, acceptor: TlsAcceptor, edge: Arc<Edge>, mut stop: watch::Receiver<bool>) {
    let Some(stream) = handshake(stream, &acceptor, &edge).await else { return };
    let protocol = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Protocol::H2 } else { Protocol::H1 };
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let edge = Arc::clone(&edge);
        async move { Ok::<_, Infallible>(edge.answer(peer, protocol, request.map(Body::new)).await) }
    });
    let builder = builder(protocol);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = stop.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

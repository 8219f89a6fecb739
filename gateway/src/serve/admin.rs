//! The operators' port: `/metrics` over TLS and HTTP/1.1, with its own small limits.

use super::{peers::Peers, tcp};
use crate::{edge::Edge, metrics::Protocol};
use axum::{
    body::Body,
    http::{Method, Response, StatusCode, header},
};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use std::{convert::Infallible, sync::Arc};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_rustls::TlsAcceptor;

fn answer(method: &Method, path: &str, edge: &Edge) -> Response<Body> {
    let respond = |status, kind: &'static str, body: String| {
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, kind).header(header::CACHE_CONTROL, "no-store");
        response.body(Body::from(body)).unwrap_or_default()
    };
    match (path, method) {
        ("/metrics", &Method::GET | &Method::HEAD) => respond(StatusCode::OK, "text/plain; version=0.0.4", edge.app.metrics.text()),
        ("/metrics", _) => respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new()),
        _ => respond(StatusCode::NOT_FOUND, "text/plain", "see /metrics\n".to_owned()),
    }
}

/// Takes connections until `stop`.
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
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                let Some(place) = peers.admit(peer.ip()) else { continue };
                let (acceptor, edge) = (acceptor.clone(), Arc::clone(&edge));
                connections.spawn(async move {
                    let Some(stream) = tcp::handshake(stream, &acceptor, &edge).await else { return };
                    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                        let response = answer(request.method(), request.uri().path(), &edge);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let builder = tcp::builder(Protocol::H1);
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    drop(place);
                });
            }
        }
    }
    // A scrape takes no time; what hangs is dropped with the set.
}

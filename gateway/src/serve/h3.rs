//! HTTP/3: quinn for QUIC, the `h3` crate for frames, and between them and the service this file alone.
//!
//! Path: UDP → quinn (address validation, handshake) → [`connection`] → a task for each request ([`exchange`]): head, body (checked
//! against its declared length), `edge`, answer. When the client resets the stream the task ends, and the handler with it.
//!
//! Guards against what `h3` 0.0.8 leaves open: no limit on decoded headers, no timeouts on heads and bodies, no comparison of
//! content-length with what came, no count of resets.

use super::peers::{Admitted, Peers};
use crate::{
    edge::Edge,
    http::body::{BODY_IDLE, LengthMismatch},
    metrics::Protocol,
};
use axum::{
    body::Body,
    http::{HeaderMap, Request, Response, header},
};
use bytes::{Buf as _, Bytes};
use h3::{error::Code, server::RequestResolver};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

/// How long a handshake may take, and then the exchange of settings.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long the client may take to make room for more of an answer.
const WRITE_IDLE: Duration = Duration::from_secs(30);
/// Bytes of a request's decoded head; more is 431.
const HEADER_BYTES_MAX: u64 = 64 * 1024;
/// Declared bytes up to which a body is read before the handler runs.
const SMALL_BODY_MAX: u64 = 64 * 1024;
/// Pieces of a longer body that wait for the handler.
const PIECES_MAX: usize = 4;
/// Requests at once on a connection.
const STREAMS_MAX: u32 = 100;
/// Handshakes under way at which addresses must be validated first, by a Retry.
const UNVALIDATED_MAX: usize = 256;
/// Requests given up by the client that are always allowed; beyond, a fifth of those completed. More ends the connection, as
/// opening and resetting streams costs the client nothing and us a handler each (CVE-2023-44487 has the shape).
const CANCELLED_MIN: u32 = 100;

type Send = h3::server::RequestStream<h3_quinn::SendStream<Bytes>, Bytes>;
type Recv = h3::server::RequestStream<h3_quinn::RecvStream, Bytes>;

/// How an exchange ended.
enum End {
    Completed,
    Cancelled,
}

pub(super) fn endpoint_config() -> quinn::EndpointConfig {
    quinn::EndpointConfig::default()
}

/// QUIC's own limits, small enough that 20,000 connections are bounded.
pub(super) fn server_config(tls: quinn::crypto::rustls::QuicServerConfig) -> quinn::ServerConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        // Control and the two QPACK streams, and some for greasing.
        .max_concurrent_uni_streams(8u32.into())
        .stream_receive_window((256u32 * 1024).into())
        .receive_window((4u32 * 1024 * 1024).into())
        .send_window(1024 * 1024)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(quinn::VarInt::from_u32(30_000).into()));
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config.max_incoming(1_024).incoming_buffer_size_total(16 * 1024 * 1024);
    config
}

/// Takes connections until `stop`, then waits for those there are.
pub(super) async fn serve(endpoint: quinn::Endpoint, edge: Arc<Edge>, peers: Arc<Peers>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let handshakes = Arc::new(AtomicUsize::new(0));
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(ended) = connections.join_next() => {
                if ended.is_err() {
                    edge.app.metrics.panics.fetch_add(1, Ordering::Relaxed);
                }
            }
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { return };
                // Relaxed: about so many is exact enough.
                if incoming.may_retry() && handshakes.load(Ordering::Relaxed) >= UNVALIDATED_MAX {
                    // The address is as yet only claimed: answering it with more than a Retry would let others be flooded.
                    let _ = incoming.retry();
                    continue;
                }
                let peer = incoming.remote_address().ip();
                let Some(place) = peers.admit(peer) else {
                    incoming.refuse();
                    continue;
                };
                let handshake = Handshake::begin(&handshakes);
                connections.spawn(connection(incoming, handshake, Arc::clone(&edge), place, stop.clone()));
            }
        }
    }
    // Handshakes not begun are left to the close of the endpoint.
    while connections.join_next().await.is_some() {}
}

/// A handshake under way; dropping it ends the count.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One QUIC connection, from its handshake to its end. Its requests end with it.
async fn connection(incoming: quinn::Incoming, handshake: Handshake, edge: Arc<Edge>, _place: Admitted, mut stop: watch::Receiver<bool>) {
    let established = timeout(HANDSHAKE, async {
        let quic = incoming.await.ok()?;
        let mut builder = h3::server::builder();
        let h3 = builder.max_field_section_size(HEADER_BYTES_MAX).build(h3_quinn::Connection::new(quic.clone())).await.ok()?;
        Some((quic, h3))
    });
    let Ok(Some((quic, mut h3))) = established.await else {
        edge.app.metrics.handshakes_failed.fetch_add(1, Ordering::Relaxed);
        return;
    };
    drop(handshake);
    let mut requests = JoinSet::new();
    let (mut completed, mut cancelled) = (0u32, 0u32);
    let mut stopping = false;
    loop {
        tokio::select! {
            accepted = h3.accept() => match accepted {
                // At request time, since a client may move; only validated addresses get here.
                Ok(Some(resolver)) => {
                    let peer = quic.remote_address().ip().to_canonical();
                    requests.spawn(exchange(resolver, peer, Arc::clone(&edge)));
                }
                // The client is done; what it has asked for is still answered.
                Ok(None) => break,
                Err(error) => {
                    if !error.is_h3_no_error() {
                        tracing::debug!(%error, "an HTTP/3 connection broke off");
                    }
                    return;
                }
            },
            Some(ended) = requests.join_next() => {
                match ended {
                    Ok(End::Completed) => completed = completed.saturating_add(1),
                    Ok(End::Cancelled) => {
                        cancelled = cancelled.saturating_add(1);
                        edge.app.metrics.streams_cancelled.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => {
                        edge.app.metrics.panics.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if cancelled > CANCELLED_MIN.saturating_add(completed / 5) {
                    close(&quic, Code::H3_EXCESSIVE_LOAD, b"too many requests given up");
                    return;
                }
                if stopping && requests.is_empty() {
                    break;
                }
            }
            _ = stop.changed(), if !stopping => {
                stopping = true;
                // GOAWAY: requests that came are answered, later ones are rejected and may go elsewhere.
                if h3.shutdown(0).await.is_err() || requests.is_empty() {
                    break;
                }
            }
        }
    }
    while requests.join_next().await.is_some() {}
    close(&quic, Code::H3_NO_ERROR, b"");
}

fn close(quic: &quinn::Connection, code: Code, reason: &[u8]) {
    quic.close(quinn::VarInt::from_u64(code.value()).unwrap_or_default(), reason);
}

/// What a head says of its body's length. `Err` for what is no length.
fn declared(headers: &HeaderMap) -> Result<Option<u64>, LengthMismatch> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let length = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    match (length.and_then(|text| text.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(LengthMismatch),
    }
}

/// One request and its answer.
async fn exchange(resolver: RequestResolver<h3_quinn::Connection, Bytes>, peer: IpAddr, edge: Arc<Edge>) -> End {
    let (request, stream) = match timeout(HEAD, resolver.resolve_request()).await {
        Ok(Ok(resolved)) => resolved,
        // Answered 431 by h3 itself.
        Ok(Err(h3::error::StreamError::HeaderTooBig { .. })) => return End::Completed,
        Ok(Err(_)) | Err(_) => return End::Cancelled,
    };
    let (mut send, mut recv): (Send, Recv) = stream.split();
    let (head, ()) = request.into_parts();
    let Ok(length) = declared(&head.headers) else {
        send.stop_stream(Code::H3_MESSAGE_ERROR);
        return End::Completed;
    };
    // A small body is read first, so that a false length is found before anything is done, and costs no channel.
    if length.is_some_and(|length| length <= SMALL_BODY_MAX) || head.method.is_safe() && length.is_none() {
        let body = match small(&mut recv, length.unwrap_or(0)).await {
            Ok(body) => body,
            Err(Broken::Malformed) => {
                send.stop_stream(Code::H3_MESSAGE_ERROR);
                return End::Completed;
            }
            Err(Broken::Gone) => return End::Cancelled,
        };
        let response = edge.answer(peer, Protocol::H3, Request::from_parts(head, Body::from(body))).await;
        return write(&mut send, response).await;
    }
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    let request = Request::from_parts(head, Body::from_stream(ReceiverStream::new(body)));
    let answered = async {
        let response = edge.answer(peer, Protocol::H3, request).await;
        write(&mut send, response).await
    };
    let mut answered = std::pin::pin!(answered);
    let pumped = tokio::select! {
        end = &mut answered => return end,
        pumped = pump(&mut recv, length, pieces) => pumped,
    };
    match pumped {
        // The handler hears of a false length as an error of its body, and answers 400.
        Ok(()) | Err(Broken::Malformed) => answered.await,
        // Returning drops the handler, and with it the engine call.
        Err(Broken::Gone) => End::Cancelled,
    }
}

/// Why a body did not come whole.
enum Broken {
    /// Another length than declared.
    Malformed,
    /// Reset, or too slow.
    Gone,
}

/// The next piece of the body; `None` at its end.
async fn piece(recv: &mut Recv) -> Result<Option<Bytes>, Broken> {
    match timeout(BODY_IDLE, recv.recv_data()).await {
        Ok(Ok(Some(mut data))) => Ok(Some(data.copy_to_bytes(data.remaining()))),
        Ok(Ok(None)) => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Broken::Gone),
    }
}

/// A body of exactly `length` bytes.
async fn small(recv: &mut Recv, length: u64) -> Result<Bytes, Broken> {
    let mut all = Vec::new();
    while let Some(data) = piece(recv).await? {
        if all.len() as u64 + data.len() as u64 > length {
            return Err(Broken::Malformed);
        }
        all.extend_from_slice(&data);
    }
    if all.len() as u64 == length { Ok(all.into()) } else { Err(Broken::Malformed) }
}

/// Hands the body on to the handler, and checks its length. A handler that does not want the rest ends it.
async fn pump(recv: &mut Recv, length: Option<u64>, pieces: mpsc::Sender<Result<Bytes, LengthMismatch>>) -> Result<(), Broken> {
    let mut total = 0u64;
    loop {
        let data = piece(recv).await?;
        let ended = data.is_none();
        let data = data.unwrap_or_default();
        total = total.saturating_add(data.len() as u64);
        if length.is_some_and(|length| total > length || ended && total < length) {
            let _ = pieces.send(Err(LengthMismatch)).await;
            return Err(Broken::Malformed);
        }
        if ended || pieces.send(Ok(data)).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends the answer, as fast as the client takes it.
async fn write(send: &mut Send, response: Response<Body>) -> End {
    let (mut head, mut body) = response.into_parts();
    // Those belong to a TCP connection (RFC 9114 section 4.2).
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        head.headers.remove(name);
    }
    if let Some(length) = body.size_hint().exact()
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.status.is_informational()
        && head.status != http::StatusCode::NO_CONTENT
        && head.status != http::StatusCode::NOT_MODIFIED
    {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if !matches!(timeout(WRITE_IDLE, send.send_response(Response::from_parts(head, ()))).await, Ok(Ok(()))) {
        return End::Cancelled;
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            send.stop_stream(Code::H3_INTERNAL_ERROR);
            return End::Completed;
        };
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
            && !matches!(timeout(WRITE_IDLE, send.send_data(data)).await, Ok(Ok(())))
        {
            return End::Cancelled;
        }
    }
    match timeout(WRITE_IDLE, send.finish()).await {
        Ok(Ok(())) => End::Completed,
        Ok(Err(_)) | Err(_) => End::Cancelled,
    }
}

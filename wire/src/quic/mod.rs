//! The engine link: frames on long-lived QUIC streams, both ends known by certificate.
//!
//! Path: [`client::QuicClient`] (gateway, tokio) → one connection a shard, a control stream and [`REQUEST_STREAMS_MAX`] request
//! streams → [`server::Server`] (on the shard's own executor) → the engine's handler → back. `PROTOCOL.md` is the specification.
//! Nodes tell each other things one way: [`node_link::NodeLink`] → node streams → [`server::Server`] → [`Service::node`].
//! Read first: the bounds below, then `server`. Here: TLS and transport settings that both ends share, and reading frames off a stream.
//! [`cluster_client::ClusterClient`] asks all nodes of a cluster, over a [`QuicClient`] for each.
//! Boundary: nothing here but `client` and the `cluster_` files needs a particular runtime.

pub mod authority;
pub mod client;
pub mod cluster_client;
mod cluster_nodes;
mod cluster_retry;
mod greeting;
pub mod identity;
pub mod node_link;
mod node_streams;
pub mod server;
pub mod service;
#[cfg(test)]
mod tests;

use crate::frame::{Buffer, DecodeError, Frame, Header, Side};
pub use authority::{AuthorityError, Credentials, DevCa};
pub use client::QuicClient;
pub use cluster_client::ClusterClient;
pub use identity::{Identity, IdentityError, Part};
pub use node_link::NodeLink;
pub use server::{Handled, Server, ServerHandle};
pub use service::{Answer, Service};

use quinn::{
    IdleTimeout, RecvStream, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{sync::Arc, time::Duration};

/// Names the protocol in the TLS handshake.
pub const ALPN: &[u8] = b"emporion/1";
/// Request streams of a connection, besides the control stream.
pub const REQUEST_STREAMS_MAX: u32 = 4;
/// Requests under way on a connection. The server answers one more with `Overloaded`; the client does not send it.
pub const REQUESTS_IN_FLIGHT_MAX: u32 = 1_024;
/// Connections that gateways and adapters have to a shard; one more is closed once it is known to be theirs.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections of a shard beyond those, so that clients cannot keep other nodes out: each shard of another node has one at most. Past the sum of both,
/// handshakes included, whoever comes is refused.
pub const NODE_CONNECTIONS_MAX: usize = 64;
/// Node streams of a connection, one of each lane.
pub const NODE_STREAMS_MAX: u32 = 2;
/// Handshakes a shard has under way; one more is refused. From a quarter of it on, clients must first prove their address.
pub const HANDSHAKES_MAX: usize = 64;
/// A connection without a packet for so long is dead, and its requests with it.
pub const IDLE_MS_MAX: u32 = 10_000;
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// The same where another node can take over from the one that is gone, so that it is noticed soon: between nodes, and for clients of a cluster.
pub const WATCHFUL_IDLE_MS_MAX: u32 = 2_000;
const WATCHFUL_KEEP_ALIVE: Duration = Duration::from_millis(500);
/// Bytes taken off a stream at once.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes given to a stream at once, unless one frame alone has more.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing more to say.
    Done = 0,
    /// A frame that cannot be followed, or on the wrong stream.
    Protocol = 1,
    /// No common version.
    Version = 2,
    /// A certificate of our authority that names nobody who may be there.
    Identity = 3,
}

impl CloseCode {
    fn close(self, connection: &quinn::Connection, reason: &str) {
        connection.close(VarInt::from_u32(self as u32), reason.as_bytes());
    }
}

/// Certificates or settings that TLS does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS for the engine link: {what} cannot be used: {why}")]
pub struct TlsError {
    /// Which of them.
    pub what: &'static str,
    /// The library's words.
    pub why: String,
}

impl TlsError {
    fn of<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self { what, why: error.to_string() }
    }
}

/// Settings of a shard's endpoint. Clients must show a certificate that the authority signed; so must we.
///
/// # Errors
/// If a text is not PEM, or the key is not the certificate's.
pub fn server_config(authority_pem: &str, credentials: &Credentials) -> Result<quinn::ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots(authority_pem)?, Arc::clone(&provider))
        .build()
        .map_err(TlsError::of("the authority"))?;
    let (chain, key) = read(credentials)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::of("TLS 1.3"))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(TlsError::of("the certificate"))?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // No resumption: every connection shows a certificate that is good on that day.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(TlsError::of("the cipher suites"))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport(End::Server)))
        .migration(false)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(64 * 1024)
        .incoming_buffer_size_total((HANDSHAKES_MAX * 64 * 1024) as u64);
    config.validation_token.sent(0); // tokens for later connections would outlive this process for nothing
    Ok(config)
}

/// Settings of a gateway's or adapter's connections.
///
/// # Errors
/// If a text is not PEM, or the key is not the certificate's.
pub fn client_config(authority_pem: &str, credentials: &Credentials) -> Result<quinn::ClientConfig, TlsError> {
    let (chain, key) = read(credentials)?;
    client_tls(authority_pem, |builder| builder.with_client_auth_cert(chain, key).map_err(TlsError::of("the certificate")))
}

/// Settings of a node's connections to other nodes, for [`NodeLink`]: as of a client, but silence is noticed within [`WATCHFUL_IDLE_MS_MAX`], and nearly nothing
/// is taken from the other side.
///
/// # Errors
/// If a text is not PEM, or the key is not the certificate's.
pub fn node_config(authority_pem: &str, credentials: &Credentials) -> Result<quinn::ClientConfig, TlsError> {
    let mut config = client_config(authority_pem, credentials)?;
    config.transport_config(Arc::new(transport(End::Node)));
    Ok(config)
}

type ClientBuilder = rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>;

fn client_tls(
    authority_pem: &str,
    certificate: impl FnOnce(ClientBuilder) -> Result<rustls::ClientConfig, TlsError>,
) -> Result<quinn::ClientConfig, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let engines = WebPkiServerVerifier::builder_with_provider(roots(authority_pem)?, Arc::clone(&provider))
        .build()
        .map_err(TlsError::of("the authority"))?;
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::of("TLS 1.3"))?
        .with_webpki_verifier(engines);
    let mut tls = certificate(builder)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.resumption = Resumption::disabled();
    let tls = QuicClientConfig::try_from(tls).map_err(TlsError::of("the cipher suites"))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(End::Client)));
    Ok(config)
}

fn roots(authority_pem: &str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority_pem.as_bytes()) {
        roots.add(certificate.map_err(TlsError::of("the authority"))?).map_err(TlsError::of("the authority"))?;
    }
    Ok(Arc::new(roots))
}

fn read(credentials: &Credentials) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(credentials.certificate_pem.as_bytes()).collect();
    let chain = chain.map_err(TlsError::of("the certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).map_err(TlsError::of("the key"))?;
    Ok((chain, key))
}

/// Whose settings.
#[derive(Clone, Copy, Debug)]
enum End {
    Server,
    Client,
    /// A client that can ask other nodes.
    ClusterClient,
    /// A node as a client of another.
    Node,
}

/// Windows are what a peer may make this side hold: requests are small, answers are not. Bulk of another node has one stream's, a quarter of its connection's.
fn transport(end: End) -> TransportConfig {
    const MIB: u32 = 1 << 20;
    let (stream, connection, streams) = match end {
        End::Server => (2 * MIB, 8 * MIB, 1 + REQUEST_STREAMS_MAX),
        End::Client | End::ClusterClient => (4 * MIB, 16 * MIB, 0),
        End::Node => (MIB / 16, MIB / 16, 0), // hears welcome and goaway
    };
    let (idle, keep_alive) = match end {
        End::Server => (IDLE_MS_MAX, None),
        End::Client => (IDLE_MS_MAX, Some(KEEP_ALIVE)),
        End::ClusterClient | End::Node => (WATCHFUL_IDLE_MS_MAX, Some(WATCHFUL_KEEP_ALIVE)),
    };
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
        .keep_alive_interval(keep_alive)
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        // Raised to `NODE_STREAMS_MAX` once it is another node's.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(stream))
        .receive_window(VarInt::from_u32(connection))
        .send_window(u64::from(16 * MIB))
        .datagram_receive_buffer_size(None)
        // The first guess, before a packet was answered: these links stay within a data centre, and a lost first packet
        // should not cost the second that the internet's guess of 333 ms would.
        .initial_rtt(Duration::from_millis(30));
    config
}

/// Who is at the other end, once the handshake is done.
fn peer(connection: &quinn::Connection) -> Result<Identity, IdentityError> {
    let chain = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = chain.ok_or(IdentityError::Missing)?;
    Identity::of_certificate(chain.first().ok_or(IdentityError::Missing)?)
}

/// The other end, if it is `wanted`.
fn peer_part(connection: &quinn::Connection, wanted: Part) -> Result<Identity, IdentityError> {
    let found = peer(connection)?;
    if found.part() == wanted { Ok(found) } else { Err(IdentityError::Part { wanted, found }) }
}

/// Frames as they come off a stream.
struct Frames {
    stream: RecvStream,
    buffer: Buffer,
}

/// A frame whose end is known, whatever its body is.
struct Arrived {
    header: Header,
    frame: Result<Frame, DecodeError>,
}

/// Why a stream has no more frames.
#[derive(Debug)]
enum StreamFault {
    /// The connection is gone or the peer gave the stream up.
    Lost(quinn::ReadError),
    /// It ended within a frame.
    Cut,
    /// What comes next cannot be found.
    Unreadable(DecodeError),
}

impl Frames {
    fn new(stream: RecvStream, receiver: Side) -> Self {
        Self { stream, buffer: Buffer::new(receiver) }
    }

    fn of_node(stream: RecvStream) -> Self {
        Self { stream, buffer: Buffer::of_node() }
    }

    /// The next frame; `None` when the peer ended the stream. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Arrived>, StreamFault> {
        loop {
            if let Some(raw) = self.buffer.next().map_err(StreamFault::Unreadable)? {
                return Ok(Some(Arrived { header: raw.header, frame: raw.read() }));
            }
            match self.stream.read_chunk(READ_BYTES_MAX, true).await.map_err(StreamFault::Lost)? {
                Some(chunk) => self.buffer.push(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(StreamFault::Cut),
            }
        }
    }
}

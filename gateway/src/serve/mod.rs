//! Sockets: what listens, for how long, and how it ends.
//!
//! Path: [`Gateway::bind`] (TCP, then UDP on the same port number, then the admin port) → [`Gateway::run`] → one task per connection
//! (`tcp`, `h3`) → `edge`. At the end: no new connections, GOAWAY to those there are, up to [`DRAIN_MAX`] for requests under way.

mod admin;
mod h3;
mod peers;
mod tcp;
mod tls;

use crate::{App, CartSecret, CartTokens, VerifyingKey, edge::Edge};
use peers::Peers;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use wire::Client;

/// How long requests under way may take once the gateway is told to stop; then they are cut off.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How often another port is tried when a free TCP port turns out to be taken for UDP.
const PORT_TRIES_MAX: u32 = 32;
/// Bytes the kernel keeps for the UDP socket, each way; it may give less.
const UDP_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// What a gateway needs.
pub struct Config {
    /// Where to listen, TCP and UDP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to serve `/metrics`; `None` for nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// The certificate, then those above it.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Proves staff tokens.
    pub staff_key: VerifyingKey,
    /// Makes cart tokens.
    pub cart_secret: CartSecret,
    /// Requests a second from one address; 0 for no limit.
    pub per_address: u32,
}

impl Config {
    /// Requests a second from one address, unless set.
    pub const PER_ADDRESS_DEFAULT: u32 = 1_000;
}

/// Why a gateway cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Someone else listens there.
    #[error("{protocol} port {address} is in use: stop what listens there, or choose another with --listen")]
    InUse {
        /// TCP or UDP.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// The system says no.
    #[error("cannot listen on {protocol} {address}")]
    Socket {
        /// TCP or UDP.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate and key are not fit for use.
    #[error("the certificate or its key cannot be used")]
    Tls(#[from] rustls::Error),
    /// TLS without what QUIC needs.
    #[error("the TLS settings cannot be used for QUIC")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

impl BindError {
    fn new(protocol: &'static str, address: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::InUse { protocol, address }
        } else {
            Self::Socket { protocol, address, source }
        }
    }
}

/// Why a running gateway stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A task that listens ended, which only a fault of ours causes; its panic is in the log.
    #[error("a listener ended unexpectedly")]
    ListenerEnded,
}

/// Bound, and not yet serving.
pub struct Gateway {
    edge: Arc<Edge>,
    tcp: TcpListener,
    quic: quinn::Endpoint,
    admin: Option<TcpListener>,
    tls: tls::Configs,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
}

fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let failed = |source| BindError::new("TCP", address, source);
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

fn udp(address: SocketAddr) -> Result<std::net::UdpSocket, BindError> {
    let socket = std::net::UdpSocket::bind(address).map_err(|source| BindError::new("UDP", address, source))?;
    // Less than asked for costs throughput under load, nothing else.
    let buffers = socket2::SockRef::from(&socket);
    let _ = buffers.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = buffers.set_send_buffer_size(UDP_BUFFER_BYTES);
    Ok(socket)
}

/// TCP and UDP on one port number.
fn both(address: SocketAddr) -> Result<(TcpListener, std::net::UdpSocket, SocketAddr), BindError> {
    let mut tries = 0;
    loop {
        let listener = tcp(address)?;
        let bound = listener.local_addr().map_err(|source| BindError::new("TCP", address, source))?;
        match udp(bound) {
            Ok(socket) => return Ok((listener, socket, bound)),
            Err(BindError::InUse { .. }) if address.port() == 0 && tries < PORT_TRIES_MAX => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Gateway {
    /// Binds the ports. Must run inside a tokio runtime, since sockets are tied to it.
    ///
    /// # Errors
    /// A port is taken or forbidden, or the certificate and its key cannot be used.
    pub fn bind(config: Config, client: Arc<dyn Client>) -> Result<Self, BindError> {
        let tls = tls::Configs::new(config.certificates, config.key)?;
        let (tcp_listener, socket, address) = both(config.listen)?;
        let admin = config.admin_listen.map(tcp).transpose()?;
        let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
        let quic = quinn::Endpoint::new(h3::endpoint_config(), Some(tls.quic.clone()), socket, Arc::new(quinn::TokioRuntime))
            .map_err(|source| BindError::new("UDP", address, source))?;
        let app = Arc::new(App::new(client, CartTokens::new(&config.cart_secret), config.staff_key));
        let edge = Arc::new(Edge::new(app, config.per_address, Some(address.port())));
        Ok(Self { edge, tcp: tcp_listener, quic, admin, tls, address, admin_address })
    }

    /// Where it listens, with the port that 0 became.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics` is, if anywhere.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Serves until `until` is ready, then drains: no new connections, requests under way get up to [`DRAIN_MAX`].
    ///
    /// # Errors
    /// A listener ended by itself.
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { edge, tcp, quic, admin, tls, .. } = self;
        let (stop, stopped) = watch::channel(false);
        let peers = Arc::new(Peers::new(Arc::clone(&edge.app)));
        let mut listeners = JoinSet::new();
        listeners.spawn(tcp::serve(tcp, tls.tcp, Arc::clone(&edge), Arc::clone(&peers), stopped.clone()));
        listeners.spawn(h3::serve(quic.clone(), Arc::clone(&edge), Arc::clone(&peers), stopped.clone()));
        if let Some(listener) = admin {
            listeners.spawn(admin::serve(listener, tls.admin, Arc::clone(&edge), peers, stopped));
        }
        let outcome = tokio::select! {
            () = until => Ok(()),
            _ = listeners.join_next() => Err(ServeError::ListenerEnded),
        };
        edge.app.drain();
        // Nobody listening to the signal means nothing is left to drain.
        let _ = stop.send(true);
        let drained = async { while listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!("requests under way were cut off after {} s", DRAIN_MAX.as_secs());
            listeners.abort_all();
        }
        quic.close(0u32.into(), b"");
        // Lets the close reach the peers; they would otherwise wait for their idle timeout.
        let _ = tokio::time::timeout(Duration::from_millis(500), quic.wait_idle()).await;
        outcome
    }
}

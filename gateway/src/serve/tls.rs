//! TLS 1.3 and nothing else, with the provider named here: no process-wide default is set or used.

use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// One certificate, for each protocol.
pub(super) struct Configs {
    pub(super) tcp: Arc<ServerConfig>,
    pub(super) admin: Arc<ServerConfig>,
    pub(super) quic: quinn::ServerConfig,
}

impl Configs {
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, super::BindError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let base = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        let with = |alpn: &[&[u8]]| {
            let mut config = base.clone();
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            // Early data may be replayed by anyone who saw it, and carts and orders must not be: it stays off.
            config.max_early_data_size = 0;
            Arc::new(config)
        };
        let quic = quinn::crypto::rustls::QuicServerConfig::try_from(with(&[b"h3"]))?;
        Ok(Self { tcp: with(&[b"h2", b"http/1.1"]), admin: with(&[b"http/1.1"]), quic: super::h3::server_config(quic) })
    }
}

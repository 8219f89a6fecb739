//! An HTTP/3 client on one QUIC connection.

use crate::server::{BenchError, Found};
use bytes::{Buf, Bytes};
use http::{Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{net::ToSocketAddrs, sync::Arc};

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    sender: Sender,
    origin: String,
    _endpoint: quinn::Endpoint,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<serde_json::Value, BenchError> {
        serde_json::from_slice(&self.body).map_err(BenchError::other)
    }
}

impl Client {
    /// Connects to a shop, trusting its own authority.
    pub(crate) async fn connect(found: &Found) -> Result<Self, BenchError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&found.ca).map_err(BenchError::other)? {
            roots.add(certificate.map_err(BenchError::other)?).map_err(BenchError::other)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(BenchError::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(BenchError::other)?));
        let authority = found.url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
        let address = authority.to_socket_addrs().map_err(BenchError::io(&authority))?.next();
        let address = address.ok_or_else(|| BenchError::other("the shop's address does not resolve"))?;
        let bind = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let mut endpoint = quinn::Endpoint::client(bind.parse().map_err(BenchError::other)?).map_err(BenchError::io("bind"))?;
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(address, host).map_err(BenchError::other)?.await.map_err(BenchError::other)?;
        let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection)).await.map_err(BenchError::other)?;
        tokio::spawn(async move {
            // Ends with the connection; a request on it then fails and says so.
            let _ = std::future::poll_fn(|cx| driver.poll_close(cx)).await;
        });
        Ok(Self { sender, origin: format!("https://{authority}"), _endpoint: endpoint })
    }

    /// One request.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, BenchError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(()).map_err(BenchError::other)?;
        let mut stream = self.sender.send_request(request).await.map_err(BenchError::other)?;
        if let Some(body) = body {
            stream.send_data(Bytes::from(body)).await.map_err(BenchError::other)?;
        }
        stream.finish().await.map_err(BenchError::other)?;
        let status = stream.recv_response().await.map_err(BenchError::other)?.status();
        let mut body = Vec::new();
        while let Some(mut data) = stream.recv_data().await.map_err(BenchError::other)? {
            while data.has_remaining() {
                let chunk = data.chunk();
                body.extend_from_slice(chunk);
                let taken = chunk.len();
                data.advance(taken);
            }
        }
        Ok(Answer { status, body })
    }
}

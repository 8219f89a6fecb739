//! HTTP clients: one face for HTTP/1.1, HTTP/2 and HTTP/3.

use crate::process::PATIENCE;
use bytes::{Buf as _, Bytes};
use reqwest::Certificate;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// An answer. The body is null where it is no JSON.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    fn new(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Self {
        let headers =
            headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
        Self {
            status,
            headers,
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// The stable word of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// Asserts the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// A client of one shop, with an admin's token for those calls that say so.
#[derive(Clone)]
pub(crate) struct Api {
    /// Asked in turn.
    ends: Vec<End>,
    turn: Arc<AtomicUsize>,
    token: String,
}

#[derive(Clone)]
struct End {
    transport: Transport,
    url: String,
}

#[derive(Clone)]
enum Transport {
    Tcp(reqwest::Client),
    Quic(H3),
}

#[derive(Clone)]
struct H3 {
    send: h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
    _endpoint: quinn::Endpoint,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

pub(crate) fn ask(method: &'static str, path: impl Into<String>) -> Ask {
    Ask { method, path: path.into(), headers: Vec::new(), body: None }
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an idempotency key.
    pub(crate) fn key(self, key: impl Into<String>) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self.header("content-type", "application/json")
    }
}

fn ca(data: &Path) -> Vec<u8> {
    fs::read(data.join("dev-ca.pem")).expect("the authority's certificate")
}

impl Api {
    pub(crate) fn http1(data: &Path, address: SocketAddr) -> Self {
        Self::tcp(data, address, reqwest::Client::builder().http1_only())
    }

    pub(crate) fn http2(data: &Path, address: SocketAddr) -> Self {
        Self::tcp(data, address, reqwest::Client::builder())
    }

    fn tcp(data: &Path, address: SocketAddr, builder: reqwest::ClientBuilder) -> Self {
        let roots = Certificate::from_pem_bundle(&ca(data)).expect("PEM");
        let client = builder.tls_certs_only(roots).timeout(Duration::from_secs(60)).build().expect("a client");
        Self::with(data, address, Transport::Tcp(client))
    }

    pub(crate) async fn http3(data: &Path, address: SocketAddr) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&ca(data)).expect("PEM")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS 1.3");
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a port");
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
        let connection = endpoint.connect(address, "127.0.0.1").expect("an address").await.expect("a connection");
        let (mut driver, send) = h3::client::new(h3_quinn::Connection::new(connection)).await.expect("settings");
        tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Self::with(data, address, Transport::Quic(H3 { send, _endpoint: endpoint }))
    }

    fn with(data: &Path, address: SocketAddr, transport: Transport) -> Self {
        let token = fs::read_to_string(data.join("admin.token")).expect("the admin's token").trim().to_owned();
        Self { ends: vec![End { transport, url: format!("https://{address}") }], turn: Arc::default(), token }
    }

    /// Every request goes to the other end than the one before.
    pub(crate) fn in_turn_with(mut self, other: Self) -> Self {
        self.ends.extend(other.ends);
        self
    }

    /// Sends once; an error if no answer came.
    pub(crate) async fn try_send(&self, ask: &Ask) -> Result<Answer, String> {
        // Relaxed: only spreads requests.
        let end = &self.ends[self.turn.fetch_add(1, Ordering::Relaxed) % self.ends.len()];
        let url = format!("{}{}", end.url, ask.path);
        let request = http::Request::builder().method(ask.method).uri(url);
        let mut request = ask.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        if ask.path.starts_with("/v1/admin") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        match &end.transport {
            Transport::Tcp(client) => {
                let request = request.body(ask.body.clone().unwrap_or_default()).expect("a request");
                let request = reqwest::Request::try_from(request).expect("a request");
                let response = client.execute(request).await.map_err(|error| format!("{error:?}"))?;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = response.bytes().await.map_err(|error| format!("{error:?}"))?;
                Ok(Answer::new(status, &headers, &body))
            }
            Transport::Quic(h3) => {
                h3.clone().send(request.body(()).expect("a request"), ask.body.as_deref()).await.map_err(|error| format!("{error:?}"))
            }
        }
    }

    /// Sends, and expects an answer.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        self.try_send(ask).await.unwrap_or_else(|error| panic!("{ask:?}: {error}"))
    }

    /// Sends until there is an answer: over crashes of the shop, and while the first request with the same key still runs.
    pub(crate) async fn insist(&self, ask: &Ask) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.try_send(ask).await {
                Ok(answer) if answer.status != 503 && answer.code() != "idempotency_key_in_use" => return answer,
                last => assert!(Instant::now() < until, "{ask:?}: {last:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&ask("GET", path)).await
    }

    /// The same as staff, on paths that buyers ask too.
    pub(crate) async fn get_as_staff(&self, path: &str) -> Answer {
        let ask = ask("GET", path);
        let ask = if path.starts_with("/v1/admin") { ask } else { ask.header("authorization", format!("Bearer {}", self.token)) };
        self.send(&ask).await
    }

    /// Sends lines to the import; the answer's lines, the summary last.
    pub(crate) async fn import(&self, lines: &[Value]) -> Vec<Value> {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut ask = ask("POST", "/v1/admin/import").header("content-type", "application/x-ndjson");
        ask.body = Some(body.into_bytes());
        let answer = self.insist(&ask).await.expect(200);
        answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
    }

    /// Imports products of one variant each, at 10.00 USD: key, title, stock at `main`.
    pub(crate) async fn products(&self, products: &[(&str, &str, u32)]) {
        let lines: Vec<Value> = products.iter().map(|(key, title, stock)| product(key, title, *stock)).collect();
        let answers = self.import(&lines).await;
        assert_eq!(answers.last().expect("a summary")["summary"]["refused"], 0, "{answers:?}");
    }

    /// Stock of a SKU key, after checking that every row adds up.
    pub(crate) async fn stock(&self, key: &str) -> Value {
        let stock = self.insist(&ask("GET", format!("/v1/admin/stock/key={key}"))).await.expect(200).body;
        for row in stock["locations"].as_array().expect("rows") {
            let of = |column: &str| row[column].as_i64().unwrap_or_else(|| panic!("no {column} in {row}"));
            assert_eq!(of("on_hand"), of("available") + of("held") + of("committed") + of("unavailable"), "{row}");
        }
        stock
    }
}

impl H3 {
    async fn send(mut self, request: http::Request<()>, body: Option<&[u8]>) -> Result<Answer, h3::error::StreamError> {
        let mut stream = self.send.send_request(request).await?;
        if let Some(body) = body {
            stream.send_data(Bytes::copy_from_slice(body)).await?;
        }
        stream.finish().await?;
        let (head, ()) = stream.recv_response().await?.into_parts();
        let mut all = Vec::new();
        while let Some(mut data) = stream.recv_data().await? {
            all.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        Ok(Answer::new(head.status.as_u16(), &head.headers, &all))
    }
}

/// An import line of a product with one variant under the same key, at 10.00 USD.
pub(crate) fn product(key: &str, title: &str, stock: u32) -> Value {
    json!({
        "type": "product", "key": key, "title": title, "description": "For tests.", "brand": "Testa", "category": "tests/things",
        "variants": [{"key": key, "prices": [{"amount": 1000, "currency": "USD"}]}],
        "stock": [{"variant": key, "location": "main", "on_hand": stock}]
    })
}

/// A key that no other request of this run has.
pub(crate) fn fresh_key(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only uniqueness matters.
    format!("{what}-{}-{:020}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

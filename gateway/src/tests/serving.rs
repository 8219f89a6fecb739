//! The sockets: one answer over three protocols, limits of connections, and the end.

use super::{cart_secret, fake, position, product, signing_key};
use crate::{BindError, Config, Gateway};
use bytes::{Buf as _, Bytes};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use wire::{Body, Failure, Op, Refusal};

struct Server {
    address: SocketAddr,
    admin: SocketAddr,
    certificate: CertificateDer<'static>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), crate::ServeError>>,
}

fn config(listen: SocketAddr) -> (Config, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = Config {
        listen,
        admin_listen: Some(([127, 0, 0, 1], 0).into()),
        certificates: vec![certificate.clone()],
        key,
        staff_key: signing_key().verifying_key(),
        cart_secret: cart_secret(),
        per_address: 0,
    };
    (config, certificate)
}

fn start() -> Server {
    let (config, certificate) = config(([127, 0, 0, 1], 0).into());
    let (engine, _) = fake(|request| match &request.op {
        Op::GetProduct(_) => Ok(Body::Product(Box::new(product(3)))),
        _ => Err(Failure::Refused(Refusal::NotFound)),
    });
    let gateway = Gateway::bind(config, Arc::new(engine)).expect("free ports");
    let (address, admin) = (gateway.address(), gateway.admin_address().expect("asked for"));
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(gateway.run(async {
        let _ = stopped.await;
    }));
    Server { address, admin, certificate, stop, running }
}

fn client(server: &Server, h1: bool) -> reqwest::Client {
    let root = reqwest::Certificate::from_der(&server.certificate).expect("a certificate");
    let builder = reqwest::Client::builder().tls_certs_only([root]).resolve("localhost", server.address);
    if h1 { builder.http1_only() } else { builder }.build().expect("a client")
}

fn tls(server: &Server, alpn: &[u8]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// An HTTP/3 client on its own endpoint.
struct H3 {
    quic: quinn::Connection,
    send: h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
    driver: JoinHandle<()>,
    _endpoint: quinn::Endpoint,
}

impl H3 {
    async fn connect(server: &Server) -> Self {
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a port");
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls(server, b"h3")).expect("TLS 1.3");
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
        let quic = endpoint.connect(server.address, "localhost").expect("an address").await.expect("a connection");
        let (mut driver, send) = h3::client::new(h3_quinn::Connection::new(quic.clone())).await.expect("settings");
        let driver = tokio::spawn(async move {
            let _ = std::future::poll_fn(|cx| driver.poll_close(cx)).await;
        });
        Self { quic, send, driver, _endpoint: endpoint }
    }

    /// Sends a request with `body` in one piece; the status, headers and body of the answer.
    async fn send(&mut self, request: http::Request<()>, body: &[u8]) -> Result<(http::response::Parts, Bytes), h3::error::StreamError> {
        let mut stream = self.send.send_request(request).await?;
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body)).await?;
        }
        stream.finish().await?;
        let (head, ()) = stream.recv_response().await?.into_parts();
        let mut all = Vec::new();
        while let Some(mut data) = stream.recv_data().await? {
            all.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        Ok((head, all.into()))
    }

    fn get(path: &str) -> http::Request<()> {
        http::Request::get(format!("https://localhost{path}")).body(()).expect("a request")
    }
}

#[tokio::test]
async fn all_protocols_answer_alike() {
    let server = start();
    let url = format!("https://localhost:{}/v1/products/key=1399", server.address.port());
    let mut bodies = Vec::new();
    for (h1, version) in [(true, http::Version::HTTP_11), (false, http::Version::HTTP_2)] {
        let response = client(&server, h1).get(&url).send().await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        let alt_svc = response.headers()["alt-svc"].to_str().expect("text").to_owned();
        assert_eq!(alt_svc, format!("h3=\":{}\"; ma=86400", server.address.port()));
        assert!(!response.headers().contains_key("server"));
        bodies.push((response.headers()["etag"].clone(), response.bytes().await.expect("a body")));
    }
    let mut h3 = H3::connect(&server).await;
    let (head, body) = h3.send(H3::get("/v1/products/key=1399"), b"").await.expect("an answer");
    assert_eq!(head.status.as_u16(), 200);
    assert!(!head.headers.contains_key("alt-svc") && head.headers.contains_key("request-id"));
    assert_eq!(head.headers["content-length"], body.len().to_string());
    bodies.push((head.headers["etag"].clone(), body));
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");

    let metrics = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_der(&server.certificate).expect("a certificate")])
        .resolve("localhost", server.admin)
        .build()
        .expect("a client");
    let text = metrics.get(format!("https://localhost:{}/metrics", server.admin.port())).send().await.expect("an answer");
    let text = text.text().await.expect("text");
    for proto in ["h1", "h2", "h3"] {
        assert!(text.contains(&format!("emporion_http_requests_total{{proto=\"{proto}\",code=\"200\"}} 1")), "{text}");
    }
    server.stop.send(()).expect("it runs");
    server.running.await.expect("no panic").expect("a clean stop");
}

#[tokio::test]
async fn bodies_travel_over_http3() {
    let server = start();
    let mut h3 = H3::connect(&server).await;
    let post = |length: Option<usize>| {
        let request = http::Request::post("https://localhost/v1/carts").header("content-type", "application/json");
        let request = match length {
            Some(length) => request.header("content-length", length),
            None => request,
        };
        request.body(()).expect("a request")
    };
    // The engine refuses every cart: that it was asked at all shows that the body came.
    for (request, body) in [(post(None), "{}"), (post(Some(2)), "{}")] {
        let (head, _) = h3.send(request, body.as_bytes()).await.expect("an answer");
        assert_eq!(head.status.as_u16(), 404);
        assert_eq!(head.headers["log-position"], position().to_string());
    }
    let long = format!("{{\"currency\":\"{}\"}}", "x".repeat(100_000));
    let (head, _) = h3.send(post(Some(long.len())), long.as_bytes()).await.expect("an answer");
    assert_eq!(head.status.as_u16(), 422);
    let (head, _) = h3.send(post(None), "x".repeat(300_000).as_bytes()).await.expect("an answer");
    assert_eq!(head.status.as_u16(), 413);
    let huge = http::Request::get("https://localhost/livez").header("x-big", "x".repeat(70_000)).body(()).expect("a request");
    // The client itself may hold back what the server's settings forbid.
    if let Ok((head, _)) = h3.send(huge, b"").await {
        assert_eq!(head.status.as_u16(), 431);
    }
    let (head, _) = H3::connect(&server).await.send(H3::get("/livez"), b"").await.expect("others go on");
    assert_eq!(head.status.as_u16(), 200);
}

#[tokio::test]
async fn a_false_length_is_malformed() {
    let server = start();
    for (declared, sent) in [(1_000, 5), (5, 1_000), (100_000, 5), (100_000, 200_000)] {
        let mut h3 = H3::connect(&server).await;
        let request = http::Request::post("https://localhost/v1/carts").header("content-type", "application/json");
        let request = request.header("content-length", declared).body(()).expect("a request");
        match h3.send(request, " ".repeat(sent).as_bytes()).await {
            Err(_) => {}
            Ok((head, _)) => assert_eq!(head.status.as_u16(), 400, "{declared} declared, {sent} sent"),
        }
    }
}

#[tokio::test]
async fn a_client_that_gives_everything_up_is_sent_away() {
    let server = start();
    let mut h3 = H3::connect(&server).await;
    let mut closed = false;
    for _ in 0..1_000 {
        let request = http::Request::post("https://localhost/v1/carts").header("content-length", 100).body(()).expect("a request");
        let Ok(mut stream) = h3.send.send_request(request).await else {
            closed = true;
            break;
        };
        stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
        stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
        drop(stream);
        tokio::task::yield_now().await;
    }
    let reason = tokio::time::timeout(Duration::from_secs(10), h3.quic.closed()).await.expect("the connection ends");
    assert!(closed || format!("{reason:?}").contains("263") || reason.to_string().contains("given up"), "{reason}");
    h3.driver.abort();
    let (head, _) = H3::connect(&server).await.send(H3::get("/livez"), b"").await.expect("others go on");
    assert_eq!(head.status.as_u16(), 200);
}

#[tokio::test] // 20 MB of answers wait here, more than the sockets hold: without room for them both sides would wait for the other.
async fn an_import_may_be_sent_whole_before_its_answers_are_read() {
    const LINES: usize = 100_000;
    let server = start();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(&server, b"http/1.1")));
    let name = rustls_pki_types::ServerName::try_from("localhost").expect("a name");
    let tcp = TcpStream::connect(server.address).await.expect("a connection");
    let mut stream = connector.connect(name, tcp).await.expect("a handshake");
    let line = format!("{{}}{}\n", " ".repeat(97));
    let head = format!(
        "POST /v1/admin/import HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        super::bearer(wire::Role::Admin),
        line.len() * LINES
    );
    let exchange = async {
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(line.repeat(LINES).as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8(answer).expect("UTF-8")
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), exchange).await.expect("neither side waits for the other");
    assert!(answer.contains(&format!("\"refused\":{LINES}")), "the summary counts every line");
}

#[tokio::test]
async fn old_tls_is_refused() {
    let server = start();
    let mut config = tls(&server, b"http/1.1");
    config.alpn_protocols.clear();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls_pki_types::ServerName::try_from("localhost").expect("a name");
    // Without ALPN HTTP/1.1 is spoken; the version agreed on is 1.3.
    let tcp = TcpStream::connect(server.address).await.expect("a connection");
    let mut stream = connector.connect(name, tcp).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // A hello that offers TLS 1.2 alone: version 3.3, one suite, no extensions.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let mut tcp = TcpStream::connect(server.address).await.expect("a connection");
    tcp.write_all(&hello).await.expect("sent");
    let mut alert = Vec::new();
    let _ = tcp.read_to_end(&mut alert).await;
    assert_eq!(alert.first(), Some(&21), "an alert, and no more: {alert:?}");
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let server = start();
    let (engine, _) = fake(|_| Err(Failure::Internal));
    let (config, _) = config(server.address);
    let Err(error) = Gateway::bind(config, Arc::new(engine)) else { panic!("the port is taken") };
    assert!(matches!(error, BindError::InUse { protocol: "TCP", address } if address == server.address), "{error}");
    assert!(error.to_string().contains("--listen"), "{error}");
}

#[tokio::test]
async fn stopping_lets_requests_end() {
    let (mut config, certificate) = config(([127, 0, 0, 1], 0).into());
    config.admin_listen = None;
    struct Slow;
    impl wire::Client for Slow {
        fn call(&self, _: wire::Request) -> wire::Call {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(600)).await;
                Ok(wire::Response { positions: Vec::new(), replayed: false, result: Ok(Body::Product(Box::new(product(1)))) })
            })
        }
        fn topology(&self) -> wire::Topology {
            wire::Topology { partitions: 1, shards: 1 }
        }
    }
    let gateway = Gateway::bind(config, Arc::new(Slow)).expect("free ports");
    let address = gateway.address();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(gateway.run(async {
        let _ = stopped.await;
    }));
    let server = Server { address, admin: address, certificate, stop, running };
    let url = format!("https://localhost:{}/v1/products/key=1", address.port());
    let (h1, h2) = (client(&server, true), client(&server, false));
    let mut h3 = H3::connect(&server).await;
    let first = tokio::spawn(h1.get(&url).send());
    let second = tokio::spawn(h2.get(&url).send());
    let third = tokio::spawn(async move { h3.send(H3::get("/v1/products/key=1"), b"").await.map(|(head, _)| head.status.as_u16()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.send(()).expect("it runs");
    assert_eq!(first.await.expect("no panic").expect("an answer").status().as_u16(), 200);
    assert_eq!(second.await.expect("no panic").expect("an answer").status().as_u16(), 200);
    assert_eq!(third.await.expect("no panic").expect("an answer"), 200);
    let ended = tokio::time::timeout(Duration::from_secs(15), server.running).await.expect("it ends by itself");
    ended.expect("no panic").expect("a clean stop");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

//! The gateway against a scripted engine: what goes in, what comes out, over all protocols.

mod conventions;
mod feed;
mod importing;
mod refusals;
mod routing;
mod serving;
mod snapshots;
mod warehouse;

use crate::{
    App, CartSecret, CartTokens, SigningKey, app,
    auth::jwt::{self},
    edge::Edge,
    metrics::Protocol,
};
use axum::{
    body::Body as HttpBody,
    http::{HeaderMap, Request as HttpRequest, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use wire::{
    Address, Availability, Body, Call, CallError, CartId, CartStatus, CartView, Client, Currency, Failure, Millis, Money, OrderId,
    OrderStatus, OrderView, PartitionId, PaymentStatus, Position, ProductId, ProductStatus, ProductView, RawId, Refusal, Request, Response,
    Role, Seq, SkuId, Topology, Totals, VariantView,
};

/// What the engine is told to say.
type Script = Arc<dyn Fn(&Request) -> Result<Response, CallError> + Send + Sync>;

/// An engine that follows a script, and tells what it was asked.
pub(crate) struct Fake {
    script: Script,
    asked: mpsc::UnboundedSender<Request>,
}

impl Client for Fake {
    fn call(&self, request: Request) -> Call {
        let answer = (self.script)(&request);
        let _ = self.asked.send(request);
        Box::pin(async move {
            // A real engine never answers at once.
            tokio::task::yield_now().await;
            answer
        })
    }

    fn topology(&self) -> Topology {
        Topology { partitions: 64, shards: 2 }
    }
}

/// An engine with `script`, and what it will be asked.
pub(crate) fn fake(script: impl Fn(&Request) -> Result<Body, Failure> + Send + Sync + 'static) -> (Fake, mpsc::UnboundedReceiver<Request>) {
    let (asked, received) = mpsc::unbounded_channel();
    let script = move |request: &Request| Ok(Response { positions: vec![position()], replayed: false, result: script(request) });
    (Fake { script: Arc::new(script), asked }, received)
}

pub(crate) fn position() -> Position {
    Position { epoch: 1, partition: PartitionId(7), seq: Seq(42) }
}

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub(crate) fn cart_secret() -> CartSecret {
    CartSecret([5; 32])
}

/// `Authorization` of a member of staff.
pub(crate) fn bearer(role: Role) -> String {
    format!("Bearer {}", jwt::mint_token(&signing_key(), role, Duration::from_secs(300), app::now()))
}

/// The gateway without sockets.
pub(crate) struct Rig {
    pub(crate) edge: Edge,
    pub(crate) asked: mpsc::UnboundedReceiver<Request>,
}

/// An answer, read.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Status and code of a problem, all of whose conventions are checked.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["instance"], self.header("request-id"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()) && problem["detail"].is_string());
        (self.status.as_u16(), code)
    }
}

impl Rig {
    pub(crate) fn new(script: impl Fn(&Request) -> Result<Body, Failure> + Send + Sync + 'static) -> Self {
        let (fake, asked) = fake(script);
        Self::with(fake, asked, 0)
    }

    pub(crate) fn with(fake: Fake, asked: mpsc::UnboundedReceiver<Request>, per_address: u32) -> Self {
        let app = App::new(Arc::new(fake), CartTokens::new(&cart_secret()), signing_key().verifying_key());
        Self { edge: Edge::new(Arc::new(app), per_address, Some(8443)), asked }
    }

    /// An engine that finds nothing.
    pub(crate) fn empty() -> Self {
        Self::new(|_| Err(Failure::Refused(Refusal::NotFound)))
    }

    /// Sends one request; `headers` is a list of names and values.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Reply {
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        let mut request = HttpRequest::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        let response = self.edge.answer(IpAddr::from([192, 0, 2, 1]), Protocol::H2, request).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        Reply { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(line, &[headers, &[("content-type", "application/json")]].concat(), body.to_owned()).await
    }

    /// The request that the engine was asked last.
    pub(crate) fn last(&mut self) -> Request {
        let mut last = None;
        while let Ok(request) = self.asked.try_recv() {
            last = Some(request);
        }
        last.expect("the engine was asked")
    }
}

pub(crate) const fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

pub(crate) fn cart_id() -> CartId {
    CartId::new(Millis(1_780_000_000_000), PartitionId(3), Seq(1), 0)
}

pub(crate) fn order_id() -> OrderId {
    OrderId::new(Millis(1_780_000_000_000), PartitionId(3), Seq(2), 0)
}

pub(crate) fn sku_id() -> SkuId {
    SkuId::new(Millis(1_780_000_000_000), PartitionId(4), Seq(1), 1)
}

pub(crate) fn cart_token() -> String {
    CartTokens::new(&cart_secret()).issue(cart_id())
}

fn totals() -> Totals {
    Totals { subtotal: usd(1999), discount: usd(0), shipping: usd(0), tax: usd(0), total: usd(1999) }
}

pub(crate) fn cart() -> CartView {
    CartView {
        id: cart_id(),
        version: 3,
        status: CartStatus::Open,
        currency: Currency::USD,
        customer: None,
        email: None,
        lines: Vec::new(),
        address: None,
        totals: totals(),
        problems: Vec::new(),
        expires_at: Millis(1_796_083_200_000),
    }
}

pub(crate) fn order(status: OrderStatus, payment_status: PaymentStatus) -> OrderView {
    OrderView {
        id: order_id(),
        number: "1001".to_owned(),
        version: 7,
        status,
        payment_status,
        email: "a@b.example".to_owned(),
        cart: cart_id(),
        lines: Vec::new(),
        totals: totals(),
        address: Address {
            name: "A".to_owned(),
            line1: "B 1".to_owned(),
            line2: None,
            city: "C".to_owned(),
            region: None,
            postal_code: "1".to_owned(),
            country: "US".to_owned(),
            phone: None,
        },
        payments: Vec::new(),
        next_action: None,
        placed_at: Millis(1_780_000_000_123),
        events: Vec::new(),
    }
}

pub(crate) fn product(quantity: u32) -> ProductView {
    ProductView {
        id: ProductId(RawId(77 << 80)),
        key: "1399".to_owned(),
        version: 1,
        status: ProductStatus::Active,
        title: "HP 80 Original Cyan".to_owned(),
        description: "Ink".to_owned(),
        brand: Some("HP".to_owned()),
        category: Vec::new(),
        attributes: vec![wire::Attribute { name: "t_type".to_owned(), value: wire::AttributeValue::Text("Original".to_owned()) }],
        images: Vec::new(),
        variants: vec![VariantView {
            id: sku_id(),
            key: "1399".to_owned(),
            options: Vec::new(),
            price: Some(usd(12_595)),
            prices: vec![usd(12_595)],
            barcodes: vec!["0882780756328".to_owned()],
            availability: Availability { quantity, backorder: false },
        }],
        popularity: 5,
        margin: None,
        released: Some(10),
    }
}

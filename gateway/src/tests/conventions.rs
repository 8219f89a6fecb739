//! Headers and errors that every route shares.

use super::{Rig, bearer, cart, cart_id, cart_token, order_id, product};
use crate::{App, CartTokens, edge::Edge, metrics::Protocol};
use axum::{
    body::{Body as HttpBody, Bytes},
    http::Request,
};
use std::{net::IpAddr, sync::Arc};
use wire::{Body, Failure, Op, Principal, Refusal, Role};

#[tokio::test]
async fn every_answer_has_an_id_and_the_security_headers() {
    let rig = Rig::empty();
    let mut ids = std::collections::HashSet::new();
    for line in ["GET /livez", "GET /nowhere", "DELETE /livez", "GET /v1/products/key=1", "GET /docs"] {
        let reply = rig.send(line, &[("request-id", "mine")], "").await;
        let id = reply.header("request-id");
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{line}: {id}");
        assert!(ids.insert(id.to_owned()), "ids are not repeated");
        for name in
            ["strict-transport-security", "content-security-policy", "x-content-type-options", "referrer-policy", "permissions-policy"]
        {
            assert!(!reply.header(name).is_empty(), "{line} has no {name}");
        }
        assert_eq!(reply.header("alt-svc"), "h3=\":8443\"; ma=86400");
        assert!(reply.header("server").is_empty());
    }
}

#[tokio::test] // Each row: a request that no handler takes, and its problem.
async fn framework_errors_are_problems() {
    let rig = Rig::empty();
    let long = format!("GET /v1/search?q={}", "a".repeat(9_000));
    for (line, wanted) in [
        ("GET /nowhere", (404, "not_found")),
        ("GET /v1/orders", (404, "not_found")),
        ("DELETE /v1/search", (405, "method_not_allowed")),
        ("GET /v1/products/%ff", (400, "validation_failed")),
        (long.as_str(), (414, "uri_too_long")),
    ] {
        let reply = rig.send(line, &[], "").await;
        assert_eq!(reply.problem(), (wanted.0, wanted.1.to_owned()), "{line}");
        assert_eq!(reply.header("allow").is_empty(), wanted.0 != 405, "{line}");
    }
    let head = rig.send("HEAD /nowhere", &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (404, ""));
}

#[tokio::test]
async fn bodies_are_checked_for_type_size_and_pace() {
    let rig = Rig::empty();
    let typed = [("content-type", "text/plain")];
    assert_eq!(rig.send("POST /v1/carts", &typed, "{}").await.problem(), (415, "unsupported_media_type".to_owned()));
    assert_eq!(rig.send("POST /v1/carts", &[], "{}").await.problem(), (415, "unsupported_media_type".to_owned()));
    let big = format!("{{\"currency\":\"{}\"}}", "x".repeat(256 * 1024));
    assert_eq!(rig.json("POST /v1/carts", &[], &big).await.problem(), (413, "too_large".to_owned()));
    let declared = [("content-length", "300000")];
    assert_eq!(rig.json("POST /v1/carts", &declared, "{}").await.problem(), (413, "too_large".to_owned()));
    assert_eq!(rig.json("POST /v1/carts", &[], "{").await.problem(), (400, "bad_json".to_owned()));
    assert_eq!(rig.json("POST /v1/carts", &[], "{\"a\":1}").await.problem(), (422, "validation_failed".to_owned()));
    let broken = tokio_stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    let reply = rig.send("POST /v1/carts", &[("content-type", "application/json")], HttpBody::from_stream(broken)).await;
    assert_eq!(reply.problem(), (400, "validation_failed".to_owned()));
}

#[tokio::test] // Takes the ten seconds that a body may pause.
async fn a_body_that_pauses_is_given_up() {
    let rig = Rig::empty();
    let stalled = HttpBody::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
    let reply = rig.send("POST /v1/carts", &[("content-type", "application/json")], stalled).await;
    assert_eq!(reply.problem(), (408, "request_timeout".to_owned()));
}

#[tokio::test] // Takes the three seconds that a probe waits.
async fn an_engine_that_never_answers_is_given_up() {
    struct Silent;
    impl wire::Client for Silent {
        fn call(&self, _: wire::Request) -> wire::Call {
            Box::pin(std::future::pending())
        }
        fn topology(&self) -> wire::Topology {
            wire::Topology { partitions: 1, shards: 1 }
        }
    }
    let app = App::new(Arc::new(Silent), CartTokens::new(&super::cart_secret()), super::signing_key().verifying_key());
    let edge = Edge::new(Arc::new(app), 0, None);
    let request = Request::get("/readyz").body(HttpBody::empty()).expect("a request");
    let response = edge.answer(IpAddr::from([192, 0, 2, 1]), Protocol::H3, request).await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after") && !response.headers().contains_key("alt-svc"));
}

#[tokio::test]
async fn panics_are_problems() {
    let rig = Rig::new(|_| panic!("a secret detail"));
    let reply = rig.send("GET /v1/products/key=1", &[], "").await;
    assert_eq!(reply.problem(), (500, "internal".to_owned()));
    assert!(!reply.text.contains("secret"));
    assert!(rig.edge.app.metrics.text().contains("emporion_panics_total 1"));
}

#[tokio::test]
async fn one_address_is_limited() {
    let (fake, asked) = super::fake(|_| Err(Failure::Refused(Refusal::NotFound)));
    let rig = Rig::with(fake, asked, 3);
    let mut refused = 0;
    for _ in 0..10 {
        let reply = rig.send("GET /livez", &[], "").await;
        assert_eq!(reply.header("ratelimit-policy"), "\"default\";q=3;w=1");
        assert!(reply.header("ratelimit").starts_with("\"default\";r="));
        if reply.status.as_u16() == 429 {
            refused += 1;
            assert_eq!(reply.problem(), (429, "rate_limited".to_owned()));
            assert_eq!(reply.header("retry-after"), "1");
        }
    }
    assert!(refused >= 5, "{refused} of 10 refused");
}

#[tokio::test] // Each row: a request, its idempotency key, and what it is answered; "ok" reached the engine.
async fn idempotency_keys() {
    let (cart, order) = (cart_id(), order_id());
    let checkout = format!("POST /v1/carts/{cart}/checkout");
    let cancel = format!("POST /v1/orders/{order}/cancel");
    let action = format!("POST /v1/orders/{order}/payment-action");
    let lines = format!("POST /v1/carts/{cart}/lines");
    let adjust = "POST /v1/admin/stock/adjust".to_owned();
    let paying =
        r#"{"email":"a@b.example","payment":{"provider":"sandbox","token":"pm_card_visa"},"accept_total":{"amount":1,"currency":"USD"}}"#;
    let adjusting = r#"{"sku":"key=1","location":"main","delta":1,"reason":"found"}"#;
    let adding = r#"{"sku":"key=1","quantity":1}"#;
    let long = "k".repeat(256);
    let most = "k".repeat(255);
    let (token, staff) = (cart_token(), bearer(Role::Admin));
    for (line, body, key, wanted) in [
        (&checkout, paying, None, "400 idempotency_key_required"),
        (&cancel, "{}", None, "400 idempotency_key_required"),
        (&action, r#"{"outcome":"success"}"#, None, "400 idempotency_key_required"),
        (&adjust, adjusting, None, "400 idempotency_key_required"),
        (&checkout, paying, Some("k"), "ok"),
        (&cancel, "", Some("k"), "ok"),
        (&action, r#"{"outcome":"success"}"#, Some("k"), "ok"),
        (&adjust, adjusting, Some(most.as_str()), "ok"),
        (&adjust, adjusting, Some(long.as_str()), "400 validation_failed"),
        (&adjust, adjusting, Some(""), "400 validation_failed"),
        (&adjust, adjusting, Some("a b"), "400 validation_failed"),
        (&lines, adding, None, "ok"),
        (&lines, adding, Some("k"), "ok"),
        (&"POST /v1/carts".to_owned(), "{}", None, "ok"),
        (&"POST /v1/carts".to_owned(), "{}", Some("too-short"), "400 validation_failed"),
        (&"POST /v1/carts".to_owned(), "{}", Some("0123456789012345678901"), "ok"),
    ] {
        let mut rig = Rig::empty();
        let mut headers = vec![("cart-token", token.as_str())];
        if line.contains("admin") {
            headers.push(("authorization", staff.as_str()));
        }
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let (status, code) = rig.json(line, &headers, body).await.problem();
        let found = if status == 404 { "ok".to_owned() } else { format!("{status} {code}") };
        assert_eq!(found, wanted, "{line} {key:?}");
        if wanted == "ok" {
            assert_eq!(rig.last().idempotency.is_some(), key.is_some(), "{line}");
        }
    }
}

#[tokio::test]
async fn the_same_request_has_the_same_key_and_fingerprint() {
    let mut rig = Rig::empty();
    let (one, other) = (cart_id(), wire::CartId(wire::RawId(cart_id().0.0 + 1)));
    let tokens = CartTokens::new(&super::cart_secret());
    let mut ask = async |cart: wire::CartId, key: &str, body: &str| {
        let headers = [("cart-token", tokens.issue(cart)), ("idempotency-key", key.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        rig.json(&format!("POST /v1/carts/{cart}/lines"), &headers, body).await;
        rig.last().idempotency.expect("keyed")
    };
    let first = ask(one, "k", r#"{"sku":"key=1","quantity":1}"#).await;
    assert_eq!(ask(one, "k", r#" {"quantity":1,"sku":"key=1"}"#).await, first, "spelled another way");
    let body = ask(one, "k", r#"{"sku":"key=1","quantity":2}"#).await;
    assert!(body.key == first.key && body.fingerprint != first.fingerprint, "another body");
    assert_ne!(ask(one, "K", r#"{"sku":"key=1","quantity":1}"#).await.key, first.key, "another key");
    assert_ne!(ask(other, "k", r#"{"sku":"key=1","quantity":1}"#).await.key, first.key, "another cart");
}

#[tokio::test]
async fn a_keyed_cart_comes_to_the_same_partition() {
    let mut rig = Rig::empty();
    let mut partitions = std::collections::HashSet::new();
    for _ in 0..5 {
        rig.json("POST /v1/carts", &[("idempotency-key", "0123456789012345678901")], "{}").await;
        let Op::CreateCart { partition, .. } = rig.last().op else { panic!("another operation") };
        partitions.insert(partition);
    }
    assert_eq!(partitions.len(), 1);
    for _ in 0..40 {
        rig.json("POST /v1/carts", &[], "").await;
        let Op::CreateCart { partition, .. } = rig.last().op else { panic!("another operation") };
        partitions.insert(partition);
    }
    assert!(partitions.len() > 10, "unkeyed carts spread: {}", partitions.len());
}

#[tokio::test]
async fn conditions_reach_the_engine() {
    let mut rig = Rig::new(|_| Ok(Body::Cart(Box::new(cart()))));
    let token = cart_token();
    let line = format!("GET /v1/carts/{}", cart_id());
    let headers = [("cart-token", token.as_str()), ("at-least", "1.7:42, 1.8:1"), ("if-match", "\"3\"")];
    let reply = rig.send(&line, &headers, "").await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"3\""));
    assert_eq!(reply.header("cache-control"), "private, no-store");
    let asked = rig.last();
    assert_eq!((asked.at_least.len(), asked.if_match), (2, Some(3)));
    assert_eq!(asked.principal, Principal::Guest { cart: cart_id() });
    let reply = rig.send(&line, &[("cart-token", &token), ("if-none-match", "\"3\"")], "").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str(), reply.header("etag")), (304, "", "\"3\""));
    for (name, value) in [("at-least", "1.2"), ("at-least", ""), ("if-match", "3"), ("if-match", "W/\"3\"")] {
        let reply = rig.send(&line, &[("cart-token", &token), (name, value)], "").await;
        assert_eq!(reply.problem(), (400, "validation_failed".to_owned()), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_products_tag_tells_its_availability() {
    let tag =
        async |quantity| Rig::new(move |_| Ok(Body::Product(Box::new(product(quantity))))).send("GET /v1/products/key=1", &[], "").await;
    let (one, other) = (tag(3).await, tag(4).await);
    assert_ne!(one.header("etag"), other.header("etag"));
    assert!(one.header("etag").starts_with("\"1-"));
    assert!(one.header("cache-control").starts_with("public, max-age="));
    assert!(one.header("surrogate-key").starts_with("product:prod_"));
}

#[tokio::test] // Each row: a request, its tokens, and its answer from an engine that would say yes to anything.
async fn tokens_open_what_is_theirs() {
    let order_line = format!("GET /v1/orders/{}", order_id());
    let cart_line = format!("GET /v1/carts/{}", cart_id());
    let other = CartTokens::new(&super::cart_secret()).issue(wire::CartId(wire::RawId(5)));
    let (token, admin) = (cart_token(), bearer(Role::Admin));
    let (support, merchandiser, warehouse) = (bearer(Role::Support), bearer(Role::Merchandiser), bearer(Role::Warehouse));
    let delete = "DELETE /v1/admin/products/key=1";
    for (line, header, value, wanted) in [
        (cart_line.as_str(), "cart-token", token.as_str(), 200),
        (&cart_line, "cart-token", &other, 404),
        (&cart_line, "cart-token", "nonsense", 404),
        (&cart_line, "x-nothing", "", 404),
        (&cart_line, "authorization", "Bearer x", 401),
        (&cart_line, "authorization", &admin, 404),
        ("GET /v1/carts/nonsense", "cart-token", &token, 404),
        (&order_line, "cart-token", &token, 200),
        (&order_line, "x-nothing", "", 404),
        (&order_line, "authorization", &support, 200),
        (&order_line, "authorization", "Basic dTpw", 401),
        ("GET /v1/admin/orders", "x-nothing", "", 401),
        ("GET /v1/admin/orders", "cart-token", &token, 401),
        ("GET /v1/admin/orders", "authorization", &support, 200),
        (delete, "authorization", &support, 403),
        (delete, "authorization", &warehouse, 403),
        (delete, "authorization", &merchandiser, 204),
        (delete, "authorization", &admin, 204),
        ("GET /v1/products/key=1", "authorization", "Bearer x", 401),
        ("GET /v1/products/key=1", "authorization", &admin, 200),
    ] {
        let rig = Rig::new(|request| {
            Ok(match request.op {
                Op::GetCart(_) => Body::Cart(Box::new(cart())),
                Op::GetOrder(_) => Body::Order(Box::new(super::order(wire::OrderStatus::Open, wire::PaymentStatus::Captured))),
                Op::ListOrders { .. } => Body::Orders(Vec::new()),
                Op::GetProduct(_) => Body::Product(Box::new(product(1))),
                _ => Body::Done,
            })
        });
        let reply = rig.send(line, &[(header, value)], "").await;
        assert_eq!(reply.status.as_u16(), wanted, "{line} {header}: {value}");
        assert_eq!(reply.header("www-authenticate").is_empty(), wanted != 401);
    }
}

#[tokio::test]
async fn replays_say_so() {
    let (asked, received) = tokio::sync::mpsc::unbounded_channel();
    let positions = vec![super::position(), wire::Position { epoch: 1, partition: wire::PartitionId(9), seq: wire::Seq(1) }];
    let answer = wire::Response { positions, replayed: true, result: Ok(Body::Cart(Box::new(cart()))) };
    let rig = Rig::with(super::Fake { script: Arc::new(move |_| Ok(answer.clone())), asked }, received, 0);
    let reply = rig.json("POST /v1/carts", &[("idempotency-key", "0123456789012345678901")], "{}").await;
    assert_eq!((reply.status.as_u16(), reply.header("idempotent-replayed")), (201, "true"));
    assert_eq!(reply.header("log-position"), "1.7:42, 1.9:1");
    assert_eq!(reply.json()["cart_token"], cart_token());
    assert_eq!(reply.header("location"), format!("/v1/carts/{}", cart_id()));
}

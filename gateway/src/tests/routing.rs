//! The routes: that the document lists them all, and what each answers.

use super::{Rig, bearer, cart, cart_id, cart_token, order, order_id, product, sku_id, usd};
use crate::{http::codes, openapi, routes};
use expect_test::expect;
use serde_json::Value;
use std::collections::BTreeSet;
use wire::{
    Body, CartLineView, CartProblem, CategoryRef, Failure, LineId, LineState, NextAction, Op, OrderLineView, OrderStatus, PaymentStatus,
    ProductRef, RawId, Refusal, Role, SkuRef, StockChange, StockView,
};

#[tokio::test]
async fn the_document_lists_every_route() {
    let mut documented = BTreeSet::new();
    for (path, item) in openapi::document()["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys().filter(|key| *key != "parameters") {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routed: BTreeSet<(String, String)> = routes::table()
        .iter()
        .flat_map(|(path, methods, _)| methods.iter().map(|method| ((*method).to_owned(), (*path).to_owned())))
        .collect();
    assert_eq!(documented, routed);
    // The table's methods are those that the router really takes.
    let rig = Rig::empty();
    for (path, methods, _) in routes::table() {
        let line = path.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let status = rig.send(&format!("{method} {line}"), &[], "").await.status.as_u16();
            assert_eq!(status != 405, methods.contains(&method), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_its_references_resolve() {
    let reply = Rig::empty().send("GET /openapi.json", &[], "").await;
    let document = reply.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if let (true, Some(path)) = (name == "$ref", value.as_str()) {
                        found.push(path.trim_start_matches('#').to_owned());
                    }
                    references(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for path in found {
        assert!(document.pointer(&path).is_some(), "{path} is nowhere");
    }
}

#[tokio::test]
async fn a_product_in_both_vocabularies() {
    let mut rig = Rig::new(|_| Ok(Body::Product(Box::new(product(12)))));
    let reply = rig.send("GET /v1/products/key=printers%2Fink%201", &[("accept", "*/*")], "").await;
    assert_eq!(rig.last().op, Op::GetProduct(ProductRef::Key("printers/ink 1".to_owned())));
    let wanted = expect![[r#"
        {"id":"prod_000000002d0000000000000000",
        "key":"1399",
        "version":1,
        "status":"active",
        "title":"HP 80 Original Cyan",
        "description":"Ink",
        "brand":"HP",
        "category":[],
        "attributes":{"t_type":"Original"},
        "images":[],
        "rating":{"average":null,
        "count":0},
        "variants":[{"id":"sku_01ksr492000020000000002001",
        "key":"1399",
        "options":{},
        "price":{"amount":12595,
        "currency":"USD"},
        "prices":[{"amount":12595,
        "currency":"USD"}],
        "barcodes":["0882780756328"],
        "availability":{"in_stock":true,
        "quantity":10,
        "quantity_is_cap":true,
        "backorder":false}}],
        "popularity":5,
        "released":"1970-01-11"}"#]];
    // One member a line, in the order written.
    wanted.assert_eq(&reply.text.replace(",\"", ",\n\""));
    let reply = rig.send("GET /v1/products/key=1", &[("accept", "application/ld+json")], "").await;
    assert_eq!(reply.header("content-type"), "application/ld+json");
    let json = reply.json();
    assert_eq!((&json["@type"], &json["offers"][0]["price"]), (&"Product".into(), &"125.95".into()));
    assert_eq!(json["offers"][0]["availability"], "https://schema.org/InStock");
}

#[tokio::test]
async fn what_is_like_a_product_is_asked_with_filters() {
    let mut rig = Rig::new(|_| Ok(Body::SimilarProducts(Vec::new())));
    let reply = rig.send("GET /v1/products/key=a%2Fb/similar?limit=3&filter=brand:HP%7COKI&filter=in_stock:true", &[], "").await;
    assert_eq!((reply.status.as_u16(), &*reply.text), (200, r#"{"items":[],"next":null}"#));
    let filters = vec![wire::Filter::Brand(vec!["HP".to_owned(), "OKI".to_owned()]), wire::Filter::InStock(true)];
    assert_eq!(rig.last().op, Op::SimilarProducts { product: ProductRef::Key("a/b".to_owned()), filters, limit: 3 });
    for bad in ["limit=0", "limit=101", "filter=colour:red", "after=AAAA", &"filter=in_stock:true&".repeat(33)] {
        assert_eq!(rig.send(&format!("GET /v1/products/key=a/similar?{bad}"), &[], "").await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn a_cart_has_the_contracts_shape() {
    let line = LineId(RawId(8 << 80));
    let mut rig = Rig::new(move |_| {
        let mut view = cart();
        view.lines.push(CartLineView {
            id: line,
            sku: sku_id(),
            product: product(1).id,
            product_key: "1399".to_owned(),
            title: "Ink".to_owned(),
            image: None,
            quantity: 2,
            unit_price: usd(1_000),
            discount: usd(0),
            tax: usd(0),
            total: usd(2_000),
            availability: wire::Availability { quantity: 1, backorder: false },
        });
        view.problems.push(CartProblem::InsufficientStock { line, available: 1 });
        Ok(Body::Cart(Box::new(view)))
    });
    let token = cart_token();
    let headers = [("cart-token", token.as_str())];
    let path = format!("/v1/carts/{}/lines", cart_id());
    let reply = rig.json(&format!("POST {path}"), &headers, r#"{"sku":"key=1399","quantity":2}"#).await;
    assert_eq!((reply.status.as_u16(), reply.header("log-position")), (200, "1.7:42"));
    assert_eq!(rig.last().op, Op::AddLine { cart: cart_id(), sku: SkuRef::Key("1399".to_owned()), quantity: 2 });
    let json = reply.json();
    for (pointer, wanted) in [
        ("/status", Value::from("open")),
        ("/currency", "USD".into()),
        ("/customer", Value::Null),
        ("/email", Value::Null),
        ("/address", Value::Null),
        ("/shipping", Value::Null),
        ("/coupons", Value::Array(Vec::new())),
        ("/lines/0/product/key", "1399".into()),
        ("/lines/0/product/image", Value::Null),
        ("/lines/0/unit_price/amount", 1_000.into()),
        ("/lines/0/availability/in_stock", true.into()),
        ("/totals/shipping/amount", 0.into()),
        ("/problems/0/code", "insufficient_stock".into()),
        ("/problems/0/available", 1.into()),
        ("/expires_at", "2026-12-01T00:00:00Z".into()),
    ] {
        assert_eq!(json.pointer(pointer), Some(&wanted), "{pointer}");
    }
    let reply = rig.json(&format!("PATCH {path}/{line}"), &headers, r#"{"quantity":0}"#).await;
    assert_eq!(reply.status.as_u16(), 200);
    assert_eq!(rig.last().op, Op::SetLineQuantity { cart: cart_id(), line, quantity: 0 });
    let reply = rig.send(&format!("DELETE {path}/{line}"), &headers, "").await;
    assert_eq!(reply.status.as_u16(), 200);
    for body in [r#"{"sku":"1399","quantity":1}"#, r#"{"sku":"key=1","quantity":0}"#, r#"{"sku":"key=1","quantity":100001}"#] {
        assert_eq!(rig.json(&format!("POST {path}"), &headers, body).await.problem().0, 422, "{body}");
    }
    let address = r#"{"name":"A","line1":"B","city":"C","postal_code":"1","country":"us"}"#;
    let reply = rig.json(&format!("PUT /v1/carts/{}/address", cart_id()), &headers, address).await;
    assert_eq!(reply.json()["errors"][0]["pointer"], "/country");
    let reply = rig.json(&format!("PUT /v1/carts/{}/address", cart_id()), &headers, &address.replace("us", "US")).await;
    assert_eq!(reply.status.as_u16(), 200);
    let reply = rig.send(&format!("GET /v1/carts/{}/shipping-options", cart_id()), &headers, "").await;
    assert_eq!(reply.text, r#"{"items":[],"next":null}"#);
}

const PAYING: &str =
    r#"{"email":"a@b.example","payment":{"provider":"sandbox","token":"pm_card_visa"},"accept_total":{"amount":1999,"currency":"USD"}}"#;

#[tokio::test]
async fn a_checkout_is_201_when_settled() {
    let token = cart_token();
    let headers = [("cart-token", token.as_str()), ("idempotency-key", "k")];
    let line = format!("POST /v1/carts/{}/checkout", cart_id());
    let acting = |mut view: wire::OrderView| {
        view.next_action = Some(NextAction { kind: "three_d_secure".to_owned(), url: None });
        view
    };
    for (view, status) in [
        (order(OrderStatus::Open, PaymentStatus::Captured), 201),
        (order(OrderStatus::Open, PaymentStatus::Authorised), 201),
        (order(OrderStatus::Placing, PaymentStatus::Pending), 202),
        (order(OrderStatus::Placing, PaymentStatus::Authorised), 202),
        (acting(order(OrderStatus::Placing, PaymentStatus::Pending)), 202),
    ] {
        let said = view.clone();
        let mut rig = Rig::new(move |_| Ok(Body::Order(Box::new(said.clone()))));
        let reply = rig.json(&line, &headers, PAYING).await;
        assert_eq!(reply.status.as_u16(), status, "{view:?}");
        assert_eq!(reply.header("location"), format!("/v1/orders/{}", order_id()));
        assert_eq!(reply.json()["next_action"]["kind"].as_str(), view.next_action.as_ref().map(|_| "three_d_secure"));
        let asked = rig.last();
        assert_eq!(asked.timeout_ms, 15_000);
        let Op::Checkout { wait_ms, accept_total, .. } = asked.op else { panic!("another operation") };
        assert_eq!((wait_ms, accept_total), (10_000, usd(1_999)));
    }
}

#[tokio::test] // Each row: a change to a good checkout, and its refusal.
async fn checkouts_are_checked() {
    let token = cart_token();
    let headers = [("cart-token", token.as_str()), ("idempotency-key", "k")];
    let line = format!("POST /v1/carts/{}/checkout", cart_id());
    for (from, to, code, pointer) in [
        ("pm_card_visa", "4242 4242 4242 4242", "card_number_refused", None),
        ("a@b.example", "4242424242424242@b.example", "card_number_refused", None),
        ("\"email\"", "\"card\":4242424242424242,\"email\"", "card_number_refused", None),
        ("a@b.example", "nobody", "validation_failed", Some("/email")),
        ("a@b.example", "a@b@c", "validation_failed", Some("/email")),
        ("1999", "-1", "validation_failed", Some("/accept_total/amount")),
        ("USD", "dollars", "validation_failed", Some("/accept_total/currency")),
        ("\"email\"", "\"wait_ms\":30001,\"email\"", "validation_failed", Some("/wait_ms")),
        ("\"email\"", "\"price\":1,\"email\"", "validation_failed", Some("/price")),
        ("\"token\":\"pm_card_visa\"", "\"token\":\"\"", "validation_failed", Some("/payment/token")),
    ] {
        let rig = Rig::empty();
        let reply = rig.json(&line, &headers, &PAYING.replace(from, to)).await;
        assert_eq!(reply.problem(), (422, code.to_owned()), "{to}");
        assert_eq!(reply.json()["errors"][0]["pointer"].as_str(), pointer, "{to}");
        assert!(!reply.text.contains("4242"), "the number is not repeated");
    }
}

#[tokio::test]
async fn an_order_has_the_contracts_shape() {
    let rig = Rig::new(|_| {
        let mut view = order(OrderStatus::Open, PaymentStatus::Captured);
        view.lines.push(OrderLineView {
            id: LineId(RawId(8 << 80)),
            sku: sku_id(),
            title: "Ink".to_owned(),
            quantity: 2,
            unit_price: usd(1_000),
            total: usd(2_000),
            quantities: vec![(LineState::Allocated, 1), (LineState::Shipped, 1)],
        });
        Ok(Body::Order(Box::new(view)))
    });
    let reply = rig.send(&format!("GET /v1/orders/{}", order_id()), &[("cart-token", &cart_token())], "").await;
    let json = reply.json();
    assert_eq!(reply.header("etag"), "\"7\"");
    for (pointer, wanted) in [
        ("/status", Value::from("open")),
        ("/payment_status", "captured".into()),
        ("/fulfilment_status", "partially_shipped".into()),
        ("/currency", "USD".into()),
        ("/cart", cart_id().to_string().into()),
        ("/lines/0/quantities/allocated", 1.into()),
        ("/shipments", Value::Array(Vec::new())),
        ("/next_action", Value::Null),
        ("/placed_at", "2026-05-28T20:26:40.123Z".into()),
        ("/address/country", "US".into()),
    ] {
        assert_eq!(json.pointer(pointer), Some(&wanted), "{pointer}");
    }
}

#[tokio::test]
async fn orders_are_listed_page_by_page() {
    let mut rig = Rig::new(|_| Ok(Body::Orders(vec![order(OrderStatus::Open, PaymentStatus::Captured)])));
    let staff = bearer(Role::Support);
    let headers = [("authorization", staff.as_str())];
    let reply = rig.send("GET /v1/admin/orders?limit=1&status=on_hold", &headers, "").await;
    let next = reply.json()["next"].as_str().expect("a full page has a next").to_owned();
    assert_eq!(reply.header("link"), format!("</v1/admin/orders?limit=1&status=on_hold&after={next}>; rel=\"next\""));
    let asked = Op::ListOrders { status: Some(OrderStatus::OnHold), limit: 1, after: None };
    assert_eq!(rig.last().op, asked);
    let reply = rig.send(&format!("GET /v1/admin/orders?after={next}"), &headers, "").await;
    assert_eq!(reply.json()["next"], Value::Null);
    assert_eq!(rig.last().op, Op::ListOrders { status: None, limit: 20, after: Some(order_id()) });
    for (query, wanted) in
        [("after=x", (400, "bad_cursor")), ("status=sold", (422, "validation_failed")), ("x=1", (422, "validation_failed"))]
    {
        let reply = rig.send(&format!("GET /v1/admin/orders?{query}"), &headers, "").await;
        assert_eq!(reply.problem(), (wanted.0, wanted.1.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn stock_is_asked_and_changed() {
    let plain = StockView { sku: sku_id(), key: "1399".to_owned(), locations: Vec::new(), holds: Vec::new() };
    let view = super::warehouse::inventory();
    let mut rig = Rig::new(move |request| {
        Ok(match request.op {
            Op::GetAvailability(_) => Body::Availability(Vec::new()),
            Op::AdjustStock(_) => Body::Stock(plain.clone()),
            _ => Body::Inventory(Box::new(view.clone())),
        })
    });
    rig.send(&format!("GET /v1/stock?sku=key=a%2Cb,{}", sku_id()), &[], "").await;
    assert_eq!(rig.last().op, Op::GetAvailability(vec![SkuRef::Key("a,b".to_owned()), SkuRef::Id(sku_id())]));
    for query in ["", "sku=", "sku=1399", "x=1"] {
        assert_eq!(rig.send(&format!("GET /v1/stock?{query}"), &[], "").await.problem().0, 422, "{query}");
    }
    let staff = bearer(Role::Warehouse);
    let headers = [("authorization", staff.as_str()), ("idempotency-key", "k")];
    let reply = rig.send("GET /v1/admin/stock/key=1399", &headers, "").await;
    assert_eq!(reply.json()["locations"][0]["on_hand"], 30);
    for (body, wanted) in [
        (r#""delta":-5"#, Some(StockChange::Delta(-5))),
        (r#""set":7"#, Some(StockChange::Set(7))),
        (r#""set":7,"expected":6,"allow_shortfall":false"#, Some(StockChange::CompareAndSet { set: 7, expected: 6 })),
        (r#""delta":1,"set":7"#, None),
        (r#""expected":7"#, None),
        (r#""x":7"#, None),
        (r#""set":7,"allow_shortfall":true"#, None),
    ] {
        let body = format!(r#"{{"sku":"key=1399","location":"main","reason":"count",{body}}}"#);
        let reply = rig.json("POST /v1/admin/stock/adjust", &headers, &body).await;
        match wanted {
            None => assert_eq!(reply.problem().0, 422, "{body}"),
            Some(change) => {
                assert_eq!((reply.status.as_u16(), reply.header("log-position")), (200, "1.7:42"));
                assert_eq!(reply.json()["locations"][0]["on_hand"], 30);
                let adjusted = std::iter::from_fn(|| rig.asked.try_recv().ok()).find_map(|request| match request.op {
                    Op::AdjustStock(adjustment) => Some(adjustment.change),
                    _ => None,
                });
                assert_eq!(adjusted, Some(change), "{body}");
            }
        }
    }
}

#[tokio::test] // The engine says it to those who write products; what they are shown is not for a cache that others ask.
async fn a_margin_is_shown_to_nobody_by_a_cache() {
    let rig = Rig::new(|request| {
        let writes = matches!(request.principal, wire::Principal::Staff { role: Role::Merchandiser });
        Ok(match &request.op {
            Op::GetProduct(_) => Body::Product(Box::new(wire::ProductView { margin: writes.then_some(35), ..product(1) })),
            Op::Search(_) => Body::Search(Box::new(wire::SearchResults {
                items: Vec::new(),
                facets: Vec::new(),
                total: None,
                relaxed: false,
                next: None,
                did_you_mean: None,
                redirect: None,
                banner: None,
                partial: false,
            })),
            _ => return Err(Failure::Refused(Refusal::NotFound)),
        })
    });
    let staff = bearer(Role::Merchandiser);
    let headers = [("authorization", staff.as_str())];
    let path = "GET /v1/products/key=1399";
    let (shopper, merchant) = (rig.send(path, &[], "").await, rig.send(path, &headers, "").await);
    assert_eq!(merchant.json()["margin"], 35);
    assert!(!shopper.text.contains("margin"), "{}", shopper.text);
    assert_ne!(shopper.header("etag"), merchant.header("etag"), "neither is taken for the other");
    for path in [path, "GET /v1/search?q=ink"] {
        let is_public = |reply: &crate::tests::Reply| reply.header("cache-control").contains("public");
        let (shopper, merchant) = (rig.send(path, &[], "").await, rig.send(path, &headers, "").await);
        assert_eq!((is_public(&shopper), is_public(&merchant)), (true, false), "{path}: {}", shopper.header("cache-control"));
    }
    for path in ["GET /products/key=1399", "GET /v1/products/key=1399/similar"] {
        assert!(!rig.send(path, &[("accept", "text/html")], "").await.text.contains("margin"), "{path}");
    }
}

#[tokio::test] // A patch changes what is there then: where somebody else writes, it reads again, unless the caller said what the answer is then.
async fn a_patch_changes_what_it_read() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let writes = AtomicU64::new(0);
    let mut rig = Rig::new(move |request| {
        let version = writes.load(Ordering::Relaxed) + 1;
        Ok(match &request.op {
            Op::GetProduct(_) => Body::Product(Box::new(wire::ProductView { version, ..product(1) })),
            // Every other write comes late.
            Op::PutProduct(_) if writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
                return Err(Failure::Refused(Refusal::VersionMismatch { current: version + 1 }));
            }
            Op::PutProduct(_) => Body::Upserted { id: product(1).id, version: 9, what: wire::Upserted::Updated },
            _ => return Err(Failure::Refused(Refusal::NotFound)),
        })
    });
    let staff = bearer(Role::Merchandiser);
    let (path, patch) = ("PATCH /v1/admin/products/key=1399", r#"{"brand":null,"attributes":{"colour":"cyan"}}"#);
    let headers = [("authorization", staff.as_str())];
    let reply = rig.json(path, &headers, patch).await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"9\""), "{}", reply.text);
    let asked = rig.last();
    assert_eq!(asked.if_match, Some(2), "the version that was read the second time");
    let Op::PutProduct(input) = asked.op else { panic!("another operation") };
    assert_eq!((input.title.as_str(), input.brand, input.attributes.len()), ("HP 80 Original Cyan", None, 2));
    for header in [("if-match", "\"7\""), ("idempotency-key", "once")] {
        let reply = rig.json(path, &[headers[0], header], patch).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (412, &serde_json::json!("version_mismatch")), "{header:?}");
        let asked = rig.last();
        assert_eq!((asked.if_match == Some(7), asked.idempotency.is_some()), (header.0 == "if-match", header.0 != "if-match"));
        assert_eq!(rig.json(path, &[headers[0], header], patch).await.status.as_u16(), 200);
    }
    let reply = rig.json(path, &headers, r#"{"price":1}"#).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["errors"][0]["pointer"]), (422, &serde_json::json!("/price")));
    assert_eq!(rig.json("PATCH /v1/admin/products/key=1399", &[], patch).await.status.as_u16(), 401);
}

#[tokio::test]
async fn the_catalog_is_written_by_key() {
    let mut rig = Rig::new(|request| {
        Ok(match &request.op {
            Op::GetProduct(_) => Body::Product(Box::new(product(1))),
            Op::PutProduct(_) => Body::Upserted { id: product(1).id, version: 4, what: wire::Upserted::Created },
            Op::DeleteProduct(_) => Body::Done,
            _ => return Err(Failure::Refused(Refusal::NotFound)),
        })
    });
    let staff = bearer(Role::Merchandiser);
    let headers = [("authorization", staff.as_str()), ("if-match", "\"3-0badcafe\"")];
    let body = r#"{"title":"Ink","variants":[{"key":"1399","prices":[{"amount":5,"currency":"USD"}]}]}"#;
    for path in ["key=1399".to_owned(), product(1).id.to_string()] {
        let reply = rig.json(&format!("PUT /v1/admin/products/{path}"), &headers, body).await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (201, "\"4\""), "{}", reply.text);
        let asked = rig.last();
        assert_eq!(asked.if_match, Some(3));
        let Op::PutProduct(input) = asked.op else { panic!("another operation") };
        assert_eq!(input.key, "1399");
    }
    let other = body.replacen('{', r#"{"key":"other","#, 1);
    let reply = rig.json("PUT /v1/admin/products/key=1399", &headers, &other).await;
    assert_eq!(reply.json()["errors"][0]["pointer"], "/key");
    let reply = rig.send("DELETE /v1/admin/products/key=1399", &headers, "").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str(), reply.header("log-position")), (204, "", "1.7:42"));
    let reply = rig.json("PUT /v1/admin/categories/key=a%2Fb", &headers, r#"{"name":"B","parent":"a"}"#).await;
    assert_eq!(reply.status.as_u16(), 404);
    let Op::PutCategory(input) = rig.last().op else { panic!("another operation") };
    assert_eq!((input.key.as_str(), input.parent.as_deref()), ("a/b", Some("a")));
    rig.send("GET /v1/categories/key=a%2Fb", &[], "").await;
    assert_eq!(rig.last().op, Op::GetCategory(CategoryRef::Key("a/b".to_owned())));
}

#[tokio::test]
async fn readiness_follows_the_engine_and_the_drain() {
    let rig = Rig::empty();
    assert_eq!(rig.send("GET /readyz", &[], "").await.status.as_u16(), 200);
    rig.edge.app.drain();
    assert_eq!(rig.send("GET /readyz", &[], "").await.problem().0, 503);
    assert_eq!(rig.send("GET /livez", &[], "").await.status.as_u16(), 200);
    let rig = Rig::new(|_| Err(Failure::ShuttingDown));
    assert_eq!(rig.send("GET /readyz", &[], "").await.problem().0, 503);
}

#[test]
fn order_statuses_read_back() {
    for status in [OrderStatus::Placing, OrderStatus::OnHold, OrderStatus::Expired] {
        assert_eq!(crate::dto::order::status_of(codes::order_status(status)), Some(status));
    }
}

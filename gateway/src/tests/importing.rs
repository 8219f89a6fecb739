//! Import: many lines in, one answer each, in order.

use super::{Rig, bearer, product, sku_id};
use axum::body::{Body as HttpBody, Bytes};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use wire::{Body, Failure, FieldError, Op, Refusal, Role, StockView, Upserted};

fn script(op: &Op) -> Result<Body, Failure> {
    match op {
        Op::PutProduct(input) if input.title == "taken" => Err(Failure::Refused(Refusal::KeyTaken { key: "k".to_owned() })),
        Op::PutProduct(input) if input.title == "bad" => {
            let field = FieldError { pointer: "/title".to_owned(), code: "bad".to_owned(), detail: "another".to_owned() };
            Err(Failure::Refused(Refusal::Invalid(vec![field])))
        }
        Op::PutProduct(input) => {
            let what = if input.title == "same" { Upserted::Unchanged } else { Upserted::Created };
            Ok(Body::Upserted { id: product(1).id, version: 1, what })
        }
        Op::AdjustStock(_) => Ok(Body::Stock(StockView { sku: sku_id(), key: "k".to_owned(), locations: Vec::new(), holds: Vec::new() })),
        _ => Err(Failure::Refused(Refusal::NotFound)),
    }
}

fn product_line(key: &str, title: &str) -> String {
    format!(r#"{{"type":"product","key":"{key}","title":"{title}","variants":[{{"key":"{key}","prices":[]}}]}}"#)
}

async fn import(rig: &Rig, role: Role, body: impl Into<HttpBody>) -> Vec<Value> {
    let staff = bearer(role);
    let headers = [("authorization", staff.as_str()), ("content-type", "application/x-ndjson")];
    let reply = rig.send("POST /v1/admin/import", &headers, body).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    reply.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn each_line_is_answered_in_order() {
    let rig = Rig::new(|request| script(&request.op));
    let lines = [
        product_line("a", "new"),
        product_line("b", "same"),
        String::new(),
        product_line("c", "taken"),
        product_line("d", "bad"),
        "{".to_owned(),
        "[]".to_owned(),
        r#"{"type":"review","product":"a"}"#.to_owned(),
        r#"{"type":"coupon"}"#.to_owned(),
        r#"{"key":"a"}"#.to_owned(),
        product_line("e", &"x".repeat(300_000)),
        r#"{"type":"stock","sku":"a","location":"main","mode":"set","quantity":25,"id":"1"}"#.to_owned(),
        r#"{"type":"stock","sku":"a","location":"main","mode":"set","quantity":-1}"#.to_owned(),
        r#"{"type":"category","key":"c","name":"C"}"#.to_owned(),
        "   ".to_owned(),
        r#"{"type":"product","key":"f","title":"new","variants":[],"extra":1}"#.to_owned(),
    ];
    // No line's end at the end: the last line counts all the same.
    let found = import(&rig, Role::Admin, lines.join("\n")).await;
    let brief: Vec<String> = found[..found.len() - 1]
        .iter()
        .map(|a| format!("{} {} {}", a["line"], a["status"].as_str().unwrap_or("?"), a["error"]["code"].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        brief,
        [
            "1 created -",
            "2 unchanged -",
            "4 refused key_taken",
            "5 refused validation_failed",
            "6 refused bad_json",
            "7 refused validation_failed",
            "8 refused validation_failed",
            "9 refused validation_failed",
            "10 refused validation_failed",
            "11 refused too_large",
            "12 updated -",
            "13 refused validation_failed",
            "14 refused not_found",
            "16 refused validation_failed",
        ]
    );
    assert_eq!(found[0]["id"], product(1).id.to_string());
    assert_eq!(found[3]["error"]["errors"][0]["pointer"], "/title");
    let summary = &found.last().expect("a summary")["summary"];
    assert_eq!(
        (&summary["created"], &summary["updated"], &summary["unchanged"], &summary["refused"]),
        (&1.into(), &1.into(), &1.into(), &11.into())
    );
    assert!(summary["seconds"].is_number());
}

#[tokio::test]
async fn thousands_of_lines_in_small_pieces() {
    let rig = Rig::new(|request| script(&request.op));
    let text: String = (0..5_000).map(|n| product_line(&n.to_string(), "new") + "\n").collect();
    let pieces: Vec<Result<Bytes, std::io::Error>> = text.as_bytes().chunks(777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let found = import(&rig, Role::Merchandiser, HttpBody::from_stream(tokio_stream::iter(pieces))).await;
    assert_eq!(found.len(), 5_001);
    assert!(found[..5_000].iter().zip(1..).all(|(answer, number)| answer["line"] == number && answer["status"] == "created"));
}

#[tokio::test]
async fn lines_of_one_key_keep_their_order() {
    let mut rig = Rig::new(|request| script(&request.op));
    let text: String = (0..200).map(|n| product_line(&(n % 3).to_string(), &n.to_string()) + "\n").collect();
    import(&rig, Role::Admin, text).await;
    let mut last = [None::<u32>; 3];
    while let Ok(request) = rig.asked.try_recv() {
        let Op::PutProduct(input) = request.op else { panic!("another operation") };
        let (key, title): (usize, u32) = (input.key.parse().expect("a number"), input.title.parse().expect("a number"));
        assert!(last[key] < Some(title), "key {key}: {title} after {:?}", last[key]);
        last[key] = Some(title);
    }
}

#[tokio::test]
async fn overload_is_waited_out() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let rig = Rig::new(move |request| {
        if counted.fetch_add(1, Ordering::Relaxed) < 5 { Err(Failure::Overloaded { retry_after_ms: 1 }) } else { script(&request.op) }
    });
    let found = import(&rig, Role::Admin, product_line("a", "new")).await;
    assert_eq!((&found[0]["status"], calls.load(Ordering::Relaxed)), (&"created".into(), 6));
}

#[tokio::test]
async fn only_ndjson_from_staff_is_taken() {
    let rig = Rig::empty();
    let kind = ("content-type", "application/x-ndjson");
    let (support, admin) = (bearer(Role::Support), bearer(Role::Admin));
    assert_eq!(rig.send("POST /v1/admin/import", &[kind], "").await.problem().0, 401);
    assert_eq!(rig.send("POST /v1/admin/import", &[kind, ("authorization", &support)], "").await.problem().0, 403);
    let reply = rig.send("POST /v1/admin/import", &[("content-type", "application/json"), ("authorization", &admin)], "").await;
    assert_eq!(reply.problem().0, 415);
    let found = import(&rig, Role::Admin, "").await;
    assert_eq!(found.len(), 1, "only the summary");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told() {
    let rig = Rig::new(|request| script(&request.op));
    let pieces = [Ok(Bytes::from(product_line("a", "new") + "\n{")), Err(std::io::Error::other("gone"))];
    let found = import(&rig, Role::Admin, HttpBody::from_stream(tokio_stream::iter(pieces))).await;
    assert_eq!(found.len(), 3);
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&"created".into(), &"refused".into()));
}

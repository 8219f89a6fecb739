//! The warehouse's routes: what each asks the engine, and what it answers.

use super::{Rig, bearer, sku_id};
use wire::{
    AnnouncementId, ApartStep, ArrivedGoods, BackorderPolicy, Body, ExpectedUnits, Failure, GoodsDone, HoldId, InventoryRow, InventoryView,
    Millis, MovementCause, Op, OrderId, PartitionId, PurchaseLimit, RawId, Refusal, Role, ShardId, SkuRef, SkuUnits, StockAudit,
    StockColumn, StockCursor, StockEvent, StockMovement, StockNews, StockPage, TransferId, Unavailable, UnavailableUnits, UnitsUnderWay,
};

fn announcement() -> AnnouncementId {
    AnnouncementId(RawId(5 << 80))
}

fn transfer() -> TransferId {
    TransferId(RawId(6 << 80))
}

pub(super) fn inventory() -> InventoryView {
    let row = InventoryRow {
        location: "main".to_owned(),
        available: 23,
        held: 1,
        committed: 2,
        incoming: 9,
        unavailable: 4,
        by_reason: UnavailableUnits { damaged: 1, quarantine: 0, safety: 3, other: 0 },
        in_transit: 7,
        backordered: 0,
        backorder: BackorderPolicy::Preorder { limit: 5, until: Millis(1_796_083_200_000) },
        low_stock: Some(3),
        expected: vec![ExpectedUnits {
            announcement: announcement(),
            due: Millis(1_796_083_200_000),
            reference: "ASN-1".to_owned(),
            quantity: 9,
        }],
        under_way: vec![UnitsUnderWay { transfer: transfer(), from: "east".to_owned(), quantity: 7 }],
    };
    let limit = PurchaseLimit { per_order: Some(2), per_customer: None };
    InventoryView { sku: sku_id(), key: "1399".to_owned(), locations: vec![row], holds: Vec::new(), limit }
}

fn done(arriving: u64) -> GoodsDone {
    GoodsDone { announcement: Some(announcement()), transfer: None, units: 12, left: 3, surplus: 1, arriving }
}

fn engine(op: &Op) -> Body {
    match op {
        Op::AnnounceDelivery(_)
        | Op::WithdrawDelivery { .. }
        | Op::ReceiveDelivery(_)
        | Op::SendTransfer(_)
        | Op::RecallTransfer { .. } => Body::Goods(Box::new(done(0))),
        Op::ArriveTransfer { lines, .. } => Body::Goods(Box::new(done(if lines.is_some() { 4 } else { 0 }))),
        _ => Body::Inventory(Box::new(inventory())),
    }
}

fn units(quantity: u32) -> Vec<SkuUnits> {
    vec![SkuUnits { sku: SkuRef::Key("1399".to_owned()), quantity }]
}

#[tokio::test]
async fn stock_has_the_contracts_shape() {
    let mut rig = Rig::new(|request| Ok(engine(&request.op)));
    let staff = bearer(Role::Support);
    let reply = rig.send("GET /v1/admin/stock/key=1399", &[("authorization", &staff)], "").await;
    assert_eq!(rig.last().op, Op::GetInventory(SkuRef::Key("1399".to_owned())));
    let json = reply.json();
    for (pointer, wanted) in [
        ("/locations/0/on_hand", 30.into()),
        ("/locations/0/unavailable", serde_json::Value::from(4)),
        ("/locations/0/unavailable_by_reason/safety", 3.into()),
        ("/locations/0/in_transit", 7.into()),
        ("/locations/0/backorder_limit", 5.into()),
        ("/locations/0/backorder_until", "2026-12-01T00:00:00Z".into()),
        ("/locations/0/low_stock", 3.into()),
        ("/locations/0/expected/0/announcement", announcement().to_string().into()),
        ("/locations/0/expected/0/due", "2026-12-01T00:00:00Z".into()),
        ("/locations/0/expected/0/reference", "ASN-1".into()),
        ("/locations/0/transfers/0/from", "east".into()),
        ("/purchase_limit/per_order", 2.into()),
        ("/purchase_limit/per_customer", serde_json::Value::Null),
    ] {
        assert_eq!(json.pointer(pointer), Some(&wanted), "{pointer}");
    }
}

#[tokio::test] // Each row: a call, its body, its status, and what the engine is asked.
async fn every_call_asks_for_one_thing() {
    let (ann, trf) = (announcement(), transfer());
    let location = || "main".to_owned();
    let line = r#"{"sku":"key=1399","quantity":12}"#;
    let apart = wire::ApartMove {
        sku: SkuRef::Id(sku_id()),
        location: location(),
        step: ApartStep::WriteOff,
        why: Unavailable::Quarantine,
        quantity: 2,
    };
    let policy = |backorder, low_stock| {
        Op::SetStockPolicy(wire::StockPolicy { sku: SkuRef::Key("1399".to_owned()), location: location(), backorder, low_stock })
    };
    let due = Millis(1_796_083_200_000);
    let arrived = ArrivedGoods { sku: SkuRef::Key("1399".to_owned()), whole: 3, damaged: 0, lost: 1 };
    let rows: Vec<(String, String, u16, Op)> = vec![
        (
            "POST /v1/admin/stock/unavailable".to_owned(),
            format!(r#"{{"sku":"{}","location":"main","action":"write_off","reason":"quarantine","quantity":2}}"#, sku_id()),
            200,
            Op::MoveApart(apart),
        ),
        (
            "POST /v1/admin/stock/announcements".to_owned(),
            format!(r#"{{"location":"main","due":"2026-12-01T01:00:00+01:00","reference":"ASN-1","lines":[{line}]}}"#),
            201,
            Op::AnnounceDelivery(wire::Announcement { location: location(), due, reference: "ASN-1".to_owned(), lines: units(12) }),
        ),
        (format!("POST /v1/admin/stock/announcements/{ann}/withdraw"), String::new(), 200, Op::WithdrawDelivery { announcement: ann }),
        (
            "POST /v1/admin/stock/deliveries".to_owned(),
            format!(r#"{{"location":"main","announcement":"{ann}","lines":[{line}]}}"#),
            200,
            Op::ReceiveDelivery(wire::Delivery { location: location(), announcement: Some(ann), lines: units(12) }),
        ),
        (
            "POST /v1/admin/stock/deliveries".to_owned(),
            format!(r#"{{"location":"main","lines":[{line}]}}"#),
            200,
            Op::ReceiveDelivery(wire::Delivery { location: location(), announcement: None, lines: units(12) }),
        ),
        (
            "POST /v1/admin/stock/transfers".to_owned(),
            format!(r#"{{"from":"main","to":"shop-1","lines":[{line}]}}"#),
            201,
            Op::SendTransfer(wire::Transfer { from: location(), to: "shop-1".to_owned(), lines: units(12) }),
        ),
        (format!("POST /v1/admin/stock/transfers/{trf}/arrive"), "{}".to_owned(), 200, Op::ArriveTransfer { transfer: trf, lines: None }),
        (
            format!("POST /v1/admin/stock/transfers/{trf}/arrive"),
            r#"{"lines":[{"sku":"key=1399","whole":3,"lost":1}]}"#.to_owned(),
            202, // it is arriving still
            Op::ArriveTransfer { transfer: trf, lines: Some(vec![arrived]) },
        ),
        (format!("POST /v1/admin/stock/transfers/{trf}/recall"), String::new(), 200, Op::RecallTransfer { transfer: trf }),
        (
            "PUT /v1/admin/stock/key=1399/policies/main".to_owned(),
            r#"{"backorder":{"limit":5},"low_stock":0}"#.to_owned(),
            200,
            policy(BackorderPolicy::Backorder { limit: 5 }, Some(0)),
        ),
        (
            "PUT /v1/admin/stock/key=1399/policies/main".to_owned(),
            r#"{"backorder":{"limit":5,"until":"2026-12-01T00:00:00Z"}}"#.to_owned(),
            200,
            policy(BackorderPolicy::Preorder { limit: 5, until: due }, None),
        ),
        ("PUT /v1/admin/stock/key=1399/policies/main".to_owned(), "{}".to_owned(), 200, policy(BackorderPolicy::Deny, None)),
        (
            "PUT /v1/admin/stock/key=1399/purchase-limit".to_owned(),
            r#"{"per_order":2}"#.to_owned(),
            200,
            Op::SetPurchaseLimit { sku: SkuRef::Key("1399".to_owned()), limit: PurchaseLimit { per_order: Some(2), per_customer: None } },
        ),
    ];
    let (warehouse, support) = (bearer(Role::Warehouse), bearer(Role::Support));
    for (call, body, status, wanted) in rows {
        let mut rig = Rig::new(|request| Ok(engine(&request.op)));
        let headers = [("authorization", warehouse.as_str()), ("idempotency-key", "k")];
        let reply = rig.json(&call, &headers, &body).await;
        assert_eq!((reply.status.as_u16(), reply.header("log-position")), (status, "1.7:42"), "{call}: {}", reply.text);
        let asked = rig.last();
        assert_eq!(asked.op, wanted, "{call}");
        let is_keyed = call.starts_with("POST");
        assert_eq!(asked.idempotency.is_some(), is_keyed, "{call}");
        if is_keyed {
            let reply = rig.json(&call, &headers[..1], &body).await;
            assert_eq!(reply.problem(), (400, "idempotency_key_required".to_owned()), "{call}");
        }
        let reply = rig.json(&call, &[("authorization", support.as_str()), ("idempotency-key", "k")], &body).await;
        assert_eq!(reply.problem(), (403, "forbidden".to_owned()), "{call}");
        assert_eq!(rig.json(&call, &[("idempotency-key", "k")], &body).await.problem().0, 401, "{call}");
    }
}

#[tokio::test] // Each row: a body that is not taken, and the pointer to why.
async fn bodies_are_checked() {
    let line = r#"{"sku":"key=1399","quantity":12}"#;
    let unavailable = "POST /v1/admin/stock/unavailable";
    let announcements = "POST /v1/admin/stock/announcements";
    let arrive = format!("POST /v1/admin/stock/transfers/{}/arrive", transfer());
    let many = vec![line; 257].join(",");
    for (call, body, pointer) in [
        (unavailable, r#"{"sku":"1","location":"main","action":"set_apart","reason":"damaged","quantity":1}"#.to_owned(), "/sku"),
        (unavailable, r#"{"sku":"key=1","location":"","action":"set_apart","reason":"damaged","quantity":1}"#.to_owned(), "/location"),
        (unavailable, r#"{"sku":"key=1","location":"main","action":"burn","reason":"damaged","quantity":1}"#.to_owned(), "/action"),
        (unavailable, r#"{"sku":"key=1","location":"main","action":"set_apart","reason":"damaged","quantity":0}"#.to_owned(), "/quantity"),
        (announcements, format!(r#"{{"location":"main","due":"tomorrow","lines":[{line}]}}"#), "/due"),
        (announcements, r#"{"location":"main","due":"2026-12-01T00:00:00Z","lines":[]}"#.to_owned(), "/lines"),
        (announcements, format!(r#"{{"location":"main","due":"2026-12-01T00:00:00Z","lines":[{many}]}}"#), "/lines"),
        ("POST /v1/admin/stock/deliveries", format!(r#"{{"location":"main","announcement":"trf_1","lines":[{line}]}}"#), "/announcement"),
        ("POST /v1/admin/stock/transfers", format!(r#"{{"from":"main","to":"main","lines":[{line}]}}"#), "/to"),
        (&arrive, r#"{"lines":[{"sku":"key=1399"}]}"#.to_owned(), "/lines/0"),
        (&arrive, r#"{"lines":[{"sku":"key=1399","whole":1,"broken":1}]}"#.to_owned(), "/lines/0/broken"),
        ("PUT /v1/admin/stock/key=1/policies/main", r#"{"backorder":{"limit":0}}"#.to_owned(), "/backorder/limit"),
        ("PUT /v1/admin/stock/key=1/policies/main", r#"{"backorder":{"limit":1,"until":"never"}}"#.to_owned(), "/backorder/until"),
    ] {
        let rig = Rig::empty();
        let staff = bearer(Role::Warehouse);
        let reply = rig.json(call, &[("authorization", staff.as_str()), ("idempotency-key", "k")], &body).await;
        assert_eq!(reply.problem(), (422, "validation_failed".to_owned()), "{body}");
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let rig = Rig::empty();
    let staff = bearer(Role::Warehouse);
    let headers = [("authorization", staff.as_str()), ("idempotency-key", "k")];
    for call in ["POST /v1/admin/stock/transfers/nonsense/recall", "POST /v1/admin/stock/announcements/trf_1/withdraw"] {
        assert_eq!(rig.json(call, &headers, "{}").await.problem().0, 404, "{call}");
    }
}

#[tokio::test]
async fn what_happened_is_read_page_by_page() {
    let hold = HoldId(RawId(9 << 80));
    let last = StockCursor { partition: PartitionId(7), serial: 42 };
    let mut rig = Rig::new(move |request| {
        let (at, sku) = (Millis(1_796_083_200_000), sku_id());
        Ok(match request.op {
            Op::StockHistory { .. } => {
                let (from, to) = (StockColumn::Available, StockColumn::Held);
                let movement = StockMovement { serial: 42, at, cause: MovementCause::Hold(hold), sku, from, to, quantity: 2 };
                Body::StockHistory(StockPage { items: vec![movement], last, more: true })
            }
            _ => {
                let filled = StockNews::Filled { hold, owner: OrderId(RawId(1)), line: 0, quantity: 3, left: 1 };
                let event = |news| StockEvent { serial: 42, at, sku, news };
                let items = vec![event(StockNews::LowStock { available: 2 }), event(filled)];
                Body::StockEvents(StockPage { items, last, more: false })
            }
        })
    });
    let staff = bearer(Role::Merchandiser);
    let headers = [("authorization", staff.as_str())];
    let reply = rig.send("GET /v1/admin/stock/history?location=main&limit=1", &headers, "").await;
    assert_eq!(rig.last().op, Op::StockHistory { location: "main".to_owned(), after: None, limit: 1 });
    let json = reply.json();
    assert_eq!((&json["next"], &json["last"]), (&"7.42".into(), &"7.42".into()));
    assert_eq!(reply.header("link"), "</v1/admin/stock/history?location=main&limit=1&after=7.42>; rel=\"next\"");
    assert_eq!((&json["items"][0]["from"], &json["items"][0]["to"]), (&"available".into(), &"held".into()));
    assert_eq!((&json["items"][0]["cause"]["kind"], &json["items"][0]["cause"]["id"]), (&"hold".into(), &hold.to_string().into()));

    let reply = rig.send("GET /v1/admin/stock/events?location=main&after=7.41", &headers, "").await;
    let after = Some(StockCursor { partition: PartitionId(7), serial: 41 });
    assert_eq!(rig.last().op, Op::StockEvents { location: "main".to_owned(), after, limit: 20 });
    let json = reply.json();
    assert_eq!((&json["next"], &json["last"]), (&serde_json::Value::Null, &"7.42".into()));
    assert_eq!((&json["items"][0]["kind"], &json["items"][0]["available"]), (&"low_stock".into(), &2.into()));
    assert_eq!((&json["items"][1]["kind"], &json["items"][1]["filled"]["left"]), (&"backorder_filled".into(), &1.into()));
    for (query, wanted) in [
        ("", (422, "validation_failed")),
        ("location=", (422, "validation_failed")),
        ("location=main&after=7", (400, "bad_cursor")),
        ("location=main&after=07.1", (400, "bad_cursor")),
        ("location=main&limit=101", (422, "validation_failed")),
        ("location=main&x=1", (422, "validation_failed")),
    ] {
        let reply = rig.send(&format!("GET /v1/admin/stock/history?{query}"), &headers, "").await;
        assert_eq!(reply.problem(), (wanted.0, wanted.1.to_owned()), "{query}");
    }
    let rig = Rig::new(move |_| Err(Failure::Refused(Refusal::HistoryGone { last })));
    let reply = rig.send("GET /v1/admin/stock/events?location=main&after=7.1", &headers, "").await;
    assert_eq!((reply.problem(), &reply.json()["last"]), ((410, "history_gone".to_owned()), &"7.42".into()));
}

#[tokio::test]
async fn a_check_asks_every_shard_and_names_what_breaks() {
    let mut rig = Rig::new(|request| {
        let Op::AuditStock(shard) = request.op else { return Err(Failure::Internal) };
        let broken = (shard == ShardId(1)).then(|| "partition 3: sku_1 at \"main\": held is 3, the books say 2".to_owned());
        Ok(Body::Audited(StockAudit { rows: 10, open_holds: 2, broken }))
    });
    let staff = bearer(Role::Warehouse);
    let reply = rig.json("POST /v1/admin/stock/check", &[("authorization", staff.as_str())], "{}").await;
    assert_eq!(rig.last().op, Op::AuditStock(ShardId(1)));
    let json = reply.json();
    assert_eq!((&json["ok"], &json["rows"], &json["open_holds"]), (&false.into(), &20.into(), &4.into()));
    assert!(json["broken"][0].as_str().is_some_and(|text| text.contains("held is 3")));
    let support = bearer(Role::Support);
    let reply = rig.json("POST /v1/admin/stock/check", &[("authorization", support.as_str())], "{}").await;
    assert_eq!(reply.problem().0, 403);
}

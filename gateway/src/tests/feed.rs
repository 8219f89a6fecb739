//! The feed's route: what it asks the engine, and what it answers.

use super::{Rig, bearer, order_id, sku_id};
use wire::{
    Body, Currency, EventField, EventId, EventKind, Failure, FeedCursor, FeedEvent, FeedFrom, FeedPage, FeedPlace, Millis, Money, Op,
    PartitionId, Position, Refusal, Role, Seq,
};

fn cursor() -> FeedCursor {
    let place = |seq, nth| FeedPlace { seq: Seq(seq), nth };
    FeedCursor { epoch: 1, partitions: 64, first: PartitionId(7), places: vec![place(42, 1), place(1 << 40, 0)] }
}

const CURSOR: &str = "AQFABwJVAYCAgICAQA";

fn events() -> Vec<FeedEvent> {
    let (partition, seq, at) = (PartitionId(7), Seq(42), Millis(1_796_083_200_123));
    let event = |nth: u16, kind, data| FeedEvent {
        id: EventId::new(at, partition, seq, nth),
        position: Position { epoch: 1, partition, seq },
        nth: u32::from(nth),
        at,
        kind,
        data,
    };
    let amount = Money { amount: 1_999, currency: Currency::USD };
    let placed = vec![EventField::Order(order_id()), EventField::Number("07-000042".to_owned()), EventField::Amount(amount)];
    let adjusted = vec![EventField::Sku(sku_id()), EventField::Location("main".to_owned()), EventField::Change(-3), EventField::OnHand(7)];
    vec![event(0, EventKind::OrderPlaced, placed), event(1, EventKind::StockAdjusted, adjusted)]
}

#[tokio::test]
async fn events_have_the_contracts_shape() {
    let mut rig = Rig::new(|_| Ok(Body::Feed(Box::new(FeedPage { items: events(), next: cursor() }))));
    let admin = bearer(Role::Admin);
    let headers = [("authorization", admin.as_str())];
    let reply = rig.send(&format!("GET /v1/admin/feed?limit=2&after={CURSOR}"), &headers, "").await;
    assert_eq!(rig.last().op, Op::Feed { from: FeedFrom::After(cursor()), limit: 2 });
    assert_eq!(reply.header("link"), format!("</v1/admin/feed?limit=2&after={CURSOR}>; rel=\"next\""));
    assert!(reply.header("cache-control").contains("no-store"));
    let json = reply.json();
    for (pointer, wanted) in [
        ("/items/0/id", events()[0].id.to_string().into()),
        ("/items/0/type", serde_json::Value::from("order.placed")),
        ("/items/0/at", "2026-12-01T00:00:00.123Z".into()),
        ("/items/0/position", "1.7:42".into()),
        ("/items/0/partition", 7.into()),
        ("/items/0/data/order", order_id().to_string().into()),
        ("/items/0/data/number", "07-000042".into()),
        ("/items/0/data/amount/amount", 1_999.into()),
        ("/items/0/data/amount/currency", "USD".into()),
        ("/items/1/type", "stock.adjusted".into()),
        ("/items/1/data/change", (-3).into()),
        ("/items/1/data/on_hand", 7.into()),
        ("/next", CURSOR.into()),
    ] {
        assert_eq!(json.pointer(pointer), Some(&wanted), "{pointer}");
    }
}

#[tokio::test] // Each row: a query, and where it asks to read from.
async fn readers_begin_where_they_say() {
    let part = |first, count| (PartitionId(first), count);
    let oldest = |(first, count)| FeedFrom::Oldest { first, count };
    let latest = |(first, count)| FeedFrom::Latest { first, count };
    for (query, from) in [
        ("", oldest(part(0, 0))),
        ("?after=", oldest(part(0, 0))),
        ("?partitions=8-15", oldest(part(8, 8))),
        ("?after=latest", latest(part(0, 0))),
        ("?after=latest&partitions=512-1023", latest(part(512, 512))),
        (&format!("?after={CURSOR}&partitions=7-8"), FeedFrom::After(cursor())),
    ] {
        let mut rig = Rig::new(|_| Ok(Body::Feed(Box::new(FeedPage { items: Vec::new(), next: cursor() }))));
        let reply = rig.send(&format!("GET /v1/admin/feed{query}"), &[("authorization", &bearer(Role::Admin))], "").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["next"], reply.header("link")), (200, &CURSOR.into(), ""), "{query}");
        assert_eq!(rig.last().op, Op::Feed { from, limit: 20 }, "{query}");
    }
}

#[tokio::test] // Each row: a query that is not taken, and why.
async fn what_is_no_reader_is_refused() {
    let admin = bearer(Role::Admin);
    let headers = [("authorization", admin.as_str())];
    for (query, status, code) in [
        ("after=no", 400, "bad_cursor"),
        ("after=AQFABwJVAYCAgICAQA=", 400, "bad_cursor"),
        ("after=AQFABwJVAYCAgICAQB", 400, "bad_cursor"),
        (&format!("after={CURSOR}&partitions=0-63"), 400, "bad_cursor"),
        ("limit=101", 422, "validation_failed"),
        ("partitions=5", 422, "validation_failed"),
        ("partitions=5-4", 422, "validation_failed"),
        ("partitions=0-512", 422, "validation_failed"),
        ("x=1", 422, "validation_failed"),
    ] {
        let reply = Rig::empty().send(&format!("GET /v1/admin/feed?{query}"), &headers, "").await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{query}");
    }
    for role in [Role::Support, Role::Merchandiser, Role::Warehouse] {
        let reply = Rig::empty().send("GET /v1/admin/feed", &[("authorization", &bearer(role))], "").await;
        assert_eq!(reply.problem(), (403, "forbidden".to_owned()));
    }
    assert_eq!(Rig::empty().send("GET /v1/admin/feed", &[], "").await.problem().0, 401);
    let rig = Rig::new(|_| Err(Failure::Refused(Refusal::CursorTooOld)));
    let reply = rig.send("GET /v1/admin/feed", &headers, "").await;
    assert_eq!(reply.problem(), (410, "cursor_too_old".to_owned()));
    assert!(reply.json()["detail"].as_str().is_some_and(|detail| detail.contains("after=latest")));
}

#[test] // Of a shop of 512 partitions that has done more than any will.
fn the_longest_cursor_fits_an_address() {
    let place = FeedPlace { seq: Seq((1 << 48) - 1), nth: (1 << 28) - 1 };
    let longest = FeedCursor { epoch: u32::MAX, partitions: 4_096, first: PartitionId(3_584), places: vec![place; 512] };
    let page = FeedPage { items: events(), next: longest.clone() };
    let list = crate::dto::feed::FeedList::from(page);
    let next = list.next().expect("worth it");
    assert!(next.len() + "/v1/admin/feed?limit=100&partitions=3584-4095&after=".len() <= crate::edge::URI_BYTES_MAX);
    assert_eq!(crate::dto::feed::cursor(next).ok(), Some(longest));
}

//! Every refusal, failure and link error has its status and code.

use super::{Fake, Rig, order_id, sku_id, usd};
use crate::http::codes::Code;
use std::{collections::HashSet, sync::Arc};
use tokio::sync::mpsc;
use wire::{CallError, Failure, FieldError, OrderStatus, Refusal, Shortage};

#[tokio::test] // Each row: what the engine says, the status, the code, and a member that the document has.
async fn the_engines_no_becomes_a_problem() {
    let text = |text: &str| text.to_owned();
    let refused = Failure::Refused;
    let limit = |what: &str| refused(Refusal::LimitReached { what: text(what), max: 200 });
    let short = |line, available| Shortage { line, sku: sku_id(), requested: 3, available };
    let field = FieldError { pointer: text("/title"), code: text("too_long"), detail: text("at most 5 bytes") };
    let sku = sku_id().to_string();
    let last = wire::StockCursor { partition: wire::PartitionId(7), serial: 41 };
    let rows: Vec<(Failure, u16, &str, &str, serde_json::Value)> = vec![
        (refused(Refusal::NotFound), 404, "not_found", "/status", 404.into()),
        (refused(Refusal::Forbidden), 403, "forbidden", "/status", 403.into()),
        (refused(Refusal::Invalid(vec![field])), 422, "validation_failed", "/errors/0/pointer", "/title".into()),
        (refused(Refusal::VersionMismatch { current: 9 }), 412, "version_mismatch", "/current_version", 9.into()),
        (refused(Refusal::IdempotencyKeyReused), 422, "idempotency_key_reused", "/status", 422.into()),
        (refused(Refusal::IdempotencyKeyInUse), 409, "idempotency_key_in_use", "/retry_after", 1.into()),
        (refused(Refusal::KeyTaken { key: text("k") }), 409, "key_taken", "/status", 409.into()),
        (limit("lines"), 422, "limit_reached", "/max", 200.into()),
        (limit("idempotency keys"), 503, "overloaded", "/retry_after", 60.into()),
        (refused(Refusal::InsufficientStock(vec![short(2, 1), short(3, 0)])), 409, "insufficient_stock", "/available", 1.into()),
        (refused(Refusal::InsufficientStock(vec![short(2, 1)])), 409, "insufficient_stock", "/errors/0/pointer", "/lines/2".into()),
        (refused(Refusal::InsufficientStock(vec![short(2, 1)])), 409, "insufficient_stock", "/errors/0/sku", sku.clone().into()),
        (refused(Refusal::InsufficientStock(vec![short(2, 1)])), 409, "insufficient_stock", "/errors/0/requested", 3.into()),
        (refused(Refusal::Contended), 409, "contended", "/retry_after", 1.into()),
        (
            refused(Refusal::PaymentDeclined { decline_code: text("lost_card") }),
            402,
            "payment_declined",
            "/decline_code",
            "lost_card".into(),
        ),
        (refused(Refusal::TotalChanged { total: usd(5) }), 409, "total_changed", "/total/amount", 5.into()),
        (refused(Refusal::CartClosed), 409, "cart_closed", "/status", 409.into()),
        (refused(Refusal::CartCheckingOut), 409, "cart_checking_out", "/status", 409.into()),
        (refused(Refusal::CartEmpty), 422, "cart_empty", "/status", 422.into()),
        (refused(Refusal::AddressRequired), 422, "address_required", "/status", 422.into()),
        (refused(Refusal::NotForSale(vec![sku_id()])), 409, "not_for_sale", "/errors/0/sku", sku.into()),
        (
            refused(Refusal::UnknownProvider { provider: text("x") }),
            422,
            "unknown_provider",
            "/errors/0/pointer",
            "/payment/provider".into(),
        ),
        (refused(Refusal::OrderState { status: OrderStatus::OnHold }), 409, "order_state", "/order_status", "on_hold".into()),
        (refused(Refusal::NoPendingAction), 409, "no_pending_action", "/status", 409.into()),
        (refused(Refusal::StockMismatch { actual: 8 }), 409, "stock_mismatch", "/actual", 8.into()),
        (refused(Refusal::StockCommitted { available: 1, held: 2, committed: 3 }), 409, "stock_committed", "/committed", 3.into()),
        (refused(Refusal::StockApart { apart: 3 }), 409, "too_few_apart", "/apart", 3.into()),
        (refused(Refusal::StillArriving), 409, "still_arriving", "/retry_after", 1.into()),
        (refused(Refusal::HistoryGone { last }), 410, "history_gone", "/last", "7.41".into()),
        (refused(Refusal::CursorTooOld), 410, "cursor_too_old", "/status", 410.into()),
        (refused(Refusal::PositionUnknown), 412, "position_unknown", "/status", 412.into()),
        (refused(Refusal::BadCursor), 400, "bad_cursor", "/status", 400.into()),
        (refused(Refusal::PricesOutdated), 503, "overloaded", "/retry_after", 1.into()),
        (Failure::Overloaded { retry_after_ms: 2_500 }, 503, "overloaded", "/retry_after", 3.into()),
        (Failure::StorageFull, 503, "storage_full", "/retry_after", 30.into()),
        (Failure::WrongShard, 503, "unavailable", "/retry_after", 1.into()),
        (Failure::DeadlineExceeded, 503, "deadline_exceeded", "/retry_after", 1.into()),
        (Failure::ShuttingDown, 503, "unavailable", "/retry_after", 1.into()),
        (Failure::Internal, 500, "internal", "/status", 500.into()),
    ];
    let path = format!("GET /v1/orders/{}", order_id());
    let token = super::cart_token();
    for (failure, status, code, pointer, value) in rows {
        let says = failure.clone();
        let rig = Rig::new(move |_| Err(says.clone()));
        let reply = rig.send(&path, &[("cart-token", &token)], "").await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{failure:?}");
        let document = reply.json();
        assert_eq!(document.pointer(pointer), Some(&value), "{failure:?}: {document}");
        let retry = document["retry_after"].as_u64().map(|seconds| seconds.to_string()).unwrap_or_default();
        assert_eq!(reply.header("retry-after"), retry, "{failure:?}");
        assert_eq!(reply.header("log-position"), "1.7:42", "refusals are logged too");
        if status == 503 {
            assert!(!retry.is_empty(), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_broken_link_becomes_a_problem() {
    for (error, wanted) in [
        (CallError::QueueFull, (503, "overloaded")),
        (CallError::Unreachable("10.0.0.1 refused".to_owned()), (503, "unavailable")),
        (CallError::Protocol("bad frame".to_owned()), (500, "internal")),
    ] {
        let (asked, received) = mpsc::unbounded_channel();
        let says = error.clone();
        let rig = Rig::with(Fake { script: Arc::new(move |_| Err(says.clone())), asked }, received, 0);
        let reply = rig.send("GET /v1/products/key=1", &[], "").await;
        assert_eq!(reply.problem(), (wanted.0, wanted.1.to_owned()), "{error:?}");
        assert!(!reply.text.contains("10.0.0.1") && !reply.text.contains("frame"), "nothing internal is shown: {}", reply.text);
    }
}

#[test]
fn codes_are_words_and_errors() {
    let mut seen = HashSet::new();
    for code in Code::ALL {
        assert!(code.word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.word);
        assert!(code.status.is_client_error() || code.status.is_server_error(), "{}", code.word);
        assert!(seen.insert((code.word, code.status)), "{} is there twice", code.word);
    }
}

//! What the feed tells of an order: each entry of its history, without the words that people chose.
//!
//! Path: a step records an entry → [`record`] → the order's history, and [`ApplyContext::tell`]. A reason that somebody gave stays in the
//! history, which only those who may see the order read; a provider's code and a location's are told.

use crate::domain::order::{EventKind, Order};
use crate::partition::ApplyContext;
use wire::EventField;

/// Writes an entry of an order's history, and tells the feed.
pub(super) fn record(ctx: &mut ApplyContext<'_>, order: &mut Order, kind: EventKind, detail: Option<&str>) {
    order.record(ctx.time, kind, detail);
    let total = EventField::Amount(order.totals.total);
    let place = |detail: Option<&str>| detail.map(|location| EventField::Location(location.to_owned())).into_iter().collect();
    let code = |detail: Option<&str>| detail.map(|code| EventField::Code(crate::domain::order::cut(code)));
    let payment = |code: Option<EventField>| {
        let of_payment = |payment: &crate::domain::order::Payment| [EventField::Payment(payment.id), EventField::Amount(payment.amount)];
        order.payments.last().map(of_payment).into_iter().flatten().chain(code).collect()
    };
    let (told, more): (wire::EventKind, Vec<EventField>) = match kind {
        EventKind::Placed => (wire::EventKind::OrderPlaced, vec![EventField::Cart(order.cart), total]),
        EventKind::Opened => (wire::EventKind::OrderOpened, vec![total]),
        EventKind::CancelRequested => (wire::EventKind::OrderCancelRequested, Vec::new()),
        EventKind::Cancelled => (wire::EventKind::OrderCancelled, Vec::new()),
        EventKind::Refused => (wire::EventKind::OrderRefused, Vec::new()),
        EventKind::Expired => (wire::EventKind::OrderExpired, Vec::new()),
        EventKind::Short => (wire::EventKind::OrderShort, place(detail)),
        EventKind::Contended => (wire::EventKind::OrderContended, place(detail)),
        EventKind::StockLost => (wire::EventKind::OrderStockLost, place(detail)),
        EventKind::RestockFailed => (wire::EventKind::OrderRestockFailed, place(detail)),
        EventKind::ActionRequired => (wire::EventKind::PaymentActionRequired, payment(None)),
        EventKind::ActionTaken => (wire::EventKind::PaymentActionTaken, payment(code(detail))),
        EventKind::Authorised => (wire::EventKind::PaymentAuthorised, payment(None)),
        EventKind::Declined => (wire::EventKind::PaymentDeclined, payment(code(detail))),
        EventKind::Captured => (wire::EventKind::PaymentCaptured, payment(None)),
        EventKind::CaptureFailed => (wire::EventKind::PaymentCaptureFailed, payment(code(detail))),
        EventKind::Voided => (wire::EventKind::PaymentVoided, payment(None)),
        EventKind::VoidFailed => (wire::EventKind::PaymentVoidFailed, payment(code(detail))),
        EventKind::Refunded => (wire::EventKind::PaymentRefunded, payment(None)),
        EventKind::RefundFailed => (wire::EventKind::PaymentRefundFailed, payment(code(detail))),
    };
    let mut data = vec![EventField::Order(order.id), EventField::Number(order.number.to_string()), EventField::Version(order.version)];
    data.extend(more);
    ctx.tell(told, data);
}

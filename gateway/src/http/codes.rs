//! The table of problem codes, and how the engine's refusals, failures and the link's errors become problems. The whole mapping is
//! in this file.

use super::problem::Problem;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::{CallError, Failure, OrderStatus, Refusal, Shortage};

/// A kind of problem: a stable word with its status and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) word: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
}

macro_rules! codes {
    ($($name:ident $status:ident $word:literal $title:literal;)*) => {
        impl Code {
            $(pub(crate) const $name: Self = Self { word: $word, status: StatusCode::$status, title: $title };)*

            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    BAD_JSON               BAD_REQUEST            "bad_json"                 "The body is not JSON";
    BAD_REQUEST            BAD_REQUEST            "validation_failed"        "The request cannot be understood";
    BAD_CURSOR             BAD_REQUEST            "bad_cursor"               "The cursor belongs to another list";
    KEY_REQUIRED           BAD_REQUEST            "idempotency_key_required" "An idempotency key is required";
    UNAUTHENTICATED        UNAUTHORIZED           "unauthenticated"          "Sign in first";
    PAYMENT_DECLINED       PAYMENT_REQUIRED       "payment_declined"         "The payment was declined";
    FORBIDDEN              FORBIDDEN              "forbidden"                "Your role does not allow this";
    NOT_FOUND              NOT_FOUND              "not_found"                "Not found";
    METHOD_NOT_ALLOWED     METHOD_NOT_ALLOWED     "method_not_allowed"       "This address does not take that method";
    TIMEOUT                REQUEST_TIMEOUT        "request_timeout"          "The request came too slowly";
    KEY_IN_USE             CONFLICT               "idempotency_key_in_use"   "The first request with this key is still running";
    KEY_TAKEN              CONFLICT               "key_taken"                "Another product has this key";
    INSUFFICIENT_STOCK     CONFLICT               "insufficient_stock"       "Not enough stock";
    CONTENDED              CONFLICT               "contended"                "Others are buying the last of these";
    TOTAL_CHANGED          CONFLICT               "total_changed"            "The total has changed";
    CART_CLOSED            CONFLICT               "cart_closed"              "The cart is closed";
    CART_CHECKING_OUT      CONFLICT               "cart_checking_out"        "The cart is being checked out";
    NOT_FOR_SALE           CONFLICT               "not_for_sale"             "Some of the cart is not for sale";
    ORDER_STATE            CONFLICT               "order_state"              "The order's state does not allow this";
    NO_PENDING_ACTION      CONFLICT               "no_pending_action"        "The order waits for nothing";
    STOCK_MISMATCH         CONFLICT               "stock_mismatch"           "Another quantity is there";
    STOCK_COMMITTED        CONFLICT               "stock_committed"          "Orders have taken more than that";
    TOO_FEW_APART          CONFLICT               "too_few_apart"            "Fewer are set apart for this reason";
    STILL_ARRIVING         CONFLICT               "still_arriving"           "Goods of the transfer are being booked in";
    HISTORY_GONE           GONE                   "history_gone"             "What followed is not kept any more";
    CURSOR_TOO_OLD         GONE                   "cursor_too_old"           "Events after the cursor are not kept any more";
    VERSION_MISMATCH       PRECONDITION_FAILED    "version_mismatch"         "It has changed in the meantime";
    POSITION_UNKNOWN       PRECONDITION_FAILED    "position_unknown"         "The position belongs to another history";
    TOO_LARGE              PAYLOAD_TOO_LARGE      "too_large"                "The body is too large";
    URI_TOO_LONG           URI_TOO_LONG           "uri_too_long"             "The address is too long";
    UNSUPPORTED_MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE "unsupported_media_type"   "The body's type is not taken here";
    VALIDATION_FAILED      UNPROCESSABLE_ENTITY   "validation_failed"        "Some fields cannot be taken";
    CARD_NUMBER_REFUSED    UNPROCESSABLE_ENTITY   "card_number_refused"      "Card numbers are not taken here";
    KEY_REUSED             UNPROCESSABLE_ENTITY   "idempotency_key_reused"   "The idempotency key was used with another body";
    LIMIT_REACHED          UNPROCESSABLE_ENTITY   "limit_reached"            "A limit is reached";
    CART_EMPTY             UNPROCESSABLE_ENTITY   "cart_empty"               "The cart is empty";
    ADDRESS_REQUIRED       UNPROCESSABLE_ENTITY   "address_required"         "The cart has no address";
    UNKNOWN_PROVIDER       UNPROCESSABLE_ENTITY   "unknown_provider"         "There is no such payment provider";
    RATE_LIMITED           TOO_MANY_REQUESTS      "rate_limited"             "Too many requests";
    INTERNAL               INTERNAL_SERVER_ERROR  "internal"                 "Something went wrong on our side";
    OVERLOADED             SERVICE_UNAVAILABLE    "overloaded"               "The shop is busy";
    STORAGE_FULL           SERVICE_UNAVAILABLE    "storage_full"             "The shop cannot take changes";
    DEADLINE_EXCEEDED      SERVICE_UNAVAILABLE    "deadline_exceeded"        "It took too long";
    UNAVAILABLE            SERVICE_UNAVAILABLE    "unavailable"              "The shop cannot be reached";
}

/// What the engine calls the table of remembered idempotency keys when it is full.
const IDEMPOTENCY_KEYS: &str = "idempotency keys";

/// The contract's word for an order's status.
pub(crate) const fn order_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Placing => "placing",
        OrderStatus::Open => "open",
        OrderStatus::OnHold => "on_hold",
        OrderStatus::Closed => "closed",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
    }
}

fn shortages(shortages: &[Shortage]) -> Problem {
    let problem = Problem::new(Code::INSUFFICIENT_STOCK, "Fewer can be had than the cart asks for; nothing was charged.");
    let errors = shortages.iter().map(|short| {
        json!({
            "pointer": format!("/lines/{}", short.line),
            "code": Code::INSUFFICIENT_STOCK.word,
            "sku": short.sku.to_string(),
            "requested": short.requested,
            "available": short.available,
        })
    });
    let first = shortages.first().map(|short| short.available);
    problem.errors(errors).with("available", first.map_or(Value::Null, Into::into))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::Forbidden => Self::new(Code::FORBIDDEN, "The token's role is not enough for this."),
            Refusal::Invalid(fields) => Self::invalid(fields),
            Refusal::VersionMismatch { current } => {
                Self::new(Code::VERSION_MISMATCH, "Read it again, then repeat the change.").with("current_version", current)
            }
            Refusal::IdempotencyKeyReused => {
                Self::new(Code::KEY_REUSED, "The first request with this key had another body. Use a new key.")
            }
            Refusal::IdempotencyKeyInUse => {
                Self::new(Code::KEY_IN_USE, "Ask again with the same key to get its outcome.").retry_after_ms(1_000)
            }
            Refusal::KeyTaken { key } => Self::new(Code::KEY_TAKEN, format!("The key {key:?} belongs to another product.")),
            Refusal::LimitReached { what, .. } if what == IDEMPOTENCY_KEYS => {
                Self::new(Code::OVERLOADED, "Too many keyed requests are remembered.").retry_after_ms(60_000)
            }
            Refusal::LimitReached { what, max } => {
                Self::new(Code::LIMIT_REACHED, format!("There may be at most {max} {what}.")).with("max", max)
            }
            Refusal::InsufficientStock(lines) => shortages(&lines),
            Refusal::Contended => {
                Self::new(Code::CONTENDED, "Orders being placed hold the rest; try again with a new key.").retry_after_ms(1_000)
            }
            Refusal::PaymentDeclined { decline_code } => {
                Self::new(Code::PAYMENT_DECLINED, "The provider declined; nothing is held.").with("decline_code", decline_code)
            }
            Refusal::TotalChanged { total } => {
                let total = json!({"amount": total.amount, "currency": total.currency.as_str()});
                Self::new(Code::TOTAL_CHANGED, "The total is not what was accepted; show it and ask again.").with("total", total)
            }
            Refusal::CartClosed => Self::new(Code::CART_CLOSED, "It became an order, or was abandoned. Open a new cart."),
            Refusal::CartCheckingOut => Self::new(Code::CART_CHECKING_OUT, "Wait for its outcome.").retry_after_ms(1_000),
            Refusal::CartEmpty => Self::new(Code::CART_EMPTY, "Add a line first."),
            Refusal::AddressRequired => Self::new(Code::ADDRESS_REQUIRED, "Give the cart an address with a country first."),
            Refusal::NotForSale(skus) => {
                let errors = skus.iter().map(|sku| json!({"pointer": "/lines", "code": Code::NOT_FOR_SALE.word, "sku": sku.to_string()}));
                Self::new(Code::NOT_FOR_SALE, "Remove these lines, then try again.").errors(errors)
            }
            Refusal::UnknownProvider { provider } => Self::new(Code::UNKNOWN_PROVIDER, "Choose one that this shop offers.")
                .errors([json!({"pointer": "/payment/provider", "code": "unknown", "detail": format!("{provider:?} is not set up")})]),
            Refusal::OrderState { status } => {
                let word = order_status(status);
                Self::new(Code::ORDER_STATE, format!("The order is {word}.")).with("order_status", word)
            }
            Refusal::NoPendingAction => Self::new(Code::NO_PENDING_ACTION, "There is nothing for the buyer to do."),
            Refusal::StockMismatch { actual } => Self::new(Code::STOCK_MISMATCH, format!("{actual} are on hand.")).with("actual", actual),
            Refusal::StockCommitted { available, held, committed } => {
                Self::new(Code::STOCK_COMMITTED, "Fewer would remain than orders have taken.")
                    .with("available", available)
                    .with("held", held)
                    .with("committed", committed)
            }
            Refusal::StockApart { apart } => {
                Self::new(Code::TOO_FEW_APART, format!("{apart} are set apart for this reason.")).with("apart", apart)
            }
            Refusal::StillArriving => {
                Self::new(Code::STILL_ARRIVING, "Wait until the destination has them; then try again with a new key.").retry_after_ms(1_000)
            }
            Refusal::HistoryGone { last } => {
                let last = crate::dto::stock_log::cursor_text(last);
                Self::new(Code::HISTORY_GONE, "Read the stock anew, then go on after `last`.").with("last", last)
            }
            Refusal::CursorTooOld => Self::new(
                Code::CURSOR_TOO_OLD,
                "Take a cursor with after=latest, read anew what you keep, then go on from that cursor. Without after the oldest events kept come first.",
            ),
            Refusal::PositionUnknown => {
                Self::new(Code::POSITION_UNKNOWN, "The shop was restored since, or never was there. Read without At-Least.")
            }
            Refusal::BadCursor => Self::bad_cursor(),
            Refusal::PricesOutdated => Self::overloaded(1_000),
            other => Self::fault(format_args!("a refusal this version does not know: {other:?}")),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Overloaded { retry_after_ms } => Self::overloaded(retry_after_ms),
            Failure::StorageFull => {
                Self::new(Code::STORAGE_FULL, "Reads go on; changes are refused until there is room.").retry_after_ms(30_000)
            }
            Failure::WrongShard => Self::new(Code::UNAVAILABLE, "Data is being moved; try again.").retry_after_ms(1_000),
            Failure::DeadlineExceeded => Self::new(
                Code::DEADLINE_EXCEEDED,
                "A change may yet be made: ask again with the same idempotency key to learn its outcome.",
            )
            .retry_after_ms(1_000),
            Failure::ShuttingDown => Self::new(Code::UNAVAILABLE, "This node is stopping; try again.").retry_after_ms(1_000),
            Failure::NotLeader { .. } => Self::new(Code::UNAVAILABLE, "Another node takes over; try again.").retry_after_ms(500),
            Failure::Interrupted => Self::new(
                Code::UNAVAILABLE,
                "Another node takes over. A change may yet be made: ask again with the same idempotency key to learn its outcome.",
            )
            .retry_after_ms(500),
            Failure::Internal => Self::fault("the engine reports a fault; its log has the request id"),
            other => Self::fault(format_args!("a failure this version does not know: {other:?}")),
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::QueueFull => Self::overloaded(1_000),
            CallError::Unreachable(why) => {
                tracing::warn!(%why, "the engine cannot be reached");
                Self::new(Code::UNAVAILABLE, "A change may yet be made: ask again with the same idempotency key.").retry_after_ms(1_000)
            }
            other => Self::fault(other),
        }
    }
}

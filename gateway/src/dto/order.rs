//! Orders.

use super::{
    Members, Money, Shown, Time,
    cart::{Address, Totals},
    check::Checks,
};
use crate::http::{codes, problem::Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{ActionOutcome, CartId, Currency, LineId, LineState, OrderId, OrderStatus, PaymentId, PaymentStatus, SkuId, limits};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 500;

/// A line of an order, priced as placed.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderLine {
    /// `line_…`, that of the cart.
    #[schema(value_type = String)]
    id: Shown<LineId>,
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// Name of the product when placed.
    title: String,
    /// Units.
    quantity: u32,
    /// For one.
    unit_price: Money,
    /// Line in all.
    total: Money,
    /// Units by state, such as `{"allocated": 2}`.
    #[schema(value_type = Object)]
    quantities: Members<u32>,
}

/// A payment of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Payment {
    /// `pay_…`
    #[schema(value_type = String)]
    id: Shown<PaymentId>,
    /// Name of the provider.
    provider: String,
    /// Where it stands.
    #[schema(value_type = String, example = "captured")]
    status: &'static str,
    /// Asked for.
    amount: Money,
    /// Taken.
    captured: Money,
    /// Given back.
    refunded: Money,
    /// The provider's word when it declined.
    decline_code: Option<String>,
}

/// What the buyer must do before the order can go on.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextAction {
    /// Such as `three_d_secure`.
    #[schema(example = "three_d_secure")]
    kind: String,
    /// Where to do it, if it is elsewhere.
    url: Option<String>,
}

/// An entry of an order's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEvent {
    /// The order's version it made.
    version: u64,
    /// When.
    #[schema(value_type = String)]
    at: Time,
    /// Such as `order.placed`.
    kind: String,
    /// A word more.
    detail: Option<String>,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    /// `ord_…`
    #[schema(value_type = String)]
    id: Shown<OrderId>,
    /// For people.
    number: String,
    /// Rises with each change.
    version: u64,
    /// `placing`, `open`, `on_hold`, `closed`, `cancelled` or `expired`.
    #[schema(value_type = String, example = "open")]
    status: &'static str,
    /// `none`, `pending`, `authorised`, `partially_captured`, `captured`, `partially_refunded`, `refunded`, `voided` or `failed`.
    #[schema(value_type = String, example = "captured")]
    payment_status: &'static str,
    /// `unfulfilled`, `partially_shipped`, `shipped`, `delivered` or `cancelled`: what the lines' quantities come to.
    #[schema(value_type = String, example = "unfulfilled")]
    fulfilment_status: &'static str,
    /// Of all its money.
    #[schema(value_type = String, example = "USD")]
    currency: Shown<Currency>,
    /// Buyer's address.
    email: String,
    /// `cart_…`, which it came from.
    #[schema(value_type = String)]
    cart: Shown<CartId>,
    /// In the cart's order.
    lines: Vec<OrderLine>,
    /// Sums as placed.
    totals: Totals,
    /// Where to send it.
    address: Address,
    /// In the order made.
    payments: Vec<Payment>,
    /// None yet.
    shipments: [String; 0],
    /// What the buyer must do.
    next_action: Option<NextAction>,
    /// When the checkout began.
    #[schema(value_type = String)]
    placed_at: Time,
    /// History, oldest first.
    events: Vec<OrderEvent>,
}

const fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::None => "none",
        PaymentStatus::Pending => "pending",
        PaymentStatus::Authorised => "authorised",
        PaymentStatus::PartiallyCaptured => "partially_captured",
        PaymentStatus::Captured => "captured",
        PaymentStatus::PartiallyRefunded => "partially_refunded",
        PaymentStatus::Refunded => "refunded",
        PaymentStatus::Voided => "voided",
        PaymentStatus::Failed => "failed",
    }
}

const fn line_state(state: LineState) -> &'static str {
    match state {
        LineState::Reserved => "reserved",
        LineState::Backordered => "backordered",
        LineState::Allocated => "allocated",
        LineState::Picked => "picked",
        LineState::Shipped => "shipped",
        LineState::Delivered => "delivered",
        LineState::ReturnRequested => "return_requested",
        LineState::ReturnReceived => "return_received",
        LineState::Restocked => "restocked",
        LineState::Scrapped => "scrapped",
        LineState::Cancelled => "cancelled",
    }
}

/// What the units' states come to. Units called off do not count, unless all are.
fn fulfilment_status(lines: &[wire::OrderLineView]) -> &'static str {
    let (mut waiting, mut shipped, mut delivered, mut cancelled) = (0u64, 0u64, 0u64, 0u64);
    for (state, units) in lines.iter().flat_map(|line| &line.quantities) {
        let units = u64::from(*units);
        match state {
            LineState::Reserved | LineState::Backordered | LineState::Allocated | LineState::Picked => waiting += units,
            LineState::Shipped => shipped += units,
            LineState::Delivered | LineState::ReturnRequested | LineState::ReturnReceived | LineState::Restocked | LineState::Scrapped => {
                delivered += units;
            }
            LineState::Cancelled => cancelled += units,
        }
    }
    match (waiting, shipped, delivered) {
        (0, 0, 0) if cancelled > 0 => "cancelled",
        (_, 0, 0) => "unfulfilled",
        (0, 0, _) => "delivered",
        (0, _, _) => "shipped",
        _ => "partially_shipped",
    }
}

/// Has its checkout settled? Until then it may still come to nothing.
#[must_use]
pub const fn is_settled(view: &wire::OrderView) -> bool {
    let placed = match view.status {
        OrderStatus::Placing => false,
        OrderStatus::Open | OrderStatus::OnHold | OrderStatus::Closed | OrderStatus::Cancelled | OrderStatus::Expired => true,
    };
    let paid = !matches!(view.payment_status, PaymentStatus::None | PaymentStatus::Pending);
    placed && paid && view.next_action.is_none()
}

impl From<wire::OrderLineView> for OrderLine {
    fn from(line: wire::OrderLineView) -> Self {
        let quantities = line.quantities.into_iter().map(|(state, units)| (line_state(state).to_owned(), units));
        Self {
            id: Shown(line.id),
            sku: Shown(line.sku),
            title: line.title,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            total: line.total.into(),
            quantities: Members(quantities.collect()),
        }
    }
}

impl From<wire::PaymentView> for Payment {
    fn from(payment: wire::PaymentView) -> Self {
        Self {
            id: Shown(payment.id),
            provider: payment.provider,
            status: payment_status(payment.status),
            amount: payment.amount.into(),
            captured: payment.captured.into(),
            refunded: payment.refunded.into(),
            decline_code: payment.decline_code,
        }
    }
}

impl From<wire::OrderView> for Order {
    fn from(view: wire::OrderView) -> Self {
        let events = view.events.into_iter().map(|event| OrderEvent {
            version: event.version,
            at: Time(event.at),
            kind: event.kind,
            detail: event.detail,
        });
        Self {
            id: Shown(view.id),
            number: view.number,
            version: view.version,
            status: codes::order_status(view.status),
            payment_status: payment_status(view.payment_status),
            fulfilment_status: fulfilment_status(&view.lines),
            currency: Shown(view.totals.total.currency),
            email: view.email,
            cart: Shown(view.cart),
            lines: view.lines.into_iter().map(Into::into).collect(),
            totals: view.totals.into(),
            address: view.address.into(),
            payments: view.payments.into_iter().map(Into::into).collect(),
            shipments: [],
            next_action: view.next_action.map(|action| NextAction { kind: action.kind, url: action.url }),
            placed_at: Time(view.placed_at),
            events: events.collect(),
        }
    }
}

/// A page of orders, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    /// The orders.
    pub items: Vec<Order>,
    /// Cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// The status that `word` names.
#[must_use]
pub fn status_of(word: &str) -> Option<OrderStatus> {
    let all =
        [OrderStatus::Placing, OrderStatus::Open, OrderStatus::OnHold, OrderStatus::Closed, OrderStatus::Cancelled, OrderStatus::Expired];
    all.into_iter().find(|status| codes::order_status(*status) == word)
}

/// How the buyer's action ended.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeBody {
    /// Confirmed.
    Success,
    /// Refused or given up.
    Fail,
}

impl From<OutcomeBody> for ActionOutcome {
    fn from(outcome: OutcomeBody) -> Self {
        match outcome {
            OutcomeBody::Success => Self::Success,
            OutcomeBody::Fail => Self::Fail,
        }
    }
}

/// The buyer acted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentActionBody {
    /// How it ended.
    pub outcome: OutcomeBody,
    /// How long to wait for the order to settle, at most 30000; 10000 unless it says otherwise.
    pub wait_ms: Option<u32>,
}

/// Call the order off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// How long to wait for money and stock to be back, at most 30000; 10000 unless it says otherwise.
    pub wait_ms: Option<u32>,
}

fn wait(checks: &mut Checks, wait_ms: Option<u32>) -> u32 {
    checks.number("/wait_ms", wait_ms.unwrap_or(10_000), 0, limits::CHECKOUT_WAIT_MS_MAX)
}

impl PaymentActionBody {
    /// The outcome, and milliseconds to wait.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<(ActionOutcome, u32), Problem> {
        let mut checks = Checks::default();
        let wait_ms = wait(&mut checks, self.wait_ms);
        checks.end((self.outcome.into(), wait_ms))
    }
}

impl CancelBody {
    /// The reason, and milliseconds to wait.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<(String, u32), Problem> {
        let mut checks = Checks::default();
        let wait_ms = wait(&mut checks, self.wait_ms);
        let reason = checks.text("/reason", self.reason, 0, REASON_BYTES_MAX);
        checks.end((reason, wait_ms))
    }
}

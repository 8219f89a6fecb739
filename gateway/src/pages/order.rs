//! `/orders/{id}`: where an order stands, and what its buyer can still do: confirm the payment, call it off.

use super::{
    cart::sums,
    form::Form,
    session::{No, Visitor, unexpected},
    view::{Failed, Shell, Way, guest, money, personal, see_other},
};
use crate::{
    App,
    http::{
        RequestId,
        caller::{CALL_MS, CHECKOUT_EXTRA_MS},
        codes,
        reply::Reply,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
};
use std::sync::Arc;
use wire::{ActionOutcome, Body, CartId, LineState, Millis, Op, OrderId, OrderLineView, OrderStatus, OrderView, PaymentStatus, Refusal};

/// How long a page waits for an order to settle before it shows how far it has come.
pub(super) const WAIT_MS: u32 = 10_000;
/// The provider whose buyers act on our own page.
const SANDBOX: &str = "sandbox";

struct Line {
    title: String,
    quantity: u32,
    unit_price: String,
    total: String,
    state: String,
}

struct Event {
    at: String,
    kind: String,
}

#[derive(Template)]
#[template(path = "order.html")]
struct Order {
    shell: Shell,
    id: String,
    number: String,
    status: &'static str,
    headline: &'static str,
    payment: &'static str,
    waiting: bool,
    /// The sandbox's bank asks the buyer here.
    confirm: bool,
    /// Another provider's asks elsewhere.
    elsewhere: Option<String>,
    cancellable: bool,
    key: String,
    lines: Vec<Line>,
    sums: Vec<(&'static str, String)>,
    total: String,
    refunded: Option<String>,
    email: String,
    address: Vec<String>,
    placed_at: String,
    events: Vec<Event>,
}

fn headline(view: &OrderView) -> &'static str {
    match view.status {
        OrderStatus::Placing if view.next_action.is_some() => "One more step: confirm the payment",
        OrderStatus::Placing => "Your order is being placed",
        OrderStatus::Open => "Thank you! Your order is placed",
        OrderStatus::OnHold => "Your order is being checked",
        OrderStatus::Closed => "Your order is complete",
        OrderStatus::Cancelled => "Your order is cancelled",
        OrderStatus::Expired => "Your order was not placed",
    }
}

const fn payment(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::None => "Not asked for yet",
        PaymentStatus::Pending => "Waiting",
        PaymentStatus::Authorised => "Reserved, not taken yet",
        PaymentStatus::PartiallyCaptured => "Partly paid",
        PaymentStatus::Captured => "Paid",
        PaymentStatus::PartiallyRefunded => "Partly refunded",
        PaymentStatus::Refunded => "Refunded",
        PaymentStatus::Voided => "Let go; nothing was taken",
        PaymentStatus::Failed => "Declined; nothing was taken",
    }
}

const fn line_state(state: LineState) -> &'static str {
    match state {
        LineState::Reserved => "reserved",
        LineState::Backordered => "on order",
        LineState::Allocated => "ready to ship",
        LineState::Picked => "being packed",
        LineState::Shipped => "shipped",
        LineState::Delivered => "delivered",
        LineState::ReturnRequested => "return asked for",
        LineState::ReturnReceived | LineState::Restocked | LineState::Scrapped => "returned",
        LineState::Cancelled => "cancelled",
    }
}

/// Nothing has left the building, and nothing has ended.
fn cancellable(view: &OrderView) -> bool {
    let early = |state: LineState| match state {
        LineState::Reserved | LineState::Backordered | LineState::Allocated | LineState::Picked => true,
        LineState::Shipped
        | LineState::Delivered
        | LineState::ReturnRequested
        | LineState::ReturnReceived
        | LineState::Restocked
        | LineState::Scrapped
        | LineState::Cancelled => false,
    };
    let running = match view.status {
        OrderStatus::Placing | OrderStatus::Open | OrderStatus::OnHold => true,
        OrderStatus::Closed | OrderStatus::Cancelled | OrderStatus::Expired => false,
    };
    running && view.lines.iter().flat_map(|line| &line.quantities).all(|(state, _)| early(*state))
}

/// A time as people read it, in UTC.
fn time(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

fn line(line: OrderLineView) -> Line {
    let states: Vec<String> = line.quantities.iter().map(|(state, units)| format!("{units} {}", line_state(*state))).collect();
    Line {
        title: line.title,
        quantity: line.quantity,
        unit_price: money(line.unit_price),
        total: money(line.total),
        state: states.join(", "),
    }
}

fn address(it: wire::Address) -> Vec<String> {
    let town = [it.postal_code, it.city, it.region.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
    let town = town.collect::<Vec<_>>().join(" ");
    let lines = [it.name, it.line1, it.line2.unwrap_or_default(), town, it.country];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

impl Order {
    fn new(view: OrderView, visitor: &Visitor) -> Self {
        let ours = view.payments.last().is_some_and(|payment| payment.provider == SANDBOX);
        let refunded = view.payments.iter().map(|payment| payment.refunded).filter(|money| money.amount > 0);
        Self {
            shell: Shell::of(&visitor.session),
            id: view.id.to_string(),
            status: codes::order_status(view.status),
            headline: headline(&view),
            payment: payment(view.payment_status),
            waiting: view.status == OrderStatus::Placing && view.next_action.is_none(),
            confirm: view.next_action.is_some() && ours,
            elsewhere: {
                let url = view.next_action.as_ref().and_then(|action| action.url.clone());
                url.filter(|url| !ours && url.starts_with("https://"))
            },
            cancellable: cancellable(&view),
            key: RequestId::random().to_string(),
            sums: sums(&view.totals),
            total: money(view.totals.total),
            refunded: refunded.reduce(|sum, next| sum.checked_add(next).unwrap_or(sum)).map(money),
            placed_at: time(view.placed_at),
            number: view.number,
            lines: view.lines.into_iter().map(line).collect(),
            email: view.email,
            address: address(view.address),
            events: view.events.into_iter().map(|it| Event { at: time(it.at), kind: event(&it.kind) }).collect(),
        }
    }
}

/// `payment.captured` as `Payment captured`.
fn event(kind: &str) -> String {
    let mut letters = kind.chars().map(|letter| if matches!(letter, '.' | '_') { ' ' } else { letter });
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Asks for `order` on behalf of the carts that it may be of, until one of them is its own.
async fn for_holder<F: Future<Output = Result<Body, No>>>(
    visitor: &Visitor,
    order: OrderId,
    ask: impl Fn(CartId) -> F,
) -> Result<OrderView, No> {
    for cart in visitor.session.holders(order) {
        match ask(cart).await {
            Ok(Body::Order(view)) => return Ok(*view),
            Ok(_) => return Err(unexpected()),
            Err(No::Refused(Refusal::NotFound)) => {}
            Err(no) => return Err(no),
        }
    }
    Err(No::Refused(Refusal::NotFound))
}

/// The page of an order that came to nothing, or cannot be changed so.
fn stopped(no: No, app: &App, visitor: &Visitor, order: OrderId) -> Failed {
    let ended = match &no {
        No::Refused(refusal) => {
            matches!(
                refusal,
                Refusal::PaymentDeclined { .. } | Refusal::InsufficientStock(_) | Refusal::TotalChanged { .. } | Refusal::Contended
            )
        }
        No::Failed(_) => false,
    };
    let stands = matches!(no, No::Refused(Refusal::OrderState { .. } | Refusal::NoPendingAction));
    let failed = Failed::from(no);
    if ended {
        let mut session = visitor.session.clone();
        session.forget(order);
        return failed.way(Way::new("To your cart", "/cart")).way(Way::new("Try another payment", "/checkout")).cookie(&session, app);
    }
    if stands { failed.way(Way::new("To the order", format!("/orders/{order}"))) } else { failed }
}

pub(super) async fn order(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Result<Reply, Failed> {
    let id: OrderId = id.parse().map_err(|_| Failed::not_found())?;
    let ask = |cart| visitor.ask(&app, guest(cart), None, CALL_MS, Op::GetOrder(id));
    let view = for_holder(&visitor, id, ask).await.map_err(|no| stopped(no, &app, &visitor, id))?;
    personal(&Order::new(view, &visitor))
}

pub(super) async fn payment_action(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Result<Reply, Failed> {
    form.needs_key()?;
    let id: OrderId = id.parse().map_err(|_| Failed::not_found())?;
    let outcome = match form.text("outcome") {
        "success" => ActionOutcome::Success,
        "fail" => ActionOutcome::Fail,
        _ => return Err(Failed::new(StatusCode::UNPROCESSABLE_ENTITY, "Confirm or decline?", "Go back and press one of the two buttons.")),
    };
    let op = Op::PaymentAction { order: id, outcome, wait_ms: WAIT_MS };
    let step = format!("payment-action {id}");
    let ask = |cart| visitor.ask_once(&app, guest(cart), form.idempotency(cart, &step), WAIT_MS + CHECKOUT_EXTRA_MS, op.clone());
    match for_holder(&visitor, id, ask).await {
        Ok(_) => Ok(see_other(&format!("/orders/{id}"))),
        Err(no) => Err(stopped(no, &app, &visitor, id)),
    }
}

pub(super) async fn cancel(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Result<Reply, Failed> {
    form.needs_key()?;
    let id: OrderId = id.parse().map_err(|_| Failed::not_found())?;
    let op = Op::CancelOrder { order: id, reason: "called off by the buyer".to_owned(), wait_ms: WAIT_MS };
    let step = format!("cancel {id}");
    let ask = |cart| visitor.ask_once(&app, guest(cart), form.idempotency(cart, &step), WAIT_MS + CHECKOUT_EXTRA_MS, op.clone());
    match for_holder(&visitor, id, ask).await {
        Ok(_) => Ok(see_other(&format!("/orders/{id}"))),
        Err(no) => Err(stopped(no, &app, &visitor, id)),
    }
}

/// Sends the buyer to the order that `cart` became, and remembers it.
pub(super) fn placed(app: &App, visitor: &Visitor, order: OrderId) -> Reply {
    let mut session = visitor.session.clone();
    session.ordered(order);
    see_other(&format!("/orders/{order}")).header(header::SET_COOKIE, &session.cookie(&app.carts))
}

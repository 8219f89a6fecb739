//! Checkout and orders.

use super::unexpected;
use crate::{
    App,
    dto::{self, cart::CheckoutBody, order},
    http::{
        caller::{Answer, CALL_MS, CHECKOUT_EXTRA_MS, Caller, Keyed},
        etag::ETag,
        json::Json,
        problem::Problem,
        query::{self, Query},
        reply::Reply,
    },
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
};
use std::sync::Arc;
use wire::{Body, Op, Role};

/// Entries of a page that does not say.
const LIMIT: u16 = 20;

fn shown(answer: Answer, none_match: Option<&str>) -> Result<Reply, Problem> {
    let Body::Order(view) = answer.body else { return Err(unexpected(&answer)) };
    let tag = ETag::version(view.version);
    Ok(Reply::json(&order::Order::from(*view)).written(&answer.positions, answer.replayed).etag(&tag, none_match))
}

/// Place the order. 201 when it settled within `wait_ms`, else 202 with where to look, or with `next_action` for the buyer.
///
/// A 402 or 409 leaves the cart open with nothing held; try again with a new key. Card numbers are refused: send the provider's token.
#[utoipa::path(post, path = "/v1/carts/{id}/checkout", tag = "shop", security(("cart" = [])), request_body = CheckoutBody,
    params(("id" = String, Path, description = "cart_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses(
        (status = 201, body = order::Order, description = "Settled"),
        (status = 202, body = order::Order, description = "Not settled yet, or the buyer must act"),
        (status = 402, body = dto::Problem, content_type = "application/problem+json", description = "`payment_declined`"),
        (status = 409, body = dto::Problem, content_type = "application/problem+json",
            description = "`insufficient_stock`, `total_changed`, `cart_closed`, `cart_checking_out`, `not_for_sale`, `contended`"),
        (status = 422, body = dto::Problem, content_type = "application/problem+json",
            description = "`cart_empty`, `address_required`, `card_number_refused`, `unknown_provider`, `validation_failed`")))]
pub(crate) async fn checkout(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(&id)?;
    let json = json.without_cards()?;
    let idempotency = caller.idempotency(principal, Keyed::Required, json.fingerprint())?;
    let asked = json.shape::<CheckoutBody>()?.check()?;
    let timeout_ms = asked.wait_ms + CHECKOUT_EXTRA_MS;
    let op = Op::Checkout { cart, email: asked.email, payment: asked.payment, accept_total: asked.accept_total, wait_ms: asked.wait_ms };
    let answer = caller.call(&app, principal, idempotency, timeout_ms, op).await?;
    let Body::Order(view) = &answer.body else { return Err(unexpected(&answer)) };
    let status = if order::is_settled(view) { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let location = format!("/v1/orders/{}", view.id);
    Ok(shown(answer, None)?.status(status).header(header::LOCATION, &location))
}

/// An order, for staff and for the holder of its cart's token.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "shop", security(("cart" = []), ("staff" = [])), params(("id" = String, Path, description = "ord_…")),
    responses((status = 200, body = order::Order), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_order(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let (order, principal) = caller.order(&id)?;
    shown(caller.ask(&app, principal, Op::GetOrder(order)).await?, caller.none_match.as_deref())
}

/// The buyer acted, as `next_action` asked; the sandbox provider takes this for the bank's word.
#[utoipa::path(post, path = "/v1/orders/{id}/payment-action", tag = "shop", security(("cart" = []), ("staff" = [])), request_body = order::PaymentActionBody,
    params(("id" = String, Path, description = "ord_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = order::Order), (status = 402, body = dto::Problem, content_type = "application/problem+json"),
        (status = 409, body = dto::Problem, content_type = "application/problem+json", description = "`no_pending_action`, `order_state`")))]
pub(crate) async fn payment_action(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let (order, principal) = caller.order(&id)?;
    let json = json.without_cards()?;
    let idempotency = caller.idempotency(principal, Keyed::Required, json.fingerprint())?;
    let (outcome, wait_ms) = json.shape::<order::PaymentActionBody>()?.check()?;
    let op = Op::PaymentAction { order, outcome, wait_ms };
    shown(caller.call(&app, principal, idempotency, wait_ms + CHECKOUT_EXTRA_MS, op).await?, None)
}

/// Call an order off; money and stock are given back.
#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "shop", security(("cart" = []), ("staff" = [])), request_body = order::CancelBody,
    params(("id" = String, Path, description = "ord_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = order::Order), (status = 409, body = dto::Problem, content_type = "application/problem+json", description = "`order_state`")))]
pub(crate) async fn cancel_order(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let (order, principal) = caller.order(&id)?;
    let json = json.without_cards()?;
    let idempotency = caller.idempotency(principal, Keyed::Required, json.fingerprint())?;
    let (reason, wait_ms) = json.shape::<order::CancelBody>()?.check()?;
    let op = Op::CancelOrder { order, reason, wait_ms };
    shown(caller.call(&app, principal, idempotency, wait_ms + CHECKOUT_EXTRA_MS, op).await?, None)
}

/// Orders, latest first.
#[utoipa::path(get, path = "/v1/admin/orders", tag = "admin", security(("staff" = [])),
    params(
        ("status" = Option<String>, Query, description = "Only those that stand so"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = order::OrderList)))]
pub(crate) async fn list_orders(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Support, Role::Merchandiser, Role::Warehouse])?;
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let limit = query.limit(LIMIT)?;
    let status = query.one("status")?.map(|word| {
        order::status_of(&word)
            .ok_or_else(|| Problem::field("/status", "unknown_value", "placing, open, on_hold, closed, cancelled or expired"))
    });
    let status = status.transpose()?;
    let after = query.one("after")?.filter(|after| !after.is_empty());
    let after = after.map(|text| text.parse().map_err(|_| Problem::bad_cursor())).transpose()?;
    query.end()?;
    let answer = caller.call(&app, principal, None, CALL_MS, Op::ListOrders { status, limit, after }).await?;
    let Body::Orders(views) = answer.body else { return Err(unexpected(&answer)) };
    // A full page may have more after it; the page after the last is empty then.
    let next = views.last().filter(|_| views.len() == usize::from(limit)).map(|last| last.id.to_string());
    let url = next.as_deref().map(|after| query::next_page("/v1/admin/orders", caller.raw_query.as_deref(), after));
    Ok(Reply::json(&order::OrderList { items: views.into_iter().map(Into::into).collect(), next }).next_page(url))
}

//! Carts. A guest holds a cart by its token; every change answers the whole cart.

use super::unexpected;
use crate::{
    App,
    dto::{self, cart},
    http::{
        caller::{Answer, CALL_MS, Caller, Keyed},
        etag::ETag,
        json::Json,
        problem::Problem,
        reply::Reply,
    },
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
};
use std::sync::Arc;
use wire::{Body, LineId, Op, Principal, placement};

fn shown(answer: Answer, none_match: Option<&str>) -> Result<Reply, Problem> {
    let Body::Cart(view) = answer.body else { return Err(unexpected(&answer)) };
    let tag = ETag::version(view.version);
    Ok(Reply::json(&cart::Cart::from(*view)).written(&answer.positions, answer.replayed).etag(&tag, none_match))
}

/// Open a cart. The answer's `cart_token` is what holds it.
#[utoipa::path(post, path = "/v1/carts", tag = "shop", request_body = cart::CartBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "22 to 255 visible characters")),
    responses((status = 201, body = cart::NewCart)))]
pub(crate) async fn create_cart(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    let idempotency = caller.idempotency(Principal::Anonymous, Keyed::Unguessable, json.fingerprint())?;
    let currency = json.shape::<cart::CartBody>()?.check()?;
    // A retry under the same key must come to the partition that remembers the key.
    let draw = idempotency.map_or(caller.id.0, |idempotency| idempotency.key);
    let partition = placement::partition_of(placement::Space::Cart, &draw.to_le_bytes(), app.client.topology().partitions);
    let answer = caller.call(&app, Principal::Anonymous, idempotency, CALL_MS, Op::CreateCart { currency, partition }).await?;
    let Body::Cart(view) = answer.body else { return Err(unexpected(&answer)) };
    let (id, tag) = (view.id, ETag::version(view.version));
    let created = cart::NewCart { cart: (*view).into(), cart_token: app.carts.issue(id) };
    let reply = Reply::json(&created).status(StatusCode::CREATED).header(header::LOCATION, &format!("/v1/carts/{id}"));
    Ok(reply.written(&answer.positions, answer.replayed).etag(&tag, None))
}

/// A cart, priced as of now.
#[utoipa::path(get, path = "/v1/carts/{id}", tag = "shop", security(("cart" = [])), params(("id" = String, Path, description = "cart_…")),
    responses((status = 200, body = cart::Cart), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_cart(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(&id)?;
    let answer = caller.ask(&app, principal, Op::GetCart(cart)).await?;
    shown(answer, caller.none_match.as_deref())
}

/// Add a line; it sums into the line that has the SKU. Short stock shows in `problems`.
#[utoipa::path(post, path = "/v1/carts/{id}/lines", tag = "shop", security(("cart" = [])), request_body = cart::LineBody,
    params(("id" = String, Path, description = "cart_…")),
    responses((status = 200, body = cart::Cart), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn add_line(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(&id)?;
    let idempotency = caller.idempotency(principal, Keyed::Optional, json.fingerprint())?;
    let (sku, quantity) = json.shape::<cart::LineBody>()?.check()?;
    shown(caller.call(&app, principal, idempotency, CALL_MS, Op::AddLine { cart, sku, quantity }).await?, None)
}

async fn set(app: &App, caller: &Caller, id: &str, line: &str, quantity: u32) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(id)?;
    let line: LineId = line.parse().map_err(|_| Problem::not_found())?;
    shown(caller.ask(app, principal, Op::SetLineQuantity { cart, line, quantity }).await?, None)
}

/// Set a line's quantity; 0 removes it.
#[utoipa::path(patch, path = "/v1/carts/{id}/lines/{line}", tag = "shop", security(("cart" = [])), request_body = cart::QuantityBody,
    params(("id" = String, Path, description = "cart_…"), ("line" = String, Path, description = "line_…")),
    responses((status = 200, body = cart::Cart), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_line(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, line)): Path<(String, String)>,
    json: Json,
) -> Result<Reply, Problem> {
    caller.cart(&id)?;
    let quantity = json.shape::<cart::QuantityBody>()?.check()?;
    set(&app, &caller, &id, &line, quantity).await
}

/// Remove a line.
#[utoipa::path(delete, path = "/v1/carts/{id}/lines/{line}", tag = "shop", security(("cart" = [])),
    params(("id" = String, Path, description = "cart_…"), ("line" = String, Path, description = "line_…")),
    responses((status = 200, body = cart::Cart), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove_line(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, line)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    set(&app, &caller, &id, &line, 0).await
}

/// Say where to send it.
#[utoipa::path(put, path = "/v1/carts/{id}/address", tag = "shop", security(("cart" = [])), request_body = cart::AddressBody,
    params(("id" = String, Path, description = "cart_…")),
    responses((status = 200, body = cart::Cart), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_address(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(&id)?;
    let address = json.shape::<cart::AddressBody>()?.check()?;
    shown(caller.ask(&app, principal, Op::SetAddress { cart, address }).await?, None)
}

/// Ways to ship. There are none to choose from, and shipping is free.
#[utoipa::path(get, path = "/v1/carts/{id}/shipping-options", tag = "shop", security(("cart" = [])),
    params(("id" = String, Path, description = "cart_…")),
    responses((status = 200, body = cart::ShippingOptions), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn shipping_options(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let (cart, principal) = caller.cart(&id)?;
    // The cart is asked for so that a cart that is gone is not found here either.
    caller.ask(&app, principal, Op::GetCart(cart)).await?;
    Ok(Reply::json(&cart::ShippingOptions::default()))
}

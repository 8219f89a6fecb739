//! The pages under `/`: a storefront rendered here, that works without scripts.
//!
//! Path: request → `session` (which carts does this browser hold?), for a POST also `form` (was it sent by one of our own pages?) →
//! one module per page → the same [`wire::Client`] that the HTTP contract uses → a template of `templates/` → `view` (headers).
//! A POST answers 303 to the page that shows what came of it, or a page that says why nothing did.
//! Read first: [`router`], then `session` (the cookie) and `checkout` (why two clicks buy once).
//!
//! Invariants: every POST takes a `Form`, which only a page of this origin can send. No text reaches a page but through a template,
//! which escapes it. There is no script and no inline style, as the pages' own content security policy demands.
//! Deliberately absent: prices and rules. What a page says, the engine decided.

mod assets;
mod cart;
mod checkout;
mod countries;
mod form;
mod home;
mod order;
mod product;
mod search;
mod session;
#[cfg(test)]
mod tests;
mod view;

use crate::{App, http::problem::Problem};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Response, Uri, header},
    response::IntoResponse as _,
    routing::{get, post},
};
use std::sync::Arc;

/// The pages' routes, and the answer to addresses that nobody has.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(home::home))
        .route("/search", get(search::search))
        .route("/p/{id}", get(product::product))
        .route("/cart", get(cart::cart))
        .route("/cart/lines", post(cart::add))
        .route("/cart/lines/{line}", post(cart::set_line))
        .route("/checkout", get(checkout::checkout).post(checkout::place))
        .route("/orders/{id}", get(order::order))
        .route("/orders/{id}/payment-action", post(order::payment_action))
        .route("/orders/{id}/cancel", post(order::cancel))
        .route(assets::PATH, get(assets::stylesheet))
        .fallback(nowhere)
}

/// A page for those who ask for one; a problem for everyone else, and under the HTTP contract's paths.
async fn nowhere(uri: Uri, headers: HeaderMap) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if accept.contains("text/html") && !uri.path().starts_with("/v1/") {
        view::Failed::not_found().into_response()
    } else {
        Problem::not_found().into_response()
    }
}

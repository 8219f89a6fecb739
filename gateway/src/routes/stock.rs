//! Stock: availability for everyone, rows and changes for the warehouse.

use super::unexpected;
use crate::{
    App,
    dto::{self, stock},
    http::{
        caller::{CALL_MS, Caller, Keyed},
        json::Json,
        problem::Problem,
        query::{Query, decode},
        reference,
        reply::Reply,
    },
};
use axum::extract::{Path, State};
use std::sync::Arc;
use wire::{Body, Op, Role, SkuRef, limits};

/// Availability of some SKUs, as it is at this moment.
#[utoipa::path(get, path = "/v1/stock", tag = "shop",
    params(("sku" = String, Query, description = "Comma list of sku_… or key=MERCHANT-KEY, at most 100")),
    responses((status = 200, body = stock::AvailabilityList), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn list_availability(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let raw = query.raw("sku")?.unwrap_or("");
    query.end()?;
    // Split before it is decoded, so that a key may hold a comma, encoded.
    let skus: Option<Vec<SkuRef>> = raw.split(',').filter(|part| !part.is_empty()).map(|part| reference::sku(&decode(part)?)).collect();
    let skus = skus.ok_or_else(|| Problem::field("/sku", "unknown_value", "a comma list of sku_… or key=MERCHANT-KEY"))?;
    if skus.is_empty() || skus.len() > limits::STOCK_QUERY_SKUS_MAX {
        return Err(Problem::field("/sku", "wrong_length", format!("1 to {} SKUs", limits::STOCK_QUERY_SKUS_MAX)));
    }
    let answer = caller.ask(&app, caller.public(), Op::GetAvailability(skus)).await?;
    let Body::Availability(items) = answer.body else { return Err(unexpected(&answer)) };
    let surrogate: Vec<String> = items.iter().map(|item| format!("sku:{}", item.sku)).collect();
    let reply = Reply::json(&stock::AvailabilityList::from(items)).public(&surrogate.join(" "));
    // Live means live: a cache may hold it for one second.
    Ok(reply.header(axum::http::header::CACHE_CONTROL, "public, max-age=1, stale-while-revalidate=1"))
}

/// Every column of a SKU's stock, by location, with open holds.
#[utoipa::path(get, path = "/v1/admin/stock/{sku}", tag = "admin", security(("staff" = [])),
    params(("sku" = String, Path, description = "sku_… or key=MERCHANT-KEY")),
    responses((status = 200, body = stock::Stock), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_stock(State(app): State<Arc<App>>, caller: Caller, Path(sku): Path<String>) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Support, Role::Merchandiser, Role::Warehouse])?;
    let sku = reference::sku(&sku).ok_or_else(Problem::not_found)?;
    let answer = caller.ask(&app, principal, Op::GetInventory(sku)).await?;
    let Body::Inventory(view) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&stock::Stock::from(*view)))
}

/// Change what is on hand.
#[utoipa::path(post, path = "/v1/admin/stock/adjust", tag = "admin", security(("staff" = [])), request_body = stock::AdjustBody,
    params(("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = stock::Stock), (status = 409, body = dto::Problem, content_type = "application/problem+json",
        description = "`stock_mismatch` with `actual`, or `stock_committed`")))]
pub(crate) async fn adjust_stock(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Warehouse])?;
    let idempotency = caller.idempotency(principal, Keyed::Required, json.fingerprint())?;
    let adjustment = json.shape::<stock::AdjustBody>()?.check()?;
    let answer = caller.call(&app, principal, idempotency, CALL_MS, Op::AdjustStock(adjustment)).await?;
    let Body::Stock(changed) = &answer.body else { return Err(unexpected(&answer)) };
    // The contract shows more of a row than an adjustment's own answer has.
    let found = caller.ask(&app, principal, Op::GetInventory(SkuRef::Id(changed.sku))).await?;
    let Body::Inventory(view) = found.body else { return Err(unexpected(&found)) };
    Ok(Reply::json(&stock::Stock::from(*view)).written(&answer.positions, answer.replayed))
}

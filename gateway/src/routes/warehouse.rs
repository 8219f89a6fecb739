//! The warehouse: units not for sale, deliveries, transfers, policies, movements and events. Every call that moves stock needs a key.

use super::unexpected;
use crate::{
    App,
    dto::{self, stock, stock_log, warehouse},
    http::{
        caller::{Answer, CALL_MS, Caller, Keyed},
        json::Json,
        problem::Problem,
        query::{self, Query},
        reference,
        reply::Reply,
    },
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use wire::{Body, Op, Role, ShardId, SkuRef, StockCursor};

/// How long a check of one shard's stock may take, in milliseconds: it walks all of it.
const CHECK_MS: u32 = 60_000;
/// Entries of a page unless asked for otherwise.
const LIMIT: u16 = 20;

const READERS: &[Role] = &[Role::Support, Role::Merchandiser, Role::Warehouse];

/// Asks for something that moves stock.
async fn moves(app: &App, caller: &Caller, json: &Json, op: Op) -> Result<Answer, Problem> {
    let principal = caller.staff(&[Role::Warehouse])?;
    let idempotency = caller.idempotency(principal, Keyed::Required, json.fingerprint())?;
    caller.call(app, principal, idempotency, CALL_MS, op).await
}

fn goods(answer: Answer, status: StatusCode) -> Result<Reply, Problem> {
    let Body::Goods(done) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&warehouse::GoodsDone::from(*done)).status(status).written(&answer.positions, answer.replayed))
}

fn inventory(answer: Answer) -> Result<Reply, Problem> {
    let Body::Inventory(view) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&stock::Stock::from(*view)).written(&answer.positions, answer.replayed))
}

fn sku_of(text: &str) -> Result<SkuRef, Problem> {
    reference::sku(text).ok_or_else(Problem::not_found)
}

/// Take units off sale for a reason, put them back, or write them off.
#[utoipa::path(post, path = "/v1/admin/stock/unavailable", tag = "admin", security(("staff" = [])), request_body = warehouse::ApartBody,
    params(("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = stock::Stock), (status = 409, body = dto::Problem, content_type = "application/problem+json",
        description = "`stock_committed`, or `too_few_apart` with `apart`")))]
pub(crate) async fn move_apart(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    let asked = json.shape::<warehouse::ApartBody>()?.check()?;
    inventory(moves(&app, &caller, &json, Op::MoveApart(asked)).await?)
}

/// Note what a supplier says will come.
#[utoipa::path(post, path = "/v1/admin/stock/announcements", tag = "admin", security(("staff" = [])), request_body = warehouse::AnnouncementBody,
    params(("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 201, body = warehouse::GoodsDone), (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn announce(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    let asked = json.shape::<warehouse::AnnouncementBody>()?.check()?;
    goods(moves(&app, &caller, &json, Op::AnnounceDelivery(asked)).await?, StatusCode::CREATED)
}

/// Call off what is left of an announcement.
#[utoipa::path(post, path = "/v1/admin/stock/announcements/{id}/withdraw", tag = "admin", security(("staff" = [])),
    params(("id" = String, Path, description = "ann_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = warehouse::GoodsDone), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn withdraw(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    json.shape::<dto::Nothing>()?;
    let announcement = id.parse().map_err(|_| Problem::not_found())?;
    goods(moves(&app, &caller, &json, Op::WithdrawDelivery { announcement }).await?, StatusCode::OK)
}

/// Book a delivery, announced or not.
#[utoipa::path(post, path = "/v1/admin/stock/deliveries", tag = "admin", security(("staff" = [])), request_body = warehouse::DeliveryBody,
    params(("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = warehouse::GoodsDone), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn receive(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    let asked = json.shape::<warehouse::DeliveryBody>()?.check()?;
    goods(moves(&app, &caller, &json, Op::ReceiveDelivery(asked)).await?, StatusCode::OK)
}

/// Send goods from one location to another.
#[utoipa::path(post, path = "/v1/admin/stock/transfers", tag = "admin", security(("staff" = [])), request_body = warehouse::TransferBody,
    params(("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 201, body = warehouse::GoodsDone), (status = 409, body = dto::Problem, content_type = "application/problem+json",
        description = "`insufficient_stock`")))]
pub(crate) async fn send(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    let asked = json.shape::<warehouse::TransferBody>()?.check()?;
    goods(moves(&app, &caller, &json, Op::SendTransfer(asked)).await?, StatusCode::CREATED)
}

/// Book what came of a transfer: whole, damaged, or lost for good. 202 while the destination has not booked it yet.
#[utoipa::path(post, path = "/v1/admin/stock/transfers/{id}/arrive", tag = "admin", security(("staff" = [])), request_body = warehouse::ArrivalBody,
    params(("id" = String, Path, description = "trf_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = warehouse::GoodsDone), (status = 202, body = warehouse::GoodsDone),
        (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn arrive(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    let lines = json.shape::<warehouse::ArrivalBody>()?.check()?;
    let transfer = id.parse().map_err(|_| Problem::not_found())?;
    let answer = moves(&app, &caller, &json, Op::ArriveTransfer { transfer, lines }).await?;
    let waits = matches!(&answer.body, Body::Goods(done) if done.arriving > 0);
    goods(answer, if waits { StatusCode::ACCEPTED } else { StatusCode::OK })
}

/// Call a transfer off: what is left of it returns to where it came from.
#[utoipa::path(post, path = "/v1/admin/stock/transfers/{id}/recall", tag = "admin", security(("staff" = [])),
    params(("id" = String, Path, description = "trf_…"), ("Idempotency-Key" = String, Header, description = "Required")),
    responses((status = 200, body = warehouse::GoodsDone), (status = 404, body = dto::Problem, content_type = "application/problem+json"),
        (status = 409, body = dto::Problem, content_type = "application/problem+json", description = "`still_arriving`")))]
pub(crate) async fn recall(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[Role::Warehouse])?;
    json.shape::<dto::Nothing>()?;
    let transfer = id.parse().map_err(|_| Problem::not_found())?;
    goods(moves(&app, &caller, &json, Op::RecallTransfer { transfer }).await?, StatusCode::OK)
}

/// Say what a SKU at a location may promise beyond what it has, and when it tells that little is left.
#[utoipa::path(put, path = "/v1/admin/stock/{sku}/policies/{location}", tag = "admin", security(("staff" = [])), request_body = warehouse::PolicyBody,
    params(("sku" = String, Path, description = "sku_… or key=MERCHANT-KEY"), ("location" = String, Path, description = "Location code")),
    responses((status = 200, body = stock::Stock), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_policy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((sku, location)): Path<(String, String)>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Warehouse])?;
    let policy = json.shape::<warehouse::PolicyBody>()?.check(sku_of(&sku)?, location)?;
    inventory(caller.ask(&app, principal, Op::SetStockPolicy(policy)).await?)
}

/// Say how many units of a SKU may be reserved at once, and by one owner.
#[utoipa::path(put, path = "/v1/admin/stock/{sku}/purchase-limit", tag = "admin", security(("staff" = [])), request_body = warehouse::PurchaseLimitBody,
    params(("sku" = String, Path, description = "sku_… or key=MERCHANT-KEY")),
    responses((status = 200, body = stock::Stock), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_purchase_limit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(sku): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Warehouse])?;
    let limit = json.shape::<warehouse::PurchaseLimitBody>()?.into();
    let sku = sku_of(&sku)?;
    inventory(caller.ask(&app, principal, Op::SetPurchaseLimit { sku, limit }).await?)
}

/// What a page is asked for: location, cursor, limit.
fn page(caller: &Caller) -> Result<(String, Option<StockCursor>, u16), Problem> {
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let limit = query.limit(LIMIT)?;
    let location = query.one("location")?.filter(|code| (1..=wire::limits::KEY_BYTES_MAX).contains(&code.len()));
    let location = location.ok_or_else(|| Problem::field("/location", "missing", "a location code"))?;
    let after = query.one("after")?.filter(|after| !after.is_empty());
    let after = after.map(|text| stock_log::cursor(&text)).transpose()?;
    query.end()?;
    Ok((location, after, limit))
}

/// Movements of units at a location, oldest first. A reader follows by `next`, and later goes on after `last`.
#[utoipa::path(get, path = "/v1/admin/stock/history", tag = "admin", security(("staff" = [])),
    params(
        ("location" = String, Query, description = "Location code"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` or `last` of the page before; without it from the oldest that is kept"),
    ),
    responses((status = 200, body = stock_log::MovementList), (status = 410, body = dto::Problem, content_type = "application/problem+json",
        description = "`history_gone`: read the stock anew, and go on after `last`")))]
pub(crate) async fn history(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let principal = caller.staff(READERS)?;
    let (location, after, limit) = page(&caller)?;
    let answer = caller.ask(&app, principal, Op::StockHistory { location, after, limit }).await?;
    let Body::StockHistory(page) = answer.body else { return Err(unexpected(&answer)) };
    let list = stock_log::MovementList::from(page);
    let url = list.next().map(|after| query::next_page("/v1/admin/stock/history", caller.raw_query.as_deref(), after));
    Ok(Reply::json(&list).next_page(url))
}

/// Stock that runs low or is back, and backorders filled, at a location, oldest first. Read as the history is.
#[utoipa::path(get, path = "/v1/admin/stock/events", tag = "admin", security(("staff" = [])),
    params(
        ("location" = String, Query, description = "Location code"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` or `last` of the page before; without it from the oldest that is kept"),
    ),
    responses((status = 200, body = stock_log::EventList), (status = 410, body = dto::Problem, content_type = "application/problem+json",
        description = "`history_gone`: read the stock anew, and go on after `last`")))]
pub(crate) async fn events(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let principal = caller.staff(READERS)?;
    let (location, after, limit) = page(&caller)?;
    let answer = caller.ask(&app, principal, Op::StockEvents { location, after, limit }).await?;
    let Body::StockEvents(page) = answer.body else { return Err(unexpected(&answer)) };
    let list = stock_log::EventList::from(page);
    let url = list.next().map(|after| query::next_page("/v1/admin/stock/events", caller.raw_query.as_deref(), after));
    Ok(Reply::json(&list).next_page(url))
}

/// Prove all stock: every row against the holds, movements, announcements and transfers. It walks everything, shard by shard, and a shard
/// does nothing else meanwhile.
#[utoipa::path(post, path = "/v1/admin/stock/check", tag = "admin", security(("staff" = [])),
    responses((status = 200, body = warehouse::StockCheck), (status = 403, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn check(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Warehouse])?;
    json.shape::<dto::Nothing>()?;
    let mut found = warehouse::StockCheck { ok: true, rows: 0, open_holds: 0, broken: Vec::new() };
    for shard in 0..app.client.topology().shards {
        let answer = caller.call(&app, principal, None, CHECK_MS, Op::AuditStock(ShardId(shard))).await?;
        let Body::Audited(audit) = answer.body else { return Err(unexpected(&answer)) };
        found.rows += audit.rows;
        found.open_holds += audit.open_holds;
        found.broken.extend(audit.broken);
    }
    found.ok = found.broken.is_empty();
    Ok(Reply::json(&found))
}

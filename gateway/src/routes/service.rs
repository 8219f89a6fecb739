//! Is it alive, is it ready, and what can it do?

use crate::{
    App,
    http::{RequestId, caller, codes::Code, problem::Problem, reply::Reply},
    openapi,
};
use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
};
use serde_json::json;
use std::sync::Arc;
use wire::{Op, Principal, ProductId, ProductRef, RawId, Request};

/// How long the engine may take to say anything, in milliseconds.
const READY_MS: u32 = 2_000;

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "service", responses((status = 200, description = "It runs")))]
pub(crate) async fn livez() -> Reply {
    Reply::json(&json!({"status": "live"}))
}

/// Requests can be served: the engine answers.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200, description = "The engine answers"), (status = 503, description = "It does not, or this node is draining")))]
pub(crate) async fn readyz(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>) -> Result<Reply, Problem> {
    if app.is_draining() {
        return Err(Problem::new(Code::UNAVAILABLE, "This node is stopping.").retry_after_ms(1_000));
    }
    // No product has this id, so the answer is a cheap "not found", which proves the way there and back.
    let op = Op::GetProduct(ProductRef::Id(ProductId(RawId(0))));
    let request = Request { principal: Principal::Anonymous, timeout_ms: READY_MS, trace: id.0, ..Request::system(op) };
    match caller::call(&app, request).await {
        Ok(_) => {}
        Err(problem) if problem.code == Code::NOT_FOUND => {}
        Err(problem) => return Err(problem),
    }
    Ok(Reply::json(&json!({"status": "ready"})))
}

/// This contract, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses((status = 200, description = "An OpenAPI 3.1 document")))]
pub(crate) async fn openapi() -> Reply {
    Reply::json(openapi::document()).header(header::CACHE_CONTROL, "public, max-age=300").status(StatusCode::OK)
}

//! Writing the catalog, one thing at a time.

use super::unexpected;
use crate::{
    App,
    dto::{self, Shown, category, product_body::ProductBody, product_patch::ProductPatch, stock},
    http::{
        caller::{Answer, CALL_MS, Caller, Keyed},
        codes::Code,
        etag::ETag,
        json::Json,
        problem::Problem,
        reference,
        reply::Reply,
    },
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;
use wire::{Body, CategoryRef, Op, Principal, ProductRef, ProductView, Request, Role, Upserted};

/// How often a product is read for one patch, where others write it too.
const PATCH_TRIES_MAX: u32 = 5;

pub(crate) const fn status(what: Upserted) -> StatusCode {
    match what {
        Upserted::Created => StatusCode::CREATED,
        Upserted::Updated | Upserted::Unchanged => StatusCode::OK,
    }
}

/// The key of the product that the path names: writing goes by key.
async fn product_key(app: &App, caller: &Caller, principal: Principal, id: &str) -> Result<String, Problem> {
    match reference::product(id)? {
        ProductRef::Key(key) => Ok(key),
        id @ ProductRef::Id(_) => Ok(product(app, caller, principal, id).await?.key),
    }
}

/// The product as it is; the caller's conditions are on the write.
async fn product(app: &App, caller: &Caller, principal: Principal, product: ProductRef) -> Result<ProductView, Problem> {
    let request = Request { if_match: None, ..caller.request(principal, None, CALL_MS, Op::GetProduct(product)) };
    let answer = crate::http::caller::call(app, request).await?;
    let Body::Product(view) = answer.body else { return Err(unexpected(&answer)) };
    Ok(*view)
}

/// Write a product: what was there under its key is replaced.
#[utoipa::path(put, path = "/v1/admin/products/{id}", tag = "admin", security(("staff" = [])), request_body = ProductBody,
    params(("id" = String, Path, description = "prod_… or key=MERCHANT-KEY")),
    responses((status = 200, body = stock::Upserted), (status = 201, body = stock::Upserted),
        (status = 412, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn put_product(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, json: Json) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let idempotency = caller.idempotency(principal, Keyed::Optional, json.fingerprint())?;
    let body: ProductBody = json.shape()?;
    let key = product_key(&app, &caller, principal, &id).await?;
    let input = body.check(Some(key))?;
    let answer = caller.call(&app, principal, idempotency, CALL_MS, Op::PutProduct(Box::new(input))).await?;
    written(&answer)
}

fn written(answer: &Answer) -> Result<Reply, Problem> {
    let Body::Upserted { id, version, what } = answer.body else { return Err(unexpected(answer)) };
    let reply = Reply::json(&stock::Upserted { status: stock::upserted(what), id: Shown(id), version }).status(status(what));
    Ok(reply.written(&answer.positions, answer.replayed).etag(&ETag::version(version), None))
}

/// Change some fields of a product, as a JSON merge patch (RFC 7396).
///
/// What is changed is the product as it is then. Where somebody else writes it at the same moment it is read again, unless `If-Match` or `Idempotency-Key` say what the answer is
/// then: 412.
#[utoipa::path(patch, path = "/v1/admin/products/{id}", tag = "admin", security(("staff" = [])), request_body = ProductPatch,
    params(("id" = String, Path, description = "prod_… or key=MERCHANT-KEY")),
    responses((status = 200, body = stock::Upserted), (status = 404, body = dto::Problem, content_type = "application/problem+json"),
        (status = 412, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn patch_product(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let idempotency = caller.idempotency(principal, Keyed::Optional, json.fingerprint())?;
    let reference = reference::product(&id)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let patch: ProductPatch = json.shape()?;
        let view = product(&app, &caller, principal, reference.clone()).await?;
        let seen = view.version;
        let write = caller.request(principal, idempotency, CALL_MS, Op::PutProduct(Box::new(patch.check(view)?)));
        let is_free = write.if_match.is_none() && idempotency.is_none();
        let write = Request { if_match: write.if_match.or(Some(seen)), ..write };
        match crate::http::caller::call(&app, write).await {
            Err(problem) if is_free && problem.code == Code::VERSION_MISMATCH && tries < PATCH_TRIES_MAX => {}
            answer => return written(&answer?),
        }
    }
}

/// Delete a product.
#[utoipa::path(delete, path = "/v1/admin/products/{id}", tag = "admin", security(("staff" = [])),
    params(("id" = String, Path, description = "prod_… or key=MERCHANT-KEY")),
    responses((status = 204, description = "Gone"), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete_product(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let answer = caller.ask(&app, principal, Op::DeleteProduct(reference::product(&id)?)).await?;
    let Body::Done = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::empty(StatusCode::NO_CONTENT).written(&answer.positions, answer.replayed))
}

/// Write a category.
#[utoipa::path(put, path = "/v1/admin/categories/{id}", tag = "admin", security(("staff" = [])), request_body = category::CategoryBody,
    params(("id" = String, Path, description = "cat_… or key=MERCHANT-KEY")),
    responses((status = 200, body = category::UpsertedCategory), (status = 201, body = category::UpsertedCategory)))]
pub(crate) async fn put_category(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let idempotency = caller.idempotency(principal, Keyed::Optional, json.fingerprint())?;
    let body: category::CategoryBody = json.shape()?;
    let key = match reference::category(&id)? {
        CategoryRef::Key(key) => key,
        id @ CategoryRef::Id(_) => {
            let request = wire::Request { principal, trace: caller.id.0, ..wire::Request::system(Op::GetCategory(id)) };
            let answer = crate::http::caller::call(&app, request).await?;
            let Body::Categories(views) = answer.body else { return Err(unexpected(&answer)) };
            views.into_iter().next().ok_or_else(Problem::not_found)?.key
        }
    };
    let input = body.check(Some(key))?;
    let answer = caller.call(&app, principal, idempotency, CALL_MS, Op::PutCategory(input)).await?;
    let Body::UpsertedCategory { category: view, what } = answer.body else { return Err(unexpected(&answer)) };
    let version = view.version;
    let written = category::UpsertedCategory { status: stock::upserted(what), category: (*view).into() };
    let reply = Reply::json(&written).status(status(what)).written(&answer.positions, answer.replayed);
    Ok(reply.etag(&ETag::version(version), None))
}

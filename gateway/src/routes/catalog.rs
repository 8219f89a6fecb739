//! Products and categories, for everyone.

use super::unexpected;
use crate::{
    App,
    dto::{self, category, product},
    http::{caller::Caller, etag::ETag, problem::Problem, reference, reply::Reply},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
};
use std::sync::Arc;
use wire::{Body, Op};

const LD_JSON: &str = "application/ld+json";

/// Does the caller prefer schema.org's vocabulary? Only when it names that type, and not JSON before it.
fn wants_ld_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let types = accept.split(',').map(|item| item.split(';').next().unwrap_or("").trim());
    types.into_iter().find(|name| [LD_JSON, "application/json", "*/*"].contains(name)) == Some(LD_JSON)
}

/// A product.
///
/// `{id}` is an id or `key=MERCHANT-KEY`. The `ETag` counts availability too; as `If-Match` its version alone matters.
#[utoipa::path(get, path = "/v1/products/{id}", tag = "shop",
    params(("id" = String, Path, description = "prod_… or key=MERCHANT-KEY")),
    responses((status = 200, body = product::Product), (status = 304, description = "Unchanged"), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_product(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, Problem> {
    let answer = caller.ask(&app, caller.public(), Op::GetProduct(reference::product(&id)?)).await?;
    let Body::Product(view) = answer.body else { return Err(unexpected(&answer)) };
    let tag = ETag::live(view.version, &product::live_part(&view));
    let surrogate = format!("product:{}", view.id);
    let reply = if wants_ld_json(&headers) {
        Reply::json(&product::schema_org(&view)).media_type(LD_JSON)
    } else {
        Reply::json(&product::Product::from(*view))
    };
    let reply = if caller.is_staff() { reply } else { reply.public(&surrogate) };
    Ok(reply.etag(&tag, caller.none_match.as_deref()))
}

/// The tree of categories.
#[utoipa::path(get, path = "/v1/categories", tag = "shop", responses((status = 200, body = category::CategoryTree)))]
pub(crate) async fn list_categories(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let answer = caller.ask(&app, caller.public(), Op::ListCategories).await?;
    let Body::Categories(views) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&category::CategoryTree::new(views)).public("categories"))
}

/// A category with its children and the way from the root.
#[utoipa::path(get, path = "/v1/categories/{id}", tag = "shop",
    params(("id" = String, Path, description = "cat_… or key=MERCHANT-KEY")),
    responses((status = 200, body = category::Category), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_category(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let answer = caller.ask(&app, caller.public(), Op::GetCategory(reference::category(&id)?)).await?;
    let Body::Categories(views) = answer.body else { return Err(unexpected(&answer)) };
    let live: Vec<u8> = views.iter().flat_map(|view| [view.version, view.products]).flat_map(u64::to_le_bytes).collect();
    let (version, surrogate) = views.first().map_or((0, String::new()), |view| (view.version, format!("category:{}", view.id)));
    let category = category::Category::with_children(views).ok_or_else(Problem::not_found)?;
    Ok(Reply::json(&category).public(&surrogate).etag(&ETag::live(version, &live), caller.none_match.as_deref()))
}

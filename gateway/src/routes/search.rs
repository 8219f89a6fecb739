//! Search, suggestions, and what is like a product.

use super::{search_query, unexpected};
use crate::{
    App,
    dto::{self, search},
    http::{
        caller::Caller,
        problem::Problem,
        query::{self, Query},
        reference,
        reply::Reply,
    },
};
use axum::extract::{Path, State};
use std::sync::Arc;
use tokio::time::Instant;
use wire::{Body, Op, limits};

/// Suggestions of each kind that a request which does not say gets.
const SUGGESTIONS: u16 = 8;

/// Search the catalog.
///
/// `filter` may be repeated: `brand:HP|Canon`, `category:KEY`, `price:1000..5000`, `rating:4..`, `in_stock:true`, `attr.NAME:VALUE|VALUE`,
/// `attr.NAME:1.5..3`. `facets` is a comma list of `brand`, `category`, `category:tree(2)`, `price`, `price:histogram(10)`, `rating`, `in_stock`,
/// `attr.NAME`, `attr.NAME:histogram(10)`; of two with one name, such as `price` and `price:histogram(10)`, the last is answered. `category:tree` answers what a menu
/// shows: the top level, and with a category selected its ancestors, what stands beside each of them, and what is in it; `(N)` so many levels.
#[utoipa::path(get, path = "/v1/search", tag = "shop",
    params(
        ("q" = Option<String>, Query, description = "What was typed; without it everything is browsed. Words in \"quotation marks\" must stand side by side; a -word or -\"some words\" must not be there; brand:hp, -title:\"usb c\", category:printers, sku:tn-2110 and, by its name, any attribute are conditions on one field"),
        ("category" = Option<String>, Query, description = "Id or key, with all below it"),
        ("filter" = Option<Vec<String>>, Query, description = "Conditions, all of which must hold"),
        ("facets" = Option<String>, Query, description = "What to count"),
        ("facet_query" = Option<Vec<String>>, Query, description = "Values of a facet that begin so, or have a word that does, such as brand:sams: the facet is counted, and has these values alone; of brand, category, in_stock and attr.NAME, one each, at most 8"),
        ("sort" = Option<String>, Query, description = "relevance, price, -price, rating, newest or popularity"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("total" = Option<bool>, Query, description = "Count all hits"),
        ("highlight" = Option<bool>, Query, description = "Give title and description of each hit as HTML with `<em>` around the words found"),
        ("explain" = Option<bool>, Query, description = "Say of each hit what its score is made of"),
        ("prefer" = Option<Vec<String>>, Query, description = "What this shopper is likely to want, such as brand:HP^20: these products get so many hundredths of what all words of the query weigh; -400 to 400, at most 8"),
        ("typo" = Option<bool>, Query, description = "false: no word stands for one that is spelt nearly so, even if no product has it"),
    ),
    responses((status = 200, body = search::SearchPage), (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let query = search_query::parse(caller.raw_query.as_deref())?;
    let asked = Instant::now();
    let answer = caller.ask(&app, caller.public(), Op::Search(query)).await?;
    let took_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Body::Search(results) = answer.body else { return Err(unexpected(&answer)) };
    let page = search::SearchPage::new(*results, took_us);
    app.metrics.searched(page.partial);
    let next = page.next.as_deref().map(|after| query::next_page("/v1/search", caller.raw_query.as_deref(), after));
    Ok(lasting(Reply::json(&page), "search", page.partial, &caller).next_page(next))
}

/// For everybody, unless it was cut short: the next one may be whole. Or unless it is for staff, who are told what shoppers are not.
fn lasting(reply: Reply, surrogate: &str, partial: bool, caller: &Caller) -> Reply {
    if partial || caller.is_staff() { reply } else { reply.public(surrogate) }
}

/// Ideas while typing.
#[utoipa::path(get, path = "/v1/suggest", tag = "shop",
    params(("q" = Option<String>, Query, description = "What was typed so far"), ("limit" = Option<u16>, Query, description = "Of each kind")),
    responses((status = 200, body = search::Suggestions)))]
pub(crate) async fn suggest(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let (text, limit) = (query.one("q")?.unwrap_or_default(), query.limit(SUGGESTIONS)?);
    query.end()?;
    if text.len() > limits::QUERY_BYTES_MAX {
        return Err(Problem::field("/q", "too_long", format!("at most {} bytes", limits::QUERY_BYTES_MAX)));
    }
    let answer = caller.ask(&app, caller.public(), Op::Suggest { text, limit }).await?;
    let Body::Suggestions(found) = answer.body else { return Err(unexpected(&answer)) };
    let partial = found.partial;
    app.metrics.searched(partial);
    Ok(lasting(Reply::json(&search::Suggestions::from(found)), "suggest", partial, &caller))
}

/// Products like one.
///
/// The likest first: those that say what it says and few others do, about the same thing, in its category, at a price not far from its own. Itself is not among
/// them. None where nothing is like it.
#[utoipa::path(get, path = "/v1/products/{id}/similar", tag = "shop",
    params(
        ("id" = String, Path, description = "prod_… or key=MERCHANT-KEY"),
        ("filter" = Option<Vec<String>>, Query, description = "Conditions, all of which must hold, as in a search"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
    ),
    responses((status = 200, body = search::SimilarProducts), (status = 404, body = dto::Problem, content_type = "application/problem+json"),
        (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn similar(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Reply, Problem> {
    let product = reference::product(&id)?;
    let (filters, limit) = search_query::parse_similar(caller.raw_query.as_deref())?;
    let answer = caller.ask(&app, caller.public(), Op::SimilarProducts { product, filters, limit }).await?;
    let Body::SimilarProducts(hits) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&search::SimilarProducts::from(hits)).public("search"))
}

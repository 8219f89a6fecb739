//! The route table: every path with its methods, in one list that the router is built from and that tests compare with the OpenAPI
//! document.

pub(crate) mod admin;
pub(crate) mod carts;
pub(crate) mod catalog;
pub(crate) mod docs;
pub(crate) mod feed;
pub(crate) mod import;
pub(crate) mod orders;
pub(crate) mod search;
pub(crate) mod search_query;
pub(crate) mod search_settings;
pub(crate) mod service;
pub(crate) mod snapshots;
pub(crate) mod stock;
pub(crate) mod warehouse;

use crate::{
    App,
    http::{caller::Answer, problem::Problem},
    pages,
};
use axum::{
    Router,
    routing::{MethodRouter, delete, get, patch, post, put},
};
use std::{any::Any, sync::Arc, sync::atomic::Ordering};
use tower_http::catch_panic::CatchPanicLayer;

/// A path, its methods in the order of the router, and the handlers.
pub(crate) type Row = (&'static str, &'static [&'static str], MethodRouter<Arc<App>>);

/// All routes but the pages.
pub(crate) fn table() -> Vec<Row> {
    vec![
        ("/v1/products/{id}", &["GET"], get(catalog::get_product)),
        ("/v1/products/{id}/similar", &["GET"], get(search::similar)),
        ("/v1/categories", &["GET"], get(catalog::list_categories)),
        ("/v1/categories/{id}", &["GET"], get(catalog::get_category)),
        ("/v1/search", &["GET"], get(search::search)),
        ("/v1/suggest", &["GET"], get(search::suggest)),
        ("/v1/stock", &["GET"], get(stock::list_availability)),
        ("/v1/carts", &["POST"], post(carts::create_cart)),
        ("/v1/carts/{id}", &["GET"], get(carts::get_cart)),
        ("/v1/carts/{id}/lines", &["POST"], post(carts::add_line)),
        ("/v1/carts/{id}/lines/{line}", &["PATCH", "DELETE"], patch(carts::set_line).merge(delete(carts::remove_line))),
        ("/v1/carts/{id}/address", &["PUT"], put(carts::set_address)),
        ("/v1/carts/{id}/shipping-options", &["GET"], get(carts::shipping_options)),
        ("/v1/carts/{id}/checkout", &["POST"], post(orders::checkout)),
        ("/v1/orders/{id}", &["GET"], get(orders::get_order)),
        ("/v1/orders/{id}/payment-action", &["POST"], post(orders::payment_action)),
        ("/v1/orders/{id}/cancel", &["POST"], post(orders::cancel_order)),
        ("/v1/admin/import", &["POST"], post(import::import)),
        (
            "/v1/admin/products/{id}",
            &["PUT", "PATCH", "DELETE"],
            put(admin::put_product).patch(admin::patch_product).delete(admin::delete_product),
        ),
        ("/v1/admin/categories/{id}", &["PUT"], put(admin::put_category)),
        ("/v1/admin/synonyms", &["GET"], get(search_settings::list_synonyms)),
        (
            "/v1/admin/synonyms/{key}",
            &["GET", "PUT", "DELETE"],
            get(search_settings::get_synonyms).put(search_settings::put_synonyms).delete(search_settings::delete_synonyms),
        ),
        ("/v1/admin/search-rules", &["GET"], get(search_settings::list_search_rules)),
        (
            "/v1/admin/search-rules/{key}",
            &["GET", "PUT", "DELETE"],
            get(search_settings::get_search_rule).put(search_settings::put_search_rule).delete(search_settings::delete_search_rule),
        ),
        ("/v1/admin/search-ranking", &["GET", "PUT"], get(search_settings::get_ranking).put(search_settings::put_ranking)),
        ("/v1/admin/search-queries", &["GET"], get(search_settings::list_queries)),
        ("/v1/admin/stock/adjust", &["POST"], post(stock::adjust_stock)),
        ("/v1/admin/stock/{sku}", &["GET"], get(stock::get_stock)),
        ("/v1/admin/stock/{sku}/policies/{location}", &["PUT"], put(warehouse::set_policy)),
        ("/v1/admin/stock/{sku}/purchase-limit", &["PUT"], put(warehouse::set_purchase_limit)),
        ("/v1/admin/stock/unavailable", &["POST"], post(warehouse::move_apart)),
        ("/v1/admin/stock/announcements", &["POST"], post(warehouse::announce)),
        ("/v1/admin/stock/announcements/{id}/withdraw", &["POST"], post(warehouse::withdraw)),
        ("/v1/admin/stock/deliveries", &["POST"], post(warehouse::receive)),
        ("/v1/admin/stock/transfers", &["POST"], post(warehouse::send)),
        ("/v1/admin/stock/transfers/{id}/arrive", &["POST"], post(warehouse::arrive)),
        ("/v1/admin/stock/transfers/{id}/recall", &["POST"], post(warehouse::recall)),
        ("/v1/admin/stock/history", &["GET"], get(warehouse::history)),
        ("/v1/admin/stock/events", &["GET"], get(warehouse::events)),
        ("/v1/admin/stock/check", &["POST"], post(warehouse::check)),
        ("/v1/admin/orders", &["GET"], get(orders::list_orders)),
        ("/v1/admin/feed", &["GET"], get(feed::feed)),
        ("/v1/admin/snapshots", &["GET", "POST"], get(snapshots::report).merge(post(snapshots::take))),
        ("/livez", &["GET"], get(service::livez)),
        ("/readyz", &["GET"], get(service::readyz)),
        ("/openapi.json", &["GET"], get(service::openapi)),
        ("/docs", &["GET"], get(docs::docs)),
    ]
}

/// The one service behind all protocols. Panics become problems.
pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = table().into_iter().fold(Router::new(), |router, (path, _, methods)| router.route(path, methods));
    let counted = Arc::clone(&app);
    let caught = move |panic: Box<dyn Any + Send>| {
        counted.metrics.panics.fetch_add(1, Ordering::Relaxed);
        let why = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
        axum::response::IntoResponse::into_response(Problem::fault(format_args!("a handler panicked: {}", why.unwrap_or_default())))
    };
    routes.merge(pages::router()).layer(CatchPanicLayer::custom(caught)).with_state(app)
}

/// The engine answered something else than was asked: a fault of ours.
pub(crate) fn unexpected(answer: &Answer) -> Problem {
    let kind = format!("{:?}", answer.body);
    Problem::fault(format_args!("the engine answered another kind of body: {}", kind.split(['(', ' ']).next().unwrap_or("")))
}

//! The OpenAPI document, made from the handlers' own annotations and the DTOs' types.

use crate::{dto, routes};
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Emporion", version = "1", description = "The shop's HTTP contract. Errors are problem documents (RFC 9457); money is in minor units; \
        every POST takes an Idempotency-Key; every answer has a Request-Id, and after a write a Log-Position that a read may send back as At-Least."),
    paths(
        routes::catalog::get_product,
        routes::catalog::list_categories,
        routes::catalog::get_category,
        routes::search::search,
        routes::search::suggest,
        routes::search::similar,
        routes::stock::list_availability,
        routes::carts::create_cart,
        routes::carts::get_cart,
        routes::carts::add_line,
        routes::carts::set_line,
        routes::carts::remove_line,
        routes::carts::set_address,
        routes::carts::shipping_options,
        routes::orders::checkout,
        routes::orders::get_order,
        routes::orders::payment_action,
        routes::orders::cancel_order,
        routes::import::import,
        routes::admin::put_product,
        routes::admin::patch_product,
        routes::admin::delete_product,
        routes::admin::put_category,
        routes::search_settings::list_synonyms,
        routes::search_settings::get_synonyms,
        routes::search_settings::put_synonyms,
        routes::search_settings::delete_synonyms,
        routes::search_settings::list_search_rules,
        routes::search_settings::get_search_rule,
        routes::search_settings::put_search_rule,
        routes::search_settings::delete_search_rule,
        routes::search_settings::get_ranking,
        routes::search_settings::put_ranking,
        routes::search_settings::list_queries,
        routes::stock::adjust_stock,
        routes::stock::get_stock,
        routes::warehouse::set_policy,
        routes::warehouse::set_purchase_limit,
        routes::warehouse::move_apart,
        routes::warehouse::announce,
        routes::warehouse::withdraw,
        routes::warehouse::receive,
        routes::warehouse::send,
        routes::warehouse::arrive,
        routes::warehouse::recall,
        routes::warehouse::history,
        routes::warehouse::events,
        routes::warehouse::check,
        routes::orders::list_orders,
        routes::feed::feed,
        routes::snapshots::report,
        routes::snapshots::take,
        routes::service::livez,
        routes::service::readyz,
        routes::service::openapi,
        routes::docs::docs,
    ),
    components(schemas(dto::Problem, dto::ProblemEntry, dto::import::SummaryLine)),
    modifiers(&Security),
    tags((name = "shop", description = "For shoppers"), (name = "admin", description = "For staff"), (name = "service", description = "The service itself"))
)]
struct Contract;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        if let Some(components) = &mut document.components {
            let cart = ApiKey::Header(ApiKeyValue::with_description("Cart-Token", "The `cart_token` of `POST /v1/carts`."));
            components.add_security_scheme("cart", SecurityScheme::ApiKey(cart));
            let staff = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
            components.add_security_scheme("staff", SecurityScheme::Http(staff));
        }
    }
}

/// The OpenAPI 3.1 document of the HTTP contract, as `/openapi.json` serves it. Made once.
#[must_use]
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(Contract::openapi()).unwrap_or_default());
    &DOCUMENT
}

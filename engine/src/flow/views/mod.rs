//! Between stored state and what is sent: products, carts and orders as seen, and inputs as stored.
//!
//! Two vocabularies on purpose: `record::v1` is frozen, `wire` may grow. Every conversion is a full match, so a new variant stops here.

mod catalog;
mod facets;
mod order;
mod search;
mod search_settings;
mod shown;

#[cfg(test)]
pub(crate) use catalog::tests::product as test_product;
pub(crate) use catalog::{columns, document, product, search_hit, stamp, stored_product};
pub(crate) use facets::{category_counts, distinct_facets, facet};
pub(crate) use order::{cart, order, stored_address};
pub(crate) use search::{index_settings, indexed_filter, query, query_refusal, score_part};
pub(crate) use search_settings::{indexed_trait, preferences, search_setting, stored_kind, stored_ranking, stored_trait};
pub(crate) use shown::Wanted;

use wire::{Currency, Money};

/// The price in a currency.
pub(crate) fn price_in(prices: &[Money], currency: Currency) -> Option<Money> {
    prices.iter().copied().find(|price| price.currency == currency)
}

//! Settings of the search between `wire`, the log and the index.

use super::search::indexed_filter;
use crate::domain::category::CategoryTree;
use crate::record::v1::search as v1;
use wire::{
    Banner, Boost, FieldError, Filter, Pin, ProductRef, QueryPattern, Ranking, Refusal, SearchRule, SearchSetting, SearchSettingKind,
    Synonyms, limits,
};

// What may be set is what the index takes.
const _: () = assert!(limits::BOOST_PERCENT_MAX == search_index::BOOST_PERCENT_MAX);
const _: () = assert!(limits::BOOST_PERCENT_MAX.unsigned_abs() == search_index::SIGNAL_PERCENT_MAX);
const _: () = assert!(limits::PROXIMITY_PERCENT_MAX == search_index::PROXIMITY_PERCENT_MAX);

pub(crate) fn stored_kind(kind: SearchSettingKind) -> v1::SearchSettingKind {
    match kind {
        SearchSettingKind::Synonyms => v1::SearchSettingKind::Synonyms,
        SearchSettingKind::Rule => v1::SearchSettingKind::Rule,
        SearchSettingKind::Ranking => v1::SearchSettingKind::Ranking,
    }
}

/// What a filter looks for; none where that changes with every sale.
pub(crate) fn stored_trait(filter: Filter) -> Option<v1::Trait> {
    Some(match filter {
        Filter::Brand(names) => v1::Trait::Brand(names),
        Filter::Category(names) => v1::Trait::Category(names),
        Filter::Price { min, max } => v1::Trait::Price { min, max },
        Filter::Rating { min, max } => v1::Trait::Rating { min, max },
        Filter::Attribute { name, values } => v1::Trait::Attribute { name, values },
        Filter::AttributeRange { name, min, max } => v1::Trait::AttributeRange { name, min, max },
        Filter::InStock(_) => return None,
    })
}

fn filter(of: &v1::Trait) -> Filter {
    match of.clone() {
        v1::Trait::Brand(names) => Filter::Brand(names),
        v1::Trait::Category(names) => Filter::Category(names),
        v1::Trait::Price { min, max } => Filter::Price { min, max },
        v1::Trait::Rating { min, max } => Filter::Rating { min, max },
        v1::Trait::Attribute { name, values } => Filter::Attribute { name, values },
        v1::Trait::AttributeRange { name, min, max } => Filter::AttributeRange { name, min, max },
    }
}

/// What a shopper is likely to want, as rules have it.
///
/// # Errors
/// More than the bound, or what is no trait of a product.
pub(crate) fn preferences(preferences: Vec<Boost>) -> Result<Vec<v1::Boost>, Refusal> {
    if preferences.len() > limits::PREFERENCES_MAX {
        return Err(Refusal::LimitReached { what: "preferences".to_owned(), max: limits::PREFERENCES_MAX as u64 });
    }
    let stored = |boost: Boost| {
        let max = limits::BOOST_PERCENT_MAX;
        stored_trait(boost.filter).map(|of| v1::Boost { of, percent: boost.percent.clamp(-max, max) }).ok_or_else(|| {
            let detail = "a filter that does not change with every sale".to_owned();
            Refusal::Invalid(vec![FieldError { pointer: "/prefer".to_owned(), code: "bad_filter".to_owned(), detail }])
        })
    };
    preferences.into_iter().map(stored).collect()
}

/// For the index.
pub(crate) fn indexed_trait(of: &v1::Trait, tree: &CategoryTree) -> search_index::Filter {
    indexed_filter(filter(of), tree)
}

/// As it is shown.
pub(crate) fn search_setting(setting: &v1::SearchSetting) -> SearchSetting {
    match setting {
        v1::SearchSetting::Synonyms(v1::Synonyms { typed, found }) => {
            SearchSetting::Synonyms(Synonyms { typed: typed.clone(), found: found.clone() })
        }
        v1::SearchSetting::Rule(rule) => SearchSetting::Rule(Box::new(search_rule(rule))),
        v1::SearchSetting::Ranking(others) => SearchSetting::Ranking(ranking(*others, 0, 0)),
        v1::SearchSetting::WiderRanking(v1::WiderRanking { others, margin, proximity }) => {
            SearchSetting::Ranking(ranking(*others, *margin, *proximity))
        }
    }
}

/// As it is shown.
fn ranking(v1::Ranking { popularity, rating, in_stock }: v1::Ranking, margin: u16, proximity: u16) -> Ranking {
    Ranking { popularity, rating, in_stock, margin, proximity }
}

/// As it is stored: one setting, one form.
pub(crate) fn stored_ranking(Ranking { popularity, rating, in_stock, margin, proximity }: Ranking) -> v1::SearchSetting {
    let others = v1::Ranking { popularity, rating, in_stock };
    match (margin, proximity) {
        (0, 0) => v1::SearchSetting::Ranking(others),
        (margin, proximity) => v1::SearchSetting::WiderRanking(v1::WiderRanking { others, margin, proximity }),
    }
}

fn search_rule(rule: &v1::SearchRule) -> SearchRule {
    let pattern = |query: &v1::QueryPattern| match query.clone() {
        v1::QueryPattern::Is(text) => QueryPattern::Is(text),
        v1::QueryPattern::Contains(text) => QueryPattern::Contains(text),
    };
    SearchRule {
        queries: rule.queries.iter().map(pattern).collect(),
        pins: rule.pins.iter().map(|pin| Pin { place: pin.place, product: ProductRef::Id(pin.product) }).collect(),
        hidden: rule.hidden.iter().copied().map(ProductRef::Id).collect(),
        boosts: rule.boosts.iter().map(|boost| Boost { filter: filter(&boost.of), percent: boost.percent }).collect(),
        redirect: rule.redirect.clone(),
        banner: rule.banner.clone().map(|v1::Banner { text, url }| Banner { text, url }),
        from: rule.from,
        until: rule.until,
        enabled: rule.enabled,
    }
}

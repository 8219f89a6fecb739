//! Facets between `wire` and the index.
//!
//! Path: `wire` query → [`distinct_facets`], one of each name → [`facet_requests`], with the ways to selected categories and the names of categories, which the index
//! does not know → the index's counts → [`facet`].

use super::search::bad_query;
use crate::domain::category::CategoryTree;
use search_index::{
    CategoryNode, ColumnStats, FacetCounts, FacetField, FacetKey, FacetQuery, FacetRequest, Filter, NumberStats, QueryError,
};
use wire::{Facet, FacetCategory, FacetResult, FacetStats, FacetValue, Refusal, SearchQuery, limits};

/// Values answered for one facet; of a tree, for each category.
const FACET_VALUES: u16 = 100;

/// Facets whose values are looked for are counted too, and of several with one name the last.
pub(crate) fn distinct_facets(query: &mut SearchQuery) {
    let SearchQuery { facets, facet_queries, .. } = query;
    for asked in facet_queries {
        if !facets.contains(&asked.facet) {
            facets.push(asked.facet.clone());
        }
    }
    let names: Vec<String> = facets.iter().map(Facet::name).collect();
    let mut place = 0;
    facets.retain(|_| {
        place += 1;
        !names[place..].contains(&names[place - 1])
    });
}

/// What to ask the index for. `filters` are the query's, with keys for categories.
///
/// # Errors
/// More facets to look in than the bound, or more text than any value has.
pub(super) fn facet_requests(
    facets: &[Facet],
    queries: &[wire::FacetQuery],
    filters: &[Filter],
    tree: &CategoryTree,
) -> Result<Vec<FacetRequest>, Refusal> {
    if queries.len() > limits::FACET_QUERIES_MAX {
        return Err(Refusal::LimitReached { what: "facet queries".to_owned(), max: limits::FACET_QUERIES_MAX as u64 });
    }
    let request = |facet: &Facet| {
        let typed = queries.iter().find(|query| query.facet == *facet);
        let query = typed.map(|typed| values_wanted(typed, tree)).transpose();
        Ok(FacetRequest { query: query?, ..FacetRequest::new(field(facet, filters, tree), FACET_VALUES) })
    };
    let requests: Result<Vec<FacetRequest>, QueryError> = facets.iter().map(request).collect();
    requests.map_err(|error| bad_query("/facet_query", error.to_string()))
}

fn values_wanted(typed: &wire::FacetQuery, tree: &CategoryTree) -> Result<FacetQuery, QueryError> {
    let query = FacetQuery::new(&typed.text)?;
    if typed.facet != Facet::Category {
        return Ok(query);
    }
    // The index knows keys, a shopper names.
    let named: Vec<String> = tree.iter().filter(|category| query.begins(&category.name)).map(|category| category.key.to_string()).collect();
    query.or_keys(named)
}

fn field(facet: &Facet, filters: &[Filter], tree: &CategoryTree) -> FacetField {
    match facet {
        Facet::Brand => FacetField::Brand,
        Facet::Category => FacetField::Category,
        Facet::CategoryTree(levels) => {
            let selected = filters.iter().filter_map(|filter| if let Filter::Category(keys) = filter { Some(keys) } else { None });
            let path = |key: &String| {
                let category = tree.by_key(key)?;
                Some(tree.path(category.id).into_iter().map(|above| above.key.to_string()).collect())
            };
            let paths = selected.flatten().filter_map(path).take(limits::FILTER_VALUES_MAX).collect();
            FacetField::CategoryTree { levels: *levels, paths }
        }
        Facet::Price => FacetField::Price,
        Facet::PriceHistogram(buckets) => FacetField::PriceHistogram { buckets: *buckets },
        Facet::Rating => FacetField::Rating,
        Facet::InStock => FacetField::InStock,
        Facet::Attribute(name) => FacetField::Attribute(name.clone()),
        Facet::AttributeHistogram { name, buckets } => FacetField::AttributeHistogram { name: name.clone(), buckets: *buckets },
    }
}

/// A facet as answered.
pub(crate) fn facet(name: String, facet: &search_index::Facet, tree: &CategoryTree) -> FacetResult {
    let plain = |value: String, count, selected| FacetValue { value, count, selected, category: None };
    let (values, stats) = match &facet.counts {
        FacetCounts::Values(values) => {
            let of_categories = facet.field == FacetField::Category;
            let shown = |value: &search_index::FacetValue| {
                let text = key(&value.value);
                let category = if of_categories { Some(category(&text, None, tree)) } else { None };
                FacetValue { category, ..plain(text, value.count, value.selected) }
            };
            (values.iter().map(shown).collect(), facet.numbers.as_ref().map(number_stats))
        }
        FacetCounts::Categories(nodes) => {
            let shown = |node: &CategoryNode| {
                let text = node.key().to_string();
                FacetValue { category: Some(category(&text, Some(node), tree)), ..plain(text, node.count, node.selected) }
            };
            (nodes.iter().map(shown).collect(), None)
        }
        FacetCounts::Range(range) => (Vec::new(), range.as_ref().map(|stats| column_stats(stats, 1.0))),
        FacetCounts::Histogram { step, stats, buckets } => {
            let shown = |bucket: &search_index::PriceBucket| {
                let end = i128::from(bucket.from) + i128::from(*step) - 1;
                plain(format!("{}..{end}", bucket.from), bucket.count, false)
            };
            (buckets.iter().map(shown).collect(), stats.as_ref().map(|stats| column_stats(stats, 1.0)))
        }
        FacetCounts::Ratings { stats, buckets } => {
            let shown = |bucket: &search_index::RatingBucket| plain(format!("{}..", bucket.from / 100), bucket.count, bucket.selected);
            (buckets.iter().map(shown).collect(), stats.as_ref().map(|stats| column_stats(stats, 100.0)))
        }
        FacetCounts::NumberHistogram(buckets) => {
            let shown = |bucket: &search_index::NumberBucket| plain(format!("{}..{}", bucket.from, bucket.to), bucket.count, false);
            (buckets.iter().map(shown).collect(), facet.numbers.as_ref().map(number_stats))
        }
    };
    FacetResult { name, values, stats }
}

/// Where a category stands: by the index if it says, else by the shop's tree.
fn category(key: &str, node: Option<&CategoryNode>, tree: &CategoryTree) -> FacetCategory {
    let category = tree.by_key(key);
    let name = category.map(|category| category.name.to_string());
    match node {
        Some(node) => {
            let parent = node.path.len().checked_sub(2).map(|above| node.path[above].to_string());
            FacetCategory { name, parent, level: node.path.len() as u16 }
        }
        None => {
            let parent = category.and_then(|category| tree.get(category.parent?)).map(|parent| parent.key.to_string());
            FacetCategory { name, parent, level: category.map_or(1, |category| category.depth as u16) }
        }
    }
}

/// A column of so many parts of a unit.
fn column_stats(stats: &ColumnStats, parts: f64) -> FacetStats {
    FacetStats { min: stats.min as f64 / parts, max: stats.max as f64 / parts, avg: stats.avg() as f64 / parts }
}

fn number_stats(stats: &NumberStats) -> FacetStats {
    FacetStats { min: stats.min, max: stats.max, avg: stats.avg }
}

fn key(key: &FacetKey) -> String {
    match key {
        FacetKey::Bool(flag) => flag.to_string(),
        FacetKey::Number(number) => number.to_string(),
        FacetKey::Text(text) => text.to_string(),
    }
}

/// Active products by category key, ancestors included.
pub(crate) fn category_counts(index: &search_index::Index) -> Result<Vec<(String, u64)>, QueryError> {
    let query = search_index::Query {
        facets: vec![FacetRequest::new(FacetField::Category, search_index::FACET_LIMIT_MAX)],
        limit: 1,
        // Sets are counted whole words at a time, and what is counted must be all.
        budget: search_index::Units::UNLIMITED,
        ..search_index::Query::default()
    };
    // A part's facets are complete: the limit is applied when parts are merged.
    let part = index.search_part(&query, None)?;
    let mut counts = Vec::new();
    for facet in &part.facets_all_terms {
        if let FacetCounts::Values(values) = &facet.counts {
            counts.extend(values.iter().map(|value| (key(&value.value), value.count)));
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: facets, facets whose values are looked for, and what is answered.
    fn of_facets_of_one_name_the_last_is_answered() {
        let histogram = || Facet::AttributeHistogram { name: "size".to_owned(), buckets: 5 };
        let size = || Facet::Attribute("size".to_owned());
        for (facets, looked_in, wanted) in [
            (vec![Facet::Brand, Facet::Price], vec![], vec![Facet::Brand, Facet::Price]),
            (vec![Facet::Price, Facet::Brand, Facet::PriceHistogram(5)], vec![], vec![Facet::Brand, Facet::PriceHistogram(5)]),
            (vec![Facet::Brand, Facet::Brand], vec![Facet::Brand], vec![Facet::Brand]),
            (vec![Facet::Rating], vec![Facet::Brand], vec![Facet::Rating, Facet::Brand]),
            (vec![Facet::CategoryTree(2), histogram()], vec![Facet::Category, size()], vec![Facet::Category, size()]),
        ] {
            let facet_queries = looked_in.into_iter().map(|facet| wire::FacetQuery { facet, text: "a".to_owned() }).collect();
            let mut query = SearchQuery { facets, facet_queries, ..SearchQuery::default() };
            distinct_facets(&mut query);
            assert_eq!(query.facets, wanted);
        }
    }
}

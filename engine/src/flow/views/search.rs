//! Queries and facets between `wire` and the index.

use crate::domain::category::CategoryTree;
use search_index::{FacetCounts, FacetField, FacetKey, FacetRequest, FilterValue, QueryError, ScoreOf};
use wire::{Facet, FacetResult, FacetStats, FacetValue, Failure, FieldError, Filter, Refusal, SearchQuery, Sort};

/// Values answered for one facet.
const FACET_VALUES: u16 = 100;

/// Settings of the shop's index.
pub(crate) fn index_settings(language: search_index::Language) -> search_index::Settings {
    search_index::Settings { language, ..search_index::Settings::default() }
}

/// The query for the index. Categories may be named by id; the index knows their keys.
pub(crate) fn query(query: SearchQuery, tree: &CategoryTree) -> Result<search_index::Query, Refusal> {
    let SearchQuery { text, filters, facets, sort, limit, after, total, highlight: _, exact, explain, preferences: _ } = query;
    let after = match after {
        Some(bytes) => Some(search_index::Cursor::decode(&bytes).map_err(|_| Refusal::BadCursor)?),
        None => None,
    };
    Ok(search_index::Query {
        text: Some(text).filter(|text| !text.trim().is_empty()),
        fields: Some(Vec::new()),
        matching: search_index::Matching::AllThenAny,
        prefix: false,
        typos: !exact,
        known: search_index::Words::default(),
        did_you_mean: true,
        synonyms: std::sync::Arc::default(),
        pins: Vec::new(),
        hidden: Vec::new(),
        boosts: Vec::new(),
        signals: search_index::Signals::default(),
        filters: filters.into_iter().map(|filter| indexed_filter(filter, tree)).collect(),
        facets: facets.iter().map(|facet| FacetRequest { field: field(facet), limit: FACET_VALUES }).collect(),
        sort: match sort {
            Sort::Relevance => search_index::Sort::Relevance,
            Sort::Price => search_index::Sort::Price,
            Sort::PriceDescending => search_index::Sort::PriceDesc,
            Sort::Rating => search_index::Sort::Rating,
            Sort::Newest => search_index::Sort::Newest,
            Sort::Popularity => search_index::Sort::Popularity,
        },
        limit: usize::from(limit),
        after,
        total,
        explain,
        budget: search_index::BUDGET,
    })
}

pub(crate) fn indexed_filter(filter: Filter, tree: &CategoryTree) -> search_index::Filter {
    let key_of = |name: String| {
        let by_id = name.parse().ok().and_then(|id| tree.get(id)).map(|category| category.key.to_string());
        by_id.unwrap_or(name)
    };
    match filter {
        Filter::Brand(names) => search_index::Filter::Brand(names),
        Filter::Category(names) => search_index::Filter::Category(names.into_iter().map(key_of).collect()),
        Filter::Price { min, max } => search_index::Filter::Price { min, max },
        Filter::Rating { min, max } => search_index::Filter::Rating { min, max },
        Filter::InStock(wanted) => search_index::Filter::InStock(wanted),
        Filter::Attribute { name, values } => {
            // In text form a number and a word look alike: either is meant.
            let any_of = values.into_iter().flat_map(|value| {
                let number = value.parse::<f64>().ok().filter(|number| number.is_finite()).map(FilterValue::Number);
                let flag = value.parse::<bool>().ok().map(FilterValue::Bool);
                [Some(FilterValue::Text(value)), number, flag]
            });
            search_index::Filter::Attribute { name, any_of: any_of.flatten().collect() }
        }
        Filter::AttributeRange { name, min, max } => search_index::Filter::AttributeRange { name, min, max },
    }
}

fn field(facet: &Facet) -> FacetField {
    match facet {
        Facet::Brand => FacetField::Brand,
        Facet::Category => FacetField::Category,
        Facet::Price => FacetField::Price,
        Facet::PriceHistogram(buckets) => FacetField::PriceHistogram { buckets: *buckets },
        Facet::InStock => FacetField::InStock,
        Facet::Attribute(name) => FacetField::Attribute(name.clone()),
    }
}

/// What a score is made of, as answered.
pub(crate) fn score_part(part: &search_index::ScorePart) -> wire::ScorePart {
    let (what, detail) = match &part.what {
        ScoreOf::Word { typed, found: None } => ("word", Some(typed.clone())),
        ScoreOf::Word { typed, found: Some(found) } => ("word", Some(format!("{typed}, found as {found}"))),
        ScoreOf::TitleAsTyped { word } => ("title_as_typed", Some(word.clone())),
        ScoreOf::About { word } => ("about", Some(word.clone())),
        ScoreOf::StopWord { word } => ("stop_word", Some(word.clone())),
        ScoreOf::Category { name } => ("category", Some(name.clone())),
        ScoreOf::ProductType { name } => ("product_type", Some(name.clone())),
        ScoreOf::Boost { nth } => ("boost", Some((nth + 1).to_string())),
        ScoreOf::Popularity => ("popularity", None),
        ScoreOf::Rating => ("rating", None),
        ScoreOf::InStock => ("in_stock", None),
        // The index may come to know more.
        _ => ("other", None),
    };
    wire::ScorePart { what: what.to_owned(), detail, score: part.score }
}

/// The name a facet is answered under.
pub(crate) fn facet_name(facet: &Facet) -> String {
    match facet {
        Facet::Brand => "brand".to_owned(),
        Facet::Category => "category".to_owned(),
        Facet::Price | Facet::PriceHistogram(_) => "price".to_owned(),
        Facet::InStock => "in_stock".to_owned(),
        Facet::Attribute(name) => format!("attr.{name}"),
    }
}

/// A facet as answered.
pub(crate) fn facet(name: String, facet: &search_index::Facet) -> FacetResult {
    let stats = |stats: &search_index::PriceStats| FacetStats { min: stats.min as f64, max: stats.max as f64 };
    match &facet.counts {
        FacetCounts::Values(values) => {
            let shown =
                |value: &search_index::FacetValue| FacetValue { value: key(&value.value), count: value.count, selected: value.selected };
            FacetResult { name, values: values.iter().map(shown).collect(), stats: None }
        }
        FacetCounts::Range(range) => FacetResult { name, values: Vec::new(), stats: range.as_ref().map(stats) },
        FacetCounts::Histogram { step, stats: range, buckets } => {
            let shown = |bucket: &search_index::PriceBucket| {
                let end = i128::from(bucket.from) + i128::from(*step) - 1;
                FacetValue { value: format!("{}..{end}", bucket.from), count: bucket.count, selected: false }
            };
            FacetResult { name, values: buckets.iter().map(shown).collect(), stats: range.as_ref().map(stats) }
        }
    }
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
        facets: vec![FacetRequest { field: FacetField::Category, limit: search_index::FACET_LIMIT_MAX }],
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

/// Why the index would not take a query, for whoever wrote it.
pub(crate) fn query_refusal(error: &QueryError) -> Failure {
    Failure::Refused(match error {
        QueryError::ForeignCursor => Refusal::BadCursor,
        other => Refusal::Invalid(vec![FieldError { pointer: String::new(), code: "bad_query".to_owned(), detail: other.to_string() }]),
    })
}

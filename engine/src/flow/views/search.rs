//! Queries between `wire` and the index.

use super::facets::facet_requests;
use crate::domain::category::CategoryTree;
use search_index::{FilterValue, QueryError, ScoreOf};
use wire::{Failure, FieldError, Filter, Refusal, SearchQuery, Sort};

/// Settings of the shop's index.
pub(crate) fn index_settings(language: search_index::Language) -> search_index::Settings {
    search_index::Settings { language, ..search_index::Settings::default() }
}

/// The query for the index, from a place on. Categories may be named by id; the index knows their keys.
pub(crate) fn query(query: SearchQuery, after: Option<search_index::Cursor>, tree: &CategoryTree) -> Result<search_index::Query, Refusal> {
    let SearchQuery { text, filters, facets, sort, limit, after: _, total, highlight: _, exact, explain, preferences: _, facet_queries } =
        query;
    let filters: Vec<search_index::Filter> = filters.into_iter().map(|filter| indexed_filter(filter, tree)).collect();
    Ok(search_index::Query {
        facets: facet_requests(&facets, &facet_queries, &filters, tree)?,
        text: Some(text).filter(|text| !text.trim().is_empty()),
        fields: Some(Vec::new()),
        matching: search_index::Matching::AllThenAny,
        prefix: false,
        typos: !exact,
        elsewhere: search_index::Elsewhere::default(),
        statistics: None,
        did_you_mean: true,
        synonyms: std::sync::Arc::default(),
        pins: Vec::new(),
        hidden: Vec::new(),
        boosts: Vec::new(),
        proximity: 0,
        signals: search_index::Signals::default(),
        filters,
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
        ScoreOf::SideBySide { words } => ("side_by_side", Some(words.join(" "))),
        ScoreOf::Boost { nth } => ("boost", Some((nth + 1).to_string())),
        ScoreOf::Popularity => ("popularity", None),
        ScoreOf::Rating => ("rating", None),
        ScoreOf::InStock => ("in_stock", None),
        ScoreOf::Margin => ("margin", None),
        // The index may come to know more.
        _ => ("other", None),
    };
    wire::ScorePart { what: what.to_owned(), detail, score: part.score }
}

/// Why the index would not take a query, for whoever wrote it.
pub(crate) fn query_refusal(error: &QueryError) -> Failure {
    Failure::Refused(match error {
        QueryError::ForeignCursor => Refusal::BadCursor,
        other => bad_query("", other.to_string()),
    })
}

pub(super) fn bad_query(pointer: &str, detail: String) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), code: "bad_query".to_owned(), detail }])
}

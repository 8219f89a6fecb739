//! What a search found, and ideas while typing. The query's own grammar is in `routes::search_query`.

use super::{Members, Money, Shown, search_setting::Banner};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{ProductId, SkuId};

/// A product found.
#[derive(Debug, Serialize, ToSchema)]
pub struct HitProduct {
    /// `prod_…`
    #[schema(value_type = String)]
    id: Shown<ProductId>,
    /// The merchant's key.
    key: String,
    /// Name.
    title: String,
    /// Maker.
    brand: Option<String>,
    /// Key of its category.
    category: Option<String>,
    /// Of the variant shown.
    price: Option<Money>,
    /// First picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// Can some variant be had?
    in_stock: bool,
}

/// A hit.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hit {
    /// The product.
    product: HitProduct,
    /// `sku_…`, the variant shown: the one that meets most of the filters, has most of the words among its options, and can be had.
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// How well it matches, margins aside unless the caller writes products; comparable within one answer.
    score: f32,
    /// If asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Highlight>,
    /// Present, and true, where a rule put it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pinned: bool,
    /// What the score is made of, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<ScorePart>>,
}

/// A part of a score; the parts add up to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScorePart {
    /// What for: `word`, `title_as_typed`, `about`, `stop_word`, `category`, `product_type`, `side_by_side`, `boost`, `popularity`, `rating`, `in_stock`, or `margin`, which
    /// those who write products alone are told.
    #[schema(example = "word")]
    what: String,
    /// More about it: which word, found by which other, or which category.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How much of the score.
    score: f32,
}

/// A hit's texts as HTML, with `<em>` around the words found; everything else is escaped.
#[derive(Debug, Serialize, ToSchema)]
pub struct Highlight {
    /// The whole title.
    title: String,
    /// The part of the description that shows most of the words, some 240 bytes; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// A value of a facet.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetValue {
    /// In text form.
    value: String,
    /// Hits that have it.
    count: u64,
    /// Does a filter of the query name it?
    selected: bool,
    /// Of a category: name shown to shoppers.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of a category: key of the one that it is in; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// Of a category: 1 at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u16>,
}

impl From<wire::FacetValue> for FacetValue {
    fn from(of: wire::FacetValue) -> Self {
        let (name, parent, level) = of.category.map_or((None, None, None), |it| (it.name, it.parent, Some(it.level)));
        Self { value: of.value, count: of.count, selected: of.selected, name, parent, level }
    }
}

/// Of a number facet, in its own unit.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetStats {
    /// Least.
    min: f64,
    /// Most.
    max: f64,
    /// Average: of prices rounded to whole minor units, of ratings to hundredths of a star, halves up.
    avg: f64,
}

/// A facet counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Facet {
    /// Most frequent first; of `category:tree` each before those in it, and those of one category the most frequent first; of a histogram ascending; of `rating`
    /// the best first.
    values: Vec<FacetValue>,
    /// Of price, rating, and attributes that have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<FacetStats>,
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchPage {
    /// In order.
    items: Vec<Hit>,
    /// By name.
    #[schema(value_type = Object)]
    facets: Members<Facet>,
    /// Exact, if asked for; of a partial answer, of what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// True when some hits lack a word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    relaxed: bool,
    /// True when the search took too much work, or part of the catalog did not answer in time: there may be more hits, and better ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What was typed, with words that no product has spelt as products spell what is nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
    /// Where a rule sends the shopper instead: a path of the shop, or an https address.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<String>,
    /// What a rule shows above the hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    banner: Option<Banner>,
    /// Cursor of the next page; null on the last.
    pub next: Option<String>,
    /// Time in the engine, microseconds.
    took_us: u64,
}

/// Products like one, the likest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarProducts {
    items: Vec<Hit>,
    /// Always null: this list has one page.
    #[schema(value_type = Option<String>)]
    next: (),
}

impl From<Vec<wire::SearchHit>> for SimilarProducts {
    fn from(hits: Vec<wire::SearchHit>) -> Self {
        Self { items: hits.into_iter().map(Into::into).collect(), next: () }
    }
}

/// A cursor as the engine made it, fit for a query string.
#[must_use]
pub fn cursor(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Undoes [`cursor`].
#[must_use]
pub fn cursor_bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

impl From<wire::SearchHit> for Hit {
    fn from(hit: wire::SearchHit) -> Self {
        Self {
            product: HitProduct {
                id: Shown(hit.product),
                key: hit.key,
                title: hit.title,
                brand: hit.brand,
                category: hit.category,
                price: hit.price.map(Into::into),
                image: hit.image,
                in_stock: hit.in_stock,
            },
            sku: Shown(hit.sku),
            score: hit.score,
            pinned: hit.pinned,
            explanation: hit.explanation.map(|parts| parts.into_iter().map(Into::into).collect()),
            highlight: hit.highlight.map(|marked| Highlight { title: marked.title, description: marked.description }),
        }
    }
}

impl From<wire::ScorePart> for ScorePart {
    fn from(part: wire::ScorePart) -> Self {
        Self { what: part.what, detail: part.detail, score: part.score }
    }
}

impl SearchPage {
    /// The engine's results, and how long it took to get them.
    #[must_use]
    pub fn new(results: wire::SearchResults, took_us: u64) -> Self {
        let facets = results.facets.into_iter().map(|facet| {
            let stats = facet.stats.map(|stats| FacetStats { min: stats.min, max: stats.max, avg: stats.avg });
            (facet.name, Facet { values: facet.values.into_iter().map(Into::into).collect(), stats })
        });
        Self {
            items: results.items.into_iter().map(Into::into).collect(),
            facets: Members(facets.collect()),
            total: results.total,
            relaxed: results.relaxed,
            partial: results.partial,
            did_you_mean: results.did_you_mean,
            redirect: results.redirect,
            banner: results.banner.map(Into::into),
            next: results.next.as_deref().map(cursor),
            took_us,
        }
    }
}

/// A product whose title begins so.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestedProduct {
    /// `prod_…`
    #[schema(value_type = String)]
    id: Shown<ProductId>,
    /// The merchant's key.
    key: String,
    /// Name.
    title: String,
}

/// A category whose name begins so.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestedCategory {
    /// The merchant's key.
    key: String,
    /// Name.
    name: String,
}

/// Ideas while typing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Suggestions {
    /// The text with its last word completed, best first.
    completions: Vec<String>,
    /// Products.
    products: Vec<SuggestedProduct>,
    /// Categories.
    categories: Vec<SuggestedCategory>,
    /// What others searched for, most frequent first.
    queries: Vec<String>,
    /// As of a search: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl From<wire::Suggestions> for Suggestions {
    fn from(found: wire::Suggestions) -> Self {
        let products = found.products.into_iter().map(|(id, key, title)| SuggestedProduct { id: Shown(id), key, title });
        let categories = found.categories.into_iter().map(|(key, name)| SuggestedCategory { key, name });
        let wire::Suggestions { completions, queries, partial, .. } = found;
        Self { completions, products: products.collect(), categories: categories.collect(), queries, partial }
    }
}

/// A query that shoppers searched for.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchedQuery {
    /// In lower case.
    query: String,
    /// How often; what is a day ago counts half.
    searches: u64,
    /// How often it found nothing.
    without_results: u64,
}

/// Queries, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchedQueries {
    items: Vec<SearchedQuery>,
    /// Always null: this list has one page.
    #[schema(value_type = Option<String>)]
    next: (),
}

impl From<Vec<wire::CountedQuery>> for SearchedQueries {
    fn from(counted: Vec<wire::CountedQuery>) -> Self {
        let item = |wire::CountedQuery { text, searches, without_results }| SearchedQuery { query: text, searches, without_results };
        Self { items: counted.into_iter().map(item).collect(), next: () }
    }
}

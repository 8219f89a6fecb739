//! Search, suggestions and their answers. Names of fields are the HTTP contract's.

use crate::{Banner, Boost, Money, ProductId, SkuId};
use rkyv::{Archive, Deserialize, Serialize};

/// A condition that every hit meets; values of one filter are alternatives.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum Filter {
    /// Maker is one of these.
    Brand(Vec<String>),
    /// In one of these categories or below.
    Category(Vec<String>),
    /// Price in minor units, both ends included.
    Price {
        /// At least.
        min: Option<i64>,
        /// At most.
        max: Option<i64>,
    },
    /// Rating in hundredths, both ends included.
    Rating {
        /// At least.
        min: Option<u16>,
        /// At most.
        max: Option<u16>,
    },
    /// Some variant can be had (`true`), or none can.
    InStock(bool),
    /// The attribute has one of these values.
    Attribute {
        /// Such as `t_colour`.
        name: String,
        /// In text form.
        values: Vec<String>,
    },
    /// The number attribute lies in this range, both ends included.
    AttributeRange {
        /// Such as `n_width`.
        name: String,
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
}

/// A facet to count.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Facet {
    /// Makers.
    Brand,
    /// Categories, ancestors included.
    Category,
    /// Least and most price.
    Price,
    /// Prices in this many buckets of equal width.
    PriceHistogram(u16),
    /// Can be had or not.
    InStock,
    /// Values of an attribute.
    Attribute(String),
    /// Categories as a menu shows them: so many levels from the root, or from a selected category on, with its ancestors and what stands beside each of them.
    CategoryTree(u16),
    /// Numbers of an attribute in at most this many buckets of equal width.
    AttributeHistogram {
        /// Such as `n_width`.
        name: String,
        /// At least 2.
        buckets: u16,
    },
    /// Four stars and better, three, two, one.
    Rating,
}

impl Facet {
    /// The name that it is answered under. Of several with one name the last is answered.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Brand => "brand".to_owned(),
            Self::Category | Self::CategoryTree(_) => "category".to_owned(),
            Self::Price | Self::PriceHistogram(_) => "price".to_owned(),
            Self::Rating => "rating".to_owned(),
            Self::InStock => "in_stock".to_owned(),
            Self::Attribute(name) | Self::AttributeHistogram { name, .. } => format!("attr.{name}"),
        }
    }
}

/// Values of a facet by what a shopper typed to find them.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FacetQuery {
    /// Makers, categories as a list, can be had or not, or values of an attribute; counted even if the query's facets do not name it.
    pub facet: Facet,
    /// What a value, or a word of it, begins with: at most [`crate::limits::FACET_QUERY_BYTES_MAX`].
    pub text: String,
}

/// Order of the hits; ties go by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Sort {
    /// Best match first.
    #[default]
    Relevance,
    /// Cheapest first.
    Price,
    /// Dearest first.
    PriceDescending,
    /// Best rated first.
    Rating,
    /// Latest released first.
    Newest,
    /// Best selling first.
    Popularity,
}

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchQuery {
    /// What the shopper typed; empty browses.
    pub text: String,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Counted over the hits of the other filters.
    pub facets: Vec<Facet>,
    /// Order of the hits.
    pub sort: Sort,
    /// 1..=[`crate::limits::PAGE_MAX`].
    pub limit: u16,
    /// Cursor of the page before.
    pub after: Option<Vec<u8>>,
    /// Count all hits.
    pub total: bool,
    /// Give the texts of hits with the words found marked.
    pub highlight: bool,
    /// No word stands for one that is spelt nearly so, even if no product has it.
    pub exact: bool,
    /// Say of each hit what its score is made of.
    pub explain: bool,
    /// What this shopper is likely to want, at most [`crate::limits::PREFERENCES_MAX`]; as boosts of a rule, behind those of the shop's own.
    pub preferences: Vec<Boost>,
    /// Narrow the values of facets, at most [`crate::limits::FACET_QUERIES_MAX`].
    pub facet_queries: Vec<FacetQuery>,
}

/// A product found.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchHit {
    /// `prod_…`
    pub product: ProductId,
    /// The merchant's product key.
    pub key: String,
    /// Name.
    pub title: String,
    /// Maker.
    pub brand: Option<String>,
    /// Key of its category.
    pub category: Option<String>,
    /// Of the variant shown.
    pub price: Option<Money>,
    /// First picture.
    pub image: Option<String>,
    /// Some variant can be had.
    pub in_stock: bool,
    /// The variant shown: the first that can be had, else the first.
    pub sku: SkuId,
    /// How well it matches; comparable within one answer.
    pub score: f32,
    /// If asked for.
    pub highlight: Option<Highlight>,
    /// A rule put it where it is.
    pub pinned: bool,
    /// What the score is made of, if asked for; the parts add up to it.
    pub explanation: Option<Vec<ScorePart>>,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct ScorePart {
    /// What for, such as `word` or `boost`.
    pub what: String,
    /// More about it: which word, found by which other, or which category.
    pub detail: Option<String>,
    /// How much of the score.
    pub score: f32,
}

/// A hit's texts as HTML, with `<em>` around the words found.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Highlight {
    /// The whole title.
    pub title: String,
    /// The part of the description that shows most of the words; none where it has none.
    pub description: Option<String>,
}

/// One value of a facet.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FacetValue {
    /// In text form.
    pub value: String,
    /// Hits that have it.
    pub count: u64,
    /// A filter of the query names it.
    pub selected: bool,
    /// Where the category stands, if it is one.
    pub category: Option<FacetCategory>,
}

/// The place of a category among the values of a facet.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct FacetCategory {
    /// Shown to shoppers; none if there is no such category.
    pub name: Option<String>,
    /// Key of the category that it is in; none at the top.
    pub parent: Option<String>,
    /// 1 at the top.
    pub level: u16,
}

/// Ends of a number facet, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct FacetStats {
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
    /// Average: of prices rounded to whole minor units, of ratings to hundredths, halves up; of other numbers as near as floats come.
    pub avg: f64,
}

/// A facet counted.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct FacetResult {
    /// As asked for, such as `brand` or `attr.t_colour`.
    pub name: String,
    /// Most frequent first; of a tree each before those in it, and those of one category the most frequent first; of a histogram ascending; of ratings the best first.
    pub values: Vec<FacetValue>,
    /// Of number facets.
    pub stats: Option<FacetStats>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchResults {
    /// In order.
    pub items: Vec<SearchHit>,
    /// As asked for.
    pub facets: Vec<FacetResult>,
    /// Exact, if asked for; of a partial answer, of what was found.
    pub total: Option<u64>,
    /// Some hits lack a word.
    pub relaxed: bool,
    /// Cursor of the next page.
    pub next: Option<Vec<u8>>,
    /// The text with misspelt words spelt right, if it has any.
    pub did_you_mean: Option<String>,
    /// Where a rule sends the shopper instead.
    pub redirect: Option<String>,
    /// What a rule shows above the hits.
    pub banner: Option<Banner>,
    /// The answer was cut short: by the work that a search may make, or as part of the catalog did not answer in time. There may be more hits, and better ones.
    pub partial: bool,
}

/// Ideas while typing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Suggestions {
    /// The text with its last word completed, best first.
    pub completions: Vec<String>,
    /// Products whose title begins so: id, key, title.
    pub products: Vec<(ProductId, String, String)>,
    /// Categories whose name begins so: key, name.
    pub categories: Vec<(String, String)>,
    /// What others searched for that begins so and found something, most frequent first; only what [`crate::limits::POPULAR_SEARCHES_MIN`] searches had.
    pub queries: Vec<String>,
    /// As of a search.
    pub partial: bool,
}

/// A query that was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CountedQuery {
    /// In lower case.
    pub text: String,
    /// How often; what is a day ago counts half.
    pub searches: u64,
    /// How often it found nothing.
    pub without_results: u64,
}

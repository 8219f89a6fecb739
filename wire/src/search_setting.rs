//! What a merchant sets for the shop's search: synonyms, and rules for queries. Names of fields are the HTTP contract's.

use crate::{Filter, Millis, ProductRef};
use rkyv::{Archive, Deserialize, Serialize};

/// Kinds of settings; each has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub enum SearchSettingKind {
    /// Ways to say one thing.
    Synonyms,
    /// What is shown for some queries.
    Rule,
    /// What counts beside the words. There is one, of the key [`RANKING_KEY`].
    Ranking,
}

/// Key of the one setting of its kind.
pub const RANKING_KEY: &str = "default";

/// A setting.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum SearchSetting {
    /// Ways to say one thing.
    Synonyms(Synonyms),
    /// What is shown for some queries.
    Rule(Box<SearchRule>),
    /// What counts beside the words.
    Ranking(Ranking),
}

impl SearchSetting {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> SearchSettingKind {
        match self {
            Self::Synonyms(_) => SearchSettingKind::Synonyms,
            Self::Rule(_) => SearchSettingKind::Rule,
            Self::Ranking(_) => SearchSettingKind::Ranking,
        }
    }
}

/// Whoever types one of `typed` is also shown what says one of `found`. Where both are the same, each stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Synonyms {
    /// 1..=[`crate::limits::SYNONYM_WAYS_MAX`] of up to [`crate::limits::SYNONYM_WORDS_MAX`] words.
    pub typed: Vec<String>,
    /// Likewise.
    pub found: Vec<String>,
}

/// What is shown for some queries. Words count in any order, whatever their case, diacritics and number, and when they are misspelt.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchRule {
    /// For any of these.
    pub queries: Vec<QueryPattern>,
    /// Products at fixed places, whether or not they match.
    pub pins: Vec<Pin>,
    /// Products that are not shown.
    pub hidden: Vec<ProductRef>,
    /// What is to stand higher, or lower.
    pub boosts: Vec<Boost>,
    /// Where the shopper is sent instead: a path of the shop, or an `https` address.
    pub redirect: Option<String>,
    /// Shown above the hits.
    pub banner: Option<Banner>,
    /// Not before.
    pub from: Option<Millis>,
    /// Not from then on.
    pub until: Option<Millis>,
    /// Without, it is kept and does nothing.
    pub enabled: bool,
}

/// Some queries.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum QueryPattern {
    /// Those of these words and no others.
    Is(String),
    /// Those that have these words among others.
    Contains(String),
}

/// A product at a fixed place.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Pin {
    /// From 1, the first.
    pub place: u16,
    /// Which.
    pub product: ProductRef,
}

/// Products that are to stand higher, or lower.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Boost {
    /// Those which meet this; any filter but `InStock`.
    pub filter: Filter,
    /// By so many hundredths of what all words of the query weigh; lower if negative. Not 0, at most [`crate::limits::BOOST_PERCENT_MAX`] either way.
    pub percent: i16,
}

/// A text above the hits.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Banner {
    /// What it says.
    pub text: String,
    /// Where it leads: a path of the shop, or an `https` address.
    pub url: Option<String>,
}

/// How much counts beside the words, in order of relevance: what a product with the most of it gets, in hundredths of what all words of the query weigh; each at
/// most [`crate::limits::BOOST_PERCENT_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Ranking {
    /// Of popularity, by its logarithm.
    pub popularity: u16,
    /// Of stars.
    pub rating: u16,
    /// Of what can be had.
    pub in_stock: u16,
    /// Of margins.
    pub margin: u16,
    /// What two words of the query get that stand side by side in a title: hundredths of what they weigh, at most [`crate::limits::PROXIMITY_PERCENT_MAX`].
    pub proximity: u16,
}

/// A setting as it is kept.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchSettingView {
    /// The merchant's key.
    pub key: String,
    /// Rises with each change; the first is 1.
    pub version: u64,
    /// Products by id.
    pub setting: SearchSetting,
}

//! What is set for the shop's search, as the log has it. Snapshots too hold it as archived here.

use rkyv::{Archive, Deserialize, Serialize};
use wire::{Millis, ProductId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub enum SearchSettingKind {
    Synonyms,
    Rule,
    Ranking,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum SearchSetting {
    Synonyms(Synonyms),
    Rule(Box<SearchRule>),
    Ranking(Ranking),
    /// A ranking in which margins count, or words side by side.
    WiderRanking(WiderRanking),
}

impl SearchSetting {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> SearchSettingKind {
        match self {
            Self::Synonyms(_) => SearchSettingKind::Synonyms,
            Self::Rule(_) => SearchSettingKind::Rule,
            Self::Ranking(_) | Self::WiderRanking(_) => SearchSettingKind::Ranking,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Synonyms {
    pub typed: Vec<String>,
    pub found: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct SearchRule {
    pub queries: Vec<QueryPattern>,
    pub pins: Vec<Pin>,
    pub hidden: Vec<ProductId>,
    pub boosts: Vec<Boost>,
    pub redirect: Option<String>,
    pub banner: Option<Banner>,
    pub from: Option<Millis>,
    pub until: Option<Millis>,
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum QueryPattern {
    Is(String),
    Contains(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Pin {
    /// From 1.
    pub place: u16,
    pub product: ProductId,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Boost {
    pub of: Trait,
    pub percent: i16,
}

/// What a product is, or has.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum Trait {
    Brand(Vec<String>),
    /// Keys or ids, as they were given.
    Category(Vec<String>),
    Price {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// Hundredths.
    Rating {
        min: Option<u16>,
        max: Option<u16>,
    },
    Attribute {
        name: String,
        values: Vec<String>,
    },
    AttributeRange {
        name: String,
        min: Option<f64>,
        max: Option<f64>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Banner {
    pub text: String,
    pub url: Option<String>,
}

/// Hundredths of what all words weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Ranking {
    pub popularity: u16,
    pub rating: u16,
    pub in_stock: u16,
}

/// Likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WiderRanking {
    pub others: Ranking,
    pub margin: u16,
    pub proximity: u16,
}

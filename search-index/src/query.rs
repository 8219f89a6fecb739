//! What can be asked, within which bounds.
//!
//! Path: caller's request → `Query` → `Query::check` (bounds, cursor) → matching, filters, facets, order.
//! A query says nothing about segments or shards: the same value goes to every shard of a scatter, and to `merge` afterwards.

use std::sync::Arc;

use crate::arrangement::{Boost, Pin};
use crate::budget::{BUDGET, Units};
use crate::cursor::{BEFORE_ALL, Cursor, Fingerprint, SortKey};
use crate::document::{ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, CATEGORY_DEPTH_MAX, DocKey};
use crate::facet_query::FacetQuery;
use crate::refusal::QueryError;
use crate::signals::Signals;
use crate::statistics::Statistics;
use crate::synonyms::Synonyms;

/// Hits in one answer. More is refused.
pub const LIMIT_MAX: usize = 100;
/// Bytes of query text. More is refused.
pub const QUERY_BYTES_MAX: usize = 1024;
/// Distinct terms of a query after analysis. More is refused.
pub const TERMS_MAX: usize = 32;
/// Hundredths of what two words weigh that they get for standing side by side at most. More is refused.
pub const PROXIMITY_PERCENT_MAX: u16 = 100;
/// Filters of one query. More is refused.
pub const FILTERS_MAX: usize = 32;
/// Values of one filter. More is refused.
pub const FILTER_VALUES_MAX: usize = 256;
/// Facets of one query. More is refused.
pub const FACETS_MAX: usize = 32;
/// Values answered for one facet, and buckets of a histogram. More is refused.
pub const FACET_LIMIT_MAX: u16 = 1000;

/// The order of hits. Ties are broken by document key, ascending; a missing price or rating is last both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// Documents with all terms first, each group by score descending. Without text: as `Popularity`.
    #[default]
    Relevance,
    /// Cheapest first.
    Price,
    /// Dearest first.
    PriceDesc,
    /// Best rated first.
    Rating,
    /// Newest first.
    Newest,
    /// Most popular first.
    Popularity,
}

/// Which of a text's terms a document must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// All of them; where too few documents do, those with some follow.
    #[default]
    AllThenAny,
    /// All of them, however few documents do.
    All,
    /// At least one. Documents with all of them come first only where their score says so, and no hit counts as relaxed.
    Any,
}

/// Some of the distinct words of a query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words(u32);
const _: () = assert!(TERMS_MAX <= 32, "a bit a word");

impl Words {
    /// Adds the word at this place of the text.
    pub(crate) fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// The first so many words.
    pub(crate) fn first(words: usize) -> Self {
        (0..words).map(Self::one).fold(Self::default(), Self::or)
    }

    /// That word alone.
    pub(crate) fn one(place: usize) -> Self {
        Self(1 << place)
    }

    pub(crate) fn contains(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not among the others.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first so many of them.
    pub(crate) fn first_of(self, most: usize) -> Self {
        let mut left = self.0;
        (0..most).for_each(|_| left &= left.wrapping_sub(1));
        Self(self.0 & !left)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What other indexes have of a query's words, where it is asked of several: [`misjudged`](crate::misjudged) finds it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Words that another index has: none of them is misspelt, or written otherwise.
    pub known: Words,
    /// Words that a title elsewhere has in the very form that was typed: none of them is doubted.
    pub written: Words,
}

impl Elsewhere {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What either says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { known: self.known.or(other.known), written: self.written.or(other.written) }
    }
}

/// A value an attribute filter looks for. `Text` finds text and keyword values alike.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterValue {
    /// Exact string, as indexed (case included).
    Text(String),
    /// Equal number.
    Number(f64),
    /// The flag.
    Bool(bool),
}

/// A condition on documents. Values inside one filter are alternatives; separate filters must all hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Any of these brands, exactly as indexed.
    Brand(Vec<String>),
    /// Any of these category keys, on the document's path at any depth: the subtree matches.
    Category(Vec<String>),
    /// Price within bounds, both inclusive. A document without a price does not pass.
    Price {
        /// Least, in minor units.
        min: Option<i64>,
        /// Most, in minor units.
        max: Option<i64>,
    },
    /// Rating within bounds, both inclusive, in hundredths. An unrated document does not pass.
    Rating {
        /// Least.
        min: Option<u16>,
        /// Most.
        max: Option<u16>,
    },
    /// Any of these values of one attribute.
    Attribute {
        /// The attribute.
        name: String,
        /// Alternatives.
        any_of: Vec<FilterValue>,
    },
    /// A number value within bounds, both inclusive.
    AttributeRange {
        /// The attribute.
        name: String,
        /// Least.
        min: Option<f64>,
        /// Most.
        max: Option<f64>,
    },
    /// Whether the caller's liveness function says yes to the document (`true`) or no (`false`).
    InStock(bool),
}

impl Filter {
    /// Whether it is within its bounds.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        let values = |len: usize| {
            if (1..=FILTER_VALUES_MAX).contains(&len) { Ok(()) } else { Err(QueryError::FilterValues { len }) }
        };
        let finite = |number: Option<f64>| if number.is_none_or(f64::is_finite) { Ok(()) } else { Err(QueryError::NotFinite) };
        match self {
            Self::Brand(names) | Self::Category(names) => {
                values(names.len())?;
                names.iter().try_for_each(|name| check_string(name, ATTRIBUTE_VALUE_BYTES_MAX))
            }
            Self::Attribute { name, any_of } => {
                check_string(name, ATTRIBUTE_NAME_BYTES_MAX)?;
                values(any_of.len())?;
                any_of.iter().try_for_each(|value| match value {
                    FilterValue::Text(text) => check_string(text, ATTRIBUTE_VALUE_BYTES_MAX),
                    FilterValue::Number(number) => finite(Some(*number)),
                    FilterValue::Bool(_) => Ok(()),
                })
            }
            Self::AttributeRange { name, min, max } => {
                check_string(name, ATTRIBUTE_NAME_BYTES_MAX)?;
                finite(*min)?;
                finite(*max)
            }
            Self::Price { .. } | Self::Rating { .. } | Self::InStock(_) => Ok(()),
        }
    }
}

fn check_string(text: &str, max: usize) -> Result<(), QueryError> {
    if text.len() > max { Err(QueryError::StringTooLong { len: text.len(), max }) } else { Ok(()) }
}

/// What a facet counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FacetField {
    /// Documents by brand.
    Brand,
    /// Documents by category key; each document counts for every key on its path.
    Category,
    /// Documents by category, as a menu shows them: the top levels, or, with a category selected, its path, what stands beside each category on it, and what is
    /// below. The limit holds for each category by itself; [`FACET_LIMIT_MAX`] in all, the upper levels first.
    CategoryTree {
        /// Levels wanted below the selected categories, or below the root where none is selected: 1 to [`CATEGORY_DEPTH_MAX`](crate::CATEGORY_DEPTH_MAX).
        levels: u16,
        /// Paths from the root to selected categories as the caller knows them: for those that no document has, and so no index knows the way to. Others are
        /// passed over. At most [`FILTER_VALUES_MAX`].
        paths: Vec<Vec<String>>,
    },
    /// Documents by exact value of an attribute, and range and average of the numbers among its values.
    Attribute(String),
    /// Numbers of an attribute in at most this many equal steps of 1, 5, 10, 50, 100, … of the last decimal that they have, and their range and average.
    AttributeHistogram {
        /// The attribute.
        name: String,
        /// Most buckets wanted, at least 2.
        buckets: u16,
    },
    /// Least, greatest and average price.
    Price,
    /// Documents by price in at most this many equal steps of 1, 5, 10, 50, 100, … minor units.
    PriceHistogram {
        /// Most buckets wanted, at least 2.
        buckets: u16,
    },
    /// Documents rated 4 stars and better, 3, 2, 1; and least, greatest and average rating.
    Rating,
    /// Documents by the liveness function's answer.
    InStock,
}

/// A facet to compute over all matches, each filter applied but those on the facet's own field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRequest {
    /// What to count.
    pub field: FacetField,
    /// Most values answered; the selected ones are always answered too. Not used by ranges and histograms.
    pub limit: u16,
    /// Which values are wanted, selected or not; all unless it says. Of brands, categories as a list, attributes and stock alone.
    pub query: Option<FacetQuery>,
}

impl FacetRequest {
    /// So many values, the most frequent ones.
    #[must_use]
    pub fn new(field: FacetField, limit: u16) -> Self {
        Self { field, limit, query: None }
    }

    fn check(&self) -> Result<(), QueryError> {
        if !(1..=FACET_LIMIT_MAX).contains(&self.limit) {
            return Err(QueryError::FacetLimit { limit: self.limit });
        }
        if let FacetField::Attribute(name) | FacetField::AttributeHistogram { name, .. } = &self.field {
            check_string(name, ATTRIBUTE_NAME_BYTES_MAX)?;
        }
        match &self.field {
            FacetField::PriceHistogram { buckets } | FacetField::AttributeHistogram { buckets, .. }
                if !(2..=FACET_LIMIT_MAX).contains(buckets) =>
            {
                Err(QueryError::FacetLimit { limit: *buckets })
            }
            FacetField::CategoryTree { paths, .. } if paths.len() > FILTER_VALUES_MAX => Err(QueryError::TreePaths { len: paths.len() }),
            FacetField::CategoryTree { levels, .. } if !(1..=CATEGORY_DEPTH_MAX).contains(&usize::from(*levels)) => {
                Err(QueryError::TreeLevels { levels: *levels })
            }
            FacetField::Brand | FacetField::Category | FacetField::Attribute(_) | FacetField::InStock => Ok(()),
            FacetField::CategoryTree { .. }
            | FacetField::AttributeHistogram { .. }
            | FacetField::Price
            | FacetField::PriceHistogram { .. }
            | FacetField::Rating => {
                if self.query.is_some() {
                    Err(QueryError::FacetQueryField)
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// One search.
///
/// ```
/// use search_index::{Filter, Query, Sort};
/// let query = Query {
///     text: Some("hp ink cartridge".into()),
///     filters: vec![Filter::Brand(vec!["HP".into(), "Canon".into()])],
///     sort: Sort::Price,
///     ..Query::default()
/// };
/// assert!(query.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Words to look for. `None`, or text without a single letter or digit, matches every document. Words in `"quotation marks"` must stand side by
    /// side, in one field; a `-word` or `-"some words"` must not be there; `brand:hp` and `-title:"usb c"` are conditions on one field.
    pub text: Option<String>,
    /// The attributes that `name:value` in the text may be a condition on, as [`named_fields`](crate::named_fields) has their names; other names are words. `None`: those
    /// that the index has. Several indexes are all given what any of them has ([`Index::fields_among`](crate::Index::fields_among)), so that they read the text alike.
    pub fields: Option<Vec<String>>,
    /// Which of them a document must have.
    pub matching: Matching,
    /// Whether the text is still being typed: a word at its very end, of two characters or more, stands for all words that begin with it. They are
    /// ranked together as one term; a document with the word itself comes before one that is like it but for a longer word.
    pub prefix: bool,
    /// Whether a word of letters that no document has stands for those that are one slip away (from 4 letters on; two from 8 on, where none is nearer):
    /// a letter too much, too few, another, or two swapped. The nearer come first where all else is equal. Where no document has all words, those that no
    /// title has in the form that was typed are doubted: `bels`, where some text has `bel` and titles have `belts`, stands for these too, one slip away, if documents
    /// with all words come of it.
    pub typos: bool,
    /// What other indexes have of the words.
    pub elsewhere: Elsewhere,
    /// What all indexes together have of the words, where several are asked: then a word that stands for itself weighs the same in each. Of one that is unfinished, misspelt, run
    /// together or said otherwise too, each goes by its own documents. `None`: so it is with all words.
    pub statistics: Option<Arc<Statistics>>,
    /// Whether to say how misspelt words may be spelt right, also where slips are not looked for. It costs a look at each candidate.
    pub did_you_mean: bool,
    /// Other ways to say what the text says, for its words but those that are forbidden; what is quoted must stand all the same. A word that has any is
    /// not misspelt.
    pub synonyms: Arc<Synonyms>,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// Counts wanted.
    pub facets: Vec<FacetRequest>,
    /// Documents at fixed places of the first page in order of relevance, at most [`PINS_MAX`](crate::PINS_MAX), whether or not they match the text. In other orders
    /// they are among the hits, wherever they stand there.
    pub pins: Vec<Pin>,
    /// Documents that are not to be found, at most [`HIDDEN_MAX`](crate::HIDDEN_MAX), not even if pinned.
    pub hidden: Vec<DocKey>,
    /// Documents that are better for this query, or worse, at most [`BOOSTS_MAX`](crate::BOOSTS_MAX).
    pub boosts: Vec<Boost>,
    /// What neighbouring words get that stand side by side in a title, in either order: so many hundredths of what both weigh, at most
    /// [`PROXIMITY_PERCENT_MAX`]. 0 by default; it makes a search half as much again as it costs without.
    pub proximity: u16,
    /// How much it counts that a document is popular, well rated and in stock.
    pub signals: Signals,
    /// The order.
    pub sort: Sort,
    /// Hits wanted, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Where the previous answer to the same text, matching, filters and sort ended.
    pub after: Option<Cursor>,
    /// Whether to count matches exactly.
    pub total: bool,
    /// Whether to say why each hit has the score that it has: [`Results::explanations`](crate::Results::explanations).
    pub explain: bool,
    /// The work that each index may make; where it is not enough, the answer is [partial](crate::Results::partial). [`BUDGET`] unless said otherwise.
    pub budget: Units,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            text: None,
            fields: None,
            matching: Matching::AllThenAny,
            prefix: false,
            typos: true,
            elsewhere: Elsewhere::default(),
            statistics: None,
            did_you_mean: false,
            synonyms: Arc::default(),
            filters: Vec::new(),
            facets: Vec::new(),
            pins: Vec::new(),
            hidden: Vec::new(),
            boosts: Vec::new(),
            proximity: 0,
            signals: Signals::default(),
            sort: Sort::Relevance,
            limit: 20,
            after: None,
            total: false,
            explain: false,
            budget: BUDGET,
        }
    }
}

impl Query {
    /// Whether the query is within every bound and its cursor is its own. The count of terms is checked by the search.
    ///
    /// # Errors
    /// The first bound that is passed.
    pub fn check(&self) -> Result<(), QueryError> {
        let len = self.text.as_ref().map_or(0, String::len);
        if len > QUERY_BYTES_MAX {
            return Err(QueryError::TextTooLong { len });
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(QueryError::Limit { limit: self.limit });
        }
        if self.filters.len() > FILTERS_MAX {
            return Err(QueryError::TooManyFilters { len: self.filters.len() });
        }
        for filter in &self.filters {
            filter.check()?;
        }
        if self.facets.len() > FACETS_MAX {
            return Err(QueryError::TooManyFacets { len: self.facets.len() });
        }
        for facet in &self.facets {
            facet.check()?;
        }
        self.check_arrangement()?;
        self.check_signals()?;
        if self.proximity > PROXIMITY_PERCENT_MAX {
            return Err(QueryError::ProximityPercent { percent: self.proximity });
        }
        match self.after {
            Some(cursor) if cursor.fingerprint() != self.fingerprint() => Err(QueryError::ForeignCursor),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a filter, a facet or a signal asks the liveness function.
    #[must_use]
    pub fn needs_liveness(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter, Filter::InStock(_)))
            || self.facets.iter().any(|facet| facet.field == FacetField::InStock)
            || self.signals.in_stock > 0
    }

    /// Words that another index has, as far as anybody told.
    pub(crate) fn known_elsewhere(&self) -> Words {
        self.statistics.as_ref().map_or(self.elsewhere.known, |statistics| self.elsewhere.known.or(statistics.known()))
    }

    /// The place behind which hits are wanted; `None` for all of them, pinned ones apart.
    pub(crate) fn behind(&self) -> Option<SortKey> {
        self.after.map(|after| after.place()).filter(|place| self.sort != Sort::Relevance || *place != BEFORE_ALL)
    }

    /// Whether hits are wanted behind those of an answer that doubted words.
    pub(crate) fn goes_on_doubting(&self) -> bool {
        self.after.is_some_and(|after| after.doubts())
    }

    /// What a cursor is bound to: text, matching, filters and sort. Limit, facets, total, explain and budget may change from page to page, and so may a shop's rules: synonyms,
    /// pins, hidden documents, boosts, proximity and signals.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Fingerprint::start();
        match &self.text {
            Some(text) => hash.text(1, text),
            None => hash.byte(0),
        }
        let matching = match self.matching {
            Matching::AllThenAny => 0,
            Matching::All => 16,
            Matching::Any => 32,
        };
        let sort = match self.sort {
            Sort::Relevance => 0,
            Sort::Price => 1,
            Sort::PriceDesc => 2,
            Sort::Rating => 3,
            Sort::Newest => 4,
            Sort::Popularity => 5,
        };
        hash.byte(matching + sort + if self.prefix { 64 } else { 0 } + if self.typos { 0 } else { 128 });
        for filter in &self.filters {
            match filter {
                Filter::Brand(names) => names.iter().for_each(|name| hash.text(10, name)),
                Filter::Category(keys) => keys.iter().for_each(|key| hash.text(11, key)),
                Filter::Price { min, max } => {
                    hash.byte(12);
                    hash.optional(min.map(i64::cast_unsigned));
                    hash.optional(max.map(i64::cast_unsigned));
                }
                Filter::Rating { min, max } => {
                    hash.byte(13);
                    hash.optional(min.map(u64::from));
                    hash.optional(max.map(u64::from));
                }
                Filter::Attribute { name, any_of } => {
                    hash.text(14, name);
                    for value in any_of {
                        match value {
                            FilterValue::Text(text) => hash.text(1, text),
                            FilterValue::Number(number) => hash.optional(Some(number.to_bits())),
                            FilterValue::Bool(flag) => hash.byte(2 + u8::from(*flag)),
                        }
                    }
                }
                Filter::AttributeRange { name, min, max } => {
                    hash.text(15, name);
                    hash.optional(min.map(f64::to_bits));
                    hash.optional(max.map(f64::to_bits));
                }
                Filter::InStock(wanted) => hash.byte(16 + u8::from(*wanted)),
            }
            hash.byte(255);
        }
        hash
    }
}

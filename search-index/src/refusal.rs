//! Why a query is refused: which of its bounds it passes, and by how much.

use crate::arrangement::{BOOST_PERCENT_MAX, BOOSTS_MAX, HIDDEN_MAX, PINS_MAX};
use crate::document::{CATEGORY_DEPTH_MAX, DocKey};
use crate::facet_query::FACET_QUERY_KEYS_MAX;
use crate::operators::OPERATORS_MAX;
use crate::query::{
    FACET_LIMIT_MAX, FACETS_MAX, FILTER_VALUES_MAX, FILTERS_MAX, LIMIT_MAX, PROXIMITY_PERCENT_MAX, QUERY_BYTES_MAX, TERMS_MAX,
};
use crate::signals::SIGNAL_PERCENT_MAX;

/// Why a query was refused. Whoever wrote the query can act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is over [`QUERY_BYTES_MAX`].
    #[error("query text of {len} bytes, at most {QUERY_BYTES_MAX} are taken")]
    TextTooLong {
        /// Bytes found.
        len: usize,
    },
    /// The text has more distinct terms than [`TERMS_MAX`].
    #[error("query of {len} terms, at most {TERMS_MAX} are taken")]
    TooManyTerms {
        /// Terms found.
        len: usize,
    },
    /// The text has more quotations, forbidden words and conditions on fields than [`OPERATORS_MAX`].
    #[error("query of {len} quotations, forbidden words and conditions on fields, at most {OPERATORS_MAX} are taken")]
    TooManyOperators {
        /// Found.
        len: usize,
    },
    /// The limit is outside 1 to [`LIMIT_MAX`].
    #[error("limit {limit}, wanted 1 to {LIMIT_MAX}")]
    Limit {
        /// The limit found.
        limit: usize,
    },
    /// More filters than [`FILTERS_MAX`].
    #[error("{len} filters, at most {FILTERS_MAX} are taken")]
    TooManyFilters {
        /// Filters found.
        len: usize,
    },
    /// A filter without a value or with more than [`FILTER_VALUES_MAX`].
    #[error("a filter of {len} values, wanted 1 to {FILTER_VALUES_MAX}")]
    FilterValues {
        /// Values found.
        len: usize,
    },
    /// A string in a filter or facet that is longer than anything indexed.
    #[error("a string of {len} bytes in a filter or facet, at most {max} can match")]
    StringTooLong {
        /// Bytes found.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A range bound that is not a number.
    #[error("a number in a filter is not finite")]
    NotFinite,
    /// More facets than [`FACETS_MAX`].
    #[error("{len} facets, at most {FACETS_MAX} are taken")]
    TooManyFacets {
        /// Facets found.
        len: usize,
    },
    /// A facet's limit is outside 1 to [`FACET_LIMIT_MAX`], or a histogram of fewer than 2 buckets.
    #[error("facet limit {limit}, wanted 1 (buckets: 2) to {FACET_LIMIT_MAX}")]
    FacetLimit {
        /// The limit found.
        limit: u16,
    },
    /// More keys of a facet's values than [`FACET_QUERY_KEYS_MAX`].
    #[error("{len} keys of values that are wanted of a facet, at most {FACET_QUERY_KEYS_MAX} are taken")]
    FacetQueryKeys {
        /// Keys found.
        len: usize,
    },
    /// Values are looked for by what was typed in a facet that answers a range, buckets or a tree.
    #[error("values can be looked for in the facets of brands, of categories as a list, of an attribute's values, and of stock")]
    FacetQueryField,
    /// A tree of no levels, or of more than categories have.
    #[error("a tree of {levels} levels, wanted 1 to {CATEGORY_DEPTH_MAX}")]
    TreeLevels {
        /// Levels found.
        levels: u16,
    },
    /// More paths to selected categories than [`FILTER_VALUES_MAX`].
    #[error("{len} paths to selected categories, at most {FILTER_VALUES_MAX} are taken")]
    TreePaths {
        /// Paths found.
        len: usize,
    },
    /// More pins than [`PINS_MAX`].
    #[error("{len} pins, at most {PINS_MAX} are taken")]
    TooManyPins {
        /// Pins found.
        len: usize,
    },
    /// A pin at a place that no page has.
    #[error("a pin at place {place}, wanted below {LIMIT_MAX}")]
    PinPlace {
        /// The place found.
        place: u16,
    },
    /// Two pins of one document.
    #[error("document {key:?} is pinned twice")]
    PinnedTwice {
        /// The document.
        key: DocKey,
    },
    /// More hidden documents than [`HIDDEN_MAX`].
    #[error("{len} hidden documents, at most {HIDDEN_MAX} are taken")]
    TooManyHidden {
        /// Documents found.
        len: usize,
    },
    /// More boosts than [`BOOSTS_MAX`].
    #[error("{len} boosts, at most {BOOSTS_MAX} are taken")]
    TooManyBoosts {
        /// Boosts found.
        len: usize,
    },
    /// A boost gives or takes more than [`BOOST_PERCENT_MAX`].
    #[error("a boost of {percent} hundredths, at most {BOOST_PERCENT_MAX} are given or taken")]
    BoostPercent {
        /// Hundredths found.
        percent: i16,
    },
    /// A boost of what is in stock, or is not: it would be asked of every document.
    #[error("a boost cannot be of stock")]
    BoostOfStock,
    /// A signal is worth more than [`SIGNAL_PERCENT_MAX`].
    #[error("the signal {signal:?} of {percent} hundredths, at most {SIGNAL_PERCENT_MAX} are taken")]
    SignalPercent {
        /// Which one: `popularity`, `rating`, `in stock` or `margin`.
        signal: &'static str,
        /// Hundredths found.
        percent: u16,
    },
    /// Words side by side are worth more than [`PROXIMITY_PERCENT_MAX`].
    #[error("words side by side get {percent} hundredths, at most {PROXIMITY_PERCENT_MAX} are taken")]
    ProximityPercent {
        /// Hundredths found.
        percent: u16,
    },
    /// The cursor was made by a query of other text, matching, filters or sort.
    #[error("the cursor belongs to a query of other text, matching, filters or sort")]
    ForeignCursor,
    /// An in-stock filter, facet or signal, but no liveness function was given: the caller's fault, not the user's.
    #[error("an in-stock filter, facet or signal needs a liveness function")]
    NoLiveness,
}

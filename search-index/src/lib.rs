//! Product search in memory: full text, filters, facets and suggestions over documents that change all the time.
#![forbid(unsafe_code)]

mod cursor;
mod document;
mod query;
mod results;

pub use cursor::{CURSOR_BYTES, Cursor, CursorError, Fingerprint, SortKey, Tier};
pub use document::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, AttributeValue, CATEGORY_DEPTH_MAX, DocKey, Document,
    DocumentError, FACETABLE_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX,
};
pub use query::{
    FACET_LIMIT_MAX, FACETS_MAX, FILTER_VALUES_MAX, FILTERS_MAX, FacetField, FacetRequest, Filter, FilterValue, LIMIT_MAX, QUERY_BYTES_MAX,
    Query, QueryError, Sort, TERMS_MAX,
};
pub use results::{
    Completion, Facet, FacetCounts, FacetKey, FacetValue, Hit, Part, PriceBucket, PriceStats, ProductSuggestion, Results, Suggestions,
    merge,
};

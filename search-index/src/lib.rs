//! Product search in memory: full text, filters, facets and suggestions over documents that change all the time.
#![forbid(unsafe_code)]

mod analysis;
mod attributes;
mod bitset;
mod compaction;
mod cursor;
mod document;
mod facet;
mod filter;
mod head;
mod index;
mod names;
mod postings;
mod query;
mod rank;
mod results;
mod rows;
mod search;
mod segment;
mod suggest;

pub use cursor::{CURSOR_BYTES, Cursor, CursorError, Fingerprint, SortKey, Tier};
pub use document::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, AttributeValue, CATEGORY_DEPTH_MAX, DocKey, Document,
    DocumentError, FACETABLE_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX,
};
pub use index::{BULK_ROWS_MAX, Columns, HEAD_TERMS_MAX, Index, Layout, Settings, Written};
pub use query::{
    FACET_LIMIT_MAX, FACETS_MAX, FILTER_VALUES_MAX, FILTERS_MAX, FacetField, FacetRequest, Filter, FilterValue, LIMIT_MAX, QUERY_BYTES_MAX,
    Query, QueryError, Sort, TERMS_MAX,
};
pub use results::{
    Completion, Facet, FacetCounts, FacetKey, FacetValue, Hit, Part, PriceBucket, PriceStats, ProductSuggestion, Results, Suggestions,
    merge,
};
pub use search::Live;

//! Product search in memory: full text, filters, facets and suggestions over documents that change all the time.
//!
//! An [`Index`] takes [`Document`]s and answers a [`Query`] with keys, scores, facet counts and a cursor for the next page. It knows
//! documents and queries: no shop, no file, no clock, no thread. The caller keeps the documents themselves, gives the index its time
//! ([`Index::maintain`]), and says which documents are in stock at the moment of a search ([`Live`]).
//!
//! ```
//! use search_index::{AttributeValue, Columns, DocKey, Document, FacetCounts, FacetField, FacetRequest, Filter, Index, Query, Settings, Sort};
//!
//! let cartridge = |key, title: &str, brand: &str, price| Document {
//!     title: title.into(),
//!     brand: Some(brand.into()),
//!     category: vec!["printers".into(), "printers/ink".into()],
//!     price: Some(price),
//!     attributes: vec![("type".into(), AttributeValue::Text("Original".into()))],
//!     ..Document::new(DocKey(key))
//! };
//! let mut index = Index::build(
//!     Settings::default(),
//!     [cartridge(1, "HP 80 ink cartridge cyan", "HP", 12_595), cartridge(2, "Canon CLI-8 ink cartridge", "Canon", 1_499)],
//! )?;
//!
//! // Brands are counted as if the brand filter were not there: what a shop shows beside the list.
//! let query = Query {
//!     text: Some("ink cartridges".into()),
//!     filters: vec![Filter::Brand(vec!["HP".into()]), Filter::Category(vec!["printers".into()]), Filter::InStock(true)],
//!     facets: vec![FacetRequest::new(FacetField::Brand, 10)],
//!     sort: Sort::Price,
//!     total: true,
//!     ..Query::default()
//! };
//! let results = index.search(&query, Some(&|key| key != DocKey(7)))?;
//! assert_eq!(results.hits[0].key, DocKey(1));
//! assert_eq!(results.total, Some(1));
//! let FacetCounts::Values(brands) = &results.facets[0].counts else { unreachable!("brands are counted by value") };
//! assert_eq!(brands.iter().map(|brand| (brand.count, brand.selected)).collect::<Vec<_>>(), [(1, false), (1, true)]);
//!
//! // A price changes in place; text changes by upsert. Both are seen by the next search.
//! index.set_columns(DocKey(1), Columns { price: Some(9_900), ..Columns::default() })?;
//! assert_eq!(index.suggest("ink cart", 5).completions[0].text, "ink cartridge");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a search answers
//!
//! Documents with *all* terms come first, by BM25 over all fields held against fixed lengths, in integers; when they do not fill the page, documents with *some* terms follow
//! and [`Results::relaxed`] says so ([`Matching`] has the other ways). In any other order than relevance, documents with some terms
//! appear only when none has all. [`Results::total`] and the facets count the documents with all terms if one passes the filters, else those with some.
//! Of documents that say the same, one whose title has the words as they were typed comes first, then one that has them in other forms, and the query's stop
//! words count there too: `sheet feeder for` prefers a feeder for something. So does one whose title is about what the query is about: `monitor` finds monitors
//! before monitor arms. And so does one that is in a category which the query names: `casual shoes` finds what is filed under that before what only says it. A
//! category is called by its key, or by what is behind the last slash of it. The attribute `product_type` says the same of a single thing: `notebook` finds what has that
//! type before a case for it.
//! Terms are folded (case, width, diacritics), stemmed as words of the index's [`Language`], and model numbers are found however they are spelt
//! (`TN-2110`, `tn2110`). Numbers with units are found by what they say: `8GB`, `8 gigabytes`; `15,6"`, `15.6 inch`; `1.5 l`, `1500ml`. With [`Query::prefix`] a word that is still being typed stands for all that begin with it.
//! What is written without spaces is found by every two neighbouring characters, whatever the language: `日本語` by `日本` and `本語`, and by one of its characters alone.
//! A word that no document has stands for those a slip of the finger away, unless [`Query::typos`] forbids it; `smart watch` finds `smartwatch`, and
//! `ipadstand` finds `ipad stand`. Words in quotation marks must stand side by side in one field, stop words among them; a `-word` or `-"some words"` must not
//! stand anywhere. `brand:hp`, `title:"usb c"`, `-category:toner`, `sku:tn-2110` and, by the names of attributes that documents have, `screen_size:15.6` are conditions on
//! one field: they say what is found and not in which order. A name in front of a colon that is of nothing is a word. No match is an empty answer, never an error.
//! With [`Query::synonyms`] neighbouring words also stand for other ways to say the same: `usb stick` finds what has both words and what says `flash drive`, or
//! `pendrive`. What was typed comes first where all else is equal.
//! What a shop sets for a query comes with it too: [`Query::pins`] stand at their places of the first page, [`Query::hidden`] documents nowhere, and
//! [`Query::boosts`] raise or lower what a filter names. Whether a rule is for a text says its [`Pattern`], before the search, or after a first one that found
//! words which nobody has ([`unknown`]).
//! [`Query::signals`] say how much it counts, beside the words, that a document is popular, well rated and in stock: nothing, unless they do.
//! With [`Query::proximity`] words that are neighbours in the query count more where a title has them side by side.
//! With [`Query::explain`] an answer says of each hit what its score was added up from ([`Explanation`]).
//! A query makes no more work than its [budget](Query::budget) and an [`OVERSHOOT`]; an answer that was cut short for it is [partial](Results::partial).
//!
//! [`Index::similar`] answers another question: what is like a document. The words of it that tell most are looked for, and what it is about, its category and its
//! price count beside them.
//!
//! Counts are exact and disjunctive: each facet applies every filter but those on its own field. Categories are counted as a list ([`FacetField::Category`]) or as
//! the tree that a menu shows ([`FacetField::CategoryTree`]), and [`FacetRequest::query`] keeps the values that begin as something typed does. Averages are reckoned
//! in integers ([`ColumnStats::avg`], [`NumberStats`]). Pages are stable: the order is
//! (sort value, key), and a [`Cursor`] names a place in it, so documents that change elsewhere neither shift nor repeat a hit.
//!
//! # Several indexes, one answer
//!
//! Every shard answers [`Index::search_part`]; [`merge`] joins the [`Part`]s of one query. Facets, totals and column orders equal those
//! of one index over all documents, and so do scores by words that stand for themselves, where the query has the [`Statistics`] of all ([`Query::statistics`]). Without these, words
//! weigh in each index what they weigh among its own documents; so do unfinished and misspelt ones and those with synonyms in any case, and what titles are about each index learns itself.
//! An index in which no document has `hp80` looks for `hp` and `80` instead, takes `lamp` for `lamb`, and doubts a form that none of its documents has: where [`misjudged`]
//! says that another has the word, or the form, all are asked again with [`Query::elsewhere`]. What a word that nobody has stands for is each index's own judgement.
//! What a misspelt or unfinished word may be depends on the words of each index, and so does what else it says by the query's synonyms then.
//!
//! What is like a document is found with the same weights by all, which come of the [`Frequencies`] of all: [`merge_similar`] gives what one index over all documents
//! would, score by score.
//!
//! # How it works
//!
//! | module | what is there |
//! |---|---|
//! | `analysis` | text to terms, the same for documents and queries: languages, scripts without spaces |
//! | `head`, `segment`, `compaction` | a mutable hash map, immutable parts with dictionaries, and how the one becomes the other |
//! | `batch` | many documents at once: rows in a good order, lists made in linear time |
//! | `forward` | what each document says, word by word |
//! | `rows`, `names`, `attributes`, `row_values` | a dense row a document: columns changed in place, brands and categories with their rows, sparse attributes by name and by row |
//! | `pieces`, `split_table` | columns, lists and hash tables that grow a piece at a time, so that no write waits until a million rows have moved |
//! | `impact` | what a term weighs in a document: BM25 with field weights, folded into one byte |
//! | `postings` | lists of rows and impacts, with maxima by block |
//! | `near` | words a slip of the finger away |
//! | `nouns` | which words of a title say what the thing is, learnt from titles |
//! | `statistics` | what several indexes have of a query's words together |
//! | `synonyms` | other ways to say what is typed, which come with a query |
//! | `operators`, `fields`, `phrases` | quotations, forbidden words and conditions on one field, and the rows that pass them |
//! | `arrangement` | what a shop sets for a query: fixed places, hidden documents, boosts |
//! | `patterns` | which queries such a rule is for |
//! | `explanation` | why a hit has its score |
//! | `signals` | what popularity, ratings, stock and margins count beside words |
//! | `rank` | what each word of a query stands for and how it may be spelt right, the best rows by pruned sums of impacts, all rows as sets, what a score was added up from, words with weights of their own |
//! | `budget` | work counted, and where it ends |
//! | `filter`, `facet`, `stretches` | sets of rows, exact counts, and rows of one category side by side |
//! | `counts`, `category_nodes`, `numbers`, `facet_query` | what facets answer, summed over indexes: values, menus of categories, numbers; and which values were typed |
//! | `search`, `collect`, `results` | one query over one index; its best rows; one answer from many |
//! | `similar` | what is like a document |
//! | `suggest` | completions of the last word |
//! | `saved` | segments as bytes, so that a start need not analyse every text again |
//! | `highlight`, `wording` | which words of a shown text a query found, and the part that shows them; which names it says |
//!
//! - **Invariant:** an answer is a function of the live documents. Removed ones leave the statistics at once; segments, merges and
//!   the order of writes change nothing, but for an answer that was cut short. A test compares whole random lives with a map read from end to end. One thing is settled when a document is written, by
//!   what is known then: what its title is about (`nouns`). It is learnt from the titles and values of all that is written to the index, this document
//!   included, from its thousandth on; a bulk load, or a saved segment taken over, is learnt from as a whole before any of it is settled.
//! - **Invariant:** nothing depends on hash order, time or chance: equal writes give equal indexes.
//! - **Bound:** no query makes more work than its budget ([`Units`]), whatever it asks.
//! - **Bound:** everything outside can send has a named limit, refused with a [`QueryError`], [`DocumentError`] or [`CursorError`].
//!
//! # What it costs
//!
//! CPU time on one of two x86-64 cores, 63,722 products of electronics and clothes with some 35 words each, and a mix of these 16 times as large; 308 shoppers'
//! queries, the best 10:
//!
//! | | 63,722 | 1,019,552 |
//! |---|---:|---:|
//! | any term | 59 µs | 494 µs |
//! | all terms | 30 µs | 321 µs |
//! | all terms, then some | 35 µs | 354 µs |
//! | any term, 30 % sold out | 60 µs | 483 µs |
//! | any term in a category, with three facets, a price range and the total | 94 µs | 812 µs |
//! | every keystroke from two characters on, all terms | 66 µs | 643 µs |
//! | misspelt words | 73 µs | 340 µs |
//! | built, products a second | 103,000 | 85,000 |
//! | memory of the process | 63 MB | 370 MB |
//!
//! A price changes in 16 ns; a document is written in 31 µs, and its share of the merging takes another 52 µs.
//!
//! # Not here
//!
//! Which rules a shop has: a [`Pattern`] says whether one is for a query, and the [`Query`] carries what it comes to.

#![forbid(unsafe_code)]

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod analysis;
mod arrangement;
mod attributes;
mod batch;
mod bitset;
mod budget;
mod category_nodes;
mod collect;
mod compaction;
mod counts;
mod cursor;
mod document;
mod explanation;
mod facet;
mod facet_query;
mod fields;
mod filter;
mod form_numbers;
mod forward;
mod head;
mod highlight;
mod impact;
mod index;
mod names;
mod near;
mod nouns;
mod numbers;
mod operators;
mod patterns;
mod phrases;
mod pieces;
mod postings;
mod product_types;
mod query;
mod rank;
mod refusal;
mod results;
mod row_values;
mod rows;
mod saved;
mod search;
mod segment;
mod signals;
mod similar;
mod split_table;
mod statistics;
mod stretches;
mod suggest;
mod synonyms;
mod wording;

pub use analysis::{Language, UnknownLanguage};
pub use arrangement::{BOOST_PERCENT_MAX, BOOSTS_MAX, Boost, HIDDEN_MAX, PINS_MAX, Pin};
pub use budget::{BUDGET, OVERSHOOT, Units};
pub use category_nodes::CategoryNode;
pub use counts::{ColumnStats, Facet, FacetCounts, FacetKey, FacetValue, PriceBucket, RatingBucket};
pub use cursor::{CURSOR_BYTES, Cursor, CursorError, Fingerprint, SortKey, Tier};
pub use document::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, AttributeValue, CATEGORY_DEPTH_MAX, DocKey, Document,
    DocumentError, FACETABLE_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX,
};
pub use explanation::{Explanation, ScoreOf, ScorePart};
pub use facet_query::{FACET_QUERY_KEYS_MAX, FacetQuery};
pub use highlight::{Highlighter, MARKED_BYTES_MAX, SNIPPET_BYTES_MAX};
pub use index::{BULK_ROWS_MAX, Columns, HEAD_TERMS_MAX, Index, Layout, Settings, Written};
pub use numbers::{NumberBucket, NumberStats};
pub use operators::{OPERATORS_MAX, has_operators, named_fields};
pub use patterns::{PATTERN_WORDS_MAX, Pattern, PatternError, PatternKind, Typed};
pub use query::{
    Elsewhere, FACET_LIMIT_MAX, FACETS_MAX, FILTER_VALUES_MAX, FILTERS_MAX, FacetField, FacetRequest, Filter, FilterValue, LIMIT_MAX,
    Matching, PROXIMITY_PERCENT_MAX, QUERY_BYTES_MAX, Query, Sort, TERMS_MAX, Words,
};
pub use rank::spelling::Spelling;
pub use refusal::QueryError;
pub use results::{Completion, Hit, Part, ProductSuggestion, ROUNDS_MAX, Results, Suggestions, merge, misjudged, unknown};
pub use saved::{Adopted, Current, SAVED_BYTES_MAX, SAVED_ROWS_MAX, Save, Saved, SavedError, Saving, SegmentInfo};
pub use search::Live;
pub use segment::SegmentId;
pub use signals::{SIGNAL_PERCENT_MAX, Signals};
pub use similar::{Frequencies, Profile, SIMILAR_CANDIDATES_MAX, SIMILAR_TERMS_MAX, SimilarQuery, SimilarTo, merge_similar};
pub use statistics::Statistics;
pub use synonyms::{SYNONYM_PAIRS_MAX, SYNONYM_WAYS_MAX, SYNONYM_WORDS_MAX, SYNONYMS_MAX, Synonym, SynonymError, Synonyms};
pub use wording::Wording;

//! Queries: what each mode asks, and the ten best.

use crate::make::{self, Fields};
use serde_json::json;
use std::{hint::black_box, path::Path};
use tantivy::{
    DocAddress, Searcher, Term,
    aggregation::{AggregationCollector, agg_req::Aggregations},
    collector::{Count, TopDocs},
    query::{BooleanQuery, BoostQuery, FuzzyTermQuery, Occur, Query, QueryParser, TermQuery},
    schema::{Field, IndexRecordOption},
};

pub const TOP: usize = 10;
const TITLE_BOOST: f32 = 3.0;
const BRAND_BOOST: f32 = 2.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Any of the stemmed terms.
    Any,
    /// All of them.
    All,
    /// Two searches, as whoever wants all terms first must make.
    Default,
    /// Any, in one category, counted by three facets, with price statistics and the number of hits.
    Filter,
    /// Whole words and the beginning of a last one, all of which must be in title or brand. Prefixes have one score.
    Prefix,
    /// Every word within one edit (short words as they are), and a ranked part for the words that are right.
    Fuzzy,
}

impl Mode {
    pub fn named(name: &str) -> Self {
        match name {
            "any" => Self::Any,
            "all" => Self::All,
            "default" => Self::Default,
            "filter" => Self::Filter,
            "prefix" => Self::Prefix,
            "fuzzy" => Self::Fuzzy,
            other => panic!("no mode {other}"),
        }
    }
}

pub struct Asker {
    searcher: Searcher,
    fields: Fields,
    any: QueryParser,
    all: QueryParser,
    plain: QueryParser,
    facets: Aggregations,
}

type Clause = (Occur, Box<dyn Query>);

impl Asker {
    pub fn open(folder: &Path) -> Self {
        let (index, fields) = make::open(folder);
        let stemmed = || {
            let mut parser = QueryParser::for_index(&index, fields.stemmed.to_vec());
            parser.set_field_boost(fields.stemmed[0], TITLE_BOOST);
            parser.set_field_boost(fields.stemmed[2], BRAND_BOOST);
            parser
        };
        let (any, mut all) = (stemmed(), stemmed());
        all.set_conjunction_by_default();
        let facets = json!({
            "brand": {"terms": {"field": "brand_value", "size": 20}},
            "category": {"terms": {"field": "category", "size": 20}},
            "colour": {"terms": {"field": "colour", "size": 20}},
            "price": {"stats": {"field": "price"}},
        });
        Self {
            searcher: index.reader().expect("a reader").searcher(),
            fields,
            any,
            all,
            plain: QueryParser::for_index(&index, fields.plain.to_vec()),
            facets: serde_json::from_value(facets).expect("aggregations"),
        }
    }

    pub fn documents(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// One query; `Default` has no single one.
    pub fn query(&self, mode: Mode, text: &str) -> Box<dyn Query> {
        // The parser has a syntax of its own, which shoppers do not write.
        let words: String = text.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }).collect();
        match mode {
            Mode::Any | Mode::Filter => self.any.parse_query_lenient(&words).0,
            Mode::All => self.all.parse_query_lenient(&words).0,
            Mode::Prefix => self.prefix(&words.to_lowercase()),
            Mode::Fuzzy => self.fuzzy(&words),
            Mode::Default => panic!("all, then any: two queries"),
        }
    }

    fn prefix(&self, words: &str) -> Box<dyn Query> {
        let [title, _, brand] = self.fields.plain;
        let mut words: Vec<&str> = words.split_whitespace().collect();
        let last = words.pop();
        let either = |query: &dyn Fn(Field) -> Box<dyn Query>| -> Clause {
            (Occur::Must, Box::new(BooleanQuery::union(vec![query(title), query(brand)])))
        };
        let whole = words
            .iter()
            .map(|word| either(&|field| Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))));
        let begun =
            last.iter().map(|word| either(&|field| Box::new(FuzzyTermQuery::new_prefix(Term::from_field_text(field, word), 0, true))));
        Box::new(BooleanQuery::new(whole.chain(begun).collect()))
    }

    fn fuzzy(&self, words: &str) -> Box<dyn Query> {
        let [title, body, brand] = self.fields.plain;
        let lower = words.to_lowercase();
        let near = lower.split_whitespace().map(|word| -> Clause {
            let edits = u8::from(word.len() >= 4);
            let within =
                |field: Field| -> Box<dyn Query> { Box::new(FuzzyTermQuery::new(Term::from_field_text(field, word), edits, true)) };
            let fields = vec![Box::new(BoostQuery::new(within(title), TITLE_BOOST)) as Box<dyn Query>, within(brand), within(body)];
            (Occur::Must, Box::new(BooleanQuery::union(fields)))
        });
        let near: Box<dyn Query> = Box::new(BooleanQuery::new(near.collect()));
        Box::new(BooleanQuery::new(vec![(Occur::Must, near), (Occur::Should, self.plain.parse_query_lenient(words).0)]))
    }

    /// Line numbers of the best.
    pub fn top(&self, query: &dyn Query, limit: usize) -> Vec<u64> {
        let found = self.searcher.search(query, &TopDocs::with_limit(limit).order_by_score()).expect("searched");
        found.into_iter().map(|(_, at)| self.number(at)).collect()
    }

    fn number(&self, at: DocAddress) -> u64 {
        let numbers = self.searcher.segment_reader(at.segment_ord).fast_fields().u64("number").expect("a fast field");
        numbers.first(at.doc_id).expect("each has one")
    }

    /// The category of the best hit; what `Filter` filters by.
    pub fn category(&self, text: &str) -> Option<String> {
        let found = self.searcher.search(&*self.query(Mode::Any, text), &TopDocs::with_limit(1).order_by_score()).expect("searched");
        let (_, at) = found.first()?;
        let values = self.searcher.segment_reader(at.segment_ord).fast_fields().str("category").expect("a fast field")?;
        let mut name = String::new();
        values.ord_to_str(values.term_ords(at.doc_id).next()?, &mut name).ok()?;
        Some(name)
    }

    /// Asks as the mode says; how many of the ten best there are.
    pub fn ask(&self, mode: Mode, text: &str, category: Option<&str>) -> usize {
        match mode {
            Mode::Default => {
                let all = black_box(self.top(&*self.query(Mode::All, text), TOP)).len();
                all.max(black_box(self.top(&*self.query(Mode::Any, text), TOP)).len())
            }
            Mode::Filter => {
                let query = self.within(self.query(mode, text), category);
                let facets = AggregationCollector::from_aggs(self.facets.clone(), Default::default());
                let collectors = (TopDocs::with_limit(TOP).order_by_score(), facets, Count);
                let (best, counts, total) = self.searcher.search(&*query, &collectors).expect("searched");
                black_box((counts, total));
                black_box(best.into_iter().map(|(_, at)| self.number(at)).collect::<Vec<_>>()).len()
            }
            Mode::Any | Mode::All | Mode::Prefix | Mode::Fuzzy => black_box(self.top(&*self.query(mode, text), TOP)).len(),
        }
    }

    fn within(&self, query: Box<dyn Query>, category: Option<&str>) -> Box<dyn Query> {
        let Some(category) = category else { return query };
        let term = TermQuery::new(Term::from_field_text(self.fields.category, category), IndexRecordOption::Basic);
        // Without weight: a filter.
        let filter = BoostQuery::new(Box::new(term), 0.0);
        Box::new(BooleanQuery::intersection(vec![query, Box::new(filter)]))
    }
}

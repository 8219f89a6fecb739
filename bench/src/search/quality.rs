//! Whether the answers are good: rankings against judgments, labels and known items.
//!
//! Path: query → pages of hits (of the judged set's own products, when several sets are in one index) → gains → [`super::metrics`] → [`Quality`] and, on request,
//! a [`Row`] a query. All of it outside of what is timed.

use super::{
    lines::{Shape, products},
    metrics,
    modes::{Mode, Shop},
    queries::{Judgments, Question, Typo},
};
use crate::server::BenchError;
use search_index::{DocKey, LIMIT_MAX, Query};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

/// Hits read for one ranking at most, those of other sets included: deeper ones change no figure that is shown.
const HITS_MAX: usize = 3_000;

/// Means over the queries.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Quality {
    /// Over the queries that have a gain above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ndcg10: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ndcg10_condensed: Option<f64>,
    /// Over all judged queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unjudged10: Option<f64>,
    /// Queries that NDCG is the mean of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) judged_queries: Option<usize>,
    /// Over all misspelt queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mrr10: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) success1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) success10: Option<f64>,
}

/// One query's answer.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    query_id: String,
    query: String,
    ids: Vec<String>,
    /// Null where no judged product has a gain.
    ndcg10: Option<f64>,
    /// Of misspelt queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    rr10: Option<f64>,
}

/// What the answers are judged by.
pub(super) struct Judges {
    /// Gains by query id.
    gains: BTreeMap<String, Gains>,
    /// Letter of the set whose products were judged.
    own: Option<&'static str>,
    /// Whether unjudged products mean something: not where labels cover all.
    pooled: bool,
    typos: Vec<(String, HashSet<DocKey>)>,
    /// Ids of a row.
    depth: usize,
    /// Whether ids are shown as the one product file has them.
    bare: bool,
}

#[derive(Default)]
struct Gains {
    of: HashMap<DocKey, f64>,
    ideal: f64,
}

impl Gains {
    /// Products that are not in the index count in the ideal all the same.
    fn new(judged: impl Iterator<Item = (Option<DocKey>, f64)>) -> Self {
        let (mut of, mut all) = (HashMap::new(), Vec::new());
        for (key, gain) in judged {
            all.push(gain);
            of.extend(key.map(|key| (key, gain)));
        }
        Self { of, ideal: metrics::ideal(all.into_iter()) }
    }
}

/// Letters that may have to go before the ids of a file, the one without first.
const LETTERS: [&str; 4] = ["", "i", "f", "b"];

impl Judges {
    pub(super) fn new(
        shop: &Shop,
        questions: &[Question],
        judgments: Option<&Judgments>,
        labels: &[PathBuf],
        typos: &[Typo],
        depth: usize,
        bare: bool,
    ) -> Result<Self, BenchError> {
        let keys = shop.known.keys();
        let find = |letter: &str, id: &str| keys.get(format!("{letter}{id}").as_str()).copied();
        let (mut gains, mut own) = (BTreeMap::new(), None);
        if let Some(judgments) = judgments {
            // Ids of the sets overlap: the letter under which most are found is meant.
            let hits = |letter: &&str| judgments.values().flatten().filter(|(id, _)| find(letter, id).is_some()).count();
            let letter = LETTERS.iter().rev().max_by_key(|letter| hits(letter)).copied().unwrap_or_default();
            for (query, judged) in judgments {
                gains.insert(query.clone(), Gains::new(judged.iter().map(|(id, gain)| (find(letter, id), *gain))));
            }
            let of_set = |letter: &&&str| judgments.values().flatten().any(|(id, _)| find("", id).is_some() && id.starts_with(**letter));
            own = if letter.is_empty() { LETTERS[1..].iter().find(of_set).copied() } else { Some(letter) };
        } else if questions.iter().any(|question| question.wanted.is_some()) {
            let mut products: Vec<_> = products(labels)
                .filter(|line| line.as_ref().map_or(true, |line| line.shape() == Shape::Fashion))
                .collect::<Result<_, _>>()?;
            products.retain(|product| product.article_type.is_some());
            if products.is_empty() {
                return Err(BenchError::other("want_json needs products with an article_type: give them as --products or --labels"));
            }
            for question in questions {
                let Some(wanted) = &question.wanted else { continue };
                let alike = products.iter().filter(|product| product.article_type.as_ref() == wanted.get("article_type"));
                let judged = alike.map(|product| {
                    let all = wanted.iter().all(|(name, value)| product.field(name) == Some(value));
                    (keys.get(product.full_id().as_str()).copied(), if all { 1.0 } else { 0.5 })
                });
                gains.insert(question.id.clone(), Gains::new(judged));
            }
            own = Some(Shape::Fashion.letter());
        }
        let relevant = |typo: &Typo| {
            let keys = typo.relevant.iter().filter_map(|id| LETTERS.iter().find_map(|letter| find(letter, id))).collect();
            (typo.text.clone(), keys)
        };
        Ok(Self { gains, own, pooled: judgments.is_some(), typos: typos.iter().map(relevant).collect(), depth, bare })
    }

    /// Asks everything in a mode.
    pub(super) fn measure(&self, shop: &Shop, questions: &[Question], mode: Mode) -> Result<(Quality, Vec<Row>), BenchError> {
        let (mut rows, mut asked) = (Vec::new(), HashMap::new());
        let (mut ndcg, mut condensed, mut unjudged) = (Vec::new(), Vec::new(), Vec::new());
        for question in questions {
            let gains = self.gains.get(&question.id);
            let hits = self.ranking(shop, mode.query(&question.text, shop)?, gains)?;
            let ranking: Vec<Option<f64>> = hits.iter().map(|key| gains.and_then(|gains| gains.of.get(key)).copied()).collect();
            let score = gains.filter(|gains| gains.ideal > 0.0).map(|gains| metrics::ndcg(&ranking, gains.ideal));
            rows.push(self.row(shop, question, &hits, score, None));
            asked.insert(question.id.as_str(), ranking);
        }
        // Over what was judged: a judged query that was not asked found nothing.
        for (id, gains) in &self.gains {
            let ranking = asked.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            unjudged.push(metrics::unjudged(ranking));
            if gains.ideal > 0.0 {
                ndcg.push(metrics::ndcg(ranking, gains.ideal));
                condensed.push(metrics::condensed(ranking, gains.ideal));
            }
        }
        let mut ranks = Vec::new();
        for (text, relevant) in &self.typos {
            let hits = first_page(shop, &mode.query(text, shop)?)?;
            let rank = metrics::reciprocal_rank(hits.iter().map(|key| relevant.contains(key)));
            let question = Question { id: text.clone(), text: text.clone(), wanted: None };
            rows.push(self.row(shop, &question, &hits, None, Some(rank)));
            ranks.push(rank);
        }
        let part =
            |wanted: &dyn Fn(f64) -> bool| metrics::mean(&ranks.iter().map(|rank| f64::from(u8::from(wanted(*rank)))).collect::<Vec<_>>());
        let quality = Quality {
            ndcg10: metrics::mean(&ndcg),
            ndcg10_condensed: metrics::mean(&condensed).filter(|_| self.pooled),
            unjudged10: metrics::mean(&unjudged).filter(|_| self.pooled),
            judged_queries: (!ndcg.is_empty()).then_some(ndcg.len()),
            mrr10: metrics::mean(&ranks),
            success1: part(&|rank| rank == 1.0),
            success10: part(&|rank| rank > 0.0),
        };
        Ok((quality, rows))
    }

    fn row(&self, shop: &Shop, question: &Question, hits: &[DocKey], ndcg10: Option<f64>, rr10: Option<f64>) -> Row {
        let id = |key: &DocKey| shop.known.id(*key)[usize::from(self.bare)..].to_owned();
        Row {
            query_id: question.id.clone(),
            query: question.text.clone(),
            ids: hits.iter().take(self.depth).map(id).collect(),
            ndcg10,
            rr10,
        }
    }

    /// Hits of the judged set, from the first on, until ten are judged (and as many as a row shows are there), at most [`HITS_MAX`] of all sets.
    fn ranking(&self, shop: &Shop, mut query: Query, gains: Option<&Gains>) -> Result<Vec<DocKey>, BenchError> {
        let (mut own, mut judged, mut read) = (Vec::new(), 0, 0);
        query.limit = LIMIT_MAX;
        loop {
            let results = shop.search(&query)?;
            read += results.hits.len();
            for hit in &results.hits {
                if self.own.is_none_or(|letter| shop.known.id(hit.key).starts_with(letter)) {
                    judged += usize::from(gains.is_some_and(|gains| gains.of.contains_key(&hit.key)));
                    own.push(hit.key);
                }
            }
            let enough = own.len() >= self.depth.max(metrics::AT) && (gains.is_none() || judged >= metrics::AT);
            query.after = results.next.filter(|_| !enough && read < HITS_MAX);
            if query.after.is_none() {
                return Ok(own);
            }
        }
    }
}

fn first_page(shop: &Shop, query: &Query) -> Result<Vec<DocKey>, BenchError> {
    Ok(shop.search(query)?.hits.iter().map(|hit| hit.key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::product::{Feed, Known};
    use search_index::{Index, Settings};

    const PRODUCTS: &str = r#"{"id":"i1","title":"red ink","body":""}
{"id":"i2","title":"blue ink","body":""}
{"id":"f1","title":"red shirt","body":""}
{"id":"f2","title":"red red shirt","body":""}
"#;

    fn shop(folder: &std::path::Path) -> Shop {
        let file = folder.join("products");
        std::fs::write(&file, PRODUCTS).expect("written");
        let mut known = Known::default();
        let mut feed = Feed::open(&[file], 1, &mut known).expect("it can be read");
        let index = Index::build(Settings::default(), &mut feed).expect("within bounds");
        drop(feed);
        Shop { index, known, sold_out: None }
    }

    fn question(id: &str, text: &str, wanted: Option<&str>) -> Question {
        let wanted = wanted.map(|json| serde_json::from_str(json).expect("JSON"));
        Question { id: id.into(), text: text.into(), wanted }
    }

    #[test]
    fn a_ranking_is_that_of_the_judged_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = shop(folder.path());
        // Ids as icecat has them: those of fashion would be as good, and are fewer. One product is not there.
        let judgments = Judgments::from([("q".into(), vec![("1".into(), 2.0), ("2".into(), 3.0), ("9".into(), 3.0)])]);
        let questions = [question("q", "red ink", None), question("unjudged", "shirt", None)];
        let judges = Judges::new(&shop, &questions, Some(&judgments), &[], &[], 10, false).expect("judges");
        let (quality, rows) = judges.measure(&shop, &questions, Mode::Any).expect("answers");
        assert_eq!((rows[0].ids.as_slice(), rows[1].ids.len()), (&["i1".to_owned(), "i2".to_owned()][..], 0), "no shirts");
        let second = 1.0 / 3.0_f64.log2();
        let wanted = (2.0 + 3.0 * second) / (3.0 + 3.0 * second + 2.0 / 2.0);
        assert!((quality.ndcg10.expect("judged") - wanted).abs() < 1e-9, "{quality:?}");
        assert_eq!((quality.ndcg10, quality.unjudged10, quality.judged_queries), (rows[0].ndcg10, Some(0.0), Some(1)));
        assert_eq!((rows[1].ndcg10, quality.mrr10), (None, None));
    }

    #[test]
    fn labels_come_from_the_attributes_that_are_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = shop(folder.path());
        let labels = folder.path().join("labels");
        let lines = "{\"id\":\"1\",\"article_type\":\"Shirts\",\"colour\":\"Red\"}\n{\"id\":\"2\",\"article_type\":\"Shirts\",\"colour\":\"Blue\"}\n";
        std::fs::write(&labels, lines).expect("written");
        let questions = [question("q", "red shirt", Some(r#"{"article_type":"Shirts","colour":"Blue"}"#))];
        let judges = Judges::new(&shop, &questions, None, &[labels], &[], 10, false).expect("judges");
        let gains = &judges.gains["q"].of;
        let of = |id: &str| gains.get(&shop.known.keys()[id]).copied();
        assert_eq!((of("f1"), of("f2"), of("i1")), (Some(0.5), Some(1.0), None));
        let nothing = Judges::new(&shop, &questions, None, &[], &[], 10, false).err().expect("no labels");
        assert!(nothing.to_string().contains("article_type"), "{nothing}");
    }

    #[test]
    fn misspelt_queries_are_ranked_over_all_sets() {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = shop(folder.path());
        let typo = |text: &str, relevant: &str| Typo { text: text.into(), relevant: vec![relevant.into()] };
        let typos = [typo("ink", "i2"), typo("shrt", "f1"), typo("zzzz", "f1")];
        let judges = Judges::new(&shop, &[], None, &[], &typos, 10, false).expect("judges");
        let (quality, rows) = judges.measure(&shop, &[], Mode::Default).expect("answers");
        let found: Vec<_> = rows.iter().map(|row| (row.ids.len(), row.rr10)).collect();
        assert_eq!(found, [(2, Some(0.5)), (2, Some(1.0)), (0, Some(0.0))]);
        assert_eq!((quality.mrr10, quality.success1, quality.success10), (Some(0.5), Some(1.0 / 3.0), Some(2.0 / 3.0)));
    }

    #[test]
    fn changes_are_seen_and_leave_the_index_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shop = shop(folder.path());
        let before = shop.index.columns(DocKey(0));
        let prices = crate::search::update::prices(&mut shop).expect("seen");
        let products = crate::search::update::products_anew(&mut shop, &[folder.path().join("products")]).expect("seen");
        assert_eq!((prices.ops, products.ops, shop.index.len(), shop.index.columns(DocKey(0))), (4, 1, 4, before));
    }
}

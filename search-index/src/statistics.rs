//! What several indexes have of a query's words together, so that all of them weigh these alike.
//!
//! Path: a query → each index counts who has its words, as they stand and by their pieces ([`Index::statistics`]) → the counts are added up → they go with the query to
//! every index, and a word weighs the same in all of them.
//! Without that, a word that one index has twice and another once weighs less in the first, and of two documents that say the same the one comes first that happens to be
//! in the second.
//! This is the first phase of what Elasticsearch calls a search by `dfs_query_then_fetch`.
//! Cost: a look into each dictionary for every word; no postings are read.

use crate::budget::Meter;
use crate::index::Index;
use crate::query::{Query, Words};
use crate::rank::weight;
use crate::rank::words::few_enough;
use crate::refusal::QueryError;

/// How many documents there are, and how many have each word of a query: of one index, or added up. For [`Query::statistics`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    documents: u64,
    /// Words that any document has as they stand.
    known: Words,
    /// In the order of the query's words, each followed by its pieces.
    with: Vec<(String, u64)>,
}

impl Statistics {
    /// Adds those of another index for the same query.
    pub fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.known = self.known.or(other.known);
        for (nth, (term, with)) in other.with.iter().enumerate() {
            match self.with.get_mut(nth) {
                Some((_, all)) => *all += with,
                None => self.with.push((term.clone(), *with)),
            }
        }
    }

    pub(crate) fn known(&self) -> Words {
        self.known
    }

    /// What a term weighs; `None` of one that nobody was asked about.
    pub(crate) fn weight(&self, term: &str) -> Option<u32> {
        let (_, with) = self.with.iter().find(|(known, _)| known == term)?;
        Some(weight(self.documents, *with))
    }
}

impl Index {
    /// What this index has of a query's words. Several indexes that are given the sum of it with [`Query::statistics`] score words alike and agree on which ones there are.
    ///
    /// ```
    /// use search_index::{DocKey, Document, Index, Query, Settings, Statistics, merge};
    /// let titled = |key, title: &str| Document { title: title.into(), ..Document::new(DocKey(key)) };
    /// let one = Index::build(Settings::default(), [titled(1, "Oak chair"), titled(2, "Oak table"), titled(3, "Lamp")])?;
    /// let other = Index::build(Settings::default(), [titled(4, "Oak chair"), titled(5, "Chair"), titled(6, "Chair")])?;
    /// let mut query = Query { text: Some("oak chair".into()), ..Query::default() };
    /// let scores = |query: &Query| -> Result<Vec<f32>, search_index::QueryError> {
    ///     let parts = vec![one.search_part(query, None)?, other.search_part(query, None)?];
    ///     Ok(merge(parts, query).hits[..2].iter().map(|hit| hit.score).collect())
    /// };
    /// let alone = scores(&query)?;
    /// assert_ne!(alone[0], alone[1]);
    ///
    /// let mut statistics = Statistics::default();
    /// statistics.add(&one.statistics(&query)?);
    /// statistics.add(&other.statistics(&query)?);
    /// query.statistics = Some(statistics.into());
    /// let together = scores(&query)?;
    /// assert_eq!(together[0], together[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`QueryError`] for a query over its bounds.
    pub fn statistics(&self, query: &Query) -> Result<Statistics, QueryError> {
        query.check()?;
        let operators = self.operators(query)?;
        let terms = self.analyzer.query(&operators.words, query.prefix).terms;
        few_enough(terms.len())?;
        let meter = Meter::new(query.budget);
        let index = self.known(&meter);
        let (mut known, mut with) = (Words::default(), Vec::with_capacity(terms.len()));
        for (place, term) in terms.into_iter().enumerate() {
            if index.has_term(&term) {
                known.insert(place);
            }
            for term in std::iter::once(term.term).chain(term.pieces.into_iter().flatten()) {
                let frequency = index.frequency(&term);
                with.push((term, frequency));
            }
        }
        Ok(Statistics { documents: self.len() as u64, known, with })
    }
}

//! Whether a query says a name in its own words: what a shop shows of a product by it.
//!
//! Path: a query's text → [`Index::wording`], its words folded and stemmed → [`Wording::says`] of the names that something has.

use std::collections::BTreeSet;

use crate::analysis::Analyzer;
use crate::index::Index;
use crate::query::Query;
use crate::refusal::QueryError;

/// The words of a query, its conditions on fields not among them.
pub struct Wording<'a> {
    analyzer: &'a Analyzer,
    words: BTreeSet<String>,
}

impl Index {
    /// The words of a query's text. O(the text).
    ///
    /// # Errors
    /// A text over its bounds.
    pub fn wording(&self, query: &Query) -> Result<Wording<'_>, QueryError> {
        let operators = self.operators(query)?;
        let terms = self.analyzer.query_terms(&operators.words, false);
        Ok(Wording { analyzer: &self.analyzer, words: terms.into_iter().map(|term| term.term).collect() })
    }
}

impl Wording<'_> {
    /// Whether all words of a name are there, in any order and form; none are of a name without words. O(the name).
    ///
    /// ```
    /// use search_index::{Index, Query, Settings};
    /// let index = Index::new(Settings::default());
    /// let query = Query { text: Some("dark-blue shirts, XL".into()), ..Query::default() };
    /// let wording = index.wording(&query)?;
    /// assert!(wording.says("Dark blue") && wording.says("Blue") && wording.says("xl") && !wording.says("light blue") && !wording.says("-"));
    /// # Ok::<(), search_index::QueryError>(())
    /// ```
    #[must_use]
    pub fn says(&self, name: &str) -> bool {
        let words = self.analyzer.phrase(name);
        !words.is_empty() && words.iter().all(|word| self.words.contains(word))
    }
}

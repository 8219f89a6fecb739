//! Which words of a shown text a query found.
//!
//! Path: query text → its terms, once → `Highlighter::ranges` for each shown text → byte ranges of words with one of the terms.
//! The index keeps no text, so the caller passes the field it shows; analysis is the index's own, so what matched is what lights up.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::analysis::{Analyzer, QueryTerm, fold};
use crate::operators::Operators;
use crate::query::QUERY_BYTES_MAX;

/// Finds a query's words in texts.
///
/// ```
/// let highlighter = search_index::Highlighter::new("ink cartridges for hp80");
/// let text = "HP 80 Ink Cartridge";
/// let words: Vec<&str> = highlighter.ranges(text).into_iter().map(|range| &text[range]).collect();
/// assert_eq!(words, ["HP", "80", "Ink", "Cartridge"]);
/// ```
pub struct Highlighter {
    analyzer: Analyzer,
    terms: Vec<String>,
}

impl Highlighter {
    /// For a query's text; a text over [`QUERY_BYTES_MAX`] bytes, which no search takes, finds nothing.
    #[must_use]
    pub fn new(query: &str) -> Self {
        let analyzer = Analyzer::default();
        // What the search refuses finds nothing.
        let operators =
            if query.len() <= QUERY_BYTES_MAX { Operators::of(query, &analyzer).unwrap_or_default() } else { Operators::default() };
        let found = analyzer.query_terms(&operators.words, false);
        let terms = found.into_iter().flat_map(|QueryTerm { term, pieces, .. }| pieces.into_iter().flatten().chain([term])).collect();
        Self { analyzer, terms }
    }

    /// Byte ranges of matching words, ascending, on character boundaries, not overlapping. O(text · terms).
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        if self.terms.is_empty() {
            return Vec::new();
        }
        let found = |word: &str| {
            let mut found = false;
            Analyzer::document_tokens(&fold(word), |token, _| {
                let term = self.analyzer.stem(token);
                found |= self.terms.iter().any(|wanted| *wanted == term);
            });
            found
        };
        text.unicode_word_indices().filter(|(_, word)| found(word)).map(|(at, word)| at..at + word.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Query, text with the words that light up in brackets.
    fn words_light_up() {
        for (query, marked) in [
            ("ink cartridge", "[Ink] [Cartridges], 3 pieces of [ink]"),
            ("cafe", "Grand [Café] Müller"),
            ("tn2110", "Brother [TN]-[2110] toner"),
            ("8 gb", "with [8GB] of memory"),
            ("men", "[Men's] shoes"),
            ("the lamp", "the [lamp]"),
            ("zzzz", "nothing here"),
            ("", "nothing asked"),
            ("lamp", ""),
        ] {
            let text = marked.replace(['[', ']'], "");
            let mut shown = text.clone();
            for range in Highlighter::new(query).ranges(&text).into_iter().rev() {
                shown.insert(range.end, ']');
                shown.insert(range.start, '[');
            }
            assert_eq!(shown, marked, "{query}");
        }
        assert_eq!(Highlighter::new(&"lamp ".repeat(300)).ranges("lamp"), []);
    }
}

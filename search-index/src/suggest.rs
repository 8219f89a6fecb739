//! Finishing what is being typed.
//!
//! Path: text → earlier words (matched as a search matches) and the beginning of a last word → unstemmed title words in the
//! dictionaries → counts among the documents with the earlier words → completions, and the most popular of those documents.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::analysis::{TOKEN_BYTES_MAX, cjk, last_word};
use crate::bitset::Bitset;
use crate::budget::{BUDGET, Meter, Stage, cost};
use crate::index::Index;
use crate::postings::{List, Store, TITLE_MARK};
use crate::query::{LIMIT_MAX, QUERY_BYTES_MAX, Query};
use crate::rank::{Beside, resolve};
use crate::results::{Completion, ProductSuggestion, Suggestions};

/// Dictionary entries read a segment for one prefix; in byte order, so a one-letter prefix may miss frequent words late in the alphabet.
const PREFIX_TERMS_MAX: usize = 4096;
/// Completions counted among the documents with the earlier words: the most frequent ones.
const CANDIDATES_MAX: usize = 64;
/// Postings read for product suggestions.
const PRODUCT_POSTINGS_MAX: usize = 1 << 16;

impl Index {
    /// Completes the last word of `text` and names popular documents for it.
    ///
    /// Completions are title words, ranked by the documents that have them and the earlier words; they come in lower case without
    /// diacritics. When no document has the earlier words, they are kept but not looked for. Text that ends in a space or sign, or over
    /// [`QUERY_BYTES_MAX`] bytes, has no last word and no suggestions. `limit` applies to each list, at most [`LIMIT_MAX`]. It makes no more work than
    /// [`BUDGET`] and an [`OVERSHOOT`](crate::OVERSHOOT), and says if that was too little.
    #[must_use]
    pub fn suggest(&self, text: &str, limit: usize) -> Suggestions {
        let limit = limit.min(LIMIT_MAX);
        if text.len() > QUERY_BYTES_MAX || limit == 0 {
            return Suggestions::default();
        }
        let folded = self.analyzer.fold(text);
        let (earlier, prefix) = folded.split_at(last_word(&folded));
        if prefix.is_empty() || prefix.len() > TOKEN_BYTES_MAX {
            return Suggestions::default();
        }
        let meter = Meter::new(BUDGET);
        // Without spaces nothing says where a word ends: what was typed is kept whole, and goes on by one character.
        let in_run = cjk::is_of_run(prefix);
        let pair = prefix;
        let (earlier, prefix) = if in_run { folded.split_at(earlier.len() + cjk::last_character(prefix)) } else { (earlier, prefix) };
        let context = self.context(if in_run { &folded } else { earlier }, &meter);
        if in_run && context.is_none() {
            return Suggestions { partial: meter.is_cut(), ..Suggestions::default() };
        }
        let among = |row: u32| self.rows.live.contains(row) && context.as_ref().is_none_or(|set| set.contains(row));
        let mut completions = Vec::new();
        let (mut products, mut read) = (Bitset::default(), 0);
        let mut candidates = self.candidates(prefix, &meter);
        if pair.len() > prefix.len() {
            // A word that is this character alone stands elsewhere; what was typed may be all there is.
            candidates.retain(|(term, _)| term[1..] != *prefix.as_bytes());
            candidates.push(([&[TITLE_MARK], pair.as_bytes()].concat(), 0));
        }
        for (term, frequency) in candidates {
            if !meter.may_go_on() {
                break;
            }
            let mut of_head = Store::default();
            of_head.push(self.head.postings(&term));
            let mut lists = self.in_segments(&term);
            lists.push(of_head.list(0));
            let postings: usize = lists.iter().map(List::len).sum();
            meter.charge(cost::TERM + if context.is_some() { postings as u64 * 2 * cost::COLUMN } else { 0 });
            let count = match &context {
                None => frequency,
                Some(_) => lists.iter().flat_map(|list| list.iter()).filter(|(row, _)| among(*row)).count() as u64,
            };
            if count == 0 {
                continue;
            }
            for list in &lists {
                if read < PRODUCT_POSTINGS_MAX {
                    read += list.len();
                    meter.charge(list.len() as u64 * cost::COLUMN);
                    list.iter().filter(|(row, _)| among(*row)).for_each(|(row, _)| products.insert(row));
                }
            }
            let word = String::from_utf8_lossy(&term[1..]);
            let text = if in_run && *word == *pair { folded.clone() } else { format!("{earlier}{word}") };
            completions.push(Completion { text, count });
        }
        completions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        completions.truncate(limit);
        let mut products: Vec<ProductSuggestion> = products
            .iter()
            .map(|row| ProductSuggestion { key: self.rows.keys[row as usize], popularity: self.rows.popularities[row as usize] })
            .collect();
        products.sort_unstable_by_key(|product| (!product.popularity, product.key));
        products.truncate(limit);
        Suggestions { completions, products, partial: meter.is_cut() }
    }

    /// Documents with all earlier words; `None` when there are no such words or no such documents.
    fn context(&self, earlier: &str, meter: &Meter) -> Option<Bitset> {
        let terms = self.analyzer.query_terms(earlier, false);
        if terms.is_empty() {
            return None;
        }
        let mut of_head = Store::default();
        let words = self.known(meter).understand(terms, &Query { typos: false, ..Query::default() }).ok()?.words;
        let found = resolve(&words, (&[], 0), &Beside::nothing(meter), &self.segments, &self.head, &self.rows, &mut of_head);
        meter.begin(Stage::Sets);
        let found = found.all_rows(&self.rows.live);
        meter.begin(Stage::Answer);
        (found.count() > 0).then_some(found)
    }

    /// The most frequent title words with the prefix, marked as in the dictionary.
    fn candidates(&self, prefix: &str, meter: &Meter) -> Vec<(Vec<u8>, u64)> {
        let mut marked = vec![TITLE_MARK];
        marked.extend_from_slice(prefix.as_bytes());
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for segment in &self.segments {
            let mut read = 0;
            segment.for_each_with_prefix(&marked, |term, live| {
                *counts.entry(term.to_vec()).or_default() += live;
                read += 1;
                read < PREFIX_TERMS_MAX && meter.may_spend(2 * cost::FORM)
            });
        }
        for (term, count) in self.head.terms_with_prefix(&marked) {
            *counts.entry(term.to_vec()).or_default() += count;
        }
        let mut counts: Vec<(Vec<u8>, u64)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(CANDIDATES_MAX);
        counts
    }

    fn in_segments(&self, term: &[u8]) -> SmallVec<[List<'_>; 8]> {
        self.segments.iter().filter_map(|segment| segment.postings(term).map(|(list, _)| list)).collect()
    }
}

//! What is like a document, counted word by word.

use std::cmp::Reverse;

use search_index::{DocKey, Document, Filter, Signals};

use super::score::{of_signals, weight};
use super::{Model, STOP_WORD, has_stop_word, impact, passes, said, shown, title_impact};

impl Model {
    /// Keys and scores of what is like a document, the likest first; `None` if there is no such document. The words here are too few to be cut.
    pub(crate) fn similar(&self, key: DocKey, filters: &[Filter], signals: Signals) -> Option<Vec<(DocKey, f32)>> {
        let of = self.documents.get(&key)?;
        let n = self.documents.len();
        let having = |word: &str| self.documents.values().filter(|document| impact(document, word) > 0).count();
        let said = said().into_iter().filter(|word| !(has_stop_word(self.language) && *word == STOP_WORD) && impact(of, word) > 0);
        let weighed: Vec<(&str, u32)> = said.map(|word| (word, (weight(n, having(word)) * impact(of, word) / 255).max(1))).collect();
        let (shared, own): (Vec<_>, Vec<_>) = weighed.into_iter().partition(|(word, _)| having(word) > 1);
        let all = i64::from(shared.iter().map(|(_, weight)| weight).sum::<u32>()) * 255;
        let boosts = near(of);
        let score = |document: &Document| {
            let words: u32 = shared.iter().map(|(word, weight)| weight * impact(document, word)).sum();
            let percent: i64 = boosts.iter().filter(|(filter, _)| passes(document, filter)).map(|(_, percent)| percent).sum();
            (i64::from(words), i64::from(words) + all * percent / 100)
        };
        let of_own: u32 = own.iter().filter(|(word, _)| title_impact(of, word) > 0).map(|(word, weight)| weight * impact(of, word)).sum();
        let least = (score(of).1 + i64::from(of_own)) * 25 / 100;
        let mut found: Vec<(Reverse<i64>, DocKey)> = Vec::new();
        for document in self.documents.values().filter(|document| document.key != key) {
            let (words, score) = score(document);
            let score = score + of_signals(document, all, signals).iter().map(|(_, score)| score).sum::<i64>();
            if words > 0 && score > least && filters.iter().all(|filter| passes(document, filter)) {
                found.push((Reverse(score), document.key));
            }
        }
        found.sort_unstable();
        Some(found.into_iter().map(|(Reverse(score), key)| (key, shown(score))).collect())
    }
}

/// Places that are near, with what they are worth in hundredths.
fn near(of: &Document) -> Vec<(Filter, i64)> {
    let mut path = of.category.clone();
    path.dedup();
    let in_category = |(key, percent): (&String, i64)| (Filter::Category(vec![key.clone()]), percent);
    let mut near: Vec<(Filter, i64)> = path.iter().rev().zip([15, 10]).map(in_category).collect();
    if let Some(price) = of.price.filter(|price| *price > 0) {
        let ends = [(price * 3 / 4, price * 4 / 3), (price / 2, price * 2)];
        near.extend(ends.map(|(min, max)| (Filter::Price { min: Some(min), max: Some(max) }, 5)));
    }
    near
}

//! What a document that matches gets for a query: each part of it as it is defined.

use search_index::{Document, Query, Signals};

use super::{Model, STOP_WORD, in_stock, passes, title_impact};

impl Model {
    pub(super) fn score(&self, document: &Document, terms: &[&str], left_out: bool, query: &Query) -> u32 {
        let n = self.documents.len() as f64;
        let weight_of = |term: &str| {
            let df = self.documents.values().filter(|document| self.of_word(document, term, query) > 0).count() as f64;
            (256.0 * (1.0 + (n - df + 0.5) / (df + 0.5)).ln()).round().max(1.0) as u32
        };
        let of_term = |term: &&str| {
            let weight = weight_of(term);
            weight * self.of_word(document, term, query) + weight * 12 / 100 * self.of_title(document, term, query)
        };
        let sum = terms.iter().map(of_term).sum::<u32>()
            + if left_out { 256 * title_impact(document, STOP_WORD) } else { 0 }
            + self.of_categories(document, terms, &weight_of, query);
        let boosts = query.boosts.iter().filter(|boost| passes(document, &boost.filter));
        let percent: i64 = boosts.map(|boost| i64::from(boost.percent)).sum();
        let most = i64::from(terms.iter().map(|term| weight_of(term)).sum::<u32>()) * 255;
        (i64::from(sum) + most * percent.clamp(-400, 400) / 100).max(1) as u32 + of_signals(document, most as u64, query.signals)
    }

    /// What a document gets for being in categories that the query names.
    fn of_categories(&self, document: &Document, terms: &[&str], weight_of: &dyn Fn(&str) -> u32, query: &Query) -> u32 {
        let mut sum = 0;
        for from in 0..terms.len() {
            for to in from..terms.len() {
                let name = terms[from..=to].iter().map(|term| self.name(term, query)).collect::<Vec<_>>().join(" ");
                let is_called = |key: &&String| key.rsplit('/').next() == Some(&name);
                if document.category.iter().any(|key| is_called(&key)) {
                    sum += terms[from..=to].iter().map(|term| weight_of(term)).sum::<u32>() * 255 * 25 / 100;
                }
            }
        }
        sum
    }
}

/// What it gets for what a shop knows of it; `most` is what all words can give.
fn of_signals(document: &Document, most: u64, signals: Signals) -> u32 {
    let worth = |percent: u16| most * u64::from(percent) / 100;
    let doublings = match document.popularity {
        ..=0 => 0.0,
        popularity => {
            // Straight between powers of two, as far as the eighth digit behind the first.
            let power = popularity.ilog2();
            f64::from(power + 1) + ((popularity as f64 / 2_f64.powi(power as i32) - 1.0) * 256.0).floor() / 256.0
        }
    };
    let popularity = (doublings.min(21.0) * 255.0 / 21.0).floor() as u64;
    let rating = u64::from(document.rating.unwrap_or(0).min(500));
    let stock = if in_stock(document.key) { worth(signals.in_stock) } else { 0 };
    (worth(signals.popularity) * popularity / 255 + worth(signals.rating) * rating / 500 + stock) as u32
}

//! What a document that matches gets for a query: each part of it as it is defined.

use std::collections::BTreeSet;
use std::ops::Range;

use search_index::{AttributeValue, Document, Query, ScoreOf, Signals};

use super::{Model, STOP_WORD, called, impact, in_stock, in_words, passes, title_impact, words_of};

/// A part of a score, and what it is for: as [`label`] has it.
pub(crate) type Part = (String, i64);

/// What a part of a score is for, without what may be one or another of several that weigh the same.
pub(crate) fn label(what: &ScoreOf) -> String {
    match what {
        ScoreOf::Word { typed, found } => format!("{typed}{}", if found.is_some() { " otherwise" } else { "" }),
        ScoreOf::TitleAsTyped { .. } => "title".into(),
        ScoreOf::StopWord { word } => format!("stop word {word}"),
        ScoreOf::Category { name } => format!("category {}", called(name.rsplit('/').next().unwrap_or(name))),
        ScoreOf::ProductType { name } => format!("type {name}"),
        ScoreOf::SideBySide { words: [first, second] } => format!("{first} beside {second}"),
        ScoreOf::Boost { nth } => format!("boost {nth}"),
        other => format!("{other:?}"),
    }
}

impl Model {
    /// What a document with any of the terms has its score of, but for parts of 0.
    pub(super) fn parts(&self, document: &Document, terms: &[&str], left_out: bool, query: &Query) -> Vec<Part> {
        let having = |term: &str| self.documents.values().filter(|document| self.of_word(document, term, query) > 0).count();
        let weight_of = |term: &str| weight(self.documents.len(), having(term));
        let mut parts: Vec<Part> = Vec::new();
        for term in terms {
            let (all, itself) = (self.of_word(document, term, query), impact(document, term));
            parts.push((format!("{term}{}", if itself < all { " otherwise" } else { "" }), (weight_of(term) * all).into()));
        }
        for term in terms {
            parts.push(("title".into(), (weight_of(term) * 12 / 100 * self.of_title(document, term, query)).into()));
        }
        if left_out {
            parts.push((format!("stop word {STOP_WORD}"), (256 * title_impact(document, STOP_WORD)).into()));
        }
        parts.extend(self.of_names(document, terms, &weight_of, query));
        for pair in terms.windows(2).filter(|pair| query.proximity > 0 && self.are_side_by_side(document, pair, query)) {
            let words = weight_of(pair[0]) + weight_of(pair[1]);
            parts.push((format!("{} beside {}", pair[0], pair[1]), (words * 255 / 100 * u32::from(query.proximity)).into()));
        }
        let sum: i64 = parts.iter().map(|(_, score)| score).sum();
        let most = i64::from(terms.iter().map(|term| weight_of(term)).sum::<u32>()) * 255;
        let boosted = |boosts: usize| {
            let boosts = query.boosts[..boosts].iter().filter(|boost| passes(document, &boost.filter));
            let percents: Vec<i64> = boosts.map(|boost| i64::from(boost.percent)).collect();
            if percents.is_empty() { sum } else { (sum + most * percents.iter().sum::<i64>().clamp(-400, 400) / 100).max(1) }
        };
        parts.extend((0..query.boosts.len()).map(|nth| (format!("boost {nth}"), boosted(nth + 1) - boosted(nth))));
        parts.extend(of_signals(document, most, query.signals));
        parts.retain(|(_, score)| *score != 0);
        parts
    }

    /// Whether a title has two words side by side, in either order, each as it was typed, meant or may be said in one word.
    fn are_side_by_side(&self, document: &Document, pair: &[&str], query: &Query) -> bool {
        let stands_for = |nth: usize| {
            let ways = self.ways_of(pair[nth], query).into_iter().filter(|way| words_of(way).len() == 1);
            [pair[nth]].into_iter().chain(self.meant(pair[nth], query)).chain(ways).collect::<Vec<&str>>()
        };
        let (first, second) = (stands_for(0), stands_for(1));
        let title = document.title.to_lowercase();
        words_of(&title).windows(2).any(|two| {
            let is = |one: &str, other: &str| first.contains(&one) && second.contains(&other);
            is(two[0], two[1]) || is(two[1], two[0])
        })
    }

    /// What a document gets for being in categories that the query names, and for being of types that it names.
    fn of_names(&self, document: &Document, terms: &[&str], weight_of: &dyn Fn(&str) -> u32, query: &Query) -> Vec<Part> {
        let mut names: Vec<(String, Range<usize>)> = Vec::new();
        for from in 0..terms.len() {
            for to in from..terms.len() {
                names.push((terms[from..=to].iter().map(|term| self.name(term, query)).collect::<Vec<_>>().join(" "), from..to + 1));
            }
        }
        // Other ways to say it, each of the longest stretches of words that all have it.
        let says = |nth: usize| -> BTreeSet<String> {
            self.ways_of(terms[nth], query).into_iter().map(in_words).filter(|way| *way != terms[nth]).collect()
        };
        let says: Vec<BTreeSet<String>> = (0..terms.len()).map(says).collect();
        for way in says.iter().flatten().collect::<BTreeSet<_>>() {
            let mut from = 0;
            for stretch in says.chunk_by(|a, b| a.contains(way) == b.contains(way)) {
                if stretch[0].contains(way) {
                    names.push((way.clone(), from..from + stretch.len()));
                }
                from += stretch.len();
            }
        }
        let mut parts = Vec::new();
        for (name, stretch) in names {
            let words: u32 = terms[stretch].iter().map(|term| weight_of(term)).sum();
            if document.category.iter().any(|key| key.rsplit('/').next().is_some_and(|last| called(last) == name)) {
                parts.push((format!("category {name}"), (words * 255 * 25 / 100).into()));
            }
            let is_type = |(attribute, value): &(String, AttributeValue)| {
                attribute == "product_type" && matches!(value, AttributeValue::Text(text) | AttributeValue::Keyword(text) if *text == name)
            };
            if document.attributes.iter().any(is_type) {
                parts.push((format!("type {name}"), (words * 255 * 60 / 100).into()));
            }
        }
        parts
    }
}

/// What a word weighs that so many of all documents have.
pub(super) fn weight(documents: usize, having: usize) -> u32 {
    let (n, df) = (documents as f64, having as f64);
    (256.0 * (1.0 + (n - df + 0.5) / (df + 0.5)).ln()).round().max(1.0) as u32
}

/// What it gets for what a shop knows of it; `most` is what all words can give.
pub(super) fn of_signals(document: &Document, most: i64, signals: Signals) -> [Part; 4] {
    let worth = |percent: u16| most * i64::from(percent) / 100;
    let doublings = match document.popularity {
        ..=0 => 0.0,
        popularity => {
            // Straight between powers of two, as far as the eighth digit behind the first.
            let power = popularity.ilog2();
            f64::from(power + 1) + ((popularity as f64 / 2_f64.powi(power as i32) - 1.0) * 256.0).floor() / 256.0
        }
    };
    let popularity = (doublings.min(21.0) * 255.0 / 21.0).floor() as i64;
    let rating = i64::from(document.rating.unwrap_or(0).min(500));
    [
        ("Popularity".into(), worth(signals.popularity) * popularity / 255),
        ("Rating".into(), worth(signals.rating) * rating / 500),
        ("InStock".into(), if in_stock(document.key) { worth(signals.in_stock) } else { 0 }),
        ("Margin".into(), worth(signals.margin) * i64::from(document.margin.clamp(0, 100)) / 100),
    ]
}

//! What a row's score was added up from.
//!
//! Path: a row that is to be shown → the part of the index that it is in → what each list gave it, as [`Resolved`] has them → for each the term that stands behind
//! it: the alternative that weighs the most → names of categories, words side by side, boosts and signals → [`Explanation`].
//! Nothing here is done for a query that does not ask. O(words · alternatives · log) a row.

use super::called::What;
use super::extras::Kind;
use super::groups::Likeness;
use super::words::{Known, Word};
use super::{Resolved, shown};
use crate::budget::cost;
use crate::explanation::{Explanation, ScoreOf, ScorePart};
use crate::head::Head;
use crate::phrases;
use crate::segment::Segment;
use crate::synonyms::Way;

/// What was looked for, by its names.
pub(crate) struct Asked<'a> {
    /// The distinct words of the text as they were typed, folded.
    pub(crate) typed: &'a [String],
    /// What became of them.
    pub(crate) words: &'a [Word],
}

/// The part of an index that has a row.
enum Home<'a> {
    /// With the row's place in it.
    Segment(&'a Segment, usize),
    Head(&'a Head),
}

impl Home<'_> {
    /// What a term weighs in the row.
    fn impact(&self, term: &[u8], row: u32) -> Option<u8> {
        match self {
            Self::Segment(segment, _) => segment.postings(term)?.0.find(row),
            Self::Head(head) => head.postings(term).find(|(other, _)| *other == row).map(|(_, impact)| impact),
        }
    }

    /// What words that stand side by side weigh in it.
    fn impact_of_way(&self, way: &Way, row: u32, known: &Known<'_>) -> Option<u8> {
        known.meter.charge(way.len() as u64 * cost::TERM + cost::SHEET);
        match self {
            Self::Segment(segment, nth) => phrases::in_row(segment, way, *nth),
            Self::Head(head) => {
                let mut found = None;
                head.with_phrase(way, None, (known.meter, &|other| other == row), |_, impact| found = Some(impact));
                found
            }
        }
    }

    /// The terms of words that begin with one and go on, in no order.
    fn longer(&self, form: &str, known: &Known<'_>) -> Vec<String> {
        match self {
            Self::Segment(segment, _) => {
                let mut found = Vec::new();
                segment.each_longer_form(form, known.meter, |longer| {
                    known.meter.charge(cost::STEM + cost::TERM);
                    found.push(known.analyzer.stem(longer).into_owned());
                });
                found
            }
            Self::Head(head) => head.beginning(form).into_iter().map(|term| String::from_utf8_lossy(term).into_owned()).collect(),
        }
    }
}

impl Resolved<'_> {
    /// Why a row has this score; nothing where the budget ends before that is found. What it gets for being in stock is what the rest leaves: the answer may change
    /// from one moment to the next.
    pub(crate) fn explain(&self, row: u32, score: u32, asked: &Asked<'_>, known: &Known<'_>) -> Explanation {
        let mut parts = Vec::new();
        let Some(of_lists) = self.of_lists(row).filter(|_| score > 0 && known.meter.may_go_on()) else { return Explanation::default() };
        known.meter.charge(of_lists.len() as u64 * (cost::TERM + cost::FIND));
        let in_segment = |segment: &'_ Segment| segment.forward().find(row);
        let home = known.segments.iter().find_map(|segment| Some(Home::Segment(segment, in_segment(segment)?)));
        let home = home.unwrap_or(Home::Head(known.head));
        let mut add = |what: ScoreOf, score: i64| {
            if score != 0 {
                parts.push(ScorePart { what, score: shown_of(score) });
            }
        };
        let (of_words, of_extras) = of_lists.split_at(self.terms);
        for (word, score) in asked.words.iter().zip(of_words).filter(|(_, score)| **score > 0) {
            let typed = asked.typed[usize::from(word.place())].clone();
            let found = word.found_as(&home, row, known).filter(|found| *found != word.term || word.form != typed);
            add(ScoreOf::Word { typed, found }, i64::from(*score));
        }
        for (extra, score) in self.extras.iter().zip(of_extras).filter(|(_, score)| **score > 0) {
            let found = extra.terms().filter_map(|term| Some((term, home.impact(term, row)?))).rev().max_by_key(|(_, impact)| *impact);
            // Behind the mark.
            let found = found.map_or(String::new(), |(term, _)| String::from_utf8_lossy(&term[1..]).into_owned());
            let what = match extra.kind() {
                Kind::AsTyped { .. } => ScoreOf::TitleAsTyped { word: found },
                Kind::About { nth } => {
                    let word = &asked.words[nth];
                    ScoreOf::About { word: if found == word.term { word.form.clone() } else { found } }
                }
                Kind::Stop => ScoreOf::StopWord { word: found },
            };
            add(what, i64::from(*score));
        }
        let mut sum: u32 = of_lists.iter().sum();
        for (what, (name, score)) in self.called.iter().filter_map(|called| Some((called.what, called.explain(row)?))) {
            sum += score;
            let name = name.to_owned();
            let what = match what {
                What::Category => ScoreOf::Category { name },
                What::ProductType => ScoreOf::ProductType { name },
            };
            add(what, i64::from(score));
        }
        for (nth, score) in self.proximity.of_row(row, known.meter) {
            sum += score;
            let form = |nth: usize| asked.words[nth].form.clone();
            add(ScoreOf::SideBySide { words: [form(nth), form(nth + 1)] }, i64::from(score));
        }
        for (nth, change) in self.boosts.explain(row, sum) {
            add(ScoreOf::Boost { nth }, change);
        }
        let (popularity, rating, margin) = (self.shares.of_popularity(row), self.shares.of_rating(row), self.shares.of_margin(row));
        let stock = i64::from(score) - i64::from(self.boosts.of_row(row, sum) + popularity + rating + margin);
        debug_assert!(stock == 0 || stock == i64::from(self.shares.stock_bound()), "{stock} is left of the score of row {row}");
        add(ScoreOf::Popularity, i64::from(popularity));
        add(ScoreOf::Rating, i64::from(rating));
        add(ScoreOf::InStock, stock);
        add(ScoreOf::Margin, i64::from(margin));
        // Of longer words perhaps not all were looked at.
        if known.meter.may_go_on() { Explanation { parts } } else { Explanation::default() }
    }
}

impl Word {
    /// The term, or the words side by side, that weigh the most in a row; of equals the first, from the word itself on.
    fn found_as(&self, home: &Home<'_>, row: u32, known: &Known<'_>) -> Option<String> {
        let others = self.others.iter().map(|(term, likeness)| (term.clone(), *likeness));
        let longer = if self.goes_on { home.longer(&self.form, known) } else { Vec::new() };
        let longer = longer.into_iter().filter(|term| *term != self.term).map(|term| (term, Likeness::Longer));
        let terms = [(self.term.clone(), Likeness::Same)].into_iter().chain(others).chain(longer);
        let terms = terms.filter_map(|(term, likeness)| Some((likeness.share(home.impact(term.as_bytes(), row)?), term)));
        let ways = self.phrases.iter().filter_map(|way| Some((home.impact_of_way(way, row, known)?, way.join(" "))));
        let mut best: Option<(u8, String)> = None;
        for (impact, name) in terms.chain(ways) {
            if best.as_ref().is_none_or(|(most, _)| impact > *most) {
                best = Some((impact, name));
            }
        }
        best.map(|(_, name)| name)
    }
}

/// As [`shown`], of what may be below 0.
fn shown_of(score: i64) -> f32 {
    let size = shown(u32::try_from(score.unsigned_abs()).unwrap_or(u32::MAX));
    if score < 0 { -size } else { size }
}

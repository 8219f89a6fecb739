//! Which rows match a text, and how well.
//!
//! Path: query terms → [`words`] (what each stands for) → [`resolve`] (a list a word in each part of the index, frequencies over all; several terms that
//! stand for one word become one list, see [`groups`]) → [`windows`] (the best rows, as few lists read as
//! these need) or [`sets`] (all rows, where they are to be counted). What makes a row that matches the better for it is in [`extras`], [`called`], [`proximity`], [`boosts`]
//! and [`signals`];
//! [`explain`] tells what it was for a row that is shown.
//! A term costs one list, however many fields there are (`impact`). A score is a sum of `weight · impact` in integers: it depends neither on the order
//! of the terms, nor on the part of the index that a row is in, nor on which way found it, and equal ones are equal.

mod boosts;
mod called;
pub(crate) mod doubt;
pub(crate) mod explain;
mod extras;
mod groups;
mod proximity;
pub(crate) mod sets;
pub(crate) mod signals;
pub(crate) mod spelling;
mod ways;
pub(crate) mod weighed;
pub(crate) mod windows;
pub(crate) mod words;

use smallvec::SmallVec;

use self::boosts::Boosts;
use self::called::Called;
use self::extras::{Extra, extras};
use self::groups::{Likeness, Union};
use self::proximity::{Home, Proximity, Title};
use self::signals::Shares;
use self::ways::Phrases;
use self::words::Word;
use crate::arrangement::{BOOST_PERCENT_MAX, Boost};
use crate::bitset::Bitset;
use crate::budget::{Meter, Stage, cost};
use crate::head::Head;
use crate::postings::{List, Store};
use crate::query::TERMS_MAX;
use crate::rows::Rows;
use crate::segment::Segment;
use crate::signals::Signals;
use crate::statistics::Statistics;

/// Of a term's inverse document frequency, one is this many units of weight.
const WEIGHT_UNITS: f64 = 256.0;
/// A weight is at most this: the inverse frequency of one document in 2^32 is 22.9, one in 16 million 17.3.
pub(crate) const WEIGHT_MAX: u32 = 23 * 256;
/// A score is at most so many times what the most words of the greatest weight give.
const SCORE_TIMES_MAX: u32 = 40;
const _: () = assert!(
    100 + extras::PERCENT_MAX + called::PERCENT_MAX + proximity::PERCENT_MAX + BOOST_PERCENT_MAX as u32 + signals::PERCENT_MAX
        <= SCORE_TIMES_MAX * 100,
    "words, extras, names of categories, words side by side, boosts and signals together"
);
const _: () = assert!(
    SCORE_TIMES_MAX as u64 * TERMS_MAX as u64 * WEIGHT_MAX as u64 * 255 < i32::MAX as u64,
    "scores are compared as signed integers, for which every machine has an instruction"
);

/// A score as it is answered: about what BM25 gives, without its factor of `k1 + 1`.
pub(crate) fn shown(score: u32) -> f32 {
    (f64::from(score) / (WEIGHT_UNITS * 255.0)) as f32
}

/// By term, those of extras behind them.
pub(crate) type Lists<'a> = SmallVec<[List<'a>; 8]>;

/// A query's terms found in an index.
pub(crate) struct Resolved<'a> {
    /// For each part of the index that has any of them, one list a term (empty where the part has none), then one an extra.
    parts: Vec<Lists<'a>>,
    /// Likewise.
    weights: SmallVec<[u32; 8]>,
    /// So many of them are terms.
    terms: usize,
    extras: SmallVec<[Extra; 8]>,
    called: SmallVec<[Called<'a>; 2]>,
    proximity: Proximity<'a>,
    boosts: Boosts<'a>,
    shares: Shares<'a>,
    meter: &'a Meter,
}

/// What a query says of documents beside words.
pub(crate) struct Beside<'a> {
    /// Of all indexes together, where there are several.
    pub(crate) statistics: Option<&'a Statistics>,
    pub(crate) boosts: &'a [Boost],
    /// As [`Query::proximity`](crate::Query::proximity).
    pub(crate) proximity: u16,
    pub(crate) signals: Signals,
    /// Of a row.
    pub(crate) in_stock: &'a dyn Fn(u32) -> bool,
    /// What of the budget is left.
    pub(crate) meter: &'a Meter,
}

impl<'a> Beside<'a> {
    pub(crate) fn nothing(meter: &'a Meter) -> Self {
        Self { statistics: None, boosts: &[], proximity: 0, signals: Signals::default(), in_stock: &|_| false, meter }
    }
}

/// Where a word's list in a part of the index is.
enum Numbered<'a> {
    List(List<'a>),
    /// Its number among the lists made for this query.
    Made(u32),
}

/// Looks a query's words up everywhere.
///
/// `made` takes the lists that are made for this query, for as long as it runs: the head's, and those of several alternatives.
pub(crate) fn resolve<'a>(
    words: &[Word],
    (left_out, about): (&[&str], usize),
    beside: &Beside<'a>,
    segments: &'a [Segment],
    head: &'a Head,
    rows: &'a Rows,
    made: &'a mut Store,
) -> Resolved<'a> {
    let (live, documents, meter) = (&rows.live, rows.len(), beside.meter);
    let mut frequencies: SmallVec<[u64; 8]> = SmallVec::from_elem(0, words.len());
    let mut sources: Vec<Sources<'a>> = Vec::with_capacity(segments.len() + 1);
    let mut union = Union::default();
    let extras = extras(words, left_out, about);
    let in_titles = if beside.proximity > 0 { words } else { &[] };
    let phrases = Phrases::of(words);
    for segment in segments {
        let mut of_segment = SmallVec::new();
        meter.begin(Stage::Phrases); // what they take, their lists cannot
        let standing = phrases.in_segment(segment, meter);
        meter.begin(Stage::Lists);
        for (nth, (word, frequency)) in words.iter().zip(&mut frequencies).enumerate() {
            let also = phrases.of_word(nth).iter().map(|number| standing.list(*number));
            let (source, live_rows) = in_segment(word, also, segment, (live, meter), &mut union, made);
            *frequency += live_rows;
            of_segment.push(source);
        }
        of_segment.extend(extras.iter().map(|extra| extra.in_segment(segment, live, &mut union, made, meter)));
        sources.push((of_segment, Title::of(in_titles, Home::Segment(segment))));
    }
    let mut of_head = SmallVec::new();
    meter.begin(Stage::Phrases);
    let standing = phrases.in_head(head, meter);
    meter.begin(Stage::Lists);
    for (nth, (word, frequency)) in words.iter().zip(&mut frequencies).enumerate() {
        let number = if word.has_alternatives() {
            let also = phrases.of_word(nth).iter().flat_map(|number| standing[*number].iter().copied());
            made.push(in_head(word, also, head, meter).into_iter())
        } else {
            made.push(head.postings(word.term.as_bytes()))
        };
        *frequency += u64::from(made.count(number as usize));
        of_head.push(Numbered::Made(number));
    }
    of_head.extend(extras.iter().map(|extra| Numbered::Made(extra.in_head(head, made))));
    sources.push((of_head, Title::of(in_titles, Home::Head(head))));
    let terms = words.len();
    let (parts, titles) = lists_of(sources, terms, made);
    let of_word = |(word, frequency): (&Word, &u64)| {
        let shared = beside.statistics.filter(|_| !word.has_alternatives()).and_then(|statistics| statistics.weight(&word.term));
        shared.unwrap_or_else(|| weight(documents as u64, *frequency))
    };
    let mut weights: SmallVec<[u32; 8]> = words.iter().zip(&frequencies).map(of_word).collect();
    let of_extras: SmallVec<[u32; 8]> = extras.iter().map(|extra| extra.weight(&weights)).collect();
    let called = called::called(words, &weights, rows);
    let proximity = Proximity::of(beside.proximity, &weights, titles);
    let of_all = weights.iter().sum();
    let boosts = if beside.boosts.is_empty() { Boosts::default() } else { Boosts::of(beside.boosts, of_all, rows, meter) };
    let shares = Shares::of(beside.signals, of_all, rows, beside.in_stock);
    weights.extend(of_extras);
    Resolved { parts, weights, terms, extras, called, proximity, boosts, shares, meter }
}

/// A part of the index: where its lists are, and how its titles are read.
type Sources<'a> = (SmallVec<[Numbered<'a>; 8]>, Title<'a>);

/// The lists and titles of each part of the index, but for parts that have none of the terms.
fn lists_of<'a>(sources: Vec<Sources<'a>>, terms: usize, made: &'a Store) -> (Vec<Lists<'a>>, Vec<Title<'a>>) {
    let list = |source: Numbered<'a>| match source {
        Numbered::List(list) => list,
        Numbered::Made(number) => made.list(number as usize),
    };
    let of_part = |(of_part, title): Sources<'a>| (of_part.into_iter().map(list).collect::<Lists<'a>>(), title);
    let parts = sources.into_iter().map(of_part);
    parts.filter(|(lists, _)| lists[..terms].iter().any(|list| !list.is_empty())).unzip()
}

/// A word's list in a segment, and how many live rows it has. `also` are lists of other ways to say it.
fn in_segment<'a, 's>(
    word: &Word,
    also: impl Iterator<Item = List<'s>>,
    segment: &'a Segment,
    (live, meter): (&Bitset, &Meter),
    union: &mut Union,
    made: &mut Store,
) -> (Numbered<'a>, u64) {
    let same = segment.postings(word.term.as_bytes());
    if word.has_alternatives() {
        let same_term = segment.term(word.term.as_bytes());
        let longer = if word.goes_on { segment.beginning(&word.form, meter) } else { Vec::new() };
        let longer = longer.into_iter().filter(|term| Some(*term) != same_term);
        let mut lists: Vec<(List<'_>, Likeness)> = longer.map(|term| (segment.list(term as usize), Likeness::Longer)).collect();
        lists.extend(word.others.iter().filter_map(|(term, likeness)| Some((segment.postings(term.as_bytes())?.0, *likeness))));
        lists.extend(also.filter(|list| !list.is_empty()).map(|list| (list, Likeness::Same)));
        if !lists.is_empty() {
            // The first, in case the budget ends among them.
            lists.splice(0..0, same.map(|(list, _)| (list, Likeness::Same)));
            let number = union.of(&lists, live, made, meter);
            return (Numbered::Made(number), u64::from(made.count(number as usize)));
        }
    }
    let (list, live_rows) = same.unwrap_or_default();
    (Numbered::List(list), u64::from(live_rows))
}

/// The rows of the head that have the word or one that it stands for, ascending. `also` are those of other ways to say it.
fn in_head(word: &Word, also: impl Iterator<Item = (u32, u8)>, head: &Head, meter: &Meter) -> Vec<(u32, u8)> {
    if word.goes_on {
        meter.charge(head.term_count() as u64);
    }
    let longer = if word.goes_on { head.beginning(&word.form) } else { Vec::new() };
    let longer = longer.into_iter().filter(|term| *term != word.term.as_bytes()).map(|term| (term, Likeness::Longer));
    let others = word.others.iter().map(|(term, likeness)| (term.as_bytes(), *likeness));
    let mut found: Vec<(u32, u8)> = head.postings(word.term.as_bytes()).collect();
    for (term, likeness) in longer.chain(others) {
        found.extend(head.postings(term).map(|(row, impact)| (row, likeness.share(impact))));
    }
    found.extend(also);
    meter.charge(found.len() as u64 * cost::LOOK_UP);
    found.sort_unstable_by_key(|(row, impact)| (*row, std::cmp::Reverse(*impact)));
    found.dedup_by_key(|(row, _)| *row);
    found
}

/// `ln(1 + (n - df + ½) / (df + ½))` in units, at least 1: a term that everybody has still counts.
pub(crate) fn weight(documents: u64, frequency: u64) -> u32 {
    let inverse = (1.0 + (documents as f64 - frequency as f64 + 0.5) / (frequency as f64 + 0.5)).ln();
    ((inverse * WEIGHT_UNITS).round() as u32).clamp(1, WEIGHT_MAX)
}

impl Resolved<'_> {
    /// Terms looked for; 0 for a query without text.
    pub(crate) fn len(&self) -> usize {
        self.terms
    }

    /// The score of a row that matches; what it gets for being in stock is asked. O(parts · terms · log).
    pub(crate) fn score(&self, row: u32) -> u32 {
        let Some(of_lists) = self.of_lists(row) else { return 0 };
        let of_titles: u32 = self.proximity.of_row(row, self.meter).map(|(_, score)| score).sum();
        let of_texts = of_lists.iter().sum::<u32>() + called::score(&self.called, row) + of_titles;
        self.boosts.of_row(row, of_texts) + self.shares.of_columns(row) + self.shares.of_stock(row)
    }

    /// What of a row's score is for its margin. A pinned row may have none of the words, and then no score.
    pub(crate) fn of_margin(&self, row: u32, score: u32) -> u32 {
        if score > 0 { self.shares.of_margin(row) } else { 0 }
    }

    /// What each list gives a row, terms and then extras; `None` for one that does not match.
    fn of_lists(&self, row: u32) -> Option<SmallVec<[u32; 8]>> {
        let of_part = |lists: &Lists<'_>| {
            // A row in use is in one part only.
            let found = |(list, weight): (&List<'_>, &u32)| weight * list.find(row).map_or(0, u32::from);
            let of_lists: SmallVec<[u32; 8]> = lists.iter().zip(&self.weights).map(found).collect();
            of_lists[..self.terms].iter().any(|score| *score > 0).then_some(of_lists)
        };
        self.parts.iter().find_map(of_part)
    }
}

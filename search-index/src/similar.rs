//! Documents like one that is there: what a shop shows beside a product.
//!
//! Path: a key → the index that has it says what the document says, word by word ([`Index::profile`], from its sheet in `forward`) → every index counts who else
//! says so ([`Index::frequencies`]), and the counts are added up → the words that tell most ([`SimilarTo::new`]: those of the greatest inverse frequency times impact) →
//! each index's documents that have any of them, ranked as those of a search ([`Index::similar_part`]) → [`merge_similar`].
//! This is Lucene's MoreLikeThis over BM25F impacts, with what a shopper sees first on top: what the title is about, the category, and a price not far away.
//!
//! Weights are of all indexes together and go to each of them, so that a merged answer is that of one index over all documents, score by score. One thing is
//! each index's own, as in a search: what titles are about, which is learnt.

use std::cmp::Reverse;

use crate::arrangement::Boost;
use crate::bitset::Bitset;
use crate::budget::{BUDGET, Meter, Stage, cost};
use crate::collect::{Candidate, Collector, Top, score_at};
use crate::cursor::Tier;
use crate::document::DocKey;
use crate::filter::Test;
use crate::index::Index;
use crate::postings::{HEAD_MARK, Store, TITLE_MARK};
#[cfg(doc)]
use crate::query::LIMIT_MAX;
use crate::query::{Filter, Query, TERMS_MAX};
use crate::rank::weighed::{Weighed, resolve};
use crate::rank::windows::{Wanted, best};
use crate::rank::{Beside, shown, weight};
use crate::refusal::QueryError;
use crate::results::Hit;
use crate::search::{Live, stock_passes};
use crate::signals::Signals;

/// Words by which documents are found to be like one: those that tell most. More of them find little else and cost as much as the first.
pub const SIMILAR_TERMS_MAX: usize = 24;
/// Distinct words of a document that are looked at for those; of more, the ones of the greatest impact, which are those of its title and then of its short fields.
pub const SIMILAR_CANDIDATES_MAX: usize = 128;
const _: () = assert!(SIMILAR_TERMS_MAX <= TERMS_MAX, "scores stay within their bound");

/// What a document gets at most for being about the same as the title, in hundredths of what the words that are looked for weigh.
const ABOUT_PERCENT: u32 = 30;
/// Likewise for a document in the same category.
const CATEGORY_PERCENT: i16 = 15;
/// And for one below the category above that one, the same category included.
const PARENT_PERCENT: i16 = 10;
/// And for a price within a quarter or a third of this one, or within half and twice of it; the nearer has both.
const PRICE_PERCENT: i16 = 5;
/// A document is like another if it gets more than so many hundredths of what that one itself would.
const LEAST_PERCENT: u64 = 25;

/// What a document says and where it stands, for finding others like it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    key: DocKey,
    /// At most [`SIMILAR_CANDIDATES_MAX`], those of the greatest impact first, then in byte order.
    words: Vec<Said>,
    /// Marked stems of what its title is about with their impacts, likewise.
    about: Vec<(Vec<u8>, u8)>,
    /// Keys from the root on.
    category: Vec<String>,
    price: Option<i64>,
}

/// A term of a document.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    term: Vec<u8>,
    impact: u8,
    in_title: bool,
}

/// How many documents there are, and how many have each word of a [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequencies {
    documents: u64,
    /// In the order of the profile's words.
    with: Vec<u64>,
}

impl Frequencies {
    /// Adds those of another index for the same profile.
    pub fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.with.resize(self.with.len().max(other.with.len()), 0);
        self.with.iter_mut().zip(&other.with).for_each(|(all, one)| *all += one);
    }
}

/// What makes a document like one, and by how much: the same for every index.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarTo {
    key: DocKey,
    weighed: Weighed,
    boosts: Vec<Boost>,
    /// A score that is not enough.
    least: u32,
}

impl SimilarTo {
    /// The words of a profile that tell most. One that no other document has finds none; if it stands in the title, it is what makes this document unlike others.
    #[must_use]
    pub fn new(profile: Profile, frequencies: &Frequencies) -> Self {
        let Profile { key, words, about, category, price } = profile;
        let (mut telling, mut of_itself) = (Vec::new(), 0_u64);
        for (said, with) in words.into_iter().zip(&frequencies.with) {
            let weight = (weight(frequencies.documents, *with) * u32::from(said.impact) / 255).max(1);
            if *with > 1 {
                telling.push((weight, said));
            } else if said.in_title {
                of_itself += u64::from(weight * u32::from(said.impact));
            }
        }
        telling.sort_unstable_by(|a, b| (Reverse(a.0), &a.1.term).cmp(&(Reverse(b.0), &b.1.term)));
        telling.truncate(SIMILAR_TERMS_MAX);
        let all: u32 = telling.iter().map(|(weight, _)| weight).sum();
        let of_about = (all * ABOUT_PERCENT / 100 / (about.len() as u32).max(1)).max(1);
        let boosts = near(&category, price);
        let percent: i64 = boosts.iter().map(|boost| i64::from(boost.percent)).sum();
        of_itself += telling.iter().map(|(weight, said)| u64::from(weight * u32::from(said.impact))).sum::<u64>()
            + about.iter().map(|(_, impact)| u64::from(of_about * u32::from(*impact))).sum::<u64>()
            + u64::from(all) * 255 * percent.unsigned_abs() / 100;
        let weighed = Weighed {
            words: telling.into_iter().map(|(weight, said)| (said.term, weight)).collect(),
            extras: about.into_iter().map(|(marked, _)| (marked, of_about)).collect(),
        };
        Self { key, weighed, boosts, least: u32::try_from(of_itself * LEAST_PERCENT / 100).unwrap_or(u32::MAX) }
    }
}

/// What a place near this one is worth.
fn near(category: &[String], price: Option<i64>) -> Vec<Boost> {
    let mut boosts = Vec::new();
    let of_category = |key: &String, percent| Boost { filter: Filter::Category(vec![key.clone()]), percent };
    boosts.extend(category.last().map(|key| of_category(key, CATEGORY_PERCENT)));
    boosts.extend(category.iter().rev().nth(1).map(|key| of_category(key, PARENT_PERCENT)));
    if let Some(price) = price.filter(|price| *price > 0) {
        let between = |min: i128, max: i128| {
            let (min, max) = (i64::try_from(min).ok(), i64::try_from(max).ok());
            Boost { filter: Filter::Price { min, max }, percent: PRICE_PERCENT }
        };
        let price = i128::from(price);
        boosts.push(between(price * 3 / 4, price * 4 / 3));
        boosts.push(between(price / 2, price * 2));
    }
    boosts
}

/// A question for documents like one.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarQuery {
    /// Like which; that one itself is left out.
    pub to: SimilarTo,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// How much it counts beside the words that a document is popular, well rated and in stock.
    pub signals: Signals,
    /// Documents wanted, 1 to [`LIMIT_MAX`].
    pub limit: usize,
}

impl Index {
    /// What is like a document of this index, the likest first and of equals by key; `None` if there is no such document. It has words in common that few others have,
    /// or it is no answer; what it is about, its category and its price count beside them. O(postings of [`SIMILAR_TERMS_MAX`] words) at most.
    ///
    /// ```
    /// use search_index::{DocKey, Document, Index, Settings};
    /// let titled = |key, title: &str| Document { title: title.into(), ..Document::new(DocKey(key)) };
    /// let titles = ["Norden desk lamp", "Brass desk lamp", "Oak chair", "Garden chair"];
    /// let index = Index::build(Settings::default(), (1..).zip(titles).map(|(key, title)| titled(key, title)))?;
    /// let keys = index.similar(DocKey(1), &[], 10, None)?.map(|hits| hits.iter().map(|hit| hit.key.0).collect::<Vec<_>>());
    /// assert_eq!(keys, Some(vec![2]));
    /// assert_eq!(index.similar(DocKey(9), &[], 10, None)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Index::similar_part`].
    pub fn similar(&self, key: DocKey, filters: &[Filter], limit: usize, live: Option<Live<'_>>) -> Result<Option<Vec<Hit>>, QueryError> {
        let Some(profile) = self.profile(key) else { return Ok(None) };
        let frequencies = self.frequencies(&profile);
        let to = SimilarTo::new(profile, &frequencies);
        let query = SimilarQuery { to, filters: filters.to_vec(), signals: Signals::default(), limit };
        self.similar_part(&query, live).map(Some)
    }

    /// What a document says, stop words left out; `None` if this index has no such document. O(its words · log).
    #[must_use]
    pub fn profile(&self, key: DocKey) -> Option<Profile> {
        let row = self.rows.find(key)?;
        let said = self.head.terms_of_row(row).or_else(|| self.segments.iter().find_map(|segment| segment.terms_of_row(row)))?;
        let (mut words, mut about, mut of_title) = (Vec::new(), Vec::new(), Vec::new());
        let stops = self.analyzer.stop_terms();
        let is_stop_word = |term: &[u8]| stops.binary_search_by(|stop| stop.as_bytes().cmp(term)).is_ok();
        for (term, impact) in said {
            match term.split_first() {
                Some((&HEAD_MARK, _)) => about.push((term, impact)),
                Some((&TITLE_MARK, form)) => {
                    let form = std::str::from_utf8(form).unwrap_or_default();
                    of_title.push(self.analyzer.stem(form).as_bytes().to_vec());
                }
                Some(_) if !is_stop_word(&term) => words.push(Said { term, impact, in_title: false }),
                Some(_) | None => {}
            }
        }
        words.iter_mut().for_each(|said| said.in_title = of_title.contains(&said.term));
        words.sort_unstable_by(|a, b| (Reverse(a.impact), &a.term).cmp(&(Reverse(b.impact), &b.term)));
        words.truncate(SIMILAR_CANDIDATES_MAX);
        about.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
        about.truncate(SIMILAR_TERMS_MAX);
        Some(Profile { key, words, about, category: self.rows.category(row), price: self.rows.columns(row).price })
    }

    /// How many documents of this index have each word of a profile. O(words · segments · log terms).
    #[must_use]
    pub fn frequencies(&self, profile: &Profile) -> Frequencies {
        let meter = Meter::unlimited(); // it is a look at each word
        let known = self.known(&meter);
        let with = profile.words.iter().map(|said| known.frequency_of(&said.term)).collect();
        Frequencies { documents: self.len() as u64, with }
    }

    /// The documents of this index that are like one of any index, in order, at most `limit`; where the work of that is more than [`BUDGET`], the likest that were found
    /// until then.
    ///
    /// # Errors
    /// A question over the bounds of a [`Query`], or in need of `live` without one.
    pub fn similar_part(&self, query: &SimilarQuery, live: Option<Live<'_>>) -> Result<Vec<Hit>, QueryError> {
        let SimilarQuery { to, filters, signals, limit } = query;
        let bounds = Query { filters: filters.clone(), signals: *signals, limit: *limit, ..Query::default() };
        bounds.check()?;
        if live.is_none() && bounds.needs_liveness() {
            return Err(QueryError::NoLiveness);
        }
        let rows = &self.rows;
        let meter = Meter::new(BUDGET);
        meter.begin(Stage::Sets);
        let live = |row: u32| {
            meter.charge(cost::ASKED);
            live.is_some_and(|live| live(rows.keys[row as usize]))
        };
        let beside = Beside { statistics: None, boosts: &to.boosts, proximity: 0, signals: *signals, in_stock: &live, meter: &meter };
        let mut made = Store::default();
        let resolved = resolve(&to.weighed, &beside, &self.segments, &self.head, rows, &mut made);
        let mut set: Option<Bitset> = None;
        for of_filter in filters.iter().filter_map(|filter| rows.named(filter, &meter)) {
            match &mut set {
                Some(set) => set.and(&of_filter),
                None => set = Some(of_filter),
            }
        }
        let itself: Vec<u32> = rows.find(to.key).into_iter().collect();
        let mut tests: Vec<Test<'_>> = filters.iter().filter_map(|filter| rows.test(filter)).collect();
        tests.push(Test::NoneOf(&itself));
        let in_stock = |row: u32| stock_passes(filters, &live, row);
        let mut top = Top::above(to.least, *limit);
        let mut collector = Collector { rows, tier: Tier::AllTerms, set: set.as_ref(), tests: &tests, in_stock: &in_stock, top: &mut top };
        meter.begin(Stage::Answer);
        best(&resolved, Wanted::Any, &mut collector);
        let hit = |Candidate { place, row }: Candidate| Hit {
            key: place.key,
            partition: rows.partitions[row as usize],
            score: shown(score_at(place)),
            of_margin: shown(resolved.of_margin(row, score_at(place))),
            sort: place,
            pinned: false,
        };
        Ok(top.found().into_iter().map(hit).collect())
    }
}

/// One answer of those of several indexes to one question: its first `limit` documents, in order. The order of the parts does not matter.
#[must_use]
pub fn merge_similar(parts: Vec<Vec<Hit>>, limit: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = parts.into_iter().flatten().collect();
    hits.sort_unstable_by_key(|hit| hit.sort);
    hits.truncate(limit);
    hits
}

//! One search over one index.
//!
//! Path: `Query` → bounds → terms → where every match is to be counted or looked at: sets of rows → filters → facets and total → the best `limit` of what
//! passes; where only the best matches are wanted: filters as a set and tests → the best `limit`, most others unread. All terms first and, where
//! those are too few, some terms the same way → where no document has all, once more with words doubted that no title has so → `Part` → `merge` → `Results`. Hits come
//! before facets: where the budget ends, it ends in these.

use crate::analysis::QueryTerms;
use crate::arrangement::Arranged;
use crate::bitset::Bitset;
use crate::budget::{Meter, Stage, cost};
use crate::collect::{Candidate, Collector, Top, score_at};
use crate::counts::Facet;
use crate::cursor::{SortKey, Tier};
use crate::document::DocKey;
use crate::facet::Faceting;
use crate::filter::Test;
use crate::index::Index;
use crate::operators::{Operators, is_among};
use crate::postings::Store;
use crate::query::{Filter, Matching, Query, Sort, Words};
use crate::rank::doubt::Doubts;
use crate::rank::explain::Asked;
use crate::rank::windows::{Wanted, best};
use crate::rank::words::{Known, Understood, Word};
use crate::rank::{Beside, Resolved, resolve, shown};
use crate::refusal::QueryError;
use crate::results::{Hit, Part, Results, merge};

/// Says of a document whether it is in stock at this moment. Asked only for in-stock filters, facets and signals, and of as few documents as
/// the query allows; its answers may change between searches without the index being told.
pub type Live<'a> = &'a dyn Fn(DocKey) -> bool;

impl Index {
    /// Searches this index alone.
    ///
    /// # Errors
    /// A query over its bounds, with another query's cursor, or in need of `live` without one.
    pub fn search(&self, query: &Query, live: Option<Live<'_>>) -> Result<Results, QueryError> {
        Ok(merge(vec![self.part(query, live, false)?], query))
    }

    /// Searches this index as one of several; [`merge`] makes the answer. Facets come complete, which costs more than [`Index::search`].
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search_part(&self, query: &Query, live: Option<Live<'_>>) -> Result<Part, QueryError> {
        self.part(query, live, true)
    }

    /// What there is to look for.
    pub(crate) fn known<'a>(&'a self, meter: &'a Meter) -> Known<'a> {
        Known { analyzer: &self.analyzer, segments: &self.segments, head: &self.head, meter }
    }

    /// The query's text taken apart.
    ///
    /// # Errors
    /// [`QueryError::TooManyOperators`].
    pub(crate) fn operators<'a>(&self, query: &'a Query) -> Result<Operators<'a>, QueryError> {
        let is_attribute = &mut |name: &str| match &query.fields {
            Some(fields) => is_among(name, fields),
            None => self.rows.attributes.is_called(name),
        };
        Operators::of(query.text.as_deref().unwrap_or_default(), &self.analyzer, is_attribute)
    }

    fn part(&self, query: &Query, live: Option<Live<'_>>, complete: bool) -> Result<Part, QueryError> {
        query.check()?;
        if live.is_none() && query.needs_liveness() {
            return Err(QueryError::NoLiveness);
        }
        let operators = self.operators(query)?;
        let QueryTerms { terms, left_out, about } = self.analyzer.query(&operators.words, query.prefix);
        let places = terms.len();
        let meter = &Meter::new(query.budget);
        meter.begin(Stage::Words);
        let typed: Vec<String> = if query.explain { terms.iter().map(|term| term.form.clone()).collect() } else { Vec::new() };
        let mut understood = self.known(meter).understand(terms, query)?;
        let look = Look { operators, left_out, about, typed, live, complete, meter };
        let goes_on_doubting = query.goes_on_doubting();
        let mut part = if goes_on_doubting { Part::default() } else { self.look(query, &look, &understood.words) };
        meter.begin(Stage::Phrases);
        // Where the first look took more than its share, there is none left for a second.
        if goes_on_doubting || (part.is_to_be_doubted(query) && !understood.words.is_empty() && meter.may_go_on()) {
            let Doubts { written, doubted, spellings } = self.known(meter).doubt(&mut understood, query);
            (part.written, part.doubted) = (written, doubted);
            if goes_on_doubting || !doubted.is_empty() {
                let second = self.look(query, &look, &understood.words);
                part.doubting = Some(Box::new(Part { spellings, ..second }));
            }
        }
        let Understood { known, guessed, meant_so, spellings, .. } = understood;
        let (partial, spent) = (meter.is_cut(), meter.spent());
        let language = self.analyzer.language();
        Ok(Part { language, words: Words::first(places), meant_so, known, guessed, spellings, partial, spent, ..part })
    }

    /// Looks for these words.
    fn look(&self, query: &Query, look: &Look<'_>, words: &[Word]) -> Part {
        let Look { operators, left_out, about, typed, live, complete, meter } = look;
        let (meter, mut made) = (*meter, Store::with_bitmaps());
        let arranged = Arranged::of(query, &self.rows);
        meter.begin(Stage::Phrases);
        let within = operators.are_any().then(|| self.rows_of(operators, meter));
        let live = |row: u32| {
            meter.charge(cost::ASKED);
            live.is_some_and(|live| live(self.rows.keys[row as usize]))
        };
        let statistics = query.statistics.as_deref();
        let beside =
            Beside { statistics, boosts: &query.boosts, proximity: query.proximity, signals: query.signals, in_stock: &live, meter };
        let resolved = resolve(words, (left_out, *about), &beside, &self.segments, &self.head, &self.rows, &mut made);
        let (asked, complete, top) = (Asked { typed, words }, *complete, Top::new(query));
        let search = Search { index: self, query, asked, resolved, within, arranged: &arranged, live: &live, complete, top, meter };
        let counts = query.total || !query.facets.is_empty() || query.sort != Sort::Relevance || search.resolved.len() == 0;
        if counts { search.counted() } else { search.ranked() }
    }
}

/// What is the same however often an index is looked through for a query.
struct Look<'a> {
    operators: Operators<'a>,
    left_out: Vec<&'static str>,
    about: usize,
    /// Words as they were typed, where explanations are wanted.
    typed: Vec<String>,
    live: Option<Live<'a>>,
    complete: bool,
    meter: &'a Meter,
}

/// Rows beyond twice the page that are put in order before any is asked about.
const ASKED_AT_ONCE: usize = 64;

struct Search<'a> {
    index: &'a Index,
    query: &'a Query,
    /// What explanations are made from.
    asked: Asked<'a>,
    resolved: Resolved<'a>,
    /// Rows that have what is quoted and nothing that is forbidden, and meet all conditions on fields; all if there is nothing of these.
    within: Option<Bitset>,
    arranged: &'a Arranged,
    live: &'a dyn Fn(u32) -> bool,
    complete: bool,
    top: Top,
    meter: &'a Meter,
}

/// What one set of matches came to.
struct Counted<'a> {
    filters: Vec<&'a Filter>,
    /// Pinned rows among them.
    faceting: Faceting<'a>,
    /// Those that pass and are not pinned; all that pass if there are no pinned ones.
    others: Option<Bitset>,
    /// Whether there are any of those.
    any: bool,
    /// Pinned rows among them.
    total: u64,
    /// Whether the budget was enough for all of this.
    whole: bool,
}

impl Counted<'_> {
    /// Pinned rows not among them.
    fn passing(&self) -> &Bitset {
        self.others.as_ref().unwrap_or(&self.faceting.passing)
    }
}

impl<'a> Search<'a> {
    /// The best matches, in order of relevance, and nothing about the others.
    fn ranked(mut self) -> Part {
        let (index, meter) = (self.index, self.meter);
        meter.begin(Stage::Sets);
        let mut set = self.within.take();
        for of_filter in self.query.filters.iter().filter_map(|filter| index.rows.named(filter, meter)) {
            match &mut set {
                Some(set) => set.and(&of_filter),
                None => set = Some(of_filter),
            }
        }
        let mut tests: Vec<Test<'_>> = self.query.filters.iter().filter_map(|filter| index.rows.test(filter)).collect();
        if !self.arranged.apart.is_empty() {
            tests.push(Test::NoneOf(&self.arranged.apart));
        }
        meter.begin(Stage::Answer);
        let after = self.query.behind().map(|place| place.tier);
        let matching = match self.query.matching {
            Matching::AllThenAny | Matching::All => Wanted::All,
            Matching::Any => Wanted::Any,
        };
        if after != Some(Tier::SomeTerms) {
            self.rank(matching, Tier::AllTerms, set.as_ref(), &tests);
        }
        let relaxes = self.query.matching == Matching::AllThenAny;
        // A hit or the page before is what tells that there are any.
        let any_all_terms = !relaxes || !self.top.is_empty() || after == Some(Tier::AllTerms);
        if relaxes && !self.top.is_full() && self.resolved.len() > 1 {
            self.rank(Wanted::Some, Tier::SomeTerms, set.as_ref(), &tests);
        }
        self.finish(Part { any_all_terms, ..Part::default() })
    }

    /// The best matches of all, which are counted.
    fn counted(mut self) -> Part {
        let (live, meter) = (&self.index.rows.live, self.meter);
        meter.begin(Stage::Sets);
        let text = self.resolved.len() > 0;
        let wanted = match self.query.matching {
            Matching::AllThenAny | Matching::All => Wanted::All,
            Matching::Any => Wanted::Any,
        };
        let mut all = match wanted {
            _ if !text => live.clone(),
            Wanted::All => self.resolved.all_rows(live),
            Wanted::Any | Wanted::Some => self.resolved.any_rows(live),
        };
        self.keep_found(&mut all);
        let mut part = Part::default();
        let relaxes = self.query.matching == Matching::AllThenAny;
        // Needed again where some terms must do.
        let kept = if relaxes && self.resolved.len() > 1 { all.clone() } else { Bitset::default() };
        let counted = self.count(all, true);
        meter.begin(Stage::Answer);
        self.offer(wanted, Tier::AllTerms, counted.passing());
        part.any_all_terms = if !relaxes {
            true // there is nothing else to answer with
        } else if self.asks_late() {
            // Where the liveness function is asked only about hits, a hit or the page before is what tells that there are any.
            !self.top.is_empty() || self.query.behind().is_some_and(|place| place.tier == Tier::AllTerms)
        } else {
            counted.any
        };
        (part.total_all_terms, part.facets_all_terms) = (counted.total, self.facets(&counted));
        let fill = self.query.sort == Sort::Relevance && !self.top.is_full();
        if relaxes && (fill || !part.any_all_terms) {
            if self.resolved.len() <= 1 {
                if !part.any_all_terms {
                    (part.total_some_terms, part.facets_some_terms) = (part.total_all_terms, part.facets_all_terms.clone());
                }
            } else if !counted.whole {
                // It is not known which rows have all terms: none is said to have only some.
                meter.cut();
            } else {
                meter.begin(Stage::Sets);
                let mut some = self.resolved.any_rows(live);
                self.keep_found(&mut some);
                if part.any_all_terms {
                    some.and_not(&kept);
                    let counted = self.count(some, false);
                    meter.begin(Stage::Answer);
                    self.offer(Wanted::Some, Tier::SomeTerms, counted.passing());
                } else {
                    // A document with all terms has some of them: where none passes every filter, it still counts in the facet of the
                    // filter that it fails.
                    let counted = self.count(some, true);
                    let mut offered = counted.passing().clone();
                    offered.and_not(&kept);
                    meter.begin(Stage::Answer);
                    self.offer(Wanted::Some, Tier::SomeTerms, &offered);
                    (part.total_some_terms, part.facets_some_terms) = (counted.total, self.facets(&counted));
                }
            }
        }
        meter.begin(Stage::Answer);
        self.finish(part)
    }

    /// Keeps what a search for anything but pinned documents may find.
    fn keep_found(&self, rows: &mut Bitset) {
        if let Some(within) = &self.within {
            rows.and(within);
        }
        self.arranged.leave_others(rows);
    }

    fn finish(self, mut part: Part) -> Part {
        let pinned = self.pinned();
        let Self { index, query, asked, resolved, top, meter, .. } = self;
        let mut hit = |row: u32, score: u32, sort: SortKey, pinned: bool| {
            if query.explain {
                part.explanations.push((sort.key, resolved.explain(row, score, &asked, &index.known(meter))));
            }
            let (score, of_margin) = (shown(score), shown(resolved.of_margin(row, score)));
            Hit { key: sort.key, partition: index.rows.partitions[row as usize], score, of_margin, sort, pinned }
        };
        let (candidates, more) = top.finish(query.limit);
        let (text, relevance) = (resolved.len() > 0, query.sort == Sort::Relevance);
        let found = candidates.into_iter().map(|Candidate { place, row }| {
            let score = match (text, relevance) {
                (true, true) => score_at(place),
                (true, false) => resolved.score(row),
                (false, _) => 0,
            };
            hit(row, score, place, false)
        });
        part.hits = found.collect();
        part.pinned = pinned.into_iter().map(|(row, score, sort)| hit(row, score, sort, true)).collect();
        part.more = more;
        part
    }

    /// The pinned documents that may be on the page, by row, with their scores and places in the order.
    fn pinned(&self) -> Vec<(u32, u32, SortKey)> {
        let (query, rows) = (self.query, &self.index.rows);
        let relevance = query.sort == Sort::Relevance;
        if self.arranged.pinned.is_empty() || (relevance && query.after.is_some()) {
            return Vec::new();
        }
        let mut passing = Bitset::default();
        self.arranged.pinned.iter().for_each(|row| passing.insert(*row));
        let is_of_stock = |filter: &&Filter| matches!(filter, Filter::InStock(_));
        // The liveness function is asked last.
        for last in [false, true] {
            for filter in query.filters.iter().filter(|filter| is_of_stock(filter) == last) {
                passing = rows.passing(&passing, filter, self.live, &Meter::unlimited());
            }
        }
        let scored = |row: u32| {
            let score = self.resolved.score(row);
            (row, score, rows.sort_key(row, query.sort, Tier::AllTerms, (self.resolved.len() > 0).then_some(score)))
        };
        passing.iter().map(scored).collect()
    }

    /// Whether in-stock filters wait until a row is about to become a hit: nothing that counts all matches was asked for.
    fn asks_late(&self) -> bool {
        let query = self.query;
        !query.total && query.facets.is_empty() && query.filters.iter().any(|filter| matches!(filter, Filter::InStock(_)))
    }

    /// Applies the filters to what was found, together with what is pinned where facets and a total are wanted of it.
    fn count(&self, mut matches: Bitset, with_facets: bool) -> Counted<'a> {
        let query = self.query;
        let pinned = if with_facets { &self.arranged.pinned[..] } else { &[] };
        pinned.iter().for_each(|row| matches.insert(*row));
        let late = self.asks_late();
        let filters: Vec<&Filter> = query.filters.iter().filter(|filter| !(late && matches!(filter, Filter::InStock(_)))).collect();
        let requests = if with_facets { &query.facets[..] } else { &[] };
        let faceting = Faceting::new(&self.index.rows, matches, &filters, requests, self.live, self.meter);
        let total = faceting.passing.count();
        let without = |passing: &Bitset| {
            let mut others = passing.clone();
            pinned.iter().for_each(|row| others.remove(*row));
            others
        };
        let others = (!pinned.is_empty()).then(|| without(&faceting.passing));
        let any = others.as_ref().map_or(total > 0, Bitset::any);
        Counted { filters, faceting, others, any, total, whole: !self.meter.is_out() }
    }

    /// The facets of what was counted.
    fn facets(&self, counted: &Counted<'_>) -> Vec<Facet> {
        let (rows, requests) = (&self.index.rows, self.query.facets.iter());
        requests.map(|request| counted.faceting.count(rows, request, &counted.filters, self.complete, self.meter)).collect()
    }

    /// Offers the rows that pass, in whatever order is wanted.
    fn offer(&mut self, wanted: Wanted, tier: Tier, passing: &Bitset) {
        if self.query.sort == Sort::Relevance && self.resolved.len() > 0 {
            self.rank(wanted, tier, Some(passing), &[]);
            return;
        }
        if self.asks_late() {
            return self.offer_by_place(tier, passing);
        }
        let Self { index, query, top, meter, .. } = self;
        passing.each(meter, cost::PLACE, |row| {
            let place = index.rows.sort_key(row, query.sort, tier, None);
            if top.wants(place) {
                top.add(Candidate { place, row });
            }
        });
    }

    /// As [`Search::offer`], asking the liveness function about rows in their order and no further than the page goes: the next some hundred are
    /// found first, more where too few of them are in stock.
    fn offer_by_place(&mut self, tier: Tier, passing: &Bitset) {
        let (mut after, mut room) = (self.query.behind(), 2 * self.query.limit + ASKED_AT_ONCE);
        loop {
            let mut next = Top::after(after, room);
            passing.each(self.meter, cost::PLACE, |row| {
                let place = self.index.rows.sort_key(row, self.query.sort, tier, None);
                if next.wants(place) {
                    next.add(Candidate { place, row });
                }
            });
            let (rows, _) = next.finish(room);
            for candidate in &rows {
                if !self.top.wants(candidate.place) {
                    return;
                }
                if self.in_stock(candidate.row) {
                    self.top.add(*candidate);
                }
            }
            if rows.len() < room {
                return;
            }
            after = rows.last().map(|candidate| candidate.place);
            room *= 4;
        }
    }

    fn rank(&mut self, wanted: Wanted, tier: Tier, set: Option<&Bitset>, tests: &[Test<'_>]) {
        let (query, live, late) = (self.query, self.live, self.asks_late());
        let in_stock = |row: u32| !late || stock_passes(&query.filters, live, row);
        let mut collector = Collector { rows: &self.index.rows, tier, set, tests, in_stock: &in_stock, top: &mut self.top };
        best(&self.resolved, wanted, &mut collector);
    }

    fn in_stock(&self, row: u32) -> bool {
        stock_passes(&self.query.filters, self.live, row)
    }
}

/// Whether those of the filters that are of stock let a row pass.
pub(crate) fn stock_passes(filters: &[Filter], live: &dyn Fn(u32) -> bool, row: u32) -> bool {
    filters.iter().all(|filter| match filter {
        Filter::InStock(wanted) => live(row) == *wanted,
        Filter::Brand(_)
        | Filter::Category(_)
        | Filter::Price { .. }
        | Filter::Rating { .. }
        | Filter::Attribute { .. }
        | Filter::AttributeRange { .. } => true,
    })
}

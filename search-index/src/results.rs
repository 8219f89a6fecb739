//! Answers, and how the answers of several indexes become one.
//!
//! Path: `Index::search_part` on every shard → `Part` (complete facets, at most `limit` hits, pinned ones apart) → `merge` → `Results`.
//! `Index::search` is the same with one part. Facet counts and totals of a merge equal those of one index over all
//! documents; so do scores by words that stand for themselves, where the query has the statistics of all of them.

use std::collections::BTreeMap;

use crate::analysis::Language;
use crate::arrangement::interleave;
use crate::budget::Units;
use crate::counts::{Facet, merge_facet};
use crate::cursor::{BEFORE_ALL, Cursor, SortKey, Tier};
use crate::document::DocKey;
use crate::explanation::Explanation;
use crate::query::{Elsewhere, Matching, Query, Sort, Words};
use crate::rank::spelling::{Spelling, corrected};

/// A document in an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub key: DocKey,
    /// Its partition, as indexed.
    pub partition: u16,
    /// BM25 over all fields; 0 for a query without text. Filled in for every sort.
    pub score: f32,
    /// What of the score is for [`Signals::margin`](crate::Signals::margin).
    pub of_margin: f32,
    /// Its place in the order, comparable with hits of other indexes for the same query. Of a pinned document in order of relevance it says nothing.
    pub sort: SortKey,
    /// Whether the query pins it.
    pub pinned: bool,
}

/// One index's share of an answer, to be merged. Facets are complete (no limit applied), so that sums are exact.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// At most `limit` hits that are not pinned, in order.
    pub hits: Vec<Hit>,
    /// Pinned documents of this index that pass all filters, by row; none on later pages in order of relevance. [`merge`] gives them their places.
    pub pinned: Vec<Hit>,
    /// Whether this index has further hits after these.
    pub more: bool,
    /// Whether a document that is not pinned matches all terms and passes all filters, wherever the cursor stands.
    pub any_all_terms: bool,
    /// Of each hit, pinned ones after the others, when asked for.
    pub explanations: Vec<(DocKey, Explanation)>,
    /// Documents that match all terms, or are pinned, and pass; counted when `total` was asked for.
    pub total_all_terms: u64,
    /// Documents that match at least one term, or are pinned, and pass; counted when no document has all terms.
    pub total_some_terms: u64,
    /// One per request, over the documents with all terms.
    pub facets_all_terms: Vec<Facet>,
    /// One per request, over the documents with at least one term; empty unless no document has all terms.
    pub facets_some_terms: Vec<Facet>,
    /// All distinct words of the text, stop words left out where there are others.
    pub words: Words,
    /// Of these, those that have synonyms, or make one word of this index with a neighbour.
    pub meant_so: Words,
    /// Those of them that documents of this index have as they stand.
    pub known: Words,
    /// Words that none has, and that were looked for otherwise.
    pub guessed: Words,
    /// Words that a title here has in the very form that was typed, and that are not to be doubted therefore; told where no document has all words.
    pub written: Words,
    /// Words that documents here have, but no title in the form that was typed, and that may be slips; likewise.
    pub doubted: Words,
    /// What was found with those taken for slips as well.
    pub doubting: Option<Box<Part>>,
    /// What its texts are in.
    pub language: Language,
    /// How words that none has may be spelt right, when `did_you_mean` was asked for.
    pub spellings: Vec<Spelling>,
    /// Whether the budget was used up before everything was looked at: see [`Results::partial`].
    pub partial: bool,
    /// The work that it was.
    pub spent: Units,
}

impl Part {
    /// All that may come to be shown of it: hits and pinned documents, those too that come of doubt.
    pub fn hits_of_any(&self) -> impl Iterator<Item = &Hit> {
        let doubting = self.doubting.iter().flat_map(|part| part.hits.iter().chain(&part.pinned));
        self.hits.iter().chain(&self.pinned).chain(doubting)
    }

    /// Whether it has a hit with all words, be they doubted or not.
    fn has_all_terms(&self, query: &Query) -> bool {
        match query.matching {
            Matching::AllThenAny => self.any_all_terms,
            Matching::All | Matching::Any => !self.hits.is_empty(),
        }
    }

    /// Whether words may be doubted: all are wanted, and no document has them all.
    pub(crate) fn is_to_be_doubted(&self, query: &Query) -> bool {
        query.typos && query.after.is_none() && query.matching != Matching::Any && !self.has_all_terms(query)
    }
}

/// What one index judged otherwise of the query's words than another: it took for misspelt, or for written otherwise, or doubted, what the other has as it stands. Unless
/// that is nothing, the parts are of no use: ask all indexes again with this added to [`Query::elsewhere`]. After [`ROUNDS_MAX`] rounds all of them agree.
#[must_use]
pub fn misjudged(parts: &[Part], query: &Query) -> Elsewhere {
    let all = |of: fn(&Part) -> Words| parts.iter().map(of).fold(Words::default(), Words::or);
    let known = all(|part| part.known).and(all(|part| part.guessed));
    let written = all(|part| part.written);
    // All of them, lest a further word that is doubted in the place of these be another's too.
    let is_doubted = doubt(parts, query) && !written.and(all(|part| part.doubted)).is_empty();
    Elsewhere { known, written: if is_doubted { written } else { Words::default() } }
}

/// So often indexes are asked before they agree on what is a word: of what is known elsewhere may come that it is doubted.
pub const ROUNDS_MAX: usize = 3;

/// Whether what was found by doubting words is the answer: it is if nothing else has all words, and it has.
fn doubt(parts: &[Part], query: &Query) -> bool {
    let doubted = |part: &Part| part.doubting.as_ref().is_some_and(|doubting| doubting.has_all_terms(query));
    query.goes_on_doubting() || (!parts.iter().any(|part| part.has_all_terms(query)) && parts.iter().any(doubted))
}

/// Words that no index has as they stand, whether or not it found anything to take them for, and that have no synonyms: what may be misspelt.
/// [`Pattern::matches_misspelt`](crate::Pattern::matches_misspelt) asks for them.
#[must_use]
pub fn unknown(parts: &[Part]) -> Words {
    let all = |of: fn(&Part) -> Words| parts.iter().map(of).fold(Words::default(), Words::or);
    all(|part| part.words).without(all(|part| part.known)).without(all(|part| part.meant_so))
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// At most `limit` hits, in order.
    pub hits: Vec<Hit>,
    /// One per request, in the order of the requests.
    pub facets: Vec<Facet>,
    /// Exact count, when asked for: of the documents with all terms if there are any, else of those with some term; pinned ones among them either way.
    /// Facets count the same documents. In order of relevance further pages go on to documents with some term, which are not counted.
    pub total: Option<u64>,
    /// Where to go on; `None` when the answer is complete.
    pub next: Option<Cursor>,
    /// Whether a hit that is not pinned lacks one of the terms, because too few documents have them all.
    pub relaxed: bool,
    /// The text with its misspelt words spelt right, when asked for and there are any: words that no document has and that are like some that documents have.
    /// Those are written as the dictionary has them, in lower case and without diacritics. Nothing in a partial answer.
    pub did_you_mean: Option<String>,
    /// Whether an index used up [`Query::budget`] before it had looked at everything: there may be better hits, and more. Each hit that is there matches and passes all
    /// filters, and comes before those behind it; scores may lack what was not looked at; the total and the facets' counts are at most what they would be, and a range
    /// of prices is at most as wide; an explanation may be empty. A cursor is good as any other: behind it comes what the same budget finds there, no hit twice.
    pub partial: bool,
    /// Why each hit has its score, when asked for: one a hit, in their order.
    pub explanations: Vec<(DocKey, Explanation)>,
}

/// Joins the parts of all shards for one query. O(all hits · log + all facet values · log).
///
/// `parts` must have been made with this very query, and [`misjudged`] nothing of it; their order does not matter.
#[must_use]
pub fn merge(parts: Vec<Part>, query: &Query) -> Results {
    let known = parts.iter().map(|part| part.known).fold(query.known_elsewhere(), Words::or);
    let partial = parts.iter().any(|part| part.partial);
    let language = parts.first().map_or(Language::default(), |part| part.language);
    let doubt = doubt(&parts, query);
    let doubted = parts.iter().filter(|_| doubt).map(|part| part.doubted).fold(Words::default(), Words::or);
    let told = parts.iter().flat_map(|part| part.spellings.iter().chain(part.doubting.iter().flat_map(|part| &part.spellings)));
    let did_you_mean = query
        .text
        .as_ref()
        .filter(|_| query.did_you_mean && !partial)
        .and_then(|text| corrected(text, language, known.without(doubted), told));
    // An index that doubted nothing found what it found.
    let answer = |part: Part| match part.doubting {
        Some(doubting) if doubt => *doubting,
        Some(_) | None => part,
    };
    let parts: Vec<Part> = parts.into_iter().map(answer).collect();
    let any_all_terms = parts.iter().any(|part| part.any_all_terms);
    // Hits with some terms follow those with all only in order of relevance; elsewhere a cheap near miss would come first.
    let keep = |hit: &Hit| match hit.sort.tier {
        Tier::AllTerms => true,
        Tier::SomeTerms => query.sort == Sort::Relevance || !any_all_terms,
    };
    let mut results = Results { did_you_mean, partial, ..Results::default() };
    let mut facets: Vec<Vec<Facet>> = query.facets.iter().map(|_| Vec::new()).collect();
    let (mut total, mut more) = (0, false);
    let mut pinned: Vec<Hit> = Vec::new();
    let mut explanations: BTreeMap<DocKey, Explanation> = BTreeMap::new();
    for part in parts {
        explanations.extend(part.explanations);
        pinned.extend(&part.pinned);
        more |= part.more && part.hits.last().is_none_or(keep);
        results.hits.extend(part.hits.iter().filter(|hit| keep(hit)));
        let (count, found) =
            if any_all_terms { (part.total_all_terms, part.facets_all_terms) } else { (part.total_some_terms, part.facets_some_terms) };
        total += count;
        for (all, one) in facets.iter_mut().zip(found) {
            all.push(one);
        }
    }
    if query.sort != Sort::Relevance {
        // There they stand among the others, whichever of these there are.
        let tier = if any_all_terms { Tier::AllTerms } else { Tier::SomeTerms };
        let placed = pinned.drain(..).map(|hit| Hit { sort: SortKey { tier, ..hit.sort }, ..hit });
        results.hits.extend(placed.filter(|hit| query.behind().is_none_or(|place| hit.sort > place)));
    }
    results.hits.sort_unstable_by_key(|hit| hit.sort);
    let (page, left_over) = interleave(results.hits, pinned, &query.pins, query.limit);
    (results.hits, more) = (page, more | left_over);
    results.explanations = results.hits.iter().filter_map(|hit| explanations.remove_entry(&hit.key)).collect();
    results.relaxed = results.hits.iter().any(|hit| hit.sort.tier == Tier::SomeTerms && !hit.pinned);
    let last = results.hits.iter().rfind(|hit| query.sort != Sort::Relevance || !hit.pinned).map_or(BEFORE_ALL, |hit| hit.sort);
    results.next = more.then(|| Cursor::new(last, query.fingerprint(), doubt));
    results.total = query.total.then_some(total);
    results.facets = facets.into_iter().zip(&query.facets).map(|(same, request)| merge_facet(same, request, &query.filters)).collect();
    results
}

/// A way to finish what is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The typed text with its last word completed.
    pub text: String,
    /// Documents with that word in the title and, when earlier words match anything, with all of those too.
    pub count: u64,
}

/// A document whose title has the typed words, the last one as a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductSuggestion {
    /// The document.
    pub key: DocKey,
    /// Its popularity, by which suggestions are ordered.
    pub popularity: i64,
}

/// The answer to [`Index::suggest`](crate::Index::suggest).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Most documents first, then by text.
    pub completions: Vec<Completion>,
    /// Most popular first, then by key.
    pub products: Vec<ProductSuggestion>,
    /// Whether [`BUDGET`](crate::BUDGET) was used up before everything was looked at: some may be missing, and counts are at most what they would be.
    pub partial: bool,
}

impl Suggestions {
    /// Joins the suggestions of several indexes for the same text. A completion that one index cut off misses that index's count.
    #[must_use]
    pub fn merge(parts: Vec<Suggestions>, limit: usize) -> Suggestions {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut products, mut partial) = (Vec::new(), false);
        for part in parts {
            partial |= part.partial;
            for completion in part.completions {
                *counts.entry(completion.text).or_default() += completion.count;
            }
            products.extend(part.products);
        }
        let mut completions: Vec<_> = counts.into_iter().map(|(text, count)| Completion { text, count }).collect();
        completions.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        completions.truncate(limit);
        products.sort_by_key(|product| (!product.popularity, product.key));
        products.truncate(limit);
        Suggestions { completions, products, partial }
    }
}

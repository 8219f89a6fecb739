//! Search and suggestions: asked of every shard, merged.
//!
//! Path: `wire` query → [`views::query`] → attributes that its text names → synonyms and the rules that are for it ([`search_rules`](super::search_rules)) → what all shards
//! together have of its words, so that they score alike → every shard's part with what is shown of its hits, again if shards differ over what is a word, or once more if a
//! word that nobody has may be one that a rule is for → merge → page and cursor.
//! Bounds: each shard makes the work of [`search_index::BUDGET`] for it, and is waited for until [`SEARCH_DEADLINE_MS`]. Behind either the answer is what there is, and says
//! that it is partial.

use super::{Head, refused, search_cursor, views};
use crate::shard::core::queries;
use crate::shard::core::{
    ctx::{Ctx, unexpected},
    peer::{Answer, Ask},
};
use hashbrown::HashMap;
use search_index::{DocKey, Part, ScoreOf, Statistics};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use wire::{
    Body, CountedQuery, Failure, Refusal, Role, SearchHit, SearchQuery, SearchResults, Suggestions,
    limits::{PAGE_MAX, POPULAR_SEARCHES_MIN},
};

/// From when a search is taken up, shards are waited for so long: many times what the work of a search takes, and less than a shopper waits. The answer is then what
/// the others found. A shard that does not answer for so long is busy with something else, or has many searches before this one.
const SEARCH_DEADLINE_MS: u64 = 500;

/// Of that time, for what shards have of its words: the others are asked to search without those that do not say so long.
const WORDS_DEADLINE_MS: u64 = 200;

pub(super) async fn search(ctx: &Ctx, head: &Head, mut query: SearchQuery) -> Result<Body, Failure> {
    views::distinct_facets(&mut query);
    let names: Vec<String> = query.facets.iter().map(wire::Facet::name).collect();
    let (tree, rules) = ctx.config(|config| (config.shared.categories(), config.shared.search_rules()));
    let (highlight, now) = (query.highlight, ctx.now().wall);
    let (words_until_us, until_us) = (after_ms(ctx, WORDS_DEADLINE_MS), until(ctx));
    let (text, exact) = (query.text.clone(), query.exact);
    // Who narrows a search down, sorts it or goes on to the next page looks for nothing new.
    let is_new = query.after.is_none() && query.filters.is_empty() && query.sort == wire::Sort::Relevance;
    let preferences = views::preferences(std::mem::take(&mut query.preferences)).map_err(refused)?;
    let after = query.after.as_deref().map(|bytes| search_cursor::open(ctx, bytes)).transpose().map_err(refused)?;
    let mut query = views::query(query, after, &tree).map_err(refused)?;
    rules.set_up(&mut query);
    let (fields, unread) = fields_of(ctx, words_until_us, &text).await?;
    let mut matched = rules.matching(&text, &fields, now);
    let mut said = rules.arrange(&matched, &preferences, &tree, &mut query);
    query.fields = Some(fields.clone());
    let unheard = share_statistics(ctx, words_until_us, &mut query).await?;
    let mut query = Arc::new(query);
    let Found { mut parts, mut shown, mut late } = parts(ctx, until_us, &query, highlight).await?;
    for round in 1..search_index::ROUNDS_MAX {
        // What some shard took for misspelt is a word on another.
        let elsewhere = search_index::misjudged(&parts, &query);
        let mut again = !elsewhere.is_empty();
        if round == 1 && matched.is_empty() && !exact {
            // Words that nobody has may be slips of those that a rule is for.
            matched = rules.matching_misspelt(&text, &fields, search_index::unknown(&parts), now);
            again |= !matched.is_empty();
        }
        if !again {
            break;
        }
        let mut next = search_index::Query { elsewhere: query.elsewhere.or(elsewhere), ..(*query).clone() };
        said = rules.arrange(&matched, &preferences, &tree, &mut next);
        query = Arc::new(next);
        Found { parts, shown, late } = self::parts(ctx, until_us, &query, highlight).await?;
    }
    let has_whole = parts.iter().any(|part| part.any_all_terms);
    let merged = search_index::merge(parts, &query);
    let partial = merged.partial || late || unread || unheard;
    // What is quoted, forbidden or asked of one field is one shopper's own, and of an answer that was cut short nobody knows what it would have found.
    if is_new && !partial && !search_index::has_operators(&text, &fields) {
        let found = match (merged.hits.is_empty(), has_whole) {
            (true, _) => queries::Found::Nothing,
            (false, false) => queries::Found::Some,
            (false, true) => queries::Found::Whole,
        };
        ctx.with_mut(|state| state.queries.note(&text, found, now));
    }
    // What the shop earns by a product is in the order, and told to nobody else.
    let tells_margins = head.writes_products();
    let told = |part: &&search_index::ScorePart| tells_margins || part.what != ScoreOf::Margin;
    let mut explained: BTreeMap<DocKey, search_index::Explanation> = merged.explanations.into_iter().collect();
    let card = |hit: &search_index::Hit| {
        let explanation = explained.remove(&hit.key).map(|why| why.parts.iter().filter(told).map(views::score_part).collect());
        let score = if tells_margins { hit.score } else { hit.score - hit.of_margin };
        Some(SearchHit { pinned: hit.pinned, score, explanation, ..shown.remove(&hit.key)? })
    };
    let items = merged.hits.iter().filter_map(card).collect();
    let facets = names.into_iter().zip(&merged.facets).map(|(name, facet)| views::facet(name, facet, &tree)).collect();
    Ok(Body::Search(Box::new(SearchResults {
        items,
        facets,
        total: merged.total,
        relaxed: merged.relaxed,
        next: merged.next.map(|cursor| search_cursor::seal(ctx, cursor)),
        did_you_mean: merged.did_you_mean.filter(|_| !late),
        redirect: said.redirect,
        banner: said.banner,
        partial,
    })))
}

/// The names in front of colons in a text that are of attributes at any shard: every shard is told of all of them, so that they read the text alike. And whether
/// any shard did not say in time.
async fn fields_of(ctx: &Ctx, until_us: u64, text: &str) -> Result<(Vec<String>, bool), Failure> {
    let names: Arc<[String]> = search_index::named_fields(text).into();
    if names.is_empty() {
        return Ok((Vec::new(), false));
    }
    let (mut known, mut late) = (BTreeSet::new(), false);
    for answer in ctx.ask_all_until(until_us, Ask::SearchFields(names)).await? {
        match answer {
            Some(Answer::SearchFields(names)) => known.extend(names),
            Some(other) => return Err(unexpected(&other)),
            None => late = true,
        }
    }
    Ok((known.into_iter().collect(), late))
}

/// Gives the query what all shards together have of its words, and answers whether any shard did not say in time. Of one shard it is what that one goes by.
async fn share_statistics(ctx: &Ctx, until_us: u64, query: &mut search_index::Query) -> Result<bool, Failure> {
    if query.text.is_none() || ctx.config(|config| config.shards) == 1 {
        return Ok(false);
    }
    let (mut all, mut late) = (Statistics::default(), false);
    for answer in ctx.ask_all_until(until_us, Ask::Statistics(Arc::new(query.clone()))).await? {
        match answer {
            Some(Answer::Statistics(part)) => all.add(&part),
            Some(other) => return Err(unexpected(&other)),
            None => late = true,
        }
    }
    query.statistics = Some(Arc::new(all));
    Ok(late)
}

/// What is shown of hits; looked up, never iterated.
pub(super) type Cards = HashMap<DocKey, SearchHit, foldhash::fast::FixedState>;

/// What shards found.
struct Found {
    parts: Vec<Part>,
    /// Of their hits.
    shown: Cards,
    /// Whether any did not answer in time.
    late: bool,
}

/// When a search that is taken up now is answered with what there is.
pub(super) fn until(ctx: &Ctx) -> u64 {
    after_ms(ctx, SEARCH_DEADLINE_MS)
}

fn after_ms(ctx: &Ctx, ms: u64) -> u64 {
    ctx.now().mono_us + ms * 1_000
}

/// Every shard's part, with what is shown of its hits.
async fn parts(ctx: &Ctx, until_us: u64, query: &Arc<search_index::Query>, highlight: bool) -> Result<Found, Failure> {
    let mut found = Found { parts: Vec::new(), shown: Cards::default(), late: false };
    for answer in ctx.ask_all_until(until_us, Ask::Search { query: Arc::clone(query), highlight }).await? {
        match answer {
            Some(Answer::Search(part, hits)) => {
                found.shown.extend(hits);
                found.parts.push(*part);
            }
            Some(other) => return Err(unexpected(&other)),
            None => found.late = true,
        }
    }
    Ok(found)
}

pub(super) async fn suggest(ctx: &Ctx, text: String, limit: u16) -> Result<Body, Failure> {
    if text.len() > wire::limits::QUERY_BYTES_MAX {
        let max = wire::limits::QUERY_BYTES_MAX as u64;
        return Err(refused(Refusal::LimitReached { what: "bytes of a query".to_owned(), max }));
    }
    let limit = limit.clamp(1, wire::limits::PAGE_MAX);
    let text: Arc<str> = text.into();
    let mut parts = Vec::new();
    let mut shown = BTreeMap::new();
    let mut queries = BTreeMap::<String, u64>::new();
    let mut late = false;
    for answer in ctx.ask_all_until(until(ctx), Ask::Suggest(Arc::clone(&text), limit)).await? {
        match answer {
            Some(Answer::Suggest(part, products, searched)) => {
                searched.into_iter().for_each(|(text, count)| *queries.entry(text).or_default() += count);
                shown.extend(products.into_iter().map(|(key, id, product_key, title)| (key, (id, product_key, title))));
                parts.push(part);
            }
            Some(other) => return Err(unexpected(&other)),
            None => late = true,
        }
    }
    let merged = search_index::Suggestions::merge(parts, usize::from(limit));
    let prefix = text.trim().to_lowercase();
    let tree = ctx.config(|config| config.shared.categories());
    let begins = |name: &str| !prefix.is_empty() && name.to_lowercase().starts_with(&prefix);
    let categories = tree.iter().filter(|category| begins(&category.name)).take(usize::from(limit));
    let mut queries: Vec<(String, u64)> = queries.into_iter().filter(|(_, count)| *count >= POPULAR_SEARCHES_MIN).collect();
    queries.sort_by_key(|(_, count)| Reverse(*count));
    queries.truncate(usize::from(limit));
    Ok(Body::Suggestions(Suggestions {
        completions: merged.completions.into_iter().map(|completion| completion.text).collect(),
        products: merged.products.iter().filter_map(|product| shown.remove(&product.key)).collect(),
        categories: categories.map(|category| (category.key.to_string(), category.name.to_string())).collect(),
        queries: queries.into_iter().map(|(text, _)| text).collect(),
        partial: merged.partial || late,
    }))
}

pub(super) async fn queries(ctx: &Ctx, head: &Head, without_results: bool, limit: u16) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let mut all = BTreeMap::<String, CountedQuery>::new();
    for answer in ctx.ask_all(Ask::SearchQueries { without_results }).await? {
        let Answer::SearchQueries(part) = answer else { return Err(unexpected(&answer)) };
        for CountedQuery { text, searches, without_results } in part {
            let counted = all.entry(text.clone()).or_insert_with(|| CountedQuery { text, searches: 0, without_results: 0 });
            counted.searches += searches;
            counted.without_results += without_results;
        }
    }
    let mut all: Vec<CountedQuery> = all.into_values().collect();
    all.sort_by_key(|query| Reverse(if without_results { query.without_results } else { query.searches }));
    all.truncate(usize::from(limit.clamp(1, PAGE_MAX)));
    Ok(Body::SearchQueries(all))
}

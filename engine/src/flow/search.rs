//! Search and suggestions: asked of every shard, merged.
//!
//! Path: `wire` query → [`views::query`] → synonyms and the rules that are for it ([`search_rules`](super::search_rules)) → every shard's part with what is shown
//! of its hits, once more if shards differ over what is a word or a word that nobody has may be one that a rule is for → merge → page and cursor.

use super::{refused, views};
use crate::shard::core::{
    ctx::{Ctx, unexpected},
    peer::{Answer, Ask},
};
use search_index::{DocKey, Part, Words};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Body, Failure, Refusal, SearchHit, SearchQuery, SearchResults, Suggestions};

pub(super) async fn search(ctx: &Ctx, query: SearchQuery) -> Result<Body, Failure> {
    let names: Vec<String> = query.facets.iter().map(views::facet_name).collect();
    let (tree, rules) = ctx.config(|config| (config.shared.categories(), config.shared.search_rules()));
    let (highlight, now) = (query.highlight, ctx.now().wall);
    let text = query.text.clone();
    let mut query = views::query(query, &tree).map_err(refused)?;
    query.synonyms = rules.synonyms();
    let mut matched = rules.matching(&text, Words::default(), now);
    let mut said = rules.arrange(&matched, &tree, &mut query);
    let mut query = Arc::new(query);
    let (mut parts, mut shown) = parts(ctx, &query, highlight).await?;
    let known = search_index::misjudged(&parts);
    // Words that nobody has may be slips of those that a rule is for.
    let matched_misspelt = rules.matching(&text, search_index::unknown(&parts), now);
    if !known.is_empty() || matched_misspelt != matched {
        // What some shard took for misspelt is a word on another.
        let mut again = search_index::Query { known, ..(*query).clone() };
        matched = matched_misspelt;
        said = rules.arrange(&matched, &tree, &mut again);
        query = Arc::new(again);
        (parts, shown) = self::parts(ctx, &query, highlight).await?;
    }
    let merged = search_index::merge(parts, &query);
    let card = |hit: &search_index::Hit| Some(SearchHit { pinned: hit.pinned, ..shown.remove(&hit.key)? });
    let items = merged.hits.iter().filter_map(card).collect();
    let facets = names.into_iter().zip(&merged.facets).map(|(name, facet)| views::facet(name, facet)).collect();
    Ok(Body::Search(Box::new(SearchResults {
        items,
        facets,
        total: merged.total,
        relaxed: merged.relaxed,
        next: merged.next.map(|cursor| cursor.encode().to_vec()),
        did_you_mean: merged.did_you_mean,
        redirect: said.redirect,
        banner: said.banner,
    })))
}

/// Every shard's part, with what is shown of its hits.
async fn parts(ctx: &Ctx, query: &Arc<search_index::Query>, highlight: bool) -> Result<(Vec<Part>, BTreeMap<DocKey, SearchHit>), Failure> {
    let (mut parts, mut shown) = (Vec::new(), BTreeMap::new());
    for answer in ctx.ask_all(Ask::Search { query: Arc::clone(query), highlight }).await? {
        match answer {
            Answer::Search(part, hits) => {
                shown.extend(hits);
                parts.push(*part);
            }
            other => return Err(unexpected(&other)),
        }
    }
    Ok((parts, shown))
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
    for answer in ctx.ask_all(Ask::Suggest(Arc::clone(&text), limit)).await? {
        match answer {
            Answer::Suggest(part, products) => {
                shown.extend(products.into_iter().map(|(key, id, product_key, title)| (key, (id, product_key, title))));
                parts.push(part);
            }
            other => return Err(unexpected(&other)),
        }
    }
    let merged = search_index::Suggestions::merge(parts, usize::from(limit));
    let prefix = text.trim().to_lowercase();
    let tree = ctx.config(|config| config.shared.categories());
    let begins = |name: &str| !prefix.is_empty() && name.to_lowercase().starts_with(&prefix);
    let categories = tree.iter().filter(|category| begins(&category.name)).take(usize::from(limit));
    Ok(Body::Suggestions(Suggestions {
        completions: merged.completions.into_iter().map(|completion| completion.text).collect(),
        products: merged.products.iter().filter_map(|product| shown.remove(&product.key)).collect(),
        categories: categories.map(|category| (category.key.to_string(), category.name.to_string())).collect(),
    }))
}

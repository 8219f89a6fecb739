//! Search and suggestions: asked of every shard, merged.
//!
//! Path: `wire` query → [`views::query`] → every shard's part with what is shown of its hits, once more if shards differ over what is a word → merge → page and
//! cursor.

use super::{refused, views};
use crate::shard::core::{
    ctx::{Ctx, unexpected},
    peer::{Answer, Ask},
};
use search_index::{DocKey, Part};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Body, Failure, Refusal, SearchHit, SearchQuery, SearchResults, Suggestions};

pub(super) async fn search(ctx: &Ctx, query: SearchQuery) -> Result<Body, Failure> {
    let names: Vec<String> = query.facets.iter().map(views::facet_name).collect();
    let tree = ctx.config(|config| config.shared.categories());
    let highlight = query.highlight;
    let mut query = Arc::new(views::query(query, &tree).map_err(refused)?);
    let (mut parts, mut shown) = parts(ctx, &query, highlight).await?;
    let known = search_index::misjudged(&parts);
    if !known.is_empty() {
        // What some shard took for misspelt is a word on another.
        query = Arc::new(search_index::Query { known, ..(*query).clone() });
        (parts, shown) = self::parts(ctx, &query, highlight).await?;
    }
    let merged = search_index::merge(parts, &query);
    let items = merged.hits.iter().filter_map(|hit| shown.remove(&hit.key)).collect();
    let facets = names.into_iter().zip(&merged.facets).map(|(name, facet)| views::facet(name, facet)).collect();
    Ok(Body::Search(Box::new(SearchResults {
        items,
        facets,
        total: merged.total,
        relaxed: merged.relaxed,
        next: merged.next.map(|cursor| cursor.encode().to_vec()),
        did_you_mean: merged.did_you_mean,
    })))
}

/// Every shard's part, with what is shown of its hits.
async fn parts(ctx: &Ctx, query: &Arc<search_index::Query>, highlight: bool) -> Result<(Vec<Part>, BTreeMap<DocKey, SearchHit>), Failure> {
    let (mut parts, mut shown) = (Vec::new(), BTreeMap::new());
    for answer in ctx.ask_all(Ask::Search { query: Arc::clone(query), highlight }).await? {
        match answer {
            Answer::Search(part, hits) => {
                for (hit, card) in part.hits.iter().zip(hits) {
                    shown.insert(hit.key, card);
                }
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

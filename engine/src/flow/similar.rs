//! Products like one: asked of every shard, merged.
//!
//! Path: the product's own shard says what it says ([`Index::profile`](search_index::Index::profile)) → every shard counts how many of its products say so →
//! the words that tell most, the same for all → every shard's products that have some of them, with what is shown → merge.
//! Shards are waited for as long as by a search: a page waits for what is beside its product no longer than that, and shows what the others found.
//! What a shop has set for searches does not count: nothing was typed, and what sells well is no more like the product for it.

use super::{catalog, search, views};
use crate::shard::core::{
    ctx::{Ctx, unexpected},
    doc_key,
    peer::{Answer, Ask},
};
use search_index::{Frequencies, Signals, SimilarQuery, SimilarTo};
use std::sync::Arc;
use wire::{Body, Failure, Filter, ProductRef};

pub(super) async fn similar(ctx: &Ctx, product: &ProductRef, filters: Vec<Filter>, limit: u16) -> Result<Body, Failure> {
    let profile = ctx.with(|state| {
        let product = catalog::for_sale(state, product)?;
        Ok::<_, Failure>(state.index.profile(doc_key(product.id)))
    })?;
    let Some(profile) = profile else { return Ok(Body::SimilarProducts(Vec::new())) };
    let profile = Arc::new(profile);
    let mut frequencies = Frequencies::default();
    let until_us = search::until(ctx);
    for answer in ctx.ask_all_until(until_us, Ask::Frequencies(Arc::clone(&profile))).await? {
        match answer {
            Some(Answer::Frequencies(part)) => frequencies.add(&part),
            Some(other) => return Err(unexpected(&other)),
            None => {}
        }
    }
    let tree = ctx.config(|config| config.shared.categories());
    let query = SimilarQuery {
        to: SimilarTo::new(Arc::unwrap_or_clone(profile), &frequencies),
        filters: filters.into_iter().map(|filter| views::indexed_filter(filter, &tree)).collect(),
        signals: Signals::default(),
        limit: usize::from(limit),
    };
    let (mut parts, mut shown) = (Vec::new(), search::Cards::default());
    for answer in ctx.ask_all_until(until_us, Ask::Similar(Arc::new(query))).await? {
        match answer {
            Some(Answer::Similar(part, hits)) => {
                shown.extend(hits);
                parts.push(part);
            }
            Some(other) => return Err(unexpected(&other)),
            None => {}
        }
    }
    let merged = search_index::merge_similar(parts, usize::from(limit));
    Ok(Body::SimilarProducts(merged.iter().filter_map(|hit| shown.remove(&hit.key)).collect()))
}

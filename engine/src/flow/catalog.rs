//! Catalog: products and categories, read and written.
//!
//! Path of a write: bounds → category made if missing → claims on new SKU keys, each on the partition of its key → `PutProduct` → its
//! effects (claims made final, stock rows opened) are awaited, so that what the merchant wrote is there when the answer comes.

use super::{Head, Trail, read, refused, views};
use crate::{
    domain::{
        category::CategoryTree,
        product::{self, Product},
    },
    partition::Done,
    record::v1::{self, Command},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
        state::State,
    },
};
use std::{collections::BTreeMap, sync::Arc};
use wire::{
    Body, CategoryInput, CategoryRef, CategoryView, Failure, ProductInput, ProductRef, ProductView, Refusal, Role, Upserted, placement,
    placement::Space,
};

/// A product: to shoppers if it is for sale, to those who write it in any case and with its margin.
pub(super) fn get(ctx: &Ctx, head: &Head, reference: &ProductRef) -> Result<Body, Failure> {
    let writes = head.writes_products();
    ctx.with(|state| {
        let product = any(state, reference).filter(|product| writes || product.is_for_sale()).ok_or_else(|| refused(Refusal::NotFound))?;
        let tree = state.config.shared.categories();
        let view = views::product(product, &tree, |place| state.availability(product, place));
        Ok(Body::Product(Box::new(ProductView { margin: product.margin.filter(|_| writes), ..view })))
    })
}

/// A product of this shard that shoppers may see.
pub(super) fn for_sale<'a>(state: &'a State, reference: &ProductRef) -> Result<&'a Arc<Product>, Failure> {
    any(state, reference).filter(|product| product.is_for_sale()).ok_or_else(|| refused(Refusal::NotFound))
}

fn any<'a>(state: &'a State, reference: &ProductRef) -> Option<&'a Arc<Product>> {
    match reference {
        ProductRef::Id(id) => state.partition(id.partition()).and_then(|partition| partition.product(*id)),
        ProductRef::Key(key) => {
            let partition = placement::partition_of(Space::Product, key.as_bytes(), state.config.partitions);
            state.partition(partition).and_then(|partition| partition.product_by_key(key))
        }
    }
}

pub(super) async fn put(ctx: &Ctx, head: &Head, trail: &mut Trail, input: ProductInput) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let partitions = ctx.config(|config| config.partitions);
    let partition = placement::partition_of(Space::Product, input.key.as_bytes(), partitions);
    let category = match &input.category {
        Some(key) => ensure_category(ctx, trail, key).await?,
        None => Vec::new(),
    };
    let margin = input.margin;
    let content = views::stored_product(input, category, partitions);
    product::check(&content).and_then(|()| product::check_margin(margin)).map_err(|error| refused(Refusal::Invalid(vec![error])))?;
    let known = read(ctx, partition, |p| {
        p.product_by_key(&content.key).map(|p| p.content.variants.iter().map(|v| v.key.as_str().to_owned()).collect())
    })?;
    let known: Vec<String> = known.unwrap_or_default();
    let new: Vec<&str> =
        content.variants.iter().map(|variant| variant.key.as_str()).filter(|key| !known.iter().any(|k| k == key)).collect();
    claim(ctx, trail, &content.key, &new, partitions).await?;
    let content = Box::new(content);
    let command = match margin {
        Some(margin) => Command::PutProductWithMargin { content, margin },
        None => Command::PutProduct(content),
    };
    let committed = ctx.propose(partition, head.entry(command)).await?;
    let mut effects = committed.effects.clone();
    let replayed = committed.applied.replayed;
    let outcome = trail.note(committed);
    if let Ok(Done::Product { id, what, .. }) = outcome
        && (replayed || what != Upserted::Created)
    {
        // What an earlier write of it asked for may still be under way.
        effects = read(ctx, partition, |p| p.effects_of_product(id))?;
    }
    ctx.answered(partition, &effects, head.deadline_us).await;
    match outcome.map_err(refused)? {
        Done::Product { id, version, what } => Ok(Body::Upserted { id, version, what }),
        other => Err(odd(&other)),
    }
}

/// Takes the claims on new SKU keys, all at once. If one is taken by another product, those just taken are left to be swept: they are
/// this product's own, so a corrected write finds them.
async fn claim(ctx: &Ctx, trail: &mut Trail, owner: &str, keys: &[&str], partitions: u16) -> Result<(), Failure> {
    let asks = keys.iter().map(|key| {
        let partition = placement::partition_of(Space::SkuClaim, key.as_bytes(), partitions);
        let command = Command::ClaimSku { key: (*key).to_owned(), owner: owner.to_owned() };
        (partition, Ask::Propose(partition, Box::new(v1::Entry::of(command))))
    });
    for answer in ctx.ask_each(asks.collect()).await? {
        match answer {
            Answer::Committed(committed) => {
                trail.note(committed).map_err(refused)?;
            }
            other => return Err(unexpected(&other)),
        }
    }
    Ok(())
}

/// How often, and how many milliseconds apart, it is looked whether this node has what another one committed.
const HERE_LOOKS_MAX: u32 = 500;
const HERE_LOOK_MS: u64 = 2;

/// The path of a category from the root, made when missing.
async fn ensure_category(ctx: &Ctx, trail: &mut Trail, key: &str) -> Result<Vec<v1::CategoryNode>, Failure> {
    let path = |tree: &CategoryTree| {
        let category = tree.by_key(key)?;
        Some(tree.path(category.id).into_iter().map(|node| v1::CategoryNode { id: node.id, key: node.key.to_string() }).collect::<Vec<_>>())
    };
    let tree = |ctx: &Ctx| ctx.config(|config| config.shared.categories());
    if let Some(found) = path(&tree(ctx)) {
        return Ok(found);
    }
    let partition = placement::categories_partition(ctx.config(|config| config.partitions));
    let committed = ctx.command(partition, Command::EnsureCategory { key: key.to_owned() }).await?;
    trail.note(committed).map_err(refused)?;
    shown_here(ctx, || path(&tree(ctx))).await
}

/// What a command on the categories' partition made, once this node has it too: the owner publishes the tree before it answers, but it may be another node, whose
/// entries come here a moment later.
async fn shown_here<T>(ctx: &Ctx, look: impl Fn() -> Option<T>) -> Result<T, Failure> {
    for _ in 0..HERE_LOOKS_MAX {
        if let Some(found) = look() {
            return Ok(found);
        }
        ctx.sleep_until(ctx.now().mono_us + HERE_LOOK_MS * 1_000).await;
    }
    Err(Failure::Interrupted)
}

pub(super) async fn delete(ctx: &Ctx, head: &Head, trail: &mut Trail, reference: &ProductRef) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let partitions = ctx.config(|config| config.partitions);
    let (partition, id) = match reference {
        ProductRef::Id(id) => (id.partition(), Some(*id)),
        ProductRef::Key(key) => {
            let partition = placement::partition_of(Space::Product, key.as_bytes(), partitions);
            (partition, read(ctx, partition, |p| p.product_by_key(key).map(|product| product.id))?)
        }
    };
    let product = id.ok_or_else(|| refused(Refusal::NotFound))?;
    let committed = ctx.propose(partition, head.entry(Command::DeleteProduct { product })).await?;
    let effects = committed.effects.clone();
    let outcome = trail.note(committed);
    ctx.answered(partition, &effects, head.deadline_us).await;
    outcome.map(|_| Body::Done).map_err(refused)
}

pub(super) async fn put_category(ctx: &Ctx, head: &Head, trail: &mut Trail, input: CategoryInput) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let CategoryInput { key, name, parent } = input;
    let partition = placement::categories_partition(ctx.config(|config| config.partitions));
    let committed = ctx.propose(partition, head.entry(Command::PutCategory { key, name, parent })).await?;
    match trail.note(committed).map_err(refused)? {
        Done::Category { id, what } => {
            shown_here(ctx, || ctx.config(|config| config.shared.categories().get(id).map(|_| ()))).await?;
            let (tree, counts) = tree_and_counts(ctx).await?;
            let category = tree.get(id).map(|category| view(&tree, category, &counts)).ok_or(Failure::Internal)?;
            Ok(Body::UpsertedCategory { category: Box::new(category), what })
        }
        other => Err(odd(&other)),
    }
}

pub(super) async fn list_categories(ctx: &Ctx) -> Result<Body, Failure> {
    let (tree, counts) = tree_and_counts(ctx).await?;
    Ok(Body::Categories(tree.iter().map(|category| view(&tree, category, &counts)).collect()))
}

pub(super) async fn get_category(ctx: &Ctx, reference: &CategoryRef) -> Result<Body, Failure> {
    let (tree, counts) = tree_and_counts(ctx).await?;
    let category = tree.find(reference).ok_or_else(|| refused(Refusal::NotFound))?;
    let shown = std::iter::once(category).chain(tree.children(Some(category.id)));
    Ok(Body::Categories(shown.map(|category| view(&tree, category, &counts)).collect()))
}

/// The tree, and active products by category key over all shards.
async fn tree_and_counts(ctx: &Ctx) -> Result<(Arc<CategoryTree>, BTreeMap<String, u64>), Failure> {
    let mut counts = BTreeMap::new();
    for answer in ctx.ask_all(Ask::CategoryCounts).await? {
        match answer {
            Answer::CategoryCounts(part) => part.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count),
            other => return Err(unexpected(&other)),
        }
    }
    Ok((ctx.config(|config| config.shared.categories()), counts))
}

fn view(tree: &CategoryTree, category: &crate::domain::category::Category, counts: &BTreeMap<String, u64>) -> CategoryView {
    let mut breadcrumb = tree.crumbs(category.id);
    breadcrumb.pop();
    CategoryView {
        id: category.id,
        version: category.version,
        key: category.key.to_string(),
        name: category.name.to_string(),
        breadcrumb,
        parent: category.parent,
        products: counts.get(category.key.as_ref()).copied().unwrap_or(0),
    }
}

fn odd(done: &Done) -> Failure {
    tracing::error!(?done, "a catalog command had another outcome");
    Failure::Internal
}

//! Products of a partition, with their SKUs.
//!
//! Path: `PutProduct`, or `PutProductWithMargin` → checked → ids minted for new variants, kept for known ones → stored → outbox: claims finalised or released,
//! stock rows opened. The key of each variant was claimed before by the flow that proposed the command.
//! Bounds: [`PRODUCTS_MAX`], [`SKUS_MAX`], [`OPENED_KEPT_MAX`]; writes that would pass the first two are refused.

use super::{
    ApplyContext, Digest, Done, Outcome, hash128,
    outbox::{Concern, Effect, Target},
    snapshot::{BadItem, Items, Kind, fields::Field},
    table::Table,
};
use crate::{
    domain::{
        content::Content,
        product::{self, Product},
    },
    record::v1::{self, Command, PeerOutcome},
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wire::{
    EventField, EventKind, ProductId, Refusal, SkuId, Upserted,
    placement::{Space, partition_of},
};
use xxhash_rust::xxh3::xxh3_64;

/// Products of a partition. At the bound a new one is refused.
pub const PRODUCTS_MAX: usize = 2_000_000;

/// SKUs of a partition. At the bound a write that adds some is refused.
pub const SKUS_MAX: usize = 8_000_000;

/// Stock rows of a product remembered as opened. Past it the oldest are forgotten: they are asked for again when the product is
/// written again, and the location answers that they exist.
pub const OPENED_KEPT_MAX: usize = 10_000;

/// Version of the body of an item that says a margin.
const MARGIN_VERSION: u8 = 2;

#[derive(Clone, Debug)]
struct Stored {
    /// Never changed, only replaced: whoever shows it may keep it.
    product: Arc<Product>,
    /// Which (SKU, location) were asked to open, by hash, so that writing a product again sends nothing again.
    opened: VecDeque<u64>,
}

/// All products, with ways to find them.
#[derive(Debug, Default)]
pub(super) struct Products {
    by_id: Table<ProductId, Stored>,
    by_key: hashbrown::HashMap<Arc<str>, ProductId, foldhash::fast::FixedState>,
    by_sku: hashbrown::HashMap<SkuId, (ProductId, u32), foldhash::fast::FixedState>,
}

impl Products {
    pub(super) fn get(&self, id: ProductId) -> Option<&Arc<Product>> {
        Some(&self.by_id.get(&id)?.product)
    }

    pub(super) fn by_key(&self, key: &str) -> Option<&Arc<Product>> {
        self.get(*self.by_key.get(key)?)
    }

    pub(super) fn sku(&self, sku: SkuId) -> Option<(&Product, usize)> {
        let (product, index) = self.by_sku.get(&sku)?;
        Some((self.get(*product)?, *index as usize))
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Product>> {
        self.by_id.values().map(|stored| &stored.product)
    }

    /// Stores the product under its key, in place of what was there.
    pub(super) fn put(&mut self, ctx: &mut ApplyContext<'_>, content: &v1::Product, margin: Option<i8>) -> Outcome {
        product::check(content).and_then(|()| product::check_margin(margin)).map_err(|error| Refusal::Invalid(vec![error]))?;
        let old = self.by_key.get(content.key.as_str()).and_then(|id| self.by_id.get(id));
        ctx.check_version(old.map_or(0, |stored| stored.product.version))?;
        let old_variants = old.map_or(0, |stored| stored.product.skus.len());
        ctx.check_outbox_room(content.variants.len() + old_variants + content.stock.len())?;
        check_room("products of a partition", self.by_id.len() + usize::from(old.is_none()), PRODUCTS_MAX)?;
        check_room("SKUs of a partition", self.by_sku.len() + content.variants.len().saturating_sub(old_variants), SKUS_MAX)?;

        let kept = kept(content);
        let (id, version, what) = match old {
            None => {
                let id = ctx.next();
                let skus = content.variants.iter().map(|_| ctx.next()).collect::<Vec<_>>();
                for (variant, sku) in content.variants.iter().zip(&skus) {
                    finalise(ctx, &content.key, &variant.key, *sku);
                }
                self.store(ctx, Product { id, version: 1, content: kept, margin, skus }, VecDeque::new());
                (id, 1, Upserted::Created)
            }
            Some(Stored { product: old, .. }) if old.margin == margin && is_same(&old.content, &kept) => {
                (old.id, old.version, Upserted::Unchanged)
            }
            Some(Stored { product: old, .. }) => {
                let (id, version) = (old.id, old.version + 1);
                self.replace(ctx, (id, version), content, kept, margin);
                (id, version, Upserted::Updated)
            }
        };
        self.open_stock(ctx, id, content);
        let told = match what {
            Upserted::Created => Some(EventKind::ProductCreated),
            Upserted::Updated => Some(EventKind::ProductUpdated),
            Upserted::Unchanged => None,
        };
        if let Some(kind) = told {
            ctx.tell(kind, vec![EventField::Product(id), EventField::Key(content.key.clone()), EventField::Version(version)]);
        }
        Ok(Done::Product { id, version, what })
    }

    /// Removes the product; the keys of its variants become free. Its stock stays where it is.
    pub(super) fn delete(&mut self, ctx: &mut ApplyContext<'_>, id: ProductId) -> Outcome {
        let product = &self.by_id.get(&id).ok_or(Refusal::NotFound)?.product;
        ctx.check_version(product.version)?;
        ctx.check_outbox_room(product.skus.len())?;
        if let Some(Stored { product, .. }) = self.by_id.remove(&id) {
            self.by_key.remove(product.content.key.as_str());
            for (sku, variant) in product.variants() {
                self.by_sku.remove(&sku);
                release(ctx, &product.content.key, &variant.key, sku);
            }
            ctx.changes.products.push(id);
            ctx.tell(EventKind::ProductDeleted, vec![EventField::Product(id), EventField::Key(product.content.key.as_str().to_owned())]);
        }
        Ok(Done::Nothing)
    }

    /// An effect of a product was answered: a stock row that could not be opened is asked for again at the next write.
    pub(super) fn effect_answered(&mut self, effect: &Effect, answer: &PeerOutcome) {
        match (&effect.target, answer) {
            (Target::Partition(_, Command::OpenStock { sku, location, .. }), PeerOutcome::Refused { .. }) => {
                let product = self.by_sku.get(sku).map(|(product, _)| *product);
                if let Some(stored) = product.and_then(|id| self.by_id.get_mut(&id)) {
                    let mark = opened_mark(*sku, location);
                    stored.opened.retain(|opened| *opened != mark);
                }
            }
            (Target::Partition(..) | Target::Adapter { .. }, _) => {}
        }
    }

    /// Other content for a product that is there: known variants keep their ids, new ones get theirs, the others go.
    fn replace(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        (id, version): (ProductId, u64),
        content: &v1::Product,
        kept: Content,
        margin: Option<i8>,
    ) {
        let Some(Stored { product: old, opened }) = self.by_id.remove(&id) else { return };
        // Only looked up in, so its order cannot show.
        let mut left: HashMap<&str, SkuId> = old.variants().map(|(sku, variant)| (variant.key.as_str(), sku)).collect();
        let mut skus = Vec::with_capacity(content.variants.len());
        for variant in &content.variants {
            let sku = match left.remove(variant.key.as_str()) {
                Some(known) => known,
                None => {
                    let sku = ctx.next();
                    finalise(ctx, &content.key, &variant.key, sku);
                    sku
                }
            };
            skus.push(sku);
        }
        for (sku, variant) in old.variants() {
            if left.contains_key(variant.key.as_str()) {
                self.by_sku.remove(&sku);
                release(ctx, &content.key, &variant.key, sku);
            }
        }
        self.store(ctx, Product { id, version, content: kept, margin, skus }, opened);
    }

    fn store(&mut self, ctx: &mut ApplyContext<'_>, product: Product, opened: VecDeque<u64>) {
        for (index, sku) in (0u32..).zip(&product.skus) {
            self.by_sku.insert(*sku, (product.id, index));
        }
        if !self.by_key.contains_key(product.content.key.as_str()) {
            self.by_key.insert(Arc::from(product.content.key.as_str()), product.id);
        }
        ctx.changes.products.push(product.id);
        self.by_id.insert(product.id, Stored { product: Arc::new(product), opened });
    }

    /// Asks for the stock rows that were not asked for before.
    fn open_stock(&mut self, ctx: &mut ApplyContext<'_>, id: ProductId, content: &v1::Product) {
        if content.stock.is_empty() {
            return;
        }
        let Some(Stored { product, opened }) = self.by_id.get_mut(&id) else { return };
        let skus: HashMap<&str, SkuId> = product.variants().map(|(sku, variant)| (variant.key.as_str(), sku)).collect();
        let known: HashSet<u64> = opened.iter().copied().collect();
        for row in &content.stock {
            let Some(&sku) = skus.get(row.variant.as_str()) else { continue };
            let mark = opened_mark(sku, &row.location);
            if known.contains(&mark) {
                continue;
            }
            if opened.len() >= OPENED_KEPT_MAX {
                opened.pop_front();
            }
            opened.push_back(mark);
            // The quantity is a part of the name: one id is one movement, whole.
            let (product, variant) = (id.0.0.to_le_bytes(), sku.0.0.to_le_bytes());
            let name = hash128(&[b"open stock", &product, &variant, row.location.as_bytes(), &row.on_hand.to_le_bytes()]);
            let command = Command::OpenStock { id: name, sku, location: row.location.clone(), on_hand: row.on_hand };
            ctx.ask(Concern::None, Target::Partition(row.partition, command));
        }
    }

    pub(super) fn freeze(&mut self) {
        self.by_id.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.by_id.thaw();
    }

    /// Writes products into a snapshot.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.by_id.walk(|_, stored| {
            // Without a margin the body is as it was before there were any.
            let version = if stored.is_some_and(|stored| stored.product.margin.is_some()) { MARGIN_VERSION } else { 1 };
            items.put_walked_version((Kind::Product, version), stored, |body, Stored { product, opened }| {
                let Product { id, version, content, margin, skus } = &**product;
                (*id, *version).put(body);
                skus.put(body);
                opened.put(body);
                if let Some(margin) = margin {
                    margin.put(body);
                }
                body.extend_from_slice(content.bytes());
            })
        })
    }

    pub(super) fn put_back(&mut self, version: u8, body: &mut &[u8]) -> Result<(), BadItem> {
        let mut fields = || {
            let (numbers, skus, opened) = (<(ProductId, u64)>::take(body)?, Field::take(body)?, Field::take(body)?);
            let margin = if version == MARGIN_VERSION { Some(i8::take(body)?) } else { None };
            Some((numbers, skus, opened, margin, Content::checked(std::mem::take(body))?))
        };
        let ((id, version), skus, opened, margin, content): (_, Vec<SkuId>, _, _, Content) = fields().ok_or(BadItem::Damaged)?;
        let mut is_new = self.by_key.insert(Arc::from(content.key.as_str()), id).is_none();
        for (index, sku) in (0u32..).zip(&skus) {
            is_new &= self.by_sku.insert(*sku, (id, index)).is_none();
        }
        if !is_new || skus.len() != content.variants.len() || product::check_margin(margin).is_err() {
            return Err(BadItem::Unfit);
        }
        let product = Arc::new(Product { id, version, content, margin, skus });
        if self.by_id.push(id, Stored { product, opened }) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let mut skus = 0;
        for (id, Stored { product, .. }) in &self.by_id {
            let found = product.id == *id && self.by_key.get(product.content.key.as_str()) == Some(id);
            let of_sku = |(index, sku): (u32, &SkuId)| self.by_sku.get(sku) == Some(&(*id, index));
            if !found || product.skus.len() != product.content.variants.len() || !(0u32..).zip(&product.skus).all(of_sku) {
                return Err(format!("product {id} is not found by its key and SKUs"));
            }
            skus += product.skus.len();
        }
        if self.by_key.len() == self.by_id.len() && self.by_sku.len() == skus {
            Ok(())
        } else {
            Err("the products' tables have entries of products that are gone".to_owned())
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("products");
        digest.write_usize(self.by_id.len());
        for (id, Stored { product, opened }) in &self.by_id {
            (id, product.version, &product.skus, opened).hash(digest);
            digest.bytes(product.content.bytes());
            // One without has the digest that it had before there were any.
            if let Some(margin) = product.margin {
                digest.bytes(&margin.to_le_bytes());
            }
        }
    }
}

fn finalise(ctx: &mut ApplyContext<'_>, owner: &str, key: &str, sku: SkuId) {
    let target = partition_of(Space::SkuClaim, key.as_bytes(), ctx.partitions);
    let command = Command::FinaliseSku { key: key.to_owned(), owner: owner.to_owned(), sku };
    ctx.ask(Concern::None, Target::Partition(target, command));
}

fn release(ctx: &mut ApplyContext<'_>, owner: &str, key: &str, sku: SkuId) {
    let target = partition_of(Space::SkuClaim, key.as_bytes(), ctx.partitions);
    let command = Command::ReleaseSku { key: key.to_owned(), owner: owner.to_owned(), sku: Some(sku) };
    ctx.ask(Concern::None, Target::Partition(target, command));
}

/// Two rows of one product with the same mark would be one chance in 2⁶⁴ a pair; the second would not be opened.
fn opened_mark(sku: SkuId, location: &str) -> u64 {
    let mut bytes = Vec::with_capacity(16 + location.len());
    bytes.extend_from_slice(&sku.0.0.to_le_bytes());
    bytes.extend_from_slice(location.as_bytes());
    xxh3_64(&bytes)
}

/// What is kept of what was written: all but the opening stock. Taken apart by field, so that one that is added is not forgotten here.
fn kept(content: &v1::Product) -> Content {
    let v1::Product { key, title, description, brand, category, attributes, images, variants, stock: _, popularity, released, status } =
        content;
    Content::new(&v1::Product {
        key: key.clone(),
        title: title.clone(),
        description: description.clone(),
        brand: brand.clone(),
        category: category.clone(),
        attributes: attributes.clone(),
        images: images.clone(),
        variants: variants.clone(),
        stock: Vec::new(),
        popularity: *popularity,
        released: *released,
        status: *status,
    })
}

/// Equal bytes are equal contents; others may still be, as 0.0 and -0.0.
fn is_same(old: &Content, new: &Content) -> bool {
    old.bytes() == new.bytes() || old.unpacked() == new.unpacked()
}

fn check_room(what: &str, wanted: usize, max: usize) -> Result<(), Refusal> {
    if wanted <= max { Ok(()) } else { Err(Refusal::LimitReached { what: what.to_owned(), max: max as u64 }) }
}

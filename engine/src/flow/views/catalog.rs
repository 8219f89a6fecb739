//! Products: as stored, as shown, as indexed.

use super::price_in;
use crate::{
    domain::{category::CategoryTree, product::Product},
    record::v1,
    shared::SkuStock,
};
use std::sync::Arc;
use wire::{
    Attribute, AttributeValue, Availability, CategoryCrumb, Currency, Image, Money, OptionChoice, ProductInput, ProductStatus, ProductView,
    SearchHit, VariantView, placement, placement::Space,
};

/// The name under which the index takes a product's model number.
const MODEL_ATTRIBUTE: &str = "model";

/// A product as the merchant wrote it, as it is stored.
pub(crate) fn stored_product(input: ProductInput, category: Vec<v1::CategoryNode>, partitions: u16) -> v1::Product {
    let ProductInput { key, title, description, brand, category: _, attributes, images, variants, stock, popularity, released, status } =
        input;
    v1::Product {
        key,
        title,
        description,
        brand,
        category,
        attributes: attributes.into_iter().map(|a| v1::Attribute { name: a.name, value: stored_value(a.value) }).collect(),
        images: images.into_iter().map(|image| v1::Image { url: image.url, alt: image.alt }).collect(),
        variants: variants
            .into_iter()
            .map(|variant| v1::Variant {
                key: variant.key,
                options: variant.options.into_iter().map(|option| (option.name, option.value)).collect(),
                prices: variant.prices,
                barcodes: variant.barcodes,
            })
            .collect(),
        stock: stock
            .into_iter()
            .map(|row| v1::OpeningStock {
                partition: placement::partition_of(Space::Location, row.location.as_bytes(), partitions),
                variant: row.variant,
                location: row.location,
                on_hand: row.on_hand,
            })
            .collect(),
        popularity,
        released,
        status: match status {
            ProductStatus::Draft => v1::ProductStatus::Draft,
            ProductStatus::Active => v1::ProductStatus::Active,
            ProductStatus::Archived => v1::ProductStatus::Archived,
        },
    }
}

fn stored_value(value: AttributeValue) -> v1::AttributeValue {
    match value {
        AttributeValue::Text(text) => v1::AttributeValue::Text(text),
        AttributeValue::Keyword(word) => v1::AttributeValue::Keyword(word),
        AttributeValue::Number(number) => v1::AttributeValue::Number(number),
        AttributeValue::Bool(flag) => v1::AttributeValue::Bool(flag),
    }
}

fn shown_value(value: &v1::AttributeValue) -> AttributeValue {
    match value {
        v1::AttributeValue::Text(text) => AttributeValue::Text(text.clone()),
        v1::AttributeValue::Keyword(word) => AttributeValue::Keyword(word.clone()),
        v1::AttributeValue::Number(number) => AttributeValue::Number(*number),
        v1::AttributeValue::Bool(flag) => AttributeValue::Bool(*flag),
    }
}

/// A product as shoppers see it; `availability` tells that of the variant at a place.
pub(crate) fn product(product: &Product, tree: &CategoryTree, availability: impl Fn(usize) -> Availability) -> ProductView {
    let content = &product.content;
    let crumb = |node: &v1::CategoryNode| {
        let name = tree.get(node.id).map_or_else(|| node.key.clone(), |category| category.name.to_string());
        CategoryCrumb { id: node.id, key: node.key.clone(), name }
    };
    ProductView {
        id: product.id,
        key: content.key.clone(),
        version: product.version,
        status: match content.status {
            v1::ProductStatus::Draft => ProductStatus::Draft,
            v1::ProductStatus::Active => ProductStatus::Active,
            v1::ProductStatus::Archived => ProductStatus::Archived,
        },
        title: content.title.clone(),
        description: content.description.clone(),
        brand: content.brand.clone(),
        category: content.category.iter().map(crumb).collect(),
        attributes: content.attributes.iter().map(|a| Attribute { name: a.name.clone(), value: shown_value(&a.value) }).collect(),
        images: content.images.iter().map(|image| Image { url: image.url.clone(), alt: image.alt.clone() }).collect(),
        variants: product
            .variants()
            .enumerate()
            .map(|(place, (id, variant))| VariantView {
                id,
                key: variant.key.clone(),
                options: variant.options.iter().map(|(name, value)| OptionChoice { name: name.clone(), value: value.clone() }).collect(),
                price: shown_price(&variant.prices),
                prices: variant.prices.clone(),
                barcodes: variant.barcodes.clone(),
                availability: availability(place),
            })
            .collect(),
        popularity: content.popularity,
        released: content.released,
    }
}

/// The price shown when no currency is asked for: the shop's, else the first.
fn shown_price(prices: &[Money]) -> Option<Money> {
    price_in(prices, Currency::USD).or_else(|| prices.first().copied())
}

/// A product as the index takes it.
pub(crate) fn document(product: &Product) -> search_index::Document {
    let content = &product.content;
    let model = content.attributes.iter().find_map(|attribute| match &attribute.value {
        v1::AttributeValue::Text(text) | v1::AttributeValue::Keyword(text) if attribute.name == MODEL_ATTRIBUTE => Some(text.clone()),
        _ => None,
    });
    // A shopper may type what stands on the box.
    let keywords = product.variants().flat_map(|(_, variant)| std::iter::once(&variant.key).chain(&variant.barcodes));
    let attributes = content.attributes.iter().map(|attribute| {
        let value = match &attribute.value {
            v1::AttributeValue::Text(text) => search_index::AttributeValue::Text(text.clone()),
            v1::AttributeValue::Keyword(word) => search_index::AttributeValue::Keyword(word.clone()),
            v1::AttributeValue::Number(number) => search_index::AttributeValue::Number(*number),
            v1::AttributeValue::Bool(flag) => search_index::AttributeValue::Bool(*flag),
        };
        (attribute.name.clone(), value)
    });
    let cheapest = content.variants.iter().filter_map(|variant| shown_price(&variant.prices)).map(|price| price.amount).min();
    search_index::Document {
        partition: product.id.partition().0,
        title: content.title.clone(),
        description: content.description.clone(),
        model: model.unwrap_or_default(),
        keywords: keywords.map(String::as_str).collect::<Vec<_>>().join(" "),
        brand: content.brand.clone(),
        category: content.category.iter().map(|node| node.key.clone()).collect(),
        price: cheapest,
        rating: None,
        popularity: content.popularity,
        released: content.released.map_or(0, i64::from),
        attributes: attributes.collect(),
        ..search_index::Document::new(crate::shard::core::doc_key(product.id))
    }
}

/// What is shown of a hit: the first variant that can be had, else the first.
pub(crate) fn search_hit(product: &Product, stock: &[Arc<SkuStock>], score: f32) -> Option<SearchHit> {
    let content = &product.content;
    let place = stock.iter().position(|word| word.in_stock());
    let (sku, variant) = product.variant(place.unwrap_or(0))?;
    Some(SearchHit {
        product: product.id,
        key: content.key.clone(),
        title: content.title.clone(),
        brand: content.brand.clone(),
        category: content.category.last().map(|node| node.key.clone()),
        price: shown_price(&variant.prices),
        image: content.images.first().map(|image| image.url.clone()),
        in_stock: place.is_some(),
        sku,
        score,
    })
}

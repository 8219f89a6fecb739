//! Products: as stored, as shown, as indexed.

use super::shown::Wanted;
use crate::{
    domain::{category::CategoryTree, product::Product},
    record::v1::{self, ArchivedAttributeValue, ArchivedProduct},
    shared::SkuStock,
};
use rkyv::string::ArchivedString;
use std::{collections::BTreeSet, sync::Arc};
use wire::{
    ArchivedMoney, Attribute, AttributeValue, Availability, CategoryCrumb, Currency, Highlight, Image, Money, OptionChoice, ProductInput,
    ProductStatus, ProductView, SearchHit, SkuId, VariantView, limits, placement, placement::Space,
};

/// The name under which the index takes a product's model number.
const MODEL_ATTRIBUTE: &str = "model";

/// A product as the merchant wrote it, as it is stored; its margin is kept beside.
pub(crate) fn stored_product(input: ProductInput, category: Vec<v1::CategoryNode>, partitions: u16) -> v1::Product {
    let ProductInput {
        key,
        title,
        description,
        brand,
        category: _,
        attributes,
        images,
        variants,
        stock,
        popularity,
        released,
        status,
        margin: _,
    } = input;
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

fn shown_value(value: v1::AttributeValue) -> AttributeValue {
    match value {
        v1::AttributeValue::Text(text) => AttributeValue::Text(text),
        v1::AttributeValue::Keyword(word) => AttributeValue::Keyword(word),
        v1::AttributeValue::Number(number) => AttributeValue::Number(number),
        v1::AttributeValue::Bool(flag) => AttributeValue::Bool(flag),
    }
}

/// A product as shoppers see it, without its margin; `availability` tells that of the variant at a place.
pub(crate) fn product(product: &Product, tree: &CategoryTree, availability: impl Fn(usize) -> Availability) -> ProductView {
    let v1::Product { key, title, description, brand, category, attributes, images, variants, stock: _, popularity, released, status } =
        product.content.unpacked();
    let crumb = |node: v1::CategoryNode| {
        let name = tree.get(node.id).map_or_else(|| node.key.clone(), |category| category.name.to_string());
        CategoryCrumb { id: node.id, key: node.key, name }
    };
    let variant = |(place, (&id, variant)): (usize, (&SkuId, v1::Variant))| VariantView {
        id,
        key: variant.key,
        options: variant.options.into_iter().map(|(name, value)| OptionChoice { name, value }).collect(),
        price: shown_price(variant.prices.iter().copied()),
        prices: variant.prices,
        barcodes: variant.barcodes,
        availability: availability(place),
    };
    ProductView {
        id: product.id,
        key,
        version: product.version,
        status: match status {
            v1::ProductStatus::Draft => ProductStatus::Draft,
            v1::ProductStatus::Active => ProductStatus::Active,
            v1::ProductStatus::Archived => ProductStatus::Archived,
        },
        title,
        description,
        brand,
        category: category.into_iter().map(crumb).collect(),
        attributes: attributes.into_iter().map(|a| Attribute { name: a.name, value: shown_value(a.value) }).collect(),
        images: images.into_iter().map(|image| Image { url: image.url, alt: image.alt }).collect(),
        variants: product.skus.iter().zip(variants).enumerate().map(variant).collect(),
        popularity,
        released,
        margin: None,
    }
}

/// The price shown when no currency is asked for: the shop's, else the first.
pub(super) fn shown_price(mut prices: impl Iterator<Item = Money> + Clone) -> Option<Money> {
    prices.clone().find(|price| price.currency == Currency::USD).or_else(|| prices.next())
}

/// A product as the index takes it.
pub(crate) fn document(product: &Product) -> search_index::Document {
    let search_index::Columns { price, rating, popularity, margin } = columns(product);
    let content = product.content.unpacked();
    let model = content.attributes.iter().find_map(|attribute| match &attribute.value {
        v1::AttributeValue::Text(text) | v1::AttributeValue::Keyword(text) if attribute.name == MODEL_ATTRIBUTE => Some(text.clone()),
        _ => None,
    });
    // A shopper may type what stands on the box.
    let keywords = content.variants.iter().flat_map(|variant| std::iter::once(&variant.key).chain(&variant.barcodes));
    let keywords = keywords.map(String::as_str).collect::<Vec<_>>().join(" ");
    let options = options(&product.content).into_iter();
    let options = options.map(|(name, value)| (name.to_owned(), search_index::AttributeValue::Keyword(value.to_owned())));
    let attributes = content.attributes.into_iter().map(|attribute| {
        let value = match attribute.value {
            v1::AttributeValue::Text(text) => search_index::AttributeValue::Text(text),
            v1::AttributeValue::Keyword(word) => search_index::AttributeValue::Keyword(word),
            v1::AttributeValue::Number(number) => search_index::AttributeValue::Number(number),
            v1::AttributeValue::Bool(flag) => search_index::AttributeValue::Bool(flag),
        };
        (attribute.name, value)
    });
    search_index::Document {
        stamp: stamp(product, &mut Vec::new()),
        partition: product.id.partition().0,
        title: content.title,
        description: content.description,
        model: model.unwrap_or_default(),
        keywords,
        brand: content.brand,
        category: content.category.into_iter().map(|node| node.key).collect(),
        price,
        rating,
        popularity,
        margin,
        released: content.released.map_or(0, i64::from),
        attributes: attributes.chain(options).collect(),
        ..search_index::Document::new(crate::shard::core::doc_key(product.id))
    }
}

/// What variants can be chosen by, as (name, value): each once, in the order of the variants, and none that is a text attribute anyway.
fn options(content: &ArchivedProduct) -> Vec<(&str, &str)> {
    let is_attribute = |(name, value): (&str, &str)| {
        content.attributes.iter().any(|attribute| match &attribute.value {
            ArchivedAttributeValue::Text(text) | ArchivedAttributeValue::Keyword(text) => attribute.name == name && text == value,
            ArchivedAttributeValue::Number(_) | ArchivedAttributeValue::Bool(_) => false,
        })
    };
    let all = content.variants.iter().flat_map(|variant| variant.options.iter()).map(|option| (option.0.as_str(), option.1.as_str()));
    let mut seen = BTreeSet::new();
    all.filter(|option| seen.insert(*option) && !is_attribute(*option)).take(limits::OPTIONS_INDEXED_MAX).collect()
}

/// What changes in place in the index.
pub(crate) fn columns(product: &Product) -> search_index::Columns {
    let prices = product.content.variants.iter().filter_map(|variant| shown_price(variant.prices.iter().map(ArchivedMoney::native)));
    search_index::Columns {
        price: prices.map(|price| price.amount).min(),
        rating: None,
        popularity: product.content.popularity.to_native(),
        margin: product.margin.unwrap_or(0),
    }
}

/// Raised with every change of what [`document`] makes of the same product: then no saved index counts any more.
const DOCUMENT_VERSION: u64 = 3;

/// The index's mark of a product: a hash of everything that [`document`] reads, but for what [`columns`] answers. `scratch` is memory to work in.
///
/// A hash and not the version, so that a saved index is right also beside a data folder that was taken from a backup.
pub(crate) fn stamp(product: &Product, scratch: &mut Vec<u8>) -> u64 {
    // All fields are named, so that who adds one has to decide.
    let ArchivedProduct {
        key: _,
        title,
        description,
        brand,
        category,
        attributes,
        images: _,
        variants,
        stock: _,
        popularity: _,
        released,
        status: _,
    } = &*product.content;
    scratch.clear();
    let mut bytes = |bytes: &[u8]| {
        // Lengths go before, so that no two contents read the same.
        scratch.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        scratch.extend_from_slice(bytes);
    };
    bytes(title.as_bytes());
    bytes(description.as_bytes());
    bytes(&[u8::from(brand.is_some())]);
    bytes(brand.as_ref().map_or("", ArchivedString::as_str).as_bytes());
    bytes(&released.as_ref().map_or(0, |days| days.to_native()).to_le_bytes());
    bytes(&(category.len() as u64).to_le_bytes());
    category.iter().for_each(|node| bytes(node.key.as_bytes()));
    bytes(&(attributes.len() as u64).to_le_bytes());
    for attribute in &**attributes {
        bytes(attribute.name.as_bytes());
        match &attribute.value {
            ArchivedAttributeValue::Text(text) => {
                bytes(b"t");
                bytes(text.as_bytes());
            }
            ArchivedAttributeValue::Keyword(word) => {
                bytes(b"k");
                bytes(word.as_bytes());
            }
            ArchivedAttributeValue::Number(number) => bytes(&number.to_native().to_bits().to_le_bytes()),
            ArchivedAttributeValue::Bool(flag) => bytes(&[u8::from(*flag)]),
        }
    }
    bytes(&(variants.len() as u64).to_le_bytes());
    for variant in &**variants {
        bytes(variant.key.as_bytes());
        bytes(&(variant.barcodes.len() as u64).to_le_bytes());
        variant.barcodes.iter().for_each(|code| bytes(code.as_bytes()));
    }
    for (name, value) in options(&product.content) {
        bytes(name.as_bytes());
        bytes(value.as_bytes());
    }
    // 0 would be no mark.
    xxhash_rust::xxh3::xxh3_64_with_seed(scratch, DOCUMENT_VERSION).max(1)
}

/// What is shown of a hit, by the variant that is wanted. `in_stock` says whether any is there.
pub(crate) fn search_hit(
    product: &Product,
    stock: &[Arc<SkuStock>],
    in_stock: bool,
    wanted: &Wanted<'_>,
    score: f32,
    marks: Option<&search_index::Highlighter<'_>>,
) -> Option<SearchHit> {
    let content = &product.content;
    let (sku, variant) = product.variant(wanted.best(product, stock))?;
    Some(SearchHit {
        product: product.id,
        key: content.key.as_str().to_owned(),
        title: content.title.as_str().to_owned(),
        brand: content.brand.as_ref().map(|brand| brand.as_str().to_owned()),
        category: content.category.last().map(|node| node.key.as_str().to_owned()),
        price: shown_price(variant.prices.iter().map(ArchivedMoney::native)),
        image: content.images.first().map(|image| image.url.as_str().to_owned()),
        in_stock,
        sku,
        score,
        pinned: false,
        explanation: None,
        highlight: marks
            .map(|marks| Highlight { title: marks.mark(content.title.as_str()), description: marks.snippet(content.description.as_str()) }),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::content::Content;
    use wire::{ProductId, RawId};

    /// One that has something in every field the index reads.
    pub(crate) fn product() -> Product {
        let variant = |key: &str| v1::Variant {
            key: key.into(),
            options: vec![("size".into(), "M".into())],
            prices: vec![Money { amount: 100, currency: Currency::USD }],
            barcodes: vec!["123".into(), "45".into()],
        };
        let attribute = |name: &str, value| v1::Attribute { name: name.into(), value };
        let content = v1::Product {
            key: "p".into(),
            title: "title".into(),
            description: "text".into(),
            brand: Some("brand".into()),
            category: vec![v1::CategoryNode { id: wire::CategoryId(RawId(1)), key: "c".into() }],
            attributes: vec![
                attribute("model", v1::AttributeValue::Text("m-1".into())),
                attribute("a", v1::AttributeValue::Keyword("w".into())),
                attribute("b", v1::AttributeValue::Number(1.0)),
                attribute("c", v1::AttributeValue::Bool(false)),
            ],
            images: Vec::new(),
            variants: vec![variant("v"), variant("w")],
            stock: Vec::new(),
            popularity: 1,
            released: Some(9),
            status: v1::ProductStatus::Active,
        };
        Product {
            id: ProductId(RawId(5)),
            version: 1,
            content: Content::new(&content),
            margin: Some(20),
            skus: vec![SkuId(RawId(6)), SkuId(RawId(7))],
        }
    }

    #[test] // A change, and whether texts and lasting columns are others by it.
    fn a_stamp_is_another_exactly_when_the_document_is() {
        type Change = fn(&mut v1::Product);
        let changes: [(&str, Change, bool); 23] = [
            ("nothing", |_| {}, false),
            ("title", |p| p.title.push('x'), true),
            ("description", |p| p.description.clear(), true),
            ("a word moved from one text to the other", |p| (p.title, p.description) = ("titletext".into(), String::new()), true),
            ("brand", |p| p.brand = Some("other".into()), true),
            ("no brand", |p| p.brand = None, true),
            ("an empty brand", |p| p.brand = Some(String::new()), true),
            ("category", |p| p.category.clear(), true),
            ("name of an attribute", |p| p.attributes[1].name.push('x'), true),
            ("text to keyword", |p| p.attributes[0].value = v1::AttributeValue::Keyword("m-1".into()), true),
            ("number", |p| p.attributes[2].value = v1::AttributeValue::Number(2.0), true),
            ("flag", |p| p.attributes[3].value = v1::AttributeValue::Bool(true), true),
            ("order of attributes", |p| p.attributes.swap(0, 1), true),
            ("key of a variant", |p| p.variants[1].key.push('x'), true),
            ("barcode", |p| drop(p.variants[0].barcodes.pop()), true),
            ("a variant less", |p| drop(p.variants.pop()), true),
            ("option", |p| p.variants[0].options[0].1.push('x'), true),
            ("name of an option", |p| p.variants[0].options[0].0.push('x'), true),
            ("an option of two variants taken from one", |p| p.variants[1].options.clear(), false),
            ("an option that an attribute has", |p| p.variants[1].options.push(("a".into(), "w".into())), false),
            ("released", |p| p.released = Some(10), true),
            ("price", |p| p.variants[0].prices[0].amount = 7, false),
            ("popularity", |p| p.popularity = 7, false),
        ];
        let lasting = |product: &Product| {
            let document = document(product);
            (document.stamp, search_index::Document { stamp: 0, price: None, popularity: 0, margin: 0, ..document })
        };
        let (stamp, before) = lasting(&product());
        for (what, change, differs) in changes {
            let mut changed = product();
            let mut content = changed.content.unpacked();
            change(&mut content);
            changed.content = Content::new(&content);
            let (other, after) = lasting(&changed);
            assert_eq!(after != before, differs, "{what}");
            assert_eq!(other != stamp, differs, "{what}");
        }
    }

    #[test] // What is read as a variant's barcodes, none, could be an option's value.
    fn a_variant_is_not_taken_for_an_option() {
        let of = |variants: &[(&str, &[(&str, &str)])]| {
            let variant = |(key, options): &(&str, &[(&str, &str)])| v1::Variant {
                key: (*key).into(),
                options: options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
                prices: Vec::new(),
                barcodes: Vec::new(),
            };
            let mut product = product();
            let content = v1::Product { variants: variants.iter().map(variant).collect(), ..product.content.unpacked() };
            product.content = Content::new(&content);
            stamp(&product, &mut Vec::new())
        };
        assert_ne!(of(&[("A", &[("K", "\0\0\0\0\0\0\0\0")])]), of(&[("A", &[]), ("K", &[])]));
    }
}

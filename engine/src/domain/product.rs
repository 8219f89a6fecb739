//! A product with its variants: what is stored, and what may be.
//!
//! Path: a record's content → [`check`] (bounds and sense) → [`Product`], whose variants have ids that outlive their content.
//! Deliberately absent: stock (by location, elsewhere) and claims on keys (by key, elsewhere).

use super::{check_count, check_text, content::Content};
use crate::record::v1;
use std::collections::BTreeSet;
use wire::{FieldError, Money, ProductId, SkuId, limits};

/// Opening stock lines in one write of a product; more are refused. A write's ids must fit one command.
pub const OPENING_STOCK_MAX: usize = 10_000;

/// A product. Its content is the record's own type: what was written is what is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// `prod_…`
    pub id: ProductId,
    /// Rises with each change of the content; the first is 1.
    pub version: u64,
    /// As written, without `stock`.
    pub content: Content,
    /// Hundredths of its price that the shop earns by it. Shown to nobody but those who write products.
    pub margin: Option<i8>,
    /// The id of each variant of `content.variants`, in its order.
    pub skus: Vec<SkuId>,
}

impl Product {
    /// The variant at `index` with its id.
    #[must_use]
    pub fn variant(&self, index: usize) -> Option<(SkuId, &v1::ArchivedVariant)> {
        Some((*self.skus.get(index)?, self.content.variants.get(index)?))
    }

    /// The variants with their ids, in the merchant's order.
    pub fn variants(&self) -> impl ExactSizeIterator<Item = (SkuId, &v1::ArchivedVariant)> {
        self.skus.iter().copied().zip(&*self.content.variants)
    }

    /// The id of the variant with this SKU key.
    #[must_use]
    pub fn sku_of(&self, key: &str) -> Option<SkuId> {
        self.variants().find(|(_, variant)| variant.key == key).map(|(sku, _)| sku)
    }

    /// Can its variants be bought?
    #[must_use]
    pub fn is_for_sale(&self) -> bool {
        match self.content.status {
            v1::ArchivedProductStatus::Active => true,
            v1::ArchivedProductStatus::Draft | v1::ArchivedProductStatus::Archived => false,
        }
    }

    /// The price of the variant at `index` in `currency`.
    #[must_use]
    pub fn price(&self, index: usize, currency: wire::Currency) -> Option<Money> {
        self.content.variants.get(index)?.prices.iter().map(wire::ArchivedMoney::native).find(|price| price.currency == currency)
    }
}

/// Whether `content` may be stored: bounds of [`limits`], and that it makes sense in itself. O(content).
///
/// # Errors
/// The first field that cannot be taken; the gateway has already listed them all.
pub fn check(content: &v1::Product) -> Result<(), FieldError> {
    check_text("/key", &content.key, 1, limits::KEY_BYTES_MAX)?;
    check_text("/title", &content.title, 1, limits::TITLE_BYTES_MAX)?;
    check_text("/description", &content.description, 0, limits::DESCRIPTION_BYTES_MAX)?;
    if let Some(brand) = &content.brand {
        check_text("/brand", brand, 1, limits::TITLE_BYTES_MAX)?;
    }
    check_count("/category", content.category.len(), 0, limits::CATEGORY_DEPTH_MAX)?;
    for node in &content.category {
        check_text("/category", &node.key, 1, limits::KEY_BYTES_MAX)?;
    }
    check_attributes(&content.attributes)?;
    check_count("/images", content.images.len(), 0, limits::IMAGES_MAX)?;
    for (at, image) in content.images.iter().enumerate() {
        check_text(&format!("/images/{at}/url"), &image.url, 1, limits::IMAGE_BYTES_MAX)?;
        check_text(&format!("/images/{at}/alt"), &image.alt, 0, limits::IMAGE_BYTES_MAX)?;
    }
    check_count("/variants", content.variants.len(), 1, limits::VARIANTS_MAX)?;
    let mut keys = BTreeSet::new();
    for (at, variant) in content.variants.iter().enumerate() {
        check_variant(&format!("/variants/{at}"), variant)?;
        if !keys.insert(variant.key.as_str()) {
            return Err(error(format!("/variants/{at}/key"), "duplicate", "each variant of a product has a key of its own"));
        }
    }
    check_count("/stock", content.stock.len(), 0, OPENING_STOCK_MAX)?;
    let mut rows = BTreeSet::new();
    for (at, row) in content.stock.iter().enumerate() {
        if !keys.contains(row.variant.as_str()) {
            return Err(error(format!("/stock/{at}/variant"), "unknown_variant", "the key of a variant of this product"));
        }
        check_text(&format!("/stock/{at}/location"), &row.location, 1, limits::KEY_BYTES_MAX)?;
        if row.on_hand > limits::STOCK_UNITS_MAX {
            return Err(error(format!("/stock/{at}/on_hand"), "too_large", &format!("at most {} units", limits::STOCK_UNITS_MAX)));
        }
        if !rows.insert((row.variant.as_str(), row.location.as_str())) {
            return Err(error(format!("/stock/{at}"), "duplicate", "one line for each variant and location"));
        }
    }
    Ok(())
}

/// Whether a margin may be stored.
///
/// # Errors
/// That it is out of range.
pub fn check_margin(margin: Option<i8>) -> Result<(), FieldError> {
    let max = limits::MARGIN_PERCENT_MAX;
    let is_within = margin.is_none_or(|margin| (-max..=max).contains(&margin));
    if is_within { Ok(()) } else { Err(error("/margin".to_owned(), "out_of_range", &format!("-{max} to {max}"))) }
}

fn check_attributes(attributes: &[v1::Attribute]) -> Result<(), FieldError> {
    check_count("/attributes", attributes.len(), 0, limits::ATTRIBUTES_MAX)?;
    let mut names = BTreeSet::new();
    for attribute in attributes {
        let pointer = || format!("/attributes/{}", escaped(&attribute.name));
        check_text("/attributes", &attribute.name, 1, limits::ATTRIBUTE_NAME_BYTES_MAX)?;
        if !names.insert(attribute.name.as_str()) {
            return Err(error(pointer(), "duplicate", "each attribute once"));
        }
        match &attribute.value {
            v1::AttributeValue::Text(text) | v1::AttributeValue::Keyword(text) => {
                check_text(&pointer(), text, 0, limits::ATTRIBUTE_VALUE_BYTES_MAX)?;
            }
            // Not a number compares equal to nothing, itself included: the content could never be found unchanged.
            v1::AttributeValue::Number(number) if !number.is_finite() => {
                return Err(error(pointer(), "not_finite", "a finite number"));
            }
            v1::AttributeValue::Number(_) | v1::AttributeValue::Bool(_) => {}
        }
    }
    Ok(())
}

fn check_variant(pointer: &str, variant: &v1::Variant) -> Result<(), FieldError> {
    check_text(&format!("{pointer}/key"), &variant.key, 1, limits::KEY_BYTES_MAX)?;
    check_count(&format!("{pointer}/options"), variant.options.len(), 0, limits::OPTIONS_MAX)?;
    for (name, value) in &variant.options {
        check_text(&format!("{pointer}/options"), name, 1, limits::ATTRIBUTE_NAME_BYTES_MAX)?;
        check_text(&format!("{pointer}/options/{}", escaped(name)), value, 1, limits::ATTRIBUTE_NAME_BYTES_MAX)?;
    }
    check_count(&format!("{pointer}/prices"), variant.prices.len(), 0, limits::PRICES_MAX)?;
    for (at, price) in variant.prices.iter().enumerate() {
        if !(0..=limits::AMOUNT_MAX).contains(&price.amount) {
            let wanted = format!("0 to {} minor units", limits::AMOUNT_MAX);
            return Err(error(format!("{pointer}/prices/{at}/amount"), "out_of_range", &wanted));
        }
        if variant.prices[..at].iter().any(|other| other.currency == price.currency) {
            return Err(error(format!("{pointer}/prices/{at}/currency"), "duplicate", "at most one price a currency"));
        }
    }
    check_count(&format!("{pointer}/barcodes"), variant.barcodes.len(), 0, limits::BARCODES_MAX)?;
    for (at, barcode) in variant.barcodes.iter().enumerate() {
        check_text(&format!("{pointer}/barcodes/{at}"), barcode, 1, limits::BARCODE_BYTES_MAX)?;
    }
    Ok(())
}

fn error(pointer: String, code: &str, wanted: &str) -> FieldError {
    FieldError { pointer, code: code.to_owned(), detail: wanted.to_owned() }
}

/// A name as a part of a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::Currency;

    /// A plain product with one variant for each of `variants`, priced at 10 dollars.
    pub(crate) fn plain(key: &str, variants: &[&str]) -> v1::Product {
        let variant = |key: &&str| v1::Variant {
            key: (*key).to_owned(),
            options: vec![],
            prices: vec![Money { amount: 1_000, currency: Currency::USD }],
            barcodes: vec![],
        };
        v1::Product {
            key: key.to_owned(),
            title: format!("Product {key}"),
            description: String::new(),
            brand: None,
            category: vec![],
            attributes: vec![],
            images: vec![],
            variants: variants.iter().map(variant).collect(),
            stock: vec![],
            popularity: 0,
            released: None,
            status: v1::ProductStatus::Active,
        }
    }

    #[test] // Each row spoils a good product in one place.
    fn what_cannot_be_stored_is_named() {
        type Spoil = fn(&mut v1::Product);
        let rows: [(Spoil, &str, &str); 12] = [
            (|p| p.key.clear(), "/key", "too_short"),
            (|p| p.key = "k".repeat(201), "/key", "too_long"),
            (|p| p.variants.clear(), "/variants", "too_few"),
            (|p| p.variants.push(p.variants[0].clone()), "/variants/1/key", "duplicate"),
            (|p| p.variants[0].prices[0].amount = -1, "/variants/0/prices/0/amount", "out_of_range"),
            (|p| p.variants[0].prices[0].amount = limits::AMOUNT_MAX + 1, "/variants/0/prices/0/amount", "out_of_range"),
            (|p| p.variants[0].prices = vec![p.variants[0].prices[0]; 2], "/variants/0/prices/1/currency", "duplicate"),
            (|p| p.stock.push(stock("Z", "main", 1)), "/stock/0/variant", "unknown_variant"),
            (|p| p.stock.push(stock("A", "main", limits::STOCK_UNITS_MAX + 1)), "/stock/0/on_hand", "too_large"),
            (|p| p.stock = vec![stock("A", "main", 1); 2], "/stock/1", "duplicate"),
            (|p| p.attributes = vec![number("a/b", 1.0), number("a/b", 2.0)], "/attributes/a~1b", "duplicate"),
            (|p| p.attributes = vec![number("n", f64::NAN)], "/attributes/n", "not_finite"),
        ];
        assert_eq!(check(&plain("P", &["A"])), Ok(()));
        for (spoil, pointer, code) in rows {
            let mut content = plain("P", &["A"]);
            spoil(&mut content);
            let found = check(&content).map_err(|error| (error.pointer, error.code));
            assert_eq!(found, Err((pointer.to_owned(), code.to_owned())));
        }
    }

    #[test]
    fn a_margin_is_hundredths_of_a_price() {
        for margin in [None, Some(-100), Some(0), Some(100)] {
            assert_eq!(check_margin(margin), Ok(()));
        }
        for margin in [-101, 101] {
            let found = check_margin(Some(margin)).map_err(|error| (error.pointer, error.code));
            assert_eq!(found, Err(("/margin".to_owned(), "out_of_range".to_owned())));
        }
    }

    fn stock(variant: &str, location: &str, on_hand: u32) -> v1::OpeningStock {
        v1::OpeningStock { variant: variant.to_owned(), location: location.to_owned(), partition: wire::PartitionId(0), on_hand }
    }

    fn number(name: &str, value: f64) -> v1::Attribute {
        v1::Attribute { name: name.to_owned(), value: v1::AttributeValue::Number(value) }
    }
}

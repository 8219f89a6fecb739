//! Products as shoppers see them: our JSON, and schema.org's.

use super::{Members, Money, Shown, stock::Availability};
use jiff::civil::Date;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Value, json};
use utoipa::ToSchema;
use wire::{CategoryId, ProductId, ProductStatus, SkuId};

/// A category on the way from the root.
#[derive(Debug, Serialize, ToSchema)]
pub struct Crumb {
    /// `cat_…`
    #[schema(value_type = String)]
    id: Shown<CategoryId>,
    /// The merchant's key.
    key: String,
    /// Name.
    name: String,
}

impl From<wire::CategoryCrumb> for Crumb {
    fn from(crumb: wire::CategoryCrumb) -> Self {
        Self { id: Shown(crumb.id), key: crumb.key, name: crumb.name }
    }
}

/// A value of an attribute: text, number, flag, or `{"keyword": "…"}`.
#[derive(Debug)]
pub struct AttributeValue(wire::AttributeValue);

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            wire::AttributeValue::Text(text) => serializer.serialize_str(text),
            wire::AttributeValue::Number(number) => serializer.serialize_f64(*number),
            wire::AttributeValue::Bool(flag) => serializer.serialize_bool(*flag),
            wire::AttributeValue::Keyword(word) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("keyword", word)?;
                map.end()
            }
        }
    }
}

/// A picture.
#[derive(Debug, Serialize, ToSchema)]
pub struct Image {
    /// Where it is served.
    url: String,
    /// What it shows.
    alt: String,
}

/// What buyers think of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rating {
    /// Of 5; null without ratings.
    average: Option<f64>,
    /// Ratings.
    count: u64,
}

/// A variant: the thing that is stocked and sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variant {
    /// `sku_…`
    #[schema(value_type = String)]
    id: Shown<SkuId>,
    /// The merchant's SKU key.
    key: String,
    /// What tells it from its siblings, such as `{"size": "M"}`.
    #[schema(value_type = Object)]
    options: Members<String>,
    /// The price shown.
    price: Option<Money>,
    /// All prices.
    prices: Vec<Money>,
    /// GTIN, EAN, UPC and the like.
    barcodes: Vec<String>,
    /// Live.
    availability: Availability,
}

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    /// `prod_…`
    #[schema(value_type = String)]
    id: Shown<ProductId>,
    /// The merchant's key.
    key: String,
    /// Rises with each change; availability does not count.
    version: u64,
    /// `draft`, `active` or `archived`.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// Name.
    title: String,
    /// May be empty.
    description: String,
    /// Maker.
    brand: Option<String>,
    /// From the root.
    category: Vec<Crumb>,
    /// By name, in the merchant's order.
    #[schema(value_type = Object)]
    attributes: Members<AttributeValue>,
    /// In the order shown.
    images: Vec<Image>,
    /// What buyers think of it.
    rating: Rating,
    /// In the merchant's order.
    variants: Vec<Variant>,
    /// Higher sells better.
    popularity: i64,
    /// Day it came out.
    #[schema(value_type = Option<String>, example = "2026-11-23")]
    released: Option<Shown<Date>>,
    /// Percent of its price that the shop earns by it; there for those who write products, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<i8>,
}

/// The contract's word for a product's status.
#[must_use]
pub const fn status(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Draft => "draft",
        ProductStatus::Active => "active",
        ProductStatus::Archived => "archived",
    }
}

/// The day so many days after 1970-01-01, within the calendar's years.
fn day(days: i32) -> Option<Shown<Date>> {
    let day = Date::constant(1970, 1, 1).checked_add(jiff::SignedDuration::from_hours(i64::from(days) * 24));
    day.ok().map(Shown)
}

impl From<wire::VariantView> for Variant {
    fn from(view: wire::VariantView) -> Self {
        Self {
            id: Shown(view.id),
            key: view.key,
            options: Members(view.options.into_iter().map(|option| (option.name, option.value)).collect()),
            price: view.price.map(Into::into),
            prices: view.prices.into_iter().map(Into::into).collect(),
            barcodes: view.barcodes,
            availability: view.availability.into(),
        }
    }
}

impl From<wire::ProductView> for Product {
    fn from(view: wire::ProductView) -> Self {
        Self {
            id: Shown(view.id),
            key: view.key,
            version: view.version,
            status: status(view.status),
            title: view.title,
            description: view.description,
            brand: view.brand,
            category: view.category.into_iter().map(Into::into).collect(),
            attributes: Members(view.attributes.into_iter().map(|a| (a.name, AttributeValue(a.value))).collect()),
            images: view.images.into_iter().map(|image| Image { url: image.url, alt: image.alt }).collect(),
            rating: Rating { average: None, count: 0 },
            variants: view.variants.into_iter().map(Into::into).collect(),
            popularity: view.popularity,
            released: view.released.and_then(day),
            margin: view.margin,
        }
    }
}

/// The part of a product's answer that its version does not count: what is live, and what not everybody is shown.
#[must_use]
pub fn live_part(view: &wire::ProductView) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(view.variants.len() * 5);
    for variant in &view.variants {
        bytes.extend_from_slice(&variant.availability.quantity.to_le_bytes());
        bytes.push(u8::from(variant.availability.backorder));
    }
    // Last, so that without it the bytes are as they are for shoppers.
    bytes.extend(view.margin.map(i8::cast_unsigned));
    bytes
}

/// Minor units as a decimal number, for schema.org. Every currency is taken to have two decimals but those that ISO 4217 gives none.
fn decimal(money: wire::Money) -> String {
    const WHOLE: [&str; 8] = ["CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF"];
    if WHOLE.contains(&money.currency.as_str()) {
        return money.amount.to_string();
    }
    format!("{}.{:02}", money.amount / 100, (money.amount % 100).abs())
}

/// The product in schema.org's vocabulary (JSON-LD), one offer a variant.
#[must_use]
pub fn schema_org(view: &wire::ProductView) -> Value {
    let offers: Vec<Value> = view
        .variants
        .iter()
        .filter_map(|variant| variant.price.map(|price| (variant, price)))
        .map(|(variant, price)| {
            let availability = if variant.availability.in_stock() {
                "https://schema.org/InStock"
            } else if variant.availability.backorder {
                "https://schema.org/BackOrder"
            } else {
                "https://schema.org/OutOfStock"
            };
            json!({
                "@type": "Offer",
                "sku": variant.key,
                "price": decimal(price),
                "priceCurrency": price.currency.as_str(),
                "availability": availability,
            })
        })
        .collect();
    let mut product = json!({
        "@context": "https://schema.org",
        "@type": "Product",
        "productID": view.id.to_string(),
        "name": view.title,
        "description": view.description,
        "offers": offers,
    });
    if let Some(brand) = &view.brand {
        product["brand"] = json!({"@type": "Brand", "name": brand});
    }
    if !view.images.is_empty() {
        product["image"] = view.images.iter().map(|image| image.url.clone()).collect();
    }
    if let Some(gtin) = view.variants.iter().flat_map(|variant| &variant.barcodes).next() {
        product["gtin"] = json!(gtin);
    }
    if !view.category.is_empty() {
        let names: Vec<&str> = view.category.iter().map(|crumb| crumb.name.as_str()).collect();
        product["category"] = json!(names.join(" > "));
    }
    product
}

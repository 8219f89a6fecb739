//! Products as merchants write them: an import line, or the body of a PUT.

use super::{MoneyBody, check::Checks};
use crate::http::problem::Problem;
use jiff::civil::Date;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use std::fmt;
use utoipa::ToSchema;
use wire::{Attribute, AttributeValue, Image, OpeningStock, OptionChoice, ProductInput, ProductStatus, VariantInput, limits};

/// The value of an attribute: text, number, flag, or `{"keyword": "…"}`.
#[derive(Debug)]
pub struct ValueBody(AttributeValue);

impl<'de> Deserialize<'de> for ValueBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = AttributeValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true, false, or {\"keyword\": text}")
            }
            fn visit_str<E>(self, text: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(text))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Bool(flag))
            }
            // Measures are floats; whole ones beyond 2^53 are rounded, which no measure minds.
            fn visit_i64<E>(self, number: i64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(number))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
                match map.next_entry::<String, String>()? {
                    Some((name, word)) if name == "keyword" => match map.next_key::<String>()? {
                        None => Ok(AttributeValue::Keyword(word)),
                        Some(name) => Err(A::Error::unknown_field(&name, &["keyword"])),
                    },
                    Some((name, _)) => Err(A::Error::unknown_field(&name, &["keyword"])),
                    None => Err(A::Error::missing_field("keyword")),
                }
            }
        }
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

/// An object whose members keep their order; a name may be there once.
#[derive(Debug)]
pub struct Ordered<V>(pub Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Vec<(String, V)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, V)> = Vec::new();
                let mut names = std::collections::HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    entries.push((name, value));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData)).map(Self)
    }
}

/// A picture.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageBody {
    /// Where it is served.
    pub url: String,
    /// What it shows.
    #[serde(default)]
    pub alt: String,
}

/// A variant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantBody {
    /// The merchant's SKU key, unique in the shop.
    pub key: String,
    /// What tells it from its siblings, such as `{"size": "M"}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub options: Ordered<String>,
    /// At most one a currency.
    pub prices: Vec<MoneyBody>,
    /// GTIN, EAN, UPC and the like.
    #[serde(default)]
    pub barcodes: Vec<String>,
}

/// Stock of a row that does not exist yet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpeningStockBody {
    /// SKU key of a variant of this product.
    pub variant: String,
    /// Location code.
    pub location: String,
    /// Units on hand.
    pub on_hand: u32,
}

/// Is it for sale?
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusBody {
    /// Being prepared.
    Draft,
    /// For sale.
    Active,
    /// Withdrawn.
    Archived,
}

/// A product; written again under the same key it replaces what was there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    /// `product`, on an import line.
    pub r#type: Option<String>,
    /// The merchant's key; in a PUT the path may give it.
    pub key: Option<String>,
    /// Name.
    pub title: String,
    /// May be missing.
    #[serde(default)]
    pub description: String,
    /// Maker.
    pub brand: Option<String>,
    /// Key of its category, its path with `/`; made when missing.
    pub category: Option<String>,
    /// By name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Ordered<ValueBody>,
    /// In the order shown.
    #[serde(default)]
    pub images: Vec<ImageBody>,
    /// At least one.
    pub variants: Vec<VariantBody>,
    /// Only for rows that do not exist yet.
    #[serde(default)]
    pub stock: Vec<OpeningStockBody>,
    /// Higher sells better.
    #[serde(default)]
    pub popularity: i64,
    /// Whole percent of its price that the shop earns by it, -100 to 100. Shoppers do not see it.
    pub margin: Option<i64>,
    /// Day it came out, such as 2026-11-23; a time of that day will do.
    pub released: Option<String>,
    /// Active unless it says otherwise.
    pub status: Option<StatusBody>,
}

impl From<StatusBody> for ProductStatus {
    fn from(status: StatusBody) -> Self {
        match status {
            StatusBody::Draft => Self::Draft,
            StatusBody::Active => Self::Active,
            StatusBody::Archived => Self::Archived,
        }
    }
}

/// Days from 1970-01-01 to the date that `text` begins with.
fn days(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok().or_else(|| text.get(..10)?.parse().ok())?;
    let hours = date.duration_since(Date::constant(1970, 1, 1)).as_hours();
    i32::try_from(hours / 24).ok()
}

impl ProductBody {
    /// The wire form. `key` is the path's, if it gives one.
    ///
    /// # Errors
    /// Every field out of bounds.
    pub(crate) fn check(self, key: Option<String>) -> Result<ProductInput, Problem> {
        let mut checks = Checks::default();
        if self.r#type.is_some_and(|kind| kind != "product") {
            checks.wrong("/type", "unknown_value", "product");
        }
        let key = match (key, self.key) {
            (Some(path), Some(body)) if path != body => {
                checks.wrong("/key", "conflicting", "the key in the path, or none");
                path
            }
            (Some(key), _) | (None, Some(key)) => checks.key("/key", key),
            (None, None) => {
                checks.wrong("/key", "missing", "the merchant's key");
                String::new()
            }
        };
        let status = self.status.map_or(ProductStatus::Active, ProductStatus::from);
        let released = released(&mut checks, self.released);
        let input = ProductInput {
            key,
            title: checks.text("/title", self.title, 1, limits::TITLE_BYTES_MAX),
            description: checks.text("/description", self.description, 0, limits::DESCRIPTION_BYTES_MAX),
            brand: checks.option("/brand", self.brand, limits::TITLE_BYTES_MAX),
            category: self.category.filter(|key| !key.is_empty()).map(|key| checks.key("/category", key)),
            attributes: attributes(&mut checks, self.attributes),
            images: images(&mut checks, self.images),
            variants: variants(&mut checks, self.variants),
            stock: stock(&mut checks, self.stock),
            popularity: self.popularity,
            margin: margin(&mut checks, self.margin),
            released,
            status,
        };
        checks.end(input)
    }
}

pub(super) fn released(checks: &mut Checks, text: Option<String>) -> Option<i32> {
    let text = text?;
    let days = days(&text);
    if days.is_none() {
        checks.wrong("/released", "unknown_value", "a date, such as 2026-11-23");
    }
    days
}

pub(super) fn margin(checks: &mut Checks, percent: Option<i64>) -> Option<i8> {
    let (percent, max) = (percent?, limits::MARGIN_PERCENT_MAX);
    let margin = i8::try_from(percent).ok().filter(|margin| (-max..=max).contains(margin));
    if margin.is_none() {
        checks.wrong("/margin", "out_of_range", format!("from -{max} to {max}"));
    }
    margin
}

pub(super) fn attributes(checks: &mut Checks, attributes: Ordered<ValueBody>) -> Vec<Attribute> {
    checks.count("/attributes", attributes.0.len(), 0, limits::ATTRIBUTES_MAX);
    let one = |(name, value): (String, ValueBody)| {
        let pointer = format!("/attributes/{}", name.replace('~', "~0").replace('/', "~1"));
        let name = checks.text(&pointer, name, 1, limits::ATTRIBUTE_NAME_BYTES_MAX);
        if let AttributeValue::Text(text) | AttributeValue::Keyword(text) = &value.0
            && text.len() > limits::ATTRIBUTE_VALUE_BYTES_MAX
        {
            checks.wrong(pointer, "too_long", format!("at most {} bytes", limits::ATTRIBUTE_VALUE_BYTES_MAX));
        }
        Attribute { name, value: value.0 }
    };
    attributes.0.into_iter().map(one).collect()
}

pub(super) fn images(checks: &mut Checks, images: Vec<ImageBody>) -> Vec<Image> {
    checks.count("/images", images.len(), 0, limits::IMAGES_MAX);
    let one = |(i, image): (usize, ImageBody)| Image {
        url: checks.text(&format!("/images/{i}/url"), image.url, 1, limits::IMAGE_BYTES_MAX),
        alt: checks.text(&format!("/images/{i}/alt"), image.alt, 0, limits::IMAGE_BYTES_MAX),
    };
    images.into_iter().enumerate().map(one).collect()
}

pub(super) fn variants(checks: &mut Checks, variants: Vec<VariantBody>) -> Vec<VariantInput> {
    checks.count("/variants", variants.len(), 1, limits::VARIANTS_MAX);
    let mut keys = std::collections::HashSet::new();
    let mut found = Vec::with_capacity(variants.len());
    for (i, variant) in variants.into_iter().enumerate() {
        let at = format!("/variants/{i}");
        if !keys.insert(variant.key.clone()) {
            checks.wrong(format!("{at}/key"), "duplicate", "another variant of this product has this key");
        }
        checks.count(&format!("{at}/options"), variant.options.0.len(), 0, limits::OPTIONS_MAX);
        checks.count(&format!("{at}/prices"), variant.prices.len(), 0, limits::PRICES_MAX);
        checks.count(&format!("{at}/barcodes"), variant.barcodes.len(), 0, limits::BARCODES_MAX);
        let options = variant.options.0.into_iter().map(|(name, value)| {
            let pointer = format!("{at}/options/{}", name.replace('~', "~0").replace('/', "~1"));
            let name = checks.text(&pointer, name, 1, limits::KEY_BYTES_MAX);
            OptionChoice { name, value: checks.text(&pointer, value, 0, limits::KEY_BYTES_MAX) }
        });
        let options = options.collect();
        let prices: Vec<wire::Money> =
            variant.prices.iter().enumerate().map(|(n, money)| checks.money(&format!("{at}/prices/{n}"), money)).collect();
        for (n, price) in prices.iter().enumerate() {
            if prices[..n].iter().any(|other| other.currency == price.currency) {
                checks.wrong(format!("{at}/prices/{n}/currency"), "duplicate", "at most one price a currency");
            }
        }
        let barcodes = variant.barcodes.into_iter().enumerate();
        let barcodes = barcodes.map(|(n, code)| checks.text(&format!("{at}/barcodes/{n}"), code, 1, limits::BARCODE_BYTES_MAX)).collect();
        let key = checks.key(&format!("{at}/key"), variant.key);
        found.push(VariantInput { key, options, prices, barcodes });
    }
    found
}

pub(super) fn stock(checks: &mut Checks, stock: Vec<OpeningStockBody>) -> Vec<OpeningStock> {
    checks.count("/stock", stock.len(), 0, limits::VARIANTS_MAX);
    let one = |(i, row): (usize, OpeningStockBody)| OpeningStock {
        variant: checks.key(&format!("/stock/{i}/variant"), row.variant),
        location: checks.key(&format!("/stock/{i}/location"), row.location),
        on_hand: checks.number(&format!("/stock/{i}/on_hand"), row.on_hand, 0, limits::STOCK_UNITS_MAX),
    };
    stock.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json;

    fn checked(text: &str) -> Result<ProductInput, Problem> {
        json::shape::<ProductBody>(text.as_bytes())?.check(None)
    }

    #[test]
    fn the_contracts_example_is_taken() {
        let input = checked(
            r#"{"type":"product","key":"1399","title":"HP 80 Original Cyan","description":"x","brand":"HP","category":"printers/ink",
            "attributes":{"t_type":"Original","n_width":56.0,"b_wireless":false,"model":{"keyword":"C4872A"}},"images":[{"url":"u","alt":"a"}],
            "variants":[{"key":"1399","options":{},"prices":[{"amount":12595,"currency":"USD"}],"barcodes":["0882780756328"]}],
            "stock":[{"variant":"1399","location":"main","on_hand":25}],"released":"1970-01-11T05:00:00Z","popularity":-3,"margin":-100,"status":"draft"}"#,
        )
        .expect("the example");
        assert_eq!(input.attributes[3].value, AttributeValue::Keyword("C4872A".to_owned()));
        assert_eq!(input.attributes[1], Attribute { name: "n_width".to_owned(), value: AttributeValue::Number(56.0) });
        assert_eq!((input.released, input.status, input.stock[0].on_hand), (Some(10), ProductStatus::Draft, 25));
        assert_eq!(input.margin, Some(-100));
    }

    #[test] // Each row: a product, and the first pointer and code it is refused for.
    fn bounds_have_pointers() {
        let product = |more: &str| format!(r#"{{"key":"k","title":"t","variants":[{{"key":"k","prices":[]}}]{more}}}"#);
        let long = "x".repeat(201);
        for (text, pointer, code) in [
            (r#"{"key":"k","title":"t","variants":[]}"#.to_owned(), "/variants", "too_few"),
            (r#"{"title":"t","variants":[{"key":"k","prices":[]}]}"#.to_owned(), "/key", "missing"),
            (product(r#","attributes":{"a":null}"#), "/attributes/a", "wrong_type"),
            (product(r#","attributes":{"a":1,"a":2}"#), "/attributes", "duplicate"),
            (product(r#","attributes":{"a":{"word":"x"}}"#), "/attributes/a", "unknown_field"),
            (product(&format!(r#","category":"{long}""#)), "/category", "too_long"),
            (product(r#","released":"soon""#), "/released", "unknown_value"),
            (product(r#","status":"sold""#), "/status", "unknown_value"),
            (product(r#","margin":-101"#), "/margin", "out_of_range"),
            (product(r#","margin":1000"#), "/margin", "out_of_range"),
            (product(r#","margin":"5""#), "/margin", "wrong_type"),
            (product(r#","images":[{"url":""}]"#), "/images/0/url", "too_short"),
            (product(r#","stock":[{"variant":"k","location":"m","on_hand":1000000001}]"#), "/stock/0/on_hand", "out_of_range"),
            (product(r#","price":5"#), "/price", "unknown_field"),
            (
                r#"{"key":"k","title":"t","variants":[{"key":"k","prices":[{"amount":-1,"currency":"usd"}]}]}"#.to_owned(),
                "/variants/0/prices/0/amount",
                "out_of_range",
            ),
        ] {
            let brief = checked(&text).expect_err(&text).brief();
            let first = &brief["errors"][0];
            let found = (first["pointer"].as_str().unwrap_or(""), first["code"].as_str().unwrap_or(""));
            assert!(found.0.starts_with(pointer) && found.1 == code, "{text}: {found:?}");
        }
    }
}

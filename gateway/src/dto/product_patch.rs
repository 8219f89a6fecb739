//! A change of some fields of a product: the body of a PATCH.
//!
//! JSON merge patch (RFC 7396): a field that is not there stays, `null` takes it back to what it is where nothing says it; of `attributes` the same holds for each name. Lists are
//! replaced as a whole. Read into fields and not merged as JSON, so that attributes keep their order and a wrong one is named by its pointer.

use super::{
    check::Checks,
    product_body::{self, ImageBody, OpeningStockBody, Ordered, StatusBody, ValueBody, VariantBody},
};
use crate::http::problem::Problem;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use wire::{Attribute, ProductInput, ProductStatus, ProductView, VariantInput, VariantView, limits};

/// Some fields of a product, the others stay as they are; `null` clears one, and of `attributes` one name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductPatch {
    /// The product's own, if it is given.
    pub key: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "given")]
    pub title: Option<String>,
    /// Text.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Maker.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub brand: Option<Option<String>>,
    /// Key of its category, its path with `/`; made when missing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub category: Option<Option<String>>,
    /// By name; those that are not named stay, `null` takes one away. `null` for all takes all away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Option<Ordered<Option<ValueBody>>>>,
    /// All of them, in the order shown.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<ImageBody>>)]
    pub images: Option<Option<Vec<ImageBody>>>,
    /// All of them.
    #[serde(default, deserialize_with = "given")]
    pub variants: Option<Vec<VariantBody>>,
    /// Only for rows that do not exist yet.
    #[serde(default)]
    pub stock: Vec<OpeningStockBody>,
    /// Higher sells better.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub popularity: Option<Option<i64>>,
    /// Whole percent of its price that the shop earns by it, -100 to 100.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub margin: Option<Option<i64>>,
    /// Day it came out, such as 2026-11-23.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub released: Option<Option<String>>,
    /// Is it for sale?
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<StatusBody>)]
    pub status: Option<Option<StatusBody>>,
}

/// What is there, be it null; of a field that cannot be null, null is refused.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ProductPatch {
    /// The product that comes of it.
    ///
    /// # Errors
    /// Every field out of bounds, and another key.
    pub(crate) fn check(self, view: ProductView) -> Result<ProductInput, Problem> {
        let mut checks = Checks::default();
        if self.key.is_some_and(|key| key != view.key) {
            checks.wrong("/key", "conflicting", "the product's own key, or none: a key is for good");
        }
        let variant = |variant: VariantView| VariantInput {
            key: variant.key,
            options: variant.options,
            prices: variant.prices,
            barcodes: variant.barcodes,
        };
        let input = ProductInput {
            key: view.key,
            title: match self.title {
                Some(title) => checks.text("/title", title, 1, limits::TITLE_BYTES_MAX),
                None => view.title,
            },
            description: match self.description {
                Some(text) => checks.text("/description", text.unwrap_or_default(), 0, limits::DESCRIPTION_BYTES_MAX),
                None => view.description,
            },
            brand: match self.brand {
                Some(brand) => checks.option("/brand", brand, limits::TITLE_BYTES_MAX),
                None => view.brand,
            },
            category: match self.category {
                Some(key) => key.filter(|key| !key.is_empty()).map(|key| checks.key("/category", key)),
                None => view.category.into_iter().next_back().map(|crumb| crumb.key),
            },
            attributes: match self.attributes {
                Some(Some(changes)) => merged(&mut checks, view.attributes, changes),
                Some(None) => Vec::new(),
                None => view.attributes,
            },
            images: match self.images {
                Some(images) => product_body::images(&mut checks, images.unwrap_or_default()),
                None => view.images,
            },
            variants: match self.variants {
                Some(variants) => product_body::variants(&mut checks, variants),
                None => view.variants.into_iter().map(variant).collect(),
            },
            stock: product_body::stock(&mut checks, self.stock),
            popularity: self.popularity.map_or(view.popularity, Option::unwrap_or_default),
            margin: match self.margin {
                Some(margin) => product_body::margin(&mut checks, margin),
                None => view.margin,
            },
            released: match self.released {
                Some(day) => product_body::released(&mut checks, day),
                None => view.released,
            },
            status: match self.status {
                Some(status) => status.map_or(ProductStatus::Active, ProductStatus::from),
                None => view.status,
            },
        };
        checks.end(input)
    }
}

/// Attributes with some of them changed, in the order in which they were, new ones behind.
fn merged(checks: &mut Checks, mut attributes: Vec<Attribute>, changes: Ordered<Option<ValueBody>>) -> Vec<Attribute> {
    let mut set = Vec::new();
    for (name, value) in changes.0 {
        match value {
            Some(value) => set.push((name, value)),
            None => attributes.retain(|attribute| attribute.name != name),
        }
    }
    for changed in product_body::attributes(checks, Ordered(set)) {
        match attributes.iter_mut().find(|attribute| attribute.name == changed.name) {
            Some(attribute) => *attribute = changed,
            None => attributes.push(changed),
        }
    }
    checks.count("/attributes", attributes.len(), 0, limits::ATTRIBUTES_MAX);
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json;
    use serde_json::{Value, json};

    /// A product, as it is read and as it is written.
    fn lamp() -> (ProductView, ProductInput) {
        let whole = r#"{"key":"lamp","title":"Lamp","description":"Of brass","brand":"Norden","category":"lamps/desk",
            "attributes":{"n_watts":5,"colour":{"keyword":"red"},"b_new":true},"images":[{"url":"u","alt":"a"}],
            "variants":[{"key":"lamp","options":{"size":"M"},"prices":[{"amount":5,"currency":"USD"}],"barcodes":["123"]}],
            "released":"1970-01-11","popularity":7,"margin":-5,"status":"draft"}"#;
        let input = json::shape::<product_body::ProductBody>(whole.as_bytes()).expect("JSON").check(None).expect("within bounds");
        let view = ProductView {
            id: wire::ProductId(wire::RawId(1)),
            key: input.key.clone(),
            version: 3,
            status: input.status,
            title: input.title.clone(),
            description: input.description.clone(),
            brand: input.brand.clone(),
            category: vec![
                wire::CategoryCrumb { id: wire::CategoryId(wire::RawId(1)), key: "lamps".into(), name: "Lamps".into() },
                wire::CategoryCrumb { id: wire::CategoryId(wire::RawId(2)), key: "lamps/desk".into(), name: "Desk".into() },
            ],
            attributes: input.attributes.clone(),
            images: input.images.clone(),
            variants: input
                .variants
                .iter()
                .map(|variant| VariantView {
                    id: wire::SkuId(wire::RawId(1)),
                    key: variant.key.clone(),
                    options: variant.options.clone(),
                    price: variant.prices.first().copied(),
                    prices: variant.prices.clone(),
                    barcodes: variant.barcodes.clone(),
                    availability: wire::Availability::default(),
                })
                .collect(),
            popularity: input.popularity,
            margin: input.margin,
            released: input.released,
        };
        (view, input)
    }

    fn patched(patch: &Value) -> Result<ProductInput, Problem> {
        json::shape::<ProductPatch>(patch.to_string().as_bytes())?.check(lamp().0)
    }

    #[test]
    fn what_is_not_named_stays() {
        let whole = lamp().1;
        let names = |input: &ProductInput| input.attributes.iter().map(|attribute| attribute.name.clone()).collect::<Vec<_>>();
        assert_eq!(patched(&json!({})).expect("nothing"), whole);
        assert_eq!(patched(&json!({"title": "Lantern", "key": "lamp"})).expect("a title").title, "Lantern");
        let bare =
            patched(&json!({"description": null, "brand": null, "category": null, "attributes": null, "images": null, "popularity": null,
            "margin": null, "released": null, "status": null}))
            .expect("all that can be");
        assert_eq!((bare.description.as_str(), bare.brand, bare.category, bare.popularity, bare.released), ("", None, None, 0, None));
        assert_eq!((bare.margin, patched(&json!({"margin": 100})).expect("a margin").margin), (None, Some(100)));
        assert!(bare.attributes.is_empty() && bare.images.is_empty() && bare.variants == whole.variants);
        assert_eq!(bare.status, ProductStatus::Active);
        let some = patched(&json!({"attributes": {"colour": "blue", "b_new": null, "more": 1}})).expect("attributes");
        assert_eq!(names(&some), ["n_watts", "colour", "more"]);
        assert_eq!(some.attributes[1].value, wire::AttributeValue::Text("blue".to_owned()));
        let stock = patched(&json!({"stock": [{"variant": "lamp", "location": "main", "on_hand": 3}]})).expect("opening stock");
        assert_eq!(stock.stock[0].on_hand, 3);
    }

    #[test] // Each row: a patch, and the first pointer and code it is refused for.
    fn what_cannot_be_has_a_pointer() {
        for (patch, pointer, code) in [
            (json!({"title": null}), "/title", "wrong_type"),
            (json!({"title": ""}), "/title", "too_short"),
            (json!({"variants": null}), "/variants", "wrong_type"),
            (json!({"variants": []}), "/variants", "too_few"),
            (json!({"key": "other"}), "/key", "conflicting"),
            (json!({"price": 5}), "/price", "unknown_field"),
            (json!({"attributes": {"a": {"word": "x"}}}), "/attributes/a/word", "unknown_field"),
            (json!({"released": "soon"}), "/released", "unknown_value"),
            (json!({"status": "sold"}), "/status", "unknown_value"),
            (json!({"margin": 101}), "/margin", "out_of_range"),
            (json!({"margin": 1.5}), "/margin", "wrong_type"),
        ] {
            let brief = patched(&patch).expect_err("refused").brief();
            let first = &brief["errors"][0];
            assert_eq!((first["pointer"].as_str(), first["code"].as_str()), (Some(pointer), Some(code)), "{patch}");
        }
        let many: serde_json::Map<String, Value> = (0..limits::ATTRIBUTES_MAX).map(|nth| (format!("a{nth}"), json!(1))).collect();
        assert_eq!(patched(&json!({"attributes": many})).expect_err("too many").brief()["errors"][0]["code"], "too_many");
    }
}

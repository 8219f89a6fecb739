//! Foreign lines to lines of our own import format.
//!
//! Path: a line of a file → [`Convert::line`] → a product line as `POST /v1/admin/import` takes it, or why there is none. What the shop itself
//! checks (lengths, prices below zero, doubled names) is left to it: its answer is as good and there is one place for the rules.

use super::json::Json;
use crate::cli::Format;

/// Opening stock of a foreign format's variants, unless told otherwise.
const STOCK: u32 = 25;
/// Where it lies.
const LOCATION: &str = "main";

/// What is done to every line.
#[derive(Clone, Debug)]
pub(super) struct Convert {
    pub(super) format: Format,
    pub(super) stock: Option<u32>,
    pub(super) key_prefix: String,
}

impl Convert {
    /// Converts one line of JSON into `out`, without a line end.
    pub(super) fn line(&self, line: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let untouched = self.stock.is_none() && self.key_prefix.is_empty();
        if self.format == Format::Emporion && untouched {
            out.extend_from_slice(line);
            return Ok(());
        }
        let mut json: Json = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
        if !matches!(json, Json::Object(_)) {
            return Err("no JSON object".into());
        }
        let product = match self.format {
            Format::Emporion => {
                self.rewrite(&mut json);
                json
            }
            Format::Icecat => self.icecat(&mut json)?,
            Format::Bestbuy => self.bestbuy(&mut json)?,
            Format::Csv => return Err("a CSV file is no JSON".into()),
        };
        write(&product, out)
    }

    /// A product of one variant, made of parts. Null parts are left out.
    pub(super) fn product(&self, parts: Parts) -> Json {
        let key = format!("{}{}", self.key_prefix, parts.key);
        let sku = format!("{}{}", self.key_prefix, parts.sku.unwrap_or(parts.key));
        let on_hand = parts.stock.unwrap_or_else(|| self.stock.unwrap_or(STOCK));
        let variant = Json::object([
            ("key", Json::text(sku.clone())),
            ("options", parts.options),
            ("prices", parts.prices),
            ("barcodes", parts.barcodes),
        ]);
        let stock = Json::object([
            ("variant", Json::text(sku)),
            ("location", Json::text(parts.location.unwrap_or_else(|| LOCATION.into()))),
            ("on_hand", Json::number(on_hand.into())),
        ]);
        Json::object([
            ("type", Json::text("product")),
            ("key", Json::text(key)),
            ("title", parts.title),
            ("description", parts.description),
            ("brand", parts.brand),
            ("category", parts.category),
            ("attributes", parts.attributes),
            ("images", parts.images),
            ("variants", Json::Array(vec![variant])),
            ("stock", Json::Array(vec![stock])),
            ("popularity", parts.popularity),
            ("margin", parts.margin),
            ("released", parts.released),
            ("status", parts.status),
        ])
    }

    fn icecat(&self, line: &mut Json) -> Result<Json, String> {
        let mut attributes = match line.take("attrs") {
            Json::Object(members) => members,
            Json::Null => Vec::new(),
            Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Array(_) => return Err("attrs is no object".into()),
        };
        attributes.retain(|(_, value)| *value != Json::Null);
        match line.take("model") {
            Json::Text(model) if !model.is_empty() => {
                attributes.retain(|(name, _)| name != "model");
                attributes.insert(0, ("model".into(), Json::object([("keyword", Json::Text(model))])));
            }
            Json::Text(_) | Json::Null => {}
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => return Err("model is no text".into()),
        }
        Ok(self.product(Parts {
            title: line.take("title"),
            description: line.take("description"),
            brand: line.take("brand"),
            attributes: Json::Object(attributes),
            barcodes: line.take("ean"),
            prices: price_cents(line),
            popularity: line.take("popularity"),
            released: line.take("released"),
            ..Parts::of(key(line)?)
        }))
    }

    fn bestbuy(&self, line: &mut Json) -> Result<Json, String> {
        let category = match line.take("categories") {
            Json::Null => Json::Null,
            Json::Array(names) if names.is_empty() => Json::Null,
            Json::Array(names) => {
                let texts: Option<Vec<String>> = names
                    .into_iter()
                    .map(|name| match name {
                        Json::Text(name) => Some(name),
                        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
                    })
                    .collect();
                Json::text(texts.ok_or("categories are no texts")?.join("/"))
            }
            Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => return Err("categories is no list".into()),
        };
        Ok(self.product(Parts {
            title: line.take("title"),
            description: line.take("description"),
            brand: line.take("brand"),
            category,
            prices: price_cents(line),
            popularity: line.take("popularity"),
            ..Parts::of(format!("bb-{}", key(line)?))
        }))
    }

    /// Changes keys and stock of a line in our own format. Whatever is not as it should be is left for the shop to refuse.
    fn rewrite(&self, line: &mut Json) {
        let prefix = |value: Option<&mut Json>| {
            if let Some(Json::Text(key)) = value {
                key.insert_str(0, &self.key_prefix);
            }
        };
        let each = |value: Option<&mut Json>, member: &str| {
            if let Some(Json::Array(items)) = value {
                items.iter_mut().for_each(|item| prefix(item.get_mut(member)));
            }
        };
        match line.get_mut("type") {
            Some(Json::Text(kind)) if kind == "product" => {}
            // A category keeps its key: products name it.
            Some(Json::Text(kind)) if kind == "category" => return,
            _ => {
                prefix(line.get_mut("sku"));
                prefix(line.get_mut("product"));
                return;
            }
        }
        prefix(line.get_mut("key"));
        each(line.get_mut("variants"), "key");
        each(line.get_mut("stock"), "variant");
        let Some(on_hand) = self.stock else { return };
        let Some(Json::Array(variants)) = line.get_mut("variants") else { return };
        let rows = variants
            .iter_mut()
            .filter_map(|variant| variant.get_mut("key").cloned())
            .map(|key| Json::object([("variant", key), ("location", Json::text(LOCATION)), ("on_hand", Json::number(on_hand.into()))]))
            .collect();
        match line.get_mut("stock") {
            Some(stock) => *stock = Json::Array(rows),
            None => {
                if let Json::Object(members) = line {
                    members.push(("stock".into(), Json::Array(rows)));
                }
            }
        }
    }
}

/// Writes a converted line.
pub(super) fn write(json: &Json, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, json).map_err(|error| error.to_string())
}

/// What a product of one variant is made of.
pub(super) struct Parts {
    pub(super) key: String,
    pub(super) sku: Option<String>,
    pub(super) title: Json,
    pub(super) description: Json,
    pub(super) brand: Json,
    pub(super) category: Json,
    pub(super) attributes: Json,
    pub(super) images: Json,
    pub(super) options: Json,
    pub(super) prices: Json,
    pub(super) barcodes: Json,
    pub(super) popularity: Json,
    pub(super) margin: Json,
    pub(super) released: Json,
    pub(super) status: Json,
    pub(super) stock: Option<u32>,
    pub(super) location: Option<String>,
}

impl Parts {
    /// Nothing but a key.
    pub(super) const fn of(key: String) -> Self {
        Self {
            key,
            sku: None,
            title: Json::Null,
            description: Json::Null,
            brand: Json::Null,
            category: Json::Null,
            attributes: Json::Null,
            images: Json::Null,
            options: Json::Null,
            prices: Json::Null,
            barcodes: Json::Null,
            popularity: Json::Null,
            margin: Json::Null,
            released: Json::Null,
            status: Json::Null,
            stock: None,
            location: None,
        }
    }
}

/// The foreign id: a text, or a whole number.
fn key(line: &mut Json) -> Result<String, String> {
    match line.take("id") {
        Json::Text(id) if !id.is_empty() => Ok(id),
        Json::Number(id) if !id.is_f64() => Ok(id.to_string()),
        Json::Null => Err("id is missing".into()),
        Json::Text(_) | Json::Number(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Err("id is neither a text nor a whole number".into())
        }
    }
}

/// `price_cents`, in US dollars; none is no price, so the product is shown and not sold.
fn price_cents(line: &mut Json) -> Json {
    match line.take("price_cents") {
        Json::Null => Json::Array(Vec::new()),
        amount => Json::Array(vec![Json::object([("amount", amount), ("currency", Json::text("USD"))])]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(format: Format, stock: Option<u32>, prefix: &str, line: &str) -> Result<String, String> {
        let mut out = Vec::new();
        Convert { format, stock, key_prefix: prefix.into() }.line(line.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn icecat_keeps_the_order_of_its_attributes() {
        let line = r#"{"id":"1399","title":"Ink","model":"80","description":"","brand":"HP","price_cents":12595,"released":"2006-07-01","ean":["088"],
            "attrs":{"t_type":"Original","n_width":56.0,"b_wireless":false,"a_null":null}}"#;
        assert_eq!(
            converted(Format::Icecat, None, "", line).expect("converts"),
            r#"{"type":"product","key":"1399","title":"Ink","description":"","brand":"HP","attributes":{"model":{"keyword":"80"},"t_type":"Original","n_width":56.0,"b_wireless":false},"variants":[{"key":"1399","prices":[{"amount":12595,"currency":"USD"}],"barcodes":["088"]}],"stock":[{"variant":"1399","location":"main","on_hand":25}],"released":"2006-07-01"}"#
        );
    }

    #[test]
    fn bestbuy_keys_do_not_meet_icecats() {
        let line = r#"{"id":7,"title":"Phone","description":"d","brand":"B","categories":["Cell Phones","Prepaid"],"price_cents":4999,"popularity":21449}"#;
        assert_eq!(
            converted(Format::Bestbuy, Some(3), "x-", line).expect("converts"),
            r#"{"type":"product","key":"x-bb-7","title":"Phone","description":"d","brand":"B","category":"Cell Phones/Prepaid","variants":[{"key":"x-bb-7","prices":[{"amount":4999,"currency":"USD"}]}],"stock":[{"variant":"x-bb-7","location":"main","on_hand":3}],"popularity":21449}"#
        );
    }

    #[test]
    fn our_own_lines_pass_as_they_are_or_with_other_keys() {
        let line = r#"{"type":"product", "key":"1","variants":[{"key":"1-s"}],"attributes":{"b":1,"a":2}}"#;
        assert_eq!(converted(Format::Emporion, None, "", line).expect("passes"), line);
        assert_eq!(
            converted(Format::Emporion, Some(9), "p-", line).expect("converts"),
            r#"{"type":"product","key":"p-1","variants":[{"key":"p-1-s"}],"attributes":{"b":1,"a":2},"stock":[{"variant":"p-1-s","location":"main","on_hand":9}]}"#
        );
        assert_eq!(
            converted(Format::Emporion, None, "p-", r#"{"type":"stock","sku":"1"}"#).expect("converts"),
            r#"{"type":"stock","sku":"p-1"}"#
        );
        assert_eq!(
            converted(Format::Emporion, None, "p-", r#"{"type":"category","key":"c"}"#).expect("converts"),
            r#"{"type":"category","key":"c"}"#
        );
    }

    #[test] // Each row is a line that no product can be made of, and why.
    fn foreign_lines_are_refused_with_a_reason() {
        for (format, line, why) in [
            (Format::Icecat, "{", "no JSON: "),
            (Format::Icecat, "[]", "no JSON object"),
            (Format::Icecat, r#"{"title":"t"}"#, "id is missing"),
            (Format::Icecat, r#"{"id":1.5}"#, "id is neither"),
            (Format::Icecat, r#"{"id":"1","attrs":[]}"#, "attrs is no object"),
            (Format::Bestbuy, r#"{"id":"1","categories":"c"}"#, "categories is no list"),
            (Format::Bestbuy, r#"{"id":"1","categories":["c",1]}"#, "categories are no texts"),
        ] {
            let error = converted(format, None, "", line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}

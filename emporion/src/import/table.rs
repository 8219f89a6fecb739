//! CSV: a row becomes a product of one variant, by the names of its columns.

use super::{
    convert::{Convert, Parts},
    json::Json,
};
use crate::fail::Fail;
use csv::StringRecord;

/// What a column can be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Key,
    Sku,
    Title,
    Description,
    Brand,
    Category,
    /// With two digits after the point.
    Price,
    /// In minor units.
    PriceMinor,
    Currency,
    Barcode,
    Image,
    Popularity,
    Margin,
    Released,
    Status,
    Stock,
    Location,
    Attribute(String),
    Keyword(String),
    Option(String),
}

impl Field {
    fn read(name: &str) -> Option<Self> {
        let named = |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(str::to_owned);
        Some(match name {
            "key" => Self::Key,
            "sku" => Self::Sku,
            "title" => Self::Title,
            "description" => Self::Description,
            "brand" => Self::Brand,
            "category" => Self::Category,
            "price" => Self::Price,
            "price_minor" => Self::PriceMinor,
            "currency" => Self::Currency,
            "barcode" => Self::Barcode,
            "image" => Self::Image,
            "popularity" => Self::Popularity,
            "margin" => Self::Margin,
            "released" => Self::Released,
            "status" => Self::Status,
            "stock" => Self::Stock,
            "location" => Self::Location,
            _ => named("attr.")
                .map(Self::Attribute)
                .or_else(|| named("keyword.").map(Self::Keyword))
                .or_else(|| named("option.").map(Self::Option))?,
        })
    }
}

/// `column=field` pairs of the command line, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping(Vec<(String, Field)>);

impl Mapping {
    pub(super) fn read(pairs: &[String]) -> Result<Self, Fail> {
        let pair = |text: &String| {
            let (column, field) = text.split_once('=')?;
            Some((column.trim().to_owned(), Field::read(field.trim())?))
        };
        let all = pairs.iter().map(|text| {
            pair(text).ok_or_else(|| {
                Fail::Usage(format!("--map {text}: say COLUMN=FIELD, where FIELD is one of those in `emporion import --help`"))
            })
        });
        all.collect::<Result<_, _>>().map(Self)
    }
}

/// What each column of one file is.
#[derive(Debug)]
pub(super) struct Columns(Vec<Option<Field>>);

impl Columns {
    /// Reads the header. Columns that neither the mapping nor their own name says anything about are left out.
    pub(super) fn read(header: &StringRecord, mapping: &Mapping) -> Result<Self, String> {
        if let Some((column, _)) = mapping.0.iter().find(|(column, _)| !header.iter().any(|name| name.trim() == column)) {
            return Err(format!("there is no column `{column}`; the columns are {}", header.iter().collect::<Vec<_>>().join(", ")));
        }
        let is_mapped = |field: &Field| mapping.0.iter().any(|(_, mapped)| mapped == field);
        let field_of = |name: &str| {
            let mapped = mapping.0.iter().find(|(column, _)| column == name.trim()).map(|(_, field)| field.clone());
            mapped.or_else(|| Field::read(name.trim()).filter(|field| !is_mapped(field)))
        };
        let columns = Self(header.iter().map(field_of).collect());
        for (field, name) in [(Field::Key, "key"), (Field::Title, "title")] {
            if !columns.0.contains(&Some(field)) {
                return Err(format!("no column is the {name}; name it with --map COLUMN={name}"));
            }
        }
        Ok(columns)
    }

    /// The product of a row.
    pub(super) fn product(&self, row: &StringRecord, convert: &Convert) -> Result<Json, String> {
        let mut parts = Parts::of(String::new());
        let (mut attributes, mut options, mut barcodes, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut price, mut currency) = (None, "USD".to_owned());
        for (field, text) in self.0.iter().zip(row) {
            let (Some(field), text) = (field, text.trim()) else { continue };
            if text.is_empty() {
                continue;
            }
            let own = || Json::text(text);
            let whole = |what: &str| text.parse::<i64>().map_err(|_| format!("{what} `{text}` is no whole number"));
            match field {
                Field::Key => parts.key = text.to_owned(),
                Field::Sku => parts.sku = Some(text.to_owned()),
                Field::Title => parts.title = own(),
                Field::Description => parts.description = own(),
                Field::Brand => parts.brand = own(),
                Field::Category => parts.category = own(),
                Field::Price => price = Some(minor(text).ok_or_else(|| format!("price `{text}` is not like 19.99"))?),
                Field::PriceMinor => price = Some(whole("price_minor")?),
                Field::Currency => currency = text.to_owned(),
                Field::Barcode => barcodes.push(own()),
                Field::Image => images.push(Json::object([("url", own())])),
                Field::Popularity => parts.popularity = Json::number(whole("popularity")?),
                Field::Margin => parts.margin = Json::number(whole("margin")?),
                Field::Released => parts.released = own(),
                Field::Status => parts.status = own(),
                Field::Stock => parts.stock = Some(text.parse().map_err(|_| format!("stock `{text}` is no number of units"))?),
                Field::Location => parts.location = Some(text.to_owned()),
                Field::Attribute(name) => attributes.push((name.clone(), value(name, text)?)),
                Field::Keyword(name) => attributes.push((name.clone(), Json::object([("keyword", own())]))),
                Field::Option(name) => options.push((name.clone(), own())),
            }
        }
        if parts.key.is_empty() {
            return Err("the key is empty".into());
        }
        // The command line says it for all rows.
        if convert.stock.is_some() {
            parts.stock = None;
        }
        parts.prices = Json::Array(
            price.map(|amount| Json::object([("amount", Json::number(amount)), ("currency", Json::Text(currency))])).into_iter().collect(),
        );
        parts.attributes = some(attributes, Json::Object);
        parts.options = some(options, Json::Object);
        parts.barcodes = some(barcodes, Json::Array);
        parts.images = some(images, Json::Array);
        Ok(convert.product(parts))
    }
}

fn some<T>(items: Vec<T>, json: impl Fn(Vec<T>) -> Json) -> Json {
    if items.is_empty() { Json::Null } else { json(items) }
}

/// `n_…` is a number, `b_…` a flag, anything else text.
fn value(name: &str, text: &str) -> Result<Json, String> {
    if name.starts_with("n_") {
        return serde_json::from_str(text).map(Json::Number).map_err(|_| format!("{name} `{text}` is no number"));
    }
    if name.starts_with("b_") {
        return match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Json::Bool(true)),
            "false" | "no" | "0" => Ok(Json::Bool(false)),
            _ => Err(format!("{name} `{text}` is neither true nor false")),
        };
    }
    Ok(Json::text(text))
}

/// `19.99`, `19.9` or `19` in minor units of a currency with two digits. Not through a float, which has no 19.99.
fn minor(text: &str) -> Option<i64> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(cents) || cents.len() > 2 {
        return None;
    }
    let cents: i64 = format!("{cents:0<2}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::Format, import::convert::write};

    fn row(map: &[&str], header: &[&str], cells: &[&str]) -> Result<String, String> {
        let map: Vec<String> = map.iter().map(|pair| (*pair).to_owned()).collect();
        let columns = Columns::read(&StringRecord::from(header.to_vec()), &Mapping::read(&map).expect("a mapping"))?;
        let convert = Convert { format: Format::Csv, stock: None, key_prefix: String::new() };
        let mut out = Vec::new();
        write(&columns.product(&StringRecord::from(cells.to_vec()), &convert)?, &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn columns_are_found_by_mapping_and_by_name() {
        assert_eq!(
            row(
                &["Artikel=key", "Preis=price", "Breite=attr.n_width"],
                &["Artikel", "title", "Preis", "stock", "margin", "Breite", "option.size", "Notiz"],
                &["7", "Lamp", "19.9", "4", "-5", "56.5", "M", "x"]
            )
            .expect("a product"),
            r#"{"type":"product","key":"7","title":"Lamp","attributes":{"n_width":56.5},"variants":[{"key":"7","options":{"size":"M"},"prices":[{"amount":1990,"currency":"USD"}]}],"stock":[{"variant":"7","location":"main","on_hand":4}],"margin":-5}"#
        );
    }

    #[test] // Each row is a header, a row, and what is said about them.
    fn wrong_tables_are_told() {
        for (map, header, cells, why) in [
            (&["x=key"][..], &["key", "title"][..], &["1", "t"][..], "no column `x`; the columns are key, title"),
            (&[], &["title"], &["t"], "no column is the key"),
            (&[], &["key", "title"], &["", "t"], "the key is empty"),
            (&[], &["key", "title", "price"], &["1", "t", "19,99"], "price `19,99` is not like 19.99"),
            (&[], &["key", "title", "margin"], &["1", "t", "12.5"], "margin `12.5` is no whole number"),
            (&[], &["key", "title", "stock"], &["1", "t", "-1"], "stock `-1` is no number of units"),
            (&[], &["key", "title", "attr.b_new"], &["1", "t", "perhaps"], "neither true nor false"),
        ] {
            let error = row(map, header, cells).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        assert!(Mapping::read(&["a=b".to_owned()]).is_err());
    }

    #[test]
    fn prices_are_exact() {
        for (text, amount) in [
            ("19.99", Some(1999)),
            ("0.1", Some(10)),
            ("7", Some(700)),
            ("1.", Some(100)),
            (".5", None),
            ("1.999", None),
            ("-1", None),
            ("1e3", None),
        ] {
            assert_eq!(minor(text), amount, "{text}");
        }
    }
}

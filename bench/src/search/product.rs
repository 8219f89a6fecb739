//! Products as the index takes them: what the program's importer would make of each set.
//!
//! Path: [`Line`] → [`Product`] → (replicas) → `Document` → `Index::build`, which [`Feed`] keeps supplied. The feed remembers of each document what answers are told by
//! (id, source, category) and how long the reading took, so that a build's time is the index's alone.

use super::{
    clock::{self, Spent},
    lines::{Line, Shape, products},
    mixed::{Mixes, replicas},
};
use crate::server::BenchError;
use jiff::civil::Date;
use search_index::{AttributeValue, DocKey, Document};
use std::{collections::HashMap, path::PathBuf, time::Duration};

/// Documents read at a time: few enough to stay out of the memory that is measured.
const READ_AHEAD: usize = 256;

/// A product and its id.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: String,
    document: Document,
    /// So many of the first attributes belong to the body, which a replica takes from another product.
    of_body: usize,
}

/// Under these names the sets keep a colour.
pub(super) fn colour_attribute(shape: Shape) -> &'static str {
    match shape {
        Shape::Icecat => "t_product_colour",
        Shape::Fashion | Shape::Bestbuy | Shape::Mixed => "colour",
    }
}

impl Product {
    pub(super) fn of(line: Line) -> Self {
        let (id, shape) = (line.full_id(), line.shape());
        let mut document = Document { title: line.title.unwrap_or_default(), ..Document::new(DocKey(0)) };
        let named = |brand: Option<String>| brand.filter(|brand| !brand.is_empty());
        let text =
            |name: &str, value: Option<String>| Some((name.to_owned(), AttributeValue::Text(value.filter(|text| !text.is_empty())?)));
        let cents = line.price_cents.map(|cents| cents as i64);
        let mut of_body = 0;
        match shape {
            Shape::Icecat => {
                document.description = line.description.unwrap_or_default();
                document.brand = named(line.brand);
                document.price = cents;
                document.popularity = line.popularity.unwrap_or(0);
                document.released = line.released.as_deref().and_then(days).unwrap_or(0);
                // The importer's keys of product and variant are the id, which shoppers may type as well as a barcode.
                document.keywords = std::iter::once(&line.id).chain(&line.ean).map(String::as_str).collect::<Vec<_>>().join(" ");
                document.attributes = line.attrs.into_iter().filter_map(|(name, value)| Some((name, attribute(value)?))).collect();
                of_body = document.attributes.len();
                if let Some(model) = line.model.filter(|model| !model.is_empty()) {
                    document.attributes.push(("model".into(), AttributeValue::Keyword(model.clone())));
                    document.model = model;
                }
            }
            Shape::Fashion => {
                document.category =
                    path(&[&line.master_category, &line.sub_category, &line.article_type].map(|name| name.clone().unwrap_or_default()));
                let body = [
                    text("gender", line.gender),
                    text("article_type", line.article_type),
                    text("season", line.season),
                    text("usage", line.usage),
                ];
                document.attributes = body.into_iter().flatten().collect();
                of_body = document.attributes.len();
                document.attributes.extend(text("year", line.year));
                document.attributes.extend(text("colour", line.colour));
            }
            Shape::Bestbuy => {
                document.description = line.description.unwrap_or_default();
                document.brand = named(line.brand);
                document.category = path(&line.categories.unwrap_or_default());
                document.price = cents;
                document.popularity = line.popularity.unwrap_or(0);
                document.keywords = format!("bb-{}", line.id);
            }
            Shape::Mixed => {
                document.description = line.body.unwrap_or_default();
                document.brand = named(line.brand);
                document.category = line.category.into_iter().filter(|name| !name.is_empty()).collect();
                document.price = line.price;
                document.attributes.extend(text("colour", line.colour));
            }
        }
        Self { id, document, of_body }
    }

    /// Without a key of its own.
    pub(super) fn into_document(self) -> Document {
        self.document
    }
}

impl Mixes for Product {
    fn title(&self) -> &str {
        &self.document.title
    }

    fn replica(&self, id_end: &str, title: String, other: &Self, price_percent: i64) -> Self {
        let own = &self.document;
        let mut attributes = other.document.attributes[..other.of_body].to_vec();
        attributes.extend_from_slice(&own.attributes[self.of_body..]);
        let document = Document {
            title,
            description: other.document.description.clone(),
            price: own.price.map(|price| price.wrapping_mul(price_percent) / 100),
            attributes,
            ..own.clone()
        };
        Self { id: format!("{}{id_end}", self.id), document, of_body: other.of_body }
    }
}

/// Keys from root to leaf, each with those above it, as the shop has them.
fn path(names: &[String]) -> Vec<String> {
    (1..=names.len()).map(|end| names[..end].join("/")).collect()
}

fn attribute(value: serde_json::Value) -> Option<AttributeValue> {
    match value {
        serde_json::Value::String(text) => Some(AttributeValue::Text(text)),
        serde_json::Value::Number(number) => number.as_f64().map(AttributeValue::Number),
        serde_json::Value::Bool(flag) => Some(AttributeValue::Bool(flag)),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}

/// Days from 1970 to a date.
fn days(date: &str) -> Option<i64> {
    let date: Date = date.parse().ok()?;
    Some(date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24)
}

/// Of every document what its hits are told by, in the order of keys. Small, because it counts in the memory of the process.
#[derive(Default)]
pub(super) struct Known {
    ids: String,
    ends: Vec<u32>,
    categories: Vec<u32>,
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    /// Shape of the first product.
    pub(super) shape: Option<Shape>,
}

/// No category.
const NOWHERE: u32 = u32::MAX;

impl Known {
    pub(super) fn add(&mut self, id: &str, category: Option<&String>) -> Result<DocKey, BenchError> {
        let key = DocKey(self.ends.len() as u64);
        self.ids.push_str(id);
        self.ends.push(u32::try_from(self.ids.len()).map_err(|_| BenchError::other("ids of more than 4 GB"))?);
        self.categories.push(match category {
            None => NOWHERE,
            Some(name) => match self.by_name.get(name) {
                Some(number) => *number,
                None => {
                    let number = self.names.len() as u32;
                    self.names.push(name.clone());
                    self.by_name.insert(name.clone(), number);
                    number
                }
            },
        });
        Ok(key)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id with the letter of its set.
    pub(super) fn id(&self, key: DocKey) -> &str {
        let at = key.0 as usize;
        let from = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.ids[from..self.ends[at] as usize]
    }

    /// The leaf of its path.
    pub(super) fn category(&self, key: DocKey) -> Option<&str> {
        self.names.get(self.categories[key.0 as usize] as usize).map(String::as_str)
    }

    /// Keys by id.
    pub(super) fn keys(&self) -> HashMap<&str, DocKey> {
        (0..self.len() as u64).map(|key| (self.id(DocKey(key)), DocKey(key))).collect()
    }
}

/// Documents for `Index::build`.
pub(super) struct Feed<'a> {
    source: Box<dyn Iterator<Item = Result<Product, BenchError>>>,
    ready: Vec<Document>,
    known: &'a mut Known,
    /// Thread time of reading, which is not the index's.
    pub(super) reading: Duration,
    /// Why it ended early.
    pub(super) failed: Option<BenchError>,
}

impl<'a> Feed<'a> {
    /// `replicate` above 1 holds all products in memory while it gives them.
    pub(super) fn open(paths: &[PathBuf], replicate: usize, known: &'a mut Known) -> Result<Self, BenchError> {
        let mut lines = products(paths);
        let first = lines.next().transpose()?.ok_or_else(|| BenchError::other("no product in the files"))?;
        known.shape = Some(first.shape());
        let lines = std::iter::once(Ok(first)).chain(lines).map(|line| line.map(Product::of));
        let source: Box<dyn Iterator<Item = Result<Product, BenchError>>> =
            if replicate == 1 { Box::new(lines) } else { Box::new(replicas(lines.collect::<Result<Vec<_>, _>>()?, replicate).map(Ok)) };
        Ok(Self { source, ready: Vec::with_capacity(READ_AHEAD), known, reading: Duration::ZERO, failed: None })
    }

    fn read(&mut self) -> Result<(), BenchError> {
        for product in self.source.by_ref().take(READ_AHEAD) {
            let Product { id, mut document, of_body: _ } = product?;
            document.key = self.known.add(&id, document.category.last())?;
            self.ready.push(document);
        }
        self.ready.reverse();
        Ok(())
    }
}

impl Iterator for &mut Feed<'_> {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        if self.ready.is_empty() {
            let Spent { value, cpu, .. } = clock::spent(|| self.read());
            self.reading += cpu;
            if let Err(error) = value {
                self.failed = Some(error);
                return None;
            }
        }
        self.ready.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(json: &str) -> Product {
        Product::of(serde_json::from_str(json).expect("a product"))
    }

    #[test]
    fn a_document_is_what_the_importer_would_make() {
        let ink = product(
            r#"{"id":"9","title":"Ink","model":"80","description":"d","brand":"HP","price_cents":125,"released":"2006-07-01","ean":["088"],"attrs":{"t_type":"x","n_w":5.0,"b_new":true,"z":null}}"#,
        );
        assert_eq!((ink.id.as_str(), ink.document.keywords.as_str(), ink.document.model.as_str()), ("i9", "9 088", "80"));
        assert_eq!((ink.document.price, ink.document.released, ink.document.attributes.len()), (Some(125), 13_330, 4));
        let phone = product(r#"{"id":"7","title":"Phone","brand":"","categories":["Cell","Prepaid"],"price_cents":4,"popularity":3}"#);
        assert_eq!(phone.document.category, ["Cell", "Cell/Prepaid"]);
        assert_eq!((phone.document.brand, phone.document.popularity), (None, 3));
        let shirt = product(
            r#"{"id":"8","title":"Shirt","gender":"Men","master_category":"A","sub_category":"B","article_type":"C","colour":"Blue","season":""}"#,
        );
        assert_eq!(shirt.document.category, ["A", "A/B", "A/B/C"]);
        let names: Vec<&str> = shirt.document.attributes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["gender", "article_type", "colour"]);
    }

    #[test]
    fn a_replica_keeps_what_is_not_of_the_body() {
        let own = product(r#"{"id":"b1","title":"a","body":"own","colour":"red","price":200,"category":"c"}"#);
        let other = product(r#"{"id":"b2","title":"b","body":"other","colour":"blue","price":7}"#);
        let replica = own.replica("-3", "t".into(), &other, 103);
        let Document { description, attributes, price, category, .. } = replica.document;
        assert_eq!((replica.id.as_str(), description.as_str(), price, category.len()), ("b1-3", "other", Some(206), 1));
        assert_eq!(attributes, [("colour".into(), AttributeValue::Text("red".into()))]);
    }

    #[test]
    fn days_count_from_1970() {
        for (date, wanted) in
            [("1970-01-01", Some(0)), ("2000-02-29", Some(11_016)), ("2000-03-01", Some(11_017)), ("2006", None), ("2006-13-01", None)]
        {
            assert_eq!(days(date), wanted, "{date}");
        }
    }

    #[test]
    fn what_is_known_of_a_document_is_found_by_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("products");
        std::fs::write(
            &file,
            "{\"id\":\"b0\",\"title\":\"x y\",\"body\":\"\",\"category\":\"c\"}\n{\"id\":\"b1\",\"title\":\"z\",\"body\":\"\"}\n",
        )
        .expect("written");
        let mut known = Known::default();
        let mut feed = Feed::open(&[file], 2, &mut known).expect("it can be read");
        let documents: Vec<Document> = (&mut feed).collect();
        assert!(feed.failed.is_none());
        assert_eq!(documents.iter().map(|document| document.key.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!((known.id(DocKey(2)), known.category(DocKey(2)), known.category(DocKey(3))), ("b0-1", Some("c"), None));
        assert_eq!(known.keys()["b1-1"], DocKey(3));
    }
}

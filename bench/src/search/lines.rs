//! Product files: JSON lines, gzip or plain, in the shapes of the public data sets.
//!
//! Path: file → (gzip told by its first two bytes) → line → [`Line`] → [`Line::shape`]. What is made of it is next door: [`super::product`] what the index
//! takes, [`super::mixed`] the corpus that several engines can load.

use crate::server::BenchError;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Where a product comes from, which its fields tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Electronics: `model`, `attrs`.
    Icecat,
    /// Clothes: `article_type` and its like.
    Fashion,
    /// A store's: `categories`, `popularity`.
    Bestbuy,
    /// Of all three, in fields that any engine has: `body`, `category`, `colour`, `price`.
    Mixed,
}

impl Shape {
    /// Goes before the ids of a set, some of which are in several sets.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Icecat => "i",
            Self::Fashion => "f",
            Self::Bestbuy => "b",
            Self::Mixed => "",
        }
    }
}

/// A product as some file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) title: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) description: Option<String>,
    pub(super) price_cents: Option<f64>,
    // icecat
    pub(super) model: Option<String>,
    pub(super) released: Option<String>,
    pub(super) ean: Vec<String>,
    pub(super) attrs: BTreeMap<String, serde_json::Value>,
    // fashion
    pub(super) gender: Option<String>,
    pub(super) master_category: Option<String>,
    pub(super) sub_category: Option<String>,
    pub(super) article_type: Option<String>,
    pub(super) colour: Option<String>,
    pub(super) season: Option<String>,
    pub(super) year: Option<String>,
    pub(super) usage: Option<String>,
    // bestbuy
    pub(super) categories: Option<Vec<String>>,
    pub(super) popularity: Option<i64>,
    // mixed
    pub(super) body: Option<String>,
    pub(super) category: Option<String>,
    pub(super) price: Option<i64>,
}

/// A text, or a whole number.
fn id<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(from)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

impl Line {
    /// Told by the field that no other set has.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self { body: Some(_), .. } => Shape::Mixed,
            Self { article_type: Some(_), .. } => Shape::Fashion,
            Self { categories: Some(_), .. } => Shape::Bestbuy,
            _ => Shape::Icecat,
        }
    }

    /// The id, told apart from those of other sets.
    pub(super) fn full_id(&self) -> String {
        format!("{}{}", self.shape().letter(), self.id)
    }

    /// What `want_json` of a query may ask for.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        match name {
            "title" => self.title.as_deref(),
            "gender" => self.gender.as_deref(),
            "master_category" => self.master_category.as_deref(),
            "sub_category" => self.sub_category.as_deref(),
            "article_type" => self.article_type.as_deref(),
            "colour" => self.colour.as_deref(),
            "season" => self.season.as_deref(),
            "year" => self.year.as_deref(),
            "usage" => self.usage.as_deref(),
            _ => None,
        }
    }
}

/// The text of a file, unpacked where it is packed.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, BenchError> {
    let failed = || BenchError::io(path.display().to_string());
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed())?);
    let packed = file.fill_buf().map_err(failed())?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed { Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// The whole text of a small file.
pub(super) fn text(path: &Path) -> Result<String, BenchError> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(BenchError::io(path.display().to_string()))?;
    Ok(text)
}

/// The products of these files, one after the other.
pub(super) fn products(paths: &[PathBuf]) -> impl Iterator<Item = Result<Line, BenchError>> + use<> {
    let paths = paths.to_vec();
    paths.into_iter().flat_map(|path| -> Box<dyn Iterator<Item = Result<Line, BenchError>>> {
        let lines = match open(&path) {
            Ok(file) => file.lines(),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        Box::new(lines.enumerate().filter_map(move |(number, line)| match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(parse(&line).map_err(|why| BenchError::other(format!("{}, line {}: {why}", path.display(), number + 1)))),
            Err(error) => Some(Err(BenchError::io(path.display().to_string())(error))),
        }))
    })
}

fn parse(line: &str) -> Result<Line, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if line.id.is_empty() { Err("a product without id".into()) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn shapes_are_told_by_their_fields() {
        for (line, id, shape) in [
            (r#"{"id":"7","title":"t","attrs":{"t_type":"x","n_width":1.5}}"#, "i7", Shape::Icecat),
            (r#"{"id":"7","title":"t","article_type":"Shirts","price_cents":null}"#, "f7", Shape::Fashion),
            (r#"{"id":7,"title":"t","categories":[],"price_cents":5}"#, "b7", Shape::Bestbuy),
            (r#"{"id":"b7-3","title":"t","body":"","price":5}"#, "b7-3", Shape::Mixed),
        ] {
            let parsed = parse(line).expect("a product");
            assert_eq!((parsed.full_id().as_str(), parsed.shape()), (id, shape), "{line}");
        }
        for line in ["", "[]", r#"{"title":"t"}"#, r#"{"id":1.5}"#] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn packed_and_plain_files_read_alike_and_a_fault_names_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, packed, broken) = (folder.path().join("a"), folder.path().join("b.gz"), folder.path().join("c"));
        let lines = "{\"id\":\"1\",\"body\":\"x\"}\n\n{\"id\":\"2\",\"body\":\"y\"}\n";
        std::fs::write(&plain, lines).expect("written");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(lines.as_bytes()).expect("packed");
        std::fs::write(&packed, packer.finish().expect("packed")).expect("written");
        std::fs::write(&broken, "{\"id\":\"1\"}\n{").expect("written");
        let ids: Vec<String> = products(&[plain, packed]).map(|line| line.expect("a product").id).collect();
        assert_eq!(ids, ["1", "2", "1", "2"]);
        let error = products(&[broken]).find_map(Result::err).expect("the second line is none");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}

//! Query files: plain text, a query a line, or tab-separated with a heading that has a column `query`.
//!
//! Path: file → [`Table`] → [`Question`]s, [`Judgments`], [`Typo`]s. Columns are found by name, so other files of the same kind work in any order of columns.

use super::lines;
use crate::server::BenchError;
use std::{collections::BTreeMap, path::Path};

/// Something to search for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// Of the file; the text itself where the file has none.
    pub(super) id: String,
    pub(super) text: String,
    /// Attributes that a product should have.
    pub(super) wanted: Option<BTreeMap<String, String>>,
}

/// Ratings by product, by query id.
pub(super) type Judgments = BTreeMap<String, Vec<(String, f64)>>;

/// A misspelt query, and the products that it means.
pub(super) struct Typo {
    pub(super) text: String,
    pub(super) relevant: Vec<String>,
}

/// What is in the field after every key pressed, from two characters on; a space by itself changes nothing.
pub(super) fn keystrokes(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.char_indices().map(|(at, letter)| (at + letter.len_utf8(), letter));
    ends.skip(1).filter(|(_, letter)| *letter != ' ').map(|(end, _)| &text[..end])
}

struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path, text: &str) -> Self {
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(cells);
        Self { name: path.display().to_string(), columns: lines.next().unwrap_or_default(), rows: lines.collect() }
    }

    fn find(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name.trim() == column)
    }

    fn need(&self, column: &str) -> Result<usize, BenchError> {
        self.find(column).ok_or_else(|| BenchError::other(format!("{} has no column {column}", self.name)))
    }
}

fn cell(row: &[String], at: usize) -> &str {
    row.get(at).map_or("", String::as_str)
}

/// The queries of a file.
pub(super) fn questions(path: &Path) -> Result<Vec<Question>, BenchError> {
    questions_of(path, &lines::text(path)?)
}

fn questions_of(path: &Path, text: &str) -> Result<Vec<Question>, BenchError> {
    let table = Table::read(path, text);
    let Some(query) = table.find("query").or_else(|| table.find("typo_query")) else {
        let plain = text.lines().filter(|line| !line.trim().is_empty());
        return Ok(plain.map(|line| Question { id: line.to_owned(), text: line.to_owned(), wanted: None }).collect());
    };
    let (id, wanted) = (table.find("query_id"), table.find("want_json"));
    let question = |row: &Vec<String>| {
        let text = cell(row, query).to_owned();
        let wanted = wanted.map(|at| serde_json::from_str(cell(row, at))).transpose();
        let wanted = wanted.map_err(|error| BenchError::other(format!("{}: want_json of {text:?}: {error}", table.name)))?;
        Ok(Question { id: id.map_or_else(|| text.clone(), |at| cell(row, at).to_owned()), text, wanted })
    };
    table.rows.iter().map(question).collect()
}

/// The ratings of a file.
pub(super) fn judgments(path: &Path) -> Result<Judgments, BenchError> {
    let table = Table::read(path, &lines::text(path)?);
    let (query, product, rating) = (table.need("query_id")?, table.need("product_id")?, table.need("rating")?);
    let mut judgments = Judgments::new();
    for row in &table.rows {
        let gain = cell(row, rating)
            .parse()
            .map_err(|error| BenchError::other(format!("{}: rating {:?}: {error}", table.name, cell(row, rating))))?;
        judgments.entry(cell(row, query).to_owned()).or_default().push((cell(row, product).to_owned(), gain));
    }
    Ok(judgments)
}

/// The misspelt queries of a file.
pub(super) fn typos(path: &Path) -> Result<Vec<Typo>, BenchError> {
    let table = Table::read(path, &lines::text(path)?);
    let (query, relevant) = (table.need("typo_query")?, table.need("relevant_ids")?);
    let typo = |row: &Vec<String>| Typo {
        text: cell(row, query).to_owned(),
        relevant: cell(row, relevant).split(',').map(|id| id.trim().to_owned()).collect(),
    };
    Ok(table.rows.iter().map(typo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Question> {
        questions_of(Path::new("file"), text).expect("it can be read")
    }

    #[test] // Text of a file; ids and texts of its queries.
    fn plain_and_tabbed_files_are_told_apart_by_a_heading() {
        for (text, wanted) in [
            ("laptop\n\nusb c\n", &[("laptop", "laptop"), ("usb c", "usb c")][..]),
            ("query_id\tquery\nq1\tlaptop\nq2\tusb c\n", &[("q1", "laptop"), ("q2", "usb c")]),
            ("query_class\tquery\tquery_id\nTables\tround table\t7\n", &[("7", "round table")]),
            ("typo_query\tclean_query\trelevant_ids\nlaptpo\tlaptop\ti1\n", &[("laptpo", "laptpo")]),
        ] {
            let found = read(text);
            assert_eq!(found.iter().map(|question| (&*question.id, &*question.text)).collect::<Vec<_>>(), wanted, "{text}");
        }
    }

    #[test]
    fn a_query_is_typed_character_by_character() {
        for (text, typed) in [("usb c", &["us", "usb", "usb c"][..]), ("né", &["né"]), ("x", &[]), ("", &[])] {
            assert_eq!(keystrokes(text).collect::<Vec<_>>(), typed, "{text}");
        }
    }

    #[test]
    fn wanted_attributes_come_with_the_query() {
        let found = read("query_id\tquery\twant_json\nq\tbelt\t{\"article_type\": \"Belts\"}\n");
        assert_eq!(found[0].wanted, Some(BTreeMap::from([("article_type".into(), "Belts".into())])));
        let error = questions_of(Path::new("file"), "query\twant_json\nbelt\t{\n").expect_err("no JSON");
        assert!(error.to_string().contains("belt"), "{error}");
    }
}

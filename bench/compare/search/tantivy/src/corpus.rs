//! The corpus and the query files, as both sides read them.

use serde::Deserialize;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// A product.
#[derive(Clone, Deserialize)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub body: String,
    pub brand: String,
    pub category: String,
    pub colour: String,
    pub price: u64,
}

fn lines(path: &Path) -> impl Iterator<Item = String> + use<> {
    let name = path.display().to_string();
    let file = File::open(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    BufReader::with_capacity(1 << 18, file).lines().map(move |line| line.unwrap_or_else(|error| panic!("{name}: {error}")))
}

pub fn rows(path: &Path) -> impl Iterator<Item = Row> + use<> {
    lines(path).map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}")))
}

/// Ids by the number of their line.
pub fn ids(path: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    lines(path).map(|line| serde_json::from_str::<Id>(&line).unwrap_or_else(|error| panic!("{line}: {error}")).id).collect()
}

/// Id and text of each query: plain lines, or columns by the heading's names.
pub fn questions(path: &Path) -> Vec<(String, String)> {
    let mut lines = lines(path).filter(|line| !line.trim().is_empty()).peekable();
    let heading: Vec<String> = lines.peek().map(|line| line.split('\t').map(str::to_owned).collect()).unwrap_or_default();
    let column = |name: &str| heading.iter().position(|found| found == name);
    let Some(text) = column("query").or_else(|| column("typo_query")) else {
        return lines.map(|line| (line.clone(), line)).collect();
    };
    let id = column("query_id").unwrap_or(text);
    let cell = |line: &str, at: usize| line.split('\t').nth(at).unwrap_or_default().to_owned();
    lines.skip(1).map(|line| (cell(&line, id), cell(&line, text))).collect()
}

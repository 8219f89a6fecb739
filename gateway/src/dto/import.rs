//! Lines of an import, and what is answered to each.

use super::{category::CategoryBody, product_body::ProductBody, stock::StockLine};
use crate::http::{json, problem::Problem};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use wire::{CategoryInput, ProductInput, StockAdjustment};

/// A line, understood.
#[derive(Debug)]
pub(crate) enum Line {
    Product(Box<ProductInput>),
    Category(CategoryInput),
    Stock(StockAdjustment),
}

/// Only what tells the kinds apart.
#[derive(Deserialize)]
struct Kind {
    r#type: Option<String>,
}

/// Reads one line.
pub(crate) fn line(bytes: &[u8]) -> Result<Line, Problem> {
    if json::too_deep(bytes) {
        return Err(Problem::field("", "too_deep", format!("arrays and objects may lie {} deep", json::DEPTH_MAX)));
    }
    let kind: Kind = json::shape(bytes)?;
    match kind.r#type.as_deref() {
        Some("product") => Ok(Line::Product(Box::new(json::shape::<ProductBody>(bytes)?.check(None)?))),
        Some("category") => Ok(Line::Category(json::shape::<CategoryBody>(bytes)?.check(None)?)),
        Some("stock") => Ok(Line::Stock(json::shape::<StockLine>(bytes)?.check()?)),
        Some(kind @ ("review" | "promotion")) => Err(Problem::field("/type", "not_supported", format!("{kind} lines are not taken"))),
        Some(_) => Err(Problem::field("/type", "unknown_value", "product, category or stock")),
        None => Err(Problem::field("/type", "missing", "product, category or stock")),
    }
}

/// What is answered to a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineAnswer {
    /// Its number, from 1, blank lines counted.
    pub line: u64,
    /// `created`, `updated`, `unchanged` or `refused`.
    #[schema(value_type = String, example = "created")]
    pub status: &'static str,
    /// What was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it was refused: `{code, detail, errors?}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
}

/// How many lines ended how.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Summary {
    /// New.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// Just like what was there.
    pub unchanged: u64,
    /// Not taken.
    pub refused: u64,
    /// From the first byte to the last answer.
    pub seconds: f64,
}

/// The last line of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryLine {
    /// How many lines ended how.
    pub summary: Summary,
}

impl Summary {
    /// Counts a line.
    pub fn count(&mut self, status: &str) {
        match status {
            "created" => self.created += 1,
            "updated" => self.updated += 1,
            "unchanged" => self.unchanged += 1,
            _ => self.refused += 1,
        }
    }
}

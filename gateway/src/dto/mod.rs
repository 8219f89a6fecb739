//! The JSON of the contract. Separate from the wire types: a field is in an answer because it is written here, and a field of a
//! request is taken only if it is written here.
//!
//! Path in: bytes → a `…Body` (unknown fields refused) → `check` against `wire::limits` → wire type. Path out: wire view → `From` → JSON.

pub mod cart;
pub mod category;
pub(crate) mod check;
pub mod feed;
pub mod import;
pub mod order;
pub mod product;
pub mod product_body;
pub mod product_patch;
pub mod search;
pub mod search_setting;
pub mod snapshots;
pub mod stock;
pub mod stock_log;
pub mod warehouse;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use std::fmt::Display;
use utoipa::ToSchema;
use wire::Millis;

/// A body that says nothing: empty, or the empty object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Written as its `Display` text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Millis);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = i64::try_from(self.0.0).unwrap_or(i64::MAX);
        // Past the year 9999 there is no RFC 3339: the last moment there is stands for it.
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&time)
    }
}

/// Written as an object, in order; names are unique.
#[derive(Clone, Debug)]
pub struct Members<V>(pub Vec<(String, V)>);

impl<V: Serialize> Serialize for Members<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An amount in minor units (cents) of a currency.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Money {
    /// Minor units.
    #[schema(example = 1999)]
    amount: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD")]
    currency: Shown<wire::Currency>,
}

impl From<wire::Money> for Money {
    fn from(money: wire::Money) -> Self {
        Self { amount: money.amount, currency: Shown(money.currency) }
    }
}

/// An amount in minor units (cents) of a currency.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyBody {
    /// Minor units, not negative.
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// An answer to an error (RFC 9457). Some codes add members of their own, such as `decline_code` or `available`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the document that `http::problem` writes")]
pub(crate) struct Problem {
    /// `/problems/` and the code.
    #[schema(example = "/problems/insufficient_stock")]
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This case of it, for people.
    detail: String,
    /// The request id.
    instance: String,
    /// A stable word.
    #[schema(example = "insufficient_stock")]
    code: String,
    /// What is wrong where.
    errors: Option<Vec<ProblemEntry>>,
    /// Units that can be had, of the first line that lacks some.
    available: Option<u32>,
    /// Seconds.
    retry_after: Option<u32>,
}

/// What is wrong where.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an entry that `http::problem` writes")]
pub(crate) struct ProblemEntry {
    /// JSON pointer into the body; of a query, `/` and the parameter's name.
    #[schema(example = "/lines/0")]
    pointer: String,
    /// A stable word.
    code: String,
    /// What was wanted.
    detail: Option<String>,
    /// Of a line.
    sku: Option<String>,
    /// Units asked for.
    requested: Option<u32>,
    /// Units that can be had.
    available: Option<u32>,
}

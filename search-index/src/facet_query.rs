//! Values of a facet that are still being typed: `sams` in the list of brands.
//!
//! Path: what was typed → [`FacetQuery::new`], folded as names are → [`FacetRequest::query`](crate::FacetRequest::query) → every value that is counted is asked
//! whether it begins so. Cost: the folding of each value that some match has, for queries that ask.

use std::collections::BTreeSet;

use crate::analysis::{fold_name, words};
use crate::counts::FacetKey;
use crate::document::FACETABLE_BYTES_MAX;
use crate::refusal::QueryError;

/// Values that are wanted of a facet whatever their text. More are refused.
pub const FACET_QUERY_KEYS_MAX: usize = 1 << 16;

/// Which values of a facet are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetQuery {
    /// Trimmed and in lower case, for what is no text.
    plain: String,
    /// Folded letters and digits.
    typed: String,
    keys: BTreeSet<String>,
}

impl FacetQuery {
    /// Values whose text begins with what was typed, or has a word that does. Case, diacritics and what stands between letters and digits do not count, as in
    /// queries: `tn-21` and `tn21` begin `Cartridge TN 2110`, and `l'or` begins `L’Oréal`. Where no space tells words apart, each character begins one. Numbers and flags begin as they are written. Text without a letter or
    /// digit wants all values.
    ///
    /// ```
    /// let typed = search_index::FacetQuery::new("samsung el")?;
    /// assert!(typed.begins("SAMSUNG Electronics") && typed.begins("by Samsung Electronics") && !typed.begins("Electronics by Samsung"));
    /// # Ok::<(), search_index::QueryError>(())
    /// ```
    ///
    /// # Errors
    /// A text that is longer than any value that is counted.
    pub fn new(typed: &str) -> Result<Self, QueryError> {
        if typed.len() > FACETABLE_BYTES_MAX {
            return Err(QueryError::StringTooLong { len: typed.len(), max: FACETABLE_BYTES_MAX });
        }
        let folded = fold_name(typed);
        let letters = folded.chars().filter(|c| c.is_alphanumeric()).collect();
        Ok(Self { plain: typed.trim().to_lowercase(), typed: letters, keys: BTreeSet::new() })
    }

    /// Wants these values too, for reasons of the caller's: of categories, those with a name that begins so, where keys are not names.
    ///
    /// # Errors
    /// More than [`FACET_QUERY_KEYS_MAX`].
    pub fn or_keys(mut self, keys: impl IntoIterator<Item = String>) -> Result<Self, QueryError> {
        self.keys.extend(keys);
        if self.keys.len() > FACET_QUERY_KEYS_MAX {
            return Err(QueryError::FacetQueryKeys { len: self.keys.len() });
        }
        Ok(self)
    }

    /// Whether a text begins so, or a word of it.
    #[must_use]
    pub fn begins(&self, text: &str) -> bool {
        let folded = fold_name(text);
        self.typed.is_empty() || words(&folded).any(|rest| begins(rest, &self.typed))
    }

    /// Whether a value is wanted.
    pub(crate) fn wants(&self, value: &FacetKey) -> bool {
        match value {
            FacetKey::Text(text) => self.keys.contains(&**text) || self.begins(text),
            FacetKey::Number(number) => self.typed.is_empty() || number.to_string().starts_with(&self.plain),
            FacetKey::Bool(flag) => self.typed.is_empty() || flag.to_string().starts_with(&self.plain),
        }
    }
}

/// Whether a text's letters and digits begin with these.
fn begins(text: &str, letters: &str) -> bool {
    let mut found = text.chars().filter(|c| c.is_alphanumeric());
    letters.chars().all(|letter| found.next() == Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: what was typed, a value, and whether it is wanted.
    fn values_begin_as_words_do() {
        for (typed, value, wanted) in [
            ("sams", "Samsung", true),
            ("SAMS", "by Samsung", true),
            ("amsung", "Samsung", false),
            ("samsung", "Sams", false),
            ("loreal", "L’Oréal", true),
            ("l'or", "L’Oréal", true),
            ("oreal", "L'Oréal", false),
            ("tn21", "Cartridge TN-2110", true),
            ("tn 2110", "TN2110", true),
            ("2110", "TN-2110", true),
            ("hewlett packard", "Hewlett-Packard Enterprise", true),
            ("packard h", "Hewlett-Packard", false),
            ("ｓａｍｓ", "Samsung", true),
            ("電", "家電", true),
            ("電視", "家電", false),
            ("", "anything", true),
            (" -", "anything", true),
            ("a", "-", false),
        ] {
            let query = FacetQuery::new(typed).expect("short");
            assert_eq!(query.wants(&FacetKey::Text(value.into())), wanted, "{typed:?} in {value:?}");
        }
        let wants = |typed: &str, value| FacetQuery::new(typed).expect("short").wants(&value);
        assert!(wants("1.", FacetKey::Number(1.5)) && wants(" 15", FacetKey::Number(15.0)) && !wants("15", FacetKey::Number(1.5)));
        assert!(wants("TR", FacetKey::Bool(true)) && !wants("f", FacetKey::Bool(true)));
        let also = FacetQuery::new("tele").and_then(|query| query.or_keys(["tv".to_owned()])).expect("short");
        assert!(also.wants(&FacetKey::Text("tv".into())) && !also.wants(&FacetKey::Text("tv-stands".into())));
        assert!(FacetQuery::new(&"a".repeat(257)).is_err());
    }
}

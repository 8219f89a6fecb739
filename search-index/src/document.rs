//! What the index is told about one product.
//!
//! Path: caller's product → `Document` → `Document::check` (bounds) → analysis (text) and columns (everything else).
//! The index keeps no document: it answers keys, and the caller holds what they stand for.

use std::fmt;

use crate::index::Columns;
#[cfg(doc)]
use crate::signals::Signals;

/// Attributes a document may carry, repeated names counted each time. More is refused.
pub const ATTRIBUTES_MAX: usize = 1_024;
/// Bytes in an attribute's name. Longer, or empty, is refused.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
/// Bytes in an attribute's value. Longer is refused.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a value up to which it can be filtered and counted in facets. A longer text value is searched only.
pub const FACETABLE_BYTES_MAX: usize = 256;
/// Bytes in each of title, description, model and keywords. Longer is refused.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Bytes in a brand or in one category key. Longer is refused.
pub const NAME_BYTES_MAX: usize = 1024;
/// Levels of a category path. Deeper is refused.
pub const CATEGORY_DEPTH_MAX: usize = 16;

/// The caller's name for a document: the only thing a hit carries back. Order breaks ties between equal sort values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocKey(pub u64);

impl fmt::Display for DocKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The value of an attribute; all kinds can be filtered and counted, `Text` is searched as well.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Prose or a name: words are searched at low weight; the exact value can be filtered up to [`FACETABLE_BYTES_MAX`].
    Text(String),
    /// A code: filtered and counted by exact value, never searched.
    Keyword(String),
    /// A finite number, filtered by value or range.
    Number(f64),
    /// A flag.
    Bool(bool),
}

/// One product as the index sees it. Empty strings and vectors mean absent.
///
/// ```
/// use search_index::{AttributeValue, DocKey, Document};
/// let ink = Document {
///     title: "HP 80 Original Cyan".into(),
///     brand: Some("HP".into()),
///     category: vec!["printers".into(), "printers/ink".into()],
///     price: Some(12_595),
///     attributes: vec![("t_type".into(), AttributeValue::Text("Original".into()))],
///     ..Document::new(DocKey(1399))
/// };
/// assert!(ink.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Identity: an upsert replaces the document of the same key.
    pub key: DocKey,
    /// The caller's mark of everything below but [`Columns`]: another one whenever any of it differs, such as a hash of it. By this a
    /// saved index tells what is still true. 0 is no mark: such a document is not saved.
    pub stamp: u64,
    /// The caller's partition; hits carry it back and [`Index::remove_partition`](crate::Index::remove_partition) goes by it.
    pub partition: u16,
    /// Searched with the highest weight; its words are what suggestions complete.
    pub title: String,
    /// Searched.
    pub description: String,
    /// Model name or number; searched.
    pub model: String,
    /// Words that should find the document though no field shows them; searched.
    pub keywords: String,
    /// Searched, filtered and counted by exact value.
    pub brand: Option<String>,
    /// Category keys from root to leaf; a filter on any of them matches. A key repeated in one path counts once.
    pub category: Vec<String>,
    /// Minor units of the one currency the index sorts by; any value but `i64::MIN`.
    pub price: Option<i64>,
    /// Average rating in hundredths (450 is 4.5); any value but `u16::MAX`.
    pub rating: Option<u16>,
    /// Higher is more popular; the unit is the caller's.
    pub popularity: i64,
    /// Hundredths of the price that the shop earns by it; 0 if nobody knows. Nothing is found or ordered by it but as [`Signals::margin`] says.
    pub margin: i8,
    /// Higher is newer; the unit is the caller's (days, milliseconds).
    pub released: i64,
    /// Name and value; a repeated name makes a multi-valued attribute.
    pub attributes: Vec<(String, AttributeValue)>,
}

impl Document {
    /// A document with nothing but a key, to be filled in with struct update syntax.
    #[must_use]
    pub fn new(key: DocKey) -> Self {
        Self {
            key,
            stamp: 0,
            partition: 0,
            title: String::new(),
            description: String::new(),
            model: String::new(),
            keywords: String::new(),
            brand: None,
            category: Vec::new(),
            price: None,
            rating: None,
            popularity: 0,
            margin: 0,
            released: 0,
            attributes: Vec::new(),
        }
    }

    /// Whether the document is within every bound of this module. O(attributes).
    ///
    /// # Errors
    /// The first bound that is passed, with the field, what was found and the limit.
    pub fn check(&self) -> Result<(), DocumentError> {
        let too_long = |field: &'static str, len: usize, max: usize| {
            if len > max { Err(DocumentError::TooLong { field, len, max }) } else { Ok(()) }
        };
        too_long("title", self.title.len(), TEXT_BYTES_MAX)?;
        too_long("description", self.description.len(), TEXT_BYTES_MAX)?;
        too_long("model", self.model.len(), TEXT_BYTES_MAX)?;
        too_long("keywords", self.keywords.len(), TEXT_BYTES_MAX)?;
        too_long("brand", self.brand.as_ref().map_or(0, String::len), NAME_BYTES_MAX)?;
        if self.category.len() > CATEGORY_DEPTH_MAX {
            return Err(DocumentError::TooMany { field: "category", len: self.category.len(), max: CATEGORY_DEPTH_MAX });
        }
        for key in &self.category {
            too_long("category", key.len(), NAME_BYTES_MAX)?;
        }
        Columns { price: self.price, rating: self.rating, popularity: self.popularity, margin: self.margin }.check()?;
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err(DocumentError::TooMany { field: "attributes", len: self.attributes.len(), max: ATTRIBUTES_MAX });
        }
        for (name, value) in &self.attributes {
            if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX {
                return Err(DocumentError::AttributeName { len: name.len() });
            }
            match value {
                AttributeValue::Text(text) | AttributeValue::Keyword(text) => {
                    too_long("attribute value", text.len(), ATTRIBUTE_VALUE_BYTES_MAX)?;
                }
                AttributeValue::Number(number) if !number.is_finite() => {
                    return Err(DocumentError::NotFinite { name: name.clone() });
                }
                AttributeValue::Number(_) | AttributeValue::Bool(_) => {}
            }
        }
        Ok(())
    }
}

/// Why a document was refused; the index is unchanged. Whoever made the document can act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A text is over its bound.
    #[error("{field} has {len} bytes, at most {max} are indexed")]
    TooLong {
        /// The field concerned.
        field: &'static str,
        /// Bytes found.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A list is over its bound.
    #[error("{field} has {len} entries, at most {max} are indexed")]
    TooMany {
        /// The field concerned.
        field: &'static str,
        /// Entries found.
        len: usize,
        /// Entries allowed.
        max: usize,
    },
    /// An attribute's name is empty or too long.
    #[error("attribute name of {len} bytes, wanted 1 to {ATTRIBUTE_NAME_BYTES_MAX}")]
    AttributeName {
        /// Bytes found.
        len: usize,
    },
    /// Not a number, or infinite.
    #[error("attribute {name} is not a finite number")]
    NotFinite {
        /// The attribute concerned.
        name: String,
    },
    /// `i64::MIN` as a price or `u16::MAX` as a rating: the columns use them for absence.
    #[error("price {} and rating {} are reserved", i64::MIN, u16::MAX)]
    Reserved,
}

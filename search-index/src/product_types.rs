//! What documents say they are: the values of their attribute `product_type`.
//!
//! Path: a document's attributes → [`is_product_type`] → `ProductTypes::insert` (the row, by the stems of the value) → words of a query that are the name of a type, see
//! `rank::called`. A catalog with categories says in them what a thing is; one without says it here, as feeds for price comparison do (Google's `product_type`).
//! Types that no row has are forgotten, so the table is bounded by the live documents.

use roaring::RoaringBitmap;

use crate::analysis::Language;
use crate::names::{ByStems, Names};

/// Types with the rows that are of them.
#[derive(Default)]
pub(crate) struct ProductTypes {
    types: Names,
    by_name: ByStems,
}

/// Whether an attribute of this name says what the product is: `product_type`, `Product Type`, `productType`, and with `t_` for text before it.
pub(crate) fn is_product_type(attribute: &str) -> bool {
    let name = attribute.strip_prefix("t_").unwrap_or(attribute).bytes().filter(u8::is_ascii_alphanumeric);
    name.map(|letter| letter.to_ascii_lowercase()).eq(*b"producttype")
}

impl ProductTypes {
    /// None, of catalogs in a language.
    pub(crate) fn new(language: Language) -> Self {
        Self { by_name: ByStems::new(language), ..Self::default() }
    }

    /// The name and the rows of each type that is called so, by the stems of its name.
    pub(crate) fn called(&self, name: &str) -> impl Iterator<Item = (&str, &RoaringBitmap)> {
        self.by_name.called(name).map(|id| (&**self.types.text(id), self.types.rows(id)))
    }

    pub(crate) fn insert(&mut self, name: &str, row: u32) {
        let is_new = self.types.find(name).is_none();
        let id = self.types.insert(name, row);
        if is_new {
            self.by_name.insert(name, id);
        }
    }

    /// Takes out a row that was put in with this name.
    pub(crate) fn remove(&mut self, name: &str, row: u32) {
        let Some(id) = self.types.find(name) else { return };
        self.types.remove(id, row);
        if self.types.find(name).is_none() {
            self.by_name.remove(name, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_name_of_the_attribute() {
        for name in ["product_type", "Product type", "productType", "PRODUCT-TYPE", "t_product_type"] {
            assert!(is_product_type(name), "{name}");
        }
        for name in ["", "t_", "type", "product", "product_types", "t_t_product_type", "article_type", "prodüct_type"] {
            assert!(!is_product_type(name), "{name}");
        }
    }

    #[test]
    fn types_come_and_go_with_their_rows() {
        let mut types = ProductTypes::default();
        let called = |types: &ProductTypes, name: &str| -> Vec<(String, Vec<u32>)> {
            let mut found: Vec<_> = types.called(name).map(|(name, rows)| (name.to_owned(), rows.iter().collect())).collect();
            found.sort();
            found
        };
        types.insert("Desk lamp", 3);
        types.insert("Desk lamp", 5);
        types.insert("desk lamps", 7);
        types.insert("Lamp", 5);
        assert_eq!(called(&types, "desk lamp"), [("Desk lamp".into(), vec![3, 5]), ("desk lamps".into(), vec![7])]);
        assert_eq!(called(&types, "lamp"), [("Lamp".into(), vec![5])]);
        types.remove("Desk lamp", 3);
        types.remove("desk lamps", 7);
        types.remove("never there", 7);
        assert_eq!(called(&types, "desk lamp"), [("Desk lamp".into(), vec![5])]);
        types.remove("Desk lamp", 5);
        assert_eq!(called(&types, "desk lamp"), []);
        assert_eq!((types.by_name.called("lamp").count(), types.by_name.len()), (1, 1), "nothing is kept of what is gone");
    }
}

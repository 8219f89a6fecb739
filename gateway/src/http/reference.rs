//! `{id}` in paths and `sku` in bodies: an id of ours, or `key=MERCHANT-KEY`.

use super::problem::Problem;
use wire::{CategoryRef, ProductRef, SkuRef, limits};

/// A merchant's key after `key=`; `None` if it is not of that form or no key can be so.
fn key(text: &str) -> Option<String> {
    text.strip_prefix("key=").filter(|key| (1..=limits::KEY_BYTES_MAX).contains(&key.len())).map(str::to_owned)
}

/// A product in a path. What cannot name one is not found.
pub(crate) fn product(text: &str) -> Result<ProductRef, Problem> {
    key(text).map(ProductRef::Key).or_else(|| text.parse().ok().map(ProductRef::Id)).ok_or_else(Problem::not_found)
}

/// A category in a path.
pub(crate) fn category(text: &str) -> Result<CategoryRef, Problem> {
    key(text).map(CategoryRef::Key).or_else(|| text.parse().ok().map(CategoryRef::Id)).ok_or_else(Problem::not_found)
}

/// A SKU in a body, a query or a path.
pub(crate) fn sku(text: &str) -> Option<SkuRef> {
    key(text).map(SkuRef::Key).or_else(|| text.parse().ok().map(SkuRef::Id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{ProductId, RawId};

    #[test]
    fn ids_and_keys() {
        let id = ProductId(RawId(5 << 70));
        assert_eq!(product(&id.to_string()).ok(), Some(ProductRef::Id(id)));
        assert_eq!(product("key=printers/ink 80").ok(), Some(ProductRef::Key("printers/ink 80".to_owned())));
        for text in ["", "key=", "1399", "sku_01kav9ft3v00zg00000000e002", &format!("key={}", "x".repeat(201))] {
            assert!(product(text).is_err(), "{text}");
        }
    }
}

//! What a product says, kept as its archive: one block of bytes, read in place.
//!
//! Path: a record's [`v1::Product`] → [`Content::new`], or the bytes of a snapshot → [`Content::checked`] → read through [`ArchivedProduct`], written again as
//! the bytes there are. A million products of 45 strings each would else be 45 million allocations, most of the memory, and most of the time a start takes.

#![allow(unsafe_code, reason = "see the safety argument at `Content`")]

use crate::record::v1::{self, ArchivedProduct};
use rkyv::rancor;
use std::{fmt, ops::Deref};

/// A product's content. Reading a field costs no more than in a struct; all of it at once is [`Content::unpacked`].
///
/// # Safety
/// `bytes` hold an archive of a [`v1::Product`]: both ways to make one end with bytes that rkyv wrote from one, or that its validation accepted; and nothing
/// changes them afterwards, as there is no way to. The format is rkyv's unaligned one, so bytes may lie anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Box<[u8]>,
}

impl Content {
    /// Packs it. O(content).
    ///
    /// # Panics
    /// When it would pass 2 GiB: the bounds of a product are far below.
    #[must_use]
    pub fn new(content: &v1::Product) -> Self {
        let bytes = rkyv::to_bytes::<rancor::Error>(content).expect("a product is far below 2 GiB");
        Self { bytes: Box::from(&*bytes) }
    }

    /// Takes bytes that [`Content::bytes`] gave; `None` if they are no such. Checks every length and tag.
    #[must_use]
    pub fn checked(bytes: &[u8]) -> Option<Self> {
        rkyv::access::<ArchivedProduct, rancor::Error>(bytes).ok()?;
        Some(Self { bytes: Box::from(bytes) })
    }

    /// The archive: equal contents, equal bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy as ordinary fields. Some 45 allocations for a usual product.
    ///
    /// # Panics
    /// Never: reading back what was written fails only where shared pointers are, and a product has none.
    #[must_use]
    pub fn unpacked(&self) -> v1::Product {
        rkyv::deserialize::<v1::Product, rancor::Error>(&**self).expect("a product has no shared pointers")
    }
}

impl Deref for Content {
    type Target = ArchivedProduct;

    fn deref(&self) -> &ArchivedProduct {
        // SAFETY: the bytes are an archive of a product; see the type.
        unsafe { rkyv::access_unchecked::<ArchivedProduct>(&self.bytes) }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpacked().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Content;
    use crate::flow::views::test_product;

    #[test]
    fn what_is_packed_reads_back() {
        let product = test_product().content.unpacked();
        let content = Content::new(&product);
        assert_eq!(content.unpacked(), product);
        assert_eq!(content.title.as_str(), product.title);
        assert_eq!(Content::checked(content.bytes()), Some(content));
    }

    #[test] // Wherever they lie in memory.
    fn bytes_cut_short_or_changed_are_refused_or_read_as_something() {
        let content = test_product().content;
        let mut room = vec![0];
        for end in 0..content.bytes().len() {
            room.truncate(1);
            room.extend_from_slice(&content.bytes()[..end]);
            if let Some(read) = Content::checked(&room[1..]) {
                let _any = read.unpacked();
            }
        }
        for at in 0..content.bytes().len() {
            for bit in [1, 128] {
                let mut changed = content.bytes().to_vec();
                changed[at] ^= bit;
                if let Some(read) = Content::checked(&changed) {
                    let _any = format!("{read:?}");
                }
            }
        }
    }
}

//! Where an answer ended, so that the next one begins right after.
//!
//! Path: last hit's `SortKey` + the query's `Fingerprint` → `Cursor` → 26 opaque bytes → outside → `Cursor::decode`.
//! A cursor names a place in the order, not a snapshot: documents that change or go in between neither shift nor repeat the others.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | tier: 0 all terms, 1 some of them; 2 more where words are doubted |
//! | 2..10 | sort value, `i64` big-endian, smaller first |
//! | 10..18 | document key, `u64` big-endian |
//! | 18..26 | query fingerprint, `u64` big-endian |
//!
//! Behind a page of nothing but pinned documents a cursor names [`BEFORE_ALL`].

use crate::document::DocKey;

/// Bytes of an encoded cursor.
pub const CURSOR_BYTES: usize = 26;
const VERSION: u8 = 1;
/// Bits of the byte of tiers.
const SOME_TERMS: u8 = 1;
const DOUBTS: u8 = 2;

/// Which terms a hit has. The order of the variants is the order of hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Every term that the query asks for: all of its text's, any with [`Matching::Any`](crate::Matching::Any), none without text.
    AllTerms,
    /// Some of the terms.
    SomeTerms,
}

/// A hit's place in the order, comparable over shards: smaller comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey {
    /// First criterion.
    pub tier: Tier,
    /// Second: the sort value turned so that smaller is first (a score becomes the negated bits of the float).
    pub value: i64,
    /// Last, so that no two documents are equal.
    pub key: DocKey,
}

/// In order of relevance a place that no hit has, from which all are still to come: a score's value is not positive, and without text there is one tier.
pub(crate) const BEFORE_ALL: SortKey = SortKey { tier: Tier::SomeTerms, value: i64::MAX, key: DocKey(u64::MAX) };

/// Hash of what a cursor is bound to, the same on every machine: 64-bit FNV-1a.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn start() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    pub(crate) fn number(&mut self, number: u64) {
        number.to_be_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    pub(crate) fn optional(&mut self, number: Option<u64>) {
        self.byte(u8::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    /// Kind, length, bytes: no two lists of texts read alike.
    pub(crate) fn text(&mut self, kind: u8, text: &str) {
        self.byte(kind);
        self.number(text.len() as u64);
        text.bytes().for_each(|byte| self.byte(byte));
    }
}

/// Opaque place in the answer of one query. Outside input once it has been sent: [`Cursor::decode`] checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    place: SortKey,
    fingerprint: Fingerprint,
    doubts: bool,
}

/// Bytes that are no cursor. Whoever sent them can act: start from the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// Not [`CURSOR_BYTES`] long.
    #[error("cursor of {len} bytes, wanted {CURSOR_BYTES}")]
    Length {
        /// Bytes found.
        len: usize,
    },
    /// Made by a version of this crate that wrote cursors differently.
    #[error("cursor version {version}, wanted {VERSION}")]
    Version {
        /// Version found.
        version: u8,
    },
    /// The tier byte is over 3.
    #[error("cursor tier {tier}, wanted 0 to 3")]
    Tier {
        /// Byte found.
        tier: u8,
    },
}

impl Cursor {
    /// `doubts` says whether it is of an answer that doubted words, see `rank::doubt`.
    pub(crate) fn new(place: SortKey, fingerprint: Fingerprint, doubts: bool) -> Self {
        Self { place, fingerprint, doubts }
    }

    /// The last hit that has been answered, in order of relevance the last one that is not pinned; a place that no hit has where none was answered.
    #[must_use]
    pub fn place(&self) -> SortKey {
        self.place
    }

    pub(crate) fn doubts(&self) -> bool {
        self.doubts
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The bytes of the table above; the caller writes them as it likes (base64, hexadecimal).
    #[must_use]
    pub fn encode(&self) -> [u8; CURSOR_BYTES] {
        let mut bytes = [0; CURSOR_BYTES];
        bytes[0] = VERSION;
        bytes[1] = match self.place.tier {
            Tier::AllTerms => 0,
            Tier::SomeTerms => SOME_TERMS,
        } | if self.doubts { DOUBTS } else { 0 };
        bytes[2..10].copy_from_slice(&self.place.value.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.place.key.0.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.fingerprint.0.to_be_bytes());
        bytes
    }

    /// Reads a cursor. Whether it belongs to a query is checked when it is used
    /// ([`QueryError::ForeignCursor`](crate::QueryError::ForeignCursor)).
    ///
    /// # Errors
    /// See [`CursorError`]; every other sequence of bytes is some place in some order, and harmless.
    pub fn decode(bytes: &[u8]) -> Result<Self, CursorError> {
        let bytes: &[u8; CURSOR_BYTES] = bytes.try_into().map_err(|_| CursorError::Length { len: bytes.len() })?;
        if bytes[0] != VERSION {
            return Err(CursorError::Version { version: bytes[0] });
        }
        let tier = match bytes[1] & !DOUBTS {
            0 => Tier::AllTerms,
            SOME_TERMS => Tier::SomeTerms,
            _ => return Err(CursorError::Tier { tier: bytes[1] }),
        };
        let word = |from: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[from..from + 8]);
            u64::from_be_bytes(word)
        };
        let place = SortKey { tier, value: word(2).cast_signed(), key: DocKey(word(10)) };
        Ok(Self { place, fingerprint: Fingerprint(word(18)), doubts: bytes[1] & DOUBTS != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_refuses_what_encode_never_writes() {
        let place = SortKey { tier: Tier::SomeTerms, value: -7, key: DocKey(u64::MAX) };
        for (tier, doubts) in [(Tier::AllTerms, false), (Tier::AllTerms, true), (Tier::SomeTerms, true)] {
            let good = Cursor::new(SortKey { tier, ..place }, Fingerprint::start(), doubts);
            assert_eq!(Cursor::decode(&good.encode()), Ok(good));
        }
        let good = Cursor::new(place, Fingerprint::start(), false);
        let bytes = good.encode();
        assert_eq!(Cursor::decode(&bytes), Ok(good));
        assert_eq!(Cursor::decode(&bytes[1..]), Err(CursorError::Length { len: 25 }));
        assert_eq!(Cursor::decode(&[]), Err(CursorError::Length { len: 0 }));
        for (at, value, error) in [(0, 2, CursorError::Version { version: 2 }), (1, 4, CursorError::Tier { tier: 4 })] {
            let mut bad = bytes;
            bad[at] = value;
            assert_eq!(Cursor::decode(&bad), Err(error));
        }
    }
}

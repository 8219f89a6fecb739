//! Personal fields, sealed before they are proposed.
//!
//! Path: plain value → [`Keyring::seal`] (nonce from the caller) → log, snapshot, feed, outbox hold ciphertext → [`Keyring::open`] when a
//! reply is made. Deleting the key erases the person everywhere. ChaCha20-Poly1305 (RFC 8439); the key's number is authenticated too.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use rkyv::{Archive, Deserialize, Serialize, rancor};
use std::marker::PhantomData;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;

/// A `T` as ciphertext. Compares and prints as ciphertext: nothing personal shows by accident.
#[derive(Archive, Serialize, Deserialize)]
pub struct Sealed<T> {
    key: u64,
    nonce: [u8; NONCE_BYTES],
    bytes: Vec<u8>,
    of: PhantomData<T>,
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self { key: self.key, nonce: self.nonce, bytes: self.bytes.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.nonce, &self.bytes) == (other.key, other.nonce, &other.bytes)
    }
}

impl<T> Eq for Sealed<T> {}

impl<T> std::fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key, self.bytes.len())
    }
}

impl<T> Sealed<T> {
    /// Under the shop's own key, put together again: whether it was ever sealed, [`Keyring::open`] says.
    pub(crate) fn of_shop(nonce: [u8; NONCE_BYTES], bytes: Vec<u8>) -> Self {
        Self { key: SHOP_KEY, nonce, bytes, of: PhantomData }
    }

    /// The ciphertext, for state digests.
    #[must_use]
    pub fn ciphertext(&self) -> (&[u8; NONCE_BYTES], &[u8]) {
        (&self.nonce, &self.bytes)
    }
}

/// What can be sealed: it knows its own plain bytes.
pub trait Plain: Sized {
    /// Plain bytes.
    fn to_plain(&self) -> Vec<u8>;
    /// Back from them.
    fn from_plain(bytes: &[u8]) -> Option<Self>;
}

impl Plain for String {
    fn to_plain(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_plain(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Plain for crate::record::v1::Address {
    fn to_plain(&self) -> Vec<u8> {
        // Archiving a handful of strings into memory fails only on bodies of 2 GiB; the gateway bounds each field.
        rkyv::to_bytes::<rancor::Error>(self).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }
    fn from_plain(bytes: &[u8]) -> Option<Self> {
        rkyv::from_bytes::<Self, rancor::Error>(bytes).ok()
    }
}

/// The key of a sealed field is gone (the person was erased) or the bytes are not what was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed field cannot be opened: its key {key} is erased, or another folder's key file is in use")]
pub struct OpenError {
    /// Number of the key it was sealed under.
    pub key: u64,
}

/// The keys of a shop: one for now; per person with accounts. The type is on every personal field already.
#[derive(Clone)]
pub struct Keyring {
    shop: ChaCha20Poly1305,
}

/// Number of the shop's own key.
const SHOP_KEY: u64 = 1;

impl Keyring {
    /// A ring with the shop's key.
    #[must_use]
    pub fn new(shop: &[u8; KEY_BYTES]) -> Self {
        Self { shop: ChaCha20Poly1305::new(shop.into()) }
    }

    /// Seals `value` under `nonce`, which must never repeat under one key: 96 random bits.
    #[must_use]
    pub fn seal<T: Plain>(&self, value: &T, nonce: [u8; NONCE_BYTES]) -> Sealed<T> {
        let payload = Payload { msg: &value.to_plain(), aad: &SHOP_KEY.to_le_bytes() };
        // The cipher refuses only messages above 256 GiB.
        let bytes = self.shop.encrypt(&nonce.into(), payload).unwrap_or_default();
        Sealed { key: SHOP_KEY, nonce, bytes, of: PhantomData }
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// The key is erased or wrong, or the bytes are damaged.
    pub fn open<T: Plain>(&self, sealed: &Sealed<T>) -> Result<T, OpenError> {
        let error = OpenError { key: sealed.key };
        if sealed.key != SHOP_KEY {
            return Err(error);
        }
        let payload = Payload { msg: &sealed.bytes, aad: &sealed.key.to_le_bytes() };
        let plain = self.shop.decrypt(&sealed.nonce.into(), payload).map_err(|_| error)?;
        T::from_plain(&plain).ok_or(error)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_under_its_own_key() {
        let (ours, other) = (Keyring::new(&[1; 32]), Keyring::new(&[2; 32]));
        let sealed = ours.seal(&"ada@example.org".to_owned(), [7; 12]);
        assert_eq!(ours.open(&sealed).as_deref(), Ok("ada@example.org"));
        assert!(other.open(&sealed).is_err());
        assert!(!format!("{sealed:?}").contains("ada"));
    }
}

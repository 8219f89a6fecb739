//! The secrets that make several processes one shop: who has the same ones honours the same tokens, and is trusted by the same.
//!
//! Path: an engine's start makes those that are missing ([`ShopKeys::prepare`]) → an invitation takes what its bearer needs ([`ShopKeys::read`]) → a node that
//! joins gets all of them ([`ShopKeys::lay_down`]).
//! Deliberately absent: `keys/shop.key`, which seals personal fields. That is the engine's own.

use crate::{certificates, fail::Fail, files, link};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// A key as text: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Key(pub(crate) [u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Key {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("a key is {} hexadecimal digits", 2 * KEY_BYTES);
        if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut key = [0; KEY_BYTES];
        for (place, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(key))
    }
}

/// An authority's certificate and key, both PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authority {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What all engines of a shop have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopKeys {
    /// Signs staff tokens.
    pub(crate) token: Key,
    /// Makes cart tokens.
    pub(crate) cart: Key,
    /// Signs certificates of the web servers.
    pub(crate) edge: Authority,
    /// Signs certificates of the engine link.
    pub(crate) link: Authority,
}

impl ShopKeys {
    /// Makes those that `data` does not have. Only while nobody else can: by who has the folder to itself.
    pub(crate) fn prepare(data: &Path) -> Result<(), Fail> {
        files::secret_or_new(data, files::TOKEN_KEY)?;
        files::secret_or_new(data, files::CART_KEY)?;
        certificates::prepare_authority(data, jiff::Timestamp::now())?;
        link::prepare_authority(data)
    }

    /// Those of `data`; changes nothing there.
    pub(crate) fn read(data: &Path) -> Result<Self, Fail> {
        let missing = |what: &str| {
            Fail::Failed(format!(
                "{} has no {what}: run `emporion engine --data {0}` there once, or name an engine's folder with --data",
                data.display()
            ))
        };
        let secret = |name: &str| files::secret(data, name)?.map(Key).ok_or_else(|| missing(&format!("{}/{name}", files::KEYS)));
        Ok(Self {
            token: secret(files::TOKEN_KEY)?,
            cart: secret(files::CART_KEY)?,
            edge: certificates::read_authority(data)?.ok_or_else(|| missing(certificates::CA))?,
            link: link::read_authority(data)?.ok_or_else(|| missing("authority of the engine link"))?,
        })
    }

    /// Puts them into `data`, which is not an engine's folder yet. All lie among the keys, where an engine does not mind them; [`Self::prepare`] puts what others look for
    /// elsewhere into its place.
    pub(crate) fn lay_down(&self, data: &Path) -> Result<(), Fail> {
        let keys = files::keys(data)?;
        files::write(&keys.join(files::TOKEN_KEY), &self.token.0, 0o600)?;
        files::write(&keys.join(files::CART_KEY), &self.cart.0, 0o600)?;
        certificates::lay_down_authority(data, &self.edge)?;
        link::write_authority(data, &self.link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_from_one_folder_to_another() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let Err(Fail::Failed(why)) = ShopKeys::read(one.path()) else { panic!("keys of an empty folder") };
        assert!(why.contains("has no keys/token.key: run `emporion engine --data"), "{why}");
        ShopKeys::prepare(one.path()).expect("made");
        let keys = ShopKeys::read(one.path()).expect("there");
        ShopKeys::prepare(one.path()).expect("made already");
        assert_eq!(ShopKeys::read(one.path()), Ok(keys.clone()));
        keys.lay_down(other.path()).expect("written");
        assert!(std::fs::read_dir(other.path()).expect("a folder").count() == 1, "an engine takes it for a new one");
        assert_eq!(ShopKeys::read(other.path()), Ok(keys.clone()));
        ShopKeys::prepare(other.path()).expect("there already");
        assert_eq!(ShopKeys::read(other.path()), Ok(keys.clone()));
        assert!(!format!("{keys:?}").contains("PRIVATE") && !format!("{keys:?}").contains(&String::from(keys.token)));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = Key(std::array::from_fn(|place| place as u8 * 8));
        assert_eq!(Key::try_from(String::from(key)), Ok(key));
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(Key::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}

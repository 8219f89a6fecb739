//! Strong entity tags: `"VERSION"`, or `"VERSION-HASH"` where the answer shows something live that the version does not count, such as
//! a product's availability. A condition compares the whole tag for reading (304) and the version alone for writing (412).

use super::problem::Problem;
use std::fmt;

/// A tag of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    version: u64,
    live: Option<u32>,
}

impl ETag {
    /// Of something whose answer the version tells wholly.
    pub(crate) const fn version(version: u64) -> Self {
        Self { version, live: None }
    }

    /// Of something whose answer also shows `live` bytes.
    pub(crate) fn live(version: u64, live: &[u8]) -> Self {
        let hash = blake3::hash(live);
        let [a, b, c, d, ..] = *hash.as_bytes();
        Self { version, live: Some(u32::from_le_bytes([a, b, c, d])) }
    }

    /// Is it in the list of an `If-None-Match`? Weak comparison, as RFC 9110 section 13.1.2 asks.
    pub(crate) fn is_in(&self, list: &str) -> bool {
        let own = self.to_string();
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.live {
            Some(live) => write!(f, "\"{}-{live:08x}\"", self.version),
            None => write!(f, "\"{}\"", self.version),
        }
    }
}

/// The version that an `If-Match` asks for; `*` asks for none in particular.
pub(crate) fn if_match(text: &str) -> Result<Option<u64>, Problem> {
    if text.trim() == "*" {
        return Ok(None);
    }
    let parse = || {
        let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
        let (version, live) = inner.split_once('-').map_or((inner, None), |(version, live)| (version, Some(live)));
        if live.is_some_and(|live| live.len() != 8 || !live.bytes().all(|b| b.is_ascii_hexdigit())) {
            return None;
        }
        // `u64::from_str` takes a plus sign; a tag of ours never has one.
        version.bytes().all(|b| b.is_ascii_digit()).then(|| version.parse().ok()).flatten()
    };
    parse().map(Some).ok_or_else(|| Problem::header("If-Match", "one strong ETag as this shop sent it, such as \"3\", or *"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_back() {
        for tag in [ETag::version(7), ETag::live(7, b"10,0")] {
            assert_eq!(if_match(&tag.to_string()).ok(), Some(Some(7)));
            assert!(tag.is_in(&tag.to_string()));
            assert!(tag.is_in(&format!("\"1\", W/{tag}")));
            assert!(tag.is_in("*"));
            assert!(!tag.is_in("\"8\""));
        }
        assert_ne!(ETag::live(7, b"1"), ETag::live(7, b"2"));
        assert!(!ETag::live(7, b"1").is_in("\"7\""), "a version alone does not tell the availability");
        assert_eq!(if_match(" * ").ok(), Some(None));
    }

    #[test]
    fn foreign_tags_are_refused() {
        for text in ["", "7", "\"\"", "\"x\"", "W/\"7\"", "\"7\", \"8\"", "\"+7\"", "\"7-\"", "\"7-zzzzzzzz\"", "\"99999999999999999999\""]
        {
            assert!(if_match(text).is_err(), "{text}");
        }
    }
}

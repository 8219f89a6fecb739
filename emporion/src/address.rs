//! Where a part of the shop is reached: `HOST:PORT`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use wire::PLACE_BYTES_MAX;

/// A host (a name, or an IP address; version 6 in brackets) and a port. Not looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Address(String);

impl Address {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether others can reach it: "any address of this machine" is where to listen, not where to go.
    pub(crate) fn can_be_reached(&self) -> bool {
        !self.0.starts_with("0.0.0.0:") && !self.0.starts_with("[::]:")
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no HOST:PORT, such as 10.0.0.7:7443", text.chars().take(PLACE_BYTES_MAX).collect::<String>());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port_is_good = port.parse::<u16>().is_ok_and(|port| port != 0);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host_is_good = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        if text.len() > PLACE_BYTES_MAX || !port_is_good || !host_is_good {
            return Err(wrong());
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses in a line that people read.
pub(crate) fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: a text, and whether it is an address.
    fn a_host_and_a_port() {
        for (text, good) in [
            ("10.0.0.7:7443", true),
            ("node-1.example:1", true),
            ("[::1]:7443", true),
            ("node_1:65535", true),
            ("node", false),
            ("node:", false),
            (":7443", false),
            ("node:0", false),
            ("node:65536", false),
            ("::1:7443", false),
            ("[::1]", false),
            ("[x]:1", false),
            ("https://node:7443", false),
            ("a b:1", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Address>().is_ok(), good, "{text}");
        }
        assert!(format!("{}:1", "a".repeat(PLACE_BYTES_MAX)).parse::<Address>().is_err());
        let reach = |text: &str| text.parse::<Address>().map(|address| address.can_be_reached());
        assert_eq!((reach("0.0.0.0:1"), reach("[::]:1"), reach("[::1]:1")), (Ok(false), Ok(false), Ok(true)));
    }
}

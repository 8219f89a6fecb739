//! `emporion token`: mints a staff token with the key in the data folder, whether the shop runs or not.

use crate::{cli::TokenArgs, fail::Fail, files};
use gateway::{SigningKey, mint_token};
use std::time::Duration;
use wire::{Millis, Role};

/// Longest life of a token.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

pub(crate) fn run(args: &TokenArgs) -> Result<(), Fail> {
    if !(Duration::from_secs(1)..=TTL_MAX).contains(&args.ttl.0) {
        return Err(Fail::Usage("--ttl is from 1s to 366d, such as 15m, 8h or 30d".into()));
    }
    let secret = files::secret(&args.data, files::TOKEN_KEY)?.ok_or_else(|| {
        Fail::Failed(format!(
            "{} has no {}/{}: start the shop there once with `emporion serve --data {0}`, or name its folder with --data",
            args.data.display(),
            files::KEYS,
            files::TOKEN_KEY
        ))
    })?;
    println!("{}", mint_token(&SigningKey::from_bytes(&secret), args.role.0, args.ttl.0, now()));
    Ok(())
}

/// A role of staff by its name in the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleName(pub(crate) Role);

impl std::str::FromStr for RoleName {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "support" => Ok(Self(Role::Support)),
            "merchandiser" => Ok(Self(Role::Merchandiser)),
            "warehouse" => Ok(Self(Role::Warehouse)),
            "admin" => Ok(Self(Role::Admin)),
            _ => Err("a role is support, merchandiser, warehouse or admin".into()),
        }
    }
}

/// A duration such as `90s`, `15m`, `8h` or `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ttl(pub(crate) Duration);

impl std::str::FromStr for Ttl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let unit = |seconds: u64, digits: &str| digits.parse::<u64>().ok()?.checked_mul(seconds);
        let seconds = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((digits, "s")) => unit(1, digits),
            Some((digits, "m")) => unit(60, digits),
            Some((digits, "h")) => unit(3_600, digits),
            Some((digits, "d")) => unit(86_400, digits),
            Some(_) | None => None,
        };
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(|| "a time is a number and s, m, h or d, such as 15m".into())
    }
}

/// The wall clock.
pub(crate) fn now() -> Millis {
    Millis(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("8h", Some(28_800)),
            ("30d", Some(2_592_000)),
            ("", None),
            ("5", None),
            ("m", None),
            ("-1s", None),
            ("5µ", None),
        ] {
            assert_eq!(text.parse::<Ttl>().ok().map(|ttl| ttl.0.as_secs()), seconds, "{text}");
        }
    }
}

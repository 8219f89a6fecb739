//! Money in integer minor units. No floats, no rounding here.

use rkyv::{Archive, Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// ISO 4217 code, three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// US dollar, the currency of a shop that does not say otherwise.
    pub const USD: Self = Self(*b"USD");

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only `FromStr` and `USD` make one, both of ASCII letters; a damaged archive shows as XXX, ISO's "no currency".
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as USD")]
pub struct CurrencyError;

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|l| l.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(CurrencyError),
        }
    }
}

/// An amount in minor units (cents) of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct Money {
    /// Minor units; never negative in prices, totals and payments.
    pub amount: i64,
    /// What they are units of.
    pub currency: Currency,
}

impl ArchivedMoney {
    /// As an ordinary value.
    #[must_use]
    pub const fn native(&self) -> Money {
        Money { amount: self.amount.to_native(), currency: Currency(self.currency.0) }
    }
}

impl Money {
    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// The sum, or `None` on overflow or two currencies.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self { amount: self.amount.checked_add(other.amount)?, currency: self.currency })
    }

    /// `quantity` times this, or `None` on overflow.
    #[must_use]
    pub fn checked_mul(self, quantity: u32) -> Option<Self> {
        Some(Self { amount: self.amount.checked_mul(i64::from(quantity))?, currency: self.currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_refuse_overflow_and_mixed_currencies() {
        let usd = |amount| Money { amount, currency: Currency::USD };
        assert_eq!(usd(1).checked_add(usd(2)), Some(usd(3)));
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), None);
        assert_eq!(usd(i64::MAX / 2).checked_mul(3), None);
        let eur = Money { amount: 1, currency: "EUR".parse().expect("three capitals") };
        assert_eq!(usd(1).checked_add(eur), None);
    }

    #[test]
    fn currencies_are_three_capitals() {
        for text in ["", "usd", "US", "USDX", "U$D", "ÜS"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
    }
}

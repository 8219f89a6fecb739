//! Identifiers: 128 bits, sortable by time, naming the partition that owns the entity.
//!
//! Layout, most significant first: 48 bits milliseconds since 1970, 16 bits partition, 48 bits seq of the command that made the
//! entity, 16 bits ordinal among the entities of that command. So routing needs no look-up and minting needs no randomness.
//! Text form: a prefix and 26 digits of Crockford's base 32 (no i, l, o, u), as ULID writes its 128 bits.

use rkyv::{Archive, Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A slice of the key space: one log order, one state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct PartitionId(pub u16);

/// Number of a shard (an executor pinned to a core) within one node: `0..shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct ShardId(pub u16);

/// A node of a cluster: 1 for the first, never 0, and never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// A partition's own counter of applied commands; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// Milliseconds since 1970-01-01 UTC, as stamped by the leader into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// This time and `ms` more, saturating.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Where a command stands in the history of its partition. Text form `epoch.partition:seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct Position {
    /// Rises with each restore to an earlier time; positions of different epochs do not compare.
    pub epoch: u32,
    /// The partition written.
    pub partition: PartitionId,
    /// The command's number there.
    pub seq: Seq,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}:{}", self.epoch, self.partition.0, self.seq.0)
    }
}

impl FromStr for Position {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let (epoch, rest) = text.split_once('.')?;
            let (partition, seq) = rest.split_once(':')?;
            Some(Self { epoch: epoch.parse().ok()?, partition: PartitionId(partition.parse().ok()?), seq: Seq(seq.parse().ok()?) })
        };
        parse().ok_or(IdError::Position)
    }
}

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix says it names something else.
    #[error("expected an id that begins with {wanted}_")]
    Prefix {
        /// The prefix of the wanted kind.
        wanted: &'static str,
    },
    /// Not 26 digits of Crockford's base 32.
    #[error("an id ends with 26 digits of Crockford's base 32")]
    Digits,
    /// Not `epoch.partition:seq`.
    #[error("a position is epoch.partition:seq")]
    Position,
}

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

/// The 128 bits shared by every typed identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct RawId(pub u128);

impl RawId {
    /// Puts an id together; `seq` and `ordinal` are cut to 48 and 16 bits.
    #[must_use]
    pub const fn new(time: Millis, partition: PartitionId, seq: Seq, ordinal: u16) -> Self {
        let time = (time.0 & 0xffff_ffff_ffff) as u128;
        let seq = (seq.0 & 0xffff_ffff_ffff) as u128;
        Self((time << 80) | ((partition.0 as u128) << 64) | (seq << 16) | ordinal as u128)
    }

    /// The partition that owns the entity.
    #[must_use]
    pub const fn partition(self) -> PartitionId {
        PartitionId((self.0 >> 64) as u16)
    }

    /// When the entity was made.
    #[must_use]
    pub const fn time(self) -> Millis {
        Millis((self.0 >> 80) as u64)
    }

    fn parse(text: &str) -> Result<Self, IdError> {
        if text.len() != TEXT_LEN {
            return Err(IdError::Digits);
        }
        let mut value: u128 = 0;
        for (i, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|d| *d == byte.to_ascii_lowercase()).ok_or(IdError::Digits)?;
            // 26 digits hold 130 bits: the first may use only three of its five.
            if i == 0 && digit > 7 {
                return Err(IdError::Digits);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value))
    }
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; TEXT_LEN];
        for (i, byte) in text.iter_mut().enumerate() {
            *byte = DIGITS[(self.0 >> (5 * (TEXT_LEN - 1 - i)) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
        pub struct $name(pub RawId);

        impl $name {
            /// Begins the text form, before an underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Mints the id of an entity made by the command `seq` of `partition`.
            #[must_use]
            pub const fn new(time: Millis, partition: PartitionId, seq: Seq, ordinal: u16) -> Self {
                Self(RawId::new(time, partition, seq, ordinal))
            }

            /// The partition that owns the entity.
            #[must_use]
            pub const fn partition(self) -> PartitionId {
                self.0.partition()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(IdError::Prefix { wanted: $prefix })?;
                RawId::parse(digits).map(Self)
            }
        }
    )*};
}

ids! {
    /// A product.
    ProductId "prod";
    /// A variant of a product, the thing that is stocked and sold.
    SkuId "sku";
    /// A category of the tree.
    CategoryId "cat";
    /// A cart.
    CartId "cart";
    /// A line of a cart; the order's line keeps it.
    LineId "line";
    /// An order.
    OrderId "ord";
    /// A payment of an order.
    PaymentId "pay";
    /// Stock set aside for one order attempt at one location.
    HoldId "hold";
    /// A customer.
    CustomerId "cus";
    /// An entry of a history.
    EventId "evt";
    /// A delivery that a supplier has announced.
    AnnouncementId "ann";
    /// Goods sent from one location to another.
    TransferId "trf";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_come_back() {
        let id = CartId::new(Millis(1_764_000_000_123), PartitionId(63), Seq(7), 2);
        assert_eq!(id.partition(), PartitionId(63));
        assert_eq!(id.0.time(), Millis(1_764_000_000_123));
        assert_eq!(id.to_string(), "cart_01kav9ft3v00zg00000000e002");
    }

    #[test]
    fn later_ids_sort_later() {
        let at = |ms| SkuId::new(Millis(ms), PartitionId(9), Seq(1), 0).to_string();
        assert!(at(1_000) < at(1_001));
    }

    #[test] // Each row is a text that names no cart.
    fn wrong_texts_are_refused() {
        for text in [
            "",
            "cart_",
            "ord_01kav9ft3v00zg00000000e002",
            "cart_81kav9ft3v00zg00000000e002",
            "cart_01kav9ft3v00zg00000000eu02",
            "cart_01kav9ft3v00zg00000000e00",
        ] {
            assert!(text.parse::<CartId>().is_err(), "{text}");
        }
        for text in ["", "1.2", "1:2", "1.2:x", "-1.2:3", "1.70000:3"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_forms_round_trip(raw: u128, epoch: u32, partition: u16, seq: u64) {
            let id = OrderId(RawId(raw));
            prop_assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
            prop_assert_eq!(id.to_string().to_uppercase().replacen("ORD", "ord", 1).parse::<OrderId>(), Ok(id));
            let position = Position { epoch, partition: PartitionId(partition), seq: Seq(seq) };
            prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }
    }
}

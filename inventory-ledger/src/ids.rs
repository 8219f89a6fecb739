//! The names of things: stock units, places, holds, causes, instants.
//!
//! Every id is the caller's own number and opaque here: the ledger compares and hashes it. The one exception is the hold id of a
//! request that says it is [`IdKind::Timed`](crate::IdKind::Timed): its top 48 bits are an instant.

/// A thing that is sold and counted. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(pub u128);

/// A place that keeps stock (a warehouse, a shop). Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(pub u64);

/// One attempt to set stock aside. Chosen by the caller, who sends it again when an answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u128);

impl HoldId {
    /// An id with a time part: `at` in the top 48 bits (milliseconds, of the same epoch as the ledger's `now`) and the low 80
    /// bits of `rest` below. Instants after [`TIME_MAX`](crate::TIME_MAX) are taken as that.
    #[must_use]
    pub fn timed(at: Millis, rest: u128) -> Self {
        let at = u128::from(at.0.min(crate::TIME_MAX.0));
        Self(at << TIMED_REST_BITS | rest & ((1 << TIMED_REST_BITS) - 1))
    }

    /// The time part of such an id; of any other, whatever its top bits say.
    #[must_use]
    pub fn time_part(self) -> Millis {
        Millis((self.0 >> TIMED_REST_BITS) as u64)
    }
}

/// Bits of a timed id below its time part.
const TIMED_REST_BITS: u32 = 80;

/// One change of what is on hand or on its way. Chosen by the caller; the same id never moves units twice. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovementId(pub u128);

/// For whom a hold is kept: an order, a cart. Opaque, and only ever shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u128);

/// Who buys. Opaque; counts for purchase limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customer(pub u128);

/// Why stock was changed, as a code of the caller's own list. Part of a movement's body; it changes no arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub u32);

/// Why units that are here are not for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unavailable {
    /// Broken, spoilt or incomplete.
    Damaged,
    /// Waiting for quality control.
    Quarantine,
    /// Kept back so that the last units are not promised.
    Safety,
    /// Anything else.
    Other,
}

impl Unavailable {
    /// In the order in which answers list them.
    pub const ALL: [Self; 4] = [Self::Damaged, Self::Quarantine, Self::Safety, Self::Other];

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A supplier's or carrier's own number for what it brings. Opaque, and only ever shown again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(pub u128);

/// A count of whole units. A column of a row never exceeds [`UNITS_MAX`](crate::UNITS_MAX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub u32);

/// An instant, in milliseconds from an epoch that the caller chose. The ledger reads no clock.
///
/// Instants after [`TIME_MAX`](crate::TIME_MAX) are taken as that one: the end of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The instant `ms` later, or the end of time: a hold that long never expires.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms).min(crate::TIME_MAX.0))
    }
}

/// Units of one SKU at one location, as a hold or a restock asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// What.
    pub sku: Sku,
    /// From where.
    pub location: Location,
    /// How many; zero is refused.
    pub quantity: Units,
}

//! The names of things: stock units, places, holds, causes, instants.
//!
//! Every id is the caller's own number and opaque here: the ledger compares and hashes it, and reads nothing from its bits.

/// A thing that is sold and counted. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(pub u128);

/// A place that keeps stock (a warehouse, a shop). Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(pub u64);

/// One attempt to set stock aside. Chosen by the caller, who sends it again when an answer was lost. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u128);

/// One change of what is on hand. Chosen by the caller; the same id never moves units twice. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovementId(pub u128);

/// For whom a hold is kept: an order, a cart. Opaque, and only ever shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u128);

/// Why stock was changed, as a code of the caller's own list. Part of a movement's body; it changes no arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub u32);

/// A count of whole units. A column of a row never exceeds [`UNITS_MAX`](crate::UNITS_MAX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub u32);

/// An instant, in milliseconds from an epoch that the caller chose. The ledger reads no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The instant `ms` later, or the end of time: a hold that long never expires.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
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

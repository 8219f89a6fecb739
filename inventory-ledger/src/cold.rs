//! What few rows have: a record beside the row, found by its number in the row's `extra`.
//!
//! Path: `extra` is zero → nothing more is looked at; else → [`ColdCell`] for the columns that readers see too, [`Cold`] for what only
//! the ledger needs. A row is given its record when it first needs one (`Table::cold_at`) and keeps it: rows are never removed.
//! Bounds: one record a row, so `rows_max`.

use crate::rows::RowIx;
use crate::sync::{AtomicU32, Ordering};
use crate::{Policy, SavedCold, Unavailable, Units};

/// Columns that stand in the cold record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rare {
    InTransit,
    Backordered,
}

impl Rare {
    /// How many there are.
    pub(crate) const ALL: usize = 2;
}

/// The part of a cold record that readers share; guarded by its row's sequence, like the row's own columns.
#[derive(Default)]
pub(crate) struct ColdCell {
    in_transit: AtomicU32,
    backordered: AtomicU32,
}

impl ColdCell {
    pub(crate) fn column(&self, column: Rare) -> &AtomicU32 {
        match column {
            Rare::InTransit => &self.in_transit,
            Rare::Backordered => &self.backordered,
        }
    }

    /// In the order of [`Rare`].
    pub(crate) fn all(&self) -> [Units; Rare::ALL] {
        [&self.in_transit, &self.backordered].map(|column| Units(column.load(Ordering::Relaxed)))
    }
}

/// The writer's part of a cold record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cold {
    /// Whose it is.
    pub(crate) row: RowIx,
    /// The shared columns when the row came on the list of changes.
    pub(crate) listed: [Units; Rare::ALL],
    /// What makes up the row's `unavailable`, in the order of [`Unavailable`].
    pub(crate) apart: [Units; Unavailable::ALL.len()],
    /// Units that shipments brought here, less those that they took from here: over all rows of a SKU, and with those in transit
    /// and lost, this is zero.
    pub(crate) carried: i64,
    /// Units that were sent here and did not come.
    pub(crate) lost: u64,
    pub(crate) policy: Policy,
    /// At which available units it tells that they are low.
    pub(crate) low: Option<Units>,
    /// Available after the last change: what the next one is compared with.
    pub(crate) seen: Units,
}

const _: () = assert!(size_of::<Cold>() + size_of::<ColdCell>() <= 92, "what the README says");

impl SavedCold {
    /// What a snapshot has of it.
    pub(crate) fn of(&Cold { apart, carried, lost, policy, low, .. }: &Cold) -> Self {
        Self { apart, carried, lost, policy, low }
    }
}

impl Cold {
    pub(crate) fn new(row: RowIx, seen: Units) -> Self {
        Self {
            row,
            listed: [Units(0); Rare::ALL],
            apart: [Units(0); Unavailable::ALL.len()],
            carried: 0,
            lost: 0,
            policy: Policy::Deny,
            low: None,
            seen,
        }
    }
}

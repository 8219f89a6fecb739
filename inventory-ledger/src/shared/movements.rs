//! Stock that comes, goes, or changes its column outside of any hold: one row and one call each, without ids.
//!
//! Path: key → row → published → taken from its column → put into the other → cleared. Units between two columns are in
//! nobody's count for a moment; the published row says so to whoever comes short meanwhile.
//! Deliberately absent: ids. A caller that repeats a movement moves units again.

use super::rows::{Counter, SharedRow};
use super::{MoveRefused, ReserveRefused, Writer};
use crate::index::RowKey;
use crate::{Location, Sku, Units};

/// Movements of one row. Each answers what is available in it, exactly, at the instant in which the movement changed that
/// (`ship`: what is left committed). O(1).
impl Writer {
    /// Units arrive and are available.
    ///
    /// # Errors
    /// `UnknownRow`, `Overflow`.
    pub fn receive(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        self.in_the_open(sku, location, |row| {
            row.admit(units).map_err(|on_hand| MoveRefused::Overflow { on_hand })?;
            Ok(row.put(units).available())
        })
    }

    /// Available units are gone: lost, broken, counted wrong.
    ///
    /// # Errors
    /// `UnknownRow`, `Short`, `Contended`.
    pub fn write_off(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        let (left, row) = self.take_available(sku, location, units)?;
        row.subtract(Counter::OnHand, units).expect("what was available was on hand");
        Ok(left)
    }

    /// Available units are set apart, not for sale.
    ///
    /// # Errors
    /// `UnknownRow`, `Short`, `Contended`.
    pub fn set_apart(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        let (left, row) = self.take_available(sku, location, units)?;
        row.add(Counter::Unavailable, units);
        Ok(left)
    }

    /// Units set apart are available again.
    ///
    /// # Errors
    /// `UnknownRow`, `Short`.
    pub fn put_back(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        self.bring_back(sku, location, Counter::Unavailable, units)
    }

    /// Committed units are available again, after an order was cancelled.
    ///
    /// # Errors
    /// `UnknownRow`, `Short`.
    pub fn restock(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        self.bring_back(sku, location, Counter::Committed, units)
    }

    /// Committed units leave.
    ///
    /// # Errors
    /// `UnknownRow`, `Short`.
    pub fn ship(&mut self, sku: Sku, location: Location, units: Units) -> Result<Units, MoveRefused> {
        let (_, row) = self.ledger.row_surely(RowKey { sku, location }).ok_or(MoveRefused::UnknownRow)?;
        let left = row.subtract(Counter::Committed, units).map_err(|present| MoveRefused::Short { present })?;
        row.subtract(Counter::OnHand, units).expect("what was committed was on hand");
        Ok(left)
    }

    fn take_available(&mut self, sku: Sku, location: Location, units: Units) -> Result<(Units, &SharedRow), MoveRefused> {
        let (at, row) = self.ledger.row_surely(RowKey { sku, location }).ok_or(MoveRefused::UnknownRow)?;
        match self.ledger.take_one(self.slot, &mut self.near, at, units) {
            Ok(left) => Ok((left, row)),
            Err(ReserveRefused::Short { available, .. }) => Err(MoveRefused::Short { present: available }),
            Err(ReserveRefused::Contended { .. }) => Err(MoveRefused::Contended),
            Err(refused @ (ReserveRefused::Malformed(_) | ReserveRefused::Full)) => unreachable!("taking one row: {refused}"),
        }
    }

    fn bring_back(&mut self, sku: Sku, location: Location, from: Counter, units: Units) -> Result<Units, MoveRefused> {
        self.in_the_open(sku, location, |row| {
            row.subtract(from, units).map_err(|present| MoveRefused::Short { present })?;
            Ok(row.put(units).available())
        })
    }

    /// Does `change` to a row while its slot names it.
    fn in_the_open<R>(
        &mut self,
        sku: Sku,
        location: Location,
        change: impl FnOnce(&SharedRow) -> Result<R, MoveRefused>,
    ) -> Result<R, MoveRefused> {
        let (at, row) = self.ledger.row_surely(RowKey { sku, location }).ok_or(MoveRefused::UnknownRow)?;
        self.ledger.registry.publish(self.slot, std::iter::once(at));
        let outcome = change(row);
        self.ledger.registry.clear(self.slot);
        outcome
    }
}

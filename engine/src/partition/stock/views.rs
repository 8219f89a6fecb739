//! What a stock tells: rows of a product and the holds on it.

use super::{Stock, number};
use inventory_ledger as ledger;
use ledger::HoldState;
use wire::{HoldId, HoldView, InventoryRow, Millis, OrderId, RawId, SkuId, StockRow, limits};

impl Stock {
    /// Units that can be had of `sku` at the location. O(log locations).
    #[must_use]
    pub fn available(&self, sku: SkuId, location: &str) -> u32 {
        self.ledger.available(number(sku), self.find(location)).0
    }

    /// Units of `sku` at the location that orders in doubt hold: they may come back in a moment. O(log locations).
    #[must_use]
    pub fn in_doubt(&self, sku: SkuId, location: &str) -> u32 {
        self.ledger.in_doubt(number(sku), self.find(location)).0
    }

    /// All rows with their location codes, in the order they were opened.
    pub fn rows(&self) -> impl Iterator<Item = (SkuId, &str, ledger::Row)> {
        self.ledger.rows().map(|(sku, location, row)| (SkuId(RawId(sku.0)), self.location(location), row))
    }

    pub(in crate::partition) fn rows_of(&self, sku: SkuId) -> Vec<StockRow> {
        let view = |(location, row): (ledger::Location, ledger::Row)| StockRow {
            location: self.location(location).to_owned(),
            available: row.available.0,
            held: row.held.0,
            committed: row.committed.0,
            incoming: row.incoming.0,
            unavailable: row.unavailable.0,
        };
        let here = |(location, _): &(ledger::Location, ledger::Row)| !self.is_away(*location);
        let mut rows: Vec<_> = self.ledger.rows_of(number(sku)).filter(here).map(view).collect();
        rows.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        rows
    }

    /// The same with what few rows have. A location of another partition is among them if anything is on its way there from here: with
    /// that, and nothing else.
    #[must_use]
    pub fn inventory(&self, sku: SkuId) -> Vec<InventoryRow> {
        let view = |(place, row): (ledger::Location, ledger::Row)| {
            let (backorder, low_stock) = self.policy(sku, place);
            let expected = if row.incoming.0 > 0 { self.expected(sku, place, limits::ARRIVALS_SHOWN_MAX) } else { Vec::new() };
            let under_way = if row.in_transit.0 > 0 { self.under_way(sku, place, limits::ARRIVALS_SHOWN_MAX) } else { Vec::new() };
            InventoryRow {
                location: self.location(place).to_owned(),
                available: row.available.0,
                held: row.held.0,
                committed: row.committed.0,
                incoming: row.incoming.0,
                unavailable: row.unavailable.0,
                by_reason: self.by_reason(sku, place),
                in_transit: row.in_transit.0,
                backordered: row.backordered.0,
                backorder,
                low_stock,
                expected,
                under_way,
            }
        };
        let shown = |(place, row): &(ledger::Location, ledger::Row)| !self.is_away(*place) || row.in_transit.0 > 0;
        let mut rows: Vec<_> = self.ledger.rows_of(number(sku)).filter(shown).map(view).collect();
        rows.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        rows
    }

    pub(in crate::partition) fn holds_of(&self, sku: SkuId) -> Vec<HoldView> {
        let view = |hold: ledger::HoldView| HoldView {
            id: HoldId(RawId(hold.id.0)),
            quantity: hold.quantity.0,
            expires_at: match hold.state {
                HoldState::Held { expires_at } => Some(Millis(expires_at.0)),
                HoldState::Pinned
                | HoldState::Committed
                | HoldState::Restocked
                | HoldState::Forgotten
                | HoldState::Released
                | HoldState::Expired
                | HoldState::Tombstoned => None,
            },
            owner: OrderId(RawId(hold.owner.0)),
        };
        self.ledger.holds_of(number(sku)).into_iter().map(view).collect()
    }
}

//! What a stock tells: rows of a product and the holds on it.

use super::{Stock, number};
use inventory_ledger as ledger;
use ledger::HoldState;
use wire::{HoldId, HoldView, Millis, OrderId, RawId, SkuId, StockRow};

impl Stock {
    /// Units that can be had of `sku` at the location. O(log locations).
    #[must_use]
    pub fn available(&self, sku: SkuId, location: &str) -> u32 {
        self.ledger.available(number(sku), self.find(location)).0
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
        let mut rows: Vec<_> = self.ledger.rows_of(number(sku)).map(view).collect();
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

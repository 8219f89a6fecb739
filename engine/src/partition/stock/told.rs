//! What the feed tells of stock beside the goods that come and go: rows of which shoppers are told another quantity.
//!
//! Path: the rows that a command changed ([`Changes::stock`](crate::partition::Changes)) → those whose shown quantity is another → events.
//! Deliberately absent: an event for each hold, reservation or sale. They are the most frequent commands there are, and what others can do
//! about one is to see that fewer units can be had; that is told when it is true of what shoppers see.

use super::Stock;
use crate::partition::ApplyContext;
use wire::{EventField, EventKind, RawId, SkuId, limits::SHOWN_QUANTITY_MAX};

impl Stock {
    /// Tells of the rows from `first` on. Most commands change rows far from their end, and for those this is a comparison each.
    pub(in crate::partition) fn tell_availability(&self, ctx: &mut ApplyContext<'_>, first: usize) {
        for nth in first..ctx.changes.stock.len() {
            let change = &ctx.changes.stock[nth];
            let (before, after) = (change.before.available.0.min(SHOWN_QUANTITY_MAX), change.after.available.0.min(SHOWN_QUANTITY_MAX));
            if before == after {
                continue;
            }
            let (sku, location) = (SkuId(RawId(change.sku.0)), self.location(change.location).to_owned());
            let kind = match (before, after) {
                (_, 0) => EventKind::StockSoldOut,
                (0, _) => EventKind::StockBack,
                (_, _) => EventKind::StockChanged,
            };
            let data = vec![
                EventField::Sku(sku),
                EventField::Location(location),
                EventField::Quantity(u64::from(after)),
                EventField::QuantityBefore(u64::from(before)),
            ];
            ctx.tell(kind, data);
        }
    }
}

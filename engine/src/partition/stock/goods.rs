//! Goods that come in.

use super::{Stock, at, number, refusals};
use crate::{
    partition::{ApplyContext, Done, Outcome, hash128},
    record::v1::HoldLine,
};
use inventory_ledger as ledger;
use ledger::{GoodsRefused, MovementId};
use refusals::{invalid, no_room, too_many_units};
use wire::Refusal;

impl Stock {
    /// Books a delivery, all of it or nothing.
    pub(in crate::partition) fn receive(&mut self, ctx: &mut ApplyContext<'_>, id: u128, location: &str, lines: &[HoldLine]) -> Outcome {
        let (now, id) = (at(ctx), MovementId(hash128(&[b"receive", &id.to_le_bytes()])));
        let location = self.intern(location)?;
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let received = self.ledger.receive(now, id, &lines.iter().map(line).collect::<Vec<_>>());
        self.note(ctx);
        match received {
            Ok(goods) => Ok(Done::Received { replayed: goods.replayed }),
            Err(GoodsRefused::Overflow { .. }) => Err(too_many_units(ledger::UNITS_MAX.0)),
            Err(GoodsRefused::IdReused) => Err(Refusal::IdempotencyKeyReused),
            Err(GoodsRefused::Malformed(bad)) => Err(invalid("/lines", "bad_lines", &bad.to_string())),
            Err(GoodsRefused::Full(full)) => Err(no_room(full)),
            Err(GoodsRefused::Unknown | GoodsRefused::Short { .. } | GoodsRefused::TooMany { .. } | GoodsRefused::SamePlace { .. }) => {
                unreachable!("of announcements and shipments, not of a plain delivery")
            }
        }
    }
}

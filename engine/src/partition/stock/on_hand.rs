//! What is on hand: rows opened, counted and corrected.

use super::{Stock, at, number, refusals};
use crate::{
    partition::{ApplyContext, Done, Outcome},
    record::v1::StockChange,
};
use inventory_ledger as ledger;
use ledger::{MoveRefused, MovementId};
use refusals::{check_units, no_room, too_many_units};
use wire::{EventField, EventKind, RawId, Refusal, SkuId};
use xxhash_rust::xxh3::xxh3_64;

impl Stock {
    /// Opens a row; one that exists stays as it is.
    pub(in crate::partition) fn open(&mut self, ctx: &mut ApplyContext<'_>, id: u128, sku: SkuId, location: &str, on_hand: u32) -> Outcome {
        check_units(on_hand)?;
        let location = self.intern(location)?;
        let moved = self.ledger.open_row(at(ctx), MovementId(id), number(sku), location, ledger::Units(on_hand));
        self.counted(ctx, sku, moved)
    }

    /// Changes what is on hand.
    pub(in crate::partition) fn adjust(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        id: u128,
        sku: SkuId,
        location: &str,
        change: StockChange,
        reason: &str,
    ) -> Outcome {
        let (now, id, key) = (at(ctx), MovementId(id), number(sku));
        // Only tells one movement from another under the same id; the words stay in the log.
        let reason = ledger::Reason((xxh3_64(reason.as_bytes()) & 0xffff_ffff) as u32);
        let moved = match change {
            StockChange::Delta(delta) => {
                check_units(u32::try_from(delta.unsigned_abs()).unwrap_or(u32::MAX))?;
                let location = self.intern(location)?;
                self.ledger.adjust(now, id, key, location, delta, reason)
            }
            StockChange::Set(on_hand) => {
                check_units(on_hand)?;
                let location = self.intern(location)?;
                self.ledger.set(now, id, key, location, ledger::Units(on_hand), None, reason)
            }
            StockChange::CompareAndSet { set, expected } => {
                check_units(set)?;
                let location = self.intern(location)?;
                self.ledger.set(now, id, key, location, ledger::Units(set), Some(ledger::Units(expected)), reason)
            }
        };
        self.counted(ctx, sku, moved)
    }

    /// As `moved`, and tells by how much what is on hand is another.
    fn counted(&mut self, ctx: &mut ApplyContext<'_>, sku: SkuId, moved: Result<ledger::Moved, MoveRefused>) -> Outcome {
        let known = ctx.changes.stock.len();
        let outcome = self.moved(ctx, sku, moved);
        for nth in known..ctx.changes.stock.len() {
            let change = ctx.changes.stock[nth];
            let (before, after) = (change.before.on_hand().0, change.after.on_hand().0);
            if before != after {
                let data = vec![
                    EventField::Sku(SkuId(RawId(change.sku.0))),
                    EventField::Location(self.location(change.location).to_owned()),
                    EventField::Change(i64::from(after) - i64::from(before)),
                    EventField::OnHand(u64::from(after)),
                ];
                ctx.tell(EventKind::StockAdjusted, data);
            }
        }
        outcome
    }

    pub(super) fn moved(&mut self, ctx: &mut ApplyContext<'_>, sku: SkuId, moved: Result<ledger::Moved, MoveRefused>) -> Outcome {
        self.note(ctx);
        match moved {
            Ok(moved) => Ok(Done::Stock { sku, repeated: moved.replayed }),
            Err(MoveRefused::Mismatch { actual }) => Err(Refusal::StockMismatch { actual: u64::from(actual.0) }),
            Err(MoveRefused::Committed { available, held, committed }) => {
                Err(Refusal::StockCommitted { available: available.0, held: held.0, committed: committed.0 })
            }
            Err(MoveRefused::TooFew { apart }) => Err(Refusal::StockApart { apart: apart.0 }),
            // Less than nothing, where nothing is.
            Err(MoveRefused::UnknownRow) => Err(Refusal::StockCommitted { available: 0, held: 0, committed: 0 }),
            Err(MoveRefused::Overflow { .. }) => Err(too_many_units(ledger::UNITS_MAX.0)),
            Err(MoveRefused::IdReused) => Err(Refusal::IdempotencyKeyReused),
            Err(MoveRefused::Full(full)) => Err(no_room(full)),
        }
    }
}

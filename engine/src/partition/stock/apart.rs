//! Units that are here and not for sale, by reason.
//!
//! Path: a command → the ledger's movement of one row (available ↔ unavailable, or unavailable → outside) → the row's outcome, as of an
//! adjustment.

use super::{Stock, at, number, refusals};
use crate::{
    partition::{ApplyContext, Outcome, hash128},
    record::v1,
};
use inventory_ledger as ledger;
use ledger::MovementId;
use refusals::{check_some, check_units};
use wire::{EventField, EventKind, SkuId, Unavailable, UnavailableUnits};

impl Stock {
    /// Sets units apart, puts them back on sale, or writes them off.
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(in crate::partition) fn move_apart(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        id: u128,
        sku: SkuId,
        location: &str,
        step: v1::ApartStep,
        why: v1::Unavailable,
        units: u32,
    ) -> Outcome {
        check_units(units)?;
        check_some("/quantity", units)?;
        let (now, id) = (at(ctx), MovementId(hash128(&[b"apart", &id.to_le_bytes()])));
        let (code, word) = (location, word(why));
        let (key, location, why, units) = (number(sku), self.find(location), reason(why), ledger::Units(units));
        let moved = match step {
            v1::ApartStep::SetApart => self.ledger.set_apart(now, id, key, location, why, units),
            v1::ApartStep::PutBack => self.ledger.put_back(now, id, key, location, why, units),
            v1::ApartStep::WriteOff => self.ledger.write_off(now, id, key, location, why, units),
        };
        let is_new = moved.as_ref().is_ok_and(|moved| !moved.replayed);
        let outcome = self.moved(ctx, sku, moved);
        if is_new {
            let kind = match step {
                v1::ApartStep::SetApart => EventKind::StockSetApart,
                v1::ApartStep::PutBack => EventKind::StockPutBack,
                v1::ApartStep::WriteOff => EventKind::StockWrittenOff,
            };
            let data = vec![
                EventField::Sku(sku),
                EventField::Location(code.to_owned()),
                EventField::Reason(word.to_owned()),
                EventField::Quantity(u64::from(units.0)),
            ];
            ctx.tell(kind, data);
        }
        outcome
    }

    pub(super) fn by_reason(&self, sku: SkuId, location: ledger::Location) -> UnavailableUnits {
        let [damaged, quarantine, safety, other] = self.ledger.unavailable(number(sku), location).map(|units| units.0);
        UnavailableUnits { damaged, quarantine, safety, other }
    }
}

const fn word(why: v1::Unavailable) -> &'static str {
    match why {
        v1::Unavailable::Damaged => Unavailable::Damaged.word(),
        v1::Unavailable::Quarantine => Unavailable::Quarantine.word(),
        v1::Unavailable::Safety => Unavailable::Safety.word(),
        v1::Unavailable::Other => Unavailable::Other.word(),
    }
}

fn reason(why: v1::Unavailable) -> ledger::Unavailable {
    match why {
        v1::Unavailable::Damaged => ledger::Unavailable::Damaged,
        v1::Unavailable::Quarantine => ledger::Unavailable::Quarantine,
        v1::Unavailable::Safety => ledger::Unavailable::Safety,
        v1::Unavailable::Other => ledger::Unavailable::Other,
    }
}

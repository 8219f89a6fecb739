//! Goods that come in: announced by suppliers, received with or without an announcement.
//!
//! Path: `announce` mints the announcement's id (units into `incoming`) → `receive_announced`, once or in parts, or `withdraw` → closed when
//! nothing is left to come. The ledger counts; what it does not know of an announcement, its location and the supplier's own name for it, is
//! kept here. Bounds: `announcements_max` of [`LEDGER_LIMITS`](super::LEDGER_LIMITS), a name of `REFERENCE_BYTES_MAX` each.

use super::{Stock, at, number, refusals};
use crate::{
    domain::check_text,
    partition::{ApplyContext, Done, Outcome, hash128, outcome::Goods, snapshot::fields::structs},
    record::v1::HoldLine,
};
use inventory_ledger as ledger;
use ledger::{GoodsRefused, MovementId};
use refusals::{check_lines, goods_refused, invalid};
use std::sync::Arc;
use wire::{AnnouncementId, EventField, EventKind, ExpectedUnits, GoodsDone, Millis, RawId, Refusal, SkuId, limits};

/// What is kept of an open announcement beside the ledger's.
#[derive(Clone, Debug, Hash)]
pub(super) struct Announced {
    location: ledger::Location,
    reference: Arc<str>,
}

structs! {
    Announced { location, reference }
}

impl Stock {
    /// Notes what a supplier says will come.
    pub(in crate::partition) fn announce(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        location: &str,
        due: Millis,
        reference: &str,
        lines: &[HoldLine],
    ) -> Outcome {
        let reference_fits = check_text("/reference", reference, 0, limits::REFERENCE_BYTES_MAX);
        reference_fits.map_err(|error| Refusal::Invalid(vec![error]))?;
        check_lines(lines)?;
        let location = self.intern(location)?;
        let id: AnnouncementId = ctx.next();
        let announced = self.ledger.announce(
            at(ctx),
            MovementId(id.0.0),
            ledger::Millis(due.0),
            ledger::Reference::default(),
            &at_location(lines, location),
        );
        self.note(ctx);
        let goods = announced.map_err(|refused| goods_refused(refused, lines))?;
        self.announced.insert(id, Announced { location, reference: reference.into() });
        self.tell_lines(ctx, EventKind::StockAnnounced, Some(id), location, lines);
        Ok(done(goods, GoodsDone { announcement: Some(id), ..GoodsDone::default() }))
    }

    /// Calls off what is left of an announcement.
    pub(in crate::partition) fn withdraw(&mut self, ctx: &mut ApplyContext<'_>, id: u128, announcement: AnnouncementId) -> Outcome {
        let id = MovementId(hash128(&[b"withdraw", &id.to_le_bytes()]));
        let withdrawn = self.ledger.withdraw(at(ctx), id, MovementId(announcement.0.0));
        self.note(ctx);
        let goods = withdrawn.map_err(|refused| goods_refused(refused, &[]))?;
        self.announced.remove(&announcement);
        if !goods.replayed {
            ctx.tell(EventKind::StockWithdrawn, vec![EventField::Announcement(announcement), EventField::Quantity(goods.units)]);
        }
        Ok(done(goods, GoodsDone { announcement: Some(announcement), ..GoodsDone::default() }))
    }

    /// Books a delivery, all of it or nothing.
    pub(in crate::partition) fn receive(&mut self, ctx: &mut ApplyContext<'_>, id: u128, location: &str, lines: &[HoldLine]) -> Outcome {
        let (now, id) = (at(ctx), MovementId(hash128(&[b"receive", &id.to_le_bytes()])));
        let location = self.intern(location)?;
        let received = self.ledger.receive(now, id, &at_location(lines, location));
        self.note(ctx);
        match received {
            Ok(goods) => {
                if !goods.replayed {
                    self.tell_lines(ctx, EventKind::StockReceived, None, location, lines);
                }
                Ok(done(goods, GoodsDone::default()))
            }
            Err(refused) => Err(goods_refused(refused, lines)),
        }
    }

    /// Books a delivery that was announced for this location.
    pub(in crate::partition) fn receive_announced(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        id: u128,
        announcement: AnnouncementId,
        location: &str,
        lines: &[HoldLine],
    ) -> Outcome {
        check_lines(lines)?;
        let (now, id) = (at(ctx), MovementId(hash128(&[b"receive", &id.to_le_bytes()])));
        let location = self.find(location);
        // A closed one goes to the ledger, which knows a repeat.
        if self.announced.get(&announcement).is_some_and(|open| open.location != location) {
            return Err(invalid("/location", "other_location", "the location it was announced for"));
        }
        let received = self.ledger.receive_announced(now, id, MovementId(announcement.0.0), &at_location(lines, location));
        self.note(ctx);
        match received {
            Ok(goods) => {
                if goods.left == 0 {
                    self.announced.remove(&announcement);
                }
                if !goods.replayed {
                    self.tell_lines(ctx, EventKind::StockReceived, Some(announcement), location, lines);
                }
                Ok(done(goods, GoodsDone { announcement: Some(announcement), ..GoodsDone::default() }))
            }
            Err(GoodsRefused::Unknown) => Err(Refusal::NotFound),
            Err(refused) => Err(goods_refused(refused, lines)),
        }
    }

    /// One event for each line.
    fn tell_lines(
        &self,
        ctx: &mut ApplyContext<'_>,
        kind: EventKind,
        announcement: Option<AnnouncementId>,
        location: ledger::Location,
        lines: &[HoldLine],
    ) {
        for line in lines {
            let mut data = vec![
                EventField::Sku(line.sku),
                EventField::Location(self.location(location).to_owned()),
                EventField::Quantity(u64::from(line.quantity)),
            ];
            data.extend(announcement.map(EventField::Announcement));
            ctx.tell(kind, data);
        }
    }

    /// What is announced for one row, by due date, the first `max`. O(lines of all open announcements) where there is any.
    pub(super) fn expected(&self, sku: SkuId, location: ledger::Location, max: usize) -> Vec<ExpectedUnits> {
        let shown = |expected: ledger::Expected| {
            let announcement = AnnouncementId(RawId(expected.announcement.0));
            let reference = self.announced.get(&announcement).map_or_else(String::new, |open| open.reference.to_string());
            ExpectedUnits { announcement, due: Millis(expected.due.0), reference, quantity: expected.units.0 }
        };
        self.ledger.expected(number(sku), location).into_iter().take(max).map(shown).collect()
    }
}

pub(super) fn at_location(lines: &[HoldLine], location: ledger::Location) -> Vec<ledger::Line> {
    lines.iter().map(|line| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) }).collect()
}

/// What the ledger says it did, and whom it concerns.
pub(super) fn done(goods: ledger::Goods, concerned: GoodsDone) -> Done {
    let told = GoodsDone { units: goods.units, left: goods.left, surplus: goods.surplus, ..concerned };
    Done::Goods(Box::new(Goods { told, replayed: goods.replayed }))
}

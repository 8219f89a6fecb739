//! What happened at a location: movements of units and events, page by page.
//!
//! Path: a reader's cursor → the ledger's records after it, of all locations of the partition → those of the one location, as the shop says
//! them. The ledger numbers the records of the partition; a page looks at [`limits::HISTORY_SCAN_MAX`] of them at most.
//! Bounds: `history_max` and `events_max` of [`LEDGER_LIMITS`](super::LEDGER_LIMITS); what is older is gone, and a reader that comes for it is
//! told so.

use super::{NOWHERE, Stock};
use inventory_ledger as ledger;
use ledger::{Cause, Gone, News, Place, Serial};
use wire::{
    HoldId, Millis, MovementCause, OrderId, PartitionId, RawId, Refusal, SkuId, StockColumn, StockCursor, StockEvent, StockMovement,
    StockNews, StockPage, limits,
};

/// A record of the ledger: its number, and what the shop says of it if it is of that location.
trait Record: Copy {
    type Shown;
    fn serial(&self) -> u64;
    fn shown(&self, location: ledger::Location) -> Option<Self::Shown>;
}

impl Record for ledger::Recorded {
    type Shown = StockMovement;

    fn serial(&self) -> u64 {
        self.serial.0
    }

    fn shown(&self, location: ledger::Location) -> Option<StockMovement> {
        (self.location == location).then(|| StockMovement {
            serial: self.serial.0,
            at: Millis(self.at.0),
            cause: cause(self.cause),
            sku: SkuId(RawId(self.sku.0)),
            from: column(self.from),
            to: column(self.to),
            quantity: self.units.0,
        })
    }
}

impl Record for ledger::Event {
    type Shown = StockEvent;

    fn serial(&self) -> u64 {
        self.serial.0
    }

    fn shown(&self, here: ledger::Location) -> Option<StockEvent> {
        let (sku, location, news) = match self.news {
            News::LowStock { sku, location, available } => (sku, location, StockNews::LowStock { available: available.0 }),
            News::BackInStock { sku, location, available } => (sku, location, StockNews::BackInStock { available: available.0 }),
            News::Filled(filled) => {
                let news = StockNews::Filled {
                    hold: hold(filled.hold),
                    owner: OrderId(RawId(filled.owner.0)),
                    line: filled.line,
                    quantity: filled.units.0,
                    left: filled.left.0,
                };
                (filled.sku, filled.location, news)
            }
        };
        let event = StockEvent { serial: self.serial.0, at: Millis(self.at.0), sku: SkuId(RawId(sku.0)), news };
        (location == here).then_some(event)
    }
}

impl Stock {
    /// Movements of units at a location, oldest first.
    ///
    /// # Errors
    /// `NotFound` where nothing ever was, `BadCursor` of another partition, `HistoryGone`.
    pub fn history(
        &self,
        partition: PartitionId,
        location: &str,
        after: Option<StockCursor>,
        limit: usize,
    ) -> Result<StockPage<StockMovement>, Refusal> {
        self.page(partition, location, after, limit, |after, max| self.ledger.history(after, max))
    }

    /// Events at a location, oldest first.
    ///
    /// # Errors
    /// As of `history`.
    pub fn events(
        &self,
        partition: PartitionId,
        location: &str,
        after: Option<StockCursor>,
        limit: usize,
    ) -> Result<StockPage<StockEvent>, Refusal> {
        self.page(partition, location, after, limit, |after, max| self.ledger.events(after, max))
    }

    fn page<R: Record>(
        &self,
        partition: PartitionId,
        location: &str,
        after: Option<StockCursor>,
        limit: usize,
        read: impl Fn(Serial, usize) -> Result<Vec<R>, Gone>,
    ) -> Result<StockPage<R::Shown>, Refusal> {
        let here = self.find(location);
        if here == NOWHERE {
            return Err(Refusal::NotFound);
        }
        let cursor = |serial| StockCursor { partition, serial };
        let before = |gone: Gone| Serial(gone.first.0 - 1);
        let (from, records) = match after {
            Some(after) if after.partition != partition => return Err(Refusal::BadCursor),
            Some(after) => {
                let records = read(Serial(after.serial), limits::HISTORY_SCAN_MAX);
                (after.serial, records.map_err(|gone| Refusal::HistoryGone { last: cursor(before(gone).0) })?)
            }
            None => match read(Serial(0), limits::HISTORY_SCAN_MAX) {
                Ok(records) => (0, records),
                // From the oldest that there is, which is there.
                Err(gone) => (before(gone).0, read(before(gone), limits::HISTORY_SCAN_MAX).unwrap_or_default()),
            },
        };
        let (mut items, mut last) = (Vec::new(), from);
        let mut more = records.len() == limits::HISTORY_SCAN_MAX;
        for record in &records {
            if items.len() == limit {
                more = true;
                break;
            }
            last = record.serial();
            items.extend(record.shown(here));
        }
        Ok(StockPage { items, last: cursor(last), more })
    }
}

fn hold(id: ledger::HoldId) -> HoldId {
    HoldId(RawId(id.0))
}

fn cause(cause: Cause) -> MovementCause {
    match cause {
        Cause::Movement(id) => MovementCause::Movement(RawId(id.0)),
        Cause::Hold(id) => MovementCause::Hold(hold(id)),
        Cause::Commit(id) => MovementCause::Commit(hold(id)),
        Cause::Release(id) => MovementCause::Release(hold(id)),
        Cause::Expiry(id) => MovementCause::Expiry(hold(id)),
        Cause::Fill(id) => MovementCause::Fill(hold(id)),
        Cause::Forget(id) => MovementCause::Close(hold(id)),
    }
}

fn column(place: Place) -> StockColumn {
    match place {
        Place::Outside => StockColumn::Outside,
        Place::Available => StockColumn::Available,
        Place::Held => StockColumn::Held,
        Place::Committed => StockColumn::Committed,
        Place::Incoming => StockColumn::Incoming,
        Place::Unavailable => StockColumn::Unavailable,
        Place::InTransit => StockColumn::InTransit,
        Place::Backordered => StockColumn::Backordered,
    }
}

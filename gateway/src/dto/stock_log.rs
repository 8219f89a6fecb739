//! What happened at a location: movements and events, with the cursor that a reader follows them by.

use super::{Shown, Time};
use crate::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{HoldId, MovementCause, OrderId, SkuId, StockColumn, StockCursor, StockNews};

/// What made units move.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cause {
    /// `movement` (an adjustment, a restock or goods), `hold`, `commit`, `release`, `expiry`, `fill` or `close`.
    #[schema(value_type = String, example = "hold")]
    kind: &'static str,
    /// The movement's own id, or `hold_…`.
    id: String,
}

impl From<MovementCause> for Cause {
    fn from(cause: MovementCause) -> Self {
        let (kind, id) = match cause {
            MovementCause::Movement(id) => ("movement", id.to_string()),
            MovementCause::Hold(hold) => ("hold", hold.to_string()),
            MovementCause::Commit(hold) => ("commit", hold.to_string()),
            MovementCause::Release(hold) => ("release", hold.to_string()),
            MovementCause::Expiry(hold) => ("expiry", hold.to_string()),
            MovementCause::Fill(hold) => ("fill", hold.to_string()),
            MovementCause::Close(hold) => ("close", hold.to_string()),
        };
        Self { kind, id }
    }
}

const fn column(column: StockColumn) -> &'static str {
    match column {
        StockColumn::Outside => "outside",
        StockColumn::Available => "available",
        StockColumn::Held => "held",
        StockColumn::Committed => "committed",
        StockColumn::Incoming => "incoming",
        StockColumn::Unavailable => "unavailable",
        StockColumn::InTransit => "in_transit",
        StockColumn::Backordered => "backordered",
    }
}

/// Units that moved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Movement {
    /// Rises; has gaps where other locations' movements are.
    serial: u64,
    /// When.
    #[schema(value_type = String)]
    at: Time,
    /// Why.
    cause: Cause,
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// Out of which column; `outside` is none.
    #[schema(value_type = String, example = "available")]
    from: &'static str,
    /// Into which.
    #[schema(value_type = String, example = "held")]
    to: &'static str,
    /// How many.
    quantity: u32,
}

impl From<wire::StockMovement> for Movement {
    fn from(it: wire::StockMovement) -> Self {
        Self {
            serial: it.serial,
            at: Time(it.at),
            cause: it.cause.into(),
            sku: Shown(it.sku),
            from: column(it.from),
            to: column(it.to),
            quantity: it.quantity,
        }
    }
}

/// Something that others want to hear of.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockEvent {
    /// Rises; has gaps where other locations' events are.
    serial: u64,
    /// When.
    #[schema(value_type = String)]
    at: Time,
    /// `low_stock`, `back_in_stock` or `backorder_filled`.
    #[schema(value_type = String, example = "low_stock")]
    kind: &'static str,
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// Of the first two: units that can be sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u32>,
    /// Of the third: who was given units.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled: Option<Filled>,
}

/// A backordered reservation that was given units.
#[derive(Debug, Serialize, ToSchema)]
pub struct Filled {
    /// `hold_…`
    #[schema(value_type = String)]
    hold: Shown<HoldId>,
    /// `ord_…`
    #[schema(value_type = String)]
    owner: Shown<OrderId>,
    /// Which of its lines, from 0.
    line: u16,
    /// How many it was given.
    quantity: u32,
    /// How many the line is owed still.
    left: u32,
}

impl From<wire::StockEvent> for StockEvent {
    fn from(it: wire::StockEvent) -> Self {
        let (kind, available, filled) = match it.news {
            StockNews::LowStock { available } => ("low_stock", Some(available), None),
            StockNews::BackInStock { available } => ("back_in_stock", Some(available), None),
            StockNews::Filled { hold, owner, line, quantity, left } => {
                ("backorder_filled", None, Some(Filled { hold: Shown(hold), owner: Shown(owner), line, quantity, left }))
            }
        };
        Self { serial: it.serial, at: Time(it.at), kind, sku: Shown(it.sku), available, filled }
    }
}

/// Movements of a location, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct MovementList {
    /// Perhaps none, also where more follow.
    items: Vec<Movement>,
    /// What follows at once, if anything does.
    next: Option<String>,
    /// Where the reader stands: `after` of a later call.
    last: String,
}

/// Events of a location, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// Perhaps none, also where more follow.
    items: Vec<StockEvent>,
    /// What follows at once, if anything does.
    next: Option<String>,
    /// Where the reader stands: `after` of a later call.
    last: String,
}

impl From<wire::StockPage<wire::StockMovement>> for MovementList {
    fn from(page: wire::StockPage<wire::StockMovement>) -> Self {
        let last = cursor_text(page.last);
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.more.then(|| last.clone()), last }
    }
}

impl From<wire::StockPage<wire::StockEvent>> for EventList {
    fn from(page: wire::StockPage<wire::StockEvent>) -> Self {
        let last = cursor_text(page.last);
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.more.then(|| last.clone()), last }
    }
}

impl MovementList {
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl EventList {
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A cursor as text: partition and serial number.
pub(crate) fn cursor_text(cursor: StockCursor) -> String {
    format!("{}.{}", cursor.partition.0, cursor.serial)
}

/// A cursor as this contract writes it.
pub(crate) fn cursor(text: &str) -> Result<StockCursor, Problem> {
    let parsed = text.split_once('.').and_then(|(partition, serial)| {
        Some(StockCursor { partition: wire::PartitionId(partition.parse().ok()?), serial: serial.parse().ok()? })
    });
    parsed.filter(|cursor| cursor_text(*cursor) == text).ok_or_else(Problem::bad_cursor)
}

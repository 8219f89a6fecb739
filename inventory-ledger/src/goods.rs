//! Goods that come and go by the list: deliveries, announcements of them, shipments between locations.
//!
//! Path: id and body → known? its first outcome : all lines checked, then all booked → remembered in the `Window`. Deliveries are
//! decided here and in `announce`, shipments in `transfer`.
//! Bounds: `LINES_MAX`, `movements_kept_max`, `rows_max`, `announcements_max`, `shipments_max`, `UNITS_MAX` of each column.

use crate::ledger::{index, wanted_with, well_formed};
use crate::movements::{Act, Remembered};
use crate::rows::RowIx;
use crate::{BadLines, Cause, Full, LINES_MAX, Ledger, Line, Location, Millis, MovementId, Reference, Sku, UNITS_MAX, Units};

/// What came of goods sent: units of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// What.
    pub sku: Sku,
    /// Came whole: available.
    pub whole: Units,
    /// Came damaged: unavailable as such.
    pub damaged: Units,
    /// Did not come and will not: on hand nowhere any more.
    pub lost: Units,
}

impl Arrival {
    /// All three.
    pub(crate) fn units(&self) -> u64 {
        u64::from(self.whole.0) + u64::from(self.damaged.0) + u64::from(self.lost.0)
    }
}

/// What an operation on goods asked, whole: a repeat is compared field by field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GoodsBody {
    /// Of [`receive`](Ledger::receive), or of [`receive_announced`](Ledger::receive_announced).
    Receive {
        /// Which announcement it came by.
        announcement: Option<MovementId>,
        /// What came, and where.
        lines: Box<[Line]>,
    },
    /// Of [`announce`](Ledger::announce).
    Announce {
        /// When it is expected.
        due: Millis,
        /// The supplier's number.
        reference: Reference,
        /// What is expected, and where.
        lines: Box<[Line]>,
    },
    /// Of [`withdraw`](Ledger::withdraw).
    Withdraw {
        /// Which announcement.
        announcement: MovementId,
    },
    /// Of [`send`](Ledger::send).
    Send {
        /// Where to.
        to: Location,
        /// What, and from where.
        lines: Box<[Line]>,
    },
    /// Of [`arrive`](Ledger::arrive).
    Arrive {
        /// Which shipment.
        shipment: MovementId,
        /// What came of it; `None`: all that is left, whole.
        lines: Option<Box<[Arrival]>>,
    },
    /// Of [`recall`](Ledger::recall).
    Recall {
        /// Which shipment.
        shipment: MovementId,
    },
}

/// An operation on goods succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Goods {
    /// Units that moved, over all lines: received, announced, withdrawn, sent, arrived (whole or damaged) or recalled.
    pub units: u64,
    /// Units of the announcement or the shipment that are still to come; at zero it is closed, and no longer known.
    pub left: u64,
    /// Of units received by an announcement, those it did not announce.
    pub surplus: u64,
    /// Rows that were opened for it.
    pub opened: u32,
    /// The movement was known: this is its first outcome and nothing moved again.
    pub replayed: bool,
}

/// Why an operation on goods moved nothing, of no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GoodsRefused {
    /// No such announcement or shipment is open.
    #[error("no such announcement or shipment is open")]
    Unknown,
    /// The lines of one row would send more than is available there.
    #[error("line {index} sends {} where {} are available", requested.0, available.0)]
    Short {
        /// The first such line.
        index: u16,
        /// Wanted by all lines of that row together; saturates at `u32::MAX`.
        requested: Units,
        /// Available there.
        available: Units,
    },
    /// More came of one SKU than is still to come by the shipment. Book what is beyond it as received.
    #[error("line {index} brings {} where {} are to come", requested.0, left.0)]
    TooMany {
        /// The first such line.
        index: u16,
        /// By all lines of that SKU together; saturates at `u32::MAX`.
        requested: Units,
        /// Still to come.
        left: Units,
    },
    /// A line's row would have more than [`UNITS_MAX`] on hand, incoming or in transit.
    #[error("line {index}: {} are there; a column takes at most {}", there.0, UNITS_MAX.0)]
    Overflow {
        /// The first such line; of a recall, of the shipment's lines.
        index: u16,
        /// On hand, incoming or in transit there.
        there: Units,
    },
    /// A line is sent to where it is.
    #[error("line {index} is sent to where it is")]
    SamePlace {
        /// The first such line.
        index: u16,
    },
    /// The lines are no list at all. Not remembered.
    #[error(transparent)]
    Malformed(#[from] BadLines),
    /// The id belongs to a movement with another body, or to an announcement or shipment that is still open and whose beginning is
    /// forgotten.
    #[error("the movement id was used for another movement")]
    IdReused,
    /// A table is full. Not remembered.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Operations on goods: lists of lines, all of them or none. All are idempotent by their id, in one space with the changes of one
/// row: within [`MOVEMENT_WINDOW_MS`](crate::MOVEMENT_WINDOW_MS) the same id with the same body gives the first outcome again,
/// refusals included. O(lines²), and at most [`LINES_MAX`] lines.
impl Ledger {
    /// Books a delivery: outside → available. Opens rows where need be. Lines of the same row add up.
    ///
    /// # Errors
    /// `Malformed`, `IdReused`, `Overflow`, `Full`.
    pub fn receive(&mut self, now: Millis, id: MovementId, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Receive { announcement: None, lines: lines.into() })
    }

    pub(crate) fn goods(&mut self, now: Millis, id: MovementId, body: GoodsBody) -> Result<Goods, GoodsRefused> {
        let now = self.advance(now);
        body.well_formed()?;
        if let Some(Remembered { act, .. }) = self.movements.find(id) {
            return match act {
                Act::Goods(known, outcome) if *known == body => outcome.map(|first| Goods { replayed: true, ..first }),
                Act::Goods(..) | Act::Stock(..) | Act::Restock(..) => Err(GoodsRefused::IdReused),
            };
        }
        self.room_to_remember()?;
        self.because(Cause::Movement(id));
        let outcome = match &body {
            GoodsBody::Receive { announcement, lines } => self.decide_receive(*announcement, lines),
            GoodsBody::Announce { due, reference, lines } => self.decide_announce(id, *due, *reference, lines),
            GoodsBody::Withdraw { announcement } => self.decide_withdraw(*announcement),
            GoodsBody::Send { to, lines } => self.decide_send(id, *to, lines),
            GoodsBody::Arrive { shipment, lines } => self.decide_arrive(*shipment, lines.as_deref()),
            GoodsBody::Recall { shipment } => self.decide_recall(*shipment),
        };
        if !matches!(outcome, Err(GoodsRefused::Full(_) | GoodsRefused::IdReused)) {
            self.movements.remember(now, id, Act::Goods(body, outcome));
        }
        outcome
    }

    /// Refuses lines that would bring a row beyond [`UNITS_MAX`], counted on `there`.
    pub(crate) fn fits(&self, lines: &[Line], there: impl Fn(RowIx) -> Units) -> Result<(), GoodsRefused> {
        for (at, line) in lines.iter().enumerate() {
            let there = self.rows.find(line.sku, line.location).map_or(Units(0), &there);
            if u64::from(there.0) + wanted_with(lines, line) > u64::from(UNITS_MAX.0) {
                return Err(GoodsRefused::Overflow { index: index(at), there });
            }
        }
        Ok(())
    }

    /// The rows of these keys, opened where there are none, and how many were; or none of them for want of room.
    pub(crate) fn rows_at(&mut self, keys: &[(Sku, Location)]) -> Result<(Vec<RowIx>, u32), Full> {
        let mut missing: Vec<_> = keys.iter().filter(|(sku, location)| self.rows.find(*sku, *location).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        let opened = missing.len() as u32; // at most LINES_MAX
        if opened > 0 && self.rows.len() + opened > self.limits.rows_max.min(crate::index::LEN_MAX) {
            return Err(Full::Rows);
        }
        let open = |&(sku, location): &(Sku, Location)| {
            let found = self.rows.find(sku, location).or_else(|| self.insert_row(sku, location));
            found.expect("there is room for all that are missing")
        };
        Ok((keys.iter().map(open).collect(), opened))
    }
}

/// The keys of lines, in their order.
pub(crate) fn keys(lines: &[Line]) -> Vec<(Sku, Location)> {
    lines.iter().map(|line| (line.sku, line.location)).collect()
}

/// The units of all lines.
pub(crate) fn total(lines: &[Line]) -> u64 {
    lines.iter().map(|line| u64::from(line.quantity.0)).sum()
}

impl GoodsBody {
    fn well_formed(&self) -> Result<(), BadLines> {
        match self {
            Self::Receive { lines, .. } | Self::Announce { lines, .. } | Self::Send { lines, .. } => well_formed(lines),
            Self::Arrive { lines: Some(lines), .. } => {
                if lines.is_empty() {
                    return Err(BadLines::Empty);
                }
                if lines.len() > LINES_MAX {
                    return Err(BadLines::TooMany { len: lines.len() });
                }
                let zero = lines.iter().position(|line| line.units() == 0);
                zero.map_or(Ok(()), |at| Err(BadLines::ZeroQuantity { index: index(at) }))
            }
            Self::Withdraw { .. } | Self::Arrive { lines: None, .. } | Self::Recall { .. } => Ok(()),
        }
    }
}

//! What the shared ledger answers.

use smallvec::SmallVec;

use super::Hold;
use crate::{BadLines, Location, Sku, UNITS_MAX, Units};

#[cfg(doc)]
use super::{Capacity, TRIES_MAX};

/// `reserve` succeeded: all lines are set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// To commit or release, once.
    pub hold: Hold,
    /// For each line in the order asked, what its row had left at the instant in which this hold took from it: exact, not an
    /// estimate. Lines of the same row are taken together and tell the same. On the stack up to four lines.
    pub remaining: SmallVec<[Units; 4]>,
}

/// Why `reserve` set nothing aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReserveRefused {
    /// A row had too little, and no other call in flight explains it. Other rows may be short too: the first in the ledger's
    /// own order of rows is named.
    #[error("line {index} wants {} where {} are available", requested.0, available.0)]
    Short {
        /// The first line of that row, among the lines asked.
        index: u16,
        /// Wanted by all lines of that row together; saturates at `u32::MAX`.
        requested: Units,
        /// Available at that instant, all told; zero if there is no such row.
        available: Units,
    },
    /// A row had too little, but another call in flight names it and may have units of it to give back, or the row changed
    /// [`TRIES_MAX`] times while it was looked at. Try again.
    #[error("line {index} is contended")]
    Contended {
        /// The first line of that row (of the one that changed last, if more than one did), among the lines asked.
        index: u16,
    },
    /// The lines are no basket at all.
    #[error(transparent)]
    Malformed(#[from] BadLines),
    /// No record is free for the hold: see [`Capacity::records_max`].
    #[error("no room for another hold")]
    Full,
}

/// The hold was committed or released before, or its handle is none of this ledger's. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the hold is not open")]
pub struct Stale;

/// Why a movement of stock moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MoveRefused {
    /// No such row: open it first.
    #[error("no such SKU at this location")]
    UnknownRow,
    /// The column that the units come from has too few. Where that is `available`, it is as final as
    /// [`ReserveRefused::Short`]; the other columns do not count what a call in flight is just bringing.
    #[error("only {} are there", present.0)]
    Short {
        /// What it has.
        present: Units,
    },
    /// As [`ReserveRefused::Contended`].
    #[error("the row is contended")]
    Contended,
    /// More than [`UNITS_MAX`] would be on hand; what a call in flight is just bringing or taking away may count.
    #[error("{} on hand; a row takes at most {}", on_hand.0, UNITS_MAX.0)]
    Overflow {
        /// What is on hand.
        on_hand: Units,
    },
}

/// Why `open_row` made no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenRefused {
    /// There are [`Capacity::rows_max`] rows.
    #[error("no room for another row")]
    Full,
}

/// The first thing found wrong by [`check`](super::SharedLedger::check): a bug in this crate, damaged memory, or a check while
/// others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The columns of a row and the open holds do not add up to what is on hand.
    #[error(
        "{sku:?} at {location:?}: {on_hand} on hand; {available} available, {held} in holds, {committed} committed, {unavailable} unavailable"
    )]
    Row {
        /// Which row.
        sku: Sku,
        /// Which row.
        location: Location,
        /// Received and not gone since.
        on_hand: u64,
        /// In the row.
        available: u64,
        /// Summed over the open holds.
        held: u64,
        /// In the row.
        committed: u64,
        /// In the row.
        unavailable: u64,
    },
    /// The index has not every row once and in order.
    #[error("the index and the rows do not agree")]
    Index,
    /// A writer is in the middle of something: the moment is not quiet.
    #[error("writer {writer} is in the middle of a call")]
    Busy {
        /// Its number.
        writer: u32,
    },
}

//! A ledger of stock: what is where, what is promised, and to whom.
#![forbid(unsafe_code)]

mod answers;
mod audit;
mod holds;
mod ids;
mod ledger;
mod limits;
mod movements;
mod reserve;
mod rows;
mod stock;

pub use answers::{
    BadLines, Broken, CommitRefused, Committed, Expired, ForgetRefused, Forgotten, Held, HoldRefused, HoldState, HoldView, MoveRefused,
    Moved, PinRefused, Pinned, ReleaseRefused, Released, RestockRefused, Restocked, ShortLine, Swept,
};
pub use ids::{HoldId, Line, Location, Millis, MovementId, Owner, Reason, Sku, Units};
pub use ledger::Ledger;
pub use limits::{Full, HOLD_RETENTION_MS, LINES_MAX, Limits, MOVEMENT_WINDOW_MS, TOMBSTONE_MS, UNITS_MAX, Usage};
pub use rows::{Row, RowChange};

//! A ledger of stock: what is where, what is set aside, what is promised, and to whom.
//!
//! Stock is counted in rows, one per (SKU, location), with the columns `available`, `held`, `committed`, `incoming`,
//! `unavailable`, `in_transit` and `backordered` ([`Row`]). Units never appear or vanish inside a row: an operation moves them from one column to another,
//! or books them in or out under a [`MovementId`].
//!
//! ```text
//!                    adjust, set, open_row
//!                            ↕
//!            hold          available ←──────── restock
//!   available ──→ held ──→ released / expired     ↑
//!                   └─── commit ──→ committed ────┘
//!
//!     outside ──── announce ──→ incoming ──── receive ────→ available
//!     available ─── set_apart ──→ unavailable ─── put_back ──→ available
//!     backordered (owed to a hold) ──── fill ──→ held or committed, from available
//!     available ──── send ──→ in_transit elsewhere ──── arrive ──→ available there
//! ```
//!
//! What it promises:
//!
//! - A hold takes all its lines or none (or, if it asks so, what is there), and never more than is available: nothing is sold
//!   twice. A shortage that only holds in doubt explain is told from any other.
//! - Every step may be repeated, as after a lost answer: ids make it happen once and answer alike. A release that overtakes
//!   its hold leaves a tombstone, so a late hold cannot strand stock. An id with a time in it is refused once it is too old to
//!   be remembered, and never run again.
//! - It is deterministic: no clock, no randomness, no I/O, no hash order in any answer. The same calls give the same
//!   [`digest`](Ledger::digest), so replicas that apply one log agree.
//! - Its whole state can be [saved](Ledger::save), also [in steps](Ledger::freeze) while it goes on, and [restored](Restore): the same
//!   digest, and the same answers from there on.
//! - Other threads [read](Ledger::reader) rows without locks while it writes.
//! - Every table has a bound ([`Limits`]) and refuses at it; nothing is forgotten early to make room.
//!
//! What its caller does: pass the time; call [`fill`](Ledger::fill) when units have come to rows that owe some; call
//! [`expire`](Ledger::expire) when [`next_expiry`](Ledger::next_expiry) comes and
//! [`sweep`](Ledger::sweep) now and then, both in bounded steps; [`forget`](Ledger::forget) committed holds that are beyond
//! cancelling; and take the changed rows with [`drain_changes`](Ledger::drain_changes). Durability is the caller's too: log
//! the calls, and apply them again after a crash, on top of a snapshot if there is one.
//!
//! # Several writers
//!
//! A `Ledger` has one writer. Threads that must each reserve from the same rows share a [`shared::SharedLedger`]: rows and
//! holds only, lock-free.
//!
//! # Example
//!
//! ```
//! use inventory_ledger::{
//!     HoldId, HoldRefused, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Sku, Units,
//! };
//!
//! let mut ledger = Ledger::new(Limits::default());
//! let (ink, berlin) = (Sku(1), Location(10));
//! ledger.open_row(Millis(0), MovementId(1), ink, berlin, Units(5))?;
//!
//! // Set three aside for an order, for a quarter of an hour.
//! let three = [Line { sku: ink, location: berlin, quantity: Units(3) }];
//! let held = ledger.hold(Millis(0), &HoldRequest::new(HoldId(7), Owner(70), &three, 900_000))?;
//! assert_eq!((held.lines[0].taken, held.lines[0].remaining), (Units(3), Units(2)));
//!
//! // Another order comes short, and learns by how much.
//! let refused = ledger.hold(Millis(1), &HoldRequest::new(HoldId(8), Owner(80), &three, 900_000));
//! let Err(HoldRefused::Short { lines }) = refused else { panic!("two are left") };
//! assert_eq!((lines[0].requested, lines[0].available), (Units(3), Units(2)));
//!
//! // Payment begins: pin, so that it cannot expire meanwhile; then commit. Repeats change nothing.
//! ledger.pin(Millis(2), HoldId(7))?;
//! ledger.commit(Millis(3), HoldId(7))?;
//! assert!(ledger.commit(Millis(4), HoldId(7))?.replayed);
//!
//! let row = ledger.row(ink, berlin).expect("opened above");
//! assert_eq!((row.available, row.committed, row.on_hand()), (Units(2), Units(3), Units(5)));
//!
//! // The order is cancelled: its units are for sale again.
//! assert_eq!(ledger.restock(Millis(5), MovementId(2), HoldId(7), None)?.units, 3);
//! assert_eq!(ledger.available(ink, berlin), Units(5));
//! ledger.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod announce;
mod answers;
mod audit;
mod backorder;
mod chunks;
mod cold;
mod frozen;
mod goods;
mod hash;
mod holds;
mod id_index;
mod ids;
mod index;
mod journal;
mod ledger;
mod limits;
mod lines;
mod movements;
mod purchases;
mod reader;
mod record;
mod request;
mod reserve;
mod restore;
mod ring;
mod rows;
mod save;
mod seqlock;
mod settle;
pub mod shared;
mod slab;
mod sourcing;
mod stock;
mod sync;
mod transfer;
mod wheel;

pub use announce::Expected;
pub use answers::{
    BadLines, Broken, CommitRefused, Committed, Expired, Extended, Filled, FilledLine, ForgetRefused, Forgotten, Held, HoldRefused,
    HoldState, HoldView, MoveRefused, Moved, PerLine, PinRefused, Pinned, ReleaseRefused, Released, RestockRefused, Restocked, Settled,
    ShortLine, Swept, Taken,
};
pub use backorder::{Policy, UnknownRow};
pub use goods::{Arrival, Goods, GoodsBody, GoodsRefused};
pub use ids::{Customer, HoldId, Line, Location, Millis, MovementId, Owner, Reason, Reference, Sku, Unavailable, Units};
pub use journal::{Cause, Event, Gone, News, Place, Recorded, Serial};
pub use ledger::Ledger;
pub use limits::{
    EXPIRE_MOVES_PER_END, Footprint, Full, HOLD_LIFE_MS_MAX, HOLD_RETENTION_MS, HOLD_WINDOW_MS, HOLDS_MAX, ID_SKEW_MS_MAX, LINES_MAX,
    Limits, MOVEMENT_WINDOW_MS, Room, TIME_MAX, TOMBSTONE_MS, UNITS_MAX, Usage,
};
pub use movements::{Act, ApartBody, Remembered, RestockBody, StockBody};
pub use purchases::PurchaseLimit;
pub use reader::Reader;
pub use record::End;
pub use request::{HoldRequest, IdKind};
pub use restore::{BadSnapshot, Restore};
pub use rows::{Row, RowChange};
pub use save::{
    Saved, SavedAnnouncement, SavedBegin, SavedCold, SavedEnd, SavedExpected, SavedHold, SavedLimit, SavedLine, SavedPurchase, SavedRow,
    SavedSent, SavedShipment, Stage,
};
pub use sourcing::{
    Allocation, Candidate, EXACT_LOCATIONS_MAX, LOCATIONS_MAX, Plan, Rule, SEARCH_STEPS_MAX, Shortage, SourcingRefused, Split, Wanted,
    source,
};
pub use transfer::UnderWay;

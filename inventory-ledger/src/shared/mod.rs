//! Stock shared between writing threads, without a lock on the way of a reservation.
//!
//! [`Ledger`](crate::Ledger) has one writer and keeps ids, clocks and histories. [`SharedLedger`] is for an embedder whose
//! threads each reserve directly from the same rows: it has rows and holds, and neither ids nor time. A reservation takes all
//! its lines or none; it answers with a [`Hold`], a number that any thread may commit or release, and only one of them once.
//!
//! Path of a reservation: lines → rows, by the index → sorted by row, equal rows summed → published as under way in the
//! writer's slot → one compare-and-swap a row → a record of the hold → [`Hold`]. A reservation of one row is decided by that
//! one compare-and-swap and publishes nothing.
//!
//! # What a refusal says
//!
//! A thread that finds too little in a row cannot tell at once whether the units are gone or only in the hands of a
//! reservation that may yet fail on another row and give them back. So:
//!
//! - [`ReserveRefused::Short`] is final: there was an instant, during the call, at which the row had too little and nobody's
//!   unfinished reservation, release or movement had a part in it.
//! - [`ReserveRefused::Contended`] says that another call in flight explains the shortage, or that the row changed under
//!   every look. Nothing was taken; trying again soon may succeed.
//!
//! With that, the calls of all threads are linearizable: they answer as if each had happened at one instant between its
//! start and its end. `ORDERINGS.md` gives the argument; loom's tests walk the interleavings.
//!
//! # Bounds
//!
//! [`WRITERS_MAX`] writers, [`LINES_MAX`](crate::LINES_MAX) lines, [`Capacity`] rows and records of holds,
//! [`UNITS_MAX`] on hand in a row, [`TRIES_MAX`] looks at a row that keeps changing. At each the call is
//! refused and changes nothing. Memory: 64 bytes a row and 4 for the index, 64 bytes a hold of up to six rows, made in chunks
//! as they are needed. No other allocation after a [`Writer`] is made, except an answer of more than four lines.
//!
//! # Progress
//!
//! Reserving, committing and releasing are lock-free: a thread stopped anywhere stops no other (at worst its rows answer
//! `Contended` instead of `Short` until it goes on). Two things wait: making a new chunk of memory, and
//! [`open_row`](SharedLedger::open_row), which takes a lock among its own kind.
//!
//! # Example
//!
//! ```
//! use inventory_ledger::shared::{Capacity, ReserveRefused, SharedLedger};
//! use inventory_ledger::{Line, Location, Sku, Units};
//!
//! let ledger = SharedLedger::new(Capacity::default());
//! let (ink, berlin) = (Sku(1), Location(10));
//! ledger.open_row(ink, berlin)?;
//! ledger.writer().expect("the first of WRITERS_MAX").receive(ink, berlin, Units(5))?;
//!
//! // Eight threads want one each; five get it.
//! let one = [Line { sku: ink, location: berlin, quantity: Units(1) }];
//! let holds: Vec<_> = std::thread::scope(|scope| {
//!     let buyer = || {
//!         let mut writer = ledger.writer().expect("fewer than WRITERS_MAX");
//!         loop {
//!             match writer.reserve(&one) {
//!                 Ok(reserved) => break Some(reserved.hold),
//!                 Err(ReserveRefused::Contended { .. }) => std::hint::spin_loop(),
//!                 Err(refused) => {
//!                     assert!(matches!(refused, ReserveRefused::Short { index: 0, .. }));
//!                     break None;
//!                 }
//!             }
//!         }
//!     };
//!     let threads: Vec<_> = (0..8).map(|_| scope.spawn(buyer)).collect();
//!     threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
//! });
//! assert_eq!(holds.len(), 5);
//!
//! // A hold is resolved once, by whoever has its handle.
//! let mut writer = ledger.writer().expect("the buyers' writers are gone");
//! writer.commit(holds[0])?;
//! assert!(writer.release(holds[0]).is_err());
//! writer.release(holds[1])?;
//! let row = ledger.row(ink, berlin).expect("opened above");
//! assert_eq!((row.available, row.held, row.committed), (Units(1), Units(3), Units(1)));
//! ledger.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod check;
mod holds;
mod movements;
mod near;
mod registry;
mod rows;
mod writer;

#[cfg(test)]
mod linear;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

pub use self::answers::{Broken, MoveRefused, OpenRefused, ReserveRefused, Reserved, Stale};
pub use self::holds::Hold;
pub use self::registry::WRITERS_MAX;
pub use self::writer::{TRIES_MAX, Writer};

use self::holds::Slab;
use self::registry::Registry;
use self::rows::SharedRow;
use crate::chunks::Chunks;
use crate::index::{self, KeyIndex, RowKey};
use crate::sync::Turn;
use crate::{Location, Row, Sku, Units};

#[cfg(doc)]
use crate::UNITS_MAX;

/// Rows in one chunk: 64 KiB.
const ROWS_CHUNK: usize = if cfg!(loom) { 2 } else { 1 << 10 };

/// How much one shared ledger may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Rows; at the limit another is refused. At most 2³¹ − 2.
    pub rows_max: u32,
    /// Records of holds, one for each hold of up to six rows and one more for every further six. At the limit a reservation is
    /// refused as `Full`; up to 128 free records in the hands of every other writer do not count as free. At most 2³¹ − 2.
    pub records_max: u32,
}

impl Default for Capacity {
    /// 4 Mi rows and 4 Mi records: at most 528 MiB, if all are used.
    fn default() -> Self {
        Self { rows_max: 1 << 22, records_max: 1 << 22 }
    }
}

/// Rows and holds that several threads change. A handle: clones are the same ledger, which lives as long as the last of them
/// or of their writers.
#[derive(Clone)]
pub struct SharedLedger {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Chunks<SharedRow, ROWS_CHUNK>,
    index: KeyIndex,
    /// Held while a row is opened: tables and index have one writer at a time.
    opening: Turn,
    slab: Slab,
    registry: Registry,
}

impl SharedLedger {
    /// An empty ledger. Allocates directories only, about 16 bytes for every 64 KiB of the capacity, and the writers' slots.
    ///
    /// # Panics
    /// If a capacity is more than its own limit.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self::with_seed(capacity, 0)
    }

    /// The same with a seed for the index. Its hash is fast, not cryptographic: where strangers choose the SKUs, give a
    /// secret seed, or they can make look-ups slow. No answer depends on it.
    ///
    /// # Panics
    /// If a capacity is more than its own limit.
    #[must_use]
    pub fn with_seed(capacity: Capacity, seed: u64) -> Self {
        let Capacity { rows_max, records_max } = capacity;
        assert!(records_max <= index::LEN_MAX, "{records_max} records; at most {}", index::LEN_MAX);
        let inner = Inner {
            rows: Chunks::new(rows_max),
            index: KeyIndex::new(rows_max, seed),
            opening: Turn::new(),
            slab: Slab::new(records_max),
            registry: Registry::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A writer for one thread, or `None` while [`WRITERS_MAX`] of them live. Keep it: its making allocates.
    #[must_use]
    pub fn writer(&self) -> Option<Writer> {
        Writer::new(Arc::clone(&self.inner))
    }

    /// Makes an empty row unless there is one; says whether it did. Waits for other threads that open rows, and for nobody
    /// else; reservations go on meanwhile.
    ///
    /// # Errors
    /// `Full`: there are [`Capacity::rows_max`] rows.
    pub fn open_row(&self, sku: Sku, location: Location) -> Result<bool, OpenRefused> {
        let key = RowKey { sku, location };
        let Inner { rows, index, opening, .. } = &*self.inner;
        // A thread that panicked here left at most a row that is not linked, which nobody sees.
        let _one_at_a_time = opening.take();
        if index.find(rows, key).is_some() {
            return Ok(false);
        }
        let at = rows.push(|row| row.key.set(key)).ok_or(OpenRefused::Full)?;
        index.insert(rows, at);
        Ok(true)
    }

    /// What is free in a row at this instant; zero if there is no such row. Wait-free, one load beside the look-up.
    ///
    /// For showing, not for deciding: it does not wait for reservations in flight, and reads of several rows are no snapshot.
    #[must_use]
    pub fn available(&self, sku: Sku, location: Location) -> Units {
        self.inner.find(RowKey { sku, location }).map_or(Units(0), |(_, row)| row.available())
    }

    /// A row's columns. Each is exact at some instant of the call; while others change the row they may not add up, and
    /// `held`, which is derived from the others, is exact only when nobody does. Wait-free.
    #[must_use]
    pub fn row(&self, sku: Sku, location: Location) -> Option<Row> {
        self.inner.find(RowKey { sku, location }).map(|(_, row)| row.view())
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.inner.rows.len()
    }
}

impl Inner {
    fn find(&self, key: RowKey) -> Option<(u32, &SharedRow)> {
        let at = self.index.find(&self.rows, key)?;
        Some((at, self.rows.get(at)))
    }
}

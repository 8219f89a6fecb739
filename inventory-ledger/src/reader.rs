//! Reading stock from other threads while the ledger goes on.
//!
//! Path: [`Ledger::reader`](crate::Ledger::reader) → cloned to any thread → look-up → one load, or all columns between two loads
//! of the row's sequence. Readers write nothing and wait for nobody but a writer in the middle of one row.

use std::sync::Arc;

use crate::rows::Rows;
use crate::{Location, Row, Sku, Units};

/// A handle for reading rows from any thread, cheap to clone.
///
/// What it reads is as fresh as the memory: there is no promise that two reads belong together, nor that what is available can
/// still be had; a hold decides. It stays valid when the ledger is dropped, and then shows the last state.
#[derive(Clone, Debug)]
pub struct Reader {
    rows: Arc<Rows>,
}

impl Reader {
    pub(crate) fn new(rows: Arc<Rows>) -> Self {
        Self { rows }
    }

    /// What can be held of one SKU at one location; zero if there is no such row. Wait-free, O(1).
    #[must_use]
    pub fn available(&self, sku: Sku, location: Location) -> Units {
        self.rows.find(sku, location).map_or(Units(0), |ix| self.rows.available(ix))
    }

    /// The columns of one row as they stood together at one instant, or `None` if it was never opened. O(1); looks again while
    /// the writer is in the middle of that row.
    #[must_use]
    pub fn row(&self, sku: Sku, location: Location) -> Option<Row> {
        Some(self.rows.whole(self.rows.find(sku, location)?))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use crate::{HoldId, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Sku, Units};

    #[test] // No unit appears or vanishes between the columns, whenever somebody looks.
    fn readers_see_whole_rows_while_the_ledger_writes() {
        let (sku, place) = (Sku(1), Location(2));
        let mut ledger = Ledger::new(Limits::default());
        let reader = ledger.reader();
        assert_eq!((reader.row(sku, place), reader.available(sku, place)), (None, Units(0)));
        ledger.open_row(Millis(0), MovementId(1), sku, place, Units(100)).unwrap();
        thread::scope(|scope| {
            let looking = scope.spawn({
                let reader = reader.clone();
                move || {
                    let mut last = 0;
                    while last < 100 {
                        let row = reader.row(sku, place).expect("it was opened before");
                        assert_eq!(row.on_hand(), Units(100));
                        assert!(reader.available(sku, place) <= Units(100) && row.committed.0 >= last);
                        last = row.committed.0;
                    }
                }
            });
            let line = [Line { sku, location: place, quantity: Units(1) }];
            for n in 0..=19_800 {
                let id = HoldId(n);
                ledger.hold(Millis(0), &HoldRequest::new(id, Owner(1), &line, 10)).unwrap();
                if n % 200 == 0 {
                    ledger.commit(Millis(0), id).map(drop).unwrap();
                } else {
                    ledger.release(Millis(0), id).map(drop).unwrap();
                }
                // Rows that come meanwhile are found, by whoever looks.
                let other = Sku(10 + n);
                ledger.adjust(Millis(0), MovementId(10 + n), other, place, 3, crate::Reason(0)).unwrap();
                assert_eq!(reader.available(other, place), Units(3));
            }
            looking.join().expect("the reader agrees");
        });
        drop(ledger);
        assert_eq!(reader.row(sku, place).map(|row| row.committed), Some(Units(100)));
    }
}

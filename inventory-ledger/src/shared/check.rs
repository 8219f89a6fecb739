//! The second opinion on a shared ledger: sums the open holds and compares with the rows.

use super::holds::HeldLine;
use super::rows::Counter;
use super::{Broken, SharedLedger};

impl SharedLedger {
    /// Compares every row with the open holds: on hand = available + held + committed + unavailable, where `held` is summed
    /// from the holds; and the index with the rows. O(rows + records). Only at a quiet moment, when no thread is inside a
    /// call: otherwise it may report what is merely under way.
    ///
    /// # Errors
    /// Names the first row that breaks, in order of opening, or what else is wrong.
    pub fn check(&self) -> Result<(), Broken> {
        let inner = &*self.inner;
        if let Some(writer) = inner.registry.busy() {
            return Err(Broken::Busy { writer });
        }
        let mut held = vec![0_u64; inner.rows.len() as usize];
        let mut lines = Vec::new();
        for hold in inner.slab.holds() {
            if inner.slab.look(hold, &mut lines).is_some() {
                lines.iter().for_each(|&HeldLine { row, units }| held[row as usize] += u64::from(units.0));
            }
        }
        for (at, held) in (0..).zip(held) {
            let row = inner.rows.get(at);
            let [on_hand, committed, unavailable] =
                [Counter::OnHand, Counter::Committed, Counter::Unavailable].map(|of| u64::from(row.count(of).0));
            let available = u64::from(row.available().0);
            if on_hand != available + held + committed + unavailable {
                let key = row.key.get();
                return Err(Broken::Row { sku: key.sku, location: key.location, on_hand, available, held, committed, unavailable });
            }
        }
        if inner.index.is_sound(&inner.rows) { Ok(()) } else { Err(Broken::Index) }
    }
}

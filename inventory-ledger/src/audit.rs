//! The second opinion: recomputes from the holds and movements what the columns must be, and fingerprints the whole state.
//!
//! Read first: `Ledger::check`. Both walk everything: for tests, start-up and operators, not for the path of an order.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::hash::Fingerprint;
use crate::record::State;
use crate::{Broken, Ledger, Sku, UNITS_MAX};

impl Ledger {
    /// Compares every row with the books: `held`, `committed` and `backordered` with the holds, what is on hand with the movements, `unavailable`
    /// with its reasons, `incoming` and `in_transit` with what open announcements and shipments have left; of every SKU, that what
    /// shipments brought to its rows, less what they took, with what is in transit and what was lost, is nothing: no unit appears
    /// or vanishes on the way; and every row and hold with the indexes and lists it must be found in.
    /// O(rows + holds + lines).
    ///
    /// # Errors
    /// Names the first row that breaks, in order of insertion, or else what is wrong with the indexes or the holds.
    pub fn check(&self) -> Result<(), Broken> {
        #[derive(Clone, Copy, Default)]
        struct Owed {
            held: u64,
            committed: u64,
            incoming: u64,
            in_transit: u64,
            backordered: u64,
        }
        let mut owed = vec![Owed::default(); self.rows.len() as usize];
        for place in self.holds.iter() {
            let state = self.holds.record(place).state;
            let id = self.holds.record(place).id();
            let backs = self.holds.backorders.of(id);
            if let Some(purchase) = self.holds.purchases.holds.get(&id) {
                let held = self.holds.lines(place);
                if purchase.units.iter().any(|&(sku, units)| units != self.units_of(place, &held, sku)) {
                    return Err(Broken::Purchases);
                }
            }
            for (at, line) in self.holds.lines(place).iter().enumerate() {
                let Some(owed) = line.row.map(|row| &mut owed[row.0 as usize]) else { continue };
                owed.backordered += backs.get(at).map_or(0, |back| u64::from(back.owed));
                match state {
                    State::Held | State::Pinned => owed.held += u64::from(line.taken) + u64::from(self.holds.filled(place, at)),
                    State::Committed => owed.committed += u64::from(line.left()),
                    State::Free => {}
                }
            }
        }
        for line in self.announcements.values().flat_map(|open| &open.lines) {
            owed[line.row as usize].incoming += u64::from(line.left.0);
        }
        for line in self.shipments.values().flat_map(|open| &open.lines) {
            owed[line.to as usize].in_transit += u64::from(line.left.0);
        }
        let mut carried: BTreeMap<Sku, i128> = BTreeMap::new();
        for (ix, owed) in self.rows.iter().zip(owed) {
            let ((sku, location), row) = (self.rows.key(ix), self.rows.row(ix));
            let columns = [row.available, row.held, row.committed, row.unavailable];
            let on_hand: u64 = columns.iter().map(|units| u64::from(units.0)).sum();
            let detached = u64::from(self.rows.detached(ix).0);
            let cold = self.rows.cold(ix);
            let apart: u64 = cold.iter().flat_map(|cold| cold.apart).map(|units| u64::from(units.0)).sum();
            if let Some(cold) = cold {
                if cold.row != ix {
                    return Err(Broken::RowIndex);
                }
                *carried.entry(sku).or_default() += i128::from(cold.carried) + i128::from(row.in_transit.0) + i128::from(cold.lost);
            }
            for (column, found, wanted) in [
                ("held", u64::from(row.held.0), owed.held),
                ("committed", u64::from(row.committed.0), owed.committed + detached),
                ("on_hand", on_hand, u64::from(self.rows.booked(ix).0.min(UNITS_MAX.0))),
                ("unavailable", u64::from(row.unavailable.0), apart),
                ("incoming", u64::from(row.incoming.0), owed.incoming),
                ("in_transit", u64::from(row.in_transit.0), owed.in_transit),
                ("backordered", u64::from(row.backordered.0), owed.backordered),
            ] {
                if found != wanted {
                    return Err(Broken::Column { sku, location, column, found, wanted });
                }
            }
            if self.rows.find(sku, location) != Some(ix) {
                return Err(Broken::Unindexed { sku, location });
            }
        }
        if let Some((&sku, &units)) = carried.iter().find(|(_, units)| **units != 0) {
            return Err(Broken::Carried { sku, units });
        }
        if !self.rows.is_sound() {
            return Err(Broken::RowIndex);
        }
        self.holds.check()
    }

    /// A fingerprint of the whole state, except the list of undrained changes: equal after equal histories, in any process, and
    /// independent of where things are in memory. Two ledgers with equal digests have equal snapshots but for an accident.
    ///
    /// For comparing replicas and replays made by the same build; the value is not for storing, and not against forgery.
    /// O(everything kept). Source: the finalizer of SplitMix64 (Steele, Lea, Flood 2014) chained over 64-bit words.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut state = Fingerprint::default();
        self.save().for_each(|item| item.hash(&mut state));
        state.finish()
    }
}

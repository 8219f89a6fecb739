//! The second opinion: recomputes from the holds and movements what the columns must be, and fingerprints the whole state.
//!
//! Read first: `Ledger::check`. Both walk everything: for tests, start-up and operators, not for the path of an order.

use std::hash::{Hash, Hasher};

use crate::holds::State;
use crate::{Broken, Ledger, UNITS_MAX};

impl Ledger {
    /// Compares every row with the books: `held` and `committed` with the holds, what is on hand with the movements, and
    /// every row and hold with the indexes it must be found in. O(rows + holds + lines).
    ///
    /// # Errors
    /// Names the first row that breaks, in order of insertion, or else what is wrong with the holds.
    pub fn check(&self) -> Result<(), Broken> {
        #[derive(Clone, Copy, Default)]
        struct Owed {
            held: u64,
            committed: u64,
        }
        let mut owed = vec![Owed::default(); self.rows.len() as usize];
        for record in self.holds.iter() {
            for line in &record.lines {
                let owed = &mut owed[line.row.0 as usize];
                match record.state {
                    State::Held | State::Pinned => owed.held += u64::from(line.quantity.0),
                    State::Committed => owed.committed += u64::from(line.left().0),
                    State::Restocked | State::Forgotten | State::Released | State::Expired => {}
                }
            }
        }
        for (dense, owed) in self.rows.iter().zip(owed) {
            let (sku, location, row) = (dense.sku, dense.location, dense.row);
            let columns = [row.available, row.held, row.committed, row.unavailable];
            let on_hand: u64 = columns.iter().map(|units| u64::from(units.0)).sum();
            let detached = u64::from(dense.detached.0);
            for (column, found, wanted) in [
                ("held", u64::from(row.held.0), owed.held),
                ("committed", u64::from(row.committed.0), owed.committed + detached),
                ("on_hand", on_hand, u64::from(dense.booked.0.min(UNITS_MAX.0))),
            ] {
                if found != wanted {
                    return Err(Broken::Column { sku, location, column, found, wanted });
                }
            }
            let by_key = self.rows.find(sku, location);
            let listed = |&&ix: &&crate::rows::RowIx| Some(ix) == by_key;
            let found_itself = by_key.is_some_and(|ix| std::ptr::eq(self.rows.dense(ix), dense));
            if !found_itself || self.rows.of_sku(sku).iter().filter(listed).count() != 1 {
                return Err(Broken::Unindexed { sku, location });
            }
        }
        self.holds.check()
    }

    /// A fingerprint of the whole state, except the list of undrained changes: equal after equal histories, in any process.
    ///
    /// For comparing replicas and replays made by the same build; the value is not for storing, and not against forgery.
    /// O(everything kept). Source: the finalizer of SplitMix64 (Steele, Lea, Flood 2014) chained over 64-bit words.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut state = Fingerprint(0);
        self.now.hash(&mut state);
        for dense in self.rows.iter() {
            (dense.sku, dense.location, dense.row).hash(&mut state);
            (dense.booked, dense.detached).hash(&mut state);
        }
        // Holds are added up, so that the places they happen to have in memory do not count.
        let of_record = |record| {
            let mut of_record = Fingerprint(0);
            Hash::hash(record, &mut of_record);
            of_record.finish()
        };
        let holds = self.holds.iter().map(of_record);
        holds.fold(0_u64, u64::wrapping_add).hash(&mut state);
        for until_and_id in self.holds.ended().chain(self.holds.tombstones()) {
            until_and_id.hash(&mut state);
        }
        for remembered in self.movements.iter() {
            remembered.hash(&mut state);
        }
        let kept = self.usage();
        for count in [kept.rows, kept.holds, kept.tombstones, kept.movements] {
            count.hash(&mut state);
        }
        state.finish()
    }
}

/// A hasher without a seed, fed a word at a time, the same on every platform.
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let mut mixed = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word.cast_unsigned());
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64((word as i64).cast_unsigned());
    }
}

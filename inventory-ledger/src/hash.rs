//! Hashing without surprises: the places of an id and of a row in their indexes, the fingerprint of a hold's body, the fingerprint of a state.
//!
//! Source: a multiplication of two words to 128 bits, its halves folded by exclusive or, as in wyhash (Wang Yi) and foldhash
//! (Peters); the state's fingerprint is the finalizer of SplitMix64 (Steele, Lea, Flood 2014), chained. None of them resists an
//! adversary who knows the seed, so the index takes one from its caller. Fingerprints go into snapshots: they have no seed, and
//! their definition may only change together with the format of whoever stores them.

use std::hash::Hasher;

use crate::index::RowKey;
use crate::{Customer, HoldId, IdKind, Line, Owner};

/// Odd constants with their bits well spread: the fraction of the golden ratio, and three of SplitMix64 and its kin.
const SPREAD: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Where an id stands in an index: all bits of it count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdHash {
    seed: [u64; 2],
}

impl IdHash {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: [seed ^ SPREAD[0], fold(seed ^ SPREAD[1], SPREAD[2]) | 1] }
    }

    #[inline]
    pub(crate) fn of(self, id: HoldId) -> u32 {
        let mixed = fold(id.0 as u64 ^ self.seed[0], (id.0 >> 64) as u64 ^ self.seed[1]);
        (fold(mixed ^ SPREAD[3], SPREAD[0]) >> 32) as u32
    }
}

/// Where a row stands in an index: all bits of its key count, and the low bits of the hash are spread best.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash {
    seed: [u64; 3],
}

impl KeyHash {
    pub(crate) fn new(seed: u64) -> Self {
        let IdHash { seed: [a, b] } = IdHash::new(seed);
        Self { seed: [a, b, fold(b, SPREAD[3]) | 1] }
    }

    #[inline]
    pub(crate) fn of(self, RowKey { sku, location }: RowKey) -> u32 {
        let sku = fold(sku.0 as u64 ^ self.seed[0], (sku.0 >> 64) as u64 ^ self.seed[1]);
        fold(sku ^ location.0.rotate_left(32), self.seed[2]) as u32
    }
}

/// What a hold asked, boiled down to 64 bits: two bodies under one id are told apart but for an accident of 2⁻⁶⁴.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyHash(u64);

impl BodyHash {
    pub(crate) fn new(owner: Owner, ttl_ms: u32, kind: IdKind, partial: bool, in_doubt: bool) -> Self {
        let timed = match kind {
            IdKind::Opaque => 0,
            IdKind::Timed => 1_u64,
        };
        let options = timed | u64::from(partial) << 1 | u64::from(in_doubt) << 2;
        let mut hash = Self(SPREAD[1]);
        hash.words(owner.0 as u64, (owner.0 >> 64) as u64);
        hash.words(u64::from(ttl_ms), options);
        hash
    }

    /// Only of a hold that has one: others have the fingerprint that they would have without customers.
    pub(crate) fn customer(&mut self, customer: Customer) {
        self.words(customer.0 as u64, !((customer.0 >> 64) as u64));
    }

    pub(crate) fn line(&mut self, line: &Line) {
        self.words(line.sku.0 as u64, (line.sku.0 >> 64) as u64);
        self.words(line.location.0, u64::from(line.quantity.0));
    }

    pub(crate) fn finish(self) -> u64 {
        fold(self.0 ^ SPREAD[2], SPREAD[3])
    }

    fn words(&mut self, a: u64, b: u64) {
        self.0 = fold(self.0 ^ a, b ^ SPREAD[0]).wrapping_add(self.0.rotate_left(23));
    }
}

/// A hasher without a seed, fed a word at a time, the same on every platform.
#[derive(Default)]
pub(crate) struct Fingerprint(u64);

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
        let mut mixed = (self.0 ^ word).wrapping_add(SPREAD[0]);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(SPREAD[1]);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(SPREAD[2]);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{BodyHash, IdHash};
    use crate::{HoldId, IdKind, Line, Location, Owner, Sku, Units};

    #[test] // Ids that differ in few bits, low or high, still spread over the top bits, which choose the segment.
    fn close_ids_are_spread() {
        let hash = IdHash::new(0);
        for shift in [0, 40, 64, 80, 112] {
            let mut tops = [0_u32; 256];
            for n in 0..65_536_u128 {
                tops[(hash.of(HoldId(n << shift)) >> 24) as usize] += 1;
            }
            let (least, most) = (tops.iter().min().unwrap(), tops.iter().max().unwrap());
            assert!(*least > 128 && *most < 512, "256 each on average, found {least}..{most} at shift {shift}");
        }
    }

    #[test] // One thing changed at a time, each tells.
    fn bodies_differ_by_each_part() {
        let line = |sku, location, quantity| Line { sku: Sku(sku), location: Location(location), quantity: Units(quantity) };
        let body = |owner, ttl_ms, kind, partial, in_doubt, lines: &[Line]| {
            let mut hash = BodyHash::new(Owner(owner), ttl_ms, kind, partial, in_doubt);
            lines.iter().for_each(|line| hash.line(line));
            hash.finish()
        };
        let (opaque, timed) = (IdKind::Opaque, IdKind::Timed);
        let (a, b) = (line(1, 2, 3), line(4, 5, 6));
        let all = [
            body(1, 10, opaque, false, false, &[a, b]),
            body(2, 10, opaque, false, false, &[a, b]),
            body(1 << 64, 10, opaque, false, false, &[a, b]),
            body(1, 11, opaque, false, false, &[a, b]),
            body(1, 10, timed, false, false, &[a, b]),
            body(1, 10, opaque, true, false, &[a, b]),
            body(1, 10, opaque, false, true, &[a, b]),
            body(1, 10, opaque, false, false, &[b, a]),
            body(1, 10, opaque, false, false, &[a]),
            body(1, 10, opaque, false, false, &[a, b, b]),
            body(1, 10, opaque, false, false, &[line(1, 2, 4), b]),
            body(1, 10, opaque, false, false, &[line(1, 3, 2), b]),
            body(1, 10, opaque, false, false, &[line(1 << 64, 2, 3), b]),
        ];
        assert_eq!(BTreeSet::from(all).len(), all.len());
    }
}

//! Chance from a seed: everything random in a run comes from here, so a seed is a run.
//!
//! splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, every seed good. Streams of their own are forked by a tag, so that what one part of a run
//! draws does not shift what the others draw: a run stays much the same when a client's operation or a fault is masked out of it.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// Mixes all bits of a word into all others.
pub(super) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Random {
    /// The stream of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    /// Another stream, told apart from this one and its other forks by `tag`; this one does not move.
    pub(super) fn fork(&self, tag: u64) -> Self {
        Self(mix(self.0 ^ mix(tag.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `end`, which is above 0. The bias is below 2^-32 for the small ends that are asked for.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A place in a list of `len`, which is above 0.
    pub(super) fn place(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// `from..=to`.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// The same in 32 bits.
    pub(super) fn between32(&mut self, from: u32, to: u32) -> u32 {
        self.between(u64::from(from), u64::from(to)) as u32
    }

    /// True so many times in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }

    pub(super) fn u128(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Kept seeds name runs: another sequence would make them name others.
    fn the_sequence_is_frozen_and_forks_do_not_move_it() {
        let mut random = Random::new(1);
        let _other = random.fork(7).next();
        let drawn = [random.next(), random.below(1_000), random.between(5, 6)];
        let mut again = Random::new(1);
        assert_eq!(drawn, [again.next(), again.below(1_000), again.between(5, 6)]);
        assert_ne!(random.fork(1).next(), random.fork(2).next());
        assert!((0..1_000).all(|_| (5..=6).contains(&random.between(5, 6))));
        assert_eq!((0..10_000).filter(|_| random.chance(0)).count(), 0);
        assert!((800..1_200).contains(&(0..10_000).filter(|_| random.chance(100)).count()));
    }
}

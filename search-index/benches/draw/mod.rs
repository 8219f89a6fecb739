//! Words by a Zipf-like draw, so that lists are as uneven as in a catalogue.

pub(crate) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// xorshift64*: the same corpus everywhere.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Below `end`, all alike.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Low numbers often, high ones rarely.
    pub(crate) fn skewed(&mut self, end: u64) -> u64 {
        let bits = self.below(u64::from(64 - end.leading_zeros()) + 1);
        self.below(1 << bits).min(end - 1)
    }

    /// Some words, few of them often and many of them rarely.
    pub(crate) fn text(&mut self, words: u64) -> String {
        let words: Vec<String> = (0..words).map(|_| word(self.skewed(1 << 14))).collect();
        words.join(" ")
    }
}

/// A word by its number.
pub(crate) fn word(n: u64) -> String {
    const SYLLABLES: [&str; 16] = ["ka", "lo", "mi", "ru", "ta", "no", "be", "du", "fo", "gi", "ha", "ju", "pe", "so", "vi", "zo"];
    let syllable = |at: u32| SYLLABLES[(n >> (4 * at)) as usize % 16];
    (0..3 + (n % 2) as u32).map(syllable).collect()
}

//! A plain set of rows: one bit a row, for match sets that live as long as one query and for the rows in use.
//!
//! Stored sets that may be sparse are roaring; a match set is read once by every filter and facet, and there a word at a time wins.

use crate::budget::Meter;
use crate::pieces::{PIECE_ROWS, Pieces};

/// Words that are gone through at once.
const BLOCK_WORDS: usize = 64;
const _: () = assert!(BLOCK_WORDS * 64 == PIECE_ROWS, "a block of rows is in one piece of a column");

/// Rows `0..64 · words`; rows beyond are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bitset {
    words: Vec<u64>,
}

impl Bitset {
    /// Room for rows `0..rows`, all absent.
    pub(crate) fn with_rows(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)] }
    }

    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Adds a row, growing as needed.
    pub(crate) fn insert(&mut self, row: u32) {
        let at = row as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] |= 1 << (row % 64);
    }

    pub(crate) fn remove(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether there is any row.
    pub(crate) fn any(&self) -> bool {
        self.words.iter().any(|word| *word != 0)
    }

    /// Keeps what both have.
    pub(crate) fn and(&mut self, other: &Self) {
        let common = self.words.len().min(other.words.len());
        self.words.truncate(common);
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    /// Adds what the other has.
    pub(crate) fn or(&mut self, other: &Self) {
        self.words_mut(0, other.words.len()).iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Takes out what the other has.
    pub(crate) fn and_not(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    /// 64 rows each.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// So many words of 64 rows each, growing as needed.
    pub(crate) fn words_mut(&mut self, at: usize, words: usize) -> &mut [u64] {
        if self.words.len() < at + words {
            self.words.resize(at + words, 0);
        }
        &mut self.words[at..at + words]
    }

    /// Whether a row is in one of so many words.
    pub(crate) fn any_in(&self, at: usize, words: usize) -> bool {
        let end = (at + words).min(self.words.len());
        self.words.get(at..end).is_some_and(|words| words.iter().any(|word| *word != 0))
    }

    /// The 64 rows from `64 · at` on.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// Calls `visit` with the rows in ascending order, as far as the budget goes; each costs so much.
    pub(crate) fn each(&self, meter: &Meter, cost: u64, mut visit: impl FnMut(u32)) {
        self.each_block(meter, cost, |block, words| {
            for (at, &word) in (0_u32..).zip(words) {
                (Ones { word, base: (block as u32 * BLOCK_WORDS as u32 + at) * 64 }).for_each(&mut visit);
            }
        });
    }

    /// As [`Bitset::each`], with what the column has of each row: a piece of it is looked up once for all rows in it.
    pub(crate) fn each_of<T: Copy>(&self, column: &Pieces<T>, meter: &Meter, cost: u64, mut visit: impl FnMut(u32, T)) {
        self.each_block(meter, cost, |block, words| {
            let piece = column.piece(block);
            for (at, &word) in (0_u32..).zip(words) {
                let ones = Ones { word, base: (block as u32 * BLOCK_WORDS as u32 + at) * 64 };
                ones.for_each(|row| visit(row, piece[row as usize % PIECE_ROWS]));
            }
        });
    }

    /// Calls `visit` with the number and the words of each block that has rows.
    fn each_block(&self, meter: &Meter, cost: u64, mut visit: impl FnMut(usize, &[u64])) {
        for (block, words) in self.words.chunks(BLOCK_WORDS).enumerate() {
            let rows: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
            if rows > 0 {
                if !meter.may_spend(rows * cost + BLOCK_WORDS as u64) {
                    return;
                }
                visit(block, words);
            }
        }
    }

    /// Rows in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(at, &word)| Ones { word, base: at * 64 })
    }
}

/// The set bits of one word, as rows from `base` on.
pub(crate) struct Ones {
    pub(crate) word: u64,
    pub(crate) base: u32,
}

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.base + bit)
    }
}

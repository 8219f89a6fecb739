//! Where rows of one category lie together: for each 64 rows in a row, the category path of all that are in use, if it is one.
//!
//! Path: a row enters with its path → [`Stretches::enter`] → a filter or facet on categories reads a set of rows 64 at a time.
//! Bulk loads put the documents of a path side by side, so nearly all stretches are of one; documents written later leave stretches that are mixed, whose rows
//! are looked at one by one.

use crate::bitset::Bitset;
use crate::budget::{Meter, cost};

/// Rows of a stretch.
const ROWS: u32 = 64;
/// Stretches that are gone through at once.
const STRETCHES: usize = 64;
/// In the place of a path's id: rows of several.
const MIXED: u32 = u32::MAX - 1;

/// By stretch, a path's id or `NO_ID`, or [`MIXED`].
#[derive(Default)]
pub(crate) struct Stretches(Vec<u32>);

impl Stretches {
    /// Notes the path of a row that comes into use; `live` are those in use beside it.
    pub(crate) fn enter(&mut self, row: u32, path: u32, live: &Bitset) {
        debug_assert!(path != MIXED, "there are never so many paths");
        let at = (row / ROWS) as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, MIXED);
        }
        if live.word(at) & !(1 << (row % ROWS)) == 0 {
            self.0[at] = path;
        } else if self.0[at] != path {
            self.0[at] = MIXED;
        }
    }

    /// Calls `visit(path, word of rows, place of the word)` for all rows of a set that are in use; a row of a mixed stretch comes alone, its path
    /// told by `path_of`. The set's rows are all in use. It goes as far as the budget does.
    pub(crate) fn each(&self, set: &Bitset, meter: &Meter, path_of: impl Fn(u32) -> u32, mut visit: impl FnMut(u32, u64, usize)) {
        for (block, words) in set.words().chunks(STRETCHES).enumerate() {
            if !meter.may_go_on() {
                return;
            }
            let mut visits = 0;
            for (at, &word) in (block * STRETCHES..).zip(words).filter(|(_, word)| **word != 0) {
                match self.0.get(at) {
                    Some(&path) if path != MIXED => {
                        visits += 1;
                        visit(path, word, at);
                    }
                    Some(_) | None => {
                        visits += u64::from(word.count_ones());
                        let mut rest = word;
                        while rest != 0 {
                            let bit = rest & rest.wrapping_neg();
                            rest ^= bit;
                            visit(path_of(at as u32 * ROWS + bit.trailing_zeros()), bit, at);
                        }
                    }
                }
            }
            meter.charge(visits * 2 * cost::COLUMN + STRETCHES as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_comes_with_its_path() {
        let (mut stretches, mut live, mut paths) = (Stretches::default(), Bitset::default(), vec![0_u32; 1_000]);
        let mut enter = |live: &mut Bitset, paths: &mut Vec<u32>, row: u32, path: u32| {
            stretches.enter(row, path, live);
            live.insert(row);
            paths[row as usize] = path;
        };
        for row in 0..700 {
            enter(&mut live, &mut paths, row, row / 200);
        }
        // A whole stretch goes and is used again by another path, a row of the next goes and comes back as another.
        (64..128).chain([130]).for_each(|row| live.remove(row));
        for row in 64..100 {
            enter(&mut live, &mut paths, row, 9);
        }
        enter(&mut live, &mut paths, 130, 8);
        enter(&mut live, &mut paths, 900, 7);
        let (mut seen, mut whole) = (Vec::new(), 0);
        stretches.each(
            &live,
            &Meter::unlimited(),
            |row| paths[row as usize],
            |path, word, at| {
                whole += usize::from(word.count_ones() > 1);
                seen.extend((0..64).filter(|bit| word >> bit & 1 == 1).map(|bit| (at as u32 * 64 + bit, path)));
            },
        );
        assert_eq!(seen, live.iter().map(|row| (row, paths[row as usize])).collect::<Vec<_>>());
        assert_eq!(whole, 7, "of 12 stretches three lie over a border, one was mixed, and one has a single row");
    }
}

//! Columns of one value a row, and lists that are only added to, in pieces that stay where they are.
//!
//! Path: [`Pieces::grow`] (as many pieces as the rows take) → a row by its number, or [`Pieces::piece`] where many rows of one are read; [`Grown::push`] → an entry by its number.
//! A vector that grows moves all that it holds and takes as much room again: at a million rows that holds a shard up for tens of milliseconds. Here growth costs a piece,
//! and no more than a piece is unused. A look-up is one step more than in a vector, and as many checks: the place in a piece is masked.

use std::ops::{Index, IndexMut};

/// Rows of a piece: what sets of rows are gone through by and lists are weighed by, and so few that making one in each column takes some microseconds.
pub(crate) const PIECE_ROWS: usize = 4096;
const _: () = assert!(PIECE_ROWS.is_power_of_two(), "a row is found by shift and mask");

/// See the module.
pub(crate) struct Pieces<T>(Vec<Box<[T; PIECE_ROWS]>>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Pieces<T> {
    /// Makes room for rows `0..end`, of which those that are new have this value.
    pub(crate) fn grow(&mut self, end: usize, value: T) {
        while self.0.len() * PIECE_ROWS < end {
            let piece = vec![value; PIECE_ROWS].into_boxed_slice();
            self.0.push(piece.try_into().unwrap_or_else(|_| unreachable!("it was made of this length")));
        }
    }

    /// Rows from `at · PIECE_ROWS` on.
    ///
    /// # Panics
    /// Where there is no row: our own bug.
    pub(crate) fn piece(&self, at: usize) -> &[T; PIECE_ROWS] {
        &self.0[at]
    }
}

impl<T> Index<usize> for Pieces<T> {
    type Output = T;

    fn index(&self, row: usize) -> &T {
        &self.0[row / PIECE_ROWS][row % PIECE_ROWS]
    }
}

impl<T> IndexMut<usize> for Pieces<T> {
    fn index_mut(&mut self, row: usize) -> &mut T {
        &mut self.0[row / PIECE_ROWS][row % PIECE_ROWS]
    }
}

/// A list that grows as a vector until it fills a piece, and from then on by pieces: there are thousands of them, of which few are long.
pub(crate) struct Grown<T>(Vec<Vec<T>>);

impl<T> Default for Grown<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Grown<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE_ROWS + last.len())
    }

    /// Adds an entry and answers its number.
    pub(crate) fn push(&mut self, entry: T) -> u32 {
        let number = self.len() as u32;
        if self.0.last().is_none_or(|last| last.len() == PIECE_ROWS) {
            let room = if self.0.is_empty() { 0 } else { PIECE_ROWS };
            self.0.push(Vec::with_capacity(room));
        }
        self.0.last_mut().expect("there is one that is not full").push(entry);
        number
    }
}

impl<T> Index<u32> for Grown<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        &self.0[number as usize / PIECE_ROWS][number as usize % PIECE_ROWS]
    }
}

impl<T> IndexMut<u32> for Grown<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.0[number as usize / PIECE_ROWS][number as usize % PIECE_ROWS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_values_and_their_places() {
        let (mut pieces, mut model) = (Pieces::default(), Vec::new());
        let mut places: Vec<*const u32> = Vec::new();
        for end in [0, 1, 2, PIECE_ROWS - 1, PIECE_ROWS, PIECE_ROWS + 1, 5 * PIECE_ROWS - 1, 9 * PIECE_ROWS] {
            pieces.grow(end, 7);
            for row in model.len()..end {
                assert_eq!(pieces[row], 7);
                pieces[row] = row as u32 * 3;
                model.push(row as u32 * 3);
                places.push(&raw const pieces[row]);
            }
            for (row, value) in model.iter().enumerate() {
                assert_eq!((pieces[row], &raw const pieces[row]), (*value, places[row]), "row {row} of {end}");
                assert_eq!(pieces.piece(row / PIECE_ROWS)[row % PIECE_ROWS], *value);
            }
        }
        assert_eq!(pieces.0.len(), 9, "no more than the rows take");
    }

    #[test]
    fn entries_have_the_numbers_they_were_given() {
        let mut grown = Grown::default();
        for number in 0..3 * PIECE_ROWS as u32 + 2 {
            assert_eq!(grown.len(), number as usize);
            assert_eq!(grown.push(number.to_string()), number);
        }
        let full = &raw const grown[PIECE_ROWS as u32];
        grown[PIECE_ROWS as u32].push('!');
        for _ in 0..PIECE_ROWS {
            grown.push(String::new());
        }
        assert_eq!((&*grown[PIECE_ROWS as u32], &raw const grown[PIECE_ROWS as u32]), ("4096!", full));
        assert!((0..3 * PIECE_ROWS as u32).all(|number| number == PIECE_ROWS as u32 || grown[number] == number.to_string()));
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn there_is_nothing_behind_the_last_piece() {
        let mut pieces = Pieces::default();
        pieces.grow(1, 0_u8);
        let _ = pieces[PIECE_ROWS];
    }
}

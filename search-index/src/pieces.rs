//! Columns of one value a row, and lists that are only added to, in pieces that stay where they are.
//!
//! Path: [`Pieces::grow`] (as many pieces as the rows take) → a row by its number, or [`Pieces::piece`] where many rows of one are read; [`Grown::push`] → an entry by its number.
//! A vector that grows moves all that it holds and takes as much room again: at a million rows that holds a shard up for tens of milliseconds. Here growth costs a piece,
//! and no more than a piece is unused. A look-up is one step more than in a vector, and as many checks: the place in a piece is masked.
//! Pieces in which no row has a value of its own are one and the same, so a column that a shop does not use takes no memory.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Rows of a piece: what sets of rows are gone through by and lists are weighed by, and so few that making one in each column takes some microseconds.
pub(crate) const PIECE_ROWS: usize = 4096;
const _: () = assert!(PIECE_ROWS.is_power_of_two(), "a row is found by shift and mask");

/// See the module.
pub(crate) struct Pieces<T> {
    pieces: Vec<Arc<[T; PIECE_ROWS]>>,
    /// One in which no row has a value of its own.
    untouched: Option<Arc<[T; PIECE_ROWS]>>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), untouched: None }
    }
}

impl<T: Copy + PartialEq> Pieces<T> {
    /// Makes room for rows `0..end`, of which those that are new have this value, the same at every call.
    pub(crate) fn grow(&mut self, end: usize, value: T) {
        while self.pieces.len() * PIECE_ROWS < end {
            let untouched = self.untouched.get_or_insert_with(|| {
                let piece: Arc<[T]> = std::iter::repeat_n(value, PIECE_ROWS).collect();
                piece.try_into().unwrap_or_else(|_| unreachable!("it was made of this length"))
            });
            debug_assert!(untouched[0] == value, "rows begin alike");
            self.pieces.push(Arc::clone(untouched));
        }
    }

    /// Gives a row a value. Where it has it already nothing is done, so that the piece stays shared.
    ///
    /// # Panics
    /// As [`Pieces::piece`].
    pub(crate) fn set(&mut self, row: usize, value: T) {
        let piece = &mut self.pieces[row / PIECE_ROWS];
        if piece[row % PIECE_ROWS] != value {
            Arc::make_mut(piece)[row % PIECE_ROWS] = value;
        }
    }
}

impl<T> Pieces<T> {
    /// Rows from `at · PIECE_ROWS` on.
    ///
    /// # Panics
    /// Where there is no row: our own bug.
    pub(crate) fn piece(&self, at: usize) -> &[T; PIECE_ROWS] {
        &self.pieces[at]
    }
}

impl<T> Index<usize> for Pieces<T> {
    type Output = T;

    fn index(&self, row: usize) -> &T {
        &self.pieces[row / PIECE_ROWS][row % PIECE_ROWS]
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
                pieces.set(row, row as u32 * 3);
                model.push(row as u32 * 3);
                places.push(&raw const pieces[row]);
            }
            for (row, value) in model.iter().enumerate() {
                assert_eq!((pieces[row], &raw const pieces[row]), (*value, places[row]), "row {row} of {end}");
                assert_eq!(pieces.piece(row / PIECE_ROWS)[row % PIECE_ROWS], *value);
            }
        }
        assert_eq!(pieces.pieces.len(), 9, "no more than the rows take");
    }

    #[test]
    fn pieces_that_nobody_wrote_are_one() {
        let mut pieces = Pieces::default();
        pieces.grow(4 * PIECE_ROWS, 7);
        pieces.set(2 * PIECE_ROWS, 7);
        let place = |pieces: &Pieces<i32>, piece: usize| pieces.piece(piece).as_ptr();
        assert!((1..4).all(|piece| place(&pieces, piece) == place(&pieces, 0)));
        pieces.set(2 * PIECE_ROWS + 1, 8);
        assert_eq!((pieces[2 * PIECE_ROWS], pieces[2 * PIECE_ROWS + 1], pieces[1], pieces[3 * PIECE_ROWS + 1]), (7, 8, 7, 7));
        assert!(place(&pieces, 2) != place(&pieces, 0) && place(&pieces, 1) == place(&pieces, 3));
        let written = place(&pieces, 2);
        pieces.set(2 * PIECE_ROWS + 1, 7);
        pieces.grow(6 * PIECE_ROWS, 7);
        assert_eq!((pieces[2 * PIECE_ROWS + 1], place(&pieces, 2)), (7, written), "what is written stays where it is");
        assert_eq!(place(&pieces, 5), place(&pieces, 0));
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

//! Words that are a slip of the finger away from what was typed.
//!
//! Path: a word that no document has → [`Near`], an automaton → walked over the forms of each part of the index → forms with their [`Slips`].
//! A slip is a letter too much, too few, another, or two neighbours swapped: Damerau's four (CACM 1964), each part of a word touched once (optimal string
//! alignment). The automaton keeps the few cells of the distance table around the diagonal and the row before, so that a byte of a dictionary costs a
//! handful of comparisons and whole branches end where all cells are too far. Slips are counted in characters, not bytes.

use std::cell::Cell;

use fst::Automaton;
use smallvec::SmallVec;

/// Characters from which a word may have one slip, and two. Shorter ones have too many neighbours that mean something else.
const ONE_SLIP_CHARS_MIN: usize = 4;
const TWO_SLIPS_CHARS_MIN: usize = 8;
/// Slips that are looked for.
const SLIPS_MAX: usize = 2;
/// Cells of the table a row that can be within the slips.
const BAND: usize = 2 * SLIPS_MAX + 1;
/// In a cell: too far.
const FAR: u8 = SLIPS_MAX as u8 + 1;

/// How many slips away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slips {
    One,
    Two,
}

/// How many slips a word may have, if any. Words with digits are names of models, of which each neighbour is another thing.
pub(crate) fn slips_of(word: &str) -> Option<Slips> {
    if !word.chars().all(char::is_alphabetic) {
        return None;
    }
    match word.chars().count() {
        ..ONE_SLIP_CHARS_MIN => None,
        ONE_SLIP_CHARS_MIN..TWO_SLIPS_CHARS_MIN => Some(Slips::One),
        TWO_SLIPS_CHARS_MIN.. => Some(Slips::Two),
    }
}

/// Accepts the forms that are within `slips` of a word, or, while it is still being typed, that begin so.
pub(crate) struct Near {
    word: SmallVec<[char; 32]>,
    slips: u8,
    /// Whether the first letter must be right, as it nearly always is.
    anchored: bool,
    begins: bool,
    /// Bytes that may be read, and those that were.
    steps_max: u64,
    steps: Cell<u64>,
}

impl Near {
    pub(crate) fn new(word: &str, slips: Slips, anchored: bool, begins: bool) -> Self {
        Self { word: word.chars().collect(), slips: slips as u8 + 1, anchored, begins, steps_max: u64::MAX, steps: Cell::new(0) }
    }

    /// Accepts nothing more once so many bytes were read.
    pub(crate) fn within(self, steps_max: u64) -> Self {
        Self { steps_max, ..self }
    }

    /// Bytes read until now.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Whether it read as many as it may, so that forms may have been passed over.
    pub(crate) fn is_spent(&self) -> bool {
        self.steps.get() >= self.steps_max
    }

    /// How far the form is that led here, or what it begins with.
    pub(crate) fn slips(&self, state: &State) -> Option<Slips> {
        let distance = if self.begins { state.best } else { self.distance(state) };
        match distance {
            _ if distance > self.slips => None,
            // Nothing that is the word itself comes here: it would have been found. A longer word that begins with it would too.
            0 | 1 => Some(Slips::One),
            _ => Some(Slips::Two),
        }
    }

    /// Whether a whole form is near: [`Automaton`] for those that are in no dictionary.
    pub(crate) fn of(&self, form: &str) -> Option<Slips> {
        let mut state = self.start();
        for byte in form.bytes() {
            if !self.can_match(&state) {
                return None;
            }
            state = self.accept(&state, byte);
        }
        self.slips(&state)
    }

    /// Between the word and the characters read.
    fn distance(&self, state: &State) -> u8 {
        let column = self.word.len() + SLIPS_MAX;
        if state.partial_left > 0 {
            return FAR;
        }
        column.checked_sub(usize::from(state.depth)).and_then(|cell| state.row.get(cell)).copied().unwrap_or(FAR)
    }

    fn step(&self, state: &State, read: char) -> State {
        let depth = usize::from(state.depth) + 1;
        let mut row = [FAR; BAND];
        // Cell `c` of row `i` is column `i + c - SLIPS_MAX` of the table: the one above is `c + 1` of the row before, the one above and left `c`.
        for cell in 0..BAND {
            let Some(column) = (depth + cell).checked_sub(SLIPS_MAX).filter(|column| *column <= self.word.len()) else { continue };
            let mut least = state.row.get(cell + 1).map_or(FAR, |above| above + 1);
            if cell > 0 {
                least = least.min(row[cell - 1] + 1);
            }
            if let Some(letter) = column.checked_sub(1).map(|at| self.word[at]) {
                least = least.min(state.row[cell] + u8::from(letter != read));
                let swapped = column >= 2 && depth >= 2 && letter == state.last && self.word[column - 2] == read;
                if swapped {
                    least = least.min(state.before[cell] + 1);
                }
            }
            row[cell] = least.min(FAR);
        }
        if self.anchored && depth == 1 && self.word.first() != Some(&read) {
            row = [FAR; BAND];
        }
        let mut next = State {
            row,
            before: state.row,
            last: read,
            depth: state.depth.saturating_add(1),
            best: state.best,
            partial: 0,
            partial_left: 0,
        };
        next.best = next.best.min(self.distance(&next));
        next
    }
}

/// Where a walk is.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// Of the distance table, the cells within [`SLIPS_MAX`] of the diagonal; of the row before, likewise.
    row: [u8; BAND],
    before: [u8; BAND],
    last: char,
    /// Characters read; forms are far shorter than it can count.
    depth: u8,
    /// The least distance on the way here.
    best: u8,
    /// A character of which some bytes are read.
    partial: u32,
    partial_left: u8,
}

impl Automaton for Near {
    type State = State;

    fn start(&self) -> State {
        let mut row = [FAR; BAND];
        for (cell, distance) in (SLIPS_MAX..BAND).zip(0_u8..) {
            if cell - SLIPS_MAX <= self.word.len() {
                row[cell] = distance;
            }
        }
        State { row, before: [FAR; BAND], last: '\0', depth: 0, best: FAR, partial: 0, partial_left: 0 }
    }

    fn is_match(&self, state: &State) -> bool {
        self.slips(state).is_some()
    }

    fn can_match(&self, state: &State) -> bool {
        let near = (self.begins && state.best <= self.slips)
            || state.row.iter().any(|cell| *cell <= self.slips)
            || state.before.iter().any(|cell| *cell < self.slips) && state.depth > 1;
        near && !self.is_spent()
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        self.steps.set(self.steps.get() + 1);
        let (partial, left) = match byte {
            0x00..0x80 => (u32::from(byte), 0),
            0x80..0xc0 => (state.partial << 6 | u32::from(byte & 0x3f), state.partial_left.saturating_sub(1)),
            0xc0..0xe0 => (u32::from(byte & 0x1f), 1),
            0xe0..0xf0 => (u32::from(byte & 0x0f), 2),
            0xf0.. => (u32::from(byte & 0x07), 3),
        };
        if left > 0 {
            return State { partial, partial_left: left, ..*state };
        }
        self.step(state, char::from_u32(partial).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// The whole table.
    fn table(a: &str, b: &str) -> Vec<Vec<usize>> {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                d[i][j] = match (i, j) {
                    (0, _) => j,
                    (_, 0) => i,
                    _ => {
                        let other = usize::from(a[i - 1] != b[j - 1]);
                        let mut least = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + other);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            least = least.min(d[i - 2][j - 2] + 1);
                        }
                        least
                    }
                };
            }
        }
        d
    }

    fn slips(distance: usize, most: usize) -> Option<Slips> {
        match distance {
            _ if distance > most => None,
            0 | 1 => Some(Slips::One),
            _ => Some(Slips::Two),
        }
    }

    #[test] // Typed, meant, slips by letters.
    fn slips_of_the_finger() {
        for (typed, meant, wanted) in [
            ("sungass", "sunglass", Some(Slips::One)),
            ("foundatino", "foundation", Some(Slips::One)),
            ("spede", "speed", Some(Slips::One)),
            ("clent", "client", Some(Slips::One)),
            ("headphnoess", "headphones", Some(Slips::Two)),
            ("ca", "acb", Some(Slips::Two)),
            ("müler", "müller", Some(Slips::One)),
            ("принтр", "принтер", Some(Slips::One)),
            ("desk", "lamp", None),
        ] {
            assert_eq!(Near::new(typed, Slips::Two, false, false).of(meant), wanted, "{typed} {meant}");
        }
        for (word, wanted) in
            [("lam", None), ("lamp", Some(Slips::One)), ("keyboard", Some(Slips::Two)), ("tn2110", None), ("мышь", Some(Slips::One))]
        {
            assert_eq!(slips_of(word), wanted, "{word}");
        }
        assert_eq!(Near::new("amp", Slips::One, true, false).of("lamp"), None, "the first letter is right");
        assert_eq!(Near::new("keybaor", Slips::One, true, true).of("keyboards"), Some(Slips::One), "it goes on");
    }

    proptest! {
        #[test]
        fn distances_are_those_of_the_whole_table(typed in "[abé]{1,9}", form in "[abé]{1,10}", two in any::<bool>()) {
            let (allowed, most) = if two { (Slips::Two, 2) } else { (Slips::One, 1) };
            let table = table(&form, &typed);
            let (n, m) = (form.chars().count(), typed.chars().count());
            prop_assert_eq!(Near::new(&typed, allowed, false, false).of(&form), slips(table[n][m], most));
            let begins = (1..=n).map(|read| table[read][m]).min().unwrap_or(9);
            prop_assert_eq!(Near::new(&typed, allowed, false, true).of(&form), slips(begins, most));
            let anchored = Near::new(&typed, allowed, true, false).of(&form);
            let same = typed.chars().next() == form.chars().next();
            prop_assert_eq!(anchored, slips(table[n][m], most).filter(|_| same));
        }

        #[test]
        fn bytes_of_any_kind_are_walked(typed in ".{0,12}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let near = Near::new(&typed, Slips::Two, false, false);
            let end = bytes.iter().fold(near.start(), |state, byte| near.accept(&state, *byte));
            let _ = near.is_match(&end);
        }
    }
}

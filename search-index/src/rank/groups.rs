//! A word of a query that several terms stand for: one list of the rows that have any of them.
//!
//! Path: a word that is still being typed, misspelt or written otherwise → the terms it stands for, in one part of the index → [`Union`]: chunk by chunk the greatest
//! impact of each row → a list like any other, so that whatever ranks and counts knows nothing of alternatives.
//! Where the budget ends, the list has the rows of the chunks until then: a word stands for less, and for nothing wrong.
//! Only live rows are listed, and the length of the list is how many there are: a word weighs what its alternatives weigh together.

use smallvec::SmallVec;

use crate::bitset::{Bitset, Ones};
use crate::budget::{Meter, cost};
use crate::near::Slips;
use crate::postings::{Bitmap, CHUNK_ROWS, CHUNK_WORDS, List, Store, mark};

/// How well an alternative stands for what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// It is what was typed, or another way to write it.
    Same,
    /// It begins so, and goes on: what may yet be typed comes after what was.
    Longer,
    /// It may be what was meant.
    Slipped(Slips),
}

impl Likeness {
    /// What is left of an impact.
    pub(crate) fn share(self, impact: u8) -> u8 {
        match self {
            Self::Same => impact,
            Self::Longer | Self::Slipped(Slips::One) => (impact - impact / 4).max(1),
            Self::Slipped(Slips::Two) => (impact / 2).max(1),
        }
    }
}

/// Room for joining lists.
#[derive(Default)]
pub(crate) struct Union {
    /// Of one chunk; all zero between lists.
    impacts: Vec<u8>,
    touched: Vec<u64>,
}

impl Union {
    /// Adds to `made` a list of the live rows of all lists, each with its greatest share of an impact, and answers its number. O(postings, and a bit a row).
    pub(crate) fn of(&mut self, lists: &[(List<'_>, Likeness)], live: &Bitset, made: &mut Store, meter: &Meter) -> u32 {
        self.impacts.resize(CHUNK_ROWS, 0);
        self.touched.resize(CHUNK_WORDS, 0);
        let impacts: &mut [u8; CHUNK_ROWS] = self.impacts.as_mut_slice().try_into().expect("it was made so long");
        let touched: &mut Bitmap = self.touched.as_mut_slice().try_into().expect("it was made so long");
        let mut next: SmallVec<[usize; 32]> = SmallVec::from_elem(0, lists.len());
        while let Some(number) = lists.iter().zip(&next).filter_map(|((list, _), nth)| list.chunk_number(*nth)).min() {
            if !meter.may_spend(lists.len() as u64 * 2) {
                break;
            }
            for ((list, likeness), nth) in lists.iter().zip(&mut next) {
                if list.chunk_number(*nth) == Some(number) {
                    let run = list.chunk(*nth);
                    if !meter.may_spend(cost::LANE + 2 * run.lows.len() as u64) {
                        break;
                    }
                    for (&low, &impact) in run.lows.iter().zip(run.impacts) {
                        let most = &mut impacts[usize::from(low)];
                        *most = likeness.share(impact).max(*most);
                    }
                    match list.bitmap(*nth) {
                        Some(bitmap) => touched.iter_mut().zip(bitmap).for_each(|(word, bits)| *word |= bits),
                        None => mark(run.lows, touched),
                    }
                    *nth += 1;
                }
            }
            let first_word = usize::from(number) * CHUNK_WORDS;
            let (mut any, before) = (false, made.postings());
            for ((at, word), impacts) in touched.iter_mut().enumerate().zip(impacts.as_chunks_mut::<64>().0) {
                if *word != 0 {
                    let word = std::mem::take(word) & live.word(first_word + at);
                    any |= word != 0;
                    for bit in (Ones { word, base: 0 }) {
                        made.append(at as u16 * 64 + bit as u16, impacts[bit as usize % 64]);
                    }
                    *impacts = [0; 64];
                }
            }
            meter.charge(CHUNK_WORDS as u64 + 2 * (made.postings() - before));
            if any {
                made.end_chunk(number);
            }
        }
        made.end_list()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_live_row_comes_once_with_its_greatest_impact() {
        let mut store = Store::with_bitmaps();
        let lists: [Vec<(u32, u8)>; 3] = [
            (0..90_000).step_by(7).map(|row| (row, 1 + (row % 250) as u8)).collect(),
            (40_000..200_000).step_by(11).map(|row| (row, 255 - (row % 250) as u8)).collect(),
            vec![(5, 1), (131_071, 200)],
        ];
        let likenesses = [Likeness::Same, Likeness::Longer, Likeness::Longer];
        for list in &lists {
            store.push(list.iter().copied());
        }
        let mut live = Bitset::default();
        (0..200_000).filter(|row| row % 13 > 0).for_each(|row| live.insert(row));
        let mut wanted: BTreeMap<u32, u8> = BTreeMap::new();
        for (list, likeness) in lists.iter().zip(likenesses) {
            for (row, impact) in list.iter().filter(|(row, _)| row % 13 > 0) {
                let most = wanted.entry(*row).or_default();
                *most = likeness.share(*impact).max(*most);
            }
        }
        let alternatives: Vec<(List<'_>, Likeness)> = (0..3).map(|number| store.list(number)).zip(likenesses).collect();
        let mut union = Union::default();
        for _ in 0..2 {
            let mut made = Store::default();
            assert_eq!(union.of(&alternatives, &live, &mut made, &Meter::unlimited()), 0);
            assert_eq!(union.of(&[], &live, &mut made, &Meter::unlimited()), 1);
            assert_eq!(made.list(0).iter().collect::<Vec<_>>(), wanted.iter().map(|(row, impact)| (*row, *impact)).collect::<Vec<_>>());
            assert!(made.list(1).is_empty());
        }
    }
}

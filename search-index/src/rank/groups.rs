//! A word of a query that several terms stand for: one list of the rows that have any of them.
//!
//! Path: a word that is still being typed, misspelt or written otherwise → the terms it stands for, in one part of the index → [`Union`]: chunk by chunk the greatest
//! impact of each row → a list like any other, so that whatever ranks and counts knows nothing of alternatives.
//! Mostly one of the terms has nearly all of the rows (`lapt`: `laptop`): where it does, its postings are copied in stretches, and only rows of the others come between.
//! Where the budget ends, the list has the rows of the chunks until then: a word stands for less, and for nothing wrong.
//! Only live rows are listed, and the length of the list is how many there are: a word weighs what its alternatives weigh together.

use std::ops::Range;

use smallvec::SmallVec;

use crate::bitset::{Bitset, Ones};
use crate::budget::{Meter, cost};
use crate::near::Slips;
use crate::postings::{Bitmap, CHUNK_ROWS, CHUNK_WORDS, List, Run, Store, gallop, mark};

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

    /// Raises the impacts of a chunk's rows to what is left of those of a run.
    fn raise(self, run: Run<'_>, impacts: &mut [u8; CHUNK_ROWS]) {
        // Each a loop of its own, that has no choice to make for each posting.
        match self {
            Self::Same => raise(run, impacts, |impact| impact),
            Self::Longer => raise(run, impacts, |impact| Self::Longer.share(impact)),
            Self::Slipped(slips) => raise(run, impacts, |impact| Self::Slipped(slips).share(impact)),
        }
    }
}

fn raise(run: Run<'_>, impacts: &mut [u8; CHUNK_ROWS], share: impl Fn(u8) -> u8) {
    for (&low, &impact) in run.lows.iter().zip(run.impacts) {
        let most = &mut impacts[usize::from(low)];
        *most = share(impact).max(*most);
    }
}

/// A run is copied in stretches where these are of so many postings on average: shorter ones take longer to find than to put together row by row.
const STRETCH: usize = 16;
/// Rows that are put together before they are added to a list.
const BATCH: usize = 1024;

/// Room for joining lists.
#[derive(Default)]
pub(crate) struct Union {
    /// Of one chunk; all zero between chunks.
    impacts: Vec<u8>,
    /// Likewise.
    touched: Vec<u64>,
}

impl Union {
    /// Adds to `made` a list of the live rows of all lists, each with its greatest share of an impact, and answers its number. O(postings, and a bit a row).
    pub(crate) fn of(&mut self, lists: &[(List<'_>, Likeness)], live: &Bitset, made: &mut Store, meter: &Meter) -> u32 {
        self.impacts.resize(CHUNK_ROWS, 0);
        self.touched.resize(CHUNK_WORDS, 0);
        let impacts: &mut [u8; CHUNK_ROWS] = self.impacts.as_mut_slice().try_into().expect("it was made so long");
        let touched: &mut Bitmap = self.touched.as_mut_slice().try_into().expect("it was made so long");
        made.reserve(lists.iter().map(|(list, _)| list.len()).sum());
        let mut next: SmallVec<[usize; 32]> = SmallVec::from_elem(0, lists.len());
        while let Some(number) = lists.iter().zip(&next).filter_map(|((list, _), nth)| list.chunk_number(*nth)).min() {
            if !meter.may_spend(lists.len() as u64 * 2) {
                break;
            }
            let first_word = usize::from(number) * CHUNK_WORDS;
            let live = |at: usize| live.word(first_word + at);
            let main = Main::of(lists, &next, number, live);
            if let Some(main) = &main {
                meter.charge(cost::LANE + (main.run.lows.len() / 4 + STRETCH * main.dead) as u64);
            }
            for (at, ((list, likeness), nth)) in lists.iter().zip(&mut next).enumerate() {
                if list.chunk_number(*nth) == Some(number) {
                    if main.as_ref().is_none_or(|main| main.at != at) {
                        let run = list.chunk(*nth);
                        if !meter.may_spend(cost::LANE + 2 * run.lows.len() as u64) {
                            break;
                        }
                        likeness.raise(run, impacts);
                        match list.bitmap(*nth) {
                            Some(bitmap) => touched.iter_mut().zip(bitmap).for_each(|(word, bits)| *word |= bits),
                            None => mark(run.lows, touched),
                        }
                    }
                    *nth += 1;
                }
            }
            let before = made.postings();
            match main {
                Some(main) => {
                    let between = main.put(touched, live, impacts, made);
                    meter.charge(CHUNK_WORDS as u64 + (STRETCH * between) as u64);
                }
                None => {
                    put(touched, live, impacts, made);
                    meter.charge(CHUNK_WORDS as u64 + 2 * (made.postings() - before));
                }
            }
            if made.postings() > before {
                made.end_chunk_of(number, touched);
            }
            touched.fill(0);
        }
        made.end_list()
    }
}

/// Adds the touched rows that are live, and leaves the bits of these.
fn put(touched: &mut Bitmap, live: impl Fn(usize) -> u64, impacts: &mut [u8; CHUNK_ROWS], made: &mut Store) {
    let mut batch = Batch::default();
    for ((at, word), impacts) in touched.iter_mut().enumerate().zip(impacts.as_chunks_mut::<64>().0) {
        if *word != 0 {
            *word &= live(at);
            batch.add(at, *word, impacts, made);
            *impacts = [0; 64];
        }
    }
    batch.flush(made);
}

/// Rows on their way to a list: a list that grows by one at a time asks each time whether it has room.
struct Batch {
    lows: [u16; BATCH],
    impacts: [u8; BATCH],
    len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { lows: [0; BATCH], impacts: [0; BATCH], len: 0 }
    }
}

impl Batch {
    /// Adds rows of the chunk's word at `at`.
    fn add(&mut self, at: usize, rows: u64, impacts: &[u8; 64], made: &mut Store) {
        if self.len > BATCH - 64 {
            self.flush(made);
        }
        let mut len = self.len;
        for low in (Ones { word: rows, base: at as u32 * 64 }) {
            self.lows[len % BATCH] = low as u16;
            self.impacts[len % BATCH] = impacts[low as usize % 64];
            len = len.wrapping_add(1); // there is room for 64
        }
        self.len = len;
    }

    fn flush(&mut self, made: &mut Store) {
        made.append_all(&self.lows[..self.len], self.impacts[..self.len].iter().copied());
        self.len = 0;
    }
}

/// The run of a chunk that has nearly all of its rows.
struct Main<'a> {
    /// Its place among the lists.
    at: usize,
    run: Run<'a>,
    bitmap: &'a Bitmap,
    likeness: Likeness,
    /// Rows that are not live.
    dead: usize,
}

impl<'a> Main<'a> {
    /// That of the chunk of this number, if there is one that is copied in stretches.
    fn of(lists: &[(List<'a>, Likeness)], next: &[usize], number: u16, live: impl Fn(usize) -> u64) -> Option<Self> {
        let (mut main, mut most, mut all): (Option<(usize, usize)>, usize, usize) = (None, 0, 0);
        for (at, ((list, _), &nth)) in lists.iter().zip(next).enumerate() {
            if list.chunk_number(nth) == Some(number) {
                let rows = list.chunk(nth).lows.len();
                all += rows;
                if rows > most {
                    (main, most) = (Some((at, nth)), rows);
                }
            }
        }
        let (at, nth) = main?;
        let (list, likeness) = lists[at];
        let breaks_max = most / STRETCH;
        if all - most > breaks_max {
            return None;
        }
        let bitmap = list.bitmap(nth)?;
        let mut dead = 0;
        for (at, word) in bitmap.iter().enumerate() {
            let word = word & !live(at);
            if word != 0 {
                dead += word.count_ones() as usize;
            }
        }
        (all - most + dead <= breaks_max).then(|| Self { at, run: list.chunk(nth), bitmap, likeness, dead })
    }

    /// Adds its live rows and the touched ones, leaves the bits of these, and answers how many were touched.
    fn put(&self, touched: &mut Bitmap, live: impl Fn(usize) -> u64, impacts: &mut [u8; CHUNK_ROWS], made: &mut Store) -> usize {
        let (mut copied, mut between) = (0, 0);
        for (at, (word, bits)) in touched.iter_mut().zip(self.bitmap).enumerate() {
            let live = live(at);
            let breaks = *word | (bits & !live);
            for low in (Ones { word: breaks, base: 64 * at as u32 }) {
                let low = low as u16;
                let to = gallop(self.run.lows, copied, low);
                self.copy(copied..to, made);
                copied = to;
                // Zero of a row that is the run's alone, and dead.
                let mut impact = std::mem::take(&mut impacts[usize::from(low)]);
                if self.run.lows.get(to) == Some(&low) {
                    impact = self.likeness.share(self.run.impacts[to]).max(impact);
                    copied += 1;
                }
                if live >> (low % 64) & 1 == 1 {
                    made.append(low, impact);
                }
            }
            between += word.count_ones() as usize;
            *word = (*word | bits) & live;
        }
        self.copy(copied..self.run.lows.len(), made);
        between
    }

    /// Adds a stretch of its rows.
    fn copy(&self, stretch: Range<usize>, made: &mut Store) {
        let impacts = self.run.impacts[stretch.clone()].iter();
        let lows = &self.run.lows[stretch];
        // Each a loop of its own, over several at a time.
        match self.likeness {
            Likeness::Same => made.append_all(lows, impacts.copied()),
            Likeness::Longer => made.append_all(lows, impacts.map(|impact| Likeness::Longer.share(*impact))),
            Likeness::Slipped(slips) => made.append_all(lows, impacts.map(|impact| Likeness::Slipped(slips).share(*impact))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_live_row_comes_once_with_its_greatest_impact() {
        let impact = |row: u32| 1 + (row.wrapping_mul(2_654_435_761) >> 24) as u8 % 255;
        let list = |rows: &mut dyn Iterator<Item = u32>| rows.map(|row| (row, impact(row))).collect::<Vec<_>>();
        let lists: [Vec<(u32, u8)>; 5] = [
            (0..90_000).step_by(7).map(|row| (row, 1 + (row % 250) as u8)).collect(),
            (40_000..200_000).step_by(11).map(|row| (row, 255 - (row % 250) as u8)).collect(),
            vec![(5, 1), (131_071, 200)],
            // Of these chunks the first is full, and the last has few rows.
            list(&mut (0..150_000).filter(|row| *row < 65_536 || row % 5 == 0)),
            list(&mut (0..200_000).step_by(401)),
        ];
        let mut store = Store::with_bitmaps();
        for list in &lists {
            store.push(list.iter().copied());
        }
        let two = Likeness::Slipped(Slips::Two);
        let mut union = Union::default();
        // Lists with what they are like; of so many rows one is not live.
        for (of, dead) in [
            (&[(0, Likeness::Same), (1, Likeness::Longer), (2, Likeness::Longer)][..], 13),
            (&[(3, Likeness::Longer), (2, Likeness::Same), (4, Likeness::Same)], u32::MAX),
            (&[(2, Likeness::Longer), (4, Likeness::Longer), (3, Likeness::Same)], 997),
            (&[(4, two), (3, two)], 100),
            (&[(3, Likeness::Longer), (4, Likeness::Longer)], 3),
            (&[(3, Likeness::Longer)], 65_537),
            (&[(3, Likeness::Same), (0, Likeness::Same)], 1),
        ] {
            let is_live = |row: u32| !row.is_multiple_of(dead);
            let mut live = Bitset::default();
            (0..200_000).filter(|row| is_live(*row)).for_each(|row| live.insert(row));
            let mut wanted: BTreeMap<u32, u8> = BTreeMap::new();
            for (list, likeness) in of {
                for (row, impact) in lists[*list].iter().filter(|(row, _)| is_live(*row)) {
                    let most = wanted.entry(*row).or_default();
                    *most = likeness.share(*impact).max(*most);
                }
            }
            let alternatives: Vec<(List<'_>, Likeness)> = of.iter().map(|(list, likeness)| (store.list(*list), *likeness)).collect();
            let mut pushed = Store::with_bitmaps();
            pushed.push(wanted.iter().map(|(row, impact)| (*row, *impact)));
            for _ in 0..2 {
                let mut made = Store::with_bitmaps();
                assert_eq!(union.of(&alternatives, &live, &mut made, &Meter::unlimited()), 0);
                assert_eq!(union.of(&[], &live, &mut made, &Meter::unlimited()), 1);
                assert_eq!(format!("{:?}", made.list(0)), format!("{:?}", pushed.list(0)), "{of:?}, {dead}");
                assert!(made.list(1).is_empty());
            }
        }
    }
}

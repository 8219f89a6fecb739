//! All rows that match, where they are to be counted: sets without scores.
//!
//! Path: the lists of each part → per chunk of rows a union, or an intersection that the shortest list leads → one set, the live rows of it; those of the chunks
//! until the budget ends.

use smallvec::SmallVec;

use super::Resolved;
use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::postings::{Bitmap, CHUNK_WORDS, List, Run, gallop, is_in, mark};

/// A list in one chunk.
struct Lane<'a> {
    run: Run<'a>,
    bitmap: Option<&'a Bitmap>,
    /// For looking rows up in ascending order.
    seek: usize,
}

impl Lane<'_> {
    fn has(&mut self, low: u16) -> bool {
        if let Some(bitmap) = self.bitmap {
            return is_in(bitmap, low);
        }
        self.seek = gallop(self.run.lows, self.seek, low);
        self.run.lows.get(self.seek) == Some(&low)
    }
}

impl Resolved<'_> {
    /// Rows of `live` that have every term. O(rarest list · terms · log).
    pub(crate) fn all_rows(&self, live: &Bitset) -> Bitset {
        let mut found = Bitset::default();
        for lists in &self.parts {
            let lists = &lists[..self.terms];
            if lists.iter().any(List::is_empty) {
                continue;
            }
            each_chunk(lists, self.meter, |number, lanes| {
                lanes.sort_by_key(|lane| lane.run.lows.len());
                let Some((lead, others)) = lanes.split_first_mut() else { return };
                let words = chunk_of(&mut found, number);
                // Where the shortest has a bitmap all have, but those of a store that keeps none.
                let all_have = others.iter().all(|other| other.bitmap.is_some());
                if let Some(lead) = lead.bitmap.filter(|_| all_have) {
                    self.meter.charge((1 + others.len()) as u64 * BITMAP_COST);
                    words.iter_mut().zip(lead).for_each(|(word, bits)| *word |= bits);
                    for other in others.iter().filter_map(|other| other.bitmap) {
                        words.iter_mut().zip(other).for_each(|(word, bits)| *word &= bits);
                    }
                    return;
                }
                let mut looked_up = 0;
                for &low in lead.run.lows {
                    let mut has = |other: &mut Lane<'_>| {
                        looked_up += 1;
                        other.has(low)
                    };
                    if others.iter_mut().all(&mut has) {
                        words[usize::from(low) / 64] |= 1 << (low % 64);
                    }
                }
                self.meter.charge(lead.run.lows.len() as u64 + looked_up * cost::LOOK_UP);
            });
        }
        found.and(live);
        found
    }

    /// Rows of `live` that have at least one term. O(all postings of the terms that are rare in their chunk, and a bit a row for the others).
    pub(crate) fn any_rows(&self, live: &Bitset) -> Bitset {
        let mut found = Bitset::default();
        for lists in &self.parts {
            each_chunk(&lists[..self.terms], self.meter, |number, lanes| {
                let words = chunk_of(&mut found, number);
                for lane in lanes {
                    match lane.bitmap {
                        Some(bitmap) => words.iter_mut().zip(bitmap).for_each(|(word, bits)| *word |= bits),
                        None => mark(lane.run.lows, words),
                    }
                    self.meter.charge(lane.bitmap.map_or(lane.run.lows.len() as u64, |_| BITMAP_COST));
                }
            });
        }
        found.and(live);
        found
    }
}

/// Bitmaps are read several words at a time.
const BITMAP_COST: u64 = CHUNK_WORDS as u64 / 4;

fn chunk_of(set: &mut Bitset, number: usize) -> &mut Bitmap {
    let words = set.words_mut(number * CHUNK_WORDS, CHUNK_WORDS);
    words.try_into().expect("as many words as were asked for")
}

/// Calls `visit` with each chunk's number and the lists in it, empty ones among them, as far as the budget goes.
fn each_chunk(lists: &[List<'_>], meter: &Meter, mut visit: impl FnMut(usize, &mut [Lane<'_>])) {
    let mut next: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
    while let Some(number) = lists.iter().zip(&next).filter_map(|(list, nth)| list.chunk_number(*nth)).min() {
        if !meter.may_spend(lists.len() as u64 * cost::LANE) {
            return;
        }
        let mut lanes: SmallVec<[Lane<'_>; 8]> = SmallVec::new();
        for (list, nth) in lists.iter().zip(&mut next) {
            let mut lane = Lane { run: Run::default(), bitmap: None, seek: 0 };
            if list.chunk_number(*nth) == Some(number) {
                (lane.run, lane.bitmap) = (list.chunk(*nth), list.bitmap(*nth));
                *nth += 1;
            }
            lanes.push(lane);
        }
        visit(usize::from(number), &mut lanes);
    }
}

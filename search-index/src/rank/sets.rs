//! All rows that match, where they are to be counted: sets without scores.
//!
//! Path: the lists of each part → per chunk of rows a union, or an intersection that the shortest list leads → one set, the live rows of it.

use smallvec::SmallVec;

use super::Resolved;
use crate::bitset::Bitset;
use crate::postings::{Bitmap, CHUNK_WORDS, List, Run, gallop, mark};

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
            return bitmap[usize::from(low) / 64] >> (low % 64) & 1 == 1;
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
            each_chunk(lists, |number, lanes| {
                lanes.sort_by_key(|lane| lane.run.lows.len());
                let Some((lead, others)) = lanes.split_first_mut() else { return };
                let words = chunk_of(&mut found, number);
                if let Some(lead) = lead.bitmap {
                    // The shortest has a bitmap, so all have.
                    words.iter_mut().zip(lead).for_each(|(word, bits)| *word |= bits);
                    for other in others.iter().filter_map(|other| other.bitmap) {
                        words.iter_mut().zip(other).for_each(|(word, bits)| *word &= bits);
                    }
                    return;
                }
                for &low in lead.run.lows {
                    if others.iter_mut().all(|other| other.has(low)) {
                        words[usize::from(low) / 64] |= 1 << (low % 64);
                    }
                }
            });
        }
        found.and(live);
        found
    }

    /// Rows of `live` that have at least one term. O(all postings of the terms that are rare in their chunk, and a bit a row for the others).
    pub(crate) fn any_rows(&self, live: &Bitset) -> Bitset {
        let mut found = Bitset::default();
        for lists in &self.parts {
            each_chunk(&lists[..self.terms], |number, lanes| {
                let words = chunk_of(&mut found, number);
                for lane in lanes {
                    match lane.bitmap {
                        Some(bitmap) => words.iter_mut().zip(bitmap).for_each(|(word, bits)| *word |= bits),
                        None => mark(lane.run.lows, words),
                    }
                }
            });
        }
        found.and(live);
        found
    }
}

fn chunk_of(set: &mut Bitset, number: usize) -> &mut Bitmap {
    let words = set.words_mut(number * CHUNK_WORDS, CHUNK_WORDS);
    words.try_into().expect("as many words as were asked for")
}

/// Calls `visit` with each chunk's number and the lists in it, empty ones among them.
fn each_chunk(lists: &[List<'_>], mut visit: impl FnMut(usize, &mut [Lane<'_>])) {
    let mut next: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
    while let Some(number) = lists.iter().zip(&next).filter_map(|(list, nth)| list.chunk_number(*nth)).min() {
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

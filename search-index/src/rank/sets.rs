//! All rows that match, where they are to be counted: sets without scores.
//!
//! Path: the lists of each part → per chunk of rows a union, or an intersection that the shortest list leads → one set, the live rows of it.

use smallvec::SmallVec;

use super::{Lists, Resolved};
use crate::bitset::Bitset;
use crate::postings::{CHUNK_ROWS, List, Run, gallop};

const CHUNK_WORDS: usize = CHUNK_ROWS / 64;

impl Resolved<'_> {
    /// Rows of `live` that have every term. O(rarest list · terms · log).
    pub(crate) fn all_rows(&self, live: &Bitset) -> Bitset {
        let mut found = Bitset::default();
        for lists in &self.parts {
            if lists.iter().any(List::is_empty) {
                continue;
            }
            each_chunk(lists, |number, runs| {
                runs.sort_by_key(|run| run.lows.len());
                let Some((lead, others)) = runs.split_first() else { return };
                let mut places: SmallVec<[usize; 8]> = SmallVec::from_elem(0, others.len());
                let words = found.words_mut(number * CHUNK_WORDS, CHUNK_WORDS);
                'rows: for &low in lead.lows {
                    for (other, place) in others.iter().zip(&mut places) {
                        *place = gallop(other.lows, *place, low);
                        match other.lows.get(*place) {
                            None => break 'rows,
                            Some(found) if *found != low => continue 'rows,
                            Some(_) => {}
                        }
                    }
                    words[usize::from(low) / 64] |= 1 << (low % 64);
                }
            });
        }
        found.and(live);
        found
    }

    /// Rows of `live` that have at least one term. O(all postings of the terms).
    pub(crate) fn any_rows(&self, live: &Bitset) -> Bitset {
        let mut found = Bitset::default();
        for lists in &self.parts {
            each_chunk(lists, |number, runs| {
                let words = found.words_mut(number * CHUNK_WORDS, CHUNK_WORDS);
                for run in runs {
                    for low in run.lows {
                        words[usize::from(*low) / 64] |= 1 << (low % 64);
                    }
                }
            });
        }
        found.and(live);
        found
    }
}

/// Calls `visit` with each chunk's number and the lists' runs in it, empty ones among them.
fn each_chunk(lists: &Lists<'_>, mut visit: impl FnMut(usize, &mut [Run<'_>])) {
    let mut next: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
    while let Some(number) = lists.iter().zip(&next).filter_map(|(list, nth)| list.chunk_number(*nth)).min() {
        let mut runs: SmallVec<[Run<'_>; 8]> = SmallVec::new();
        for (list, nth) in lists.iter().zip(&mut next) {
            let mut run = Run::default();
            if list.chunk_number(*nth) == Some(number) {
                run = list.chunk(*nth);
                *nth += 1;
            }
            runs.push(run);
        }
        visit(usize::from(number), &mut runs);
    }
}

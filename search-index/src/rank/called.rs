//! Categories that a query names.
//!
//! Path: neighbouring words of a query → categories called so (`Categories::called`) → [`Called`]: the rows in them are the better for it, by a part of what
//! these words weigh → [`windows`](super::windows), which knows of each window whether any row of it is in the category.
//! `casual shoes` finds what is filed under Casual Shoes before what only says so, for whoever filed it knew what it is.
//! Bounds: names of [`NAME_WORDS_MAX`] words, and [`CALLED_MAX`] of them in one query.

use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::words::Word;
use crate::analysis::cjk;
use crate::names::Categories;

/// Words of a category's name; longer ones are not looked for, but for those that are written without spaces.
const NAME_WORDS_MAX: usize = 4;
/// Names of categories in one query; further ones bring nothing.
const CALLED_MAX: usize = 8;
/// A row in a category that is called so gets so many hundredths of what its words weigh.
const PERCENT: u32 = 25;
/// What all together can be, likewise: each name may be that of all words.
pub(super) const PERCENT_MAX: u32 = CALLED_MAX as u32 * PERCENT;

/// Some words of a query that are what categories are called.
pub(crate) struct Called<'a> {
    /// Each such category: its key and its rows.
    categories: SmallVec<[(&'a str, &'a RoaringBitmap); 2]>,
    /// What a row in any of them gets.
    score: u32,
}

/// All names of categories that are in a query.
pub(crate) fn called<'a>(words: &[Word], weights: &[u32], categories: &'a Categories) -> SmallVec<[Called<'a>; 2]> {
    let mut found = SmallVec::new();
    for from in 0..words.len() {
        let mut name = String::new();
        let in_bounds = |to: &usize| *to < from + NAME_WORDS_MAX || cjk::is_of_run(words[*to].name());
        for to in (from..words.len()).take_while(in_bounds) {
            if to > from {
                name.push(' ');
            }
            name.push_str(words[to].name());
            let called: SmallVec<[(&str, &RoaringBitmap); 2]> = categories.called(&name).collect();
            if !called.is_empty() && found.len() < CALLED_MAX {
                found.push(Called { categories: called, score: weights[from..=to].iter().sum::<u32>() * 255 * PERCENT / 100 });
            }
        }
    }
    found
}

impl<'a> Called<'a> {
    #[cfg(test)]
    pub(crate) fn new(rows: &'a RoaringBitmap, score: u32) -> Self {
        Self { categories: [("", rows)].into_iter().collect(), score }
    }

    /// Categories.
    pub(super) fn len(&self) -> usize {
        self.categories.len()
    }

    fn has(&self, row: u32) -> bool {
        self.categories.iter().any(|(_, rows)| rows.contains(row))
    }

    /// The category that a row is in, and what it gets for it.
    pub(super) fn explain(&self, row: u32) -> Option<(&'a str, u32)> {
        self.categories.iter().find(|(_, rows)| rows.contains(row)).map(|(key, _)| (*key, self.score))
    }
}

/// What a row gets for all of them.
pub(crate) fn score(called: &[Called<'_>], row: u32) -> u32 {
    called.iter().filter(|called| called.has(row)).map(|called| called.score).sum()
}

/// What a row of so many from `first` on gets at most.
pub(crate) fn bound(called: &[Called<'_>], first: u32, rows: u32) -> u32 {
    let last = first.saturating_add(rows - 1);
    let any = |called: &&Called<'_>| called.categories.iter().any(|(_, rows)| rows.range_cardinality(first..=last) > 0);
    called.iter().filter(any).map(|called| called.score).sum()
}

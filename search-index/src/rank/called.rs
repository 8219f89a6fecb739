//! Categories and types of product that a query names.
//!
//! Path: neighbouring words of a query, and what they also say by its synonyms → categories and types called so (`Categories::called`, `ProductTypes::called`) →
//! [`Called`]: the rows in them are the better for it, by a part of what these words weigh → [`windows`](super::windows), which knows of each window whether any row of it
//! is among them.
//! `casual shoes` finds what is filed under Casual Shoes before what only says so, for whoever filed it knew what it is. `notebook` finds what has it for its type
//! before a short title that begins with it: a case.
//! Bounds: names of [`NAME_WORDS_MAX`] words, and [`CALLED_MAX`] of them in one query.

use std::ops::Range;

use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::groups::Likeness;
use super::words::Word;
use crate::analysis::cjk;
use crate::rows::Rows;

/// Words of a name; longer ones are not looked for, but for those that are written without spaces.
const NAME_WORDS_MAX: usize = 4;
/// Names in one query; further ones bring nothing.
const CALLED_MAX: usize = 8;
/// A row in a category that is called so gets so many hundredths of what its words weigh.
const CATEGORY_PERCENT: u32 = 25;
/// Likewise, of a type: it is one thing only, where a category may be a wide one.
const TYPE_PERCENT: u32 = 60;
/// What all together can be, likewise: each name may be that of all words.
pub(super) const PERCENT_MAX: u32 = CALLED_MAX as u32 * TYPE_PERCENT;
const _: () = assert!(CATEGORY_PERCENT <= TYPE_PERCENT);

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Category,
    ProductType,
}

/// Some words of a query that are what categories or types are called.
pub(crate) struct Called<'a> {
    pub(super) what: What,
    /// Each that is called so, by its key or name, with its rows.
    each: Named<'a>,
    /// What a row in any of them gets.
    score: u32,
}

type Named<'a> = SmallVec<[(&'a str, &'a RoaringBitmap); 2]>;

/// All names of categories and types that are in a query.
pub(crate) fn called<'a>(words: &[Word], weights: &[u32], rows: &'a Rows) -> SmallVec<[Called<'a>; 2]> {
    let mut found: SmallVec<[Called<'a>; 2]> = SmallVec::new();
    let mut look_up = |name: &str, stretch: Range<usize>| {
        let of_words = weights[stretch].iter().sum::<u32>();
        let mut add = |what: What, each: Named<'a>, percent: u32| {
            if !each.is_empty() && found.len() < CALLED_MAX {
                found.push(Called { what, each, score: of_words * 255 * percent / 100 });
            }
        };
        add(What::Category, rows.categories.called(name).collect(), CATEGORY_PERCENT);
        add(What::ProductType, rows.attributes.types.called(name).collect(), TYPE_PERCENT);
    };
    let mut name = String::new();
    for from in 0..words.len() {
        name.clear();
        let in_bounds = |(more, word): &(usize, &Word)| *more < NAME_WORDS_MAX || cjk::is_of_run(word.name());
        for (more, word) in words[from..].iter().enumerate().take_while(in_bounds) {
            if more > 0 {
                name.push(' ');
            }
            name.push_str(word.name());
            look_up(&name, from..from + more + 1);
        }
    }
    for (way, stretch) in ways(words) {
        look_up(&way, stretch);
    }
    found
}

/// What words also say, each way with the longest stretch of neighbours that all say it.
fn ways(words: &[Word]) -> Vec<(String, Range<usize>)> {
    let of_word = |word: &Word| -> Vec<String> {
        let others = word.others.iter().filter(|(_, likeness)| *likeness == Likeness::Same).map(|(term, _)| term.clone());
        others.chain(word.phrases.iter().map(|way| way.join(" "))).collect()
    };
    let mut found: Vec<(String, Range<usize>)> = Vec::new();
    for (nth, word) in words.iter().enumerate() {
        for way in of_word(word) {
            match found.iter_mut().find(|(other, stretch)| *other == way && stretch.end == nth) {
                Some((_, stretch)) => stretch.end += 1,
                None => found.push((way, nth..nth + 1)),
            }
        }
    }
    found
}

impl<'a> Called<'a> {
    #[cfg(test)]
    pub(crate) fn new(rows: &'a RoaringBitmap, score: u32) -> Self {
        Self { what: What::Category, each: [("", rows)].into_iter().collect(), score }
    }

    /// Categories.
    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    fn has(&self, row: u32) -> bool {
        self.each.iter().any(|(_, rows)| rows.contains(row))
    }

    /// The category or type that a row is in, and what it gets for it.
    pub(super) fn explain(&self, row: u32) -> Option<(&'a str, u32)> {
        self.each.iter().find(|(_, rows)| rows.contains(row)).map(|(name, _)| (*name, self.score))
    }
}

/// What a row gets for all of them.
pub(crate) fn score(called: &[Called<'_>], row: u32) -> u32 {
    called.iter().filter(|called| called.has(row)).map(|called| called.score).sum()
}

/// What a row of so many from `first` on gets at most.
pub(crate) fn bound(called: &[Called<'_>], first: u32, rows: u32) -> u32 {
    let last = first.saturating_add(rows - 1);
    let any = |called: &&Called<'_>| called.each.iter().any(|(_, rows)| rows.range_cardinality(first..=last) > 0);
    called.iter().filter(any).map(|called| called.score).sum()
}

//! Documents that whoever runs a shop wants higher for a query, or lower.
//!
//! Path: the [`Favour`]s of a query → which rows each is about, as a set or a test → what a row's score becomes, after everything else is added up, and for
//! [`windows`](super::windows) the most that it can become. Favours of a row together give or take at most [`FAVOUR_PERCENT_MAX`] hundredths of what all words
//! weigh, and leave at least 1: a bound without those that take is still a bound.

use smallvec::SmallVec;

use crate::arrangement::{FAVOUR_PERCENT_MAX, Favour};
use crate::bitset::Bitset;
use crate::filter::Test;
use crate::rows::Rows;

/// All favours of a query.
#[derive(Default)]
pub(crate) struct Favours<'a> {
    each: SmallVec<[(About<'a>, i64); 2]>,
    /// What a row gets at most for having all words.
    words: i64,
    /// There if there are any.
    rows: Option<&'a Rows>,
}

/// Which rows a favour is about.
enum About<'a> {
    Rows(Bitset),
    Test(Test<'a>),
}

impl<'a> Favours<'a> {
    /// `weight` is that of all words. O(rows of the brands and categories named, and a bit a row for each of these favours).
    pub(crate) fn of(favours: &[Favour], weight: u32, rows: &'a Rows) -> Self {
        let about = |favour: &Favour| {
            let set = rows.named(&favour.filter).map(About::Rows);
            Some((set.or_else(|| rows.test(&favour.filter).map(About::Test))?, i64::from(favour.percent)))
        };
        Self { each: favours.iter().filter_map(about).collect(), words: i64::from(weight) * 255, rows: Some(rows) }
    }

    /// What a row's score becomes.
    pub(crate) fn of_row(&self, row: u32, score: u32) -> u32 {
        let Some(rows) = self.rows.filter(|_| !self.each.is_empty()) else { return score };
        let is_about = |about: &About<'_>| match about {
            About::Rows(set) => set.contains(row),
            About::Test(test) => test.passes(rows, row),
        };
        let percent = self.each.iter().filter(|(about, _)| is_about(about)).map(|(_, percent)| percent).sum();
        u32::try_from(i64::from(score) + self.share(percent)).map_or(1, |score| score.max(1))
    }

    /// What a row of so many from `first` on is given at most; both are multiples of 64.
    pub(crate) fn bound(&self, first: u32, rows: usize) -> u32 {
        let any = |about: &About<'_>| match about {
            About::Rows(set) => set.any_in(first as usize / 64, rows / 64),
            About::Test(_) => true,
        };
        let percent = self.each.iter().filter(|(about, percent)| *percent > 0 && any(about)).map(|(_, percent)| percent).sum();
        u32::try_from(self.share(percent)).unwrap_or(0)
    }

    fn share(&self, percent: i64) -> i64 {
        let most = i64::from(FAVOUR_PERCENT_MAX);
        self.words * percent.clamp(-most, most) / 100
    }
}

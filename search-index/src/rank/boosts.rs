//! Documents that whoever runs a shop wants higher for a query, or lower.
//!
//! Path: the [`Boost`]s of a query → which rows each is about, as a set or a test → what a row's score becomes, after everything else is added up, and for
//! [`windows`](super::windows) the most that it can become. Boosts of a row together give or take at most [`BOOST_PERCENT_MAX`] hundredths of what all words
//! weigh, and leave at least 1: a bound without those that take is still a bound.

use smallvec::SmallVec;

use crate::arrangement::{BOOST_PERCENT_MAX, Boost};
use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::filter::Test;
use crate::rows::Rows;

/// All boosts of a query.
#[derive(Default)]
pub(crate) struct Boosts<'a> {
    each: SmallVec<[OfQuery<'a>; 2]>,
    /// What a row gets at most for having all words.
    words: i64,
    /// There if there are any.
    rows: Option<&'a Rows>,
}

struct OfQuery<'a> {
    /// Among the boosts of the query.
    nth: usize,
    about: About<'a>,
    percent: i64,
}

/// Which rows a boost is about.
enum About<'a> {
    Rows(Bitset),
    Test(Test<'a>),
}

impl<'a> Boosts<'a> {
    /// `weight` is that of all words. O(rows of the brands and categories named, and a bit a row for each of these boosts).
    pub(crate) fn of(boosts: &[Boost], weight: u32, rows: &'a Rows, meter: &Meter) -> Self {
        let of_query = |(nth, boost): (usize, &Boost)| {
            let set = rows.named(&boost.filter, meter).map(About::Rows);
            let about = set.or_else(|| rows.test(&boost.filter).map(About::Test))?;
            Some(OfQuery { nth, about, percent: i64::from(boost.percent) })
        };
        Self { each: boosts.iter().enumerate().filter_map(of_query).collect(), words: i64::from(weight) * 255, rows: Some(rows) }
    }

    /// What it costs to look what a row's score becomes.
    pub(crate) fn cost(&self) -> u64 {
        let of_each = self.each.iter().map(|boost| match &boost.about {
            About::Rows(_) => cost::COLUMN,
            About::Test(test) => test.cost(),
        });
        of_each.sum()
    }

    /// What a row's score becomes.
    pub(crate) fn of_row(&self, row: u32, score: u32) -> u32 {
        let Some(rows) = self.rows.filter(|_| !self.each.is_empty()) else { return score };
        let percent = self.each.iter().filter(|boost| boost.is_about(rows, row)).map(|boost| boost.percent).sum();
        self.moved(score, percent)
    }

    /// By how much each boost that is about a row moves its score, after those before it.
    pub(super) fn explain(&self, row: u32, score: u32) -> Vec<(usize, i64)> {
        let Some(rows) = self.rows else { return Vec::new() };
        let (mut percent, mut before) = (0, score);
        let of_row = self.each.iter().filter(|boost| boost.is_about(rows, row));
        let change = |boost: &OfQuery<'_>| {
            percent += boost.percent;
            let after = self.moved(score, percent);
            let change = i64::from(after) - i64::from(before);
            before = after;
            (boost.nth, change)
        };
        of_row.map(change).collect()
    }

    /// What becomes of a score by so many hundredths.
    fn moved(&self, score: u32, percent: i64) -> u32 {
        u32::try_from(i64::from(score) + self.share(percent)).map_or(1, |score| score.max(1))
    }

    /// What a row of so many from `first` on is given at most; both are multiples of 64.
    pub(crate) fn bound(&self, first: u32, rows: usize) -> u32 {
        let any = |about: &About<'_>| match about {
            About::Rows(set) => set.any_in(first as usize / 64, rows / 64),
            About::Test(_) => true,
        };
        let percent = self.each.iter().filter(|boost| boost.percent > 0 && any(&boost.about)).map(|boost| boost.percent).sum();
        u32::try_from(self.share(percent)).unwrap_or(0)
    }

    fn share(&self, percent: i64) -> i64 {
        let most = i64::from(BOOST_PERCENT_MAX);
        self.words * percent.clamp(-most, most) / 100
    }
}

impl OfQuery<'_> {
    fn is_about(&self, rows: &Rows, row: u32) -> bool {
        match &self.about {
            About::Rows(set) => set.contains(row),
            About::Test(test) => test.passes(rows, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Filter;

    #[test] // Hundredths of words that weigh 2; a score of theirs, and what it becomes.
    fn a_score_is_moved_and_stays_one() {
        let mut rows = Rows::default();
        rows.fresh(64);
        rows.prices.set(0, 5);
        for (percents, score, wanted) in [
            (&[][..], 300, 300),
            (&[100], 300, 810),
            (&[50, 50], 300, 810),
            (&[400, 400], 300, 300 + 4 * 510),
            (&[400, -300], 300, 810),
            (&[-50], 300, 45),
            (&[-100], 511, 1),
            (&[-100], 510, 1), // nothing would be left
            (&[-400, -400], 300, 1),
            (&[1], 300, 305),
        ] {
            let filter = Filter::Price { min: Some(5), max: None };
            let boosts: Vec<Boost> = percents.iter().map(|percent| Boost { filter: filter.clone(), percent: *percent }).collect();
            let boosts = Boosts::of(&boosts, 2, &rows, &Meter::unlimited());
            assert_eq!((boosts.of_row(0, score), boosts.of_row(1, score)), (wanted, score), "{percents:?}");
            assert!(boosts.bound(0, 64) >= wanted.saturating_sub(score), "{percents:?}");
        }
    }
}

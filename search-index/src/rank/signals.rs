//! What a row gets for what its shop knows of it beside its texts.
//!
//! Path: the [`Signals`] of a query and what all its words weigh → what each of them is worth ([`Shares`]) → a row's share of that, added last of all, after the
//! boosts; and for [`windows`](super::windows) the most that it can be. Popularity, rating and margin are read as soon as a row may be wanted. Whether it is in stock is
//! asked at the very end, and only where the answer decides whether or where the row is on the page.

use crate::collect::Collector;
use crate::rows::Rows;
use crate::signals::{BEST_MARGIN, BEST_RATING, SIGNAL_PERCENT_MAX, Signals, WHOLE, margin, rating};

/// Hundredths that all signals together can be.
pub(super) const PERCENT_MAX: u32 = 4 * SIGNAL_PERCENT_MAX as u32;

/// What signals are worth in one search.
#[derive(Clone, Copy)]
pub(crate) struct Shares<'a> {
    /// What the most popular, the best rated, all that are in stock, and those that are all profit get.
    popularity: u32,
    rating: u32,
    in_stock: u32,
    margin: u32,
    rows: &'a Rows,
    live: &'a dyn Fn(u32) -> bool,
}

impl<'a> Shares<'a> {
    /// `weight` is that of all words; `live` says of a row whether it is in stock.
    pub(crate) fn of(signals: Signals, weight: u32, rows: &'a Rows, live: &'a dyn Fn(u32) -> bool) -> Self {
        let worth = |percent: u16| (u64::from(weight) * 255 * u64::from(percent) / 100) as u32; // within the bound on scores, which is asserted
        let Signals { popularity, rating, in_stock, margin } = signals;
        let (popularity, rating, in_stock, margin) = (worth(popularity), worth(rating), worth(in_stock), worth(margin));
        Self { popularity, rating, in_stock, margin, rows, live }
    }

    /// What a row gets for its popularity.
    pub(crate) fn of_popularity(&self, row: u32) -> u32 {
        part(self.popularity, crate::signals::popularity(self.rows.popularities[row as usize]).into(), WHOLE.into())
    }

    /// What a row gets for its rating.
    pub(crate) fn of_rating(&self, row: u32) -> u32 {
        part(self.rating, rating(self.rows.columns(row).rating), BEST_RATING)
    }

    /// What a row gets for its margin.
    pub(crate) fn of_margin(&self, row: u32) -> u32 {
        part(self.margin, margin(self.rows.margins[row as usize]), BEST_MARGIN)
    }

    /// Likewise for being in stock, which is asked.
    pub(crate) fn of_stock(&self, row: u32) -> u32 {
        if self.in_stock > 0 && (self.live)(row) { self.in_stock } else { 0 }
    }

    /// What a row gets but for being in stock.
    pub(crate) fn of_columns(&self, row: u32) -> u32 {
        let mut sum = 0;
        if self.popularity > 0 {
            sum += self.of_popularity(row);
        }
        if self.rating > 0 {
            sum += self.of_rating(row);
        }
        if self.margin > 0 {
            sum += self.of_margin(row);
        }
        sum
    }

    /// What a row of the window that begins with this one gets at most, but for being in stock.
    pub(crate) fn bound(&self, first: u32) -> u32 {
        let of_others = self.rating + self.margin;
        if self.popularity == 0 { of_others } else { part(self.popularity, self.rows.most_popular(first).into(), WHOLE.into()) + of_others }
    }

    /// What a row gets at most for being in stock.
    pub(crate) fn stock_bound(&self) -> u32 {
        self.in_stock
    }

    /// Offers a row whose score lacks nothing but what it gets for being in stock.
    pub(crate) fn offer(&self, collector: &mut Collector<'_>, row: u32, mut score: u32) {
        if self.in_stock > 0 {
            // Either may be wanted without the other: behind a cursor the lower one, before the last hit the higher.
            if !self.may_be_wanted(collector, row, score) {
                return;
            }
            score += self.of_stock(row);
        }
        collector.offer(row, score);
    }

    /// Whether such a row is wanted if it is in stock, or if it is not.
    pub(crate) fn may_be_wanted(&self, collector: &Collector<'_>, row: u32, score: u32) -> bool {
        collector.wants(row, score) || (self.in_stock > 0 && collector.wants(row, score + self.in_stock))
    }
}

fn part(most: u32, share: u16, whole: u16) -> u32 {
    (u64::from(most) * u64::from(share) / u64::from(whole)) as u32
}

//! What a shop knows of its products beside their texts: how popular they are, how they are rated, whether there are any, what it earns by them.
//!
//! Path: [`Signals`] of a [`Query`] → bounds → what each is worth beside the words of the query (`rank::signals`) → a row's share of it: [`popularity`],
//! [`rating`] and [`margin`] of its columns, stock by the liveness function.

use crate::query::Query;
use crate::refusal::QueryError;
#[cfg(doc)]
use crate::{document::Document, results::Hit, search::Live};

/// Hundredths that a signal is worth at most. More is refused.
pub const SIGNAL_PERCENT_MAX: u16 = 400;

/// How much a signal counts: what a document with the most of it gets, in hundredths of what all words of the query weigh. All 0 by default: nothing changes.
///
/// In order of relevance, and with a text: elsewhere they change nothing about what is found and in which order. No document is found or lost by them, and those
/// with all words still come before those with some. They are counted after [boosts](crate::Boost), which know nothing of them.
///
/// ```
/// use search_index::{DocKey, Document, Index, Query, Settings, Signals};
/// let lamp = |key, title: &str, popularity| Document { title: title.into(), popularity, ..Document::new(DocKey(key)) };
/// let index = Index::build(Settings::default(), [lamp(1, "Lamp", 3), lamp(2, "Lamp of brass", 2_000)])?;
/// let best = |signals| -> Result<DocKey, search_index::QueryError> {
///     Ok(index.search(&Query { text: Some("lamp".into()), signals, ..Query::default() }, None)?.hits[0].key)
/// };
/// assert_eq!(best(Signals::default())?, DocKey(1));
/// assert_eq!(best(Signals { popularity: 50, ..Signals::default() })?, DocKey(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// [`Document::popularity`], by its logarithm: each doubling adds as much as the one before. None has a share of 0, 1 of a 21st, 2 of two 21sts, and so on;
    /// 2^20 and all above it have it whole.
    pub popularity: u16,
    /// [`Document::rating`]: five stars have it whole, half as many half of it. An unrated document has none of it, as if all who bought it had given no star.
    pub rating: u16,
    /// Being in stock, as the liveness function ([`Live`]) says: all of it or nothing. It is asked of documents that would come on the page by it, and of no others.
    pub in_stock: u16,
    /// [`Document::margin`]: 100 hundredths have it whole, half as many half of it, and 0 and below none of it. What it brings a document, [`Hit::of_margin`] says, for
    /// callers who do not tell everybody.
    pub margin: u16,
}

impl Query {
    /// Whether signals are within their bound.
    pub(crate) fn check_signals(&self) -> Result<(), QueryError> {
        let Signals { popularity, rating, in_stock, margin } = self.signals;
        let refused =
            |(signal, percent)| if percent > SIGNAL_PERCENT_MAX { Err(QueryError::SignalPercent { signal, percent }) } else { Ok(()) };
        [("popularity", popularity), ("rating", rating), ("in stock", in_stock), ("margin", margin)].into_iter().try_for_each(refused)
    }
}

/// Doublings of popularity, the one from nothing to 1 among them, behind which more counts for nothing more.
const DOUBLINGS: u64 = 21;
/// Stars in hundredths behind which more counts for nothing more.
pub(crate) const BEST_RATING: u16 = 500;
/// Likewise hundredths of a price that are earned by it.
pub(crate) const BEST_MARGIN: u16 = 100;

/// Shares are of this.
pub(crate) const WHOLE: u8 = 255;

/// A share of popularity, the greater the greater it is: as many `DOUBLINGS`ths as it has binary digits, and between these by the eight digits behind the first.
pub(crate) fn popularity(popularity: i64) -> u8 {
    let Ok(popularity @ 1..) = u64::try_from(popularity) else { return 0 };
    let digits = u64::from(64 - popularity.leading_zeros());
    // The first digit shifted out, the eight behind it at the very left.
    let behind = popularity << (64 - digits) << 1 >> 56;
    let level = (digits << 8 | behind).min(DOUBLINGS << 8);
    (level * u64::from(WHOLE) / (DOUBLINGS << 8)) as u8
}

/// A share of a rating in hundredths, of [`BEST_RATING`].
pub(crate) fn rating(rating: Option<u16>) -> u16 {
    rating.unwrap_or(0).min(BEST_RATING)
}

/// A share of a margin in hundredths, of [`BEST_MARGIN`].
pub(crate) fn margin(margin: i8) -> u16 {
    u16::try_from(margin).unwrap_or(0).min(BEST_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_counts_by_its_doublings() {
        for (of, wanted) in [
            (i64::MIN, 0),
            (-1, 0),
            (0, 0),
            (1, 12), // of 255, a 21st
            (2, 24),
            (3, 30), // half-way between 2 and 4
            (4, 36),
            (1_000, 133),
            (1 << 19, 242),
            ((1 << 20) - 1, 254),
            (1 << 20, 255),
            (i64::MAX, 255),
        ] {
            assert_eq!(popularity(of), wanted, "{of}");
        }
        let all: Vec<u8> = (-5..=1 << 20).map(popularity).collect();
        assert!(all.is_sorted(), "the more popular, the greater");
        assert!((0..62).all(|digits| popularity(1 << digits) <= popularity((1 << digits) + 1)), "no digit is lost at either end");
    }

    #[test]
    fn ratings_count_in_a_line_up_to_five_stars() {
        for (of, wanted) in [(None, 0), (Some(0), 0), (Some(1), 1), (Some(450), 450), (Some(500), 500), (Some(10_000), 500)] {
            assert_eq!(rating(of), wanted, "{of:?}");
        }
    }

    #[test]
    fn margins_count_in_a_line_from_nothing_to_the_whole_price() {
        for (of, wanted) in [(i8::MIN, 0), (-1, 0), (0, 0), (1, 1), (50, 50), (100, 100), (i8::MAX, 100)] {
            assert_eq!(margin(of), wanted, "{of}");
        }
    }
}

//! What whoever runs a shop sets for a query: which documents stand where, which do not stand at all, and which are the better for it.
//!
//! Path: [`Pin`]s, hidden keys and [`Boost`]s of a [`Query`] → bounds → rows of an index ([`Arranged`]) → a search for the others, with the pinned hits apart
//! ([`Part::pinned`](crate::Part::pinned)) → [`interleave`], once the parts of all indexes are there. Boosts are a part of scores (`rank::boosts`).
//!
//! The documents of a search are those that match its text or are pinned, and are not hidden; filters, totals and facets go by exactly these. Whether any document
//! has all words is judged without the pinned ones.
//! In order of relevance a pinned document that passes the filters stands on the first page, at its place or as far down as the page goes, and nowhere else. The
//! others fill the places between in their order and go on behind on later pages, so that pins neither skip nor repeat one of them. Of more pins than a page has
//! places, the last by place do not appear. In other orders a pinned document is a hit like any other.

use crate::bitset::Bitset;
use crate::document::DocKey;
use crate::query::{Filter, LIMIT_MAX, Query};
use crate::refusal::QueryError;
use crate::results::Hit;
use crate::rows::Rows;

/// Pins of one query. More is refused.
pub const PINS_MAX: usize = 50;
/// Hidden documents of one query. More is refused.
pub const HIDDEN_MAX: usize = 500;
/// Boosts of one query. More is refused.
pub const BOOSTS_MAX: usize = 32;
/// Hundredths that a boost gives or takes at most, and all boosts of a document together. More for one of them is refused, more together is cut.
pub const BOOST_PERCENT_MAX: i16 = 400;

/// A document at a fixed place of the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// From 0 on, below [`LIMIT_MAX`]. Of two pins for one place the first given comes first, and the other right after it.
    pub place: u16,
    /// The document.
    pub key: DocKey,
}

/// Documents that are better for this query, or worse.
///
/// In order of relevance, and with a text: elsewhere it changes nothing about what is found and in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct Boost {
    /// Which documents: any filter but that on stock.
    pub filter: Filter,
    /// By so many hundredths of what all words of the query weigh, which is the most that a document can get for having them; negative for worse. No document
    /// is found or lost by it.
    pub percent: i16,
}

impl Query {
    /// Whether pins, hidden documents and boosts are within their bounds.
    pub(crate) fn check_arrangement(&self) -> Result<(), QueryError> {
        let Self { pins, hidden, boosts, .. } = self;
        if pins.len() > PINS_MAX {
            return Err(QueryError::TooManyPins { len: pins.len() });
        }
        for (nth, Pin { place, key }) in pins.iter().enumerate() {
            if usize::from(*place) >= LIMIT_MAX {
                return Err(QueryError::PinPlace { place: *place });
            }
            if pins[..nth].iter().any(|other| other.key == *key) {
                return Err(QueryError::PinnedTwice { key: *key });
            }
        }
        if hidden.len() > HIDDEN_MAX {
            return Err(QueryError::TooManyHidden { len: hidden.len() });
        }
        if boosts.len() > BOOSTS_MAX {
            return Err(QueryError::TooManyBoosts { len: boosts.len() });
        }
        for Boost { filter, percent } in boosts {
            if percent.unsigned_abs() > BOOST_PERCENT_MAX.unsigned_abs() {
                return Err(QueryError::BoostPercent { percent: *percent });
            }
            if matches!(filter, Filter::InStock(_)) {
                return Err(QueryError::BoostOfStock);
            }
            filter.check()?;
        }
        Ok(())
    }
}

/// Rows that a query says something about by their keys.
#[derive(Default)]
pub(crate) struct Arranged {
    /// Those that are pinned and not hidden, ascending.
    pub(crate) pinned: Vec<u32>,
    /// Those and the hidden ones, ascending: no search for the others finds them.
    pub(crate) apart: Vec<u32>,
}

impl Arranged {
    /// O(pins · hidden).
    pub(crate) fn of(query: &Query, rows: &Rows) -> Self {
        let Query { pins, hidden, .. } = query;
        let shown = pins.iter().map(|pin| pin.key).filter(|key| !hidden.contains(key));
        let mut pinned: Vec<u32> = shown.filter_map(|key| rows.find(key)).collect();
        let mut apart: Vec<u32> = hidden.iter().filter_map(|key| rows.find(*key)).chain(pinned.iter().copied()).collect();
        pinned.sort_unstable();
        apart.sort_unstable();
        Self { pinned, apart }
    }

    /// Takes out of a set what is not to be found.
    pub(crate) fn leave_others(&self, rows: &mut Bitset) {
        self.apart.iter().for_each(|row| rows.remove(*row));
    }
}

/// The first page of so many hits: the pinned ones at their places, those of `others` between them; and whether some of `others` have no place on it.
pub(crate) fn interleave(others: Vec<Hit>, mut pinned: Vec<Hit>, pins: &[Pin], limit: usize) -> (Vec<Hit>, bool) {
    let place_of = |hit: &Hit| pins.iter().enumerate().find(|(_, pin)| pin.key == hit.key).map(|(nth, pin)| (usize::from(pin.place), nth));
    pinned.sort_by_key(place_of);
    pinned.truncate(limit);
    let len = limit.min(pinned.len() + others.len());
    let more = pinned.len() + others.len() > limit;
    let mut pinned = pinned.into_iter().peekable();
    let mut others = others.into_iter();
    let mut page = Vec::with_capacity(len);
    while page.len() < len {
        let (at, left) = (page.len(), len - page.len());
        let is_due = |hit: &Hit| place_of(hit).is_none_or(|(place, _)| place <= at);
        let none_between = pinned.len() == left;
        let hit = if none_between { pinned.next() } else { pinned.next_if(is_due).or_else(|| others.next()) };
        page.extend(hit);
    }
    (page, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{SortKey, Tier};

    /// Numbers are other hits, letters pinned ones.
    fn hit(name: char) -> Hit {
        let key = DocKey(u64::from(name));
        Hit {
            key,
            partition: 0,
            score: 0.0,
            of_margin: 0.0,
            pinned: name.is_alphabetic(),
            sort: SortKey { tier: Tier::AllTerms, value: 0, key },
        }
    }

    #[test] // Other hits, pins as letter and place, limit; the page, and whether there is more.
    fn pins_stand_at_their_places() {
        for (others, pins, limit, page, more) in [
            ("123", "", 10, "123", false),
            ("123", "", 2, "12", true),
            ("123", "a0", 10, "a123", false),
            ("123", "b2 a0", 10, "a1b23", false),
            ("123", "b1 a1", 10, "1ba23", false), // the first given comes first
            ("1234", "a1 b1 c2", 10, "1abc234", false),
            ("12", "a9", 10, "12a", false), // as far down as there are hits
            ("12", "a9 b8", 10, "12ba", false),
            ("123456", "a9", 4, "123a", true), // and as the page goes
            ("123456", "a9 b0", 4, "b12a", true),
            ("12", "a0 b1", 2, "ab", true),
            ("", "a5 b1", 2, "ba", false),
            ("12", "a0 b9 c5", 2, "ac", true), // of too many the last do not appear
            ("1", "a0", 1, "a", true),
            ("", "", 3, "", false),
        ] {
            let pins: Vec<Pin> = pins
                .split_whitespace()
                .map(|pin| Pin { key: hit(pin.chars().next().expect("a letter")).key, place: pin[1..].parse().expect("a place") })
                .collect();
            let pinned = pins.iter().rev().map(|pin| hit(char::from(pin.key.0 as u8))).collect();
            let (hits, there_is_more) = interleave(others.chars().map(hit).collect(), pinned, &pins, limit);
            let names: String = hits.iter().map(|hit| char::from(hit.key.0 as u8)).collect();
            assert_eq!((&*names, there_is_more), (page, more), "{others} {pins:?} {limit}");
        }
    }
}

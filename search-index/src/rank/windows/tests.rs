//! The best rows against those of adding everything up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::*;
use crate::arrangement::Boost;
use crate::bitset::Bitset;
use crate::collect::{Top, score_at};
use crate::cursor::Tier;
use crate::document::DocKey;
use crate::index::Columns;
use crate::postings::Store;
use crate::query::{Filter, Query};
use crate::rows::Rows;
use crate::signals::{Signals, popularity};

/// More than three chunks.
const ROWS: u32 = 200_000;

/// xorshift64*.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % end
    }
}

/// Rows of a stretch, one in `every` on average; few impacts are high, and some stretches have none of these.
fn list(draw: &mut Draw, every: u32) -> Vec<(u32, u8)> {
    let (from, to) = (draw.below(ROWS), draw.below(ROWS));
    let stretch = if draw.below(3) == 0 { from.min(to)..from.max(to) } else { 0..ROWS };
    let mut list = Vec::new();
    for row in stretch {
        if draw.below(every) == 0 {
            let top = if row / 10_000 % 3 == 0 { 255 } else { 40 };
            let below = 1 + draw.below(top);
            list.push((row, 1 + draw.below(below) as u8));
        }
    }
    list
}

#[test]
fn as_adding_everything_up() {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let mut rows = Rows::default();
    rows.fresh(ROWS as usize);
    for row in 0..ROWS {
        rows.keys.set(row as usize, DocKey(u64::from(row.wrapping_mul(2_654_435_761))));
        // Popular rows are few, and in some stretches there are none.
        let popular = if row / 8_192 % 3 > 0 && draw.below(500) == 0 { draw.below(1 << 22) } else { draw.below(5) };
        let rating = (draw.below(3) > 0).then(|| draw.below(501) as u16);
        rows.set(
            row,
            Columns { price: Some(i64::from(row / 5_000 % 8)), rating, popularity: popular.into(), margin: draw.below(202) as i8 },
        );
        if draw.below(20) > 0 {
            rows.live.insert(row);
        }
    }
    let category: RoaringBitmap = (50_000..90_000).filter(|row| row % 7 > 0).chain([150_000]).collect();
    let far = 30_000..45_000;
    for row in far.clone() {
        let _ = rows.brands.insert("far", row);
    }
    for round in 0..30 {
        let lists: Vec<Vec<(u32, u8)>> = (0..1 + round % 5)
            .map(|_| {
                let every = [1, 3, 20, 200, 5_000][draw.below(5) as usize];
                list(&mut draw, every)
            })
            .collect();
        let mut store = if round % 2 == 0 { Store::with_bitmaps() } else { Store::default() };
        for list in &lists {
            store.push(list.iter().copied());
        }
        let weights: SmallVec<[u32; 8]> = lists.iter().map(|_| 1 + draw.below(3_000)).collect();
        let called: Option<&RoaringBitmap> = (round % 3 > 0).then_some(&category);
        // By price, which is a test, and by brand, which is a set.
        let boosts: Vec<Boost> = (0..round % 4)
            .map(|nth| {
                let brand = Filter::Brand(vec!["far".into()]);
                let filter = if nth == 1 { brand } else { Filter::Price { min: Some(draw.below(7).into()), max: None } };
                Boost { filter, percent: draw.below(800) as i16 - 400 }
            })
            .collect();
        // The last of them are extras.
        let terms = lists.len().div_ceil(1 + round / 10);
        let percents = [0, 0, 0, 5, 60, 400];
        let mut percent = || if round < 10 { 0 } else { percents[draw.below(6) as usize] };
        let signals = Signals { popularity: percent(), rating: percent(), in_stock: percent(), margin: percent() };
        let live = |row: u32| row % 10 > 3;
        let words = weights[..terms].iter().sum::<u32>();
        let meter = Meter::unlimited();
        let resolved = Resolved {
            parts: vec![(0..lists.len()).map(|number| store.list(number)).collect()],
            weights: weights.clone(),
            terms,
            extras: SmallVec::new(),
            called: called.map(|called| Called::new(called, 50_000)).into_iter().collect(),
            boosts: Boosts::of(&boosts, words, &rows, &meter),
            proximity: Proximity::default(),
            shares: Shares::of(signals, words, &rows, &live),
            meter: &meter,
        };
        let mut set = Bitset::default();
        (0..ROWS).filter(|row| row / 30_000 % 2 == 0).for_each(|row| set.insert(row));

        let mut sums: BTreeMap<u32, (u32, usize)> = BTreeMap::new();
        for (nth, (list, weight)) in lists.iter().zip(&weights).enumerate() {
            for (row, impact) in list {
                let sum = sums.entry(*row).or_default();
                *sum = (sum.0 + weight * u32::from(*impact), sum.1 + usize::from(nth < terms));
            }
        }
        sums.retain(|_, (_, found)| *found > 0);
        sums.iter_mut().filter(|(row, _)| called.is_some_and(|called| called.contains(**row))).for_each(|(_, (score, _))| *score += 50_000);
        for (row, (score, _)) in &mut sums {
            let is_about = |boost: &&Boost| match boost.filter {
                Filter::Price { min, .. } => min.is_some_and(|min| rows.prices[*row as usize] >= min),
                _ => far.contains(row),
            };
            let percent: i64 = boosts.iter().filter(is_about).map(|boost| i64::from(boost.percent)).sum();
            *score = (i64::from(*score) + i64::from(words) * 255 * percent.clamp(-400, 400) / 100).max(1) as u32;
            let most = |percent: u16| words * 255 * u32::from(percent) / 100;
            let columns = rows.columns(*row);
            *score += (u64::from(most(signals.popularity)) * u64::from(popularity(columns.popularity)) / 255) as u32;
            *score += (u64::from(most(signals.rating)) * u64::from(columns.rating.unwrap_or(0)) / 500) as u32;
            *score += (u64::from(most(signals.margin)) * columns.margin.clamp(0, 100) as u64 / 100) as u32;
            *score += if live(*row) { most(signals.in_stock) } else { 0 };
        }
        for wanted in [Wanted::All, Wanted::Any, Wanted::Some] {
            let enough = |lists_of_row: usize| match wanted {
                Wanted::All => lists_of_row == terms,
                Wanted::Any => true,
                Wanted::Some => lists_of_row < terms,
            };
            for set in [None, Some(&set)] {
                let passes = |row: u32| rows.live.contains(row) && set.is_none_or(|set| set.contains(row));
                let mut best_sums: Vec<(Reverse<u32>, DocKey)> = sums
                    .iter()
                    .filter(|(row, (_, count))| enough(*count) && passes(**row))
                    .map(|(row, (score, _))| (Reverse(*score), rows.keys[*row as usize]))
                    .collect();
                best_sums.sort_unstable();
                best_sums.truncate(11);

                let mut top = Top::new(&Query { limit: 10, ..Query::default() });
                let in_stock = |_| true;
                let mut collector = Collector { rows: &rows, tier: Tier::AllTerms, set, tests: &[], in_stock: &in_stock, top: &mut top };
                best(&resolved, wanted, &mut collector);
                let found: Vec<_> = top.finish(11).0.iter().map(|found| (Reverse(score_at(found.place)), found.place.key)).collect();
                assert_eq!(found, best_sums, "{wanted:?} in round {round}");
            }
        }
    }
}

//! What facets answer, and how the counts of several indexes become one.
//!
//! Path: `Faceting::count` on every index → [`Facet`]s of a [`Part`](crate::Part), complete (no limit applied) → [`merge_facet`] sums them, applies what was
//! typed and the limit, and makes averages and histograms of numbers → [`Facet`] of the answer. It equals that of one index over all documents.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::category_nodes::{self, CategoryNode};
use crate::numbers::{self, NumberBucket, NumberStats};
use crate::query::{FacetField, FacetRequest, Filter};

/// A value that a facet counts. Order: flags, numbers by value, texts by bytes.
#[derive(Clone, Debug)]
pub enum FacetKey {
    /// A flag.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A brand, a category key, or a text or keyword value.
    Text(Arc<str>),
}

impl FacetKey {
    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl Ord for FacetKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(_) | Self::Number(_) | Self::Text(_), _) => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for FacetKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for FacetKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for FacetKey {}

/// How many documents have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// The value.
    pub value: FacetKey,
    /// Documents with it, exact; 0 only for a selected value that no document has.
    pub count: u64,
    /// Whether a filter of the query names it.
    pub selected: bool,
}

/// A column of integers over the documents that a facet counts: prices in minor units, or ratings in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnStats {
    /// Least.
    pub min: i64,
    /// Greatest.
    pub max: i64,
    /// Of all together.
    pub sum: i128,
    /// Documents that have a price or rating.
    pub count: u64,
}

impl ColumnStats {
    /// Of one document more.
    pub(crate) fn with(stats: Option<Self>, value: i64) -> Option<Self> {
        Self::join(stats, Some(Self { min: value, max: value, sum: i128::from(value), count: 1 }))
    }

    pub(crate) fn join(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(Self { min: a.min.min(b.min), max: a.max.max(b.max), sum: a.sum + b.sum, count: a.count + b.count }),
            (one, None) | (None, one) => one,
        }
    }

    /// The average, rounded to the nearest integer, halves up: -0.5 is 0, 0.5 is 1.
    #[must_use]
    pub fn avg(&self) -> i64 {
        let count = i128::from(self.count.max(1));
        let avg = (2 * self.sum + count).div_euclid(2 * count);
        avg.clamp(i128::from(self.min), i128::from(self.max)) as i64
    }
}

/// Documents rated so, or better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatingBucket {
    /// Least rating, in hundredths.
    pub from: u16,
    /// Documents, exact.
    pub count: u64,
    /// Whether a filter of the query asks for just these.
    pub selected: bool,
}

/// Where the buckets of [`FacetField::Rating`] begin: four stars and better, three, two, one.
pub(crate) const RATINGS_FROM: [u16; 4] = [400, 300, 200, 100];

/// Documents whose price is in `from..from + step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceBucket {
    /// Least price of the bucket, a multiple of the step (saturated at the ends of `i64`).
    pub from: i64,
    /// Documents in it; buckets of 0 are left out.
    pub count: u64,
}

/// What a facet found.
#[derive(Clone, Debug, PartialEq)]
pub enum FacetCounts {
    /// By value: most documents first, then by value; selected values beyond the limit stand at the end.
    Values(Vec<FacetValue>),
    /// Of a tree of categories: each before those in it, and those of one category by documents, then by key.
    Categories(Vec<CategoryNode>),
    /// Price range; `None` when no match has a price.
    Range(Option<ColumnStats>),
    /// Prices, ascending, in equal steps.
    Histogram {
        /// Width of every bucket in minor units: 1, 5, 10, 50, 100, …
        step: u64,
        /// The range the step was chosen for.
        stats: Option<ColumnStats>,
        /// Buckets that are not empty.
        buckets: Vec<PriceBucket>,
    },
    /// Ratings.
    Ratings {
        /// In hundredths; `None` when no match is rated.
        stats: Option<ColumnStats>,
        /// 4 stars and better, 3, 2, 1; empty ones too.
        buckets: [RatingBucket; 4],
    },
    /// Numbers of an attribute, ascending, in equal steps. [`Facet::numbers`] has the range that the step was chosen for.
    NumberHistogram(Vec<NumberBucket>),
}

/// The answer to one [`FacetRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// What was counted.
    pub field: FacetField,
    /// The counts.
    pub counts: FacetCounts,
    /// Of an attribute: the numbers among its values, all of them, whatever the limit. A [`Part`](crate::Part) has none: they are made of its values.
    pub numbers: Option<NumberStats>,
}

/// Sums one facet over all parts, and applies what was typed and its limit.
pub(crate) fn merge_facet(facets: Vec<Facet>, request: &FacetRequest, filters: &[Filter]) -> Facet {
    let mut numbers = None;
    let counts = match &request.field {
        FacetField::Brand | FacetField::Category | FacetField::Attribute(_) | FacetField::InStock => {
            let mut values = sum_values(facets);
            if matches!(request.field, FacetField::Attribute(_)) {
                numbers = numbers::stats(&numbers::ascending(&values));
                if let Some(query) = &request.query {
                    // Parts have kept the numbers for that.
                    values.retain(|value| query.wants(&value.value));
                }
            }
            FacetCounts::Values(top_values(values, request.limit))
        }
        FacetField::AttributeHistogram { buckets, .. } => {
            let counted = numbers::ascending(&sum_values(facets));
            numbers = numbers::stats(&counted);
            FacetCounts::NumberHistogram(numbers::histogram(&counted, *buckets))
        }
        FacetField::CategoryTree { levels, paths } => {
            let nodes = facets.into_iter().filter_map(|facet| match facet.counts {
                FacetCounts::Categories(nodes) => Some(nodes),
                _ => None,
            });
            FacetCounts::Categories(category_nodes::shown(nodes.flatten(), filters, paths, *levels, request.limit))
        }
        FacetField::Price => FacetCounts::Range(facets.iter().fold(None, |all, facet| match facet.counts {
            FacetCounts::Range(one) => ColumnStats::join(all, one),
            _ => all,
        })),
        FacetField::PriceHistogram { buckets: max } => {
            let (mut all, mut counted) = (None, Vec::new());
            for facet in facets {
                if let FacetCounts::Histogram { stats, buckets, .. } = facet.counts {
                    all = ColumnStats::join(all, stats);
                    counted.extend(buckets.into_iter().map(|bucket| (bucket.from, bucket.count)));
                }
            }
            histogram(all, *max, |add| counted.into_iter().for_each(|(from, count)| add(from, count)))
        }
        FacetField::Rating => {
            let none = RATINGS_FROM.map(|from| RatingBucket { from, count: 0, selected: false });
            let (mut all, mut sums) = (None, none);
            for facet in facets {
                if let FacetCounts::Ratings { stats, buckets } = facet.counts {
                    all = ColumnStats::join(all, stats);
                    for (sum, bucket) in sums.iter_mut().zip(buckets) {
                        (sum.count, sum.selected) = (sum.count + bucket.count, sum.selected | bucket.selected);
                    }
                }
            }
            FacetCounts::Ratings { stats: all, buckets: sums }
        }
    };
    Facet { field: request.field.clone(), counts, numbers }
}

fn sum_values(facets: Vec<Facet>) -> Vec<FacetValue> {
    let lists = facets.into_iter().filter_map(|facet| match facet.counts {
        FacetCounts::Values(values) => Some(values),
        _ => None,
    });
    let mut lists: Vec<Vec<FacetValue>> = lists.collect();
    if lists.len() <= 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut sums: BTreeMap<FacetKey, (u64, bool)> = BTreeMap::new();
    for value in lists.into_iter().flatten() {
        let sum = sums.entry(value.value).or_default();
        *sum = (sum.0 + value.count, sum.1 | value.selected);
    }
    sums.into_iter().map(|(value, (count, selected))| FacetValue { value, count, selected }).collect()
}

/// The `limit` most frequent values and, after them, the selected ones that are not among those.
pub(crate) fn top_values(mut values: Vec<FacetValue>, limit: u16) -> Vec<FacetValue> {
    let limit = usize::from(limit);
    let order = |a: &FacetValue, b: &FacetValue| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value));
    if values.len() > limit {
        values.select_nth_unstable_by(limit, order);
    }
    let mut rest = values.split_off(values.len().min(limit));
    rest.retain(|value| value.selected);
    values.sort_unstable_by(order);
    rest.sort_unstable_by(order);
    values.append(&mut rest);
    values
}

/// Buckets for prices (or for the starts of finer buckets) within `stats`, of the width that [`step`] says.
///
/// `count` calls what it is given with each price and how many have it.
pub(crate) fn histogram(stats: Option<ColumnStats>, max: u16, count: impl FnOnce(&mut dyn FnMut(i64, u64))) -> FacetCounts {
    let Some(range) = stats else {
        return FacetCounts::Histogram { step: 1, stats, buckets: Vec::new() };
    };
    let step = step((i128::from(range.min), i128::from(range.max)), max);
    // Nearly always 64 bits, which are divided several times as fast.
    let short = i64::try_from(step).ok();
    let bucket_of = |price: i64| match short {
        Some(step) => i128::from(price.div_euclid(step)),
        None => i128::from(price).div_euclid(step),
    };
    let first = bucket_of(range.min);
    let mut counts = vec![0_u64; usize::from(max)];
    count(&mut |price, count| {
        let at = usize::try_from(bucket_of(price) - first).ok();
        if let Some(sum) = at.and_then(|at| counts.get_mut(at)) {
            *sum += count;
        }
    });
    let filled = (first..).zip(counts).filter(|(_, count)| *count > 0);
    let buckets = filled.map(|(bucket, count)| PriceBucket { from: i64::try_from(bucket * step).unwrap_or(i64::MIN), count }).collect();
    FacetCounts::Histogram { step: u64::try_from(step).unwrap_or(u64::MAX), stats, buckets }
}

/// The smallest of 1, 5, 10, 50, 100, … of which at most `max` aligned steps have the range. Each divides the next, so buckets of one shard fold into those of the
/// merge without a second question, and the result is that of one index.
pub(crate) fn step((min, last): (i128, i128), max: u16) -> i128 {
    let (mut step, mut five) = (1_i128, true);
    while last.div_euclid(step) - min.div_euclid(step) >= i128::from(max) {
        step *= if five { 5 } else { 2 };
        five = !five;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: prices, and their average.
    fn averages_are_rounded_halves_up() {
        for (prices, wanted) in [
            (&[5_i64][..], 5),
            (&[1, 2], 2),
            (&[1, 1, 2], 1),
            (&[-1, 0], 0),
            (&[-2, -1], -1),
            (&[-2, -2, -1], -2),
            (&[i64::MAX, i64::MAX, i64::MAX - 1], i64::MAX),
            (&[i64::MIN + 1, i64::MAX], 0),
        ] {
            let stats = prices.iter().fold(None, |stats, price| ColumnStats::with(stats, *price)).expect("there are some");
            assert_eq!(stats.avg(), wanted, "{prices:?}");
            // In parts, and the other way round.
            let (first, rest) = prices.split_at(1);
            let of = |prices: &[i64]| prices.iter().fold(None, |stats, price| ColumnStats::with(stats, *price));
            assert_eq!(ColumnStats::join(of(rest), of(first)), Some(stats));
        }
    }
}

//! Ranges, averages and histograms of an attribute's numbers, equal however the documents were split.
//!
//! Path: the values of a facet with their counts, complete → [`ascending`] → [`stats`] and [`histogram`]. Both reckon in integers: numbers are given the fewest
//! decimals that all of them have, up to [`DECIMALS_MAX`], so that 0.1 three times is 0.3, and a bucket from 1.5 on has what says 1.5. What differs from such
//! a decimal by [`NOISE`] of the greatest number is taken for it: 2.54 four times is 10.16 to everybody but a processor.
//! Deliberately absent: sums of floats, which depend on the order in which they are added.

use std::collections::BTreeMap;

use crate::counts::{FacetKey, FacetValue, step};

/// Decimals told apart; fewer where the greatest number leaves no room for them in a float's 53 bits.
const DECIMALS_MAX: i32 = 15;
/// A share of the greatest number that comes from reckoning rather than from whoever measured.
const NOISE: f64 = 1e-12;
/// Integers above which a float no longer tells neighbours apart.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;
/// Numbers beyond this in size count as this in averages and histograms: four billion of them add up within an `i128`.
const NUMBER_MAX: f64 = 1e28;

/// Numbers of an attribute over the documents that a facet counts. One document may have several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberStats {
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
    /// The average: the exact sum of the numbers as decimals, divided by their count, to a float's precision.
    pub avg: f64,
    /// Numbers, each as often as documents have it.
    pub count: u64,
}

/// Documents that have a number in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberBucket {
    /// Least number of the bucket, a multiple of the step: 1, 5, 10, 50, … of the last decimal that the numbers have.
    pub from: f64,
    /// Greatest number of the bucket, with the decimals that the numbers have: so that a range filter with both ends finds what is in it.
    pub to: f64,
    /// Numbers in it; buckets of 0 are left out.
    pub count: u64,
}

/// The numbers among a facet's values, ascending, with their counts.
pub(crate) fn ascending(values: &[FacetValue]) -> Vec<(f64, u64)> {
    let number = |value: &FacetValue| match value.value {
        FacetKey::Number(number) if value.count > 0 => Some((number, value.count)),
        FacetKey::Number(_) | FacetKey::Bool(_) | FacetKey::Text(_) => None,
    };
    let mut numbers: Vec<(f64, u64)> = values.iter().filter_map(number).collect();
    numbers.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    numbers
}

/// What the numbers' last decimal is worth in the opposite direction: 10 for one decimal.
fn scale(ascending: &[(f64, u64)]) -> f64 {
    let greatest = ascending.iter().map(|(number, _)| number.abs()).fold(0.0, f64::max);
    let fits = |decimals: &i32| greatest * 10_f64.powi(*decimals) < EXACT_MAX;
    let is_near = |number: f64, scale: f64| (whole(number, scale) / scale - number).abs() <= greatest * NOISE;
    let most = (1..=DECIMALS_MAX).take_while(fits).last().unwrap_or(0);
    let mut decimals = 0;
    for (number, _) in ascending {
        while decimals < most && !is_near(*number, 10_f64.powi(decimals)) {
            decimals += 1;
        }
    }
    10_f64.powi(decimals)
}

fn whole(number: f64, scale: f64) -> f64 {
    (number * scale).round().clamp(-NUMBER_MAX, NUMBER_MAX)
}

/// `None` where there is no number.
pub(crate) fn stats(ascending: &[(f64, u64)]) -> Option<NumberStats> {
    let ((min, _), (max, _)) = (*ascending.first()?, *ascending.last()?);
    let scale = scale(ascending);
    let sum: i128 = ascending.iter().map(|(number, count)| whole(*number, scale) as i128 * i128::from(*count)).sum();
    let count: u64 = ascending.iter().map(|(_, count)| count).sum();
    let avg = (sum as f64 / count as f64 / scale).clamp(min, max);
    Some(NumberStats { min, max, avg, count })
}

/// In at most `max` buckets.
pub(crate) fn histogram(ascending: &[(f64, u64)], max: u16) -> Vec<NumberBucket> {
    let scale = scale(ascending);
    let wholes = || ascending.iter().map(|(number, count)| (whole(*number, scale) as i128, *count));
    let (Some((min, _)), Some((last, _))) = (wholes().next(), wholes().next_back()) else { return Vec::new() };
    let step = step((min, last), max);
    let mut buckets: BTreeMap<i128, u64> = BTreeMap::new();
    wholes().for_each(|(whole, count)| *buckets.entry(whole.div_euclid(step) * step).or_default() += count);
    let shown = |whole: i128| crate::attributes::number(whole as f64 / scale);
    buckets.into_iter().map(|(from, count)| NumberBucket { from: shown(from), to: shown(from + step - 1), count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: numbers; least, greatest, average; buckets of at most three as `from..to=count`.
    fn numbers_are_taken_as_the_decimals_they_were_written_as() {
        for (numbers, wanted, buckets) in [
            (&[0.1, 0.1, 0.1][..], (0.1, 0.1, 0.1), "0.1..0.1=3"),
            (&[0.1, 0.2, -0.3], (-0.3, 0.2, 0.0), "-0.5..-0.1=1 0..0.4=2"),
            (&[1.5, 2.0, 2.25, 7.0], (1.5, 7.0, 3.1875), "0..4.99=3 5..9.99=1"),
            (&[40.0, 55.0, 65.0], (40.0, 65.0, 160.0 / 3.0), "40..49=1 50..59=1 60..69=1"),
            (&[4.0 * 2.54, 3.0 * 2.54, 1.0], (1.0, 4.0 * 2.54, 6.26), "0..4.99=1 5..9.99=1 10..14.99=1"),
            (&[3.0, 4.0], (3.0, 4.0, 3.5), "3..3=1 4..4=1"),
            (&[1e-9, 3e-9], (1e-9, 3e-9, 2e-9), "0.000000001..0.000000001=1 0.000000003..0.000000003=1"),
            (&[1e300, 1e300], (1e300, 1e300, 1e300), ""),
            (&[-1e20, 1e-5], (-1e20, 1e-5, -5e19), ""),
        ] {
            let values = numbers.iter().map(|number| FacetValue { value: FacetKey::Number(*number), count: 1, selected: false });
            let ascending = ascending(&values.collect::<Vec<_>>());
            let found = stats(&ascending).expect("there are some");
            assert_eq!((found.min, found.max, found.avg, found.count), (wanted.0, wanted.1, wanted.2, numbers.len() as u64), "{numbers:?}");
            let found = histogram(&ascending, 3);
            assert!(found.len() <= 3);
            let shown: Vec<String> = found.iter().map(|bucket| format!("{}..{}={}", bucket.from, bucket.to, bucket.count)).collect();
            assert!(buckets.is_empty() || shown.join(" ") == buckets, "{numbers:?}: {shown:?}");
        }
        assert_eq!((stats(&[]), histogram(&[], 3)), (None, Vec::new()));
    }
}

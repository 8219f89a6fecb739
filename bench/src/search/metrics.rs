//! How good an order is: NDCG with the standard discount, the same without what nobody judged, and where the first right one stands.
//!
//! A ranking is what each hit, from the first on, was judged: its gain, or `None` where nobody judged it.
//! NDCG@10 is `Σ gain / log2(rank + 1)` over the first ten, by the same sum over the best order of all that was judged.

/// Hits that count.
pub(super) const AT: usize = 10;

fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    gains.take(AT).zip(2_u32..).map(|(gain, rank)| gain / f64::from(rank).log2()).sum()
}

/// What the best order of these gains would come to; 0 where none is above 0, and such a query tells nothing.
pub(super) fn ideal(gains: impl Iterator<Item = f64>) -> f64 {
    let mut gains: Vec<f64> = gains.filter(|gain| *gain > 0.0).collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    discounted(gains.into_iter())
}

/// NDCG@10; what was not judged counts as 0.
pub(super) fn ndcg(ranking: &[Option<f64>], ideal: f64) -> f64 {
    discounted(ranking.iter().map(|gain| gain.unwrap_or(0.0))) / ideal
}

/// NDCG@10 of the ranking without what was not judged. The ranking should be longer than ten.
pub(super) fn condensed(ranking: &[Option<f64>], ideal: f64) -> f64 {
    discounted(ranking.iter().filter_map(|gain| *gain)) / ideal
}

/// Which part of the first ten was not judged; 0 without hits.
pub(super) fn unjudged(ranking: &[Option<f64>]) -> f64 {
    let first = &ranking[..ranking.len().min(AT)];
    first.iter().filter(|gain| gain.is_none()).count() as f64 / first.len().max(1) as f64
}

/// 1 by the rank of the first right hit among ten; 0 where there is none.
pub(super) fn reciprocal_rank(right: impl Iterator<Item = bool>) -> f64 {
    right.take(AT).position(|right| right).map_or(0.0, |at| 1.0 / (at + 1) as f64)
}

/// The mean; nothing of nothing.
pub(super) fn mean(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Option<f64> = None;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found}, wanted {wanted}");
    }

    #[test] // Ranking, gains judged, NDCG, condensed, unjudged: all worked out by hand, 1 / log2(3) being 0.6309297535714574.
    fn orders_come_to_what_is_worked_out_by_hand() {
        let second = 0.630_929_753_571_457_4;
        for (ranking, judged, ndcg10, condensed10, unjudged10) in [
            (&[Some(3.0), Some(2.0)][..], &[3.0, 2.0][..], 1.0, 1.0, 0.0),
            (&[Some(0.0), Some(3.0)], &[3.0, 0.0], second, second, 0.0),
            // 2 at rank 2, 3 at rank 4 (1 / log2(5)), two unknown; without those 2 at rank 1, 3 at rank 2.
            (
                &[NO, Some(2.0), NO, Some(3.0)],
                &[3.0, 2.0],
                (2.0 * second + 3.0 * 0.430_676_558_073_393) / (3.0 + 2.0 * second),
                (2.0 + 3.0 * second) / (3.0 + 2.0 * second),
                0.5,
            ),
            (&[NO; 10], &[1.0], 0.0, 0.0, 1.0),
            (&[], &[1.0], 0.0, 0.0, 0.0),
            // The eleventh counts only where nine before it are left out.
            (&[NO, NO, NO, NO, NO, NO, NO, NO, NO, Some(0.0), Some(1.0)], &[1.0], 0.0, second, 0.9),
        ] {
            let ideal = ideal(judged.iter().copied());
            close(ndcg(ranking, ideal), ndcg10);
            close(condensed(ranking, ideal), condensed10);
            close(unjudged(ranking), unjudged10);
        }
    }

    #[test]
    fn the_ideal_is_the_best_ten_of_all_that_was_judged() {
        close(ideal([0.0, 1.0, 3.0].into_iter()), 3.0 + 0.630_929_753_571_457_4);
        close(ideal([0.0, -1.0].into_iter()), 0.0);
        close(ideal([1.0; 30].into_iter()), ideal([1.0; 10].into_iter()));
    }

    #[test]
    fn the_first_right_hit_counts_by_its_rank() {
        for (right, wanted) in [(&[true, true][..], 1.0), (&[false, false, false, true], 0.25), (&[false; 3], 0.0), (&[], 0.0)] {
            close(reciprocal_rank(right.iter().copied()), wanted);
        }
        let eleventh = (0..11).map(|at| at == 10);
        close(reciprocal_rank(eleventh), 0.0);
        assert_eq!((mean(&[]), mean(&[1.0, 2.0])), (None, Some(1.5)));
    }
}

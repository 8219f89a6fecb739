//! Sums of a cart or an order, in checked integer arithmetic.
//!
//! Path: (unit price, quantity) of each line → [`line_total`] → [`totals`] → `Totals`. Cart views and placed orders use the same
//! two functions, so a shopper is shown what apply will compute.
//! Deliberately absent: discounts, delivery and tax, which are zero until a promotion, a rate or a tax adapter names them.

use wire::{Currency, Money, Totals, limits::AMOUNT_MAX};

/// A sum is above [`AMOUNT_MAX`] or below zero, or a price is in another currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum is not an amount of 0..={AMOUNT_MAX} minor units in one currency")]
pub struct SumError;

/// `quantity` times `unit_price`.
///
/// # Errors
/// The product or the price is no amount of money.
pub fn line_total(unit_price: Money, quantity: u32) -> Result<Money, SumError> {
    amount(unit_price)?;
    amount(unit_price.checked_mul(quantity).ok_or(SumError)?)
}

/// The sums of lines, each `(unit price, quantity)`. O(lines); the order does not matter.
///
/// # Errors
/// A line or the sum is no amount of money in `currency`.
pub fn totals(currency: Currency, lines: impl IntoIterator<Item = (Money, u32)>) -> Result<Totals, SumError> {
    let nothing = Money::zero(currency);
    let mut subtotal = nothing;
    for (unit_price, quantity) in lines {
        let line = line_total(unit_price, quantity)?;
        subtotal = amount(subtotal.checked_add(line).ok_or(SumError)?)?;
    }
    Ok(Totals { subtotal, discount: nothing, shipping: nothing, tax: nothing, total: subtotal })
}

fn amount(money: Money) -> Result<Money, SumError> {
    if (0..=AMOUNT_MAX).contains(&money.amount) { Ok(money) } else { Err(SumError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(amount: i64) -> Money {
        Money { amount, currency: Currency::USD }
    }

    #[test] // Each row: prices and quantities, and the total or `None`.
    fn sums_stay_amounts_of_money() {
        for (lines, total) in [
            (vec![], Some(0)),
            (vec![(usd(1_999), 2), (usd(1), 3)], Some(4_001)),
            (vec![(usd(0), 100_000)], Some(0)),
            (vec![(usd(AMOUNT_MAX), 1)], Some(AMOUNT_MAX)),
            (vec![(usd(AMOUNT_MAX), 1), (usd(1), 1)], None),
            (vec![(usd(AMOUNT_MAX), 2)], None),
            (vec![(usd(i64::MAX), 2)], None),
            (vec![(usd(-1), 1)], None),
        ] {
            let found = totals(Currency::USD, lines.clone()).ok().map(|totals| totals.total.amount);
            assert_eq!(found, total, "{lines:?}");
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let eur = Money { amount: 1, currency: "EUR".parse().expect("three capitals") };
        assert_eq!(totals(Currency::USD, [(usd(1), 1), (eur, 1)]), Err(SumError));
    }
}

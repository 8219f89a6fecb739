//! Bounds of what comes in, collected so that one answer names every field that is wrong.

use super::MoneyBody;
use crate::http::problem::Problem;
use wire::{Currency, FieldError, Money, limits};

/// Collects what is wrong. Values that are wrong are replaced by harmless ones, which [`Checks::end`] keeps from being used.
#[derive(Default)]
pub(crate) struct Checks {
    errors: Vec<FieldError>,
}

/// Entries collected; the rest goes unsaid.
const ERRORS_MAX: usize = 100;

impl Checks {
    /// Adds an error.
    pub(crate) fn wrong(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(FieldError { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() });
        }
    }

    /// A text of `min..=max` bytes.
    pub(crate) fn text(&mut self, pointer: &str, text: String, min: usize, max: usize) -> String {
        if text.len() > max {
            self.wrong(pointer, "too_long", format!("at most {max} bytes"));
        } else if text.len() < min {
            self.wrong(pointer, "too_short", format!("at least {min} bytes"));
        }
        text
    }

    /// A text that may be missing; an empty one is missing too.
    pub(crate) fn option(&mut self, pointer: &str, text: Option<String>, max: usize) -> Option<String> {
        text.filter(|text| !text.is_empty()).map(|text| self.text(pointer, text, 0, max))
    }

    /// A merchant's own key.
    pub(crate) fn key(&mut self, pointer: &str, key: String) -> String {
        if key.chars().any(char::is_control) {
            self.wrong(pointer, "control_character", "a key has no control characters");
        }
        self.text(pointer, key, 1, limits::KEY_BYTES_MAX)
    }

    /// A list of at most `max`.
    pub(crate) fn count(&mut self, pointer: &str, count: usize, min: usize, max: usize) {
        if count > max {
            self.wrong(pointer, "too_many", format!("at most {max}"));
        } else if count < min {
            self.wrong(pointer, "too_few", format!("at least {min}"));
        }
    }

    /// A number of `min..=max`.
    pub(crate) fn number(&mut self, pointer: &str, number: u32, min: u32, max: u32) -> u32 {
        if !(min..=max).contains(&number) {
            self.wrong(pointer, "out_of_range", format!("from {min} to {max}"));
        }
        number
    }

    /// A price, total or payment.
    pub(crate) fn money(&mut self, pointer: &str, money: &MoneyBody) -> Money {
        if !(0..=limits::AMOUNT_MAX).contains(&money.amount) {
            self.wrong(format!("{pointer}/amount"), "out_of_range", format!("from 0 to {}", limits::AMOUNT_MAX));
        }
        let currency = money.currency.parse().unwrap_or_else(|error: wire::CurrencyError| {
            self.wrong(format!("{pointer}/currency"), "unknown_value", error.to_string());
            Currency::USD
        });
        Money { amount: money.amount, currency }
    }

    /// The problem, if something is wrong.
    pub(crate) fn end<T>(self, value: T) -> Result<T, Problem> {
        if self.errors.is_empty() { Ok(value) } else { Err(Problem::invalid(self.errors)) }
    }
}

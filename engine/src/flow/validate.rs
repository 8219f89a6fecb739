//! Bounds of what a request brings, checked again behind the gateway: the engine trusts nobody.

use wire::{Address, ArrivedGoods, FieldError, PaymentMethod, Refusal, Reservation, ReserveLine, SkuUnits, StockAdjustment, limits};

fn invalid(pointer: &str, code: &str, detail: String) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail }])
}

fn text(pointer: &str, text: &str, min: usize, max: usize) -> Result<(), Refusal> {
    if text.len() < min {
        return Err(invalid(pointer, "required", "must not be empty".to_owned()));
    }
    if text.len() > max {
        return Err(invalid(pointer, "too_long", format!("at most {max} bytes, found {}", text.len())));
    }
    Ok(())
}

/// A SKU named in a body that the shop does not have.
pub(super) fn unknown_sku(pointer: &str) -> Refusal {
    invalid(pointer, "unknown_sku", "no variant has this id or key".to_owned())
}

pub(super) fn address(address: &Address) -> Result<(), Refusal> {
    let Address { name, line1, line2, city, region, postal_code, country, phone } = address;
    let max = limits::ADDRESS_FIELD_BYTES_MAX;
    text("/name", name, 1, max)?;
    text("/line1", line1, 1, max)?;
    text("/line2", line2.as_deref().unwrap_or_default(), 0, max)?;
    text("/city", city, 1, max)?;
    text("/region", region.as_deref().unwrap_or_default(), 0, max)?;
    text("/postal_code", postal_code, 0, max)?;
    text("/phone", phone.as_deref().unwrap_or_default(), 0, max)?;
    if country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(invalid("/country", "invalid", "two capital letters of ISO 3166-1, such as US".to_owned()))
    }
}

pub(super) fn checkout(email: &str, payment: &PaymentMethod) -> Result<(), Refusal> {
    text("/email", email, 1, limits::EMAIL_BYTES_MAX)?;
    let plausible = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if !plausible || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid("/email", "invalid", "an address such as ada@example.org".to_owned()));
    }
    text("/payment/provider", &payment.provider, 1, limits::KEY_BYTES_MAX)?;
    text("/payment/token", &payment.token, 1, limits::PAYMENT_TOKEN_BYTES_MAX)
}

/// A location code.
pub(crate) fn location(code: &str) -> Result<(), Refusal> {
    place("/location", code)
}

/// One of two location codes.
pub(super) fn place(pointer: &str, code: &str) -> Result<(), Refusal> {
    text(pointer, code, 1, limits::KEY_BYTES_MAX)
}

/// A supplier's own name for a delivery.
pub(super) fn reference(name: &str) -> Result<(), Refusal> {
    text("/reference", name, 0, limits::REFERENCE_BYTES_MAX)
}

/// Units that move.
pub(super) fn units(pointer: &str, units: u32) -> Result<(), Refusal> {
    if (1..=limits::STOCK_UNITS_MAX).contains(&units) {
        Ok(())
    } else {
        Err(invalid(pointer, "out_of_range", format!("1 to {} units", limits::STOCK_UNITS_MAX)))
    }
}

/// Entries of a page.
pub(super) fn page(limit: u16) -> Result<(), Refusal> {
    if (1..=limits::PAGE_MAX).contains(&limit) {
        Ok(())
    } else {
        Err(invalid("/limit", "out_of_range", format!("1 to {}", limits::PAGE_MAX)))
    }
}

/// Goods that come or go.
pub(super) fn goods(lines: &[SkuUnits]) -> Result<(), Refusal> {
    line_count(lines.len())?;
    (0u16..).zip(lines).try_for_each(|(nth, line)| units(&format!("/lines/{nth}/quantity"), line.quantity))
}

/// What came of goods sent.
pub(super) fn arrivals(lines: &[ArrivedGoods]) -> Result<(), Refusal> {
    line_count(lines.len())?;
    let sum = |line: &ArrivedGoods| line.whole.saturating_add(line.damaged).saturating_add(line.lost);
    (0u16..).zip(lines).try_for_each(|(nth, line)| units(&format!("/lines/{nth}"), sum(line)))
}

/// A SKU that an earlier line names.
pub(super) fn repeated_sku(line: usize) -> Refusal {
    invalid(&format!("/lines/{line}/sku"), "repeated_sku", "each SKU once".to_owned())
}

fn line_count(count: usize) -> Result<(), Refusal> {
    let max = limits::RESERVE_LINES_MAX;
    if (1..=max).contains(&count) { Ok(()) } else { Err(invalid("/lines", "out_of_range", format!("1 to {max} lines, found {count}"))) }
}

/// What a reservation asks, but its location.
pub(crate) fn reservation(reservation: &Reservation) -> Result<(), Refusal> {
    ttl(reservation.ttl_ms)?;
    lines(&reservation.lines, limits::LINE_QUANTITY_MAX)
}

/// How long a reservation lasts.
pub(crate) fn ttl(ttl_ms: u32) -> Result<(), Refusal> {
    let max = limits::RESERVE_TTL_MS_MAX;
    if (1..=max).contains(&ttl_ms) {
        Ok(())
    } else {
        Err(invalid("/ttl_ms", "out_of_range", format!("1 to {max} milliseconds, found {ttl_ms}")))
    }
}

/// What a delivery brings.
pub(crate) fn delivery(delivered: &[ReserveLine]) -> Result<(), Refusal> {
    lines(delivered, limits::STOCK_UNITS_MAX)?;
    let mut skus: Vec<_> = delivered.iter().map(|line| line.sku).collect();
    skus.sort_unstable();
    if skus.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("/lines", "repeated_sku", "each SKU once in a delivery".to_owned()));
    }
    Ok(())
}

/// Lines of a reservation or a delivery.
pub(crate) fn lines(lines: &[ReserveLine], quantity_max: u32) -> Result<(), Refusal> {
    line_count(lines.len())?;
    match lines.iter().position(|line| !(1..=quantity_max).contains(&line.quantity)) {
        Some(at) => Err(invalid(&format!("/lines/{at}/quantity"), "out_of_range", format!("1 to {quantity_max} units"))),
        None => Ok(()),
    }
}

pub(super) fn adjustment(adjustment: &StockAdjustment) -> Result<(), Refusal> {
    text("/location", &adjustment.location, 1, limits::KEY_BYTES_MAX)?;
    text("/reason", &adjustment.reason, 0, limits::TITLE_BYTES_MAX)?;
    text("/id", adjustment.id.as_deref().unwrap_or_default(), 0, limits::KEY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_plausible_or_refused() {
        let payment = PaymentMethod { provider: "sandbox".to_owned(), token: "pm_card_visa".to_owned() };
        for (email, good) in [
            ("ada@example.org", true),
            ("a.b+c@mail.example.co.uk", true),
            ("", false),
            ("ada", false),
            ("@example.org", false),
            ("ada@localhost", false),
            ("ada@example.", false),
            ("a da@example.org", false),
            ("ada@@example.org", false),
            ("ada@example.org\n", false),
        ] {
            assert_eq!(checkout(email, &payment).is_ok(), good, "{email:?}");
        }
        let long = format!("{}@example.org", "a".repeat(300));
        assert!(checkout(&long, &payment).is_err());
    }
}

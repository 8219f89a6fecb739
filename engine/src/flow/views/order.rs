//! Carts and orders, personal fields opened.

use super::price_in;
use crate::{
    domain::{cart::Cart, order::Order, totals},
    record::v1,
    seal::{Keyring, OpenError, Sealed},
    shard::core::peer::SkuCard,
};
use wire::{
    Address, CartLineView, CartProblem, CartView, Failure, Millis, Money, OrderEvent, OrderLineView, OrderView, PaymentView, Refusal,
};

/// An address as it is sealed.
pub(crate) fn stored_address(address: Address) -> v1::Address {
    let Address { name, line1, line2, city, region, postal_code, country, phone } = address;
    v1::Address { name, line1, line2, city, region, postal_code, country, phone }
}

fn shown_address(address: v1::Address) -> Address {
    let v1::Address { name, line1, line2, city, region, postal_code, country, phone } = address;
    Address { name, line1, line2, city, region, postal_code, country, phone }
}

/// A cart priced by `cards`, one for each line. A line that cannot be sold counts nothing and is a problem.
pub(crate) fn cart(
    cart: &Cart,
    cards: &[Option<SkuCard>],
    email: Option<&Sealed<String>>,
    keys: &Keyring,
    now: Millis,
) -> Result<CartView, Failure> {
    let nothing = Money::zero(cart.currency);
    let mut problems = Vec::new();
    let mut lines = Vec::with_capacity(cart.lines.len());
    for (line, card) in cart.lines.iter().zip(cards) {
        let price = card.as_ref().and_then(|card| price_in(&card.prices, cart.currency));
        let availability = card.as_ref().map(|card| card.availability).unwrap_or_default();
        if price.is_none() {
            problems.push(CartProblem::NotForSale { line: line.id });
        } else if availability.quantity < line.quantity && !availability.is_cap() {
            problems.push(CartProblem::InsufficientStock { line: line.id, available: availability.quantity });
        }
        let unit_price = price.unwrap_or(nothing);
        let total = totals::line_total(unit_price, line.quantity).unwrap_or(nothing);
        lines.push(CartLineView {
            id: line.id,
            sku: line.sku,
            product: line.product,
            product_key: card.as_ref().map(|card| card.product_key.clone()).unwrap_or_default(),
            title: card.as_ref().map(|card| card.title.clone()).unwrap_or_default(),
            image: card.as_ref().and_then(|card| card.image.clone()),
            quantity: line.quantity,
            unit_price,
            discount: nothing,
            tax: nothing,
            total,
            availability,
        });
    }
    let sums = totals::totals(cart.currency, lines.iter().map(|line| (line.unit_price, line.quantity)));
    let totals = sums.map_err(|_too_much| {
        Failure::Refused(Refusal::LimitReached { what: "minor units of a cart's total".to_owned(), max: wire::limits::AMOUNT_MAX as u64 })
    })?;
    // Erased: the cart shows as without them.
    let address = cart.address.as_ref().and_then(|sealed| keys.open(sealed).ok()).map(shown_address);
    let email = email.and_then(|sealed| keys.open(sealed).ok());
    Ok(CartView {
        id: cart.id,
        version: cart.version,
        status: cart.status(now),
        currency: cart.currency,
        customer: None,
        email,
        lines,
        address,
        totals,
        problems,
        expires_at: cart.expires_at(),
    })
}

/// An order.
///
/// # Errors
/// The buyer was erased.
pub(crate) fn order(order: &Order, keys: &Keyring) -> Result<OrderView, OpenError> {
    Ok(OrderView {
        id: order.id,
        number: order.number.to_string(),
        version: order.version,
        status: order.status,
        payment_status: order.payment_status(),
        email: keys.open(&order.email)?,
        cart: order.cart,
        lines: order
            .lines
            .iter()
            .map(|line| OrderLineView {
                id: line.id,
                sku: line.sku,
                title: line.title.clone(),
                quantity: line.quantity,
                unit_price: line.unit_price,
                total: line.total,
                quantities: line.quantities().to_vec(),
            })
            .collect(),
        totals: order.totals,
        address: shown_address(keys.open(&order.address)?),
        payments: order
            .payments
            .iter()
            .map(|payment| PaymentView {
                id: payment.id,
                provider: order.provider.clone(),
                status: payment.status(),
                amount: payment.amount,
                captured: payment.captured(),
                refunded: payment.refunded(),
                decline_code: payment.decline_code().map(str::to_owned),
            })
            .collect(),
        next_action: order.next_action().cloned(),
        placed_at: order.placed_at,
        events: order
            .events
            .iter()
            .map(|event| OrderEvent {
                version: event.version,
                at: event.at,
                kind: event.kind.as_str().to_owned(),
                detail: event.detail.clone(),
            })
            .collect(),
    })
}

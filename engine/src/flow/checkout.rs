//! Checkout: everything the order needs is gathered, placed as one command, and its outcome waited for.
//!
//! Path: cart → prices of its lines → stock of all locations → [`source`] → `PlaceOrder` → the saga runs in the order's partition
//! (`partition/orders/`) → the order settles, or `wait_ms` passes. Here also: another plan after a shortage ([`resource`]).
//! Read first: [`checkout`]. Bounds: [`wire::limits::CHECKOUT_WAIT_MS_MAX`].

use super::{Head, Keyed, Trail, cart::cards, keyed, read, refused, validate, views};
use crate::{
    domain::{
        cart::CartState,
        order::{Order, Saga},
    },
    partition::{Done, Outcome},
    record::v1::{Command, HoldLine, PlaceOrder, PricedLine, ShortLine, Source, Sourcing},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask, StockAt},
        state::State,
    },
};
use std::collections::BTreeMap;
use wire::{Body, CartId, Failure, Money, OrderId, PartitionId, PaymentMethod, Refusal, SkuId};

/// How often a checkout is gathered anew when its cart changes meanwhile; then the conflict is the answer.
const GATHER_TRIES_MAX: u32 = 3;

/// What the buyer asks for.
pub(super) struct Asked {
    pub(super) cart: CartId,
    pub(super) email: String,
    pub(super) payment: PaymentMethod,
    pub(super) accept_total: Money,
    pub(super) wait_ms: u32,
}

pub(super) async fn checkout(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: Asked) -> Result<Body, Failure> {
    head.guest_of(asked.cart)?;
    validate::checkout(&asked.email, &asked.payment).map_err(refused)?;
    let wait_ms = asked.wait_ms.min(wire::limits::CHECKOUT_WAIT_MS_MAX);
    let until_us = ctx.now().mono_us + u64::from(wait_ms) * 1_000;
    let partition = asked.cart.partition();
    let guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => return settled(ctx, outcome, until_us).await,
        Keyed::First(guard) => guard,
    };
    let mut tries = 0;
    let outcome = loop {
        let place = gather(ctx, &asked).await?;
        let committed = ctx.propose(partition, head.entry(Command::PlaceOrder(Box::new(place)))).await?;
        tries += 1;
        match trail.note(committed) {
            // The cart or the clock moved on between reading and placing: not the buyer's doing, and not remembered under the key.
            Err(Refusal::VersionMismatch { .. }) if head.if_match.is_none() && tries < GATHER_TRIES_MAX => {}
            Err(Refusal::PricesOutdated) if tries < GATHER_TRIES_MAX => {}
            outcome => break outcome,
        }
    };
    // From here the key is in the table: a repeat finds the order and waits for it too.
    drop(guard);
    settled(ctx, outcome, until_us).await
}

/// Reads what the order is made from. Refuses what is not remembered under the key anyway; the rest is for apply to refuse.
async fn gather(ctx: &Ctx, asked: &Asked) -> Result<PlaceOrder, Failure> {
    let Asked { cart: id, email, payment, accept_total, wait_ms: _ } = asked;
    let id = *id;
    let cart = read(ctx, id.partition(), |partition| partition.cart(id).cloned())?.ok_or_else(|| refused(Refusal::NotFound))?;
    let known = ctx.config(|config| config.providers.contains(&payment.provider));
    if !known {
        return Err(refused(Refusal::UnknownProvider { provider: payment.provider.clone() }));
    }
    let is_open = matches!(cart.state, CartState::Open);
    if is_open && cart.lines.is_empty() {
        return Err(refused(Refusal::CartEmpty));
    }
    if is_open && cart.address.is_none() {
        return Err(refused(Refusal::AddressRequired));
    }
    let gathered_at = ctx.with_mut(State::stamp);
    let skus: Vec<SkuId> = cart.lines.iter().map(|line| line.sku).collect();
    let cards = cards(ctx, &skus).await?;
    let lines = cart.lines.iter().zip(cards).map(|(line, card)| PricedLine {
        line: line.id,
        sku: line.sku,
        quantity: line.quantity,
        unit_price: card.as_ref().and_then(|card| views::price_in(&card.prices, cart.currency)),
        title: card.map(|card| card.title).unwrap_or_default(),
    });
    let lines: Vec<PricedLine> = lines.collect();
    let wanted: Vec<HoldLine> = cart.lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity }).collect();
    let plan = plan(ctx, &wanted).await?;
    let (hold_ttl_ms, decide_ms, capture) = ctx.config(|config| (config.hold_ttl_ms, config.decide_ms, config.capture_at_once));
    Ok(PlaceOrder {
        cart: id,
        cart_version: cart.version,
        email: ctx.seal(email),
        provider: payment.provider.clone(),
        token: ctx.seal(&payment.token),
        accept_total: *accept_total,
        lines,
        plan,
        gathered_at,
        hold_ttl_ms,
        decide_ms,
        capture,
    })
}

async fn plan(ctx: &Ctx, wanted: &[HoldLine]) -> Result<Sourcing, Failure> {
    let skus: Vec<SkuId> = wanted.iter().map(|line| line.sku).collect();
    let mut stock = Vec::new();
    for answer in ctx.ask_all(Ask::Stock(skus.into())).await? {
        match answer {
            Answer::Stock(rows) => stock.extend(rows),
            other => return Err(unexpected(&other)),
        }
    }
    Ok(source(wanted, &stock))
}

/// Where the units come from: one location that has everything, the first by code; else line by line from the locations by code, as
/// few as that order gives. Deterministic: the same stock gives the same plan.
fn source(wanted: &[HoldLine], stock: &[StockAt]) -> Sourcing {
    let mut wanted_by_sku: BTreeMap<SkuId, u32> = BTreeMap::new();
    for line in wanted {
        let sum = wanted_by_sku.entry(line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    let mut locations: BTreeMap<&str, (PartitionId, BTreeMap<SkuId, u32>)> = BTreeMap::new();
    for at in stock {
        let (_, rows) = locations.entry(&at.row.location).or_insert_with(|| (at.partition, BTreeMap::new()));
        rows.insert(at.sku, at.row.available);
    }
    let short: Vec<ShortLine> = wanted_by_sku
        .iter()
        .filter_map(|(sku, requested)| {
            let available = locations.values().filter_map(|(_, rows)| rows.get(sku)).fold(0u32, |sum, n| sum.saturating_add(*n));
            (available < *requested).then_some(ShortLine { sku: *sku, requested: *requested, available })
        })
        .collect();
    if !short.is_empty() {
        return Sourcing::Short(short);
    }
    let has_all = |rows: &BTreeMap<SkuId, u32>| wanted_by_sku.iter().all(|(sku, n)| rows.get(sku).is_some_and(|have| have >= n));
    if let Some((location, (partition, _))) = locations.iter().find(|(_, (_, rows))| has_all(rows)) {
        let lines = wanted_by_sku.iter().map(|(sku, quantity)| HoldLine { sku: *sku, quantity: *quantity }).collect();
        return Sourcing::From(vec![Source { location: (*location).to_owned(), partition: *partition, lines }]);
    }
    let mut sources = Vec::new();
    for (location, (partition, rows)) in &locations {
        let mut lines = Vec::new();
        for (sku, left) in &mut wanted_by_sku {
            let quantity = (*left).min(rows.get(sku).copied().unwrap_or(0));
            if quantity > 0 {
                *left -= quantity;
                lines.push(HoldLine { sku: *sku, quantity });
            }
        }
        if !lines.is_empty() {
            sources.push(Source { location: (*location).to_owned(), partition: *partition, lines });
        }
    }
    Sourcing::From(sources)
}

/// Gives an order that came short another plan. The saga asks at most twice.
pub(crate) async fn resource(ctx: Ctx, partition: PartitionId, order: OrderId) {
    loop {
        let asked = ctx.with(|state| state.partition(partition).and_then(|p| p.order(order)).and_then(wants_source));
        let Some((attempt, wanted)) = asked else { return };
        if let Ok(plan) = plan(&ctx, &wanted).await
            && ctx.command(partition, Command::ResourceOrder { order, attempt, plan }).await.is_ok()
        {
            return;
        }
        ctx.sleep_until(ctx.now().mono_us + 100_000).await;
    }
}

/// Whether an order waits for another plan: the attempt's number, and what it needs.
pub(crate) fn wants_source(order: &Order) -> Option<(u16, Vec<HoldLine>)> {
    match &order.saga {
        Saga::NeedsSource { attempt, refusal: _ } => {
            let lines = order.lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity });
            Some((*attempt, lines.collect()))
        }
        _ => None,
    }
}

/// Waits until the order an outcome names has settled, and shows it or why it came to nothing.
pub(super) async fn settled(ctx: &Ctx, outcome: Outcome, until_us: u64) -> Result<Body, Failure> {
    let order = match outcome.map_err(refused)? {
        Done::Order(order) => order,
        other => {
            tracing::error!(?other, "an order command had another outcome");
            return Err(Failure::Internal);
        }
    };
    loop {
        let is_settled = read(ctx, order.partition(), |p| p.order(order).is_none_or(Order::settled))?;
        if is_settled || ctx.order_settles(order, until_us).await == crate::shard::core::wait::Woken::Late {
            break;
        }
    }
    show(ctx, order)
}

/// The order, or the refusal its checkout ended with.
pub(super) fn show(ctx: &Ctx, id: OrderId) -> Result<Body, Failure> {
    ctx.with(|state| {
        let found = state.partition(id.partition()).and_then(|partition| partition.order(id));
        let order = found.ok_or_else(|| refused(Refusal::NotFound))?;
        if let Some(refusal) = order.refusal() {
            return Err(refused(refusal));
        }
        // A person who was erased has no orders to read.
        views::order(order, &state.config.keyring).map(|order| Body::Order(Box::new(order))).map_err(|_erased| refused(Refusal::NotFound))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{RawId, StockRow};

    fn at(sku: u128, location: &str, available: u32) -> StockAt {
        let row = StockRow { location: location.to_owned(), available, held: 0, committed: 0, incoming: 0, unavailable: 0 };
        StockAt { sku: SkuId(RawId(sku)), partition: PartitionId(location.len() as u16), row, holds: Vec::new() }
    }

    /// `sku:quantity` pairs as a plan or shortage, in one line of text.
    fn planned(wanted: &[(u128, u32)], stock: &[StockAt]) -> String {
        let wanted: Vec<HoldLine> =
            wanted.iter().map(|(sku, quantity)| HoldLine { sku: SkuId(RawId(*sku)), quantity: *quantity }).collect();
        match source(&wanted, stock) {
            Sourcing::Short(lines) => {
                lines.iter().map(|l| format!("short {}:{}<{}", l.sku.0.0, l.available, l.requested)).collect::<Vec<_>>().join(" ")
            }
            Sourcing::From(sources) => {
                let lines = |s: &Source| s.lines.iter().map(|l| format!("{}:{}", l.sku.0.0, l.quantity)).collect::<Vec<_>>().join(",");
                sources.iter().map(|s| format!("{}={}", s.location, lines(s))).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test] // Each row: what is wanted, what there is, the plan.
    fn plans_take_one_location_when_one_has_everything() {
        let stock = [at(1, "berlin", 2), at(2, "berlin", 9), at(1, "paris", 5), at(2, "paris", 1), at(3, "rome", 1)];
        for (wanted, plan) in [
            (&[(1, 2), (2, 9)][..], "berlin=1:2,2:9"),
            (&[(1, 3), (2, 1)], "paris=1:3,2:1"),
            (&[(1, 3), (2, 2)], "berlin=1:2,2:2 paris=1:1"),
            (&[(1, 1), (1, 1)], "berlin=1:2"),
            (&[(1, 1), (3, 1)], "berlin=1:1 rome=3:1"),
            (&[(1, 8)], "short 1:7<8"),
            (&[(4, 1), (1, 1)], "short 4:0<1"),
        ] {
            assert_eq!(planned(wanted, &stock), plan, "{wanted:?}");
        }
    }
}

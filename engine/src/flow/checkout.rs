//! Checkout: everything the order needs is gathered, placed as one command, and its outcome waited for.
//!
//! Path: cart → prices of its lines → stock of all locations → [`sourcing::plan`] → `PlaceOrder` → the saga runs in the order's partition
//! (`partition/orders/`) → the order settles, or `wait_ms` passes. Here also: another plan after a shortage or contention ([`resource`]).
//! Read first: [`checkout`]. Bounds: [`wire::limits::CHECKOUT_WAIT_MS_MAX`].

use super::{Head, Keyed, Trail, cart::cards, keyed, read, refused, sourcing, validate, views};
use crate::{
    domain::{
        cart::CartState,
        order::{Order, Saga},
    },
    partition::{Done, Outcome},
    record::v1::{Command, HoldLine, PlaceOrder, PricedLine, Sourcing},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
        state::State,
    },
};
use wire::{Body, CartId, Failure, Millis, Money, OrderId, PartitionId, PaymentMethod, Refusal, SkuId};

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
    let mut supply = Vec::new();
    for answer in ctx.ask_all(Ask::Supply(skus.into())).await? {
        match answer {
            Answer::Supply(of_shard) => supply.extend(of_shard),
            other => return Err(unexpected(&other)),
        }
    }
    Ok(sourcing::plan(wanted, &supply))
}

/// Gives an order that could not be served another plan, when it is time. The saga asks a bounded number of times.
pub(crate) async fn resource(ctx: Ctx, partition: PartitionId, order: OrderId) {
    loop {
        // Where another node leads, that one does it.
        let led = ctx.with(|state| state.lead(partition).is_some());
        let asked = ctx.with(|state| state.partition(partition).filter(|_| led).and_then(|p| p.order(order)).and_then(wants_source));
        let Some((attempt, not_before, wanted)) = asked else { return };
        let due_us = ctx.with_mut(|state| (state.stamp() < not_before).then(|| state.clock.mono_at(not_before)));
        if let Some(due_us) = due_us {
            ctx.sleep_until(due_us).await;
            continue;
        }
        if let Ok(plan) = plan(&ctx, &wanted).await
            && ctx.command(partition, Command::ResourceOrder { order, attempt, plan }).await.is_ok()
        {
            return;
        }
        ctx.sleep_until(ctx.now().mono_us + 100_000).await;
    }
}

/// Whether an order waits for another plan: the attempt's number, from when on, and what it needs.
pub(crate) fn wants_source(order: &Order) -> Option<(u16, Millis, Vec<HoldLine>)> {
    match &order.saga {
        Saga::NeedsSource { attempt, not_before } => {
            let lines = order.lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity });
            Some((*attempt, *not_before, lines.collect()))
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

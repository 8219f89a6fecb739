//! Orders after checkout: read, acted on by the buyer, cancelled, listed.

use super::{Head, Trail, checkout, once, read, refused};
use crate::{
    record::v1::Command,
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
    },
};
use wire::{ActionOutcome, Body, Failure, OrderId, OrderStatus, Refusal, Role};

/// The order is the caller's, or looks missing.
fn check_owner(ctx: &Ctx, head: &Head, id: OrderId) -> Result<(), Failure> {
    let cart = read(ctx, id.partition(), |partition| partition.order(id).map(|order| order.cart))?;
    head.guest_of(cart.ok_or_else(|| refused(Refusal::NotFound))?)
}

pub(super) fn get(ctx: &Ctx, head: &Head, id: OrderId) -> Result<Body, Failure> {
    check_owner(ctx, head, id)?;
    // An order whose checkout came to nothing was never placed.
    checkout::show(ctx, id).map_err(|_refused| refused(Refusal::NotFound))
}

pub(super) async fn payment_action(
    ctx: &Ctx,
    head: &Head,
    trail: &mut Trail,
    order: OrderId,
    outcome: ActionOutcome,
    wait_ms: u32,
) -> Result<Body, Failure> {
    check_owner(ctx, head, order)?;
    let done = once(ctx, head, trail, order.partition(), Command::PaymentAction { order, outcome }).await?;
    checkout::settled(ctx, Ok(done), until(ctx, wait_ms)).await
}

pub(super) async fn cancel(
    ctx: &Ctx,
    head: &Head,
    trail: &mut Trail,
    order: OrderId,
    reason: String,
    wait_ms: u32,
) -> Result<Body, Failure> {
    check_owner(ctx, head, order)?;
    let done = once(ctx, head, trail, order.partition(), Command::CancelOrder { order, reason }).await?;
    checkout::settled(ctx, Ok(done), until(ctx, wait_ms)).await
}

fn until(ctx: &Ctx, wait_ms: u32) -> u64 {
    ctx.now().mono_us + u64::from(wait_ms.min(wire::limits::CHECKOUT_WAIT_MS_MAX)) * 1_000
}

pub(super) async fn list(ctx: &Ctx, head: &Head, status: Option<OrderStatus>, limit: u16, after: Option<OrderId>) -> Result<Body, Failure> {
    head.staff(&[Role::Support, Role::Warehouse])?;
    let limit = limit.clamp(1, wire::limits::PAGE_MAX);
    let mut orders = Vec::new();
    for answer in ctx.ask_all(Ask::Orders { status, limit, after }).await? {
        match answer {
            Answer::Orders(found) => orders.extend(found),
            other => return Err(unexpected(&other)),
        }
    }
    orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
    orders.truncate(usize::from(limit));
    Ok(Body::Orders(orders))
}

//! Stock: availability for shoppers, rows and adjustments for staff.

use super::{Head, Keyed, Trail, cart::cards, keyed, refused, resolve_sku, validate};
use crate::{
    partition::{Done, hash128},
    record::v1::{Command, StockChange},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
    },
};
use wire::{Body, Failure, Refusal, Role, SkuAvailability, SkuId, SkuRef, StockAdjustment, StockView, placement, placement::Space};

pub(super) async fn availability(ctx: &Ctx, skus: Vec<SkuRef>) -> Result<Body, Failure> {
    let mut ids = Vec::with_capacity(skus.len());
    for sku in &skus {
        ids.push(resolve_sku(ctx, sku).await?.ok_or_else(|| refused(Refusal::NotFound))?);
    }
    let items = cards(ctx, &ids).await?.into_iter().map(|card| {
        card.map(|card| SkuAvailability { sku: card.sku, key: card.key, availability: card.availability })
            .ok_or_else(|| refused(Refusal::NotFound))
    });
    Ok(Body::Availability(items.collect::<Result<_, _>>()?))
}

pub(super) async fn get(ctx: &Ctx, head: &Head, sku: SkuRef) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse, Role::Support, Role::Merchandiser])?;
    let sku = resolve_sku(ctx, &sku).await?.ok_or_else(|| refused(Refusal::NotFound))?;
    view(ctx, sku).await
}

pub(super) async fn adjust(ctx: &Ctx, head: &Head, trail: &mut Trail, adjustment: StockAdjustment) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    validate::adjustment(&adjustment).map_err(refused)?;
    let StockAdjustment { sku, location, change, reason, id } = adjustment;
    let partition = placement::partition_of(Space::Location, location.as_bytes(), ctx.config(|config| config.partitions));
    let guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => {
            outcome.map_err(refused)?;
            let sku = resolve_sku(ctx, &sku).await?.ok_or_else(|| refused(Refusal::NotFound))?;
            return view(ctx, sku).await;
        }
        Keyed::First(guard) => guard,
    };
    let sku = resolve_sku(ctx, &sku).await?.ok_or_else(|| refused(Refusal::NotFound))?;
    if cards(ctx, &[sku]).await?.pop().flatten().is_none() {
        return Err(refused(Refusal::NotFound));
    }
    // The movement's own id: the caller's, or the request's key; without either each request is a movement of its own.
    let id = match (id, head.idempotency) {
        (Some(id), _) => hash128(&[b"adjust", id.as_bytes()]),
        (None, Some(key)) => key.key,
        (None, None) => ctx.with_mut(|state| u128::from_le_bytes(state.random.bytes())),
    };
    let change = match change {
        wire::StockChange::Delta(delta) => StockChange::Delta(delta),
        wire::StockChange::Set(set) => StockChange::Set(set),
        wire::StockChange::CompareAndSet { set, expected } => StockChange::CompareAndSet { set, expected },
    };
    let outcome = trail.note(ctx.propose(partition, head.entry(Command::AdjustStock { id, sku, location, change, reason })).await?);
    drop(guard);
    // The caller's own id makes it happen once, like a key.
    trail.replayed |= matches!(outcome.map_err(refused)?, Done::Stock { repeated: true, .. });
    view(ctx, sku).await
}

/// Every column of a SKU over all locations, with its open holds.
async fn view(ctx: &Ctx, sku: SkuId) -> Result<Body, Failure> {
    let card = cards(ctx, &[sku]).await?.pop().flatten().ok_or_else(|| refused(Refusal::NotFound))?;
    let (mut locations, mut holds) = (Vec::new(), Vec::new());
    for answer in ctx.ask_all(Ask::Stock([sku].into())).await? {
        match answer {
            Answer::Stock(rows) => {
                for at in rows {
                    locations.push(at.row);
                    holds.extend(at.holds);
                }
            }
            other => return Err(unexpected(&other)),
        }
    }
    locations.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    holds.sort_unstable_by_key(|hold: &wire::HoldView| hold.id);
    Ok(Body::Stock(StockView { sku, key: card.key, locations, holds }))
}

pub(super) fn check(ctx: &Ctx, head: &Head) -> Result<Body, Failure> {
    head.system().or_else(|_| head.staff(&[Role::Warehouse]))?;
    ctx.with(|state| {
        let (mut rows, mut open_holds) = (0, 0);
        for slot in state.partitions.values() {
            let checked = slot.partition.check().map_err(|broken| {
                tracing::error!(broken, "the state does not fit together");
                Failure::Internal
            })?;
            rows += checked.rows;
            open_holds += checked.open_holds;
        }
        Ok(Body::Checked { rows, open_holds })
    })
}

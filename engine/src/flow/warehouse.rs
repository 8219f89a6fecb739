//! The warehouse: units not for sale, deliveries, transfers, policies, and what happened.
//!
//! Path: request → role and bounds → key check → the merchant's names resolved → one command on the location's (or the transfer's) partition →
//! [`inventory`] of the SKU, or what the goods did. An arrival at another partition waits until that has the goods.

use super::{Head, Keyed, Trail, cart::cards, keyed, once, read, refused, resolve_sku, validate};
use crate::{
    partition::{
        Done, Outcome,
        outbox::{Concern, Effect},
    },
    record::v1::{self, Command, Entry, HoldLine},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask, InventoryAt},
    },
};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    Announcement, AnnouncementId, ApartMove, ApartStep, ArrivedGoods, BackorderPolicy, Body, Delivery, EventId, Failure, GoodsDone,
    InventoryRow, InventoryView, PartitionId, PurchaseLimit, Refusal, Role, SkuId, SkuRef, SkuUnits, StockAudit, StockCursor, StockPolicy,
    Transfer, TransferId, Unavailable, limits, placement, placement::Space,
};

/// How long an arrival waits for its destination to have the goods; after that its answer says how many are arriving still.
const LANDING_WAIT_MS: u64 = 2_000;

/// Everything about a SKU's stock.
pub(super) async fn get(ctx: &Ctx, head: &Head, sku: SkuRef) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse, Role::Support, Role::Merchandiser])?;
    let sku = resolve_sku(ctx, &sku).await?.ok_or_else(|| refused(Refusal::NotFound))?;
    inventory(ctx, sku).await
}

pub(super) async fn move_apart(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: ApartMove) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let ApartMove { sku, location, step, why, quantity } = asked;
    validate::location(&location).and_then(|()| validate::units("/quantity", quantity)).map_err(refused)?;
    let partition = home(ctx, &location);
    let guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => {
            outcome.map_err(refused)?;
            return inventory(ctx, known(ctx, &sku).await?).await;
        }
        Keyed::First(guard) => guard,
    };
    let sku = known(ctx, &sku).await?;
    let step = match step {
        ApartStep::SetApart => v1::ApartStep::SetApart,
        ApartStep::PutBack => v1::ApartStep::PutBack,
        ApartStep::WriteOff => v1::ApartStep::WriteOff,
    };
    let why = match why {
        Unavailable::Damaged => v1::Unavailable::Damaged,
        Unavailable::Quarantine => v1::Unavailable::Quarantine,
        Unavailable::Safety => v1::Unavailable::Safety,
        Unavailable::Other => v1::Unavailable::Other,
    };
    let command = Command::MoveApart { id: movement(ctx, head), sku, location, step, why, units: quantity };
    let outcome = trail.note(ctx.propose(partition, head.entry(command)).await?);
    drop(guard);
    outcome.map_err(refused)?;
    inventory(ctx, sku).await
}

pub(super) async fn announce(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: Announcement) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let Announcement { location, due, reference, lines } = asked;
    validate::location(&location).and_then(|()| validate::reference(&reference)).map_err(refused)?;
    let partition = home(ctx, &location);
    let _guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => return goods(trail, outcome),
        Keyed::First(guard) => guard,
    };
    let lines = resolved(ctx, lines).await?;
    let outcome = ctx.propose(partition, head.entry(Command::AnnounceStock { location, due, reference, lines })).await?;
    let outcome = trail.note(outcome);
    goods(trail, outcome)
}

pub(super) async fn withdraw(ctx: &Ctx, head: &Head, trail: &mut Trail, announcement: AnnouncementId) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let partition = there(ctx, announcement.partition())?;
    let done = once(ctx, head, trail, partition, Command::WithdrawStock { id: movement(ctx, head), announcement }).await;
    told(trail, done?)
}

pub(super) async fn receive(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: Delivery) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let Delivery { location, announcement, lines } = asked;
    validate::location(&location).map_err(refused)?;
    let partition = home(ctx, &location);
    let _guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => return goods(trail, outcome),
        Keyed::First(guard) => guard,
    };
    if announcement.is_some_and(|announcement| announcement.partition() != partition) {
        return Err(refused(Refusal::NotFound));
    }
    let lines = resolved(ctx, lines).await?;
    let id = movement(ctx, head);
    let command = match announcement {
        Some(announcement) => Command::ReceiveAnnounced { id, announcement, location, lines },
        None => Command::ReceiveStock { id, location, lines },
    };
    let outcome = trail.note(ctx.propose(partition, head.entry(command)).await?);
    goods(trail, outcome)
}

pub(super) async fn send(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: Transfer) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let Transfer { from, to, lines } = asked;
    validate::place("/from", &from).and_then(|()| validate::place("/to", &to)).map_err(refused)?;
    let partition = home(ctx, &from);
    let _guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => return goods(trail, outcome),
        Keyed::First(guard) => guard,
    };
    let lines = resolved(ctx, lines).await?;
    let outcome = trail.note(ctx.propose(partition, head.entry(Command::SendStock { from, to, lines })).await?);
    goods(trail, outcome)
}

pub(super) async fn arrive(
    ctx: &Ctx,
    head: &Head,
    trail: &mut Trail,
    transfer: TransferId,
    lines: Option<Vec<ArrivedGoods>>,
) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let partition = there(ctx, transfer.partition())?;
    let guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => {
            landed(ctx, head, partition, &landing(ctx, partition, transfer)?).await;
            return arrived(ctx, trail, partition, transfer, outcome);
        }
        Keyed::First(guard) => guard,
    };
    let lines = match lines {
        Some(lines) => Some(resolved_arrivals(ctx, lines).await?),
        None => None,
    };
    let committed = ctx.propose(partition, head.entry(Command::ArriveStock { id: movement(ctx, head), transfer, lines })).await?;
    let effects = committed.effects.clone();
    let outcome = trail.note(committed);
    drop(guard);
    landed(ctx, head, partition, &effects).await;
    arrived(ctx, trail, partition, transfer, outcome)
}

/// Waits a while for the destination to have the goods.
async fn landed(ctx: &Ctx, head: &Head, partition: PartitionId, effects: &[EventId]) {
    let until_us = head.deadline_us.min(ctx.now().mono_us + LANDING_WAIT_MS * 1_000);
    ctx.answered(partition, effects, until_us).await;
}

/// Effects of a transfer's arrivals that are not answered. O(open effects of the partition): for a repeat, which has no list of its own.
fn landing(ctx: &Ctx, partition: PartitionId, transfer: TransferId) -> Result<Vec<EventId>, Failure> {
    let of_transfer = |effect: &Effect| matches!(effect.concern, Concern::Arrival(of, _) if of == transfer);
    read(ctx, partition, |partition| {
        let open = partition.outbox().open.iter();
        open.filter(|(_, effect)| of_transfer(effect)).map(|(id, _)| *id).collect()
    })
}

/// What an arrival did, and how the transfer stands now.
fn arrived(ctx: &Ctx, trail: &mut Trail, partition: PartitionId, transfer: TransferId, outcome: Outcome) -> Result<Body, Failure> {
    let Body::Goods(done) = goods(trail, outcome)? else { return Err(Failure::Internal) };
    let (left, arriving) = read(ctx, partition, |partition| partition.stock().transfer(transfer))?.unwrap_or_default();
    Ok(Body::Goods(Box::new(GoodsDone { left, arriving, ..*done })))
}

pub(super) async fn recall(ctx: &Ctx, head: &Head, trail: &mut Trail, transfer: TransferId) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let partition = there(ctx, transfer.partition())?;
    let done = once(ctx, head, trail, partition, Command::RecallStock { id: movement(ctx, head), transfer }).await;
    told(trail, done?)
}

pub(super) async fn set_policy(ctx: &Ctx, head: &Head, trail: &mut Trail, asked: StockPolicy) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let StockPolicy { sku, location, backorder, low_stock } = asked;
    validate::location(&location).map_err(refused)?;
    let sku = known(ctx, &sku).await?;
    let policy = match backorder {
        BackorderPolicy::Deny => v1::BackorderPolicy::Deny,
        BackorderPolicy::Backorder { limit } => v1::BackorderPolicy::Backorder { limit },
        BackorderPolicy::Preorder { limit, until } => v1::BackorderPolicy::Preorder { limit, until },
    };
    let partition = home(ctx, &location);
    once(ctx, head, trail, partition, Command::SetPolicy { sku, location, policy, low_stock }).await?;
    inventory(ctx, sku).await
}

/// On every partition, since any may come to have rows of the SKU. Interrupted halfway it is set on some: set it again.
pub(super) async fn set_purchase_limit(
    ctx: &Ctx,
    head: &Head,
    trail: &mut Trail,
    sku: SkuRef,
    limit: PurchaseLimit,
) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    let PurchaseLimit { per_order, per_customer } = limit;
    let sku = known(ctx, &sku).await?;
    let partitions = ctx.config(|config| config.partitions);
    let command = Command::SetPurchaseLimit { sku, per_order, per_customer };
    let asks = (0..partitions).map(PartitionId).map(|partition| {
        let entry = Entry { trace: head.trace, ..Entry::of(command.clone()) };
        (partition, Ask::Propose(partition, Box::new(entry)))
    });
    for answer in ctx.ask_each(asks.collect()).await? {
        match answer {
            Answer::Committed(committed) => drop(trail.note(committed).map_err(refused)?),
            other => return Err(unexpected(&other)),
        }
    }
    inventory(ctx, sku).await
}

pub(super) fn history(ctx: &Ctx, head: &Head, location: &str, after: Option<StockCursor>, limit: u16) -> Result<Body, Failure> {
    let (partition, limit) = reader(ctx, head, location, limit)?;
    let page = read(ctx, partition, |read| read.stock().history(partition, location, after, limit))?;
    page.map(Body::StockHistory).map_err(refused)
}

pub(super) fn events(ctx: &Ctx, head: &Head, location: &str, after: Option<StockCursor>, limit: u16) -> Result<Body, Failure> {
    let (partition, limit) = reader(ctx, head, location, limit)?;
    let page = read(ctx, partition, |read| read.stock().events(partition, location, after, limit))?;
    page.map(Body::StockEvents).map_err(refused)
}

fn reader(ctx: &Ctx, head: &Head, location: &str, limit: u16) -> Result<(PartitionId, usize), Failure> {
    head.staff(&[Role::Warehouse, Role::Support, Role::Merchandiser])?;
    validate::location(location).and_then(|()| validate::page(limit)).map_err(refused)?;
    Ok((home(ctx, location), usize::from(limit)))
}

/// Proves the stock of this shard's partitions, one after the other, up to the first that does not fit. O(everything), and nothing else runs here meanwhile.
pub(super) fn audit(ctx: &Ctx, head: &Head) -> Result<Body, Failure> {
    head.staff(&[Role::Warehouse])?;
    ctx.with(|state| {
        let mut audit = StockAudit::default();
        for (id, slot) in &state.partitions {
            match slot.partition.check() {
                Ok(checked) => {
                    audit.rows += checked.rows;
                    audit.open_holds += checked.open_holds;
                }
                Err(broken) => {
                    tracing::error!(broken, partition = id.0, "the state does not fit together");
                    audit.broken = Some(format!("partition {}: {broken}", id.0));
                    break;
                }
            }
        }
        Ok(Body::Audited(audit))
    })
}

/// Every column of a SKU over all locations, with its open holds.
async fn inventory(ctx: &Ctx, sku: SkuId) -> Result<Body, Failure> {
    let card = cards(ctx, &[sku]).await?.pop().flatten().ok_or_else(|| refused(Refusal::NotFound))?;
    let (mut rows, mut holds, mut limit) = (BTreeMap::new(), Vec::new(), PurchaseLimit::default());
    for answer in ctx.ask_all(Ask::Inventory(sku)).await? {
        match answer {
            Answer::Inventory(at) => {
                let InventoryAt { rows: found, holds: here, limit: set } = *at;
                found.into_iter().for_each(|row| merge(&mut rows, row));
                holds.extend(here);
                limit = set;
            }
            other => return Err(unexpected(&other)),
        }
    }
    holds.sort_unstable_by_key(|hold: &wire::HoldView| hold.id);
    Ok(Body::Inventory(Box::new(InventoryView { sku, key: card.key, locations: rows.into_values().collect(), holds, limit })))
}

/// A location's own row, and what is on its way there from other partitions, in any order.
fn merge(rows: &mut BTreeMap<String, InventoryRow>, found: InventoryRow) {
    let InventoryRow {
        location,
        available,
        held,
        committed,
        incoming,
        unavailable,
        by_reason,
        in_transit,
        backordered,
        backorder,
        low_stock,
        expected,
        under_way,
    } = found;
    let row = rows.entry(location).or_insert_with_key(|location| InventoryRow { location: location.clone(), ..InventoryRow::default() });
    row.available += available;
    row.held += held;
    row.committed += committed;
    row.incoming += incoming;
    row.unavailable += unavailable;
    row.by_reason.damaged += by_reason.damaged;
    row.by_reason.quarantine += by_reason.quarantine;
    row.by_reason.safety += by_reason.safety;
    row.by_reason.other += by_reason.other;
    row.in_transit = row.in_transit.saturating_add(in_transit);
    row.backordered += backordered;
    if backorder != BackorderPolicy::Deny {
        row.backorder = backorder;
    }
    row.low_stock = row.low_stock.or(low_stock);
    row.expected.extend(expected);
    row.under_way.extend(under_way);
    row.under_way.sort_unstable_by_key(|way| way.transfer);
    row.under_way.truncate(limits::ARRIVALS_SHOWN_MAX);
}

/// The partition of a location.
fn home(ctx: &Ctx, location: &str) -> PartitionId {
    placement::partition_of(Space::Location, location.as_bytes(), ctx.config(|config| config.partitions))
}

/// The partition that an id names, if there is one.
fn there(ctx: &Ctx, partition: PartitionId) -> Result<PartitionId, Failure> {
    if partition.0 < ctx.config(|config| config.partitions) { Ok(partition) } else { Err(refused(Refusal::NotFound)) }
}

/// The movement's own id: the request's key; without one each request is a movement of its own.
fn movement(ctx: &Ctx, head: &Head) -> u128 {
    head.idempotency.map_or_else(|| ctx.with_mut(|state| u128::from_le_bytes(state.random.bytes())), |key| key.key)
}

/// A SKU of the catalog.
async fn known(ctx: &Ctx, sku: &SkuRef) -> Result<SkuId, Failure> {
    let sku = resolve_sku(ctx, sku).await?.ok_or_else(|| refused(Refusal::NotFound))?;
    match cards(ctx, &[sku]).await?.pop().flatten() {
        Some(_) => Ok(sku),
        None => Err(refused(Refusal::NotFound)),
    }
}

/// Lines by the ids of their SKUs, which the catalog has, each once.
async fn resolved(ctx: &Ctx, lines: Vec<SkuUnits>) -> Result<Vec<HoldLine>, Failure> {
    validate::goods(&lines).map_err(refused)?;
    let skus = resolved_skus(ctx, lines.iter().map(|line| &line.sku)).await?;
    Ok(skus.into_iter().zip(lines).map(|(sku, line)| HoldLine { sku, quantity: line.quantity }).collect())
}

async fn resolved_arrivals(ctx: &Ctx, lines: Vec<ArrivedGoods>) -> Result<Vec<v1::Arrived>, Failure> {
    validate::arrivals(&lines).map_err(refused)?;
    let skus = resolved_skus(ctx, lines.iter().map(|line| &line.sku)).await?;
    let arrived = |(sku, ArrivedGoods { sku: _, whole, damaged, lost })| v1::Arrived { sku, whole, damaged, lost };
    Ok(skus.into_iter().zip(lines).map(arrived).collect())
}

async fn resolved_skus(ctx: &Ctx, skus: impl Iterator<Item = &SkuRef>) -> Result<Vec<SkuId>, Failure> {
    let partitions = ctx.config(|config| config.partitions);
    let (mut found, mut asks, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (place, sku) in skus.enumerate() {
        match sku {
            SkuRef::Id(id) => found.push(Some(*id)),
            SkuRef::Key(key) => {
                let partition = placement::partition_of(Space::SkuClaim, key.as_bytes(), partitions);
                asks.push((partition, Ask::ResolveSku(partition, key.clone())));
                places.push(place);
                found.push(None);
            }
        }
    }
    for (place, answer) in places.into_iter().zip(ctx.ask_each(asks).await?) {
        match answer {
            Answer::Sku(sku) => found[place] = sku,
            other => return Err(unexpected(&other)),
        }
    }
    let unknown = |place: usize| refused(validate::unknown_sku(&format!("/lines/{place}/sku")));
    let mut skus = Vec::with_capacity(found.len());
    for (place, sku) in found.into_iter().enumerate() {
        skus.push(sku.ok_or_else(|| unknown(place))?);
    }
    if let Some(place) = cards(ctx, &skus).await?.iter().position(Option::is_none) {
        return Err(unknown(place));
    }
    let mut seen = BTreeSet::new();
    match skus.iter().position(|sku| !seen.insert(*sku)) {
        Some(place) => Err(refused(validate::repeated_sku(place))),
        None => Ok(skus),
    }
}

fn goods(trail: &mut Trail, outcome: Outcome) -> Result<Body, Failure> {
    told(trail, outcome.map_err(refused)?)
}

fn told(trail: &mut Trail, done: Done) -> Result<Body, Failure> {
    match done {
        Done::Goods(goods) => {
            trail.replayed |= goods.replayed;
            Ok(Body::Goods(Box::new(goods.told)))
        }
        other => {
            tracing::error!(?other, "a command on goods had another outcome");
            Err(Failure::Internal)
        }
    }
}

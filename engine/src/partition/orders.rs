//! Orders of a partition: the table, and the commands and answers that move their sagas on.
//!
//! Path: `place` checks what a checkout gathered and mints the order → `step` carries one order one transition on, asking other
//! partitions and payment adapters through the outbox → their answers come back here → … → the order stands, or `giving_up` has
//! brought back money and stock. `requests` are what buyer, staff and the shard ask of an order; `work` opens what an adapter needs.
//! Read first: `domain::order::Saga`, then `step`.
//! Bounds: [`ORDERS_MAX`], [`ORDERS_FAILED_MAX`], [`SOURCES_MAX`], [`RESOURCE_MAX`], [`CONTENDED_MAX`]. Late and repeated answers find no step that
//! waits for them and change nothing.

mod giving_up;
mod place;
mod requests;
mod step;
#[cfg(test)]
mod tests;
mod told;
mod work;

pub use place::SOURCES_MAX;
pub use work::{Work, WorkError};

use self::step::Step;
use super::carts::Carts;
use super::outbox::{Concern, Effect, Outbox};
use super::snapshot::fields::{Field, put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::table::Table;
use super::{ApplyContext, Digest, Done, Outcome, Partition};
use crate::domain::order::{Ending, Order, OrderHold, Saga};
use crate::record::v1::PeerOutcome;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use wire::{EffectOutcome, EventId, Millis, OrderId, OrderStatus};

/// Orders of a partition, in every state. At the limit a checkout is refused as `LimitReached`: the shop needs more partitions.
pub const ORDERS_MAX: usize = 1_000_000;

/// Orders of a partition that came to nothing or still may. At the limit a checkout is refused as `LimitReached`, until one is
/// forgotten: none is forgotten early, for its replayed checkout would find nothing.
pub const ORDERS_FAILED_MAX: usize = 100_000;

/// An order that came to nothing is kept this long, so that a repeated checkout is answered alike: the 24 hours of an idempotency
/// key, and one more for the sweep of the keys to fall behind in.
pub const ORDER_FAILED_KEEP_MS: u64 = 25 * 60 * 60 * 1_000;

/// How often a checkout tries another plan after a location came short, had no room or let a hold expire. One more such failure and the checkout is
/// refused: as short if it is by then, else as contended.
pub const RESOURCE_MAX: u16 = 2;

/// How often a checkout tries again after contention. One more and it is refused likewise. With the waits before them that is three to six seconds.
pub const CONTENDED_MAX: u16 = 8;

/// Wait before a checkout tries again after contention, doubling from the first to the second, milliseconds. To each is added up to as much again, by
/// the order's id, so that orders which met do not meet again. In doubt is an order for as long as its locations take to answer: a few
/// milliseconds, or tens under load.
const CONTENDED_WAIT_MS: (u64, u64) = (20, 1_000);

/// Deadlines one `RunTimers` acts on: each may ask for an effect per hold, and one command mints a bounded number of ids.
const DEADLINES_MAX: usize = 64;

const _: () = assert!(DEADLINES_MAX * (SOURCES_MAX + 1) < super::ORDINALS_MAX as usize, "every effect needs an id");

/// All orders, by id.
#[derive(Debug, Default)]
pub struct Orders {
    table: Table<OrderId, Order>,
    /// Orders minted so far; numbers them.
    count: u64,
    times: Timetable,
}

/// What is known of the orders beside the table: who is due when, and how many there are of a kind.
#[derive(Debug, Default)]
struct Timetable {
    /// Exactly the undecided orders, by their deadline.
    undecided: BTreeSet<(Millis, OrderId)>,
    /// Exactly the orders that came to nothing, by the time they are forgotten.
    failed: Table<(Millis, OrderId), ()>,
    /// Exactly the orders that wait for another plan.
    needing_source: BTreeSet<OrderId>,
    /// How many neither stand nor have ended.
    placing: usize,
}

/// Carts' orders as the shard needs them.
impl Partition {
    /// Orders that wait for another sourcing plan, by id. `Changes::resource` tells of each once; after a start this tells again.
    pub fn orders_needing_source(&self) -> impl Iterator<Item = OrderId> {
        self.orders.times.needing_source.iter().copied()
    }
}

impl Orders {
    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.table.get(&id)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.table.values()
    }

    /// A partition answered `effect`, which has left the outbox.
    pub(super) fn effect_answered(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        carts: &mut Carts,
        order: OrderId,
        id: EventId,
        _effect: &Effect,
        answer: &PeerOutcome,
    ) -> Outcome {
        if let Some(mut step) = self.step(ctx, carts, order) {
            step.hold_answered(id, answer);
        }
        Ok(Done::Nothing)
    }

    /// An adapter answered `effect`, which has left the outbox; never `Unknown`, for which it stays there.
    pub(super) fn effect_result(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        carts: &mut Carts,
        order: OrderId,
        id: EventId,
        _effect: &Effect,
        outcome: &EffectOutcome,
    ) -> Outcome {
        if let Some(mut step) = self.step(ctx, carts, order) {
            step.payment_answered(id, outcome);
        }
        Ok(Done::Nothing)
    }

    /// Gives up orders that are past their deadline, then forgets those that failed long ago; at most `budget`, returns how many.
    pub(super) fn run_timers(&mut self, ctx: &mut ApplyContext<'_>, carts: &mut Carts, budget: usize) -> usize {
        let mut ended = 0;
        while ended < budget.min(DEADLINES_MAX) {
            let Some((_, id)) = self.times.undecided.first().copied().filter(|(at, _)| *at <= ctx.time) else { break };
            match self.step(ctx, carts, id) {
                Some(mut step) => step.stop(Ending::Expired),
                None => unreachable!("only orders of the table are listed"),
            }
            ended += 1;
        }
        while ended < budget {
            let due = |((at, id), ()): (&(Millis, OrderId), &())| (*at <= ctx.time).then_some(*id);
            let Some(id) = self.times.failed.first_key_value().and_then(due) else { break };
            self.times.failed.pop_first();
            self.table.remove(&id);
            ended += 1;
        }
        ended
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        let undecided = self.times.undecided.first().map(|(at, _)| *at);
        let failed = self.times.failed.first_key_value().map(|((at, _), ())| *at);
        undecided.into_iter().chain(failed).min()
    }

    /// Every order agrees with the effects that are open for it, and every list with the orders. O(orders + effects).
    pub(super) fn check(&self, outbox: &Outbox) -> Result<(), String> {
        let mut waited_for = 0;
        for order in self.table.values() {
            for effect in order.holds.iter().filter_map(OrderHold::effect).chain(order.saga.effect()) {
                waited_for += 1;
                if outbox.open.get(&effect).is_none_or(|open| open.concern != Concern::Order(order.id)) {
                    return Err(format!("order {} waits for effect {effect}, which is not open for it", order.id));
                }
            }
            if order.status == OrderStatus::Placing && order.settled() != matches!(order.saga, Saga::AwaitingAction { .. }) {
                return Err(format!("order {} is being placed and yet settled", order.id));
            }
        }
        let open = outbox.open.values().filter(|effect| matches!(effect.concern, Concern::Order(_))).count();
        if open != waited_for {
            return Err(format!("{open} effects are open for orders, which wait for {waited_for}"));
        }
        let (mut listed, mut failed) = (Timetable::default(), 0);
        for order in self.table.values() {
            listed.list(order);
            failed += usize::from(order.status == OrderStatus::Expired);
        }
        let has_failed = |(_, id): &(Millis, OrderId)| self.get(*id).is_some_and(|order| order.status == OrderStatus::Expired);
        let same = (listed.placing, failed) == (self.times.placing, self.times.failed.len())
            && self.times.failed.keys().all(has_failed)
            && listed.undecided == self.times.undecided
            && listed.needing_source == self.times.needing_source;
        if same { Ok(()) } else { Err("the orders' timetable does not match the orders".to_owned()) }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("orders");
        digest.write_u64(self.count);
        for order in self.table.values() {
            digest.archive(order);
        }
        self.times.failed.hash(digest);
    }

    /// Orders minted so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn set_count(&mut self, count: u64) {
        self.count = count;
    }

    pub(super) fn freeze(&mut self) {
        self.table.freeze();
        self.times.failed.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.table.thaw();
        self.times.failed.thaw();
    }

    /// Writes orders into a snapshot, then when those that failed are forgotten.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.table.walk(|_, order| items.put_walked(Kind::Order, order, |body, order| put_archive(order, body)))
            || self.times.failed.walk(|entry, there| items.put_walked(Kind::OrderFailed, there, |body, ()| entry.put(body)))
    }

    pub(super) fn put_back(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let order: Order = take_archive(body).ok_or(BadItem::Damaged)?;
        self.times.list(&order);
        if self.table.push(order.id, order) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    pub(super) fn put_back_failed(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let entry = Field::take(body).ok_or(BadItem::Damaged)?;
        if self.times.failed.push(entry, ()) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    fn step<'s, 'a>(&'s mut self, ctx: &'s mut ApplyContext<'a>, carts: &'s mut Carts, order: OrderId) -> Option<Step<'s, 'a>> {
        let order = self.table.get_mut(&order)?;
        Some(Step { order, ctx, carts, times: &mut self.times })
    }
}

impl Timetable {
    /// Lists an order where it belongs, but for the times in `failed`, which orders do not keep.
    fn list(&mut self, order: &Order) {
        if order.saga.undecided() {
            self.undecided.insert((order.decide_by, order.id));
        }
        if matches!(order.saga, Saga::NeedsSource { .. }) {
            self.needing_source.insert(order.id);
        }
        match order.status {
            OrderStatus::Placing => self.placing += 1,
            OrderStatus::Expired | OrderStatus::Open | OrderStatus::OnHold | OrderStatus::Closed | OrderStatus::Cancelled => {}
        }
    }
}

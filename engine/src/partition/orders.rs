//! Orders of a partition: the table, and the commands and answers that move their sagas on.

use super::{
    ApplyContext, Digest, Outcome,
    carts::Carts,
    outbox::{Effect, Outbox},
};
use crate::{
    domain::order::Order,
    record::v1::{PeerOutcome, PlaceOrder, Sourcing},
};
use std::collections::BTreeMap;
use wire::{ActionOutcome, EffectOutcome, EventId, Millis, OrderId, Refusal};

/// All orders, by id.
#[derive(Debug, Default)]
pub struct Orders {
    table: BTreeMap<OrderId, Order>,
}

impl Orders {
    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.table.get(&id)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.table.values()
    }

    pub(super) fn place(&mut self, _ctx: &mut ApplyContext<'_>, _carts: &mut Carts, _place: &PlaceOrder) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn resource(&mut self, _ctx: &mut ApplyContext<'_>, _carts: &mut Carts, _order: OrderId, _attempt: u16, _plan: &Sourcing) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn payment_action(&mut self, _ctx: &mut ApplyContext<'_>, _carts: &mut Carts, _order: OrderId, _outcome: ActionOutcome) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn cancel(&mut self, _ctx: &mut ApplyContext<'_>, _carts: &mut Carts, _order: OrderId, _reason: &str) -> Outcome {
        Err(Refusal::NotFound)
    }

    /// A partition answered `effect`, which has left the outbox.
    pub(super) fn effect_answered(
        &mut self,
        _ctx: &mut ApplyContext<'_>,
        _carts: &mut Carts,
        _order: OrderId,
        _id: EventId,
        _effect: &Effect,
        _answer: &PeerOutcome,
    ) -> Outcome {
        Err(Refusal::NotFound)
    }

    /// An adapter answered `effect`, which has left the outbox; never `Unknown`.
    pub(super) fn effect_result(
        &mut self,
        _ctx: &mut ApplyContext<'_>,
        _carts: &mut Carts,
        _order: OrderId,
        _id: EventId,
        _effect: &Effect,
        _outcome: &EffectOutcome,
    ) -> Outcome {
        Err(Refusal::NotFound)
    }

    /// Ends what is due, at most `budget` orders; returns how many.
    pub(super) fn run_timers(&mut self, _ctx: &mut ApplyContext<'_>, _carts: &mut Carts, _budget: usize) -> usize {
        0
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        None
    }

    /// Every order agrees with the effects that are open for it.
    pub(super) fn check(&self, _outbox: &Outbox) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("orders");
    }
}

//! What is asked of an order from outside: another plan (by the shard), the buyer's action, a cancel.
//!
//! Path: request → may it, in this state? → one [`Step`](super::step::Step) transition. An outcome `Ok` says that it is under way;
//! `Changes::settled` names the order when it is through, and the order's status then says what came of it.

use super::place::{serves, shortages};
use super::{Orders, Work};
use crate::domain::order::{AfterGivingBack, Ending, EventKind, Order, Saga, WhenOpen};
use crate::partition::{ApplyContext, Done, Outcome, carts::Carts};
use crate::record::v1::Sourcing;
use wire::{ActionOutcome, LineState, OrderId, OrderStatus, Refusal};

impl Orders {
    /// Another plan for an order that could not be served by the last, or none. One for another attempt than the wanted one is refused.
    ///
    /// A plan that says that the units are there (with those of orders in doubt) for an order that has tried as often as it may ends it as contended.
    pub(in crate::partition) fn resource(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        carts: &mut Carts,
        id: OrderId,
        attempt: u16,
        plan: &Sourcing,
    ) -> Outcome {
        let mut step = self.step(ctx, carts, id).ok_or(Refusal::NotFound)?;
        match &step.order.saga {
            Saga::NeedsSource { attempt: wanted, .. } if *wanted == attempt => {}
            _ => return Err(Refusal::OrderState { status: step.order.status }),
        }
        match plan {
            Sourcing::From(_) if step.has_no_try_left() => step.give_back(AfterGivingBack::End(Ending::Refused(Refusal::Contended))),
            Sourcing::From(sources) if serves(sources, &step.order.lines) => step.hold(attempt, sources),
            // A fault of whoever planned: the order waits for a better one until its deadline.
            Sourcing::From(_) => return Err(Refusal::VersionMismatch { current: step.order.version }),
            Sourcing::Short(short) => {
                let refusal = Refusal::InsufficientStock(shortages(&step.order.lines, short));
                step.give_back(AfterGivingBack::End(Ending::Refused(refusal)));
            }
        }
        Ok(Done::Order(id))
    }

    /// The buyer acted, as the provider asked.
    pub(in crate::partition) fn payment_action(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        carts: &mut Carts,
        id: OrderId,
        outcome: ActionOutcome,
    ) -> Outcome {
        let mut step = self.step(ctx, carts, id).ok_or(Refusal::NotFound)?;
        let awaiting = matches!(step.order.saga, Saga::AwaitingAction { .. });
        let Some(payment) = step.order.payments.last().map(|payment| payment.id).filter(|_| awaiting) else {
            return Err(Refusal::NoPendingAction);
        };
        step.ctx.check_version(step.order.version)?;
        let detail = match outcome {
            ActionOutcome::Success => "success",
            ActionOutcome::Fail => "fail",
        };
        step.record(EventKind::ActionTaken, Some(detail));
        let effect = step.ask_adapter(Work::Confirm { payment, outcome });
        step.move_to(Saga::Confirming { effect });
        Ok(Done::Order(id))
    }

    /// Calls an order off: before it stands its checkout is given up, after it money and stock are given back. One that shipped,
    /// ended, or is ending otherwise is refused. Asked again while it is under way, nothing changes and the asker may wait along.
    ///
    /// If the provider will not give the money back, the order settles as open, with `payment.refund_failed` in its history.
    pub(in crate::partition) fn cancel(&mut self, ctx: &mut ApplyContext<'_>, carts: &mut Carts, id: OrderId, reason: &str) -> Outcome {
        let mut step = self.step(ctx, carts, id).ok_or(Refusal::NotFound)?;
        match step.order.saga.clone() {
            Saga::Ended { .. } => Err(state_of(step.order)),
            Saga::Open if !cancellable(step.order) => Err(state_of(step.order)),
            Saga::Open => {
                step.ctx.check_version(step.order.version)?;
                step.ctx.check_outbox_room(1 + step.order.holds.len())?;
                step.record(EventKind::CancelRequested, Some(reason));
                step.undo();
                Ok(Done::Order(id))
            }
            undecided if undecided.undecided() => {
                step.ctx.check_version(step.order.version)?;
                step.record(EventKind::CancelRequested, Some(reason));
                step.stop(Ending::CalledOff);
                Ok(Done::Order(id))
            }
            Saga::Committing { then: WhenOpen::Keep } => {
                step.record(EventKind::CancelRequested, Some(reason));
                step.move_to(Saga::Committing { then: WhenOpen::Cancel });
                Ok(Done::Order(id))
            }
            Saga::Capturing { effect, then: WhenOpen::Keep } => {
                step.record(EventKind::CancelRequested, Some(reason));
                step.move_to(Saga::Capturing { effect, then: WhenOpen::Cancel });
                Ok(Done::Order(id))
            }
            Saga::Committing { then: WhenOpen::Cancel } | Saga::Capturing { then: WhenOpen::Cancel, .. } | Saga::Refunding { .. } => {
                Ok(Done::Order(id))
            }
            Saga::Stopping { ending, .. } | Saga::Voiding { ending, .. } | Saga::GivingBack { then: AfterGivingBack::End(ending) } => {
                match ending {
                    Ending::CalledOff | Ending::Cancelled => Ok(Done::Order(id)),
                    Ending::Refused(_) | Ending::Expired => Err(state_of(step.order)),
                }
            }
            // The undecided, which are above.
            Saga::Holding { .. }
            | Saga::NeedsSource { .. }
            | Saga::Pinning { .. }
            | Saga::Authorising { .. }
            | Saga::AwaitingAction { .. }
            | Saga::Confirming { .. }
            | Saga::GivingBack { then: AfterGivingBack::Source { .. } } => Err(state_of(step.order)),
        }
    }
}

fn state_of(order: &Order) -> Refusal {
    Refusal::OrderState { status: order.status }
}

/// Has nothing left the house, and is it not closed?
fn cancellable(order: &Order) -> bool {
    let in_house = |line: &crate::domain::order::OrderLine| {
        line.quantities().iter().all(|(state, _)| match state {
            LineState::Reserved | LineState::Backordered | LineState::Allocated | LineState::Cancelled => true,
            LineState::Picked
            | LineState::Shipped
            | LineState::Delivered
            | LineState::ReturnRequested
            | LineState::ReturnReceived
            | LineState::Restocked
            | LineState::Scrapped => false,
        })
    };
    let open = match order.status {
        OrderStatus::Open | OrderStatus::OnHold => true,
        OrderStatus::Placing | OrderStatus::Closed | OrderStatus::Cancelled | OrderStatus::Expired => false,
    };
    open && order.lines.iter().all(in_house)
}

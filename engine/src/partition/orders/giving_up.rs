//! The way back: money first, then stock, then the end.
//!
//! Path: [`Step::stop`] (deadline, or cancelled before the order stood) or [`Step::undo`] (cancelled after) → an answer still out is
//! waited for → void or refund → [`Step::give_back`] → `end`.
//! Rule: no hold is given back while money may be reserved for it, and no void overtakes the authorisation it is for.

use super::Work;
use super::step::Step;
use crate::domain::order::{AfterGivingBack, Ending, HoldEnd, HoldState, PaymentState, Saga};
use crate::record::v1::Command;

impl Step<'_, '_> {
    /// Gives an undecided order up. A decided or ended one goes its way.
    pub(super) fn stop(&mut self, ending: Ending) {
        match self.order.saga.clone() {
            Saga::Holding { .. }
            | Saga::NeedsSource { .. }
            | Saga::Pinning { .. }
            | Saga::GivingBack { then: AfterGivingBack::Source { .. } } => {
                self.give_back(AfterGivingBack::End(ending));
            }
            Saga::Authorising { effect } => {
                if self.withdraw(effect) {
                    // No adapter has seen it: there is nothing at the provider.
                    if let Some(payment) = self.order.payments.last_mut() {
                        payment.state = PaymentState::Voided;
                    }
                    self.give_back(AfterGivingBack::End(ending));
                } else {
                    self.move_to(Saga::Stopping { effect, ending });
                }
            }
            Saga::Confirming { effect } => {
                if self.withdraw(effect) {
                    self.void(ending);
                } else {
                    self.move_to(Saga::Stopping { effect, ending });
                }
            }
            Saga::AwaitingAction { .. } => self.void(ending),
            Saga::Stopping { .. }
            | Saga::Voiding { .. }
            | Saga::Committing { .. }
            | Saga::Capturing { .. }
            | Saga::Open
            | Saga::Refunding { .. }
            | Saga::GivingBack { then: AfterGivingBack::End(_) }
            | Saga::Ended { .. } => {}
        }
    }

    /// Undoes an order that stands, with nothing under way.
    pub(super) fn undo(&mut self) {
        let Some(payment) = self.order.payments.last() else { return self.give_back(AfterGivingBack::End(Ending::Cancelled)) };
        match payment.state {
            PaymentState::Captured { captured, refunded } if captured > refunded => {
                let mut amount = payment.amount;
                amount.amount = captured - refunded;
                let work = Work::Refund { payment: payment.id, number: 1, amount };
                let effect = self.ask_adapter(work);
                self.move_to(Saga::Refunding { effect });
            }
            PaymentState::Pending | PaymentState::Authorised => self.void(Ending::Cancelled),
            PaymentState::Captured { .. } | PaymentState::Voided | PaymentState::Failed { .. } => {
                self.give_back(AfterGivingBack::End(Ending::Cancelled));
            }
        }
    }

    /// Has the provider let go of what it may have reserved; without a payment goes on to the stock.
    pub(super) fn void(&mut self, ending: Ending) {
        match self.order.payments.last().map(|payment| payment.id) {
            None => self.give_back(AfterGivingBack::End(ending)),
            Some(payment) => {
                let effect = self.ask_adapter(Work::Void { payment });
                self.move_to(Saga::Voiding { effect, ending });
            }
        }
    }

    /// Has every hold that is or may be taken released, or restocked once committed. Goes on at once if there is none.
    pub(super) fn give_back(&mut self, then: AfterGivingBack) {
        // A question still out is not asked again; should it arrive after the release all the same, the tombstone meets it.
        let unanswered = |state| match state {
            HoldState::Asked(effect) | HoldState::Pinning(effect) => Some(effect),
            HoldState::Waiting
            | HoldState::Held
            | HoldState::Pinned
            | HoldState::Committing(_)
            | HoldState::Committed
            | HoldState::GivingBack { .. }
            | HoldState::Ended(_) => None,
        };
        for hold in self.order.holds.iter_mut().filter(|hold| hold.state == HoldState::Waiting) {
            hold.state = HoldState::Ended(HoldEnd::NotTaken);
        }
        for at in 0..self.order.holds.len() {
            if let Some(effect) = unanswered(self.order.holds[at].state) {
                self.withdraw(effect);
            }
        }
        self.ask_holds(
            |hold| match hold.state {
                HoldState::Asked(_) | HoldState::Held | HoldState::Pinning(_) | HoldState::Pinned => {
                    Some(Command::ReleaseHold { hold: hold.id })
                }
                // A commit is waited for before anything is given back.
                HoldState::Waiting
                | HoldState::Committing(_)
                | HoldState::Committed
                | HoldState::GivingBack { .. }
                | HoldState::Ended(_) => None,
            },
            |effect| HoldState::GivingBack { effect, end: HoldEnd::Released },
        );
        self.ask_holds(
            |hold| (hold.state == HoldState::Committed).then_some(Command::Restock { hold: hold.id }),
            |effect| HoldState::GivingBack { effect, end: HoldEnd::Restocked },
        );
        self.move_to(Saga::GivingBack { then });
        self.advance();
    }

    fn withdraw(&mut self, effect: wire::EventId) -> bool {
        let withdrawn = self.ctx.outbox.withdraw(effect);
        if withdrawn {
            self.ctx.changes.answered.push(effect);
        }
        withdrawn
    }
}

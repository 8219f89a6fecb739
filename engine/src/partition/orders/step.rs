//! One transition of one order's saga: forward, from holding stock to the order that stands.
//!
//! Path: an answer → [`Step::hold_answered`] or [`Step::payment_answered`] → the hold or payment it belongs to → [`Step::advance`] when
//! all holds have answered → the next effects. The way back is `giving_up`.
//! An answer is known by its effect's id, which exactly one hold or the saga waits for; any other answer changes nothing.

use super::place::shortages;
use super::{ORDER_FAILED_KEEP_MS, RESOURCE_MAX, Timetable, Work};
use crate::domain::order::{
    AfterGivingBack, Ending, EventKind, HoldEnd, HoldState, Order, OrderHold, Payment, PaymentState, Saga, WhenOpen, cut,
};
use crate::partition::carts::Carts;
use crate::partition::outbox::{Concern, Target};
use crate::partition::{ApplyContext, hash128};
use crate::record::v1::{Command, PeerOutcome, ShortLine, Source};
use std::collections::BTreeMap;
use wire::{EffectOutcome, EventId, HoldId, LineState, NextAction, OrderId, OrderStatus, PartitionId, RawId, Refusal, SkuId};

/// One order with all it may touch.
pub(super) struct Step<'s, 'a> {
    pub(super) order: &'s mut Order,
    pub(super) ctx: &'s mut ApplyContext<'a>,
    pub(super) carts: &'s mut Carts,
    pub(super) times: &'s mut Timetable,
}

impl Step<'_, '_> {
    /// Asks each location of a plan to hold its part. The holds of the attempt before have all ended, and are forgotten.
    pub(super) fn hold(&mut self, attempt: u16, sources: &[Source]) {
        debug_assert!(self.order.holds.iter().all(|hold| matches!(hold.state, HoldState::Ended(_))), "one attempt at a time");
        self.order.holds.clear();
        for source in sources {
            let id = hold_id(self.order.id, &source.location, attempt);
            let command = Command::Hold {
                hold: id,
                order: self.order.id,
                location: source.location.clone(),
                lines: source.lines.clone(),
                ttl_ms: self.order.hold_ttl_ms,
            };
            let effect = self.ask_partition(source.partition, command);
            self.order.holds.push(OrderHold {
                id,
                partition: source.partition,
                location: source.location.clone(),
                attempt,
                lines: source.lines.clone(),
                state: HoldState::Asked(effect),
            });
        }
        self.move_to(Saga::Holding { attempt, short: Vec::new() });
    }

    /// A location answered for one hold.
    pub(super) fn hold_answered(&mut self, effect: EventId, answer: &PeerOutcome) {
        let Some(hold) = self.order.holds.iter_mut().find(|hold| hold.effect() == Some(effect)) else { return };
        hold.state = match (hold.state, answer) {
            (HoldState::Asked(_), PeerOutcome::Held { .. }) => HoldState::Held,
            (HoldState::Asked(_), PeerOutcome::Gone) => HoldState::Ended(HoldEnd::Gone),
            (HoldState::Asked(_), PeerOutcome::Short(_) | PeerOutcome::Refused { .. } | PeerOutcome::Done) => {
                HoldState::Ended(HoldEnd::NotTaken)
            }
            (HoldState::Pinning(_), PeerOutcome::Done) => HoldState::Pinned,
            (HoldState::Committing(_), PeerOutcome::Done) => HoldState::Committed,
            (HoldState::Pinning(_) | HoldState::Committing(_), PeerOutcome::Gone) => HoldState::Ended(HoldEnd::Gone),
            // Not pinned, but perhaps held: it must be given back.
            (HoldState::Pinning(_), _) => HoldState::Held,
            // Not committed, so pinned: likewise.
            (HoldState::Committing(_), _) => HoldState::Pinned,
            (HoldState::GivingBack { end: HoldEnd::Restocked, .. }, PeerOutcome::Refused { .. } | PeerOutcome::Gone) => {
                HoldState::Ended(HoldEnd::Stuck)
            }
            // A refused release found no room for a tombstone: the hold is not known there, so it was never pinned, and should it
            // still come then its own time ends it.
            (HoldState::GivingBack { end, .. }, _) => HoldState::Ended(end),
            (state @ (HoldState::Held | HoldState::Pinned | HoldState::Committed | HoldState::Ended(_)), _) => state,
        };
        let stuck = (hold.state == HoldState::Ended(HoldEnd::Stuck)).then(|| hold.location.clone());
        if let Some(location) = stuck {
            self.order.record(self.ctx.time, EventKind::RestockFailed, Some(&location));
        }
        if let (Saga::Holding { short, .. }, PeerOutcome::Short(lines)) = (&mut self.order.saga, answer) {
            short.extend_from_slice(lines);
        }
        self.advance();
    }

    /// Goes on if no hold waits for an answer.
    pub(super) fn advance(&mut self) {
        if self.order.holds.iter().any(|hold| hold.effect().is_some()) {
            return;
        }
        match &self.order.saga {
            Saga::Holding { attempt, short } => {
                let attempt = *attempt;
                if self.all_are(HoldState::Held) {
                    self.pin(attempt);
                } else {
                    let refusal = self.refusal_of(short);
                    self.attempt_failed(attempt, refusal);
                }
            }
            Saga::Pinning { attempt } => {
                let attempt = *attempt;
                if self.all_are(HoldState::Pinned) { self.pay() } else { self.attempt_failed(attempt, Refusal::Contended) }
            }
            Saga::Committing { then } => {
                let then = *then;
                let lost = |hold: &&OrderHold| matches!(hold.state, HoldState::Ended(HoldEnd::Gone) | HoldState::Pinned);
                match self.order.holds.iter().find(lost).map(|hold| hold.location.clone()) {
                    None => self.open(then),
                    Some(location) => {
                        self.order.record(self.ctx.time, EventKind::StockLost, Some(&location));
                        self.void(match then {
                            WhenOpen::Keep => Ending::Refused(Refusal::Contended),
                            WhenOpen::Cancel => Ending::CalledOff,
                        });
                    }
                }
            }
            Saga::GivingBack { then } => match then.clone() {
                AfterGivingBack::Source { attempt, refusal } => {
                    self.move_to(Saga::NeedsSource { attempt, refusal });
                    self.ctx.changes.resource.push(self.order.id);
                }
                AfterGivingBack::End(ending) => self.end(ending),
            },
            Saga::NeedsSource { .. }
            | Saga::Authorising { .. }
            | Saga::AwaitingAction { .. }
            | Saga::Confirming { .. }
            | Saga::Stopping { .. }
            | Saga::Voiding { .. }
            | Saga::Capturing { .. }
            | Saga::Open
            | Saga::Refunding { .. }
            | Saga::Ended { .. } => {}
        }
    }

    /// The payment adapter answered the effect that the saga waits for.
    pub(super) fn payment_answered(&mut self, effect: EventId, outcome: &EffectOutcome) {
        if self.order.saga.effect() != Some(effect) {
            return;
        }
        let answer = match outcome {
            EffectOutcome::Succeeded => Ok(()),
            EffectOutcome::Refused { code } => Err(No::Refused(cut(code))),
            EffectOutcome::RequiresAction { kind, url } => Err(No::Action(NextAction { kind: cut(kind), url: url.clone() })),
            // The outbox keeps the effect and leases it again.
            _ => return,
        };
        let now = self.ctx.time;
        match self.order.saga.clone() {
            Saga::Authorising { .. } | Saga::Confirming { .. } => match answer {
                Ok(()) => {
                    self.payment_is(PaymentState::Authorised, EventKind::Authorised);
                    self.commit(WhenOpen::Keep);
                }
                Err(No::Action(next)) => {
                    self.order.record(now, EventKind::ActionRequired, Some(&next.kind));
                    self.move_to(Saga::AwaitingAction { next });
                    self.settle();
                }
                Err(No::Refused(code)) => {
                    self.payment_is(PaymentState::Failed { code: code.clone() }, EventKind::Declined);
                    let ending = Ending::Refused(Refusal::PaymentDeclined { decline_code: code });
                    self.give_back(AfterGivingBack::End(ending));
                }
            },
            Saga::Stopping { ending, .. } => match answer {
                Ok(()) => {
                    self.payment_is(PaymentState::Authorised, EventKind::Authorised);
                    self.void(ending);
                }
                // It exists at the provider and waits for the buyer: it must not be confirmed later.
                Err(No::Action(_)) => self.void(ending),
                Err(No::Refused(code)) => {
                    self.payment_is(PaymentState::Failed { code }, EventKind::Declined);
                    self.give_back(AfterGivingBack::End(ending));
                }
            },
            Saga::Voiding { ending, .. } => {
                match answer {
                    Ok(()) => self.payment_is(PaymentState::Voided, EventKind::Voided),
                    Err(no) => self.payment_is(PaymentState::Failed { code: no.code() }, EventKind::VoidFailed),
                }
                self.give_back(AfterGivingBack::End(ending));
            }
            Saga::Capturing { then, .. } => {
                let captured = self.order.totals.total.amount;
                match answer {
                    Ok(()) => self.payment_is(PaymentState::Captured { captured, refunded: 0 }, EventKind::Captured),
                    Err(no) => self.order.record(now, EventKind::CaptureFailed, Some(&no.code())),
                }
                self.stand(then);
            }
            Saga::Refunding { .. } => match answer {
                Ok(()) => {
                    let amount = self.order.totals.total.amount;
                    self.payment_is(PaymentState::Captured { captured: amount, refunded: amount }, EventKind::Refunded);
                    self.give_back(AfterGivingBack::End(Ending::Cancelled));
                }
                Err(no) => {
                    self.order.record(now, EventKind::RefundFailed, Some(&no.code()));
                    self.move_to(Saga::Open);
                    self.settle();
                }
            },
            Saga::Holding { .. }
            | Saga::NeedsSource { .. }
            | Saga::Pinning { .. }
            | Saga::AwaitingAction { .. }
            | Saga::Committing { .. }
            | Saga::Open
            | Saga::GivingBack { .. }
            | Saga::Ended { .. } => {} // these wait for no adapter
        }
    }

    fn pin(&mut self, attempt: u16) {
        self.ask_holds(|hold| (hold.state == HoldState::Held).then_some(Command::Pin { hold: hold.id }), HoldState::Pinning);
        self.move_to(Saga::Pinning { attempt });
    }

    /// Asks for the money, now that no hold can expire. Nothing to pay needs no payment.
    fn pay(&mut self) {
        let amount = self.order.totals.total;
        if amount.amount == 0 {
            return self.commit(WhenOpen::Keep);
        }
        let payment = self.ctx.next();
        self.order.payments.push(Payment { id: payment, amount, state: PaymentState::Pending });
        let effect = self.ask_adapter(Work::Authorise { payment, amount });
        self.move_to(Saga::Authorising { effect });
    }

    /// Decides: from here the order will stand.
    fn commit(&mut self, then: WhenOpen) {
        self.ask_holds(|hold| (hold.state == HoldState::Pinned).then_some(Command::CommitHold { hold: hold.id }), HoldState::Committing);
        self.move_to(Saga::Committing { then });
    }

    /// All is committed: the order stands.
    fn open(&mut self, then: WhenOpen) {
        let now = self.ctx.time;
        self.order.holds.retain(|hold| hold.state == HoldState::Committed);
        self.order.lines.iter_mut().for_each(|line| line.move_all(LineState::Reserved, LineState::Allocated));
        self.order.status = OrderStatus::Open;
        self.times.placing -= 1;
        self.order.record(now, EventKind::Opened, None);
        self.carts.ordered(now, self.order.cart, self.order.id);
        let authorised = self.order.payments.last().filter(|payment| payment.state == PaymentState::Authorised);
        match authorised.map(|payment| (payment.id, payment.amount)) {
            Some((payment, amount)) if self.order.capture && then == WhenOpen::Keep => {
                let effect = self.ask_adapter(Work::Capture { payment, amount });
                self.move_to(Saga::Capturing { effect, then });
            }
            Some(_) | None => self.stand(then),
        }
    }

    fn stand(&mut self, then: WhenOpen) {
        self.move_to(Saga::Open);
        match then {
            WhenOpen::Keep => self.settle(),
            WhenOpen::Cancel => self.undo(),
        }
    }

    /// Some location could not hold its part, or a hold expired before it was pinned.
    fn attempt_failed(&mut self, attempt: u16, refusal: Refusal) {
        let failed = |hold: &&OrderHold| matches!(hold.state, HoldState::Ended(_));
        let location = self.order.holds.iter().find(failed).map(|hold| hold.location.clone());
        self.order.record(self.ctx.time, EventKind::Short, location.as_deref());
        self.give_back(if attempt < RESOURCE_MAX {
            AfterGivingBack::Source { attempt: attempt + 1, refusal }
        } else {
            AfterGivingBack::End(Ending::Refused(refusal))
        });
    }

    /// What locations' shortages mean for the buyer: of each SKU, what was asked for less what was missing.
    fn refusal_of(&self, short: &[ShortLine]) -> Refusal {
        let mut missing: BTreeMap<SkuId, u32> = BTreeMap::new();
        for line in short {
            let missing = missing.entry(line.sku).or_default();
            *missing = missing.saturating_add(line.requested.saturating_sub(line.available));
        }
        let left = |(sku, missing): (SkuId, u32)| {
            let requested = self.order.lines.iter().find(|line| line.sku == sku)?.quantity;
            Some(ShortLine { sku, requested, available: requested.saturating_sub(missing) })
        };
        let short: Vec<ShortLine> = missing.into_iter().filter_map(left).collect();
        // Without a shortage a location had no room for a hold, or the hold's time was over: trying again may do.
        if short.is_empty() { Refusal::Contended } else { Refusal::InsufficientStock(shortages(&self.order.lines, &short)) }
    }

    fn all_are(&self, state: HoldState) -> bool {
        self.order.holds.iter().all(|hold| hold.state == state)
    }

    /// Sets the state of the last payment, and tells.
    pub(super) fn payment_is(&mut self, state: PaymentState, kind: EventKind) {
        let detail = match &state {
            PaymentState::Failed { code } => Some(code.clone()),
            PaymentState::Pending | PaymentState::Authorised | PaymentState::Captured { .. } | PaymentState::Voided => None,
        };
        if let Some(payment) = self.order.payments.last_mut() {
            payment.state = state;
        }
        self.order.record(self.ctx.time, kind, detail.as_deref());
    }

    /// Moves the saga and the lists that follow from it.
    pub(super) fn move_to(&mut self, saga: Saga) {
        let (id, was_undecided) = (self.order.id, self.order.saga.undecided());
        if was_undecided && !saga.undecided() {
            self.times.undecided.remove(&(self.order.decide_by, id));
        }
        match saga {
            Saga::NeedsSource { .. } => _ = self.times.needing_source.insert(id),
            _ => _ = self.times.needing_source.remove(&id),
        }
        self.order.saga = saga;
    }

    /// There is an answer for whoever waits.
    pub(super) fn settle(&mut self) {
        self.ctx.changes.settled.push(self.order.id);
    }

    /// Nothing is charged, held or under way: the end.
    fn end(&mut self, ending: Ending) {
        let now = self.ctx.time;
        for line in &mut self.order.lines {
            line.move_all(LineState::Reserved, LineState::Cancelled);
            line.move_all(LineState::Allocated, LineState::Cancelled);
        }
        self.order.status = ending.status();
        let kind = match &ending {
            Ending::Refused(_) => EventKind::Refused,
            Ending::Expired => EventKind::Expired,
            Ending::CalledOff | Ending::Cancelled => EventKind::Cancelled,
        };
        self.order.record(now, kind, None);
        match &ending {
            Ending::Refused(_) | Ending::Expired => _ = self.times.failed.insert((now.plus(ORDER_FAILED_KEEP_MS), self.order.id)),
            Ending::CalledOff | Ending::Cancelled => {}
        }
        match &ending {
            Ending::Refused(_) | Ending::Expired | Ending::CalledOff => {
                self.times.placing -= 1;
                self.carts.reopen(now, self.order.cart, self.order.id);
            }
            Ending::Cancelled => {}
        }
        self.move_to(Saga::Ended { ending });
        self.settle();
    }

    /// Asks the location of each hold that `command` picks, and sets its state to `waiting`.
    pub(super) fn ask_holds(&mut self, command: impl Fn(&OrderHold) -> Option<Command>, waiting: impl Fn(EventId) -> HoldState) {
        for at in 0..self.order.holds.len() {
            let hold = &self.order.holds[at];
            if let Some(command) = command(hold) {
                let effect = self.ask_partition(hold.partition, command);
                self.order.holds[at].state = waiting(effect);
            }
        }
    }

    pub(super) fn ask_partition(&mut self, partition: PartitionId, command: Command) -> EventId {
        self.ctx.ask(Concern::Order(self.order.id), Target::Partition(partition, command))
    }

    pub(super) fn ask_adapter(&mut self, work: Work) -> EventId {
        let name = self.order.provider.clone();
        self.ctx.ask(Concern::Order(self.order.id), Target::Adapter { name, work })
    }
}

/// Why an adapter did not do what it was asked.
enum No {
    Refused(String),
    Action(NextAction),
}

impl No {
    /// A word for a history. Only an authorisation can need the buyer; elsewhere that is a refusal.
    fn code(self) -> String {
        match self {
            Self::Refused(code) => code,
            Self::Action(next) => next.kind,
        }
    }
}

/// The id of the hold of one order's attempt at one location. Unlike minted ids its bits tell nothing.
fn hold_id(order: OrderId, location: &str, attempt: u16) -> HoldId {
    HoldId(RawId(hash128(&[&order.0.0.to_le_bytes(), location.as_bytes(), &attempt.to_le_bytes()])))
}

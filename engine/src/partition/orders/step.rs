//! One transition of one order's saga: forward, from holding stock to the order that stands.
//!
//! Path: a plan → [`Step::hold`] → an answer → [`Step::hold_answered`] or [`Step::payment_answered`] → the hold or payment it belongs to
//! → [`Step::advance`] when all holds have answered → the next effects. The way back is `giving_up`.
//! An answer is known by its effect's id, which exactly one hold or the saga waits for; any other answer changes nothing.

use super::{CONTENDED_MAX, CONTENDED_WAIT_MS, ORDER_FAILED_KEEP_MS, RESOURCE_MAX, Timetable, Work, told};
use crate::domain::order::{
    AfterGivingBack, Ending, EventKind, HoldEnd, HoldState, Order, OrderHold, Payment, PaymentState, Saga, WhenOpen, cut,
};
use crate::partition::carts::Carts;
use crate::partition::outbox::{Concern, Target};
use crate::partition::{ApplyContext, hash128};
use crate::record::v1::{Command, PeerOutcome, Source};
use wire::{EffectOutcome, EventField, EventId, HoldId, LineState, NextAction, OrderId, OrderStatus, PartitionId, RawId, Refusal};

/// One order with all it may touch.
pub(super) struct Step<'s, 'a> {
    pub(super) order: &'s mut Order,
    pub(super) ctx: &'s mut ApplyContext<'a>,
    pub(super) carts: &'s mut Carts,
    pub(super) times: &'s mut Timetable,
}

impl Step<'_, '_> {
    /// Asks the locations of a plan to hold their parts: all at once, or after contention one after the other. The holds of the attempt before have
    /// all ended, and are forgotten.
    pub(super) fn hold(&mut self, attempt: u16, sources: &[Source]) {
        debug_assert!(self.order.holds.iter().all(|hold| matches!(hold.state, HoldState::Ended(_))), "one attempt at a time");
        let order = self.order.id;
        let hold = |source: &Source| OrderHold {
            id: hold_id(order, &source.location, attempt),
            partition: source.partition,
            location: source.location.clone(),
            attempt,
            lines: source.lines.clone(),
            state: HoldState::Waiting,
        };
        self.order.holds = sources.iter().map(hold).collect();
        // The same order for everybody: see `Saga`.
        self.order.holds.sort_by(|a, b| (a.partition, &a.location).cmp(&(b.partition, &b.location)));
        self.move_to(Saga::Holding { attempt });
        if self.order.failed.contended == 0 { self.ask_waiting(usize::MAX) } else { self.ask_waiting(1) }
    }

    /// Asks for the first `max` holds that were not asked for yet.
    fn ask_waiting(&mut self, max: usize) {
        let (order, ttl_ms, is_part) = (self.order.id, self.order.hold_ttl_ms, self.order.holds.len() > 1);
        for at in 0..self.order.holds.len() {
            let asked = self.order.holds[..at].iter().filter(|hold| matches!(hold.state, HoldState::Asked(_))).count();
            let of_order = &self.order.holds[at];
            if asked == max || of_order.state != HoldState::Waiting {
                continue;
            }
            let (hold, partition, location, lines) = (of_order.id, of_order.partition, of_order.location.clone(), of_order.lines.clone());
            let command = if is_part {
                Command::HoldPart { hold, order, location, lines, ttl_ms }
            } else {
                Command::Hold { hold, order, location, lines, ttl_ms }
            };
            self.order.holds[at].state = HoldState::Asked(self.ask_partition(partition, command));
        }
    }

    /// A location answered for one hold.
    pub(super) fn hold_answered(&mut self, effect: EventId, answer: &PeerOutcome) {
        let Some(hold) = self.order.holds.iter_mut().find(|hold| hold.effect() == Some(effect)) else { return };
        hold.state = match (hold.state, answer) {
            (HoldState::Asked(_), PeerOutcome::Held { .. }) => HoldState::Held,
            (HoldState::Asked(_), PeerOutcome::Gone) => HoldState::Ended(HoldEnd::Gone),
            (HoldState::Asked(_), PeerOutcome::Contended) => HoldState::Ended(HoldEnd::Contended),
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
            (state @ (HoldState::Waiting | HoldState::Held | HoldState::Pinned | HoldState::Committed | HoldState::Ended(_)), _) => state,
        };
        let stuck = (hold.state == HoldState::Ended(HoldEnd::Stuck)).then(|| hold.location.clone());
        if let Some(location) = stuck {
            self.record(EventKind::RestockFailed, Some(&location));
        }
        self.advance();
    }

    /// Goes on if no hold waits for an answer.
    pub(super) fn advance(&mut self) {
        if self.order.holds.iter().any(|hold| hold.effect().is_some()) {
            return;
        }
        match &self.order.saga {
            Saga::Holding { attempt } => {
                let attempt = *attempt;
                if self.order.holds.iter().any(|hold| matches!(hold.state, HoldState::Ended(_))) {
                    self.attempt_failed(attempt);
                } else if self.all_are(HoldState::Held) {
                    self.pin(attempt);
                } else {
                    self.ask_waiting(1);
                }
            }
            Saga::Pinning { attempt } => {
                let attempt = *attempt;
                if self.all_are(HoldState::Pinned) { self.pay() } else { self.attempt_failed(attempt) }
            }
            Saga::Committing { then } => {
                let then = *then;
                let lost = |hold: &&OrderHold| matches!(hold.state, HoldState::Ended(HoldEnd::Gone) | HoldState::Pinned);
                match self.order.holds.iter().find(lost).map(|hold| hold.location.clone()) {
                    None => self.open(then),
                    Some(location) => {
                        self.record(EventKind::StockLost, Some(&location));
                        self.void(match then {
                            WhenOpen::Keep => Ending::Refused(Refusal::Contended),
                            WhenOpen::Cancel => Ending::CalledOff,
                        });
                    }
                }
            }
            Saga::GivingBack { then } => match then.clone() {
                AfterGivingBack::Source { attempt, wait_ms } => {
                    self.move_to(Saga::NeedsSource { attempt, not_before: self.ctx.time.plus(wait_ms) });
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
        match self.order.saga.clone() {
            Saga::Authorising { .. } | Saga::Confirming { .. } => match answer {
                Ok(()) => {
                    self.payment_is(PaymentState::Authorised, EventKind::Authorised);
                    self.commit(WhenOpen::Keep);
                }
                Err(No::Action(next)) => {
                    self.record(EventKind::ActionRequired, Some(&next.kind));
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
                    Err(no) => self.record(EventKind::CaptureFailed, Some(&no.code())),
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
                    self.record(EventKind::RefundFailed, Some(&no.code()));
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
        self.record(EventKind::Opened, None);
        self.carts.ordered(now, self.order.cart, self.order.id);
        self.ctx.tell(wire::EventKind::CartOrdered, vec![EventField::Cart(self.order.cart), EventField::Order(self.order.id)]);
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

    /// Some location could not hold its part, or a hold expired before it was pinned: another plan is asked for, which also says what is short.
    fn attempt_failed(&mut self, attempt: u16) {
        // A shortage is known to last, so it tells more than contention elsewhere.
        let ended = |hold: &&OrderHold| matches!(hold.state, HoldState::Ended(_));
        let short = |hold: &&OrderHold| ended(hold) && hold.state != HoldState::Ended(HoldEnd::Contended);
        let holds = &self.order.holds;
        let (kind, location) = match holds.iter().find(short) {
            Some(hold) => (EventKind::Short, Some(hold.location.clone())),
            None => (EventKind::Contended, holds.iter().find(ended).map(|hold| hold.location.clone())),
        };
        self.record(kind, location.as_deref());
        let wait_ms = if kind == EventKind::Contended {
            self.order.failed.contended += 1;
            contended_wait_ms(self.order.id, self.order.failed.contended)
        } else {
            self.order.failed.short += 1;
            0
        };
        self.give_back(AfterGivingBack::Source { attempt: attempt + 1, wait_ms });
    }

    /// Has the order met shortages or contention as often as it may?
    pub(super) fn has_no_try_left(&self) -> bool {
        self.order.failed.short > RESOURCE_MAX || self.order.failed.contended > CONTENDED_MAX
    }

    fn all_are(&self, state: HoldState) -> bool {
        self.order.holds.iter().all(|hold| hold.state == state)
    }

    /// Writes an entry of the order's history, and tells the feed.
    pub(super) fn record(&mut self, kind: EventKind, detail: Option<&str>) {
        told::record(self.ctx, self.order, kind, detail);
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
        self.record(kind, detail.as_deref());
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
        self.record(kind, None);
        match &ending {
            Ending::Refused(_) | Ending::Expired => _ = self.times.failed.insert((now.plus(ORDER_FAILED_KEEP_MS), self.order.id), ()),
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

/// How long an order waits after it met contention for the `nth` time, from 1: doubling, and up to as much again by its id.
fn contended_wait_ms(order: OrderId, nth: u16) -> u64 {
    let (first, most) = CONTENDED_WAIT_MS;
    let wait_ms = first.checked_shl(u32::from(nth - 1)).map_or(most, |wait_ms| wait_ms.min(most));
    let spread = hash128(&[b"contended", &order.0.0.to_le_bytes(), &nth.to_le_bytes()]) % u128::from(wait_ms + 1);
    wait_ms + spread as u64 // at most `most`
}

/// The id of the hold of one order's attempt at one location. Unlike minted ids its bits tell nothing.
fn hold_id(order: OrderId, location: &str, attempt: u16) -> HoldId {
    HoldId(RawId(hash128(&[&order.0.0.to_le_bytes(), location.as_bytes(), &attempt.to_le_bytes()])))
}

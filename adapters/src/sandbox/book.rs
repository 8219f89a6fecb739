//! The provider's book: every payment it was asked for, and what it has done. Pure.
//!
//! Path: [`Request`] → [`Book::take`] → a [`Reply`] and, if something changed, the [`Event`] to write down first → [`Book::replay`] puts the
//! same event into a fresh book after a restart.
//! Invariant: 0 ≤ refunded ≤ captured ≤ amount, and captured or voided, never both.

use super::token::{Behaviour, THREE_D_SECURE, behaviour};
use crate::LookUp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::{ActionOutcome, Currency, EffectOutcome, EffectWork, Money};

/// Payments the book has room for; one more is refused with `sandbox_full`.
pub const PAYMENTS_MAX: usize = 4_000_000;

/// What is asked of the provider.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Authorise {
        reference: String,
        token: String,
        amount: Money,
    },
    /// The time of a slow authorisation is over.
    Finish {
        reference: String,
    },
    Confirm {
        reference: String,
        outcome: ActionOutcome,
    },
    Capture {
        reference: String,
        amount: Money,
    },
    Void {
        reference: String,
    },
    Refund {
        reference: String,
        refund: String,
        amount: Money,
    },
    LookUp {
        work: EffectWork,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Authorised(Authorised),
    Outcome(EffectOutcome),
    Found(LookUp),
}

/// What comes of asking for an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorised {
    /// This.
    Now(EffectOutcome),
    /// It takes so long; then ask to finish.
    Later { ms: u64 },
}

impl Reply {
    /// The outcome, where one was asked for.
    pub(super) fn outcome(self) -> EffectOutcome {
        match self {
            Self::Authorised(Authorised::Now(outcome)) | Self::Outcome(outcome) | Self::Found(LookUp::Was(outcome)) => outcome,
            Self::Authorised(Authorised::Later { .. }) | Self::Found(LookUp::Never | LookUp::Unknown) => EffectOutcome::Unknown,
        }
    }
}

/// A line of the journal: something the provider did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Event {
    Authorised { reference: String, token: String, amount: i64, currency: String },
    Declined { reference: String, token: String, amount: i64, currency: String, code: String },
    ActionRequired { reference: String, token: String, amount: i64, currency: String },
    Confirmed { reference: String, success: bool },
    Captured { reference: String, amount: i64 },
    Voided { reference: String },
    Refunded { reference: String, refund: String, amount: i64 },
}

/// What a payment came to, for tests and operators. Amounts in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Reserved at some time.
    pub authorised: i64,
    /// Taken.
    pub captured: i64,
    /// Let go without being taken, or never to be authorised.
    pub voided: bool,
    /// Given back, over all refunds.
    pub refunded: i64,
    /// Why it was declined.
    pub declined: Option<String>,
}

impl Account {
    /// What the buyer has paid in the end: taken less given back.
    #[must_use]
    pub fn net(&self) -> i64 {
        self.captured - self.refunded
    }

    /// What is still reserved of the buyer's money.
    #[must_use]
    pub fn reserved(&self) -> i64 {
        if self.voided || self.captured > 0 { 0 } else { self.authorised }
    }
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Payment {
    /// As asked for: another wish under the same reference is refused. `None` after a void that came first.
    asked: Option<Asked>,
    state: State,
    /// By our reference of the refund.
    refunds: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    token: String,
    amount: i64,
    currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A slow authorisation; not in the journal, so a crash forgets it.
    Processing,
    ActionRequired,
    Declined {
        code: String,
    },
    Authorised,
    Captured {
        amount: i64,
    },
    /// With whether it was authorised before.
    Voided {
        authorised: bool,
    },
}

impl Payment {
    fn amount(&self) -> i64 {
        self.asked.as_ref().map_or(0, |asked| asked.amount)
    }

    fn currency(&self) -> Option<Currency> {
        self.asked.as_ref()?.currency.parse().ok()
    }

    /// Taken and not given back.
    fn refundable(&self) -> i64 {
        let captured = match self.state {
            State::Captured { amount } => amount,
            State::Processing | State::ActionRequired | State::Declined { .. } | State::Authorised | State::Voided { .. } => 0,
        };
        captured - self.refunds.values().sum::<i64>()
    }

    fn account(&self) -> Account {
        let mut account = Account { refunded: self.refunds.values().sum(), ..Account::default() };
        match &self.state {
            State::Processing | State::ActionRequired => {}
            State::Declined { code } => account.declined = Some(code.clone()),
            State::Authorised => account.authorised = self.amount(),
            State::Captured { amount } => (account.authorised, account.captured) = (self.amount(), *amount),
            State::Voided { authorised } => (account.authorised, account.voided) = (if *authorised { self.amount() } else { 0 }, true),
        }
        account
    }
}

impl State {
    /// The outcome of the authorisation, as of this state.
    fn authorisation(&self) -> EffectOutcome {
        match self {
            Self::Processing => EffectOutcome::Unknown,
            Self::ActionRequired => EffectOutcome::RequiresAction { kind: THREE_D_SECURE.into(), url: None },
            Self::Declined { code } => refused(code),
            Self::Authorised | Self::Captured { .. } => EffectOutcome::Succeeded,
            Self::Voided { .. } => refused("voided"),
        }
    }
}

/// All payments.
#[derive(Debug, Default)]
pub(super) struct Book {
    payments: BTreeMap<String, Payment>,
}

impl Book {
    /// Answers `request`; the event, if any, must be on disk before the reply is given.
    pub(super) fn take(&mut self, request: Request) -> (Reply, Option<Event>) {
        match request {
            Request::Authorise { reference, token, amount } => {
                let (authorised, event) = self.authorise(reference, token, amount);
                (Reply::Authorised(authorised), event)
            }
            Request::Finish { reference } => self.act(|book| book.finish(&reference)),
            Request::Confirm { reference, outcome } => self.act(|book| book.confirm(reference, outcome)),
            Request::Capture { reference, amount } => self.act(|book| book.capture(reference, amount)),
            Request::Void { reference } => self.act(|book| book.void(reference)),
            Request::Refund { reference, refund, amount } => self.act(|book| book.refund(reference, refund, amount)),
            Request::LookUp { work } => (Reply::Found(self.look_up(&work)), None),
        }
    }

    /// Takes an event of the journal. `false`, and nothing is changed, if it cannot have happened.
    pub(super) fn replay(&mut self, event: Event) -> bool {
        let opened =
            |token, amount, currency, state| Payment { asked: Some(Asked { token, amount, currency }), state, refunds: BTreeMap::new() };
        match event {
            Event::Authorised { reference, token, amount, currency } => {
                self.open(reference, opened(token, amount, currency, State::Authorised))
            }
            Event::Declined { reference, token, amount, currency, code } => {
                self.open(reference, opened(token, amount, currency, State::Declined { code }))
            }
            Event::ActionRequired { reference, token, amount, currency } => {
                self.open(reference, opened(token, amount, currency, State::ActionRequired))
            }
            Event::Confirmed { reference, success } => self.change(&reference, |payment| match payment.state {
                State::ActionRequired => {
                    payment.state = if success { State::Authorised } else { State::Declined { code: AUTHENTICATION_FAILED.into() } };
                    true
                }
                State::Processing | State::Declined { .. } | State::Authorised | State::Captured { .. } | State::Voided { .. } => false,
            }),
            Event::Captured { reference, amount } => self.change(&reference, |payment| {
                let fits =
                    payment.state == State::Authorised && payment.asked.as_ref().is_some_and(|asked| (1..=asked.amount).contains(&amount));
                if fits {
                    payment.state = State::Captured { amount };
                }
                fits
            }),
            Event::Voided { reference } => {
                let tombstone = Payment { asked: None, state: State::Voided { authorised: false }, refunds: BTreeMap::new() };
                let payment = self.payments.entry(reference).or_insert(tombstone);
                let may = !matches!(payment.state, State::Captured { .. });
                if may {
                    payment.state = State::Voided { authorised: payment.state == State::Authorised };
                }
                may
            }
            Event::Refunded { reference, refund, amount } => self.change(&reference, |payment| {
                let fits = amount > 0 && amount <= payment.refundable() && !payment.refunds.contains_key(&refund);
                if fits {
                    payment.refunds.insert(refund, amount);
                }
                fits
            }),
        }
    }

    /// What each payment came to.
    pub(super) fn accounts(&self) -> BTreeMap<String, Account> {
        self.payments.iter().map(|(reference, payment)| (reference.clone(), payment.account())).collect()
    }

    fn act(&mut self, decide: impl FnOnce(&Self) -> (EffectOutcome, Option<Event>)) -> (Reply, Option<Event>) {
        let (outcome, event) = decide(self);
        if let Some(event) = event.clone() {
            // The same step as after a restart, so that the two cannot differ.
            assert!(self.replay(event), "an event just decided can be taken");
        }
        (Reply::Outcome(outcome), event)
    }

    fn authorise(&mut self, reference: String, token: String, amount: Money) -> (Authorised, Option<Event>) {
        let asked = Asked { token, amount: amount.amount, currency: amount.currency.to_string() };
        if let Some(payment) = self.payments.get(&reference) {
            let same = payment.asked.as_ref().is_none_or(|before| *before == asked);
            let outcome = if same { payment.state.authorisation() } else { refused("reference_reused") };
            return (Authorised::Now(outcome), None);
        }
        if asked.amount <= 0 {
            return (Authorised::Now(refused("invalid_amount")), None);
        }
        if self.payments.len() >= PAYMENTS_MAX {
            return (Authorised::Now(refused("sandbox_full")), None);
        }
        let does = behaviour(&asked.token);
        if let Behaviour::Slow(ms) = does {
            self.payments.insert(reference, Payment { asked: Some(asked), state: State::Processing, refunds: BTreeMap::new() });
            return (Authorised::Later { ms }, None);
        }
        let Asked { token, amount, currency } = asked;
        let event = match does {
            Behaviour::Succeed | Behaviour::Slow(_) | Behaviour::Lose => {
                Event::Authorised { reference: reference.clone(), token, amount, currency }
            }
            Behaviour::Decline(code) => Event::Declined { reference: reference.clone(), token, amount, currency, code: code.into() },
            Behaviour::Act => Event::ActionRequired { reference: reference.clone(), token, amount, currency },
        };
        assert!(self.replay(event.clone()), "the reference is new");
        let outcome = match does {
            Behaviour::Lose => EffectOutcome::Unknown,
            Behaviour::Succeed | Behaviour::Slow(_) | Behaviour::Decline(_) | Behaviour::Act => {
                self.payments[&reference].state.authorisation()
            }
        };
        (Authorised::Now(outcome), Some(event))
    }

    fn finish(&self, reference: &str) -> (EffectOutcome, Option<Event>) {
        let Some(payment) = self.payments.get(reference) else { return (EffectOutcome::Unknown, None) };
        match (&payment.state, &payment.asked) {
            (State::Processing, Some(Asked { token, amount, currency })) => done(Event::Authorised {
                reference: reference.to_owned(),
                token: token.clone(),
                amount: *amount,
                currency: currency.clone(),
            }),
            (state, _) => (state.authorisation(), None),
        }
    }

    fn confirm(&self, reference: String, outcome: ActionOutcome) -> (EffectOutcome, Option<Event>) {
        let Some(payment) = self.payments.get(&reference) else { return no("no_such_payment") };
        match (&payment.state, outcome) {
            (State::ActionRequired, ActionOutcome::Success) => done(Event::Confirmed { reference, success: true }),
            (State::ActionRequired, ActionOutcome::Fail) => {
                (refused(AUTHENTICATION_FAILED), Some(Event::Confirmed { reference, success: false }))
            }
            (state, ActionOutcome::Success | ActionOutcome::Fail) => (state.authorisation(), None),
        }
    }

    fn capture(&self, reference: String, amount: Money) -> (EffectOutcome, Option<Event>) {
        let Some(payment) = self.payments.get(&reference) else { return no("no_such_payment") };
        match &payment.state {
            State::Authorised if payment.currency() != Some(amount.currency) => no("currency_mismatch"),
            State::Authorised if !(1..=payment.amount()).contains(&amount.amount) => no("amount_too_large"),
            State::Authorised => done(Event::Captured { reference, amount: amount.amount }),
            State::Captured { amount: taken } if *taken == amount.amount => AGAIN,
            State::Captured { .. } => no("already_captured"),
            State::Processing => (EffectOutcome::Unknown, None),
            State::ActionRequired | State::Declined { .. } => no("not_authorised"),
            State::Voided { .. } => no("voided"),
        }
    }

    fn void(&self, reference: String) -> (EffectOutcome, Option<Event>) {
        match self.payments.get(&reference).map(|payment| &payment.state) {
            Some(State::Voided { .. } | State::Declined { .. }) => AGAIN,
            Some(State::Captured { .. }) => no("already_captured"),
            None if self.payments.len() >= PAYMENTS_MAX => no("sandbox_full"),
            // A slow authorisation meets the tombstone when its time is over.
            None | Some(State::Processing | State::ActionRequired | State::Authorised) => done(Event::Voided { reference }),
        }
    }

    fn refund(&self, reference: String, refund: String, amount: Money) -> (EffectOutcome, Option<Event>) {
        let Some(payment) = self.payments.get(&reference) else { return no("no_such_payment") };
        match payment.refunds.get(&refund) {
            Some(before) if *before == amount.amount => AGAIN,
            Some(_) => no("reference_reused"),
            None if payment.currency() != Some(amount.currency) => no("currency_mismatch"),
            None if amount.amount <= 0 => no("invalid_amount"),
            None if amount.amount > payment.refundable() => no("amount_too_large"),
            None => done(Event::Refunded { reference, refund, amount: amount.amount }),
        }
    }

    fn look_up(&self, work: &EffectWork) -> LookUp {
        let find = |reference: &str| self.payments.get(reference);
        let was = |outcome: EffectOutcome| if outcome == EffectOutcome::Unknown { LookUp::Unknown } else { LookUp::Was(outcome) };
        match work {
            EffectWork::Authorise { reference, .. } => find(reference).map_or(LookUp::Never, |payment| was(payment.state.authorisation())),
            EffectWork::Confirm { reference, .. } => match find(reference).map(|payment| &payment.state) {
                None | Some(State::ActionRequired) => LookUp::Never,
                Some(state) => was(state.authorisation()),
            },
            EffectWork::Capture { reference, amount } => match find(reference).map(|payment| &payment.state) {
                Some(State::Captured { amount: taken }) if *taken == amount.amount => LookUp::Was(EffectOutcome::Succeeded),
                Some(_) | None => LookUp::Never,
            },
            EffectWork::Void { reference } => match find(reference).map(|payment| &payment.state) {
                Some(State::Voided { .. }) => LookUp::Was(EffectOutcome::Succeeded),
                Some(_) | None => LookUp::Never,
            },
            EffectWork::Refund { reference, refund, .. } => match find(reference).map(|payment| payment.refunds.contains_key(refund)) {
                Some(true) => LookUp::Was(EffectOutcome::Succeeded),
                Some(false) | None => LookUp::Never,
            },
            // Work this provider does not know was never done by it.
            _ => LookUp::Never,
        }
    }

    /// Enters a payment; one that is being worked on, or that was voided first and never asked for, gives way.
    fn open(&mut self, reference: String, payment: Payment) -> bool {
        let free = self.payments.get(&reference).is_none_or(|before| before.state == State::Processing);
        if free {
            self.payments.insert(reference, payment);
        }
        free
    }

    fn change(&mut self, reference: &str, change: impl FnOnce(&mut Payment) -> bool) -> bool {
        self.payments.get_mut(reference).is_some_and(change)
    }
}

const AUTHENTICATION_FAILED: &str = "authentication_failed";

fn refused(code: &str) -> EffectOutcome {
    EffectOutcome::Refused { code: code.into() }
}

/// Done before, just like this.
const AGAIN: (EffectOutcome, Option<Event>) = (EffectOutcome::Succeeded, None);

fn done(event: Event) -> (EffectOutcome, Option<Event>) {
    (EffectOutcome::Succeeded, Some(event))
}

fn no(code: &str) -> (EffectOutcome, Option<Event>) {
    (refused(code), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(amount: i64) -> Money {
        Money { amount, currency: Currency::USD }
    }

    /// Runs `history`, a row of requests such as `auth visa 100, capture 100`, on one payment; what each came to, in a word.
    fn run(book: &mut Book, history: &str) -> String {
        let mut words = Vec::new();
        for step in history.split(", ") {
            let parts: Vec<&str> = step.split(' ').collect();
            let amount = |at: usize| usd(parts[at].parse().expect("an amount"));
            let reference = String::from("pay_1");
            let request = match parts[0] {
                "auth" => Request::Authorise { reference, token: parts[1].into(), amount: amount(2) },
                "finish" => Request::Finish { reference },
                "ok" => Request::Confirm { reference, outcome: ActionOutcome::Success },
                "fail" => Request::Confirm { reference, outcome: ActionOutcome::Fail },
                "capture" => Request::Capture { reference, amount: amount(1) },
                "void" => Request::Void { reference },
                "refund" => Request::Refund { reference, refund: parts[1].into(), amount: amount(2) },
                other => panic!("{other}"),
            };
            words.push(match book.take(request).0.outcome() {
                EffectOutcome::Succeeded => "done".to_owned(),
                EffectOutcome::Refused { code } => code,
                EffectOutcome::RequiresAction { kind, .. } => kind,
                EffectOutcome::Unknown => "unknown".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        words.join(", ")
    }

    #[test] // Each row is a history of one payment, what each request came to, and what the buyer paid in the end.
    fn a_payment_does_what_it_was_asked_once() {
        for (history, answers, net) in [
            ("auth pm_card_visa 100, auth pm_card_visa 100, capture 100, capture 100", "done, done, done, done", 100),
            ("auth pm_card_visa 100, auth pm_card_visa 99", "done, reference_reused", 0),
            ("auth pm_card_visa 100, capture 101, capture 60, capture 100", "done, amount_too_large, done, already_captured", 60),
            ("auth pm_card_visa 100, void, capture 100, void", "done, done, voided, done", 0),
            ("auth pm_card_visa 100, capture 100, void", "done, done, already_captured", 100),
            ("void, auth pm_card_visa 100, capture 100", "done, voided, voided", 0),
            (
                "auth pm_card_visa 100, capture 100, refund r1 60, refund r1 60, refund r1 50, refund r2 41, refund r2 40",
                "done, done, done, done, reference_reused, amount_too_large, done",
                0,
            ),
            ("auth pm_card_chargeDeclined 100, auth pm_card_chargeDeclined 100, void", "card_declined, card_declined, done", 0),
            ("auth pm_card_chargeDeclinedInsufficientFunds 1, capture 1", "insufficient_funds, not_authorised", 0),
            (
                "auth pm_card_authenticationRequired 100, capture 100, ok, ok, fail, capture 100",
                "three_d_secure, not_authorised, done, done, done, done",
                100,
            ),
            (
                "auth pm_card_authenticationRequired 100, fail, ok, fail",
                "three_d_secure, authentication_failed, authentication_failed, authentication_failed",
                0,
            ),
            ("auth pm_card_authenticationRequired 100, void, ok", "three_d_secure, done, voided", 0),
            (
                "auth pm_sandbox_slow_9 100, auth pm_sandbox_slow_9 100, finish, finish, capture 100",
                "unknown, unknown, done, done, done",
                100,
            ),
            ("auth pm_sandbox_slow_9 100, void, finish", "unknown, done, voided", 0),
            ("auth pm_sandbox_lost 100, auth pm_sandbox_lost 100, capture 100", "unknown, done, done", 100),
            ("auth tok_1 100", "invalid_token", 0),
            ("auth pm_card_visa 0, capture 1, refund r1 1, ok", "invalid_amount, no_such_payment, no_such_payment, no_such_payment", 0),
        ] {
            let mut book = Book::default();
            assert_eq!(run(&mut book, history), answers, "{history}");
            assert_eq!(book.accounts().get("pay_1").map_or(0, Account::net), net, "{history}");
        }
    }

    #[test]
    fn a_look_up_finds_what_was_done_and_nothing_else() {
        let mut book = Book::default();
        let authorise = EffectWork::Authorise { reference: "pay_1".into(), token: "pm_sandbox_lost".into(), amount: usd(100) };
        let capture = EffectWork::Capture { reference: "pay_1".into(), amount: usd(100) };
        let refund = EffectWork::Refund { reference: "pay_1".into(), refund: "r1".into(), amount: usd(1) };
        let done = LookUp::Was(EffectOutcome::Succeeded);
        assert_eq!(book.look_up(&authorise), LookUp::Never);
        assert_eq!(run(&mut book, "auth pm_sandbox_lost 100"), "unknown");
        assert_eq!((book.look_up(&authorise), book.look_up(&capture)), (done.clone(), LookUp::Never));
        assert_eq!(run(&mut book, "capture 100"), "done");
        assert_eq!((book.look_up(&capture), book.look_up(&refund)), (done.clone(), LookUp::Never));
        assert_eq!(run(&mut book, "refund r1 1"), "done");
        assert_eq!(book.look_up(&refund), done);
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let reference = || prop::sample::select(vec!["pay_1", "pay_2"]).prop_map(str::to_owned);
        let amount = || prop::sample::select(vec![0, 40, 60, 100]).prop_map(usd);
        let token = prop::sample::select(vec![
            "pm_card_visa",
            "pm_card_chargeDeclined",
            "pm_card_authenticationRequired",
            "pm_sandbox_slow_1",
            "pm_sandbox_lost",
            "x",
        ]);
        prop_oneof![
            (reference(), token, amount()).prop_map(|(reference, token, amount)| Request::Authorise {
                reference,
                token: token.into(),
                amount
            }),
            reference().prop_map(|reference| Request::Finish { reference }),
            (reference(), any::<bool>()).prop_map(|(reference, success)| Request::Confirm {
                reference,
                outcome: if success { ActionOutcome::Success } else { ActionOutcome::Fail }
            }),
            (reference(), amount()).prop_map(|(reference, amount)| Request::Capture { reference, amount }),
            reference().prop_map(|reference| Request::Void { reference }),
            (reference(), prop::sample::select(vec!["a", "b"]), amount()).prop_map(|(reference, refund, amount)| Request::Refund {
                reference,
                refund: refund.into(),
                amount
            }),
        ]
    }

    proptest! {
        #[test] // Whatever is asked in whatever order, and asked again.
        fn no_history_breaks_the_books(requests in prop::collection::vec(any_request(), 0..60)) {
            let (mut book, mut replayed) = (Book::default(), Book::default());
            for request in requests {
                let (first, event) = book.take(request.clone());
                if let Some(event) = event {
                    prop_assert!(replayed.replay(event));
                }
                let (second, event) = book.take(request.clone());
                prop_assert_eq!(event, None, "{:?} did something twice", request);
                if first.clone().outcome() != EffectOutcome::Unknown {
                    prop_assert_eq!(first, second, "{:?}", request);
                }
            }
            for account in book.accounts().values() {
                prop_assert!(0 <= account.refunded && account.refunded <= account.captured && account.captured <= account.authorised);
                prop_assert!(!(account.voided && account.captured > 0));
            }
            // A restart forgets only what was still being worked on.
            book.payments.retain(|_, payment| payment.state != State::Processing);
            prop_assert_eq!(book.accounts(), replayed.accounts());
        }
    }
}

//! A payment provider with a book of its own, and the adapters between it and the engine.
//!
//! Path: an adapter polls its shard with `TakeEffects` → jobs → requests to the provider, which may be lost, answered late, answered never or declined →
//! look-up after a time-out, as the real runner does → `EffectResult`, sent again until the engine has it or the lease is over.
//! The book does each thing once for its reference. It is what the buyers' banks know, so it survives everything.
//! Read first: [`Book`], whose rules are those of the sandbox provider. An adapter that dies forgets its jobs; leases end, and others look up.

use super::{
    checks::{Violation, must},
    machine::MachineId,
    random::{Random, mix},
    world::{Caller, Event, Phase, World},
};
use std::collections::BTreeMap;
use wire::{ActionOutcome, Body, Effect, EffectOutcome, EffectResult, EffectWork, Op, Request, Response, ShardId};

/// How long an adapter may keep an effect, milliseconds.
const LEASE_MS: u32 = 1_500;
/// How long a poll waits for work.
const POLL_MS: u32 = 1_000;
/// How long an adapter waits for the provider.
const TIME_OUT_US: u64 = 300_000;
/// Requests of one job to the provider; then it gives up until its lease is over.
const TRIES_MAX: u32 = 6;

/// Something at an adapter or its provider.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// The adapter asks for work, in the life it has.
    Poll { adapter: usize, life: u32 },
    /// A poll was not answered.
    PollLate { adapter: usize, life: u32, poll: u64 },
    /// A request reaches the provider.
    Asked { job: u64, request: u64, look_up: bool, work: Box<EffectWork> },
    /// The provider's answer reaches the adapter.
    Told { job: u64, request: u64, found: Box<Found> },
    /// No answer came.
    TimeOut { job: u64, request: u64 },
    /// A result was not taken.
    ReportLate { job: u64, report: u64 },
}

/// What the provider says.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Was(EffectOutcome),
    Never,
}

/// A payment in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    amount: i64,
    state: State,
    refunds: BTreeMap<String, i64>,
    captures: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    ActionRequired,
    Declined,
    Authorised,
    Captured(i64),
    Voided,
}

impl Account {
    /// Taken from the buyer.
    pub(super) fn captured(&self) -> i64 {
        if let State::Captured(amount) = self.state { amount } else { 0 }
    }

    /// Given back.
    pub(super) fn refunded(&self) -> i64 {
        self.refunds.values().sum()
    }

    /// Of the buyer's money, neither taken nor let go.
    pub(super) fn reserved(&self) -> i64 {
        if self.state == State::Authorised { self.amount } else { 0 }
    }
}

/// The book: every payment the provider was asked for, by our reference.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) accounts: BTreeMap<String, Account>,
}

fn refused(code: &str) -> EffectOutcome {
    EffectOutcome::Refused { code: code.to_owned() }
}

impl Book {
    /// Does the work, or says again what came of it.
    fn take(&mut self, work: &EffectWork) -> EffectOutcome {
        match work {
            EffectWork::Authorise { reference, token, amount } => {
                let account = self.accounts.entry(reference.clone()).or_default();
                if account.state == State::New {
                    account.amount = amount.amount;
                    account.state = match token.as_str() {
                        "decline" => State::Declined,
                        "act" => State::ActionRequired,
                        _ => State::Authorised,
                    };
                }
                Self::authorisation(account)
            }
            EffectWork::Confirm { reference, outcome } => {
                let account = self.accounts.entry(reference.clone()).or_default();
                if account.state == State::ActionRequired {
                    account.state = match outcome {
                        ActionOutcome::Success => State::Authorised,
                        ActionOutcome::Fail => State::Declined,
                    };
                }
                Self::authorisation(account)
            }
            EffectWork::Capture { reference, amount } => {
                let account = self.accounts.entry(reference.clone()).or_default();
                match account.state {
                    State::Authorised => {
                        account.state = State::Captured(amount.amount);
                        account.captures += 1;
                        EffectOutcome::Succeeded
                    }
                    State::Captured(before) if before == amount.amount => EffectOutcome::Succeeded,
                    State::New | State::ActionRequired | State::Declined | State::Captured(_) | State::Voided => refused("not_authorised"),
                }
            }
            EffectWork::Void { reference } => {
                let account = self.accounts.entry(reference.clone()).or_default();
                match account.state {
                    State::Captured(_) => refused("captured"),
                    State::New | State::ActionRequired | State::Declined | State::Authorised | State::Voided => {
                        account.state = State::Voided;
                        EffectOutcome::Succeeded
                    }
                }
            }
            EffectWork::Refund { reference, refund, amount } => {
                let account = self.accounts.entry(reference.clone()).or_default();
                if account.refunds.contains_key(refund) {
                    return EffectOutcome::Succeeded;
                }
                if account.captured() - account.refunded() < amount.amount {
                    return refused("not_captured");
                }
                account.refunds.insert(refund.clone(), amount.amount);
                EffectOutcome::Succeeded
            }
            _ => refused("unsupported"),
        }
    }

    fn authorisation(account: &Account) -> EffectOutcome {
        match account.state {
            State::ActionRequired => EffectOutcome::RequiresAction { kind: "three_d_secure".to_owned(), url: None },
            State::Declined => refused("card_declined"),
            State::Authorised | State::Captured(_) => EffectOutcome::Succeeded,
            State::New | State::Voided => refused("voided"),
        }
    }

    /// What came of the work, if it was done.
    fn look_up(&self, work: &EffectWork) -> Found {
        let account = |reference: &String| self.accounts.get(reference);
        let was = |is: bool, outcome: EffectOutcome| if is { Found::Was(outcome) } else { Found::Never };
        match work {
            EffectWork::Authorise { reference, .. } => {
                account(reference).map_or(Found::Never, |account| Found::Was(Self::authorisation(account)))
            }
            EffectWork::Confirm { reference, .. } => match account(reference) {
                Some(account) if account.state != State::ActionRequired => Found::Was(Self::authorisation(account)),
                Some(_) | None => Found::Never,
            },
            EffectWork::Capture { reference, .. } => {
                was(account(reference).is_some_and(|account| account.captured() > 0), EffectOutcome::Succeeded)
            }
            EffectWork::Void { reference } => {
                was(account(reference).is_some_and(|account| account.state == State::Voided), EffectOutcome::Succeeded)
            }
            EffectWork::Refund { reference, refund, .. } => {
                was(account(reference).is_some_and(|account| account.refunds.contains_key(refund)), EffectOutcome::Succeeded)
            }
            _ => Found::Never,
        }
    }
}

struct Adapter {
    /// The shard that it asks for work, and whose machine's.
    machine: MachineId,
    shard: ShardId,
    life: u32,
    poll: u64,
    waits: bool,
}

/// An effect that an adapter sees through.
struct Job {
    adapter: usize,
    effect: Effect,
    until_us: u64,
    request: u64,
    tries: u32,
    in_doubt: bool,
    outcome: Option<EffectOutcome>,
    reports: u64,
}

/// The provider and the adapters, one a shard of each machine.
pub(super) struct Provider {
    pub(super) book: Book,
    random: Random,
    adapters: Vec<Adapter>,
    jobs: BTreeMap<u64, Job>,
    next: u64,
}

impl Provider {
    pub(super) fn new(seed: u64, machines: u16, shards_max: u16) -> Self {
        let adapter = |machine, shard| Adapter { machine: MachineId(machine), shard: ShardId(shard), life: 0, poll: 0, waits: false };
        Self {
            book: Book::default(),
            random: Random::new(mix(seed)).fork(77),
            adapters: (0..machines).flat_map(|machine| (0..shards_max).map(move |shard| adapter(machine, shard))).collect(),
            jobs: BTreeMap::new(),
            next: 0,
        }
    }

    /// Adapters for the shards of a machine that joins.
    pub(super) fn joins(&mut self, machine: MachineId, shards_max: u16) -> std::ops::Range<usize> {
        let before = self.adapters.len();
        let adapter = |shard| Adapter { machine, shard: ShardId(shard), life: 0, poll: 0, waits: false };
        self.adapters.extend((0..shards_max).map(adapter));
        before..self.adapters.len()
    }

    pub(super) fn adapters(&self) -> usize {
        self.adapters.len()
    }

    /// Calls of adapters that may be waiting for work at a shard: one in good times, a few where answers were lost.
    pub(super) fn polls(&self) -> usize {
        self.adapters.len() * 4
    }
}

impl World {
    /// The adapters lose their memory, and come back.
    pub(super) fn adapters_die(&mut self) {
        self.provider.jobs.clear();
        for adapter in 0..self.provider.adapters.len() {
            let of = &mut self.provider.adapters[adapter];
            of.life += 1;
            of.waits = false;
            let life = of.life;
            let delay = self.provider.random.between(10_000, 2_000_000);
            self.schedule(delay, Event::Adapter(Happening::Poll { adapter, life }));
        }
    }

    pub(super) fn adapter(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Poll { adapter, life } => self.poll(adapter, life),
            Happening::PollLate { adapter, life, poll } => {
                let of = &mut self.provider.adapters[adapter];
                if of.life == life && of.poll == poll && std::mem::take(&mut of.waits) {
                    self.poll(adapter, life);
                }
            }
            Happening::Asked { job, request, look_up, work } => self.provider_asked(job, request, look_up, &work),
            Happening::Told { job, request, found } => self.provider_told(job, request, *found),
            Happening::TimeOut { job, request } => {
                if let Some(of) = self.provider.jobs.get_mut(&job)
                    && of.request == request
                    && of.outcome.is_none()
                {
                    of.in_doubt = true;
                    self.ask_provider(job);
                }
            }
            Happening::ReportLate { job, report } => {
                if self.provider.jobs.get(&job).is_some_and(|of| of.reports == report) {
                    self.report_result(job);
                }
            }
        }
        Ok(())
    }

    fn poll(&mut self, adapter: usize, life: u32) {
        let of = &mut self.provider.adapters[adapter];
        if of.life != life || of.waits {
            return;
        }
        of.poll += 1;
        of.waits = true;
        let (machine, shard, poll) = (of.machine, of.shard, of.poll);
        let op = Op::TakeEffects { shard, adapters: vec![super::PROVIDER.to_owned()], max: 8, lease_ms: LEASE_MS, wait_ms: POLL_MS };
        if shard.0 < self.machines[machine].shards() {
            let request = Request { timeout_ms: POLL_MS + 500, ..Request::system(op) };
            self.send_to(machine, Caller::Poll { adapter, life }, request, 0);
        }
        self.schedule(u64::from(POLL_MS) * 1_000 + 700_000, Event::Adapter(Happening::PollLate { adapter, life, poll }));
    }

    pub(super) fn effects_taken(&mut self, adapter: usize, life: u32, response: Response) -> Result<(), Violation> {
        let of = &mut self.provider.adapters[adapter];
        if of.life != life {
            return Ok(());
        }
        of.waits = false;
        let effects = match response.result {
            Ok(Body::Effects(effects)) => effects,
            Ok(other) => return Err(Violation::new(format!("an adapter asks for work and is told {other:?}"))),
            Err(_) => Vec::new(),
        };
        let pause = if effects.is_empty() { self.provider.random.between(1_000, 20_000) } else { 100 };
        self.schedule(pause, Event::Adapter(Happening::Poll { adapter, life }));
        for effect in effects {
            must(effect.adapter == super::PROVIDER, || format!("an effect for {} is handed to another adapter", effect.adapter))?;
            self.provider.next += 1;
            let job = self.provider.next;
            let until_us = self.time_us + u64::from(LEASE_MS) * 1_000;
            let in_doubt = effect.attempt > 0;
            let of = Job { adapter, effect, until_us, request: 0, tries: 0, in_doubt, outcome: None, reports: 0 };
            self.provider.jobs.insert(job, of);
            self.ask_provider(job);
        }
        Ok(())
    }

    /// Looks up if the work may have been done, else asks for it.
    fn ask_provider(&mut self, job: u64) {
        let provider = &mut self.provider;
        let Some(of) = provider.jobs.get_mut(&job) else { return };
        if self.time_us + TIME_OUT_US >= of.until_us || of.tries >= TRIES_MAX {
            // Told as it is: the engine leases it again when this lease is over.
            of.outcome = Some(EffectOutcome::Unknown);
            return self.report_result(job);
        }
        of.tries += 1;
        provider.next += 1;
        of.request = provider.next;
        let (request, look_up, work) = (of.request, of.in_doubt, Box::new(of.effect.work.clone()));
        let (lost, late) = if self.phase == Phase::Storm { (30, 80) } else { (0, 0) };
        let away = self.weather.provider_away > 0;
        if !away && !self.provider.random.chance(lost) {
            let late = self.provider.random.chance(late);
            let delay = if late { self.provider.random.between(200_000, 2_000_000) } else { self.provider.random.between(500, 40_000) };
            self.schedule(delay, Event::Adapter(Happening::Asked { job, request, look_up, work }));
        }
        self.schedule(TIME_OUT_US, Event::Adapter(Happening::TimeOut { job, request }));
    }

    /// The provider does what it is asked, whether or not anybody waits for it still.
    fn provider_asked(&mut self, job: u64, request: u64, look_up: bool, work: &EffectWork) {
        let found = Box::new(if look_up { self.provider.book.look_up(work) } else { Found::Was(self.provider.book.take(work)) });
        self.trace(8, request);
        let lost = if self.phase == Phase::Storm { 60 } else { 0 };
        let copies = if self.provider.random.chance(lost) { 0 } else { 1 + usize::from(self.provider.random.chance(30)) };
        for _ in 0..copies {
            let delay = self.provider.random.between(500, 20_000);
            self.schedule(delay, Event::Adapter(Happening::Told { job, request, found: found.clone() }));
        }
    }

    fn provider_told(&mut self, job: u64, request: u64, found: Found) {
        let Some(of) = self.provider.jobs.get_mut(&job) else { return };
        if of.outcome.is_some() || of.request != request {
            return;
        }
        match found {
            Found::Was(outcome) => {
                of.outcome = Some(outcome);
                self.report_result(job);
                if self.provider.random.chance(20) {
                    // Somebody is not sure that it was sent.
                    self.report_result(job);
                }
            }
            Found::Never => {
                of.in_doubt = false;
                self.ask_provider(job);
            }
        }
    }

    fn report_result(&mut self, job: u64) {
        let Some(of) = self.provider.jobs.get_mut(&job) else { return };
        if self.time_us >= of.until_us {
            self.provider.jobs.remove(&job);
            return;
        }
        let Some(outcome) = of.outcome.clone() else { return };
        of.reports += 1;
        let (adapter, report) = (of.adapter, of.reports);
        let result = EffectResult { id: of.effect.id, fence: of.effect.fence, outcome };
        self.send(Caller::Result { adapter, job }, Request { timeout_ms: 400, ..Request::system(Op::EffectResult(result)) }, 0);
        self.schedule(500_000, Event::Adapter(Happening::ReportLate { job, report }));
    }

    pub(super) fn result_taken(&mut self, _adapter: usize, job: u64, response: &Response) {
        match &response.result {
            Ok(_) | Err(wire::Failure::Refused(_)) => _ = self.provider.jobs.remove(&job),
            Err(failure) => {
                let id = self.provider.jobs.get(&job).map(|of| of.effect.id);
                if let Some(id) = id {
                    let result = EffectResult { id, fence: 0, outcome: EffectOutcome::Unknown };
                    self.think_again(&Request::system(Op::EffectResult(result)), Some(failure));
                }
            }
        }
    }
}

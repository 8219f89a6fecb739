//! What the partition talks to, as dull as can be: a location with stock and holds, and a payment provider.

use crate::record::v1::{Command, HoldLine, PeerOutcome, ShortLine};
use std::collections::{BTreeMap, BTreeSet};
use wire::{ActionOutcome, EffectOutcome, EffectWork, HoldId, Millis, OrderId, SkuId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Held,
    Pinned,
    Committed,
    Released,
    Expired,
    Restocked,
}

#[derive(Debug)]
struct Hold {
    order: OrderId,
    lines: Vec<HoldLine>,
    expires_at: Millis,
    /// One of several, not pinned yet.
    in_doubt: bool,
    state: State,
}

/// A location: answers as the ledger does, repeats and late messages included.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) code: String,
    /// Still to answer `Refused` to, by a command's name.
    pub(super) refuses: Vec<&'static str>,
    available: BTreeMap<SkuId, u32>,
    units: u32,
    holds: BTreeMap<HoldId, Hold>,
    tombstones: BTreeSet<HoldId>,
}

impl Place {
    pub(super) fn new(code: String, units: impl Iterator<Item = (SkuId, u32)>) -> Self {
        let available: BTreeMap<SkuId, u32> = units.collect();
        let units = available.values().sum();
        Self { code, refuses: Vec::new(), available, units, holds: BTreeMap::new(), tombstones: BTreeSet::new() }
    }

    pub(super) fn available(&self, sku: SkuId) -> u32 {
        self.available.get(&sku).copied().unwrap_or(0)
    }

    /// Units of holds that may be given back in a moment.
    pub(super) fn in_doubt(&self, sku: SkuId) -> u32 {
        let holds = self.holds.values().filter(|hold| hold.in_doubt && hold.state == State::Held);
        holds.flat_map(|hold| &hold.lines).filter(|line| line.sku == sku).map(|line| line.quantity).sum()
    }

    /// Sets what can be sold, as if some were bought elsewhere or came in.
    pub(super) fn set(&mut self, sku: SkuId, units: u32) {
        let before = self.available.insert(sku, units).unwrap_or(0);
        self.units = self.units + units - before;
    }

    /// For which order units are set aside under this hold, if any are.
    pub(super) fn owner(&self, hold: HoldId) -> Option<OrderId> {
        let hold = self.holds.get(&hold)?;
        matches!(hold.state, State::Held | State::Pinned | State::Committed).then_some(hold.order)
    }

    /// Drops a hold, whatever its state: a fault.
    pub(super) fn lose(&mut self, order: OrderId) {
        let ids: Vec<HoldId> = self.holds.iter().filter(|(_, hold)| hold.order == order).map(|(id, _)| *id).collect();
        for id in ids {
            self.end(id, State::Released);
        }
    }

    pub(super) fn act(&mut self, now: Millis, command: &Command) -> PeerOutcome {
        let name = match command {
            Command::Hold { .. } | Command::HoldPart { .. } => "hold",
            Command::Pin { .. } => "pin",
            Command::CommitHold { .. } => "commit",
            Command::ReleaseHold { .. } => "release",
            Command::Restock { .. } => "restock",
            other => panic!("no command for a location: {other:?}"),
        };
        if let Some(at) = self.refuses.iter().position(|refused| *refused == name) {
            self.refuses.remove(at);
            return PeerOutcome::Refused { why: "full".to_owned() };
        }
        match command {
            Command::Hold { hold, order, lines, ttl_ms, .. } => self.hold(now, *hold, *order, lines, *ttl_ms, false),
            Command::HoldPart { hold, order, lines, ttl_ms, .. } => self.hold(now, *hold, *order, lines, *ttl_ms, true),
            Command::Pin { hold } => match self.state(now, *hold) {
                Some(State::Held | State::Pinned) => self.set_state(*hold, State::Pinned),
                _ => PeerOutcome::Gone,
            },
            Command::CommitHold { hold } => match self.state(now, *hold) {
                Some(State::Held | State::Pinned | State::Committed) => self.set_state(*hold, State::Committed),
                _ => PeerOutcome::Gone,
            },
            Command::ReleaseHold { hold } => match self.state(now, *hold) {
                None => {
                    self.tombstones.insert(*hold);
                    PeerOutcome::Done
                }
                Some(State::Held | State::Pinned) => self.end(*hold, State::Released),
                Some(State::Released | State::Expired) => PeerOutcome::Done,
                Some(State::Committed | State::Restocked) => panic!("a committed hold is not released"),
            },
            Command::Restock { hold } => match self.state(now, *hold) {
                Some(State::Committed) => self.end(*hold, State::Restocked),
                Some(State::Restocked) => PeerOutcome::Done,
                other => panic!("only a committed hold is restocked, not {other:?}"),
            },
            _ => PeerOutcome::Gone,
        }
    }

    fn hold(&mut self, now: Millis, id: HoldId, order: OrderId, lines: &[HoldLine], ttl_ms: u64, in_doubt: bool) -> PeerOutcome {
        if self.holds.contains_key(&id) {
            return PeerOutcome::Held { remaining: vec![0; lines.len()] };
        }
        if self.tombstones.contains(&id) {
            return PeerOutcome::Gone;
        }
        let short = |line: &&HoldLine| self.available(line.sku) < line.quantity;
        let short_line = |line: &HoldLine| ShortLine { sku: line.sku, requested: line.quantity, available: self.available(line.sku) };
        let short: Vec<ShortLine> = lines.iter().filter(short).map(short_line).collect();
        if !short.is_empty() {
            let is_explained = short.iter().all(|line| line.requested <= line.available + self.in_doubt(line.sku));
            return if is_explained { PeerOutcome::Contended } else { PeerOutcome::Short(short) };
        }
        for line in lines {
            *self.available.entry(line.sku).or_default() -= line.quantity;
        }
        self.holds.insert(id, Hold { order, lines: lines.to_vec(), expires_at: now.plus(ttl_ms), in_doubt, state: State::Held });
        PeerOutcome::Held { remaining: lines.iter().map(|line| self.available(line.sku)).collect() }
    }

    /// A hold's state, after expiry.
    fn state(&mut self, now: Millis, id: HoldId) -> Option<State> {
        let hold = self.holds.get(&id)?;
        if hold.state == State::Held && hold.expires_at <= now {
            self.end(id, State::Expired);
        }
        self.holds.get(&id).map(|hold| hold.state)
    }

    pub(super) fn expire(&mut self, now: Millis) {
        let ids: Vec<HoldId> = self.holds.keys().copied().collect();
        for id in ids {
            self.state(now, id);
        }
    }

    fn set_state(&mut self, id: HoldId, state: State) -> PeerOutcome {
        let hold = self.holds.get_mut(&id).expect("a known hold");
        (hold.state, hold.in_doubt) = (state, false);
        PeerOutcome::Done
    }

    fn end(&mut self, id: HoldId, state: State) -> PeerOutcome {
        for line in &self.holds[&id].lines {
            *self.available.entry(line.sku).or_default() += line.quantity;
        }
        self.set_state(id, state)
    }

    /// (Held or pinned, committed).
    pub(super) fn units_of(&self, order: OrderId) -> (u32, u32) {
        let of = |wanted: &[State]| {
            let holds = self.holds.values().filter(|hold| hold.order == order && wanted.contains(&hold.state));
            holds.flat_map(|hold| &hold.lines).map(|line| line.quantity).sum()
        };
        (of(&[State::Held, State::Pinned]), of(&[State::Committed]))
    }

    /// Units are neither made nor lost.
    pub(super) fn check(&self) {
        let taken = self.holds.values().filter(|hold| matches!(hold.state, State::Held | State::Pinned | State::Committed));
        let taken: u32 = taken.flat_map(|hold| &hold.lines).map(|line| line.quantity).sum();
        assert_eq!(self.available.values().sum::<u32>() + taken, self.units, "the identity of {}", self.code);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    NeedsBuyer,
    Declined,
    Reserved,
    Captured,
    Voided,
    Refunded,
}

#[derive(Debug)]
struct Account {
    token: String,
    amount: i64,
    money: Money,
    captures: u32,
    refunds: Vec<String>,
}

/// A payment provider: does each thing once per reference. Tokens say how it behaves; the first words are the card, then what it
/// refuses to do later, such as `visa capture`.
#[derive(Debug, Default)]
pub(super) struct Provider {
    accounts: BTreeMap<String, Account>,
    /// Still to answer `Unknown` though the thing is done.
    pub(super) unknown: u32,
}

impl Provider {
    pub(super) fn act(&mut self, work: &EffectWork) -> EffectOutcome {
        let outcome = self.really(work);
        if self.unknown > 0 {
            self.unknown -= 1;
            return EffectOutcome::Unknown;
        }
        outcome
    }

    fn really(&mut self, work: &EffectWork) -> EffectOutcome {
        match work {
            EffectWork::Authorise { reference, token, amount } => {
                let fresh = || {
                    let money = match token.split(' ').next() {
                        Some("visa") => Money::Reserved,
                        Some("3ds") => Money::NeedsBuyer,
                        _ => Money::Declined,
                    };
                    Account { token: token.clone(), amount: amount.amount, money, captures: 0, refunds: Vec::new() }
                };
                let account = self.accounts.entry(reference.clone()).or_insert_with(fresh);
                assert_eq!(account.amount, amount.amount, "one reference, one amount");
                account.answer()
            }
            EffectWork::Confirm { reference, outcome } => {
                let account = self.account(reference);
                if account.money == Money::NeedsBuyer {
                    account.money = match outcome {
                        ActionOutcome::Success => Money::Reserved,
                        ActionOutcome::Fail => Money::Declined,
                    };
                }
                account.answer()
            }
            EffectWork::Capture { reference, amount } => self.account(reference).capture(amount.amount),
            EffectWork::Void { reference } => self.account(reference).void(),
            EffectWork::Refund { reference, refund, amount } => self.account(reference).refund(refund, amount.amount),
            other => panic!("unknown work {other:?}"),
        }
    }

    fn account(&mut self, reference: &str) -> &mut Account {
        self.accounts.get_mut(reference).expect("an authorisation came first")
    }

    /// Minor units reserved or taken and not given back.
    pub(super) fn kept(&self, reference: &str) -> i64 {
        self.accounts.get(reference).map_or(0, |account| match account.money {
            // A void that was refused leaves the matter to people.
            Money::Reserved if !account.refuses("void") => account.amount,
            Money::Captured => account.amount,
            Money::Reserved | Money::NeedsBuyer | Money::Declined | Money::Voided | Money::Refunded => 0,
        })
    }

    /// Would a capture take money?
    pub(super) fn would_capture(&self, reference: &str) -> bool {
        let account = self.accounts.get(reference);
        account.is_some_and(|account| account.money == Money::Reserved && !account.refuses("capture"))
    }

    /// May the buyer still finish the payment there?
    pub(super) fn waits_for_buyer(&self, reference: &str) -> bool {
        self.accounts.get(reference).is_some_and(|account| account.money == Money::NeedsBuyer)
    }

    /// Captures and refunds of a reference.
    pub(super) fn moves(&self, reference: &str) -> (u32, usize) {
        self.accounts.get(reference).map_or((0, 0), |account| (account.captures, account.refunds.len()))
    }
}

impl Account {
    fn refuses(&self, word: &str) -> bool {
        self.token.split(' ').skip(1).any(|refused| refused == word)
    }

    fn answer(&self) -> EffectOutcome {
        match self.money {
            Money::Reserved | Money::Captured | Money::Refunded | Money::Voided => EffectOutcome::Succeeded,
            Money::NeedsBuyer => EffectOutcome::RequiresAction { kind: "three_d_secure".to_owned(), url: None },
            Money::Declined => refused("card_declined"),
        }
    }

    fn capture(&mut self, amount: i64) -> EffectOutcome {
        assert_eq!(amount, self.amount, "all of it");
        match self.money {
            Money::Reserved if self.refuses("capture") => refused("capture_refused"),
            Money::Reserved => {
                self.money = Money::Captured;
                self.captures += 1;
                EffectOutcome::Succeeded
            }
            Money::Captured | Money::Refunded => EffectOutcome::Succeeded,
            // A message of an old lease, overtaken by a void.
            Money::Voided => refused("voided"),
            Money::NeedsBuyer | Money::Declined => panic!("only reserved money is captured"),
        }
    }

    fn void(&mut self) -> EffectOutcome {
        match self.money {
            Money::Reserved | Money::NeedsBuyer if self.refuses("void") => refused("void_refused"),
            Money::Reserved | Money::NeedsBuyer | Money::Voided => {
                self.money = Money::Voided;
                EffectOutcome::Succeeded
            }
            Money::Captured | Money::Refunded | Money::Declined => panic!("nothing to void"),
        }
    }

    fn refund(&mut self, refund: &str, amount: i64) -> EffectOutcome {
        assert_eq!(amount, self.amount, "all of it");
        if self.refuses("refund") {
            return refused("refund_refused");
        }
        if !self.refunds.iter().any(|other| other == refund) {
            assert_eq!(self.money, Money::Captured, "only taken money is given back");
            self.refunds.push(refund.to_owned());
            self.money = Money::Refunded;
        }
        EffectOutcome::Succeeded
    }
}

fn refused(code: &str) -> EffectOutcome {
    EffectOutcome::Refused { code: code.to_owned() }
}

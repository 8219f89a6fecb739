//! Histories from bytes, for a fuzzer whose mutations should mean something: each operation is a few bytes, each byte one choice, and ids
//! are drawn from small pools so that they meet again.
//!
//! Path: bytes → [`history`] (kind of operation, step of time, then what that kind needs; where the bytes end the history does) →
//! [`replay`] (the ledger and its dull model side by side). A byte changed changes one choice, a byte lost shifts what follows, an
//! operation copied is an operation sent again.
//! Bounds: `STEPS_MAX` operations; the rest of the bytes is not read.

use std::collections::BTreeMap;

use inventory_ledger::*;

use crate::dull::Dull;
use crate::ops::{Ask, HOLDS, LIMITS, LOCATIONS, MOVEMENTS, Op, SKUS, apply};
use crate::walk::{Act, Walk, restored};

/// Operations of one history.
pub(crate) const STEPS_MAX: usize = 250;
/// How far back "one of the last" reaches.
const LATELY: usize = 8;
/// Steps between two looks at everything, and between two snapshots: answers are compared at every step.
const CHECK_EVERY: usize = 8;
const SNAPSHOT_EVERY: usize = 32;

/// Bytes as choices. At their end every choice is the first one.
struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// The last holds that were asked for, the latest last.
    asked: Vec<Ask>,
    now: Millis,
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn sku(&mut self) -> Sku {
        Sku(u128::from(self.byte()) % SKUS)
    }

    fn location(&mut self) -> Location {
        Location(u64::from(self.byte()) % LOCATIONS)
    }

    fn place(&mut self) -> (Sku, Location) {
        let both = self.byte();
        (Sku(u128::from(both) % SKUS), Location(u64::from(both) / SKUS as u64 % LOCATIONS))
    }

    fn movement(&mut self) -> MovementId {
        MovementId(u128::from(self.byte()) % MOVEMENTS)
    }

    /// Mostly few; at times as many as there can be, or nearly.
    fn units(&mut self) -> Units {
        Units(match self.byte() {
            few @ 0..250 => u32::from(few % 30),
            250 | 251 => UNITS_MAX.0,
            252 => UNITS_MAX.0 - 1,
            253 => UNITS_MAX.0 + 1,
            254 | 255 => u32::MAX,
        })
    }

    fn maybe<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.byte().is_multiple_of(4)).then(|| some(self))
    }

    /// One of the last holds, if there is one.
    fn lately(&mut self, back: u8) -> Option<&Ask> {
        self.asked.iter().rev().nth(usize::from(back) % self.asked.len().max(1))
    }

    /// Of a hold: a small number, one of the last, or one with a time in it, of any age or somewhat ahead.
    fn hold(&mut self) -> HoldId {
        match self.byte() {
            small @ 0..64 => HoldId(u128::from(small) % HOLDS),
            back @ 64..192 => self.lately(back).map_or(HoldId(0), |ask| ask.id),
            timed @ 192.. => {
                let now = self.now.0;
                let (age, number) = (self.byte(), u128::from(timed) % 3);
                let at = match age {
                    young @ 0..160 => now.saturating_sub(u64::from(young) % 32),
                    old @ 160..224 => now.saturating_sub(100 + u64::from(old)),
                    ahead @ 224.. => now + 59_980 + u64::from(ahead) - 200,
                };
                HoldId::timed(Millis(at), number)
            }
        }
    }

    fn lines(&mut self) -> Vec<Line> {
        let len = match self.byte() {
            255 => 0,
            some => 1 + some % 4,
        };
        (0..len).map(|_| self.line()).collect()
    }

    /// One byte: what, where and how many.
    fn line(&mut self) -> Line {
        let all = u32::from(self.byte());
        let quantity = match all / 6 {
            40 => 0,
            41 => u32::MAX,
            few => 1 + few % 6,
        };
        Line { sku: Sku(u128::from(all) % SKUS), location: Location(u64::from(all) / 3 % LOCATIONS), quantity: Units(quantity) }
    }

    /// Any lines, or those of a hold, some of them with less.
    fn lines_of(&mut self, hold: HoldId) -> Vec<Line> {
        let of_hold = self.asked.iter().rev().find(|ask| ask.id == hold).map(|ask| ask.lines.clone());
        match (self.byte(), of_hold) {
            (choice @ 0..192, Some(mut lines)) => {
                for line in &mut lines {
                    line.quantity.0 = line.quantity.0.min(u32::from(choice % 8) + 1);
                }
                lines.truncate(1 + usize::from(choice / 8 % 4));
                lines
            }
            _ => self.lines(),
        }
    }

    fn ask(&mut self) -> Ask {
        let options = self.byte();
        let id = self.hold();
        // Mostly the kind that the id was made for.
        let made_timed = id.0 >= HOLDS;
        let kind = if made_timed != (options % 64 == 63) { IdKind::Timed } else { IdKind::Opaque };
        let ttl_ms = match self.byte() {
            255 => u64::MAX,
            254 => LIMITS.hold_life_ms_max.into(),
            253 => u64::from(LIMITS.hold_life_ms_max) + 1,
            short => short.into(),
        };
        let customer = (options & 4 != 0).then(|| Customer(u128::from(options >> 3 & 1)));
        let owner = Owner(u128::from(options % 64 == 62));
        Ask { id, kind, owner, customer, lines: self.lines(), ttl_ms, partial: options & 1 != 0, in_doubt: options & 2 != 0 }
    }

    fn why(&mut self) -> Unavailable {
        match self.below(4) {
            0 => Unavailable::Damaged,
            1 => Unavailable::Safety,
            2 => Unavailable::Quarantine,
            _ => Unavailable::Other,
        }
    }

    fn policy(&mut self) -> Policy {
        match self.below(4) {
            0 => Policy::Deny,
            1 => Policy::Preorder { limit: self.units(), until: Millis(self.now.0 + u64::from(self.byte())) },
            _ => Policy::Backorder { limit: self.units() },
        }
    }

    fn arrivals(&mut self) -> Vec<Arrival> {
        let few = |byte: u8| Units(if byte == 255 { u32::MAX } else { u32::from(byte % 5) });
        let arrival = |of: &mut Self| Arrival { sku: of.sku(), whole: few(of.byte()), damaged: few(of.byte()), lost: few(of.byte()) };
        (0..self.below(3)).map(|_| arrival(self)).collect()
    }

    fn op(&mut self, kind: u8) -> Op {
        match kind % 30 {
            0 => {
                let (id, (sku, location), on_hand) = (self.movement(), self.place(), self.units());
                Op::Open { id, sku, location, on_hand }
            }
            1 => {
                let (id, (sku, location), reason) = (self.movement(), self.place(), Reason(self.below(2).into()));
                let delta = match self.byte() {
                    255 => i64::MAX,
                    254 => i64::MIN,
                    few => i64::from(few) % 24 - 8,
                };
                Op::Adjust { id, sku, location, delta, reason }
            }
            2 => {
                let (id, (sku, location), reason) = (self.movement(), self.place(), Reason(self.below(2).into()));
                let (on_hand, expected) = (self.units(), self.maybe(Self::units));
                Op::Set { id, sku, location, on_hand, expected, reason }
            }
            3 => {
                let (id, (sku, location), why, units) = (self.movement(), self.place(), self.why(), self.units());
                Op::SetApart { id, sku, location, why, units }
            }
            4 => {
                let (id, (sku, location), why, units) = (self.movement(), self.place(), self.why(), self.units());
                Op::PutBack { id, sku, location, why, units }
            }
            5 => {
                let (id, (sku, location), why, units) = (self.movement(), self.place(), self.why(), self.units());
                Op::WriteOff { id, sku, location, why, units }
            }
            6 => Op::Receive { id: self.movement(), announcement: None, lines: self.lines() },
            7 => Op::Receive { id: self.movement(), announcement: Some(self.movement()), lines: self.lines() },
            8 => {
                let (id, due, reference) = (self.movement(), Millis(self.below(3).into()), Reference(self.below(3).into()));
                Op::Announce { id, due, reference, lines: self.lines() }
            }
            9 => Op::Withdraw { id: self.movement(), announcement: self.movement() },
            10 => {
                let (id, to, mut lines) = (self.movement(), self.location(), self.lines());
                // Mostly from the other place: a shipment has one origin, and goes elsewhere.
                if self.byte() < 192 {
                    lines.iter_mut().for_each(|line| line.location = Location(LOCATIONS - 1 - to.0));
                }
                Op::Send { id, to, lines }
            }
            11 => Op::Arrive { id: self.movement(), shipment: self.movement(), lines: self.maybe(Self::arrivals) },
            12 => Op::Recall { id: self.movement(), shipment: self.movement() },
            13 => {
                let ((sku, location), policy) = (self.place(), self.policy());
                Op::SetPolicy { sku, location, policy }
            }
            14 => Op::Fill(self.below(4).into()),
            15 => {
                let ((sku, location), low) = (self.place(), self.maybe(Self::units));
                Op::SetThreshold { sku, location, low }
            }
            16 => {
                let (sku, per_order, per_customer) = (self.sku(), self.maybe(Self::units), self.maybe(Self::units));
                Op::SetLimit { sku, limit: PurchaseLimit { per_order, per_customer } }
            }
            17 => {
                let (id, hold) = (self.movement(), self.hold());
                Op::Restock { id, hold, lines: self.maybe(|of| of.lines_of(hold)) }
            }
            18 => Op::Pin(self.hold()),
            19 => Op::Settle(self.hold()),
            20 => Op::Extend(self.hold(), u64::from(self.byte()) * 2),
            21 => Op::Commit(self.hold()),
            22 => {
                let hold = self.hold();
                Op::CommitPart(hold, self.lines_of(hold))
            }
            23 => Op::Release(self.hold()),
            24 => Op::ReleaseTimed(self.hold()),
            25 => Op::Forget(self.hold()),
            26 => Op::Expire(self.below(4).into()),
            27 => Op::Sweep(self.below(20).into()),
            _ => {
                let ask = self.ask();
                if self.asked.len() == LATELY {
                    self.asked.remove(0);
                }
                self.asked.push(ask.clone());
                Op::Hold(ask)
            }
        }
    }
}

/// The history that these bytes are. The first says whether there is stock at the beginning.
pub(crate) fn history(bytes: &[u8]) -> Vec<(Millis, Op)> {
    let mut choices = Choices { bytes: bytes.iter(), asked: Vec::new(), now: Millis(0) };
    let mut history = Vec::new();
    if choices.byte() & 1 == 0 {
        for n in 0..4 {
            let (id, location) = (MovementId(MOVEMENTS + n), Location(n as u64 % LOCATIONS));
            history.push((Millis(0), Op::Open { id, sku: Sku(n / 2), location, on_hand: Units(25) }));
        }
    }
    while history.len() < STEPS_MAX
        && let Some(&kind) = choices.bytes.next()
    {
        // Time mostly creeps; at times it leaps over a lifetime or a day, or goes back.
        choices.now.0 = match choices.byte() {
            creeps @ 0..220 => choices.now.0 + u64::from(creeps) % 8,
            220..236 => choices.now.0 + 60,
            236..244 => choices.now.0 + 90_000_000,
            244.. => choices.now.0.saturating_sub(20),
        };
        let op = match kind {
            again @ 240.. if !history.is_empty() => history[history.len() - 1 - usize::from(again) % LATELY.min(history.len())].1.clone(),
            new => choices.op(new),
        };
        history.push((choices.now, op));
    }
    history
}

/// Ledger and model through the history of these bytes: every answer must agree, and now and then all rows; the ledger goes on as what
/// its snapshot restores to. Snapshots in steps begin and end between the operations.
pub(crate) fn replay(bytes: &[u8]) {
    let (mut ledger, mut model) = (Ledger::new(LIMITS), Dull::new(LIMITS));
    let history = history(bytes);
    let mut walk = Walk::default();
    for (step, (now, op)) in history.iter().enumerate() {
        let answer = apply(&mut ledger, *now, op);
        assert_eq!(answer, model.apply(*now, op, &answer), "step {step}: {op:?}");
        let at_last = step + 1 == history.len();
        if at_last || step % CHECK_EVERY == CHECK_EVERY - 1 {
            assert_eq!(ledger.check(), Ok(()), "step {step}: {op:?}");
            let rows: BTreeMap<_, _> = ledger.rows().map(|(sku, place, row)| ((sku, place), row)).collect();
            assert_eq!(rows, model.rows(), "step {step}: {op:?}");
            assert_eq!(Usage { recorded: 0, events: 0, ..ledger.usage() }, model.usage(), "step {step}: {op:?}");
        }
        if at_last || step % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1 {
            walk.finish(&mut ledger);
            let again = restored(ledger.save(), step as u64);
            assert_eq!(again.digest(), ledger.digest(), "step {step}");
            ledger = again;
        }
        // A snapshot in steps, beside all this: the bytes themselves say when, without taking any from the history.
        let byte = bytes.get(step % bytes.len().max(1)).copied().unwrap_or(0);
        walk.step(&mut ledger, Act::of_byte(byte.rotate_left(3)));
    }
}

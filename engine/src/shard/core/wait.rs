//! What flows wait for: time, settled orders, answered effects, work for adapters.
//!
//! Path: a flow registers and awaits a signal → apply or the clock completes it. Iterated in key order only, so that wakes are in one order.
//! Bounds: as many as flows alive; a flow that is dropped leaves its entry behind until its time or event comes, which all have.

use super::task::Setter;
use crate::shard::CallToken;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wire::{EventId, OrderId};

/// Why a flow went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What it waited for happened.
    Happened,
    /// The time came first.
    Late,
}

/// Who is woken at a time.
pub(crate) enum Alarm {
    /// A flow that only waits for time, or whose event did not come.
    Flow(u64),
    /// A call's deadline.
    Deadline(CallToken),
}

/// Flows waiting, by what for.
#[derive(Default)]
pub(crate) struct Waits {
    next: u64,
    flows: HashMap<u64, Setter<Woken>>,
    alarms: BTreeMap<(u64, u64), Alarm>,
    orders: HashMap<OrderId, Vec<u64>>,
    effects: HashMap<EventId, Vec<u64>>,
    /// Adapters' calls for work, oldest first.
    work: BTreeSet<u64>,
}

impl Waits {
    /// Registers a flow; `setter` is set once.
    pub(crate) fn add(&mut self, setter: Setter<Woken>) -> u64 {
        self.next += 1;
        self.flows.insert(self.next, setter);
        self.next
    }

    /// Wakes flow `wait` as late at `mono_us`.
    pub(crate) fn at(&mut self, mono_us: u64, wait: u64) {
        self.alarms.insert((mono_us, wait), Alarm::Flow(wait));
    }

    /// Ends call `token` at `mono_us`; the key takes it back.
    pub(crate) fn deadline(&mut self, mono_us: u64, token: CallToken) -> (u64, u64) {
        self.next += 1;
        let key = (mono_us, self.next);
        self.alarms.insert(key, Alarm::Deadline(token));
        key
    }

    /// Takes an alarm back.
    pub(crate) fn forget(&mut self, key: (u64, u64)) {
        self.alarms.remove(&key);
    }

    /// Takes back a flow that waits no longer for a time, and is woken by something else.
    pub(crate) fn forget_flow(&mut self, mono_us: u64, wait: u64) {
        self.alarms.remove(&(mono_us, wait));
        self.flows.remove(&wait);
    }

    pub(crate) fn on_order(&mut self, order: OrderId, wait: u64) {
        self.orders.entry(order).or_default().push(wait);
    }

    pub(crate) fn on_effect(&mut self, effect: EventId, wait: u64) {
        self.effects.entry(effect).or_default().push(wait);
    }

    pub(crate) fn on_work(&mut self, wait: u64) {
        self.work.insert(wait);
    }

    pub(crate) fn order_settled(&mut self, order: OrderId) {
        for wait in self.orders.remove(&order).unwrap_or_default() {
            self.wake(wait, Woken::Happened);
        }
    }

    pub(crate) fn effect_answered(&mut self, effect: EventId) {
        for wait in self.effects.remove(&effect).unwrap_or_default() {
            self.wake(wait, Woken::Happened);
        }
    }

    /// There is an effect for some adapter.
    pub(crate) fn work_ready(&mut self) {
        // All of them: each looks whether it is for its adapter, and waits again if not.
        for wait in std::mem::take(&mut self.work) {
            self.wake(wait, Woken::Happened);
        }
    }

    fn wake(&mut self, wait: u64, why: Woken) {
        if let Some(setter) = self.flows.remove(&wait) {
            setter.set(why);
        }
    }

    /// The earliest alarm.
    pub(crate) fn next_alarm(&self) -> Option<u64> {
        self.alarms.keys().next().map(|(at, _)| *at)
    }

    /// Fires one alarm that is due; a deadline is the caller's to carry out.
    pub(crate) fn fire(&mut self, mono_us: u64) -> Option<Option<CallToken>> {
        let entry = self.alarms.first_entry()?;
        if entry.key().0 > mono_us {
            return None;
        }
        match entry.remove() {
            Alarm::Flow(wait) => {
                self.work.remove(&wait);
                self.wake(wait, Woken::Late);
                Some(None)
            }
            Alarm::Deadline(token) => Some(Some(token)),
        }
    }
}

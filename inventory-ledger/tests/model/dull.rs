//! The ledger again, as dull as can be: it keeps what came in and what was held, and derives every column anew.
//!
//! No columns are stored, so there is nothing to keep in step. Everything is a sorted map or a list, and every look is a scan.

use std::collections::BTreeMap;

use inventory_ledger::*;

use crate::goods::Coming;
use crate::ops::{Answer, Ask, Op};
use crate::owed::Owed;

pub(crate) type Key = (Sku, Location);

pub(crate) struct Hold {
    pub(crate) ask: Ask,
    /// Of each line.
    taken: Vec<u64>,
    pub(crate) owed: Vec<Owed>,
    remaining: Vec<Units>,
    made: Millis,
    unsettled: bool,
    pub(crate) state: HoldState,
    pub(crate) committed: BTreeMap<Key, u64>,
    /// Committed by lines.
    in_part: bool,
    pub(crate) restocked: BTreeMap<Key, u64>,
    /// Which SKUs count for its customer.
    pub(crate) counted: Vec<Sku>,
}

impl Hold {
    pub(crate) fn quantity(&self, key: Key) -> u64 {
        let lines = self.ask.lines.iter().zip(&self.owed);
        self.taken_of(key) + lines.filter(|(line, _)| (line.sku, line.location) == key).map(|(_, owed)| owed.filled).sum::<u64>()
    }

    /// Without what it was given later.
    fn taken_of(&self, key: Key) -> u64 {
        let lines = self.ask.lines.iter().zip(&self.taken);
        lines.filter(|(line, _)| (line.sku, line.location) == key).map(|(_, taken)| taken).sum()
    }

    fn waive(&mut self) {
        self.owed.iter_mut().for_each(|owed| owed.left = 0);
    }

    fn left(&self, key: Key) -> u64 {
        match self.state {
            HoldState::Committed => self.committed.get(&key).unwrap_or(&0) - self.restocked.get(&key).unwrap_or(&0),
            _ => 0,
        }
    }

    fn open(&self) -> bool {
        matches!(self.state, HoldState::Held { .. } | HoldState::Pinned)
    }

    pub(crate) fn live(&self) -> bool {
        self.open() || self.state == HoldState::Committed
    }

    fn answer(&self, replayed: bool) -> Held {
        let line = |((&taken, &remaining), owed): ((&u64, &Units), &Owed)| Taken {
            taken: units(taken),
            remaining,
            backordered: units(owed.at_first),
        };
        let expires_at = Millis(self.made.0 + self.ask.ttl_ms);
        Held { expires_at, lines: self.taken.iter().zip(&self.remaining).zip(&self.owed).map(line).collect(), replayed }
    }
}

/// An id remembered: until when, which, and whether it is a tombstone.
struct Kept {
    until: Millis,
    id: HoldId,
    tombstone: bool,
}

pub(crate) struct Dull {
    pub(crate) limits: Limits,
    pub(crate) now: Millis,
    /// What the movements add up to.
    pub(crate) on_hand: BTreeMap<Key, u64>,
    /// Committed units of forgotten holds.
    detached: BTreeMap<Key, u64>,
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    /// With opaque ids, in order of ending.
    opaque: Vec<Kept>,
    /// With timed ids.
    timed: Vec<Kept>,
    movements: Vec<(Millis, MovementId, Op, Answer)>,
    pub(crate) coming: Coming,
    pub(crate) policies: BTreeMap<Key, Policy>,
    /// Lines that were backordered, ever.
    turns: u64,
    pub(crate) purchase_limits: BTreeMap<Sku, PurchaseLimit>,
}

pub(crate) fn sum(lines: &[Line], key: Key) -> u64 {
    let same = lines.iter().filter(|line| (line.sku, line.location) == key);
    same.map(|line| u64::from(line.quantity.0)).sum()
}

pub(crate) fn sum_of(lines: &[Line], sku: Sku) -> u64 {
    lines.iter().filter(|line| line.sku == sku).map(|line| u64::from(line.quantity.0)).sum()
}

pub(crate) fn units(count: u64) -> Units {
    Units(count.min(u64::from(u32::MAX)) as u32)
}

fn bad(lines: &[Line]) -> Option<BadLines> {
    if lines.is_empty() {
        return Some(BadLines::Empty);
    }
    let zero = lines.iter().position(|line| line.quantity.0 == 0)?;
    Some(BadLines::ZeroQuantity { index: zero as u16 })
}

impl Dull {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now: Millis(0),
            on_hand: BTreeMap::new(),
            detached: BTreeMap::new(),
            holds: BTreeMap::new(),
            opaque: Vec::new(),
            timed: Vec::new(),
            movements: Vec::new(),
            coming: Coming::default(),
            policies: BTreeMap::new(),
            turns: 0,
            purchase_limits: BTreeMap::new(),
        }
    }

    pub(crate) fn row(&self, key: Key) -> Option<Row> {
        let on_hand = *self.on_hand.get(&key)?;
        let open = self.holds.values().filter(|hold| hold.open());
        let held: u64 = open.map(|hold| hold.quantity(key)).sum();
        let left: u64 = self.holds.values().map(|hold| hold.left(key)).sum();
        let committed = left + self.detached.get(&key).unwrap_or(&0);
        let apart = self.coming.apart(key);
        Some(Row {
            available: units(on_hand - held - committed - apart),
            held: units(held),
            committed: units(committed),
            incoming: units(self.coming.incoming(key)),
            unavailable: units(apart),
            in_transit: units(self.coming.in_transit(key)),
            backordered: units(self.backordered(key)),
        })
    }

    pub(crate) fn rows(&self) -> BTreeMap<Key, Row> {
        let keys = self.on_hand.keys();
        keys.map(|&key| (key, self.row(key).unwrap())).collect()
    }

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.opaque.iter().chain(&self.timed)
    }

    fn too_old(&self, id: HoldId) -> bool {
        id.time_part().0 + u64::from(self.limits.id_window_ms) < self.now.0
    }

    fn remembers(&self, id: HoldId) -> bool {
        self.holds.get(&id).is_some_and(Hold::live) || self.kept().any(|kept| kept.id == id && kept.until > self.now)
    }

    fn keep(&mut self, id: HoldId, kind: IdKind, tombstone: bool) {
        let now = self.now.0;
        match kind {
            IdKind::Opaque => self.opaque.push(Kept { until: Millis(now + HOLD_RETENTION_MS), id, tombstone }),
            IdKind::Timed => {
                let until = Millis(now + u64::from(self.limits.id_window_ms) + u64::from(ID_SKEW_MS_MAX) + 1);
                self.timed.push(Kept { until, id, tombstone });
            }
        }
    }

    pub(crate) fn hold_state(&self, id: HoldId) -> Option<HoldState> {
        let buried = self.kept().any(|kept| kept.tombstone && kept.id == id);
        let hold = self.holds.get(&id);
        hold.map(|hold| hold.state).or(buried.then_some(HoldState::Tombstoned))
    }

    pub(crate) fn holds_of(&self, sku: Sku) -> Vec<HoldView> {
        let mut views = Vec::new();
        for (&id, hold) in self.holds.iter().filter(|(_, hold)| hold.open()) {
            for &(_, location) in self.on_hand.keys().filter(|key| key.0 == sku) {
                let quantity = units(hold.quantity((sku, location)));
                if quantity.0 > 0 {
                    views.push(HoldView { id, owner: hold.ask.owner, location, quantity, state: hold.state });
                }
            }
        }
        views
    }

    /// Every expiry, in order.
    pub(crate) fn expiries(&self) -> Vec<(Millis, HoldId)> {
        let expiry = |(&id, hold): (&HoldId, &Hold)| match hold.state {
            HoldState::Held { expires_at } => Some((expires_at, id)),
            _ => None,
        };
        let mut timed: Vec<_> = self.holds.iter().filter_map(expiry).collect();
        timed.sort();
        timed
    }

    pub(crate) fn in_doubt(&self, key: Key) -> Units {
        units(self.holds.values().filter(|hold| hold.unsettled).map(|hold| hold.taken_of(key)).sum::<u64>())
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            rows: self.on_hand.len() as u32,
            holds: self.holds.len() as u32,
            live: self.holds.values().filter(|hold| hold.live()).count() as u32,
            in_doubt: self.holds.values().filter(|hold| hold.unsettled).count() as u32,
            tombstones: self.kept().filter(|kept| kept.tombstone).count() as u32,
            movements: self.movements.len() as u32,
            announcements: self.opened()[0],
            shipments: self.opened()[1],
            backorders: self.backorders() as u32,
            purchase_limits: self.purchase_limits.len() as u32,
            purchases: self.purchases() as u32,
            ..Usage::default()
        }
    }

    /// `said` is the ledger's answer: within a millisecond the order of expiries is its own.
    pub(crate) fn apply(&mut self, now: Millis, op: &Op, said: &Answer) -> Answer {
        self.now = self.now.max(now);
        match op {
            Op::Open { id, .. }
            | Op::Adjust { id, .. }
            | Op::Set { id, .. }
            | Op::SetApart { id, .. }
            | Op::PutBack { id, .. }
            | Op::WriteOff { id, .. } => {
                self.once(*id, op, Answer::Moved(Err(MoveRefused::IdReused)), |full| Answer::Moved(Err(MoveRefused::Full(full))))
            }
            Op::Restock { id, lines, .. } => {
                if let Some(bad) = lines.as_deref().and_then(bad) {
                    return Answer::Restocked(Err(RestockRefused::Malformed(bad)));
                }
                self.once(*id, op, Answer::Restocked(Err(RestockRefused::IdReused)), |full| {
                    Answer::Restocked(Err(RestockRefused::Full(full)))
                })
            }
            Op::Receive { id, lines, .. } | Op::Announce { id, lines, .. } | Op::Send { id, lines, .. } => match bad(lines) {
                Some(bad) => Answer::Goods(Err(bad.into())),
                None => self.once_goods(*id, op),
            },
            Op::Arrive { id, lines: Some(lines), .. } => {
                let zero = lines.iter().position(|line| line.whole.0 == 0 && line.damaged.0 == 0 && line.lost.0 == 0);
                match zero {
                    _ if lines.is_empty() => Answer::Goods(Err(BadLines::Empty.into())),
                    Some(index) => Answer::Goods(Err(BadLines::ZeroQuantity { index: index as u16 }.into())),
                    None => self.once_goods(*id, op),
                }
            }
            Op::Withdraw { id, .. } | Op::Arrive { id, .. } | Op::Recall { id, .. } => self.once_goods(*id, op),
            Op::SetPolicy { sku, location, policy } => Answer::Set(self.set_policy((*sku, *location), *policy)),
            Op::SetLimit { sku, limit } => Answer::Limited(self.set_limit(*sku, *limit)),
            Op::SetThreshold { sku, location, .. } => {
                let known = self.on_hand.contains_key(&(*sku, *location));
                Answer::Set(if known { Ok(()) } else { Err(UnknownRow) })
            }
            Op::Fill(max) => Answer::Filled(self.fill(*max)),
            Op::Hold(ask) => Answer::Held(self.hold(ask)),
            Op::Pin(id) => Answer::Pinned(self.pin(*id)),
            Op::Settle(id) => Answer::Settled(self.settle(*id)),
            Op::Extend(id, ttl_ms) => Answer::Extended(self.extend(*id, *ttl_ms)),
            Op::Commit(id) => Answer::Committed(self.commit(*id)),
            Op::CommitPart(id, lines) => Answer::Committed(self.commit_part(*id, lines)),
            Op::Release(id) => Answer::Released(self.release(*id, IdKind::Opaque)),
            Op::ReleaseTimed(id) => Answer::Released(self.release(*id, IdKind::Timed)),
            Op::Forget(id) => Answer::Forgotten(self.forget(*id)),
            Op::Expire(max) => {
                let Answer::Expired(said) = said else { panic!("{said:?} to {op:?}") };
                Answer::Expired(self.expire(*max, said))
            }
            Op::Sweep(max) => Answer::Swept(self.sweep(*max)),
        }
    }

    fn once_goods(&mut self, id: MovementId, op: &Op) -> Answer {
        self.once(id, op, Answer::Goods(Err(GoodsRefused::IdReused)), |full| Answer::Goods(Err(full.into())))
    }

    fn once(&mut self, id: MovementId, op: &Op, reused: Answer, full: impl Fn(Full) -> Answer) -> Answer {
        if let Some((_, _, known, first)) = self.movements.iter().find(|kept| kept.1 == id) {
            return if known == op { first.clone().again() } else { reused };
        }
        if self.movements.len() == self.limits.movements_kept_max as usize {
            return full(Full::Movements);
        }
        let answer = match op {
            Op::Restock { hold, lines, .. } => Answer::Restocked(self.restock(*hold, lines.as_deref())),
            Op::Open { .. } | Op::Adjust { .. } | Op::Set { .. } => Answer::Moved(self.movement(op)),
            Op::SetApart { .. } | Op::PutBack { .. } | Op::WriteOff { .. } => Answer::Moved(self.set_apart(op)),
            _ => Answer::Goods(self.goods(op)),
        };
        let unremembered = [full(Full::Rows), full(Full::Announcements), full(Full::Shipments), reused];
        if !unremembered.contains(&answer) {
            let until = Millis(self.now.0 + MOVEMENT_WINDOW_MS);
            self.movements.push((until, id, op.clone(), answer.clone()));
        }
        answer
    }

    fn movement(&mut self, op: &Op) -> Result<Moved, MoveRefused> {
        let (key, target) = match *op {
            Op::Open { sku, location, on_hand, .. } => {
                let now_here = self.on_hand.get(&(sku, location));
                ((sku, location), now_here.map_or(i128::from(on_hand.0), |&here| i128::from(here)))
            }
            Op::Adjust { sku, location, delta, .. } => {
                let here = self.on_hand.get(&(sku, location));
                if here.is_none() && delta <= 0 {
                    return Err(MoveRefused::UnknownRow);
                }
                ((sku, location), i128::from(*here.unwrap_or(&0)) + i128::from(delta))
            }
            Op::Set { sku, location, on_hand, expected, .. } => {
                let actual = units(*self.on_hand.get(&(sku, location)).unwrap_or(&0));
                if expected.is_some_and(|expected| expected != actual) {
                    return Err(MoveRefused::Mismatch { actual });
                }
                ((sku, location), i128::from(on_hand.0))
            }
            _ => unreachable!("not a movement of stock"),
        };
        let row = self.row(key).unwrap_or_default();
        if target < i128::from(row.held.0 + row.committed.0 + row.unavailable.0) {
            let Row { available, held, committed, .. } = row;
            return Err(MoveRefused::Committed { available, held, committed });
        }
        if target > i128::from(UNITS_MAX.0) {
            return Err(MoveRefused::Overflow { on_hand: row.on_hand() });
        }
        let created = !self.on_hand.contains_key(&key);
        if created && self.on_hand.len() == self.limits.rows_max as usize {
            return Err(MoveRefused::Full(Full::Rows));
        }
        self.on_hand.insert(key, target as u64);
        Ok(Moved { row: self.row(key).unwrap(), created, replayed: false })
    }

    fn hold(&mut self, ask: &Ask) -> Result<Held, HoldRefused> {
        let Ask { id, kind, ref lines, ttl_ms, .. } = *ask;
        if let Some(bad) = bad(lines) {
            return Err(HoldRefused::Malformed(bad));
        }
        let max_ms = self.limits.hold_life_ms_max;
        if ttl_ms > u64::from(max_ms) {
            return Err(HoldRefused::TooLong { max_ms });
        }
        if kind == IdKind::Timed && self.too_old(id) && !self.remembers(id) {
            return Err(HoldRefused::TooOld);
        }
        if kind == IdKind::Timed && id.time_part().0 > self.now.0 + u64::from(ID_SKEW_MS_MAX) {
            return Err(HoldRefused::TooNew);
        }
        if let Some(hold) = self.holds.get(&id) {
            return if hold.ask == *ask { Ok(hold.answer(true)) } else { Err(HoldRefused::IdReused) };
        }
        if self.hold_state(id).is_some() {
            return Err(HoldRefused::Tombstoned);
        }
        if self.holds.len() == self.limits.holds_max as usize {
            return Err(HoldRefused::Full(Full::Holds));
        }
        let counted = self.to_count(ask)?;
        let available = |key| self.to_be_had(key).0 + self.to_be_had(key).1;
        let in_doubt = |key| u64::from(self.in_doubt(key).0);
        let key = |line: &Line| (line.sku, line.location);
        let mut short = PerLine::new();
        for (index, line) in lines.iter().enumerate() {
            let (requested, available) = (sum(lines, key(line)), available(key(line)));
            if requested > available {
                short.push(ShortLine { index: index as u16, requested: units(requested), available: units(available) });
            }
        }
        let (mut taken, mut owed): (Vec<u64>, Vec<Owed>) = (Vec::new(), Vec::new());
        let mut turns = self.turns;
        for (at, line) in lines.iter().enumerate() {
            let before = |had: &dyn Fn(usize) -> u64| (0..at).filter(|&other| key(&lines[other]) == key(line)).map(had).sum::<u64>();
            let (free, room) = self.to_be_had(key(line));
            let quantity = u64::from(line.quantity.0);
            let here = (free - before(&|other| taken[other])).min(quantity);
            let later = (room - before(&|other| owed[other].at_first)).min(quantity - here);
            taken.push(here);
            owed.push(Owed { at_first: later, filled: 0, left: later, turn: turns });
            turns += u64::from(later > 0);
        }
        let had = taken.iter().sum::<u64>() + owed.iter().map(|owed| owed.left).sum::<u64>();
        let refused = if ask.partial { had == 0 } else { !short.is_empty() };
        if refused {
            let explained = |line: &Line| sum(lines, key(line)) <= available(key(line)) + in_doubt(key(line));
            let contended = if ask.partial {
                lines.iter().any(|line| in_doubt(key(line)) > 0)
            } else {
                short.iter().all(|line| explained(&lines[line.index as usize]))
            };
            return Err(if contended { HoldRefused::Contended { lines: short } } else { HoldRefused::Short { lines: short } });
        }
        if owed.iter().any(|owed| owed.left > 0) && self.backorders() == self.limits.backorders_max as usize {
            return Err(HoldRefused::Full(Full::Backorders));
        }
        self.turns = turns;
        let hold = Hold {
            ask: ask.clone(),
            taken,
            owed,
            remaining: Vec::new(),
            made: self.now,
            unsettled: ask.in_doubt,
            state: HoldState::Held { expires_at: Millis(self.now.0 + ttl_ms) },
            committed: BTreeMap::new(),
            in_part: false,
            restocked: BTreeMap::new(),
            counted,
        };
        self.holds.insert(id, hold);
        let left = |line: &Line| self.row(key(line)).unwrap_or_default().available;
        let remaining: Vec<Units> = lines.iter().map(left).collect();
        let hold = self.holds.get_mut(&id).unwrap();
        hold.remaining = remaining;
        Ok(hold.answer(false))
    }

    fn become_(&mut self, id: HoldId, state: HoldState) {
        let hold = self.holds.get_mut(&id).unwrap();
        hold.state = state;
        if !matches!(state, HoldState::Held { .. }) {
            hold.unsettled = false;
        }
        if hold.live() {
            return;
        }
        hold.waive();
        let kind = hold.ask.kind;
        if kind == IdKind::Timed && self.too_old(id) && matches!(state, HoldState::Released | HoldState::Expired) {
            self.holds.remove(&id);
        } else {
            self.keep(id, kind, false);
        }
    }

    /// Held, and not due, or pinned.
    fn open(&self, id: HoldId) -> Result<HoldState, PinRefused> {
        match self.hold_state(id) {
            None => Err(PinRefused::Unknown),
            Some(HoldState::Held { expires_at }) if expires_at <= self.now => Err(PinRefused::Expired),
            Some(state @ (HoldState::Held { .. } | HoldState::Pinned)) => Ok(state),
            Some(HoldState::Expired) => Err(PinRefused::Expired),
            Some(HoldState::Released | HoldState::Tombstoned) => Err(PinRefused::Released),
            Some(_) => Err(PinRefused::Committed),
        }
    }

    fn pin(&mut self, id: HoldId) -> Result<Pinned, PinRefused> {
        let replayed = self.open(id)? == HoldState::Pinned;
        self.become_(id, HoldState::Pinned);
        Ok(Pinned { replayed })
    }

    fn settle(&mut self, id: HoldId) -> Result<Settled, PinRefused> {
        self.open(id)?;
        let unsettled = &mut self.holds.get_mut(&id).unwrap().unsettled;
        Ok(Settled { replayed: !std::mem::take(unsettled) })
    }

    fn extend(&mut self, id: HoldId, ttl_ms: u64) -> Result<Extended, PinRefused> {
        let HoldState::Held { expires_at } = self.open(id)? else {
            return Ok(Extended { expires_at: None, capped: false });
        };
        let hold = self.holds.get_mut(&id).unwrap();
        let (wanted, cap) = (self.now.0 + ttl_ms, hold.made.0 + u64::from(self.limits.hold_life_ms_max));
        let expires_at = Millis(wanted.min(cap).max(expires_at.0));
        hold.state = HoldState::Held { expires_at };
        Ok(Extended { expires_at: Some(expires_at), capped: wanted > expires_at.0 })
    }

    fn to_commit(&self, id: HoldId) -> Result<bool, CommitRefused> {
        match self.open(id) {
            Ok(_) => Ok(true),
            Err(PinRefused::Committed) => Ok(false),
            Err(PinRefused::Unknown) => Err(CommitRefused::Unknown),
            Err(PinRefused::Expired) => Err(CommitRefused::Expired),
            Err(PinRefused::Released) => Err(CommitRefused::Released),
        }
    }

    fn commit(&mut self, id: HoldId) -> Result<Committed, CommitRefused> {
        if !self.to_commit(id)? {
            return if self.holds[&id].in_part { Err(CommitRefused::Differs) } else { Ok(Committed { replayed: true }) };
        }
        let hold = self.holds.get_mut(&id).unwrap();
        for line in &hold.ask.lines {
            let key = (line.sku, line.location);
            hold.committed.insert(key, hold.quantity(key));
        }
        self.become_(id, HoldState::Committed);
        Ok(Committed { replayed: false })
    }

    fn commit_part(&mut self, id: HoldId, lines: &[Line]) -> Result<Committed, CommitRefused> {
        if let Some(bad) = bad(lines) {
            return Err(CommitRefused::Malformed(bad));
        }
        let wanted: BTreeMap<Key, u64> =
            lines.iter().map(|line| ((line.sku, line.location), sum(lines, (line.sku, line.location)))).collect();
        if !self.to_commit(id)? {
            let hold = &self.holds[&id];
            let same = hold.in_part && hold.committed == wanted;
            return if same { Ok(Committed { replayed: true }) } else { Err(CommitRefused::Differs) };
        }
        let hold = self.holds.get_mut(&id).unwrap();
        for (index, line) in lines.iter().enumerate() {
            let key = (line.sku, line.location);
            if wanted[&key] > hold.quantity(key) {
                let (requested, held) = (units(wanted[&key]), units(hold.quantity(key)));
                return Err(CommitRefused::TooMany { index: index as u16, requested, held });
            }
        }
        (hold.committed, hold.in_part) = (wanted, true);
        hold.waive();
        self.become_(id, HoldState::Committed);
        Ok(Committed { replayed: false })
    }

    fn release(&mut self, id: HoldId, kind: IdKind) -> Result<Released, ReleaseRefused> {
        match self.hold_state(id) {
            None if kind == IdKind::Timed && self.too_old(id) => Ok(Released::TooOld),
            None if kind == IdKind::Timed && id.time_part().0 > self.now.0 + u64::from(ID_SKEW_MS_MAX) => Err(ReleaseRefused::TooNew),
            None if self.usage().tombstones == self.limits.tombstones_max => Err(ReleaseRefused::Full(Full::Tombstones)),
            None => {
                self.keep(id, kind, true);
                Ok(Released::Tombstoned { replayed: false })
            }
            Some(HoldState::Tombstoned) => Ok(Released::Tombstoned { replayed: true }),
            Some(HoldState::Held { expires_at }) if expires_at <= self.now => {
                self.become_(id, HoldState::Expired);
                Ok(Released::Expired)
            }
            Some(HoldState::Held { .. } | HoldState::Pinned) => {
                self.become_(id, HoldState::Released);
                Ok(Released::Returned { replayed: false })
            }
            Some(HoldState::Released) => Ok(Released::Returned { replayed: true }),
            Some(HoldState::Expired) => Ok(Released::Expired),
            Some(_) => Err(ReleaseRefused::Committed),
        }
    }

    fn forget(&mut self, id: HoldId) -> Result<Forgotten, ForgetRefused> {
        match self.hold_state(id) {
            None => Err(ForgetRefused::Unknown),
            Some(HoldState::Restocked | HoldState::Forgotten) => Ok(Forgotten { replayed: true }),
            Some(HoldState::Committed) => {
                for &key in self.on_hand.keys() {
                    *self.detached.entry(key).or_default() += self.holds[&id].left(key);
                }
                self.become_(id, HoldState::Forgotten);
                Ok(Forgotten { replayed: false })
            }
            Some(state) => Err(ForgetRefused::NotCommitted { state }),
        }
    }

    fn restock(&mut self, id: HoldId, lines: Option<&[Line]>) -> Result<Restocked, RestockRefused> {
        match self.hold_state(id) {
            None => return Err(RestockRefused::Unknown),
            Some(HoldState::Committed) => {}
            Some(state) => return Err(RestockRefused::NotCommitted { state }),
        }
        let keys: Vec<Key> = self.on_hand.keys().copied().collect();
        let hold = self.holds.get_mut(&id).unwrap();
        for (index, line) in lines.unwrap_or(&[]).iter().enumerate() {
            let key = (line.sku, line.location);
            let (requested, left) = (sum(lines.unwrap(), key), hold.left(key));
            if requested > left {
                let (requested, left) = (units(requested), units(left));
                return Err(RestockRefused::TooMany { index: index as u16, requested, left });
            }
        }
        if lines.is_none() {
            hold.waive();
        }
        let owed = hold.owed.iter().map(|owed| owed.left).sum();
        let (mut back, mut left) = (0, 0);
        for key in keys {
            let wanted = lines.map_or(hold.left(key), |lines| sum(lines, key));
            *hold.restocked.entry(key).or_default() += wanted;
            back += wanted;
            left += hold.left(key);
        }
        if left + owed == 0 {
            self.become_(id, HoldState::Restocked);
        }
        Ok(Restocked { units: back, left, owed, replayed: false })
    }

    /// Ends what the ledger says it ended, if that may be: the first in time, no more than asked for, and only if all that is
    /// due is ended may it say that nothing more is.
    fn expire(&mut self, max: usize, said: &Expired) -> Expired {
        let due: Vec<_> = self.expiries().into_iter().filter(|&(at, _)| at <= self.now).collect();
        let mut times: Vec<Millis> = Vec::new();
        for &id in &said.ids {
            let (at, _) = due.iter().find(|&&(_, other)| other == id).unwrap_or_else(|| panic!("{id:?} is not due"));
            times.push(*at);
            self.become_(id, HoldState::Expired);
        }
        let first: Vec<Millis> = due.iter().map(|&(at, _)| at).take(times.len()).collect();
        assert_eq!(times, first, "in order of expiry");
        assert!(times.len() <= max && (said.more || times.len() == due.len()), "{said:?} of {due:?}");
        said.clone()
    }

    fn sweep(&mut self, max: usize) -> Swept {
        let mut swept = Swept::default();
        let now = self.now;
        let old = |queue: &[Kept]| queue.first().is_some_and(|kept| kept.until <= now);
        loop {
            let movement = self.movements.first().is_some_and(|kept| kept.0 <= now);
            if !old(&self.opaque) && !old(&self.timed) && !movement {
                return swept;
            }
            if swept.holds + swept.tombstones + swept.movements == max {
                swept.more = true;
                return swept;
            }
            let kept = if old(&self.opaque) {
                self.opaque.remove(0)
            } else if old(&self.timed) {
                self.timed.remove(0)
            } else {
                self.movements.remove(0);
                swept.movements += 1;
                continue;
            };
            if kept.tombstone {
                swept.tombstones += 1;
            } else {
                self.holds.remove(&kept.id);
                swept.holds += 1;
            }
        }
    }
}

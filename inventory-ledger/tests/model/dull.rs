//! The ledger again, as dull as can be: it keeps what came in and what was held, and derives every column anew.
//!
//! No columns are stored, so there is nothing to keep in step. Everything is a sorted map or a list, and every look is a scan.

use std::collections::BTreeMap;

use inventory_ledger::*;

use crate::ops::{Answer, Op};

type Key = (Sku, Location);

struct Hold {
    owner: Owner,
    lines: Vec<Line>,
    ttl_ms: u64,
    expires_at: Millis,
    remaining: Vec<Units>,
    state: HoldState,
    restocked: BTreeMap<Key, u64>,
}

impl Hold {
    fn quantity(&self, key: Key) -> u64 {
        sum(&self.lines, key)
    }

    fn left(&self, key: Key) -> u64 {
        match self.state {
            HoldState::Committed => self.quantity(key) - self.restocked.get(&key).unwrap_or(&0),
            _ => 0,
        }
    }

    fn open(&self) -> bool {
        matches!(self.state, HoldState::Held { .. } | HoldState::Pinned)
    }
}

pub(crate) struct Dull {
    limits: Limits,
    now: Millis,
    /// What the movements add up to.
    on_hand: BTreeMap<Key, u64>,
    /// Committed units of forgotten holds.
    detached: BTreeMap<Key, u64>,
    holds: BTreeMap<HoldId, Hold>,
    /// In order of ending.
    ended: Vec<(Millis, HoldId)>,
    tombstones: Vec<(Millis, HoldId)>,
    movements: Vec<(Millis, MovementId, Op, Answer)>,
}

fn sum(lines: &[Line], key: Key) -> u64 {
    let same = lines.iter().filter(|line| (line.sku, line.location) == key);
    same.map(|line| u64::from(line.quantity.0)).sum()
}

fn units(count: u64) -> Units {
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
            ended: Vec::new(),
            tombstones: Vec::new(),
            movements: Vec::new(),
        }
    }

    pub(crate) fn row(&self, key: Key) -> Option<Row> {
        let on_hand = *self.on_hand.get(&key)?;
        let open = self.holds.values().filter(|hold| hold.open());
        let held: u64 = open.map(|hold| hold.quantity(key)).sum();
        let left: u64 = self.holds.values().map(|hold| hold.left(key)).sum();
        let committed = left + self.detached.get(&key).unwrap_or(&0);
        Some(Row { available: units(on_hand - held - committed), held: units(held), committed: units(committed), ..Row::default() })
    }

    pub(crate) fn rows(&self) -> BTreeMap<Key, Row> {
        let keys = self.on_hand.keys();
        keys.map(|&key| (key, self.row(key).unwrap())).collect()
    }

    pub(crate) fn hold_state(&self, id: HoldId) -> Option<HoldState> {
        let buried = self.tombstones.iter().any(|&(_, other)| other == id);
        let hold = self.holds.get(&id);
        hold.map(|hold| hold.state).or(buried.then_some(HoldState::Tombstoned))
    }

    pub(crate) fn holds_of(&self, sku: Sku) -> Vec<HoldView> {
        let mut views = Vec::new();
        for (&id, hold) in self.holds.iter().filter(|(_, hold)| hold.open()) {
            for &(_, location) in self.on_hand.keys().filter(|key| key.0 == sku) {
                let quantity = units(hold.quantity((sku, location)));
                if quantity.0 > 0 {
                    views.push(HoldView { id, owner: hold.owner, location, quantity, state: hold.state });
                }
            }
        }
        views
    }

    fn timed(&self) -> Vec<(Millis, HoldId)> {
        let expiry = |(&id, hold): (&HoldId, &Hold)| match hold.state {
            HoldState::Held { expires_at } => Some((expires_at, id)),
            _ => None,
        };
        let mut timed: Vec<_> = self.holds.iter().filter_map(expiry).collect();
        timed.sort();
        timed
    }

    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        self.timed().first().map(|&(at, _)| at)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            rows: self.on_hand.len() as u32,
            holds: self.holds.len() as u32,
            tombstones: self.tombstones.len() as u32,
            movements: self.movements.len() as u32,
        }
    }

    pub(crate) fn apply(&mut self, now: Millis, op: &Op) -> Answer {
        self.now = self.now.max(now);
        match op {
            Op::Open { id, .. } | Op::Adjust { id, .. } | Op::Set { id, .. } => {
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
            Op::Hold { id, owner, lines, ttl_ms } => Answer::Held(self.hold(*id, *owner, lines, *ttl_ms)),
            Op::Pin(id) => Answer::Pinned(self.pin(*id)),
            Op::Commit(id) => Answer::Committed(self.commit(*id)),
            Op::Release(id) => Answer::Released(self.release(*id)),
            Op::Forget(id) => Answer::Forgotten(self.forget(*id)),
            Op::Expire(max) => Answer::Expired(self.expire(*max)),
            Op::Sweep(max) => Answer::Swept(self.sweep(*max)),
        }
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
            _ => Answer::Moved(self.movement(op)),
        };
        if answer != full(Full::Rows) {
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
        if target < i128::from(row.held.0 + row.committed.0) {
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

    fn hold(&mut self, id: HoldId, owner: Owner, lines: &[Line], ttl_ms: u64) -> Result<Held, HoldRefused> {
        if let Some(bad) = bad(lines) {
            return Err(HoldRefused::Malformed(bad));
        }
        if let Some(hold) = self.holds.get(&id) {
            if (hold.owner, &hold.lines[..], hold.ttl_ms) != (owner, lines, ttl_ms) {
                return Err(HoldRefused::IdReused);
            }
            let (expires_at, remaining) = (hold.expires_at, hold.remaining.clone());
            return Ok(Held { expires_at, remaining, replayed: true });
        }
        if self.hold_state(id).is_some() {
            return Err(HoldRefused::Tombstoned);
        }
        if self.holds.len() == self.limits.holds_max as usize {
            return Err(HoldRefused::Full(Full::Holds));
        }
        let mut short = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let key = (line.sku, line.location);
            let available = self.row(key).unwrap_or_default().available;
            if sum(lines, key) > u64::from(available.0) {
                short.push(ShortLine {
                    index: index as u16,
                    sku: line.sku,
                    location: line.location,
                    requested: units(sum(lines, key)),
                    available,
                });
            }
        }
        if !short.is_empty() {
            return Err(HoldRefused::Short { lines: short });
        }
        let expires_at = Millis(self.now.0 + ttl_ms);
        let hold = Hold {
            owner,
            lines: lines.to_vec(),
            ttl_ms,
            expires_at,
            remaining: Vec::new(),
            state: HoldState::Held { expires_at },
            restocked: BTreeMap::new(),
        };
        self.holds.insert(id, hold);
        let left = |line: &Line| self.row((line.sku, line.location)).unwrap().available;
        let remaining: Vec<Units> = lines.iter().map(left).collect();
        self.holds.get_mut(&id).unwrap().remaining = remaining.clone();
        Ok(Held { expires_at, remaining, replayed: false })
    }

    fn become_(&mut self, id: HoldId, state: HoldState) {
        self.holds.get_mut(&id).unwrap().state = state;
        match state {
            HoldState::Restocked | HoldState::Forgotten | HoldState::Released | HoldState::Expired => {
                self.ended.push((Millis(self.now.0 + HOLD_RETENTION_MS), id));
            }
            _ => {}
        }
    }

    fn pin(&mut self, id: HoldId) -> Result<Pinned, PinRefused> {
        match self.hold_state(id) {
            None => Err(PinRefused::Unknown),
            Some(HoldState::Held { expires_at }) if expires_at <= self.now => Err(PinRefused::Expired),
            Some(HoldState::Held { .. }) => {
                self.become_(id, HoldState::Pinned);
                Ok(Pinned { replayed: false })
            }
            Some(HoldState::Pinned) => Ok(Pinned { replayed: true }),
            Some(HoldState::Expired) => Err(PinRefused::Expired),
            Some(HoldState::Released | HoldState::Tombstoned) => Err(PinRefused::Released),
            Some(_) => Err(PinRefused::Committed),
        }
    }

    fn commit(&mut self, id: HoldId) -> Result<Committed, CommitRefused> {
        match self.hold_state(id) {
            None => Err(CommitRefused::Unknown),
            Some(HoldState::Held { expires_at }) if expires_at <= self.now => Err(CommitRefused::Expired),
            Some(HoldState::Held { .. } | HoldState::Pinned) => {
                self.become_(id, HoldState::Committed);
                Ok(Committed { replayed: false })
            }
            Some(HoldState::Expired) => Err(CommitRefused::Expired),
            Some(HoldState::Released | HoldState::Tombstoned) => Err(CommitRefused::Released),
            Some(_) => Ok(Committed { replayed: true }),
        }
    }

    fn release(&mut self, id: HoldId) -> Result<Released, ReleaseRefused> {
        match self.hold_state(id) {
            None if self.tombstones.len() == self.limits.tombstones_max as usize => Err(ReleaseRefused::Full(Full::Tombstones)),
            None => {
                self.tombstones.push((Millis(self.now.0 + TOMBSTONE_MS), id));
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
        let (mut back, mut left) = (0, 0);
        for key in keys {
            let wanted = lines.map_or(hold.left(key), |lines| sum(lines, key));
            *hold.restocked.entry(key).or_default() += wanted;
            back += wanted;
            left += hold.left(key);
        }
        if left == 0 {
            self.become_(id, HoldState::Restocked);
        }
        Ok(Restocked { units: back, left, replayed: false })
    }

    fn expire(&mut self, max: usize) -> Expired {
        let due = |&(at, _): &(Millis, HoldId)| at <= self.now;
        let ids: Vec<HoldId> = self.timed().into_iter().filter(due).map(|(_, id)| id).collect();
        let (first, rest) = ids.split_at(max.min(ids.len()));
        for &id in first {
            self.become_(id, HoldState::Expired);
        }
        Expired { ids: first.to_vec(), more: !rest.is_empty() }
    }

    fn sweep(&mut self, max: usize) -> Swept {
        let mut swept = Swept::default();
        let now = self.now;
        let old = |until: Option<Millis>| until.is_some_and(|until| until <= now);
        loop {
            let hold = old(self.ended.first().map(|kept| kept.0));
            let tombstone = old(self.tombstones.first().map(|kept| kept.0));
            let movement = old(self.movements.first().map(|kept| kept.0));
            if !hold && !tombstone && !movement {
                return swept;
            }
            if swept.holds + swept.tombstones + swept.movements == max {
                swept.more = true;
                return swept;
            }
            if hold {
                self.holds.remove(&self.ended.remove(0).1);
                swept.holds += 1;
            } else if tombstone {
                self.tombstones.remove(0);
                swept.tombstones += 1;
            } else {
                self.movements.remove(0);
                swept.movements += 1;
            }
        }
    }
}

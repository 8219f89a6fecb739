//! The book of holds: every hold by id, by the time it expires, and by the time it may be forgotten.
//!
//! Path: `insert` → open (`Held`, `Pinned`) → `set_state` → ended → `sweep` frees the slot. Tombstones stand beside them.
//! Read first: `State`, then `HoldRecord`. The book knows positions of rows but moves no units: `reserve` does.
//! Bounds: the ledger asks `holds_max` and `tombstones_max` before it adds. Times never decrease from call to call, so the
//! ended holds and the tombstones are queues, oldest first.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;

use hashbrown::{HashSet, HashTable};
use smallvec::SmallVec;

use crate::rows::RowIx;
use crate::{Broken, HOLD_RETENTION_MS, HoldId, HoldState, Millis, Owner, TOMBSTONE_MS, Units};

/// Where a recorded hold stands; what may follow is in [`HoldState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Held,
    Pinned,
    Committed,
    Restocked,
    Forgotten,
    Released,
    Expired,
}

/// What kind of place a state is: which order the hold must be listed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Listed to expire.
    Timed,
    /// Kept until somebody decides.
    Kept,
    /// Listed to be swept.
    Ended,
}

impl State {
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Held => Phase::Timed,
            Self::Pinned | Self::Committed => Phase::Kept,
            Self::Restocked | Self::Forgotten | Self::Released | Self::Expired => Phase::Ended,
        }
    }
}

/// One line of a hold. The first two fields are its body, the third its stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HeldLine {
    pub(crate) row: RowIx,
    pub(crate) quantity: Units,
    /// What was left available in the row after the hold was taken.
    pub(crate) remaining: Units,
    /// How many of `quantity` came back after the commit.
    pub(crate) restocked: Units,
}

impl HeldLine {
    /// Units that a restock could still return.
    pub(crate) fn left(&self) -> Units {
        Units(self.quantity.0 - self.restocked.0)
    }
}

/// A hold: body, stored answer and state. Kept whole until it is swept, so that a repeat gets the first answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldRecord {
    pub(crate) id: HoldId,
    pub(crate) owner: Owner,
    pub(crate) ttl_ms: u64,
    pub(crate) expires_at: Millis,
    pub(crate) state: State,
    pub(crate) lines: SmallVec<[HeldLine; 3]>,
}

impl HoldRecord {
    pub(crate) fn public_state(&self) -> HoldState {
        match self.state {
            State::Held => HoldState::Held { expires_at: self.expires_at },
            State::Pinned => HoldState::Pinned,
            State::Committed => HoldState::Committed,
            State::Restocked => HoldState::Restocked,
            State::Forgotten => HoldState::Forgotten,
            State::Released => HoldState::Released,
            State::Expired => HoldState::Expired,
        }
    }

    /// Held and past its time, whether or not `expire` has come to it.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.state == State::Held && self.expires_at <= now
    }

    /// Units committed under this hold and not restocked. Zero in every other state than `Committed`.
    pub(crate) fn units_left(&self) -> u64 {
        match self.state {
            State::Committed => self.lines.iter().map(|line| u64::from(line.left().0)).sum(),
            State::Held | State::Pinned | State::Restocked | State::Forgotten | State::Released | State::Expired => 0,
        }
    }
}

/// Position of a hold in the slab. Reused once the hold is swept; never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// All holds and tombstones.
#[derive(Debug, Default)]
pub(crate) struct HoldBook {
    slots: Vec<Option<HoldRecord>>,
    free: Vec<Slot>,
    by_id: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
    /// Exactly the holds in `State::Held`, in the order in which they expire.
    timed: BTreeMap<(Millis, HoldId), Slot>,
    /// Exactly the ended holds, with the instant from which each may be forgotten.
    ended: VecDeque<(Millis, Slot)>,
    tombstones: HashSet<HoldId, foldhash::fast::RandomState>,
    tombstones_by_age: VecDeque<(Millis, HoldId)>,
}

impl HoldBook {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.by_id.len()).expect("holds_max is a u32")
    }

    pub(crate) fn tombstones_len(&self) -> u32 {
        u32::try_from(self.tombstones.len()).expect("tombstones_max is a u32")
    }

    pub(crate) fn find(&self, id: HoldId) -> Option<Slot> {
        let same = |&slot: &Slot| self.record(slot).id == id;
        self.by_id.find(self.hasher.hash_one(id), same).copied()
    }

    /// # Panics
    /// If the slot is free: slots are only had from this book and not kept over a sweep.
    pub(crate) fn record(&self, slot: Slot) -> &HoldRecord {
        self.slots[slot.0 as usize].as_ref().expect("a slot in use")
    }

    /// Lines for the books of restocks. The state changes only by [`HoldBook::set_state`].
    pub(crate) fn lines_mut(&mut self, slot: Slot) -> &mut [HeldLine] {
        let record = self.slots[slot.0 as usize].as_mut();
        &mut record.expect("a slot in use").lines
    }

    /// Holds in an order that depends on history: for sums, and for lists that are sorted after.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &HoldRecord> {
        self.slots.iter().flatten()
    }

    /// Records a new hold, in `State::Held`. The caller has looked for the id and for room.
    pub(crate) fn insert(&mut self, record: HoldRecord) {
        debug_assert!(self.find(record.id).is_none(), "one hold per id");
        debug_assert_eq!(record.state, State::Held, "a hold begins held");
        let hash = self.hasher.hash_one(record.id);
        let due = (record.expires_at, record.id);
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot.0 as usize] = Some(record);
            slot
        } else {
            let slot = Slot(u32::try_from(self.slots.len()).expect("holds_max is a u32"));
            self.slots.push(Some(record));
            slot
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |&Slot(at): &Slot| {
            let record = slots[at as usize].as_ref();
            hasher.hash_one(record.expect("an indexed slot is in use").id)
        };
        self.by_id.insert_unique(hash, slot, hash_of);
        self.timed.insert(due, slot);
    }

    /// Changes the state and the lists that follow from it.
    pub(crate) fn set_state(&mut self, slot: Slot, now: Millis, state: State) {
        let record = self.slots[slot.0 as usize].as_mut().expect("a slot in use");
        if record.state.phase() == Phase::Timed {
            self.timed.remove(&(record.expires_at, record.id));
        }
        assert_ne!(record.state.phase(), Phase::Ended, "an ended hold stays ended");
        assert_ne!(state.phase(), Phase::Timed, "no hold goes back to held");
        record.state = state;
        if state.phase() == Phase::Ended {
            self.ended.push_back((now.after(HOLD_RETENTION_MS), slot));
        }
    }

    /// When the first held hold expires.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        let ((at, _), _) = self.timed.first_key_value()?;
        Some(*at)
    }

    /// The first hold to expire, if its time has come.
    pub(crate) fn first_due(&self, now: Millis) -> Option<Slot> {
        let ((at, _), slot) = self.timed.first_key_value()?;
        (*at <= now).then_some(*slot)
    }

    pub(crate) fn has_tombstone(&self, id: HoldId) -> bool {
        self.tombstones.contains(&id)
    }

    /// Sets a tombstone. The caller has looked for the id and for room.
    pub(crate) fn bury(&mut self, id: HoldId, now: Millis) {
        let new = self.tombstones.insert(id);
        debug_assert!(new, "one tombstone per id");
        self.tombstones_by_age.push_back((now.after(TOMBSTONE_MS), id));
    }

    /// Frees the slot of the hold that ended first, if it is old enough; says whether it did.
    pub(crate) fn sweep_hold(&mut self, now: Millis) -> bool {
        if !self.has_old_hold(now) {
            return false;
        }
        let (_, slot) = self.ended.pop_front().expect("just seen");
        let record = self.slots[slot.0 as usize].take().expect("a slot in use");
        let hash = self.hasher.hash_one(record.id);
        self.by_id.find_entry(hash, |&other| other == slot).expect("every slot in use is indexed").remove();
        self.free.push(slot);
        true
    }

    /// Removes the oldest tombstone, if it is old enough; says whether it did.
    pub(crate) fn sweep_tombstone(&mut self, now: Millis) -> bool {
        if !self.has_old_tombstone(now) {
            return false;
        }
        let (_, id) = self.tombstones_by_age.pop_front().expect("just seen");
        self.tombstones.remove(&id)
    }

    pub(crate) fn has_old_hold(&self, now: Millis) -> bool {
        self.ended.front().is_some_and(|&(until, _)| until <= now)
    }

    pub(crate) fn has_old_tombstone(&self, now: Millis) -> bool {
        let oldest = self.tombstones_by_age.front();
        oldest.is_some_and(|&(until, _)| until <= now)
    }

    /// Ended holds, oldest first, with the instant from which each may be forgotten.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (Millis, HoldId)> {
        self.ended.iter().map(|&(until, slot)| (until, self.record(slot).id))
    }

    /// Tombstones, oldest first, with the instant from which each may be forgotten.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (Millis, HoldId)> {
        self.tombstones_by_age.iter().copied()
    }

    /// Finds places lost to the slab, or the first hold that is not in exactly the lists its state asks for.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        let (places, used, free) = (self.slots.len(), self.by_id.len(), self.free.len());
        if places != used + free || used != self.iter().count() {
            return Err(Broken::Places { places, used, free });
        }
        let mut listed_to_end = vec![0_u32; self.slots.len()];
        for &(_, slot) in &self.ended {
            listed_to_end[slot.0 as usize] += 1;
        }
        let in_place = |record: &HoldRecord| {
            let Some(slot) = self.find(record.id) else {
                return false;
            };
            let timed = self.timed.get(&(record.expires_at, record.id)) == Some(&slot);
            let ended = listed_to_end[slot.0 as usize];
            match record.state.phase() {
                Phase::Timed => timed && ended == 0,
                Phase::Kept => !timed && ended == 0,
                Phase::Ended => !timed && ended == 1,
            }
        };
        let wrong = self.iter().find(|record| !in_place(record));
        wrong.map_or(Ok(()), |record| Err(Broken::Hold { id: record.id }))
    }
}

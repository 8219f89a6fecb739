//! The book of holds: every hold by id, by the time it expires, and, once it has ended, by the time it may be forgotten.
//!
//! Path: `insert` → live (`Record`, in one list of the wheel) → `end` → remembered (`Ended`, in a queue by kind of id) → `sweep`.
//! Tombstones stand in the same queues. One index leads from every known id to its record or its queue entry.
//! The book knows positions of rows but moves no units: `reserve` and `settle` do.
//! Bounds: the ledger asks `holds_max` and `tombstones_max` before it adds. Times never decrease from call to call, so each queue
//! is in order of the time up to which its entries are kept.

mod frozen;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::backorder::Backorders;
use crate::hash::IdHash;
use crate::id_index::IdIndex;
use crate::lines::{self, Blocks, HeldLine, Lines};
use crate::purchases::Purchases;
use crate::record::{End, Ended, Flags, INLINE_LINES, Record, State};
use crate::ring::Ring;
use crate::rows::RowIx;
use crate::save::Beside;
use crate::slab::Slab;
use crate::wheel::{Turn, Wheel};
use crate::{Broken, HOLD_RETENTION_MS, HoldId, HoldState, ID_SKEW_MS_MAX, IdKind, Limits, Millis, Room};

/// Place of a live hold. Reused once the hold has ended; never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// A remembered id: its queue, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    kind: IdKind,
    number: u32,
}

/// Where an id was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Live(Place),
    Ended(Memory),
}

/// Bits of the index's places that tell a record from an entry of either queue. Both together are never set.
const OPAQUE: u32 = 1 << 30;
const TIMED: u32 = 1 << 31;

impl Found {
    fn of_index(place: u32) -> Self {
        let number = place & !(OPAQUE | TIMED);
        match (place & OPAQUE != 0, place & TIMED != 0) {
            (false, false) => Self::Live(Place(place)),
            (true, _) => Self::Ended(Memory { kind: IdKind::Opaque, number }),
            (false, true) => Self::Ended(Memory { kind: IdKind::Timed, number }),
        }
    }

    fn in_index(self) -> u32 {
        match self {
            Self::Live(Place(place)) => place,
            Self::Ended(Memory { kind: IdKind::Opaque, number }) => number | OPAQUE,
            Self::Ended(Memory { kind: IdKind::Timed, number }) => number | TIMED,
        }
    }
}

/// Of a timed id: whether it is too old to be run.
pub(crate) fn too_old(id: HoldId, now: Millis, limits: &Limits) -> bool {
    id.time_part().0 + u64::from(limits.id_window_ms) < now.0
}

/// Units in doubt by row: looked up, never walked, so any order will do.
type UnitsByRow = HashMap<RowIx, u64, BuildHasherDefault<crate::hash::Fingerprint>>;

#[derive(Debug)]
pub(crate) struct HoldBook {
    pub(crate) records: Slab<Record>,
    blocks: Blocks,
    wheel: Wheel,
    index: IdIndex,
    hash: IdHash,
    /// Ended holds and tombstones with opaque ids.
    opaque: Ring<Ended>,
    /// The same with timed ids.
    timed: Ring<Ended>,
    tombstones: u32,
    in_doubt: u32,
    in_doubt_units: UnitsByRow,
    pub(crate) backorders: Backorders,
    pub(crate) purchases: Purchases,
    /// Of the snapshot that is under way.
    walk: Option<Box<frozen::HoldWalk>>,
}

impl HoldBook {
    pub(crate) fn new(seed: u64, clock: Millis) -> Self {
        Self {
            records: Slab::new(),
            blocks: Slab::new(),
            wheel: Wheel::new(clock),
            index: IdIndex::new(),
            hash: IdHash::new(seed),
            opaque: Ring::new(),
            timed: Ring::new(),
            tombstones: 0,
            in_doubt: 0,
            in_doubt_units: UnitsByRow::default(),
            backorders: Backorders::default(),
            purchases: Purchases::default(),
            walk: None,
        }
    }

    pub(crate) fn make_room(&mut self, room: &Room) {
        self.records.make_room(room.holds);
        self.timed.make_room(room.timed_remembered, Ended::BLANK);
        self.opaque.make_room(room.opaque_remembered, Ended::BLANK);
        self.index.make_room(room.holds.saturating_add(room.timed_remembered).saturating_add(room.opaque_remembered));
    }

    /// Live and remembered.
    pub(crate) fn len(&self) -> u32 {
        self.index.len() - self.tombstones
    }

    pub(crate) fn live(&self) -> u32 {
        self.records.len()
    }

    pub(crate) fn in_doubt(&self) -> u32 {
        self.in_doubt
    }

    pub(crate) fn tombstones(&self) -> u32 {
        self.tombstones
    }

    /// Bytes of records (with the wheel and the units in doubt), of blocks of lines, of the queues, of the index.
    pub(crate) fn bytes(&self) -> [usize; 4] {
        let in_doubt = self.in_doubt_units.capacity() * (size_of::<(RowIx, u64)>() + 1);
        let records = self.records.bytes() + self.wheel.bytes() + in_doubt;
        [records, self.blocks.bytes(), self.opaque.bytes() + self.timed.bytes(), self.index.bytes()]
    }

    pub(crate) fn find(&self, id: HoldId) -> Option<Found> {
        self.find_hashed(self.hash(id), id)
    }

    /// What stands for an id in the index, for those who ask more than once.
    #[inline]
    pub(crate) fn hash(&self, id: HoldId) -> u32 {
        self.hash.of(id)
    }

    /// Loads what a look-up of an id with this hash begins with, and waits for nothing.
    #[inline]
    pub(crate) fn warm(&self, hash: u32) {
        self.index.warm(hash);
    }

    /// Loads what a look-up of this id will end with, if it is known.
    pub(crate) fn warm_record(&self, id: HoldId) {
        let hash = self.hash.of(id);
        let first = self.index.find(hash, |_| true).map(Found::of_index); // by the hash alone: seldom another's
        match first {
            Some(Found::Live(place)) => drop(std::hint::black_box(self.record(place).ends())),
            Some(Found::Ended(memory)) => drop(std::hint::black_box(self.ended(memory).end)),
            None => {}
        }
    }

    #[inline]
    pub(crate) fn find_hashed(&self, hash: u32, id: HoldId) -> Option<Found> {
        let is_it = |place| match Found::of_index(place) {
            Found::Live(place) => self.record(place).id() == id,
            Found::Ended(memory) => self.ended(memory).id() == id,
        };
        self.index.find(hash, is_it).map(Found::of_index)
    }

    /// Where a hold is that has not ended.
    pub(crate) fn live_place(&self, id: HoldId) -> Option<Place> {
        match self.find(id)? {
            Found::Live(place) => Some(place),
            Found::Ended(_) => None,
        }
    }

    pub(crate) fn record(&self, place: Place) -> &Record {
        self.records.get(place.0)
    }

    pub(crate) fn ended(&self, memory: Memory) -> &Ended {
        self.queue(memory.kind).get(memory.number)
    }

    pub(crate) fn state(&self, id: HoldId) -> Option<HoldState> {
        Some(match self.find(id)? {
            Found::Live(place) => self.record(place).public_state(),
            Found::Ended(memory) => self.ended(memory).end.public(),
        })
    }

    /// In the order asked.
    pub(crate) fn lines(&self, place: Place) -> Lines {
        lines::of(&self.blocks, self.record(place))
    }

    /// Of an ended hold that was spilled.
    pub(crate) fn ended_lines(&self, memory: Memory) -> Option<Lines> {
        lines::of_ended(&self.blocks, self.ended(memory))
    }

    /// Records a new hold, in `State::Held`. The caller has looked for the id and for room. `plain` says that all that was asked
    /// was taken; `body` is asked for only if the lines do not fit the record.
    pub(crate) fn insert(&mut self, hash: u32, mut record: Record, held: &[HeldLine], plain: bool, body: impl FnOnce() -> u64) {
        lines::write(&mut self.blocks, &mut record, held, plain, body);
        if record.flags.has(Flags::UNSETTLED) {
            self.begin_doubt(held);
        }
        self.insert_plain(hash, record);
    }

    /// The same of a hold that is complete in its record and not in doubt.
    #[inline]
    pub(crate) fn insert_plain(&mut self, hash: u32, record: Record) {
        debug_assert_eq!(hash, self.hash(record.id()));
        debug_assert!(self.find(record.id()).is_none(), "one hold per id");
        let at = self.records.take(record);
        if let Some(walk) = &mut self.walk {
            walk.set_done(at);
        }
        self.wheel.insert(&mut self.records, at);
        self.index.insert(hash, Found::Live(Place(at)).in_index());
    }

    /// Pins or commits: the hold expires no more.
    pub(crate) fn keep(&mut self, place: Place, state: State) {
        let was = self.record(place).state;
        if was == State::Held {
            self.keep_leaving(place);
        } else {
            self.keep_old(place);
        }
        self.records.get_mut(place.0).state = state;
        if was == State::Held {
            self.wheel.remove(&mut self.records, place.0);
            self.wheel.keep(&mut self.records, place.0);
        }
    }

    /// Gives a held hold another expiry, `life_ms` after its making.
    pub(crate) fn extend(&mut self, place: Place, life_ms: u32) {
        self.keep_leaving(place);
        self.wheel.remove(&mut self.records, place.0);
        self.records.get_mut(place.0).life_ms = life_ms;
        self.wheel.insert(&mut self.records, place.0);
    }

    /// Gives a hold's lines other numbers: of a committed hold, what was committed and what came back.
    pub(crate) fn update_lines(&mut self, place: Place, held: &[HeldLine], body: impl FnOnce() -> u64) {
        self.keep_old(place);
        let record = self.records.get_mut(place.0);
        if record.flags.has(Flags::SPILLED) {
            lines::update(&mut self.blocks, record, held);
        } else {
            let head = lines::chain(&mut self.blocks, held);
            record.spill(head, body());
        }
    }

    /// Notes that a hold is committed by a list of lines.
    pub(crate) fn mark_in_part(&mut self, place: Place) {
        self.keep_old(place);
        self.records.get_mut(place.0).flags.set(Flags::IN_PART, true);
    }

    /// Ends the doubt about a hold, if there is any; says whether there was.
    pub(crate) fn settle(&mut self, place: Place) -> bool {
        if !self.record(place).flags.has(Flags::UNSETTLED) {
            return false;
        }
        self.keep_old(place);
        for line in self.lines(place) {
            if let Some(row) = line.row.filter(|_| line.taken > 0) {
                let units = self.in_doubt_units.get_mut(&row).expect("every unit in doubt is counted");
                *units -= u64::from(line.taken);
                if *units == 0 {
                    self.in_doubt_units.remove(&row);
                }
            }
        }
        self.in_doubt -= 1;
        self.records.get_mut(place.0).flags.set(Flags::UNSETTLED, false);
        true
    }

    fn begin_doubt(&mut self, held: &[HeldLine]) {
        self.in_doubt += 1;
        for line in held {
            if let Some(row) = line.row.filter(|_| line.taken > 0) {
                *self.in_doubt_units.entry(row).or_default() += u64::from(line.taken);
            }
        }
    }

    /// Units that holds in doubt have of a row.
    pub(crate) fn units_in_doubt(&self, row: RowIx) -> u64 {
        if self.in_doubt == 0 { 0 } else { self.in_doubt_units.get(&row).copied().unwrap_or(0) }
    }

    /// Ends a live hold: from here on its id is remembered, if a repeat could still be run, or if it was committed: whoever did not hear of
    /// that asks again, and the id of a hold that lived long is old by then.
    ///
    /// `body` is the fingerprint of what it asked, which only a hold that is not spilled is asked for.
    pub(crate) fn end(&mut self, place: Place, now: Millis, limits: &Limits, end: End, body: impl FnOnce() -> u64) {
        debug_assert!(!self.record(place).flags.has(Flags::UNSETTLED), "settled before it ends");
        self.keep_leaving(place);
        self.wheel.remove(&mut self.records, place.0);
        let record = self.records.get(place.0);
        let (id, kind, mut flags) = (record.id(), record.flags.kind(), record.flags);
        let spilled = flags.has(Flags::SPILLED);
        let hash = self.hash.of(id);
        let forgotten = kind == IdKind::Timed && too_old(id, now, limits) && matches!(end, End::Released | End::Expired);
        if flags.has(Flags::COUNTED) && (forgotten || end != End::Forgotten) {
            self.purchases.remove(id);
        }
        let record = self.records.get(place.0);
        if forgotten {
            if flags.has(Flags::BACKORDER) {
                self.backorders.forget(id);
            }
            if spilled {
                lines::free_chain(&mut self.blocks, record.rows[0]);
            }
            self.index.remove(hash, place.0);
            self.records.free(place.0);
            return;
        }
        let (remaining, body) = if spilled {
            let body = record.body();
            let held = lines::of(&self.blocks, record);
            // Spilled for its units alone, or for restocks: the answer fits the entry.
            let detailed = flags.has(Flags::PARTIAL) || flags.has(Flags::IN_PART) || flags.has(Flags::BACKORDER);
            if detailed || held.len() > INLINE_LINES {
                ([record.rows[0], 0, 0], body)
            } else {
                flags.set(Flags::SPILLED, false);
                lines::free_chain(&mut self.blocks, record.rows[0]);
                let mut remaining = [0; INLINE_LINES];
                remaining.iter_mut().zip(&held).for_each(|(slot, line)| *slot = line.remaining);
                (remaining, body)
            }
        } else {
            (record.remaining, body())
        };
        let ended = Ended::new(record, end, body, kept_until(kind, now, limits), flags, remaining);
        let number = self.queue_mut(kind).push(ended);
        self.index.replace(hash, place.0, Found::Ended(Memory { kind, number }).in_index());
        self.records.free(place.0);
    }

    /// The next hold that is due, as far as `moves` lead. See [`Wheel::turn`].
    pub(crate) fn turn(&mut self, now: Millis, moves: &mut usize) -> Option<Place> {
        let beside = Beside { blocks: &self.blocks, backorders: &self.backorders, purchases: &self.purchases };
        let walk = &mut self.walk;
        let moving = |records: &Slab<Record>, at| {
            if let Some(walk) = walk.as_mut() {
                walk.leave(records, beside, at);
            }
        };
        match self.wheel.turn(&mut self.records, now, moves, moving) {
            Turn::Due(at) => Some(Place(at)),
            Turn::OutOfMoves | Turn::Idle => None,
        }
    }

    /// Not later than the first expiry.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        self.wheel.soonest()
    }

    /// Is the hold live, or one that ended and may not be forgotten yet? What `sweep` has not come to is forgotten all the same.
    pub(crate) fn remembers(&self, id: HoldId, now: Millis) -> bool {
        match self.find(id) {
            Some(Found::Live(_)) => true,
            Some(Found::Ended(memory)) => self.ended(memory).until() > now,
            None => false,
        }
    }

    /// Sets a tombstone. The caller has looked for the id and for room.
    pub(crate) fn bury(&mut self, id: HoldId, kind: IdKind, now: Millis, limits: &Limits) {
        debug_assert!(self.find(id).is_none(), "one tombstone per id");
        let number = self.queue_mut(kind).push(Ended::tombstone(id, kind, kept_until(kind, now, limits)));
        self.index.insert(self.hash.of(id), Found::Ended(Memory { kind, number }).in_index());
        self.tombstones += 1;
    }

    pub(crate) fn has_old(&self, now: Millis) -> bool {
        [&self.opaque, &self.timed].into_iter().any(|queue| queue.first().is_some_and(|ended| ended.until() <= now))
    }

    /// Forgets the oldest id that may be forgotten, opaque ones first; says how it had ended.
    pub(crate) fn sweep_one(&mut self, now: Millis) -> Option<End> {
        let old = |queue: &Ring<Ended>| queue.first().is_some_and(|ended| ended.until() <= now);
        let kind = [IdKind::Opaque, IdKind::Timed].into_iter().find(|&kind| old(self.queue(kind)))?;
        let (number, ended) = self.queue_mut(kind).pop()?;
        self.keep_swept(&ended);
        self.index.remove(self.hash.of(ended.id()), Found::Ended(Memory { kind, number }).in_index());
        if ended.flags.has(Flags::SPILLED) {
            lines::free_chain(&mut self.blocks, ended.remaining[0]);
        }
        if ended.flags.has(Flags::BACKORDER) {
            self.backorders.forget(ended.id());
        }
        if ended.flags.has(Flags::COUNTED) {
            self.purchases.remove(ended.id());
        }
        if ended.is_tombstone() {
            self.tombstones -= 1;
        }
        Some(ended.end)
    }

    /// Live holds in an order that depends on history: for sums, and for lists that are sorted after.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Place> + '_ {
        self.records.iter().filter(|(_, record)| record.state != State::Free).map(|(at, _)| Place(at))
    }

    /// The wheel's clock: a part of the state, since it has a say in the order of expiries.
    pub(crate) fn clock(&self) -> Millis {
        self.wheel.clock()
    }

    /// Live holds in the order of the wheel's lists, each with its list's level and bound unless it does not expire.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (Option<(usize, Millis)>, Place)> + '_ {
        self.wheel.iter(&self.records).map(|(level, at)| (level, Place(at)))
    }

    /// Remembered holds and tombstones, opaque ids first, oldest first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = Memory> + '_ {
        let of = |kind: IdKind| self.queue(kind).iter().map(move |(number, _)| Memory { kind, number });
        of(IdKind::Opaque).chain(of(IdKind::Timed))
    }

    /// Whether a held hold may stand on that level of the wheel, in a list of that bound.
    pub(crate) fn fits(&self, due: Millis, level: usize, soonest: Millis) -> bool {
        self.wheel.fits(due, level, soonest)
    }

    /// Puts back a live hold of a snapshot, on its level of the wheel (in a list of that bound) or among those that do not expire.
    pub(crate) fn restore(&mut self, mut record: Record, held: &[HeldLine], plain: bool, body: u64, level: Option<(usize, Millis)>) {
        let hash = self.hash.of(record.id());
        lines::write(&mut self.blocks, &mut record, held, plain, || body);
        if record.flags.has(Flags::UNSETTLED) {
            self.begin_doubt(held);
        }
        let at = self.records.take(record);
        match level {
            Some((level, soonest)) => self.wheel.restore(&mut self.records, at, level, soonest),
            None => self.wheel.keep(&mut self.records, at),
        }
        self.index.insert(hash, Found::Live(Place(at)).in_index());
    }

    /// Puts back a remembered id of a snapshot.
    pub(crate) fn restore_ended(&mut self, saved: &crate::SavedEnd, flags: Flags, held: &[HeldLine]) {
        let mut remaining = [0; INLINE_LINES];
        if flags.has(Flags::SPILLED) {
            remaining[0] = lines::chain(&mut self.blocks, held);
        } else {
            remaining.iter_mut().zip(held).for_each(|(slot, line)| *slot = line.remaining);
        }
        let number = self.queue_mut(saved.kind).push(Ended::restored(saved, flags, remaining));
        self.tombstones += u32::from(saved.end == End::Tombstoned);
        self.index.insert(self.hash.of(saved.id), Found::Ended(Memory { kind: saved.kind, number }).in_index());
    }

    /// What a snapshot needs of a hold besides its record.
    pub(crate) fn beside(&self) -> Beside<'_> {
        Beside { blocks: &self.blocks, backorders: &self.backorders, purchases: &self.purchases }
    }

    fn queue(&self, kind: IdKind) -> &Ring<Ended> {
        match kind {
            IdKind::Opaque => &self.opaque,
            IdKind::Timed => &self.timed,
        }
    }

    fn queue_mut(&mut self, kind: IdKind) -> &mut Ring<Ended> {
        match kind {
            IdKind::Opaque => &mut self.opaque,
            IdKind::Timed => &mut self.timed,
        }
    }

    /// Finds places lost to a slab, or the first hold that is not in exactly the lists its state asks for.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        let used = self.iter().count();
        let known = used + self.opaque.len() as usize + self.timed.len() as usize;
        let places = self.records.check() && self.blocks.check() && used == self.records.len() as usize;
        if !places || !self.index.check() || known != self.index.len() as usize {
            return Err(Broken::Places { known, indexed: self.index.len() as usize, live: used });
        }
        let listed = self.wheel.check(&self.records).map_err(|at| Broken::Hold { id: self.records.get(at).id() })?;
        let lost = |place: &Place| self.find(self.record(*place).id()) != Some(Found::Live(*place));
        if let Some(place) = self.iter().find(lost) {
            return Err(Broken::Hold { id: self.record(place).id() });
        }
        let forgotten = |memory: &Memory| self.find(self.ended(*memory).id()) != Some(Found::Ended(*memory));
        if let Some(memory) = self.remembered().find(forgotten) {
            return Err(Broken::Hold { id: self.ended(memory).id() });
        }
        if listed as usize != used {
            return Err(Broken::Places { known: listed as usize, indexed: self.index.len() as usize, live: used });
        }
        let backordered = |flags: Flags, id| flags.has(Flags::BACKORDER) != self.backorders.of(id).is_empty();
        let records = self.iter().map(|place| (self.record(place).flags, self.record(place).id()));
        let ended = self.remembered().map(|memory| (self.ended(memory).flags, self.ended(memory).id()));
        if let Some((_, id)) = records.chain(ended).find(|&(flags, id)| !backordered(flags, id)) {
            return Err(Broken::Hold { id });
        }
        if !self.purchases.is_sound() {
            return Err(Broken::Purchases);
        }
        if !self.backorders.is_sound() {
            return Err(Broken::Backorders);
        }
        self.check_doubt()
    }

    fn check_doubt(&self) -> Result<(), Broken> {
        let unsettled = |place: &Place| self.record(*place).flags.has(Flags::UNSETTLED);
        let mut units = UnitsByRow::default();
        let mut holds = 0;
        for place in self.iter().filter(unsettled) {
            holds += 1;
            for line in self.lines(place) {
                if let Some(row) = line.row.filter(|_| line.taken > 0) {
                    *units.entry(row).or_default() += u64::from(line.taken);
                }
            }
            if !self.record(place).is_open() {
                return Err(Broken::Hold { id: self.record(place).id() });
            }
        }
        if holds != self.in_doubt || units != self.in_doubt_units {
            return Err(Broken::InDoubt { holds, counted: self.in_doubt });
        }
        Ok(())
    }
}

/// Until when an id that ends (or is released unseen) at `now` is remembered. Of a timed id: until it must be too old, since its time
/// part is at most the skew ahead of the instant at which it was accepted.
fn kept_until(kind: IdKind, now: Millis, limits: &Limits) -> Millis {
    match kind {
        IdKind::Opaque => now.after(HOLD_RETENTION_MS),
        IdKind::Timed => now.after(u64::from(limits.id_window_ms) + u64::from(ID_SKEW_MS_MAX) + 1),
    }
}

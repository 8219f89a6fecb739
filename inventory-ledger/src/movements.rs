//! Movements remembered, so that a repeated one gets its first outcome and moves nothing.
//!
//! Path: `find` before a movement is decided → `remember` after → `sweep` when it is old enough.
//! Bounds: the ledger asks `movements_kept_max` before it remembers. Times never decrease, so the window is a queue.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::frozen::{Allowance, Fifo, Next};
use crate::{
    Goods, GoodsBody, GoodsRefused, HoldId, Line, Location, MOVEMENT_WINDOW_MS, Millis, MoveRefused, Moved, MovementId, Reason,
    RestockRefused, Restocked, Sku, Unavailable, Units,
};

/// What a change of stock asked, whole: a repeat is compared field by field, not by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StockBody {
    /// Of [`open_row`](crate::Ledger::open_row).
    Open {
        /// What.
        sku: Sku,
        /// Where.
        location: Location,
        /// How many there are if there was no row.
        on_hand: Units,
    },
    /// Of [`adjust`](crate::Ledger::adjust).
    Adjust {
        /// What.
        sku: Sku,
        /// Where.
        location: Location,
        /// How many more or fewer.
        delta: i64,
        /// Why.
        reason: Reason,
    },
    /// Of [`set`](crate::Ledger::set).
    Set {
        /// What.
        sku: Sku,
        /// Where.
        location: Location,
        /// How many there are.
        on_hand: Units,
        /// How many its sender believed there were.
        expected: Option<Units>,
        /// Why.
        reason: Reason,
    },
    /// Of [`set_apart`](crate::Ledger::set_apart).
    SetApart(ApartBody),
    /// Of [`put_back`](crate::Ledger::put_back).
    PutBack(ApartBody),
    /// Of [`write_off`](crate::Ledger::write_off).
    WriteOff(ApartBody),
}

/// Units of one row that are not for sale, for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApartBody {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// Why they are not for sale.
    pub why: Unavailable,
    /// How many.
    pub units: Units,
}

/// What a restock asked, whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RestockBody {
    /// Whose units.
    pub hold: HoldId,
    /// `None` for all that is left.
    pub lines: Option<Box<[Line]>>,
}

/// What was asked and what was answered. All kinds share one space of ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// A change of what is on hand.
    Stock(StockBody, Result<Moved, MoveRefused>),
    /// Committed units that came back.
    Restock(RestockBody, Result<Restocked, RestockRefused>),
    /// Goods by the list.
    Goods(GoodsBody, Result<Goods, GoodsRefused>),
}

impl Act {
    /// How many lines it keeps.
    fn lines_len(&self) -> usize {
        match self {
            Self::Stock(..) => 0,
            Self::Restock(body, _) => body.lines.as_ref().map_or(0, |lines| lines.len()),
            Self::Goods(body, _) => match body {
                GoodsBody::Receive { lines, .. } | GoodsBody::Announce { lines, .. } | GoodsBody::Send { lines, .. } => lines.len(),
                GoodsBody::Arrive { lines, .. } => lines.as_ref().map_or(0, |lines| lines.len()),
                GoodsBody::Withdraw { .. } | GoodsBody::Recall { .. } => 0,
            },
        }
    }
}

/// One movement remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remembered {
    /// Which.
    pub id: MovementId,
    /// What was asked and answered.
    pub act: Act,
    /// When it may be forgotten.
    pub until: Millis,
}

/// The movements of the last [`MOVEMENT_WINDOW_MS`], and those not swept yet.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Oldest first. The movement with serial number `n` is at `n - first`.
    kept: VecDeque<Remembered>,
    /// Serial number of the oldest kept.
    first: u64,
    /// Serial numbers, found by the movement's id.
    by_id: HashTable<u64>,
    hasher: foldhash::fast::RandomState,
    /// Of the snapshot that is under way.
    walk: Option<Fifo<Remembered>>,
}

impl Window {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.kept.len()).expect("movements_kept_max is a u32")
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.kept.iter()
    }

    pub(crate) fn find(&self, id: MovementId) -> Option<&Remembered> {
        let same = |&serial: &u64| self.kept[self.position(serial)].id == id;
        let serial = self.by_id.find(self.hasher.hash_one(id), same)?;
        Some(&self.kept[self.position(*serial)])
    }

    /// Bytes of the queue and its index, without the lines of restocks and goods.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Remembered>() + self.by_id.allocation_size()
    }

    /// Keeps a movement. The caller has looked for the id and for room.
    pub(crate) fn remember(&mut self, now: Millis, id: MovementId, act: Act) {
        self.put(Remembered { id, act, until: now.after(MOVEMENT_WINDOW_MS) });
    }

    /// Puts back a movement of a snapshot, or a new one.
    pub(crate) fn put(&mut self, movement: Remembered) {
        let id = movement.id;
        debug_assert!(self.find(id).is_none(), "one movement per id");
        let serial = self.first + u64::from(self.len());
        self.kept.push_back(movement);
        let (kept, first, hasher) = (&self.kept, self.first, &self.hasher);
        let hash_of = |&serial: &u64| hasher.hash_one(kept[position(serial, first)].id);
        self.by_id.insert_unique(hasher.hash_one(id), serial, hash_of);
    }

    pub(crate) fn has_old(&self, now: Millis) -> bool {
        self.kept.front().is_some_and(|oldest| oldest.until <= now)
    }

    /// Forgets the oldest movement, if it is old enough; says whether it did.
    pub(crate) fn sweep_one(&mut self, now: Millis) -> bool {
        if !self.has_old(now) {
            return false;
        }
        let oldest = self.kept.pop_front().expect("just seen");
        let (hash, serial) = (self.hasher.hash_one(oldest.id), self.first);
        self.by_id.find_entry(hash, |&other| other == serial).expect("every movement kept is indexed").remove();
        self.first += 1;
        if let Some(walk) = &mut self.walk {
            walk.dropped(|| oldest);
        }
        true
    }

    pub(crate) fn freeze(&mut self) {
        self.walk = Some(Fifo::new(self.kept.len()));
    }

    pub(crate) fn thaw(&mut self) {
        self.walk = None;
    }

    /// Gives out movements as they were, oldest first; `true` if `left` ends it before its end.
    pub(crate) fn walk(&mut self, left: &mut Allowance, mut give: impl FnMut(Remembered)) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        while !left.is_over() {
            let movement = match walk.next() {
                Some(Next::Old(movement)) => movement,
                Some(Next::At(at)) => self.kept[at].clone(),
                None => {
                    self.walk = None;
                    return false;
                }
            };
            left.spend(movement.act.lines_len());
            give(movement);
        }
        true
    }

    /// Bytes of movements that were dropped before a snapshot came to them, without their lines.
    pub(crate) fn frozen_bytes(&self) -> usize {
        self.walk.as_ref().map_or(0, Fifo::bytes)
    }

    fn position(&self, serial: u64) -> usize {
        position(serial, self.first)
    }
}

fn position(serial: u64, first: u64) -> usize {
    usize::try_from(serial - first).expect("fewer movements are kept than fit in memory")
}

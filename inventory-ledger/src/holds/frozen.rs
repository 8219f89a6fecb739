//! The holds, live and remembered, as they were when a snapshot began.
//!
//! Live holds are given out in the order of the wheel's lists, which is part of the state: it decides who expires first within a
//! millisecond. Path: `HoldBook::freeze` → `walk`, list by list, from one member to the next.
//!
//! A list only grows at its end and loses members anywhere. So before the first member that came later, the members that a list has
//! are those of the start in their order, less those that left. Who leaves before its turn ([`HoldWalk::leave`]) is put aside, with
//! its record as it was, and hangs behind the neighbour before it (its own followers in tow), or behind the list's beginning, or, if it was
//! to be the next, at the front of what is given out next. A hold that changes where it is ([`HoldWalk::keep`]) has its old
//! record hung to itself. All of it is constant time, and which list a hold is in need not be known: the walk knows when it gets
//! there.
//!
//! A place that was given out, or that was taken by a hold that came later, is marked *done*: nothing about it is to be kept.
//! Remembered ids do not change until they are swept, oldest first ([`Fifo`]).

use smallvec::SmallVec;

use super::{HoldBook, Place};
use crate::frozen::{Allowance, Bits, Fifo, Marks, Next};
use crate::record::{Ended, Record};
use crate::ring::Ring;
use crate::rows::Table;
use crate::save::Beside;
use crate::slab::{Entry, NOWHERE, Slab};
use crate::wheel::{KEPT, LEAVES, Wheel, level_and_bound};
use crate::{Millis, Saved, SavedEnd, SavedHold, Stage};

/// How far the holds have been walked.
#[derive(Debug)]
pub(super) struct HoldWalk {
    /// Places that were in the slab at the start. Who is beyond came later.
    places: u32,
    /// Places that are done.
    done: Bits,
    /// Which anchor a place has.
    marks: Marks,
    anchors: Slab<Anchor>,
    /// Old forms, each in one chain or in one anchor.
    old: Slab<Old>,
    /// Of each list its bound at the start.
    bounds: Box<[Millis]>,
    /// Of each list that the walk has not come to, who left it from its beginning.
    firsts: Box<[Chain]>,
    /// The list being walked.
    list: usize,
    /// Old forms that come before the next member.
    due: Chain,
    /// The next member: one of the start. [`NOWHERE`] at the list's end.
    next: u32,
    opaque: Fifo<OldEnd>,
    timed: Fifo<OldEnd>,
}

/// What hangs to a live hold that is still to be given out.
#[derive(Debug)]
struct Anchor {
    /// Its own old form, or [`NOWHERE`]. Of a free anchor, the next free one.
    own: u32,
    /// Those that stood behind it.
    after: Chain,
}

/// Old forms in order.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u32,
    last: u32,
}

/// An old form, and who comes behind it in its chain. Of a free place, the next free one.
#[derive(Debug)]
struct Old {
    hold: OldHold,
    next: u32,
}

/// A hold before it changed.
#[derive(Debug)]
enum OldHold {
    /// All that there is to it is its record.
    Record(Record),
    /// Others: as they are saved, but for level and bound of their list.
    Saved(Box<SavedHold>),
}

/// A remembered id that was swept.
#[derive(Debug)]
pub(super) enum OldEnd {
    /// All that there is to it is its entry.
    Entry(Ended),
    Saved(Box<SavedEnd>),
}

const _: () =
    assert!(size_of::<Old>() <= 104 && size_of::<Anchor>() <= 12 && size_of::<OldEnd>() <= 56, "what `frozen` and the README say");

/// Holds that are looked at side by side, so that their cache misses overlap.
const SIDE_BY_SIDE: usize = 8;

const NOBODY: Chain = Chain { first: NOWHERE, last: NOWHERE };

impl Default for Anchor {
    fn default() -> Self {
        Self { own: NOWHERE, after: NOBODY }
    }
}

impl Default for Old {
    fn default() -> Self {
        Self { hold: OldHold::Record(Record::default()), next: NOWHERE }
    }
}

impl Entry for Anchor {
    fn set_free(&mut self, next: u32) {
        self.own = next;
    }

    fn next_free(&self) -> u32 {
        self.own
    }
}

impl Entry for Old {
    fn set_free(&mut self, next: u32) {
        self.next = next;
    }

    fn next_free(&self) -> u32 {
        self.next
    }
}

impl Chain {
    /// Appends another chain.
    fn append(&mut self, old: &mut Slab<Old>, other: Self) {
        if self.first == NOWHERE {
            *self = other;
        } else if other.first != NOWHERE {
            old.get_mut(self.last).next = other.first;
            self.last = other.last;
        }
    }

    /// Takes the first.
    fn pop(&mut self, old: &mut Slab<Old>) -> Option<OldHold> {
        if self.first == NOWHERE {
            return None;
        }
        let Old { hold, next } = old.remove(self.first);
        self.first = next;
        Some(hold)
    }
}

impl OldHold {
    fn of(record: &Record, beside: Beside<'_>) -> Self {
        if beside.is_whole(record.flags) {
            return Self::Record(record.clone());
        }
        Self::Saved(Box::new(beside.spilled_hold(record)))
    }
}

/// The next live hold.
#[derive(Debug)]
enum Due {
    Old(OldHold),
    Here(Place),
}

impl HoldWalk {
    fn new(book: &HoldBook) -> Self {
        let places = book.records.places();
        let bounds: Box<[Millis]> = book.wheel.bounds().collect();
        Self {
            places,
            done: Bits::new(places),
            marks: Marks::new(places),
            anchors: Slab::new(),
            old: Slab::new(),
            firsts: vec![NOBODY; bounds.len()].into_boxed_slice(),
            bounds,
            list: 0,
            due: NOBODY,
            next: book.wheel.head(0),
            opaque: Fifo::new(book.opaque.len() as usize),
            timed: Fifo::new(book.timed.len() as usize),
        }
    }

    fn is_done(&self, at: u32) -> bool {
        at >= self.places || self.done.has(at)
    }

    /// Nothing about this place is to be kept any more.
    pub(super) fn set_done(&mut self, at: u32) {
        if at < self.places {
            self.done.set(at);
        }
    }

    /// A hold is about to change, and stays where it is.
    pub(super) fn keep(&mut self, records: &Slab<Record>, beside: Beside<'_>, at: u32) {
        if self.is_done(at) {
            return;
        }
        let anchor = self.anchor_at(at);
        if self.anchors.get(anchor).own == NOWHERE {
            let own = self.old.take(Old { hold: OldHold::of(records.get(at), beside), next: NOWHERE });
            self.anchors.get_mut(anchor).own = own;
        }
    }

    /// A hold is about to leave the list that it is in.
    pub(super) fn leave(&mut self, records: &Slab<Record>, beside: Beside<'_>, at: u32) {
        if self.is_done(at) {
            return;
        }
        let Anchor { own, after } = self.take_anchor(at);
        let own = match own {
            NOWHERE => self.old.take(Old { hold: OldHold::of(records.get(at), beside), next: NOWHERE }),
            own => own,
        };
        self.set_done(at);
        let prev = records.get(at).prev;
        let behind = if at == self.next {
            self.next = self.following(records, at);
            &mut self.due
        } else if prev & LEAVES != 0 {
            &mut self.firsts[(prev ^ LEAVES) as usize]
        } else {
            let anchor = self.anchor_at(prev);
            &mut self.anchors.get_mut(anchor).after
        };
        behind.append(&mut self.old, Chain { first: own, last: own });
        behind.append(&mut self.old, after);
    }

    /// The member behind this one, if it was there at the start.
    fn following(&self, records: &Slab<Record>, at: u32) -> u32 {
        let next = records.get(at).next;
        if next & LEAVES != 0 || self.is_done(next) { NOWHERE } else { next }
    }

    /// The anchor of a hold, made if it has none.
    fn anchor_at(&mut self, at: u32) -> u32 {
        self.marks.get(at).unwrap_or_else(|| {
            let anchor = self.anchors.take(Anchor::default());
            self.marks.set(at, anchor);
            anchor
        })
    }

    fn take_anchor(&mut self, at: u32) -> Anchor {
        self.marks.take(at).map_or_else(Anchor::default, |anchor| self.anchors.remove(anchor))
    }

    fn next_live(&mut self, wheel: &Wheel, records: &Slab<Record>) -> Option<Due> {
        loop {
            if let Some(old) = self.due.pop(&mut self.old) {
                return Some(Due::Old(old));
            }
            let at = self.next;
            if at != NOWHERE {
                let Anchor { own, after } = self.take_anchor(at);
                self.set_done(at);
                self.next = self.following(records, at);
                self.due = after;
                return Some(if own == NOWHERE { Due::Here(Place(at)) } else { Due::Old(self.old.remove(own).hold) });
            }
            if self.list == KEPT {
                return None;
            }
            self.list += 1;
            self.due = std::mem::replace(&mut self.firsts[self.list], NOBODY);
            let head = wheel.head(self.list);
            self.next = if head == NOWHERE || self.is_done(head) { NOWHERE } else { head };
        }
    }

    /// Gives out live holds; `true` if `left` ends it before its end.
    fn live(&mut self, book: &HoldBook, rows: &Table, left: &mut Allowance, take: &mut impl FnMut(Saved)) -> bool {
        let mut few: SmallVec<[(usize, Due); SIDE_BY_SIDE]> = SmallVec::new();
        while !left.is_over() {
            while few.len() < left.items().min(SIDE_BY_SIDE)
                && let Some(due) = self.next_live(&book.wheel, &book.records)
            {
                few.push((self.list, due));
            }
            if few.is_empty() {
                return false;
            }
            for (_, due) in &few {
                match due {
                    Due::Here(place) => rows.warm_keys(book.record(*place)),
                    Due::Old(OldHold::Record(record)) => rows.warm_keys(record),
                    Due::Old(OldHold::Saved(_)) => {}
                }
            }
            for (list, due) in few.drain(..) {
                let level = level_and_bound(list, self.bounds[list]);
                let saved = match due {
                    Due::Here(place) => book.beside().any_hold(rows, level, book.record(place)),
                    Due::Old(OldHold::Record(record)) => book.beside().any_hold(rows, level, &record),
                    Due::Old(OldHold::Saved(mut saved)) => {
                        if let (Stage::Held { level, soonest }, Some((of_list, bound))) = (&mut saved.stage, level) {
                            (*level, *soonest) = (of_list as u8, bound);
                        }
                        *saved
                    }
                };
                left.spend(saved.lines.len());
                take(Saved::Hold(saved));
            }
        }
        true
    }
}

/// Gives out the ids of one queue; `true` if `left` ends it before its end.
fn ended(walk: &mut Fifo<OldEnd>, queue: &Ring<Ended>, beside: Beside<'_>, left: &mut Allowance, take: &mut impl FnMut(Saved)) -> bool {
    while !left.is_over() {
        let saved = match walk.next() {
            Some(Next::At(at)) => beside.end(queue.nth(at)),
            Some(Next::Old(OldEnd::Entry(ended))) => beside.end(&ended),
            Some(Next::Old(OldEnd::Saved(saved))) => *saved,
            None => return false,
        };
        left.spend(saved.lines.len());
        take(Saved::Ended(saved));
    }
    true
}

impl OldEnd {
    fn of(ended: &Ended, beside: Beside<'_>) -> Self {
        if beside.is_whole(ended.flags) { Self::Entry(*ended) } else { Self::Saved(Box::new(beside.end(ended))) }
    }
}

impl HoldBook {
    pub(crate) fn freeze(&mut self) {
        self.walk = Some(Box::new(HoldWalk::new(self)));
        self.purchases.limits.freeze();
    }

    pub(crate) fn thaw(&mut self) {
        self.walk = None;
        self.purchases.limits.thaw();
    }

    /// A live hold is about to change, and stays in its list: its record, its lines, or what it is owed or counts.
    #[inline]
    pub(crate) fn keep_old(&mut self, place: Place) {
        if let Some(walk) = &mut self.walk {
            let beside = Beside { blocks: &self.blocks, backorders: &self.backorders, purchases: &self.purchases };
            walk.keep(&self.records, beside, place.0);
        }
    }

    /// A live hold is about to leave its list.
    #[inline]
    pub(super) fn keep_leaving(&mut self, place: Place) {
        if let Some(walk) = &mut self.walk {
            let beside = Beside { blocks: &self.blocks, backorders: &self.backorders, purchases: &self.purchases };
            walk.leave(&self.records, beside, place.0);
        }
    }

    /// The oldest entry of a queue was taken out; what belongs to it is still there.
    #[inline]
    pub(super) fn keep_swept(&mut self, ended: &Ended) {
        if let Some(walk) = &mut self.walk {
            let beside = Beside { blocks: &self.blocks, backorders: &self.backorders, purchases: &self.purchases };
            let queue = match ended.flags.kind() {
                crate::IdKind::Opaque => &mut walk.opaque,
                crate::IdKind::Timed => &mut walk.timed,
            };
            queue.dropped(|| OldEnd::of(ended, beside));
        }
    }

    /// Gives out live holds and remembered ids as they were; `true` if `left` ends it before its end.
    pub(crate) fn walk(&mut self, rows: &Table, left: &mut Allowance, take: &mut impl FnMut(Saved)) -> bool {
        let Some(mut walk) = self.walk.take() else { return false };
        let more = walk.live(self, rows, left, take)
            || ended(&mut walk.opaque, &self.opaque, self.beside(), left, take)
            || ended(&mut walk.timed, &self.timed, self.beside(), left, take)
            || left.shrink(|| walk.old.shrink() || walk.anchors.shrink() || walk.marks.shrink());
        if more {
            self.walk = Some(walk);
        }
        more
    }

    /// Bytes of what is put aside.
    pub(crate) fn frozen_bytes(&self) -> usize {
        self.walk.as_ref().map_or(0, |walk| {
            let lists = walk.bounds.len() * (size_of::<Millis>() + size_of::<Chain>()) + walk.done.bytes();
            let live = walk.marks.bytes() + walk.anchors.bytes() + walk.old.bytes();
            lists + live + walk.opaque.bytes() + walk.timed.bytes()
        })
    }
}

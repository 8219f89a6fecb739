//! When holds expire: a hierarchical timing wheel whose lists run through the holds' own records.
//!
//! Path: `insert` puts a hold into the list of the coarsest digit in which its expiry differs from the wheel's clock → `turn`
//! moves the clock; a coarse list that the clock enters is dealt out to finer ones, hold by hold → the finest list is one
//! millisecond, and its holds are due in the order in which they came to it.
//!
//! Six levels of 256 lists cover the 48 bits of an instant. Insertion and removal take constant time; a hold of an hour is dealt
//! out at most three times. Each dealing and each ending is one bounded step, so neither a burst nor a leap of time stops the
//! caller; a wheel stopped half way is a state like another, kept by snapshots. The order of the due is a function of the
//! calls alone: by expiry, and within a millisecond by the wheel's lists.
//!
//! One more list has the holds that do not expire, in the order in which they were pinned or committed.
//! Source: hashed and hierarchical timing wheels (Varghese and Lauck, 1987), scheme 6, dealt out lazily.

use crate::Millis;
use crate::record::{Record, State};
use crate::slab::{NOWHERE, Slab};

const DIGIT_BITS: u32 = 8;
const DIGITS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = 6;
/// The list of those that do not expire, the last one.
pub(crate) const KEPT: usize = LEVELS * DIGITS;
/// Marks a link that leaves the list: it names the list instead of a neighbour.
pub(crate) const LEAVES: u32 = 1 << 31;

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    /// No member expires before it; the first to expire may be gone, then it is too early.
    soonest: u64,
}

const NOBODY: List = List { head: NOWHERE, tail: NOWHERE, soonest: u64::MAX };

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// This hold is due: end it, which takes it out of its list.
    Due(u32),
    /// The allowance of moves is used up, before it is known who is next.
    OutOfMoves,
    /// Nobody is due.
    Idle,
}

#[derive(Debug)]
pub(crate) struct Wheel {
    lists: Box<[List]>,
    /// Of each level, which lists have members.
    some: [[u64; DIGITS / 64]; LEVELS],
    /// Everything before it is done. Not after the ledger's time.
    clock: u64,
}

fn digit(at: u64, level: usize) -> usize {
    (at >> (DIGIT_BITS * level as u32)) as usize % DIGITS
}

/// What a snapshot says of the members of a list: its level and bound, unless they do not expire.
pub(crate) fn level_and_bound(list: usize, soonest: Millis) -> Option<(usize, Millis)> {
    (list != KEPT).then_some((list / DIGITS, soonest))
}

impl Wheel {
    pub(crate) fn new(clock: Millis) -> Self {
        Self { lists: vec![NOBODY; KEPT + 1].into_boxed_slice(), some: [[0; DIGITS / 64]; LEVELS], clock: clock.0 }
    }

    pub(crate) fn clock(&self) -> Millis {
        Millis(self.clock)
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.lists)
    }

    /// Lists a hold to expire. Its expiry is not before the clock.
    pub(crate) fn insert(&mut self, holds: &mut Slab<Record>, at: u32) {
        let due = holds.get(at).expires_at().0;
        self.insert_at(holds, at, self.level_of(due));
    }

    /// Lists a hold to expire as a snapshot tells: on a level not finer than its own, in a list whose first expiry was once
    /// `soonest`. The caller has asked [`Wheel::fits`].
    pub(crate) fn restore(&mut self, holds: &mut Slab<Record>, at: u32, level: usize, soonest: Millis) {
        self.insert_at(holds, at, level);
        let list = level * DIGITS + digit(soonest.0, level);
        self.lists[list].soonest = soonest.0;
    }

    /// Whether a hold may stand on that level, in a list of that bound: the same for all members of the list.
    pub(crate) fn fits(&self, due: Millis, level: usize, soonest: Millis) -> bool {
        if due.0 < self.clock || !(self.level_of(due.0)..LEVELS).contains(&level) {
            return false;
        }
        let list = &self.lists[level * DIGITS + digit(due.0, level)];
        let shift = DIGIT_BITS * level as u32;
        let within = soonest <= due && soonest.0 >> shift == due.0 >> shift;
        within && (list.head == NOWHERE || list.soonest == soonest.0)
    }

    fn insert_at(&mut self, holds: &mut Slab<Record>, at: u32, level: usize) {
        let due = holds.get(at).expires_at().0;
        debug_assert!(due >= self.clock && level >= self.level_of(due));
        let digit = digit(due, level);
        self.some[level][digit / 64] |= 1 << (digit % 64);
        let list = level * DIGITS + digit;
        self.lists[list].soonest = self.lists[list].soonest.min(due);
        self.push(holds, at, list);
    }

    /// Lists a hold that does not expire.
    pub(crate) fn keep(&mut self, holds: &mut Slab<Record>, at: u32) {
        self.push(holds, at, KEPT);
    }

    /// Takes a hold out of the list it is in.
    pub(crate) fn remove(&mut self, holds: &mut Slab<Record>, at: u32) {
        let Record { prev, next, .. } = *holds.get(at);
        if prev & LEAVES == 0 {
            holds.get_mut(prev).next = next;
        } else {
            self.lists[(prev ^ LEAVES) as usize].head = next;
        }
        if next & LEAVES == 0 {
            holds.get_mut(next).prev = prev;
        } else {
            self.lists[(next ^ LEAVES) as usize].tail = prev;
        }
        if prev & next & LEAVES != 0 {
            let list = (prev ^ LEAVES) as usize;
            self.lists[list] = NOBODY;
            if list != KEPT {
                self.some[list / DIGITS][list % DIGITS / 64] &= !(1 << (list % 64));
            }
        }
    }

    /// Moves the clock towards `now`, up to the next hold that is due. `moves` is what may still be dealt out; `moving` is told of each
    /// hold before it goes to another list.
    pub(crate) fn turn(
        &mut self,
        holds: &mut Slab<Record>,
        now: Millis,
        moves: &mut usize,
        mut moving: impl FnMut(&Slab<Record>, u32),
    ) -> Turn {
        loop {
            for level in (1..LEVELS).rev() {
                let list = level * DIGITS + digit(self.clock, level);
                while self.lists[list].head != NOWHERE {
                    if *moves == 0 {
                        return Turn::OutOfMoves;
                    }
                    *moves -= 1;
                    let first = self.lists[list].head;
                    moving(holds, first);
                    self.remove(holds, first);
                    self.insert(holds, first);
                }
            }
            let head = self.lists[digit(self.clock, 0)].head;
            if head != NOWHERE {
                return if self.clock <= now.0 { Turn::Due(head) } else { Turn::Idle };
            }
            match self.next_start() {
                Some(start) if start <= now.0 => self.clock = start,
                Some(_) | None => {
                    self.clock = self.clock.max(now.0);
                    return Turn::Idle;
                }
            }
        }
    }

    /// Not later than the first expiry, and just that unless its hold is gone; `None` if nobody expires.
    pub(crate) fn soonest(&self) -> Option<Millis> {
        // Lists that the clock is in are not dealt out yet: their members may belong before or after all others.
        let entered = (1..LEVELS).map(|level| self.lists[level * DIGITS + digit(self.clock, level)].soonest);
        // Of the rest, finer lists come before coarser ones.
        let next = |level: usize| {
            let from = digit(self.clock, level) + usize::from(level > 0);
            self.next_digit(level, from).map(|digit| self.lists[level * DIGITS + digit].soonest)
        };
        entered.chain((0..LEVELS).find_map(next)).min().filter(|&at| at != u64::MAX).map(Millis)
    }

    /// The level whose digit is the highest in which an instant differs from the clock.
    fn level_of(&self, due: u64) -> usize {
        let differing = (due ^ self.clock) | 1;
        (differing.ilog2() / DIGIT_BITS) as usize
    }

    /// Holds that expire, with their list's level and bound, in an order from which the same lists can be built again; then those
    /// that do not.
    pub(crate) fn iter<'a>(&'a self, holds: &'a Slab<Record>) -> impl Iterator<Item = (Option<(usize, Millis)>, u32)> + 'a {
        self.lists.iter().enumerate().flat_map(move |(list, ends)| {
            let level = level_and_bound(list, Millis(ends.soonest));
            let first = (ends.head != NOWHERE).then_some(ends.head);
            std::iter::successors(first, |&at| Some(holds.get(at).next).filter(|next| next & LEAVES == 0)).map(move |at| (level, at))
        })
    }

    /// The first hold of a list, or [`NOWHERE`].
    pub(crate) fn head(&self, list: usize) -> u32 {
        self.lists[list].head
    }

    /// Of each list, before which instant no member expires.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = Millis> + '_ {
        self.lists.iter().map(|list| Millis(list.soonest))
    }

    fn push(&mut self, holds: &mut Slab<Record>, at: u32, list: usize) {
        let ends = &mut self.lists[list];
        let leaves = list as u32 | LEAVES;
        let record = holds.get_mut(at);
        record.next = leaves;
        if ends.head == NOWHERE {
            record.prev = leaves;
            ends.head = at;
        } else {
            record.prev = ends.tail;
            holds.get_mut(ends.tail).next = at;
        }
        ends.tail = at;
    }

    /// When the clock next enters a list that has members.
    fn next_start(&self) -> Option<u64> {
        (0..LEVELS).find_map(|level| {
            let digit = self.next_digit(level, digit(self.clock, level) + 1)?;
            let shift = DIGIT_BITS * level as u32;
            let above = self.clock >> shift >> DIGIT_BITS << DIGIT_BITS;
            Some((above | digit as u64) << shift)
        })
    }

    /// The first list from `from` on that has members, of one level.
    fn next_digit(&self, level: usize, from: usize) -> Option<usize> {
        let words = &self.some[level];
        let first = from / 64;
        let head = words.get(first)? & (u64::MAX << (from % 64));
        let in_word = |(at, word): (usize, u64)| (word != 0).then(|| at * 64 + word.trailing_zeros() as usize);
        in_word((first, head)).or_else(|| (first + 1..words.len()).find_map(|at| in_word((at, words[at]))))
    }

    /// The first hold that is not in the list it must be in, if any; otherwise how many are listed.
    pub(crate) fn check(&self, holds: &Slab<Record>) -> Result<u32, u32> {
        let mut listed = 0;
        for (list, ends) in self.lists.iter().enumerate() {
            let leaves = list as u32 | LEAVES;
            let (mut prev, mut at) = (leaves, ends.head);
            while at != NOWHERE && at & LEAVES == 0 {
                let record = holds.get(at);
                let due = record.expires_at().0;
                let level = list / DIGITS;
                let right = if list == KEPT {
                    matches!(record.state, State::Pinned | State::Committed)
                } else {
                    let there = digit(due, level) == list % DIGITS && level >= self.level_of(due);
                    record.state == State::Held && due >= self.clock && due >= ends.soonest && there
                };
                if !right || record.prev != prev {
                    return Err(at);
                }
                listed += 1;
                (prev, at) = (at, record.next);
            }
            let closed = if ends.head == NOWHERE { ends.tail == NOWHERE } else { ends.tail == prev && at == leaves };
            let shown = list == KEPT || (self.some[list / DIGITS][list % DIGITS / 64] >> (list % 64) & 1 == 1) == (ends.head != NOWHERE);
            if !closed || !shown {
                return Err(if ends.head == NOWHERE { 0 } else { ends.head });
            }
        }
        Ok(listed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::{LEVELS, Turn, Wheel};
    use crate::record::{Flags, Record, State};
    use crate::slab::Slab;
    use crate::{HoldId, Millis, Owner, TIME_MAX};

    fn add(wheel: &mut Wheel, holds: &mut Slab<Record>, id: u128, now: u64, ttl_ms: u32) -> u32 {
        let life_ms = Millis(now).after(u64::from(ttl_ms)).0 - now;
        let at = holds.take(Record::new(HoldId(id), Owner(0), Millis(now), ttl_ms, life_ms as u32, Flags::default()));
        wheel.insert(holds, at);
        at
    }

    /// A wheel of the same lists, as a snapshot has them: other places, the same order.
    fn rebuilt(wheel: &Wheel, holds: &Slab<Record>) -> (Wheel, Slab<Record>) {
        let (mut again, mut records) = (Wheel::new(wheel.clock()), Slab::new());
        for (level, at) in wheel.iter(holds) {
            let (level, soonest) = level.expect("nobody is kept here");
            let record = holds.get(at).clone();
            assert!(again.fits(record.expires_at(), level, soonest));
            let at = records.take(record);
            again.restore(&mut records, at, level, soonest);
        }
        assert_eq!(again.check(&records), Ok(records.len()));
        (again, records)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32),
        /// Takes one of those listed out.
        Remove(prop::sample::Index),
        /// Time goes on, and so many due ones are ended, with so many moves.
        Turn(u64, usize, usize),
        Rebuild,
    }

    /// A number of any magnitude up to so many bits.
    fn magnitude(bits: u32) -> impl Strategy<Value = u64> {
        (0..=bits, any::<u64>()).prop_map(|(bits, random)| if bits == 0 { 0 } else { random >> (64 - bits) })
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => magnitude(32).prop_map(|ttl_ms| Step::Add(ttl_ms as u32)),
            2 => (0..4_u32).prop_map(Step::Add),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
            6 => (magnitude(47), 0..6_usize, 0..9_usize).prop_map(|(ms, ends, moves)| Step::Turn(ms, ends, moves)),
            1 => Just(Step::Rebuild),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

        /// Everybody is due at the expiry, in order of it, in steps of the size asked for; the bound is never late; and a wheel
        /// rebuilt at any moment goes on in the same order as one that was not.
        #[test]
        fn due_in_order(begin in magnitude(47), steps in prop::collection::vec(step(), 1..120)) {
            let mut now = begin;
            let (mut wheel, mut holds) = (Wheel::new(Millis(begin)), Slab::new());
            let (mut twin, mut twins) = (Wheel::new(Millis(begin)), Slab::new());
            let mut listed: Vec<(u64, u128)> = Vec::new(); // expiry and id, sorted
            let place = |holds: &Slab<Record>, id: u128| {
                let found = holds.iter().find(|(_, record)| record.state == State::Held && record.id() == HoldId(id));
                found.expect("it is listed").0
            };
            for (id, step) in (0..).zip(steps) {
                match step {
                    Step::Add(ttl_ms) => {
                        let at = add(&mut wheel, &mut holds, id, now, ttl_ms);
                        add(&mut twin, &mut twins, id, now, ttl_ms);
                        listed.push((holds.get(at).expires_at().0, id));
                        listed.sort_unstable();
                    }
                    Step::Remove(which) if !listed.is_empty() => {
                        let (_, id) = listed.remove(which.index(listed.len()));
                        for (wheel, holds) in [(&mut wheel, &mut holds), (&mut twin, &mut twins)] {
                            let at = place(holds, id);
                            wheel.remove(holds, at);
                            holds.free(at);
                        }
                    }
                    Step::Remove(_) => {}
                    Step::Turn(ms, ends, moves) => {
                        now = (now + ms).min(TIME_MAX.0);
                        let (mut left, mut twins_left) = (moves, moves);
                        for _ in 0..ends {
                            let turn = wheel.turn(&mut holds, Millis(now), &mut left, |_, _| ());
                            let twins_turn = twin.turn(&mut twins, Millis(now), &mut twins_left, |_, _| ());
                            prop_assert_eq!(left, twins_left);
                            let (Turn::Due(at), Turn::Due(twins_at)) = (turn, twins_turn) else {
                                prop_assert_eq!(turn, twins_turn);
                                if turn == Turn::Idle {
                                    prop_assert!(listed.first().is_none_or(|&(due, _)| due > now), "nobody due is passed over");
                                    prop_assert_eq!(wheel.clock(), Millis(now));
                                } else {
                                    prop_assert_eq!(left, 0);
                                }
                                break;
                            };
                            let (record, twins_record) = (holds.get(at), twins.get(twins_at));
                            prop_assert_eq!(record.id(), twins_record.id(), "the same order");
                            let (due, id) = (record.expires_at().0, record.id().0);
                            prop_assert!(due <= now && due == listed[0].0, "in order of expiry");
                            listed.remove(listed.iter().position(|&(_, other)| other == id).expect("it is listed"));
                            wheel.remove(&mut holds, at);
                            holds.free(at);
                            twin.remove(&mut twins, twins_at);
                            twins.free(twins_at);
                        }
                    }
                    Step::Rebuild => (twin, twins) = rebuilt(&wheel, &holds),
                }
                prop_assert_eq!(wheel.check(&holds), Ok(listed.len() as u32));
                prop_assert_eq!(twin.check(&twins), Ok(listed.len() as u32));
                prop_assert_eq!(wheel.soonest(), twin.soonest());
                match (wheel.soonest(), listed.first()) {
                    (Some(soonest), Some(&(due, _))) => prop_assert!(soonest.0 <= due),
                    (soonest, first) => prop_assert_eq!((soonest, first), (None, None)),
                }
            }
        }
    }

    #[test] // A list half dealt out says nothing of the others: what came after it may expire before it.
    fn the_bound_looks_past_a_list_half_dealt_out() {
        let (mut wheel, mut holds) = (Wheel::new(Millis(0)), Slab::new());
        add(&mut wheel, &mut holds, 1, 0, 65_536 + 1_000);
        assert_eq!(wheel.turn(&mut holds, Millis(65_536), &mut 0, |_, _| ()), Turn::OutOfMoves);
        let first = add(&mut wheel, &mut holds, 2, 65_536, 600);
        assert_eq!(wheel.soonest(), Some(Millis(65_536 + 600)));
        assert_eq!(wheel.turn(&mut holds, Millis(65_536 + 600), &mut 2, |_, _| ()), Turn::Due(first));
    }

    #[test] // A hold of each magnitude is dealt out at most once a level, whatever the clock's leaps.
    fn a_hold_moves_at_most_once_a_level() {
        for bits in 0..32 {
            let (mut wheel, mut holds) = (Wheel::new(Millis(0x00ff_ffff_fffe)), Slab::new());
            let at = add(&mut wheel, &mut holds, 1, 0x00ff_ffff_fffe, 1 << bits);
            let mut moves = usize::MAX;
            let due = holds.get(at).expires_at();
            assert_eq!(wheel.soonest(), Some(due), "alone it is known exactly");
            assert_eq!(wheel.turn(&mut holds, Millis(due.0 - 1), &mut moves, |_, _| ()), Turn::Idle);
            assert_eq!(wheel.turn(&mut holds, due, &mut moves, |_, _| ()), Turn::Due(at));
            assert!(usize::MAX - moves < LEVELS, "{} moves", usize::MAX - moves);
        }
    }
}

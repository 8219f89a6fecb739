//! Whether a short history of several threads is linearizable, by trying: independent of the argument in `ORDERINGS.md`.
//!
//! Path: a program for each thread ([`Program`], from a seed) → run on a shared ledger, each call with its answer and its interval
//! ([`Called`]) → [`explain`] looks for an order in which one thread alone would have got these answers, and which no interval forbids.
//! `Contended` has no place in that order and a rule of its own: somebody else's call on that row must overlap it.
//! The specification is the dullest there is: units by row, and holds that are open or not.
//!
//! Source: Wing and Gong, "Testing and verifying concurrent objects", 1993, with the memory of states seen by Lowe, "Testing for
//! linearizability", 2017.

use std::collections::{BTreeMap, BTreeSet};

use super::{Hold, ReserveRefused, SharedLedger, Stale, Writer};
use crate::{Line, Location, Sku, Units};

/// Rows of a history.
pub(super) const ROWS: usize = 2;
/// Holds that are open at its beginning: of row 0, and of both rows.
pub(super) const HOLDS: usize = 2;
const PLACE: Location = Location(1);

/// What a thread calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Units of each row; zero: not named. The second row is named first.
    Reserve([u32; ROWS]),
    Release(Which),
    Commit(Which),
    Receive(usize, u32),
}

/// A hold that a thread knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    /// One of those that were open at the beginning.
    Old(usize),
    /// The hold that this call of this thread made, if it made one.
    Made { thread: usize, call: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It did what it was asked; of a reservation of one row, what was left there.
    Done(Option<u32>),
    Stale,
    Short {
        row: usize,
        available: u32,
    },
    Contended {
        row: usize,
    },
    /// There was no hold to resolve.
    Nothing,
}

/// A call with its answer. Its place in time: nothing that begins after `end` can come before it, and no later call of its thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called {
    thread: usize,
    number: usize,
    call: Call,
    answer: Answer,
    pub(super) begin: u64,
    pub(super) end: u64,
}

#[cfg(not(loom))]
impl Called {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.answer, Answer::Short { .. })
    }

    pub(super) fn is_contended(&self) -> bool {
        matches!(self.answer, Answer::Contended { .. })
    }
}

/// Calls of one thread, in order.
pub(super) type Program = Vec<Call>;

/// xorshift64 (Marsaglia 2003).
pub(super) fn below(state: &mut u64, bound: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 20) % bound
}

pub(super) fn program(state: &mut u64, thread: usize, calls: usize) -> Program {
    let which = |state: &mut u64, number: usize| match below(state, 3) {
        0 if number > 0 => Which::Made { thread, call: below(state, number as u64) as usize },
        _ => Which::Old(below(state, HOLDS as u64) as usize),
    };
    let call = |number: usize| match below(state, 10) {
        0 | 1 => Call::Reserve([1, 1]),
        2 => Call::Reserve([1 + below(state, 2) as u32, 1]),
        3 | 4 => Call::Reserve([1, 0]),
        5 => Call::Reserve([0, 1]),
        6 | 7 => Call::Release(which(state, number)),
        8 => Call::Commit(which(state, number)),
        _ => Call::Receive(below(state, ROWS as u64) as usize, 1),
    };
    (0..calls).map(call).collect()
}

fn lines(units: [u32; ROWS]) -> Vec<Line> {
    let line = |row: usize| Line { sku: Sku(row as u128), location: PLACE, quantity: Units(units[row]) };
    (0..ROWS).rev().filter(|&row| units[row] > 0).map(line).collect()
}

/// A ledger with so many units beside those of its open holds.
pub(super) fn stocked(ledger: &SharedLedger, free: [u32; ROWS]) -> [Hold; HOLDS] {
    let mut writer = ledger.writer().expect("the first");
    for (sku, held) in [(0, 2), (1, 1)] {
        ledger.open_row(Sku(sku), PLACE).expect("there is room");
        writer.receive(Sku(sku), PLACE, Units(free[sku as usize] + held)).expect("there is room");
    }
    [[1, 0], [1, 1]].map(|units| writer.reserve(&lines(units)).expect("there are as many").hold)
}

/// Calls what the program says; `clock` gives increasing numbers.
pub(super) fn run(writer: &mut Writer, thread: usize, program: &Program, old: [Hold; HOLDS], clock: impl Fn() -> u64) -> Vec<Called> {
    let mut made: Vec<Option<Hold>> = Vec::new();
    let mut calls = Vec::with_capacity(program.len());
    for (number, &call) in program.iter().enumerate() {
        let handle = |which: Which| match which {
            Which::Old(at) => Some(old[at]),
            Which::Made { call, .. } => made[call],
        };
        let resolved = |done: Option<Result<(), Stale>>| match done {
            None => Answer::Nothing,
            Some(Ok(())) => Answer::Done(None),
            Some(Err(Stale)) => Answer::Stale,
        };
        let mut hold = None;
        let begin = clock();
        let answer = match call {
            Call::Reserve(units) => {
                let lines = lines(units);
                let row = |index: u16| lines[usize::from(index)].sku.0 as usize;
                match writer.reserve(&lines) {
                    Ok(reserved) => {
                        hold = Some(reserved.hold);
                        Answer::Done((lines.len() == 1).then(|| reserved.remaining[0].0))
                    }
                    Err(ReserveRefused::Short { index, available, .. }) => Answer::Short { row: row(index), available: available.0 },
                    Err(ReserveRefused::Contended { index }) => Answer::Contended { row: row(index) },
                    Err(refused @ (ReserveRefused::Malformed(_) | ReserveRefused::Full)) => panic!("{refused}"),
                }
            }
            Call::Release(which) => resolved(handle(which).map(|hold| writer.release(hold))),
            Call::Commit(which) => resolved(handle(which).map(|hold| writer.commit(hold))),
            Call::Receive(row, units) => {
                writer.receive(Sku(row as u128), PLACE, Units(units)).expect("there is room");
                Answer::Done(None)
            }
        };
        let end = clock();
        made.push(hold);
        calls.push(Called { thread, number, call, answer, begin, end });
    }
    calls
}

/// One thread's ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spec {
    free: [u32; ROWS],
    open: BTreeMap<Which, [u32; ROWS]>,
}

impl Spec {
    /// Does a call as if it were alone; says whether it answers the same.
    fn answers(&mut self, called: &Called) -> bool {
        match (called.call, called.answer) {
            (_, Answer::Nothing | Answer::Contended { .. }) => true,
            (Call::Reserve(units), Answer::Done(left)) => {
                if (0..ROWS).any(|row| units[row] > self.free[row]) {
                    return false;
                }
                (0..ROWS).for_each(|row| self.free[row] -= units[row]);
                self.open.insert(Which::Made { thread: called.thread, call: called.number }, units);
                // Units in the hands of the undecided are not in the row and still free here.
                left.is_none_or(|left| (0..ROWS).any(|row| units[row] > 0 && left <= self.free[row]))
            }
            (Call::Reserve(units), Answer::Short { row, available }) => available == self.free[row] && units[row] > available,
            (Call::Release(which), Answer::Done(_)) => match self.open.remove(&which) {
                Some(units) => {
                    (0..ROWS).for_each(|row| self.free[row] += units[row]);
                    true
                }
                None => false,
            },
            (Call::Commit(which), Answer::Done(_)) => self.open.remove(&which).is_some(),
            (Call::Release(which) | Call::Commit(which), Answer::Stale) => !self.open.contains_key(&which),
            (Call::Receive(row, units), Answer::Done(_)) => {
                self.free[row] += units;
                true
            }
            (Call::Receive(..), Answer::Stale | Answer::Short { .. })
            | (Call::Reserve(_), Answer::Stale)
            | (Call::Release(_) | Call::Commit(_), Answer::Short { .. }) => false,
        }
    }
}

/// Finds an order that explains all answers; says what is wrong if there is none. At most 32 calls.
pub(super) fn explain(free: [u32; ROWS], calls: &[Called]) -> Result<(), String> {
    let open = BTreeMap::from([(Which::Old(0), [1, 0]), (Which::Old(1), [1, 1])]);
    let mut seen = BTreeSet::new();
    if !place(calls, 0, &Spec { free, open }, &mut seen) {
        return Err(format!("no order explains, from {free:?} free, {calls:#?}"));
    }
    let rows_of = |called: &Called| match called.call {
        Call::Reserve(units) => units.map(|units| units > 0),
        // Of either row: a stale handle may be read as that of the next hold in its place.
        Call::Release(_) => [true; ROWS],
        Call::Commit(_) => [false; ROWS],
        Call::Receive(at, _) => std::array::from_fn(|row| row == at),
    };
    for one in calls {
        let Answer::Contended { row } = one.answer else { continue };
        let overlaps = |other: &&Called| other.thread != one.thread && other.begin < one.end && one.begin < other.end;
        if !calls.iter().filter(overlaps).any(|other| rows_of(other)[row]) {
            return Err(format!("nobody else was at row {row}: {one:?} among {calls:#?}"));
        }
    }
    Ok(())
}

/// Whether the calls that are not in `placed` can follow, in some order.
fn place(calls: &[Called], placed: u32, spec: &Spec, seen: &mut BTreeSet<(u32, Spec)>) -> bool {
    let left = || (0..calls.len()).filter(|at| placed >> at & 1 == 0);
    let Some(first_end) = left().map(|at| calls[at].end).min() else { return true };
    if !seen.insert((placed, spec.clone())) {
        return false;
    }
    let own_first = |at: usize| left().all(|other| calls[other].thread != calls[at].thread || calls[other].number >= calls[at].number);
    left().filter(|&at| calls[at].begin <= first_end && own_first(at)).any(|at| {
        let mut after = spec.clone();
        after.answers(&calls[at]) && place(calls, placed | 1 << at, &after, seen)
    })
}

/// The checker itself: it must refuse what cannot be.
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn called(thread: usize, number: usize, interval: [u64; 2], call: Call, answer: Answer) -> Called {
        Called { thread, number, call, answer, begin: interval[0], end: interval[1] }
    }

    #[test]
    fn orders_are_found_and_missed() {
        let take = |thread, interval| called(thread, 0, interval, Call::Reserve([1, 0]), Answer::Done(Some(0)));
        let short = |thread, interval| called(thread, 0, interval, Call::Reserve([1, 0]), Answer::Short { row: 0, available: 0 });
        let back = |thread, interval| called(thread, 1, interval, Call::Release(Which::Made { thread, call: 0 }), Answer::Done(None));
        let contended = |thread, interval| called(thread, 0, interval, Call::Reserve([1, 0]), Answer::Contended { row: 0 });
        let commit = |thread, interval| called(thread, 1, interval, Call::Commit(Which::Old(0)), Answer::Done(None));
        for (calls, explained) in [
            (vec![take(0, [0, 1]), short(1, [2, 3])], true),
            (vec![short(1, [0, 1]), take(0, [2, 3])], false), // it was there
            (vec![short(1, [0, 3]), take(0, [2, 4])], true),
            (vec![take(0, [0, 1]), take(1, [2, 3])], false), // sold twice
            (vec![take(0, [0, 1]), back(0, [2, 5]), short(1, [3, 4])], true),
            (vec![take(0, [0, 1]), back(0, [2, 3]), short(1, [4, 5])], false),
            (vec![take(0, [0, 1]), back(0, [2, 3]), take(1, [4, 5])], true),
            (vec![take(0, [0, 1]), contended(1, [2, 3])], false), // nobody else
            (vec![take(0, [0, 2]), contended(1, [1, 3])], true),
            (vec![commit(0, [0, 2]), contended(1, [1, 3])], false), // a commit has no part in it
            (vec![commit(0, [0, 1]), commit(1, [2, 3])], false),
        ] {
            assert_eq!(explain([1, 0], &calls).is_ok(), explained, "{calls:#?}");
        }
    }
}

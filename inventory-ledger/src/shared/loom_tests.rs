//! Every interleaving, and every value that weak memory lets a load return, of two threads on the shared ledger; three where
//! the argument needs three. `ORDERINGS.md` lists which test covers which ordering.
//!
//! Loom's tables are small (two or three rows, two lines a record, batches of one record) and so is what a thread does, for
//! the number of interleavings grows with every atomic operation. Where `PREEMPTIONS_MAX` is used, a thread is interrupted at
//! most that often per run; most known bugs of lock-free code need two (Musuvathi and Qadeer, 2007).

use super::holds::{Magazine, Slab};
use super::linear::{self, Call, Program, Which};
use super::{Capacity, Hold, MoveRefused, ReserveRefused, SharedLedger, Stale, Writer};
use crate::{Line, Location, Sku, Units};
use loom::thread;
use std::sync::Arc;

const PREEMPTIONS_MAX: usize = 3;

const PLACE: Location = Location(1);

fn every(run: impl Fn() + Sync + Send + 'static) {
    bounded(None, run);
}

fn bounded(preemptions_max: impl Into<Option<usize>>, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions_max.into();
    builder.max_branches = 10_000;
    builder.check(run);
}

/// A ledger with one row for each number, of that many units.
fn stocked(stock: &[u32]) -> SharedLedger {
    let ledger = SharedLedger::new(Capacity { rows_max: 3, records_max: 4 });
    let mut writer = writer(&ledger);
    for (sku, &units) in (0..).zip(stock) {
        assert_eq!(ledger.open_row(Sku(sku), PLACE), Ok(true));
        if units > 0 {
            assert_eq!(writer.receive(Sku(sku), PLACE, Units(units)), Ok(Units(units)));
        }
    }
    ledger
}

fn writer(ledger: &SharedLedger) -> Writer {
    ledger.writer().expect("fewer than WRITERS_MAX")
}

/// One unit of each of these rows.
fn reserve(writer: &mut Writer, rows: &[u128]) -> Result<Hold, ReserveRefused> {
    let lines: Vec<Line> = rows.iter().map(|&row| Line { sku: Sku(row), location: PLACE, quantity: Units(1) }).collect();
    writer.reserve(&lines).map(|reserved| reserved.hold)
}

fn is_short<T>(answer: &Result<T, ReserveRefused>) -> bool {
    matches!(answer, Err(ReserveRefused::Short { .. }))
}

/// Runs `first` beside `second`, each with a writer of its own.
fn beside<A: Send + 'static, B>(
    ledger: &SharedLedger,
    first: impl FnOnce(&mut Writer) -> A + Send + 'static,
    second: impl FnOnce(&mut Writer) -> B,
) -> (A, B) {
    let theirs = ledger.clone();
    let thread = thread::spawn(move || first(&mut writer(&theirs)));
    let second = second(&mut writer(ledger));
    (thread.join().expect("no panic"), second)
}

/// The last unit of a row goes to one of two, and the other is told so.
#[test]
fn the_last_unit_is_taken_once() {
    every(|| {
        let ledger = stocked(&[1]);
        let (one, other) = beside(&ledger, |writer| reserve(writer, &[0]), |writer| reserve(writer, &[0]));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        // A reservation of one row is never undecided, so there is nothing to contend with.
        assert!(is_short(&one) || is_short(&other));
        ledger.check().expect("the books agree");
    });
}

/// Both get one, and are told different remainders.
#[test]
fn remainders_are_exact() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[2]);
        let take = |writer: &mut Writer| {
            let line = Line { sku: Sku(0), location: PLACE, quantity: Units(1) };
            writer.reserve(&[line]).expect("there are two").remaining[0]
        };
        let (one, other) = beside(&ledger, take, take);
        assert_eq!([one.min(other), one.max(other)], [Units(0), Units(1)]);
        ledger.check().expect("the books agree");
    });
}

/// A reservation that must fail takes the only unit of its first row and puts it back. At no instant was that row sold out,
/// so whoever meets it may be told `Contended`, never `Short`.
#[test]
fn what_comes_back_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 0]);
        let (fails, meets) = beside(&ledger, |writer| reserve(writer, &[0, 1]), |writer| reserve(writer, &[0]));
        assert!(is_short(&fails) || matches!(fails, Err(ReserveRefused::Contended { .. })) && meets.is_ok(), "{fails:?}");
        assert!(!is_short(&meets), "{meets:?}");
        ledger.check().expect("the books agree");
    });
}

/// The same with the one that meets it between two that fail.
#[test]
fn what_comes_back_twice_is_no_shortage() {
    bounded(2, || {
        let ledger = stocked(&[1, 0]);
        let twice = |writer: &mut Writer| [reserve(writer, &[0, 1]), reserve(writer, &[0, 1])].map(|answer| assert!(answer.is_err()));
        let (_, meets) = beside(&ledger, twice, |writer| reserve(writer, &[0]));
        assert!(!is_short(&meets), "{meets:?}");
        ledger.check().expect("the books agree");
    });
}

/// The same when the slot has gone on to other rows by the time it is read.
#[test]
fn what_came_back_before_another_call_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 0, 1]);
        let two = |writer: &mut Writer| [reserve(writer, &[0, 1]), reserve(writer, &[1, 2])].map(|answer| assert!(answer.is_err()));
        let (_, meets) = beside(&ledger, two, |writer| reserve(writer, &[0]));
        assert!(!is_short(&meets), "{meets:?}");
        ledger.check().expect("the books agree");
    });
}

/// Two baskets over the same two rows, given in opposite orders, one unit each: one of them at most succeeds, and neither is
/// called short unless the other succeeded.
#[test]
fn a_basket_is_all_or_nothing() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 1]);
        let (one, other) = beside(&ledger, |writer| reserve(writer, &[0, 1]), |writer| reserve(writer, &[1, 0]));
        assert!(!(one.is_ok() && other.is_ok()));
        assert!(!is_short(&one) || other.is_ok(), "{one:?} {other:?}");
        assert!(!is_short(&other) || one.is_ok(), "{one:?} {other:?}");
        ledger.check().expect("the books agree");
    });
}

/// Part of a release is seen, so all of it happened: nothing else of that hold is called short.
#[test]
fn half_a_release_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 1]);
        let hold = reserve(&mut writer(&ledger), &[0, 1]).expect("there is one of each");
        let (released, (first, second)) = beside(
            &ledger,
            move |writer| writer.release(hold),
            |writer| {
                let first = reserve(writer, &[0]);
                (first, reserve(writer, &[1]))
            },
        );
        assert_eq!(released, Ok(()));
        assert!(first.is_err() || !is_short(&second), "{first:?} {second:?}");
        ledger.check().expect("the books agree");
    });
}

/// One thread learns from a refused commit that the hold was released; its units are then not short, though they may not be
/// back yet.
#[test]
fn a_release_that_is_known_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1]);
        let hold = reserve(&mut writer(&ledger), &[0]).expect("there is one");
        let (released, (committed, again)) = beside(
            &ledger,
            move |writer| writer.release(hold),
            |writer| {
                let committed = writer.commit(hold);
                (committed, reserve(writer, &[0]))
            },
        );
        assert!(released.is_ok() != committed.is_ok(), "one of them resolves it");
        assert!(committed.is_ok() || !is_short(&again), "{again:?}");
        ledger.check().expect("the books agree");
    });
}

/// The same when the releasing writer has gone on to other rows: its slot is read while it is used again.
#[test]
fn a_release_before_another_call_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 1, 1]);
        let hold = reserve(&mut writer(&ledger), &[0]).expect("there is one");
        let (_, (committed, again)) = beside(
            &ledger,
            move |writer| (writer.release(hold), reserve(writer, &[1, 2])),
            |writer| {
                let committed = writer.commit(hold);
                (committed, reserve(writer, &[0]))
            },
        );
        assert!(committed.is_ok() || !is_short(&again), "{again:?}");
        ledger.check().expect("the books agree");
    });
}

/// The same for units that a movement brings back.
#[test]
fn a_restock_that_is_known_is_no_shortage() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1]);
        let mut writer = writer(&ledger);
        let hold = reserve(&mut writer, &[0]).expect("there is one");
        writer.commit(hold).expect("it is open");
        drop(writer);
        let (restocked, (mine, again)) = beside(
            &ledger,
            |writer| writer.restock(Sku(0), PLACE, Units(1)),
            |writer| {
                let mine = writer.restock(Sku(0), PLACE, Units(1));
                (mine, reserve(writer, &[0]))
            },
        );
        assert!(restocked.is_ok() != mine.is_ok(), "one unit is restocked once");
        assert!(mine == Ok(Units(1)) || mine == Err(MoveRefused::Short { present: Units(0) }));
        assert!(!is_short(&again), "{again:?}");
        ledger.check().expect("the books agree");
    });
}

/// Each of two threads gives back a unit and then wants the other's. If both were short, each would have been first.
#[test]
fn two_shortages_do_not_contradict_each_other() {
    bounded(2, || {
        let ledger = stocked(&[1, 1]);
        let mut writer = writer(&ledger);
        let holds = [0, 1].map(|row| reserve(&mut writer, &[row]).expect("there is one of each"));
        drop(writer);
        let swap = |give: usize, want: u128| {
            move |writer: &mut Writer| {
                writer.release(holds[give]).expect("it is open");
                reserve(writer, &[want])
            }
        };
        let (one, other) = beside(&ledger, swap(0, 1), swap(1, 0));
        assert!(!(is_short(&one) && is_short(&other)), "{one:?} {other:?}");
        ledger.check().expect("the books agree");
    });
}

/// A commit and a release of one hold: one of them wins, and the units are where the winner puts them.
#[test]
fn a_hold_is_resolved_once() {
    every(|| {
        let ledger = stocked(&[1]);
        let hold = reserve(&mut writer(&ledger), &[0]).expect("there is one");
        let (committed, released) = beside(&ledger, move |writer| writer.commit(hold), |writer| writer.release(hold));
        assert!(committed.is_ok() != released.is_ok());
        let row = ledger.row(Sku(0), PLACE).expect("it was opened");
        let (left, gone) = (Units(u32::from(released.is_ok())), Units(u32::from(committed.is_ok())));
        assert_eq!((row.available, row.held, row.committed), (left, Units(0), gone));
        ledger.check().expect("the books agree");
    });
}

/// A handle outlives its hold, whose record is taken by another hold (of other rows, and more of them) while the old handle
/// is tried: it never resolves the new hold.
#[test]
fn a_record_taken_again_is_another_hold() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[1, 2]);
        let old = reserve(&mut writer(&ledger), &[0]).expect("there is one");
        let (new, late) = beside(
            &ledger,
            move |writer| {
                let released = writer.release(old);
                (released, reserve(writer, &[1]))
            },
            |writer| writer.commit(old),
        );
        let (released, new) = new;
        assert!(released.is_ok() != late.is_ok());
        let new = new.expect("row 1 has two");
        assert!(new != old);
        ledger.check().expect("the books agree");
        let mut writer = writer(&ledger);
        assert_eq!(writer.release(old), Err(Stale));
        assert_eq!(writer.release(new), Ok(()));
        ledger.check().expect("the books agree");
        assert_eq!(ledger.available(Sku(1), PLACE), Units(2));
    });
}

/// Lines are read by whoever resolves the hold, though the handle came over a channel that orders nothing.
#[test]
fn a_handle_alone_carries_the_lines() {
    use loom::sync::atomic::{AtomicU64, Ordering};
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[3, 2]);
        let channel = Arc::new(AtomicU64::new(u64::MAX));
        let theirs = Arc::clone(&channel);
        let (_, resolved) = beside(
            &ledger,
            move |writer| theirs.store(reserve(writer, &[0, 1]).expect("there is enough").to_bits(), Ordering::Relaxed),
            |writer| match channel.load(Ordering::Relaxed) {
                u64::MAX => false,
                // The handle may be known before the hold is.
                bits => writer.release(Hold::from_bits(bits)).is_ok(),
            },
        );
        ledger.check().expect("the books agree");
        assert_eq!(ledger.available(Sku(0), PLACE), Units(if resolved { 3 } else { 2 }));
    });
}

/// Records that one thread frees and another takes are in one place at a time, with a batch that leaves the pool and comes
/// back while another thread looks at it.
#[test]
fn a_record_is_taken_once() {
    every(|| {
        let slab = Arc::new(Slab::new(3));
        let mut magazine = Magazine::default();
        let [a, b] = [(); 2].map(|()| slab.take(&mut magazine).expect("there are three"));
        slab.free(&mut magazine, a);
        slab.free(&mut magazine, b);
        slab.give_up(&mut magazine); // two batches of one
        let other = {
            let slab = Arc::clone(&slab);
            thread::spawn(move || slab.take(&mut Magazine::default()))
        };
        let first = slab.take(&mut magazine).expect("two are in the pool");
        let second = slab.take(&mut magazine);
        slab.free(&mut magazine, first);
        slab.give_up(&mut magazine);
        let third = slab.take(&mut magazine).expect("one was just given up");
        let other = other.join().expect("no panic").expect("there are three records");
        assert!(third != other && second != Some(other) && second != Some(third), "{first} {second:?} {third} {other}");
    });
}

/// Fresh records are handed out once each, with their chunk made, and the bound holds.
#[test]
fn fresh_records_are_handed_out_once() {
    every(|| {
        let slab = Arc::new(Slab::new(3));
        let take = |slab: &Slab| {
            let mut magazine = Magazine::default();
            [slab.take(&mut magazine), slab.take(&mut magazine)]
        };
        let other = {
            let slab = Arc::clone(&slab);
            thread::spawn(move || take(&slab))
        };
        let mine = take(&slab);
        let theirs = other.join().expect("no panic");
        let mut all: Vec<u32> = mine.into_iter().chain(theirs).flatten().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

/// A row that is being opened is whole to whoever finds it, and units it has received are not overlooked by those who know of
/// them.
#[test]
fn a_row_is_found_whole() {
    bounded(PREEMPTIONS_MAX, || {
        let ledger = stocked(&[0]);
        let theirs = ledger.clone();
        let opener = thread::spawn(move || {
            assert_eq!(theirs.open_row(Sku(1), PLACE), Ok(true));
            writer(&theirs).receive(Sku(1), PLACE, Units(1)).expect("it was opened");
        });
        let answer = reserve(&mut writer(&ledger), &[1]);
        opener.join().expect("no panic");
        assert!(matches!(
            answer,
            Ok(_) | Err(ReserveRefused::Contended { .. } | ReserveRefused::Short { index: 0, available: Units(0), .. })
        ));
        ledger.check().expect("the books agree");
        assert_eq!(ledger.open_row(Sku(1), PLACE), Ok(false));
    });
}

/// Two writers get two slots.
#[test]
fn a_slot_has_one_writer() {
    every(|| {
        let ledger = SharedLedger::new(Capacity { rows_max: 1, records_max: 1 });
        let theirs = ledger.clone();
        let other = thread::spawn(move || theirs.writer().map(|writer| (writer.slot, writer)));
        let mine = ledger.writer().expect("there are three slots");
        let (slot, _writer) = other.join().expect("no panic").expect("there are three slots");
        assert_ne!(slot, mine.slot);
        assert!(ledger.writer().is_some() && ledger.writer().is_some(), "the third, twice");
    });
}

/// Runs two programs side by side in every way, and looks for an order that explains the answers. `timed`: the calls have their places in
/// time, by a clock that orders what it tells (and so hides orderings that are too weak); else only their threads' order counts.
fn explained(free: [u32; linear::ROWS], programs: [Program; 2], timed: bool) {
    use loom::sync::atomic::{AtomicU64, Ordering};
    bounded(2, move || {
        let ledger = SharedLedger::new(Capacity { rows_max: 2, records_max: 8 });
        let old = linear::stocked(&ledger, free);
        let clock = Arc::new(AtomicU64::new(0));
        let run = |thread: usize| {
            let (clock, program) = (Arc::clone(&clock), programs[thread].clone());
            move |writer: &mut Writer| {
                let tick = || if timed { clock.fetch_add(1, Ordering::AcqRel) } else { 0 };
                let mut calls = linear::run(writer, thread, &program, old, tick);
                if !timed {
                    calls.iter_mut().for_each(|called| called.end = u64::MAX);
                }
                calls
            }
        };
        let (mut calls, others) = beside(&ledger, run(0), run(1));
        calls.extend(others);
        linear::explain(free, &calls).unwrap_or_else(|wrong| panic!("{wrong}"));
        ledger.check().expect("the books agree");
    });
}

/// Programs of two calls each, of every kind, that meet on the same rows.
#[test]
fn programs_have_an_order() {
    let (both, first, second) = (Call::Reserve([1, 1]), Call::Reserve([1, 0]), Call::Reserve([0, 1]));
    let release = |at: usize| Call::Release(Which::Old(at));
    for (free, one, other) in [
        ([1, 0], [both, first], [Call::Receive(1, 1), both]),
        ([1, 1], [both, Call::Release(Which::Made { thread: 0, call: 0 })], [first, second]),
        ([0, 0], [release(1), both], [second, first]),
        ([0, 0], [release(1), release(0)], [both, first]),
        ([0, 0], [release(1), second], [Call::Commit(Which::Old(1)), second]),
        ([0, 0], [release(0), second], [release(1), first]),
        ([1, 1], [both, release(1)], [both, release(0)]),
    ] {
        for timed in [false, true] {
            explained(free, [one.to_vec(), other.to_vec()], timed);
        }
    }
}

/// Programs that nobody chose.
#[test]
fn random_programs_have_an_order() {
    let mut state = 0x5eed;
    for _ in 0..8 {
        let free = [0, 1].map(|_| linear::below(&mut state, 2) as u32);
        let programs = [0, 1].map(|thread| linear::program(&mut state, thread, 2));
        explained(free, programs.clone(), false);
        explained(free, programs, true);
    }
}

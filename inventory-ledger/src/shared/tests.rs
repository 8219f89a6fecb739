//! One thread against a dull model, and many threads against what must hold whatever they do.
//!
//! The many: units are conserved, no row is oversold, each hold is resolved once, refusals of `Short` are true where that can
//! be known. What can be told only by walking interleavings is in `loom_tests`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::linear::{self, Called, Program};
use super::{Broken, Capacity, Hold, MoveRefused, OpenRefused, ReserveRefused, SharedLedger, Stale, WRITERS_MAX, Writer};
use crate::{BadLines, LINES_MAX, Line, Location, Sku, UNITS_MAX, Units};

const PLACE: Location = Location(1);

fn line(sku: u128, units: u32) -> Line {
    Line { sku: Sku(sku), location: PLACE, quantity: Units(units) }
}

fn stocked(rows: u128, units: u32) -> SharedLedger {
    let ledger = SharedLedger::new(Capacity { rows_max: 1 << 16, records_max: 1 << 16 });
    let mut writer = ledger.writer().expect("the first");
    for sku in 0..rows {
        assert_eq!(ledger.open_row(Sku(sku), PLACE), Ok(true));
        writer.receive(Sku(sku), PLACE, Units(units)).expect("an empty row has room");
    }
    ledger
}

fn columns(ledger: &SharedLedger, sku: u128) -> [u32; 4] {
    let row = ledger.row(Sku(sku), PLACE).expect("it was opened");
    [row.available, row.held, row.committed, row.unavailable].map(|units| units.0)
}

#[test]
fn lines_of_one_row_are_summed() {
    let ledger = stocked(2, 5);
    let mut writer = ledger.writer().expect("one of few");
    let reserved = writer.reserve(&[line(1, 2), line(0, 1), line(1, 3)]).expect("there are five of each");
    assert_eq!(reserved.remaining[..], [Units(0), Units(4), Units(0)]);
    let refused = writer.reserve(&[line(0, 1), line(1, u32::MAX), line(1, 2)]);
    assert_eq!(refused, Err(ReserveRefused::Short { index: 1, requested: Units(u32::MAX), available: Units(0) }));
    assert_eq!((columns(&ledger, 0), columns(&ledger, 1)), ([4, 1, 0, 0], [0, 5, 0, 0]));
    assert_eq!(ledger.check(), Ok(()));
}

#[test]
fn baskets_that_are_none() {
    let ledger = stocked(1, 5);
    let mut writer = ledger.writer().expect("one of few");
    let mut refused = |lines: &[Line]| writer.reserve(lines).expect_err("no basket");
    assert_eq!(refused(&[]), BadLines::Empty.into());
    assert_eq!(refused(&[line(0, 1), line(0, 0)]), BadLines::ZeroQuantity { index: 1 }.into());
    assert_eq!(refused(&[line(0, 1); LINES_MAX + 1]), BadLines::TooMany { len: LINES_MAX + 1 }.into());
    let unknown = refused(&[line(0, 1), line(7, 2), line(7, 3)]);
    assert_eq!(unknown, ReserveRefused::Short { index: 1, requested: Units(5), available: Units(0) });
    assert_eq!(columns(&ledger, 0), [5, 0, 0, 0]);
}

#[test]
fn the_longest_basket_goes_through_all_records() {
    let ledger = stocked(LINES_MAX as u128, 3);
    let lines: Vec<Line> = (0..LINES_MAX as u128).rev().map(|sku| line(sku, 1 + (sku % 3) as u32)).collect();
    let mut writer = ledger.writer().expect("one of few");
    for _ in 0..3 {
        let reserved = writer.reserve(&lines).expect("there are three of each");
        for (line, left) in lines.iter().zip(reserved.remaining) {
            assert_eq!(left.0, 3 - line.quantity.0);
        }
        assert_eq!(ledger.check(), Ok(()));
        writer.release(reserved.hold).expect("it is open");
    }
    let hold = writer.reserve(&lines).expect("all are back").hold;
    writer.commit(hold).expect("it is open");
    assert!((0..LINES_MAX as u128).all(|sku| columns(&ledger, sku)[2] == 1 + (sku % 3) as u32));
    assert_eq!(ledger.check(), Ok(()));
}

#[test]
fn every_bound_refuses() {
    let ledger = SharedLedger::new(Capacity { rows_max: 2, records_max: 2 });
    let mut writers: Vec<Writer> = (0..WRITERS_MAX).map(|_| ledger.writer().expect("within the bound")).collect();
    assert!(ledger.writer().is_none());
    writers.truncate(1);
    let mut writer = writers.remove(0);

    assert_eq!([0, 1, 0].map(|sku| ledger.open_row(Sku(sku), PLACE)), [Ok(true), Ok(true), Ok(false)]);
    assert_eq!(ledger.open_row(Sku(2), PLACE), Err(OpenRefused::Full));
    assert_eq!(ledger.rows(), 2);

    assert_eq!(writer.receive(Sku(0), PLACE, UNITS_MAX), Ok(UNITS_MAX));
    assert_eq!(writer.receive(Sku(0), PLACE, Units(1)), Err(MoveRefused::Overflow { on_hand: UNITS_MAX }));
    assert_eq!(writer.receive(Sku(2), PLACE, Units(1)), Err(MoveRefused::UnknownRow));

    let holds: Vec<Hold> = (0..2).map(|_| writer.reserve(&[line(0, 1)]).expect("two records").hold).collect();
    assert_eq!(writer.reserve(&[line(0, 1)]), Err(ReserveRefused::Full));
    writer.release(holds[0]).expect("it is open");
    writer.reserve(&[line(0, 1)]).expect("a record is free again");
    assert_eq!(ledger.check(), Ok(()));
}

/// Records freed by a writer that takes none reach the one that frees none; the slab does not grow past what is open.
#[test]
fn free_records_come_round() {
    let ledger = SharedLedger::new(Capacity { rows_max: 1, records_max: 1_000 });
    ledger.open_row(Sku(0), PLACE).expect("there is room");
    let [mut takes, mut frees] = [(); 2].map(|()| ledger.writer().expect("one of few"));
    takes.receive(Sku(0), PLACE, Units(10)).expect("there is room");
    for _ in 0..10_000 {
        let hold = takes.reserve(&[line(0, 1)]).expect("the records come back").hold;
        frees.release(hold).expect("it is open");
    }
    drop((takes, frees));
    let mut all = ledger.writer().expect("one of few");
    all.receive(Sku(0), PLACE, Units(1_000)).expect("there is room");
    assert_eq!((0..2_000).filter(|_| all.reserve(&[line(0, 1)]).is_ok()).count(), 1_000, "dropped writers keep no record");
}

#[test]
fn handles_that_are_none() {
    let ledger = stocked(1, 5);
    let mut writer = ledger.writer().expect("one of few");
    let hold = writer.reserve(&[line(0, 1)]).expect("there are five").hold;
    assert_eq!(Hold::from_bits(hold.to_bits()), hold);
    for bits in [u64::MAX, hold.to_bits() + 1, hold.to_bits() ^ 1 << 32, 1 << 31, 0x3fff] {
        assert_eq!(writer.commit(Hold::from_bits(bits)), Err(Stale), "{bits:x}");
        assert_eq!(writer.release(Hold::from_bits(bits)), Err(Stale), "{bits:x}");
    }
    assert_eq!(writer.commit(hold), Ok(()));
    assert_eq!((writer.commit(hold), writer.release(hold)), (Err(Stale), Err(Stale)));
    assert_eq!(columns(&ledger, 0), [4, 0, 1, 0]);
}

/// What `check` finds, made wrong on purpose.
#[test]
fn check_names_what_is_wrong() {
    let ledger = stocked(3, 5);
    let mut writer = ledger.writer().expect("one of few");
    writer.reserve(&[line(1, 2)]).expect("there are five");
    ledger.inner.rows.get(1).put(Units(1)); // from nowhere
    let wrong = Broken::Row { sku: Sku(1), location: PLACE, on_hand: 5, available: 4, held: 2, committed: 0, unavailable: 0 };
    assert_eq!(ledger.check(), Err(wrong));
    ledger.inner.rows.get(1).take(Units(1), None).expect("put there just above");
    assert_eq!(ledger.check(), Ok(()));
    ledger.inner.registry.publish(writer.slot, std::iter::once(0));
    assert_eq!(ledger.check(), Err(Broken::Busy { writer: writer.slot }));
    ledger.inner.registry.clear(writer.slot);
    ledger.inner.rows.push(|_| ()).expect("there is room"); // and not into the index
    assert_eq!(ledger.check(), Err(Broken::Index));
}

#[test]
fn a_row_and_a_record_are_cache_lines() {
    assert_eq!((size_of::<super::SharedRow>(), align_of::<super::SharedRow>()), (64, 64));
    assert_eq!(super::holds::RECORD_BYTES, 64);
}

// ---- one thread and the dull model ----

#[derive(Clone, Debug)]
enum Op {
    Reserve(Vec<(u8, u8)>),
    Commit(u8),
    Release(u8),
    Receive(u8, u32),
    WriteOff(u8, u8),
    SetApart(u8, u8),
    PutBack(u8, u8),
    Restock(u8, u8),
    Ship(u8, u8),
}

const MODEL_ROWS: u8 = 5;

fn op() -> impl Strategy<Value = Op> {
    let one = || (0..=MODEL_ROWS, 0..8_u8); // one row more than there is
    prop_oneof![
        4 => vec((0..=MODEL_ROWS, 1..4_u8), 1..10).prop_map(Op::Reserve),
        2 => any::<u8>().prop_map(Op::Commit),
        3 => any::<u8>().prop_map(Op::Release),
        3 => (0..=MODEL_ROWS, prop_oneof![0..9_u32, Just(UNITS_MAX.0 - 4)]).prop_map(|(row, units)| Op::Receive(row, units)),
        1 => one().prop_map(|(row, units)| Op::WriteOff(row, units)),
        1 => one().prop_map(|(row, units)| Op::SetApart(row, units)),
        1 => one().prop_map(|(row, units)| Op::PutBack(row, units)),
        1 => one().prop_map(|(row, units)| Op::Restock(row, units)),
        1 => one().prop_map(|(row, units)| Op::Ship(row, units)),
    ]
}

/// The dullest ledger that is right: four numbers a row, and a map of holds.
#[derive(Default)]
struct Model {
    rows: BTreeMap<u8, [u32; 4]>,
    holds: BTreeMap<usize, BTreeMap<u8, u32>>,
}

const AVAILABLE: usize = 0;
const HELD: usize = 1;
const COMMITTED: usize = 2;
const UNAVAILABLE: usize = 3;

impl Model {
    fn reserve(&mut self, id: usize, lines: &[(u8, u8)]) -> Result<Vec<Units>, ReserveRefused> {
        let mut wanted = BTreeMap::<u8, u32>::new();
        lines.iter().for_each(|&(row, units)| *wanted.entry(row).or_default() += u32::from(units));
        // Unknown rows are met while the lines are read, short ones in the order of rows.
        let unknown = lines.iter().map(|(row, _)| row).find(|row| !self.rows.contains_key(row));
        let short = unknown.or_else(|| wanted.keys().find(|row| self.rows[row][AVAILABLE] < wanted[row]));
        if let Some(row) = short {
            return Err(ReserveRefused::Short {
                index: lines.iter().position(|line| line.0 == *row).expect("it was wanted") as u16,
                requested: Units(wanted[row]),
                available: Units(self.rows.get(row).map_or(0, |columns| columns[AVAILABLE])),
            });
        }
        for (row, units) in &wanted {
            let columns = self.rows.get_mut(row).expect("no row is unknown");
            columns[AVAILABLE] -= units;
            columns[HELD] += units;
        }
        self.holds.insert(id, wanted);
        Ok(lines.iter().map(|(row, _)| Units(self.rows[row][AVAILABLE])).collect())
    }

    fn resolve(&mut self, id: usize, to: usize) -> Result<(), Stale> {
        for (row, units) in self.holds.remove(&id).ok_or(Stale)? {
            let columns = self.rows.get_mut(&row).expect("rows stay");
            columns[HELD] -= units;
            columns[to] += units;
        }
        Ok(())
    }

    fn receive(&mut self, row: u8, units: u32) -> Result<Units, MoveRefused> {
        let columns = self.rows.get_mut(&row).ok_or(MoveRefused::UnknownRow)?;
        let on_hand: u32 = columns.iter().sum();
        if on_hand + units > UNITS_MAX.0 {
            return Err(MoveRefused::Overflow { on_hand: Units(on_hand) });
        }
        columns[AVAILABLE] += units;
        Ok(Units(columns[AVAILABLE]))
    }

    fn shift(&mut self, row: u8, units: u8, from: usize, to: Option<usize>) -> Result<Units, MoveRefused> {
        let columns = self.rows.get_mut(&row).ok_or(MoveRefused::UnknownRow)?;
        let left = columns[from].checked_sub(u32::from(units)).ok_or(MoveRefused::Short { present: Units(columns[from]) })?;
        columns[from] = left;
        if let Some(to) = to {
            columns[to] += u32::from(units);
        }
        Ok(Units(if to == Some(AVAILABLE) { columns[AVAILABLE] } else { left }))
    }
}

proptest! {
    #[test]
    fn one_thread_agrees_with_the_model(ops in vec(op(), 0..150)) {
        let ledger = SharedLedger::new(Capacity { rows_max: 8, records_max: 1_000 });
        let mut model = Model::default();
        for row in 0..MODEL_ROWS {
            ledger.open_row(Sku(u128::from(row)), PLACE).expect("there is room");
            model.rows.insert(row, [0; 4]);
        }
        let mut writers = [(); 2].map(|()| ledger.writer().expect("one of few"));
        let mut holds: Vec<Hold> = Vec::new();
        for (turn, op) in ops.into_iter().enumerate() {
            let writer = &mut writers[turn % 2];
            let key = |row: u8| (Sku(u128::from(row)), PLACE);
            let chosen = |which: u8| (!holds.is_empty()).then(|| usize::from(which) % holds.len());
            match op {
                Op::Reserve(lines) => {
                    let asked: Vec<Line> = lines.iter().map(|&(row, units)| line(u128::from(row), u32::from(units))).collect();
                    let answer = writer.reserve(&asked);
                    let expected = model.reserve(holds.len(), &lines);
                    holds.extend(answer.as_ref().map(|reserved| reserved.hold));
                    prop_assert_eq!(answer.map(|reserved| reserved.remaining.to_vec()), expected);
                }
                Op::Commit(which) => if let Some(id) = chosen(which) {
                    prop_assert_eq!(writer.commit(holds[id]), model.resolve(id, COMMITTED));
                },
                Op::Release(which) => if let Some(id) = chosen(which) {
                    prop_assert_eq!(writer.release(holds[id]), model.resolve(id, AVAILABLE));
                },
                Op::Receive(row, units) => {
                    prop_assert_eq!(writer.receive(key(row).0, PLACE, Units(units)), model.receive(row, units));
                }
                Op::WriteOff(row, units) => {
                    prop_assert_eq!(writer.write_off(key(row).0, PLACE, Units(u32::from(units))), model.shift(row, units, AVAILABLE, None));
                }
                Op::SetApart(row, units) => {
                    let expected = model.shift(row, units, AVAILABLE, Some(UNAVAILABLE));
                    prop_assert_eq!(writer.set_apart(key(row).0, PLACE, Units(u32::from(units))), expected);
                }
                Op::PutBack(row, units) => {
                    let expected = model.shift(row, units, UNAVAILABLE, Some(AVAILABLE));
                    prop_assert_eq!(writer.put_back(key(row).0, PLACE, Units(u32::from(units))), expected);
                }
                Op::Restock(row, units) => {
                    let expected = model.shift(row, units, COMMITTED, Some(AVAILABLE));
                    prop_assert_eq!(writer.restock(key(row).0, PLACE, Units(u32::from(units))), expected);
                }
                Op::Ship(row, units) => {
                    prop_assert_eq!(writer.ship(key(row).0, PLACE, Units(u32::from(units))), model.shift(row, units, COMMITTED, None));
                }
            }
            prop_assert_eq!(ledger.check(), Ok(()));
            for (&row, expected) in &model.rows {
                prop_assert_eq!(columns(&ledger, u128::from(row)), *expected);
            }
        }
    }
}

// ---- many threads ----

/// How much each thread does; the sanitizers, under which all is slower, set it lower.
fn rounds() -> u32 {
    std::env::var("SHARED_STRESS_ROUNDS").map_or(30_000, |text| text.parse().expect("a number"))
}

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Threads reserve, hand their holds to each other through a common board, and race to resolve them; others open rows, move
/// stock and read. Whatever the order: each hold ends once, a row's columns never add up to more than came, and at the end
/// they are what the answers said.
#[test]
fn threads_agree_on_what_happened() {
    const THREADS: u64 = 4;
    const ROWS: u64 = 6;
    const BOARD: usize = 32;
    const UNITS: u32 = 20;
    let ledger = stocked(u128::from(ROWS), UNITS);
    let board: Vec<AtomicU64> = (0..BOARD).map(|_| AtomicU64::new(u64::MAX)).collect();
    let done = AtomicBool::new(false);
    let (resolved, opened) = (AtomicU32::new(0), AtomicU32::new(0));

    // Committed and shipped by row, and holds made, as each thread was told.
    let told: Vec<(Vec<i64>, u32)> = thread::scope(|scope| {
        let worker = |seed: u64| {
            let (ledger, board, resolved) = (&ledger, &board, &resolved);
            scope.spawn(move || {
                let mut writer = ledger.writer().expect("one of few");
                let mut random = Random(0x9e37_79b9 + seed);
                let (mut gone, mut made) = (vec![0_i64; ROWS as usize], 0);
                for _ in 0..rounds() {
                    let lines: Vec<Line> =
                        (0..1 + random.below(8)).map(|_| line(u128::from(random.below(ROWS)), 1 + random.below(3) as u32)).collect();
                    let place = &board[random.below(BOARD as u64) as usize];
                    match writer.reserve(&lines) {
                        Ok(reserved) => {
                            made += 1;
                            assert!(reserved.remaining.iter().all(|left| left.0 < UNITS));
                            // Swapped out holds are somebody's to resolve: here, at once, and maybe twice elsewhere.
                            let old = place.swap(reserved.hold.to_bits(), Ordering::AcqRel);
                            if old != u64::MAX && writer.release(Hold::from_bits(old)).is_ok() {
                                resolved.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Err(ReserveRefused::Short { available, requested, .. }) => assert!(available < requested),
                        Err(ReserveRefused::Contended { .. }) => {}
                        Err(refused @ (ReserveRefused::Malformed(_) | ReserveRefused::Full)) => panic!("{refused}"),
                    }
                    // A copy of a handle, which its owner may be resolving at this moment.
                    let bits = board[random.below(BOARD as u64) as usize].load(Ordering::Acquire);
                    if bits != u64::MAX {
                        let hold = Hold::from_bits(bits);
                        let outcome = if random.below(3) == 0 { writer.commit(hold) } else { writer.release(hold) };
                        resolved.fetch_add(u32::from(outcome.is_ok()), Ordering::Relaxed);
                    }
                    let row = random.below(ROWS);
                    match random.below(8) {
                        0 => drop(writer.restock(Sku(u128::from(row)), PLACE, Units(1))),
                        1 if writer.ship(Sku(u128::from(row)), PLACE, Units(1)).is_ok() => gone[row as usize] += 1,
                        2 if writer.receive(Sku(u128::from(row)), PLACE, Units(1)).is_ok() => gone[row as usize] -= 1,
                        3 if writer.write_off(Sku(u128::from(row)), PLACE, Units(1)).is_ok() => gone[row as usize] += 1,
                        4 => drop(writer.set_apart(Sku(u128::from(row)), PLACE, Units(1))),
                        5 => drop(writer.put_back(Sku(u128::from(row)), PLACE, Units(2))),
                        _ => {}
                    }
                }
                (gone, made)
            })
        };
        let workers: Vec<_> = (1..=THREADS).map(worker).collect();
        scope.spawn(|| {
            // Rows come meanwhile; the index grows under the workers' look-ups.
            for sku in u128::from(ROWS)..2_000 {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                ledger.open_row(Sku(sku), PLACE).expect("there is room");
                opened.fetch_add(1, Ordering::Relaxed);
                assert_eq!(ledger.available(Sku(sku), PLACE), Units(0));
                thread::yield_now();
            }
        });
        let told = workers.into_iter().map(|worker| worker.join().expect("the worker's own checks hold")).collect();
        done.store(true, Ordering::Relaxed);
        told
    });

    assert_eq!(ledger.check(), Ok(()));
    assert_eq!(u64::from(ledger.rows()), ROWS + u64::from(opened.load(Ordering::Relaxed)));
    for row in 0..ROWS {
        let gone: i64 = told.iter().map(|(gone, _)| gone[row as usize]).sum();
        let on_hand: u32 = columns(&ledger, u128::from(row)).iter().sum();
        assert_eq!(i64::from(on_hand), i64::from(UNITS) - gone, "row {row}");
    }
    let made: u32 = told.iter().map(|(_, made)| made).sum();
    let mut writer = ledger.writer().expect("the workers' are gone");
    let open: Vec<Hold> = ledger.inner.slab.holds().collect();
    assert_eq!(made, resolved.load(Ordering::Relaxed) + open.len() as u32, "each hold was resolved once or is open");
    open.into_iter().for_each(|hold| writer.release(hold).expect("it is open"));
    assert_eq!(ledger.check(), Ok(()));
    assert!((0..ROWS).all(|row| columns(&ledger, u128::from(row))[1] == 0), "nothing is held");
}

/// Reservations over two rows of which the second is always short race with one-row reservations of the first, which always
/// has enough: those are never told `Short`.
#[test]
fn stock_that_comes_back_is_never_short() {
    let ledger = stocked(2, 1);
    ledger.writer().expect("one of few").write_off(Sku(1), PLACE, Units(1)).expect("there is one");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut writer = ledger.writer().expect("one of few");
                while !done.load(Ordering::Relaxed) {
                    assert!(writer.reserve(&[line(0, 1), line(1, 1)]).is_err());
                }
            });
        }
        let mut writer = ledger.writer().expect("one of few");
        for _ in 0..rounds() * 4 {
            match writer.reserve(&[line(0, 1)]) {
                Ok(reserved) => writer.release(reserved.hold).expect("it is open"),
                Err(ReserveRefused::Contended { .. }) => {}
                Err(refused) => panic!("row 0 always has one: {refused:?}"),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(ledger.check(), Ok(()));
}

/// A ledger with so many units free, its open holds, and what each thread is to call.
struct Trial {
    free: [u32; linear::ROWS],
    ledger: SharedLedger,
    old: [Hold; linear::HOLDS],
    programs: Vec<Program>,
}

/// Short programs of two or three threads on few units, each begun by all at once: what they were answered has an order.
///
/// The machine interleaves what it likes; loom's tests have the same programs in every way.
#[test]
fn short_histories_are_linearizable() {
    const CALLS: usize = 5;
    let histories = rounds() / 5;
    let mut state = 0x5eed;
    let (mut refused, mut contended, mut overlapping) = (0, 0, 0);
    for threads in [2, 3].into_iter().cycle().take(histories.div_ceil(100) as usize) {
        // A hundred histories to a start of threads, each on a ledger of its own.
        let trials: Vec<Trial> = (0..100)
            .map(|_| {
                let free = [0, 1].map(|_| linear::below(&mut state, 3) as u32);
                let ledger = SharedLedger::new(Capacity { rows_max: 2, records_max: 1 << 10 });
                let old = linear::stocked(&ledger, free);
                let programs = (0..threads).map(|thread| linear::program(&mut state, thread, CALLS));
                let programs = programs.collect();
                Trial { free, ledger, old, programs }
            })
            .collect();
        let (clock, arrived) = (AtomicU64::new(0), AtomicU32::new(0));
        let histories: Vec<Vec<Vec<Called>>> = thread::scope(|scope| {
            let worker = |thread: usize| {
                let (trials, clock, arrived) = (&trials, &clock, &arrived);
                scope.spawn(move || {
                    let one = |(at, Trial { ledger, old, programs, .. }): (usize, &Trial)| {
                        let mut writer = ledger.writer().expect("one of few");
                        arrived.fetch_add(1, Ordering::AcqRel);
                        let mut looks = 0_u32;
                        while arrived.load(Ordering::Acquire) < (threads * (at + 1)) as u32 {
                            looks += 1;
                            // Who sleeps comes too late for the others' calls; who never does keeps them from a core.
                            if looks.is_multiple_of(1 << 10) { thread::yield_now() } else { std::hint::spin_loop() }
                        }
                        linear::run(&mut writer, thread, &programs[thread], *old, || clock.fetch_add(1, Ordering::SeqCst))
                    };
                    trials.iter().enumerate().map(one).collect()
                })
            };
            let workers: Vec<_> = (0..threads).map(worker).collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
        });
        for (at, Trial { free, ledger, .. }) in trials.iter().enumerate() {
            let calls: Vec<Called> = histories.iter().flat_map(|of_thread| of_thread[at].iter().copied()).collect();
            linear::explain(*free, &calls).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(ledger.check(), Ok(()));
            refused += calls.iter().filter(|called| called.is_refused()).count();
            contended += calls.iter().filter(|called| called.is_contended()).count();
            overlapping += usize::from(calls.iter().any(|one| calls.iter().any(|other| one.begin < other.begin && other.begin < one.end)));
        }
    }
    println!("{overlapping} of {histories} histories overlap; {refused} shortages, {contended} contended");
    assert!(refused > 0, "a history without a shortage tells little");
}

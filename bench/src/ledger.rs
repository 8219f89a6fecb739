//! Question: how fast is the stock ledger alone, in this process, without log and network; does a hot SKU or a reader make it slower; and what does
//! the make whose threads all write cost beside a bare compare-and-swap?
//!
//! One round after the other: each case runs for its time on a ledger of its own, the load's draw of SKUs made beforehand. CPU is that of the writing
//! threads. Latencies are of every 32nd operation, since reading the clock costs a tenth of one. The estimates stand in the crate's own benches.

use crate::server::{BenchError, thread_cpu_us};
use bench::report::{Case, HEADING, Latencies};
use inventory_ledger::{
    HoldId, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Reader, Room, Sku, UNITS_MAX, Units,
    shared::{Capacity, ReserveRefused, SharedLedger, Writer},
};
use std::{
    hint::{black_box, spin_loop},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const PLACE: Location = Location(1);
const TTL_MS: u64 = 15 * 60 * 1_000;
/// Baskets drawn beforehand, taken in turn.
const BASKETS: usize = 1 << 16;
/// Holds alive in `ledger/pairs`.
const LIVE: u64 = 1_000_000;
/// Every so many operations one is timed; a power of two.
const SAMPLE: u64 = 32;
/// Reservations of one round of `ledger/uniform`, `hot` and `readers`: then the ledger is made anew, outside of the time measured, with memory for as many.
const ROUND: u64 = 1_000_000;
/// The same of `ledger/growing`, whose ledger gets no memory in advance.
const HOLDS_MAX: u64 = 4_000_000;
/// Holds that one step of `ledger/expiry` ends.
const EXPIRY_STEP: usize = 256;

/// What `ledger` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Lines of a reservation
    #[arg(long, default_value_t = 3)]
    lines: usize,
    /// SKUs in stock
    #[arg(long, default_value_t = 100_000)]
    skus: u32,
    /// Time of each case
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only cases with this in their name
    #[arg(long, default_value = "")]
    only: String,
}

/// Runs the cases and prints them.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<(), BenchError> {
    if !(1..=inventory_ledger::LINES_MAX).contains(&arguments.lines) || arguments.skus == 0 {
        return Err(BenchError::other("1 to 256 lines, and at least one SKU"));
    }
    if !json {
        println!("{HEADING}");
    }
    type Run = fn(&Arguments) -> Measured;
    let cases: [(&str, Run); 11] = [
        ("ledger/uniform", |arguments| reserve(arguments, &EMPTY, None)),
        ("ledger/hot", |arguments| reserve(arguments, &Start { hot: true, ..EMPTY }, None)),
        ("ledger/growing", |arguments| reserve(arguments, &GROWING, None)),
        ("ledger/readers", with_reader),
        ("ledger/pairs", pairs),
        ("ledger/expiry", expiry),
        ("shared/hot-1", |arguments| shared(arguments, 1, Rows::Hot)),
        ("shared/hot-2", |arguments| shared(arguments, 2, Rows::Hot)),
        ("shared/bare-2", |arguments| bare(arguments, 2)),
        ("shared/rows-1", |arguments| shared(arguments, 1, Rows::Apart)),
        ("shared/rows-2", |arguments| shared(arguments, 2, Rows::Apart)),
    ];
    for (name, run) in cases.into_iter().filter(|(name, _)| name.contains(&arguments.only)) {
        let Measured { ops, seconds, cpu_us, latencies } = run(arguments);
        let rss = crate::server::rss_mb(std::process::id())?;
        let case = Case::plain(name, ops, seconds, Some(cpu_us), Some(rss)).with(&latencies);
        println!("{}", if json { case.json() } else { case.row() });
    }
    Ok(())
}

/// A case's figures.
struct Measured {
    ops: u64,
    seconds: f64,
    cpu_us: u64,
    latencies: Latencies,
}

/// Measures what one thread does, in its own time.
struct Stopwatch {
    begun: Instant,
    cpu: u64,
    until: Duration,
    measured: Measured,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
    fn start(seconds: f64) -> Self {
        let measured = Measured { ops: 0, seconds: 0.0, cpu_us: 0, latencies: Latencies::default() };
        Self { begun: Instant::now(), cpu: own_cpu_us(), until: Duration::from_secs_f64(seconds), measured }
    }

    /// Does it once; false when the time is over.
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
    fn once(&mut self, work: impl FnOnce()) -> bool {
        self.measured.ops += 1;
        if self.measured.ops & (SAMPLE - 1) != 0 {
            work();
            return true;
        }
        let begun = Instant::now();
        work();
        self.measured.latencies.record(begun.elapsed());
        self.begun.elapsed() < self.until
    }

    /// Leaves out the time that `work` takes.
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
    fn aside<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (begun, cpu) = (Instant::now(), own_cpu_us());
        let made = work();
        self.begun += begun.elapsed();
        self.cpu += own_cpu_us() - cpu;
        made
    }

    fn stop(mut self) -> Measured {
        self.measured.seconds = self.begun.elapsed().as_secs_f64();
        self.measured.cpu_us = own_cpu_us() - self.cpu;
        self.measured
    }
}

fn own_cpu_us() -> u64 {
    thread_cpu_us("/proc/thread-self")
}

/// How a ledger of reservations begins.
struct Start {
    /// The first line of every basket is of one row.
    hot: bool,
    /// Reservations until it is made anew.
    round: u64,
    /// Whether its memory is taken before.
    roomy: bool,
}

const EMPTY: Start = Start { hot: false, round: ROUND, roomy: true };
const GROWING: Start = Start { hot: false, round: HOLDS_MAX, roomy: false };

fn stocked(skus: u32, holds: u64) -> Ledger {
    let mut ledger = Ledger::new(Limits { holds_max: 1 << 26, ..Limits::default() });
    ledger.make_room(Room { rows: skus, holds: u32::try_from(holds).expect("a few million"), ..Room::default() });
    for sku in 0..u128::from(skus) {
        ledger.open_row(Millis(0), MovementId(sku), Sku(sku), PLACE, UNITS_MAX).expect("the limits have room for all SKUs");
    }
    ledger.drain_changes().for_each(drop);
    ledger
}

/// Baskets of single units; hot ones begin with SKU 0.
fn baskets(arguments: &Arguments, hot: bool, from: u32, skus: u32) -> Vec<Vec<Line>> {
    let mut draw = crate::draw::Draw::new(u64::from(from) + 1);
    let line = |sku: u32| Line { sku: Sku(u128::from(sku)), location: PLACE, quantity: Units(1) };
    let mut basket = || (0..arguments.lines).map(|at| line(if at == 0 && hot { 0 } else { from + draw.below(skus) })).collect();
    (0..BASKETS).map(|_| basket()).collect()
}

/// An id as clients make them: an instant, and bits that look random.
fn id(number: u64, at: Millis) -> HoldId {
    HoldId::timed(at, u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Reservations into a table that has no hold at the beginning of each round.
fn reserve(arguments: &Arguments, start: &Start, tell: Option<&dyn Fn(Reader)>) -> Measured {
    let baskets = baskets(arguments, start.hot, 0, arguments.skus);
    let anew = || stocked(arguments.skus, if start.roomy { start.round } else { 0 });
    let mut ledger = anew();
    if let Some(tell) = tell {
        tell(ledger.reader());
    }
    let now = Millis(1_000);
    let (mut watch, mut made) = (Stopwatch::start(arguments.seconds), 0);
    loop {
        let request = HoldRequest::new(id(made, now), Owner(1), &baskets[made as usize % BASKETS], TTL_MS).timed();
        let going_on = watch.once(|| {
            black_box(ledger.hold(now, &request)).expect("there is enough of everything");
        });
        made += 1;
        ledger.drain_changes().for_each(drop);
        if !going_on {
            break;
        }
        if made == start.round {
            made = 0;
            watch.aside(|| ledger = anew());
            if let Some(tell) = tell {
                tell(ledger.reader());
            }
        }
    }
    let measured = watch.stop();
    ledger.check().expect("the books agree after the run");
    measured
}

/// The same, with a thread that reads rows all the time.
fn with_reader(arguments: &Arguments) -> Measured {
    let ended = AtomicBool::new(false);
    let (send, readers) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let ended = &ended;
        scope.spawn(move || {
            let mut draw = crate::draw::Draw::new(7);
            let Ok(mut reader): Result<Reader, _> = readers.recv() else { return };
            while !ended.load(Ordering::Relaxed) {
                // The ledger is made anew now and then.
                if let Ok(next) = readers.try_recv() {
                    reader = next;
                }
                for _ in 0..1_000 {
                    let sku = Sku(u128::from(draw.below(arguments.skus)));
                    let row = reader.row(sku, PLACE).expect("opened before");
                    assert_eq!(row.on_hand(), UNITS_MAX, "a row is read whole");
                    black_box(reader.available(sku, PLACE));
                }
            }
        });
        let measured = reserve(arguments, &EMPTY, Some(&|reader| drop(send.send(reader))));
        ended.store(true, Ordering::Relaxed);
        measured
    })
}

/// With a million live holds: a reservation, and the release of the oldest, which is remembered (their number grows).
fn pairs(arguments: &Arguments) -> Measured {
    let baskets = baskets(arguments, false, 0, arguments.skus);
    let mut ledger = stocked(arguments.skus, LIVE);
    // A millisecond for 1,000 pairs, as they would pass.
    let at = |number: u64| Millis(1_000 + number / 1_000);
    let mut made = 0;
    let mut make = |ledger: &mut Ledger| {
        let request = HoldRequest::new(id(made, at(made)), Owner(1), &baskets[made as usize % BASKETS], TTL_MS).timed();
        black_box(ledger.hold(at(made), &request)).expect("there is enough of everything");
        made += 1;
        made
    };
    while make(&mut ledger) < LIVE {}
    let mut watch = Stopwatch::start(arguments.seconds);
    loop {
        let going_on = watch.once(|| {
            let made = make(&mut ledger);
            let oldest = made - LIVE - 1;
            ledger.release(at(made), id(oldest, at(oldest))).expect("it is held");
            ledger.sweep(at(made), 2);
        });
        ledger.drain_changes().for_each(drop);
        if !going_on {
            break;
        }
    }
    let measured = watch.stop();
    ledger.check().expect("the books agree after the run");
    measured
}

/// Holds that fall back, in bounded steps; an operation is one hold.
fn expiry(arguments: &Arguments) -> Measured {
    let baskets = baskets(arguments, false, 0, arguments.skus);
    let mut watch = Stopwatch::start(arguments.seconds);
    let mut ended = 0;
    loop {
        let mut ledger = watch.aside(|| {
            let mut ledger = stocked(arguments.skus, LIVE);
            for number in 0..LIVE {
                // Expiries spread over a minute and a half.
                let ttl_ms = 60_000 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 90_000;
                let request = HoldRequest::new(id(number, Millis(1)), Owner(1), &baskets[number as usize % BASKETS], ttl_ms).timed();
                ledger.hold(Millis(1), &request).expect("there is enough of everything");
            }
            ledger.drain_changes().for_each(drop);
            ledger
        });
        let over = Millis(200_000);
        loop {
            // The stopwatch counts steps.
            let mut step = Default::default();
            watch.once(|| step = ledger.expire(over, EXPIRY_STEP));
            let step: inventory_ledger::Expired = step;
            ended += step.ids.len() as u64;
            ledger.drain_changes().for_each(drop);
            if !step.more {
                break;
            }
        }
        ledger.check().expect("the books agree after the run");
        if watch.begun.elapsed() >= watch.until {
            return Measured { ops: ended, ..watch.stop() };
        }
    }
}

/// Which rows the threads of a shared ledger write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// The first line of every basket is of one row.
    Hot,
    /// Each thread has SKUs of its own.
    Apart,
}

/// Threads that reserve and release; an operation is the pair.
fn shared(arguments: &Arguments, threads: u32, rows: Rows) -> Measured {
    let ledger = SharedLedger::new(Capacity { rows_max: arguments.skus, records_max: 1 << 20 });
    for sku in 0..u128::from(arguments.skus) {
        ledger.open_row(Sku(sku), PLACE).expect("the capacity has room for all SKUs");
    }
    let mut stocker = ledger.writer().expect("the first of few");
    for sku in 0..u128::from(arguments.skus) {
        stocker.receive(Sku(sku), PLACE, UNITS_MAX).expect("it is open");
    }
    let part = (arguments.skus / 2).max(1);
    let workers = (0..threads).map(|thread| {
        let mut writer = ledger.writer().expect("one of few");
        let baskets = baskets(arguments, rows == Rows::Hot, thread.min(1) * (arguments.skus - part), part);
        let mut turn = 0;
        move || {
            pair(&mut writer, &baskets[turn % BASKETS]);
            turn += 1;
        }
    });
    let measured = side_by_side(arguments.seconds, workers.collect());
    ledger.check().expect("the books agree after the run");
    measured
}

fn pair(writer: &mut Writer, basket: &[Line]) {
    let hold = loop {
        match writer.reserve(black_box(basket)) {
            Ok(reserved) => break reserved.hold,
            Err(ReserveRefused::Contended { .. }) => spin_loop(),
            Err(refused) => panic!("there is enough of everything: {refused}"),
        }
    };
    writer.release(hold).expect("nobody else has the handle");
}

/// The bare thing beside it: a unit taken from one word by compare-and-swap, and put back; once for the pair of a one-line reservation.
fn bare(arguments: &Arguments, threads: u32) -> Measured {
    let word = AtomicU64::new(u64::from(UNITS_MAX.0));
    let change = |delta: u64| {
        let mut found = word.load(Ordering::Relaxed);
        while let Err(other) = word.compare_exchange_weak(found, black_box(found.wrapping_add(delta)), Ordering::AcqRel, Ordering::Relaxed)
        {
            found = other;
        }
    };
    let worker = || {
        change(u64::MAX);
        change(1);
    };
    side_by_side(arguments.seconds, (0..threads).map(|_| worker).collect())
}

/// Runs the workers on threads of their own, for the same time; counts their work together.
fn side_by_side<W: FnMut() + Send>(seconds: f64, workers: Vec<W>) -> Measured {
    let ready = Barrier::new(workers.len());
    let parts: Vec<Measured> = std::thread::scope(|scope| {
        let start = |mut work: W| {
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                let mut watch = Stopwatch::start(seconds);
                while watch.once(&mut work) {}
                watch.stop()
            })
        };
        let threads: Vec<_> = workers.into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
    });
    let mut all = Measured { ops: 0, seconds: 0.0, cpu_us: 0, latencies: Latencies::default() };
    for part in parts {
        all.ops += part.ops;
        all.cpu_us += part.cpu_us;
        all.seconds = all.seconds.max(part.seconds);
        all.latencies.add(&part.latencies);
    }
    all
}

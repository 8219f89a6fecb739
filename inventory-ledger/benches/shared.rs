//! What sharing costs: the shared ledger with one and two writing threads, beside a bare compare-and-swap.
//!
//! Sketch before the measurement: a reservation and its release of one row are two locked operations on the row, two on the
//! hold's own record, and some plain stores to lines that no other thread writes: 50 ns or so alone. With two threads on one
//! row the row's line moves between the cores at each change, and that is all that is shared: so no slower than two threads
//! that compare-and-swap one word and do nothing else. On rows apart nothing moves, so two threads do nearly twice the work of
//! one (on two hardware threads of one core: what that core gives).
//!
//! A harness of its own instead of criterion, which has no way to time several threads: the cases take turns in short rounds,
//! a round counts if all its threads were on cores all the time, and the median is told. `cargo bench --bench shared` prints
//! one line a case and the ratios; `--test` runs each once, briefly, for its checks.

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use inventory_ledger::shared::{Capacity, ReserveRefused, SharedLedger, Writer};
use inventory_ledger::{Line, Location, Sku, Units};

const SKUS: u128 = 100_000;
const PLACE: Location = Location(1);
/// Between looks at the clock's flag; a power of two.
const STRIDE: usize = 64;
/// A round counts if each of its threads was on a core for this share of it: two threads that take turns on one core tell
/// nothing about two cores.
const SHARE_MIN: f64 = 0.93;

/// What one thread does over and over: one reservation and what ends it.
trait Work: Send {
    fn once(&mut self, turn: usize);
}

/// The bare thing: take one unit from a word if it has one, put it back.
struct Bare<'a>(&'a AtomicU64);

impl Work for Bare<'_> {
    fn once(&mut self, _turn: usize) {
        let mut word = self.0.load(Ordering::Relaxed);
        while let Err(found) = self.0.compare_exchange_weak(word, black_box(word) - 1, Ordering::AcqRel, Ordering::Relaxed) {
            word = found;
        }
        let mut word = self.0.load(Ordering::Relaxed);
        while let Err(found) = self.0.compare_exchange_weak(word, black_box(word) + 1, Ordering::AcqRel, Ordering::Relaxed) {
            word = found;
        }
    }
}

/// Baskets in a ring, each reserved and released by one writer.
struct Baskets {
    writer: Writer,
    baskets: Vec<Vec<Line>>,
}

impl Work for Baskets {
    fn once(&mut self, turn: usize) {
        let basket = &self.baskets[turn % self.baskets.len()];
        let hold = loop {
            match self.writer.reserve(black_box(basket)) {
                Ok(reserved) => break black_box(reserved).hold,
                Err(ReserveRefused::Contended { .. }) => spin_loop(),
                Err(refused) => panic!("there is enough of everything: {refused}"),
            }
        };
        self.writer.release(hold).expect("nobody else has the handle");
    }
}

/// One round of a case.
struct Round {
    /// How many times a second the workers together did their work.
    rate: f64,
    /// Of the round's time, how much the worker had that was on a core least.
    share: f64,
}

/// Runs the workers side by side for `time`.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn round(workers: Vec<Box<dyn Work + '_>>, time: Duration) -> Round {
    let (start, stop) = (Barrier::new(workers.len() + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let (start, stop) = (&start, &stop);
        let run = |mut work: Box<dyn Work + '_>| {
            start.wait();
            let ran = on_core();
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..STRIDE {
                    work.once(turn);
                    turn += 1;
                }
            }
            (turn, on_core() - ran)
        };
        let threads: Vec<_> = workers.into_iter().map(|work| scope.spawn(move || run(work))).collect();
        start.wait();
        let began = Instant::now();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no worker panics")).collect();
        let took = began.elapsed().as_secs_f64();
        let turns: usize = done.iter().map(|(turns, _)| turns).sum();
        let share = done.iter().map(|(_, ran)| ran.as_secs_f64() / took).fold(1.0, f64::min);
        Round { rate: turns as f64 / took, share }
    })
}

/// How long this thread has been on a core, as Linux counts it (to about a millisecond).
fn on_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with scheduler statistics");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number comes first"))
}

/// Baskets of one unit each of `lines` rows, drawn from this thread's half of the SKUs, also where one thread runs alone: each
/// then works on as many rows as beside the other. Hot: SKU 0 leads each.
fn baskets(lines: usize, hot: bool, thread: u64) -> Vec<Vec<Line>> {
    let mut state = 0x5eed + thread;
    let mut sku = || {
        // xorshift64 (Marsaglia 2003): spread is all that is asked of it
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let half = SKUS as u64 / 2;
        Sku(u128::from(thread * half + state % (half - 1) + 1))
    };
    let line = |sku| Line { sku, location: PLACE, quantity: Units(1) };
    let count = if hot && lines == 1 { 1 } else { 1 << 14 };
    (0..count).map(|_| (0..lines).map(|at| line(if hot && at == 0 { Sku(0) } else { sku() })).collect()).collect()
}

fn main() {
    let brief = std::env::args().any(|arg| arg == "--test");
    let (time, rounds, clean) = if brief { (Duration::from_millis(5), 1, 1) } else { (Duration::from_millis(60), 200, 9) };

    let ledger = SharedLedger::new(Capacity::default());
    {
        let mut writer = ledger.writer().expect("the first");
        for sku in 0..SKUS {
            ledger.open_row(Sku(sku), PLACE).expect("there is room");
            writer.receive(Sku(sku), PLACE, Units(1_000_000)).expect("there is room");
        }
    }
    let word = AtomicU64::new(1_000_000);
    let bare = |threads: u64| (0..threads).map(|_| Box::new(Bare(&word)) as Box<dyn Work>).collect::<Vec<_>>();
    let shared = |lines: usize, hot: bool, threads: u64| {
        let work = |thread| {
            let writer = ledger.writer().expect("earlier rounds dropped theirs");
            Box::new(Baskets { writer, baskets: baskets(lines, hot, thread) }) as Box<dyn Work>
        };
        (0..threads).map(work).collect::<Vec<_>>()
    };

    type Case<'a> = (&'static str, Box<dyn Fn() -> Vec<Box<dyn Work + 'a>> + 'a>);
    let cases: Vec<Case> = vec![
        ("bare compare-and-swap, 1 thread", Box::new(|| bare(1))),
        ("bare compare-and-swap, 2 threads", Box::new(|| bare(2))),
        ("shared/hot-1: one row, 1 thread", Box::new(|| shared(1, true, 1))),
        ("shared/hot-2: one row, 2 threads", Box::new(|| shared(1, true, 2))),
        ("shared/rows-1: 3 lines, rows apart, 1 thread", Box::new(|| shared(3, false, 1))),
        ("shared/rows-2: 3 lines, rows apart, 2 threads", Box::new(|| shared(3, false, 2))),
        ("shared/hot-line-1: 3 lines, one hot, 1 thread", Box::new(|| shared(3, true, 1))),
        ("shared/hot-line-2: 3 lines, one hot, 2 threads", Box::new(|| shared(3, true, 2))),
    ];
    let mut rates = vec![Vec::new(); cases.len()];
    let mut least = vec![0.0_f64; cases.len()];
    for _ in 0..rounds {
        for (((_, workers), rates), least) in cases.iter().zip(&mut rates).zip(&mut least) {
            if rates.len() < clean {
                let Round { rate, share } = round(workers(), time);
                *least = least.max(share);
                if brief || share >= SHARE_MIN {
                    rates.push(rate);
                }
            }
        }
    }
    println!("reserve + release, millions of pairs a second over all threads, median of rounds with all threads on cores:");
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (((name, _), median), (rates, least)) in cases.iter().zip(&medians).zip(rates.iter().zip(&least)) {
        println!("{:8.2}  {name} ({} rounds, best share {least:.2})", median / 1e6, rates.len());
    }
    println!("hot row, 2 threads: {:.2} x bare compare-and-swap", medians[3] / medians[1]);
    println!("hot row, 2 threads: {:.2} x 1 thread", medians[3] / medians[2]);
    println!("rows apart, 2 threads: {:.2} x 1 thread", medians[5] / medians[4]);
    println!("one hot line of 3, 2 threads: {:.2} x 1 thread", medians[7] / medians[6]);
    assert_eq!(word.load(Ordering::Relaxed), 1_000_000, "each unit came back");
    ledger.check().expect("the books agree after the run");
    assert!((0..SKUS).all(|sku| ledger.available(Sku(sku), PLACE) == Units(1_000_000)), "each unit came back");
}

/// Zero for none: the machine was too busy.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

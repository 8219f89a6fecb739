//! What the ledger takes of the allocator: bytes a row, a hold and a remembered id, and that the usual answers take none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use inventory_ledger::{
    Footprint, HoldId, HoldRefused, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Room, Sku, UNITS_MAX, Units,
};

thread_local! {
    /// Bytes live, and calls so far, of this thread: tests run beside each other.
    static TAKEN: Cell<(isize, usize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, counted.
struct Counted;

fn count(bytes: isize) {
    // Gone while a thread ends: nobody asks any more.
    let _ = TAKEN.try_with(|taken| taken.set((taken.get().0 + bytes, taken.get().1 + usize::from(bytes > 0))));
}

// SAFETY: every call is handed to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `at` came from `alloc` above, and so from the system's allocator, with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

const SKUS: u64 = 20_000;
const PLACE: Location = Location(1);

fn stocked() -> Ledger {
    let mut ledger = Ledger::new(Limits::default());
    for sku in 0..SKUS {
        ledger.open_row(Millis(0), MovementId(sku.into()), Sku(sku.into()), PLACE, UNITS_MAX).expect("there is room");
        ledger.drain_changes().for_each(drop);
    }
    ledger
}

fn basket(n: u64) -> [Line; 3] {
    [n, n * 7 + 1, n * 31 + 2].map(|sku| Line { sku: Sku((sku % SKUS).into()), location: PLACE, quantity: Units(1) })
}

fn id(n: u64) -> HoldId {
    HoldId(u128::from(n) * 0x9e37_79b9_7f4a_7c15_f39c_0c9d)
}

fn hold(ledger: &mut Ledger, n: u64) {
    let held = ledger.hold(Millis(n / 100), &HoldRequest::new(id(n), Owner(n.into()), &basket(n), 900_000));
    assert!(held.is_ok());
    ledger.drain_changes().for_each(drop);
}

fn sum(footprint: Footprint) -> usize {
    let Footprint { rows, holds, lines, remembered, ids, movements, rare, frozen } = footprint;
    rows + holds + lines + remembered + ids + movements + rare + frozen
}

#[test] // The bounds the documentation states, at every size past the first chunks.
fn bytes_a_row_a_hold_and_a_remembered_id() {
    let before = TAKEN.get().0;
    let mut ledger = stocked();
    let per_row = ledger.footprint().rows as f64 / SKUS as f64;
    // The directories are of `rows_max`; the last chunk is not full.
    assert!(per_row < 76.0, "{per_row} bytes a row");

    const HOLDS: u64 = 300_000;
    for n in 0..HOLDS {
        hold(&mut ledger, n);
        if n >= 100_000 && n.is_multiple_of(5_000) {
            let Footprint { holds, lines, ids, .. } = ledger.footprint();
            let per_hold = (holds + lines + ids) as f64 / (n + 1) as f64;
            assert!(per_hold <= 96.0, "{per_hold} bytes a hold at {n}");
        }
    }
    let real = TAKEN.get().0 - before;
    let told = sum(ledger.footprint()) as isize;
    assert!((real - told).abs() * 50 < real, "{told} bytes told, {real} taken");

    let live = ledger.footprint().holds;
    for n in 0..HOLDS {
        ledger.release(Millis(HOLDS), id(n)).expect("it is live");
        ledger.drain_changes().for_each(drop);
    }
    let Footprint { holds, remembered, ids, .. } = ledger.footprint();
    let per_id = (remembered + ids) as f64 / HOLDS as f64;
    assert!(per_id <= 64.0, "{per_id} bytes a remembered id");
    assert_eq!(holds, live, "places of ended holds are kept for others");
    let (real, told) = (TAKEN.get().0 - before, sum(ledger.footprint()) as isize);
    assert!((real - told).abs() * 50 < real, "{told} bytes told, {real} taken");
}

#[test]
fn nothing_is_allocated_once_the_tables_have_grown() {
    let mut ledger = stocked();
    const LIVE: u64 = 20_000;
    let day_ms = 86_400_000;
    // Holds come and go, and a day later the first are forgotten, so that nothing grows any more.
    let mut pair = |n: u64| {
        let now = Millis(n * (day_ms / (2 * LIVE)));
        let lines = basket(n);
        let held = ledger.hold(now, &HoldRequest::new(id(n), Owner(1), &lines, 900_000));
        assert!(held.is_ok());
        if n >= LIVE / 100 {
            assert!(ledger.release(now, id(n - LIVE / 100)).is_ok());
        }
        ledger.drain_changes().for_each(drop);
        ledger.sweep(now, 2);
    };
    (0..5 * LIVE).for_each(&mut pair);
    let before = TAKEN.get().1;
    (5 * LIVE..6 * LIVE).for_each(&mut pair);
    let calls = TAKEN.get().1 - before;
    // Segments of the index fill unevenly: one of them may still grow by an eighth, now and then.
    assert!(calls <= LIVE as usize / 100, "{calls} calls in {LIVE} pairs");

    let refused = [Line { quantity: UNITS_MAX, ..basket(1)[0] }, Line { sku: Sku(u128::MAX), ..basket(1)[1] }];
    let before = TAKEN.get().1;
    for _ in 0..1_000 {
        let short = ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &refused, 1));
        assert!(matches!(short, Err(HoldRefused::Short { lines }) if lines.len() == 1));
    }
    assert_eq!(TAKEN.get().1, before, "a shortage allocates nothing");
}

#[test] // From the first hold on; and room shows in nothing but the footprint.
fn nothing_is_allocated_where_room_was_made() {
    const HOLDS: u64 = 50_000;
    let room = Room { rows: SKUS as u32, holds: HOLDS as u32, timed_remembered: 0, opaque_remembered: HOLDS as u32 };
    let mut ledger = Ledger::new(Limits::default());
    let before = TAKEN.get().0;
    ledger.make_room(room);
    let (real, told) = (TAKEN.get().0 - before, sum(ledger.footprint()) as isize);
    assert!((real - told).abs() < 1 << 20, "{told} bytes told, {real} taken (beside them the directories)");
    for sku in 0..SKUS {
        ledger.open_row(Millis(0), MovementId(sku.into()), Sku(sku.into()), PLACE, UNITS_MAX).expect("there is room");
    }
    ledger.drain_changes().for_each(drop);
    let before = TAKEN.get().1;
    (0..HOLDS).for_each(|n| hold(&mut ledger, n));
    for n in 0..HOLDS {
        ledger.release(Millis(HOLDS), id(n)).expect("it is live");
        ledger.drain_changes().for_each(drop);
    }
    let calls = TAKEN.get().1 - before;
    assert!(calls <= 2, "{calls} calls: one of some hundred segments of the index may have outgrown its room");

    let mut plain = stocked();
    (0..HOLDS).for_each(|n| hold(&mut plain, n));
    for n in 0..HOLDS {
        plain.release(Millis(HOLDS), id(n)).expect("it is live");
    }
    assert_eq!(ledger.digest(), plain.digest());
    assert_eq!(ledger.check(), Ok(()));
}

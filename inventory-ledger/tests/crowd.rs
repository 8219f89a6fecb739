//! Ten million holds at once, and all of them expire while reservations go on: in bounded steps, on time, and no unit is lost.

use inventory_ledger::{HoldId, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Room, Sku, Units, Usage};

const PLACE: Location = Location(1);
const SKUS: u32 = 1_000;
const UNITS: Units = Units(100_000);
/// Holds alive before the first expires.
const CROWD: u32 = 10_000_000;
/// They are made over so many milliseconds, and expire over as many.
const SPREAD_MS: u32 = 50_000;
const TTL_MS: u64 = 60_000;
/// Holds that one step may end.
const STEP: usize = 256;
/// Reservations that go on in each millisecond of expiry.
const MEANWHILE: u32 = 3;

/// The hold with this number: three SKUs that differ, one unit each.
fn reserve(ledger: &mut Ledger, now: Millis, number: u32) {
    let line = |step: u32| Line { sku: Sku(((number + step * 331) % SKUS).into()), location: PLACE, quantity: Units(1) };
    let lines = [line(0), line(1), line(2)];
    let request = HoldRequest::new(HoldId::timed(now, number.into()), Owner(number.into()), &lines, TTL_MS).timed();
    let held = ledger.hold(now, &request).expect("there is more than all of them want");
    assert!(!held.replayed);
}

/// Units held, and that no row lost or gained one.
fn held(ledger: &Ledger) -> u64 {
    let each = |(sku, _, row): (Sku, Location, inventory_ledger::Row)| {
        assert_eq!(row.available.0 + row.held.0, UNITS.0, "{sku:?}");
        u64::from(row.held.0)
    };
    ledger.rows().map(each).sum()
}

#[test]
fn ten_million_holds_expire_while_reservations_go_on() {
    let mut ledger = Ledger::new(Limits { holds_max: 1 << 25, ..Limits::default() });
    ledger.make_room(Room { rows: SKUS, holds: CROWD, timed_remembered: CROWD, opaque_remembered: 0 });
    for sku in 0..SKUS {
        ledger.open_row(Millis(0), MovementId(sku.into()), Sku(sku.into()), PLACE, UNITS).expect("a new row");
    }
    let begin = 1_760_000_000_000;
    let mut made = 0;
    for ms in 0..SPREAD_MS {
        for _ in 0..CROWD / SPREAD_MS {
            reserve(&mut ledger, Millis(begin + u64::from(ms)), made);
            made += 1;
        }
    }
    assert_eq!((made, ledger.usage().live, held(&ledger)), (CROWD, CROWD, u64::from(CROWD) * 3));

    // All the crowd's time comes. Each millisecond some more are made, then what is due ends.
    let mut ended = 0_u32;
    for ms in 0..SPREAD_MS {
        let now = Millis(begin + TTL_MS + u64::from(ms));
        for _ in 0..MEANWHILE {
            reserve(&mut ledger, now, made);
            made += 1;
        }
        loop {
            let expired = ledger.expire(now, STEP);
            assert!(expired.ids.len() <= STEP);
            ended += expired.ids.len() as u32;
            if !expired.more {
                break;
            }
        }
        assert_eq!((ledger.lag(now), ended), (0, (ms + 1) * (CROWD / SPREAD_MS)), "at {ms} ms everybody due has ended, and nobody else");
    }
    assert_eq!(ended, CROWD);
    let Usage { live, .. } = ledger.usage();
    assert_eq!((live, held(&ledger)), (MEANWHILE * SPREAD_MS, u64::from(live) * 3));
    assert_eq!(ledger.check(), Ok(()));
}

//! Reading along: movements and events, by a cursor.

use inventory_ledger::{
    Cause, Gone, HoldId, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, News, Owner, Place, Reason, Restore, Serial, Sku,
    Units,
};

const TEA: Sku = Sku(1);
const HERE: Location = Location(1);

fn shop(history_max: u32, events_max: u32) -> Ledger {
    let mut ledger = Ledger::new(Limits { history_max, events_max, ..Limits::default() });
    ledger.open_row(Millis(1), MovementId(0), TEA, HERE, Units(5)).unwrap();
    ledger.set_threshold(Millis(1), TEA, HERE, Some(Units(2))).unwrap();
    let line = [Line { sku: TEA, location: HERE, quantity: Units(3) }];
    ledger.hold(Millis(2), &HoldRequest::new(HoldId(1), Owner(1), &line, 10)).unwrap();
    ledger.adjust(Millis(3), MovementId(1), TEA, HERE, -2, Reason(0)).unwrap();
    assert_eq!(ledger.expire(Millis(12), 9).ids, [HoldId(1)]);
    ledger
}

#[test]
fn movements_name_both_columns_and_their_cause() {
    let ledger = shop(9, 9);
    let shown: Vec<_> = ledger.history(Serial(0), 9).unwrap().iter().map(|r| (r.at.0, r.cause, r.from, r.to, r.units.0)).collect();
    assert_eq!(
        shown,
        [
            (1, Cause::Movement(MovementId(0)), Place::Outside, Place::Available, 5),
            (2, Cause::Hold(HoldId(1)), Place::Available, Place::Held, 3),
            (3, Cause::Movement(MovementId(1)), Place::Available, Place::Outside, 2),
            (12, Cause::Expiry(HoldId(1)), Place::Held, Place::Available, 3),
        ]
    );
    assert_eq!(ledger.history(Serial(2), 1).unwrap()[0].serial, Serial(3));
    assert!(ledger.history(Serial(4), 9).unwrap().is_empty());
    assert!(ledger.history(Serial(u64::MAX), 9).unwrap().is_empty());
}

#[test]
fn levels_are_told_once_when_they_are_crossed() {
    let ledger = shop(0, 9);
    let (sku, location) = (TEA, HERE);
    let news: Vec<News> = ledger.events(Serial(0), 9).unwrap().iter().map(|event| event.news).collect();
    let wanted = [News::LowStock { sku, location, available: Units(2) }, News::BackInStock { sku, location, available: Units(3) }];
    assert_eq!(news, wanted);
    assert!(ledger.history(Serial(0), 9).unwrap().is_empty()); // none is kept
}

#[test]
fn late_readers_are_told_what_is_gone() {
    let ledger = shop(2, 1);
    assert_eq!(ledger.history(Serial(1), 9), Err(Gone { first: Serial(3) }));
    assert_eq!(ledger.history(Serial(2), 9).unwrap().len(), 2);
    assert_eq!(ledger.events(Serial(0), 9), Err(Gone { first: Serial(2) }));
    let mut restore = Restore::new(ledger.limits());
    ledger.save().for_each(|item| restore.put(item).unwrap());
    let again = restore.finish().unwrap();
    assert_eq!((again.history(Serial(2), 9), again.digest()), (ledger.history(Serial(2), 9), ledger.digest()));
}

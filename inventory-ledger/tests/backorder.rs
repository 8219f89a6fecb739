//! Histories of units sold before they are here.

use inventory_ledger::{
    Held, HoldId, HoldRefused, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Policy, Reason, Released, Sku, Units,
};

const TEA: Sku = Sku(1);
const HERE: Location = Location(1);

/// A row of so much tea, which may owe up to ten.
fn shop(tea: u32) -> Ledger {
    let mut ledger = Ledger::new(Limits::default());
    ledger.open_row(Millis(0), MovementId(0), TEA, HERE, Units(tea)).unwrap();
    ledger.set_policy(Millis(0), TEA, HERE, Policy::Backorder { limit: Units(10) }).unwrap();
    ledger
}

fn hold(ledger: &mut Ledger, now: u64, id: u128, quantity: u32) -> Result<Held, HoldRefused> {
    let line = [Line { sku: TEA, location: HERE, quantity: Units(quantity) }];
    ledger.hold(Millis(now), &HoldRequest::new(HoldId(id), Owner(id), &line, 100))
}

fn came(ledger: &mut Ledger, id: u128, units: i64) {
    ledger.adjust(Millis(0), MovementId(id), TEA, HERE, units, Reason(0)).unwrap();
}

/// What one step of so many lines gives: `hold:units<left`, and whether there is more.
fn filled(ledger: &mut Ledger, max: usize) -> String {
    let filled = ledger.fill(Millis(0), max);
    let line = |line: &inventory_ledger::FilledLine| format!("{}:{}<{}", line.hold.0, line.units.0, line.left.0);
    let lines: Vec<String> = filled.lines.iter().map(line).collect();
    lines.join(" ") + if filled.more { " and more" } else { "" }
}

/// `available/held/committed/backordered`.
fn row(ledger: &Ledger) -> String {
    ledger.check().unwrap();
    let row = ledger.row(TEA, HERE).unwrap();
    format!("{}/{}/{}/{}", row.available.0, row.held.0, row.committed.0, row.backordered.0)
}

#[test]
fn a_hold_takes_what_is_here_and_is_owed_the_rest() {
    let mut ledger = shop(3);
    let held = hold(&mut ledger, 0, 1, 5).unwrap();
    assert_eq!((held.lines[0].taken, held.lines[0].backordered, row(&ledger)), (Units(3), Units(2), "0/3/0/2".to_owned()));
    let Err(HoldRefused::Short { lines }) = hold(&mut ledger, 0, 2, 9) else { panic!("the row may owe eight more") };
    assert_eq!(lines[0].available, Units(8));
    hold(&mut ledger, 0, 2, 8).unwrap();
    assert_eq!(row(&ledger), "0/3/0/10");
    // The oldest first; the answer stays as it was.
    came(&mut ledger, 1, 4);
    assert_eq!(filled(&mut ledger, 1), "1:2<0 and more");
    assert_eq!((filled(&mut ledger, 9), row(&ledger)), ("2:2<6".to_owned(), "0/7/0/6".to_owned()));
    let again = hold(&mut ledger, 0, 1, 5).unwrap();
    assert!(again.replayed && again.lines[0].taken == Units(3) && again.lines[0].backordered == Units(2));
}

#[test]
fn what_has_come_is_for_those_who_wait() {
    let mut ledger = shop(0);
    hold(&mut ledger, 0, 1, 4).unwrap();
    came(&mut ledger, 1, 5);
    // Five are here, four of them owed: a new hold takes one and waits for the other.
    let held = hold(&mut ledger, 0, 2, 2).unwrap();
    assert_eq!((held.lines[0].taken, held.lines[0].backordered), (Units(1), Units(1)));
    assert_eq!((filled(&mut ledger, 9), row(&ledger)), ("1:4<0".to_owned(), "0/5/0/1".to_owned()));
}

#[test]
fn an_end_returns_what_was_given_and_waives_what_is_owed() {
    for (committed, after_release) in [(false, "4/0/0/0"), (true, "0/0/4/2")] {
        let mut ledger = shop(1);
        hold(&mut ledger, 0, 1, 6).unwrap();
        if committed {
            ledger.commit(Millis(0), HoldId(1)).unwrap();
            assert_eq!(row(&ledger), "0/0/1/5");
        }
        came(&mut ledger, 1, 3);
        assert_eq!(filled(&mut ledger, 9), "1:3<2");
        assert_eq!(ledger.release(Millis(0), HoldId(1)) == Ok(Released::Returned { replayed: false }), !committed);
        assert_eq!(row(&ledger), after_release);
        if committed {
            let some = [Line { sku: TEA, location: HERE, quantity: Units(4) }];
            let back = ledger.restock(Millis(0), MovementId(9), HoldId(1), Some(&some)).unwrap();
            assert_eq!((back.units, back.left, back.owed), (4, 0, 2)); // still owed, so not over
            assert_eq!((filled(&mut ledger, 9), row(&ledger)), ("1:2<0".to_owned(), "2/0/2/0".to_owned()));
            assert_eq!(ledger.restock(Millis(0), MovementId(10), HoldId(1), None).unwrap().left, 0);
        }
    }
    let mut ledger = shop(0);
    hold(&mut ledger, 0, 1, 6).unwrap();
    assert_eq!(ledger.expire(Millis(100), 9).ids, [HoldId(1)]);
    came(&mut ledger, 1, 6);
    assert_eq!((filled(&mut ledger, 9), row(&ledger)), (String::new(), "6/0/0/0".to_owned()));
}

#[test]
fn preorders_end_on_their_day() {
    let mut ledger = shop(0);
    ledger.set_policy(Millis(0), TEA, HERE, Policy::Preorder { limit: Units(5), until: Millis(50) }).unwrap();
    hold(&mut ledger, 49, 1, 3).unwrap();
    assert!(matches!(hold(&mut ledger, 50, 2, 1), Err(HoldRefused::Short { .. })));
    assert_eq!(row(&ledger), "0/0/0/3"); // what was promised stays owed
}

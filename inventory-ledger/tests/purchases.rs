//! How much one order and one customer may have.

use inventory_ledger::{
    Customer, Full, Held, HoldId, HoldRefused, HoldRequest, Ledger, Limits, Line, Location, Millis, MovementId, Owner, PurchaseLimit, Sku,
    Units,
};

const TEA: Sku = Sku(1);
const ANN: Customer = Customer(7);
const BOB: Customer = Customer(8);

/// Two locations with a hundred each; three an order, five a customer.
fn shop() -> Ledger {
    let mut ledger = Ledger::new(Limits { purchase_limits_max: 1, ..Limits::default() });
    ledger.open_row(Millis(0), MovementId(1), TEA, Location(1), Units(100)).unwrap();
    let limit = PurchaseLimit { per_order: Some(Units(3)), per_customer: Some(Units(5)) };
    ledger.set_purchase_limit(Millis(0), TEA, limit).unwrap();
    // A row that comes later is limited like the others.
    ledger.open_row(Millis(0), MovementId(2), TEA, Location(2), Units(100)).unwrap();
    assert_eq!(ledger.set_purchase_limit(Millis(0), Sku(2), limit), Err(Full::PurchaseLimits));
    ledger
}

fn buy(ledger: &mut Ledger, id: u128, customer: Option<Customer>, here: u32, there: u32) -> Result<Held, HoldRefused> {
    let line = |location, quantity| Line { sku: TEA, location: Location(location), quantity: Units(quantity) };
    let lines: Vec<Line> = [line(1, here), line(2, there)].into_iter().filter(|line| line.quantity > Units(0)).collect();
    let held = ledger.hold(Millis(0), &HoldRequest { customer, ..HoldRequest::new(HoldId(id), Owner(1), &lines, 100) });
    ledger.check().unwrap();
    held
}

fn allowed(refused: Result<Held, HoldRefused>) -> u32 {
    let Err(HoldRefused::OverLimit { allowed, .. }) = refused else { panic!("{refused:?}") };
    allowed.0
}

#[test]
fn the_locations_add_up() {
    let mut ledger = shop();
    assert_eq!(allowed(buy(&mut ledger, 1, None, 0, 4)), 3);
    assert_eq!(allowed(buy(&mut ledger, 1, None, 2, 2)), 3);
    buy(&mut ledger, 1, None, 2, 1).unwrap();
    buy(&mut ledger, 2, Some(ANN), 2, 1).unwrap();
    assert_eq!(allowed(buy(&mut ledger, 3, Some(ANN), 0, 3)), 2);
    buy(&mut ledger, 3, Some(BOB), 0, 3).unwrap();
    assert_eq!((ledger.purchased(ANN, TEA), ledger.purchased(BOB, TEA)), (3, 3));
}

#[test]
fn what_comes_back_may_be_bought_again() {
    let mut ledger = shop();
    buy(&mut ledger, 1, Some(ANN), 3, 0).unwrap();
    buy(&mut ledger, 2, Some(ANN), 2, 0).unwrap();
    assert_eq!(allowed(buy(&mut ledger, 3, Some(ANN), 1, 0)), 0);
    assert!(buy(&mut ledger, 2, Some(ANN), 2, 0).unwrap().replayed); // known: not asked again
    assert_eq!(buy(&mut ledger, 2, Some(BOB), 2, 0), Err(HoldRefused::IdReused));
    assert_eq!(buy(&mut ledger, 2, None, 2, 0), Err(HoldRefused::IdReused));
    ledger.release(Millis(0), HoldId(2)).unwrap();
    let two = [Line { sku: TEA, location: Location(1), quantity: Units(2) }];
    ledger.commit_part(Millis(0), HoldId(1), &two).unwrap();
    assert_eq!(ledger.purchased(ANN, TEA), 2);
    ledger.restock(Millis(0), MovementId(9), HoldId(1), Some(&[Line { quantity: Units(1), ..two[0] }])).unwrap();
    ledger.forget(Millis(0), HoldId(1)).unwrap();
    assert_eq!(ledger.purchased(ANN, TEA), 1); // for as long as the id is remembered
    while ledger.sweep(Millis(90_000_000), 9).more {}
    assert_eq!((ledger.purchased(ANN, TEA), ledger.usage().purchases), (0, 0));
    ledger.check().unwrap();
}

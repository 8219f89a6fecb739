//! Small histories of goods that come, go and are set apart, each with its last answer and the rows it leaves.

use inventory_ledger::{
    Arrival, GoodsRefused, Ledger, Limits, Line, Location, Millis, MovementId, Reference, Restore, Row, Sku, UNITS_MAX, Unavailable, Units,
};

const TEA: Sku = Sku(1);
const HERE: Location = Location(1);
const THERE: Location = Location(2);

struct Shop {
    ledger: Ledger,
    movements: u128,
}

impl Shop {
    fn new(tea: u32) -> Self {
        let mut ledger = Ledger::new(Limits::default());
        ledger.open_row(Millis(0), MovementId(0), TEA, HERE, Units(tea)).unwrap();
        Self { ledger, movements: 0 }
    }

    fn id(&mut self) -> MovementId {
        self.movements += 1;
        MovementId(self.movements)
    }

    /// `available/unavailable/incoming/in transit`, here and there.
    fn rows(&self) -> [String; 2] {
        self.ledger.check().unwrap();
        let show = |row: Row| format!("{}/{}/{}/{}", row.available.0, row.unavailable.0, row.incoming.0, row.in_transit.0);
        [HERE, THERE].map(|place| self.ledger.row(TEA, place).map_or_else(|| "none".to_owned(), show))
    }
}

fn tea(location: Location, quantity: u32) -> Line {
    Line { sku: TEA, location, quantity: Units(quantity) }
}

fn came(whole: u32, damaged: u32, lost: u32) -> Arrival {
    Arrival { sku: TEA, whole: Units(whole), damaged: Units(damaged), lost: Units(lost) }
}

#[test]
fn a_delivery_is_all_or_nothing() {
    let mut shop = Shop::new(5);
    let lines = [tea(HERE, 2), tea(THERE, 3), tea(HERE, 1)];
    let goods = shop.ledger.receive(Millis(0), MovementId(7), &lines).unwrap();
    assert_eq!((goods.units, goods.opened, goods.replayed), (6, 1, false));
    assert_eq!(shop.rows(), ["8/0/0/0", "3/0/0/0"]);
    assert!(shop.ledger.receive(Millis(1), MovementId(7), &lines).unwrap().replayed);
    assert_eq!(shop.ledger.receive(Millis(1), MovementId(7), &lines[1..]), Err(GoodsRefused::IdReused));
    // Its last line does not fit, so nothing is booked, and no row is opened for the others.
    let other = Line { sku: Sku(2), ..lines[0] };
    let refused = shop.ledger.receive(Millis(1), MovementId(8), &[other, tea(HERE, 1), tea(HERE, UNITS_MAX.0 - 8)]);
    assert_eq!(refused, Err(GoodsRefused::Overflow { index: 1, there: Units(8) }));
    assert_eq!((shop.rows()[0].as_str(), shop.ledger.row(Sku(2), HERE)), ("8/0/0/0", None));
}

#[test]
fn announcements_are_received_in_parts_and_beyond() {
    let mut shop = Shop::new(0);
    let supply = MovementId(100);
    shop.ledger.announce(Millis(0), supply, Millis(50), Reference(9), &[tea(HERE, 10), tea(THERE, 4)]).unwrap();
    assert_eq!(shop.rows(), ["0/0/10/0", "0/0/4/0"]);
    let expected = shop.ledger.expected(TEA, HERE);
    assert_eq!((expected[0].due, expected[0].reference, expected[0].units), (Millis(50), Reference(9), Units(10)));

    let id = shop.id();
    let part = shop.ledger.receive_announced(Millis(60), id, supply, &[tea(HERE, 3)]).unwrap();
    assert_eq!((part.left, part.surplus, shop.rows()), (11, 0, ["3/0/7/0".to_owned(), "0/0/4/0".to_owned()]));
    let id = shop.id();
    let more = shop.ledger.receive_announced(Millis(60), id, supply, &[tea(HERE, 9)]).unwrap();
    assert_eq!((more.left, more.surplus, shop.rows()), (4, 2, ["12/0/0/0".to_owned(), "0/0/4/0".to_owned()]));
    let id = shop.id();
    assert_eq!(shop.ledger.withdraw(Millis(61), id, supply).unwrap().units, 4);
    assert_eq!(shop.rows(), ["12/0/0/0", "0/0/0/0"]);
    let id = shop.id();
    assert_eq!(shop.ledger.receive_announced(Millis(61), id, supply, &[tea(HERE, 1)]), Err(GoodsRefused::Unknown));
}

#[test]
fn nothing_is_lost_on_the_way_but_what_is_said_to_be() {
    let mut shop = Shop::new(20);
    let shipment = MovementId(100);
    shop.ledger.send(Millis(0), shipment, THERE, &[tea(HERE, 12)]).unwrap();
    assert_eq!(shop.rows(), ["8/0/0/0", "0/0/0/12"]);
    assert_eq!(shop.ledger.under_way(TEA, THERE)[0].units, Units(12));
    let id = shop.id();
    assert_eq!(
        shop.ledger.arrive(Millis(1), id, shipment, Some(&[came(12, 1, 0)])),
        Err(GoodsRefused::TooMany { index: 0, requested: Units(13), left: Units(12) })
    );
    let id = shop.id();
    let part = shop.ledger.arrive(Millis(1), id, shipment, Some(&[came(5, 2, 1)])).unwrap();
    assert_eq!((part.units, part.left, shop.rows()), (7, 4, ["8/0/0/0".to_owned(), "5/2/0/4".to_owned()]));
    assert_eq!(shop.ledger.unavailable(TEA, THERE), [2, 0, 0, 0].map(Units));

    // What is saved in the middle of it is restored, columns of readers included.
    let mut restore = Restore::new(shop.ledger.limits());
    shop.ledger.save().for_each(|item| restore.put(item).unwrap());
    let again = restore.finish().unwrap();
    assert_eq!((again.digest(), again.reader().row(TEA, THERE)), (shop.ledger.digest(), shop.ledger.row(TEA, THERE)));
    shop.ledger = again;

    let id = shop.id();
    shop.ledger.recall(Millis(2), id, shipment).unwrap();
    assert_eq!(shop.rows(), ["12/0/0/0", "5/2/0/0"]);
    let id = shop.id();
    assert_eq!(shop.ledger.arrive(Millis(2), id, shipment, None), Err(GoodsRefused::Unknown));
}

#[test]
fn what_is_set_apart_is_not_for_sale() {
    let mut shop = Shop::new(9);
    for (why, units) in [(Unavailable::Damaged, 2), (Unavailable::Safety, 3)] {
        let id = shop.id();
        shop.ledger.set_apart(Millis(0), id, TEA, HERE, why, Units(units)).unwrap();
    }
    assert_eq!((shop.rows()[0].as_str(), shop.ledger.unavailable(TEA, HERE)), ("4/5/0/0", [2, 0, 3, 0].map(Units)));
    let id = shop.id();
    let refused = shop.ledger.set_apart(Millis(0), id, TEA, HERE, Unavailable::Other, Units(5));
    assert_eq!(refused.unwrap_err().to_string(), "only 4 are available (0 held, 0 committed)");
    let id = shop.id();
    let refused = shop.ledger.put_back(Millis(0), id, TEA, HERE, Unavailable::Damaged, Units(3));
    assert_eq!(refused.unwrap_err().to_string(), "only 2 are set apart for this reason");
    let id = shop.id();
    shop.ledger.put_back(Millis(0), id, TEA, HERE, Unavailable::Safety, Units(1)).unwrap();
    let id = shop.id();
    assert_eq!(shop.ledger.write_off(Millis(0), id, TEA, HERE, Unavailable::Damaged, Units(2)).unwrap().row.on_hand(), Units(7));
    assert_eq!((shop.rows()[0].as_str(), shop.ledger.unavailable(TEA, HERE)), ("5/2/0/0", [0, 0, 2, 0].map(Units)));
}

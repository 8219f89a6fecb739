//! How a checkout is refused before there is an order: each reason, and their order.

use super::{HOLD_TTL_MS, Shop, nowhere, price, sku, usd};
use crate::domain::cart::CartState;
use crate::partition::{Done, orders::ORDERS_FAILED_MAX};
use crate::record::v1::{Command, Entry, GATHER_AGE_MS_MAX, HoldLine, PlaceOrder, Source, Sourcing};
use wire::limits::AMOUNT_MAX;
use wire::{CartId, Currency, Millis, Money, PartitionId, Refusal, Shortage};

type Spoil = fn(&mut PlaceOrder);

fn source(place: &mut PlaceOrder) -> &mut Vec<Source> {
    match &mut place.plan {
        Sourcing::From(sources) => sources,
        Sourcing::Short(_) => panic!("the plan serves the cart"),
    }
}

#[test] // Each row spoils what was gathered for a cart (version 4) of 2 × SKU 1 and 1 × SKU 2, 400 in all.
fn each_reason_is_named() {
    let rows: [(&str, Spoil, Refusal); 21] = [
        ("no such cart", |place| place.cart = CartId(nowhere()), Refusal::NotFound),
        ("another version", |place| place.cart_version = 3, Refusal::VersionMismatch { current: 4 }),
        ("a line less", |place| _ = place.lines.pop(), Refusal::VersionMismatch { current: 4 }),
        ("another quantity", |place| place.lines[0].quantity = 3, Refusal::VersionMismatch { current: 4 }),
        ("another order of lines", |place| place.lines.swap(0, 1), Refusal::VersionMismatch { current: 4 }),
        ("no price", |place| place.lines[1].unit_price = None, Refusal::NotForSale(vec![sku(2)])),
        (
            "a price in another currency",
            |place| {
                let currency = "EUR".parse().expect("three capitals");
                place.lines.iter_mut().for_each(|line| line.unit_price = Some(Money { amount: 100, currency }));
            },
            Refusal::NotForSale(vec![sku(1), sku(2)]),
        ),
        ("old prices", |place| place.gathered_at.0 -= GATHER_AGE_MS_MAX + 1, Refusal::PricesOutdated),
        ("another total", |place| place.accept_total = usd(399), Refusal::TotalChanged { total: usd(400) }),
        (
            "a total in another currency",
            |place| place.accept_total = Money { amount: 400, currency: "EUR".parse().expect("three capitals") },
            Refusal::TotalChanged { total: usd(400) },
        ),
        ("another price", |place| place.lines[0].unit_price = Some(usd(101)), Refusal::TotalChanged { total: usd(402) }),
        (
            "no stock",
            |place| {
                let short = |number, requested| crate::record::v1::ShortLine { sku: sku(number), requested, available: 0 };
                place.plan = Sourcing::Short(vec![short(2, 1)]);
            },
            Refusal::InsufficientStock(vec![Shortage { line: 1, sku: sku(2), requested: 1, available: 0 }]),
        ),
        ("a plan of nothing", |place| source(place).clear(), Refusal::VersionMismatch { current: 4 }),
        ("a plan for less", |place| _ = source(place)[0].lines.pop(), Refusal::VersionMismatch { current: 4 }),
        ("a plan for more", |place| source(place)[0].lines[0].quantity += 1, Refusal::VersionMismatch { current: 4 }),
        (
            "a plan with nothing from somewhere",
            |place| {
                let mut empty = source(place)[0].clone();
                (empty.location, empty.lines) = ("elsewhere".to_owned(), Vec::new());
                source(place).push(empty);
            },
            Refusal::VersionMismatch { current: 4 },
        ),
        (
            "a plan with a location twice",
            |place| {
                let mut again = source(place)[0].clone();
                source(place)[0].lines.truncate(1);
                again.lines.remove(0);
                source(place).push(again);
            },
            Refusal::VersionMismatch { current: 4 },
        ),
        (
            "a plan with a line of nothing",
            |place| source(place)[0].lines.push(HoldLine { sku: sku(1), quantity: 0 }),
            Refusal::VersionMismatch { current: 4 },
        ),
        // What comes first is named first.
        (
            "no price and another total",
            |place| {
                place.lines[0].unit_price = None;
                place.accept_total = usd(0);
            },
            Refusal::NotForSale(vec![sku(1)]),
        ),
        (
            "another version and no price",
            |place| {
                place.cart_version = 9;
                place.lines[0].unit_price = None;
            },
            Refusal::VersionMismatch { current: 4 },
        ),
        (
            "another total and no stock",
            |place| {
                place.accept_total = usd(1);
                place.plan = Sourcing::Short(Vec::new());
            },
            Refusal::TotalChanged { total: usd(400) },
        ),
    ];
    for (name, spoil, refusal) in rows {
        let mut shop = Shop::new(&[&[(1, 9), (2, 9)]]);
        let cart = shop.cart(&[(1, 2), (2, 1)]);
        let mut place = shop.gather(cart, "visa");
        spoil(&mut place);
        assert_eq!(shop.place(place), Err(refusal), "{name}");
        assert_eq!(shop.partition.orders().count(), 0, "{name}: no order is left behind");
        let found = shop.partition.cart(cart).expect("kept");
        assert_eq!((found.state, found.version), (CartState::Open, 4), "{name}: the cart is as it was");
        assert!(shop.partition.outbox().open.is_empty(), "{name}: nothing is asked for");
        shop.check();
    }
}

#[test]
fn sums_that_are_no_amount_are_invalid() {
    for amount in [AMOUNT_MAX, i64::MAX, -1] {
        let mut shop = Shop::new(&[&[(1, 9)]]);
        let cart = shop.cart(&[(1, 2)]);
        let mut place = shop.gather(cart, "visa");
        place.lines[0].unit_price = Some(usd(amount));
        assert!(matches!(shop.place(place), Err(Refusal::Invalid(_))), "{amount}");
    }
}

#[test]
fn prices_may_be_as_old_as_the_bound_or_from_a_clock_ahead() {
    for gathered_at in [super::MIDNIGHT.0 - GATHER_AGE_MS_MAX, super::MIDNIGHT.0 + 5_000] {
        let mut shop = Shop::new(&[&[(1, 9)]]);
        let cart = shop.cart(&[(1, 1)]);
        let mut place = shop.gather(cart, "visa");
        place.gathered_at = Millis(gathered_at);
        assert!(shop.place(place).is_ok(), "{gathered_at}");
    }
}

#[test]
fn a_cart_must_be_open_filled_and_addressed() {
    let mut shop = Shop::new(&[&[(1, 9)]]);
    let Ok(Done::Cart(bare)) = shop.apply(Command::CreateCart { currency: Currency::USD }) else { panic!("a cart") };
    let place = shop.gather(bare, "visa");
    assert_eq!(shop.place(place), Err(Refusal::CartEmpty), "before the missing address");
    let line = Command::AddLine { cart: bare, sku: sku(1), product: super::product(1), quantity: 1 };
    assert_eq!(shop.apply(line), Ok(Done::Cart(bare)));
    let place = shop.gather(bare, "visa");
    assert_eq!(shop.place(place), Err(Refusal::AddressRequired));

    let cart = shop.cart(&[(1, 1)]);
    let place = shop.gather(cart, "visa");
    let stale = Entry { if_match: Some(1), ..Entry::of(Command::PlaceOrder(Box::new(place.clone()))) };
    assert_eq!(shop.apply_entry(stale).outcome, Err(Refusal::VersionMismatch { current: 3 }));
    assert!(shop.place(place.clone()).is_ok());
    assert_eq!(shop.place(place.clone()), Err(Refusal::CartCheckingOut));
    shop.run();
    assert_eq!(shop.place(place), Err(Refusal::CartClosed));

    let cart = shop.cart(&[(1, 1)]);
    shop.now = shop.now.plus(crate::domain::cart::CART_GUEST_TTL_MS);
    let place = shop.gather(cart, "visa");
    assert_eq!(shop.place(place), Err(Refusal::CartClosed), "abandoned, though not yet swept");
}

#[test]
fn an_order_keeps_what_was_agreed() {
    let mut shop = Shop::new(&[&[(1, 9), (2, 9)]]);
    let cart = shop.cart(&[(1, 2), (2, 1)]);
    let id = shop.checkout(cart, "visa");
    let order = shop.order(id);
    assert_eq!((order.number.to_string().as_str(), order.version, order.cart), ("03-000001", 1, cart));
    assert_eq!((order.totals.subtotal, order.totals.total), (usd(400), usd(400)));
    let lines: Vec<_> = order.lines.iter().map(|line| (line.sku, line.quantity, line.unit_price, line.title.as_str())).collect();
    assert_eq!(lines, [(sku(1), 2, price(sku(1)), "thing 1"), (sku(2), 1, price(sku(2)), "thing 2")]);
    assert_eq!(super::keyring().open(&order.address).as_ref(), Ok(&super::address()));
    assert_eq!(super::keyring().open(&order.email).as_deref(), Ok("ada@example.org"));
    assert!(!order.listed() && !order.settled(), "it has only begun");

    // One hold is asked of the location; nothing personal is in the outbox.
    let effects: Vec<_> = shop.partition.outbox().open.values().collect();
    let [effect] = effects[..] else { panic!("one effect") };
    let crate::partition::outbox::Target::Partition(PartitionId(10), Command::Hold { order, ttl_ms, lines, .. }) = &effect.target else {
        panic!("a hold, not {effect:?}")
    };
    assert_eq!((*order, *ttl_ms, lines.len()), (id, HOLD_TTL_MS, 2));
    let again = shop.cart(&[(1, 1)]);
    let second = shop.checkout(again, "visa");
    assert_eq!(shop.order(second).number.to_string(), "03-000002");
}

#[test] // The tables are too large to fill in a test: their counts are set instead.
fn a_partition_takes_so_many_undecided_and_failed_orders() {
    let mut shop = Shop::new(&[&[(1, 9)]]);
    let cart = shop.cart(&[(1, 1)]);
    let place = shop.gather(cart, "visa");
    shop.partition.orders.times.placing = ORDERS_FAILED_MAX;
    let refusal = Refusal::LimitReached { what: "undecided and failed orders of a partition".to_owned(), max: ORDERS_FAILED_MAX as u64 };
    assert_eq!(shop.place(place.clone()), Err(refusal));
    assert_eq!(shop.partition.cart(cart).expect("kept").state, CartState::Open);
    shop.partition.orders.times.placing = 0;
    assert!(shop.place(place).is_ok());
    shop.check();
}

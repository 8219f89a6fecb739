//! Commands of carts: what each does, what it refuses, and when carts are swept.

use super::{DECIDE_MS, Shop, nowhere, product, sku};
use crate::domain::cart::{CART_EMPTY_TTL_MS, CART_GUEST_TTL_MS, CartState};
use crate::partition::{Changes, Done, carts::CARTS_MAX};
use crate::record::v1::{Command, Entry};
use wire::limits::{CART_LINES_MAX, LINE_QUANTITY_MAX};
use wire::{CartId, CartStatus, Currency, LineId, Refusal};

fn add(cart: CartId, number: u16, quantity: u32) -> Command {
    Command::AddLine { cart, sku: sku(number), product: product(number), quantity }
}

/// Is it the refusal wanted?
type Fits = fn(&Refusal) -> bool;

fn limit_of(what: &str, max: u64) -> Refusal {
    Refusal::LimitReached { what: what.to_owned(), max }
}

#[test]
fn adding_a_sku_again_sums_into_its_line() {
    let mut shop = Shop::new(&[]);
    let cart = shop.cart(&[(1, 2), (2, 1), (1, 3)]);
    let found = shop.partition.cart(cart).expect("made above");
    let lines: Vec<_> = found.lines.iter().map(|line| (line.sku, line.quantity)).collect();
    assert_eq!(lines, [(sku(1), 5), (sku(2), 1)]);
    assert_eq!(found.version, 5, "made, three lines, an address");
    shop.check();
}

#[test]
fn quantities_are_set_and_zero_removes() {
    let mut shop = Shop::new(&[]);
    let cart = shop.cart(&[(1, 2), (2, 1)]);
    let line = shop.partition.cart(cart).expect("made above").lines[0].id;
    let set = |quantity| Command::SetLineQuantity { cart, line, quantity };
    let version = |shop: &Shop| shop.partition.cart(cart).expect("made above").version;
    assert_eq!((shop.apply(set(7)), version(&shop)), (Ok(Done::Cart(cart)), 5));
    assert_eq!((shop.apply(set(7)), version(&shop)), (Ok(Done::Cart(cart)), 5), "nothing changed");
    assert_eq!((shop.apply(set(0)), version(&shop)), (Ok(Done::Cart(cart)), 6));
    assert_eq!(shop.apply(set(1)), Err(Refusal::NotFound), "the line is gone");
    assert_eq!(shop.partition.cart(cart).expect("made above").lines.len(), 1);
    shop.check();
}

#[test] // Each row: a command on a cart with SKU 1, and how it is refused.
fn bad_changes_are_refused() {
    let mut shop = Shop::new(&[]);
    let cart = shop.cart(&[(1, LINE_QUANTITY_MAX - 1)]);
    let line = shop.partition.cart(cart).expect("made above").lines[0].id;
    let before = shop.partition.cart(cart).cloned();
    let limit = |refusal: &Refusal| *refusal == limit_of("units of a line", u64::from(LINE_QUANTITY_MAX));
    let invalid = |refusal: &Refusal| matches!(refusal, Refusal::Invalid(_));
    let not_found = |refusal: &Refusal| *refusal == Refusal::NotFound;
    let rows: [(Command, Fits); 9] = [
        (add(cart, 1, 2), limit),
        (add(cart, 1, u32::MAX), limit),
        (add(cart, 2, LINE_QUANTITY_MAX + 1), limit),
        (add(cart, 2, 0), invalid),
        (add(CartId(nowhere()), 1, 1), not_found),
        (Command::SetLineQuantity { cart, line, quantity: LINE_QUANTITY_MAX + 1 }, invalid),
        (Command::SetLineQuantity { cart, line: LineId(nowhere()), quantity: 1 }, not_found),
        (Command::SetLineQuantity { cart, line: LineId(nowhere()), quantity: 0 }, not_found),
        (Command::SetLineQuantity { cart: CartId(nowhere()), line, quantity: 0 }, not_found),
    ];
    for (command, fits) in rows {
        let refusal = shop.apply(command.clone()).expect_err("refused");
        assert!(fits(&refusal), "{command:?} → {refusal:?}");
        assert_eq!(shop.partition.cart(cart).cloned(), before, "{command:?} changed something");
    }
}

#[test]
fn a_cart_takes_so_many_lines() {
    let mut shop = Shop::new(&[]);
    let lines: Vec<(u16, u32)> = (0..CART_LINES_MAX as u16).map(|number| (number, 1)).collect();
    let cart = shop.cart(&lines);
    let refusal = shop.apply(add(cart, 9_999, 1)).expect_err("one too many");
    assert_eq!(refusal, limit_of("lines of a cart", CART_LINES_MAX as u64));
    assert_eq!(shop.apply(add(cart, 0, 1)), Ok(Done::Cart(cart)), "a line that is there still grows");
}

#[test]
fn a_stale_version_is_refused() {
    let mut shop = Shop::new(&[]);
    let cart = shop.cart(&[(1, 1)]);
    let entry = |if_match| Entry { if_match: Some(if_match), ..Entry::of(add(cart, 1, 1)) };
    assert_eq!(shop.apply_entry(entry(2)).outcome, Err(Refusal::VersionMismatch { current: 3 }));
    assert_eq!(shop.apply_entry(entry(3)).outcome, Ok(Done::Cart(cart)));
}

#[test]
fn only_open_carts_change() {
    let mut shop = Shop::new(&[&[(1, 9)]]);
    let cart = shop.cart(&[(1, 1)]);
    let line = shop.partition.cart(cart).expect("made above").lines[0].id;
    let order = shop.checkout(cart, "visa");
    for command in [add(cart, 1, 1), Command::SetLineQuantity { cart, line, quantity: 0 }] {
        assert_eq!(shop.apply(command), Err(Refusal::CartCheckingOut));
    }
    shop.run();
    assert_eq!(shop.partition.cart(cart).expect("kept").state, CartState::Ordered { order });
    for command in [add(cart, 1, 1), Command::SetLineQuantity { cart, line, quantity: 0 }] {
        assert_eq!(shop.apply(command), Err(Refusal::CartClosed));
    }
}

#[test]
fn carts_left_alone_are_abandoned_and_swept() {
    let mut shop = Shop::new(&[]);
    let Ok(Done::Cart(empty)) = shop.apply(Command::CreateCart { currency: Currency::USD }) else { panic!("a cart") };
    let full = shop.cart(&[(1, 1)]);
    let now = shop.now;
    let expires_at = |shop: &Shop, cart| shop.partition.cart(cart).expect("there").expires_at();
    assert_eq!(expires_at(&shop, empty), now.plus(CART_EMPTY_TTL_MS));
    assert_eq!(expires_at(&shop, full), now.plus(CART_GUEST_TTL_MS));

    // Before the sweep comes to it, it is closed all the same.
    shop.now = now.plus(CART_EMPTY_TTL_MS);
    assert_eq!(shop.partition.cart(empty).expect("there").status(shop.now), CartStatus::Abandoned);
    assert_eq!(shop.apply(add(empty, 1, 1)), Err(Refusal::CartClosed));
    shop.pass(0);
    assert_eq!(shop.apply(add(empty, 1, 1)), Err(Refusal::NotFound));

    // A change gives the other its full time again.
    assert_eq!(shop.apply(add(full, 1, 1)), Ok(Done::Cart(full)));
    shop.pass(CART_GUEST_TTL_MS - 1);
    assert!(shop.partition.cart(full).is_some());
    shop.pass(1);
    assert!(shop.partition.cart(full).is_none());
    shop.check();
    shop.check_replay();
}

#[test]
fn a_cart_outlives_its_time_while_its_checkout_runs() {
    let mut shop = Shop::new(&[&[(1, 9)]]);
    let cart = shop.cart(&[(1, 1)]);
    shop.now = shop.now.plus(CART_GUEST_TTL_MS - 1);
    shop.checkout(cart, "visa");
    shop.pass(DECIDE_MS - 1);
    assert_eq!(shop.partition.cart(cart).expect("kept").status(shop.now), CartStatus::CheckingOut);
    shop.check();
}

#[test]
fn a_partition_takes_so_many_carts() {
    let mut shop = Shop::new(&[]);
    let make = Entry::of(Command::CreateCart { currency: Currency::USD });
    for _ in 0..CARTS_MAX {
        assert!(shop.partition.apply(shop.now, &make, &mut Changes::default()).outcome.is_ok());
    }
    let one_more = shop.partition.apply(shop.now, &make, &mut Changes::default()).outcome;
    assert_eq!(one_more, Err(limit_of("carts of a partition", CARTS_MAX as u64)));
    // Sweeping makes room, a bounded number at a time.
    shop.pass(CART_EMPTY_TTL_MS);
    assert!(shop.apply(make.command).is_ok());
    shop.check();
}

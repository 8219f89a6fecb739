//! How checkouts, payment actions and cancels end, one script at a time.

use super::{DECIDE_MS, HOLD_TTL_MS, LEASE_MS, Message, Shop, nowhere, price, sku, usd};
use crate::domain::cart::CartState;
use crate::domain::order::{ORDER_EVENTS_MAX, Saga};
use crate::partition::orders::ORDER_FAILED_KEEP_MS;
use crate::partition::{Applied, Done};
use crate::record::v1::{Command, PeerOutcome, Sourcing};
use wire::{ActionOutcome, CartId, Idempotency, LineState, OrderId, OrderStatus, PartitionId, PaymentStatus, Refusal, Shortage};

const EAST: PartitionId = PartitionId(10);
const WEST: PartitionId = PartitionId(11);

/// Two locations that have to share an order of 3 × SKU 1.
fn two_places() -> (Shop, CartId) {
    let mut shop = Shop::new(&[&[(1, 2), (2, 5)], &[(1, 4)]]);
    let cart = shop.cart(&[(1, 3), (2, 1)]);
    (shop, cart)
}

fn declined(code: &str) -> Option<Refusal> {
    Some(Refusal::PaymentDeclined { decline_code: code.to_owned() })
}

/// Where an order is: status, payment, (held, committed), refusal.
fn stand(shop: &Shop, id: OrderId) -> (OrderStatus, PaymentStatus, (u32, u32), Option<Refusal>) {
    let order = shop.order(id);
    (order.status, order.payment_status(), shop.units(id), order.refusal())
}

fn cart_is_open(shop: &Shop, cart: CartId) -> bool {
    shop.partition.cart(cart).expect("kept").state == CartState::Open
}

#[test] // Each row: token, capture at once?, then status, payment, units held and committed, refusal, history.
fn cards_end_as_they_should() {
    let done = "order.placed payment.authorised order.opened";
    for (token, capture, status, payment, units, refusal, history) in [
        ("visa", true, OrderStatus::Open, PaymentStatus::Captured, (0, 4), None, format!("{done} payment.captured")),
        ("visa", false, OrderStatus::Open, PaymentStatus::Authorised, (0, 4), None, done.to_owned()),
        ("visa capture", true, OrderStatus::Open, PaymentStatus::Authorised, (0, 4), None, format!("{done} payment.capture_failed")),
        (
            "stolen",
            true,
            OrderStatus::Expired,
            PaymentStatus::Failed,
            (0, 0),
            declined("card_declined"),
            "order.placed payment.declined order.refused".to_owned(),
        ),
        ("3ds", true, OrderStatus::Placing, PaymentStatus::Pending, (4, 0), None, "order.placed payment.action_required".to_owned()),
    ] {
        let (mut shop, cart) = two_places();
        let mut place = shop.gather(cart, token);
        place.capture = capture;
        let Ok(Done::Order(id)) = shop.place(place) else { panic!("an order") };
        shop.run();
        assert_eq!((stand(&shop, id), shop.history(id)), ((status, payment, units, refusal.clone()), history), "{token}");
        assert_eq!(shop.settled, [id], "{token}: settled once");
        assert_eq!(shop.order(id).listed(), refusal.is_none(), "{token}");
        assert_eq!(cart_is_open(&shop, cart), refusal.is_some(), "{token}");
        shop.check_replay();
    }
}

#[test]
fn an_order_that_stands_has_its_lines_allocated() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    assert_eq!(shop.order(id).lines[0].quantities(), [(LineState::Reserved, 3)]);
    shop.run();
    let order = shop.order(id);
    assert_eq!(order.lines[0].quantities(), [(LineState::Allocated, 3)]);
    assert_eq!(order.holds.len(), 2, "one at each location");
    assert_eq!(order.payments[0].captured(), order.totals.total);
    assert_eq!(shop.partition.cart(cart).expect("kept").state, CartState::Ordered { order: id });
}

#[test]
fn nothing_to_pay_needs_no_payment() {
    let mut shop = Shop::new(&[&[(0, 5)]]);
    let cart = shop.cart(&[(0, 2)]);
    assert_eq!(price(sku(0)), usd(0));
    let id = shop.checkout(cart, "visa");
    shop.run();
    assert_eq!(stand(&shop, id), (OrderStatus::Open, PaymentStatus::None, (0, 2), None));
    assert_eq!(shop.apply(Command::CancelOrder { order: id, reason: "free".to_owned() }), Ok(Done::Order(id)));
    shop.run();
    assert_eq!(stand(&shop, id), (OrderStatus::Cancelled, PaymentStatus::None, (0, 0), None));
}

#[test] // A shortage found by a location, not by the plan; the third attempt is the last. Each row: shortages, units that come in after each, the end.
fn another_plan_is_tried_twice() {
    let short = Refusal::InsufficientStock(vec![Shortage { line: 0, sku: sku(1), requested: 5, available: 3 }]);
    for (shortages, comes_in, refusal) in [(1, 3, None), (2, 3, None), (3, 3, Some(Refusal::Contended)), (1, 0, Some(short))] {
        let mut shop = Shop::new(&[&[(1, 3)], &[(1, 3)]]);
        let cart = shop.cart(&[(1, 5)]);
        let id = shop.checkout(cart, "visa");
        for _ in 0..shortages {
            // The first location of the plan is bought empty before the hold comes.
            shop.places.get_mut(&EAST).expect("there").set(sku(1), 0);
            loop {
                let messages = shop.send();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    let answer = shop.deliver(message).expect("an answer");
                    shop.deliver(answer);
                }
                if matches!(shop.order(id).saga, Saga::NeedsSource { .. }) {
                    break;
                }
            }
            assert_eq!(shop.units(id), (0, 0), "what was held is given back before the next plan");
            // Plans are made from what is there, so that the next is served if nobody buys.
            if matches!(shop.order(id).saga, Saga::NeedsSource { .. }) {
                shop.places.get_mut(&EAST).expect("there").set(sku(1), comes_in);
                assert_eq!(shop.partition.orders_needing_source().collect::<Vec<_>>(), [id]);
                shop.plan_again(id);
            }
        }
        shop.run();
        assert_eq!(shop.order(id).refusal(), refusal, "{shortages}");
        assert_eq!(shop.history(id).matches("stock.short").count(), shortages);
        if refusal.is_none() {
            assert_eq!((shop.order(id).status, shop.units(id)), (OrderStatus::Open, (0, 5)));
        } else {
            assert_eq!((shop.order(id).status, shop.units(id)), (OrderStatus::Expired, (0, 0)));
            assert!(cart_is_open(&shop, cart) && shop.order(id).payments.is_empty());
        }
        shop.check_replay();
    }
}

#[test]
fn without_another_plan_the_shortage_is_the_answer() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    shop.places.get_mut(&WEST).expect("there").set(sku(1), 0);
    shop.run();
    let short = Shortage { line: 0, sku: sku(1), requested: 3, available: 2 };
    assert_eq!(stand(&shop, id), (OrderStatus::Expired, PaymentStatus::None, (0, 0), Some(Refusal::InsufficientStock(vec![short]))));
    assert_eq!(shop.settled, [id]);
    assert!(cart_is_open(&shop, cart) && !shop.order(id).listed());
    let version = shop.partition.cart(cart).expect("kept").version;
    assert_eq!(version, 6, "4 as filled, then checking out, then open again");

    // The cart can be tried again once there is stock.
    shop.places.get_mut(&WEST).expect("there").set(sku(1), 1);
    let again = shop.checkout(cart, "visa");
    shop.run();
    assert_eq!(shop.order(again).status, OrderStatus::Open);
}

#[test] // Each row: what a location refuses, and how the order ends.
fn locations_without_room_do_not_strand_anything() {
    for (refuses, status, units) in [
        ("hold", OrderStatus::Open, (0, 4)), // the next attempt
        ("pin", OrderStatus::Open, (0, 4)),
        ("commit", OrderStatus::Expired, (0, 0)), // decided and then lost: undone
    ] {
        let (mut shop, cart) = two_places();
        let id = shop.checkout(cart, "visa");
        shop.places.get_mut(&WEST).expect("there").refuses.push(refuses);
        shop.run();
        assert_eq!((shop.order(id).status, shop.units(id)), (status, units), "{refuses}");
        match status {
            OrderStatus::Open => {}
            _ => {
                assert_eq!(shop.order(id).refusal(), Some(Refusal::Contended), "{refuses}");
                assert_eq!(shop.order(id).payment_status(), PaymentStatus::Voided, "{refuses}");
                assert!(cart_is_open(&shop, cart), "{refuses}");
            }
        }
        shop.check_replay();
    }
}

#[test]
fn holds_that_expire_before_they_are_pinned_are_taken_anew() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    for message in shop.send() {
        let answer = shop.deliver(message).expect("an answer");
        shop.deliver(answer);
    }
    assert!(matches!(shop.order(id).saga, Saga::Pinning { attempt: 0 }));
    shop.pass(HOLD_TTL_MS);
    shop.run();
    assert_eq!(stand(&shop, id), (OrderStatus::Open, PaymentStatus::Captured, (0, 4), None));
    assert_eq!(shop.order(id).holds.iter().map(|hold| hold.attempt).collect::<Vec<_>>(), [1, 1]);
}

#[test] // Each row: what the buyer does, then status, payment, units, refusal.
fn the_buyer_acts() {
    for (token, action, status, payment, units, refusal) in [
        ("3ds", ActionOutcome::Success, OrderStatus::Open, PaymentStatus::Captured, (0, 4), None),
        ("3ds", ActionOutcome::Fail, OrderStatus::Expired, PaymentStatus::Failed, (0, 0), declined("card_declined")),
    ] {
        let (mut shop, cart) = two_places();
        let id = shop.checkout(cart, token);
        let act = Command::PaymentAction { order: id, outcome: action };
        assert_eq!(shop.apply(act.clone()), Err(Refusal::NoPendingAction), "not yet asked for");
        shop.run();
        assert_eq!(shop.order(id).next_action().map(|next| next.kind.as_str()), Some("three_d_secure"));
        assert!(shop.order(id).listed());
        assert_eq!(shop.apply(act.clone()), Ok(Done::Order(id)));
        assert_eq!(shop.apply(act.clone()), Err(Refusal::NoPendingAction), "once");
        shop.run();
        assert_eq!(stand(&shop, id), (status, payment, units, refusal), "{action:?}");
        assert_eq!(shop.settled, [id, id], "asked for the buyer, then through");
        assert_eq!(shop.apply(act), Err(Refusal::NoPendingAction));
        shop.check_replay();
    }
    let mut shop = Shop::new(&[]);
    let act = Command::PaymentAction { order: OrderId(nowhere()), outcome: ActionOutcome::Fail };
    assert_eq!(shop.apply(act), Err(Refusal::NotFound));
}

#[test]
fn a_buyer_who_does_not_act_loses_the_stock_only_after_the_void() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "3ds");
    shop.run();
    shop.pass(DECIDE_MS - 1);
    assert!(matches!(shop.order(id).saga, Saga::AwaitingAction { .. }));
    shop.pass(1);
    assert!(matches!(shop.order(id).saga, Saga::Voiding { .. }));
    assert_eq!(shop.units(id), (4, 0), "pinned until the provider has answered");
    shop.run();
    let refusal = Some(Refusal::OrderState { status: OrderStatus::Expired });
    assert_eq!(stand(&shop, id), (OrderStatus::Expired, PaymentStatus::Voided, (0, 0), refusal));
    assert_eq!(shop.settled, [id, id]);
    assert!(cart_is_open(&shop, cart) && !shop.order(id).listed());
    shop.check_replay();
}

#[test] // Each row: token, capture at once?, and how an order that stands ends when cancelled.
fn cancelling_gives_money_and_stock_back() {
    for (token, capture, status, payment, units, ends) in [
        ("visa", true, OrderStatus::Cancelled, PaymentStatus::Refunded, (0, 0), "payment.refunded order.cancelled"),
        ("visa", false, OrderStatus::Cancelled, PaymentStatus::Voided, (0, 0), "payment.voided order.cancelled"),
        ("visa capture", true, OrderStatus::Cancelled, PaymentStatus::Voided, (0, 0), "payment.voided order.cancelled"),
        ("visa refund", true, OrderStatus::Open, PaymentStatus::Captured, (0, 4), "payment.refund_failed"),
        ("visa void", false, OrderStatus::Cancelled, PaymentStatus::Failed, (0, 0), "payment.void_failed order.cancelled"),
    ] {
        let (mut shop, cart) = two_places();
        let mut place = shop.gather(cart, token);
        place.capture = capture;
        let Ok(Done::Order(id)) = shop.place(place) else { panic!("an order") };
        shop.run();
        let cancel = Command::CancelOrder { order: id, reason: "changed my mind".to_owned() };
        assert_eq!(shop.apply(cancel.clone()), Ok(Done::Order(id)));
        assert_eq!(shop.apply(cancel.clone()), Ok(Done::Order(id)), "asked twice, done once");
        shop.run();
        assert_eq!(stand(&shop, id), (status, payment, units, None), "{token}");
        assert!(shop.history(id).ends_with(&format!("order.cancel_requested {ends}")), "{token}: {}", shop.history(id));
        assert_eq!(shop.settled, [id, id], "{token}");
        assert!(!cart_is_open(&shop, cart) && shop.order(id).listed(), "{token}: the cart stays ordered");
        if status == OrderStatus::Cancelled {
            assert_eq!(shop.order(id).lines[0].quantities(), [(LineState::Cancelled, 3)]);
            assert_eq!(shop.apply(cancel), Err(Refusal::OrderState { status }), "{token}");
        }
        shop.check_replay();
    }
}

/// A shop whose order has had `rounds` rounds of messages delivered; the adapter's last answer may be held back.
fn after(rounds: usize, token: &str) -> (Shop, OrderId, Vec<Message>) {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, token);
    for _ in 0..rounds {
        for message in shop.send() {
            let answer = shop.deliver(message).expect("an answer");
            shop.deliver(answer);
        }
    }
    // Under way, but not answered.
    let answers = shop.send().into_iter().filter_map(|message| shop.deliver(message)).collect();
    (shop, id, answers)
}

#[test] // Each row: messages delivered before, what is then under way, and how a cancel ends.
fn a_checkout_can_be_called_off_at_any_time() {
    for (rounds, token, at, status, history) in [
        (0, "visa", "Holding", PaymentStatus::None, "order.cancel_requested order.cancelled"),
        (1, "visa", "Pinning", PaymentStatus::None, "order.cancel_requested order.cancelled"),
        (2, "visa", "Authorising", PaymentStatus::Voided, "order.cancel_requested payment.authorised payment.voided order.cancelled"),
        (2, "3ds", "Authorising", PaymentStatus::Voided, "order.cancel_requested payment.voided order.cancelled"),
        (2, "stolen", "Authorising", PaymentStatus::Failed, "order.cancel_requested payment.declined order.cancelled"),
        (3, "3ds", "AwaitingAction", PaymentStatus::Voided, "order.cancel_requested payment.voided order.cancelled"),
        (3, "visa", "Committing", PaymentStatus::Voided, "order.cancel_requested order.opened payment.voided order.cancelled"),
        (4, "visa", "Capturing", PaymentStatus::Refunded, "order.cancel_requested payment.captured payment.refunded order.cancelled"),
    ] {
        let (mut shop, id, answers) = after(rounds, token);
        assert!(format!("{:?}", shop.order(id).saga).starts_with(at), "{at}: {:?}", shop.order(id).saga);
        let cancel = Command::CancelOrder { order: id, reason: String::new() };
        assert_eq!(shop.apply(cancel.clone()), Ok(Done::Order(id)), "{at}");
        assert_eq!(shop.apply(cancel), Ok(Done::Order(id)), "{at}: again");
        shop.check();
        for answer in answers {
            shop.deliver(answer);
        }
        shop.run();
        assert_eq!((shop.order(id).status, shop.units(id)), (OrderStatus::Cancelled, (0, 0)), "{at}");
        assert_eq!(shop.order(id).payment_status(), status, "{at}");
        assert!(shop.history(id).ends_with(history), "{at}: {}", shop.history(id));
        let stood = history.contains("order.opened") || at == "Capturing";
        assert!(shop.order(id).refusal().is_none() && shop.order(id).listed(), "{at}: it is shown as cancelled");
        let cart = shop.order(id).cart;
        assert_eq!(cart_is_open(&shop, cart), !stood, "{at}");
        shop.check_replay();
    }
}

#[test]
fn an_authorisation_nobody_has_seen_is_taken_back_at_the_deadline() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    while !matches!(shop.order(id).saga, Saga::Authorising { .. }) {
        for message in shop.send() {
            let answer = shop.deliver(message).expect("an answer");
            shop.deliver(answer);
        }
    }
    shop.pass(DECIDE_MS);
    shop.run();
    assert_eq!((shop.order(id).status, shop.order(id).payment_status()), (OrderStatus::Expired, PaymentStatus::Voided));
    let reference = shop.order(id).payments[0].id.to_string();
    assert_eq!(shop.provider.moves(&reference), (0, 0));
    assert_eq!((shop.provider.kept(&reference), shop.units(id)), (0, (0, 0)));
}

#[test] // The charge was made and its answer lost: it is found again by its reference, and made once.
fn lost_answers_are_looked_up() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    shop.provider.unknown = 2;
    shop.run();
    assert!(matches!(shop.order(id).saga, Saga::Authorising { .. }), "nothing is decided");
    shop.pass(LEASE_MS);
    shop.run();
    shop.pass(LEASE_MS);
    shop.run();
    assert_eq!(stand(&shop, id), (OrderStatus::Open, PaymentStatus::Captured, (0, 4), None));
    assert_eq!(shop.provider.moves(&shop.order(id).payments[0].id.to_string()), (1, 0));
}

#[test]
fn a_refusal_of_restock_is_left_to_operators() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    shop.run();
    shop.places.get_mut(&EAST).expect("there").refuses.push("restock");
    assert_eq!(shop.apply(Command::CancelOrder { order: id, reason: String::new() }), Ok(Done::Order(id)));
    shop.run();
    assert_eq!((shop.order(id).status, shop.order(id).payment_status()), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert!(shop.history(id).contains("stock.restock_failed"));
}

#[test]
fn pinned_stock_that_vanishes_undoes_the_order() {
    let (mut shop, id, answers) = after(2, "visa");
    shop.places.get_mut(&WEST).expect("there").lose(id);
    for answer in answers {
        shop.deliver(answer);
    }
    shop.run();
    assert_eq!(stand(&shop, id), (OrderStatus::Expired, PaymentStatus::Voided, (0, 0), Some(Refusal::Contended)));
    assert!(shop.history(id).contains("stock.lost"));
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    let messages = shop.send();
    let answers: Vec<Message> = messages.into_iter().filter_map(|message| shop.deliver(message)).collect();
    shop.run();
    let before = shop.order(id).clone();
    for answer in answers {
        let Message::FromPlace { effect, .. } = answer else { panic!("a location answered") };
        for answer in [PeerOutcome::Gone, PeerOutcome::Done, PeerOutcome::Short(Vec::new())] {
            assert_eq!(shop.apply(Command::EffectAnswered { effect, answer }), Ok(Done::Nothing));
        }
    }
    let late = Command::ResourceOrder { order: id, attempt: 1, plan: Sourcing::Short(Vec::new()) };
    assert_eq!(shop.apply(late), Err(Refusal::OrderState { status: OrderStatus::Open }));
    shop.pass(DECIDE_MS);
    assert_eq!(*shop.order(id), before);
}

#[test]
fn a_checkout_that_failed_answers_its_replay_for_a_day() {
    let (mut shop, cart) = two_places();
    let place = shop.gather(cart, "stolen");
    let idempotency = Some(Idempotency { key: 1, fingerprint: 2 });
    let entry = crate::record::v1::Entry { idempotency, ..crate::record::v1::Entry::of(Command::PlaceOrder(Box::new(place))) };
    let Ok(Done::Order(id)) = shop.apply_entry(entry.clone()).outcome else { panic!("an order") };
    shop.run();
    shop.pass(24 * 60 * 60 * 1_000 - 1);
    let Applied { outcome, replayed, .. } = shop.apply_entry(entry);
    assert_eq!((outcome, replayed), (Ok(Done::Order(id)), true));
    assert_eq!(shop.order(id).refusal(), declined("card_declined"));
    shop.pass(ORDER_FAILED_KEEP_MS);
    assert!(shop.partition.order(id).is_none(), "forgotten");
    shop.check();
    shop.check_replay();
}

#[test]
fn a_history_keeps_its_beginning_and_its_end() {
    let (mut shop, cart) = two_places();
    let id = shop.checkout(cart, "visa");
    let mut order = shop.order(id).clone();
    for _ in 0..ORDER_EVENTS_MAX {
        order.record(shop.now, crate::domain::order::EventKind::Short, Some("x"));
    }
    assert_eq!(order.events.len(), ORDER_EVENTS_MAX);
    assert_eq!((order.events[0].version, order.events[1].version), (1, 3));
    assert_eq!(order.events.back().map(|event| event.version), Some(order.version));
}

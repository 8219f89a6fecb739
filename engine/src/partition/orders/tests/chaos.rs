//! Any order of events: messages delayed, repeated, lost and overtaken, leases run out, shoppers who act, cancel and shop on, stock
//! that sells out meanwhile. Afterwards calm: everything is delivered, and every order must have ended right.
//!
//! A case is a list of numbers, each one step; a failing one shrinks.

use super::{DECIDE_MS, HOLD_TTL_MS, LEASE_MS, Message, Shop, sku};
use crate::domain::cart::CartState;
use crate::domain::order::{Ending, EventKind, PaymentState, Saga};
use crate::partition::{Changes, Done, orders::ORDER_FAILED_KEEP_MS, snapshot::tests::Snapshots};
use crate::record::v1::Command;
use proptest::prelude::*;
use wire::{ActionOutcome, CartId, OrderId, OrderStatus, PaymentStatus};

const TOKENS: [&str; 8] = ["visa", "visa", "visa", "3ds", "3ds", "stolen", "visa capture", "visa refund"];

struct Chaos {
    shop: Shop,
    carts: Vec<CartId>,
    under_way: Vec<Message>,
    snapshots: Snapshots,
}

impl Chaos {
    fn new() -> Self {
        let shop = Shop::new(&[&[(1, 7), (2, 3)], &[(1, 5), (3, 9)], &[(2, 4), (3, 5)]]);
        Self { shop, carts: Vec::new(), under_way: Vec::new(), snapshots: Snapshots::default() }
    }

    /// One step: the low digits say what, the others with what.
    fn step(&mut self, number: u32) {
        let (what, with) = (number % 16, (number / 16) as usize);
        match what {
            0 => {
                let lines: Vec<(u16, u32)> = [(1, 2), (2, 1), (3, 2)].into_iter().skip(with % 3).collect();
                let cart = self.shop.cart(&lines);
                self.carts.push(cart);
                self.checkout(cart, with);
            }
            1 => {
                if let Some(cart) = pick(&self.carts, with) {
                    self.checkout(cart, with / 7);
                }
            }
            2 => {
                if let Some(order) = pick(&self.shop.minted, with) {
                    let outcome = if with % 3 == 0 { ActionOutcome::Fail } else { ActionOutcome::Success };
                    _ = self.shop.apply(Command::PaymentAction { order, outcome });
                }
            }
            3 if with % 3 == 0 => {
                if let Some(order) = pick(&self.shop.minted, with / 3) {
                    _ = self.shop.apply(Command::CancelOrder { order, reason: "chaos".to_owned() });
                }
            }
            4 => {
                let (place, number) = (with % 3, 1 + (with / 3) % 3);
                if let Some(place) = self.shop.places.values_mut().nth(place) {
                    place.set(sku(u16::try_from(number).expect("small")), u32::try_from(with / 9 % 9).expect("small"));
                }
            }
            5 => {
                let ms = [1, 100, LEASE_MS / 2, LEASE_MS, HOLD_TTL_MS / 2, HOLD_TTL_MS, DECIDE_MS / 2, DECIDE_MS];
                self.shop.pass(ms[with % ms.len()]);
            }
            6 | 11 => {
                let wanting: Vec<OrderId> = self.shop.partition.orders_needing_source().collect();
                if let Some(order) = pick(&wanting, with) {
                    self.shop.plan_again(order);
                }
            }
            7 => self.shop.provider.unknown = u32::try_from(with % 3).expect("small"),
            // A message is lost.
            8 if !self.under_way.is_empty() => _ = self.under_way.remove(with % self.under_way.len()),
            9 | 10 if self.under_way.len() < 24 => {
                let sent = self.shop.send();
                self.under_way.extend(sent);
            }
            // Most of the time: messages arrive, early or late, and some again later.
            _ => {
                for nth in 0..3 {
                    if let Some(at) = (with / 7 + nth).checked_rem(self.under_way.len()) {
                        let message = if with % 5 == nth { self.under_way[at].clone() } else { self.under_way.remove(at) };
                        self.under_way.extend(self.shop.deliver(message));
                    }
                }
            }
        }
        // Of the numbers' other end, so that a snapshot may be under way at any of the above.
        if number.leading_ones() > if self.shop.partition.is_frozen() { 0 } else { 3 } {
            let bytes = [0, 100, 1_000, 10_000][number.leading_ones() as usize % 4];
            self.snapshots.step(&mut self.shop.partition, self.shop.log.len(), bytes);
        }
        self.shop.check();
    }

    fn checkout(&mut self, cart: CartId, with: usize) {
        if self.shop.partition.cart(cart).is_none() {
            return;
        }
        let mut place = self.shop.gather(cart, TOKENS[with % TOKENS.len()]);
        place.capture = !with.is_multiple_of(9);
        _ = self.shop.place(place);
    }

    /// Everything arrives, buyers do not act, time passes until nothing is left to decide.
    fn calm(&mut self) {
        self.shop.provider.unknown = 0;
        for _ in 0..6 {
            for message in std::mem::take(&mut self.under_way) {
                let mut next = Some(message);
                while let Some(message) = next {
                    next = self.shop.deliver(message);
                }
            }
            self.shop.run();
            self.shop.pass(LEASE_MS);
            self.shop.run();
            // Below a day: failed orders are still there to be looked at.
            self.shop.pass(DECIDE_MS);
        }
        assert!(self.shop.partition.outbox().open.is_empty(), "everything is answered");
    }

    fn check_ends(&self) {
        for id in &self.shop.minted {
            // Forgotten ones were looked at when they ended; chaos may last longer than they are kept.
            if let Some(order) = self.shop.partition.order(*id) {
                self.check_end(order);
            }
            let (held, _) = self.shop.units(*id);
            assert_eq!(held, 0, "{id}: nothing stays held");
        }
        self.shop.check();
        self.shop.check_replay();
    }

    /// Every snapshot, restored and fed what came after its freeze, is the shop's partition.
    fn check_snapshots(&mut self) {
        self.snapshots.end(&mut self.shop.partition);
        let mut changes = Changes::default();
        for (at, mut restored) in self.snapshots.take_restored() {
            for (time, entry) in &self.shop.log[at..] {
                restored.apply(*time, entry, &mut changes);
                changes.clear();
            }
            assert_eq!(restored.digest(), self.shop.partition.digest(), "frozen after {at} entries");
        }
    }

    fn check_end(&self, order: &crate::domain::order::Order) {
        let wanted: u32 = order.lines.iter().map(|line| line.quantity).sum();
        let (_, committed) = self.shop.units(order.id);
        let cart = self.shop.partition.cart(order.cart).map(|cart| cart.state);
        let references: Vec<String> = order.payments.iter().map(|payment| payment.id.to_string()).collect();
        let kept: i64 = references.iter().map(|reference| self.shop.provider.kept(reference)).sum();
        for reference in &references {
            let (captures, refunds) = self.shop.provider.moves(reference);
            assert!(captures <= 1 && refunds <= 1, "charged and refunded at most once");
            assert!(!self.shop.provider.waits_for_buyer(reference), "nobody can still pay for it");
        }
        assert!(!order.events.iter().any(|event| event.kind == EventKind::StockLost), "pinned stock stays");
        match (&order.saga, order.status) {
            (Saga::Open, OrderStatus::Open) => {
                assert_eq!((committed, kept), (wanted, order.totals.total.amount), "{order:?}");
                let state = &order.payments.last().expect("every cart here costs something").state;
                assert!(matches!(state, PaymentState::Authorised | PaymentState::Captured { refunded: 0, .. }));
                assert!(cart.is_none_or(|cart| cart == CartState::Ordered { order: order.id }));
            }
            (Saga::Ended { ending }, status) => {
                assert_eq!((committed, kept), (0, 0), "{order:?}");
                assert_eq!(status, ending.status());
                let not_paid = matches!(
                    order.payment_status(),
                    PaymentStatus::None | PaymentStatus::Voided | PaymentStatus::Failed | PaymentStatus::Refunded
                );
                assert!(not_paid, "{order:?}");
                let mine = [CartState::Ordered { order: order.id }, CartState::CheckingOut { order: order.id }];
                match ending {
                    Ending::Cancelled => assert!(cart.is_none_or(|cart| cart == mine[0])),
                    Ending::Refused(_) | Ending::Expired | Ending::CalledOff => assert!(cart.is_none_or(|cart| !mine.contains(&cart))),
                }
            }
            (saga, status) => panic!("{} is left {status:?} in {saga:?}", order.id),
        }
    }
}

fn pick<T: Copy>(from: &[T], with: usize) -> Option<T> {
    from.get(with.checked_rem(from.len())?).copied()
}

fn run(steps: &[u32]) -> Chaos {
    let mut chaos = Chaos::new();
    for step in steps {
        chaos.step(*step);
    }
    chaos.calm();
    chaos.check_ends();
    chaos.check_snapshots();
    chaos
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_order_ends_right(steps in proptest::collection::vec(any::<u32>(), 0..400)) {
        run(&steps);
    }
}

#[test] // The steps above must reach what they are for, or they prove little.
fn chaos_reaches_every_ending() {
    let mut seen = std::collections::BTreeSet::new();
    let mut number: u32 = 1;
    for _ in 0..200 {
        let steps: Vec<u32> = (0..300)
            .map(|_| {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                number.rotate_left(16)
            })
            .collect();
        let chaos = run(&steps);
        for order in chaos.shop.partition.orders() {
            seen.extend(order.events.iter().map(|event| event.kind.as_str()));
            seen.insert(match &order.saga {
                Saga::Ended { ending: Ending::Refused(_) } => "refused",
                Saga::Ended { ending: Ending::Expired } => "expired",
                Saga::Ended { ending: Ending::CalledOff } => "called off",
                Saga::Ended { ending: Ending::Cancelled } => "cancelled",
                _ if order.holds.iter().any(|hold| hold.attempt > 0) => "open by another plan",
                _ => "open",
            });
        }
    }
    for wanted in [
        "open",
        "open by another plan",
        "refused",
        "expired",
        "called off",
        "cancelled",
        "stock.short",
        "stock.contended",
        "payment.declined",
        "payment.action_required",
        "payment.action_taken",
        "payment.capture_failed",
        "payment.voided",
        "payment.refunded",
        "payment.refund_failed",
    ] {
        assert!(seen.contains(wanted), "no history of 200 reached {wanted}: {seen:?}");
    }
}

#[test]
fn failed_orders_are_forgotten_in_the_end() {
    let mut chaos = Chaos::new();
    let cart = chaos.shop.cart(&[(1, 1)]);
    let id = chaos.shop.checkout(cart, "stolen");
    chaos.calm();
    assert!(chaos.shop.partition.order(id).is_some());
    chaos.shop.pass(ORDER_FAILED_KEEP_MS);
    assert!(chaos.shop.partition.order(id).is_none());
    assert!(matches!(chaos.shop.apply(Command::CancelOrder { order: id, reason: String::new() }), Err(wire::Refusal::NotFound)));
    let again = chaos.shop.checkout(cart, "visa");
    chaos.shop.run();
    assert_eq!(chaos.shop.order(again).status, OrderStatus::Open);
    assert_eq!(chaos.shop.apply(Command::CancelOrder { order: again, reason: String::new() }), Ok(Done::Order(again)));
}

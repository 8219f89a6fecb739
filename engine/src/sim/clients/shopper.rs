//! A buyer: a cart, some lines, an address, a checkout, perhaps the bank's question, perhaps a change of mind.
//!
//! Each request has a key that stays the same over its tries. A checkout that was not settled when its wait was over is looked at until it is.

use super::{Ask, Errand, Said, Scene, Step, request};
use crate::sim::checks::{Violation, answers::OrderStory, must};
use wire::{
    ActionOutcome, Address, Body, CartId, CartStatus, Currency, Failure, Money, Op, OrderId, OrderStatus, OrderView, PartitionId,
    PaymentMethod, Principal, Refusal, SkuRef,
};

/// Checkouts of one cart that are tried after a refusal.
const CHECKOUTS_MAX: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Create,
    Add,
    Address,
    Look,
    Checkout,
    /// The same key with another body.
    Reuse,
    /// It has not settled, or was changed.
    Wait,
    Act,
    Cancel,
    Home,
}

pub(super) struct Shopper {
    at: At,
    /// Products still to be put in, and how many of each.
    wants: Vec<(usize, u32)>,
    cart: Option<CartId>,
    key: u128,
    total: Money,
    token: &'static str,
    checkouts: u32,
    order: Option<OrderId>,
    cancels: bool,
    /// The engine took the cancel: the order ends, though it may still show as open.
    cancelling: bool,
    reuses: bool,
    fresh: bool,
}

impl Shopper {
    pub(super) fn draw(scene: Scene<'_>) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let known: Vec<usize> = (0..story.products.len()).filter(|nth| story.products[*nth].version > 0).collect();
        let mut wants = Vec::new();
        if !known.is_empty() {
            for _ in 0..random.between(1, 3) {
                wants.push((random.pick(&known), random.between32(1, 3)));
            }
        }
        let token = if story.is_fresh { "pay" } else { random.pick(&["pay", "pay", "pay", "pay", "act", "act", "decline"]) };
        Self {
            at: if wants.is_empty() { At::Home } else { At::Create },
            wants,
            cart: None,
            key: random.u128(),
            total: Money { amount: 0, currency: Currency::USD },
            token,
            checkouts: 0,
            order: None,
            cancels: random.chance(200),
            cancelling: false,
            reuses: random.chance(150),
            fresh: story.is_fresh,
        }
    }

    fn principal(&self) -> Principal {
        self.cart.map_or(Principal::Anonymous, |cart| Principal::Guest { cart })
    }

    fn checkout(&self, email: &str) -> Op {
        Op::Checkout {
            cart: self.cart.expect("made before"),
            email: email.to_owned(),
            payment: PaymentMethod { provider: crate::sim::PROVIDER.to_owned(), token: self.token.to_owned() },
            accept_total: self.total,
            wait_ms: 1_500,
        }
    }

    /// What comes of an order as it is shown.
    fn seen(&mut self, scene: &mut Scene<'_>, order: &OrderView) -> Result<(), Violation> {
        must(self.order.is_none_or(|known| known == order.id) || self.checkouts > 1, || {
            format!("one checkout made orders {} and {:?}", order.id, self.order)
        })?;
        must(Some(order.cart) == self.cart, || format!("order {} is of another cart", order.id))?;
        self.order = Some(order.id);
        let story = OrderStory { cart: order.cart, status: order.status, total: order.totals.total.amount };
        scene.story.orders.insert(order.id, story);
        self.at = match order.status {
            OrderStatus::Placing if order.next_action.is_some() => At::Act,
            OrderStatus::Placing => At::Wait,
            OrderStatus::Open if std::mem::take(&mut self.reuses) => At::Reuse,
            OrderStatus::Open if std::mem::take(&mut self.cancels) => At::Cancel,
            // A cancel that has not ended shows the order as it was.
            OrderStatus::Open if self.cancelling => At::Wait,
            OrderStatus::Open | OrderStatus::OnHold | OrderStatus::Closed => {
                scene.story.count("bought");
                At::Home
            }
            OrderStatus::Cancelled => {
                scene.story.count("cancelled");
                At::Home
            }
            OrderStatus::Expired => At::Home,
        };
        Ok(())
    }
}

impl Errand for Shopper {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        let cart = self.cart;
        let mut key = Some(self.key ^ self.at as u128 ^ (u128::from(self.checkouts) << 8) ^ ((self.wants.len() as u128) << 16));
        let op = match self.at {
            At::Home => return Step::Home,
            At::Create => {
                Op::CreateCart { currency: Currency::USD, partition: PartitionId((self.key >> 64) as u16 % scene.story.partitions) }
            }
            At::Add => {
                let Some((product, quantity)) = self.wants.pop() else { return Step::Home };
                let sku = SkuRef::Key(scene.story.products[product].key.clone());
                Op::AddLine { cart: cart.expect("made"), sku, quantity }
            }
            At::Address => Op::SetAddress { cart: cart.expect("made"), address: address() },
            At::Look => {
                key = None;
                Op::GetCart(cart.expect("made"))
            }
            At::Checkout => {
                self.checkouts += 1;
                key = Some(self.key ^ (u128::from(self.checkouts) << 96) ^ 99);
                self.checkout("ada@example.org")
            }
            At::Reuse => {
                let mut request = request(self.principal(), self.checkout("eve@example.org"), None);
                let key = self.key ^ (u128::from(self.checkouts) << 96) ^ 99;
                request.idempotency = Some(wire::Idempotency { key, fingerprint: 2 });
                return Step::Ask(Ask { request, hold: None });
            }
            At::Wait => {
                key = None;
                if scene.random.chance(500) {
                    return Step::Pause(scene.random.between(1_000, 200_000));
                }
                Op::GetOrder(self.order.expect("known"))
            }
            At::Act => {
                let outcome = if scene.random.chance(700) { ActionOutcome::Success } else { ActionOutcome::Fail };
                if scene.random.chance(150) && !self.fresh {
                    // The buyer is at the bank, for longer than the shop waits.
                    return Step::Pause(scene.random.between(1_000_000, 6_000_000));
                }
                Op::PaymentAction { order: self.order.expect("known"), outcome, wait_ms: 1_500 }
            }
            At::Cancel => Op::CancelOrder { order: self.order.expect("known"), reason: "changed my mind".to_owned(), wait_ms: 1_500 },
        };
        Step::Ask(Ask { request: request(self.principal(), op, key), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        let odd = |at: At| Violation::new(format!("a buyer at {at:?} is answered {:?}", said.response.result));
        match (self.at, &said.response.result) {
            (At::Create, Ok(Body::Cart(cart))) => {
                self.cart = Some(cart.id);
                self.at = At::Add;
            }
            (At::Add, Ok(Body::Cart(_))) => self.at = if self.wants.is_empty() { At::Address } else { At::Add },
            // The engine caps what one line may hold, or the product is gone.
            (At::Add, Err(Failure::Refused(Refusal::NotForSale(_) | Refusal::NotFound))) => self.at = At::Home,
            (At::Address, Ok(Body::Cart(cart))) => {
                self.total = cart.totals.total;
                self.at = if scene.random.chance(300) { At::Look } else { At::Checkout };
            }
            (At::Look, Ok(Body::Cart(cart))) => {
                self.total = cart.totals.total;
                must(cart.status != CartStatus::Ordered, || format!("cart {} is ordered, and its checkout was refused", cart.id))?;
                self.at = if cart.lines.is_empty() { At::Home } else { At::Checkout };
            }
            (At::Checkout | At::Wait | At::Act | At::Cancel, Ok(Body::Order(order))) => {
                let order = order.clone();
                self.cancelling |= self.at == At::Cancel;
                if let Some(cart) = self.cart {
                    scene.story.refused_carts.remove(&cart);
                }
                self.seen(scene, &order)?;
            }
            (At::Reuse, Err(Failure::Refused(Refusal::IdempotencyKeyReused))) => self.at = At::Home,
            (At::Checkout, Err(Failure::Refused(refusal))) => {
                scene.story.count("refused");
                if let Some(cart) = self.cart {
                    scene.story.refused_carts.insert(cart, refusal.clone());
                }
                must(!self.fresh || matches!(refusal, Refusal::InsufficientStock(_) | Refusal::TotalChanged { .. }), || {
                    format!("a fresh checkout is refused: {refusal:?}")
                })?;
                let again = matches!(
                    refusal,
                    Refusal::TotalChanged { .. }
                        | Refusal::PaymentDeclined { .. }
                        | Refusal::InsufficientStock(_)
                        | Refusal::VersionMismatch { .. }
                );
                self.at = if again && self.checkouts < CHECKOUTS_MAX { At::Look } else { At::Home };
            }
            // An order whose checkout came to nothing was never placed.
            (At::Wait, Err(Failure::Refused(Refusal::NotFound))) => {
                let (order, cart) = (self.order.expect("seen"), self.cart.expect("made"));
                let story = scene.story.orders.get_mut(&order).expect("seen");
                must(story.status == OrderStatus::Placing, || format!("order {order} was {:?}, and is gone", story.status))?;
                story.status = OrderStatus::Expired;
                scene.story.refused_carts.insert(cart, Refusal::NotFound);
                self.at = At::Home;
            }
            // Its ending, told where the order was looked at.
            (At::Wait | At::Act | At::Cancel, Err(Failure::Refused(refusal))) => {
                if let (Some(order), Some(cart)) = (self.order, self.cart) {
                    match refusal {
                        Refusal::PaymentDeclined { .. } | Refusal::InsufficientStock(_) | Refusal::Contended => {
                            scene.story.orders.get_mut(&order).expect("seen").status = OrderStatus::Expired;
                            scene.story.refused_carts.insert(cart, refusal.clone());
                            self.at = At::Home;
                        }
                        Refusal::OrderState { status: OrderStatus::Expired } => {
                            scene.story.orders.get_mut(&order).expect("seen").status = OrderStatus::Expired;
                            self.at = At::Home;
                        }
                        Refusal::NoPendingAction | Refusal::OrderState { .. } => self.at = At::Wait,
                        _ => return Err(odd(self.at)),
                    }
                }
            }
            (at, _) => return Err(odd(at)),
        }
        Ok(())
    }
}

fn address() -> Address {
    Address {
        name: "Ada".to_owned(),
        line1: "1 Main St".to_owned(),
        line2: None,
        city: "Springfield".to_owned(),
        region: None,
        postal_code: "12345".to_owned(),
        country: "US".to_owned(),
        phone: None,
    }
}

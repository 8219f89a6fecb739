//! Carts of a partition: the table, the commands that change it, and the sweep of those left alone.
//!
//! Path: a cart's command → the table finds the cart → `domain::cart` decides → the index of expiry follows. `orders` moves carts on
//! through [`Carts::check_out`], [`Carts::reopen`] and [`Carts::ordered`].
//! Bounds: [`CARTS_MAX`] carts; each expires ([`CART_EMPTY_TTL_MS`](crate::domain::cart::CART_EMPTY_TTL_MS),
//! [`CART_GUEST_TTL_MS`](crate::domain::cart::CART_GUEST_TTL_MS)) unless its checkout runs.

use super::snapshot::fields::{put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::table::Table;
use super::{ApplyContext, Digest, Done, Outcome};
use crate::domain::cart::{Cart, CartState};
use crate::record::v1::Address;
use crate::seal::Sealed;
use std::collections::BTreeSet;
use wire::{CartId, Currency, LineId, Millis, OrderId, ProductId, Refusal, SkuId};

/// Carts of a partition, in every state. At the limit a new cart is refused as `LimitReached`, until one is swept.
pub const CARTS_MAX: usize = 200_000;

/// All carts, by id.
#[derive(Debug, Default)]
pub struct Carts {
    table: Table<CartId, Cart>,
    /// Exactly the carts whose checkout does not run, by the time they are swept.
    expiry: BTreeSet<(Millis, CartId)>,
}

impl Carts {
    pub(super) fn get(&self, id: CartId) -> Option<&Cart> {
        self.table.get(&id)
    }

    pub(super) fn apply_create(&mut self, ctx: &mut ApplyContext<'_>, currency: Currency) -> Outcome {
        if self.table.len() >= CARTS_MAX {
            return Err(Refusal::LimitReached { what: "carts of a partition".to_owned(), max: CARTS_MAX as u64 });
        }
        let cart = Cart::new(ctx.next(), currency, ctx.time);
        let id = cart.id;
        self.expiry.insert((cart.expires_at(), id));
        self.table.insert(id, cart);
        Ok(Done::Cart(id))
    }

    pub(super) fn add_line(&mut self, ctx: &mut ApplyContext<'_>, cart: CartId, sku: SkuId, product: ProductId, quantity: u32) -> Outcome {
        let (now, new_line) = (ctx.time, ctx.next());
        self.edit(ctx, cart, |cart| cart.add(now, new_line, sku, product, quantity))
    }

    pub(super) fn set_line_quantity(&mut self, ctx: &mut ApplyContext<'_>, cart: CartId, line: LineId, quantity: u32) -> Outcome {
        let now = ctx.time;
        self.edit(ctx, cart, |cart| cart.set_quantity(now, line, quantity))
    }

    pub(super) fn set_address(&mut self, ctx: &mut ApplyContext<'_>, cart: CartId, address: &Sealed<Address>) -> Outcome {
        let now = ctx.time;
        self.edit(ctx, cart, |cart| {
            cart.set_address(now, address.clone());
            Ok(())
        })
    }

    /// A checkout begins. The caller has seen that the cart is there and open.
    pub(super) fn check_out(&mut self, now: Millis, cart: CartId, order: OrderId) {
        self.change(cart, |cart| cart.move_to(now, CartState::CheckingOut { order }));
    }

    /// The checkout came to nothing: the cart can be changed and tried again.
    pub(super) fn reopen(&mut self, now: Millis, cart: CartId, order: OrderId) {
        self.end_checkout(now, cart, order, CartState::Open);
    }

    /// The checkout came to an order that stands.
    pub(super) fn ordered(&mut self, now: Millis, cart: CartId, order: OrderId) {
        self.end_checkout(now, cart, order, CartState::Ordered { order });
    }

    /// Removes carts whose time is over, at most `budget`; returns how many.
    pub(super) fn run_timers(&mut self, ctx: &mut ApplyContext<'_>, budget: usize) -> usize {
        let mut ended = 0;
        while ended < budget {
            match self.expiry.first() {
                Some((at, id)) if *at <= ctx.time => self.table.remove(id),
                Some(_) | None => break,
            };
            self.expiry.pop_first();
            ended += 1;
        }
        ended
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        self.expiry.first().map(|(at, _)| *at)
    }

    pub(super) fn freeze(&mut self) {
        self.table.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.table.thaw();
    }

    /// Writes carts into a snapshot.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.table.walk(|_, cart| items.put_walked(Kind::Cart, cart, |body, cart| put_archive(cart, body)))
    }

    pub(super) fn put_back(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let cart: Cart = take_archive(body).ok_or(BadItem::Damaged)?;
        if !matches!(cart.state, CartState::CheckingOut { .. }) {
            self.expiry.insert((cart.expires_at(), cart.id));
        }
        if self.table.push(cart.id, cart) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let sweepable = |cart: &&Cart| !matches!(cart.state, CartState::CheckingOut { .. });
        let listed: BTreeSet<_> = self.table.values().filter(sweepable).map(|cart| (cart.expires_at(), cart.id)).collect();
        if listed == self.expiry { Ok(()) } else { Err("the carts' list of expiry does not match the carts".to_owned()) }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("carts");
        for cart in self.table.values() {
            digest.archive(cart);
        }
    }

    /// Changes a cart that its guest may change.
    fn edit(&mut self, ctx: &ApplyContext<'_>, id: CartId, edit: impl FnOnce(&mut Cart) -> Result<(), Refusal>) -> Outcome {
        self.get(id).ok_or(Refusal::NotFound)?.changeable(ctx.time, ctx.if_match)?;
        self.change(id, edit).ok_or(Refusal::NotFound)??;
        Ok(Done::Cart(id))
    }

    fn end_checkout(&mut self, now: Millis, id: CartId, order: OrderId, state: CartState) {
        if self.get(id).is_some_and(|cart| cart.state == CartState::CheckingOut { order }) {
            self.change(id, |cart| cart.move_to(now, state));
        }
    }

    /// Changes a cart and the index with it.
    fn change<T>(&mut self, id: CartId, change: impl FnOnce(&mut Cart) -> T) -> Option<T> {
        let cart = self.table.get_mut(&id)?;
        self.expiry.remove(&(cart.expires_at(), id));
        let result = change(cart);
        if !matches!(cart.state, CartState::CheckingOut { .. }) {
            self.expiry.insert((cart.expires_at(), id));
        }
        Some(result)
    }
}

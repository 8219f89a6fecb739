//! Carts: made, filled, shown.
//!
//! Path: request → key check → command → [`view`]: lines are priced from the products as they are now, asked of the partitions that own them.

use super::{Head, Keyed, Trail, keyed, once, read, refused, resolve_sku, validate, views};
use crate::{
    domain::cart::{Cart, CartState},
    partition::Done,
    record::v1::Command,
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask, SkuCard},
    },
};
use std::collections::BTreeMap;
use wire::{Address, Body, CartId, Currency, Failure, LineId, PartitionId, Refusal, SkuId, SkuRef};

pub(super) async fn create(ctx: &Ctx, head: &Head, trail: &mut Trail, currency: Currency, partition: PartitionId) -> Result<Body, Failure> {
    let done = once(ctx, head, trail, partition, Command::CreateCart { currency }).await?;
    shown(ctx, done).await
}

pub(super) async fn get(ctx: &Ctx, head: &Head, cart: CartId) -> Result<Body, Failure> {
    head.guest_of(cart)?;
    view(ctx, cart).await
}

pub(super) async fn add_line(ctx: &Ctx, head: &Head, trail: &mut Trail, cart: CartId, sku: SkuRef, quantity: u32) -> Result<Body, Failure> {
    head.guest_of(cart)?;
    let partition = cart.partition();
    let _guard = match keyed(ctx, head, trail, partition)? {
        Keyed::Again(outcome) => return shown(ctx, outcome.map_err(refused)?).await,
        Keyed::First(guard) => guard,
    };
    let unknown = || refused(validate::unknown_sku("/sku"));
    let sku = resolve_sku(ctx, &sku).await?.ok_or_else(unknown)?;
    let card = cards(ctx, &[sku]).await?.pop().flatten().ok_or_else(unknown)?;
    if card.prices.is_empty() {
        return Err(refused(Refusal::NotForSale(vec![sku])));
    }
    let command = Command::AddLine { cart, sku, product: card.product, quantity };
    let outcome = trail.note(ctx.propose(partition, head.entry(command)).await?);
    shown(ctx, outcome.map_err(refused)?).await
}

pub(super) async fn set_quantity(
    ctx: &Ctx,
    head: &Head,
    trail: &mut Trail,
    cart: CartId,
    line: LineId,
    quantity: u32,
) -> Result<Body, Failure> {
    head.guest_of(cart)?;
    let done = once(ctx, head, trail, cart.partition(), Command::SetLineQuantity { cart, line, quantity }).await?;
    shown(ctx, done).await
}

pub(super) async fn set_address(ctx: &Ctx, head: &Head, trail: &mut Trail, cart: CartId, address: Address) -> Result<Body, Failure> {
    head.guest_of(cart)?;
    validate::address(&address).map_err(refused)?;
    let address = ctx.seal(&views::stored_address(address));
    let done = once(ctx, head, trail, cart.partition(), Command::SetAddress { cart, address }).await?;
    shown(ctx, done).await
}

async fn shown(ctx: &Ctx, done: Done) -> Result<Body, Failure> {
    match done {
        Done::Cart(cart) => view(ctx, cart).await,
        other => {
            tracing::error!(?other, "a cart command had another outcome");
            Err(Failure::Internal)
        }
    }
}

/// The cart as it is, priced as of now.
async fn view(ctx: &Ctx, id: CartId) -> Result<Body, Failure> {
    let cart: Cart = read(ctx, id.partition(), |partition| partition.cart(id).cloned())?.ok_or_else(|| refused(Refusal::NotFound))?;
    let skus: Vec<SkuId> = cart.lines.iter().map(|line| line.sku).collect();
    let cards = cards(ctx, &skus).await?;
    let email = read(ctx, id.partition(), |partition| {
        let order = match cart.state {
            CartState::CheckingOut { order } | CartState::Ordered { order } => partition.order(order),
            CartState::Open => None,
        };
        order.map(|order| order.email.clone())
    })?;
    let now = ctx.now().wall;
    ctx.config(|config| views::cart(&cart, &cards, email.as_ref(), &config.keyring, now)).map(|cart| Body::Cart(Box::new(cart)))
}

/// What is known of each SKU, in order, from the partitions that own their products.
pub(super) async fn cards(ctx: &Ctx, skus: &[SkuId]) -> Result<Vec<Option<SkuCard>>, Failure> {
    let partitions = ctx.config(|config| config.partitions);
    let mut wanted: BTreeMap<PartitionId, Vec<usize>> = BTreeMap::new();
    for (place, sku) in skus.iter().enumerate() {
        // An id from outside may name a partition that does not exist: its owner knows no such SKU.
        wanted.entry(PartitionId(sku.partition().0 % partitions)).or_default().push(place);
    }
    let asks = wanted.iter().map(|(partition, places)| {
        let skus = places.iter().map(|place| skus[*place]).collect();
        (*partition, Ask::Cards(*partition, skus))
    });
    let answers = ctx.ask_each(asks.collect()).await?;
    let mut cards: Vec<Option<SkuCard>> = vec![None; skus.len()];
    for (places, answer) in wanted.values().zip(answers) {
        match answer {
            Answer::Cards(found) => places.iter().zip(found).for_each(|(place, card)| cards[*place] = card),
            other => return Err(unexpected(&other)),
        }
    }
    Ok(cards)
}

//! The beginning of a checkout: what was gathered is checked against the cart, and the order is minted.
//!
//! Path: `PlaceOrder` → checks, in the order a shopper can act on them → [`Order`] in `Placing`, its cart `CheckingOut`, one `Hold`
//! effect per location. A refusal leaves no order behind: the idempotency table remembers it.
//! Everything is decided from the cart and the command: prices are read by the caller and at most [`GATHER_AGE_MS_MAX`] old.

use super::{ORDERS_FAILED_MAX, ORDERS_MAX, Orders, told};
use crate::domain::cart::Cart;
use crate::domain::order::{EventKind, Failed, Order, OrderLine, OrderNumber, Saga};
use crate::domain::totals::{SumError, line_total, totals};
use crate::partition::{ApplyContext, Done, Outcome, carts::Carts};
use crate::record::v1::{GATHER_AGE_MS_MAX, PlaceOrder, ShortLine, Source, Sourcing};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{FieldError, OrderStatus, Refusal, Shortage, SkuId, Totals};

/// Locations one plan may take from. A plan with more is no plan.
pub const SOURCES_MAX: usize = 256;

impl Orders {
    /// Begins a checkout.
    ///
    /// Refuses, in this order: `NotFound`, `CartClosed`, `CartCheckingOut`, `VersionMismatch` (of `If-Match`), `CartEmpty`,
    /// `AddressRequired`, `VersionMismatch` (gathered from another version), `NotForSale`, `PricesOutdated`, `Invalid` (a sum that is
    /// no amount), `TotalChanged`, `InsufficientStock`, `VersionMismatch` (the plan serves something else), `LimitReached`.
    pub(in crate::partition) fn place(&mut self, ctx: &mut ApplyContext<'_>, carts: &mut Carts, place: &PlaceOrder) -> Outcome {
        let cart = carts.get(place.cart).ok_or(Refusal::NotFound)?;
        cart.changeable(ctx.time, ctx.if_match)?;
        if cart.lines.is_empty() {
            return Err(Refusal::CartEmpty);
        }
        let address = cart.address.clone().ok_or(Refusal::AddressRequired)?;
        let (lines, totals) = price(ctx, cart, place)?;
        let sources = match &place.plan {
            Sourcing::From(sources) if serves(sources, &lines) => sources,
            Sourcing::From(_) => return Err(Refusal::VersionMismatch { current: cart.version }),
            Sourcing::Short(short) => return Err(Refusal::InsufficientStock(shortages(&lines, short))),
        };
        self.check_room()?;
        ctx.check_outbox_room(sources.len())?;

        self.count += 1;
        let mut order = Order {
            id: ctx.next(),
            number: OrderNumber { partition: ctx.partition, count: self.count },
            version: 0,
            cart: cart.id,
            placed_at: ctx.time,
            decide_by: ctx.time.plus(place.decide_ms),
            status: OrderStatus::Placing,
            lines,
            totals,
            email: place.email.clone(),
            address,
            provider: place.provider.clone(),
            token: place.token.clone(),
            capture: place.capture,
            hold_ttl_ms: place.hold_ttl_ms,
            payments: Vec::new(),
            holds: Vec::new(),
            failed: Failed::default(),
            saga: Saga::Holding { attempt: 0 },
            events: VecDeque::new(),
        };
        told::record(ctx, &mut order, EventKind::Placed, None);
        let id = order.id;
        carts.check_out(ctx.time, order.cart, id);
        self.times.placing += 1;
        self.times.undecided.insert((order.decide_by, id));
        self.table.insert(id, order);
        if let Some(mut step) = self.step(ctx, carts, id) {
            step.hold(0, sources);
        }
        Ok(Done::Order(id))
    }

    fn check_room(&self) -> Result<(), Refusal> {
        let limit = |what: &str, max: usize| Err(Refusal::LimitReached { what: what.to_owned(), max: max as u64 });
        if self.table.len() >= ORDERS_MAX {
            return limit("orders of a partition", ORDERS_MAX);
        }
        if self.times.failed.len() + self.times.placing >= ORDERS_FAILED_MAX {
            return limit("undecided and failed orders of a partition", ORDERS_FAILED_MAX);
        }
        Ok(())
    }
}

/// The order's lines at the gathered prices, and their sums, if all is as the buyer saw and accepted it.
fn price(ctx: &ApplyContext<'_>, cart: &Cart, place: &PlaceOrder) -> Result<(Vec<OrderLine>, Totals), Refusal> {
    let same = |(line, priced): (&crate::domain::cart::CartLine, &crate::record::v1::PricedLine)| {
        (line.id, line.sku, line.quantity) == (priced.line, priced.sku, priced.quantity)
    };
    let all_there = cart.lines.len() == place.lines.len() && cart.lines.iter().zip(&place.lines).all(same);
    if place.cart_version != cart.version || !all_there {
        return Err(Refusal::VersionMismatch { current: cart.version });
    }
    let in_currency = |line: &crate::record::v1::PricedLine| line.unit_price.filter(|price| price.currency == cart.currency);
    let not_for_sale: Vec<SkuId> = place.lines.iter().filter(|line| in_currency(line).is_none()).map(|line| line.sku).collect();
    if !not_for_sale.is_empty() {
        return Err(Refusal::NotForSale(not_for_sale));
    }
    if ctx.time.0.saturating_sub(place.gathered_at.0) > GATHER_AGE_MS_MAX {
        return Err(Refusal::PricesOutdated);
    }
    let priced = |line: &crate::record::v1::PricedLine| {
        let unit_price = in_currency(line).ok_or(SumError)?;
        let total = line_total(unit_price, line.quantity)?;
        Ok(OrderLine::reserved(line.line, line.sku, line.title.clone(), line.quantity, unit_price, total))
    };
    let lines: Vec<OrderLine> = place.lines.iter().map(priced).collect::<Result<_, SumError>>().map_err(no_amount)?;
    let sums = totals(cart.currency, lines.iter().map(|line| (line.unit_price, line.quantity))).map_err(no_amount)?;
    if sums.total != place.accept_total {
        return Err(Refusal::TotalChanged { total: sums.total });
    }
    Ok((lines, sums))
}

fn no_amount(error: SumError) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: "/lines".to_owned(), code: "out_of_range".to_owned(), detail: error.to_string() }])
}

/// Does the plan take exactly the units of the lines, each location once?
pub(super) fn serves(sources: &[Source], lines: &[OrderLine]) -> bool {
    let mut wanted: BTreeMap<SkuId, u64> = BTreeMap::new();
    for line in lines {
        *wanted.entry(line.sku).or_default() += u64::from(line.quantity);
    }
    let mut planned: BTreeMap<SkuId, u64> = BTreeMap::new();
    for line in sources.iter().flat_map(|source| &source.lines) {
        *planned.entry(line.sku).or_default() += u64::from(line.quantity);
    }
    let locations: BTreeSet<&str> = sources.iter().map(|source| source.location.as_str()).collect();
    let none_empty = sources.iter().all(|source| !source.lines.is_empty() && source.lines.iter().all(|line| line.quantity > 0));
    (1..=SOURCES_MAX).contains(&sources.len()) && locations.len() == sources.len() && none_empty && wanted == planned
}

/// A plan's shortages, by line of the cart.
pub(super) fn shortages(lines: &[OrderLine], short: &[ShortLine]) -> Vec<Shortage> {
    let of_line = |(at, line): (usize, &OrderLine)| {
        let short = short.iter().find(|short| short.sku == line.sku)?;
        let at = u16::try_from(at).ok()?; // a cart has at most CART_LINES_MAX lines
        Some(Shortage { line: at, sku: line.sku, requested: line.quantity, available: short.available.min(line.quantity) })
    };
    lines.iter().enumerate().filter_map(of_line).collect()
}

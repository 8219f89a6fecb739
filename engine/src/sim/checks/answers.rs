//! What clients know: everything they asked for and were told. It is outside the machine, so no crash takes it.
//!
//! Path: errands write down what was answered, and compare it with what was answered before → the checks at the end read the story.

use super::{Violation, must};
use crate::sim::{Settings, random::Random};
use std::collections::BTreeMap;
use wire::{Body, CartId, Failure, OrderId, OrderStatus, Position, RawId, Refusal, Reservation, ReserveLine, Response, Shortage, SkuId};

/// An answer with its places in the log.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Exchange {
    /// When the try was sent that was answered.
    pub(in crate::sim) sent_us: u64,
    pub(in crate::sim) answered_us: u64,
    pub(in crate::sim) positions: Vec<Position>,
}

/// What a reservation was told.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Told {
    pub(in crate::sim) taken: Vec<u32>,
    pub(in crate::sim) remaining: Vec<u32>,
    pub(in crate::sim) answered_us: u64,
}

/// A reservation, as its caller knows it.
#[derive(Clone, Debug)]
pub(in crate::sim) struct HoldStory {
    pub(in crate::sim) location: String,
    pub(in crate::sim) lines: Vec<ReserveLine>,
    pub(in crate::sim) partial: bool,
    /// Its SKUs are only ever reserved and sold.
    pub(in crate::sim) is_kept: bool,
    pub(in crate::sim) first_us: u64,
    pub(in crate::sim) told: Option<Told>,
    /// What was short, and from when to when it may have been.
    pub(in crate::sim) short: Option<(Vec<Shortage>, u64, u64)>,
    pub(in crate::sim) sold: Option<Vec<(SkuId, u32)>>,
    /// What its caller wanted to sell and was told too late whether it did: the log knows.
    pub(in crate::sim) unsure: Option<Vec<(SkuId, u32)>>,
    pub(in crate::sim) released: Option<Position>,
}

impl HoldStory {
    pub(in crate::sim) fn new(reservation: &Reservation, is_kept: bool) -> Self {
        let Reservation { location, lines, partial, .. } = reservation.clone();
        Self { location, lines, partial, is_kept, first_us: 0, told: None, short: None, sold: None, unsure: None, released: None }
    }

    pub(in crate::sim) fn lines_taken(&self) -> Vec<(SkuId, u32)> {
        let taken = self.told.as_ref().map(|told| told.taken.clone()).unwrap_or_default();
        self.lines.iter().zip(taken).filter(|(_, taken)| *taken > 0).map(|(line, taken)| (line.sku, taken)).collect()
    }
}

/// A product, as its merchant knows it.
#[derive(Clone, Debug)]
pub(in crate::sim) struct ProductStory {
    pub(in crate::sim) key: String,
    /// In its title and in no other.
    pub(in crate::sim) word: String,
    /// The newest version that anybody was told.
    pub(in crate::sim) version: u64,
    /// Price by version, where the write was answered.
    pub(in crate::sim) prices: BTreeMap<u64, i64>,
    /// Units on hand by location, as booked.
    pub(in crate::sim) on_hand: BTreeMap<String, i64>,
}

/// An order, as its buyer knows it.
#[derive(Clone, Debug)]
pub(in crate::sim) struct OrderStory {
    pub(in crate::sim) cart: CartId,
    pub(in crate::sim) status: OrderStatus,
    pub(in crate::sim) total: i64,
}

/// All of it.
pub(in crate::sim) struct Story {
    pub(in crate::sim) operations: u64,
    pub(in crate::sim) errands_begun: u64,
    pub(in crate::sim) partitions: u16,
    /// With more than one, not every answer is of who leads.
    pub(in crate::sim) machines: u16,
    pub(in crate::sim) locations: Vec<String>,
    /// SKUs of each location that are received once, and then only reserved and sold.
    pub(in crate::sim) kept: Vec<Vec<SkuId>>,
    /// SKUs of each location that come and go.
    pub(in crate::sim) churned: Vec<Vec<SkuId>>,
    /// Units received of them, by answered deliveries.
    pub(in crate::sim) received: BTreeMap<(String, SkuId), u64>,
    pub(in crate::sim) holds: BTreeMap<u128, HoldStory>,
    pub(in crate::sim) exchanges: Vec<Exchange>,
    pub(in crate::sim) products: Vec<ProductStory>,
    pub(in crate::sim) orders: BTreeMap<OrderId, OrderStory>,
    /// Carts whose last checkout was refused.
    pub(in crate::sim) refused_carts: BTreeMap<CartId, Refusal>,
    /// The storm is over, and this is somebody new.
    pub(in crate::sim) is_fresh: bool,
    /// The log's time then.
    pub(in crate::sim) log_ms: u64,
    /// For people.
    pub(in crate::sim) counts: BTreeMap<&'static str, u64>,
}

impl Story {
    pub(in crate::sim) fn new(settings: &Settings, random: &mut Random) -> Self {
        let locations: Vec<String> = (0..settings.locations).map(|nth| format!("house-{nth}-{}", random.below(1_000))).collect();
        let skus = |count: u64, random: &mut Random| -> Vec<Vec<SkuId>> {
            let sku = |random: &mut Random| SkuId(RawId((1_700_000_000_000_u128 << 80) | (random.u128() >> 64)));
            locations.iter().map(|_| (0..count).map(|_| sku(random)).collect()).collect()
        };
        let (kept, churned) = (skus(6, random), skus(5, random));
        let product = |nth: u64, random: &mut Random| {
            let letters = b"bdfgklmnprstvz";
            let vowels = b"aeiou";
            let mut word = String::new();
            for _ in 0..5 {
                word.push(char::from(random.pick(letters)));
                word.push(char::from(random.pick(vowels)));
            }
            ProductStory { key: format!("p-{nth}"), word, version: 0, prices: BTreeMap::new(), on_hand: BTreeMap::new() }
        };
        let products = (0..settings.products).map(|nth| product(nth, random)).collect();
        Self {
            operations: 0,
            errands_begun: 0,
            partitions: settings.partitions,
            machines: settings.machines,
            locations,
            kept,
            churned,
            received: BTreeMap::new(),
            holds: BTreeMap::new(),
            exchanges: Vec::new(),
            products,
            orders: BTreeMap::new(),
            refused_carts: BTreeMap::new(),
            is_fresh: false,
            log_ms: 0,
            counts: BTreeMap::new(),
        }
    }

    pub(in crate::sim) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A reservation of this run.
    pub(in crate::sim) fn hold(&mut self, hold: u128) -> &mut HoldStory {
        self.holds.get_mut(&hold).expect("an errand writes its hold down when it begins")
    }

    /// An answer that its caller did not wait for, to a reservation.
    pub(in crate::sim) fn stray(&mut self, hold: u128, response: &Response) -> Result<(), Violation> {
        self.count("stray");
        match &response.result {
            Ok(_) => self.hold(hold).taken(response, u64::MAX),
            Err(Failure::Internal) => Err(Violation::new("a reservation is answered as a fault of the engine's own".to_owned())),
            Err(_) => Ok(()),
        }
    }
}

/// Two answers to one request under one key: they must name the same.
pub(in crate::sim) fn same(first: &Response, second: &Response) -> Result<(), Violation> {
    let id = |response: &Response| match &response.result {
        Ok(Body::Order(order)) => Some(order.id.0.0),
        Ok(Body::Cart(cart)) => Some(cart.id.0.0),
        Ok(_) | Err(_) => None,
    };
    match (id(first), id(second)) {
        (Some(first), Some(second)) => must(first == second, || format!("one request made two things: {first:032x} and {second:032x}")),
        (_, _) => Ok(()),
    }
}

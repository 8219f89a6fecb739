//! The merchant: puts products, changes them, and books stock in and out.
//!
//! The first errands fill the shop: a product each, then the deliveries of each location. Whoever comes before finds nothing.

use super::{Ask, Errand, Said, Scene, Step, staff_asks};
use crate::sim::{
    Settings,
    checks::{Violation, must},
};
use std::collections::BTreeMap;
use wire::{
    Body, Currency, Failure, Money, Op, OpeningStock, ProductInput, ProductStatus, Refusal, ReserveLine, SkuRef, SkuUnits, StockAdjustment,
    StockChange, Transfer, TransferId, VariantInput,
};

pub(super) fn draw(scene: Scene<'_>, settings: &Settings, number: u32) -> Box<dyn Errand> {
    let number = u64::from(number);
    if number < settings.products {
        return Box::new(Put::draw(scene, number as usize));
    }
    let filled = number - settings.products;
    if filled < settings.locations {
        return Box::new(Receive::first(scene, filled as usize));
    }
    let known: Vec<usize> = (0..scene.story.products.len()).filter(|nth| scene.story.products[*nth].version > 0).collect();
    match scene.random.below(5) {
        0 | 1 => Box::new(Receive::more(scene)),
        2 if !known.is_empty() => {
            let product = scene.random.pick(&known);
            Box::new(Put::draw(scene, product))
        }
        3 if !known.is_empty() => {
            let product = scene.random.pick(&known);
            Box::new(Move::draw(scene, product))
        }
        _ if !known.is_empty() => {
            let product = scene.random.pick(&known);
            Box::new(Adjust::draw(scene, product))
        }
        _ => Box::new(Receive::more(scene)),
    }
}

/// Writes a product.
struct Put {
    product: usize,
    price: i64,
    stock: BTreeMap<String, i64>,
    key: u128,
    description: String,
    asked: bool,
}

impl Put {
    fn draw(scene: Scene<'_>, product: usize) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let mut stock = story.products[product].on_hand.clone();
        if stock.is_empty() {
            for location in &story.locations {
                if random.chance(600) {
                    stock.insert(location.clone(), random.between(3, 25).cast_signed());
                }
            }
        }
        if stock.is_empty() {
            stock.insert(story.locations[0].clone(), 10);
        }
        // Long texts make batches of several blocks, which a crash can tear.
        let description = if random.chance(500) {
            "A lamp that is described at length. ".repeat(random.between(50, 400) as usize)
        } else {
            String::new()
        };
        Self { product, price: random.between(100, 9_999).cast_signed(), stock, key: random.u128(), description, asked: false }
    }
}

impl Errand for Put {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        if std::mem::replace(&mut self.asked, true) {
            return Step::Home;
        }
        let story = &scene.story.products[self.product];
        let opening = |(location, units): (&String, &i64)| OpeningStock {
            variant: story.key.clone(),
            location: location.clone(),
            on_hand: u32::try_from(*units).unwrap_or(0),
        };
        let input = ProductInput {
            key: story.key.clone(),
            title: format!("{} lamp", story.word),
            description: self.description.clone(),
            brand: Some("Korvan".to_owned()),
            category: Some("lamps/table".to_owned()),
            attributes: Vec::new(),
            images: Vec::new(),
            variants: vec![VariantInput {
                key: story.key.clone(),
                options: Vec::new(),
                prices: vec![Money { amount: self.price, currency: Currency::USD }],
                barcodes: Vec::new(),
            }],
            stock: self.stock.iter().map(opening).collect(),
            popularity: 0,
            margin: i8::try_from(self.price % 100).ok(),
            released: None,
            status: ProductStatus::Active,
        };
        Step::Ask(Ask { request: staff_asks(Op::PutProduct(Box::new(input)), Some(self.key)), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        let story = &mut scene.story.products[self.product];
        match &said.response.result {
            Ok(Body::Upserted { version, .. }) => {
                story.version = story.version.max(*version);
                // The one client that writes it knows what this version is.
                let before = story.prices.insert(*version, self.price);
                must(before.is_none_or(|before| before == self.price), || format!("version {version} of {} was written twice", story.key))?;
                if story.on_hand.is_empty() {
                    story.on_hand = std::mem::take(&mut self.stock);
                }
                scene.story.count("products written");
                Ok(())
            }
            other => Err(Violation::new(format!("a product is written and answered {other:?}"))),
        }
    }
}

/// Books a delivery in.
struct Receive {
    location: usize,
    lines: Vec<ReserveLine>,
    id: u128,
    times: u32,
}

impl Receive {
    fn first(scene: Scene<'_>, location: usize) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let kept = story.kept[location].iter().map(|sku| (*sku, (30, 150)));
        let churned = story.churned[location].iter().map(|sku| (*sku, (5, 40)));
        let lines = kept.chain(churned).map(|(sku, (from, to))| ReserveLine { sku, quantity: random.between32(from, to) }).collect();
        Self { location, lines, id: random.u128(), times: 1 }
    }

    fn more(scene: Scene<'_>) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let location = random.place(story.locations.len());
        let skus = &story.churned[location];
        let lines = vec![ReserveLine { sku: skus[random.place(skus.len())], quantity: random.between32(1, 12) }];
        // The second time is the same delivery, and books nothing.
        Self { location, lines, id: random.u128(), times: if random.chance(200) { 2 } else { 1 } }
    }
}

impl Errand for Receive {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        if self.times == 0 {
            return Step::Home;
        }
        let location = scene.story.locations[self.location].clone();
        let op = Op::ReceiveStock { id: self.id, location, lines: self.lines.clone() };
        Step::Ask(Ask { request: staff_asks(op, None), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        match &said.response.result {
            Ok(Body::Done) => {
                self.times -= 1;
                if self.times == 0 {
                    for line in &self.lines {
                        let at = (scene.story.locations[self.location].clone(), line.sku);
                        *scene.story.received.entry(at).or_default() += u64::from(line.quantity);
                    }
                }
                Ok(())
            }
            other => Err(Violation::new(format!("a delivery is answered {other:?}"))),
        }
    }
}

/// Books units of a product in or out.
struct Adjust {
    product: usize,
    location: String,
    delta: i64,
    key: u128,
    asked: bool,
}

impl Adjust {
    fn draw(scene: Scene<'_>, product: usize) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let locations: Vec<&String> = story.products[product].on_hand.keys().collect();
        let location = random.pick(&locations).clone();
        let delta = if random.chance(700) { random.between(1, 9).cast_signed() } else { -random.between(1, 4).cast_signed() };
        Self { product, location, delta, key: random.u128(), asked: false }
    }
}

impl Errand for Adjust {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        if std::mem::replace(&mut self.asked, true) {
            return Step::Home;
        }
        let adjustment = StockAdjustment {
            sku: SkuRef::Key(scene.story.products[self.product].key.clone()),
            location: self.location.clone(),
            change: StockChange::Delta(self.delta),
            reason: "counted".to_owned(),
            id: None,
        };
        Step::Ask(Ask { request: staff_asks(Op::AdjustStock(adjustment), Some(self.key)), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        match &said.response.result {
            Ok(Body::Stock(_)) => {
                *scene.story.products[self.product].on_hand.entry(self.location.clone()).or_default() += self.delta;
                scene.story.count("adjusted");
                Ok(())
            }
            Err(Failure::Refused(Refusal::StockCommitted { .. } | Refusal::Invalid(_))) => Ok(()),
            other => Err(Violation::new(format!("an adjustment is answered {other:?}"))),
        }
    }
}

/// Sends units of a product from one location to another.
struct Move {
    product: usize,
    from: String,
    to: String,
    units: u32,
    key: u128,
    sent: Option<TransferId>,
    returns: bool,
    steps: u32,
}

impl Move {
    fn draw(scene: Scene<'_>, product: usize) -> Self {
        let Scene { story, random, time_us: _ } = scene;
        let rows: Vec<&String> = story.products[product].on_hand.keys().collect();
        let from = random.pick(&rows).clone();
        let others: Vec<&String> = story.locations.iter().filter(|location| **location != from).collect();
        let to = random.pick(&others).clone();
        Self { product, from, to, units: random.between32(1, 4), key: random.u128(), sent: None, returns: random.chance(250), steps: 0 }
    }
}

impl Errand for Move {
    fn next(&mut self, scene: &mut Scene<'_>) -> Step {
        self.steps += 1;
        let (op, key) = match (self.steps, self.sent) {
            (1, _) => {
                let sku = SkuRef::Key(scene.story.products[self.product].key.clone());
                let lines = vec![SkuUnits { sku, quantity: self.units }];
                (Op::SendTransfer(Transfer { from: self.from.clone(), to: self.to.clone(), lines }), self.key)
            }
            (2, Some(_)) => return Step::Pause(scene.random.between(100, 100_000)),
            (3, Some(transfer)) if self.returns => (Op::RecallTransfer { transfer }, self.key ^ 1),
            (3, Some(transfer)) => (Op::ArriveTransfer { transfer, lines: None }, self.key ^ 1),
            (_, _) => return Step::Home,
        };
        Step::Ask(Ask { request: staff_asks(op, Some(key)), hold: None })
    }

    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation> {
        match (&said.response.result, self.sent) {
            (Ok(Body::Goods(done)), None) => {
                self.sent = done.transfer;
                must(self.sent.is_some(), || format!("goods are sent without a transfer: {done:?}"))
            }
            (Ok(Body::Goods(_)), Some(_)) => {
                if !self.returns {
                    let on_hand = &mut scene.story.products[self.product].on_hand;
                    *on_hand.entry(self.from.clone()).or_default() -= i64::from(self.units);
                    *on_hand.entry(self.to.clone()).or_default() += i64::from(self.units);
                }
                scene.story.count(if self.returns { "goods recalled" } else { "goods moved" });
                Ok(())
            }
            // Fewer are there.
            (Err(Failure::Refused(Refusal::InsufficientStock(_) | Refusal::Invalid(_) | Refusal::StockCommitted { .. })), None) => Ok(()),
            (other, _) => Err(Violation::new(format!("goods from {} to {} are answered {other:?}", self.from, self.to))),
        }
    }
}

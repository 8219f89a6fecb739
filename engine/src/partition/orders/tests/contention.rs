//! Orders that want each other's last units from several locations.
//!
//! Scripts first, around one real partition and the fake locations. Then [`World`]: real partitions for orders and for locations, the real planner, and
//! messages in any order; afterwards the dullest model there is says whether the refusals were true: as all is paid for, units only go, so whoever was
//! told that there is too little must still find too little in what is left.

use super::{DECIDE_MS, HOLD_TTL_MS, MIDNIGHT, Message, Shop, address, keyring, product, sku, usd};
use crate::domain::order::{Ending, HoldState, Order, Saga};
use crate::flow::sourcing;
use crate::partition::orders::{CONTENDED_MAX, CONTENDED_WAIT_MS};
use crate::partition::outbox::Target;
use crate::partition::{Changes, Done, Partition, peer_outcome};
use crate::record::v1::{Command, Entry, HoldLine, PeerOutcome, PlaceOrder, PricedLine};
use crate::shard::core::peer::Supply;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use wire::{Currency, EventId, HoldId, Millis, OrderId, OrderStatus, PartitionId, RawId, Refusal, Shortage};

const EAST: PartitionId = PartitionId(10);
const WEST: PartitionId = PartitionId(11);

/// Carries a message, and whatever comes back, to the end.
fn through(shop: &mut Shop, message: Message) {
    let mut next = Some(message);
    while let Some(message) = next {
        next = shop.deliver(message);
    }
}

/// What is under way to a location.
fn to(shop: &mut Shop, order: OrderId, place: PartitionId) -> Message {
    let is_it = |message: &Message| match message {
        Message::ToPlace { at, command: Command::Hold { order: of, .. } | Command::HoldPart { order: of, .. }, .. } => {
            (*at, *of) == (place, order)
        }
        Message::ToPlace { .. } | Message::FromPlace { .. } | Message::ToAdapter { .. } | Message::FromAdapter { .. } => false,
    };
    shop.send().into_iter().find(is_it).expect("it is asked for")
}

/// A hold of an order that is kept elsewhere, one of several.
fn stranger(shop: &mut Shop, place: PartitionId, units: u32) -> HoldId {
    let hold = HoldId(RawId(99));
    let lines = vec![HoldLine { sku: sku(1), quantity: units }];
    let part = Command::HoldPart { hold, order: OrderId(RawId(98)), location: String::new(), lines, ttl_ms: HOLD_TTL_MS };
    let now = shop.now;
    let taken = shop.places.get_mut(&place).expect("there").act(now, &part);
    assert!(matches!(taken, PeerOutcome::Held { .. }));
    hold
}

#[test] // Each holds what the other lacks: the first to come again wins, and the other is told the truth.
fn two_orders_that_want_each_others_last_units() {
    let mut shop = Shop::new(&[&[(1, 1)], &[(1, 1)]]);
    let carts = [shop.cart(&[(1, 2)]), shop.cart(&[(1, 2)])];
    let [first, second] = carts.map(|cart| shop.checkout(cart, "visa"));
    for (order, place) in [(first, EAST), (second, WEST), (first, WEST), (second, EAST)] {
        let message = to(&mut shop, order, place);
        through(&mut shop, message);
    }
    shop.run();
    for order in [first, second] {
        assert!(shop.history(order).starts_with("order.placed stock.contended"), "{}", shop.history(order));
    }
    let ends = [first, second].map(|order| (shop.order(order).status, shop.order(order).refusal()));
    let short = Refusal::InsufficientStock(vec![Shortage { line: 0, sku: sku(1), requested: 2, available: 0 }]);
    assert_eq!(ends, [(OrderStatus::Open, None), (OrderStatus::Expired, Some(short))]);
    assert_eq!((shop.units(first), shop.units(second)), ((0, 2), (0, 0)));
    shop.check_replay();
}

#[test] // As unlucky as can be: they always come at once, each gets first what the other lacks, and nothing comes back before both were refused.
fn two_orders_that_always_meet_do_not_starve_each_other() {
    let mut shop = Shop::new(&[&[(1, 1)], &[(1, 1)]]);
    let carts = [shop.cart(&[(1, 2)]), shop.cart(&[(1, 2)])];
    let [first, second] = carts.map(|cart| shop.checkout(cart, "visa"));
    let turn = |message: &Message| match message {
        Message::ToAdapter { .. } => 0, // leased: it would not come again for long
        Message::ToPlace { at, command: Command::Hold { order, .. } | Command::HoldPart { order, .. }, .. } => {
            if [(first, EAST), (second, WEST)].contains(&(*order, *at)) { 1 } else { 2 }
        }
        Message::ToPlace { .. } | Message::FromPlace { .. } | Message::FromAdapter { .. } => 3,
    };
    let mut rounds = 0;
    loop {
        rounds += 1;
        while let Some(message) = shop.send().into_iter().min_by_key(turn) {
            through(&mut shop, message);
        }
        let wanting: Vec<OrderId> = shop.partition.orders_needing_source().collect();
        if wanting.is_empty() {
            break;
        }
        wanting.into_iter().for_each(|order| shop.plan_again(order));
    }
    let ends = [first, second].map(|order| shop.order(order).status);
    assert_eq!(ends, [OrderStatus::Open, OrderStatus::Expired], "{:?}", shop.order(first).refusal());
    assert!(matches!(shop.order(second).refusal(), Some(Refusal::InsufficientStock(_))));
    assert!(rounds <= 4, "{rounds} rounds");
    shop.check_replay();
}

#[test]
fn after_contention_one_location_is_asked_after_the_other() {
    let mut shop = Shop::new(&[&[(1, 1)], &[(1, 1)], &[(1, 1)]]);
    let hold = stranger(&mut shop, WEST, 1);
    let cart = shop.cart(&[(1, 3)]);
    let id = shop.checkout(cart, "visa");
    let asked = |shop: &Shop| -> Vec<PartitionId> {
        let asked = |hold: &&crate::domain::order::OrderHold| matches!(hold.state, HoldState::Asked(_));
        shop.order(id).holds.iter().filter(asked).map(|hold| hold.partition).collect()
    };
    assert_eq!(asked(&shop).len(), 3, "at first all at once");
    while !matches!(shop.order(id).saga, Saga::NeedsSource { .. }) {
        let message = shop.send().remove(0);
        through(&mut shop, message);
    }
    assert_eq!(shop.units(id), (0, 0), "what was held is given back before the wait");
    let now = shop.now;
    shop.places.get_mut(&WEST).expect("there").act(now, &Command::ReleaseHold { hold });
    shop.plan_again(id);
    for place in [EAST, WEST, PartitionId(12)] {
        assert_eq!(asked(&shop), [place]);
        let message = to(&mut shop, id, place);
        through(&mut shop, message);
    }
    shop.run();
    assert_eq!((shop.order(id).status, shop.units(id)), (OrderStatus::Open, (0, 3)));
    shop.check_replay();
}

#[test] // Each row: what the stranger whose hold stood in the way does in the end, the refusal, and how often the order tried.
fn doubt_that_lasts_ends_the_checkout() {
    let short = Refusal::InsufficientStock(vec![Shortage { line: 0, sku: sku(1), requested: 3, available: 2 }]);
    for (pins, refusal, tried) in [(false, Refusal::Contended, CONTENDED_MAX + 1), (true, short, 4)] {
        let mut shop = Shop::new(&[&[(1, 2)], &[(1, 1)]]);
        let hold = stranger(&mut shop, WEST, 1);
        let cart = shop.cart(&[(1, 3)]);
        let id = shop.checkout(cart, "visa");
        let mut waits = Vec::new();
        while !shop.order(id).settled() {
            for message in shop.send() {
                through(&mut shop, message);
            }
            if let Saga::NeedsSource { not_before, .. } = shop.order(id).saga {
                assert_eq!(shop.units(id), (0, 0), "nobody waits while holding");
                waits.push(not_before.0 - shop.now.0);
                shop.now = not_before;
                if pins && waits.len() == 4 {
                    let now = shop.now;
                    shop.places.get_mut(&WEST).expect("there").act(now, &Command::Pin { hold });
                }
                shop.plan_again(id);
            }
        }
        assert_eq!(shop.order(id).refusal(), Some(refusal), "pins {pins}");
        assert_eq!(waits.len(), usize::from(tried), "pins {pins}");
        let (first, most) = CONTENDED_WAIT_MS;
        for (nth, wait) in waits.iter().enumerate() {
            let at_least = (first << nth).min(most);
            assert!((at_least..=2 * at_least).contains(wait), "wait {nth}: {wait}");
        }
        assert_eq!(shop.units(id), (0, 0));
        assert_eq!(shop.settled, [id]);
        shop.check_replay();
    }
}

#[test] // Waiting for another try does not outlive the order's own time, nor a buyer who goes.
fn a_waiting_order_can_be_given_up() {
    for cancels in [false, true] {
        let mut shop = Shop::new(&[&[(1, 2)], &[(1, 1)]]);
        stranger(&mut shop, WEST, 1);
        let cart = shop.cart(&[(1, 3)]);
        let id = shop.checkout(cart, "visa");
        while !matches!(shop.order(id).saga, Saga::NeedsSource { .. }) {
            let message = shop.send().remove(0);
            through(&mut shop, message);
        }
        // Again, until the first of two is held and the second not asked for yet.
        shop.plan_again(id);
        let message = to(&mut shop, id, EAST);
        through(&mut shop, message);
        assert_eq!(shop.units(id), (2, 0));
        if cancels {
            shop.apply(Command::CancelOrder { order: id, reason: String::new() }).expect("undecided");
        } else {
            shop.pass(DECIDE_MS);
        }
        shop.run();
        let status = if cancels { OrderStatus::Cancelled } else { OrderStatus::Expired };
        assert_eq!((shop.order(id).status, shop.units(id)), (status, (0, 0)));
        shop.check_replay();
    }
}

const HOMES: [PartitionId; 2] = [PartitionId(3), PartitionId(4)];
const PLACES: [PartitionId; 3] = [PartitionId(10), PartitionId(11), PartitionId(12)];
const SKUS: u16 = 2;
/// Fewer than the tries each has, so that somebody must win: see `domain::order::Saga`.
const ORDERS_AT_MOST: usize = 6;
const _: () = assert!(ORDERS_AT_MOST < CONTENDED_MAX as usize);

/// Between partitions.
#[derive(Clone)]
enum Mail {
    There { home: PartitionId, effect: EventId, to: PartitionId, command: Command },
    Back { home: PartitionId, effect: EventId, answer: PeerOutcome },
}

/// A plan in the making: locations are read one after another, as other things happen.
struct Gathering {
    what: What,
    read: usize,
    supply: Vec<Supply>,
}

enum What {
    Checkout { home: PartitionId, lines: Vec<(u16, u32)> },
    Again { order: OrderId, attempt: u16 },
}

struct World {
    now: Millis,
    partitions: BTreeMap<PartitionId, Partition>,
    mail: Vec<Mail>,
    sent: BTreeSet<EventId>,
    gathering: Vec<Gathering>,
    orders: Vec<OrderId>,
    begun: usize,
    stock: Vec<u32>,
}

impl World {
    fn new(units: [[u32; SKUS as usize]; 3]) -> Self {
        let fresh = |id: &PartitionId| (*id, Partition::new(*id, 0, 64));
        let mut world = Self {
            now: MIDNIGHT,
            partitions: HOMES.iter().chain(&PLACES).map(fresh).collect(),
            mail: Vec::new(),
            sent: BTreeSet::new(),
            gathering: Vec::new(),
            orders: Vec::new(),
            begun: 0,
            stock: (0..usize::from(SKUS)).map(|sku| units.iter().map(|of| of[sku]).sum()).collect(),
        };
        for (place, units) in PLACES.into_iter().zip(units) {
            for (number, on_hand) in (0..SKUS).zip(units) {
                let open = Command::OpenStock { id: number.into(), sku: sku(number), location: format!("loc-{}", place.0), on_hand };
                world.apply(place, open).expect("there is room");
            }
        }
        world
    }

    fn apply(&mut self, at: PartitionId, command: Command) -> crate::partition::Outcome {
        let partition = self.partitions.get_mut(&at).expect("there");
        let outcome = partition.apply(self.now, &Entry::of(command), &mut Changes::default()).outcome;
        partition.check().expect("consistent");
        for (id, effect) in &partition.outbox().open {
            if self.sent.insert(*id) {
                match &effect.target {
                    Target::Partition(to, command) => {
                        self.mail.push(Mail::There { home: at, effect: *id, to: *to, command: command.clone() });
                    }
                    Target::Adapter { .. } => panic!("all is free here"),
                }
            }
        }
        outcome
    }

    fn order(&self, id: OrderId) -> &Order {
        self.partitions[&id.partition()].order(id).expect("kept")
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::There { home, effect, to, command } => {
                let answer = peer_outcome(&self.apply(to, command));
                self.mail.push(Mail::Back { home, effect, answer });
            }
            Mail::Back { home, effect, answer } => {
                assert_eq!(self.apply(home, Command::EffectAnswered { effect, answer }), Ok(Done::Nothing));
            }
        }
    }

    /// Begins to plan for orders that want to try again.
    fn wanting(&mut self) {
        for home in HOMES {
            let ids: Vec<OrderId> = self.partitions[&home].orders_needing_source().collect();
            for order in ids {
                let Saga::NeedsSource { attempt, not_before } = self.order(order).saga else { panic!("it wants one") };
                let is_it = |at: &Gathering| matches!(at.what, What::Again { order: other, .. } if other == order);
                if not_before <= self.now && !self.gathering.iter().any(is_it) {
                    self.gathering.push(Gathering { what: What::Again { order, attempt }, read: 0, supply: Vec::new() });
                }
            }
        }
    }

    /// Reads one more location; after the last the plan is proposed.
    fn gather(&mut self, at: usize) {
        let gathering = &mut self.gathering[at];
        let partition = &self.partitions[&PLACES[gathering.read]];
        for number in 0..SKUS {
            for row in partition.stock_rows(sku(number)) {
                let in_doubt = partition.stock().in_doubt(sku(number), &row.location);
                let (location, available) = (row.location, row.available);
                gathering.supply.push(Supply { sku: sku(number), location, partition: partition.id(), available, in_doubt });
            }
        }
        gathering.read += 1;
        if gathering.read < PLACES.len() {
            return;
        }
        let Gathering { what, supply, .. } = self.gathering.swap_remove(at);
        match what {
            What::Checkout { home, lines } => self.check_out(home, &lines, &supply),
            What::Again { order, attempt } => {
                let wanted: Vec<HoldLine> =
                    self.order(order).lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity }).collect();
                let plan = sourcing::plan(&wanted, &supply);
                self.apply(order.partition(), Command::ResourceOrder { order, attempt, plan }).expect("it waits for one");
            }
        }
    }

    fn check_out(&mut self, home: PartitionId, wanted: &[(u16, u32)], supply: &[Supply]) {
        let Ok(Done::Cart(cart)) = self.apply(home, Command::CreateCart { currency: Currency::USD }) else { panic!("a cart") };
        for (number, quantity) in wanted {
            let line = Command::AddLine { cart, sku: sku(*number), product: product(*number), quantity: *quantity };
            self.apply(home, line).expect("added");
        }
        self.apply(home, Command::SetAddress { cart, address: keyring().seal(&address(), [1; 12]) }).expect("set");
        let found = self.partitions[&home].cart(cart).expect("there");
        let priced = |line: &crate::domain::cart::CartLine| PricedLine {
            line: line.id,
            sku: line.sku,
            quantity: line.quantity,
            title: String::new(),
            unit_price: Some(usd(0)),
        };
        let lines: Vec<HoldLine> = found.lines.iter().map(|line| HoldLine { sku: line.sku, quantity: line.quantity }).collect();
        let place = PlaceOrder {
            cart,
            cart_version: found.version,
            email: keyring().seal(&"ada@example.org".to_owned(), [2; 12]),
            provider: "sandbox".to_owned(),
            token: keyring().seal(&"visa".to_owned(), [3; 12]),
            accept_total: usd(0),
            lines: found.lines.iter().map(priced).collect(),
            plan: sourcing::plan(&lines, supply),
            gathered_at: self.now,
            hold_ttl_ms: HOLD_TTL_MS,
            decide_ms: DECIDE_MS,
            capture: true,
        };
        match self.apply(home, Command::PlaceOrder(Box::new(place))) {
            Ok(Done::Order(order)) => self.orders.push(order),
            Err(Refusal::InsufficientStock(_)) => self.check_refusal(wanted),
            other => panic!("an order or a shortage, not {other:?}"),
        }
    }

    /// Units of each SKU that can still be had, those in doubt included.
    fn left(&self) -> Vec<u32> {
        let of_place = |place: &PartitionId, number: u16| {
            let rows = self.partitions[place].stock_rows(sku(number));
            rows.iter().map(|row| row.available + self.partitions[place].stock().in_doubt(sku(number), &row.location)).sum::<u32>()
        };
        (0..SKUS).map(|number| PLACES.iter().map(|place| of_place(place, number)).sum()).collect()
    }

    /// Units only go: what is too little once stays too little.
    fn check_refusal(&self, wanted: &[(u16, u32)]) {
        let left = self.left();
        let is_short = wanted.iter().any(|(number, quantity)| *quantity > left[usize::from(*number)]);
        assert!(is_short, "{wanted:?} was refused as short, and {left:?} can be had");
    }

    /// One step: the low digits say what, the others with what.
    fn step(&mut self, number: u32) {
        let (what, with) = (number % 16, (number / 16) as usize);
        match what {
            0 | 1 if self.begun < ORDERS_AT_MOST => {
                self.begun += 1;
                let mut lines = vec![(0, 1 + (with % 4) as u32), (1, 1 + (with / 4 % 3) as u32)];
                if with % 5 == 0 {
                    lines.remove(with % 2);
                }
                let what = What::Checkout { home: HOMES[with % 2], lines };
                self.gathering.push(Gathering { what, read: 0, supply: Vec::new() });
            }
            2 => self.now = self.now.plus([1, 10, 50, 400][with % 4]),
            3..6 => {
                self.wanting();
                if let Some(at) = with.checked_rem(self.gathering.len()) {
                    self.gather(at);
                }
            }
            _ => {
                if let Some(at) = with.checked_rem(self.mail.len()) {
                    match &self.mail[at] {
                        // The answer is lost, and the question comes again. It does not come again once it was answered: its sender is one flow.
                        Mail::There { to, command, .. } if with % 7 == 0 => {
                            let (to, command) = (*to, command.clone());
                            _ = self.apply(to, command);
                        }
                        Mail::Back { .. } if with % 7 == 0 => self.deliver(self.mail[at].clone()),
                        Mail::There { .. } | Mail::Back { .. } => {
                            let mail = self.mail.swap_remove(at);
                            self.deliver(mail);
                        }
                    }
                }
            }
        }
    }

    /// Everything arrives, in an order that `random` draws.
    fn calm(&mut self, mut random: u64) {
        loop {
            self.wanting();
            let all = self.mail.len() + self.gathering.len();
            if let Some(at) = (super::draw(&mut random) as usize).checked_rem(all) {
                if at < self.mail.len() {
                    let mail = self.mail.swap_remove(at);
                    self.deliver(mail);
                } else {
                    self.gather(at - self.mail.len());
                }
                continue;
            }
            let waiting = self.orders.iter().filter_map(|id| match self.order(*id).saga {
                Saga::NeedsSource { not_before, .. } => Some(not_before),
                _ => None,
            });
            match waiting.min() {
                Some(not_before) => self.now = self.now.max(not_before),
                None => return,
            }
        }
    }

    fn check_ends(&self) {
        let mut stand = vec![0; usize::from(SKUS)];
        let (mut standing, mut contended) = (0, 0);
        for id in &self.orders {
            let order = self.order(*id);
            let wanted: Vec<(u16, u32)> = order.lines.iter().map(|line| ((line.sku.0.0 & 0xffff) as u16, line.quantity)).collect();
            match &order.saga {
                Saga::Open => {
                    standing += 1;
                    wanted.iter().for_each(|(number, quantity)| stand[usize::from(*number)] += quantity);
                }
                Saga::Ended { ending: Ending::Refused(Refusal::InsufficientStock(_)) } => self.check_refusal(&wanted),
                Saga::Ended { ending: Ending::Refused(Refusal::Contended) } => contended += 1,
                other => panic!("{id} is left in {other:?}"),
            }
        }
        for (number, sold) in (0..SKUS).zip(&stand) {
            let rows = PLACES.iter().flat_map(|place| self.partitions[place].stock_rows(sku(number)));
            let (held, committed) = rows.fold((0, 0), |sum, row| (sum.0 + row.held, sum.1 + row.committed));
            assert_eq!((held, committed), (0, *sold), "nothing is held, and sold is what stands");
            assert!(*sold <= self.stock[usize::from(number)]);
        }
        assert!(standing > 0 || contended == 0, "{contended} orders kept each other from the units, and nobody has them");
    }
}

fn run(units: [[u32; SKUS as usize]; 3], steps: &[u32]) -> World {
    let mut world = World::new(units);
    for step in steps {
        world.step(*step);
    }
    world.calm(steps.iter().map(|step| u64::from(*step)).sum());
    world.check_ends();
    world
}

fn any_units() -> impl Strategy<Value = [[u32; SKUS as usize]; 3]> {
    prop::array::uniform3(prop::array::uniform2(0u32..4))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, max_shrink_iters: 10_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn refusals_are_true_and_somebody_wins(units in any_units(), steps in proptest::collection::vec(any::<u32>(), 0..300)) {
        run(units, &steps);
    }
}

#[test] // The steps above must reach what they are for, or they prove little.
fn worlds_reach_contention_and_every_ending() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut random = 1;
    for _ in 0..400 {
        let steps: Vec<u32> = (0..250).map(|_| (super::draw(&mut random) >> 16) as u32).collect();
        let world = run([[2, 1], [1, 2], [2, 1]], &steps);
        for id in &world.orders {
            let order = world.order(*id);
            let is_contended = order.failed.contended > 0;
            let ending = match &order.saga {
                Saga::Open if is_contended => "stands after contention",
                Saga::Open => "stands",
                Saga::Ended { ending: Ending::Refused(Refusal::InsufficientStock(_)) } if is_contended => "short after contention",
                Saga::Ended { ending: Ending::Refused(Refusal::InsufficientStock(_)) } => "short",
                Saga::Ended { .. } => "contended",
                other => panic!("left in {other:?}"),
            };
            *seen.entry(ending).or_default() += 1;
        }
    }
    println!("{seen:?}");
    for wanted in ["stands after contention", "stands", "short after contention", "short"] {
        assert!(seen.get(wanted).is_some_and(|times| *times >= 20), "hardly any {wanted}: {seen:?}");
    }
}

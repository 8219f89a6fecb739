//! Tests of carts and checkouts: a shop in miniature around one real partition, with fake locations and a fake payment provider.
//!
//! Path: a test says what shoppers do → [`Shop::apply`] logs and applies → effects leave the outbox as [`Message`]s → the fakes answer →
//! the answers are logged and applied. Scripts deliver everything in order ([`Shop::run`]); `chaos` delivers as it likes.

mod carts;
mod chaos;
mod contention;
mod fakes;
mod outcomes;
mod refusals;

use self::fakes::{Place, Provider};
use crate::domain::order::{ORDER_EVENTS_MAX, Order};
use crate::partition::outbox::Target;
use crate::partition::{Applied, Changes, Done, Outcome, Partition};
use crate::record::v1::{Address, Command, Entry, HoldLine, PeerOutcome, PlaceOrder, PricedLine, ShortLine, Source, Sourcing};
use crate::seal::Keyring;
use std::collections::BTreeMap;
use wire::{
    CartId, Currency, EffectOutcome, EventField, EventId, EventKind, FeedEvent, Millis, Money, OrderId, PartitionId, ProductId, RawId,
    Refusal, Seq, SkuId,
};

/// Where the carts and orders live.
const HOME: PartitionId = PartitionId(3);
/// A quarter of an hour.
const HOLD_TTL_MS: u64 = 900_000;
const DECIDE_MS: u64 = 3_600_000;
const LEASE_MS: u64 = 30_000;
const MIDNIGHT: Millis = Millis(1_764_000_000_000);

fn keyring() -> Keyring {
    Keyring::new(&[7; 32])
}

fn sku(number: u16) -> SkuId {
    SkuId::new(Millis(1), PartitionId(1), Seq(1), number)
}

fn product(number: u16) -> ProductId {
    ProductId::new(Millis(1), PartitionId(1), Seq(1), number)
}

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

/// What a SKU costs here.
fn price(sku: SkuId) -> Money {
    usd(((sku.0.0 & 0xffff) as i64) * 100)
}

fn address() -> Address {
    let text = str::to_owned;
    Address {
        name: text("Ada"),
        line1: text("1 Mill Lane"),
        line2: None,
        city: text("Ely"),
        region: None,
        postal_code: text("CB6"),
        country: text("GB"),
        phone: None,
    }
}

/// Something under way between the partition and the world.
#[derive(Clone, Debug)]
enum Message {
    ToPlace { effect: EventId, at: PartitionId, command: Command },
    FromPlace { effect: EventId, answer: PeerOutcome },
    ToAdapter { effect: EventId, fence: u64, work: wire::EffectWork },
    FromAdapter { effect: EventId, fence: u64, outcome: EffectOutcome },
}

struct Shop {
    now: Millis,
    partition: Partition,
    changes: Changes,
    log: Vec<(Millis, Entry)>,
    places: BTreeMap<PartitionId, Place>,
    provider: Provider,
    /// Orders in the order they settled.
    settled: Vec<OrderId>,
    /// Every order ever minted.
    minted: Vec<OrderId>,
    nonces: u64,
}

impl Shop {
    /// With locations on partitions 10, 11, … that have `units` of each SKU number.
    fn new(places: &[&[(u16, u32)]]) -> Self {
        let place = |(at, units): (usize, &&[(u16, u32)])| {
            let partition = PartitionId(10 + u16::try_from(at).expect("few places"));
            (partition, Place::new(format!("loc-{at}"), units.iter().map(|(number, units)| (sku(*number), *units))))
        };
        Self {
            now: MIDNIGHT,
            partition: Partition::new(HOME, 0, 64),
            changes: Changes::default(),
            log: Vec::new(),
            places: places.iter().enumerate().map(place).collect(),
            provider: Provider::default(),
            settled: Vec::new(),
            minted: Vec::new(),
            nonces: 0,
        }
    }

    fn apply_entry(&mut self, entry: Entry) -> Applied {
        self.log.push((self.now, entry));
        let (time, entry) = &self.log[self.log.len() - 1];
        self.changes.settled.clear();
        let applied = self.partition.apply(*time, entry, &mut self.changes);
        self.settled.extend_from_slice(&self.changes.settled);
        applied
    }

    fn apply(&mut self, command: Command) -> Outcome {
        self.apply_entry(Entry::of(command)).outcome
    }

    fn nonce(&mut self) -> [u8; 12] {
        self.nonces += 1;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.nonces.to_le_bytes());
        nonce
    }

    /// A cart with an address and these lines.
    fn cart(&mut self, lines: &[(u16, u32)]) -> CartId {
        let cart = match self.apply(Command::CreateCart { currency: Currency::USD }) {
            Ok(Done::Cart(cart)) => cart,
            other => panic!("a cart, not {other:?}"),
        };
        for (number, quantity) in lines {
            let line = Command::AddLine { cart, sku: sku(*number), product: product(*number), quantity: *quantity };
            assert_eq!(self.apply(line), Ok(Done::Cart(cart)));
        }
        let nonce = self.nonce();
        let address = keyring().seal(&address(), nonce);
        assert_eq!(self.apply(Command::SetAddress { cart, address }), Ok(Done::Cart(cart)));
        cart
    }

    /// What a checkout of the cart gathers.
    fn gather(&mut self, cart: CartId, token: &str) -> PlaceOrder {
        let (email, sealed) = (self.nonce(), self.nonce());
        let cart = self.partition.cart(cart).expect("the cart is there");
        let priced = |line: &crate::domain::cart::CartLine| PricedLine {
            line: line.id,
            sku: line.sku,
            quantity: line.quantity,
            title: format!("thing {}", line.sku.0.0 & 0xffff),
            unit_price: Some(price(line.sku)),
        };
        let lines: Vec<PricedLine> = cart.lines.iter().map(priced).collect();
        let wanted: Vec<(SkuId, u32)> = cart.lines.iter().map(|line| (line.sku, line.quantity)).collect();
        PlaceOrder {
            cart: cart.id,
            cart_version: cart.version,
            email: keyring().seal(&"ada@example.org".to_owned(), email),
            provider: "sandbox".to_owned(),
            token: keyring().seal(&token.to_owned(), sealed),
            accept_total: usd(lines.iter().map(|line| price(line.sku).amount * i64::from(line.quantity)).sum()),
            plan: self.plan(&wanted),
            lines,
            gathered_at: self.now,
            hold_ttl_ms: HOLD_TTL_MS,
            decide_ms: DECIDE_MS,
            capture: true,
        }
    }

    /// Takes from the locations in their order, and counts units in doubt if the others do not suffice.
    fn plan(&self, wanted: &[(SkuId, u32)]) -> Sourcing {
        let plan = self.plan_from(wanted, Place::available);
        let all = |place: &Place, sku| place.available(sku) + place.in_doubt(sku);
        match (plan, self.plan_from(wanted, all)) {
            (Sourcing::Short(_), Sourcing::From(sources)) | (Sourcing::From(sources), _) => Sourcing::From(sources),
            (Sourcing::Short(short), Sourcing::Short(_)) => Sourcing::Short(short),
        }
    }

    fn plan_from(&self, wanted: &[(SkuId, u32)], units: impl Fn(&Place, SkuId) -> u32) -> Sourcing {
        let mut short = Vec::new();
        let mut parts: BTreeMap<PartitionId, Vec<HoldLine>> = BTreeMap::new();
        for (sku, wanted) in wanted {
            let mut missing = *wanted;
            for (partition, place) in &self.places {
                let quantity = units(place, *sku).min(missing);
                if quantity > 0 {
                    parts.entry(*partition).or_default().push(HoldLine { sku: *sku, quantity });
                    missing -= quantity;
                }
            }
            if missing > 0 {
                short.push(ShortLine { sku: *sku, requested: *wanted, available: wanted - missing });
            }
        }
        let source = |(partition, lines)| Source { location: self.places[&partition].code.clone(), partition, lines };
        if short.is_empty() { Sourcing::From(parts.into_iter().map(source).collect()) } else { Sourcing::Short(short) }
    }

    fn place(&mut self, place: PlaceOrder) -> Outcome {
        let outcome = self.apply(Command::PlaceOrder(Box::new(place)));
        if let Ok(Done::Order(order)) = outcome {
            self.minted.push(order);
        }
        outcome
    }

    /// Gathers and places; the order must be minted.
    fn checkout(&mut self, cart: CartId, token: &str) -> OrderId {
        let place = self.gather(cart, token);
        match self.place(place) {
            Ok(Done::Order(order)) => order,
            other => panic!("an order, not {other:?}"),
        }
    }

    fn order(&self, id: OrderId) -> &Order {
        self.partition.order(id).expect("the order is there")
    }

    /// Messages for all that is open and may be sent: to locations again and again, to the adapter under a new lease.
    fn send(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        for (id, effect) in &self.partition.outbox().open {
            if let Target::Partition(at, command) = &effect.target {
                messages.push(Message::ToPlace { effect: *id, at: *at, command: command.clone() });
            }
        }
        let free: Vec<EventId> = self.partition.outbox().leasable(self.now).map(|(id, _)| id).collect();
        if !free.is_empty() {
            let lease = Command::LeaseEffects { effects: free, holder: "adapter".to_owned(), ttl_ms: LEASE_MS };
            let Ok(Done::Leased { fence, effects }) = self.apply(lease) else { panic!("a lease") };
            for effect in effects {
                let work = self.partition.effect_work(effect, &keyring()).expect("open work");
                messages.push(Message::ToAdapter { effect, fence, work });
            }
        }
        messages
    }

    /// Delivers one message; gives what is sent back.
    fn deliver(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::ToPlace { effect, at, command } => {
                self.watch_release(&command);
                let answer = self.places.get_mut(&at)?.act(self.now, &command);
                Some(Message::FromPlace { effect, answer })
            }
            Message::ToAdapter { effect, fence, work } => {
                self.watch_capture(&work);
                let outcome = self.provider.act(&work);
                Some(Message::FromAdapter { effect, fence, outcome })
            }
            Message::FromPlace { effect, answer } => {
                assert_eq!(self.apply(Command::EffectAnswered { effect, answer }), Ok(Done::Nothing));
                None
            }
            Message::FromAdapter { effect, fence, outcome } => {
                assert_eq!(self.apply(Command::EffectResult { effect, fence, outcome }), Ok(Done::Nothing));
                None
            }
        }
    }

    /// Delivers everything in order, and answers orders that want another plan, until nothing is left to do at this time.
    fn run(&mut self) {
        loop {
            let messages = self.send();
            let wanting: Vec<OrderId> = self.partition.orders_needing_source().collect();
            if messages.is_empty() && wanting.is_empty() {
                break;
            }
            for message in messages {
                let mut next = Some(message);
                while let Some(message) = next {
                    next = self.deliver(message);
                }
            }
            for order in wanting {
                self.plan_again(order);
            }
            self.check();
        }
    }

    /// Gives an order that wants one another plan, from what is available.
    fn plan_again(&mut self, id: OrderId) {
        let order = self.order(id);
        let crate::domain::order::Saga::NeedsSource { attempt, .. } = order.saga else { return };
        let wanted: Vec<(SkuId, u32)> = order.lines.iter().map(|line| (line.sku, line.quantity)).collect();
        let plan = self.plan(&wanted);
        let again = Command::ResourceOrder { order: id, attempt, plan };
        assert_eq!(self.apply(again.clone()), Ok(Done::Order(id)));
        // A second plan for the same attempt comes too late.
        assert!(matches!(self.apply(again), Err(Refusal::OrderState { .. })));
    }

    /// Lets time pass and acts on it.
    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        for place in self.places.values_mut() {
            place.expire(self.now);
        }
        self.apply(Command::RunTimers { max: 1_000 }).expect("timers are not refused");
    }

    fn check(&self) {
        self.partition.check().expect("the partition is consistent");
        for place in self.places.values() {
            place.check();
        }
    }

    /// A partition made anew from the log has the same state.
    fn check_replay(&self) {
        let (mut again, mut changes) = (Partition::new(HOME, 0, 64), Changes::default());
        for (time, entry) in &self.log {
            again.apply(*time, entry, &mut changes);
        }
        assert_eq!(again.digest(), self.partition.digest(), "replay gives the same state");
        assert_eq!(changes.events, self.changes.events, "and tells the same");
        let of = |event: &&FeedEvent, id| event.kind != EventKind::CartOrdered && event.data.first() == Some(&EventField::Order(id));
        for order in self.partition.orders().filter(|order| order.events.len() < ORDER_EVENTS_MAX) {
            let told = self.changes.events.iter().filter(|event| of(event, order.id));
            let told: Vec<&str> = told.map(|event| event.kind.word()).collect();
            let history: Vec<String> = order.events.iter().map(|event| event.kind.as_str().replace("stock.", "order.stock_")).collect();
            let history: Vec<String> = history.iter().map(|word| word.replace("stock_restock", "restock")).collect();
            assert_eq!(told, history, "the feed tells the history of {}", order.id);
        }
    }

    /// Kinds of an order's history, in one line.
    fn history(&self, id: OrderId) -> String {
        let kinds: Vec<&str> = self.order(id).events.iter().map(|event| event.kind.as_str()).collect();
        kinds.join(" ")
    }

    /// Units of an order at all locations, by what became of them: (held or pinned, committed).
    fn units(&self, order: OrderId) -> (u32, u32) {
        self.places.values().map(|place| place.units_of(order)).fold((0, 0), |sum, units| (sum.0 + units.0, sum.1 + units.1))
    }

    /// Stock must not go back while the provider has the order's money reserved or taken.
    fn watch_release(&self, command: &Command) {
        if let Command::ReleaseHold { hold } | Command::Restock { hold } = command {
            let owner = self.places.values().find_map(|place| place.owner(*hold));
            let payments = owner.and_then(|order| self.partition.order(order)).map(|order| order.payments.as_slice());
            for payment in payments.unwrap_or_default() {
                assert_eq!(self.provider.kept(&payment.id.to_string()), 0, "stock is given back while money is kept");
            }
        }
    }

    /// Money must not be taken before all stock is committed.
    fn watch_capture(&self, work: &wire::EffectWork) {
        let wire::EffectWork::Capture { reference, .. } = work else { return };
        if self.provider.would_capture(reference) {
            let paid = |order: &&Order| order.payments.iter().any(|payment| payment.id.to_string() == *reference);
            let order = self.partition.orders().find(paid).expect("only orders capture");
            let wanted: u32 = order.lines.iter().map(|line| line.quantity).sum();
            assert_eq!(self.units(order.id).1, wanted, "money is taken before all stock is committed");
        }
    }
}

/// An id that names nothing.
fn nowhere() -> RawId {
    RawId::new(MIDNIGHT, HOME, Seq(9_999_999), 9)
}

/// The next number of a linear congruential generator (Knuth's MMIX), its high bits.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 16
}

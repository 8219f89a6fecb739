//! Those who ask: buyers, staff, and those who keep their orders elsewhere and reserve stock.
//!
//! Path: [`draw`] → each client runs errands, one after the other → an [`Errand`] says what to ask next ([`Step`]) → [`World::client_wakes`] sends it, and
//! sends the same again, under the same key or id, until there is an answer that settles it → the errand looks at the answer and tells the story.
//! Read first: [`Errand`]. An errand draws from a stream of its own, so that a run without some of them is much the same run.

mod holder;
mod reader;
mod shopper;
mod staff;

use super::{
    Settings,
    checks::{
        Violation,
        answers::{Exchange, Story},
        must,
    },
    random::Random,
    world::{Caller, Event, Phase, World},
};
use std::collections::BTreeMap;
use wire::{Body, Failure, Idempotency, Op, Principal, ProductRef, Refusal, Request, Response, Role};

/// What an errand does next.
pub(super) enum Step {
    /// Asks until it is answered.
    Ask(Ask),
    /// Sends a reservation so late, and does not wait for it.
    Throw { request: Request, hold: u128, delay_us: u64 },
    /// Does nothing for so long.
    Pause(u64),
    /// It is over.
    Home,
}

/// A request that is sent until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) request: Request,
    /// A hold it would take, should it be answered twice.
    pub(super) hold: Option<u128>,
}

/// What an errand may look at.
pub(super) struct Scene<'a> {
    pub(super) story: &'a mut Story,
    pub(super) random: &'a mut Random,
    pub(super) time_us: u64,
}

/// An answer, with its times.
pub(super) struct Said<'a> {
    pub(super) response: &'a Response,
    /// When it was asked first.
    pub(super) first_us: u64,
}

/// Something a client does, from its first request to the last answer.
pub(super) trait Errand {
    /// The next step; asked for at the beginning, and after each step ended.
    fn next(&mut self, scene: &mut Scene<'_>) -> Step;

    /// The answer to what was asked last: a success, or a refusal that is not just of the moment.
    ///
    /// # Errors
    /// When it cannot be.
    fn told(&mut self, scene: &mut Scene<'_>, said: &Said<'_>) -> Result<(), Violation>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Holder,
    Shopper,
    Staff,
    Reader,
}

/// One of them.
pub(super) struct Client {
    kind: Kind,
    random: Random,
    pub(super) errands: u32,
    begun: u32,
    errand: Option<(Box<dyn Errand>, Random)>,
    wake: u64,
    ask: u64,
    pending: Option<Pending>,
    /// Holds and results of what was answered, should it be answered again.
    past: BTreeMap<u64, Past>,
}

struct Pending {
    ask: Ask,
    first_us: u64,
    tries: u32,
    /// The last try was not answered.
    unanswered: bool,
}

enum Past {
    Hold(u128),
    Keyed(Box<Response>),
}

impl Client {
    fn new(kind: Kind, random: Random, errands: u32) -> Self {
        Self { kind, random, errands, begun: 0, errand: None, wake: 0, ask: 0, pending: None, past: BTreeMap::new() }
    }

    /// For people.
    pub(super) fn what(&self) -> String {
        format!("{:?}", self.kind)
    }

    pub(super) fn wake(&self) -> u64 {
        self.wake
    }

    /// All errands are run.
    pub(super) fn is_home(&self) -> bool {
        self.begun == self.errands && self.errand.is_none()
    }

    /// What it has asked and not been answered.
    pub(super) fn waits_for(&self) -> Option<String> {
        if self.is_home() {
            return None;
        }
        Some(self.pending.as_ref().map_or_else(|| "its next step".to_owned(), |pending| format!("{:?}", pending.ask.request.op)))
    }
}

/// The clients of a run.
pub(super) fn draw(settings: &Settings, root: &Random) -> Vec<Client> {
    let kinds = [
        (Kind::Staff, settings.staff),
        (Kind::Holder, settings.holders),
        (Kind::Shopper, settings.shoppers),
        (Kind::Reader, settings.readers),
    ];
    let mut clients = Vec::new();
    for (kind, (count, errands)) in kinds {
        for _ in 0..count {
            let random = root.fork(100 + clients.len() as u64);
            clients.push(Client::new(kind, random, errands));
        }
    }
    clients
}

/// A request of a member of staff.
pub(super) fn staff_asks(op: Op, key: Option<u128>) -> Request {
    request(Principal::Staff { role: Role::Admin }, op, key)
}

/// A request with a key of the client's own.
pub(super) fn request(principal: Principal, op: Op, key: Option<u128>) -> Request {
    let idempotency = key.map(|key| Idempotency { key, fingerprint: 1 });
    Request { principal, idempotency, timeout_ms: 2_000, ..Request::system(op) }
}

/// An answer about a product that had a version before anybody asked for it.
pub(super) fn probed(story: &Story, product: usize, version: u64, response: &Response) -> Result<(), Violation> {
    let is_old = match &response.result {
        Ok(Body::Product(page)) => page.version < version,
        Err(Failure::Refused(Refusal::NotFound)) => true,
        Ok(_) | Err(_) => false,
    };
    must(!is_old, || {
        format!("{} had version {version} before it was asked for, and the answer is {:?}", story.products[product].key, response.result)
    })
}

/// Is the answer one of the moment, so that the same is asked again?
fn is_of_the_moment(op: &Op, result: &Result<Body, Failure>) -> bool {
    match result {
        Ok(_) => false,
        // A checkout that met contention for the last time has ended, and its key says so for good.
        Err(Failure::Refused(Refusal::Contended)) => matches!(op, Op::Reserve(_)),
        Err(Failure::Refused(refusal)) => {
            matches!(refusal, Refusal::IdempotencyKeyInUse | Refusal::PricesOutdated | Refusal::StillArriving)
        }
        Err(
            Failure::Overloaded { .. }
            | Failure::StorageFull
            | Failure::WrongShard
            | Failure::DeadlineExceeded
            | Failure::ShuttingDown
            | Failure::NotLeader { .. }
            | Failure::Interrupted,
        ) => true,
        // A fault of the engine's own is told to the client, and is a violation.
        Err(_) => false,
    }
}

impl World {
    /// A client goes on: sends again what was not answered, or does the next step.
    pub(super) fn client_wakes(&mut self, at: usize, wake: u64) -> Result<(), Violation> {
        let client = &mut self.clients[at];
        if client.wake != wake || client.is_home() {
            return Ok(());
        }
        if client.pending.is_some() {
            self.send_pending(at);
            return Ok(());
        }
        if client.errand.is_none() {
            if client.kind == Kind::Staff || self.is_open() {
                self.begin_errand(at);
            } else {
                self.client_sleeps(at, 20_000);
            }
            return Ok(());
        }
        let Some((errand, random)) = &mut client.errand else { return Ok(()) };
        let mut scene = Scene { story: &mut self.story, random, time_us: self.time_us };
        match errand.next(&mut scene) {
            Step::Home => {
                client.errand = None;
                self.story.errands_begun += u64::from(client.is_home());
                let pause = self.random.between(100, 20_000);
                self.client_sleeps(at, pause);
            }
            Step::Pause(us) => self.client_sleeps(at, us),
            Step::Throw { request, hold, delay_us } => {
                self.story.operations += 1;
                self.send(Caller::Stray { client: at, hold }, request, delay_us);
                self.client_sleeps(at, 10);
            }
            Step::Ask(ask) => {
                self.story.operations += 1;
                client.ask += 1;
                client.pending = Some(Pending { ask, first_us: self.time_us, tries: 0, unanswered: false });
                self.send_pending(at);
            }
        }
        Ok(())
    }

    /// Has the merchant filled the shop? Before, there is nothing to ask for.
    fn is_open(&self) -> bool {
        let filled = self.settings.products + self.settings.locations;
        self.clients.iter().filter(|client| client.kind == Kind::Staff).all(|client| u64::from(client.begun) > filled || client.is_home())
    }

    fn begin_errand(&mut self, at: usize) {
        let client = &mut self.clients[at];
        while client.begun < client.errands {
            let number = client.begun;
            client.begun += 1;
            self.story.errands_begun += 1;
            if self.masks.errand(at, number) {
                continue;
            }
            let mut random = client.random.fork(u64::from(number));
            let scene = Scene { story: &mut self.story, random: &mut random, time_us: self.time_us };
            let errand: Box<dyn Errand> = match client.kind {
                Kind::Holder => Box::new(holder::Holder::draw(scene, &self.settings)),
                Kind::Shopper => Box::new(shopper::Shopper::draw(scene)),
                Kind::Staff => staff::draw(scene, &self.settings, number),
                Kind::Reader => Box::new(reader::Reader::draw(scene)),
            };
            client.errand = Some((errand, random));
            break;
        }
        self.client_sleeps(at, 0);
    }

    /// Wakes a client so much later, and not before.
    fn client_sleeps(&mut self, at: usize, us: u64) {
        let client = &mut self.clients[at];
        client.wake += 1;
        let wake = client.wake;
        self.schedule(us, Event::Client { client: at, wake });
    }

    fn send_pending(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(pending) = &mut client.pending else { return };
        pending.tries += 1;
        let unanswered = std::mem::replace(&mut pending.unanswered, true);
        let (request, ask) = (pending.ask.request.clone(), client.ask);
        if pending.tries > 1 && unanswered {
            self.think_again(&request, None);
        }
        let patience_us = u64::from(request.timeout_ms) * 1_000 + 200_000;
        self.send(Caller::Client { client: at, ask }, request, 0);
        // Some lose patience before the engine does.
        let patience_us = if self.random.chance(100) { self.random.between(2_000, patience_us) } else { patience_us };
        let patience_us = if self.phase == Phase::Storm { patience_us } else { patience_us.max(500_000) };
        self.client_sleeps(at, patience_us);
    }

    /// An answer to a try of a client's request.
    pub(super) fn client_answered(&mut self, at: usize, ask: u64, sent_us: u64, response: Response) -> Result<(), Violation> {
        self.trace(9, ask ^ response.positions.iter().map(|position| position.seq.0).sum::<u64>());
        if !response.positions.is_empty() {
            let positions = response.positions.clone();
            self.story.exchanges.push(Exchange { sent_us, answered_us: self.time_us, positions });
        }
        let client = &mut self.clients[at];
        if client.ask != ask || client.pending.is_none() {
            return match client.past.get(&ask) {
                Some(Past::Hold(hold)) => self.story.stray(*hold, &response),
                Some(Past::Keyed(first)) => super::checks::answers::same(first, &response),
                None => Ok(()),
            };
        }
        if client.pending.as_ref().is_some_and(|pending| is_of_the_moment(&pending.ask.request.op, &response.result)) {
            let pause = self.random.between(5_000, 300_000);
            if let Some(pending) = &mut client.pending {
                pending.unanswered = false;
                let request = pending.ask.request.clone();
                self.think_again(&request, response.result.as_ref().err());
            }
            self.client_sleeps(at, pause);
            return Ok(());
        }
        if response.result == Err(Failure::Internal) {
            return Err(Violation::new(format!(
                "{:?} is answered as a fault of the engine's own",
                client.pending.as_ref().map(|p| &p.ask.request)
            )));
        }
        let Some(pending) = client.pending.take() else { return Ok(()) };
        if let (Op::PutProduct(input), Ok(Body::Upserted { version, .. })) = (&pending.ask.request.op, &response.result) {
            self.probe(&input.key, *version);
        }
        let client = &mut self.clients[at];
        if let Some(hold) = pending.ask.hold {
            client.past.insert(ask, Past::Hold(hold));
        } else if pending.ask.request.idempotency.is_some() {
            client.past.insert(ask, Past::Keyed(Box::new(response.clone())));
        }
        if let Some((errand, random)) = &mut client.errand {
            let mut scene = Scene { story: &mut self.story, random, time_us: self.time_us };
            errand.told(&mut scene, &Said { response: &response, first_us: pending.first_us })?;
        }
        let pause = if self.random.chance(300) { self.random.between(500, 60_000) } else { self.random.between(10, 500) };
        self.client_sleeps(at, pause);
        Ok(())
    }

    /// Somebody asks all machines of a cluster for what was written just now: those that led once as well.
    fn probe(&mut self, key: &str, version: u64) {
        let Some(product) = self.story.products.iter().position(|of| of.key == key).filter(|_| self.settings.machines > 1) else { return };
        for machine in self.here() {
            for delay_us in [0, 300_000] {
                let op = Op::GetProduct(ProductRef::Key(key.to_owned()));
                self.send_to(machine, Caller::Probe { product, version }, request(Principal::Anonymous, op, None), delay_us);
            }
        }
    }

    /// After the storm: somebody who reserves, and somebody who buys.
    pub(super) fn send_fresh_clients(&mut self) {
        self.story.is_fresh = true;
        self.story.log_ms = self.shadow.partitions().iter().map(|partition| partition.last_time().0).max().unwrap_or(0);
        for kind in [Kind::Holder, Kind::Shopper] {
            let random = Random::new(0).fork(kind as u64);
            self.clients.push(Client::new(kind, random, 1));
            let at = self.clients.len() - 1;
            self.client_sleeps(at, 0);
        }
    }
}

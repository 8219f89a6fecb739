//! A buyer on the engine link: reserves, then buys, cancels, forgets, or does what no honest buyer would.
//!
//! Each reservation is an attempt. What becomes of it is drawn: see [`Buyer::end`].

use super::{LOCATION, Sale, basket, link::Connection};
use crate::{
    crashes::random,
    history::{Answer, Ask, Body, Exchange, Line, Short, Told},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::sleep;
use wire::{Failure, HoldId, Op, OrderId, Principal, RawId, Refusal, Request, Reservation, ReserveLine, Response, Role};

const WAREHOUSE: Principal = Principal::Staff { role: Role::Warehouse };
/// How long an answer is waited for.
const TIMEOUT_MS: u32 = 60_000;
/// Long enough for a buyer who means it, kills included.
const TTL_MS: u64 = 120_000;
/// Longest life of a reservation that is left to fall back.
const ABANDONED_TTL_MS_MAX: u64 = 400;

pub(super) struct Buyer {
    sale: Arc<Sale>,
    connection: Arc<Connection>,
    number: u64,
    seed: u64,
    /// Reservations made.
    count: u64,
    losses: u64,
    exchanges: Vec<Exchange>,
}

impl Buyer {
    pub(super) fn new(sale: Arc<Sale>, connection: Arc<Connection>, number: u64, seed: u64) -> Self {
        Self { sale, connection, number, seed, count: 0, losses: 0, exchanges: Vec::new() }
    }

    /// Goes on until there were enough attempts. Everything that was told, and how many answers were lost.
    pub(super) async fn buy(mut self) -> (Vec<Exchange>, u64) {
        let sale = Arc::clone(&self.sale);
        while let Some(_busy) = sale.attempt(&sale.wire_attempts, sale.sizes.attempts - sale.sizes.checkouts).await {
            self.attempt().await;
        }
        (self.exchanges, self.losses)
    }

    fn below(&mut self, end: u64) -> u64 {
        random(&mut self.seed) % end
    }

    async fn attempt(&mut self) {
        self.count += 1;
        let hold = u128::from(now_ms()) << 80 | u128::from(self.number) << 48 | u128::from(self.count);
        let lines = basket(&mut self.seed, self.sale.sizes.skus);
        let drawn = self.below(1_000);
        let ttl_ms = match drawn {
            0..ABANDONED => 1 + self.below(ABANDONED_TTL_MS_MAX),
            ABANDONED..LATE => 1 + self.below(10),
            _ => TTL_MS,
        };
        let body = Body { ttl_ms, lines, partial: self.below(PARTIAL_ONE_IN) == 0 };
        if let Answer::Reserved { told, .. } = self.ask(hold, Ask::Reserve(body.clone())).await {
            let taken = body.lines.iter().zip(told.taken).map(|(line, quantity)| Line { quantity, ..*line });
            let taken = taken.filter(|line| line.quantity > 0).collect();
            self.end(hold, body, taken, drawn).await;
        } else if self.below(200) == 0 {
            // Gives up for good: should it still be under way it must be kept out.
            self.ask(hold, Ask::Release).await;
            self.ask(hold, Ask::Reserve(body)).await;
        }
    }

    async fn end(&mut self, hold: u128, body: Body, taken: Vec<Line>, drawn: u64) {
        match self.below(200) {
            0..2 => drop(self.ask(hold, Ask::Reserve(body.clone())).await),
            2 => {
                let mut other = body.clone();
                other.lines[0].quantity += 1;
                self.ask(hold, Ask::Reserve(other)).await;
            }
            // By more than it has, and by less.
            3..6 => drop(self.ask(hold, Ask::Extend { ttl_ms: body.ttl_ms + 1 + self.seed % 50 }).await),
            6 => drop(self.ask(hold, Ask::Extend { ttl_ms: 1 }).await),
            _ => {}
        }
        match drawn {
            // Left to fall back; some come again when it has.
            0..ABANDONED => {
                if self.below(50) == 0 {
                    sleep(Duration::from_millis(body.ttl_ms + 5)).await;
                    self.ask(hold, Ask::Release).await;
                }
            }
            // Bought just before its time is over, or just after.
            ABANDONED..LATE => {
                let late = self.below(2 * body.ttl_ms);
                sleep(Duration::from_millis(late)).await;
                match self.below(4) {
                    // Kept for a little longer, if it is not too late.
                    0 => {
                        self.ask(hold, Ask::Extend { ttl_ms: 1 + body.ttl_ms }).await;
                        sleep(Duration::from_millis(body.ttl_ms)).await;
                        self.ask(hold, Ask::Commit).await;
                    }
                    1 => drop(self.ask(hold, Ask::CommitPart(one_of_each(&taken))).await),
                    _ => drop(self.ask(hold, Ask::Commit).await),
                }
            }
            LATE..RACED => self.race(hold, &taken).await,
            _ if self.below(self.sale.sizes.bought_one_in) == 0 => {
                let sells = match self.below(3) {
                    0 => Ask::CommitPart(one_of_each(&taken)),
                    1 => Ask::CommitPart(vec![taken[0]]),
                    _ => Ask::Commit,
                };
                if self.below(8) == 0 {
                    // More than there is: refused, and nothing is changed.
                    let mut too_many = taken.clone();
                    too_many[0].quantity += taken.iter().map(|line| line.quantity).sum::<u32>();
                    self.ask(hold, Ask::CommitPart(too_many)).await;
                }
                self.ask(hold, sells.clone()).await;
                match self.below(10) {
                    0 => drop(self.ask(hold, sells).await),
                    1 => drop(self.ask(hold, Ask::Release).await),
                    2 => drop(self.ask(hold, Ask::Reserve(body)).await),
                    3 => drop(self.ask(hold, Ask::Extend { ttl_ms: TTL_MS }).await),
                    // Otherwise than before, unless it happens to be the same.
                    4 => drop(self.ask(hold, Ask::Commit).await),
                    5 => drop(self.ask(hold, Ask::CommitPart(one_of_each(&taken))).await),
                    _ => {}
                }
            }
            _ => {
                self.ask(hold, Ask::Release).await;
                match self.below(100) {
                    0 => drop(self.ask(hold, Ask::Release).await),
                    1 => drop(self.ask(hold, Ask::Commit).await),
                    2 => drop(self.ask(hold, Ask::Reserve(body)).await),
                    3 => drop(self.ask(hold, Ask::Extend { ttl_ms: TTL_MS }).await),
                    4 => drop(self.ask(hold, Ask::CommitPart(taken)).await),
                    _ => {}
                }
            }
        }
    }

    /// Bought, bought in part, cancelled and extended at the same moment: it ends in one way.
    async fn race(&mut self, hold: u128, taken: &[Line]) {
        let other = || Self::new(Arc::clone(&self.sale), Arc::clone(&self.connection), self.number, 0);
        let (mut buys, mut picks, mut cancels, mut extends) = (other(), other(), other(), other());
        tokio::join!(
            buys.ask(hold, Ask::Commit),
            picks.ask(hold, Ask::CommitPart(one_of_each(taken))),
            cancels.ask(hold, Ask::Release),
            extends.ask(hold, Ask::Extend { ttl_ms: 2 * TTL_MS }),
        );
        for mut other in [buys, picks, cancels, extends] {
            self.losses += other.losses;
            self.exchanges.append(&mut other.exchanges);
        }
    }

    /// Asks until there is an answer, and writes it down.
    async fn ask(&mut self, hold: u128, ask: Ask) -> Answer {
        let request = Request { principal: WAREHOUSE, timeout_ms: TIMEOUT_MS, ..Request::system(self.op(hold, &ask)) };
        let sale = &self.sale;
        let mut sends = Vec::new();
        let losses = self.losses;
        let Response { positions, replayed, result } = self.connection.ask(&request, || sends.push(sale.now()), &mut self.losses).await;
        let answered = self.sale.now();
        let sent = *sends.last().expect("it was sent");
        // What was refused for want of room did not begin.
        let first_sent = if self.losses > losses { sends[0] } else { sent };
        let answer = self.answer(&ask, replayed, result);
        let [position] = positions[..] else { panic!("one command, one place: {positions:?} for {request:?}") };
        self.exchanges.push(Exchange { hold, ask, first_sent, sent, answered, position, answer: answer.clone() });
        answer
    }

    fn op(&self, hold: u128, ask: &Ask) -> Op {
        let (hold, location) = (HoldId(RawId(hold)), LOCATION.to_owned());
        match ask {
            Ask::Reserve(Body { ttl_ms, lines, partial }) => Op::Reserve(Reservation {
                hold,
                owner: OrderId(RawId(u128::from(self.number))),
                location,
                lines: self.named(lines),
                ttl_ms: u32::try_from(*ttl_ms).expect("minutes"),
                partial: *partial,
            }),
            Ask::Commit => Op::CommitReserved { hold, location },
            Ask::CommitPart(lines) => Op::CommitReservedPart { hold, location, lines: self.named(lines) },
            Ask::Extend { ttl_ms } => Op::ExtendReserved { hold, location, ttl_ms: u32::try_from(*ttl_ms).expect("minutes") },
            Ask::Release => Op::ReleaseReserved { hold, location },
        }
    }

    fn named(&self, lines: &[Line]) -> Vec<ReserveLine> {
        lines.iter().map(|line| ReserveLine { sku: self.sale.skus[line.sku as usize], quantity: line.quantity }).collect()
    }

    fn answer(&self, ask: &Ask, replayed: bool, result: Result<wire::Body, Failure>) -> Answer {
        match result {
            Ok(wire::Body::Reserved(reserved)) => {
                let (taken, remaining) = reserved.lines.iter().map(|line| (line.taken, line.remaining)).unzip();
                Answer::Reserved { told: Told { expires_at: reserved.expires_at.0, taken, remaining }, replayed }
            }
            Ok(wire::Body::Done) => Answer::Done,
            Ok(wire::Body::Extended { expires_at }) => Answer::Extended { expires_at: expires_at.0 },
            Err(Failure::Refused(Refusal::InsufficientStock(short))) => Answer::Short(
                short
                    .iter()
                    .map(|short| Short {
                        line: usize::from(short.line),
                        sku: self.number_of(ask, short),
                        requested: short.requested,
                        available: short.available,
                    })
                    .collect(),
            ),
            Err(Failure::Refused(Refusal::NotFound)) => Answer::NotFound,
            Err(Failure::Refused(Refusal::IdempotencyKeyReused)) => Answer::IdReused,
            Err(Failure::Refused(Refusal::Invalid(fields))) if fields.iter().any(|field| field.code == "hold_committed") => {
                Answer::IsCommitted
            }
            Err(Failure::Refused(Refusal::Invalid(fields))) if fields.iter().any(|field| field.code == "commit") => Answer::Differs,
            other => panic!("{ask:?}: {other:?}"),
        }
    }

    /// The number of a SKU that a shortage names.
    fn number_of(&self, ask: &Ask, short: &wire::Shortage) -> u32 {
        let Ask::Reserve(Body { lines, .. }) = ask else { panic!("{ask:?}: {short:?}") };
        let named = |line: &&Line| self.sale.skus[line.sku as usize] == short.sku;
        lines.iter().find(named).unwrap_or_else(|| panic!("{ask:?} names no such SKU: {short:?}")).sku
    }
}

/// A unit of each SKU.
fn one_of_each(taken: &[Line]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in taken {
        if lines.iter().all(|other| other.sku != line.sku) {
            lines.push(Line { sku: line.sku, quantity: 1 });
        }
    }
    lines
}

/// One in so many reservations takes what there is.
const PARTIAL_ONE_IN: u64 = 8;

/// Ends of the draw's ranges, in thousandths of all reservations.
const ABANDONED: u64 = 150;
const LATE: u64 = ABANDONED + 6;
const RACED: u64 = LATE + 10;

#[expect(clippy::disallowed_methods, reason = "ids carry the time they were made")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("less than eons")
}

//! The checker against an engine that is right, and against ones that are wrong in one thing.
//!
//! [`Dull`] is the whole of the rules in the plainest code. [`Crowd`] asks it as concurrent clients do, loses answers, and writes the history down.

mod dull;
mod parts;

use super::{Answer, Ask, Body, Exchange, History, Line, Moment, Order, Row, Sku, Told, Violation, check};
use dull::{Dull, Fault};
use wire::{PartitionId, Position, Seq};

/// Clients that ask and write down what they are told.
struct Crowd {
    dull: Dull,
    clock: u64,
    history: History,
}

impl Crowd {
    fn new(stock: &[u32], fault: Fault) -> Self {
        let history = History { stock: stock.to_vec(), ..History::default() };
        Self { dull: Dull::new(stock, fault), clock: 0, history }
    }

    fn moment(&mut self) -> Moment {
        self.clock += 1;
        Moment(self.clock)
    }

    fn told(&mut self, hold: u128, ask: Ask, [first_sent, sent]: [Moment; 2], (seq, answer): (u64, Answer)) {
        let position = Position { epoch: 1, partition: PartitionId(61), seq: Seq(seq) };
        let answered = self.moment();
        self.history.exchanges.push(Exchange { hold, ask, first_sent, sent, answered, position, answer });
    }

    /// Asks and is answered at once.
    fn ask(&mut self, hold: u128, ask: Ask) -> Answer {
        let sent = self.moment();
        let answer = self.dull.ask(hold, &ask);
        self.told(hold, ask, [sent, sent], answer.clone());
        answer.1
    }

    /// Asks, is not answered whether it arrived or not, and asks again.
    fn ask_twice(&mut self, hold: u128, ask: Ask, arrived: bool, between: impl FnOnce(&mut Self)) {
        let first = self.moment();
        if arrived {
            self.dull.ask(hold, &ask);
        }
        between(self);
        let sent = self.moment();
        let answer = self.dull.ask(hold, &ask);
        self.told(hold, ask, [first, sent], answer);
    }

    /// A checkout of one unit, by a way that tells no place.
    fn order(&mut self, sku: Sku, between: impl FnOnce(&mut Self)) {
        let sent = self.moment();
        let id = u128::MAX - u128::from(sent.0);
        let lines = vec![Line { sku, quantity: 1 }];
        let body = Body { ttl_ms: 1_000_000, lines: lines.clone(), partial: false };
        // Nobody is told what it was told, so nothing goes wrong here that could be found.
        let fault = std::mem::replace(&mut self.dull.fault, Fault::None);
        let (_, taken) = self.dull.ask(id, &Ask::Reserve(body));
        self.dull.fault = fault;
        between(self);
        if matches!(taken, Answer::Reserved { .. }) {
            self.dull.ask(id, &Ask::Commit);
            let answered = self.moment();
            self.history.orders.push(Order { sent, answered, lines });
        }
    }

    /// Time passes; `holds` of those that are due fall back.
    fn pass(&mut self, ms: u64, holds: usize) {
        self.dull.time += ms;
        (0..holds).for_each(|at| self.dull.expire(at));
    }

    fn quiet(&mut self) {
        for sku in 0..self.history.stock.len() {
            let asked = self.moment();
            let Dull { available, held, committed, .. } = &self.dull;
            let row = Row { asked, sku: sku as Sku, available: available[sku], held: held[sku], committed: committed[sku] };
            self.history.rows.push(row);
            self.moment();
        }
    }

    fn end(mut self) -> History {
        self.pass(1_000_000, 10_000);
        self.quiet();
        self.history
    }
}

fn reserve(lines: &[(Sku, u32)]) -> Ask {
    reserve_for(100, lines)
}

fn reserve_for(ttl_ms: u64, lines: &[(Sku, u32)]) -> Ask {
    Ask::Reserve(Body { ttl_ms, lines: of(lines), partial: false })
}

/// What there is of the lines.
fn reserve_some(lines: &[(Sku, u32)]) -> Ask {
    Ask::Reserve(Body { ttl_ms: 100, lines: of(lines), partial: true })
}

fn commit_part(lines: &[(Sku, u32)]) -> Ask {
    Ask::CommitPart(of(lines))
}

fn of(lines: &[(Sku, u32)]) -> Vec<Line> {
    lines.iter().map(|(sku, quantity)| Line { sku: *sku, quantity: *quantity }).collect()
}

/// A little of everything: the same questions to an engine that is right or wrong in one thing.
fn story(fault: Fault) -> History {
    let mut crowd = Crowd::new(&[10, 10, 4], fault);
    crowd.ask(1, reserve(&[(0, 2), (1, 3), (0, 1)])); // 7 7 4
    crowd.ask(1, reserve(&[(0, 2), (1, 3), (0, 1)]));
    crowd.ask(1, reserve(&[(0, 2)]));
    crowd.ask(2, reserve(&[(2, 4)])); // 7 7 0
    crowd.ask(3, reserve(&[(2, 1)]));
    crowd.ask(1, Ask::Commit);
    crowd.ask(1, Ask::Commit);
    crowd.ask(1, Ask::Release);
    crowd.quiet();
    crowd.pass(50, 1);
    crowd.ask(4, reserve(&[(0, 1), (2, 1)]));
    crowd.ask(5, reserve(&[(1, 1)])); // 7 6 0
    crowd.pass(60, 1); // 7 6 4
    crowd.ask(6, reserve(&[(2, 3), (0, 1)])); // 6 6 1
    crowd.ask(2, Ask::Commit);
    crowd.ask(5, Ask::Release); // 6 7 1
    crowd.ask(5, Ask::Commit);
    crowd.order(1, |crowd| {
        crowd.ask(7, reserve(&[(1, 2)])); // 6 4 1
        crowd.ask(6, Ask::Release); // 7 4 4
    });
    crowd.ask(11, reserve_for(1, &[(1, 1)]));
    crowd.pass(5, 0);
    crowd.ask(12, reserve(&[(1, 1)]));
    crowd.ask(11, Ask::Commit);
    crowd.ask(12, Ask::Release);
    crowd.pass(0, 1);
    crowd.ask_twice(8, reserve(&[(0, 7), (2, 4)]), true, |crowd| drop(crowd.ask(7, Ask::Commit))); // 0 4 0
    crowd.ask_twice(8, Ask::Commit, true, |_| ());
    crowd.ask(9, reserve(&[(1, 1), (0, 1)]));
    crowd.ask_twice(10, reserve(&[(1, 4)]), false, |_| ());
    crowd.end()
}

#[test]
fn an_engine_that_is_right_is_believed() {
    let figures = check(&story(Fault::None)).expect("it can be so");
    let told = (figures.reserved, figures.committed, figures.released, figures.expired, figures.short, figures.replayed);
    assert_eq!(told, (9, 3, 3, 3, 3, 2), "{figures:?}");
    assert_eq!(figures.resent, 3, "{figures:?}");
}

#[test] // Each row: what is wrong, and what is found.
fn an_engine_that_is_wrong_in_one_thing_is_not() {
    type Found = fn(&Violation) -> bool;
    let rows: [(&str, Fault, Found); 12] = [
        ("a lost acknowledgement", Fault::ForgetsHold(0), |v| matches!(v, Violation::TakenTwice { .. })),
        ("one lost later", Fault::ForgetsHold(4), |v| matches!(v, Violation::Unexplained { .. } | Violation::Contradiction { .. })),
        ("an oversell by one", Fault::SellsOneTooMany(0), |v| matches!(v, Violation::NotConserved { .. })),
        ("a stale rest", Fault::TellsStale(0), |v| matches!(v, Violation::Unexplained { .. })),
        ("a stale rest under load", Fault::TellsStale(14), |v| matches!(v, Violation::Unexplained { .. })),
        ("a hold that falls back early", Fault::ExpiresEarly(3), |v| matches!(v, Violation::Unexplained { .. })),
        ("a late commit", Fault::CommitsLate(0), |v| matches!(v, Violation::Contradiction { .. })),
        ("a repeat taken again", Fault::TakesTwice(0), |v| matches!(v, Violation::TakenTwice { .. })),
        ("another body replayed", Fault::IgnoresBody(0), |v| matches!(v, Violation::OtherBody { .. })),
        ("a place given twice", Fault::CountsBack(6), |v| matches!(v, Violation::SamePlace { .. })),
        ("a refusal for nothing", Fault::RefusesForNothing(0), |v| matches!(v, Violation::Unexplained { .. })),
        ("one later", Fault::RefusesForNothing(12), |v| matches!(v, Violation::Unexplained { .. })),
    ];
    for (name, fault, is_found) in rows {
        match check(&story(fault)) {
            Err(violation) => assert!(is_found(&violation), "{name}: {violation:?}"),
            Ok(figures) => panic!("{name}: {figures:?}"),
        }
    }
}

#[test] // Each row: a lie told into a true history.
fn a_history_that_was_bent_is_refused() {
    type Bend = fn(&mut History);
    let rows: [(&str, Bend); 13] = [
        ("an order turned round", |history| {
            let places = (history.exchanges[3].position, history.exchanges[4].position);
            (history.exchanges[4].position, history.exchanges[3].position) = places;
        }),
        ("two in one place", |history| history.exchanges[5].position = history.exchanges[4].position),
        ("another log", |history| history.exchanges[2].position.epoch = 2),
        ("the log's time goes back", |history| {
            let answer = |told: &mut Told| told.expires_at -= 200;
            history.exchanges.iter_mut().skip(8).find_map(|exchange| taken(exchange).map(answer)).expect("one later");
        }),
        ("one unit more was left", |history| taken(&mut history.exchanges[3]).expect("taken").remaining[0] += 1),
        ("less was taken than asked", |history| taken(&mut history.exchanges[0]).expect("taken").taken[0] -= 1),
        ("another answer the second time", |history| taken(&mut history.exchanges[1]).expect("taken").expires_at += 1),
        ("an answer given again that was never given", |history| {
            let Answer::Reserved { replayed, .. } = &mut history.exchanges[3].answer else { panic!("taken") };
            *replayed = true;
        }),
        ("a lost answer that tells what never was left", |history| {
            let lost = history.exchanges.iter_mut().find(|exchange| exchange.first_sent < exchange.sent).expect("one");
            taken(lost).expect("taken").remaining[0] += 1;
        }),
        ("an order nobody was told of", |history| history.orders.clear()),
        ("a row with a unit too many", |history| history.rows[4].available += 1),
        ("a unit sold that nobody bought", |history| {
            let row = history.rows.last_mut().expect("rows");
            (row.available, row.committed) = (row.available.wrapping_sub(1), row.committed + 1);
        }),
        ("a released hold that is committed", |history| {
            let released = history.exchanges.iter().find(|exchange| exchange.ask == Ask::Release && exchange.answer == Answer::Done);
            let hold = released.expect("one").hold;
            let commit = history.exchanges.iter_mut().find(|exchange| exchange.hold == hold && exchange.ask == Ask::Commit);
            commit.expect("one").answer = Answer::Done;
        }),
    ];
    for (name, bend) in rows {
        let mut history = story(Fault::None);
        bend(&mut history);
        assert!(check(&history).is_err(), "{name}");
    }
}

fn taken(exchange: &mut Exchange) -> Option<&mut Told> {
    match &mut exchange.answer {
        Answer::Reserved { told, .. } => Some(told),
        Answer::Done
        | Answer::Extended { .. }
        | Answer::Short(_)
        | Answer::NotFound
        | Answer::IdReused
        | Answer::IsCommitted
        | Answer::Differs => None,
    }
}

/// Random clients with overlapping calls, losses and checkouts; and whether something went wrong.
fn crowd(seed: u64, fault: Fault) -> (History, bool) {
    struct Call {
        hold: u128,
        ask: Ask,
        first_sent: Moment,
        sent: Moment,
        answer: Option<(u64, Answer)>,
    }
    let mut random = seed;
    let mut below = |end: u64| crate::crashes::random(&mut random) % end;
    let mut crowd = Crowd::new(&[20; 5], fault);
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<(u128, Ask)> = Vec::new();
    for step in 0..1_500_u128 {
        match below(16) {
            0..6 if calls.len() < 12 => {
                let (hold, ask) = match below(10) {
                    0..5 => {
                        let lines: Vec<(Sku, u32)> = (0..=below(3)).map(|_| (below(5) as Sku, 1 + below(3) as u32)).collect();
                        let ttl_ms = 5 + below(60);
                        (step, Ask::Reserve(Body { ttl_ms, lines: of(&lines), partial: below(4) == 0 }))
                    }
                    _ if open.is_empty() => continue,
                    _ if below(5) == 0 => {
                        let (hold, ask) = open[below(open.len() as u64) as usize].clone();
                        match ask {
                            Ask::Reserve(body) if below(2) == 0 => {
                                let part = body.lines.iter().map(|line| Line { sku: line.sku, quantity: 1 }).collect();
                                (hold, Ask::CommitPart(part))
                            }
                            _ => (hold, Ask::Extend { ttl_ms: 5 + below(60) }),
                        }
                    }
                    5 => open[below(open.len() as u64) as usize].clone(),
                    6 => (open[below(open.len() as u64) as usize].0, reserve(&[(0, 9)])),
                    7 => (open.swap_remove(below(open.len() as u64) as usize).0, Ask::Commit),
                    _ => (open.swap_remove(below(open.len() as u64) as usize).0, Ask::Release),
                };
                let sent = crowd.moment();
                calls.push(Call { hold, ask, first_sent: sent, sent, answer: None });
            }
            6..14 if !calls.is_empty() => {
                let at = below(calls.len() as u64) as usize;
                if calls[at].answer.is_none() {
                    calls[at].answer = Some(crowd.dull.ask(calls[at].hold, &calls[at].ask));
                } else if below(10) == 0 {
                    (calls[at].answer, calls[at].sent) = (None, crowd.moment());
                } else if let Call { hold, ask, first_sent, sent, answer: Some(answer) } = calls.swap_remove(at) {
                    if let (Ask::Reserve(_), Answer::Reserved { .. }) = (&ask, &answer.1) {
                        open.push((hold, ask.clone()));
                    }
                    crowd.told(hold, ask, [first_sent, sent], answer);
                }
            }
            14 if below(3) == 0 => crowd.order(below(5) as Sku, |_| ()),
            _ => crowd.pass(below(8), below(3) as usize),
        }
    }
    for Call { hold, ask, first_sent, sent, answer } in calls {
        let answer = answer.unwrap_or_else(|| crowd.dull.ask(hold, &ask));
        crowd.told(hold, ask, [first_sent, sent], answer);
    }
    let went_wrong = crowd.dull.fault != fault;
    (crowd.end(), went_wrong)
}

#[test]
fn random_crowds_are_believed_while_the_engine_is_right() {
    for seed in 0..300 {
        let (history, _) = crowd(seed, Fault::None);
        if let Err(violation) = check(&history) {
            panic!("seed {seed}: {violation:?}");
        }
    }
}

#[test] // Forgetting a hold that nobody commits looks like its falling back, unless something told in between says otherwise.
fn random_crowds_find_what_is_wrong() {
    type Make = fn(u64) -> Fault;
    let faults: [(&str, Make, u32); 6] = [
        ("a lost acknowledgement", Fault::ForgetsHold, 60),
        ("an oversell by one", Fault::SellsOneTooMany, 95),
        ("a stale rest", Fault::TellsStale, 85),
        ("less than there is", Fault::TakesLess, 95),
        ("a rest that is sold", Fault::SellsWhole, 95),
        ("an extension that is forgotten", Fault::ForgetsExtension, 10),
    ];
    for (name, make, wanted) in faults {
        let (mut wrong, mut found) = (0, 0);
        for seed in 0..100 {
            let (history, went_wrong) = crowd(seed, make(40 + seed));
            wrong += u32::from(went_wrong);
            found += u32::from(went_wrong && check(&history).is_err());
        }
        println!("{name}: {found} of {wrong} found");
        assert!(wrong >= 30 && found * 100 >= wrong * wanted, "{name}: {found} of {wrong}");
    }
}

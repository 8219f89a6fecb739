//! The rules of stock in the plainest code: rows, holds, a log that is a counter; and what can be wrong with an engine.

use super::super::{Answer, Ask, Body, Line, Short, Sku, Told};
use std::collections::BTreeMap;

/// What is wrong with an engine. Each begins at the place named, and happens once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The first reservation taken from there on is forgotten after it is acknowledged.
    ForgetsHold(u64),
    /// A reservation that is one unit short is taken.
    SellsOneTooMany(u64),
    /// What remains is told as it was before.
    TellsStale(u64),
    /// A hold falls back before its time.
    ExpiresEarly(u64),
    /// A commit after its time is carried out.
    CommitsLate(u64),
    /// A repeat is taken again.
    TakesTwice(u64),
    /// A repeat with another body gets the first answer.
    IgnoresBody(u64),
    /// The log counts on from an earlier place.
    CountsBack(u64),
    /// Refuses though there is enough.
    RefusesForNothing(u64),
    /// Who asks for what there is gets a unit less.
    TakesLess(u64),
    /// What a commit in part leaves stays held.
    KeepsRest(u64),
    /// A commit in part sells all.
    SellsWhole(u64),
    /// A commit in part of more than there is sells what there is.
    SellsTooMany(u64),
    /// An extension is acknowledged and not done.
    ForgetsExtension(u64),
    /// What is over is extended.
    ExtendsLate(u64),
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Held,
    Committed,
    Released,
    Expired,
}

struct Hold {
    body: Body,
    told: Told,
    expires_at: u64,
    /// What it has, or has sold.
    lines: Vec<Line>,
    sold_by: Option<Ask>,
    state: State,
}

/// Rows and holds of one location, and the number of its last command.
pub(super) struct Dull {
    pub(super) available: Vec<u32>,
    pub(super) held: Vec<u32>,
    pub(super) committed: Vec<u32>,
    holds: BTreeMap<u128, Hold>,
    seq: u64,
    pub(super) time: u64,
    pub(super) fault: Fault,
}

impl Dull {
    pub(super) fn new(stock: &[u32], fault: Fault) -> Self {
        let zero = vec![0; stock.len()];
        Self { available: stock.to_vec(), held: zero.clone(), committed: zero, holds: BTreeMap::new(), seq: 0, time: 1_000, fault }
    }

    /// Is it the moment of the fault? Then it is over.
    fn goes_wrong(&mut self, fault: fn(u64) -> Fault) -> bool {
        let is_due = (0..=self.seq).any(|from| self.fault == fault(from));
        if is_due {
            self.fault = Fault::None;
        }
        is_due
    }

    pub(super) fn ask(&mut self, hold: u128, ask: &Ask) -> (u64, Answer) {
        self.seq += 1;
        if self.goes_wrong(Fault::CountsBack) {
            self.seq -= 2;
        }
        let answer = match ask {
            Ask::Reserve(body) => self.reserve(hold, body),
            Ask::Commit => self.commit(hold, ask, None),
            Ask::CommitPart(part) => self.commit(hold, ask, Some(part)),
            Ask::Extend { ttl_ms } => self.extend(hold, *ttl_ms),
            Ask::Release => self.release(hold),
        };
        (self.seq, answer)
    }

    fn reserve(&mut self, id: u128, body: &Body) -> Answer {
        if let Some(hold) = self.holds.get(&id) {
            let (is_same, told) = (hold.body == *body, hold.told.clone());
            if !is_same && !self.goes_wrong(Fault::IgnoresBody) {
                return Answer::IdReused;
            }
            if !is_same || !self.goes_wrong(Fault::TakesTwice) {
                return Answer::Reserved { told, replayed: true };
            }
        }
        let before = self.available.clone();
        let wanted = |sku: Sku| body.lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity).sum::<u32>();
        let short: Vec<Short> = body
            .lines
            .iter()
            .enumerate()
            .map(|(line, Line { sku, .. })| Short { line, sku: *sku, requested: wanted(*sku), available: before[*sku as usize] })
            .filter(|short| short.requested > short.available)
            .collect();
        let has_none = body.lines.iter().all(|line| before[line.sku as usize] == 0);
        if !short.is_empty() && (!body.partial || has_none) {
            let is_one_short = short.iter().all(|short| short.requested == short.available + 1);
            if !is_one_short || !self.goes_wrong(Fault::SellsOneTooMany) {
                return Answer::Short(short);
            }
        }
        if self.goes_wrong(Fault::RefusesForNothing) {
            let Line { sku, .. } = body.lines[0];
            let lines = body.lines.iter().enumerate().filter(|(_, line)| line.sku == sku);
            return Answer::Short(lines.map(|(line, _)| Short { line, sku, requested: wanted(sku), available: wanted(sku) - 1 }).collect());
        }
        let mut lines = body.lines.clone();
        for line in &mut lines {
            let available = &mut self.available[line.sku as usize];
            if body.partial {
                line.quantity = line.quantity.min(*available);
            }
            *available = available.saturating_sub(line.quantity);
            self.held[line.sku as usize] += line.quantity;
        }
        if lines != body.lines && lines[0].quantity > 1 && self.goes_wrong(Fault::TakesLess) {
            let Line { sku, quantity } = &mut lines[0];
            *quantity -= 1;
            self.held[*sku as usize] -= 1;
            self.available[*sku as usize] += 1;
        }
        let remaining = if self.goes_wrong(Fault::TellsStale) { &before } else { &self.available };
        let told = Told {
            expires_at: self.time + body.ttl_ms,
            taken: lines.iter().map(|line| line.quantity).collect(),
            remaining: body.lines.iter().map(|line| remaining[line.sku as usize]).collect(),
        };
        let hold = Hold { body: body.clone(), told: told.clone(), expires_at: told.expires_at, lines, sold_by: None, state: State::Held };
        self.holds.insert(id, hold);
        if self.goes_wrong(Fault::ForgetsHold) {
            self.give_back(id);
            self.holds.remove(&id);
        }
        Answer::Reserved { told, replayed: false }
    }

    fn commit(&mut self, id: u128, ask: &Ask, part: Option<&[Line]>) -> Answer {
        let Some(Hold { state, expires_at, lines, sold_by, .. }) = self.holds.get(&id) else { return Answer::NotFound };
        let (state, expires_at, mut lines, sold_by) = (state.clone(), *expires_at, lines.clone(), sold_by.clone());
        match state {
            State::Held if expires_at > self.time || self.goes_wrong(Fault::CommitsLate) => {
                let mut sold = part.map_or_else(|| lines.clone(), <[Line]>::to_vec);
                for Line { sku, quantity } in &mut sold {
                    for line in lines.iter_mut().filter(|line| line.sku == *sku) {
                        let units = line.quantity.min(*quantity);
                        (line.quantity, *quantity) = (line.quantity - units, *quantity - units);
                    }
                }
                if sold.iter().any(|line| line.quantity > 0) && !self.goes_wrong(Fault::SellsTooMany) {
                    return Answer::Differs;
                }
                let (keeps, sells) = if lines.iter().any(|line| line.quantity > 0) {
                    (self.goes_wrong(Fault::KeepsRest), self.goes_wrong(Fault::SellsWhole))
                } else {
                    (false, false)
                };
                for (all, rest) in self.holds[&id].lines.clone().into_iter().zip(lines) {
                    let (sku, sold) = (all.sku as usize, all.quantity - if sells { 0 } else { rest.quantity });
                    self.committed[sku] += sold;
                    if keeps {
                        self.held[sku] -= sold;
                    } else {
                        self.held[sku] -= all.quantity;
                        self.available[sku] += all.quantity - sold;
                    }
                }
                self.end(id, State::Committed);
                self.holds.get_mut(&id).expect("it is there").sold_by = Some(ask.clone());
                Answer::Done
            }
            State::Committed if sold_by.as_ref().is_some_and(|by| sorted(by) == sorted(ask)) => Answer::Done,
            State::Committed => Answer::Differs,
            State::Held | State::Released | State::Expired => Answer::NotFound,
        }
    }

    fn extend(&mut self, id: u128, ttl_ms: u64) -> Answer {
        let late = self.fault;
        let Some(hold) = self.holds.get_mut(&id) else { return Answer::NotFound };
        let is_there = hold.state == State::Held && hold.expires_at > self.time;
        if hold.state == State::Committed {
            return Answer::IsCommitted;
        }
        if !is_there && !matches!(late, Fault::ExtendsLate(_)) {
            return Answer::NotFound;
        }
        let expires_at = hold.expires_at.max(self.time + ttl_ms);
        let is_forgotten = matches!(late, Fault::ForgetsExtension(_)) && expires_at > hold.expires_at;
        if is_there && !is_forgotten {
            hold.expires_at = expires_at;
        } else {
            self.fault = Fault::None;
        }
        Answer::Extended { expires_at }
    }

    fn release(&mut self, id: u128) -> Answer {
        match self.holds.get(&id).map(|hold| hold.state.clone()) {
            Some(State::Held) => {
                self.give_back(id);
                self.end(id, State::Released);
                Answer::Done
            }
            Some(State::Committed) => Answer::IsCommitted,
            Some(State::Released | State::Expired) | None => Answer::Done,
        }
    }

    /// Ends one hold that is due, in any order.
    pub(super) fn expire(&mut self, pick: usize) {
        let early = self.goes_wrong(Fault::ExpiresEarly);
        let is_due = |hold: &Hold| hold.state == State::Held && (hold.expires_at <= self.time || early);
        let due: Vec<u128> = self.holds.iter().filter(|(_, hold)| is_due(hold)).map(|(id, _)| *id).collect();
        if let Some(id) = due.get(pick % due.len().max(1)).copied() {
            self.seq += 1;
            self.give_back(id);
            self.end(id, State::Expired);
        }
    }

    fn give_back(&mut self, id: u128) {
        for Line { sku, quantity } in self.holds[&id].lines.clone() {
            self.held[sku as usize] -= quantity;
            self.available[sku as usize] += quantity;
        }
    }

    fn end(&mut self, id: u128, state: State) {
        self.holds.get_mut(&id).expect("it is there").state = state;
    }
}

/// The same question, with the lines of a part by SKU.
fn sorted(ask: &Ask) -> Ask {
    let mut ask = ask.clone();
    if let Ask::CommitPart(lines) = &mut ask {
        lines.sort_by_key(|line| (line.sku, line.quantity));
    }
    ask
}

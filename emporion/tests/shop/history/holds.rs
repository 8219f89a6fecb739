//! Holds: what became of each, whether all that was answered about it agrees, and which moves of units follow.
//!
//! Each hold is taken at most once and ends once: committed, released, or fallen back when its time was over. Its exchanges tell which; a place is
//! exact unless an answer was lost or nobody asked.

use super::{
    Answer, Ask, Body, Exchange, Figures, History, Line, Told, Violation,
    order::{Key, Log, key},
};

/// Units that move between `available` and elsewhere at one place.
#[derive(Clone, Debug)]
pub(super) struct Move {
    /// It stands behind this …
    pub(super) after: Key,
    /// … and before or at this.
    pub(super) until: Key,
    /// What is added to `available`.
    pub(super) lines: Vec<(u32, i64)>,
    /// An exchange that tells what was left right after it, at whatever place it stands.
    pub(super) tells: Option<usize>,
}

/// What follows from all that was said.
pub(super) struct Moves {
    /// Those that are not told of at their place.
    pub(super) placeless: Vec<Move>,
    /// Lines sold, from which place on.
    pub(super) sold: Vec<(Key, Vec<Line>)>,
}

pub(super) fn moves(history: &History, log: &Log) -> Result<(Moves, Figures), Violation> {
    let exchanges = &history.exchanges;
    let mut by_hold = log.order.clone();
    // Stable: within a hold they stay in the order of the log.
    by_hold.sort_by_key(|at| exchanges[*at].hold);
    let mut moves = Moves { placeless: Vec::new(), sold: Vec::new() };
    let mut figures = Figures { resent: exchanges.iter().filter(|exchange| exchange.had_losses()).count(), ..Figures::default() };
    for of_hold in by_hold.chunk_by(|a, b| exchanges[*a].hold == exchanges[*b].hold) {
        Hold { exchanges, log, of_hold }.moves(&mut moves, &mut figures)?;
    }
    for order in &history.orders {
        let (after, until) = (log.after(order.sent), log.until(order.answered));
        moves.placeless.push(Move { after, until, lines: effect(&order.lines, -1), tells: None });
        moves.sold.push((until, order.lines.clone()));
    }
    Ok((moves, figures))
}

/// The lines of a SKU summed, in the order of SKUs.
pub(super) fn effect(lines: &[Line], sign: i64) -> Vec<(u32, i64)> {
    let mut sums: Vec<(u32, i64)> = Vec::with_capacity(lines.len());
    for line in lines {
        match sums.iter_mut().find(|(sku, _)| *sku == line.sku) {
            Some((_, sum)) => *sum += sign * i64::from(line.quantity),
            None => sums.push((line.sku, sign * i64::from(line.quantity))),
        }
    }
    sums.sort_unstable();
    sums
}

/// The exchanges about one hold, by place.
struct Hold<'a> {
    exchanges: &'a [Exchange],
    log: &'a Log,
    of_hold: &'a [usize],
}

/// When it was taken: behind the one place, before or at the other.
struct Taken<'a> {
    after: Key,
    until: Key,
    body: &'a Body,
    told: &'a Told,
    /// The first exchange that says so, and whether it is the taking itself.
    by: usize,
    is_exact: bool,
}

/// When something was done that was answered with `Done`, perhaps more than once.
#[derive(Clone, Copy)]
struct Done {
    after: Key,
    until: Key,
}

impl<'a> Hold<'a> {
    fn moves(&self, moves: &mut Moves, figures: &mut Figures) -> Result<(), Violation> {
        let taken = self.taken()?;
        self.reservations(taken.as_ref(), figures)?;
        let (committed, released) = (self.done(&Ask::Commit), self.done(&Ask::Release));
        let Some(taken) = taken else {
            return self.never_taken();
        };
        self.endings(&taken, committed, released)?;

        if !taken.is_exact {
            let lines = effect(&taken.body.lines, -1);
            moves.placeless.push(Move { after: taken.after, until: taken.until, lines, tells: Some(taken.by) });
        }
        figures.reserved += 1;
        let overdue = self.log.before_time(taken.told.expires_at);
        let (after, until) = match (committed, released) {
            (Some(committed), _) => {
                figures.committed += 1;
                moves.sold.push((committed.until, taken.body.lines.clone()));
                return Ok(());
            }
            // It may have fallen back before.
            (None, Some(released)) => {
                figures.released += 1;
                (released.after.min(overdue), released.until)
            }
            (None, None) => {
                figures.expired += 1;
                (overdue, Key::LAST)
            }
        };
        let lines = effect(&taken.body.lines, 1);
        moves.placeless.push(Move { after: after.max(taken.after), until, lines, tells: None });
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = (usize, &'a Exchange)> {
        let exchanges = self.exchanges;
        self.of_hold.iter().map(move |at| (*at, &exchanges[*at]))
    }

    /// The place of the taking: exact if an answer is the first, else somewhere before the answer that says there was one.
    fn taken(&self) -> Result<Option<Taken<'a>>, Violation> {
        let mut taken: Option<Taken<'a>> = None;
        for (at, exchange) in self.each() {
            let (Ask::Reserve(body), Answer::Reserved { told, replayed }) = (&exchange.ask, &exchange.answer) else { continue };
            let place = key(exchange);
            let exact = || Taken { after: place.before(), until: place, body, told, by: at, is_exact: true };
            taken = Some(match (taken, replayed) {
                (None, false) => exact(),
                (Some(_), false) => return Err(Violation::TakenTwice { exchange: at }),
                (Some(taken), true) => taken,
                (None, true) => {
                    // Whose answer was lost, this one's or a later one's?
                    let lost = self.each().filter(|(_, other)| other.had_losses() && other.ask == exchange.ask);
                    let Some(sent) = lost.map(|(_, other)| other.first_sent).min() else {
                        return Err(Violation::ReplayOfNothing { exchange: at });
                    };
                    let time = told.expires_at.checked_sub(body.ttl_ms).ok_or(Violation::Malformed { exchange: at })?;
                    let after = self.log.after(sent).max(self.log.before_time(time));
                    let until = place.before().min(self.log.until_time(time));
                    if after >= until {
                        return Err(Violation::Nowhere { exchange: at });
                    }
                    Taken { after, until, body, told, by: at, is_exact: false }
                }
            });
        }
        Ok(taken)
    }

    /// Every answer to a reservation agrees with the taking.
    fn reservations(&self, taken: Option<&Taken<'_>>, figures: &mut Figures) -> Result<(), Violation> {
        for (exchange, Exchange { ask, answer, position, .. }) in self.each() {
            let Ask::Reserve(body) = ask else { continue };
            let place = Key::of(position.seq.0);
            let contradiction = |why| Err(Violation::Contradiction { exchange, why });
            match (answer, taken) {
                (Answer::Reserved { told, replayed }, Some(taken)) => {
                    figures.replayed += usize::from(*replayed);
                    if body != taken.body {
                        return Err(Violation::OtherBody { exchange });
                    }
                    if told != taken.told {
                        return Err(Violation::AnswerChanged { exchange });
                    }
                    let quantities = body.lines.iter().map(|line| line.quantity);
                    if !quantities.eq(told.taken.iter().copied()) || told.remaining.len() != body.lines.len() {
                        return Err(Violation::Malformed { exchange });
                    }
                }
                (Answer::Reserved { .. }, None) => unreachable!("then it is taken"),
                (Answer::Short(_), taken) => {
                    figures.short += 1;
                    if taken.is_some_and(|taken| taken.until < place) {
                        return contradiction("short, though it was taken before");
                    }
                }
                (Answer::IdReused, taken) => {
                    if taken.is_none_or(|taken| taken.body == body || taken.after >= place) {
                        return contradiction("refused as another body, and there was no other before");
                    }
                }
                (Answer::NotFound, taken) => {
                    let released = self.done(&Ask::Release).is_some_and(|released| released.after < place);
                    if taken.is_some() || !released {
                        return contradiction("kept out, though nobody released it before it came");
                    }
                }
                (Answer::Done | Answer::IsCommitted, _) => return Err(Violation::Malformed { exchange }),
            }
        }
        Ok(())
    }

    /// When a commit or a release was first carried out, if one was.
    fn done(&self, wanted: &Ask) -> Option<Done> {
        let mut done: Option<Done> = None;
        for (_, exchange) in self.each().filter(|(_, exchange)| exchange.ask == *wanted && exchange.answer == Answer::Done) {
            let place = key(exchange);
            let after = if exchange.had_losses() { self.log.after(exchange.first_sent) } else { place.before() };
            done = Some(match done {
                None => Done { after, until: place },
                Some(first) => Done { after: first.after.min(after), until: first.until },
            });
        }
        done
    }

    fn never_taken(&self) -> Result<(), Violation> {
        for (exchange, Exchange { ask, answer, .. }) in self.each() {
            let why = match (ask, answer) {
                (Ask::Reserve(_), _) | (Ask::Commit, Answer::NotFound) | (Ask::Release, Answer::Done) => continue,
                (Ask::Commit, _) => "committed, and never taken",
                (Ask::Release, _) => "a release of what was never taken is done",
            };
            return Err(Violation::Contradiction { exchange, why });
        }
        Ok(())
    }

    /// Every answer to a commit or a release agrees with how it ended.
    fn endings(&self, taken: &Taken<'_>, committed: Option<Done>, released: Option<Done>) -> Result<(), Violation> {
        let expires_at = taken.told.expires_at;
        for (exchange, Exchange { ask, answer, position, .. }) in self.each() {
            let place = Key::of(position.seq.0);
            let contradiction = |why| Err(Violation::Contradiction { exchange, why });
            if !matches!(ask, Ask::Reserve(_)) && place <= taken.after {
                return contradiction("it ended before it began");
            }
            match (ask, answer) {
                (Ask::Reserve(_), _) => {}
                (Ask::Commit, Answer::Done) => {
                    let Some(committed) = committed else { unreachable!("this one commits") };
                    if released.is_some() {
                        return contradiction("committed, and released too");
                    }
                    if !self.log.can_be_before(committed.after, expires_at) {
                        return contradiction("committed after its time");
                    }
                }
                (Ask::Commit, Answer::NotFound) => {
                    let was_released = released.is_some_and(|released| released.after < place);
                    if committed.is_some() || !was_released && !self.log.can_be_past(place, expires_at) {
                        return contradiction("a commit was refused within the hold's time");
                    }
                }
                (Ask::Release, Answer::Done) => {
                    if committed.is_some() {
                        return contradiction("released, and committed too");
                    }
                }
                (Ask::Release, Answer::IsCommitted) => {
                    if committed.is_none_or(|committed| committed.after >= place) {
                        return contradiction("a release was refused, and nobody had committed it");
                    }
                }
                (Ask::Commit, Answer::Reserved { .. } | Answer::Short(_) | Answer::IdReused | Answer::IsCommitted)
                | (Ask::Release, Answer::Reserved { .. } | Answer::Short(_) | Answer::IdReused | Answer::NotFound) => {
                    return Err(Violation::Malformed { exchange });
                }
            }
        }
        Ok(())
    }
}

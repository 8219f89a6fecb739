//! Holds: what became of each, whether all that was answered about it agrees, and which moves of units follow.
//!
//! Each hold is taken at most once and ends once: committed whole or in part, released, or fallen back when its time was over. Its exchanges tell
//! which; a place is exact unless an answer was lost or nobody asked. Its time may be extended, also by an exchange whose answer was lost: then there
//! are two bounds, the time that it has for certain ([`Hold::lasts`]) and the one that it may have ([`Hold::may_last`]).

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

/// The lines as they were taken, one for each that was asked for; some may be of nothing.
pub(super) fn taken_lines(body: &Body, told: &Told) -> Vec<Line> {
    body.lines.iter().zip(&told.taken).map(|(line, taken)| Line { sku: line.sku, quantity: *taken }).collect()
}

/// Units of `lines` by SKU less those of `others`, without SKUs of which none are left.
fn less(lines: &[Line], others: &[Line]) -> Vec<(u32, i64)> {
    let mut sums = effect(lines, 1);
    for (sku, units) in effect(others, -1) {
        match sums.iter_mut().find(|(other, _)| *other == sku) {
            Some((_, sum)) => *sum += units,
            None => sums.push((sku, units)),
        }
    }
    sums.retain(|(_, units)| *units != 0);
    sums
}

/// Was what it should have got what it was told that it got? All of each line; or, if it asked for what there is, of each SKU's lines in their order
/// as much as there was.
fn takes_right(body: &Body, told: &Told) -> bool {
    if told.taken.len() != body.lines.len() || told.remaining.len() != body.lines.len() {
        return false;
    }
    let mut cut: Vec<u32> = Vec::new();
    for ((line, taken), remaining) in body.lines.iter().zip(&told.taken).zip(&told.remaining) {
        let rest = match line.quantity.checked_sub(*taken) {
            Some(rest) => rest,
            None => return false,
        };
        let nothing_left = cut.contains(&line.sku);
        if nothing_left && *taken > 0 || rest > 0 && (!body.partial || *remaining > 0) {
            return false;
        }
        if rest > 0 {
            cut.push(line.sku);
        }
    }
    told.taken.iter().any(|taken| *taken > 0)
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
    lines: Vec<Line>,
    /// The first exchange that says so, and whether it is the taking itself.
    by: usize,
    is_exact: bool,
}

/// When something was done that was answered with `Done`, perhaps more than once.
#[derive(Clone, Copy)]
struct Done<'a> {
    after: Key,
    until: Key,
    ask: &'a Ask,
}

impl<'a> Hold<'a> {
    fn moves(&self, moves: &mut Moves, figures: &mut Figures) -> Result<(), Violation> {
        let taken = self.taken()?;
        self.reservations(taken.as_ref(), figures)?;
        let (committed, released) = (self.done(Ask::is_commit)?, self.done(|ask| *ask == Ask::Release)?);
        let Some(taken) = taken else {
            return self.never_taken();
        };
        self.endings(&taken, committed, released)?;

        if !taken.is_exact {
            let lines = less(&[], &taken.lines);
            moves.placeless.push(Move { after: taken.after, until: taken.until, lines, tells: Some(taken.by) });
        }
        figures.reserved += 1;
        figures.cut += usize::from(taken.lines != taken.body.lines);
        figures.extended += self.extended().count();
        // It was there when it was extended.
        let last_seen = self.extended().map(|(place, _)| place).max().unwrap_or(Key::FIRST);
        let overdue = self.log.before_time(self.lasts(&taken, Key::LAST)).max(last_seen);
        let (after, until) = match (committed, released) {
            (Some(committed), _) => {
                figures.committed += 1;
                let Ask::CommitPart(part) = committed.ask else {
                    moves.sold.push((committed.until, taken.lines));
                    return Ok(());
                };
                figures.in_part += 1;
                moves.sold.push((committed.until, part.clone()));
                let lines = less(&taken.lines, part);
                if !lines.is_empty() {
                    let after = committed.after.max(taken.after);
                    moves.placeless.push(Move { after, until: committed.until, lines, tells: None });
                }
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
        let lines = less(&taken.lines, &[]);
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
            let lines = || taken_lines(body, told);
            let exact = || Taken { after: place.before(), until: place, body, told, lines: lines(), by: at, is_exact: true };
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
                    Taken { after, until, body, told, lines: lines(), by: at, is_exact: false }
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
                    if !takes_right(body, told) {
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
                    let released = self.done(|ask| *ask == Ask::Release)?.is_some_and(|released| released.after < place);
                    if taken.is_some() || !released {
                        return contradiction("kept out, though nobody released it before it came");
                    }
                }
                (Answer::Done | Answer::Extended { .. } | Answer::IsCommitted | Answer::Differs, _) => {
                    return Err(Violation::Malformed { exchange });
                }
            }
        }
        Ok(())
    }

    /// When a commit or a release was first carried out, if one was.
    fn done(&self, wanted: impl Fn(&Ask) -> bool) -> Result<Option<Done<'a>>, Violation> {
        let mut done: Option<Done<'a>> = None;
        for (at, exchange) in self.each().filter(|(_, exchange)| wanted(&exchange.ask) && exchange.answer == Answer::Done) {
            let place = key(exchange);
            let after = self.begins(exchange);
            done = Some(match done {
                None => Done { after, until: place, ask: &exchange.ask },
                Some(first) if !is_same(first.ask, &exchange.ask) => {
                    return Err(Violation::Contradiction { exchange: at, why: "committed in two ways" });
                }
                Some(first) => Done { after: first.after.min(after), ..first },
            });
        }
        Ok(done)
    }

    /// What an exchange does stands behind this.
    fn begins(&self, exchange: &Exchange) -> Key {
        if exchange.had_losses() { self.log.after(exchange.first_sent) } else { key(exchange).before() }
    }

    /// Extensions that were answered as such: place, and until when the hold lasts by them.
    fn extended(&self) -> impl Iterator<Item = (Key, u64)> {
        self.each().filter_map(|(_, exchange)| match exchange.answer {
            Answer::Extended { expires_at } => Some((key(exchange), expires_at)),
            _ => None,
        })
    }

    /// Until when it lasts at least, by what stands before `place`.
    fn lasts(&self, taken: &Taken<'_>, place: Key) -> u64 {
        let extended = self.extended().filter(|(at, _)| *at < place).map(|(_, expires_at)| expires_at);
        extended.fold(taken.told.expires_at, u64::max)
    }

    /// Until when it may last, by what may stand before `place`: also extensions whose answer was lost.
    fn may_last(&self, taken: &Taken<'_>, place: Key) -> u64 {
        let lost = self.each().filter_map(|(_, exchange)| {
            let Ask::Extend { ttl_ms } = exchange.ask else { return None };
            let is_told = key(exchange) < place && matches!(exchange.answer, Answer::Extended { .. });
            let can_stand = exchange.had_losses() && self.begins(exchange) < place && !is_told;
            can_stand.then(|| self.log.latest(key(exchange).min(place)).map_or(u64::MAX, |time| time + ttl_ms))
        });
        lost.fold(self.lasts(taken, place), u64::max)
    }

    fn never_taken(&self) -> Result<(), Violation> {
        for (exchange, Exchange { ask, answer, .. }) in self.each() {
            let why = match (ask, answer) {
                (Ask::Reserve(_), _)
                | (Ask::Commit | Ask::CommitPart(_) | Ask::Extend { .. }, Answer::NotFound)
                | (Ask::Release, Answer::Done) => continue,
                (Ask::Commit | Ask::CommitPart(_), _) => "committed, and never taken",
                (Ask::Extend { .. }, _) => "extended, and never taken",
                (Ask::Release, _) => "a release of what was never taken is done",
            };
            return Err(Violation::Contradiction { exchange, why });
        }
        Ok(())
    }

    /// Every answer to a commit, an extension or a release agrees with how it ended.
    fn endings(&self, taken: &Taken<'_>, committed: Option<Done<'_>>, released: Option<Done<'_>>) -> Result<(), Violation> {
        for (exchange, of_hold @ Exchange { ask, answer, .. }) in self.each() {
            let place = key(of_hold);
            let contradiction = |why| Err(Violation::Contradiction { exchange, why });
            if !matches!(ask, Ask::Reserve(_)) && place <= taken.after {
                return contradiction("it ended before it began");
            }
            let is_past = |done: Option<Done<'_>>| done.is_some_and(|done| done.until < place);
            let may_be_past = |done: Option<Done<'_>>| done.is_some_and(|done| done.after < place);
            let may_be_there = !is_past(committed) && !is_past(released) && self.log.can_be_before(place, self.may_last(taken, place));
            match (ask, answer) {
                (Ask::Reserve(_), _) => {}
                (Ask::Commit | Ask::CommitPart(_), Answer::Done) => {
                    let Some(committed) = committed else { unreachable!("this one commits") };
                    if released.is_some() {
                        return contradiction("committed, and released too");
                    }
                    if !self.log.can_be_before(committed.after, self.may_last(taken, committed.until)) {
                        return contradiction("committed after its time");
                    }
                    if matches!(ask, Ask::CommitPart(part) if has_too_many(part, &taken.lines)) {
                        return contradiction("more is sold than was taken");
                    }
                }
                (Ask::Commit | Ask::CommitPart(_), Answer::Differs) => {
                    let was_otherwise = committed.is_some_and(|committed| committed.after < place && !is_same(committed.ask, ask));
                    let is_too_much = matches!(ask, Ask::CommitPart(part) if has_too_many(part, &taken.lines));
                    if !(was_otherwise || is_too_much && may_be_there) {
                        return contradiction("a commit was refused as another, and it was right and the first");
                    }
                }
                (Ask::Commit | Ask::CommitPart(_) | Ask::Extend { .. }, Answer::NotFound) => {
                    let is_over = may_be_past(released) || self.log.can_be_past(place, self.lasts(taken, place));
                    if committed.is_some() || !is_over {
                        return contradiction("a commit or an extension was refused within the hold's time");
                    }
                }
                (Ask::Extend { ttl_ms }, Answer::Extended { expires_at }) => {
                    if !may_be_there {
                        return contradiction("extended, though it was over");
                    }
                    let (at_least, at_most) = (self.lasts(taken, place), self.may_last(taken, place));
                    if *expires_at < at_least.max(self.log.earliest(place) + ttl_ms) {
                        return contradiction("extended by less than was asked");
                    }
                    if self.log.latest(place).is_some_and(|time| *expires_at > at_most.max(time + ttl_ms)) {
                        return contradiction("extended by more than was asked");
                    }
                }
                (Ask::Release, Answer::Done) => {
                    if committed.is_some() {
                        return contradiction("released, and committed too");
                    }
                }
                (Ask::Release | Ask::Extend { .. }, Answer::IsCommitted) => {
                    if !may_be_past(committed) {
                        return contradiction("refused as committed, and nobody had committed it");
                    }
                }
                (
                    Ask::Commit | Ask::CommitPart(_),
                    Answer::Reserved { .. } | Answer::Short(_) | Answer::IdReused | Answer::IsCommitted | Answer::Extended { .. },
                )
                | (Ask::Extend { .. }, Answer::Reserved { .. } | Answer::Short(_) | Answer::IdReused | Answer::Done | Answer::Differs)
                | (
                    Ask::Release,
                    Answer::Reserved { .. }
                    | Answer::Short(_)
                    | Answer::IdReused
                    | Answer::NotFound
                    | Answer::Extended { .. }
                    | Answer::Differs,
                ) => {
                    return Err(Violation::Malformed { exchange });
                }
            }
        }
        Ok(())
    }
}

/// Do two asks sell the same? The order of lines says nothing.
fn is_same(one: &Ask, other: &Ask) -> bool {
    match (one, other) {
        (Ask::CommitPart(one), Ask::CommitPart(other)) => less(one, other).is_empty(),
        (one, other) => one == other,
    }
}

/// Are there more units in a part than in the whole?
fn has_too_many(part: &[Line], whole: &[Line]) -> bool {
    less(part, whole).iter().any(|(_, units)| *units > 0)
}

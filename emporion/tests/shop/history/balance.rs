//! Balance: what is available of each SKU, replayed by place, against everything that was told about it.
//!
//! Path: moves with a place are applied there; the others wait, from the place they can first stand at → each figure told at a place is an
//! equation: which of those that wait must have come before it, which cannot have → windows narrow → again, until no window changes.
//! Read first: [`Pass::explain`]. Bounds: [`SEARCHED_MAX`], [`PASSES_MAX`]; behind them less is concluded, and nothing is refused wrongly.

use super::{
    Answer, Ask, Exchange, Figures, History, Line, Source, Violation,
    holds::{Move, Moves, effect, taken_lines},
    order::{Key, Log, key},
};

/// Moves waiting at one SKU up to which it is tried out for each whether an equation needs it. Beyond, only whether it can be met at all.
const SEARCHED_MAX: usize = 24;
/// Passes over the history. Windows that could be narrowed further stay as they are.
const PASSES_MAX: usize = 8;

pub(super) fn check(history: &History, log: &Log, moves: Moves, figures: &mut Figures) -> Result<(), Violation> {
    rows(history, log, &moves.sold)?;
    let mut placeless = moves.placeless;
    // A release has one, unless the hold may have fallen back before.
    let begins_placeless: Vec<bool> = placeless.iter().map(|m| m.after != m.until.before()).collect();
    for pass in 1..=PASSES_MAX {
        figures.passes = pass;
        if !Pass::new(history, log, &mut placeless).run()? {
            break;
        }
    }
    let seqs: Vec<Key> = log.order.iter().map(|at| key(&history.exchanges[*at])).collect();
    // Between two neighbours: no exchange stands strictly inside the window.
    let is_placed = |m: &Move| seqs.partition_point(|seq| *seq <= m.after) == seqs.partition_point(|seq| *seq < m.until);
    figures.placeless = begins_placeless.iter().filter(|placeless| **placeless).count();
    figures.placed = placeless.iter().zip(begins_placeless).filter(|(m, placeless)| *placeless && is_placed(m)).count();
    Ok(())
}

/// Each row read has all units it began with, and sold are those that somebody was told to have bought.
fn rows(history: &History, log: &Log, sold: &[(Key, Vec<Line>)]) -> Result<(), Violation> {
    let mut sold: Vec<_> = sold.iter().collect();
    sold.sort_by_key(|(from, _)| *from);
    let mut sold = sold.into_iter().peekable();
    let mut committed = vec![0_u64; history.stock.len()];
    for (row, key) in history.rows.iter().zip(&log.rows) {
        while let Some((_, lines)) = sold.next_if(|(from, _)| from < key) {
            lines.iter().for_each(|line| committed[line.sku as usize] += u64::from(line.quantity));
        }
        let stock = history.stock[row.sku as usize];
        if u64::from(row.available) + u64::from(row.held) + u64::from(row.committed) != u64::from(stock) {
            return Err(Violation::NotConserved { row: *row, stock });
        }
        let wanted = committed[row.sku as usize];
        if u64::from(row.committed) != wanted {
            return Err(Violation::Sold { row: *row, wanted });
        }
    }
    Ok(())
}

/// What was told of a SKU: so many were available.
#[derive(Clone, Copy)]
struct Equation {
    sku: u32,
    told: u32,
    /// Units that the teller itself took right before.
    own: i64,
}

/// One pass over the history.
struct Pass<'a> {
    history: &'a History,
    log: &'a Log,
    moves: &'a mut [Move],
    /// By SKU: initial units and all moves certain to have come.
    settled: Vec<i64>,
    /// By SKU: moves that can have come and need not.
    waiting: Vec<Vec<usize>>,
    is_applied: Vec<bool>,
    /// Waiting moves that tell something themselves, and by move the end of the last gap it fits in.
    tellers: Vec<usize>,
    fits_until: Vec<Option<Key>>,
    narrowed: bool,
}

impl<'a> Pass<'a> {
    fn new(history: &'a History, log: &'a Log, moves: &'a mut [Move]) -> Self {
        let (skus, len) = (history.stock.len(), moves.len());
        Self {
            history,
            log,
            moves,
            settled: history.stock.iter().map(|units| i64::from(*units)).collect(),
            waiting: vec![Vec::new(); skus],
            is_applied: vec![false; len],
            tellers: Vec::new(),
            fits_until: vec![None; len],
            narrowed: false,
        }
    }

    /// Says whether a window became narrower.
    fn run(mut self) -> Result<bool, Violation> {
        let exchanges = &self.history.exchanges;
        let mut events: Vec<(Key, Source)> = self.log.order.iter().map(|at| (key(&exchanges[*at]), Source::Exchange(*at))).collect();
        events.extend(self.log.rows.iter().enumerate().map(|(at, key)| (*key, Source::Row(at))));
        events.sort_unstable_by_key(|(key, _)| *key);
        let sorted = |by: fn(&Move) -> Key| {
            let mut sorted: Vec<(Key, usize)> = self.moves.iter().enumerate().map(|(at, m)| (by(m), at)).collect();
            sorted.sort_unstable();
            sorted
        };
        let (by_after, by_until) = (sorted(|m| m.after), sorted(|m| m.until));
        let (mut coming, mut ending) = (by_after.into_iter().peekable(), by_until.into_iter().peekable());
        let mut last = Key::FIRST;
        for (place, source) in events {
            while let Some((_, at)) = coming.next_if(|(after, _)| *after < place) {
                self.moves[at].lines.iter().for_each(|(sku, _)| self.waiting[*sku as usize].push(at));
                if self.moves[at].tells.is_some() {
                    self.tellers.push(at);
                }
            }
            if last.has_gap(place) {
                self.place_tellers(last, place);
            }
            while let Some((_, at)) = ending.next_if(|(until, _)| *until < place) {
                self.apply(at);
            }
            match source {
                Source::Exchange(at) => self.exchange(place, at, &exchanges[at])?,
                Source::Row(at) => {
                    let row = &self.history.rows[at];
                    self.explain(place, source, &[Equation { sku: row.sku, told: row.available, own: 0 }])?;
                }
            }
            last = place;
        }
        for at in 0..self.moves.len() {
            match (self.moves[at].tells, self.fits_until[at]) {
                (Some(exchange), None) => return Err(Violation::Nowhere { exchange }),
                (Some(_), Some(until)) => self.narrow(at, |m| m.until = m.until.min(until)),
                (None, _) => {}
            }
        }
        Ok(self.narrowed)
    }

    fn exchange(&mut self, place: Key, at: usize, exchange: &Exchange) -> Result<(), Violation> {
        let Ask::Reserve(body) = &exchange.ask else { return Ok(()) };
        match &exchange.answer {
            Answer::Reserved { told, replayed: false } => {
                let taken = taken_lines(body, told);
                let equations = self.told(at, &taken, &told.remaining)?;
                self.explain(place, Source::Exchange(at), &equations)?;
                for (sku, units) in effect(&taken, -1) {
                    self.settled[sku as usize] += units;
                }
                Ok(())
            }
            Answer::Short(short) => {
                let mut equations: Vec<Equation> = Vec::new();
                for (sku, wanted) in effect(&body.lines, 1) {
                    let lines = body.lines.iter().enumerate().filter(|(_, line)| line.sku == sku).map(|(index, _)| index);
                    let of_sku = || short.iter().filter(|line| line.sku == sku);
                    let Some(first) = of_sku().next() else {
                        if body.partial {
                            return Err(Violation::Malformed { exchange: at }); // then it would have got this
                        }
                        let reach: i64 = self.open(sku, place).map(|(_, units)| units.max(0)).sum();
                        if self.settled[sku as usize] + reach < wanted {
                            return Err(Violation::NotEnough { exchange: at, sku });
                        }
                        continue;
                    };
                    let is_right = of_sku().all(|line| i64::from(line.requested) == wanted && line.available == first.available);
                    let has_some = body.partial && first.available > 0;
                    if !is_right || has_some || i64::from(first.available) >= wanted || !lines.eq(of_sku().map(|line| line.line)) {
                        return Err(Violation::Malformed { exchange: at });
                    }
                    equations.push(Equation { sku, told: first.available, own: 0 });
                }
                let asked = |sku| body.lines.iter().any(|line| line.sku == sku);
                if equations.is_empty() || !short.iter().all(|line| asked(line.sku)) {
                    return Err(Violation::Malformed { exchange: at });
                }
                self.explain(place, Source::Exchange(at), &equations)
            }
            // A lost first answer's figures are looked at where it may stand; the others say nothing about a row.
            Answer::Reserved { replayed: true, .. } | Answer::NotFound | Answer::IdReused => Ok(()),
            Answer::Done | Answer::Extended { .. } | Answer::IsCommitted | Answer::Differs => Err(Violation::Malformed { exchange: at }),
        }
    }

    /// What a reservation was told was left of each SKU.
    fn told(&self, at: usize, lines: &[Line], remaining: &[u32]) -> Result<Vec<Equation>, Violation> {
        let of_sku = |(sku, own): (u32, i64)| {
            let mut told = lines.iter().zip(remaining).filter(|(line, _)| line.sku == sku).map(|(_, told)| *told);
            let first = told.next().ok_or(Violation::Malformed { exchange: at })?;
            if told.all(|told| told == first) { Ok(Equation { sku, told: first, own }) } else { Err(Violation::Malformed { exchange: at }) }
        };
        effect(lines, 1).into_iter().map(of_sku).collect()
    }

    /// Moves of a SKU that can have come before `place`, with their units.
    fn open(&self, sku: u32, place: Key) -> impl Iterator<Item = (usize, i64)> {
        let units = move |at: usize| self.moves[at].lines.iter().find(|(other, _)| *other == sku).map_or(0, |(_, units)| *units);
        let can_have_come = move |at: &usize| self.moves[*at].after < place;
        self.waiting[sku as usize].iter().copied().filter(can_have_come).map(move |at| (at, units(at)))
    }

    /// Finds which open moves must have come before `place` for what was told there, and which cannot have.
    fn explain(&mut self, place: Key, source: Source, equations: &[Equation]) -> Result<(), Violation> {
        loop {
            let mut concluded = false;
            for Equation { sku, told, own } in equations {
                let open: Vec<(usize, i64)> = self.open(*sku, place).collect();
                let missing = i64::from(*told) + own - self.settled[*sku as usize];
                let units: Vec<i64> = open.iter().map(|(_, units)| *units).collect();
                if !reaches(&units, None, missing) {
                    let wanted = self.settled[*sku as usize] - own;
                    return Err(Violation::Unexplained { at: source, sku: *sku, told: *told, wanted, open: open.len() });
                }
                let (most, least): (i64, i64) =
                    (units.iter().map(|units| units.max(&0)).sum(), units.iter().map(|units| units.min(&0)).sum());
                for (index, (at, moved)) in open.iter().enumerate() {
                    let (needed, impossible) = if missing == most || missing == least {
                        ((*moved > 0) == (missing == most), (*moved > 0) != (missing == most))
                    } else if open.len() <= SEARCHED_MAX {
                        (!reaches(&units, Some(index), missing), !reaches(&units, Some(index), missing - moved))
                    } else {
                        (false, false)
                    };
                    if needed {
                        self.apply(*at);
                        self.narrow(*at, |m| m.until = m.until.min(place.before()));
                    } else if impossible {
                        self.narrow(*at, |m| m.after = m.after.max(place));
                    }
                    concluded |= needed || impossible;
                }
            }
            if !concluded {
                return Ok(());
            }
        }
    }

    /// A move that tells what was left after it: could it stand between these two neighbours?
    fn place_tellers(&mut self, last: Key, next: Key) {
        self.tellers.retain(|at| !self.is_applied[*at]);
        for at in self.tellers.clone() {
            let Some(exchange) = self.moves[at].tells else { continue };
            if self.moves[at].after >= next || self.moves[at].until <= last {
                continue;
            }
            let (Ask::Reserve(body), Answer::Reserved { told, .. }) =
                (&self.history.exchanges[exchange].ask, &self.history.exchanges[exchange].answer)
            else {
                continue;
            };
            let Ok(equations) = self.told(exchange, &taken_lines(body, told), &told.remaining) else { continue };
            let fits = equations.iter().all(|Equation { sku, told, own }| {
                let others: Vec<i64> = self.open(*sku, next).filter(|(other, _)| *other != at).map(|(_, units)| units).collect();
                reaches(&others, None, i64::from(*told) + own - self.settled[*sku as usize])
            });
            if fits {
                self.fits_until[at] = Some(next.before());
            } else if self.fits_until[at].is_none() {
                // Not here and nowhere before.
                self.narrow(at, |m| m.after = m.after.max(next));
            }
        }
    }

    fn apply(&mut self, at: usize) {
        if std::mem::replace(&mut self.is_applied[at], true) {
            return;
        }
        for (sku, units) in &self.moves[at].lines {
            self.settled[*sku as usize] += units;
            self.waiting[*sku as usize].retain(|other| *other != at);
        }
    }

    fn narrow(&mut self, at: usize, narrow: impl FnOnce(&mut Move)) {
        let m = &mut self.moves[at];
        let before = (m.after, m.until);
        narrow(m);
        self.narrowed |= (m.after, m.until) != before;
    }
}

/// Do some of `units`, without the one at `without`, add up to `sum`?
fn reaches(units: &[i64], without: Option<usize>, sum: i64) -> bool {
    let others = || units.iter().enumerate().filter(|(at, _)| Some(*at) != without).map(|(_, units)| *units);
    let (least, most): (i64, i64) = (others().map(|units| units.min(0)).sum(), others().map(|units| units.max(0)).sum());
    if sum < least || sum > most {
        return false;
    }
    if sum == 0 || sum == least || sum == most {
        return true;
    }
    let size = usize::try_from(most - least).map_or(0, |span| span + 1);
    let index = |sum: i64| usize::try_from(sum - least).unwrap_or(usize::MAX);
    let mut reached = vec![false; size];
    reached[index(0)] = true;
    for units in others() {
        let before = reached.clone();
        for (at, _) in before.iter().enumerate().filter(|(_, reached)| **reached) {
            // Out of the span: a sum of more than all.
            if let Some(slot) = i64::try_from(at).ok().and_then(|at| reached.get_mut(index(at + least + units))) {
                *slot = true;
            }
        }
    }
    reached[index(sum)]
}

//! The best rows by score, with as little read of the lists as these need.
//!
//! Path: a chunk of 65,536 rows at a time → in it windows of [`WINDOW_ROWS`] rows → what each list can bring there at most → windows that cannot reach
//! the worst row that is still wanted are skipped; in the others the lists that matter are added up in accumulators, and only rows that may
//! get there are looked up in the rest → [`Collector`], which raises the bar.
//! This is MaxScore (Turtle and Flood, Information Processing & Management 1995) with maxima by block (Ding and Suel, SIGIR 2011; Chakrabarti et al.,
//! ECIR 2011), applied a window at a time, as Lucene does.
//! The rows found are exactly those of adding everything up: a stretch is left out only where no row of it can be wanted, or where the budget ends, which is looked at
//! between windows.

use smallvec::SmallVec;

use super::boosts::Boosts;
use super::called::{self, Called};
use super::signals::Shares;
use super::{Lists, Resolved};
use crate::bitset::Ones;
use crate::budget::{Meter, cost};
use crate::collect::Collector;
use crate::postings::{BLOCK, CHUNK_ROWS, Run, gallop};

/// Rows whose lists are weighed at once: fewer make closer bounds, more make fewer of them. Their accumulators stay in the first-level cache.
pub(crate) const WINDOW_ROWS: usize = 4096;
const WINDOWS: usize = CHUNK_ROWS / WINDOW_ROWS;
const WINDOW_MASK: u16 = WINDOW_ROWS as u16 - 1;
/// With fewer postings than this in a window, the rows that have any are marked, so that not all accumulators are looked at.
const SPARSE: usize = WINDOW_ROWS / 8;
/// Impacts and accumulators compared at once.
const LANES: usize = 32;
const _: () = assert!(BLOCK.is_multiple_of(LANES) && WINDOW_ROWS.is_multiple_of(64));

/// Which rows are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// With every term.
    All,
    /// With at least one.
    Any,
    /// With at least one, but not with every.
    Some,
}

/// One list within a chunk.
struct Lane<'a> {
    run: Run<'a>,
    weight: u32,
    /// The window's postings.
    from: usize,
    to: usize,
    /// A place between them, for looking rows up in ascending order.
    seek: usize,
    /// What a row of the window gets of this list at most.
    bound: u32,
}

impl Lane<'_> {
    fn len(&self) -> usize {
        self.to - self.from
    }

    /// What a row gets of this list; rows are asked for in ascending order.
    fn look_up(&mut self, low: u16) -> Option<u32> {
        self.seek = gallop(&self.run.lows[..self.to], self.seek, low);
        let found = self.seek < self.to && self.run.lows[self.seek] == low;
        found.then(|| self.weight * u32::from(self.run.impacts[self.seek]))
    }
}

/// Finds the best rows of a query.
pub(crate) fn best(resolved: &Resolved<'_>, wanted: Wanted, collector: &mut Collector<'_>) {
    let mut sums = Sums { scores: [0; WINDOW_ROWS], touched: [0; WINDOW_ROWS / 64] };
    for lists in &resolved.parts {
        if wanted != Wanted::All || lists[..resolved.terms].iter().all(|list| !list.is_empty()) {
            part(lists, resolved, wanted, &mut sums, collector);
        }
    }
}

/// Goes through the chunks that the list of any term reaches into.
fn part<'a>(lists: &Lists<'a>, resolved: &Resolved<'a>, wanted: Wanted, sums: &mut Sums, collector: &mut Collector<'_>) {
    let terms = resolved.terms;
    let mut next: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
    while let Some(number) = lists[..terms].iter().zip(&next).filter_map(|(list, nth)| list.chunk_number(*nth)).min() {
        if !resolved.meter.may_spend(lists.len() as u64 * cost::LANE) {
            return;
        }
        let mut lanes: SmallVec<[Lane<'a>; 8]> = SmallVec::new();
        for ((list, nth), &weight) in lists.iter().zip(&mut next).zip(&resolved.weights) {
            let mut run = Run::default();
            // An extra may have chunks before, in which there is no term.
            while list.chunk_number(*nth).is_some_and(|other| other < number) {
                *nth += 1;
            }
            if list.chunk_number(*nth) == Some(number) {
                run = list.chunk(*nth);
                *nth += 1;
            }
            lanes.push(Lane { run, weight, from: 0, to: 0, seek: 0, bound: 0 });
        }
        let extras = lanes.drain(terms..).filter(|extra| !extra.run.lows.is_empty()).collect();
        if wanted != Wanted::All || lanes.iter().all(|lane| !lane.run.lows.is_empty()) {
            Chunk {
                base: u32::from(number) << 16,
                lanes,
                extras,
                called: &resolved.called,
                boosts: &resolved.boosts,
                shares: &resolved.shares,
                of_called: 0,
                of_boosts: 0,
                of_columns: 0,
                wanted,
                collector: &mut *collector,
                meter: resolved.meter,
                settled: 0,
                looked_up: 0,
            }
            .windows(sums);
        }
    }
}

/// Accumulators of a window; between windows all are zero.
struct Sums {
    scores: [u32; WINDOW_ROWS],
    touched: [u64; WINDOW_ROWS / 64],
}

struct Chunk<'a, 'c, 'r> {
    base: u32,
    /// Of the terms.
    lanes: SmallVec<[Lane<'a>; 8]>,
    /// Added to rows that the others find.
    extras: SmallVec<[Lane<'a>; 8]>,
    /// Likewise.
    called: &'c [Called<'a>],
    /// What becomes of a score then.
    boosts: &'c Boosts<'a>,
    /// Added after those.
    shares: &'c Shares<'a>,
    /// What a row of the window gets at most of the categories, of the boosts, and of the signals that are columns.
    of_called: u32,
    of_boosts: u32,
    of_columns: u32,
    wanted: Wanted,
    collector: &'c mut Collector<'r>,
    meter: &'c Meter,
    /// Rows of the window that might be wanted, and lists that they were looked up in.
    settled: u64,
    looked_up: u64,
}

impl Chunk<'_, '_, '_> {
    fn windows(&mut self, sums: &mut Sums) {
        loop {
            // Where each list goes on: the next window is that of the first of these rows, or of the last if all lists must be there.
            let mut places = self.lanes.iter().map(|lane| lane.run.lows.get(lane.to).copied());
            let low = match self.wanted {
                Wanted::All => places.try_fold(0, |furthest: u16, place| Some(furthest.max(place?))),
                Wanted::Any | Wanted::Some => places.flatten().min(),
            };
            let Some(low) = low else { return };
            if !self.meter.may_go_on() {
                return;
            }
            let window = usize::from(low) / WINDOW_ROWS;
            let (first, last) = ((window * WINDOW_ROWS) as u16, window + 1 == WINDOWS);
            for lane in &mut self.lanes {
                let lows = lane.run.lows;
                lane.from = if self.wanted == Wanted::All { gallop(lows, lane.to, first) } else { lane.to };
                lane.to = if last { lows.len() } else { gallop(lows, lane.from, first + WINDOW_ROWS as u16) };
                lane.seek = lane.from;
            }
            self.meter.charge((self.lanes.len() + self.extras.len()) as u64 * cost::LANE);
            if !self.collector.may_pass(self.base + u32::from(first), WINDOW_ROWS) {
                continue;
            }
            for extra in &mut self.extras {
                let lows = extra.run.lows;
                extra.from = gallop(lows, extra.to, first);
                extra.to = if last { lows.len() } else { gallop(lows, extra.from, first + WINDOW_ROWS as u16) };
                extra.seek = extra.from;
            }
            self.of_called = called::bound(self.called, self.base + u32::from(first), WINDOW_ROWS as u32);
            self.of_boosts = self.boosts.bound(self.base + u32::from(first), WINDOW_ROWS);
            self.of_columns = self.shares.bound(self.base + u32::from(first));
            match self.wanted {
                Wanted::All => self.all(),
                Wanted::Any | Wanted::Some => self.any(sums),
            }
            self.charge();
        }
    }

    /// Counts what the window's rows were.
    fn charge(&mut self) {
        let of_names: usize = self.called.iter().map(Called::len).sum();
        let a_row = cost::PLACE + self.collector.cost() + self.boosts.cost() + of_names as u64 * cost::LOOK_UP;
        self.meter.charge(self.settled * a_row + self.looked_up * cost::LOOK_UP + of_names as u64 * cost::CALLED);
        (self.settled, self.looked_up) = (0, 0);
    }

    /// What a row of the window gets at most of everything but the terms; each extra knows its own part of it then.
    fn bound_extras(&mut self) -> u32 {
        let mut sum = self.of_called + self.of_boosts + self.of_columns + self.shares.stock_bound();
        for extra in &mut self.extras {
            extra.bound = if extra.len() > 0 { extra.weight * u32::from(extra.run.bound(extra.from, extra.to)) } else { 0 };
            sum += extra.bound;
        }
        sum
    }

    /// The window's rows that are in every list: the shortest leads.
    fn all(&mut self) {
        if self.lanes.iter().any(|lane| lane.len() == 0) {
            return;
        }
        let of_extras = self.bound_extras();
        let mut total = of_extras;
        for lane in &mut self.lanes {
            lane.bound = lane.weight * u32::from(lane.run.bound(lane.from, lane.to));
            total += lane.bound;
        }
        let mut least = self.collector.least();
        if total < least {
            return;
        }
        self.lanes.sort_by_key(Lane::len); // the order of lanes says nothing else
        let Self { base, lanes, extras, called, boosts, shares, of_columns, collector, settled, looked_up, meter, .. } = self;
        let Some((lead, others)) = lanes.split_first_mut() else { return };
        let rest = total - lead.bound;
        let lows = &lead.run.lows[lead.from..lead.to];
        meter.charge(lows.len() as u64);
        'rows: for (&low, &impact) in lows.iter().zip(&lead.run.impacts[lead.from..lead.to]) {
            let mut score = lead.weight * u32::from(impact);
            if score + rest < least {
                continue;
            }
            for other in others.iter_mut() {
                *looked_up += 1;
                let Some(part) = other.look_up(low) else {
                    if other.seek == other.to {
                        return;
                    }
                    continue 'rows;
                };
                score += part;
            }
            *settled += 1;
            let row = *base | u32::from(low);
            let columns = shares.of_columns(row);
            if score + (of_extras - *of_columns) + columns >= least && collector.passes(row) {
                *looked_up += extras.len() as u64;
                score += extras.iter_mut().filter_map(|extra| extra.look_up(low)).sum::<u32>() + called::score(called, row);
                score = boosts.of_row(row, score) + columns;
                if score + shares.stock_bound() >= least {
                    shares.offer(collector, row, score);
                    least = collector.least();
                }
            }
        }
    }

    /// The window's rows that are in any list.
    fn any(&mut self, sums: &mut Sums) {
        let least = self.collector.least();
        let mut order: SmallVec<[usize; 8]> = SmallVec::new();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.len() > 0 {
                lane.bound = lane.weight * u32::from(lane.run.bound(lane.from, lane.to));
                order.push(at);
            }
        }
        order.sort_by_key(|at| self.lanes[*at].bound);
        // The lists with the lowest bounds, as long as a row that is in these alone is not wanted.
        let (mut rest, mut optional) = (self.bound_extras(), 0);
        while let Some(at) = order.get(optional) {
            let with = rest + self.lanes[*at].bound;
            if with >= least {
                break;
            }
            (rest, optional) = (with, optional + 1);
        }
        let (optional, essential) = order.split_at(optional);
        match essential {
            [] => {}
            [one] => self.one_essential(*one, optional, rest),
            several => self.several_essential(several, optional, rest, sums),
        }
    }

    /// A single list matters: no sums, and stretches of it are passed over by their maxima.
    fn one_essential(&mut self, one: usize, optional: &[usize], rest: u32) {
        let Lane { run, weight, from, to, .. } = self.lanes[one];
        // Several at a time.
        self.meter.charge((to - from) as u64 / 8);
        let mut at = from;
        while at < to {
            let end = (at + BLOCK).min(to);
            let need = self.collector.least().saturating_sub(rest).div_ceil(weight).max(1);
            let Ok(need) = u8::try_from(need) else { return };
            let (lows, impacts) = (&run.lows[at..end], &run.impacts[at..end]);
            for (lows, impacts) in lows.chunks(LANES).zip(impacts.chunks(LANES)) {
                if impacts.iter().fold(false, |any, impact| any | (*impact >= need)) {
                    for (&low, &impact) in lows.iter().zip(impacts) {
                        if impact >= need {
                            self.settle(low, weight * u32::from(impact), optional, rest);
                        }
                    }
                }
            }
            at = end;
        }
    }

    fn several_essential(&mut self, essential: &[usize], optional: &[usize], rest: u32, sums: &mut Sums) {
        let need = self.collector.least().saturating_sub(rest).max(1);
        let sparse = essential.iter().map(|at| self.lanes[*at].len()).sum::<usize>() < SPARSE;
        for lane in essential.iter().map(|at| &self.lanes[*at]) {
            self.meter.charge(lane.len() as u64);
            let postings = lane.run.lows[lane.from..lane.to].iter().zip(&lane.run.impacts[lane.from..lane.to]);
            for (low, impact) in postings {
                let low = usize::from(low & WINDOW_MASK);
                sums.scores[low] = sums.scores[low].wrapping_add(lane.weight.wrapping_mul(u32::from(*impact)));
                if sparse {
                    sums.touched[low / 64] |= 1 << (low % 64);
                }
            }
        }
        let first = self.lanes[essential[0]].run.lows[self.lanes[essential[0]].from] & !WINDOW_MASK;
        self.meter.charge(if sparse { SPARSE } else { WINDOW_ROWS } as u64 / 8);
        if sparse {
            for (at, word) in sums.touched.iter_mut().enumerate() {
                for low in (Ones { word: std::mem::take(word), base: 64 * at as u32 }) {
                    let score = std::mem::take(&mut sums.scores[low as usize]);
                    if score >= need {
                        self.settle(first | low as u16, score, optional, rest);
                    }
                }
            }
            return;
        }
        for (at, scores) in sums.scores.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            // As signed integers: see `WEIGHT_MAX`.
            if scores.iter().fold(false, |any, score| any | (score.cast_signed() >= need.cast_signed())) {
                for (low, &score) in scores.iter().enumerate() {
                    if score >= need {
                        self.settle(first | (at * LANES + low) as u16, score, optional, rest);
                    }
                }
            }
            *scores = [0; LANES];
        }
    }

    /// A row that may be wanted: adds what the optional lists give, the one that can give the most first, as long as it still may.
    fn settle(&mut self, low: u16, mut score: u32, optional: &[usize], mut rest: u32) {
        self.settled += 1;
        let (row, least) = (self.base | u32::from(low), self.collector.least());
        if score + rest < least {
            return;
        }
        // Known at once, at the price of a column each, and often less than it might have been.
        let columns = self.shares.of_columns(row);
        rest = rest - self.of_columns + columns;
        if score + rest < least || !self.collector.passes(row) {
            return;
        }
        for at in optional.iter().rev() {
            self.looked_up += 1;
            let lane = &mut self.lanes[*at];
            rest -= lane.bound;
            score += lane.look_up(low).unwrap_or(0);
            if score + rest < least {
                return;
            }
        }
        for extra in &mut self.extras {
            self.looked_up += 1;
            rest -= extra.bound;
            score += extra.look_up(low).unwrap_or(0);
            if score + rest < least {
                return;
            }
        }
        if self.of_called > 0 {
            score += called::score(self.called, row);
        }
        score = self.boosts.of_row(row, score) + columns;
        if self.wanted == Wanted::Some {
            self.looked_up += self.lanes.len() as u64;
            let has = |lane: &Lane<'_>| lane.run.lows[lane.from..lane.to].binary_search(&low).is_ok();
            if !self.shares.may_be_wanted(self.collector, row, score) || self.lanes.iter().all(has) {
                return;
            }
        }
        self.shares.offer(self.collector, row, score);
    }
}

#[cfg(test)]
mod tests;

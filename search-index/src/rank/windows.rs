//! The best rows by score, with as little read of the lists as these need.
//!
//! Path: chunks of 65,536 rows → in them windows of [`WINDOW_ROWS`] rows → what each list can bring there at most → the windows in the order of what their rows can get, until
//! one cannot reach the worst row that is still wanted; in each the lists that matter are added up in accumulators, and only rows that may
//! get there are looked up in the rest → [`Collector`], which raises the bar.
//! What a row gets beside a word, for having it in its title, goes with the word's list: it is added up with it, and looked for only in rows that have the word.
//! This is MaxScore (Turtle and Flood, Information Processing & Management 1995) with maxima by block (Ding and Suel, SIGIR 2011; Chakrabarti et al.,
//! ECIR 2011), applied a window at a time, as Lucene does.
//! The rows found are exactly those of adding everything up: a stretch is left out only where no row of it can be wanted, or where the budget ends, which is looked at
//! between windows.

use smallvec::SmallVec;

use super::boosts::Boosts;
use super::called::{self, Called};
use super::proximity::Proximity;
use super::signals::Shares;
use super::{Lists, Resolved};
use crate::bitset::Ones;
use crate::budget::{Meter, cost};
use crate::collect::Collector;
use crate::postings::{BLOCK, Bitmap, CHUNK_ROWS, Run, gallop, is_in};

/// Rows whose lists are weighed at once: fewer make closer bounds, more make fewer of them. Their accumulators stay in the first-level cache.
pub(crate) const WINDOW_ROWS: usize = 4096;
const WINDOWS: usize = CHUNK_ROWS / WINDOW_ROWS;
/// As many rows are counted by window one by one.
const FEW: usize = 64;
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
    /// Of the whole chunk, where the run is dense.
    bitmap: Option<&'a Bitmap>,
    weight: u32,
    /// Where the postings of each window begin, and where those of the last end.
    starts: [u32; WINDOWS + 1],
    /// What a row of each window gets of this list at most.
    bounds: [u32; WINDOWS],
    /// Of an extra, the place of the lane of the word that rows with it have; none of one that is beside no word.
    beside: Option<usize>,
    /// Postings of the window at hand.
    from: usize,
    to: usize,
    /// A place between them, for looking rows up in ascending order.
    seek: usize,
    bound: u32,
}

impl<'a> Lane<'a> {
    fn new(run: Run<'a>, bitmap: Option<&'a Bitmap>, weight: u32, beside: Option<usize>) -> Self {
        Self { run, bitmap, weight, starts: starts(run.lows), bounds: [0; WINDOWS], beside, from: 0, to: 0, seek: 0, bound: 0 }
    }

    fn has(&self, window: usize) -> bool {
        self.starts[window] < self.starts[window + 1]
    }

    /// Bounds the window.
    fn weigh(&mut self, window: usize) -> u32 {
        let range = self.starts[window] as usize..self.starts[window + 1] as usize;
        self.bounds[window] = if range.is_empty() { 0 } else { self.weight * u32::from(self.run.bound(range.start, range.end)) };
        self.bounds[window]
    }

    /// Goes to a window that was weighed.
    fn enter(&mut self, window: usize) {
        (self.from, self.to) = (self.starts[window] as usize, self.starts[window + 1] as usize);
        (self.seek, self.bound) = (self.from, self.bounds[window]);
    }

    fn len(&self) -> usize {
        self.to - self.from
    }

    /// Whether a bit is enough to know that a row is not there: of most rows it is.
    fn lacks(&self, low: u16) -> bool {
        self.bitmap.is_some_and(|bitmap| !is_in(bitmap, low))
    }

    /// What a row gets of this list; rows are asked for in ascending order.
    #[inline]
    fn look_up(&mut self, low: u16) -> Option<u32> {
        if self.lacks(low) {
            return None;
        }
        self.seek = gallop(&self.run.lows[..self.to], self.seek, low);
        let found = self.seek < self.to && self.run.lows[self.seek] == low;
        found.then(|| self.weight * u32::from(self.run.impacts[self.seek]))
    }
}

/// Where the rows of each window begin, and where those of the last end.
fn starts(lows: &[u16]) -> [u32; WINDOWS + 1] {
    let mut starts = [0; WINDOWS + 1];
    if lows.len() <= FEW {
        lows.iter().for_each(|low| starts[usize::from(*low) / WINDOW_ROWS + 1] += 1);
        (0..WINDOWS).for_each(|window| starts[window + 1] += starts[window]);
    } else {
        let mut at = 0;
        for (window, start) in starts[..WINDOWS].iter_mut().enumerate() {
            at = if window == 0 { 0 } else { gallop(lows, at, (window * WINDOW_ROWS) as u16) };
            *start = at as u32;
        }
        starts[WINDOWS] = lows.len() as u32;
    }
    starts
}

/// Finds the best rows of a query.
pub(crate) fn best(resolved: &Resolved<'_>, wanted: Wanted, collector: &mut Collector<'_>) {
    let sums = Sums { scores: [0; WINDOW_ROWS], touched: [0; WINDOW_ROWS / 64] };
    let mut scan = Scan {
        called: &resolved.called,
        proximity: &resolved.proximity,
        boosts: &resolved.boosts,
        shares: &resolved.shares,
        wanted,
        collector,
        meter: resolved.meter,
        sums,
        settled: 0,
        looked_up: 0,
    };
    let (mut chunks, mut order) = (Vec::new(), Vec::new());
    for (part, lists) in resolved.parts.iter().enumerate() {
        if wanted != Wanted::All || lists[..resolved.terms].iter().all(|list| !list.is_empty()) {
            scan.weigh((part, lists), resolved, &mut chunks, &mut order);
        }
    }
    // What may have the best rows comes first, so that the bar is high from the start, and most of the others are never looked at.
    order.sort_unstable_by_key(|(bound, chunk, window): &(u32, u32, u8)| (std::cmp::Reverse(*bound), *chunk, *window));
    for (bound, chunk, window) in order {
        if bound < scan.collector.least() || !scan.meter.may_go_on() {
            return;
        }
        chunks[chunk as usize].window(usize::from(window), &mut scan);
    }
}

/// Accumulators of a window; between windows all are zero.
struct Sums {
    scores: [u32; WINDOW_ROWS],
    touched: [u64; WINDOW_ROWS / 64],
}

/// What all windows of a search share.
struct Scan<'s, 'a, 'r> {
    /// Added to rows that the lists find.
    called: &'s [Called<'a>],
    /// Likewise, last of what texts say: it is read for no more rows than need be.
    proximity: &'s Proximity<'a>,
    /// What becomes of a score then.
    boosts: &'s Boosts<'a>,
    /// Added after those.
    shares: &'s Shares<'a>,
    wanted: Wanted,
    collector: &'s mut Collector<'r>,
    meter: &'s Meter,
    sums: Sums,
    /// Rows of the window that might be wanted, and lists that they were looked up in.
    settled: u64,
    looked_up: u64,
}

/// What a row of a window gets at most of the categories, of the boosts, and of the signals that are columns.
#[derive(Clone, Copy, Default)]
struct Beside {
    called: u32,
    boosts: u32,
    columns: u32,
}

struct Chunk<'a> {
    /// Of the index.
    part: usize,
    base: u32,
    /// Of the terms.
    lanes: SmallVec<[Lane<'a>; 8]>,
    /// Added to rows that the others find.
    extras: SmallVec<[Lane<'a>; 8]>,
    beside: [Beside; WINDOWS],
    /// Of the window at hand.
    of: Beside,
}

impl Scan<'_, '_, '_> {
    /// Goes through the chunks that the list of any term reaches into, and adds their windows in which rows may be found, each with what one of them can get.
    fn weigh<'a>(
        &mut self,
        (part, lists): (usize, &Lists<'a>),
        resolved: &Resolved<'a>,
        chunks: &mut Vec<Chunk<'a>>,
        order: &mut Vec<(u32, u32, u8)>,
    ) {
        let terms = resolved.terms;
        let mut next: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lists.len());
        while let Some(number) = lists[..terms].iter().zip(&next).filter_map(|(list, nth)| list.chunk_number(*nth)).min() {
            if !self.meter.may_spend(lists.len() as u64 * cost::LANE) {
                return;
            }
            let mut lanes: SmallVec<[Lane<'a>; 8]> = SmallVec::new();
            for ((list, nth), &weight) in lists.iter().zip(&mut next).zip(&resolved.weights) {
                let (mut run, mut bitmap) = (Run::default(), None);
                // An extra may have chunks before, in which there is no term.
                while list.chunk_number(*nth).is_some_and(|other| other < number) {
                    *nth += 1;
                }
                if list.chunk_number(*nth) == Some(number) {
                    (run, bitmap) = (list.chunk(*nth), list.bitmap(*nth));
                    *nth += 1;
                }
                let beside = lanes.len().checked_sub(terms).and_then(|nth| resolved.extras.get(nth)?.beside());
                lanes.push(Lane::new(run, bitmap, weight, beside));
            }
            let mut extras: SmallVec<[Lane<'a>; 8]> = lanes.drain(terms..).filter(|extra| !extra.run.lows.is_empty()).collect();
            // What may bring the most is asked first.
            extras.sort_by_key(|extra| std::cmp::Reverse(extra.weight));
            let mut chunk =
                Chunk { part, base: u32::from(number) << 16, lanes, extras, beside: [Beside::default(); WINDOWS], of: Beside::default() };
            for window in 0..WINDOWS {
                if let Some(bound) = chunk.weigh(window, self) {
                    order.push((bound, chunks.len() as u32, window as u8));
                }
            }
            chunks.push(chunk);
        }
    }

    /// What a row comes to, but for being in stock, from what lists and names give it; `None` as soon as that is not enough.
    fn of_texts(&self, part: usize, row: u32, score: u32, columns: u32, least: u32) -> Option<u32> {
        let all = |score: u32| self.boosts.of_row(row, score) + columns;
        let is_enough = |score: &u32| *score + self.shares.stock_bound() >= least;
        if self.proximity.bound() == 0 {
            return Some(all(score)).filter(is_enough);
        }
        is_enough(&all(score + self.proximity.bound()))
            .then(|| all(score + self.proximity.in_part(part, row, self.meter)))
            .filter(is_enough)
    }

    /// Counts what the window's rows were.
    fn charge(&mut self) {
        let of_names: usize = self.called.iter().map(Called::len).sum();
        let a_row = cost::PLACE + self.collector.cost() + self.boosts.cost() + of_names as u64 * cost::LOOK_UP;
        self.meter.charge(self.settled * a_row + self.looked_up * cost::LOOK_UP + of_names as u64 * cost::CALLED);
        (self.settled, self.looked_up) = (0, 0);
    }
}

impl Chunk<'_> {
    /// What a row of the window can get, if any may be found there.
    fn weigh(&mut self, window: usize, scan: &mut Scan<'_, '_, '_>) -> Option<u32> {
        let mut has = self.lanes.iter().map(|lane| lane.has(window));
        let may_be = if scan.wanted == Wanted::All { has.all(|has| has) } else { has.any(|has| has) };
        let first = self.base + (window * WINDOW_ROWS) as u32;
        if !may_be || !scan.collector.may_pass(first, WINDOW_ROWS) {
            return None;
        }
        scan.meter.charge((self.lanes.len() + self.extras.len()) as u64 * cost::LANE);
        let of = Beside {
            called: called::bound(scan.called, first, WINDOW_ROWS as u32),
            boosts: scan.boosts.bound(first, WINDOW_ROWS),
            columns: scan.shares.bound(first),
        };
        self.beside[window] = of;
        let of_lists: u32 = self.lanes.iter_mut().chain(&mut self.extras).map(|lane| lane.weigh(window)).sum();
        Some(of_lists + of.called + scan.proximity.bound() + of.boosts + of.columns + scan.shares.stock_bound())
    }

    /// Looks through a window.
    fn window(&mut self, window: usize, scan: &mut Scan<'_, '_, '_>) {
        self.of = self.beside[window];
        self.lanes.iter_mut().chain(&mut self.extras).for_each(|lane| lane.enter(window));
        match scan.wanted {
            Wanted::All => self.all(scan),
            Wanted::Any | Wanted::Some => self.any(scan),
        }
        scan.charge();
    }

    /// What a row of the window gets at most of everything but the terms and what is beside them.
    fn bound_beside(&self, scan: &Scan<'_, '_, '_>) -> u32 {
        self.of.called + scan.proximity.bound() + self.of.boosts + self.of.columns + scan.shares.stock_bound()
    }

    /// The window's rows that are in every list: the shortest leads.
    fn all(&mut self, scan: &mut Scan<'_, '_, '_>) {
        let of_extras = self.extras.iter().map(|extra| extra.bound).sum::<u32>() + self.bound_beside(scan);
        let total = of_extras + self.lanes.iter().map(|lane| lane.bound).sum::<u32>();
        let mut least = scan.collector.least();
        // The order of lanes says nothing else.
        self.lanes.sort_by_key(Lane::len);
        let Self { part, base, lanes, extras, of, .. } = self;
        let Some((lead, others)) = lanes.split_first_mut() else { return };
        let rest = total - lead.bound;
        scan.meter.charge((lead.to - lead.from) as u64);
        let mut at = lead.from;
        while at < lead.to {
            let end = (at + BLOCK).min(lead.to);
            let Ok(need) = u8::try_from(least.saturating_sub(rest).div_ceil(lead.weight)) else { return };
            let (lows, impacts) = (&lead.run.lows[at..end], &lead.run.impacts[at..end]);
            at = end;
            for (lows, impacts) in lows.chunks(LANES).zip(impacts.chunks(LANES)) {
                if !impacts.iter().fold(false, |any, impact| any | (*impact >= need)) {
                    continue;
                }
                'rows: for (&low, &impact) in lows.iter().zip(impacts) {
                    let mut score = lead.weight * u32::from(impact);
                    if score + rest < least || others.iter().any(|other| other.lacks(low)) {
                        continue;
                    }
                    for other in others.iter_mut() {
                        scan.looked_up += 1;
                        let Some(part) = other.look_up(low) else {
                            if other.seek == other.to {
                                return;
                            }
                            continue 'rows;
                        };
                        score += part;
                    }
                    scan.settled += 1;
                    let row = *base | u32::from(low);
                    let columns = scan.shares.of_columns(row);
                    let mut rest = of_extras - of.columns + columns;
                    if score + rest < least || !scan.collector.passes(row) {
                        continue;
                    }
                    for extra in extras.iter_mut().filter(|extra| extra.bound > 0) {
                        scan.looked_up += 1;
                        rest -= extra.bound;
                        score += extra.look_up(low).unwrap_or(0);
                        if score + rest < least {
                            continue 'rows;
                        }
                    }
                    score += called::score(scan.called, row);
                    if let Some(score) = scan.of_texts(*part, row, score, columns, least) {
                        scan.shares.offer(scan.collector, row, score);
                        least = scan.collector.least();
                    }
                }
            }
        }
    }

    /// The window's rows that are in any list.
    fn any(&mut self, scan: &mut Scan<'_, '_, '_>) {
        let least = scan.collector.least();
        let found = (0..self.lanes.len()).filter(|at| self.lanes[*at].len() > 0);
        let mut order: SmallVec<[(u32, usize); 8]> = found.map(|at| (self.lanes[at].bound + self.bound_of(Some(at)), at)).collect();
        order.sort_unstable();
        // The lists with the lowest bounds, as long as a row that is in these alone is not wanted.
        let (mut rest, mut optional) = (self.bound_beside(scan) + self.bound_of(None), 0);
        while let Some((bound, _)) = order.get(optional) {
            if rest + bound >= least {
                break;
            }
            (rest, optional) = (rest + bound, optional + 1);
        }
        let order: SmallVec<[usize; 8]> = order.into_iter().map(|(_, at)| at).collect();
        let (optional, essential) = order.split_at(optional);
        match essential {
            [] => {}
            [one] => self.one_essential(*one, optional, rest + self.bound_of(Some(*one)), scan),
            several => self.several_essential(several, optional, rest, scan),
        }
    }

    /// What the extras beside a lane, or beside none, bring at most.
    fn bound_of(&self, lane: Option<usize>) -> u32 {
        self.extras.iter().filter(|extra| extra.beside == lane).map(|extra| extra.bound).sum()
    }

    /// A single list matters: no sums, and stretches of it are passed over by their maxima.
    fn one_essential(&mut self, one: usize, optional: &[usize], rest: u32, scan: &mut Scan<'_, '_, '_>) {
        let Lane { run, weight, from, to, .. } = self.lanes[one];
        // Several at a time.
        scan.meter.charge((to - from) as u64 / 8);
        let mut at = from;
        while at < to {
            let end = (at + BLOCK).min(to);
            let need = scan.collector.least().saturating_sub(rest).div_ceil(weight).max(1);
            let Ok(need) = u8::try_from(need) else { return };
            let (lows, impacts) = (&run.lows[at..end], &run.impacts[at..end]);
            for (lows, impacts) in lows.chunks(LANES).zip(impacts.chunks(LANES)) {
                if impacts.iter().fold(false, |any, impact| any | (*impact >= need)) {
                    for (&low, &impact) in lows.iter().zip(impacts) {
                        if impact >= need {
                            self.settle(low, weight * u32::from(impact), Some(one), (optional, rest), scan);
                        }
                    }
                }
            }
            at = end;
        }
    }

    fn several_essential(&mut self, essential: &[usize], optional: &[usize], rest: u32, scan: &mut Scan<'_, '_, '_>) {
        let need = scan.collector.least().saturating_sub(rest).max(1);
        let of_words = essential.iter().map(|at| &self.lanes[*at]);
        let lanes = of_words.chain(self.extras.iter().filter(|extra| extra.beside.is_some_and(|at| essential.contains(&at))));
        let sparse = lanes.clone().map(Lane::len).sum::<usize>() < SPARSE;
        for lane in lanes {
            scan.meter.charge(lane.len() as u64);
            let postings = lane.run.lows[lane.from..lane.to].iter().zip(&lane.run.impacts[lane.from..lane.to]);
            for (low, impact) in postings {
                let low = usize::from(low & WINDOW_MASK);
                scan.sums.scores[low] = scan.sums.scores[low].wrapping_add(lane.weight.wrapping_mul(u32::from(*impact)));
                if sparse {
                    scan.sums.touched[low / 64] |= 1 << (low % 64);
                }
            }
        }
        let first = self.lanes[essential[0]].run.lows[self.lanes[essential[0]].from] & !WINDOW_MASK;
        scan.meter.charge(if sparse { SPARSE } else { WINDOW_ROWS } as u64 / 8);
        if sparse {
            for at in 0..scan.sums.touched.len() {
                for low in (Ones { word: std::mem::take(&mut scan.sums.touched[at]), base: 64 * at as u32 }) {
                    let score = std::mem::take(&mut scan.sums.scores[low as usize]);
                    if score >= need {
                        self.settle(first | low as u16, score, None, (optional, rest), scan);
                    }
                }
            }
            return;
        }
        for at in 0..WINDOW_ROWS / LANES {
            let range = at * LANES..(at + 1) * LANES;
            // As signed integers: see `WEIGHT_MAX`.
            let any = scan.sums.scores[range.clone()].iter().fold(false, |any, score| any | (score.cast_signed() >= need.cast_signed()));
            if any {
                for low in range.clone() {
                    let score = scan.sums.scores[low];
                    if score >= need {
                        self.settle(first | low as u16, score, None, (optional, rest), scan);
                    }
                }
            }
            scan.sums.scores[range].fill(0);
        }
    }

    /// A row that may be wanted: adds what is beside the word that it was found by, if that is not in the score yet, and what the optional lists give, the one that can give
    /// the most first, as long as it still may.
    fn settle(
        &mut self,
        low: u16,
        mut score: u32,
        word: Option<usize>,
        (optional, mut rest): (&[usize], u32),
        scan: &mut Scan<'_, '_, '_>,
    ) {
        scan.settled += 1;
        let (row, least) = (self.base | u32::from(low), scan.collector.least());
        if score + rest < least {
            return;
        }
        // Known at once, at the price of a column each, and often less than it might have been.
        let columns = scan.shares.of_columns(row);
        rest = rest - self.of.columns + columns;
        if score + rest < least || !scan.collector.passes(row) {
            return;
        }
        if word.is_some() && !self.add_beside(word, low, (&mut score, &mut rest), scan) {
            return;
        }
        for at in optional.iter().rev() {
            scan.looked_up += 1;
            let lane = &mut self.lanes[*at];
            rest -= lane.bound;
            let found = lane.look_up(low);
            if let Some(found) = found {
                score += found;
            } else {
                rest -= self.bound_of(Some(*at));
            }
            if score + rest < least || (found.is_some() && !self.add_beside(Some(*at), low, (&mut score, &mut rest), scan)) {
                return;
            }
        }
        if !self.add_beside(None, low, (&mut score, &mut rest), scan) {
            return;
        }
        if self.of.called > 0 {
            score += called::score(scan.called, row);
        }
        let Some(score) = scan.of_texts(self.part, row, score, columns, least) else { return };
        if scan.wanted == Wanted::Some {
            scan.looked_up += self.lanes.len() as u64;
            let has = |lane: &Lane<'_>| lane.run.lows[lane.from..lane.to].binary_search(&low).is_ok();
            if !scan.shares.may_be_wanted(scan.collector, row, score) || self.lanes.iter().all(has) {
                return;
            }
        }
        scan.shares.offer(scan.collector, row, score);
    }

    /// Adds what a row that has a word gets beside it, or beside no word; `false` as soon as it is not wanted.
    fn add_beside(&mut self, word: Option<usize>, low: u16, (score, rest): (&mut u32, &mut u32), scan: &mut Scan<'_, '_, '_>) -> bool {
        let least = scan.collector.least();
        for extra in self.extras.iter_mut().filter(|extra| extra.beside == word && extra.bound > 0) {
            scan.looked_up += 1;
            *rest -= extra.bound;
            *score += extra.look_up(low).unwrap_or(0);
            if *score + *rest < least {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;

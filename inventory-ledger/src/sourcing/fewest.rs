//! The fewest locations that cover every line: a covering integer program, set cover where lines are not split, and NP-hard either way.
//!
//! Path: [`Table`] → [`greedy`], a set that covers → [`Search`], for 1, 2, … up to that many locations, the first set by rank that covers → [`Chosen`].
//! Read first: [`choose`]. Sizes are tried upwards, so the first set found is smallest; a search that is given up leaves the greedy set.

use smallvec::SmallVec;

use super::{CELLS_INLINE, EXACT_LOCATIONS_MAX, Ranks, SEARCH_STEPS_MAX, Table};

/// A set of locations that covers every line, each of them needed.
pub(super) struct Chosen {
    pub(super) ranks: Ranks,
    /// No smaller set covers, and of those of this size it is first by rank.
    pub(super) proven: bool,
}

/// The whole of a line, in the shares that the greedy choice adds up. More than any quantity, so that one unit is never nothing.
const WHOLE: u64 = 1 << 32;

// For one size k the search puts no set of up to k locations on trial twice, so k sizes of n locations take at most n * 2^n steps.
const _: () =
    assert!((EXACT_LOCATIONS_MAX as u64) << EXACT_LOCATIONS_MAX <= SEARCH_STEPS_MAX as u64, "few locations are always searched to the end");

/// Chooses from a table in which all locations together cover every line.
pub(super) fn choose(table: &Table) -> Chosen {
    let greedy = greedy(table);
    if greedy.len() == 1 {
        // Of single locations that cover all, the greedy choice took the first.
        return Chosen { ranks: greedy, proven: true };
    }
    let mut search = Search::new(table);
    for size in 2..=greedy.len() {
        match search.extend(0, size) {
            Outcome::Found => return Chosen { ranks: search.set, proven: true },
            Outcome::None => {}
            Outcome::GivenUp => return Chosen { ranks: greedy, proven: false },
        }
    }
    unreachable!("the search to the end of {} locations missed the greedy set", greedy.len())
}

/// Takes the location that adds the largest share of what is missing, until nothing is; then drops, from the last rank on, what the others make needless.
///
/// Each line counts as one, whatever its quantity. At most `1 + ln(lines)` times the fewest where lines are whole (Johnson 1974, Chvátal 1979; Wolsey
/// 1982 for coverings such as a split line). Time: locations^2 x lines.
fn greedy(table: &Table) -> Ranks {
    let mut missing = table.wanted.clone();
    let mut set = Ranks::new();
    while missing.iter().any(|missing| *missing > 0) {
        let mut best = (0, 0);
        for rank in 0..table.locations() {
            let shares = table.row(rank).iter().zip(&missing).zip(&table.wanted);
            let share = shares.map(|((there, missing), wanted)| u64::from(*there.min(missing)) * WHOLE / u64::from(*wanted)).sum::<u64>();
            if share > best.0 && !set.contains(&rank) {
                best = (share, rank);
            }
        }
        let (share, rank) = best;
        assert!(share > 0, "all locations together cover every line");
        set.push(rank);
        for (missing, there) in missing.iter_mut().zip(table.row(rank)) {
            *missing = missing.saturating_sub(*there);
        }
    }
    set.sort_unstable();
    for at in (0..set.len()).rev() {
        let others = |line: usize| {
            set.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, rank)| u64::from(table.row(*rank)[line])).sum::<u64>()
        };
        if (0..table.wanted.len()).all(|line| others(line) >= u64::from(table.wanted[line])) {
            set.remove(at);
        }
    }
    set
}

enum Outcome {
    /// The set is in `Search::set`.
    Found,
    /// There is no set of this size or smaller.
    None,
    /// [`SEARCH_STEPS_MAX`] came first.
    GivenUp,
}

/// Depth first through sets in order of rank, so that of one size the first that covers is found first.
struct Search<'t> {
    table: &'t Table,
    /// By rank, then by line: the most that one location of this rank or later could give.
    most: SmallVec<[u32; CELLS_INLINE]>,
    /// On trial, ascending.
    set: Ranks,
    /// What the set gives, by line; more than wanted counts, so that taking back is subtraction.
    given: SmallVec<[u64; 8]>,
    /// Of all sizes together.
    steps: u32,
}

impl<'t> Search<'t> {
    fn new(table: &'t Table) -> Self {
        let lines = table.wanted.len();
        let mut most = table.cells.clone();
        for at in (0..most.len() - lines).rev() {
            most[at] = most[at].max(most[at + lines]);
        }
        Self { table, most, set: Ranks::new(), given: SmallVec::from_elem(0, lines), steps: 0 }
    }

    /// Adds up to `left` locations of rank `from` or later. Depth: at most the size, so at most `LOCATIONS_MAX`.
    fn extend(&mut self, from: usize, left: usize) -> Outcome {
        for rank in from..self.table.locations() {
            if !self.in_reach(rank, left) {
                return Outcome::None; // and the ranks that follow reach no further
            }
            if !self.helps(rank) {
                continue; // in no set that is smallest: what it gives is there already
            }
            if self.steps == SEARCH_STEPS_MAX {
                return Outcome::GivenUp;
            }
            self.steps += 1;
            self.add(rank);
            let outcome = if self.covers() {
                Outcome::Found
            } else if left == 1 {
                Outcome::None
            } else {
                self.extend(rank + 1, left - 1)
            };
            match outcome {
                Outcome::None => self.take_back(rank),
                Outcome::Found | Outcome::GivenUp => return outcome,
            }
        }
        Outcome::None
    }

    /// Whether `left` locations of this rank or later could cover what is missing, if each line had them all to itself.
    fn in_reach(&self, rank: usize, left: usize) -> bool {
        let lines = self.table.wanted.len();
        let most = &self.most[rank * lines..][..lines];
        self.given
            .iter()
            .zip(most)
            .zip(&self.table.wanted)
            .all(|((given, most), wanted)| given + left as u64 * u64::from(*most) >= u64::from(*wanted))
    }

    fn helps(&self, rank: usize) -> bool {
        let row = self.table.row(rank);
        self.given.iter().zip(row).zip(&self.table.wanted).any(|((given, there), wanted)| *there > 0 && *given < u64::from(*wanted))
    }

    fn covers(&self) -> bool {
        self.given.iter().zip(&self.table.wanted).all(|(given, wanted)| *given >= u64::from(*wanted))
    }

    fn add(&mut self, rank: usize) {
        self.set.push(rank);
        for (given, there) in self.given.iter_mut().zip(self.table.row(rank)) {
            *given += u64::from(*there);
        }
    }

    fn take_back(&mut self, rank: usize) {
        self.set.pop();
        for (given, there) in self.given.iter_mut().zip(self.table.row(rank)) {
            *given -= u64::from(*there);
        }
    }
}

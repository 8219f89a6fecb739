//! Sourcing: from which locations an order's lines are taken.
//!
//! Path: lines wanted, candidate locations and what is available → a table of what each location could give to each line
//! → the [`Rule`] takes from it ([`FewestParcels`](Rule::FewestParcels): `fewest` chooses the locations first) → [`Plan`], whose
//! lines are what [`Ledger::hold`](crate::Ledger::hold) takes. Read first: [`source`].
//!
//! Pure: every availability is read once, nothing is set aside. A plan is a proposal; the hold decides, and one that comes short is
//! sourced again. Deliberately absent: prices of carriage, parcel sizes, dates. What a rule should know of them goes into a
//! candidate's priority and distance.

mod fewest;

use smallvec::SmallVec;

use crate::{LINES_MAX, Line, Location, Sku, Units};

/// Most candidates of one decision. More are refused with [`TooManyLocations`](SourcingRefused::TooManyLocations): choose the likely ones first.
pub const LOCATIONS_MAX: usize = 64;

/// Candidates up to which [`Rule::FewestParcels`] is always exact. Those that have nothing for any line do not count.
pub const EXACT_LOCATIONS_MAX: usize = 10;

/// Locations that the search of [`Rule::FewestParcels`] puts into a set on trial before it gives up and keeps the greedy answer. Each costs
/// a few additions a line, so the longest search of 64 lines takes one to two milliseconds of a core.
pub const SEARCH_STEPS_MAX: u32 = 1 << 14;

/// Cells of the table (lines x candidates) that need no allocation.
const CELLS_INLINE: usize = 128;

/// Something wanted: part of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// What; in one line only.
    pub sku: Sku,
    /// How many; zero is refused.
    pub quantity: Units,
}

/// A location that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Which.
    pub location: Location,
    /// The merchant's order of preference: lower goes first.
    pub priority: u32,
    /// To the buyer, in units of the caller's choice, the same for all candidates.
    pub distance: u64,
}

/// What makes one location better than another. Ties go on to the next word, and end at the location's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// By priority, then distance: each line from the first location that has some of it, the rest from the next.
    Priority,
    /// By distance, then priority; otherwise the same.
    Nearest,
    /// From as few locations as can be; of sets of one size the one that is first by priority, then distance, compared from its best location on.
    /// Within the set a line comes whole from the first location that has it whole, else from one after the other.
    FewestParcels,
}

/// Whether one line may come from several locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// A line comes whole from one location; other lines may come from others.
    Never,
    /// A line may be put together.
    Allowed,
}

/// Units of a line to be taken from a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Allocation {
    /// Position among the lines wanted.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// From where.
    pub location: Location,
    /// How many; at least one.
    pub quantity: Units,
}

impl From<Allocation> for Line {
    fn from(from: Allocation) -> Self {
        Self { sku: from.sku, location: from.location, quantity: from.quantity }
    }
}

/// Where everything wanted comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Parcel after parcel, the best location first; in each by position of the line.
    allocations: SmallVec<[Allocation; 4]>,
    fewest: bool,
}

impl Plan {
    /// Every allocation, parcel after parcel in the rule's order, and in a parcel by position of the line.
    #[must_use]
    pub fn allocations(&self) -> &[Allocation] {
        &self.allocations
    }

    /// What each location sends, in the rule's order; none sends nothing.
    pub fn parcels(&self) -> impl Iterator<Item = (Location, &[Allocation])> {
        self.allocations.chunk_by(|one, next| one.location == next.location).map(|parcel| (parcel[0].location, parcel))
    }

    /// The lines of a hold that takes all of it. They may be more than [`LINES_MAX`] when lines are split: hold them in parts.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        self.allocations.iter().copied().map(Line::from)
    }

    /// Whether no plan has fewer parcels, as far as is known: always after [`Rule::FewestParcels`] with up to [`EXACT_LOCATIONS_MAX`]
    /// useful candidates, and beyond that unless the search was given up at [`SEARCH_STEPS_MAX`]. Of the other rules, only for one parcel.
    #[must_use]
    pub fn is_fewest(&self) -> bool {
        self.fewest
    }
}

/// A line that cannot be had as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shortage {
    /// Position among the lines wanted.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How many were wanted.
    pub wanted: Units,
    /// How many could be had instead: from all candidates together, or with [`Split::Never`] the most that one has.
    pub available: Units,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourcingRefused {
    /// Nothing is wanted.
    #[error("no line")]
    Empty,
    /// More than [`LINES_MAX`] lines.
    #[error("{len} lines; at most {LINES_MAX}")]
    TooManyLines {
        /// How many.
        len: usize,
    },
    /// A line for nothing.
    #[error("line {line} has quantity zero")]
    ZeroQuantity {
        /// The first such line.
        line: u16,
    },
    /// Two lines want one SKU; put them together first.
    #[error("lines {first} and {second} want the same SKU")]
    RepeatedSku {
        /// The earlier.
        first: u16,
        /// The later.
        second: u16,
    },
    /// More than [`LOCATIONS_MAX`] candidates.
    #[error("{len} candidate locations; at most {LOCATIONS_MAX}")]
    TooManyLocations {
        /// How many.
        len: usize,
    },
    /// A location is a candidate twice.
    #[error("location {location:?} is a candidate twice")]
    RepeatedLocation {
        /// Which.
        location: Location,
    },
    /// Not everything can be had. Every other line can; and wanting `available` of these instead (leaving out those at zero) gives a plan.
    #[error("{} lines cannot be had as wanted", lines.len())]
    Short {
        /// By position.
        lines: SmallVec<[Shortage; 2]>,
    },
}

/// Chooses locations for everything wanted, or says what is short and by how much.
///
/// `available` is asked once for each line at each candidate, in no promised order. The answer depends on nothing else, and not on the order of the
/// candidates. Time: lines x candidates, and for [`Rule::FewestParcels`] at most [`SEARCH_STEPS_MAX`] x lines more. Memory: the answer, and 4 B (for
/// `FewestParcels` 8 B) for each line at each candidate while it runs, on the stack for small orders.
///
/// # Errors
/// [`Short`](SourcingRefused::Short) when a line cannot be had; the other variants are mistakes in the request.
///
/// # Example
/// ```
/// use inventory_ledger::{Candidate, Location, Rule, Sku, SourcingRefused, Split, Units, Wanted, source};
///
/// let (ink, paper) = (Sku(1), Sku(2));
/// let (shop, berlin, oslo) = (Location(1), Location(2), Location(3));
/// let available = |sku, location| match (sku, location) {
///     (Sku(1), Location(1)) => Units(1),                 // the shop round the corner: one ink
///     (Sku(1), _) => Units(4),                           // both warehouses have ink
///     (Sku(2), Location(3)) => Units(50),                // only Oslo has paper
///     _ => Units(0),
/// };
/// let candidates = [
///     Candidate { location: shop, priority: 2, distance: 3 },
///     Candidate { location: berlin, priority: 1, distance: 40 },
///     Candidate { location: oslo, priority: 1, distance: 900 },
/// ];
/// let order = [Wanted { sku: ink, quantity: Units(2) }, Wanted { sku: paper, quantity: Units(5) }];
///
/// // The nearest first: one ink from the shop, one from Berlin, the paper from Oslo. Three parcels.
/// let plan = source(&order, &candidates, Rule::Nearest, Split::Allowed, available)?;
/// assert_eq!(plan.parcels().map(|(from, _)| from).collect::<Vec<_>>(), [shop, berlin, oslo]);
///
/// // Oslo has it all.
/// let plan = source(&order, &candidates, Rule::FewestParcels, Split::Allowed, available)?;
/// assert_eq!(plan.parcels().map(|(from, lines)| (from, lines.len())).collect::<Vec<_>>(), [(oslo, 2)]);
/// assert!(plan.is_fewest());
///
/// // Sixty of the paper are nowhere.
/// let order = [Wanted { sku: paper, quantity: Units(60) }];
/// let Err(SourcingRefused::Short { lines }) = source(&order, &candidates, Rule::Priority, Split::Allowed, available) else { panic!() };
/// assert_eq!((lines[0].wanted, lines[0].available), (Units(60), Units(50)));
/// # Ok::<(), SourcingRefused>(())
/// ```
///
/// Source: the rules are those of order routing in commerce platforms (ranked locations, proximity, fewest shipments); the last is the covering
/// problem of integer programming, which `fewest` names.
pub fn source(
    wanted: &[Wanted],
    candidates: &[Candidate],
    rule: Rule,
    split: Split,
    available: impl FnMut(Sku, Location) -> Units,
) -> Result<Plan, SourcingRefused> {
    check_lines(wanted)?;
    let ranked = rank(candidates, rule)?;
    let table = Table::read(wanted, &ranked, split, available)?;
    Ok(match rule {
        Rule::Priority | Rule::Nearest => {
            let every = (0..ranked.len()).collect::<Ranks>();
            let allocations = allocate(wanted, &ranked, &table, &every, Prefer::Rank);
            let fewest = allocations.chunk_by(|one, next| one.location == next.location).nth(1).is_none();
            Plan { allocations, fewest }
        }
        Rule::FewestParcels => {
            let fewest::Chosen { ranks, proven } = fewest::choose(&table);
            Plan { allocations: allocate(wanted, &ranked, &table, &ranks, Prefer::Whole), fewest: proven }
        }
    })
}

/// Positions among the ranked candidates, ascending.
type Ranks = SmallVec<[usize; LOCATIONS_MAX]>;

/// Candidates, the best first by the rule.
type Ranked = SmallVec<[Candidate; LOCATIONS_MAX]>;

/// What each location could give to each line, never more than is wanted: with [`Split::Never`] all or nothing.
struct Table {
    /// By rank, then by line.
    cells: SmallVec<[u32; CELLS_INLINE]>,
    /// By line.
    wanted: SmallVec<[u32; 8]>,
}

impl Table {
    /// Reads every availability once, so that what follows is of one piece even if it moves meanwhile.
    fn read(
        wanted: &[Wanted],
        ranked: &[Candidate],
        split: Split,
        mut available: impl FnMut(Sku, Location) -> Units,
    ) -> Result<Self, SourcingRefused> {
        let mut cells = SmallVec::with_capacity(wanted.len() * ranked.len());
        let mut could = SmallVec::<[u64; 8]>::from_elem(0, wanted.len());
        for candidate in ranked {
            for (line, could) in wanted.iter().zip(&mut could) {
                let there = available(line.sku, candidate.location).0.min(line.quantity.0);
                match split {
                    Split::Allowed => {
                        *could += u64::from(there);
                        cells.push(there);
                    }
                    Split::Never => {
                        *could = u64::from(there).max(*could);
                        cells.push(if there == line.quantity.0 { there } else { 0 });
                    }
                }
            }
        }
        let short = |(line, (want, could)): (usize, (&Wanted, &u64))| {
            let less = u32::try_from(*could).ok().filter(|could| *could < want.quantity.0)?;
            Some(Shortage { line: index(line), sku: want.sku, wanted: want.quantity, available: Units(less) })
        };
        let lines: SmallVec<[Shortage; 2]> = wanted.iter().zip(&could).enumerate().filter_map(short).collect();
        if !lines.is_empty() {
            return Err(SourcingRefused::Short { lines });
        }
        Ok(Self { cells, wanted: wanted.iter().map(|line| line.quantity.0).collect() })
    }

    /// What one location could give, by line.
    fn row(&self, rank: usize) -> &[u32] {
        &self.cells[rank * self.wanted.len()..][..self.wanted.len()]
    }

    fn locations(&self) -> usize {
        self.cells.len() / self.wanted.len()
    }
}

/// What a line looks for in a set of locations.
#[derive(Clone, Copy)]
enum Prefer {
    /// The first that has some.
    Rank,
    /// The first that has it whole, if one has.
    Whole,
}

/// Takes each line from the locations of a set that covers it.
fn allocate(wanted: &[Wanted], ranked: &[Candidate], table: &Table, set: &[usize], prefer: Prefer) -> SmallVec<[Allocation; 4]> {
    let mut missing = table.wanted.clone();
    let mut whole = SmallVec::<[bool; 32]>::from_elem(false, wanted.len()); // comes from one location, further on perhaps
    if matches!(prefer, Prefer::Whole) {
        for &rank in set {
            for ((whole, there), want) in whole.iter_mut().zip(table.row(rank)).zip(&table.wanted) {
                *whole |= there == want;
            }
        }
    }
    let mut allocations = SmallVec::new();
    for &rank in set {
        for (line, &there) in table.row(rank).iter().enumerate() {
            let take = there.min(missing[line]);
            if take == 0 || (whole[line] && there < table.wanted[line]) {
                continue;
            }
            missing[line] -= take;
            let Wanted { sku, .. } = wanted[line];
            allocations.push(Allocation { line: index(line), sku, location: ranked[rank].location, quantity: Units(take) });
        }
    }
    debug_assert!(missing.iter().all(|missing| *missing == 0), "the set covers every line");
    allocations
}

fn check_lines(wanted: &[Wanted]) -> Result<(), SourcingRefused> {
    if wanted.is_empty() {
        return Err(SourcingRefused::Empty);
    }
    if wanted.len() > LINES_MAX {
        return Err(SourcingRefused::TooManyLines { len: wanted.len() });
    }
    if let Some(line) = wanted.iter().position(|line| line.quantity == Units(0)) {
        return Err(SourcingRefused::ZeroQuantity { line: index(line) });
    }
    let mut by_sku: SmallVec<[(Sku, u16); 8]> = wanted.iter().enumerate().map(|(line, want)| (want.sku, index(line))).collect();
    by_sku.sort_unstable();
    match by_sku.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(SourcingRefused::RepeatedSku { first: pair[0].1, second: pair[1].1 }),
        None => Ok(()),
    }
}

fn rank(candidates: &[Candidate], rule: Rule) -> Result<Ranked, SourcingRefused> {
    if candidates.len() > LOCATIONS_MAX {
        return Err(SourcingRefused::TooManyLocations { len: candidates.len() });
    }
    let mut ranked = Ranked::from_slice(candidates);
    ranked.sort_unstable_by_key(|candidate| candidate.location);
    if let Some(pair) = ranked.windows(2).find(|pair| pair[0].location == pair[1].location) {
        return Err(SourcingRefused::RepeatedLocation { location: pair[0].location });
    }
    match rule {
        Rule::Priority | Rule::FewestParcels => ranked.sort_unstable_by_key(|c| (c.priority, c.distance, c.location)),
        Rule::Nearest => ranked.sort_unstable_by_key(|c| (c.distance, c.priority, c.location)),
    }
    Ok(ranked)
}

/// Lines are counted in 16 bits; `LINES_MAX` was checked.
fn index(line: usize) -> u16 {
    debug_assert!(line < LINES_MAX);
    line as u16
}

const _: () = assert!(LINES_MAX <= 1 << 16, "positions of lines fit their type");

//! The history of a run: everything that clients asked for and were told, and a checker that says whether it could be true.
//!
//! Path: clients record an [`Exchange`] for each answer, an [`Order`] for each checkout that became one, a [`Row`] for each row read while nobody
//! writes → [`check`]: `order` (places in the log, real time, the log's own time) → `holds` (what became of each reservation, and whether its
//! answers agree) → `balance` (the units of each row, replayed by place: every figure told must be what was left there).
//! Read first: [`Exchange`], then [`Violation`].
//!
//! Some moves of units have no answer that tells their place: a hold that falls back when its time is over, a checkout over HTTP, a request whose
//! answer a crash took and that is answered when it comes again. For each the checker knows what it moves and a window of places, from real time
//! and the log's time; whatever is told in between must be explained by some of them, and every explanation narrows the windows. A history it
//! refuses is impossible. One it accepts is explained at each answer by itself; that one explanation fits all answers together is not searched.
//! Method: a sequential witness (Herlihy and Wing 1990) given by the log's places instead of searched for, as Jepsen's checkers search it.

mod balance;
mod holds;
mod order;
mod tests;

use wire::Position;

/// Nanoseconds since the run began, of one monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

/// Place of a SKU in the run's list.
pub(crate) type Sku = u32;

/// Units of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: Sku,
    pub(crate) quantity: u32,
}

/// What was asked of the hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Reserve(Body),
    Commit,
    /// Of these units; the rest goes back.
    CommitPart(Vec<Line>),
    /// Until so long from when it arrives, unless it lasts longer anyway. The engine's cap on a hold's life is far beyond what runs ask for.
    Extend {
        ttl_ms: u64,
    },
    Release,
}

impl Ask {
    /// Does it sell?
    fn is_commit(&self) -> bool {
        match self {
            Self::Commit | Self::CommitPart(_) => true,
            Self::Reserve(_) | Self::Extend { .. } | Self::Release => false,
        }
    }
}

/// What a reservation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) ttl_ms: u64,
    /// At least one unit each.
    pub(crate) lines: Vec<Line>,
    /// As much as there is, of each SKU by the order of its lines, as long as it is anything; else all lines or none.
    pub(crate) partial: bool,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reserved {
        told: Told,
        /// It says that it was answered before.
        replayed: bool,
    },
    /// Committed, or released.
    Done,
    /// It lasts until then, by the log's time.
    Extended {
        expires_at: u64,
    },
    Short(Vec<Short>),
    NotFound,
    IdReused,
    /// It cannot be released or extended.
    IsCommitted,
    /// It cannot be committed so: it has less, or was committed otherwise.
    Differs,
}

/// What a successful reservation was told; the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The log's time when it was taken, and its time to live.
    pub(crate) expires_at: u64,
    /// A line each.
    pub(crate) taken: Vec<u32>,
    pub(crate) remaining: Vec<u32>,
}

/// A line that had too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) line: usize,
    pub(crate) sku: Sku,
    /// By all lines of the SKU.
    pub(crate) requested: u32,
    pub(crate) available: u32,
}

/// A request with its answer. Sent as often as it took to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) hold: u128,
    pub(crate) ask: Ask,
    /// When it was sent first.
    pub(crate) first_sent: Moment,
    /// When that was sent which was answered; later than the first if answers were lost.
    pub(crate) sent: Moment,
    pub(crate) answered: Moment,
    /// Where the answered one stands in the log.
    pub(crate) position: Position,
    pub(crate) answer: Answer,
}

impl Exchange {
    /// It was sent before without an answer, so its effect may stand before its place.
    fn had_losses(&self) -> bool {
        self.first_sent < self.sent
    }
}

/// A checkout that became an order: its units were taken at one place somewhere between the two moments, and are sold at the second.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) sent: Moment,
    pub(crate) answered: Moment,
    pub(crate) lines: Vec<Line>,
}

/// A row as it was read at a quiet point: when no request was under way. Holds may fall back meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) asked: Moment,
    pub(crate) sku: Sku,
    pub(crate) available: u32,
    pub(crate) held: u32,
    pub(crate) committed: u32,
}

/// Of one location, from its first unit on.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Units of each SKU before the first request.
    pub(crate) stock: Vec<u32>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) orders: Vec<Order>,
    /// In the order read.
    pub(crate) rows: Vec<Row>,
}

/// Why a history cannot be. Numbers of exchanges are indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An exchange of another log than the first one's.
    OtherLog { exchange: usize },
    /// Two answers name one place.
    SamePlace { exchanges: [usize; 2] },
    /// The first was answered before the second was sent, and stands behind it.
    RealTime { earlier: usize, later: usize },
    /// The log's time went back.
    LogTime { exchange: usize },
    /// One id, taken twice.
    TakenTwice { exchange: usize },
    /// Not what was answered before.
    AnswerChanged { exchange: usize },
    /// A body that is not the one the id stands for, answered as if it were.
    OtherBody { exchange: usize },
    /// It says that it was answered before, and nothing was.
    ReplayOfNothing { exchange: usize },
    /// An answer that disagrees with others on the same hold, or with its time.
    Contradiction { exchange: usize, why: &'static str },
    /// An answer that does not fit its request.
    Malformed { exchange: usize },
    /// No order of what had no place explains what was told of a row.
    Unexplained { at: Source, sku: Sku, told: u32, wanted: i64, open: usize },
    /// Refused, though the lines it does not name are short too.
    NotEnough { exchange: usize, sku: Sku },
    /// A reservation whose first answer was lost fits nowhere.
    Nowhere { exchange: usize },
    /// Units of a row came from nowhere or are gone.
    NotConserved { row: Row, stock: u32 },
    /// More or fewer are sold than buyers were told.
    Sold { row: Row, wanted: u64 },
}

impl Violation {
    /// The exchanges it names.
    pub(crate) fn exchanges(&self) -> Vec<usize> {
        match *self {
            Self::SamePlace { exchanges } => exchanges.to_vec(),
            Self::RealTime { earlier, later } => vec![earlier, later],
            Self::OtherLog { exchange }
            | Self::LogTime { exchange }
            | Self::TakenTwice { exchange }
            | Self::AnswerChanged { exchange }
            | Self::OtherBody { exchange }
            | Self::ReplayOfNothing { exchange }
            | Self::Contradiction { exchange, .. }
            | Self::Malformed { exchange }
            | Self::NotEnough { exchange, .. }
            | Self::Nowhere { exchange }
            | Self::Unexplained { at: Source::Exchange(exchange), .. } => vec![exchange],
            Self::Unexplained { at: Source::Row(_), .. } | Self::NotConserved { .. } | Self::Sold { .. } => Vec::new(),
        }
    }
}

/// What told a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Exchange(usize),
    Row(usize),
}

/// What a history was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) reserved: usize,
    /// Of those, the ones that got less than they asked for.
    pub(crate) cut: usize,
    pub(crate) committed: usize,
    /// Of those, the ones that sold some of their units.
    pub(crate) in_part: usize,
    /// Answers that say so.
    pub(crate) extended: usize,
    pub(crate) released: usize,
    /// Fell back by themselves.
    pub(crate) expired: usize,
    pub(crate) short: usize,
    /// Answers given again.
    pub(crate) replayed: usize,
    /// Exchanges of which at least one answer was lost.
    pub(crate) resent: usize,
    /// Moves whose place no answer tells.
    pub(crate) placeless: usize,
    /// Of those, the ones pinned between two neighbouring answers.
    pub(crate) placed: usize,
    pub(crate) passes: usize,
}

/// Could it be? O(n log n) in exchanges, times the passes.
pub(crate) fn check(history: &History) -> Result<Figures, Violation> {
    let log = order::Log::new(history)?;
    let (moves, mut figures) = holds::moves(history, &log)?;
    balance::check(history, &log, moves, &mut figures)?;
    Ok(figures)
}

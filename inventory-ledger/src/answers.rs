//! What the operations answer: one success and one refusal type for each family.
//!
//! A refusal is an outcome like another: nothing changed, and nothing is wrong with the ledger. It stands on the `Err` side
//! because the ledger does no I/O and so has no other failure to report there.

use smallvec::SmallVec;

use crate::{Full, HoldId, LINES_MAX, Location, Millis, Owner, Row, Sku, UNITS_MAX, Units};

/// `open_row`, `adjust`, `set`, `set_apart`, `put_back` or `write_off` succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moved {
    /// The row as the movement left it (for a replay: as it left it then).
    pub row: Row,
    /// Whether this movement created the row. `open_row` on a row that exists changes nothing and says `false`.
    pub created: bool,
    /// The movement was known: this is its first outcome and nothing moved again.
    pub replayed: bool,
}

/// Why a change of one row moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MoveRefused {
    /// `set` expected another number on hand. Read again and decide again, under a new id.
    #[error("{} on hand, not the number expected", actual.0)]
    Mismatch {
        /// What is on hand; zero if there is no row.
        actual: Units,
    },
    /// More would be taken than is available: the rest is promised, or set apart.
    #[error("only {} are available ({} held, {} committed)", available.0, held.0, committed.0)]
    Committed {
        /// What could be taken.
        available: Units,
        /// Promised to holds.
        held: Units,
        /// Promised to orders.
        committed: Units,
    },
    /// More than [`UNITS_MAX`] would be on hand.
    #[error("{} on hand; a row takes at most {}", on_hand.0, UNITS_MAX.0)]
    Overflow {
        /// What is on hand; zero if there is no row.
        on_hand: Units,
    },
    /// `adjust` without a positive delta, or units set apart or put back, where there is no row.
    #[error("no such SKU at this location")]
    UnknownRow,
    /// More would be put back or written off than is set apart for that reason.
    #[error("only {} are set apart for this reason", apart.0)]
    TooFew {
        /// How many are.
        apart: Units,
    },
    /// The id belongs to a movement with another body. The caller has a bug: an id names one movement.
    #[error("the movement id was used for another movement")]
    IdReused,
    /// A table is full. Unlike every other refusal but `IdReused` this one is not remembered under the id.
    #[error(transparent)]
    Full(#[from] Full),
}

/// `restock` succeeded: units went from committed back to available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Restocked {
    /// Units returned by this movement, over all lines.
    pub units: u64,
    /// Units of the hold that stay committed.
    pub left: u64,
    /// Units that the hold is owed still; when both are zero it has ended.
    pub owed: u64,
    /// The movement was known: this is its first outcome and nothing moved again.
    pub replayed: bool,
}

/// Why `restock` moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RestockRefused {
    /// No such hold is known.
    #[error("no such hold")]
    Unknown,
    /// The hold has no committed units: it is not committed, or all of them were restocked, or it was forgotten.
    #[error("the hold has nothing to restock: it is {state:?}")]
    NotCommitted {
        /// Where it stands.
        state: HoldState,
    },
    /// The lines of one row ask for more than this hold still has committed there.
    #[error("line {index} wants {} back where {} are left", requested.0, left.0)]
    TooMany {
        /// The first such line.
        index: u16,
        /// Wanted by all lines of that row together; saturates at `u32::MAX`.
        requested: Units,
        /// Committed under this hold in that row, and not restocked.
        left: Units,
    },
    /// The lines are no basket at all. Not remembered.
    #[error(transparent)]
    Malformed(#[from] BadLines),
    /// The id belongs to a movement with another body.
    #[error("the movement id was used for another movement")]
    IdReused,
    /// The movement cannot be remembered; not remembered, so it may be sent again.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Room for the usual basket without the heap; longer answers, up to [`LINES_MAX`], are allocated.
pub type PerLine<T> = SmallVec<[T; 4]>;

/// `hold` succeeded: stock is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// From this instant on the hold counts as expired, unless pinned, extended or ended before.
    pub expires_at: Millis,
    /// What each line got, in the order asked.
    pub lines: PerLine<Taken>,
    /// The hold was known: this is its first answer. It may have been extended or have ended since; `pin` tells.
    pub replayed: bool,
}

/// What one line of a hold got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Taken {
    /// Set aside: all that was asked, or, of a partial hold, perhaps less and perhaps nothing.
    pub taken: Units,
    /// Left available in its row after the whole hold was taken; zero if there is no such row.
    pub remaining: Units,
    /// Promised beyond what was taken: [`fill`](crate::Ledger::fill) gives them when they are here.
    pub backordered: Units,
}

/// Why `hold` set nothing aside. Not remembered: the same hold may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldRefused {
    /// More than one order, or this customer, may have of a SKU.
    #[error("line {index} wants {} where {} more are allowed", requested.0, allowed.0)]
    OverLimit {
        /// The first line of that SKU.
        index: u16,
        /// Wanted by all lines of that SKU together; saturates at `u32::MAX`.
        requested: Units,
        /// How many would be allowed.
        allowed: Units,
    },
    /// Some rows have too little. Every line of every such row is listed, in the order asked.
    #[error("{} lines are short", lines.len())]
    Short {
        /// At least one.
        lines: PerLine<ShortLine>,
    },
    /// Some rows have too little, and each of them would have enough if the holds in doubt gave back theirs: try again when those
    /// are settled.
    #[error("{} lines are short while other holds are in doubt", lines.len())]
    Contended {
        /// At least one, as of `Short`.
        lines: PerLine<ShortLine>,
    },
    /// The hold was released before it came; its sender gave up long ago.
    #[error("the hold was released before it was made")]
    Tombstoned,
    /// The id belongs to a hold with another body: see [`HoldRequest`](crate::HoldRequest). The caller has a bug.
    #[error("the hold id was used for another hold")]
    IdReused,
    /// The timed id is older than [`Limits::id_window_ms`](crate::Limits::id_window_ms). It was not run now; whether it was run
    /// before is for its owner's records to say.
    #[error("the hold id is too old")]
    TooOld,
    /// The timed id is ahead of the ledger's time by more than [`ID_SKEW_MS_MAX`](crate::ID_SKEW_MS_MAX).
    #[error("the hold id is of a time to come")]
    TooNew,
    /// It would last longer than [`Limits::hold_life_ms_max`](crate::Limits::hold_life_ms_max).
    #[error("a hold lasts at most {max_ms} ms")]
    TooLong {
        /// The limit.
        max_ms: u32,
    },
    /// The lines are no basket at all. Not remembered.
    #[error(transparent)]
    Malformed(#[from] BadLines),
    /// The table of holds is full.
    #[error(transparent)]
    Full(#[from] Full),
}

/// What is wrong with a list of lines, whatever the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadLines {
    /// No line.
    #[error("no line")]
    Empty,
    /// More than [`LINES_MAX`] lines.
    #[error("{len} lines; at most {LINES_MAX}")]
    TooMany {
        /// How many.
        len: usize,
    },
    /// A line for nothing.
    #[error("line {index} has quantity zero")]
    ZeroQuantity {
        /// The first such line.
        index: u16,
    },
}

/// A line whose row has too little for the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortLine {
    /// Position among the lines asked.
    pub index: u16,
    /// Wanted by all lines of that row together; saturates at `u32::MAX`.
    pub requested: Units,
    /// What could be had: available and not owed to others, and what the row may come to owe; zero if there is no such row.
    pub available: Units,
}

/// `pin` succeeded: the hold no longer expires, and is in doubt no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// It was pinned before.
    pub replayed: bool,
}

/// Why `pin`, `settle` or `extend` did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PinRefused {
    /// No such hold is known.
    #[error("no such hold")]
    Unknown,
    /// Its time is over, whether or not [`expire`](crate::Ledger::expire) has come to it.
    #[error("the hold has expired")]
    Expired,
    /// It was released, perhaps before it came.
    #[error("the hold was released")]
    Released,
    /// It was committed, and whatever followed.
    #[error("the hold was committed")]
    Committed,
}

/// `settle` succeeded: the hold is in doubt no longer. It still expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// It was not in doubt.
    pub replayed: bool,
}

/// `extend` succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// When the hold expires; `None` if it is pinned and so does not.
    pub expires_at: Option<Millis>,
    /// It would have been later but for [`Limits::hold_life_ms_max`](crate::Limits::hold_life_ms_max): no extension changes it more.
    pub capped: bool,
}

/// `commit` or `commit_part` succeeded: the units are promised for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// It was committed before (and perhaps restocked or forgotten since); nothing moved again.
    pub replayed: bool,
}

/// Why `commit` or `commit_part` did not commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CommitRefused {
    /// No such hold is known.
    #[error("no such hold")]
    Unknown,
    /// Its time is over, whether or not [`expire`](crate::Ledger::expire) has come to it.
    #[error("the hold has expired")]
    Expired,
    /// It was released, perhaps before it came.
    #[error("the hold was released")]
    Released,
    /// It is committed, but by other lines (or whole, where lines are given, or the reverse).
    #[error("the hold was committed otherwise")]
    Differs,
    /// The lines of one row ask for more than this hold has there.
    #[error("line {index} commits {} where {} are held", requested.0, held.0)]
    TooMany {
        /// The first such line.
        index: u16,
        /// Wanted by all lines of that row together; saturates at `u32::MAX`.
        requested: Units,
        /// Held under this hold in that row.
        held: Units,
    },
    /// The lines are no basket at all.
    #[error(transparent)]
    Malformed(#[from] BadLines),
}

/// `release` succeeded: nothing is held under this id, and nothing will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The units are available again.
    Returned {
        /// It was released before; nothing moved again.
        replayed: bool,
    },
    /// The hold had expired; its units are available again too.
    Expired,
    /// No such hold was known. A tombstone refuses it, should it still come.
    Tombstoned {
        /// The tombstone stood already; it is not renewed.
        replayed: bool,
    },
    /// No such hold is known, and its timed id is too old to be run: no tombstone is needed.
    TooOld,
}

/// Why `release` did not release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReleaseRefused {
    /// It was committed: return the units with [`restock`](crate::Ledger::restock).
    #[error("the hold was committed; restock it")]
    Committed,
    /// The timed id is unknown and of a time to come, so that a tombstone would have to stand too long.
    #[error("the hold id is of a time to come")]
    TooNew,
    /// The id is unknown and no tombstone can be set: sweep and send it again.
    #[error(transparent)]
    Full(#[from] Full),
}

/// `forget` succeeded: the hold's units stay committed, and no restock under this hold returns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// It was forgotten, or fully restocked, before.
    pub replayed: bool,
}

/// Why `forget` did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ForgetRefused {
    /// No such hold is known.
    #[error("no such hold")]
    Unknown,
    /// The hold was never committed: it is open, or ended otherwise and is swept in time.
    #[error("the hold is {state:?}, not committed")]
    NotCommitted {
        /// Where it stands.
        state: HoldState,
    },
}

/// Where a hold stands.
///
/// `Held → Pinned → Committed → Restocked | Forgotten`, `Held | Pinned → Released`, `Held → Expired`, `Held → Committed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldState {
    /// Set aside for a time. At and after `expires_at` it counts as expired, though its units come back only with
    /// [`expire`](crate::Ledger::expire) or a release.
    Held {
        /// When that is.
        expires_at: Millis,
    },
    /// Set aside until committed or released.
    Pinned,
    /// Promised to an order.
    Committed,
    /// Committed, and every unit returned since.
    Restocked,
    /// Committed, and out of reach of restocks.
    Forgotten,
    /// Given back.
    Released,
    /// Fell back when its time was over.
    Expired,
    /// Released before it came.
    Tombstoned,
}

/// What an open hold (held or pinned) keeps of one SKU at one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// Which hold.
    pub id: HoldId,
    /// For whom.
    pub owner: Owner,
    /// Where.
    pub location: Location,
    /// Over all lines of that row.
    pub quantity: Units,
    /// [`HoldState::Held`] or [`HoldState::Pinned`].
    pub state: HoldState,
}

/// What one `expire` step ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// In order of expiry. Among those of one millisecond the order follows from the calls made until then, and from nothing else;
    /// a restored ledger keeps it.
    pub ids: Vec<HoldId>,
    /// Others may be due: call again. The step may also have spent itself on the wheel, so `ids` can be empty.
    pub more: bool,
}

/// What one `fill` step gave to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// In the order in which they were given.
    pub lines: Vec<FilledLine>,
    /// Other rows owe units and have some: call again.
    pub more: bool,
}

/// Units given to a backordered line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilledLine {
    /// Whose.
    pub hold: HoldId,
    /// For whom.
    pub owner: Owner,
    /// Position among the hold's lines.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many.
    pub units: Units,
    /// How many the line is owed still.
    pub left: Units,
}

/// What one `sweep` step forgot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ended holds.
    pub holds: usize,
    /// Tombstones.
    pub tombstones: usize,
    /// Movements.
    pub movements: usize,
    /// Others are old enough: call again.
    pub more: bool,
}

/// The first thing found wrong by [`check`](crate::Ledger::check): a bug in this crate or damaged memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A column of a row is not what the holds or movements add up to.
    #[error("{sku:?} at {location:?}: {column} is {found}, the books say {wanted}")]
    Column {
        /// Which row.
        sku: Sku,
        /// Which row.
        location: Location,
        /// Its name.
        column: &'static str,
        /// In the row.
        found: u64,
        /// From the holds (`held`, `committed`), the movements (`on_hand`) or the reasons (`unavailable`).
        wanted: u64,
    },
    /// Over all rows of a SKU, what shipments brought and took, with what is in transit and what was lost, is not zero.
    #[error("{sku:?}: shipments leave {units} units unaccounted for")]
    Carried {
        /// Which SKU.
        sku: Sku,
        /// The sum.
        units: i128,
    },
    /// What counts for customers is not what their holds have.
    #[error("units are counted for customers that their holds do not have")]
    Purchases,
    /// A queue of backordered lines does not have each line that is owed units, or has others.
    #[error("the queues of backordered lines are not whole")]
    Backorders,
    /// A row is not found under its own key.
    #[error("{sku:?} at {location:?} is not found by its key")]
    Unindexed {
        /// Which row.
        sku: Sku,
        /// Which row.
        location: Location,
    },
    /// The index of rows does not have every row once, or a location is not listed.
    #[error("the index of rows is not whole")]
    RowIndex,
    /// A hold is missing from an order it must be in (to expire, to be swept), or is not found by its id.
    #[error("{id:?} is in the wrong list for its state")]
    Hold {
        /// Which hold.
        id: HoldId,
    },
    /// The holds known, those found by an id, and those in the slab do not agree.
    #[error("{known} holds are known, {indexed} indexed, {live} of them live")]
    Places {
        /// Live and remembered.
        known: usize,
        /// Found by an id.
        indexed: usize,
        /// In the slab.
        live: usize,
    },
    /// The units in doubt are not those of the holds in doubt.
    #[error("{holds} holds are in doubt and {counted} are counted, or their units differ")]
    InDoubt {
        /// By their records.
        holds: u32,
        /// By the counter.
        counted: u32,
    },
}

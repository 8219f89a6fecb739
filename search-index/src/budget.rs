//! How much work a query may make: no text, however it is made up, keeps a core from everybody else for long.
//!
//! Path: [`Query::budget`](crate::Query::budget) → [`Meter`], one a search → whatever reads lists, dictionaries, rows or texts asks it before each stretch of work and
//! tells it what that was → where the budget is used up, the search answers what it has found until then, and says so:
//! [`Results::partial`](crate::Results::partial).
//! Work is counted, not timed: the same query over the same index makes the same work on every machine and answers the same. How an index is laid out (segments,
//! merges, the order of writes) changes what the work is, so an answer that is cut short may differ between two indexes of the same documents. One that is not never
//! does.
//!
//! What comes early may use a part of the budget only ([`Stage`]), so that something is left to find documents with: a search that learnt little about its words still
//! answers. What a stage leaves goes to those behind it.

use std::cell::Cell;

/// An amount of work.
///
/// A unit is what it takes to read a posting and add it up: about a nanosecond of a core of 2024. Everything else is counted as so many of these: a row looked up
/// in a list 8, a form of a dictionary 60, a step of the automaton that finds slips 40, a word of a text some 10, an entry of a facet 2, a value of one that is answered 60,
/// a row that the liveness function is asked about 50.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub u64);

impl Units {
    /// Whatever it takes.
    pub const UNLIMITED: Self = Self(u64::MAX);
}

/// What a query may make each index do unless it says otherwise: 50 to 100 milliseconds of a core.
///
/// Over a million products shoppers' queries make some hundred thousand units, and the heaviest of them 8 million; with six facets and a total 40 million, where many are
/// in stock or out of it to be asked about.
pub const BUDGET: Units = Units(100_000_000);

/// A search may make so much more than its budget: what is under way when that is used up is brought to its end. That is a window of 4,096 rows in all lists of the query,
/// or a chunk of 65,536 rows of one list; and beside these some units for every 64 rows of the index and for every value of a facet that is wanted.
pub const OVERSHOOT: Units = Units(4_000_000);

/// What things cost, in units.
pub(crate) mod cost {
    /// A row looked up in a list, where rows are asked for in order.
    pub(crate) const LOOK_UP: u64 = 8;
    /// A row looked up in a list from scratch.
    pub(crate) const FIND: u64 = 60;
    /// A list in a window, or in a chunk.
    pub(crate) const LANE: u64 = 12;
    /// A term found in a dictionary.
    pub(crate) const TERM: u64 = 200;
    /// The next form of a dictionary.
    pub(crate) const FORM: u64 = 60;
    /// A word brought to its stem.
    pub(crate) const STEM: u64 = 300;
    /// A byte read by the automaton of slips.
    pub(crate) const STEP: u64 = 40;
    /// A document's sheet found, and each byte of it: about half a word.
    pub(crate) const SHEET: u64 = 150;
    pub(crate) const SHEET_BYTE: u64 = 5;
    /// A column of a row read, or an entry of an attribute.
    pub(crate) const COLUMN: u64 = 2;
    /// A row put in its place in an order.
    pub(crate) const PLACE: u64 = 5;
    /// A test of a filter that is asked row by row, and so many of its values.
    pub(crate) const TEST: u64 = 10;
    pub(crate) const TEST_VALUES: u64 = 4;
    /// The caller's liveness function.
    pub(crate) const ASKED: u64 = 50;
    /// A value of a facet, with its name.
    pub(crate) const VALUE: u64 = 60;
    /// A category that is called as the query says, in a window.
    pub(crate) const CALLED: u64 = 50;
    /// A byte of a text that is looked through for words to mark.
    pub(crate) const TEXT_BYTE: u64 = 40;
}

/// What a search does, in this order; each may use the budget up to a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What the words stand for: slips, spellings.
    Words,
    /// Where quotations, forbidden words and synonyms of several words stand.
    Phrases,
    /// One list a word, of all that it stands for.
    Lists,
    /// All matches, and which of them pass the filters.
    Sets,
    /// The best of them, facets, and why they are the best.
    Answer,
}

/// Fifths of the budget behind which a stage does no more.
fn fifths(stage: Stage) -> u64 {
    match stage {
        Stage::Words => 1,
        Stage::Phrases => 2,
        Stage::Lists => 3,
        Stage::Sets => 4,
        Stage::Answer => 5,
    }
}

/// What one search has done, and whether it may go on.
pub(crate) struct Meter {
    budget: u64,
    /// Where the stage at hand ends.
    ceiling: Cell<u64>,
    spent: Cell<u64>,
    /// Whether anything was left undone.
    cut: Cell<bool>,
}

impl Meter {
    /// At its last stage.
    pub(crate) fn new(budget: Units) -> Self {
        Self { budget: budget.0, ceiling: Cell::new(budget.0), spent: Cell::new(0), cut: Cell::new(false) }
    }

    pub(crate) fn unlimited() -> Self {
        Self::new(Units::UNLIMITED)
    }

    /// Goes over to a stage.
    pub(crate) fn begin(&self, stage: Stage) {
        let ceiling = if stage == Stage::Answer { self.budget } else { self.budget / 5 * fifths(stage) };
        self.ceiling.set(ceiling);
    }

    /// Counts work that was done or is about to be. A few instructions, and none that waits for memory: asked for every stretch of work, not for every posting.
    pub(crate) fn charge(&self, units: u64) {
        self.spent.set(self.spent.get().saturating_add(units));
    }

    /// Whether there is anything left for the stage at hand.
    pub(crate) fn is_out(&self) -> bool {
        self.spent.get() >= self.ceiling.get()
    }

    /// Asked by whoever has more to do, and leaves it undone if not.
    #[must_use]
    pub(crate) fn may_go_on(&self) -> bool {
        let may = !self.is_out();
        if !may {
            self.cut.set(true);
        }
        may
    }

    /// As [`Meter::may_go_on`], and counts what it is asked for if so.
    #[must_use]
    pub(crate) fn may_spend(&self, units: u64) -> bool {
        let may = self.may_go_on();
        if may {
            self.charge(units);
        }
        may
    }

    /// Left for the stage at hand.
    pub(crate) fn left(&self) -> u64 {
        self.ceiling.get().saturating_sub(self.spent.get())
    }

    /// Work was left undone.
    pub(crate) fn cut(&self) {
        self.cut.set(true);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    pub(crate) fn spent(&self) -> Units {
        Units(self.spent.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_ends_where_its_part_of_the_budget_does() {
        let meter = Meter::new(Units(50));
        meter.begin(Stage::Words);
        assert!(meter.may_spend(9) && meter.may_spend(9), "what is under way comes to its end");
        assert!(!meter.is_cut() && meter.is_out());
        assert!(!meter.may_go_on() && meter.is_cut());
        meter.begin(Stage::Phrases);
        assert_eq!((meter.left(), meter.may_go_on(), meter.is_cut()), (2, true, true));
        meter.begin(Stage::Answer);
        assert_eq!((meter.left(), meter.spent()), (32, Units(18)));
    }

    #[test]
    fn nothing_and_everything() {
        let meter = Meter::new(Units(0));
        assert!(!meter.may_go_on());
        let meter = Meter::unlimited();
        for stage in [Stage::Words, Stage::Phrases, Stage::Lists, Stage::Sets, Stage::Answer] {
            meter.begin(stage);
            assert!(meter.may_spend(u64::MAX / 10));
        }
        assert!(!meter.is_cut());
    }
}

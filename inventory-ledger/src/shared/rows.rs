//! A row that many threads change: what is available, with a count of its changes, in one word.
//!
//! Path: `take` (compare-and-swap, where enough is there) or `put` (one addition) on the word; the other columns are counters
//! beside it. `held` is no column: it is what is on hand and in no other, so a hold of one row costs one atomic operation.
//! Read first: `SharedRow`. Orderings: `ORDERINGS.md`.

use crate::index::{KeyCell, Keyed, RowKey};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::{Row, UNITS_MAX, Units};

/// The count of changes is the word's high half: any two changes of a row within 2³² of each other leave different words.
const ONE_CHANGE: u64 = 1 << 32;

/// Looks for a view in which `available` stood still, before it is given as it is.
const VIEWS_MAX: u32 = 8;

/// One row, one cache line.
#[repr(align(64))]
#[derive(Default)]
pub(super) struct SharedRow {
    /// `available` low, changes high.
    word: AtomicU64,
    pub(super) key: KeyCell,
    next: AtomicU32,
    on_hand: AtomicU32,
    committed: AtomicU32,
    unavailable: AtomicU32,
}

/// A row's word as it was read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) fn available(self) -> Units {
        Units(self.0 as u32)
    }
}

/// A column beside the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    OnHand,
    Committed,
    Unavailable,
}

impl SharedRow {
    /// Takes units from `available` if that many are there, and says what it left. `guess` is what the word may be: it saves
    /// the look before. `None` is a first impression only: the caller looks again before it calls the row short.
    #[inline]
    pub(super) fn take(&self, units: Units, guess: Option<Word>) -> Option<Word> {
        let seen = || Word(self.word.load(Ordering::Relaxed));
        let mut word = guess.filter(|guess| guess.available() >= units).unwrap_or_else(seen);
        loop {
            let left = word.available().0.checked_sub(units.0)?;
            let next = (word.0 & !(ONE_CHANGE - 1)).wrapping_add(ONE_CHANGE) | u64::from(left);
            // Release: who sees the units gone sees this attempt published. Acquire: links the row's changes into one chain.
            match self.word.compare_exchange_weak(word.0, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Word(next)),
                Err(found) => word = Word(found),
            }
        }
    }

    /// Puts units into `available`, and says what it left. No check: they came from this row, or `admit` counted them, so at
    /// most [`UNITS_MAX`] result and nothing carries into the changes.
    #[inline]
    pub(super) fn put(&self, units: Units) -> Word {
        let change = ONE_CHANGE | u64::from(units.0);
        Word(self.word.fetch_add(change, Ordering::AcqRel).wrapping_add(change))
    }

    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    pub(super) fn available(&self) -> Units {
        self.word().available()
    }

    /// Adds to a counter beside the word.
    ///
    /// # Panics
    /// If it would pass [`UNITS_MAX`]: units only come from another column, so that is a bug here.
    #[inline]
    pub(super) fn add(&self, counter: Counter, units: Units) {
        let before = self.counter(counter).fetch_add(units.0, Ordering::Relaxed);
        assert!(u64::from(before) + u64::from(units.0) <= u64::from(UNITS_MAX.0), "{counter:?} has {before} and gets {units:?}");
    }

    /// Takes from a counter beside the word, or says how few it has. Says what is left.
    pub(super) fn subtract(&self, counter: Counter, units: Units) -> Result<Units, Units> {
        let take = |there: u32| there.checked_sub(units.0);
        self.counter(counter).fetch_update(Ordering::AcqRel, Ordering::Acquire, take).map(|before| Units(before - units.0)).map_err(Units)
    }

    /// Counts units as on hand, or says how many are, if it would be more than [`UNITS_MAX`].
    pub(super) fn admit(&self, units: Units) -> Result<(), Units> {
        let admit = |on_hand: u32| on_hand.checked_add(units.0).filter(|&sum| sum <= UNITS_MAX.0);
        self.on_hand.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit).map(drop).map_err(Units)
    }

    pub(super) fn count(&self, counter: Counter) -> Units {
        Units(self.counter(counter).load(Ordering::Acquire))
    }

    pub(super) fn view(&self) -> Row {
        let mut tries = 0;
        loop {
            let word = self.word();
            let [on_hand, committed, unavailable] = [Counter::OnHand, Counter::Committed, Counter::Unavailable].map(|of| self.count(of));
            tries += 1;
            if self.word() == word || tries == VIEWS_MAX {
                let available = word.available();
                let elsewhere = u64::from(available.0) + u64::from(committed.0) + u64::from(unavailable.0);
                // Columns of different instants may exceed what was on hand at another.
                let held = Units(u64::from(on_hand.0).saturating_sub(elsewhere) as u32);
                return Row { available, held, committed, unavailable, ..Row::default() };
            }
        }
    }

    fn counter(&self, counter: Counter) -> &AtomicU32 {
        match counter {
            Counter::OnHand => &self.on_hand,
            Counter::Committed => &self.committed,
            Counter::Unavailable => &self.unavailable,
        }
    }
}

impl Keyed for SharedRow {
    #[inline]
    fn key(&self) -> RowKey {
        self.key.get()
    }
    #[inline]
    fn next(&self) -> &AtomicU32 {
        &self.next
    }
}

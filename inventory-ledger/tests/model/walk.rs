//! Snapshots in steps, beside whatever else happens: each must be the state at the instant at which it began.

use inventory_ledger::*;

use crate::ops::LIMITS;

/// What is done about snapshots between two operations.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Nothing,
    /// Begins one, unless one is under way.
    Freeze,
    /// Takes about so many items.
    Take(usize),
    /// Gives up.
    Thaw,
}

impl Act {
    /// Mostly steps, of all sizes; few are given up.
    pub(crate) fn of_byte(byte: u8) -> Self {
        match byte {
            0..64 => Self::Nothing,
            64..128 => Self::Freeze,
            some @ 128..250 => Self::Take(usize::from(some) % 12),
            250..253 => Self::Take(1_000),
            253.. => Self::Thaw,
        }
    }
}

/// The snapshot that is under way, if one is.
#[derive(Default)]
pub(crate) struct Walk {
    /// The digest, and all that `save` gave, at its beginning.
    begun: Option<(u64, Vec<Saved>)>,
    got: Vec<Saved>,
}

/// A ledger from these items.
pub(crate) fn restored(items: impl IntoIterator<Item = Saved>, seed: u64) -> Ledger {
    let mut restore = Restore::with_seed(LIMITS, seed);
    items.into_iter().for_each(|item| restore.put(item).expect("what was saved can be restored"));
    restore.finish().expect("what was saved agrees")
}

impl Walk {
    /// One step. At the end of a snapshot: the ledger that it restores to, and the one that a plain `save` at its beginning restores to.
    pub(crate) fn step(&mut self, ledger: &mut Ledger, act: Act) -> Option<(Ledger, Ledger)> {
        assert_eq!(ledger.is_frozen(), self.begun.is_some());
        match act {
            Act::Nothing => None,
            Act::Freeze => {
                if self.begun.is_none() {
                    self.begun = Some((ledger.digest(), ledger.save().collect()));
                    ledger.freeze();
                }
                None
            }
            Act::Take(max_items) => {
                let before = self.got.len();
                let more = ledger.frozen(max_items, &mut |item| self.got.push(item));
                assert!(self.got.len() - before <= max_items.max(1));
                if more { None } else { self.end(ledger) }
            }
            Act::Thaw => {
                *self = Self::default();
                ledger.thaw();
                None
            }
        }
    }

    fn end(&mut self, ledger: &mut Ledger) -> Option<(Ledger, Ledger)> {
        let Self { begun, got } = std::mem::take(self);
        let Some((digest, saved)) = begun else {
            assert!(got.is_empty(), "nothing comes of no snapshot");
            return None;
        };
        assert!(!ledger.is_frozen());
        assert_eq!(ledger.footprint().frozen, 0);
        assert_eq!(got, saved, "the items of the beginning, in their order");
        let (walked, plain) = (restored(got, 5), restored(saved, 6));
        assert_eq!((walked.digest(), plain.digest()), (digest, digest));
        Some((walked, plain))
    }

    /// Takes the rest, if a snapshot is under way.
    pub(crate) fn finish(&mut self, ledger: &mut Ledger) -> Option<(Ledger, Ledger)> {
        while self.begun.is_some() {
            if let Some(ended) = self.step(ledger, Act::Take(3)) {
                return Some(ended);
            }
        }
        None
    }
}

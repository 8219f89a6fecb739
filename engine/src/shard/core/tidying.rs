//! The index is tidied while it is written, and joined to few segments once it is not.
//!
//! Path: a text written (`deliver.rs`) → [`Tidying::written`] → at each tick some steps of [`State::tidy_index`] → tidy → at rest, its last segments joined → done; in between what is
//! tidy is saved (`index_files.rs`).
//! Bounds: [`INDEX_STEPS_MAX`] steps of [`INDEX_STEP`] postings a tick.

use super::{files::Asker, state::State};
use crate::shard::Output;

/// Postings the index moves in a step, some 20 microseconds, for which a request may have to wait.
const INDEX_STEP: usize = 300;
/// After so long without a write the index is at rest, and its last segments are joined. A shop that is written all the time never is, and keeps more of them.
const INDEX_REST_MS: u64 = 1_000;
/// Steps at one tick: more than one where products are written faster than that, as by an import, so that the parts to search through do not grow in number.
const INDEX_STEPS_MAX: usize = 12;

/// What there is to tidy in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tidying {
    /// It was written, and may have segments to seal or merge; a little of it at each tick.
    Written { rests_us: u64 },
    /// It has none, and is left alone until then, monotonic microseconds; from then on its last segments are joined.
    Tidy { rests_us: u64 },
    /// They are.
    Done,
}

impl Tidying {
    /// Of an index that was written now.
    pub(crate) fn written(now_us: u64) -> Self {
        Self::Written { rests_us: now_us.saturating_add(INDEX_REST_MS * 1_000) }
    }
}

impl State {
    /// Tidies the index for a moment, or saves some of it. Answers do not depend on either, only their speed and that of the next start.
    pub(crate) fn tidy_index(&mut self) {
        let now_us = self.now.mono_us;
        match self.tidying {
            Tidying::Written { rests_us } => {
                let mut more = true;
                for _ in 0..self.index.backlog().clamp(1, INDEX_STEPS_MAX) {
                    more = self.index.maintain(INDEX_STEP);
                }
                if !more {
                    self.tidied(Tidying::Tidy { rests_us });
                }
            }
            Tidying::Tidy { rests_us } if rests_us <= now_us && !self.draining => {
                if !self.index.consolidate(INDEX_STEP) {
                    self.tidied(Tidying::Done);
                }
            }
            Tidying::Tidy { .. } | Tidying::Done => {
                if self.files.has_room()
                    && let Some(steps) = self.index_files.step(&self.index, now_us)
                {
                    let job = self.files.give(Asker::Index, steps);
                    self.outputs.push_back(Output::Files(job));
                }
            }
        }
    }

    fn tidied(&mut self, tidying: Tidying) {
        self.tidying = tidying;
        if !self.draining {
            self.index_files.index_changed();
        }
    }

    /// When [`State::tidy_index`] has something to do.
    pub(crate) fn next_tidying(&self) -> Option<u64> {
        let now = self.now.mono_us;
        let files = self.index_files.next_wake(now).filter(|_| self.files.has_room());
        match self.tidying {
            Tidying::Written { .. } => Some(now),
            Tidying::Tidy { rests_us } if !self.draining => Some(files.map_or(rests_us, |files| files.min(rests_us))),
            Tidying::Tidy { .. } | Tidying::Done => files,
        }
    }
}

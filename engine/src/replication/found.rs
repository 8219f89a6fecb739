//! What a start finds of a group in the logs.
//!
//! Path: a snapshot's place → [`Found::above`] → every [`Said`] of the logs, in their order → entries that are committed, to be applied → [`Found::end`]: the [`Tail`] from
//! which a [`Group`](super::group::Group) goes on.
//! A log of one node alone has no members: what is in it is committed, and needs no tail. Once members were named, only what is known to be committed is
//! applied; the rest waits in the tail for what the leader says. A change of members is applied only when its members are named behind it: else the group,
//! which begins with the members that were named last, would miss it.
//! Bound: [`TAIL_BYTES`] of what is applied; what is not is bounded by what leaders may have under way.

use super::{HardState, LogEntry, Membership, Place, change::Change, tail::Tail};
use crate::log::EntryVariant;
use bytes::Bytes;
use wire::Millis;

/// Bytes of applied entries of a group that are kept for followers that are a little behind.
pub(crate) const TAIL_BYTES: usize = 256 * 1024;

/// What a log says of a partition.
#[derive(Clone, Debug)]
pub(crate) enum Said<'a> {
    /// The next entry.
    Entry { variant: EntryVariant, term: u64, index: u64, time: Millis, body: &'a [u8] },
    /// Entries from this index on are void.
    VoidFrom {
        /// Of the leader that says so.
        term: u64,
        index: u64,
    },
    /// Term, vote, and up to which index entries are committed.
    Hard(HardState),
    /// The members of its group, from this index on.
    Members(u64, Membership),
}

/// A log contradicts itself: the program that wrote it had a fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoundError<E> {
    /// What was committed is made void.
    #[error("entry {index} was committed, and is made void later")]
    Void {
        /// Which.
        index: u64,
    },
    /// A change of members does not read.
    #[error(transparent)]
    Change(#[from] super::change::NoChange),
    /// One node alone does not change members.
    #[error("a change of members in the log of one node alone")]
    Alone,
    /// An entry cannot be applied.
    #[error(transparent)]
    Apply(E),
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Of the last entry that is applied.
    applied: Place,
    hard: HardState,
    tail: Option<Tail>,
}

impl Found {
    /// Begins with a snapshot that has everything up to there.
    pub(crate) fn above(snapshot: Place) -> Self {
        Self { applied: snapshot, ..Self::default() }
    }

    /// Where the last entry stands that is applied.
    pub(crate) fn applied(&self) -> Place {
        self.applied
    }

    /// Were members of the group named? A node that joins says of itself that it knows of none.
    pub(crate) fn has_members(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| !tail.membership().voters.is_empty())
    }

    /// Takes the next word of the logs. `apply` gets each command that is committed, in order, with its index.
    ///
    /// # Errors
    /// When the log contradicts itself, or `apply` says so.
    pub(crate) fn take<E>(
        &mut self,
        said: Said<'_>,
        mut apply: impl FnMut(u64, Millis, &[u8]) -> Result<(), E>,
    ) -> Result<(), FoundError<E>> {
        match said {
            Said::Entry { variant, term, index, time, body } => match &mut self.tail {
                None if variant != EntryVariant::Command => return Err(FoundError::Alone),
                None => {
                    self.applied = Place { term, index };
                    return if body.is_empty() { Ok(()) } else { apply(index, time, body).map_err(FoundError::Apply) };
                }
                Some(tail) => {
                    if variant != EntryVariant::Command {
                        Change::decode(body)?;
                    }
                    tail.append(&LogEntry { term, index, variant, time, body: Bytes::copy_from_slice(body) });
                }
            },
            Said::VoidFrom { term: _, index } => {
                if index <= self.applied.index {
                    return Err(FoundError::Void { index });
                }
                if let Some(tail) = &mut self.tail {
                    tail.void_from(index);
                }
            }
            Said::Hard(hard) => {
                self.hard = HardState { commit: hard.commit.max(self.hard.commit), ..hard };
            }
            Said::Members(index, membership) => {
                let applied = self.applied;
                let tail = self.tail.get_or_insert_with(|| Tail::new(applied, HardState::default(), membership.clone()));
                tail.set_membership(index.max(tail.start().index), membership);
                // They held because everything up to there was committed.
                self.hard.commit = self.hard.commit.max(index);
            }
        }
        self.advance(apply)
    }

    fn advance<E>(&mut self, mut apply: impl FnMut(u64, Millis, &[u8]) -> Result<(), E>) -> Result<(), FoundError<E>> {
        let Some(tail) = &mut self.tail else { return Ok(()) };
        while self.applied.index < self.hard.commit
            && let Some(entry) = tail.entry(self.applied.index + 1)
        {
            match entry.variant {
                EntryVariant::Command if entry.body.is_empty() => {}
                EntryVariant::Command => apply(entry.index, entry.time, &entry.body).map_err(FoundError::Apply)?,
                EntryVariant::MemberChange | EntryVariant::JointChange if tail.membership_index() < entry.index => break,
                EntryVariant::MemberChange | EntryVariant::JointChange => {}
            }
            self.applied = Place { term: entry.term, index: entry.index };
        }
        tail.trim(self.applied.index, TAIL_BYTES);
        Ok(())
    }

    /// The log is read to its end. `members` are those of a node that had none and is one of a cluster now.
    pub(crate) fn end(self, members: impl FnOnce() -> Membership) -> Tail {
        let Self { applied, hard, tail } = self;
        let mut tail = tail.unwrap_or_else(|| Tail::new(applied, HardState::default(), members()));
        // A node that was alone has a term, by its entries, and no vote.
        let last = tail.last();
        tail.set_hard(HardState { term: hard.term.max(last.term), commit: hard.commit.clamp(applied.index, last.index), ..hard });
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<'a>(word: &'a str) -> Said<'a> {
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let (kind, rest) = word.split_at(1);
        match kind {
            "e" | "c" => {
                let (index, term) = rest.split_once('@').unwrap_or((rest, "1"));
                let (variant, body) = match kind {
                    "e" => (EntryVariant::Command, &b"x"[..]),
                    _ => (EntryVariant::MemberChange, &[1, 1, 4, 0, 0, 0, 0, 0, 0, 0][..]),
                };
                Said::Entry { variant, term: number(term), index: number(index), time: Millis(1), body }
            }
            "v" => Said::VoidFrom { term: 2, index: number(rest) },
            "h" => Said::Hard(HardState { term: 3, vote: 2, commit: number(rest) }),
            _ => Said::Members(number(rest), Membership { voters: vec![1, 2, 3], ..Membership::default() }),
        }
    }

    #[test] // Each row: entries `e`, changes of members `c`, void from `v`, commit `h`, members `m`; the indexes applied, and the last one there is.
    fn what_is_known_to_be_committed_is_applied() {
        for (log, applied, last) in [
            ("e1 e2", "1 2", 2),
            ("e1 m1 e2 e3", "1", 3),
            ("e1 m1 e2 e3 h2", "1 2", 3),
            ("m0 e1 e2 h1 v2 e2@2 h2", "1 2", 2),
            ("m0 h9 e1 e2", "1 2", 2), // the commit may be told before the entries are there
            ("m0 e1 c2 e3 h3", "1", 3),
            ("m0 e1 c2 e3 h3 m2", "1 3", 3),
            ("m0 e1 c2 e3 h3 m2 e4 h4", "1 3 4", 4),
            ("m0 e1 e2 m2", "1 2", 2), // members hold once all before them is committed
        ] {
            let (mut found, mut got) = (Found::default(), Vec::new());
            for word in log.split(' ') {
                let apply = |index: u64, _, _: &[u8]| {
                    got.push(index.to_string());
                    Ok::<(), String>(())
                };
                found.take(said(word), apply).unwrap_or_else(|error| panic!("{log}: {error}"));
            }
            assert_eq!((got.join(" ").as_str(), found.end(Membership::default).last_index()), (applied, last), "{log}");
        }
        let mut found = Found::default();
        for word in ["m0", "e1", "h1"] {
            found.take(said(word), |_, _, _| Ok::<(), String>(())).expect("a good log");
        }
        assert!(matches!(found.take(said("v1"), |_, _, _| Ok::<(), String>(())), Err(FoundError::Void { index: 1 })));
    }
}

//! Faults put into the engine on purpose, one at a time, to see whether the simulator finds them.
//!
//! Path: `sim --mutant NAME` → [`set`] → [`is`] at the place that goes wrong. Without the feature `mutants`, which nothing but the simulator's build has
//! on, [`is`] is `false` to the compiler and the places are gone.
//! Each is a mistake that such code can make, as small as it would be made.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "named at their places, and made by nobody"))]
pub(crate) enum Mutant {
    /// Commands are answered when their batch is handed to the disk.
    AckBeforeDurable,
    /// A start does not bring the idempotency keys back.
    LostKeys,
    /// The last line of a basket is told to be taken, and is not.
    HalfBasket,
    /// A pin is answered, and not set.
    PinnedExpires,
    /// Holds end by the clock of the machine that applies, not by the entry's time.
    LocalClock,
    /// The release of a hold that has not come leaves nothing behind.
    ReleaseForgotten,
    /// A failed write counts as written.
    SyncErrorIgnored,
    /// A start takes the last batch for torn.
    TailCutTooFar,
    /// A start takes a torn batch for whole.
    TailNotCut,
    /// A batch begins in the last block of the one before.
    BlockRewritten,
    /// An entity that changes while its table is walked for a snapshot does not keep its old form.
    NoPreImage,
    /// A second try of a payment goes under another reference.
    EffectTwice,
    /// An effect whose outcome is not known is taken for done.
    EffectLost,
    /// A key answers any body.
    AnyBody,
    /// A start does not send what was not answered.
    OutboxNotResent,
    /// A leader takes what its own disk has for committed.
    NoQuorum,
    /// A follower acknowledges before its disk has it.
    FollowerAcksEarly,
    /// That entries are void is not logged.
    VoidForgotten,
    /// A change of several voters holds at once, without a joint configuration on the way.
    JointSkipped,
    /// A snapshot that came is put in the place of a newer state.
    SnapshotOverNewer,
    /// A node whose log may have lost something goes on as if nothing was.
    VoteAfterLoss,
    /// A leader answers reads without asking whether it still leads.
    StaleRead,
    /// Term and vote are not logged.
    VoteNotLogged,
}

#[cfg(feature = "mutants")]
mod active {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
        static LOCAL_MS: Cell<u64> = const { Cell::new(0) };
    }

    impl Mutant {
        /// Those of one machine alone, in the order of the table.
        pub(crate) const ALL: [Self; 15] = [
            Self::AckBeforeDurable,
            Self::LostKeys,
            Self::HalfBasket,
            Self::PinnedExpires,
            Self::LocalClock,
            Self::ReleaseForgotten,
            Self::SyncErrorIgnored,
            Self::TailCutTooFar,
            Self::TailNotCut,
            Self::BlockRewritten,
            Self::NoPreImage,
            Self::EffectTwice,
            Self::EffectLost,
            Self::AnyBody,
            Self::OutboxNotResent,
        ];

        /// Those that it takes a cluster to find.
        pub(crate) const OF_CLUSTERS: [Self; 8] = [
            Self::NoQuorum,
            Self::FollowerAcksEarly,
            Self::VoidForgotten,
            Self::JointSkipped,
            Self::SnapshotOverNewer,
            Self::VoteAfterLoss,
            Self::StaleRead,
            Self::VoteNotLogged,
        ];
    }

    /// Makes this mistake from now on, on this thread.
    pub(crate) fn set(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }

    pub(crate) fn is(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }

    /// What the machine's clock shows, for [`Mutant::LocalClock`].
    pub(crate) fn set_local_ms(ms: u64) {
        LOCAL_MS.set(ms);
    }

    pub(crate) fn local_ms() -> u64 {
        LOCAL_MS.get()
    }
}

#[cfg(not(feature = "mutants"))]
mod active {
    use super::Mutant;

    pub(crate) const fn is(_: Mutant) -> bool {
        false
    }

    pub(crate) const fn set_local_ms(_: u64) {}

    pub(crate) const fn local_ms() -> u64 {
        0
    }
}

#[cfg(feature = "mutants")]
pub(crate) use active::set;
pub(crate) use active::{is, local_ms, set_local_ms};

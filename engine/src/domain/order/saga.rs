//! The checkout saga's states. The transitions are in `partition/orders/`; each is one logged command.
//!
//! ```text
//!  PlaceOrder → Holding → Pinning → Authorising ─────────────→ Committing → Capturing → Open
//!                 ↑  ↘      ↙         ↓        ↘ ↗                ↑ (nothing to pay: from Pinning)
//!                 │ GivingBack    AwaitingAction ⇄ Confirming
//!                 │     ↓
//!                 └─ NeedsSource          (at most RESOURCE_MAX times after a shortage, CONTENDED_MAX after contention)
//!
//!  to give up, undecided:  [Stopping →] [Voiding →] GivingBack → Ended      cancel:  Open → Refunding | Voiding → GivingBack → Ended
//! ```
//!
//! What it promises: stock is pinned before money is asked for; money is taken only after every hold is committed; holds are given
//! back only after the provider has said that no money is reserved; and whatever happens every hold ends.
//!
//! # Who gets the last units
//! An order with parts at several locations takes them one by one, and gives them back if a location has too little. Between the two its holds are
//! *in doubt*: whoever finds the units gone cannot be told "sold out", for they may be back in a moment. So
//! - a hold that is one of several is asked for as `HoldPart`, and stays in doubt until it is pinned, which the order asks for once all its locations
//!   have answered that they hold their parts;
//! - a location answers `Contended`, not `Short`, when the holds in doubt explain all that it lacks, and a plan counts their units when the
//!   others do not suffice: only what is too little with them is short. `insufficient_stock` is therefore said by a plan and by nothing else;
//! - an order that met contention gives back what it holds, waits, and tries again, now one location after the other in the order of their partitions
//!   and codes. Of orders that do so and wait for each other, the one with the last location in that order waits for nobody: it wins. Only first tries ask
//!   all locations at once, and each order has one, so two orders cannot keep each other from the units for ever;
//! - an order that has met it for the last time is refused as `contended`: it may be tried again, and nothing is known of the units.

use crate::record::v1::HoldLine;
use rkyv::{Archive, Deserialize, Serialize};
use wire::{EventId, HoldId, Millis, NextAction, OrderStatus, PartitionId, Refusal};

/// How far an order has come. Each variant holds just what that state needs; the holds wait on their own.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Saga {
    /// Each location is asked to hold its part of the plan.
    Holding {
        /// From 0.
        attempt: u16,
    },
    /// A location did not hold its part and what was held is given back: another plan is wanted from outside.
    NeedsSource {
        /// The number the next attempt will have.
        attempt: u16,
        /// In log time; a plan made earlier would likely fail like the last one.
        not_before: Millis,
    },
    /// All is held; each hold is asked not to expire.
    Pinning {
        /// From 0.
        attempt: u16,
    },
    /// The provider was asked to reserve the money.
    Authorising {
        /// The effect under way.
        effect: EventId,
    },
    /// The buyer must act.
    AwaitingAction {
        /// What to do.
        next: NextAction,
    },
    /// The buyer acted; the provider was asked how it ended.
    Confirming {
        /// The effect under way.
        effect: EventId,
    },
    /// Given up while the provider was asked for money: its answer decides what there is to void.
    Stopping {
        /// The effect under way, an authorisation or its confirmation.
        effect: EventId,
        /// Where to end.
        ending: Ending,
    },
    /// The provider was asked to let reserved money go.
    Voiding {
        /// The effect under way.
        effect: EventId,
        /// Where to end.
        ending: Ending,
    },
    /// Decided: the order will stand. Each hold is being committed.
    Committing {
        /// What to do once it stands.
        then: WhenOpen,
    },
    /// The provider was asked for the reserved money.
    Capturing {
        /// The effect under way.
        effect: EventId,
        /// What to do when it has answered.
        then: WhenOpen,
    },
    /// It stands.
    Open,
    /// Cancelled: the provider was asked to give the money back.
    Refunding {
        /// The effect under way.
        effect: EventId,
    },
    /// Each hold is being released, or restocked if it was committed.
    GivingBack {
        /// What to do when all are back.
        then: AfterGivingBack,
    },
    /// Nothing is charged, held or under way.
    Ended {
        /// How.
        ending: Ending,
    },
}

impl Saga {
    /// The adapter's effect whose answer it waits for.
    #[must_use]
    pub fn effect(&self) -> Option<EventId> {
        match self {
            Self::Authorising { effect }
            | Self::Confirming { effect }
            | Self::Stopping { effect, .. }
            | Self::Voiding { effect, .. }
            | Self::Capturing { effect, .. }
            | Self::Refunding { effect } => Some(*effect),
            Self::Holding { .. }
            | Self::NeedsSource { .. }
            | Self::Pinning { .. }
            | Self::AwaitingAction { .. }
            | Self::Committing { .. }
            | Self::Open
            | Self::GivingBack { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// May the deadline or a cancel still stop it from standing?
    #[must_use]
    pub fn undecided(&self) -> bool {
        match self {
            Self::Holding { .. }
            | Self::NeedsSource { .. }
            | Self::Pinning { .. }
            | Self::Authorising { .. }
            | Self::AwaitingAction { .. }
            | Self::Confirming { .. }
            | Self::GivingBack { then: AfterGivingBack::Source { .. } } => true,
            Self::Stopping { .. }
            | Self::Voiding { .. }
            | Self::Committing { .. }
            | Self::Capturing { .. }
            | Self::Open
            | Self::Refunding { .. }
            | Self::GivingBack { then: AfterGivingBack::End(_) }
            | Self::Ended { .. } => false,
        }
    }
}

/// What to do once the order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum WhenOpen {
    /// Nothing more: it is open.
    Keep,
    /// Somebody cancelled it meanwhile.
    Cancel,
}

/// What to do when all holds are given back.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum AfterGivingBack {
    /// Ask for another plan.
    Source {
        /// The number the next attempt will have.
        attempt: u16,
        /// How long to wait before, in milliseconds.
        wait_ms: u64,
    },
    /// End.
    End(Ending),
}

/// How an order came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Ending {
    /// The checkout was refused; the cart is open again.
    Refused(Refusal),
    /// Not decided in time; the cart is open again.
    Expired,
    /// Cancelled before it stood; the cart is open again.
    CalledOff,
    /// Cancelled after it stood; the cart stays ordered.
    Cancelled,
}

impl Ending {
    /// The status of an order that ended so.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        match self {
            Self::Refused(_) | Self::Expired => OrderStatus::Expired,
            Self::CalledOff | Self::Cancelled => OrderStatus::Cancelled,
        }
    }

    /// What the checkout answers. `None` for a cancelled order: it is shown as what it is, whether or not it ever stood.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal.clone()),
            Self::Expired => Some(Refusal::OrderState { status: self.status() }),
            Self::CalledOff | Self::Cancelled => None,
        }
    }
}

/// One location's part of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderHold {
    /// Made of order, location and attempt: the same whenever it is asked for, so asking twice holds once.
    pub id: HoldId,
    /// Where the location's stock lives.
    pub partition: PartitionId,
    /// Location code.
    pub location: String,
    /// Of which attempt.
    pub attempt: u16,
    /// What.
    pub lines: Vec<HoldLine>,
    /// Where it stands.
    pub state: HoldState,
}

/// Where a hold stands, as far as the order knows. Those with an effect wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum HoldState {
    /// Not asked for yet: those before it come first.
    Waiting,
    /// Asked for.
    Asked(EventId),
    /// Taken; expires unless pinned.
    Held,
    /// Asked not to expire.
    Pinning(EventId),
    /// Does not expire.
    Pinned,
    /// Being committed.
    Committing(EventId),
    /// Sold.
    Committed,
    /// Being released or restocked.
    GivingBack {
        /// The effect under way.
        effect: EventId,
        /// What it will have been.
        end: HoldEnd,
    },
    /// Nothing is held under it.
    Ended(HoldEnd),
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum HoldEnd {
    /// The location had too little, or no room, or was not asked.
    NotTaken,
    /// The location has too little as long as other orders are in doubt.
    Contended,
    /// It was taken and then expired, or a tombstone kept it out.
    Gone,
    /// Given back.
    Released,
    /// Given back after it was committed.
    Restocked,
    /// The location would not take the units back: they stay committed, for operators to see to.
    Stuck,
}

impl OrderHold {
    /// The effect whose answer it waits for.
    #[must_use]
    pub fn effect(&self) -> Option<EventId> {
        match self.state {
            HoldState::Asked(effect)
            | HoldState::Pinning(effect)
            | HoldState::Committing(effect)
            | HoldState::GivingBack { effect, .. } => Some(effect),
            HoldState::Waiting | HoldState::Held | HoldState::Pinned | HoldState::Committed | HoldState::Ended(_) => None,
        }
    }
}

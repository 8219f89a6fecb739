//! An order: what was agreed, where its money and its units are, and how far its checkout has come.
//!
//! Path: `PlaceOrder` → [`Order`] in [`Saga::Holding`] → answers of other partitions and of payment adapters move the saga (the
//! transitions are `partition/orders/`) → [`Saga::Open`] or [`Saga::Ended`]. Read first: [`Saga`], then [`HoldState`].
//! Three axes, never one: `status` (the order), [`Order::payment_status`] (its money, derived from the payments), and the units
//! of each line by state. Deliberately absent: tables, effects and clocks.

mod lines;
mod payment;
mod saga;

pub use lines::OrderLine;
pub use payment::{Payment, PaymentState};
pub use saga::{AfterGivingBack, Ending, HoldEnd, HoldState, OrderHold, Saga, WhenOpen};

use crate::record::v1::Address;
use crate::seal::Sealed;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use wire::{CartId, Millis, OrderId, OrderStatus, PartitionId, PaymentStatus, Refusal, Totals};

/// Entries kept of an order's history. At the limit the oldest after the first makes room: how it began and what happened last are
/// always there, and a gap in the versions shows that something is missing.
pub const ORDER_EVENTS_MAX: usize = 256;

/// Bytes kept of a word from outside (a reason, a provider's code) in an order. Longer ones are cut.
pub const DETAIL_BYTES_MAX: usize = 200;

/// For people: short, and unique in the shop without asking other partitions. Text form `17-000042`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub struct OrderNumber {
    /// The order's partition.
    pub partition: PartitionId,
    /// The partition's own counter of orders, from 1.
    pub count: u64,
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:06}", self.partition.0, self.count)
    }
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum EventKind {
    /// Its checkout began.
    Placed,
    /// A location could not serve its part; another plan is asked for.
    Short,
    /// A location could not serve its part as long as other orders are in doubt; it is tried again.
    Contended,
    /// The buyer must act before the payment goes on.
    ActionRequired,
    /// The buyer acted.
    ActionTaken,
    /// The provider reserved the money.
    Authorised,
    /// The provider declined.
    Declined,
    /// Stock is committed: the order stands.
    Opened,
    /// The money is taken.
    Captured,
    /// The provider would not give the reserved money; operators must act.
    CaptureFailed,
    /// The reserved money is let go.
    Voided,
    /// The provider would not let reserved money go; operators must act.
    VoidFailed,
    /// The money is given back.
    Refunded,
    /// The provider would not give money back; the order stands and operators must act.
    RefundFailed,
    /// Units that were pinned for the order are gone: a fault of the stock's partition.
    StockLost,
    /// A location would not take committed units back; operators must act.
    RestockFailed,
    /// Somebody asked to call it off.
    CancelRequested,
    /// Called off, money and stock given back.
    Cancelled,
    /// The checkout was refused; nothing is charged or held.
    Refused,
    /// The checkout was not decided in time; nothing is charged or held.
    Expired,
}

impl EventKind {
    /// The word shown to clients; a promise to them.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "order.placed",
            Self::Short => "stock.short",
            Self::Contended => "stock.contended",
            Self::ActionRequired => "payment.action_required",
            Self::ActionTaken => "payment.action_taken",
            Self::Authorised => "payment.authorised",
            Self::Declined => "payment.declined",
            Self::Opened => "order.opened",
            Self::Captured => "payment.captured",
            Self::CaptureFailed => "payment.capture_failed",
            Self::Voided => "payment.voided",
            Self::VoidFailed => "payment.void_failed",
            Self::Refunded => "payment.refunded",
            Self::RefundFailed => "payment.refund_failed",
            Self::StockLost => "stock.lost",
            Self::RestockFailed => "stock.restock_failed",
            Self::CancelRequested => "order.cancel_requested",
            Self::Cancelled => "order.cancelled",
            Self::Refused => "order.refused",
            Self::Expired => "order.expired",
        }
    }
}

/// An entry of an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Event {
    /// The order's version it made.
    pub version: u64,
    /// When.
    pub at: Millis,
    /// What.
    pub kind: EventKind,
    /// A word more, such as a decline code; at most [`DETAIL_BYTES_MAX`].
    pub detail: Option<String>,
}

/// An order. Archived in snapshots: a change of its form, or of any type in it, is a new version of its item there.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Order {
    /// Names it.
    pub id: OrderId,
    /// For people.
    pub number: OrderNumber,
    /// The number of events so far.
    pub version: u64,
    /// The cart it came from; the guest of that cart may read the order.
    pub cart: CartId,
    /// When the checkout began.
    pub placed_at: Millis,
    /// Undecided at this time, it is given up.
    pub decide_by: Millis,
    /// The order itself.
    pub status: OrderStatus,
    /// In the cart's order.
    pub lines: Vec<OrderLine>,
    /// Sums as placed.
    pub totals: Totals,
    /// Buyer's address, sealed.
    pub email: Sealed<String>,
    /// Where to send it, sealed; as the cart had it.
    pub address: Sealed<Address>,
    /// Name of the payment adapter.
    pub provider: String,
    /// The provider's one-use token, sealed. Opened only when the authorisation is handed to the adapter.
    pub token: Sealed<String>,
    /// Take the money as soon as the order stands; otherwise it stays authorised.
    pub capture: bool,
    /// A hold lasts this long unless pinned.
    pub hold_ttl_ms: u64,
    /// In the order made; none for a total of nothing.
    pub payments: Vec<Payment>,
    /// Of the latest attempt; those of an attempt before have all ended.
    pub holds: Vec<OrderHold>,
    /// How many attempts to hold its units came to nothing.
    pub failed: Failed,
    /// How far it has come.
    pub saga: Saga,
    /// History, oldest first, at most [`ORDER_EVENTS_MAX`].
    pub events: VecDeque<Event>,
}

/// Attempts to hold an order's units that came to nothing, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Failed {
    /// A location had too little or no room, or a hold was over before it could be pinned.
    pub short: u16,
    /// All that a location lacked was held by orders in doubt.
    pub contended: u16,
}

impl Order {
    /// The money of the order, from its last payment.
    #[must_use]
    pub fn payment_status(&self) -> PaymentStatus {
        self.payments.last().map_or(PaymentStatus::None, Payment::status)
    }

    /// Does it show in lists? Those that stand or stood, and those that wait for their buyer.
    #[must_use]
    pub fn listed(&self) -> bool {
        match self.status {
            OrderStatus::Open | OrderStatus::OnHold | OrderStatus::Closed | OrderStatus::Cancelled => true,
            OrderStatus::Placing => matches!(self.saga, Saga::AwaitingAction { .. } | Saga::Confirming { .. }),
            OrderStatus::Expired => false,
        }
    }

    /// Is there nothing under way, so that a waiting client gets its answer?
    #[must_use]
    pub fn settled(&self) -> bool {
        matches!(self.saga, Saga::Open | Saga::AwaitingAction { .. } | Saga::Ended { .. })
    }

    /// Why its checkout came to nothing; `None` while it runs, once the order stands, and for a cancelled one, which is shown as such.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match &self.saga {
            Saga::Ended { ending } => ending.refusal(),
            _ => None,
        }
    }

    /// What the buyer must do first.
    #[must_use]
    pub fn next_action(&self) -> Option<&wire::NextAction> {
        match &self.saga {
            Saga::AwaitingAction { next } => Some(next),
            _ => None,
        }
    }

    /// Writes an entry of the history and raises the version.
    pub fn record(&mut self, now: Millis, kind: EventKind, detail: Option<&str>) {
        self.version += 1;
        if self.events.len() >= ORDER_EVENTS_MAX {
            self.events.remove(1);
        }
        self.events.push_back(Event { version: self.version, at: now, kind, detail: detail.map(cut) });
    }
}

/// The front of a text from outside, at most [`DETAIL_BYTES_MAX`] bytes, whole characters.
#[must_use]
pub fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(DETAIL_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_are_cut_at_a_character() {
        assert_eq!(cut("stolen_card"), "stolen_card");
        assert_eq!(cut(&"é".repeat(200)).len(), DETAIL_BYTES_MAX);
        assert_eq!(cut(&format!("x{}", "é".repeat(200))).len(), DETAIL_BYTES_MAX - 1);
    }

    #[test]
    fn numbers_are_short() {
        let number = |partition, count| OrderNumber { partition: PartitionId(partition), count }.to_string();
        assert_eq!((number(7, 42), number(63, 1_234_567)), ("07-000042".to_owned(), "63-1234567".to_owned()));
    }
}

//! What a hold asks for: the lines, for whom, for how long, and under what kind of id.

use crate::{Customer, HoldId, Line, Owner};

/// What kind of id a hold has, and so how long it is remembered after the hold has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// Any number. Remembered for [`HOLD_RETENTION_MS`](crate::HOLD_RETENTION_MS) after the hold's end; a repeat later than that
    /// would be a new hold.
    #[default]
    Opaque,
    /// Made with [`HoldId::timed`]. An id older than [`Limits::id_window_ms`](crate::Limits::id_window_ms) is refused as too old
    /// and never run, so it need not be remembered for longer than that.
    Timed,
}

/// A hold as it is asked for; the whole of it is the body that a repeat must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldRequest<'a> {
    /// Names this hold for ever.
    pub id: HoldId,
    /// What kind of id that is.
    pub kind: IdKind,
    /// For whom.
    pub owner: Owner,
    /// Who buys, if that is known: purchase limits of a customer count their holds.
    pub customer: Option<Customer>,
    /// What is asked, in the order in which the answer is wanted.
    pub lines: &'a [Line],
    /// How long it lasts unless it is pinned or extended, in milliseconds.
    pub ttl_ms: u64,
    /// Take what is there, if it is less than what is asked, as long as it is anything.
    pub partial: bool,
    /// The hold is one of several that must all succeed, and its caller has not yet decided: until it is settled, a shortage that
    /// it explains is answered as `Contended` and not as `Short`.
    pub in_doubt: bool,
}

impl<'a> HoldRequest<'a> {
    /// All lines or none, not in doubt, under an opaque id.
    #[must_use]
    pub fn new(id: HoldId, owner: Owner, lines: &'a [Line], ttl_ms: u64) -> Self {
        Self { id, kind: IdKind::Opaque, owner, customer: None, lines, ttl_ms, partial: false, in_doubt: false }
    }

    /// The same, under a timed id.
    #[must_use]
    pub fn timed(self) -> Self {
        Self { kind: IdKind::Timed, ..self }
    }

    /// The same, bought by this customer.
    #[must_use]
    pub fn by(self, customer: Customer) -> Self {
        Self { customer: Some(customer), ..self }
    }

    /// The same, content with less.
    #[must_use]
    pub fn partial(self) -> Self {
        Self { partial: true, ..self }
    }

    /// The same, in doubt until settled.
    #[must_use]
    pub fn in_doubt(self) -> Self {
        Self { in_doubt: true, ..self }
    }
}

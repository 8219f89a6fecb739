//! Payments of an order: what was asked of the provider and what came of it. The status shown is derived from the state.

use rkyv::{Archive, Deserialize, Serialize};
use wire::{Money, PaymentId, PaymentStatus};

/// Where a payment stands.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PaymentState {
    /// Asked for; not answered, or the buyer must act. It may exist at the provider.
    Pending,
    /// The money is reserved.
    Authorised,
    /// The money was taken.
    Captured {
        /// Minor units taken.
        captured: i64,
        /// Minor units given back, at most those taken.
        refunded: i64,
    },
    /// Let go without being taken, or never asked for.
    Voided,
    /// Declined, or the provider would not let it go.
    Failed {
        /// The provider's word.
        code: String,
    },
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Payment {
    /// Our reference at the provider, in text form.
    pub id: PaymentId,
    /// Asked for.
    pub amount: Money,
    /// Where it stands.
    pub state: PaymentState,
}

impl Payment {
    /// As shown.
    #[must_use]
    pub fn status(&self) -> PaymentStatus {
        match &self.state {
            PaymentState::Pending => PaymentStatus::Pending,
            PaymentState::Authorised => PaymentStatus::Authorised,
            PaymentState::Captured { captured, refunded } => match (captured, refunded) {
                (captured, 0) if *captured < self.amount.amount => PaymentStatus::PartiallyCaptured,
                (_, 0) => PaymentStatus::Captured,
                (captured, refunded) if refunded < captured => PaymentStatus::PartiallyRefunded,
                (_, _) => PaymentStatus::Refunded,
            },
            PaymentState::Voided => PaymentStatus::Voided,
            PaymentState::Failed { .. } => PaymentStatus::Failed,
        }
    }

    /// Taken.
    #[must_use]
    pub fn captured(&self) -> Money {
        let captured = match self.state {
            PaymentState::Captured { captured, .. } => captured,
            PaymentState::Pending | PaymentState::Authorised | PaymentState::Voided | PaymentState::Failed { .. } => 0,
        };
        Money { amount: captured, currency: self.amount.currency }
    }

    /// Given back.
    #[must_use]
    pub fn refunded(&self) -> Money {
        let refunded = match self.state {
            PaymentState::Captured { refunded, .. } => refunded,
            PaymentState::Pending | PaymentState::Authorised | PaymentState::Voided | PaymentState::Failed { .. } => 0,
        };
        Money { amount: refunded, currency: self.amount.currency }
    }

    /// The provider's word when it declined.
    #[must_use]
    pub fn decline_code(&self) -> Option<&str> {
        match &self.state {
            PaymentState::Failed { code } => Some(code),
            PaymentState::Pending | PaymentState::Authorised | PaymentState::Captured { .. } | PaymentState::Voided => None,
        }
    }
}

//! What an adapter is asked to do, as the outbox keeps it, and as it is handed out.
//!
//! Path: the saga asks for [`Work`] → outbox (state, snapshots: no token) → the shard leases the effect and asks
//! [`Partition::effect_work`] → `wire::EffectWork` with the opened token → the adapter. A payment token is opened for nobody else.

use crate::mutants::{self, Mutant};
use crate::partition::Partition;
use crate::partition::outbox::{Concern, Target};
use crate::seal::{Keyring, OpenError};
use rkyv::{Archive, Deserialize, Serialize};
use wire::{ActionOutcome, EffectWork, EventId, Money, PaymentId};

/// Work for a payment adapter. Holds ids and amounts; the token stays sealed in the order.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
pub enum Work {
    /// Reserve money, by the token of the order that asks.
    Authorise { payment: PaymentId, amount: Money },
    /// The buyer acted: ask for the end of the authorisation.
    Confirm { payment: PaymentId, outcome: ActionOutcome },
    /// Take reserved money.
    Capture { payment: PaymentId, amount: Money },
    /// Let reserved money go.
    Void { payment: PaymentId },
    /// Give taken money back; `number` counts a payment's refunds from 1.
    Refund { payment: PaymentId, number: u32, amount: Money },
}

/// Why an effect cannot be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// It is answered, or is no work for an adapter. Nothing to do.
    #[error("the effect is not open work for an adapter")]
    NotOpen,
    /// The key of the order's token is gone: the person was erased. Propose the result `Refused` with a code that says so.
    #[error("the payment token cannot be opened")]
    Sealed(#[from] OpenError),
}

impl Partition {
    /// What to hand to the adapter for an open effect: references in text form and, for an authorisation, the opened token.
    ///
    /// # Errors
    /// See [`WorkError`].
    pub fn effect_work(&self, effect: EventId, keyring: &Keyring) -> Result<EffectWork, WorkError> {
        let open = self.outbox().open.get(&effect).ok_or(WorkError::NotOpen)?;
        let Target::Adapter { work, .. } = &open.target else { return Err(WorkError::NotOpen) };
        Ok(match work {
            Work::Authorise { payment, amount } => {
                let Concern::Order(order) = open.concern else { return Err(WorkError::NotOpen) };
                let order = self.order(order).ok_or(WorkError::NotOpen)?;
                let mut reference = payment.to_string();
                if let Some(lease) = open.lease.filter(|lease| lease.times > 1 && mutants::is(Mutant::EffectTwice)) {
                    reference = format!("{reference}-{}", lease.times);
                }
                EffectWork::Authorise { reference, token: keyring.open(&order.token)?, amount: *amount }
            }
            Work::Confirm { payment, outcome } => EffectWork::Confirm { reference: payment.to_string(), outcome: *outcome },
            Work::Capture { payment, amount } => EffectWork::Capture { reference: payment.to_string(), amount: *amount },
            Work::Void { payment } => EffectWork::Void { reference: payment.to_string() },
            Work::Refund { payment, number, amount } => {
                EffectWork::Refund { reference: payment.to_string(), refund: format!("{payment}-refund-{number}"), amount: *amount }
            }
        })
    }
}

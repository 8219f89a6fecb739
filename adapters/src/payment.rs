//! What a payment provider must be able to do.

use std::{future::Future, pin::Pin};
use tokio::time::Instant;
use wire::{ActionOutcome, EffectOutcome, EffectWork, Money};

/// An adapter's work under way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a provider knows about a request made earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// It never saw one: asking is safe.
    Never,
    /// This came of it; never [`EffectOutcome::Unknown`].
    Was(EffectOutcome),
    /// It cannot be asked now, or is still at work.
    Unknown,
}

/// A payment provider, as the shop uses it.
///
/// Every call carries our own reference; a provider that gets the same reference twice does its work once and answers the same again. Every call
/// ends by its deadline, with [`EffectOutcome::Unknown`] if the provider has not answered: whether it acted is then found by
/// [`Self::look_up`]. Calls do not panic, whatever the provider answers.
pub trait PaymentAdapter: Send + Sync + 'static {
    /// Names it in checkouts and in the engine's outbox, such as `sandbox`.
    fn name(&self) -> &str;

    /// Reserves `amount` with the buyer's `token`.
    fn authorise<'a>(&'a self, reference: &'a str, token: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome>;

    /// Asks how an authorisation ended that needed the buyer. `outcome` is what the buyer did, where no one else can tell.
    fn confirm<'a>(&'a self, reference: &'a str, outcome: ActionOutcome, deadline: Instant) -> Answer<'a, EffectOutcome>;

    /// What came of `work`, if it was ever asked for.
    fn look_up<'a>(&'a self, work: &'a EffectWork, deadline: Instant) -> Answer<'a, LookUp>;

    /// Takes `amount` of what is reserved.
    fn capture<'a>(&'a self, reference: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome>;

    /// Lets go of what is reserved, and keeps the reference from being authorised later. Of a reference never seen: `Succeeded` too.
    fn void<'a>(&'a self, reference: &'a str, deadline: Instant) -> Answer<'a, EffectOutcome>;

    /// Gives `amount` of what was taken back, once for each `refund` reference.
    fn refund<'a>(&'a self, reference: &'a str, refund: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome>;
}

//! Effects: what the shop asks of the world outside, and the program parts that do it.
//!
//! Path: a saga's effect in the engine's outbox → `TakeEffects` → [`Runner`] → a [`PaymentAdapter`] → the provider, and its answer back as
//! `EffectResult`. Read first: [`PaymentAdapter`] (what a provider must be able to do), then [`Runner`] (who asks it, and how often), then
//! [`sandbox`] (the provider for trying things out).
//!
//! Invariant: a reference names one wish for ever. Asking again under it, at any time and from any process, does nothing twice.
//! Invariant: an outcome is reported only when the provider said it. A deadline, a lost answer or a crash is `Unknown`.
//! Deliberately absent: decisions about orders; those are the engine's, which this crate knows through [`wire::Client`] alone.
#![forbid(unsafe_code)]

mod payment;
mod runner;
pub mod sandbox;

pub use payment::{Answer, LookUp, PaymentAdapter};
pub use runner::{EFFECTS_MAX, FOLLOW, LEASE, Runner};

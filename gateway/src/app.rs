//! What every request may look at, whichever protocol it came by.

use crate::{
    auth::{cart_token::CartTokens, jwt::VerifyingKey},
    metrics::Metrics,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use wire::{Client, Millis};

/// Shared by all connections. Nothing in it changes but counters and the drain flag.
pub struct App {
    /// The engine.
    pub client: Arc<dyn Client>,
    /// Issues and proves cart tokens.
    pub carts: CartTokens,
    /// Proves staff tokens.
    pub staff_key: VerifyingKey,
    /// Counters for `/metrics`.
    pub(crate) metrics: Metrics,
    draining: AtomicBool,
}

impl App {
    /// Puts it together; not draining.
    #[must_use]
    pub fn new(client: Arc<dyn Client>, carts: CartTokens, staff_key: VerifyingKey) -> Self {
        Self { client, carts, staff_key, metrics: Metrics::default(), draining: AtomicBool::new(false) }
    }

    /// From here on `/readyz` says 503, so that balancers look elsewhere while requests under way end.
    pub(crate) fn drain(&self) {
        // Relaxed: the flag guards no other memory; a probe may see it a moment later.
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The wall clock, for tokens and durations shown; the engine stamps its own times.
pub(crate) fn now() -> Millis {
    Millis(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}

//! How many connections there are, in all and from one address.

use crate::{App, http::rate::Payer};
use dashmap::DashMap;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Connections from one address (an IPv6 /64 counts as one); the next is closed at once.
pub(super) const PER_ADDRESS_MAX: u32 = 4_096;
/// Connections in all; the next is closed at once.
pub(super) const CONNECTIONS_MAX: u32 = 20_000;

/// Counts connections.
pub(super) struct Peers {
    app: Arc<App>,
    all: AtomicU32,
    // Bounded by `CONNECTIONS_MAX`: an address is there as long as it has a connection.
    by_address: DashMap<Payer, u32>,
}

/// A connection's place; dropping it gives the place back.
pub(super) struct Admitted {
    peers: Arc<Peers>,
    payer: Payer,
}

impl Peers {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app, all: AtomicU32::new(0), by_address: DashMap::new() }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let payer = Payer::of(address, false);
        let mut count = self.by_address.entry(payer).or_insert(0);
        // Relaxed: the count guards no memory; a race lets in a few connections more at most.
        if *count >= PER_ADDRESS_MAX || self.all.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            self.app.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            let unused = *count == 0;
            drop(count);
            if unused {
                self.by_address.remove_if(&payer, |_, count| *count == 0);
            }
            return None;
        }
        *count += 1;
        self.all.fetch_add(1, Ordering::Relaxed);
        self.app.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Some(Admitted { peers: Arc::clone(self), payer })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let peers = &self.peers;
        peers.all.fetch_sub(1, Ordering::Relaxed);
        peers.app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut count) = peers.by_address.get_mut(&self.payer) {
            *count -= 1;
        }
        peers.by_address.remove_if(&self.payer, |_, count| *count == 0);
    }
}

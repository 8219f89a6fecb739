//! The engines as a process elsewhere asks them, also while there are none yet.
//!
//! Path: addresses → [`Engines::found`], which tries until one answers → from then on [`wire::quic::ClusterClient`], which finds its way by itself.
//! Before that every call is answered as unreachable, so that a gateway can say that it is not ready.

use crate::address::{Address, list};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use wire::{Call, CallError, Client, Request, Topology, placement::PARTITIONS_DEFAULT, quic::ClusterClient};

/// Between two times that the engines are looked for.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two times that it is told that there are none.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Cheap to clone; all clones find them together.
#[derive(Clone)]
pub(super) struct Engines {
    addresses: Arc<[Address]>,
    config: quinn::ClientConfig,
    hedge: Option<Duration>,
    found: Arc<OnceLock<ClusterClient>>,
}

impl Engines {
    /// Those at `addresses`, not asked yet. Reads that take longer than `hedge` are asked of a second one.
    pub(super) fn new(addresses: Vec<Address>, config: quinn::ClientConfig, hedge: Option<Duration>) -> Self {
        Self { addresses: addresses.into(), config, hedge, found: Arc::default() }
    }

    /// Waits until one answers, however long, and tells that it waits. Must be called on a tokio runtime.
    pub(super) async fn found(&self) -> ClusterClient {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let mut told: Option<Instant> = None;
        loop {
            match ClusterClient::connect(&addresses, self.config.clone()).await {
                Ok(client) => {
                    let client = match self.hedge {
                        Some(after) => client.hedge(after),
                        None => client,
                    };
                    return self.found.get_or_init(|| client).clone();
                }
                Err(error) if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) => {
                    told = Some(Instant::now());
                    tracing::warn!("no engine answers at {} ({error}); trying again until one does", list(&self.addresses));
                }
                Err(error) => tracing::debug!(%error, "no engine answers"),
            }
            sleep(AGAIN).await;
        }
    }
}

impl Client for Engines {
    fn call(&self, request: Request) -> Call {
        match self.found.get() {
            Some(client) => client.call(request),
            None => Box::pin(async { Err(CallError::Unreachable("none has answered since the start".into())) }),
        }
    }

    /// Before one is found: some topology, with which nothing can be reached.
    fn topology(&self) -> Topology {
        self.found.get().map_or(Topology { partitions: PARTITIONS_DEFAULT, shards: 1 }, Client::topology)
    }
}

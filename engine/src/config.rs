//! What an engine is opened with.
//!
//! Path: the embedder or the command line fills a [`Config`] → [`Config::validate`] → [`crate::Engine::open`]. Values that are part of stored
//! data (the number of partitions) count only when the folder is made; the others may change from start to start.

use crate::log::{BLOCK_BYTES, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use search_index::Language as SearchLanguage;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use wire::placement::PARTITIONS_DEFAULT;

/// Most shards of a node. More cores than this stay free for other work.
pub const SHARDS_MAX: u16 = 256;
/// Most partitions of a cluster.
pub const PARTITIONS_MAX: u16 = 4_096;
/// What the log of a shard may take before it is cut behind snapshots, unless configured otherwise.
pub const LOG_BYTES_MAX_DEFAULT: u64 = 1 << 30;
/// Fewest segments of a log that is cut: the one written to, and enough before it that partitions are not snapshotted all the time.
pub const LOG_SEGMENTS_MIN: u64 = 4;
/// Longest time-to-live of a hold that no payment pins, and longest time an order may stay undecided.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long events are kept unless configured otherwise.
pub const EVENTS_KEEP_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many bytes of them.
pub const EVENTS_BYTES_MAX_DEFAULT: u64 = 10_000_000_000;

/// How to open an engine. [`Config::new`] gives every field a value that works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder; made, with mode 0700, when it is not there.
    pub data: PathBuf,
    /// Executors, each on a core of its own. `None`: half of the cores this process may run on, at least one, which leaves the others to the
    /// threads that call. May differ from the last start: partitions are placed anew.
    pub shards: Option<u16>,
    /// Cores for the shards, in order of shard. `None`: the first ones this process may run on; with more shards than cores they share. Under
    /// [`Driver::Portable`], which pins no thread unless told, `None` is any core.
    pub cpus: Option<Vec<usize>>,
    /// Partitions of a new folder; fixed from then on. `None` in an existing folder: what it has; in a new one [`PARTITIONS_DEFAULT`].
    pub partitions: Option<u16>,
    /// Size of a log segment made from this start on.
    pub segment_bytes: u64,
    /// What moves the shards' bytes. May differ from the last start: the folder is the same.
    pub driver: Driver,
    /// Bytes that the log of a shard may have before partitions are snapshotted and its oldest segments released; less than four segments count as
    /// four. What the log takes on the disk is this, a few segments that are under way or kept to be used again, and what is written while a snapshot is made.
    pub log_bytes_max: u64,
    /// Serves the wire protocol over QUIC. `None`: only [`crate::Engine::client`] reaches the engine.
    pub wire: Option<WireListen>,
    /// Stock of an order that no payment has pinned yet is given back after this long.
    pub hold_ttl: Duration,
    /// An order whose payment is still undecided after this long is cancelled: money back first, then stock.
    pub decide_max: Duration,
    /// When authorised money is taken.
    pub capture: Capture,
    /// Names of the payment adapters that serve this engine; a checkout that names another is refused.
    pub providers: Vec<String>,
    /// What the catalog is written in: how words are stemmed, and which say little. May differ from the last start: what was saved of the index counts no more
    /// then, and all products are indexed again. One for the whole shop.
    pub search_language: SearchLanguage,
    /// Start although the clock is more than an hour before the last entry of the log.
    pub accept_clock: bool,
    /// On a node of a cluster: start as if its log had all that the node acknowledged, although it does not end with a mark and the machine was started anew since. To be
    /// said only when a majority cannot be had otherwise, because others are gone for good: should the disk have lost what it had said to have, it is lost.
    pub trust_log: bool,
    /// Events of the feed are kept at least this long, unless there are too many.
    pub events_keep: Duration,
    /// Bytes of events kept; the oldest go first. Whole files of 4 MiB go, and each shard keeps at least its last.
    pub events_bytes_max: u64,
}

/// Where and as whom the engine serves the wire protocol.
#[derive(Clone, Debug)]
pub struct WireListen {
    /// Shard *n* listens on this UDP port plus *n*.
    pub listen: SocketAddr,
    /// Certificate of the authority that signs clients and engines, PEM.
    pub authority_pem: String,
    /// Our own certificate and key.
    pub credentials: wire::quic::Credentials,
}

/// When authorised money is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// As soon as the order is placed.
    #[default]
    AtOnce,
    /// When it is shipped.
    OnShipment,
}

/// What runs the shards and does their I/O. Both make the same folder and the same answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// A glommio executor for each shard, pinned to a core; the log by direct writes through io_uring. For work.
    #[default]
    Glommio,
    /// An ordinary thread for each shard, ordinary files and sockets. For machines and containers that forbid io_uring, lock too little memory, or
    /// have no direct I/O. It is slower.
    Portable,
}

impl Config {
    /// Defaults for a folder.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            shards: None,
            cpus: None,
            partitions: None,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            driver: Driver::Glommio,
            log_bytes_max: LOG_BYTES_MAX_DEFAULT,
            wire: None,
            hold_ttl: Duration::from_secs(15 * 60),
            decide_max: Duration::from_secs(30 * 60),
            capture: Capture::AtOnce,
            providers: vec!["sandbox".into()],
            search_language: SearchLanguage::default(),
            accept_clock: false,
            trust_log: false,
            events_keep: EVENTS_KEEP_DEFAULT,
            events_bytes_max: EVENTS_BYTES_MAX_DEFAULT,
        }
    }

    /// Checks every value that does not depend on the folder or the machine.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let partitions = self.partitions.unwrap_or(PARTITIONS_DEFAULT);
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(ConfigError::Partitions { found: partitions });
        }
        if let Some(shards) = self.shards {
            if !(1..=SHARDS_MAX).contains(&shards) {
                return Err(ConfigError::Shards { found: shards });
            }
            if let Some(cpus) = &self.cpus
                && cpus.len() < usize::from(shards)
            {
                return Err(ConfigError::Cpus { found: cpus.len(), shards });
            }
            self.validate_port(shards)?;
        }
        if let Some(cpus) = &self.cpus {
            if cpus.is_empty() {
                return Err(ConfigError::Cpus { found: 0, shards: 1 });
            }
            if let Some(twice) = cpus.iter().enumerate().find(|(i, cpu)| cpus[..*i].contains(cpu)) {
                return Err(ConfigError::CpuTwice { cpu: *twice.1 });
            }
        }
        let bytes = self.segment_bytes;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) || !bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(ConfigError::SegmentBytes { found: bytes });
        }
        for (what, found) in [("hold_ttl", self.hold_ttl), ("decide_max", self.decide_max)] {
            if !(Duration::from_secs(1)..=DURATION_MAX).contains(&found) {
                return Err(ConfigError::Duration { what, found });
            }
        }
        Ok(())
    }

    /// What the log of a shard may take, at least four segments.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes_max.max(self.segment_bytes.saturating_mul(LOG_SEGMENTS_MIN))
    }

    /// Checks that there is a port for each of `shards`.
    pub(crate) fn validate_port(&self, shards: u16) -> Result<(), ConfigError> {
        match &self.wire {
            Some(wire) if wire.listen.port() > u16::MAX - shards => Err(ConfigError::Port { port: wire.listen.port(), shards }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Number of shards.
    #[error("{found} shards: there can be 1 to {SHARDS_MAX}")]
    Shards {
        /// As configured.
        found: u16,
    },
    /// More shards than partitions: some would have nothing to do.
    #[error("{shards} shards for {partitions} partitions: a shard without a partition does nothing; configure at most {partitions} shards")]
    ShardsOverPartitions {
        /// As configured.
        shards: u16,
        /// Of the folder.
        partitions: u16,
    },
    /// Number of partitions.
    #[error("{found} partitions: there can be 1 to {PARTITIONS_MAX}")]
    Partitions {
        /// As configured.
        found: u16,
    },
    /// Fewer cores than shards.
    #[error("{found} cores are named for {shards} shards: name one for each, or none")]
    Cpus {
        /// How many are named.
        found: usize,
        /// How many are needed.
        shards: u16,
    },
    /// A core twice.
    #[error("core {cpu} is named twice")]
    CpuTwice {
        /// Which.
        cpu: usize,
    },
    /// This process may not run there.
    #[error("core {cpu} is not one this process may run on (it may run on {allowed:?}); see `taskset -p` or the container's cpuset")]
    CpuNotAllowed {
        /// Which.
        cpu: usize,
        /// Those it may run on.
        allowed: Vec<usize>,
    },
    /// Ports above the last.
    #[error("base port {port} leaves no room for the ports of {shards} shards")]
    Port {
        /// As configured.
        port: u16,
        /// One port for each.
        shards: u16,
    },
    /// Segment size.
    #[error("log segments of {found} bytes: from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}, a multiple of {BLOCK_BYTES}")]
    SegmentBytes {
        /// As configured.
        found: u64,
    },
    /// A duration.
    #[error("{what} of {found:?}: from 1 s to {DURATION_MAX:?}")]
    Duration {
        /// Name of the field.
        what: &'static str,
        /// As configured.
        found: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row changes one thing of a good configuration, and what is said about it.
    fn what_cannot_be_used_is_refused() {
        type Change = fn(&mut Config);
        let rows: [(Change, &str); 12] = [
            (|_| (), ""),
            (|c| c.shards = Some(0), "0 shards: there can be 1 to 256"),
            (|c| c.shards = Some(257), "257 shards: there can be 1 to 256"),
            (|c| c.partitions = Some(0), "0 partitions: there can be 1 to 4096"),
            (|c| c.cpus = Some(vec![]), "0 cores are named for 1 shards: name one for each, or none"),
            (|c| (c.shards, c.cpus) = (Some(2), Some(vec![0])), "1 cores are named for 2 shards: name one for each, or none"),
            (|c| c.cpus = Some(vec![3, 1, 3]), "core 3 is named twice"),
            (|c| c.segment_bytes = 1 << 19, "log segments of 524288 bytes: from 1048576 to 17179869184, a multiple of 4096"),
            (|c| c.segment_bytes += 1, "log segments of 67108865 bytes: from 1048576 to 17179869184, a multiple of 4096"),
            (|c| c.hold_ttl = Duration::ZERO, "hold_ttl of 0ns: from 1 s to 86400s"),
            (|c| c.decide_max = Duration::from_secs(86_401), "decide_max of 86401s: from 1 s to 86400s"),
            (
                |c| {
                    let credentials = wire::quic::Credentials { certificate_pem: String::new(), key_pem: String::new() };
                    let listen = ([127, 0, 0, 1], 65_533).into();
                    (c.shards, c.wire) = (Some(4), Some(WireListen { listen, authority_pem: String::new(), credentials }));
                },
                "base port 65533 leaves no room for the ports of 4 shards",
            ),
        ];
        for (change, says) in rows {
            let mut config = Config::new("data");
            change(&mut config);
            assert_eq!(config.validate().map_or_else(|error| error.to_string(), |()| String::new()), says);
        }
    }
}

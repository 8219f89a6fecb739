//! The engine of Emporion: a shop's catalog, search, stock, carts and orders in memory, every change in a log.
//!
//! Path: [`Engine::open`] reads a data folder and starts one executor per shard → [`Engine::call`] sends a [`wire::Request`] to the shard that owns
//! its key → the answer, once it is durable. Read first: [`Engine`], then `ARCHITECTURE.md` beside this crate's folder, which is the map of what
//! is inside. The example `embed` puts a product into a shop, finds it, and fills a cart.
//!
//! What it promises: nothing answered is lost, no unit is sold twice, a request with the same idempotency key has one outcome, and searches
//! see what was written before the answer to it went out.

mod config;
pub mod domain;
pub mod events;
mod flow;
pub mod folder;
mod handle;
pub mod log;
mod mutants;
pub mod node;
pub mod partition;
pub mod record;
mod replication;
pub mod seal;
pub mod shard;
pub mod shared;
#[doc(hidden)]
pub mod sim;
pub mod snapshot;
mod start;

pub use config::{
    Capture, Config, ConfigError, DURATION_MAX, Driver, EVENTS_BYTES_MAX_DEFAULT, EVENTS_KEEP_DEFAULT, LOG_BYTES_MAX_DEFAULT,
    LOG_SEGMENTS_MIN, PARTITIONS_MAX, SHARDS_MAX, SearchLanguage, WireListen,
};
pub use flow::COMMON_SYNONYMS;
pub use folder::FolderError;
pub use handle::{Engine, SHUTDOWN_WAIT_MAX, Shutdown};
pub use start::{
    CLOCK_BEHIND_MS_MAX, DumpError, Dumped, EventsError, HostError, MEMLOCK_BYTES_PER_SHARD, OpenError, Opened, PartitionReport,
    ReplayLogError, Report, VerifyError, dump, verify,
};

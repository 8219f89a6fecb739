//! Log and snapshots, as who runs the shop sees them.

use serde::Serialize;
use utoipa::ToSchema;

/// The log of all shards, and the snapshots that it is cut behind.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Snapshots {
    /// Partitions of the shop.
    pub partitions: u32,
    /// Those of which a snapshot was wanted that is not made yet.
    pub due: u32,
    /// What the log takes on the disk, bytes.
    pub log_bytes: u64,
    /// Past this it is cut, bytes.
    pub log_bytes_max: u64,
    /// Why the last try to make a snapshot failed, in words, until one is made.
    pub failure: Option<String>,
}

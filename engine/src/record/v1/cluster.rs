//! A cluster's nodes in the log, as [`Command`](super::Command)s have them.

use rkyv::{Archive, Deserialize, Serialize};

/// A node as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name, as in its certificate; no two nodes have the same.
    pub name: String,
    /// Host and port of its shard 0.
    pub address: String,
    pub shards: u16,
    /// What fails together: voters of a partition are spread over zones.
    pub zone: String,
    /// Voters are in the home region; nodes of other regions receive and do not vote.
    pub region: String,
}

/// What is to become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub enum Standing {
    /// It votes and leads.
    Active,
    /// It keeps its replicas, leads nothing, and votes only where others are too few.
    Draining,
    /// It is no member of any group, and never comes back under its number.
    Removed,
}

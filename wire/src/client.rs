//! How the gateway and the adapters reach the engine, whichever process it is in.

use crate::{Request, Response};
use std::{future::Future, pin::Pin};

/// A call under way.
pub type Call = Pin<Box<dyn Future<Output = Result<Response, CallError>> + Send + 'static>>;

/// The engine as seen from outside its shards. Three makes: a queue within the process, QUIC to a node, and QUIC to all nodes of a cluster.
///
/// Dropping a [`Call`] gives up waiting; a command already taken is carried out.
pub trait Client: Send + Sync + 'static {
    /// Sends `request` to the shard that owns its key, in a cluster on the node that leads it, and waits for the answer.
    fn call(&self, request: Request) -> Call;

    /// How keys are spread.
    fn topology(&self) -> Topology;
}

/// How keys are spread over partitions, and partitions over shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Fixed when the cluster is made.
    pub partitions: u16,
    /// Executors of the node; of a cluster those of all its nodes, in order of the nodes' ids.
    pub shards: u16,
}

/// The request may or may not have reached the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Too many requests under way; nothing was sent.
    #[error("the queue to the engine is full")]
    QueueFull,
    /// The engine is gone or cannot be reached; a command may yet be applied.
    #[error("the engine cannot be reached: {0}")]
    Unreachable(String),
    /// It answered something this version does not understand.
    #[error("the engine's answer cannot be read: {0}")]
    Protocol(String),
}

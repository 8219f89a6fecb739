//! The ways into a shard: calls from any thread, and notes from other shards and from the handle.
//!
//! Path: [`Port::call`] → bounded queue → the executor → one-shot → the caller's future; [`Note`]s on a queue of their own, so that calls cannot keep
//! shards from answering each other. Bounds: [`CALL_QUEUE_MAX`] calls not yet taken, one more is refused as [`CallError::QueueFull`];
//! [`NOTE_QUEUE_MAX`] notes, at which the sending shard keeps its messages and takes no calls until there is room.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use crate::shard::{CallToken, NodeBatch, core::peer::PeerMessage};
use wire::{Call, CallError, NodeId, Request, Response, ShardId};

/// Calls to one shard that its executor has not taken yet. At the limit a call is refused; those taken are bounded by the core.
pub(crate) const CALL_QUEUE_MAX: usize = 4_096;
/// Notes to one shard that its executor has not taken yet; a note carries all that one shard has for another at the end of a turn.
pub(crate) const NOTE_QUEUE_MAX: usize = 1_024;

/// A call on its way in.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) token: CallToken,
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Response>,
}

/// What a shard is told beside calls.
#[derive(Debug)]
pub(crate) enum Note {
    /// Another shard says these, in order.
    Peer {
        /// Which.
        from: ShardId,
        /// At least one.
        messages: Vec<PeerMessage>,
    },
    /// Another node says this to partitions of this shard; another shard of this one heard it.
    Node {
        /// Which.
        from: NodeId,
        /// What.
        batch: NodeBatch,
    },
    /// The caller is gone.
    Cancel(CallToken),
    /// Take no new calls.
    Drain,
    /// End, as soon as nothing is on its way to the disk. After [`Note::Drain`]: begin nothing, and end once what was begun is in files.
    Stop,
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) calls: flume::Receiver<Asked>,
    pub(super) notes: flume::Receiver<Note>,
}

/// The end of those who call one shard. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    inner: Arc<PortInner>,
}

#[derive(Debug)]
struct PortInner {
    calls: flume::Sender<Asked>,
    notes: flume::Sender<Note>,
    next_token: AtomicU64,
}

/// A way into a shard.
pub(crate) fn port() -> (Port, Inbox) {
    let (calls, calls_in) = flume::bounded(CALL_QUEUE_MAX);
    let (notes, notes_in) = flume::bounded(NOTE_QUEUE_MAX);
    let port = Port { inner: Arc::new(PortInner { calls, notes, next_token: AtomicU64::new(1) }) };
    (port, Inbox { calls: calls_in, notes: notes_in })
}

impl Port {
    /// Sends `request` to the shard, whichever key it has. Never blocks.
    ///
    /// Cost: two allocations and one lock of the queue; a sleeping executor is woken.
    pub(crate) fn call(&self, request: Request) -> Call {
        let token = self.token();
        let (reply, answer) = oneshot::async_channel();
        match self.inner.calls.try_send(Asked { token, request, reply }) {
            Ok(()) => Box::pin(Waiting { answer: Some(answer), token, port: self.clone() }),
            Err(flume::TrySendError::Full(_)) => Box::pin(std::future::ready(Err(CallError::QueueFull))),
            Err(flume::TrySendError::Disconnected(_)) => Box::pin(std::future::ready(Err(gone()))),
        }
    }

    /// A name for a call to this shard.
    pub(super) fn token(&self) -> CallToken {
        // Relaxed: the number only has to be unique.
        CallToken(self.inner.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells the shard something. Blocks while its queue is full; false when the shard has ended.
    pub(crate) fn tell(&self, note: Note) -> bool {
        self.inner.notes.send(note).is_ok()
    }

    /// Tells the shard something, or gives it back when its queue is full or the shard has ended.
    pub(super) fn try_tell(&self, note: Note) -> Result<(), flume::TrySendError<Note>> {
        self.inner.notes.try_send(note)
    }
}

fn gone() -> CallError {
    CallError::Unreachable("it was shut down".into())
}

/// A caller that waits. Dropped before the answer, it tells the shard not to bother.
struct Waiting {
    /// `None` once it gave the answer.
    answer: Option<oneshot::AsyncReceiver<Response>>,
    token: CallToken,
    port: Port,
}

impl Future for Waiting {
    type Output = Result<Response, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(gone())) };
        let answer = std::task::ready!(Pin::new(answer).poll(context));
        self.answer = None;
        Poll::Ready(answer.map_err(|_| gone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answer.take().is_some() {
            // With a full queue the call runs to its end, and its answer goes nowhere.
            let _ = self.port.try_tell(Note::Cancel(self.token));
        }
    }
}

//! Calls of the engine link, and what other nodes say, on their way into the loop of the same thread, and back.
//!
//! Path: `wire`'s server → [`Calls::call`] or [`Calls::node`] → a queue of this thread → the loop's next turn → `ShardCore`; the answer goes from the loop
//! straight into the stream it belongs to. No lock, no other thread, and no task for a call.
//! Bounds: [`CALL_QUEUE_MAX`] calls not yet taken, one more is answered as overload; [`SAID_MAX`] and [`SAID_BYTES_MAX`] of what nodes say, more is dropped.

use super::{
    hand::Hand,
    queue::{CALL_QUEUE_MAX, Port},
    turns::RETRY_AFTER_MS,
};
use crate::shard::CallToken;
use std::{cell::Cell, rc::Rc};
use wire::{
    Failure, Request, Response,
    frame::NODE_BYTES_MAX,
    quic::{Answer, Identity, Service},
};

/// What other nodes said and the loop has not taken yet. One more is dropped: it is said again as long as it matters.
pub(super) const SAID_MAX: u32 = 1_024;
/// Bytes of it; what would pass them is dropped too. Several of the longest frames of each of four other nodes.
pub(super) const SAID_BYTES_MAX: usize = 64 << 20;
const _: () = assert!(SAID_BYTES_MAX >= 2 * NODE_BYTES_MAX, "the longest is never dropped for its length");

/// What the link wants of the loop.
#[expect(clippy::large_enum_variant, reason = "moved once; a box would be an allocation for each call")]
pub(super) enum FromLink {
    /// Answer this.
    Call { token: CallToken, request: Request, answer: Answer },
    /// Nobody waits for that call any more.
    Cancel(CallToken),
}

/// What another node said.
pub(super) struct Said {
    /// By its certificate.
    pub(super) from: Identity,
    /// A batch of its replication's messages, not looked into yet.
    pub(super) body: Vec<u8>,
    /// Its part of the room.
    bytes: usize,
    room: Rc<Room>,
}

impl Drop for Said {
    fn drop(&mut self) {
        self.room.count.set(self.room.count.get() - 1);
        self.room.bytes.set(self.room.bytes.get() - self.bytes);
    }
}

/// What of it is there.
#[derive(Default)]
pub(super) struct Room {
    count: Cell<u32>,
    bytes: Cell<usize>,
}

impl Room {
    /// Keeps what was said, if there is room for it.
    fn keep(self: &Rc<Self>, from: Identity, body: Vec<u8>) -> Option<Said> {
        let bytes = body.len();
        if self.count.get() >= SAID_MAX || self.bytes.get() + bytes > SAID_BYTES_MAX {
            return None;
        }
        self.count.set(self.count.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        Some(Said { from, body, bytes, room: Rc::clone(self) })
    }
}

/// The link's end of the queue.
pub(super) struct Calls {
    pub(super) queue: Rc<Hand<FromLink>>,
    /// A queue of its own: a heartbeat waits for no call.
    pub(super) said: Rc<Hand<Said>>,
    /// Names calls, together with those from other threads.
    pub(super) port: Port,
    /// For what other nodes say.
    pub(super) room: Rc<Room>,
}

impl Service for Calls {
    type Call = CallToken;

    fn call(&self, _identity: &Identity, request: Request, answer: Answer) -> CallToken {
        let token = self.port.token();
        if self.queue.len() >= CALL_QUEUE_MAX {
            answer.send(&failed(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS }));
        } else {
            // The client may have the map wrong; the core says so.
            self.queue.put(FromLink::Call { token, request, answer });
        }
        token
    }

    fn cancel(&self, call: CallToken) {
        self.queue.put(FromLink::Cancel(call));
    }

    fn node(&self, identity: &Identity, body: Vec<u8>) {
        let bytes = body.len();
        match self.room.keep(identity.clone(), body) {
            Some(said) => self.said.put(said),
            None => tracing::debug!(%identity, bytes, "engine link: no room for what another node says"),
        }
    }
}

/// An answer without a core.
pub(super) fn failed(failure: Failure) -> Response {
    Response { positions: Vec::new(), replayed: false, result: Err(failure) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::quic::Part;

    #[test]
    fn what_nodes_say_is_bounded_by_number_and_bytes() {
        let from = Identity::new(Part::Engine, "two").expect("a name");
        let room = Rc::<Room>::default();
        let keep = |bytes: usize| room.keep(from.clone(), vec![0; bytes]);
        let mut kept: Vec<Said> = (0..SAID_MAX).filter_map(|_| keep(1)).collect();
        assert!(kept.len() == SAID_MAX as usize && keep(1).is_none(), "as many as there may be");
        kept.truncate(1);
        assert!(keep(SAID_BYTES_MAX).is_none(), "one byte is taken");
        kept.extend(keep(SAID_BYTES_MAX - 1));
        assert!(kept.len() == 2 && keep(1).is_none());
        drop(kept);
        assert!(keep(SAID_BYTES_MAX).is_some(), "what was taken makes room");
    }
}

//! Calls of the engine link on their way into the loop of the same thread, and back.
//!
//! Path: `wire`'s server → [`Calls::call`] → a queue of this thread → the loop's next turn → `ShardCore`; the answer goes from the loop straight into the
//! stream it belongs to. No lock, no other thread, and no task for a call.
//! Bounds: [`CALL_QUEUE_MAX`] calls not yet taken, one more is answered as overload.

use super::{
    hand::Hand,
    queue::{CALL_QUEUE_MAX, Port},
    turns::RETRY_AFTER_MS,
};
use crate::shard::CallToken;
use std::rc::Rc;
use wire::{
    Failure, Request, Response,
    quic::{Answer, Identity, Service},
};

/// What the link wants of the loop.
#[expect(clippy::large_enum_variant, reason = "moved once; a box would be an allocation for each call")]
pub(super) enum FromLink {
    /// Answer this.
    Call { token: CallToken, request: Request, answer: Answer },
    /// Nobody waits for that call any more.
    Cancel(CallToken),
}

/// The link's end of the queue.
pub(super) struct Calls {
    pub(super) queue: Rc<Hand<FromLink>>,
    /// Names calls, together with those from other threads.
    pub(super) port: Port,
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
}

/// An answer without a core.
pub(super) fn failed(failure: Failure) -> Response {
    Response { positions: Vec::new(), replayed: false, result: Err(failure) }
}

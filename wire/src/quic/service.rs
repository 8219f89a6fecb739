//! What answers requests behind a [`Server`](super::Server), and the way of an answer back into its stream.
//!
//! Path: a frame → [`Service::call`] with an [`Answer`] → whenever it is there [`Answer::send`] → the stream's [`Outbox`], where frames gather →
//! its writer takes them all at once. Everything is of one thread; nothing is allocated for an answer but its bytes.
//! Bounds: requests under way (`REQUESTS_IN_FLIGHT_MAX`); [`ANSWERS_QUEUED_MAX`] answers gathered, at which a stream is read no further.

use super::{Identity, server::Link};
use crate::frame::{self, EncodeError, RequestId};
use crate::{Failure, Refusal, Request, Response};
use futures_lite::future;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    task::{Poll, Waker},
};

/// Answers of a stream that wait to be written. At the bound the stream is read no further until some are.
pub const ANSWERS_QUEUED_MAX: usize = 64;

/// Answers requests, and hears what other nodes say, on the thread of its server.
pub trait Service: 'static {
    /// Names a call under way, to take it back.
    type Call: 'static;

    /// Begins a call. The answer may be sent at once or later; one that is dropped unsent leaves the client waiting until its own time is over.
    fn call(&self, identity: &Identity, request: Request, answer: Answer) -> Self::Call;

    /// Nobody waits for the answer any more. It may be sent all the same and goes nowhere.
    fn cancel(&self, call: Self::Call);

    /// Another node says something; what was said before in the same lane came before. `identity` is an engine's, and its name says which node's.
    /// `body` has at most [`NODE_BYTES_MAX`](crate::frame::NODE_BYTES_MAX) bytes that nobody has looked into. It may be dropped where there is no room:
    /// who says it says it again as long as it matters. Must return soon: the next body of the lane waits for it.
    fn node(&self, identity: &Identity, body: Vec<u8>);
}

/// The way back of one request's answer.
pub struct Answer {
    stream: Rc<dyn Takes>,
    id: RequestId,
    trace: u128,
}

impl Answer {
    pub(super) fn new(stream: Rc<dyn Takes>, id: RequestId, trace: u128) -> Self {
        Self { stream, id, trace }
    }

    /// Answers. Costs its encoding; written with the others of its stream when their writer runs.
    pub fn send(self, response: &Response) {
        self.stream.take(self.id, self.trace, response);
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A stream, whatever its service names calls by.
pub(super) trait Takes {
    fn take(&self, id: RequestId, trace: u128, response: &Response);
}

/// Answers of one stream on their way out, and the calls they come from.
pub(super) struct Outbox<S: Service> {
    link: Rc<Link>,
    service: Rc<S>,
    /// Calls under way; without a name while they are begun.
    calls: RefCell<HashMap<RequestId, Option<S::Call>>>,
    /// Frames, one behind the other.
    frames: RefCell<Vec<u8>>,
    /// How many, and how many of them end a request under way.
    gathered: Cell<usize>,
    ending: Cell<u32>,
    writer: Cell<Option<Waker>>,
    reader: Cell<Option<Waker>>,
    /// No request will come any more, or nobody reads answers any more.
    ended: Cell<bool>,
}

impl<S: Service> Outbox<S> {
    pub(super) fn new(link: Rc<Link>, service: Rc<S>) -> Rc<Self> {
        Rc::new(Self {
            link,
            service,
            calls: RefCell::default(),
            frames: RefCell::default(),
            gathered: Cell::new(0),
            ending: Cell::new(0),
            writer: Cell::new(None),
            reader: Cell::new(None),
            ended: Cell::new(false),
        })
    }

    /// Begins a call; false if one of that id is under way.
    pub(super) fn begin(self: &Rc<Self>, id: RequestId, request: Request) -> bool {
        if self.calls.borrow_mut().insert(id, None).is_some() {
            return false;
        }
        self.link.in_flight.set(self.link.in_flight.get() + 1);
        let stream: Rc<Self> = Rc::clone(self);
        let answer = Answer::new(stream, id, request.trace);
        let call = self.service.call(&self.link.identity, request, answer);
        // It may have been answered already.
        if let Some(place) = self.calls.borrow_mut().get_mut(&id) {
            *place = Some(call);
        }
        true
    }

    /// Takes a call back; it may be answered already.
    pub(super) fn cancel(&self, id: RequestId) {
        let call = self.calls.borrow_mut().remove(&id);
        if let Some(call) = call {
            self.link.in_flight.set(self.link.in_flight.get() - 1);
            if let Some(call) = call {
                self.service.cancel(call);
            }
        }
    }

    /// Takes back all that is under way.
    pub(super) fn cancel_all(&self) {
        let ids: Vec<_> = self.calls.borrow().keys().copied().collect();
        ids.into_iter().for_each(|id| self.cancel(id));
    }

    /// Queues an answer that no call stands behind.
    pub(super) fn refuse(&self, id: RequestId, trace: u128, failure: Failure) {
        let response = Response { positions: Vec::new(), replayed: false, result: Err(failure) };
        self.put(id, trace, &response);
    }

    fn put(&self, id: RequestId, trace: u128, response: &Response) {
        encode(id, trace, response, &mut self.frames.borrow_mut());
        self.gathered.set(self.gathered.get() + 1);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// No request comes any more: once all answers are out, [`Self::gathered`] says so.
    pub(super) fn end(&self) {
        self.ended.set(true);
        for waker in [self.writer.take(), self.reader.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Waits until there are answers and takes them all, with how many requests they end; `None` when none can come any more.
    pub(super) async fn gathered(&self) -> Option<(Vec<u8>, u32)> {
        future::poll_fn(|cx| {
            let frames = std::mem::take(&mut *self.frames.borrow_mut());
            if !frames.is_empty() {
                self.gathered.set(0);
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                return Poll::Ready(Some((frames, self.ending.replace(0))));
            }
            if self.ended.get() && self.calls.borrow().is_empty() {
                return Poll::Ready(None);
            }
            self.writer.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Answers for so many requests were handed to QUIC, or nobody wants them.
    pub(super) fn handed_over(&self, requests: u32) {
        self.link.in_flight.set(self.link.in_flight.get() - requests);
    }

    /// Nobody reads answers any more: takes back what is under way and forgets what was gathered.
    pub(super) fn abandon(&self) {
        self.cancel_all();
        self.handed_over(self.ending.replace(0));
        self.frames.take();
        self.end();
    }

    /// Waits until fewer than [`ANSWERS_QUEUED_MAX`] answers wait; false when nobody takes them any more.
    pub(super) async fn room(&self) -> bool {
        future::poll_fn(|cx| {
            if self.ended.get() {
                return Poll::Ready(false);
            }
            if self.gathered.get() < ANSWERS_QUEUED_MAX {
                return Poll::Ready(true);
            }
            self.reader.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

impl<S: Service> Takes for Outbox<S> {
    fn take(&self, id: RequestId, trace: u128, response: &Response) {
        // Not there: it was taken back, and its place with it.
        if self.calls.borrow_mut().remove(&id).is_some() {
            self.ending.set(self.ending.get() + 1);
            self.put(id, trace, response);
        }
    }
}

fn encode(id: RequestId, trace: u128, response: &Response, into: &mut Vec<u8>) {
    let begin = into.len();
    if let Err(error) = frame::encode_response(id, trace, response, into) {
        tracing::error!(%error, trace = format_args!("{trace:032x}"), "engine link: an answer cannot be sent");
        let failure = match error {
            EncodeError::TooLong { max, .. } => {
                Failure::Refused(Refusal::LimitReached { what: "bytes of an answer".into(), max: max as u64 })
            }
            EncodeError::Archive { .. } | EncodeError::Empty { .. } => Failure::Internal,
        };
        let response = Response { positions: response.positions.clone(), replayed: response.replayed, result: Err(failure) };
        into.truncate(begin);
        // Positions alone can only be too many by the engine's own fault; then the client's patience ends the call.
        if frame::encode_response(id, trace, &response, into).is_err() {
            into.truncate(begin);
        }
    }
}

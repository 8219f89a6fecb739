//! A payment provider for trying things out. It stands for a company elsewhere, so it keeps its own books and trusts nobody's memory.
//!
//! Path: [`Sandbox`] (the adapter: deadlines, slow and lost answers) → a bounded queue → one thread that owns the book (`book`, pure) and its
//! journal (`journal`, one `fdatasync` for all that wait) → the answer, given only once the journal has it.
//! Bounds: [`QUEUE_MAX`] requests waiting, then callers wait; [`book::PAYMENTS_MAX`] payments, then new ones are refused.
//! Read first: [`token`] for what the test tokens do. [`read`] tells what was really charged, also while nothing runs.

pub mod book;
mod journal;
pub mod token;

pub use book::Account;
pub use journal::JournalError;

use crate::{Answer, LookUp, PaymentAdapter};
use book::{Authorised, Book, Request};
use journal::Journal;
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};
use wire::{ActionOutcome, EffectOutcome, EffectWork, Money};

/// Its name in checkouts.
pub const NAME: &str = "sandbox";
/// Requests waiting for the book; one more makes its caller wait.
pub const QUEUE_MAX: usize = 1_024;
/// Name of the journal inside the sandbox's folder.
pub const JOURNAL: &str = "payments.ndjson";

/// The provider. Clones share one book.
#[derive(Clone, Debug)]
pub struct Sandbox {
    book: mpsc::Sender<Question>,
}

/// A request on its way to the book.
#[derive(Debug)]
struct Question {
    request: Request,
    answer: oneshot::Sender<book::Reply>,
}

impl Sandbox {
    /// Opens the books in `folder`, which is made (mode 0700) when it is not there, and starts the thread that keeps them. A torn last line of
    /// the journal, which nobody was told about, is cut.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or a line before its last does not read: then nothing is changed.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let (journal, book) = Journal::open(folder)?;
        let (sender, questions) = mpsc::channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || keep(journal, book, questions))
            .map_err(|source| JournalError::Io { path: folder.to_owned(), source })?;
        Ok(Self { book: sender })
    }

    /// Asks the book; `None` once its journal has failed.
    async fn ask(&self, request: Request) -> Option<book::Reply> {
        let (answer, reply) = oneshot::channel();
        self.book.send(Question { request, answer }).await.ok()?;
        reply.await.ok()
    }

    async fn outcome(&self, request: Request, deadline: Instant) -> EffectOutcome {
        match timeout_at(deadline, self.ask(request)).await {
            Ok(Some(reply)) => reply.outcome(),
            Ok(None) | Err(_) => EffectOutcome::Unknown,
        }
    }

    async fn authorise_by(&self, reference: String, token: &str, amount: Money, deadline: Instant) -> EffectOutcome {
        let request = Request::Authorise { reference: reference.clone(), token: token.to_owned(), amount };
        let first = timeout_at(deadline, self.ask(request)).await;
        match first {
            Ok(Some(book::Reply::Authorised(Authorised::Later { ms }))) => {
                // The provider goes on by itself; a caller that stops waiting finds the outcome by look-up.
                let provider = self.clone();
                let work = tokio::spawn(async move {
                    sleep(Duration::from_millis(ms)).await;
                    provider.ask(Request::Finish { reference }).await.map_or(EffectOutcome::Unknown, book::Reply::outcome)
                });
                timeout_at(deadline, work).await.ok().and_then(Result::ok).unwrap_or(EffectOutcome::Unknown)
            }
            Ok(Some(reply)) => reply.outcome(),
            Ok(None) | Err(_) => EffectOutcome::Unknown,
        }
    }
}

impl PaymentAdapter for Sandbox {
    fn name(&self) -> &str {
        NAME
    }

    fn authorise<'a>(&'a self, reference: &'a str, token: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome> {
        Box::pin(self.authorise_by(reference.to_owned(), token, amount, deadline))
    }

    fn confirm<'a>(&'a self, reference: &'a str, outcome: ActionOutcome, deadline: Instant) -> Answer<'a, EffectOutcome> {
        Box::pin(self.outcome(Request::Confirm { reference: reference.to_owned(), outcome }, deadline))
    }

    fn look_up<'a>(&'a self, work: &'a EffectWork, deadline: Instant) -> Answer<'a, LookUp> {
        Box::pin(async move {
            match timeout_at(deadline, self.ask(Request::LookUp { work: work.clone() })).await {
                Ok(Some(book::Reply::Found(found))) => found,
                Ok(Some(book::Reply::Authorised(_) | book::Reply::Outcome(_)) | None) | Err(_) => LookUp::Unknown,
            }
        })
    }

    fn capture<'a>(&'a self, reference: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome> {
        Box::pin(self.outcome(Request::Capture { reference: reference.to_owned(), amount }, deadline))
    }

    fn void<'a>(&'a self, reference: &'a str, deadline: Instant) -> Answer<'a, EffectOutcome> {
        Box::pin(self.outcome(Request::Void { reference: reference.to_owned() }, deadline))
    }

    fn refund<'a>(&'a self, reference: &'a str, refund: &'a str, amount: Money, deadline: Instant) -> Answer<'a, EffectOutcome> {
        let request = Request::Refund { reference: reference.to_owned(), refund: refund.to_owned(), amount };
        Box::pin(self.outcome(request, deadline))
    }
}

/// Keeps the book until nobody asks any more, or the journal fails.
fn keep(mut journal: Journal, mut book: Book, mut questions: mpsc::Receiver<Question>) {
    let mut waiting = Vec::with_capacity(QUEUE_MAX);
    while let Some(first) = questions.blocking_recv() {
        let mut next = Some(first);
        while let Some(Question { request, answer }) = next {
            let (reply, event) = book.take(request);
            if let Some(event) = event {
                journal.append(&event);
            }
            waiting.push((answer, reply));
            next = if waiting.len() < QUEUE_MAX { questions.try_recv().ok() } else { None };
        }
        if let Err(error) = journal.sync() {
            // The book is ahead of the journal from here on: whoever asks is told "unknown", and the truth is read at the next start.
            tracing::error!(%error, "the sandbox provider's journal failed; it answers no more until the next start");
            return;
        }
        for (answer, reply) in waiting.drain(..) {
            // Nobody waits any more: the answer can be looked up.
            let _ = answer.send(reply);
        }
    }
}

/// What the sandbox in `folder` has done, by reference, as far as its journal has it. Changes nothing, and may be called while a sandbox
/// runs; an empty map when there is no journal yet.
///
/// # Errors
/// See [`JournalError`].
pub fn read(folder: &Path) -> Result<BTreeMap<String, Account>, JournalError> {
    journal::read(folder).map(|book| book.accounts())
}

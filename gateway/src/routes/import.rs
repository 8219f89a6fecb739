//! Import: NDJSON in, NDJSON out, both as streams.
//!
//! Path: body pieces → [`Splitter`] (lines, bounded) → `dto::import::line` → up to [`IN_FLIGHT_MAX`] engine calls at once → answers put
//! back into the input's order → the response body. One task per import does it all; it ends when the caller goes away.
//!
//! Lines that touch the same key wait for each other, so that the outcome is that of one line after the other. The caller may send
//! everything before it reads anything: up to [`ANSWERS_MAX`] bytes of answers wait for it; beyond, reading its lines stops until it reads.

use crate::{
    App, app,
    dto::{
        import::{self, Line, LineAnswer, Summary, SummaryLine},
        stock::upserted,
    },
    http::{
        body,
        caller::{self, CALL_MS, Caller},
        codes::Code,
        problem::Problem,
    },
};
use axum::{
    body::Body as HttpBody,
    extract::{Request as HttpRequest, State},
    http::{HeaderValue, Response, header},
};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use wire::{Body, Op, Principal, Request, Role, SkuRef};

/// Bytes of a line; a longer one is refused alone.
const LINE_BYTES_MAX: usize = 256 * 1024;
/// Engine calls at once. At the limit the next line waits.
const IN_FLIGHT_MAX: usize = 256;
/// Answers that wait for an earlier line's. At the limit the next line waits.
const REORDER_MAX: usize = 1_024;
/// Bytes of answers that wait for a caller that does not read. At the limit its lines are not read either.
const ANSWERS_MAX: usize = 64 * 1024 * 1024;
/// Bytes of answers sent in one piece.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a line is tried again while the engine is overloaded.
const OVERLOAD_PATIENCE: Duration = Duration::from_secs(60);
const NDJSON: &str = "application/x-ndjson";

/// Cuts a stream into lines.
struct Splitter {
    rest: BytesMut,
    /// How far `rest` was searched for a line's end.
    seen: usize,
    /// The line at hand is too long; its bytes are dropped up to its end.
    skipping: bool,
}

/// A line of the stream.
enum Cut {
    Whole(Bytes),
    TooLong,
}

impl Splitter {
    fn new() -> Self {
        Self { rest: BytesMut::new(), seen: 0, skipping: false }
    }

    fn push(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
    }

    /// The next line, if its end is there.
    fn next(&mut self) -> Option<Cut> {
        let Some(end) = self.rest[self.seen..].iter().position(|byte| *byte == b'\n') else {
            self.seen = self.rest.len();
            if self.rest.len() > LINE_BYTES_MAX {
                self.skipping = true;
                self.rest.clear();
                self.seen = 0;
            }
            return None;
        };
        let line = self.rest.split_to(self.seen + end + 1).freeze();
        self.seen = 0;
        Some(self.cut(line.slice(..line.len() - 1)))
    }

    /// What is left when the stream has ended.
    fn last(&mut self) -> Option<Cut> {
        let line = self.rest.split().freeze();
        self.seen = 0;
        (self.skipping || !line.is_empty()).then(|| self.cut(line))
    }

    fn cut(&mut self, line: Bytes) -> Cut {
        if std::mem::take(&mut self.skipping) || line.len() > LINE_BYTES_MAX { Cut::TooLong } else { Cut::Whole(line) }
    }
}

/// A call that has ended: the answer to its line, and what the line touched.
type Ended = Result<(LineAnswer, Vec<String>), tokio::task::JoinError>;

/// What a line touches. Two lines that share one of these do not run at the same time.
fn keys(line: &Line) -> Vec<String> {
    match line {
        Line::Product(product) => {
            let own = std::iter::once(format!("p{}", product.key));
            own.chain(product.variants.iter().map(|variant| format!("s{}", variant.key))).collect()
        }
        Line::Category(category) => {
            let own = std::iter::once(format!("c{}", category.key));
            own.chain(category.parent.iter().map(|parent| format!("c{parent}"))).collect()
        }
        Line::Stock(adjustment) => match &adjustment.sku {
            SkuRef::Key(key) => vec![format!("s{key}")],
            SkuRef::Id(id) => vec![format!("i{id}")],
        },
    }
}

/// Kinds that depend on what other kinds write: on a change of kind, what runs is waited for. So a category is there before its
/// products, and a SKU before its stock, also when it is named by id.
fn kind(line: &Line) -> u8 {
    match line {
        Line::Product(_) => 0,
        Line::Category(_) => 1,
        Line::Stock(_) => 2,
    }
}

/// Import products, categories and stock: NDJSON in, one NDJSON line out for each, in order, and a summary at the end.
///
/// Lines are upserts by `key`; to resume, send the file again. A line that cannot be taken is refused alone. A line has at most 256 KiB.
#[utoipa::path(post, path = "/v1/admin/import", tag = "admin", security(("staff" = [])),
    request_body(content = String, content_type = "application/x-ndjson", description = "Lines `{\"type\": \"product\" | \"category\" | \"stock\", …}`"),
    responses((status = 200, body = import::LineAnswer, content_type = "application/x-ndjson", description = "A line for each, the last `{\"summary\": …}`")))]
pub(crate) async fn import(State(app): State<Arc<App>>, caller: Caller, request: HttpRequest) -> Result<Response<HttpBody>, Problem> {
    let principal = caller.staff(&[Role::Merchandiser, Role::Warehouse])?;
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if ![NDJSON, "application/ndjson", "application/jsonl"].contains(&essence.as_str()) {
        return Err(Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, "Send lines of JSON with Content-Type: application/x-ndjson."));
    }
    let (sender, receiver) = mpsc::channel(64);
    let run = Run {
        app,
        principal,
        trace: caller.id.0,
        started: Instant::now(),
        summary: Summary::default(),
        touched: HashMap::new(),
        kind: None,
        calls: JoinSet::new(),
        ready: BTreeMap::new(),
        next_answer: 1,
        out: BytesMut::new(),
        sender,
    };
    tokio::spawn(run.serve(request.into_body()));
    let mut response = Response::new(HttpBody::from_stream(ReceiverStream::new(receiver)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

/// An import under way.
struct Run {
    app: Arc<App>,
    principal: Principal,
    trace: u128,
    started: Instant,
    summary: Summary,
    /// Keys of the lines that run.
    touched: HashMap<String, u32>,
    /// Kind of the lines that run.
    kind: Option<u8>,
    calls: JoinSet<(LineAnswer, Vec<String>)>,
    /// Answers by line number that wait for an earlier one. `None` for a blank line.
    ready: BTreeMap<u64, Option<LineAnswer>>,
    next_answer: u64,
    out: BytesMut,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
}

/// The caller does not read any more, or a fault of ours ended the import: no summary is written.
struct Gone;

impl Run {
    async fn serve(mut self, mut body: HttpBody) {
        // An import that ends early leaves the rest undone: its calls are dropped with the set.
        if self.lines(&mut body).await.is_err() {
            tracing::debug!("an import broke off");
            return;
        }
        self.summary.seconds = self.started.elapsed().as_secs_f64();
        let summary = SummaryLine { summary: self.summary };
        self.write(&summary);
        let _ = self.flush().await;
        tracing::info!(summary = ?self.summary, at = app::now().0, "import ended");
    }

    async fn lines(&mut self, body: &mut HttpBody) -> Result<(), Gone> {
        let mut splitter = Splitter::new();
        let mut number = 0;
        let mut open = true;
        while open {
            let piece = self.piece(body).await?;
            match &piece {
                Ok(Some(bytes)) => splitter.push(bytes),
                Ok(None) | Err(_) => open = false,
            }
            while let Some(cut) = splitter.next() {
                number += 1;
                self.take(number, cut).await?;
            }
            match piece {
                Ok(Some(_)) => {}
                Ok(None) => {
                    if let Some(cut) = splitter.last() {
                        number += 1;
                        self.take(number, cut).await?;
                    }
                }
                Err(problem) => {
                    number += 1;
                    self.answer(refused(number, &problem), number);
                }
            }
        }
        while !self.calls.is_empty() {
            self.step().await?;
        }
        self.flush().await
    }

    /// The next piece of the body, while answers go on. A body's pause is measured by `body::next`, so only the wait itself is shared.
    async fn piece(&mut self, body: &mut HttpBody) -> Result<Result<Option<Bytes>, Problem>, Gone> {
        while self.out.len() >= ANSWERS_MAX {
            self.step().await?;
        }
        let mut piece = std::pin::pin!(body::next(body));
        loop {
            let ended = tokio::select! {
                piece = &mut piece => return Ok(piece),
                ended = self.progress() => ended?,
            };
            self.done(ended)?;
        }
    }

    /// Waits until one of the calls has ended or a piece of answers is sent.
    async fn step(&mut self) -> Result<(), Gone> {
        let ended = self.progress().await?;
        self.done(ended)
    }

    /// Sends a piece of answers, or waits for a call to end. May be dropped at any time: nothing is lost by it.
    async fn progress(&mut self) -> Result<Option<Ended>, Gone> {
        tokio::select! {
            Some(ended) = self.calls.join_next() => Ok(Some(ended)),
            permit = self.sender.reserve(), if !self.out.is_empty() => {
                let piece = self.out.split_to(self.out.len().min(PIECE_BYTES)).freeze();
                permit.map_err(|_| Gone)?.send(Ok(piece));
                Ok(None)
            }
            () = self.sender.closed() => Err(Gone),
        }
    }

    /// Starts the line `number` when nothing stands in its way.
    async fn take(&mut self, number: u64, cut: Cut) -> Result<(), Gone> {
        let bytes = match cut {
            Cut::Whole(bytes) => bytes,
            Cut::TooLong => {
                let problem = Problem::new(Code::TOO_LARGE, format!("A line may have {LINE_BYTES_MAX} bytes."));
                self.answer(refused(number, &problem), number);
                return Ok(());
            }
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            self.ready.insert(number, None);
            self.release();
            return Ok(());
        }
        let line = match import::line(&bytes) {
            Ok(line) => line,
            Err(problem) => {
                self.answer(refused(number, &problem), number);
                return Ok(());
            }
        };
        let (keys, kind) = (keys(&line), kind(&line));
        let in_the_way = |run: &Self| {
            run.calls.len() >= IN_FLIGHT_MAX
                || run.ready.len() >= REORDER_MAX
                || (run.kind != Some(kind) && !run.calls.is_empty())
                || keys.iter().any(|key| run.touched.contains_key(key))
        };
        while in_the_way(self) {
            self.step().await?;
        }
        self.kind = Some(kind);
        for key in &keys {
            *self.touched.entry(key.clone()).or_default() += 1;
        }
        let (app, principal, trace) = (Arc::clone(&self.app), self.principal, self.trace);
        self.calls.spawn(async move { (write(&app, principal, trace, number, line).await, keys) });
        // Calls that have ended meanwhile are answered without waiting.
        while let Some(done) = self.calls.try_join_next() {
            self.done(Some(done))?;
        }
        Ok(())
    }

    fn done(&mut self, ended: Option<Ended>) -> Result<(), Gone> {
        match ended {
            None => {}
            Some(Ok((answer, keys))) => {
                for key in keys {
                    if let Some(count) = self.touched.get_mut(&key) {
                        *count -= 1;
                        if *count == 0 {
                            self.touched.remove(&key);
                        }
                    }
                }
                let number = answer.line;
                self.answer(answer, number);
            }
            // Only a panic of ours ends so. Which line it was is lost with it, so the rest cannot be answered in order.
            Some(Err(error)) => {
                self.app.metrics.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "an import line panicked");
                return Err(Gone);
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: LineAnswer, number: u64) {
        self.ready.insert(number, Some(answer));
        self.release();
    }

    /// Writes the answers whose turn has come.
    fn release(&mut self) {
        while let Some(answer) = self.ready.remove(&self.next_answer) {
            self.next_answer += 1;
            if let Some(answer) = answer {
                self.summary.count(answer.status);
                self.app.metrics.import_lines.fetch_add(1, Ordering::Relaxed);
                self.write(&answer);
            }
        }
    }

    fn write(&mut self, value: &impl serde::Serialize) {
        self.out.extend_from_slice(&serde_json::to_vec(value).unwrap_or_default());
        self.out.extend_from_slice(b"\n");
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        while !self.out.is_empty() {
            let piece = self.out.split_to(self.out.len().min(PIECE_BYTES)).freeze();
            self.sender.send(Ok(piece)).await.map_err(|_| Gone)?;
        }
        Ok(())
    }
}

fn refused(line: u64, problem: &Problem) -> LineAnswer {
    LineAnswer { line, status: "refused", id: None, error: Some(problem.brief()) }
}

/// Carries one line to the engine. Overload is waited out: an import is in no hurry, and shall not lose lines to a busy moment.
async fn write(app: &App, principal: Principal, trace: u128, line: u64, what: Line) -> LineAnswer {
    let until = Instant::now() + OVERLOAD_PATIENCE;
    let op = match what {
        Line::Product(product) => Op::PutProduct(product),
        Line::Category(category) => Op::PutCategory(category),
        Line::Stock(adjustment) => Op::AdjustStock(adjustment),
    };
    loop {
        let request = Request { principal, timeout_ms: CALL_MS, trace, ..Request::system(op.clone()) };
        match caller::call(app, request).await {
            Ok(answer) => return taken(line, answer),
            Err(problem) if problem.is_overload() && Instant::now() < until => {
                // Not the whole Retry-After, which is in seconds: an import's own lines are what fills the queue, and they drain fast.
                let wait =
                    Duration::from_millis(20 + line % 80).max(Duration::from_secs(u64::from(problem.retry_after().unwrap_or(1) - 1)));
                tokio::time::sleep(wait).await;
            }
            Err(problem) => return refused(line, &problem),
        }
    }
}

fn taken(line: u64, answer: caller::Answer) -> LineAnswer {
    let (status, id) = match answer.body {
        Body::Upserted { id, what, .. } => (upserted(what), id.to_string()),
        Body::UpsertedCategory { category, what } => (upserted(what), category.id.to_string()),
        Body::Stock(view) => (if answer.replayed { "unchanged" } else { "updated" }, view.sku.to_string()),
        _ => return refused(line, &super::unexpected(&answer)),
    };
    LineAnswer { line, status, id: Some(id), error: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> Vec<Option<Bytes>> {
        let mut splitter = Splitter::new();
        let mut lines = Vec::new();
        let shown = |cut| match cut {
            Cut::Whole(bytes) => Some(bytes),
            Cut::TooLong => None,
        };
        for piece in pieces {
            splitter.push(piece);
            while let Some(cut) = splitter.next() {
                lines.push(shown(cut));
            }
        }
        lines.extend(splitter.last().map(shown));
        lines
    }

    #[test]
    fn long_lines_are_dropped_alone() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let just = vec![b'y'; LINE_BYTES_MAX];
        for lines in [
            split(&[b"a\n", &long, b"\nb\n", &just, b"\nc"]),
            split(&[&[b"a\n".as_slice(), &long, b"\nb\n", &just, b"\nc"].concat()]),
            split(&[b"a\n", &long, b"xx", &long, b"\nb\n", &just, b"\n", b"c"]),
        ] {
            let shown: Vec<_> = lines.iter().map(|line| line.as_ref().map(Bytes::len)).collect();
            assert_eq!(shown, [Some(1), None, Some(1), Some(LINE_BYTES_MAX), Some(1)]);
        }
        assert_eq!(split(&[&long]), [None], "also without an end");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[a\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let found: Vec<String> =
                split(&pieces).into_iter().map(|line| String::from_utf8_lossy(&line.expect("short")).into_owned()).collect();
            let mut wanted: Vec<String> = text.split('\n').map(str::to_owned).collect();
            if wanted.last().is_some_and(String::is_empty) {
                wanted.pop();
            }
            prop_assert_eq!(found, wanted);
        }
    }
}

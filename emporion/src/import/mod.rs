//! `emporion import`: files → the running shop's `POST /v1/admin/import`, as one stream each way.
//!
//! Path: [`read`] (a blocking thread: files, gzip, `convert`) → a bounded channel → the request's body; meanwhile the answers are read line by
//! line, counted and shown ([`show`]). Bounds: [`read::PIECES_MAX`] pieces under way; the shop bounds the rest by not reading on.
//! Resuming is sending again: products are known by their keys, and what is there already is answered `unchanged`.

mod convert;
mod json;
mod read;
mod show;
mod table;

use crate::{
    cli::ImportArgs,
    fail::{Fail, one_line},
    shop::{self, Shop},
};
use convert::Convert;
use read::{NEWS_MAX, News, PIECES_MAX, Reader};
use reqwest::{Response, Url, header};
use serde::Deserialize;
use show::Show;
use std::{sync::Arc, time::Duration};
use table::Mapping;
use tokio::{sync::mpsc, time::interval};
use tokio_stream::wrappers::ReceiverStream;

/// How often the progress is redrawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How long the reading thread may take to say why it ended.
const READER_END: Duration = Duration::from_millis(200);
/// Answers read and not yet counted; then reading them waits.
const ANSWERS_MAX: usize = 64;
/// Bytes of one answer line; a longer one is not from a shop.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn run(args: ImportArgs) -> Result<(), Fail> {
    let mapping = Mapping::read(&args.map)?;
    let shop = Shop::find(&args.shop, "merchandiser")?;
    let runtime = shop::runtime()?;
    let outcome = runtime.block_on(send(args, mapping, shop));
    // The reader may hang in a terminal or a pipe that says nothing.
    runtime.shutdown_background();
    outcome
}

/// A line of the answer.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Summary { summary: Summary },
    Line { line: u64, status: String, error: Option<Problem> },
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Summary {
    created: u64,
    updated: u64,
    unchanged: u64,
    refused: u64,
    seconds: f64,
}

/// Why a line was refused, or the whole request.
#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    #[serde(default)]
    pointer: String,
    detail: Option<String>,
    #[serde(default)]
    code: String,
}

impl Problem {
    fn text(&self) -> String {
        let mut text = self.detail.clone().unwrap_or_else(|| self.code.clone());
        for error in &self.errors {
            let detail = error.detail.as_ref().unwrap_or(&error.code);
            // The first is usually told already.
            if !text.contains(detail.as_str()) {
                text = format!("{text}; {} {detail}", error.pointer);
            }
        }
        text
    }
}

async fn send(args: ImportArgs, mapping: Mapping, shop: Shop) -> Result<(), Fail> {
    let (client, url) = (shop.client()?, shop.url("/v1/admin/import"));
    let progress = read::Progress::default();
    let mut show = Show::new(read::size(&args.files), Arc::clone(&progress), args.show_refused);
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    let (news, mut heard) = mpsc::channel(NEWS_MAX);
    let convert = Convert { format: args.format, stock: args.stock, key_prefix: args.key_prefix };
    let reader = Reader::new(convert, mapping, progress, pieces, news);
    let files = args.files;
    let mut reading = tokio::task::spawn_blocking(move || reader.run(&files));

    let request = client
        .post(url.clone())
        .bearer_auth(shop.token())
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(ReceiverStream::new(body)));
    let (lines, mut taken) = mpsc::channel(ANSWERS_MAX);
    let mut answering = std::pin::pin!(async { answers(request, &url).await?.each(lines).await });
    let mut redraw = interval(REDRAW);
    // Refused here. What the shop refuses is in its summary.
    let mut local = 0;
    let mut ended: Option<Result<Summary, Fail>> = None;
    loop {
        tokio::select! {
            biased;
            Some(news) = heard.recv() => match news {
                News::File { from, name } => show.file(from, name),
                News::Refused { line, why } => {
                    local += 1;
                    show.refuse(line, &why);
                }
            },
            Some(answer) = taken.recv() => {
                show.lines += 1;
                if let Some((line, why)) = answer {
                    show.refuse(line, &why);
                }
            }
            outcome = &mut answering, if ended.is_none() => ended = Some(outcome),
            _ = redraw.tick(), if ended.is_none() => show.tick(),
            else => break,
        }
        if ended.as_ref().is_some_and(Result::is_err) {
            break;
        }
    }
    show.end();
    let outcome = ended.unwrap_or_else(|| Err(Fail::Failed("the import ended by a fault of ours".into())));
    // Input that cannot be read explains a stream that broke off, so it is told first.
    if (outcome.is_err() || reading.is_finished())
        && let Ok(Ok(Err(fail))) = tokio::time::timeout(READER_END, &mut reading).await
    {
        return Err(fail);
    }
    let summary = outcome?;
    let refused = summary.refused + local;
    let rate = show.lines as f64 / summary.seconds.max(0.001);
    println!(
        "{} created, {} updated, {} unchanged, {refused} refused in {:.1} s ({rate:.0} lines a second)",
        summary.created, summary.updated, summary.unchanged, summary.seconds
    );
    if refused == 0 {
        Ok(())
    } else {
        Err(Fail::Failed(format!(
            "{refused} of {} lines were refused; correct them and send the file again, the others are known already",
            show.lines + local
        )))
    }
}

/// An answer that is a stream of lines.
struct Answers(Response);

async fn answers(request: reqwest::RequestBuilder, url: &Url) -> Result<Answers, Fail> {
    let response = request.send().await.map_err(|error| shop::unreachable(url, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(Answers(response));
    }
    let problem: Option<Problem> = response.json().await.ok();
    let why = problem.map_or_else(String::new, |problem| format!(": {}", problem.text()));
    let hint = match status.as_u16() {
        401 | 403 => "; give a token of the role merchandiser or admin (`emporion token --role merchandiser`)",
        _ => "",
    };
    Err(Fail::Failed(format!("the shop refused the import with {status}{why}{hint}")))
}

impl Answers {
    /// Hands on each line's refusal, if it is one, and ends with the summary.
    async fn each(mut self, lines: mpsc::Sender<Option<(u64, String)>>) -> Result<Summary, Fail> {
        let mut rest: Vec<u8> = Vec::new();
        let mut count = 0u64;
        loop {
            let chunk = self.0.chunk().await;
            let broke_off = |why: &str| {
                Fail::Failed(format!(
                    "the shop broke off after {count} lines ({why}): send the same files again, lines already taken are known and quick"
                ))
            };
            let chunk = chunk.map_err(|error| broke_off(&one_line(&error)))?.ok_or_else(|| broke_off("no summary came"))?;
            rest.extend_from_slice(&chunk);
            let mut begin = 0;
            while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
                let line = &rest[begin..begin + length];
                begin += length + 1;
                let answer = serde_json::from_slice(line)
                    .map_err(|error| Fail::Failed(format!("the shop answered what is no import answer: {error}")))?;
                match answer {
                    Answer::Summary { summary } => return Ok(summary),
                    Answer::Line { line, status, error } => {
                        count += 1;
                        let refused =
                            (status == "refused").then(|| (line, error.map_or_else(|| "refused".into(), |problem| problem.text())));
                        // The other end waits for this stream's end.
                        let _ = lines.send(refused).await;
                    }
                }
            }
            rest.drain(..begin);
            if rest.len() > ANSWER_BYTES_MAX {
                return Err(Fail::Failed("the shop answered what is no import answer: a line without an end".into()));
            }
        }
    }
}

//! What an import shows: a bar on a terminal, a line now and then elsewhere, and the lines that were refused.

use super::read::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal as _, stderr},
    sync::atomic::Ordering,
    time::Duration,
};
use tokio::time::Instant;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows an import under way, on standard error.
pub(super) struct Show {
    /// `None` where there is no terminal.
    bar: Option<ProgressBar>,
    progress: Progress,
    bytes: Option<u64>,
    began: Instant,
    told: Instant,
    /// Lines answered.
    pub(super) lines: u64,
    /// Lines refused, here or by the shop.
    pub(super) refused: u64,
    /// Most refused lines to show.
    shown_max: u64,
    /// Where files begin in the stream.
    files: Vec<(u64, String)>,
}

impl Show {
    pub(super) fn new(bytes: Option<u64>, progress: Progress, shown_max: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let template = if bytes.is_some() { "{bar:30} {percent:>3} %  {msg}  {eta} left" } else { "{spinner} {bytes}  {msg}" };
            // A template that does not read is left at the library's own.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self { bar, progress, bytes, began: now, told: now, lines: 0, refused: 0, shown_max, files: Vec::new() }
    }

    pub(super) fn file(&mut self, from: u64, name: String) {
        self.files.push((from, name));
    }

    /// A line was refused; by its number in the stream.
    pub(super) fn refuse(&mut self, line: u64, why: &str) {
        self.refused += 1;
        if self.refused > self.shown_max {
            return;
        }
        let (from, name) = match self.files.iter().rev().find(|(from, _)| *from <= line) {
            Some((from, name)) => (*from, name.as_str()),
            None => (1, "input"),
        };
        let text = format!("{name}:{}: {why}", line - from + 1);
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
        if self.refused == self.shown_max {
            eprintln!("(more refused lines are only counted; --show-refused N shows more)");
        }
    }

    /// Redraws; as often as one likes.
    pub(super) fn tick(&mut self) {
        let (now, done) = (Instant::now(), self.progress.load(Ordering::Relaxed));
        let rate = self.lines as f64 / now.duration_since(self.began).as_secs_f64().max(0.001);
        let refused = if self.refused == 0 { String::new() } else { format!(", {} refused", self.refused) };
        let message = format!("{} lines, {rate:.0} a second{refused}", self.lines);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message);
        } else if now.duration_since(self.told) >= LINE_EVERY {
            self.told = now;
            let left = self.bytes.filter(|bytes| done > 0 && *bytes >= done).map(|bytes| {
                let seconds = now.duration_since(self.began).as_secs_f64() * (bytes - done) as f64 / done as f64;
                format!(", {} %, about {seconds:.0} s left", done * 100 / bytes.max(1))
            });
            eprintln!("{message}{}", left.unwrap_or_default());
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

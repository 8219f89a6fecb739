//! Reads the files and makes the stream that is sent.
//!
//! Path: file or standard input → gzip if it begins like it → lines or CSV rows → `convert` → pieces of [`PIECE_BYTES`] → a bounded channel.
//! Every line of input becomes one line of the stream: a converted one, or an empty one where it was refused here. So the shop's line numbers
//! are ours, over all files, and nothing has to be remembered for them.

use super::{
    convert::{self, Convert},
    table::{Columns, Mapping},
};
use crate::{cli::Format, fail::Fail};
use bytes::Bytes;
use csv::{ErrorKind as CsvErrorKind, StringRecord};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, stdin},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Bytes of one piece of the stream, about.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces made and not yet sent; then reading waits.
pub(super) const PIECES_MAX: usize = 8;
/// News that nobody has looked at yet; then reading waits.
pub(super) const NEWS_MAX: usize = 1_024;
/// Bytes of a line of input; a longer one is refused alone. The shop's own bound (256 KiB) is on what it is converted to.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a line that the shop takes.
const CONVERTED_BYTES_MAX: usize = 256 * 1024;

/// What happens on the way, for whoever shows it.
pub(super) enum News {
    /// From this line of the stream on it is this file.
    File { from: u64, name: String },
    /// A line was refused here; by its number in the stream.
    Refused { line: u64, why: String },
}

/// Bytes read of all files, as they are on disk.
pub(super) type Progress = Arc<AtomicU64>;

/// Bytes of all files, or `None` if one has no size that is known before.
pub(super) fn size(files: &[PathBuf]) -> Option<u64> {
    files.iter().map(|file| std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())).sum()
}

/// Reads files into a stream. Blocks; for a thread of its own.
pub(super) struct Reader {
    pub(super) convert: Convert,
    pub(super) mapping: Mapping,
    pub(super) progress: Progress,
    pub(super) pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    pub(super) news: mpsc::Sender<News>,
    /// Lines of the stream so far.
    lines: u64,
    piece: Vec<u8>,
}

/// Why reading ended early.
enum Stop {
    /// Nobody takes the stream any more, and knows why.
    Unwanted,
    /// The input cannot be read further.
    Input(Fail),
}

impl Reader {
    pub(super) fn new(
        convert: Convert,
        mapping: Mapping,
        progress: Progress,
        pieces: mpsc::Sender<Result<Bytes, io::Error>>,
        news: mpsc::Sender<News>,
    ) -> Self {
        Self { convert, mapping, progress, pieces, news, lines: 0, piece: Vec::with_capacity(2 * PIECE_BYTES) }
    }

    /// Reads all files, one after the other.
    ///
    /// # Errors
    /// A file that cannot be read; then the stream is broken off too, so that the shop does not take it for whole.
    pub(super) fn run(mut self, files: &[PathBuf]) -> Result<(), Fail> {
        for path in files {
            match self.file(path) {
                Ok(()) => {}
                Err(Stop::Unwanted) => return Ok(()),
                Err(Stop::Input(fail)) => {
                    let _ = self.pieces.blocking_send(Err(io::Error::other("the input cannot be read further")));
                    return Err(fail);
                }
            }
        }
        let _ = self.send();
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Stop> {
        let unreadable = |error: &io::Error| Stop::Input(Fail::Failed(format!("{} cannot be read: {error}", path.display())));
        let source: Box<dyn Read> =
            if path == Path::new("-") { Box::new(stdin()) } else { Box::new(File::open(path).map_err(|error| unreadable(&error))?) };
        let mut plain = BufReader::with_capacity(PIECE_BYTES, Counted { source, progress: Arc::clone(&self.progress) });
        let is_gzip = plain.fill_buf().map_err(|error| unreadable(&error))?.starts_with(&[0x1f, 0x8b]);
        // The receiver outlives the stream; should it not, nobody wants to know.
        let _ = self.news.blocking_send(News::File { from: self.lines + 1, name: path.display().to_string() });
        let input: Box<dyn BufRead> =
            if is_gzip { Box::new(BufReader::with_capacity(PIECE_BYTES, MultiGzDecoder::new(plain))) } else { Box::new(plain) };
        let read = match self.convert.format {
            Format::Emporion | Format::Icecat | Format::Bestbuy => self.json_lines(input),
            Format::Csv => self.rows(input),
        };
        read.map_err(|ended| match ended {
            Ended::Unwanted => Stop::Unwanted,
            Ended::Io(error) => unreadable(&error),
            Ended::Table(why) => Stop::Input(Fail::Failed(format!("{}: {why}", path.display()))),
        })
    }

    fn json_lines(&mut self, mut input: Box<dyn BufRead>) -> Result<(), Ended> {
        let mut line = Vec::new();
        loop {
            line.clear();
            // One byte more than allowed tells a line that is too long from one that just fits.
            let read = (&mut input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let is_whole = line.last() == Some(&b'\n') || line.len() <= LINE_BYTES_MAX;
            if !is_whole {
                input.skip_until(b'\n')?;
                self.put(|_, _| Err(format!("longer than {LINE_BYTES_MAX} bytes")))?;
                continue;
            }
            let text = line.trim_ascii();
            // Some tools put a byte order mark at the front of a file.
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
            self.put(|convert, out| if text.is_empty() { Ok(()) } else { convert.line(text, out) })?;
        }
    }

    fn rows(&mut self, input: Box<dyn BufRead>) -> Result<(), Ended> {
        let mut csv = csv::ReaderBuilder::new().flexible(false).from_reader(input);
        let header = csv.headers().map_err(|error| Ended::Table(error.to_string()))?.clone();
        let header: StringRecord = header.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
        let columns = Columns::read(&header, &self.mapping).map_err(Ended::Table)?;
        let before = self.lines;
        let mut row = StringRecord::new();
        loop {
            let next = csv.read_record(&mut row);
            let line = match &next {
                Ok(false) => return Ok(()),
                Ok(true) => row.position().map_or(0, csv::Position::line),
                Err(error) => error.position().map_or(0, csv::Position::line),
            };
            // A row may begin some lines after the one before: a header, blank lines, cells of several lines.
            while self.lines + 1 < before + line {
                self.put(|_, _| Ok(()))?;
            }
            match next {
                Ok(_) => self.put(|convert, out| convert::write(&columns.product(&row, convert)?, out))?,
                Err(error) => match error.into_kind() {
                    CsvErrorKind::Io(error) => return Err(Ended::Io(error)),
                    CsvErrorKind::UnequalLengths { expected_len, len, .. } => {
                        self.put(|_, _| Err(format!("{len} cells, and the header has {expected_len}")))?;
                    }
                    CsvErrorKind::Utf8 { err, .. } => self.put(|_, _| Err(format!("no UTF-8: {err}")))?,
                    other => return Err(Ended::Table(format!("line {line}: {other:?}"))),
                },
            }
        }
    }

    /// Adds a line to the stream: what `make` writes, or an empty one and the reason.
    fn put(&mut self, make: impl FnOnce(&Convert, &mut Vec<u8>) -> Result<(), String>) -> Result<(), Ended> {
        let begin = self.piece.len();
        self.lines += 1;
        let mut made = make(&self.convert, &mut self.piece);
        if made.is_ok() && self.piece.len() - begin > CONVERTED_BYTES_MAX {
            made = Err(format!("longer than {CONVERTED_BYTES_MAX} bytes as an import line"));
        }
        if let Err(why) = made {
            self.piece.truncate(begin);
            let _ = self.news.blocking_send(News::Refused { line: self.lines, why });
        }
        self.piece.push(b'\n');
        if self.piece.len() >= PIECE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Ended> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(2 * PIECE_BYTES));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| Ended::Unwanted)
    }
}

/// Why a file ended early.
enum Ended {
    Unwanted,
    Io(io::Error),
    Table(String),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Counts what is read.
struct Counted {
    source: Box<dyn Read>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        // Relaxed: a figure to look at.
        self.progress.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

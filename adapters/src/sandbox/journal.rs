//! The sandbox's journal: one JSON object a line, appended and synced before anybody is told.
//!
//! Path: events of the book → [`Journal::append`] (a buffer) → [`Journal::sync`] (one write, one `fdatasync`) → the answers.
//! Recovery: every line up to the last must read; what follows the last line that reads was never acknowledged and is cut.

use super::{
    JOURNAL,
    book::{Book, Event},
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why the books cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system.
    #[error("the sandbox provider's books at {} cannot be opened: {source}", path.display())]
    Io {
        /// Folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that was acknowledged does not read.
    #[error("{}: line {line} does not read ({why}), and lines follow it; restore the file, or move it away to begin with empty books", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// The open journal; one process at a time has it, which the lock of the data folder around it sees to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens or makes the journal, and replays it.
    pub(super) fn open(folder: &Path) -> Result<(Self, Book), JournalError> {
        let path = folder.join(JOURNAL);
        let in_folder = |source| JournalError::Io { path: folder.to_owned(), source };
        let in_file = |source| JournalError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(in_folder)?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(in_file)?;
        let (book, good_bytes) = replay(&mut file, &path)?;
        if file.metadata().map_err(in_file)?.len() > good_bytes {
            tracing::warn!(file = %path.display(), good_bytes, "cut a torn end of the sandbox provider's journal; nobody was told about it");
            file.set_len(good_bytes).map_err(in_file)?;
        }
        file.seek(SeekFrom::Start(good_bytes)).map_err(in_file)?;
        file.sync_all().map_err(in_file)?;
        // The file's name must survive a crash too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(in_folder)?;
        Ok((Self { file, buffer: Vec::new() }, book))
    }

    pub(super) fn append(&mut self, event: &Event) {
        serde_json::to_writer(&mut self.buffer, event).expect("an event is strings and numbers, and memory takes any number of bytes");
        self.buffer.push(b'\n');
    }

    /// Writes and syncs what was appended. After an error the journal must not be used again: what the disk has is unknown.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.file.sync_data()
    }
}

/// The book as the journal in `folder` has it; empty without one.
pub(super) fn read(folder: &Path) -> Result<Book, JournalError> {
    let path = folder.join(JOURNAL);
    match File::open(&path) {
        Ok(mut file) => replay(&mut file, &path).map(|(book, _)| book),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Book::default()),
        Err(source) => Err(JournalError::Io { path, source }),
    }
}

/// Replays all lines; also how many bytes of the file they are.
fn replay(file: &mut File, path: &Path) -> Result<(Book, u64), JournalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
    let mut book = Book::default();
    let mut good_bytes = 0;
    let mut bad: Option<(u64, String)> = None;
    let (mut at, mut number) = (0, 0);
    while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        number += 1;
        let event = serde_json::from_slice::<Event>(&bytes[at..at + length]);
        at += length + 1;
        match (event, &bad) {
            (Ok(_), Some((line, why))) => return Err(JournalError::Damaged { path: path.to_owned(), line: *line, why: why.clone() }),
            (Ok(event), None) => {
                if !book.replay(event) {
                    let why = "it does not follow from the lines before".into();
                    return Err(JournalError::Damaged { path: path.to_owned(), line: number, why });
                }
                good_bytes = at as u64;
            }
            (Err(error), None) => bad = Some((number, error.to_string())),
            (Err(_), Some(_)) => {}
        }
    }
    Ok((book, good_bytes))
}

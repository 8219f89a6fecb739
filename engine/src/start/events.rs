//! The files of the event logs, as a start reads them, and as they are looked over.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::events::{self, Catalog, EventFiles, Inspected, LogFiles};
use crate::folder::Folder;
use wire::{PartitionId, Seq};

/// Why the event logs cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// They cannot be read.
    #[error(
        "the event logs below {path} cannot be read: fix what the system says, or move that folder away to go on without the events in it"
    )]
    Read {
        /// Their folder.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// They have what the log has not.
    #[error(
        "the event log has {events} commands of partition {partition}, and the log {log}: commands that were acknowledged are missing, so the folder was put \
         together from parts, or its log is damaged. Restore the whole folder from one backup; if the log is right, move {path} away"
    )]
    Ahead {
        /// Which.
        partition: u16,
        /// Commands whose events are there.
        events: u64,
        /// Commands of the log.
        log: u64,
        /// Folder of the event logs.
        path: String,
    },
    /// A file of it is damaged or missing. That is no error of a start.
    #[error("{file} {why}: the feed lacks what was in it, and tells its readers so; the shop starts without it")]
    Damaged {
        /// In the data folder.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// Reads what there is, and tells of what is of no use.
///
/// # Errors
/// When files cannot be read, or are of a newer version.
pub(super) fn read(folder: &Folder) -> Result<Catalog, EventsError> {
    let meta = folder.meta();
    let mut files = OnDisk { data: folder.path().to_owned() };
    let catalog =
        Catalog::read(&mut files, meta.id, meta.epoch).map_err(|source| EventsError::Read { path: path_of(folder.path()), source })?;
    for ignored in &catalog.ignored {
        tracing::error!(
            file = ignored.path,
            why = ignored.why,
            "a file of the event log is of no use and is removed; the feed begins behind it"
        );
    }
    Ok(catalog)
}

/// Reads every file, and says what is wrong with them. `seq` tells how many commands of a partition there are, if that is known.
/// Gives also how many bytes there are.
pub(super) fn look_over(folder: &Folder, seq: impl Fn(PartitionId) -> Option<Seq>) -> (u64, Vec<EventsError>) {
    let meta = folder.meta();
    let mut files = OnDisk { data: folder.path().to_owned() };
    let Inspected { bytes, covered, damage } = Inspected::of(&mut files, meta.id, meta.epoch);
    let mut errors: Vec<EventsError> = damage.into_iter().map(|(file, why)| EventsError::Damaged { file, why }).collect();
    let ahead = covered.into_iter().filter_map(|(id, covered)| Some((id, covered, seq(id)?))).filter(|(_, covered, seq)| covered > seq);
    errors.extend(ahead.map(|(partition, events, log)| EventsError::Ahead {
        partition: partition.0,
        events: events.0,
        log: log.0,
        path: path_of(folder.path()),
    }));
    (bytes, errors)
}

/// Makes their folder, so that it is there from the first start on.
///
/// # Errors
/// As the system says.
pub(super) fn make_folder(folder: &Folder) -> Result<(), EventsError> {
    let path = folder.path().join(events::FOLDER);
    let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&path);
    made.map_err(|source| EventsError::Read { path: path_of(folder.path()), source })
}

/// Folder of the event logs, for people.
pub(super) fn path_of(data: &Path) -> String {
    data.join(events::FOLDER).display().to_string()
}

struct OnDisk {
    data: PathBuf,
}

/// Names in a folder; none where there is no folder.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // Names that are not text are not ours.
    entries.map(|entry| Ok(entry?.file_name().into_string().ok())).filter_map(Result::transpose).collect()
}

impl EventFiles for OnDisk {
    fn logs(&mut self) -> io::Result<BTreeMap<(u32, u16), LogFiles>> {
        let mut logs = BTreeMap::new();
        let root = self.data.join(events::FOLDER);
        for generation in names(&root)? {
            if generation.parse::<u32>().is_err() {
                continue;
            }
            for shard in names(&root.join(&generation))? {
                // Other names are not ours, such as what an operator left there.
                let Some(log) = events::parse_log(&generation, &shard) else { continue };
                let folder = root.join(&generation).join(&shard);
                let mut files = LogFiles::new();
                for name in names(&folder)? {
                    if let Some(number) = events::parse_file(&name) {
                        files.insert(number, fs::metadata(folder.join(&name))?.len());
                    }
                }
                logs.insert(log, files);
            }
        }
        Ok(logs)
    }

    fn read(&mut self, path: &str, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        File::open(self.data.join(path))?.read_exact(&mut read)?;
        Ok(read)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let path = self.data.join(path);
        File::open(&path)?.sync_all()?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

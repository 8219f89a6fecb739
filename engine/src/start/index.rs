//! Reads what was saved of a shard's index, beside the replay of its log.
//!
//! Path: `index/` → this shard's folder, and those of starts with another number of shards → each file whole into memory, one at a time →
//! [`Saved::decode`] → [`IndexFound`]. Names and meaning: `shard/core/index_files.rs`.
//! Nothing here is an error: what cannot be read is told in the log, and indexed again.

use crate::shard::core::index_files::{INDEX_DIR, IndexFound, file_name, shard_dir};
use search_index::{Language, Saved, SavedError};
use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    thread::{Builder, JoinHandle},
};
use wire::{PartitionId, ShardId, placement};

/// Makes the folder of all index files if it is not there, so that what a data folder holds does not depend on how long the engine has run.
pub(super) fn make_folder(data: &Path) {
    if let Err(error) = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data.join(INDEX_DIR)) {
        tracing::warn!(%error, "the folder of the saved index cannot be made");
    }
}

/// Reading under way on a thread of its own.
pub(super) struct Reading(Option<JoinHandle<IndexFound>>);

impl Reading {
    /// Begins to read. Give it a thread that is not pinned to a core: the new one would be too.
    pub(super) fn start(data: &Path, shard: ShardId, shards: u16, language: Language) -> Self {
        let data = data.to_owned();
        let thread = Builder::new().name(format!("index-{}", shard.0)).spawn(move || read(&data, shard, shards, language));
        if let Err(error) = &thread {
            tracing::warn!(%error, "the saved index is not read");
        }
        Self(thread.ok())
    }

    /// Waits for the end.
    pub(super) fn finish(self) -> IndexFound {
        // A fault in reading has told itself; the index can be made without.
        self.0.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

fn read(data: &Path, shard: ShardId, shards: u16, language: Language) -> IndexFound {
    let mut found = IndexFound::default();
    let mut former = None;
    let own = shard_dir(shard, shards);
    let ours = format!("-of-{shards:05}");
    for folder in names(&data.join(INDEX_DIR)) {
        let is_own = folder == own;
        if !is_own && (folder.ends_with(&ours) || !folder.starts_with("s-")) {
            continue;
        }
        for name in names(&data.join(INDEX_DIR).join(&folder)) {
            let Some((number, whole)) = file_name(&name) else { continue };
            let path = format!("{INDEX_DIR}/{folder}/{name}");
            let saved = if whole { saved(&data.join(&path), &path, (shard, shards), language, &mut former) } else { None };
            if is_own {
                found.last_number = found.last_number.max(number);
            }
            match saved {
                Some(saved) if is_own => {
                    found.own.insert(number, saved);
                }
                Some(saved) => found.others.push(saved),
                None if is_own => found.stale.push(path.clone()),
                None => {}
            }
            // All shards read them, before any serves; one removes them.
            if !is_own && shard.0 == 0 {
                found.stale.push(path);
            }
        }
    }
    if let Some(former) = former {
        tracing::info!(former, %language, shard = shard.0, "the language of the search has changed; its products are indexed again");
    }
    found
}

/// Reads a file for a shard of so many; `former` is told the language that it is in, if that is another.
fn saved(file: &Path, path: &str, (shard, shards): (ShardId, u16), language: Language, former: &mut Option<String>) -> Option<Saved> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(path, %error, "a part of the saved index cannot be read; its products are indexed again");
            return None;
        }
    };
    match Saved::decode(&bytes, language, |_, partition| placement::shard_of(PartitionId(partition), shards) == shard) {
        Ok(saved) => Some(saved),
        Err(SavedError::Language { found, .. }) => {
            *former = Some(found);
            None
        }
        Err(error) => {
            tracing::warn!(path, %error, "a part of the saved index is of no use; its products are indexed again");
            None
        }
    }
}

/// Names in a folder, in order; none when there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let read = || -> io::Result<Vec<String>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = match read() {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the saved index cannot be read; products are indexed again");
            Vec::new()
        }
    };
    names.sort_unstable();
    names
}

//! What the log holds: commands in their frozen, versioned form.
//!
//! Boundary: a type of a released version never changes. A new need is a new variant at the end of an enum, or a new version with
//! an upgrade function; fixtures of every version are compared byte for byte.

#[cfg(test)]
pub(crate) mod tests;
pub mod v1;

use v1::short::Short;

use rkyv::{rancor, ser::writer::Buffer, util::AlignedVec};

/// A body that cannot be read: written by a newer version, or damaged in a way its checksum did not show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The first byte names a version this program does not know.
    #[error("record version {found} is newer than this program's {}; start the version that wrote it", v1::VERSION)]
    Version {
        /// What it names.
        found: u8,
    },
    /// No version byte.
    #[error("record is empty")]
    Empty,
    /// bytecheck refused it.
    #[error("record does not hold a valid entry")]
    Invalid(#[source] rancor::Error),
    /// The short form of a reservation's command, and not one of its layouts.
    #[error("record does not hold a valid reservation in short form ({bytes} bytes)")]
    Short {
        /// Length found.
        bytes: usize,
    },
}

/// Bytes of `entry` as they go into the log: its short form if it has one ([`v1::short`]), else version byte and rkyv's archive.
///
/// # Errors
/// Only when the archive would pass 2 GiB; the log's own bound is far lower.
pub fn encode(entry: &v1::Entry, into: &mut Vec<u8>) -> Result<(), RecordError> {
    into.clear();
    into.resize(v1::short::bytes(entry), 0);
    if let Short::Written(_all_of_it) = v1::short::encode_into(entry, into) {
        return Ok(());
    }
    let archive: AlignedVec = rkyv::to_bytes::<rancor::Error>(entry).map_err(RecordError::Invalid)?;
    into.clear();
    into.reserve(archive.len() + 1);
    into.push(v1::VERSION);
    into.extend_from_slice(&archive);
    Ok(())
}

/// The same, at the front of `into`, without a copy. Says how many bytes it took; `None` when they do not fit, and then `into` holds rubbish.
#[must_use]
pub fn encode_into(entry: &v1::Entry, into: &mut [u8]) -> Option<usize> {
    match v1::short::encode_into(entry, into) {
        Short::Written(bytes) => return Some(bytes),
        Short::NoRoom => return None,
        Short::None => {}
    }
    let (version, archive) = into.split_first_mut()?;
    *version = v1::VERSION;
    let written = rkyv::api::high::to_bytes_in::<_, rancor::Error>(entry, Buffer::from(archive)).ok()?;
    Some(written.len() + 1)
}

/// Reads back what [`encode`] wrote. Checks every length and tag; O(bytes).
///
/// # Errors
/// See [`RecordError`].
pub fn decode(bytes: &[u8]) -> Result<v1::Entry, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Empty),
        Some((&v1::VERSION, archive)) => rkyv::from_bytes::<v1::Entry, rancor::Error>(archive).map_err(RecordError::Invalid),
        Some((&v1::short::FORM, _)) => v1::short::decode(bytes).ok_or(RecordError::Short { bytes: bytes.len() }),
        Some((&found, _)) => Err(RecordError::Version { found }),
    }
}

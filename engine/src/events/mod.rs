//! The event log of a shard: what the feed tells, kept for days behind the write-ahead log.
//!
//! Path: apply tells events → [`EventLog::append`] → chunks in memory → [`EventLog::write`] makes file steps of them, a second or two later →
//! [`EventLog::written`]. Readers go by [`EventLog::read`]: from memory what is young, whole files of the older. A start lists the files
//! ([`Catalog`]), makes again by replay what they lack, and skips what they have, by partition and seq.
//! Read first: [`Track`], then [`EventLog`]. `FORMAT.md` has the bytes.
//!
//! An event is a pure function of its partition's log, so the files may lag behind: nothing is lost with their tail as long as the write-ahead
//! log keeps what they do not cover ([`EventLog::durable`]). They are never ahead: an event is appended once its command is durable.
//! Bounds: [`CHUNK_BYTES`], [`RECENT_BYTES_MAX`], [`UNWRITTEN_BYTES_MAX`], [`CACHED_MAX`]; on disk those of [`Keep`].
//! Deliberately absent: clocks, files and threads; and order between partitions, which nothing defines.

mod bytes;
mod catalog;
mod inspect;
mod log;
#[cfg(test)]
pub(crate) mod tests;

pub use bytes::{
    EVENT_BYTES_MAX, Events, HEADER_BYTES_MAX, Header, HeaderError, LogName, Raw, SEGMENT_BYTES_MAX, Scanned, TRACKS_MAX, Track, put_event,
    scan,
};
pub use catalog::{Catalog, EventFiles, FOLDER, Ignored, LogFiles, parse_file, parse_log, path};
pub use inspect::Inspected;
pub use log::{CACHED_MAX, CHUNK_BYTES, EventLog, Keep, Part, RECENT_BYTES_MAX, Reading, ToRead, UNWRITTEN_BYTES_MAX};

//! Segments as bytes, so that a start need not analyse every text again. `FORMAT.md` has the bytes.
//!
//! Path out: a segment's id → [`Index::save`] → [`Index::save_step`], a block at a time between searches and writes → the caller's file.
//! Path in: bytes → [`Saved::decode`] (anywhere, such as on another thread while the documents are being read) → [`Index::adopt`], which asks of each
//! document whether it is still of the same content → the caller upserts what no file had.
//!
//! What is kept of a document is what analysis made of it: its sheet of tokens, field by field. Terms, impacts and postings are made from these when the
//! segment is taken over. So they always agree with each other, whatever the bytes say, and the file outlives changes of all of them.
//!
//! Bounds: [`SAVED_ROWS_MAX`] documents and [`SAVED_BYTES_MAX`] bytes a file. Nothing is allocated for more than the bytes there can hold.
//! Deliberately absent: files, and any trust. A loaded document counts only with the stamp it has now; everything else is for the caller to index again.

mod read;
mod write;

pub use read::{Saved, SavedError};
pub use write::{Save, Saving};

use hashbrown::HashSet;

use crate::analysis::Language;
use crate::batch::Batch;
use crate::compaction::SEGMENT_ROWS_MAX;
use crate::document::DocKey;
use crate::index::{Columns, Index};
use crate::segment::SegmentId;

/// Documents in one saved segment. A file that says more is damaged.
pub const SAVED_ROWS_MAX: usize = SEGMENT_ROWS_MAX;
/// Bytes of one saved segment. A longer file is damaged; a segment that would be longer is not saved to its end.
pub const SAVED_BYTES_MAX: usize = u32::MAX as usize;

const MAGIC: &[u8; 8] = b"EMPINDEX";
const VERSION: u32 = 4;
/// Payload of one block: far above what the largest document takes.
const BLOCK_BYTES_MAX: usize = 32 << 20;
const BLOCK_HEADER_BYTES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Kind {
    Header = 1,
    Forms = 2,
    Documents = 3,
    End = 4,
}

/// A language as the header has it: its code, filled up with zeros.
fn code_bytes(language: Language) -> [u8; 4] {
    let mut bytes = [0; 4];
    let code = language.code().as_bytes();
    bytes[..code.len()].copy_from_slice(code);
    bytes
}

/// The checksum of a block from its length field on.
fn checksum(offset: u32, block: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(block, u64::from(offset))
}

/// A segment of an index, as [`Index::segments`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its name.
    pub id: SegmentId,
    /// Documents, those included that were removed since.
    pub rows: usize,
    /// Removed ones.
    pub dead: usize,
}

/// What a document that may have been saved is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// As in [`Document`](crate::Document).
    pub stamp: u64,
    /// The values that change in place.
    pub columns: Columns,
}

/// What [`Index::adopt`] took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The segment in the index; `None` when no document of it was of use.
    pub id: Option<SegmentId>,
    /// Documents taken over.
    pub taken: usize,
    /// Documents left out: gone, of another content, or there already.
    pub stale: usize,
}

impl Index {
    /// The immutable segments, oldest first. A merge takes some away and puts a new one behind the others. O(segments).
    pub fn segments(&self) -> impl ExactSizeIterator<Item = SegmentInfo> {
        self.segments.iter().map(|segment| SegmentInfo { id: segment.id, rows: segment.len(), dead: segment.dead().len() })
    }

    /// Takes over what was saved, document by document: where `current` answers the stamp that was saved, the document is in the index as if it
    /// had been upserted, with the columns answered. All others are left out, and so is a document whose key the index has already.
    ///
    /// O(words and attributes of the documents), without touching a text: some microseconds a document.
    pub fn adopt(&mut self, saved: Saved, mut current: impl FnMut(DocKey) -> Option<Current>) -> Adopted {
        let Saved { docs, values_of_docs, forms, sheets, brands, paths, names, values } = saved;
        let read = docs.len();
        let mut ids: Vec<Option<(u32, u32)>> = vec![None; values.len()];
        let mut batch = Batch { forms, sheets, brands, paths, ..Batch::default() };
        let mut keys: HashSet<DocKey, foldhash::fast::FixedState> = HashSet::default();
        keys.reserve(read);
        for (mut doc, values_of_doc) in docs {
            let now = current(doc.key).filter(|now| now.stamp == doc.stamp && now.columns.check().is_ok());
            let Some(now) = now.filter(|_| !self.contains(doc.key) && keys.insert(doc.key)) else { continue };
            let from = batch.entries.len();
            let attributes = &mut self.rows.attributes;
            batch.entries.extend(values_of_docs[values_of_doc].iter().map(|value| {
                *ids[*value as usize].get_or_insert_with(|| {
                    let (name, value) = &values[*value as usize];
                    attributes.entry_of(&names[*name as usize], value)
                })
            }));
            (doc.columns, doc.entries) = (now.columns, from..batch.entries.len());
            batch.docs.push(doc);
        }
        let taken = batch.docs.len();
        Adopted { id: self.settle(batch), taken, stale: read - taken }
    }
}

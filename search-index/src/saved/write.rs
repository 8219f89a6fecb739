//! From a segment to bytes, one block at a time.
//!
//! Path: [`Index::save`] → per step a block of the dictionary's next forms, then of the next documents, each with its
//! sheet, in which forms have their places in the dictionary → the end.
//! Between steps documents may be removed, which are left out from then on, and names may be given up and their ids used again, so a name is known
//! by its text. A merge that takes the segment away ends the saving: the new segment is then the one to save.
//! Bounds: [`KNOWN_MAX`] brands, and as many paths, names and values, are known by number at a time; and 4 bytes for each form.

use std::sync::Arc;

use fst::Streamer;
use hashbrown::HashMap;

use super::{BLOCK_HEADER_BYTES, Kind, MAGIC, SAVED_BYTES_MAX, VERSION, checksum, code_bytes};
use crate::analysis::{ANALYSIS_VERSION, TOKEN_BYTES_MAX};
use crate::counts::FacetKey;
use crate::forward::{push_sheet, push_varint};
use crate::index::Index;
use crate::rows::NO_ID;
use crate::segment::{Segment, SegmentId};

/// Things of one kind whose numbers are remembered. Past it all are forgotten, and named anew when they are met again: a table that grew with the
/// segment would stop searches each time it moves, and when it is dropped.
const KNOWN_MAX: usize = 8_192;

/// What a step of saving came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// There is more.
    More,
    /// These were the last bytes.
    Done,
    /// The segment was merged into another, or has more than [`SAVED_BYTES_MAX`] bytes to it: what was written of it is of no use.
    Gone,
}

/// A saving under way. It may be dropped at any time.
pub struct Save {
    id: SegmentId,
    phase: Phase,
    /// Bytes given out.
    offset: usize,
    documents: u32,
    /// The places of forms in the file, by their numbers in the segment.
    places: Vec<u32>,
    forms: u32,
    brands: Numbers<Arc<str>>,
    paths: Numbers<Vec<Arc<str>>>,
    names: Numbers<Box<str>>,
    values: HashMap<(u32, u32), (u32, u32, FacetKey), foldhash::fast::FixedState>,
    values_made: u32,
    body: Vec<u8>,
}

enum Phase {
    Header,
    Forms { last: Option<Vec<u8>> },
    Documents { next: usize },
    End,
    Done,
}

/// The numbers that a file gives to ids of the index.
struct Numbers<T> {
    by_id: HashMap<u32, (u32, T), foldhash::fast::FixedState>,
    made: u32,
    /// Not written yet.
    new: Vec<u8>,
    new_count: u32,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { by_id: HashMap::default(), made: 0, new: Vec::new(), new_count: 0 }
    }
}

impl<T> Numbers<T> {
    /// The number of an id that stands for what `same` knows. A new one is given, and `write` told to say what it is of, when the id is
    /// not known or stood for something else.
    fn of(&mut self, id: u32, same: impl FnOnce(&T) -> bool, make: impl FnOnce() -> T, write: impl FnOnce(&T, &mut Vec<u8>)) -> u32 {
        if let Some((number, known)) = self.by_id.get(&id)
            && same(known)
        {
            return *number;
        }
        let (number, thing) = (self.made, make());
        self.made += 1;
        self.new_count += 1;
        write(&thing, &mut self.new);
        if self.by_id.len() == KNOWN_MAX {
            self.by_id.clear();
        }
        self.by_id.insert(id, (number, thing));
        number
    }

    /// Moves what is new into the block.
    fn flush(&mut self, block: &mut Vec<u8>) {
        push_varint(block, self.new_count);
        block.append(&mut self.new);
        self.new_count = 0;
    }
}

impl Index {
    /// Begins to save a segment; `None` when there is none of this id. Documents without a stamp are left out. Give the result to [`Index::save_step`]. O(forms), 4 bytes
    /// each to be set to 0.
    #[must_use]
    pub fn save(&self, id: SegmentId) -> Option<Save> {
        let segment = self.segments.iter().find(|segment| segment.id == id)?;
        Some(Save {
            id,
            phase: Phase::Header,
            offset: 0,
            documents: 0,
            places: vec![0; segment.forms_end()],
            forms: 0,
            brands: Numbers::default(),
            paths: Numbers::default(),
            names: Numbers::default(),
            values: HashMap::default(),
            values_made: 0,
            body: Vec::new(),
        })
    }

    /// Appends the next block, of about `bytes` bytes, to `out`. O(bytes), besides the document that passes the mark: 8 KiB take some 100 µs.
    pub fn save_step(&self, save: &mut Save, out: &mut Vec<u8>, bytes: usize) -> Saving {
        let Some(segment) = self.segments.iter().find(|segment| segment.id == save.id) else { return Saving::Gone };
        let from = out.len();
        out.resize(from + BLOCK_HEADER_BYTES, 0);
        let (kind, next) = match std::mem::replace(&mut save.phase, Phase::Done) {
            Phase::Header => {
                out.extend_from_slice(MAGIC);
                out.extend_from_slice(&VERSION.to_le_bytes());
                out.extend_from_slice(&ANALYSIS_VERSION.to_le_bytes());
                out.extend_from_slice(&code_bytes(self.analyzer.language()));
                (Kind::Header, Phase::Forms { last: None })
            }
            Phase::Forms { last } => {
                let next = match save.write_forms(segment, last.as_deref(), out, bytes) {
                    Some(last) => Phase::Forms { last: Some(last) },
                    None => Phase::Documents { next: 0 },
                };
                (Kind::Forms, next)
            }
            Phase::Documents { next } => {
                let next = save.write_documents(self, segment, next, out, bytes);
                (Kind::Documents, if next < segment.len() { Phase::Documents { next } } else { Phase::End })
            }
            Phase::End => {
                out.extend_from_slice(&save.forms.to_le_bytes());
                out.extend_from_slice(&save.documents.to_le_bytes());
                (Kind::End, Phase::Done)
            }
            Phase::Done => {
                out.truncate(from);
                return Saving::Done;
            }
        };
        let length = out.len() - from - BLOCK_HEADER_BYTES;
        if save.offset + BLOCK_HEADER_BYTES + length > SAVED_BYTES_MAX {
            out.truncate(from);
            return Saving::Gone;
        }
        let block = &mut out[from..];
        block[8..12].copy_from_slice(&(length as u32).to_le_bytes());
        block[12] = kind as u8;
        let sum = checksum(save.offset as u32, &block[8..]);
        block[..8].copy_from_slice(&sum.to_le_bytes());
        save.offset += block.len();
        save.phase = next;
        match save.phase {
            Phase::Done => Saving::Done,
            Phase::Header | Phase::Forms { .. } | Phase::Documents { .. } | Phase::End => Saving::More,
        }
    }
}

impl Save {
    /// Appends forms after `last`; answers the last one written when there are more.
    fn write_forms(&mut self, segment: &Segment, last: Option<&[u8]>, out: &mut Vec<u8>, bytes: usize) -> Option<Vec<u8>> {
        let end = out.len() + bytes;
        let mut forms = segment.forms_after(last);
        let mut before: Vec<u8> = Vec::new();
        while let Some((form, number)) = forms.next() {
            self.places[number as usize] = self.forms;
            self.forms += 1;
            let shared = form.iter().zip(&before).take_while(|(a, b)| a == b).count();
            assert!(form.len() <= TOKEN_BYTES_MAX, "analysis cuts tokens");
            out.push(shared as u8);
            out.push((form.len() - shared) as u8);
            out.extend_from_slice(&form[shared..]);
            before.clear();
            before.extend_from_slice(form);
            if out.len() >= end {
                return Some(before);
            }
        }
        None
    }

    /// Appends the documents from the `next`th on; answers the first that is still to be written.
    fn write_documents(&mut self, index: &Index, segment: &Segment, mut next: usize, out: &mut Vec<u8>, bytes: usize) -> usize {
        let bytes = bytes.max(1); // each step gets on
        let mut documents = Vec::with_capacity(bytes);
        let mut new_values = Vec::new();
        let values_before = self.values_made;
        // A removed document costs its share of the step too.
        let mut passed = 0;
        while next < segment.len() && documents.len() + new_values.len() + passed < bytes {
            let row = segment.forward().rows()[next];
            if index.rows.live.contains(row) && index.rows.stamps[row as usize] != 0 {
                self.write_document(index, segment, next, &mut new_values);
                push_varint(&mut documents, self.body.len() as u32);
                documents.extend_from_slice(&self.body);
                self.documents += 1;
            } else {
                passed += 8;
            }
            next += 1;
        }
        self.brands.flush(out);
        self.paths.flush(out);
        self.names.flush(out);
        push_varint(out, self.values_made - values_before);
        out.extend_from_slice(&new_values);
        out.extend_from_slice(&documents);
        next
    }

    /// Leaves the document's bytes in `body`.
    fn write_document(&mut self, index: &Index, segment: &Segment, nth: usize, new_values: &mut Vec<u8>) {
        let (rows, row) = (&index.rows, segment.forward().rows()[nth]);
        let at = row as usize;
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.extend_from_slice(&rows.keys[at].0.to_le_bytes());
        body.extend_from_slice(&rows.stamps[at].to_le_bytes());
        body.extend_from_slice(&rows.partitions[at].to_le_bytes());
        body.extend_from_slice(&rows.releases[at].to_le_bytes());
        let brand = match rows.brand_ids[at] {
            NO_ID => 0,
            id => {
                let text = rows.brands.text(id);
                1 + self.brands.of(id, |known| known == text, || Arc::clone(text), |text, new| push_string(new, text))
            }
        };
        push_varint(&mut body, brand);
        let path = match rows.places[at] {
            NO_ID => 0,
            id => {
                let keys = || rows.categories.path(id).iter().map(|key| rows.categories.keys.text(*key));
                let write = |path: &Vec<Arc<str>>, new: &mut Vec<u8>| {
                    push_varint(new, path.len() as u32);
                    path.iter().for_each(|key| push_string(new, key));
                };
                1 + self.paths.of(id, |known| known.iter().eq(keys()), || keys().cloned().collect(), write)
            }
        };
        push_varint(&mut body, path);
        push_varint(&mut body, rows.values.of(row).len() as u32);
        for &entry in rows.values.of(row) {
            let number = self.value_number(index, entry, new_values);
            push_varint(&mut body, number);
        }
        push_sheet(&mut body, segment.forward().sheet(nth), |form| self.places[form as usize]);
        self.body = body;
    }

    fn value_number(&mut self, index: &Index, entry: (u32, u32), new: &mut Vec<u8>) -> u32 {
        let (name, value) = index.rows.attributes.entry(entry);
        let name = self.names.of(entry.0, |known| **known == *name, || name.into(), |name, new| push_string(new, name));
        if let Some((number, of_name, known)) = self.values.get(&entry)
            && *of_name == name
            && known == value
        {
            return *number;
        }
        let number = self.values_made;
        self.values_made += 1;
        push_varint(new, name);
        match value {
            FacetKey::Text(text) => {
                new.push(0);
                push_string(new, text);
            }
            FacetKey::Number(value) => {
                new.push(1);
                new.extend_from_slice(&value.to_le_bytes());
            }
            FacetKey::Bool(flag) => new.push(2 + u8::from(*flag)),
        }
        if self.values.len() == KNOWN_MAX {
            self.values.clear();
        }
        self.values.insert(entry, (number, name, value.clone()));
        number
    }
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    push_varint(out, text.len() as u32);
    out.extend_from_slice(text.as_bytes());
}

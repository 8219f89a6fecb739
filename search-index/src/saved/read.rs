//! From bytes to a segment that awaits its documents.
//!
//! Path: bytes → blocks (checksums, order) → forms and documents, read once and checked → what [`Index::adopt`](crate::Index::adopt) makes a batch of.
//! Bytes are nobody's word: each number is checked against what it counts or names, and memory is taken in proportion to the bytes there.

use std::ops::Range;
use std::sync::Arc;

use super::{BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, Kind, MAGIC, SAVED_BYTES_MAX, SAVED_ROWS_MAX, VERSION, checksum, code_bytes};
use crate::analysis::{ANALYSIS_VERSION, Language, TOKEN_BYTES_MAX};
use crate::attributes::number;
use crate::batch::Doc;
use crate::counts::FacetKey;
use crate::document::{ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX, CATEGORY_DEPTH_MAX, DocKey, FACETABLE_BYTES_MAX, NAME_BYTES_MAX};
use crate::forward::is_sheet;
use crate::index::Columns;
use crate::postings::MARKS_MAX;

/// Why bytes are no saved segment of use. Nothing is lost: their documents are to be indexed again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// The bytes begin as no saved segment does.
    #[error("these are not the bytes of a saved index segment")]
    Foreign,
    /// Of another version of the format.
    #[error("a saved index segment of version {found}, wanted {VERSION}")]
    Version {
        /// Found.
        found: u32,
    },
    /// Text was taken apart in another way.
    #[error("a saved index segment of analysis {found}, wanted {ANALYSIS_VERSION}")]
    Analysis {
        /// Found.
        found: u32,
    },
    /// Its texts were taken for another language's.
    #[error("a saved index segment in {found}, wanted {wanted}")]
    Language {
        /// Found; a language of a later version of this crate as its code.
        found: String,
        /// Of the index.
        wanted: Language,
    },
    /// The bytes are not as they were written.
    #[error("a saved index segment is damaged in the block at {offset}: {what}")]
    Damaged {
        /// Where the block begins.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// A saved segment, read and checked: what [`Index::adopt`](crate::Index::adopt) takes over.
pub struct Saved {
    /// Each with its part of `values_of_docs`. Columns and entries are for the index to fill in.
    pub(super) docs: Vec<(Doc, Range<usize>)>,
    /// Numbers of values.
    pub(super) values_of_docs: Vec<u32>,
    pub(super) forms: Vec<Box<str>>,
    pub(super) sheets: Vec<u8>,
    pub(super) brands: Vec<Box<str>>,
    pub(super) paths: Vec<Vec<String>>,
    pub(super) names: Vec<Box<str>>,
    /// Number of the name, and the value.
    pub(super) values: Vec<(u32, FacetKey)>,
}

/// What is wrong within a block.
type Fault = &'static str;

impl Saved {
    /// Reads a whole file for an index in `language`. Of its documents those are kept that `wants` answers `true` for, by key and partition.
    ///
    /// O(bytes), some nanoseconds a word. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// Bytes that are not what this version of this crate writes.
    pub fn decode(bytes: &[u8], language: Language, mut wants: impl FnMut(DocKey, u16) -> bool) -> Result<Self, SavedError> {
        let blocks = blocks(bytes, language)?;
        let mut reading = Reading::default();
        for block in &blocks {
            let fault = match block.kind {
                Kind::Header => Ok(()),
                Kind::Forms => reading.forms(block.payload),
                Kind::Documents => reading.documents(block.payload, &mut wants),
                Kind::End => reading.end(block.payload),
            };
            fault.map_err(|what| SavedError::Damaged { offset: block.offset, what })?;
        }
        let Reading { docs, values_of_docs, forms, sheets, brands, paths, names, values, .. } = reading;
        Ok(Self { docs, values_of_docs, forms, sheets, brands, paths, names, values })
    }

    /// Documents that were kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.docs.len()
    }

    /// Whether no document was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }
}

struct Block<'a> {
    offset: usize,
    kind: Kind,
    payload: &'a [u8],
}

/// The blocks in their order, each as it was written.
fn blocks(bytes: &[u8], language: Language) -> Result<Vec<Block<'_>>, SavedError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let damaged = |what| SavedError::Damaged { offset, what };
        let kind_before = blocks.last().map(|block| block.kind);
        let (header, rest) = bytes[offset..].split_at_checked(BLOCK_HEADER_BYTES).ok_or_else(|| damaged("it ends in a block's header"))?;
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        if kind_before.is_none() {
            // Before the checksum, so that any file of a newer version is told apart from a damaged one of this.
            version(rest, language)?;
        }
        if length > BLOCK_BYTES_MAX || length > rest.len() {
            return Err(damaged("a block is longer than the file or the bound"));
        }
        if offset + BLOCK_HEADER_BYTES + length > SAVED_BYTES_MAX {
            return Err(damaged("the file is longer than the bound"));
        }
        let sum = checksum(offset as u32, &bytes[offset + 8..offset + BLOCK_HEADER_BYTES + length]);
        if header[..8] != sum.to_le_bytes() {
            return Err(damaged("the checksum is another"));
        }
        let kind = match header[12..16] {
            [1, 0, 0, 0] => Kind::Header,
            [2, 0, 0, 0] => Kind::Forms,
            [3, 0, 0, 0] => Kind::Documents,
            [4, 0, 0, 0] => Kind::End,
            _ => return Err(damaged("a block is of no known kind")),
        };
        let in_order = match kind_before {
            None => kind == Kind::Header,
            Some(before) => kind > before || (kind == before && matches!(kind, Kind::Forms | Kind::Documents)),
        };
        if !in_order {
            return Err(damaged("a block is out of order"));
        }
        blocks.push(Block { offset, kind, payload: &rest[..length] });
        offset += BLOCK_HEADER_BYTES + length;
    }
    match blocks.last() {
        None => Err(SavedError::Foreign),
        Some(last) if last.kind == Kind::End => Ok(blocks),
        Some(last) => Err(SavedError::Damaged { offset: last.offset, what: "the end is missing" }),
    }
}

fn version(payload: &[u8], wanted: Language) -> Result<(), SavedError> {
    let mut header = Bytes { rest: payload };
    if header.array().ok() != Some(*MAGIC) {
        return Err(SavedError::Foreign);
    }
    let mut field = || header.u32().map_err(|what| SavedError::Damaged { offset: 0, what });
    match field()? {
        VERSION => {}
        found => return Err(SavedError::Version { found }),
    }
    match field()? {
        ANALYSIS_VERSION => {}
        found => return Err(SavedError::Analysis { found }),
    }
    match header.array().map_err(|what| SavedError::Damaged { offset: 0, what })? {
        code if code == code_bytes(wanted) => Ok(()),
        code => Err(SavedError::Language { found: String::from_utf8_lossy(&code).trim_end_matches('\0').to_owned(), wanted }),
    }
}

/// What the blocks so far came to.
#[derive(Default)]
struct Reading {
    forms: Vec<Box<str>>,
    last_form: Vec<u8>,
    /// Documents, the unwanted ones included.
    documents: usize,
    docs: Vec<(Doc, Range<usize>)>,
    sheets: Vec<u8>,
    values_of_docs: Vec<u32>,
    brands: Vec<Box<str>>,
    paths: Vec<Vec<String>>,
    names: Vec<Box<str>>,
    values: Vec<(u32, FacetKey)>,
}

impl Reading {
    fn forms(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let mut bytes = Bytes { rest: payload };
        let mut form = Vec::new();
        while bytes.next_form(&mut form)? {
            if form <= self.last_form {
                return Err("forms are out of order");
            }
            if form[0] <= MARKS_MAX {
                return Err("a form that begins as none does");
            }
            self.forms.push(std::str::from_utf8(&form).map_err(|_| "a form is not UTF-8")?.into());
            self.last_form.clone_from(&form);
        }
        Ok(())
    }

    fn documents(&mut self, payload: &[u8], wants: &mut impl FnMut(DocKey, u16) -> bool) -> Result<(), Fault> {
        let mut bytes = Bytes { rest: payload };
        for _ in 0..bytes.varint()? {
            self.brands.push(bytes.string(NAME_BYTES_MAX)?.into());
        }
        for _ in 0..bytes.varint()? {
            let keys = bytes.varint()? as usize;
            if keys == 0 || keys > CATEGORY_DEPTH_MAX {
                return Err("a category path of no or too many keys");
            }
            let path: Result<Vec<String>, Fault> = (0..keys).map(|_| bytes.string(NAME_BYTES_MAX).map(String::from)).collect();
            self.paths.push(path?);
        }
        for _ in 0..bytes.varint()? {
            let name = bytes.string(ATTRIBUTE_NAME_BYTES_MAX)?;
            if name.is_empty() {
                return Err("an attribute without a name");
            }
            self.names.push(name.into());
        }
        for _ in 0..bytes.varint()? {
            let name = bytes.varint()?;
            if name as usize >= self.names.len() {
                return Err("a value of an unknown attribute");
            }
            let value = match bytes.u8()? {
                0 => FacetKey::Text(Arc::from(bytes.string(FACETABLE_BYTES_MAX)?)),
                1 => FacetKey::Number(
                    Some(f64::from_le_bytes(bytes.array()?)).filter(|found| found.is_finite()).map(number).ok_or("no finite number")?,
                ),
                2 => FacetKey::Bool(false),
                3 => FacetKey::Bool(true),
                _ => return Err("a value of an unknown kind"),
            };
            self.values.push((name, value));
        }
        while !bytes.rest.is_empty() {
            let size = bytes.varint()? as usize;
            self.document(bytes.take(size)?, wants)?;
        }
        Ok(())
    }

    fn document(&mut self, document: &[u8], wants: &mut impl FnMut(DocKey, u16) -> bool) -> Result<(), Fault> {
        self.documents += 1;
        if self.documents > SAVED_ROWS_MAX {
            return Err("more documents than a segment holds");
        }
        let mut bytes = Bytes { rest: document };
        let key = DocKey(u64::from_le_bytes(bytes.array()?));
        let stamp = u64::from_le_bytes(bytes.array()?);
        let partition = u16::from_le_bytes(bytes.array()?);
        if !wants(key, partition) {
            return Ok(());
        }
        let released = i64::from_le_bytes(bytes.array()?);
        let mut one_of = |len: usize| match bytes.varint()? {
            0 => Ok(None),
            number if number as usize <= len => Ok(Some(number - 1)),
            _ => Err("an unknown brand or category path"),
        };
        let (brand, path) = (one_of(self.brands.len())?, one_of(self.paths.len())?);
        let attributes = bytes.varint()? as usize;
        if attributes > ATTRIBUTES_MAX {
            return Err("more attributes than a document has");
        }
        let from = self.values_of_docs.len();
        for _ in 0..attributes {
            let value = bytes.varint()?;
            if value as usize >= self.values.len() {
                return Err("an unknown value");
            }
            self.values_of_docs.push(value);
        }
        let sheet = bytes.rest;
        if !is_sheet(sheet, self.forms.len()) {
            return Err("words that cannot be");
        }
        let at = self.sheets.len();
        self.sheets.extend_from_slice(sheet);
        let (columns, sheet) = (Columns::default(), at..self.sheets.len());
        let doc = Doc { key, stamp, partition, released, columns, brand, path, entries: 0..0, sheet };
        self.docs.push((doc, from..self.values_of_docs.len()));
        Ok(())
    }

    fn end(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let mut bytes = Bytes { rest: payload };
        let (forms, documents) = (bytes.u32()?, bytes.u32()?);
        if forms as usize != self.forms.len() || documents as usize != self.documents || !bytes.rest.is_empty() {
            return Err("there are not as many forms and documents as were written");
        }
        Ok(())
    }
}

/// The rest of a payload.
struct Bytes<'a> {
    rest: &'a [u8],
}

const SHORT: Fault = "it ends too early";

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| "a number of more than 32 bits");
            }
        }
        Err("a number of more than five bytes")
    }

    fn string(&mut self, max: usize) -> Result<&'a str, Fault> {
        let len = self.varint()? as usize;
        if len > max {
            return Err("a text over its bound");
        }
        std::str::from_utf8(self.take(len)?).map_err(|_| "a text is not UTF-8")
    }

    /// Turns the form before into the next; `false` at the end.
    fn next_form(&mut self, form: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (shared, len) = (usize::from(self.u8()?), usize::from(self.u8()?));
        if shared > form.len() || shared + len > TOKEN_BYTES_MAX || shared + len == 0 {
            return Err("a form that cannot be");
        }
        form.truncate(shared);
        form.extend_from_slice(self.take(len)?);
        Ok(true)
    }
}

//! The index: writes, columns and background work. Searching is in `search`, suggesting in `suggest`.
//!
//! Path of a write: `Document` → `check` → the old row retired, a new row's columns filled → its tokens (`forward`) →
//! `Head::insert` → visible to the next search. Later, in `Index::maintain`: head → `Segment` → fewer, larger segments.
//! Deliberately absent: documents (the caller holds them), files, clocks, threads.

use crate::analysis::{Analyzer, Language};
use crate::batch::Gather;
use crate::compaction::{Compaction, SEGMENT_ROWS_MAX, backlog, choose, choose_at_rest};
use crate::document::{DocKey, Document, DocumentError};
use crate::forward::{Sheet, analyse};
use crate::head::Head;
use crate::names::Categories;
use crate::nouns::Nouns;
use crate::product_types::ProductTypes;
use crate::rows::Rows;
use crate::saved::Current;
use crate::segment::{Segment, SegmentId};

/// Documents that a bulk load gathers before it makes a segment of them: more makes fewer segments and a higher peak of memory, some 200 bytes a document
/// of a few dozen words beside what stays.
pub const BULK_ROWS_MAX: usize = SEGMENT_ROWS_MAX;
/// Distinct terms in the head at which [`Index::maintain`] seals it whatever its rows: bounds what a seal sorts.
pub const HEAD_TERMS_MAX: usize = 1 << 18;

/// What an index can be told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rows in the mutable head at which [`Index::maintain`] seals it, in one step of about 1.5 µs a row of a few dozen words.
    pub head_rows_max: usize,
    /// What its texts are in. Another language is another index: what was saved in one is not taken over by the other.
    pub language: Language,
}

impl Default for Settings {
    fn default() -> Self {
        Self { head_rows_max: 256, language: Language::English }
    }
}

/// The values that change often, and change in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Minor units; any value but `i64::MIN`.
    pub price: Option<i64>,
    /// Hundredths; any value but `u16::MAX`.
    pub rating: Option<u16>,
    /// Higher is more popular.
    pub popularity: i64,
    /// Hundredths of the price that the shop earns by it; 0 if nobody knows.
    pub margin: i8,
}

impl Columns {
    pub(crate) fn check(&self) -> Result<(), DocumentError> {
        if self.price == Some(i64::MIN) || self.rating == Some(u16::MAX) { Err(DocumentError::Reserved) } else { Ok(()) }
    }
}

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The key is new.
    Added,
    /// The key's former document is gone.
    Replaced,
}

/// How an index is laid out; answers do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Live documents.
    pub documents: usize,
    /// Rows of the columns, those waiting to be used again included.
    pub rows: usize,
    /// Documents in the mutable head.
    pub head_rows: usize,
    /// Immutable segments.
    pub segments: usize,
    /// Rows of segments that were removed and not yet merged away.
    pub dead_rows: usize,
    /// Bytes of the segments.
    pub segment_bytes: usize,
}

/// An index of documents in memory.
///
/// One writer (`&mut`), any readers (`&`); a write is seen by the next search. Nothing runs in the background: whoever owns the
/// index calls [`Index::maintain`] when there is time, or never.
#[derive(Default)]
pub struct Index {
    settings: Settings,
    pub(crate) analyzer: Analyzer,
    pub(crate) rows: Rows,
    pub(crate) head: Head,
    /// Learnt from every title that was written.
    pub(crate) nouns: Nouns,
    pub(crate) segments: Vec<Segment>,
    /// Merges under way; the last one is the smallest and goes on first.
    compactions: Vec<Compaction>,
    /// Of the document at hand.
    sheet: Sheet,
    segments_made: u64,
}

impl Index {
    /// An empty index.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let language = settings.language;
        let (analyzer, nouns) = (Analyzer::new(language), Nouns::new(language));
        let mut index = Self { settings, analyzer, nouns, ..Self::default() };
        index.rows.categories = Categories::new(language);
        index.rows.attributes.types = ProductTypes::new(language);
        index
    }

    /// An index of these documents: `new`, then [`Index::extend`].
    ///
    /// # Errors
    /// As [`Index::extend`].
    pub fn build(settings: Settings, documents: impl IntoIterator<Item = Document>) -> Result<Self, DocumentError> {
        let mut index = Self::new(settings);
        index.extend(documents)?;
        Ok(index)
    }

    /// Upserts many documents, by segments of up to [`BULK_ROWS_MAX`] in which documents of a category stand together, the most popular first: the fast
    /// way to start, and the one that gives the fastest searches.
    ///
    /// # Errors
    /// At the first document over a bound; those before it are indexed.
    pub fn extend(&mut self, documents: impl IntoIterator<Item = Document>) -> Result<(), DocumentError> {
        let mut documents = documents.into_iter();
        // What would not fill a head is no bulk.
        let first: Vec<Document> = documents.by_ref().take(self.settings.head_rows_max.max(1)).collect();
        if first.len() < self.settings.head_rows_max.max(1) {
            return first.iter().try_for_each(|document| self.upsert(document).map(drop));
        }
        let mut documents = first.into_iter().chain(documents).peekable();
        while documents.peek().is_some() {
            let mut gather = Gather::default();
            let gathered = documents
                .by_ref()
                .take(BULK_ROWS_MAX)
                .try_for_each(|document| gather.add(&self.analyzer, &mut self.rows.attributes, &document));
            self.settle(gather.finish());
            gathered?;
        }
        Ok(())
    }

    /// Adds the document, or puts it in the place of the one with its key. O(text), some microseconds a hundred words.
    ///
    /// # Errors
    /// A document over a bound of this crate; the index is unchanged.
    pub fn upsert(&mut self, document: &Document) -> Result<Written, DocumentError> {
        document.check()?;
        let replaced = self.remove(document.key);
        let Self { head, analyzer, sheet, .. } = self;
        analyse(analyzer, document, sheet, |token| head.form(analyzer, token));
        let row = self.rows.add(document);
        self.head.insert(row, &self.sheet, &mut self.nouns);
        Ok(if replaced { Written::Replaced } else { Written::Added })
    }

    /// Takes a document out; `false` when there is none with the key. O(its terms · log).
    pub fn remove(&mut self, key: DocKey) -> bool {
        let Some(row) = self.rows.find(key) else { return false };
        self.rows.retire(row);
        if self.head.remove(row) {
            self.rows.release(row);
            return true;
        }
        let at = self.segments.iter_mut().position(|segment| segment.remove(row));
        let at = at.expect("every live row is in the head or in a segment");
        let segment = self.segments[at].id;
        self.compactions.iter_mut().for_each(|compaction| compaction.row_died(segment, row));
        true
    }

    /// Takes out every document of a partition, such as one that moved away, and answers how many there were. O(all documents).
    pub fn remove_partition(&mut self, partition: u16) -> usize {
        let rows = &self.rows;
        let keys: Vec<DocKey> =
            rows.live.iter().filter(|row| rows.partitions[*row as usize] == partition).map(|row| rows.keys[row as usize]).collect();
        keys.iter().filter(|key| self.remove(**key)).count()
    }

    /// Whether there is a document with the key.
    #[must_use]
    pub fn contains(&self, key: DocKey) -> bool {
        self.rows.find(key).is_some()
    }

    /// Documents in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes a document's columns in place, nothing else; `false` when there is none with the key. O(1).
    ///
    /// # Errors
    /// [`DocumentError::Reserved`] for the two values that stand for absence.
    pub fn set_columns(&mut self, key: DocKey, columns: Columns) -> Result<bool, DocumentError> {
        columns.check()?;
        let Some(row) = self.rows.find(key) else { return Ok(false) };
        self.rows.set(row, columns);
        Ok(true)
    }

    /// As [`Index::set_columns`], of a document whose content is still that of the stamp; `false` where it is not, or has none: then upsert it. O(1).
    ///
    /// So whoever knows only that something of a document changed need not analyse its texts to learn that it was the price. What its title is taken to be about stays as it
    /// was, as with every document that is not written.
    ///
    /// # Errors
    /// As [`Index::set_columns`].
    pub fn refresh(&mut self, key: DocKey, current: Current) -> Result<bool, DocumentError> {
        let Current { stamp, columns } = current;
        let is_same = |row: u32| stamp != 0 && self.rows.stamps[row as usize] == stamp;
        if self.rows.find(key).is_some_and(is_same) { self.set_columns(key, columns) } else { Ok(false) }
    }

    /// A document's columns.
    #[must_use]
    pub fn columns(&self, key: DocKey) -> Option<Columns> {
        self.rows.find(key).map(|row| self.rows.columns(row))
    }

    /// Does one bounded piece of tidying and answers whether there is more to do. Answers to searches never depend on it.
    ///
    /// A piece is one of: a step of a merge of about `budget` postings (10,000 take half a millisecond); the start or the end of a merge, a copy of some bytes a row; the
    /// sealing of a head of [`Settings::head_rows_max`] rows, half a millisecond to three at the default, by how long texts are. Smaller merges go before larger ones.
    pub fn maintain(&mut self, budget: usize) -> bool {
        if self.head.len() >= self.settings.head_rows_max.max(1) || self.head.term_count() >= HEAD_TERMS_MAX {
            self.seal();
            return true;
        }
        let chosen = choose(&self.segments, &self.compactions);
        if !chosen.is_empty() {
            self.join(&chosen);
            return true;
        }
        let Some(mut compaction) = self.compactions.pop() else { return false };
        if compaction.step(&self.segments, budget.max(1)) {
            let (segment, free) = compaction.finish(&mut self.segments);
            self.take_segment(segment);
            for row in free {
                self.rows.release(row);
            }
        } else {
            self.compactions.push(compaction);
        }
        true
    }

    /// As [`Index::maintain`], and further: joins segments until there are few, each more than eight times as large as all smaller ones together, but for
    /// those of a million rows. Each costs a search some 3 µs more (308 queries of 63,722 products in ten segments and in one). For when nothing has been written for a while: in the middle of writes rows would be copied more often than it is worth.
    pub fn consolidate(&mut self, budget: usize) -> bool {
        if self.maintain(budget) {
            return true;
        }
        let chosen = choose_at_rest(&self.segments);
        if chosen.is_empty() {
            return false;
        }
        self.join(&chosen);
        true
    }

    fn join(&mut self, chosen: &[usize]) {
        self.compactions.push(Compaction::new(chosen, &self.segments, &self.rows.live));
    }

    /// Merges that are under way or could be: 0 at rest, 1 where tidying keeps up with writing. Where it does not, the number grows, and with it what a search has to look
    /// through: do as many pieces the more. O(segments).
    #[must_use]
    pub fn backlog(&self) -> usize {
        backlog(&self.segments, &self.compactions)
    }

    fn seal(&mut self) {
        let segment = self.head.seal();
        self.take_segment(segment);
    }

    /// Puts a segment behind the others and names it, unless it is empty.
    pub(crate) fn take_segment(&mut self, mut segment: Segment) -> Option<SegmentId> {
        if segment.len() == 0 {
            return None;
        }
        self.segments_made += 1;
        segment.id = SegmentId(self.segments_made);
        self.segments.push(segment);
        Some(SegmentId(self.segments_made))
    }

    /// Sizes, for metrics and tests. O(segments).
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout {
            documents: self.len(),
            rows: self.rows.end(),
            head_rows: self.head.len(),
            segments: self.segments.len(),
            dead_rows: self.segments.iter().map(|segment| segment.dead().len()).sum(),
            segment_bytes: self.segments.iter().map(Segment::bytes).sum(),
        }
    }
}

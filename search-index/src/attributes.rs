//! Attributes: thousands of names, most of them on few documents, each a sparse column of value ids.
//!
//! Path: a document's attributes → `Attributes::insert` → per name a `Column` (rows and value ids in chunks of 4,096 rows) and
//! its dictionary of values. A filter or facet walks a column once and tests each entry against the match set.
//! Cost: 6 bytes an entry, plus 8 in the row's own list, by which a removal finds its entries.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::bitset::{Bitset, Ones};
use crate::budget::{Meter, cost};
use crate::counts::FacetKey;
use crate::document::{AttributeValue, FACETABLE_BYTES_MAX};
use crate::fields::called;
use crate::names::HASHER;
use crate::pieces::Grown;
use crate::product_types::{ProductTypes, is_product_type};
use crate::query::FilterValue;
use crate::row_values::RowEntry;
use crate::split_table::SplitTable;

/// Rows of one chunk of a column: bounds what an insertion moves.
const CHUNK_ROWS: u32 = 4096;
const CHUNK_WORDS: usize = CHUNK_ROWS as usize / 64;

/// A value as looked up, without owning it.
#[derive(Clone, Copy, PartialEq)]
enum ValueRef<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
}

impl<'a> ValueRef<'a> {
    fn of(key: &'a FacetKey) -> Self {
        match key {
            FacetKey::Bool(flag) => Self::Bool(*flag),
            FacetKey::Number(number) => Self::Number(*number),
            FacetKey::Text(text) => Self::Text(text),
        }
    }

    fn hash(self) -> u64 {
        let mut hasher = HASHER.build_hasher();
        match self {
            Self::Bool(flag) => flag.hash(&mut hasher),
            Self::Number(number) => number.to_bits().hash(&mut hasher),
            Self::Text(text) => text.hash(&mut hasher),
        }
        hasher.finish()
    }

    fn owned(self) -> FacetKey {
        match self {
            Self::Bool(flag) => FacetKey::Bool(flag),
            Self::Number(number) => FacetKey::Number(number),
            Self::Text(text) => FacetKey::Text(Arc::from(text)),
        }
    }
}

/// Zero has one spelling, so that -0 and 0 are one value.
pub(crate) fn number(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

struct Value {
    value: FacetKey,
    rows: u32,
}

struct Chunk {
    /// Rows are `CHUNK_ROWS · at + low`.
    at: u32,
    lows: Vec<u16>,
    values: Vec<u32>,
}

/// One attribute over all rows.
#[derive(Default)]
pub(crate) struct Column {
    table: SplitTable<u32>,
    values: Grown<Value>,
    free: Vec<u32>,
    /// Values that are numbers.
    numbers: usize,
    /// By `at`; entries by row, then value.
    chunks: Vec<Chunk>,
    entries: usize,
    /// Whether its values are what products are.
    of_types: bool,
}

impl Column {
    /// Value ids are below this.
    pub(crate) fn value_end(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn value(&self, id: u32) -> &FacetKey {
        &self.values[id].value
    }

    /// The value as a number, if it is one.
    pub(crate) fn number(&self, id: u32) -> Option<f64> {
        match self.value(id) {
            FacetKey::Number(number) => Some(*number),
            FacetKey::Bool(_) | FacetKey::Text(_) => None,
        }
    }

    /// Whether any value is a number.
    pub(crate) fn has_numbers(&self) -> bool {
        self.numbers > 0
    }

    fn find(&self, value: ValueRef<'_>) -> Option<u32> {
        self.table.find(value.hash(), |id| ValueRef::of(&self.values[*id].value) == value).copied()
    }

    /// The id of a value that a filter names.
    pub(crate) fn find_wanted(&self, value: &FilterValue) -> Option<u32> {
        self.find(match value {
            FilterValue::Text(text) => ValueRef::Text(text),
            FilterValue::Number(wanted) => ValueRef::Number(number(*wanted)),
            FilterValue::Bool(flag) => ValueRef::Bool(*flag),
        })
    }

    /// The id of a value, which gets one if it is new. The caller enters a row with it.
    fn value_id(&mut self, value: ValueRef<'_>, owned: impl FnOnce() -> FacetKey) -> u32 {
        self.find(value).unwrap_or_else(|| {
            let new = Value { value: owned(), rows: 0 };
            self.numbers += usize::from(matches!(new.value, FacetKey::Number(_)));
            let id = match self.free.pop() {
                Some(id) => {
                    self.values[id] = new;
                    id
                }
                None => self.values.push(new),
            };
            let values = &self.values;
            self.table.insert_unique(value.hash(), id, |id| ValueRef::of(&values[*id].value).hash());
            id
        })
    }

    /// Adds a value by its id to a row; `false` when the row has it already.
    fn enter(&mut self, row: u32, id: u32) -> bool {
        let (at, low) = (row / CHUNK_ROWS, (row % CHUNK_ROWS) as u16);
        let chunk = match self.chunks.last() {
            Some(last) if last.at == at => self.chunks.len() - 1,
            Some(_) | None => match self.chunks.binary_search_by_key(&at, |chunk| chunk.at) {
                Ok(chunk) => chunk,
                Err(chunk) => {
                    self.chunks.insert(chunk, Chunk { at, lows: Vec::new(), values: Vec::new() });
                    chunk
                }
            },
        };
        let chunk = &mut self.chunks[chunk];
        let place = match chunk.place(low, id) {
            Ok(_) => return false,
            Err(place) => place,
        };
        chunk.lows.insert(place, low);
        chunk.values.insert(place, id);
        self.values[id].rows += 1;
        self.entries += 1;
        true
    }

    fn remove(&mut self, row: u32, id: u32) {
        let (at, low) = (row / CHUNK_ROWS, (row % CHUNK_ROWS) as u16);
        let found = self.chunks.binary_search_by_key(&at, |chunk| chunk.at);
        let index = found.expect("a row's list names only entries that its columns have");
        let chunk = &mut self.chunks[index];
        let place = chunk.place(low, id).expect("a row's list names only entries that its columns have");
        chunk.lows.remove(place);
        chunk.values.remove(place);
        if chunk.lows.is_empty() {
            self.chunks.remove(index);
        }
        self.entries -= 1;
        let value = &mut self.values[id];
        value.rows -= 1;
        if value.rows == 0 {
            let hash = ValueRef::of(&value.value).hash();
            self.numbers -= usize::from(matches!(value.value, FacetKey::Number(_)));
            value.value = FacetKey::Bool(false);
            self.table.remove(hash, |other| *other == id);
            self.free.push(id);
        }
    }

    /// Calls `visit(row, value id)` for the entries of the set's rows, ascending, as far as the budget goes.
    ///
    /// A chunk is walked entry by entry, or by binary search for each row of the set where that is the shorter way.
    pub(crate) fn for_each_in(&self, set: &Bitset, meter: &Meter, mut visit: impl FnMut(u32, u32)) {
        for chunk in &self.chunks {
            if !meter.may_go_on() {
                return;
            }
            let first_word = chunk.at as usize * CHUNK_WORDS;
            let mut words = [0_u64; CHUNK_WORDS];
            let mut rows = 0;
            for (at, word) in words.iter_mut().enumerate() {
                *word = set.word(first_word + at);
                rows += word.count_ones() as usize;
            }
            let base = chunk.at * CHUNK_ROWS;
            meter.charge((rows * 12).min(chunk.lows.len()) as u64 * cost::COLUMN + CHUNK_WORDS as u64);
            if rows * 12 < chunk.lows.len() {
                for (at, word) in (0_u32..).zip(words) {
                    for low in (Ones { word, base: at * 64 }) {
                        let from = chunk.lows.partition_point(|other| u32::from(*other) < low);
                        for place in from..chunk.lows.len() {
                            if u32::from(chunk.lows[place]) != low {
                                break;
                            }
                            visit(base + low, chunk.values[place]);
                        }
                    }
                }
            } else {
                for (&low, &value) in chunk.lows.iter().zip(&chunk.values) {
                    if words[usize::from(low) / 64] >> (low % 64) & 1 == 1 {
                        visit(base + u32::from(low), value);
                    }
                }
            }
        }
    }
}

impl Chunk {
    fn place(&self, low: u16, value: u32) -> Result<usize, usize> {
        // Bulk loads append: look at the end before searching.
        if self.lows.last().is_none_or(|last| *last < low) {
            return Err(self.lows.len());
        }
        let from = self.lows.partition_point(|other| *other < low);
        let len = self.lows[from..].partition_point(|other| *other == low);
        self.values[from..from + len].binary_search(&value).map(|at| from + at).map_err(|at| from + at)
    }
}

/// What one row has: attribute id and value id, in the order of insertion.
pub(crate) type RowAttributes = SmallVec<[RowEntry; 16]>;

/// All columns by name.
#[derive(Default)]
pub(crate) struct Attributes {
    ids: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
    columns: Vec<Column>,
    names: Vec<Box<str>>,
    /// By what they are called in texts of queries: `Screen size` and `screen_size` are the same there. Most names are the only ones that are called so.
    called: HashMap<Box<str>, SmallVec<[u32; 1]>, foldhash::fast::FixedState>,
    free: Vec<u32>,
    pub(crate) types: ProductTypes,
}

impl Attributes {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.ids.get(name).map(|id| &self.columns[*id as usize])
    }

    /// The attribute's id, as rows' lists have it, and its column.
    pub(crate) fn numbered(&self, name: &str) -> Option<(u32, &Column)> {
        self.ids.get(name).map(|id| (*id, &self.columns[*id as usize]))
    }

    /// The columns of attributes that are called so in texts of queries.
    pub(crate) fn called(&self, name: &str) -> impl Iterator<Item = &Column> {
        self.called.get(name).into_iter().flatten().map(|id| &self.columns[*id as usize])
    }

    /// Whether a document has an attribute that is called so.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        // Ids may be without rows for a while.
        self.called(name).any(|column| column.entries > 0)
    }

    /// Enters a row's values and answers the list to take them out by.
    pub(crate) fn insert(&mut self, row: u32, attributes: &[(String, AttributeValue)]) -> RowAttributes {
        let mut entries = Vec::with_capacity(attributes.len());
        self.entries_of(attributes, &mut entries);
        self.enter(row, entries)
    }

    /// The entries for a document's values, as [`Attributes::entry_of`].
    pub(crate) fn entries_of(&mut self, attributes: &[(String, AttributeValue)], entries: &mut Vec<(u32, u32)>) {
        for (name, value) in attributes {
            let value = match value {
                AttributeValue::Text(text) | AttributeValue::Keyword(text) if text.len() > FACETABLE_BYTES_MAX => continue,
                AttributeValue::Text(text) | AttributeValue::Keyword(text) => ValueRef::Text(text),
                AttributeValue::Number(found) => ValueRef::Number(number(*found)),
                AttributeValue::Bool(flag) => ValueRef::Bool(*flag),
            };
            let id = self.name_id(name);
            entries.push((id, self.columns[id as usize].value_id(value, || value.owned())));
        }
    }

    /// The name and value that an entry of a row's list stands for.
    pub(crate) fn entry(&self, (name, value): (u32, u32)) -> (&str, &FacetKey) {
        (&self.names[name as usize], self.columns[name as usize].value(value))
    }

    /// The entry for a name and value, which get their ids if they are new. The caller gives it to [`Attributes::enter`] before it takes any row's values
    /// out: ids without a row are not taken back, and may be taken with those of a row that goes.
    pub(crate) fn entry_of(&mut self, name: &str, value: &FacetKey) -> (u32, u32) {
        let id = self.name_id(name);
        (id, self.columns[id as usize].value_id(ValueRef::of(value), || value.clone()))
    }

    /// Enters a row's values by entries of [`Attributes::entry_of`]; one that comes again counts once.
    pub(crate) fn enter(&mut self, row: u32, entries: impl IntoIterator<Item = (u32, u32)>) -> RowAttributes {
        let Self { columns, types, .. } = self;
        let mut enter = |id: u32, value: u32| {
            let column = &mut columns[id as usize];
            let is_new = column.enter(row, value);
            if column.of_types
                && is_new
                && let FacetKey::Text(name) = column.value(value)
            {
                types.insert(name, row);
            }
            is_new
        };
        entries.into_iter().filter(|(id, value)| enter(*id, *value)).collect()
    }

    fn name_id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.columns.push(Column::default());
            self.names.push("".into());
            self.columns.len() as u32 - 1
        });
        self.names[id as usize] = name.into();
        self.columns[id as usize].of_types = is_product_type(name);
        self.ids.insert(name.into(), id);
        self.called.entry(called(name).into()).or_default().push(id);
        id
    }

    /// Takes a row's values out again.
    pub(crate) fn remove(&mut self, row: u32, list: &[RowEntry]) {
        for &(id, value) in list {
            let column = &mut self.columns[id as usize];
            if column.of_types
                && let FacetKey::Text(name) = column.value(value)
            {
                self.types.remove(name, row);
            }
            column.remove(row, value);
            if column.entries == 0 {
                *column = Column::default();
                let name = &*self.names[id as usize];
                self.ids.remove(name);
                let called = called(name);
                if let Some(of_name) = self.called.get_mut(&*called) {
                    of_name.retain(|other| *other != id);
                    if of_name.is_empty() {
                        self.called.remove(&*called);
                    }
                }
                self.free.push(id);
            }
        }
    }
}

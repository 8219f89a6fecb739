//! One dense row a document: the columns that filters, facets and sorting read, changed in place.
//!
//! Path: a document → `Rows::add` (a fresh row, or one that nothing refers to) → columns by row → `Rows::retire` (gone from all
//! answers) → `Rows::release` (free for use again, once no posting names it).
//! Cost: up to 53 bytes a row, those columns aside in which no row has a value, and some 8 to find it by its key, besides its attributes.

use std::hash::BuildHasher;

use crate::attributes::Attributes;
use crate::bitset::Bitset;
use crate::collect::value_of;
use crate::cursor::{SortKey, Tier};
use crate::document::{DocKey, Document};
use crate::index::Columns;
use crate::names::{Categories, HASHER, Names};
use crate::pieces::Pieces;
use crate::query::Sort;
use crate::rank::windows::WINDOW_ROWS;
use crate::row_values::RowValues;
use crate::signals::popularity;
use crate::split_table::SplitTable;
use crate::stretches::Stretches;

/// In the price column: no price.
pub(crate) const NO_PRICE: i64 = i64::MIN;
/// In the rating column: unrated.
pub(crate) const NO_RATING: u16 = u16::MAX;
/// In the brand and category columns: none.
pub(crate) const NO_ID: u32 = u32::MAX;

/// What a row holds beside the columns that change in place.
pub(crate) struct Entry {
    pub(crate) key: DocKey,
    pub(crate) stamp: u64,
    pub(crate) partition: u16,
    pub(crate) released: i64,
    pub(crate) brand: u32,
    pub(crate) place: u32,
}

#[derive(Default)]
pub(crate) struct Rows {
    /// Rows by the hashes of their keys, which are looked at in the column: a quarter of the memory of a map that holds the keys too.
    by_key: SplitTable<u32>,
    /// Rows are below this.
    end: usize,
    pub(crate) live: Bitset,
    free: Vec<u32>,
    pub(crate) keys: Pieces<DocKey>,
    pub(crate) partitions: Pieces<u16>,
    pub(crate) prices: Pieces<i64>,
    pub(crate) ratings: Pieces<u16>,
    pub(crate) popularities: Pieces<i64>,
    pub(crate) margins: Pieces<i8>,
    /// By stretch of `WINDOW_ROWS`, the greatest share of popularity ([`popularity`]) that any row of it has or had: it is only ever raised, so that a change
    /// in place costs no look at the others.
    most_popular: Vec<u8>,
    pub(crate) releases: Pieces<i64>,
    pub(crate) brand_ids: Pieces<u32>,
    pub(crate) places: Pieces<u32>,
    pub(crate) stretches: Stretches,
    pub(crate) values: RowValues,
    pub(crate) stamps: Pieces<u64>,
    pub(crate) brands: Names,
    pub(crate) categories: Categories,
    pub(crate) attributes: Attributes,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Rows are below this.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    pub(crate) fn find(&self, key: DocKey) -> Option<u32> {
        self.by_key.find(HASHER.hash_one(key), |row| self.keys[*row as usize] == key).copied()
    }

    /// Enters a document whose key is not in use.
    pub(crate) fn add(&mut self, document: &Document) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| self.fresh(1));
        let brand = document.brand.as_deref().map_or(NO_ID, |brand| self.brands.insert(brand, row));
        let place = if document.category.is_empty() { NO_ID } else { self.categories.insert(&document.category, row) };
        let list = self.attributes.insert(row, &document.attributes);
        self.values.put(row, &list);
        let Document { key, stamp, partition, released, price, rating, popularity, margin, .. } = *document;
        self.enter(row, Entry { key, stamp, partition, released, brand, place }, Columns { price, rating, popularity, margin });
        row
    }

    /// So many new rows behind all others, which belong to no document; answers the first.
    ///
    /// Each is given to [`Rows::enter`], or named by a segment as dead, or released.
    pub(crate) fn fresh(&mut self, rows: usize) -> u32 {
        let first = self.end;
        let end = first + rows;
        u32::try_from(end).expect("memory ends before four billion documents do");
        self.end = end;
        self.keys.grow(end, DocKey(0));
        self.stamps.grow(end, 0);
        self.partitions.grow(end, 0);
        self.prices.grow(end, NO_PRICE);
        self.ratings.grow(end, NO_RATING);
        self.popularities.grow(end, 0);
        self.margins.grow(end, 0);
        self.most_popular.resize(end.div_ceil(WINDOW_ROWS), 0);
        self.releases.grow(end, 0);
        self.brand_ids.grow(end, NO_ID);
        self.places.grow(end, NO_ID);
        first as u32
    }

    /// Gives a row that is in no use to a document whose key is in no use. Brand, category and attributes have the row already.
    pub(crate) fn enter(&mut self, row: u32, entry: Entry, columns: Columns) {
        let at = row as usize;
        self.keys.set(at, entry.key);
        self.stamps.set(at, entry.stamp);
        self.partitions.set(at, entry.partition);
        self.releases.set(at, entry.released);
        self.brand_ids.set(at, entry.brand);
        self.places.set(at, entry.place);
        self.stretches.enter(row, entry.place, &self.live);
        self.live.insert(row);
        let Self { by_key, keys, .. } = self;
        by_key.insert_unique(HASHER.hash_one(entry.key), row, |row| HASHER.hash_one(keys[*row as usize]));
        self.set(row, columns);
    }

    /// Room for so many more documents.
    pub(crate) fn reserve(&mut self, documents: usize) {
        let Self { by_key, keys, .. } = self;
        by_key.reserve(documents, |row| HASHER.hash_one(keys[*row as usize]));
    }

    pub(crate) fn set(&mut self, row: u32, columns: Columns) {
        let at = row as usize;
        self.prices.set(at, columns.price.unwrap_or(NO_PRICE));
        self.ratings.set(at, columns.rating.unwrap_or(NO_RATING));
        self.popularities.set(at, columns.popularity);
        self.margins.set(at, columns.margin);
        let most = &mut self.most_popular[at / WINDOW_ROWS];
        *most = popularity(columns.popularity).max(*most);
    }

    /// A share of popularity that no row of the stretch of `WINDOW_ROWS` around this one is above.
    pub(crate) fn most_popular(&self, row: u32) -> u8 {
        self.most_popular[row as usize / WINDOW_ROWS]
    }

    pub(crate) fn columns(&self, row: u32) -> Columns {
        let at = row as usize;
        Columns {
            price: Some(self.prices[at]).filter(|price| *price != NO_PRICE),
            rating: Some(self.ratings[at]).filter(|rating| *rating != NO_RATING),
            popularity: self.popularities[at],
            margin: self.margins[at],
        }
    }

    /// Keys of the categories that a row is in, from the root on.
    pub(crate) fn category(&self, row: u32) -> Vec<String> {
        let place = self.places[row as usize];
        let path = if place == NO_ID { &[][..] } else { self.categories.path(place) };
        path.iter().map(|key| self.categories.keys.text(*key).to_string()).collect()
    }

    /// Takes a live row out of every set and column; its number stays taken until [`Rows::release`].
    pub(crate) fn retire(&mut self, row: u32) {
        let at = row as usize;
        self.by_key.remove(HASHER.hash_one(self.keys[at]), |other| *other == row);
        self.live.remove(row);
        if self.brand_ids[at] != NO_ID {
            self.brands.remove(self.brand_ids[at], row);
        }
        if self.places[at] != NO_ID {
            self.categories.remove(self.places[at], row);
        }
        self.attributes.remove(row, self.values.of(row));
        self.values.clear(row);
    }

    /// Lets a retired row be used again.
    pub(crate) fn release(&mut self, row: u32) {
        debug_assert!(!self.live.contains(row), "row {row} is in use");
        self.free.push(row);
    }

    /// Where a row stands in the order. `score` counts only in order of relevance.
    pub(crate) fn sort_key(&self, row: u32, sort: Sort, tier: Tier, score: Option<u32>) -> SortKey {
        let at = row as usize;
        // `!x` turns the order of integers around without overflow.
        let value = match (sort, score) {
            (Sort::Relevance, Some(score)) => value_of(score),
            (Sort::Relevance, None) | (Sort::Popularity, _) => !self.popularities[at],
            (Sort::Price, _) => match self.prices[at] {
                NO_PRICE => i64::MAX,
                price => price,
            },
            (Sort::PriceDesc, _) => !self.prices[at], // no price is the least, so it comes last
            (Sort::Rating, _) => match self.ratings[at] {
                NO_RATING => 1,
                rating => -i64::from(rating),
            },
            (Sort::Newest, _) => !self.releases[at],
        };
        SortKey { tier, value, key: self.keys[at] }
    }
}

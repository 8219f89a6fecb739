//! Brands and category keys: each name once, with the rows that have it; and the paths that category keys form.
//!
//! Path: a document's brand or category → `Names::insert` → a dense id for the row's column, and the row in the id's set.
//! Ids of names that no row has are used again, so the tables are bounded by the live documents.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::analysis::{Analyzer, Language};
use crate::pieces::Grown;
use crate::split_table::SplitTable;

/// Hashes that do not differ between runs: nothing here may depend on chance.
pub(crate) const HASHER: FixedState = FixedState::with_seed(0x5eed);

struct Name {
    text: Arc<str>,
    rows: RoaringBitmap,
}

/// Names with the rows that have them.
#[derive(Default)]
pub(crate) struct Names {
    table: SplitTable<u32>,
    names: Grown<Name>,
    free: Vec<u32>,
}

impl Names {
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.table.find(HASHER.hash_one(text), |id| &*self.names[*id].text == text).copied()
    }

    pub(crate) fn text(&self, id: u32) -> &Arc<str> {
        &self.names[id].text
    }

    pub(crate) fn rows(&self, id: u32) -> &RoaringBitmap {
        &self.names[id].rows
    }

    /// Ids are below this.
    pub(crate) fn id_end(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn insert(&mut self, text: &str, row: u32) -> u32 {
        let id = self.find(text).unwrap_or_else(|| {
            let name = Name { text: text.into(), rows: RoaringBitmap::new() };
            let id = match self.free.pop() {
                Some(id) => {
                    self.names[id] = name;
                    id
                }
                None => self.names.push(name),
            };
            let names = &self.names;
            self.table.insert_unique(HASHER.hash_one(text), id, |id| HASHER.hash_one(&*names[*id].text));
            id
        });
        self.names[id].rows.insert(row);
        id
    }

    /// Gives a name that is in use to one more row.
    pub(crate) fn insert_again(&mut self, id: u32, row: u32) {
        self.names[id].rows.insert(row);
    }

    pub(crate) fn remove(&mut self, id: u32, row: u32) {
        let name = &mut self.names[id];
        name.rows.remove(row);
        if name.rows.is_empty() {
            let hash = HASHER.hash_one(&*name.text);
            self.table.remove(hash, |other| *other == id);
            self.names[id] = Name { text: "".into(), rows: RoaringBitmap::new() };
            self.free.push(id);
        }
    }
}

struct Place {
    /// Key ids from root to leaf, each once.
    keys: Box<[u32]>,
    rows: u32,
}

/// Ids of names by the stems of what each is called, in no order.
#[derive(Default)]
pub(crate) struct ByStems {
    analyzer: Analyzer,
    ids: HashMap<String, SmallVec<[u32; 2]>, FixedState>,
}

impl ByStems {
    /// None, of names in a language.
    pub(crate) fn new(language: Language) -> Self {
        Self { analyzer: Analyzer::new(language), ..Self::default() }
    }

    /// Those that are called so.
    pub(crate) fn called(&self, stems: &str) -> impl Iterator<Item = u32> {
        self.ids.get(stems).into_iter().flatten().copied()
    }

    /// Distinct stems.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn insert(&mut self, name: &str, id: u32) {
        self.ids.entry(self.analyzer.name(name)).or_default().push(id);
    }

    /// Takes out what was put in with this name.
    pub(crate) fn remove(&mut self, name: &str, id: u32) {
        let stems = self.analyzer.name(name);
        if let Some(ids) = self.ids.get_mut(&stems) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.ids.remove(&stems);
            }
        }
    }
}

/// Where a key of several parts has its name: behind the last of these.
const PART_OF_KEY: char = '/';

/// Category keys, what they are called, and the distinct paths of them that documents have. Two documents may place one key under different parents.
#[derive(Default)]
pub(crate) struct Categories {
    pub(crate) keys: Names,
    by_name: ByStems,
    table: SplitTable<u32>,
    places: Vec<Place>,
    free: Vec<u32>,
}

/// What a category is called, by its key.
fn name_of(key: &str) -> &str {
    key.rsplit(PART_OF_KEY).next().unwrap_or(key)
}

impl Categories {
    /// None, of catalogs in a language.
    pub(crate) fn new(language: Language) -> Self {
        Self { by_name: ByStems::new(language), ..Self::default() }
    }

    /// The key and the rows of each category that is called so, by the stems of its name.
    pub(crate) fn called(&self, name: &str) -> impl Iterator<Item = (&str, &RoaringBitmap)> {
        self.by_name.called(name).map(|id| (&**self.keys.text(id), self.keys.rows(id)))
    }

    /// Key ids on the path, root first.
    pub(crate) fn path(&self, place: u32) -> &[u32] {
        &self.places[place as usize].keys
    }

    /// Place ids are below this.
    pub(crate) fn place_end(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn insert(&mut self, path: &[String], row: u32) -> u32 {
        let mut keys: Vec<u32> = Vec::with_capacity(path.len());
        for key in path {
            let is_new = self.keys.find(key).is_none();
            let id = self.keys.insert(key, row);
            if is_new {
                self.by_name.insert(name_of(key), id);
            }
            if !keys.contains(&id) {
                keys.push(id);
            }
        }
        let hash = HASHER.hash_one(&keys[..]);
        let known = self.table.find(hash, |place| *self.places[*place as usize].keys == keys[..]).copied();
        let place = known.unwrap_or_else(|| {
            let new = Place { keys: keys.into(), rows: 0 };
            let place = match self.free.pop() {
                Some(place) => {
                    self.places[place as usize] = new;
                    place
                }
                None => {
                    self.places.push(new);
                    self.places.len() as u32 - 1
                }
            };
            let places = &self.places;
            self.table.insert_unique(hash, place, |place| HASHER.hash_one(&*places[*place as usize].keys));
            place
        });
        self.places[place as usize].rows += 1;
        place
    }

    /// Gives a path that is in use to one more row.
    pub(crate) fn insert_again(&mut self, place: u32, row: u32) {
        let Self { keys, places, .. } = self;
        let place = &mut places[place as usize];
        place.rows += 1;
        place.keys.iter().for_each(|key| keys.insert_again(*key, row));
    }

    pub(crate) fn remove(&mut self, place: u32, row: u32) {
        let old = &mut self.places[place as usize];
        old.rows -= 1;
        let last = old.rows == 0;
        let keys = if last { std::mem::take(&mut old.keys) } else { old.keys.clone() };
        for key in &keys {
            let text = self.keys.text(*key).clone();
            self.keys.remove(*key, row);
            if self.keys.find(&text).is_none() {
                self.by_name.remove(name_of(&text), *key);
            }
        }
        if last {
            self.table.remove(HASHER.hash_one(&*keys), |other| *other == place);
            self.free.push(place);
        }
    }
}

//! A hash table that grows a part at a time.
//!
//! Path: an entry by its hash → one table while there are few, later one of [`PARTS`] by bits that a table itself does not look at → found, entered, taken out.
//! A table that is full hashes all its entries anew, which at a million takes tens of milliseconds; of one in so many parts a write waits for no more than a part.

use hashbrown::HashTable;

/// Parts of a table that was split.
const PARTS: usize = 256;
/// Entries at which a table is split: of fewer the parts would cost more than they hold, and this many move soon enough.
const WHOLE_MAX: usize = 2048;
/// The bits that say which part: tables place entries by the lowest bits of a hash and tell them apart by the highest.
const PART_SHIFT: u32 = 40;
const _: () = assert!(PARTS.is_power_of_two() && PARTS.trailing_zeros() + PART_SHIFT <= 57, "seven bits are the table's");

/// See the module.
pub(crate) struct SplitTable<T> {
    /// None, one, or all of them.
    parts: Vec<HashTable<T>>,
    len: usize,
}

impl<T> Default for SplitTable<T> {
    fn default() -> Self {
        Self { parts: Vec::new(), len: 0 }
    }
}

impl<T> SplitTable<T> {
    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn part(&self, hash: u64) -> usize {
        (hash >> PART_SHIFT) as usize & self.parts.len().saturating_sub(1)
    }

    /// The entry of this hash that is the one.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts.get(self.part(hash))?.find(hash, is_it)
    }

    /// As [`SplitTable::find`], to be changed; its hash stays what it is.
    pub(crate) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let part = self.part(hash);
        self.parts.get_mut(part)?.find_mut(hash, is_it)
    }

    /// Enters what is not there yet. Of entries that move meanwhile `hash_of` tells the hashes.
    pub(crate) fn insert_unique(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        self.split_for(1, &hash_of);
        let part = self.part(hash);
        self.parts[part].insert_unique(hash, entry, hash_of);
        self.len += 1;
    }

    /// Takes out the entry of this hash that is the one, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) {
        let part = self.part(hash);
        if let Some(Ok(entry)) = self.parts.get_mut(part).map(|part| part.find_entry(hash, is_it)) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Room for so many more entries, if they spread evenly.
    pub(crate) fn reserve(&mut self, more: usize, hash_of: impl Fn(&T) -> u64) {
        self.split_for(more, &hash_of);
        let of_part = more.div_ceil(self.parts.len());
        self.parts.iter_mut().for_each(|part| part.reserve(of_part, &hash_of));
    }

    /// Splits the table if it has too many entries with so many more.
    fn split_for(&mut self, more: usize, hash_of: impl Fn(&T) -> u64) {
        if self.parts.is_empty() {
            self.parts.push(HashTable::new());
        }
        if self.parts.len() < PARTS && self.len + more > WHOLE_MAX {
            let whole = std::mem::take(&mut self.parts);
            self.parts.resize_with(PARTS, HashTable::new);
            for entry in whole.into_iter().flatten() {
                let hash = hash_of(&entry);
                let part = self.part(hash);
                self.parts[part].insert_unique(hash, entry, &hash_of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::names::HASHER;

    fn hash_of(entry: &u32) -> u64 {
        HASHER.hash_one(entry)
    }

    #[test]
    fn agrees_with_a_set_while_it_grows_and_shrinks() {
        for reserved in [0, 100, 10_000] {
            let (mut table, mut model) = (SplitTable::default(), BTreeSet::new());
            assert_eq!(table.find(hash_of(&1), |_| true), None);
            table.remove(hash_of(&1), |_| true);
            if reserved > 0 {
                table.reserve(reserved, hash_of);
            }
            let mut seed = 1_u64;
            for _ in 0..60_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let entry = (seed >> 33) as u32 % 12_000;
                let known = table.find(hash_of(&entry), |other| *other == entry);
                assert_eq!(known, model.get(&entry));
                if model.remove(&entry) {
                    table.remove(hash_of(&entry), |other| *other == entry);
                } else {
                    model.insert(entry);
                    table.insert_unique(hash_of(&entry), entry, hash_of);
                    assert_eq!(table.find_mut(hash_of(&entry), |other| *other == entry), Some(&mut { entry }));
                }
                assert_eq!(table.len(), model.len());
            }
            assert_eq!(table.parts.len(), PARTS, "far more than {WHOLE_MAX} entries");
        }
    }

    #[test]
    fn parts_are_about_equal() {
        let mut table = SplitTable::default();
        (0..100_000).for_each(|entry| table.insert_unique(hash_of(&entry), entry, hash_of));
        let most = table.parts.iter().map(HashTable::len).max();
        assert!(most < Some(2 * 100_000 / PARTS), "{most:?}");
    }
}

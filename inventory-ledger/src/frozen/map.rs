//! A map in order of its keys that can be given out as it was, bit by bit, while it changes.
//!
//! Path: `freeze` → the first change of an entry whose turn has not come notes what the entry was, or that there was none → `walk` goes
//! through both in order of key and prefers the note → at the end nothing is noted any more.
//! For tables of few entries, on the way of none of the frequent operations: a note costs a look-up and a copy of the entry.
//! Bounds: a note for each entry that is added, changed or removed before its turn.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Deref;

use super::Allowance;

/// A `BTreeMap` whose every change goes through here; reading goes through `Deref`.
#[derive(Debug)]
pub(crate) struct Walked<K, V> {
    map: BTreeMap<K, V>,
    walk: Option<Walk<K, V>>,
}

#[derive(Debug)]
struct Walk<K, V> {
    /// Everything up to this key was given out.
    given: Option<K>,
    /// Of keys after that: what was there at the start, if anything.
    old: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Walked<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), walk: None }
    }
}

impl<K, V> Deref for Walked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.map
    }
}

impl<K: Ord + Copy, V: Clone> Walked<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.note(key);
        self.map.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.note(*key);
        self.map.remove(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.note(*key);
        self.map.get_mut(key)
    }

    fn note(&mut self, key: K) {
        let Some(walk) = &mut self.walk else { return };
        if walk.given.is_none_or(|given| given < key) {
            let map = &self.map;
            walk.old.entry(key).or_insert_with(|| map.get(&key).cloned());
        }
    }

    pub(crate) fn freeze(&mut self) {
        self.walk = Some(Walk { given: None, old: BTreeMap::new() });
    }

    pub(crate) fn thaw(&mut self) {
        self.walk = None;
    }

    /// Gives out entries as they were, in order of key; `true` if `left` ends it before its end. An entry of many lines counts as several.
    pub(crate) fn walk(&mut self, left: &mut Allowance, lines: impl Fn(&V) -> usize, mut give: impl FnMut(K, V)) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        let from = walk.given.map_or(Unbounded, Excluded);
        let mut live = self.map.range((from, Unbounded)).peekable();
        loop {
            let (noted, next) = (walk.old.first_key_value().map(|(key, _)| *key), live.peek().map(|(key, _)| **key));
            let Some(key) = noted.into_iter().chain(next).min() else { break };
            if left.is_over() {
                return true;
            }
            let here = live.next_if(|(live, _)| **live == key);
            let entry =
                if noted == Some(key) { walk.old.pop_first().and_then(|(_, old)| old) } else { here.map(|(_, value)| value.clone()) };
            walk.given = Some(key);
            left.spend(entry.as_ref().map_or(0, &lines));
            if noted == Some(key) {
                left.spend(0); // taking it out of the tree costs as much again
            }
            if let Some(value) = entry {
                give(key, value);
            }
        }
        self.walk = None;
        false
    }

    /// Bytes of what is noted, about: a tree's nodes are full to two thirds.
    pub(crate) fn noted_bytes(&self) -> usize {
        self.walk.as_ref().map_or(0, |walk| walk.old.len() * size_of::<(K, Option<V>)>() * 3 / 2)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Walked;
    use crate::frozen::Allowance;

    proptest! {
        #[test] // Whatever is put, changed and removed in between, the entries of the start are given, in order.
        fn the_map_as_it_was(start in prop::collection::btree_map(0..30_u8, 0..99_u32, 0..25), steps in prop::collection::vec((0..4_u8, 0..30_u8), 0..80)) {
            let mut map = Walked::default();
            start.iter().for_each(|(&key, &value)| map.insert(key, value));
            map.freeze();
            let (mut given, mut more) = (Vec::new(), true);
            for (what, key) in steps {
                match what {
                    0 => map.insert(key, 1_000),
                    1 => drop(map.remove(&key)),
                    2 => drop(map.get_mut(&key).map(|value| *value += 1)),
                    _ => more = map.walk(&mut Allowance::new(2), |_| 0, |key, value| given.push((key, value))),
                }
            }
            while more {
                more = map.walk(&mut Allowance::new(3), |_| 5, |key, value| given.push((key, value)));
            }
            prop_assert_eq!(map.noted_bytes(), 0);
            prop_assert_eq!(given.into_iter().collect::<BTreeMap<_, _>>(), start);
        }
    }
}

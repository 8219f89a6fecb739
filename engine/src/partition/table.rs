//! Tables that can be walked as they were at one instant, while they go on changing.
//!
//! Path: [`Table::freeze`] → [`Table::walk`], some keys at a time and in their order → the last key, or [`Table::thaw`]. Meanwhile the first
//! change of a key that is still to be walked saves its old form, the *pre-image*, and the walk gives that. [`Queue`] does the same for what
//! goes in at one end and out at the other.
//! Read first: [`Table`], then [`Walk::covers`]. Reads go straight to the `BTreeMap` or `VecDeque` inside, which nothing else writes to.
//! Bounds: pre-images are as many as entities that change during a walk; those of keys already walked, and of keys after the last one there
//! was, are not saved. Deliberately absent: bytes; whoever walks has its own format.

use crate::mutants::{self, Mutant};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::{Bound, Deref};

/// A `BTreeMap` whose state at [`freeze`](Table::freeze) can be walked in slices. Costs those of the map, and one branch for each change.
pub struct Table<K, V> {
    live: BTreeMap<K, V>,
    walk: Option<Box<Walk<K, V>>>,
}

/// How far a walk has come.
struct Walk<K, V> {
    /// Everything up to it is walked.
    done: Option<K>,
    /// The last key at the freeze.
    last: K,
    /// Old forms of keys between the two that changed since; `None` of those that were not there.
    before: BTreeMap<K, Option<Box<V>>>,
}

impl<K: Ord, V> Walk<K, V> {
    /// Whether the walk has still to come to this key.
    fn covers(&self, key: &K) -> bool {
        *key <= self.last && self.done.as_ref().is_none_or(|done| key > done)
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), walk: None }
    }
}

/// The entries of now.
impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.live.fmt(f)
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.live
    }
}

impl<'t, K, V> IntoIterator for &'t Table<K, V> {
    type Item = (&'t K, &'t V);
    type IntoIter = std::collections::btree_map::Iter<'t, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.live.iter()
    }
}

/// Changes. Each costs what it costs a `BTreeMap`, and a clone of the entity if it is the first since the freeze and not walked yet.
impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.save(&key);
        self.live.insert(key, value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.walk.is_some() && self.live.contains_key(key) {
            self.save(key);
        }
        self.live.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        if self.walk.is_some() && self.live.contains_key(key) {
            self.save(key);
        }
        self.live.remove(key)
    }

    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        if self.walk.is_some()
            && let Some(first) = self.live.first_key_value().map(|(key, _)| key.clone())
        {
            self.save(&first);
        }
        self.live.pop_first()
    }

    pub(super) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.save(&key);
        self.live.entry(key).or_default()
    }

    /// Keeps the old form of a key that is about to change, if the walk is to see it.
    fn save(&mut self, key: &K) {
        let Some(walk) = &mut self.walk else { return };
        if walk.covers(key) && !walk.before.contains_key(key) && !mutants::is(Mutant::NoPreImage) {
            let old = self.live.get(key).map(|value| Box::new(value.clone()));
            walk.before.insert(key.clone(), old);
        }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// Begins a walk of what is there now; one that is under way is given up. O(log n).
    pub(super) fn freeze(&mut self) {
        let begin = |last: &K| Box::new(Walk { done: None, last: last.clone(), before: BTreeMap::new() });
        self.walk = self.live.last_key_value().map(|(last, _)| begin(last));
    }

    /// Gives up the walk and what was kept for it.
    pub(super) fn thaw(&mut self) {
        self.walk = None;
    }

    /// Gives what was there at the freeze, in the order of the keys, from where the last call left off. `take` says whether to go on; for a
    /// key that was not there it is asked with `None`, so that a walk past many of those stops in time too. Returns whether there may be
    /// more; when there is not, the walk has ended. O(log n) and what `take` does for each.
    pub(super) fn walk(&mut self, mut take: impl FnMut(&K, Option<&V>) -> bool) -> bool {
        let Some(walk) = self.walk.as_deref_mut() else { return false };
        let from = walk.done.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut live = self.live.range((from, Bound::Included(&walk.last))).peekable();
        loop {
            let next_old = walk.before.first_key_value().map(|(key, _)| key);
            let (key, goes_on) = match (live.peek(), next_old) {
                (None, None) => break,
                (Some((key, _)), Some(old)) if old <= *key => {
                    if old == *key {
                        live.next();
                    }
                    let Some((key, value)) = walk.before.pop_first() else { break };
                    let goes_on = take(&key, value.as_deref());
                    (key, goes_on)
                }
                (None, Some(_)) => {
                    let Some((key, value)) = walk.before.pop_first() else { break };
                    let goes_on = take(&key, value.as_deref());
                    (key, goes_on)
                }
                (Some(_), _) => {
                    let Some((key, value)) = live.next() else { break };
                    (key.clone(), take(key, Some(value)))
                }
            };
            if !goes_on {
                walk.done = Some(key);
                return true;
            }
        }
        self.walk = None;
        false
    }

    /// Adds an entry of a snapshot, whose keys rise; `false` for one that does not.
    #[must_use]
    pub(super) fn push(&mut self, key: K, value: V) -> bool {
        let rises = self.live.last_key_value().is_none_or(|(last, _)| *last < key);
        if rises {
            self.live.insert(key, value);
        }
        rises
    }
}

/// A `VecDeque` that is only added to at its back and taken from at its front, whose state at [`freeze`](Queue::freeze) can be walked in
/// slices. Entries have serial numbers, which stay theirs.
pub(super) struct Queue<T> {
    live: VecDeque<T>,
    /// Serial number of the front.
    first: u64,
    walk: Option<Box<QueueWalk<T>>>,
}

struct QueueWalk<T> {
    /// Serial number of the next to be given.
    next: u64,
    /// Serial number after the last at the freeze.
    end: u64,
    /// Taken from the front and not given yet: those from `next` on.
    before: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { live: VecDeque::new(), first: 0, walk: None }
    }
}

/// The entries of now.
impl<T: fmt::Debug> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.live.fmt(f)
    }
}

impl<T> Deref for Queue<T> {
    type Target = VecDeque<T>;

    fn deref(&self) -> &VecDeque<T> {
        &self.live
    }
}

impl<T: Clone> Queue<T> {
    /// Adds an entry; gives its serial number.
    pub(super) fn push_back(&mut self, entry: T) -> u64 {
        self.live.push_back(entry);
        self.first + (self.live.len() as u64 - 1)
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let entry = self.live.pop_front()?;
        if let Some(walk) = &mut self.walk
            && (walk.next..walk.end).contains(&self.first)
        {
            walk.before.push_back(entry.clone());
        }
        self.first += 1;
        Some(entry)
    }

    /// The entry with this serial number, unless it is gone.
    pub(super) fn of_serial(&self, serial: u64) -> Option<&T> {
        self.live.get(usize::try_from(serial.checked_sub(self.first)?).ok()?)
    }

    /// Begins a walk of what is there now; one that is under way is given up. O(1).
    pub(super) fn freeze(&mut self) {
        let (next, end) = (self.first, self.first + self.live.len() as u64);
        self.walk = (next < end).then(|| Box::new(QueueWalk { next, end, before: VecDeque::new() }));
    }

    /// Gives up the walk and what was kept for it.
    pub(super) fn thaw(&mut self) {
        self.walk = None;
    }

    /// Gives what was there at the freeze, from the front, from where the last call left off, until `take` says no. Returns whether there is
    /// more; when there is not, the walk has ended.
    pub(super) fn walk(&mut self, mut take: impl FnMut(&T) -> bool) -> bool {
        let Some(walk) = self.walk.as_deref_mut() else { return false };
        while walk.next < walk.end {
            let goes_on = match walk.before.pop_front() {
                Some(old) => take(&old),
                // Nothing from `next` on has left: the front is no later.
                None => usize::try_from(walk.next - self.first).ok().and_then(|at| self.live.get(at)).is_some_and(&mut take),
            };
            walk.next += 1;
            if !goes_on && walk.next < walk.end {
                return true;
            }
        }
        self.walk = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// What may happen to a table between the steps of a walk.
    #[derive(Clone, Debug)]
    enum Op {
        Insert(u8, u32),
        Add(u8, u32),
        Remove(u8),
        PopFirst,
        OrDefault(u8, u32),
        /// So many keys are walked.
        Walk(usize),
        Freeze,
        Thaw,
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0u8..24, any::<u32>()).prop_map(|(key, value)| Op::Insert(key, value)),
            3 => (0u8..24, 0u32..9).prop_map(|(key, more)| Op::Add(key, more)),
            3 => (0u8..24).prop_map(Op::Remove),
            1 => Just(Op::PopFirst),
            1 => (0u8..24, any::<u32>()).prop_map(|(key, value)| Op::OrDefault(key, value)),
            4 => (1usize..5).prop_map(Op::Walk),
            1 => Just(Op::Freeze),
            1 => Just(Op::Thaw),
        ]
    }

    /// Walks on, at most `max` keys; `true` while there may be more.
    fn walk_some(table: &mut Table<u8, u32>, max: usize, seen: &mut Vec<(u8, u32)>) -> bool {
        let mut visited = 0;
        table.walk(|key, value| {
            seen.extend(value.map(|value| (*key, *value)));
            visited += 1;
            visited < max
        })
    }

    proptest! {
        #[test] // Each walk, however it is cut and whatever happens meanwhile, gives a clone taken at its freeze.
        fn a_walk_gives_what_was_there_at_the_freeze(ops in vec(any_op(), 0..200)) {
            let (mut table, mut plain) = (Table::<u8, u32>::default(), BTreeMap::<u8, u32>::new());
            let (mut seen, mut frozen) = (Vec::new(), None);
            for op in ops {
                match op {
                    Op::Insert(key, value) => prop_assert_eq!(table.insert(key, value), plain.insert(key, value)),
                    Op::Add(key, more) => {
                        let change = |value: &mut u32| *value = value.wrapping_add(more);
                        table.get_mut(&key).map(change);
                        plain.get_mut(&key).map(change);
                    }
                    Op::Remove(key) => prop_assert_eq!(table.remove(&key), plain.remove(&key)),
                    Op::PopFirst => prop_assert_eq!(table.pop_first(), plain.pop_first()),
                    Op::OrDefault(key, value) => {
                        *table.get_or_default(key) = value;
                        plain.insert(key, value);
                    }
                    Op::Walk(max) => {
                        let before = seen.len();
                        if !walk_some(&mut table, max, &mut seen) {
                            prop_assert!(table.walk.is_none(), "nothing is kept after a walk");
                            if let Some(frozen) = frozen.take() {
                                prop_assert_eq!(std::mem::take(&mut seen), frozen);
                            }
                        }
                        prop_assert!(seen.len() <= before + max);
                    }
                    Op::Freeze => {
                        table.freeze();
                        seen.clear();
                        frozen = Some(plain.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
                    }
                    Op::Thaw => {
                        table.thaw();
                        seen.clear();
                        frozen = None;
                    }
                }
                prop_assert_eq!(&*table, &plain);
            }
            if let Some(frozen) = frozen {
                while walk_some(&mut table, 3, &mut seen) {}
                prop_assert_eq!(seen, frozen);
            }
        }

        #[test]
        fn a_queue_is_walked_as_it_was(ops in vec((0u8..10, 1usize..4), 0..200)) {
            let (mut queue, mut plain) = (Queue::<u32>::default(), VecDeque::new());
            let (mut seen, mut frozen, mut next) = (Vec::new(), None, 0);
            let walk = |queue: &mut Queue<u32>, max: usize, seen: &mut Vec<u32>| {
                let mut visited = 0;
                queue.walk(|entry| {
                    seen.push(*entry);
                    visited += 1;
                    visited < max
                })
            };
            for (op, max) in ops {
                match op {
                    0..4 => {
                        let serial = queue.push_back(next);
                        plain.push_back(next);
                        prop_assert_eq!(queue.of_serial(serial), Some(&next));
                        next += 1;
                    }
                    4..7 => prop_assert_eq!(queue.pop_front(), plain.pop_front()),
                    7..9 => {
                        if !walk(&mut queue, max, &mut seen) && let Some(frozen) = frozen.take() {
                            prop_assert_eq!(std::mem::take(&mut seen), frozen);
                        }
                    }
                    _ => {
                        queue.freeze();
                        seen.clear();
                        frozen = Some(plain.iter().copied().collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(&*queue, &plain);
            }
            if let Some(frozen) = frozen {
                while walk(&mut queue, 2, &mut seen) {}
                prop_assert_eq!(seen, frozen);
            }
        }
    }

    #[test] // Ids rise, so what is made during a walk lies behind it, and costs it nothing.
    fn what_is_made_after_the_last_key_keeps_no_old_form() {
        let mut table: Table<u32, String> = Table::default();
        (0..10).for_each(|key| _ = table.insert(key, "old".to_owned()));
        table.freeze();
        (10..1_000).for_each(|key| _ = table.insert(key, "new".to_owned()));
        table.get_mut(&500).expect("there").push('!');
        assert!(table.walk.as_ref().expect("under way").before.is_empty());
        table.get_mut(&3).expect("there").push('!');
        table.get_mut(&3).expect("there").push('!');
        assert_eq!(table.walk.as_ref().expect("under way").before.len(), 1);
        let mut count = 0;
        assert!(!table.walk(|_, value| {
            assert_eq!(value.map(String::as_str), Some("old"));
            count += 1;
            true
        }));
        assert_eq!(count, 10);
    }
}

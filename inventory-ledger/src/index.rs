//! From a row's key to its position, for many readers while one writer adds rows.
//!
//! Path: key → hash → bucket → list of rows, linked through the rows themselves → position. All rows are in *one* list, in
//! the order of their reversed hash bits, and a bucket is an entry point into it: a link of its own, in the list before the
//! first row that belongs to it. Doubling the buckets moves no row: what the new bit sends elsewhere is already the second
//! half of the old bucket's stretch, so a new bucket is one link put in the middle. Buckets are added one with each row (as
//! in linear hashing), so no insertion ever pays for more than one row and one bucket, and there are as many as rows.
//! Bounds: `LEN_MAX` rows. Memory: 4 bytes in the row and 4 for its bucket. Rows are never removed, so readers need no
//! protection from reuse: they follow links, wait-free up to the number of rows.
//!
//! Sources: Shalev and Shavit, "Split-ordered lists: lock-free extensible hash tables", 2006; Litwin, "Linear hashing", 1980.

use crate::chunks::Chunks;
use crate::hash::KeyHash;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::{Location, Sku};

/// Most rows that an index takes: a link has 31 bits for a row or a bucket.
pub(crate) const LEN_MAX: u32 = (1 << 31) - 2;

/// Buckets in one chunk: 16 KiB.
pub(crate) const CHUNK: usize = if cfg!(loom) { 2 } else { 1 << 12 };

/// What identifies a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowKey {
    pub(crate) sku: Sku,
    pub(crate) location: Location,
}

/// A key as atomics, so that safe code fills it in behind a shared reference. 24 bytes. Stored once, before the row is
/// linked; relaxed, since the link's release publishes it.
#[derive(Default)]
pub(crate) struct KeyCell {
    sku_high: AtomicU64,
    sku_low: AtomicU64,
    location: AtomicU64,
}

impl KeyCell {
    pub(crate) fn set(&self, key: RowKey) {
        self.sku_high.store((key.sku.0 >> 64) as u64, Ordering::Relaxed);
        self.sku_low.store(key.sku.0 as u64, Ordering::Relaxed);
        self.location.store(key.location.0, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> RowKey {
        let high = u128::from(self.sku_high.load(Ordering::Relaxed));
        let low = u128::from(self.sku_low.load(Ordering::Relaxed));
        RowKey { sku: Sku(high << 64 | low), location: Location(self.location.load(Ordering::Relaxed)) }
    }
}

/// A row that can be indexed.
pub(crate) trait Keyed: Default {
    /// Its key, which never changes once it is inserted.
    fn key(&self) -> RowKey;
    /// The list's link, zero in a new row. Only the index touches it.
    fn next(&self) -> &AtomicU32;
}

/// The index of one table of rows. Its functions take that table; a row's position there is what it stores.
///
/// The hash has a seed and is fast rather than cryptographic: whoever chooses SKUs *and* knows the seed can make look-ups
/// slow. Give a secret seed where the SKUs are strangers'. No answer depends on the seed.
pub(crate) struct KeyIndex {
    buckets: Chunks<AtomicU32, CHUNK>,
    hasher: KeyHash,
}

impl KeyIndex {
    /// An index for at most `len_max` rows.
    ///
    /// # Panics
    /// If that is more than [`LEN_MAX`].
    pub(crate) fn new(len_max: u32, seed: u64) -> Self {
        assert!(len_max <= LEN_MAX, "an index takes {LEN_MAX} rows, not {len_max}");
        let buckets = Chunks::new(len_max.max(1));
        buckets.push(|_| ()).expect("there is room for one bucket"); // the start of the list
        Self { buckets, hasher: KeyHash::new(seed) }
    }

    /// Makes the buckets' chunks for so many rows.
    pub(crate) fn make_room(&self, rows: u32) {
        self.buckets.make_room(rows);
    }

    /// Where the row with this key is. Wait-free, from any thread; a row is found by all who learn of its insertion in any
    /// way. About two cache misses: the bucket, the row.
    #[inline]
    pub(crate) fn find<T: Keyed, const N: usize>(&self, rows: &Chunks<T, N>, key: RowKey) -> Option<u32> {
        self.find_hashed(rows, key, self.hash(key))
    }

    /// Loads the first two rows that a look-up of each hash will look at, step by step for all of them: where the look-ups by themselves
    /// would wait for the branches of the one before (two of five keys are found in the second row of their stretch, and no processor
    /// foretells which), here nothing is decided by what is loaded, and they miss the cache at the same time.
    #[inline]
    pub(crate) fn warm_all<T: Keyed, const N: usize, const K: usize>(&self, rows: &Chunks<T, N>, hashes: &[u32; K]) {
        let buckets = self.buckets.len();
        // Not acted upon but to load more: acquire, since a row's chunk must be there.
        let (mut firsts, mut seconds) = ([0; K], [0; K]);
        for at in 0..K {
            firsts[at] = self.buckets.get(bucket_of(hashes[at], buckets)).load(Ordering::Acquire);
        }
        for at in 0..K {
            if let Link::Row(row) = Link::decode(firsts[at]) {
                seconds[at] = rows.get(row).next().load(Ordering::Acquire);
            }
        }
        for at in 0..K {
            // The first again where there is no second: a choice of numbers and no jump.
            let link = if seconds[at].wrapping_sub(1) < Link::BUCKET - 1 { seconds[at] } else { firsts[at] };
            if let Link::Row(row) = Link::decode(link) {
                std::hint::black_box(rows.get(row).next().load(Ordering::Relaxed));
            }
        }
    }

    /// As [`find`](KeyIndex::find), with the key's [`hash`](KeyIndex::hash).
    #[inline]
    pub(crate) fn find_hashed<T: Keyed, const N: usize>(&self, rows: &Chunks<T, N>, key: RowKey, hash: u32) -> Option<u32> {
        // Any bucket count that was ever true will do: a bucket that is split later is still an entry before its rows.
        let mut link = self.buckets.get(bucket_of(hash, self.buckets.len())).load(Ordering::Acquire);
        loop {
            match Link::decode(link) {
                Link::End => return None,
                Link::Row(at) => {
                    let row = rows.get(at);
                    if row.key() == key {
                        return Some(at);
                    }
                    link = row.next().load(Ordering::Acquire);
                }
                Link::Bucket(at) if bucket_order(at) < row_order(hash) => link = self.buckets.get(at).load(Ordering::Acquire),
                Link::Bucket(_) => return None, // the next bucket's stretch
            }
        }
    }

    /// Adds the row at `at`, which must be filled in, and whose key must not be in yet. One thread at a time, as for
    /// [`Chunks::push`]. O(1) on average over hashes: links the row and one more bucket.
    pub(crate) fn insert<T: Keyed, const N: usize>(&self, rows: &Chunks<T, N>, at: u32) {
        let row = rows.get(at);
        let hash = self.hash(row.key());
        self.link(rows, bucket_of(hash, self.buckets.len()), row_order(hash), Link::Row(at), row.next());

        let bucket = self.buckets.len();
        if bucket <= at {
            let parent = bucket - (1 << bucket.ilog2());
            self.buckets.push(|cell| self.link(rows, parent, bucket_order(bucket), Link::Bucket(bucket), cell));
        }
    }

    /// Puts `node`, whose own link is `next`, into the list at its place by `order`, at or after the entry `bucket`.
    fn link<T: Keyed, const N: usize>(&self, rows: &Chunks<T, N>, bucket: u32, order: u64, node: Link, next: &AtomicU32) {
        let mut before = self.buckets.get(bucket);
        let mut link = before.load(Ordering::Relaxed); // this thread stored all links
        loop {
            let (its_order, its_next) = match Link::decode(link) {
                Link::End => break,
                Link::Row(at) => (row_order(self.hash(rows.get(at).key())), rows.get(at).next()),
                Link::Bucket(at) => (bucket_order(at), self.buckets.get(at)),
            };
            if its_order > order {
                break;
            }
            before = its_next;
            link = before.load(Ordering::Relaxed);
        }
        next.store(link, Ordering::Relaxed);
        // Readers that follow this link see the node's own link, its key, and the chunk it is in.
        before.store(node.encode(), Ordering::Release);
    }

    /// Whether the list has every row once and in order, and every bucket: for a second opinion. O(rows).
    pub(crate) fn is_sound<T: Keyed, const N: usize>(&self, rows: &Chunks<T, N>) -> bool {
        let (mut in_list, mut entries, mut last) = (0, 1, 0);
        let mut link = self.buckets.get(0).load(Ordering::Acquire);
        loop {
            let order = match Link::decode(link) {
                Link::End => break,
                Link::Row(at) => {
                    in_list += 1;
                    link = rows.get(at).next().load(Ordering::Acquire);
                    row_order(self.hash(rows.get(at).key()))
                }
                Link::Bucket(at) => {
                    entries += 1;
                    link = self.buckets.get(at).load(Ordering::Acquire);
                    bucket_order(at)
                }
            };
            if order < last || in_list > rows.len() || entries > self.buckets.len() {
                return false;
            }
            last = order;
        }
        let found = |at| self.find(rows, rows.get(at).key()) == Some(at);
        in_list == rows.len() && entries == self.buckets.len() && (0..rows.len()).all(found)
    }

    /// What decides a row's place in the index.
    #[inline]
    pub(crate) fn hash(&self, key: RowKey) -> u32 {
        self.hasher.of(key)
    }
}

/// Which of `buckets` entries (at least one) is the last before the rows with this hash: its low bits, one fewer where that
/// bucket is still to come.
#[inline]
fn bucket_of(hash: u32, buckets: u32) -> u32 {
    let mask = buckets.next_power_of_two() - 1;
    let bucket = hash & mask;
    if bucket < buckets { bucket } else { bucket & (mask >> 1) }
}

/// Places in the list: by reversed bits, and a bucket before the rows that its number is the whole hash of.
#[inline]
fn bucket_order(bucket: u32) -> u64 {
    u64::from(bucket.reverse_bits()) << 1
}

#[inline]
fn row_order(hash: u32) -> u64 {
    u64::from(hash.reverse_bits()) << 1 | 1
}

/// What follows in the list. As a number: 0 is the end, the high bit says bucket, and rows count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    End,
    Row(u32),
    Bucket(u32),
}

impl Link {
    const BUCKET: u32 = 1 << 31;

    #[inline]
    fn decode(link: u32) -> Self {
        if link & Self::BUCKET != 0 {
            Self::Bucket(link & !Self::BUCKET)
        } else if link == 0 {
            Self::End
        } else {
            Self::Row(link - 1)
        }
    }

    fn encode(self) -> u32 {
        match self {
            Self::End => 0,
            Self::Row(at) => at + 1,
            Self::Bucket(at) => at | Self::BUCKET,
        }
    }
}

#[cfg(test)]
#[derive(Default)]
struct TestRow {
    key: KeyCell,
    next: AtomicU32,
}

#[cfg(test)]
impl Keyed for TestRow {
    fn key(&self) -> RowKey {
        self.key.get()
    }
    fn next(&self) -> &AtomicU32 {
        &self.next
    }
}

#[cfg(test)]
fn key(n: u64) -> RowKey {
    RowKey { sku: Sku(u128::from(n) << 60 | u128::from(n)), location: Location(n ^ 5) }
}

#[cfg(test)]
fn add<const N: usize>(rows: &Chunks<TestRow, N>, index: &KeyIndex, n: u64) -> u32 {
    let at = rows.push(|row| row.key.set(key(n))).expect("there is room");
    index.insert(rows, at);
    at
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_while_the_index_grows() {
        let (rows, index) = (Chunks::<TestRow, 8>::new(1_000), KeyIndex::new(1_000, 1));
        assert_eq!(index.find(&rows, key(0)), None);
        for n in 0..1_000 {
            assert_eq!(index.find(&rows, key(n)), None);
            assert_eq!(u64::from(add(&rows, &index, n)), n);
            if n % 50 == 0 {
                assert!(index.is_sound(&rows), "after row {n}");
            }
        }
        assert!(index.is_sound(&rows));
        assert_eq!(index.buckets.len(), 1_000, "a bucket a row");
    }

    #[test]
    fn a_key_differs_in_each_part() {
        let (rows, index) = (Chunks::<TestRow, 8>::new(8), KeyIndex::new(8, 1));
        add(&rows, &index, 3);
        let RowKey { sku, location } = key(3);
        for other in [
            RowKey { sku: Sku(sku.0 ^ 1), location },
            RowKey { sku: Sku(sku.0 ^ 1 << 127), location },
            RowKey { sku, location: Location(location.0 ^ 1 << 63) },
        ] {
            assert_eq!(index.find(&rows, other), None);
        }
    }

    /// Rows whose 32 hash bits are all the same are told apart by their keys.
    #[test]
    fn equal_hashes_share_a_stretch() {
        let (rows, index) = (Chunks::<TestRow, 8>::new(64), KeyIndex::new(64, 1));
        for n in 0..64 {
            let at = rows.push(|row| row.key.set(key(n))).expect("there is room");
            index.link(&rows, 0, row_order(u32::MAX), Link::Row(at), rows.get(at).next());
        }
        let mut link = index.buckets.get(0).load(Ordering::Relaxed);
        let mut met = Vec::new();
        while let Link::Row(at) = Link::decode(link) {
            met.push(at);
            link = rows.get(at).next().load(Ordering::Relaxed);
        }
        assert_eq!(met.len(), 64);
    }

    /// Keys in sequence, as merchants number them, spread like random ones: the mean way to a row stays short.
    #[test]
    fn sequential_keys_spread() {
        const ROWS: u64 = 50_000;
        let (rows, index) = (Chunks::<TestRow, 1024>::new(ROWS as u32), KeyIndex::new(ROWS as u32, 1));
        (0..ROWS).for_each(|n| {
            let key = RowKey { sku: Sku(u128::from(n)), location: Location(1) };
            let at = rows.push(|row| row.key.set(key)).expect("there is room");
            index.insert(&rows, at);
        });
        let steps: u64 = (0..ROWS)
            .map(|n| {
                let hash = index.hash(rows.get(n as u32).key());
                let mut link = index.buckets.get(bucket_of(hash, index.buckets.len())).load(Ordering::Relaxed);
                let mut steps = 1;
                while Link::decode(link) != Link::Row(n as u32) {
                    link = match Link::decode(link) {
                        Link::Row(at) => rows.get(at).next().load(Ordering::Relaxed),
                        Link::Bucket(_) | Link::End => panic!("row {n} is in its bucket's stretch"),
                    };
                    steps += 1;
                }
                steps
            })
            .sum();
        assert!(steps < ROWS * 17 / 10, "{steps} steps to {ROWS} rows");
    }

    #[test]
    fn links_survive_encoding() {
        for link in [Link::End, Link::Row(0), Link::Row(LEN_MAX), Link::Bucket(0), Link::Bucket(LEN_MAX)] {
            assert_eq!(Link::decode(link.encode()), link);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::{model, sync::Arc, thread};

    /// A reader finds every row that it was told of, whatever is linked and split meanwhile; of the others it finds each whole
    /// or not at all. The seed puts rows behind the link of a bucket that the reader may not know yet.
    #[test]
    fn a_reader_finds_rows_while_the_index_grows() {
        let behind_bucket_1 = |seed: &u64| {
            let hash = |n| KeyHash::new(*seed).of(key(n));
            [0, 1, 2, 9].map(|n| hash(n) % 2) == [0, 1, 1, 1]
        };
        let seed = (0..).find(behind_bucket_1).expect("one of sixteen seeds does, on average");
        model(move || {
            let shared = Arc::new((Chunks::<TestRow, 2>::new(4), KeyIndex::new(4, seed), AtomicU32::new(1)));
            add(&shared.0, &shared.1, 0);
            let reader = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (rows, index, told) = &*shared;
                    let told = told.load(Ordering::Acquire);
                    for n in [2, 1] {
                        match index.find(rows, key(n)) {
                            Some(at) => assert_eq!((u64::from(at), rows.get(at).key()), (n, key(n))),
                            None => assert!(n >= u64::from(told), "row {n} of {told}"),
                        }
                    }
                    assert_eq!(index.find(rows, key(9)), None);
                })
            };
            for n in [1, 2] {
                add(&shared.0, &shared.1, n);
                shared.2.store(n as u32 + 1, Ordering::Release);
            }
            reader.join().expect("the reader agrees");
            assert!(shared.1.is_sound(&shared.0));
        });
    }
}

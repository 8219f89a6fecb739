//! Where each known id is kept: from 32 bits of its hash to a place, in small segments that split.
//!
//! Path: hash → directory (its top bits) → segment → entries of that hash → the caller compares the ids themselves.
//! An entry is 8 bytes: the hash above, the place below. Within a segment entries are sorted by hash and probed linearly, so an
//! absent id is noticed at the first greater hash, and neither growth nor removal looks at the ids.
//!
//! No insertion moves more than one segment (at most [`ENTRIES_MAX`] entries) and, each time the number of ids has doubled, the
//! directory (4 bytes for about 300 ids). Segments grow by an eighth at a time, so 72 to 81 % of the entries are in use.
//! Bound: the caller's, on ids. Ids whose hashes agree in their first [`DEPTH_MAX`] bits share a segment that does not split:
//! that takes an adversary who knows the seed.
//!
//! Source: extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979); ordered linear probing (Amble and Knuth 1974).

/// Entries of a segment at which it splits rather than grows.
const ENTRIES_MAX: usize = 512;
/// Entries of the first segment.
const ENTRIES_MIN: usize = 64;
/// Past the last place that a hash can begin at, so that probing needs no wrap-around.
const SLACK: usize = 16;
/// Entries in a cache line.
const ENTRIES_OF_LINE: usize = 8;
/// Bits that the directory uses at most.
const DEPTH_MAX: u32 = 24;
/// No hash and place gives this one: places leave their top two bits unequal to 11.
const EMPTY: u64 = u64::MAX;

#[derive(Debug)]
struct Segment {
    /// Sorted by hash, with gaps.
    entries: Box<[u64]>,
    len: u32,
    /// How many top bits of the hash all entries share.
    depth: u32,
}

#[derive(Debug)]
pub(crate) struct IdIndex {
    /// Of every prefix of `depth` bits, its segment.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    len: u32,
    /// Bytes of all segments' entries.
    entries_bytes: usize,
}

fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn place_of(entry: u64) -> u32 {
    entry as u32
}

/// Where probing for a hash begins, in a segment with so many bits shared and so many places before the slack: in proportion to the bits
/// below the shared ones.
#[inline]
fn home_of(hash: u32, depth: u32, places: usize) -> usize {
    let below = hash << depth; // at most DEPTH_MAX
    ((u64::from(below) * places as u64) >> 32) as usize
}

impl Segment {
    fn new(depth: u32, len: usize) -> Self {
        Self { entries: vec![EMPTY; len + SLACK].into_boxed_slice(), len: 0, depth }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        home_of(hash, self.depth, self.entries.len() - SLACK)
    }

    fn is_full(&self) -> bool {
        self.len as usize * 16 >= (self.entries.len() - SLACK) * 13
    }

    /// Puts an entry in its order, and each that stood in its way one further, up to the next gap.
    ///
    /// # Errors
    /// With the last of the segment, which found no place: the others are in order.
    #[inline]
    fn put(&mut self, entry: u64) -> Result<(), u64> {
        let home = self.home(hash_of(entry));
        let mut carried = entry;
        for slot in &mut self.entries[home..] {
            let there = *slot;
            if there > carried {
                *slot = carried;
                carried = there;
                if carried == EMPTY {
                    self.len += 1;
                    return Ok(());
                }
            }
        }
        Err(carried)
    }

    /// Takes the entry at `at` out and closes the gap.
    fn take_out(&mut self, mut at: usize) {
        let mut next = at + 1;
        while next < self.entries.len() && self.entries[next] != EMPTY && self.home(hash_of(self.entries[next])) < next {
            next += 1;
        }
        self.entries.copy_within(at + 1..next, at);
        at = next - 1;
        self.entries[at] = EMPTY;
        self.len -= 1;
    }

    fn used(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().copied().filter(|&entry| entry != EMPTY)
    }
}

/// Places of a segment that gets this many entries on average: it gets four standard deviations more in one case of 30,000.
fn places_for(entries: u32) -> usize {
    let most = entries as usize + 4 * entries.isqrt() as usize;
    most * 16 / 13 + 2
}

/// A segment of these entries (in order, gaps among them are left out), with room to spare.
fn packed(depth: u32, entries: &[u64], mut len: usize) -> Segment {
    loop {
        let mut segment = Segment::new(depth, len);
        // The first place that is free; choices of numbers and no jumps, since no processor foretells the gaps.
        let (mut free, mut used) = (0, 0);
        let fits = entries.iter().all(|&entry| {
            let is_used = entry != EMPTY;
            let home = home_of(hash_of(entry), depth, len);
            let place = if is_used && home > free { home } else { free };
            match segment.entries.get_mut(place) {
                // A gap is written where the next entry will be.
                Some(slot) => *slot = entry,
                None => return !is_used,
            }
            free = place + usize::from(is_used);
            used += u32::from(is_used);
            true
        });
        if fits {
            segment.len = used;
            return segment;
        }
        len += len / 8;
    }
}

impl IdIndex {
    pub(crate) fn new() -> Self {
        Self { directory: Vec::new(), depth: 0, segments: Vec::new(), len: 0, entries_bytes: 0 }
    }

    /// Makes segments that so many ids will hardly outgrow, if there are none yet: about 13 bytes an id, and no growing step by step.
    pub(crate) fn make_room(&mut self, ids: u32) {
        if !self.segments.is_empty() {
            return;
        }
        let mut depth = 0;
        while places_for(ids >> depth) > ENTRIES_MAX && depth < DEPTH_MAX {
            depth += 1;
        }
        let places = places_for(ids >> depth).clamp(ENTRIES_MIN, ENTRIES_MAX);
        self.depth = depth;
        self.segments = (0..1 << depth).map(|_| Segment::new(depth, places)).collect();
        self.directory = (0..1 << depth).collect();
        self.entries_bytes = self.segments.len() * (places + SLACK) * size_of::<u64>();
    }

    /// Ids known.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries_bytes + self.directory.capacity() * size_of::<u32>() + self.segments.capacity() * size_of::<Segment>()
    }

    /// The place of the id with this hash that `is_it` recognizes. One cache miss besides those of `is_it`, which is seldom asked
    /// about another id.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let segment = self.segments.get(self.segment_of(hash)?)?;
        for &entry in segment.entries.get(segment.home(hash)..)? {
            let other = hash_of(entry);
            if other > hash || entry == EMPTY {
                return None;
            }
            if other == hash && is_it(place_of(entry)) {
                return Some(place_of(entry));
            }
        }
        None
    }

    /// Loads the entry that a look-up of this hash will begin at, and one of the next cache line: an insertion moves the entries
    /// behind it, up to the next gap. Waits for nothing.
    pub(crate) fn warm(&self, hash: u32) {
        if let Some(segment) = self.segment_of(hash).and_then(|at| self.segments.get(at)) {
            let home = segment.home(hash);
            std::hint::black_box(segment.entries.get(home).copied());
            std::hint::black_box(segment.entries.get(home + ENTRIES_OF_LINE).copied());
        }
    }

    /// Adds an id that is not there.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        let mut entry = u64::from(hash) << 32 | u64::from(place);
        debug_assert_ne!(entry, EMPTY, "places leave their top bits unequal to 11");
        if self.segments.is_empty() {
            self.segments.push(Segment::new(0, ENTRIES_MIN));
            self.entries_bytes += (ENTRIES_MIN + SLACK) * size_of::<u64>();
            self.directory.push(0);
        }
        self.len += 1;
        loop {
            let at = self.segment_of(hash_of(entry)).expect("there is a segment");
            let segment = &mut self.segments[at];
            if !segment.is_full() {
                match segment.put(entry) {
                    Ok(()) => return,
                    Err(pushed_out) => entry = pushed_out,
                }
            }
            self.widen(at);
        }
    }

    /// Gives an id another place.
    pub(crate) fn replace(&mut self, hash: u32, from: u32, to: u32) {
        let (segment, at) = self.entry(hash, from);
        let segment = &mut self.segments[segment];
        let alike = |at: usize| segment.entries.get(at).is_some_and(|&entry| hash_of(entry) == hash && entry != EMPTY);
        if !alike(at + 1) && (at == 0 || !alike(at - 1)) {
            segment.entries[at] = u64::from(hash) << 32 | u64::from(to);
            return;
        }
        // Equal hashes are in order of place, so the entry may have to move among them: seldom.
        segment.take_out(at);
        let put = segment.put(u64::from(hash) << 32 | u64::from(to));
        assert_eq!(put, Ok(()), "a place was just made");
    }

    /// Forgets an id.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) {
        let (segment, at) = self.entry(hash, place);
        self.segments[segment].take_out(at);
        self.len -= 1;
    }

    fn segment_of(&self, hash: u32) -> Option<usize> {
        let prefix = hash.checked_shr(32 - self.depth).unwrap_or(0);
        self.directory.get(prefix as usize).map(|&at| at as usize)
    }

    /// # Panics
    /// If the id is not there: only ids that were found or inserted are asked about.
    fn entry(&self, hash: u32, place: u32) -> (usize, usize) {
        let wanted = u64::from(hash) << 32 | u64::from(place);
        let segment = self.segment_of(hash).expect("the id is indexed");
        let home = self.segments[segment].home(hash);
        let at = self.segments[segment].entries[home..].iter().position(|&entry| entry == wanted);
        (segment, home + at.expect("the id is indexed"))
    }

    fn widen(&mut self, at: usize) {
        let old = &self.segments[at];
        let (depth, len) = (old.depth, old.entries.len() - SLACK);
        self.entries_bytes -= old.entries.len() * size_of::<u64>();
        if len < ENTRIES_MAX || depth == DEPTH_MAX {
            let grown = packed(depth, &old.entries, len + len / 8);
            self.entries_bytes += grown.entries.len() * size_of::<u64>();
            self.segments[at] = grown;
            return;
        }
        let bit = 1_u32 << (31 - depth);
        let first = *old.entries.iter().find(|&&entry| entry != EMPTY).expect("a full segment has entries");
        // Gaps have all bits set: where the upper half begins is found among the entries alone.
        let first_of_upper = old.entries.iter().position(|&entry| entry != EMPTY && hash_of(entry) & bit != 0).unwrap_or(old.entries.len());
        let (lower, upper) = old.entries.split_at(first_of_upper);
        let room = |entries: &[u64]| (entries.iter().filter(|&&entry| entry != EMPTY).count() * 4 / 3).max(ENTRIES_MIN);
        let (lower, upper) = (packed(depth + 1, lower, room(lower)), packed(depth + 1, upper, room(upper)));
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment, segment]).collect();
            self.depth += 1;
        }
        self.entries_bytes += (lower.entries.len() + upper.entries.len()) * size_of::<u64>();
        self.segments[at] = lower;
        let new = self.segments.len() as u32;
        self.segments.push(upper);
        // The prefixes of the old segment stand together; the later half of them goes to the new one.
        let prefix = hash_of(first).checked_shr(32 - depth).unwrap_or(0);
        let width = 1 << (self.depth - depth);
        let begin = prefix as usize * width;
        self.directory[begin + width / 2..begin + width].fill(new);
    }

    /// Whether every entry is in the segment and after the place that its hash leads to.
    pub(crate) fn check(&self) -> bool {
        let in_order = |(at, segment): (usize, &Segment)| {
            let mut last = None;
            let placed = segment.entries.iter().enumerate().filter(|(_, entry)| **entry != EMPTY).all(|(place, &entry)| {
                let sorted = last.is_none_or(|last| last < entry);
                last = Some(entry);
                let home = segment.home(hash_of(entry));
                let reached = segment.entries[home..=place.max(home)].iter().all(|&other| other != EMPTY);
                sorted && home <= place && reached && self.segment_of(hash_of(entry)) == Some(at)
            });
            placed && segment.used().count() == segment.len as usize
        };
        let len: u32 = self.segments.iter().map(|segment| segment.len).sum();
        len == self.len && self.segments.iter().enumerate().all(in_order)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{DEPTH_MAX, ENTRIES_MAX, IdIndex};

    fn mixed(n: u32) -> u32 {
        (u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    /// An index and a map, in step: ids are numbers, `place` is any function of the number and a turn.
    fn agree(index: &IdIndex, map: &BTreeMap<u32, (u32, u32)>) {
        assert!(index.check());
        assert_eq!(index.len() as usize, map.len());
        for (&id, &(hash, place)) in map {
            let owner = |at: u32| map.iter().any(|(&other, &(_, kept))| other == id && kept == at);
            assert_eq!(index.find(hash, owner), Some(place), "{id}");
        }
    }

    #[test] // Hashes of every kind: spread, few values, all alike in the top bits, the extremes.
    fn agrees_with_a_map() {
        let few = |n: u32| mixed(n % 7);
        let crowded = |n: u32| 0xabcd_ef00 | (n & 0xff);
        let extreme = |n: u32| if n.is_multiple_of(2) { u32::MAX - n % 5 } else { n % 5 };
        for hash in [mixed, few, crowded, extreme] {
            let (mut index, mut map) = (IdIndex::new(), BTreeMap::new());
            for n in 0..3_000_u32 {
                let place = n | (n % 3) << 30;
                index.insert(hash(n), place);
                map.insert(n, (hash(n), place));
                if n % 3 == 1 {
                    let gone = mixed(n) % n;
                    if let Some((hash, place)) = map.remove(&gone) {
                        index.remove(hash, place);
                    }
                }
                if n % 5 == 1
                    && let Some((hash, place)) = map.get_mut(&(mixed(n) % n))
                {
                    let to = *place ^ 0x2000_0000;
                    index.replace(*hash, *place, to);
                    *place = to;
                }
                if n % 500 == 0 {
                    agree(&index, &map);
                }
            }
            agree(&index, &map);
            assert_eq!(index.find(mixed(77_777), |_| false), None);
            for (_, (hash, place)) in map {
                index.remove(hash, place);
            }
            assert!(index.len() == 0 && index.check());
        }
    }

    #[test]
    fn hashes_that_cannot_be_told_apart_share_a_segment() {
        let mut index = IdIndex::new();
        for n in 0..3 * ENTRIES_MAX as u32 {
            index.insert(5, n);
        }
        assert!(index.check() && index.depth <= DEPTH_MAX);
        assert_eq!(index.find(5, |place| place == 1_000), Some(1_000));
        assert_eq!(index.find(5, |_| false), None);
    }

    #[test] // Ids find room that was made; more than that split segments as always; what is there is not touched.
    fn room_made_before() {
        for room in [0, 1, 300, 1_000, 50_000, 1_000_000] {
            let mut index = IdIndex::new();
            index.make_room(room);
            let bytes = index.bytes();
            assert!(index.check() && bytes < 14 * room as usize + 2_000, "{bytes} for {room}");
            (0..room).for_each(|n| index.insert(mixed(n), n));
            assert!(index.bytes() <= bytes + bytes / 100 + 8_000, "{} after {bytes} for {room}", index.bytes());
            (room..2 * room + 500).for_each(|n| index.insert(mixed(n), n));
            index.make_room(4_000_000);
            assert!(index.check() && index.len() == 2 * room + 500 && index.bytes() < 26 * index.len() as usize);
            assert!((0..2 * room + 500).all(|n| index.find(mixed(n), |at| at == n) == Some(n)));
        }
    }

    #[test]
    fn eleven_bytes_an_id_or_less() {
        let mut index = IdIndex::new();
        for n in 0..400_000_u32 {
            index.insert(mixed(n), n);
            if n > 20_000 && n % 1_000 == 0 {
                let per_id = index.bytes() as f64 / f64::from(n + 1);
                assert!(per_id < 12.0, "{per_id} at {n}");
            }
        }
        assert!(index.check());
    }
}

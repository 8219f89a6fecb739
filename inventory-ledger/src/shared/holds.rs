//! Records of holds: a slab that grows in chunks, whose free records wait in batches near the writer that freed them.
//!
//! Path of a record: `Slab::take` (the writer's own batches → the common pool → fresh ones) → `open` (lines, then the state
//! with the generation) → [`Hold`] → `look` → `resolve`, which one of all that try wins → `Slab::free`. A writer that frees
//! more than it takes passes whole batches on, so its records reach those that take more than they free.
//! Bounds: `records_max`; `BATCH` records a batch, at most two batches a writer. The lines of a hold beyond `CELLS` rows are in
//! further records, chained. A record's memory is never anything else, so a late reader reads old numbers, never wild ones.
//!
//! Source of the batches: Bonwick and Adams, "Magazines and vmem", 2001; of the tagged pool: Treiber, "Systems programming:
//! coping with parallelism", 1986.

use crate::Units;
use crate::chunks::Chunks;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Lines in one record: those of almost every basket, in one cache line with the state.
pub(super) const CELLS: usize = if cfg!(loom) { 2 } else { 6 };

/// Records that move between a writer and the pool at once.
const BATCH: u32 = if cfg!(loom) { 1 } else { 64 };

/// Records in one chunk: 64 KiB.
const CHUNK: usize = if cfg!(loom) { 2 } else { 1 << 10 };

#[cfg(all(test, not(loom)))]
pub(super) const RECORD_BYTES: usize = size_of::<Record>();

const _: () = assert!(CHUNK.is_multiple_of(BATCH as usize), "a fresh batch lies in one chunk");

/// Names an open hold. A plain number: send it, store it, copy it. Whoever commits or releases it first ends it, and every
/// copy is stale from then on; the generation in it tells it from later holds in the same place (up to 2³² of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    record: u32,
    generation: u32,
}

impl Hold {
    /// The handle as one number, for another process or language.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.record)
    }

    /// The handle with these bits. One that was never given out is stale, and one of another ledger may be mistaken for one's
    /// own.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { record: bits as u32, generation: (bits >> 32) as u32 }
    }

    fn open(self) -> u64 {
        u64::from(self.generation) << 32 | OPEN
    }

    fn ended(self) -> u64 {
        u64::from(self.generation.wrapping_add(1)) << 32
    }
}

/// The low half of a state; zero is not open.
const OPEN: u64 = 1;

/// One record: one cache line. `link` and the cells belong to whoever has taken the record or resolved its hold.
#[repr(align(64))]
#[derive(Default)]
struct Record {
    /// Generation high, `OPEN` or not low.
    state: AtomicU64,
    /// Counted from one, zero is none: the next record of this hold, or of this free batch.
    link: AtomicU32,
    /// Lines of the hold, over all its records. In its first record.
    len: AtomicU32,
    cells: [Cell; CELLS],
}

/// A line of a hold; or, in the first record of a batch in the pool, the next batch (as a `link`) and this one's size.
#[derive(Default)]
struct Cell {
    row: AtomicU32,
    units: AtomicU32,
}

/// A row and how much of it a hold has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldLine {
    pub(super) row: u32,
    pub(super) units: Units,
}

/// Free records in a chain through `link`.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    first: u32,
    len: u32,
}

/// A writer's own free records.
#[derive(Debug, Default)]
pub(super) struct Magazine {
    current: Batch,
    /// Full or empty.
    spare: Batch,
}

pub(super) struct Slab {
    records: Chunks<Record, CHUNK>,
    /// Records from here on were never used.
    fresh: AtomicU32,
    /// First record of the topmost batch (as a `link`) low, count of changes high, so that a batch that came back is told from
    /// one that never left.
    pool: AtomicU64,
}

impl Slab {
    pub(super) fn new(records_max: u32) -> Self {
        Self { records: Chunks::new(records_max), fresh: AtomicU32::new(0), pool: AtomicU64::new(0) }
    }

    /// A free record, with `link` to be set by the taker. `None`: none is in reach.
    pub(super) fn take(&self, magazine: &mut Magazine) -> Option<u32> {
        if magazine.current.len == 0 {
            magazine.current = std::mem::take(&mut magazine.spare);
            if magazine.current.len == 0 {
                magazine.current = self.pop().or_else(|| self.carve())?;
            }
        }
        let batch = &mut magazine.current;
        let at = batch.first - 1;
        batch.first = self.records.get(at).link.load(Ordering::Relaxed);
        batch.len -= 1;
        Some(at)
    }

    /// Frees one record.
    pub(super) fn free(&self, magazine: &mut Magazine, at: u32) {
        if magazine.current.len == BATCH {
            let full = std::mem::replace(&mut magazine.spare, std::mem::take(&mut magazine.current));
            self.push(full);
        }
        let batch = &mut magazine.current;
        self.records.get(at).link.store(batch.first, Ordering::Relaxed);
        *batch = Batch { first: at + 1, len: batch.len + 1 };
    }

    /// Gives all of a writer's free records to the others.
    pub(super) fn give_up(&self, magazine: &mut Magazine) {
        self.push(std::mem::take(&mut magazine.current));
        self.push(std::mem::take(&mut magazine.spare));
    }

    fn push(&self, batch: Batch) {
        if batch.len == 0 {
            return;
        }
        let head = &self.records.get(batch.first - 1).cells[0];
        head.units.store(batch.len, Ordering::Relaxed);
        let mut top = self.pool.load(Ordering::Relaxed);
        loop {
            head.row.store(top as u32, Ordering::Relaxed);
            // Release: who pops the batch sees its chain and head.
            match self.pool.compare_exchange_weak(top, changed(top, batch.first), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => top = found,
            }
        }
    }

    fn pop(&self) -> Option<Batch> {
        let mut top = self.pool.load(Ordering::Acquire);
        loop {
            let first = top as u32;
            // Another may pop this batch meanwhile and use its cells: then the exchange fails and what was read is dropped.
            let head = &self.records.get(first.checked_sub(1)?).cells[0];
            let below = head.row.load(Ordering::Relaxed);
            match self.pool.compare_exchange_weak(top, changed(top, below), Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(Batch { first, len: head.units.load(Ordering::Relaxed) }),
                Err(found) => top = found,
            }
        }
    }

    fn carve(&self) -> Option<Batch> {
        let max = self.records.len_max();
        let next = |fresh: u32| (fresh < max).then(|| fresh.saturating_add(BATCH).min(max));
        // Relaxed: each record is handed to one writer, and it learns nothing else from this.
        let start = self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        let end = next(start)?;
        for at in start..end {
            let link = if at + 1 < end { at + 2 } else { 0 };
            self.records.reach(at).link.store(link, Ordering::Relaxed);
        }
        Some(Batch { first: start + 1, len: end - start })
    }

    /// Takes what records the hold needs, linked. `None`: too few are in reach, and none is taken.
    pub(super) fn take_for(&self, magazine: &mut Magazine, lines: usize) -> Option<u32> {
        let mut first = 0;
        for _ in 0..lines.div_ceil(CELLS).max(1) {
            let Some(at) = self.take(magazine) else {
                self.free_chain(magazine, first);
                return None;
            };
            self.records.get(at).link.store(first, Ordering::Relaxed);
            first = at + 1;
        }
        Some(first - 1)
    }

    /// Frees the records of a hold: its own ones, whose `link`s lead to the end.
    fn free_chain(&self, magazine: &mut Magazine, mut link: u32) {
        while link != 0 {
            let next = self.records.get(link - 1).link.load(Ordering::Relaxed);
            self.free(magazine, link - 1);
            link = next;
        }
    }

    /// Gives back records that no hold was opened in.
    pub(super) fn give_back(&self, magazine: &mut Magazine, first: u32) {
        self.free_chain(magazine, first + 1);
    }

    /// Writes the lines into records taken for as many, and opens the hold.
    #[inline]
    pub(super) fn open(&self, first: u32, lines: impl ExactSizeIterator<Item = HeldLine>) -> Hold {
        let head = self.records.get(first);
        head.len.store(lines.len() as u32, Ordering::Relaxed);
        let mut record = head;
        for (at, HeldLine { row, units }) in lines.enumerate() {
            if at > 0 && at.is_multiple_of(CELLS) {
                record = self.records.get(record.link.load(Ordering::Relaxed) - 1);
            }
            let cell = &record.cells[at % CELLS];
            cell.row.store(row, Ordering::Relaxed);
            cell.units.store(units.0, Ordering::Relaxed);
        }
        // Relaxed: the state was last changed by whoever freed this record, and its way here orders that.
        let hold = Hold { record: first, generation: (head.state.load(Ordering::Relaxed) >> 32) as u32 };
        head.state.store(hold.open(), Ordering::Release); // who sees it open sees its lines
        hold
    }

    /// Reads the lines of an open hold into `lines`. They are to be believed only once `resolve` succeeds. `None`: stale.
    #[inline]
    pub(super) fn look(&self, hold: Hold, lines: &mut Vec<HeldLine>) -> Option<()> {
        lines.clear();
        let head = self.records.try_get(hold.record)?;
        if head.state.load(Ordering::Acquire) != hold.open() {
            return None;
        }
        let len = head.len.load(Ordering::Relaxed) as usize;
        let mut record = head;
        for at in 0..len {
            if at > 0 && at.is_multiple_of(CELLS) {
                // If the hold ends meanwhile, the link may be another's, or lead to records that this thread knows nothing of.
                record = self.records.try_get(record.link.load(Ordering::Relaxed).checked_sub(1)?)?;
            }
            let cell = &record.cells[at % CELLS];
            lines.push(HeldLine { row: cell.row.load(Ordering::Relaxed), units: Units(cell.units.load(Ordering::Relaxed)) });
        }
        Some(())
    }

    /// Ends an open hold that `look` has seen: one of all callers wins, and what it read then is true. The records are the
    /// winner's, to `free_hold`.
    #[inline]
    pub(super) fn resolve(&self, hold: Hold) -> bool {
        let Some(head) = self.records.try_get(hold.record) else { return false };
        // Release: who sees it ended sees the resolver's slot published. No acquire: `look` saw the hold open, with one.
        head.state.compare_exchange(hold.open(), hold.ended(), Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Frees the records of a hold that this writer resolved.
    #[inline]
    pub(super) fn free_hold(&self, magazine: &mut Magazine, hold: Hold) {
        self.free_chain(magazine, hold.record + 1);
    }

    /// Every open hold, at a quiet moment, in the order of places.
    pub(super) fn holds(&self) -> impl Iterator<Item = Hold> + '_ {
        (0..self.fresh.load(Ordering::Acquire)).filter_map(|record| {
            let state = self.records.try_get(record)?.state.load(Ordering::Acquire);
            (state & OPEN != 0).then_some(Hold { record, generation: (state >> 32) as u32 })
        })
    }
}

fn changed(top: u64, first: u32) -> u64 {
    (top >> 32).wrapping_add(1) << 32 | u64::from(first)
}

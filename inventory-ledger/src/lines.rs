//! Lines of holds: three in the record itself, others in chains of 64-byte blocks.
//!
//! Path: what a hold took → `write` (into the record, or a new chain) → `of` reads them back in the order asked → `spill` and
//! `update` when a part of them goes its own way.

use smallvec::SmallVec;

use crate::record::{Ended, Flags, INLINE_LINES, INLINE_UNITS, Record, State};
use crate::rows::RowIx;
use crate::slab::{Entry, NOWHERE, Slab};

/// Lines of the usual basket, without the heap.
pub(crate) type Lines = SmallVec<[HeldLine; 4]>;

/// One line of a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HeldLine {
    /// `None` where there was no row, and so nothing to take.
    pub(crate) row: Option<RowIx>,
    /// Taken when the hold was made.
    pub(crate) taken: u32,
    /// What was left available in the row after the whole hold was taken.
    pub(crate) remaining: u32,
    /// Of `taken`, committed.
    pub(crate) committed: u32,
    /// Of `committed`, returned since.
    pub(crate) restocked: u32,
}

impl HeldLine {
    /// Committed units that a restock could still return.
    pub(crate) fn left(&self) -> u32 {
        self.committed - self.restocked
    }
}

/// Three lines and the way to the next three.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    next: u32,
    lines: [[u32; 5]; INLINE_LINES],
}

const _: () = assert!(size_of::<Block>() == 64, "a block is one cache line");

impl Entry for Block {
    fn set_free(&mut self, next: u32) {
        self.next = next;
    }

    fn next_free(&self) -> u32 {
        self.next
    }
}

fn pack(line: &HeldLine) -> [u32; 5] {
    [line.row.map_or(NOWHERE, |row| row.0), line.taken, line.remaining, line.committed, line.restocked]
}

fn unpack([row, taken, remaining, committed, restocked]: [u32; 5]) -> HeldLine {
    HeldLine { row: (row != NOWHERE).then_some(RowIx(row)), taken, remaining, committed, restocked }
}

/// The blocks of all spilled holds, live and remembered.
pub(crate) type Blocks = Slab<Block>;

/// Writes a hold's lines, into the record if they are `plain` and fit it.
pub(crate) fn write(blocks: &mut Blocks, record: &mut Record, lines: &[HeldLine], plain: bool, body: impl FnOnce() -> u64) {
    record.set_lines_len(lines.len());
    let fits = |line: &HeldLine| line.row.is_some() && line.taken <= INLINE_UNITS;
    if plain && lines.len() <= INLINE_LINES && lines.iter().all(fits) {
        for (at, line) in lines.iter().enumerate() {
            record.rows[at] = line.row.map_or(NOWHERE, |row| row.0);
            record.remaining[at] = line.remaining;
            record.units[at] = line.taken as u8;
        }
    } else {
        let head = chain(blocks, lines);
        record.spill(head, body());
    }
}

/// The lines of a live hold, in the order asked.
pub(crate) fn of(blocks: &Blocks, record: &Record) -> Lines {
    if record.flags.has(Flags::SPILLED) {
        return of_chain(blocks, record.rows[0], record.lines_len());
    }
    let committed = record.state == State::Committed;
    let line = |at: usize| {
        let taken = u32::from(record.units[at]);
        HeldLine {
            row: Some(RowIx(record.rows[at])),
            taken,
            remaining: record.remaining[at],
            committed: if committed { taken } else { 0 },
            restocked: 0,
        }
    };
    (0..record.lines_len()).map(line).collect()
}

/// The lines of a remembered hold that was spilled.
pub(crate) fn of_ended(blocks: &Blocks, ended: &Ended) -> Option<Lines> {
    ended.flags.has(Flags::SPILLED).then(|| of_chain(blocks, ended.remaining[0], ended.lines_len()))
}

/// Rewrites the lines of a spilled hold.
pub(crate) fn update(blocks: &mut Blocks, record: &Record, lines: &[HeldLine]) {
    let mut at = record.rows[0];
    for three in lines.chunks(INLINE_LINES) {
        let block = blocks.get_mut(at);
        for (slot, line) in block.lines.iter_mut().zip(three) {
            *slot = pack(line);
        }
        at = block.next;
    }
}

/// A new chain of these lines; returns its head.
pub(crate) fn chain(blocks: &mut Blocks, lines: &[HeldLine]) -> u32 {
    let mut next = NOWHERE;
    for three in lines.chunks(INLINE_LINES).rev() {
        let mut block = Block { next, ..Block::default() };
        for (slot, line) in block.lines.iter_mut().zip(three) {
            *slot = pack(line);
        }
        next = blocks.take(block);
    }
    next
}

/// Frees a chain.
pub(crate) fn free_chain(blocks: &mut Blocks, mut head: u32) {
    while head != NOWHERE {
        let next = blocks.get(head).next;
        blocks.free(head);
        head = next;
    }
}

fn of_chain(blocks: &Blocks, head: u32, len: usize) -> Lines {
    let mut lines = Lines::new();
    let mut at = head;
    while lines.len() < len {
        let block = blocks.get(at);
        lines.extend(block.lines.iter().take(len - lines.len()).map(|line| unpack(*line)));
        at = block.next;
    }
    lines
}

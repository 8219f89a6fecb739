//! Who is in the middle of what: each writer publishes the rows of its call before it touches the first of them.
//!
//! Path: `publish` (rows, then their number) → the call takes and returns units → `clear`, after its outcome is decided and
//! everything it gives back is back. A shortage asks `in_flight` between two looks at the row's word. Rows are single atomics
//! and read one by one: `ORDERINGS.md` says why a slot that changes while it is read deceives nobody.
//! Bounds: `WRITERS_MAX` slots, each of `LINES_MAX` rows and alone on its cache lines.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Most writers alive at once. At the limit [`SharedLedger::writer`](super::SharedLedger::writer) gives none until one is
/// dropped.
pub const WRITERS_MAX: u32 = if cfg!(loom) { 3 } else { 64 };

/// Rows in one slot.
const SLOT_ROWS: usize = if cfg!(loom) { 3 } else { crate::LINES_MAX };

const _: () = assert!(WRITERS_MAX <= 64, "one bit a writer");

pub(super) struct Registry {
    /// A bit for each slot that a writer has.
    claimed: AtomicU64,
    slots: Box<[Slot]>,
}

/// Two cache lines apart from the next: the processor fetches them in pairs.
#[repr(align(128))]
struct Slot {
    len: AtomicU32,
    rows: [AtomicU32; SLOT_ROWS],
}

impl Registry {
    pub(super) fn new() -> Self {
        let slot = |_| Slot { len: AtomicU32::new(0), rows: std::array::from_fn(|_| AtomicU32::new(0)) };
        Self { claimed: AtomicU64::new(0), slots: (0..WRITERS_MAX).map(slot).collect() }
    }

    pub(super) fn claim(&self) -> Option<u32> {
        let free = |claimed: u64| Some(claimed.trailing_ones()).filter(|&writer| writer < WRITERS_MAX);
        let before =
            self.claimed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |claimed| free(claimed).map(|writer| claimed | 1 << writer));
        before.ok().and_then(free)
    }

    /// The writer is gone; all its calls ended.
    pub(super) fn unclaim(&self, writer: u32) {
        self.claimed.fetch_and(!(1 << writer), Ordering::AcqRel);
    }

    /// Says that `writer` is about to take or return units of these rows. Only that writer calls it.
    #[inline]
    pub(super) fn publish(&self, writer: u32, rows: impl Iterator<Item = u32>) {
        let slot = &self.slots[writer as usize];
        let mut len = 0;
        for row in rows {
            slot.rows[len].store(row, Ordering::Release);
            len += 1;
        }
        slot.len.store(len as u32, Ordering::Release);
    }

    /// Says that the call is decided and has nothing left to return.
    #[inline]
    pub(super) fn clear(&self, writer: u32) {
        self.slots[writer as usize].len.store(0, Ordering::Release);
    }

    /// Whether a writer other than `but` is in the middle of a call on this row. O(writers × their lines).
    pub(super) fn in_flight(&self, row: u32, but: u32) -> bool {
        let on_it = |writer: u32| {
            let slot = &self.slots[writer as usize];
            let len = slot.len.load(Ordering::Acquire) as usize;
            slot.rows[..len].iter().any(|of| of.load(Ordering::Acquire) == row)
        };
        self.claimed().filter(|&writer| writer != but).any(on_it)
    }

    /// Whether this writer is in the middle of a call.
    pub(super) fn is_busy(&self, writer: u32) -> bool {
        self.slots[writer as usize].len.load(Ordering::Acquire) != 0
    }

    /// The first writer that is in the middle of a call.
    pub(super) fn busy(&self) -> Option<u32> {
        self.claimed().find(|&writer| self.is_busy(writer))
    }

    fn claimed(&self) -> impl Iterator<Item = u32> + use<> {
        let mut bits = self.claimed.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            let writer = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (writer < WRITERS_MAX).then_some(writer)
        })
    }
}

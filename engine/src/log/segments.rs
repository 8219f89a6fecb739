//! The segments that a log has, what each of them is kept for, and what becomes of those that nothing is kept for.
//!
//! Path: at a start [`Reader::segments`](super::Reader::segments) → [`Segments::of`] → [`Segments::note`] for every record → the writer, which notes its own.
//! At work [`Segments::release`] with what snapshots have → spares → the next [`SegmentPlan`](super::SegmentPlan) takes one over, or [`Segments::surplus`] → removed.
//! Bounds: [`SPARE_SEGMENTS_MAX`] files kept as spares; eight bytes for each partition in each segment.
//!
//! The order in which files go is what keeps the log without holes, whatever a crash leaves: always the oldest first, one by one, and a
//! file is taken over only once every older one is gone for good (`FORMAT.md` section 5).

use std::collections::VecDeque;

use super::{LogIdentity, Record, SegmentNumber, layout};

/// Released files kept to be taken over. More are removed: a disk has its room back after a burst, at the price of filling new files in the next.
pub const SPARE_SEGMENTS_MAX: usize = 4;

/// One segment in use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    number: SegmentNumber,
    bytes: u64,
    /// By partition, the highest index of a record in it (or, for the segment written to, in a batch that may still go into it). 0: none.
    highest: Vec<u64>,
}

impl Held {
    fn pins(&self, safe: &impl Fn(u16) -> u64) -> Option<u16> {
        (0..).zip(&self.highest).find(|(partition, index)| **index > safe(*partition)).map(|(partition, _)| partition)
    }
}

/// The book of one log's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Oldest first, without holes.
    held: VecDeque<Held>,
    /// Released, oldest first, all older than those held.
    spares: VecDeque<SegmentNumber>,
    /// Of the spares, those from the front on that somebody was told to remove.
    leaving: usize,
    /// A spare is to be taken over, and may still be at its place: it is older than all that are left.
    taken: bool,
}

impl Segments {
    /// Segments as a start finds them, oldest first, with the size of each.
    #[must_use]
    pub fn of(found: impl IntoIterator<Item = (SegmentNumber, u64)>) -> Self {
        let held = found.into_iter().map(|(number, bytes)| Held { number, bytes, highest: Vec::new() });
        Self { held: held.collect(), ..Self::default() }
    }

    /// A record was found in `segment`.
    ///
    /// # Panics
    /// When the log has no such segment.
    pub fn note(&mut self, segment: SegmentNumber, record: &Record<'_>) {
        let first = self.held.front().map_or(u32::MAX, |held| held.number.0);
        let at = segment.0.checked_sub(first).expect("a segment of this log") as usize;
        note(&mut self.held[at], record);
    }

    /// A segment of `bytes` was begun.
    pub(super) fn begin(&mut self, number: SegmentNumber, bytes: u64) {
        debug_assert!(self.held.back().is_none_or(|last| last.number.next() == number), "segments without holes");
        self.held.push_back(Held { number, bytes, highest: Vec::new() });
    }

    /// A record goes into the segment that was begun last.
    pub(super) fn note_last(&mut self, record: &Record<'_>) {
        if let Some(last) = self.held.back_mut() {
            note(last, record);
        }
    }

    /// Bytes of the segments in use. Spares are not among them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.held.iter().map(|held| held.bytes).sum()
    }

    /// Number of the oldest segment in use.
    #[must_use]
    pub fn oldest(&self) -> Option<SegmentNumber> {
        self.held.front().map(|held| held.number)
    }

    /// A partition because of which the oldest segment cannot be released, where `safe` has everything up to an index of each; the lowest number among several.
    pub fn pinned_by(&self, safe: impl Fn(u16) -> u64) -> Option<u16> {
        self.held.front()?.pins(&safe)
    }

    /// Releases segments before `keep` from the oldest on, up to the first in which some partition has a record that `safe` has not. Says how many.
    pub(super) fn release(&mut self, keep: SegmentNumber, safe: impl Fn(u16) -> u64) -> usize {
        let before = self.spares.len();
        while let Some(oldest) = self.held.front()
            && oldest.number < keep
            && oldest.pins(&safe).is_none()
        {
            self.spares.push_back(oldest.number);
            self.held.pop_front();
        }
        self.spares.len() - before
    }

    /// The oldest spare, if no older file is still to be removed.
    pub(super) fn take_spare(&mut self) -> Option<SegmentNumber> {
        let settled = self.leaving == 0 && self.spares.len() <= SPARE_SEGMENTS_MAX;
        let spare = if settled { self.spares.pop_front() } else { None };
        self.taken |= spare.is_some();
        spare
    }

    /// The spare that was taken has its new name for good.
    pub(super) fn took_over(&mut self) {
        self.taken = false;
    }

    /// Spares to be removed now, in this order, each for good before the next; none while others are being removed, or while an older one may still wait
    /// at its place to be taken over (on a full disk that can last). [`Segments::removed`] is told.
    pub(super) fn surplus(&mut self) -> Vec<SegmentNumber> {
        if self.leaving > 0 || self.taken {
            return Vec::new();
        }
        self.leaving = self.spares.len().saturating_sub(SPARE_SEGMENTS_MAX);
        self.spares.iter().take(self.leaving).copied().collect()
    }

    /// Those of the last [`Segments::surplus`] are gone for good; or not all of them are, and they are surplus again.
    pub(super) fn removed(&mut self, all: bool) {
        let leaving = std::mem::take(&mut self.leaving);
        if all {
            self.spares.drain(..leaving);
        }
    }
}

fn note(held: &mut Held, record: &Record<'_>) {
    let partition = usize::from(record.partition);
    if record.index == 0 {
        return; // marks and ends are about the log
    }
    if held.highest.len() <= partition {
        held.highest.resize(partition + 1, 0);
    }
    let highest = &mut held.highest[partition];
    *highest = record.index.max(*highest);
}

/// Files that are to be removed, in this order, the folder made durable after each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Paths in the data folder.
    pub files: Vec<String>,
    /// Their folder.
    pub folder: String,
}

impl Surplus {
    pub(super) fn of(log: &LogIdentity, numbers: &[SegmentNumber]) -> Option<Self> {
        let files = numbers.iter().map(|number| layout::segment_path(log, *number)).collect();
        (!numbers.is_empty()).then(|| Self { files, folder: layout::log_path(log) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(segment: u32) -> SegmentNumber {
        SegmentNumber(segment)
    }

    /// Segments 1 to 9 of 10 bytes; each has an entry of partition 3, and the odd ones one of partition 0, all with index 10 times their number.
    fn nine() -> Segments {
        let mut segments = Segments::of((1..=9).map(|segment| (number(segment), 10)));
        for segment in 1..=9 {
            segments.note(number(segment), &Record::entry(3, 1, u64::from(segment) * 10, 0, b""));
            if segment % 2 == 1 {
                segments.note(number(segment), &Record::entry(0, 1, u64::from(segment) * 10, 0, b""));
            }
        }
        segments
    }

    #[test] // Each row: what snapshots have of partitions 0 and 3, the segment to keep, how many are released, and who pins the next.
    fn the_oldest_go_while_snapshots_have_all_that_is_in_them() {
        for (safe, keep, released, pinned) in [
            ((0, 0), 9, 0, Some(0)),
            ((10, 9), 9, 0, Some(3)),
            ((10, 10), 9, 1, Some(3)),
            ((10, 25), 9, 2, Some(0)),
            ((90, 90), 9, 8, None),
            ((90, 90), 4, 3, None),
            ((0, 90), 9, 0, Some(0)),
        ] {
            let mut segments = nine();
            let safe = |partition| if partition == 0 { safe.0 } else { safe.1 };
            assert_eq!(segments.release(number(keep), safe), released);
            assert_eq!(segments.pinned_by(safe), pinned);
            assert_eq!(segments.bytes(), 90 - 10 * released as u64);
            assert_eq!(segments.oldest(), Some(number(1 + released as u32)));
        }
    }

    #[test]
    fn what_is_surplus_goes_first_and_the_oldest_spare_is_taken_then() {
        let mut segments = nine();
        assert_eq!(segments.take_spare(), None);
        assert_eq!(segments.release(number(9), |_| 90), 8);
        assert_eq!(segments.take_spare(), None, "older files are still to go");
        let surplus = vec![number(1), number(2), number(3), number(4)];
        assert_eq!(segments.surplus(), surplus);
        assert_eq!((segments.surplus(), segments.take_spare()), (vec![], None), "they are on their way");
        segments.removed(false);
        assert_eq!(segments.surplus(), surplus, "tried again");
        segments.removed(true);
        assert_eq!(segments.surplus(), []);
        let taken: Vec<_> = std::iter::from_fn(|| segments.take_spare()).collect();
        assert_eq!(taken, [5, 6, 7, 8].map(number));
        segments.took_over();
        segments.begin(number(10), 20);
        segments.note_last(&Record::entry(3, 1, 100, 0, b""));
        assert_eq!((segments.bytes(), segments.release(number(10), |_| 90)), (30, 1));
        assert_eq!(segments.pinned_by(|_| 90), Some(3));
    }

    #[test] // Else a crash leaves the oldest there, and a hole behind it.
    fn nothing_goes_while_an_older_file_waits_to_be_taken_over() {
        let mut segments = nine();
        assert_eq!(segments.release(number(2), |_| 90), 1);
        assert_eq!(segments.take_spare(), Some(number(1)));
        assert_eq!(segments.release(number(9), |_| 90), 7);
        assert_eq!(segments.surplus(), [], "1 may still be there");
        segments.took_over();
        assert_eq!(segments.surplus(), [2, 3, 4].map(number));
    }

    #[test]
    fn marks_pin_nothing() {
        let mut segments = Segments::of([(number(4), 10)]);
        let mark = Record { kind: super::super::RecordKind::DurableMark, ..Record::entry(0, 0, 0, 0, b"") };
        segments.note(number(4), &mark);
        assert_eq!(segments.pinned_by(|_| 0), None);
    }
}

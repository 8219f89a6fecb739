//! Gathers records into batches and says what to write where.
//!
//! Path: [`Writer::append`] → open batch → [`Writer::seal`] → [`SealedBatch`], which the driver writes as it is → [`Writer::durable`] →
//! [`Durable`]. Segments: [`Writer::needs_segment`] → [`SegmentPlan`] → the driver prepares the file → [`Writer::segment_ready`]; once snapshots have
//! what is in the oldest, [`Writer::release`] → the next plan takes its file over, or [`Writer::surplus`] → removed.
//! Read first: [`Writer`]. Bounds: one batch open, [`IN_FLIGHT_MAX`] on their way; one segment prepared ahead.
//! Deliberately absent: a retry. A write that failed ends the process, so there is no way to give a batch back unwritten.

use std::collections::VecDeque;

use crate::mutants::{self, Mutant};

use super::batch::{self, BatchHeader, Chain};
use super::record::{Record, RecordKind, Records};
use super::segment::SegmentHeader;
use super::segments::{Segments, Surplus};
use super::{
    AlignedBuffer, BATCH_BYTES_MAX, BLOCK_BYTES, BatchNumber, LogIdentity, RECORD_BODY_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    Salt, SegmentNumber, layout, padded,
};

/// A batch's header is here in a buffer, behind the room for a segment header; its records follow.
const BATCH_AT: usize = BLOCK_BYTES;
const BODY_AT: usize = BATCH_AT + batch::HEADER_BYTES;
const BUFFER_BYTES: usize = BATCH_AT + BATCH_BYTES_MAX;
/// Batches on their way to the disk at once. Two: while one is written the next is already with the device, and callers of the first need not wait
/// for those who came a moment later. What recovery makes of it: `FORMAT.md` sections 5 and 6.
pub const IN_FLIGHT_MAX: usize = 2;
/// With this many records in play, on their way and open, there are enough callers to share blocks: from here on a batch that follows another on its
/// way goes only when at least half of it is used, and where a quarter would be padding the records of the last block wait for the next batch. Below it
/// nobody waits for company. With 64 callers a reservation takes 200 bytes of disk this way and 224 without, at the same rate.
pub const CROWD_MIN: u64 = 16;
/// The part of a batch that may be padding when others are under way, and the part above which its last block is left to the next batch.
const PADDING_MAX: (usize, usize) = (1, 2);
const PADDING_CUT: (usize, usize) = (1, 4);
/// Buffers kept for reuse: as many as can be on their way.
const SPARE_BUFFERS_MAX: usize = IN_FLIGHT_MAX;

/// Where a writer goes on: [`Start::fresh`], or [`Tail::start`](super::Tail::start) after a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub(super) next_batch: BatchNumber,
    pub(super) chain: Chain,
    pub(super) next_segment: SegmentNumber,
    /// Where the segment before `next_segment` ends; 0 when there is none.
    pub(super) previous_end: u64,
    /// Whether the log ends with a durable mark, or is empty.
    pub(super) marked: bool,
}

impl Start {
    /// The first batch of a log that goes on where these end.
    #[must_use]
    pub(crate) fn behind<'a>(self, before: impl Iterator<Item = &'a super::Tail>) -> Self {
        Self { marked: self.marked && before.into_iter().all(|tail| tail.start().marked), ..self }
    }

    /// A log with nothing in it.
    #[must_use]
    pub fn fresh() -> Self {
        Self { next_batch: BatchNumber(1), chain: Chain::START, next_segment: SegmentNumber::FIRST, previous_end: 0, marked: true }
    }
}

/// A segment file to prepare: `bytes` long, allocated (anything may be in it), and durable together with its folder's entry. A file of that name left by a
/// crash, or a released segment of the same log renamed to it, will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    /// Path in the data folder.
    pub path: String,
    /// What to tell [`Writer::segment_ready`].
    pub number: SegmentNumber,
    /// Exact length of the file.
    pub bytes: u64,
    /// A released segment of the same log, to be taken over: it is renamed to `path`, which is made durable before its length is changed or anything is
    /// written into it. Its blocks need no filling. When it is not there a new file is made.
    pub from: Option<String>,
}

/// The record is in the open batch; a crash may lose it. `Durable::covers` says when not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "an answer waits until this is covered by a `Durable`"]
pub struct Appended(u64);

/// Everything up to this record, counted as they were appended, survives a crash. Only [`Writer::durable`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "the answers that waited for it can go out"]
pub struct Durable(u64);

impl Durable {
    /// Whether the record survives a crash.
    #[must_use]
    pub fn covers(self, appended: Appended) -> bool {
        appended.0 <= self.0
    }
}

/// Why a record was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Not a fault: seal the open batch, or wait until it can be sealed, and append again.
    #[error("the open batch has no room for a record of {bytes} bytes; seal it first")]
    BatchFull {
        /// Bytes of the record's body.
        bytes: usize,
    },
    /// For good: no batch has room for it.
    #[error("a record body of {bytes} bytes is over the limit of {RECORD_BODY_BYTES_MAX}")]
    TooLong {
        /// Bytes of the record's body.
        bytes: usize,
    },
}

/// Why there is no batch to write yet. None is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSealed {
    /// Nothing was appended.
    Empty,
    /// This batch is on its way and must be durable first; call again after [`Writer::durable`].
    InFlight(BatchNumber),
    /// One is on its way, and this one would be mostly padding; call again after the next append or [`Writer::durable`].
    Gathers,
    /// The batch needs this segment; call again after [`Writer::segment_ready`].
    AwaitsSegment(SegmentNumber),
}

/// One write: put [`SealedBatch::bytes`] at `offset` of `segment`, make it durable, then call [`Writer::durable`] and [`Writer::recycle`].
#[derive(Debug)]
#[must_use = "nothing is durable until this is written"]
pub struct SealedBatch {
    /// What to tell [`Writer::durable`].
    pub number: BatchNumber,
    /// Which file.
    pub segment: SegmentNumber,
    /// Where in it; a multiple of [`BLOCK_BYTES`].
    pub offset: u64,
    buffer: AlignedBuffer,
    begin: usize,
    end: usize,
}

impl SealedBatch {
    /// The bytes to write: whole blocks at an address that is a multiple of [`BLOCK_BYTES`]; at most 1 MiB. The first write of a segment
    /// begins with the segment's header block.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.bytes()[self.begin..self.end]
    }

    /// Its records, in order.
    pub(crate) fn records(&self) -> Records<'_> {
        let batch = &self.buffer.bytes()[BATCH_AT..self.end];
        let batch::Decoded::Valid(header, _) = BatchHeader::decode(batch) else { unreachable!("it was sealed") };
        let body = &batch[batch::HEADER_BYTES..][..header.body_bytes as usize];
        Records::check(body, header.records).unwrap_or_else(|_| unreachable!("it was sealed"))
    }
}

/// An end that the open batch could have before the one it has.
#[derive(Clone, Copy, Debug)]
struct Cut {
    end: usize,
    records: u32,
}

/// The segment that is written to.
#[derive(Clone, Copy, Debug)]
struct OpenSegment {
    number: SegmentNumber,
    salt: Salt,
    /// Where the next batch goes.
    offset: u64,
}

/// The segment after it.
#[derive(Clone, Copy, Debug)]
enum NextSegment {
    /// Nobody was told yet.
    Wanted,
    /// The driver has the plan.
    Planned,
    /// Its file is prepared.
    Ready(Salt),
}

/// The log of one shard, from the writing side. Sans-IO: a driver does what [`SealedBatch`] and [`SegmentPlan`] say and reports back.
///
/// Cost: an append is one copy of the body into the open batch; a seal hashes the batch once, and copies what it leaves to the next: the records from the last one on that begins a block. Three buffers of 1 MiB, no allocation after all exist.
#[derive(Debug)]
pub struct Writer {
    log: LogIdentity,
    segment_bytes: u64,
    /// `None` until the first seal: after a recovery a new segment is begun.
    current: Option<OpenSegment>,
    next: NextSegment,
    next_segment: SegmentNumber,
    /// Where the segment before `next_segment` ends.
    previous_end: u64,
    /// Chain value before the open batch.
    chain: Chain,
    /// Number of the open batch.
    number: BatchNumber,
    /// Everything up to this batch is durable; those after it and before `number` are on their way.
    durable: BatchNumber,
    /// The batch after the one that `durable` waits for is durable already.
    overtook: bool,
    /// The first batch of the current segment.
    segment_begin: BatchNumber,
    /// The first batch of this writer.
    started: BatchNumber,
    /// Open batch: its records from `BODY_AT` to `open_end`.
    open: AlignedBuffer,
    open_end: usize,
    open_records: u32,
    /// Where its last block begins to be used.
    open_cut: Option<Cut>,
    /// Records appended by this writer.
    appended: u64,
    /// Of them, those up to the end of each batch on its way, oldest first.
    flight: VecDeque<u64>,
    /// Of them, those that are durable.
    safe: u64,
    /// Whether the open batch is a lone durable mark.
    open_is_mark: bool,
    /// Whether the batch sealed last is a lone durable mark (or the log is empty).
    marked: bool,
    spare: Vec<AlignedBuffer>,
    /// The log's files, and what is in them.
    segments: Segments,
    /// None of them is released.
    keeps_all: bool,
}

impl Writer {
    /// A writer that goes on at `start`, in segments of `segment_bytes`.
    ///
    /// After a recovery everything up to `start` counts as durable, so the driver syncs the recovered segment first (`FORMAT.md` section 5).
    ///
    /// # Panics
    /// When `segment_bytes` is not whole blocks between [`SEGMENT_BYTES_MIN`] and [`SEGMENT_BYTES_MAX`], or generation or shard are out of range:
    /// the configuration is checked before it gets here.
    #[must_use]
    pub fn new(log: LogIdentity, segment_bytes: u64, start: Start) -> Self {
        assert!((SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes), "segments of {segment_bytes} bytes");
        assert!(segment_bytes.is_multiple_of(BLOCK_BYTES as u64), "segments of {segment_bytes} bytes are not whole blocks");
        assert!(log.generation > 0 && log.shard < log.shards, "{log:?} names no log");
        Self {
            log,
            segment_bytes,
            current: None,
            next: NextSegment::Wanted,
            next_segment: start.next_segment,
            previous_end: start.previous_end,
            chain: start.chain,
            number: start.next_batch,
            durable: BatchNumber(start.next_batch.0 - 1),
            overtook: false,
            segment_begin: start.next_batch,
            started: start.next_batch,
            open: AlignedBuffer::new(BUFFER_BYTES),
            open_end: BODY_AT,
            open_records: 0,
            open_cut: None,
            appended: 0,
            flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
            safe: 0,
            open_is_mark: false,
            marked: start.marked,
            spare: Vec::with_capacity(SPARE_BUFFERS_MAX),
            segments: Segments::default(),
            keeps_all: false,
        }
    }

    /// Does it go on behind a mark, or is it the first? Else damage may have taken what was acknowledged last. To be asked before anything is appended.
    pub(crate) fn goes_on_marked(&self) -> bool {
        self.marked
    }

    /// Whose log it is.
    #[must_use]
    pub fn log(&self) -> LogIdentity {
        self.log
    }

    /// Takes over the segments that recovery found, with what is in them noted. They are released like the writer's own.
    ///
    /// # Panics
    /// When something was sealed before.
    pub fn adopt(&mut self, segments: Segments) {
        assert!(self.current.is_none(), "segments are taken over before any is begun");
        self.segments = segments;
    }

    /// Releases nothing from here on: older generations of logs are still there, and the beginning of this log says where they end.
    pub fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// Copies `record` into the open batch.
    ///
    /// # Errors
    /// [`AppendError::BatchFull`] asks to seal first and is no fault; [`AppendError::TooLong`] is for good.
    pub fn append(&mut self, record: Record<'_>) -> Result<Appended, AppendError> {
        let bytes = record.body.len();
        if bytes > RECORD_BODY_BYTES_MAX {
            return Err(AppendError::TooLong { bytes });
        }
        let end = self.open_end + record.encoded_bytes();
        if end > BUFFER_BYTES {
            return Err(AppendError::BatchFull { bytes });
        }
        record.encode(&mut self.open.bytes_mut()[self.open_end..end]);
        self.note(&record);
        self.open_is_mark = self.open_records == 0 && record.kind == RecordKind::DurableMark;
        Ok(self.took(end))
    }

    /// Appends `record` with a body that `write` puts into the room it is given, saying how long it is: so the log's buffer is the first place it is
    /// ever in. `None`, and nothing appended, when `write` says that the room is too small; [`Self::append`] then tells why.
    pub fn append_with(&mut self, record: Record<'_>, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Appended> {
        let begin = self.open_end + Record::HEADER_BYTES;
        let end = BUFFER_BYTES.min(begin.saturating_add(RECORD_BODY_BYTES_MAX));
        let bytes = write(self.open.bytes_mut().get_mut(begin..end)?)?;
        debug_assert!(bytes <= end - begin, "a body within its room");
        record.encode_header(bytes, &mut self.open.bytes_mut()[self.open_end..]);
        self.open_is_mark = false;
        self.note(&record);
        Some(self.took(begin + bytes))
    }

    /// Notes a record of the open batch for the current segment. If the batch begins the next one it is noted there too, so the current one may be kept
    /// a little longer than it must.
    fn note(&mut self, record: &Record<'_>) {
        if self.current.is_some() {
            self.segments.note_last(record);
        }
    }

    /// A record was put into the open batch, up to `end`.
    fn took(&mut self, end: usize) -> Appended {
        if self.open_records > 0 && padded(end - BATCH_AT) > padded(self.open_end - BATCH_AT) {
            self.open_cut = Some(Cut { end: self.open_end, records: self.open_records });
        }
        self.open_end = end;
        self.open_records += 1;
        self.appended += 1;
        Appended(self.appended)
    }

    /// Where to end the open batch: at its end, or before its last block if that would be mostly empty. `None` if it had better wait for more.
    fn fill(&self) -> Option<Cut> {
        let whole = Cut { end: self.open_end, records: self.open_records };
        let pads_over = |(part, of): (usize, usize), cut: Cut| {
            let bytes = cut.end - BATCH_AT;
            (padded(bytes) - bytes) * of > padded(bytes) * part
        };
        if self.appended - self.safe < CROWD_MIN {
            return Some(whole);
        }
        let goes = |cut: &Cut| self.in_flight() == 0 || !pads_over(PADDING_MAX, *cut);
        let better = self.open_cut.filter(|cut| pads_over(PADDING_CUT, whole) && !pads_over(PADDING_MAX, *cut));
        better.or(Some(whole)).filter(goes)
    }

    /// Number of the open batch.
    pub(crate) fn open_batch(&self) -> BatchNumber {
        self.number
    }

    /// Claims that everything sealed is durable.
    #[cfg(feature = "mutants")]
    pub(crate) fn claimed(&self) -> Durable {
        Durable(self.flight.back().copied().unwrap_or(self.safe))
    }

    /// Bytes of records in the open batch.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open_end - BODY_AT
    }

    /// Whether nothing is in the open batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open_records == 0
    }

    /// Batches that are on their way to the disk, or wait for one before them that is.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.number.0 - self.durable.0 - 1).expect("at most IN_FLIGHT_MAX")
    }

    /// The log's files, and what is in them.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Releases the oldest segments, as long as `safe` says for each partition an index up to which a durable snapshot has everything in them. The one with
    /// the last durable batch stays, and those after it; before the first of this writer's is durable all stay. Those
    /// from `before` on stay in any case. Says how many were released.
    pub fn release(&mut self, before: SegmentNumber, safe: impl Fn(u16) -> u64) -> usize {
        let keep = match self.current {
            _ if self.keeps_all => return 0,
            Some(segment) if self.durable >= self.segment_begin => segment.number,
            // Its first batch, which closes the one before, is not durable yet.
            Some(segment) if self.durable >= self.started => SegmentNumber(segment.number.0 - 1),
            // What was recovered last may be a segment without a batch, so nobody knows which one holds the last.
            Some(_) | None => return 0,
        };
        self.segments.release(keep.min(before), safe)
    }

    /// Number of the segment that is begun next.
    pub(crate) fn next_segment(&self) -> SegmentNumber {
        self.next_segment
    }

    /// Released files that are too many to be kept, told once: they are to be removed in this order, and [`Writer::removed`] told.
    pub fn surplus(&mut self) -> Option<Surplus> {
        let numbers = self.segments.surplus();
        Surplus::of(&self.log, &numbers)
    }

    /// All files of the last [`Writer::surplus`] are gone for good, or `all` of them are not: then they will be told again.
    pub fn removed(&mut self, all: bool) {
        self.segments.removed(all);
    }

    /// Closes the open batch and hands it out to be written; at most [`IN_FLIGHT_MAX`] at a time. The first of a segment closes the segment
    /// before it, so it waits until all of that is durable. Among many ([`CROWD_MIN`]) a few last records may stay open for the next batch.
    ///
    /// # Errors
    /// [`NotSealed`] says what to wait for.
    pub fn seal(&mut self) -> Result<SealedBatch, NotSealed> {
        if self.open_records == 0 {
            return Err(NotSealed::Empty);
        }
        if self.in_flight() >= IN_FLIGHT_MAX {
            return Err(NotSealed::InFlight(self.durable.next()));
        }
        let Some(cut) = self.fill() else { return Err(NotSealed::Gathers) };
        let end = BATCH_AT + padded(cut.end - BATCH_AT);
        let batch_bytes = (end - BATCH_AT) as u64;
        let (segment, begin) = match self.current {
            Some(segment) if segment.offset + batch_bytes <= self.segment_bytes => (segment, BATCH_AT),
            Some(_) | None => (self.begin_segment()?, 0),
        };
        let mut fresh = self.spare.pop().unwrap_or_else(|| AlignedBuffer::new(BUFFER_BYTES));
        let (chain_before, number) = (self.chain, self.number);
        let bytes = self.open.bytes_mut();
        // What is behind the cut begins the next batch.
        let rest = &bytes[cut.end..self.open_end];
        let rest_end = BODY_AT + rest.len();
        fresh.bytes_mut()[BODY_AT..rest_end].copy_from_slice(rest);
        bytes[cut.end..end].fill(0);
        let body = &bytes[BODY_AT..cut.end];
        let header = BatchHeader {
            chain_before,
            body_checksum: batch::body_checksum(body, segment.salt),
            salt: segment.salt,
            number,
            durable: self.durable,
            offset: segment.offset,
            body_bytes: u32::try_from(body.len()).expect("a batch is at most BATCH_BYTES_MAX"),
            records: cut.records,
            generation: self.log.generation,
            segment: segment.number,
            shard: self.log.shard,
        };
        self.chain = header.encode(&mut bytes[BATCH_AT..]);
        let again = if mutants::is(Mutant::BlockRewritten) && number.0.is_multiple_of(16) { BLOCK_BYTES as u64 } else { 0 };
        self.current = Some(OpenSegment { offset: segment.offset + batch_bytes - again, ..segment });
        self.previous_end = segment.offset + batch_bytes;
        self.number = number.next();
        self.marked = self.open_is_mark;
        let rest_records = self.open_records - cut.records;
        self.flight.push_back(self.appended - u64::from(rest_records));
        (self.open_end, self.open_records, self.open_cut, self.open_is_mark) = (rest_end, rest_records, None, false);
        let buffer = std::mem::replace(&mut self.open, fresh);
        let offset = segment.offset - (BATCH_AT - begin) as u64;
        Ok(SealedBatch { number, segment: segment.number, offset, buffer, begin, end })
    }

    /// Puts the header of the next segment in front of the open batch.
    fn begin_segment(&mut self) -> Result<OpenSegment, NotSealed> {
        let number = self.next_segment;
        let NextSegment::Ready(salt) = self.next else { return Err(NotSealed::AwaitsSegment(number)) };
        if self.in_flight() > 0 {
            return Err(NotSealed::InFlight(BatchNumber(self.number.0 - 1)));
        }
        self.segment_begin = self.number;
        let header = SegmentHeader {
            log: self.log,
            number,
            segment_bytes: self.segment_bytes,
            salt,
            first_batch: self.number,
            chain: self.chain,
            previous_end: self.previous_end,
        };
        header.encode(&mut self.open.bytes_mut()[..BATCH_AT]);
        self.segments.begin(number, self.segment_bytes);
        let open = &self.open.bytes()[BODY_AT..self.open_end];
        match Records::check(open, self.open_records) {
            Ok(records) => records.for_each(|record| self.segments.note_last(&record)),
            Err(_) => unreachable!("the open batch is of records that were appended"),
        }
        self.next = NextSegment::Wanted;
        self.next_segment = number.next();
        Ok(OpenSegment { number, salt, offset: BLOCK_BYTES as u64 })
    }

    /// Takes the report that a batch is durable (written with `O_DSYNC`, or written whole and then synced) and says how far the log is now. A batch that
    /// overtook the one before it counts once that one is durable too: recovery would cut both.
    ///
    /// # Panics
    /// When that batch is not on its way: answers would go out for records that a crash may lose.
    pub fn durable(&mut self, number: BatchNumber) -> Durable {
        let (first, in_flight) = (self.durable.next(), self.in_flight());
        if number == first && in_flight > 0 {
            self.durable = if self.overtook { number.next() } else { number };
            self.overtook = false;
            while self.flight.len() > self.in_flight() {
                self.safe = self.flight.pop_front().unwrap_or(self.safe);
            }
        } else {
            assert!(number == first.next() && in_flight > 1 && !self.overtook, "batch {number} is reported durable");
            self.overtook = true;
        }
        Durable(self.safe)
    }

    /// Gives the memory of a written batch back for the next ones.
    pub fn recycle(&mut self, batch: SealedBatch) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(batch.buffer);
        }
    }

    /// The segment to prepare, told once: right after the start, and again each time a prepared one was begun and its first batch is durable.
    /// So segment k + 1 never exists before k holds something.
    pub fn needs_segment(&mut self) -> Option<SegmentPlan> {
        if !self.wants_segment() {
            return None;
        }
        self.next = NextSegment::Planned;
        let number = self.next_segment;
        let from = self.spare_file();
        Some(SegmentPlan { path: layout::segment_path(&self.log, number), number, bytes: self.segment_bytes, from })
    }

    /// Would [`Writer::needs_segment`] give a plan? What is released before may be taken over by it.
    #[must_use]
    pub fn wants_segment(&self) -> bool {
        matches!(self.next, NextSegment::Wanted) && (self.current.is_none() || self.durable >= self.segment_begin)
    }

    /// The oldest released file, for a plan that has none yet; it is the plan's from then on.
    pub fn spare_file(&mut self) -> Option<String> {
        self.segments.take_spare().map(|spare| layout::segment_path(&self.log, spare))
    }

    /// Takes the report that the file of a plan is prepared. `salt` is drawn at random for this use of the file.
    ///
    /// # Panics
    /// When no such plan was given out.
    pub fn segment_ready(&mut self, number: SegmentNumber, salt: Salt) {
        assert!(matches!(self.next, NextSegment::Planned) && number == self.next_segment, "segment {number:?} was not asked for");
        self.segments.took_over();
        self.next = NextSegment::Ready(salt);
    }

    /// Has everything been written and nothing been marked? Only then is [`Self::idle_mark`] to be called; a batch that becomes durable may make it so.
    pub(crate) fn takes_mark(&self) -> bool {
        !self.marked && self.in_flight() == 0 && self.open_records == 0
    }

    /// When the log is idle and its last batch is not a mark, appends one and returns true; [`Writer::seal`] then gives it out.
    /// The mark is what later tells damage to the last acknowledged batch from a torn tail.
    pub fn idle_mark(&mut self) -> bool {
        if !self.takes_mark() {
            return false;
        }
        let _nobody_waits_for_it = self.mark().expect("an empty batch has room for a mark");
        true
    }

    /// Appends a mark, whatever else is in the batch: once it is durable, everything that is durable now is proven to be by a later batch.
    ///
    /// # Errors
    /// [`AppendError::BatchFull`].
    pub(crate) fn mark(&mut self) -> Result<Appended, AppendError> {
        let body = self.durable.0.to_le_bytes();
        self.append(Record { kind: RecordKind::DurableMark, partition: 0, term: 0, index: 0, time_ms: 0, body: &body })
    }
}

//! Recovery: walks one shard's log from its oldest segment to its end and says what that end is.
//!
//! Path: [`SegmentSource`] → headers of all segments → batches one by one, checked whole → [`Next::Batch`] with records by reference →
//! [`Next::End`] with a [`Tail`], from which a writer goes on. The rules of the verdicts are `FORMAT.md` section 6.
//! Read first: [`Reader`], then `Reader::step`. Bounds: one buffer of [`READ_BYTES`] and one header per segment.
//! Deliberately absent: repair. A torn tail is cut by the header of the next segment, which the writer makes; nothing is written here.

use crate::mutants::{self, Mutant};

use super::batch::{self, BatchHeader, Chain};
use super::error::{Corruption, Damage, Foreign, Proof, RecoverError};
use super::record::{BadRecords, LogEnd, RecordKind, Records};
use super::scan::Scan;
use super::segment::{self, SegmentHeader};
use super::tail::{Cut, Ending, Tail};
use super::{
    AlignedBuffer, BATCH_BYTES_MAX, BLOCK_BYTES, BatchNumber, FORMAT_VERSION, LogIdentity, SEGMENT_BYTES_MAX, SegmentNumber, buffer, layout,
};

/// Bytes read at once, or as many as the longest file has. Every batch fits.
const READ_BYTES: usize = 4 << 20;
const _: () = assert!(READ_BYTES >= BATCH_BYTES_MAX && READ_BYTES.is_multiple_of(BLOCK_BYTES));

const BLOCK: u64 = BLOCK_BYTES as u64;
/// A batch is sealed while fewer than this many before it are not known to be durable, so its claim is at least number − this.
const CLAIM_BEHIND_MAX: u64 = super::writer::IN_FLIGHT_MAX as u64;

/// A file of the log, as the driver found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// From its name, by [`layout::parse_segment_file`].
    pub number: SegmentNumber,
    /// Its length.
    pub bytes: u64,
}

/// The files of one shard's log, for reading. Blocking: recovery runs before the shard serves anyone.
pub trait SegmentSource {
    /// All segment files of the log's folder, in any order; none when there is no folder.
    ///
    /// # Errors
    /// What the file system says.
    fn segments(&mut self) -> std::io::Result<Vec<SegmentFile>>;

    /// Fills `into` from `offset` of a segment. Offset, length and address of `into` are multiples of [`BLOCK_BYTES`], and the range is
    /// inside the length told by [`SegmentSource::segments`].
    ///
    /// # Errors
    /// What the file system says; a file that ends before `into` is full is one too.
    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> std::io::Result<()>;
}

/// One batch, checked whole.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// Its number.
    pub number: BatchNumber,
    /// Where it is.
    pub segment: SegmentNumber,
    /// Where in the segment.
    pub offset: u64,
    /// Bytes on disk, padding included.
    pub bytes: usize,
    /// Its records, in order.
    pub records: Records<'a>,
}

/// What [`Reader::advance`] comes to.
#[derive(Clone, Debug)]
pub enum Next<'a> {
    /// The next batch of the log.
    Batch(Batch<'a>),
    /// There are no more.
    End(Tail),
}

/// A file that belongs to the log.
struct Segment {
    number: SegmentNumber,
    file_bytes: u64,
    header: SegmentHeader,
}

/// A file after the log's last segment.
struct Spare {
    number: SegmentNumber,
    file_bytes: u64,
    /// Block 0 is neither empty nor the header of a former use.
    damaged: bool,
}

/// Walks one log. After [`Next::End`] or an error every further call says the same again.
///
/// Cost: each byte up to the end is read and hashed once; what is left of the last segment and of a prepared one is read once.
pub struct Reader<S> {
    source: S,
    log: LogIdentity,
    /// Where a newer generation says that this log ends.
    end: Option<LogEnd>,
    segments: Vec<Segment>,
    spares: Vec<Spare>,
    /// Index into `segments` of the one being walked.
    at: usize,
    offset: u64,
    number: BatchNumber,
    chain: Chain,
    proven: BatchNumber,
    ending: Ending,
    /// Bytes of the segment being walked, from `window_at` on.
    buffer: AlignedBuffer,
    window_at: u64,
    window_bytes: usize,
}

/// A batch found good: where in the window its body is, and what follows from it.
struct Accepted {
    header: BatchHeader,
    chain: Chain,
    bytes: usize,
}

/// Who says where a segment ends.
#[derive(Clone, Copy)]
enum Closer {
    /// The segment after it.
    Segment(SegmentNumber),
    /// A newer generation.
    Generation,
}

/// Why the bytes at a place are not the batch expected there.
enum Refused {
    /// A torn write, or none, would look like this.
    MaybeTorn { found: Damage, bytes: u64 },
    /// No torn write looks like this.
    Never(Damage),
    /// Records of a later version.
    Newer(u8),
}

impl<S: SegmentSource> Reader<S> {
    /// Reads the headers of all segments. With `end`, taken from a newer generation, the log must be whole exactly up to there, and what lies behind is not looked at.
    ///
    /// # Errors
    /// When the files are not one log; see [`RecoverError`].
    ///
    /// # Panics
    /// When `end` is of another log.
    pub fn new(mut source: S, log: LogIdentity, end: Option<LogEnd>) -> Result<Self, RecoverError> {
        let io = |source| RecoverError::Io { file: layout::log_path(&log), offset: 0, source };
        let mut files = source.segments().map_err(io)?;
        files.sort_by_key(|file| file.number);
        if let Some(end) = &end {
            assert_eq!((end.generation, end.shard, end.shards), (log.generation, log.shard, log.shards), "the end of another log");
            let last = end.place.map(|(segment, _)| segment);
            files.retain(|file| Some(file.number) <= last);
        }
        let longest = files.iter().map(|file| file.bytes.clamp(1, READ_BYTES as u64)).max().unwrap_or(1);
        let read_bytes = usize::try_from(longest).expect("at most READ_BYTES").next_multiple_of(BLOCK_BYTES);
        let mut reader = Self {
            source,
            log,
            end,
            segments: Vec::new(),
            spares: Vec::new(),
            at: 0,
            offset: BLOCK,
            number: BatchNumber(1),
            chain: Chain::START,
            proven: BatchNumber::NONE,
            ending: Ending::Empty,
            buffer: AlignedBuffer::new(read_bytes),
            window_at: 0,
            window_bytes: 0,
        };
        reader.check_names(&files)?;
        reader.read_headers(&files)?;
        if let Some(first) = reader.segments.first() {
            reader.number = first.header.first_batch;
            reader.chain = first.header.chain;
        }
        Ok(reader)
    }

    /// The log's segments with the size of each, oldest first; spares behind the last are not among them.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentNumber, u64)> {
        self.segments.iter().map(|segment| (segment.number, segment.file_bytes))
    }

    /// The next batch, or the end.
    ///
    /// # Errors
    /// [`RecoverError`]; batches given out before stay good, but the log must not be served from.
    pub fn advance(&mut self) -> Result<Next<'_>, RecoverError> {
        let (segment, offset) = match self.step()? {
            None => return Ok(Next::End(self.tail())),
            Some(place) => place,
        };
        // Decoded a second time, from the cache, because a borrow of the buffer cannot leave `step`'s loop.
        let bytes = self.window(offset);
        let batch::Decoded::Valid(header, _) = BatchHeader::decode(bytes) else { unreachable!("`step` accepted it") };
        let body = &bytes[batch::HEADER_BYTES..][..header.body_bytes as usize];
        let bytes = header.padded_bytes().expect("`step` accepted it");
        let records = Records::check(body, header.records).unwrap_or_else(|_| unreachable!("`step` accepted it"));
        Ok(Next::Batch(Batch { number: header.number, segment, offset, bytes, records }))
    }

    fn tail(&self) -> Tail {
        let place = self.segments.get(self.at).map(|segment| (segment.number, self.offset));
        Tail { next_batch: self.number, place, chain: self.chain, proven: self.proven, ending: self.ending.clone() }
    }

    /// Goes over one batch; returns where it is, or `None` at the end.
    fn step(&mut self) -> Result<Option<(SegmentNumber, u64)>, RecoverError> {
        loop {
            let Some(segment) = self.segments.get(self.at) else {
                self.ending = self.settle(None)?;
                return Ok(None);
            };
            let (number, segment_bytes) = (segment.number, segment.header.segment_bytes);
            let closed = self.closed_at();
            let limit = closed.map_or(segment_bytes, |(end, _)| end);
            if self.offset == limit {
                match closed {
                    // A last segment that is full to the last block.
                    None => {
                        self.ending = self.settle(None)?;
                        return Ok(None);
                    }
                    Some(_) if self.at + 1 < self.segments.len() => {
                        self.enter_next()?;
                        continue;
                    }
                    Some(_) => {
                        self.check_log_end()?;
                        return Ok(None);
                    }
                }
            }
            match self.accept(limit)? {
                Ok(accepted) => {
                    let offset = self.offset;
                    self.take(&accepted);
                    return Ok(Some((number, offset)));
                }
                Err(Refused::Newer(kind)) => {
                    let what = format!("batch {} at byte {} has a record of kind {kind}", self.number, self.offset);
                    return Err(RecoverError::Newer { file: self.path(number), what, known: FORMAT_VERSION });
                }
                Err(Refused::Never(found)) => return Err(self.corruption(number, self.offset, found, Proof::Sealed)),
                Err(Refused::MaybeTorn { found, bytes }) => {
                    if let Some((_, closer)) = closed {
                        let proof = self.proof_by(closer);
                        return Err(self.corruption(number, self.offset, found, proof));
                    }
                    self.ending = self.settle(Some((found, bytes)))?;
                    return Ok(None);
                }
            }
        }
    }

    /// Where the segment being walked must end, and who says so; `None` for the last.
    fn closed_at(&self) -> Option<(u64, Closer)> {
        match (self.segments.get(self.at + 1), &self.end) {
            (Some(next), _) => Some((next.header.previous_end, Closer::Segment(next.number))),
            (None, Some(end)) => end.place.map(|(_, offset)| (offset, Closer::Generation)),
            (None, None) => None,
        }
    }

    fn proof_by(&self, closer: Closer) -> Proof {
        match closer {
            Closer::Segment(number) => Proof::LaterSegment { file: self.path(number) },
            Closer::Generation => Proof::LaterGeneration,
        }
    }

    /// Goes from the end of a closed segment to the next, which must start from there.
    fn enter_next(&mut self) -> Result<(), RecoverError> {
        let next = &self.segments[self.at + 1];
        let (number, header) = (next.number, next.header);
        if (header.first_batch, header.chain) != (self.number, self.chain) {
            return Err(self.bad_start(number, &header));
        }
        self.at += 1;
        self.offset = BLOCK;
        self.window_bytes = 0;
        Ok(())
    }

    fn bad_start(&self, number: SegmentNumber, header: &SegmentHeader) -> RecoverError {
        let (starts, previous_end) = (header.first_batch, header.previous_end);
        let found = Damage::SegmentStart { starts, previous_end, leads: self.number, ends: self.offset };
        self.corruption(number, 0, found, Proof::Sealed)
    }

    /// At the end that a newer generation gave: the walk must have come to the same batch and chain.
    fn check_log_end(&self) -> Result<(), RecoverError> {
        let Some(end) = &self.end else { return Ok(()) };
        if (end.next_batch, end.chain) == (self.number, self.chain) {
            return Ok(());
        }
        let found = Damage::Impossible {
            number: BatchNumber(self.number.0 - 1),
            what: "another number or chain than the newer generation recorded",
        };
        Err(self.corruption(self.segments[self.at].number, self.offset, found, Proof::LaterGeneration))
    }

    /// Checks the batch at the walk's place, which must end by `limit`.
    fn accept(&mut self, limit: u64) -> Result<Result<Accepted, Refused>, RecoverError> {
        let room = limit.min(self.segments[self.at].header.segment_bytes).saturating_sub(self.offset);
        if room < BLOCK {
            // Only a header that closes a segment in the middle of a block or before its end comes here.
            return Ok(Err(Refused::Never(Damage::NoBatch)));
        }
        self.fill(BLOCK_BYTES)?;
        let segment = &self.segments[self.at];
        let (header, chain) = match BatchHeader::decode(self.window(self.offset)) {
            batch::Decoded::Valid(header, chain) if header.salt == segment.header.salt => (header, chain),
            batch::Decoded::Damaged(salt) if salt == segment.header.salt => {
                return Ok(Err(Refused::MaybeTorn { found: Damage::BatchHeader, bytes: BLOCK }));
            }
            // The rest of it says that it is the one that belongs here: magic or salt are damaged. Taken for nothing, a mark in front of it would say that
            // nothing is missing.
            batch::Decoded::Damaged(_) | batch::Decoded::Nothing
                if batch::names(self.window(self.offset), &self.log, segment.number, self.offset, self.number) =>
            {
                return Ok(Err(Refused::MaybeTorn { found: Damage::BatchHeader, bytes: BLOCK }));
            }
            // Another salt: what a former use of the file left.
            batch::Decoded::Valid(..) | batch::Decoded::Damaged(_) | batch::Decoded::Nothing => {
                return Ok(Err(Refused::MaybeTorn { found: Damage::NoBatch, bytes: 0 }));
            }
        };
        let never = |what| Ok(Err(Refused::Never(Damage::Impossible { number: header.number, what })));
        let Some(bytes) = header.padded_bytes().filter(|bytes| *bytes as u64 <= room) else {
            return never("a length that does not fit its place");
        };
        if !header.is_at(&self.log, segment.number, self.offset) {
            return never("the place of another batch");
        }
        if header.number != self.number {
            return never("a number out of order");
        }
        if header.chain_before != self.chain {
            return never("a chain value that is not of the batch before it");
        }
        if header.durable >= header.number || header.number.0 - header.durable.0 > CLAIM_BEHIND_MAX {
            return never("a claim of what is durable that no writer makes");
        }
        if mutants::is(Mutant::TailCutTooFar) && self.cuts_too_far(&header, bytes)? {
            return Ok(Err(Refused::MaybeTorn { found: Damage::NoBatch, bytes: 0 }));
        }
        self.fill(bytes)?;
        let (content, padding) = self.window(self.offset)[..bytes].split_at(batch::HEADER_BYTES + header.body_bytes as usize);
        let body = &content[batch::HEADER_BYTES..];
        if batch::body_checksum(body, header.salt) != header.body_checksum && !mutants::is(Mutant::TailNotCut) {
            return Ok(Err(Refused::MaybeTorn { found: Damage::Body { bytes: header.body_bytes }, bytes: bytes as u64 }));
        }
        if !buffer::all_zero(padding) {
            return Ok(Err(Refused::MaybeTorn { found: Damage::Padding, bytes: bytes as u64 }));
        }
        match Records::check(body, header.records) {
            Ok(_) => Ok(Ok(Accepted { header, chain, bytes })),
            Err(BadRecords::UnknownKind(kind)) => Ok(Err(Refused::Newer(kind))),
            Err(BadRecords::Shape) => never("records that do not fill its body"),
        }
    }

    /// Is nothing behind the batch in the last segment?
    fn cuts_too_far(&mut self, header: &BatchHeader, bytes: usize) -> Result<bool, RecoverError> {
        let segment = &self.segments[self.at];
        if self.at + 1 < self.segments.len()
            || self.end.is_some()
            || self.offset + (bytes + BLOCK_BYTES) as u64 > segment.header.segment_bytes
        {
            return Ok(false);
        }
        self.fill(bytes + BLOCK_BYTES)?;
        let next = &self.window(self.offset)[bytes..];
        Ok(!matches!(BatchHeader::decode(next), batch::Decoded::Valid(next, _) if next.salt == header.salt))
    }

    fn take(&mut self, accepted: &Accepted) {
        let body = &self.window(self.offset)[batch::HEADER_BYTES..][..accepted.header.body_bytes as usize];
        let lone_mark = match Records::check(body, accepted.header.records) {
            Ok(mut records) => accepted.header.records == 1 && records.next().is_some_and(|record| record.kind == RecordKind::DurableMark),
            Err(_) => unreachable!("`accept` checked the records"),
        };
        self.ending = if lone_mark { Ending::Marked } else { Ending::Unmarked };
        self.offset += accepted.bytes as u64;
        self.number = accepted.header.number.next();
        self.chain = accepted.chain;
        self.proven = self.proven.max(accepted.header.durable);
    }

    /// The verdict where the walk of the last segment stops: proof behind it makes `stopped` corruption; else it is the end.
    fn settle(&mut self, stopped: Option<(Damage, u64)>) -> Result<Ending, RecoverError> {
        let last = self.segments.get(self.at).map(|segment| (segment.number, segment.header));
        let mut cut = None;
        if let (Some((number, header)), Some((found, bytes))) = (last, stopped) {
            let mut scan = Scan { log: self.log, segment: number, salt: Some(header.salt), wanted: self.number, seen: false };
            if let Some(proof) = self.scan(&mut scan, self.offset + BLOCK, header.segment_bytes)? {
                return Err(self.corruption(number, self.offset, found, proof));
            }
            if found != Damage::NoBatch || scan.seen {
                cut = Some(Cut { file: self.path(number), offset: self.offset, bytes: bytes.max(BLOCK), why: found });
            }
        }
        for index in 0..self.spares.len() {
            let Spare { number, file_bytes, damaged } = self.spares[index];
            let mut scan = Scan { log: self.log, segment: number, salt: None, wanted: self.number, seen: false };
            let found = if damaged { Damage::SegmentHeader } else { Damage::NoSegmentHeader };
            if let Some(proof) = self.scan(&mut scan, BLOCK, file_bytes.min(SEGMENT_BYTES_MAX))? {
                // The header and the first batch are one write, so the header was durable with it.
                return Err(self.corruption(number, 0, found, proof));
            }
            if (damaged || scan.seen) && cut.is_none() {
                cut = Some(Cut { file: self.path(number), offset: 0, bytes: BLOCK, why: found });
            }
        }
        Ok(cut.map_or_else(|| self.ending.clone(), Ending::Cut))
    }

    /// Looks through blocks `from..to` of a file for proof. Uses the buffer, so the window is gone afterwards.
    fn scan(&mut self, scan: &mut Scan, from: u64, to: u64) -> Result<Option<Proof>, RecoverError> {
        let file = self.path(scan.segment);
        self.window_bytes = 0;
        let to = to - to % BLOCK;
        let mut offset = from;
        while offset < to {
            let room = self.buffer.bytes().len();
            let bytes = usize::try_from(to - offset).map_or(room, |left| left.min(room));
            let into = &mut self.buffer.bytes_mut()[..bytes];
            self.source.read(scan.segment, offset, into).map_err(|source| RecoverError::Io { file: file.clone(), offset, source })?;
            if let Some(found) = scan.blocks(into, offset) {
                return Ok(Some(Proof::LaterBatch { file, offset: found.offset, number: found.number, durable: found.durable }));
            }
            offset += bytes as u64;
        }
        Ok(None)
    }

    /// Bytes of the segment being walked from `offset` on, as far as they were read.
    fn window(&self, offset: u64) -> &[u8] {
        let skip = usize::try_from(offset - self.window_at).expect("inside the window");
        &self.buffer.bytes()[skip..self.window_bytes]
    }

    /// Makes the window hold `need` bytes from the walk's place on, and as many more as there is room for.
    fn fill(&mut self, need: usize) -> Result<(), RecoverError> {
        let segment = &self.segments[self.at];
        let window_end = self.window_at + self.window_bytes as u64;
        if self.window_bytes > 0 && self.offset >= self.window_at && self.offset + need as u64 <= window_end {
            return Ok(());
        }
        let kept = if self.window_bytes > 0 && (self.window_at..window_end).contains(&self.offset) {
            let skip = usize::try_from(self.offset - self.window_at).expect("inside the window");
            self.buffer.bytes_mut().copy_within(skip..self.window_bytes, 0);
            self.window_bytes - skip
        } else {
            0
        };
        let from = self.offset + kept as u64;
        let left = segment.header.segment_bytes - from;
        let room = self.buffer.bytes().len() - kept;
        let bytes = usize::try_from(left).map_or(room, |left| left.min(room));
        (self.window_at, self.window_bytes) = (self.offset, kept);
        let into = &mut self.buffer.bytes_mut()[kept..kept + bytes];
        let number = segment.number;
        self.source.read(number, from, into).map_err(|source| RecoverError::Io {
            file: layout::segment_path(&self.log, number),
            offset: from,
            source,
        })?;
        self.window_bytes += bytes;
        Ok(())
    }

    /// Segments are numbered without holes.
    fn check_names(&self, files: &[SegmentFile]) -> Result<(), RecoverError> {
        let needed = self.end.as_ref().and_then(|end| end.place).map(|(segment, _)| segment);
        let last = needed.or(files.last().map(|file| file.number));
        let (Some(last), first) = (last, files.first().map(|file| file.number)) else { return Ok(()) };
        let first = first.unwrap_or(last);
        // In 64 bits, because a name may hold the largest 32-bit number.
        let behind = needed.map(|last| u64::from(last.0) + 1);
        for (wanted, file) in (u64::from(first.0)..).zip(files.iter().map(|file| u64::from(file.number.0)).chain(behind)) {
            if file > wanted {
                let wanted = u32::try_from(wanted).expect("below the number of a file or of `last`, plus one");
                return Err(RecoverError::Missing { file: self.path(SegmentNumber(wanted)), first: first.0, last: last.0 });
            }
        }
        Ok(())
    }

    /// Tells segments from spares, and refuses what is neither.
    fn read_headers(&mut self, files: &[SegmentFile]) -> Result<(), RecoverError> {
        for &SegmentFile { number, bytes } in files {
            let block = &mut self.buffer.bytes_mut()[..if bytes < BLOCK { 0 } else { BLOCK_BYTES }];
            let io = |source| RecoverError::Io { file: layout::segment_path(&self.log, number), offset: 0, source };
            self.source.read(number, 0, block).map_err(io)?;
            let damaged = match segment::SegmentHeader::decode(block) {
                segment::Decoded::Valid(header) => {
                    self.check_identity(number, &header)?;
                    if header.number == number {
                        self.add_segment(Segment { number, file_bytes: bytes, header })?;
                        continue;
                    }
                    // Of an earlier segment: the file was taken over and not used since.
                    false
                }
                segment::Decoded::Blank => false,
                segment::Decoded::Damaged => true,
                segment::Decoded::Newer(version) => {
                    let what = format!("its log format is {version}");
                    return Err(RecoverError::Newer { file: self.path(number), what, known: FORMAT_VERSION });
                }
                segment::Decoded::Impossible(what) => {
                    return Err(self.corruption(number, 0, Damage::ImpossibleSegmentHeader(what), Proof::Sealed));
                }
            };
            self.spares.push(Spare { number, file_bytes: bytes, damaged });
        }
        let must_be_there = match (&self.end, self.spares.first()) {
            // Everything up to the recorded end is a segment.
            (Some(_), Some(spare)) => Some((spare, Proof::LaterGeneration)),
            // A log that began earlier has a segment that is in use.
            (None, Some(spare)) if self.segments.is_empty() && spare.number != SegmentNumber::FIRST => {
                Some((spare, Proof::LaterSegment { file: layout::log_path(&self.log) }))
            }
            (None | Some(_), _) => None,
        };
        if let Some((spare, proof)) = must_be_there {
            let found = if spare.damaged { Damage::SegmentHeader } else { Damage::NoSegmentHeader };
            return Err(self.corruption(spare.number, 0, found, proof));
        }
        Ok(())
    }

    fn add_segment(&mut self, segment: Segment) -> Result<(), RecoverError> {
        let Segment { number, file_bytes, header } = &segment;
        if let Some(spare) = self.spares.first() {
            let found = if spare.damaged { Damage::SegmentHeader } else { Damage::NoSegmentHeader };
            return Err(self.corruption(spare.number, 0, found, Proof::LaterSegment { file: self.path(*number) }));
        }
        if *file_bytes < header.segment_bytes {
            let found = Damage::Truncated { found: *file_bytes, wanted: header.segment_bytes };
            return Err(self.corruption(*number, *file_bytes, found, Proof::Sealed));
        }
        if let Some(before) = self.segments.last() {
            let whole = header.previous_end.is_multiple_of(BLOCK) && (BLOCK..=before.header.segment_bytes).contains(&header.previous_end);
            if !whole || header.first_batch < before.header.first_batch {
                return Err(self.corruption(
                    *number,
                    0,
                    Damage::ImpossibleSegmentHeader("an end of the segment before that it cannot have"),
                    Proof::Sealed,
                ));
            }
        }
        self.segments.push(segment);
        Ok(())
    }

    fn check_identity(&self, number: SegmentNumber, header: &SegmentHeader) -> Result<(), RecoverError> {
        let (found, wanted) = (header.log, self.log);
        let what = if found.folder != wanted.folder {
            Foreign::Folder { found: found.folder, wanted: wanted.folder }
        } else if found.generation != wanted.generation {
            Foreign::Generation { found: found.generation, wanted: wanted.generation }
        } else if (found.shard, found.shards) != (wanted.shard, wanted.shards) {
            Foreign::Shard { found: found.shard, found_shards: found.shards, wanted: wanted.shard, wanted_shards: wanted.shards }
        } else if header.number > number {
            Foreign::Segment { found: header.number.0, wanted: number.0 }
        } else {
            return Ok(());
        };
        Err(RecoverError::Foreign { file: self.path(number), what })
    }

    fn path(&self, number: SegmentNumber) -> String {
        layout::segment_path(&self.log, number)
    }

    fn corruption(&self, segment: SegmentNumber, offset: u64, found: Damage, proof: Proof) -> RecoverError {
        Box::new(Corruption { file: self.path(segment), segment, offset, batch: self.number, found, proof }).into()
    }
}

//! Tests of the log on a disk made of memory.
//!
//! Here: the disk and the machine that drives a writer on it. `bytes`: fixtures and one table of damage. `crash`: random histories with torn
//! writes, and flipped bytes everywhere.

mod bytes;
mod crash;

use std::collections::BTreeMap;

use super::*;

const LOG: LogIdentity = LogIdentity { folder: 0x0123_4567_89ab_cdef_0011_2233_4455_6677, generation: 1, shard: 3, shards: 4 };
const SEGMENT: u64 = SEGMENT_BYTES_MIN;

/// Files by number. A read beyond the end is an error, as with a file.
#[derive(Clone, Default)]
struct Disk(BTreeMap<SegmentNumber, Vec<u8>>);

impl SegmentSource for &Disk {
    fn segments(&mut self) -> std::io::Result<Vec<SegmentFile>> {
        // In the wrong order, since the order is not promised.
        Ok(self.0.iter().rev().map(|(number, bytes)| SegmentFile { number: *number, bytes: bytes.len() as u64 }).collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64) && into.len().is_multiple_of(BLOCK_BYTES), "reads are whole blocks");
        assert!(into.is_empty() || into.as_ptr().addr().is_multiple_of(BLOCK_BYTES), "reads go to aligned memory");
        let offset = usize::try_from(offset).expect("a test's disk is small");
        let from = self.0[&segment].get(offset..offset + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

impl Disk {
    fn write(&mut self, segment: SegmentNumber, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("a test's disk is small");
        self.0.get_mut(&segment).expect("the file is prepared")[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn flip(&mut self, segment: u32, at: u64) {
        self.0.get_mut(&SegmentNumber(segment)).expect("the segment is there")[usize::try_from(at).expect("small")] ^= 0x10;
    }
}

/// A record that owns its body.
#[derive(Clone, PartialEq, Eq)]
struct Owned(RecordKind, u16, u64, u64, u64, Vec<u8>);

impl std::fmt::Debug for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bodies of megabytes make no failure clearer.
        write!(f, "{:?} of partition {} at {}/{}, {} bytes", self.0, self.1, self.2, self.3, self.5.len())
    }
}

impl Owned {
    fn of(record: &Record<'_>) -> Self {
        Self(record.kind, record.partition, record.term, record.index, record.time_ms, record.body.to_vec())
    }

    fn entry(index: u64, bytes: usize) -> Self {
        // Bodies differ in every place, so that a body in the wrong place shows.
        let body = (0..bytes).map(|at| (at as u64).wrapping_mul(index + 7).to_le_bytes()[1]).collect();
        Self(RecordKind::Entry(EntryVariant::Command), (index % 5) as u16, 1, index, index * 10, body)
    }

    fn record(&self) -> Record<'_> {
        Record { kind: self.0, partition: self.1, term: self.2, index: self.3, time_ms: self.4, body: &self.5 }
    }
}

/// A batch as recovery gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    number: BatchNumber,
    segment: SegmentNumber,
    offset: u64,
    bytes: u64,
    records: Vec<Owned>,
}

fn recover_to(disk: &Disk, end: Option<LogEnd>) -> Result<(Vec<Got>, Tail), RecoverError> {
    let mut reader = Reader::new(disk, LOG, end)?;
    let mut batches = Vec::new();
    loop {
        match reader.advance()? {
            Next::Batch(batch) => batches.push(Got {
                number: batch.number,
                segment: batch.segment,
                offset: batch.offset,
                bytes: batch.bytes as u64,
                records: batch.records.map(|record| Owned::of(&record)).collect(),
            }),
            Next::End(tail) => {
                let Next::End(again) = reader.advance()? else { panic!("after the end comes the end") };
                assert_eq!(again, tail);
                return Ok((batches, tail));
            }
        }
    }
}

fn recover(disk: &Disk) -> Result<(Vec<Got>, Tail), RecoverError> {
    recover_to(disk, None)
}

/// The book of the log's segments, as a start makes it.
fn segments(disk: &Disk) -> Segments {
    let mut reader = Reader::new(disk, LOG, None).expect("a log that can be recovered");
    let mut segments = Segments::of(reader.segments());
    while let Next::Batch(batch) = reader.advance().expect("a log that can be recovered") {
        let segment = batch.segment;
        batch.records.for_each(|record| segments.note(segment, &record));
    }
    segments
}

/// The segment at a path.
fn number_of(path: &str) -> SegmentNumber {
    path.rsplit('/').next().and_then(layout::parse_segment_file).expect("a segment's path")
}

fn corruption(disk: &Disk) -> Corruption {
    match recover(disk) {
        Err(RecoverError::Corruption(corruption)) => *corruption,
        Err(other) => panic!("wanted corruption, got {other}"),
        Ok((batches, tail)) => panic!("wanted corruption, got {} batches and {tail:?}", batches.len()),
    }
}

/// Drives one writer as a driver does.
struct Machine {
    disk: Disk,
    writer: Writer,
    salt: u64,
}

impl Machine {
    fn fresh() -> Self {
        Self { disk: Disk::default(), writer: Writer::new(LOG, SEGMENT, Start::fresh()), salt: 0x5a17 }
    }

    fn resumed(disk: Disk, salt: u64) -> Self {
        let (_, tail) = recover(&disk).expect("a log that can be recovered");
        let mut writer = Writer::new(LOG, SEGMENT, tail.start());
        writer.adopt(segments(&disk));
        Self { disk, writer, salt }
    }

    /// Prepares the segment the writer asks for, from a released file when there is one.
    fn prepare(&mut self) {
        if let Some(plan) = self.writer.needs_segment() {
            assert_eq!(plan.path, layout::segment_path(&LOG, plan.number));
            let left = self.disk.0.remove(&plan.number);
            let taken = plan.from.map(|from| self.disk.0.remove(&number_of(&from)).expect("a released file is there"));
            let mut bytes = taken.or(left).unwrap_or_default();
            bytes.resize(usize::try_from(plan.bytes).expect("small"), 0);
            self.disk.0.insert(plan.number, bytes);
            self.salt += 1;
            self.writer.segment_ready(plan.number, Salt(self.salt));
        }
    }

    fn append(&mut self, record: &Owned) -> Appended {
        self.writer.append(record.record()).expect("room for the record")
    }

    fn seal(&mut self) -> SealedBatch {
        self.prepare();
        self.writer.seal().expect("something to seal")
    }

    /// Writes a batch whole.
    fn land(&mut self, batch: SealedBatch) -> Durable {
        assert!(batch.bytes().as_ptr().addr().is_multiple_of(BLOCK_BYTES) && batch.bytes().len().is_multiple_of(BLOCK_BYTES));
        self.disk.write(batch.segment, batch.offset, batch.bytes());
        let durable = self.writer.durable(batch.number);
        self.writer.recycle(batch);
        durable
    }

    /// Appends, seals and writes one batch of one entry.
    fn put(&mut self, index: u64, bytes: usize) {
        let appended = self.append(&Owned::entry(index, bytes));
        let batch = self.seal();
        assert!(self.land(batch).covers(appended));
    }

    fn mark(&mut self) {
        assert!(self.writer.idle_mark());
        let batch = self.seal();
        assert_eq!(batch.bytes().len() % BLOCK_BYTES, 0);
        let _ = self.land(batch);
    }
}

//! Recovery of a log from bytes that nobody vouches for.
//!
//! Path: input → a real log of a few runs, some torn → edits of its bytes, some sealed with right checksums again → `Reader`.
//! Says more than "does not crash": each batch that is accepted has exactly one spelling, which an encoder written from
//! `engine/src/log/FORMAT.md` alone gives again; and a log that is recovered can be gone on with, and then reads as before and one batch more.

#![no_main]

use std::collections::BTreeMap;

use engine::log::{
    LogIdentity, Next, Reader, Record, RecordKind, SEGMENT_BYTES_MIN, Salt, SegmentFile, SegmentNumber, SegmentSource, Start, Tail, Writer,
};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

const LOG: LogIdentity = LogIdentity { folder: 7, generation: 1, shard: 0, shards: 2 };
const BLOCK: usize = 4096;
/// Runs, batches and edits of one input: enough for each pair of them to meet.
const STEPS_MAX: u8 = 6;
/// Part of the input that says what to edit.
const EDIT_BYTES: usize = 64;
/// Edits go to the first blocks of a file, where the batches of such a short history are.
const EDITED_BLOCKS_MAX: usize = 8;

#[derive(Clone, Default)]
struct Disk(BTreeMap<SegmentNumber, Vec<u8>>);

impl SegmentSource for &Disk {
    fn segments(&mut self) -> std::io::Result<Vec<SegmentFile>> {
        Ok(self.0.iter().map(|(number, bytes)| SegmentFile { number: *number, bytes: bytes.len() as u64 }).collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        into.copy_from_slice(&self.0[&segment][offset as usize..][..into.len()]);
        Ok(())
    }
}

/// A batch that recovery accepted, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Accepted {
    number: u64,
    segment: SegmentNumber,
    offset: usize,
    bytes: usize,
    records: Vec<Vec<u8>>,
}

/// A record as FORMAT.md section 4 spells it.
fn spell_record(record: &Record<'_>) -> Vec<u8> {
    let (kind, variant) = match record.kind {
        RecordKind::Entry(variant) => (1, variant as u8),
        RecordKind::HardState => (2, 0),
        RecordKind::Membership => (3, 0),
        RecordKind::OverwriteFrom => (4, 0),
        RecordKind::SnapshotMark => (5, 0),
        RecordKind::DurableMark => (6, 0),
        RecordKind::LogEnd => (7, 0),
    };
    let mut bytes = vec![kind, variant];
    bytes.extend(record.partition.to_le_bytes());
    bytes.extend((record.body.len() as u32).to_le_bytes());
    for field in [record.term, record.index, record.time_ms] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(record.body);
    bytes
}

/// A batch as FORMAT.md section 3 spells it. Salt, chain before and durable claim are taken from `found`, as they are what a batch is given.
fn spell_batch(batch: &Accepted, found: &[u8]) -> Vec<u8> {
    let salt = u64::from_le_bytes(found[56..64].try_into().unwrap());
    let body = batch.records.concat();
    let mut header = Vec::new();
    header.extend(&found[16..32]);
    header.extend(xxh3_128_with_seed(&body, salt).to_le_bytes());
    header.extend(b"EMPBATCH");
    header.extend(salt.to_le_bytes());
    header.extend(batch.number.to_le_bytes());
    header.extend(&found[72..80]);
    header.extend((batch.offset as u64).to_le_bytes());
    header.extend((body.len() as u32).to_le_bytes());
    header.extend((batch.records.len() as u32).to_le_bytes());
    header.extend(LOG.generation.to_le_bytes());
    header.extend(batch.segment.0.to_le_bytes());
    header.extend(LOG.shard.to_le_bytes());
    header.extend([0; 6]);
    let mut bytes = xxh3_128_with_seed(&header, salt).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Recovers, and checks each batch on the way; `None` for the tail when recovery refuses the log.
fn recover(disk: &Disk) -> (Vec<Accepted>, Option<Tail>) {
    let mut accepted: Vec<Accepted> = Vec::new();
    let Ok(mut reader) = Reader::new(disk, LOG, None) else { return (accepted, None) };
    let tail = loop {
        match reader.advance() {
            Ok(Next::Batch(batch)) => accepted.push(Accepted {
                number: batch.number.0,
                segment: batch.segment,
                offset: batch.offset as usize,
                bytes: batch.bytes,
                records: batch.records.map(|record| spell_record(&record)).collect(),
            }),
            Ok(Next::End(tail)) => break Some(tail),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break None;
            }
        }
    };
    for (at, batch) in accepted.iter().enumerate() {
        let found = &disk.0[&batch.segment][batch.offset..][..batch.bytes];
        assert_eq!(spell_batch(batch, found), found, "one batch, one spelling");
        if let Some(before) = at.checked_sub(1).map(|before| &accepted[before]) {
            assert_eq!(batch.number, before.number + 1);
            assert_eq!(found[16..32], disk.0[&before.segment][before.offset..][..16], "the chain leads from batch to batch");
        }
    }
    (accepted, tail)
}

/// One run of a writer; the last batch may be torn.
fn run(disk: &mut Disk, start: Start, salt: u64, input: &mut Unstructured<'_>) -> Result<()> {
    let mut writer = Writer::new(LOG, SEGMENT_BYTES_MIN, start);
    let mut salt = salt << 8;
    let batches = input.int_in_range(1..=STEPS_MAX)?;
    for batch in 0..batches {
        // A round without records leaves the log idle, and it is marked.
        for _ in 0..input.int_in_range(0..=3_u8)? {
            let bytes = match input.int_in_range(0..=9_u8)? {
                0 => usize::from(input.arbitrary::<u16>()?) * 8,
                few => usize::from(few) * 23,
            };
            let body = vec![input.arbitrary()?; bytes];
            let numbers: [u16; 3] = input.arbitrary()?;
            let [term, index, time_ms] = numbers.map(u64::from);
            let entry = Record::entry(input.arbitrary::<u8>()?.into(), term, index, time_ms, &body);
            // A batch may fill up; what does not fit is left out.
            if writer.append(entry).is_err() {
                break;
            }
        }
        if writer.is_empty() {
            writer.idle_mark();
        }
        if let Some(plan) = writer.needs_segment() {
            disk.0.entry(plan.number).or_default().resize(plan.bytes as usize, 0);
            salt += 1;
            writer.segment_ready(plan.number, Salt(salt));
        }
        let Ok(sealed) = writer.seal() else { continue };
        let landed: u64 = if batch + 1 == batches { input.arbitrary()? } else { u64::MAX };
        let file = disk.0.get_mut(&sealed.segment).expect("prepared");
        for (block, bytes) in sealed.bytes().chunks(BLOCK).enumerate().filter(|(block, _)| landed >> (block % 64) & 1 == 1) {
            file[sealed.offset as usize + block * BLOCK..][..BLOCK].copy_from_slice(bytes);
        }
        let _ = writer.durable(sealed.number);
        writer.recycle(sealed);
    }
    Ok(())
}

/// Makes the checksums of the header in `block` right, if one is there. `rest` is the file from there on.
fn reseal(rest: &mut [u8]) {
    if rest[16..24] == *b"EMPORLOG" {
        let checksum = xxh3_128(&rest[16..BLOCK]);
        rest[..16].copy_from_slice(&checksum.to_le_bytes());
    } else if rest[48..56] == *b"EMPBATCH" {
        let salt = u64::from_le_bytes(rest[56..64].try_into().unwrap());
        let bytes = u32::from_le_bytes(rest[88..92].try_into().unwrap()) as usize;
        if let Some(body) = rest[112..].get(..bytes) {
            let checksum = xxh3_128_with_seed(body, salt);
            rest[32..48].copy_from_slice(&checksum.to_le_bytes());
        }
        let checksum = xxh3_128_with_seed(&rest[16..112], salt);
        rest[..16].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Spoils the disk in one place.
fn edit(disk: &mut Disk, input: &mut Unstructured<'_>) -> Result<()> {
    let numbers: Vec<_> = disk.0.keys().copied().collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let number = *input.choose(&numbers)?;
    let file = disk.0.get_mut(&number).expect("chosen from the disk");
    let blocks = (file.len() / BLOCK).min(EDITED_BLOCKS_MAX);
    match input.int_in_range(0..=6_u8)? {
        0 => drop(disk.0.remove(&number)),
        1 => file.truncate(usize::from(input.arbitrary::<u16>()?) * 16),
        2 => {
            let copy = file.clone();
            disk.0.insert(SegmentNumber(input.int_in_range(1..=6)?), copy);
        }
        _ if blocks == 0 => {}
        3 => {
            let (from, to) = (input.choose_index(blocks)? * BLOCK, input.choose_index(blocks)? * BLOCK);
            file.copy_within(from..from + BLOCK, to);
        }
        4 => {
            let block = input.choose_index(blocks)? * BLOCK;
            file[block..][..BLOCK].fill(input.arbitrary()?);
        }
        sealing => {
            let block = input.choose_index(blocks)? * BLOCK;
            // In the fields, mostly; else in bodies and padding.
            let at = block + if input.ratio(3_u8, 4_u8)? { input.choose_index(160)? } else { input.choose_index(BLOCK - 8)? };
            let value: [u8; 8] = input.arbitrary()?;
            let count = input.int_in_range(1..=8)?;
            file[at..at + count].copy_from_slice(&value[..count]);
            if sealing == 6 {
                reseal(&mut file[block..]);
            }
        }
    }
    Ok(())
}

fn play(edits: &mut Unstructured<'_>, input: &mut Unstructured<'_>) -> Result<()> {
    let mut disk = Disk::default();
    for salt in 0..input.int_in_range(1..=3_u64)? {
        let (_, tail) = recover(&disk);
        let start = tail.expect("a log that only crashed is recovered").start();
        run(&mut disk, start, 1 + salt, input)?;
    }
    for _ in 0..edits.int_in_range(0..=STEPS_MAX)? {
        edit(&mut disk, edits)?;
    }
    let (accepted, tail) = recover(&disk);
    let Some(tail) = tail else { return Ok(()) };

    let mut writer = Writer::new(LOG, SEGMENT_BYTES_MIN, tail.start());
    let record = Record::entry(1, 2, 3, 4, b"goes on");
    let _ = writer.append(record).expect("room");
    let plan = writer.needs_segment().expect("a run begins with a new segment");
    disk.0.entry(plan.number).or_default().resize(plan.bytes as usize, 0);
    writer.segment_ready(plan.number, Salt(u64::MAX));
    let sealed = writer.seal().expect("all is there");
    disk.0.get_mut(&plan.number).expect("prepared")[..sealed.bytes().len()].copy_from_slice(sealed.bytes());
    let (again, tail) = recover(&disk);
    assert!(tail.is_some(), "a log that went on after a recovery is recovered");
    assert_eq!(again[..accepted.len()], accepted);
    assert_eq!((again.len(), &again[accepted.len()].records), (accepted.len() + 1, &vec![spell_record(&record)]));
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    // The edits come from the front, so that a history that uses up the input does not leave it without.
    let (edits, history) = bytes.split_at(bytes.len().min(EDIT_BYTES));
    // Input that is used up ends the history; what was done until then was checked.
    let _ = play(&mut Unstructured::new(edits), &mut Unstructured::new(history));
});

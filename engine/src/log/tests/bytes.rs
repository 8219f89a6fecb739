//! The bytes of version 1, and one row for each verdict of recovery.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};

use super::*;

/// One record of every kind.
fn every_kind() -> Vec<Owned> {
    let about = |kind, body: &[u8]| Owned(kind, 2, 6, 41, 0, body.to_vec());
    let members = Membership { voters: vec![1, 2, 3], learners: vec![9], auto_leave: true, ..Membership::default() };
    let end = LogEnd {
        generation: 1,
        shard: 0,
        shards: 2,
        place: Some((SegmentNumber(7), 81_920)),
        next_batch: BatchNumber(1000),
        chain: Chain(0xfeed << 64),
    };
    vec![
        about(RecordKind::LogEnd, &end.encode()),
        Owned(RecordKind::Entry(EntryVariant::Command), 1, 5, 40, 1_700_000_000_000, b"an order".to_vec()),
        Owned(RecordKind::Entry(EntryVariant::MemberChange), 1, 5, 41, 1_700_000_000_001, b"a member".to_vec()),
        Owned(RecordKind::Entry(EntryVariant::JointChange), 65_535, u64::MAX, u64::MAX, u64::MAX, Vec::new()),
        about(RecordKind::HardState, &HardState { vote: 3 }.encode()),
        about(RecordKind::Membership, &members.encode()),
        about(RecordKind::OverwriteFrom, b""),
        about(RecordKind::SnapshotMark, &SnapshotMark { snapshot: 12, checksum: 0xabcd }.encode()),
    ]
}

/// Two segments: every kind, two blocks in one batch, a mark; then a torn batch, which segment 2 closes.
fn fixture_disk() -> Disk {
    let mut machine = Machine::fresh();
    for record in every_kind() {
        let _ = machine.append(&record);
    }
    let batch = machine.seal();
    let _ = machine.land(batch);
    machine.put(42, 4096);
    machine.mark();
    let _ = machine.append(&Owned::entry(43, 4096));
    let torn = machine.seal();
    let mut disk = machine.disk;
    disk.write(torn.segment, torn.offset, &torn.bytes()[..BLOCK_BYTES]);
    let mut machine = Machine::resumed(disk, 0x00c0_ffee);
    machine.put(43, 10);
    machine.disk
}

/// Hex with one line for each 32 bytes that are not all zero.
fn dump(disk: &Disk) -> String {
    let mut text = String::new();
    for (number, bytes) in &disk.0 {
        writeln!(text, "{} {}", layout::segment_file(*number), bytes.len()).expect("strings take all");
        for (line, bytes) in bytes.chunks(32).enumerate().filter(|(_, bytes)| !buffer::all_zero(bytes)) {
            write!(text, "{:06x} ", line * 32).expect("strings take all");
            for byte in bytes {
                write!(text, "{byte:02x}").expect("strings take all");
            }
            text.push('\n');
        }
    }
    text
}

fn undump(text: &str) -> Disk {
    let mut disk = Disk::default();
    let mut number = SegmentNumber(0);
    for line in text.lines() {
        let (head, rest) = line.split_once(' ').expect("two words");
        if let Some(segment) = layout::parse_segment_file(head) {
            number = segment;
            disk.0.insert(number, vec![0; rest.parse().expect("a length")]);
        } else {
            let bytes: Vec<u8> = (0..rest.len()).step_by(2).map(|at| u8::from_str_radix(&rest[at..at + 2], 16).expect("hex")).collect();
            disk.write(number, u64::from_str_radix(head, 16).expect("an offset"), &bytes);
        }
    }
    disk
}

#[test]
fn version_1_is_written_byte_for_byte() {
    expect_file!["../fixtures/v1-all-kinds.hex"].assert_eq(&dump(&fixture_disk()));
}

#[test]
fn version_1_is_read() {
    let (batches, tail) = recover(&undump(include_str!("../fixtures/v1-all-kinds.hex"))).expect("the released bytes are whole");
    assert_eq!(batches[0].records, every_kind());
    assert_eq!(batches[1].records, [Owned::entry(42, 4096)]);
    assert_eq!(batches[3].records, [Owned::entry(43, 10)]);
    let places: Vec<_> = batches.iter().map(|batch| (batch.number.0, batch.segment.0, batch.offset, batch.bytes)).collect();
    assert_eq!(places, [(1, 1, 4096, 4096), (2, 1, 8192, 8192), (3, 1, 16_384, 4096), (4, 2, 4096, 4096)]);
    assert_eq!((tail.next_batch, tail.place, tail.proven), (BatchNumber(5), Some((SegmentNumber(2), 8192)), BatchNumber(3)));
    assert_eq!(tail.ending, Ending::Unmarked);
}

/// Where the last batch of [`two_segments`] is in segment 2.
const LAST_AT: usize = 106_496;

/// Segment 1: batches 1 and 2 at 4096 and 8192, then a batch that nearly fills it; segment 2: batch 4 of 25 blocks, then batch 5.
fn two_segments() -> Machine {
    let mut machine = Machine::fresh();
    machine.put(1, 100);
    machine.put(2, 100);
    machine.put(3, 1_000_000);
    machine.put(4, 100_000);
    machine.put(5, 100);
    machine
}

#[test] // Each row: what is done to the disk, and the end recovery comes to, or the first words of what it says.
fn verdicts() {
    type Deed = fn(&mut Disk);
    let rows: &[(&str, Deed, &str)] = &[
        ("nothing", |_| {}, "batch 6 next, Unmarked"),
        (
            "last batch, body",
            |disk| disk.flip(2, LAST_AT as u64 + 150),
            "batch 5 next, cut at 106496 of segment-00000002.wal: a batch body of 132 bytes whose checksum does not match",
        ),
        (
            "last batch, header",
            |disk| disk.flip(2, LAST_AT as u64 + 70),
            "batch 5 next, cut at 106496 of segment-00000002.wal: a batch header whose checksum does not match",
        ),
        (
            "last batch, padding",
            |disk| disk.flip(2, LAST_AT as u64 + 4000),
            "batch 5 next, cut at 106496 of segment-00000002.wal: padding that is not zero",
        ),
        ("last batch gone", |disk| disk.0.get_mut(&SegmentNumber(2)).unwrap()[LAST_AT..].fill(0), "batch 5 next, Unmarked"),
        (
            "batch before the last",
            |disk| disk.flip(2, 50_000),
            "log/00000001/shard-003/segment-00000002.wal is damaged at byte 4096, where batch 4 belongs: found a batch body of 100032 bytes whose checksum does not match. This is no torn write: batch 5 at byte 106496 of log/00000001/shard-003/segment-00000002.wal was written when batch 4 was durable.",
        ),
        (
            "batch before the last gone",
            |disk| disk.0.get_mut(&SegmentNumber(2)).unwrap()[4096..LAST_AT].fill(0),
            "log/00000001/shard-003/segment-00000002.wal is damaged at byte 4096, where batch 4 belongs: found no batch.",
        ),
        (
            "last segment's header",
            |disk| disk.flip(2, 80),
            "log/00000001/shard-003/segment-00000002.wal is damaged at byte 0, where batch 4 belongs: found a segment header whose checksum does not match. This is no torn write: batch 5 at byte 106496",
        ),
        (
            "last segment's header gone",
            |disk| disk.0.get_mut(&SegmentNumber(2)).unwrap()[..4096].fill(0),
            "log/00000001/shard-003/segment-00000002.wal is damaged at byte 0, where batch 4 belongs: found no segment header.",
        ),
        (
            "last batch of a closed segment",
            |disk| disk.flip(1, 500_000),
            "log/00000001/shard-003/segment-00000001.wal is damaged at byte 12288, where batch 3 belongs: found a batch body of 1000032 bytes whose checksum does not match. This is no torn write: log/00000001/shard-003/segment-00000002.wal follows and says where this segment ends.",
        ),
        ("behind a closed segment's end", |disk| disk.flip(1, 1_048_000), "batch 6 next, Unmarked"),
        (
            "a closed segment's header",
            |disk| disk.flip(1, 4000),
            "log/00000001/shard-003/segment-00000001.wal is damaged at byte 0, where batch 1 belongs: found a segment header whose checksum",
        ),
        (
            "a closed segment cut short",
            |disk| disk.0.get_mut(&SegmentNumber(1)).unwrap().truncate(700_000),
            "log/00000001/shard-003/segment-00000001.wal is damaged at byte 700000, where batch 1 belongs: found a file of 700000 bytes instead of 1048576.",
        ),
        (
            "the last segment is gone: the one prepared behind it tells",
            |disk| drop(disk.0.remove(&SegmentNumber(2))),
            "log/00000001/shard-003/segment-00000002.wal is missing",
        ),
        (
            "both are gone: nothing in the log can tell",
            |disk| {
                disk.0.remove(&SegmentNumber(2));
                disk.0.remove(&SegmentNumber(3));
            },
            "batch 4 next, Unmarked",
        ),
        ("the first segment is gone: it may have been released", |disk| drop(disk.0.remove(&SegmentNumber(1))), "batch 6 next, Unmarked"),
        ("no spare behind", |disk| drop(disk.0.remove(&SegmentNumber(3))), "batch 6 next, Unmarked"),
        (
            "a taken-over spare behind",
            |disk| drop(disk.0.insert(SegmentNumber(3), disk.0[&SegmentNumber(1)].clone())),
            "batch 6 next, Unmarked",
        ),
        ("an unfinished spare behind", |disk| drop(disk.0.insert(SegmentNumber(3), vec![0; 5000])), "batch 6 next, Unmarked"),
        (
            "a hole",
            |disk| drop(disk.0.insert(SegmentNumber(5), vec![0; 4096])),
            "log/00000001/shard-003/segment-00000004.wal is missing: the log goes from segment 1 to segment 5 without holes.",
        ),
        (
            "a spare in the middle",
            |disk| drop(disk.0.insert(SegmentNumber(1), vec![0; 1 << 20])),
            "log/00000001/shard-003/segment-00000001.wal is damaged at byte 0, where batch 1 belongs: found no segment header. This is no torn write: log/00000001/shard-003/segment-00000002.wal follows",
        ),
        (
            "a later segment under an earlier name",
            |disk| drop(disk.0.insert(SegmentNumber(1), disk.0[&SegmentNumber(2)].clone())),
            "log/00000001/shard-003/segment-00000001.wal belongs to another log: it is segment 2, its name says 1.",
        ),
        (
            "only a damaged segment that is not the first",
            |disk| {
                disk.0.remove(&SegmentNumber(1));
                disk.flip(2, 17);
            },
            "log/00000001/shard-003/segment-00000002.wal is damaged at byte 0",
        ),
        ("all gone", |disk| disk.0.clear(), "batch 1 next, Empty"),
    ];
    let whole = two_segments().disk;
    for (deed, change, says) in rows {
        let mut disk = whole.clone();
        change(&mut disk);
        let said = match recover(&disk) {
            Err(error) => error.to_string(),
            Ok((_, Tail { next_batch, ending: Ending::Cut(cut), .. })) => {
                format!("batch {next_batch} next, cut at {} of {}: {}", cut.offset, cut.file.rsplit('/').next().unwrap(), cut.why)
            }
            Ok((_, Tail { next_batch, ending, .. })) => format!("batch {next_batch} next, {ending:?}"),
        };
        assert!(said.starts_with(says), "{deed}\n  said:   {said}\n  wanted: {says}");
    }
}

#[test]
fn corruption_says_what_to_do() {
    let mut disk = two_segments().disk;
    disk.flip(1, 9000);
    let text = corruption(&disk).to_string();
    expect!["log/00000001/shard-003/segment-00000001.wal is damaged at byte 8192, where batch 2 belongs: found padding that is not zero. This is no torn write: log/00000001/shard-003/segment-00000002.wal follows and says where this segment ends. Restore the folder from a backup, or, in a cluster, replace this node from a peer; `emporion verify DIR` lists what is damaged. Do not delete or edit the file: it may hold the only copy of acknowledged writes"].assert_eq(&text);
}

#[test] // Each row: another identity than the log was written under, and what it says of segment 1.
fn segments_of_other_logs_are_refused() {
    let disk = two_segments().disk;
    for (log, says) in [
        (
            LogIdentity { folder: 1, ..LOG },
            "its folder id is 0123456789abcdef0011223344556677, this folder's is 00000000000000000000000000000001",
        ),
        (LogIdentity { generation: 2, ..LOG }, "its generation is 1, this log's is 2"),
        (LogIdentity { shard: 2, ..LOG }, "it is of shard 3 of 4, this log of shard 2 of 4"),
        (LogIdentity { shards: 8, ..LOG }, "it is of shard 3 of 4, this log of shard 3 of 8"),
    ] {
        match Reader::new(&disk, log, None).err() {
            Some(RecoverError::Foreign { file, what }) => {
                assert_eq!((file, what.to_string()), (layout::segment_path(&log, SegmentNumber(1)), says.to_owned()));
            }
            other => panic!("wanted a foreign segment, got {other:?}"),
        }
    }
}

/// Sets bytes of a segment header and seals it anew.
fn reseal_segment(disk: &mut Disk, segment: u32, at: usize, value: &[u8]) {
    let block = &mut disk.0.get_mut(&SegmentNumber(segment)).unwrap()[..BLOCK_BYTES];
    block[at..at + value.len()].copy_from_slice(value);
    let checksum = xxhash_rust::xxh3::xxh3_128(&block[16..]);
    block[..16].copy_from_slice(&checksum.to_le_bytes());
}

/// Changes the header of the batch at `at` and seals it anew.
fn reseal_batch(disk: &mut Disk, segment: u32, at: usize, change: fn(&mut batch::BatchHeader)) {
    let block = &mut disk.0.get_mut(&SegmentNumber(segment)).unwrap()[at..];
    let batch::Decoded::Valid(mut header, _) = batch::BatchHeader::decode(block) else { panic!("a batch is at {at}") };
    change(&mut header);
    let end = batch::HEADER_BYTES + header.body_bytes as usize;
    if let Some(body) = block.get(batch::HEADER_BYTES..end) {
        header.body_checksum = batch::body_checksum(body, header.salt);
    }
    let _ = header.encode(block);
}

#[test]
fn newer_formats_are_named() {
    let mut disk = two_segments().disk;
    reseal_segment(&mut disk, 2, 24, &2_u32.to_le_bytes());
    let said = recover(&disk).unwrap_err().to_string();
    assert!(
        said.contains("segment-00000002.wal was made by a newer version of Emporion: its log format is 2; this one reads log format 1"),
        "{said}"
    );

    let mut disk = two_segments().disk;
    disk.0.get_mut(&SegmentNumber(2)).unwrap()[LAST_AT + batch::HEADER_BYTES] = 8;
    reseal_batch(&mut disk, 2, LAST_AT, |_| {});
    let said = recover(&disk).unwrap_err().to_string();
    assert!(said.contains("batch 5 at byte 106496 has a record of kind 8"), "{said}");
}

#[test] // Each row: a field of the last batch that no writer writes, under a right checksum.
fn what_no_crash_explains_is_corruption_even_at_the_end() {
    type Change = fn(&mut batch::BatchHeader);
    let rows: &[(Change, &str)] = &[
        (|header| header.number.0 = 6, "batch 6 with a number out of order"),
        (|header| header.chain_before.0 += 1, "batch 5 with a chain value that is not of the batch before it"),
        (|header| header.offset += 4096, "batch 5 with the place of another batch"),
        (|header| header.shard = 0, "batch 5 with the place of another batch"),
        (|header| header.durable.0 = 5, "batch 5 with a claim of what is durable that no writer makes"),
        (|header| header.durable.0 = 2, "batch 5 with a claim of what is durable that no writer makes"),
        (|header| header.records = 2, "batch 5 with records that do not fill its body"),
        (|header| header.body_bytes = 0, "batch 5 with a length that does not fit its place"),
        (|header| header.body_bytes = u32::MAX, "batch 5 with a length that does not fit its place"),
        (|header| header.body_bytes = 1_040_000, "batch 5 with a length that does not fit its place"),
    ];
    for (change, says) in rows {
        let mut disk = two_segments().disk;
        reseal_batch(&mut disk, 2, LAST_AT, *change);
        let corruption = corruption(&disk);
        assert_eq!((corruption.found.to_string(), corruption.proof), ((*says).to_owned(), Proof::Sealed));
    }
}

#[test] // Each row: a field of the second segment's header, under a right checksum.
fn segments_that_do_not_fit_together_are_corruption() {
    let rows: &[(usize, &[u8], &str)] = &[
        (
            72,
            &9_u64.to_le_bytes(),
            "a segment header that starts at batch 9, and closes the segment before at byte 1015808, while that one leads to batch 4 at byte 1015808",
        ),
        (
            80,
            &[1; 16],
            "a segment header that starts at batch 4, and closes the segment before at byte 1015808, while that one leads to batch 4 at byte 1015808",
        ),
        (
            96,
            &8192_u64.to_le_bytes(),
            "a segment header that starts at batch 4, and closes the segment before at byte 8192, while that one leads to batch 2 at byte 8192",
        ),
        (96, &16_384_u64.to_le_bytes(), "batch 3 with a length that does not fit its place"),
        (96, &1_019_904_u64.to_le_bytes(), "no batch"),
        (96, &5000_u64.to_le_bytes(), "a segment header with an end of the segment before that it cannot have"),
        (96, &u64::MAX.to_le_bytes(), "a segment header with an end of the segment before that it cannot have"),
        (72, &u64::MAX.to_le_bytes(), "a segment header with a segment or batch number that no log reaches"),
        (28, &1_u32.to_le_bytes(), "a segment header with a segment size out of bounds"),
        (4000, &[1], "a segment header with bytes that must be zero"),
    ];
    for (at, value, says) in rows {
        let mut disk = two_segments().disk;
        reseal_segment(&mut disk, 2, *at, value);
        assert_eq!(corruption(&disk).found.to_string(), *says, "bytes {value:?} at {at}");
    }
}

#[test]
fn with_two_writes_in_flight_a_whole_batch_behind_a_torn_one_is_no_proof() {
    let mut machine = two_segments();
    reseal_batch(&mut machine.disk, 2, LAST_AT, |header| header.durable.0 = 3);
    machine.disk.flip(2, 50_000);
    let (batches, tail) = recover(&machine.disk).expect("batch 5 does not claim that batch 4 was durable");
    assert_eq!((batches.len(), tail.next_batch), (3, BatchNumber(4)));
    assert!(matches!(tail.ending, Ending::Cut(Cut { offset: 4096, .. })), "{tail:?}");
    // The next run closes segment 2 before the stale batch 5, and reaches its number with other content.
    let mut machine = Machine::resumed(machine.disk, 77);
    machine.put(40, 10);
    machine.put(50, 10);
    machine.mark();
    let (batches, tail) = recover(&machine.disk).expect("whole");
    assert_eq!(batches[4].records, [Owned::entry(50, 10)]);
    assert_eq!((tail.next_batch, tail.ending), (BatchNumber(7), Ending::Marked));
}

#[test]
fn the_end_that_a_newer_generation_recorded_is_held_to() {
    let machine = two_segments();
    let (batches, tail) = recover(&machine.disk).expect("whole");
    let end = tail.log_end(&LOG);
    // Behind the end there may be anything, and any file.
    let mut disk = machine.disk.clone();
    disk.flip(2, 115_000);
    disk.0.insert(SegmentNumber(9), vec![7; 9000]);
    assert_eq!(recover_to(&disk, Some(end)).expect("whole up to the end").0, batches);

    disk.flip(2, LAST_AT as u64 + 150);
    assert!(recover(&machine.disk).is_ok());
    let said = recover_to(&disk, Some(end)).unwrap_err().to_string();
    assert!(said.contains("byte 106496") && said.contains("a newer generation of the log says where this one ends"), "{said}");

    for (end, says) in [
        (LogEnd { next_batch: BatchNumber(7), ..end }, "another number or chain than the newer generation recorded"),
        (LogEnd { chain: Chain(1), ..end }, "another number or chain than the newer generation recorded"),
        (LogEnd { place: Some((SegmentNumber(3), 8192)), ..end }, "segment-00000003.wal is damaged at byte 0"),
        (LogEnd { place: Some((SegmentNumber(4), 8192)), ..end }, "segment-00000004.wal is missing"),
        (LogEnd { place: Some((SegmentNumber(2), u64::MAX)), ..end }, "no batch"),
        (LogEnd { place: Some((SegmentNumber(2), 0)), ..end }, "no batch"),
        (LogEnd { place: Some((SegmentNumber(u32::MAX), 8192)), ..end }, "segment-00000004.wal is missing"),
    ] {
        let said = recover_to(&machine.disk, Some(end)).unwrap_err().to_string();
        assert!(said.contains(says), "{end:?}: {said}");
    }
    let empty = LogEnd { place: None, next_batch: BatchNumber(1), chain: Chain::START, ..end };
    assert_eq!(recover_to(&machine.disk, Some(empty)).expect("nothing is looked at").0, []);
    assert!(recover_to(&Disk::default(), Some(end)).unwrap_err().to_string().contains("segment-00000002.wal is missing"));
}

#[test]
fn the_writer_waits_and_refuses_as_documented() {
    let mut writer = Writer::new(LOG, SEGMENT, Start::fresh());
    assert_eq!(writer.seal().unwrap_err(), NotSealed::Empty);
    assert!(!writer.idle_mark(), "an empty log needs no mark");
    let long = vec![1; RECORD_BODY_BYTES_MAX + 1];
    let entry = |body| Record::entry(0, 1, 1, 0, body);
    assert_eq!(writer.append(entry(&long)), Err(AppendError::TooLong { bytes: long.len() }));
    let first = writer.append(entry(&long[1..])).expect("exactly fits");
    assert_eq!(writer.append(entry(b"")), Err(AppendError::BatchFull { bytes: 0 }));
    assert_eq!(writer.open_len(), RECORD_BODY_BYTES_MAX + 32);
    assert_eq!(writer.seal().unwrap_err(), NotSealed::AwaitsSegment(SegmentNumber(1)));
    assert_eq!(writer.needs_segment().map(|plan| plan.number), Some(SegmentNumber(1)));
    assert_eq!(writer.needs_segment(), None, "a plan is told once");
    assert_eq!(writer.seal().unwrap_err(), NotSealed::AwaitsSegment(SegmentNumber(1)));
    writer.segment_ready(SegmentNumber(1), Salt(1));
    let sealed = writer.seal().expect("all is there");
    assert_eq!((sealed.number, sealed.segment, sealed.offset, sealed.bytes().len()), (BatchNumber(1), SegmentNumber(1), 0, 1 << 20));
    assert_eq!(writer.needs_segment(), None, "segment 2 is not prepared before segment 1 holds something");
    let second = writer.append(entry(b"gathers meanwhile")).expect("room");
    assert_eq!(writer.seal().unwrap_err(), NotSealed::AwaitsSegment(SegmentNumber(2)), "segment 1 is full");
    assert!(!writer.idle_mark());
    let durable = writer.durable(BatchNumber(1));
    assert!(durable.covers(first) && !durable.covers(second));
    writer.recycle(sealed);
    assert_eq!(writer.seal().unwrap_err(), NotSealed::AwaitsSegment(SegmentNumber(2)), "segment 1 is full");
    assert_eq!(writer.needs_segment().map(|plan| plan.number), Some(SegmentNumber(2)));
    writer.segment_ready(SegmentNumber(2), Salt(2));
    let sealed = writer.seal().expect("all is there");
    assert_eq!((sealed.segment, sealed.offset, sealed.bytes().len()), (SegmentNumber(2), 0, 2 * BLOCK_BYTES));
    assert!(writer.durable(BatchNumber(2)).covers(second));
    assert!(writer.idle_mark() && !writer.idle_mark(), "one mark is enough");
    let mark = writer.seal().expect("the mark");
    assert_eq!((mark.offset, mark.bytes().len()), (2 * BLOCK_BYTES as u64, BLOCK_BYTES));
    let _ = writer.durable(BatchNumber(3));
    assert!(!writer.idle_mark(), "the log ends with a mark");
}

#[test]
fn two_batches_may_be_on_their_way_and_count_in_order() {
    let mut machine = Machine::fresh();
    let put = |machine: &mut Machine, index| {
        let appended = machine.append(&Owned::entry(index, 100));
        (appended, machine.seal())
    };
    let ((first, one), (second, two)) = (put(&mut machine, 1), put(&mut machine, 2));
    assert_eq!((one.offset, two.offset), (0, 2 * BLOCK_BYTES as u64));
    let third = machine.append(&Owned::entry(3, 100));
    assert_eq!(machine.writer.seal().unwrap_err(), NotSealed::InFlight(BatchNumber(1)));
    assert_eq!(machine.writer.in_flight(), 2);
    assert_eq!(machine.writer.needs_segment(), None, "segment 1 does not exist for sure yet");
    // The second overtakes the first: nothing is durable.
    let durable = machine.land(two);
    assert!(!durable.covers(first) && !durable.covers(second));
    assert_eq!(machine.writer.seal().unwrap_err(), NotSealed::InFlight(BatchNumber(1)));
    let durable = machine.land(one);
    assert!(durable.covers(second) && !durable.covers(third));
    // With others on their way the next segment is prepared, but not begun.
    let three = machine.seal();
    let ((_, four), big) = (put(&mut machine, 4), Owned::entry(5, RECORD_BODY_BYTES_MAX));
    let _ = machine.land(three);
    let _ = machine.append(&big);
    assert_eq!(machine.writer.seal().unwrap_err(), NotSealed::InFlight(BatchNumber(4)));
    let _ = machine.land(four);
    let five = machine.seal();
    assert_eq!((five.segment, five.offset), (SegmentNumber(2), 0));
    let _ = machine.land(five);
    let (batches, _) = recover(&machine.disk).expect("whole");
    assert_eq!(batches.len(), 5);
}

#[test]
fn many_records_share_blocks_and_few_wait_for_nobody() {
    let mut machine = Machine::fresh();
    let next = std::cell::Cell::new(1);
    let one_of = |machine: &mut Machine, bytes| machine.append(&Owned::entry(next.replace(next.get() + 1), bytes));
    let put = |machine: &mut Machine, count: usize| -> Vec<Appended> { (0..count).map(|_| one_of(machine, 104)).collect() };
    // Fewer than a crowd: at once, on their own, one behind the other.
    let few = put(&mut machine, 7);
    let one = machine.seal();
    let more = put(&mut machine, 8);
    let two = machine.seal();
    assert!(machine.land(one).covers(few[6]));
    assert!(machine.land(two).covers(more[7]));
    // A block has room for 29 of them: the other two wait for the next batch, also to be acknowledged.
    let many = put(&mut machine, 31);
    let three = machine.seal();
    assert_eq!(three.bytes().len(), BLOCK_BYTES);
    // The two are no reason for a write while one is under way, nor are some more; a block full of them is.
    assert_eq!(machine.writer.seal().unwrap_err(), NotSealed::Gathers);
    put(&mut machine, 10);
    assert_eq!(machine.writer.seal().unwrap_err(), NotSealed::Gathers);
    let last = put(&mut machine, 18);
    let four = machine.seal();
    assert_eq!(four.bytes().len(), BLOCK_BYTES);
    let durable = machine.land(three);
    assert!(durable.covers(many[28]) && !durable.covers(many[29]));
    let durable = machine.land(four);
    assert!(durable.covers(many[30]) && durable.covers(last[16]) && !durable.covers(last[17]));
    // Nothing is under way: what is left goes, however little it is.
    let five = machine.seal();
    assert_eq!(five.bytes().len(), BLOCK_BYTES);
    assert!(machine.land(five).covers(last[17]));
    // Long records leave no better place to cut.
    for _ in 0..2 {
        put(&mut machine, 15);
        let _ = one_of(&mut machine, 9_000);
        let batch = machine.seal();
        let _ = machine.land(batch);
    }
    let (batches, _) = recover(&machine.disk).expect("whole");
    let records: Vec<u64> = batches.iter().flat_map(|batch| batch.records.iter().map(|record| record.3)).collect();
    assert_eq!(records, (1..next.get()).collect::<Vec<_>>(), "each once, in order");
}

#[test]
#[should_panic(expected = "batch 2 is reported durable")]
fn a_batch_cannot_overtake_twice() {
    let mut machine = Machine::fresh();
    for index in 1..=2 {
        let _ = machine.append(&Owned::entry(index, 1));
        let _ = machine.seal();
    }
    let _ = machine.writer.durable(BatchNumber(2));
    let _ = machine.writer.durable(BatchNumber(2));
}

#[test]
#[should_panic(expected = "batch 2 is reported durable")]
fn a_batch_that_is_not_on_its_way_cannot_be_durable() {
    let mut machine = Machine::fresh();
    machine.put(1, 1);
    let _ = machine.writer.durable(BatchNumber(2));
}

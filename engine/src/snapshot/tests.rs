//! The bytes of version 1, and every way in which they can be wrong.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};
use xxhash_rust::xxh3::xxh3_128;

use super::*;

const HEADER: Header = Header {
    folder: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
    partition: PartitionId(7),
    partitions: 64,
    epoch: 2,
    index: 1234,
    term: 3,
    seq: Seq(1200),
    last_time: Millis(1_800_000_000_000),
    created: Millis(1_800_000_000_500),
};
const FILE: &str = "snapshots/p-00007/00000000000000001234.snap";

/// A file with these chunks.
fn file(chunks: &[&[u8]]) -> (Vec<u8>, Ended) {
    let mut out = Vec::new();
    let mut writer = Writer::new(&HEADER, &mut out);
    for content in chunks {
        writer.chunk(&mut out, |out| out.extend_from_slice(content));
    }
    let ended = writer.end(&mut out);
    (out, ended)
}

/// Reads `bytes` in pieces of `piece`.
fn read(bytes: &[u8], piece: usize) -> Result<(Vec<Vec<u8>>, Whole), FileError> {
    let mut reader = Reader::new(FILE, &HEADER);
    let mut chunks = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.feed(piece);
        while let Some(chunk) = reader.advance()? {
            chunks.push(chunk.to_vec());
        }
    }
    assert!(bytes.len() < HEADER_BYTES || reader.header() == Some(&HEADER));
    Ok((chunks, reader.finish()?))
}

/// Hex, 32 bytes a line.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(32).enumerate() {
        write!(text, "{:04x} ", line * 32).expect("strings take all");
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("strings take all"));
        text.push('\n');
    }
    text
}

#[test] // UPDATE_EXPECT=1 rewrites the file; a change of it is a new version of the format.
fn the_bytes_of_version_1() {
    let (bytes, _) = file(&[b"a few items", b"and one more"]);
    expect_file!["fixtures/v1.hex"].assert_eq(&dump(&bytes));
}

#[test] // As FORMAT.md says it, without the code's own helpers.
fn a_file_is_spelled_as_the_tables_say() {
    let mut wanted = b"EMPOSNAP".to_vec();
    wanted.extend(1_u32.to_le_bytes());
    wanted.extend([7, 0, 64, 0]);
    wanted.extend(HEADER.folder.to_le_bytes());
    wanted.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    for field in [1234_u64, 3, 1200, 1_800_000_000_000, 1_800_000_000_500] {
        wanted.extend(field.to_le_bytes());
    }
    wanted.extend([0; 32]);
    let mut chain = xxh3_128(&wanted);
    wanted = [chain.to_le_bytes().to_vec(), wanted].concat();
    let contents: [(u32, &[u8]); 3] = [(1, b"first"), (1, b"second"), (2, &[2, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0])];
    for (number, (kind, content)) in (1_u64..).zip(contents) {
        let mut frame = kind.to_le_bytes().to_vec();
        frame.extend((content.len() as u32).to_le_bytes());
        frame.extend(number.to_le_bytes());
        frame.extend(content);
        chain = xxh3_128(&[&chain.to_le_bytes(), &frame[..]].concat());
        wanted.extend(chain.to_le_bytes());
        wanted.extend(frame);
    }
    let (bytes, ended) = file(&[b"first", b"", b"second"]);
    assert_eq!(dump(&bytes), dump(&wanted));
    assert_eq!(ended, Ended { chain: Chain(chain), file_bytes: wanted.len() as u64 });
}

#[test]
fn what_was_written_is_read_in_pieces_of_any_length() {
    let long = vec![7; 5_000];
    for chunks in [&[][..], &[&b"one"[..]], &[&b"one"[..], &long, b"x"]] {
        let (bytes, ended) = file(chunks);
        for piece in [1, 3, 31, 33, 129, 4_096, usize::MAX] {
            let (found, whole) = read(&bytes, piece).expect("whole");
            assert_eq!(found, chunks);
            let content_bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
            assert_eq!(whole, Whole { header: HEADER, ended, content_bytes });
        }
    }
}

#[test]
fn every_flipped_byte_is_found_where_it_is() {
    let (bytes, _) = file(&[b"a few items", b"and one more"]);
    // Where header and frames begin.
    let parts = [0, 128, 128 + 32 + 11, 128 + 32 + 11 + 32 + 12];
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            let part = parts.iter().rev().find(|part| **part <= at).copied().expect("the header begins at 0") as u64;
            match read(&damaged, 64) {
                // A length that grew may reach over the end of the file; it is then the end that is missed.
                Err(FileError::Damaged { file, offset, .. }) => assert_eq!((file.as_str(), offset), (FILE, part), "byte {at}"),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_file_of_any_other_length_is_damaged() {
    let (mut bytes, _) = file(&[b"a few items"]);
    for length in 0..bytes.len() {
        match read(&bytes[..length], 50) {
            Err(FileError::Damaged { found: Damage::Truncated, .. }) => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    let length = bytes.len();
    bytes.push(0);
    for piece in [1, length, length + 1] {
        match read(&bytes, piece) {
            Err(FileError::Damaged { offset, found: Damage::Trailing, .. }) => assert_eq!(offset, length as u64),
            other => panic!("{other:?}"),
        }
    }
}

/// Changes a file and seals it again, so that every checksum is right.
fn sealed_again(mut bytes: Vec<u8>, change: fn(&mut [u8])) -> Vec<u8> {
    change(&mut bytes);
    let mut chain = xxh3_128(&bytes[16..128]);
    bytes[..16].copy_from_slice(&chain.to_le_bytes());
    for (from, to) in [(128, 171), (171, 219)] {
        chain = xxh3_128(&[&chain.to_le_bytes(), &bytes[from + 16..to]].concat());
        bytes[from..from + 16].copy_from_slice(&chain.to_le_bytes());
    }
    bytes
}

#[test]
fn what_is_sealed_and_makes_no_sense_is_told() {
    type Change = fn(&mut [u8]);
    let rows: [(Change, expect_test::Expect); 13] = [
        (|_| (), expect!["sound"]),
        (
            |b| b[16] = b'e',
            expect![[r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 0: no header whose checksum matches"#]],
        ),
        (|b| b[24] = 0, expect![[r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 0: a header with format version 0"#]]),
        (
            |b| b[24] = 2,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap was made by a newer version of Emporion: its snapshot format is 2; this one reads formats up to 1. Start that version, or a later one"#
            ]],
        ),
        (
            |b| b[127] = 1,
            expect![[r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 0: a header with bytes that must be zero"#]],
        ),
        (
            |b| b[32] = 0x78,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap belongs elsewhere: its folder id is 0123456789abcdef0011223344556678, this folder's is 0123456789abcdef0011223344556677. Move the file back where it came from; do not edit it"#
            ]],
        ),
        (
            |b| b[28] = 8,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap belongs elsewhere: it is of partition 8 of 64, its place is for 7 of 64. Move the file back where it came from; do not edit it"#
            ]],
        ),
        (
            |b| b[48] = 1,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap belongs elsewhere: its epoch is 1, this folder's is 2. Move the file back where it came from; do not edit it"#
            ]],
        ),
        (
            |b| b[56] = 0,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap belongs elsewhere: its last entry is 1024, its name says 1234. Move the file back where it came from; do not edit it"#
            ]],
        ),
        (|b| b[144] = 3, expect![[r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 128: a part with an unknown kind"#]]),
        (
            |b| b[152] = 2,
            expect![[r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 128: a part with a number out of order"#]],
        ),
        (
            |b| b[144] = 2,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 128: a part with a length that no writer gives it"#
            ]],
        ),
        (
            |b| b[203] = 2,
            expect![[
                r#"snapshots/p-00007/00000000000000001234.snap is damaged at byte 171: a part with another count than the chunks before it"#
            ]],
        ),
    ];
    let (bytes, _) = file(&[b"a few items"]);
    for (change, says) in rows {
        let said = read(&sealed_again(bytes.clone(), change), 1_000).map_or_else(|error| error.to_string(), |_| "sound".to_owned());
        says.assert_eq(&said);
    }
}

#[test]
fn a_length_over_the_limit_is_not_waited_for() {
    let (mut bytes, _) = file(&[b"a few items"]);
    bytes[128 + 23] = 0xff;
    let mut reader = Reader::new(FILE, &HEADER);
    reader.feed(&bytes[..128 + 32]);
    match reader.advance() {
        Err(FileError::Damaged { offset: 128, found: Damage::Impossible(_), .. }) => {}
        other => panic!("{other:?}"),
    }
}

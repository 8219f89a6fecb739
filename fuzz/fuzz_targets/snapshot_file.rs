//! Files of snapshots from the bytes themselves. What is read whole is written the same; nothing panics, and pieces of any length read alike.
//!
//! Path: the first byte chooses. Bit 0: checksums and numbers are put right first, so that what is behind them is reached. Bit 1: lengths too, and an end is
//! put behind, so that the file is whole. The others: length of the pieces that are fed.
#![no_main]

use engine::snapshot::{FileError, Header, Reader, Whole, Writer};
use libfuzzer_sys::fuzz_target;
use wire::{Millis, PartitionId, Seq};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const HEADER_BYTES: usize = 128;
const FRAME_BYTES: usize = 32;

const WANTED: Header = Header {
    folder: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
    partition: PartitionId(7),
    partitions: 64,
    epoch: 2,
    index: 1234,
    term: 0,
    seq: Seq(0),
    last_time: Millis(0),
    created: Millis(0),
};

/// Makes chunks of what is behind the header, of lengths that fit, and puts an end behind them. Checksums and counts are left to [`mend`].
fn close(file: &mut Vec<u8>) {
    file.resize(file.len().max(HEADER_BYTES), 0);
    let mut at = HEADER_BYTES;
    while file.len() - at > FRAME_BYTES {
        let most = file.len() - at - FRAME_BYTES;
        let length = u32::from_le_bytes([file[at + 20], file[at + 21], 0, 0]) as usize % most + 1;
        file[at + 16..at + 20].copy_from_slice(&1_u32.to_le_bytes());
        file[at + 20..at + 24].copy_from_slice(&(length as u32).to_le_bytes());
        at += FRAME_BYTES + length;
    }
    file.truncate(at);
    file.extend([0; 16]);
    file.extend(2_u32.to_le_bytes());
    file.extend(16_u32.to_le_bytes());
    file.extend([0; 24]);
}

/// Puts magic, version, place and checksum of the header right, and of the frames behind it the numbers, checksums and the end's counts, as far as
/// lengths make sense.
fn mend(file: &mut [u8]) {
    if file.len() < HEADER_BYTES {
        return;
    }
    file[16..24].copy_from_slice(b"EMPOSNAP");
    file[24..28].copy_from_slice(&1_u32.to_le_bytes());
    file[28..30].copy_from_slice(&WANTED.partition.0.to_le_bytes());
    file[30..32].copy_from_slice(&WANTED.partitions.to_le_bytes());
    file[32..48].copy_from_slice(&WANTED.folder.to_le_bytes());
    file[48..52].copy_from_slice(&WANTED.epoch.to_le_bytes());
    file[52..56].fill(0);
    file[56..64].copy_from_slice(&WANTED.index.to_le_bytes());
    file[96..HEADER_BYTES].fill(0);
    let mut chain = xxh3_128(&file[16..HEADER_BYTES]);
    file[..16].copy_from_slice(&chain.to_le_bytes());
    let (mut rest, mut chunks, mut content) = (&mut file[HEADER_BYTES..], 0_u64, 0_u64);
    while rest.len() >= FRAME_BYTES {
        let kind = u32::from_le_bytes([rest[16], rest[17], rest[18], rest[19]]);
        let length = u32::from_le_bytes([rest[20], rest[21], rest[22], rest[23]]) as usize;
        if length > rest.len() - FRAME_BYTES {
            return;
        }
        rest[24..32].copy_from_slice(&(chunks + 1).to_le_bytes());
        if kind == 2 && length == 16 {
            rest[32..40].copy_from_slice(&chunks.to_le_bytes());
            rest[40..48].copy_from_slice(&content.to_le_bytes());
        } else {
            (chunks, content) = (chunks + 1, content + length as u64);
        }
        let (frame, behind) = rest.split_at_mut(FRAME_BYTES + length);
        let mut hash = Xxh3::new();
        hash.update(&chain.to_le_bytes());
        hash.update(&frame[16..]);
        chain = hash.digest128();
        frame[..16].copy_from_slice(&chain.to_le_bytes());
        rest = behind;
    }
}

fn read(file: &[u8], piece: usize) -> Result<(Vec<Vec<u8>>, Whole), FileError> {
    let mut reader = Reader::new("file", &WANTED);
    let mut chunks = Vec::new();
    for bytes in file.chunks(piece) {
        reader.feed(bytes);
        while let Some(chunk) = reader.advance()? {
            chunks.push(chunk.to_vec());
        }
        assert!(reader.offset() <= reader.fed() && reader.fed() <= file.len() as u64);
    }
    Ok((chunks, reader.finish()?))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, file)) = bytes.split_first() else { return };
    let mut file = file.to_vec();
    let is_whole = choice & 3 == 3;
    if is_whole {
        close(&mut file);
    }
    if choice & 1 == 1 {
        mend(&mut file);
    }
    let (one, other) = (read(&file, file.len().max(1)), read(&file, usize::from(choice >> 2) + 1));
    match (one, other) {
        (Ok((chunks, whole)), Ok(other)) => {
            assert_eq!(other, (chunks.clone(), whole));
            let mut again = Vec::new();
            let mut writer = Writer::new(&whole.header, &mut again);
            for chunk in &chunks {
                writer.chunk(&mut again, |out| out.extend_from_slice(chunk));
            }
            assert_eq!(writer.end(&mut again), whole.ended);
            assert_eq!(again, file, "one snapshot, one spelling");
        }
        // What is wrong and where does not hang on the pieces.
        (Err(one), Err(other)) if !is_whole => assert_eq!(one.to_string(), other.to_string()),
        (one, other) => panic!("{one:?}\n{other:?}"),
    }
});

//! Files of the event log from the bytes themselves. What is read is whole, in order, and is written the same; nothing panics.
//!
//! Path: the first byte chooses. 0: bytes as they are. 1: checksums are put right first, so that what is behind them is reached.
#![no_main]

use engine::events::{Events, Header, put_event, scan};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// Puts the checksums of the header and of the frames behind it right, as far as lengths make sense.
fn mend(file: &mut [u8]) {
    let length_at = |file: &[u8], at: usize| file.get(at..at + 4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize);
    let Some(length) = length_at(file, 28).filter(|length| (88..=file.len()).contains(length)) else { return };
    let checksum = xxh3_128(&file[16..length]);
    file[..16].copy_from_slice(&checksum.to_le_bytes());
    let mut at = length;
    while let Some(length) = length_at(file, at + 20).filter(|length| (32..=file.len() - at).contains(length)) {
        let sum = xxh3_128_with_seed(&file[at + 16..at + length], checksum as u64);
        file[at..at + 16].copy_from_slice(&sum.to_le_bytes());
        at += length;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, file)) = bytes.split_first() else { return };
    let mut file = file.to_vec();
    if choice & 1 == 1 {
        mend(&mut file);
    }
    let Ok(scanned) = scan(&file) else { return };
    assert!(scanned.bytes <= file.len() && scanned.torn == (scanned.bytes < file.len()));
    let (header, length, _) = Header::decode(&file).expect("it was scanned");
    assert_eq!(header.encode(), file[..length], "one header, one spelling");
    let mut again = Vec::new();
    for raw in Events(&scanned.events) {
        let event = raw.decode(header.log.epoch).expect("a frame with an event that cannot be read is none");
        assert_eq!(event.place(), raw.place);
        put_event(&mut again, &event);
    }
    assert_eq!(again, scanned.events, "one event, one spelling");
});

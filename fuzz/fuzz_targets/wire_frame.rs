//! Bytes from a peer: never a panic, and what was read can be written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::frame::{Buffer, DecodeError, Frame, Side};

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).expect("it came in within the same bounds");
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    match Frame::decode(bytes) {
        Ok((frame, used)) => {
            assert!(used <= bytes.len());
            // Compared as bytes: a number in a query may be NaN, which is not equal to itself.
            let again = encoded(&frame);
            assert_eq!(encoded(&Frame::decode(&again).expect("our own bytes").0), again);
        }
        Err(DecodeError::Incomplete { need, have }) => assert!(have == bytes.len() && need > have),
        Err(_) => {}
    }
    // However the bytes are cut, a buffer gives out the same frames: of a client, and of another node.
    for buffer in [|| Buffer::new(Side::Server), Buffer::of_node] {
        let whole = frames(buffer(), bytes.chunks(bytes.len().max(1)));
        assert_eq!(frames(buffer(), bytes.chunks(7)), whole);
    }
});

/// Frames found until the bytes or their sense end, each with its length and whether its body could be read.
fn frames<'a>(mut buffer: Buffer, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    for piece in pieces {
        buffer.push(piece);
        loop {
            match buffer.next() {
                Ok(Some(raw)) => found.push((raw.body.len(), raw.read().is_ok())),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

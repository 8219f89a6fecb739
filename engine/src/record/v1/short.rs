//! The short form of a reservation's commands: what a hot path writes a hundred thousand times a second.
//!
//! Path: [`Entry`] → [`encode_into`] → the log → [`decode`] → the same entry. An archive of an entry is as long as the longest command, with room for
//! an idempotency key and a condition that a reservation never has, and pads each line to 32 bytes: 177 bytes for three lines. This is 104.
//! Only entries without key and condition have a short form; every entry has the archive, and either is read wherever an entry is.
//!
//! Bytes, little endian, nothing between:
//!
//! | at | bytes | field |
//! |---:|---:|---|
//! | 0 | 1 | [`FORM`] |
//! | 1 | 1 | command: 0 reserve, 1 commit, 2 commit a part, 3 extend, 4 release |
//! | 2 | 1 | flags: 1 partial (reserve alone), 2 a trace follows the hold |
//! | 3 | 1 | n: bytes of the location; 0 unless the command has one |
//! | 4 | 16 | hold |
//! | 20 | 16 | trace, if the flag says so |
//! | … | 16 | owner: reserve |
//! | … | 4 | time to live, milliseconds: reserve, extend |
//! | … | n | location, UTF-8: reserve, commit a part |
//! | … | 20 each, to the end | lines: SKU (16), quantity (4): reserve, commit a part |

use super::{Command, Entry, HoldLine};
use wire::{HoldId, OrderId, RawId, SkuId};

/// First byte of an entry in this form, where the archive has its version.
pub const FORM: u8 = 2;

const RESERVE: u8 = 0;
const COMMIT: u8 = 1;
const COMMIT_PART: u8 = 2;
const EXTEND: u8 = 3;
const RELEASE: u8 = 4;

const PARTIAL: u8 = 1;
const TRACED: u8 = 2;

const LINE_BYTES: usize = 20;

/// What a command with a short form holds.
#[derive(Clone, Copy)]
struct Parts<'a> {
    what: u8,
    hold: HoldId,
    partial: bool,
    owner: Option<OrderId>,
    ttl_ms: Option<u32>,
    location: &'a str,
    lines: &'a [HoldLine],
}

/// Does the entry have a short form?
fn parts(entry: &Entry) -> Option<Parts<'_>> {
    if entry.idempotency.is_some() || entry.if_match.is_some() {
        return None;
    }
    let bare = |what, hold| Parts { what, hold, partial: false, owner: None, ttl_ms: None, location: "", lines: &[] };
    let parts = match &entry.command {
        Command::Reserve { hold, owner, location, lines, ttl_ms, partial } => {
            Parts { partial: *partial, owner: Some(*owner), ttl_ms: Some(*ttl_ms), location, lines, ..bare(RESERVE, *hold) }
        }
        Command::CommitReserved { hold } => bare(COMMIT, *hold),
        Command::CommitReservedPart { hold, location, lines } => Parts { location, lines, ..bare(COMMIT_PART, *hold) },
        Command::ExtendReserved { hold, ttl_ms } => Parts { ttl_ms: Some(*ttl_ms), ..bare(EXTEND, *hold) },
        Command::ReleaseReserved { hold } => bare(RELEASE, *hold),
        _ => return None,
    };
    (parts.location.len() <= usize::from(u8::MAX)).then_some(parts)
}

/// What there is to say of an entry's short form.
pub(in crate::record) enum Short {
    /// It has none.
    None,
    /// It was written: so many bytes.
    Written(usize),
    /// It does not fit; the room holds rubbish.
    NoRoom,
}

/// Writes the entry to the front of `room`, if it has a short form.
pub(in crate::record) fn encode_into(entry: &Entry, room: &mut [u8]) -> Short {
    let Some(parts) = parts(entry) else { return Short::None };
    let mut to = Writing { room, at: 0 };
    if put(&mut to, &parts, entry.trace).is_some() { Short::Written(to.at) } else { Short::NoRoom }
}

/// Bytes of the short form, or 0 if the entry has none.
pub(in crate::record) fn bytes(entry: &Entry) -> usize {
    let of = |parts: Parts<'_>| {
        let fixed = 20 + if entry.trace == 0 { 0 } else { 16 } + parts.owner.map_or(0, |_| 16) + parts.ttl_ms.map_or(0, |_| 4);
        fixed + parts.location.len() + parts.lines.len() * LINE_BYTES
    };
    parts(entry).map_or(0, of)
}

struct Writing<'a> {
    room: &'a mut [u8],
    at: usize,
}

impl Writing<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        self.room.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }
}

fn put(to: &mut Writing<'_>, parts: &Parts<'_>, trace: u128) -> Option<()> {
    let location_bytes = u8::try_from(parts.location.len()).ok()?;
    let flags = if parts.partial { PARTIAL } else { 0 } | if trace == 0 { 0 } else { TRACED };
    to.put(&[FORM, parts.what, flags, location_bytes])?;
    to.put(&parts.hold.0.0.to_le_bytes())?;
    if trace != 0 {
        to.put(&trace.to_le_bytes())?;
    }
    if let Some(owner) = parts.owner {
        to.put(&owner.0.0.to_le_bytes())?;
    }
    if let Some(ttl_ms) = parts.ttl_ms {
        to.put(&ttl_ms.to_le_bytes())?;
    }
    to.put(parts.location.as_bytes())?;
    for HoldLine { sku, quantity } in parts.lines {
        let mut line = [0; LINE_BYTES];
        line[..16].copy_from_slice(&sku.0.0.to_le_bytes());
        line[16..].copy_from_slice(&quantity.to_le_bytes());
        to.put(&line)?;
    }
    Some(())
}

/// Reads what [`encode_into`] wrote, form byte included; `None` for anything else.
pub(in crate::record) fn decode(bytes: &[u8]) -> Option<Entry> {
    let mut from = bytes;
    let [form, what, flags, location_bytes] = take(&mut from)?;
    let known = if what == RESERVE { PARTIAL | TRACED } else { TRACED };
    if form != FORM || flags & !known != 0 {
        return None;
    }
    let hold = HoldId(RawId(u128::from_le_bytes(take(&mut from)?)));
    let trace = if flags & TRACED == 0 { 0 } else { u128::from_le_bytes(take(&mut from)?) };
    if flags & TRACED != 0 && trace == 0 {
        return None;
    }
    let location_bytes = usize::from(location_bytes);
    let command = match what {
        RESERVE => {
            let owner = OrderId(RawId(u128::from_le_bytes(take(&mut from)?)));
            let ttl_ms = u32::from_le_bytes(take(&mut from)?);
            let location = text(&mut from, location_bytes)?;
            Command::Reserve { hold, owner, location, lines: lines(&mut from)?, ttl_ms, partial: flags & PARTIAL != 0 }
        }
        COMMIT_PART => {
            let location = text(&mut from, location_bytes)?;
            Command::CommitReservedPart { hold, location, lines: lines(&mut from)? }
        }
        COMMIT if location_bytes == 0 => Command::CommitReserved { hold },
        EXTEND if location_bytes == 0 => Command::ExtendReserved { hold, ttl_ms: u32::from_le_bytes(take(&mut from)?) },
        RELEASE if location_bytes == 0 => Command::ReleaseReserved { hold },
        _ => return None,
    };
    from.is_empty().then_some(Entry { idempotency: None, if_match: None, trace, command })
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*taken)
}

fn text(from: &mut &[u8], bytes: usize) -> Option<String> {
    let (taken, rest) = from.split_at_checked(bytes)?;
    *from = rest;
    Some(std::str::from_utf8(taken).ok()?.to_owned())
}

/// All that is left.
fn lines(from: &mut &[u8]) -> Option<Vec<HoldLine>> {
    let (lines, odd) = std::mem::take(from).as_chunks::<LINE_BYTES>();
    let line = |line: &[u8; LINE_BYTES]| {
        let (sku, quantity) = line.split_first_chunk::<16>()?;
        Some(HoldLine { sku: SkuId(RawId(u128::from_le_bytes(*sku))), quantity: u32::from_le_bytes(quantity.try_into().ok()?) })
    };
    if odd.is_empty() { lines.iter().map(line).collect() } else { None }
}

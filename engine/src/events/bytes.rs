//! The event log's bytes: headers, frames and events, as `FORMAT.md` beside this file lays them out.
//!
//! Path: [`FeedEvent`]s → [`put_event`] one after the other → [`put_frame`] around them → behind a [`Header`] in a file; back by [`scan`].
//! Bounds: [`SEGMENT_BYTES_MAX`] bytes a file, [`EVENT_BYTES_MAX`] bytes an event, [`TRACKS_MAX`] partitions in a header.
//! A reader trusts no length before its checksum fits, and no checksum of another file: the seed of a frame's comes from its header.

use std::collections::BTreeMap;
use wire::{
    AnnouncementId, CartId, CategoryId, Currency, EventField, EventId, EventKind, FeedEvent, FeedPlace, Millis, Money, OrderId,
    PartitionId, PaymentId, Position, ProductId, RawId, Seq, SkuId, TransferId,
};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// Bytes of a file of the log, header included: one read of the driver.
pub const SEGMENT_BYTES_MAX: usize = 4 << 20;
/// Bytes of an event, at most. The longest has a name of 2,048 bytes and a key of 200.
pub const EVENT_BYTES_MAX: usize = 4_096;
/// Partitions in a header.
pub const TRACKS_MAX: usize = 4_096;

const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"EMPEVENT";
const FRAME_MAGIC: [u8; 4] = *b"EVFR";
/// Bytes of a header before its tracks.
const HEADER_BYTES: usize = 88;
const TRACK_BYTES: usize = 24;
/// Bytes of a frame before what it covers.
pub(super) const FRAME_BYTES: usize = 32;
const COVER_BYTES: usize = 10;
/// Bytes of an event before its fields.
const EVENT_BYTES: usize = 32;

/// The longest header there can be.
pub const HEADER_BYTES_MAX: usize = HEADER_BYTES + TRACKS_MAX * TRACK_BYTES;

/// Whose log a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogName {
    /// Id of the data folder.
    pub folder: u128,
    /// Of the write-ahead log that the events come from.
    pub generation: u32,
    /// Which shard's.
    pub shard: u16,
    /// Shards of that generation.
    pub shards: u16,
    /// Of the shop's history.
    pub epoch: u32,
}

/// How far the log is with a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Right behind the last event; the very beginning where there is none.
    pub next: FeedPlace,
    /// All events of the commands up to this one are in the log.
    pub covered: Seq,
}

/// What a file begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose log.
    pub log: LogName,
    /// From 1, without holes.
    pub number: u32,
    /// Log time when the file was begun: all events in the files before are older.
    pub at: Millis,
    /// How far the log was with each partition of the shard before this file.
    pub tracks: BTreeMap<PartitionId, Track>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a fault: read this many bytes and ask again.
    #[error("the header has {need} bytes")]
    Incomplete {
        /// From the file's beginning.
        need: usize,
    },
    /// Torn, damaged, or something else.
    #[error("not the header of an event log")]
    Damaged,
    /// By a program that knows more.
    #[error("version {found} of the event log; this version of Emporion reads {VERSION}")]
    Newer {
        /// Its version.
        found: u32,
    },
}

impl Header {
    /// As bytes.
    ///
    /// # Panics
    /// With more than [`TRACKS_MAX`] tracks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.tracks.len() <= TRACKS_MAX, "a shard has at most {TRACKS_MAX} partitions");
        let length = HEADER_BYTES + self.tracks.len() * TRACK_BYTES;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(length as u32).to_le_bytes()); // bounded above
        out.extend_from_slice(&self.log.folder.to_le_bytes());
        out.extend_from_slice(&self.log.generation.to_le_bytes());
        out.extend_from_slice(&self.log.shard.to_le_bytes());
        out.extend_from_slice(&self.log.shards.to_le_bytes());
        out.extend_from_slice(&self.log.epoch.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&(self.tracks.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        debug_assert_eq!(out.len(), HEADER_BYTES);
        for (partition, Track { next, covered }) in &self.tracks {
            out.extend_from_slice(&partition.0.to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&next.nth.to_le_bytes());
            out.extend_from_slice(&next.seq.0.to_le_bytes());
            out.extend_from_slice(&covered.0.to_le_bytes());
        }
        let checksum = xxh3_128(&out[16..]);
        out[..16].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// From the beginning of a file; also the bytes it takes and the seed of its frames.
    ///
    /// # Errors
    /// `Incomplete` asks for more bytes; the others are final.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize, u64), HeaderError> {
        let Some(fixed) = bytes.get(..HEADER_BYTES) else { return Err(HeaderError::Incomplete { need: HEADER_BYTES }) };
        let mut from = Bytes(fixed);
        let checksum = u128::from_le_bytes(from.array().ok_or(HeaderError::Damaged)?);
        let mut damaged = || -> Option<(Self, usize, u32, usize)> {
            let magic: [u8; 8] = from.array()?;
            let (version, length) = (from.u32()?, from.u32()? as usize);
            let folder = u128::from_le_bytes(from.array()?);
            let (generation, shard, shards) = (from.u32()?, from.u16()?, from.u16()?);
            let (epoch, number, at) = (from.u32()?, from.u32()?, Millis(from.u64()?));
            let zero = from.u64()?;
            let (count, zero) = (from.u32()? as usize, zero | u64::from(from.u32()?));
            let log = LogName { folder, generation, shard, shards, epoch };
            let fits = magic == MAGIC && (version != VERSION || zero == 0) && length <= HEADER_BYTES_MAX && count <= TRACKS_MAX;
            fits.then_some((Self { log, number, at, tracks: BTreeMap::new() }, length, version, count))
        };
        let (mut header, length, version, count) = damaged().ok_or(HeaderError::Damaged)?;
        if version == VERSION && length != HEADER_BYTES + count * TRACK_BYTES {
            return Err(HeaderError::Damaged);
        }
        let Some(whole) = bytes.get(..length) else { return Err(HeaderError::Incomplete { need: length }) };
        if length < HEADER_BYTES || xxh3_128(&whole[16..]) != checksum {
            return Err(HeaderError::Damaged);
        }
        if version != VERSION {
            return Err(HeaderError::Newer { found: version });
        }
        let mut from = Bytes(&whole[HEADER_BYTES..]);
        for _ in 0..count {
            let mut track = || {
                let (partition, zero, nth) = (from.u16()?, from.u16()?, from.u32()?);
                let (seq, covered) = (Seq(from.u64()?), Seq(from.u64()?));
                (zero == 0).then_some((PartitionId(partition), Track { next: FeedPlace { seq, nth }, covered }))
            };
            let (partition, track) = track().ok_or(HeaderError::Damaged)?;
            if header.tracks.last_key_value().is_some_and(|(last, _)| *last >= partition) {
                return Err(HeaderError::Damaged);
            }
            header.tracks.insert(partition, track);
        }
        Ok((header, length, seed(checksum)))
    }
}

/// The seed of the frames behind a header.
pub(super) fn seed(header_checksum: u128) -> u64 {
    header_checksum as u64 // the lower half
}

/// The seed of the frames behind an encoded header.
pub(super) fn seed_of(header: &[u8]) -> u64 {
    Bytes(header).array().map_or(0, |checksum| seed(u128::from_le_bytes(checksum)))
}

/// Writes a frame: what it covers, and `events` as [`put_event`] writes them.
pub(super) fn put_frame(out: &mut Vec<u8>, seed: u64, covers: &[(PartitionId, Seq)], count: u32, events: &[u8]) {
    let start = out.len();
    let length = FRAME_BYTES + covers.len() * COVER_BYTES + events.len();
    out.reserve(length);
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&(length as u32).to_le_bytes()); // within a file
    out.extend_from_slice(&(covers.len() as u32).to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    for (partition, seq) in covers {
        out.extend_from_slice(&partition.0.to_le_bytes());
        out.extend_from_slice(&seq.0.to_le_bytes());
    }
    out.extend_from_slice(events);
    let checksum = xxh3_128_with_seed(&out[start + 16..], seed);
    out[start..start + 16].copy_from_slice(&checksum.to_le_bytes());
}

/// How many bytes [`put_frame`] writes.
pub(super) const fn frame_bytes(covers: usize, events: usize) -> usize {
    FRAME_BYTES + covers * COVER_BYTES + events
}

/// What is in a file.
#[derive(Debug)]
pub struct Scanned {
    /// Its header.
    pub header: Header,
    /// How far the log is with each partition behind this file.
    pub tracks: BTreeMap<PartitionId, Track>,
    /// The events, as [`Events`] reads them.
    pub events: Vec<u8>,
    /// Latest time of an event; of the header without one.
    pub newest: Millis,
    /// Bytes up to the end of the last whole frame.
    pub bytes: usize,
    /// More follows, which is no frame: a torn write, or damage.
    pub torn: bool,
}

/// Reads a file up to its end, or to the first bytes that are no whole frame.
///
/// # Errors
/// When there is no header; `Incomplete` means that the file ends before it.
pub fn scan(file: &[u8]) -> Result<Scanned, HeaderError> {
    let (header, mut bytes, seed) = Header::decode(file)?;
    let (mut tracks, mut events, mut newest) = (header.tracks.clone(), Vec::new(), header.at);
    while let Some((frame, length)) = Frame::decode(&file[bytes..], seed) {
        for event in Events(frame.events) {
            newest = newest.max(event.at);
            tracks.entry(event.partition).or_default().next = event.place.next();
        }
        for (partition, seq) in frame.covers {
            let track = tracks.entry(partition).or_default();
            track.covered = track.covered.max(seq);
        }
        events.extend_from_slice(frame.events);
        bytes += length;
    }
    Ok(Scanned { header, tracks, events, newest, bytes, torn: bytes < file.len() })
}

/// Is there a whole frame somewhere behind `from`, in a file whose header reads?
pub(super) fn has_frame(file: &[u8], from: usize) -> bool {
    let Ok((.., seed)) = Header::decode(file) else { return false };
    let rest = file.get(from..).unwrap_or_default();
    // The magic is tried first: hashing what its length names at every place would take the square of the file.
    let begins = |at: &usize| rest[*at..].get(16..20) == Some(&FRAME_MAGIC);
    (0..rest.len()).filter(begins).any(|at| Frame::decode(&rest[at..], seed).is_some())
}

struct Frame<'a> {
    covers: Vec<(PartitionId, Seq)>,
    events: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A whole frame at the front of `bytes`, every event of which can be read, and the bytes it takes.
    fn decode(bytes: &'a [u8], seed: u64) -> Option<(Self, usize)> {
        let mut from = Bytes(bytes);
        let checksum = u128::from_le_bytes(from.array()?);
        let magic: [u8; 4] = from.array()?;
        let (length, covered, count) = (from.u32()? as usize, from.u32()? as usize, from.u32()?);
        let covers_end = FRAME_BYTES.checked_add(covered.checked_mul(COVER_BYTES)?)?;
        if magic != FRAME_MAGIC || length > bytes.len() || covers_end > length || xxh3_128_with_seed(&bytes[16..length], seed) != checksum {
            return None;
        }
        let covers = (0..covered).map(|_| Some((PartitionId(from.u16()?), Seq(from.u64()?)))).collect::<Option<_>>()?;
        let events = &bytes[covers_end..length];
        let mut read = Events(events);
        let known = read.by_ref().filter(|event| event.decode(0).is_some()).count();
        (read.0.is_empty() && known == count as usize).then_some((Self { covers, events }, length))
    }
}

/// Writes an event behind those in `out`. Its epoch is the log's.
///
/// # Panics
/// Above [`EVENT_BYTES_MAX`], which no event reaches: its texts are bounded where they come in.
pub fn put_event(out: &mut Vec<u8>, event: &FeedEvent) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    out.push(event.kind.code());
    out.push(event.data.len() as u8); // an event has a handful
    out.extend_from_slice(&event.nth.to_le_bytes());
    out.extend_from_slice(&event.id.0.0.to_le_bytes());
    out.extend_from_slice(&event.at.0.to_le_bytes());
    for field in &event.data {
        put_field(out, field);
    }
    let length = out.len() - start;
    assert!(length <= EVENT_BYTES_MAX, "an event of {length} bytes: {event:?}");
    out[start..start + 2].copy_from_slice(&(length as u16).to_le_bytes());
}

/// Walks over events one behind the other. Ends where no event is.
pub struct Events<'a>(pub &'a [u8]);

/// An event that is not read yet: enough to know whose it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Its partition.
    pub partition: PartitionId,
    /// Where it stands there.
    pub place: FeedPlace,
    /// When.
    pub at: Millis,
    bytes: &'a [u8],
}

impl<'a> Iterator for Events<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let mut from = Bytes(self.0);
        let length = usize::from(from.u16()?);
        let (_, nth) = (from.u16()?, from.u32()?);
        let (id, at) = (RawId(u128::from_le_bytes(from.array()?)), Millis(from.u64()?));
        if length < EVENT_BYTES || length > self.0.len() {
            return None;
        }
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        let seq = Seq((id.0 >> 16) as u64 & 0xffff_ffff_ffff);
        Some(Raw { partition: id.partition(), place: FeedPlace { seq, nth }, at, bytes })
    }
}

impl Raw<'_> {
    /// The event; `None` if its bytes are none that this version writes.
    #[must_use]
    pub fn decode(&self, epoch: u32) -> Option<FeedEvent> {
        let mut from = Bytes(self.bytes);
        let (_, [kind, fields]) = (from.u16()?, from.array()?);
        let (_, id) = (from.u32()?, EventId(RawId(u128::from_le_bytes(from.array()?))));
        let _ = from.u64()?;
        let data = (0..fields).map(|_| take_field(&mut from)).collect::<Option<Vec<_>>>()?;
        let position = Position { epoch, partition: self.partition, seq: self.place.seq };
        let event = FeedEvent { id, position, nth: self.place.nth, at: self.at, kind: EventKind::of_code(kind)?, data };
        from.0.is_empty().then_some(event)
    }
}

fn put_field(out: &mut Vec<u8>, field: &EventField) {
    let mut id = |code: u8, id: RawId| {
        out.push(code);
        out.extend_from_slice(&id.0.to_le_bytes());
    };
    match field {
        EventField::Product(of) => id(1, of.0),
        EventField::Sku(of) => id(2, of.0),
        EventField::Category(of) => id(3, of.0),
        EventField::Cart(of) => id(4, of.0),
        EventField::Order(of) => id(5, of.0),
        EventField::Payment(of) => id(6, of.0),
        EventField::Announcement(of) => id(7, of.0),
        EventField::Transfer(of) => id(8, of.0),
        EventField::Version(number) => put_number(out, 32, *number),
        EventField::Quantity(number) => put_number(out, 33, *number),
        EventField::QuantityBefore(number) => put_number(out, 34, *number),
        EventField::OnHand(number) => put_number(out, 35, *number),
        EventField::Damaged(number) => put_number(out, 36, *number),
        EventField::Lost(number) => put_number(out, 37, *number),
        EventField::Change(number) => put_number(out, 38, number.cast_unsigned()),
        EventField::Amount(money) => {
            put_number(out, 64, money.amount.cast_unsigned());
            out.extend_from_slice(money.currency.as_str().as_bytes());
        }
        EventField::Key(text) => put_text(out, 96, text),
        EventField::Name(text) => put_text(out, 97, text),
        EventField::Number(text) => put_text(out, 98, text),
        EventField::Location(text) => put_text(out, 99, text),
        EventField::To(text) => put_text(out, 100, text),
        EventField::Reason(text) => put_text(out, 101, text),
        EventField::Code(text) => put_text(out, 102, text),
    }
}

fn put_number(out: &mut Vec<u8>, code: u8, number: u64) {
    out.push(code);
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, code: u8, text: &str) {
    out.push(code);
    let length = u16::try_from(text.len()).expect("texts of events are bounded far below");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take_field(from: &mut Bytes<'_>) -> Option<EventField> {
    let [code] = from.array()?;
    Some(match code {
        1 => EventField::Product(ProductId(from.id()?)),
        2 => EventField::Sku(SkuId(from.id()?)),
        3 => EventField::Category(CategoryId(from.id()?)),
        4 => EventField::Cart(CartId(from.id()?)),
        5 => EventField::Order(OrderId(from.id()?)),
        6 => EventField::Payment(PaymentId(from.id()?)),
        7 => EventField::Announcement(AnnouncementId(from.id()?)),
        8 => EventField::Transfer(TransferId(from.id()?)),
        32 => EventField::Version(from.u64()?),
        33 => EventField::Quantity(from.u64()?),
        34 => EventField::QuantityBefore(from.u64()?),
        35 => EventField::OnHand(from.u64()?),
        36 => EventField::Damaged(from.u64()?),
        37 => EventField::Lost(from.u64()?),
        38 => EventField::Change(from.u64()?.cast_signed()),
        64 => {
            let amount = from.u64()?.cast_signed();
            let code: [u8; 3] = from.array()?;
            let currency: Currency = std::str::from_utf8(&code).ok()?.parse().ok()?;
            EventField::Amount(Money { amount, currency })
        }
        96 => EventField::Key(from.text()?),
        97 => EventField::Name(from.text()?),
        98 => EventField::Number(from.text()?),
        99 => EventField::Location(from.text()?),
        100 => EventField::To(from.text()?),
        101 => EventField::Reason(from.text()?),
        102 => EventField::Code(from.text()?),
        _ => return None,
    })
}

/// Bytes being read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn id(&mut self) -> Option<RawId> {
        self.array().map(|bytes| RawId(u128::from_le_bytes(bytes)))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

//! One hold in memory: 84 bytes with up to three lines, and what it becomes once it has ended.
//!
//! Read first: `Record`, then `Ended`. A record has room for three lines of at most 255 units, all of it taken. Whatever does not
//! fit (more lines, more units, less taken than asked, some of it committed or restocked, rows that do not exist) is *spilled*:
//! its lines stand in a chain of 64-byte blocks (`lines.rs`), and the record has the chain's head and the body's fingerprint.
//! Which of the two it is shows nowhere outside of the book of holds.
//!
//! Instants take 48 bits. Fields are cut into 32-bit words, since an aligned `u128` would leave gaps in both structures.

use crate::slab::{Entry, NOWHERE};
use crate::{HoldId, HoldState, IdKind, Millis, Owner};

/// Where a live hold stands; what may follow is in [`HoldState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum State {
    /// The place is not in use.
    #[default]
    Free,
    Held,
    Pinned,
    Committed,
}

/// How a remembered hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum End {
    /// Committed, and every unit returned since.
    Restocked,
    /// Committed, and out of reach of restocks.
    Forgotten,
    /// Given back.
    Released,
    /// Fell back when its time was over.
    Expired,
    /// Released before it came.
    Tombstoned,
}

impl End {
    pub(crate) fn public(self) -> HoldState {
        match self {
            Self::Restocked => HoldState::Restocked,
            Self::Forgotten => HoldState::Forgotten,
            Self::Released => HoldState::Released,
            Self::Expired => HoldState::Expired,
            Self::Tombstoned => HoldState::Tombstoned,
        }
    }
}

/// Yes or no about a hold, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Its id has a time part.
    pub(crate) const TIMED: Self = Self(1);
    /// Asked for as partial.
    pub(crate) const PARTIAL: Self = Self(2);
    /// Asked for as in doubt.
    pub(crate) const IN_DOUBT: Self = Self(4);
    /// Not settled yet.
    pub(crate) const UNSETTLED: Self = Self(8);
    /// Its lines stand in a chain of blocks.
    pub(crate) const SPILLED: Self = Self(16);
    /// Committed by a list of lines.
    pub(crate) const IN_PART: Self = Self(32);
    /// Some of its lines were owed units when it was made: always spilled, and the backorders know of it.
    pub(crate) const BACKORDER: Self = Self(64);
    /// It was counted for a customer.
    pub(crate) const COUNTED: Self = Self(128);

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn set(&mut self, flag: Self, on: bool) {
        if on { self.0 |= flag.0 } else { self.0 &= !flag.0 }
    }

    pub(crate) fn kind(self) -> IdKind {
        if self.has(Self::TIMED) { IdKind::Timed } else { IdKind::Opaque }
    }
}

/// A 128-bit number at a 4-byte alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words4([u32; 4]);

impl Words4 {
    fn new(value: u128) -> Self {
        Self([value as u32, (value >> 32) as u32, (value >> 64) as u32, (value >> 96) as u32])
    }

    fn get(self) -> u128 {
        let [a, b, c, d] = self.0.map(u128::from);
        a | b << 32 | c << 64 | d << 96
    }
}

/// An instant up to [`TIME_MAX`](crate::TIME_MAX), in 48 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instant48([u16; 3]);

impl Instant48 {
    fn new(at: Millis) -> Self {
        Self([at.0 as u16, (at.0 >> 16) as u16, (at.0 >> 32) as u16])
    }

    fn get(self) -> Millis {
        let [a, b, c] = self.0.map(u64::from);
        Millis(a | b << 16 | c << 32)
    }
}

/// Lines that fit a record.
pub(crate) const INLINE_LINES: usize = 3;
/// Units of a line that fit a record.
pub(crate) const INLINE_UNITS: u32 = u8::MAX as u32;

/// A live hold: body, stored answer, state and its place in a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    id: Words4,
    owner: Words4,
    made: Instant48,
    pub(crate) state: State,
    pub(crate) flags: Flags,
    /// As asked.
    pub(crate) ttl_ms: u32,
    /// From its making to its expiry: `ttl_ms` until it is extended.
    pub(crate) life_ms: u32,
    /// Neighbours in its list, as the wheel writes them. Of a free place, `next` is the next free one.
    pub(crate) prev: u32,
    pub(crate) next: u32,
    /// Rows of the lines; of a spilled hold the chain's head and the two halves of the fingerprint.
    pub(crate) rows: [u32; INLINE_LINES],
    /// What was left available in each row.
    pub(crate) remaining: [u32; INLINE_LINES],
    pub(crate) units: [u8; INLINE_LINES],
    /// How many lines there are, less one.
    last_line: u8,
}

const _: () = assert!(size_of::<Record>() == 84, "a live hold of three lines, without its entry in the index of ids");
const _: () = assert!(crate::LINES_MAX <= u8::MAX as usize + 1, "the number of lines, less one, fits a byte");

impl Entry for Record {
    fn set_free(&mut self, next: u32) {
        self.state = State::Free;
        self.next = next;
    }

    fn next_free(&self) -> u32 {
        self.next
    }
}

impl Record {
    /// A hold without lines, in no list. `life_ms` is the time to its expiry.
    #[inline]
    pub(crate) fn new(id: HoldId, owner: Owner, made: Millis, ttl_ms: u32, life_ms: u32, flags: Flags) -> Self {
        Self {
            id: Words4::new(id.0),
            owner: Words4::new(owner.0),
            made: Instant48::new(made),
            state: State::Held,
            flags,
            ttl_ms,
            life_ms,
            prev: NOWHERE,
            next: NOWHERE,
            ..Self::default()
        }
    }

    /// Gives it a line, of units that fit it, all of them taken.
    #[inline]
    pub(crate) fn set_line(&mut self, at: usize, row: u32, units: u8, remaining: u32) {
        (self.rows[at], self.units[at], self.remaining[at]) = (row, units, remaining);
    }

    #[inline]
    pub(crate) fn id(&self) -> HoldId {
        HoldId(self.id.get())
    }

    /// Something of its first and of its last cache line.
    pub(crate) fn ends(&self) -> (u32, u8) {
        (self.id.0[0], self.last_line)
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner(self.owner.get())
    }

    pub(crate) fn made_at(&self) -> Millis {
        self.made.get()
    }

    /// As first answered.
    pub(crate) fn first_expiry(&self) -> Millis {
        self.made_at().after(u64::from(self.ttl_ms))
    }

    /// With what extensions have added.
    pub(crate) fn expires_at(&self) -> Millis {
        self.made_at().after(u64::from(self.life_ms))
    }

    #[inline]
    pub(crate) fn set_lines_len(&mut self, len: usize) {
        self.last_line = u8::try_from(len - 1).expect("at most LINES_MAX lines");
    }

    pub(crate) fn lines_len(&self) -> usize {
        usize::from(self.last_line) + 1
    }

    /// Of a spilled hold.
    pub(crate) fn body(&self) -> u64 {
        u64::from(self.rows[1]) | u64::from(self.rows[2]) << 32
    }

    /// Makes it a spilled hold.
    pub(crate) fn spill(&mut self, head: u32, body: u64) {
        self.flags.set(Flags::SPILLED, true);
        self.rows = [head, body as u32, (body >> 32) as u32];
        self.remaining = [0; INLINE_LINES];
        self.units = [0; INLINE_LINES];
    }

    pub(crate) fn public_state(&self) -> HoldState {
        match self.state {
            State::Held => HoldState::Held { expires_at: self.expires_at() },
            State::Pinned => HoldState::Pinned,
            State::Committed => HoldState::Committed,
            State::Free => unreachable!("a free place is no hold"),
        }
    }

    /// Held or pinned.
    pub(crate) fn is_open(&self) -> bool {
        match self.state {
            State::Held | State::Pinned => true,
            State::Committed | State::Free => false,
        }
    }

    /// Held and past its time, whether or not `expire` has come to it.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.state == State::Held && self.expires_at() <= now
    }
}

/// A hold that has ended, or a tombstone: what is needed to repeat answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    id: Words4,
    body: [u32; 2],
    /// From then on it may be forgotten.
    until: Instant48,
    pub(crate) end: End,
    pub(crate) flags: Flags,
    first_expiry: Instant48,
    lines: u16,
    /// What was left available in each row; of a spilled one the chain's head, and nothing.
    pub(crate) remaining: [u32; INLINE_LINES],
}

const _: () = assert!(size_of::<Ended>() == 52, "a remembered id, without its entry in the index of ids");

impl Ended {
    /// Nobody's, to fill memory with that nothing is in yet.
    pub(crate) const BLANK: Self = Self {
        id: Words4([0; 4]),
        body: [0; 2],
        until: Instant48([0; 3]),
        end: End::Tombstoned,
        flags: Flags(0),
        first_expiry: Instant48([0; 3]),
        lines: 0,
        remaining: [0; INLINE_LINES],
    };

    /// What `record` becomes. `remaining` is of its lines, or the head of their chain.
    pub(crate) fn new(record: &Record, end: End, body: u64, until: Millis, flags: Flags, remaining: [u32; INLINE_LINES]) -> Self {
        Self {
            id: record.id,
            body: [body as u32, (body >> 32) as u32],
            until: Instant48::new(until),
            end,
            flags,
            first_expiry: Instant48::new(record.first_expiry()),
            lines: record.lines_len() as u16,
            remaining,
        }
    }

    pub(crate) fn tombstone(id: HoldId, kind: IdKind, until: Millis) -> Self {
        let mut flags = Flags::default();
        flags.set(Flags::TIMED, kind == IdKind::Timed);
        Self {
            id: Words4::new(id.0),
            body: [0; 2],
            until: Instant48::new(until),
            end: End::Tombstoned,
            flags,
            first_expiry: Instant48::default(),
            lines: 0,
            remaining: [0; INLINE_LINES],
        }
    }

    /// As a snapshot has it; of a spilled one `remaining` begins with the chain's head.
    pub(crate) fn restored(saved: &crate::SavedEnd, flags: Flags, remaining: [u32; INLINE_LINES]) -> Self {
        Self {
            body: [saved.body as u32, (saved.body >> 32) as u32],
            end: saved.end,
            flags,
            first_expiry: Instant48::new(saved.first_expiry),
            lines: saved.lines.len() as u16,
            remaining,
            ..Self::tombstone(saved.id, saved.kind, saved.until)
        }
    }

    pub(crate) fn id(&self) -> HoldId {
        HoldId(self.id.get())
    }

    pub(crate) fn body(&self) -> u64 {
        u64::from(self.body[0]) | u64::from(self.body[1]) << 32
    }

    pub(crate) fn until(&self) -> Millis {
        self.until.get()
    }

    pub(crate) fn first_expiry(&self) -> Millis {
        self.first_expiry.get()
    }

    pub(crate) fn lines_len(&self) -> usize {
        usize::from(self.lines)
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.end == End::Tombstoned
    }
}

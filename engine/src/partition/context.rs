//! What a command may touch besides its own table while it is applied: time, ids, the outbox and the list of changes.
//!
//! Path: `Partition::apply` makes one [`ApplyContext`] per entry → tables mint ids, ask for effects, note changes and tell events through it →
//! [`ApplyContext::number_events`] at its end.
//! Bounds: [`ORDINALS_MAX`] ids a command; every command is bounded so that it stays below.

use super::outbox::{Concern, Effect, Outbox, Target};
use super::outcome::Changes;
use wire::{
    AnnouncementId, CartId, CategoryId, EventField, EventId, EventKind, FeedEvent, LineId, Millis, OrderId, PartitionId, PaymentId,
    Position, ProductId, RawId, Refusal, Seq, SkuId, TransferId,
};
use xxhash_rust::xxh3::Xxh3;

/// Ids one command may mint: the ordinal has 16 bits.
pub const ORDINALS_MAX: u32 = 1 << 16;

/// An id that apply mints from (time, partition, seq, ordinal).
pub trait Minted {
    /// Wraps the bits.
    fn from_raw(raw: RawId) -> Self;
}

macro_rules! minted {
    ($($id:ident)*) => {$(
        impl Minted for $id {
            fn from_raw(raw: RawId) -> Self {
                Self(raw)
            }
        }
    )*};
}

minted!(ProductId SkuId CategoryId CartId LineId OrderId PaymentId EventId AnnouncementId TransferId);

/// One entry being applied.
#[derive(Debug)]
pub struct ApplyContext<'a> {
    /// Log time of the entry; never before that of the entry before it.
    pub time: Millis,
    /// The command's number.
    pub seq: Seq,
    /// The partition that applies it.
    pub partition: PartitionId,
    /// Of how many: for the placement of effects.
    pub partitions: u16,
    /// Of the cluster's history.
    pub epoch: u32,
    /// Only if the entity has this version.
    pub if_match: Option<u64>,
    /// Effects are put in through [`ApplyContext::ask`].
    pub outbox: &'a mut Outbox,
    /// What the shard must bring in line.
    pub changes: &'a mut Changes,
    /// The next id's ordinal.
    pub(super) ordinal: u32,
}

impl ApplyContext<'_> {
    /// Mints the next id of this command.
    ///
    /// # Panics
    /// After [`ORDINALS_MAX`] ids, which no command reaches: a repeated id would name two things.
    #[expect(clippy::should_implement_trait, reason = "it mints ids of many types, which no iterator can")]
    pub fn next<T: Minted>(&mut self) -> T {
        assert!(self.ordinal < ORDINALS_MAX, "one command mints at most {ORDINALS_MAX} ids");
        let ordinal = (self.ordinal & 0xffff) as u16;
        self.ordinal += 1;
        T::from_raw(RawId::new(self.time, self.partition, self.seq, ordinal))
    }

    /// Refuses a stale `If-Match`.
    ///
    /// # Errors
    /// `VersionMismatch` with the version there is.
    pub fn check_version(&self, current: u64) -> Result<(), Refusal> {
        match self.if_match {
            Some(wanted) if wanted != current => Err(Refusal::VersionMismatch { current }),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a command that would put `effects` more into a full outbox. Asked before anything is changed, and only by commands
    /// that begin something: a saga under way must be able to end, so its later steps do not ask.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn check_outbox_room(&self, effects: usize) -> Result<(), Refusal> {
        self.outbox.check_room(effects)
    }

    /// Puts an effect into the outbox and tells the shard to send it.
    pub fn ask(&mut self, concern: Concern, target: Target) -> EventId {
        let id = self.next();
        self.outbox.put(id, Effect { target, concern, lease: None });
        self.changes.effects.push(id);
        id
    }

    /// Tells the feed what happened. The event gets its id when the command is through.
    pub fn tell(&mut self, kind: EventKind, data: Vec<EventField>) {
        let position = Position { epoch: self.epoch, partition: self.partition, seq: self.seq };
        self.changes.events.push(FeedEvent { id: EventId(RawId(0)), position, nth: 0, at: self.time, kind, data });
    }

    /// Gives this command's events, those from `first` on, their numbers and ids: after all other ids of the command, which so stay what
    /// they are whatever the feed tells.
    pub(super) fn number_events(&mut self, first: usize) {
        for (nth, event) in (0u32..).zip(&mut self.changes.events[first..]) {
            event.nth = nth;
            event.id = event_id(event.at, self.partition, self.seq, self.ordinal + nth);
        }
    }
}

/// The id of an event. The ordinal's place has 16 bits; what is above them goes to the time, which in an id of this partition and seq tells
/// nothing else. Only timers that end hundreds of large reservations at once come so far.
#[must_use]
pub fn event_id(at: Millis, partition: PartitionId, seq: Seq, ordinal: u32) -> EventId {
    EventId(RawId::new(at.plus(u64::from(ordinal >> 16)), partition, seq, (ordinal & 0xffff) as u16))
}

/// A stable 128-bit name made of parts, for ids that must come out the same when a step is repeated (holds, opening stock).
/// Each part is preceded by its length, so that parts cannot run into each other. Stored and sent: the function never changes.
#[must_use]
pub fn hash128(parts: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Holds and opening stock in flight are named by it: another value would do them twice.
    fn names_are_frozen() {
        assert_eq!(hash128(&[b"order", b"main", &1u16.to_le_bytes()]), FROZEN);
        assert_ne!(hash128(&[b"ab", b"c"]), hash128(&[b"a", b"bc"]));
    }
    const FROZEN: u128 = 0x0166_8ae5_3595_aaa0_6282_57cc_f7d7_0aed;
}

//! Idempotency keys of a partition: which outcome was given to which request.
//!
//! Path: apply looks the key up → same body: the stored outcome again; other body: refused; unknown: the command runs and its
//! outcome is remembered, refusals included → swept by timers, oldest first, after [`IDEMPOTENCY_KEEP_MS`].
//! Not remembered are refusals that say "this request is not well-formed or cannot be taken just now": the same key may carry the
//! request again when its cause is gone (an address set, a limit raised). Nothing was changed by them.
//! Bounds: [`IDEMPOTENCY_KEYS_MAX`] keys, [`STORED_OUTCOME_BYTES_MAX`] bytes an outcome; none is forgotten early to make room.

use super::snapshot::fields::{Field, put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::table::Queue;
use super::{Digest, Done, Outcome};
use crate::mutants::{self, Mutant};
use std::hash::{Hash, Hasher};
use wire::{Idempotency, Millis, Refusal};

/// How long a key is remembered at least, in log time.
pub const IDEMPOTENCY_KEEP_MS: u64 = 24 * 60 * 60 * 1_000;

/// Keys a partition remembers. At the bound new keyed commands are refused without running, until timers have swept.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1 << 20;

/// Bytes of a stored outcome, its heap included. Lists that would take more are cut: a replay then shows their beginning.
pub const STORED_OUTCOME_BYTES_MAX: usize = 256;

/// What of it may lie on the heap.
const STORED_HEAP_BYTES_MAX: usize = STORED_OUTCOME_BYTES_MAX - size_of::<Outcome>();
const _: () = assert!(STORED_HEAP_BYTES_MAX >= wire::limits::KEY_BYTES_MAX, "a taken key is shown whole");

/// What the table knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The same request: its outcome.
    Same(Outcome),
    /// Another request under the same key.
    OtherBody,
}

#[derive(Clone, Debug)]
struct Remembered {
    time: Millis,
    key: u128,
    fingerprint: u128,
    outcome: Outcome,
}

/// All keys, found by hash and swept in the order of their time.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Oldest first: entry time never goes back.
    by_time: Queue<Remembered>,
    /// Serial numbers in the queue.
    by_key: hashbrown::HashMap<u128, u64, foldhash::fast::FixedState>,
}

impl Keys {
    pub(super) fn look_up(&self, idempotency: &Idempotency) -> Option<Replay> {
        let known = self.by_time.of_serial(*self.by_key.get(&idempotency.key)?)?;
        let same = known.fingerprint == idempotency.fingerprint || mutants::is(Mutant::AnyBody);
        Some(if same { Replay::Same(known.outcome.clone()) } else { Replay::OtherBody })
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_time.len() >= IDEMPOTENCY_KEYS_MAX
    }

    pub(super) fn full(&self) -> Refusal {
        Refusal::LimitReached { what: "idempotency keys".to_owned(), max: IDEMPOTENCY_KEYS_MAX as u64 }
    }

    /// Keeps the outcome of a key that is not known, unless it is of the kind that is not kept.
    pub(super) fn remember(&mut self, time: Millis, idempotency: &Idempotency, if_match: Option<u64>, outcome: &Outcome) {
        if is_kept(if_match, outcome) {
            let Idempotency { key, fingerprint } = *idempotency;
            let serial = self.by_time.push_back(Remembered { time, key, fingerprint, outcome: compact(outcome.clone()) });
            self.by_key.insert(key, serial);
        }
    }

    /// Forgets up to `max` keys whose time is over, oldest first; returns how many.
    pub(super) fn sweep(&mut self, now: Millis, max: usize) -> usize {
        let mut swept = 0;
        while swept < max && self.next_due().is_some_and(|due| due <= now) {
            if let Some(oldest) = self.by_time.pop_front() {
                self.by_key.remove(&oldest.key);
            }
            swept += 1;
        }
        swept
    }

    /// When the oldest key may be forgotten.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.by_time.front().map(|oldest| oldest.time.plus(IDEMPOTENCY_KEEP_MS))
    }

    /// As if none had been given.
    #[cfg(feature = "mutants")]
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let found = |known: &Remembered| self.by_key.get(&known.key).and_then(|serial| self.by_time.of_serial(*serial));
        let is_found = |known: &Remembered| found(known).is_some_and(|found| std::ptr::eq(found, known));
        let in_time = self.by_time.iter().is_sorted_by_key(|known| known.time);
        if self.by_key.len() == self.by_time.len() && self.by_time.iter().all(is_found) && in_time {
            Ok(())
        } else {
            Err("the idempotency keys and their order in time do not match".to_owned())
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("keys");
        digest.write_usize(self.by_time.len());
        for known in self.by_time.iter() {
            (known.time, known.key, known.fingerprint).hash(digest);
            digest.archive(&known.outcome);
        }
    }
}

/// Snapshots.
impl Keys {
    pub(super) fn freeze(&mut self) {
        self.by_time.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.by_time.thaw();
    }

    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.by_time.walk(|known| {
            items.put_walked(Kind::Key, Some(known), |body, Remembered { time, key, fingerprint, outcome }| {
                (*time, *key, *fingerprint).put(body);
                put_archive(outcome, body);
            })
        })
    }

    pub(super) fn put_back(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let (time, key, fingerprint) = Field::take(body).ok_or(BadItem::Damaged)?;
        let outcome = take_archive(body).ok_or(BadItem::Damaged)?;
        if self.by_time.back().is_some_and(|last| last.time > time) {
            return Err(BadItem::OutOfOrder);
        }
        if self.by_key.contains_key(&key) || self.is_full() {
            return Err(BadItem::Unfit);
        }
        let serial = self.by_time.push_back(Remembered { time, key, fingerprint, outcome });
        self.by_key.insert(key, serial);
        Ok(())
    }
}

/// Whether an outcome is remembered: all are but refusals of the request's form or of the moment.
fn is_kept(if_match: Option<u64>, outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) => true,
        // The client's own condition failed, or, without one, what was gathered for the command was overtaken: gathered anew it may run.
        Err(Refusal::VersionMismatch { current }) => if_match.is_some_and(|wanted| wanted != *current),
        Err(
            Refusal::Invalid(_)
            | Refusal::Forbidden
            | Refusal::LimitReached { .. }
            | Refusal::PricesOutdated
            | Refusal::StillArriving
            | Refusal::CartEmpty
            | Refusal::AddressRequired
            | Refusal::UnknownProvider { .. }
            | Refusal::IdempotencyKeyReused
            | Refusal::IdempotencyKeyInUse
            | Refusal::PositionUnknown
            | Refusal::BadCursor,
        ) => false,
        // `Refusal` may grow in a later protocol version; what is not named above is an answer to keep.
        Err(_) => true,
    }
}

/// The outcome within its bound: its lists and texts are cut to what fits.
fn compact(mut outcome: Outcome) -> Outcome {
    match &mut outcome {
        Ok(Done::Held { remaining }) => cut_list(remaining),
        Ok(Done::Leased { effects, .. }) => cut_list(effects),
        // No keyed command gives these: a reservation goes by its own id.
        Ok(Done::Reserved { lines, .. }) => cut_list(lines),
        Ok(Done::Backordered(taken)) => {
            taken.reserved.lines.truncate(1);
            taken.owed.truncate(1);
        }
        Ok(
            Done::Nothing
            | Done::Product { .. }
            | Done::Category { .. }
            | Done::Cart(_)
            | Done::Order(_)
            | Done::Stock { .. }
            | Done::Extended { .. }
            | Done::Goods(_)
            | Done::Timers { .. }
            | Done::SearchSetting { .. }
            | Done::Node { .. },
        ) => {}
        Err(Refusal::InsufficientStock(shortages)) => cut_list(shortages),
        Err(Refusal::NotForSale(skus)) => cut_list(skus),
        Err(Refusal::KeyTaken { key: text } | Refusal::PaymentDeclined { decline_code: text }) => cut_text(text),
        // The others hold no heap, or are not kept.
        Err(_) => {}
    }
    outcome
}

fn cut_list<T: Clone>(list: &mut Vec<T>) {
    list.truncate(STORED_HEAP_BYTES_MAX / size_of::<T>());
    list.shrink_to_fit();
}

fn cut_text(text: &mut String) {
    text.truncate(text.floor_char_boundary(STORED_HEAP_BYTES_MAX));
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{CartId, RawId, Shortage, SkuId};

    const KEY: Idempotency = Idempotency { key: 1, fingerprint: 10 };

    #[test]
    fn same_body_gets_the_outcome_another_is_told_so() {
        let mut keys = Keys::default();
        keys.remember(Millis(5), &KEY, None, &Ok(Done::Cart(CartId(RawId(3)))));
        assert_eq!(keys.look_up(&KEY), Some(Replay::Same(Ok(Done::Cart(CartId(RawId(3)))))));
        assert_eq!(keys.look_up(&Idempotency { fingerprint: 11, ..KEY }), Some(Replay::OtherBody));
        assert_eq!(keys.look_up(&Idempotency { key: 2, ..KEY }), None);
    }

    #[test]
    fn keys_are_kept_a_day_and_swept_in_order() {
        let mut keys = Keys::default();
        for (time, key) in [(0, 1), (10, 2), (20, 3)] {
            keys.remember(Millis(time), &Idempotency { key, fingerprint: 0 }, None, &Ok(Done::Nothing));
        }
        assert_eq!(keys.sweep(Millis(IDEMPOTENCY_KEEP_MS - 1), 9), 0);
        assert_eq!(keys.sweep(Millis(IDEMPOTENCY_KEEP_MS + 10), 1), 1);
        assert_eq!(keys.next_due(), Some(Millis(IDEMPOTENCY_KEEP_MS + 10)));
        assert_eq!(keys.sweep(Millis(IDEMPOTENCY_KEEP_MS + 10), 9), 1);
        assert_eq!(keys.look_up(&Idempotency { key: 3, fingerprint: 0 }), Some(Replay::Same(Ok(Done::Nothing))));
        keys.check().expect("index and queue agree");
    }

    #[test]
    fn long_refusals_are_cut_to_the_bound() {
        let shortage = Shortage { line: 0, sku: SkuId(RawId(1)), requested: 2, available: 1 };
        let mut keys = Keys::default();
        keys.remember(Millis(0), &KEY, None, &Err(Refusal::InsufficientStock(vec![shortage.clone(); 200])));
        let Some(Replay::Same(Err(Refusal::InsufficientStock(kept)))) = keys.look_up(&KEY) else { panic!("it is kept") };
        assert_eq!(kept.len(), STORED_HEAP_BYTES_MAX / size_of::<Shortage>());
        assert!(kept.len() >= 4 && kept[0] == shortage);
    }

    #[test]
    fn refusals_of_form_leave_the_key_free() {
        let mut keys = Keys::default();
        keys.remember(Millis(0), &KEY, None, &Err(Refusal::AddressRequired));
        assert_eq!(keys.look_up(&KEY), None);
        keys.remember(Millis(0), &KEY, None, &Err(Refusal::NotFound));
        assert_eq!(keys.look_up(&KEY), Some(Replay::Same(Err(Refusal::NotFound))));

        let (overtaken, stale) = (Idempotency { key: 2, fingerprint: 0 }, Idempotency { key: 3, fingerprint: 0 });
        let mismatch = Err(Refusal::VersionMismatch { current: 4 });
        keys.remember(Millis(0), &overtaken, None, &mismatch);
        keys.remember(Millis(0), &stale, Some(3), &mismatch);
        assert_eq!((keys.look_up(&overtaken), keys.look_up(&stale)), (None, Some(Replay::Same(mismatch))));
    }

    #[test]
    fn at_the_bound_only_known_keys_are_answered() {
        use crate::partition::{Changes, Partition};
        use crate::record::v1::{Command, Entry};
        let mut partition = Partition::new(wire::PartitionId(0), 0, 64);
        let cart = Command::CreateCart { currency: wire::Currency::USD };
        let keyed = |key| Entry { idempotency: Some(Idempotency { key, fingerprint: 0 }), ..Entry::of(cart.clone()) };
        let mut changes = Changes::default();
        let first = partition.apply(Millis(1), &keyed(0), &mut changes);
        for key in 1..IDEMPOTENCY_KEYS_MAX as u128 {
            partition.keys.remember(Millis(2), &Idempotency { key, fingerprint: 0 }, None, &Ok(Done::Nothing));
        }
        assert!(partition.idempotency_full());
        let refused = partition.apply(Millis(3), &keyed(u128::MAX), &mut changes);
        assert!(matches!(refused.outcome, Err(Refusal::LimitReached { .. })) && !refused.replayed);
        let again = partition.apply(Millis(4), &keyed(0), &mut changes);
        assert_eq!((again.outcome, again.replayed), (first.outcome, true));

        // A day after the oldest there is room for one.
        let sweep = Entry::of(Command::RunTimers { max: 1 });
        partition.apply(Millis(1 + IDEMPOTENCY_KEEP_MS), &sweep, &mut changes);
        assert!(!partition.idempotency_full());
        assert!(partition.apply(Millis(1 + IDEMPOTENCY_KEEP_MS), &keyed(u128::MAX), &mut changes).outcome.is_ok());
        assert!(partition.idempotency_full());
    }
}

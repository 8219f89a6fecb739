//! Work a partition has asked for elsewhere, kept until its answer is logged.
//!
//! Path: apply puts an [`Effect`] in → the shard sends it (to a partition as a command, to an adapter under a logged lease) → the
//! answer is proposed here as `EffectAnswered` or `EffectResult` → apply takes it out and goes on. A restart sends all that are left.

use super::digest::Digest;
use super::orders::Work;
use super::snapshot::fields::{Field, put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::table::Table;
use crate::record::v1::Command;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use wire::{EventId, Millis, OrderId, PartitionId, RawId, Refusal, SkuId, TransferId};

/// Effects a partition may have open. At the limit commands that would add one are refused as `LimitReached`; the later steps of a
/// saga under way still go in, so that it can end.
pub const OUTBOX_MAX: usize = 200_000;

/// Where an effect goes. Like the other parts of an [`Effect`] archived in snapshots.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum Target {
    /// A command for another partition (or this one), safe to repeat.
    Partition(PartitionId, Command),
    /// Work for an adapter.
    Adapter {
        /// Its name, such as `sandbox`.
        name: String,
        /// What to do.
        work: Work,
    },
}

/// Whom the answer concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub enum Concern {
    /// Nobody: the effect only has to happen.
    None,
    /// The saga of this order.
    Order(OrderId),
    /// An arrival of this transfer, under the arrival's own id.
    Arrival(TransferId, u128),
}

/// An effect waiting for its answer.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Effect {
    /// Where it goes.
    pub target: Target,
    /// Whom the answer concerns.
    pub concern: Concern,
    /// The lease of an adapter: fence, holder's end of time, times leased.
    pub lease: Option<Lease>,
}

/// An adapter's logged lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
pub struct Lease {
    /// Results under an older number are dropped.
    pub fence: u64,
    /// In log time; after it the effect is leased again.
    pub until: Millis,
    /// How often it was leased, this one included.
    pub times: u32,
}

/// Open effects by id, oldest first.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Iterated in id order: the order they were asked for. Written only through the methods, which keep the index beside it.
    pub open: Table<EventId, Effect>,
    /// Those for adapters, so that finding one to lease does not walk the others.
    adapters: BTreeSet<EventId>,
    /// Those that writes of products asked for, so that finding a product's does not walk the others.
    products: BTreeSet<(About, EventId)>,
}

/// What a write of a product asked something for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Claims, by the product's key.
    Product(String),
    /// A row of stock.
    Sku(SkuId),
}

impl Target {
    fn about(&self) -> Option<About> {
        match self {
            Self::Partition(_, Command::FinaliseSku { owner, .. } | Command::ReleaseSku { owner, .. }) => {
                Some(About::Product(owner.clone()))
            }
            Self::Partition(_, Command::OpenStock { sku, .. }) => Some(About::Sku(*sku)),
            Self::Partition(..) | Self::Adapter { .. } => None,
        }
    }
}

impl Outbox {
    /// Open effects of that kind, oldest first. O(log of the open ones, and those found).
    pub(super) fn about(&self, about: About) -> impl Iterator<Item = EventId> {
        let end = (about.clone(), EventId(RawId(u128::MAX)));
        self.products.range((about, EventId(RawId(0)))..=end).map(|(_, id)| *id)
    }

    /// Puts an effect into the indexes beside the table, before it is in there.
    fn index(&mut self, id: EventId, target: &Target) {
        if matches!(target, Target::Adapter { .. }) {
            self.adapters.insert(id);
        }
        self.products.extend(target.about().map(|about| (about, id)));
    }

    /// Takes one out of the table and of the indexes.
    fn remove(&mut self, id: EventId) -> Option<Effect> {
        let effect = self.open.remove(&id)?;
        match &effect.target {
            Target::Adapter { .. } => drop(self.adapters.remove(&id)),
            target @ Target::Partition(..) => {
                if let Some(about) = target.about() {
                    self.products.remove(&(about, id));
                }
            }
        }
        Some(effect)
    }

    /// Open effects for adapters with no lease, or one that is over at `time`, oldest first.
    pub fn leasable(&self, time: Millis) -> impl Iterator<Item = (EventId, &Effect)> {
        let free = move |effect: &Effect| effect.lease.is_none_or(|lease| lease.until <= time);
        let of_id = |id: &EventId| self.open.get(id).map(|effect| (*id, effect));
        self.adapters.iter().filter_map(of_id).filter(move |(_, effect)| free(effect))
    }

    /// When the next running lease ends, so that its effect can be leased again. O(effects for adapters).
    pub fn next_lease_end(&self) -> Option<Millis> {
        self.adapters.iter().filter_map(|id| self.open.get(id)?.lease.map(|lease| lease.until)).min()
    }

    pub(super) fn check_room(&self, effects: usize) -> Result<(), Refusal> {
        if self.open.len() + effects <= OUTBOX_MAX {
            Ok(())
        } else {
            Err(Refusal::LimitReached { what: "open effects of a partition".to_owned(), max: OUTBOX_MAX as u64 })
        }
    }

    pub(super) fn put(&mut self, id: EventId, effect: Effect) {
        self.index(id, &effect.target);
        self.open.insert(id, effect);
    }

    /// Takes out an effect that went to a partition; `None` if it is answered already.
    pub(super) fn take_for_partition(&mut self, id: EventId) -> Option<Effect> {
        match self.open.get(&id)?.target {
            Target::Partition(..) => self.remove(id),
            Target::Adapter { .. } => None,
        }
    }

    /// Takes out an effect that an adapter did under its latest lease; `None` if it is answered, or was leased again since.
    pub(super) fn take_for_adapter(&mut self, id: EventId, fence: u64) -> Option<Effect> {
        let effect = self.open.get(&id)?;
        let leased = effect.lease.is_some_and(|lease| lease.fence == fence);
        match effect.target {
            Target::Adapter { .. } if leased => self.remove(id),
            Target::Adapter { .. } | Target::Partition(..) => None,
        }
    }

    /// Takes out an effect that its asker no longer wants; `false`, and nothing is done, if an adapter was ever handed it and so may
    /// be at work on it. A command for a partition may be under way all the same: what follows it must say so (tombstones).
    pub(super) fn withdraw(&mut self, id: EventId) -> bool {
        match self.open.get(&id).map(|effect| (&effect.target, effect.lease)) {
            None | Some((Target::Adapter { .. }, Some(_))) => false,
            Some((Target::Partition(..), _) | (Target::Adapter { .. }, None)) => self.remove(id).is_some(),
        }
    }

    /// Leases those of `ids` that are for adapters and free at `time`; the others are left out.
    pub(super) fn lease(&mut self, ids: &[EventId], fence: u64, time: Millis, ttl_ms: u64) -> Vec<EventId> {
        let mut leased = Vec::new();
        for id in ids {
            let Some(effect) = self.open.get_mut(id) else { continue };
            let is_free = effect.lease.is_none_or(|lease| lease.until <= time);
            if matches!(effect.target, Target::Adapter { .. }) && is_free {
                let times = effect.lease.map_or(0, |lease| lease.times).saturating_add(1);
                effect.lease = Some(Lease { fence, until: time.plus(ttl_ms), times });
                leased.push(*id);
            }
        }
        leased
    }

    /// Every effect is found by the index it belongs to.
    pub(super) fn check(&self) -> Result<(), String> {
        let for_adapters = |(id, effect): (&EventId, &Effect)| matches!(effect.target, Target::Adapter { .. }).then_some(*id);
        if !self.open.iter().filter_map(for_adapters).eq(self.adapters.iter().copied()) {
            return Err("the outbox's list of adapter effects does not match its effects".to_owned());
        }
        let of_products: BTreeSet<(About, EventId)> =
            self.open.iter().filter_map(|(id, effect)| Some((effect.target.about()?, *id))).collect();
        if of_products == self.products {
            Ok(())
        } else {
            Err("the outbox's list of effects of products does not match its effects".to_owned())
        }
    }

    pub(super) fn freeze(&mut self) {
        self.open.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.open.thaw();
    }

    /// Writes open effects into a snapshot.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.open.walk(|id, effect| {
            items.put_walked(Kind::Effect, effect, |body, effect| {
                id.put(body);
                put_archive(effect, body);
            })
        })
    }

    pub(super) fn put_back(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let id = EventId::take(body).ok_or(BadItem::Damaged)?;
        let effect: Effect = take_archive(body).ok_or(BadItem::Damaged)?;
        self.index(id, &effect.target);
        if self.open.push(id, effect) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("outbox");
        digest.write_usize(self.open.len());
        for (id, effect) in &self.open {
            id.hash(digest);
            match &effect.target {
                Target::Partition(partition, command) => {
                    partition.hash(digest);
                    digest.archive(command);
                }
                Target::Adapter { name, work } => {
                    digest.text(name);
                    digest.archive(work);
                }
            }
            effect.concern.hash(digest);
            effect.lease.hash(digest);
        }
    }
}

//! Work for adapters: leased by a logged command, given out, and its result logged.
//!
//! Path: adapter's `TakeEffects` → effects without a running lease → `LeaseEffects` → [`wire::Effect`], tokens opened → the adapter works →
//! `EffectResult` → the saga goes on. An adapter that dies loses its lease when its time ends; the next one looks up before it acts.

use super::{Head, Trail, refused};
use crate::{
    partition::{Done, orders::WorkError, outbox::Target},
    record::v1::{Command, Entry},
    shard::core::{ctx::Ctx, state::State, wait::Woken},
};
use std::collections::BTreeMap;
use wire::{Body, Effect, EffectOutcome, EffectResult, EventId, Failure, PartitionId, Refusal};

/// Effects one call may lease.
const TAKE_MAX: u16 = 256;
/// How often a waiting call looks again for leases that ended.
const LOOK_AGAIN_MS: u64 = 500;

/// The decline code of a payment whose token's key is gone: its person was erased.
const ERASED: &str = "token_erased";

/// What an adapter asks for.
pub(super) struct Wanted {
    pub(super) adapters: Vec<String>,
    pub(super) max: u16,
    pub(super) lease_ms: u32,
    pub(super) wait_ms: u32,
}

pub(super) async fn take(ctx: &Ctx, head: &Head, trail: &mut Trail, wanted: Wanted) -> Result<Body, Failure> {
    head.system()?;
    let until_us = head.deadline_us.min(ctx.now().mono_us + u64::from(wanted.wait_ms) * 1_000);
    loop {
        let free = ctx.with_mut(|state| free(state, &wanted));
        if !free.is_empty() {
            return lease(ctx, trail, &wanted, free).await;
        }
        let again_us = until_us.min(ctx.now().mono_us + LOOK_AGAIN_MS * 1_000);
        let woken = ctx.work(again_us).await;
        let draining = ctx.with(|state| state.draining);
        if draining || (woken == Woken::Late && ctx.now().mono_us >= until_us) {
            return Ok(Body::Effects(Vec::new()));
        }
    }
}

/// Effects that may be leased now, by partition.
fn free(state: &mut State, wanted: &Wanted) -> BTreeMap<PartitionId, Vec<EventId>> {
    let now = state.stamp();
    let mut left = usize::from(wanted.max.clamp(1, TAKE_MAX));
    let mut free = BTreeMap::new();
    for (id, slot) in state.partitions.iter().filter(|(_, slot)| slot.leads()) {
        let for_us = |target: &Target| matches!(target, Target::Adapter { name, .. } if wanted.adapters.contains(name));
        let found = slot.partition.outbox().leasable(now).filter(|(_, effect)| for_us(&effect.target)).map(|(effect, _)| effect);
        let found: Vec<EventId> = found.take(left).collect();
        left -= found.len();
        if !found.is_empty() {
            free.insert(*id, found);
        }
    }
    free
}

async fn lease(ctx: &Ctx, trail: &mut Trail, wanted: &Wanted, free: BTreeMap<PartitionId, Vec<EventId>>) -> Result<Body, Failure> {
    let holder = wanted.adapters.join(",");
    let ttl_ms = u64::from(wanted.lease_ms);
    let mut given = Vec::new();
    // All partitions' leases are proposed together, so that they share a write.
    let proposed: Vec<_> = free
        .into_iter()
        .map(|(partition, effects)| {
            let command = Command::LeaseEffects { effects, holder: holder.clone(), ttl_ms };
            (partition, ctx.with_mut(|state| state.propose(partition, Entry::of(command))))
        })
        .collect();
    for (partition, signal) in proposed {
        let committed = match signal.await.unwrap_or(Err(Failure::Internal)) {
            // The lead went elsewhere: who has it now gives them out.
            Err(Failure::NotLeader { .. } | Failure::Interrupted) => continue,
            committed => committed?,
        };
        let Ok(Done::Leased { fence, effects }) = trail.note(committed) else { continue };
        for id in effects {
            match ctx.with(|state| effect(state, partition, id, fence)) {
                Ok(effect) => given.push(effect),
                Err(WorkError::NotOpen) => {}
                Err(WorkError::Sealed(_erased)) => {
                    let outcome = EffectOutcome::Refused { code: ERASED.to_owned() };
                    trail.note(ctx.command(partition, Command::EffectResult { effect: id, fence, outcome }).await?).map_err(refused)?;
                }
            }
        }
    }
    Ok(Body::Effects(given))
}

/// An effect as the adapter gets it; the payment token is opened only here.
fn effect(state: &State, partition: PartitionId, id: EventId, fence: u64) -> Result<Effect, WorkError> {
    let partition = state.partition(partition).ok_or(WorkError::NotOpen)?;
    let work = partition.effect_work(id, &state.config.keyring)?;
    let open = partition.outbox().open.get(&id).ok_or(WorkError::NotOpen)?;
    let Target::Adapter { name, .. } = &open.target else { return Err(WorkError::NotOpen) };
    let attempt = open.lease.map_or(0, |lease| lease.times.saturating_sub(1));
    Ok(Effect { id, fence, attempt, adapter: name.clone(), work })
}

pub(super) async fn result(ctx: &Ctx, head: &Head, trail: &mut Trail, result: EffectResult) -> Result<Body, Failure> {
    head.system()?;
    let EffectResult { id, fence, outcome } = result;
    let partition = id.partition();
    if !ctx.config(|config| config.owns(partition)) {
        return Err(refused(Refusal::NotFound));
    }
    let outcome = trail.note(ctx.propose(partition, Entry::of(Command::EffectResult { effect: id, fence, outcome })).await?);
    outcome.map(|_| Body::Done).map_err(refused)
}

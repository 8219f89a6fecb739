//! Takes effects from the engine and sees each through.
//!
//! Path: [`follow`] keeps one task for each shard there is → that asks `TakeEffects` (a long poll) → a task an effect: look up, do, look up again while
//! the outcome is in doubt → `EffectResult`, sent until the engine has it or the lease is nearly over.
//! Bounds: [`EFFECTS_MAX`] effects under way a shard; while all are, nothing more is taken and the engine keeps the rest. Shards that come and go are noticed
//! within [`FOLLOW`].
//! Deliberately absent: state. A runner that dies loses nothing: its leases end and the next one looks up what it did.

use crate::{LookUp, PaymentAdapter};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use wire::{Body, CallError, Client, Effect, EffectOutcome, EffectResult, EffectWork, Failure, Op, Request, ShardId};

/// How often it is looked how many shards there are: nodes of a cluster come and go, and an engine may come back with others. A look into memory.
pub const FOLLOW: Duration = Duration::from_millis(250);
/// Effects of one shard under way at once.
pub const EFFECTS_MAX: u16 = 512;
/// How long an effect is ours. Shorter than the wait of a checkout, so that one whose runner died can still be answered in time.
pub const LEASE: Duration = Duration::from_secs(6);
/// Kept back of the lease for reporting the outcome: past it another runner may be at work.
const REPORT: Duration = Duration::from_secs(1);
/// How long the engine may wait for a first effect before it answers that there is none.
const POLL: Duration = Duration::from_secs(10);
/// Beyond that, how long its answer may take.
const POLL_SLACK: Duration = Duration::from_secs(5);
/// First and longest pause between two tries of the same thing.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often it is told that a shard gives no effects, while it does not.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How long a stop waits for effects under way. What is not done by then is found by look-up at the next start.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The tasks that work for one engine, or for all of a cluster. Dropping it ends them at once; [`Runner::stop`] lets them finish.
#[derive(Debug)]
pub struct Runner {
    stop: watch::Sender<bool>,
    /// One task, which has those of the shards: a set, so that it ends when this is dropped.
    following: JoinSet<()>,
}

impl Runner {
    /// Starts a task for each shard behind `client`, and later for those that come, on the current tokio runtime. `adapters` have different names.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(client: &Arc<dyn Client>, adapters: &[Arc<dyn PaymentAdapter>]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut following = JoinSet::new();
        following.spawn(follow(Arc::clone(client), adapters.into(), stopped));
        Self { stop, following }
    }

    /// Takes no more effects, lets those under way end (at most 5 s), and reports them. Call it before the engine is shut down.
    pub async fn stop(mut self) {
        // No receiver left means that every task has ended.
        let _ = self.stop.send(true);
        let ended = timeout(STOP_MAX, async { while self.following.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("effects were still under way at the stop; they are looked up at the next start");
        }
    }
}

/// Keeps a poller for each shard there is, until it is told to stop; then waits for all of them.
async fn follow(client: Arc<dyn Client>, adapters: Arc<[Arc<dyn PaymentAdapter>]>, mut stopped: watch::Receiver<bool>) {
    let mut pollers = JoinSet::new();
    // By shard: tells its poller to stop.
    let mut stops: Vec<watch::Sender<bool>> = Vec::new();
    while !*stopped.borrow() {
        let shards = client.topology().shards;
        for shard in u16::try_from(stops.len()).unwrap_or(u16::MAX)..shards {
            let (stop, stopped) = watch::channel(false);
            let worker = Worker { client: Arc::clone(&client), adapters: Arc::clone(&adapters), stopped };
            pollers.spawn(Poller { shard: ShardId(shard), worker, room: Arc::new(Semaphore::new(usize::from(EFFECTS_MAX))) }.run());
            stops.push(stop);
        }
        // A poller past the end takes nothing more and finishes what it has, at most a lease long; the shard may be back before that.
        for stop in stops.drain(usize::from(shards).min(stops.len())..) {
            let _ = stop.send(true);
        }
        while pollers.try_join_next().is_some() {}
        tokio::select! { () = sleep(FOLLOW) => {}, () = stop(&mut stopped) => {} }
    }
    for stop in &stops {
        let _ = stop.send(true);
    }
    while pollers.join_next().await.is_some() {}
}

/// Asks one shard for effects.
struct Poller {
    shard: ShardId,
    worker: Worker,
    room: Arc<Semaphore>,
}

impl Poller {
    async fn run(self) {
        let mut stopped = self.worker.stopped.clone();
        let mut under_way = JoinSet::new();
        let mut pause = Pause::default();
        let mut told: Option<Instant> = None;
        while !self.worker.is_stopped() {
            // A stop must not wait for a poll that finds nothing; an answer that comes anyway is leased and looked up later.
            let taken = tokio::select! {
                taken = self.take() => taken,
                () = stop(&mut stopped) => break,
            };
            match taken {
                Ok(effects) => {
                    (pause, told) = (Pause::default(), None);
                    let deadline = Instant::now() + LEASE - REPORT;
                    for effect in effects {
                        let (worker, room) = (self.worker.clone(), Arc::clone(&self.room));
                        under_way.spawn(async move {
                            // Only `take` counts on free room, and it has ended: this cannot wait.
                            let _room = room.acquire_owned().await;
                            worker.see_through(effect, deadline).await;
                        });
                    }
                }
                Err(why) => {
                    if pause.is_long() && told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
                        told = Some(Instant::now());
                        tracing::warn!(shard = self.shard.0, %why, "no effects can be taken from the engine; trying again");
                    }
                    tokio::select! { () = pause.wait() => {}, () = stop(&mut stopped) => break }
                }
            }
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn take(&self) -> Result<Vec<Effect>, Away> {
        // Waits for room for at least one, and gives it back for the tasks to take.
        drop(self.room.acquire().await);
        let max = u16::try_from(self.room.available_permits()).unwrap_or(EFFECTS_MAX).max(1);
        let adapters = self.worker.adapters.iter().map(|adapter| adapter.name().to_owned()).collect();
        let op = Op::TakeEffects { shard: self.shard, adapters, max, lease_ms: ms(LEASE), wait_ms: ms(POLL) };
        let mut request = Request::system(op);
        request.timeout_ms = ms(POLL + POLL_SLACK);
        let answer = timeout(POLL + POLL_SLACK * 2, self.worker.client.call(request)).await.map_err(|_| Away::Late)??;
        match answer.result {
            Ok(Body::Effects(effects)) => Ok(effects),
            Ok(other) => Err(Away::Strange(format!("{other:?}"))),
            Err(failure) => Err(Away::Failed(failure)),
        }
    }
}

/// Does single effects.
#[derive(Clone)]
struct Worker {
    client: Arc<dyn Client>,
    adapters: Arc<[Arc<dyn PaymentAdapter>]>,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    async fn see_through(&self, effect: Effect, deadline: Instant) {
        let Some(adapter) = self.adapters.iter().find(|adapter| adapter.name() == effect.adapter) else {
            tracing::error!(adapter = effect.adapter, "the engine gave out an effect for an adapter that was not asked for");
            return;
        };
        let outcome = outcome(adapter.as_ref(), &effect, deadline).await;
        if outcome == EffectOutcome::Unknown {
            tracing::warn!(effect = %effect.id, attempt = effect.attempt, "the provider's answer is still unknown; it will be looked up again");
        }
        self.report(EffectResult { id: effect.id, fence: effect.fence, outcome }, deadline + REPORT).await;
    }

    /// Sends the result until the engine has it, or until it would be dropped anyway.
    async fn report(&self, result: EffectResult, deadline: Instant) {
        let mut pause = Pause::default();
        loop {
            let mut request = Request::system(Op::EffectResult(result.clone()));
            request.timeout_ms = ms(deadline.saturating_duration_since(Instant::now())).max(1);
            let answer = match tokio::time::timeout_at(deadline, self.client.call(request)).await {
                Ok(Ok(response)) => response.result.map(|_| ()).map_err(Away::Failed),
                Ok(Err(error)) => Err(Away::Unreachable(error)),
                Err(_) => Err(Away::Late),
            };
            match answer {
                Ok(()) => return,
                Err(Away::Failed(Failure::Refused(refusal))) => {
                    // Another runner has it by now, or the partition is gone.
                    tracing::debug!(effect = %result.id, ?refusal, "the engine did not take the result");
                    return;
                }
                Err(_) if Instant::now() >= deadline => return,
                Err(_) => tokio::select! { () = pause.wait() => {}, () = sleep_until(deadline) => return },
            }
        }
    }
}

/// Waits for the stop.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error says that the runner was dropped, which is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Does the effect, or finds out what came of it; `Unknown` only once the deadline is there.
async fn outcome(adapter: &dyn PaymentAdapter, effect: &Effect, deadline: Instant) -> EffectOutcome {
    let mut pause = Pause::default();
    // Leased before: it may have been done by a runner that died.
    let mut in_doubt = effect.attempt > 0;
    loop {
        if in_doubt {
            match adapter.look_up(&effect.work, deadline).await {
                LookUp::Was(EffectOutcome::Unknown) | LookUp::Unknown => {}
                LookUp::Was(outcome) => return outcome,
                LookUp::Never => in_doubt = false,
            }
        }
        if !in_doubt {
            match perform(adapter, &effect.work, deadline).await {
                EffectOutcome::Unknown => in_doubt = true,
                outcome => return outcome,
            }
        }
        let next = Instant::now() + pause.next();
        if next >= deadline {
            return EffectOutcome::Unknown;
        }
        sleep_until(next).await;
    }
}

async fn perform(adapter: &dyn PaymentAdapter, work: &EffectWork, deadline: Instant) -> EffectOutcome {
    match work {
        EffectWork::Authorise { reference, token, amount } => adapter.authorise(reference, token, *amount, deadline).await,
        EffectWork::Confirm { reference, outcome } => adapter.confirm(reference, *outcome, deadline).await,
        EffectWork::Capture { reference, amount } => adapter.capture(reference, *amount, deadline).await,
        EffectWork::Void { reference } => adapter.void(reference, deadline).await,
        EffectWork::Refund { reference, refund, amount } => adapter.refund(reference, refund, *amount, deadline).await,
        // Work of a later engine. A refusal ends its saga in order, which waiting for ever would not.
        _ => EffectOutcome::Refused { code: "unsupported".into() },
    }
}

/// Why the engine gave no effects.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Unreachable(#[from] CallError),
    #[error("it answered {0:?}")]
    Failed(Failure),
    #[error("it answered something else: {0}")]
    Strange(String),
    #[error("it did not answer in time")]
    Late,
}

/// Pauses that double.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        pause
    }

    fn is_long(&self) -> bool {
        self.0 >= PAUSE_MAX
    }

    async fn wait(&mut self) {
        sleep(self.next()).await;
    }
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

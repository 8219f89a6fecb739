//! The runner against a small engine of its own: an outbox with leases, in memory; and against shards that come and go.

use adapters::{
    Answer, FOLLOW, LookUp, PaymentAdapter, Runner,
    sandbox::{self, Sandbox},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout},
};
use wire::{
    ActionOutcome, Body, Call, CallError, Client, Currency, Effect, EffectOutcome, EffectResult, EffectWork, EventId, Failure, Money, Op,
    RawId, Request, Response, Topology,
};

/// An engine that knows effects and nothing else.
#[derive(Default)]
struct Outbox {
    open: Mutex<BTreeMap<EventId, Leased>>,
    results: Mutex<Vec<EffectResult>>,
    changed: Notify,
    /// Calls to come that are answered as if the engine were away.
    away: AtomicU32,
}

struct Leased {
    effect: Effect,
    taken: bool,
}

struct Engine(Arc<Outbox>);

impl Client for Engine {
    fn call(&self, request: Request) -> Call {
        let outbox = Arc::clone(&self.0);
        Box::pin(async move {
            let away = outbox.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if away.is_ok() {
                return Err(CallError::Unreachable("it restarts".into()));
            }
            let result = match request.op {
                Op::TakeEffects { shard, adapters, max, wait_ms, .. } => {
                    assert_eq!((shard.0, adapters), (0, vec!["sandbox".to_owned()]));
                    let taken = timeout(Duration::from_millis(wait_ms.into()), outbox.take(max)).await;
                    Ok(Body::Effects(taken.unwrap_or_default()))
                }
                Op::EffectResult(result) => outbox.result(result).await,
                other => panic!("{other:?}"),
            };
            Ok(Response { positions: Vec::new(), replayed: false, result })
        })
    }

    fn topology(&self) -> Topology {
        Topology { partitions: 4, shards: 1 }
    }
}

impl Outbox {
    async fn add(&self, number: u128, attempt: u32, work: EffectWork) {
        let id = EventId(RawId(number));
        let effect = Effect { id, fence: 7, attempt, adapter: "sandbox".into(), work };
        self.open.lock().await.insert(id, Leased { effect, taken: false });
        self.changed.notify_waiters();
    }

    async fn take(&self, max: u16) -> Vec<Effect> {
        loop {
            let changed = self.changed.notified();
            let mut open = self.open.lock().await;
            let free = open.values_mut().filter(|leased| !leased.taken).take(max.into());
            let taken: Vec<Effect> = free
                .map(|leased| {
                    leased.taken = true;
                    leased.effect.clone()
                })
                .collect();
            drop(open);
            if !taken.is_empty() {
                return taken;
            }
            changed.await;
        }
    }

    async fn result(&self, result: EffectResult) -> Result<Body, Failure> {
        assert_eq!(result.fence, 7);
        self.open.lock().await.remove(&result.id);
        self.results.lock().await.push(result);
        self.changed.notify_waiters();
        Ok(Body::Done)
    }

    /// Waits for so many results and gives them by effect.
    async fn results(&self, wanted: usize) -> BTreeMap<u128, EffectOutcome> {
        let all = async {
            loop {
                let changed = self.changed.notified();
                let results = self.results.lock().await;
                if results.len() >= wanted {
                    return results.iter().map(|result| (result.id.0.0, result.outcome.clone())).collect();
                }
                drop(results);
                changed.await;
            }
        };
        timeout(Duration::from_secs(30), all).await.expect("the results come")
    }
}

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

fn authorise(reference: &str, token: &str) -> EffectWork {
    EffectWork::Authorise { reference: reference.into(), token: token.into(), amount: usd(100) }
}

fn start(outbox: &Arc<Outbox>, adapter: Arc<dyn PaymentAdapter>) -> Runner {
    let client: Arc<dyn Client> = Arc::new(Engine(Arc::clone(outbox)));
    Runner::start(&client, &[adapter])
}

#[tokio::test]
async fn effects_are_done_and_reported_whatever_the_engine_does_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Arc::new(Outbox::default());
    outbox.away.store(3, Ordering::SeqCst);
    let runner = start(&outbox, Arc::new(Sandbox::open(folder.path()).expect("opens")));
    for number in 0..200u32 {
        outbox.add(number.into(), 0, authorise(&format!("pay_{number}"), "pm_sandbox_slow_50")).await;
        if number % 50 == 0 {
            outbox.away.store(2, Ordering::SeqCst);
        }
    }
    outbox.add(1_000, 0, authorise("pay_lost", "pm_sandbox_lost")).await;
    outbox.add(1_001, 0, authorise("pay_no", "pm_card_chargeDeclined")).await;
    let results = outbox.results(202).await;
    assert_eq!(results[&1_000], EffectOutcome::Succeeded, "a lost answer is looked up");
    assert_eq!(results[&1_001], EffectOutcome::Refused { code: "card_declined".into() });
    assert_eq!(results.values().filter(|outcome| **outcome == EffectOutcome::Succeeded).count(), 201);
    timeout(Duration::from_secs(3), runner.stop()).await.expect("nothing is under way, so it stops at once");
    assert_eq!(sandbox::read(folder.path()).expect("reads").len(), 202);
}

/// A provider that lost its answers, and counts what is asked of it.
#[derive(Default)]
struct Forgetful {
    asked: AtomicU32,
    looked_up: AtomicU32,
    /// Look-ups until it knows.
    knows_after: u32,
}

impl PaymentAdapter for Forgetful {
    fn name(&self) -> &str {
        "sandbox"
    }

    fn authorise<'a>(&'a self, _: &'a str, _: &'a str, _: Money, _: Instant) -> Answer<'a, EffectOutcome> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { EffectOutcome::Unknown })
    }

    fn look_up<'a>(&'a self, _: &'a EffectWork, _: Instant) -> Answer<'a, LookUp> {
        let times = self.looked_up.fetch_add(1, Ordering::SeqCst) + 1;
        let knows = times >= self.knows_after;
        Box::pin(async move { if knows { LookUp::Was(EffectOutcome::Succeeded) } else { LookUp::Unknown } })
    }

    fn confirm<'a>(&'a self, _: &'a str, _: ActionOutcome, _: Instant) -> Answer<'a, EffectOutcome> {
        unreachable!("not asked for here")
    }

    fn capture<'a>(&'a self, _: &'a str, _: Money, _: Instant) -> Answer<'a, EffectOutcome> {
        unreachable!("not asked for here")
    }

    fn void<'a>(&'a self, _: &'a str, _: Instant) -> Answer<'a, EffectOutcome> {
        unreachable!("not asked for here")
    }

    fn refund<'a>(&'a self, _: &'a str, _: &'a str, _: Money, _: Instant) -> Answer<'a, EffectOutcome> {
        unreachable!("not asked for here")
    }
}

#[tokio::test]
async fn in_doubt_it_looks_up_and_never_asks_twice() {
    for (attempt, asked) in [(0, 1), (1, 0)] {
        let outbox = Arc::new(Outbox::default());
        let provider = Arc::new(Forgetful { knows_after: 4, ..Forgetful::default() });
        let runner = start(&outbox, Arc::clone(&provider) as Arc<dyn PaymentAdapter>);
        outbox.add(1, attempt, authorise("pay_1", "pm_card_visa")).await;
        assert_eq!(outbox.results(1).await[&1], EffectOutcome::Succeeded);
        assert_eq!(provider.asked.load(Ordering::SeqCst), asked, "attempt {attempt}");
        assert_eq!(provider.looked_up.load(Ordering::SeqCst), 4);
        runner.stop().await;
    }
}

#[tokio::test(start_paused = true)] // The clock jumps to the next timer, so that a whole lease passes at once.
async fn an_outcome_that_stays_unknown_is_reported_before_the_lease_ends() {
    let outbox = Arc::new(Outbox::default());
    let provider = Arc::new(Forgetful { knows_after: u32::MAX, ..Forgetful::default() });
    let runner = start(&outbox, Arc::clone(&provider) as Arc<dyn PaymentAdapter>);
    let began = Instant::now();
    outbox.add(1, 0, authorise("pay_1", "pm_card_visa")).await;
    assert_eq!(outbox.results(1).await[&1], EffectOutcome::Unknown);
    let took = began.elapsed();
    assert!(took < adapters::LEASE && took > adapters::LEASE / 2, "{took:?}");
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
    runner.stop().await;
}

/// Shards that have no effects, and are counted as they are asked.
#[derive(Default)]
struct Shards {
    count: AtomicU16,
    /// Polls under way, by shard.
    polls: Mutex<BTreeMap<u16, u32>>,
}

struct Cluster(Arc<Shards>);

impl Client for Cluster {
    fn call(&self, request: Request) -> Call {
        let shards = Arc::clone(&self.0);
        Box::pin(async move {
            let Op::TakeEffects { shard, wait_ms, .. } = request.op else { panic!("{:?}", request.op) };
            if shard.0 >= shards.count.load(Ordering::SeqCst) {
                return Ok(Response { positions: Vec::new(), replayed: false, result: Err(Failure::WrongShard) });
            }
            *shards.polls.lock().await.entry(shard.0).or_default() += 1;
            sleep(Duration::from_millis(wait_ms.into())).await;
            Ok(Response { positions: Vec::new(), replayed: false, result: Ok(Body::Effects(Vec::new())) })
        })
    }

    fn topology(&self) -> Topology {
        Topology { partitions: 4, shards: self.0.count.load(Ordering::SeqCst) }
    }
}

#[tokio::test(start_paused = true)] // The clock jumps to the next timer, so that polls of ten seconds pass at once.
async fn shards_that_come_are_asked_and_those_that_are_gone_no_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let shards = Arc::new(Shards::default());
    let client: Arc<dyn Client> = Arc::new(Cluster(Arc::clone(&shards)));
    let runner = Runner::start(&client, &[Arc::new(Sandbox::open(folder.path()).expect("opens"))]);
    // Each row: shards there are from then on.
    for count in [0, 2, 5, 5, 1, 3] {
        shards.count.store(count, Ordering::SeqCst);
        sleep(2 * FOLLOW).await;
        // What was asked before is answered by now, and the next polls are under way.
        sleep(Duration::from_secs(11)).await;
        shards.polls.lock().await.clear();
        sleep(Duration::from_secs(100)).await;
        let polls = shards.polls.lock().await.clone();
        assert!(polls.keys().copied().eq(0..count), "{count} shards: {polls:?}");
        assert!(polls.values().all(|polls| (9..=11).contains(polls)), "one poller a shard: {polls:?}");
    }
    timeout(Duration::from_secs(1), runner.stop()).await.expect("polls that find nothing do not hold up the stop");
    shards.polls.lock().await.clear();
    sleep(Duration::from_secs(100)).await;
    assert!(shards.polls.lock().await.is_empty());
}

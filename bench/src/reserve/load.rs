//! Callers in a closed loop, each with its own ids and its own draw of SKUs: a task each ([`run`]), or all on one thread without tasks ([`run_swarm`]).
//!
//! Latency is from the moment the call is made: in a closed loop that is when the answer before it came.

use super::{
    Arguments, Skus,
    target::{Target, WAREHOUSE},
};
use crate::{
    draw::Draw,
    hiccup::{Hiccups, Worst},
    server::BenchError,
    swarm::{Caller, Swarm},
};
use bench::report::Latencies;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use wire::{
    ArchivedBody, Body, Failure, HoldId, Op, OrderId, RawId, Request, Reservation, ReserveLine, SkuId,
    frame::{Frame, RawFrame, RequestId, encode_request},
};

/// Where everything is in stock.
pub(super) const LOCATION: &str = "main";
/// How long a caller waits.
const TIMEOUT_MS: u32 = 30_000;

/// What was measured.
pub(super) struct Measured {
    /// Reservations within the measured time.
    pub(super) ops: u64,
    /// Acknowledged reservations, warm-up included.
    pub(super) reserved: u64,
    pub(super) seconds: f64,
    /// CPU of the engine.
    pub(super) cpu_us: u64,
    /// And of each follower.
    pub(super) followers_cpu_us: Vec<u64>,
    pub(super) latencies: Latencies,
    /// What the machine did to others meanwhile.
    pub(super) machine: Worst,
}

/// The SKU with this number.
pub(super) fn sku(number: u32) -> SkuId {
    // Spread as minted ids are: the same time and partition, numbered commands.
    SkuId(RawId((1_760_000_000_000_u128 << 80) | (u128::from(number) << 16)))
}

/// Counts of all callers; one thread.
#[derive(Default)]
struct Tally {
    measuring: Cell<bool>,
    ending: Cell<bool>,
    ops: Cell<u64>,
    reserved: Cell<u64>,
    latencies: RefCell<Latencies>,
    failed: RefCell<Option<String>>,
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
pub(super) async fn run(arguments: &Arguments, target: &Target, hiccups: Hiccups) -> Result<Measured, BenchError> {
    let tally = Rc::new(Tally::default());
    let local = tokio::task::LocalSet::new();
    let measured = local
        .run_until(async {
            let mut callers = Vec::new();
            for connection in 0..arguments.connections {
                let client = target.client(connection);
                for lane in 0..arguments.pipeline {
                    let number = (connection * arguments.pipeline + lane) as u64;
                    let (client, tally) = (std::sync::Arc::clone(&client), Rc::clone(&tally));
                    let (skus, lines, sku_count, ttl_ms) = (arguments.skus, arguments.lines, arguments.sku_count, arguments.ttl_ms);
                    callers.push(tokio::task::spawn_local(async move {
                        let mut draw = Draw::new(number);
                        let mut count = 0_u64;
                        while !tally.ending.get() {
                            count += 1;
                            let request = request(&mut draw, number, count, (skus, lines, sku_count, ttl_ms));
                            let begun = Instant::now();
                            let answer = client.call(request).await;
                            let took = begun.elapsed();
                            if let Err(why) = reserved(answer) {
                                tally.failed.borrow_mut().get_or_insert(why);
                                tally.ending.set(true);
                                return;
                            }
                            tally.reserved.set(tally.reserved.get() + 1);
                            if tally.measuring.get() {
                                tally.ops.set(tally.ops.get() + 1);
                                tally.latencies.borrow_mut().record(took);
                            }
                        }
                    }));
                }
            }
            tokio::time::sleep(Duration::from_secs_f64(arguments.seconds / 10.0)).await;
            let (cpu, followers, begun) = (target.cpu_us()?, target.followers_cpu_us()?, Instant::now());
            hiccups.reset();
            tally.measuring.set(true);
            tokio::time::sleep(Duration::from_secs_f64(arguments.seconds)).await;
            tally.measuring.set(false);
            let (cpu, seconds) = (target.cpu_us()?.saturating_sub(cpu), begun.elapsed().as_secs_f64());
            let followers = since(&followers, &target.followers_cpu_us()?);
            tally.ending.set(true);
            for caller in callers {
                caller.await.map_err(BenchError::other)?;
            }
            Ok::<_, BenchError>((cpu, followers, seconds))
        })
        .await?;
    if let Some(why) = tally.failed.take() {
        return Err(BenchError::other(format!("a reservation was not made: {why}")));
    }
    let (cpu_us, followers_cpu_us, seconds) = measured;
    let machine = hiccups.stop();
    Ok(Measured {
        machine,
        ops: tally.ops.get(),
        reserved: tally.reserved.get(),
        seconds,
        cpu_us,
        followers_cpu_us,
        latencies: tally.latencies.take(),
    })
}

/// The same without tasks, over connections of their own.
pub(super) fn run_swarm(arguments: &Arguments, target: &Target, mut swarm: Swarm, hiccups: Hiccups) -> Result<Measured, BenchError> {
    let wanted = (arguments.skus, arguments.lines, arguments.sku_count, arguments.ttl_ms);
    let mut callers = Callers::new(arguments.connections * arguments.pipeline, wanted);
    swarm.run(Duration::from_secs_f64(arguments.seconds / 10.0), &mut callers)?;
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
    let (cpu, followers, begun) = (target.cpu_us()?, target.followers_cpu_us()?, Instant::now());
    hiccups.reset();
    callers.measuring = true;
    swarm.run(Duration::from_secs_f64(arguments.seconds), &mut callers)?;
    callers.measuring = false;
    let (cpu_us, seconds) = (target.cpu_us()?.saturating_sub(cpu), begun.elapsed().as_secs_f64());
    let followers_cpu_us = since(&followers, &target.followers_cpu_us()?);
    callers.ending = true;
    swarm.end(&mut callers)?;
    let machine = hiccups.stop();
    let Callers { ops, reserved, latencies, .. } = callers;
    Ok(Measured { machine, ops, reserved, seconds, cpu_us, followers_cpu_us, latencies })
}

/// What came to each.
fn since(before: &[u64], after: &[u64]) -> Vec<u64> {
    before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before)).collect()
}

/// So many reservations at least, as fast as they go.
pub(super) fn fill(mut swarm: Swarm, lanes: usize, sku_count: u32, count: u64) -> Result<u64, BenchError> {
    const LINES: usize = 3;
    const TTL_MS: u32 = 3_600_000;
    let mut callers = Callers::new(lanes, (Skus::Uniform, LINES, sku_count, TTL_MS));
    while callers.reserved < count {
        swarm.run(Duration::from_millis(100), &mut callers)?;
    }
    callers.ending = true;
    swarm.end(&mut callers)?;
    Ok(callers.reserved)
}

struct Lane {
    draw: Draw,
    count: u64,
    begun: Option<Instant>,
}

struct Callers {
    wanted: (Skus, usize, u32, u32),
    lanes: Vec<Lane>,
    measuring: bool,
    ending: bool,
    ops: u64,
    reserved: u64,
    latencies: Latencies,
}

impl Callers {
    fn new(lanes: usize, wanted: (Skus, usize, u32, u32)) -> Self {
        let lane = |number| Lane { draw: Draw::new(number as u64), count: 0, begun: None };
        let lanes = (0..lanes).map(lane).collect();
        Self { wanted, lanes, measuring: false, ending: false, ops: 0, reserved: 0, latencies: Latencies::default() }
    }
}

impl Caller for Callers {
    fn ask(&mut self, lane: usize, id: RequestId, now: Instant, out: &mut Vec<u8>) -> Result<bool, BenchError> {
        let Lane { draw, count, begun } = &mut self.lanes[lane];
        if self.ending {
            return Ok(false);
        }
        *count += 1;
        *begun = Some(now);
        encode_request(id, &request(draw, lane as u64, *count, self.wanted), out).map_err(BenchError::other)?;
        Ok(true)
    }

    fn answered(&mut self, lane: usize, now: Instant, answer: RawFrame<'_>) -> Result<(), BenchError> {
        let response = answer.response().map_err(BenchError::other)?;
        let is_reserved = matches!(response.result.as_ref().ok(), Some(ArchivedBody::Reserved(_)));
        if !is_reserved || response.replayed {
            let why = match answer.read().map_err(BenchError::other)? {
                Frame::Response { response, .. } => reserved(Ok(*response)).err().unwrap_or_default(),
                other => format!("{other:?}"),
            };
            return Err(BenchError::other(format!("a reservation was not made: {why}")));
        }
        self.reserved += 1;
        if self.measuring
            && let Some(begun) = self.lanes[lane].begun
        {
            self.ops += 1;
            self.latencies.record(now.saturating_duration_since(begun));
        }
        Ok(())
    }
}

fn request(draw: &mut Draw, caller: u64, count: u64, (skus, lines, sku_count, ttl_ms): (Skus, usize, u32, u32)) -> Request {
    let line = |number| ReserveLine { sku: sku(number), quantity: 1 };
    let lines = (0..lines).map(|at| line(if at == 0 && skus == Skus::Hot { 0 } else { draw.below(sku_count) })).collect();
    let op = Op::Reserve(Reservation {
        hold: HoldId(RawId((u128::from(now_ms()) << 80) | (u128::from(caller) << 48) | u128::from(count))),
        owner: OrderId(RawId(u128::from(caller))),
        location: LOCATION.to_owned(),
        lines,
        ttl_ms,
        partial: false,
    });
    Request { principal: WAREHOUSE, timeout_ms: TIMEOUT_MS, ..Request::system(op) }
}

#[expect(clippy::disallowed_methods, reason = "ids carry the time they were made")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn reserved(answer: Result<wire::Response, wire::CallError>) -> Result<(), String> {
    match answer {
        Ok(wire::Response { result: Ok(Body::Reserved(_)), replayed: false, .. }) => Ok(()),
        Ok(wire::Response { result: Err(Failure::Refused(refusal)), .. }) => Err(format!("{refusal:?}")),
        Ok(response) => Err(format!("{response:?}")),
        Err(error) => Err(error.to_string()),
    }
}

//! Callers in a closed loop, each with its own ids and its own draw of SKUs.
//!
//! Latency is from the moment the call is made: in a closed loop that is when the answer before it came.

use super::{
    Arguments, Skus,
    target::{Target, WAREHOUSE},
};
use crate::{draw::Draw, hiccup::Hiccups, server::BenchError};
use bench::report::Latencies;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use wire::{Body, Failure, HoldId, Op, OrderId, RawId, Request, Reservation, ReserveLine, SkuId};

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
    pub(super) latencies: Latencies,
    /// What the machine did to a thread that only slept.
    pub(super) hiccup_us: f64,
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
            let (cpu, begun) = (target.cpu_us()?, Instant::now());
            hiccups.reset();
            tally.measuring.set(true);
            tokio::time::sleep(Duration::from_secs_f64(arguments.seconds)).await;
            tally.measuring.set(false);
            let (cpu, seconds) = (target.cpu_us()?.saturating_sub(cpu), begun.elapsed().as_secs_f64());
            tally.ending.set(true);
            for caller in callers {
                caller.await.map_err(BenchError::other)?;
            }
            Ok::<_, BenchError>((cpu, seconds))
        })
        .await?;
    if let Some(why) = tally.failed.take() {
        return Err(BenchError::other(format!("a reservation was not made: {why}")));
    }
    let (cpu_us, seconds) = measured;
    let hiccup_us = hiccups.stop();
    Ok(Measured { hiccup_us, ops: tally.ops.get(), reserved: tally.reserved.get(), seconds, cpu_us, latencies: tally.latencies.take() })
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

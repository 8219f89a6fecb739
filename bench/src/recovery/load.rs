//! Requests at a fixed rate, whatever becomes of those before them: a shop's buyers do not wait for each other.
//!
//! Latency is counted from the moment a request was to be sent, so what waits behind a stall counts (Gil Tene's coordinated omission).
//! Bounds: [`IN_FLIGHT_MAX`] requests under way; more end the run, the rate was too high for the machine.

use super::corpus;
use crate::{
    client::Client,
    draw::Draw,
    server::{BenchError, Server},
};
use bench::report::Latencies;
use std::time::Duration;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until},
};

const IN_FLIGHT_MAX: usize = 4_096;
/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A product's page.
    Read,
    /// Twenty hits with facets.
    Search,
    /// A cart, made durable.
    Write,
}

pub(super) const KINDS: [(Kind, &str); 3] = [(Kind::Read, "read"), (Kind::Search, "search"), (Kind::Write, "write")];

/// What a while of load met.
pub(super) struct Met {
    pub(super) latencies: [(u64, Latencies); 3],
    pub(super) seconds: f64,
    pub(super) cpu_us: u64,
    pub(super) rss_mb_max: f64,
}

/// Sends `rate` requests a second until `until` is told of, or its sender is gone.
pub(super) async fn run(
    server: &Server,
    clients: &[Client],
    (rate, products): (u32, u64),
    mut until: oneshot::Receiver<()>,
) -> Result<Met, BenchError> {
    let mut draw = Draw::new(u64::from(rate));
    let mut latencies = KINDS.map(|_| (0_u64, Latencies::default()));
    let (begun, cpu) = (Instant::now(), server.cpu_us()?);
    let mut rss_mb_max = server.rss_mb()?;
    let (mut under_way, mut look, mut sent) = (JoinSet::new(), begun + LOOK, 0_u32);
    let mut note = |ended: Result<Result<(Kind, Duration), BenchError>, tokio::task::JoinError>| {
        let (kind, took) = ended.map_err(BenchError::other)??;
        let (count, of) = &mut latencies[KINDS.iter().position(|(known, _)| *known == kind).unwrap_or(0)];
        *count += 1;
        of.record(took);
        Ok::<_, BenchError>(())
    };
    loop {
        let due = begun + Duration::from_secs(1) * sent / rate;
        tokio::select! {
            biased;
            _ = &mut until => break,
            () = sleep_until(due) => {
                if under_way.len() >= IN_FLIGHT_MAX {
                    return Err(BenchError::other(format!("{IN_FLIGHT_MAX} requests wait for answers: {rate} a second are too many for this machine")));
                }
                let kind = match sent % 10 { 0 => Kind::Write, 1 | 2 => Kind::Search, _ => Kind::Read };
                under_way.spawn(request(clients[sent as usize % clients.len()].clone(), kind, target(kind, &mut draw, products), due));
                sent += 1;
            }
            Some(ended) = under_way.join_next() => note(ended)?,
        }
        if Instant::now() >= look {
            rss_mb_max = rss_mb_max.max(server.rss_mb()?);
            look = Instant::now() + LOOK;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        note(ended)?;
    }
    let cpu_us = server.cpu_us()?.saturating_sub(cpu);
    Ok(Met { latencies, seconds: begun.elapsed().as_secs_f64(), cpu_us, rss_mb_max })
}

fn target(kind: Kind, draw: &mut Draw, products: u64) -> String {
    match kind {
        Kind::Read => format!("/v1/products/key={}", corpus::key(u64::from(draw.below(u32::try_from(products).unwrap_or(u32::MAX))))),
        Kind::Search => format!("/v1/search?q={}&limit=20&facets=brand,price", corpus::query(draw)),
        Kind::Write => "/v1/carts".to_owned(),
    }
}

async fn request(mut client: Client, kind: Kind, path: String, due: Instant) -> Result<(Kind, Duration), BenchError> {
    let (method, body, wanted) = if kind == Kind::Write { ("POST", Some("{}".to_owned()), 201) } else { ("GET", None, 200) };
    let answer = client.send(method, &path, &[], body).await?;
    if answer.status.as_u16() != wanted {
        return Err(BenchError::other(format!("{} for {path}: {}", answer.status, String::from_utf8_lossy(&answer.body))));
    }
    Ok((kind, due.elapsed()))
}

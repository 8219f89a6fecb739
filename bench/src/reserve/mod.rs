//! Question: how many reservations a second does the engine make durable, at what cost and latency, and does one hot SKU make it slower?
//!
//! Path: [`Arguments`] → an engine with stock, in this process (`log`) or as a program of its own (`quic`) → [`load`], a closed loop of
//! `connections × pipeline` callers → one [`Case`]. Afterwards the engine is asked to prove its stock identity, then ended like a crash and its log
//! replayed; every acknowledged reservation must be in both: a rate without that would be worthless. After millions the log alone proves it.
//!
//! Estimate first: a reservation of three lines is three rows (two cache misses each), a hold and an id, some 0.4 us; its record is 136
//! bytes in the log, so a 64 KiB write of 70 us carries 480 of them; passing a call between two threads and back costs 0.3 to 0.5 us, QUIC a packet
//! each way and two system calls, 5 to 8 us. With few callers the disk's write time bounds the rate, with many the CPU.

mod load;
mod target;

use crate::{
    hiccup::{Hiccups, Worst},
    node::Node,
    server::BenchError,
};
use bench::report::{Case, HEADING};
use clap::{Args, ValueEnum};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::path::PathBuf;

/// How a reservation reaches the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// A call within the process, through the log.
    Log,
    /// The engine's wire protocol, from another process.
    Quic,
}

/// Which SKUs are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Skus {
    /// Every SKU as often as another.
    Uniform,
    /// One line of each reservation is always the same SKU.
    Hot,
}

/// What `reserve` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How reservations reach the engine
    #[arg(long, value_enum, default_value_t = Transport::Log)]
    pub(crate) transport: Transport,
    /// Callers; over QUIC each has a connection of its own
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Reservations each caller has under way
    #[arg(long, default_value_t = 1)]
    pub(crate) pipeline: usize,
    /// Over QUIC: call through the client library, as a gateway does, and not through the lean connections of the load
    #[arg(long)]
    pub(crate) library: bool,
    /// Which SKUs are wanted
    #[arg(long, value_enum, default_value_t = Skus::Uniform)]
    pub(crate) skus: Skus,
    /// Lines of a reservation
    #[arg(long, default_value_t = 3)]
    pub(crate) lines: usize,
    /// SKUs in stock
    #[arg(long, default_value_t = 100_000)]
    pub(crate) sku_count: u32,
    /// Measured time, after a tenth of it as warm-up
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// A reservation falls back after this long, milliseconds
    #[arg(long, default_value_t = 600_000)]
    pub(crate) ttl_ms: u32,
    /// Over QUIC: nodes of a cluster, of which the one is asked that leads the stock's partition
    #[arg(long, default_value_t = 1)]
    pub(crate) nodes: usize,
    /// The program to measure over QUIC
    #[arg(long, default_value = "target/release/emporion")]
    pub(crate) program: PathBuf,
    /// Folder to make the data folder in [default: the system's for temporary files]
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Core of the shard, and cores of the load: `0,1` [default: the first that may be used, and the others]
    #[arg(long, value_delimiter = ',')]
    pub(crate) cpus: Vec<usize>,
}

impl Arguments {
    /// Those that are named, or that may be used.
    fn cores(&self) -> Result<Vec<usize>, BenchError> {
        if !self.cpus.is_empty() {
            return Ok(self.cpus.clone());
        }
        let allowed = sched_getaffinity(None).map_err(BenchError::other)?;
        Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect())
    }

    /// Where the shard and the load run. A shard stays on its core and does not leave it to others while it has work; a load that the scheduler puts
    /// there, as it likes to with whoever is woken from there, has the two take turns.
    fn places(&self) -> Result<(Option<usize>, CpuSet), BenchError> {
        let allowed = sched_getaffinity(None).map_err(BenchError::other)?;
        let cores = self.cores()?;
        let [shard, others @ ..] = &cores[..] else { return Ok((None, allowed)) };
        let mut load = CpuSet::new();
        others.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| load.set(*cpu));
        Ok((Some(*shard), if load.count() == 0 { allowed } else { load }))
    }
}

/// Stocks a node and reserves so often at least; the node goes on with the reservations in its log.
pub(crate) async fn fill(node: Node, skus: u32, count: u64) -> Result<(Node, u64), BenchError> {
    const CONNECTIONS: usize = 16;
    const PIPELINE: usize = 16;
    let swarm = node.swarm(CONNECTIONS, PIPELINE)?;
    let target = target::Target::of(node, skus).await?;
    let made = load::fill(swarm, CONNECTIONS * PIPELINE, skus, count)?;
    match target {
        target::Target::Quic { node, .. } => Ok((*node, made)),
        target::Target::Log { .. } => unreachable!("made of a node"),
    }
}

/// Runs the case and prints it.
pub(crate) async fn run(arguments: &Arguments, json: bool) -> Result<(), BenchError> {
    if arguments.connections == 0 || arguments.pipeline == 0 || !(1..=wire::limits::RESERVE_LINES_MAX).contains(&arguments.lines) {
        return Err(BenchError::other("at least one connection, one in the pipeline, and 1 to 256 lines"));
    }
    if arguments.nodes == 0 || (arguments.nodes > 1 && arguments.transport == Transport::Log) {
        return Err(BenchError::other("at least one node, and more than one over --transport quic only"));
    }
    let folder = match &arguments.data {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(BenchError::io("temporary folder"))?;
    // Before the engine, whose threads are those that come later.
    let hiccups = Hiccups::start(folder.path()).map_err(BenchError::io("folder for the data"))?;
    let data = folder.path().join("data");
    let (shard, load) = arguments.places()?;
    let target = target::Target::start(arguments, shard, &data).await?;
    sched_setaffinity(None, &load).map_err(BenchError::other)?;
    let measured = match target.swarm(arguments)? {
        Some(swarm) => load::run_swarm(arguments, &target, swarm, hiccups)?,
        None => load::run(arguments, &target, hiccups).await?,
    };
    target.prove(arguments, measured.reserved).await?;
    let name = format!(
        "reserve/{}/{}/c{}/p{}{}",
        if arguments.transport == Transport::Log { "log" } else { "quic" },
        if arguments.skus == Skus::Hot { "hot" } else { "uniform" },
        arguments.connections,
        arguments.pipeline,
        if arguments.nodes > 1 { format!("/n{}", arguments.nodes) } else { String::new() }
    );
    let case = Case::plain(&name, measured.ops, measured.seconds, Some(measured.cpu_us), Some(target.rss_mb()?)).with(&measured.latencies);
    if arguments.nodes > 1 {
        // Up to where its log is committed a node knows from the others: it alone would prove too little.
        let followers = measured.followers_cpu_us.iter().enumerate();
        let followers = followers
            .map(|(at, cpu_us)| Case::plain(&format!("{name}/follower-{}", at + 1), measured.ops, measured.seconds, Some(*cpu_us), None));
        let cases: Vec<Case> = std::iter::once(case).chain(followers).collect();
        if !json {
            println!("{HEADING}");
        }
        cases.iter().for_each(|case| println!("{}", if json { case.json() } else { case.row() }));
        return Ok(());
    }
    let log = target.replay(&data, arguments, measured.reserved)?;
    let per_entry = |of: f64| of / log.entries.max(1) as f64;
    let log_bytes = per_entry(log.bytes as f64);
    let Worst { sleep_us, write_us } = measured.machine;
    let case = Case { hiccup_us: Some(sleep_us), write_hiccup_us: Some(write_us), log_bytes_per_entry: Some(log_bytes), ..case };
    if json {
        println!("{}", case.json());
    } else {
        println!("{HEADING}\n{}", case.row());
        println!(
            "{log_bytes:.0} bytes of log a reservation, padding included, and {:.2} us to replay it on one core; a thread that only slept was up to {sleep_us:.0} us late, and one that \
             wrote a block now and then waited up to {write_us:.0} us for the disk",
            per_entry(log.replay_seconds * 1e6)
        );
    }
    Ok(())
}

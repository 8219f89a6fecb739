//! Questions: what do requests notice of a large shop's snapshot, and how long does its start take after a crash?
//!
//! Path: [`corpus`] → `emporion import` into a shop of its own → [`load`] at a fixed rate, alone and while a snapshot of everything is made → records of
//! reservations behind the snapshot → a kill → the start, until the shop is ready, index included → one search, to prove that.
//!
//! Estimate first: a million products are 1 GB of snapshot. Written beside the work, 64 KiB a turn of 60 us each, that is a second of the shard's time and
//! as much of the disk's. A start reads that GB (half a second from a fast disk), makes twenty allocations a product of it (4 us), reads the index's
//! files beside it, and replays a million records at 1 us: 5 s on a core where all is as it should be.

mod corpus;
mod load;

use crate::{
    client::Client,
    node::Node,
    reserve,
    server::{BenchError, Server},
};
use bench::report::{Case, HEADING};
use load::{KINDS, Met};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

/// SKUs of the reservations.
const SKUS: u32 = 100_000;
/// How often the shop is asked whether its snapshots are made.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What `recovery` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Products of the shop
    #[arg(long, default_value_t = 1_000_000)]
    products: u64,
    /// Reservations in the log behind the snapshot
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Requests a second: seven in ten read a product, two search, one makes a cart
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// How long the load runs before the snapshot, seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Starts measured; the first is after the kill, the others after another one
    #[arg(long, default_value_t = 3)]
    starts: u32,
    /// The program to measure
    #[arg(long, default_value = "target/release/emporion")]
    program: PathBuf,
    /// Folder to make the data folder in [default: the system's for temporary files]
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Runs every case and prints it.
pub(crate) async fn run(arguments: &Arguments, json: bool) -> Result<(), BenchError> {
    if arguments.rate == 0 || arguments.products == 0 || arguments.products > u64::from(u32::MAX) {
        return Err(BenchError::other("at least one request a second and one product"));
    }
    let folder = match &arguments.data {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(BenchError::io("temporary folder"))?;
    let (data, lines) = (folder.path().join("data"), folder.path().join("products.ndjson"));
    let print = |case: Case| println!("{}", if json { case.json() } else { case.row() });
    if !json {
        println!("{HEADING}");
    }
    corpus::write(&lines, arguments.products)?;
    let mut server = start(&arguments.program, &data)?;
    print(import(arguments, &server, &data, &lines)?);
    settle(&server).await?;

    let clients = connect(&server).await?;
    let quiet = at_rest(arguments, &server, &clients).await?;
    let (during, snapshot) = snapshot(arguments, &server, &clients).await?;
    for (met, name) in [(&quiet, "quiet"), (&during, "snapshot")] {
        cases(met, name).into_iter().for_each(print);
    }
    print(snapshot);
    drop(clients);

    let (node, made) = reserve::fill(Node::of(server)?, SKUS, arguments.records).await?;
    server = node.into_server();
    for number in 0..arguments.starts {
        server.kill()?;
        server = start(&arguments.program, &data)?;
        let name = format!("recovery/start-{}", number + 1);
        let entries = arguments.products + made;
        print(Case::plain(&name, entries, server.started_in.as_secs_f64(), Some(server.cpu_us()?), Some(server.rss_mb()?)));
        proves_itself(&server, arguments.products).await?;
    }
    Ok(())
}

fn start(program: &Path, data: &Path) -> Result<Server, BenchError> {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--per-address", "0"];
    Server::run(program, data, &[&serve[..], &["--wire-listen", "127.0.0.1:0", "--shards", "1"]].concat())
}

async fn connect(server: &Server) -> Result<Vec<Client>, BenchError> {
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::connect(&server.found).await?);
    }
    Ok(clients)
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
fn import(arguments: &Arguments, server: &Server, data: &Path, lines: &Path) -> Result<Case, BenchError> {
    let (begun, cpu) = (std::time::Instant::now(), server.cpu_us()?);
    let import = Command::new(&arguments.program).args(["import", "--data"]).arg(data).arg(lines).stdout(Stdio::null()).status();
    let status = import.map_err(BenchError::io("start the import"))?;
    if !status.success() {
        return Err(BenchError::other(format!("the import ended with {status}")));
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Case::plain("recovery/import", arguments.products, seconds, Some(server.cpu_us()? - cpu), Some(server.rss_mb()?)))
}

/// Waits until what the import left to do in the background is done: the shop takes no more than a tenth of a core for two seconds.
async fn settle(server: &Server) -> Result<(), BenchError> {
    const LOOK: Duration = Duration::from_secs(2);
    const LOOKS_MAX: usize = 150;
    for _ in 0..LOOKS_MAX {
        let before = server.cpu_us()?;
        sleep(LOOK).await;
        if u128::from(server.cpu_us()? - before) < LOOK.as_micros() / 10 {
            return Ok(());
        }
    }
    Err(BenchError::other(format!("the shop is still busy {} s after the import", LOOK.as_secs() * LOOKS_MAX as u64)))
}

async fn at_rest(arguments: &Arguments, server: &Server, clients: &[Client]) -> Result<Met, BenchError> {
    let (end, until) = oneshot::channel();
    let time = Duration::from_secs(arguments.seconds);
    let timer = async {
        sleep(time).await;
        // The load ended by an error, which is told.
        let _ = end.send(());
    };
    let (met, ()) = tokio::join!(load::run(server, clients, (arguments.rate, arguments.products), until), timer);
    met
}

/// The same load from the moment a snapshot of everything is wanted until all are made.
#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
async fn snapshot(arguments: &Arguments, server: &Server, clients: &[Client]) -> Result<(Met, Case), BenchError> {
    let (end, until) = oneshot::channel();
    let mut operator = Client::connect(&server.found).await?;
    let token = std::fs::read_to_string(&server.found.token_file).map_err(BenchError::io("the token's file"))?;
    let bearer = format!("Bearer {}", token.trim());
    let make = async {
        // Dropped at an error too, which ends the load.
        let end = end;
        let (begun, headers) = (std::time::Instant::now(), [("authorization", bearer.as_str())]);
        let mut answer = operator.send("POST", "/v1/admin/snapshots", &headers, Some("{}".to_owned())).await?.json()?;
        let wanted = answer["due"].as_u64().ok_or_else(|| BenchError::other(format!("no snapshots are promised: {answer}")))?;
        while answer["due"] != 0 {
            if !answer["failure"].is_null() {
                return Err(BenchError::other(format!("a snapshot failed: {answer}")));
            }
            sleep(ASK_AGAIN).await;
            answer = operator.send("GET", "/v1/admin/snapshots", &headers, None).await?.json()?;
        }
        drop(end);
        Ok((wanted, begun.elapsed().as_secs_f64()))
    };
    let (met, made) = tokio::join!(load::run(server, clients, (arguments.rate, arguments.products), until), make);
    let (wanted, seconds) = made?;
    Ok((met?, Case::plain("recovery/partitions", wanted, seconds, None, Some(server.rss_mb()?))))
}

fn cases(met: &Met, name: &str) -> Vec<Case> {
    let all: u64 = met.latencies.iter().map(|(count, _)| count).sum();
    let each = KINDS.iter().zip(&met.latencies).map(|((_, kind), (count, latencies))| {
        // The server's time is not told apart by kind.
        let cpu_us = met.cpu_us * count / all.max(1);
        Case::plain(&format!("recovery/{name}/{kind}"), *count, met.seconds, Some(cpu_us), Some(met.rss_mb_max)).with(latencies)
    });
    each.collect()
}

/// The index has everything: a search for what every product has finds all of them.
async fn proves_itself(server: &Server, products: u64) -> Result<(), BenchError> {
    let mut client = Client::connect(&server.found).await?;
    let answer = client.send("GET", "/v1/search?limit=1&total=true", &[], None).await?.json()?;
    let total = answer["total"].as_u64();
    if total == Some(products) { Ok(()) } else { Err(BenchError::other(format!("the search finds {total:?} of {products} products"))) }
}

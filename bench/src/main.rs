//! Measures Emporion from outside: `cargo run --release -p bench -- shop`.
//!
//! Path: [`server`] starts the real program on a folder of its own → [`client`] speaks HTTP/3 to it → [`shop`] runs the cases → [`bench::report`] prints
//! them. CPU time is the server's, read from `/proc`; the load's own is apart. Results with their conditions are in `RESULTS.md`.

mod client;
mod draw;
mod hiccup;
mod ledger;
mod node;
mod recovery;
mod reserve;
mod search;
mod server;
mod shop;
mod swarm;
mod through;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures Emporion from outside")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// One JSON object a line instead of a table
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// A whole shop over HTTP/3: import, product reads, searches, checkouts, memory, restart
    Shop(ShopArguments),
    /// The stock ledger alone: both makes, hot and uniform, readers, expiry
    Ledger(ledger::Arguments),
    /// Stock reservations: durable, in process or over QUIC
    Reserve(reserve::Arguments),
    /// The search index alone: queries, changes, build, memory, and how good the answers are
    Search(search::Arguments),
    /// The same searches of the index alone and through the engine
    Through(through::Arguments),
    /// A large shop: requests while it is snapshotted, and its start after a crash
    Recovery(recovery::Arguments),
}

/// What `shop` takes.
#[derive(clap::Args)]
struct ShopArguments {
    /// The program to measure
    #[arg(long, default_value = "target/release/emporion")]
    program: PathBuf,
    /// Products in the shape of icecat: JSON lines, gzip or plain
    #[arg(long, default_value = "../shared/data/icecat/products.jsonl.gz")]
    products: PathBuf,
    /// Queries: tab-separated, the text in the second column, a heading line
    #[arg(long, default_value = "../shared/data/icecat/queries_dev.tsv")]
    queries: PathBuf,
    /// Operations of each case
    #[arg(long, default_value_t = 5_000)]
    ops: u64,
    /// Requests in flight; each waits for its answer before the next (closed loop)
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let outcome = match arguments.command {
        Command::Shop(shop) => runtime.block_on(shop::run(&shop, arguments.json)),
        Command::Ledger(ledger) => ledger::run(&ledger, arguments.json),
        Command::Search(search) => search::run(&search, arguments.json),
        Command::Through(through) => runtime.block_on(through::run(&through, arguments.json)),
        Command::Recovery(recovery) => runtime.block_on(recovery::run(&recovery, arguments.json)),
        Command::Reserve(reserve) => runtime.block_on(reserve::run(&reserve, arguments.json)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("bench: {why}");
    ExitCode::FAILURE
}

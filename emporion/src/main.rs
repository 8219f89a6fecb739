//! The `emporion` program: command line, configuration, and the parts put together.
//!
//! Path: [`cli`] → one module a subcommand: [`serve`] (engine, gateway and adapters in one process), [`node`] (an engine alone), [`parts`] (gateway and adapters
//! alone), [`cluster`] (who belongs together), [`import`], [`token`], [`snapshot`], [`verify`], [`dump`].
//! Read first: [`cli::Command`], then [`serve::run`]. Exit codes: 0 done, 1 failed, 2 usage; an error is one line on standard error.
//! Deliberately absent: rules of the shop. Those are the engine's; the HTTP contract is the gateway's.
#![forbid(unsafe_code)]

mod address;
mod certificates;
mod cli;
mod cluster;
mod demo;
mod dump;
mod edge;
mod fail;
mod files;
mod import;
mod invitation;
mod keys;
mod link;
mod logging;
mod node;
mod parts;
mod running;
mod serve;
mod shop;
mod snapshot;
mod token;
mod verify;

use std::process::ExitCode;

/// Shards and gateway allocate on many threads at once, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = cli::parse().and_then(|command| match command {
        cli::Command::Serve(args) => serve::run(&args),
        cli::Command::Engine(args) => node::run(&args),
        cli::Command::Gateway(args) => parts::gateway::run(&args),
        cli::Command::Adapter(args) => parts::adapter::run(&args),
        cli::Command::Cluster(command) => cluster::run(&command),
        cli::Command::Import(args) => import::run(args),
        cli::Command::Token(args) => token::run(&args),
        cli::Command::Snapshot(args) => snapshot::run(&args),
        cli::Command::Verify(args) => verify::run(&args),
        cli::Command::Log(cli::LogCommand::Dump(args)) => dump::run(&args),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            if !fail.is_told() {
                eprintln!("emporion: {fail}");
            }
            fail.code()
        }
    }
}

//! `emporion cluster`: which processes are one shop.
//!
//! Path of a cluster: [`init`] makes a folder's engine the first node → [`invite`] at any node → [`join`] makes the folder of a further one, which a running node has given
//! its number. [`status`] and [`change`] ask the running nodes as an operator ([`operator`]).
//! Deliberately absent: who leads, votes or holds what. The nodes see to that by themselves.

pub(crate) mod args;
mod change;
mod init;
mod invite;
mod join;
mod operator;
mod status;

use crate::fail::Fail;
use args::ClusterCommand;
use tokio::runtime::{Builder, Runtime};
use wire::NodeStanding;

pub(crate) fn run(command: &ClusterCommand) -> Result<(), Fail> {
    match command {
        ClusterCommand::Init(args) => init::run(args),
        ClusterCommand::Invite(args) => invite::run(args),
        ClusterCommand::Join(args) => join::run(args),
        ClusterCommand::Status(args) => status::run(args),
        ClusterCommand::Drain(args) => change::stand(args, NodeStanding::Draining),
        ClusterCommand::Resume(args) => change::stand(args, NodeStanding::Active),
        ClusterCommand::Remove(args) => change::stand(args, NodeStanding::Removed),
        ClusterCommand::Move(args) => change::place(args),
    }
}

/// What a command that asks running nodes runs on.
fn runtime() -> Result<Runtime, Fail> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Fail::Failed(format!("no thread for the network: {error}")))
}

//! `emporion cluster`: which processes are one shop.
//!
//! One file a subcommand: [`invite`].

mod invite;

use crate::{cli::ClusterCommand, fail::Fail};

pub(crate) fn run(command: &ClusterCommand) -> Result<(), Fail> {
    match command {
        ClusterCommand::Invite(args) => invite::run(args),
    }
}

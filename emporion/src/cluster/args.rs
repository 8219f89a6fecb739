//! Options of `cluster`. The words here are the contract with people and scripts.

use crate::{address::Address, cli::DATA, invitation::Kind};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What can be done with the parts of a shop.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make the engine of a folder the first node of a cluster.
    Init(InitArgs),
    /// Write an invitation, for a gateway or payment adapters elsewhere, or for another node.
    Invite(InviteArgs),
    /// Make the folder of a further node, from an invitation.
    Join(JoinArgs),
    /// Tell which nodes there are, whether they run, and what each leads; exit code 1 when a node is down or a partition has no leader.
    Status(StatusArgs),
    /// Have a node hand over what it leads, before it is stopped for long or removed.
    Drain(NodeArgs),
    /// Have a drained node vote and lead again.
    Resume(NodeArgs),
    /// Take a node out for good.
    Remove(NodeArgs),
    /// Say where a node is from now on.
    Move(MoveArgs),
}

/// Where a node is.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// What people call the node; no two of a cluster have the same.
    #[arg(long)]
    pub(crate) name: String,
    /// Where clients and other nodes reach its shard 0; shard n is at the port n after it.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Address,
    /// What fails together, such as a rack or a data centre: voters are spread over zones.
    #[arg(long, value_name = "ZONE", default_value = "main")]
    pub(crate) zone: String,
    /// Where it is: nodes of the first node's region vote, those of others only follow.
    #[arg(long, value_name = "REGION", default_value = "main")]
    pub(crate) region: String,
}

impl PlaceArgs {
    pub(crate) fn place(&self) -> engine::node::Place {
        let Self { name, address, zone, region } = self;
        engine::node::Place { name: name.clone(), address: address.to_string(), zone: zone.clone(), region: region.clone() }
    }
}

const INIT_HELP: &str = "\
The folder may be new, or that of a shop that ran alone: what is in it stays. No engine may be running on it.

Example:
  emporion cluster init --data /var/lib/shop --name a --address 10.0.0.1:7443
  emporion engine --data /var/lib/shop";

/// Options of `cluster init`.
#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct InitArgs {
    /// Folder of the node.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const JOIN_HELP: &str = "\
A running node of the cluster is asked for a number; then the folder is made, without data: the node gets that from the others once it runs. Interrupted, \
repeat the command. A name that a node had which is down is taken over from it: that node never comes back.

Example:
  emporion cluster join --data /var/lib/shop --invitation node.json --name b --address 10.0.0.2:7443
  emporion engine --data /var/lib/shop";

/// Options of `cluster join`.
#[derive(Debug, Args)]
#[command(after_help = JOIN_HELP)]
pub(crate) struct JoinArgs {
    /// Folder of the new node, made when it is not there.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    /// From `emporion cluster invite --for node` at a node.
    #[arg(long, value_name = "FILE")]
    pub(crate) invitation: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Engine threads it will be started with [default: half of the cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) shards: Option<u16>,
}

/// Options of `cluster status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Folder of a node of the cluster; any node that runs is asked.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    /// Tell it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which node a command is about.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Its name or number.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// Folder of a node of the cluster; any node that runs is asked.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
}

/// Options of `cluster move`.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    #[command(flatten)]
    pub(crate) of: NodeArgs,
    /// Where clients and other nodes reach its shard 0.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<Address>,
    /// What fails together.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Where it is.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
}

const INVITE_HELP: &str = "\
The file holds secrets: who has it is let in by the engines. Carry it as you would a password, and remove it once it was used. Its certificate is good for a \
year; a part that was given a newer invitation takes that. The folder may be that of a running engine.

Examples:
  emporion cluster invite --data /var/lib/shop --for gateway --name web-1 --out web-1.json
  emporion cluster invite --data /var/lib/shop --for adapter --engine node-1.example:7443 > pay.json";

/// Options of `cluster invite`.
#[derive(Debug, Args)]
#[command(after_help = INVITE_HELP)]
pub(crate) struct InviteArgs {
    /// Folder of an engine's data.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    /// Whom it is for.
    #[arg(long = "for", value_name = "WHOM", value_enum)]
    pub(crate) kind: Kind,
    /// What it is called among those of its kind: of a-z 0-9 - . _ [default: the kind].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where engines are for its bearer, shard 0 of each [default: where the folder's engine listens].
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(crate) engine: Vec<Address>,
    /// Write it here, where nothing may be [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

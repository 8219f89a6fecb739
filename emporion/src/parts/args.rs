//! Options of `gateway` and `adapter`. The words here are the contract with people and scripts.

use crate::{address::Address, edge::EdgeSettings};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Options of a part of the shop that asks engines elsewhere.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    /// Where engines are, shard 0 of each; others of their cluster are found by themselves [default: those that the invitation names].
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(crate) engine: Vec<Address>,
    /// Folder of its own, made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// What it must know of the shop, from `emporion cluster invite`; kept in the folder, so that later starts need none.
    #[arg(long, value_name = "FILE")]
    pub(crate) invitation: Option<PathBuf>,
}

const GATEWAY_HELP: &str = "\
It may be started before its engines: it listens, answers 503 at /readyz, and is ready when the first engine answers. It then learns of the others \
of a cluster, and follows as nodes come, go and lead. Two gateways of one shop are interchangeable: carts and tokens of one are good at the other. \
Ctrl-C or SIGTERM stops it in order.

Examples:
  emporion cluster invite --data /var/lib/shop --for gateway --name web-1 --out web-1.json
      At an engine.

  emporion gateway --data /var/lib/web-1 --invitation web-1.json --listen 0.0.0.0:443
      On the gateway's machine, once; later starts need no --invitation.

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage.";

/// Options of `gateway`.
#[derive(Debug, Args)]
#[command(after_help = GATEWAY_HELP)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
    #[command(flatten)]
    pub(crate) edge: EdgeSettings,
    /// Ask a second node for a search or another read that any node can answer, when the first takes longer than so many milliseconds; one in ten at most
    /// [default: never].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hedge_ms: Option<u32>,
}

impl GatewayArgs {
    pub(crate) fn hedge(&self) -> Option<Duration> {
        self.hedge_ms.map(|ms| Duration::from_millis(ms.into()))
    }
}

const ADAPTER_HELP: &str = "\
It takes from the engines what they want of payment providers, and tells them what came of it. It may be started before they are. Of the sandbox, \
which keeps its books in the folder, run one.

Example:
  emporion cluster invite --data /var/lib/shop --for adapter --out pay.json
  emporion adapter --data /var/lib/pay --invitation pay.json

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage.";

/// Options of `adapter`.
#[derive(Debug, Args)]
#[command(after_help = ADAPTER_HELP)]
pub(crate) struct AdapterArgs {
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

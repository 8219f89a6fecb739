//! The command line. The words here are the contract with people and scripts; each subcommand's module does the work.
#![allow(rustdoc::bare_urls, reason = "clap shows these texts as they are, where angle brackets would be noise")]

use crate::{
    cluster::args::ClusterCommand,
    fail::Fail,
    parts::args::{AdapterArgs, GatewayArgs},
    serve::settings::{EngineSettings, Settings},
    token::{RoleName, Ttl},
};
use clap::{Args, Parser, Subcommand, ValueEnum, error::ErrorKind};
use std::{net::SocketAddr, path::PathBuf};

/// Where data is kept unless told otherwise.
pub(crate) const DATA: &str = "./emporion-data";

/// Emporion: a shop in one program. Catalog, search, stock, carts and orders in memory, every change in a durable log.
#[derive(Debug, Parser)]
#[command(name = "emporion", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "A first shop:\n  emporion serve --demo\n\nEach subcommand has its own page: `emporion serve --help`.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a shop: engine, web server and payment adapter in this process.
    Serve(Box<ServeArgs>),
    /// Run an engine alone, asked over the engine link by gateways elsewhere or by programs that only reserve stock.
    Engine(EngineArgs),
    /// Run a web server for engines elsewhere; it keeps nothing of the shop, and several are alike.
    Gateway(GatewayArgs),
    /// Run the payment adapters for engines elsewhere.
    Adapter(AdapterArgs),
    /// Make several engines one shop, invite gateways and payment adapters to it, and see how it is.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Send products, categories and stock to a running shop.
    Import(ImportArgs),
    /// Print a token for a member of staff.
    Token(TokenArgs),
    /// Have a running shop make snapshots now, so that its next start is quick.
    Snapshot(SnapshotArgs),
    /// Check a data folder that no shop is running on; exit code 1 if it is damaged.
    Verify(VerifyArgs),
    /// Look into the log of a data folder that no shop is running on.
    #[command(subcommand)]
    Log(LogCommand),
}

/// What can be done with a log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the entries of a partition, a JSON object a line.
    Dump(DumpArgs),
}

const SERVE_HELP: &str = "\
The first start makes the data folder, a certificate authority for development, and an admin token, and prints where they are. \
The same address answers HTTP/3, HTTP/2 and HTTP/1.1, always encrypted. Ctrl-C or SIGTERM stops the shop in order; even a \
power cut loses nothing that was acknowledged.

Examples:
  emporion serve --demo
      A shop at https://127.0.0.1:8443 with 10,000 invented products, to look around.

  curl --cacert emporion-data/dev-ca.pem 'https://127.0.0.1:8443/v1/search?q=lamp&limit=3'
      Search it.

  emporion import products.ndjson
      Send your own products, from another terminal in the same folder.

  emporion serve --data /var/lib/shop --listen 0.0.0.0:443 --admin-listen 127.0.0.1:9443
      Serve other machines, with the data elsewhere.

  emporion serve --config shop.toml
      The same words in a file: data = \"/var/lib/shop\", listen = \"0.0.0.0:443\", shards = 4

Environment:
  EMPORION_LOG   What is told on standard error: error, warn, info, debug, or by part: warn,engine=debug

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage.";

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP, args_override_self = true)]
pub(crate) struct ServeArgs {
    /// Read options from this TOML file; the command line goes before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

const ENGINE_HELP: &str = "\
Shard n listens on the UDP port n after the one named. Clients show certificates of the folder's own authority; those for this \
machine are in DIR/keys/link, and server.json names them.

Examples:
  emporion engine
      An engine at 127.0.0.1:7443 that keeps its data in ./emporion-data.

  emporion engine --data /var/lib/stock --wire-listen 10.0.0.7:7443 --shards 4

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage.";

/// Options of `engine`.
#[derive(Debug, Args)]
#[command(after_help = ENGINE_HELP)]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) settings: EngineSettings,

    /// Where shard 0 listens, UDP; port 0 takes free ones [default: 127.0.0.1:7443, a cluster's node where others reach it].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) wire_listen: Option<SocketAddr>,
}

/// Which running shop a command is for.
#[derive(Debug, Args)]
pub(crate) struct ShopArgs {
    /// Data folder of the running shop.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    /// Address of a shop elsewhere, such as https://shop.example:8443.
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub(crate) server: Option<String>,
    /// Certificate authority to trust, in PEM [default: the shop's own, or the system's with --server].
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// File with a token of a role that may do this [default: the shop's own, an admin's].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

const SNAPSHOT_HELP: &str = "\
A start reads the newest snapshots and the log behind them. The shop makes snapshots by itself when its log is longer than it may be; this makes one of \
everything that changed since, before a planned stop for example. The shop goes on meanwhile. Interrupting the command does not interrupt the shop: \
the snapshots are made all the same.

Examples:
  emporion snapshot
  emporion snapshot --data /var/lib/shop";

/// Options of `snapshot`.
#[derive(Debug, Args)]
#[command(after_help = SNAPSHOT_HELP)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

const IMPORT_HELP: &str = "\
Products are known by their key: sending a file again changes nothing and is quick, so after an interruption simply repeat the \
command. A line that cannot be taken is refused alone, with its number and reason on standard error; the exit code is then 1.

Examples:
  emporion import products.ndjson.gz
  emporion import --format icecat --stock 100 icecat.jsonl.gz
  emporion import --format csv --map Artikel=key,Name=title,Preis=price,Bestand=stock list.csv
  zcat export.gz | emporion import -";

/// Options of `import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct ImportArgs {
    /// What the files look like.
    #[arg(long, value_enum, default_value_t = Format::Emporion)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
    /// Opening stock of every variant at the location `main`; counts for new products only [default: 25 for icecat and bestbuy].
    #[arg(long, value_name = "N")]
    pub(crate) stock: Option<u32>,
    /// Put this before every product and variant key.
    #[arg(long, value_name = "P", default_value = "")]
    pub(crate) key_prefix: String,
    /// Columns of a CSV file and what they are: key, sku, title, description, brand, category, price (19.99), price_minor (1999), currency,
    /// barcode, image, popularity, margin, released, status, stock, location, attr.NAME, keyword.NAME, option.NAME. Unmapped columns with such a name count too.
    #[arg(long, value_name = "COLUMN=FIELD,…", value_delimiter = ',')]
    pub(crate) map: Vec<String>,
    /// Show at most so many refused lines.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) show_refused: u64,
    /// Files, plain or gzip; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// What an import file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON lines as POST /v1/admin/import takes them.
    Emporion,
    /// JSON lines of Icecat's product data.
    Icecat,
    /// JSON lines of Best Buy's product data.
    Bestbuy,
    /// Comma-separated values with a header line.
    Csv,
}

/// Options of `token`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  curl --cacert emporion-data/dev-ca.pem -H \"Authorization: Bearer $(emporion token --role warehouse)\" \\\n       https://127.0.0.1:8443/v1/admin/stock/key=1399"
)]
pub(crate) struct TokenArgs {
    /// What its bearer may do: support, merchandiser, warehouse or admin.
    #[arg(long)]
    pub(crate) role: RoleName,
    /// Data folder of the shop.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(crate) data: PathBuf,
    /// How long it is valid: 90s, 15m, 8h, 30d.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) ttl: Ttl,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The data folder.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

const DUMP_HELP: &str = "\
An answer's `Log-Position: 1.12:345` names entry 345 of partition 12. Personal fields are shown as what they are in the log: sealed. \
Entries that a snapshot made superfluous are no longer in the log.

Examples:
  emporion log dump emporion-data --partition 12 --from 345 --to 345
      The command behind an answer.

  emporion log dump emporion-data --partition 12 | jq -r .name | sort | uniq -c
      What kinds of commands a partition took.";

/// Options of `log dump`.
#[derive(Debug, Args)]
#[command(after_help = DUMP_HELP)]
pub(crate) struct DumpArgs {
    /// The data folder.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Whose entries.
    #[arg(long, value_name = "N")]
    pub(crate) partition: u16,
    /// The first entry to print.
    #[arg(long, value_name = "INDEX", default_value_t = 1)]
    pub(crate) from: u64,
    /// The last one [default: the newest].
    #[arg(long, value_name = "INDEX", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) to: u64,
}

/// Reads the command line; help and version are printed here.
pub(crate) fn parse() -> Result<Command, Fail> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is the reader's wish.
            let _ = error.print();
            Err(Fail::Help)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Fail::Usage(
            "say what to do: serve, engine, gateway, adapter, cluster, import, token, snapshot, verify or log; see `emporion --help`"
                .into(),
        )),
        _ => {
            let text = error.to_string();
            // Up to the usage page, which --help shows.
            let first = text.split("\n\nUsage:").next().unwrap_or_default().split("\n\nFor more").next().unwrap_or_default();
            let first = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
            Err(Fail::Usage(format!("{first}; see `emporion --help`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

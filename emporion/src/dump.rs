//! `emporion log dump`: what a partition's log says, a JSON object a line, changing nothing.

use crate::{cli::DumpArgs, fail::Fail};
use engine::{DumpError, Dumped};
use serde_json::json;
use std::io::{BufWriter, ErrorKind, Write, stdout};

pub(crate) fn run(args: &DumpArgs) -> Result<(), Fail> {
    let mut out = BufWriter::new(stdout().lock());
    let dumped = engine::dump(&args.dir, wire::PartitionId(args.partition), args.from..=args.to, |dumped| {
        serde_json::to_writer(&mut out, &line(&dumped))?;
        out.write_all(b"\n")
    });
    match dumped.and_then(|()| out.flush().map_err(DumpError::Out)) {
        // The reader has seen enough: `… | head`.
        Err(DumpError::Out(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Fail::of(&error)),
    }
}

/// An entry for people and for `jq`. A command is shown as the program prints it: its words may change from version to version.
fn line(dumped: &Dumped) -> serde_json::Value {
    let Dumped { index, time, bytes, entry, .. } = dumped;
    let at = i64::try_from(time.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string());
    match entry {
        Ok(entry) => {
            let command = format!("{:?}", entry.command);
            let name = command.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let key = entry.idempotency.as_ref().map(|idempotency| format!("{:032x}", idempotency.key));
            let trace = (entry.trace != 0).then(|| format!("{:032x}", entry.trace));
            json!({"index": index, "at": at, "bytes": bytes, "name": name, "command": command, "idempotency": key, "trace": trace})
        }
        Err(error) => json!({"index": index, "at": at, "bytes": bytes, "error": crate::fail::one_line(error)}),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Command, DumpArgs};
    use clap::Parser as _;

    #[test] // Each row: a command line, and what is shown.
    fn without_bounds_everything_is_shown() {
        for (line, shown) in [
            ("emporion log dump DIR --partition 3", Some((3, 1, u64::MAX))),
            ("emporion log dump DIR --partition 3 --from 7 --to 9", Some((3, 7, 9))),
            ("emporion log dump DIR", None),
        ] {
            let parsed = crate::cli::Cli::try_parse_from(line.split(' ')).ok().map(|cli| match cli.command {
                Command::Log(crate::cli::LogCommand::Dump(DumpArgs { partition, from, to, .. })) => (partition, from, to),
                other => panic!("{other:?}"),
            });
            assert_eq!(parsed, shown, "{line}");
        }
    }
}

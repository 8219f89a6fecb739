//! `emporion adapter`: payment adapters without an engine.
//!
//! Start: folder and invitation → the provider's books → an engine found → effects are taken from all shards there are. Stop: signal → effects under way end.
//! Several may run: an effect is leased to one of them, and what became of one whose adapter died is looked up. Each sandbox keeps books of its own, so run one of those.

use super::{Part, args::AdapterArgs};
use crate::{
    edge::{Signals, end_at_once_at},
    fail::Fail,
    invitation::Kind,
    logging,
    serve::SANDBOX,
};
use adapters::{PaymentAdapter, Runner, sandbox::Sandbox};
use std::{
    io::{Write as _, stdout},
    sync::Arc,
};
use wire::Client;

/// Runs the adapters until told to stop.
pub(crate) fn run(args: &AdapterArgs) -> Result<(), Fail> {
    logging::start()?;
    let part = Part::new(&args.part, Kind::Adapter, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("adapter")
        .enable_all()
        .build()
        .map_err(|error| Fail::Failed(format!("no thread for the adapters: {error}")))?;
    runtime.block_on(work(&part))
}

async fn work(part: &Part) -> Result<(), Fail> {
    let mut signals = Signals::new()?;
    let sandbox: Arc<dyn PaymentAdapter> = Arc::new(Sandbox::open(&part.folder.path.join(SANDBOX)).map_err(|error| Fail::of(&error))?);
    let client: Arc<dyn Client> = tokio::select! {
        client = part.engines.found() => Arc::new(client),
        () = signals.next() => return Ok(()),
    };
    let runner = Runner::start(&client, &[sandbox]);
    let mut out = stdout().lock();
    // A closed standard output is no reason to stop.
    let _ = writeln!(out, "Adapter is ready: {}\n\nCtrl-C stops it.", adapters::sandbox::NAME).and_then(|()| out.flush());
    drop(out);
    signals.next().await;
    tracing::info!("stopping: effects under way are finished; a second signal ends at once");
    end_at_once_at(signals);
    runner.stop().await;
    Ok(())
}

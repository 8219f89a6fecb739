//! `emporion engine`: an engine alone, asked over the engine link (`wire/PROTOCOL.md`).
//!
//! Start: link's certificates → engine (folder, lock, replay, ports) → the shop's other keys, for invitations → `server.json`, which says that it is ready.
//! Stop: signal → `server.json` removed → engine drained. Gateways and adapters are other processes; payments wait until an adapter connects.

use crate::{cli::EngineArgs, edge::Signals, fail::Fail, files, keys::ShopKeys, link, logging, running::Running, serve};
use engine::Engine;
use std::io::{Write as _, stdout};

/// Runs an engine until it is told to stop.
pub(crate) fn run(args: &EngineArgs) -> Result<(), Fail> {
    let settings = &args.settings;
    let mut config = settings.checked()?;
    logging::start()?;
    let (wire, link) = link::prepare(&settings.data(), args.wire_listen.unwrap_or(link::LISTEN), settings.shards)?;
    config.wire = Some(wire);
    let engine = Engine::open(config).map_err(|error| Fail::of(&error))?;
    serve::tell_cuts(&engine);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::Failed(format!("no thread that waits for signals: {error}")))?;
    let outcome = runtime.block_on(async {
        let data = settings.data();
        let data = data.canonicalize().map_err(|error| files::failed("found", &data, &error))?;
        Running::remove(&data);
        ShopKeys::prepare(&data)?;
        let mut signals = Signals::new()?;
        Running::of_engine(link.clone()).write(&data)?;
        let text =
            format!("Engine is ready at {}\n  clients' certificates  {}\n\nCtrl-C stops it.\n", link.address, link.certificate.display());
        let mut out = stdout().lock();
        // A closed standard output is no reason to stop.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        signals.next().await;
        Running::remove(&data);
        Ok(())
    });
    serve::stop(engine);
    outcome
}

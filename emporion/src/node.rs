//! `emporion engine`: an engine without a shop in front of it, alone or a node of a cluster, asked over the engine link (`wire/PROTOCOL.md`).
//!
//! Start: link's certificates → engine (folder, lock, replay, ports) → the shop's other keys, for invitations → `server.json`, which says that it is ready.
//! Stop: signal → `server.json` removed → engine drained. Gateways and adapters are other processes; payments wait until an adapter connects.

use crate::{cli::EngineArgs, edge::Signals, fail::Fail, files, keys::ShopKeys, link, logging, running::Running, serve};
use engine::{Engine, node::NodeFile};
use std::{
    io::{Write as _, stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Runs an engine until it is told to stop.
pub(crate) fn run(args: &EngineArgs) -> Result<(), Fail> {
    let settings = &args.settings;
    let mut config = settings.checked()?;
    logging::start()?;
    let data = settings.data();
    let node = NodeFile::read(&data).map_err(|error| Fail::of(&error))?;
    let listen = match (args.wire_listen, &node) {
        (Some(listen), _) => listen,
        (None, Some(node)) => where_to_listen(&node.place.address)?,
        (None, None) => link::LISTEN,
    };
    let (wire, link) = link::prepare(&data, listen, settings.shards, node.map(|node| node.node))?;
    config.wire = Some(wire);
    let engine = Engine::open(config).map_err(|error| Fail::of(&error))?;
    serve::tell_cuts(&engine);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::Failed(format!("no thread that waits for signals: {error}")))?;
    let outcome = runtime.block_on(async {
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

/// Where a node listens that others reach at `address`: there, or on all addresses of this machine where that is a name, which others may see otherwise.
fn where_to_listen(address: &str) -> Result<SocketAddr, Fail> {
    let port = || address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let listen = address.parse().ok().or_else(|| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port()?)));
    listen.ok_or_else(|| Fail::Failed(format!("the node's address {address} has no port: say where to listen with --wire-listen")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_listens_where_it_is_reached() {
        for (address, listen) in [("10.0.0.7:7443", "10.0.0.7:7443"), ("[::1]:7443", "[::1]:7443"), ("node-1.example:7443", "0.0.0.0:7443")]
        {
            assert_eq!(where_to_listen(address).map(|listen| listen.to_string()), Ok(listen.to_owned()));
        }
        assert!(where_to_listen("node").is_err());
    }
}

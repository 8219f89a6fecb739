//! `emporion gateway`: a web server without an engine.
//!
//! Start: folder and invitation → ports, which answer that the shop is not ready → an engine found → `server.json`, which says that it is. Stop: signal →
//! `server.json` removed → drained. Several are alike: tokens of one are good at the others, and their certificates come from one authority.

use super::{Part, args::GatewayArgs};
use crate::{
    edge::{self, Bound, Secrets, Signals},
    fail::Fail,
    invitation::{ForGateway, Guest, Kind},
    logging,
    running::Running,
    serve::WORKERS_MIN,
};
use gateway::VerifyingKey;
use std::{
    future::pending,
    io::{Write as _, stdout},
    path::PathBuf,
    sync::Arc,
    thread::available_parallelism,
};
use wire::Client;

/// Runs a gateway until it is told to stop.
pub(crate) fn run(args: &GatewayArgs) -> Result<(), Fail> {
    logging::start()?;
    let part = Part::new(&args.part, Kind::Gateway, args.hedge())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(WORKERS_MIN, usize::from).max(WORKERS_MIN))
        .thread_name("gateway")
        .enable_all()
        .build()
        .map_err(|error| Fail::Failed(format!("no threads for the gateway: {error}")))?;
    let outcome = runtime.block_on(serve(args, &part));
    // Connections that outlived the drain do not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: &GatewayArgs, part: &Part) -> Result<(), Fail> {
    let (data, engines) = (&part.folder.path, &part.engines);
    // Before anybody may wait for it: what a crash left behind is not this gateway.
    Running::remove(data);
    let signals = Signals::new()?;
    let client: Arc<dyn Client> = Arc::new(engines.clone());
    let Bound { gateway, ca } = edge::bind(&args.edge, data, &secrets(&part.folder.invitation.guest)?, &client)?;
    let running = Running {
        url: edge::url(gateway.address()),
        ca,
        token_file: PathBuf::new(),
        pid: std::process::id(),
        admin_url: gateway.admin_address().map(edge::url),
        wire: None,
    };
    tracing::info!("listening at {}; not ready before an engine is found", running.url);
    let beside = async {
        engines.found().await;
        running.write(data)?;
        announce(&running);
        pending().await
    };
    edge::serve(gateway, data, signals, beside).await
}

fn secrets(guest: &Guest) -> Result<Secrets, Fail> {
    let other = || Fail::Failed("the invitation has no key that proves staff tokens: give one that is for a gateway".into());
    match guest {
        Guest::Gateway(ForGateway { staff, cart, edge: _ }) => {
            Ok(Secrets { staff: VerifyingKey::from_bytes(&staff.0).ok_or_else(other)?, cart: cart.0 })
        }
        Guest::Adapter {} | Guest::Node(_) => Err(other()),
    }
}

/// Tells people where everything is. A closed standard output is no reason to stop.
fn announce(running: &Running) {
    let Running { url, ca, admin_url, .. } = running;
    let admin = admin_url.as_ref().map_or_else(|| "off".to_owned(), |url| format!("{url}/metrics"));
    let text = format!(
        "Gateway is ready at {url}\n  certificate authority  {}\n  metrics                {admin}\n\nStaff tokens: `emporion token` at an engine.\nCtrl-C stops it.\n",
        ca.display()
    );
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

//! `emporion serve`: engine, gateway and adapters in one process.
//!
//! Start: settings → engine (folder, lock, replay) → secrets and certificates → gateway bound → adapters' runner → gateway serving → demo products →
//! `server.json`, which says that it is ready. Stop: signal → `server.json` removed → gateway drained → runner → engine.
//! Each step needs the one before, and a failure leaves the later ones undone.

pub(crate) mod settings;

use crate::{
    cli::ServeArgs,
    demo,
    edge::{self, Bound, Secrets, Signals},
    fail::Fail,
    files,
    link::{self, Link},
    logging,
    running::Running,
    token,
    verify::torn,
};
use adapters::{PaymentAdapter, Runner, sandbox::Sandbox};
use engine::{Engine, Shutdown, node::NodeFile};
use gateway::{SigningKey, mint_token};
use settings::Settings;
use std::{
    io::{Write as _, stdout},
    path::Path,
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};
use tokio::time::interval;
use wire::Role;

/// Holds the admin's token.
const TOKEN: &str = "admin.token";
/// How long it is valid, and how often it is replaced while the shop runs.
const TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);
const TOKEN_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Books of the sandbox payment provider, which stands for a company elsewhere.
pub(crate) const SANDBOX: &str = "sandbox";
/// Fewest threads for connections: one may be busy with a handshake.
pub(crate) const WORKERS_MIN: usize = 2;

/// Runs a shop until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Fail> {
    let settings = args.settings.with_file(args.config.as_deref())?;
    let mut config = settings.engine.checked()?;
    logging::start()?;

    if let Some(node) = NodeFile::read(&settings.engine.data()).map_err(|error| Fail::of(&error))? {
        return Err(Fail::Failed(format!(
            "{} is node {} of a cluster: run `emporion engine --data {0}` there, and `emporion gateway` and `emporion adapter` beside it",
            settings.engine.data().display(),
            node.node.0
        )));
    }
    let mut link = None;
    if let Some(listen) = settings.wire_listen {
        let (wire, told) = link::prepare(&settings.engine.data(), listen, settings.engine.shards, None)?;
        (config.wire, link) = (Some(wire), Some(told));
    }
    let engine = Engine::open(config).map_err(|error| Fail::of(&error))?;
    let opened = engine.opened();
    tell_cuts(&engine);
    let cores = available_parallelism().map_or(WORKERS_MIN, usize::from);
    let workers = cores.saturating_sub(usize::from(opened.shards)).max(WORKERS_MIN);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("gateway")
        .enable_all()
        .build()
        .map_err(|error| Fail::Failed(format!("no threads for the gateway: {error}")))?;
    let outcome = runtime.block_on(serve(&settings, &engine, link));
    // Connections that outlived the drain do not hold up the end.
    runtime.shutdown_background();
    stop(engine);
    outcome
}

/// Tells what a start left out of the log.
pub(crate) fn tell_cuts(engine: &Engine) {
    for cut in &engine.opened().cut {
        tracing::warn!("a torn write at the end of the log was cut; it was never acknowledged: {}", torn(cut));
    }
}

/// Ends the engine in order.
pub(crate) fn stop(engine: Engine) {
    match engine.shutdown() {
        Shutdown::Drained => tracing::info!("stopped in order"),
        Shutdown::CutOff => tracing::warn!("stopped; calls that were still running were cut off, nothing acknowledged is lost"),
    }
}

async fn serve(settings: &Settings, engine: &Engine, wire: Option<Link>) -> Result<(), Fail> {
    let data = settings.engine.data();
    let data = data.canonicalize().map_err(|error| files::failed("found", &data, &error))?;
    // Before anybody may wait for it: what a crash left behind is not this shop.
    Running::remove(&data);
    let signals = Signals::new()?;
    let client = engine.client();

    let staff = SigningKey::from_bytes(&files::secret_or_new(&data, files::TOKEN_KEY)?);
    let secrets = Secrets { staff: staff.verifying_key(), cart: files::secret_or_new(&data, files::CART_KEY)? };
    let Bound { gateway, ca } = edge::bind(&settings.edge, &data, &secrets, &client)?;
    let sandbox: Arc<dyn PaymentAdapter> = Arc::new(Sandbox::open(&data.join(SANDBOX)).map_err(|error| Fail::of(&error))?);
    let runner = Runner::start(&client, &[sandbox]);

    let token_file = data.join(TOKEN);
    write_token(&token_file, &staff)?;
    let running = Running {
        url: edge::url(gateway.address()),
        ca,
        token_file: token_file.clone(),
        pid: std::process::id(),
        admin_url: gateway.admin_address().map(edge::url),
        wire,
    };
    let beside = async {
        if settings.demo {
            demo::fill(&client, &data).await?;
        }
        running.write(&data)?;
        announce(&running);
        renew_token(&token_file, &staff).await
    };
    let outcome = edge::serve(gateway, &data, signals, beside).await;
    runner.stop().await;
    outcome
}

fn write_token(path: &Path, staff: &SigningKey) -> Result<(), Fail> {
    let token = mint_token(staff, Role::Admin, TOKEN_TTL, token::now());
    files::write(path, format!("{token}\n").as_bytes(), 0o600)
}

/// Replaces the token while it is still good; ends only if that fails.
async fn renew_token(path: &Path, staff: &SigningKey) -> Result<(), Fail> {
    let mut every = interval(TOKEN_EVERY);
    every.tick().await; // the first is at once, and it is fresh
    loop {
        every.tick().await;
        write_token(path, staff)?;
    }
}

/// Tells people where everything is. A closed standard output is no reason to stop.
fn announce(running: &Running) {
    let Running { url, ca, token_file, admin_url, .. } = running;
    let (ca, token_file) = (ca.display(), token_file.display());
    let admin = admin_url.as_ref().map_or_else(|| "off".to_owned(), |url| format!("{url}/metrics"));
    let text = format!(
        "\
Emporion is ready at {url}
  certificate authority  {ca}
  admin token            {token_file}
  metrics                {admin}

Try:
  curl --cacert {ca} '{url}/v1/search?q=&limit=3'
  curl --cacert {ca} -H \"Authorization: Bearer $(cat {token_file})\" {url}/v1/admin/orders

Ctrl-C stops it.
"
    );
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

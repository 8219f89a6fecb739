//! `emporion serve`: engine, gateway and adapters in one process.
//!
//! Start: settings → engine (folder, lock, replay) → secrets and certificates → gateway bound → adapters' runner → gateway serving → demo products →
//! `server.json`, which says that it is ready. Stop: signal → `server.json` removed → gateway drained → runner → engine.
//! Each step needs the one before, and a failure leaves the later ones undone.

pub(crate) mod settings;

use crate::{
    certificates,
    cli::ServeArgs,
    demo,
    fail::Fail,
    files,
    link::{self, Link},
    logging,
    running::Running,
    token,
    verify::torn,
};
use adapters::{PaymentAdapter, Runner, sandbox::Sandbox};
use engine::{Engine, Shutdown};
use gateway::{BindError, CartSecret, Gateway, SigningKey, mint_token};
use settings::{AdminListen, Settings};
use std::{
    io::{Write as _, stdout},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::interval,
};
use wire::{Client, Role};

/// Holds the admin's token.
const TOKEN: &str = "admin.token";
/// How long it is valid, and how often it is replaced while the shop runs.
const TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);
const TOKEN_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Books of the sandbox payment provider, which stands for a company elsewhere.
const SANDBOX: &str = "sandbox";
/// Where the operators' pages are unless told otherwise.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_443);
/// Fewest threads for connections: one may be busy with a handshake.
const WORKERS_MIN: usize = 2;

/// Runs a shop until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Fail> {
    let settings = args.settings.with_file(args.config.as_deref())?;
    let mut config = settings.engine.checked()?;
    logging::start()?;

    let mut link = None;
    if let Some(listen) = settings.wire_listen {
        let (wire, told) = link::prepare(&settings.engine.data(), listen, settings.engine.shards)?;
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
    let mut signals = Signals::new()?;
    let client = engine.client();

    let staff = SigningKey::from_bytes(&files::secret_or_new(&data, files::TOKEN_KEY)?);
    let gateway = bind(settings, &data, &staff, &client)?;
    let sandbox: Arc<dyn PaymentAdapter> = Arc::new(Sandbox::open(&data.join(SANDBOX)).map_err(|error| Fail::of(&error))?);
    let runner = Runner::start(&client, &[sandbox]);

    let (address, admin_address) = (gateway.gateway.address(), gateway.gateway.admin_address());
    let token_file = data.join(TOKEN);
    write_token(&token_file, &staff)?;
    let running = Running {
        url: url(address),
        ca: gateway.ca,
        token_file: token_file.clone(),
        pid: std::process::id(),
        admin_url: admin_address.map(url),
        wire,
    };
    let (stop, stopped) = oneshot::channel();
    let mut serving = tokio::spawn(gateway.gateway.run(async {
        // A sender that is gone is a stop too.
        let _ = stopped.await;
    }));

    let until = async {
        if settings.demo {
            demo::fill(&client, &data).await?;
        }
        running.write(&data)?;
        announce(&running);
        renew_token(&token_file, &staff).await
    };
    let mut ended = None;
    let outcome = tokio::select! {
        outcome = until => outcome,
        () = signals.next() => Ok(()),
        end = &mut serving => { ended = Some(end); Ok(()) }
    };
    Running::remove(&data);
    tracing::info!("stopping: requests under way are finished; a second signal ends at once");
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("emporion: stopped at once by a second signal; nothing acknowledged is lost");
        std::process::exit(1);
    });
    // It may have ended already.
    let _ = stop.send(());
    let end = match ended {
        Some(end) => end,
        None => serving.await,
    };
    runner.stop().await;
    outcome?;
    match end {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fail::of(&error)),
        Err(error) => Err(Fail::Failed(format!("the gateway ended by a fault of ours: {error}"))),
    }
}

/// A gateway that listens, and the authority that its certificate is from.
struct Bound {
    gateway: Gateway,
    ca: PathBuf,
}

fn bind(settings: &Settings, data: &Path, staff: &SigningKey, client: &Arc<dyn Client>) -> Result<Bound, Fail> {
    let listen = settings.listen();
    let certificates = certificates::prepare(data, listen.ip(), jiff::Timestamp::now())?;
    let cart_secret = files::secret_or_new(data, files::CART_KEY)?;
    let attempt = |admin_listen| {
        let config = gateway::Config {
            listen,
            admin_listen,
            certificates: certificates.chain.clone(),
            key: certificates.key.clone_key(),
            staff_key: staff.verifying_key(),
            cart_secret: CartSecret(cart_secret),
            per_address: settings.per_address.unwrap_or(gateway::Config::PER_ADDRESS_DEFAULT),
        };
        Gateway::bind(config, Arc::clone(client))
    };
    let bound = match settings.admin_listen {
        Some(AdminListen::Off) => attempt(None),
        Some(AdminListen::At(address)) => attempt(Some(address)),
        // Nobody asked for this port: a second shop on the machine shall start all the same.
        None => match attempt(Some(ADMIN_LISTEN)) {
            Err(BindError::InUse { address, .. }) if address == ADMIN_LISTEN && listen != ADMIN_LISTEN => {
                tracing::warn!("{ADMIN_LISTEN} is in use; the operators' pages take a free port");
                attempt(Some(SocketAddr::new(ADMIN_LISTEN.ip(), 0)))
            }
            other => other,
        },
    };
    let asked_for_admin = |address: &SocketAddr| settings.admin_listen == Some(AdminListen::At(*address)) && *address != listen;
    let gateway = bound.map_err(|error| match &error {
        BindError::InUse { address, .. } if asked_for_admin(address) => {
            Fail::Failed(format!("port {address} is in use: stop what listens there, or choose another with --admin-listen"))
        }
        _ => Fail::of(&error),
    })?;
    Ok(Bound { gateway, ca: certificates.ca })
}

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Fail> {
        let on = |kind| signal(kind).map_err(|error| Fail::Failed(format!("signals cannot be received: {error}")));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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

/// The address as a client on this machine reaches it.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(ip, address.port()))
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

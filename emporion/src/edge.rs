//! The web server's end of a shop, as `serve` and `gateway` run it: its ports, and how it ends.
//!
//! Path: [`EdgeSettings`] → [`bind`] (certificate, ports) → [`serve`], which runs until a signal comes, something beside it fails or it ends by itself, and
//! then drains. Who answers behind it is no matter here.

use crate::{certificates, fail::Fail, running::Running, serve::settings::AdminListen};
use clap::Args;
use gateway::{BindError, CartSecret, Gateway, VerifyingKey};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use wire::Client;

/// Where the shop is unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_443);
/// Where the operators' pages are unless told otherwise.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_443);

/// What can be set for the web server. `None`: not said.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EdgeSettings {
    /// Where the shop is served, TCP and UDP; port 0 takes a free one [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the operators' pages (/metrics) are served, or `off` [default: 127.0.0.1:9443].
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub(crate) admin_listen: Option<AdminListen>,
    /// Requests a second from one address; 0 is no limit [default: 1000].
    #[arg(long, value_name = "N")]
    pub(crate) per_address: Option<u32>,
}

impl EdgeSettings {
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(LISTEN)
    }
}

/// What proves who asks.
pub(crate) struct Secrets {
    /// Proves staff tokens; who has only this mints none.
    pub(crate) staff: VerifyingKey,
    /// Makes and proves cart tokens.
    pub(crate) cart: [u8; 32],
}

/// A gateway that listens, and the authority that its certificate is from.
pub(crate) struct Bound {
    pub(crate) gateway: Gateway,
    pub(crate) ca: PathBuf,
}

/// Takes the ports, in front of `client`, with a certificate from the authority in `data`.
pub(crate) fn bind(settings: &EdgeSettings, data: &Path, secrets: &Secrets, client: &Arc<dyn Client>) -> Result<Bound, Fail> {
    let listen = settings.listen();
    let certificates = certificates::prepare(data, listen.ip(), jiff::Timestamp::now())?;
    let attempt = |admin_listen| {
        let config = gateway::Config {
            listen,
            admin_listen,
            certificates: certificates.chain.clone(),
            key: certificates.key.clone_key(),
            staff_key: secrets.staff.clone(),
            cart_secret: CartSecret(secrets.cart),
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

/// Serves until a signal comes, `beside` ends or the gateway does; then `server.json` goes, and requests under way are finished.
pub(crate) async fn serve(
    gateway: Gateway,
    data: &Path,
    mut signals: Signals,
    beside: impl Future<Output = Result<(), Fail>>,
) -> Result<(), Fail> {
    let (stop, stopped) = oneshot::channel();
    let mut serving = tokio::spawn(gateway.run(async {
        // A sender that is gone is a stop too.
        let _ = stopped.await;
    }));
    let mut ended = None;
    let outcome = tokio::select! {
        outcome = beside => outcome,
        () = signals.next() => Ok(()),
        end = &mut serving => { ended = Some(end); Ok(()) }
    };
    Running::remove(data);
    tracing::info!("stopping: requests under way are finished; a second signal ends at once");
    end_at_once_at(signals);
    // It may have ended already.
    let _ = stop.send(());
    let end = match ended {
        Some(end) => end,
        None => serving.await,
    };
    outcome?;
    match end {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fail::of(&error)),
        Err(error) => Err(Fail::Failed(format!("the gateway ended by a fault of ours: {error}"))),
    }
}

/// From here on a signal does not wait for what is under way.
pub(crate) fn end_at_once_at(mut signals: Signals) {
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("emporion: stopped at once by a second signal; nothing acknowledged is lost");
        std::process::exit(1);
    });
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

/// The address as a client on this machine reaches it.
pub(crate) fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(ip, address.port()))
}

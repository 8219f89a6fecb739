//! A shop of several processes: how each part is invited and started.

use crate::{
    api::{Api, ask},
    process::{Folder, PATIENCE, Shop, emporion},
};
use adapters::sandbox;
use std::time::Duration;
use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};
use tokio::time::{Instant, sleep};

/// A port that was free a moment ago, for TCP and UDP.
pub(crate) fn free() -> SocketAddr {
    loop {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

pub(crate) fn engine(folder: &Folder, listen: &str) -> Shop {
    Shop::begin_part(folder, folder.data(), &["engine", "--wire-listen", listen, "--shards", "2"])
}

/// Writes an invitation at the engine of `folder`, and says where.
pub(crate) fn invited(folder: &Folder, kind: &str, name: &str) -> PathBuf {
    invited_at(folder, &folder.data(), kind, name)
}

/// The same at the engine of `data`.
pub(crate) fn invited_at(folder: &Folder, data: &Path, kind: &str, name: &str) -> PathBuf {
    let path = folder.path().join(format!("{name}.json"));
    let invite = emporion()
        .args(["cluster", "invite", "--for", kind, "--name", name, "--data"])
        .arg(data)
        .arg("--out")
        .arg(&path)
        .output()
        .expect("the program runs");
    assert!(invite.status.success(), "{}", String::from_utf8_lossy(&invite.stderr));
    path
}

pub(crate) fn gateway(folder: &Folder, name: &str, listen: &str, invitation: Option<&PathBuf>) -> Shop {
    let mut args = vec!["gateway", "--listen", listen, "--admin-listen", "off", "--per-address", "0"];
    let invitation = invitation.map(|path| path.display().to_string());
    args.extend(invitation.iter().flat_map(|path| ["--invitation", path]));
    Shop::begin_part(folder, folder.path().join(name), &args)
}

/// What the provider took and did not give back.
pub(crate) fn charged(folder: &Folder) -> i64 {
    sandbox::read(&folder.path().join("pay/sandbox")).expect("the provider's books").values().map(sandbox::Account::net).sum()
}

/// Waits until `/readyz` answers so.
pub(crate) async fn readyz(folder: &Folder, api: &Api, status: u16) {
    let until = Instant::now() + PATIENCE;
    loop {
        match api.try_send(&ask("GET", "/readyz")).await {
            Ok(answer) if answer.status == status => return,
            last => assert!(Instant::now() < until, "{last:?} instead of {status}: {}", folder.log()),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

//! A shop of several processes: how each part is invited and started.

use crate::{
    api::{Api, ask, fresh_key},
    process::{Folder, PATIENCE, Shop, emporion, run},
    proxy::Proxy,
};
use adapters::sandbox;
use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Ports below those that the system gives to whoever asks for any, so that nobody takes one while its process is away.
const PORTS: std::ops::Range<u32> = 12_000..32_000;

/// A port that is free for TCP and UDP, and was given to nobody else in this run.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Other runs begin elsewhere. Relaxed: only uniqueness matters.
        let turn = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + turn % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Starts the folder's engine alone.
pub(crate) fn engine(folder: &Folder, listen: &str) -> Shop {
    Shop::begin_engine(folder, folder.data(), &["--wire-listen", listen, "--shards", "2"])
}

/// Writes an invitation at the engine of `folder`, and says where.
pub(crate) fn invited(folder: &Folder, kind: &str, name: &str) -> PathBuf {
    invited_at(folder, &folder.data(), kind, name)
}

/// The same at the engine of `data`.
pub(crate) fn invited_at(folder: &Folder, data: &Path, kind: &str, name: &str) -> PathBuf {
    invited_to(folder, data, kind, name, &[])
}

/// The same to engines there, of which there may be none: then to where that of `data` listens.
fn invited_to(folder: &Folder, data: &Path, kind: &str, name: &str, engines: &[SocketAddr]) -> PathBuf {
    let path = folder.path().join(format!("{name}.json"));
    let engines = engines.iter().flat_map(|engine| ["--engine".to_owned(), engine.to_string()]);
    let invite = emporion()
        .args(["cluster", "invite", "--for", kind, "--name", name])
        .args(engines)
        .arg("--data")
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

/// The adapter's folder is `pay`.
pub(crate) fn adapter(folder: &Folder, invitation: Option<&PathBuf>) -> Shop {
    let invitation = invitation.map(|path| path.display().to_string());
    let args = ["adapter"].into_iter().chain(invitation.iter().flat_map(|path| ["--invitation", path]));
    Shop::begin_part(folder, folder.path().join("pay"), &args.collect::<Vec<_>>())
}

/// `emporion cluster` with the folder of a node.
pub(crate) fn cluster(data: &Path, args: &[&str]) -> Output {
    emporion().arg("cluster").args(args).arg("--data").arg(data).output().expect("the program runs")
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

/// Names of a cluster's nodes.
pub(crate) const NODES: [&str; 3] = ["a", "b", "c"];
const GATEWAYS: [&str; 2] = ["web-1", "web-2"];

/// Where the parts of a cluster are, so that all of it can be started again where it was.
pub(crate) struct Places {
    /// What is told of the engines.
    pub(crate) engines: [SocketAddr; 3],
    /// Where they listen; elsewhere if a network of ours is between.
    listens: [SocketAddr; 3],
    gateways: [SocketAddr; 2],
}

impl Places {
    pub(crate) const NODES: usize = NODES.len();

    pub(crate) fn new() -> Self {
        let engines = NODES.map(|_| free());
        Self { engines, listens: engines, gateways: GATEWAYS.map(|_| free()) }
    }

    /// Of a cluster whose nodes are reached over a network of ours.
    pub(crate) fn over(proxy: &Proxy) -> Self {
        Self { engines: proxy.fronts, listens: proxy.listens, ..Self::new() }
    }

    /// The folder of a node; that of the first is the data folder.
    pub(crate) fn data(folder: &Folder, node: usize) -> PathBuf {
        if node == 0 { folder.data() } else { folder.path().join(NODES[node]) }
    }

    /// Starts the engine of a node.
    pub(crate) fn engine(&self, folder: &Folder, node: usize) -> Shop {
        let listen = self.listens[node].to_string();
        Shop::begin_engine(folder, Self::data(folder, node), &["--shards", "1", "--wire-listen", &listen])
    }

    /// Makes the folder of a node, which is not there, by an invitation from another one.
    pub(crate) fn join(&self, folder: &Folder, node: usize, from: usize) {
        let name = format!("{}-from-{}-{}", NODES[node], NODES[from], fresh_key("again"));
        let invitation = invited_to(folder, &Self::data(folder, from), "node", &name, &self.engines[from..=from]).display().to_string();
        let address = self.engines[node].to_string();
        let args = ["join", "--shards", "1", "--invitation", &invitation, "--name", NODES[node], "--address", &address];
        succeeds(&cluster(&Self::data(folder, node), &args));
    }

    /// Starts the engines, as a cluster made at first, and waits until all is well.
    pub(crate) async fn engines(&self, folder: &Folder) -> Vec<Shop> {
        let mut begun = Vec::new();
        if folder.data().exists() {
            begun.extend((0..NODES.len()).map(|node| self.engine(folder, node)));
        } else {
            succeeds(&cluster(&folder.data(), &["init", "--name", NODES[0], "--address", &self.engines[0].to_string()]));
            begun.push(self.engine(folder, 0).ready(folder).await);
            for node in 1..NODES.len() {
                self.join(folder, node, 0);
                begun.push(self.engine(folder, node));
            }
        }
        let mut engines = Vec::new();
        for engine in begun {
            engines.push(engine.ready(folder).await);
        }
        well(folder).await;
        engines
    }

    /// Starts all of it: the first gateway, with the rest behind. An admin's token and the provider's books are where a shop in one process has them.
    pub(crate) async fn start(&self, folder: &Folder) -> Shop {
        let is_new = !folder.data().exists();
        let engines = self.engines(folder).await;
        let invitation = |kind: &str, name: &str| is_new.then(|| invited_to(folder, &folder.data(), kind, name, &self.engines));
        let adapter = adapter(folder, invitation("adapter", "pay").as_ref());
        let mut gateways = Vec::new();
        for (name, listen) in GATEWAYS.iter().zip(self.gateways) {
            let gateway = gateway(folder, name, &listen.to_string(), invitation("gateway", name).as_ref()).ready(folder).await;
            if is_new {
                staffed(folder, &gateway.data);
                symlink(folder.path().join("pay/sandbox"), gateway.data.join("sandbox")).expect("a link");
            }
            gateways.push(gateway);
        }
        let mut gateways = gateways.into_iter();
        let mut shop = gateways.next().expect("two gateways");
        shop.behind = gateways.chain([adapter]).chain(engines).collect();
        shop
    }
}

/// Gives a gateway's folder an admin's token, for those who look for it there.
pub(crate) fn staffed(folder: &Folder, gateway: &Path) {
    let minted = run(&["token", "--role", "admin", "--data", &folder.data().display().to_string()]);
    succeeds(&minted);
    fs::write(gateway.join("admin.token"), &minted.stdout).expect("writes");
}

/// Waits until all nodes say that all of them are up and everything is led.
pub(crate) async fn well(folder: &Folder) {
    let until = Instant::now() + PATIENCE;
    for node in 0..NODES.len() {
        loop {
            let status = cluster(&Places::data(folder, node), &["status", "--json"]);
            let says: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
            if status.status.success() && says["nodes"].as_array().is_some_and(|nodes| nodes.len() == NODES.len()) {
                break;
            }
            assert!(Instant::now() < until, "{status:?}: {}", folder.log());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Makes of each test one of a shop in one process, and one of a cluster behind two gateways. Those of a cluster are asked for by name (`in_a_cluster -- --ignored`): any node answers a
/// search, and one that is a moment behind shows another stock than the test has just made.
macro_rules! alone_and_in_a_cluster {
    ($($test:ident)*) => {
        mod alone {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::process::Folder::new()).await;
            })*
        }

        mod in_a_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "any node answers a search, also one that is a moment behind"]
            async fn $test() {
                super::$test($crate::process::Folder::cluster()).await;
            })*
        }
    };
}
pub(crate) use alone_and_in_a_cluster;

//! The program as a process.

use crate::{api::Api, faulty::Disk, proxy::Proxy, several::Places};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longest wait for anything: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A folder that goes away with the test; the data folder is inside it, or on a disk of ours.
pub(crate) struct Folder {
    at: TempDir,
    disk: Option<Disk>,
    driver: &'static str,
    /// What else its engines are started with.
    args: &'static [&'static str],
    /// Its shops are a cluster with gateways in front, there.
    places: Option<Places>,
}

/// A log that is cut behind snapshots as early as can be.
const SMALL: [&str; 4] = ["--segment-bytes", "1MiB", "--log-bytes", "4MiB"];

impl Folder {
    pub(crate) fn new() -> Self {
        Self::under("glommio")
    }

    /// Its shops run under this driver.
    pub(crate) fn under(driver: &'static str) -> Self {
        Self { at: tempfile::tempdir().expect("a folder"), disk: None, driver, args: &[], places: None }
    }

    /// Its shops are three engines behind two gateways, asked in turn, with an adapter beside: processes all of them.
    pub(crate) fn cluster() -> Self {
        Self { places: Some(Places::new()), ..Self::new() }
    }

    /// The same, with the engines reached over a network of ours.
    pub(crate) fn cluster_over(proxy: &Proxy) -> Self {
        Self { places: Some(Places::over(proxy)), ..Self::new() }
    }

    /// Where the parts of the cluster are.
    pub(crate) fn places(&self) -> &Places {
        self.places.as_ref().expect("a cluster")
    }

    /// With a log so short that a test's load crosses it several times.
    pub(crate) fn small(self) -> Self {
        Self { args: &SMALL, ..self }
    }

    /// Was the log of each shard cut, and its length crossed twice? Also when it is not [`Folder::small`].
    pub(crate) fn was_cut(&self) -> bool {
        let names = |path: &Path| -> Vec<PathBuf> {
            // A log that is being made has no folder yet.
            fs::read_dir(path).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
        };
        let number = |path: &PathBuf| path.file_stem()?.to_str()?.strip_prefix("segment-")?.parse::<usize>().ok();
        let logs = names(&self.data().join("log")).iter().flat_map(|generation| names(generation)).collect::<Vec<_>>();
        self.args.is_empty()
            || logs.iter().all(|log| {
                let numbers: Vec<usize> = names(log).iter().filter_map(number).collect();
                // Files that are not there under their first names are in use again, or were removed because there were more than enough.
                numbers.iter().min() > Some(&2) && numbers.iter().max() >= Some(&8)
            })
    }

    /// With its data on a disk of ours, whose power is cut when the shop is killed.
    pub(crate) fn faulty(driver: &'static str) -> Self {
        Self { disk: Some(Disk::new()), ..Self::under(driver) }
    }

    pub(crate) fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a folder with a disk of ours")
    }

    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.disk.as_ref().map_or_else(|| self.path(), Disk::path).join("data")
    }

    /// `emporion verify`: whether it is sound, and what it says; of a cluster's nodes all of them.
    pub(crate) fn verify(&self) -> (bool, String) {
        let nodes = if self.places.is_some() { Places::NODES } else { 1 };
        let told = (0..nodes).map(|node| verify(&Places::data(self, node)));
        told.reduce(|(sound, says), (also, more)| (sound && also, says + &more)).expect("a node at least")
    }

    /// What all processes on this folder have told on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("data.log")).unwrap_or_default()
    }

    /// Kills the shop. On a disk of ours the power is cut, so that what was not synced is lost, torn or kept, by draws.
    pub(crate) fn kill(&self, shop: Shop, draws: &mut u64) {
        if let Some(disk) = &self.disk {
            disk.cut(draws);
        }
        shop.kill();
        if let Some(disk) = &self.disk {
            disk.power_on();
        }
    }
}

/// The program.
pub(crate) fn emporion() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emporion"));
    command.env_remove("EMPORION_LOG").stdin(Stdio::null());
    command
}

/// Runs a subcommand to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    emporion().args(args).output().expect("the program runs")
}

/// `emporion verify`: whether it is sound, and what it says.
pub(crate) fn verify(data: &Path) -> (bool, String) {
    let output = run(&["verify", &data.display().to_string()]);
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// A running shop, or a process of one. Dropping it kills it.
pub(crate) struct Shop {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// In front of a cluster: the other gateway, then the adapter and the engines.
    pub(crate) behind: Vec<Shop>,
}

impl Shop {
    /// Starts a shop on a free port.
    pub(crate) async fn start(folder: &Folder) -> Self {
        match &folder.places {
            None => Self::start_with(folder, &["--listen", "127.0.0.1:0"]).await,
            Some(places) => places.start(folder).await,
        }
    }

    /// Starts the shop again where it was, so that clients which only try again find it.
    pub(crate) async fn start_again(folder: &Folder, listen: SocketAddr) -> Self {
        match &folder.places {
            None => Self::start_with(folder, &["--listen", &listen.to_string()]).await,
            Some(places) => places.start(folder).await,
        }
    }

    pub(crate) async fn start_with(folder: &Folder, args: &[&str]) -> Self {
        Self::begin(folder, args).ready(folder).await
    }

    /// Starts a shop and does not wait until it is ready; from here on it is killed whatever happens.
    pub(crate) fn begin(folder: &Folder, args: &[&str]) -> Self {
        assert!(folder.places.is_none(), "`serve` is for shops in one process");
        let serve = ["serve", "--admin-listen", "off", "--per-address", "0", "--driver", folder.driver];
        Self::begin_part(folder, folder.data(), &[&serve, folder.args, args].concat())
    }

    /// Starts a part of a shop, with a folder of its own, and does not wait until it is ready.
    pub(crate) fn begin_part(folder: &Folder, data: PathBuf, args: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join("data.log")).expect("a log");
        let child = emporion().args(args).arg("--data").arg(&data).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        Self { child, data, listen: SocketAddr::from(([127, 0, 0, 1], 0)), behind: Vec::new() }
    }

    /// Starts an engine of the folder alone, or of a cluster.
    pub(crate) fn begin_engine(folder: &Folder, data: PathBuf, args: &[&str]) -> Self {
        Self::begin_part(folder, data, &[&["engine", "--driver", folder.driver], folder.args, args].concat())
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(mut self, folder: &Folder) -> Self {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("it ended with {status}: {}", folder.log());
            }
            if let Some(running) = running(&self.data).filter(|running| running["pid"] == self.child.id()) {
                // An engine alone has no shop's address.
                let url = running["url"].as_str().expect("a url").strip_prefix("https://");
                let listen = url.or_else(|| running["wire"]["address"].as_str()).expect("an address");
                self.listen = listen.parse().expect("an address");
                return self;
            }
            assert!(Instant::now() < until, "{} is not ready: {}", self.data.display(), folder.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A client over HTTP/2 with an admin's token; in front of a cluster one that asks the gateways in turn.
    pub(crate) fn api(&self) -> Api {
        let api = Api::http2(&self.data, self.listen);
        match self.behind.first() {
            None => api,
            Some(other) => api.in_turn_with(Api::http2(&other.data, other.listen)),
        }
    }

    /// SIGKILL, of all there is.
    pub(crate) fn kill(mut self) {
        for shop in [&mut self.child].into_iter().chain(self.behind.iter_mut().map(|part| &mut part.child)) {
            shop.kill().expect("it runs");
        }
        self.child.wait().expect("it ends");
    }

    /// Waits until it ends by itself, and how.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        self.wait("end").await
    }

    /// SIGTERM, and how it ended; what is behind it is stopped after it, in order.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate();
        let status = self.wait("stop").await;
        for part in &mut self.behind {
            part.terminate();
            let status = part.wait("stop").await;
            assert!(status.success(), "{}: {status}", part.data.display());
        }
        status
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP: it stands still where it is.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    async fn wait(&mut self, what: &str) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "the shop does not {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `server.json` says, if it is there.
pub(crate) fn running(data: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(data.join("server.json")).ok()?).ok()
}

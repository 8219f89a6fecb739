//! The program as a process.

use crate::api::Api;
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

/// A folder that goes away with the test; the data folder is inside it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// What all processes on this folder have told on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.0.path().join("data.log")).unwrap_or_default()
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

/// A running shop. Dropping it kills it.
pub(crate) struct Shop {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
}

impl Shop {
    /// Starts a shop on a free port.
    pub(crate) async fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &["--listen", "127.0.0.1:0"]).await
    }

    /// Starts the shop again where it was, so that clients which only try again find it.
    pub(crate) async fn start_again(folder: &Folder, listen: SocketAddr) -> Self {
        Self::start_with(folder, &["--listen", &listen.to_string()]).await
    }

    pub(crate) async fn start_with(folder: &Folder, args: &[&str]) -> Self {
        let data = folder.data();
        let log = File::options().create(true).append(true).open(folder.path().join("data.log")).expect("a log");
        let child = emporion()
            .args(["serve", "--admin-listen", "off", "--per-address", "0", "--data"])
            .arg(&data)
            .args(args)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        // From here on it is killed whatever happens.
        let mut shop = Self { child, data, listen: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = shop.child.try_wait().expect("a child") {
                panic!("the shop ended with {status}: {}", folder.log());
            }
            if let Some(running) = running(&shop.data).filter(|running| running["pid"] == shop.child.id()) {
                let url = running["url"].as_str().expect("a url").trim_start_matches("https://");
                shop.listen = url.parse().expect("an address");
                return shop;
            }
            assert!(Instant::now() < until, "the shop is not ready: {}", folder.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A client over HTTP/2 with an admin's token.
    pub(crate) fn api(&self) -> Api {
        Api::http2(&self.data, self.listen)
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "the shop does not stop");
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

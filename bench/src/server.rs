//! The program under measurement: started, found, read from `/proc`, stopped.

use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest a start may take; one of a million products that finds no files of the index takes all texts apart again.
const START_MAX: Duration = Duration::from_secs(300);

/// What can go wrong around the measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{what}: {source}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0}")]
    Other(String),
}

impl BenchError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn other(why: impl std::fmt::Display) -> Self {
        Self::Other(why.to_string())
    }
}

/// What `server.json` says of the wire protocol.
#[derive(Deserialize)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) operator_certificate: PathBuf,
    pub(crate) operator_key: PathBuf,
}

/// `server.json` of a running shop or engine.
#[derive(Deserialize)]
pub(crate) struct Found {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) token_file: PathBuf,
    pub(crate) wire: Option<Link>,
}

/// A program of our own that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) found: Found,
    /// From the start of the process to `server.json`.
    pub(crate) started_in: Duration,
}

impl Server {
    /// A shop.
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Self, BenchError> {
        Self::run(program, data, &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--per-address", "0"])
    }

    /// The program with these arguments, until it says where it is.
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) fn run(program: &Path, data: &Path, arguments: &[&str]) -> Result<Self, BenchError> {
        let file = data.join("server.json");
        // Left by a killed one.
        let _ = std::fs::remove_file(&file);
        let begun = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .arg("--data")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(BenchError::io(format!("start {}; build it with cargo build --release", program.display())))?;
        let found = loop {
            if let Some(status) = child.try_wait().map_err(BenchError::io("wait for the program"))? {
                return Err(BenchError::other(format!("the program ended at its start: {status}")));
            }
            if let Ok(text) = std::fs::read_to_string(&file) {
                break serde_json::from_str(&text).map_err(BenchError::other);
            }
            if begun.elapsed() > START_MAX {
                break Err(BenchError::other(format!("the program did not come up within {START_MAX:?}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        match found {
            Ok(found) => Ok(Self { child, found, started_in: begun.elapsed() }),
            Err(error) => {
                // It is not a `Server` yet, whose end would end it.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// CPU time so far, microseconds, over all threads.
    pub(crate) fn cpu_us(&self) -> Result<u64, BenchError> {
        cpu_us(self.child.id())
    }

    /// Resident memory, megabytes.
    pub(crate) fn rss_mb(&self) -> Result<f64, BenchError> {
        rss_mb(self.child.id())
    }

    /// Ends it like a crash.
    pub(crate) fn kill(mut self) -> Result<(), BenchError> {
        self.child.kill().map_err(BenchError::io("kill the server"))?;
        self.child.wait().map_err(BenchError::io("wait for the server"))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, microseconds, over all threads.
pub(crate) fn cpu_us(process: u32) -> Result<u64, BenchError> {
    let tasks = format!("/proc/{process}/task");
    let mut total = 0;
    for task in std::fs::read_dir(&tasks).map_err(BenchError::io(&tasks))? {
        total += thread_cpu_us(&task.map_err(BenchError::io(&tasks))?.path().display().to_string());
    }
    Ok(total)
}

/// Threads of this process that came later: those of what it runs itself.
pub(crate) struct Others {
    own: Vec<String>,
}

impl Others {
    /// All but those that there are now.
    pub(crate) fn from_now_on() -> Result<Self, BenchError> {
        Ok(Self { own: threads()? })
    }

    /// CPU time of theirs so far, microseconds.
    pub(crate) fn cpu_us(&self) -> Result<u64, BenchError> {
        Ok(threads()?.iter().filter(|thread| !self.own.contains(thread)).map(|thread| thread_cpu_us(thread)).sum())
    }
}

/// Folders of this process's threads.
fn threads() -> Result<Vec<String>, BenchError> {
    let tasks = "/proc/self/task";
    let entries = std::fs::read_dir(tasks).map_err(BenchError::io(tasks))?;
    entries.map(|entry| Ok(entry.map_err(BenchError::io(tasks))?.path().display().to_string())).collect()
}

/// CPU time of a thread so far, microseconds; 0 for one that ended meanwhile.
pub(crate) fn thread_cpu_us(folder: &str) -> u64 {
    let text = std::fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// Resident memory of a process, megabytes.
pub(crate) fn rss_mb(process: u32) -> Result<f64, BenchError> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).map_err(BenchError::io(&path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(|| BenchError::other("no VmRSS"))?;
    let kb: f64 = line.trim().trim_end_matches(" kB").parse().map_err(BenchError::other)?;
    Ok(kb / 1_024.0)
}

//! The program under measurement: started, found, read from `/proc`, stopped.

use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest a start may take.
const START_MAX: Duration = Duration::from_secs(60);

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

/// `server.json` of a running shop.
#[derive(Deserialize)]
pub(crate) struct Found {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
}

/// A shop of our own.
pub(crate) struct Server {
    child: Child,
    pub(crate) found: Found,
    /// From the start of the process to `server.json`.
    pub(crate) started_in: Duration,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Self, BenchError> {
        // Left by a killed one.
        let _ = std::fs::remove_file(data.join("server.json"));
        let begun = Instant::now();
        let child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--per-address", "0", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(BenchError::io(format!("start {}; build it with cargo build --release", program.display())))?;
        let mut server = Self { child, found: Found { url: String::new(), ca: PathBuf::new() }, started_in: START_MAX };
        let file = data.join("server.json");
        while begun.elapsed() < START_MAX {
            if let Some(status) = server.child.try_wait().map_err(BenchError::io("wait for the server"))? {
                return Err(BenchError::other(format!("the server ended at its start: {status}")));
            }
            if let Ok(text) = std::fs::read_to_string(&file) {
                server.found = serde_json::from_str(&text).map_err(BenchError::other)?;
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(BenchError::other("the server did not come up within a minute"))
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

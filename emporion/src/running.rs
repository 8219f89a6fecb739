//! `server.json`: how other programs find the shop that runs on a data folder.
//!
//! Written when the shop is ready, as a whole; removed at a clean stop. After a crash it stays behind, so readers check the process too.

use crate::{fail::Fail, files, link::Link};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

const NAME: &str = "server.json";

/// What it says. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Where the shop is, such as `https://127.0.0.1:8443`; empty where an engine runs alone.
    pub(crate) url: String,
    /// Certificate of the authority that its certificate comes from.
    pub(crate) ca: PathBuf,
    /// Holds a token of the role `admin`; empty where a gateway runs alone, which can mint none.
    pub(crate) token_file: PathBuf,
    /// The process.
    pub(crate) pid: u32,
    /// Where the operators' pages are, if anywhere.
    #[serde(default)]
    pub(crate) admin_url: Option<String>,
    /// The engine link, if it is served.
    #[serde(default)]
    pub(crate) wire: Option<Link>,
}

impl Running {
    /// An engine alone: no shop to send anything to.
    pub(crate) fn of_engine(link: Link) -> Self {
        let (url, ca, token_file) = (String::new(), link.ca.clone(), PathBuf::new());
        Self { url, ca, token_file, pid: std::process::id(), admin_url: None, wire: Some(link) }
    }

    pub(crate) fn write(&self, data: &Path) -> Result<(), Fail> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Fail::Failed(format!("{NAME} cannot be written: {error}")))?;
        text.push(b'\n');
        files::write(&data.join(NAME), &text, 0o644)
    }

    /// The shop that runs on `data`.
    pub(crate) fn find(data: &Path) -> Result<Self, Fail> {
        let running = Self::read(data)?.ok_or_else(|| {
            Fail::Failed(format!(
                "no shop runs on {}: start one with `emporion serve --data {0}`, or name another with --data DIR or --server URL",
                data.display()
            ))
        })?;
        if !running.is_alive() {
            return Err(Fail::Failed(format!(
                "the shop on {} does not run any more (process {} is gone): start it again with `emporion serve --data {0}`",
                data.display(),
                running.pid
            )));
        }
        if running.url.is_empty() {
            return Err(Fail::Failed(format!("an engine alone runs on {}, without a shop in front of it", data.display())));
        }
        Ok(running)
    }

    /// Where the engine link of `data` is served, by whatever runs there; `None` if nothing does, or without one.
    pub(crate) fn link(data: &Path) -> Result<Option<Link>, Fail> {
        Ok(Self::read(data)?.filter(Self::is_alive).and_then(|running| running.wire))
    }

    fn read(data: &Path) -> Result<Option<Self>, Fail> {
        let path = data.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::failed("read", &path, &error)),
        };
        let running = serde_json::from_slice(&text)
            .map_err(|error| Fail::Failed(format!("{} does not read ({error}): start the shop again", path.display())))?;
        Ok(Some(running))
    }

    fn is_alive(&self) -> bool {
        Path::new("/proc").join(self.pid.to_string()).exists()
    }

    /// Removes what a start before left behind, or this one at its end.
    pub(crate) fn remove(data: &Path) {
        if let Err(error) = fs::remove_file(data.join(NAME))
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, "{NAME} cannot be removed");
        }
    }
}

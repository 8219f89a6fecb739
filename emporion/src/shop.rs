//! A running shop that a command is for: where it is, whom it is trusted by, and as whom it is asked.

use crate::{
    cli::ShopArgs,
    fail::{Fail, one_line},
    files,
    running::Running,
};
use reqwest::{Certificate, Client, Url};
use std::{path::Path, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// Longest silence of the shop before it is given up.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Longest time to connect.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Where to send, and as whom.
pub(crate) struct Shop {
    url: Url,
    /// PEM; `None` trusts what the system trusts.
    ca: Option<Vec<u8>>,
    token: String,
}

impl Shop {
    /// The shop that the options name. `role` is the least that its token needs, for the message that says so.
    pub(crate) fn find(args: &ShopArgs, role: &str) -> Result<Self, Fail> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| files::failed("read", path, &error));
        let (url, ca, token_file) = match &args.server {
            Some(url) => (url.clone(), args.ca.clone(), args.token_file.clone()),
            None => {
                let running = Running::find(&args.data)?;
                let token_file = args.token_file.clone().unwrap_or(running.token_file);
                if token_file.as_os_str().is_empty() {
                    return Err(Fail::Usage(format!(
                        "the gateway on {} mints no tokens: make one with `emporion token --role {role}` at an engine, and name a file that holds it with --token-file",
                        args.data.display()
                    )));
                }
                (running.url, Some(args.ca.clone().unwrap_or(running.ca)), Some(token_file))
            }
        };
        let token_file = token_file.ok_or_else(|| {
            let or_admin = if role == "admin" { "" } else { " or admin" };
            Fail::Usage(format!("--server needs --token-file: a file with a token of the role {role}{or_admin}"))
        })?;
        let no_url = |why: String| Fail::Usage(format!("--server {url}: {why}; say an address such as https://shop.example:8443"));
        let target = Url::parse(&url).map_err(|error| no_url(error.to_string()))?;
        if target.scheme() != "https" {
            return Err(no_url("the shop speaks https only".into()));
        }
        let token = String::from_utf8_lossy(&read(&token_file)?).trim().to_owned();
        Ok(Self { url: target, ca: ca.as_deref().map(read).transpose()?, token })
    }

    pub(crate) fn client(&self) -> Result<Client, Fail> {
        let wrong = |error: reqwest::Error| Fail::Failed(format!("no connection can be set up: {}", one_line(&error)));
        let mut builder = Client::builder().https_only(true).connect_timeout(CONNECT_MAX).read_timeout(SILENCE_MAX);
        if let Some(pem) = &self.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(wrong)?);
        }
        builder.build().map_err(wrong)
    }

    /// The address of a route, whatever path the shop was named with.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

/// What the network runs on: a thread of its own, since files are read on this one.
pub(crate) fn runtime() -> Result<Runtime, Fail> {
    let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| Fail::Failed(format!("no thread for the network: {error}")))
}

/// The shop did not answer.
pub(crate) fn unreachable(url: &Url, error: &reqwest::Error) -> Fail {
    let why = one_line(error);
    Fail::Failed(format!("{url} cannot be reached, or broke off ({why}): is the shop running, and is this its certificate authority?"))
}

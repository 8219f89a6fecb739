//! What the running program tells its operators, on standard error. No personal data: the engine seals it, the gateway does not log it.

use crate::fail::Fail;
use std::io::{IsTerminal as _, stderr};
use tracing_subscriber::{EnvFilter, fmt};

/// The variable that chooses what is logged, as `tracing-subscriber` reads it: `debug`, or `info,engine=debug`.
pub(crate) const VARIABLE: &str = "EMPORION_LOG";
/// Without it: our own parts, and of the libraries only what is wrong.
const DEFAULT: &str = "warn,emporion=info,engine=info,gateway=info,adapters=info";

pub(crate) fn start() -> Result<(), Fail> {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| DEFAULT.into());
    let filter = EnvFilter::try_new(&wanted)
        .map_err(|error| Fail::Usage(format!("{VARIABLE}={wanted} cannot be read ({error}): say `info`, or `warn,engine=debug`")))?;
    fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal()).init();
    Ok(())
}

//! Parts of a shop as processes of their own, beside engines that run elsewhere: `emporion gateway` and `emporion adapter`.
//!
//! Path: an invitation → [`Folder`], which keeps it → [`Engines`], found in any order of starting → the web server ([`gateway`]) or the payment adapters
//! ([`adapter`]). Neither keeps anything of the shop: another of its kind takes its place.

pub(crate) mod adapter;
pub(crate) mod args;
mod engines;
mod folder;
pub(crate) mod gateway;

use crate::{fail::Fail, invitation::Kind};
use args::PartArgs;
use engines::Engines;
use folder::Folder;
use std::time::Duration;

/// A part that is about to start: its folder, and the engines it will ask.
struct Part {
    folder: Folder,
    engines: Engines,
}

impl Part {
    fn new(args: &PartArgs, kind: Kind, hedge: Option<Duration>) -> Result<Self, Fail> {
        let folder = Folder::open(&args.data, args.invitation.as_deref(), kind)?;
        let addresses = if args.engine.is_empty() { folder.invitation.engines.clone() } else { args.engine.clone() };
        let config = folder.invitation.client_config().map_err(|error| Fail::of(&error))?;
        Ok(Self { folder, engines: Engines::new(addresses, config, hedge) })
    }
}

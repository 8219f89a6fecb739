//! `emporion cluster invite`: writes an invitation from an engine's folder, whether it runs or not.
//!
//! Path: keys of the folder, and where its engine listens → [`Invitation::issue`] → a file or standard output.

use crate::{
    address::Address,
    cli::InviteArgs,
    fail::Fail,
    invitation::{ForGateway, Guest, Invitation, Kind},
    keys::{Key, ShopKeys},
    running::Running,
    token,
};
use gateway::SigningKey;
use std::{
    io::{Write as _, stdout},
    path::Path,
};

pub(crate) fn run(args: &InviteArgs) -> Result<(), Fail> {
    let keys = ShopKeys::read(&args.data)?;
    let engines = if args.engine.is_empty() { vec![listens(&args.data)?] } else { args.engine.clone() };
    let guest = match args.kind {
        Kind::Gateway => {
            let staff = Key(SigningKey::from_bytes(&keys.token.0).verifying_key().to_bytes());
            Guest::Gateway(ForGateway { staff, cart: keys.cart, edge: keys.edge.clone() })
        }
        Kind::Adapter => Guest::Adapter {},
    };
    let name = args.name.as_deref().unwrap_or_else(|| args.kind.as_str());
    let invitation = Invitation::issue(name, engines, &keys.link, guest, token::now())?;
    match &args.out {
        Some(path) => invitation.write(path),
        None => {
            let mut out = stdout().lock();
            let written = out.write_all(&invitation.text()?).and_then(|()| out.flush());
            written.map_err(|error| Fail::Failed(format!("standard output takes no invitation ({error}): write it to a file with --out")))
        }
    }
}

/// Where the engine of the folder is reached, as it said when it was started.
fn listens(data: &Path) -> Result<Address, Fail> {
    let unknown = |why: &str| Fail::Usage(format!("{why}: say where its engine is reached with --engine HOST:PORT"));
    let link = Running::link(data)?.ok_or_else(|| unknown(&format!("no engine runs on {}", data.display())))?;
    let address: Address = link.address.to_string().parse().map_err(|why: String| unknown(&why))?;
    if !address.can_be_reached() {
        return Err(unknown(&format!("the engine listens at {address}, which says nothing to others")));
    }
    Ok(address)
}

//! `emporion cluster invite`: writes an invitation from an engine's folder, whether it runs or not.
//!
//! Path: keys of the folder, and where its engine listens → [`Invitation::issue`] → a file or standard output.

use super::args::InviteArgs;
use crate::{
    address::Address,
    fail::Fail,
    files,
    invitation::{ForGateway, ForNode, Guest, Invitation, Kind},
    keys::{Key, ShopKeys},
    running::Running,
    token,
};
use engine::node::{self, About, NodeFile};
use gateway::SigningKey;
use std::{
    io::{Write as _, stdout},
    path::Path,
};

pub(crate) fn run(args: &InviteArgs) -> Result<(), Fail> {
    let keys = ShopKeys::read(&args.data)?;
    let engines = if args.engine.is_empty() { listen(&args.data)? } else { args.engine.clone() };
    let guest = match args.kind {
        Kind::Gateway => {
            let staff = Key(SigningKey::from_bytes(&keys.token.0).verifying_key().to_bytes());
            Guest::Gateway(ForGateway { staff, cart: keys.cart, edge: keys.edge.clone() })
        }
        Kind::Adapter => Guest::Adapter {},
        Kind::Node => {
            if NodeFile::read(&args.data).map_err(|error| Fail::of(&error))?.is_none() {
                return Err(Fail::Usage(format!(
                    "the engine of {} is alone: stop it, make it the first node with `emporion cluster init --data {0}`, and start it again",
                    args.data.display()
                )));
            }
            let About { partitions, epoch, .. } = node::about(&args.data).map_err(|error| Fail::of(&error))?;
            let shop = files::secret(&args.data, files::SHOP_KEY)?.map(Key);
            let shop = shop.ok_or_else(|| {
                Fail::Failed(format!("{} has no {}/{}: restore it from a backup", args.data.display(), files::KEYS, files::SHOP_KEY))
            })?;
            Guest::Node(Box::new(ForNode { shop, keys: keys.clone(), partitions, epoch }))
        }
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

/// Where the engine of the folder is reached: a node of a cluster and the others it was made with as they said, one alone as it was started.
fn listen(data: &Path) -> Result<Vec<Address>, Fail> {
    let unknown = |why: &str| Fail::Usage(format!("{why}: say where its engine is reached with --engine HOST:PORT"));
    let damaged = |why: String| Fail::Failed(format!("the node of {} is at a place that cannot be: {why}", data.display()));
    if let Some(node) = NodeFile::read(data).map_err(|error| Fail::of(&error))? {
        let peers = node.peers.into_iter().map(|peer| peer.address);
        return [node.place.address].into_iter().chain(peers).map(|address| address.parse().map_err(damaged)).collect();
    }
    let link = Running::link(data)?.ok_or_else(|| unknown(&format!("no engine runs on {}", data.display())))?;
    let address: Address = link.address.to_string().parse().map_err(|why: String| unknown(&why))?;
    if !address.can_be_reached() {
        return Err(unknown(&format!("the engine listens at {address}, which says nothing to others")));
    }
    Ok(vec![address])
}

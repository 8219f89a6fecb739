//! The engine link (`wire/PROTOCOL.md`): where the shards listen, and certificates for both ends.
//!
//! The folder's own authority signs a new certificate for the engine at every start, kept in memory alone, and for its clients on this machine
//! two in `keys/link/`: `gateway.pem` for those who ask on behalf of buyers and staff, `engine.pem` for operators' tools, which may ask everything.
//! Their keys lie beside them, readable by the owner only. Replaced at every start, so that they never run out under a running node.

use crate::{fail::Fail, files, keys::Authority, token};
use engine::WireListen;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    thread::available_parallelism,
};
use wire::{
    NodeId,
    quic::{AuthorityError, Credentials, DevCa, Identity, Part},
};

/// Where an engine listens unless told otherwise.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_443);
const FOLDER: &str = "link";
const CA: &str = "ca.pem";
const CA_KEY: &str = "link-ca.key";
/// What operators' tools show, in the folder.
const OPERATOR: &str = "engine";
/// Tries to find as many free ports in a row as there are shards.
const TRIES_MAX: u32 = 64;

/// What `server.json` says of the link. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Shard 0; shard n listens on the port after it.
    pub(crate) address: SocketAddr,
    /// Certificate of the authority, PEM.
    pub(crate) ca: PathBuf,
    /// For clients on this machine that stand for buyers and staff.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// For operators' tools on this machine.
    pub(crate) operator_certificate: PathBuf,
    /// Its key.
    pub(crate) operator_key: PathBuf,
}

/// What an operator's tool on this machine shows.
pub(crate) struct Operator {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where the last start put it.
pub(crate) fn operator(data: &Path) -> Operator {
    let folder = folder(data);
    Operator { ca: folder.join(CA), certificate: folder.join(format!("{OPERATOR}.pem")), key: folder.join(format!("{OPERATOR}.key")) }
}

/// Makes what both ends need, for `node` of a cluster or for an engine alone. The folder of the data is made if need be.
pub(crate) fn prepare(data: &Path, listen: SocketAddr, shards: Option<u16>, node: Option<NodeId>) -> Result<(WireListen, Link), Fail> {
    let authority = authority(data)?;
    let folder = folder(data);
    let folder = folder.canonicalize().map_err(|error| files::failed("found", &folder, &error))?;
    let named = |part, name| Identity::new(part, name).map_err(|error| Fail::of(&error));
    let issue = |identity: &Identity| authority.issue(identity, token::now()).map_err(|error| Fail::of(&error));
    let store = |part: Part, name: &str| -> Result<(PathBuf, PathBuf), Fail> {
        let Credentials { certificate_pem, key_pem } = issue(&named(part, "local")?)?;
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        files::write(&key, key_pem.as_bytes(), 0o600)?;
        files::write(&certificate, certificate_pem.as_bytes(), 0o644)?;
        Ok((certificate, key))
    };
    let (certificate, key) = store(Part::Gateway, "gateway")?;
    let (operator_certificate, operator_key) = store(Part::Engine, OPERATOR)?;
    let address = if listen.port() == 0 { free(listen, shards)? } else { listen };
    let identity = match node {
        Some(node) => engine::node::identity(node),
        None => named(Part::Engine, "node")?,
    };
    let wire = WireListen { listen: address, authority_pem: authority.certificate_pem().to_owned(), credentials: issue(&identity)? };
    Ok((wire, Link { address, ca: folder.join(CA), certificate, key, operator_certificate, operator_key }))
}

/// Makes the folder's authority when there is none.
pub(crate) fn prepare_authority(data: &Path) -> Result<(), Fail> {
    authority(data).map(drop)
}

/// The folder's authority as texts; `None` if it is not there, or only half.
pub(crate) fn read_authority(data: &Path) -> Result<Option<Authority>, Fail> {
    files::authority(&folder(data).join(CA), &data.join(files::KEYS).join(CA_KEY))
}

/// Puts another folder's authority into `data`.
pub(crate) fn write_authority(data: &Path, authority: &Authority) -> Result<(), Fail> {
    let key_path = files::keys(data)?.join(CA_KEY);
    let folder = folder(data);
    fs::create_dir_all(&folder).map_err(|error| files::failed("made", &folder, &error))?;
    files::write(&key_path, authority.key.as_bytes(), 0o600)?;
    files::write(&folder.join(CA), authority.certificate.as_bytes(), 0o644)
}

/// Who signs for `data`, as it is there.
pub(crate) fn load(authority: &Authority) -> Result<DevCa, AuthorityError> {
    DevCa::load(&authority.certificate, &authority.key)
}

/// The folder's authority, made when there is none.
fn authority(data: &Path) -> Result<DevCa, Fail> {
    if let Some(texts) = read_authority(data)? {
        let (path, key_path) = (folder(data).join(CA), data.join(files::KEYS).join(CA_KEY));
        return load(&texts).map_err(|error| {
            Fail::Failed(format!("{} and {}: {error}: remove both and a new authority is made", path.display(), key_path.display()))
        });
    }
    let authority = DevCa::generate(token::now()).map_err(|error| Fail::of(&error))?;
    write_authority(data, &Authority { certificate: authority.certificate_pem().into(), key: authority.key_pem().into() })?;
    Ok(authority)
}

/// Among the keys: the engine takes a folder with nothing else in it for a new one.
fn folder(data: &Path) -> PathBuf {
    data.join(files::KEYS).join(FOLDER)
}

/// A port that is free with as many after it as there can be shards.
fn free(listen: SocketAddr, shards: Option<u16>) -> Result<SocketAddr, Fail> {
    let cores = available_parallelism().map_or(1, usize::from);
    let shards = shards.unwrap_or_else(|| u16::try_from(cores).unwrap_or(u16::MAX));
    for _ in 0..TRIES_MAX {
        let first = UdpSocket::bind(listen).map_err(|error| Fail::Failed(format!("no UDP port at {}: {error}", listen.ip())))?;
        let address = first.local_addr().map_err(|error| Fail::Failed(format!("no UDP port at {}: {error}", listen.ip())))?;
        let others = (1..shards).map(|shard| Some(UdpSocket::bind((listen.ip(), address.port().checked_add(shard)?))));
        if others.collect::<Option<Result<Vec<_>, _>>>().is_some_and(|bound| bound.is_ok()) {
            return Ok(address);
        }
    }
    Err(Fail::Failed(format!("no {shards} UDP ports in a row are free at {}: name one with --wire-listen", listen.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_authority_stays_and_keys_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let prepare = || prepare(folder.path(), listen, Some(3), None).expect("prepared");
        let ((first, link), (second, _)) = (prepare(), prepare());
        assert_eq!(first.authority_pem, second.authority_pem);
        assert_ne!(first.credentials.certificate_pem, second.credentials.certificate_pem);
        assert_ne!(first.listen.port(), 0);
        for key in [&link.key, &link.operator_key] {
            assert_eq!(fs::metadata(key).expect("a key").permissions().mode() & 0o777, 0o600);
        }
        fs::remove_file(&link.ca).expect("removed");
        assert_ne!(prepare().0.authority_pem, first.authority_pem, "half an authority is none");
    }
}

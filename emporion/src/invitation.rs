//! Invitations: what a gateway, an adapter or a new node must know of a shop, in one file that is carried to it by hand.
//!
//! Path: an engine's folder → `cluster invite` → [`Invitation::write`] → (another machine) → [`Invitation::read`], which proves it whole → for gateways and adapters
//! [`Invitation::client_config`]; for nodes `cluster join`.
//! Who has one is let in as whom it is for: the file is readable by its owner only, wherever it is. An invitation for a node holds every secret of the shop.
//!
//! Shape: a JSON object, [`VERSION`] in `version`; what only one kind needs is under `for`. A program reads its own version and those before.

use crate::{
    address::Address,
    fail::{Fail, one_line},
    files,
    keys::{Authority, Key, ShopKeys},
    link,
};
use gateway::VerifyingKey;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use std::{fs, io::ErrorKind, path::Path};
use wire::{
    Millis,
    quic::{Credentials, Identity, Part},
};

/// Written into invitations; a higher one is refused.
pub(crate) const VERSION: u32 = 1;
/// Bytes of the longest that is read.
const BYTES_MAX: u64 = 256 * 1024;
/// How names of nodes begin that run (`engine::node::identity`); an invitation lets nobody pose as one of them.
const NODES_OWN: &str = "node-";
/// Engines it may name.
const ENGINES_MAX: usize = wire::NODES_MAX;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    version: u32,
    /// What its bearer is called on the engine link, among those of its kind.
    pub(crate) name: String,
    /// Where engines are, shard 0 of each.
    pub(crate) engines: Vec<Address>,
    pub(crate) link: LinkPass,
    #[serde(rename = "for")]
    pub(crate) guest: Guest,
}

/// How its bearer is let in on the engine link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkPass {
    /// Whom to trust, PEM.
    pub(crate) ca: String,
    /// What to show, PEM.
    pub(crate) certificate: String,
    /// Its key, PEM.
    pub(crate) key: String,
}

impl std::fmt::Debug for LinkPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkPass").finish_non_exhaustive()
    }
}

/// Whom it is for, and what only such a one needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Guest {
    /// A web server without an engine.
    Gateway(ForGateway),
    /// Payment adapters without an engine.
    Adapter {},
    /// An engine that joins.
    Node(Box<ForNode>),
}

/// What a gateway needs besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForGateway {
    /// Proves staff tokens, and makes none. Not secret.
    pub(crate) staff: Key,
    /// Makes and proves cart tokens.
    pub(crate) cart: Key,
    /// Signs its certificate.
    pub(crate) edge: Authority,
}

/// What a node needs besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForNode {
    /// Seals personal fields.
    pub(crate) shop: Key,
    pub(crate) keys: ShopKeys,
    /// Fixed when the shop was made.
    pub(crate) partitions: u16,
    /// Of the shop's positions.
    pub(crate) epoch: u32,
}

/// The kinds, for those who name one without having it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A web server: `emporion gateway`.
    Gateway,
    /// Payment adapters: `emporion adapter`.
    Adapter,
    /// Another engine: `emporion cluster join`.
    Node,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Adapter => "adapter",
            Self::Node => "node",
        }
    }

    const fn described(self) -> &'static str {
        match self {
            Self::Gateway => "a gateway",
            Self::Adapter => "an adapter",
            Self::Node => "a node",
        }
    }

    const fn part(self) -> Part {
        match self {
            Self::Gateway => Part::Gateway,
            Self::Adapter => Part::Adapter,
            Self::Node => Part::Engine,
        }
    }
}

impl Guest {
    const fn kind(&self) -> Kind {
        match self {
            Self::Gateway(_) => Kind::Gateway,
            Self::Adapter {} => Kind::Adapter,
            Self::Node(_) => Kind::Node,
        }
    }
}

/// Only what every version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Invitation {
    /// Makes one, with a new certificate from the shop's authority.
    pub(crate) fn issue(name: &str, engines: Vec<Address>, authority: &Authority, guest: Guest, now: Millis) -> Result<Self, Fail> {
        let identity = Identity::new(guest.kind().part(), name).map_err(|error| Fail::Usage(format!("--name: {error}")))?;
        if identity.part() == Part::Engine && name.starts_with(NODES_OWN) {
            return Err(Fail::Usage(format!(
                "--name: names that begin with {NODES_OWN} are those that nodes call themselves: choose another"
            )));
        }
        let issuer = link::load(authority).map_err(|error| Fail::of(&error))?;
        let Credentials { certificate_pem, key_pem } = issuer.issue(&identity, now).map_err(|error| Fail::of(&error))?;
        let link = LinkPass { ca: authority.certificate.clone(), certificate: certificate_pem, key: key_pem };
        Ok(Self { version: VERSION, name: name.into(), engines, link, guest })
    }

    /// As it stands in the file.
    pub(crate) fn text(&self) -> Result<Vec<u8>, Fail> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| Fail::Failed(format!("the invitation cannot be written: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes it where nothing is.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Fail> {
        if path.symlink_metadata().is_ok() {
            return Err(Fail::Failed(format!("{} is there already: remove it, or write to another file with --out", path.display())));
        }
        files::write(path, &self.text()?, 0o600)
    }

    /// Reads one that must be for `wanted`; `None` if there is no file.
    pub(crate) fn read(path: &Path, wanted: Kind) -> Result<Option<Self>, Fail> {
        let length = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::failed("read", path, &error)),
        };
        files::private(path)?;
        if length > BYTES_MAX {
            return Err(damaged(path, &format!("{length} bytes are more than any invitation has")));
        }
        let text = fs::read(path).map_err(|error| files::failed("read", path, &error))?;
        let any: AnyVersion = serde_json::from_slice(&text).map_err(|error| damaged(path, &error.to_string()))?;
        if any.version > VERSION {
            return Err(Fail::Failed(format!(
                "{} is an invitation of version {}, and this program reads {VERSION}: use the program that its shop runs on",
                path.display(),
                any.version
            )));
        }
        let invitation: Self = serde_json::from_slice(&text).map_err(|error| damaged(path, &error.to_string()))?;
        let found = invitation.guest.kind();
        if found != wanted {
            return Err(Fail::Failed(format!(
                "{} is an invitation for {}, and not for {}: make one with `emporion cluster invite --for {}`",
                path.display(),
                found.described(),
                wanted.described(),
                wanted.as_str()
            )));
        }
        invitation.check().map_err(|why| damaged(path, &why))?;
        Ok(Some(invitation))
    }

    /// Whether its parts are what they should be, and belong together.
    fn check(&self) -> Result<(), String> {
        if self.engines.is_empty() || self.engines.len() > ENGINES_MAX {
            return Err(format!("it names {} engines, where 1 to {ENGINES_MAX} can be", self.engines.len()));
        }
        let certificate =
            CertificateDer::from_pem_slice(self.link.certificate.as_bytes()).map_err(|error| format!("its certificate: {error}"))?;
        let identity = Identity::of_certificate(&certificate).map_err(|error| error.to_string())?;
        let wanted = Identity::new(self.guest.kind().part(), &self.name).map_err(|error| error.to_string())?;
        if identity != wanted {
            return Err(format!("its certificate is that of {identity}, and not of {wanted}"));
        }
        self.client_config().map_err(|error| one_line(&error))?;
        let belongs = |authority: &Authority| link::load(authority).map(drop).map_err(|error| error.to_string());
        match &self.guest {
            Guest::Gateway(ForGateway { staff, edge, cart: _ }) => {
                VerifyingKey::from_bytes(&staff.0).ok_or("its key for staff tokens is none")?;
                belongs(edge)
            }
            Guest::Adapter {} => Ok(()),
            Guest::Node(node) => belongs(&node.keys.edge).and_then(|()| belongs(&node.keys.link)),
        }
    }

    /// For connections to the engines.
    pub(crate) fn client_config(&self) -> Result<quinn::ClientConfig, wire::quic::TlsError> {
        wire::quic::client_config(&self.link.ca, &self.credentials())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials { certificate_pem: self.link.certificate.clone(), key_pem: self.link.key.clone() }
    }

    /// When its certificate is no longer good, in milliseconds; `None` if it cannot be read.
    pub(crate) fn ends(&self) -> Option<Millis> {
        let certificate = CertificateDer::from_pem_slice(self.link.certificate.as_bytes()).ok()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        u64::try_from(certificate.validity().not_after.timestamp()).ok().map(|seconds| Millis(seconds.saturating_mul(1_000)))
    }
}

fn damaged(path: &Path, why: &str) -> Fail {
    Fail::Failed(format!("{} is no invitation, or a damaged one ({why}): make another with `emporion cluster invite`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    /// A shop's keys, and an invitation for each kind.
    fn made() -> (TempDir, ShopKeys, [(Kind, Invitation); 3]) {
        let folder = tempfile::tempdir().expect("a folder");
        ShopKeys::prepare(folder.path()).expect("made");
        let keys = ShopKeys::read(folder.path()).expect("there");
        let staff = Key(gateway::SigningKey::from_bytes(&keys.token.0).verifying_key().to_bytes());
        let guests = [
            (Kind::Gateway, Guest::Gateway(ForGateway { staff, cart: keys.cart, edge: keys.edge.clone() })),
            (Kind::Adapter, Guest::Adapter {}),
            (Kind::Node, Guest::Node(Box::new(ForNode { shop: Key([7; 32]), keys: keys.clone(), partitions: 64, epoch: 1 }))),
        ];
        let engines = vec!["127.0.0.1:7443".parse().expect("an address")];
        let issue = |guest| Invitation::issue("one", engines.clone(), &keys.link, guest, token::now()).expect("issued");
        let invitations = guests.map(|(kind, guest)| (kind, issue(guest)));
        (folder, keys, invitations)
    }

    fn says(read: Result<Option<Invitation>, Fail>) -> String {
        match read {
            Err(Fail::Failed(why)) if !why.contains('\n') => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_kind_reads_its_own_and_no_other() {
        let (folder, _, invitations) = made();
        for (kind, invitation) in invitations {
            let path = folder.path().join(kind.as_str());
            assert_eq!(Invitation::read(&path, kind), Ok(None));
            invitation.write(&path).expect("written");
            assert_eq!(Invitation::read(&path, kind), Ok(Some(invitation.clone())));
            let days = (invitation.ends().expect("a date").0 - token::now().0).div_ceil(24 * 3_600_000);
            assert_eq!(days, wire::quic::authority::CERTIFICATE_DAYS);
            let Err(Fail::Failed(why)) = invitation.write(&path) else { panic!("an invitation is overwritten") };
            assert!(why.contains("is there already"), "{why}");
            for other in [Kind::Gateway, Kind::Adapter, Kind::Node].into_iter().filter(|other| *other != kind) {
                let why = says(Invitation::read(&path, other));
                let (found, wanted) = (kind.described(), other.described());
                assert!(why.contains(&format!("is an invitation for {found}, and not for {wanted}: make one")), "{why}");
            }
            assert!(!format!("{invitation:?}").contains("PRIVATE"));
            assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changes");
            assert!(says(Invitation::read(&path, kind)).contains("chmod 600"));
        }
    }

    #[test]
    fn a_gateways_invitation_mints_no_tokens_and_signs_no_guests() {
        let (_folder, keys, [(_, gateway), (_, adapter), _]) = made();
        let text = |invitation: &Invitation| String::from_utf8(invitation.text().expect("text")).expect("UTF-8");
        for secret in [String::from(keys.token), json!(keys.link.key).to_string()] {
            assert!(!text(&gateway).contains(&secret));
        }
        for secret in [String::from(keys.cart), json!(keys.edge.key).to_string()] {
            assert!(text(&gateway).contains(&secret) && !text(&adapter).contains(&secret));
        }
    }

    #[test] // Each row: a change, and a part of what is said about it.
    fn what_is_damaged_is_told() {
        let (folder, _, [(_, gateway), _, (_, node)]) = made();
        let (_other, foreign, _) = made();
        let foreign = json!(foreign.edge.key);
        type Change<'a> = &'a dyn Fn(&mut Value);
        let rows: [(&str, &Invitation, Change<'_>); 12] = [
            ("version 2, and this program reads 1", &gateway, &|value| value["version"] = json!(2)),
            ("missing field `version`", &gateway, &|value| *value = json!({"for": {"gateway": {}}})),
            ("invalid length", &gateway, &|value| *value = json!([1])),
            ("missing field `name`", &gateway, &|value| drop(value.as_object_mut().expect("an object").remove("name"))),
            ("unknown field `extra`", &gateway, &|value| value["extra"] = json!(1)),
            ("0 engines", &gateway, &|value| value["engines"] = json!([])),
            ("`node` is no HOST:PORT", &gateway, &|value| value["engines"] = json!(["node"])),
            ("and not of spiffe://emporion.local/gateway/two", &gateway, &|value| value["name"] = json!("two")),
            ("its certificate", &gateway, &|value| value["link"]["certificate"] = json!("")),
            ("64 hexadecimal digits", &gateway, &|value| value["for"]["gateway"]["staff"] = json!("00")),
            ("not that of its certificate", &gateway, &|value| value["for"]["gateway"]["edge"]["key"] = foreign.clone()),
            ("not that of its certificate", &node, &|value| value["for"]["node"]["keys"]["edge"]["key"] = foreign.clone()),
        ];
        for (row, (wanted, invitation, change)) in rows.into_iter().enumerate() {
            let mut value = json!(invitation);
            change(&mut value);
            let path = folder.path().join(row.to_string());
            files::write(&path, value.to_string().as_bytes(), 0o600).expect("written");
            let why = says(Invitation::read(&path, invitation.guest.kind()));
            assert!(why.contains(wanted), "{wanted}: {why}");
        }
        let path = folder.path().join("cut");
        let text = gateway.text().expect("text");
        files::write(&path, &text[..text.len() / 2], 0o600).expect("written");
        assert!(says(Invitation::read(&path, Kind::Gateway)).contains("damaged"));
        files::write(&path, &vec![b' '; BYTES_MAX as usize + 1], 0o600).expect("written");
        assert!(says(Invitation::read(&path, Kind::Gateway)).contains("more than any invitation has"));
    }
}

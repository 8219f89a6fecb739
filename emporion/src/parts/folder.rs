//! The folder of a gateway or adapter: its invitation, and little else.
//!
//! Shape: `keys/invitation.json` of mode 0600; `LOCK`, held while the process runs; for a gateway its certificate authority (`dev-ca.pem`) and `server.json`.
//! Path: the first start is given an invitation, which is kept → later starts find it there. A newer one that is given takes its place.

use crate::{
    certificates,
    fail::Fail,
    files,
    invitation::{Guest, Invitation, Kind},
    token,
};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The kept invitation, among the keys.
const INVITATION: &str = "invitation.json";
/// Makes a folder an engine's.
const ENGINES: &str = "folder.json";
/// How long before the end of its certificate it is told.
const ENDS_SOON_MS: u64 = 30 * 24 * 3_600_000;

/// A folder that this process has to itself.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) invitation: Invitation,
    _lock: File,
}

impl Folder {
    /// Takes the folder at `data`, made when it is not there, with the invitation at `given`, or the one that is kept.
    pub(super) fn open(data: &Path, given: Option<&Path>, kind: Kind) -> Result<Self, Fail> {
        let given = given.map(|path| Self::given(path, kind)).transpose()?;
        let kept = data.join(files::KEYS).join(INVITATION);
        if given.is_none() && !kept.exists() {
            return Err(Fail::Usage(format!(
                "{} has no invitation yet: give one with --invitation FILE, made by `emporion cluster invite --for {}` at an engine",
                data.display(),
                kind.as_str()
            )));
        }
        if data.join(ENGINES).exists() {
            return Err(Fail::Usage(format!(
                "{} is an engine's folder: give the {} one of its own with --data",
                data.display(),
                kind.as_str()
            )));
        }
        let keys = files::keys(data)?;
        let path = data.canonicalize().map_err(|error| files::failed("found", data, &error))?;
        let lock = files::lock(&path)?;
        let kept = keys.join(INVITATION);
        let invitation = match given {
            Some(given) => {
                // Before the invitation: who finds that need not be given it again.
                if let Guest::Gateway(gateway) = &given.guest {
                    certificates::write_authority(&path, &gateway.edge)?;
                }
                files::write(&kept, &given.text()?, 0o600)?;
                given
            }
            None => Invitation::read(&kept, kind)?
                .ok_or_else(|| Fail::Failed(format!("{} is gone: give an invitation with --invitation FILE", kept.display())))?,
        };
        if let Some(ends) = invitation.ends()
            && ends.0 < token::now().0.saturating_add(ENDS_SOON_MS)
        {
            tracing::warn!(
                "the invitation's certificate ends soon, or has ended: make another with `emporion cluster invite --for {}`, and start once with --invitation FILE",
                kind.as_str()
            );
        }
        Ok(Self { path, invitation, _lock: lock })
    }

    fn given(path: &Path, kind: Kind) -> Result<Invitation, Fail> {
        Invitation::read(path, kind)?.ok_or_else(|| {
            let kind = kind.as_str();
            Fail::Failed(format!(
                "there is no invitation {}: make one with `emporion cluster invite --for {kind} --out FILE` at an engine",
                path.display()
            ))
        })
    }
}

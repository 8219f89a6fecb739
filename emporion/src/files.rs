//! Small files of the data folder: written whole or not at all, secrets readable by their owner only.

use crate::fail::Fail;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Folder of the secrets within the data folder.
pub(crate) const KEYS: &str = "keys";
/// Signs staff tokens.
pub(crate) const TOKEN_KEY: &str = "token.key";
/// Makes cart tokens.
pub(crate) const CART_KEY: &str = "cart.key";
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Replaces `path` as a whole: a reader sees the old bytes or the new ones, also after a crash.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fail> {
    let replaced = || -> io::Result<()> {
        let new = path.with_added_extension("new");
        let _ = fs::remove_file(&new); // of an interrupted write, perhaps with another mode
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(parent(path))?.sync_all()
    };
    replaced().map_err(|error| failed("written", path, &error))
}

/// The secret `name` in the keys of `data`; `None` if it is not there.
pub(crate) fn secret(data: &Path, name: &str) -> Result<Option<[u8; SECRET_BYTES]>, Fail> {
    let path = data.join(KEYS).join(name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path, &error)),
    };
    private(&path)?;
    let found = bytes.len();
    let secret = bytes
        .try_into()
        .map_err(|_| Fail::Failed(format!("{} has {found} bytes and not {SECRET_BYTES}: restore it from a backup", path.display())))?;
    Ok(Some(secret))
}

/// The secret `name`, drawn at random when it is not there.
pub(crate) fn secret_or_new(data: &Path, name: &str) -> Result<[u8; SECRET_BYTES], Fail> {
    if let Some(secret) = secret(data, name)? {
        return Ok(secret);
    }
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Fail::Failed(format!("no random numbers from the system: {error}")))?;
    write(&keys(data)?.join(name), &secret, 0o600)?;
    Ok(secret)
}

/// The folder of the secrets, made when it is not there.
pub(crate) fn keys(data: &Path) -> Result<PathBuf, Fail> {
    let keys = data.join(KEYS);
    DirBuilder::new().recursive(true).mode(0o700).create(&keys).map_err(|error| failed("made", &keys, &error))?;
    Ok(keys)
}

/// Refuses a secret that others could read.
pub(crate) fn private(path: &Path) -> Result<(), Fail> {
    let mode = fs::metadata(path).map_err(|error| failed("read", path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Fail::Failed(format!("{} has mode {mode:03o}: others could read it. Run `chmod 600` on it", path.display())))
}

pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Fail {
    Fail::Failed(format!("{} cannot be {what} ({error}): check that this user may, and that the disk is well and not full", path.display()))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

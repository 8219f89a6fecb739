//! Small files of the data folder: written whole or not at all, secrets readable by their owner only.

use crate::{
    fail::Fail,
    keys::{Authority, KEY_BYTES},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Folder of the secrets within the data folder.
pub(crate) const KEYS: &str = "keys";
/// Signs staff tokens.
pub(crate) const TOKEN_KEY: &str = "token.key";
/// Seals personal fields; the engine's.
pub(crate) const SHOP_KEY: &str = "shop.key";
/// Makes cart tokens.
pub(crate) const CART_KEY: &str = "cart.key";
/// Held by the process that a folder belongs to while it runs; engines lock a file of the same name.
const LOCK: &str = "LOCK";

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
pub(crate) fn secret(data: &Path, name: &str) -> Result<Option<[u8; KEY_BYTES]>, Fail> {
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
        .map_err(|_| Fail::Failed(format!("{} has {found} bytes and not {KEY_BYTES}: restore it from a backup", path.display())))?;
    Ok(Some(secret))
}

/// The secret `name`, drawn at random when it is not there.
pub(crate) fn secret_or_new(data: &Path, name: &str) -> Result<[u8; KEY_BYTES], Fail> {
    if let Some(secret) = secret(data, name)? {
        return Ok(secret);
    }
    let mut secret = [0; KEY_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Fail::Failed(format!("no random numbers from the system: {error}")))?;
    write(&keys(data)?.join(name), &secret, 0o600)?;
    Ok(secret)
}

/// An authority in two files; `None` unless both are there.
pub(crate) fn authority(certificate: &Path, key: &Path) -> Result<Option<Authority>, Fail> {
    let text = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    };
    let (Some(certificate), Some(key_text)) = (text(certificate)?, text(key)?) else { return Ok(None) };
    private(key)?;
    Ok(Some(Authority { certificate, key: key_text }))
}

/// Takes a folder for this process alone, until the file is dropped or the process ends.
pub(crate) fn lock(data: &Path) -> Result<File, Fail> {
    let path = data.join(LOCK);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = file.map_err(|error| failed("opened", &path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Fail::Failed(format!(
                "{} is in use by another process: stop that one, or choose another folder with --data",
                data.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed("locked", &path, &error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|error| failed("written", &path, &error))?;
    Ok(file)
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

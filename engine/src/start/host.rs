//! What the machine must offer before anything is opened: kernel, io_uring, locked memory, cores. The portable driver wants the cores alone.
//!
//! Path: [`check`] → each in turn → an error that says what was found, what is wanted and who can change it. glommio itself panics or
//! ends the process where these fail, so they are asked for here first.

use std::{os::unix::fs::OpenOptionsExt, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::OpenError;
use crate::{config::ConfigError, folder::LOCK};

/// Oldest kernel: the one whose io_uring has what the executors use.
const KERNEL_MIN: (u32, u32) = (5, 8);
/// Locked memory of one executor, for its rings.
pub const MEMLOCK_BYTES_PER_SHARD: u64 = 512 * 1024;
/// The way on for whoever cannot change the machine.
const PORTABLE: &str = "Or start with `--driver portable`, which does without and is slower";

/// The machine, or what surrounds this process on it, does not offer what the engine needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The kernel.
    #[error("the kernel is {found}; Linux {}.{} or later is needed for io_uring. {PORTABLE}", KERNEL_MIN.0, KERNEL_MIN.1)]
    Kernel {
        /// Its release.
        found: String,
    },
    /// io_uring is switched off.
    #[error("io_uring cannot be used ({source}): {remedy}. {PORTABLE}")]
    Uring {
        /// What the system said.
        source: std::io::Error,
        /// What to change.
        remedy: String,
    },
    /// The limit of locked memory.
    #[error(
        "{found} bytes of memory may be locked; {shards} shards need {wanted} ({MEMLOCK_BYTES_PER_SHARD} each). Raise the limit: `ulimit -l {}`, \
         `LimitMEMLOCK={wanted}` in a systemd unit, `--ulimit memlock={wanted}` for a container; or configure fewer shards. \
         {PORTABLE}",
        wanted / 1024
    )]
    LockedMemory {
        /// The hard limit.
        found: u64,
        /// What is needed.
        wanted: u64,
        /// As configured.
        shards: u16,
    },
}

/// Checks kernel, io_uring and locked memory, whose soft limit is raised as far as needed.
///
/// # Errors
/// [`HostError`].
pub(super) fn check(shards: u16) -> Result<(), HostError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match kernel_version(&release) {
        Some(version) if version < KERNEL_MIN => return Err(HostError::Kernel { found: release }),
        // A release that reads as no number is left to the next check.
        Some(_) | None => {}
    }
    super::uring::probe().map_err(|source| {
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        HostError::Uring { remedy: uring_remedy(source.raw_os_error(), disabled.trim()), source }
    })?;
    locked_memory(shards)
}

/// `5` and `8` of `5.8.0-53-generic`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn uring_remedy(errno: Option<i32>, disabled: &str) -> String {
    let container = "in a container, run it with a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register \
                     (Docker and Podman: `--security-opt seccomp=PROFILE.json`, or `seccomp=unconfined` to try it)";
    match (errno, disabled) {
        (Some(libc::EPERM | libc::EACCES), "1" | "2") => {
            format!("kernel.io_uring_disabled is {disabled}; an administrator allows it with `sysctl -w kernel.io_uring_disabled=0`")
        }
        (Some(libc::EPERM | libc::EACCES), _) => format!("a security policy forbids it; {container}"),
        (Some(libc::ENOSYS), _) => format!("this kernel was built without it, or a seccomp filter hides it; {container}"),
        (Some(libc::ENOMEM), _) => {
            "too little memory may be locked or used by this process; raise `ulimit -l` and the memory limit of its group".into()
        }
        (_, _) => "see `man io_uring_setup`".into(),
    }
}

fn locked_memory(shards: u16) -> Result<(), HostError> {
    let wanted = MEMLOCK_BYTES_PER_SHARD * u64::from(shards);
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    if current.is_none_or(|soft| soft >= wanted) {
        return Ok(());
    }
    if maximum.is_none_or(|hard| hard >= wanted) && setrlimit(Resource::Memlock, Rlimit { current: Some(wanted), maximum }).is_ok() {
        tracing::debug!(bytes = wanted, "raised the soft limit of locked memory");
        return Ok(());
    }
    Err(HostError::LockedMemory { found: maximum.or(current).unwrap_or(0), wanted, shards })
}

/// Asks the data folder's file system for direct I/O. Memory file systems may go without: they have no disk to bypass.
///
/// # Errors
/// [`OpenError::NoDirectIo`].
pub(super) fn direct_io(folder: &Path) -> Result<(), OpenError> {
    /// `TMPFS_MAGIC` of statfs(2).
    const TMPFS: i64 = 0x0102_1994;
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(folder.join(LOCK));
    match opened {
        Err(source) if source.raw_os_error() == Some(libc::EINVAL) => {
            let memory = rustix::fs::statfs(folder).is_ok_and(|stat| stat.f_type == TMPFS);
            if memory { Ok(()) } else { Err(OpenError::NoDirectIo { path: folder.display().to_string(), source }) }
        }
        // Other failures are met, and told, where the log is opened.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Cores this process may run on, in rising order; at least one.
pub(super) fn allowed_cpus() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).ok();
    let cpus: Vec<usize> = set.map_or_else(Vec::new, |set| (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect());
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// The core of each shard.
///
/// # Errors
/// When a configured core is not allowed.
pub(super) fn place(shards: u16, configured: Option<&[usize]>, allowed: &[usize]) -> Result<Vec<usize>, ConfigError> {
    match configured {
        None => Ok((0..usize::from(shards)).map(|shard| allowed[shard % allowed.len()]).collect()),
        Some(cpus) => match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            Some(cpu) => Err(ConfigError::CpuNotAllowed { cpu: *cpu, allowed: allowed.to_vec() }),
            None if cpus.len() < usize::from(shards) => Err(ConfigError::Cpus { found: cpus.len(), shards }),
            None => Ok(cpus[..usize::from(shards)].to_vec()),
        },
    }
}

/// What the kernel calls the time since the machine was started; `None` where it does not say.
pub(super) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_read() {
        for (release, version) in
            [("5.8.0-53-generic", Some((5, 8))), ("6.18.44", Some((6, 18))), ("4.19", Some((4, 19))), ("plan9", None), ("6", None)]
        {
            assert_eq!(kernel_version(release), version, "{release}");
        }
    }

    #[test]
    fn the_remedy_names_what_forbids() {
        for (errno, disabled, says) in [
            (libc::EPERM, "2", "sysctl -w kernel.io_uring_disabled=0"),
            (libc::EPERM, "0", "seccomp profile"),
            (libc::EPERM, "", "seccomp profile"),
            (libc::ENOSYS, "", "built without it"),
            (libc::ENOMEM, "", "ulimit -l"),
            (libc::EINVAL, "", "man io_uring_setup"),
        ] {
            let remedy = uring_remedy(Some(errno), disabled);
            assert!(remedy.contains(says), "{remedy}");
        }
    }

    #[test]
    fn shards_share_cores_only_when_they_must() {
        assert_eq!(place(3, None, &[2, 5]), Ok(vec![2, 5, 2]));
        assert_eq!(place(2, Some(&[5, 2]), &[2, 5]), Ok(vec![5, 2]));
        assert_eq!(place(2, Some(&[5]), &[2, 5]), Err(ConfigError::Cpus { found: 1, shards: 2 }));
        assert_eq!(place(1, Some(&[4]), &[2, 5]), Err(ConfigError::CpuNotAllowed { cpu: 4, allowed: vec![2, 5] }));
    }
}

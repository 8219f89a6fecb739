//! Asks the kernel for an io_uring and gives it back. The only unsafe code of the start.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// `sizeof(struct io_uring_params)`, fixed by the kernel's interface.
const PARAMS_BYTES: usize = 120;

/// Sets up the smallest ring.
///
/// # Errors
/// What `io_uring_setup` says: `ENOSYS` where it does not exist or is hidden, `EPERM` where it is forbidden.
pub(super) fn probe() -> io::Result<()> {
    // In 64-bit words, because the struct is aligned like its widest field.
    let mut params = [0_u64; PARAMS_BYTES / 8];
    // SAFETY: the call reads and writes one `struct io_uring_params`, whose room `params` is, zeroed as the interface asks; it keeps no
    // pointer to it.
    let made = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1_u32, params.as_mut_ptr()) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(made).map_err(io::Error::other)?;
    // SAFETY: the call succeeded, so `fd` is open and nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

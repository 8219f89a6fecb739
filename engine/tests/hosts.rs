//! Machines that do not offer what the engine needs: each says so, and what to do. The failing circumstances are made in child processes.

mod common;

use common::{
    assert_carts, child, create_cart, create_carts, go_on_with, open, run_child, said, say_open, under_both_drivers, verify_sound,
};
use engine::Driver;
use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};
use wire::Failure;

under_both_drivers! {
    a_folder_of_another_user_is_refused
    a_full_disk_refuses_commands_and_comes_back
}

fn a_folder_of_another_user_is_refused() {
    if let Some(data) = child() {
        if rustix::process::geteuid().is_root() {
            become_nobody();
        }
        return say_open(&data, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let output = run_child("a_folder_of_another_user_is_refused", folder.path());
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let says = said(&output);
    assert!(says.contains("cannot be written by user") && says.contains("chown"), "{says}");
}

#[test]
fn too_little_locked_memory_is_told_before_anything_starts() {
    if let Some(data) = child() {
        let limit = rustix::process::Rlimit { current: Some(64 << 10), maximum: Some(64 << 10) };
        rustix::process::setrlimit(rustix::process::Resource::Memlock, limit).unwrap();
        return say_open(&data, 2);
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let says = said(&run_child("too_little_locked_memory_is_told_before_anything_starts", &data));
    assert!(says.contains("65536 bytes of memory may be locked; 2 shards need 1048576"), "{says}");
    assert!(says.contains("ulimit -l 1024") && says.contains("--driver portable"), "{says}");
    assert!(!data.exists(), "a start that fails on the machine makes no folder");
}

#[test]
fn a_low_soft_limit_of_locked_memory_is_raised() {
    if let Some(data) = child() {
        let limit = rustix::process::Rlimit { current: Some(64 << 10), maximum: Some(1 << 20) };
        rustix::process::setrlimit(rustix::process::Resource::Memlock, limit).unwrap();
        return say_open(&data, 2);
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(said(&run_child("a_low_soft_limit_of_locked_memory_is_raised", &folder.path().join("shop"))), "opened");
}

#[test]
fn io_uring_forbidden_is_told_with_the_remedy() {
    if let Some(data) = child() {
        forbid_io_uring(libc::EPERM);
        return say_open(&data, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let says = said(&run_child("io_uring_forbidden_is_told_with_the_remedy", &folder.path().join("shop")));
    assert!(says.contains("io_uring cannot be used") && says.contains("seccomp") && says.contains("--driver portable"), "{says}");
}

#[test] // As in a container under Docker's default profile, with no locked memory at all.
fn the_portable_driver_works_without_io_uring_and_locked_memory() {
    if let Some(data) = child() {
        forbid_io_uring(libc::EPERM);
        let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        rustix::process::setrlimit(rustix::process::Resource::Memlock, limit).unwrap();
        go_on_with(Driver::Portable);
        let mut carts = Vec::new();
        for _ in 0..2 {
            let engine = open(&data, 2);
            assert_carts(&engine, &carts);
            carts.extend(create_carts(&engine, 100));
        }
        println!("child: {} carts", carts.len());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(said(&run_child("the_portable_driver_works_without_io_uring_and_locked_memory", folder.path())), "200 carts");
    verify_sound(folder.path());
}

#[test]
fn io_uring_hidden_is_told_with_the_remedy() {
    if let Some(data) = child() {
        forbid_io_uring(libc::ENOSYS);
        return say_open(&data, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let says = said(&run_child("io_uring_hidden_is_told_with_the_remedy", &folder.path().join("shop")));
    assert!(says.contains("io_uring cannot be used") && says.contains("built without it"), "{says}");
}

// Where nothing can be mounted, the child says so and there is nothing to be seen.
fn a_full_disk_refuses_commands_and_comes_back() {
    if let Some(place) = child() {
        match mount_small(&place) {
            Ok(()) => fill_and_free(&place),
            Err(error) => println!("child: no mount: {error}"),
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run_child("a_full_disk_refuses_commands_and_comes_back", folder.path());
    let says = said(&output);
    assert!(
        says == "refused, read, and took commands again" || says.starts_with("no mount: Operation not permitted"),
        "{says}\n{output:?}"
    );
}

/// On a disk with room for three segments or so, beside a ballast of two more.
fn fill_and_free(place: &Path) {
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let data = place.join("shop");
    let engine = open(&data, 1);
    let mut carts = Vec::new();
    let full = loop {
        match create_cart(&engine, 0) {
            Ok(cart) => carts.push(cart),
            Err(failure) => break failure,
        }
        assert!(carts.len() < 4_000, "the disk must be full by now");
    };
    assert_eq!(full, Failure::StorageFull);
    assert_carts(&engine, &carts);
    std::fs::remove_file(ballast).unwrap();
    let again = (0..100).find_map(|_| {
        #[expect(clippy::disallowed_methods, reason = "a test waits for a child process")]
        std::thread::sleep(Duration::from_millis(100));
        create_cart(&engine, 0).ok()
    });
    carts.push(again.expect("there is room again"));
    carts.extend(create_carts(&engine, 10));
    drop(engine);
    assert_carts(&open(&data, 1), &carts);
    println!("child: refused, read, and took commands again");
}

/// A memory file system of 6 MiB, seen by this process alone.
fn mount_small(place: &Path) -> std::io::Result<()> {
    use std::{ffi::CString, os::unix::ffi::OsStrExt};
    let ok = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let place = CString::new(place.as_os_str().as_bytes())?;
    // SAFETY: plain system calls on strings that end with a zero and outlive them. The thread gets a mount namespace of its own, which the
    // threads it starts inherit; what is mounted there is gone with the process.
    unsafe {
        ok(libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS))?;
        ok(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null()))?;
        ok(libc::mount(c"tmpfs".as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=6m".as_ptr().cast()))
    }
}

/// Gives root's rights up, for the whole process.
fn become_nobody() {
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: a plain system call on numbers.
    let result = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// From here on `io_uring_setup` fails with `errno`, in this thread and those it starts, as under a container's seccomp profile.
fn forbid_io_uring(errno: libc::c_int) {
    let step = |code: u32, jump_true, jump_false, k| libc::sock_filter { code: code as u16, jt: jump_true, jf: jump_false, k };
    let setup = u32::try_from(libc::SYS_io_uring_setup).unwrap();
    let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap();
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the system call
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, setup),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: `program` points to `steps`, both outlive the calls, and the kernel copies them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, "{}", std::io::Error::last_os_error());
        let set = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0);
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }
}

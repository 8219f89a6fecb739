//! A machine that forbids io_uring, as a container under Docker's default seccomp profile does: the start says so and names the way on, which works.

use crate::{
    bad_starts::{fails, one_line},
    process::{Folder, Shop},
};

/// From here on `io_uring_setup` is forbidden to this thread, and to the threads and processes it starts.
fn forbid_io_uring() {
    let step = |code: u32, jump_true, jump_false, k| libc::sock_filter { code: code as u16, jt: jump_true, jf: jump_false, k };
    let setup = u32::try_from(libc::SYS_io_uring_setup).expect("a small number");
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the system call
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, setup),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
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

async fn sells_without_io_uring() {
    let folder = Folder::under("portable");
    one_line(fails(&folder.data(), &[]), 1, &["io_uring cannot be used", "seccomp", "--driver portable"]);
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--wire-listen", "127.0.0.1:0"]).await;
    shop.api().products(&[("lamp", "A lamp", 3)]).await;
    assert!(folder.log().contains("slower than glommio"), "{}", folder.log());
    assert!(shop.stop().await.success());
    let shop = Shop::start(&folder).await;
    shop.api().get("/v1/products/key=lamp").await.expect(200);
}

#[test]
fn io_uring_forbidden_is_told_and_the_portable_driver_does_without() {
    // On a thread of its own, which takes what is forbidden with it.
    let thread = std::thread::spawn(|| {
        forbid_io_uring();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(sells_without_io_uring());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

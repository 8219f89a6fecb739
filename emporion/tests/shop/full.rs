//! A real file system that is full: a memory file system of a fixed size, mounted for the test.

use crate::{
    power::{put_until_full, put_until_taken},
    process::{Folder, Shop, verify},
};
use std::{fs, path::Path, process::Command};

/// Room for four segments of 64 MiB and some more.
const DISK: &str = "size=280m";
/// What the ballast leaves: less than a segment.
const LEFT: u64 = 30 << 20;

/// Unmounted when it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at).output().expect("`mount` runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "a small disk is mounted for this test, which only root may: {said}");
        Self(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily: a shop that is being killed may still use it.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
    }
}

async fn fills_up_and_goes_on(driver: &'static str) {
    let folder = Folder::under(driver);
    let data = folder.data();
    let _small = Small::mount(&data);
    let ballast = data.join("lost+found");
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        if round == 0 {
            // Before the shop knows the folder, it is empty but for this.
            let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
            assert!(shop.stop().await.success());
        }
        let stat = rustix::fs::statvfs(&data).expect("a file system");
        let free = usize::try_from((stat.f_bavail * stat.f_frsize).saturating_sub(LEFT)).expect("a small disk");
        fs::write(&ballast, vec![1; free]).expect("room for the ballast");
        let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
        let api = shop.api();
        acknowledged.extend(put_until_full(&api, &format!("p-{round}")).await);
        for key in &acknowledged {
            api.get(&format!("/v1/products/key={key}")).await.expect(200);
        }
        fs::remove_file(&ballast).expect("removed");
        let key = format!("after-{round}");
        put_until_taken(&api, &key, &folder).await;
        acknowledged.push(key);
        shop.kill();
        let (sound, says) = verify(&data);
        assert!(sound, "{says}");
    }
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
    for key in &acknowledged {
        shop.api().get(&format!("/v1/products/key={key}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_commands_and_goes_on_when_it_has_room() {
    fills_up_and_goes_on("glommio").await;
}

#[tokio::test]
async fn a_full_disk_refuses_commands_and_goes_on_under_the_portable_driver() {
    fills_up_and_goes_on("portable").await;
}

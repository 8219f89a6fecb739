//! Starts that cannot be: each ends with exit code 1 and one line that says what to do, or starts and says what it left out.

use crate::process::{Folder, Shop, emporion, running, verify};
use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{FileExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Output,
};

/// Starts a shop that is expected to fail; exit code and standard error.
pub(crate) fn fails(data: &Path, args: &[&str]) -> (Option<i32>, String) {
    told(
        &emporion()
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
            .arg(data)
            .args(args)
            .env("EMPORION_LOG", "error")
            .output()
            .expect("the program runs"),
    )
}

pub(crate) fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[track_caller]
pub(crate) fn one_line((code, line): (Option<i32>, String), wanted: i32, says: &[&str]) {
    assert_eq!(code, Some(wanted), "{line}");
    assert!(line.starts_with("emporion: ") && !line.contains('\n'), "not one line: {line}");
    for part in says {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let folder = Folder::new();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = port.local_addr().expect("an address").to_string();
    one_line(fails(&folder.data(), &["--listen", &taken]), 1, &[&taken, "in use", "--listen"]);
    one_line(fails(&folder.data(), &["--admin-listen", &taken]), 1, &[&taken, "in use", "--admin-listen"]);

    let shop = Shop::start(&folder).await;
    let pid = running(&shop.data).expect("server.json")["pid"].to_string();
    one_line(fails(&shop.data, &[]), 1, &["in use by process", &pid, "another folder"]);
    let import = emporion().args(["import", "--data"]).arg(folder.path()).arg("x.ndjson").output().expect("runs");
    one_line(told(&import), 1, &["no shop runs on", "emporion serve"]);
    assert!(shop.stop().await.success());

    one_line(fails(&folder.data(), &["--shards", "0"]), 2, &["0 shards"]);
    one_line(fails(&folder.data(), &["--log-bytes", "100MiB"]), 2, &["a log of 100MiB", "--log-bytes 256MiB or more"]);
    one_line(fails(&folder.data(), &["--segment-bytes", "1MB"]), 2, &["--segment-bytes", "a size, such as 256MiB"]);
    one_line(fails(&folder.data(), &["--search-language", "xx"]), 2, &["--search-language", "one of ar, da, de"]);
    one_line(fails(&folder.data(), &["--no-such-thing"]), 2, &["--no-such-thing", "--help"]);
    let config = folder.path().join("shop.toml");
    fs::write(&config, "listen = '127.0.0.1:0'\nhaste = true\n").expect("writes");
    one_line(fails(&folder.data(), &["--config", &config.display().to_string()]), 2, &["shop.toml:2", "haste"]);

    let meta = folder.data().join("folder.json");
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&meta).expect("folder.json")).expect("JSON");
    told["format"] = 99.into();
    fs::write(&meta, told.to_string()).expect("writes");
    one_line(fails(&folder.data(), &[]), 1, &["format 99", "later"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = Folder::new();
    let outer = folder.path().join("outer");
    fs::create_dir(&outer).expect("a folder");
    let mut command = emporion();
    if rustix::process::geteuid().is_root() {
        // Root may write anywhere, so somebody else tries: with a copy, since the build's folder may be closed to them.
        let copy = folder.path().join("emporion");
        fs::copy(env!("CARGO_BIN_EXE_emporion"), &copy).expect("a copy");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changes");
        command = std::process::Command::new(copy);
        command.uid(65_534).gid(65_534).current_dir("/");
    } else {
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o555)).expect("changes");
    }
    let output = command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
        .arg(outer.join("data"))
        .output()
        .expect("runs");
    fs::set_permissions(&outer, fs::Permissions::from_mode(0o755)).expect("changes");
    one_line(told(&output), 1, &["cannot be", "choose another folder"]);
}

/// The newest segment of the only shard's log.
fn last_segment(data: &Path) -> PathBuf {
    let log = data.join("log/00000001/shard-000");
    let mut segments: Vec<PathBuf> = fs::read_dir(&log).expect("a log").map(|entry| entry.expect("an entry").path()).collect();
    segments.sort();
    let written = |path: &PathBuf| blocks(path) > 1;
    segments.into_iter().rfind(written).expect("a segment with batches")
}

const BLOCK: usize = 4_096;

/// Blocks of a segment up to the last that is not all zeros.
fn blocks(path: &Path) -> usize {
    let bytes = fs::read(path).expect("a segment");
    bytes.chunks(BLOCK).rposition(|block| block.iter().any(|byte| *byte != 0)).map_or(0, |last| last + 1)
}

/// Flips a bit of a file.
fn flip(path: &Path, offset: usize) {
    let file = fs::File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).expect("reads");
    file.write_all_at(&[byte[0] ^ 0x10], offset as u64).expect("writes");
}

#[tokio::test]
async fn damage_stops_the_start_and_a_torn_end_does_not() {
    let folder = Folder::new();
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
    let api = shop.api();
    for number in 0..30 {
        api.products(&[(&format!("p{number}"), "A product", 3)]).await;
    }
    let data = shop.data.clone();
    shop.kill();

    // The end of the last write never reached the disk: its header is there, what follows is not. It is the mark that nothing waits, or was never
    // acknowledged.
    let segment = last_segment(&data);
    let last = (blocks(&segment) - 1) * BLOCK;
    let file = fs::File::options().write(true).open(&segment).expect("opens");
    file.write_all_at(&[0xa5; 100], (last + 200) as u64).expect("writes");
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
    let log = folder.log();
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(log.contains("torn") && log.contains("cut") && log.contains(&name) && log.contains(&last.to_string()), "{log}");
    for number in 0..30 {
        shop.api().get(&format!("/v1/products/key=p{number}")).await.expect(200);
    }
    assert!(shop.stop().await.success());
    let (sound, says) = verify(&data);
    assert!(sound, "{says}");

    // A byte in the middle of what was acknowledged.
    let middle = BLOCK * (last / BLOCK / 2) + 40;
    flip(&segment, middle);
    let block = (middle / BLOCK * BLOCK).to_string();
    one_line(fails(&data, &["--shards", "1"]), 1, &[&name, &format!("byte {block}"), "Restore"]);
    let (sound, says) = verify(&data);
    assert!(!sound && says.contains(&name) && says.contains(&format!("byte {block}")), "{says}");
    // And back: nothing was changed by the refused starts.
    flip(&segment, middle);
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "1"]).await;
    shop.api().get("/v1/products/key=p29").await.expect(200);
}
